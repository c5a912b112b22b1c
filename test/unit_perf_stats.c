/* SPDX-License-Identifier: MIT */
/* peal-perf's arithmetic: medians, bootstrap intervals, ratios, histograms. */
#include <math.h>
#include "perf/latency.h"
#include "perf/stats.h"
#include "test/harness.h"

#define NEAR(got, want) \
	ck_assert_msg(fabs((got) - (want)) < 1e-9, "%s is %g, not %g", #got, \
		      (double)(got), (double)(want))

BARE_TEST(median_of_an_odd_count_is_the_middle)
{
	const double samples[] = { 9, 1, 5 };

	NEAR(stats_median(samples, 3), 5);
}

BARE_TEST(median_of_an_even_count_lies_between_the_middle_two)
{
	const double samples[] = { 8, 1, 2, 100 };

	NEAR(stats_median(samples, 4), 5);
}

BARE_TEST(median_leaves_the_samples_in_their_order)
{
	const double samples[] = { 3, 1, 2 };

	stats_median(samples, 3);
	NEAR(samples[0], 3);
}

BARE_TEST(no_samples_are_an_interval_of_zeroes)
{
	struct interval is = stats_interval(NULL, 0);

	NEAR(is.median, 0);
	NEAR(is.high, 0);
}

BARE_TEST(equal_samples_have_an_interval_without_width)
{
	const double samples[] = { 7, 7, 7, 7, 7 };
	struct interval is = stats_interval(samples, 5);

	NEAR(is.low, 7);
	NEAR(is.median, 7);
	NEAR(is.high, 7);
}

/* Of five samples, three or more draws of the least come in 5.8 % of all
 * samples: more than the 2.5 % that the interval leaves out. */
BARE_TEST(interval_of_five_samples_spans_all_of_them)
{
	const double samples[] = { 30, 10, 50, 20, 40 };
	struct interval is = stats_interval(samples, 5);

	NEAR(is.low, 10);
	NEAR(is.median, 30);
	NEAR(is.high, 50);
}

/* Of 101 samples the exact binomial interval of the median runs from the 41st
 * to the 61st; the bootstrap's is about that. */
BARE_TEST(interval_of_a_hundred_samples_is_the_binomial_one)
{
	double samples[101];
	struct interval is;
	unsigned i;

	for (i = 0; i < 101; i++)
		samples[i] = i + 1;
	is = stats_interval(samples, 101);
	ck_assert(is.low >= 39 && is.low <= 43);
	ck_assert(is.high >= 59 && is.high <= 63);
}

BARE_TEST(same_samples_give_the_same_interval)
{
	double samples[40];
	uint64_t state = 1;
	struct interval a, b;
	unsigned i;

	for (i = 0; i < 40; i++)
		samples[i] = (double)(stats_random(&state) % 1000);
	a = stats_interval(samples, 40);
	b = stats_interval(samples, 40);
	NEAR(a.low, b.low);
	NEAR(a.high, b.high);
}

/* The promise of 95 %: 300 experiments whose true median, 0.5, is known. */
BARE_TEST(interval_holds_the_true_median_in_95_of_100_experiments)
{
	uint64_t state = 42;
	unsigned i, n, held = 0;
	double samples[31];

	for (n = 0; n < 300; n++) {
		struct interval is;

		for (i = 0; i < 31; i++)
			samples[i] = (double)(stats_random(&state) >> 11) /
				     (double)(UINT64_C(1) << 53);
		is = stats_interval(samples, 31);
		held += is.low <= 0.5 && is.high >= 0.5;
	}
	ck_assert_msg(held >= 270 && held <= 297, "%u of 300", held);
}

BARE_TEST(ratio_is_taken_within_rounds)
{
	/* The machine was slower and slower; b is always half of a. */
	const double a[] = { 2, 20, 200, 2000, 20000 };
	const double b[] = { 1, 10, 100, 1000, 10000 };
	struct interval is = stats_ratio(a, b, 5);

	NEAR(is.low, 2);
	NEAR(is.median, 2);
	NEAR(is.high, 2);
}

BARE_TEST(ratio_leaves_out_rounds_without_a_number)
{
	const double a[] = { 3, 5, 3 }, b[] = { 1, 0, 1 };

	NEAR(stats_ratio(a, b, 3).median, 3);
}

