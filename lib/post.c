/* SPDX-License-Identifier: MIT */
/*
 * Posts: a bounded queue with many producers and one consumer, and one
 * wake-up for as many posts as come while the ring sleeps.
 *
 * A cell's turn says whose it is: turn == position: a producer may fill it;
 * turn == position + 1: the ring may take it. Producers claim positions by
 * moving post_tail; the cell is published by its turn.
 */
#include <errno.h>
#include "lib/start.h"

int peal__posts_open(struct peal_ring *ring, uint32_t count)
{
	uint32_t size = 2, i;

	while (size < count)
		size *= 2;
	ring->posts = peal__alloc(ring, size * sizeof *ring->posts, 64);
	if (!ring->posts)
		return -ENOMEM;
	ring->post_mask = size - 1;
	for (i = 0; i < size; i++)
		atomic_init(&ring->posts[i].turn, i);
	return 0;
}

void peal__posts_close(struct peal_ring *ring)
{
	peal__free(ring, ring->posts,
		   (ring->post_mask + 1) * sizeof *ring->posts);
	ring->posts = NULL;
}

/* Claims a cell; NULL: the queue is full. */
static struct peal__post *claim(struct peal_ring *ring, uint64_t *position)
{
	uint64_t at = atomic_load_explicit(&ring->post_tail,
					   memory_order_relaxed);

	for (;;) {
		struct peal__post *cell = &ring->posts[at & ring->post_mask];
		uint64_t turn = atomic_load_explicit(&cell->turn,
						     memory_order_acquire);

		if (turn == at) {
			if (atomic_compare_exchange_weak(&ring->post_tail, &at,
							 at + 1)) {
				*position = at;
				return cell;
			}
		} else if ((int64_t)(turn - at) < 0) {
			return NULL;
		} else {
			at = atomic_load_explicit(&ring->post_tail,
						  memory_order_relaxed);
		}
	}
}

static void wake(struct peal_ring *ring)
{
	int saved = errno;

	atomic_fetch_add_explicit(&ring->wakes, 1, memory_order_relaxed);
	ring->engine->wake(ring);
	errno = saved;
}

static int post(struct peal_ring *ring, peal_post_fn *fn, void *ctx)
{
	struct peal__post *cell;
	uint64_t position;

	cell = claim(ring, &position);
	if (!cell)
		return -EAGAIN;
	cell->fn = fn;
	cell->ctx = ctx;
	if (peal__unlikely(ring->posts_signed))
		cell->thread = peal__thread_id();
	atomic_store(&cell->turn, position + 1);
	if (atomic_load(&ring->sleeping) &&
	    atomic_exchange(&ring->sleeping, 0))
		wake(ring);
	return 0;
}

int peal_post(struct peal_ring *ring, peal_post_fn *fn, void *ctx)
{
	int rc;

	MUST(!peal__ring_is_foreign(ring),
	     "the ring is closed, or this process is a fork", "post");
	atomic_fetch_add_explicit(&ring->posting, 1, memory_order_acquire);
	rc = post(ring, fn, ctx);
	atomic_fetch_sub_explicit(&ring->posting, 1, memory_order_release);
	return rc;
}

/* A post that says "stop" may have run before the thread that made it has left
 * peal_post(): it must not meet a ring that is gone. */
void peal__posts_settle(struct peal_ring *ring)
{
	while (atomic_load_explicit(&ring->posting, memory_order_acquire))
		peal__yield();
}

/* The oldest post, if it is published; its cell is free then. */
peal__inline int take(struct peal_ring *ring, struct peal__post *out)
{
	uint64_t at = ring->post_head;
	struct peal__post *cell = &ring->posts[at & ring->post_mask];

	if (atomic_load_explicit(&cell->turn, memory_order_acquire) != at + 1)
		return 0;
	out->fn = cell->fn;
	out->ctx = cell->ctx;
	out->thread = cell->thread;
	atomic_store_explicit(&cell->turn, at + ring->post_mask + 1,
			      memory_order_release);
	ring->post_head = at + 1;
	return 1;
}

int peal__post_take(struct peal_ring *ring, struct peal__post *out)
{
	return take(ring, out);
}

/* Runs what had been posted when it was called. A claimed cell that is not
 * published yet ends the run: its producer will find us awake or wake us. */
void peal__posts_run(struct peal_ring *ring)
{
	uint64_t end = atomic_load_explicit(&ring->post_tail,
					    memory_order_acquire);
	struct peal__post post;

	if (peal__unlikely(ring->engine->posts != NULL)) {
		ring->engine->posts(ring);
		return;
	}
	while (ring->post_head != end && !ring->stop && take(ring, &post)) {
		ring->stats.posts++;
		post.fn(ring, post.ctx);
	}
}
