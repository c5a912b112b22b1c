/* SPDX-License-Identifier: MIT */
/* What arming, moving and cancelling a timer costs. See timers.h. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "perf/bench.h"
#include "perf/commands.h"
#include "perf/timers.h"
#include "perf/workloads.h"

/* From five minutes to an hour: none fires, and idle timeouts are like that. */
#define LEAST_NS	UINT64_C(300000000000)
#define SPREAD_NS	UINT64_C(3300000000000)

void timers_open(struct timers_job *job, const struct perf_case *at)
{
	memset(job, 0, sizeof *job);
	job->op = case_is(at, "op", "arm")     ? TIMERS_ARM
		  : case_is(at, "op", "rearm") ? TIMERS_REARM
						: TIMERS_CANCEL;
	job->count = (unsigned)case_number(at, "count");
	job->chunk = job->count / 5 > 20000 ? 20000 : job->count / 5;
	job->total = job->count + job->chunk;
	job->order = calloc(job->count, sizeof *job->order);
	job->which = calloc(job->chunk, sizeof *job->which);
	job->ns = calloc(job->chunk, sizeof *job->ns);
	job->seed = UINT64_C(88172645463325252);
	if (!job->order || !job->which || !job->ns)
		abort();
	stats_shuffle(job->order, job->count, &job->seed);
}

void timers_close(struct timers_job *job)
{
	free(job->order);
	free(job->which);
	free(job->ns);
}

static uint64_t some_time(struct timers_job *job)
{
	return LEAST_NS + stats_random(&job->seed) % SPREAD_NS;
}

const char *timers_fill(struct timers_job *job, timers_apply *apply,
			void *state)
{
	const char *wrong = NULL;
	unsigned i, n;

	for (i = 0; i < job->count && !wrong; i += n) {
		for (n = 0; n < job->chunk && i + n < job->count; n++) {
			job->which[n] = i + n;
			job->ns[n] = some_time(job);
		}
		wrong = apply(state, TIMERS_ARM, job->which, job->ns, n);
	}
	return wrong;
}

/* The next ones: spare timers to arm, others in a random order. */
static void pick(struct timers_job *job, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		job->which[i] = job->op == TIMERS_ARM ? job->count + i
						      : job->order[job->at];
		job->at = (job->at + 1) % job->count;
		job->ns[i] = some_time(job);
	}
}

static double cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static const char *one_chunk(struct timers_job *job, timers_apply *apply,
			     void *state, unsigned count, struct slice *slice)
{
	const char *wrong;
	uint64_t began;
	double cpu;

	pick(job, count);
	cpu = cpu_ns();
	began = clock_now();
	wrong = apply(state, job->op, job->which, job->ns, count);
	slice->wall_ns += (double)(clock_now() - began);
	slice->cpu_ns += cpu_ns() - cpu;
	job->done += count;
	if (wrong || job->op == TIMERS_REARM)
		return wrong;
	return apply(state, job->op == TIMERS_ARM ? TIMERS_CANCEL : TIMERS_ARM,
		     job->which, job->ns, count);
}

const char *timers_run(struct timers_job *job, timers_apply *apply,
		       void *state, struct slice *slice)
{
	uint64_t left = slice->ops;
	const char *wrong = NULL;

	slice->wall_ns = slice->cpu_ns = 0;
	while (left && !wrong) {
		unsigned count = left < job->chunk ? (unsigned)left
						   : job->chunk;

		wrong = one_chunk(job, apply, state, count, slice);
		left -= count;
	}
	return wrong;
}

void timers_count(const struct timers_job *job, struct counters *out)
{
	memset(out, 0, sizeof *out);
	out->ops = (double)job->done;
	out->calls = out->overflows = out->punts = UNKNOWN;
}

/* --- the workload ----------------------------------------------------------- */

static const struct axis axes[] = {
	{ "op", "arm,rearm,cancel", "arm,rearm,cancel", NULL, 0,
	  "what is done to them" },
	{ "count", "10000,1000000", NULL, NULL, 0,
	  "timers that stand, 100 to 3000000" },
};

#if !PERF_HAVE_LIBUV
static const struct side timers_uv = SIDE_ABSENT("libuv", "libuv");
#endif
#if !PERF_HAVE_LIBEVENT
static const struct side timers_event = SIDE_ABSENT("libevent", "libevent");
#endif
#if !PERF_HAVE_ASIO
static const struct side timers_asio = SIDE_ABSENT("asio", "Asio");
#endif

static const struct side *const sides[] = {
	&timers_peal, &timers_uv, &timers_event, &timers_asio, NULL,
};

static const char *senseless(const struct perf_case *at)
{
	uint64_t count = case_number(at, "count");

	return count < 100 || count > 3000000 ? "count is 100 to 3000000"
					      : NULL;
}

const struct workload workload_timers = {
	.name = "timers",
	.line = "timers: arming, moving, cancelling while many stand",
	.op = "timer",
	.axes = axes,
	.axis_count = sizeof axes / sizeof *axes,
	.sides = sides,
	.senseless = senseless,
};

static int timers_main(int argc, char **argv)
{
	return bench_main(&workload_timers, argc, argv);
}

const struct command command_timers = {
	"timers", "arming, moving and cancelling timers", timers_main,
};
