/* SPDX-License-Identifier: MIT */
/*
 * post: four threads hand work to one ring.
 *
 * Teaches: a ring belongs to one thread, and peal_post() is the only call for
 * the others. What is posted runs on the ring's thread, so the total below
 * needs no lock. Posts of one thread run in its order. The queue has a limit
 * (max_posts): -EAGAIN asks the sender to slow down. peal_ring_hold() keeps
 * the ring running while nothing is in flight, until the senders are done.
 *
 * Try:  build/examples/post
 * See:  the sum of four times 1 + 2 + ... + 10000, and that each thread's
 *       messages came in order.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <peal.h>

enum { SENDERS = 4, MESSAGES = 10000 };

struct message {
	struct sender *sender;
	int number;
};

struct sender {
	struct peal_ring *ring;
	pthread_t thread;
	int last;		/* the ring's thread: the last number seen */
	struct message messages[MESSAGES];
};

static struct sender senders[SENDERS];
static long long total;		/* the ring's thread only */
static int out_of_order;	/* the same */

static void must(const char *what, int64_t result)
{
	if (result < 0) {
		fprintf(stderr, "post: %s: %s\n", what,
			peal_strerror(result));
		exit(1);
	}
}

static void on_message(struct peal_ring *ring, void *ctx)
{
	struct message *message = ctx;

	if (message->number != message->sender->last + 1)
		out_of_order++;
	message->sender->last = message->number;
	total += message->number;
	if (message->number == MESSAGES)
		peal_ring_release(ring);
}

/* The message stays where it is until on_message has seen it. */
static void *send_all(void *arg)
{
	struct sender *sender = arg;
	int i, error;

	for (i = 0; i < MESSAGES; i++) {
		sender->messages[i].sender = sender;
		sender->messages[i].number = i + 1;
		do {
			error = peal_post(sender->ring, on_message,
					  &sender->messages[i]);
		} while (error == -EAGAIN && sched_yield() == 0);
		must("post", error);
	}
	return NULL;
}

int main(void)
{
	struct peal_ring *ring;
	int i;

	if (peal_ring_open(&ring, NULL) < 0) {
		fprintf(stderr, "post: %s\n", peal_open_reason());
		return 1;
	}
	fprintf(stderr, "post: engine %s (%s)\n", peal_ring_engine(ring),
		peal_ring_engine_reason(ring));
	for (i = 0; i < SENDERS; i++) {
		senders[i].ring = ring;
		peal_ring_hold(ring);
		must("thread", -pthread_create(&senders[i].thread, NULL,
					       send_all, &senders[i]));
	}
	must("run", peal_ring_run(ring));
	for (i = 0; i < SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
	printf("total %lld, out of order %d\n", total, out_of_order);
	must("close", peal_ring_close(ring, PEAL_FOREVER));
	return out_of_order != 0;
}
