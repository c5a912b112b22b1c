/* SPDX-License-Identifier: MIT */
/* Functions that run once, when the handlers of a turn have run. */
#include "lib/ring.h"

void peal_ring_after_turn(struct peal_ring *ring,
			  struct peal_after_turn *after)
{
	peal__must_own(ring, "ring_after_turn");
	if (after->waiting)
		return;
	after->waiting = 1;
	after->next = NULL;
	if (!ring->after_first)
		ring->after_end = &ring->after_first;
	*ring->after_end = after;
	ring->after_end = &after->next;
}

/* What they add waits for the next turn, so that each turn ends. */
void peal__after_run(struct peal_ring *ring)
{
	struct peal_after_turn *after = ring->after_first, *next;

	ring->after_first = NULL;
	for (; after; after = next) {
		next = after->next;
		after->waiting = 0;
		after->fn(ring, after->ctx);
	}
}
