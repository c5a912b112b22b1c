/* SPDX-License-Identifier: MIT */
/*
 * Memory that the kernel knows: arenas, registered with rings.
 *
 * A registered arena is one region of memory whose pages the kernel has looked
 * up and locked once, and not again for each op. An op whose buffer lies in
 * one needs no other call: where it wins, it takes its registered ("fixed")
 * form by itself. It wins on files opened with O_DIRECT (about a tenth of the
 * processor time of a read, of 4 KiB as of 128) and wins nothing in the page
 * cache, so the ring asks once what an fd is, and remembers. What was
 * submitted stands in peal_stats.by_op: "read" and "write" are the plain
 * forms, "read_fixed" and "write_fixed" the registered ones.
 *
 * Everything here is for the buffers of peal_read, peal_write, peal_read_full
 * and peal_write_full. peal_readv and peal_writev take their registered form by
 * themselves ("readv_fixed", "writev_fixed", Linux 6.15), if all buffers lie in
 * one arena and none crosses a multiple of 1 GiB of it; so do peal_send_zc and,
 * by the same rule, peal_sendmsg_zc (peal_stats.zc_fixed). Other sends, and
 * receives, may use the memory of an arena like any other.
 *
 *	struct peal_arena_options options = PEAL_ARENA_OPTIONS;
 *	struct peal_arena *arena;
 *
 *	options.bytes = 256 << 20;
 *	if (peal_arena_open(&arena, &options) < 0 ||
 *	    peal_arena_register(ring, arena, 0) < 0)
 *		fprintf(stderr, "%s\n", peal_memory_reason());
 *	buf = peal_arena_alloc(arena, 65536, 4096);
 */
#ifndef PEAL_MEMORY_H
#define PEAL_MEMORY_H

#include <stdio.h>
#include "peal/op.h"
#include "peal/ring.h"

#ifdef __cplusplus
extern "C" {
#endif

struct peal_arena;

struct peal_arena_options {
	uint32_t size;		/* sizeof this struct; PEAL_ARENA_OPTIONS */
	uint32_t flags;		/* PEAL_ARENA_* */
	uint64_t bytes;		/* of the region; rounded up to whole pages */
	struct peal_allocator allocator; /* for what is not in the region; all
					  * NULL: libc */
};

#define PEAL_ARENA_OPTIONS { sizeof(struct peal_arena_options), 0, 0, \
	{ NULL, NULL, NULL } }

/* Where RLIMIT_MEMLOCK is too low, use the arena as plain memory. */
#define PEAL_ARENA_PLAIN_OK	(1u << 0)
/* Pages of the usual size, also where there are huge ones. */
#define PEAL_ARENA_SMALL_PAGES	(1u << 1)
/* The library's own allocator, also where there is jemalloc. */
#define PEAL_ARENA_SLABS	(1u << 2)

/* The flags argument of reads and writes, and of peal_arena_register(). */
#define PEAL_FIXED	(1u << 18) /* the registered form, whatever fd is */
#define PEAL_PLAIN	(1u << 19) /* the plain form, whatever fd is */

/*
 * The flags argument of peal_read, peal_write, peal_read_full and
 * peal_write_full: what is not aligned as a file opened with O_DIRECT wants it
 * (4096 where the system does not tell) goes through aligned memory of the
 * ring, of which there are options.bounce_bytes. It costs a copy and two system
 * calls, which ask what fd is; an op that is aligned, and any other file, is as
 * without it.
 *   reads   of any address, length and offset: whole blocks are read, and at
 *           the end what was asked for is copied. They take the asked length
 *           and up to two blocks. With PEAL_CURRENT only the address may be
 *           unaligned
 *   writes  from any address: copied when the op starts. An unaligned offset
 *           or length is -EINVAL: the rest of the block would have to be read
 *           before and written back with it, so that a write in between would
 *           be lost, and a crash could tear what nobody wrote
 * -EAGAIN, returned at once: other ops have the memory: start it again when one
 * of them has ended. -ENOMEM, the same: there is never so much. Both say their
 * numbers in peal_memory_reason(). With PEAL_FIXED: -EINVAL where it would
 * bounce. The buffer is lent as always; peal_stats.bounced_by_op counts.
 */
#define PEAL_BOUNCE	(1u << 22)

/*
 * Reserves a region of memory, and an allocator for it: a jemalloc arena when
 * the program is linked with jemalloc 5.3 or newer, else slabs of size classes.
 * Neither touches the program's malloc, and the region never grows.
 *   out_arena gets the arena
 *   options   copied; NULL is refused: there is no default for bytes
 * Result     0
 * Errors     each with its numbers and remedy in peal_memory_reason(): -EINVAL:
 *            an option; -ENOMEM: no such amount of address space or memory
 * Lifetime   of the arena: until peal_arena_close() returns 0
 * Thread     any; the arena belongs to none
 * Engines    all
 * Memory     the region, on huge pages if there are any free, else on
 *            transparent ones where the system allows it and bytes are 2 MiB
 *            or more: peal_arena_explain() says what was got. Its pages are
 *            touched when used, and all of them by registering. Beside it 0.6
 *            % of bytes (slabs) by options.allocator, or what jemalloc takes.
 *            A forked child does not have the region
 */
int peal_arena_open(struct peal_arena **out_arena,
		    const struct peal_arena_options *options);

