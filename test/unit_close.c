/* SPDX-License-Identifier: MIT */
/*
 * Closing: an fd with ops in flight, in each of its states, and the ring with
 * whatever is in flight.
 */
#include "test/scripted.h"

SCRIPT_SYSTEM

static char buf[64];

static peal_op start_on(int fd)
{
	return peal_read(ring, fd, buf, 1, 0, 0, on_done, NULL);
}

static peal_op in_flight_on(int fd)
{
	peal_op op = start_on(fd);

	ck_assert_int_gt(op, 0);
	script_turn();
	return op;
}

static void completes(uint64_t user_data, int32_t res)
{
	script_complete(user_data, res, 0);
	script_turn();
}

static peal_op close_fd(int fd)
{
	return peal_close_drained(ring, fd, 0, on_done, NULL);
}

static void is_closed_by(peal_op op, int fd)
{
	script_turn();
	ck_assert_ptr_nonnull(script_entry(op));
	ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_CLOSE);
	ck_assert_int_eq(script_entry(op)->fd, fd);
	completes((uint64_t)op, 0);
	ck_result(outcome(op)->result, 0);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert_uint_eq(ring->draining, 0);
	ck_assert_uint_eq(ring->gate, 0);
}

/* --- one fd ----------------------------------------------------------- */

SCRIPT_TEST(fd_without_ops_is_closed_at_once)
{
	is_closed_by(close_fd(3), 3);
}

SCRIPT_TEST(ops_on_the_fd_are_cancelled_and_waited_for)
{
	peal_op first = in_flight_on(3), second = in_flight_on(3);
	peal_op other = in_flight_on(4), op = close_fd(3);

	script_turn();
	ck_assert_uint_eq(script_cancels(first), 1);
	ck_assert_uint_eq(script_cancels(second), 1);
	ck_assert_uint_eq(script_cancels(other), 0);
	completes((uint64_t)first, -ECANCELED);
	script_turn();
	ck_assert_ptr_null(script_entry(op));
	completes((uint64_t)second, -ECANCELED);
	is_closed_by(op, 3);
	ck_assert(peal_op_in_flight(ring, other));
}

SCRIPT_TEST(op_that_shares_the_list_but_not_the_fd_is_not_waited_for)
{
	peal_op other = in_flight_on(3 + (int)ring->fd_mask + 1);

	is_closed_by(close_fd(3), 3);
	ck_assert(peal_op_in_flight(ring, other));
}

SCRIPT_TEST(full_transfer_and_multishot_are_waited_for)
{
	peal_op full = peal_read_full(ring, 3, buf, 8, 0, 0, on_done, NULL);
	peal_op accept = peal_accept_multishot(ring, 3, 0, on_done, NULL);
	peal_op op;

	script_turn();
	op = close_fd(3);
	script_turn();
	script_complete((uint64_t)accept, 7, PEAL__CQE_MORE);
	completes((uint64_t)full, 4);
	ck_result(outcome(full)->result, -ECANCELED);
	ck_assert_ptr_eq(outcome(full)->buf, buf + 4);
	script_turn();
	ck_assert_ptr_null(script_entry(op));
	completes((uint64_t)accept, 8);
	ck_result(outcome(accept)->result, 8);
	is_closed_by(op, 3);
}

SCRIPT_TEST(new_ops_on_a_draining_fd_are_refused)
{
	peal_op read = in_flight_on(3), op = close_fd(3);

	ck_result(start_on(3), -EBADF);
	ck_result(peal_read_full(ring, 3, buf, 1, 0, 0, on_done, NULL), -EBADF);
	ck_result(peal_accept_multishot(ring, 3, 0, on_done, NULL), -EBADF);
	ck_result(peal_listen(ring, 3, 1, 0, on_done, NULL), -EBADF);
	ck_result(peal_close(ring, 3, 0, on_done, NULL), -EBADF);
	ck_result(close_fd(3), -EBADF);
	ck_assert_int_gt(start_on(4), 0);
	ck_assert_int_gt(start_on(3 + (int)ring->fd_mask + 1), 0);
	ck_assert_int_gt(peal_nop(ring, 0, NULL, NULL), 0);
	completes((uint64_t)read, -ECANCELED);
	is_closed_by(op, 3);
	ck_assert_int_gt(start_on(3), 0);
}

