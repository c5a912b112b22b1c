/* SPDX-License-Identifier: MIT */
/*
 * Recording: with PEAL_RECORD set, a ring's engine is replaced by a copy of
 * itself whose calls also write down what came of them, for replay.c.
 *
 * The ring sees a completion queue of ours, filled at the end of enter() only:
 * the kernel's own may grow at any time, and that could not be had again. What
 * the engine takes by itself in between is not there: takes_buffers.
 *
 * What handlers do is written before they run, or with the next enter(), so
 * that the record of a program that crashes in one leads there.
 *
 * A ring without PEAL_RECORD knows nothing of this file.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/buffers.h"
#include "lib/groups.h"
#include "lib/start.h"
#include "lib/work.h"
#include "shim/record.h"

struct record {
	struct peal__engine engine;	/* ring->engine: this is found by it */
	const struct peal__engine *real;
	struct record_out out;
	int told;			/* that the file has ended */
	uint64_t seed;
	uint32_t noted;			/* of the entries: up to here */
	uint32_t cq_head, cq_tail;
	struct peal__cqe *cqes;
	struct peal__queues inner;	/* the engine's completion queue */
	struct record_op *ops;		/* one per row */
};

static struct record *record_of(const struct peal_ring *ring)
{
	return (struct record *)(uintptr_t)ring->engine;
}

/* --- frames --------------------------------------------------------------- */

static void write_frame(struct record *record, enum record_kind kind,
			const void *body, size_t len)
{
	peal__record_begin_frame(&record->out);
	peal__record_put(&record->out.bytes, body, len);
	peal__record_end_frame(&record->out, kind);
}

static void write_number(struct record *record, enum record_kind kind,
			 uint64_t value)
{
	const struct record_number number = { value };

	write_frame(record, kind, &number, sizeof number);
}

/* The ring's reason tells the failure, once: the program goes on. */
static void flush(struct peal_ring *ring)
{
	struct record *record = record_of(ring);

	peal__record_flush(&record->out);
	if (!record->out.error || record->told)
		return;
	record->told = 1;
	peal__engine_reason(ring, "the record in %s ended after frame %llu: "
			    "%s", record->out.name,
			    (unsigned long long)record->out.frames,
			    strerror(record->out.error));
}

/* --- what is started ------------------------------------------------------ */

static void note_entry(struct peal_ring *ring, enum record_kind kind,
		       const struct peal__sqe *sqe)
{
	struct record *record = record_of(ring);
	struct record_start start;

	peal__record_note(ring, record->ops, sqe);
	peal__record_start(&start, sqe);
	write_frame(record, kind, &start, sizeof start);
}

static void note_result(struct peal_ring *ring, enum record_kind kind,
			uint64_t user_data, int64_t result, uint32_t flags,
			uint32_t now)
{
	struct record *record = record_of(ring);
	const struct record_done done = { user_data, result, flags, now };

	peal__record_begin_frame(&record->out);
	peal__record_put(&record->out.bytes, &done, sizeof done);
	if (kind == RECORD_DONE || kind == RECORD_JOB_DONE)
		peal__record_save(ring, &record->out.bytes,
				  &record->ops[user_data & PEAL__ROW_MASK],
				  &done);
	peal__record_end_frame(&record->out, kind);
}

static int record_job(struct peal_ring *ring, struct peal__job *job)
{
	int now;

	note_entry(ring, RECORD_JOB, &job->sqe);
	now = peal__job_start(ring, job);
	if (now)
		note_result(ring, RECORD_JOB_DONE, job->sqe.user_data,
			    job->result, 0, 1);
	return now;
}

static int record_job_cancel(struct peal_ring *ring, struct peal__job *job)
{
	int taken = job->held == HELD_NEW ||	/* the pool has it not yet */
		    peal__pool_cancel(ring->pool, job);

	note_result(ring, RECORD_UNDONE, job->sqe.user_data, taken, 0, 0);
	return taken;
}

