/* SPDX-License-Identifier: MIT */
/*
 * The engine "replay": what record.c wrote down happens again. No op makes a
 * system call; entries are compared with those of the record, completions are
 * handed out in its batches with its bytes, the time is its time. The first
 * difference is the end of the ring.
 *
 * Descriptors that ops made (open, accept, ...) have PEAL_SIM_FIRST_FD added,
 * so that none is mistaken for one of the process. What the program made by
 * its own calls has another number in each run, and is not compared.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "lib/buffers.h"
#include "peal/sim.h"
#include "shim/replay.h"

#define POSTS_NS	(10 * PEAL_S)	/* for threads to post as they did */

/* --- what is started ----------------------------------------------------- */

/* What a program prints is printed. */
static void print(const struct peal__sqe *sqe, int64_t result)
{
	struct iovec one = { (void *)(uintptr_t)sqe->addr, sqe->len };
	const struct iovec *iov = &one;
	uint32_t i, count = 1;

	if (sqe->fd != STDOUT_FILENO && sqe->fd != STDERR_FILENO)
		return;
	if (sqe->opcode == PEAL__OP_WRITEV) {
		iov = (const void *)(uintptr_t)sqe->addr;
		count = sqe->len;
	} else if (sqe->opcode != PEAL__OP_WRITE) {
		return;
	}
	for (i = 0; i < count && result > 0; i++) {
		size_t len = iov[i].iov_len;

		if ((int64_t)len > result)
			len = (size_t)result;
		result -= (int64_t)len;
		if (write(sqe->fd, iov[i].iov_base, len) < 0)
			return;	/* the record says that it worked */
	}
}

/* The frame's result, with all that it wrote in its place. */
static int64_t result_of(struct peal_ring *ring,
			 const struct record_frame *frame)
{
	struct replay *replay = replay_of(ring);
	const struct record_done *done = record_body(frame);
	uint32_t row = done->user_data & PEAL__ROW_MASK;
	const struct record_op *op = &replay->ops[row < ring->rows_max ? row
								       : 0];
	struct record_bytes bytes = {
		.data = (char *)(uintptr_t)(done + 1),
		.len = frame->len - sizeof *done,
	};

	if (op->sqe.user_data != done->user_data ||
	    done->flags & PEAL__CQE_NOTIF)
		return done->result;
	if (op->sqe.opcode == PEAL__OP_RESOLVE && done->result >= 0) {
		peal__replay_differs(ring, "resolve: cannot be replayed",
				     "");
		return -EBADMSG;
	}
	peal__record_load(&bytes, op, done->result);
	if (bytes.broken || bytes.at != bytes.len) {
		peal__replay_differs(ring, "an op with other room for it",
				     "");
		return -EBADMSG;
	}
	print(&op->sqe, done->result);
	return peal__replay_make_fd(replay, op->sqe.opcode, done->result);
}

static const struct record_done *look_for(struct peal_ring *ring,
					  enum record_kind kind,
					  uint64_t user_data)
{
	const struct record_frame *frame =
		peal__record_look(&replay_of(ring)->file, NULL);
	const struct record_done *done;

	if (replay_of(ring)->failed || !frame || frame->kind != (uint32_t)kind)
		return NULL;
	done = record_body(frame);
	return done->user_data == user_data ? done : NULL;
}

static int replay_job(struct peal_ring *ring, struct peal__job *job)
{
	struct replay *replay = replay_of(ring);
	const struct record_done *done;

	job->result = -EBADMSG;
	if (!peal__replay_match(ring, RECORD_JOB, &job->sqe))
		return 1;
	done = look_for(ring, RECORD_JOB_DONE, job->sqe.user_data);
	if (!done || !done->now) {
		ring->jobs_out++;
		return 0;
	}
	job->result = result_of(ring, peal__record_look(&replay->file, NULL));
	peal__record_take(&replay->file);
	return 1;
}

static int replay_job_cancel(struct peal_ring *ring, struct peal__job *job)
{
	const struct record_done *done =
		look_for(ring, RECORD_UNDONE, job->sqe.user_data);

	if (!done) {
		peal__replay_differs(ring, "a job to be cancelled", "");
		return 0;
	}
	peal__record_take(&replay_of(ring)->file);
	return done->result != 0;
}

static int64_t replay_call(struct peal_ring *ring, const struct peal__sqe *sqe)
{
	struct replay *replay = replay_of(ring);
	const struct record_frame *frame =
		peal__record_look(&replay->file, NULL);
	const struct record_call *call;

	if (!peal__replay_match(ring, RECORD_CALL, sqe))
		return -EBADMSG;
	call = record_body(frame);
	return peal__replay_make_fd(replay, sqe->opcode, call->result);
}

