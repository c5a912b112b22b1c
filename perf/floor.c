/* SPDX-License-Identifier: MIT */
/* The floors' clockwork: options, rounds, medians, the table. See floor.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include "perf/floor.h"

/* What peal asks for, as far as liburing 2.3 can: it knows neither NO_SQARRAY
 * nor NO_IOWAIT. */
#define BARE_FLAGS (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | \
		    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP |            \
		    IORING_SETUP_CQSIZE | IORING_SETUP_TASKRUN_FLAG)

/* Its header states its version from 2.4 on. */
#ifdef IO_URING_VERSION_MAJOR
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define LIBURING TEXT(IO_URING_VERSION_MAJOR) "." TEXT(IO_URING_VERSION_MINOR)
#else
#define LIBURING "before 2.4"
#endif

#define MAX_ROUNDS	2000
#define RESAMPLES	2000
#define WARM_UP_ROUNDS	5

enum metric { WALL, CPU, METRICS };

struct result {
	uint64_t ops;		/* in one slice */
	double ns[FLOOR_SIDES][METRICS][MAX_ROUNDS];	/* per op */
	uint64_t enters[FLOOR_SIDES];
	uint64_t done;		/* ops timed, on each side */
};

struct io_uring floor_bare;
struct peal_ring *floor_peal;
uint64_t floor_bare_enters;

static struct result results[FLOOR_CASES];
static unsigned rounds = 150;
static double seconds = 10;
static int csv, explain;
static uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);

_Noreturn void floor_fail(const char *what, long long error)
{
	fprintf(stderr, "%s: %s\n", what, peal_strerror(error));
	exit(1);
}

/* --- the two rings --------------------------------------------------- */

/* An older kernel refuses flags: then the bare ring goes without, as peal
 * does. */
static const char *open_bare(void)
{
	struct io_uring_params params = { .flags = BARE_FLAGS,
					  .cq_entries = 4 * FLOOR_ENTRIES };
	int rc = io_uring_queue_init_params(FLOOR_ENTRIES, &floor_bare,
					    &params);

	if (rc == -EINVAL) {
		memset(&params, 0, sizeof params);
		params.flags = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
		params.cq_entries = 4 * FLOOR_ENTRIES;
		rc = io_uring_queue_init_params(FLOOR_ENTRIES, &floor_bare,
						&params);
	}
	if (rc < 0)
		floor_fail("io_uring_queue_init_params", rc);
	if (!(params.flags & IORING_SETUP_DEFER_TASKRUN))
		return "CLAMP only: this kernel refuses the rest";
	return io_uring_register_ring_fd(&floor_bare) == 1
		       ? "SINGLE_ISSUER DEFER_TASKRUN TASKRUN_FLAG SUBMIT_ALL "
			 "CLAMP, ring fd registered"
		       : "SINGLE_ISSUER DEFER_TASKRUN TASKRUN_FLAG SUBMIT_ALL "
			 "CLAMP, ring fd not registered";
}

static void open_rings(const char *program)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;
	struct utsname system;
	const char *bare = open_bare();
	int rc;

	options.entries = FLOOR_ENTRIES;
	rc = peal_ring_open(&floor_peal, &options);
	if (rc < 0)
		floor_fail(peal_open_reason(), rc);
	uname(&system);
	if (csv)
		return;
	printf("%s on %s %s %s\n", program, system.sysname, system.release,
	       system.machine);
	printf("  bare  liburing %s, %s\n", LIBURING, bare);
	printf("  peal  %s: %s\n", peal_ring_engine(floor_peal),
	       peal_ring_engine_reason(floor_peal));
	if (explain)
		peal_ring_explain(floor_peal, stdout);
}

/* --- rounds ----------------------------------------------------------- */

