/* SPDX-License-Identifier: MIT */
/*
 * What does a message to a loop cost? flood: another thread posts as fast as it
 * can, and each message is counted when it is delivered. roundtrip: two loops
 * in two threads, each message is answered, so every one wakes somebody.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "perf/bench.h"
#include "perf/commands.h"
#include "perf/wake.h"
#include "perf/workloads.h"

enum order { REST, OPEN, RUN, CLOSE };

/* The other thread: floods `here`, or runs a loop of its own, `there`. */
struct state {
	struct wake_loop here, there;
	int roundtrip;
	pthread_t helper;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum order order;
	int done;		/* the order is */
	uint64_t count;		/* to post, or to wait for */
	char failed[240];
};

static void post(struct wake_loop *to)
{
	while (to->kind->post(to) < 0)
		sched_yield();
}

void wake_came(struct wake_loop *loop, uint64_t count)
{
	loop->seen += count;
	loop->callbacks++;
	for (; loop->answer && count; count--)
		post(loop->answer);
}

static const char *obey(struct state *state, enum order order)
{
	struct wake_loop *there = &state->there;
	uint64_t i;

	switch (order) {
	case OPEN:
		return state->roundtrip ? there->kind->open(there) : NULL;
	case RUN:
		if (state->roundtrip)
			return there->kind->run(there, state->count);
		for (i = 0; i < state->count; i++)
			post(&state->here);
		return NULL;
	case CLOSE:
		if (state->roundtrip)
			there->kind->close(there);
		return NULL;
	case REST:
		break;
	}
	return NULL;
}

static void *help(void *arg)
{
	struct state *state = arg;
	enum order order = REST;

	pthread_mutex_lock(&state->lock);
	while (order != CLOSE) {
		const char *failed;

		while (state->order == REST)
			pthread_cond_wait(&state->changed, &state->lock);
		order = state->order;
		pthread_mutex_unlock(&state->lock);
		failed = obey(state, order);
		pthread_mutex_lock(&state->lock);
		snprintf(state->failed, sizeof state->failed, "%s",
			 failed ? failed : "");
		state->order = REST;
		state->done = 1;
		pthread_cond_broadcast(&state->changed);
	}
	pthread_mutex_unlock(&state->lock);
	return NULL;
}

static void give(struct state *state, enum order order)
{
	pthread_mutex_lock(&state->lock);
	state->order = order;
	state->done = 0;
	pthread_cond_broadcast(&state->changed);
	pthread_mutex_unlock(&state->lock);
}

static const char *await(struct state *state)
{
	pthread_mutex_lock(&state->lock);
	while (!state->done)
		pthread_cond_wait(&state->changed, &state->lock);
	pthread_mutex_unlock(&state->lock);
	return state->failed[0] ? why("%s", state->failed) : NULL;
}

static void end_helper(struct state *state)
{
	give(state, CLOSE);
	await(state);
	pthread_join(state->helper, NULL);
	free(state);
}

const char *wake_open(const struct wake_kind *kind, void **out_state,
		      const struct perf_case *at)
{
	struct state *state = calloc(1, sizeof *state);
	const char *wrong;

	if (!state)
		abort();
	state->roundtrip = case_is(at, "traffic", "roundtrip");
	state->here.kind = state->there.kind = kind;
	if (state->roundtrip)
		state->there.answer = &state->here;
	pthread_mutex_init(&state->lock, NULL);
	pthread_cond_init(&state->changed, NULL);
	wrong = kind->open(&state->here);
	if (wrong) {
		free(state);
		return wrong;
	}
	if (pthread_create(&state->helper, NULL, help, state) != 0)
		abort();
	give(state, OPEN);
	wrong = await(state);
	if (wrong) {
		kind->close(&state->here);
		state->roundtrip = 0;	/* there is nothing to close there */
		end_helper(state);
	}
	*out_state = state;
	return wrong;
}

const char *wake_run(void *arg, struct slice *slice)
{
	struct state *state = arg;
	const struct wake_kind *kind = state->here.kind;
	uint64_t target = state->here.seen + slice->ops;
	const char *wrong = NULL, *other;

	state->count = state->roundtrip ? state->there.seen + slice->ops
					: slice->ops;
	give(state, RUN);
	while (!wrong && state->here.seen < target) {
		uint64_t began = slice->latency ? clock_now() : 0;

		if (state->roundtrip)
			post(&state->there);
		wrong = kind->run(&state->here, state->roundtrip
							? state->here.seen + 1
							: target);
		if (slice->latency && state->roundtrip)
			latency_note(slice->latency, clock_now() - began);
	}
	other = await(state);
	return wrong ? wrong : other;
}

void wake_count(void *arg, struct counters *out)
{
	struct state *state = arg;

	memset(out, 0, sizeof *out);
	out->ops = (double)state->here.seen;
	out->calls = out->overflows = out->punts = UNKNOWN;
	out->extra[0].name = "messages per callback";
	out->extra[0].value = (double)state->here.seen /
			      (double)(state->here.callbacks
					       ? state->here.callbacks
					       : 1);
}

void wake_close(void *arg)
{
	struct state *state = arg;

	state->here.kind->close(&state->here);
	end_helper(state);
}

/* --- the workload ----------------------------------------------------------- */

static const struct axis axes[] = {
	{ "traffic", "flood,roundtrip", "flood,roundtrip", NULL, 0,
	  "as fast as can be, or one at a time with an answer" },
};

#if !PERF_HAVE_LIBUV
static const struct side wake_uv = SIDE_ABSENT("libuv", "libuv");
#endif
#if !PERF_HAVE_LIBEVENT
static const struct side wake_event = SIDE_ABSENT("libevent", "libevent");
#endif
#if !PERF_HAVE_ASIO
static const struct side wake_asio = SIDE_ABSENT("asio", "Asio");
#endif

static const struct side *const sides[] = {
	&wake_eventfd, &wake_peal, &wake_uv, &wake_event, &wake_asio, NULL,
};

const struct workload workload_wake = {
	.name = "wake",
	.line = "messages to a loop from another thread",
	.op = "message",
	.axes = axes,
	.axis_count = sizeof axes / sizeof *axes,
	.sides = sides,
};

static int wake_main(int argc, char **argv)
{
	return bench_main(&workload_wake, argc, argv);
}

const struct command command_wake = {
	"wake", "posting to a ring from another thread", wake_main,
};
