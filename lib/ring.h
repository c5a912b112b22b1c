/* SPDX-License-Identifier: MIT */
/* The ring's own state, and what the files of lib/ share. */
#ifndef PEAL_LIB_RING_H
#define PEAL_LIB_RING_H

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include "lib/engine.h"
#include "lib/must.h"
#include "lib/random.h"
#include "lib/optable.h"
#include "lib/sqe.h"
#include "lib/table.h"
#include "peal.h"

#define PEAL__MOST_GROUPS 64

#define WHEEL_LEVELS	8
#define WHEEL_SLOTS	64
#define WHEEL_HEAD	(1u << 31)

struct peal__wheel {
	uint64_t tick;		/* handled up to here, exclusive */
	uint32_t count;
	uint32_t heads[WHEEL_LEVELS * WHEEL_SLOTS + 1];	/* + expired */
	uint64_t used[WHEEL_LEVELS];	/* a bit per slot that has rows */
};

/* Zero-copy send: zc.c */
struct peal__zc {
	uint32_t least;		/* options.zc_bytes */
	uint32_t skipped;	/* plain because copies are in a row */
	uint8_t copies;		/* the kernel's, in a row */
	uint8_t no_report;	/* of them: Linux before 6.2 */
};

struct peal__post {
	_Atomic uint32_t number; /* of the post in it, from 1 on: see post.c */
	uint32_t thread;	/* that made it, for a ring that wants it */
	peal_post_fn *fn;
	void *ctx;
};

/* ring->gate: reasons to look twice before starting an op; peal__gate_set() */
enum {
	GATE_CLOSING = 1 << 0,
	GATE_DRAINING = 1 << 1,
	GATE_FAILED = 1 << 2
};

/* What can be switched off; see disable.c. */
enum peal__feature {
	FEATURE_DEFER,
	FEATURE_COOP,
	FEATURE_SINGLE_ISSUER,
	FEATURE_SUBMIT_ALL,
	FEATURE_NO_SQARRAY,
	FEATURE_NO_IOWAIT,
	FEATURE_RING_FD,
	FEATURE_MULTISHOT,
	FEATURE_EPOLL_PWAIT2,
	FEATURE_RWF_NOWAIT,
	FEATURE_FIXED,
	FEATURE_CLONE_BUFFERS,
	FEATURE_BUFRING,
	FEATURE_BUNDLE,
	FEATURE_DIRECT,
	FEATURE_ZC,
	FEATURE_INCREMENTAL,
	FEATURE_COUNT
};

struct peal__disable {
	uint32_t features;
	uint64_t ops[2];
};

/* Linked by their next and prev; see work.h. */
struct peal__jobs {
	struct peal__job *first, *last;
};

struct peal_ring {
	struct peal_ring *list_next;	/* fork.c: all rings of the process */
	struct peal_ring *list_prev;
	/* Touched by every op. */
	const void *owner;	/* the thread; NULL: closed; see fork.c */
	struct peal__row *rows;
	uint32_t *fd_heads;	/* ops in flight by fd & fd_mask */
	uint32_t fd_mask;
	uint32_t free_row;	/* LIFO: the hottest row first */
	uint32_t rows_used;	/* rows ever touched */
	int32_t rows_left;	/* of max_ops; < 0: cancels took more */
	uint32_t now_ms;	/* coarse, for ages: see peal__age_clock() */
	struct peal__queues queues;
	uint64_t open[2];	/* can, or nothing while there is a gate */
	uint64_t now;
	uint64_t can[2];	/* a bit per opcode the engine has */
	uint32_t gate;
	uint32_t chores;	/* see peal__chore() */
	uint32_t looks;		/* LOOK_*: reasons to look at buffers */
	uint32_t max_ops;
	uint32_t stores;	/* rows taken that are no op: second rows */

