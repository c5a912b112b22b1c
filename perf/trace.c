/* SPDX-License-Identifier: MIT */
/*
 * Counts what the kernel does for a process, by its tracepoints and not by
 * ptrace: strace makes a server ten times slower, and a slow server waits less
 * often. A tracepoint makes what it counts a little slower on the whole
 * machine while it is open, so it is open only in slices that are not timed.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "perf/side.h"
#include "perf/trace.h"

struct trace {
	unsigned count;
	int fds[];		/* a counter per thread */
};

static long long tracepoint(const char *event)
{
	static const char *const roots[] = { "/sys/kernel/tracing",
					     "/sys/kernel/debug/tracing" };
	char path[160];
	unsigned i;
	FILE *file;
	long long id = -1;

	for (i = 0; i < 2 && id < 0; i++) {
		snprintf(path, sizeof path,
			 "%s/events/%s/id", roots[i], event);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%lld", &id) != 1)
			id = -1;
		fclose(file);
	}
	return id;
}

static int count_thread(long long id, pid_t thread, const char *filter)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT,
					.size = sizeof attr };
	int fd;

	attr.config = (uint64_t)id;
	attr.inherit = 1;
	fd = (int)syscall(SYS_perf_event_open, &attr, thread, -1, -1,
			  PERF_FLAG_FD_CLOEXEC);
	if (fd >= 0 && filter &&
	    ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static unsigned threads_of(pid_t pid, pid_t *out, unsigned most)
{
	char path[64];
	struct dirent *entry;
	unsigned count = 0;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && count < most && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			out[count++] = (pid_t)atoi(entry->d_name);
	if (dir)
		closedir(dir);
	return count;
}

const char *trace_open(struct trace **out_trace, pid_t pid,
		       const char *event, const char *filter)
{
	enum { MOST = 4096 };
	pid_t *threads = malloc(MOST * sizeof *threads);
	struct trace *trace = malloc(sizeof *trace + MOST * sizeof(int));
	long long id = tracepoint(event);
	const char *reason = NULL;
	unsigned i, count;
	int fd;

	if (id < 0)
		reason = "no tracepoints: be root, and mount -t "
			 "tracefs none /sys/kernel/tracing";
	if (!threads || !trace)
		reason = "no memory";
	count = reason ? 0 : threads_of(pid, threads, MOST);
	if (trace)
		trace->count = 0;
	for (i = 0; i < count && !reason; i++) {
		fd = count_thread(id, threads[i], filter);
		if (fd >= 0)
			trace->fds[trace->count++] = fd;
		else if (errno != ESRCH)
			reason = why_errno("perf_event_open", -errno);
	}
	free(threads);
	if (!reason) {
		*out_trace = trace;
		return NULL;
	}
	if (trace)
		trace_close(trace);
	return reason;
}

double trace_count(const struct trace *trace)
{
	double sum = 0;
	uint64_t value;
	unsigned i;

	for (i = 0; i < trace->count; i++)
		if (read(trace->fds[i], &value, sizeof value) == sizeof value)
			sum += (double)value;
	return sum;
}

void trace_close(struct trace *trace)
{
	unsigned i;

	for (i = 0; i < trace->count; i++)
		close(trace->fds[i]);
	free(trace);
}
