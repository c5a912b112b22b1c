/* SPDX-License-Identifier: MIT */
/* What every measuring command does alike: options, rows, the run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "perf/bench.h"
#include "perf/env.h"

static struct bench *running;
static uint64_t began_ns;

/* --- options ---------------------------------------------------------------- */

static void usage_axis(const struct axis *axis, FILE *out)
{
	fprintf(out, "  --%-12s %s\n", axis->name, axis->help);
	if (axis->known)
		fprintf(out, "%17sof %s\n", "", axis->known);
	fprintf(out, "%17snow %s\n", "", axis->values);
}

void bench_usage(const struct workload *workload, FILE *out)
{
	const struct bench_option *option = workload->options;
	unsigned i;

	fprintf(out, "usage: peal-perf %s [OPTION...]\n%s\n\nAxes, each a "
		"list (a,b,c or all):\n", workload->name, workload->line);
	for (i = 0; i < workload->axis_count; i++)
		usage_axis(&workload->axes[i], out);
	fprintf(out, "\nOptions:\n");
	for (; option && option->name; option++)
		fprintf(out, "  --%-12s %s\n", option->name, option->help);
	fprintf(out, "  --%-12s %s\n", "side", "a list of the sides to run:");
	fprintf(out, "%16s", "");
	for (i = 0; workload->sides[i]; i++)
		fprintf(out, " %s", workload->sides[i]->name);
	fprintf(out, "\n"
		"  --against SIDE  compare to this side's best row of the same "
		"work\n"
		"  --same          compare only to equal variants\n"
		"  --across LIST   of axes: compare rows that differ there, "
		"too\n"
		"  --seconds S     for all rows together (10)\n"
		"  --rounds N      slices of each row (40)\n"
		"  --latency       p50 to p99.99, from slices of their own\n"
		"%s"
		"  --seed N        of the order of slices\n"
		"  --csv FILE, --json FILE   \"-\": standard output, instead "
		"of the table\n"
		"  --quiet         no table, no progress\n",
		workload->open_loop
			? "  --rate N        latency with N ops started per "
			  "second, not as fast as they end\n"
			: "");
}

static int complain(const struct bench *bench, const char *text)
{
	fprintf(stderr, "peal-perf %s: %s\n", bench->workload->name, text);
	fprintf(stderr, "peal-perf %s --help lists the options\n",
		bench->workload->name);
	return 2;
}

static int known_sides(const struct bench *bench, const char *list)
{
	if (!*list)
		return 0;
	while (*list) {
		size_t len = strcspn(list, ",");
		unsigned i;

		for (i = 0; bench->workload->sides[i]; i++) {
			const char *name = bench->workload->sides[i]->name;

			if (strlen(name) == len && !memcmp(name, list, len))
				break;
		}
		if (!bench->workload->sides[i])
			return 0;
		list += len + (list[len] == ',');
	}
	return 1;
}

static const struct bench_option *own_option(const struct bench *bench,
					     const char *name)
{
	const struct bench_option *option = bench->workload->options;

	for (; option && option->name; option++)
		if (strcmp(option->name, name) == 0)
			return option;
	return NULL;
}

static const char *set_number(double *to, const char *name, const char *value,
			      double least, double most)
{
	char *end;
	double number = strtod(value, &end);

	if (*end || end == value || !(number >= least && number <= most))
		return why("--%s takes a number from %g to %g, not \"%s\"",
			   name, least, most, value);
	*to = number;
	return NULL;
}

static const char *set_side(struct bench *bench, const char *name,
			    const char *value)
{
	if (!known_sides(bench, value))
		return why("--%s does not know \"%s\"", name, value);
	if (strcmp(name, "side") == 0)
		bench->sides = value;
	else
		bench->against = value;
	return NULL;
}

static const char *set_across(struct bench *bench, const char *list)
{
	const char *at = list;
	char name[64];
	size_t len;

	for (; *at; at += len + (at[len] == ',')) {
		len = strcspn(at, ",");
		snprintf(name, sizeof name, "%.*s", (int)len, at);
		if (!matrix_has(&bench->matrix, name))
			return why("--across: there is no axis \"%s\"", name);
	}
	bench->across = list;
	return NULL;
}

