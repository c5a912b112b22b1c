/* SPDX-License-Identifier: MIT */
/* Reading back what csv.c wrote. */
#ifndef PEAL_PERF_RECORDS_H
#define PEAL_PERF_RECORDS_H

#include "perf/case.h"

#define RECORD_COLUMNS	96

struct records {
	char *text;		/* the file; cells point into it */
	char *environment;	/* its comment lines, without "# " */
	char *head;		/* the line of column names, as it stands */
	unsigned columns, count;
	unsigned axes;		/* columns from 2 on that are axes */
	char *names[RECORD_COLUMNS];
	char **cells;		/* count times columns */
};

/* NULL, or what is wrong with the file. */
const char *records_load(struct records *records, const char *path);
void records_free(struct records *records);

const char *records_cell(const struct records *records, unsigned row,
			 const char *column);	/* "" if there is none */
/* Does the file have such a column? */
int records_has(const struct records *records, const char *column);
/* What its rows are judged by: cpu_ns, or heap_bytes of conns. */
const char *records_metric(const struct records *records);
double records_number(const struct records *records, unsigned row,
		      const char *column);	/* < 0: no number */
/* The samples of a column like cpu_samples; how many. */
unsigned records_samples(const struct records *records, unsigned row,
			 const char *column, double *out, unsigned most);
/* "peal depth=32 block=4k": side and axes, or with names NULL all of them. */
void records_key(const struct records *records, unsigned row, char *to,
		 size_t size);
/* The row with that key, or -1. */
int records_find(const struct records *records, const char *key);

#endif
