/* SPDX-License-Identifier: MIT */
/*
 * Starting an op, the hot half: a row from the free list, an entry in the
 * ring's own memory. Inlined into every op function, so that opcode is a
 * constant there. Everything unusual is in start.c.
 */
#ifndef PEAL_LIB_START_H
#define PEAL_LIB_START_H

#include "lib/lend.h"
#include "lib/ring.h"

/* The kernel moves at most this much in one call. */
#define PEAL__MAX_TRANSFER 0x7ffff000u
#define PEAL__OP_FLAGS	PEAL_ASYNC

#define START_JOB 1	/* peal__start_slow(): the engine lacks it */

static inline uint32_t peal__len(size_t len)
{
	return len > PEAL__MAX_TRANSFER ? PEAL__MAX_TRANSFER : (uint32_t)len;
}

static inline uint64_t peal__addr(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

peal__inline void peal__row_link(struct peal_ring *ring,
				  struct peal__row *row, uint32_t index,
				  peal_fd fd)
{
	uint32_t *head;

	row->fd = (int32_t)fd;
	if (fd < 0)
		return;
	head = &ring->fd_heads[(uint32_t)fd & ring->fd_mask];
	row->fd_prev = 0;
	row->fd_next = *head;
	if (*head)
		ring->rows[*head].fd_prev = index;
	*head = index;
}

/* Is there a row to take at once? Else peal__row_new() may have one. */
peal__inline int peal__row_is_free(const struct peal_ring *ring)
{
	return ring->rows_left > 0 && ring->free_row;
}

/* Takes the free row for an op; handler is not NULL: see peal__nobody(). */
peal__inline struct peal__row *peal__row_take(struct peal_ring *ring,
					      unsigned opcode, peal_fd fd,
					      peal_handler *handler,
					      void *ctx)
{
	uint32_t index = ring->free_row;
	struct peal__row *row = &ring->rows[index];

	ring->free_row = row->fd_next;
	ring->rows_left--;
	row->handler = handler;
	row->ctx = ctx;
	row->started_ms = ring->now_ms;
	row->flags = 0;		/* these three are one store */
	row->opcode = (uint8_t)opcode;
	row->entry_flags = 0;
	peal__row_link(ring, row, index, fd);
	return row;
}

/* Ends a row's generation and makes it the next one to be taken. */
peal__inline void peal__row_give_back(struct peal_ring *ring,
				      struct peal__row *row, uint32_t index)
{
	uint64_t next = (uint64_t)row->op + PEAL__GENERATION;

	row->flags = ROW_STORE;
	row->op = (int64_t)next;
	ring->rows_left++;
	if (peal__unlikely(next >> 63))
		return;		/* retired: its generations are used up */
	row->fd_next = ring->free_row;
	ring->free_row = index;
}

/* Out of the list of the ops on its fd, which it must have. */
peal__inline void peal__row_unlink(struct peal_ring *ring,
				   const struct peal__row *row)
{
	if (row->fd_prev)
		ring->rows[row->fd_prev].fd_next = row->fd_next;
	else
		ring->fd_heads[(uint32_t)row->fd & ring->fd_mask] =
			row->fd_next;
	if (row->fd_next)
		ring->rows[row->fd_next].fd_prev = row->fd_prev;
}

/* After the terminal completion of an op. */
peal__inline void peal__row_release(struct peal_ring *ring,
				    struct peal__row *row, uint32_t index)
{
	peal_fd fd = row->fd;

	if (PEAL__WATCHES_LENT)
		peal__lend_end(ring, row);
	if (fd < 0) {
		peal__row_give_back(ring, row, index);
		return;
	}
	peal__row_unlink(ring, row);
	peal__row_give_back(ring, row, index);
	if (peal__unlikely(ring->draining))
		peal__drain_check(ring, fd);
}

peal__inline int peal__sq_room(const struct peal_ring *ring)
{
	return ring->queues.sq_tail - ring->queues.sq_head <
	       ring->queues.sq_entries;
}

/* Direct descriptors are from here on: see direct.h. */
#define PEAL__DIRECT_FD	(1 << 30)

/* One of another ring has no slot: its number is past every table's end. */
static inline uint32_t peal__direct_slot(const struct peal_ring *ring,
					 peal_fd fd)
{
	return (uint32_t)fd - ring->direct_base;
}

/* The entry of an op on a direct descriptor. */
peal__inline void peal__sqe_direct(struct peal_ring *ring,
				   struct peal__sqe *sqe)
{
	sqe->flags |= PEAL__SQE_FIXED_FILE;
	sqe->fd = (int32_t)peal__direct_slot(ring, sqe->fd);
	ring->stats.direct_by_op[sqe->opcode]++;
}

peal__inline struct peal__sqe *peal__sqe_fill(struct peal_ring *ring,
					       unsigned opcode, peal_fd fd,
					       unsigned flags,
					       uint64_t user_data)
{
	uint32_t at = ring->queues.sq_tail++;
	struct peal__sqe *sqe = &ring->queues.sqes[at & ring->queues.sq_mask];

	*sqe = (struct peal__sqe){ .opcode = (uint8_t)opcode,
				   .flags = (uint8_t)flags,
				   .fd = (int32_t)fd,
				   .user_data = user_data };
	ring->stats.by_op[opcode]++;
	if (peal__unlikely(fd >= PEAL__DIRECT_FD))
		peal__sqe_direct(ring, sqe);
	return sqe;
}

/* One look at what the engine has and at the gate: see peal__gate_set(). */
peal__inline int peal__is_open(const struct peal_ring *ring, unsigned opcode)
{
	return (ring->open[opcode >> 6] >> (opcode & 63)) & 1;
}

/* Rows and entries have 32 bits for an fd; a Windows HANDLE or SOCKET has 64,
 * of which, by Windows' promise, only 32 say anything. */
peal__inline int peal__fd_fits(peal_fd fd)
{
	return fd == (peal_fd)(int32_t)fd;
}

/* Does nothing stand in the way of an op? The common case. */
peal__inline int peal__start_is_clear(const struct peal_ring *ring,
				      unsigned opcode, peal_fd fd,
				      unsigned flags)
{
	return ring->owner == &peal__this_thread && peal__fd_fits(fd) &&
	       !(flags & ~PEAL__OP_FLAGS) && peal__is_open(ring, opcode) &&
	       peal__sq_room(ring) && peal__row_is_free(ring);
}

/* Ops with one buffer of the user's: the ring may have to look at it, and
 * clears their bits in ring->open for that. */
static inline int peal__lends(unsigned opcode)
{
	return opcode == PEAL__OP_READ || opcode == PEAL__OP_WRITE ||
	       opcode == PEAL__OP_SEND || opcode == PEAL__OP_RECV;
}

static inline int peal__vectors(unsigned opcode)
{
	return opcode == PEAL__OP_READV || opcode == PEAL__OP_WRITEV;
}

peal__inline int peal__looks(const struct peal_ring *ring, unsigned flags)
{
	return ring->looks || flags & (PEAL_FIXED | PEAL_PLAIN |
					PEAL_BOUNCE);
}

/* Starts an op: *out_sqe is its entry, zeroed but for what is known here. */
peal__inline peal_op peal__start(struct peal_ring *ring,
				 struct peal__sqe **out_sqe, unsigned opcode,
				 peal_fd fd, unsigned flags,
				 peal_handler *handler, void *ctx)
{
	struct peal__row *row;

	if (peal__unlikely(!peal__start_is_clear(ring, opcode, fd, flags))) {
		int rc = peal__start_slow(ring, opcode, fd, flags);

		if (rc < 0)
			return rc;
		if (rc == START_JOB)
			return peal__start_job(ring, out_sqe, opcode, fd,
					       flags, handler, ctx);
	}
	if (!handler)
		handler = peal__nobody(opcode);
	row = peal__row_take(ring, opcode, fd, handler, ctx);
	*out_sqe = peal__sqe_fill(ring, opcode, fd, flags, (uint64_t)row->op);
	return row->op;
}

/*
 * Starts an op of the usual shape. The other way is a call that ends the
 * function: were it one that comes back, every op would save registers for it.
 */
peal__inline peal_op peal__start_op(struct peal_ring *ring, unsigned opcode,
				       peal_fd fd, const void *addr,
				       uint32_t len, uint64_t offset,
				       uint32_t op_flags, unsigned flags,
				       peal_handler *handler, void *ctx)
{
	struct peal__row *row;
	struct peal__sqe *sqe;

	if (peal__unlikely(!handler ||
			   !peal__start_is_clear(ring, opcode, fd, flags)))
		return (peal__lends(opcode)	? peal__start_looked
			: peal__vectors(opcode) ? peal__start_vector
						: peal__start_op_slow)(
			ring, opcode, fd, addr, len, offset, op_flags, flags,
			handler, ctx);
	row = peal__row_take(ring, opcode, fd, handler, ctx);
	sqe = peal__sqe_fill(ring, opcode, fd, flags, (uint64_t)row->op);
	sqe->off = offset;
	sqe->addr = peal__addr(addr);
	sqe->len = len;
	sqe->op_flags = op_flags;
	return row->op;
}

#endif
