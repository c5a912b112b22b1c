/* SPDX-License-Identifier: MIT */
/* What the parts of report share: groups of rows that do the same work. */
#ifndef PEAL_PERF_REPORT_H
#define PEAL_PERF_REPORT_H

#include <stdio.h>
#include "perf/records.h"
#include "perf/stats.h"

struct group {
	const struct records *from;
	char title[256];	/* the work: "block=4k depth=32 ..." */
	unsigned *rows, count;
	int reference;		/* a row; < 0: none has a number */
};

/* Which axes are variants is the workload's to say; of a workload that is not
 * known, none. Returns how many; groups_free() them. */
unsigned groups_make(const struct records *from, struct group **out_groups);
void groups_free(struct group *groups, unsigned count);
/* "peal plain fd": the side and its variants. */
void group_label(const struct group *group, unsigned row, char *to,
		 size_t size);
int records_is_variant(const struct records *from, unsigned axis);
/* Has axis number axis (from 0) more than one value? */
int records_varies(const struct records *from, unsigned axis);

/* Plots of all groups: of a number axis that varies against CPU, else bars. */
void plots_write(const struct records *from, const struct group *groups,
		 unsigned count, const char *directory, unsigned index,
		 int with_gnuplot, FILE *report);
/* The lines among them; with gnuplot only. */
void lines_write(const struct records *from, const struct group *groups,
		 unsigned count, const char *directory, unsigned index,
		 FILE *report);

/* A pipe to gnuplot that draws into this file, or NULL. */
FILE *plot_open(const char *directory, const char *name,
		const struct records *from, const char *title, unsigned height);
int plot_close(FILE *plot);	/* 0, or -1: there is no such picture */
/* Text for gnuplot's double quotes. */
void plot_text(const char *text, FILE *out);
/* The median and its interval of what the rows are judged by; < 0: none. */
void plot_metric(const struct records *from, unsigned row, double *median,
		 double *low, double *high);
const char *plot_metric_label(const struct records *from);

#endif
