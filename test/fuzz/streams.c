/* SPDX-License-Identifier: MIT */
/*
 * The model of streams: two ends each, two directions, and in each direction
 * bytes that depend on their place alone. A byte that is lost, doubled or out
 * of order is one that does not fit its place, and at the end as many must
 * have come as were sent, whatever was cancelled.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "test/fuzz/fuzz.h"

static struct stream {
	unsigned epoch;		/* a new one for each connection */
	peal_fd fd[2];		/* -1: closed */
	int shut[2];		/* this end sends no more */
	int hung[2];		/* this end is closed, or being closed */
	uint64_t sent[2];	/* by this end, as its sends said */
	uint64_t got[2];	/* of what this end sent, by the other one */
} streams[STREAMS];

static peal_fd listener;
static struct peal_group *group;
static uint32_t buf_size;	/* of the group */
static void *kept;		/* of it */
static unsigned epochs;
static struct sockaddr_un address;

static uint8_t byte_at(const struct stream *stream, unsigned end, uint64_t at)
{
	uint64_t state = (stream->epoch * 2 + end) * UINT64_C(1000003) + at / 8;

	return (uint8_t)(random_next(&state) >> (at % 8 * 8));
}

static int is_open(const struct stream *stream)
{
	return stream->fd[0] >= 0 || stream->fd[1] >= 0;
}

/* --- ops that the model waits for -------------------------------------- */

struct sync {
	int done;
	int64_t result;
};

static void on_sync(struct peal_ring *where,
		    const struct peal_completion *done)
{
	struct sync *sync = done->ctx;

	(void)where;
	sync->done = 1;
	sync->result = done->result;
}

static int64_t wait_sync(struct sync *sync, peal_op op)
{
	uint64_t limit = peal_ring_now(ring) + 100 * PEAL_S;

	if (op < 0)
		return op;
	model_waits++;
	while (!sync->done) {
		if (peal_ring_turn(ring, PEAL_S) < 0 ||
		    peal_ring_now(ring) > limit) {
			peal_ring_dump(ring, stderr);
			fail(NULL, "an op of the model does not end");
		}
	}
	model_waits--;
	return sync->result;
}

/* What a fault has kept from beginning is begun again. */
#define SYNC_OP(out, call, ...)						\
	do {								\
		struct sync sync_ = { 0, 0 };				\
		(out) = wait_sync(&sync_, call(__VA_ARGS__, on_sync, &sync_)); \
	} while ((out) == -EINTR || (out) == -EAGAIN)

/* --- results ----------------------------------------------------------- */

static int peer_may_be_gone(const struct slot *slot, int64_t error)
{
	const struct stream *stream = &streams[slot->object];
	unsigned end = slot->step.other;

	if (stream->epoch != slot->off)
		return 1;
	return (error == -EPIPE || error == -ECONNRESET) &&
	       (stream->hung[1 - end] || stream->hung[end] ||
		stream->shut[end]);
}

static void check_error(struct slot *slot, int64_t error)
{
	if (!was_asked_for(slot, error) && !peer_may_be_gone(slot, error))
		fail(slot, "%s, and nobody asked for that",
		     peal_strerror(error));
}

static void send_ended(struct slot *slot, const struct peal_completion *done)
{
	struct stream *stream = &streams[slot->object];
	int64_t moved = done->result;

	if (done->result < 0) {
		check_error(slot, done->result);
		moved = slot->step.verb == SEND_FULL
			? (uint8_t *)done->buf - slot->buf : 0;
	} else if (moved > (int64_t)slot->len || moved == 0 ||
		   (slot->step.verb == SEND_FULL &&
		    moved != (int64_t)slot->len)) {
		fail(slot, "%lld bytes of %zu were sent", (long long)moved,
		     slot->len);
	}
	stream->sent[slot->step.other] += (uint64_t)moved;
}

