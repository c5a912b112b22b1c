/* SPDX-License-Identifier: MIT */
/*
 * The turn of the loop, and the way of a completion from the engine to its
 * handler.
 *
 *   turn:  write what is owed -> enter (submit and wait, one system call)
 *          -> posts -> ready queue -> completions -> timers -> after.c
 *
 * The ready queue holds ops that finished without the engine: cancelled
 * sleeps, plain calls, counts. A row is given back before its handler runs,
 * so a handler may start the next op in it.
 */
#include "lib/bounce.h"
#include "lib/direct.h"
#include "lib/groups.h"
#include "lib/start.h"
#include "lib/turn.h"
#include "lib/zc.h"

/* The terminal completion of an op. */
peal__inline void finish(struct peal_ring *ring, struct peal__row *row,
			 uint32_t index, int64_t result, uint32_t flags,
			 void *buf)
{
	const struct peal_completion done = { .ctx = row->ctx,
					      .result = result,
					      .flags = flags,
					      .op = row->op,
					      .buf = buf };
	peal_handler *handler = row->handler;

	peal__row_release(ring, row, index);
	ring->stats.completions++;
	handler(ring, &done);
}

static void finish_more(struct peal_ring *ring, struct peal__row *row,
			int64_t result, uint32_t flags, void *buf)
{
	const struct peal_completion done = { .ctx = row->ctx,
					      .result = result,
					      .flags = flags,
					      .op = row->op,
					      .buf = buf };

	ring->stats.completions++;
	row->handler(ring, &done);
}

/*
 * The kernel's words for "ended early" are many, and they do not say by whom.
 * After a cancel or a deadline all of them mean that. Without one: restart
 * codes are EINTR; ECANCELED is a kernel worker that could not be created
 * (process limit), so nothing was done and EAGAIN is the truth.
 */
static int64_t honest_error(const struct peal__row *row, int64_t error)
{
	int ended = error == -EINTR || error == -ECANCELED ||
		    (error <= -512 && error >= -516);

	if (!ended || row->flags & ROW_RAW)
		return error;
	if (row->flags & ROW_TIMEOUT)
		return -ETIMEDOUT;
	if (row->flags & ROW_CANCEL)
		return -ECANCELED;
	return error == -ECANCELED ? -EAGAIN : -EINTR;
}

/* A multishot op whose last completion was good goes on: the kernel ended it
 * for its own reasons, or it never was one. 1: it does. */
static int multishot_goes_on(struct peal_ring *ring, struct peal__row *row,
			     int64_t result, const void *buf)
{
	if (row->flags & (ROW_CANCEL | ROW_TIMEOUT))
		return 0;
	if (result == -EINVAL && !(row->flags & ROW_ONESHOT)) {
		/* Linux before 5.19 (accept) or 5.13 (poll), or a bad fd: the
		 * one-shot will tell. */
		row->flags |= ROW_ONESHOT;
	} else if (result < 0 || (peal__row_has_group(row) &&
				  peal__group_is_end(row, result, buf))) {
		return 0;
	}
	ring->stats.rearmed++;
	peal__start_again(ring, row);
	return 1;
}

static uint32_t outcome_flags(const struct peal__row *row)
{
	return (row->flags & ROW_TIMEOUT ? PEAL_TIMED_OUT : 0) |
	       (row->flags & ROW_CANCEL ? PEAL_CANCELLED : 0);
}

/* Several buffers at one time are told one by one; the last is left. */
static void tell_bundle(struct peal_ring *ring, struct peal__row *row,
			int64_t *result, uint32_t flags, void **buf)
{
	void *first = *buf;
	int64_t len, all = *result;

	while ((len = peal__group_split(ring, row, result, flags, buf)) != 0) {
		if (len + *result == all)
			peal__group_of(ring, row)->stats.bundles++;
		finish_more(ring, row, len, PEAL_MORE | outcome_flags(row),
			    first);
		first = *buf;
	}
}