static void replay_learn(const struct peal_ring *given,
			 struct peal__hint *out)
{
	struct peal_ring *ring = (struct peal_ring *)(uintptr_t)given;
	struct replay *replay = replay_of(ring);
	const struct record_frame *frame =
		peal__record_look(&replay->file, NULL);
	int32_t fd = out->fd;

	out->kind = KIND_OTHER;
	if (frame && frame->kind == RECORD_LEARN) {
		*out = *(const struct peal__hint *)record_body(frame);
		out->fd = fd;
		peal__record_take(&replay->file);
	} else {
		peal__replay_differs(ring, "a look at a descriptor", "");
	}
}

/* --- what comes of it ---------------------------------------------------- */

static void complete_job(struct peal_ring *ring, uint64_t user_data,
			 int64_t result)
{
	struct peal__job *job = peal__soft_job(ring, user_data), **end;

	job->result = result;
	job->next = NULL;
	for (end = &ring->jobs_done; *end; end = &(*end)->next)
		;
	*end = job;
}

static void complete(struct peal_ring *ring, const struct record_frame *frame)
{
	const struct record_done *done = record_body(frame);
	const struct peal__row *row =
		peal__row_find(ring, (peal_op)(done->user_data &
					       ~PEAL__DATA_OWN));
	int64_t result;

	if (!row && !(done->user_data & PEAL__DATA_OWN)) {
		peal__replay_differs(ring, "nothing that it is for", "");
		return;
	}
	result = result_of(ring, frame);
	if (replay_of(ring)->failed)
		return;
	if (frame->kind == RECORD_JOB_DONE && row->flags & ROW_JOB)
		complete_job(ring, done->user_data, result);
	else if (frame->kind == RECORD_DONE && peal__soft_room(ring))
		peal__soft_more(ring, done->user_data, (int)result,
				done->flags);
	else
		peal__replay_differs(ring, "nothing that it is for", "");
}

static void to_pool(struct peal_ring *ring, const struct record_done *done)
{
	struct peal__row *row = peal__row_find(ring, (peal_op)done->user_data);
	struct peal__job *job;

	if (!row || row->flags & ROW_JOB) {
		peal__replay_differs(ring, "nothing that it is for", "");
		return;
	}
	job = peal__soft_job(ring, done->user_data);
	job->sqe = replay_of(ring)->ops[row - ring->rows].sqe;
	peal__replay_not_closed(replay_of(ring), &job->sqe);
	peal__soft_to_pool(ring, job);
}

/* A frame of the wait. 1: it was the last. */
static int step(struct peal_ring *ring, struct record_turn *out_turn)
{
	struct replay *replay = replay_of(ring);
	const struct record_frame *frame =
		peal__record_look(&replay->file, NULL);

	switch (frame ? frame->kind : 0) {
	case RECORD_DONE:
	case RECORD_JOB_DONE:
		complete(ring, frame);
		break;
	case RECORD_TO_POOL:
		to_pool(ring, record_body(frame));
		break;
	case RECORD_UNDONE:	/* takes it */
		if (peal__soft_cancel(ring, ((const struct record_done *)
					     record_body(frame))->user_data) ==
		    -ENOENT)
			peal__replay_differs(ring, "no such job", "");
		return replay->failed;
	case RECORD_TURN:
		*out_turn = *(const struct record_turn *)record_body(frame);
		peal__record_take(&replay->file);
		return 1;
	default:
		peal__replay_differs(ring, "the end of the turn's entries", "");
	}
	if (!replay->failed)
		peal__record_take(&replay->file);
	return replay->failed;
}

/* Waits until as many posts are there as the record has here: 0 for none, or
 * when they do not come. */
static uint64_t wait_for_posts(struct peal_ring *ring)
{
	const struct record_frame *frame =
		peal__record_look(&replay_of(ring)->file, NULL);
	uint64_t end = peal__clock() + POSTS_NS, count;
	const struct record_time *posts;

	if (replay_of(ring)->failed || !frame || frame->kind != RECORD_POSTS)
		return 0;
	posts = record_body(frame);
	while ((count = peal__record_posts(ring)) < posts->value) {
		if (peal__clock() > end) {
			peal__replay_differs(ring, "fewer posts, in 10 s", "");
			return 0;
		}
		peal__yield();
	}
	return posts->value;
}

static uint64_t replay_posts(struct peal_ring *ring)
{
	uint64_t count = wait_for_posts(ring);

	if (count)
		peal__record_take(&replay_of(ring)->file);
	return count;
}

