/* SPDX-License-Identifier: MIT */
/* The first of the classic models: a thread per connection, blocking calls. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "perf/net.h"

/* Enough for recv() and send(); what is touched of it is what counts. */
enum { STACK = 64 * 1024 };

static const struct net_job *job;

static int send_all(int fd, const char *from, size_t len)
{
	ssize_t sent;

	for (; len; from += sent, len -= (size_t)sent) {
		sent = send(fd, from, len, MSG_NOSIGNAL);
		if (sent <= 0)
			return -1;
	}
	return 0;
}

/* Allocated by who accepts: a thread that allocates gets a cache of its own
 * from some allocators, 16 KiB that are not this model's. */
struct conn {
	int fd;
	char chunk[];
};

static void *serve_one(void *as_void)
{
	struct conn *conn = as_void;
	char *chunk = conn->chunk;
	int fd = conn->fd;
	ssize_t got;

	while ((got = recv(fd, chunk, job->chunk, 0)) > 0) {
		if (job->stream)
			__atomic_fetch_add(&job->page->bytes, (uint64_t)got,
					   __ATOMIC_RELAXED);
		else if (send_all(fd, chunk, (size_t)got) < 0)
			break;
	}
	close(fd);
	free(conn);
	return NULL;
}

void net_serve_threads(const struct net_job *given, unsigned variant)
{
	pthread_attr_t attributes;
	pthread_t thread;
	struct conn *conn;
	int fd, rc, yes = 1;

	(void)variant;
	job = given;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	net_serving(job->page, "blocking recv and send, stacks of 64 KiB");
	for (;;) {
		fd = accept4(job->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
		conn = malloc(sizeof *conn + job->chunk);
		if (!conn)
			abort();
		conn->fd = fd;
		rc = pthread_create(&thread, &attributes, serve_one, conn);
		if (rc)
			net_cannot(job->page, "thread %u: errno %d",
				   job->page->accepted + 1, rc);
		job->page->accepted++;
	}
}