static int64_t record_call(struct peal_ring *ring, const struct peal__sqe *sqe)
{
	struct record_call call;

	peal__record_start(&call.start, sqe);
	call.result = peal__blocking_run(sqe);
	write_frame(record_of(ring), RECORD_CALL, &call, sizeof call);
	flush(ring);
	return call.result;
}

/* --- what came of it ------------------------------------------------------ */

static void take_completions(struct peal_ring *ring, struct record *record)
{
	struct peal__queues *queues = &ring->queues;
	uint32_t head = *queues->cq_head;
	uint32_t tail = peal__load_acquire(queues->cq_tail);

	while (head != tail &&
	       record->cq_tail - record->cq_head < queues->cq_entries) {
		const struct peal__cqe cqe = queues->cqes[head++ &
							  queues->cq_mask];

		peal__store_release_u32(queues->cq_head, head);
		if (cqe.user_data & PEAL__DATA_OWN &&
		    !(cqe.user_data & PEAL__ROW_MASK)) {
			record->real->event(ring, &cqe);
			continue;
		}
		note_result(ring, RECORD_DONE, cqe.user_data, cqe.res,
			    cqe.flags, 0);
		record->cqes[record->cq_tail++ & queues->cq_mask] = cqe;
	}
}

/* The ring takes none by itself, as the engine has a job(). */
static void take_jobs(struct peal_ring *ring)
{
	struct peal__job *job;

	if (ring->jobs_done || !ring->jobs_out)
		return;
	ring->jobs_done = peal__pool_take_done(ring->pool);
	for (job = ring->jobs_done; job; job = job->next)
		note_result(ring, RECORD_JOB_DONE, job->sqe.user_data,
			    job->result, 0, 0);
}

/* An entry that the engine gives to the pool instead. */
static void record_job_made(struct peal_ring *ring, const struct peal__job *job)
{
	note_result(ring, RECORD_TO_POOL, job->sqe.user_data, 0, 0, 0);
}

static void inner_queue(struct peal_ring *ring, struct record *record)
{
	ring->queues.cqes = record->inner.cqes;
	ring->queues.cq_head = record->inner.cq_head;
	ring->queues.cq_tail = record->inner.cq_tail;
}

static void own_queue(struct peal_ring *ring, struct record *record)
{
	ring->queues.cqes = record->cqes;
	ring->queues.cq_head = &record->cq_head;
	ring->queues.cq_tail = &record->cq_tail;
}

static int record_enter(struct peal_ring *ring, uint32_t wait_for,
			uint64_t timeout_ns)
{
	struct record *record = record_of(ring);
	struct peal__queues *queues = &ring->queues;
	struct record_turn turn;

	while (record->noted != queues->sq_tail)
		note_entry(ring, RECORD_START,
			   &queues->sqes[record->noted++ & queues->sq_mask]);
	inner_queue(ring, record);
	turn.rc = record->real->enter(ring, wait_for, timeout_ns);
	record->noted = queues->sq_tail;	/* the engine's own */
	take_completions(ring, record);
	take_jobs(ring);
	own_queue(ring, record);
	turn.left = queues->sq_tail - queues->sq_head;
	write_frame(record, RECORD_TURN, &turn, sizeof turn);
	flush(ring);
	return turn.rc;
}

/* --- posts ---------------------------------------------------------------- */

/* Those that were there at first, in the order in which they run. */
static uint64_t note_posts(struct peal_ring *ring, struct record *record)
{
	uint64_t tail = atomic_load_explicit(&ring->post_tail,
					     memory_order_acquire);
	uint64_t at = ring->post_head;

	peal__record_begin_frame(&record->out);
	for (; at != tail; at++) {
		const struct peal__post *cell =
			&ring->posts[at & ring->post_mask];
		struct record_post post = { 0 };

		if (!peal__post_is_there(ring, at))
			break;
		post.fn = peal__record_value((void *)(uintptr_t)cell->fn);
		post.ctx = peal__record_value(cell->ctx);
		post.thread = cell->thread;
		peal__record_put(&record->out.bytes, &post, sizeof post);
	}
	if (at == ring->post_head) {
		record->out.bytes.len = record->out.begin;
		return at;
	}
	peal__record_end_frame(&record->out, RECORD_POSTS);
	flush(ring);
	return at;
}

