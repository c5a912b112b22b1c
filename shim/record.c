/* SPDX-License-Identifier: MIT */
/*
 * Recording: with PEAL_RECORD set, a ring's engine is replaced by a copy of
 * itself whose calls also write down what came of them, for replay.c.
 *
 * The ring sees a completion queue of ours, filled at the end of enter() only:
 * the kernel's own may grow at any time, and that could not be had again. The
 * copy has no registered memory, no direct descriptors and no buffer rings, so
 * that every byte arrives where an entry of ours says.
 *
 * A ring without PEAL_RECORD knows nothing of this file.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/buffers.h"
#include "lib/start.h"
#include "lib/work.h"
#include "shim/record.h"

struct record {
	struct peal__engine engine;	/* ring->engine: this is found by it */
	const struct peal__engine *real;
	FILE *file;
	int error;			/* why nothing more is written */
	uint64_t frames;
	uint64_t seed;
	uint32_t noted;			/* of the entries: up to here */
	uint32_t cq_head, cq_tail;
	struct peal__cqe *cqes;
	struct peal__queues inner;	/* the engine's completion queue */
	struct record_op *ops;		/* one per row */
	struct record_bytes bytes;	/* of the frame that is being made */
	char name[512];
};

static struct record *record_of(const struct peal_ring *ring)
{
	return (struct record *)(uintptr_t)ring->engine;
}

/* --- the file ------------------------------------------------------------ */

static void stop_writing(struct record *record)
{
	record->error = errno ? errno : EIO;
}

static void write_bytes(struct record *record, const void *data, size_t len)
{
	errno = 0;
	if (!record->error && len &&
	    fwrite(data, 1, len, record->file) != len)
		stop_writing(record);
}

/* The frame whose body is in record->bytes. */
static void end_frame(struct record *record, enum record_kind kind)
{
	static const char zero[8];
	struct record_frame frame = { .kind = kind,
				      .len = (uint32_t)record->bytes.len };

	if (record->bytes.broken) {
		record->bytes.broken = 0;
		errno = ENOMEM;
		stop_writing(record);
	}
	frame.check = peal__record_check(&frame, record->bytes.data);
	write_bytes(record, &frame, sizeof frame);
	write_bytes(record, record->bytes.data, frame.len);
	write_bytes(record, zero, record_fill(frame.len));
	record->bytes.len = 0;
	record->frames += !record->error;
}

static void write_frame(struct record *record, enum record_kind kind,
			const void *body, size_t len)
{
	peal__record_put(&record->bytes, body, len);
	end_frame(record, kind);
}

static void flush(struct record *record)
{
	errno = 0;
	if (!record->error && fflush(record->file))
		stop_writing(record);
}

/* --- what is started ----------------------------------------------------- */

static void note_entry(struct record *record, enum record_kind kind,
		       const struct peal__sqe *sqe)
{
	struct record_start start;

	peal__record_note(record->ops, sqe);
	peal__record_start(&start, sqe);
	write_frame(record, kind, &start, sizeof start);
}

static void note_result(struct record *record, enum record_kind kind,
			uint64_t user_data, int64_t result, uint32_t flags,
			uint32_t now)
{
	const struct record_done done = { user_data, result, flags, now };
	const struct record_op *op =
		&record->ops[user_data & PEAL__ROW_MASK];

	peal__record_put(&record->bytes, &done, sizeof done);
	if (op->sqe.user_data == user_data && !(flags & PEAL__CQE_NOTIF) &&
	    (kind == RECORD_DONE || kind == RECORD_JOB_DONE))
		peal__record_save(&record->bytes, op, result);
	end_frame(record, kind);
}

static int record_job(struct peal_ring *ring, struct peal__job *job)
{
	struct record *record = record_of(ring);
	int now;

	note_entry(record, RECORD_JOB, &job->sqe);
	now = peal__job_start(ring, job);
	if (now)
		note_result(record, RECORD_JOB_DONE, job->sqe.user_data,
			    job->result, 0, 1);
	return now;
}

