/* SPDX-License-Identifier: MIT */
/*
 * Receiving into the buffers of a group; groups.h has the states.
 *
 *	started --data--> told, again and again --end, error, cancel--> told
 *	   \--no buffer--> paused --one is back, next turn--> started
 *
 * Without the kernel's help (GROUP_POLLS) started is: a poll; then, when the fd
 * is readable and there is a buffer, a receive that does not wait.
 */
#include <string.h>
#include "lib/groups.h"
#include "lib/start.h"
#include "lib/work.h"

#define ARG_BUFFER	0x7fffu
#define ARG_AT_MSG	24
#define NO_WAIT		0x40u	/* MSG_DONTWAIT, in Linux's numbers */
#define CMSG_CLOEXEC	0x40000000u
#define MAY_PEEK	2u	/* MSG_PEEK */
#define MAY_OOB		1u	/* MSG_OOB */
#define READABLE	1u	/* POLLIN */
#define URGENT		2u	/* POLLPRI */

/* --- entries ------------------------------------------------------------- */

static int polls(struct peal_ring *ring, const struct peal__row *row)
{
	return peal__group_of(ring, row)->mode == GROUP_POLLS;
}

unsigned peal__group_opcode(struct peal_ring *ring,
			    const struct peal__row *row)
{
	return polls(ring, row) && !(row->arg & GROUP_ARG_AWAY)
		       ? PEAL__OP_POLL_ADD : row->opcode;
}

void peal__group_aim(struct peal_group *group, uint32_t id,
		     struct peal__sqe *sqe)
{
	const uint32_t rooms = group->addr_room + group->control_room;
	uint32_t at = peal__group_filled(group, id);
	char *buf = peal__group_buf(group, id) + at;
	struct peal__message *message;

	if (sqe->opcode == PEAL__OP_RECV) {
		sqe->addr = peal__addr(buf);
		sqe->len = group->buf_size - at;
		return;
	}
	message = &group->messages[id];
	buf += sizeof(struct peal__message_head);
	message->header = group->header;
	if (group->addr_room)
		message->header.msg_name = buf;
	if (group->control_room)
		message->header.msg_control = buf + group->addr_room;
	message->header.msg_iov = &message->part;
	message->header.msg_iovlen = 1;
	message->part.iov_base = buf + rooms;
	message->part.iov_len = group->buf_size - peal__group_before(group);
	sqe->addr = peal__addr(&message->header);
	sqe->len = 1;
}

int peal__group_head(struct peal_group *group, uint32_t id, int len)
{
	const struct msghdr *header = &group->messages[id].header;
	const struct peal__message_head head = {
		.addr_len = group->addr_room ? (uint32_t)header->msg_namelen
					     : 0,
		.control_len = (uint32_t)header->msg_controllen,
		.data_len = (uint32_t)len,
		.flags = (uint32_t)header->msg_flags,
	};

	memcpy(peal__group_buf(group, id), &head, sizeof head);
	return (int)peal__group_before(group) + len;
}

/* The receive into the buffer that is set aside, or the poll before it. */
static void fill_polls(struct peal_group *group, const struct peal__row *row,
		       struct peal__sqe *sqe)
{
	unsigned msg_flags = row->arg >> ARG_AT_MSG & (MAY_PEEK | MAY_OOB);

	if (!(row->arg & GROUP_ARG_AWAY)) {
		sqe->op_flags = peal__poll_mask(msg_flags & MAY_OOB ? URGENT
								    : READABLE);
		return;
	}
	peal__group_aim(group, row->arg & ARG_BUFFER, sqe);
	sqe->op_flags = msg_flags | NO_WAIT;
	if (sqe->opcode == PEAL__OP_RECVMSG)
		sqe->op_flags |= CMSG_CLOEXEC;
}

void peal__group_fill(struct peal_ring *ring, const struct peal__row *row,
		      struct peal__sqe *sqe)
{
	struct peal_group *group = peal__group_of(ring, row);

