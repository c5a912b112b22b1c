/* SPDX-License-Identifier: MIT */
/*
 * A plot per group: bars of CPU per op, of each side the cheapest variant and
 * then the cheapest others, with intervals; below them the sides that have no
 * number, and why.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "perf/report.h"

#define MOST_BARS	14
#define TEXT_WIDTH	50

struct bar {
	char label[128];
	const char *side, *na;	/* na: "", or why the side has no number */
	double median, low, high;
	int chosen;
};

void plot_metric(const struct records *from, unsigned row, double *median,
		 double *low, double *high)
{
	const char *name = records_metric(from);
	char end[64];

	*median = records_number(from, row, name);
	snprintf(end, sizeof end, "%s_low", name);
	*low = records_number(from, row, end);
	snprintf(end, sizeof end, "%s_high", name);
	*high = records_number(from, row, end);
}

const char *plot_metric_label(const struct records *from)
{
	return strcmp(records_metric(from), "cpu_ns") == 0
		       ? "CPU, ns/op"
		       : "bytes per connection";
}

/* --- bars ---------------------------------------------------------------- */

static int by_median(const void *a, const void *b)
{
	double x = ((const struct bar *)a)->median;
	double y = ((const struct bar *)b)->median;

	return (x > y) - (x < y);
}

static int by_choice(const void *a, const void *b)
{
	const struct bar *x = a, *y = b;

	return x->chosen != y->chosen ? y->chosen - x->chosen
				      : by_median(a, b);
}

static int has_side(const struct bar *bars, unsigned count, const char *side)
{
	while (count--)
		if (strcmp(bars[count].side, side) == 0)
			return 1;
	return 0;
}

/* All rows of a group that have a number, the cheapest first. */
static unsigned bars_of(const struct group *group, struct bar *bars)
{
	unsigned i, count = 0;

	for (i = 0; i < group->count; i++) {
		struct bar *bar = &bars[count];
		unsigned row = group->rows[i];

		bar->side = records_cell(group->from, row, "side");
		bar->na = "";
		plot_metric(group->from, row, &bar->median, &bar->low,
			    &bar->high);
		group_label(group, row, bar->label, sizeof bar->label);
		count += bar->median >= 0;
	}
	qsort(bars, count, sizeof *bars, by_median);
	return count;
}

/* Adds the sides that have none. */
static unsigned add_missing(const struct group *group, struct bar *bars,
			    unsigned count)
{
	unsigned i;

	for (i = 0; i < group->count; i++) {
		unsigned row = group->rows[i];
		const char *side = records_cell(group->from, row, "side");
		struct bar *bar = &bars[count];

		if (has_side(bars, count, side))
			continue;
		memset(bar, 0, sizeof *bar);
		bar->side = side;
		bar->na = records_cell(group->from, row, "na");
		snprintf(bar->label, sizeof bar->label, "%s", side);
		count++;
	}
	return count;
}

/* Returns how many of *out_bars to draw; *out_all: how many have a number. */
static unsigned make_bars(const struct group *group, struct bar **out_bars,
			  unsigned *out_all)
{
	struct bar *bars = calloc(group->count, sizeof *bars);
	unsigned i, count, room = MOST_BARS;

	if (!bars)
		abort();
	count = *out_all = bars_of(group, bars);
	for (i = 0; i < count; i++)
		if (!has_side(bars, i, bars[i].side))
			bars[i].chosen = 1, room -= room > 0;
	for (i = 0; i < count && room; i++)
		if (!bars[i].chosen)
			bars[i].chosen = 1, room--;
	qsort(bars, count, sizeof *bars, by_choice);
	for (i = 0; i < count && bars[i].chosen; i++)
		;
	*out_bars = bars;
	return add_missing(group, bars, i);
}

/* Of the ends of all intervals. */
static double furthest(const struct bar *bars, unsigned count)
{
	double most = 0;

	while (count--)
		if (bars[count].high > most)
			most = bars[count].high;
	return most > 0 ? most : 1;
}

static void text_bars(const struct bar *bars, unsigned count,
		      const char *label, FILE *out)
{
	double most = furthest(bars, count);
	unsigned i;

	fprintf(out, "```\n%-32s %s [95 %%]\n", "", label);
	for (i = 0; i < count; i++) {
		const struct bar *bar = &bars[i];
		int len = (int)(bar->median / most * TEXT_WIDTH + 0.5);
		char range[40];

		if (bar->na[0]) {
			fprintf(out, "%-32.32s n/a: %s\n", bar->label,
				bar->na);
			continue;
		}
		snprintf(range, sizeof range, "[%.1f, %.1f]", bar->low,
			 bar->high);
		fprintf(out, "%-32.32s %10.1f %-20s ", bar->label,
			bar->median, range);
		while (len-- > 0)
			fputc('#', out);
		fputc('\n', out);
	}
	fprintf(out, "```\n\n");
}

/* gnuplot's strings: no quotes or markup in them. */
void plot_text(const char *text, FILE *out)
{
	for (; *text; text++)
		fputc(strchr("\"\\`", *text) ? ' ' : *text, out);
}

