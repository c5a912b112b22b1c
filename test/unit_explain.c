/* SPDX-License-Identifier: MIT */
/* What the ring says about itself: the dump, explain, the statistics. */
#include "test/scripted.h"

SCRIPT_SYSTEM

static char bytes[8];
static char text[8192];

static const char *dump(void)
{
	FILE *out = fmemopen(text, sizeof(text), "w");

	peal_ring_dump(ring, out);
	fclose(out);
	return text;
}

static void dumps(const char *words)
{
	dump();
	ck_assert_msg(strstr(text, words), "no \"%s\" in:\n%s", words, text);
}

static unsigned lines(void)
{
	unsigned count = 0;
	const char *at;

	dump();
	for (at = text; *at; at++)
		count += *at == '\n';
	return count;
}

static peal_op start_read(void)
{
	return peal_read(ring, 42, bytes, 8, 0, 0, on_done, NULL);
}

/* --- the dump --------------------------------------------------------- */

SCRIPT_TEST(dump_of_an_idle_ring_is_one_line)
{
	ck_assert_uint_eq(lines(), 1);
	dumps("peal ring on script: 0 of 1024 ops in flight, 0 unsubmitted");
}

SCRIPT_TEST(dump_has_a_line_per_op_and_none_for_second_rows)
{
	start_read();
	ck_assert_int_gt(peal_read_full(ring, 3, bytes, 8, 0, 0, NULL, NULL),
			 0);
	ck_assert_int_gt(peal_sleep(ring, PEAL_S, 0, NULL, NULL), 0);
	ck_assert_uint_eq(lines(), 4);
	dumps("3 of 1024 ops in flight, 2 unsubmitted");
	script_turn();
	dumps("3 of 1024 ops in flight, 0 unsubmitted");
}

SCRIPT_TEST(dump_names_op_fd_and_age)
{
	start_read();
	script_turn_after(UINT64_C(3) << 30);
	dumps("read          fd 42");
	dumps("3.221 s  in flight");
}

SCRIPT_TEST(dump_tells_the_state_of_each_op)
{
	peal_op read = start_read(), slow = start_read();
	peal_op sleep = peal_sleep(ring, PEAL_S, 0, on_done, NULL);

	script_turn();
	ck_assert_int_gt(peal_close_drained(ring, 9, 0, NULL, NULL), 0);
	ck_result(peal_deadline(ring, slow, 1500 * PEAL_MS, 0), 0);
	dumps("due in 1.500 s, in flight");
	ck_result(peal_cancel(ring, read, 0, NULL, NULL), 0);
	dumps("cancelled, not let go of yet");
	ck_result(peal_cancel(ring, sleep, 0, NULL, NULL), 0);
	dumps("finished, handler not yet called");
	script_turn_after(1500 * PEAL_MS);
	dumps("past its deadline, not let go of yet");
}

SCRIPT_TEST(dump_tells_of_closes_that_wait_and_entries_that_are_owed)
{
	peal_op read = start_read();

	script_turn();
	ck_assert_int_gt(peal_close_drained(ring, 42, 0, NULL, NULL), 0);
	dumps("close_drained fd 42");
	dumps("waiting for the ops on its fd");
	while (peal__sq_room(ring))
		ck_assert_int_gt(peal_nop(ring, 0, NULL, NULL), 0);
	script.take_at_most = 0;
	script_complete((uint64_t)read, -ECANCELED, 0);
	script_turn();
	dumps("waiting for room in the submission queue");
}

SCRIPT_TEST(dump_tells_what_goes_on_by_itself)
{
	ck_assert_int_gt(peal_accept_multishot(ring, 3, 0, NULL, NULL), 0);
	dumps("in flight, multishot");
	ck_assert_int_gt(peal_read_full(ring, 3, bytes, 8, 0, 0, NULL, NULL),
			 0);
	dumps("in flight, full transfer");
}

/* --- explain ---------------------------------------------------------- */

static void explain(void)
{
	FILE *out = fmemopen(text, sizeof(text), "w");

	peal_ring_explain(ring, out);
	fclose(out);
}