/* Ops whose completions are not what the engine says. 1: nothing to tell. */
static int step(struct peal_ring *ring, struct peal__row *row, int64_t *result,
		uint32_t *flags, void **buf)
{
	if (row->entry_flags & ENTRY_ZC &&
	    peal__zc_step(ring, row, result, flags))
		return 1;
	if (row->entry_flags & ENTRY_DIRECT)
		*result = peal__direct_result(ring, row, *result);
	if (!peal__row_has_group(row))
		return 0;
	if (peal__group_step(ring, row, result, flags, buf))
		return 1;
	if (*buf && row->arg & GROUP_ARG_BUNDLE)
		tell_bundle(ring, row, result, *flags, buf);
	*flags &= PEAL_MORE;
	return 0;
}

/* What ends with a row, before its handler is told. */
static void end_row(struct peal_ring *ring, struct peal__row *row,
		    int64_t result)
{
	if (row->flags & ROW_TIMED)
		peal__timer_remove(ring, row);
	if (row->flags & ROW_OWED_CANCEL)
		ring->owed--;
	if (row->flags & ROW_AGAIN)
		ring->again--;
	if (row->flags & ROW_CLOSING)
		peal__drain_forget(ring);
	if (row->entry_flags & ENTRY_ENDS)
		peal__ends_leave(ring, row);
	if (row->opcode == PEAL__OP_ASYNC_CANCEL && !(row->flags & ROW_USER))
		peal__cancel_answer(ring, (peal_op)row->due_ns, result);
	if (row->opcode == PEAL__OP_GROUP_CLOSE)
		peal__group_closed(ring, row, result);
	if (peal__row_has_group(row))
		peal__group_leave(ring, row);
}

/* Everything that is not a plain success of a plain op. */
int64_t peal__complete(struct peal_ring *ring, struct peal__row *row,
		       int64_t result, uint32_t flags)
{
	void *buf = NULL;

	if (row->entry_flags & (ENTRY_OWN | PEAL__SQE_BUFFER_SELECT) &&
	    step(ring, row, &result, &flags, &buf))
		return 0;
	if (result < 0)
		result = honest_error(row, result);
	if (flags & PEAL_MORE) {
		finish_more(ring, row, result, flags | outcome_flags(row),
			    buf);
		return 1;
	}
	if (row->flags & ROW_FULL && peal__full_step(ring, row, &result))
		return 0;
	if (row->flags & ROW_MULTI &&
	    multishot_goes_on(ring, row, result, buf)) {
		if (result >= 0)
			finish_more(ring, row, result, flags | PEAL_MORE, buf);
		return 1;
	}
	end_row(ring, row, result);
	if (row->flags & ROW_FULL)
		buf = peal__full_end(ring, row);
	if (row->entry_flags & ENTRY_BOUNCE)
		result = peal__bounce_end(ring, row, result, &buf);
	finish(ring, row, (uint32_t)(row - ring->rows), result,
	       flags | outcome_flags(row), buf);
	return 1;
}

/* Queues a terminal completion that did not come from the engine. */
void peal__ready(struct peal_ring *ring, struct peal__row *row, int64_t result)
{
	uint32_t index = (uint32_t)(row - ring->rows);

	if (row->flags & ROW_TIMED)
		peal__timer_remove(ring, row);
	peal__chore(ring);
	row->flags |= ROW_READY;
	row->due_ns = (uint64_t)result;
	row->time_next = 0;
	if (ring->ready_tail)
		ring->rows[ring->ready_tail].time_next = index;
	else
		ring->ready_head = index;
	ring->ready_tail = index;
}

/* Only what was there at the start: a handler may always add more. */
static void run_ready(struct peal_ring *ring)
{
	uint32_t last = ring->ready_tail, index;

	while ((index = ring->ready_head) != 0 && !ring->stop) {
		struct peal__row *row = &ring->rows[index];

		ring->ready_head = row->time_next;
		if (!ring->ready_head)
			ring->ready_tail = 0;
		__builtin_prefetch(&ring->rows[ring->ready_head]);
		row->flags &= (uint16_t)~ROW_READY;
		if (row->opcode == PEAL__OP_SLEEP)	/* of many, cancelled */
			finish(ring, row, index,
			       honest_error(row, (int64_t)row->due_ns),
			       outcome_flags(row), NULL);
		else
			peal__complete(ring, row, (int64_t)row->due_ns, 0);
		if (index == last)
			break;
	}
}

