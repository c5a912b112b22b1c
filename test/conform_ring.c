/* SPDX-License-Identifier: MIT */
/* The ring itself: opening, options, memory, looking inside. */
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "peal/uring.h"
#include "test/harness.h"

/* What the ring prints into a stream. */
static char *printed(void (*print)(struct peal_ring *, FILE *))
{
	static char text[16384];
	FILE *out = fmemopen(text, sizeof(text) - 1, "w");

	ck_assert_ptr_nonnull(out);
	memset(text, 0, sizeof(text));
	print(ring, out);
	fclose(out);
	return text;
}

static char is_untouched;

/* --- options ------------------------------------------------------------- */

BARE_TEST(ring_opens_without_options)
{
	struct peal_ring *own = open_ring(NULL);

	close_ring(own);
}

BARE_TEST(ring_opens_with_default_options)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	close_ring(open_ring(&options));
}

static struct peal_ring *const ring_untouched = (void *)&is_untouched;

static void is_refused(const struct peal_ring_options *options,
		       int error, const char *named)
{
	struct peal_ring *own = ring_untouched;

	ck_result(peal_ring_open(&own, options), error);
	ck_assert_ptr_eq(own, ring_untouched);
	ck_assert_msg(strstr(peal_open_reason(), named) != NULL,
		      "the reason does not name %s: %s", named,
		      peal_open_reason());
}

BARE_TEST(options_of_size_zero_are_einval)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	options.size = 0;
	is_refused(&options, -EINVAL, "size");
}

BARE_TEST(options_with_too_many_ops_are_einval)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	options.max_ops = UINT32_MAX;
	is_refused(&options, -EINVAL, "max_ops");
	options.max_ops = (1u << 22) - 1025;
	is_refused(&options, -EINVAL, "max_ops");
}

BARE_TEST(options_with_the_most_ops_are_taken)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;
	struct peal_ring *own;

	options.max_ops = (1u << 22) - 1026;
	own = open_ring(&options);
	ck_assert_int_gt(peal_nop(own, 0, on_done, NULL), 0);
	ck_result(peal_ring_run(own), 0);
	close_ring(own);
}

BARE_TEST(options_with_an_unknown_flag_are_einval)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	options.flags = 1u << 31;
	is_refused(&options, -EINVAL, "flag");
}

BARE_TEST(options_with_an_unknown_engine_are_enoent)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	options.engine = "steam";
	is_refused(&options, -ENOENT, "steam");
}

BARE_TEST(options_with_an_unknown_feature_to_disable_are_einval)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	options.disable = "defer,gravity";
	is_refused(&options, -EINVAL, "gravity");
}

BARE_TEST(options_with_half_an_allocator_are_einval)
{
	struct peal_ring_options options = harness_options();

	options.allocator.free = NULL;
	is_refused(&options, -EINVAL, "allocator");
}

BARE_TEST(options_with_fewer_completions_than_entries_work_or_are_named)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own;

	options.entries = 64;
	options.cq_entries = 2;
	if (peal_ring_open(&own, &options) == 0) {
		close_ring(own);
		return;
	}
	is_refused(&options, -EINVAL, "cq_entries");
}

BARE_TEST(options_with_odd_sizes_are_rounded)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own;
	unsigned at;

	options.entries = 7;
	options.cq_entries = 9;
	options.max_ops = 13;
	options.max_posts = 3;
	own = open_ring(&options);
	for (at = 0; at < 13; at++)
		ck_assert_int_gt(peal_nop(own, 0, on_done, NULL), 0);
	ck_result(peal_ring_run(own), 0);
	close_ring(own);
}

BARE_TEST(options_with_queues_larger_than_the_kernels_are_einval)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	options.entries = 1u << 20;
	is_refused(&options, -EINVAL, "entries");
}

BARE_TEST(options_of_an_older_program_are_taken)
{
	/* A struct that ended after max_posts: the rest are defaults. */
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	memset((char *)&options + offsetof(struct peal_ring_options, flags),
	       0xff, sizeof(options) - offsetof(struct peal_ring_options,
						flags));
	options.size = offsetof(struct peal_ring_options, flags);
	close_ring(open_ring(&options));
}