SCRIPT_TEST(explain_names_the_engine_and_the_limits)
{
	peal__engine_reason(ring, "asked for by %s", "the test");
	explain();
	ck_assert_ptr_nonnull(strstr(text, "engine         script: asked for "
				     "by the test\n"));
	ck_assert_ptr_nonnull(strstr(text, "max_ops        1024 (64 bytes"));
	ck_assert_ptr_nonnull(strstr(text, "max_posts      16\n"));
	ck_assert_ptr_nonnull(strstr(text, "script         on\n"));
	ck_assert_ptr_null(strstr(text, "op:"));
	ck_assert_str_eq(peal_ring_engine(ring), "script");
	ck_assert_str_eq(peal_ring_engine_reason(ring), "asked for by the "
			 "test");
}

SCRIPT_TEST(explain_names_the_ops_that_go_to_the_pool)
{
	ck_assert_int_eq(peal__blocking_has(PEAL__OP_FTRUNCATE), 1);
	explain();
	ck_assert_ptr_nonnull(strstr(text, "0 threads run"));
	ck_assert_ptr_nonnull(strstr(text, "lacks: nothing\n"));
	ring->can[0] &= ~(UINT64_C(1) << PEAL__OP_FTRUNCATE);
	explain();
	ck_assert_ptr_nonnull(strstr(text, "ftruncate (Linux 6.9)"));
	ck_assert_ptr_null(strstr(text, "lacks: nothing"));
}

SCRIPT_TEST(explain_names_the_ops_that_are_disabled)
{
	explain();
	ck_assert_ptr_null(strstr(text, "op:"));
	ring->disable.ops[0] |= UINT64_C(1) << PEAL__OP_BIND;
	explain();
	ck_assert_ptr_nonnull(strstr(text, "op:bind"));
	ck_assert_ptr_nonnull(strstr(text, "disabled by PEAL_DISABLE"));
}

SCRIPT_TEST(reason_of_any_length_is_cut_not_overrun)
{
	char want[1024];

	memset(want, 'x', sizeof(want) - 1);
	want[sizeof(want) - 1] = '\0';
	peal__reason("%s", want);
	ck_assert_uint_lt(strlen(peal_open_reason()), sizeof(want) - 1);
	peal__engine_reason(ring, "%s", want);
	ck_assert_uint_eq(strlen(peal_ring_engine_reason(ring)),
			  sizeof(ring->reason) - 1);
}

/* --- the statistics --------------------------------------------------- */

SCRIPT_TEST(statistics_write_no_more_than_their_size)
{
	struct peal_stats stats;
	unsigned char *after = (unsigned char *)&stats;
	uint32_t size;

	for (size = 4; size <= sizeof(stats); size += 4) {
		memset(&stats, 0x5a, sizeof(stats));
		stats.size = size;
		peal_ring_stats(ring, &stats);
		ck_assert_uint_eq(stats.size, size);
		if (size < sizeof(stats))
			ck_assert_uint_eq(after[size], 0x5a);
	}
}

SCRIPT_TEST(statistics_of_a_newer_program_are_filled_as_far_as_known)
{
	struct {
		struct peal_stats stats;
		uint64_t more;
	} newer;

	memset(&newer, 0x5a, sizeof(newer));
	newer.stats.size = sizeof(newer);
	start_read();
	peal_ring_stats(ring, &newer.stats);
	ck_assert_uint_eq(newer.stats.size, sizeof(newer));
	ck_assert_uint_eq(newer.stats.in_flight, 1);
	ck_assert_uint_eq(newer.more, UINT64_C(0x5a5a5a5a5a5a5a5a));
}

SCRIPT_TEST(statistics_count_what_happened)
{
	struct peal_stats stats = { .size = sizeof(stats) };
	peal_op op = start_read();

	script_turn();
	script_complete((uint64_t)op, 1, 0);
	script_complete((uint64_t)op, 1, 0);
	script_turn();
	peal_ring_stats(ring, &stats);
	ck_assert_uint_eq(stats.submitted, 1);
	ck_assert_uint_eq(stats.completions, 1);
	ck_assert_uint_eq(stats.stale, 1);
	ck_assert_uint_eq(stats.turns, 2);
	ck_assert_uint_eq(stats.in_flight, 0);
	ck_assert_uint_eq(stats.by_op[PEAL__OP_READ], 1);
}

SUITE("explain")
