/* SPDX-License-Identifier: MIT */
/* Reading and writing: what arrives, where, and what is said when it cannot. */
#include <pty.h>
#include <termios.h>

#include "test/harness.h"

static char text[16] = "0123456789abcdef";

/* A number that names no open file. */
static int closed_fd(void)
{
	int fd = dup(STDOUT_FILENO);

	ck_assert_int_ge(fd, 0);
	close(fd);
	return fd;
}

static int64_t read_at(int fd, void *buf, size_t len, uint64_t offset)
{
	return finish(peal_read(ring, fd, buf, len, offset, 0, on_done, NULL));
}

static int64_t write_at(int fd, const void *buf, size_t len, uint64_t offset)
{
	return finish(peal_write(ring, fd, buf, len, offset, 0, on_done,
				 NULL));
}

/* --- read, write -------------------------------------------------------- */

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
	uint64_t far = (UINT64_C(5) << 30) + 123;
	char buf[16];

	ck_result(write_at(fd, text, 16, far), 16);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), (off_t)far + 16);
	ck_result(read_at(fd, buf, 16, far), 16);
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

/* --- O_DIRECT ----------------------------------------------------------- */

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

/* --- read_full, write_full -------------------------------------------------- */

TEST(read_full_reads_the_whole_length)
{
	int fd = make_file("f", text, 16);
	char buf[16];
	const struct outcome *seen = finish_outcome(
		peal_read_full(ring, fd, buf, 16, 0, 0, on_done, NULL));

	ck_result(seen->result, 16);
	ck_assert_ptr_eq(seen->buf, buf + 16);
	ck_assert_mem_eq(buf, text, 16);
}

TEST(read_full_stops_at_the_end_of_the_file)
{
	int fd = make_file("f", text, 16);
	char buf[100];
	const struct outcome *seen = finish_outcome(
		peal_read_full(ring, fd, buf, 100, 6, 0, on_done, NULL));

	ck_result(seen->result, 10);
	ck_assert_ptr_eq(seen->buf, buf + 10);
}

TEST(read_full_past_the_end_finishes_with_zero)
{
	int fd = make_file("f", text, 16);
	char buf[4];
	const struct outcome *seen = finish_outcome(
		peal_read_full(ring, fd, buf, 4, 100, 0, on_done, NULL));

	ck_result(seen->result, 0);
	ck_assert_ptr_eq(seen->buf, buf);
}

TEST(read_full_of_a_bad_fd_is_ebadf_and_names_the_first_byte)
{
	char buf[4];
	peal_op op = peal_read_full(ring, closed_fd(), buf, 4, 0, 0, on_done,
				    NULL);

	ck_result(finish_or_refused(op), -EBADF);
	if (op > 0)
		ck_assert_ptr_eq(outcome(op)->buf, buf);
}

TEST(read_full_waits_for_all_of_a_pipe)
{
	char buf[12];
	int fds[2];
	peal_op op;
	unsigned at;

	make_pipe(fds);
	op = peal_read_full(ring, fds[0], buf, 12, PEAL_CURRENT, 0, on_done,
			    NULL);
	for (at = 0; at < 12; at += 3) {
		settle();
		ck_assert(!finished(op));
		ck_assert_int_eq(write(fds[1], text + at, 3), 3);
	}
	ck_result(finish(op), 12);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert_mem_eq(buf, text, 12);
}

TEST(read_full_of_a_pipe_ends_when_the_writer_goes)
{
	char buf[12];
	int fds[2];
	peal_op op;

	make_pipe(fds);
	op = peal_read_full(ring, fds[0], buf, 12, PEAL_CURRENT, 0, on_done,
			    NULL);
	ck_assert_int_eq(write(fds[1], text, 5), 5);
	settle();
	close(fds[1]);
	ck_result(finish(op), 5);
	ck_assert_ptr_eq(outcome(op)->buf, buf + 5);
}

