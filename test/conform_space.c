/* SPDX-License-Identifier: MIT */
/* Closing, syncing, allocating, splicing: whatever is done to a whole file. */
#include "test/harness.h"

static char text[16] = "0123456789abcdef";

/* --- close --------------------------------------------------------------- */

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

/* --- sync ---------------------------------------------------------------- */

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

/* --- allocate, punch, zero_range, truncate, advise ----------------------- */

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

/* --- splice -------------------------------------------------------------- */

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

SUITE("space")
