/* SPDX-License-Identifier: MIT */
/* Opening, proving, calibrating, rounds. See measure.h. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "peal.h"
#include "perf/crew.h"
#include "perf/measure.h"
#include "perf/trace.h"
#include "perf/usage.h"

#define WARM_UP_ROUNDS	2
#define PROVE_OPS	512
#define CALIBRATIONS	3
#define LEAST_SLICE_NS	500e3
#define MOST_OPS	(UINT64_C(1) << 32)

const char *const metric_names[METRICS] = {
	[WALL_NS] = "wall_ns",
	[CPU_NS] = "cpu_ns",
	[WORKER_NS] = "worker_ns",
	[SWITCHES] = "switches",
	[INSTRUCTIONS] = "instructions",
};

volatile int measure_stop;

const char *why(const char *format, ...)
{
	static _Thread_local char text[240];
	char fresh[sizeof text];	/* an argument may be the old text */
	va_list args;

	va_start(args, format);
	vsnprintf(fresh, sizeof fresh, format, args);
	va_end(args);
	memcpy(text, fresh, sizeof text);
	return text;
}

const char *why_errno(const char *what, long long error)
{
	return why("%s: %s", what, peal_strerror(error));
}

uint64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) +
	       (uint64_t)ts.tv_nsec;
}

static void on_signal(int number)
{
	(void)number;
	if (measure_stop++)
		_Exit(130);
}

void measure_catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal,
				    .sa_flags = SA_RESTART };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

void row_free(struct row *row)
{
	unsigned i;

	for (i = 0; i < METRICS; i++)
		free(row->samples[i]);
	free(row->latency);
	memset(row, 0, sizeof *row);
}

const char *row_value(const struct row *row, unsigned axis)
{
	return row->side->no_variants && row->at.axes[axis].variant
		       ? "-"
		       : row->at.value[axis];
}

static void give_up(struct row *row, const char *reason)
{
	snprintf(row->na, sizeof row->na, "%s", reason);
	if (row->crew)
		crew_close(row->crew);
	row->crew = NULL;
}

static int in_play(const struct row *row)
{
	return row->crew != NULL;
}

static unsigned rings_of(const struct row *row, const struct measure *how)
{
	return how->rings_axis ? (unsigned)case_number(&row->at, "rings") : 1;
}

static struct trace *start_trace(const char *event)
{
	struct trace *trace;

	return trace_open(&trace, getpid(), event, NULL) ? NULL : trace;
}

static double end_trace(struct trace *trace, double ops)
{
	double count = trace ? trace_count(trace) : UNKNOWN;

	if (trace)
		trace_close(trace);
	return count < 0 ? UNKNOWN : count / ops;
}

static struct slice slice_of(uint64_t ops)
{
	return (struct slice){ .ops = ops, .wall_ns = -1, .cpu_ns = -1,
			       .worker_ns = -1, .switches = -1,
			       .instructions = -1 };
}

/* Is what the entries say what was asked for? */
static void prove(struct row *row, const struct measure *how)
{
	struct slice slice = slice_of(PROVE_OPS);
	struct trace *calls = start_trace(TRACE_CALLS);
	struct trace *punts = start_trace(TRACE_PUNTS);
	const char *wrong;

	slice.prove = 1;
	wrong = crew_run(row->crew, &slice);
	row->traced_punts = end_trace(punts, PROVE_OPS);
	row->traced_calls = end_trace(calls, PROVE_OPS);
	/* The work of another process is not what was counted here. */
	if (slice.wall_ns >= 0)
		row->traced_punts = row->traced_calls = UNKNOWN;
	if (!wrong) {
		crew_count(row->crew, &row->counters);
		if (how->in_effect && !row->side->no_variants)
			wrong = how->in_effect(&row->at, &row->counters);
	}
	if (wrong)
		give_up(row, wrong);
}

/* What a side does not know about itself, the kernel counted. */
static void fill_in(struct row *row)
{
	struct counters *is = &row->counters;

	if (is->calls < 0 && row->traced_calls >= 0)
		is->calls = row->traced_calls * is->ops;
	if (row->traced_punts >= 0)
		is->punts = row->traced_punts * is->ops;
}

