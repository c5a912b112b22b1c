/* SPDX-License-Identifier: MIT */
/*
 * A side is one way of doing a workload: peal, bare liburing, libuv, threads.
 * It opens what a case asks for, does a number of operations when told to, and
 * says what it really did. It measures nothing: measure.c does, around run().
 *
 * A side is used by one thread at a time, always the same one: the workload's
 * `rings` axis, if it has one, opens the side once in each of so many threads.
 * Many sides are open at once, and all but one of them rest.
 */
#ifndef PEAL_PERF_SIDE_H
#define PEAL_PERF_SIDE_H

#include <stdint.h>
#include "perf/case.h"
#include "perf/latency.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One piece of work that is timed as a whole. */
struct slice {
	uint64_t ops;		/* to do: exactly as many */
	struct latency *latency; /* NULL, or where to note each op's, in ns */
	double rate;		/* ops per second to start; 0: each as soon as
				 * another has ended. The latency counts from
				 * when an op should have started */
	int prove;		/* the slice is not timed: look at each entry
				 * before it is submitted, for count() */

	/* Filled in by a side whose work is not what this process did
	 * meanwhile (a server in a child, another program). < 0 as given:
	 * measure.c takes its own. */
	double wall_ns;
	double cpu_ns;		/* all threads, the kernel's workers too */
	/* Filled in beside cpu_ns, or < 0: it cannot tell. */
	double worker_ns, switches, instructions;
};

#define COUNT_OPCODES	80
#define COUNT_EXTRAS	6

/* What a side has done since it was opened. UNKNOWN where it cannot tell. */
#define UNKNOWN		(-1.0)
struct counters {
	double ops;		/* completed */
	double calls;		/* system calls to submit and to wait */
	double overflows;	/* of the completion queue */
	double punts;		/* ops given to a kernel worker */

	/* From entries seen before they were submitted, or the library's
	 * statistics; 0 entries: this side has none. */
	double entries;
	double data;		/* of them reads, writes, sends, receives */
	double fixed;		/* of data: from a registered buffer */
	double direct;		/* of data: on a registered descriptor */
	double flagged;		/* of data: with RWF_ flags */
	uint64_t by_op[COUNT_OPCODES]; /* by io_uring's opcode */

	char mode[96];		/* flags the ring really has, the engine */

	/* More that is worth a column: "bytes per connection", 169. A name has
	 * no comma; extra[i].name NULL: none from here on. */
	struct { const char *name; double value; } extra[COUNT_EXTRAS];
};

struct side {
	const char *name;	/* "peal", "bare", "libuv" */
	const char *absent;	/* why it is not in this program: "libuv was
				 * not installed when this was built"; NULL */
	/* NULL: *out_state is open. Or why this side cannot do this case here
	 * ("no registered buffers"): the row says n/a and this. Nothing is left
	 * open then. Whatever an open, a run or a count may say: see why(). */
	const char *(*open)(void **out_state, const struct perf_case *at);
	/* NULL, or what failed: the row becomes n/a. */
	const char *(*run)(void *state, struct slice *slice);
	void (*count)(void *state, struct counters *out);
	void (*close)(void *state);
	int no_variants;	/* it knows one way only: one row per work, each
				 * variant axis at the first of its values */
	int only_if_named;	/* takes long: runs if --side has it */
	double least_slice_ns;	/* a slice is not shorter; 0: any */
};

/* A side that is not in this program. */
#define SIDE_ABSENT(side_name, package)					\
	{ .name = (side_name),						\
	  .absent = package " was not installed when this was built" }

/* printf into the calling thread's own line; good until its next why(). */
const char *why(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
/* why("%s: %s", what, the error's text); error: negative errno. */
const char *why_errno(const char *what, long long error);

uint64_t clock_now(void);	/* ns, CLOCK_MONOTONIC */

#ifdef __cplusplus
}
#endif
#endif
