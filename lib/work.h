/* SPDX-License-Identifier: MIT */
/*
 * Jobs: operations that are run by their plain system call on a pool of
 * threads, for every engine that lacks an opcode. A job's index is its op's
 * row, so there is one for each op that can be in flight, and none is
 * allocated later.
 */
#ifndef PEAL_LIB_WORK_H
#define PEAL_LIB_WORK_H

#include <stddef.h>
#include "lib/ring.h"

enum peal__job_state {		/* the pool's, under its lock */
	JOB_NONE,
	JOB_QUEUED,		/* waits for a thread */
	JOB_RUNNING
};

/* A software ring keeps entries that wait in the same place. */
enum peal__job_held {		/* the ring's thread's */
	HELD_NOT,
	HELD_NEW,		/* its op function still fills it */
	HELD_FOR_FD,
	HELD_ORPHAN,		/* for an fd that is gone */
	HELD_LATE		/* for room in the completion queue */
};

struct peal__job {
	struct peal__sqe sqe;
	struct peal__job *next;
	struct peal__job *prev;
	int64_t result;
	int32_t watch;		/* HELD_FOR_FD: this descriptor; HELD_LATE:
				 * the completion's flags */
	uint8_t held;		/* enum peal__job_held */
	_Alignas(4) uint8_t state;	/* enum peal__job_state */
};

static inline void peal__jobs_append(struct peal__jobs *list,
				     struct peal__job *job)
{
	job->next = NULL;
	job->prev = list->last;
	if (list->last)
		list->last->next = job;
	else
		list->first = job;
	list->last = job;
}

static inline void peal__jobs_unlink(struct peal__jobs *list,
				     struct peal__job *job)
{
	if (job->prev)
		job->prev->next = job->next;
	else
		list->first = job->next;
	if (job->next)
		job->next->prev = job->prev;
	else
		list->last = job->prev;
}

/* Gives a job to the pool. 1: it is done, its result is there; 0: later. */
int peal__job_start(struct peal_ring *ring, struct peal__job *job);

/* shim/pool.c: threads, started when there is work and kept to max_threads. */
struct peal__pool;

size_t peal__pool_size(void);
void peal__pool_init(struct peal__pool *pool, unsigned max_threads,
		     void (*wake)(void *arg), void *arg);
/* Runs all that is queued, ends the threads. */
void peal__pool_exit(struct peal__pool *pool);
/* Appends; jobs are started in this order. -EAGAIN: no thread can be made. */
int peal__pool_submit(struct peal__pool *pool, struct peal__job *job);
/* 1: taken back; 0: it runs, or has run, or was never given. */
int peal__pool_cancel(struct peal__pool *pool, struct peal__job *job);
/* Finished jobs, oldest first, linked by next. */
struct peal__job *peal__pool_take_done(struct peal__pool *pool);
int peal__pool_has_done(struct peal__pool *pool);
unsigned peal__pool_threads(struct peal__pool *pool);

#endif
