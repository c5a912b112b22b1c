/* SPDX-License-Identifier: MIT */
/* What this process or another has used so far, from the kernel's own books. */
#ifndef PEAL_PERF_USAGE_H
#define PEAL_PERF_USAGE_H

#include <sys/types.h>

struct usage {
	double wall_ns;
	double cpu_ns;		/* all threads, kernel workers included */
	double worker_ns;	/* of kernel workers that still live */
	double switches;	/* how often a thread got a processor */
	double instructions;	/* of all threads; < 0: no counter here */
};

/* Around the work: what takes long to read is read outside of it. */
void usage_before(struct usage *out);
void usage_after(struct usage *out);

/* Of another process: its switches, workers and, if it has a counter, its
 * instructions; the clocks are left alone. */
void usage_of(pid_t pid, int counter, struct usage *out);
/* A counter of the instructions of a process that has one thread yet, and of
 * all that it starts; -1: there is none here. The caller closes it. */
int usage_counter(pid_t pid);

#endif
