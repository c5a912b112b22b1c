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
	uint32_t max_posts;	/* posts waiting; 0: 1024; else rounded up to
				 * a power of two */
	uint32_t flags;		/* PEAL_RING_* */
	uint32_t sqpoll_idle_ms;
	int32_t sqpoll_cpu;	/* < 0: any */
	uint32_t workers_bounded;   /* io-wq: files; 0: the kernel's choice */
	uint32_t workers_unbounded; /* io-wq: the rest; 0: the kernel's */
	uint32_t pool_threads;	/* for calls the engine lacks; 0: 4; most: 64 */
	uint32_t direct_fds;	/* slots for direct descriptors; 0: none */
	uint32_t zc_bytes;	/* least zero-copy send; 0: see peal_send_zc() */
	uint32_t bounce_bytes;	/* for ops with PEAL_BOUNCE; 0: none */
	const char *engine;	/* "uring", "epoll", "iocp", "sim", "replay";
				 * NULL: PEAL_ENGINE, or the best that works */
	const char *disable;	/* features forced off: "defer,no_sqarray" */
	struct peal_ring *attach; /* share this ring's io-wq workers */
	struct peal_allocator allocator; /* all NULL: libc */
	struct peal_sim_node *sim_node;	/* of a simulated world: see sim.h */
};

#define PEAL_RING_OPTIONS { sizeof(struct peal_ring_options), 0, 0, 0, 0, 0, \
	0, -1, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, { NULL, NULL, NULL }, NULL }

#define PEAL_RING_SQPOLL (1u << 0) /* a kernel thread takes submissions */
#define PEAL_RING_IOPOLL (1u << 1) /* poll the device; O_DIRECT files only */

/*
 * Opens a ring; the calling thread owns it from now on. SIGPIPE is blocked for
 * this thread, so that a broken connection is an error and not the end.
 *   out_ring gets the ring
 *   options  copied, with what it points to; NULL: all defaults. Start from
 *            PEAL_RING_OPTIONS
 * Result     0
 * Errors     each with its numbers and remedy in peal_open_reason(): if "uring"
 *            was asked for, -EPERM: it is forbidden (seccomp, a container, the
 *            sysctl kernel.io_uring_disabled), and -ENOSYS: the kernel has
 *            none; -ENOMEM: memory, or RLIMIT_MEMLOCK; -EMFILE, -ENFILE: too
 *            many open files; -EINVAL: an option; -ENOENT: an unknown engine
 * Lifetime   of the ring: until peal_ring_close() returns 0. A thread that ends
 *            with its ring open, and a forked child that uses it, are misuse
 * Thread     the caller's becomes the ring's
 * Engines    picked here: options.engine, else PEAL_ENGINE in the environment,
 *            else "uring", and where that is missing, forbidden or out of
 *            memory "epoll": peal_ring_engine_reason() says why.
 *            options.disable, and PEAL_DISABLE with it, force features off, to
 *            test without: their names as in peal_ring_explain(), or op:NAME.
 *            PEAL_RECORD, and the engine "replay": see sim.h
 * Memory     everything the ring will ever need, by options.allocator: 64 bytes
 *            per op, 96 more for one that epoll or the pool has, touched as ops
 *            are in flight; 24 per post; on epoll 32 per descriptor that the
 *            hard RLIMIT_NOFILE allows (at most 2^20: an allocator that writes
 *            its zeroes touches 32 MiB), touched as they are waited for. Where
 *            the kernel's queues count as locked memory and find no room, the
 *            soft RLIMIT_MEMLOCK is raised to the hard one, then smaller queues
 *            are tried, then epoll: peal_ring_explain() tells
 */
int peal_ring_open(struct peal_ring **out_ring,
		   const struct peal_ring_options *options);

/*
 * Why this thread's last peal_ring_open() failed: cause, numbers, remedy.
 * Result     a sentence, empty if it did not fail; never NULL
 * Errors     none
 * Lifetime   until this thread's next peal_ring_open()
 * Thread     any
 * Engines    all
 * Memory     none
 */
const char *peal_open_reason(void);

/*
 * Runs handlers until there is no reason to go on: nothing in flight, nothing
 * posted, nothing held.
 * Result     0: no reason to go on; 1: peal_ring_stop() was called
 * Errors     -EDEADLK: called inside a handler; the engine's own, when it broke
 *            down for good (a seccomp filter set too late, ...): the ring
 *            starts nothing any more; -EBADMSG: a replay differs (sim.h)
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    all
 * Memory     none
 */
int peal_ring_run(struct peal_ring *ring);

