/* SPDX-License-Identifier: MIT */
/*
 * One line per row, with every round's samples, so that a file says all that
 * was seen: compare, report and sweep --resume read it (records.c). Where it
 * comes from stands above, in lines that begin with #.
 */
#include <stdio.h>
#include <string.h>
#include "peal.h"
#include "perf/bench.h"
#include "perf/env.h"

static const double shares[] = { 0.5, 0.9, 0.99, 0.999, 0.9999 };
static const char *const share_names[] = { "p50_ns", "p90_ns", "p99_ns",
					   "p99_9_ns", "p99_99_ns" };
#define SHARES (sizeof shares / sizeof *shares)

void csv_head(const struct workload *workload, FILE *out)
{
	const struct env_fact *facts;
	unsigned i, count;

	facts = env_facts(&count);
	for (i = 0; i < count; i++)
		fprintf(out, "# %s: %s\n", facts[i].name, facts[i].value);
	fprintf(out, "workload,side");
	for (i = 0; i < workload->axis_count; i++)
		fprintf(out, ",%s", workload->axes[i].name);
	fprintf(out, ",na,rounds,ops");
	for (i = 0; i < METRICS; i++)
		fprintf(out, ",%s,%s_low,%s_high", metric_names[i],
			metric_names[i], metric_names[i]);
	for (i = 0; i < SHARES; i++)
		fprintf(out, ",%s", share_names[i]);
	fprintf(out, ",max_ns,calls_per_op,overflows,punts_per_op,entries,"
		"share_fixed,share_direct,mode,opcodes,extra,wall_samples,"
		"cpu_samples\n");
}

/* Text that may hold a comma or a quote. */
static void quoted(const char *text, FILE *out)
{
	fputs(",\"", out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text == '\n' ? ' ' : *text, out);
	}
	fputc('"', out);
}

static void metric(const struct row *row, enum metric which, FILE *out)
{
	struct interval is = stats_interval(row->samples[which], row->rounds);

	if (!row->rounds || is.median < 0)
		fprintf(out, ",,,");
	else
		fprintf(out, ",%.4g,%.4g,%.4g", is.median, is.low, is.high);
}

static void latencies(const struct row *row, FILE *out)
{
	unsigned i;

	if (!row->latency || !row->latency->count) {
		for (i = 0; i <= SHARES; i++)
			fputc(',', out);
		return;
	}
	for (i = 0; i < SHARES; i++)
		fprintf(out, ",%llu", (unsigned long long)
			latency_at(row->latency, shares[i]));
	fprintf(out, ",%llu", (unsigned long long)row->latency->max);
}

static void share(double part, double whole, FILE *out)
{
	if (part < 0 || whole <= 0)
		fputc(',', out);
	else
		fprintf(out, ",%.4f", part / whole);
}

const char *opcode_seen(const struct counters *counters, unsigned *at)
{
	const char *name;

	while (*at < COUNT_OPCODES && !counters->by_op[*at])
		++*at;
	if (*at == COUNT_OPCODES)
		return NULL;
	name = peal_opcode_name(*at);
	return name ? name : "?";
}

static void opcodes(const struct counters *counters, FILE *out)
{
	const char *between = "", *name;
	unsigned i;

	fputs(",\"", out);
	for (i = 0; (name = opcode_seen(counters, &i)); i++) {
		fprintf(out, "%s%s %llu", between, name,
			(unsigned long long)counters->by_op[i]);
		between = "; ";
	}
	fputc('"', out);
}

static void extras(const struct counters *counters, FILE *out)
{
	unsigned i;

	fputs(",\"", out);
	for (i = 0; i < COUNT_EXTRAS && counters->extra[i].name; i++)
		fprintf(out, "%s%s %.6g", i ? "; " : "",
			counters->extra[i].name, counters->extra[i].value);
	fputc('"', out);
}

static void samples(const struct row *row, enum metric which, FILE *out)
{
	unsigned i;

	fputs(",\"", out);
	for (i = 0; i < row->rounds; i++)
		fprintf(out, "%s%.5g", i ? " " : "", row->samples[which][i]);
	fputc('"', out);
}

void csv_row(const struct workload *workload, const struct row *row, FILE *out)
{
	const struct counters *is = &row->counters;
	unsigned i;

	fprintf(out, "%s,%s", workload->name, row->side->name);
	for (i = 0; i < row->at.count; i++)
		fprintf(out, ",%s", row_value(row, i));
	quoted(row->na, out);
	fprintf(out, ",%u,%llu", row->na[0] ? 0 : row->rounds,
		(unsigned long long)row->ops);
	if (row->na[0]) {
		for (i = 0; i < 3 * METRICS + SHARES + 1 + 11; i++)
			fputc(',', out);
		fputc('\n', out);
		return;
	}
	for (i = 0; i < METRICS; i++)
		metric(row, i, out);
	latencies(row, out);
	share(is->calls, is->ops, out);
	fprintf(out, is->overflows < 0 ? "," : ",%.0f", is->overflows);
	share(is->punts, is->ops, out);
	fprintf(out, ",%.0f", is->entries);
	share(is->fixed, is->data, out);
	share(is->direct, is->data, out);
	quoted(is->mode, out);
	opcodes(is, out);
	extras(is, out);
	samples(row, WALL_NS, out);
	samples(row, CPU_NS, out);
	fputc('\n', out);
}