static void fits(const struct slot *slot, const struct stream *stream,
		 unsigned sender, uint64_t count)
{
	uint64_t i, at = stream->got[sender];

	for (i = 0; i < count; i++) {
		uint8_t want = byte_at(stream, sender, at + i);

		if (i == 0)
			want = lie_about(want);
		if (slot->buf[i] != want)
			fail(slot, "byte %llu of the stream is %#x, sent was "
			     "%#x", (unsigned long long)(at + i),
			     slot->buf[i], want);
	}
}

static void recv_ended(struct slot *slot, const struct peal_completion *done)
{
	struct stream *stream = &streams[slot->object];
	unsigned sender = 1u - slot->step.other;

	if (done->result < 0) {
		check_error(slot, done->result);
		return;
	}
	if ((size_t)done->result > slot->len)
		fail(slot, "%lld bytes in a buffer of %zu",
		     (long long)done->result, slot->len);
	if (!done->result && !stream->shut[sender] && !stream->hung[sender] &&
	    !stream->hung[1 - sender])
		fail(slot, "the stream ended, and nobody ended it");
	fits(slot, stream, sender, (uint64_t)done->result);
	stream->got[sender] += (uint64_t)done->result;
}

/* Of two buffers, or of what is handed out of them, one piece is kept until the
 * next has come, so that a receive may have to wait for a buffer. */
static void recv_group_ended(struct slot *slot,
			     const struct peal_completion *done)
{
	if (done->result > (int64_t)buf_size || !done->buf != !(done->result > 0))
		fail(slot, "%lld bytes in buffer %p", (long long)done->result,
		     done->buf);
	if (done->buf)
		memcpy(slot->buf, done->buf, (size_t)done->result);
	recv_ended(slot, done);
	if (!done->buf)
		return;
	if (kept)
		peal_group_give_back(group, kept);
	kept = done->buf;
}

static void poll_ended(struct slot *slot, const struct peal_completion *done)
{
	if (done->result < 0)
		check_error(slot, done->result);
	else if (!(done->result & (POLLIN | POLLHUP | POLLERR)))
		fail(slot, "events %#llx", (unsigned long long)done->result);
}

static void shutdown_ended(struct slot *slot,
			   const struct peal_completion *done)
{
	if (done->result && done->result != -ENOTCONN)
		check_error(slot, done->result);
}

static void hangup_ended(struct slot *slot, const struct peal_completion *done)
{
	if (done->result)
		fail(slot, "a close that ends with %s",
		     peal_strerror(done->result));
	streams[slot->object].fd[slot->step.other] = -1;
}

/* --- steps ------------------------------------------------------------- */

static int in_use(unsigned stream)
{
	struct slot *slot = NULL;

	while ((slot = slot_next(slot)) != NULL)
		if (slot->step.verb >= FILE_VERBS &&
		    slot->step.verb < STREAM_VERBS &&
		    slot->object == (int)stream)
			return 1;
	return 0;
}

static int connect_step(const struct step *step)
{
	struct stream *stream = &streams[step->object];
	struct sync accepted = { 0, 0 };
	int64_t near, far, rc;
	peal_op op;

	if (inside_handler || is_open(stream) || in_use(step->object) ||
	    !room_for(3))
		return 0;
	SYNC_OP(near, peal_socket, ring, AF_UNIX, SOCK_STREAM, 0, place_flag);
	if (near < 0)
		fail(NULL, "socket: %s", peal_strerror(near));
	op = peal_accept(ring, listener, NULL, NULL, place_flag, on_sync,
			 &accepted);
	SYNC_OP(rc, peal_connect, ring, (peal_fd)near,
		(struct sockaddr *)&address, (socklen_t)sizeof address, 0);
	if (rc < 0)
		fail(NULL, "connect: %s", peal_strerror(rc));
	far = wait_sync(&accepted, op);
	if (far == -EINTR || far == -EAGAIN)
		SYNC_OP(far, peal_accept, ring, listener, NULL, NULL,
			place_flag);
	if (far < 0)
		fail(NULL, "accept: %s", peal_strerror(far));
	*stream = (struct stream){ .epoch = ++epochs,
				   .fd = { (peal_fd)near, (peal_fd)far } };
	return 1;
}

