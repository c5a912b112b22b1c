/* SPDX-License-Identifier: MIT */
/* The classic models that every textbook begins with: busy polling of
 * non-blocking sockets, select, poll, and signal-driven I/O. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>
#include "perf/net_ready.h"

static const struct net_job *job;

static void take_connections(void)
{
	while (net_ready_accept(SOCK_NONBLOCK) != NULL)
		;
}

static void serve_fd(int fd)
{
	struct net_conn *conn = net_ready_conns[fd];

	if (conn && net_ready_flush(conn) == NET_NOTHING)
		net_ready_echo(conn);
}

/* Asks everybody, all the time. */
static void polling(void)
{
	int fd;

	for (;;) {
		take_connections();
		for (fd = 0; fd < net_ready_top; fd++)
			serve_fd(fd);
	}
}

static void with_select(void)
{
	fd_set in, out;
	int fd, top;

	for (;;) {
		FD_ZERO(&in);
		FD_ZERO(&out);
		FD_SET(job->listener, &in);
		for (fd = 0; fd < net_ready_top; fd++) {
			struct net_conn *conn = net_ready_conns[fd];

			if (conn)
				FD_SET(fd, conn->rest ? &out : &in);
		}
		top = net_ready_top > job->listener ? net_ready_top
						    : job->listener + 1;
		if (select(top, &in, &out, NULL, NULL) < 0)
			continue;
		job->page->waits++;
		top = net_ready_top;
		for (fd = 0; fd < top; fd++)
			if (FD_ISSET(fd, &in) || FD_ISSET(fd, &out))
				serve_fd(fd);
		if (FD_ISSET(job->listener, &in))
			take_connections();
	}
}

/* The array is kept from one call to the next: poll(2) at its best. */
static void with_poll(void)
{
	struct pollfd *fds = calloc(job->connections + 1, sizeof *fds);
	unsigned i, count = 1;
	int fd = 0;

	if (!fds)
		abort();
	fds[0].fd = job->listener;
	fds[0].events = POLLIN;
	for (;;) {
		struct net_conn *conn;

		if (poll(fds, count, -1) < 0)
			continue;
		job->page->waits++;
		for (i = 1; i < count; i++) {
			if (!fds[i].revents)
				continue;
			serve_fd(fds[i].fd);
			conn = net_ready_conns[fds[i].fd];
			if (!conn)
				fds[i].fd = -1;
			else
				fds[i].events = conn->rest ? POLLOUT : POLLIN;
		}
		while (fds[0].revents && count <= job->connections &&
		       (conn = net_ready_accept(SOCK_NONBLOCK)) != NULL) {
			fd = conn->fd;
			fds[count].fd = fd;
			fds[count++].events = POLLIN;
		}
	}
}

static void want_signals(int fd, int signal)
{
	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETSIG, signal);
	fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC);
}

/* What came before the signals were asked for has none. */
static void take_with_signals(int signal)
{
	struct net_conn *conn;

	while ((conn = net_ready_accept(SOCK_NONBLOCK)) != NULL) {
		want_signals(conn->fd, signal);
		net_ready_echo(conn);
	}
}

static void serve_everybody(int signal)
{
	int fd;

	take_with_signals(signal);
	for (fd = 0; fd < net_ready_top; fd++)
		serve_fd(fd);
}

/* A queued real-time signal per event, which names the descriptor. When the
 * queue is full a plain SIGIO says that something was lost: then everybody is
 * asked. An edge, so a socket is emptied. */
static void with_signals(void)
{
	int signal = SIGRTMIN + 1;
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
	want_signals(job->listener, signal);
	net_serving(job->page, "a queued signal per event, sigwaitinfo");
	for (;;) {
		int got = sigwaitinfo(&set, &info);

		job->page->waits++;
		if (got < 0)
			continue;
		if (got == SIGIO) {
			serve_everybody(signal);
			continue;
		}
		if (info.si_fd == job->listener) {
			take_with_signals(signal);
			continue;
		}
		while (net_ready_conns[info.si_fd] &&
		       net_ready_flush(net_ready_conns[info.si_fd]) ==
			       NET_NOTHING &&
		       net_ready_echo(net_ready_conns[info.si_fd]) == NET_FULL)
			;
	}
}

void net_serve_model(const struct net_job *given, unsigned variant)
{
	job = given;
	net_ready_open(job);
	fcntl(job->listener, F_SETFL, O_NONBLOCK);
	if (variant == NET_SIGIO)
		with_signals();
	net_serving(job->page, variant == NET_POLLING ? "recv on all, for ever"
			       : variant == NET_SELECT ? "select on all"
						       : "poll on all");
	if (variant == NET_POLLING)
		polling();
	else if (variant == NET_SELECT)
		with_select();
	else
		with_poll();
}
