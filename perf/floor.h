/* SPDX-License-Identifier: MIT */
/*
 * What the floors share: the same loop on bare liburing and on peal, timed
 * alternately in one process, and told apart from noise.
 *
 * A round runs every case once on either side, cases and sides in a random
 * order; the answer is the median over the rounds of peal's time divided by the
 * bare loop's time of the same round, with a bootstrap interval of 95 %.
 * An interval that spans 1 shows no difference.
 *
 * Bare means: get an entry, fill it, set its data, submit and wait, walk the
 * completions, advance. No table, no callback: those are what is measured.
 */
#ifndef PEAL_PERF_FLOOR_H
#define PEAL_PERF_FLOOR_H

#include <liburing.h>
#include <stdint.h>
#include "peal.h"

#define FLOOR_ENTRIES	256	/* both rings; peal's default */
#define FLOOR_CASES	8

enum floor_side { FLOOR_BARE, FLOOR_PEAL, FLOOR_SIDES };

struct floor_case {
	const char *name;
	unsigned width;		/* ops per batch, or in flight */
	double target;		/* of the ratio; 0: none */
	void (*run[FLOOR_SIDES])(unsigned width, uint64_t ops);
};

/* Both rings, open in every floor; calls counted by the bare loops. */
extern struct io_uring floor_bare;
extern struct peal_ring *floor_peal;
extern uint64_t floor_bare_enters;

/* Opens both rings, times the cases and prints; returns the exit status. */
int floor_main(int argc, char **argv, const char *program,
	       const struct floor_case *cases, unsigned count);

_Noreturn void floor_fail(const char *what, long long error);

/* Random numbers that both sides draw alike. */
static inline uint64_t floor_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
