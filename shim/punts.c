/* SPDX-License-Identifier: MIT */
/*
 * Counting the ops that io_uring gives to its workers. No completion tells, nor
 * does any file of /proc; the tracepoint io_uring_queue_async_work fires once
 * for each, in the thread that submitted, and names the opcode.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "lib/engine.h"
#include "lib/punts.h"

#define EVENT "events/io_uring/io_uring_queue_async_work/id"

static int event_id(void)
{
	int id = peal__read_number("/sys/kernel/tracing/" EVENT);

	return id >= 0 ? id
		       : peal__read_number("/sys/kernel/debug/tracing/" EVENT);
}

int peal__punt_counter(int opcode)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT,
					.size = sizeof attr };
	char filter[32];
	int id = event_id(), fd;

	if (id < 0)
		return -ENOENT;
	attr.config = (uint64_t)id;
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1,
			  PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(filter, sizeof filter, "opcode == %d", opcode);
	if (opcode < 0 || ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter) == 0)
		return fd;
	close(fd);
	return -EOPNOTSUPP;
}

uint64_t peal__punt_count(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof count) == sizeof count ? count : 0;
}

void peal__punt_close(int fd)
{
	close(fd);
}

static int first_line(const char *task, const char *file, char *line, int len)
{
	char path[320];
	FILE *in;
	int got;

	snprintf(path, sizeof path, "/proc/self/task/%s/%s", task, file);
	in = fopen(path, "re");
	if (!in)
		return 0;
	got = fgets(line, len, in) != NULL;
	fclose(in);
	return got;
}

/* A worker's name is iou-wrk- and the number of the thread it works for. */
void peal__punt_workers(uint64_t *out_ns, uint32_t *out_count)
{
	DIR *tasks = opendir("/proc/self/task");
	char want[32], line[128];
	const struct dirent *task;
	uint64_t ns;

	*out_ns = *out_count = 0;
	if (!tasks)
		return;
	snprintf(want, sizeof want, "iou-wrk-%ld\n", (long)syscall(SYS_gettid));
	while ((task = readdir(tasks)) != NULL) {
		if (!first_line(task->d_name, "comm", line, sizeof line) ||
		    strcmp(line, want) != 0 ||
		    !first_line(task->d_name, "schedstat", line,
				sizeof line) ||
		    sscanf(line, "%" SCNu64, &ns) != 1)
			continue;
		*out_ns += ns;
		++*out_count;
	}
	closedir(tasks);
}
