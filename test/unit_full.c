/* SPDX-License-Identifier: MIT */
/* Full transfers: every short count, every interruption, every end. */
#include "test/scripted.h"

SCRIPT_SYSTEM

#define LEN 24
#define OFFSET 1000

static char buf[LEN];

enum kind { READ, WRITE, SEND, KINDS };

static const uint8_t opcodes[KINDS] = { PEAL__OP_READ, PEAL__OP_WRITE,
					PEAL__OP_SEND };

static peal_op start(enum kind kind, size_t len)
{
	switch (kind) {
	case READ:
		return peal_read_full(ring, 3, buf, len, OFFSET, 0, on_done,
				      NULL);
	case WRITE:
		return peal_write_full(ring, 3, buf, len, OFFSET, 0, on_done,
				       NULL);
	default:
		return peal_send_full(ring, 3, buf, len, MSG_MORE, 0, on_done,
				      NULL);
	}
}

/* A transfer in flight whose entry asks for LEN bytes. */
static peal_op in_flight(enum kind kind)
{
	peal_op op = start(kind, LEN);

	ck_assert_int_gt(op, 0);
	script_turn();
	return op;
}

/* The engine's answer; then what follows it is handed over. */
static void moves(peal_op op, int32_t res)
{
	script_complete((uint64_t)op, res, 0);
	script_turn();
	script_turn();
}

/* Its latest entry asks for all from byte `from` on. */
static void asks_from(peal_op op, enum kind kind, size_t from)
{
	const struct peal__sqe *sqe = script_entry(op);

	ck_assert_uint_eq(sqe->opcode, opcodes[kind]);
	ck_assert_int_eq(sqe->fd, 3);
	ck_assert_uint_eq(sqe->addr, peal__addr(buf + from));
	ck_assert_uint_eq(sqe->len, LEN - from);
	ck_assert_uint_eq(sqe->off, kind == SEND ? 0 : OFFSET + from);
	ck_assert_uint_eq(sqe->op_flags,
			  kind == SEND ? MSG_MORE | MSG_NOSIGNAL : 0);
}

static void ends_with(peal_op op, int64_t result, size_t at)
{
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_result(outcome(op)->result, result);
	ck_assert_ptr_eq(outcome(op)->buf, buf + at);
	ck_assert_uint_eq(peal__rows_live(ring), 0);
}

/* --- all of it -------------------------------------------------------- */

SCRIPT_TEST(transfer_in_one_step_is_one_entry)
{
	int kind;

	for (kind = 0; kind < KINDS; kind++) {
		peal_op op = in_flight((enum kind)kind);

		asks_from(op, (enum kind)kind, 0);
		moves(op, LEN);
		ends_with(op, LEN, LEN);
		ck_assert_uint_eq(script_entries(op), 1);
	}
	ck_assert_uint_eq(ring->stats.resumed, 0);
}

SCRIPT_TEST(short_transfer_of_every_length_is_continued)
{
	int kind;
	size_t len;

	for (kind = 0; kind < KINDS; kind++) {
		for (len = 1; len < LEN; len++) {
			peal_op op = in_flight((enum kind)kind);

			moves(op, (int32_t)len);
			ck_assert_uint_eq(outcome(op)->calls, 0);
			ck_assert_uint_eq(script_entries(op), 2);
			asks_from(op, (enum kind)kind, len);
			moves(op, (int32_t)(LEN - len));
			ends_with(op, LEN, LEN);
		}
	}
}

SCRIPT_TEST(transfer_byte_by_byte_arrives)
{
	peal_op op = in_flight(WRITE);
	size_t at;

	for (at = 1; at < LEN; at++) {
		moves(op, 1);
		asks_from(op, WRITE, at);
	}
	moves(op, 1);
	ends_with(op, LEN, LEN);
	ck_assert_uint_eq(ring->stats.resumed, LEN - 1);
}

SCRIPT_TEST(transfer_for_a_worker_goes_on_with_a_worker)
{
	peal_op op = peal_write_full(ring, 3, buf, LEN, OFFSET, PEAL_ASYNC,
				     on_done, NULL);

	script_turn();
	ck_assert_uint_eq(script_entry(op)->flags, PEAL__SQE_ASYNC);
	moves(op, 5);
	asks_from(op, WRITE, 5);
	ck_assert_uint_eq(script_entry(op)->flags, PEAL__SQE_ASYNC);
	moves(op, LEN - 5);
	ck_result(outcome(op)->result, LEN);
}

SCRIPT_TEST(transfer_of_nothing_is_one_entry_and_0)
{
	int kind;

	for (kind = 0; kind < KINDS; kind++) {
		peal_op op = start((enum kind)kind, 0);

		script_turn();
		ck_assert_uint_eq(script_entry(op)->len, 0);
		moves(op, 0);
		ends_with(op, 0, 0);
	}
}

