/* SPDX-License-Identifier: MIT */
/*
 * The contract of an engine: a pair of rings in memory and seven calls, made
 * once per batch, never per op.
 *
 * Above the engine, ops are written into queues.sqes[sq_tail & sq_mask] and
 * sq_tail is advanced; enter() hands everything up to sq_tail over. The engine
 * appends completions to cqes and publishes *cq_tail; the ring advances
 * *cq_head. user_data is opaque to the engine, but for its own entries
 * (PEAL__DATA_OWN): the ring gives their completions back through event().
 */
#ifndef PEAL_LIB_ENGINE_H
#define PEAL_LIB_ENGINE_H

#include <stdio.h>
#include "lib/sqe.h"
#include "peal/ring.h"

struct peal_arena;
struct peal_punts;

/* user_data that is no handle: an engine's own entries, and cancels that the
 * ring sends for itself (with the target's handle below the top bit, whose row
 * is never 0). */
#define PEAL__DATA_OWN		(UINT64_C(1) << 63)
#define PEAL__DATA_IGNORE	(PEAL__DATA_OWN | UINT64_C(1) << 22)
#define PEAL__DATA_WAKE		(PEAL__DATA_OWN | UINT64_C(2) << 22)

struct peal_group;

struct peal__queues {
	struct peal__sqe *sqes;
	uint32_t sq_tail;		/* ours: filled up to here */
	uint32_t sq_head;		/* last known: consumed up to here */
	uint32_t sq_mask;
	uint32_t sq_entries;
	const struct peal__cqe *cqes;
	uint32_t *cq_head;		/* shared with the engine */
	const uint32_t *cq_tail;	/* shared with the engine */
	uint32_t cq_mask;
	uint32_t cq_entries;
};

struct peal__hint;
struct peal__job;
struct peal__engine {
	const char *name;

	/* Sets up ring->queues and ring->can, or returns -errno with
	 * the reason in peal__reason(). */
	int (*open)(struct peal_ring *ring,
		    const struct peal_ring_options *options);

	/* Nothing of the user's is in flight any more. */
	void (*close)(struct peal_ring *ring);

	/* Submits all entries; waits for wait_for completions, at most
	 * timeout_ns (PEAL_FOREVER: no limit). Updates queues.sq_head.
	 * 0 or more; -EINTR, -ETIME, -EAGAIN and -EBUSY are passing
	 * conditions; any other error is the end of the ring. */
	int (*enter)(struct peal_ring *ring, uint32_t wait_for,
		     uint64_t timeout_ns);

	/* A turn with enter() in it; NULL: peal__turn_by() calls enter(). See
	 * turn.h. */
	int (*turn)(struct peal_ring *ring, uint64_t timeout_ns, int alone);

	/* Ends a wait, from any thread or signal handler. */
	void (*wake)(struct peal_ring *ring);

	/* A completion of the engine's own. */
	void (*event)(struct peal_ring *ring, const struct peal__cqe *cqe);

	/* The time, for an engine that has its own; NULL: peal__clock(). */
	uint64_t (*clock)(struct peal_ring *ring);

	/* The same for peal_random(); NULL: seeded by peal__entropy(). */
	uint64_t (*random)(struct peal_ring *ring);

	/* What out->fd is; NULL: peal__file_learn(). */
	void (*learn)(const struct peal_ring *ring,
		      struct peal__hint *out);

	/* A call that cannot block, at once, for an engine with descriptors of
	 * its own; NULL: peal__blocking_run(). */
	int64_t (*call)(struct peal_ring *ring, const struct peal__sqe *sqe);

	/* For a ring that is recorded or replayed. Starts a job (see
	 * peal__job_start()); takes one back; is told that an entry became a
	 * job; runs this turn's posts, each of which has the thread that made
	 * it; when only posts may be left: is the ring to turn? With a job(),
	 * enter() fills ring->jobs_done. NULL: the pool; all posts; if there
	 * are any. */
	int (*job)(struct peal_ring *ring, struct peal__job *job);
	int (*job_cancel)(struct peal_ring *ring, struct peal__job *job);
	void (*job_made)(struct peal_ring *ring, const struct peal__job *job);
	void (*posts)(struct peal_ring *ring);
	int (*goes_on)(struct peal_ring *ring, int posts_wait);

