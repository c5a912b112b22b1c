/* SPDX-License-Identifier: MIT */
/* Counting a tracepoint for all threads of a process. */
#ifndef PEAL_PERF_TRACE_H
#define PEAL_PERF_TRACE_H

#include <sys/types.h>

#define TRACE_CALLS	"raw_syscalls/sys_enter"
#define TRACE_PUNTS	"io_uring/io_uring_queue_async_work"

struct trace;

/* Counts event from now on, in the threads that pid has now and in those that
 * they start. NULL, or why not: it needs root and tracefs. */
const char *trace_open(struct trace **out_trace, pid_t pid, const char *event);
double trace_count(const struct trace *trace);
void trace_close(struct trace *trace);

#endif
