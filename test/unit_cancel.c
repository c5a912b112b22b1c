/* SPDX-License-Identifier: MIT */
/*
 * Cancels: their entries, their answers in every order with the completion of
 * what they name, and that a wish is sent again until its op lets go.
 */
#include "test/scripted.h"

SCRIPT_SYSTEM

static char buf[64];

static peal_op start_on(int fd)
{
	peal_op op = peal_read(ring, fd, buf, 1, 0, 0, on_done, NULL);

	ck_assert_int_gt(op, 0);
	return op;
}

static peal_op in_flight_on(int fd)
{
	peal_op op = start_on(fd);

	script_turn();
	return op;
}

static void completes(uint64_t user_data, int32_t res)
{
	script_complete(user_data, res, 0);
	script_turn();
}

static void cancels(peal_op op)
{
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	script_turn();
}

/* Answers the latest cancel of op. */
static void answers(peal_op op, int32_t res)
{
	completes(script_cancel_data(op), res);
}

/* --- the entry -------------------------------------------------------- */

SCRIPT_TEST(cancel_names_the_op_by_its_user_data)
{
	peal_op op = in_flight_on(3);
	const struct peal__sqe *sqe;

	cancels(op);
	sqe = script_taken(script_taken_count() - 1);
	ck_assert_uint_eq(sqe->opcode, PEAL__OP_ASYNC_CANCEL);
	ck_assert_uint_eq(sqe->addr, (uint64_t)op);
	ck_assert_int_eq(sqe->fd, -1);
	ck_assert_uint_eq(sqe->op_flags, 0);
	ck_assert_uint_eq(sqe->user_data, PEAL__DATA_OWN | (uint64_t)op);
}

SCRIPT_TEST(cancel_without_handler_takes_no_row)
{
	peal_op op = in_flight_on(3);

	cancels(op);
	ck_assert_uint_eq(peal__rows_live(ring), 1);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 1);
}

SCRIPT_TEST(cancel_asked_twice_is_sent_once)
{
	peal_op op = in_flight_on(3);

	cancels(op);
	cancels(op);
	ck_assert_uint_eq(script_cancels(op), 1);
}

SCRIPT_TEST(cancel_goes_behind_an_op_not_yet_submitted)
{
	peal_op op = start_on(3);

	cancels(op);
	ck_assert_uint_eq(script_taken(0)->user_data, (uint64_t)op);
	ck_assert_uint_eq(script_taken(1)->addr, (uint64_t)op);
}

SCRIPT_TEST(cancels_are_counted)
{
	cancels(in_flight_on(3));
	cancels(in_flight_on(3));
	ck_assert_uint_eq(ring->stats.cancels, 2);
}

/* --- refusals --------------------------------------------------------- */

SCRIPT_TEST(cancel_of_what_is_not_in_flight_is_enoent)
{
	peal_op op = in_flight_on(3);

	ck_result(peal_cancel(ring, 0, 0, NULL, NULL), -ENOENT);
	ck_result(peal_cancel(ring, -op, 0, NULL, NULL), -ENOENT);
	ck_result(peal_cancel(ring, op + 1, 0, NULL, NULL), -ENOENT);
	ck_result(peal_cancel(ring, INT64_MAX, 0, NULL, NULL), -ENOENT);
	completes((uint64_t)op, 1);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), -ENOENT);
	ck_result(peal_cancel(ring, op, 0, on_done, NULL), -ENOENT);
	ck_assert_uint_eq(peal__rows_live(ring), 0);
}

SCRIPT_TEST(cancel_with_a_flag_is_einval)
{
	peal_op op = in_flight_on(3);

	ck_result(peal_cancel(ring, op, PEAL_ASYNC, NULL, NULL), -EINVAL);
	ck_result(peal_cancel_fd(ring, 3, 1, NULL, NULL), -EINVAL);
	ck_result(peal_cancel_all(ring, 1, NULL, NULL), -EINVAL);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 0);
	completes((uint64_t)op, -EINTR);
	ck_result(outcome(op)->result, -EINTR);
}

SCRIPT_TEST(cancel_of_a_negative_fd_is_ebadf)
{
	ck_result(peal_cancel_fd(ring, -1, 0, NULL, NULL), -EBADF);
	ck_result(peal_cancel_fd(ring, PEAL_CWD, 0, on_done, NULL), -EBADF);
}

