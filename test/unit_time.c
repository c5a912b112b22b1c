/* SPDX-License-Identifier: MIT */
/*
 * The timing wheel against a model: a plain list of times. The model's only
 * structure is a sort by time and age, so what it says is right by looking.
 */
#include "test/scripted.h"

SCRIPT_SYSTEM

#define MAX_DUE ((UINT64_C(1) << 62) - 1)

/* --- the model -------------------------------------------------------- */

#define MOST 100000

struct timer {
	peal_op op;
	uint64_t due_ns;
	uint64_t age;		/* of its latest arming */
	int armed;
};

static struct timer timers[MOST];
static unsigned timer_count;
static uint64_t age;
static unsigned fired_count;
static struct timer fired[MOST];

static void on_fired(struct peal_ring *where,
		     const struct peal_completion *done)
{
	struct timer *timer = done->ctx;

	if (done->result == -ECANCELED)
		return;
	HOLDS(done->result == 0);
	HOLDS(timer->armed);
	HOLDS(timer->due_ns <= where->now);
	fired[fired_count++] = *timer;
	timer->armed = 0;
}

static void arm(struct timer *timer, uint64_t ns)
{
	timer->op = peal_sleep(ring, ns, 0, on_fired, timer);
	HOLDS(timer->op > 0);
	timer->due_ns = ns > MAX_DUE - script.now ? MAX_DUE : script.now + ns;
	timer->age = age++;
	timer->armed = 1;
}

static void move(struct timer *timer, uint64_t ns)
{
	HOLDS(peal_sleep_again(ring, timer->op, ns) == 0);
	timer->due_ns = ns > MAX_DUE - script.now ? MAX_DUE : script.now + ns;
	timer->age = age++;
}

static void disarm(struct timer *timer)
{
	HOLDS(peal_cancel(ring, timer->op, 0, NULL, NULL) == 0);
	timer->armed = 0;
}

/* What fired is in order of time, then age; what is due has fired. */
static void agrees(void)
{
	uint64_t next = PEAL_FOREVER;
	unsigned at;

	for (at = 1; at < fired_count; at++)
		HOLDS(fired[at - 1].due_ns < fired[at].due_ns ||
		      (fired[at - 1].due_ns == fired[at].due_ns &&
		       fired[at - 1].age < fired[at].age));
	fired_count = 0;
	for (at = 0; at < timer_count; at++) {
		if (!timers[at].armed)
			continue;
		HOLDS(timers[at].due_ns > script.now);
		if (timers[at].due_ns < next)
			next = timers[at].due_ns;
	}
	/* It may say "earlier", to look again; never later. */
	HOLDS(peal__timer_next(ring) <= next);
}

/* Spans from nothing to years, each power of two as likely as any other. */
static uint64_t random_span(void)
{
	uint64_t bits = script_below(58);

	return script_random() & ((UINT64_C(1) << bits) - 1);
}

static void one_random_thing(void)
{
	struct timer *timer = &timers[script_below(timer_count)];

	if (!timer->armed)
		arm(timer, random_span());
	else if (script_below(3))
		move(timer, random_span());
	else
		disarm(timer);
}

/* Moves the clock as a loop would: not beyond the next timer; or far. */
static void advance(void)
{
	uint64_t next = peal__timer_next(ring);

	if (next > script.now && next != PEAL_FOREVER && script_below(4))
		script.now = next;
	else if (script.now < UINT64_C(1) << 61)
		script.now += random_span();
	script_turn();
}

static void against_the_model(uint64_t seed, unsigned count, unsigned steps)
{
	unsigned step, n;

	script_seed(seed);
	timer_count = count;
	memset(timers, 0, sizeof(timers));
	for (step = 0; step < steps; step++) {
		for (n = script_below(8); n > 0; n--)
			one_random_thing();
		advance();
		agrees();
	}
	for (n = 0; n < count; n++)
		if (timers[n].armed)
			disarm(&timers[n]);
	script_turn();
	script_is_idle();
}