/* --- ops with two descriptors ----------------------------------------- */

static peal_op splice_on(int in, int out)
{
	return peal_splice(ring, in, PEAL_CURRENT, out, PEAL_CURRENT, 8, 0, 0,
			   on_done, NULL);
}

SCRIPT_TEST(splice_is_waited_for_at_either_end)
{
	int end;

	for (end = 3; end < 5; end++) {
		peal_op op = splice_on(3, 4), closing;

		script_turn();
		ck_assert_uint_eq(peal_ring_in_flight(ring), 1);
		closing = close_fd(end);
		script_turn();
		ck_assert_uint_eq(script_cancels(op), 1);
		ck_assert_ptr_null(script_entry(closing));
		ck_result(splice_on(3, 4), -EBADF);
		ck_result(splice_on(4, 3), -EBADF);
		completes((uint64_t)op, -ECANCELED);
		is_closed_by(closing, end);
		ck_assert_uint_eq(ring->stores, 0);
	}
}

SCRIPT_TEST(second_end_leaves_its_list_alone_and_whole)
{
	int far = 3 + (int)ring->fd_mask + 1;
	peal_op before = in_flight_on(3), op = splice_on(3, 4);
	peal_op after = in_flight_on(far), closing;

	ck_assert_uint_eq(peal__cancel_on_fd(ring, far), 1);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 0);
	completes((uint64_t)op, 8);
	ck_result(outcome(op)->result, 8);
	closing = close_fd(3);
	script_turn();
	ck_assert_uint_eq(script_cancels(before), 1);
	completes((uint64_t)before, -ECANCELED);
	is_closed_by(closing, 3);
	completes((uint64_t)after, -ECANCELED);
}

SCRIPT_TEST(op_with_two_descriptors_counts_as_two)
{
	peal_op op;

	script_reopen(64, 256, 2);
	op = splice_on(3, 4);
	ck_assert_int_gt(op, 0);
	ck_result(start_on(5), -EAGAIN);
	script_turn();
	completes((uint64_t)op, 1);
	ck_assert_int_gt(start_on(5), 0);
	ck_result(splice_on(3, 4), -EAGAIN);
	ck_assert_uint_eq(peal__rows_live(ring), 1);
	/* Both ends are one, or there is no second one: */
	ck_assert_int_gt(splice_on(3, 3), 0);
	script_turn();
	ck_assert_uint_eq(peal__rows_live(ring), 2);
}

SCRIPT_TEST(directories_of_a_rename_are_waited_for)
{
	peal_op op = peal_rename(ring, 3, "a", 4, "b", 0, 0, on_done, NULL);
	peal_op one = peal_link(ring, 3, "a", PEAL_CWD, "b", 0, 0, on_done,
				NULL);
	peal_op closing;

	script_turn();
	ck_assert_uint_eq(ring->stores, 1);
	closing = close_fd(4);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 1);
	ck_assert_uint_eq(script_cancels(one), 0);
	ck_assert_ptr_null(script_entry(closing));
	completes((uint64_t)op, 0);
	is_closed_by(closing, 4);
	completes((uint64_t)one, 0);
}

static peal_op tried;

static void on_done_read_again(struct peal_ring *where,
			       const struct peal_completion *done)
{
	on_done(where, done);
	tried = start_on(3);
}

