/* SPDX-License-Identifier: MIT */
/*
 * A simulated world's queue of events: a pairing heap of events that are part
 * of what they are for (an op, a segment), ordered by time, then age. No two
 * are equal, so the order does not depend on the heap's shape, and queueing
 * cannot run out of memory.
 */
#include "shim/sim.h"

static int is_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns
				      : a->number < b->number;
}

static struct sim_event *meld(struct sim_event *a, struct sim_event *b)
{
	if (!a || !b)
		return a ? a : b;
	if (is_before(b, a)) {
		struct sim_event *kept = a;

		a = b;
		b = kept;
	}
	b->prev = a;
	b->next = a->child;
	if (a->child)
		a->child->prev = b;
	a->child = b;
	return a;
}

/* The children of what was taken out, as one heap: in pairs from the left,
 * then together from the right. */
static struct sim_event *meld_all(struct sim_event *first)
{
	struct sim_event *pairs = NULL, *heap = NULL;

	while (first) {
		struct sim_event *a = first, *b = a->next;

		first = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct sim_event *a = pairs;

		pairs = a->next;
		a->next = NULL;
		heap = meld(heap, a);
	}
	return heap;
}

void peal__sim_event_add(struct peal_sim *world, struct sim_event *event,
		   uint64_t due_ns,
		   void (*fire)(struct peal_sim *, struct sim_event *))
{
	event->due_ns = due_ns < world->now ? world->now : due_ns;
	event->number = ++world->next_event;
	event->fire = fire;
	event->child = event->next = event->prev = NULL;
	event->queued = 1;
	world->heap = meld(world->heap, event);
}

void peal__sim_event_remove(struct peal_sim *world, struct sim_event *event)
{
	if (!event->queued)
		return;
	event->queued = 0;
	if (world->heap == event) {
		world->heap = meld_all(event->child);
		return;
	}
	if (event->prev->child == event)
		event->prev->child = event->next;
	else
		event->prev->next = event->next;
	if (event->next)
		event->next->prev = event->prev;
	world->heap = meld(world->heap, meld_all(event->child));
}

int peal__sim_step(struct peal_sim *world, uint64_t due_ns)
{
	struct sim_event *event = world->heap;

	if (!event || event->due_ns > due_ns)
		return 0;
	peal__sim_event_remove(world, event);
	if (event->due_ns > world->now)
		world->now = event->due_ns;
	event->fire(world, event);
	peal__sim_settle(world);
	return 1;
}

void peal__sim_pass(struct peal_sim *world, uint64_t due_ns)
{
	while (peal__sim_step(world, due_ns))
		;
	if (due_ns > world->now)
		world->now = due_ns;
}