SCRIPT_TEST(transfer_at_the_files_position_has_no_offset)
{
	peal_op op = peal_read_full(ring, 3, buf, LEN, PEAL_CURRENT, 0, on_done,
				    NULL);

	script_turn();
	moves(op, 5);
	ck_assert_uint_eq(script_entry(op)->off, PEAL_CURRENT);
}

SCRIPT_TEST(transfer_of_more_than_one_call_moves_is_cut)
{
	const uint64_t len = UINT64_C(5) << 30;
	peal_op op = peal_read_full(ring, 3, buf, len, 0, 0, on_done, NULL);
	const struct peal__sqe *sqe;

	script_turn();
	ck_assert_uint_eq(script_entry(op)->len, 0x7ffff000u);
	moves(op, 0x7ffff000);
	moves(op, 0x7ffff000);
	sqe = script_entry(op);
	ck_assert_uint_eq(sqe->len, len - 2 * UINT64_C(0x7ffff000));
	ck_assert_uint_eq(sqe->off, 2 * UINT64_C(0x7ffff000));
	moves(op, (int32_t)sqe->len);
	ck_result(outcome(op)->result, (int64_t)len);
}

SCRIPT_TEST(length_that_no_result_could_tell_is_einval)
{
	ck_result(peal_read_full(ring, 3, buf, SIZE_MAX, 0, 0, on_done, NULL),
		  -EINVAL);
	ck_result(peal_send_full(ring, 3, buf, (size_t)INT64_MAX + 1, 0, 0,
				 on_done, NULL), -EINVAL);
	ck_assert_uint_eq(peal__rows_live(ring), 0);
}

SCRIPT_TEST(steps_of_a_transfer_carry_its_handle)
{
	peal_op op = in_flight(SEND);

	moves(op, 1);
	ck_assert(peal_op_in_flight(ring, op));
	ck_assert_uint_eq(peal_ring_in_flight(ring), 1);
	ck_assert_uint_eq(script_taken(1)->user_data, (uint64_t)op);
}

/* --- nothing moved ---------------------------------------------------- */

SCRIPT_TEST(end_of_file_ends_a_read_with_what_was_read)
{
	peal_op op = in_flight(READ);

	moves(op, 7);
	moves(op, 0);
	ends_with(op, 7, 7);
	op = in_flight(READ);
	moves(op, 0);
	ends_with(op, 0, 0);
}

static void nothing_written(enum kind kind)
{
	peal_op op = in_flight(kind);
	unsigned tries;

	moves(op, 5);
	for (tries = 0; !finished(op) && tries < 100; tries++)
		moves(op, 0);
	ends_with(op, -EIO, 5);
	ck_assert_uint_le(tries, 20);
}

SCRIPT_TEST(write_that_moves_nothing_is_eio_after_some_tries)
{
	nothing_written(WRITE);
}

SCRIPT_TEST(send_that_moves_nothing_is_eio_after_some_tries)
{
	nothing_written(SEND);
}

/* --- interruptions ---------------------------------------------------- */

static void interrupted_by(int error)
{
	int kind;

	for (kind = 0; kind < KINDS; kind++) {
		peal_op op = in_flight((enum kind)kind);

		moves(op, 3);
		moves(op, error);
		ck_assert_uint_eq(outcome(op)->calls, 0);
		asks_from(op, (enum kind)kind, 3);
		moves(op, LEN - 3);
		ends_with(op, LEN, LEN);
	}
	ck_assert_uint_eq(ring->stats.retried, KINDS);
}

SCRIPT_TEST(eintr_is_tried_again)
{
	interrupted_by(-EINTR);
}

SCRIPT_TEST(eagain_is_tried_again)
{
	interrupted_by(-EAGAIN);
}

SCRIPT_TEST(restart_code_is_tried_again)
{
	interrupted_by(-512);
}

SCRIPT_TEST(cancelled_by_nobody_is_tried_again)
{
	interrupted_by(-ECANCELED);
}

static void given_up_after(int error, int told)
{
	peal_op op = in_flight(READ);
	unsigned tries;

	moves(op, 3);
	for (tries = 0; !finished(op) && tries < 100; tries++)
		moves(op, error);
	ck_assert_uint_eq(tries, 17);	/* the first and 16 more */
	ends_with(op, told, 3);
}

SCRIPT_TEST(tries_are_bounded)
{
	given_up_after(-EINTR, -EINTR);
	given_up_after(-EAGAIN, -EAGAIN);
	given_up_after(-ECANCELED, -EAGAIN);
}

SCRIPT_TEST(progress_starts_the_count_of_tries_again)
{
	peal_op op = in_flight(WRITE);
	size_t at;
	unsigned tries;

	for (at = 1; at <= LEN; at++) {
		for (tries = 0; tries < 16; tries++)
			moves(op, -EAGAIN);
		ck_assert_uint_eq(outcome(op)->calls, 0);
		moves(op, 1);
	}
	ends_with(op, LEN, LEN);
}