SCRIPT_TEST(last_op_on_the_fd_cannot_start_another_behind_the_close)
{
	/* Its entry would stand behind the close's: by then, another file may
	 * have the number. */
	peal_op read = peal_read(ring, 3, buf, 1, 0, 0, on_done_read_again,
				 NULL), op;

	script_turn();
	op = close_fd(3);
	completes((uint64_t)read, 1);
	ck_result(tried, -EBADF);
	is_closed_by(op, 3);
}

SCRIPT_TEST(no_op_is_accepted_while_the_close_is_not_submitted)
{
	peal_op op = close_fd(3);

	ck_result(start_on(3), -EBADF);
	ck_result(close_fd(3), -EBADF);
	script_turn();
	/* Now the engine has it: the number may belong to another file. */
	ck_assert_int_gt(start_on(3), 0);
	script_turn();
	completes((uint64_t)op, 0);
	ck_result(outcome(op)->result, 0);
}

SCRIPT_TEST(sweep_does_not_take_back_a_close_that_is_owed)
{
	unsigned at;
	peal_op op;

	/* Past entry 0, as which an entry not yet written could count. */
	for (at = 0; at < 100; at++)
		in_flight_on(9);
	while (peal__sq_room(ring))
		ck_assert_int_gt(start_on(9), 0);
	script.take_at_most = 0;
	op = close_fd(3);
	ck_assert_uint_eq(ring->owed, 1);
	ck_result(start_on(3), -EBADF);
	ck_result(peal_cancel_fd(ring, 3, 0, NULL, NULL), 0);
	ck_assert_uint_eq(ring->owed, 1);
	script.take_at_most = UINT32_MAX;
	script_turn();
	is_closed_by(op, 3);
}

SCRIPT_TEST(two_fds_drain_beside_each_other)
{
	peal_op on_3 = in_flight_on(3), on_4 = in_flight_on(4);
	peal_op close_3 = close_fd(3), close_4 = close_fd(4);

	ck_assert_uint_eq(ring->draining, 2);
	completes((uint64_t)on_4, -ECANCELED);
	script_turn();
	completes((uint64_t)close_4, 0);
	ck_result(outcome(close_4)->result, 0);
	ck_result(start_on(3), -EBADF);
	ck_assert_int_gt(start_on(4), 0);
	completes((uint64_t)on_3, -ECANCELED);
	is_closed_by(close_3, 3);
}

SCRIPT_TEST(error_of_the_close_is_told)
{
	peal_op op = close_fd(3);

	script_turn();
	completes((uint64_t)op, -EIO);
	ck_result(outcome(op)->result, -EIO);
}

SCRIPT_TEST(negative_fd_is_ebadf)
{
	ck_result(close_fd(-1), -EBADF);
	ck_assert_uint_eq(ring->draining, 0);
}

/* --- cancel and deadline of a close ----------------------------------- */

SCRIPT_TEST(cancelled_close_that_waits_leaves_the_fd_open)
{
	peal_op read = in_flight_on(3), op = close_fd(3);

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_assert_uint_eq(ring->draining, 0);
	ck_assert_int_gt(start_on(3), 0);
	script_turn();
	ck_result(outcome(op)->result, -ECANCELED);
	completes((uint64_t)read, -ECANCELED);
	script_turn();
	ck_assert_ptr_null(script_entry(op));
}

SCRIPT_TEST(fd_can_be_drained_again_after_a_cancelled_close)
{
	/* Also before the first close's handler has run. */
	peal_op read = in_flight_on(3), op = close_fd(3), second;

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	second = close_fd(3);
	ck_assert_int_gt(second, 0);
	completes((uint64_t)read, -ECANCELED);
	ck_result(outcome(op)->result, -ECANCELED);
	is_closed_by(second, 3);
}

SCRIPT_TEST(deadline_of_a_close_that_waits_leaves_the_fd_open)
{
	peal_op read = in_flight_on(3), op = close_fd(3);

	ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	script_turn_after(PEAL_MS);
	script_turn();
	ck_result(outcome(op)->result, -ETIMEDOUT);
	ck_assert_uint_eq(outcome(op)->flags, PEAL_TIMED_OUT);
	ck_assert_uint_eq(ring->gate, 0);
	completes((uint64_t)read, -ECANCELED);
	ck_assert_ptr_null(script_entry(op));
}

