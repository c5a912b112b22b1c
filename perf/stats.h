/* SPDX-License-Identifier: MIT */
/*
 * What can be said from noisy samples: medians with a bootstrap interval of
 * 95 %, ratios of two rows from the rounds in which both ran, a verdict.
 */
#ifndef PEAL_PERF_STATS_H
#define PEAL_PERF_STATS_H

#include <stdint.h>

#define STATS_SAMPLES	2000	/* of one row, at most */

struct interval {
	double median, low, high;
};

enum verdict { NO_DIFFERENCE, FASTER, SLOWER };

/* Random numbers: the same sequence from the same state, which is not 0. */
static inline uint64_t stats_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* 0, 1, ... count - 1 in a random order. */
void stats_shuffle(unsigned *order, unsigned count, uint64_t *state);

double stats_median(const double *samples, unsigned count);

/* The median, and between what the medians of 95 % of 2000 samples drawn with
 * replacement lie. The same samples give the same interval. count 0: all 0. */
struct interval stats_interval(const double *samples, unsigned count);

/* Of a[i] / b[i]: pairs of one round share what the machine did then. */
struct interval stats_ratio(const double *a, const double *b, unsigned count);

/* Of median(a) / median(b), drawn independently: for runs at two times. */
struct interval stats_ratio_unpaired(const double *a, unsigned a_count,
				     const double *b, unsigned b_count);

/* Of a ratio of costs: faster if the whole interval lies below 1. */
enum verdict stats_verdict(struct interval ratio);
const char *stats_verdict_text(enum verdict verdict);

#endif
