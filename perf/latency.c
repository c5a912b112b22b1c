/* SPDX-License-Identifier: MIT */
/* Percentiles from a histogram. See latency.h. */
#include <math.h>
#include "perf/latency.h"

uint64_t latency_slot_end(unsigned slot)
{
	unsigned top = slot >> LATENCY_BITS;
	uint64_t low = slot & ((1u << LATENCY_BITS) - 1);

	if (!top)
		return low;
	return ((low + (1u << LATENCY_BITS) + 1) << (top - 1)) - 1;
}

uint64_t latency_at(const struct latency *in, double share)
{
	uint64_t wanted = (uint64_t)ceil(share * (double)in->count), seen = 0;
	unsigned i;

	if (!wanted)
		wanted = 1;
	for (i = 0; i < LATENCY_SLOTS; i++) {
		seen += in->slots[i];
		if (seen < wanted)
			continue;
		/* The last slot has no end. */
		return i + 1 < LATENCY_SLOTS && latency_slot_end(i) < in->max
			       ? latency_slot_end(i)
			       : in->max;
	}
	return in->max;
}

void latency_merge(struct latency *into, const struct latency *from)
{
	unsigned i;

	for (i = 0; i < LATENCY_SLOTS; i++)
		into->slots[i] += from->slots[i];
	into->count += from->count;
	if (from->max > into->max)
		into->max = from->max;
}
