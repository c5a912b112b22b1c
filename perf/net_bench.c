/* SPDX-License-Identifier: MIT */
/*
 * Each way to write the server, as a side: open starts the server and connects
 * to it, run sends messages there and back, and what is measured is the
 * server's processor time. The slice that proves is also the one in which every
 * byte is compared and system calls are counted.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "perf/net_bench.h"
#include "perf/net_child.h"
#include "perf/net_limits.h"
#include "perf/net_load.h"
#include "perf/trace.h"
#include "perf/usage.h"

enum { IOURING_SEND = 26, IOURING_RECV = 27 };
#define LEAST_CHUNK	4096u
#define MOST_BUFFERS	32768u

struct net_state {
	const struct net_way *way;
	struct net_child child;
	struct net_load *load;
	unsigned connections, busy;
	struct net_page before;	/* the page when the last run began */
	double messages;	/* of the run that proved, and its counts */
	double calls, recvs, sends, direct, bundles, starved;
	double heap;		/* bytes per connection */
};

const char *net_verify;

static void heap(struct net_state *state, const struct net_memory *before)
{
	struct net_memory after;

	net_child_memory(&state->child, &after);
	state->heap = (after.heap - before->heap) / state->connections;
}

static const char *connect_to(struct net_state *state,
			      const struct net_load_options *options)
{
	struct net_memory before;
	const char *wrong;

	net_child_memory(&state->child, &before);
	wrong = net_load_open(&state->load, options);
	if (!wrong)
		wrong = net_load_greet(state->load);
	/* A server that gave up says why better than its client can. */
	if (wrong && state->child.page->state == NET_CANNOT)
		wrong = why("%s", state->child.page->reason);
	if (!wrong)
		heap(state, &before);
	return wrong;
}

static void net_close(void *as_void)
{
	struct net_state *state = as_void;

	if (state->load)
		net_load_close(state->load);
	net_child_end(&state->child);
	net_limits_took(-(int)state->connections);
	free(state);
}

static const char *net_open(void **out_state, unsigned which,
			    const struct perf_case *at)
{
	const struct net_way *way = &net_ways[which];
	struct net_load_options options = { .size = case_number(at, "size") };
	struct net_job job = { .chunk = case_number(at, "buffer") };
	struct net_state *state;
	const char *wrong;

	job.connections = (unsigned)case_number(at, "connections");
	job.stream = options.stream = case_is(at, "traffic", "stream");
	if (!job.chunk)
		job.chunk = options.size < LEAST_CHUNK ? LEAST_CHUNK
						       : options.size;
	/* Room for as many messages, whatever a buffer holds of one. */
	job.buffers = NET_BUFFERS;
	while (job.buffers * job.chunk < NET_BUFFERS * options.size &&
	       job.buffers < MOST_BUFFERS)
		job.buffers *= 2;
	wrong = net_limits(way, job.connections);
	if (wrong)
		return wrong;
	state = calloc(1, sizeof *state);
	if (!state)
		return "no memory";
	state->way = way;
	wrong = net_child_start(&state->child, way, &job);
	if (wrong) {
		free(state);
		return wrong;
	}
	options.addr = state->child.addr;
	options.page = state->child.page;
	options.connections = state->connections = job.connections;
	options.busy = state->busy = (unsigned)case_number(at, "busy");
	if (!state->busy || state->busy > job.connections)
		options.busy = state->busy = job.connections;
	net_limits_took((int)state->connections);
	wrong = connect_to(state, &options);
	if (wrong) {
		net_close(state);
		return wrong;
	}
	net_child_rest(&state->child);
	*out_state = state;
	return NULL;
}

/* --- a run --------------------------------------------------------------- */

static const char *run_load(struct net_state *state,
			    const struct net_load_work *work,
			    struct slice *slice)
{
	const struct net_child *child = &state->child;
	struct usage before, after;
	uint64_t began;
	double cpu;
	const char *wrong;

	usage_of(child->pid, child->counter, &before);
	cpu = net_child_cpu(child);
	net_child_go_on(child);
	began = clock_now();
	wrong = net_load_run(state->load, work);
	slice->wall_ns = (double)(clock_now() - began);
	net_child_rest(child);
	slice->cpu_ns = net_child_cpu(child) - cpu;
	usage_of(child->pid, child->counter, &after);
	/* Workers that have ended are no longer in the books. */
	slice->worker_ns = fmax(0, after.worker_ns - before.worker_ns);
	slice->switches = fmax(0, after.switches - before.switches);
	slice->instructions = after.instructions < 0 ? -1
			      : after.instructions - before.instructions;
	if (wrong && state->child.page->state == NET_CANNOT)
		wrong = why("%s", state->child.page->reason);
	return wrong;
}

