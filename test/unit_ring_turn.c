/* SPDX-License-Identifier: MIT */
/*
 * The turn of the loop: an engine that refuses, a queue that overflows, a stop
 * in the middle, how long a turn may wait.
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

/* --- an engine that refuses ------------------------------------------- */

static void passing_error_loses_nothing(int error)
{
	unsigned call;

	for (call = 1; call <= 5; call++) {
		peal_op first = start_read(), second = start_read();

		script.fail_in = call;
		script.fail_times = 1;
		script.fail_with = error;
		while (script_entries(second) == 0)
			script_turn();
		script.fail_in = 0;
		ck_assert_uint_eq(script_entries(first), 1);
		ck_assert_uint_eq(script_entries(second), 1);
		script_complete((uint64_t)first, 1, 0);
		completes((uint64_t)second, 2, 0);
		ck_result(outcome(first)->result, 1);
		ck_result(outcome(second)->result, 2);
	}
	ck_assert_int_eq(ring->failed, 0);
}

SCRIPT_TEST(enter_that_answers_eintr_loses_nothing)
{
	passing_error_loses_nothing(-EINTR);
}

SCRIPT_TEST(enter_that_answers_eagain_loses_nothing)
{
	passing_error_loses_nothing(-EAGAIN);
}

SCRIPT_TEST(enter_that_answers_ebusy_loses_nothing)
{
	passing_error_loses_nothing(-EBUSY);
}

SCRIPT_TEST(enter_that_answers_etime_loses_nothing)
{
	passing_error_loses_nothing(-ETIME);
}

SCRIPT_TEST(busy_engine_is_waited_for_and_counted)
{
	peal_op op = start_read();

	script.fail_in = 1;
	script.fail_times = 1;
	script.fail_with = -EBUSY;
	ck_ok(peal_ring_turn(ring, 5 * PEAL_MS));
	ck_assert_uint_eq(ring->stats.retried, 1);
	ck_assert_uint_eq(script.enters, 2);
	ck_assert_uint_le(script.last_timeout_ns, PEAL_MS);
	ck_assert_uint_eq(script_entries(op), 1);
}

SCRIPT_TEST(busy_engine_is_not_waited_for_in_a_turn_that_may_not_wait)
{
	peal_op op = start_read();

	script.fail_in = 1;
	script.fail_times = 1;
	script.fail_with = -EBUSY;
	script_turn();
	ck_assert_uint_eq(script.enters, 1);
	script_turn();
	ck_assert_uint_eq(script_entries(op), 1);
}

SCRIPT_TEST(completions_that_are_there_come_before_another_attempt)
{
	peal_op op = read_in_flight(), next;

	next = start_read();
	script_complete((uint64_t)op, 1, 0);
	script.fail_in = 1;
	script.fail_times = 1;
	script.fail_with = -EBUSY;
	ck_assert_int_eq(script_turn(), 1);
	ck_assert_uint_eq(script.enters, 2);
	ck_assert_uint_eq(script_entries(next), 0);
	script_turn();
	ck_assert_uint_eq(script_entries(next), 1);
}

SCRIPT_TEST(entries_that_were_not_taken_are_handed_over_again)
{
	peal_op ops[10];
	unsigned at;

	script.take_at_most = 3;
	for (at = 0; at < 10; at++)
		ops[at] = start_read();
	for (at = 0; at < 4; at++)
		script_turn();
	for (at = 0; at < 10; at++)
		ck_assert_uint_eq(script_entries(ops[at]), 1);
	ck_assert_uint_eq(script_taken(9)->user_data, (uint64_t)ops[9]);
}

SCRIPT_TEST(fatal_error_ends_the_run_with_that_error)
{
	unsigned call;

	for (call = 1; call <= 5; call++) {
		unsigned turns = 0;
		int rc;

		ck_assert_int_gt(peal_read(ring, 3, buf, 1, 0, 0, NULL, NULL),
				 0);
		script.fail_in = call;
		script.fail_times = 1;
		script.fail_with = -EPERM;
		while ((rc = peal_ring_turn(ring, 0)) >= 0 && turns < 100)
			turns++;
		ck_result(rc, -EPERM);
		ck_assert_uint_eq(turns, call - 1);
		ck_assert_uint_eq(peal_ring_in_flight(ring), 1);
		script_reopen(64, 256, 1024);
	}
}

