/* SPDX-License-Identifier: MIT */
/* What a handler may do while it runs: nearly everything. */
#include "test/harness.h"

static unsigned calls;
static int fds[2];
static char buf[16];

static void on_count(struct peal_ring *where,
		     const struct peal_completion *done)
{
	(void)where;
	(void)done;
	calls++;
}

static void on_done_start_one(struct peal_ring *where,
			      const struct peal_completion *done)
{
	on_done(where, done);
	ck_assert_int_gt(peal_nop(where, 0, on_count, NULL), 0);
	ck_assert_uint_eq(calls, 0);
}

TEST(op_started_in_a_handler_runs_after_it)
{
	ck_result(finish(peal_nop(ring, 0, on_done_start_one, NULL)), 0);
	UNTIL(calls == 1);
}

static void on_done_start_many(struct peal_ring *where,
			       const struct peal_completion *done)
{
	unsigned at;

	on_done(where, done);
	for (at = 0; at < 5000; at++)
		ck_assert_int_gt(peal_nop(where, 0, on_count, NULL), 0);
	ck_assert_uint_eq(calls, 0);
}

TEST(thousands_of_ops_started_in_a_handler_run_after_it)
{
	struct peal_ring_options options = harness_options();

	options.entries = 4;
	options.cq_entries = 4;
	reopen_ring(&options);
	ck_result(finish(peal_nop(ring, 0, on_done_start_many, NULL)), 0);
	UNTIL(calls == 5000);
}

/* --- deep chains --------------------------------------------------------- */

static uintptr_t lowest, highest;

static void on_done_chain(struct peal_ring *where,
			  const struct peal_completion *done)
{
	char here;
	uintptr_t at = (uintptr_t)&here;

	(void)done;
	if (!lowest || at < lowest)
		lowest = at;
	if (at > highest)
		highest = at;
	if (++calls < 100000)
		ck_assert_int_gt(peal_nop(where, 0, on_done_chain, NULL), 0);
}

TEST(chain_of_a_hundred_thousand_does_not_grow_the_stack)
{
	peal_nop(ring, 0, on_done_chain, NULL);
	ck_result(peal_ring_run(ring), 0);
	ck_assert_uint_eq(calls, 100000);
	ck_assert_uint_lt(highest - lowest, 4096);
}

static void on_sleep_chain(struct peal_ring *where,
			   const struct peal_completion *done)
{
	char here;
	uintptr_t at = (uintptr_t)&here;

	(void)done;
	if (!lowest || at < lowest)
		lowest = at;
	if (at > highest)
		highest = at;
	if (++calls < 10000)
		ck_assert_int_gt(peal_sleep(where, 0, 0, on_sleep_chain, NULL),
				 0);
}

TEST(chain_of_zero_sleeps_does_not_grow_the_stack)
{
	peal_sleep(ring, 0, 0, on_sleep_chain, NULL);
	ck_result(peal_ring_run(ring), 0);
	ck_assert_uint_eq(calls, 10000);
	ck_assert_uint_lt(highest - lowest, 4096);
}

/* --- run, turn, stop ----------------------------------------------------- */

static void on_done_run(struct peal_ring *where,
			const struct peal_completion *done)
{
	on_done(where, done);
	ck_result(peal_ring_run(where), -EDEADLK);
	ck_result(peal_ring_turn(where, 0), -EDEADLK);
	ck_result(peal_ring_turn(where, PEAL_FOREVER), -EDEADLK);
}

TEST(run_and_turn_inside_a_handler_are_edeadlk)
{
	ck_result(finish(peal_nop(ring, 0, on_done_run, NULL)), 0);
	ck_result(finish(peal_nop(ring, 0, on_done, NULL)), 0);
}

static void in_post_run(struct peal_ring *where, void *ctx)
{
	(void)ctx;
	ck_result(peal_ring_run(where), -EDEADLK);
	ck_result(peal_ring_turn(where, 0), -EDEADLK);
	ck_result(peal_ring_close(where, 0), -EDEADLK);
	calls++;
}

TEST(run_and_turn_and_close_inside_a_post_are_edeadlk)
{
	ck_result(peal_post(ring, in_post_run, NULL), 0);
	UNTIL(calls == 1);
}

TEST(run_of_an_idle_ring_returns_zero_at_once)
{
	ck_result(peal_ring_run(ring), 0);
}

TEST(run_returns_zero_when_all_is_done)
{
	peal_op op = peal_nop(ring, 0, on_done, NULL);

	peal_sleep(ring, PEAL_MS, 0, on_count, NULL);
	ck_result(peal_ring_run(ring), 0);
	ck_assert(finished(op));
	ck_assert_uint_eq(calls, 1);
}

static void on_count_stop_at_three(struct peal_ring *where,
				   const struct peal_completion *done)
{
	on_count(where, done);
	if (calls == 3)
		peal_ring_stop(where);
}

