/* SPDX-License-Identifier: MIT */
/*
 * Closing is refuse, cancel, drain, close; for one fd and for the ring.
 *
 *   close_drained(fd):  waiting --last op on fd done--> closing --> done
 *                          \--cancelled--> done, the fd stays open
 *
 * Leaving a ring does not stop the kernel from writing into the program's
 * buffers, so a ring with ops in flight is never freed.
 */
#include "lib/start.h"

/* The row of a close that waits for fd; *others: an op that is not it. A
 * close is the newest row of its fd, so the walk ends early. */
static struct peal__row *waiting_close(struct peal_ring *ring, peal_fd fd,
				       int *others)
{
	uint32_t i = ring->fd_heads[(uint32_t)fd & ring->fd_mask];
	struct peal__row *found = NULL;

	*others = 0;
	for (; i && !(found && *others); i = ring->rows[i].fd_next) {
		struct peal__row *row = &ring->rows[i];

		if (row->fd != fd)
			continue;
		if (row->opcode == PEAL__OP_CLOSE_DRAINED &&
		    !(row->flags & ROW_READY))
			found = row;
		else if (found)
			*others = 1;
		else
			break;
	}
	return found;
}

int peal__drain_has(struct peal_ring *ring, peal_fd fd)
{
	int others;

	return waiting_close(ring, fd, &others) != NULL;
}

void peal__drain_forget(struct peal_ring *ring)
{
	if (--ring->draining == 0)
		ring->gate &= ~(uint32_t)GATE_DRAINING;
}

/* An op on fd has gone: is it the last one that a close waits for? */
void peal__drain_check(struct peal_ring *ring, peal_fd fd)
{
	struct peal__row *row;
	int others;

	row = waiting_close(ring, fd, &others);
	if (!row || others)
		return;
	peal__drain_forget(ring);
	row->opcode = PEAL__OP_CLOSE;
	row->flags &= (uint16_t)~ROW_USER;
	peal__start_again(ring, row);
}

peal_op peal_close_drained(struct peal_ring *ring, peal_fd fd, unsigned flags,
			   peal_handler *handler, void *ctx)
{
	peal_op op;

	peal__must_own(ring, "close_drained");
	if (fd < 0)
		return -EBADF;
	op = peal__start_user(ring, PEAL__OP_CLOSE_DRAINED, fd, flags,
			      handler, ctx);
	if (op < 0)
		return op;
	ring->draining++;
	ring->gate |= GATE_DRAINING;
	peal__cancel_on_fd(ring, fd);
	peal__drain_check(ring, fd);
	return op;
}

/* Runs handlers and posts until none is left or due_ns has come. */
static int drain(struct peal_ring *ring, uint64_t due_ns)
{
	while (ring->in_flight || peal__posts_waiting(ring)) {
		uint64_t now = peal__clock();
		int rc;

		if (now >= due_ns)
			return -ETIMEDOUT;
		ring->stop = 0;
		rc = peal__turn(ring, due_ns - now);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int peal_ring_close(struct peal_ring *ring, uint64_t timeout_ns)
{
	uint64_t now = peal__clock(), due_ns;
	int rc;

	peal__must_own(ring, "ring_close");
	if (ring->running)
		return -EDEADLK;
	due_ns = timeout_ns > PEAL_FOREVER - now ? PEAL_FOREVER
						 : now + timeout_ns;
	ring->running = 1;
	ring->gate |= GATE_CLOSING;
	peal__cancel_everything(ring);
	rc = drain(ring, due_ns);
	ring->running = 0;
	if (rc < 0)
		return rc;
	ring->engine->close(ring);
	peal__ring_delist(ring);
	peal__posts_close(ring);
	peal__table_close(ring);
	peal__ring_free(ring);
	peal__sigpipe_restore();
	return 0;
}
