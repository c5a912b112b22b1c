/* SPDX-License-Identifier: MIT */
/*
 * Whose ring it is. A ring's owner is the address of a variable that each
 * thread has for itself, so the check on every call is one comparison. Other
 * owners mean: NULL, the ring is closed; &forked, this process is a fork of
 * the one that opened it. A forked child shares the kernel's ring with its
 * parent and would corrupt it; so every ring in the list below is disowned in
 * the child.
 *
 * Closed rings, and closed groups of buffers, rest in a queue before their
 * memory goes back, so that a use after close is seen and not undefined (libc's
 * allocator only).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/start.h"

_Thread_local char peal__this_thread;

static const char forked;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct peal_ring *all;
static struct {
	void *graves[PEAL__MOST_GROUPS];
	unsigned count;		/* of graves */
	unsigned buried;
} yards[] = {
	[YARD_RINGS] = { .count = 16 },
	[YARD_GROUPS] = { .count = PEAL__MOST_GROUPS },
};

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
	struct peal_ring *ring;

	for (ring = all; ring; ring = ring->list_next) {
		ring->owner = &forked;
		ring->post_open = 0;
	}
	all = NULL;
	pthread_mutex_unlock(&lock);
}

/* The end of a thread cancels what it had in flight, behind the program's
 * back: a ring must be closed first. One whose close timed out may stay. */
static void thread_ends(void *unused)
{
	struct peal_ring *ring;

	(void)unused;
	pthread_mutex_lock(&lock);
	for (ring = all; ring; ring = ring->list_next)
		MUST(ring->owner != &peal__this_thread ||
			     ring->gate & GATE_CLOSING,
		     "a thread ended with its ring open", "ring_close");
	pthread_mutex_unlock(&lock);
}

static void watch(void)
{
	peal__at_fork(before_fork, after_fork, in_child);
	pthread_key_create(&thread_end, thread_ends);
}

void peal__ring_enlist(struct peal_ring *ring)
{
	pthread_once(&once, watch);
	pthread_setspecific(thread_end, ring);
	pthread_mutex_lock(&lock);
	ring->list_prev = NULL;
	ring->list_next = all;
	if (all)
		all->list_prev = ring;
	all = ring;
	pthread_mutex_unlock(&lock);
}

void peal__ring_delist(struct peal_ring *ring)
{
	pthread_mutex_lock(&lock);
	if (ring->list_prev)
		ring->list_prev->list_next = ring->list_next;
	else
		all = ring->list_next;
	if (ring->list_next)
		ring->list_next->list_prev = ring->list_prev;
	pthread_mutex_unlock(&lock);
}

void *peal__grave_add(enum peal__yard yard, void *closed)
{
	void **grave, *oldest;

	pthread_mutex_lock(&lock);
	grave = &yards[yard].graves[yards[yard].buried++ % yards[yard].count];
	oldest = *grave;
	*grave = closed;
	pthread_mutex_unlock(&lock);
	return oldest;
}

_Noreturn void peal__must_fail(const char *file, int line, const char *cond,
			       const char *why, const char *op)
{
	fprintf(stderr, "peal: %s:%d: %s: %s [%s]\n", file, line, op, why,
		cond);
	abort();
}

_Noreturn void peal__not_yours(const struct peal_ring *ring, const char *op)
{
	const char *why = "called from another thread than the one that "
			  "opened the ring; use peal_post()";

	if (!ring->owner)
		why = "the ring is closed";
	else if (ring->owner == &forked)
		why = "this process is a fork; the ring belongs to its "
		      "parent: open one here";
	peal__must_fail(__FILE__, __LINE__, "owner == this thread", why, op);
}
