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

/* --- two rings ----------------------------------------------------------- */

/* Handles of two rings are alike. */
static inline struct peal_ring *change_ring(struct peal_ring *to)
{
	struct peal_ring *from = ring;

	forget_outcomes();
	ring = to;
	return from;
}

/* A stream from another node's ring to this one's; the client's end. */
static inline int connect_from(struct peal_ring *client, unsigned flags,
			       peal_fd *out_accepted)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons(80) };
	struct peal_ring *own;
	int listener, fd;

	listener = (int)finish(peal_socket(ring, AF_INET, SOCK_STREAM, 0, 0,
					   on_done, NULL));
	ck_result(finish(peal_bind(ring, listener, (void *)&addr, sizeof(addr),
				   0, on_done, NULL)), 0);
	ck_result(finish(peal_listen(ring, listener, 4, 0, on_done, NULL)), 0);
	addr.sin_addr.s_addr = htonl(0x0a000001);
	own = change_ring(client);
	fd = (int)finish(peal_socket(client, AF_INET, SOCK_STREAM, 0, 0,
				     on_done, NULL));
	ck_ok(fd);
	ck_result(finish(peal_connect(client, fd, (void *)&addr, sizeof(addr),
				      0, on_done, NULL)), 0);
	change_ring(own);
	*out_accepted = (peal_fd)finish(peal_accept(ring, listener, NULL, NULL,
						    flags, on_done, NULL));
	ck_ok(*out_accepted);
	return fd;
}

#endif
