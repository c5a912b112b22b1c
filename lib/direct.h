/* SPDX-License-Identifier: MIT */
/*
 * Direct descriptors: slots of the ring's own file table. As a peal_fd a slot
 * has ring->direct_base added: PEAL__DIRECT_FD, a number that no process gets
 * for a file, and the table's own range (1024 of them, then they come again).
 * So it is told from an ordinary one by one comparison when an entry is filled,
 * and one of another ring has a slot that this table does not have.
 */
#ifndef PEAL_LIB_DIRECT_H
#define PEAL_LIB_DIRECT_H

#include "lib/buffers.h"
#include "lib/start.h"

struct peal__direct {
	uint32_t count;			/* slots */
	uint32_t used;
	struct peal__hint *hints;	/* what is in each */
};

#define PEAL__ANY_SLOT	UINT32_MAX	/* an entry's: the engine is to choose */
#define PEAL__MOST_SLOTS	(1u << 20)
#define PEAL__MOST_TABLES	(1u << 10)	/* with numbers of their own */

/* Each table has its own range of numbers, so that a descriptor of another
 * ring does not name a file of this one. */
static inline uint32_t peal__direct_base(uint32_t table)
{
	return PEAL__DIRECT_FD + table % PEAL__MOST_TABLES * PEAL__MOST_SLOTS;
}

/* Registers options.direct_fds slots, if the engine can: ring->direct stays
 * NULL and ring->direct_error says why where it cannot. */
int peal__direct_open(struct peal_ring *ring, uint32_t count);
void peal__direct_close(struct peal_ring *ring);
void peal__direct_explain(struct peal_ring *ring, FILE *out);

/* Makes a started op's result a slot; its row is marked so. */
void peal__direct_wish(struct peal_ring *ring, peal_op op,
		       struct peal__sqe *sqe);
/* An entry whose result is to be a slot. */
void peal__direct_aim(struct peal__sqe *sqe);
/* A marked row's completion: the result with its peal_fd. */
int64_t peal__direct_result(struct peal_ring *ring, struct peal__row *row,
			    int64_t result);
/* A close's entry, which names a slot in another way. */
void peal__direct_close_fill(struct peal_ring *ring, struct peal__row *row,
			     struct peal__sqe *sqe);
/* A slot that nobody wants. */
void peal__direct_drop(struct peal_ring *ring, peal_fd fd);
/* What a direct descriptor is, for buffers.c. */
const struct peal__hint *peal__direct_hint(const struct peal_ring *ring,
					   peal_fd fd);

/* Is it of another ring, or none at all? The kernel says so too, but not of a
 * close, whose entry names the slot plus one: it must not get that far. */
static inline int peal__direct_is_foreign(const struct peal_ring *ring,
					  peal_fd fd)
{
	return peal_fd_is_direct(fd) &&
	       (!ring->direct ||
		peal__direct_slot(ring, fd) >= ring->direct->count);
}

/* The wish, where it can be had. */
static inline int peal__direct_can(const struct peal_ring *ring,
				   unsigned opcode, unsigned flags)
{
	return flags & PEAL_DIRECT && ring->direct && peal__can(ring, opcode);
}

#endif