SCRIPT_TEST(op_that_waits_for_its_handler_cannot_be_cancelled)
{
	peal_op op = peal_sleep(ring, PEAL_S, 0, on_done, NULL), again;

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	again = peal_cancel(ring, op, 0, on_done, NULL);
	ck_assert_int_gt(again, 0);
	ck_result(peal_cancel_all(ring, 0, NULL, NULL), 0);
	script_turn();
	ck_result(outcome(again)->result, -ENOENT);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_result(outcome(op)->result, -ECANCELED);
	ck_assert_uint_eq(ring->stats.cancels, 1);
}

static peal_op own_cancel;

static void on_done_cancel_itself(struct peal_ring *where,
				  const struct peal_completion *done)
{
	on_done(where, done);
	own_cancel = peal_cancel(where, done->op, 0, NULL, NULL);
}

SCRIPT_TEST(op_cannot_be_cancelled_by_its_own_last_handler)
{
	peal_op op = peal_read(ring, 3, buf, 1, 0, 0, on_done_cancel_itself,
			       NULL);

	script_turn();
	completes((uint64_t)op, 1);
	ck_result(own_cancel, -ENOENT);
}

/* --- the answer and the completion, in both orders -------------------- */

SCRIPT_TEST(answer_0_before_the_completion_ends_nothing)
{
	peal_op op = in_flight_on(3);

	cancels(op);
	answers(op, 0);
	ck_assert_uint_eq(outcome(op)->calls, 0);
	completes((uint64_t)op, -ECANCELED);
	ck_result(outcome(op)->result, -ECANCELED);
}

SCRIPT_TEST(answer_after_the_completion_is_no_stale_one)
{
	peal_op op = in_flight_on(3);

	cancels(op);
	completes((uint64_t)op, -ECANCELED);
	ck_result(outcome(op)->result, -ECANCELED);
	answers(op, 0);
	ck_assert_uint_eq(ring->stats.stale, 0);
	ck_assert_uint_eq(outcome(op)->calls, 1);
}

SCRIPT_TEST(answer_for_an_op_of_the_past_does_not_touch_the_next_in_its_row)
{
	peal_op op = in_flight_on(3), next;

	cancels(op);
	completes((uint64_t)op, 1);
	next = in_flight_on(3);
	answers(op, -ENOENT);
	script_turn_after(PEAL_S);
	script_turn();
	ck_assert_uint_eq(script_cancels(next), 0);
	ck_assert(peal_op_in_flight(ring, next));
	ck_assert_uint_eq(ring->again, 0);
}

static void watched_answer(int32_t answer, int first)
{
	peal_op op = in_flight_on(3);
	peal_op cancel = peal_cancel(ring, op, 0, on_done, NULL);

	ck_assert_int_gt(cancel, 0);
	script_turn();
	ck_assert_uint_eq(peal_ring_in_flight(ring), 2);
	if (first)
		completes((uint64_t)cancel, answer);
	completes((uint64_t)op, 5);
	if (!first)
		completes((uint64_t)cancel, answer);
	ck_result(outcome(cancel)->result, answer);
	ck_assert_uint_eq(outcome(cancel)->calls, 1);
	ck_result(outcome(op)->result, 5);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert_uint_eq(ring->again, 0);
}

SCRIPT_TEST(watched_cancel_tells_its_answer_in_both_orders)
{
	static const int32_t told[] = { 0, -ENOENT, -EALREADY };
	unsigned at;

	for (at = 0; at < 6; at++)
		watched_answer(told[at / 2], at % 2);
}

SCRIPT_TEST(each_watched_cancel_of_one_op_is_answered)
{
	peal_op op = in_flight_on(3), cancel[3];
	unsigned at;

	for (at = 0; at < 3; at++)
		cancel[at] = peal_cancel(ring, op, 0, on_done, NULL);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 3);
	completes((uint64_t)op, -ECANCELED);
	for (at = 0; at < 3; at++) {
		completes((uint64_t)cancel[at], at ? -ENOENT : 0);
		ck_result(outcome(cancel[at])->result, at ? -ENOENT : 0);
	}
}

/* --- sent again ------------------------------------------------------- */

static void sent_again_after(int32_t answer)
{
	peal_op op = in_flight_on(3);

	cancels(op);
	answers(op, answer);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 1);
	script_turn_after(PEAL_MS);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 2);
	completes((uint64_t)op, -ECANCELED);
	answers(op, 0);
	script_turn_after(PEAL_S);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 2);
	ck_assert_uint_eq(ring->again, 0);
}