SCRIPT_TEST(early_deadline_of_a_close_that_waits_is_told_in_two_stages)
{
	peal_op op;

	in_flight_on(3);
	op = close_fd(3);
	ck_result(peal_deadline(ring, op, PEAL_MS, PEAL_EARLY), 0);
	script_turn_after(PEAL_MS);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert_uint_eq(outcome(op)->flags, PEAL_MORE | PEAL_TIMED_OUT);
	script_turn();
	ck_assert_uint_eq(outcome(op)->calls, 2);
	ck_result(outcome(op)->result, -ETIMEDOUT);
}

SCRIPT_TEST(deadline_of_a_close_that_is_submitted_asks_the_engine)
{
	peal_op op = close_fd(3);

	ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	script_turn();
	script_turn_after(PEAL_MS);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 1);
	completes((uint64_t)op, 0);
	ck_result(outcome(op)->result, 0);
	ck_assert_uint_eq(outcome(op)->flags, PEAL_TIMED_OUT);
	ck_assert_uint_eq(ring->gate, 0);
}

/* --- the ring --------------------------------------------------------- */

static void has_closed(void)
{
	ck_assert_uint_eq(script.closed, 1);
	script.closed = 0;
	ck_assert_uint_eq(alloc_outstanding(), 0);
	script_open();
}

SCRIPT_TEST(ring_with_nothing_in_flight_closes_without_asking_the_engine)
{
	ck_result(peal_ring_close(ring, 0), 0);
	ck_assert_uint_eq(script.enters, 0);
	has_closed();
}

SCRIPT_TEST(close_of_the_ring_ends_every_kind_of_op)
{
	peal_op ops[5];
	unsigned at;

	script.on_taken = script_answer;
	ops[0] = in_flight_on(3);
	ops[1] = peal_read_full(ring, 3, buf, 8, 0, 0, on_done, NULL);
	ops[2] = peal_accept_multishot(ring, 4, 0, on_done, NULL);
	ops[3] = peal_sleep(ring, PEAL_S, 0, on_done, NULL);
	ops[4] = start_on(5);
	ck_result(peal_deadline(ring, ops[4], PEAL_S, 0), 0);
	ck_result(peal_ring_close(ring, PEAL_FOREVER), 0);
	for (at = 0; at < 5; at++)
		ck_result(outcome(ops[at])->result, -ECANCELED);
	has_closed();
}

SCRIPT_TEST(result_that_comes_while_the_ring_closes_is_told)
{
	peal_op op = in_flight_on(3);

	script_complete((uint64_t)op, 1, 0);
	ck_result(peal_ring_close(ring, PEAL_FOREVER), 0);
	ck_result(outcome(op)->result, 1);
	ck_assert_uint_eq(outcome(op)->flags, PEAL_CANCELLED);
	has_closed();
}

SCRIPT_TEST(close_that_waits_is_done_before_the_ring_is_gone)
{
	peal_op op;

	script.on_taken = script_answer;
	in_flight_on(3);
	op = close_fd(3);
	ck_result(peal_ring_close(ring, PEAL_FOREVER), 0);
	ck_result(outcome(op)->result, 0);
	has_closed();
}

SCRIPT_TEST(close_that_is_submitted_is_not_cancelled_with_the_ring)
{
	peal_op op = close_fd(3);

	script_turn();
	script_complete((uint64_t)op, 0, 0);
	ck_result(peal_ring_close(ring, PEAL_FOREVER), 0);
	ck_result(outcome(op)->result, 0);
	ck_assert_uint_eq(outcome(op)->flags, 0);
	has_closed();
}

