/* SPDX-License-Identifier: MIT */
/* The file workload on peal. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "perf/file.h"
#include "perf/file_sides.h"
#include "perf/rings.h"

struct state {
	struct ours ours;
	struct file_job job;
	struct peal_arena *arena; /* NULL: buffers=plain */
	peal_fd fd;
};

/* --- set-up -------------------------------------------------------------------- */

static void close_side(void *arg)
{
	struct state *state = arg;

	/* It drains: what a failed slice left in flight ends first. What the
	 * kernel would not let go of stays. */
	if (state->ours.ring && ours_close(&state->ours) != NULL)
		return;
	if (state->job.ops)
		file_job_close(&state->job);
	if (state->arena)
		peal_arena_close(state->arena);
	free(state);
}

/* Is the arena what the case wants? */
static const char *arena_in_effect(const struct state *state,
				   const struct perf_case *at)
{
	struct peal_arena_stats is = { .size = sizeof is };

	peal_arena_stats(state->arena, &is);
	if (case_is(at, "buffers", "registered+huge") &&
	    is.huge < file_job_bytes(at))
		return why("only %llu KiB of the arena are on huge pages: "
			   "sysctl vm.nr_hugepages, or transparent_hugepage="
			   "madvise", (unsigned long long)is.huge >> 10);
	if (case_is(at, "buffers", "jemalloc") &&
	    strcmp(is.allocator, "jemalloc") != 0)
		return "the arena has slabs: no jemalloc 5.3 in this program";
	return NULL;
}

static const char *open_arena(struct state *state, const struct perf_case *at,
			      void **out_buffers)
{
	struct peal_arena_options options = PEAL_ARENA_OPTIONS;
	int small = case_is(at, "buffers", "registered"), rc;

	if (case_is(at, "buffers", "plain"))
		return NULL;
	/* Room for the heap's own needs, too. */
	options.bytes = (file_job_bytes(at) * 2 + (8u << 20)) >> 21 << 21;
	if (small)
		options.flags |= PEAL_ARENA_SMALL_PAGES;
	if (!case_is(at, "buffers", "jemalloc"))
		options.flags |= PEAL_ARENA_SLABS;
	if (peal_arena_open(&state->arena, &options) < 0)
		return why("peal_arena_open: %s", peal_memory_reason());
	rc = peal_arena_register(state->ours.ring, state->arena,
				 case_is(at, "buffers", "auto") ? 0
								: PEAL_FIXED);
	if (rc != 0)
		return why("peal_arena_register: %s", peal_memory_reason());
	*out_buffers = peal_arena_alloc(state->arena, file_job_bytes(at), 4096);
	if (!*out_buffers)
		return "the arena has no room";
	memset(*out_buffers, 'p', file_job_bytes(at));
	return arena_in_effect(state, at);
}

static void on_fd(struct peal_ring *ring, const struct peal_completion *done)
{
	(void)ring;
	*(int64_t *)done->ctx = done->result;
}

/* The file in the ring's own table: opened there, or put there. */
static const char *open_fd(struct state *state, const struct perf_case *at)
{
	struct peal_ring *ring = state->ours.ring;
	int flags = fcntl(state->job.fd, F_GETFL) & ~O_CLOEXEC;
	int64_t result = -EINPROGRESS;
	peal_op op;
	int rc = 0;

	state->fd = state->job.fd;
	if (case_is(at, "files", "fd"))
		return NULL;
	if (case_is(at, "files", "direct"))
		op = peal_open(ring, PEAL_CWD, state->job.path, flags, 0,
			       PEAL_DIRECT, on_fd, &result);
	else
		op = peal_fd_register(ring, state->job.fd, 0, on_fd, &result);
	if (op < 0)
		return why_errno("a direct descriptor", op);
	while (result == -EINPROGRESS && rc >= 0)
		rc = peal_ring_turn(ring, PEAL_FOREVER);
	if (result < 0)
		return why_errno("a direct descriptor", result);
	state->fd = (peal_fd)result;
	return peal_fd_is_direct(state->fd)
		       ? NULL
		       : "the ring has no table: the descriptor is an "
			 "ordinary one";
}

static const char *open_side(void **out_state, const struct perf_case *at)
{
	struct state *state;
	void *buffers = NULL;
	const char *wrong;

	if (!case_is(at, "rwf", "none"))
		return "peal_read() has no such flags; peal_readv() has";
	state = calloc(1, sizeof *state);
	if (!state)
		abort();
	wrong = ours_open(&state->ours, case_text(at, "flags"),
			  case_is(at, "files", "fd") ? 0 : 4);
	if (!wrong)
		wrong = open_arena(state, at, &buffers);
	if (!wrong)
		wrong = file_job_open(&state->job, at, buffers);
	if (!wrong)
		wrong = open_fd(state, at);
	*out_state = state;
	if (wrong)
		close_side(state);
	return wrong;
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