SCRIPT_TEST(cancel_that_came_too_late_is_sent_again_while_the_op_stays)
{
	sent_again_after(-EALREADY);
	sent_again_after(-ENOENT);
}

SCRIPT_TEST(cancel_that_was_granted_is_not_sent_again)
{
	peal_op op = in_flight_on(3);

	cancels(op);
	answers(op, 0);
	script_turn_after(PEAL_S);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 1);
	ck_assert_uint_eq(peal_ring_timeout_ns(ring), PEAL_FOREVER);
}

SCRIPT_TEST(refused_watched_cancel_is_sent_again_without_its_handler)
{
	peal_op op = in_flight_on(3);
	peal_op cancel = peal_cancel(ring, op, 0, on_done, NULL);

	script_turn();
	completes((uint64_t)cancel, -EALREADY);
	ck_result(outcome(cancel)->result, -EALREADY);
	script_turn_after(PEAL_MS);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 2);
	ck_assert_uint_eq(script_cancel_data(op),
			  PEAL__DATA_OWN | (uint64_t)op);
}

SCRIPT_TEST(cancels_are_sent_again_at_doubling_intervals_up_to_64_ms)
{
	peal_op op = in_flight_on(3);
	uint64_t want = PEAL_MS;
	unsigned at;

	cancels(op);
	for (at = 1; at < 12; at++) {
		ck_assert_uint_eq(script_cancels(op), at);
		answers(op, -EALREADY);
		/* The wait ends by itself when the next one is due. */
		ck_result(peal_ring_turn(ring, PEAL_FOREVER), 0);
		ck_assert_uint_eq(script.last_timeout_ns, want);
		script_turn();
		want = want < 64 * PEAL_MS ? 2 * want : want;
	}
}

SCRIPT_TEST(op_that_completes_is_waited_for_no_more)
{
	peal_op op = in_flight_on(3), other = in_flight_on(4);

	cancels(op);
	cancels(other);
	script_complete(script_cancel_data(op), -EALREADY, 0);
	script_complete(script_cancel_data(other), -EALREADY, 0);
	script_turn();
	ck_assert_uint_eq(ring->again, 2);
	completes((uint64_t)op, 1);
	ck_assert_uint_eq(ring->again, 1);
	completes((uint64_t)other, -EIO);
	ck_assert_uint_eq(ring->again, 0);
	ck_assert_uint_eq(peal_ring_timeout_ns(ring), PEAL_FOREVER);
}

SCRIPT_TEST(cancel_sent_again_without_room_is_owed)
{
	peal_op op = in_flight_on(3);

	cancels(op);
	answers(op, -EALREADY);
	while (peal__sq_room(ring))
		start_on(9);
	script.take_at_most = 0;
	script_turn_after(PEAL_MS);
	ck_assert_uint_eq(ring->owed, 1);
	ck_assert_uint_eq(ring->again, 0);
	script.take_at_most = UINT32_MAX;
	script_turn();
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 2);
	ck_assert_uint_eq(ring->owed, 0);
}

/* --- ops that no engine holds ----------------------------------------- */

SCRIPT_TEST(cancelled_sleep_ends_in_the_next_turn_without_an_entry)
{
	peal_op op = peal_sleep(ring, PEAL_S, 0, on_done, NULL);
	peal_op cancel = peal_cancel(ring, op, 0, on_done, NULL);

	ck_assert_int_gt(cancel, 0);
	ck_assert_uint_eq(outcome(op)->calls, 0);
	ck_assert_int_eq(script_turn(), 2);
	ck_result(outcome(op)->result, -ECANCELED);
	ck_assert_uint_eq(outcome(op)->flags, PEAL_CANCELLED);
	ck_result(outcome(cancel)->result, 0);
	ck_assert_uint_eq(script_taken_count(), 0);
}

SCRIPT_TEST(op_that_is_owed_ends_without_an_entry)
{
	peal_op op = peal_accept_multishot(ring, 3, 0, on_done, NULL);

	script_turn();
	while (peal__sq_room(ring))
		start_on(9);
	script.take_at_most = 0;
	completes((uint64_t)op, 7);
	ck_assert_uint_eq(ring->owed, 1);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_assert_uint_eq(ring->owed, 0);
	script.take_at_most = UINT32_MAX;
	script_turn();
	ck_result(outcome(op)->result, -ECANCELED);
	ck_assert_uint_eq(script_entries(op), 1);
	ck_assert_uint_eq(script_cancels(op), 0);
}

