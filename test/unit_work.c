/* SPDX-License-Identifier: MIT */
/*
 * Jobs: ops that the engine lacks, on the pool. A pipe makes a job wait for as
 * long as the test wants.
 */
#include <pthread.h>
#include <sched.h>

#include "test/scripted.h"
#include "lib/work.h"

SCRIPT_SYSTEM

#define THREADS 2	/* of a SCRIPT_TEST */

static char buf[64];
static int gate[2];	/* a job that reads gate[0] waits for a byte */

static void lacks(unsigned opcode)
{
	ring->can[opcode >> 6] &= ~(UINT64_C(1) << (opcode & 63));
	peal__gate_set(ring, ring->gate);
}

static peal_op start_job(void)
{
	peal_op op = peal_read(ring, gate[0], buf, 1, PEAL_CURRENT, 0, on_done,
			       NULL);

	ck_assert_int_gt(op, 0);
	return op;
}

static void open_gate(unsigned bytes)
{
	while (bytes--)
		ck_assert_int_eq(write(gate[1], "x", 1), 1);
}

/* Turns, without a wait of the engine, until op has ended. */
static int64_t end_of(peal_op op)
{
	while (!finished(op)) {
		script_turn();
		sched_yield();
	}
	return outcome(op)->result;
}

/* A look at what the pool guards by its lock: old news does no harm here. */
__attribute__((no_sanitize("thread")))
static int runs(peal_op op)
{
	return ring->jobs[(uint64_t)op & PEAL__ROW_MASK].state == JOB_RUNNING;
}

/* All threads of the pool wait in a job each. */
static void keep_threads_busy(peal_op ops[THREADS])
{
	unsigned at;

	for (at = 0; at < THREADS; at++)
		ops[at] = start_job();
	script_turn();
	ck_assert_uint_eq(peal__pool_threads(ring->pool), THREADS);
	for (at = 0; at < THREADS; at++)
		while (!runs(ops[at]))
			sched_yield();
}

static void let_them_end(const peal_op ops[THREADS])
{
	unsigned at;

	open_gate(THREADS);
	for (at = 0; at < THREADS; at++)
		ck_result(end_of(ops[at]), 1);
}

static void set_up(void)
{
	lacks(PEAL__OP_READ);
	make_pipe(gate);
}

/* --- from start to end ------------------------------------------------ */

SCRIPT_TEST(op_the_engine_lacks_runs_on_the_pool)
{
	peal_op op;

	set_up();
	op = start_job();
	ck_assert_uint_eq(peal__pool_threads(ring->pool), 0);
	script_turn();
	ck_assert_uint_eq(peal__pool_threads(ring->pool), 1);
	ck_assert_uint_eq(script_taken_count(), 0);
	ck_assert(peal_op_in_flight(ring, op));
	open_gate(1);
	ck_result(end_of(op), 1);
	ck_assert_uint_eq(ring->stats.jobs, 1);
}

SCRIPT_TEST(thread_is_used_again)
{
	unsigned at;

	set_up();
	for (at = 0; at < 50; at++) {
		open_gate(1);
		ck_result(end_of(start_job()), 1);
	}
	ck_assert_uint_le(peal__pool_threads(ring->pool), 2);
}

SCRIPT_TEST(threads_are_bounded_and_every_job_ends)
{
	peal_op ops[200];
	unsigned at;

	set_up();
	for (at = 0; at < 200; at++)
		ops[at] = start_job();
	script_turn();
	ck_assert_uint_le(peal__pool_threads(ring->pool), THREADS);
	open_gate(200);
	for (at = 0; at < 200; at++)
		ck_result(end_of(ops[at]), 1);
}

SCRIPT_TEST(error_of_a_job_is_told)
{
	lacks(PEAL__OP_FSYNC);
	ck_result(end_of(peal_sync(ring, 9999, 0, on_done, NULL)), -EBADF);
}

SCRIPT_TEST(ring_that_sleeps_is_woken_by_a_job)
{
	peal_op ops[THREADS];
	unsigned at;

	set_up();
	keep_threads_busy(ops);
	ck_assert_uint_eq(peal_ring_timeout_ns(ring), PEAL_FOREVER);
	open_gate(THREADS);
	while (!atomic_load(&script.wakes))
		sched_yield();
	for (at = 0; at < THREADS; at++)
		ck_result(end_of(ops[at]), 1);
	ck_assert_uint_eq(script.wakes, 1);
}

SCRIPT_TEST(new_job_is_not_waited_with)
{
	set_up();
	start_job();
	ck_assert_uint_eq(peal_ring_timeout_ns(ring), 0);
	open_gate(1);
}

SCRIPT_TEST(op_that_neither_engine_nor_pool_has_is_eopnotsupp)
{
	const struct peal__sqe sqe = { .opcode = PEAL__OP_NOP };

	if (peal__blocking_has(PEAL__OP_POLL_ADD))
		SKIP("the pool polls");
	lacks(PEAL__OP_POLL_ADD);
	ck_result(peal_poll(ring, 3, POLLIN, 0, on_done, NULL), -EOPNOTSUPP);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
	if (!peal__blocking_has(PEAL__OP_NOP))
		ck_assert_int_eq(peal__blocking_run(&sqe), -EOPNOTSUPP);
}

