/* SPDX-License-Identifier: MIT */
/*
 * The files that are read and written, and a job's memory. There is a file for
 * the page cache and one for O_DIRECT, since direct writes would throw pages
 * of the other out; each is made when first wanted and is removed at the end.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "perf/env.h"
#include "perf/file.h"
#include "perf/file_sides.h"
#include "perf/measure.h"

#define HUGE	(2u << 20)

enum { BUFFERED, DIRECT, FILES };

static char paths[FILES][256];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

const char *file_directory = ".", *file_size = "64M", *file_verify;

static uint64_t file_bytes(void)
{
	uint64_t bytes = 0;

	case_parse_number(file_size, &bytes);
	return bytes;
}

/* --- the files -------------------------------------------------------------- */

static const char *write_file(int fd, const char *path)
{
	size_t piece = 1u << 20;
	char *buf = malloc(piece);
	uint64_t at, bytes = file_bytes();
	const char *wrong = NULL;

	if (!buf)
		abort();
	for (at = 0; at < bytes && !wrong; at += piece) {
		file_fill(buf, piece, at);
		if (measure_stop)
			wrong = "stopped";
		if (pwrite(fd, buf, piece, (off_t)at) != (ssize_t)piece)
			wrong = why_errno(path, -errno);
	}
	free(buf);
	if (!wrong && fsync(fd) < 0)
		wrong = why_errno(path, -errno);
	return wrong;
}

static const char *make_file(int which)
{
	char *path = paths[which];
	const char *wrong;
	int fd;

	snprintf(path, sizeof paths[which], "%s/peal-perf.XXXXXX",
		 file_directory);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0) {
		wrong = why_errno(path, -errno);
		path[0] = '\0';
		return wrong;
	}
	wrong = write_file(fd, path);
	if (which == DIRECT)
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	return wrong;
}

void file_finish(void)
{
	int i;

	for (i = 0; i < FILES; i++) {
		if (paths[i][0])
			unlink(paths[i]);
		paths[i][0] = '\0';
	}
}

const char *file_prepare(void)
{
	uint64_t bytes = file_bytes();
	struct statvfs disk;
	struct stat is;

	if (bytes < 1u << 20 || bytes % (1u << 20))
		return why("--size is a number of MiB (64M), not \"%s\"",
			   file_size);
	if (stat(file_directory, &is) < 0 ||
	    access(file_directory, W_OK) < 0 ||
	    statvfs(file_directory, &disk) < 0)
		return why_errno(file_directory, -errno);
	if (!S_ISDIR(is.st_mode))
		return why_errno(file_directory, -ENOTDIR);
	/* There may be two. */
	if (bytes > (uint64_t)disk.f_bavail * disk.f_frsize / FILES)
		return why("%s has no room for %d files of %s", file_directory,
			   FILES, file_size);
	env_disk(file_directory);
	atexit(file_finish);
	return NULL;
}

static const char *open_file(struct file_job *job, const struct perf_case *at)
{
	int direct = case_is(at, "open", "o_direct");
	int flags = O_RDWR | O_CLOEXEC | (direct ? O_DIRECT : 0) |
		    (case_is(at, "sync", "dsync") ? O_DSYNC : 0);
	const char *wrong = NULL;

	pthread_mutex_lock(&lock);
	if (!paths[direct][0])
		wrong = make_file(direct);
	pthread_mutex_unlock(&lock);
	if (wrong)
		return wrong;
	snprintf(job->path, sizeof job->path, "%s", paths[direct]);
	job->fd = open(job->path, flags);
	if (job->fd < 0)
		return why_errno(direct ? "open with O_DIRECT" : "open",
				 -errno);
	return NULL;
}

/* --- memory ------------------------------------------------------------------ */

size_t file_job_bytes(const struct perf_case *at)
{
	return case_number(at, "block") * case_number(at, "depth");
}

