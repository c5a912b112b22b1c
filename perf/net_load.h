/* SPDX-License-Identifier: MIT */
/*
 * The load: closed-loop clients, one thread, epoll. Each busy connection sends
 * a message when the answer to the one before has come, wholly; idle ones are
 * connected and say nothing.
 */
#ifndef PEAL_PERF_NET_LOAD_H
#define PEAL_PERF_NET_LOAD_H

#include <netinet/in.h>
#include "perf/latency.h"
#include "perf/net.h"

struct net_load;

struct net_load_options {
	struct sockaddr_in addr;
	unsigned connections;
	unsigned busy;		/* of them; spread evenly */
	size_t size;		/* of a message, bytes */
	int stream;		/* send, and expect nothing back */
	const struct net_page *page;	/* where the server counts bytes */
};

/* Connects all. NULL, or why not. */
const char *net_load_open(struct net_load **out_load,
			  const struct net_load_options *options);

/* One message there and back on every connection, in turns of a few hundred:
 * so all are accepted, and the server has touched what it needs for them. */
const char *net_load_greet(struct net_load *load);

struct net_load_work {
	uint64_t messages;
	int verify;		/* compare each byte that comes back */
	double rate;		/* messages per second; 0: closed loop */
	struct latency *latency; /* or NULL */
};

/* NULL when all have come back (a stream: when the server has them all). */
const char *net_load_run(struct net_load *load,
			 const struct net_load_work *work);

void net_load_close(struct net_load *load);

#endif