static const char *in_effect(const struct net_state *state)
{
	if (state->way->flags & NET_ONE_ARM &&
	    state->recvs > 0.2 * state->messages)
		return why("multishot is not in effect: %.2f receive entries "
			   "per message, %.0f found no buffer",
			   state->recvs / state->messages, state->starved);
	if (state->way->flags & NET_DIRECT && state->direct < state->sends)
		return "direct descriptors are not in effect";
	if (state->way->flags & NET_BUNDLES && !state->bundles)
		return "no receive had more than one buffer: make --buffer "
		       "smaller, or there are no bundles here";
	return NULL;
}

/* Enough messages that beginning and end do not count. */
static const char *prove(struct net_state *state, struct slice *slice)
{
	struct net_load_work work = { .verify = 1 };
	struct trace *calls = NULL;
	struct net_page *page = state->child.page;
	const char *wrong;
	int known;

	work.messages = 20 * (uint64_t)state->busy;
	if (work.messages < slice->ops)
		work.messages = slice->ops;
	net_child_ask(&state->child, state->way);
	state->before = *page;
	if (trace_open(&calls, state->child.pid, TRACE_CALLS, NULL))
		calls = NULL;
	wrong = run_load(state, &work, slice);
	state->calls = calls ? trace_count(calls) : UNKNOWN;
	if (calls)
		trace_close(calls);
	known = net_child_ask(&state->child, state->way);
	state->messages = (double)work.messages;
	state->recvs = (double)(page->recvs - state->before.recvs);
	state->sends = (double)(page->sends - state->before.sends);
	state->direct = (double)(page->fixed_files -
				 state->before.fixed_files);
	state->bundles = (double)(page->bundles - state->before.bundles);
	state->starved = (double)(page->starved - state->before.starved);
	if (!wrong && known)
		wrong = in_effect(state);
	return wrong;
}

static const char *net_run(void *as_void, struct slice *slice)
{
	struct net_state *state = as_void;
	struct net_load_work work = { .messages = slice->ops,
				      .latency = slice->latency,
				      .rate = slice->rate,
				      .verify = net_verify != NULL };

	return slice->prove ? prove(state, slice)
			    : run_load(state, &work, slice);
}

static void net_count(void *as_void, struct counters *out)
{
	const struct net_state *state = as_void;
	const struct net_page *page = state->child.page;
	int entries = state->way->serve == net_serve_uring ||
		      state->way->serve == net_serve_peal;

	memset(out, 0, sizeof *out);
	out->ops = state->messages;
	out->calls = state->calls;
	out->overflows = out->punts = UNKNOWN;
	if (entries) {
		out->entries = out->data = state->recvs + state->sends;
		out->direct = state->direct;
		out->by_op[IOURING_RECV] = (uint64_t)state->recvs;
		out->by_op[IOURING_SEND] = (uint64_t)state->sends;
	}
	snprintf(out->mode, sizeof out->mode, "%.95s", page->setup);
	out->extra[0].name = "heap bytes per connection";
	out->extra[0].value = state->heap;
	if (!(state->way->flags & NET_COUNTS))
		return;
	out->extra[1].name = "receives per message";
	out->extra[1].value = state->recvs / state->messages;
	out->extra[2].name = "sends per message";
	out->extra[2].value = state->sends / state->messages;
	if (!(state->way->flags & NET_BUNDLES))
		return;
	out->extra[3].name = "bundles per message";
	out->extra[3].value = state->bundles / state->messages;
}

/* --- a side per way ------------------------------------------------------ */

#define OPEN(id, ...)							\
static const char *open_##id(void **out_state, const struct perf_case *at) \
{									\
	return net_open(out_state, NET_WAY_##id, at);			\
}
NET_WAYS(OPEN)

#define SIDE(id, way_name, flags, most, missing, ...)			\
const struct side net_side_##id = {					\
	.name = (way_name), .absent = (missing), .open = open_##id,	\
	.run = net_run, .count = net_count, .close = net_close,		\
};
NET_WAYS(SIDE)
