/* SPDX-License-Identifier: MIT */
/* Medians, bootstrap intervals, verdicts. See stats.h. */
#include <stdlib.h>
#include <string.h>
#include "perf/stats.h"

#define RESAMPLES	2000
#define SEED		UINT64_C(0x9e3779b97f4a7c15)

void stats_shuffle(unsigned *order, unsigned count, uint64_t *state)
{
	unsigned i;

	for (i = 0; i < count; i++)
		order[i] = i;
	for (i = count; i > 1; i--) {
		unsigned other = (unsigned)(stats_random(state) % i);
		unsigned swap = order[i - 1];

		order[i - 1] = order[other];
		order[other] = swap;
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double sort_median(double *values, unsigned count)
{
	if (!count)
		return 0;
	qsort(values, count, sizeof *values, by_value);
	return count % 2 ? values[count / 2]
			 : (values[count / 2 - 1] + values[count / 2]) / 2;
}

double stats_median(const double *samples, unsigned count)
{
	static double copy[STATS_SAMPLES];

	memcpy(copy, samples, count * sizeof *samples);
	return sort_median(copy, count);
}

static double resampled_median(const double *samples, unsigned count,
			       uint64_t *state)
{
	static double drawn[STATS_SAMPLES];
	unsigned i;

	for (i = 0; i < count; i++)
		drawn[i] = samples[stats_random(state) % count];
	return sort_median(drawn, count);
}

/* The middle 95 % of medians, which it sorts. */
static void middle(double *medians, struct interval *out)
{
	qsort(medians, RESAMPLES, sizeof *medians, by_value);
	out->low = medians[RESAMPLES / 40];
	out->high = medians[RESAMPLES - 1 - RESAMPLES / 40];
}

struct interval stats_interval(const double *samples, unsigned count)
{
	static double medians[RESAMPLES];
	struct interval out = { 0, 0, 0 };
	uint64_t state = SEED;
	unsigned i;

	if (!count)
		return out;
	for (i = 0; i < RESAMPLES; i++)
		medians[i] = resampled_median(samples, count, &state);
	middle(medians, &out);
	out.median = stats_median(samples, count);
	return out;
}

struct interval stats_ratio(const double *a, const double *b, unsigned count)
{
	static double ratios[STATS_SAMPLES];
	unsigned i, used = 0;

	for (i = 0; i < count; i++)
		if (b[i] > 0)
			ratios[used++] = a[i] / b[i];
	return stats_interval(ratios, used);
}

struct interval stats_ratio_unpaired(const double *a, unsigned a_count,
				     const double *b, unsigned b_count)
{
	static double medians[RESAMPLES];
	struct interval out = { 0, 0, 0 };
	uint64_t state = SEED;
	unsigned i;

	if (!a_count || !b_count || stats_median(b, b_count) <= 0)
		return out;
	for (i = 0; i < RESAMPLES; i++) {
		double below = resampled_median(b, b_count, &state);

		medians[i] = below > 0 ? resampled_median(a, a_count, &state) /
						 below
				       : 0;
	}
	middle(medians, &out);
	out.median = stats_median(a, a_count) / stats_median(b, b_count);
	return out;
}

enum verdict stats_verdict(struct interval ratio)
{
	if (ratio.high < 1 && ratio.high > 0)
		return FASTER;
	return ratio.low > 1 ? SLOWER : NO_DIFFERENCE;
}

const char *stats_verdict_text(enum verdict verdict)
{
	static const char *const texts[] = {
		[NO_DIFFERENCE] = "no difference shown",
		[FASTER] = "faster",
		[SLOWER] = "slower",
	};

	return texts[verdict];
}
