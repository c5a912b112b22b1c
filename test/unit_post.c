/* SPDX-License-Identifier: MIT */
/*
 * Posts: the queue at its edges, and between two threads with an engine that
 * counts wake-ups and sleeps until one comes.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "test/scripted.h"

SCRIPT_SYSTEM

static unsigned ran[64];
static unsigned run_count;

static void note(struct peal_ring *where, void *ctx)
{
	(void)where;
	ran[run_count++ % 64] = (unsigned)(uintptr_t)ctx;
}

static int post(unsigned number)
{
	return peal_post(ring, note, (void *)(uintptr_t)number);
}

/* --- one thread ------------------------------------------------------- */

SCRIPT_TEST(post_runs_in_the_next_turn_not_in_the_call)
{
	ck_result(post(7), 0);
	ck_assert_uint_eq(run_count, 0);
	ck_assert_int_eq(script_turn(), 1);
	ck_assert_uint_eq(run_count, 1);
	ck_assert_uint_eq(ran[0], 7);
	ck_assert_uint_eq(ring->stats.posts, 1);
}

SCRIPT_TEST(posts_run_in_the_order_posted)
{
	unsigned at;

	for (at = 0; at < 16; at++)
		ck_result(post(at), 0);
	ck_assert_int_eq(script_turn(), 16);
	for (at = 0; at < 16; at++)
		ck_assert_uint_eq(ran[at], at);
}

SCRIPT_TEST(full_queue_is_eagain_and_what_is_in_it_runs)
{
	unsigned at;

	for (at = 0; at < 16; at++)
		ck_result(post(at), 0);
	ck_result(post(99), -EAGAIN);
	ck_result(post(99), -EAGAIN);
	ck_assert_int_eq(script_turn(), 16);
	ck_assert_uint_eq(ran[15], 15);
	ck_result(post(16), 0);
	ck_assert_int_eq(script_turn(), 1);
	ck_assert_uint_eq(ran[16], 16);
}

SCRIPT_TEST(queue_wraps_many_times_and_stays_in_order)
{
	unsigned round, at, number = 0, want = 0;

	for (round = 0; round < 2000; round++) {
		for (at = 0; at < 1 + round % 16; at++)
			ck_result(post(number++), 0);
		script_turn();
		for (; want < number; want++)
			ck_assert_uint_eq(ran[want % 64], want);
	}
	ck_assert_uint_eq(ring->post_head, number);
}

SCRIPT_TEST(positions_wrap_at_the_end_of_64_bits)
{
	unsigned at;

	/* As after 2^64 - 8 posts. */
	ring->post_head = UINT64_MAX - 7;
	atomic_store(&ring->post_tail, UINT64_MAX - 7);
	atomic_store(&ring->post_seen, UINT64_MAX - 7);
	for (at = 0; at < 16; at++) {
		uint32_t number = UINT32_MAX - 7 - 16 + at + 1;

		atomic_store(&ring->posts[(at + 8) & 15].number, number);
	}
	for (at = 0; at < 16; at++)
		ck_result(post(at), 0);
	ck_result(post(99), -EAGAIN);
	ck_assert_int_eq(script_turn(), 16);
	for (at = 0; at < 16; at++)
		ck_assert_uint_eq(ran[at], at);
	ck_assert_uint_eq(ring->post_head, 8);
}

SCRIPT_TEST(size_of_the_queue_is_rounded_up_to_a_power_of_two)
{
	static const unsigned asked[] = { 1, 2, 3, 9, 1000 };
	static const unsigned got[] = { 2, 2, 4, 16, 1024 };
	unsigned at;

	for (at = 0; at < 5; at++) {
		script_close();
		script_open_with(64, 256, 16, asked[at]);
		ck_assert_uint_eq(ring->post_mask + 1, got[at]);
	}
}

static void post_again(struct peal_ring *where, void *ctx)
{
	note(where, ctx);
	ck_result(peal_post(where, post_again, ctx), 0);
}

SCRIPT_TEST(post_that_posts_itself_does_not_keep_the_turn)
{
	ck_result(peal_post(ring, post_again, NULL), 0);
	ck_assert_int_eq(script_turn(), 1);
	ck_assert_int_eq(script_turn(), 1);
	ring->posts[ring->post_head & ring->post_mask].fn = note;
}