/* --- errors, cancels, deadlines --------------------------------------- */

SCRIPT_TEST(error_after_some_progress_says_how_far_it_went)
{
	int kind;
	size_t len;

	for (kind = 0; kind < KINDS; kind++) {
		for (len = 1; len < LEN; len++) {
			peal_op op = in_flight((enum kind)kind);

			moves(op, (int32_t)len);
			moves(op, -ENOSPC);
			ends_with(op, -ENOSPC, len);
		}
	}
}

SCRIPT_TEST(error_at_once_moved_nothing)
{
	peal_op op = in_flight(SEND);

	moves(op, -EPIPE);
	ends_with(op, -EPIPE, 0);
}

SCRIPT_TEST(cancel_between_two_steps_stops_the_transfer)
{
	/* The answer to the first step is there, the second not yet asked. */
	int32_t res;

	for (res = 1; res < LEN; res++) {
		peal_op op = in_flight(READ);

		script_complete((uint64_t)op, res, 0);
		ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
		script_turn();
		ends_with(op, -ECANCELED, (size_t)res);
		ck_assert_uint_eq(outcome(op)->flags, PEAL_CANCELLED);
		ck_assert_uint_eq(script_entries(op), 1);
	}
}

SCRIPT_TEST(cancel_in_the_second_step_tells_of_the_first)
{
	peal_op op = in_flight(WRITE);

	moves(op, 9);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 1);
	moves(op, -ECANCELED);
	ends_with(op, -ECANCELED, 9);
}

SCRIPT_TEST(last_byte_wins_over_a_cancel)
{
	peal_op op = in_flight(WRITE);

	moves(op, 9);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	moves(op, LEN - 9);
	ends_with(op, LEN, LEN);
	ck_assert_uint_eq(outcome(op)->flags, PEAL_CANCELLED);
}

SCRIPT_TEST(end_of_file_wins_over_a_cancel)
{
	peal_op op = in_flight(READ);

	moves(op, 9);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	moves(op, 0);
	ends_with(op, 9, 9);
}

SCRIPT_TEST(eagain_after_a_cancel_is_ecanceled)
{
	peal_op op = in_flight(READ);

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	moves(op, -EAGAIN);
	ends_with(op, -ECANCELED, 0);
}

SCRIPT_TEST(deadline_between_two_steps_stops_the_transfer)
{
	peal_op op = in_flight(SEND);

	ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	moves(op, 9);
	ck_assert_uint_eq(script_entries(op), 2);
	script_turn_after(PEAL_MS);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 1);
	moves(op, 5);
	ends_with(op, -ETIMEDOUT, 14);
	ck_assert_uint_eq(outcome(op)->flags, PEAL_TIMED_OUT);
	ck_assert_uint_eq(script_entries(op), 2);
	ck_assert_uint_eq(ring->wheel.count, 0);
}

SCRIPT_TEST(deadline_lives_through_the_steps)
{
	peal_op op = in_flight(SEND);

	ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	moves(op, 1);
	moves(op, -EINTR);
	moves(op, 1);
	ck_assert_uint_eq(ring->wheel.count, 1);
	moves(op, LEN - 2);
	ends_with(op, LEN, LEN);
	ck_assert_uint_eq(ring->wheel.count, 0);
}

SCRIPT_TEST(early_deadline_of_a_transfer_is_told_in_two_stages)
{
	peal_op op = in_flight(WRITE);

	ck_result(peal_deadline(ring, op, PEAL_MS, PEAL_EARLY), 0);
	moves(op, 9);
	script_turn_after(PEAL_MS);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_result(outcome(op)->result, -ETIMEDOUT);
	ck_assert_uint_eq(outcome(op)->flags, PEAL_MORE | PEAL_TIMED_OUT);
	moves(op, -ECANCELED);
	ck_assert_uint_eq(outcome(op)->calls, 2);
	ck_result(outcome(op)->result, -ETIMEDOUT);
	ck_assert_ptr_eq(outcome(op)->buf, buf + 9);
}

SCRIPT_TEST(step_that_is_owed_can_be_cancelled)
{
	peal_op op = in_flight(READ);

	while (peal__sq_room(ring))
		ck_assert_int_gt(peal_nop(ring, 0, NULL, NULL), 0);
	script.take_at_most = 0;
	moves(op, 4);
	ck_assert_uint_eq(ring->owed, 1);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_assert_uint_eq(ring->owed, 0);
	script_turn();
	ck_result(outcome(op)->result, -ECANCELED);
	ck_assert_ptr_eq(outcome(op)->buf, buf + 4);
}

SUITE("full")