/* Options with a value. Sets *found. */
static const char *set_value(struct bench *bench, const char *name,
			     const char *value, int *found)
{
	const struct bench_option *own = own_option(bench, name);
	double number = 0;
	const char *wrong = NULL;

	*found = 1;
	if (matrix_has(&bench->matrix, name))
		return matrix_set(&bench->matrix, name, value);
	if (own) {
		*own->value = value;
	} else if (!strcmp(name, "side") || !strcmp(name, "against")) {
		return set_side(bench, name, value);
	} else if (strcmp(name, "across") == 0) {
		return set_across(bench, value);
	} else if (strcmp(name, "seconds") == 0) {
		return set_number(&bench->how.seconds, name, value, 0, 1e6);
	} else if (strcmp(name, "rounds") == 0) {
		wrong = set_number(&number, name, value, 3, STATS_SAMPLES);
		bench->how.rounds = (unsigned)number;
		if (!wrong && bench->how.rounds != number)
			wrong = why("--rounds takes a whole number");
	} else if (strcmp(name, "rate") == 0) {
		if (!bench->workload->open_loop)
			return why("%s has no open loop: there is no --rate",
				   bench->workload->name);
		bench->how.latency = 1;
		return set_number(&bench->how.rate, name, value, 1, 1e9);
	} else if (strcmp(name, "seed") == 0) {
		wrong = set_number(&number, name, value, 1, 1e15);
		bench->how.seed = (uint64_t)number;
	} else if (strcmp(name, "csv") == 0) {
		bench->csv = value;
	} else if (strcmp(name, "json") == 0) {
		bench->json = value;
	} else {
		*found = 0;
	}
	return wrong;
}

static int set_flag(struct bench *bench, const char *name)
{
	const struct bench_option *own = own_option(bench, name);

	if (own && own->flag)
		*own->value = "1";
	else if (strcmp(name, "same") == 0)
		bench->same = 1;
	else if (strcmp(name, "latency") == 0)
		bench->how.latency = 1;
	else if (strcmp(name, "quiet") == 0)
		bench->quiet = 1;
	else
		return 0;
	return 1;
}

/* One option; takes one or two words. Returns how many, or 0. */
static int one_option(struct bench *bench, int argc, char **argv)
{
	const char *name = argv[0], *equals = strchr(name, '='), *wrong;
	char bare[64];
	int found;

	if (strncmp(name, "--", 2) != 0) {
		complain(bench, why("\"%s\" is no option", name));
		return 0;
	}
	snprintf(bare, sizeof bare, "%.*s",
		 equals ? (int)(equals - name - 2) : 60, name + 2);
	if (!equals && set_flag(bench, bare))
		return 1;
	if (!equals && argc < 2) {
		complain(bench, why("--%s is unknown, or wants a value", bare));
		return 0;
	}
	wrong = set_value(bench, bare, equals ? equals + 1 : argv[1], &found);
	if (!found)
		wrong = why("there is no option --%s", bare);
	if (wrong) {
		complain(bench, wrong);
		return 0;
	}
	return equals ? 1 : 2;
}

void bench_start(struct bench *bench, const struct workload *workload,
		 int sweep)
{
	memset(bench, 0, sizeof *bench);
	bench->workload = workload;
	bench->how.seconds = 10;
	bench->how.rounds = 40;
	bench->how.seed = UINT64_C(0x9e3779b97f4a7c15);
	bench->how.in_effect = workload->in_effect;
	matrix_default(&bench->matrix, workload->axes, workload->axis_count,
		       sweep);
	bench->how.rings_axis = (unsigned)matrix_has(&bench->matrix, "rings");
}

int bench_parse(struct bench *bench, int argc, char **argv)
{
	int i, taken;

	for (i = 0; i < argc; i += taken) {
		taken = one_option(bench, argc - i, argv + i);
		if (!taken)
			return 2;
	}
	if (bench->against && bench->sides &&
	    !list_has(bench->sides, bench->against))
		return complain(bench, why("--against %s, but --side has not "
					   "got it", bench->against));
	return 0;
}

/* --- rows --------------------------------------------------------------------- */

static int wanted(const struct bench *bench, const struct side *side)
{
	return bench->sides ? list_has(bench->sides, side->name)
			    : !side->only_if_named;
}

/* Is it the first of the cases that do the same work? Then it stands for all
 * on a side that has no variants. */
static int first_variant(const struct matrix *matrix,
			 const struct perf_case *at)
{
	unsigned i;

	for (i = 0; i < matrix->count; i++)
		if (matrix->axes[i].variant &&
		    strcmp(at->value[i], matrix->values[i][0]) != 0)
			return 0;
	return 1;
}

/* The first word of each variant axis is the plain way. */
static void make_plain(struct perf_case *at)
{
	unsigned i;

	for (i = 0; i < at->count; i++) {
		const char *list = at->axes[i].values;

		if (at->axes[i].variant)
			snprintf(at->value[i], sizeof at->value[i], "%.*s",
				 (int)strcspn(list, ","), list);
	}
}

void bench_add_row(struct bench *bench, const struct perf_case *at,
		   const struct side *side)
{
	struct row *row = &bench->rows[bench->count++];
	const char *wrong = NULL;

	row->at = *at;
	row->side = side;
	if (side->no_variants)
		make_plain(&row->at);
	if (bench->workload->senseless)
		wrong = bench->workload->senseless(&row->at);
	snprintf(row->na, sizeof row->na, "%s", wrong ? wrong : "");
}

static void add_case(struct bench *bench, const struct perf_case *at)
{
	const struct side *const *side = bench->workload->sides;

	for (; *side; side++)
		if (wanted(bench, *side) &&
		    (!(*side)->no_variants ||
		     first_variant(&bench->matrix, at)))
			bench_add_row(bench, at, *side);
}

