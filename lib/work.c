/* SPDX-License-Identifier: MIT */
/*
 * Ops that run as jobs (see work.h), the ring's side. The op function fills
 * the job's entry after it was made, so a job is given to the pool by the next
 * turn; calls that never wait are made there and then.
 */
#include "lib/start.h"
#include "lib/work.h"

static struct peal__job *job_of(struct peal_ring *ring,
				const struct peal__row *row)
{
	return &ring->jobs[row - ring->rows];
}

static struct peal__row *row_of(struct peal_ring *ring,
				const struct peal__job *job)
{
	return &ring->rows[job - ring->jobs];
}

/* On a pool thread, with the pool's lock held. */
static void wake_ring(void *arg)
{
	struct peal_ring *ring = arg;

	if (atomic_exchange(&ring->sleeping, 0))
		ring->engine->wake(ring);
}

int peal__jobs_open(struct peal_ring *ring, unsigned max_threads)
{
	ring->jobs = peal__alloc(ring, ring->rows_max * sizeof *ring->jobs,
				 64);
	ring->pool = peal__alloc(ring, peal__pool_size(), 64);
	if (ring->jobs && ring->pool) {
		peal__pool_init(ring->pool, max_threads, wake_ring, ring);
		return 0;
	}
	peal__free(ring, ring->jobs, ring->rows_max * sizeof *ring->jobs);
	peal__free(ring, ring->pool, peal__pool_size());
	return -ENOMEM;
}

void peal__jobs_close(struct peal_ring *ring)
{
	peal__pool_exit(ring->pool);
	peal__free(ring, ring->pool, peal__pool_size());
	peal__free(ring, ring->jobs, ring->rows_max * sizeof *ring->jobs);
}

/* A job for a row that has none; its entry is still to be filled. */
struct peal__sqe *peal__job_new(struct peal_ring *ring, struct peal__row *row,
				unsigned flags)
{
	struct peal__job *job = job_of(ring, row);

	job->sqe = (struct peal__sqe){ .opcode = row->opcode,
				       .flags = (uint8_t)flags,
				       .fd = row->fd,
				       .user_data = (uint64_t)row->op };
	peal__jobs_append(&ring->jobs_new, job);
	job->held = HELD_NEW;
	row->flags |= ROW_JOB;
	peal__chore(ring);
	ring->stats.jobs++;
	return &job->sqe;
}

static void forget_new(struct peal_ring *ring, struct peal__job *job)
{
	peal__jobs_unlink(&ring->jobs_new, job);
	job->held = HELD_NOT;
}

/* A call that ended without a thread. */
static void job_ready(struct peal_ring *ring, struct peal__job *job,
		      int64_t result)
{
	struct peal__row *row = row_of(ring, job);

	row->flags &= (uint16_t)~ROW_JOB;
	peal__ready(ring, row, result);
}

int peal__job_start(struct peal_ring *ring, struct peal__job *job)
{
	int rc;

	if (peal__op_row(job->sqe.opcode)->call == CALL_TURN) {
		job->result = peal__blocking_run(&job->sqe);
		return 1;
	}
	rc = peal__pool_submit(ring->pool, job);
	if (rc < 0) {
		job->result = rc;
		return 1;
	}
	ring->jobs_out++;
	return 0;
}

/* Gives new jobs to the pool. */
void peal__jobs_submit(struct peal_ring *ring)
{
	int (*start)(struct peal_ring *ring, struct peal__job *job) =
		ring->engine->job ? ring->engine->job : peal__job_start;
	struct peal__job *job;

	while ((job = ring->jobs_new.first) != NULL) {
		forget_new(ring, job);
		if (start(ring, job))
			job_ready(ring, job, job->result);
	}
}

int peal__jobs_look(struct peal_ring *ring)
{
	return ring->jobs_done || peal__pool_has_done(ring->pool);
}

/* Completions of jobs, in the order in which they finished. */
void peal__jobs_reap(struct peal_ring *ring)
{
	struct peal__job *job;

	if (!ring->jobs_done && !ring->engine->job)
		ring->jobs_done = peal__pool_take_done(ring->pool);
	while ((job = ring->jobs_done) != NULL && !ring->stop) {
		struct peal__row *row = row_of(ring, job);

		ring->jobs_done = job->next;
		ring->jobs_out--;
		row->flags &= (uint16_t)~ROW_JOB;
		peal__complete(ring, row, job->result, 0);
	}
}

/* Has the pool not got it yet? */
int peal__job_is_new(struct peal_ring *ring, const struct peal__row *row)
{
	return job_of(ring, row)->held == HELD_NEW;
}

static int take_back(struct peal_ring *ring, struct peal__job *job)
{
	return ring->engine->job_cancel ? ring->engine->job_cancel(ring, job)
					: peal__pool_cancel(ring->pool, job);
}

/* 1: it will not run; 0: too late. */
int peal__job_cancel(struct peal_ring *ring, struct peal__row *row)
{
	struct peal__job *job = job_of(ring, row);

	if (job->held == HELD_NEW)
		forget_new(ring, job);
	else if (!take_back(ring, job))
		return 0;
	else
		ring->jobs_out--;
	row->flags &= (uint16_t)~ROW_JOB;
	return 1;
}
