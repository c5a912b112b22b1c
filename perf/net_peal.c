/* SPDX-License-Identifier: MIT */
/*
 * The same server on peal, nothing in it that a program of yours would not
 * write: recv, send in full, recv; or, with NET_GROUP, one multishot receive
 * per connection into buffers that all share, each sent in full and given back.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "peal.h"
#include "perf/net.h"

enum { SQ_RECV = 27, SQ_SEND = 26 };

#define MANY	16384u		/* connections that need more than the default
				 * room for ops */
#define NONE	UINT16_MAX

struct conn {
	peal_fd fd;
	unsigned index;
	uint16_t first, last;	/* buffers of the group that wait to be sent */
	uint8_t ended;		/* nothing comes any more */
};

static const struct net_job *job;
static struct peal_ring *the_ring;
static struct conn *conns;
static char *buffers;		/* one per connection, or the group's */
static struct peal_group *group;
static unsigned direct, bundle;
static uint32_t *lens;		/* bytes in a buffer of the group */
static uint16_t *next;		/* the one behind it */
static unsigned used, free_count;
static unsigned *free_conns;

static peal_handler on_accepted, on_received, on_sent, on_closed,
	on_group_received, on_group_sent;

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
	if (group)
		must("recv", peal_recv_multishot(ring, conn->fd, group, 0,
						 bundle, on_group_received,
						 conn));
	else
		must("recv", peal_recv(ring, conn->fd, buffer_of(conn),
				       job->chunk, 0, 0, on_received, conn));
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
	conn->first = conn->last = NONE;
	conn->ended = 0;
	/* A direct one has its listener's. */
	if (!direct)
		setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &yes,
			   sizeof yes);
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

/* --- with a group -------------------------------------------------------- */

static void send_first(struct peal_ring *ring, struct conn *conn)
{
	must("send", peal_send_full(ring, conn->fd,
				    buffers + conn->first * job->chunk,
				    lens[conn->first], 0, 0, on_group_sent,
				    conn));
}

/* One after the other: two sends in flight could overtake each other. */
static void queue_send(struct peal_ring *ring, struct conn *conn, void *buf,
		       uint32_t len)
{
	uint16_t index = (uint16_t)(((char *)buf - buffers) /
				    (ptrdiff_t)job->chunk);

	lens[index] = len;
	next[index] = NONE;
	if (conn->first != NONE) {
		next[conn->last] = index;
		conn->last = index;
		return;
	}
	conn->first = conn->last = index;
	send_first(ring, conn);
}

static void on_group_received(struct peal_ring *ring,
			      const struct peal_completion *done)
{
	struct conn *conn = done->ctx;

	if (done->result > 0) {
		job->page->bytes += (uint64_t)done->result;
		if (job->stream)
			peal_group_give_back(group, done->buf);
		else
			queue_send(ring, conn, done->buf,
				   (uint32_t)done->result);
	}
	if (done->flags & PEAL_MORE)
		return;
	conn->ended = 1;
	if (conn->first == NONE)
		hang_up(ring, conn);
}

static void on_group_sent(struct peal_ring *ring,
			  const struct peal_completion *done)
{
	struct conn *conn = done->ctx;
	uint16_t sent = conn->first;

	conn->first = next[sent];
	peal_group_give_back(group, buffers + sent * job->chunk);
	if (conn->first != NONE)
		send_first(ring, conn);
	else if (conn->ended)
		hang_up(ring, conn);
}

/* --- counters, when the command asks for them ---------------------------- */

static void answer(struct peal_ring *ring, void *ctx)
{
	struct peal_group_stats its = { .size = sizeof its };
	struct peal_stats stats = { .size = sizeof stats };

	(void)ctx;
	peal_ring_stats(ring, &stats);
	job->page->waits = stats.enters;
	job->page->recvs = stats.by_op[SQ_RECV];
	job->page->sends = stats.by_op[SQ_SEND];
	job->page->fixed_files = stats.direct_by_op[SQ_RECV] +
				 stats.direct_by_op[SQ_SEND];
	job->page->rearmed = stats.rearmed;
	if (group) {
		peal_group_stats(group, &its);
		job->page->bundles = its.bundles;
	}
	__atomic_fetch_add(&job->page->answered, 1, __ATOMIC_RELEASE);
}

static void on_signal(int signal)
{
	(void)signal;
	peal_post(the_ring, answer, NULL);
}

/* --- start --------------------------------------------------------------- */

static void open_group(void)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;

	lens = net_map(job->page, job->buffers * sizeof *lens);
	next = net_map(job->page, job->buffers * sizeof *next);
	options.count = job->buffers;
	options.buf_size = (uint32_t)job->chunk;
	options.memory = buffers;
	must("group", peal_group_open(the_ring, &group, &options));
}

static void open_ring(unsigned variant)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	options.cq_entries = 4096;
	/* A receive and a send of each may be in flight, or a close. */
	if (job->connections > MANY)
		options.max_ops = 2 * job->connections + MANY;
	if (direct)
		options.direct_fds = job->connections + 8;
	options.engine = variant & NET_ON_EPOLL ? "epoll" : "uring";
	if (peal_ring_open(&the_ring, &options) < 0)
		net_cannot(job->page, "%s", peal_open_reason());
	signal(SIGUSR1, on_signal);
}

void net_serve_peal(const struct net_job *given, unsigned variant)
{
	size_t room = given->connections + 8;
	char setup[160];
	int yes = 1;

	job = given;
	direct = variant & NET_FILES;
	bundle = variant & NET_BUNDLE ? PEAL_BUNDLE : 0;
	conns = net_map(job->page, room * sizeof *conns);
	free_conns = net_map(job->page, room * sizeof *free_conns);
	buffers = net_map(job->page, (variant & NET_GROUP ? job->buffers : room) *
				     job->chunk);
	open_ring(variant);
	if (variant & NET_GROUP)
		open_group();
	setsockopt(job->listener, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	must("accept", peal_accept_multishot(the_ring, job->listener,
					     direct ? PEAL_DIRECT : 0,
					     on_accepted, NULL));
	snprintf(setup, sizeof setup, "engine %s, %s and send_full, %s%s%s",
		 peal_ring_engine(the_ring), group ? "multishot recv" : "recv",
		 group ? "buffers for all" : "a buffer each",
		 direct ? ", direct descriptors" : "",
		 bundle ? ", bundles" : "");
	net_serving(job->page, setup);
	must("run", peal_ring_run(the_ring));
	net_cannot(job->page, "the ring had nothing to do");
}