void bench_rows_between(struct bench *bench, unsigned from, unsigned to)
{
	unsigned sides = 0, i;
	struct perf_case at;

	while (bench->workload->sides[sides])
		sides++;
	bench->count = 0;
	bench->rows = calloc((size_t)(to - from) * sides, sizeof *bench->rows);
	if (!bench->rows)
		abort();
	for (i = from; i < to; i++) {
		matrix_case(&bench->matrix, i, &at);
		add_case(bench, &at);
	}
}

void bench_free(struct bench *bench)
{
	unsigned i;

	for (i = 0; i < bench->count; i++)
		row_free(&bench->rows[i]);
	free(bench->rows);
	bench->rows = NULL;
	bench->count = 0;
}

const struct row *bench_reference(const struct bench *bench,
				  const struct row *row)
{
	const char *name = bench->against ? bench->against
					  : bench->workload->sides[0]->name;
	const struct row *best = NULL;
	double least = 0;
	unsigned i;

	for (i = 0; i < bench->count; i++) {
		const struct row *other = &bench->rows[i];
		double cpu;

		if (other->na[0] || strcmp(other->side->name, name) != 0 ||
		    !case_same_work(&other->at, &row->at, bench->same,
				    bench->across))
			continue;
		cpu = stats_median(other->samples[CPU_NS], other->rounds);
		if (!best || cpu < least) {
			best = other;
			least = cpu;
		}
	}
	return best == row ? NULL : best;
}

/* --- the run -------------------------------------------------------------------- */

static void progress(double share)
{
	if (share <= 0)
		began_ns = clock_now();	/* of what the time left is told by */
	if (!running->quiet)
		progress_show(running->workload->name, share, began_ns);
}

static FILE *open_output(const char *path)
{
	FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");

	if (!out)
		perror(path);
	return out;
}

static int close_output(const char *path, FILE *out)
{
	int failed = fflush(out) != 0 || ferror(out);

	if (out != stdout)
		failed |= fclose(out) != 0;
	if (failed)
		fprintf(stderr, "peal-perf: %s could not be written\n", path);
	return failed;
}

int bench_write(const struct bench *bench)
{
	int to_stdout = 0, failed = 0;
	unsigned i;
	FILE *out;

	if (bench->csv && (out = open_output(bench->csv))) {
		csv_head(bench->workload, out);
		for (i = 0; i < bench->count; i++)
			csv_row(bench->workload, &bench->rows[i], out);
		to_stdout |= out == stdout;
		failed |= close_output(bench->csv, out);
	} else if (bench->csv) {
		failed = 1;
	}
	if (bench->json && (out = open_output(bench->json))) {
		json_print(bench, out);
		to_stdout |= out == stdout;
		failed |= close_output(bench->json, out);
	} else if (bench->json) {
		failed = 1;
	}
	if (!to_stdout && !bench->quiet && !bench->no_table)
		table_print(bench, stdout);
	return failed;
}

/* What cannot be written is better known before it is measured. */
static const char *try_outputs(const struct bench *bench)
{
	const char *paths[] = { bench->csv, bench->json };
	unsigned i;
	FILE *out;

	if (paths[0] && paths[1] && strcmp(paths[0], paths[1]) == 0)
		return why("--csv and --json cannot both be \"%s\"", paths[0]);
	for (i = 0; i < 2; i++) {
		if (!paths[i] || strcmp(paths[i], "-") == 0)
			continue;
		out = fopen(paths[i], "ae");
		if (!out)
			return why_errno(paths[i], -errno);
		fclose(out);
	}
	return NULL;
}

int bench_measure(struct bench *bench)
{
	const struct workload *workload = bench->workload;
	const char *wrong = try_outputs(bench);
	int stopped;

	if (!wrong && workload->prepare)
		wrong = workload->prepare();
	if (wrong) {
		fprintf(stderr, "peal-perf %s: %s\n", workload->name, wrong);
		return 1;
	}
	running = bench;
	began_ns = clock_now();
	bench->how.progress = progress;
	measure_catch_signals();
	stopped = measure_group(bench->rows, bench->count, &bench->how);
	if (!bench->quiet)
		progress_end();
	if (workload->finish)
		workload->finish();
	return stopped ? 130 : 0;
}

int bench_main(const struct workload *workload, int argc, char **argv)
{
	struct bench bench;
	int status, i;

	for (i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0)
			return bench_usage(workload, stdout), 0;
	bench_start(&bench, workload, 0);
	if (bench_parse(&bench, argc - 1, argv + 1) != 0)
		return 2;
	env_gather(argc, argv);
	bench_rows_between(&bench, 0, matrix_size(&bench.matrix));
	status = bench_measure(&bench);
	if (status != 1 && bench_write(&bench) != 0)
		status = 1;
	bench_free(&bench);
	return status;
}