TEST(write_full_fills_a_pipe_as_it_drains)
{
	size_t len = 1 << 20, got = 0;
	char *out = aligned_buffer(len), *in = aligned_buffer(len);
	const struct outcome *seen;
	int fds[2];
	peal_op op;

	make_pipe(fds);
	fill_pattern(out, len, 7);
	op = peal_write_full(ring, fds[1], out, len, PEAL_CURRENT, 0, on_done,
			     NULL);
	while (got < len) {
		peal_op part = peal_read(ring, fds[0], in + got, len - got,
					 PEAL_CURRENT, 0, on_done, NULL);

		ck_assert_int_gt(finish(part), 0);
		got += (size_t)outcome(part)->result;
	}
	seen = finish_outcome(op);
	ck_result(seen->result, (int64_t)len);
	ck_assert_ptr_eq(seen->buf, out + len);
	ck_assert_mem_eq(in, out, len);
}

TEST(write_full_to_a_pipe_without_reader_is_epipe)
{
	/* And no signal: the default action of SIGPIPE would end this test. */
	int fds[2];
	peal_op op;

	make_pipe(fds);
	close(fds[0]);
	op = peal_write_full(ring, fds[1], text, 16, PEAL_CURRENT, 0, on_done,
			     NULL);
	ck_result(finish(op), -EPIPE);
	ck_assert_ptr_eq(outcome(op)->buf, text);
}

TEST(write_full_of_nothing_finishes_with_zero)
{
	int fd = make_file("f", text, 16);

	ck_result(finish(peal_write_full(ring, fd, text, 0, 0, 0, on_done,
					 NULL)), 0);
	ck_result(finish(peal_read_full(ring, fd, text, 0, 0, 0, on_done,
					NULL)), 0);
}

TEST(write_full_at_an_offset_lands_there)
{
	int fd = make_file("f", text, 16);
	char buf[4];

	ck_result(finish(peal_write_full(ring, fd, "WXYZ", 4, 6, 0, on_done,
					 NULL)), 4);
	ck_assert_int_eq(pread(fd, buf, 4, 6), 4);
	ck_assert_mem_eq(buf, "WXYZ", 4);
}

TEST(write_full_can_be_cancelled_and_names_how_far_it_came)
{
	size_t len = 1 << 20;
	char *out = aligned_buffer(len);
	const struct outcome *seen;
	int fds[2];
	peal_op op;

	make_pipe(fds);
	op = peal_write_full(ring, fds[1], out, len, PEAL_CURRENT, 0, on_done,
			     NULL);
	settle();
	ck_assert(!finished(op));
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	seen = finish_outcome(op);
	ck_result(seen->result, -ECANCELED);
	ck_assert(seen->flags & PEAL_CANCELLED);
	ck_assert_ptr_eq(seen->buf, out + 65536);
}

/* --- pipes and terminals ----------------------------------------------------- */

TEST(read_of_a_pipe_waits_for_data)
{
	char buf[16];
	int fds[2];
	peal_op op;

	make_pipe(fds);
	op = peal_read(ring, fds[0], buf, 16, PEAL_CURRENT, 0, on_done, NULL);
	settle();
	ck_assert(!finished(op));
	ck_assert_int_eq(write(fds[1], "hi", 2), 2);
	ck_result(finish(op), 2);
	ck_assert_mem_eq(buf, "hi", 2);
}

TEST(read_of_a_pipe_whose_writer_is_gone_finishes_with_zero)
{
	char buf[16];
	int fds[2];
	peal_op op;

	make_pipe(fds);
	op = peal_read(ring, fds[0], buf, 16, PEAL_CURRENT, 0, on_done, NULL);
	settle();
	close(fds[1]);
	ck_result(finish(op), 0);
}

TEST(nonblocking_pipe_behaves_like_a_blocking_one)
{
	char buf[16];
	int fds[2];
	peal_op op;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	keep_fd(fds[0]);
	keep_fd(fds[1]);
	op = peal_read(ring, fds[0], buf, 16, PEAL_CURRENT, 0, on_done, NULL);
	settle();
	ck_assert_msg(!finished(op), "it finished with %s",
		      harness_errno(outcome(op)->result));
	ck_assert_int_eq(write(fds[1], "hi", 2), 2);
	ck_result(finish(op), 2);
}

