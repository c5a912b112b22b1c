/* SPDX-License-Identifier: MIT */
/*
 * Sleeps, and the ring's clock. Nothing here measures how long something took
 * beyond "not before": a loaded machine may be as late as it likes.
 */
#include <time.h>

#include "test/harness.h"

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * PEAL_S + (uint64_t)now.tv_nsec;
}

static peal_op sleep_for(uint64_t ns)
{
	peal_op op = peal_sleep(ring, ns, 0, on_done, NULL);

	ck_assert_int_gt(op, 0);
	return op;
}

/* --- sleep --------------------------------------------------------------- */

TEST(sleep_finishes_with_zero_and_not_early)
{
	uint64_t start = monotonic_ns();

	ck_result(finish(sleep_for(3 * PEAL_MS)), 0);
	ck_assert_uint_ge(monotonic_ns() - start, 3 * PEAL_MS);
}

TEST(sleep_of_zero_finishes_in_the_next_turn_not_in_the_call)
{
	peal_op op = sleep_for(0);

	ck_assert_uint_eq(outcome(op)->calls, 0);
	ck_ok(peal_ring_turn(ring, 0));
	ck_assert(finished(op));
	ck_result(outcome(op)->result, 0);
}

static peal_op first, second, third;

/* In a handler all of them count from the same time. */
static void on_three(struct peal_ring *where,
		     const struct peal_completion *done)
{
	third = sleep_for(9 * PEAL_MS);
	first = sleep_for(1 * PEAL_MS);
	second = sleep_for(5 * PEAL_MS);
	on_done(where, done);
}

TEST(sleeps_finish_in_the_order_of_their_times)
{
	ck_result(finish(peal_nop(ring, 0, on_three, NULL)), 0);
	ck_result(finish(third), 0);
	ck_assert_uint_eq(outcome(first)->order, 2);
	ck_assert_uint_eq(outcome(second)->order, 3);
	ck_assert_uint_eq(outcome(third)->order, 4);
}

static peal_op countdown[100];

static void on_countdown(struct peal_ring *where,
			 const struct peal_completion *done)
{
	unsigned at;

	for (at = 0; at < 100; at++)
		countdown[at] = sleep_for((100 - at) * 20 * PEAL_US);
	on_done(where, done);
}

TEST(sleeps_that_are_due_in_the_same_turn_finish_in_the_order_of_their_times)
{
	uint64_t start;
	unsigned at;

	finish(peal_nop(ring, 0, on_countdown, NULL));
	start = monotonic_ns();
	while (monotonic_ns() - start < 20 * PEAL_MS)
		;	/* so that all of them are */
	for (at = 0; at < 100; at++)
		ck_result(finish(countdown[at]), 0);
	for (at = 1; at < 100; at++)
		ck_assert_uint_lt(outcome(countdown[at])->order,
				  outcome(countdown[at - 1])->order);
}

static struct {
	uint64_t due_ns;
	int done;
} many[10000];
static uint64_t latest_due_ns;
static unsigned many_done;

static void on_one_of_many(struct peal_ring *where,
			   const struct peal_completion *done)
{
	size_t at = (size_t)(uintptr_t)done->ctx;

	ck_result(done->result, 0);
	ck_assert_int_eq(many[at].done, 0);
	ck_assert_uint_ge(peal_ring_now(where), many[at].due_ns);
	/* Equal to the resolution of a timing wheel's finest slot, at most. */
	ck_assert_uint_ge(many[at].due_ns + PEAL_MS, latest_due_ns);
	if (many[at].due_ns > latest_due_ns)
		latest_due_ns = many[at].due_ns;
	many[at].done = 1;
	many_done++;
}

/* In a handler, where the ring's time stands still. */
static void on_many(struct peal_ring *where, const struct peal_completion *done)
{
	uint64_t state = 1, ns;
	size_t at;

	(void)done;
	for (at = 0; at < 10000; at++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		ns = (state >> 33) % (200 * PEAL_MS);
		many[at].due_ns = peal_ring_now(where) + ns;
		ck_assert_int_gt(peal_sleep(where, ns, 0, on_one_of_many,
					    (void *)(uintptr_t)at), 0);
	}
}

TEST(sleep_serves_ten_thousand_at_once)
{
	ck_assert_int_gt(peal_nop(ring, 0, on_many, NULL), 0);
	UNTIL(many_done == 10000);
}

TEST(sleep_of_the_longest_time_does_not_wrap_around)
{
	peal_op longest = sleep_for(UINT64_MAX - 1);
	peal_op for_ever = sleep_for(PEAL_FOREVER);
	peal_op years = sleep_for(PEAL_S * 86400 * 36500);

	settle();
	ck_result(finish(sleep_for(PEAL_MS)), 0);
	ck_assert(!finished(longest));
	ck_assert(!finished(for_ever));
	ck_assert(!finished(years));
	ck_result(peal_cancel_all(ring, 0, NULL, NULL) >= 0, 1);
	ck_result(finish(longest), -ECANCELED);
	ck_result(finish(for_ever), -ECANCELED);
	ck_result(finish(years), -ECANCELED);
}

