/* SPDX-License-Identifier: MIT */
/* What this process has used so far, from the kernel's own books. */
#ifndef PEAL_PERF_USAGE_H
#define PEAL_PERF_USAGE_H

struct usage {
	double wall_ns;
	double cpu_ns;		/* all threads, kernel workers included */
	double worker_ns;	/* of kernel workers that still live */
	double switches;	/* context switches of all threads */
	double instructions;	/* of all threads; < 0: no counter here */
};

/* Around the work: what takes long to read is read outside of it. */
void usage_before(struct usage *out);
void usage_after(struct usage *out);

#endif
