/* SPDX-License-Identifier: MIT */
/* The file system and the device under a directory, as far as they matter for
 * asynchronous I/O: alignment, O_DIRECT, and what goes to kernel workers. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "peal.h"
#include "perf/doctor.h"
#include "perf/env.h"
#include "perf/side.h"
#include "perf/trace.h"

#define OPS	16u
#define BLOCK	4096u

/* peal_stat is statx(2)'s result, with names that an old header lacks. */
static void alignment(const char *path)
{
	struct statx raw;
	struct peal_stat is;

	memset(&raw, 0, sizeof raw);
	if (statx(AT_FDCWD, path, 0, PEAL_STAT_BASIC | PEAL_STAT_DIO, &raw) < 0)
		return;
	memcpy(&is, &raw, sizeof is);
	if (is.mask & PEAL_STAT_DIO && is.dio_offset_align)
		doctor_good("alignment", "buffers to %u bytes, offsets and "
			    "lengths to %u", is.dio_memory_align,
			    is.dio_offset_align);
	else if (is.mask & PEAL_STAT_DIO)
		doctor_bad("alignment", "another file system for O_DIRECT",
			   "this one says that it cannot");
	else
		doctor_good("alignment", "not told (before Linux 6.1, or this "
			    "file system); 4096 is safe");
}

/* How many of OPS reads or writes went to kernel workers; < 0: unknown. */
static double punts(int fd, int writes, char *buffers)
{
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	struct trace *trace;
	double count = UNKNOWN;
	unsigned i;

	if (io_uring_queue_init(OPS, &ring, 0) < 0)
		return UNKNOWN;
	if (trace_open(&trace, getpid(), TRACE_PUNTS, NULL) == NULL) {
		for (i = 0; i < OPS; i++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

			if (writes)
				io_uring_prep_write(sqe, fd, buffers, BLOCK,
						    i * BLOCK);
			else
				io_uring_prep_read(sqe, fd, buffers, BLOCK,
						   i * BLOCK);
		}
		io_uring_submit_and_wait(&ring, OPS);
		count = trace_count(trace);
		trace_close(trace);
		for (i = 0; i < OPS && !io_uring_wait_cqe(&ring, &cqe); i++)
			io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return count;
}

static void say_punts(const char *name, double count, const char *remedy)
{
	if (count < 0)
		doctor_good(name, "not known whether kernel workers do it: no "
			    "tracepoints");
	else if (count > 0)
		doctor_bad(name, remedy, "%.0f of %u go to kernel workers, at "
			   "3 to 6 times the CPU", count, OPS);
	else
		doctor_good(name, "done by the ring itself");
}

static void try_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), direct;
	void *buffers;

	if (fd < 0 || posix_memalign(&buffers, BLOCK, BLOCK) != 0)
		return;
	memset(buffers, 'p', BLOCK);
	say_punts("cached reads", punts(fd, 0, buffers),
		  "a file system other than tmpfs");
	say_punts("cached writes", punts(fd, 1, buffers),
		  "O_DIRECT, to blocks that the file has");
	/* Direct I/O waits for dirty pages. */
	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (direct < 0) {
		doctor_bad("O_DIRECT", "another file system (--dir)",
			   "%s", peal_strerror(-errno));
	} else {
		say_punts("direct reads", punts(direct, 0, buffers), "none");
		say_punts("direct writes", punts(direct, 1, buffers),
			  "write to blocks that the file has");
		close(direct);
	}
	free(buffers);
}

static void polling(const char *directory)
{
	struct stat is;
	char path[128];

	if (stat(directory, &is) < 0)
		return;
	snprintf(path, sizeof path, "/sys/dev/block/%u:%u/queue/io_poll",
		 major(is.st_dev), minor(is.st_dev));
	if (access(path, R_OK) == 0 && strcmp(env_line(path), "1") != 0)
		doctor_bad("iopoll", "nvme.poll_queues=N, or virtio_blk."
			   "poll_queues=N, on the kernel's command line",
			   "the device has no queues to poll: --flags iopoll "
			   "is n/a");
}

void doctor_disk(const char *directory)
{
	char path[512], block[BLOCK] = { 0 };
	unsigned i;
	int fd;

	doctor_part("file system and device");
	doctor_good("directory", "%s: %s", directory, env_get("mount"));
	if (env_get("device")[0])
		doctor_good("device", "%s", env_get("device"));
	polling(directory);
	snprintf(path, sizeof path, "%s/peal-perf.XXXXXX", directory);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0) {
		doctor_bad("file", "--dir", "%s", peal_strerror(-errno));
		return;
	}
	for (i = 0; i < OPS; i++)
		if (write(fd, block, sizeof block) != sizeof block)
			break;
	fsync(fd);
	close(fd);
	alignment(path);
	try_file(path);
	unlink(path);
}
