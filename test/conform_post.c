/* SPDX-License-Identifier: MIT */
/* Posts: from threads, handlers, signals and other rings. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "test/harness.h"

static unsigned next_expected, run_count;

static void in_order(struct peal_ring *where, void *ctx)
{
	ck_assert_ptr_eq(where, ring);
	ck_assert_uint_eq((unsigned)(uintptr_t)ctx, next_expected);
	next_expected++;
}

static void count(struct peal_ring *where, void *ctx)
{
	(void)where;
	(void)ctx;
	run_count++;
}

static void post(struct peal_ring *where, peal_post_fn *fn, void *ctx)
{
	ck_result(peal_post(where, fn, ctx), 0);
}

TEST(post_runs_in_the_next_turn_not_in_the_call)
{
	post(ring, count, NULL);
	ck_assert_uint_eq(run_count, 0);
	ck_ok(peal_ring_turn(ring, 0));
	ck_assert_uint_eq(run_count, 1);
}

TEST(posts_run_in_the_order_posted)
{
	uintptr_t at;

	for (at = 0; at < 500; at++)
		post(ring, in_order, (void *)at);
	UNTIL(next_expected == 500);
}

TEST(post_gets_its_context)
{
	uintptr_t first = 0;

	post(ring, in_order, (void *)first);
	UNTIL(next_expected == 1);
}

TEST(posts_beyond_max_posts_are_eagain)
{
	struct peal_ring_options options = harness_options();
	unsigned accepted = 0;

	options.max_posts = 16;
	reopen_ring(&options);
	while (accepted < 1000 && peal_post(ring, count, NULL) == 0)
		accepted++;
	ck_assert_uint_ge(accepted, 16);
	ck_assert_uint_lt(accepted, 1000);
	ck_result(peal_post(ring, count, NULL), -EAGAIN);
	UNTIL(run_count == accepted);
	post(ring, count, NULL);
	UNTIL(run_count == accepted + 1);
}

static void post_again(struct peal_ring *where, void *ctx)
{
	unsigned *left = ctx;

	run_count++;
	if (--*left > 0)
		post(where, post_again, left);
}

TEST(post_from_a_post_runs_too_and_lets_ops_through)
{
	unsigned left = 2000;
	peal_op op;

	post(ring, post_again, &left);
	op = peal_nop(ring, 0, on_done, NULL);
	ck_ok(peal_ring_turn(ring, 0));
	ck_ok(peal_ring_turn(ring, 0));
	ck_assert(finished(op));
	ck_assert_uint_gt(left, 0);
	UNTIL(left == 0);
}

static void on_done_post(struct peal_ring *where,
			 const struct peal_completion *done)
{
	on_done(where, done);
	post(where, count, NULL);
	ck_assert_uint_eq(run_count, 0);
}

TEST(post_from_a_handler_runs_after_it)
{
	ck_result(finish(peal_nop(ring, 0, on_done_post, NULL)), 0);
	UNTIL(run_count == 1);
}

static peal_op started;

static void start_an_op(struct peal_ring *where, void *ctx)
{
	(void)ctx;
	started = peal_nop(where, 0, on_done, NULL);
	ck_assert_int_gt(started, 0);
}

TEST(post_may_start_ops)
{
	post(ring, start_an_op, NULL);
	UNTIL(started > 0);
	ck_result(finish(started), 0);
}

static void stop(struct peal_ring *where, void *ctx)
{
	(void)ctx;
	peal_ring_stop(where);
}

TEST(post_may_stop_the_ring)
{
	peal_ring_hold(ring);
	post(ring, stop, NULL);
	ck_result(peal_ring_run(ring), 1);
	peal_ring_release(ring);
	ck_result(peal_ring_run(ring), 0);
}

static void release(struct peal_ring *where, void *ctx)
{
	(void)ctx;
	peal_ring_release(where);
}

TEST(post_waits_for_the_turn_after_one_that_was_stopped_before_it_began)
{
	post(ring, count, NULL);
	peal_ring_stop(ring);
	ck_ok(peal_ring_turn(ring, 0));
	ck_assert_uint_eq(run_count, 0);
	ck_ok(peal_ring_turn(ring, 0));
	ck_assert_uint_eq(run_count, 1);
}

TEST(hold_keeps_the_ring_running_until_a_post_releases_it)
{
	peal_ring_hold(ring);
	peal_ring_hold(ring);
	post(ring, release, NULL);
	post(ring, release, NULL);
	post(ring, count, NULL);
	ck_result(peal_ring_run(ring), 0);
	ck_assert_uint_eq(run_count, 1);
}

/* --- threads ------------------------------------------------------------- */

