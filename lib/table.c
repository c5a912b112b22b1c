/* SPDX-License-Identifier: MIT */
/*
 * The handler table, cold half (the hot half is inlined from start.h). Owns
 * rows, the free list and the heads of the lists by fd.
 *
 *   untouched --row_new--> free --take--> live --release--> free
 *                                                     \--> retired
 * Memory is reserved at open and touched when a row is first used. The heads
 * are a hash by fd: fds are small and dense, so a list rarely mixes two.
 */
#include <string.h>
#include "lib/start.h"

int peal__table_open(struct peal_ring *ring, uint32_t max_ops)
{
	uint32_t heads = 64;

	while (heads < max_ops && heads < 65536)
		heads *= 2;
	ring->max_ops = max_ops;
	ring->rows_left = (int32_t)max_ops;
	ring->rows_max = max_ops + PEAL__SPARE_ROWS + 1;
	ring->fd_mask = heads - 1;
	ring->rows = peal__alloc(ring, ring->rows_max * sizeof *ring->rows, 64);
	ring->fd_heads = peal__alloc(ring, heads * sizeof *ring->fd_heads, 64);
	if (!ring->rows || !ring->fd_heads) {
		peal__table_close(ring);
		return -ENOMEM;
	}
	ring->rows[0].op = -1;	/* matches no user_data */
	return 0;
}

void peal__table_close(struct peal_ring *ring)
{
	peal__free(ring, ring->rows, ring->rows_max * sizeof *ring->rows);
	peal__free(ring, ring->fd_heads,
		   (ring->fd_mask + 1) * sizeof *ring->fd_heads);
	ring->rows = NULL;
	ring->fd_heads = NULL;
}

/* The index of a free row, at the head of the free list; 0: none is left. */
uint32_t peal__row_new(struct peal_ring *ring)
{
	struct peal__row *row;

	if (ring->rows_left <= 0)
		return 0;
	if (ring->free_row)
		return ring->free_row;
	if (ring->rows_used + 1 >= ring->rows_max)
		return 0;
	row = &ring->rows[++ring->rows_used];
	row->op = (int64_t)(PEAL__GENERATION | ring->rows_used);
	row->fd_next = 0;
	row->flags = ROW_STORE;
	ring->free_row = ring->rows_used;
	return ring->rows_used;
}

struct peal__row *peal__row_find(struct peal_ring *ring, peal_op op)
{
	uint32_t index = (uint32_t)((uint64_t)op & PEAL__ROW_MASK);
	struct peal__row *row;

	if (op <= 0 || index == 0 || index > ring->rows_used)
		return NULL;
	row = &ring->rows[index];
	return row->op == op && !(row->flags & ROW_STORE) ? row : NULL;
}

/* A second row, as storage for an op that needs more than one. */
uint32_t peal__store_take(struct peal_ring *ring)
{
	uint32_t index = peal__row_new(ring);

	if (!index)
		return 0;
	ring->free_row = ring->rows[index].fd_next;
	ring->rows_left--;
	ring->stores++;
	return index;
}

void peal__store_release(struct peal_ring *ring, uint32_t index)
{
	peal__row_give_back(ring, &ring->rows[index], index);
	ring->stores--;
}
