/* SPDX-License-Identifier: MIT */
/* Reads and writes of several buffers that lie in an arena: their form. */
#include "lib/start.h"
#include "test/harness.h"

#define BLOCK 4096u
#define PARTS 8u

static struct peal_arena *arena;
static char *parts[PARTS];	/* a block each, in the arena */
static struct iovec iov[PARTS];
static int file;		/* opened with O_DIRECT, PARTS blocks */

/* 0: the test cannot be made here. */
static int prepare(const char *disable, unsigned flags)
{
	struct peal_arena_options options = PEAL_ARENA_OPTIONS;
	struct peal_ring_options with = harness_options();
	char data[PARTS * BLOCK];
	unsigned i;

	with.engine = "uring";
	with.disable = disable;
	reopen_ring(&with);
	forget_outcomes();
	options.bytes = 4 * PARTS * BLOCK;
	options.flags = PEAL_ARENA_PLAIN_OK | PEAL_ARENA_SLABS;
	ck_assert_int_eq(peal_arena_open(&arena, &options), 0);
	ck_assert_int_ge(peal_arena_register(ring, arena, flags), 0);
	for (i = 0; i < PARTS; i++) {
		parts[i] = peal_arena_alloc(arena, BLOCK, BLOCK);
		iov[i] = (struct iovec){ parts[i], BLOCK };
	}
	fill_pattern(data, sizeof(data), 7);
	make_file("direct", data, sizeof(data));
	file = open_direct("direct", O_RDWR);
	return file >= 0;
}

static void finish_test(void)
{
	ck_assert_int_eq(peal_arena_unregister(ring, arena), 0);
	ck_assert_int_eq(peal_arena_close(arena), 0);
}

static int has_it(void)
{
	return peal__can(ring, PEAL__OP_READV_FIXED) &&
	       ring->memory && peal__memory_slot(ring, peal__addr(parts[0]),
						 1) != UINT32_MAX;
}

#define PREPARE(disable, flags)						\
	do {								\
		if (!prepare(disable, flags))				\
			SKIP("no O_DIRECT in this file system");	\
		if (!has_it()) {					\
			finish_test();					\
			SKIP("no vectors in registered memory here");	\
		}							\
	} while (0)

static int64_t read_parts(int fd, unsigned count)
{
	return finish(peal_readv(ring, fd, iov, count, 0, 0, 0, on_done,
				 NULL));
}

/* So many took the registered form, and so many the plain one. */
static void were(unsigned fixed, unsigned plain)
{
	ck_assert_uint_eq(ring->stats.by_op[PEAL__OP_READV_FIXED] +
			  ring->stats.by_op[PEAL__OP_WRITEV_FIXED], fixed);
	ck_assert_uint_eq(ring->stats.by_op[PEAL__OP_READV] +
			  ring->stats.by_op[PEAL__OP_WRITEV], plain);
}

static void is_read(void)
{
	char all[PARTS * BLOCK];
	unsigned i;

	for (i = 0; i < PARTS; i++)
		memcpy(all + i * BLOCK, parts[i], BLOCK);
	ck_assert(has_pattern(all, sizeof(all), 7));
}

TEST(vector_in_an_arena_takes_the_registered_form)
{
	PREPARE(NULL, 0);
	ck_result(read_parts(file, PARTS), PARTS * BLOCK);
	is_read();
	were(1, 0);
	fill_pattern(parts[1], BLOCK, 9);
	ck_result(finish(peal_writev(ring, file, &iov[1], 2, 0, RWF_DSYNC, 0,
				     on_done, NULL)), 2 * BLOCK);
	were(2, 0);
	ck_result(finish(peal_readv(ring, file, &iov[3], 1, 0, 0, 0, on_done,
				    NULL)), BLOCK);
	ck_assert_mem_eq(parts[3], parts[1], BLOCK);
	were(3, 0);
	finish_test();
}

TEST(vector_ends_where_the_file_does)
{
	PREPARE(NULL, 0);
	ck_result(finish(peal_readv(ring, file, iov, PARTS,
				    (PARTS - 1) * BLOCK, 0, 0, on_done, NULL)),
		  BLOCK);
	ck_result(finish(peal_readv(ring, file, iov, PARTS, PARTS * BLOCK, 0, 0,
				    on_done, NULL)), 0);
	were(2, 0);
	finish_test();
}

TEST(one_part_elsewhere_makes_it_plain)
{
	PREPARE(NULL, 0);
	iov[PARTS - 1].iov_base = aligned_buffer(BLOCK);
	ck_result(read_parts(file, PARTS), PARTS * BLOCK);
	were(0, 1);
	iov[0].iov_base = iov[PARTS - 1].iov_base;
	iov[PARTS - 1].iov_base = parts[PARTS - 1];
	ck_result(read_parts(file, PARTS), PARTS * BLOCK);
	were(0, 2);
	finish_test();
}

TEST(part_of_nothing_makes_it_plain)
{
	PREPARE(NULL, 0);
	iov[1].iov_len = 0;
	ck_result(read_parts(file, 3), 2 * BLOCK);
	ck_result(read_parts(file, 0), 0);
	were(0, 2);
	finish_test();
}

TEST(buffered_file_is_read_in_the_plain_form)
{
	int fd;

	PREPARE(NULL, 0);
	fd = keep_fd(open(path_in_dir("direct"), O_RDONLY | O_CLOEXEC));
	ck_result(read_parts(fd, PARTS), PARTS * BLOCK);
	were(0, 1);
	finish_test();
}

TEST(arena_says_which_form)
{
	PREPARE(NULL, PEAL_PLAIN);
	ck_result(read_parts(file, PARTS), PARTS * BLOCK);
	were(0, 1);
	finish_test();
	PREPARE(NULL, PEAL_FIXED);
	ck_result(read_parts(keep_fd(open(path_in_dir("direct"),
					  O_RDONLY | O_CLOEXEC)), PARTS),
		  PARTS * BLOCK);
	were(1, 0);
	finish_test();
}

TEST(form_can_be_switched_off)
{
	if (!prepare("op:readv_fixed", 0))
		SKIP("no O_DIRECT in this file system");
	ck_result(read_parts(file, PARTS), PARTS * BLOCK);
	is_read();
	were(0, 1);
	finish_test();
}

SUITE("vectors")
