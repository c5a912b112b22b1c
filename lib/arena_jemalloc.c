/* SPDX-License-Identifier: MIT */
/*
 * The arena's heap with jemalloc: a jemalloc arena whose extents come from the
 * region, by extent hooks, and whose own notes do not. The symbols are weak: a
 * program that is not linked with jemalloc does not have them and gets slabs.
 *
 * What the kernel has locked must never be unmapped, discarded or exchanged
 * behind its back, so there are no hooks for that: an extent that jemalloc is
 * done with stays with it, and is used again. It stays at once (a decay time of
 * 0), for only then is it joined with its neighbours.
 *
 * jemalloc joins no two extents that were asked for by two calls of the hook.
 * So it is made to ask for nearly all of the region at open, in a few calls.
 */
#include <stdbool.h>
#include <stdio.h>
#include "lib/arena.h"

#define LEAST_REGION	(UINT64_C(2) << 20)	/* its own unit of growth */
#define LEAST_SEED	(UINT64_C(16) << 10)
#define SEEDS		64
#define TCACHE_NONE	(1 << 8)	/* mallocx()'s flags, as jemalloc's */
#define ARENA(index)	((int)(((index) + 1) << 20))

extern int mallctl(const char *name, void *old, size_t *old_len, void *to,
		   size_t to_len) __attribute__((weak));
extern void *mallocx(size_t size, int flags) __attribute__((weak));
extern void dallocx(void *memory, int flags) __attribute__((weak));

/* As in jemalloc.h, which a program without it need not have. */
struct hooks {
	void *(*alloc)(struct hooks *hooks, void *at, size_t size,
		       size_t align, bool *zero, bool *commit, unsigned index);
	bool (*dalloc)(void);
	void (*destroy)(void);
	bool (*commit)(void);
	bool (*decommit)(void);
	bool (*purge_lazy)(void);
	bool (*purge_forced)(void);
	bool (*split)(struct hooks *hooks, void *at, size_t size, size_t a,
		      size_t b, bool committed, unsigned index);
	bool (*merge)(struct hooks *hooks, void *a, size_t a_size, void *b,
		      size_t b_size, bool committed, unsigned index);
};

struct heap {
	struct hooks hooks;	/* first: hooks are told only where they are */
	struct peal_arena *arena;
	uint64_t taken;		/* bytes of the region that jemalloc has */
	unsigned index;		/* jemalloc's name for the arena */
};

/* Under arena->lock: never taken around a call into jemalloc. */
static void *extent_take(struct heap *heap, void *at, size_t size,
			 size_t align)
{
	const struct peal__region *region = &heap->arena->region;
	uintptr_t base = (uintptr_t)region->base;
	uintptr_t from = (base + heap->taken + align - 1) & ~(align - 1);

	if (at && (uintptr_t)at != from)
		return NULL;
	if (size > region->bytes || from - base > region->bytes - size)
		return NULL;
	heap->taken = from - base + size;
	return region->base + (from - base);
}

static void *hook_alloc(struct hooks *hooks, void *at, size_t size,
			size_t align, bool *zero, bool *commit, unsigned index)
{
	struct heap *heap = (struct heap *)hooks;
	void *extent;

	(void)index;
	pthread_mutex_lock(&heap->arena->lock);
	extent = extent_take(heap, at, size, align);
	pthread_mutex_unlock(&heap->arena->lock);
	if (!extent)
		return NULL;
	*zero = true;		/* nobody had it before */
	*commit = true;
	return extent;
}

static bool hook_split(struct hooks *hooks, void *at, size_t size, size_t a,
		       size_t b, bool committed, unsigned index)
{
	(void)hooks, (void)at, (void)size, (void)a, (void)b;
	(void)committed, (void)index;
	return false;		/* false: it may be done */
}

static bool hook_merge(struct hooks *hooks, void *a, size_t a_size, void *b,
		       size_t b_size, bool committed, unsigned index)
{
	(void)hooks, (void)a, (void)a_size, (void)b, (void)b_size;
	(void)committed, (void)index;
	return false;
}

static int number(const char *format, unsigned index, uint64_t *out)
{
	size_t value = 0, len = sizeof value;
	char name[64];

	snprintf(name, sizeof name, format, index);
	if (mallctl(name, &value, &len, NULL, 0) != 0)
		return 0;
	*out = value;
	return 1;
}