BARE_TEST(engine_can_be_named)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own;

	options.engine = HARNESS_ENGINE;
	own = open_ring(&options);
	ck_assert_str_eq(peal_ring_engine(own), HARNESS_ENGINE);
	close_ring(own);
}

BARE_TEST(workers_can_be_limited)
{
	struct peal_ring_options options = harness_options();

	options.workers_bounded = 2;
	options.workers_unbounded = 3;
	close_ring(open_ring(&options));
}

BARE_TEST(rings_can_share_workers)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *first = open_ring(&options), *second;

	options.attach = first;
	second = open_ring(&options);
	ck_assert_int_gt(peal_nop(second, PEAL_ASYNC, on_done, NULL), 0);
	ck_result(peal_ring_run(second), 0);
	close_ring(second);
	close_ring(first);
}

BARE_TEST(sqpoll_ring_works_where_it_can_be_had)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own;
	int result, fd = make_file("f", "data", 4);
	char buf[4];
	peal_op op;

	options.flags = PEAL_RING_SQPOLL;
	options.sqpoll_idle_ms = 1;
	result = peal_ring_open(&own, &options);
	if (result != 0)
		SKIP("%s", peal_open_reason());
	op = peal_read(own, fd, buf, 4, 0, 0, on_done, NULL);
	ck_assert_int_gt(op, 0);
	UNTIL_ON(own, finished(op));
	ck_result(outcome(op)->result, 4);
	close_ring(own);
}

/* --- memory -------------------------------------------------------------- */

BARE_TEST(custom_allocator_gets_everything_back)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own = open_ring(&options);

	ck_assert_uint_gt(alloc_outstanding(), 0);
	close_ring(own);
	ck_assert_uint_eq(alloc_outstanding(), 0);
}

static void fail_each_allocation(int and_all_after_it)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own = NULL;
	unsigned long failing;
	int result = -ENOMEM;

	alloc_fail_on = and_all_after_it;
	for (failing = 1; result != 0; failing++) {
		ck_assert_uint_lt(failing, 100);
		alloc_calls = 0;
		alloc_fail_at = failing;
		result = peal_ring_open(&own, &options);
		if (result == 0)
			break;
		ck_result(result, -ENOMEM);
		ck_assert_ptr_null(own);
		ck_assert_uint_eq(alloc_outstanding(), 0);
		ck_assert_uint_gt(strlen(peal_open_reason()), 0);
	}
	ck_assert_uint_gt(failing, 1);
	alloc_fail_at = 0;
	close_ring(own);
}

BARE_TEST(open_survives_the_failure_of_each_allocation)
{
	fail_each_allocation(0);
}

BARE_TEST(open_survives_the_failure_of_each_allocation_and_all_after_it)
{
	fail_each_allocation(1);
}

TEST(work_allocates_nothing)
{
	int fds[2], fd = make_file("f", "data", 4);
	unsigned long before = alloc_calls;
	char buf[4];
	unsigned at;

	make_pipe(fds);
	for (at = 0; at < 1000; at++) {
		peal_op op = peal_read(ring, fds[0], buf, 1, PEAL_CURRENT, 0,
				       on_done, NULL);

		ck_result(peal_deadline(ring, op, PEAL_S, 0), 0);
		ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
		finish(op);
		ck_result(finish(peal_read_full(ring, fd, buf, 4, 0, 0,
						on_done, NULL)), 4);
		ck_result(finish(peal_sleep(ring, 0, 0, on_done, NULL)), 0);
	}
	ck_assert_uint_eq(alloc_calls, before);
}

/* --- several ------------------------------------------------------------- */

