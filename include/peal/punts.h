/* SPDX-License-Identifier: MIT */
/*
 * Punts: ops that the kernel could not do without blocking and gave to a worker
 * thread of its own (io-wq), at 3 to 6 times the processor time of a plain
 * call. Which ops those are depends on the file system and the kernel: so they
 * are counted, not guessed.
 */
#ifndef PEAL_PUNTS_H
#define PEAL_PUNTS_H

#include "peal/op.h"
#include "peal/ring.h"

#ifdef __cplusplus
extern "C" {
#endif

struct peal_punts {
	uint32_t size;		/* sizeof this struct, set by the caller */
	uint32_t exact;		/* 1: total and by_op are; 0: they are 0 */
	uint64_t total;		/* ops given to workers */
	uint64_t by_op[PEAL_STATS_OPS];	/* of them, by peal_opcode_name() */
	uint64_t worker_ns;	/* processor time of the workers alive now */
	uint32_t workers;	/* how many that are */
	uint32_t reserved;
	const char *why;	/* they are not exact; NULL: they are */
};

/*
 * Counts the ops that the kernel gives to its workers. The first call starts
 * the count; it is for a look, not for every day: while it runs, each punt
 * costs about a microsecond more.
 *   out_punts set its size first; only that much is written
 * Result      none
 * Errors      none: where the kernel's tracepoint may not be counted (it takes
 *             CAP_PERFMON or root, and tracefs) exact is 0 and why has the
 *             remedy; worker_ns is there all the same. A size that is not set is
 *             misuse
 * Lifetime    the copy is yours; why is good until the ring is closed
 * Thread      the ring's. Counted are the ops of this thread: those of its other
 *             rings, too
 * Engines     io_uring from Linux 5.17, without SQPOLL; else not exact
 * Memory      the first call takes about 30 descriptors and 512 bytes from the
 *             ring's allocator, until the ring is closed
 */
void peal_ring_punts(struct peal_ring *ring, struct peal_punts *out_punts);

#ifdef __cplusplus
}
#endif
#endif