static void fill_from_within(struct peal_ring *where, void *ctx)
{
	unsigned at;

	(void)ctx;
	for (at = 0; at < 16; at++)
		ck_result(peal_post(where, note, NULL), 0);
	ck_result(peal_post(where, note, NULL), -EAGAIN);
}

SCRIPT_TEST(cell_of_the_post_that_runs_is_free_again)
{
	ck_result(peal_post(ring, fill_from_within, NULL), 0);
	ck_assert_int_eq(script_turn(), 1);
	ck_assert_int_eq(script_turn(), 16);
}

SCRIPT_TEST(claimed_cell_that_is_not_published_is_waited_for)
{
	/* A producer between its claim and its write; behind it, a post that
	 * is complete must not overtake. */
	uint64_t position = atomic_load(&ring->post_tail);
	struct peal__post *cell = &ring->posts[position & ring->post_mask];

	atomic_store(&ring->post_tail, position + 1);
	ck_result(post(2), 0);
	ck_assert_int_eq(script_turn(), 0);
	ck_result(peal_ring_turn(ring, PEAL_FOREVER), 0);
	ck_assert_uint_eq(script.waits, 0);
	cell->fn = note;
	cell->ctx = (void *)(uintptr_t)1;
	atomic_store(&cell->number, (uint32_t)position + 1);
	ck_assert_int_eq(script_turn(), 2);
	ck_assert_uint_eq(ran[0], 1);
	ck_assert_uint_eq(ran[1], 2);
}

SCRIPT_TEST(post_to_a_ring_that_does_not_sleep_wakes_nobody)
{
	ck_result(post(1), 0);
	ck_result(post(2), 0);
	ck_assert_uint_eq(script.wakes, 0);
	ck_assert_uint_eq(atomic_load(&ring->wakes), 0);
}

static unsigned posts_in_wait;

static int post_while_it_sleeps(uint64_t timeout_ns)
{
	unsigned at;

	(void)timeout_ns;
	for (at = 0; at < posts_in_wait; at++)
		ck_result(post(at), 0);
	return 0;
}

SCRIPT_TEST(many_posts_to_a_sleeping_ring_are_one_wake_up)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	script.on_wait = post_while_it_sleeps;
	posts_in_wait = 10;
	ck_result(peal_ring_turn(ring, PEAL_FOREVER), 10);
	ck_assert_uint_eq(script.wakes, 1);
	peal_ring_stats(ring, &stats);
	ck_assert_uint_eq(stats.wakes, 1);
	ck_assert_uint_eq(stats.posts, 10);
}

SCRIPT_TEST(each_sleep_can_be_woken_again)
{
	unsigned at;

	script.on_wait = post_while_it_sleeps;
	posts_in_wait = 1;
	for (at = 1; at <= 5; at++) {
		ck_result(peal_ring_turn(ring, PEAL_FOREVER), 1);
		ck_assert_uint_eq(script.wakes, at);
	}
}

SCRIPT_TEST(ring_with_posts_does_not_go_to_sleep)
{
	ck_result(post(1), 0);
	ck_result(peal_ring_turn(ring, PEAL_FOREVER), 1);
	ck_assert_uint_eq(script.waits, 0);
}

SCRIPT_TEST(ring_that_ran_posts_sleeps_when_no_more_come)
{
	static const unsigned skips[] = { 1, 0, 3, 2, 1, 0, 7 };
	unsigned at;

	script.on_wait = post_while_it_sleeps;
	posts_in_wait = 0;
	for (at = 0; at < 7; at++) {
		ck_result(post(at), 0);
		ck_result(peal_ring_turn(ring, PEAL_FOREVER), 1);
		ck_result(peal_ring_turn(ring, PEAL_FOREVER), 0);
		ck_assert_uint_eq(script.waits, at + 1);
		ck_assert_uint_eq(ring->linger_skip, skips[at]);
	}
	for (at = 0; at < 10000; at++) {
		ck_result(post(at), 0);
		ck_assert_int_eq(script_turn(), 1);
		ck_result(peal_ring_turn(ring, PEAL_FOREVER), 0);
		ck_assert_uint_lt(ring->linger_skip, 64);
	}
}

