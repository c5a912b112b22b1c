/* SPDX-License-Identifier: MIT */
/* Timers on Asio. A cancelled one ends by its handler, as on peal. */
#define ASIO_STANDALONE 1
#include <asio.hpp>
#include <chrono>
#include <deque>
#include "perf/timers.h"

namespace {

struct state {
	asio::io_context context{1};
	timers_job job;
	std::deque<asio::steady_timer> timers;
	unsigned fired = 0;
};

void wait(state *state, unsigned which, uint64_t ns)
{
	asio::steady_timer &timer = state->timers[which];

	/* What was waited for ends with operation_aborted. */
	timer.expires_after(std::chrono::nanoseconds(ns));
	timer.async_wait([state](const asio::error_code &error) {
		if (!error)
			state->fired++;
	});
}

const char *apply(void *arg, timers_op op, const unsigned *which,
		  const uint64_t *ns, unsigned count)
{
	state *state = static_cast<struct state *>(arg);

	for (unsigned i = 0; i < count; i++) {
		if (op == TIMERS_CANCEL)
			state->timers[which[i]].cancel();
		else
			wait(state, which[i], ns[i]);
	}
	state->context.restart();
	state->context.poll();
	return state->fired ? "a timer fired" : nullptr;
}

void close_side(void *arg)
{
	state *state = static_cast<struct state *>(arg);

	state->timers.clear();
	timers_close(&state->job);
	delete state;
}

const char *open_side(void **out_state, const perf_case *at)
{
	state *state = new struct state;
	const char *wrong;

	timers_open(&state->job, at);
	for (unsigned i = 0; i < state->job.total; i++)
		state->timers.emplace_back(state->context);
	*out_state = state;
	wrong = timers_fill(&state->job, apply, state);
	if (wrong)
		close_side(state);
	return wrong;
}

const char *run(void *arg, slice *slice)
{
	state *state = static_cast<struct state *>(arg);

	return timers_run(&state->job, apply, state, slice);
}

void count(void *arg, counters *out)
{
	timers_count(&static_cast<state *>(arg)->job, out);
}

side make_side()
{
	side it = side();

	it.name = "asio";
	it.open = open_side;
	it.run = run;
	it.count = count;
	it.close = close_side;
	return it;
}

} // namespace

extern "C" {
extern const side timers_asio;
const side timers_asio = make_side();
}