static void record_posts(struct peal_ring *ring)
{
	struct peal__post post;
	uint64_t end;

	if (ring->stop)		/* none runs, in a replay neither */
		return;
	end = note_posts(ring, record_of(ring));
	while (ring->post_head != end && !ring->stop &&
	       peal__post_take(ring, &post)) {
		ring->stats.posts++;
		post.fn(ring, post.ctx);
	}
}

static int record_goes_on(struct peal_ring *ring, int posts_wait)
{
	write_number(record_of(ring), RECORD_GOES_ON, (uint64_t)posts_wait);
	return posts_wait;
}

/* --- what the engine is asked --------------------------------------------- */

static uint64_t record_clock(struct peal_ring *ring)
{
	uint64_t now = peal__clock();

	write_number(record_of(ring), RECORD_TIME, now);
	return now;
}

static void record_learn(const struct peal_ring *ring, struct peal__hint *out)
{
	peal__file_learn(out);
	write_frame(record_of(ring), RECORD_LEARN, out, sizeof *out);
}

static int note_answer(struct peal_ring *ring, enum record_what what,
		       uint32_t arg, int result, const char *reason)
{
	struct record *record = record_of(ring);
	const struct record_asked asked = { what, arg, result };

	peal__record_begin_frame(&record->out);
	peal__record_put(&record->out.bytes, &asked, sizeof asked);
	peal__record_put(&record->out.bytes, reason, strlen(reason) + 1);
	peal__record_end_frame(&record->out, RECORD_ASKED);
	flush(ring);
	return result;
}

static int record_memory_add(struct peal_ring *ring, struct peal_arena *arena,
			     uint32_t first)
{
	int rc = record_of(ring)->real->memory_add(ring, arena, first);

	return note_answer(ring, ASKED_MEMORY, first, rc,
			   rc < 0 ? peal_memory_reason() : "");
}

static int record_files_open(struct peal_ring *ring, uint32_t count)
{
	return note_answer(ring, ASKED_FILES, count,
			   record_of(ring)->real->files_open(ring, count), "");
}

/* Buffers that the kernel hands out in pieces are not followed here: the
 * library does it, as on a kernel that cannot. */
static int record_group_open(struct peal_ring *ring, struct peal_group *group)
{
	int rc = -EINVAL;

	if (group->incremental)
		peal__group_reason("each receive is a poll and a receive: the "
				   "ring is recorded");
	else
		rc = record_of(ring)->real->group_open(ring, group);
	return note_answer(ring, ASKED_GROUP, group->count,
			   rc < 0 ? rc : group->bundles, "") < 0 ? rc : 0;
}

static void record_explain(struct peal_ring *ring, FILE *out)
{
	const struct record *record = record_of(ring);

	record->real->explain(ring, out);
	fprintf(out, "record         %s  %llu frames in %s%s%s\n",
		record->out.error ? "off" : "on ",
		(unsigned long long)record->out.frames, record->out.name,
		record->out.error ? ", then " : "",
		record->out.error ? strerror(record->out.error) : "");
}

/* --- begin and end -------------------------------------------------------- */

static void free_record(struct peal_ring *ring, struct record *record)
{
	peal__record_finish(&record->out);
	free(record->ops);
	free(record->cqes);
	ring->engine = record->real;
	free(record);
}

static void record_close(struct peal_ring *ring)
{
	struct record *record = record_of(ring);

	write_frame(record, RECORD_END, NULL, 0);
	inner_queue(ring, record);
	record->real->close(ring);
	free_record(ring, record);
}

