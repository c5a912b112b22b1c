/* SPDX-License-Identifier: MIT */
/*
 * What a ring knows of memory: its arenas, what is lent to the ops in flight,
 * and what its descriptors are. ring->looks says whether there is anything to
 * look at; while it is 0 no op pays for any of it.
 */
#ifndef PEAL_LIB_BUFFERS_H
#define PEAL_LIB_BUFFERS_H

#include "lib/arena.h"

/* ring->looks */
enum {
	LOOK_ARENA = 1 << 0,	/* the ring has arenas */
	LOOK_DIRECT = 1 << 1,	/* it opened a file with O_DIRECT: no look at
				 * sockets for that */
	LOOK_LENT = 1 << 2	/* the address sanitizer watches: lend.h */
};

#define PEAL__HINTS	4096u	/* fds remembered; a power of two */

enum peal__kind { KIND_UNKNOWN, KIND_DIRECT, KIND_OTHER };

/* What an fd is, as last seen: only ever a guess, for the number may name
 * another file by now. It is asked for again after 255 uses, and before an op
 * is refused for it. */
struct peal__hint {
	int32_t fd;
	uint8_t kind;		/* enum peal__kind */
	uint8_t uses;		/* left */
	uint16_t unused;
	uint32_t in_memory;	/* bits that O_DIRECT wants 0, of addresses; */
	uint32_t in_file;	/* of lengths and offsets. 0: any, or not known:
				 * the kernel will tell */
};

struct peal__member {
	struct peal_arena *arena;
	uint64_t base;
	uint64_t bytes;
	uint32_t slot;		/* its first; PEAL__NO_SLOT: plain memory */
	uint32_t flags;		/* PEAL_FIXED, PEAL_PLAIN */
	char why[256];		/* it is plain */
};

/* What an op has been lent; only good while op is the row's handle. */
struct peal__lent {
	int64_t op;
	uint64_t addr;
	uint64_t len;
};

struct peal__memory {
	uint32_t arenas;
	struct peal__member members[PEAL__ARENAS];
	struct peal__lent *lent;	/* a place per row; NULL: none yet */
	struct peal__regions **regions;	/* the same; where the sanitizer
					 * watches: lend.c */
	struct peal__bounce *bounce;	/* NULL: none; bounce.c */
	struct peal__hint hints[PEAL__HINTS];
};

/* The arena that the memory lies in; NULL: in none. */
const struct peal__member *peal__memory_member(const struct peal_ring *ring,
					       uint64_t addr, uint64_t len);

/* vectors.c: the registered buffer that all parts lie in, if the kernel takes
 * vectors of one (Linux 6.15); PEAL__NO_SLOT */
uint32_t peal__vector_slot(const struct peal_ring *ring,
			   const struct iovec *iov, size_t count);

#define PEAL__MOST_PARTS	1024u	/* of a vector; with more the op fails */
#define PEAL__VECTOR_TO_FIXED	(PEAL__OP_READV_FIXED - PEAL__OP_READV)

static inline int peal__vector_is_looked_at(const struct peal_ring *ring,
					    unsigned opcode)
{
	return ring->looks & LOOK_DIRECT ||
	       (ring->looks & LOOK_ARENA &&
		peal__can(ring, opcode + PEAL__VECTOR_TO_FIXED));
}

/* 1, with a reason: the file, of which hint tells, does not take such memory,
 * or such a place. */
int peal__memory_misaligned(const struct peal_ring *ring,
			    const struct peal__hint *hint, peal_fd fd,
			    uint64_t addr, uint64_t len, uint64_t offset);

/* shim/memory.c: asks the system what out->fd is. */
void peal__file_learn(struct peal__hint *out);

#endif
