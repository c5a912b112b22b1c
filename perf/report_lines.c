/* SPDX-License-Identifier: MIT */
/*
 * Where a number axis (depth, batch, count) has several values, a plot of lines
 * over it, for each combination of the others: of each side the cheapest row.
 */
#include <stdlib.h>
#include <string.h>
#include "perf/report.h"

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
		const char *name = records_metric(group->from);
		double is = records_number(group->from, row, name);

		if (is >= 0 &&
		    strcmp(records_cell(group->from, row, "side"), side) == 0 &&
		    (best < 0 ||
		     is < records_number(group->from, (unsigned)best, name)))
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
		double is, low, high;
		uint64_t x;

		if (row < 0 ||
		    case_parse_number(records_cell(lines->from, (unsigned)row,
						   lines->axis), &x) < 0)
			continue;
		plot_metric(lines->from, (unsigned)row, &is, &low, &high);
		if (out)
			fprintf(out, "%llu %g %g %g\n", (unsigned long long)x,
				is, low, high);
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

/* peal's sides are thick and of oranges, as in the bars; the others go through
 * the colours, then again with other points and dashes. */
static const char *const colours[] = {
	"#1b4f72", "#1b9e77", "#7570b3", "#e7298a", "#66a61e", "#666666",
	"#5dade2", "#8d6e63",
};
static const char *const oranges[] = {
	"#d95f02", "#f39c12", "#b03a2e", "#f5b041", "#784212",
};
#define COLOURS (sizeof colours / sizeof *colours)
#define ORANGES (sizeof oranges / sizeof *oranges)

static void style_lines(const char *const *sides, unsigned count, FILE *plot)
{
	unsigned i, ours = 0, others = 0;

	for (i = 0; i < count; i++) {
		int is_ours = strncmp(sides[i], "peal", 4) == 0;
		unsigned n = is_ours ? ours++ : others++;
		unsigned again = n / (is_ours ? ORANGES : COLOURS);

		fprintf(plot, "%s $side%u using 1:2:3:4:xtic(1) "
			"with yerrorlines "
			"lw %s lc rgb '%s' pt %u dt %u ps 0.6 title \"%s\"",
			i ? "," : "plot", i, is_ours ? "2.5" : "1.5",
			is_ours ? oranges[n % ORANGES] : colours[n % COLOURS],
			is_ours ? 7 : 5 + 4 * again, again + 1, sides[i]);
	}
	fputc('\n', plot);
}

/* Has the axis a value that has no logarithm? */
static int has_zero(const struct lines *lines)
{
	uint64_t x;
	unsigned i;

	for (i = 0; i < lines->from->count; i++)
		if (case_parse_number(records_cell(lines->from, i, lines->axis),
				      &x) == 0 && x == 0)
			return 1;
	return 0;
}

static int svg_lines(const struct lines *lines, const char *directory,
		     const char *name)
{
	const char *sides[20];
	unsigned count = line_sides(lines, sides, 20), i;
	FILE *plot;

	if (!count)
		return -1;
	plot = plot_open(directory, name, lines->from, lines->title,
			  count > 8 ? 560 : 420);
	if (!plot)
		return -1;
	/* Round tens would leave most of it empty. */
	fprintf(plot, "set xlabel '%s'\n%sset logscale y\n"
		"set yrange [] noextend\nset autoscale yfix\n"
		"set offsets graph 0.02, graph 0.02, graph 0.05, graph 0.05\n"
		"set ytics add ('20' 20, '50' 50, '200' 200, '500' 500, "
		"'2000' 2000, '5000' 5000, '20000' 20000, '50000' 50000)\n"
		"set ylabel '%s, of each side the cheapest variant'\n"
		"set key outside right noenhanced spacing 1.1\n",
		lines->axis, has_zero(lines) ? "" : "set logscale x 2\n",
		plot_metric_label(lines->from));
	for (i = 0; i < count; i++) {
		fprintf(plot, "$side%u << end\n", i);
		side_points(lines, sides[i], plot);
		fprintf(plot, "end\n");
	}
	style_lines(sides, count, plot);
	return plot_close(plot);
}

void lines_write(const struct records *from, const struct group *groups,
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
