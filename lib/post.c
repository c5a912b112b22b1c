/* SPDX-License-Identifier: MIT */
/*
 * Posts: a bounded queue with many producers and one consumer, and one
 * wake-up for as many posts as come while the ring sleeps.
 *
 *	post_head <= post_tail <= post_head + size
 *	  the ring takes ...     ... a producer claims a position by moving it
 *
 * A claimed cell is published by its number, position + 1: what stood there
 * before was a lap behind. Producers know room from post_seen, which is
 * post_head as one of them last read it, so they look at the ring's own line
 * once per lap and not once per post.
 *
 * A producer owns its cell, and the ring waits for it, from the claim until the
 * cell is published. So the publishing store is the last thing that it does to
 * the ring, which may be closed from then on; but one that has a sleeping ring
 * to wake says so first, in `posting`.
 *
 * Sleeping: the ring sets the flag, then looks at post_tail; a producer moves
 * post_tail, then looks at the flag. All four are sequentially consistent, so
 * one of the two sees the other. On x86 the claim is the only locked
 * instruction of a post.
 */
#include <errno.h>
#include "lib/start.h"

int peal__posts_open(struct peal_ring *ring, uint32_t count)
{
	uint32_t size = 2;

	while (size < count)
		size *= 2;
	ring->posts = peal__alloc(ring, size * sizeof *ring->posts, 64);
	if (!ring->posts)
		return -ENOMEM;
	ring->post_mask = size - 1;
	ring->post_open = 1;
	return 0;
}

void peal__posts_close(struct peal_ring *ring)
{
	ring->post_open = 0;
	peal__free(ring, ring->posts,
		   (ring->post_mask + 1) * sizeof *ring->posts);
	ring->posts = NULL;
}

/* Is there room at a position, as far as is known? A position that is behind
 * what was seen is an old one, and never has. */
static int has_room(const struct peal_ring *ring, uint64_t at, uint64_t seen)
{
	return at - seen <= ring->post_mask;
}

/* Looks again for room at the tail: 0: the queue is full. */
static __attribute__((noinline)) int look_again(struct peal_ring *ring,
						uint64_t *at)
{
	uint64_t head = atomic_load_explicit(&ring->post_head,
					     memory_order_acquire);
	uint64_t tail = atomic_load_explicit(&ring->post_tail,
					     memory_order_relaxed);
	int stale = tail != *at;

	atomic_store_explicit(&ring->post_seen, head, memory_order_release);
	*at = tail;
	return stale || has_room(ring, tail, head);
}

/* Claims a cell; NULL: the queue is full. */
static struct peal__post *claim(struct peal_ring *ring, uint64_t *position)
{
	uint64_t at = atomic_load_explicit(&ring->post_tail,
					   memory_order_relaxed);

	for (;;) {
		uint64_t seen = atomic_load_explicit(&ring->post_seen,
						     memory_order_acquire);

		if (peal__unlikely(!has_room(ring, at, seen))) {
			if (!look_again(ring, &at))
				return NULL;
		} else if (peal__likely(atomic_compare_exchange_weak(
				   &ring->post_tail, &at, at + 1))) {
			*position = at;
			return &ring->posts[at & ring->post_mask];
		}
	}
}

static void publish(struct peal__post *cell, uint64_t position)
{
	atomic_store_explicit(&cell->number, (uint32_t)position + 1,
			      memory_order_release);
}

/* The first who finds it asleep wakes it. The post may run, and be the one that
 * says "close", before that is done. */
static __attribute__((noinline)) void
publish_and_wake(struct peal_ring *ring, struct peal__post *cell,
		 uint64_t position)
{
	atomic_fetch_add_explicit(&ring->posting, 1, memory_order_relaxed);
	publish(cell, position);
	if (atomic_exchange(&ring->sleeping, 0)) {
		int saved = errno;

		atomic_fetch_add_explicit(&ring->wakes, 1,
					  memory_order_relaxed);
		ring->engine->wake(ring);
		errno = saved;
	}
	atomic_fetch_sub_explicit(&ring->posting, 1, memory_order_release);
}

int peal_post(struct peal_ring *ring, peal_post_fn *fn, void *ctx)
{
	struct peal__post *cell;
	uint64_t position;

	MUST(ring->post_open,
	     "the ring is closed, or this process is a fork", "post");
	cell = claim(ring, &position);
	if (peal__unlikely(!cell))
		return -EAGAIN;
	cell->fn = fn;
	cell->ctx = ctx;
	if (peal__unlikely(ring->posts_signed))
		cell->thread = peal__thread_id();
	if (peal__unlikely(atomic_load(&ring->sleeping)))
		publish_and_wake(ring, cell, position);
	else
		publish(cell, position);
	return 0;
}

/* A post that says "stop" may have run before the thread that made it has left
 * peal_post(): it must not meet a ring that is gone. */
void peal__posts_settle(struct peal_ring *ring)
{
	uint64_t at = atomic_load_explicit(&ring->post_head,
					   memory_order_relaxed);

	/* A ring that is lost leaves without having run all. */
	for (; at != atomic_load_explicit(&ring->post_tail,
					  memory_order_acquire); at++)
		while (!peal__post_is_there(ring, at))
			peal__yield();
	while (atomic_load_explicit(&ring->posting, memory_order_acquire))
		peal__yield();
}

/* The oldest post, if it is published; its cell is free then. */
peal__inline int take(struct peal_ring *ring, struct peal__post *out)
{
	uint64_t at = atomic_load_explicit(&ring->post_head,
					   memory_order_relaxed);
	const struct peal__post *cell = &ring->posts[at & ring->post_mask];

	if (!peal__post_is_there(ring, at))
		return 0;
	out->fn = cell->fn;
	out->ctx = cell->ctx;
	out->thread = cell->thread;
	atomic_store_explicit(&ring->post_head, at + 1, memory_order_release);
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
	ring->lingers = !ring->engine->clock;	/* simulated: none */
}

/* Something below a microsecond. Each look at post_tail takes its line from
 * those who post, so there is none meanwhile. */
static void pause_a_little(void)
{
	int i;

	for (i = 0; i < 32; i++)
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#elif defined(__aarch64__)
		__asm__ volatile("isb");
#else
		atomic_signal_fence(memory_order_seq_cst);
#endif
}

static uint64_t waiting(const struct peal_ring *ring)
{
	return atomic_load_explicit(&ring->post_tail, memory_order_relaxed) -
	       atomic_load_explicit(&ring->post_head, memory_order_relaxed);
}

/*
 * Where posts came, more may follow. To sleep and be woken costs both sides
 * microseconds, and to take each post as it comes costs a cache miss or two; so
 * the ring looks away for a moment and then takes many. Where that gains
 * nothing (they come seldom, or are made on this core), it is left out the next
 * times, up to 63. 1: there are posts.
 */
int peal__posts_linger(struct peal_ring *ring)
{
	uint64_t count, least;
	int tries = 2;

	ring->lingers = 0;
	if (ring->linger_skip) {
		ring->linger_skip--;
		return 0;
	}
	least = waiting(ring) ? 16 : 1;
	do {
		pause_a_little();
		count = waiting(ring);
	} while (!count && --tries);
	ring->linger_failed = count >= least ? 0 :
			      (uint8_t)((2 * ring->linger_failed + 1) & 63);
	ring->linger_skip = ring->linger_failed;
	return count != 0;
}
