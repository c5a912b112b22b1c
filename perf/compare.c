/* SPDX-License-Identifier: MIT */
/*
 * Is B faster than A? Either measured now, in the same rounds, or read from two
 * files of --csv, which two times of day made different already.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "perf/bench.h"
#include "perf/commands.h"
#include "perf/env.h"
#include "perf/records.h"

static int usage(FILE *out)
{
	fprintf(out, "usage: peal-perf compare A.csv B.csv\n"
		"       peal-perf compare WORKLOAD/SIDE[/AXIS=VALUE...] "
		"WORKLOAD/SIDE[...] [OPTION...]\n\n"
		"Is B faster than A, slower, or is no difference shown? Two "
		"files of --csv: the rows\nthat both have. Two ways to do the "
		"same work: they are measured now, in the same\nrounds, in "
		"every case of the other axes:\n\n"
		"  peal-perf compare file/bare/buffers=registered "
		"file/peal/buffers=auto --depth 32\n\n"
		"WORKLOAD is one of %s.\n", workload_names());
	return 2;
}

static void answer(const char *name, struct interval ratio)
{
	enum verdict verdict = stats_verdict(ratio);

	printf("    %-5s %s", name, stats_verdict_text(verdict));
	if (verdict == FASTER)
		printf(": %.1f %% less", (1 - ratio.median) * 100);
	else if (verdict == SLOWER)
		printf(": %.1f %% more", (ratio.median - 1) * 100);
	printf("  (B/A %.3f, 95 %% of [%.3f, %.3f])\n", ratio.median,
	       ratio.low, ratio.high);
}

/* --- two files -------------------------------------------------------------- */

static struct interval file_ratio(const struct records *a, unsigned a_row,
				  const struct records *b, unsigned b_row,
				  const char *column)
{
	static double x[STATS_SAMPLES], y[STATS_SAMPLES];
	unsigned x_count = records_samples(a, a_row, column, x, STATS_SAMPLES);
	unsigned y_count = records_samples(b, b_row, column, y, STATS_SAMPLES);

	return stats_ratio_unpaired(y, y_count, x, x_count);
}

/* How much the CPU of the sides that are not ours has moved: what the two times
 * of day are worth. */
static void note_drift(double *drift, const char *side, double ratio)
{
	double moved = ratio > 1 ? ratio - 1 : 1 - ratio;

	if (strncmp(side, "peal", 4) != 0 && ratio > 0 && moved > *drift)
		*drift = moved;
}

static int has_number(const struct records *from, unsigned row)
{
	return !*records_cell(from, row, "na") &&
	       *records_cell(from, row, "cpu_samples");
}

/* Returns how many rows are in both. */
static unsigned compare_rows(const struct records *a, const struct records *b)
{
	unsigned i, both = 0;
	double drift = -1;
	char key[512];

	for (i = 0; i < b->count; i++) {
		struct interval cpu;
		int other;

		records_key(b, i, key, sizeof key);
		other = records_find(a, key);
		if (other < 0 || !has_number(b, i) ||
		    !has_number(a, (unsigned)other))
			continue;
		both++;
		printf("%s %s\n", records_cell(b, i, "workload"), key);
		cpu = file_ratio(a, (unsigned)other, b, i, "cpu_samples");
		answer("cpu", cpu);
		answer("wall", file_ratio(a, (unsigned)other, b, i,
					  "wall_samples"));
		note_drift(&drift, records_cell(b, i, "side"), cpu.median);
	}
	printf("%u rows are in both files\n", both);
	if (drift >= 0)
		printf("the CPU of the sides that are not peal moved by up to "
		       "%.1f %% from one to the other:\na smaller difference "
		       "is the machine's\n", drift * 100);
	return both;
}

static int compare_files(const char *a_path, const char *b_path)
{
	struct records a, b;
	const char *wrong = records_load(&a, a_path);

	memset(&b, 0, sizeof b);
	if (!wrong)
		wrong = records_load(&b, b_path);
	if (!wrong && (!records_has(&a, "cpu_samples") ||
		       !records_has(&b, "cpu_samples")))
		wrong = "a file has no samples to compare: it is of conns";
	if (!wrong && a.count && b.count &&
	    strcmp(records_cell(&a, 0, "workload"),
		   records_cell(&b, 0, "workload")) != 0)
		wrong = "A and B are not the same workload";
	if (!wrong && !compare_rows(&a, &b))
		wrong = "nothing to compare: no row has a number in both";
	if (wrong)
		fprintf(stderr, "peal-perf compare: %s\n", wrong);
	records_free(&a);
	records_free(&b);
	return wrong ? 2 : 0;
}

/* --- two ways, now ---------------------------------------------------------- */

struct way {
	const struct workload *workload;
	const struct side *side;
	unsigned count;
	char axis[CASE_AXES][32], value[CASE_AXES][CASE_VALUE];
};

static const char *parse_side(struct way *way, const char *word, size_t len)
{
	unsigned i;

	for (i = 0; way->workload->sides[i]; i++) {
		const char *name = way->workload->sides[i]->name;

		if (strlen(name) == len && memcmp(name, word, len) == 0) {
			way->side = way->workload->sides[i];
			return NULL;
		}
	}
	return why("%s has no side \"%.*s\"", way->workload->name, (int)len,
		   word);
}

