/* SPDX-License-Identifier: MIT */
/* What runs once, when the handlers of a turn have run. */
#include "test/harness.h"

static unsigned calls, completions, seen;
static struct peal_after_turn after, second;

static void count_calls(struct peal_ring *where, void *ctx)
{
	ck_assert_ptr_eq(where, ring);
	ck_assert_ptr_eq(ctx, &calls);
	calls++;
	seen = completions;
}

static void ask(void)
{
	after.fn = count_calls;
	after.ctx = &calls;
	ck_assert_int_eq(peal_ring_after_turn(ring, &after), 0);
}

static void on_nop(struct peal_ring *where, const struct peal_completion *done)
{
	(void)where;
	ck_result(done->result, 0);
	completions++;
	ask();
}

TEST(function_runs_once_after_all_handlers_of_a_turn)
{
	int i;

	for (i = 0; i < 5; i++)
		ck_assert_int_gt(peal_nop(ring, 0, on_nop, NULL), 0);
	while (completions < 5)
		ck_assert_int_ge(peal_ring_turn(ring, PEAL_S), 0);
	ck_assert_uint_ge(calls, 1);
	ck_assert_uint_le(calls, 5);
	ck_assert_uint_eq(seen, 5);
}

TEST(function_asked_for_outside_a_turn_keeps_the_next_from_waiting)
{
	ask();
	ask();
	ck_assert_int_ge(peal_ring_turn(ring, PEAL_FOREVER), 0);
	ck_assert_uint_eq(calls, 1);
	ck_assert_int_ge(peal_ring_turn(ring, 0), 0);
	ck_assert_uint_eq(calls, 1);
}

TEST(ring_has_work_while_a_function_waits)
{
	ask();
	ck_assert_int_eq((int)(peal_ring_timeout_ns(ring) != 0), 0);
	ck_assert_int_eq(peal_ring_run(ring), 0);
	ck_assert_uint_eq(calls, 1);
}

static void ask_again(struct peal_ring *where, void *ctx)
{
	unsigned *left = ctx;

	calls++;
	if (--*left)
		ck_assert_int_eq(peal_ring_after_turn(where, &second), 0);
}

TEST(function_that_asks_again_runs_in_the_next_turn)
{
	unsigned left = 3;

	second.fn = ask_again;
	second.ctx = &left;
	peal_ring_after_turn(ring, &second);
	ck_assert_int_ge(peal_ring_turn(ring, PEAL_FOREVER), 0);
	ck_assert_uint_eq(calls, 1);
	ck_assert_int_ge(peal_ring_turn(ring, PEAL_FOREVER), 0);
	ck_assert_uint_eq(calls, 2);
	ck_assert_int_eq(peal_ring_run(ring), 0);
	ck_assert_uint_eq(calls, 3);
}

static void start_nop(struct peal_ring *where, void *ctx)
{
	(void)ctx;
	ck_assert_int_gt(peal_nop(where, 0, on_nop, NULL), 0);
}

TEST(function_may_start_ops)
{
	second.fn = start_nop;
	peal_ring_after_turn(ring, &second);
	ck_assert_int_eq(peal_ring_run(ring), 0);
	ck_assert_uint_eq(completions, 1);
	ck_assert_uint_eq(calls, 1);
}

static void on_stop(struct peal_ring *where,
		    const struct peal_completion *done)
{
	(void)done;
	ask();
	peal_ring_stop(where);
}

TEST(function_runs_in_a_turn_that_is_stopped)
{
	ck_assert_int_gt(peal_nop(ring, 0, on_stop, NULL), 0);
	ck_assert_int_eq(peal_ring_run(ring), 1);
	ck_assert_uint_eq(calls, 1);
}

BARE_TEST(ring_that_is_closed_calls_what_waits)
{
	ring = NULL;
	ck_assert_int_eq(peal_ring_open(&ring, NULL), 0);
	ask();
	ck_assert_int_eq(peal_ring_close(ring, CLOSE_NS), 0);
	ck_assert_uint_eq(calls, 1);
}

static int refusal;

static void ask_for_ever(struct peal_ring *where, void *ctx)
{
	(void)ctx;
	calls++;
	refusal = peal_ring_after_turn(where, &second);
}

BARE_TEST(function_that_always_asks_again_does_not_keep_a_ring_from_closing)
{
	ring = NULL;
	ck_assert_int_eq(peal_ring_open(&ring, NULL), 0);
	second.fn = ask_for_ever;
	ck_assert_int_eq(peal_ring_after_turn(ring, &second), 0);
	ck_assert_int_ge(peal_ring_turn(ring, PEAL_FOREVER), 0);
	ck_assert_int_ge(peal_ring_turn(ring, PEAL_FOREVER), 0);
	ck_assert_uint_eq(calls, 2);
	ck_assert_int_eq(refusal, 0);
	ck_assert_int_eq(peal_ring_close(ring, PEAL_FOREVER), 0);
	ck_assert_uint_eq(calls, 3);
	ck_assert_int_eq(refusal, -ESHUTDOWN);
	ck_assert_int_eq(second.waiting, 0);
}

static void on_end(struct peal_ring *where, const struct peal_completion *done)
{
	ck_result(done->result, -ECANCELED);
	completions++;
	second.fn = ask_for_ever;
	ck_assert_int_eq(peal_ring_after_turn(where, &second), 0);
}

BARE_TEST(handler_of_a_closing_ring_may_still_ask)
{
	ring = NULL;
	ck_assert_int_eq(peal_ring_open(&ring, NULL), 0);
	ck_assert_int_gt(peal_sleep(ring, 3600 * PEAL_S, 0, on_end, NULL), 0);
	ck_assert_int_eq(peal_ring_close(ring, PEAL_FOREVER), 0);
	ck_assert_uint_eq(completions, 1);
	ck_assert_uint_eq(calls, 1);
	ck_assert_int_eq(refusal, -ESHUTDOWN);
}

SUITE("after")
