/* SPDX-License-Identifier: MIT */
/*
 * Ops that complete many times: those that the kernel ends for its own reasons
 * go on, on a kernel without them one-shots do the same.
 */
#include "test/scripted.h"

SCRIPT_SYSTEM

static peal_op accept_in_flight(void)
{
	peal_op op = peal_accept_multishot(ring, 3, 0, on_done, NULL);

	ck_assert_int_gt(op, 0);
	script_turn();
	return op;
}

static peal_op poll_in_flight(void)
{
	peal_op op = peal_poll_multishot(ring, 3, POLLIN, 0, on_done, NULL);

	ck_assert_int_gt(op, 0);
	script_turn();
	return op;
}

static void completes(peal_op op, int32_t res, uint32_t flags)
{
	script_complete((uint64_t)op, res, flags);
	script_turn();
	script_turn();
}

static void last_call(peal_op op, unsigned calls, int64_t result, int more)
{
	ck_assert_uint_eq(outcome(op)->calls, calls);
	ck_result(outcome(op)->result, result);
	ck_assert_int_eq((outcome(op)->flags & PEAL_MORE) != 0, more);
	ck_assert_int_eq(peal_op_in_flight(ring, op), more);
}

/* --- the entries ------------------------------------------------------ */

SCRIPT_TEST(accept_asks_for_many_and_for_close_on_exec)
{
	const struct peal__sqe *sqe = script_entry(accept_in_flight());

	ck_assert_uint_eq(sqe->opcode, PEAL__OP_ACCEPT);
	ck_assert_uint_eq(sqe->ioprio, PEAL__ACCEPT_MULTISHOT);
	ck_assert_uint_eq(sqe->op_flags, SOCK_CLOEXEC);
	ck_assert_uint_eq(sqe->addr, 0);
	ck_assert_uint_eq(sqe->off, 0);
}

SCRIPT_TEST(poll_asks_for_many)
{
	const struct peal__sqe *sqe = script_entry(poll_in_flight());

	ck_assert_uint_eq(sqe->opcode, PEAL__OP_POLL_ADD);
	ck_assert_uint_eq(sqe->len, PEAL__POLL_ADD_MULTI);
	ck_assert_uint_eq(sqe->op_flags, POLLIN);
}

SCRIPT_TEST(plain_poll_asks_for_one)
{
	peal_op op = peal_poll(ring, 3, POLLOUT, 0, on_done, NULL);

	script_turn();
	ck_assert_uint_eq(script_entry(op)->len, 0);
	completes(op, POLLOUT, 0);
	last_call(op, 1, POLLOUT, 0);
}

/* --- it goes on ------------------------------------------------------- */

SCRIPT_TEST(completions_with_more_come_one_by_one)
{
	peal_op op = accept_in_flight();
	int fd;

	for (fd = 10; fd < 20; fd++) {
		completes(op, fd, PEAL__CQE_MORE);
		last_call(op, (unsigned)fd - 9, fd, 1);
	}
	ck_assert_uint_eq(script_entries(op), 1);
	ck_assert_uint_eq(ring->stats.rearmed, 0);
}

SCRIPT_TEST(good_result_without_more_arms_it_again_and_keeps_more)
{
	peal_op op = accept_in_flight();

	completes(op, 10, 0);
	last_call(op, 1, 10, 1);
	ck_assert_uint_eq(script_entries(op), 2);
	ck_assert_uint_eq(script_entry(op)->ioprio, PEAL__ACCEPT_MULTISHOT);
	ck_assert_uint_eq(ring->stats.rearmed, 1);
	completes(op, 11, PEAL__CQE_MORE);
	last_call(op, 2, 11, 1);
}

SCRIPT_TEST(poll_that_is_ended_well_is_armed_again_with_its_events)
{
	peal_op op = poll_in_flight();

	completes(op, POLLIN, 0);
	last_call(op, 1, POLLIN, 1);
	ck_assert_uint_eq(script_entries(op), 2);
	ck_assert_uint_eq(script_entry(op)->op_flags, POLLIN);
	ck_assert_uint_eq(script_entry(op)->len, PEAL__POLL_ADD_MULTI);
}

SCRIPT_TEST(it_is_armed_again_however_often_it_is_ended)
{
	peal_op op = accept_in_flight();
	unsigned at;

	for (at = 1; at <= 100; at++) {
		completes(op, 10, at % 3 ? 0 : PEAL__CQE_MORE);
		last_call(op, at, 10, 1);
	}
	ck_assert_uint_eq(ring->stats.rearmed, 67);
	ck_assert_uint_eq(script_entries(op), 68);
}

SCRIPT_TEST(error_ends_it)
{
	peal_op op = accept_in_flight();

	completes(op, 10, PEAL__CQE_MORE);
	completes(op, -EMFILE, 0);
	last_call(op, 2, -EMFILE, 0);
	ck_assert_uint_eq(script_entries(op), 1);
}

SCRIPT_TEST(error_with_more_does_not_end_it)
{
	peal_op op = accept_in_flight();

	completes(op, -ECONNABORTED, PEAL__CQE_MORE);
	last_call(op, 1, -ECONNABORTED, 1);
	completes(op, 10, PEAL__CQE_MORE);
	last_call(op, 2, 10, 1);
}

