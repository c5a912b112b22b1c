/* SPDX-License-Identifier: MIT */
/*
 * Reads and writes of one file, for any side. A side starts the operation of a
 * slot and says when it has ended; which operation that is, when it may start,
 * whether its data is right and how long it took is decided here, once. All of
 * it is inline, so that each side's loop is compiled as if written by hand:
 *
 *	file_begin(job, slice);
 *	while (file_going(job)) {
 *		while ((slot = file_next(job)) >= 0)
 *			start what job->ops[slot] says;
 *		wait, at most file_wait_ns(job); for each that ended:
 *			file_ended(job, slot, result);
 *	}
 *	return file_end(job);
 */
#ifndef PEAL_PERF_FILE_H
#define PEAL_PERF_FILE_H

#include <errno.h>
#include <stdint.h>
#include "perf/side.h"
#include "perf/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

enum file_kind { FILE_READ, FILE_WRITE, FILE_SYNC };

struct file_op {
	enum file_kind kind;
	uint64_t offset;
	char *buf;		/* job->block bytes, of this slot */
	uint64_t began_ns;	/* or should have */
};

struct file_job {
	/* of the case */
	int fd;
	char path[256];
	size_t block;
	uint64_t blocks;	/* of the file */
	unsigned depth, batch, reads /* per cent */, sync_every;
	int random, verify;
	char *buffers;		/* depth blocks, one piece */
	size_t buffers_len;
	int own, mapped;	/* file_job_close() frees or unmaps them */

	struct file_op *ops;	/* depth slots */
	uint64_t seed, at;	/* the next offset */
	unsigned unsynced;	/* writes since the last sync */
	uint64_t total;		/* reads and writes ended, ever */

	/* of the slice */
	uint64_t to_start;
	unsigned in_flight, idle, bursting;
	unsigned *idle_slots;	/* a stack */
	struct latency *latency;
	uint64_t gap_ns, next_ns; /* open loop: between starts */
	uint64_t wrong_at;	/* offset of wrong data */
	int64_t error;		/* first result that was not right */
};

/* Opens the file of the case and what the loop needs. buffers: memory for
 * them, or NULL: made here, as the case says. NULL, or why not. */
const char *file_job_open(struct file_job *job, const struct perf_case *at,
			  void *buffers);
/* The state of a side, zeroed; it begins with its job, which is open. NULL:
 * *out_wrong says why. */
void *file_state_open(size_t size, const struct perf_case *at,
		      const char **out_wrong);
void file_job_close(struct file_job *job);
size_t file_job_bytes(const struct perf_case *at); /* of all buffers */
/* For sides that have no ring. */
void file_job_count(const struct file_job *job, struct counters *out);
const char *file_job_wrong(const struct file_job *job);

/* What is written at an offset: to check it wherever it is read. */
static inline uint64_t file_word(uint64_t offset)
{
	offset += UINT64_C(0x9e3779b97f4a7c15);
	offset = (offset ^ offset >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	return offset ^ offset >> 27;
}

static inline void file_fill(char *buf, size_t len, uint64_t offset)
{
	size_t i;

	for (i = 0; i < len; i += 8)
		*(uint64_t *)(void *)(buf + i) = file_word(offset + i);
}

static inline int file_matches(const char *buf, size_t len, uint64_t offset)
{
	size_t i;

	for (i = 0; i < len; i += 8)
		if (*(const uint64_t *)(const void *)(buf + i) !=
		    file_word(offset + i))
			return 0;
	return 1;
}

static inline void file_begin(struct file_job *job, const struct slice *slice)
{
	unsigned i;

	for (i = 0; i < job->depth; i++)
		job->idle_slots[i] = job->depth - 1 - i;
	job->idle = job->depth;
	job->in_flight = 0;
	job->bursting = 1;
	job->to_start = slice->ops;
	job->latency = slice->latency;
	job->gap_ns = slice->rate > 0 ? (uint64_t)(1e9 / slice->rate) : 0;
	job->next_ns = job->gap_ns ? clock_now() : 0;
}

static inline int file_going(const struct file_job *job)
{
	return (job->to_start || job->in_flight) && !job->error;
}

/* Decides what the op of this slot is. */
static inline void file_pick(struct file_job *job, struct file_op *op)
{
	if (job->sync_every && job->unsynced >= job->sync_every) {
		job->unsynced = 0;
		op->kind = FILE_SYNC;
		return;
	}
	job->at = job->random ? stats_random(&job->seed) % job->blocks
			      : (job->at + 1) % job->blocks;
	op->offset = job->at * job->block;
	op->kind = FILE_READ;
	job->to_start--;
	if (job->reads == 100)
		return;
	if (job->reads && stats_random(&job->seed) % 100 < job->reads)
		return;
	op->kind = FILE_WRITE;
	job->unsynced++;
	if (job->verify)
		file_fill(op->buf, job->block, op->offset);
}

/* A slot to start now, or -1. Slots that are free wait until `batch` of them
 * are, and start together; in an open loop, until it is time. */
static inline int file_next(struct file_job *job)
{
	struct file_op *op;
	unsigned slot;

	if (!job->idle || !job->to_start || !job->bursting) {
		job->bursting = 0;
		return -1;
	}
	if (job->gap_ns && clock_now() < job->next_ns)
		return -1;
	slot = job->idle_slots[--job->idle];
	op = &job->ops[slot];
	file_pick(job, op);
	job->in_flight++;
	if (job->gap_ns) {
		op->began_ns = job->next_ns;
		job->next_ns += job->gap_ns;
	} else if (job->latency) {
		op->began_ns = clock_now();
	}
	return (int)slot;
}

static inline void file_ended(struct file_job *job, unsigned slot,
			      int64_t result)
{
	struct file_op *op = &job->ops[slot];

	job->in_flight--;
	job->idle_slots[job->idle++] = slot;
	if (job->idle >= job->batch || job->gap_ns || !job->in_flight)
		job->bursting = 1;
	if (op->kind == FILE_SYNC) {
		if (result < 0 && !job->error)
			job->error = result;
		return;
	}
	job->total++;
	if (job->latency)
		latency_note(job->latency, clock_now() - op->began_ns);
	if (__builtin_expect(result != (int64_t)job->block, 0) && !job->error)
		job->error = result < 0 ? result : -ENODATA;
	if (job->verify && op->kind == FILE_READ && !job->error &&
	    !file_matches(op->buf, job->block, op->offset)) {
		job->error = -EILSEQ;
		job->wrong_at = op->offset;
	}
}

/* How long to wait for completions at most; UINT64_MAX: no limit. 0: something
 * may be started now. */
static inline uint64_t file_wait_ns(const struct file_job *job)
{
	uint64_t now;

	if (!job->gap_ns || !job->to_start || !job->idle)
		return UINT64_MAX;
	now = clock_now();
	return now >= job->next_ns ? 0 : job->next_ns - now;
}

/* What the slice came to, for run(). After an error ops are still in flight:
 * the side lets them end before it closes. */
static inline const char *file_end(const struct file_job *job)
{
	return job->error ? file_job_wrong(job) : NULL;
}

#ifdef __cplusplus
}
#endif
#endif
