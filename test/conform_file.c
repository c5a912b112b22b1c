/* SPDX-License-Identifier: MIT */
/* Reading and writing: what arrives, where, and what is said when it cannot. */
#include "test/harness.h"

static char text[16] = "0123456789abcdef";

/* --- read, write --------------------------------------------------------- */

TEST(read_gives_what_the_file_holds)
{
	int fd = make_file("f", text, 16);
	char buf[16];

	ck_result(read_at(fd, buf, 16, 0), 16);
	ck_assert_mem_eq(buf, text, 16);
}

TEST(read_at_an_offset_starts_there)
{
	int fd = make_file("f", text, 16);
	char buf[4];

	ck_result(read_at(fd, buf, 4, 10), 4);
	ck_assert_mem_eq(buf, "abcd", 4);
}

TEST(read_across_the_end_is_short)
{
	int fd = make_file("f", text, 16);
	char buf[16];

	ck_result(read_at(fd, buf, 16, 12), 4);
	ck_assert_mem_eq(buf, "cdef", 4);
}

TEST(read_at_the_end_finishes_with_zero)
{
	int fd = make_file("f", text, 16);
	char buf[4];

	ck_result(read_at(fd, buf, 4, 16), 0);
}

TEST(read_past_the_end_finishes_with_zero)
{
	int fd = make_file("f", text, 16);
	char buf[4];

	ck_result(read_at(fd, buf, 4, UINT64_C(1) << 40), 0);
}

TEST(read_of_nothing_finishes_with_zero)
{
	int fd = make_file("f", text, 16);

	ck_result(read_at(fd, text, 0, 0), 0);
}

TEST(read_writes_no_byte_past_its_length)
{
	int fd = make_file("f", text, 16);
	char buf[8] = "........";

	ck_result(read_at(fd, buf, 3, 0), 3);
	ck_assert_mem_eq(buf, "012.....", 8);
}

TEST(read_from_a_closed_fd_is_ebadf)
{
	char buf[4];

	ck_result(finish_or_refused(peal_read(ring, closed_fd(), buf, 4, 0, 0,
					      on_done, NULL)), -EBADF);
}

TEST(read_from_fd_minus_one_is_ebadf)
{
	char buf[4];

	ck_result(finish_or_refused(peal_read(ring, -1, buf, 4, 0, 0, on_done,
					      NULL)), -EBADF);
}

TEST(read_from_a_write_only_file_is_ebadf)
{
	int fd = keep_fd(open(path_in_dir("w"), O_WRONLY | O_CREAT, 0644));
	char buf[4];

	ck_result(read_at(fd, buf, 4, 0), -EBADF);
}

TEST(read_of_a_directory_is_eisdir)
{
	int fd = keep_fd(open(dir(), O_RDONLY | O_DIRECTORY));
	char buf[4];

	ck_result(read_at(fd, buf, 4, 0), -EISDIR);
}

TEST(read_into_unmapped_memory_is_efault)
{
	int fd = make_file("f", text, 16);

	ck_result(read_at(fd, (void *)16, 16, 0), -EFAULT);
}

TEST(read_with_an_unknown_flag_is_refused)
{
	int fd = make_file("f", text, 16);
	char buf[4];

	ck_result(peal_read(ring, fd, buf, 4, 0, 1u << 30, on_done, NULL),
		  -EINVAL);
	ck_result(peal_write(ring, fd, buf, 4, 0, PEAL_KEEP_SIZE, on_done,
			     NULL), -EINVAL);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

TEST(read_by_a_kernel_worker_gives_the_same)
{
	int fd = make_file("f", text, 16);
	char buf[16];

	ck_result(finish(peal_read(ring, fd, buf, 16, 0, PEAL_ASYNC, on_done,
				   NULL)), 16);
	ck_assert_mem_eq(buf, text, 16);
}

TEST(file_position_moves_only_with_peal_current)
{
	int fd = make_file("f", text, 16);
	char buf[4];

	ck_result(read_at(fd, buf, 4, 8), 4);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 0);
	ck_result(read_at(fd, buf, 4, PEAL_CURRENT), 4);
	ck_assert_mem_eq(buf, "0123", 4);
	ck_result(read_at(fd, buf, 4, PEAL_CURRENT), 4);
	ck_assert_mem_eq(buf, "4567", 4);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 8);
}

