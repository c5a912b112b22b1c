/* SPDX-License-Identifier: MIT */
/* The same as csv.c for other programs: environment, rows, samples. */
#include <stdio.h>
#include <string.h>
#include "peal.h"
#include "perf/bench.h"
#include "perf/env.h"

static void text(const char *is, FILE *out)
{
	fputc('"', out);
	for (; *is; is++) {
		if (*is == '"' || *is == '\\')
			fprintf(out, "\\%c", *is);
		else if ((unsigned char)*is < 32)
			fprintf(out, "\\u%04x", *is);
		else
			fputc(*is, out);
	}
	fputc('"', out);
}

void json_pair(const char *before, const char *name, const char *value,
	       FILE *out)
{
	fputs(before, out);
	text(name, out);
	fputs(": ", out);
	text(value, out);
}

static void number(const char *name, double value, FILE *out)
{
	fprintf(out, ",\n   \"%s\": ", name);
	fprintf(out, value < 0 ? "null" : "%.6g", value);
}

void json_environment(FILE *out)
{
	const struct env_fact *facts;
	unsigned i, count;

	facts = env_facts(&count);
	fputs(" \"environment\": {", out);
	for (i = 0; i < count; i++)
		json_pair(i ? ",\n  " : "\n  ", facts[i].name, facts[i].value,
			  out);
	fputs("\n },\n", out);
}

static void samples(const struct row *row, enum metric which, FILE *out)
{
	struct interval is = stats_interval(row->samples[which], row->rounds);
	unsigned i;

	if (!row->rounds || is.median < 0) {
		fprintf(out, ",\n   \"%s\": null", metric_names[which]);
		return;
	}
	fprintf(out, ",\n   \"%s\": {\"median\": %.6g, \"low\": %.6g, \"high\":"
		" %.6g, \"samples\": [", metric_names[which], is.median,
		is.low, is.high);
	for (i = 0; i < row->rounds; i++)
		fprintf(out, "%s%.5g", i ? ", " : "", row->samples[which][i]);
	fputs("]}", out);
}

static void latency(const struct latency *is, FILE *out)
{
	static const double shares[] = { 0.5, 0.9, 0.99, 0.999, 0.9999 };
	static const char *const names[] = { "p50", "p90", "p99", "p99.9",
					     "p99.99" };
	unsigned i;

	fputs(",\n   \"latency_ns\": {", out);
	for (i = 0; i < sizeof shares / sizeof *shares; i++)
		fprintf(out, "\"%s\": %llu, ", names[i],
			(unsigned long long)latency_at(is, shares[i]));
	fprintf(out, "\"max\": %llu, \"count\": %llu}",
		(unsigned long long)is->max, (unsigned long long)is->count);
}

static void counters(const struct counters *is, FILE *out)
{
	const char *between = "", *name;
	unsigned i;

	number("calls_per_op", is->ops > 0 && is->calls >= 0
			       ? is->calls / is->ops : -1, out);
	number("overflows", is->overflows, out);
	number("punts_per_op", is->ops > 0 && is->punts >= 0
			       ? is->punts / is->ops : -1, out);
	number("entries", is->entries, out);
	number("share_fixed", is->data > 0 && is->fixed >= 0
			      ? is->fixed / is->data : -1, out);
	number("share_direct", is->data > 0 && is->direct >= 0
			       ? is->direct / is->data : -1, out);
	for (i = 0; i < COUNT_EXTRAS && is->extra[i].name; i++)
		number(is->extra[i].name, is->extra[i].value, out);
	fputs(",\n   \"mode\": ", out);
	text(is->mode, out);
	fputs(",\n   \"opcodes\": {", out);
	for (i = 0; (name = opcode_seen(is, &i)); i++) {
		fprintf(out, "%s\"%s\": %llu", between, name,
			(unsigned long long)is->by_op[i]);
		between = ", ";
	}
	fputc('}', out);
}

static void one_row(const struct row *row, FILE *out)
{
	unsigned i;

	json_pair("  {", "side", row->side->name, out);
	for (i = 0; i < row->at.count; i++)
		json_pair(", ", row->at.axes[i].name, row_value(row, i), out);
	if (row->na[0]) {
		json_pair(", ", "na", row->na, out);
		fputc('}', out);
		return;
	}
	fprintf(out, ",\n   \"rounds\": %u, \"ops\": %llu", row->rounds,
		(unsigned long long)row->ops);
	for (i = 0; i < METRICS; i++)
		samples(row, i, out);
	if (row->latency && row->latency->count)
		latency(row->latency, out);
	counters(&row->counters, out);
	fputc('}', out);
}

void json_print(const struct bench *bench, FILE *out)
{
	unsigned i;

	fputs("{\n", out);
	json_pair(" ", "workload", bench->workload->name, out);
	fputs(",\n", out);
	json_environment(out);
	fputs(" \"rows\": [\n", out);
	for (i = 0; i < bench->count; i++) {
		one_row(&bench->rows[i], out);
		fputs(i + 1 < bench->count ? ",\n" : "\n", out);
	}
	fputs(" ]\n}\n", out);
}