	/* The turn. */
	const struct peal__engine *engine;
	void *engine_state;
	uint32_t ready_head, ready_tail;
	uint32_t owed;		/* rows with ROW_OWED or ROW_OWED_CANCEL */
	uint32_t again;		/* rows with ROW_AGAIN */
	uint64_t again_due_ns;	/* when their cancels are sent again */
	uint64_t again_ns;	/* and how long after that: doubles */
	struct peal_after_turn *after_first, **after_end;	/* after.c */
	uint32_t draining;	/* rows of peal_close_drained() that wait */
	uint32_t holds;
	uint8_t running;
	uint8_t lost;		/* its machine is gone: nothing to drain */
	uint8_t now_is_old;	/* read the clock before you use now */
	uint8_t stop;
	uint8_t no_multishot;	/* switched off, or found missing */
	uint8_t hungry;		/* see peal__hunger() */
	uint8_t in_after;	/* after.c runs its functions */
	uint8_t bundles;	/* the engine fills several buffers at once */
	uint8_t lingers;	/* posts ran: look for more before you sleep */
	uint8_t linger_skip;	/* not so often; see post.c */
	uint8_t linger_failed;
	int failed;		/* the engine's last word */
	struct peal__job *jobs;		/* one per row: see work.c */
	struct peal__jobs jobs_new;	/* not given to the pool yet */
	struct peal__job *jobs_done;	/* taken from the pool, not told yet */
	uint32_t jobs_out;		/* given to the pool, not taken */
	struct peal__pool *pool;
	struct peal__memory *memory;	/* arenas: see buffers.c */
	struct peal__zc zc;
	struct peal__direct *direct;	/* NULL: no table; see direct.c */
	int direct_error;		/* why */
	uint32_t direct_base;		/* the peal_fd of its first slot */
	struct peal_group *groups[PEAL__MOST_GROUPS];
	struct peal__wheel wheel;
	struct peal_stats stats;
	struct peal__disable disable;

	/* Shared with other threads: a line that those who post write, one that
	 * the ring writes, one that nobody does. See post.c. */
	_Alignas(64) _Atomic uint64_t post_tail;
	_Atomic uint64_t post_seen;	/* post_head when it was last read */
	_Atomic uint32_t sleeping;
	_Atomic uint32_t posting;	/* threads that wake the ring */
	_Atomic uint64_t wakes;
	_Alignas(64) _Atomic uint64_t post_head;
	_Alignas(64) struct peal__post *posts;
	uint32_t post_mask;
	uint32_t post_open;	/* 0: closed, or this process is a fork */
	uint32_t posts_signed;	/* by the thread: recorded, or a replay */

	uint32_t rows_max;
	struct peal_allocator allocator;
	char reason[256];
	struct peal__random random;	/* all zero: not seeded yet */
};

/* table.c */
int peal__table_open(struct peal_ring *ring, uint32_t max_ops);
void peal__table_close(struct peal_ring *ring);
uint32_t peal__row_new(struct peal_ring *ring);
struct peal__row *peal__row_find(struct peal_ring *ring, peal_op op);
uint32_t peal__store_take(struct peal_ring *ring);
void peal__store_release(struct peal_ring *ring, uint32_t index);

/* work.c */
struct peal__job;
struct peal__pool;
int peal__jobs_open(struct peal_ring *ring, unsigned max_threads);
void peal__jobs_close(struct peal_ring *ring);
struct peal__sqe *peal__job_new(struct peal_ring *ring, struct peal__row *row,
				unsigned flags);
void peal__jobs_submit(struct peal_ring *ring);
void peal__jobs_reap(struct peal_ring *ring);
int peal__jobs_look(struct peal_ring *ring);
int peal__job_is_new(struct peal_ring *ring, const struct peal__row *row);
int peal__job_cancel(struct peal_ring *ring, struct peal__row *row);

/* start.c */
void peal__ignore(struct peal_ring *ring, const struct peal_completion *done);
peal_handler *peal__nobody(unsigned opcode);
void peal__gate_set(struct peal_ring *ring, uint32_t gate);
int peal__start_slow(struct peal_ring *ring, unsigned opcode, peal_fd fd,
		     unsigned flags);
peal_op peal__start_op_slow(struct peal_ring *ring, unsigned opcode,
			    peal_fd fd, const void *addr, uint32_t len,
			    uint64_t offset, uint32_t op_flags, unsigned flags,
			    peal_handler *handler, void *ctx);
int peal__sq_flush(struct peal_ring *ring);
peal_op peal__start_user(struct peal_ring *ring, unsigned opcode, peal_fd fd,
			 unsigned flags, peal_handler *handler, void *ctx);
peal_op peal__start_job(struct peal_ring *ring, struct peal__sqe **out_sqe,
			unsigned opcode, peal_fd fd, unsigned flags,
			peal_handler *handler, void *ctx);
void peal__start_again(struct peal_ring *ring, struct peal__row *row);
void peal__owe(struct peal_ring *ring, struct peal__row *row, unsigned what);
void peal__pay(struct peal_ring *ring);

/* ops_misc.c */
uint32_t peal__poll_mask(unsigned events);
peal_op peal__start_multishot(struct peal_ring *ring, unsigned opcode,
			      peal_fd fd, uint32_t arg, unsigned flags,
			      peal_handler *handler, void *ctx);
void peal__multishot_fill(const struct peal__row *row, struct peal__sqe *sqe);

/* ring.c */
void peal__ready(struct peal_ring *ring, struct peal__row *row,
		 int64_t result);
