/* SPDX-License-Identifier: MIT */
/* epoll by hand, level- or edge-triggered: the reactor that the floor of
 * io_uring has to be compared with. */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "perf/net_ready.h"

enum { EVENTS = 256 };

static int poller;
static unsigned edge;

static void watch(int op, struct net_conn *conn, uint32_t events)
{
	struct epoll_event event = { .events = events | (edge ? EPOLLET : 0) };

	event.data.ptr = conn;
	epoll_ctl(poller, op, conn->fd, &event);
}

static void take_connections(void)
{
	struct net_conn *conn;

	while ((conn = net_ready_accept(SOCK_NONBLOCK)) != NULL)
		watch(EPOLL_CTL_ADD, conn, edge ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* An event says that something is there once: take all of it. A receive that
 * got less than it had room for has emptied the socket. */
static void on_edge(struct net_conn *conn)
{
	enum net_took took = net_ready_flush(conn);

	if (took != NET_NOTHING)
		return;
	do
		took = net_ready_echo(conn);
	while (took == NET_FULL);
}

static void on_level(struct net_conn *conn, uint32_t events)
{
	enum net_took took;

	if (events & EPOLLOUT) {
		took = net_ready_flush(conn);
		if (took == NET_NOTHING)
			watch(EPOLL_CTL_MOD, conn, EPOLLIN);
		return;
	}
	if (net_ready_echo(conn) == NET_WANTS_OUT)
		watch(EPOLL_CTL_MOD, conn, EPOLLOUT);
}

void net_serve_epoll(const struct net_job *job, unsigned variant)
{
	struct epoll_event events[EVENTS];
	struct epoll_event event = { .events = EPOLLIN };
	int i, count;

	edge = variant == NET_EDGE;
	net_ready_open(job);
	fcntl(job->listener, F_SETFL, O_NONBLOCK);
	poller = epoll_create1(EPOLL_CLOEXEC);
	event.data.ptr = NULL;
	if (poller < 0 ||
	    epoll_ctl(poller, EPOLL_CTL_ADD, job->listener, &event) < 0)
		net_cannot(job->page, "epoll: errno %d", errno);
	net_serving(job->page, edge ? "edge-triggered, until it is short"
				    : "level-triggered");
	for (;;) {
		count = epoll_wait(poller, events, EVENTS, -1);
		job->page->waits++;
		for (i = 0; i < count; i++) {
			if (!events[i].data.ptr)
				take_connections();
			else if (edge)
				on_edge(events[i].data.ptr);
			else
				on_level(events[i].data.ptr, events[i].events);
		}
	}
}
