/* SPDX-License-Identifier: MIT */
/*
 * A histogram of latencies: 64 slots per power of two, so a value is known to
 * 1.6 %, from 1 ns to 2^42 ns (73 minutes); noting one is an increment.
 */
#ifndef PEAL_PERF_LATENCY_H
#define PEAL_PERF_LATENCY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LATENCY_BITS	6
#define LATENCY_SLOTS	((42 - LATENCY_BITS + 1) << LATENCY_BITS)

struct latency {
	uint64_t count, max;
	uint32_t slots[LATENCY_SLOTS];
};

static inline unsigned latency_slot(uint64_t ns)
{
	unsigned top;

	if (ns < 1u << LATENCY_BITS)
		return (unsigned)ns;
	top = 63u - (unsigned)__builtin_clzll(ns);
	if (top >= 42)
		return LATENCY_SLOTS - 1;
	return ((top - LATENCY_BITS + 1) << LATENCY_BITS) +
	       (unsigned)(ns >> (top - LATENCY_BITS) &
			  ((1u << LATENCY_BITS) - 1));
}

static inline void latency_note_many(struct latency *in, uint64_t ns,
				     uint32_t count)
{
	in->slots[latency_slot(ns)] += count;
	in->count += count;
	if (ns > in->max)
		in->max = ns;
}

static inline void latency_note(struct latency *in, uint64_t ns)
{
	latency_note_many(in, ns, 1);
}

/* The most that a value in this slot can be. */
uint64_t latency_slot_end(unsigned slot);

/* The latency that share (0.5, 0.99) of all do not exceed, in ns. */
uint64_t latency_at(const struct latency *in, double share);

void latency_merge(struct latency *into, const struct latency *from);

#ifdef __cplusplus
}
#endif
#endif