SCRIPT_TEST(failed_ring_stays_failed_and_asks_no_more)
{
	unsigned enters;

	start_read();
	script.fail_in = 1;
	script.fail_times = 1;
	script.fail_with = -EPERM;
	ck_result(peal_ring_turn(ring, 0), -EPERM);
	enters = script.enters;
	ck_result(peal_ring_turn(ring, PEAL_S), -EPERM);
	ck_result(peal_ring_run(ring), -EPERM);
	ck_assert_uint_eq(script.enters, enters);
}

SCRIPT_TEST(failed_ring_refuses_new_ops_with_its_error)
{
	start_read();
	script.fail_in = 1;
	script.fail_times = 1;
	script.fail_with = -EBADF;
	ck_result(peal_ring_turn(ring, 0), -EBADF);
	ck_result(peal_read(ring, 3, buf, 1, 0, 0, on_done, NULL), -EBADF);
	ck_result(peal_sleep(ring, 1, 0, on_done, NULL), -EBADF);
	ck_result(peal_read_full(ring, 3, buf, 1, 0, 0, on_done, NULL), -EBADF);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 1);
}

SCRIPT_TEST(failed_ring_with_ops_in_flight_is_not_freed)
{
	peal_op op = start_read();

	script.fail_in = 1;
	script.fail_times = 1;
	script.fail_with = -EPERM;
	ck_result(peal_ring_turn(ring, 0), -EPERM);
	ck_result(peal_ring_close(ring, PEAL_FOREVER), -EPERM);
	ck_assert_uint_eq(script.closed, 0);
	ck_assert(peal_op_in_flight(ring, op));
	peal__gate_set(ring, 0);
}

SCRIPT_TEST(failed_ring_with_nothing_in_flight_closes)
{
	script.fail_in = 1;
	script.fail_times = 1;
	script.fail_with = -EPERM;
	ck_result(peal_ring_turn(ring, 0), -EPERM);
	ck_result(peal_ring_close(ring, PEAL_FOREVER), 0);
	ck_assert_uint_eq(script.closed, 1);
	script.closed = 0;
	script_open();
}

/* --- the completion queue --------------------------------------------- */

SCRIPT_TEST(overflown_completions_come_in_order_and_none_is_lost)
{
	peal_op ops[64];
	unsigned at;

	script_reopen(64, 8, 1024);
	for (at = 0; at < 64; at++)
		ops[at] = start_read();
	script_turn();
	for (at = 0; at < 64; at++)
		script_complete((uint64_t)ops[at], (int32_t)at, 0);
	ck_assert_uint_eq(script.overflows, 56);
	for (at = 0; at < 20; at++)
		script_turn();
	for (at = 0; at < 64; at++) {
		ck_result(outcome(ops[at])->result, at);
		ck_assert_uint_eq(outcome(ops[at])->order, at + 1);
	}
}

static void on_done_fill_the_queue(struct peal_ring *where,
				   const struct peal_completion *done)
{
	unsigned at;

	on_done(where, done);
	for (at = 0; at < 100; at++)
		ck_assert_int_gt(peal_read(where, 4, buf, 1, 0, 0, NULL, NULL),
				 0);
}

SCRIPT_TEST(completions_that_come_while_handlers_run_are_not_lost)
{
	/* The handler's ops flush the queue, which lets more completions in
	 * while the first batch is being walked. */
	peal_op first, ops[16];
	unsigned at;

	script_reopen(16, 8, 1024);
	first = peal_read(ring, 3, buf, 1, 0, 0, on_done_fill_the_queue, NULL);
	for (at = 0; at < 15; at++)
		ops[at] = start_read();
	script_turn();
	script_complete((uint64_t)first, 1, 0);
	for (at = 0; at < 15; at++)
		script_complete((uint64_t)ops[at], 2, 0);
	for (at = 0; at < 5; at++)
		script_turn();
	for (at = 0; at < 15; at++)
		ck_result(outcome(ops[at])->result, 2);
	ck_assert_uint_eq(ring->stats.stale, 0);
}