TEST(write_to_a_pipe_without_reader_is_epipe_and_no_signal)
{
	int fds[2];

	make_pipe(fds);
	close(fds[0]);
	ck_result(write_at(fds[1], text, 16, PEAL_CURRENT), -EPIPE);
}

TEST(read_of_a_pipe_at_an_offset_is_the_same_or_espipe)
{
	/* Linux's io_uring ignores an offset on a stream; pread(2) refuses. */
	char buf[4];
	int fds[2];
	int64_t result;

	make_pipe(fds);
	ck_assert_int_eq(write(fds[1], text, 4), 4);
	result = read_at(fds[0], buf, 4, 0);
	ck_assert(result == 4 || result == -ESPIPE);
}

TEST(terminal_is_read_and_written_with_peal_current)
{
	struct termios raw;
	int outer, inner;
	char buf[16];
	peal_op op;

	if (openpty(&outer, &inner, NULL, NULL, NULL) != 0)
		SKIP("openpty: %s", strerror(errno));
	keep_fd(outer);
	keep_fd(inner);
	ck_assert_int_eq(tcgetattr(inner, &raw), 0);
	cfmakeraw(&raw);
	ck_assert_int_eq(tcsetattr(inner, TCSANOW, &raw), 0);
	op = peal_read(ring, inner, buf, 16, PEAL_CURRENT, 0, on_done, NULL);
	settle();
	ck_assert(!finished(op));
	ck_result(write_at(outer, "key", 3, PEAL_CURRENT), 3);
	ck_result(finish(op), 3);
	ck_assert_mem_eq(buf, "key", 3);
	ck_result(write_at(inner, "echo", 4, PEAL_CURRENT), 4);
	ck_result(read_at(outer, buf, 16, PEAL_CURRENT), 4);
	ck_assert_mem_eq(buf, "echo", 4);
}

/* --- close -------------------------------------------------------------------- */

