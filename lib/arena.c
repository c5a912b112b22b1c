/* SPDX-License-Identifier: MIT */
/*
 * Arenas: a region (shim/memory.c) and a heap over it. What rings make of them
 * is in register.c and buffers.c.
 */
#include <stdarg.h>
#include <string.h>
#include "lib/arena.h"

#define LEAST_ALIGN	64u
#define KNOWN_FLAGS	(PEAL_ARENA_PLAIN_OK | PEAL_ARENA_SMALL_PAGES | \
			 PEAL_ARENA_SLABS)

static _Thread_local char reason[512];

void peal__memory_reason(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof reason, format, args);
	va_end(args);
}

const char *peal_memory_reason(void)
{
	return reason;
}

static int read_options(struct peal_arena_options *out,
			const struct peal_arena_options *in)
{
	static const struct peal_arena_options none = PEAL_ARENA_OPTIONS;

	*out = none;
	if (!in || in->size < sizeof(uint32_t) || in->size > sizeof *out) {
		peal__memory_reason("options.size is %u, this library knows "
				    "%zu: start from PEAL_ARENA_OPTIONS, and "
				    "compile and link against one version",
				    in ? in->size : 0, sizeof *out);
		return -EINVAL;
	}
	memcpy(out, in, in->size);
	if (!out->bytes) {
		peal__memory_reason("options.bytes is 0: say how large the "
				    "arena is to be");
		return -EINVAL;
	}
	if (out->flags & ~KNOWN_FLAGS) {
		peal__memory_reason("options.flags is %#x; known are %#x: "
				    "clear the others", out->flags,
				    KNOWN_FLAGS);
		return -EINVAL;
	}
	if (peal__allocator_check(&out->allocator) < 0) {
		peal__memory_reason("options.allocator has only one of alloc "
				    "and free: set both or none");
		return -EINVAL;
	}
	return 0;
}

static int open_heap(struct peal_arena *arena)
{
	int rc = -EOPNOTSUPP;

	arena->heap = &peal__heap_jemalloc;
	if (arena->flags & PEAL_ARENA_SLABS)
		arena->heap_why = "asked for by PEAL_ARENA_SLABS";
	else
		rc = arena->heap->open(arena);
	if (rc == -EOPNOTSUPP) {
		arena->heap = &peal__heap_slabs;
		rc = arena->heap->open(arena);
	}
	if (rc < 0)
		peal__memory_reason("the allocator had no room for the notes "
				    "on %llu KiB: raise the memory limit",
				    (unsigned long long)arena->region.bytes >>
					    10);
	return rc;
}

static int open_memory(struct peal_arena *arena, uint64_t bytes)
{
	int rc = peal__region_map(&arena->region, bytes,
				  (arena->flags & PEAL_ARENA_SMALL_PAGES) != 0);

	if (rc < 0) {
		peal__memory_reason("the system has no region of %llu KiB: ask "
				    "for less, or raise the limit of address "
				    "space (ulimit -v)",
				    (unsigned long long)bytes >> 10);
		return rc;
	}
	rc = open_heap(arena);
	if (rc < 0)
		peal__region_unmap(&arena->region);
	return rc;
}

int peal_arena_open(struct peal_arena **out_arena,
		    const struct peal_arena_options *given)
{
	struct peal_arena_options options;
	struct peal_arena *arena;
	int rc = read_options(&options, given);

	if (rc < 0)
		return rc;
	arena = options.allocator.alloc(options.allocator.ctx, sizeof *arena,
					64);
	if (!arena) {
		peal__memory_reason("the allocator had no room for %zu bytes: "
				    "raise the memory limit", sizeof *arena);
		return -ENOMEM;
	}
	memset(arena, 0, sizeof *arena);
	arena->allocator = options.allocator;
	arena->flags = options.flags;
	pthread_mutex_init(&arena->lock, NULL);
	rc = open_memory(arena, options.bytes);
	if (rc < 0) {
		pthread_mutex_destroy(&arena->lock);
		options.allocator.free(options.allocator.ctx, arena,
				       sizeof *arena);
		return rc;
	}
	*out_arena = arena;
	return 0;
}

