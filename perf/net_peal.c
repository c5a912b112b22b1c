/* SPDX-License-Identifier: MIT */
/* The same server on peal: recv, send in full, recv; nothing that a program
 * of yours would not write. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "peal.h"
#include "perf/net.h"

enum { SQ_RECV = 27, SQ_SEND = 26 };

struct conn {
	peal_fd fd;
	unsigned index;
};

static const struct net_job *job;
static struct peal_ring *the_ring;
static struct conn *conns;
static char *buffers;
static unsigned used, free_count;
static unsigned *free_conns;

static peal_handler on_accepted, on_received, on_sent, on_closed;

static void must(const char *what, int64_t result)
{
	if (result < 0)
		net_cannot(job->page, "%s: %s", what, peal_strerror(result));
}

static char *buffer_of(const struct conn *conn)
{
	return buffers + conn->index * job->chunk;
}

static void receive(struct peal_ring *ring, struct conn *conn)
{
	must("recv", peal_recv(ring, conn->fd, buffer_of(conn), job->chunk, 0,
			       0, on_received, conn));
}

static void on_accepted(struct peal_ring *ring,
			const struct peal_completion *done)
{
	struct conn *conn;
	int yes = 1;

	must("accept", done->result);
	conn = &conns[free_count ? free_conns[--free_count] : used++];
	conn->index = (unsigned)(conn - conns);
	conn->fd = (peal_fd)done->result;
	setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	job->page->accepted++;
	receive(ring, conn);
}

static void on_closed(struct peal_ring *ring,
		      const struct peal_completion *done)
{
	struct conn *conn = done->ctx;

	(void)ring;
	free_conns[free_count++] = conn->index;
}

static void hang_up(struct peal_ring *ring, struct conn *conn)
{
	must("close", peal_close_drained(ring, conn->fd, 0, on_closed, conn));
}

static void on_received(struct peal_ring *ring,
			const struct peal_completion *done)
{
	struct conn *conn = done->ctx;

	if (done->result <= 0) {
		hang_up(ring, conn);
		return;
	}
	job->page->bytes += (uint64_t)done->result;
	if (job->stream)
		receive(ring, conn);
	else
		must("send", peal_send_full(ring, conn->fd, buffer_of(conn),
					    (size_t)done->result, 0, 0,
					    on_sent, conn));
}

static void on_sent(struct peal_ring *ring, const struct peal_completion *done)
{
	if (done->result < 0)
		hang_up(ring, done->ctx);
	else
		receive(ring, done->ctx);
}

/* --- counters, when the command asks for them ----------------------------- */

static void answer(struct peal_ring *ring, void *ctx)
{
	struct peal_stats stats = { .size = sizeof stats };

	(void)ctx;
	peal_ring_stats(ring, &stats);
	job->page->waits = stats.enters;
	job->page->recvs = stats.by_op[SQ_RECV];
	job->page->sends = stats.by_op[SQ_SEND];
	job->page->rearmed = stats.rearmed;
	__atomic_fetch_add(&job->page->answered, 1, __ATOMIC_RELEASE);
}

static void on_signal(int signal)
{
	(void)signal;
	peal_post(the_ring, answer, NULL);
}

/* --- start ------------------------------------------------------------------ */

static void *map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		net_cannot(job->page, "no memory for %zu bytes", size);
	return memory;
}

static void open_ring(unsigned variant)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	options.cq_entries = 4096;
	options.engine = variant & NET_ON_EPOLL ? "epoll" : "uring";
	if (peal_ring_open(&the_ring, &options) < 0)
		net_cannot(job->page, "%s", peal_open_reason());
	signal(SIGUSR1, on_signal);
}

void net_serve_peal(const struct net_job *given, unsigned variant)
{
	char setup[160];

	job = given;
	conns = map((job->connections + 8) * sizeof *conns);
	free_conns = map((job->connections + 8) * sizeof *free_conns);
	buffers = map((job->connections + 8) * job->chunk);
	open_ring(variant);
	must("accept", peal_accept_multishot(the_ring, job->listener, 0,
					     on_accepted, NULL));
	snprintf(setup, sizeof setup, "engine %s, recv and send_full, a "
		 "buffer each", peal_ring_engine(the_ring));
	net_serving(job->page, setup);
	must("run", peal_ring_run(the_ring));
	net_cannot(job->page, "the ring had nothing to do");
}
