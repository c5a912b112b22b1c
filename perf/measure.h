/* SPDX-License-Identifier: MIT */
/*
 * The clockwork. Rows (a case on a side) that are to be compared form a group.
 * All rows of a group are open at once; a round runs a slice of each, in a
 * random order; so what the machine does meanwhile hits all alike, and ratios
 * are taken within rounds. Slices are calibrated to the time there is.
 */
#ifndef PEAL_PERF_MEASURE_H
#define PEAL_PERF_MEASURE_H

#include "perf/side.h"
#include "perf/stats.h"

enum metric {
	WALL_NS,	/* per op */
	CPU_NS,		/* per op, kernel workers included */
	WORKER_NS,	/* of it, in kernel workers (io-wq) */
	SWITCHES,	/* times a thread got a processor, per op */
	INSTRUCTIONS,	/* user and kernel, per op; where there is a counter */
	METRICS
};

struct row {
	struct perf_case at;
	const struct side *side;
	char na[240];		/* why there is no number; "": there is */
	unsigned rounds;	/* complete */
	uint64_t slice_ops;
	uint64_t ops;		/* timed */
	double *samples[METRICS]; /* a value per round */
	struct counters counters;
	struct latency *latency; /* NULL unless asked for */

	/* Per op, in the slice that proves; UNKNOWN without tracepoints. */
	double traced_calls, traced_punts;

	struct crew *crew;	/* the open side, while it is measured */
};

struct measure {
	double seconds;		/* for the group */
	unsigned rounds;
	int latency;		/* note latencies, in slices of their own */
	double rate;		/* of those; see struct slice */
	uint64_t seed;		/* of the order */
	unsigned rings_axis;	/* 1: there is a `rings` axis */
	/* Why what was asked for is not what was done; NULL: it is. */
	const char *(*in_effect)(const struct perf_case *at,
				 const struct counters *counters);
	/* Called between slices with the share done, 0 to 1, and before them,
	 * while rows are opened, with -1 to 0; may be NULL. */
	void (*progress)(double share);
};

extern const char *const metric_names[METRICS]; /* "wall_ns", ... */

/* Set by Ctrl-C: a group ends after the current slice. */
extern volatile int measure_stop;
void measure_catch_signals(void);

/* Is there an instruction counter? NULL, or why not. */
const char *measure_no_instructions(void);

/* Opens, measures and closes count rows. 0; -1: stopped before the end, and
 * rows hold the rounds that are complete. */
int measure_group(struct row *rows, unsigned count,
		  const struct measure *how);

void row_free(struct row *row);
/* The value of its axis number axis, for print: "-" where the side has no such
 * variants. */
const char *row_value(const struct row *row, unsigned axis);

#endif
