/* SPDX-License-Identifier: MIT */
/*
 * The pool: a bounded number of threads that run plain system calls. A thread
 * is started when a job finds none idle; jobs are begun in the order in which
 * they came.
 *
 *   submit --> queue --(a thread)--> running --> done --> the ring's thread
 *                 \--cancel--> taken back
 *
 * One lock guards both lists. The ring is woken once for the first of a run of
 * finished jobs; it takes them all.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include "lib/engine.h"
#include "shim/system.h"
#include "lib/work.h"

#define MAX_THREADS 64

struct peal__pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct peal__jobs queue;
	struct peal__jobs done;
	unsigned max_threads;
	unsigned threads;
	unsigned idle;
	unsigned waiting;	/* jobs in queue */
	int stop;
	void (*wake)(void *arg);
	void *arg;
	pthread_t ids[MAX_THREADS];
};

size_t peal__pool_size(void)
{
	return sizeof(struct peal__pool);
}

void peal__pool_init(struct peal__pool *pool, unsigned max_threads,
		     void (*wake)(void *arg), void *arg)
{
	memset(pool, 0, sizeof *pool);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pool->max_threads = max_threads < MAX_THREADS ? max_threads
						      : MAX_THREADS;
	pool->wake = wake;
	pool->arg = arg;
}

/* With the lock held; runs one job without it. */
static void run_one(struct peal__pool *pool)
{
	struct peal__job *job = pool->queue.first;
	int first;

	peal__jobs_unlink(&pool->queue, job);
	pool->waiting--;
	job->state = JOB_RUNNING;
	pthread_mutex_unlock(&pool->lock);
	job->result = peal__blocking_run(&job->sqe);
	pthread_mutex_lock(&pool->lock);
	first = !pool->done.first;
	peal__jobs_append(&pool->done, job);
	if (first)
		pool->wake(pool->arg);
}

static void *thread_main(void *arg)
{
	struct peal__pool *pool = arg;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (!pool->queue.first && !pool->stop) {
			pool->idle++;
			pthread_cond_wait(&pool->work, &pool->lock);
			pool->idle--;
		}
		if (!pool->queue.first)
			break;
		run_one(pool);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static int start_thread(struct peal__pool *pool)
{
	int rc = peal__thread_start(&pool->ids[pool->threads], thread_main,
				    pool);

	if (rc == 0)
		pool->threads++;
	return rc;
}

int peal__pool_submit(struct peal__pool *pool, struct peal__job *job)
{
	int rc = 0;

	pthread_mutex_lock(&pool->lock);
	if (pool->idle <= pool->waiting && pool->threads < pool->max_threads)
		rc = start_thread(pool);
	if (pool->threads == 0) {
		pthread_mutex_unlock(&pool->lock);
		return rc ? -rc : -EAGAIN;
	}
	peal__jobs_append(&pool->queue, job);
	pool->waiting++;
	job->state = JOB_QUEUED;
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

int peal__pool_cancel(struct peal__pool *pool, struct peal__job *job)
{
	int queued;

	pthread_mutex_lock(&pool->lock);
	queued = job->state == JOB_QUEUED;
	if (queued) {
		peal__jobs_unlink(&pool->queue, job);
		pool->waiting--;
		job->state = JOB_NONE;
	}
	pthread_mutex_unlock(&pool->lock);
	return queued;
}

struct peal__job *peal__pool_take_done(struct peal__pool *pool)
{
	struct peal__job *first;

	pthread_mutex_lock(&pool->lock);
	first = pool->done.first;
	pool->done.first = NULL;
	pool->done.last = NULL;
	pthread_mutex_unlock(&pool->lock);
	return first;
}

int peal__pool_has_done(struct peal__pool *pool)
{
	int has;

	pthread_mutex_lock(&pool->lock);
	has = pool->done.first != NULL;
	pthread_mutex_unlock(&pool->lock);
	return has;
}

unsigned peal__pool_threads(struct peal__pool *pool)
{
	return pool->threads;
}

void peal__pool_exit(struct peal__pool *pool)
{
	unsigned i;

	pthread_mutex_lock(&pool->lock);
	pool->stop = 1;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (i = 0; i < pool->threads; i++)
		pthread_join(pool->ids[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
}
