/* SPDX-License-Identifier: MIT */
/*
 * The file workload by plain calls on a pool of threads: one queue of slots to
 * do, one of slots done; as many threads as operations in flight, at most 64.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "perf/file.h"
#include "perf/file_sides.h"

#define MOST_THREADS	64

struct queue {
	pthread_cond_t changed;
	unsigned *slots;	/* a circle of depth + 1 */
	unsigned head, tail;
};

struct state {
	struct file_job job;	/* first: file_state_open() */
	pthread_t threads[MOST_THREADS];
	unsigned thread_count;
	pthread_mutex_t lock;
	struct queue wanted, done;
	int64_t *results;
	int closing;
};

static void push(struct state *state, struct queue *queue, unsigned slot)
{
	queue->slots[queue->tail] = slot;
	queue->tail = (queue->tail + 1) % (state->job.depth + 1);
	pthread_cond_signal(&queue->changed);
}

static int pop(struct state *state, struct queue *queue)
{
	unsigned slot;

	if (queue->head == queue->tail)
		return -1;
	slot = queue->slots[queue->head];
	queue->head = (queue->head + 1) % (state->job.depth + 1);
	return (int)slot;
}

static int64_t call(const struct file_job *job, const struct file_op *op)
{
	ssize_t rc;

	switch (op->kind) {
	case FILE_READ:
		rc = pread(job->fd, op->buf, job->block, (off_t)op->offset);
		break;
	case FILE_WRITE:
		rc = pwrite(job->fd, op->buf, job->block, (off_t)op->offset);
		break;
	default:
		rc = fdatasync(job->fd);
	}
	return rc < 0 ? -errno : rc;
}

static void *work(void *arg)
{
	struct state *state = arg;

	pthread_mutex_lock(&state->lock);
	while (!state->closing) {
		int slot = pop(state, &state->wanted);

		if (slot < 0) {
			pthread_cond_wait(&state->wanted.changed, &state->lock);
			continue;
		}
		pthread_mutex_unlock(&state->lock);
		state->results[slot] = call(&state->job,
					    &state->job.ops[slot]);
		pthread_mutex_lock(&state->lock);
		push(state, &state->done, (unsigned)slot);
	}
	pthread_mutex_unlock(&state->lock);
	return NULL;
}

static void open_queue(struct queue *queue, unsigned depth)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&queue->changed, &attr);
	queue->slots = calloc(depth + 1, sizeof *queue->slots);
	if (!queue->slots)
		abort();
}

static const char *open_side(void **out_state, const struct perf_case *at)
{
	const char *wrong;
	struct state *state = file_state_open(sizeof *state, at, &wrong);
	unsigned i;

	if (!state)
		return wrong;
	pthread_mutex_init(&state->lock, NULL);
	open_queue(&state->wanted, state->job.depth);
	open_queue(&state->done, state->job.depth);
	state->results = calloc(state->job.depth, sizeof *state->results);
	state->thread_count = state->job.depth < MOST_THREADS
				      ? state->job.depth
				      : MOST_THREADS;
	for (i = 0; i < state->thread_count; i++)
		if (!state->results ||
		    pthread_create(&state->threads[i], NULL, work, state))
			abort();
	*out_state = state;
	return NULL;
}

/* With the lock. Waits for a slot that is done, or until something may start. */
static int await_done(struct state *state)
{
	int slot;

	while ((slot = pop(state, &state->done)) < 0) {
		uint64_t ns = file_wait_ns(&state->job);
		struct timespec until;

		if (ns == 0)
			return -1;
		if (ns == UINT64_MAX) {
			pthread_cond_wait(&state->done.changed, &state->lock);
			continue;
		}
		ns += clock_now();
		until.tv_sec = (time_t)(ns / 1000000000);
		until.tv_nsec = (long)(ns % 1000000000);
		pthread_cond_timedwait(&state->done.changed, &state->lock,
				       &until);
	}
	return slot;
}

static const char *run(void *arg, struct slice *slice)
{
	struct state *state = arg;
	struct file_job *job = &state->job;

	file_begin(job, slice);
	pthread_mutex_lock(&state->lock);
	while (file_going(job)) {
		int slot;

		while ((slot = file_next(job)) >= 0)
			push(state, &state->wanted, (unsigned)slot);
		if (!job->in_flight && !job->gap_ns)
			break;
		slot = await_done(state);
		for (; slot >= 0; slot = pop(state, &state->done))
			file_ended(job, (unsigned)slot, state->results[slot]);
	}
	pthread_mutex_unlock(&state->lock);
	return file_end(job);
}

static void count(void *arg, struct counters *out)
{
	file_job_count(&((struct state *)arg)->job, out);
	out->calls = out->ops;
}

static void close_side(void *arg)
{
	struct state *state = arg;
	unsigned i;

	pthread_mutex_lock(&state->lock);
	state->closing = 1;
	pthread_cond_broadcast(&state->wanted.changed);
	pthread_mutex_unlock(&state->lock);
	for (i = 0; i < state->thread_count; i++)
		pthread_join(state->threads[i], NULL);
	free(state->wanted.slots);
	free(state->done.slots);
	free(state->results);
	file_job_close(&state->job);
	free(state);
}

const struct side file_threads = {
	.name = "threads", .open = open_side, .run = run, .count = count,
	.close = close_side, .no_variants = 1,
};
