/* SPDX-License-Identifier: MIT */
/*
 * The way of a completion from the engine to its handler: those that no kernel
 * should send, and errors in all their names.
 */
#include "test/scripted.h"

SCRIPT_SYSTEM

static char buf[64];

static peal_op start_read(void)
{
	peal_op op = peal_read(ring, 3, buf, sizeof(buf), 0, 0, on_done, NULL);

	ck_assert_int_gt(op, 0);
	return op;
}

/* Starts a read and hands it to the engine. */
static peal_op read_in_flight(void)
{
	peal_op op = start_read();

	script_turn();
	ck_assert(script_is_pending((uint64_t)op));
	return op;
}

static void completes(uint64_t user_data, int32_t res, uint32_t flags)
{
	script_complete(user_data, res, flags);
	script_turn();
}

/* --- completions that belong to nobody -------------------------------- */

SCRIPT_TEST(result_and_flags_of_the_engine_reach_the_handler)
{
	int ctx;
	peal_op op = peal_read(ring, 3, buf, 9, 0, 0, on_done, &ctx);

	script_turn();
	completes((uint64_t)op, 5, 4u << 16);
	ck_assert_uint_eq(outcome(op)->terminal, 1);
	ck_result(outcome(op)->result, 5);
	ck_assert_uint_eq(outcome(op)->flags, 4u << 16);
	ck_assert_ptr_eq(outcome(op)->ctx, &ctx);
}

SCRIPT_TEST(second_completion_of_an_op_is_stale)
{
	peal_op op = read_in_flight();

	script_complete((uint64_t)op, 1, 0);
	script_complete((uint64_t)op, 2, 0);
	script_turn();
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_result(outcome(op)->result, 1);
	ck_assert_uint_eq(ring->stats.stale, 1);
}

SCRIPT_TEST(error_after_the_last_completion_is_stale)
{
	peal_op op = read_in_flight();

	completes((uint64_t)op, 1, 0);
	completes((uint64_t)op, -EIO, 0);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert_uint_eq(ring->stats.stale, 1);
}

SCRIPT_TEST(more_after_the_last_completion_is_stale)
{
	peal_op op = read_in_flight();

	completes((uint64_t)op, 1, 0);
	completes((uint64_t)op, 2, PEAL__CQE_MORE);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert_uint_eq(ring->stats.stale, 1);
}

SCRIPT_TEST(completion_of_an_old_op_does_not_reach_the_new_one_in_its_row)
{
	peal_op old = read_in_flight(), next;

	completes((uint64_t)old, 1, 0);
	next = read_in_flight();
	ck_assert_uint_eq((uint64_t)old & PEAL__ROW_MASK,
			  (uint64_t)next & PEAL__ROW_MASK);
	completes((uint64_t)old, 2, 0);
	ck_assert_uint_eq(outcome(next)->calls, 0);
	ck_assert_uint_eq(ring->stats.stale, 1);
	ck_assert(peal_op_in_flight(ring, next));
}

SCRIPT_TEST(completion_of_an_op_to_come_is_stale)
{
	peal_op op = read_in_flight();

	completes((uint64_t)op + PEAL__GENERATION, 1, 0);
	ck_assert_uint_eq(outcome(op)->calls, 0);
	ck_assert_uint_eq(ring->stats.stale, 1);
}

SCRIPT_TEST(completion_of_a_free_row_is_stale)
{
	peal_op op = read_in_flight();

	completes((uint64_t)op, 1, 0);
	/* The row's next handle, which nobody has been given yet. */
	completes((uint64_t)op + PEAL__GENERATION, 1, 0);
	completes((uint64_t)op + PEAL__GENERATION, -EIO, 0);
	completes((uint64_t)op + PEAL__GENERATION, 1, PEAL__CQE_MORE);
	ck_assert_uint_eq(ring->stats.stale, 3);
	ck_assert_uint_eq(peal__rows_live(ring), 0);
}

SCRIPT_TEST(completion_of_a_row_never_used_is_stale)
{
	uint32_t row = ring->rows_used + 1;

	completes(PEAL__GENERATION | row, 0, 0);
	completes(PEAL__GENERATION | PEAL__ROW_MASK, 0, 0);
	ck_assert_uint_eq(ring->stats.stale, 2);
}