int64_t peal__complete(struct peal_ring *ring, struct peal__row *row,
		       int64_t result, uint32_t flags);
int peal__turn(struct peal_ring *ring, uint64_t timeout_ns);
int peal__has_work(struct peal_ring *ring);
void peal__read_clock(struct peal_ring *ring);

/* The parts of a turn: see turn.h. What it has to do besides completions, if
 * anything, is done before the engine is entered, before the completions are
 * taken, and after that. */
int peal__has_chores(const struct peal_ring *ring);
uint64_t peal__chores_before_enter(struct peal_ring *ring,
				   uint64_t timeout_ns);
void peal__chores_first(struct peal_ring *ring);
void peal__completions_run(struct peal_ring *ring);
void peal__chores_last(struct peal_ring *ring);
int peal__enter_failed(struct peal_ring *ring, int error, int may_wait);

/* The turn's time. Many turns need none, so it is read by who asks first. */
static inline uint64_t peal__now(struct peal_ring *ring)
{
	if (ring->now_is_old)
		peal__read_clock(ring);
	return ring->now;
}

/* ends.c */
peal_op peal__start_ends(struct peal_ring *ring, struct peal__sqe **out_sqe,
			 unsigned opcode, peal_fd fd, peal_fd other,
			 unsigned flags, peal_handler *handler, void *ctx);
void peal__ends_leave(struct peal_ring *ring, const struct peal__row *row);

/* after.c */
void peal__after_run(struct peal_ring *ring);

/* time.c */
void peal__timer_add(struct peal_ring *ring, struct peal__row *row,
		     uint64_t due_ns);
void peal__timer_remove(struct peal_ring *ring, struct peal__row *row);
uint64_t peal__timer_next(struct peal_ring *ring);
void peal__timers_run(struct peal_ring *ring);

/* cancel.c, close.c, full.c, post.c */
int peal__cancel_row(struct peal_ring *ring, struct peal__row *row,
		     unsigned why);
void peal__cancel_answer(struct peal_ring *ring, peal_op op, int64_t answer);
void peal__cancel_again(struct peal_ring *ring);
int peal__cancel_submit(struct peal_ring *ring, struct peal__row *row);
unsigned peal__cancel_everything(struct peal_ring *ring);
unsigned peal__cancel_on_fd(struct peal_ring *ring, peal_fd fd);
void peal__drain_forget(struct peal_ring *ring);
void peal__drain_check(struct peal_ring *ring, peal_fd fd);
int peal__drain_has(struct peal_ring *ring, peal_fd fd);
int peal__full_step(struct peal_ring *ring, struct peal__row *row,
		    int64_t *result);
void peal__full_write(struct peal_ring *ring, struct peal__row *row,
		      struct peal__sqe *sqe);
void *peal__full_end(struct peal_ring *ring, struct peal__row *row);
void peal__posts_run(struct peal_ring *ring);
int peal__posts_linger(struct peal_ring *ring);
int peal__post_take(struct peal_ring *ring, struct peal__post *out);
void peal__posts_settle(struct peal_ring *ring);
int peal__posts_open(struct peal_ring *ring, uint32_t count);
void peal__posts_close(struct peal_ring *ring);

static inline int peal__posts_waiting(const struct peal_ring *ring)
{
	return atomic_load_explicit(&ring->post_tail, memory_order_seq_cst) !=
	       atomic_load_explicit(&ring->post_head, memory_order_relaxed);
}

/* Is the post of a claimed position published? */
static inline int peal__post_is_there(const struct peal_ring *ring, uint64_t at)
{
	return atomic_load_explicit(&ring->posts[at & ring->post_mask].number,
				    memory_order_acquire) == (uint32_t)at + 1;
}

/* Are there jobs whose completions can be told? */
static inline int peal__jobs_waiting(struct peal_ring *ring)
{
	return peal__unlikely(ring->jobs_out || ring->jobs_done) &&
	       peal__jobs_look(ring);
}


/* buffers.c: an op whose buffer is looked at, before and after its start */
struct peal__hint;
struct peal__look {
	unsigned opcode;
	unsigned flags;
	uint32_t slot;		/* of the registered form */
	uint32_t is_full;	/* it is a full transfer */
	const struct peal__hint *hint;	/* LOOK_BOUNCE: its file */
};

int peal__memory_open(struct peal_ring *ring, uint32_t bounce_bytes);
void peal__memory_watch(struct peal_ring *ring);
void peal__memory_leave(struct peal_ring *ring);
void peal__memory_close(struct peal_ring *ring);
void peal__memory_explain(struct peal_ring *ring, FILE *out);
int peal__memory_look(struct peal_ring *ring, struct peal__look *look,
		      peal_fd fd, const void *buf, uint64_t len,
		      uint64_t offset);