/*
 * One turn of the loop: submits, waits for a completion, runs the handlers of
 * all that have completed.
 *   timeout_ns nanoseconds to wait at most; 0: not at all; PEAL_FOREVER: no
 *              limit
 * Result       how many handlers and posts ran; 0 when the time passed, or a
 *              signal ended the wait
 * Errors       as peal_ring_run
 * Lifetime     nothing is lent
 * Thread       the ring's
 * Engines      all
 * Memory       none
 */
int peal_ring_turn(struct peal_ring *ring, uint64_t timeout_ns);

/*
 * Makes peal_ring_run() return 1 when the handler that is running has returned.
 * What is in flight stays in flight: run again, or close. Outside of a run it
 * ends the next one.
 * Result     none
 * Errors     none
 * Lifetime   nothing is lent
 * Thread     the ring's; other threads post a function that calls it
 * Engines    all
 * Memory     none
 */
void peal_ring_stop(struct peal_ring *ring);

/*
 * A reason for peal_ring_run() to go on though nothing is in flight: posts will
 * come. Each hold wants one release.
 * Result     none
 * Errors     none
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    all
 * Memory     none
 */
void peal_ring_hold(struct peal_ring *ring);

/*
 * Takes a hold back.
 * Result     none
 * Errors     none; a release without a hold is misuse
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    all
 * Memory     none
 */
void peal_ring_release(struct peal_ring *ring);

struct peal_after_turn {
	void (*fn)(struct peal_ring *ring, void *ctx);
	void *ctx;
	struct peal_after_turn *next;	/* the ring's, and waiting too; 0 */
	int waiting;
};

/*
 * Calls after->fn once, at the end of this turn, when all handlers of the turn
 * have run: for what is better done once than by each of them, such as sending
 * the replies that have become ready. Outside of a turn, or inside such a
 * function: at the end of the next turn, which does not wait then; so one that
 * always asks again keeps peal_ring_run() from ending. Once peal_ring_close()
 * has begun, handlers and posts may still ask, such functions not any more. A
 * second call before fn was called changes nothing.
 *   after    fn and ctx set, the rest 0; lent
 * Result     0: fn will be called
 * Errors     -ESHUTDOWN: called inside such a function, and the ring closes
 * Lifetime   after is lent until fn is called, and is free again in it; a ring
 *            that is closed calls what waits
 * Thread     the ring's
 * Engines    all
 * Memory     none
 */
int peal_ring_after_turn(struct peal_ring *ring, struct peal_after_turn *after);

/*
 * Refuses new ops (-ESHUTDOWN), cancels those in flight, runs their handlers
 * until all are done, then frees the ring. It drains because leaving a ring
 * does not stop the kernel from writing into your buffers.
 *   timeout_ns nanoseconds to wait at most; PEAL_FOREVER: no limit
 * Result       0: the ring is gone
 * Errors       -ETIMEDOUT: the kernel has not let go of everything, and the
 *              ring is still there: peal_ring_dump() lists what is left; call
 *              again, or leave the ring and all that was lent to it alone, for
 *              ever; -EDEADLK: called inside a handler; the engine's own, as
 *              peal_ring_run(): as for -ETIMEDOUT
 * Lifetime     posts that wait are run; after 0 nothing is lent any more, and
 *              ring is no ring
 * Thread       the ring's; no peal_post() may come during or after it
 * Engines      all
 * Memory       gives everything back, and ends the pool's threads
 */
int peal_ring_close(struct peal_ring *ring, uint64_t timeout_ns);

/*
 * The time of this turn: read once per turn, when it is first asked for, so
 * that all handlers of a turn agree.
 * Result     nanoseconds, of CLOCK_MONOTONIC
 * Errors     none
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    all
 * Memory     none
 */
uint64_t peal_ring_now(struct peal_ring *ring);

/*
 * A random number: what a program takes from here can be had again in a
 * simulated world (sim.h). Not for secrets.
 * Result     64 random bits
 * Errors     none
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    all: seeded by the system; in a simulated world by its seed
 * Memory     none
 */
uint64_t peal_random(struct peal_ring *ring);

/*
 * How many ops have been started and have not completed.
 * Result     a count
 * Errors     none
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    all
 * Memory     none
 */
uint32_t peal_ring_in_flight(struct peal_ring *ring);

/*
 * The name of the engine in use.
 * Result     "uring", "epoll", "sim" or "replay", on Windows "iocp"; never NULL
 * Errors     none
 * Lifetime   of the program
 * Thread     the ring's
 * Engines    all
 * Memory     none
 */