static uint32_t head_seen, in_flight_seen;

static void on_done_look(struct peal_ring *where,
			 const struct peal_completion *done)
{
	on_done(where, done);
	head_seen = *where->queues.cq_head;
	in_flight_seen = peal__in_flight(where);
	ck_assert(!peal_op_in_flight(where, done->op));
}

SCRIPT_TEST(slot_of_a_completion_is_given_back_before_its_handler_runs)
{
	peal_op op = peal_read(ring, 3, buf, 1, 0, 0, on_done_look, NULL);
	uint32_t head;

	script_turn();
	head = *ring->queues.cq_head;
	completes((uint64_t)op, 1, 0);
	ck_assert_uint_eq(head_seen, head + 1);
	ck_assert_uint_eq(in_flight_seen, 0);
}

/* --- stop ------------------------------------------------------------- */

static void on_done_stop(struct peal_ring *where,
			 const struct peal_completion *done)
{
	on_done(where, done);
	peal_ring_stop(where);
}

SCRIPT_TEST(stop_in_the_middle_of_a_batch_leaves_the_rest_for_the_next_run)
{
	peal_op ops[5];
	unsigned at;

	for (at = 0; at < 5; at++)
		ops[at] = peal_read(ring, 3, buf, 1, 0, 0,
				    at == 1 ? on_done_stop : on_done, NULL);
	script_turn();
	for (at = 0; at < 5; at++)
		script_complete((uint64_t)ops[at], 1, 0);
	ck_result(peal_ring_run(ring), 1);
	for (at = 0; at < 5; at++)
		ck_assert_int_eq(finished(ops[at]), at <= 1);
	ck_result(peal_ring_run(ring), 0);
	for (at = 0; at < 5; at++)
		ck_assert(finished(ops[at]));
}

SCRIPT_TEST(stop_in_the_ready_queue_leaves_the_rest_for_the_next_run)
{
	peal_op ops[4];
	unsigned at;

	for (at = 0; at < 4; at++) {
		ops[at] = peal_sleep(ring, PEAL_S, 0, on_done_stop, NULL);
		ck_result(peal_cancel(ring, ops[at], 0, NULL, NULL), 0);
	}
	for (at = 0; at < 4; at++) {
		ck_result(peal_ring_run(ring), 1);
		ck_assert(finished(ops[at]));
		ck_assert_uint_eq(peal_ring_in_flight(ring), 3 - at);
	}
}

SCRIPT_TEST(stop_among_timers_leaves_the_rest_for_the_next_run)
{
	peal_op ops[4];
	unsigned at;

	for (at = 0; at < 4; at++)
		ops[at] = peal_sleep(ring, at, 0, on_done_stop, NULL);
	script.now += 10;
	for (at = 0; at < 4; at++) {
		ck_result(peal_ring_run(ring), 1);
		ck_assert(finished(ops[at]));
		ck_assert_uint_eq(peal_ring_in_flight(ring), 3 - at);
	}
	ck_assert_uint_eq(script.waits, 0);
}

static void post_stop(struct peal_ring *where, void *ctx)
{
	++*(unsigned *)ctx;
	peal_ring_stop(where);
}

SCRIPT_TEST(stop_among_posts_leaves_the_rest_for_the_next_run)
{
	unsigned ran = 0, at;

	for (at = 0; at < 3; at++)
		ck_result(peal_post(ring, post_stop, &ran), 0);
	for (at = 1; at <= 3; at++) {
		ck_result(peal_ring_run(ring), 1);
		ck_assert_uint_eq(ran, at);
	}
	ck_result(peal_ring_run(ring), 0);
}

SCRIPT_TEST(stop_outside_of_a_run_ends_the_next_one_only)
{
	peal_op op = read_in_flight();

	script_complete((uint64_t)op, 1, 0);
	peal_ring_stop(ring);
	ck_result(peal_ring_run(ring), 1);
	ck_assert(!finished(op));
	ck_result(peal_ring_run(ring), 0);
	ck_assert(finished(op));
}

SCRIPT_TEST(stopped_turn_does_not_wait)
{
	read_in_flight();
	peal_ring_stop(ring);
	ck_result(peal_ring_turn(ring, PEAL_S), 0);
	ck_assert_uint_eq(script.waits, 0);
}

