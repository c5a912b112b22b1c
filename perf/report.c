/* SPDX-License-Identifier: MIT */
/*
 * A directory with report.md: tables and plots of files of --csv. Plots are
 * SVG by gnuplot; without it the same bars stand in the text.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "perf/commands.h"
#include "perf/report.h"
#include "perf/side.h"

static int with_gnuplot;

static int usage(FILE *out)
{
	fprintf(out, "usage: peal-perf report [--out DIRECTORY] [--text] "
		"FILE.csv...\n\nWrites DIRECTORY/report.md (report) from "
		"files of --csv and of sweep, with plots by\ngnuplot, or of "
		"characters where it is missing, or with --text.\n");
	return 2;
}

/* --- environment and table --------------------------------------------------- */

static void environment(const struct records *from, FILE *out)
{
	const char *line = from->environment;

	fprintf(out, "| | |\n|---|---|\n");
	while (*line) {
		size_t len = strcspn(line, "\n");
		const char *colon = memchr(line, ':', len);
		size_t name = colon ? (size_t)(colon - line) : len;

		fprintf(out, "| %.*s | %.*s |\n", (int)name, line,
			(int)(colon ? len - name - 1 : 0),
			colon ? colon + 1 : "");
		line += len + (line[len] == '\n');
	}
	fputc('\n', out);
}

static void number(const struct records *from, unsigned row, const char *column,
		   const char *format, FILE *out)
{
	double value = records_number(from, row, column);

	fputs(" | ", out);
	if (value >= 0)
		fprintf(out, format, value);
	else
		fputc('-', out);
}

static void ratio_cell(const struct group *group, unsigned row, FILE *out)
{
	static double a[STATS_SAMPLES], b[STATS_SAMPLES];
	const struct records *from = group->from;
	unsigned n, m;
	struct interval is;

	if (group->reference < 0 || (unsigned)group->reference == row) {
		fprintf(out, " | 1 | ");
		return;
	}
	n = records_samples(from, row, "cpu_samples", a, STATS_SAMPLES);
	m = records_samples(from, (unsigned)group->reference, "cpu_samples", b,
			    STATS_SAMPLES);
	if (!n || !m) {
		fprintf(out, " | - | ");
		return;
	}
	is = stats_ratio(a, b, n < m ? n : m);
	fprintf(out, " | %.3f [%.3f, %.3f] | %s", is.median, is.low, is.high,
		stats_verdict_text(stats_verdict(is)));
}

static void one_row(const struct group *group, unsigned row, FILE *out)
{
	const struct records *from = group->from;
	char label[256];

	group_label(group, row, label, sizeof label);
	fprintf(out, "| %s", label);
	if (*records_cell(from, row, "na")) {
		fprintf(out, " | n/a: %s | | | | | | | | |\n",
			records_cell(from, row, "na"));
		return;
	}
	number(from, row, records_metric(from), "%.1f", out);
	number(from, row, "wall_ns", "%.1f", out);
	ratio_cell(group, row, out);
	number(from, row, "calls_per_op", "%.3f", out);
	number(from, row, "share_fixed", "%.3f", out);
	number(from, row, "share_direct", "%.3f", out);
	number(from, row, "punts_per_op", "%.3f", out);
	number(from, row, "p50_ns", "%.0f", out);
	number(from, row, "p99_ns", "%.0f", out);
	fputs(" |\n", out);
}

static void table(const struct group *group, FILE *out)
{
	unsigned i;

	fprintf(out, "### %s\n\n", group->title);
	fprintf(out, "| side | %s | wall ns/op | cpu over the "
		"reference | verdict | calls/op | fixed | direct | punts | p50 ns | "
		"p99 ns |\n|---|---:|---:|---|---|---:|---:|---:|---:|---:|"
		"---:|\n", records_has(group->from, "cpu_ns")
			? "cpu ns/op" : "bytes per connection");
	for (i = 0; i < group->count; i++)
		one_row(group, group->rows[i], out);
	fputc('\n', out);
}

/* --- a file --------------------------------------------------------------------- */

static void one_file(const struct records *from, const char *path,
		     const char *directory, unsigned index, FILE *out)
{
	struct group *groups;
	unsigned count = groups_make(from, &groups), i;

	fprintf(out, "## %s: %s\n\n", records_cell(from, 0, "workload"), path);
	environment(from, out);
	fprintf(out, "The reference is the first side's row that does the same "
		"work with the least CPU. Intervals of 95 %%.\n\n");
	plots_write(from, groups, count, directory, index, with_gnuplot, out);
	for (i = 0; i < count; i++)
		table(&groups[i], out);
	groups_free(groups, count);
}

/* An old report is not replaced by half of one. */
static int can_be_read(int files, char **paths)
{
	struct records from;
	const char *wrong;
	int i;

	for (i = 0; i < files; i++) {
		wrong = records_load(&from, paths[i]);
		if (!wrong && !from.count)
			wrong = why("%s: it has no rows", paths[i]);
		records_free(&from);
		if (!wrong)
			continue;
		fprintf(stderr, "peal-perf report: %s\n", wrong);
		return 0;
	}
	return 1;
}

static int write_report(int files, char **paths, const char *directory)
{
	char path[512];
	FILE *out;
	int i, failed;

	if (!can_be_read(files, paths))
		return 2;
	if (mkdir(directory, 0777) < 0 && errno != EEXIST) {
		perror(directory);
		return 1;
	}
	snprintf(path, sizeof path, "%s/report.md", directory);
	out = fopen(path, "we");
	if (!out) {
		perror(path);
		return 1;
	}
	fprintf(out, "# peal-perf\n\n");
	for (i = 0; i < files; i++) {
		struct records from;

		if (records_load(&from, paths[i]) != NULL)
			continue;
		one_file(&from, paths[i], directory, (unsigned)i, out);
		records_free(&from);
	}
	failed = ferror(out) | (fclose(out) != 0);
	if (failed)
		fprintf(stderr, "peal-perf report: %s could not be written\n",
			path);
	else
		printf("%s%s\n", path, with_gnuplot ? ""
			: ", with plots of characters");
	return failed;
}

static int report_main(int argc, char **argv)
{
	const char *directory = "report";
	int i, files = 0, text = 0;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0)
			return usage(stdout), 0;
		if (strcmp(argv[i], "--text") == 0)
			text = 1;
		else if (strcmp(argv[i], "--out") == 0 && i + 1 < argc)
			directory = argv[++i];
		else if (argv[i][0] == '-')
			return usage(stderr);
		else
			argv[files++] = argv[i];
	}
	if (!files)
		return usage(stderr);
	signal(SIGPIPE, SIG_IGN);	/* of a gnuplot that ended */
	with_gnuplot = !text &&
		       system("gnuplot --version > /dev/null 2>&1") == 0;
	return write_report(files, argv, directory);
}

const struct command command_report = {
	"report", "Markdown with plots from files of --csv", report_main,
};