static pthread_t start_thread(void *(*body)(void *), void *arg)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, body, arg), 0);
	return thread;
}

static void *post_release(void *arg)
{
	(void)arg;
	if (peal_post(ring, release, NULL) != 0)
		abort();
	return NULL;
}

TEST(post_from_a_thread_wakes_a_ring_that_waits_for_ever)
{
	unsigned at;

	for (at = 0; at < 200; at++) {
		pthread_t thread;

		peal_ring_hold(ring);
		thread = start_thread(post_release, NULL);
		ck_result(peal_ring_run(ring), 0);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
	}
}

TEST(post_from_a_thread_wakes_a_turn_that_waits_for_ever)
{
	unsigned at;

	for (at = 0; at < 200; at++) {
		pthread_t thread;

		peal_ring_hold(ring);
		thread = start_thread(post_release, NULL);
		/* One turn may see only the wake, the next the post. */
		while (peal_ring_turn(ring, PEAL_FOREVER) == 0)
			;
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
		settle();
	}
}

/* A simulated ring does not sleep while it waits: on a busy processor it takes
 * its whole share of time for each look at its queue. */
#define OFTEN(times)	(on_sim() ? (times) / 20 : (times))
#define FLOOD		OFTEN(500000u)

static unsigned flood_next[2];

static void from_flood(struct peal_ring *where, void *ctx)
{
	unsigned which = (uintptr_t)ctx & 1;

	(void)where;
	if ((unsigned)((uintptr_t)ctx >> 1) != flood_next[which])
		ck_abort_msg("post %u came where %u was due",
			     (unsigned)((uintptr_t)ctx >> 1),
			     flood_next[which]);
	flood_next[which]++;
}

static void *flood(void *arg)
{
	uintptr_t which = (uintptr_t)arg, at, count = FLOOD;
	int result;

	for (at = 0; at < count; at++) {
		while ((result = peal_post(ring, from_flood,
					   (void *)(at << 1 | which))) ==
		       -EAGAIN)
			sched_yield();
		if (result != 0)
			abort();
	}
	return NULL;
}

TEST(posts_of_two_threads_arrive_each_threads_in_order)
{
	pthread_t a = start_thread(flood, (void *)0);
	pthread_t b = start_thread(flood, (void *)1);

	UNTIL(flood_next[0] == FLOOD && flood_next[1] == FLOOD);
	ck_assert_int_eq(pthread_join(a, NULL), 0);
	ck_assert_int_eq(pthread_join(b, NULL), 0);
	settle();
	ck_assert_uint_eq(flood_next[0], FLOOD);
	ck_assert_uint_eq(flood_next[1], FLOOD);
}

TEST(posts_and_ops_are_both_served_during_a_flood)
{
	pthread_t a = start_thread(flood, (void *)0);
	unsigned at;

	for (at = 0; at < 200; at++)
		ck_result(finish(peal_nop(ring, 0, on_done, NULL)), 0);
	UNTIL(flood_next[0] == FLOOD);
	ck_assert_int_eq(pthread_join(a, NULL), 0);
}

/* --- between rings ------------------------------------------------------- */

static struct peal_ring *sides[2];
static unsigned balls_left;

static void ball(struct peal_ring *where, void *ctx)
{
	(void)ctx;
	if (--balls_left > 0)
		post(where == sides[0] ? sides[1] : sides[0], ball, NULL);
}

TEST(rings_of_one_thread_post_to_each_other)
{
	struct peal_ring_options options = harness_options();

	sides[0] = ring;
	sides[1] = open_ring(&options);
	balls_left = 10000;
	post(ring, ball, NULL);
	while (balls_left > 0) {
		ck_result(peal_ring_turn(sides[0], PEAL_FOREVER), 1);
		if (balls_left > 0)
			ck_result(peal_ring_turn(sides[1], PEAL_FOREVER), 1);
	}
	close_ring(sides[1]);
}

static void *post_later(void *arg)
{
	struct timespec soon = { 0, 20 * 1000000 };

	(void)arg;
	nanosleep(&soon, NULL);
	post(ring, count, NULL);
	return NULL;
}

