/* SPDX-License-Identifier: MIT */
/*
 * Starting an op, the hot half: a row from the free list, an entry in the
 * ring's own memory. Inlined into every op function, so that opcode is a
 * constant there. Everything unusual is in start.c.
 */
#ifndef PEAL_LIB_START_H
#define PEAL_LIB_START_H

#include "lib/ring.h"

/* The kernel moves at most this much in one call. */
#define PEAL__MAX_TRANSFER 0x7ffff000u
#define PEAL__OP_FLAGS	PEAL_ASYNC

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

	row->fd = fd;
	if (fd < 0)
		return;
	head = &ring->fd_heads[(uint32_t)fd & ring->fd_mask];
	row->fd_prev = 0;
	row->fd_next = *head;
	if (*head)
		ring->rows[*head].fd_prev = index;
	*head = index;
}

/* Takes a row for an op; NULL: max_ops are in flight. */
peal__inline struct peal__row *peal__row_take(struct peal_ring *ring,
					       unsigned opcode, peal_fd fd,
					       peal_handler *handler,
					       void *ctx)
{
	uint32_t index = ring->free_row;
	struct peal__row *row;

	if (peal__unlikely(!index || ring->rows_live >= ring->max_ops)) {
		index = peal__row_new(ring, ring->max_ops);
		if (!index)
			return NULL;
	}
	row = &ring->rows[index];
	ring->free_row = row->fd_next;
	ring->rows_live++;
	ring->in_flight++;
	row->handler = handler ? handler : peal__nobody(opcode);
	row->ctx = ctx;
	row->started_ms = ring->now_ms;
	row->flags = 0;
	row->opcode = (uint8_t)opcode;
	peal__row_link(ring, row, index, fd);
	return row;
}

peal__inline int peal__sq_room(const struct peal_ring *ring)
{
	return ring->queues.sq_tail - ring->queues.sq_head <
	       ring->queues.sq_entries;
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
				   .fd = fd,
				   .user_data = user_data };
	ring->stats.by_op[opcode]++;
	return sqe;
}

/* Starts an op: *out_sqe is its entry, zeroed but for what is known here. */
peal__inline peal_op peal__start(struct peal_ring *ring,
				  struct peal__sqe **out_sqe, unsigned opcode,
				  peal_fd fd, unsigned flags,
				  peal_handler *handler, void *ctx)
{
	struct peal__row *row;

	peal__must_own(ring, peal_opcode_name(opcode));
	if (peal__unlikely((flags & ~PEAL__OP_FLAGS) | ring->gate |
			   !peal__can(ring, opcode))) {
		int rc = peal__start_slow(ring, opcode, fd, flags);

		if (rc < 0)
			return rc;
	}
	if (peal__unlikely(!peal__sq_room(ring)) && peal__sq_flush(ring) < 0)
		return -EAGAIN;
	row = peal__row_take(ring, opcode, fd, handler, ctx);
	if (peal__unlikely(!row))
		return -EAGAIN;
	*out_sqe = peal__sqe_fill(ring, opcode, fd, flags, (uint64_t)row->op);
	return row->op;
}

#endif