	if (group->mode == GROUP_POLLS) {
		sqe->flags &= (uint8_t)~PEAL__SQE_BUFFER_SELECT;
		fill_polls(group, row, sqe);
		return;
	}
	sqe->flags |= PEAL__SQE_BUFFER_SELECT;
	sqe->buf_index = group->id;
	sqe->op_flags = row->arg >> ARG_AT_MSG & (MAY_PEEK | MAY_OOB);
	if (row->flags & ROW_MULTI && !(row->flags & ROW_ONESHOT))
		sqe->ioprio = PEAL__RECV_MULTISHOT;
	if (row->arg & GROUP_ARG_BUNDLE)
		sqe->ioprio |= PEAL__RECVSEND_BUNDLE;
	if (row->opcode == PEAL__OP_RECVMSG) {
		sqe->addr = peal__addr(&group->header);
		sqe->len = 1;
		sqe->op_flags |= CMSG_CLOEXEC;
	}
}

/* --- without a buffer ---------------------------------------------------- */

static void pause_row(struct peal_ring *ring, struct peal__row *row)
{
	struct peal_group *group = peal__group_of(ring, row);
	struct peal__job *job = &ring->jobs[row - ring->rows];

	row->flags |= ROW_USER;
	peal__jobs_append(&group->paused, job);
	group->waiting++;
	group->stats.exhausted++;
}

static void unpause(struct peal_group *group, struct peal__job *job)
{
	peal__jobs_unlink(&group->paused, job);
	group->waiting--;
}

void peal__group_forget(struct peal_ring *ring, struct peal__row *row)
{
	unpause(peal__group_of(ring, row), &ring->jobs[row - ring->rows]);
}

static void take_aside(struct peal_group *group, struct peal__row *row)
{
	row->arg &= ~ARG_BUFFER;
	row->arg |= GROUP_ARG_AWAY | peal__group_take(group);
}

static void resume_group(struct peal_group *group)
{
	struct peal_ring *ring = group->ring;
	uint32_t most = group->in;

	for (; most && group->paused.first; most--) {
		struct peal__job *job = group->paused.first;
		struct peal__row *row = &ring->rows[job - ring->jobs];

		unpause(group, job);
		row->flags &= (uint16_t)~ROW_USER;
		if (group->mode == GROUP_POLLS)
			take_aside(group, row);
		peal__start_again(ring, row);
	}
}

/* Each is tried at once by the engine, so what finds no data waits without a
 * buffer, and the next turn has the same number of buffers for others. */
void peal__groups_resume(struct peal_ring *ring)
{
	unsigned id;

	ring->hungry = 0;
	for (id = 0; id < PEAL__MOST_GROUPS; id++) {
		struct peal_group *group = ring->groups[id];

		if (!group || !group->waiting)
			continue;
		resume_group(group);
		if (group->waiting && group->in)
			peal__hunger(ring);
	}
}

/* --- completions --------------------------------------------------------- */

static int asked_to_end(const struct peal__row *row)
{
	return row->flags & (ROW_CANCEL | ROW_TIMEOUT);
}

/* No buffer, or nothing to put into one: 1, the row waits for that; after a
 * cancel it ends. */
static int wait_on(struct peal_ring *ring, struct peal__row *row,
		   int64_t *result, int for_buffer)
{
	if (asked_to_end(row)) {
		*result = -ECANCELED;
		return 0;
	}
	if (!for_buffer) {
		peal__start_again(ring, row);
		return 1;
	}
	pause_row(ring, row);
	if (peal__group_of(ring, row)->in)	/* one came back meanwhile */
		peal__hunger(ring);
	return 1;
}

static int step_poll(struct peal_ring *ring, struct peal__row *row,
		     int64_t *result)
{
	struct peal_group *group = peal__group_of(ring, row);

	if (*result < 0)
		return 0;
	if (!group->in || asked_to_end(row))
		return wait_on(ring, row, result, 1);
	if (ring->engine->no_buffer && ring->engine->no_buffer(ring)) {
		pause_row(ring, row);
		return 1;
	}
	take_aside(group, row);
	peal__start_again(ring, row);
	return 1;
}

