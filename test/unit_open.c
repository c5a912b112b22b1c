/* SPDX-License-Identifier: MIT */
/*
 * Opening a ring: what is wrong with an option is said with its numbers and a
 * remedy, and an open that fails, at whatever step, leaves nothing behind.
 */
#include "test/scripted.h"
#include <signal.h>

static struct peal_ring *opened;

/* The open fails with error, and its reason holds each word. */
static void refuses(const struct peal_ring_options *options, int error,
		    const char *const *words)
{
	static struct peal_ring untouched;

	opened = &untouched;
	ck_result(peal_ring_open(&opened, options), error);
	ck_assert_ptr_eq(opened, &untouched);
	for (; *words; words++)
		ck_assert_msg(strstr(peal_open_reason(), *words),
			      "\"%s\" lacks \"%s\"", peal_open_reason(),
			      *words);
	ck_assert_uint_eq(alloc_outstanding(), 0);
}

#define REFUSES(options, error, ...)                                      \
	refuses(options, error, (const char *const[]){ __VA_ARGS__, NULL })

/* --- options ---------------------------------------------------------- */

BARE_TEST(too_many_entries_are_refused_with_the_most)
{
	struct peal_ring_options options = harness_options();

	options.entries = 32769;
	REFUSES(&options, -EINVAL, "options.entries", "32769", "32768",
		"ask for less");
}

BARE_TEST(too_many_completions_are_refused_with_the_most)
{
	struct peal_ring_options options = harness_options();

	options.cq_entries = 65537;
	REFUSES(&options, -EINVAL, "options.cq_entries", "65537", "65536",
		"ask for less");
}

BARE_TEST(too_many_ops_are_refused_with_the_most)
{
	struct peal_ring_options options = harness_options();

	/* ring.h: at most 2^22 - 1026 */
	options.max_ops = (1u << 22) - 1025;
	REFUSES(&options, -EINVAL, "options.max_ops", "4193279", "4193278",
		"ask for less");
}

BARE_TEST(too_many_posts_are_refused_with_the_most)
{
	struct peal_ring_options options = harness_options();

	options.max_posts = (1u << 24) + 1;
	REFUSES(&options, -EINVAL, "options.max_posts", "16777217",
		"16777216", "ask for less");
}

BARE_TEST(unknown_flags_are_refused_with_the_known_ones)
{
	struct peal_ring_options options = harness_options();
	unsigned bit;

	for (bit = 2; bit < 32; bit++) {
		options.flags = 1u << bit;
		REFUSES(&options, -EINVAL, "options.flags", "0x3", "clear");
	}
}

BARE_TEST(options_of_another_size_are_refused_with_both_sizes)
{
	struct peal_ring_options options = harness_options();
	char want[32];

	snprintf(want, sizeof(want), "%zu", sizeof(options));
	options.size = 0;
	REFUSES(&options, -EINVAL, "options.size is 0", want,
		"PEAL_RING_OPTIONS");
	options.size = 3;
	REFUSES(&options, -EINVAL, "options.size is 3", want,
		"PEAL_RING_OPTIONS");
	options.size = sizeof(options) + 8;
	REFUSES(&options, -EINVAL, "options.size", want, "PEAL_RING_OPTIONS");
}

/* What has no name, no initialiser sets: a field that comes to stand there
 * would read what an old program left. */
BARE_TEST(options_have_no_unnamed_bytes)
{
	struct peal_ring_options options;

	ck_assert_uint_eq(offsetof(struct peal_ring_options, engine),
			  offsetof(struct peal_ring_options, bounce_bytes) +
			  sizeof(options.bounce_bytes));
	ck_assert_uint_eq(offsetof(struct peal_ring_options, bounce_bytes) % 8, 4);
	ck_assert_uint_eq(sizeof(options),
			  offsetof(struct peal_ring_options, sim_node) +
			  sizeof(options.sim_node));
}

static void *alloc_only(void *ctx, size_t size, size_t align)
{
	(void)ctx;
	(void)size;
	(void)align;
	ck_abort_msg("the allocator was called");
	return NULL;
}

