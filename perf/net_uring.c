/* SPDX-License-Identifier: MIT */
/*
 * The floor: bare liburing, as one would write it by hand for this one
 * server. A receive into the connection's own buffer, a send of what came, the
 * next receive; or with NET_GROUP a multishot receive into a ring of buffers
 * that all connections share, and with NET_FILES direct descriptors.
 *
 * No table, no handlers, no deadlines, no drain: user_data is the connection.
 */
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "perf/net.h"

#define FLAGS (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |      \
	       IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP |                 \
	       IORING_SETUP_CQSIZE)

enum { ENTRIES = 256, CQ_ENTRIES = 4096, GROUP = 0 };
enum kind { ACCEPT, RECV, SEND, CLOSE };
#define NONE UINT16_MAX

struct conn {
	int fd;
	uint32_t off, len;	/* being sent, in its buffer */
	uint16_t first, last;	/* buffers of the group that wait to be sent */
	uint16_t parked;	/* index + 1 of the next that wants a buffer */
};

static const struct net_job *job;
static struct io_uring ring;
static unsigned group, files;
static struct conn *conns;
static unsigned used, free_count;
static unsigned *free_conns;
static char *buffers;		/* one per connection, or the group's */
static struct io_uring_buf_ring *shared;
static uint32_t *lens;		/* bytes in a buffer of the group */
static uint16_t *next;		/* the one behind it */
static unsigned taken;		/* buffers of the group that are out */
static unsigned *parked, parked_count;

static struct io_uring_sqe *entry(enum kind kind, unsigned index)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	while (!sqe) {
		io_uring_submit(&ring);
		job->page->waits++;
		sqe = io_uring_get_sqe(&ring);
	}
	sqe->user_data = (uint64_t)index << 2 | kind;
	return sqe;
}

static void arm_accept(void)
{
	struct io_uring_sqe *sqe = entry(ACCEPT, 0);
	uint64_t data = sqe->user_data;

	if (files)
		io_uring_prep_multishot_accept_direct(sqe, job->listener, NULL,
						      NULL, 0);
	else
		io_uring_prep_multishot_accept(sqe, job->listener, NULL, NULL,
					       SOCK_CLOEXEC);
	sqe->user_data = data;
}

static void use_file(struct io_uring_sqe *sqe)
{
	if (!files)
		return;
	sqe->flags |= IOSQE_FIXED_FILE;
	job->page->fixed_files++;
}

