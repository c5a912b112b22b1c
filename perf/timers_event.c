/* SPDX-License-Identifier: MIT */
/* Timers on libevent. */
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include "perf/timers.h"

struct state {
	struct event_base *base;
	struct timers_job job;
	struct event *timers;
	unsigned fired;
};

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	((struct state *)arg)->fired++;
}

static const char *apply(void *arg, enum timers_op op, const unsigned *which,
			 const uint64_t *ns, unsigned count)
{
	struct state *state = arg;
	unsigned i;

	for (i = 0; i < count; i++) {
		struct event *timer = &state->timers[which[i]];
		struct timeval in = { (time_t)(ns[i] / 1000000000),
				      (suseconds_t)(ns[i] / 1000 % 1000000) };

		if (op == TIMERS_CANCEL)
			event_del(timer);
		else
			event_add(timer, &in);
	}
	event_base_loop(state->base, EVLOOP_NONBLOCK);
	return state->fired ? "a timer fired" : NULL;
}

static const char *open_side(void **out_state, const struct perf_case *at)
{
	struct state *state = calloc(1, sizeof *state);
	const char *wrong;
	unsigned i;

	if (!state)
		abort();
	timers_open(&state->job, at);
	state->base = event_base_new();
	state->timers = calloc(state->job.total, sizeof *state->timers);
	if (!state->timers || !state->base)
		abort();
	for (i = 0; i < state->job.total; i++)
		event_assign(&state->timers[i], state->base, -1, 0, on_timer,
			     state);
	*out_state = state;
	wrong = timers_fill(&state->job, apply, state);
	if (wrong)
		timers_event.close(state);
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
		event_del(&state->timers[i]);
	event_base_free(state->base);
	timers_close(&state->job);
	free(state->timers);
	free(state);
}

const struct side timers_event = {
	.name = "libevent", .open = open_side, .run = run, .count = count,
	.close = close_side,
};