static void open_row(struct row *row, const struct measure *how)
{
	const char *wrong;
	unsigned i;

	if (row->na[0])
		return;
	if (row->side->absent) {
		give_up(row, row->side->absent);
		return;
	}
	wrong = crew_open(&row->crew, row->side, &row->at,
			  rings_of(row, how));
	if (wrong) {
		row->crew = NULL;
		give_up(row, wrong);
		return;
	}
	for (i = 0; i < METRICS; i++) {
		row->samples[i] = calloc(how->rounds, sizeof(double));
		if (!row->samples[i])
			abort();
	}
	if (how->latency) {
		row->latency = calloc(1, sizeof *row->latency);
		if (!row->latency)
			abort();
	}
	prove(row, how);
}

/* --- a slice ------------------------------------------------------------ */

static const char *timed(struct row *row, uint64_t ops, struct latency *latency,
			 double rate, double *out)
{
	struct slice slice = slice_of(ops);
	struct usage before, after;
	const char *wrong;
	double per = 1 / (double)ops;

	slice.latency = latency;
	slice.rate = rate;
	usage_before(&before);
	wrong = crew_run(row->crew, &slice);
	usage_after(&after);
	if (wrong)
		return wrong;
	out[WALL_NS] = per * (slice.wall_ns >= 0 ? slice.wall_ns
				: after.wall_ns - before.wall_ns);
	out[CPU_NS] = per * (slice.cpu_ns >= 0 ? slice.cpu_ns
				: after.cpu_ns - before.cpu_ns);
	if (slice.cpu_ns < 0) {
		slice.worker_ns = fmax(0, after.worker_ns - before.worker_ns);
		slice.switches = after.switches - before.switches;
		if (after.instructions >= 0)
			slice.instructions = after.instructions -
					     before.instructions;
	}
	out[WORKER_NS] = slice.worker_ns < 0 ? UNKNOWN : per * slice.worker_ns;
	out[SWITCHES] = slice.switches < 0 ? UNKNOWN : per * slice.switches;
	out[INSTRUCTIONS] = slice.instructions < 0 ? UNKNOWN
						   : per * slice.instructions;
	return NULL;
}

/* How many ops fill the time; grows in steps, so that a slow one is not run
 * for minutes to learn it. What counts is the fastest step: one that other
 * programs interrupted would make the row's slices too short for the rest of
 * the run, and what is short is run with cold caches. */
static void calibrate(struct row *row, double slice_ns)
{
	uint64_t ops = 16, unit;
	double out[METRICS], each = 0;
	unsigned long_enough = 0;

	while (long_enough < CALIBRATIONS) {
		const char *wrong = timed(row, ops, NULL, 0, out);

		if (wrong) {
			give_up(row, wrong);
			return;
		}
		if (each <= 0 || out[WALL_NS] < each)
			each = out[WALL_NS];
		if (measure_stop || ops > MOST_OPS)
			break;
		if (each * (double)ops > slice_ns / 4)
			long_enough++;
		else
			ops *= each * (double)ops < slice_ns / 32 ? 4 : 2;
	}
	row->slice_ops = each > 0 ? (uint64_t)(slice_ns / each) : ops;
	/* Whole batches, whatever their size is. */
	unit = row->slice_ops >= 1024 ? 256 : row->slice_ops >= 128 ? 64 : 16;
	row->slice_ops -= row->slice_ops % unit;
	if (row->slice_ops < unit)
		row->slice_ops = unit;
}

/* Latencies come from a slice of their own: stamping ops costs. An open loop
 * takes the time that its rate says, so it gets as much as the slice took; at a
 * rate that cannot be had it would take any time, so there is a most, too. */
