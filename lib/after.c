/* SPDX-License-Identifier: MIT */
/* Functions that run once, when the handlers of a turn have run. */
#include "lib/ring.h"

/* A closing ring still takes those of handlers, which come to an end with the
 * ops; not those of such functions, which need not. */
int peal_ring_after_turn(struct peal_ring *ring, struct peal_after_turn *after)
{
	peal__must_own(ring, "ring_after_turn");
	if (after->waiting)
		return 0;
	if (ring->in_after && ring->gate & GATE_CLOSING)
		return -ESHUTDOWN;
	after->waiting = 1;
	after->next = NULL;
	if (!ring->after_first)
		ring->after_end = &ring->after_first;
	*ring->after_end = after;
	ring->after_end = &after->next;
	peal__chore(ring);
	return 0;
}

/* What they add waits for the next turn, so that each turn ends. */
void peal__after_run(struct peal_ring *ring)
{
	struct peal_after_turn *after = ring->after_first, *next;

	ring->after_first = NULL;
	ring->in_after = 1;
	for (; after; after = next) {
		next = after->next;
		after->waiting = 0;
		after->fn(ring, after->ctx);
	}
	ring->in_after = 0;
}
