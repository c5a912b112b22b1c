/* SPDX-License-Identifier: MIT */
/*
 * Completions of a replay. The file may be of another program, or made to do
 * harm: nothing of it is believed that lib/ relies on its engine for.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "lib/direct.h"
#include "shim/replay.h"

#define MOST_EVENTS	0xffff	/* that poll(2) has */

/* --- what a program prints is printed ------------------------------------- */

static void print_vector(int fd, const struct iovec *iov, uint32_t count,
			 int64_t left)
{
	uint32_t i;

	for (i = 0; i < count && left > 0; i++) {
		size_t len = iov[i].iov_len;

		if ((int64_t)len > left)
			len = (size_t)left;
		left -= (int64_t)len;
		if (write(fd, iov[i].iov_base, len) < 0)
			return;	/* the record says that it worked */
	}
}

static void print(const struct peal__sqe *sqe, int64_t result)
{
	const struct iovec one = { record_pointer(sqe->addr), sqe->len };

	if ((sqe->fd != STDOUT_FILENO && sqe->fd != STDERR_FILENO) ||
	    sqe->flags & PEAL__SQE_FIXED_FILE)
		return;
	if (sqe->opcode == PEAL__OP_WRITEV)
		print_vector(sqe->fd, record_pointer(sqe->addr), sqe->len,
			     result);
	else if (sqe->opcode == PEAL__OP_WRITE)
		print_vector(sqe->fd, &one, 1, result);
}

/* --- is it a result that the engine can have given? ----------------------- */

static uint64_t room_of(const struct iovec *iov, uint64_t count)
{
	uint64_t room = 0;

	for (; count; count--, iov++)
		room += iov->iov_len;
	return room;
}

int peal__replay_can_be(const struct peal__sqe *sqe, int64_t result)
{
	if (result < 0)
		return result >= LEAST_ERROR;
	switch (peal__op_row(sqe->opcode)->result) {
	case RESULT_ZERO:
		return result == 0;
	case RESULT_FD:
		return result <= INT32_MAX;
	default:
		return 1;
	}
}

/* A program relies on it that no more is moved than it asked for. */
static int is_too_much(const struct peal__sqe *sqe, int64_t result)
{
	const struct msghdr *msg = record_pointer(sqe->addr);

	switch (sqe->opcode) {
	case PEAL__OP_RECV:
		if (sqe->op_flags & MSG_TRUNC)
			return 0;
		/* fall through */
	case PEAL__OP_READ:
	case PEAL__OP_WRITE:
	case PEAL__OP_READ_FIXED:
	case PEAL__OP_WRITE_FIXED:
	case PEAL__OP_SEND:
	case PEAL__OP_SEND_ZC:
	case PEAL__OP_READ_DIR:
	case PEAL__OP_SPLICE:
	case PEAL__OP_COPY_RANGE:
		return (uint64_t)result > sqe->len;
	case PEAL__OP_POLL_ADD:
		return result > MOST_EVENTS;
	case PEAL__OP_READV:
	case PEAL__OP_READV_FIXED:
	case PEAL__OP_WRITEV:
	case PEAL__OP_WRITEV_FIXED:
		return (uint64_t)result > room_of(msg ? record_pointer(
						  sqe->addr) : NULL, sqe->len);
	case PEAL__OP_RECVMSG:
		if (sqe->op_flags & MSG_TRUNC)
			return 0;
		/* fall through */
	case PEAL__OP_SENDMSG:
	case PEAL__OP_SENDMSG_ZC:
		return (uint64_t)result > room_of(msg->msg_iov,
						  msg->msg_iovlen);
	default:
		return 0;
	}
}

/* Buffers of a group: there, and not on their way to the ring already. */
static int take_buffers(struct peal_ring *ring, const struct peal_group *group,
			const struct record_done *done)
{
	const struct peal__soft *soft = peal__soft_of(ring);
	uint32_t *taken = replay_of(ring)->taken[group->id];
	uint32_t id = done->flags >> 16;
	int64_t left = done->result;

	for (; left > 0; left -= group->buf_size) {
		if (!taken || id >= group->count ||
		    group->states[id] != BUFFER_IN ||
		    (taken[id] && (int32_t)(taken[id] - soft->cq_head) > 0))
			return 0;
		taken[id] = soft->cq_tail + 1;
		id = group->order[(group->places[id] + 1u) &
				  (group->entries - 1)];
	}
	return 1;
}

/* More than one completion, or a notice: not of every op. */
static int has_possible_flags(const struct peal__row *row,
			      const struct record_op *op, uint32_t flags)
{
	int zc = op->sqe.opcode == PEAL__OP_SEND_ZC ||
		 op->sqe.opcode == PEAL__OP_SENDMSG_ZC;

	if (flags & PEAL__CQE_NOTIF)
		return zc;
	return !(flags & PEAL__CQE_MORE) || zc || op->raw ||
	       row->flags & ROW_MULTI;
}

