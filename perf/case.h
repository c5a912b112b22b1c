/* SPDX-License-Identifier: MIT */
/*
 * A case is one point of a matrix: a value for each axis of a workload. Axes
 * are options of the command line (--depth 1,32) and columns of every output,
 * so a workload names them once and nothing else needs to know them.
 */
#ifndef PEAL_PERF_CASE_H
#define PEAL_PERF_CASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CASE_AXES	16
#define CASE_VALUE	24	/* bytes of a value, with its NUL */
#define CASE_VALUES	32	/* values of one axis in one run */

struct axis {
	const char *name;	/* --name LIST */
	const char *values;	/* the list when the user gives none */
	const char *known;	/* the words there are; NULL: numbers, which
				 * may end in k, M or G (of 1024) */
	const char *all;	/* the list of a sweep; NULL: values */
	int variant;		/* 1: another way to do the same work; rows
				 * that differ only there are compared */
	const char *help;
};

struct perf_case {
	const struct axis *axes;
	unsigned count;
	char value[CASE_AXES][CASE_VALUE];
};

struct matrix {
	const struct axis *axes;
	unsigned count;
	unsigned sizes[CASE_AXES];
	char values[CASE_AXES][CASE_VALUES][CASE_VALUE];
};

/* The value of an axis; naming one that is not there is a bug and aborts. */
const char *case_text(const struct perf_case *at, const char *axis);
uint64_t case_number(const struct perf_case *at, const char *axis);
int case_is(const struct perf_case *at, const char *axis, const char *value);

/* Do both do the same work: are they equal but for variant axes, if not those
 * count, too, and for the axes of a list (or NULL)? */
int case_same_work(const struct perf_case *a, const struct perf_case *b,
		   int variants_too, const char *across);
/* Is word one of a list "a,b,c"? Of NULL: no. */
int list_has(const char *list, const char *word);
/* "depth=32 block=4096": to, at most size bytes. */
void case_print(const struct perf_case *at, char *to, size_t size);

/* 4k, 1M, 64: 0, or -1 if text is no such number. */
int case_parse_number(const char *text, uint64_t *out);

/* All axes at their own list: .values, or .all for a sweep. */
void matrix_default(struct matrix *matrix, const struct axis *axes,
		    unsigned count, int sweep);
/* A list from the user. NULL, or what is wrong with it. */
const char *matrix_set(struct matrix *matrix, const char *axis,
		       const char *list);
/* 1 if it names an axis. */
int matrix_has(const struct matrix *matrix, const char *axis);
unsigned matrix_size(const struct matrix *matrix);
/* How many of them do the same work. */
unsigned matrix_variants(const struct matrix *matrix);
/* Leaves of each variant axis the first value only. */
void matrix_one_variant(struct matrix *matrix);
/* Case number index of them; variants vary fastest, so that cases of the same
 * work follow each other. */
void matrix_case(const struct matrix *matrix, unsigned index,
		 struct perf_case *out);

#ifdef __cplusplus
}
#endif
#endif
