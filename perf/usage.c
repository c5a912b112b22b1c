/* SPDX-License-Identifier: MIT */
/*
 * The process's clock counts its threads and the kernel's workers for its
 * rings. Workers are threads named iou-wrk-*: what they used by themselves is
 * in their schedstat.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "peal.h"
#include "perf/measure.h"
#include "perf/usage.h"

static int counter = -1, counter_error = 1;	/* 1: not tried yet */

static int open_counter(pid_t pid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof attr,
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.inherit = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1,
			    PERF_FLAG_FD_CLOEXEC);
}

static void open_own_counter(void)
{
	if (counter_error <= 0)
		return;
	counter = open_counter(0);
	counter_error = counter < 0 ? -errno : 0;
}

const char *measure_no_instructions(void)
{
	open_own_counter();
	if (!counter_error)
		return NULL;
	if (counter_error == -ENOENT)
		return "this (virtual) machine shows no PMU";
	return why("perf_event_open: %s; kernel.perf_event_paranoid is above "
		   "1?", peal_strerror(counter_error));
}

int usage_counter(pid_t pid)
{
	return measure_no_instructions() ? -1 : open_counter(pid);
}

static double instructions(int fd)
{
	uint64_t value;

	if (fd < 0 || read(fd, &value, sizeof value) != sizeof value)
		return -1;
	return (double)value;
}

/* --- threads ------------------------------------------------------------- */

static int read_text(int dir, const char *thread, const char *name, char *to,
		     size_t size)
{
	char path[300];
	ssize_t got;
	int fd;

	snprintf(path, sizeof path, "%s/%s", thread, name);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : read(fd, to, size - 1);
	if (fd >= 0)
		close(fd);
	to[got < 0 ? 0 : got] = '\0';
	return got > 0;
}

/* A thread's schedstat: nanoseconds run, nanoseconds waited, times run. */
static void add_thread(int dir, const char *thread, struct usage *out)
{
	char text[96], *at;
	double ran;

	if (!read_text(dir, thread, "schedstat", text, sizeof text))
		return;
	ran = strtod(text, &at);
	strtod(at, &at);
	out->switches += strtod(at, NULL);
	if (read_text(dir, thread, "comm", text, sizeof text) &&
	    strncmp(text, "iou-wrk", 7) == 0)
		out->worker_ns += ran;
}

static void add_threads(const char *path, struct usage *out)
{
	DIR *tasks = opendir(path);
	struct dirent *entry;

	out->worker_ns = out->switches = 0;
	while (tasks && (entry = readdir(tasks)))
		if (entry->d_name[0] != '.')
			add_thread(dirfd(tasks), entry->d_name, out);
	if (tasks)
		closedir(tasks);
}

void usage_of(pid_t pid, int its_counter, struct usage *out)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	add_threads(path, out);
	out->instructions = instructions(its_counter);
}

/* --- this process -------------------------------------------------------- */

static double clock_ns(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* Those of threads that have ended, too, which no schedstat tells. */
static double switches(void)
{
	struct rusage rusage;

	getrusage(RUSAGE_SELF, &rusage);
	return (double)(rusage.ru_nvcsw + rusage.ru_nivcsw);
}

void usage_before(struct usage *out)
{
	open_own_counter();
	add_threads("/proc/self/task", out);
	out->switches = switches();
	out->instructions = instructions(counter);
	out->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	out->wall_ns = clock_ns(CLOCK_MONOTONIC);
}

void usage_after(struct usage *out)
{
	out->wall_ns = clock_ns(CLOCK_MONOTONIC);
	out->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	out->instructions = instructions(counter);
	add_threads("/proc/self/task", out);
	out->switches = switches();
}
