/* SPDX-License-Identifier: MIT */
/* The table on the terminal: what varies is a column, the rest stands above. */
#include <stdio.h>
#include <string.h>
#include "perf/bench.h"
#include "perf/env.h"

static int varies(const struct bench *bench, unsigned axis)
{
	return bench->matrix.sizes[axis] > 1;
}

static void heading(const struct bench *bench, FILE *out)
{
	const char *between = "";
	unsigned i;

	fprintf(out, "%s, Linux %s, %s, load %s\n", bench->workload->line,
		env_get("kernel"), env_get("cpu"), env_get("load"));
	for (i = 0; i < bench->matrix.count; i++) {
		if (varies(bench, i))
			continue;
		fprintf(out, "%s%s %s", between, bench->matrix.axes[i].name,
			bench->matrix.values[i][0]);
		between = ", ";
	}
	if (env_get("mount")[0])
		fprintf(out, "\non %s", env_get("mount"));
	fprintf(out, "\n%u rounds, interleaved at random; medians, with "
		"intervals of 95 %%\n\n", bench->how.rounds);
}

static int width(const struct bench *bench, unsigned axis)
{
	size_t most = strlen(bench->matrix.axes[axis].name);
	unsigned i;

	for (i = 0; i < bench->matrix.sizes[axis]; i++)
		if (strlen(bench->matrix.values[axis][i]) > most)
			most = strlen(bench->matrix.values[axis][i]);
	return (int)most;
}

static void axes(const struct bench *bench, const struct row *row, FILE *out)
{
	unsigned i;

	fprintf(out, "%-12s", row ? row->side->name : "side");
	for (i = 0; i < bench->matrix.count; i++)
		if (varies(bench, i))
			fprintf(out, " %-*s", width(bench, i),
				row ? row_value(row, i)
				    : bench->matrix.axes[i].name);
}

static void share(double part, double whole, FILE *out)
{
	if (part < 0 || whole <= 0)
		fprintf(out, " %6s", "-");
	else
		fprintf(out, " %6.3f", part / whole);
}

static void metric(const struct row *row, enum metric which, const char *format,
		   FILE *out)
{
	double value = stats_median(row->samples[which], row->rounds);

	fputc(' ', out);
	if (value < 0)
		fprintf(out, "%8s", "-");
	else
		fprintf(out, format, value); /* of one number */
}

static void compared(const struct bench *bench, const struct row *row,
		     FILE *out)
{
	const struct row *to = bench_reference(bench, row);
	unsigned rounds;
	struct interval cpu, wall;

	if (!to)
		return;
	rounds = row->rounds < to->rounds ? row->rounds : to->rounds;
	cpu = stats_ratio(row->samples[CPU_NS], to->samples[CPU_NS], rounds);
	wall = stats_ratio(row->samples[WALL_NS], to->samples[WALL_NS],
			   rounds);
	fprintf(out, "  %6.3f [%.3f, %.3f] %6.3f [%.3f, %.3f] %s", cpu.median,
		cpu.low, cpu.high, wall.median, wall.low, wall.high,
		stats_verdict_text(stats_verdict(cpu)));
}

static void one_row(const struct bench *bench, const struct row *row, FILE *out)
{
	const struct counters *is = &row->counters;
	double wall;

	axes(bench, row, out);
	if (row->na[0]) {
		fprintf(out, "  n/a: %s\n", row->na);
		return;
	}
	wall = stats_median(row->samples[WALL_NS], row->rounds);
	fprintf(out, " %9.0f %9.1f %9.1f", wall > 0 ? 1e6 / wall : 0, wall,
		stats_median(row->samples[CPU_NS], row->rounds));
	share(is->calls, is->ops, out);
	share(is->fixed, is->data, out);
	share(is->direct, is->data, out);
	share(is->punts, is->ops, out);
	metric(row, SWITCHES, "%8.3f", out);
	if (!measure_no_instructions())
		metric(row, INSTRUCTIONS, "%8.0f", out);
	compared(bench, row, out);
	fputc('\n', out);
}

static void main_table(const struct bench *bench, FILE *out)
{
	unsigned i;

	axes(bench, NULL, out);
	fprintf(out, " %9s %9s %9s %6s %6s %6s %6s %8s%s  %s %s\n", "kops/s",
		"ns/op", "cpu/op", "calls", "fixed", "direct", "punts",
		"switches", measure_no_instructions() ? "" : "    instr",
		"cpu and wall over",
		bench->against ? bench->against
			       : bench->workload->sides[0]->name);
	for (i = 0; i < bench->count; i++)
		one_row(bench, &bench->rows[i], out);
}

static void latency_table(const struct bench *bench, FILE *out)
{
	static const double shares[] = { 0.5, 0.9, 0.99, 0.999, 0.9999 };
	unsigned i, s;

	fprintf(out, "\nlatency in us, %s\n", bench->how.rate > 0
		? "open loop, from when the op should have started"
		: "closed loop");
	axes(bench, NULL, out);
	fprintf(out, " %8s %8s %8s %8s %8s %8s\n", "p50", "p90", "p99",
		"p99.9", "p99.99", "max");
	for (i = 0; i < bench->count; i++) {
		const struct latency *is = bench->rows[i].latency;

		if (bench->rows[i].na[0] || !is || !is->count)
			continue;
		axes(bench, &bench->rows[i], out);
		for (s = 0; s < sizeof shares / sizeof *shares; s++)
			fprintf(out, " %8.1f",
				(double)latency_at(is, shares[s]) / 1e3);
		fprintf(out, " %8.1f\n", (double)is->max / 1e3);
	}
}

/* What is not in the columns, only for the rows that have it. */
static void notes(const struct bench *bench, FILE *out)
{
	unsigned i, e;

	for (i = 0; i < bench->count; i++) {
		const struct row *row = &bench->rows[i];
		const struct counters *is = &row->counters;
		double worker;

		if (row->na[0])
			continue;
		worker = stats_median(row->samples[WORKER_NS], row->rounds);
		if (!is->extra[0].name && is->overflows <= 0 && worker < 1)
			continue;
		fputs("  ", out);
		axes(bench, row, out);
		if (worker >= 1)
			fprintf(out, "  kernel workers %.0f ns/op", worker);
		if (is->overflows > 0)
			fprintf(out, "  %.0f overflows", is->overflows);
		for (e = 0; e < COUNT_EXTRAS && is->extra[e].name; e++)
			fprintf(out, "  %s %.6g", is->extra[e].name,
				is->extra[e].value);
		fputc('\n', out);
	}
}

void table_print(const struct bench *bench, FILE *out)
{
	const char *none = measure_no_instructions();

	heading(bench, out);
	main_table(bench, out);
	if (bench->how.latency)
		latency_table(bench, out);
	fputc('\n', out);
	notes(bench, out);
	if (none)
		fprintf(out, "no instruction counts: %s\n", none);
}