static int replay_enter(struct peal_ring *ring, uint32_t wait_for,
			uint64_t timeout_ns)
{
	struct replay *replay = replay_of(ring);
	struct peal__queues *queues = &ring->queues;
	struct record_turn turn = { 0 };

	(void)wait_for;
	(void)timeout_ns;
	ring->stats.enters++;
	while (!replay->failed && replay->noted != queues->sq_tail)
		peal__replay_match(ring, RECORD_START,
		      &queues->sqes[replay->noted++ & queues->sq_mask]);
	while (!replay->failed && !step(ring, &turn))
		;
	if (!replay->failed)
		wait_for_posts(ring);
	if (replay->failed)
		return replay->failed;
	if (turn.left < queues->sq_tail - queues->sq_head)
		queues->sq_head = queues->sq_tail - turn.left;
	return turn.rc;
}

static uint64_t replay_clock(struct peal_ring *ring)
{
	return peal__record_time(&replay_of(ring)->file);
}

static void replay_wake(struct peal_ring *ring)
{
	(void)ring;	/* it never sleeps */
}

static int replay_fd(struct peal_ring *ring)
{
	(void)ring;
	return -EOPNOTSUPP;
}

static const struct record_ring *recorded(const struct replay *replay)
{
	return record_body((const void *)(replay->file.data +
					  sizeof RECORD_MAGIC - 1));
}

static void replay_explain(struct peal_ring *ring, FILE *out)
{
	const struct replay *replay = replay_of(ring);

	fprintf(out, "replay         at frame %" PRIu64 " of %" PRIu64
		" in %s, recorded on %s\n", replay->file.number,
		replay->file.frames, replay->file.name,
		recorded(replay)->engine);
}

/* --- open and close ------------------------------------------------------ */

static void free_replay(struct peal_ring *ring)
{
	struct replay *replay = replay_of(ring);

	peal__record_close(&replay->file);
	free(replay->ops);
	free(replay->made);
	peal__soft_free(ring, sizeof *replay);
}

static void replay_close(struct peal_ring *ring)
{
	struct replay *replay = replay_of(ring);
	const struct record_frame *frame =
		peal__record_look(&replay->file, NULL);
	char text[80];

	if (frame && frame->kind != RECORD_END)
		peal__replay_differs(ring, "the ring's close", "");
	snprintf(text, sizeof text, "the same, %" PRIu64 " frames",
		 replay->file.frames);
	if (!replay->failed)
		peal__replay_report(replay, text);
	free_replay(ring);
}

/* The ring is made what the recorded one was. */
static int open_queues(struct peal_ring *ring,
		       const struct peal_ring_options *options)
{
	const struct record_ring *head = recorded(replay_of(ring));
	struct peal_ring_options same = *options;
	int rc;

	same.entries = head->sq_entries;
	same.cq_entries = head->cq_entries;
	rc = peal__soft_open(ring, &same, NULL);
	if (rc < 0)
		return rc;
	memcpy(ring->can, head->can, sizeof ring->can);
	memcpy(ring->disable.ops, head->off_ops, sizeof head->off_ops);
	ring->disable.features = head->off_features;
	ring->no_multishot = head->no_multishot;
	ring->bundles = head->bundles;
	peal__random_seed(&ring->random, head->seed);
	return 0;
}

static int open_record(struct replay *replay)
{
	static atomic_uint rings;
	const char *given = secure_getenv("PEAL_REPLAY");
	char name[sizeof replay->file.name];
	int rc;

	if (!given || !*given) {
		peal__reason("the engine \"replay\" needs a record: set "
			     "PEAL_REPLAY to a file that PEAL_RECORD wrote");
		return -EINVAL;
	}
	peal__record_name(name, sizeof name, given,
			  atomic_fetch_add(&rings, 1) + 1);
	rc = peal__record_open(&replay->file, name);
	if (rc == 0)
		peal__record_take(&replay->file);	/* RECORD_RING */
	else
		atomic_fetch_sub(&rings, 1);
	if (rc == 0)
		peal__replay_report(replay, NULL);
	return rc;
}

static int replay_open(struct peal_ring *ring,
		       const struct peal_ring_options *options)
{
	struct replay *replay = peal__soft_new(ring, sizeof *replay);
	int rc;

	if (!replay)
		return -ENOMEM;
	rc = open_record(replay);
	if (rc == 0)
		rc = open_queues(ring, options);
	if (rc == 0) {
		replay->ops = calloc(ring->rows_max, sizeof *replay->ops);
		if (replay->ops)
			return 0;
		peal__reason("there is no memory to replay %u ops: lower "
			     "options.max_ops", ring->rows_max);
		rc = -ENOMEM;
	}
	free_replay(ring);
	return rc;
}

const struct peal__engine peal__replay_engine = {
	.name = "replay",
	.open = replay_open,
	.close = replay_close,
	.enter = replay_enter,
	.wake = replay_wake,
	.event = peal__soft_event,
	.fd = replay_fd,
	.explain = replay_explain,
	.clock = replay_clock,
	.learn = replay_learn,
	.call = replay_call,
	.job = replay_job,
	.job_cancel = replay_job_cancel,
	.posts = replay_posts,
};
