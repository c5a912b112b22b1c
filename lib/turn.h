/* SPDX-License-Identifier: MIT */
/*
 * A turn of the loop, to be inlined by whoever has an enter().
 *
 * On the way back from a system call the processor mispredicts each return
 * into a function that was there before the call: about 5 ns each, of 30 that
 * a turn costs. So the io_uring engine has its enter() in here, and what a turn
 * seldom does is elsewhere, behind one look at ring->chores.
 */
#ifndef PEAL_LIB_TURN_H
#define PEAL_LIB_TURN_H

#include "lib/lend.h"
#include "lib/ring.h"

/* Either another thread sees from now on that we sleep, or we see its work. */
static inline int peal__may_sleep(struct peal_ring *ring)
{
	if (peal__unlikely(ring->lingers) && peal__posts_linger(ring))
		return 0;
	atomic_store(&ring->sleeping, 1);
	return peal__likely(!peal__posts_waiting(ring)) &&
	       peal__likely(!peal__jobs_waiting(ring));
}

/* How long the wait may be. A build that looks for bugs looks for chores that
 * nobody told of, too. */
static inline uint64_t peal__before_enter(struct peal_ring *ring,
					  uint64_t timeout_ns)
{
	if (PEAL__WATCHES_LENT)
		MUST(ring->chores || !peal__has_chores(ring),
		     "work that the turn was not told of", "ring_turn");
	if (peal__unlikely(ring->chores))
		timeout_ns = peal__chores_before_enter(ring, timeout_ns);
	else if (peal__unlikely(peal__cq_ready(ring)))
		timeout_ns = 0;
	if (peal__likely(timeout_ns) && peal__unlikely(!peal__may_sleep(ring)))
		timeout_ns = 0;
	return timeout_ns;
}

/* Posts, what is ready, completions, timers, and what waits for the end. */
static inline void peal__after_enter(struct peal_ring *ring)
{
	ring->now_is_old = 1;
	ring->now_ms = peal__age_clock(ring);
	if (peal__unlikely(peal__posts_waiting(ring) || ring->posts_signed))
		peal__posts_run(ring);
	if (peal__unlikely(ring->chores))
		peal__chores_first(ring);
	peal__completions_run(ring);
	if (peal__unlikely(ring->chores))
		peal__chores_last(ring);
}

/* One system call, as a rule, and none when completions are there and nothing
 * is new. alone: it is not one of many, so it ends what peal_ring_turn()
 * began. */
peal__inline int peal__turn_by(struct peal_ring *ring, uint64_t timeout_ns,
			       int alone,
			       int (*enter)(struct peal_ring *ring,
					    uint32_t wait_for,
					    uint64_t timeout_ns))
{
	uint64_t before = ring->stats.completions + ring->stats.posts;
	int may_wait = timeout_ns != 0, rc = ring->failed;

	if (peal__unlikely(rc))
		goto out;
	ring->stats.turns++;
	timeout_ns = peal__before_enter(ring, timeout_ns);
	if (peal__likely(timeout_ns || !peal__cq_ready(ring) ||
			 ring->queues.sq_tail != ring->queues.sq_head))
		rc = enter(ring, timeout_ns ? 1 : 0, timeout_ns);
	atomic_store_explicit(&ring->sleeping, 0, memory_order_relaxed);
	if (peal__unlikely(rc < 0)) {
		rc = peal__enter_failed(ring, rc, may_wait);
		if (rc < 0)
			goto out;
	}
	peal__after_enter(ring);
	rc = (int)(ring->stats.completions + ring->stats.posts - before);
out:
	if (alone)
		ring->running = ring->stop = 0;
	return rc;
}

#endif
