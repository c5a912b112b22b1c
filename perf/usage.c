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

static void open_counter(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof attr,
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.inherit = 1,
	};

	counter = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1,
			       PERF_FLAG_FD_CLOEXEC);
	counter_error = counter < 0 ? -errno : 0;
}

const char *measure_no_instructions(void)
{
	if (counter_error > 0)
		open_counter();
	if (!counter_error)
		return NULL;
	if (counter_error == -ENOENT)
		return "this (virtual) machine shows no PMU";
	return why("perf_event_open: %s; kernel.perf_event_paranoid is above "
		   "1?", peal_strerror(counter_error));
}

static double instructions(void)
{
	uint64_t value;

	if (counter_error > 0)
		open_counter();
	if (counter < 0 ||
	    read(counter, &value, sizeof value) != sizeof value)
		return -1;
	return (double)value;
}

static int read_text(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, to, size - 1);

	if (fd >= 0)
		close(fd);
	to[got < 0 ? 0 : got] = '\0';
	return got > 0;
}

static double worker_ns(const char *thread)
{
	char path[300], text[64];

	snprintf(path, sizeof path, "/proc/self/task/%s/comm", thread);
	if (!read_text(path, text, sizeof text) ||
	    strncmp(text, "iou-wrk", 7) != 0)
		return 0;
	snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", thread);
	return read_text(path, text, sizeof text) ? strtod(text, NULL) : 0;
}

static double all_workers_ns(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	double sum = 0;

	if (!tasks)
		return 0;
	while ((entry = readdir(tasks)))
		if (entry->d_name[0] != '.')
			sum += worker_ns(entry->d_name);
	closedir(tasks);
	return sum;
}

static double clock_ns(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static double switches(void)
{
	struct rusage rusage;

	getrusage(RUSAGE_SELF, &rusage);
	return (double)(rusage.ru_nvcsw + rusage.ru_nivcsw);
}

void usage_before(struct usage *out)
{
	out->worker_ns = all_workers_ns();
	out->switches = switches();
	out->instructions = instructions();
	out->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	out->wall_ns = clock_ns(CLOCK_MONOTONIC);
}

void usage_after(struct usage *out)
{
	out->wall_ns = clock_ns(CLOCK_MONOTONIC);
	out->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	out->instructions = instructions();
	out->switches = switches();
	out->worker_ns = all_workers_ns();
}
