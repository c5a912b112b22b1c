/* SPDX-License-Identifier: MIT */
/* The same server on libevent: with its events and one's own calls, and with
 * its buffered connections. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "perf/net_ready.h"

static const struct net_job *job;
static struct event_base *base;
static unsigned buffered;

struct conn {			/* one of plain events */
	struct net_conn *ready;
	struct event *in, *out;
};

static void on_event(evutil_socket_t fd, short what, void *as_void)
{
	struct conn *conn = as_void;
	enum net_took took = what & EV_WRITE ? net_ready_flush(conn->ready)
					     : net_ready_echo(conn->ready);

	(void)fd;
	if (took == NET_WANTS_OUT) {
		event_add(conn->out, NULL);
	} else if (took == NET_ENDED) {
		event_free(conn->in);
		event_free(conn->out);
		free(conn);
	}
}

static void on_data(struct bufferevent *stream, void *unused)
{
	struct evbuffer *in = bufferevent_get_input(stream);

	(void)unused;
	job->page->bytes += evbuffer_get_length(in);
	if (job->stream)
		evbuffer_drain(in, evbuffer_get_length(in));
	else
		bufferevent_write_buffer(stream, in);
}

static void on_end(struct bufferevent *stream, short what, void *unused)
{
	(void)unused;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		bufferevent_free(stream);
}

static void buffer_it(int fd)
{
	struct bufferevent *stream =
		bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

	if (!stream)
		abort();
	bufferevent_set_max_single_read(stream, job->chunk);
	bufferevent_setcb(stream, on_data, NULL, on_end, NULL);
	bufferevent_enable(stream, EV_READ | EV_WRITE);
}

static void watch_it(struct net_conn *ready)
{
	struct conn *conn = malloc(sizeof *conn);

	if (!conn)
		abort();
	conn->ready = ready;
	conn->in = event_new(base, ready->fd, EV_READ | EV_PERSIST, on_event,
			     conn);
	conn->out = event_new(base, ready->fd, EV_WRITE, on_event, conn);
	if (!conn->in || !conn->out || event_add(conn->in, NULL) < 0)
		abort();
}

static void on_connection(evutil_socket_t listener, short what, void *unused)
{
	struct net_conn *ready;
	int fd, yes = 1;

	(void)what;
	(void)unused;
	while (!buffered && (ready = net_ready_accept(SOCK_NONBLOCK)) != NULL)
		watch_it(ready);
	while (buffered && (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC |
					 SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
		job->page->accepted++;
		buffer_it(fd);
	}
}

void net_serve_libevent(const struct net_job *given, unsigned variant)
{
	struct event *listener;
	char setup[120];

	job = given;
	buffered = variant == NET_BUFFEREVENT;
	net_ready_open(job);
	evutil_make_socket_nonblocking(job->listener);
	base = event_base_new();
	listener = base ? event_new(base, job->listener, EV_READ | EV_PERSIST,
				    on_connection, NULL) : NULL;
	if (!listener || event_add(listener, NULL) < 0)
		net_cannot(job->page, "libevent does not start");
	snprintf(setup, sizeof setup, "%s, %s, libevent %s",
		 buffered ? "bufferevent" : "persistent events, recv and send",
		 event_base_get_method(base), event_get_version());
	net_serving(job->page, setup);
	event_base_dispatch(base);
}
