/* SPDX-License-Identifier: MIT */
/*
 * A workload is what several sides do alike: its axes, its sides, what makes a
 * case valid and a variant true. bench_main() is the rest of the command:
 * options, rows, measuring, output.
 */
#ifndef PEAL_PERF_BENCH_H
#define PEAL_PERF_BENCH_H

#include <stdio.h>
#include "perf/measure.h"

/* An option of one workload beside its axes: --size 64M. */
struct bench_option {
	const char *name;
	const char **value;	/* NULL value: a flag, which becomes "1" */
	int flag;
	const char *help;
};

struct workload {
	const char *name;	/* the command */
	const char *line;	/* of what it measures */
	const char *op;		/* what is counted: "read", "message" */
	const struct axis *axes;
	unsigned axis_count;
	const struct side *const *sides; /* ends with NULL; the first one is
					  * what the others are compared to */
	const struct bench_option *options; /* ends with a NULL name, or NULL */

	int open_loop;		/* its sides know slice.rate */

	/* The rest may be NULL. */
	const char *(*prepare)(void);	/* files and such; why not */
	void (*finish)(void);
	/* Why a case makes no sense on any side; NULL: it does. */
	const char *(*senseless)(const struct perf_case *at);
	/* See struct measure. */
	const char *(*in_effect)(const struct perf_case *at,
				 const struct counters *counters);
};

struct bench {
	const struct workload *workload;
	struct matrix matrix;
	struct measure how;
	const char *sides;	/* a list; NULL: all */
	const char *against;	/* a side; NULL: the workload's first */
	int same;		/* compare only equal variants */
	const char *across;	/* a list of axes: compare what differs there,
				 * too; or NULL */
	const char *csv, *json;	/* "-": standard output */
	int quiet, no_table;
	struct row *rows;
	unsigned count;
};

/* The whole command. Returns the exit status: 2 for bad arguments. */
int bench_main(const struct workload *workload, int argc, char **argv);

/* Its parts, for sweep and compare. */
void bench_start(struct bench *bench, const struct workload *workload,
		 int sweep);
int bench_parse(struct bench *bench, int argc, char **argv); /* 0, or 2 with
							      * the reason said */
void bench_usage(const struct workload *workload, FILE *out);
/* Rows for cases from to to - 1 of the matrix, on all sides that are wanted. */
void bench_rows_between(struct bench *bench, unsigned from, unsigned to);
/* One more; the caller has made room. */
void bench_add_row(struct bench *bench, const struct perf_case *at,
		   const struct side *side);
int bench_measure(struct bench *bench);	/* the exit status: 0, 1, or 130 if it
					 * was stopped */
int bench_write(const struct bench *bench); /* all outputs; 0, or 1 */
void bench_free(struct bench *bench);	/* the rows */

/* The row that row is compared to: the one of the reference side that does the
 * same work with the least CPU, or with bench->same in the same way. NULL:
 * there is none, or it is the row itself. */
const struct row *bench_reference(const struct bench *bench,
				  const struct row *row);

/* Outputs. */
void table_print(const struct bench *bench, FILE *out);
void csv_head(const struct workload *workload, FILE *out);
void csv_row(const struct workload *workload, const struct row *row, FILE *out);
/* The opcode from *at on that was seen: its name, and *at is it; NULL: none. */
const char *opcode_seen(const struct counters *counters, unsigned *at);
void json_print(const struct bench *bench, FILE *out);
/* Its parts, for commands that have other rows. */
void json_environment(FILE *out);
void json_pair(const char *before, const char *name, const char *value,
	       FILE *out);
/* One line on stderr, rewritten in place, if that is a terminal. */
void progress_show(const char *what, double share, uint64_t began_ns);
void progress_end(void);

#endif