SCRIPT_TEST(op_without_row_is_no_job)
{
	unsigned at;

	script_reopen(64, 256, 4);
	set_up();
	for (at = 0; at < 4; at++)
		start_job();
	ck_result(peal_read(ring, gate[0], buf, 1, 0, 0, on_done, NULL),
		  -EAGAIN);
	open_gate(4);
}

SCRIPT_TEST(full_transfer_is_a_job_per_step)
{
	unsigned steps;
	peal_op op;

	set_up();
	op = peal_read_full(ring, gate[0], buf, 3, PEAL_CURRENT, 0, on_done,
			    NULL);
	/* There is a byte when the last one was read: one for each job. */
	for (steps = 1; steps < 3; steps++) {
		ck_assert_uint_eq(ring->stats.jobs, steps);
		open_gate(1);
		while (ring->stats.jobs == steps) {
			script_turn();
			sched_yield();
		}
	}
	open_gate(1);
	ck_result(end_of(op), 3);
	ck_assert_ptr_eq(outcome(op)->buf, buf + 3);
	ck_assert_uint_eq(ring->stats.jobs, 3);
}

/* --- cancel ----------------------------------------------------------- */

SCRIPT_TEST(job_that_is_new_is_taken_back)
{
	peal_op op, cancel;

	set_up();
	op = start_job();
	cancel = peal_cancel(ring, op, 0, on_done, NULL);
	script_turn();
	ck_result(outcome(op)->result, -ECANCELED);
	ck_result(outcome(cancel)->result, 0);
	ck_assert_uint_eq(peal__pool_threads(ring->pool), 0);
}

SCRIPT_TEST(job_of_any_place_among_the_new_is_taken_back)
{
	peal_op ops[5];
	unsigned gone, at;

	set_up();
	for (gone = 0; gone < 5; gone++) {
		for (at = 0; at < 5; at++)
			ops[at] = start_job();
		ck_result(peal_cancel(ring, ops[gone], 0, NULL, NULL), 0);
		open_gate(4);
		for (at = 0; at < 5; at++)
			ck_result(end_of(ops[at]),
				  at == gone ? -ECANCELED : 1);
	}
}

SCRIPT_TEST(job_that_waits_for_a_thread_is_taken_back)
{
	peal_op busy[THREADS], op;

	set_up();
	keep_threads_busy(busy);
	op = start_job();
	script_turn();
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	script_turn();
	ck_result(outcome(op)->result, -ECANCELED);
	let_them_end(busy);
}

SCRIPT_TEST(job_that_runs_cannot_be_stopped_and_says_so)
{
	peal_op busy[THREADS], cancel;

	set_up();
	keep_threads_busy(busy);
	cancel = peal_cancel(ring, busy[0], 0, on_done, NULL);
	script_turn();
	ck_result(outcome(cancel)->result, -EALREADY);
	ck_result(peal_cancel(ring, busy[0], 0, NULL, NULL), 0);
	ck_assert(!finished(busy[0]));
	let_them_end(busy);
	ck_assert_uint_eq(outcome(busy[0])->flags, PEAL_CANCELLED);
	ck_assert_uint_eq(script_taken_count(), 0);
}

SCRIPT_TEST(deadline_takes_a_waiting_job_back)
{
	peal_op busy[THREADS], op;

	set_up();
	keep_threads_busy(busy);
	op = start_job();
	ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	script_turn();
	script_turn_after(PEAL_MS);
	script_turn();
	ck_result(outcome(op)->result, -ETIMEDOUT);
	let_them_end(busy);
}

SCRIPT_TEST(deadline_of_a_job_that_runs_is_told_early)
{
	peal_op busy[THREADS];

	set_up();
	keep_threads_busy(busy);
	ck_result(peal_deadline(ring, busy[1], PEAL_MS, PEAL_EARLY), 0);
	script_turn_after(PEAL_MS);
	ck_assert_uint_eq(outcome(busy[1])->calls, 1);
	ck_result(outcome(busy[1])->result, -ETIMEDOUT);
	ck_assert(outcome(busy[1])->flags & PEAL_MORE);
	let_them_end(busy);
	ck_assert_uint_eq(outcome(busy[1])->flags, PEAL_TIMED_OUT);
}

/* --- stop, forged completions, closes --------------------------------- */

static void on_done_stop(struct peal_ring *where,
			 const struct peal_completion *done)
{
	on_done(where, done);
	peal_ring_stop(where);
}

SCRIPT_TEST(stop_among_jobs_leaves_the_rest_for_the_next_turn)
{
	peal_op ops[4];
	unsigned at;

	set_up();
	for (at = 0; at < 4; at++)
		ops[at] = peal_read(ring, gate[0], buf, 1, PEAL_CURRENT, 0,
				    on_done_stop, NULL);
	script_turn();
	open_gate(4);
	for (at = 0; at < 4; at++) {
		while (script_turn() == 0)
			sched_yield();
		ck_assert_uint_eq(peal_ring_in_flight(ring), 3 - at);
	}
	for (at = 0; at < 4; at++)
		ck_result(outcome(ops[at])->result, 1);
}