TEST(write_stores_what_it_was_given)
{
	int fd = make_file("f", "", 0);
	char buf[16];

	ck_result(write_at(fd, text, 16, 0), 16);
	ck_assert_int_eq(pread(fd, buf, 16, 0), 16);
	ck_assert_mem_eq(buf, text, 16);
}

TEST(write_inside_a_file_leaves_the_rest)
{
	int fd = make_file("f", text, 16);
	char buf[16];

	ck_result(write_at(fd, "ZZ", 2, 4), 2);
	ck_assert_int_eq(pread(fd, buf, 16, 0), 16);
	ck_assert_mem_eq(buf, "0123ZZ6789abcdef", 16);
}

TEST(write_past_the_end_leaves_zeroes_between)
{
	int fd = make_file("f", "x", 1);
	char buf[8];

	ck_result(write_at(fd, "y", 1, 7), 1);
	ck_assert_int_eq(pread(fd, buf, 8, 0), 8);
	ck_assert_mem_eq(buf, "x\0\0\0\0\0\0y", 8);
}

TEST(write_of_nothing_finishes_with_zero)
{
	int fd = make_file("f", text, 16);

	ck_result(write_at(fd, text, 0, 100), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 16);
}

TEST(write_beyond_four_gib_lands_there)
{
	int fd = make_file("f", "", 0);
	uint64_t offset = (UINT64_C(5) << 30) + 123;
	char buf[16];

	ck_result(write_at(fd, text, 16, offset), 16);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), (off_t)offset + 16);
	ck_result(read_at(fd, buf, 16, offset), 16);
	ck_assert_mem_eq(buf, text, 16);
	ck_result(read_at(fd, buf, 1, 123), 1);
	ck_assert_int_eq(buf[0], 0);
}

TEST(write_to_a_read_only_file_is_ebadf)
{
	int fd;

	make_file("f", text, 16);
	fd = keep_fd(open(path_in_dir("f"), O_RDONLY));
	ck_result(write_at(fd, text, 16, 0), -EBADF);
}

TEST(write_to_a_full_device_is_enospc)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		SKIP("/dev/full: %s", strerror(errno));
	keep_fd(fd);
	ck_result(write_at(fd, text, 16, 0), -ENOSPC);
}

TEST(write_with_o_append_goes_to_the_end)
{
	int fd;
	char buf[18];

	make_file("f", text, 16);
	fd = keep_fd(open(path_in_dir("f"), O_RDWR | O_APPEND));
	ck_result(write_at(fd, "!", 1, 0), 1);
	ck_result(write_at(fd, "?", 1, PEAL_CURRENT), 1);
	ck_result(read_at(fd, buf, 18, 0), 18);
	ck_assert_mem_eq(buf, "0123456789abcdef!?", 18);
}

TEST(many_writes_at_once_land_each_at_its_offset)
{
	int fd = make_file("f", "", 0);
	static char out[256][512], in[256 * 512];
	peal_op ops[256];
	unsigned at;

	for (at = 0; at < 256; at++) {
		fill_pattern(out[at], 512, at * 64);
		ops[at] = peal_write(ring, fd, out[at], 512, at * 512, 0,
				     on_done, NULL);
	}
	for (at = 0; at < 256; at++)
		ck_result(finish(ops[at]), 512);
	ck_result(read_at(fd, in, sizeof(in), 0), sizeof(in));
	ck_assert(has_pattern(in, sizeof(in), 0));
}

TEST(large_read_comes_whole)
{
	size_t len = 8 << 20;
	char *out = aligned_buffer(len), *in = aligned_buffer(len);
	int fd;

	fill_pattern(out, len, 3);
	fd = make_file("f", out, len);
	ck_result(finish(peal_read_full(ring, fd, in, len, 0, 0, on_done,
					NULL)), (int64_t)len);
	ck_assert_mem_eq(in, out, len);
}

/* --- O_DIRECT ------------------------------------------------------------ */

TEST(direct_write_and_read_pass_the_page_cache_by)
{
	char *buf = aligned_buffer(8192), *back = aligned_buffer(8192);
	int fd = open_direct("d", O_RDWR | O_CREAT);

	if (fd < 0)
		SKIP("O_DIRECT: %s", strerror(errno));
	fill_pattern(buf, 8192, 1);
	ck_result(write_at(fd, buf, 8192, 4096), 8192);
	ck_result(read_at(fd, back, 8192, 4096), 8192);
	ck_assert_mem_eq(back, buf, 8192);
}