TEST(close_has_closed_the_fd_when_the_handler_runs)
{
	int fd = make_file("f", text, 16);

	ck_result(finish(peal_close(ring, fd, 0, on_done, NULL)), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert_int_eq(errno, EBADF);
}

TEST(close_of_a_closed_fd_is_ebadf)
{
	ck_result(finish_or_refused(peal_close(ring, closed_fd(), 0, on_done,
					       NULL)), -EBADF);
}

/* --- sync -------------------------------------------------------------------- */

TEST(sync_and_datasync_finish_with_zero)
{
	int fd = make_file("f", text, 16);

	ck_result(finish(peal_sync(ring, fd, 0, on_done, NULL)), 0);
	ck_result(finish(peal_datasync(ring, fd, 0, on_done, NULL)), 0);
}

TEST(sync_of_a_directory_finishes_with_zero)
{
	int fd = keep_fd(open(dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	ck_result(finish(peal_sync(ring, fd, 0, on_done, NULL)), 0);
}

TEST(sync_of_a_pipe_is_einval)
{
	int fds[2];

	make_pipe(fds);
	ck_result(finish(peal_sync(ring, fds[1], 0, on_done, NULL)), -EINVAL);
}

TEST(sync_of_a_closed_fd_is_ebadf)
{
	ck_result(finish_or_refused(peal_sync(ring, closed_fd(), 0, on_done,
					      NULL)), -EBADF);
	ck_result(finish_or_refused(peal_datasync(ring, closed_fd(), 0,
						  on_done, NULL)), -EBADF);
}

TEST(sync_range_finishes_with_zero)
{
	int fd = make_file("f", text, 16);

	ck_result(finish(peal_sync_range(ring, fd, 0, 16,
					 SYNC_FILE_RANGE_WRITE, 0, on_done,
					 NULL)), 0);
}

TEST(sync_range_of_a_pipe_is_espipe)
{
	int fds[2];

	make_pipe(fds);
	ck_result(finish(peal_sync_range(ring, fds[1], 0, 16,
					 SYNC_FILE_RANGE_WRITE, 0, on_done,
					 NULL)), -ESPIPE);
}

/* --- allocate, punch, zero_range, truncate, advise ------------------------------ */

TEST(allocate_grows_the_file_with_zeroes)
{
	int fd = make_file("f", text, 16);
	struct stat st;
	int64_t result = finish(peal_allocate(ring, fd, 0, 65536, 0, on_done,
					      NULL));

	if (result == -EOPNOTSUPP)
		SKIP("no fallocate on this file system");
	ck_result(result, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 65536);
	ck_assert_int_ge(st.st_blocks * 512, 65536);
}

TEST(allocate_with_keep_size_reserves_and_does_not_grow)
{
	int fd = make_file("f", text, 16);
	struct stat st;
	int64_t result = finish(peal_allocate(ring, fd, 0, 65536,
					      PEAL_KEEP_SIZE, on_done, NULL));

	if (result == -EOPNOTSUPP)
		SKIP("no fallocate on this file system");
	ck_result(result, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 16);
	ck_assert_int_ge(st.st_blocks * 512, 65536);
}

TEST(allocate_of_nothing_is_einval)
{
	int fd = make_file("f", text, 16);

	ck_result(finish_or_refused(peal_allocate(ring, fd, 0, 0, 0, on_done,
						  NULL)), -EINVAL);
}

TEST(allocate_on_a_read_only_file_is_ebadf)
{
	int fd;

	make_file("f", text, 16);
	fd = keep_fd(open(path_in_dir("f"), O_RDONLY));
	ck_result(finish(peal_allocate(ring, fd, 0, 100, 0, on_done, NULL)),
		  -EBADF);
}

TEST(allocate_on_a_pipe_is_espipe)
{
	int fds[2];

	make_pipe(fds);
	ck_result(finish(peal_allocate(ring, fds[1], 0, 100, 0, on_done,
				       NULL)), -ESPIPE);
}

TEST(punch_makes_a_hole_that_reads_as_zeroes)
{
	char *data = aligned_buffer(16384), *zeroes = aligned_buffer(8192);
	struct stat st;
	int64_t result;
	int fd;

	fill_pattern(data, 16384, 1);
	fd = make_file("f", data, 16384);
	result = finish(peal_punch(ring, fd, 4096, 8192, 0, on_done, NULL));
	if (result == -EOPNOTSUPP)
		SKIP("no holes on this file system");
	ck_result(result, 0);
	memset(data + 4096, 0, 8192);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 16384);
	ck_result(read_at(fd, zeroes, 8192, 4096), 8192);
	ck_assert_mem_eq(zeroes, data + 4096, 8192);
	ck_result(read_at(fd, zeroes, 4096, 0), 4096);
	ck_assert_mem_eq(zeroes, data, 4096);
}

TEST(zero_range_makes_zeroes)
{
	int fd = make_file("f", text, 16);
	char buf[16];
	int64_t result = finish(peal_zero_range(ring, fd, 4, 4, 0, on_done,
						NULL));

	if (result == -EOPNOTSUPP)
		SKIP("no zero range on this file system");
	ck_result(result, 0);
	ck_assert_int_eq(pread(fd, buf, 16, 0), 16);
	ck_assert_mem_eq(buf, "0123\0\0\0\08" "9abcdef", 16);
}

TEST(zero_range_with_keep_size_does_not_grow_the_file)
{
	int fd = make_file("f", text, 16);
	int64_t result = finish(peal_zero_range(ring, fd, 0, 65536,
						PEAL_KEEP_SIZE, on_done,
						NULL));

	if (result == -EOPNOTSUPP)
		SKIP("no zero range on this file system");
	ck_result(result, 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 16);
	ck_result(finish(peal_zero_range(ring, fd, 0, 65536, 0, on_done,
					 NULL)), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 65536);
}

TEST(truncate_cuts_and_grows)
{
	int fd = make_file("f", text, 16);
	peal_op op = peal_truncate(ring, fd, 4, 0, on_done, NULL);

	if (op == -EOPNOTSUPP)
		SKIP("no truncate before Linux 6.9");
	ck_result(finish(op), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 4);
	ck_result(finish(peal_truncate(ring, fd, UINT64_C(5) << 30, 0, on_done,
				       NULL)), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), (off_t)5 << 30);
}

TEST(truncate_of_a_read_only_file_is_einval)
{
	peal_op op;
	int fd;

	make_file("f", text, 16);
	fd = keep_fd(open(path_in_dir("f"), O_RDONLY));
	op = peal_truncate(ring, fd, 4, 0, on_done, NULL);
	if (op == -EOPNOTSUPP)
		SKIP("no truncate before Linux 6.9");
	ck_result(finish(op), -EINVAL);
}

TEST(truncate_to_more_than_a_file_can_be_is_an_error)
{
	int fd = make_file("f", text, 16);
	peal_op op = peal_truncate(ring, fd, UINT64_MAX, 0, on_done, NULL);
	int64_t result;

	if (op == -EOPNOTSUPP)
		SKIP("no truncate before Linux 6.9");
	result = finish_or_refused(op);
	ck_assert_msg(result == -EINVAL || result == -EFBIG, "%s",
		      harness_errno(result));
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 16);
}