SCRIPT_TEST(user_data_0_is_stale)
{
	completes(0, 0, 0);
	completes(0, -EIO, PEAL__CQE_MORE);
	ck_assert_uint_eq(ring->stats.stale, 2);
}

SCRIPT_TEST(user_data_of_all_ones_is_stale)
{
	completes(UINT64_MAX, 0, 0);
	completes(UINT64_MAX, -EIO, PEAL__CQE_MORE);
	ck_assert_uint_eq(ring->stats.stale, 2);
	ck_assert_uint_eq(script.events, 0);
}

SCRIPT_TEST(the_engine_gets_its_own_completions_back)
{
	completes(PEAL__DATA_WAKE, 8, 0);
	completes(PEAL__DATA_IGNORE, 0, 0);
	ck_assert_uint_eq(script.events, 2);
	ck_assert_uint_eq(ring->stats.stale, 0);
}

SCRIPT_TEST(completion_of_a_sleep_is_stale)
{
	/* No engine knows of it. */
	peal_op op = peal_sleep(ring, PEAL_S, 0, on_done, NULL);

	completes((uint64_t)op, 0, 0);
	completes((uint64_t)op, -ECANCELED, 0);
	ck_assert_uint_eq(outcome(op)->calls, 0);
	ck_assert_uint_eq(ring->stats.stale, 2);
}

SCRIPT_TEST(completion_of_the_second_row_of_a_full_transfer_is_stale)
{
	peal_op op = peal_read_full(ring, 3, buf, 8, 0, 0, on_done, NULL);
	const struct peal__row *row = peal__row_find(ring, op);
	uint64_t second = (uint64_t)ring->rows[row->arg].op;

	script_turn();
	completes(second, 3, 0);
	completes(second, -EIO, 0);
	ck_assert_uint_eq(ring->stats.stale, 2);
	ck_assert_uint_eq(outcome(op)->calls, 0);
	completes((uint64_t)op, 8, 0);
	ck_result(outcome(op)->result, 8);
}

/* A multishot accept that has had its first connection and is to be armed
 * again, but the engine takes no entries. */
static peal_op accept_that_is_owed(void)
{
	peal_op op = peal_accept_multishot(ring, 3, 0, on_done, NULL);
	unsigned at;

	script_turn();
	for (at = 0; at < 64; at++)
		ck_assert_int_gt(peal_read(ring, 4, buf, 1, 0, 0, NULL, NULL),
				 0);
	script.take_at_most = 0;
	completes((uint64_t)op, 7, 0);
	ck_assert(peal__row_find(ring, op)->flags & ROW_OWED);
	return op;
}

SCRIPT_TEST(completion_of_an_op_whose_entry_is_owed_is_stale)
{
	peal_op op = accept_that_is_owed();

	completes((uint64_t)op, -EIO, 0);
	ck_assert_uint_eq(ring->stats.stale, 1);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert_uint_eq(ring->owed, 1);
	script.take_at_most = UINT32_MAX;
	script_turn();
	script_turn();
	ck_assert_uint_eq(ring->owed, 0);
	ck_assert_uint_eq(script_entries(op), 2);
}

static void on_done_cancel(struct peal_ring *where,
			   const struct peal_completion *done)
{
	on_done(where, done);
	ck_result(peal_cancel(where, *(peal_op *)done->ctx, 0, NULL, NULL), 0);
}

SCRIPT_TEST(completion_of_an_op_that_waits_for_its_handler_is_stale)
{
	/* Cancelled while it was owed, it is finished: its row stands in the
	 * ready queue and must not be given back by what comes behind. */
	peal_op op, other = peal_read(ring, 5, buf, 1, 0, 0, on_done_cancel,
				      &op);

	op = accept_that_is_owed();
	script_complete((uint64_t)other, 1, 0);
	script_complete((uint64_t)op, 8, 0);
	script_turn();
	ck_assert_uint_eq(ring->stats.stale, 1);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	script_turn();
	ck_assert_uint_eq(outcome(op)->calls, 2);
	ck_result(outcome(op)->result, -ECANCELED);
}

