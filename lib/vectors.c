/* SPDX-License-Identifier: MIT */
/*
 * Reads and writes of several buffers, on a ring with arenas or direct files:
 * what is not aligned is refused; if all of them lie in one registered buffer,
 * and the fd is a direct file or the arena wants it so, READV becomes
 * READV_FIXED (Linux 6.15). O_DIRECT on ext4, 32 in flight, 4 KiB a part, CPU
 * of the process per op:
 *
 *   parts            1       4       16      32
 *   READV          4.4 us  5.6 us  8.9 us  14.6 us
 *   READV_FIXED    3.9     4.5     5.8      9.2
 */
#include <sys/types.h>
#include "lib/buffers.h"
#include "lib/start.h"

_Static_assert(PEAL__OP_READV_FIXED - PEAL__OP_READV ==
		       PEAL__OP_WRITEV_FIXED - PEAL__OP_WRITEV,
	       "one step leads from each form to the other");

static uint32_t slot_of(const struct peal_ring *ring, const struct iovec *part)
{
	return peal__memory_slot(ring, peal__addr(part->iov_base),
				 part->iov_len);
}

/* An empty part is none that the kernel takes. */
uint32_t peal__vector_slot(const struct peal_ring *ring,
			   const struct iovec *iov, size_t count)
{
	uint32_t slot;
	size_t i;

	if (!count || count > PEAL__MOST_PARTS ||
	    !peal__can(ring, PEAL__OP_READV_FIXED))
		return PEAL__NO_SLOT;
	slot = slot_of(ring, iov);
	for (i = 1; i < count && slot != PEAL__NO_SLOT; i++)
		if (slot_of(ring, &iov[i]) != slot)
			return PEAL__NO_SLOT;
	return slot;
}

/* PEAL__NO_SLOT: the plain form. */
static uint32_t common_slot(const struct peal_ring *ring,
			    const struct peal__hint *hint,
			    const struct iovec *iov, uint32_t count)
{
	const struct peal__member *member;

	if (!count)
		return PEAL__NO_SLOT;
	member = peal__memory_member(ring, peal__addr(iov->iov_base),
				     iov->iov_len);
	if (!member || member->flags & PEAL_PLAIN ||
	    (!(member->flags & PEAL_FIXED) && hint->kind != KIND_DIRECT))
		return PEAL__NO_SLOT;
	return peal__vector_slot(ring, iov, count);
}

/* Of a direct file: each address, the sum of the lengths, the offset. (That
 * each length is a multiple, too, only older kernels want.) */
static int is_misaligned(const struct peal_ring *ring,
			 const struct peal__hint *hint, peal_fd fd,
			 const struct iovec *iov, uint32_t count,
			 uint64_t offset)
{
	uint64_t sum = 0;
	uint32_t i;

	if (count > PEAL__MOST_PARTS)
		return 0;
	for (i = 0; i < count; i++) {
		if (peal__memory_misaligned(ring, hint, fd,
					    peal__addr(iov[i].iov_base), 0, 0))
			return 1;
		sum += iov[i].iov_len;
	}
	return peal__memory_misaligned(ring, hint, fd, 0, sum, offset);
}

/* peal__start_op()'s other way, of an op with a vector. */
peal_op peal__start_vector(struct peal_ring *ring, unsigned opcode, peal_fd fd,
			   const void *iov, uint32_t count, uint64_t offset,
			   uint32_t op_flags, unsigned flags,
			   peal_handler *handler, void *ctx)
{
	const struct peal__hint *hint;
	uint32_t slot = PEAL__NO_SLOT;
	struct peal__sqe *sqe;
	peal_op op;

	peal__must_own(ring, peal_opcode_name(opcode));
	if (peal__vector_is_looked_at(ring, opcode)) {
		hint = peal__memory_hint(ring, fd);
		if (is_misaligned(ring, hint, fd, iov, count, offset))
			return -EINVAL;
		slot = common_slot(ring, hint, iov, count);
	}
	if (slot != PEAL__NO_SLOT)
		opcode += PEAL__VECTOR_TO_FIXED;
	op = peal__start(ring, &sqe, opcode, fd, flags, handler, ctx);
	if (op < 0)
		return op;
	sqe->off = offset;
	sqe->addr = peal__addr(iov);
	sqe->len = count;
	sqe->op_flags = op_flags;
	if (slot != PEAL__NO_SLOT)
		sqe->buf_index = (uint16_t)slot;
	if (PEAL__WATCHES_LENT)
		peal__lend_many(ring, sqe);
	return op;
}
