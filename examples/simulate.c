/* SPDX-License-Identifier: MIT */
/*
 * simulate: a counter that must survive a power cut, cut a thousand times.
 *
 * Teaches: a program written on peal runs in a simulated world unchanged. Here
 * it is a counter that is kept in a file: write, sync, tell. The world cuts the
 * power at a moment drawn from the seed, and looks whether what was told is
 * still there. `simulate forget` leaves the sync out, which is found within a
 * few seeds; a seed that fails fails again, in every build.
 *
 * Try:  build/examples/simulate; build/examples/simulate forget
 * See:  a thousand crashes survived; and the first seed that loses a count.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <peal.h>
#include <peal/sim.h>

#define SEEDS 1000

static int forgets;		/* the bug */

/* --- the program: it does not know where it runs ------------------------- */

struct counter {
	struct peal_ring *ring;
	int fd;
	uint64_t value;
	uint64_t told;		/* what its user was told is safe */
};

static peal_handler on_written, on_synced;

static void count(struct counter *counter)
{
	/* In two places by turns: a power cut may tear what it meets. */
	counter->value++;
	peal_write(counter->ring, counter->fd, &counter->value,
		   sizeof(counter->value), counter->value % 2 * 512, 0,
		   on_written, counter);
}

static void on_synced(struct peal_ring *ring,
		      const struct peal_completion *done)
{
	struct counter *counter = done->ctx;

	(void)ring;
	if (done->result < 0)
		return;		/* not known to be safe: not told */
	counter->told = counter->value;
	count(counter);
}

static void on_written(struct peal_ring *ring,
		       const struct peal_completion *done)
{
	struct counter *counter = done->ctx;

	if (done->result != sizeof(counter->value))
		return;
	if (forgets)
		on_synced(ring, done);
	else
		peal_datasync(ring, counter->fd, 0, on_synced, counter);
}

static void on_opened(struct peal_ring *ring,
		      const struct peal_completion *done)
{
	struct counter *counter = done->ctx;

	(void)ring;
	counter->fd = (int)done->result;
	if (counter->fd >= 0)
		count(counter);
}

/* --- the world ------------------------------------------------------------ */

static void start(struct peal_sim_node *node, void *ctx)
{
	struct counter *counter = ctx;

	(void)node;
	if (peal_ring_open(&counter->ring, NULL) < 0)
		exit(1);
	peal_open(counter->ring, PEAL_CWD, "/count", O_RDWR, 0, 0, on_opened,
		  counter);
}

static void stop(struct peal_sim_node *node, void *ctx)
{
	struct counter *counter = ctx;

	(void)node;
	peal_ring_close(counter->ring, 0);
}

/* What was told and is not there after a crash: 0, or more. */
static uint64_t lost_with(uint64_t seed)
{
	struct counter counter = { 0 };
	struct peal_sim_node *node;
	struct peal_sim *world;
	uint64_t empty[65] = { 0 }, stored[2] = { 0 };

	if (peal_sim_open(&world, seed, NULL) < 0)
		exit(1);
	node = peal_sim_node(world, "server");
	peal_sim_put_file(node, "/count", empty, sizeof(empty));
	peal_sim_program(node, start, stop, &counter);
	peal_sim_run(world, peal_sim_now(world) +
			    peal_sim_random(world, 100 * PEAL_MS));
	peal_sim_crash(node, PEAL_FOREVER);
	peal_sim_get_file(node, "/count", &stored[0], 8, 0);
	peal_sim_get_file(node, "/count", &stored[1], 8, 512);
	peal_sim_close(world);
	if (stored[1] > stored[0])
		stored[0] = stored[1];
	return counter.told > stored[0] ? counter.told - stored[0] : 0;
}

int main(int argc, char **argv)
{
	uint64_t seed, lost;

	forgets = argc > 1 && strcmp(argv[1], "forget") == 0;
	for (seed = 1; seed <= SEEDS; seed++) {
		lost = lost_with(seed);
		if (!lost)
			continue;
		printf("seed %llu: lost %llu that were told to be safe\n",
		       (unsigned long long)seed, (unsigned long long)lost);
		return 1;
	}
	printf("%d power cuts, nothing lost that was told to be safe\n", SEEDS);
	return 0;
}
