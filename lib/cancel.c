/* SPDX-License-Identifier: MIT */
/*
 * Cancelling. A cancel is a wish: only the op's own terminal completion
 * finishes it. A wish is never lost: without room in the submission queue it
 * is owed (start.c) and the next turn sends it. And it is sent again, at
 * growing intervals, while the op stays: a kernel worker that has taken an op
 * but not begun to wait on it forgets the wish (seen on 6.18 with reads of
 * sockets given to workers; the answer was -EALREADY).
 */
#include "lib/groups.h"
#include "lib/start.h"
#include "lib/zc.h"

#define FIRST_AGAIN_NS	(1 * PEAL_MS)
#define LAST_AGAIN_NS	(64 * PEAL_MS)

static int cancel_entry(struct peal_ring *ring, uint64_t target,
			uint64_t user_data)
{
	struct peal__sqe *sqe;

	if (!peal__sq_room(ring) && peal__sq_flush(ring) < 0)
		return -EAGAIN;
	sqe = peal__sqe_fill(ring, PEAL__OP_ASYNC_CANCEL, -1, 0, user_data);
	sqe->addr = target;
	return 0;
}

int peal__cancel_submit(struct peal_ring *ring, struct peal__row *row)
{
	int rc = cancel_entry(ring, (uint64_t)row->op,
			      PEAL__DATA_OWN | (uint64_t)row->op);

	if (rc < 0)
		peal__owe(ring, row, ROW_OWED_CANCEL);
	return rc;
}

/* The engine's answer to a cancel. The op may be gone when it comes, or its
 * completion may be right behind it; if not, the cancel is sent again. */
void peal__cancel_answer(struct peal_ring *ring, peal_op op, int64_t answer)
{
	struct peal__row *row = peal__row_find(ring, op);

	if (!row || answer == 0 || peal__zc_is_sent(row) ||
	    !(row->flags & (ROW_CANCEL | ROW_TIMEOUT)) ||
	    row->flags & (ROW_READY | ROW_OWED | ROW_USER | ROW_AGAIN |
			  ROW_JOB))
		return;
	row->flags |= ROW_AGAIN;
	peal__chore(ring);
	if (ring->again++ || ring->again_due_ns > peal__now(ring))
		return;
	ring->again_ns = FIRST_AGAIN_NS;
	ring->again_due_ns = peal__now(ring) + FIRST_AGAIN_NS;
}

void peal__cancel_again(struct peal_ring *ring)
{
	uint32_t left = ring->again, i;

	for (i = 1; i <= ring->rows_used && left; i++) {
		struct peal__row *row = &ring->rows[i];

		if (!(row->flags & ROW_AGAIN))
			continue;
		left--;
		ring->again--;
		row->flags &= (uint16_t)~ROW_AGAIN;
		peal__cancel_submit(ring, row);
	}
	if (ring->again_ns < LAST_AGAIN_NS)
		ring->again_ns *= 2;
	ring->again_due_ns = peal__now(ring) + ring->again_ns;
}

/* Ends an op that the engine does not hold. 1: it was one; 0: it is none;
 * -EALREADY: it is one that cannot be stopped. A cancel that is owed is still
 * to be sent: its target waits for it. */
static int cancel_here(struct peal_ring *ring, struct peal__row *row)
{
	if (row->flags & ROW_JOB) {
		if (!peal__job_cancel(ring, row))
			return -EALREADY;
	} else if (row->flags & ROW_OWED &&
		   row->opcode != PEAL__OP_ASYNC_CANCEL) {
		row->flags &= (uint16_t)~(ROW_OWED | ROW_OWED_CANCEL);
		ring->owed--;
	} else if (!(row->flags & ROW_USER)) {
		return 0;
	}
	if (row->opcode == PEAL__OP_CLOSE_DRAINED)
		peal__drain_forget(ring);
	if (row->flags & ROW_USER && peal__row_has_group(row))
		peal__group_forget(ring, row);
	peal__ready(ring, row, -ECANCELED);
	return 1;
}

/* why is ROW_CANCEL or ROW_TIMEOUT; the first one to ask names the result.
 * 0: the engine is to be asked; 1: ended here; -EALREADY: runs on; -ENOENT: it
 * has finished already. */
static int mark(struct peal_ring *ring, struct peal__row *row, unsigned why)
{
	if (row->flags & ROW_READY)
		return -ENOENT;
	if (row->opcode == PEAL__OP_SLEEP)
		row->flags &= (uint16_t)~ROW_TIMEOUT;	/* it only was to come */
	if (!(row->flags & (ROW_CANCEL | ROW_TIMEOUT)))
		row->flags |= (uint16_t)why;
	ring->stats.cancels++;
	return cancel_here(ring, row);
}

