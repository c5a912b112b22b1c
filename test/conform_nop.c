/* SPDX-License-Identifier: MIT */
/* The smallest op: what every other one shares. */
#include "test/harness.h"

TEST(nop_finishes_with_zero)
{
	ck_result(finish(peal_nop(ring, 0, on_done, NULL)), 0);
}

TEST(handler_does_not_run_inside_the_call_that_started_the_op)
{
	peal_op op = peal_nop(ring, 0, on_done, NULL);

	ck_assert_int_gt(op, 0);
	ck_assert_uint_eq(outcome(op)->calls, 0);
	ck_result(finish(op), 0);
}

TEST(completion_carries_the_context_and_the_handle)
{
	int ctx;
	peal_op op = peal_nop(ring, 0, on_done, &ctx);
	const struct outcome *seen = finish_outcome(op);

	ck_assert_ptr_eq(seen->ctx, &ctx);
	ck_assert_int_eq(seen->op, op);
	ck_assert_ptr_null(seen->buf);
	ck_assert_uint_eq(seen->flags & (PEAL_MORE | PEAL_TIMED_OUT |
					 PEAL_CANCELLED), 0);
}

TEST(nobody_needs_to_want_to_know)
{
	ck_assert_int_gt(peal_nop(ring, 0, NULL, NULL), 0);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 1);
	UNTIL(peal_ring_in_flight(ring) == 0);
}

TEST(handles_differ_although_rows_are_used_again)
{
	peal_op first = peal_nop(ring, 0, on_done, NULL);
	peal_op second;

	finish(first);
	second = peal_nop(ring, 0, on_done, NULL);
	ck_assert_int_ne(first, second);
	ck_assert_int_eq(peal_op_in_flight(ring, first), 0);
	ck_assert_int_eq(peal_op_in_flight(ring, second), 1);
	finish(second);
	ck_assert_int_eq(peal_op_in_flight(ring, second), 0);
}

TEST(handle_is_out_of_flight_when_its_handler_runs)
{
	/* Or the handler could not start the next op in the same row. */
	peal_op op = peal_nop(ring, 0, on_done, NULL);

	finish(op);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

TEST(unknown_flag_is_refused_and_nothing_started)
{
	ck_result(peal_nop(ring, 1u << 31, on_done, NULL), -EINVAL);
	ck_result(peal_nop(ring, PEAL_KEEP_SIZE, on_done, NULL), -EINVAL);
	ck_result(peal_nop(ring, PEAL_EARLY, on_done, NULL), -EINVAL);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

TEST(async_is_a_flag_of_every_op)
{
	ck_result(finish(peal_nop(ring, PEAL_ASYNC, on_done, NULL)), 0);
}

TEST(nops_complete_in_order)
{
	peal_op ops[100];
	unsigned at;

	for (at = 0; at < 100; at++)
		ops[at] = peal_nop(ring, 0, on_done, NULL);
	for (at = 0; at < 100; at++) {
		finish(ops[at]);
		ck_assert_uint_eq(outcome(ops[at])->order, at + 1);
	}
}

SUITE("nop")
