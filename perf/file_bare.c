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
	int rwf;		/* of a first try */
	uint64_t refused;	/* first tries */
};

/* In the user data of an entry, above its slot. */
#define FIRST_TRY	(UINT64_C(1) << 32)

/* What the system header may lack. */
#define NOWAIT		0x08
#define DONTCACHE	0x80

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
	state->rwf = case_is(at, "rwf", "nowait")      ? NOWAIT
		     : case_is(at, "rwf", "dontcache") ? DONTCACHE : 0;
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

static inline const char *start(struct state *state, unsigned slot, int rwf)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&state->bare.ring);
	const struct file_op *op = &state->job.ops[slot];

	/* Deeper than the queue, or SQPOLL has not taken any yet. */
	while (__builtin_expect(!sqe, 0)) {
		int rc = bare_enter(&state->bare, 0);

		if (rc < 0)
			return why_errno("io_uring_submit", rc);
		sqe = io_uring_get_sqe(&state->bare.ring);
	}
	fill(state, sqe, op);
	if (rwf && op->kind != FILE_SYNC)
		sqe->rw_flags = rwf;
	io_uring_sqe_set_data64(sqe, rwf ? slot | FIRST_TRY : slot);
	return NULL;
}

static inline const char *start_all(struct state *state, int rwf)
{
	const char *wrong = NULL;
	int slot;

	while (!wrong && (slot = file_next(&state->job)) >= 0)
		wrong = start(state, (unsigned)slot, rwf);
	return wrong;
}

/* Would it have to wait, or does the file know no way to try? */
static inline int is_refused(const struct io_uring_cqe *cqe)
{
	return cqe->user_data & FIRST_TRY &&
	       (cqe->res == -EAGAIN || cqe->res == -EOPNOTSUPP);
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

/* A constant rwf: the loop of those that try nothing has nothing of it. */
static inline const char *run_with(struct state *state, struct slice *slice,
				   int rwf)
{
	struct file_job *job = &state->job;
	struct io_uring *ring = &state->bare.ring;
	const char *wrong;

	state->bare.prove = slice->prove;
	file_begin(job, slice);
	wrong = start_all(state, rwf);
	while (!wrong && file_going(job)) {
		unsigned head, taken = 0;
		struct io_uring_cqe *cqe;
		int rc = wait_some(state);

		if (rc < 0)
			return why_errno("io_uring_submit_and_wait", rc);
		io_uring_for_each_cqe(ring, head, cqe) {
			unsigned slot = (unsigned)cqe->user_data;

			taken++;
			if (rwf == NOWAIT && is_refused(cqe)) {
				state->refused++;
				wrong = start(state, slot, 0);
				continue;
			}
			file_ended(job, slot, cqe->res);
			wrong = start_all(state, rwf);
		}
		io_uring_cq_advance(ring, taken);
		if (!taken && !wrong)
			wrong = start_all(state, rwf);
	}
	return wrong ? wrong : file_end(job);
}

static const char *run(void *arg, struct slice *slice)
{
	struct state *state = arg;

	switch (state->rwf) {
	case NOWAIT:
		return run_with(state, slice, NOWAIT);
	case DONTCACHE:
		return run_with(state, slice, DONTCACHE);
	}
	return run_with(state, slice, 0);
}

static void count(void *arg, struct counters *out)
{
	struct state *state = arg;

	state->bare.ops = state->job.total;
	bare_count(&state->bare, out);
	if (state->rwf != NOWAIT || !state->job.total)
		return;
	out->extra[0].name = "refused tries per op";
	out->extra[0].value = (double)state->refused /
			      (double)state->job.total;
}

const struct side file_bare = {
	.name = "bare", .open = open_side, .run = run, .count = count,
	.close = close_side,
};
