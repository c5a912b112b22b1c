/* SPDX-License-Identifier: MIT */
/*
 * A ring in user space: the two queues of every engine that is not a
 * kernel's, and what such engines have in common.
 *
 * The completion queue is ours, so nothing is lost when it is full. A terminal
 * completion without room in it is late: kept in the job of its op until there
 * is. A multishot op has to look for room first, and to wait without it.
 *
 * An engine's state begins with a struct peal__soft.
 */
#ifndef PEAL_LIB_SOFT_H
#define PEAL_LIB_SOFT_H

#include "lib/groups.h"
#include "lib/ring.h"
#include "lib/work.h"

struct peal__soft {
	struct peal__sqe *sqes;
	struct peal__cqe *cqes;
	uint32_t sq_entries, cq_entries;
	uint32_t cq_head, cq_tail;
	struct peal__jobs late;
};

/* The engine's state, size bytes of it, zeroed; NULL with a reason. It is
 * ring->engine_state from then on. */
void *peal__soft_new(struct peal_ring *ring, size_t size);
/* Allocates the queues; ring->queues shows them, and ring->can what has() says
 * the engine has, with nop, cancel and close, which every one does itself, and
 * without what is switched off. has NULL: ring->can is the caller's. -ENOMEM
 * with a reason. */
int peal__soft_open(struct peal_ring *ring,
		    const struct peal_ring_options *options,
		    int (*has)(unsigned opcode));
/* Frees the queues and the state. */
void peal__soft_free(struct peal_ring *ring, size_t size);

/* The next entry to start; NULL: there is none. */
const struct peal__sqe *peal__soft_next(struct peal_ring *ring);

/* An op's one terminal completion; by the ring's thread. */
void peal__soft_complete(struct peal_ring *ring, uint64_t user_data, int res,
			 uint32_t flags);
/* The same, as if there were no room for it. */
void peal__soft_late(struct peal_ring *ring, uint64_t user_data, int res,
		     uint32_t flags);
/* One of many; only when there is room. */
void peal__soft_more(struct peal_ring *ring, uint64_t user_data, int res,
		     uint32_t flags);
/* Late completions that have room now. */
void peal__soft_flush(struct peal_ring *ring);

/* What an engine does with an entry; the rest is the same for all. */
struct peal__soft_calls {
	int (*cancel)(struct peal_ring *ring, uint64_t target);
	void (*close)(struct peal_ring *ring, const struct peal__sqe *sqe);
	void (*start)(struct peal_ring *ring, const struct peal__sqe *sqe);
	int knows_slots;	/* direct descriptors; else they are -EBADF */
};
void peal__soft_start(struct peal_ring *ring, const struct peal__sqe *sqe,
		      const struct peal__soft_calls *calls);
/* A cancel of an op that the engine does not hold. */
int peal__soft_cancel(struct peal_ring *ring, uint64_t target);
/* The op goes to the pool after all. */
void peal__soft_to_pool(struct peal_ring *ring, struct peal__job *job);

/* A line of explain(): a feature, and why it is off. */
void peal__soft_explain(struct peal_ring *ring, FILE *out, unsigned feature,
			int on, const char *what);

/* The completion of an entry of the engine's own; there are none. */
void peal__soft_event(struct peal_ring *ring, const struct peal__cqe *cqe);

static inline struct peal__soft *peal__soft_of(struct peal_ring *ring)
{
	return ring->engine_state;
}

static inline struct peal__job *peal__soft_job(struct peal_ring *ring,
					       uint64_t user_data)
{
	return &ring->jobs[user_data & PEAL__ROW_MASK];
}

/* Is there room for one of many? */
static inline int peal__soft_room(struct peal_ring *ring)
{
	const struct peal__soft *soft = peal__soft_of(ring);

	return !soft->late.first &&
	       soft->cq_tail - soft->cq_head < soft->cq_entries;
}

/* Is there something to be told, so that enter() must not wait? */
static inline int peal__soft_busy(struct peal_ring *ring)
{
	const struct peal__soft *soft = peal__soft_of(ring);

	return soft->cq_head != soft->cq_tail || ring->jobs_new.first != NULL ||
	       ring->ready_head;	/* by peal__soft_cancel() */
}

static inline int peal__soft_multishot(const struct peal__sqe *sqe)
{
	return (sqe->opcode == PEAL__OP_ACCEPT &&
		sqe->ioprio & PEAL__ACCEPT_MULTISHOT) ||
	       (sqe->opcode == PEAL__OP_POLL_ADD &&
		sqe->len & PEAL__POLL_ADD_MULTI) ||
	       (sqe->flags & PEAL__SQE_BUFFER_SELECT &&
		sqe->ioprio & PEAL__RECV_MULTISHOT);
}

#endif
