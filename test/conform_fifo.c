/* SPDX-License-Identifier: MIT */
/* FIFOs, pipes with a name: an open waits for the other end; and devices that
 * every machine has. */
#include "test/harness.h"

static char *fifo_path;

static void make_fifo(void)
{
	fifo_path = strdup(path_in_dir("fifo"));
	ck_assert_int_eq(mkfifo(fifo_path, 0600), 0);
}

/* Without PEAL_ASYNC io_uring's first try does not wait. */
static peal_op start_open(int flags)
{
	return peal_open(ring, PEAL_CWD, fifo_path, flags, 0, PEAL_ASYNC,
			 on_done, NULL);
}

/* Both ends, by opens that wait for each other. */
static void open_both(int fds[2])
{
	peal_op reads = start_open(O_RDONLY), writes = start_open(O_WRONLY);

	fds[0] = keep_fd((int)finish(reads));
	fds[1] = keep_fd((int)finish(writes));
}

TEST(opens_of_both_ends_wait_for_each_other)
{
	int fds[2];
	char buf[8];

	make_fifo();
	open_both(fds);
	ck_result(finish(peal_write(ring, fds[1], "hello", 5, PEAL_CURRENT, 0,
				    on_done, NULL)), 5);
	ck_result(finish(peal_read(ring, fds[0], buf, 8, PEAL_CURRENT, 0,
				   on_done, NULL)), 5);
	ck_assert_mem_eq(buf, "hello", 5);
	ck_result(write_at(fds[0], "x", 1, PEAL_CURRENT), -EBADF);
}

TEST(open_of_one_end_alone_goes_on_waiting)
{
	peal_op reads;
	int fd, i;

	make_fifo();
	reads = start_open(O_RDONLY);
	for (i = 0; i < 50; i++)
		peal_ring_turn(ring, 100 * PEAL_US);
	ck_assert(!finished(reads));
	fd = keep_fd(open(fifo_path, O_WRONLY | O_CLOEXEC));
	ck_ok(finish(reads));
	keep_fd((int)outcome(reads)->result);
	(void)fd;
}

TEST(open_to_write_without_a_reader_is_enxio_when_it_may_not_wait)
{
	make_fifo();
	ck_result(finish(start_open(O_WRONLY | O_NONBLOCK)), -ENXIO);
}

TEST(open_to_read_without_a_writer_succeeds_when_it_may_not_wait)
{
	char buf[1];
	int fd;

	make_fifo();
	fd = keep_fd((int)finish(start_open(O_RDONLY | O_NONBLOCK)));
	ck_result(finish(peal_read(ring, fd, buf, 1, PEAL_CURRENT, 0, on_done,
				   NULL)), 0);
}

TEST(fifo_ends_with_its_writer_and_goes_on_with_the_next)
{
	int fds[2], next;
	char buf[8];
	peal_op op;

	make_fifo();
	open_both(fds);
	close(fds[1]);
	ck_result(finish(peal_read(ring, fds[0], buf, 8, PEAL_CURRENT, 0,
				   on_done, NULL)), 0);
	next = keep_fd((int)finish(start_open(O_WRONLY)));
	op = peal_read(ring, fds[0], buf, 8, PEAL_CURRENT, 0, on_done, NULL);
	settle();
	ck_assert(!finished(op));	/* it is not at its end any more */
	ck_result(finish(peal_write(ring, next, "next", 4, PEAL_CURRENT, 0,
				    on_done, NULL)), 4);
	ck_result(finish(op), 4);
}

TEST(what_one_reader_leaves_is_the_next_ones)
{
	int fds[2], next;
	char buf[8];

	make_fifo();
	open_both(fds);
	ck_assert_int_eq(write(fds[1], "left", 4), 4);
	close(fds[0]);
	ck_result(finish(peal_write(ring, fds[1], "x", 1, PEAL_CURRENT, 0,
				    on_done, NULL)), -EPIPE);
	next = keep_fd((int)finish(start_open(O_RDONLY)));
	ck_result(finish(peal_read(ring, next, buf, 8, PEAL_CURRENT, 0,
				   on_done, NULL)), 4);
	ck_assert_mem_eq(buf, "left", 4);
}

TEST(fifo_says_what_it_is)
{
	struct peal_stat stat;

	make_fifo();
	ck_result(finish(peal_stat(ring, PEAL_CWD, fifo_path, 0,
				   PEAL_STAT_BASIC, &stat, 0, on_done, NULL)),
		  0);
	ck_assert(S_ISFIFO(stat.mode));
}

/* --- devices ------------------------------------------------------------- */

static int open_device(const char *path, int flags)
{
	int64_t fd = finish(peal_open(ring, PEAL_CWD, path, flags, 0, 0,
				      on_done, NULL));

	ck_ok(fd);
	return keep_fd((int)fd);
}

TEST(null_device_takes_all_and_has_nothing)
{
	int fd = open_device("/dev/null", O_RDWR);
	char buf[8];

	ck_result(write_at(fd, "12345", 5, 0), 5);
	ck_result(read_at(fd, buf, 8, 0), 0);
}

TEST(zero_device_has_zeros_without_end)
{
	static const char zeros[64];
	int fd = open_device("/dev/zero", O_RDWR);
	char buf[64];

	memset(buf, 'x', sizeof(buf));
	ck_result(read_at(fd, buf, sizeof(buf), 1 << 20), sizeof(buf));
	ck_assert_mem_eq(buf, zeros, sizeof(buf));
	ck_result(write_at(fd, "12345", 5, 0), 5);
}

TEST(full_device_has_zeros_and_no_room)
{
	int fd = open_device("/dev/full", O_RDWR);
	char byte = 'x';

	ck_result(read_at(fd, &byte, 1, 0), 1);
	ck_assert_int_eq(byte, 0);
	ck_result(write_at(fd, "12345", 5, 0), -ENOSPC);
}

TEST(random_device_has_bytes_of_all_kinds)
{
	int fd = open_device("/dev/urandom", O_RDONLY);
	unsigned char buf[4096];
	unsigned seen[256] = { 0 }, kinds = 0, i;

	ck_result(read_at(fd, buf, sizeof(buf), 0), sizeof(buf));
	for (i = 0; i < sizeof(buf); i++)
		kinds += seen[buf[i]]++ == 0;
	ck_assert_uint_gt(kinds, 250);
}

TEST(device_says_what_it_is)
{
	struct peal_stat stat;

	ck_result(finish(peal_stat(ring, PEAL_CWD, "/dev/full", 0,
				   PEAL_STAT_BASIC, &stat, 0, on_done, NULL)),
		  0);
	ck_assert(S_ISCHR(stat.mode));
	ck_assert_uint_eq(stat.rdev_major, 1);
	ck_assert_uint_eq(stat.rdev_minor, 7);
}

SUITE("fifo")
