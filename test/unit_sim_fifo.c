/* SPDX-License-Identifier: MIT */
/* FIFOs and devices of a simulated node: what conform_fifo.c cannot see. */
#include "test/sim_scene.h"

static peal_op start_open(int flags, unsigned how)
{
	return peal_open(ring, PEAL_CWD, "/fifo", flags, 0, how, on_done,
			 NULL);
}

static void begin_with_fifo(uint64_t seed)
{
	begin(seed);
	ck_result(peal_sim_make_fifo(node, "/fifo"), 0);
}

BARE_TEST(open_of_a_fifo_waits_until_it_is_cancelled)
{
	peal_op op;

	begin_with_fifo(1);
	op = start_open(O_WRONLY, PEAL_ASYNC);
	ck_result(peal_sim_run(world, 9 * PEAL_S), 0);
	ck_assert(!finished(op));
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
	ck_result(finish(start_open(O_WRONLY | O_NONBLOCK, 0)), -ENXIO);
	ck_assert_uint_eq(peal_sim_fds(node), 0);
	end();
}

/* As on io_uring or as on a pool: a program has to be ready for both. */
BARE_TEST(open_of_a_fifo_that_need_not_wait_waits_in_some_seeds)
{
	unsigned waited = 0, refused = 0;
	uint64_t seed;

	for (seed = 1; seed <= 40; seed++) {
		peal_op op;

		begin_with_fifo(seed);
		op = start_open(O_WRONLY, 0);
		peal_sim_run(world, 9 * PEAL_S);
		waited += !finished(op);
		refused += finished(op) && outcome(op)->result == -ENXIO;
		end();
	}
	ck_assert_uint_gt(waited, 5);
	ck_assert_uint_gt(refused, 5);
	ck_assert_uint_eq(waited + refused, 40);
}

BARE_TEST(fifo_is_there_after_a_crash_and_empty)
{
	peal_op reads, writes;
	int fd;

	begin_with_fifo(1);
	reads = start_open(O_RDONLY, PEAL_ASYNC);
	writes = start_open(O_WRONLY, PEAL_ASYNC);
	fd = (int)finish(writes);
	ck_ok(finish(reads));
	ck_result(finish(peal_write(ring, fd, "lost", 4, PEAL_CURRENT, 0,
				    on_done, NULL)), 4);
	crash();
	forget_outcomes();
	ring = ring_on(node);
	ck_result(finish(start_open(O_WRONLY | O_NONBLOCK, 0)), -ENXIO);
	fd = (int)finish(start_open(O_RDONLY | O_NONBLOCK, 0));
	ck_result(finish(peal_read(ring, fd, &(char){ 0 }, 1, PEAL_CURRENT, 0,
				   on_done, NULL)), 0);
	end();
}

BARE_TEST(fifo_is_not_opened_for_both)
{
	begin_with_fifo(1);
	ck_result(finish(start_open(O_RDWR, 0)), -EOPNOTSUPP);
	end();
}

BARE_TEST(random_device_draws_from_the_seed)
{
	unsigned char bytes[3][16];
	int i, fd;

	for (i = 0; i < 3; i++) {
		begin(i == 2 ? 8 : 7);
		fd = open_file("/dev/urandom", O_RDONLY);
		ck_result(read_at(fd, bytes[i], 16, 0), 16);
		end();
	}
	ck_assert_mem_eq(bytes[0], bytes[1], 16);
	ck_assert_mem_ne(bytes[0], bytes[2], 16);
}

BARE_TEST(device_is_no_place_for_a_file)
{
	char byte;

	begin(1);
	ck_result(peal_sim_put_file(node, "/dev/null", "x", 1), -EINVAL);
	ck_result(peal_sim_get_file(node, "/dev/null", &byte, 1, 0), -EISDIR);
	end();
}

SUITE("sim_fifo")
