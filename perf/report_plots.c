/* SPDX-License-Identifier: MIT */
/*
 * A plot per group: bars of CPU per op, the cheapest variants of each side,
 * with intervals. Where a number axis (depth, batch, count) has several values,
 * also a plot of lines over it, for each combination of the others.
 */
#include <stdlib.h>
#include <string.h>
#include "perf/report.h"

#define MOST_BARS	14
#define TEXT_WIDTH	50

struct bar {
	char label[128];
	double median, low, high;
};

/* --- bars ---------------------------------------------------------------------- */

static int by_median(const void *a, const void *b)
{
	double x = ((const struct bar *)a)->median;
	double y = ((const struct bar *)b)->median;

	return (x > y) - (x < y);
}

/* The cheapest MOST_BARS rows of a group that have a number. */
static unsigned make_bars(const struct group *group, struct bar **out_bars)
{
	struct bar *bars = calloc(group->count, sizeof *bars);
	unsigned i, count = 0;

	if (!bars)
		abort();
	for (i = 0; i < group->count; i++) {
		struct bar *bar = &bars[count];
		unsigned row = group->rows[i];

		bar->median = records_number(group->from, row, "cpu_ns");
		bar->low = records_number(group->from, row, "cpu_ns_low");
		bar->high = records_number(group->from, row, "cpu_ns_high");
		group_label(group, row, bar->label, sizeof bar->label);
		count += bar->median >= 0;
	}
	qsort(bars, count, sizeof *bars, by_median);
	*out_bars = bars;
	return count < MOST_BARS ? count : MOST_BARS;
}

static void text_bars(const struct bar *bars, unsigned count, FILE *out)
{
	double most = 0;
	unsigned i;

	for (i = 0; i < count; i++)
		if (bars[i].median > most)
			most = bars[i].median;
	fprintf(out, "```\n%-32s CPU, ns/op\n", "");
	for (i = 0; i < count; i++) {
		int len = most > 0 ? (int)(bars[i].median / most * TEXT_WIDTH +
					   0.5)
				   : 0;

		fprintf(out, "%-32.32s %10.1f ", bars[i].label,
			bars[i].median);
		while (len-- > 0)
			fputc('#', out);
		fputc('\n', out);
	}
	fprintf(out, "```\n\n");
}

/* gnuplot's strings: no quotes or markup in them. */
static void plain(const char *text, FILE *out)
{
	for (; *text; text++)
		fputc(strchr("\"\\`", *text) ? ' ' : *text, out);
}

static FILE *start_plot(const char *directory, const char *name,
			const char *title, unsigned height)
{
	FILE *plot = popen("gnuplot", "w");

	if (!plot)
		return NULL;
	fprintf(plot, "set terminal svg size 900,%u font 'sans-serif,12' "
		"background 'white'\nset output \"%s/%s\"\n"
		"set title \"", height, directory, name);
	plain(title, plot);
	fprintf(plot, "\" noenhanced\nset grid lc rgb '#dddddd'\n"
		"set border lc rgb '#666666'\n");
	return plot;
}

static int svg_bars(const struct group *group, const struct bar *bars,
		    unsigned count, const char *directory, const char *name)
{
	FILE *plot = start_plot(directory, name, group->title, 90 + 26 * count);
	unsigned i;

	if (!plot)
		return -1;
	fprintf(plot, "set xlabel 'CPU, ns/op (bars: medians; lines: intervals "
		"of 95 %%)'\nset xrange [0:*]\nset yrange [%u.7:-0.7]\n"
		"unset key\nset ytics noenhanced\n$bars << end\n", count - 1);
	for (i = 0; i < count; i++) {
		fprintf(plot, "%u %g %g %g \"", i, bars[i].median, bars[i].low,
			bars[i].high);
		plain(bars[i].label, plot);
		fprintf(plot, "\" %d\n",
			strncmp(bars[i].label, "peal", 4) == 0 ? 0xd95f02
							       : 0x7fa8d1);
	}
	fprintf(plot, "end\nplot $bars using ($2/2):1:($2/2):(0.36):6:"
		"ytic(5) with boxxyerror fs solid 0.9 noborder lc rgb variable,"
		" '' using 2:1:3:4 with xerrorbars pt 0 lc rgb '#222222'\n");
	return pclose(plot) == 0 ? 0 : -1;
}

static void one_group(const struct group *group, const char *directory,
		      const char *name, int with_gnuplot, FILE *report)
{
	struct bar *bars;
	unsigned count = make_bars(group, &bars);

	if (count > 1) {
		fprintf(report, "%s\n\n", group->title);
		if (with_gnuplot &&
		    svg_bars(group, bars, count, directory, name) == 0)
			fprintf(report, "![%s](%s)\n\n", group->title, name);
		else
			text_bars(bars, count, report);
	}
	free(bars);
}

/* --- lines ------------------------------------------------------------------------ */

/* The number axis that varies most, or -1. */
static int line_axis(const struct records *from)
{
	uint64_t value;
	unsigned i;

	for (i = 0; i < from->axes; i++)
		if (!records_is_variant(from, i) && records_varies(from, i) &&
		    case_parse_number(from->cells[2 + i], &value) == 0)
			return (int)i;
	return -1;
}

