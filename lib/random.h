/* SPDX-License-Identifier: MIT */
/*
 * One generator for all that is random: xoshiro256** (Blackman and Vigna),
 * its state filled from a seed by splitmix64. Not for secrets.
 */
#ifndef PEAL_LIB_RANDOM_H
#define PEAL_LIB_RANDOM_H

#include <stdint.h>

struct peal__random {
	uint64_t s[4];
};

void peal__random_seed(struct peal__random *random, uint64_t seed);
uint64_t peal__random_next(struct peal__random *random);
/* 0 to bound - 1; bound is not 0. */
uint64_t peal__random_below(struct peal__random *random, uint64_t bound);

#endif
