/* SPDX-License-Identifier: MIT */
/*
 * What the sides on a ring share, the bare one and peal's: opening it with the
 * flags of a case, and the proof, taken from the entries themselves in the
 * memory that the kernel reads.
 */
#ifndef PEAL_PERF_RINGS_H
#define PEAL_PERF_RINGS_H

#include <liburing.h>
#include "perf/side.h"
#include "peal.h"

/* peal's default: both rings get it. */
#define RINGS_ENTRIES	256u

/* An axis for any workload on rings. default: what the kernel does when no
 * flag is given; iopoll and sqpoll come with coop or defer where they can. */
#define RINGS_FLAGS	"default,coop,defer,sqpoll,iopoll"
#define RINGS_FLAGS_AXIS(values)					\
	{ "flags", (values), RINGS_FLAGS, RINGS_FLAGS, 1,		\
	  "how the ring is set up" }

/* The kernel's thread sleeps soon, or it would burn the time of others. */
#define RINGS_SQPOLL_IDLE_MS	2

/* Adds what entries number from to before to of this ring say. */
void rings_look(const struct io_uring *ring, unsigned from, unsigned to,
		struct counters *counters);
/* NULL, or which flag this ring has not got; for struct workload. */
const char *rings_flags_in_effect(const struct perf_case *at,
				  const struct counters *counters);

/* --- bare ------------------------------------------------------------------ */

struct bare {
	struct io_uring ring;
	int prove;		/* look at entries before they are submitted */
	uint64_t ops;		/* completed: the loops add them */
	uint64_t calls;
	struct counters seen;
};

const char *bare_open(struct bare *bare, const char *flags);
void bare_count(struct bare *bare, struct counters *out);
void bare_close(struct bare *bare);
void bare_look(struct bare *bare);

/* Submits, and waits for one completion; negative errno. */
static inline int bare_enter(struct bare *bare, unsigned wait_for)
{
	if (__builtin_expect(bare->prove, 0))
		bare_look(bare);
	bare->calls++;
	return io_uring_submit_and_wait(&bare->ring, wait_for);
}

/* --- peal ------------------------------------------------------------------ */

struct ours {
	struct peal_ring *ring;
	uint64_t ops;
	struct counters seen;
	unsigned looked;	/* the tail up to which entries were seen */
};

/* direct_fds: slots for direct descriptors. */
const char *ours_open(struct ours *ours, const char *flags,
		      unsigned direct_fds);
void ours_count(struct ours *ours, struct counters *out);
const char *ours_close(struct ours *ours);
/* Entries are looked at after the fact: while they are still in the queue's
 * memory, so after at most OURS_LOOK operations. */
#define OURS_LOOK	(RINGS_ENTRIES / 2)
void ours_look_from_here(struct ours *ours);
void ours_look(struct ours *ours);

#endif
