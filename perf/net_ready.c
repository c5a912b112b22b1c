/* SPDX-License-Identifier: MIT */
/* The body of a readiness server: see net_ready.h. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "perf/net_ready.h"

struct net_conn **net_ready_conns;
int net_ready_top;

static const struct net_job *job;
static char *chunk;

void net_ready_open(const struct net_job *given)
{
	struct rlimit limit;

	job = given;
	getrlimit(RLIMIT_NOFILE, &limit);
	chunk = malloc(job->chunk);
	net_ready_conns = calloc(limit.rlim_cur, sizeof *net_ready_conns);
	if (!chunk || !net_ready_conns)
		net_cannot(job->page, "no memory");
}

struct net_conn *net_ready_accept(int flags)
{
	struct net_conn *conn;
	int yes = 1;
	int fd = accept4(job->listener, NULL, NULL, flags | SOCK_CLOEXEC);

	job->page->waits++;
	if (fd < 0)
		return NULL;
	conn = calloc(1, sizeof *conn);
	if (!conn)
		abort();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	conn->fd = fd;
	net_ready_conns[fd] = conn;
	if (fd >= net_ready_top)
		net_ready_top = fd + 1;
	job->page->accepted++;
	return conn;
}

static enum net_took ended(struct net_conn *conn)
{
	net_ready_conns[conn->fd] = NULL;
	close(conn->fd);
	free(conn->rest);
	free(conn);
	return NET_ENDED;
}

static enum net_took keep(struct net_conn *conn, const char *from, size_t len)
{
	conn->rest = malloc(len);
	if (!conn->rest)
		abort();
	memcpy(conn->rest, from, len);
	conn->rest_len = (uint32_t)len;
	conn->rest_off = 0;
	return NET_WANTS_OUT;
}

enum net_took net_ready_flush(struct net_conn *conn)
{
	ssize_t sent;

	if (!conn->rest)
		return NET_NOTHING;
	sent = send(conn->fd, conn->rest + conn->rest_off,
		    conn->rest_len - conn->rest_off,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	job->page->sends++;
	if (sent < 0)
		return errno == EAGAIN ? NET_WANTS_OUT : ended(conn);
	conn->rest_off += (uint32_t)sent;
	if (conn->rest_off < conn->rest_len)
		return NET_WANTS_OUT;
	free(conn->rest);
	conn->rest = NULL;
	return NET_NOTHING;
}

static enum net_took answer(struct net_conn *conn, size_t len)
{
	ssize_t sent = send(conn->fd, chunk, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	job->page->sends++;
	if (sent < 0 && errno != EAGAIN)
		return ended(conn);
	if (sent < 0)
		sent = 0;
	if ((size_t)sent < len)
		return keep(conn, chunk + sent, len - (size_t)sent);
	return len < job->chunk ? NET_PART : NET_FULL;
}

enum net_took net_ready_echo(struct net_conn *conn)
{
	ssize_t got;

	if (conn->rest)
		return NET_WANTS_OUT;
	got = recv(conn->fd, chunk, job->chunk, MSG_DONTWAIT);
	job->page->recvs++;
	if (got < 0 && errno == EAGAIN)
		return NET_NOTHING;
	if (got <= 0)
		return ended(conn);
	job->page->bytes += (uint64_t)got;
	if (job->stream)
		return (size_t)got < job->chunk ? NET_PART : NET_FULL;
	return answer(conn, (size_t)got);
}