SCRIPT_TEST(completion_of_a_job_from_the_engine_is_stale)
{
	peal_op op, running[THREADS];

	set_up();
	op = start_job();
	script_complete((uint64_t)op, 9, 0);
	script_complete((uint64_t)op, -EIO, 0);
	open_gate(1);
	ck_result(end_of(op), 1);
	ck_assert_uint_eq(ring->stats.stale, 2);
	keep_threads_busy(running);
	script_complete((uint64_t)running[0], 9, 0);
	script_turn();
	ck_assert_uint_eq(ring->stats.stale, 3);
	ck_assert_uint_eq(outcome(running[0])->calls, 0);
	let_them_end(running);
}

SCRIPT_TEST(close_of_an_fd_waits_for_its_jobs)
{
	peal_op busy[THREADS], op;

	set_up();
	keep_threads_busy(busy);
	op = peal_close_drained(ring, gate[0], 0, on_done, NULL);
	script_turn();
	ck_assert_ptr_null(script_entry(op));
	let_them_end(busy);
	script_turn();
	ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_CLOSE);
}

SCRIPT_TEST(close_that_is_a_job_is_not_overtaken)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	peal_op op;

	lacks(PEAL__OP_CLOSE);
	op = peal_close_drained(ring, fd, 0, on_done, NULL);
	ck_assert_int_gt(op, 0);
	ck_result(peal_read(ring, fd, buf, 1, 0, 0, on_done, NULL), -EBADF);
	ck_result(end_of(op), 0);
	ck_assert_int_lt(fcntl(fd, F_GETFD), 0);
	ck_assert_uint_eq(ring->draining, 0);
}

SCRIPT_TEST(ring_closes_when_its_jobs_have_run)
{
	peal_op op;

	set_up();
	op = start_job();
	script_turn();
	while (!runs(op))
		sched_yield();
	ck_result(peal_ring_close(ring, 0), -ETIMEDOUT);
	open_gate(1);
	while (peal_ring_close(ring, 0) == -ETIMEDOUT)
		sched_yield();
	ck_result(outcome(op)->result, 1);
	ck_assert_uint_eq(script.closed, 1);
	script.closed = 0;
	script_open();
}

/* --- the pool by itself ----------------------------------------------- */

static unsigned woken;

static void count_wake(void *arg)
{
	(void)arg;
	woken++;
}

static struct peal__pool *new_pool(unsigned threads)
{
	struct peal__pool *pool = calloc(1, peal__pool_size());

	ck_assert_ptr_nonnull(pool);
	peal__pool_init(pool, threads, count_wake, NULL);
	return pool;
}

static void fill(struct peal__job *job)
{
	memset(job, 0, sizeof(*job));
	job->sqe.opcode = PEAL__OP_FSYNC;
	job->sqe.fd = 9999;
}

BARE_TEST(jobs_of_one_thread_end_in_the_order_given)
{
	struct peal__pool *pool = new_pool(1);
	static struct peal__job jobs[500];
	struct peal__job *done;
	unsigned at, seen = 0;

	for (at = 0; at < 500; at++) {
		fill(&jobs[at]);
		ck_assert_int_eq(peal__pool_submit(pool, &jobs[at]), 0);
	}
	while (seen < 500)
		for (done = peal__pool_take_done(pool); done;
		     done = done->next) {
			ck_assert_ptr_eq(done, &jobs[seen]);
			ck_assert_int_eq(done->result, -EBADF);
			seen++;
		}
	ck_assert_uint_eq(peal__pool_threads(pool), 1);
	peal__pool_exit(pool);
	free(pool);
}

BARE_TEST(pool_runs_what_is_queued_before_it_ends)
{
	struct peal__pool *pool = new_pool(2);
	static struct peal__job jobs[100];
	unsigned at;

	for (at = 0; at < 100; at++) {
		fill(&jobs[at]);
		ck_assert_int_eq(peal__pool_submit(pool, &jobs[at]), 0);
	}
	peal__pool_exit(pool);
	for (at = 0; at < 100; at++)
		ck_assert_int_eq(jobs[at].result, -EBADF);
	ck_assert_uint_ge(woken, 1);
	free(pool);
}

BARE_TEST(pool_without_work_has_no_thread)
{
	struct peal__pool *pool = new_pool(4);

	ck_assert_uint_eq(peal__pool_threads(pool), 0);
	ck_assert_int_eq(peal__pool_has_done(pool), 0);
	ck_assert_ptr_null(peal__pool_take_done(pool));
	peal__pool_exit(pool);
	free(pool);
}

BARE_TEST(job_that_was_never_given_cannot_be_taken_back)
{
	struct peal__pool *pool = new_pool(1);
	struct peal__job job;

	fill(&job);
	ck_assert_int_eq(peal__pool_cancel(pool, &job), 0);
	peal__pool_exit(pool);
	free(pool);
}

SUITE("work")
