/* SPDX-License-Identifier: MIT */
/* The queues of engines in user space; see soft.h. */
#include "lib/start.h"
#include "lib/soft.h"

static uint32_t power_of_two(uint32_t least)
{
	uint32_t size = 2;

	while (size < least)
		size *= 2;
	return size;
}

void *peal__soft_new(struct peal_ring *ring, size_t size)
{
	ring->engine_state = peal__alloc(ring, size, 64);
	if (!ring->engine_state)
		peal__reason("the allocator had no room for %zu bytes of the "
			     "engine: raise the memory limit", size);
	return ring->engine_state;
}

static void share_queues(struct peal_ring *ring, struct peal__soft *soft)
{
	struct peal__queues *queues = &ring->queues;

	queues->sqes = soft->sqes;
	queues->sq_entries = soft->sq_entries;
	queues->sq_mask = soft->sq_entries - 1;
	queues->cqes = soft->cqes;
	queues->cq_head = &soft->cq_head;
	queues->cq_tail = &soft->cq_tail;
	queues->cq_entries = soft->cq_entries;
	queues->cq_mask = soft->cq_entries - 1;
}

static int is_own(unsigned opcode)
{
	return opcode == PEAL__OP_NOP || opcode == PEAL__OP_ASYNC_CANCEL ||
	       opcode == PEAL__OP_CLOSE;
}

static void share_opcodes(struct peal_ring *ring, int (*has)(unsigned opcode))
{
	unsigned i;

	for (i = 0; has && i < PEAL__OP_COUNT; i++)
		if (is_own(i) || has(i))
			ring->can[i >> 6] |= UINT64_C(1) << (i & 63);
	ring->can[0] &= ~ring->disable.ops[0];
	ring->can[1] &= ~ring->disable.ops[1];
	ring->no_multishot =
		(uint8_t)peal__switched_off(ring, FEATURE_MULTISHOT);
}

int peal__soft_open(struct peal_ring *ring,
		    const struct peal_ring_options *options,
		    int (*has)(unsigned opcode))
{
	struct peal__soft *soft = peal__soft_of(ring);

	soft->sq_entries = power_of_two(options->entries);
	soft->cq_entries = power_of_two(options->cq_entries
						? options->cq_entries
						: 4 * options->entries);
	soft->sqes = peal__alloc(ring, soft->sq_entries * sizeof *soft->sqes,
				 64);
	soft->cqes = peal__alloc(ring, soft->cq_entries * sizeof *soft->cqes,
				 64);
	if (!soft->sqes || !soft->cqes) {
		peal__reason("the allocator had no room for %u + %u entries: "
			     "lower options.entries or raise the memory "
			     "limit", soft->sq_entries, soft->cq_entries);
		return -ENOMEM;
	}
	share_queues(ring, soft);
	share_opcodes(ring, has);
	return 0;
}

void peal__soft_free(struct peal_ring *ring, size_t size)
{
	struct peal__soft *soft = peal__soft_of(ring);

	peal__free(ring, soft->sqes, soft->sq_entries * sizeof *soft->sqes);
	peal__free(ring, soft->cqes, soft->cq_entries * sizeof *soft->cqes);
	peal__free(ring, soft, size);
	ring->engine_state = NULL;
}

const struct peal__sqe *peal__soft_next(struct peal_ring *ring)
{
	struct peal__queues *queues = &ring->queues;

	if (queues->sq_head == queues->sq_tail)
		return NULL;
	return &queues->sqes[queues->sq_head++ & queues->sq_mask];
}

void peal__soft_more(struct peal_ring *ring, uint64_t user_data, int res,
		     uint32_t flags)
{
	struct peal__soft *soft = peal__soft_of(ring);

	soft->cqes[soft->cq_tail++ & (soft->cq_entries - 1)] =
		(struct peal__cqe){ .user_data = user_data, .res = res,
				    .flags = flags };
}

/* Of the answers to cancels that the ring sends for itself only one is news:
 * that the cancel came too late, and is to be sent again. */
