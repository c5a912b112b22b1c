/* SPDX-License-Identifier: MIT */
/*
 * Starting an op, the cold half: refusals, a full submission queue, ops that
 * the engine never sees, and entries that are written again later.
 *
 * An entry that found no room is owed: its row carries ROW_OWED (or
 * ROW_OWED_CANCEL) and the next turn writes it. Only ops that were accepted
 * before can be owed; a new op that finds no room is refused with -EAGAIN.
 */
#include "lib/buffers.h"
#include "lib/direct.h"
#include "lib/groups.h"
#include "lib/start.h"
#include "lib/zc.h"

void peal__ignore(struct peal_ring *ring, const struct peal_completion *done)
{
	(void)ring;
	(void)done;
}

/* A descriptor that nobody waits for is closed, not leaked. */
static void ignore_fd(struct peal_ring *ring,
		      const struct peal_completion *done)
{
	const struct peal__sqe entry = { .opcode = PEAL__OP_CLOSE,
					 .fd = (int)done->result };

	if (peal_fd_is_direct((peal_fd)done->result))
		peal__direct_drop(ring, (peal_fd)done->result);
	else if (done->result >= 0)
		peal__call_now(ring, &entry);
}

/* The handler of an op that was started without one. */
peal_handler *peal__nobody(unsigned opcode)
{
	return peal__op_row(opcode)->result == RESULT_FD ? ignore_fd
							 : peal__ignore;
}

static int is_looked_at(const struct peal_ring *ring, unsigned opcode)
{
	if (opcode == PEAL__OP_READ || opcode == PEAL__OP_WRITE)
		return ring->looks != 0;
	if (PEAL__WATCHES_LENT && ring->looks & LOOK_LENT &&
	    (opcode == PEAL__OP_READV || opcode == PEAL__OP_RECVMSG))
		return 1;
	if (peal__vectors(opcode))
		return peal__vector_is_looked_at(ring, opcode);
	return peal__lends(opcode) && ring->looks & ~(uint32_t)LOOK_DIRECT;
}

void peal__gate_set(struct peal_ring *ring, uint32_t gate)
{
	unsigned i;

	ring->gate = gate;
	for (i = 0; i < 2; i++)
		ring->open[i] = gate ? 0 : ring->can[i];
	for (i = 0; i < 64; i++)
		if (is_looked_at(ring, i))
			ring->open[0] &= ~(UINT64_C(1) << i);
}

/* A plain call cannot be made on a direct descriptor. */
static int start_slow_job(struct peal_ring *ring, unsigned opcode, peal_fd fd)
{
	if (!peal__blocking_has(opcode) || peal_fd_is_direct(fd))
		return -EOPNOTSUPP;
	return peal__row_new(ring) ? START_JOB : -EAGAIN;
}

/* Refuses the op, or makes sure that there is a row for it, and an entry if
 * the engine is to have one. START_JOB: a job is to have it. */
int peal__start_slow(struct peal_ring *ring, unsigned opcode, peal_fd fd,
		     unsigned flags)
{
	peal__must_own(ring, peal_opcode_name(opcode));
	if (flags & ~PEAL__OP_FLAGS)
		return -EINVAL;
	if (!peal__fd_fits(fd))
		return -EBADF;
	if (ring->gate & GATE_CLOSING)
		return -ESHUTDOWN;
	if (ring->gate & GATE_FAILED)
		return ring->failed;
	if (ring->draining && fd >= 0 && peal__drain_has(ring, fd))
		return -EBADF;
	if (opcode != PEAL__OP_SLEEP && !peal__can(ring, opcode))
		return start_slow_job(ring, opcode, fd);
	if (opcode != PEAL__OP_SLEEP && !peal__sq_room(ring) &&
	    peal__sq_flush(ring) < 0)
		return -EAGAIN;
	return peal__row_new(ring) ? 0 : -EAGAIN;
}

peal_op peal__start_op_slow(struct peal_ring *ring, unsigned opcode,
			    peal_fd fd, const void *addr, uint32_t len,
			    uint64_t offset, uint32_t op_flags, unsigned flags,
			    peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	peal_op op = peal__start(ring, &sqe, opcode, fd, flags, handler, ctx);

	if (op < 0)
		return op;
	sqe->off = offset;
	sqe->addr = peal__addr(addr);
	sqe->len = len;
	sqe->op_flags = op_flags;
	if (PEAL__WATCHES_LENT)
		peal__lend_many(ring, sqe);
	return op;
}

/* Makes room in the submission queue without running a handler. */
int peal__sq_flush(struct peal_ring *ring)
{
	ring->stats.sq_full++;
	ring->engine->enter(ring, 0, 0);
	return peal__sq_room(ring) ? 0 : -EAGAIN;
}