static int is_possible(struct peal_ring *ring, const struct peal__row *row,
		       const struct record_op *op,
		       const struct record_done *done)
{
	const struct peal__sqe *sqe = &op->sqe;
	uint32_t flags = done->flags & ~(PEAL__CQE_SOCK_NONEMPTY |
					 PEAL__CQE_BUF_MORE);
	const struct peal_group *group;

	if (!has_possible_flags(row, op, done->flags) ||
	    (!op->raw && !(done->flags & PEAL__CQE_NOTIF) &&
	     !peal__replay_can_be(sqe, done->result)))
		return 0;
	if (done->result < 0 || done->flags & PEAL__CQE_NOTIF)
		return !(flags & 0xffffu & ~(PEAL__CQE_MORE |
					     PEAL__CQE_NOTIF |
					     PEAL__CQE_BUFFER));
	if (op->raw)
		return 1;
	if (row->entry_flags & ENTRY_DIRECT &&
	    sqe->opcode != PEAL__OP_CLOSE &&
	    (sqe->opcode == PEAL__OP_FILES_UPDATE
		     ? row->arg : (uint64_t)done->result) >=
		    ring->direct->count)
		return 0;
	if (!(sqe->flags & PEAL__SQE_BUFFER_SELECT))
		return !(flags & PEAL__CQE_BUFFER) &&
		       !is_too_much(sqe, done->result);
	if (!(flags & PEAL__CQE_BUFFER))
		return !done->result;
	group = peal__group_of(ring, row);
	if (done->result > group->buf_size && !(row->arg & GROUP_ARG_BUNDLE))
		return 0;
	return take_buffers(ring, group, done);
}

int64_t peal__replay_result(struct peal_ring *ring,
			    const struct record_frame *frame)
{
	struct replay *replay = replay_of(ring);
	const struct record_done *done = record_body(frame);
	uint32_t index = done->user_data & PEAL__ROW_MASK;
	const struct record_op *op = &replay->ops[index < ring->rows_max
						  ? index : 0];
	const struct peal__row *row = &ring->rows[op - replay->ops];
	struct record_bytes bytes = {
		.data = (char *)(uintptr_t)(done + 1),
		.len = frame->len - sizeof *done,
	};

	if (op->sqe.user_data != done->user_data ||
	    (uint64_t)row->op != done->user_data)
		return done->result;
	if (done->result >= 0 && !peal__record_knows(op)) {
		peal__replay_cannot(ring, "what it wrote is not in the record "
					  "(a raw entry: see peal/sim.h)");
		return -EBADMSG;
	}
	peal__record_load(ring, &bytes, op, done);
	if (bytes.broken || bytes.at != bytes.len ||
	    !is_possible(ring, row, op, done)) {
		peal__replay_differs(ring, "an op with other room for it", "");
		return -EBADMSG;
	}
	print(&op->sqe, done->result);
	return peal__replay_make_fd(replay, &op->sqe, done->result);
}

/* --- to the ring ---------------------------------------------------------- */

static void complete_job(struct peal_ring *ring, uint64_t user_data,
			 int64_t result)
{
	struct peal__job *job = peal__soft_job(ring, user_data), **end;

	replay_of(ring)->ops[user_data & PEAL__ROW_MASK].in_pool = 0;
	job->result = result;
	job->next = NULL;
	for (end = &ring->jobs_done; *end; end = &(*end)->next)
		;
	*end = job;
}

/* Is it one that the engine holds? */
static int is_held(const struct peal__row *row)
{
	return row && !(row->flags & (ROW_USER | ROW_STORE | ROW_JOB |
				      ROW_READY | ROW_OWED));
}

void peal__replay_complete(struct peal_ring *ring,
			   const struct record_frame *frame)
{
	const struct record_done *done = record_body(frame);
	struct replay *replay = replay_of(ring);
	int own = (done->user_data & PEAL__DATA_OWN) != 0;
	const struct peal__row *row =
		own ? NULL : peal__row_find(ring, (peal_op)done->user_data);
	struct record_op *op = row ? &replay->ops[row - ring->rows] : NULL;
	int in_pool = op && op->in_pool;
	int64_t result;

	if (frame->kind == RECORD_JOB_DONE ? !in_pool
	    : !peal__soft_room(ring) ||
	      !(own || (is_held(row) && !op->ended)) ||
	      done->result != (int32_t)done->result) {
		peal__replay_differs(ring, "nothing that it is for", "");
		return;
	}
	result = peal__replay_result(ring, frame);
	if (replay->failed)
		return;
	if (op)
		op->ended = !(done->flags & PEAL__CQE_MORE);
	if (in_pool)
		complete_job(ring, done->user_data, result);
	else
		peal__soft_more(ring, done->user_data, (int)result,
				done->flags);
}

void peal__replay_to_pool(struct peal_ring *ring,
			  const struct record_done *done)
{
	struct peal__row *row = peal__row_find(ring, (peal_op)done->user_data);
	struct peal__job *job;

	if (!is_held(row)) {
		peal__replay_differs(ring, "nothing that it is for", "");
		return;
	}
	job = peal__soft_job(ring, done->user_data);
	job->sqe = replay_of(ring)->ops[row - ring->rows].sqe;
	peal__replay_not_closed(replay_of(ring), &job->sqe);
	peal__soft_to_pool(ring, job);
}