static int step_polls(struct peal_ring *ring, struct peal__row *row,
		      int64_t *result, void **out_buf)
{
	struct peal_group *group = peal__group_of(ring, row);
	uint32_t id = row->arg & ARG_BUFFER;
	int more;

	if (!(row->arg & GROUP_ARG_AWAY))
		return step_poll(ring, row, result);
	row->arg &= ~(ARG_BUFFER | GROUP_ARG_AWAY);
	if (*result >= 0 && row->opcode == PEAL__OP_RECVMSG)
		*result = peal__group_head(group, id, (int)*result);
	if (*result > 0) {
		more = peal__group_fill_in(group, id, (uint32_t)*result);
		*out_buf = peal__group_out(group, id, *result, more);
		return 0;
	}
	peal__group_put(group, id);
	return *result == -EAGAIN ? wait_on(ring, row, result, 0) : 0;
}

/* Of len bytes, what the engine put into this buffer; the rest of a bundle is
 * in the next ones, and what the engine goes on with is the last. */
static void *take_of(struct peal_group *group, const struct peal__row *row,
		     uint32_t id, int64_t len, uint32_t flags)
{
	int64_t room = group->buf_size;

	if (group->parts && id < group->count)
		room -= group->parts[id].told;
	if (len > room && row->arg & GROUP_ARG_BUNDLE)
		len = room;
	return peal__group_out(group, id, len,
			       len < room && flags & PEAL__CQE_BUF_MORE);
}

/*
 * A buffer that comes with an error, or with nothing, was not taken: kernels
 * with #1530 of liburing say so falsely (6.12). Were it taken after all, it
 * would be lost to the group; the other way it would be given twice.
 */
int peal__group_step(struct peal_ring *ring, struct peal__row *row,
		     int64_t *result, uint32_t *flags, void **out_buf)
{
	struct peal_group *group = peal__group_of(ring, row);

	if (group->mode == GROUP_POLLS)
		return step_polls(ring, row, result, out_buf);
	if (*flags & PEAL__CQE_BUFFER && *result > 0)
		*out_buf = take_of(group, row, *flags >> 16, *result,
				   *flags);
	*flags &= PEAL_MORE | PEAL__CQE_BUF_MORE;
	if (*result == -ENOBUFS)
		return wait_on(ring, row, result, 1);
	return 0;
}

/* The buffers of a bundle stand behind each other in the ring of buffers. The
 * next one is looked up before this one is told: it may be given back then. */
int64_t peal__group_split(struct peal_ring *ring, struct peal__row *row,
			  int64_t *result, uint32_t flags, void **buf)
{
	struct peal_group *group = peal__group_of(ring, row);
	size_t at = (size_t)((char *)*buf - group->memory);
	uint32_t id = (uint32_t)(at / group->buf_size), next;
	int64_t here = group->buf_size;

	if (group->parts)
		here = (int64_t)(group->parts[id].told - at % group->buf_size);
	if (*result <= here)
		return 0;
	next = (group->places[id] + 1u) & (group->entries - 1);
	*result -= here;
	*buf = take_of(group, row, group->order[next], *result, flags);
	return here;
}

static int is_empty_message(const void *buf)
{
	struct peal__message_head head;

	memcpy(&head, buf, sizeof head);
	return !head.data_len && !head.addr_len;
}

int peal__group_is_end(const struct peal__row *row, int64_t result,
		       const void *buf)
{
	if (result <= 0 || !buf)
		return 1;
	return row->opcode == PEAL__OP_RECVMSG && is_empty_message(buf);
}

void peal__group_leave(struct peal_ring *ring, struct peal__row *row)
{
	struct peal_group *group = peal__group_of(ring, row);

	group->ops--;
	peal__group_look(group);
}

/* --- the ops ------------------------------------------------------------- */

/* Nobody wants what comes: it is dropped. */
static void give_back(struct peal_ring *ring,
		      const struct peal_completion *done)
{
	(void)ring;
	if (done->buf)
		peal_group_give_back(done->ctx, done->buf);
}