/* jemalloc 5.3 can be told to keep its notes out of our extents: a fork's
 * child, which does not have the region, reads them. */
static int create(struct heap *heap)
{
	struct {
		struct hooks *hooks;
		bool notes_too;
	} config = { &heap->hooks, false };
	size_t len = sizeof heap->index;
	ssize_t now = 0;
	char name[64];

	if (mallctl("experimental.arenas_create_ext", &heap->index, &len,
		    &config, sizeof config) != 0)
		return -EOPNOTSUPP;
	snprintf(name, sizeof name, "arena.%u.dirty_decay_ms", heap->index);
	mallctl(name, NULL, NULL, &now, sizeof now);
	snprintf(name, sizeof name, "arena.%u.muzzy_decay_ms", heap->index);
	mallctl(name, NULL, NULL, &now, sizeof now);
	return 0;
}

/* Takes what there is in pieces as large as jemalloc has size classes for,
 * four in each doubling, and gives all of them back. */
static void seed(const struct heap *heap)
{
	uint64_t size = LEAST_REGION;
	void *seeds[SEEDS];
	unsigned count = 0, part = 0;

	while (size <= heap->arena->region.bytes / 2)
		size *= 2;
	for (; size >= LEAST_SEED && count < SEEDS;) {
		seeds[count] = mallocx(size - part * size / 8,
				       ARENA(heap->index) | TCACHE_NONE);
		if (seeds[count])
			count++;
		else if (++part == 4)
			part = 0, size /= 2;
	}
	while (count)
		dallocx(seeds[--count], TCACHE_NONE);
}

static int jemalloc_open(struct peal_arena *arena)
{
	struct peal_allocator *allocator = &arena->allocator;
	struct heap *heap;
	int rc;

	if (!mallctl || !mallocx || !dallocx) {
		arena->heap_why = "the program is not linked with jemalloc";
		return -EOPNOTSUPP;
	}
	if (arena->region.bytes < LEAST_REGION) {
		arena->heap_why = "less than 2 MiB are too little for jemalloc";
		return -EOPNOTSUPP;
	}
	heap = allocator->alloc(allocator->ctx, sizeof *heap, 64);
	if (!heap)
		return -ENOMEM;
	*heap = (struct heap){ .hooks = { .alloc = hook_alloc,
					  .split = hook_split,
					  .merge = hook_merge },
			       .arena = arena };
	rc = create(heap);
	if (rc < 0) {
		arena->heap_why = "this jemalloc is older than 5.3";
		allocator->free(allocator->ctx, heap, sizeof *heap);
		return rc;
	}
	arena->heap_state = heap;
	seed(heap);
	return 0;
}

static void jemalloc_close(struct peal_arena *arena)
{
	struct heap *heap = arena->heap_state;
	char name[64];

	snprintf(name, sizeof name, "arena.%u.destroy", heap->index);
	mallctl(name, NULL, NULL, NULL, 0);
	arena->allocator.free(arena->allocator.ctx, heap, sizeof *heap);
}

/* Without a thread's cache: that would keep memory past the arena's end, and
 * mix what several threads do with one arena. */
static void *jemalloc_alloc(struct peal_arena *arena, size_t size,
			    size_t align)
{
	const struct heap *heap = arena->heap_state;

	return mallocx(size, ARENA(heap->index) | TCACHE_NONE |
			     __builtin_ctzll(align));
}

static void jemalloc_free(struct peal_arena *arena, void *memory)
{
	(void)arena;
	dallocx(memory, TCACHE_NONE);
}

static uint64_t jemalloc_used(struct peal_arena *arena)
{
	const struct heap *heap = arena->heap_state;
	uint64_t epoch = 1, small = 0, large = 0;

	mallctl("epoch", NULL, NULL, &epoch, sizeof epoch);
	if (!number("stats.arenas.%u.small.allocated", heap->index, &small) ||
	    !number("stats.arenas.%u.large.allocated", heap->index, &large))
		return heap->taken;	/* built without statistics */
	return small + large;
}

const struct peal__heap peal__heap_jemalloc = {
	.name = "jemalloc",
	.open = jemalloc_open,
	.close = jemalloc_close,
	.alloc = jemalloc_alloc,
	.free = jemalloc_free,
	.used = jemalloc_used,
};
