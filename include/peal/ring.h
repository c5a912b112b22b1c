/* SPDX-License-Identifier: MIT */
/* The ring: open, run, stop, close, look inside, post to it. */
#ifndef PEAL_RING_H
#define PEAL_RING_H

#include <stdio.h>
#include "peal/op.h"

#ifdef __cplusplus
extern "C" {
#endif

struct peal_allocator {
	/* Zeroed memory or NULL; align is a power of two. */
	void *(*alloc)(void *ctx, size_t size, size_t align);
	void (*free)(void *ctx, void *memory, size_t size);
	void *ctx;
};

struct peal_ring_options {
	uint32_t size;		/* sizeof this struct; PEAL_RING_OPTIONS */
	uint32_t entries;	/* submissions per batch; 0: 256 */
	uint32_t cq_entries;	/* completions; 0: 4 * entries */
	uint32_t max_ops;	/* ops in flight; 0: 65536; at most 2^22 - 1026 */
	uint32_t max_posts;	/* posts waiting; 0: 1024 */
	uint32_t flags;		/* PEAL_RING_* */
	uint32_t sqpoll_idle_ms;
	int32_t sqpoll_cpu;	/* < 0: any */
	uint32_t workers_bounded;   /* io-wq: files; 0: the kernel's choice */
	uint32_t workers_unbounded; /* io-wq: the rest; 0: the kernel's */
	const char *engine;	/* "uring"; NULL: PEAL_ENGINE, or the best */
	const char *disable;	/* features forced off: "defer,no_sqarray" */
	struct peal_ring *attach; /* share this ring's io-wq workers */
	struct peal_allocator allocator; /* all NULL: libc */
};

#define PEAL_RING_OPTIONS { sizeof(struct peal_ring_options), 0, 0, 0, 0, 0, \
	0, -1, 0, 0, NULL, NULL, NULL, { NULL, NULL, NULL } }

#define PEAL_RING_SQPOLL (1u << 0) /* a kernel thread takes submissions */
#define PEAL_RING_IOPOLL (1u << 1) /* poll the device; O_DIRECT files only */

/* Opens a ring for the calling thread. options may be NULL. Returns 0 or an
 * error; then peal_open_reason() says why, and what to do about it. */
int peal_ring_open(struct peal_ring **out_ring,
		   const struct peal_ring_options *options);

/* Why this thread's last peal_ring_open() failed: cause, numbers, remedy. */
const char *peal_open_reason(void);

/* Runs handlers until nothing is in flight (returns 0) or until
 * peal_ring_stop() (returns 1). */
int peal_ring_run(struct peal_ring *ring);

/* One turn: submits, waits at most timeout_ns for a completion, runs handlers.
 * 0 does not wait, PEAL_FOREVER has no limit. Returns how many handlers
 * ran. A signal may end the wait early. */
int peal_ring_turn(struct peal_ring *ring, uint64_t timeout_ns);

/* Makes run return when the handler that is running has returned. */
void peal_ring_stop(struct peal_ring *ring);

/* A reason to keep running though nothing is in flight (posts will come).
 * Each hold wants one release. */
void peal_ring_hold(struct peal_ring *ring);
void peal_ring_release(struct peal_ring *ring);

/* Refuses new ops, cancels those in flight, runs handlers until all are done,
 * frees the ring. Returns 0; -ETIMEDOUT when timeout_ns passed first: the ring
 * is still there (peal_ring_dump() lists what the kernel has not let go of;
 * call again, or leave it and its buffers alone); -EDEADLK inside a handler. */
int peal_ring_close(struct peal_ring *ring, uint64_t timeout_ns);

/* The time of this turn, on CLOCK_MONOTONIC. */
uint64_t peal_ring_now(struct peal_ring *ring);

/* Ops in flight. */
uint32_t peal_ring_in_flight(struct peal_ring *ring);

const char *peal_ring_engine(struct peal_ring *ring);
const char *peal_ring_engine_reason(struct peal_ring *ring);

/* For embedding in another loop: a descriptor that polls readable when
 * peal_ring_turn(ring, 0) has something to do, and how long to wait for it. */
int peal_ring_fd(struct peal_ring *ring);
uint64_t peal_ring_timeout_ns(struct peal_ring *ring);

/* Calls fn(ring, ctx) on the ring's thread, in the order posted. The only
 * call for other threads; async-signal-safe. Returns 0, or -EAGAIN when
 * max_posts are waiting. The ring must not be closed meanwhile. */
typedef void peal_post_fn(struct peal_ring *ring, void *ctx);
int peal_post(struct peal_ring *ring, peal_post_fn *fn, void *ctx);

/* One line per op in flight: op, fd, age, state. */
void peal_ring_dump(struct peal_ring *ring, FILE *out);

/* Every feature: on or off, and why, with the remedy. */
void peal_ring_explain(struct peal_ring *ring, FILE *out);

#define PEAL_STATS_OPS 80

struct peal_stats {
	uint32_t size;		/* sizeof this struct, set by the caller */
	uint32_t in_flight;
	uint64_t submitted;	/* entries given to the engine */
	uint64_t completions;	/* handlers called */
	uint64_t turns;
	uint64_t enters;	/* system calls to submit and wait */
	uint64_t sq_full;	/* enters because the SQ had no room */
	uint64_t cq_overflows;	/* turns that found the CQ overflown */
	uint64_t stale;		/* completions for no op in flight: dropped */
	uint64_t cancels;	/* ops asked to end */
	uint64_t timeouts;	/* deadlines that passed */
	uint64_t rearmed;	/* multishot ops started again by the library */
	uint64_t resumed;	/* short transfers continued */
	uint64_t retried;	/* EINTR and EAGAIN tried again */
	uint64_t posts;		/* posts run */
	uint64_t wakes;		/* times another thread woke the ring */
	uint64_t by_op[PEAL_STATS_OPS]; /* submitted, by peal_opcode_name() */
};

void peal_ring_stats(struct peal_ring *ring, struct peal_stats *out_stats);

/* "read", "accept", ...; NULL past the last. */
const char *peal_opcode_name(unsigned opcode);

#ifdef __cplusplus
}
#endif
#endif
