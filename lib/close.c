/* SPDX-License-Identifier: MIT */
/*
 * Closing is refuse, cancel, drain, close; for one fd and for the ring.
 *
 *   close_drained(fd):  waiting --last op on fd done--> closing --> done
 *                          \--cancelled--> done, the fd stays open
 *
 * New ops on fd are refused until the engine has taken the close's entry.
 *
 * Leaving a ring does not stop the kernel from writing into the program's
 * buffers, so a ring with ops in flight is never freed.
 */
#include "lib/direct.h"
#include "lib/groups.h"
#include "lib/start.h"

/* The newest row on fd, or NULL. */
static struct peal__row *newest_on(struct peal_ring *ring, peal_fd fd)
{
	uint32_t i = ring->fd_heads[(uint32_t)fd & ring->fd_mask];

	while (i && ring->rows[i].fd != fd)
		i = ring->rows[i].fd_next;
	return i ? &ring->rows[i] : NULL;
}

static int has_older(const struct peal_ring *ring, const struct peal__row *row)
{
	uint32_t i = row->fd_next;

	while (i && ring->rows[i].fd != row->fd)
		i = ring->rows[i].fd_next;
	return i != 0;
}

/* A close that waits for the others on its fd. */
static int is_waiting(const struct peal__row *row)
{
	return row->opcode == PEAL__OP_CLOSE_DRAINED &&
	       !(row->flags & ROW_READY);
}

/* A close whose entry the engine has not taken: an op started now would run
 * behind it, maybe on another file of that number. Later, only on one. */
static int is_queued(struct peal_ring *ring, const struct peal__row *row)
{
	if (!(row->flags & ROW_CLOSING) || row->flags & ROW_READY)
		return 0;
	if (row->flags & ROW_JOB)
		return peal__job_is_new(ring, row);
	return row->flags & ROW_OWED ||
	       (int32_t)(row->arg - ring->queues.sq_head) > 0;
}

/* While there is such a close no op on fd is accepted, so it is the newest. */
int peal__drain_has(struct peal_ring *ring, peal_fd fd)
{
	const struct peal__row *row = newest_on(ring, fd);

	return row && (is_waiting(row) || is_queued(ring, row));
}

void peal__drain_forget(struct peal_ring *ring)
{
	if (--ring->draining == 0)
		peal__gate_set(ring, ring->gate & ~(uint32_t)GATE_DRAINING);
}

/* An op on fd has gone: is it the last one that a close waits for? */
void peal__drain_check(struct peal_ring *ring, peal_fd fd)
{
	struct peal__row *row = newest_on(ring, fd);

	if (!row || !is_waiting(row) || has_older(ring, row))
		return;
	row->opcode = PEAL__OP_CLOSE;
	row->flags &= (uint16_t)~ROW_USER;
	row->flags |= ROW_CLOSING;
	peal__start_again(ring, row);
}

peal_op peal_close_drained(struct peal_ring *ring, peal_fd fd, unsigned flags,
			   peal_handler *handler, void *ctx)
{
	peal_op op;

	peal__must_own(ring, "close_drained");
	if (fd < 0 || peal__direct_is_foreign(ring, fd))
		return -EBADF;
	op = peal__start_user(ring, PEAL__OP_CLOSE_DRAINED, fd, flags,
			      handler, ctx);
	if (op < 0)
		return op;
	ring->draining++;
	peal__memory_forget(ring, fd);
	peal__gate_set(ring, ring->gate | GATE_DRAINING);
	peal__cancel_on_fd(ring, fd);
	peal__drain_check(ring, fd);
	return op;
}

/* Refuses, cancels, runs handlers and posts until none is left or due_ns has
 * come, but one turn in any case: it submits the cancels. */
static int drain(struct peal_ring *ring, uint64_t due_ns)
{
	int turned = 0;

	peal__gate_set(ring, ring->gate | GATE_CLOSING);
	peal__cancel_everything(ring);
	while (peal__has_work(ring)) {
		uint64_t now;
		int rc;

		peal__read_clock(ring);
		now = ring->now;
		if (now >= due_ns && turned)
			return -ETIMEDOUT;
		ring->stop = 0;
		rc = peal__turn(ring, now < due_ns ? due_ns - now : 0);
		if (rc < 0)
			return rc;
		turned = 1;
	}
	return 0;
}

int peal_ring_close(struct peal_ring *ring, uint64_t timeout_ns)
{
	uint64_t now, due_ns;
	int rc;

	peal__must_own(ring, "ring_close");
	if (ring->running)
		return -EDEADLK;
	peal__read_clock(ring);
	now = ring->now;
	due_ns = timeout_ns > PEAL_FOREVER - now ? PEAL_FOREVER
						 : now + timeout_ns;
	ring->running = 1;
	rc = ring->lost ? 0 : drain(ring, due_ns);
	ring->running = 0;
	if (rc < 0)
		return rc;
	peal__posts_settle(ring);
	peal__memory_leave(ring);
	peal__groups_close(ring);
	peal__direct_close(ring);
	ring->engine->close(ring);
	peal__memory_close(ring);
	peal__jobs_close(ring);
	peal__ring_delist(ring);
	peal__posts_close(ring);
	peal__table_close(ring);
	peal__ring_free(ring);
	peal__sigpipe_restore();
	return 0;
}