TEST(sleep_can_be_cancelled)
{
	peal_op op = sleep_for(3600 * PEAL_S);

	ck_result(finish(peal_cancel(ring, op, 0, on_done, NULL)), 0);
	ck_result(finish(op), -ECANCELED);
	ck_assert(outcome(op)->flags & PEAL_CANCELLED);
}

TEST(sleep_with_an_unknown_flag_is_refused)
{
	ck_result(peal_sleep(ring, 1, 1u << 30, on_done, NULL), -EINVAL);
}

/* --- sleep_again --------------------------------------------------------- */

TEST(sleep_again_makes_it_longer)
{
	uint64_t start = monotonic_ns();
	peal_op op = sleep_for(PEAL_MS);

	ck_result(peal_sleep_again(ring, op, 8 * PEAL_MS), 0);
	ck_result(finish(op), 0);
	ck_assert_uint_ge(monotonic_ns() - start, 8 * PEAL_MS);
}

TEST(sleep_again_makes_it_shorter)
{
	peal_op op = sleep_for(3600 * PEAL_S);

	ck_result(peal_sleep_again(ring, op, PEAL_MS), 0);
	ck_result(finish(op), 0);
}

TEST(sleep_again_many_times_finishes_once)
{
	peal_op op = sleep_for(3600 * PEAL_S);
	unsigned at;

	for (at = 0; at < 100000; at++)
		ck_result(peal_sleep_again(ring, op, (at % 1000) * PEAL_S), 0);
	ck_result(peal_sleep_again(ring, op, 0), 0);
	ck_result(finish(op), 0);
	ck_assert_uint_eq(outcome(op)->calls, 1);
}

TEST(sleep_again_of_a_finished_one_is_enoent)
{
	peal_op op = sleep_for(0);

	ck_result(finish(op), 0);
	ck_result(peal_sleep_again(ring, op, PEAL_MS), -ENOENT);
	ck_result(peal_sleep_again(ring, 12345, PEAL_MS), -ENOENT);
}

TEST(sleep_again_of_something_else_is_einval)
{
	int fds[2];
	char buf[1];
	peal_op op;

	make_pipe(fds);
	op = peal_read(ring, fds[0], buf, 1, PEAL_CURRENT, 0, on_done, NULL);
	ck_result(peal_sleep_again(ring, op, PEAL_MS), -EINVAL);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
}

static void on_sleep_start_another(struct peal_ring *where,
				   const struct peal_completion *done)
{
	unsigned *left = done->ctx;

	on_done(where, done);
	if (--*left > 0)
		ck_assert_int_gt(peal_sleep(where, 0, 0,
					    on_sleep_start_another, left), 0);
}

TEST(sleep_of_zero_from_a_handler_lets_others_run)
{
	/* A chain of zero sleeps must not keep a turn from ending. */
	unsigned left = 1000;
	peal_op other;

	ck_assert_int_gt(peal_sleep(ring, 0, 0, on_sleep_start_another, &left),
			 0);
	other = peal_nop(ring, 0, on_done, NULL);
	ck_ok(peal_ring_turn(ring, 0));
	ck_ok(peal_ring_turn(ring, 0));
	ck_assert(finished(other));
	ck_assert_uint_gt(left, 0);
	UNTIL(left == 0);
}

/* --- the clock ----------------------------------------------------------- */

TEST(now_is_on_the_monotonic_clock)
{
	uint64_t before = monotonic_ns(), now;

	ck_result(finish(peal_sleep(ring, 0, 0, on_done, NULL)), 0);
	now = peal_ring_now(ring);
	ck_assert_uint_ge(now, before);
	ck_assert_uint_le(now, monotonic_ns());
}

static uint64_t now_seen[2];

static void on_done_note_now(struct peal_ring *where,
			     const struct peal_completion *done)
{
	uint64_t start = monotonic_ns();

	now_seen[(uintptr_t)done->ctx] = peal_ring_now(where);
	while (monotonic_ns() - start < PEAL_MS)
		;	/* time passes, the turn's does not */
}

TEST(now_stands_still_during_a_turn)
{
	peal_nop(ring, 0, on_done_note_now, (void *)0);
	peal_nop(ring, 0, on_done_note_now, (void *)1);
	ck_result(peal_ring_turn(ring, PEAL_FOREVER), 2);
	ck_assert_uint_eq(now_seen[0], now_seen[1]);
}

TEST(now_never_goes_back)
{
	uint64_t last = 0;
	unsigned at;

	for (at = 0; at < 1000; at++) {
		ck_ok(peal_ring_turn(ring, 0));
		ck_assert_uint_ge(peal_ring_now(ring), last);
		last = peal_ring_now(ring);
	}
}

TEST(turn_waits_no_longer_than_the_next_sleep)
{
	peal_op op = sleep_for(2 * PEAL_MS);

	/* Without that it would sit here for an hour. */
	while (!finished(op))
		ck_ok(peal_ring_turn(ring, 3600 * PEAL_S));
}

TEST(turn_waits_no_longer_than_it_was_told)
{
	peal_op op = sleep_for(3600 * PEAL_S);

	ck_result(peal_ring_turn(ring, 2 * PEAL_MS), 0);
	ck_result(peal_ring_turn(ring, 0), 0);
	ck_assert(!finished(op));
}

SUITE("time")
