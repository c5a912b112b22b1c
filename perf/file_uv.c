/* SPDX-License-Identifier: MIT */
/* The file workload on libuv: its thread pool. Its size is the environment's
 * UV_THREADPOOL_SIZE, 4 if that says nothing. */
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "perf/file.h"
#include "perf/file_sides.h"

struct state {
	struct file_job job;	/* first: file_state_open() */
	uv_loop_t loop;
	uv_timer_t timer;	/* open loop: something may start */
	uv_fs_t *requests;
};

static const char *open_side(void **out_state, const struct perf_case *at)
{
	const char *wrong;
	struct state *state = file_state_open(sizeof *state, at, &wrong);

	if (!state)
		return wrong;
	state->requests = calloc(state->job.depth, sizeof *state->requests);
	if (!state->requests || uv_loop_init(&state->loop) < 0)
		abort();
	state->loop.data = state;
	uv_timer_init(&state->loop, &state->timer);
	*out_state = state;
	return NULL;
}

static void on_ended(uv_fs_t *request);

static void start(struct state *state, unsigned slot)
{
	struct file_job *job = &state->job;
	const struct file_op *op = &job->ops[slot];
	uv_fs_t *request = &state->requests[slot];
	uv_buf_t buf = uv_buf_init(op->buf, (unsigned)job->block);
	int64_t at = (int64_t)op->offset;

	if (op->kind == FILE_READ)
		uv_fs_read(&state->loop, request, job->fd, &buf, 1, at,
			   on_ended);
	else if (op->kind == FILE_WRITE)
		uv_fs_write(&state->loop, request, job->fd, &buf, 1, at,
			    on_ended);
	else
		uv_fs_fdatasync(&state->loop, request, job->fd, on_ended);
}

static void start_all(struct state *state);

static void on_ended(uv_fs_t *request)
{
	struct state *state = request->loop->data;
	int64_t result = request->result;

	uv_fs_req_cleanup(request);
	file_ended(&state->job, (unsigned)(request - state->requests), result);
	if (!state->job.error)
		start_all(state);
}

static void on_time(uv_timer_t *timer)
{
	start_all(timer->loop->data);
}

static void start_all(struct state *state)
{
	uint64_t ns;
	int slot;

	while ((slot = file_next(&state->job)) >= 0)
		start(state, (unsigned)slot);
	ns = file_wait_ns(&state->job);
	/* Its timers know milliseconds. */
	if (ns != UINT64_MAX)
		uv_timer_start(&state->timer, on_time, (ns + 999999) / 1000000,
			       0);
}

static const char *run(void *arg, struct slice *slice)
{
	struct state *state = arg;

	file_begin(&state->job, slice);
	start_all(state);
	while (file_going(&state->job))
		uv_run(&state->loop, UV_RUN_ONCE);
	return file_end(&state->job);
}

static void count(void *arg, struct counters *out)
{
	file_job_count(&((struct state *)arg)->job, out);
}

static void close_side(void *arg)
{
	struct state *state = arg;

	uv_close((uv_handle_t *)&state->timer, NULL);
	uv_run(&state->loop, UV_RUN_DEFAULT);
	uv_loop_close(&state->loop);
	free(state->requests);
	file_job_close(&state->job);
	free(state);
}

const struct side file_uv = {
	.name = "libuv", .open = open_side, .run = run, .count = count,
	.close = close_side, .no_variants = 1,
};