int peal_arena_close(struct peal_arena *arena)
{
	struct peal_allocator allocator = arena->allocator;
	uint32_t rings = atomic_load(&arena->rings);

	if (rings) {
		peal__memory_reason("%u %s the arena registered: unregister "
				    "it, or close %s", rings,
				    rings == 1 ? "ring has" : "rings have",
				    rings == 1 ? "the ring" : "the rings");
		return -EBUSY;
	}
	if (arena->keeper_close)
		arena->keeper_close(arena);
	arena->heap->close(arena);
	peal__region_unmap(&arena->region);
	pthread_mutex_destroy(&arena->lock);
	allocator.free(allocator.ctx, arena, sizeof *arena);
	return 0;
}

void *peal_arena_alloc(struct peal_arena *arena, size_t size, size_t align)
{
	void *memory;

	if (align < LEAST_ALIGN)
		align = align & (align - 1) ? align : LEAST_ALIGN;
	if (align & (align - 1) || align > arena->region.bytes ||
	    size > arena->region.bytes)
		return NULL;
	memory = arena->heap->alloc(arena, size ? size : 1, align);
	if (memory)
		atomic_fetch_add(&arena->allocations, 1);
	else
		atomic_fetch_add(&arena->failures, 1);
	return memory;
}

void peal_arena_free(struct peal_arena *arena, void *memory)
{
	if (!memory)
		return;
	MUST((uintptr_t)memory - (uintptr_t)arena->region.base <
		     arena->region.bytes,
	     "memory that is not this arena's", "arena_free");
	arena->heap->free(arena, memory);
	atomic_fetch_sub(&arena->allocations, 1);
}

static uint64_t locked(struct peal_arena *arena)
{
	uint64_t pins;

	pthread_mutex_lock(&arena->lock);
	pins = arena->pins;
	pthread_mutex_unlock(&arena->lock);
	return pins * arena->region.bytes;
}

void peal_arena_stats(struct peal_arena *arena,
		      struct peal_arena_stats *out_stats)
{
	uint32_t size = out_stats->size;
	struct peal_arena_stats now = {
		.size = size,
		.rings = atomic_load(&arena->rings),
		.bytes = arena->region.bytes,
		.used = arena->heap->used(arena),
		.allocations = atomic_load(&arena->allocations),
		.failures = atomic_load(&arena->failures),
		.locked = locked(arena),
		.huge = peal__region_huge(&arena->region),
		.allocator = arena->heap->name,
		.base = arena->region.base,
	};

	MUST(size >= sizeof size, "peal_arena_stats.size is not set",
	     "arena_stats");
	memcpy(out_stats, &now, size < sizeof now ? size : sizeof now);
}

static void explain_locked(struct peal_arena *arena, FILE *out)
{
	unsigned rings = atomic_load(&arena->rings);

	fprintf(out, "; %u %s; %llu KiB locked", rings,
		rings == 1 ? "ring" : "rings",
		(unsigned long long)locked(arena) >> 10);
	if (arena->sharing == SHARING_COPIES)
		fprintf(out, ", once for all rings");
	else if (arena->sharing == SHARING_NOT &&
		 arena->sharing_error == -ECANCELED)
		fprintf(out, ", once per ring: \"clone_buffers\" is disabled");
	else if (arena->sharing == SHARING_NOT)
		fprintf(out, ", once per ring: this kernel cannot copy a "
			"registration (Linux 6.13 can): %s",
			peal_strerror(arena->sharing_error));
}

void peal_arena_explain(struct peal_arena *arena, FILE *out)
{
	fprintf(out, "%llu KiB on %s pages (%llu KiB on huge ones now); %s",
		(unsigned long long)arena->region.bytes >> 10,
		arena->region.pages,
		(unsigned long long)peal__region_huge(&arena->region) >> 10,
		arena->heap->name);
	if (arena->heap_why)
		fprintf(out, ": %s", arena->heap_why);
	explain_locked(arena, out);
	fprintf(out, "\n");
}