/* One sender and one receiver at a time, or nobody could say whose bytes
 * come first. */
static int is_busy(unsigned stream, unsigned end, int sends)
{
	struct slot *slot = NULL;

	while ((slot = slot_next(slot)) != NULL) {
		unsigned verb = slot->step.verb;

		if (slot->object == (int)stream && slot->step.other == end &&
		    (sends ? verb == SEND || verb == SEND_FULL : verb == RECV))
			return 1;
	}
	return 0;
}

static struct slot *slot_for(const struct step *step, size_t bytes,
			     void (*end)(struct slot *slot,
					 const struct peal_completion *done))
{
	struct stream *stream = &streams[step->object];
	struct slot *slot = slot_new(step, bytes, end);

	if (!slot)
		return NULL;
	slot->object = step->object;
	slot->fd = stream->fd[step->other];
	slot->off = stream->epoch;
	return slot;
}

static int send_step(const struct step *step)
{
	struct stream *stream = &streams[step->object];
	struct slot *slot;
	peal_op op;
	size_t i;

	if (is_busy(step->object, step->other, 1) || !step->len)
		return 0;
	slot = slot_for(step, step->len, send_ended);
	if (!slot)
		return 0;
	for (i = 0; i < slot->len; i++)
		slot->buf[i] = byte_at(stream, step->other,
				       stream->sent[step->other] + i);
	op = step->verb == SEND
	     ? peal_send(ring, slot->fd, slot->buf, slot->len, 0, 0, on_slot,
			 slot)
	     : peal_send_full(ring, slot->fd, slot->buf, slot->len, 0, 0,
			      on_slot, slot);
	slot_started(slot, op);
	return 1;
}

static int recv_group_step(const struct step *step)
{
	struct slot *slot = slot_for(step, buf_size, recv_group_ended);

	if (!slot)
		return 0;
	slot_started(slot, peal_recv_group(ring, slot->fd, group, 0, 0,
					   on_slot, slot));
	return 1;
}

static int recv_step(const struct step *step)
{
	struct slot *slot;

	if (is_busy(step->object, step->other, 0) || !step->len)
		return 0;
	if (step->off % 3 == 0)		/* which is free in a receive */
		return recv_group_step(step);
	slot = slot_for(step, step->len, recv_ended);
	if (!slot)
		return 0;
	slot_started(slot, peal_recv(ring, slot->fd, slot->buf, slot->len, 0,
				     0, on_slot, slot));
	return 1;
}

static int hangup_step(const struct step *step)
{
	struct slot *slot = slot_for(step, 0, hangup_ended), *other = NULL;

	if (!slot)
		return 0;
	streams[step->object].hung[step->other] = 1;
	while ((other = slot_next(other)) != NULL)
		if (other->fd == slot->fd)
			other->asked |= ASKED_CANCEL;
	slot_started(slot, peal_close_drained(ring, slot->fd, 0, on_slot,
					      slot));
	if (!slot->op)
		streams[step->object].hung[step->other] = 0;
	return 1;
}

static int quiet_step(const struct step *step)
{
	struct slot *slot = slot_for(step, 0, step->verb == POLL
					      ? poll_ended : shutdown_ended);

	if (!slot)
		return 0;
	if (step->verb == POLL) {
		slot_started(slot, peal_poll(ring, slot->fd, POLLIN, 0,
					     on_slot, slot));
		return 1;
	}
	streams[step->object].shut[step->other] = 1;
	slot_started(slot, peal_shutdown(ring, slot->fd, SHUT_WR, 0, on_slot,
					 slot));
	return 1;
}

int stream_step(const struct step *step)
{
	struct stream *stream = &streams[step->object];

	if (step->verb == CONNECT)
		return connect_step(step);
	if (stream->fd[step->other] < 0 || stream->hung[step->other])
		return 0;
	switch (step->verb) {
	case SEND: case SEND_FULL:
		return send_step(step);
	case RECV:
		return recv_step(step);
	case HANGUP:
		return hangup_step(step);
	default:
		return quiet_step(step);
	}
}