/* --- the turn --------------------------------------------------------- */

SCRIPT_TEST(run_without_a_reason_returns_at_once)
{
	ck_result(peal_ring_run(ring), 0);
	ck_assert_uint_eq(script.enters, 0);
}

static void on_done_run(struct peal_ring *where,
			const struct peal_completion *done)
{
	on_done(where, done);
	ck_result(peal_ring_run(where), -EDEADLK);
	ck_result(peal_ring_turn(where, 0), -EDEADLK);
	ck_result(peal_ring_close(where, 0), -EDEADLK);
}

SCRIPT_TEST(run_within_a_handler_is_refused)
{
	peal_op op = peal_read(ring, 3, buf, 1, 0, 0, on_done_run, NULL);

	script_turn();
	completes((uint64_t)op, 1, 0);
	ck_assert(finished(op));
}

SCRIPT_TEST(turn_with_completions_and_nothing_new_makes_no_call)
{
	peal_op op = read_in_flight();
	unsigned enters = script.enters;

	script_complete((uint64_t)op, 1, 0);
	ck_assert_int_eq(script_turn(), 1);
	ck_assert_uint_eq(script.enters, enters);
}

SCRIPT_TEST(turn_submits_and_waits_in_one_call)
{
	start_read();
	ck_result(peal_ring_turn(ring, PEAL_MS), 0);
	ck_assert_uint_eq(script.enters, 1);
	ck_assert_uint_eq(script.waits, 1);
	ck_assert_uint_eq(script.last_timeout_ns, PEAL_MS);
}

SCRIPT_TEST(wait_ends_at_the_next_timer)
{
	peal_op op = peal_sleep(ring, 5 * PEAL_US, 0, on_done, NULL);

	ck_result(peal_ring_turn(ring, PEAL_S), 1);
	ck_assert(finished(op));
	ck_assert_uint_eq(script.last_timeout_ns, 5 * PEAL_US);
	ck_assert_uint_eq(script.now, SCRIPT_START_NS + 5 * PEAL_US);
}

SCRIPT_TEST(what_is_ready_is_not_waited_for)
{
	peal_op op = peal_sleep(ring, PEAL_S, 0, on_done, NULL);

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_assert_uint_eq(peal_ring_timeout_ns(ring), 0);
	ck_result(peal_ring_turn(ring, PEAL_S), 1);
	ck_assert_uint_eq(script.waits, 0);
}

SCRIPT_TEST(turn_says_how_many_handlers_ran)
{
	unsigned at, ran = 0;

	for (at = 0; at < 3; at++)
		start_read();
	script_turn();
	for (at = 0; at < 3; at++)
		script_complete(script_taken(at)->user_data, 0, 0);
	ck_assert_int_gt(peal_sleep(ring, 0, 0, on_done, NULL), 0);
	ck_result(peal_post(ring, post_stop, &ran), 0);
	ck_assert_int_eq(script_turn(), 1);	/* it stops */
	ck_assert_int_eq(script_turn(), 4);
}

static peal_op late;

static void on_done_cancel_again(struct peal_ring *where,
				 const struct peal_completion *done)
{
	on_done(where, done);
	late = peal_sleep(where, PEAL_S, 0, on_done_cancel_again, NULL);
	ck_result(peal_cancel(where, late, 0, NULL, NULL), 0);
}

SCRIPT_TEST(handler_that_makes_work_ready_does_not_keep_the_turn)
{
	peal_op op = peal_sleep(ring, PEAL_S, 0, on_done_cancel_again, NULL);

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_assert_int_eq(script_turn(), 1);
	ck_assert_int_eq(script_turn(), 1);
	ck_assert(peal_op_in_flight(ring, late));
	peal__row_find(ring, late)->handler = on_done;
}

SCRIPT_TEST(held_ring_waits_for_posts)
{
	peal_ring_hold(ring);
	ck_result(peal_ring_turn(ring, PEAL_S), 0);
	ck_assert_uint_eq(script.last_timeout_ns, PEAL_S);
	peal_ring_release(ring);
	ck_result(peal_ring_run(ring), 0);
}

SUITE("ring_turn")