TEST(direct_read_at_an_odd_offset_is_einval)
{
	char *buf = aligned_buffer(8192);
	int fd = open_direct("d", O_RDWR | O_CREAT);
	struct stat st;

	if (fd < 0)
		SKIP("O_DIRECT: %s", strerror(errno));
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_result(write_at(fd, buf, 8192, 0), 8192);
	if (pread(fd, buf, 4096, 1) >= 0)
		SKIP("this file system takes any offset");
	ck_result(read_at(fd, buf, 4096, 1), -EINVAL);
	ck_result(read_at(fd, buf + 1, 4096, 0), -EINVAL);
	ck_result(read_at(fd, buf, 100, 0), -EINVAL);
}

TEST(direct_read_across_the_end_is_short)
{
	char *buf = aligned_buffer(8192);
	int fd;

	make_file("d", text, 16);
	fd = open_direct("d", O_RDONLY);
	if (fd < 0)
		SKIP("O_DIRECT: %s", strerror(errno));
	ck_result(read_at(fd, buf, 8192, 0), 16);
	ck_assert_mem_eq(buf, text, 16);
}

TEST(direct_read_full_stops_at_an_unaligned_end)
{
	char *buf = aligned_buffer(16384), *data = aligned_buffer(5000);
	const struct outcome *seen;
	int fd;

	fill_pattern(data, 5000, 9);
	make_file("d", data, 5000);
	fd = open_direct("d", O_RDONLY);
	if (fd < 0)
		SKIP("O_DIRECT: %s", strerror(errno));
	seen = finish_outcome(peal_read_full(ring, fd, buf, 16384, 0, 0,
					     on_done, NULL));
	ck_result(seen->result, 5000);
	ck_assert_ptr_eq(seen->buf, buf + 5000);
	ck_assert_mem_eq(buf, data, 5000);
}

/* --- readv, writev ------------------------------------------------------- */

TEST(readv_fills_its_pieces_in_order)
{
	int fd = make_file("f", text, 16);
	char a[4], b[1], c[20];
	struct iovec iov[] = { { a, 4 }, { b, 1 }, { NULL, 0 }, { c, 20 } };

	ck_result(finish(peal_readv(ring, fd, iov, 4, 0, 0, 0, on_done, NULL)),
		  16);
	ck_assert_mem_eq(a, "0123", 4);
	ck_assert_mem_eq(b, "4", 1);
	ck_assert_mem_eq(c, "56789abcdef", 11);
}

TEST(writev_stores_its_pieces_in_order)
{
	int fd = make_file("f", "", 0);
	struct iovec iov[] = { { text, 4 }, { text + 8, 8 } };
	char buf[12];

	ck_result(finish(peal_writev(ring, fd, iov, 2, 0, 0, 0, on_done,
				     NULL)), 12);
	ck_assert_int_eq(pread(fd, buf, 12, 0), 12);
	ck_assert_mem_eq(buf, "012389abcdef", 12);
}

TEST(writev_takes_rwf_dsync)
{
	int fd = make_file("f", "", 0);
	struct iovec iov = { text, 16 };

	ck_result(finish(peal_writev(ring, fd, &iov, 1, 0, RWF_DSYNC, 0,
				     on_done, NULL)), 16);
}

TEST(readv_with_an_unknown_rw_flag_is_an_error)
{
	int fd = make_file("f", text, 16);
	struct iovec iov = { text, 16 };
	int64_t result = finish_or_refused(
		peal_readv(ring, fd, &iov, 1, 0, 1u << 30, 0, on_done, NULL));

	ck_assert_msg(result == -EOPNOTSUPP || result == -EINVAL, "%s",
		      harness_errno(result));
}

TEST(readv_of_too_many_pieces_is_einval)
{
	static struct iovec iov[1025];
	int fd = make_file("f", text, 16);

	ck_result(finish_or_refused(peal_readv(ring, fd, iov, 1025, 0, 0, 0,
					       on_done, NULL)), -EINVAL);
}

TEST(readv_of_no_pieces_finishes_with_zero)
{
	int fd = make_file("f", text, 16);

	ck_result(finish_or_refused(peal_readv(ring, fd, NULL, 0, 0, 0, 0,
					       on_done, NULL)), 0);
}

SUITE("file")