peal_fd stream_fd(unsigned stream, unsigned end)
{
	return streams[stream].hung[end] ? -1 : streams[stream].fd[end];
}

/* --- beginning and end ------------------------------------------------- */

static void group_begin(uint64_t seed)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;

	kept = NULL;
	options.count = 2;
	options.buf_size = buf_size = 512u << seed / 2 % 8;
	options.flags = seed % 2 ? PEAL_GROUP_INCREMENTAL : 0;
	if (peal_group_open(ring, &group, &options) < 0)
		fail(NULL, "peal_group_open: %s", peal_group_reason());
}

static void group_end(void)
{
	int64_t rc;

	if (kept)
		peal_group_give_back(group, kept);
	SYNC_OP(rc, peal_group_close, ring, group, 0);
	if (rc < 0)
		fail(NULL, "peal_group_close: %s", peal_strerror(rc));
}

void streams_begin(uint64_t seed)
{
	int64_t fd, rc;
	unsigned i;

	group_begin(seed);
	for (i = 0; i < STREAMS; i++)
		streams[i] = (struct stream){ .fd = { -1, -1 } };
	address.sun_family = AF_UNIX;
	snprintf(address.sun_path, sizeof address.sun_path, "%s",
		 in_directory("s"));
	SYNC_OP(fd, peal_socket, ring, AF_UNIX, SOCK_STREAM, 0, 0);
	if (fd < 0)
		fail(NULL, "socket: %s", peal_strerror(fd));
	listener = (peal_fd)fd;
	SYNC_OP(rc, peal_bind, ring, listener, (struct sockaddr *)&address,
		(socklen_t)sizeof address, 0);
	if (rc == 0)
		SYNC_OP(rc, peal_listen, ring, listener, 8, 0);
	if (rc < 0)
		fail(NULL, "listen: %s", peal_strerror(rc));
}

/* What was sent and not received is still there. */
static void take_rest(struct stream *stream, unsigned sender)
{
	static uint8_t bytes[65536];
	struct slot slot = { .buf = bytes };
	int64_t rc;

	SYNC_OP(rc, peal_shutdown, ring, stream->fd[sender], SHUT_WR, 0);
	do {
		SYNC_OP(rc, peal_recv, ring, stream->fd[1 - sender], bytes,
			sizeof bytes, 0, 0);
		if (rc < 0)
			fail(NULL, "the rest of a stream: %s",
			     peal_strerror(rc));
		fits(&slot, stream, sender, (uint64_t)rc);
		stream->got[sender] += (uint64_t)rc;
	} while (rc > 0);
	if (stream->got[sender] != stream->sent[sender])
		fail(NULL, "stream %d: end %u sent %llu bytes, %llu came",
		     (int)(stream - streams), sender,
		     (unsigned long long)stream->sent[sender],
		     (unsigned long long)stream->got[sender]);
}

static void close_now(peal_fd fd)
{
	int64_t rc;

	SYNC_OP(rc, peal_close, ring, fd, 0);
	if (rc < 0)
		fail(NULL, "close: %s", peal_strerror(rc));
}

/* Nothing is in flight any more. */
void streams_end(void)
{
	int64_t rc;
	unsigned i, end;

	group_end();
	for (i = 0; i < STREAMS; i++) {
		struct stream *stream = &streams[i];

		if (stream->fd[0] >= 0 && stream->fd[1] >= 0) {
			take_rest(stream, 0);
			take_rest(stream, 1);
		}
		for (end = 0; end < 2; end++)
			if (stream->fd[end] >= 0)
				close_now(stream->fd[end]);
	}
	close_now(listener);
	SYNC_OP(rc, peal_unlink, ring, PEAL_CWD, address.sun_path, 0, 0);
	if (rc < 0)
		fail(NULL, "unlink: %s", peal_strerror(rc));
}
