/* SPDX-License-Identifier: MIT */
/* The file workload on Linux's older interface, io_submit(2): asynchronous
 * with O_DIRECT only. */
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "perf/file.h"
#include "perf/file_sides.h"

struct state {
	struct file_job job;	/* first: file_state_open() */
	aio_context_t context;
	struct iocb *blocks;
	struct iocb **batch;
	struct io_event *events;
	uint64_t calls;
};

static const char *open_side(void **out_state, const struct perf_case *at)
{
	const char *wrong;
	struct state *state = file_state_open(sizeof *state, at, &wrong);
	unsigned depth;

	if (!state)
		return wrong;
	depth = state->job.depth;
	if (syscall(SYS_io_setup, depth, &state->context) < 0) {
		wrong = why_errno("io_setup (fs.aio-max-nr?)", -errno);
		file_job_close(&state->job);
		free(state);
		return wrong;
	}
	state->blocks = calloc(depth, sizeof *state->blocks);
	state->batch = calloc(depth, sizeof(struct iocb *));
	state->events = calloc(depth, sizeof *state->events);
	if (!state->blocks || !state->batch || !state->events)
		abort();
	*out_state = state;
	return NULL;
}

static void fill(struct state *state, unsigned slot)
{
	const struct file_op *op = &state->job.ops[slot];
	struct iocb *block = &state->blocks[slot];

	memset(block, 0, sizeof *block);
	block->aio_data = slot;
	block->aio_fildes = (uint32_t)state->job.fd;
	block->aio_lio_opcode = op->kind == FILE_READ	 ? IOCB_CMD_PREAD
				: op->kind == FILE_WRITE ? IOCB_CMD_PWRITE
							 : IOCB_CMD_FDSYNC;
	if (op->kind == FILE_SYNC)
		return;
	block->aio_buf = (uintptr_t)op->buf;
	block->aio_nbytes = state->job.block;
	block->aio_offset = (int64_t)op->offset;
}

static const char *submit(struct state *state)
{
	struct iocb **at = state->batch;
	long count = 0;
	int slot;

	while ((slot = file_next(&state->job)) >= 0) {
		fill(state, (unsigned)slot);
		state->batch[count++] = &state->blocks[slot];
	}
	while (count) {
		long rc = syscall(SYS_io_submit, state->context, count, at);

		state->calls++;
		if (rc < 0)
			return why_errno("io_submit", -errno);
		at += rc;
		count -= rc;
	}
	return NULL;
}

static const char *reap(struct state *state)
{
	struct file_job *job = &state->job;
	uint64_t ns = file_wait_ns(job);
	struct timespec until = { (time_t)(ns / 1000000000),
				  (long)(ns % 1000000000) };
	long i, rc;

	rc = syscall(SYS_io_getevents, state->context, ns ? 1 : 0, job->depth,
		     state->events, ns == UINT64_MAX ? NULL : &until);
	state->calls++;
	if (rc < 0 && errno != EINTR)
		return why_errno("io_getevents", -errno);
	for (i = 0; i < rc; i++)
		file_ended(job, (unsigned)state->events[i].data,
			   state->events[i].res);
	return NULL;
}

static const char *run(void *arg, struct slice *slice)
{
	struct state *state = arg;
	const char *wrong = NULL;

	file_begin(&state->job, slice);
	while (!wrong && file_going(&state->job)) {
		wrong = submit(state);
		if (!wrong)
			wrong = reap(state);
	}
	return wrong ? wrong : file_end(&state->job);
}

static void count(void *arg, struct counters *out)
{
	struct state *state = arg;

	file_job_count(&state->job, out);
	out->calls = (double)state->calls;
}

static void close_side(void *arg)
{
	struct state *state = arg;

	syscall(SYS_io_destroy, state->context);	/* waits */
	free(state->blocks);
	free(state->batch);
	free(state->events);
	file_job_close(&state->job);
	free(state);
}

const struct side file_aio = {
	.name = "aio", .open = open_side, .run = run, .count = count,
	.close = close_side, .no_variants = 1,
};
