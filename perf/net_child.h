/* SPDX-License-Identifier: MIT */
/* A server in a process of its own, and what the kernel says about it. */
#ifndef PEAL_PERF_NET_CHILD_H
#define PEAL_PERF_NET_CHILD_H

#include <netinet/in.h>
#include "perf/net.h"

struct net_child {
	pid_t pid;
	clockid_t clock;	/* the processor time of all its threads */
	int counter;		/* of its instructions; -1: none here */
	struct sockaddr_in addr;
	struct net_page *page;
	unsigned spins;
};

/* NULL when it is serving, or why it is not. */
const char *net_child_start(struct net_child *child,
			    const struct net_way *way,
			    const struct net_job *job);
void net_child_end(struct net_child *child);

/* A server that never sleeps rests between its slices. */
void net_child_rest(const struct net_child *child);
void net_child_go_on(const struct net_child *child);

/* Processor time so far, ns; waits until the server is off the processor. One
 * that never sleeps must rest. */
double net_child_cpu(const struct net_child *child);

/* The page's counters are fresh when it returns 1; 0: no answer came. */
int net_child_ask(struct net_child *child, const struct net_way *way);

struct net_memory {
	double heap;		/* bytes of anonymous memory, stacks too */
	double kernel;		/* the whole machine's: slabs, stacks, pages
				 * of tables; of both ends of connections */
};
void net_child_memory(const struct net_child *child, struct net_memory *out);

#endif
