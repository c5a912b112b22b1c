/* SPDX-License-Identifier: MIT */
/*
 * System calls of another process, counted by the kernel (the tracepoint
 * raw_syscalls:sys_enter), not by ptrace: strace makes a server ten times
 * slower, and a slow server waits less often. The tracepoint makes every system
 * call of the machine a little slower while it is open, so it is open only in
 * slices that are not timed.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "perf/net_child.h"
#include "perf/side.h"

struct net_calls {
	unsigned count;
	int fds[];		/* a counter per thread */
};

static long long tracepoint(void)
{
	static const char *const roots[] = { "/sys/kernel/tracing",
					     "/sys/kernel/debug/tracing" };
	char path[128];
	unsigned i;
	FILE *file;
	long long id = -1;

	for (i = 0; i < 2 && id < 0; i++) {
		snprintf(path, sizeof path,
			 "%s/events/raw_syscalls/sys_enter/id", roots[i]);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%lld", &id) != 1)
			id = -1;
		fclose(file);
	}
	return id;
}

static int count_thread(long long id, pid_t thread)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT,
					.size = sizeof attr };

	attr.config = (uint64_t)id;
	attr.inherit = 1;
	return (int)syscall(SYS_perf_event_open, &attr, thread, -1, -1,
			    PERF_FLAG_FD_CLOEXEC);
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

const char *net_calls_open(struct net_calls **out_calls, pid_t pid)
{
	enum { MOST = 4096 };
	pid_t *threads = malloc(MOST * sizeof *threads);
	struct net_calls *calls = malloc(sizeof *calls + MOST * sizeof(int));
	long long id = tracepoint();
	const char *reason = NULL;
	unsigned i, count;
	int fd;

	if (id < 0)
		reason = "no tracepoint raw_syscalls: be root, and mount -t "
			 "tracefs none /sys/kernel/tracing";
	if (!threads || !calls)
		reason = "no memory";
	count = reason ? 0 : threads_of(pid, threads, MOST);
	if (calls)
		calls->count = 0;
	for (i = 0; i < count && !reason; i++) {
		fd = count_thread(id, threads[i]);
		if (fd >= 0)
			calls->fds[calls->count++] = fd;
		else if (errno != ESRCH)
			reason = why_errno("perf_event_open", -errno);
	}
	free(threads);
	if (!reason) {
		*out_calls = calls;
		return NULL;
	}
	if (calls)
		net_calls_close(calls);
	return reason;
}

double net_calls_count(const struct net_calls *calls)
{
	double sum = 0;
	uint64_t value;
	unsigned i;

	for (i = 0; i < calls->count; i++)
		if (read(calls->fds[i], &value, sizeof value) == sizeof value)
			sum += (double)value;
	return sum;
}

void net_calls_close(struct net_calls *calls)
{
	unsigned i;

	for (i = 0; i < calls->count; i++)
		close(calls->fds[i]);
	free(calls);
}
