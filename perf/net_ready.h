/* SPDX-License-Identifier: MIT */
/*
 * The body of a readiness server, the same under epoll, poll, select, SIGIO and
 * busy polling: receive into one buffer that all connections share, send it
 * back at once; what the socket does not take is kept until it does.
 */
#ifndef PEAL_PERF_NET_READY_H
#define PEAL_PERF_NET_READY_H

#include "perf/net.h"

struct net_conn {
	char *rest;		/* not sent yet; NULL: nothing */
	uint32_t rest_len, rest_off;
	int fd;
};

enum net_took {
	NET_NOTHING,		/* it would block */
	NET_PART,		/* less than there was room for */
	NET_FULL,		/* maybe there is more */
	NET_WANTS_OUT,		/* wait for room to send */
	NET_ENDED		/* closed */
};

void net_ready_open(const struct net_job *job);

/* A new connection, or NULL: none waits. flags for accept4(). */
struct net_conn *net_ready_accept(int flags);

/* One receive and the send that answers it. */
enum net_took net_ready_echo(struct net_conn *conn);

/* Sends what was kept. NET_NOTHING: all gone. */
enum net_took net_ready_flush(struct net_conn *conn);

/* By descriptor; NULL: not a connection. net_ready_top: above the highest. */
extern struct net_conn **net_ready_conns;
extern int net_ready_top;

#endif
