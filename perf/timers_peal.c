/* SPDX-License-Identifier: MIT */
/*
 * Timers on peal, used as a server does: inside of a handler, where time is the
 * turn's. A cancelled sleep ends by its handler, in the same turn: that is part
 * of what a cancel costs, so the turn belongs to the time that counts.
 */
#include <stdlib.h>
#include "perf/rings.h"
#include "perf/timers.h"

struct state {
	struct peal_ring *ring;
	struct timers_job job;
	peal_op *timers;
	/* what the handler is to do */
	enum timers_op op;
	const unsigned *which;
	const uint64_t *ns;
	unsigned count, ended;
	int64_t error;
};

static void on_timer(struct peal_ring *ring, const struct peal_completion *done)
{
	struct state *state = done->ctx;

	(void)ring;
	state->ended++;
}

static void one(struct state *state, unsigned i)
{
	peal_op *timer = &state->timers[state->which[i]];
	int64_t rc = 0;

	switch (state->op) {
	case TIMERS_ARM:
		rc = *timer = peal_sleep(state->ring, state->ns[i], 0,
					 on_timer, state);
		break;
	case TIMERS_REARM:
		rc = peal_sleep_again(state->ring, *timer, state->ns[i]);
		break;
	case TIMERS_CANCEL:
		rc = peal_cancel(state->ring, *timer, 0, NULL, NULL);
		break;
	}
	if (rc < 0)
		state->error = rc;
}

static void on_turn(struct peal_ring *ring, const struct peal_completion *done)
{
	struct state *state = done->ctx;
	unsigned i;

	(void)ring;
	for (i = 0; i < state->count; i++)
		one(state, i);
	state->count = 0;
}

static const char *apply(void *arg, enum timers_op op, const unsigned *which,
			 const uint64_t *ns, unsigned count)
{
	struct state *state = arg;
	unsigned must_end = op == TIMERS_CANCEL ? count : 0;

	state->op = op;
	state->which = which;
	state->ns = ns;
	state->count = count;
	state->ended = 0;
	if (peal_nop(state->ring, 0, on_turn, state) < 0)
		return "peal_nop failed";
	while (state->count || state->ended < must_end) {
		int rc = peal_ring_turn(state->ring, PEAL_S);

		if (rc < 0)
			return why_errno("peal_ring_turn", rc);
	}
	if (state->ended != must_end)
		return "a timer fired";
	return state->error ? why_errno("a timer", state->error) : NULL;
}

static const char *open_side(void **out_state, const struct perf_case *at)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;
	struct state *state = calloc(1, sizeof *state);
	const char *wrong;

	if (!state)
		abort();
	timers_open(&state->job, at);
	state->timers = calloc(state->job.total, sizeof *state->timers);
	if (!state->timers)
		abort();
	options.max_ops = state->job.total + 16;
	if (peal_ring_open(&state->ring, &options) < 0) {
		timers_close(&state->job);
		free(state->timers);
		free(state);
		return why("peal_ring_open: %s", peal_open_reason());
	}
	*out_state = state;
	wrong = timers_fill(&state->job, apply, state);
	if (wrong)
		timers_peal.close(state);
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

	peal_ring_close(state->ring, 10 * PEAL_S);
	timers_close(&state->job);
	free(state->timers);
	free(state);
}

const struct side timers_peal = {
	.name = "peal", .open = open_side, .run = run, .count = count,
	.close = close_side,
};