BARE_TEST(tens_of_rings_of_one_thread_do_not_disturb_each_other)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *rings[50];
	unsigned at, count = 0;
	int result = 0;

	options.entries = 16;
	options.max_ops = 64;
	while (count < 50 &&
	       (result = peal_ring_open(&rings[count], &options)) == 0)
		ck_assert_int_gt(peal_nop(rings[count++], 0, NULL, NULL), 0);
	/* With 64 KiB of locked memory there is room for fewer. */
	ck_assert(count == 50 || (count >= 4 && result == -ENOMEM));
	for (at = count; at-- > 0;) {
		ck_assert_uint_eq(peal_ring_in_flight(rings[at]), 1);
		ck_result(peal_ring_run(rings[at]), 0);
	}
	for (at = 0; at < count; at++)
		close_ring(rings[at]);
}

BARE_TEST(ring_can_be_opened_and_closed_five_hundred_times)
{
	struct peal_ring_options options = harness_options();
	unsigned at;

	options.entries = 16;
	for (at = 0; at < 500; at++) {
		struct peal_ring *own = open_ring(&options);

		peal_nop(own, 0, NULL, NULL);
		close_ring(own);
	}
}

static void *own_ring_thread(void *arg)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;
	struct peal_ring *own;
	unsigned at;

	(void)arg;
	options.entries = 16;
	if (peal_ring_open(&own, &options) != 0)
		abort();
	for (at = 0; at < 10000; at++)
		if (peal_nop(own, 0, NULL, NULL) <= 0)
			abort();
	if (peal_ring_run(own) != 0 || peal_ring_close(own, CLOSE_NS) != 0)
		abort();
	return NULL;
}

BARE_TEST(each_thread_may_have_a_ring)
{
	pthread_t threads[4];
	unsigned at;

	for (at = 0; at < 4; at++)
		ck_assert_int_eq(pthread_create(&threads[at], NULL,
						own_ring_thread, NULL), 0);
	for (at = 0; at < 4; at++)
		ck_assert_int_eq(pthread_join(threads[at], NULL), 0);
}

/* --- misuse -------------------------------------------------------------- */

static void *use_foreign_ring(void *arg)
{
	peal_nop(arg, 0, NULL, NULL);
	return NULL;
}

static void use_from_wrong_thread(void *arg)
{
	struct peal_ring *own;
	pthread_t thread;

	(void)arg;
	if (peal_ring_open(&own, NULL) != 0)
		return;
	if (pthread_create(&thread, NULL, use_foreign_ring, own) == 0)
		pthread_join(thread, NULL);
}

BARE_TEST(use_from_the_wrong_thread_stops_the_program_with_a_message)
{
	char text[1024];
	int status = in_child(use_from_wrong_thread, NULL, text, sizeof(text));

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
		      "status %x: %s", (unsigned)status, text);
	ck_assert_msg(strstr(text, "thread") != NULL, "%s", text);
}

/* --- looking inside ------------------------------------------------------ */

TEST(engine_and_its_reason_are_told)
{
	const char *pinned = getenv("PEAL_ENGINE");

	if (pinned)
		ck_assert_str_eq(peal_ring_engine(ring), pinned);
	ck_assert_ptr_nonnull(peal_ring_engine(ring));
	ck_assert_ptr_nonnull(peal_ring_engine_reason(ring));
	ck_assert_uint_gt(strlen(peal_ring_engine_reason(ring)), 5);
}

TEST(explain_names_each_feature_and_why_it_is_off)
{
	char *text = printed(peal_ring_explain);
	const char *engine = peal_ring_engine(ring), *own = NULL;

	ck_assert_msg(strstr(text, engine) != NULL, "%s", text);
	if (!strcmp(engine, "uring"))
		own = "\ndefer ";
	else if (!strcmp(engine, "epoll"))
		own = "\nepoll_pwait2 ";
	else if (!strcmp(engine, "sim"))
		own = "\nmachine ";
	else
		SKIP("this engine has no features to switch off");
	ck_assert_msg(strstr(text, "\nmultishot ") != NULL, "%s", text);
	ck_assert_msg(strstr(text, own) != NULL, "%s", text);
	if (getenv("PEAL_DISABLE"))
		ck_assert_msg(strstr(text, "PEAL_DISABLE") != NULL, "%s",
			      text);
}