/* The title of a group without one axis. */
static void without(const struct group *group, const char *axis, char *to,
		    size_t size)
{
	const char *at = group->title;
	size_t used = 0, name = strlen(axis);

	to[0] = '\0';
	while (*at) {
		size_t len = strcspn(at, " ");

		if (strncmp(at, axis, name) != 0 || at[name] != '=')
			used += (size_t)snprintf(to + used, size - used,
						 "%s%.*s", used ? " " : "",
						 (int)len, at);
		if (used >= size)
			break;
		at += len + (at[len] == ' ');
	}
}

/* The cheapest row of a side in a group, or -1. */
static int best_of(const struct group *group, const char *side)
{
	int best = -1;
	unsigned i;

	for (i = 0; i < group->count; i++) {
		unsigned row = group->rows[i];
		double cpu = records_number(group->from, row, "cpu_ns");

		if (cpu >= 0 &&
		    strcmp(records_cell(group->from, row, "side"), side) == 0 &&
		    (best < 0 ||
		     cpu < records_number(group->from, (unsigned)best,
					  "cpu_ns")))
			best = (int)row;
	}
	return best;
}

struct lines {
	const struct records *from;
	const struct group *groups;
	unsigned count;
	const char *axis;
	char title[256];	/* of the groups that belong to it */
};

static int belongs(const struct lines *lines, const struct group *group)
{
	char title[256];

	without(group, lines->axis, title, sizeof title);
	return strcmp(title, lines->title) == 0;
}

/* One block of data: a side's best row at each value. Points written. */
static unsigned side_points(const struct lines *lines, const char *side,
			    FILE *out)
{
	unsigned i, points = 0;

	for (i = 0; i < lines->count; i++) {
		const struct group *group = &lines->groups[i];
		int row = belongs(lines, group) ? best_of(group, side) : -1;
		uint64_t x;

		if (row < 0 ||
		    case_parse_number(records_cell(lines->from, (unsigned)row,
						   lines->axis), &x) < 0)
			continue;
		if (out)
			fprintf(out, "%llu %g %g %g\n", (unsigned long long)x,
				records_number(lines->from, (unsigned)row,
					       "cpu_ns"),
				records_number(lines->from, (unsigned)row,
					       "cpu_ns_low"),
				records_number(lines->from, (unsigned)row,
					       "cpu_ns_high"));
		points++;
	}
	return points;
}

/* The names of all sides that have a line. */
static unsigned line_sides(const struct lines *lines, const char **sides,
			   unsigned most)
{
	unsigned i, n, count = 0;

	for (i = 0; i < lines->from->count && count < most; i++) {
		const char *side = records_cell(lines->from, i, "side");

		for (n = 0; n < count; n++)
			if (strcmp(sides[n], side) == 0)
				break;
		if (n == count && side_points(lines, side, NULL) > 1)
			sides[count++] = side;
	}
	return count;
}

/* peal is orange, as in the bars. */
static const char *const colours[] = {
	"#1b4f72", "#1b9e77", "#7570b3", "#e7298a", "#66a61e", "#666666",
	"#5dade2", "#8d6e63",
};
#define COLOURS (sizeof colours / sizeof *colours)

static int svg_lines(const struct lines *lines, const char *directory,
		     const char *name)
{
	const char *sides[20];
	unsigned count = line_sides(lines, sides, 20), i;
	FILE *plot;

	if (!count)
		return -1;
	plot = start_plot(directory, name, lines->title, 420);
	if (!plot)
		return -1;
	fprintf(plot, "set xlabel '%s'\nset logscale x 2\nset logscale y\nset ylabel "
		"'CPU, ns/op, of each side the cheapest variant'\n"
		"set key outside right noenhanced\n", lines->axis);
	for (i = 0; i < count; i++) {
		fprintf(plot, "$side%u << end\n", i);
		side_points(lines, sides[i], plot);
		fprintf(plot, "end\n");
	}
	for (i = 0; i < count; i++) {
		int ours = strncmp(sides[i], "peal", 4) == 0;

		fprintf(plot, "%s $side%u using 1:2:3:4 with yerrorlines "
			"lw %s lc rgb '%s' pt 7 ps 0.5 title \"%s\"",
			i ? "," : "plot", i, ours ? "3" : "1.5",
			ours ? "#d95f02" : colours[i % COLOURS], sides[i]);
	}
	fputc('\n', plot);
	return pclose(plot) == 0 ? 0 : -1;
}

static void all_lines(const struct records *from, const struct group *groups,
		      unsigned count, const char *directory, unsigned index,
		      FILE *report)
{
	int axis = line_axis(from);
	unsigned i, n, plots = 0;
	struct lines lines = { from, groups, count, NULL, "" };

	if (axis < 0)
		return;
	lines.axis = from->names[2 + axis];
	for (i = 0; i < count; i++) {
		char name[64];

		without(&groups[i], lines.axis, lines.title,
			sizeof lines.title);
		/* Each combination once, with its first group. */
		for (n = 0; n < i; n++)
			if (belongs(&lines, &groups[n]))
				break;
		if (n < i)
			continue;
		snprintf(name, sizeof name, "lines-%u-%u.svg", index, plots++);
		if (svg_lines(&lines, directory, name) == 0)
			fprintf(report, "![over %s](%s)\n\n", lines.axis,
				name);
	}
}

void plots_write(const struct records *from, const struct group *groups,
		 unsigned count, const char *directory, unsigned index,
		 int with_gnuplot, FILE *report)
{
	char name[64];
	unsigned i;

	if (with_gnuplot)
		all_lines(from, groups, count, directory, index, report);
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof name, "bars-%u-%u.svg", index, i);
		one_group(&groups[i], directory, name, with_gnuplot, report);
	}
}