SCRIPT_TEST(ring_looks_for_more_posts_as_long_as_that_gains_many)
{
	unsigned at;

	ring->linger_failed = 31;
	ring->lingers = 1;
	for (at = 0; at < 16; at++)
		ck_result(post(at), 0);
	ck_result(peal_ring_turn(ring, PEAL_FOREVER), 16);
	ck_assert_uint_eq(ring->linger_failed, 0);
	ck_assert_uint_eq(ring->linger_skip, 0);
	ck_result(post(at), 0);
	ck_result(peal_ring_turn(ring, PEAL_FOREVER), 1);
	ck_assert_uint_eq(ring->linger_failed, 1);
	ck_assert_uint_eq(script.waits, 0);
}

SCRIPT_TEST(ring_in_another_loop_is_woken_after_timeout_ns)
{
	ck_assert_uint_eq(peal_ring_timeout_ns(ring), PEAL_FOREVER);
	ck_result(post(1), 0);
	ck_assert_uint_eq(script.wakes, 1);
	ck_assert_uint_eq(peal_ring_timeout_ns(ring), 0);
	ck_assert_int_eq(script_turn(), 1);
	ck_result(post(2), 0);
	ck_assert_uint_eq(script.wakes, 1);
	script_turn();
}

SCRIPT_TEST(wake_up_leaves_errno_alone)
{
	ck_assert_uint_eq(peal_ring_timeout_ns(ring), PEAL_FOREVER);
	errno = 42;
	ck_result(post(1), 0);
	ck_assert_int_eq(errno, 42);
}

static void on_signal(int number)
{
	(void)number;
	if (peal_post(ring, note, NULL) != 0)
		abort();
}

SCRIPT_TEST(signal_handler_may_post)
{
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	raise(SIGUSR1);
	ck_assert_int_eq(script_turn(), 2);
}

/* --- two threads ------------------------------------------------------ */

/* A queue of 16: each few posts cost a switch between three threads, and on a
 * machine with other work a switch takes milliseconds. */
#define EACH 10000u

static uint64_t seen[2];

static unsigned wakes_seen;

/* The ring sleeps for as long as nobody wakes it. Should a wake-up be lost, it
 * sleeps for ever: then the test's time runs out. */
static int sleep_until_woken(uint64_t timeout_ns)
{
	(void)timeout_ns;
	while (atomic_load(&script.wakes) == wakes_seen)
		sched_yield();
	wakes_seen = atomic_load(&script.wakes);
	return 0;
}

static void check_order(struct peal_ring *where, void *ctx)
{
	uintptr_t message = (uintptr_t)ctx;

	(void)where;
	HOLDS(message / 2 == seen[message % 2]);
	seen[message % 2]++;
	run_count++;
}

static void *produce(void *ctx)
{
	uintptr_t lane = (uintptr_t)ctx, at;

	for (at = 0; at < EACH; at++)
		while (peal_post(ring, check_order, (void *)(at * 2 + lane)))
			sched_yield();
	return NULL;
}

SCRIPT_TEST(two_producers_lose_no_post_and_no_wake_up)
{
	pthread_t threads[2];
	uintptr_t lane;

	script.on_wait = sleep_until_woken;
	for (lane = 0; lane < 2; lane++)
		ck_assert_int_eq(pthread_create(&threads[lane], NULL, produce,
						(void *)lane), 0);
	peal_ring_hold(ring);
	while (run_count < 2 * EACH)
		ck_ok(peal_ring_turn(ring, PEAL_FOREVER));
	peal_ring_release(ring);
	for (lane = 0; lane < 2; lane++)
		pthread_join(threads[lane], NULL);
	ck_assert_uint_eq(seen[0], EACH);
	ck_assert_uint_eq(seen[1], EACH);
	ck_assert_uint_eq(ring->stats.posts, 2 * EACH);
	ck_assert_uint_eq(atomic_load(&script.wakes),
			  atomic_load(&ring->wakes));
}

SUITE("post")
