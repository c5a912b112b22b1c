/* SPDX-License-Identifier: MIT */
/*
 * Deadlines (lib/time.c), with a clock that moves when it is told to: in every
 * order with results, cancels and each other. Those of full transfers,
 * multishot ops and closes are in the tests of those.
 */
#include "test/scripted.h"

SCRIPT_SYSTEM

static char buf[8];

static peal_op in_flight(void)
{
	peal_op op = peal_read(ring, 3, buf, 1, 0, 0, on_done, NULL);

	ck_assert_int_gt(op, 0);
	script_turn();
	return op;
}

static peal_op asleep(uint64_t ns)
{
	peal_op op = peal_sleep(ring, ns, 0, on_done, NULL);

	ck_assert_int_gt(op, 0);
	return op;
}

static void deadline(peal_op op, uint64_t ns, unsigned flags)
{
	ck_result(peal_deadline(ring, op, ns, flags), 0);
}

static void completes(peal_op op, int32_t res)
{
	script_complete((uint64_t)op, res, 0);
	script_turn();
}

static void ends_with(peal_op op, int64_t result, uint32_t flags,
		      unsigned calls)
{
	ck_assert_uint_eq(outcome(op)->terminal, 1);
	ck_assert_uint_eq(outcome(op)->calls, calls);
	ck_result(outcome(op)->result, result);
	ck_assert_uint_eq(outcome(op)->flags, flags);
}

/* --- passing ---------------------------------------------------------- */

SCRIPT_TEST(op_is_cancelled_when_its_deadline_passes_not_before)
{
	peal_op op = in_flight();

	deadline(op, PEAL_MS, 0);
	script_turn_after(PEAL_MS - 1);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 0);
	script_turn_after(1);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 1);
	ck_assert_uint_eq(outcome(op)->calls, 0);
	completes(op, -ECANCELED);
	ends_with(op, -ETIMEDOUT, PEAL_TIMED_OUT, 1);
	ck_assert_uint_eq(ring->stats.timeouts, 1);
}

SCRIPT_TEST(wait_ends_when_a_deadline_passes)
{
	deadline(in_flight(), 5 * PEAL_MS, 0);
	ck_result(peal_ring_turn(ring, PEAL_S), 0);
	ck_assert_uint_eq(script.last_timeout_ns, 5 * PEAL_MS);
	script_turn();
}

SCRIPT_TEST(result_in_the_turn_of_the_deadline_wins)
{
	peal_op op = in_flight();

	deadline(op, PEAL_MS, 0);
	script.now += PEAL_MS;
	completes(op, 1);
	ends_with(op, 1, 0, 1);
	ck_assert_uint_eq(ring->stats.timeouts, 0);
}

SCRIPT_TEST(result_after_the_deadline_is_told_and_marked)
{
	peal_op op = in_flight();

	deadline(op, PEAL_MS, 0);
	script_turn_after(PEAL_MS);
	completes(op, 1);
	ends_with(op, 1, PEAL_TIMED_OUT, 1);
}

SCRIPT_TEST(error_after_the_deadline_is_told_and_marked)
{
	peal_op op = in_flight();

	deadline(op, PEAL_MS, 0);
	script_turn_after(PEAL_MS);
	completes(op, -EIO);
	ends_with(op, -EIO, PEAL_TIMED_OUT, 1);
}

SCRIPT_TEST(op_that_is_done_takes_its_deadline_with_it)
{
	peal_op op = in_flight(), next;

	deadline(op, PEAL_MS, 0);
	completes(op, 1);
	ck_assert_uint_eq(ring->wheel.count, 0);
	next = in_flight();
	script_turn_after(PEAL_S);
	script_turn();
	ck_assert_uint_eq(script_cancels(next), 0);
}

SCRIPT_TEST(deadline_that_finds_the_queue_full_is_owed)
{
	peal_op op = in_flight();

	deadline(op, PEAL_MS, 0);
	while (peal__sq_room(ring))
		ck_assert_int_gt(peal_nop(ring, 0, NULL, NULL), 0);
	script.take_at_most = 0;
	script_turn_after(PEAL_MS);
	ck_assert_uint_eq(ring->owed, 1);
	script.take_at_most = UINT32_MAX;
	script_turn();
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 1);
}