SCRIPT_TEST(cancel_of_an_owed_cancel_does_not_lose_the_wish)
{
	peal_op op = in_flight_on(3), cancel;

	while (peal__sq_room(ring))
		start_on(9);
	script.take_at_most = 0;
	cancel = peal_cancel(ring, op, 0, on_done, NULL);
	ck_assert_uint_eq(ring->owed, 1);
	ck_ok(peal_cancel(ring, cancel, 0, NULL, NULL));
	script.take_at_most = UINT32_MAX;
	script_turn();
	script_turn();
	ck_assert_uint_ge(script_cancels(op), 1);
	ck_assert_uint_eq(ring->owed, 0);
}

/* --- by fd, and all --------------------------------------------------- */

SCRIPT_TEST(cancel_by_fd_asks_each_op_on_it_and_no_other)
{
	peal_op ops[6], count;
	unsigned at;

	for (at = 0; at < 6; at++)
		ops[at] = start_on(at % 2 ? 3 : 4);
	count = peal_cancel_fd(ring, 3, 0, on_done, NULL);
	ck_assert_int_gt(count, 0);
	script_turn();
	script_turn();
	ck_result(outcome(count)->result, 3);
	for (at = 0; at < 6; at++)
		ck_assert_uint_eq(script_cancels(ops[at]), at % 2);
}

SCRIPT_TEST(cancel_all_asks_every_op_but_cancels)
{
	peal_op read = in_flight_on(3), count;
	peal_op sleep = peal_sleep(ring, PEAL_S, 0, on_done, NULL);
	peal_op cancel = peal_cancel(ring, read, 0, on_done, NULL);
	peal_op full = peal_read_full(ring, 3, buf, 9, 0, 0, on_done, NULL);

	count = peal_cancel_all(ring, 0, on_done, NULL);
	script_turn();
	ck_result(outcome(count)->result, 3);
	ck_result(outcome(sleep)->result, -ECANCELED);
	ck_assert_uint_eq(script_cancels(full), 1);
	ck_assert_uint_eq(script_cancels(cancel), 0);
	ck_assert(peal_op_in_flight(ring, cancel));
}

SCRIPT_TEST(sweep_does_not_count_what_is_finished)
{
	peal_op sleep = peal_sleep(ring, PEAL_S, 0, on_done, NULL), count;

	ck_result(peal_cancel(ring, sleep, 0, NULL, NULL), 0);
	count = peal_cancel_all(ring, 0, on_done, NULL);
	script_turn();
	ck_result(outcome(count)->result, 0);
}

SCRIPT_TEST(sweep_without_a_handler_takes_no_row)
{
	start_on(3);
	ck_result(peal_cancel_fd(ring, 3, 0, NULL, NULL), 0);
	ck_result(peal_cancel_fd(ring, 5, 0, NULL, NULL), 0);
	ck_result(peal_cancel_all(ring, 0, NULL, NULL), 0);
	ck_assert_uint_eq(peal__rows_live(ring), 1);
}

SCRIPT_TEST(sweep_leaves_a_close_that_waits)
{
	peal_op close_op, read = in_flight_on(3);

	close_op = peal_close_drained(ring, 3, 0, on_done, NULL);
	ck_result(peal_cancel_fd(ring, 3, 0, NULL, NULL), 0);
	ck_result(peal_cancel_all(ring, 0, NULL, NULL), 0);
	script_turn();
	ck_assert_uint_eq(outcome(close_op)->calls, 0);
	completes((uint64_t)read, -ECANCELED);
	script_turn();
	ck_assert_uint_eq(script_entry(close_op)->opcode, PEAL__OP_CLOSE);
}

SCRIPT_TEST(sweep_of_hundreds_of_ops_over_a_small_queue_asks_each)
{
	static peal_op ops[300];
	unsigned at;

	for (at = 0; at < 300; at++)
		ops[at] = start_on((int)(at % 5));
	ck_result(peal_cancel_all(ring, 0, NULL, NULL), 0);
	script_turn();
	for (at = 0; at < 300; at++)
		ck_assert_uint_eq(script_cancels(ops[at]), 1);
}

SUITE("cancel")