static double clock_ns(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static uint64_t enters(enum floor_side side)
{
	struct peal_stats stats = { .size = sizeof stats };

	if (side == FLOOR_BARE)
		return floor_bare_enters;
	peal_ring_stats(floor_peal, &stats);
	return stats.enters;
}

/* The process's CPU time: one thread, and the kernel's workers if any. */
static void slice(const struct floor_case *which, struct result *result,
		  enum floor_side side, unsigned round)
{
	uint64_t enters_before = enters(side);
	double cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	double wall = clock_ns(CLOCK_MONOTONIC);

	which->run[side](which->width, result->ops);
	wall = clock_ns(CLOCK_MONOTONIC) - wall;
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	result->ns[side][WALL][round] = wall / (double)result->ops;
	result->ns[side][CPU][round] = cpu / (double)result->ops;
	result->enters[side] += enters(side) - enters_before;
}

/* How many ops fill a slice of the time there is; whole batches. */
static void calibrate(const struct floor_case *which, struct result *result,
		      double slice_ns)
{
	double ns = 0;

	result->ops = which->width * 64;
	for (;;) {
		ns = clock_ns(CLOCK_MONOTONIC);
		which->run[FLOOR_PEAL](which->width, result->ops);
		ns = clock_ns(CLOCK_MONOTONIC) - ns;
		if (ns > slice_ns / 4)
			break;
		result->ops *= 2;
	}
	result->ops = (uint64_t)((double)result->ops * slice_ns / ns);
	result->ops -= result->ops % which->width;
	if (!result->ops)
		result->ops = which->width;
}

static void shuffle(unsigned *order, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		order[i] = i;
	for (i = count; i > 1; i--) {
		unsigned other = (unsigned)(floor_random(&seed) % i);
		unsigned swap = order[i - 1];

		order[i - 1] = order[other];
		order[other] = swap;
	}
}

static void run_round(const struct floor_case *cases, unsigned count,
		      unsigned round)
{
	unsigned order[FLOOR_CASES], i;

	shuffle(order, count);
	for (i = 0; i < count; i++) {
		struct result *result = &results[order[i]];
		unsigned first = (unsigned)(floor_random(&seed) >> 32 & 1);

		slice(&cases[order[i]], result, first, round);
		slice(&cases[order[i]], result, !first, round);
		result->done += result->ops;
	}
}

static void run_rounds(const struct floor_case *cases, unsigned count)
{
	double slice_ns = seconds * 1e9 /
			  (FLOOR_SIDES * count * (rounds + WARM_UP_ROUNDS));
	unsigned i, side;

	for (i = 0; i < count; i++)
		calibrate(&cases[i], &results[i], slice_ns);
	for (i = 0; i < WARM_UP_ROUNDS; i++)
		run_round(cases, count, 0);
	for (i = 0; i < count; i++) {
		results[i].done = 0;
		for (side = 0; side < FLOOR_SIDES; side++)
			results[i].enters[side] = 0;
	}
	for (i = 0; i < rounds; i++)
		run_round(cases, count, i);
}

/* --- medians ----------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
	qsort(values, count, sizeof *values, by_value);
	return count % 2 ? values[count / 2]
			 : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static double median_of(const double *values, unsigned count)
{
	static double copy[MAX_ROUNDS];

	memcpy(copy, values, count * sizeof *values);
	return median(copy, count);
}

/* Medians of samples drawn with replacement: the middle 95 % of them. */
static void bootstrap(const double *values, unsigned count, double *low,
		      double *high)
{
	static double medians[RESAMPLES], sample[MAX_ROUNDS];
	unsigned i, n;

	for (i = 0; i < RESAMPLES; i++) {
		for (n = 0; n < count; n++)
			sample[n] = values[floor_random(&seed) % count];
		medians[i] = median(sample, count);
	}
	qsort(medians, RESAMPLES, sizeof *medians, by_value);
	*low = medians[RESAMPLES / 40];
	*high = medians[RESAMPLES - 1 - RESAMPLES / 40];
}

/* --- the table ---------------------------------------------------------- */

static const char *verdict(const struct floor_case *which, double low,
			   double high)
{
	static char text[80];
	const char *met = high <= which->target	 ? "met"
			  : low > which->target ? "MISSED"
						 : "not decided";

	if (which->target > 0)
		snprintf(text, sizeof text, "target %.2f: %s", which->target,
			 met);
	else
		snprintf(text, sizeof text, "%s",
			 low <= 1 && high >= 1 ? "no difference shown" : "");
	return text;
}

static void print_metric(const char *program, const struct floor_case *which,
			 const struct result *result, enum metric metric)
{
	static const char *const names[METRICS] = { "wall", "cpu" };
	static double ratios[MAX_ROUNDS];
	double bare, peal, ratio, low, high;
	unsigned i;

	for (i = 0; i < rounds; i++)
		ratios[i] = result->ns[FLOOR_PEAL][metric][i] /
			    result->ns[FLOOR_BARE][metric][i];
	bare = median_of(result->ns[FLOOR_BARE][metric], rounds);
	peal = median_of(result->ns[FLOOR_PEAL][metric], rounds);
	ratio = median_of(ratios, rounds);
	bootstrap(ratios, rounds, &low, &high);
	if (csv)
		printf("%s,%s,%s,%.2f,%.2f,%.4f,%.4f,%.4f,%u\n", program,
		       which->name, names[metric], bare, peal, ratio, low,
		       high, rounds);
	else
		printf("%-9s %-5s %9.1f %9.1f %8.3fx  %.3f to %.3f  %s\n",
		       which->name, names[metric], bare, peal, ratio, low,
		       high, verdict(which, low, high));
}

static void print_opcodes(void)
{
	struct peal_stats stats = { .size = sizeof stats };
	unsigned i;

	peal_ring_stats(floor_peal, &stats);
	printf("  peal  submitted %llu:", (unsigned long long)stats.submitted);
	for (i = 0; i < PEAL_STATS_OPS; i++)
		if (stats.by_op[i])
			printf(" %s %llu", peal_opcode_name(i),
			       (unsigned long long)stats.by_op[i]);
	printf("; sq full %llu, cq overflows %llu, stale %llu\n",
	       (unsigned long long)stats.sq_full,
	       (unsigned long long)stats.cq_overflows,
	       (unsigned long long)stats.stale);
}

static void print_table(const char *program, const struct floor_case *cases,
			unsigned count)
{
	unsigned i;

	if (csv)
		printf("program,case,metric,bare_ns,peal_ns,ratio,low,high,"
		       "rounds\n");
	else
		printf("\n%-9s %-5s %9s %9s %9s  %s\n", "", "ns/op", "bare",
		       "peal", "ratio", "95 % interval");
	for (i = 0; i < count; i++) {
		print_metric(program, &cases[i], &results[i], WALL);
		print_metric(program, &cases[i], &results[i], CPU);
	}
	if (csv)
		return;
	printf("\n");
	for (i = 0; i < count; i++)
		printf("  %-9s %.4f enters per op bare, %.4f peal; %u rounds "
		       "of %llu ops on each side\n", cases[i].name,
		       (double)results[i].enters[FLOOR_BARE] /
			       (double)results[i].done,
		       (double)results[i].enters[FLOOR_PEAL] /
			       (double)results[i].done,
		       rounds, (unsigned long long)results[i].ops);
	print_opcodes();
}

static void usage(const char *program)
{
	fprintf(stderr, "usage: %s [--rounds N] [--seconds S] [--csv] "
		"[--explain]\n", program);
	exit(2);
}

static void parse(int argc, char **argv, const char *program)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--csv") == 0)
			csv = 1;
		else if (strcmp(argv[i], "--explain") == 0)
			explain = 1;
		else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
			rounds = (unsigned)atoi(argv[++i]);
		else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
			seconds = atof(argv[++i]);
		else
			usage(program);
	}
	if (rounds < 3 || rounds > MAX_ROUNDS || seconds <= 0)
		usage(program);
}

int floor_main(int argc, char **argv, const char *program,
	       const struct floor_case *cases, unsigned count)
{
	int rc;

	parse(argc, argv, program);
	open_rings(program);
	run_rounds(cases, count);
	print_table(program, cases, count);
	io_uring_queue_exit(&floor_bare);
	rc = peal_ring_close(floor_peal, 10 * PEAL_S);
	if (rc < 0)
		floor_fail("peal_ring_close", rc);
	return 0;
}