SCRIPT_TEST(deadline_of_a_raw_op_leaves_its_error_alone)
{
	peal_op op = in_flight();

	peal__row_find(ring, op)->flags |= ROW_RAW;
	deadline(op, PEAL_MS, 0);
	script_turn_after(PEAL_MS);
	completes(op, -ECANCELED);
	ends_with(op, -ECANCELED, PEAL_TIMED_OUT, 1);
}

SCRIPT_TEST(deadline_far_away_is_clamped)
{
	peal_op op = in_flight();

	deadline(op, PEAL_FOREVER - 1, 0);
	ck_assert_uint_eq(peal__row_find(ring, op)->due_ns,
			  (UINT64_C(1) << 62) - 1);
	completes(op, 1);
}

/* --- refused ---------------------------------------------------------- */

SCRIPT_TEST(deadline_of_what_is_not_in_flight_is_enoent)
{
	peal_op op = in_flight();

	completes(op, 1);
	ck_result(peal_deadline(ring, op, 1, 0), -ENOENT);
	ck_result(peal_deadline(ring, 0, 1, 0), -ENOENT);
	ck_result(peal_deadline(ring, -1, 1, 0), -ENOENT);
	ck_result(peal_deadline(ring, INT64_MAX, 1, 0), -ENOENT);
}

SCRIPT_TEST(deadline_of_what_waits_for_its_handler_changes_nothing)
{
	peal_op op = peal_sleep(ring, PEAL_S, 0, on_done, NULL);

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_assert_int_eq(peal_op_in_flight(ring, op), 1);
	ck_result(peal_deadline(ring, op, 1, 0), 0);
	script_turn();
	ck_result(outcome(op)->result, -ECANCELED);
	ck_assert_uint_eq(outcome(op)->calls, 1);
}

SCRIPT_TEST(deadline_of_a_cancel_is_einval)
{
	peal_op op = in_flight();
	peal_op cancel = peal_cancel(ring, op, 0, on_done, NULL);

	ck_result(peal_deadline(ring, cancel, 1, 0), -EINVAL);
	script_turn();
	ck_assert_uint_eq(script_cancel_data(op), (uint64_t)cancel);
}

SCRIPT_TEST(unknown_flag_is_einval_and_changes_nothing)
{
	peal_op op = in_flight();
	unsigned bit;

	deadline(op, PEAL_S, 0);
	for (bit = 0; bit < 32; bit++)
		if (1u << bit != PEAL_EARLY)
			ck_result(peal_deadline(ring, op, 0, 1u << bit),
				  -EINVAL);
	script_turn_after(PEAL_S - 1);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 0);
}

/* --- replaced, removed ------------------------------------------------ */

SCRIPT_TEST(second_deadline_replaces_the_first)
{
	peal_op later = in_flight(), sooner = in_flight();

	deadline(later, PEAL_MS, 0);
	deadline(later, 3 * PEAL_MS, 0);
	deadline(sooner, 3 * PEAL_MS, 0);
	deadline(sooner, PEAL_MS, 0);
	script_turn_after(2 * PEAL_MS);
	script_turn();
	ck_assert_uint_eq(script_cancels(later), 0);
	ck_assert_uint_eq(script_cancels(sooner), 1);
	script_turn_after(PEAL_MS);
	script_turn();
	ck_assert_uint_eq(script_cancels(later), 1);
	ck_assert_uint_eq(ring->stats.timeouts, 2);
}

SCRIPT_TEST(deadline_of_forever_removes_it)
{
	peal_op op = in_flight();

	deadline(op, PEAL_FOREVER, 0);
	deadline(op, PEAL_MS, PEAL_EARLY);
	deadline(op, PEAL_FOREVER, 0);
	ck_assert_uint_eq(ring->wheel.count, 0);
	script_turn_after(PEAL_S);
	completes(op, 1);
	ends_with(op, 1, 0, 1);
}

SCRIPT_TEST(deadline_without_early_replaces_one_with_it)
{
	peal_op op = in_flight();

	deadline(op, PEAL_MS, PEAL_EARLY);
	deadline(op, PEAL_MS, 0);
	script_turn_after(PEAL_MS);
	ck_assert_uint_eq(outcome(op)->calls, 0);
	completes(op, -ECANCELED);
	ends_with(op, -ETIMEDOUT, PEAL_TIMED_OUT, 1);
}