static void arm_recv(unsigned index)
{
	struct io_uring_sqe *sqe = entry(RECV, index);
	uint64_t data = sqe->user_data;

	if (group) {
		io_uring_prep_recv_multishot(sqe, conns[index].fd, NULL, 0, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = GROUP;
	} else {
		io_uring_prep_recv(sqe, conns[index].fd,
				   buffers + index * job->chunk, job->chunk,
				   0);
	}
	sqe->user_data = data;
	use_file(sqe);
	job->page->recvs++;
}

static void start_send(unsigned index)
{
	struct conn *conn = &conns[index];
	size_t at = group ? conn->first : index;
	struct io_uring_sqe *sqe = entry(SEND, index);
	uint64_t data = sqe->user_data;

	io_uring_prep_send(sqe, conn->fd,
			   buffers + at * job->chunk + conn->off,
			   conn->len - conn->off, MSG_NOSIGNAL);
	sqe->user_data = data;
	use_file(sqe);
	job->page->sends++;
}

static void give_back(uint16_t buffer)
{
	io_uring_buf_ring_add(shared, buffers + buffer * job->chunk,
			      (unsigned)job->chunk, buffer,
			      io_uring_buf_ring_mask(job->buffers), 0);
	io_uring_buf_ring_advance(shared, 1);
	taken--;
	if (parked_count && taken <= job->buffers / 2) {
		while (parked_count)
			arm_recv(parked[--parked_count]);
	}
}

static void end(unsigned index)
{
	struct io_uring_sqe *sqe = entry(CLOSE, index);
	uint64_t data = sqe->user_data;

	if (files)
		io_uring_prep_close_direct(sqe, (unsigned)conns[index].fd);
	else
		io_uring_prep_close(sqe, conns[index].fd);
	sqe->user_data = data;
	free_conns[free_count++] = index;
}

static void on_accept(const struct io_uring_cqe *cqe)
{
	unsigned index;
	int yes = 1;

	if (!(cqe->flags & IORING_CQE_F_MORE))
		arm_accept();
	if (cqe->res < 0)
		return;
	index = free_count ? free_conns[--free_count] : used++;
	conns[index].fd = cqe->res;
	conns[index].first = conns[index].last = NONE;
	/* TCP_NODELAY is inherited for direct ones: set on the listener. */
	if (!files)
		setsockopt(cqe->res, IPPROTO_TCP, TCP_NODELAY, &yes,
			   sizeof yes);
	job->page->accepted++;
	arm_recv(index);
}

/* The next buffer of a connection starts only when the one before has gone:
 * two sends in flight could overtake each other. */
static void queue_send(unsigned index, uint16_t buffer, uint32_t len)
{
	struct conn *conn = &conns[index];

	lens[buffer] = len;
	next[buffer] = NONE;
	if (conn->first != NONE) {
		next[conn->last] = buffer;
		conn->last = buffer;
		return;
	}
	conn->first = conn->last = buffer;
	conn->off = 0;
	conn->len = len;
	start_send(index);
}

static void on_group_recv(unsigned index, const struct io_uring_cqe *cqe)
{
	uint16_t buffer;

	if (cqe->res > 0) {
		taken++;
		buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
		job->page->bytes += (uint64_t)cqe->res;
		if (job->stream)
			give_back(buffer);
		else
			queue_send(index, buffer, (uint32_t)cqe->res);
	}
	if (cqe->flags & IORING_CQE_F_MORE)
		return;
	if (cqe->res > 0) {
		job->page->rearmed++;
		arm_recv(index);
	} else if (cqe->res == -ENOBUFS) {
		job->page->starved++;
		if (taken > job->buffers / 2)
			parked[parked_count++] = index;
		else
			arm_recv(index);
	} else {
		end(index);
	}
}

static void on_recv(unsigned index, const struct io_uring_cqe *cqe)
{
	if (group) {
		on_group_recv(index, cqe);
		return;
	}
	if (cqe->res <= 0) {
		end(index);
		return;
	}
	job->page->bytes += (uint64_t)cqe->res;
	conns[index].off = 0;
	conns[index].len = (uint32_t)cqe->res;
	if (job->stream)
		arm_recv(index);
	else
		start_send(index);
}

static void on_send(unsigned index, const struct io_uring_cqe *cqe)
{
	struct conn *conn = &conns[index];

	if (cqe->res < 0) {
		shutdown(conn->fd, SHUT_RDWR);	/* the receive sees it */
		return;
	}
	conn->off += (uint32_t)cqe->res;
	if (conn->off < conn->len) {
		start_send(index);
	} else if (!group) {
		arm_recv(index);
	} else {
		uint16_t sent = conn->first;

		conn->first = next[sent];
		give_back(sent);
		if (conn->first == NONE)
			return;
		conn->off = 0;
		conn->len = lens[conn->first];
		start_send(index);
	}
}

static void dispatch(const struct io_uring_cqe *cqe)
{
	unsigned index = (unsigned)(cqe->user_data >> 2);

	switch ((enum kind)(cqe->user_data & 3)) {
	case ACCEPT:
		on_accept(cqe);
		break;
	case RECV:
		on_recv(index, cqe);
		break;
	case SEND:
		on_send(index, cqe);
		break;
	case CLOSE:
		break;
	}
}

static void open_group(void)
{
	struct io_uring_buf_reg reg = { .ring_entries = job->buffers,
					.bgid = GROUP };
	unsigned i;
	int rc;

	lens = net_map(job->page, job->buffers * sizeof *lens);
	next = net_map(job->page, job->buffers * sizeof *next);
	shared = net_map(job->page, job->buffers * sizeof(struct io_uring_buf));
	reg.ring_addr = (uint64_t)(uintptr_t)shared;
	rc = io_uring_register_buf_ring(&ring, &reg, 0);
	if (rc < 0)
		net_cannot(job->page, "buffer ring: %s", strerror(-rc));
	io_uring_buf_ring_init(shared);
	taken = job->buffers;
	for (i = 0; i < job->buffers; i++)
		give_back((uint16_t)i);
}

static void open_ring(void)
{
	struct io_uring_params params = { .flags = FLAGS,
					  .cq_entries = CQ_ENTRIES };
	int rc = io_uring_queue_init_params(ENTRIES, &ring, &params);

	if (rc < 0)
		net_cannot(job->page, "io_uring: %s", strerror(-rc));
	io_uring_register_ring_fd(&ring);
	if (group)
		open_group();
	if (!files)
		return;
	rc = io_uring_register_files_sparse(&ring, job->connections + 8);
	if (rc < 0)
		net_cannot(job->page, "file table of %u: %s",
			   job->connections + 8, strerror(-rc));
}

void net_serve_uring(const struct net_job *given, unsigned variant)
{
	size_t room = given->connections + 8;
	struct io_uring_cqe *cqe;
	unsigned head, count;
	int yes = 1;

	job = given;
	group = variant & NET_GROUP;
	files = variant & NET_FILES;
	conns = net_map(job->page, room * sizeof *conns);
	free_conns = net_map(job->page, room * sizeof *free_conns);
	parked = net_map(job->page, room * sizeof *parked);
	buffers = net_map(job->page, (group ? job->buffers : room) * job->chunk);
	open_ring();
	setsockopt(job->listener, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	arm_accept();
	io_uring_submit(&ring);
	net_serving(job->page, group ? "multishot recv, buffers for all"
				     : "recv and send, a buffer each");
	for (;;) {
		io_uring_submit_and_wait(&ring, 1);
		job->page->waits++;
		count = 0;
		io_uring_for_each_cqe(&ring, head, cqe) {
			dispatch(cqe);
			count++;
		}
		io_uring_cq_advance(&ring, count);
	}
}