static int record_job_cancel(struct peal_ring *ring, struct peal__job *job)
{
	int taken = peal__pool_cancel(ring->pool, job);

	note_result(record_of(ring), RECORD_UNDONE, job->sqe.user_data, taken,
		    0, 0);
	return taken;
}

static int64_t record_call(struct peal_ring *ring, const struct peal__sqe *sqe)
{
	struct record_call call;

	peal__record_start(&call.start, sqe);
	call.result = peal__blocking_run(sqe);
	write_frame(record_of(ring), RECORD_CALL, &call, sizeof call);
	return call.result;
}

/* --- what came of it ----------------------------------------------------- */

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
		note_result(record, RECORD_DONE, cqe.user_data, cqe.res,
			    cqe.flags, 0);
		record->cqes[record->cq_tail++ & queues->cq_mask] = cqe;
	}
}

/* The ring takes none by itself, as the engine has a job(). */
static void take_jobs(struct peal_ring *ring, struct record *record)
{
	struct peal__job *job;

	if (ring->jobs_done || !ring->jobs_out)
		return;
	ring->jobs_done = peal__pool_take_done(ring->pool);
	for (job = ring->jobs_done; job; job = job->next)
		note_result(record, RECORD_JOB_DONE, job->sqe.user_data,
			    job->result, 0, 0);
}

/* Entries that the engine gave to the pool instead: the last so many. */
static void note_to_pool(struct peal_ring *ring, struct record *record,
			 uint64_t count)
{
	const struct peal__job *job = ring->jobs_new.last;

	if (!count)
		return;
	while (job && --count && job->prev)
		job = job->prev;
	for (; job; job = job->next)
		note_result(record, RECORD_TO_POOL, job->sqe.user_data, 0, 0,
			    0);
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
	uint64_t jobs = ring->stats.jobs;
	struct record_turn turn;

	while (record->noted != queues->sq_tail)
		note_entry(record, RECORD_START,
			   &queues->sqes[record->noted++ & queues->sq_mask]);
	inner_queue(ring, record);
	turn.rc = record->real->enter(ring, wait_for, timeout_ns);
	record->noted = queues->sq_tail;	/* the engine's own */
	note_to_pool(ring, record, ring->stats.jobs - jobs);
	take_completions(ring, record);
	take_jobs(ring, record);
	own_queue(ring, record);
	turn.left = queues->sq_tail - queues->sq_head;
	write_frame(record, RECORD_TURN, &turn, sizeof turn);
	flush(record);
	return turn.rc;
}

uint64_t peal__record_posts(const struct peal_ring *ring)
{
	uint64_t end = ring->post_head;
	uint64_t tail = atomic_load_explicit(
		&((struct peal_ring *)(uintptr_t)ring)->post_tail,
		memory_order_acquire);

	while (end != tail &&
	       atomic_load_explicit(&ring->posts[end & ring->post_mask].turn,
				    memory_order_acquire) == end + 1)
		end++;
	return end - ring->post_head;
}

static uint64_t record_posts(struct peal_ring *ring)
{
	const struct record_time posts = { peal__record_posts(ring) };

	if (posts.value)
		write_frame(record_of(ring), RECORD_POSTS, &posts,
			    sizeof posts);
	return posts.value;
}

static uint64_t record_clock(struct peal_ring *ring)
{
	const struct record_time time = { peal__clock() };

	write_frame(record_of(ring), RECORD_TIME, &time, sizeof time);
	return time.value;
}

static void record_learn(const struct peal_ring *ring, struct peal__hint *out)
{
	peal__file_learn(out);
	write_frame(record_of(ring), RECORD_LEARN, out, sizeof *out);
}