const char *peal_ring_engine(struct peal_ring *ring);

/*
 * Why this engine: what was asked for, what was found. Print it at start.
 * Result     a sentence; never NULL
 * Errors     none
 * Lifetime   of the ring
 * Thread     the ring's
 * Engines    all
 * Memory     none
 */
const char *peal_ring_engine_reason(struct peal_ring *ring);

/*
 * A descriptor that polls readable when peal_ring_turn(ring, 0) has something
 * to do: to embed the ring in another loop. Wait for it there, for at most
 * peal_ring_timeout_ns(); then call peal_ring_turn(ring, 0). Call that once
 * also after starting ops outside of a handler: it is what submits them. It may
 * be readable for nothing.
 * Result     the descriptor; poll it, do nothing else with it
 * Errors     -EMFILE, -ENFILE: the first call makes one more descriptor;
 *            -EOPNOTSUPP: the engine has none
 * Lifetime   of the ring
 * Thread     the ring's
 * Engines    io_uring, epoll, replay
 * Memory     none
 */
int peal_ring_fd(struct peal_ring *ring);

/*
 * How long another loop may wait for peal_ring_fd() before it calls
 * peal_ring_turn(ring, 0) for a timer or for what is ready already. Call it
 * before each wait: it is also what lets peal_post() end that wait.
 * Result     nanoseconds from now; 0: call now; PEAL_FOREVER: no limit
 * Errors     none
 * Lifetime   true until the next call on the ring
 * Thread     the ring's
 * Engines    all
 * Memory     none
 */
uint64_t peal_ring_timeout_ns(struct peal_ring *ring);

/*
 * Calls fn(ring, ctx) on the ring's thread, soon, in the order posted; wakes
 * the ring if it waits.
 *   fn       runs inside peal_ring_run() or peal_ring_turn(), like a handler
 *   ctx      handed to fn, never looked at: keep what it points to until then
 * Result     0: fn will run
 * Errors     -EAGAIN: options.max_posts, rounded up to a power of two, wait
 *            already; nothing was posted
 * Lifetime   the ring must not be closed before the call is made; a close that
 *            comes while it runs (the post was "stop") waits for it
 * Thread     any, and signal handlers: the only call that is
 * Engines    all
 * Memory     none
 */
typedef void peal_post_fn(struct peal_ring *ring, void *ctx);
int peal_post(struct peal_ring *ring, peal_post_fn *fn, void *ctx);

/*
 * Writes one line per op in flight: op, fd, age, state.
 *   out      lent for the call
 * Result     none
 * Errors     none; what out says, ferror() tells
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    all
 * Memory     what stdio takes
 */
void peal_ring_dump(struct peal_ring *ring, FILE *out);

/*
 * Writes one line per feature: on or off, why, and the remedy.
 *   out      lent for the call
 * Result     none
 * Errors     as peal_ring_dump
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    all
 * Memory     what stdio takes
 */
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
	uint64_t jobs;		/* calls given to the pool of threads */
	uint64_t wakes;		/* times another thread woke the ring */
	uint64_t by_op[PEAL_STATS_OPS]; /* submitted, by peal_opcode_name() */
	uint64_t zc_sent;	/* zero-copy sends */
	uint64_t zc_copied;	/* of them: the kernel copied after all */
	uint64_t zc_plain;	/* too short, or copied before: plain sends */
	uint64_t direct_full;	/* files that found no slot: -ENFILE */
	uint64_t direct_by_op[PEAL_STATS_OPS]; /* of by_op, on direct fds */
	uint64_t bounced_by_op[PEAL_STATS_OPS]; /* ops with PEAL_BOUNCE that were
						 * not aligned */
	uint64_t zc_fixed;	/* of zc_sent, from registered memory */
};

/*
 * Copies the ring's counters.
 *   out_stats set its size first; only that much is written
 * Result      none
 * Errors      none; a size that is not set is misuse
 * Lifetime    the copy is yours
 * Thread      the ring's
 * Engines     all
 * Memory      none
 */
void peal_ring_stats(struct peal_ring *ring, struct peal_stats *out_stats);

/*
 * The name of an opcode, for peal_stats.by_op.
 *   opcode   0, 1, ...: io_uring's numbers
 * Result     "read", "accept", ...; NULL past the last
 * Errors     none
 * Lifetime   of the program
 * Thread     any
 * Engines    all
 * Memory     none
 */
const char *peal_opcode_name(unsigned opcode);

#ifdef __cplusplus
}
#endif
#endif
