/* SPDX-License-Identifier: MIT */
/*
 * Ops with two descriptors: both must lead to the op, or a close of the second
 * one would not wait for it. The op's row is on the list of fd; a second row,
 * storage that no handle names, is on the list of the other:
 *
 *   fd:    ... <-> row (arg: its end) <-> ...
 *   other: ... <-> end (arg: its row) <-> ...
 */
#include "lib/start.h"

static void file_end(struct peal_ring *ring, peal_op op, uint32_t index,
		     peal_fd other)
{
	uint32_t row_index = (uint32_t)((uint64_t)op & PEAL__ROW_MASK);
	struct peal__row *row = &ring->rows[row_index];
	struct peal__row *end = &ring->rows[index];

	row->entry_flags |= ENTRY_ENDS;
	row->arg = index;
	end->opcode = row->opcode;
	end->arg = row_index;
	peal__row_link(ring, end, index, other);
}

/* As peal__start(), for an op that belongs to other, too; < 0: to fd alone. */
peal_op peal__start_ends(struct peal_ring *ring, struct peal__sqe **out_sqe,
			 unsigned opcode, peal_fd fd, peal_fd other,
			 unsigned flags, peal_handler *handler, void *ctx)
{
	uint32_t end = 0;
	peal_op op;

	peal__must_own(ring, peal_opcode_name(opcode));
	if (!peal__fd_fits(other))
		return -EBADF;
	if (other >= 0 && other != fd) {
		if (ring->draining && peal__drain_has(ring, other))
			return -EBADF;
		end = peal__store_take(ring);
		if (!end)
			return -EAGAIN;
	}
	op = peal__start(ring, out_sqe, opcode, fd, flags, handler, ctx);
	if (op > 0 && end)
		file_end(ring, op, end, other);
	else if (end)
		peal__store_release(ring, end);
	return op;
}

/* The op is over. */
void peal__ends_leave(struct peal_ring *ring, const struct peal__row *row)
{
	const struct peal__row *end = &ring->rows[row->arg];
	peal_fd other = end->fd;

	peal__row_unlink(ring, end);
	peal__store_release(ring, row->arg);
	if (ring->draining)
		peal__drain_check(ring, other);
}