FILE *plot_open(const char *directory, const char *name,
		const struct records *from, const char *title, unsigned height)
{
	char *path;
	FILE *plot = NULL;

	/* Not in the shell's nor in gnuplot's text: a name may have anything
	 * in it. */
	if (asprintf(&path, "%s/%s", directory, name) < 0)
		abort();
	if (setenv("PEAL_PLOT", path, 1) == 0)
		plot = popen("exec gnuplot > \"$PEAL_PLOT\"", "we");
	free(path);
	if (!plot)
		return NULL;
	fprintf(plot, "set terminal svg size 900,%u font 'sans-serif,13' "
		"background 'white'\nset title \"", height);
	plot_text(records_cell(from, 0, "workload"), plot);
	plot_text(title[0] ? ": " : "", plot);
	plot_text(title, plot);
	fprintf(plot, "\" noenhanced font ',11'\nset grid lc rgb '#dddddd'\n"
		"set border lc rgb '#666666'\nset tics textcolor rgb "
		"'#222222'\n");
	return plot;
}

/* gnuplot does not say when the disk was full. */
static int is_whole(const char *path)
{
	static const char end[] = "</svg>";
	FILE *in = path ? fopen(path, "re") : NULL;
	char line[256] = "";
	int found = 0;

	while (in && fgets(line, sizeof line, in))
		found |= strstr(line, end) != NULL;
	if (in)
		fclose(in);
	return found;
}

int plot_close(FILE *plot)
{
	int failed = pclose(plot) != 0 || !is_whole(getenv("PEAL_PLOT"));

	if (failed && getenv("PEAL_PLOT"))
		unlink(getenv("PEAL_PLOT"));
	return failed ? -1 : 0;
}

/* Why a side has no bar stands where the bar would be. */
static void write_reason(const struct bar *bar, unsigned at, FILE *plot)
{
	char text[100];

	snprintf(text, sizeof text, "%s", bar->na);
	if (strlen(bar->na) >= sizeof text)
		memcpy(text + sizeof text - 4, "...", 4);
	fprintf(plot, "set label \"n/a: ");
	plot_text(text, plot);
	fprintf(plot, "\" at graph 0.01, first %u left noenhanced "
		"textcolor rgb '#777777'\n", at);
}

static int svg_bars(const struct group *group, const struct bar *bars,
		    unsigned count, unsigned all, const char *directory,
		    const char *name)
{
	FILE *plot = plot_open(directory, name, group->from, group->title,
				100 + 26 * count);
	unsigned i, drawn = 0;

	if (!plot)
		return -1;
	for (i = 0; i < count; i++) {
		drawn += !bars[i].na[0];
		if (bars[i].na[0])
			write_reason(&bars[i], i, plot);
	}
	fprintf(plot, "set xlabel '%s: medians, with intervals of 95 %%",
		plot_metric_label(group->from));
	if (drawn < all)
		fprintf(plot, "; %u of %u variants", drawn, all);
	fprintf(plot, "'\nset xrange [0:%g]\nset yrange [%u.7:-0.7]\n"
		"unset key\n"
		/* A mark beside a short bar's number looks like a minus. */
		"set ytics noenhanced scale 0\n$bars << end\n",
		1.14 * furthest(bars, count), count - 1);
	for (i = 0; i < count; i++) {
		fprintf(plot, "%u %g %g %g \"", i, bars[i].median, bars[i].low,
			bars[i].high);
		plot_text(bars[i].label, plot);
		fprintf(plot, "\" %d\n",
			strncmp(bars[i].label, "peal", 4) == 0 ? 0xd95f02
							       : 0x7fa8d1);
	}
	fprintf(plot, "end\nplot $bars using ($2/2):1:($2/2):(0.36):6:"
		"ytic(5) with boxxyerror fs solid 0.9 noborder lc rgb variable,"
		" '' using ($2>0?$2:NaN):1:3:4 with xerrorbars pt 0 lc rgb "
		"'#222222', '' using ($2>0?$4:NaN):1:(gprintf($2<100?'%%.1f':"
		"'%%.0f', $2)) with labels left offset 0.4,0 font ',10'\n");
	return plot_close(plot);
}

static void one_group(const struct group *group, const char *directory,
		      const char *name, int with_gnuplot, FILE *report)
{
	struct bar *bars;
	unsigned all, count = make_bars(group, &bars, &all);

	if (all && count > 1) {
		fprintf(report, "%s\n\n", group->title);
		if (with_gnuplot && svg_bars(group, bars, count, all, directory,
					     name) == 0)
			fprintf(report, "![%s](%s)\n\n", group->title, name);
		else
			text_bars(bars, count, plot_metric_label(group->from),
				  report);
	}
	free(bars);
}

void plots_write(const struct records *from, const struct group *groups,
		 unsigned count, const char *directory, unsigned index,
		 int with_gnuplot, FILE *report)
{
	char name[64];
	unsigned i;

	if (with_gnuplot)
		lines_write(from, groups, count, directory, index, report);
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof name, "bars-%u-%u.svg", index, i);
		one_group(&groups[i], directory, name, with_gnuplot, report);
	}
}