/* How much of it the kernel backs with huge pages, in KiB. */
static unsigned long huge_kib(const void *memory)
{
	FILE *in = fopen("/proc/self/smaps", "re");
	unsigned long kib = 0, from, to, is;
	char line[512];
	int inside = 0;

	while (in && fgets(line, sizeof line, in)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = (uintptr_t)memory >= from &&
				 (uintptr_t)memory < to;
		else if (inside && sscanf(line, "AnonHugePages: %lu", &is) == 1)
			kib = is;
	}
	if (in)
		fclose(in);
	return kib;
}

static void *huge_memory(size_t len, int *mapped)
{
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			    MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	*mapped = memory != MAP_FAILED;
	if (*mapped)
		return memory;
	/* Transparent ones: aligned, asked for, touched, and then counted. */
	if (posix_memalign(&memory, HUGE, len) != 0)
		return NULL;
	madvise(memory, len, MADV_HUGEPAGE);
	memset(memory, 'p', len);
	if (huge_kib(memory) >= len >> 10)
		return memory;
	free(memory);
	return NULL;
}

static const char *make_buffers(struct file_job *job,
				const struct perf_case *at)
{
	size_t len = job->buffers_len;
	void *memory;

	if (case_is(at, "buffers", "registered+huge")) {
		len = (len + HUGE - 1) / HUGE * HUGE;
		job->buffers = huge_memory(len, &job->mapped);
		job->buffers_len = len;
		return job->buffers ? NULL
				    : "no huge pages: sysctl vm.nr_hugepages, "
				      "or transparent_hugepage=madvise";
	}
	if (posix_memalign(&memory, 4096, len) != 0)
		abort();
	memset(memory, 'p', len);
	job->buffers = memory;
	return NULL;
}

static void read_case(struct file_job *job, const struct perf_case *at)
{
	const char *sync = case_text(at, "sync");

	job->block = case_number(at, "block");
	job->blocks = file_bytes() / job->block;
	job->depth = (unsigned)case_number(at, "depth");
	job->batch = (unsigned)case_number(at, "batch");
	job->reads = (unsigned)case_number(at, "reads");
	job->random = case_is(at, "order", "random");
	job->sync_every = strncmp(sync, "every", 5) == 0
				  ? (unsigned)atoi(sync + 5)
				  : 0;
	job->verify = file_verify != NULL;
	job->seed = (uintptr_t)job ^ clock_now();
	job->buffers_len = job->block * job->depth;
}

const char *file_job_open(struct file_job *job, const struct perf_case *at,
			  void *buffers)
{
	const char *wrong;
	unsigned i;

	memset(job, 0, sizeof *job);
	read_case(job, at);
	wrong = open_file(job, at);
	if (wrong)
		return wrong;
	job->buffers = buffers;
	job->own = !buffers;
	if (job->own)
		wrong = make_buffers(job, at);
	if (wrong) {
		close(job->fd);
		return wrong;
	}
	job->ops = calloc(job->depth, sizeof *job->ops);
	job->idle_slots = calloc(job->depth, sizeof *job->idle_slots);
	if (!job->ops || !job->idle_slots)
		abort();
	for (i = 0; i < job->depth; i++)
		job->ops[i].buf = job->buffers + i * job->block;
	return NULL;
}

void *file_state_open(size_t size, const struct perf_case *at,
		      const char **out_wrong)
{
	void *state = calloc(1, size);

	if (!state)
		abort();
	*out_wrong = file_job_open(state, at, NULL);
	if (*out_wrong) {
		free(state);
		return NULL;
	}
	return state;
}

void file_job_close(struct file_job *job)
{
	close(job->fd);
	free(job->ops);
	free(job->idle_slots);
	if (job->mapped)
		munmap(job->buffers, job->buffers_len);
	else if (job->own)
		free(job->buffers);
}

const char *file_job_wrong(const struct file_job *job)
{
	if (job->error == -EILSEQ)
		return why("--verify: wrong data at offset %llu",
			   (unsigned long long)job->wrong_at);
	if (job->error == -ENODATA)
		return "a transfer was short";
	return why_errno("a read or write", job->error);
}

void file_job_count(const struct file_job *job, struct counters *out)
{
	memset(out, 0, sizeof *out);
	out->ops = (double)job->total;
	out->calls = out->overflows = out->punts = UNKNOWN;
	out->fixed = out->direct = UNKNOWN;
}