TEST(stop_makes_run_return_when_this_handler_has_returned)
{
	unsigned at;

	for (at = 0; at < 10; at++)
		peal_nop(ring, 0, on_count_stop_at_three, NULL);
	ck_result(peal_ring_run(ring), 1);
	ck_assert_uint_eq(calls, 3);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 7);
	ck_result(peal_ring_run(ring), 0);
	ck_assert_uint_eq(calls, 10);
}

static void on_count_stop(struct peal_ring *where,
			  const struct peal_completion *done)
{
	on_count(where, done);
	peal_ring_stop(where);
}

TEST(stop_in_each_handler_loses_none)
{
	unsigned at;

	for (at = 0; at < 100; at++)
		peal_nop(ring, 0, on_count_stop, NULL);
	for (at = 1; at <= 100; at++) {
		ck_assert_int_ge(peal_ring_run(ring), 0);
		ck_assert_uint_eq(calls, at);
	}
	ck_result(peal_ring_run(ring), 0);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

TEST(turn_returns_how_many_handlers_ran)
{
	unsigned at;

	ck_result(peal_ring_turn(ring, 0), 0);
	for (at = 0; at < 10; at++)
		peal_nop(ring, 0, on_count, NULL);
	ck_result(peal_ring_turn(ring, PEAL_FOREVER), 10);
	ck_assert_uint_eq(calls, 10);
}

/* --- other ops of the turn ----------------------------------------------- */

static peal_op others[10];

static void on_done_cancel_others(struct peal_ring *where,
				  const struct peal_completion *done)
{
	unsigned at;
	int result;

	on_done(where, done);
	for (at = 0; at < 10; at++) {
		result = (int)peal_cancel(where, others[at], 0, NULL, NULL);
		ck_assert(result == 0 || result == -ENOENT);
	}
}

TEST(handler_may_cancel_ops_that_complete_in_the_same_turn)
{
	unsigned at;

	for (at = 0; at < 10; at++)
		others[at] = peal_nop(ring, 0, at == 4 ?
				      on_done_cancel_others : on_done, NULL);
	for (at = 0; at < 10; at++)
		finish(others[at]);
	settle();
	for (at = 0; at < 10; at++)
		ck_assert_uint_eq(outcome(others[at])->calls, 1);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

static void on_done_close_fd(struct peal_ring *where,
			     const struct peal_completion *done)
{
	on_done(where, done);
	close(fds[1]);
}

TEST(handler_may_close_what_another_op_waits_for)
{
	peal_op op;

	make_pipe(fds);
	op = peal_read(ring, fds[0], buf, 1, PEAL_CURRENT, 0, on_done, NULL);
	peal_nop(ring, 0, on_done_close_fd, NULL);
	ck_result(finish(op), 0);
}

static struct peal_ring *second;

static void on_done_use_other_ring(struct peal_ring *where,
				   const struct peal_completion *done)
{
	struct peal_ring_options options = harness_options();

	on_done(where, done);
	second = open_ring(&options);
	ck_assert_int_gt(peal_nop(second, 0, on_count, NULL), 0);
	ck_result(peal_ring_run(second), 0);
	close_ring(second);
}

TEST(handler_may_open_run_and_close_another_ring)
{
	ck_result(finish(peal_nop(ring, 0, on_done_use_other_ring, NULL)), 0);
	ck_assert_uint_eq(calls, 1);
}

static void on_done_look(struct peal_ring *where,
			 const struct peal_completion *done)
{
	FILE *out = fopen("/dev/null", "we");

	on_done(where, done);
	ck_assert_ptr_nonnull(out);
	peal_ring_dump(where, out);
	peal_ring_explain(where, out);
	fclose(out);
	peal_ring_hold(where);
	peal_ring_release(where);
	ck_assert_uint_eq(peal_ring_in_flight(where), 0);
}

TEST(handler_may_look_at_the_ring)
{
	ck_result(finish(peal_nop(ring, 0, on_done_look, NULL)), 0);
}

/* --- fairness ------------------------------------------------------------ */

static int chain_on = 1;

static void on_done_for_ever(struct peal_ring *where,
			     const struct peal_completion *done)
{
	(void)done;
	if (chain_on)
		peal_nop(where, 0, on_done_for_ever, NULL);
}

TEST(chain_of_nops_does_not_starve_timers_and_descriptors)
{
	peal_op op, sleep;

	make_pipe(fds);
	op = peal_read(ring, fds[0], buf, 1, PEAL_CURRENT, 0, on_done, NULL);
	sleep = peal_sleep(ring, PEAL_MS, 0, on_done, NULL);
	peal_nop(ring, 0, on_done_for_ever, NULL);
	settle();
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	UNTIL(finished(op) && finished(sleep));
	chain_on = 0;
	UNTIL(peal_ring_in_flight(ring) == 0);
}

SUITE("reentry")
