/* SPDX-License-Identifier: MIT */
/* Random numbers of a ring; see random.h. */
#include "lib/random.h"
#include "lib/start.h"

static uint64_t rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

void peal__random_seed(struct peal__random *random, uint64_t seed)
{
	unsigned i;

	for (i = 0; i < 4; i++) {
		uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		random->s[i] = z ^ z >> 31;
	}
}

uint64_t peal__random_next(struct peal__random *random)
{
	uint64_t *s = random->s, kept = s[1] << 17;
	uint64_t result = rotate(s[1] * 5, 7) * 9;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= kept;
	s[3] = rotate(s[3], 45);
	return result;
}

/* A bias of bound / 2^64 is nobody's concern here, the same numbers on every
 * machine are: two halves, so that no 128-bit product is needed. */
uint64_t peal__random_below(struct peal__random *random, uint64_t bound)
{
	uint64_t x = peal__random_next(random);

	if (bound >> 32)
		return x % bound;
	return (x >> 32) * bound >> 32;
}

uint64_t peal_random(struct peal_ring *ring)
{
	struct peal__random *random = &ring->random;
	uint64_t seed;

	peal__must_own(ring, "random");
	if (ring->engine->random)
		return ring->engine->random(ring);
	if (!(random->s[0] | random->s[1] | random->s[2] | random->s[3])) {
		peal__entropy(&seed, sizeof seed);
		peal__random_seed(random, seed);
	}
	return peal__random_next(random);
}