BARE_TEST(half_an_allocator_is_refused)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	options.allocator.alloc = alloc_only;
	REFUSES(&options, -EINVAL, "options.allocator", "both or none");
	options = harness_options();
	options.allocator.alloc = NULL;
	REFUSES(&options, -EINVAL, "options.allocator", "both or none");
}

BARE_TEST(unknown_engine_is_enoent_and_named)
{
	struct peal_ring_options options = harness_options();

	options.engine = "warp";
	REFUSES(&options, -ENOENT, "options.engine", "\"warp\"", "\"uring\"");
	options.engine = NULL;
	setenv("PEAL_ENGINE", "weft", 1);
	REFUSES(&options, -ENOENT, "PEAL_ENGINE", "\"weft\"", "\"uring\"");
}

BARE_TEST(option_wins_over_the_environment)
{
	struct peal_ring_options options = harness_options();

	setenv("PEAL_ENGINE", "weft", 1);
	options.engine = "uring";
	opened = open_ring(&options);
	ck_assert_ptr_nonnull(strstr(peal_ring_engine_reason(opened),
				     "options.engine"));
	close_ring(opened);
	unsetenv("PEAL_ENGINE");
}

BARE_TEST(shorter_options_of_an_older_program_are_understood)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	options.entries = 16;
	options.max_ops = 77;
	options.size = offsetof(struct peal_ring_options, flags);
	options.flags = 0xffffffffu;	/* beyond its end */
	options.engine = "warp";
	opened = open_ring(&options);
	ck_assert_uint_eq(opened->max_ops, 77);
	ck_assert_uint_eq(opened->queues.sq_entries, 16);
	close_ring(opened);
}

BARE_TEST(defaults_are_what_the_header_says)
{
	opened = open_ring(NULL);
	ck_assert_uint_eq(opened->queues.sq_entries, 256);
	ck_assert_uint_eq(opened->queues.cq_entries, 1024);
	ck_assert_uint_eq(opened->max_ops, 65536);
	ck_assert_uint_eq(opened->post_mask + 1, 1024);
	close_ring(opened);
}

BARE_TEST(most_ops_that_the_header_allows_can_be_had)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	options.max_ops = (1u << 22) - 1026;
	opened = open_ring(&options);
	ck_assert_uint_eq(opened->rows_max - 1, PEAL__ROW_MASK - 1);
	ck_assert_int_gt(peal_nop(opened, 0, NULL, NULL), 0);
	close_ring(opened);
}

BARE_TEST(reason_is_empty_after_an_open_that_went_well)
{
	struct peal_ring_options options = harness_options();

	options.engine = "warp";
	ck_result(peal_ring_open(&opened, &options), -ENOENT);
	ck_assert_str_ne(peal_open_reason(), "");
	options.engine = NULL;
	opened = open_ring(&options);
	ck_assert_str_eq(peal_open_reason(), "");
	close_ring(opened);
}

/* --- an allocator that fails ------------------------------------------ */

static void fails_at_every_call(int and_after)
{
	struct peal_ring_options options = harness_options();
	unsigned long call;
	int result = -ENOMEM;

	for (call = 1; call < 100 && result != 0; call++) {
		alloc_calls = 0;
		alloc_fail_at = call;
		alloc_fail_on = and_after;
		opened = NULL;
		result = peal_ring_open(&opened, &options);
		alloc_fail_at = 0;
		if (result == 0)
			break;
		ck_result(result, -ENOMEM);
		ck_assert_ptr_null(opened);
		ck_assert_ptr_nonnull(strstr(peal_open_reason(), "allocator"));
		ck_assert_ptr_nonnull(strstr(peal_open_reason(), "raise"));
		ck_assert_uint_eq(alloc_outstanding(), 0);
	}
	ck_result(result, 0);
	ck_assert_uint_ge(call, 6);	/* ring, rows, heads, posts, engine */
	close_ring(opened);
}

BARE_TEST(allocator_that_fails_once_at_any_call_leaves_nothing_behind)
{
	fails_at_every_call(0);
}

