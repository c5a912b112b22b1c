/* SPDX-License-Identifier: MIT */
/*
 * Registered memory on io_uring. Each ring has a table of buffers, made with
 * the first arena and empty; an arena takes a slot of it per gigabyte.
 *
 * Registering looks up and locks every page, and counts them against
 * RLIMIT_MEMLOCK each time. So an arena keeps an io_uring of its own, which
 * submits nothing and only holds the registration, and rings copy theirs from
 * it: a ring of another thread could not be copied from. Where the kernel
 * cannot copy into a table (before Linux 6.13) every ring registers for itself.
 */
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "lib/arena.h"
#include "lib/uring.h"

#define CLONE_REPLACE (1u << 1)

struct clone {
	uint32_t from_fd;
	uint32_t flags;
	uint32_t from;
	uint32_t to;
	uint32_t count;
	uint32_t pad[3];
};

static const struct iovec nothing[PEAL__SLOTS];

static int table_register(int fd, uint32_t count)
{
	struct io_uring_rsrc_register table;
	int rc;

	memset(&table, 0, sizeof table);
	table.nr = count;
	table.data = (uint64_t)(uintptr_t)nothing;
	rc = io_uring_register((unsigned)fd, PEAL__REGISTER_BUFFERS2, &table,
			       sizeof table);
	return rc < 0 ? rc : 0;
}

/* Fills slots first, first + 1, ... */
static int table_update(int fd, uint32_t first, const struct iovec *parts,
			uint32_t count)
{
	struct io_uring_rsrc_update2 update;
	int rc;

	memset(&update, 0, sizeof update);
	update.offset = first;
	update.data = (uint64_t)(uintptr_t)parts;
	update.nr = count;
	rc = io_uring_register((unsigned)fd, PEAL__REGISTER_BUFFERS_UPDATE,
			       &update, sizeof update);
	return rc < 0 ? rc : rc == (int)count ? 0 : -EIO;
}

static void table_clear(int fd, uint32_t first, uint32_t count)
{
	table_update(fd, first, nothing, count);
}

/* All parts or none; one call per part, for an array of a thousand has no
 * place on a stack. */
static int table_fill(int fd, uint32_t first, const struct peal_arena *arena)
{
	uint32_t parts = peal__arena_parts(arena), i;
	int rc = 0;

	for (i = 0; i < parts && rc == 0; i++) {
		uint64_t at = i * PEAL__SLOT_BYTES;
		uint64_t left = arena->region.bytes - at;
		struct iovec part = {
			arena->region.base + at,
			left < PEAL__SLOT_BYTES ? left : PEAL__SLOT_BYTES
		};

		rc = table_update(fd, first + i, &part, 1);
	}
	if (rc < 0 && i > 1)
		table_clear(fd, first, i - 1);
	return rc;
}

static int fill(int fd, uint32_t first, const struct peal_arena *arena)
{
	int rc = table_fill(fd, first, arena);

	if (rc == -ENOMEM && peal__memlock_raise())
		rc = table_fill(fd, first, arena);
	return rc;
}

/* --- the keeper ---------------------------------------------------------- */

static int copy(int to_fd, uint32_t to, const struct peal_arena *arena)
{
	struct clone clone;
	int rc;

	memset(&clone, 0, sizeof clone);
	clone.from_fd = (uint32_t)arena->keeper;
	clone.flags = CLONE_REPLACE;
	clone.to = to;
	clone.count = peal__arena_parts(arena);
	rc = io_uring_register((unsigned)to_fd, PEAL__REGISTER_CLONE_BUFFERS,
			       &clone, 1);
	return rc < 0 ? rc : 0;
}

static void keeper_close(struct peal_arena *arena)
{
	close(arena->keeper);
	arena->keeper_close = NULL;
}

/* A keeper that holds nothing yet, if a ring can copy from it: which empty
 * slots show as well as full ones. */
