/* SPDX-License-Identifier: MIT */
/*
 * What the proofs share: they need volume, so their handlers write into an
 * array and assert nothing (libcheck notes every assertion, at a cost), and
 * their loops are shorter where a sanitizer makes everything slow.
 */
#ifndef PEAL_TEST_PROOF_H
#define PEAL_TEST_PROOF_H

#include "test/harness.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PROOF_SLOW 1
#else
#define PROOF_SLOW 0
#endif
#define SCALED(n) (PROOF_SLOW ? (n) / 2 : (n))

struct proof_op {
	int64_t result;		/* of the latest completion */
	uint32_t more;		/* completions with PEAL_MORE */
	uint32_t terminal;	/* completions without */
};

static inline void proof_seen(struct proof_op *op,
			      const struct peal_completion *done)
{
	op->result = done->result;
	if (done->flags & PEAL_MORE)
		op->more++;
	else
		op->terminal++;
}

/* ctx: a struct proof_op. */
static inline void on_proof(struct peal_ring *where,
			    const struct peal_completion *done)
{
	(void)where;
	proof_seen(done->ctx, done);
}

static inline uint64_t proof_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline struct peal_stats proof_stats(struct peal_ring *of)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	peal_ring_stats(of, &stats);
	return stats;
}

#endif