static void record_explain(struct peal_ring *ring, FILE *out)
{
	const struct record *record = record_of(ring);

	record->real->explain(ring, out);
	fprintf(out, "record         %s  %llu frames in %s%s%s\n",
		record->error ? "off" : "on ",
		(unsigned long long)record->frames, record->name,
		record->error ? ", then " : "",
		record->error ? strerror(record->error) : "");
}

/* --- begin and end ------------------------------------------------------- */

static void free_record(struct peal_ring *ring, struct record *record)
{
	if (record->file)
		fclose(record->file);
	free(record->bytes.data);
	free(record->ops);
	free(record->cqes);
	ring->engine = record->real;
	free(record);
}

static void record_close(struct peal_ring *ring)
{
	struct record *record = record_of(ring);

	write_frame(record, RECORD_END, NULL, 0);
	flush(record);
	inner_queue(ring, record);
	record->real->close(ring);
	free_record(ring, record);
}

static void write_ring(struct peal_ring *ring, struct record *record)
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
		.seed = record->seed,
	};

	strncpy(head.engine, record->real->name, sizeof head.engine - 1);
	write_bytes(record, RECORD_MAGIC, strlen(RECORD_MAGIC));
	write_frame(record, RECORD_RING, &head, sizeof head);
	flush(record);
}

static void replace_engine(struct peal_ring *ring, struct record *record)
{
	struct peal__engine *engine = &record->engine;

	record->real = ring->engine;
	*engine = *ring->engine;
	engine->close = record_close;
	engine->enter = record_enter;
	engine->clock = record_clock;
	engine->learn = record_learn;
	engine->call = record_call;
	engine->job = record_job;
	engine->job_cancel = record_job_cancel;
	engine->posts = record_posts;
	engine->explain = record_explain;
	engine->memory_add = NULL;
	engine->files_open = NULL;
	engine->group_open = NULL;
	engine->takes_buffers = 0;
	ring->engine = engine;
	record->noted = ring->queues.sq_tail;
	record->inner = ring->queues;
	own_queue(ring, record);
	peal__entropy(&record->seed, sizeof record->seed);
	peal__random_seed(&ring->random, record->seed);
}

void peal__record_name(char *out, size_t size, const char *name,
		       unsigned number)
{
	if (number == 1)
		snprintf(out, size, "%s", name);
	else
		snprintf(out, size, "%s.%u", name, number);
}

static struct record *new_record(struct peal_ring *ring)
{
	struct record *record = calloc(1, sizeof *record);

	if (!record)
		return NULL;
	record->real = ring->engine;
	record->cqes = calloc(ring->queues.cq_entries, sizeof *record->cqes);
	record->ops = calloc(ring->rows_max, sizeof *record->ops);
	if (record->cqes && record->ops)
		return record;
	free_record(ring, record);
	return NULL;
}

/* It has all that the program read: nobody else may. */
static FILE *create(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");
	int saved = errno;

	if (fd >= 0 && !file)
		close(fd);
	errno = saved;
	return file;
}

/* A ring with a clock of its own is simulated, or a replay. */
int peal__record_begin(struct peal_ring *ring)
{
	static atomic_uint rings;
	const char *name = secure_getenv("PEAL_RECORD"); /* not setuid */
	struct record *record;
	int error;

	if (!name || !*name || ring->engine->clock)
		return 0;
	record = new_record(ring);
	if (!record) {
		peal__reason("there is no memory for the record of %u ops: "
			     "lower options.max_ops", ring->rows_max);
		return -ENOMEM;
	}
	peal__record_name(record->name, sizeof record->name, name,
			  atomic_fetch_add(&rings, 1) + 1);
	record->file = create(record->name);
	if (!record->file) {
		error = errno;
		peal__reason("PEAL_RECORD is \"%s\", which cannot be written: "
			     "%s", record->name, strerror(error));
		atomic_fetch_sub(&rings, 1);
		free_record(ring, record);
		return -error;
	}
	replace_engine(ring, record);
	write_ring(ring, record);
	return 0;
}
