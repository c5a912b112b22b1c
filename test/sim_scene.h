/* SPDX-License-Identifier: MIT */
/* What the tests of the simulated machine share: a world with one node and a
 * ring on it, and what is done there. */
#ifndef PEAL_TEST_SIM_SCENE_H
#define PEAL_TEST_SIM_SCENE_H

#include "test/harness.h"
#include "peal/sim.h"

static struct peal_sim *world;
static struct peal_sim_node *node;

static inline struct peal_ring *ring_on(struct peal_sim_node *where)
{
	struct peal_ring_options options = harness_options();

	options.sim_node = where;
	options.max_ops = 256;
	options.direct_fds = 8;
	return open_ring(&options);
}

static inline void begin(uint64_t seed)
{
	forget_outcomes();
	ck_result(peal_sim_open(&world, seed, NULL), 0);
	node = peal_sim_node(world, "a");
	ring = ring_on(node);
}

/* What is left open goes with the world. */
static inline void end(void)
{
	if (ring)
		close_ring(ring);
	ring = NULL;
	peal_sim_close(world);
}

/* The power goes and comes back; there is no ring then. */
static inline void crash(void)
{
	peal_sim_crash(node, PEAL_FOREVER);
	close_ring(ring);
	ring = NULL;
	peal_sim_boot_now(node);
}

static inline int open_file(const char *path, int flags)
{
	int64_t fd = finish(peal_open(ring, PEAL_CWD, path, flags, 0644, 0,
				      on_done, NULL));

	ck_ok(fd);
	return (int)fd;
}

static inline int64_t sync_file(int fd)
{
	return finish(peal_sync(ring, fd, 0, on_done, NULL));
}

static inline char byte_at(const char *path, uint64_t offset)
{
	char c = '?';

	peal_sim_get_file(node, path, &c, 1, offset);
	return c;
}

static inline int exists(const char *path)
{
	char c;

	return peal_sim_get_file(node, path, &c, 1, 0) >= 0;
}

#endif