/* No handle of an op in flight. */
static void complete_own(struct peal_ring *ring, const struct peal__cqe *cqe)
{
	uint32_t index = (uint32_t)(cqe->user_data & PEAL__ROW_MASK);

	if (!(cqe->user_data & PEAL__DATA_OWN) || index > ring->rows_used)
		ring->stats.stale++;
	else if (index)
		peal__cancel_answer(ring,
				    (peal_op)(cqe->user_data & ~PEAL__DATA_OWN),
				    cqe->res);
	else
		ring->engine->event(ring, cqe);
}

static __attribute__((noinline)) void
complete_unusual(struct peal_ring *ring, uint64_t user_data, int32_t res,
		 uint32_t flags)
{
	const struct peal__cqe cqe = { .user_data = user_data,
				       .res = res,
				       .flags = flags };
	uint32_t index = (uint32_t)(user_data & PEAL__ROW_MASK);
	struct peal__row *row = &ring->rows[index];

	if (index > ring->rows_used || (uint64_t)row->op != user_data)
		complete_own(ring, &cqe);
	/* Of a row that the engine does not hold. */
	else if (peal__unlikely(row->flags & (ROW_USER | ROW_STORE | ROW_JOB |
					      ROW_READY | ROW_OWED)))
		ring->stats.stale++;
	else
		peal__complete(ring, row, res, flags);
}

/* The completion is copied and its slot given back before the handler runs:
 * the handler may submit, and may never return here but through stop. */
void peal__completions_run(struct peal_ring *ring)
{
	const struct peal__queues *queues = &ring->queues;
	const struct peal__cqe *cqes = queues->cqes;
	uint32_t *cq_head = queues->cq_head;
	uint32_t mask = queues->cq_mask, head = *cq_head;
	uint32_t tail = peal__load_acquire(queues->cq_tail);

	while (head != tail && !ring->stop) {
		const struct peal__cqe *cqe = &cqes[head & mask];
		uint64_t user_data = cqe->user_data;
		uint32_t index = (uint32_t)(user_data & PEAL__ROW_MASK);
		uint32_t flags = cqe->flags;
		int32_t res = cqe->res;
		struct peal__row *row = &ring->rows[index];

		peal__store_release_u32(cq_head, ++head);
		if (peal__likely(index <= ring->rows_used &&
				 (uint64_t)row->op == user_data &&
				 peal__row_is_plain(row) &&
				 !(flags & PEAL__CQE_MORE) && res >= 0))
			finish(ring, row, index, res, flags, NULL);
		else
			complete_unusual(ring, user_data, res, flags);
	}
}

void peal__read_clock(struct peal_ring *ring)
{
	ring->now = ring->engine->clock ? ring->engine->clock(ring)
					: peal__clock();
	ring->now_is_old = 0;
}

/* How long the wait may be. */
static uint64_t wait_ns(struct peal_ring *ring, uint64_t timeout_ns)
{
	uint64_t due;

	if (ring->ready_head || ring->owed || ring->jobs_done ||
	    ring->after_first || ring->hungry || peal__cq_ready(ring))
		return 0;
	if (!(ring->wheel.count | ring->again) || !timeout_ns)
		return timeout_ns;
	due = peal__timer_next(ring);
	if (ring->again && ring->again_due_ns < due)
		due = ring->again_due_ns;
	peal__read_clock(ring);
	if (due <= ring->now)
		return 0;
	return due - ring->now < timeout_ns ? due - ring->now : timeout_ns;
}

int peal__has_chores(const struct peal_ring *ring)
{
	return ring->owed || ring->hungry || ring->jobs_new.first ||
	       ring->jobs_out || ring->jobs_done || ring->ready_head ||
	       ring->wheel.count || ring->again || ring->after_first;
}

uint64_t peal__chores_before_enter(struct peal_ring *ring, uint64_t timeout_ns)
{
	if (ring->owed)
		peal__pay(ring);
	if (ring->hungry)
		peal__groups_resume(ring);
	if (ring->jobs_new.first)
		peal__jobs_submit(ring);
	return wait_ns(ring, timeout_ns);
}

void peal__chores_first(struct peal_ring *ring)
{
	if (ring->ready_head)
		run_ready(ring);
	if (peal__jobs_waiting(ring))
		peal__jobs_reap(ring);
}

