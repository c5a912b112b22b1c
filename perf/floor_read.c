/* SPDX-License-Identifier: MIT */
/*
 * How much does peal cost on top of bare liburing when there is work to do?
 * Reads of 4 KiB at random offsets of a file that is wholly in the page cache,
 * one at a time and 32 in flight; each completion starts the next read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>
#include "perf/floor.h"

#define BLOCK	4096u
#define BLOCKS	16384u		/* 64 MiB */
#define DEPTH	32u

static int fd;
static char *buffers;		/* one block per read in flight */
static uint64_t offsets = 88172645463325252u;
static uint64_t to_start, seen;

static uint64_t next_offset(void)
{
	return floor_random(&offsets) % BLOCKS * BLOCK;
}

static void check(uint64_t ops)
{
	if (seen != ops)
		floor_fail("completions are missing", 0);
}

/* --- bare -------------------------------------------------------------- */

static void start_bare(struct io_uring *ring, uint64_t slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_read(sqe, fd, buffers + slot * BLOCK, BLOCK,
			   next_offset());
	io_uring_sqe_set_data64(sqe, slot);
	to_start--;
}

static void run_bare(unsigned depth, uint64_t ops)
{
	struct io_uring *ring = &floor_bare;
	struct io_uring_cqe *cqe;
	unsigned i, head, taken;
	int rc;

	to_start = ops;
	seen = 0;
	for (i = 0; i < depth; i++)
		start_bare(ring, i);
	while (seen < ops) {
		rc = io_uring_submit_and_wait(ring, 1);
		floor_bare_enters++;
		if (rc < 0)
			floor_fail("io_uring_submit_and_wait", rc);
		taken = 0;
		io_uring_for_each_cqe(ring, head, cqe) {
			if (cqe->res != (int)BLOCK)
				floor_fail("read", cqe->res);
			taken++;
			if (to_start)
				start_bare(ring, cqe->user_data);
		}
		io_uring_cq_advance(ring, taken);
		seen += taken;
	}
	check(ops);
}

/* --- peal -------------------------------------------------------------- */

static void on_read(struct peal_ring *ring,
		    const struct peal_completion *done);

static void start_peal(struct peal_ring *ring, char *buf)
{
	peal_op op = peal_read(ring, fd, buf, BLOCK, next_offset(), 0,
			       on_read, buf);

	if (op < 0)
		floor_fail("peal_read", op);
	to_start--;
}

static void on_read(struct peal_ring *ring,
		    const struct peal_completion *done)
{
	if (done->result != (int)BLOCK)
		floor_fail("read", done->result);
	seen++;
	if (to_start)
		start_peal(ring, done->ctx);
}

static void run_peal(unsigned depth, uint64_t ops)
{
	unsigned i;
	int rc;

	to_start = ops;
	seen = 0;
	for (i = 0; i < depth; i++)
		start_peal(floor_peal, buffers + i * BLOCK);
	rc = peal_ring_run(floor_peal);
	if (rc < 0)
		floor_fail("peal_ring_run", rc);
	check(ops);
}

/* --- the file ------------------------------------------------------------ */

static const char *file_system(void)
{
	static char other[32];
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return "unknown";
	switch ((unsigned long)fs.f_type) {
	case 0xef53:
		return "ext4";
	case 0x58465342:
		return "xfs";
	case 0x9123683e:
		return "btrfs";
	case 0x794c7630:
		return "overlayfs";
	case 0x01021994:
		return "tmpfs, where reads go to kernel workers";
	}
	snprintf(other, sizeof other, "type %#lx", (unsigned long)fs.f_type);
	return other;
}

/* A read that may not wait succeeds on what is in the page cache. */
static unsigned cached_blocks(void)
{
	struct iovec iov = { .iov_base = buffers, .iov_len = BLOCK };
	unsigned i, count = 0;

	for (i = 0; i < BLOCKS; i++)
		count += preadv2(fd, &iov, 1, (off_t)i * BLOCK,
				 RWF_NOWAIT) == (ssize_t)BLOCK;
	return count;
}

static void make_file(const char *directory)
{
	char path[4096];
	unsigned i;

	snprintf(path, sizeof path, "%s/floor_read.XXXXXX", directory);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		floor_fail(path, -errno);
	unlink(path);
	if (posix_memalign((void **)&buffers, BLOCK, DEPTH * BLOCK) != 0)
		floor_fail("posix_memalign", -ENOMEM);
	memset(buffers, 'p', DEPTH * BLOCK);
	for (i = 0; i < BLOCKS / DEPTH; i++)
		if (write(fd, buffers, DEPTH * BLOCK) != DEPTH * BLOCK)
			floor_fail("write", -errno);
	if (fsync(fd) < 0)
		floor_fail("fsync", -errno);
}

/* Beside the program: on a disk, where /tmp need not be. */
static const char *directory(const char *program)
{
	static char path[4096];
	const char *chosen = getenv("TMPDIR");
	char *slash;

	if (chosen)
		return chosen;
	snprintf(path, sizeof path, "%s", program);
	slash = strrchr(path, '/');
	if (!slash)
		return ".";
	*slash = '\0';
	return path;
}

static const struct floor_case cases[] = {
	{ "depth 1", 1, 0, { run_bare, run_peal } },
	{ "depth 32", DEPTH, 1.03, { run_bare, run_peal } },
};

int main(int argc, char **argv)
{
	int rc;

	make_file(directory(argv[0]));
	fprintf(stderr, "\nreading a file of which %u of %u blocks of 4 KiB "
		"are in the page cache, on %s\n", cached_blocks(), BLOCKS, file_system());
	rc = floor_main(argc, argv, "floor_read", cases,
			sizeof cases / sizeof *cases);
	free(buffers);
	close(fd);
	return rc;
}
