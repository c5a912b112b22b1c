/* SPDX-License-Identifier: MIT */
/* The file workload on peal. */
#include <stdlib.h>
#include <string.h>
#include "perf/file.h"
#include "perf/file_sides.h"
#include "perf/rings.h"

struct state {
	struct ours ours;
	struct file_job job;
	peal_fd fd;
	int proving;
};

static void close_side(void *arg)
{
	struct state *state = arg;

	/* It drains: what a failed slice left in flight ends first. */
	if (ours_close(&state->ours) == NULL)
		file_job_close(&state->job);
	free(state);
}

static const char *open_side(void **out_state, const struct perf_case *at)
{
	struct state *state;
	const char *wrong;

	if (!case_is(at, "buffers", "plain"))
		return "peal has no registered buffers yet";
	if (!case_is(at, "files", "fd"))
		return "peal has no registered descriptors yet";
	state = calloc(1, sizeof *state);
	if (!state)
		abort();
	wrong = ours_open(&state->ours, case_text(at, "flags"));
	if (wrong) {
		free(state);
		return wrong;
	}
	wrong = file_job_open(&state->job, at, NULL);
	if (wrong) {
		ours_close(&state->ours);
		free(state);
		return wrong;
	}
	state->fd = state->job.fd;
	*out_state = state;
	return NULL;
}

/* --- the loop -------------------------------------------------------------------- */

static void on_ended(struct peal_ring *ring,
		     const struct peal_completion *done);

/* The context of an op is its slot: struct file_op. */
static inline peal_op start(struct state *state, struct file_op *op)
{
	struct peal_ring *ring = state->ours.ring;
	size_t len = state->job.block;

	switch (op->kind) {
	case FILE_READ:
		return peal_read(ring, state->fd, op->buf, len, op->offset, 0,
				 on_ended, op);
	case FILE_WRITE:
		return peal_write(ring, state->fd, op->buf, len, op->offset, 0,
				  on_ended, op);
	case FILE_SYNC:
		break;
	}
	return peal_datasync(ring, state->fd, 0, on_ended, op);
}

static _Thread_local struct state *current;

static inline void start_all(struct state *state)
{
	struct file_job *job = &state->job;
	int slot;

	while ((slot = file_next(job)) >= 0) {
		peal_op op = start(state, &job->ops[slot]);

		if (__builtin_expect(op < 0, 0))
			file_ended(job, (unsigned)slot, op);
	}
}

static void on_ended(struct peal_ring *ring, const struct peal_completion *done)
{
	struct state *state = current;
	struct file_op *op = done->ctx;

	(void)ring;
	file_ended(&state->job, (unsigned)(op - state->job.ops), done->result);
	if (!state->job.error)
		start_all(state);
}

static const char *run_some(struct state *state, const struct slice *slice)
{
	struct file_job *job = &state->job;

	current = state;
	file_begin(job, slice);
	start_all(state);
	while (file_going(job)) {
		int rc = peal_ring_turn(state->ours.ring, file_wait_ns(job));

		if (rc < 0)
			return why_errno("peal_ring_turn", rc);
		if (job->gap_ns)
			start_all(state);
	}
	return file_end(job);
}

static const char *run(void *arg, struct slice *slice)
{
	struct state *state = arg;
	struct slice piece = *slice;
	const char *wrong = NULL;
	uint64_t left;

	if (!slice->prove)
		return run_some(state, slice);
	ours_look_from_here(&state->ours);
	for (left = slice->ops; left && !wrong; left -= piece.ops) {
		piece.ops = left < OURS_LOOK / 2 ? left : OURS_LOOK / 2;
		wrong = run_some(state, &piece);
		ours_look(&state->ours);
	}
	return wrong;
}

static void count(void *arg, struct counters *out)
{
	struct state *state = arg;

	state->ours.ops = state->job.total;
	ours_count(&state->ours, out);
}

const struct side file_peal = {
	.name = "peal", .open = open_side, .run = run, .count = count,
	.close = close_side,
};