static const char *parse_axis(struct way *way, const char *word, size_t len)
{
	const char *equals = memchr(word, '=', len);

	if (!equals || way->count == CASE_AXES)
		return why("\"%.*s\" is not AXIS=VALUE", (int)len, word);
	snprintf(way->axis[way->count], sizeof way->axis[0], "%.*s",
		 (int)(equals - word), word);
	snprintf(way->value[way->count], sizeof way->value[0], "%.*s",
		 (int)(len - (size_t)(equals - word) - 1), equals + 1);
	way->count++;
	return NULL;
}

/* WORKLOAD/SIDE/AXIS=VALUE... */
static const char *parse_way(struct way *way, const char *text)
{
	const char *wrong = NULL;
	char name[32];
	size_t len = strcspn(text, "/");
	unsigned part;

	memset(way, 0, sizeof *way);
	snprintf(name, sizeof name, "%.*s", (int)len, text);
	way->workload = workload_named(name);
	if (!way->workload)
		return why("\"%s\" is neither a file nor a workload (%s)",
			   text, workload_names());
	for (part = 0; text[len] && !wrong; part++) {
		text += len + 1;
		len = strcspn(text, "/");
		wrong = part == 0 ? parse_side(way, text, len)
				  : parse_axis(way, text, len);
	}
	if (!wrong && !way->side)
		wrong = why("%s: which side?", name);
	return wrong;
}

/* A way's own values are lists of one; a copy of the matrix checks them. */
static const char *check_way(const struct way *way, struct matrix copy)
{
	const char *wrong = NULL;
	unsigned i;

	for (i = 0; i < way->count && !wrong; i++) {
		if (!matrix_has(&copy, way->axis[i]))
			return why("%s has no axis \"%s\"",
				   way->workload->name, way->axis[i]);
		wrong = matrix_set(&copy, way->axis[i], way->value[i]);
	}
	return wrong;
}

static void apply_way(const struct way *way, struct perf_case *at)
{
	unsigned i, n;

	for (i = 0; i < way->count; i++)
		for (n = 0; n < at->count; n++)
			if (strcmp(at->axes[n].name, way->axis[i]) == 0)
				strcpy(at->value[n], way->value[i]);
}

/* Two rows for each case, A's and B's. */
static void make_rows(struct bench *bench, const struct way ways[2])
{
	unsigned i, w, size = matrix_size(&bench->matrix);

	bench->rows = calloc(2 * (size_t)size, sizeof *bench->rows);
	if (!bench->rows)
		abort();
	for (i = 0; i < size; i++)
		for (w = 0; w < 2; w++) {
			struct perf_case at;

			matrix_case(&bench->matrix, i, &at);
			apply_way(&ways[w], &at);
			bench_add_row(bench, &at, ways[w].side);
		}
}

static void print_way(const char *name, const struct row *row)
{
	char text[512];

	case_print(&row->at, text, sizeof text);
	printf("%s: %s %s", name, row->side->name, text);
	if (row->na[0])
		printf("\n    n/a: %s\n", row->na);
	else
		printf("  %.1f ns CPU, %.1f ns wall\n",
		       stats_median(row->samples[CPU_NS], row->rounds),
		       stats_median(row->samples[WALL_NS], row->rounds));
}

static void print_pairs(const struct bench *bench)
{
	unsigned i;

	for (i = 0; i < bench->count; i += 2) {
		const struct row *a = &bench->rows[i], *b = a + 1;
		unsigned rounds = a->rounds < b->rounds ? a->rounds
							: b->rounds;

		print_way("A", a);
		print_way("B", b);
		if (a->na[0] || b->na[0] || !rounds)
			continue;
		answer("cpu", stats_ratio(b->samples[CPU_NS],
					  a->samples[CPU_NS], rounds));
		answer("wall", stats_ratio(b->samples[WALL_NS],
					   a->samples[WALL_NS], rounds));
	}
}

static int measure_ways(struct bench *bench, const struct way ways[2])
{
	int status;

	make_rows(bench, ways);
	status = bench_measure(bench);
	if (status == 0 || status == 130) {
		print_pairs(bench);
		status |= bench_write(bench);
	}
	bench_free(bench);
	return status;
}

static int compare_ways(int argc, char **argv)
{
	struct way ways[2];
	struct bench bench;
	const char *wrong = parse_way(&ways[0], argv[1]);

	if (!wrong)
		wrong = parse_way(&ways[1], argv[2]);
	if (!wrong && ways[0].workload != ways[1].workload)
		wrong = "A and B are not the same workload";
	if (wrong) {
		fprintf(stderr, "peal-perf compare: %s\n", wrong);
		return 2;
	}
	bench_start(&bench, ways[0].workload, 0);
	bench.no_table = 1;
	if (bench_parse(&bench, argc - 3, argv + 3) != 0)
		return 2;
	matrix_one_variant(&bench.matrix);
	wrong = check_way(&ways[0], bench.matrix);
	if (!wrong)
		wrong = check_way(&ways[1], bench.matrix);
	if (wrong) {
		fprintf(stderr, "peal-perf compare: %s\n", wrong);
		return 2;
	}
	env_gather(argc, argv);
	return measure_ways(&bench, ways);
}

static int compare_main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout), 0;
	if (argc < 3)
		return usage(stderr);
	if (access(argv[1], F_OK) == 0 || access(argv[2], F_OK) == 0) {
		if (argc > 3)
			return usage(stderr);
		return compare_files(argv[1], argv[2]);
	}
	return compare_ways(argc, argv);
}

const struct command command_compare = {
	"compare", "faster, slower, or no difference shown", compare_main,
};