int peal__cancel_row(struct peal_ring *ring, struct peal__row *row,
		     unsigned why)
{
	int asked = row->flags & (ROW_CANCEL | ROW_TIMEOUT);
	int rc = mark(ring, row, why);

	if (rc == 0 && !(asked & ROW_CANCEL))
		peal__cancel_submit(ring, row);
	return rc == -ENOENT ? rc : 0;
}

/* A cancel with a handler takes a row, from those kept for cancels if all
 * others are taken. */
static struct peal__row *cancel_row(struct peal_ring *ring,
				    peal_handler *handler, void *ctx)
{
	struct peal__row *row = NULL;

	ring->rows_left += (int32_t)PEAL__CANCEL_ROWS;
	if (peal__row_new(ring))
		row = peal__row_take(ring, PEAL__OP_ASYNC_CANCEL, -1, handler,
				     ctx);
	ring->rows_left -= (int32_t)PEAL__CANCEL_ROWS;
	return row;
}

static peal_op cancel_watched(struct peal_ring *ring, struct peal__row *row,
			      peal_handler *handler, void *ctx)
{
	struct peal__row *own = cancel_row(ring, handler, ctx);
	int rc;

	if (!own)
		return -EAGAIN;
	own->due_ns = (uint64_t)row->op;
	rc = mark(ring, row, ROW_CANCEL);
	if (rc != 0) {
		own->flags = ROW_USER;
		peal__ready(ring, own, rc < 0 ? rc : 0);
	} else if (cancel_entry(ring, own->due_ns, (uint64_t)own->op) < 0) {
		peal__owe(ring, own, ROW_OWED);
	}
	return own->op;
}

peal_op peal_cancel(struct peal_ring *ring, peal_op op, unsigned flags,
		    peal_handler *handler, void *ctx)
{
	struct peal__row *row;

	peal__must_own(ring, "cancel");
	if (flags)
		return -EINVAL;
	row = peal__row_find(ring, op);
	if (!row)
		return -ENOENT;
	if (handler)
		return cancel_watched(ring, row, handler, ctx);
	peal__cancel_row(ring, row, ROW_CANCEL);
	return 0;
}

/* Cancels and drained closes end by themselves; only their own handle cancels
 * them. */
static int is_swept(const struct peal__row *row)
{
	return !(row->flags & (ROW_STORE | ROW_CLOSING)) &&
	       peal__op_row(row->opcode)->cancel != CANCEL_ALONE;
}

unsigned peal__cancel_everything(struct peal_ring *ring)
{
	unsigned count = 0;
	uint32_t i;

	for (i = 1; i <= ring->rows_used; i++) {
		struct peal__row *row = &ring->rows[i];

		if (is_swept(row) &&
		    peal__cancel_row(ring, row, ROW_CANCEL) == 0)
			count++;
	}
	return count;
}

unsigned peal__cancel_on_fd(struct peal_ring *ring, peal_fd fd)
{
	uint32_t i = ring->fd_heads[(uint32_t)fd & ring->fd_mask];
	unsigned count = 0;

	for (; i; i = ring->rows[i].fd_next) {
		struct peal__row *row = &ring->rows[i];

		if (row->fd != fd)
			continue;
		if (row->flags & ROW_STORE)	/* the other end: ends.c */
			row = &ring->rows[row->arg];
		if (is_swept(row) &&
		    peal__cancel_row(ring, row, ROW_CANCEL) == 0)
			count++;
	}
	return count;
}

/* The op that reports how many were asked; handler NULL: none. */
static peal_op count_op(struct peal_ring *ring, peal_handler *handler,
			void *ctx)
{
	struct peal__row *row = cancel_row(ring, handler, ctx);

	if (!row)
		return -EAGAIN;
	row->opcode = PEAL__OP_CANCEL_MANY;
	row->flags = ROW_USER;
	return row->op;
}

peal_op peal_cancel_fd(struct peal_ring *ring, peal_fd fd, unsigned flags,
		       peal_handler *handler, void *ctx)
{
	peal_op op = 0;
	unsigned count;

	peal__must_own(ring, "cancel_fd");
	if (flags)
		return -EINVAL;
	if (fd < 0)
		return -EBADF;
	if (handler && (op = count_op(ring, handler, ctx)) < 0)
		return op;
	count = peal__cancel_on_fd(ring, fd);
	if (op)
		peal__ready(ring, peal__row_find(ring, op), count);
	return op;
}

peal_op peal_cancel_all(struct peal_ring *ring, unsigned flags,
			peal_handler *handler, void *ctx)
{
	peal_op op = 0;
	unsigned count;

	peal__must_own(ring, "cancel_all");
	if (flags)
		return -EINVAL;
	if (handler && (op = count_op(ring, handler, ctx)) < 0)
		return op;
	count = peal__cancel_everything(ring);
	if (op)
		peal__ready(ring, peal__row_find(ring, op), count);
	return op;
}