SCRIPT_TEST(wheel_agrees_with_a_sorted_list_over_spans_from_ns_to_years)
{
	uint64_t seed;

	for (seed = 1; seed <= 12; seed++) {
		script_reopen(4, 4, 64);
		against_the_model(seed, 50, 1000);
	}
}

SCRIPT_TEST(wheel_of_one_timer_agrees_with_the_model)
{
	uint64_t seed;

	for (seed = 100; seed < 110; seed++) {
		script_reopen(4, 4, 64);
		against_the_model(seed, 1, 2000);
	}
}

SCRIPT_TEST(wheel_of_many_timers_agrees_with_the_model)
{
	script_reopen(4, 4, 4096);
	against_the_model(7, 4000, 1000);
}

SCRIPT_TEST(hundred_thousand_timers_fire_in_order)
{
	unsigned at;

	script_reopen(4, 4, MOST);
	script_seed(11);
	timer_count = MOST;
	for (at = 0; at < MOST; at++)
		arm(&timers[at], script_random() % PEAL_S);
	ck_assert_uint_eq(ring->wheel.count, MOST);
	for (at = 0; at < 10; at++)
		script_turn_after(PEAL_S / 20);
	ck_assert_uint_gt(fired_count, MOST / 3);
	ck_assert_uint_lt(fired_count, MOST * 2 / 3);
	agrees();
	script_turn_after(PEAL_S);
	agrees();
	ck_assert_uint_eq(ring->wheel.count, 0);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

/* --- the next one ----------------------------------------------------- */

SCRIPT_TEST(next_time_is_exact_while_few_timers_stand_first)
{
	/* At every distance: ns to years. */
	unsigned bits;

	for (bits = 0; bits < 57; bits++) {
		uint64_t ns = (UINT64_C(1) << bits) + 7 * bits;

		timer_count = 1;
		arm(&timers[0], ns);
		ck_assert_uint_eq(peal__timer_next(ring), script.now + ns);
		ck_assert_uint_eq(peal_ring_timeout_ns(ring), ns);
		disarm(&timers[0]);
		script_turn();
		script.now += 12345 + ns / 3;
		script_turn();
	}
}

SCRIPT_TEST(next_time_among_many_is_early_but_never_late)
{
	unsigned at, turns = 0;
	uint64_t due;

	/* All in one slot far away: they are not looked at one by one. */
	timer_count = 500;
	for (at = 0; at < 500; at++)
		arm(&timers[at], PEAL_S + 1000 - at);
	due = timers[499].due_ns;
	while (!fired_count && ++turns < 100) {
		uint64_t next = peal__timer_next(ring);

		ck_assert_uint_le(next, due);
		ck_assert_uint_gt(next, script.now);
		script_turn_at(next);
	}
	ck_assert_uint_eq(script.now, due);
	ck_assert_uint_le(turns, 8);	/* one per level */
}

SCRIPT_TEST(ring_waits_for_a_far_timer_once)
{
	peal_op op = peal_sleep(ring, 3600 * PEAL_S, 0, on_done, NULL);

	ck_result(peal_ring_turn(ring, PEAL_FOREVER), 1);
	ck_assert(finished(op));
	ck_assert_uint_eq(script.waits, 1);
	ck_assert_uint_eq(script.now, SCRIPT_START_NS + 3600 * PEAL_S);
}

SCRIPT_TEST(no_timer_means_no_limit)
{
	ck_assert_uint_eq(peal__timer_next(ring), PEAL_FOREVER);
	ck_assert_uint_eq(peal_ring_timeout_ns(ring), PEAL_FOREVER);
}

SCRIPT_TEST(timer_fires_at_its_nanosecond_not_before)
{
	uint64_t start;
	unsigned at;

	for (at = 0; at < 100; at++) {
		uint64_t ns = 1 + at * 997;
		peal_op op = peal_sleep(ring, ns, 0, on_done, NULL);

		start = script.now;
		script_turn_at(start + ns - 1);
		ck_assert(!finished(op));
		script_turn_at(start + ns);
		ck_assert(finished(op));
	}
}

SCRIPT_TEST(clock_that_jumps_years_fires_everything_in_order)
{
	unsigned at;

	timer_count = 200;
	for (at = 0; at < 200; at++)
		arm(&timers[at], (uint64_t)(at * 7919 % 200) * 86400 * PEAL_S);
	script_turn_after(UINT64_C(100) * 365 * 86400 * PEAL_S);
	ck_assert_uint_eq(fired_count, 200);
	agrees();
}

SCRIPT_TEST(equal_times_fire_in_the_order_they_were_armed)
{
	/* Also when some were armed from far away and some from near. */
	uint64_t due = SCRIPT_START_NS + 10 * PEAL_S;
	unsigned at;

	timer_count = 300;
	for (at = 0; at < 300; at++) {
		arm(&timers[at], due - script.now);
		script_turn_after(30 * PEAL_MS);
	}
	script_turn_at(due);
	ck_assert_uint_eq(fired_count, 300);
	for (at = 0; at < 300; at++)
		ck_assert_uint_eq(fired[at].age, at);
}

SCRIPT_TEST(time_too_far_away_is_clamped)
{
	unsigned at;

	timer_count = 3;
	arm(&timers[0], UINT64_MAX);
	arm(&timers[1], MAX_DUE);
	arm(&timers[2], MAX_DUE - script.now);
	for (at = 0; at < 3; at++)
		ck_assert_uint_eq(peal__row_find(ring, timers[at].op)->due_ns,
				  MAX_DUE);
	script_turn_at(MAX_DUE - 1);
	ck_assert_uint_eq(fired_count, 0);
	script_turn_at(MAX_DUE);
	ck_assert_uint_eq(fired_count, 3);
	agrees();
}

SCRIPT_TEST(timer_armed_late_for_the_wheel_fires_in_the_next_turn)
{
	/* At a time that the wheel has passed already. */
	peal_op op = peal_sleep(ring, PEAL_S, 0, on_done, NULL);

	script_turn_after(PEAL_S);
	ck_assert(finished(op));
	op = peal_sleep(ring, PEAL_S, 0, on_done, NULL);
	peal__timer_remove(ring, peal__row_find(ring, op));
	peal__timer_add(ring, peal__row_find(ring, op), SCRIPT_START_NS + 5);
	ck_assert_uint_le(peal__timer_next(ring), script.now);
	script_turn();
	ck_assert(finished(op));
}

SCRIPT_TEST(no_time_is_beyond_the_last_level_of_the_wheel)
{
	peal_op op = peal_sleep(ring, PEAL_S, 0, on_done, NULL);
	struct peal__row *row = peal__row_find(ring, op);

	peal__timer_remove(ring, row);
	peal__timer_add(ring, row, UINT64_MAX);
	ck_assert_uint_eq(row->due_ns, MAX_DUE);
	script_turn_at(MAX_DUE);
	ck_assert(finished(op));
}

/* --- handlers that change the batch they are in ----------------------- */

static peal_op victims[4];
static unsigned ran;

static void on_done_remove(struct peal_ring *where,
			   const struct peal_completion *done)
{
	on_done(where, done);
	ran++;
	ck_result(peal_cancel(where, victims[1], 0, NULL, NULL), 0);
	ck_result(peal_sleep_again(where, victims[2], PEAL_MS), 0);
}

SCRIPT_TEST(handler_may_remove_and_move_what_is_due_with_it)
{
	unsigned at;

	victims[0] = peal_sleep(ring, 1, 0, on_done_remove, NULL);
	for (at = 1; at < 4; at++)
		victims[at] = peal_sleep(ring, 1 + at, 0, on_done, NULL);
	ck_assert_int_eq(script_turn_after(10), 2);
	ck_assert(finished(victims[0]));
	ck_assert(!finished(victims[1]));
	ck_assert(!finished(victims[2]));
	ck_assert(finished(victims[3]));
	ck_assert_int_eq(script_turn(), 1);
	ck_result(outcome(victims[1])->result, -ECANCELED);
	ck_assert_int_eq(script_turn_after(PEAL_MS), 1);
	ck_result(outcome(victims[2])->result, 0);
}

SCRIPT_TEST(what_is_due_has_no_bit_in_the_wheel)
{
	/* It stands in one slot more than there are bits: behind them are the
	 * statistics, of which these two fields mean nothing here. */
	ring->stats.size = ring->stats.in_flight = UINT32_MAX;
	ck_assert_int_gt(peal_sleep(ring, 1, 0, NULL, NULL), 0);
	ck_assert_int_eq(script_turn_after(1), 1);
	ck_assert_uint_eq(ring->stats.size, UINT32_MAX);
	ck_assert_uint_eq(ring->stats.in_flight, UINT32_MAX);
}

static void on_done_sleep_again(struct peal_ring *where,
				const struct peal_completion *done)
{
	on_done(where, done);
	if (++ran < 10)
		ck_assert_int_gt(peal_sleep(where, 0, 0, on_done_sleep_again,
					    NULL), 0);
}

SCRIPT_TEST(sleep_of_0_in_a_handler_is_for_the_next_turn)
{
	unsigned turn;

	ck_assert_int_gt(peal_sleep(ring, 0, 0, on_done_sleep_again, NULL), 0);
	for (turn = 1; turn <= 10; turn++) {
		ck_assert_int_eq(script_turn(), 1);
		ck_assert_uint_eq(ran, turn);
	}
	ck_assert_int_eq(script_turn(), 0);
}

static void on_chaos(struct peal_ring *where,
		     const struct peal_completion *done)
{
	on_fired(where, done);
	if (done->result == 0 && script_below(2))
		one_random_thing();
}

SCRIPT_TEST(handlers_that_do_random_things_lose_no_timer)
{
	unsigned step, at;
	uint64_t seed;

	for (seed = 50; seed < 60; seed++) {
		script_seed(seed);
		timer_count = 60;
		memset(timers, 0, sizeof(timers));
		for (step = 0; step < 500; step++) {
			one_random_thing();
			for (at = 0; at < timer_count; at++)
				if (timers[at].armed)
					peal__row_find(ring, timers[at].op)
						->handler = on_chaos;
			advance();
			fired_count = 0;
			for (at = 0; at < timer_count; at++)
				HOLDS(!timers[at].armed ||
				      peal_op_in_flight(ring, timers[at].op));
		}
		for (at = 0; at < timer_count; at++)
			if (timers[at].armed)
				disarm(&timers[at]);
		script_turn();
		ck_assert_uint_eq(ring->wheel.count, 0);
		ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
	}
}

/* --- sleeps ----------------------------------------------------------- */

SCRIPT_TEST(sleep_again_of_what_is_no_sleep_is_einval)
{
	char byte;
	peal_op op = peal_read(ring, 3, &byte, 1, 0, 0, on_done, NULL);

	ck_result(peal_deadline(ring, op, PEAL_S, 0), 0);
	ck_result(peal_sleep_again(ring, op, 1), -EINVAL);
	ck_result(peal_sleep_again(ring, 0, 1), -ENOENT);
	ck_result(peal_sleep_again(ring, op + 1, 1), -ENOENT);
}

SCRIPT_TEST(sleep_that_is_over_or_cancelled_cannot_be_moved)
{
	peal_op over = peal_sleep(ring, 0, 0, on_done, NULL);
	peal_op cancelled = peal_sleep(ring, PEAL_S, 0, on_done, NULL);

	script_turn();
	ck_result(peal_sleep_again(ring, over, 1), -ENOENT);
	ck_result(peal_cancel(ring, cancelled, 0, NULL, NULL), 0);
	ck_result(peal_sleep_again(ring, cancelled, 1), -ENOENT);
	script_turn_after(PEAL_S);
	ck_assert_uint_eq(outcome(cancelled)->calls, 1);
}

SCRIPT_TEST(sleep_moved_many_times_fires_once)
{
	peal_op op = peal_sleep(ring, PEAL_MS, 0, on_done, NULL);
	unsigned at;

	for (at = 0; at < 1000; at++) {
		ck_result(peal_sleep_again(ring, op, PEAL_MS), 0);
		script_turn_after(PEAL_MS - 1);
		ck_assert(!finished(op));
	}
	script_turn_after(1);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert_uint_eq(ring->wheel.count, 0);
}

SUITE("time")