/*
 * Gives the region back, with all that is allocated in it.
 * Result     0: the arena is gone
 * Errors     -EBUSY: a ring has it registered: unregister it, or close the ring
 * Lifetime   after 0 no pointer into the arena is good
 * Thread     any, when no other uses the arena
 * Engines    all
 * Memory     gives everything back
 */
int peal_arena_close(struct peal_arena *arena);

/*
 * Makes the arena's memory known to a ring, and has the kernel lock it. Several
 * rings may share one arena: where the kernel can copy a registration (Linux
 * 6.13) its memory is locked and counted once, else once per ring, and
 * peal_arena_explain() says which.
 *   arena    lent
 *   flags    0: each op takes the form that wins; PEAL_FIXED or PEAL_PLAIN: ops
 *            with memory of this arena take that form where they can, unless
 *            they have the other flag
 * Result     0: ops use registered memory; 1: the arena is plain memory to this
 *            ring, and peal_memory_reason() says why: the engine or the kernel
 *            has no registered memory, it is switched off ("fixed" in
 *            options.disable), or the limit is too low and the arena was opened
 *            with PEAL_ARENA_PLAIN_OK
 * Errors     with numbers and remedy in peal_memory_reason(): -ENOMEM:
 *            RLIMIT_MEMLOCK is too low for it (the soft limit is raised to the
 *            hard one first); -EEXIST: the ring has it; -ENOSPC: the ring has 8
 *            arenas, or 1 TiB of them; -EINVAL: a flag
 * Lifetime   arena is lent until peal_arena_unregister() or peal_ring_close()
 * Thread     the ring's
 * Engines    io_uring 5.13; else plain memory
 * Memory     the first one takes 24 bytes per op from the ring's allocator,
 *            touched as ops are in flight, and 16 KiB in the kernel; where
 *            registrations are copied, one more io_uring (a descriptor) per
 *            arena
 */
int peal_arena_register(struct peal_ring *ring, struct peal_arena *arena,
			unsigned flags);

/*
 * Takes an arena away from a ring.
 * Result     0
 * Errors     -EBUSY: memory of the arena is lent to ops in flight, which
 *            peal_memory_reason() counts; so are, to be safe, vectors,
 *            messages and raw entries: cancel them and wait; -ENOENT: the ring
 *            does not have it
 * Lifetime   after 0 the ring has no business with arena any more
 * Thread     the ring's
 * Engines    as peal_arena_register
 * Memory     the kernel unlocks it
 */
int peal_arena_unregister(struct peal_ring *ring, struct peal_arena *arena);

/*
 * Allocates from the arena. The memory is not zeroed.
 *   size     bytes; 0 is as 1
 *   align    a power of two, in bytes; 0: 64. For O_DIRECT take 4096, or what
 *            peal_stat() says
 * Result     the memory; NULL: there is no room, or align is no power of two
 * Errors     none but NULL
 * Lifetime   until peal_arena_free() or peal_arena_close(); not while it is
 *            lent to an op
 * Thread     any
 * Engines    all
 * Memory     of the region alone. jemalloc rounds size up by at most 25 %;
 *            slabs to a power of two up to 2 KiB, then to pages of 4 KiB
 */
void *peal_arena_alloc(struct peal_arena *arena, size_t size, size_t align);

/*
 * Gives memory back to its arena.
 *   memory   from peal_arena_alloc() of this arena; NULL: nothing happens
 * Result     none
 * Errors     none; memory that is not the arena's is misuse, and so is, with
 *            slabs, giving back twice
 * Lifetime   memory is gone
 * Thread     any
 * Engines    all
 * Memory     it is there for the next peal_arena_alloc()
 */
void peal_arena_free(struct peal_arena *arena, void *memory);

struct peal_arena_stats {
	uint32_t size;		/* sizeof this struct, set by the caller */
	uint32_t rings;		/* that have it registered */
	uint64_t bytes;		/* of the region */
	uint64_t used;		/* in allocations, rounded as the heap does */
	uint64_t allocations;	/* not given back yet */
	uint64_t failures;	/* allocations that found no room */
	uint64_t locked;	/* by registering, as RLIMIT_MEMLOCK counts */
	uint64_t huge;		/* of the region, on huge pages now */
	const char *allocator;	/* "jemalloc" or "slabs" */
	const char *base;	/* the region's first byte */
};

/*
 * Copies the arena's counters.
 *   out_stats set its size first; only that much is written
 * Result      none
 * Errors      none; a size that is not set is misuse
 * Lifetime    the copy is yours
 * Thread      any
 * Engines     all
 * Memory      none; reads /proc/self/smaps: not for every request
 */
void peal_arena_stats(struct peal_arena *arena,
		      struct peal_arena_stats *out_stats);

/*
 * Writes what the arena is: its pages, its allocator, who has it registered
 * and how. peal_ring_explain() has a line for each arena of the ring.
 *   out      lent for the call
 * Result     none
 * Errors     none; what out says, ferror() tells
 * Lifetime   nothing is lent
 * Thread     any
 * Engines    all
 * Memory     what stdio takes
 */
void peal_arena_explain(struct peal_arena *arena, FILE *out);

/*
 * Why this thread's last call here failed, or an op was refused for its
 * alignment: cause, numbers, remedy.
 * Result     a sentence, empty before the first; never NULL
 * Errors     none
 * Lifetime   until this thread's next such failure
 * Thread     any
 * Engines    all
 * Memory     none
 */
const char *peal_memory_reason(void);

#ifdef __cplusplus
}
#endif
#endif