static peal_op start_recv(struct peal_ring *ring, unsigned opcode, peal_fd fd,
			  struct peal_group *group, int msg_flags,
			  unsigned row_flags, unsigned flags,
			  peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	struct peal__row *row;
	unsigned first;
	peal_op op;

	peal__must_own(ring, peal_opcode_name(opcode));
	peal__group_must(group, peal_opcode_name(opcode));
	MUST(group->ring == ring, "a group of another ring",
	     peal_opcode_name(opcode));
	if (msg_flags & ~(int)(MAY_OOB | MAY_PEEK) ||
	    (group->streams_only && flags & PEAL_ASYNC))
		return -EINVAL;
	if (group->closing)
		return -ESHUTDOWN;
	first = group->mode == GROUP_POLLS ? PEAL__OP_POLL_ADD : opcode;
	if (first == opcode && !peal__can(ring, opcode))
		return -EOPNOTSUPP;
	op = peal__start(ring, &sqe, first, fd, flags & ~PEAL_BUNDLE,
			 handler ? handler : give_back, handler ? ctx : group);
	if (op < 0)
		return op;
	row = &ring->rows[(uint64_t)op & PEAL__ROW_MASK];
	row->opcode = (uint8_t)opcode;
	row->entry_flags = (uint8_t)((flags & PEAL_ASYNC) |
				     PEAL__SQE_BUFFER_SELECT);
	row->flags |= (uint16_t)row_flags;
	if (ring->no_multishot || group->mode == GROUP_POLLS)
		row->flags |= ROW_ONESHOT;
	row->arg = (uint32_t)group->id << 16 |
		   (uint32_t)msg_flags << ARG_AT_MSG;
	if (flags & PEAL_BUNDLE && group->bundles)
		row->arg |= GROUP_ARG_BUNDLE;
	group->ops++;
	peal__group_fill(ring, row, sqe);
	return op;
}

peal_op peal_recv_group(struct peal_ring *ring, peal_fd fd,
			struct peal_group *group, int msg_flags,
			unsigned flags, peal_handler *handler, void *ctx)
{
	if (flags & PEAL_BUNDLE)
		return -EINVAL;
	return start_recv(ring, PEAL__OP_RECV, fd, group, msg_flags, 0, flags,
			  handler, ctx);
}

peal_op peal_recv_multishot(struct peal_ring *ring, peal_fd fd,
			    struct peal_group *group, int msg_flags,
			    unsigned flags, peal_handler *handler, void *ctx)
{
	if (msg_flags & (int)MAY_PEEK)	/* the same bytes, for ever */
		return -EINVAL;
	return start_recv(ring, PEAL__OP_RECV, fd, group, msg_flags,
			  ROW_MULTI, flags, handler, ctx);
}

peal_op peal_recvmsg_multishot(struct peal_ring *ring, peal_fd fd,
			       struct peal_group *group, int msg_flags,
			       unsigned flags, peal_handler *handler,
			       void *ctx)
{
	peal__must_own(ring, "recvmsg");
	peal__group_must(group, "recvmsg");
	if (msg_flags & (int)MAY_PEEK || flags & PEAL_BUNDLE ||
	    group->streams_only)
		return -EINVAL;
	if (peal__group_before(group) >= group->buf_size)
		return -EMSGSIZE;
	return start_recv(ring, PEAL__OP_RECVMSG, fd, group, msg_flags,
			  ROW_MULTI, flags, handler, ctx);
}

/* All numbers come from outside: none is trusted beyond the buffer. */
int peal_group_message(struct peal_group *group,
		       const struct peal_completion *done,
		       struct peal_message *out)
{
	struct peal__message_head head;
	char *buf = done->buf;
	uint64_t before;

	peal__group_must(group, "group_message");
	before = peal__group_before(group);
	if (!buf || group->streams_only || buf < group->memory ||
	    (size_t)(buf - group->memory) / group->buf_size >= group->count ||
	    done->result < (int64_t)before ||
	    done->result > (int64_t)group->buf_size)
		return -EINVAL;
	memcpy(&head, buf, sizeof head);
	if (head.control_len > group->control_room)
		return -EINVAL;
	memset(out, 0, sizeof *out);
	out->data = buf + before;
	out->len = (size_t)done->result - before;
	if (head.data_len < out->len)
		out->len = head.data_len;
	if (group->addr_room && head.addr_len)
		out->addr = (struct sockaddr *)(void *)
			    (buf + sizeof head);
	out->addr_len = (socklen_t)head.addr_len;
	if (head.control_len)
		out->control = buf + sizeof head + group->addr_room;
	out->control_len = head.control_len;
	out->flags = (int)(head.flags & ~CMSG_CLOEXEC);	/* we asked for that */
	return 0;
}