static const char *latency_slice(struct row *row, const struct measure *how,
				 double slice_ns, int warm)
{
	static struct latency ignored;
	double out[METRICS], ops = (double)row->slice_ops;

	if (how->rate > 0)
		ops = fmax(2, fmin(how->rate * slice_ns / 1e9, 4 * ops));
	return timed(row, (uint64_t)ops, warm ? &ignored : row->latency,
		     how->rate, out);
}

static void one_slice(struct row *row, const struct measure *how,
		      unsigned round, int warm)
{
	double out[METRICS];
	const char *wrong = timed(row, row->slice_ops, NULL, 0, out);
	unsigned i;

	if (!wrong && how->latency)
		wrong = latency_slice(row, how, out[WALL_NS] *
				      (double)row->slice_ops, warm);
	if (wrong) {
		give_up(row, wrong);
		return;
	}
	if (warm)
		return;
	for (i = 0; i < METRICS; i++)
		row->samples[i][round] = out[i];
	row->ops += row->slice_ops;
	row->rounds = round + 1;
}

/* --- rounds --------------------------------------------------------------- */

static void one_round(struct row *rows, unsigned count,
		      const struct measure *how, unsigned round, int warm,
		      uint64_t *seed)
{
	unsigned *order = calloc(count, sizeof *order), i;
	unsigned rounds = how->rounds + WARM_UP_ROUNDS;

	if (!order)
		abort();
	stats_shuffle(order, count, seed);
	for (i = 0; i < count && !measure_stop; i++) {
		if (in_play(&rows[order[i]]))
			one_slice(&rows[order[i]], how, round, warm);
		if (how->progress)
			how->progress(((double)(warm ? round : round +
						WARM_UP_ROUNDS) +
				       (double)(i + 1) / count) / rounds);
	}
	free(order);
}

static unsigned playing(const struct row *rows, unsigned count)
{
	unsigned i, in = 0;

	for (i = 0; i < count; i++)
		in += (unsigned)in_play(&rows[i]);
	return in;
}

/* All rows have as many rounds, so that they can be paired. */
static void even(struct row *rows, unsigned count, unsigned rounds)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (rows[i].rounds > rounds)
			rows[i].rounds = rounds;
}

/* Opening and calibrating may take longer than all else: a sync each. */
static void prepared(const struct measure *how, unsigned steps, unsigned rows)
{
	if (how->progress)
		how->progress(steps / (2.0 * rows) - 1);
}

static void measure_rows(struct row *rows, unsigned count,
			 const struct measure *how)
{
	unsigned i, slices = (how->rounds + WARM_UP_ROUNDS) *
			     (how->latency ? 2 : 1);
	unsigned in = playing(rows, count);
	double slice_ns = fmax(LEAST_SLICE_NS, how->seconds * 1e9 /
					       (slices * (in ? in : 1.0)));
	uint64_t seed = how->seed;

	for (i = 0; i < count && !measure_stop; i++) {
		prepared(how, count + i, count);
		if (in_play(&rows[i]))
			calibrate(&rows[i],
				  fmax(slice_ns, rows[i].side->least_slice_ns));
	}
	for (i = 0; i < WARM_UP_ROUNDS && !measure_stop; i++)
		one_round(rows, count, how, i, 1, &seed);
	for (i = 0; i < how->rounds && !measure_stop; i++)
		one_round(rows, count, how, i, 0, &seed);
	if (measure_stop && i)
		even(rows, count, i - 1);
}

static void close_row(struct row *row)
{
	if (row->crew) {
		crew_count(row->crew, &row->counters);
		fill_in(row);
		crew_close(row->crew);
		row->crew = NULL;
	}
	if (!row->rounds && !row->na[0])
		snprintf(row->na, sizeof row->na, "stopped");
}

int measure_group(struct row *rows, unsigned count, const struct measure *how)
{
	unsigned i;

	measure_no_instructions();	/* counts the threads that come after */
	for (i = 0; i < count && !measure_stop; i++) {
		prepared(how, i, count);
		open_row(&rows[i], how);
	}
	measure_rows(rows, count, how);
	for (i = 0; i < count; i++)
		close_row(&rows[i]);
	return measure_stop ? -1 : 0;
}