static int keeper_try(struct peal_arena *arena, int ring_fd, uint32_t first)
{
	struct io_uring_params params;
	int rc;

	memset(&params, 0, sizeof params);
	arena->keeper = io_uring_setup(1, &params);
	if (arena->keeper < 0)
		return arena->keeper;
	arena->keeper_close = keeper_close;
	rc = table_register(arena->keeper, peal__arena_parts(arena));
	if (rc == 0)
		rc = copy(ring_fd, first, arena);
	if (rc < 0)
		keeper_close(arena);
	return rc;
}

/* 0: there is a keeper that has the arena. */
static int keeper_open(struct peal_arena *arena, int ring_fd, uint32_t first)
{
	int rc;

	if (arena->keeper_close)
		return 0;
	rc = keeper_try(arena, ring_fd, first);
	if (rc < 0) {
		arena->sharing = SHARING_NOT;
		arena->sharing_error = rc;
		return rc;
	}
	rc = fill(arena->keeper, 0, arena);
	if (rc < 0) {
		keeper_close(arena);
		return rc;
	}
	arena->sharing = SHARING_COPIES;
	arena->pins = 1;
	return 0;
}

/* --- the engine's calls -------------------------------------------------- */

static void refused(const struct peal_arena *arena, int error)
{
	if (error == -ENOMEM)
		peal__memory_reason(
			"registering the arena locks %llu KiB, and "
			"RLIMIT_MEMLOCK allows this user %llu KiB in all, "
			"rings and other arenas included: raise it (ulimit "
			"-l, LimitMEMLOCK=), ask for less, or allow plain "
			"memory (PEAL_ARENA_PLAIN_OK)",
			(unsigned long long)arena->region.bytes >> 10,
			peal__limit(RLIMIT_MEMLOCK) / 1024);
	else
		peal__memory_reason("io_uring_register() of %llu KiB answers "
				    "%s",
				    (unsigned long long)arena->region.bytes >>
					    10, peal_strerror(error));
}

static int table_of(struct peal__uring *uring)
{
	int rc;

	if (uring->has_buffers)
		return 0;
	rc = table_register(uring->ring.ring_fd, PEAL__SLOTS);
	if (rc == -EINVAL) {
		peal__memory_reason("this kernel's io_uring has no tables of "
				    "buffers that can change: Linux 5.13 has");
		return -EOPNOTSUPP;
	}
	if (rc == 0)
		uring->has_buffers = 1;
	return rc;
}

static int add(struct peal_ring *ring, struct peal_arena *arena,
	       uint32_t first)
{
	struct peal__uring *uring = ring->engine_state;
	int fd = uring->ring.ring_fd, rc;

	if (ring->disable.features & 1u << FEATURE_CLONE_BUFFERS &&
	    arena->sharing == SHARING_UNKNOWN) {
		arena->sharing = SHARING_NOT;
		arena->sharing_error = -ECANCELED;
	}
	if (arena->sharing != SHARING_NOT) {
		rc = keeper_open(arena, fd, first);
		if (rc == 0)
			rc = copy(fd, first, arena);
		if (rc == 0 || arena->sharing != SHARING_NOT)
			return rc;
	}
	rc = fill(fd, first, arena);
	if (rc == 0)
		arena->pins++;
	return rc;
}

int peal__uring_memory_add(struct peal_ring *ring, struct peal_arena *arena,
			   uint32_t first)
{
	int rc = table_of(ring->engine_state);

	if (rc == -EOPNOTSUPP)
		return rc;
	if (rc == 0) {
		pthread_mutex_lock(&arena->lock);
		rc = add(ring, arena, first);
		pthread_mutex_unlock(&arena->lock);
	}
	if (rc < 0)
		refused(arena, rc);
	return rc;
}

/* No op in flight uses the slots. */
void peal__uring_memory_remove(struct peal_ring *ring,
			       struct peal_arena *arena, uint32_t first)
{
	struct peal__uring *uring = ring->engine_state;

	table_clear(uring->ring.ring_fd, first, peal__arena_parts(arena));
	pthread_mutex_lock(&arena->lock);
	if (arena->sharing == SHARING_NOT)
		arena->pins--;
	pthread_mutex_unlock(&arena->lock);
}