SCRIPT_TEST(deadline_may_be_set_again_after_it_passed)
{
	peal_op op = in_flight();

	deadline(op, PEAL_MS, 0);
	script_turn_after(PEAL_MS);
	deadline(op, PEAL_MS, PEAL_EARLY);
	script_turn_after(PEAL_MS);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	completes(op, -ECANCELED);
	ends_with(op, -ETIMEDOUT, PEAL_TIMED_OUT, 2);
}

/* --- and cancels ------------------------------------------------------ */

SCRIPT_TEST(cancel_before_the_deadline_names_the_result)
{
	peal_op op = in_flight();

	deadline(op, PEAL_MS, 0);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	script_turn_after(PEAL_MS);
	completes(op, -ECANCELED);
	ends_with(op, -ECANCELED, PEAL_CANCELLED, 1);
	ck_assert_uint_eq(script_cancels(op), 1);
}

SCRIPT_TEST(deadline_before_the_cancel_names_the_result)
{
	peal_op op = in_flight();

	deadline(op, PEAL_MS, 0);
	script_turn_after(PEAL_MS);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	completes(op, -ECANCELED);
	ends_with(op, -ETIMEDOUT, PEAL_TIMED_OUT, 1);
}

static peal_op victim;

static void on_done_cancel(struct peal_ring *where,
			   const struct peal_completion *done)
{
	on_done(where, done);
	ck_result(peal_cancel(where, victim, 0, NULL, NULL), 0);
}

SCRIPT_TEST(cancel_by_a_timer_of_the_same_turn_comes_before_a_later_deadline)
{
	victim = in_flight();
	deadline(victim, 2, 0);
	ck_assert_int_gt(peal_sleep(ring, 1, 0, on_done_cancel, NULL), 0);
	script_turn_after(10);
	completes(victim, -ECANCELED);
	ends_with(victim, -ECANCELED, PEAL_CANCELLED, 1);
}

/* --- two stages ------------------------------------------------------- */

SCRIPT_TEST(early_deadline_calls_the_handler_and_again_at_the_end)
{
	peal_op op = in_flight();

	deadline(op, PEAL_MS, PEAL_EARLY);
	ck_assert_int_eq(script_turn_after(PEAL_MS), 1);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert_uint_eq(outcome(op)->terminal, 0);
	ck_result(outcome(op)->result, -ETIMEDOUT);
	ck_assert_uint_eq(outcome(op)->flags, PEAL_MORE | PEAL_TIMED_OUT);
	ck_assert(peal_op_in_flight(ring, op));
	completes(op, -ECANCELED);
	ends_with(op, -ETIMEDOUT, PEAL_TIMED_OUT, 2);
}

SCRIPT_TEST(result_after_the_early_stage_is_told)
{
	peal_op op = in_flight();

	deadline(op, PEAL_MS, PEAL_EARLY);
	script_turn_after(PEAL_MS);
	completes(op, 1);
	ends_with(op, 1, PEAL_TIMED_OUT, 2);
}

SCRIPT_TEST(early_stage_that_the_op_beats_is_never_heard_of)
{
	peal_op op = in_flight();

	deadline(op, PEAL_MS, PEAL_EARLY);
	script.now += PEAL_MS;
	completes(op, 1);
	ends_with(op, 1, 0, 1);
}

SCRIPT_TEST(early_stage_comes_once)
{
	peal_op op = in_flight();

	deadline(op, PEAL_MS, PEAL_EARLY);
	script_turn_after(PEAL_MS);
	script_turn_after(PEAL_S);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	completes(op, -EINTR);
	ends_with(op, -ETIMEDOUT, PEAL_TIMED_OUT, 2);
}

SCRIPT_TEST(early_stage_of_a_cancelled_op_is_told)
{
	peal_op op = in_flight();

	deadline(op, PEAL_MS, PEAL_EARLY);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	script_turn_after(PEAL_MS);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	completes(op, -ECANCELED);
	ends_with(op, -ECANCELED, PEAL_CANCELLED, 2);
}

SCRIPT_TEST(early_stage_of_an_op_that_is_owed_comes_before_its_end)
{
	peal_op op = peal_accept_multishot(ring, 3, 0, on_done, NULL);

	script_turn();
	deadline(op, PEAL_MS, PEAL_EARLY);
	while (peal__sq_room(ring))
		ck_assert_int_gt(peal_nop(ring, 0, NULL, NULL), 0);
	script.take_at_most = 0;
	completes(op, 7);
	ck_assert_uint_eq(ring->owed, 1);
	script_turn_after(PEAL_MS);
	ck_assert_uint_eq(outcome(op)->calls, 2);
	ck_assert_uint_eq(outcome(op)->flags, PEAL_MORE | PEAL_TIMED_OUT);
	script_turn();
	ends_with(op, -ETIMEDOUT, PEAL_TIMED_OUT, 3);
}

