/* SPDX-License-Identifier: MIT */
/* The file workload on bare liburing: the floor, in all variants. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include "perf/file.h"
#include "perf/file_sides.h"
#include "perf/rings.h"

struct state {
	struct bare bare;
	struct file_job job;
	int fd;			/* or the index in the ring's table */
	unsigned char entry_flags;
	int fixed;
};

/* --- set-up -------------------------------------------------------------------- */

/* Opens the file into slot 0 of the ring's table. */
static const char *open_direct(struct state *state)
{
	struct io_uring *ring = &state->bare.ring;
	int flags = fcntl(state->job.fd, F_GETFL) & ~O_CLOEXEC;
	struct io_uring_cqe *cqe;
	int rc = io_uring_register_files_sparse(ring, 1);

	if (rc < 0)
		return why_errno("io_uring_register_files_sparse", rc);
	io_uring_prep_openat_direct(io_uring_get_sqe(ring), AT_FDCWD,
				    state->job.path, flags, 0, 0);
	rc = io_uring_submit_and_wait(ring, 1);
	if (rc >= 0)
		rc = io_uring_wait_cqe(ring, &cqe);
	if (rc < 0)
		return why_errno("io_uring_submit", rc);
	rc = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return rc < 0 ? why_errno("opening a direct descriptor", rc) : NULL;
}

static const char *register_file(struct state *state,
				 const struct perf_case *at)
{
	int rc;

	state->fd = state->job.fd;
	if (case_is(at, "files", "fd"))
		return NULL;
	state->fd = 0;
	state->entry_flags = IOSQE_FIXED_FILE;
	if (case_is(at, "files", "direct"))
		return open_direct(state);
	rc = io_uring_register_files(&state->bare.ring, &state->job.fd, 1);
	return rc < 0 ? why_errno("io_uring_register_files", rc) : NULL;
}

static const char *register_buffers(struct state *state,
				    const struct perf_case *at)
{
	struct iovec iov = { state->job.buffers, state->job.buffers_len };
	int rc;

	if (case_is(at, "buffers", "plain"))
		return NULL;
	state->fixed = 1;
	rc = io_uring_register_buffers(&state->bare.ring, &iov, 1);
	return rc < 0 ? why_errno("io_uring_register_buffers", rc) : NULL;
}

static void close_side(void *arg)
{
	struct state *state = arg;
	struct file_job *job = &state->job;
	struct io_uring_cqe *cqe;

	/* After an error there are ops whose buffers are lent. */
	while (job->in_flight &&
	       io_uring_submit_and_wait(&state->bare.ring, 1) >= 0)
		while (io_uring_peek_cqe(&state->bare.ring, &cqe) == 0) {
			io_uring_cqe_seen(&state->bare.ring, cqe);
			job->in_flight--;
		}
	bare_close(&state->bare);
	file_job_close(job);
	free(state);
}

static const char *open_side(void **out_state, const struct perf_case *at)
{
	struct state *state;
	const char *wrong;

	if (case_is(at, "buffers", "jemalloc") || case_is(at, "buffers", "auto"))
		return "that is a library's; bare liburing has buffers plain, "
		       "registered, registered+huge";
	state = calloc(1, sizeof *state);
	if (!state)
		abort();
	wrong = bare_open(&state->bare, case_text(at, "flags"));
	if (wrong) {
		free(state);
		return wrong;
	}
	wrong = file_job_open(&state->job, at, NULL);
	if (wrong) {
		bare_close(&state->bare);
		free(state);
		return wrong;
	}
	wrong = register_file(state, at);
	if (!wrong)
		wrong = register_buffers(state, at);
	if (wrong)
		close_side(state);
	*out_state = state;
	return wrong;
}

/* --- the loop -------------------------------------------------------------------- */

static inline void fill(struct state *state, struct io_uring_sqe *sqe,
			const struct file_op *op)
{
	unsigned len = (unsigned)state->job.block;

	if (op->kind == FILE_SYNC)
		io_uring_prep_fsync(sqe, state->fd, IORING_FSYNC_DATASYNC);
	else if (op->kind == FILE_READ && state->fixed)
		io_uring_prep_read_fixed(sqe, state->fd, op->buf, len,
					 op->offset, 0);
	else if (op->kind == FILE_READ)
		io_uring_prep_read(sqe, state->fd, op->buf, len, op->offset);
	else if (state->fixed)
		io_uring_prep_write_fixed(sqe, state->fd, op->buf, len,
					  op->offset, 0);
	else
		io_uring_prep_write(sqe, state->fd, op->buf, len, op->offset);
	sqe->flags |= state->entry_flags;
}

static inline const char *start_all(struct state *state)
{
	struct file_job *job = &state->job;
	int slot;

	while ((slot = file_next(job)) >= 0) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&state->bare.ring);

		/* Deeper than the queue, or SQPOLL has not taken any yet. */
		while (__builtin_expect(!sqe, 0)) {
			int rc = bare_enter(&state->bare, 0);

			if (rc < 0)
				return why_errno("io_uring_submit", rc);
			sqe = io_uring_get_sqe(&state->bare.ring);
		}
		fill(state, sqe, &job->ops[slot]);
		io_uring_sqe_set_data64(sqe, (unsigned)slot);
	}
	return NULL;
}

static int wait_some(struct state *state)
{
	uint64_t ns = file_wait_ns(&state->job);
	struct __kernel_timespec until;
	struct io_uring_cqe *cqe;
	int rc;

	if (__builtin_expect(ns == UINT64_MAX, 1))
		return bare_enter(&state->bare, 1);
	until.tv_sec = (long long)(ns / 1000000000);
	until.tv_nsec = (long long)(ns % 1000000000);
	state->bare.calls++;
	rc = io_uring_submit_and_wait_timeout(&state->bare.ring, &cqe, 1,
					      &until, NULL);
	return rc == -ETIME ? 0 : rc;
}

static const char *run(void *arg, struct slice *slice)
{
	struct state *state = arg;
	struct file_job *job = &state->job;
	struct io_uring *ring = &state->bare.ring;
	const char *wrong;

	state->bare.prove = slice->prove;
	file_begin(job, slice);
	wrong = start_all(state);
	while (!wrong && file_going(job)) {
		unsigned head, taken = 0;
		struct io_uring_cqe *cqe;
		int rc = wait_some(state);

		if (rc < 0)
			return why_errno("io_uring_submit_and_wait", rc);
		io_uring_for_each_cqe(ring, head, cqe) {
			file_ended(job, (unsigned)cqe->user_data, cqe->res);
			taken++;
			wrong = start_all(state);
		}
		io_uring_cq_advance(ring, taken);
		if (!taken && !wrong)
			wrong = start_all(state);
	}
	return wrong ? wrong : file_end(job);
}

static void count(void *arg, struct counters *out)
{
	struct state *state = arg;

	state->bare.ops = state->job.total;
	bare_count(&state->bare, out);
}

const struct side file_bare = {
	.name = "bare", .open = open_side, .run = run, .count = count,
	.close = close_side,
};
