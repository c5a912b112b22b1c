/* SPDX-License-Identifier: MIT */
/*
 * A machine that does what the test says: an engine whose two queues are plain
 * memory, and a clock that stands still until it is moved. Whatever a kernel
 * could answer, and whatever it could not, can be put into the completion
 * queue by hand.
 *
 *	#include "test/scripted.h"
 *
 *	SCRIPT_SYSTEM
 *
 *	SCRIPT_TEST(op_finishes_with_what_the_engine_says)
 *	{
 *		peal_op op = peal_nop(ring, 0, on_done, NULL);
 *
 *		script_turn();
 *		script_complete(op, 7, 0);
 *		script_turn();
 *		ck_result(outcome(op)->result, 7);
 *	}
 *
 * SCRIPT_SYSTEM stands in for shim/posix.c in the program that names it. A
 * SCRIPT_TEST has `ring` open on the scripted engine; when it returns, what is
 * still in flight is cancelled and the ring must close without a trace.
 */
#ifndef PEAL_TEST_SCRIPTED_H
#define PEAL_TEST_SCRIPTED_H

/* Before the harness, whose ring would be shadowed by every parameter. */
#include "lib/start.h"
#include "test/harness.h"

#define SCRIPT_START_NS	(UINT64_C(1000) << 20)	/* where the clock starts */
#define SCRIPT_TICK_NS	(UINT64_C(1) << 14)	/* lib/time.c's */

#define SCRIPT_SYSTEM							\
	uint64_t peal__clock(void)					\
	{								\
		return script.now;					\
	}								\
	uint64_t peal__clock_coarse(void)				\
	{								\
		return script.now;					\
	}								\
	void peal__sigpipe_block(void)					\
	{								\
	}								\
	void peal__sigpipe_restore(void)				\
	{								\
	}

#define SCRIPT_TEST(name)						\
	static void name##_script(void);				\
	BARE_TEST(name)							\
	{								\
		script_open();						\
		name##_script();					\
		script_close();						\
	}								\
	static void name##_script(void)

/* An assertion for a loop that runs a million times: libcheck's own note
 * every line they pass. */
#define HOLDS(cond)							\
	do {								\
		if (!(cond))						\
			ck_abort_msg("does not hold: %s", #cond);	\
	} while (0)

struct script {
	uint64_t now;		/* the clock */

	/* What the engine does next; a test may change it at any time. */
	uint32_t take_at_most;	/* entries per enter() */
	unsigned fail_in;	/* 1: the next enter() fails; 0: none does */
	unsigned fail_times;	/* and so many in a row */
	int fail_with;		/* with this, and takes nothing */
	/* Sees every entry as it is taken; script_answer() is one. */
	void (*on_taken)(const struct peal__sqe *sqe);
	/* Runs when enter() is about to wait; script_wait() is the default. */
	int (*on_wait)(uint64_t timeout_ns);

	/* What it was asked so far. */
	unsigned enters;
	unsigned waits;
	uint64_t last_timeout_ns; /* of the latest wait */
	_Atomic unsigned wakes;
	unsigned events;	/* completions handed back to the engine */
	unsigned overflows;	/* completions that found the queue full */
	unsigned closed;
};

extern struct script script;

/* ring: entries 64, cq_entries 256, max_ops 1024, max_posts 16. */
void script_open(void);
void script_open_with(uint32_t entries, uint32_t cq_entries, uint32_t max_ops,
		      uint32_t max_posts);
/* Closes ring and opens it with other sizes. */
void script_reopen(uint32_t entries, uint32_t cq_entries, uint32_t max_ops);
/* The engine ends well whatever the test had made it do; then the ring is
 * closed, which must leave nothing behind. */
void script_close(void);

/* One turn that does not wait; fails the test on an error. Returns how many
 * handlers ran. */
int script_turn(void);
/* Moves the clock, then turns. */
int script_turn_at(uint64_t now);
int script_turn_after(uint64_t ns);

/* Entries that enter() has taken, oldest first. */
size_t script_taken_count(void);
const struct peal__sqe *script_taken(size_t at);
/* The latest entry of op; NULL: none was taken. */
const struct peal__sqe *script_entry(peal_op op);
/* How many entries op has had. */
unsigned script_entries(peal_op op);
/* How many entries ask to cancel op, and the user_data of the latest. */
unsigned script_cancels(peal_op op);
uint64_t script_cancel_data(peal_op op);

/* Entries that were taken and have not had a last completion. */
size_t script_pending_count(void);
const struct peal__sqe *script_pending(size_t at);
int script_is_pending(uint64_t user_data);

/* Puts a completion behind the others, of whatever it is. */
void script_complete(uint64_t user_data, int32_t res, uint32_t flags);

/* An on_taken that behaves: cancels end what they name with -ECANCELED,
 * closes and nops answer 0, all others wait. */
void script_answer(const struct peal__sqe *sqe);

/* A random number; the same seed gives the same ones. Seeds are printed, so
 * that a failure can be repeated. */
void script_seed(uint64_t seed);
uint64_t script_random(void);
uint32_t script_below(uint32_t limit);	/* 0 to limit - 1 */

/* Nothing is left in the ring: no row, no timer, nothing owed. */
void script_is_idle(void);

#endif