TEST(post_wakes_a_ring_whose_submissions_just_filled_the_queue)
{
	if (on_sim())
		SKIP("simulated time does not wait for another thread");
	struct peal_ring_options options = harness_options();
	int fds[2], i;
	peal_op ops[2];
	pthread_t id;
	char buf[2];

	options.entries = 2;
	reopen_ring(&options);
	make_pipe(fds);
	for (i = 0; i < 2; i++)
		ops[i] = peal_read(ring, fds[0], buf + i, 1, PEAL_CURRENT, 0,
				   on_done, NULL);
	id = start_thread(post_later, NULL);
	while (!run_count)	/* for ever, if nothing wakes it */
		ck_ok(peal_ring_turn(ring, PEAL_FOREVER));
	pthread_join(id, NULL);
	for (i = 0; i < 2; i++)
		ck_result(peal_cancel(ring, ops[i], 0, NULL, NULL), 0);
	UNTIL(finished(ops[0]) && finished(ops[1]));
}

static void stop_it(struct peal_ring *where, void *ctx)
{
	(void)ctx;
	peal_ring_stop(where);
}

static void *run_until_stopped(void *arg)
{
	struct peal_ring *_Atomic *out = arg;
	struct peal_ring_options options = harness_options();
	struct peal_ring *own;

	options.allocator = (struct peal_allocator){ NULL, NULL, NULL };
	options.max_ops = 64;
	if (peal_ring_open(&own, &options) < 0)
		abort();
	peal_ring_hold(own);
	*out = own;
	peal_ring_run(own);
	peal_ring_release(own);
	if (peal_ring_close(own, CLOSE_NS) < 0)
		abort();
	return NULL;
}

/* The thread that posts may still be on its way out of peal_post(). */
TEST(ring_may_be_closed_as_soon_as_the_post_that_stops_it_has_run)
{
	/* With little to lock, a ring waits for the memory of the last one. */
	int round, rounds = harness_lockable() < 1 << 20 ? 20 : 200;

	for (round = 0; round < rounds; round++) {
		struct peal_ring *_Atomic theirs = NULL;
		pthread_t id = start_thread(run_until_stopped, &theirs);

		while (!theirs)
			sched_yield();
		ck_assert_int_eq(peal_post(theirs, stop_it, NULL), 0);
		pthread_join(id, NULL);
	}
}

static unsigned volleys;

static void volley_back(struct peal_ring *where, void *ctx)
{
	(void)where;
	volleys++;
	(void)ctx;
}

static void volley(struct peal_ring *where, void *ctx)
{
	(void)where;
	while (peal_post(ctx, volley_back, NULL) == -EAGAIN)
		sched_yield();
}

static struct peal_ring *volatile other_ring;

static void *other_thread(void *arg)
{
	struct peal_ring *own;

	(void)arg;
	if (peal_ring_open(&own, NULL) != 0)
		abort();
	peal_ring_hold(own);
	__atomic_store_n(&other_ring, own, __ATOMIC_RELEASE);
	if (peal_ring_run(own) != 0 || peal_ring_close(own, CLOSE_NS) != 0)
		abort();
	return NULL;
}

TEST(rings_of_two_threads_post_to_each_other)
{
	pthread_t thread = start_thread(other_thread, NULL);
	struct peal_ring *other;
	unsigned at, most = OFTEN(5000);

	while (!(other = __atomic_load_n(&other_ring, __ATOMIC_ACQUIRE)))
		sched_yield();
	for (at = 1; at <= most; at++) {
		post(other, volley, ring);
		UNTIL(volleys == at);
	}
	post(other, release, NULL);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* --- signals ------------------------------------------------------------- */

static void on_signal(int number)
{
	(void)number;
	if (peal_post(ring, count, NULL) != 0)
		abort();
}

TEST(post_from_a_signal_handler_arrives)
{
	struct sigaction action = { .sa_handler = on_signal };
	unsigned at;

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	for (at = 1; at <= 100; at++) {
		ck_assert_int_eq(raise(SIGUSR1), 0);
		UNTIL(run_count == at);
	}
}

TEST(posts_are_counted)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	post(ring, count, NULL);
	post(ring, count, NULL);
	UNTIL(run_count == 2);
	peal_ring_stats(ring, &stats);
	ck_assert_uint_eq(stats.posts, 2);
}

SUITE("post")