	/* A descriptor that polls readable when completions are there. */
	int (*fd)(struct peal_ring *ring);

	/* One line per feature: on or off, and why. */
	void (*explain)(struct peal_ring *ring, FILE *out);

	/* Registers an arena in slots first, first + 1, ..., one per gigabyte
	 * (-EOPNOTSUPP and -ENOMEM with peal__memory_reason()); takes it back
	 * when no op uses it. NULL: the engine has no registered memory. */
	int (*memory_add)(struct peal_ring *ring, struct peal_arena *arena,
			  uint32_t first);
	void (*memory_remove)(struct peal_ring *ring,
			      struct peal_arena *arena, uint32_t first);

	/* What went to the kernel's workers, into what is zeroed. NULL: the
	 * engine has none. */
	void (*punts)(struct peal_ring *ring, struct peal_punts *out);

	/* A table of so many direct descriptors, all free (it may choose
	 * ring->direct_base); without it, files in
	 * it closed; one of them closed. NULL: the engine has none. */
	int (*files_open)(struct peal_ring *ring, uint32_t count);
	void (*files_close)(struct peal_ring *ring);
	void (*files_drop)(struct peal_ring *ring, uint32_t slot);

	/* Makes a group known to an engine that takes buffers from a ring of
	 * them (group->bufs): -EINVAL: not here. Then, and where these are
	 * NULL, the library does it: see groups.h. */
	int (*group_open)(struct peal_ring *ring, struct peal_group *group);
	void (*group_close)(struct peal_ring *ring, struct peal_group *group);
	/* 1: let a receive find no buffer though there is one: the engine sets
	 * ring->hungry later. NULL: never. */
	int (*no_buffer)(struct peal_ring *ring);
	/* 1: it serves entries with PEAL__SQE_BUFFER_SELECT by
	 * peal__buffer_take(); 0: it is never given one. */
	int takes_buffers;
	/* 1: it serves the kernel's entries, see peal_uring_submit(). */
	int takes_raw;
};

extern const struct peal__engine peal__uring_engine;
extern const struct peal__engine peal__epoll_engine;
extern const struct peal__engine peal__iocp_engine;
extern const struct peal__engine peal__sim_engine;
extern const struct peal__engine peal__replay_engine;
struct peal_sim_node *peal__sim_here(void);	/* peal_sim_enter()'s; or NULL */

/* Records the ring, if PEAL_RECORD says so. -errno with a reason; the engine is
 * as it was then. */
int peal__record_begin(struct peal_ring *ring);

/* Runs one operation by its plain system call; it may block. -EOPNOTSUPP when
 * there is none. Implemented by shim/blocking.c. */
int peal__blocking_has(unsigned opcode);
int64_t peal__blocking_run(const struct peal__sqe *sqe);
int peal__resolve_error(int error);	/* getaddrinfo(3)'s, as an errno */

/* What else a system must offer; shim/posix.c, shim/limits.c (Linux's limits),
 * shim/windows.c. */
unsigned long long peal__limit(int resource);	/* RLIMIT_*, now */
int peal__memlock_raise(void);	/* soft limit to hard; 1: it was lower */
int peal__read_number(const char *path);	/* -1: there is none */
void peal__refused_files(int error);		/* EMFILE, ENFILE: why */
uint64_t peal__clock(void);	/* monotonic, ns */
void peal__entropy(void *buf, size_t len);	/* from the system */
uint64_t peal__clock_coarse(void);	/* to some ms, cheap; its own zero */
void peal__yield(void);		/* lets another thread run */
uint32_t peal__thread_id(void);	/* the system's, of this thread */
void peal__at_fork(void (*before)(void), void (*after)(void),
		   void (*in_child)(void));	/* pthread_atfork(3) */
void peal__sigpipe_block(void);	/* for this thread, once per ring */
void peal__sigpipe_restore(void);

#endif