void peal__memory_lend(struct peal_ring *ring, peal_op op, const void *buf,
		       uint64_t len);
peal_op peal__start_looked(struct peal_ring *ring, unsigned opcode, peal_fd fd,
			   const void *buf, uint32_t len, uint64_t offset,
			   uint32_t op_flags, unsigned flags,
			   peal_handler *handler, void *ctx);
peal_op peal__start_vector(struct peal_ring *ring, unsigned opcode, peal_fd fd,
			   const void *iov, uint32_t count, uint64_t offset,
			   uint32_t op_flags, unsigned flags,
			   peal_handler *handler, void *ctx);
void peal__memory_forget(const struct peal_ring *ring, peal_fd fd);
void peal__memory_direct(struct peal_ring *ring);
const struct peal__hint *peal__memory_hint(const struct peal_ring *ring,
					   peal_fd fd);
uint32_t peal__memory_slot(const struct peal_ring *ring, uint64_t addr,
			   uint64_t len);

/* disable.c */
const char *peal__feature_name(unsigned feature);
int peal__disable_parse(struct peal__disable *out,
			const struct peal_ring_options *options);

/* explain.c: the text of peal_open_reason(); of peal_ring_engine_reason() */
void peal__reason(const char *format, ...) peal__format(1, 2);
void peal__engine_reason(struct peal_ring *ring, const char *format, ...)
	peal__format(2, 3);

/* open.c */
int peal__allocator_check(struct peal_allocator *allocator);
void *peal__alloc(struct peal_ring *ring, size_t size, size_t align);
void peal__free(struct peal_ring *ring, void *memory, size_t size);
void peal__ring_free(struct peal_ring *ring);
enum peal__yard { YARD_RINGS, YARD_GROUPS };
/* Frees what is closed and has no owner any more, after a rest in the yard. */
void peal__bury(const struct peal_allocator *allocator, enum peal__yard yard,
		void *closed, size_t size);

/* fork.c: whose ring it is */
extern _Thread_local char peal__this_thread;
void peal__ring_enlist(struct peal_ring *ring);
void peal__ring_delist(struct peal_ring *ring);
/* What has lain there longest, to be freed now; NULL: there is room. */
void *peal__grave_add(enum peal__yard yard, void *closed);
_Noreturn void peal__not_yours(const struct peal_ring *ring, const char *op);

/* A macro, so that op is looked up when it is wanted: an op function names
 * itself by a call. */
#define peal__must_own(ring, op)                                              \
	do {                                                                  \
		if (peal__unlikely((ring)->owner != &peal__this_thread))      \
			peal__not_yours(ring, op);                            \
	} while (0)

/* There is something for the turn besides completions: said by who makes it,
 * unsaid by the turn that finds nothing left. Most turns look at this word and
 * no further. */
static inline void peal__chore(struct peal_ring *ring)
{
	ring->chores = 1;
}

/* There are buffers for paused receives. */
static inline void peal__hunger(struct peal_ring *ring)
{
	ring->hungry = 1;
	peal__chore(ring);
}

static inline uint32_t peal__rows_live(const struct peal_ring *ring)
{
	return ring->max_ops - (uint32_t)ring->rows_left;
}

static inline uint32_t peal__in_flight(const struct peal_ring *ring)
{
	return peal__rows_live(ring) - ring->stores;
}

static inline int peal__can(const struct peal_ring *ring, unsigned opcode)
{
	return (ring->can[opcode >> 6] >> (opcode & 63)) & 1;
}

static inline int peal__switched_off(const struct peal_ring *ring,
				     enum peal__feature feature)
{
	return (ring->disable.features >> feature) & 1;
}

/* On the machine that the ring is on. */
static inline int64_t peal__call_now(struct peal_ring *ring,
				     const struct peal__sqe *sqe)
{
	return ring->engine->call ? ring->engine->call(ring, sqe)
				  : peal__blocking_run(sqe);
}

static inline uint32_t peal__load_acquire(const uint32_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static inline int peal__cq_ready(const struct peal_ring *ring)
{
	return *ring->queues.cq_head !=
	       peal__load_acquire(ring->queues.cq_tail);
}

/* Ages are told in milliseconds (of 2^20 ns): the exact clock costs more than
 * the rest of a turn. */
static inline uint32_t peal__age_clock(struct peal_ring *ring)
{
	return (uint32_t)((peal__unlikely(ring->engine->clock != NULL)
				   ? ring->engine->clock(ring)
				   : peal__clock_coarse()) >> 20);
}

static inline void peal__store_release_u32(uint32_t *at, uint32_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

#endif
