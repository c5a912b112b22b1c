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
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "lib/arena.h"
#include "lib/buffers.h"
#include "peal/sim.h"
#include "shim/replay.h"

/* --- what is started ----------------------------------------------------- */

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
		replay->ops[job->sqe.user_data & PEAL__ROW_MASK].in_pool = 1;
		return 0;
	}
	job->result = peal__replay_result(ring, peal__record_look(
							&replay->file, NULL));
	peal__record_take(&replay->file);
	return 1;
}

static int replay_job_cancel(struct peal_ring *ring, struct peal__job *job)
{
	struct replay *replay = replay_of(ring);
	struct record_op *op =
		&replay->ops[job->sqe.user_data & PEAL__ROW_MASK];
	const struct record_done *done =
		look_for(ring, RECORD_UNDONE, job->sqe.user_data);

	if (!done || (done->result && !op->in_pool && job->held != HELD_NEW)) {
		peal__replay_differs(ring, "a job to be cancelled", "");
		return 0;
	}
	peal__record_take(&replay->file);
	if (done->result)
		op->in_pool = 0;
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
	if (!peal__replay_can_be(sqe, call->result)) {
		peal__replay_differs(ring, "a call that gives no such thing",
				     "");
		return -EBADMSG;
	}
	return peal__replay_make_fd(replay, sqe, call->result);
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

/* A frame of the wait. 1: it was the last. */
static int step(struct peal_ring *ring, struct record_turn *out_turn)
{
	struct replay *replay = replay_of(ring);
	const struct record_frame *frame =
		peal__record_look(&replay->file, NULL);

	switch (frame ? frame->kind : 0) {
	case RECORD_DONE:
	case RECORD_JOB_DONE:
		peal__replay_complete(ring, frame);
		break;
	case RECORD_TO_POOL:
		peal__replay_to_pool(ring, record_body(frame));
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

/* What enter() failed with is told again. It was the ring's end; nothing holds
 * here what was lent, so the ring can be closed. */
static int fail_again(struct peal_ring *ring, int rc)
{
	if (rc < LEAST_ERROR) {
		peal__replay_differs(ring, "a wait that cannot end so", "");
		return replay_of(ring)->failed;
	}
	if (rc < 0 && rc != -EAGAIN && rc != -EBUSY && rc != -EINTR &&
	    rc != -ETIME)
		ring->lost = 1;
	return rc;
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
	if (replay->failed)
		return replay->failed;
	if (turn.left < queues->sq_tail - queues->sq_head)
		queues->sq_head = queues->sq_tail - turn.left;
	return fail_again(ring, turn.rc);
}

static uint64_t replay_clock(struct peal_ring *ring)
{
	return peal__record_time(&replay_of(ring)->file);
}

static void replay_wake(struct peal_ring *ring)
{
	(void)ring;	/* it never sleeps */
}

/* There is always something to do: the next turn of the record. */
static int replay_fd(struct peal_ring *ring)
{
	struct replay *replay = replay_of(ring);

	if (replay->fd < 0)
		replay->fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	return replay->fd < 0 ? -errno : replay->fd;
}

/* --- what the engine is asked -------------------------------------------- */

static int replay_goes_on(struct peal_ring *ring, int posts_wait)
{
	struct replay *replay = replay_of(ring);
	const struct record_frame *frame =
		peal__record_look(&replay->file, NULL);
	const struct record_number *number;

	(void)posts_wait;
	if (replay->failed)
		return 0;
	if (!frame || frame->kind != RECORD_GOES_ON) {
		peal__replay_differs(ring, "the end of its work", "");
		return 0;
	}
	number = record_body(frame);
	peal__record_take(&replay->file);
	return number->value != 0;
}

/* The reason is the text behind the answer; it has an end. */
static int answer(struct peal_ring *ring, enum record_what what, uint32_t arg)
{
	struct replay *replay = replay_of(ring);
	const struct record_frame *frame =
		peal__record_look(&replay->file, NULL);
	const struct record_asked *asked;
	const char *reason;

	if (replay->failed)
		return replay->failed;
	asked = frame ? record_body(frame) : NULL;
	if (!frame || frame->kind != RECORD_ASKED ||
	    asked->what != (uint32_t)what || asked->arg != arg) {
		peal__replay_differs(ring, what == ASKED_MEMORY
					     ? "an arena to be registered"
					 : what == ASKED_FILES
					     ? "a table of direct descriptors"
					     : "a buffer group", "");
		return replay->failed;
	}
	reason = (const char *)(asked + 1);
	if (what == ASKED_MEMORY && *reason)
		peal__memory_reason("%s", reason);
	peal__record_take(&replay->file);
	return (int)asked->result;
}

static int replay_memory_add(struct peal_ring *ring, struct peal_arena *arena,
			     uint32_t first)
{
	(void)arena;
	return answer(ring, ASKED_MEMORY, first);
}

static void replay_memory_remove(struct peal_ring *ring,
				 struct peal_arena *arena, uint32_t first)
{
	(void)ring, (void)arena, (void)first;
}

static int replay_files_open(struct peal_ring *ring, uint32_t count)
{
	return answer(ring, ASKED_FILES, count);
}

static void replay_files_close(struct peal_ring *ring)
{
	(void)ring;
}

static void replay_files_drop(struct peal_ring *ring, uint32_t slot)
{
	(void)ring, (void)slot;
}

static int replay_group_open(struct peal_ring *ring, struct peal_group *group)
{
	struct replay *replay = replay_of(ring);
	int rc = answer(ring, ASKED_GROUP, group->count);

	if (rc < 0)
		return rc;
	if (group->incremental) {	/* the library's, when it is recorded */
		peal__replay_differs(ring, "a group in pieces", "");
		return -EBADMSG;
	}
	group->bundles = rc != 0;
	replay->taken[group->id] = calloc(group->count, sizeof(uint32_t));
	return replay->taken[group->id] ? 0 : -ENOMEM;
}

static void replay_group_close(struct peal_ring *ring,
			       struct peal_group *group)
{
	struct replay *replay = replay_of(ring);

	free(replay->taken[group->id]);
	replay->taken[group->id] = NULL;
}

static void replay_explain(struct peal_ring *ring, FILE *out)
{
	const struct replay *replay = replay_of(ring);

	fprintf(out, "replay         at frame %" PRIu64 " of %" PRIu64
		" in %s, recorded on %.16s\n", replay->file.number,
		replay->file.frames, replay->file.name,
		peal__record_ring(&replay->file)->engine);
}

/* --- open and close ------------------------------------------------------ */

static void free_replay(struct peal_ring *ring)
{
	struct replay *replay = replay_of(ring);

	ring->engine = &peal__replay_engine;
	peal__record_close(&replay->file);
	peal__replay_posts_close(replay);
	if (replay->fd >= 0)
		close(replay->fd);
	free(replay->ops);
	free(replay->made);
	peal__soft_free(ring, sizeof *replay);
}

static void replay_close(struct peal_ring *ring)
{
	struct replay *replay = replay_of(ring);
	const struct record_frame *frame =
		peal__record_look(&replay->file, NULL);

	if (frame && frame->kind != RECORD_END)
		peal__replay_differs(ring, "the ring's close", "");
	if (!replay->failed)
		peal__replay_tell_end(replay);
	free_replay(ring);
}

/* The ring is made what the recorded one was. */
static int open_queues(struct peal_ring *ring,
		       const struct peal_ring_options *options)
{
	const struct record_ring *head =
		peal__record_ring(&replay_of(ring)->file);
	struct peal_ring_options same = *options;
	int rc;

	same.entries = head->sq_entries;
	same.cq_entries = head->cq_entries;
	rc = peal__soft_open(ring, &same, NULL);
	if (rc < 0)
		return rc;
	ring->queues.sq_entries = head->sq_entries;	/* there may be one */
	ring->queues.sq_mask = head->sq_entries - 1;
	memcpy(ring->can, head->can, sizeof ring->can);
	memcpy(ring->disable.ops, head->off_ops, sizeof head->off_ops);
	ring->disable.features = head->off_features;
	ring->no_multishot = head->no_multishot;
	ring->bundles = head->bundles;
	peal__random_seed(&ring->random, head->seed);
	return 0;
}

static void open_engine(struct peal_ring *ring)
{
	struct replay *replay = replay_of(ring);
	uint16_t has = peal__record_ring(&replay->file)->has;

	replay->engine = peal__replay_engine;
	if (!(has & RECORD_HAS_MEMORY))
		replay->engine.memory_add = NULL;
	if (!(has & RECORD_HAS_FILES))
		replay->engine.files_open = NULL;
	if (!(has & RECORD_HAS_GROUPS))
		replay->engine.group_open = NULL;
	replay->engine.takes_raw = (has & RECORD_HAS_RAW) != 0;
	ring->engine = &replay->engine;
}

/* --- which file ---------------------------------------------------------- */

#define MOST_FILES 1024u

static pthread_mutex_t claim_lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t claimed[MOST_FILES];

static int is_mine(const char *name, const struct record_name *who)
{
	char head[sizeof RECORD_MAGIC - 1 + sizeof(struct record_frame) +
		  sizeof(struct record_ring)];
	struct record_ring ring;
	FILE *in = fopen(name, "rbe");
	size_t got = in ? fread(head, 1, sizeof head, in) : 0;

	if (in)
		fclose(in);
	if (got < sizeof head)
		return in ? 0 : -ENOENT;
	memcpy(&ring, head + sizeof head - sizeof ring, sizeof ring);
	return ring.rank == who->rank && ring.nth == who->nth;
}

/* The one that was recorded by this thread; else that of this number. */
static unsigned choose(const char *given, struct record_name *who)
{
	unsigned n, best = who->number;
	int mine;

	if (who->number == 1)
		memset(claimed, 0, sizeof claimed);
	for (n = 0; n < MOST_FILES; n++) {
		unsigned at = n ? n : who->number;

		if (at >= MOST_FILES || claimed[at])
			continue;
		peal__record_name(who, given, at);
		mine = is_mine(who->text, who);
		if (mine == 1) {
			best = at;
			break;
		}
		if (n && mine < 0)
			break;
	}
	if (best < MOST_FILES)
		claimed[best] = 1;
	peal__record_name(who, given, best);
	return best;
}

static int open_record(struct replay *replay)
{
	const char *given = secure_getenv("PEAL_REPLAY");
	struct record_name who;
	unsigned number;
	int rc;

	if (!given || !*given) {
		peal__reason("the engine \"replay\" needs a record: set "
			     "PEAL_REPLAY to a file that PEAL_RECORD wrote");
		return -EINVAL;
	}
	pthread_mutex_lock(&claim_lock);
	peal__record_who(&who, 1, given);
	number = choose(given, &who);
	rc = peal__record_open(&replay->file, who.text);
	if (rc < 0) {
		peal__record_nobody(1);
		if (number < MOST_FILES)
			claimed[number] = 0;
	}
	pthread_mutex_unlock(&claim_lock);
	if (rc < 0)
		return rc;
	peal__record_take(&replay->file);	/* RECORD_RING */
	peal__replay_report(replay, NULL);
	return 0;
}

static int open_ops(struct peal_ring *ring)
{
	struct replay *replay = replay_of(ring);

	replay->ops = calloc(ring->rows_max, sizeof *replay->ops);
	if (replay->ops && peal__replay_posts_open(ring) == 0)
		return 0;
	peal__reason("there is no memory to replay %u ops: lower "
		     "options.max_ops", ring->rows_max);
	return -ENOMEM;
}

static int replay_open(struct peal_ring *ring,
		       const struct peal_ring_options *options)
{
	struct replay *replay = peal__soft_new(ring, sizeof *replay);
	int rc;

	if (!replay)
		return -ENOMEM;
	replay->fd = -1;
	rc = open_record(replay);
	if (rc == 0)
		rc = open_queues(ring, options);
	if (rc == 0)
		rc = open_ops(ring);
	if (rc < 0)
		free_replay(ring);
	else
		open_engine(ring);
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
	.posts = peal__replay_posts_run,
	.goes_on = replay_goes_on,
	.memory_add = replay_memory_add,
	.memory_remove = replay_memory_remove,
	.files_open = replay_files_open,
	.files_close = replay_files_close,
	.files_drop = replay_files_drop,
	.group_open = replay_group_open,
	.group_close = replay_group_close,
};