static uint16_t what_it_has(const struct peal__engine *engine)
{
	return (uint16_t)((engine->memory_add ? RECORD_HAS_MEMORY : 0) |
			  (engine->files_open ? RECORD_HAS_FILES : 0) |
			  (engine->group_open ? RECORD_HAS_GROUPS : 0) |
			  (engine->takes_raw ? RECORD_HAS_RAW : 0));
}

static void write_ring(struct peal_ring *ring, struct record *record,
		       const struct record_name *name)
{
	struct record_ring head = {
		.version = RECORD_VERSION,
		.pointer_bytes = sizeof(void *),
		.sq_entries = ring->queues.sq_entries,
		.cq_entries = ring->queues.cq_entries,
		.can = { ring->can[0], ring->can[1] },
		.off_ops = { ring->disable.ops[0], ring->disable.ops[1] },
		.off_features = ring->disable.features,
		.no_multishot = ring->no_multishot,
		.bundles = ring->bundles,
		.has = what_it_has(record->real),
		.seed = record->seed,
		.thread = peal__thread_id(),
		.rank = name->rank,
		.nth = name->nth,
	};

	strncpy(head.engine, record->real->name, sizeof head.engine - 1);
	write_frame(record, RECORD_RING, &head, sizeof head);
	flush(ring);
}

static void replace_calls(struct peal__engine *engine)
{
	engine->turn = NULL;	/* by enter(), which is ours */
	engine->close = record_close;
	engine->enter = record_enter;
	engine->clock = record_clock;
	engine->learn = record_learn;
	engine->call = record_call;
	engine->job = record_job;
	engine->job_cancel = record_job_cancel;
	engine->job_made = record_job_made;
	engine->posts = record_posts;
	engine->goes_on = record_goes_on;
	engine->explain = record_explain;
	if (engine->memory_add)
		engine->memory_add = record_memory_add;
	if (engine->files_open)
		engine->files_open = record_files_open;
	if (engine->group_open)
		engine->group_open = record_group_open;
	engine->takes_buffers = 0;
}

static void replace_engine(struct peal_ring *ring, struct record *record)
{
	record->engine = *ring->engine;
	replace_calls(&record->engine);
	ring->engine = &record->engine;
	ring->posts_signed = 1;
	record->noted = ring->queues.sq_tail;
	record->inner = ring->queues;
	own_queue(ring, record);
	peal__entropy(&record->seed, sizeof record->seed);
	peal__random_seed(&ring->random, record->seed);
}

static struct record *new_record(struct peal_ring *ring)
{
	struct record *record = calloc(1, sizeof *record);

	if (!record)
		return NULL;
	record->real = ring->engine;
	record->out.fd = -1;
	record->cqes = calloc(ring->queues.cq_entries, sizeof *record->cqes);
	record->ops = calloc(ring->rows_max, sizeof *record->ops);
	if (record->cqes && record->ops)
		return record;
	free_record(ring, record);
	return NULL;
}

/* A ring with a clock of its own is simulated, or a replay. */
int peal__record_begin(struct peal_ring *ring)
{
	const char *given = secure_getenv("PEAL_RECORD"); /* not setuid */
	struct record_name name;
	struct record *record;
	int rc;

	if (!given || !*given || ring->engine->clock)
		return 0;
	record = new_record(ring);
	if (!record) {
		peal__reason("there is no memory for the record of %u ops: "
			     "lower options.max_ops", ring->rows_max);
		return -ENOMEM;
	}
	peal__record_who(&name, 0, given);
	rc = peal__record_create(&record->out, name.text);
	if (rc < 0) {
		peal__record_nobody(0);
		free_record(ring, record);
		return rc;
	}
	replace_engine(ring, record);
	write_ring(ring, record, &name);
	return 0;
}