static void on_early_cancel_and_sleep(struct peal_ring *where,
				      const struct peal_completion *done)
{
	on_done(where, done);
	if (!(done->flags & PEAL_MORE))
		return;
	ck_result(peal_cancel(where, done->op, 0, NULL, NULL), 0);
	ck_result(peal_deadline(where, done->op, PEAL_MS, PEAL_EARLY), 0);
}

SCRIPT_TEST(early_handler_may_cancel_and_set_another_deadline)
{
	peal_op op = peal_read(ring, 3, buf, 1, 0, 0, on_early_cancel_and_sleep,
			       NULL);

	script_turn();
	deadline(op, PEAL_MS, PEAL_EARLY);
	script_turn_after(PEAL_MS);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	script_turn_after(PEAL_MS);
	ck_assert_uint_eq(outcome(op)->calls, 2);
	completes(op, -ECANCELED);
	ends_with(op, -ETIMEDOUT, PEAL_TIMED_OUT, 3);
	ck_assert_uint_eq(ring->wheel.count, 0);
}

/* --- of sleeps -------------------------------------------------------- */

SCRIPT_TEST(deadline_before_the_end_of_a_sleep_ends_it_and_is_counted)
{
	peal_op op = asleep(PEAL_S);

	deadline(op, PEAL_MS, 0);
	script_turn_after(PEAL_MS);
	ends_with(op, -ETIMEDOUT, PEAL_TIMED_OUT, 1);
	ck_assert_uint_eq(ring->stats.timeouts, 1);
}

SCRIPT_TEST(deadline_behind_the_end_of_a_sleep_is_never_heard_of)
{
	peal_op later = asleep(PEAL_MS), same = asleep(PEAL_MS);

	deadline(later, PEAL_S, 0);
	deadline(same, PEAL_MS, 0);
	script_turn_after(PEAL_MS);
	ends_with(later, 0, 0, 1);
	ends_with(same, 0, 0, 1);
	ck_assert_uint_eq(ring->stats.timeouts, 0);
}

SCRIPT_TEST(deadline_of_a_sleep_can_be_moved_and_removed)
{
	peal_op moved = asleep(PEAL_S), removed = asleep(PEAL_S);

	deadline(moved, PEAL_MS, 0);
	deadline(moved, 3 * PEAL_MS, 0);
	deadline(removed, PEAL_MS, 0);
	deadline(removed, PEAL_FOREVER, 0);
	script_turn_after(2 * PEAL_MS);
	ck_assert(!finished(moved));
	script_turn_after(PEAL_MS);
	ends_with(moved, -ETIMEDOUT, PEAL_TIMED_OUT, 1);
	ck_assert(!finished(removed));
	script_turn_after(PEAL_S);
	ends_with(removed, 0, 0, 1);
}

SCRIPT_TEST(sleep_again_takes_the_deadline_away)
{
	peal_op op = asleep(PEAL_S);

	deadline(op, PEAL_MS, 0);
	ck_result(peal_sleep_again(ring, op, 5 * PEAL_MS), 0);
	script_turn_after(4 * PEAL_MS);
	ck_assert(!finished(op));
	script_turn_after(PEAL_MS);
	ends_with(op, 0, 0, 1);
}

SCRIPT_TEST(cancelled_sleep_with_a_deadline_is_cancelled)
{
	peal_op op = asleep(PEAL_S);

	deadline(op, PEAL_MS, 0);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	script_turn_after(PEAL_S);
	ends_with(op, -ECANCELED, PEAL_CANCELLED, 1);
	ck_assert_uint_eq(ring->wheel.count, 0);
}

SCRIPT_TEST(early_deadline_of_a_sleep_has_no_second_stage)
{
	peal_op op = asleep(PEAL_S);

	deadline(op, PEAL_MS, PEAL_EARLY);
	script_turn_after(PEAL_MS);
	ends_with(op, -ETIMEDOUT, PEAL_TIMED_OUT, 1);
}

SUITE("deadline")
