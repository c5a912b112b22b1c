/* SPDX-License-Identifier: MIT */
/* nop, poll, and ops that complete many times. */
#include "lib/direct.h"
#include "lib/start.h"

peal_op peal_nop(struct peal_ring *ring, unsigned flags,
		 peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_NOP, -1, NULL, 0, 0, 0, flags,
			      handler, ctx);
}

/* The kernel wants the two halves swapped on big-endian machines. */
uint32_t peal__poll_mask(unsigned events)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return events << 16 | events >> 16;
#else
	return events;
#endif
}

peal_op peal_poll(struct peal_ring *ring, peal_fd fd, unsigned events,
		  unsigned flags, peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	peal_op op = peal__start(ring, &sqe, PEAL__OP_POLL_ADD, fd, flags,
				 handler, ctx);

	if (op < 0)
		return op;
	sqe->op_flags = peal__poll_mask(events);
	return op;
}

peal_op peal_poll_multishot(struct peal_ring *ring, peal_fd fd,
			    unsigned events, unsigned flags,
			    peal_handler *handler, void *ctx)
{
	return peal__start_multishot(ring, PEAL__OP_POLL_ADD, fd,
				     peal__poll_mask(events), flags, handler, ctx);
}

/* arg is all that is needed to start it again when the kernel ends it: a full
 * completion queue ends a multishot op with a good result (see complete()). */
peal_op peal__start_multishot(struct peal_ring *ring, unsigned opcode,
			      peal_fd fd, uint32_t arg, unsigned flags,
			      peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	struct peal__row *row;
	unsigned given = opcode == PEAL__OP_ACCEPT ? flags & ~PEAL_DIRECT
						   : flags;
	peal_op op = peal__start(ring, &sqe, opcode, fd, given, handler, ctx);

	if (op < 0)
		return op;
	row = &ring->rows[(uint64_t)op & PEAL__ROW_MASK];
	row->flags |= ROW_MULTI;
	row->entry_flags = (uint8_t)given;
	if (opcode == PEAL__OP_ACCEPT && peal__direct_can(ring, opcode, flags))
		row->entry_flags |= ENTRY_DIRECT;
	if (ring->no_multishot)
		row->flags |= ROW_ONESHOT;
	row->arg = arg;
	peal__multishot_fill(row, sqe);
	return op;
}

void peal__multishot_fill(const struct peal__row *row, struct peal__sqe *sqe)
{
	sqe->op_flags = row->arg;
	if (row->entry_flags & ENTRY_DIRECT)
		peal__direct_aim(sqe);
	if (row->flags & ROW_ONESHOT)
		return;
	if (row->opcode == PEAL__OP_ACCEPT)
		sqe->ioprio = PEAL__ACCEPT_MULTISHOT;
	else
		sqe->len = PEAL__POLL_ADD_MULTI;
}
