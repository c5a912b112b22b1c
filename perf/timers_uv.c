/* SPDX-License-Identifier: MIT */
/* Timers on libuv. */
#include <stdlib.h>
#include <uv.h>
#include "perf/timers.h"

struct state {
	uv_loop_t loop;
	struct timers_job job;
	uv_timer_t *timers;
	unsigned fired;
};

static void on_timer(uv_timer_t *timer)
{
	((struct state *)timer->loop->data)->fired++;
}

static const char *apply(void *arg, enum timers_op op, const unsigned *which,
			 const uint64_t *ns, unsigned count)
{
	struct state *state = arg;
	unsigned i;

	/* Its time is the loop's, read once per turn. */
	uv_update_time(&state->loop);
	for (i = 0; i < count; i++) {
		uv_timer_t *timer = &state->timers[which[i]];

		if (op == TIMERS_CANCEL)
			uv_timer_stop(timer);
		else
			uv_timer_start(timer, on_timer, ns[i] / 1000000, 0);
	}
	uv_run(&state->loop, UV_RUN_NOWAIT);
	return state->fired ? "a timer fired" : NULL;
}

static const char *open_side(void **out_state, const struct perf_case *at)
{
	struct state *state = calloc(1, sizeof *state);
	const char *wrong;
	unsigned i;

	if (!state || uv_loop_init(&state->loop) < 0)
		abort();
	state->loop.data = state;
	timers_open(&state->job, at);
	state->timers = calloc(state->job.total, sizeof *state->timers);
	if (!state->timers)
		abort();
	for (i = 0; i < state->job.total; i++)
		uv_timer_init(&state->loop, &state->timers[i]);
	*out_state = state;
	wrong = timers_fill(&state->job, apply, state);
	if (wrong)
		timers_uv.close(state);
	return wrong;
}

static const char *run(void *arg, struct slice *slice)
{
	struct state *state = arg;

	return timers_run(&state->job, apply, state, slice);
}

static void count(void *arg, struct counters *out)
{
	timers_count(&((struct state *)arg)->job, out);
}

static void close_side(void *arg)
{
	struct state *state = arg;
	unsigned i;

	for (i = 0; i < state->job.total; i++)
		uv_close((uv_handle_t *)&state->timers[i], NULL);
	uv_run(&state->loop, UV_RUN_DEFAULT);
	uv_loop_close(&state->loop);
	timers_close(&state->job);
	free(state->timers);
	free(state);
}

const struct side timers_uv = {
	.name = "libuv", .open = open_side, .run = run, .count = count,
	.close = close_side,
};