void peal__soft_complete(struct peal_ring *ring, uint64_t user_data, int res,
			 uint32_t flags)
{
	if (user_data & PEAL__DATA_OWN) {
		if (res == -EALREADY)
			peal__cancel_answer(ring, (peal_op)(user_data &
							    ~PEAL__DATA_OWN),
					    res);
		return;
	}
	if (peal__soft_room(ring))
		peal__soft_more(ring, user_data, res, flags);
	else
		peal__soft_late(ring, user_data, res, flags);
}

void peal__soft_late(struct peal_ring *ring, uint64_t user_data, int res,
		     uint32_t flags)
{
	struct peal__soft *soft = peal__soft_of(ring);
	struct peal__job *job;

	ring->stats.cq_overflows++;
	job = peal__soft_job(ring, user_data);
	job->sqe.user_data = user_data;
	job->watch = (int32_t)flags;	/* the entry may be needed again */
	job->result = res;
	job->held = HELD_LATE;
	peal__jobs_append(&soft->late, job);
}

void peal__soft_flush(struct peal_ring *ring)
{
	struct peal__soft *soft = peal__soft_of(ring);
	struct peal__job *job;

	while ((job = soft->late.first) != NULL &&
	       soft->cq_tail - soft->cq_head < soft->cq_entries) {
		peal__jobs_unlink(&soft->late, job);
		job->held = HELD_NOT;
		peal__soft_more(ring, job->sqe.user_data, (int)job->result,
				(uint32_t)job->watch);
	}
}

void peal__soft_start(struct peal_ring *ring, const struct peal__sqe *sqe,
		      const struct peal__soft_calls *calls)
{
	int rc;

	if (sqe->flags & PEAL__SQE_FIXED_FILE && !calls->knows_slots)
		rc = -EBADF;
	else if (sqe->opcode == PEAL__OP_NOP)
		rc = sqe->op_flags & PEAL__NOP_INJECT_RESULT ? (int)sqe->len
							     : 0;
	else if (sqe->opcode == PEAL__OP_ASYNC_CANCEL)
		rc = calls->cancel(ring, sqe->addr);
	else if (sqe->opcode == PEAL__OP_CLOSE)
		return calls->close(ring, sqe);
	else
		return calls->start(ring, sqe);
	peal__soft_complete(ring, sqe->user_data, rc, 0);
}

/* It may have been handed to the pool since the ring sent the cancel; or will
 * be, which only the engine knows: a record is asked, too. */
int peal__soft_cancel(struct peal_ring *ring, uint64_t target)
{
	struct peal__row *row = peal__row_find(ring, (peal_op)target);

	if (!row || !(row->flags & ROW_JOB))
		return -ENOENT;
	if (peal__job_is_new(ring, row) && ring->engine->job_cancel &&
	    !ring->engine->job_cancel(ring, peal__soft_job(ring, target)))
		return -EALREADY;
	if (!peal__job_cancel(ring, row))
		return -EALREADY;
	peal__ready(ring, row, -ECANCELED);
	return 0;
}

void peal__soft_to_pool(struct peal_ring *ring, struct peal__job *job)
{
	const struct peal__sqe entry = job->sqe;
	struct peal__row *row = &ring->rows[job - ring->jobs];

	*peal__job_new(ring, row, 0) = entry;
	if (ring->engine->job_made)
		ring->engine->job_made(ring, job);
}

void peal__soft_explain(struct peal_ring *ring, FILE *out, unsigned feature,
			int on, const char *what)
{
	fprintf(out, "%-14s %s %s%s\n", peal__feature_name(feature),
		on ? "on  " : "off ", what, on ? ""
		: peal__switched_off(ring, feature)
		? ": disabled by PEAL_DISABLE or options.disable"
		: ": this kernel lacks it, or a filter refuses it");
}

void peal__soft_event(struct peal_ring *ring, const struct peal__cqe *cqe)
{
	(void)cqe;
	ring->stats.stale++;
}
