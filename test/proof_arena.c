/* SPDX-License-Identifier: MIT */
/*
 * Arenas as a server has them: larger than one registered buffer of the
 * kernel's may be, and shared by the rings of several threads.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "test/proof.h"

#define GIB	(UINT64_C(1) << 30)
#define BLOCK	4096u

static struct peal_arena *arena;
static int file;

static int open_arena(uint64_t bytes)
{
	struct peal_arena_options options = PEAL_ARENA_OPTIONS;

	options.bytes = bytes;
	return peal_arena_open(&arena, &options);
}

static uint64_t available(void)
{
	FILE *info = fopen("/proc/meminfo", "r");
	unsigned long long kib = 0;
	char line[128];

	while (info && fgets(line, sizeof(line), info))
		if (sscanf(line, "MemAvailable: %llu", &kib) == 1)
			break;
	if (info)
		fclose(info);
	return kib << 10;
}

static struct peal_arena_stats arena_stats(void)
{
	struct peal_arena_stats stats = { .size = sizeof(stats) };

	peal_arena_stats(arena, &stats);
	return stats;
}

static void make_pattern(void)
{
	char data[2 * BLOCK];

	fill_pattern(data, sizeof(data), 3);
	file = make_file("file", data, sizeof(data));
}

/* Kilobytes of this process that are pinned, by the kernel's own count. */
static unsigned long pinned(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	unsigned long kib = 0;
	char line[128];

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmPin: %lu", &kib) == 1)
			break;
	if (status)
		fclose(status);
	return kib;
}

#define REGISTERED(rc)							\
	do {								\
		int rc_ = (rc);						\
									\
		ck_assert_msg(rc_ >= 0, "%s", peal_memory_reason());	\
		if (rc_ == 1)						\
			SKIP("%s", peal_memory_reason());		\
	} while (0)

TEST(arena_of_more_than_a_gigabyte_is_split_and_every_part_is_registered)
{
	struct peal_arena_stats stats;
	char *base;
	const unsigned fixed = opcode_named("read_fixed");
	const unsigned plain = opcode_named("read");

	NEEDS_LOCKED(GIB + (8 << 20));
	if (available() < 3 * GIB)
		SKIP("it takes 1 GiB of memory");
	make_pattern();
	ck_assert_int_eq(open_arena(GIB + (4 << 20)), 0);
	REGISTERED(peal_arena_register(ring, arena, PEAL_FIXED));
	stats = arena_stats();
	base = (char *)(uintptr_t)stats.base;
	ck_result(read_at(file, base + GIB - BLOCK, BLOCK, 0), BLOCK);
	ck_result(read_at(file, base + GIB, BLOCK, BLOCK), BLOCK);
	ck_assert(has_pattern(base + GIB - BLOCK, 2 * BLOCK, 3));
	ck_assert_uint_eq(proof_stats(ring).by_op[fixed], 2);
	/* Across the boundary there is no such form. */
	memset(base + GIB - BLOCK, 0, 2 * BLOCK);
	ck_result(read_at(file, base + GIB - BLOCK, 2 * BLOCK, 0), 2 * BLOCK);
	ck_assert(has_pattern(base + GIB - BLOCK, 2 * BLOCK, 3));
	ck_assert_uint_eq(proof_stats(ring).by_op[fixed], 2);
	ck_assert_uint_eq(proof_stats(ring).by_op[plain], 1);
	ck_result(peal_read(ring, file, base + GIB - 1, 2, 0, PEAL_FIXED,
			    on_done, NULL), -EFAULT);
	ck_result(read_at(file, base + stats.bytes - BLOCK, BLOCK, 0), BLOCK);
	ck_assert_int_eq(peal_arena_unregister(ring, arena), 0);
	ck_assert_int_eq(peal_arena_close(arena), 0);
}

/* --- threads ----------------------------------------------------------- */

#define THREADS 3
#define READS	2000

static _Atomic unsigned long wrong, fixed_reads;
static pthread_barrier_t barrier;

static void on_read(struct peal_ring *where,
		    const struct peal_completion *done)
{
	(void)where;
	wrong += done->result != BLOCK ||
		 !has_pattern(done->ctx, BLOCK, 3);
	peal_arena_free(arena, done->ctx);
}

static void *reader(void *unused)
{
	struct peal_ring *own;
	unsigned i;

	(void)unused;
	wrong += peal_ring_open(&own, NULL) != 0 ||
		 peal_arena_register(own, arena, PEAL_FIXED) != 0;
	pthread_barrier_wait(&barrier);		/* all have it */
	pthread_barrier_wait(&barrier);		/* it was looked at */
	for (i = 0; i < READS; i++) {
		char *buf = peal_arena_alloc(arena, BLOCK, BLOCK);

		if (buf && peal_read(own, file, buf, BLOCK, 0, 0, on_read,
				     buf) > 0)
			peal_ring_turn(own, i % 8 ? 0 : PEAL_FOREVER);
		else
			wrong++;
	}
	peal_ring_run(own);
	fixed_reads += proof_stats(own).by_op[opcode_named("read_fixed")];
	wrong += peal_ring_close(own, PEAL_FOREVER) != 0;
	return NULL;
}

TEST(rings_of_several_threads_share_an_arena_that_is_locked_as_it_says)
{
	pthread_t threads[THREADS];
	struct peal_arena_stats stats;
	unsigned long before = pinned();
	unsigned i;

	NEEDS_LOCKED(64 << 20);
	make_pattern();
	ck_assert_int_eq(open_arena(8 << 20), 0);
	REGISTERED(peal_arena_register(ring, arena, 0));
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, reader,
						NULL), 0);
	pthread_barrier_wait(&barrier);
	stats = arena_stats();
	ck_assert_uint_eq(stats.rings, THREADS + 1);
	ck_assert_uint_eq((pinned() - before) << 10, stats.locked);
	pthread_barrier_wait(&barrier);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(fixed_reads, THREADS * READS);
	ck_assert_uint_eq(arena_stats().allocations, 0);
	ck_assert_uint_eq(arena_stats().rings, 1);
	ck_assert_int_eq(peal_arena_unregister(ring, arena), 0);
	ck_assert_int_eq(peal_arena_close(arena), 0);
	pthread_barrier_destroy(&barrier);
}

SUITE("arena")