BARE_TEST(unpaired_ratio_is_that_of_the_medians)
{
	const double a[] = { 4, 4, 4 }, b[] = { 2, 2, 2, 2 };
	struct interval is = stats_ratio_unpaired(a, 3, b, 4);

	NEAR(is.median, 2);
	NEAR(is.low, 2);
	NEAR(stats_ratio_unpaired(a, 0, b, 4).median, 0);
}

BARE_TEST(verdict_needs_the_whole_interval_on_one_side)
{
	struct interval below = { .9, .85, .99 }, above = { 1.1, 1.01, 1.2 };
	struct interval around = { 1.1, .99, 1.3 }, none = { 0, 0, 0 };

	ck_assert_int_eq(stats_verdict(below), FASTER);
	ck_assert_int_eq(stats_verdict(above), SLOWER);
	ck_assert_int_eq(stats_verdict(around), NO_DIFFERENCE);
	ck_assert_int_eq(stats_verdict(none), NO_DIFFERENCE);
	ck_assert_str_eq(stats_verdict_text(NO_DIFFERENCE),
			 "no difference shown");
}

BARE_TEST(shuffle_keeps_every_number_once)
{
	unsigned order[100], seen[100] = { 0 }, i, moved = 0;
	uint64_t state = 7;

	stats_shuffle(order, 100, &state);
	for (i = 0; i < 100; i++) {
		seen[order[i]]++;
		moved += order[i] != i;
	}
	for (i = 0; i < 100; i++)
		ck_assert_uint_eq(seen[i], 1);
	ck_assert_uint_gt(moved, 80);
}

/* --- histograms -------------------------------------------------------------- */

static struct latency one, two, both;

BARE_TEST(slot_of_a_latency_is_at_most_a_64th_too_long)
{
	uint64_t ns;

	for (ns = 0; ns < UINT64_C(1) << 41; ns = ns * 9 / 8 + 1) {
		uint64_t end = latency_slot_end(latency_slot(ns));

		ck_assert_uint_ge(end, ns);
		ck_assert_uint_le(end, ns + ns / 64 + 1);
	}
}

BARE_TEST(slots_follow_each_other_without_a_gap)
{
	unsigned i;

	for (i = 0; i + 1 < LATENCY_SLOTS; i++) {
		ck_assert_uint_eq(latency_slot(latency_slot_end(i)), i);
		ck_assert_uint_eq(latency_slot(latency_slot_end(i) + 1), i + 1);
	}
}

BARE_TEST(latency_beyond_the_last_slot_is_its_maximum)
{
	latency_note(&one, UINT64_C(1) << 60);
	ck_assert_uint_eq(latency_at(&one, 0.5), UINT64_C(1) << 60);
}

BARE_TEST(percentiles_of_one_to_a_thousand_are_known)
{
	uint64_t i;

	for (i = 1; i <= 1000; i++)
		latency_note(&one, i * 1000);
	ck_assert_uint_ge(latency_at(&one, 0.5), 500000);
	ck_assert_uint_le(latency_at(&one, 0.5), 508000);
	ck_assert_uint_ge(latency_at(&one, 0.99), 990000);
	ck_assert_uint_le(latency_at(&one, 0.99), 1000000);
	ck_assert_uint_eq(latency_at(&one, 0.9999), 1000000);
	ck_assert_uint_eq(latency_at(&one, 1), 1000000);
	ck_assert_uint_eq(one.max, 1000000);
}

BARE_TEST(one_slow_op_in_a_thousand_shows_in_p99_9_and_not_before)
{
	unsigned i;

	for (i = 0; i < 9990; i++)
		latency_note(&one, 100);
	for (i = 0; i < 10; i++)
		latency_note(&one, 1000000);
	ck_assert_uint_le(latency_at(&one, 0.99), 102);
	ck_assert_uint_le(latency_at(&one, 0.999), 102);
	ck_assert_uint_ge(latency_at(&one, 0.9991), 1000000);
}

BARE_TEST(merged_histograms_are_as_if_noted_in_one)
{
	unsigned i;

	for (i = 0; i < 1000; i++) {
		latency_note(i % 3 ? &one : &two, i * i);
		latency_note(&both, i * i);
	}
	latency_merge(&one, &two);
	ck_assert_int_eq(memcmp(&one, &both, sizeof one), 0);
}

SUITE("perf_stats")