TEST(dump_names_every_op_in_flight)
{
	char *text, buf[1];
	int fds[2];
	peal_op ops[2];

	make_pipe(fds);
	ops[0] = peal_read(ring, fds[0], buf, 1, PEAL_CURRENT, 0, on_done,
			   NULL);
	ops[1] = peal_sleep(ring, 3600 * PEAL_S, 0, on_done, NULL);
	text = printed(peal_ring_dump);
	ck_assert_msg(strstr(text, "read") != NULL, "%s", text);
	ck_assert_msg(strstr(text, "sleep") != NULL, "%s", text);
	ck_ok(peal_cancel_all(ring, 0, NULL, NULL));
	finish(ops[0]);
	finish(ops[1]);
}

TEST(stats_count_what_happened)
{
	struct peal_stats stats = { .size = sizeof(stats) };
	int fd = make_file("f", "data", 4);
	char buf[4];
	unsigned at, opcode;
	uint64_t reads = 0, nops = 0;
	peal_op op;

	for (at = 0; at < 10; at++)
		finish(peal_nop(ring, 0, on_done, NULL));
	finish(peal_read(ring, fd, buf, 4, 0, 0, on_done, NULL));
	/* The pool may be faster than the ring; a timer is waited for. */
	finish(peal_sleep(ring, PEAL_MS, 0, on_done, NULL));
	op = peal_sleep(ring, 3600 * PEAL_S, 0, on_done, NULL);
	peal_ring_stats(ring, &stats);
	ck_assert_uint_eq(stats.in_flight, 1);
	ck_assert_uint_eq(stats.completions, 12);
	ck_assert_uint_ge(stats.submitted, 11);
	ck_assert_uint_gt(stats.turns, 0);
	ck_assert_uint_gt(stats.enters, 0);
	ck_assert_uint_eq(stats.stale, 0);
	for (opcode = 0; opcode < PEAL_STATS_OPS; opcode++) {
		const char *name = peal_opcode_name(opcode);

		if (name && strcmp(name, "read") == 0)
			reads = stats.by_op[opcode];
		if (name && strcmp(name, "nop") == 0)
			nops = stats.by_op[opcode];
	}
	ck_assert_uint_eq(reads, 1);
	ck_assert_uint_eq(nops, 10);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	finish(op);
	peal_ring_stats(ring, &stats);
	ck_assert_uint_eq(stats.cancels, 1);
	ck_assert_uint_eq(stats.in_flight, 0);
}

TEST(stats_of_an_older_program_are_not_overrun)
{
	struct peal_stats stats;

	memset(&stats, 0xee, sizeof(stats));
	stats.size = offsetof(struct peal_stats, turns);
	peal_ring_stats(ring, &stats);
	ck_assert_uint_eq(stats.in_flight, 0);
	ck_assert_uint_eq(stats.turns, UINT64_C(0xeeeeeeeeeeeeeeee));
}

TEST(opcode_names_end)
{
	ck_assert_str_eq(peal_opcode_name(0), "nop");
	ck_assert_ptr_null(peal_opcode_name(UINT_MAX));
	ck_assert_ptr_null(peal_opcode_name(PEAL_STATS_OPS));
}

TEST(strerror_has_a_sentence_for_everything)
{
	int64_t error;

	for (error = -4100; error <= 10; error++) {
		ck_assert_ptr_nonnull(peal_strerror(error));
		ck_assert_uint_gt(strlen(peal_strerror(error)), 0);
	}
	ck_assert_ptr_nonnull(peal_strerror(INT64_MIN));
	ck_assert_ptr_nonnull(peal_strerror(INT64_MAX));
	ck_assert_str_ne(peal_strerror(-ENOENT), peal_strerror(-EACCES));
}

TEST(in_flight_counts_ops)
{
	peal_op ops[3];
	unsigned at;

	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
	for (at = 0; at < 3; at++)
		ops[at] = peal_sleep(ring, PEAL_MS, 0, on_done, NULL);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 3);
	for (at = 0; at < 3; at++)
		finish(ops[at]);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

SUITE("ring")
