/* SPDX-License-Identifier: MIT */
/* Counting a tracepoint for all threads of a process. */
#ifndef PEAL_PERF_TRACE_H
#define PEAL_PERF_TRACE_H

#include <sys/types.h>

#define TRACE_CALLS	"raw_syscalls/sys_enter"
#define TRACE_PUNTS	"io_uring/io_uring_queue_async_work"
#define TRACE_ENTRIES	"io_uring/io_uring_submit_req"

struct trace;

/* Counts event from now on, in the threads that pid has now and in those (and
 * the processes) that they start. filter: in the kernel's words, like "opcode
 * == 4", or NULL. NULL, or why not: it needs root and tracefs. */
const char *trace_open(struct trace **out_trace, pid_t pid, const char *event,
		       const char *filter);
double trace_count(const struct trace *trace);
void trace_close(struct trace *trace);

#endif
