/* SPDX-License-Identifier: MIT */
/* Whatever has a name: open, stat, rename, link, symlink, unlink, mkdir. */
#include <limits.h>

#include "test/harness.h"

#define NOBODY 65534

static int64_t open_path(const char *path, int open_flags)
{
	int64_t result = finish_or_refused(peal_open(ring, PEAL_CWD, path,
						     open_flags, 0644, 0,
						     on_done, NULL));

	if (result >= 0)
		keep_fd((int)result);
	return result;
}

/* --- open ---------------------------------------------------------------- */

TEST(open_gives_a_readable_fd)
{
	char buf[4];
	int64_t fd;

	make_file("f", "data", 4);
	fd = open_path(path_in_dir("f"), O_RDONLY);
	ck_ok(fd);
	ck_assert_int_eq(read((int)fd, buf, 4), 4);
	ck_assert_mem_eq(buf, "data", 4);
}

TEST(open_is_always_close_on_exec)
{
	int64_t fd;

	make_file("f", "data", 4);
	fd = open_path(path_in_dir("f"), O_RDONLY);
	ck_ok(fd);
	ck_assert_int_eq(fcntl((int)fd, F_GETFD), FD_CLOEXEC);
}

TEST(open_creates_with_the_mode_less_the_umask)
{
	struct stat st;
	int64_t fd;

	umask(027);
	fd = finish(peal_open(ring, PEAL_CWD, path_in_dir("new"),
			      O_RDWR | O_CREAT, 0666, 0, on_done, NULL));
	ck_ok(fd);
	keep_fd((int)fd);
	ck_assert_int_eq(fstat((int)fd, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0640);
}

TEST(open_relative_to_a_directory_finds_the_file_there)
{
	int at = keep_fd(open(dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	int64_t fd;

	make_file("f", "data", 4);
	fd = finish(peal_open(ring, at, "f", O_RDONLY, 0, 0, on_done, NULL));
	ck_ok(fd);
	keep_fd((int)fd);
}

TEST(open_of_nothing_is_enoent)
{
	ck_result(open_path(path_in_dir("none"), O_RDONLY), -ENOENT);
	ck_result(open_path("", O_RDONLY), -ENOENT);
}

TEST(open_through_a_file_is_enotdir)
{
	make_file("f", "data", 4);
	ck_result(open_path(path_in_dir("f/g"), O_RDONLY), -ENOTDIR);
}

TEST(open_exclusive_of_an_existing_file_is_eexist)
{
	make_file("f", "data", 4);
	ck_result(open_path(path_in_dir("f"), O_CREAT | O_EXCL | O_WRONLY),
		  -EEXIST);
}

TEST(open_of_a_directory_for_writing_is_eisdir)
{
	ck_result(open_path(dir(), O_WRONLY), -EISDIR);
}

TEST(open_of_a_symbolic_link_with_nofollow_is_eloop)
{
	ck_assert_int_eq(symlink("f", path_in_dir("link")), 0);
	ck_result(open_path(path_in_dir("link"), O_RDONLY | O_NOFOLLOW),
		  -ELOOP);
}

TEST(open_of_a_name_that_is_too_long_is_enametoolong)
{
	static char name[PATH_MAX + 10];

	memset(name, 'x', sizeof(name) - 1);
	ck_result(open_path(name, O_RDONLY), -ENAMETOOLONG);
}

TEST(open_without_permission_is_eacces)
{
	int root = geteuid() == 0;

	make_file("f", "data", 4);
	ck_assert_int_eq(chmod(path_in_dir("f"), 0), 0);
	if (root)
		ck_assert_int_eq(seteuid(NOBODY), 0);
	ck_result(open_path(path_in_dir("f"), O_RDONLY), -EACCES);
	if (root)
		ck_assert_int_eq(seteuid(0), 0);
}

TEST(open_relative_to_a_closed_fd_is_ebadf)
{
	int fd = dup(0);

	close(fd);
	ck_result(finish_or_refused(peal_open(ring, fd, "f", O_RDONLY, 0, 0,
					      on_done, NULL)), -EBADF);
}

TEST(open_of_an_unmapped_path_is_efault)
{
	ck_result(open_path((const char *)16, O_RDONLY), -EFAULT);
}

TEST(open_truncates_when_asked)
{
	int64_t fd;

	make_file("f", "data", 4);
	fd = open_path(path_in_dir("f"), O_RDWR | O_TRUNC);
	ck_ok(fd);
	ck_assert_int_eq(lseek((int)fd, 0, SEEK_END), 0);
}

TEST(open_with_an_unknown_flag_is_refused)
{
	ck_result(peal_open(ring, PEAL_CWD, "f", O_RDONLY, 0, 1u << 30,
			    on_done, NULL), -EINVAL);
}

TEST(open_runs_many_at_once)
{
	peal_op ops[64];
	unsigned at;

	make_file("f", "data", 4);
	for (at = 0; at < 64; at++)
		ops[at] = peal_open(ring, PEAL_CWD, path_in_dir("f"), O_RDONLY,
				    0, 0, on_done, NULL);
	for (at = 0; at < 64; at++)
		keep_fd((int)finish(ops[at]));
}

TEST(open_for_nobody_leaks_no_fd)
{
	/* The fixture's count of open descriptors is the test. */
	unsigned at;

	make_file("f", "data", 4);
	for (at = 0; at < 20; at++)
		ck_assert_int_gt(peal_open(ring, PEAL_CWD, path_in_dir("f"),
					   O_RDONLY, 0, 0, NULL, NULL), 0);
	UNTIL(peal_ring_in_flight(ring) == 0);
}

/* --- stat ---------------------------------------------------------------- */

TEST(stat_says_what_stat_says)
{
	struct peal_stat got;
	struct stat want;

	make_file("f", "data", 4);
	memset(&got, 0xee, sizeof(got));
	ck_result(finish(peal_stat(ring, PEAL_CWD, path_in_dir("f"), 0,
				   PEAL_STAT_BASIC, &got, 0, on_done, NULL)),
		  0);
	ck_assert_int_eq(stat(path_in_dir("f"), &want), 0);
	ck_assert_uint_eq(got.bytes, 4);
	ck_assert_uint_eq(got.inode, want.st_ino);
	ck_assert_uint_eq(got.mode, want.st_mode);
	ck_assert_uint_eq(got.links, 1);
	ck_assert_uint_eq(got.uid, want.st_uid);
	ck_assert_uint_eq(got.gid, want.st_gid);
	ck_assert_uint_eq(got.blocks, (uint64_t)want.st_blocks);
	ck_assert_uint_eq(got.block_size, (uint32_t)want.st_blksize);
	ck_assert_int_eq(got.modified.sec, want.st_mtim.tv_sec);
	ck_assert_uint_eq(got.modified.nsec, (uint32_t)want.st_mtim.tv_nsec);
	ck_assert_int_eq(got.changed.sec, want.st_ctim.tv_sec);
}

TEST(stat_of_an_fd_takes_an_empty_path)
{
	int fd = make_file("f", "data", 4);
	struct peal_stat got;

	ck_result(finish(peal_stat(ring, fd, "", PEAL_STAT_EMPTY_PATH,
				   PEAL_STAT_BASIC, &got, 0, on_done, NULL)),
		  0);
	ck_assert_uint_eq(got.bytes, 4);
}

TEST(stat_follows_a_link_unless_told_not_to)
{
	struct peal_stat got;

	make_file("f", "data", 4);
	ck_assert_int_eq(symlink("f", path_in_dir("link")), 0);
	ck_result(finish(peal_stat(ring, PEAL_CWD, path_in_dir("link"), 0,
				   PEAL_STAT_BASIC, &got, 0, on_done, NULL)),
		  0);
	ck_assert(S_ISREG(got.mode));
	ck_result(finish(peal_stat(ring, PEAL_CWD, path_in_dir("link"),
				   PEAL_STAT_NOFOLLOW, PEAL_STAT_BASIC, &got,
				   0, on_done, NULL)), 0);
	ck_assert(S_ISLNK(got.mode));
}

TEST(stat_of_nothing_is_enoent_and_touches_no_memory)
{
	struct peal_stat got, before;

	memset(&got, 0xee, sizeof(got));
	before = got;
	ck_result(finish(peal_stat(ring, PEAL_CWD, path_in_dir("none"), 0,
				   PEAL_STAT_BASIC, &got, 0, on_done, NULL)),
		  -ENOENT);
	ck_assert_mem_eq(&got, &before, sizeof(got));
}

TEST(stat_knows_the_alignment_for_direct_io)
{
	struct peal_stat got;
	int fd = open_direct("d", O_RDWR | O_CREAT);

	if (fd < 0)
		SKIP("O_DIRECT: %s", strerror(errno));
	ck_result(finish(peal_stat(ring, fd, "", PEAL_STAT_EMPTY_PATH,
				   PEAL_STAT_BASIC | PEAL_STAT_DIO, &got, 0,
				   on_done, NULL)), 0);
	if (!(got.mask & PEAL_STAT_DIO))
		SKIP("this file system does not say");
	ck_assert_uint_gt(got.dio_offset_align, 0);
	ck_assert_uint_eq(got.dio_offset_align & (got.dio_offset_align - 1),
			  0);
}

TEST(stat_with_unknown_at_flags_is_einval)
{
	struct peal_stat got;

	ck_result(finish_or_refused(peal_stat(ring, PEAL_CWD, ".", 1u << 30,
					      PEAL_STAT_BASIC, &got, 0,
					      on_done, NULL)), -EINVAL);
}

/* --- rename -------------------------------------------------------------- */

static int64_t rename_in_dir(const char *from, const char *to,
			     unsigned rename_flags)
{
	return finish_or_refused(peal_rename(ring, PEAL_CWD,
					     path_in_dir(from), PEAL_CWD,
					     path_in_dir(to), rename_flags, 0,
					     on_done, NULL));
}

TEST(rename_moves_the_name)
{
	close(make_file("a", "data", 4));
	ck_result(rename_in_dir("a", "b", 0), 0);
	ck_assert_int_ne(access(path_in_dir("a"), F_OK), 0);
	ck_assert_int_eq(access(path_in_dir("b"), F_OK), 0);
}

TEST(rename_replaces_an_existing_file)
{
	int old = make_file("b", "old", 3);
	struct stat st;

	make_file("a", "data", 4);
	ck_result(rename_in_dir("a", "b", 0), 0);
	ck_assert_int_eq(stat(path_in_dir("b"), &st), 0);
	ck_assert_int_eq(st.st_size, 4);
	ck_assert_int_eq(fstat(old, &st), 0);
	ck_assert_int_eq((int)st.st_nlink, 0);
}

TEST(rename_noreplace_of_an_existing_file_is_eexist)
{
	make_file("a", "data", 4);
	make_file("b", "old", 3);
	ck_result(rename_in_dir("a", "b", RENAME_NOREPLACE), -EEXIST);
}

TEST(rename_exchange_swaps_two_names)
{
	struct stat st;

	make_file("a", "1", 1);
	make_file("b", "22", 2);
	ck_result(rename_in_dir("a", "b", RENAME_EXCHANGE), 0);
	ck_assert_int_eq(stat(path_in_dir("a"), &st), 0);
	ck_assert_int_eq(st.st_size, 2);
}

TEST(rename_of_nothing_is_enoent)
{
	ck_result(rename_in_dir("none", "b", 0), -ENOENT);
}

TEST(rename_over_a_directory_is_eisdir)
{
	make_file("a", "1", 1);
	ck_assert_int_eq(mkdir(path_in_dir("d"), 0755), 0);
	ck_result(rename_in_dir("a", "d", 0), -EISDIR);
}

TEST(rename_with_unknown_flags_is_einval)
{
	make_file("a", "1", 1);
	ck_result(rename_in_dir("a", "b", 1u << 30), -EINVAL);
}

/* --- link, symlink ------------------------------------------------------- */

TEST(link_gives_a_file_a_second_name)
{
	int fd = make_file("a", "data", 4);
	struct stat st;

	ck_result(finish(peal_link(ring, PEAL_CWD, path_in_dir("a"), PEAL_CWD,
				   path_in_dir("b"), 0, 0, on_done, NULL)), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq((int)st.st_nlink, 2);
}

TEST(link_over_an_existing_name_is_eexist)
{
	make_file("a", "data", 4);
	make_file("b", "data", 4);
	ck_result(finish(peal_link(ring, PEAL_CWD, path_in_dir("a"), PEAL_CWD,
				   path_in_dir("b"), 0, 0, on_done, NULL)),
		  -EEXIST);
}

TEST(link_of_nothing_is_enoent)
{
	ck_result(finish(peal_link(ring, PEAL_CWD, path_in_dir("a"), PEAL_CWD,
				   path_in_dir("b"), 0, 0, on_done, NULL)),
		  -ENOENT);
}

TEST(link_of_a_directory_is_eperm)
{
	ck_result(finish(peal_link(ring, PEAL_CWD, dir(), PEAL_CWD,
				   path_in_dir("b"), 0, 0, on_done, NULL)),
		  -EPERM);
}

TEST(symlink_stores_its_target)
{
	char target[16] = "";

	ck_result(finish(peal_symlink(ring, "some/where", PEAL_CWD,
				      path_in_dir("s"), 0, on_done, NULL)), 0);
	ck_assert_int_eq(readlink(path_in_dir("s"), target, 15), 10);
	ck_assert_str_eq(target, "some/where");
}

TEST(symlink_over_an_existing_name_is_eexist)
{
	make_file("s", "data", 4);
	ck_result(finish(peal_symlink(ring, "t", PEAL_CWD, path_in_dir("s"), 0,
				      on_done, NULL)), -EEXIST);
}

/* --- unlink, mkdir ------------------------------------------------------- */

TEST(unlink_removes_the_name)
{
	close(make_file("a", "data", 4));
	ck_result(finish(peal_unlink(ring, PEAL_CWD, path_in_dir("a"), 0, 0,
				     on_done, NULL)), 0);
	ck_assert_int_ne(access(path_in_dir("a"), F_OK), 0);
}

TEST(unlink_of_nothing_is_enoent)
{
	ck_result(finish(peal_unlink(ring, PEAL_CWD, path_in_dir("a"), 0, 0,
				     on_done, NULL)), -ENOENT);
}

TEST(unlink_of_a_directory_wants_the_flag)
{
	ck_assert_int_eq(mkdir(path_in_dir("d"), 0755), 0);
	ck_result(finish(peal_unlink(ring, PEAL_CWD, path_in_dir("d"), 0, 0,
				     on_done, NULL)), -EISDIR);
	ck_result(finish(peal_unlink(ring, PEAL_CWD, path_in_dir("d"),
				     PEAL_REMOVE_DIR, 0, on_done, NULL)), 0);
	ck_assert_int_ne(access(path_in_dir("d"), F_OK), 0);
}

TEST(unlink_of_a_full_directory_is_enotempty)
{
	ck_assert_int_eq(mkdir(path_in_dir("d"), 0755), 0);
	make_file("d/f", "data", 4);
	ck_result(finish(peal_unlink(ring, PEAL_CWD, path_in_dir("d"),
				     PEAL_REMOVE_DIR, 0, on_done, NULL)),
		  -ENOTEMPTY);
}

TEST(mkdir_makes_a_directory_with_its_mode)
{
	struct stat st;

	umask(022);
	ck_result(finish(peal_mkdir(ring, PEAL_CWD, path_in_dir("d"), 0777, 0,
				    on_done, NULL)), 0);
	ck_assert_int_eq(stat(path_in_dir("d"), &st), 0);
	ck_assert(S_ISDIR(st.st_mode));
	ck_assert_int_eq(st.st_mode & 0777, 0755);
}

TEST(mkdir_of_an_existing_name_is_eexist)
{
	ck_result(finish(peal_mkdir(ring, PEAL_CWD, dir(), 0777, 0, on_done,
				    NULL)), -EEXIST);
}

TEST(mkdir_below_nothing_is_enoent)
{
	ck_result(finish(peal_mkdir(ring, PEAL_CWD, path_in_dir("x/y"), 0777,
				    0, on_done, NULL)), -ENOENT);
}

SUITE("path")