BARE_TEST(allocator_that_fails_from_any_call_on_leaves_nothing_behind)
{
	fails_at_every_call(1);
}

BARE_TEST(reason_of_a_failed_allocation_tells_the_numbers)
{
	struct peal_ring_options options = harness_options();

	options.max_ops = 12345;
	options.max_posts = 678;
	alloc_calls = 0;
	alloc_fail_at = 2;
	alloc_fail_on = 0;
	opened = NULL;
	ck_result(peal_ring_open(&opened, &options), -ENOMEM);
	alloc_fail_at = 0;
	ck_assert_ptr_nonnull(strstr(peal_open_reason(), "12345 ops"));
	ck_assert_ptr_nonnull(strstr(peal_open_reason(), "64 bytes"));
	ck_assert_ptr_nonnull(strstr(peal_open_reason(), "678 posts"));
	ck_assert_ptr_nonnull(strstr(peal_open_reason(), "options.max_ops"));
}

TEST(nothing_is_allocated_after_open)
{
	unsigned long calls = alloc_calls;
	char bytes[8];
	int fds[2];
	unsigned at;

	make_pipe(fds);
	for (at = 0; at < 3000; at++) {
		ck_assert_int_gt(peal_sleep(ring, at, 0, NULL, NULL), 0);
		ck_assert_int_gt(peal_read_full(ring, fds[0], bytes, 8,
						PEAL_CURRENT, 0, NULL, NULL),
				 0);
	}
	ck_ok(peal_cancel_all(ring, 0, NULL, NULL));
	UNTIL(peal_ring_in_flight(ring) == 0);
	ck_assert_uint_eq(alloc_calls, calls);
}

/* libc's memory, by hand: aligned, zeroed, given back whole. */
BARE_TEST(memory_of_libc_is_aligned_and_zeroed)
{
	unsigned shift;

	opened = open_ring(NULL);
	for (shift = 3; shift < 13; shift++) {
		size_t align = (size_t)1 << shift, at;
		unsigned char *memory = peal__alloc(opened, 100, align);

		ck_assert_uint_eq((uintptr_t)memory % align, 0);
		for (at = 0; at < 100; at++)
			ck_assert_uint_eq(memory[at], 0);
		memset(memory, 0xff, 100);
		peal__free(opened, memory, 100);
	}
	peal__free(opened, NULL, 100);
	ck_assert_uint_eq((uintptr_t)opened->rows % 64, 0);
	close_ring(opened);
}

/* --- SIGPIPE ---------------------------------------------------------- */

static int sigpipe_is_blocked(void)
{
	sigset_t set;

	pthread_sigmask(SIG_SETMASK, NULL, &set);
	return sigismember(&set, SIGPIPE);
}

BARE_TEST(sigpipe_is_blocked_while_the_thread_has_a_ring)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *second;

	ck_assert(!sigpipe_is_blocked());
	opened = open_ring(&options);
	ck_assert(sigpipe_is_blocked());
	second = open_ring(&options);
	close_ring(opened);
	ck_assert(sigpipe_is_blocked());
	close_ring(second);
	ck_assert(!sigpipe_is_blocked());
}

BARE_TEST(sigpipe_that_was_blocked_before_stays_blocked)
{
	struct peal_ring_options options = harness_options();
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	opened = open_ring(&options);
	close_ring(opened);
	ck_assert(sigpipe_is_blocked());
}

BARE_TEST(sigpipe_that_came_meanwhile_does_not_kill_at_the_close)
{
	struct peal_ring_options options = harness_options();

	opened = open_ring(&options);
	raise(SIGPIPE);
	close_ring(opened);
	ck_assert(!sigpipe_is_blocked());
}

BARE_TEST(open_that_fails_does_not_block_sigpipe)
{
	struct peal_ring_options options = harness_options();

	options.disable = "warp";
	ck_result(peal_ring_open(&opened, &options), -EINVAL);
	ck_assert(!sigpipe_is_blocked());
}

SUITE("open")