SCRIPT_TEST(forged_answer_to_a_cancel_nobody_asked_for_does_nothing)
{
	peal_op op = read_in_flight();

	completes(PEAL__DATA_OWN | (uint64_t)op, -EALREADY, 0);
	script_turn_after(PEAL_S);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 0);
	ck_assert(peal_op_in_flight(ring, op));
}

SCRIPT_TEST(more_of_a_plain_op_leaves_it_in_flight)
{
	peal_op op = read_in_flight();

	completes((uint64_t)op, 1, PEAL__CQE_MORE);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert_uint_eq(outcome(op)->terminal, 0);
	ck_assert(peal_op_in_flight(ring, op));
	completes((uint64_t)op, 2, 0);
	ck_assert_uint_eq(outcome(op)->terminal, 1);
}

/* --- errors ----------------------------------------------------------- */

static const int ended[] = { -EINTR, -ECANCELED, -512, -513, -514, -515, -516 };
#define ENDED (sizeof(ended) / sizeof(*ended))

static int64_t read_that_ends_with(int error)
{
	peal_op op = read_in_flight();

	completes((uint64_t)op, error, 0);
	return outcome(op)->result;
}

SCRIPT_TEST(restart_codes_of_the_kernel_are_eintr)
{
	int code;

	for (code = -512; code >= -516; code--)
		ck_result(read_that_ends_with(code), -EINTR);
	ck_result(read_that_ends_with(-EINTR), -EINTR);
}

SCRIPT_TEST(errors_beside_the_restart_codes_are_left_alone)
{
	ck_result(read_that_ends_with(-511), -511);
	ck_result(read_that_ends_with(-517), -517);
	ck_result(read_that_ends_with(-EIO), -EIO);
	ck_result(read_that_ends_with(-EAGAIN), -EAGAIN);
	ck_result(read_that_ends_with(INT32_MIN), INT32_MIN);
}

SCRIPT_TEST(cancelled_by_nobody_is_eagain)
{
	ck_result(read_that_ends_with(-ECANCELED), -EAGAIN);
}

SCRIPT_TEST(ended_after_a_cancel_is_ecanceled)
{
	size_t at;

	for (at = 0; at < ENDED; at++) {
		peal_op op = read_in_flight();

		ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
		completes((uint64_t)op, ended[at], 0);
		ck_result(outcome(op)->result, -ECANCELED);
		ck_assert_uint_eq(outcome(op)->flags, PEAL_CANCELLED);
	}
}

SCRIPT_TEST(ended_after_a_deadline_is_etimedout)
{
	size_t at;

	for (at = 0; at < ENDED; at++) {
		peal_op op = read_in_flight();

		ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
		script_turn_after(PEAL_MS);
		completes((uint64_t)op, ended[at], 0);
		ck_result(outcome(op)->result, -ETIMEDOUT);
		ck_assert_uint_eq(outcome(op)->flags, PEAL_TIMED_OUT);
	}
}

SCRIPT_TEST(real_error_after_a_cancel_is_told)
{
	peal_op op = read_in_flight();

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	completes((uint64_t)op, -EIO, 0);
	ck_result(outcome(op)->result, -EIO);
	ck_assert_uint_eq(outcome(op)->flags, PEAL_CANCELLED);
}

SCRIPT_TEST(result_after_a_cancel_is_told)
{
	peal_op op = read_in_flight();

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	completes((uint64_t)op, 3, 0);
	ck_result(outcome(op)->result, 3);
	ck_assert_uint_eq(outcome(op)->flags, PEAL_CANCELLED);
}

SCRIPT_TEST(errors_of_raw_ops_are_the_engines_own)
{
	size_t at;

	for (at = 0; at < ENDED; at++) {
		peal_op op = start_read();

		peal__row_find(ring, op)->flags = ROW_RAW;
		script_turn();
		completes((uint64_t)op, ended[at], 0);
		ck_result(outcome(op)->result, ended[at]);
	}
}

SCRIPT_TEST(errors_of_a_cancelled_raw_op_are_the_engines_own)
{
	peal_op op = start_read();

	peal__row_find(ring, op)->flags = ROW_RAW;
	script_turn();
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	completes((uint64_t)op, -EINTR, 0);
	ck_result(outcome(op)->result, -EINTR);
	ck_assert_uint_eq(outcome(op)->flags, PEAL_CANCELLED);
}

SUITE("ring")
