/* SPDX-License-Identifier: MIT */
/* Arenas: the region, its heap, and what a ring keeps of them. */
#ifndef PEAL_LIB_ARENA_H
#define PEAL_LIB_ARENA_H

#include <pthread.h>
#include <stdatomic.h>
#include "lib/ring.h"
#include "peal/memory.h"

#define PEAL__SLOT_BYTES (UINT64_C(1) << 30)	/* the kernel's most */
#define PEAL__SLOTS	1024u			/* of a ring, for all arenas */
#define PEAL__ARENAS	8u			/* of a ring */
#define PEAL__NO_SLOT	UINT32_MAX

/* --- the region: shim/memory.c ------------------------------------------- */

struct peal__region {
	char *base;
	uint64_t bytes;
	const char *pages;	/* what was asked for: "huge", ... */
	size_t page;		/* the size of what it is mapped in */
};

/* -ENOMEM: the system has no such region. */
int peal__region_map(struct peal__region *out, uint64_t bytes,
		     int small_pages);
void peal__region_unmap(struct peal__region *region);
uint64_t peal__region_huge(const struct peal__region *region);

/* --- heaps: arena_slab.c, arena_jemalloc.c ------------------------------- */

struct peal__heap {
	const char *name;
	/* Sets arena->heap_state. -EOPNOTSUPP: not in this program. */
	int (*open)(struct peal_arena *arena);
	void (*close)(struct peal_arena *arena);
	/* align is a power of two, size more than 0. NULL: no room. */
	void *(*alloc)(struct peal_arena *arena, size_t size, size_t align);
	void (*free)(struct peal_arena *arena, void *memory);
	uint64_t (*used)(struct peal_arena *arena);
};

extern const struct peal__heap peal__heap_jemalloc;
extern const struct peal__heap peal__heap_slabs;

/* --- the arena ----------------------------------------------------------- */

enum peal__sharing {
	SHARING_UNKNOWN,
	SHARING_COPIES,		/* rings copy the keeper's registration */
	SHARING_NOT		/* each ring has its own */
};

struct peal_arena {
	struct peal__region region;
	uint32_t flags;
	const struct peal__heap *heap;
	void *heap_state;
	const char *heap_why;	/* why it is not jemalloc */
	pthread_mutex_t lock;	/* the heap (slabs) and the registrations */
	_Atomic uint32_t rings;
	_Atomic uint64_t allocations;
	_Atomic uint64_t failures;
	uint32_t pins;		/* registrations that lock the region */
	enum peal__sharing sharing;
	int sharing_error;	/* why they do not copy */
	int keeper;		/* the io_uring that rings copy from */
	void (*keeper_close)(struct peal_arena *arena);	/* NULL: there is none */
	struct peal_allocator allocator;
};

static inline uint32_t peal__arena_parts(const struct peal_arena *arena)
{
	return (uint32_t)((arena->region.bytes + PEAL__SLOT_BYTES - 1) /
			  PEAL__SLOT_BYTES);
}

/* The text of peal_memory_reason(). */
void peal__memory_reason(const char *format, ...) peal__format(1, 2);

/* uring_memory.c: what the io_uring engine does with an arena. */
int peal__uring_memory_add(struct peal_ring *ring, struct peal_arena *arena,
			   uint32_t first);
void peal__uring_memory_remove(struct peal_ring *ring,
			       struct peal_arena *arena, uint32_t first);

#endif