TEST(advise_finishes_with_zero)
{
	int fd = make_file("f", text, 16);

	ck_result(finish(peal_advise(ring, fd, 0, 16, POSIX_FADV_DONTNEED, 0,
				     on_done, NULL)), 0);
	ck_result(finish(peal_advise(ring, fd, 0, 0, POSIX_FADV_SEQUENTIAL, 0,
				     on_done, NULL)), 0);
}

TEST(advise_of_something_unknown_is_einval)
{
	int fd = make_file("f", text, 16);

	ck_result(finish_or_refused(peal_advise(ring, fd, 0, 16, 99, 0,
						on_done, NULL)), -EINVAL);
}

TEST(advise_on_a_pipe_is_espipe)
{
	int fds[2];

	make_pipe(fds);
	ck_result(finish(peal_advise(ring, fds[0], 0, 16, POSIX_FADV_NORMAL, 0,
				     on_done, NULL)), -ESPIPE);
}

/* --- splice ------------------------------------------------------------------- */

TEST(splice_moves_a_file_into_a_pipe)
{
	int fd = make_file("f", text, 16);
	char buf[16];
	int fds[2];

	make_pipe(fds);
	ck_result(finish(peal_splice(ring, fd, 4, fds[1], PEAL_CURRENT, 8, 0,
				     0, on_done, NULL)), 8);
	ck_assert_int_eq(read(fds[0], buf, 16), 8);
	ck_assert_mem_eq(buf, "456789ab", 8);
}

TEST(splice_moves_a_pipe_into_a_file)
{
	int fd = make_file("f", "", 0);
	char buf[16];
	int fds[2];

	make_pipe(fds);
	ck_assert_int_eq(write(fds[1], text, 16), 16);
	ck_result(finish(peal_splice(ring, fds[0], PEAL_CURRENT, fd, 3, 16, 0,
				     0, on_done, NULL)), 16);
	ck_assert_int_eq(pread(fd, buf, 16, 3), 16);
	ck_assert_mem_eq(buf, text, 16);
}

TEST(splice_without_a_pipe_is_einval)
{
	int from = make_file("f", text, 16), to = make_file("g", "", 0);

	ck_result(finish(peal_splice(ring, from, 0, to, 0, 16, 0, 0, on_done,
				     NULL)), -EINVAL);
}

TEST(splice_from_a_closed_fd_is_ebadf)
{
	int fds[2];

	make_pipe(fds);
	ck_result(finish_or_refused(peal_splice(ring, closed_fd(), 0, fds[1],
						PEAL_CURRENT, 16, 0, 0,
						on_done, NULL)), -EBADF);
}

SUITE("file")