SCRIPT_TEST(full_completion_queue_ends_no_multishot)
{
	/* What the kernel does: the one that does not fit ends it, well. */
	peal_op op;
	int round, fd;

	script_reopen(64, 4, 64);
	op = accept_in_flight();
	for (round = 0; round < 5; round++) {
		for (fd = 0; fd < 5; fd++)
			script_complete((uint64_t)op, fd,
					fd < 4 ? PEAL__CQE_MORE : 0);
		for (fd = 0; fd < 4; fd++)
			script_turn();
	}
	last_call(op, 25, 4, 1);
	ck_assert_uint_eq(ring->stats.rearmed, 5);
}

/* --- cancel and deadline ---------------------------------------------- */

SCRIPT_TEST(good_result_after_a_cancel_ends_it_and_is_told)
{
	peal_op op = accept_in_flight();

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	completes(op, 10, 0);
	last_call(op, 1, 10, 0);
	ck_assert_uint_eq(outcome(op)->flags, PEAL_CANCELLED);
	ck_assert_uint_eq(script_entries(op), 1);
}

SCRIPT_TEST(results_with_more_after_a_cancel_are_told)
{
	peal_op op = accept_in_flight();

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	completes(op, 10, PEAL__CQE_MORE);
	last_call(op, 1, 10, 1);
	completes(op, -ECANCELED, 0);
	last_call(op, 2, -ECANCELED, 0);
}

SCRIPT_TEST(einval_after_a_cancel_is_no_reason_for_a_one_shot)
{
	peal_op op = accept_in_flight();

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	completes(op, -EINVAL, 0);
	last_call(op, 1, -EINVAL, 0);
	ck_assert_uint_eq(script_entries(op), 1);
}

static void on_done_cancel_it(struct peal_ring *where,
			      const struct peal_completion *done)
{
	on_done(where, done);
	if (done->flags & PEAL_MORE)
		ck_result(peal_cancel(where, done->op, 0, NULL, NULL), 0);
}

SCRIPT_TEST(handler_may_cancel_what_has_just_been_armed_again)
{
	peal_op op = peal_accept_multishot(ring, 3, 0, on_done_cancel_it, NULL);

	script_turn();
	completes(op, 10, 0);
	ck_assert_uint_eq(script_entries(op), 2);
	ck_assert_uint_eq(script_cancels(op), 1);
	completes(op, -ECANCELED, 0);
	last_call(op, 2, -ECANCELED, 0);
}

SCRIPT_TEST(deadline_of_a_multishot_ends_it)
{
	peal_op op = accept_in_flight();

	ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	completes(op, 10, 0);
	script_turn_after(PEAL_MS);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 1);
	completes(op, 11, 0);
	last_call(op, 2, 11, 0);
	ck_assert_uint_eq(outcome(op)->flags, PEAL_TIMED_OUT);
}

SCRIPT_TEST(early_deadline_of_a_multishot_is_told_in_two_stages)
{
	peal_op op = poll_in_flight();

	ck_result(peal_deadline(ring, op, PEAL_MS, PEAL_EARLY), 0);
	script_turn_after(PEAL_MS);
	last_call(op, 1, -ETIMEDOUT, 1);
	completes(op, -ECANCELED, 0);
	last_call(op, 2, -ETIMEDOUT, 0);
}

/* --- one-shots -------------------------------------------------------- */

static void goes_on_as_one_shots(peal_op op)
{
	ck_assert_uint_eq(script_entry(op)->ioprio, 0);
	ck_assert_uint_eq(script_entry(op)->len, 0);
}

SCRIPT_TEST(einval_turns_it_into_one_shots_that_nobody_notices)
{
	peal_op op = accept_in_flight();
	unsigned at;

	completes(op, -EINVAL, 0);
	ck_assert_uint_eq(outcome(op)->calls, 0);
	for (at = 1; at <= 5; at++) {
		ck_assert_uint_eq(script_entries(op), at + 1);
		goes_on_as_one_shots(op);
		ck_assert_uint_eq(script_entry(op)->op_flags, SOCK_CLOEXEC);
		completes(op, 10, 0);
		last_call(op, at, 10, 1);
	}
}

SCRIPT_TEST(poll_goes_on_as_one_shots_with_its_events)
{
	peal_op op = poll_in_flight();

	completes(op, -EINVAL, 0);
	goes_on_as_one_shots(op);
	ck_assert_uint_eq(script_entry(op)->op_flags, POLLIN);
	completes(op, POLLIN | POLLHUP, 0);
	last_call(op, 1, POLLIN | POLLHUP, 1);
}

SCRIPT_TEST(einval_of_the_one_shot_is_told)
{
	/* The fd does not listen: the one-shot says so as well. */
	peal_op op = accept_in_flight();

	completes(op, -EINVAL, 0);
	completes(op, -EINVAL, 0);
	last_call(op, 1, -EINVAL, 0);
	ck_assert_uint_eq(script_entries(op), 2);
}

SCRIPT_TEST(multishot_switched_off_starts_as_one_shots)
{
	peal_op accept, poll_op;

	ring->no_multishot = 1;
	accept = accept_in_flight();
	poll_op = poll_in_flight();
	goes_on_as_one_shots(accept);
	goes_on_as_one_shots(poll_op);
	completes(accept, 10, 0);
	last_call(accept, 1, 10, 1);
	goes_on_as_one_shots(accept);
}

SCRIPT_TEST(cancelled_one_shot_is_not_started_again)
{
	peal_op op;

	ring->no_multishot = 1;
	op = accept_in_flight();
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	completes(op, 10, 0);
	last_call(op, 1, 10, 0);
	ck_assert_uint_eq(script_entries(op), 1);
}

SUITE("ops_misc")