SCRIPT_TEST(ring_that_the_kernel_does_not_let_go_of_is_kept)
{
	peal_op op = in_flight_on(3);
	size_t bytes = alloc_outstanding();

	ck_result(peal_ring_close(ring, 10 * PEAL_MS), -ETIMEDOUT);
	ck_assert_uint_eq(script.now, SCRIPT_START_NS + 10 * PEAL_MS);
	ck_assert_uint_eq(script.closed, 0);
	ck_assert_uint_eq(alloc_outstanding(), bytes);
	ck_assert(peal_op_in_flight(ring, op));
	ck_result(start_on(3), -ESHUTDOWN);
	completes((uint64_t)op, 1);
	ck_result(outcome(op)->result, 1);
	ck_result(peal_ring_close(ring, 0), 0);
	has_closed();
}

SCRIPT_TEST(cancel_is_sent_again_until_the_ring_is_closed)
{
	peal_op op = in_flight_on(3);
	unsigned round;

	ck_result(peal_ring_close(ring, 0), -ETIMEDOUT);
	for (round = 0; round < 5; round++) {
		ck_result(peal_ring_close(ring, PEAL_MS), -ETIMEDOUT);
		script_complete(script_cancel_data(op), -EALREADY, 0);
		ck_result(peal_ring_close(ring, 300 * PEAL_MS), -ETIMEDOUT);
		ck_assert_uint_eq(script_cancels(op), round + 2);
	}
	completes((uint64_t)op, -ECANCELED);
	ck_result(peal_ring_close(ring, 0), 0);
	has_closed();
}

SCRIPT_TEST(close_that_may_not_wait_still_makes_a_turn)
{
	/* Called again and again, it must get somewhere. */
	peal_op op;

	script.on_taken = script_answer;
	op = in_flight_on(3);
	ck_result(peal_ring_close(ring, 0), 0);
	ck_result(outcome(op)->result, -ECANCELED);
	ck_assert_uint_eq(script.waits, 0);
	has_closed();
}

static unsigned posts_run;

static void count_post(struct peal_ring *where, void *ctx)
{
	(void)where;
	(void)ctx;
	posts_run++;
}

SCRIPT_TEST(posts_that_wait_run_before_the_ring_is_gone)
{
	ck_result(peal_post(ring, count_post, NULL), 0);
	ck_result(peal_post(ring, count_post, NULL), 0);
	ck_result(peal_ring_close(ring, PEAL_FOREVER), 0);
	ck_assert_uint_eq(posts_run, 2);
	has_closed();
}

static void on_done_start_and_stop(struct peal_ring *where,
				   const struct peal_completion *done)
{
	on_done(where, done);
	tried = start_on(3);
	peal_ring_stop(where);
}

SCRIPT_TEST(handlers_of_a_closing_ring_start_nothing_and_stop_nothing)
{
	peal_op ops[3];
	unsigned at;

	script.on_taken = script_answer;
	for (at = 0; at < 3; at++)
		ops[at] = peal_read(ring, 3, buf, 1, 0, 0,
				    on_done_start_and_stop, NULL);
	ck_result(peal_ring_close(ring, PEAL_FOREVER), 0);
	ck_result(tried, -ESHUTDOWN);
	for (at = 0; at < 3; at++)
		ck_assert(finished(ops[at]));
	has_closed();
}

SCRIPT_TEST(timers_run_while_the_ring_closes)
{
	/* A deadline that passes while the kernel holds on to the op. */
	peal_op op = in_flight_on(3);

	ck_result(peal_deadline(ring, op, PEAL_MS, PEAL_EARLY), 0);
	ck_result(peal_ring_close(ring, 5 * PEAL_MS), -ETIMEDOUT);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert(outcome(op)->flags & PEAL_MORE);
	completes((uint64_t)op, -ECANCELED);
	ck_result(outcome(op)->result, -ECANCELED);
}

SUITE("close")