void peal__chores_last(struct peal_ring *ring)
{
	if (ring->wheel.count)
		peal__timers_run(ring);
	if (ring->again && peal__now(ring) >= ring->again_due_ns)
		peal__cancel_again(ring);
	if (ring->after_first)
		peal__after_run(ring);
	ring->chores = (uint32_t)peal__has_chores(ring);
}

/* What enter() said, and it was not good. */
int peal__enter_failed(struct peal_ring *ring, int error, int may_wait)
{
	if (error == -EAGAIN || error == -EBUSY) {
		/* The kernel is short of memory or of room for completions:
		 * let something finish before the next attempt. */
		ring->stats.retried++;
		if (may_wait && !peal__cq_ready(ring))
			ring->engine->enter(ring, 1, PEAL_MS);
		return 0;
	}
	if (error == -EINTR || error == -ETIME)
		return 0;
	ring->failed = error;
	peal__gate_set(ring, ring->gate | GATE_FAILED);
	return error;
}

static int turn_by_call(struct peal_ring *ring, uint64_t timeout_ns, int alone)
{
	return peal__turn_by(ring, timeout_ns, alone, ring->engine->enter);
}

peal__inline int turn(struct peal_ring *ring, uint64_t timeout_ns, int alone)
{
	return (ring->engine->turn ? ring->engine->turn
				   : turn_by_call)(ring, timeout_ns, alone);
}

int peal__turn(struct peal_ring *ring, uint64_t timeout_ns)
{
	return turn(ring, timeout_ns, 0);
}

int peal_ring_turn(struct peal_ring *ring, uint64_t timeout_ns)
{
	peal__must_own(ring, "ring_turn");
	if (ring->running)
		return -EDEADLK;
	ring->running = 1;
	return turn(ring, ring->stop ? 0 : timeout_ns, 1);
}

/* Is anything left that a turn would do? */
int peal__has_work(struct peal_ring *ring)
{
	int posts;

	if (peal__in_flight(ring) || ring->after_first)
		return 1;
	posts = peal__posts_waiting(ring);
	return ring->engine->goes_on ? ring->engine->goes_on(ring, posts)
				     : posts;
}

int peal_ring_run(struct peal_ring *ring)
{
	int rc = 0;

	peal__must_own(ring, "ring_run");
	if (ring->running)
		return -EDEADLK;
	ring->running = 1;
	while (rc >= 0 && !ring->stop &&
	       (ring->holds || peal__has_work(ring)))
		rc = peal__turn(ring, PEAL_FOREVER);
	if (rc >= 0)
		rc = ring->stop;
	ring->running = 0;
	ring->stop = 0;
	return rc;
}

void peal_ring_stop(struct peal_ring *ring)
{
	peal__must_own(ring, "ring_stop");
	ring->stop = 1;
}

void peal_ring_hold(struct peal_ring *ring)
{
	peal__must_own(ring, "ring_hold");
	ring->holds++;
}

void peal_ring_release(struct peal_ring *ring)
{
	peal__must_own(ring, "ring_release");
	MUST(ring->holds > 0, "a release without a hold", "ring_release");
	ring->holds--;
}

uint64_t peal_ring_now(struct peal_ring *ring)
{
	peal__must_own(ring, "ring_now");
	if (!ring->running)
		peal__read_clock(ring);
	return peal__now(ring);
}

uint32_t peal_ring_in_flight(struct peal_ring *ring)
{
	peal__must_own(ring, "ring_in_flight");
	return peal__in_flight(ring);
}

int peal_ring_fd(struct peal_ring *ring)
{
	peal__must_own(ring, "ring_fd");
	return ring->engine->fd(ring);
}

uint64_t peal_ring_timeout_ns(struct peal_ring *ring)
{
	uint64_t timeout_ns;

	peal__must_own(ring, "ring_timeout_ns");
	if (ring->queues.sq_tail != ring->queues.sq_head ||
	    ring->jobs_new.first)
		return 0;
	timeout_ns = wait_ns(ring, PEAL_FOREVER);
	return timeout_ns && peal__may_sleep(ring) ? timeout_ns : 0;
}

int peal_op_in_flight(struct peal_ring *ring, peal_op op)
{
	peal__must_own(ring, "op_in_flight");
	return peal__row_find(ring, op) != NULL;
}