/* An op that lives in lib/ alone, or that ran already. */
peal_op peal__start_user(struct peal_ring *ring, unsigned opcode, peal_fd fd,
			 unsigned flags, peal_handler *handler, void *ctx)
{
	struct peal__row *row;
	int rc;

	peal__must_own(ring, peal_opcode_name(opcode));
	rc = peal__start_slow(ring, PEAL__OP_SLEEP, fd, flags);
	if (rc < 0)
		return rc;
	if (!handler)
		handler = peal__nobody(opcode);
	row = peal__row_take(ring, opcode, fd, handler, ctx);
	row->flags = ROW_USER;
	ring->stats.by_op[opcode]++;
	return row->op;
}

/* An op that the engine lacks, as a job: *out_sqe is the job's entry. */
peal_op peal__start_job(struct peal_ring *ring, struct peal__sqe **out_sqe,
			unsigned opcode, peal_fd fd, unsigned flags,
			peal_handler *handler, void *ctx)
{
	struct peal__row *row;

	if (!handler)
		handler = peal__nobody(opcode);
	row = peal__row_take(ring, opcode, fd, handler, ctx);
	ring->stats.by_op[opcode]++;
	*out_sqe = peal__job_new(ring, row, flags);
	return row->op;
}

void peal__owe(struct peal_ring *ring, struct peal__row *row, unsigned what)
{
	if (!(row->flags & (ROW_OWED | ROW_OWED_CANCEL)))
		ring->owed++;
	peal__chore(ring);
	row->flags |= (uint16_t)what;
}

static void fill_again(struct peal_ring *ring, struct peal__row *row,
		       struct peal__sqe *sqe)
{
	if (peal__row_has_group(row)) {
		peal__group_fill(ring, row, sqe);
		return;
	}
	if (row->entry_flags & ENTRY_ZC) {
		peal__zc_fill(ring, row, sqe);
		return;
	}
	switch (row->opcode) {
	case PEAL__OP_ACCEPT:
	case PEAL__OP_POLL_ADD:
		peal__multishot_fill(row, sqe);
		break;
	case PEAL__OP_ASYNC_CANCEL:
		sqe->addr = row->due_ns;
		break;
	case PEAL__OP_CLOSE:
		row->arg = ring->queues.sq_tail;
		if (peal_fd_is_direct(row->fd) &&
		    peal__can(ring, PEAL__OP_CLOSE))
			peal__direct_close_fill(ring, row, sqe);
		break;
	default:
		peal__full_write(ring, row, sqe);
	}
}

/* The number may name another file by now. */
static void end_gone(struct peal_ring *ring, struct peal__row *row)
{
	row->flags |= ROW_USER;
	peal__ready(ring, row, -EBADF);
}

/* Writes the entry of an accepted op (again). */
void peal__start_again(struct peal_ring *ring, struct peal__row *row)
{
	struct peal__sqe *sqe;
	int fd = row->opcode == PEAL__OP_ASYNC_CANCEL ? -1 : row->fd;
	unsigned opcode = row->opcode;

	if (peal__unlikely(row->entry_flags & ENTRY_GONE)) {
		end_gone(ring, row);
		return;
	}
	if (peal__row_has_group(row))
		opcode = peal__group_opcode(ring, row);
	if (!peal__can(ring, opcode)) {
		fill_again(ring, row,
			   peal__job_new(ring, row,
					 row->entry_flags & ~ENTRY_OWN));
		return;
	}
	if (!peal__sq_room(ring) && peal__sq_flush(ring) < 0) {
		peal__owe(ring, row, ROW_OWED);
		return;
	}
	sqe = peal__sqe_fill(ring, opcode, fd, row->entry_flags & ~ENTRY_OWN,
			     (uint64_t)row->op);
	fill_again(ring, row, sqe);
}

static int pay_row(struct peal_ring *ring, struct peal__row *row)
{
	unsigned what = row->flags & (ROW_OWED | ROW_OWED_CANCEL);

	if (row->flags & ROW_STORE || !what)
		return 0;
	row->flags &= (uint16_t)~(ROW_OWED | ROW_OWED_CANCEL);
	ring->owed--;
	if (what & ROW_OWED)
		peal__start_again(ring, row);
	else
		peal__cancel_submit(ring, row);
	return row->flags & (ROW_OWED | ROW_OWED_CANCEL);
}

/* Writes what is owed. Rare: only after a submission queue that the kernel
 * would not empty, so a scan of the table is good enough. */
void peal__pay(struct peal_ring *ring)
{
	uint32_t i;

	for (i = 1; i <= ring->rows_used && ring->owed; i++)
		if (pay_row(ring, &ring->rows[i]))
			return;
}
