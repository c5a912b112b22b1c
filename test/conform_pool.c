/* SPDX-License-Identifier: MIT */
/* Ops that no ring has: they run on the pool, on every engine. */
#include <dirent.h>
#include <netdb.h>
#include <sys/statvfs.h>
#include "test/harness.h"

static int open_dir(const char *path)
{
	return keep_fd(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* Names in the directory, "." and ".." not counted; < 0: an error. */
static int count_names(int fd, char *buf, size_t len)
{
	int64_t filled, at;
	int count = 0;

	while ((filled = finish(peal_read_dir(ring, fd, buf, len, 0, on_done,
					      NULL))) > 0) {
		for (at = 0; at < filled;) {
			const struct peal_dir_entry *entry =
				(const void *)(buf + at);

			count += strcmp(entry->name, ".") != 0 &&
				 strcmp(entry->name, "..") != 0;
			at += entry->length;
		}
		ck_assert_int_eq(at, filled);
	}
	return filled < 0 ? (int)filled : count;
}

TEST(read_dir_lists_every_name_once)
{
	_Alignas(8) char buf[1024];
	char name[16];
	int i;

	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		make_file(name, "", 0);
	}
	ck_assert_int_eq(count_names(open_dir(dir()), buf, sizeof(buf)), 100);
}

TEST(read_dir_tells_name_type_and_inode)
{
	_Alignas(8) char buf[1024];
	int fd = make_file("only", "", 0), seen = 0;
	struct stat st;
	int64_t filled, at;

	ck_assert_int_eq(fstat(fd, &st), 0);
	filled = finish(peal_read_dir(ring, open_dir(dir()), buf, sizeof(buf),
				      0, on_done, NULL));
	ck_assert_int_gt(filled, 0);
	for (at = 0; at < filled;) {
		const struct peal_dir_entry *entry = (const void *)(buf + at);

		if (strcmp(entry->name, "only") == 0) {
			ck_assert_uint_eq(entry->inode, st.st_ino);
			ck_assert(entry->type == DT_REG ||
				  entry->type == DT_UNKNOWN);
			seen++;
		}
		at += entry->length;
	}
	ck_assert_int_eq(seen, 1);
}

TEST(read_dir_of_a_file_is_enotdir)
{
	_Alignas(8) char buf[512];

	ck_result(finish(peal_read_dir(ring, make_file("f", "", 0), buf,
				       sizeof(buf), 0, on_done, NULL)),
		  -ENOTDIR);
}

TEST(read_dir_into_too_little_room_is_einval)
{
	_Alignas(8) char buf[8];

	ck_result(finish(peal_read_dir(ring, open_dir(dir()), buf, sizeof(buf),
				       0, on_done, NULL)), -EINVAL);
}

TEST(read_dir_of_a_bad_fd_is_ebadf)
{
	_Alignas(8) char buf[512];

	ck_result(finish(peal_read_dir(ring, 9999, buf, sizeof(buf), 0,
				       on_done, NULL)), -EBADF);
}

TEST(statfs_says_what_statvfs_says)
{
	struct peal_statfs fs;
	struct statvfs want, before;

	/* There are disks that count anew whatever is written to them. */
	do {
		ck_assert_int_eq(statvfs(dir(), &before), 0);
		ck_result(finish(peal_statfs(ring, dir(), &fs, 0, on_done,
					     NULL)), 0);
		ck_assert_int_eq(statvfs(dir(), &want), 0);
	} while (before.f_blocks != want.f_blocks ||
		 before.f_files != want.f_files);
	ck_assert_uint_eq(fs.blocks * fs.block_size,
			  (uint64_t)want.f_blocks * want.f_frsize);
	ck_assert_uint_eq(fs.files, want.f_files);
	ck_assert_uint_eq(fs.name_max, want.f_namemax);
}

TEST(statfs_of_nothing_is_enoent)
{
	struct peal_statfs fs;

	ck_result(finish(peal_statfs(ring, "/no/such/path", &fs, 0, on_done,
				     NULL)), -ENOENT);
}

/* A hole of 1 MiB, then data. */
static int make_sparse(void)
{
	int fd = make_file("sparse", "", 0);

	ck_assert_int_eq(pwrite(fd, "data", 4, 1 << 20), 4);
	return fd;
}

TEST(seek_finds_data_behind_a_hole_and_the_hole_behind_the_data)
{
	int fd = make_sparse();
	int64_t data = finish(peal_seek_data(ring, fd, 0, 0, on_done, NULL));

	/* A file system without holes calls everything data. */
	ck_assert(data == 0 || data == 1 << 20);
	ck_result(finish(peal_seek_hole(ring, fd, 1 << 20, 0, on_done, NULL)),
		  (1 << 20) + 4);
}

TEST(seek_past_the_end_is_enxio)
{
	ck_result(finish(peal_seek_data(ring, make_sparse(), 2 << 20, 0,
					on_done, NULL)), -ENXIO);
}

TEST(seek_beyond_four_gib_gives_the_whole_offset)
{
	int fd = make_file("large", "", 0);
	const int64_t offset = INT64_C(5) << 30;

	ck_assert_int_eq(pwrite(fd, "data", 4, offset), 4);
	ck_result(finish(peal_seek_hole(ring, fd, (uint64_t)offset, 0, on_done,
					NULL)), offset + 4);
}

TEST(seek_in_a_pipe_is_espipe)
{
	int fds[2];

	make_pipe(fds);
	ck_result(finish(peal_seek_data(ring, fds[0], 0, 0, on_done, NULL)),
		  -ESPIPE);
}

TEST(copy_range_copies_at_its_offsets)
{
	int from = make_file("from", "0123456789", 10);
	int to = make_file("to", "..........", 10);
	char buf[11] = "";

	ck_result(finish(peal_copy_range(ring, from, 2, to, 5, 3, 0, on_done,
					 NULL)), 3);
	ck_assert_int_eq(pread(to, buf, 10, 0), 10);
	ck_assert_str_eq(buf, ".....234..");
}

TEST(copy_range_at_the_end_finishes_with_zero)
{
	int from = make_file("from", "data", 4);

	ck_result(finish(peal_copy_range(ring, from, 4, make_file("to", "", 0),
					 0, 10, 0, on_done, NULL)), 0);
}

TEST(copy_range_to_a_read_only_file_is_ebadf)
{
	int from = make_file("from", "data", 4), to;

	make_file("to", "", 0);
	to = keep_fd(open(path_in_dir("to"), O_RDONLY | O_CLOEXEC));
	ck_result(finish(peal_copy_range(ring, from, 0, to, 0, 4, 0, on_done,
					 NULL)), -EBADF);
}

TEST(resolve_of_a_number_gives_its_address)
{
	const struct addrinfo hints = { .ai_family = AF_INET,
					.ai_socktype = SOCK_STREAM,
					.ai_flags = AI_NUMERICHOST |
						    AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	const struct sockaddr_in *in;

	ck_result(finish(peal_resolve(ring, "127.0.0.1", "7777", &hints, &list,
				      0, on_done, NULL)), 0);
	ck_assert_ptr_nonnull(list);
	in = (const void *)list->ai_addr;
	ck_assert_int_eq(ntohs(in->sin_port), 7777);
	ck_assert_uint_eq(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
	freeaddrinfo(list);
}

TEST(resolve_of_no_number_when_one_is_asked_for_is_enoent)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST };
	struct addrinfo *list = NULL;

	ck_result(finish(peal_resolve(ring, "no.number", NULL, &hints, &list,
				      0, on_done, NULL)), -ENOENT);
	ck_assert_ptr_null(list);
}

TEST(resolve_of_nothing_is_enoent)
{
	struct addrinfo *list;

	ck_result(finish(peal_resolve(ring, NULL, NULL, NULL, &list, 0,
				      on_done, NULL)), -ENOENT);
}

TEST(call_that_was_not_given_to_the_pool_can_be_cancelled)
{
	if (on_sim())
		SKIP("a simulated ring has no pool: it has all ops");
	struct peal_statfs fs;
	peal_op op = peal_statfs(ring, "/", &fs, 0, on_done, NULL);

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
}

TEST(calls_queue_behind_the_threads_and_all_finish)
{
	if (on_sim())
		SKIP("a simulated ring has no pool: it has all ops");
	enum { CALLS = 200 };
	struct peal_ring_options options = harness_options();
	struct peal_statfs fs[CALLS];
	struct peal_stats stats = { .size = sizeof(stats) };
	peal_op ops[CALLS];
	int i;

	options.pool_threads = 2;
	reopen_ring(&options);
	for (i = 0; i < CALLS; i++)
		ops[i] = peal_statfs(ring, dir(), &fs[i], 0, on_done, NULL);
	for (i = 0; i < CALLS; i++)
		ck_result(finish(ops[i]), 0);
	peal_ring_stats(ring, &stats);
	ck_assert_uint_ge(stats.jobs, CALLS);
}

TEST(deadline_of_a_call_that_waits_for_a_thread_ends_it)
{
	if (on_sim())
		SKIP("a simulated ring has no pool: it has all ops");
	struct peal_ring_options options = harness_options();
	char *fifo = strdup(path_in_dir("fifo"));
	struct peal_statfs fs;
	peal_op blocked, waiting;
	int fd;

	options.pool_threads = 1;
	options.disable = "op:open";	/* on io_uring, too, the pool opens */
	reopen_ring(&options);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	blocked = peal_open(ring, PEAL_CWD, fifo, O_WRONLY, 0, 0, on_done,
			    NULL);
	waiting = peal_statfs(ring, "/", &fs, 0, on_done, NULL);
	ck_ok(peal_deadline(ring, waiting, PEAL_MS, 0));
	ck_result(finish(waiting), -ETIMEDOUT);
	fd = keep_fd(open(fifo, O_RDONLY | O_CLOEXEC));
	keep_fd((int)finish(blocked));
	(void)fd;
	free(fifo);
}

SUITE("pool")
