/* SPDX-License-Identifier: MIT */
/*
 * The engine "sim": a ring in a simulated world. Its queues are lib/soft.c's,
 * its ops are sim_op.c's.
 */
#include <fcntl.h>
#include <stdlib.h>
#include "lib/buffers.h"
#include "peal/sim_node.h"
#include "shim/sim.h"

/* --- cancel -------------------------------------------------------------- */

static int keeps_part(unsigned opcode)
{
	return sim_is_zc(opcode) ||
	       peal__op_row(opcode)->cancel == CANCEL_PART;
}

static int cancel(struct peal_ring *ring, uint64_t target)
{
	struct sim_ring *sim = sim_ring_of(ring);
	uint32_t row = (uint32_t)(target & PEAL__ROW_MASK);
	struct sim_op *op = row < ring->rows_max ? sim->chunks[row / SIM_CHUNK]
						 : NULL;
	unsigned opcode;

	op = op ? op + row % SIM_CHUNK : NULL;
	if (!op || !op->ring || op->state == OP_FREE ||
	    sim_sqe(op)->user_data != target)
		return peal__soft_cancel(ring, target);
	if (op->state == OP_ENDING || op->state == OP_LENT || op->done ||
	    (op->state == OP_TIMED && sim_random(sim->node->world) >> 63) ||
	    peal__sim_fault(sim->node, PEAL_SIM_UNCANCELLED))
		return -EALREADY;
	opcode = sim_sqe(op)->opcode;
	peal__sim_finish(op, keeps_part(opcode) && op->progress
			       ? (int64_t)op->progress : -ECANCELED);
	return 0;
}

/* --- the engine ---------------------------------------------------------- */

/* The number is free at once. */
static void start_close(struct peal_ring *ring, const struct peal__sqe *sqe)
{
	struct peal_sim_node *node = sim_ring_of(ring)->node;
	int rc = peal__sim_close(sim_ring_of(ring), sqe);

	peal__sim_tell(node, SIM_DONE, PEAL__OP_CLOSE, sim_told_fd(sqe), rc,
		       sqe->user_data);
	peal__soft_complete(ring, sqe->user_data, rc, 0);
}

static const struct peal__soft_calls calls = {
	.cancel = cancel,
	.close = start_close,
	.start = peal__sim_start,
	.knows_slots = 1,
};

static void start_entry(struct peal_ring *ring, const struct peal__sqe *sqe)
{
	struct peal_sim_node *node = sim_ring_of(ring)->node;

	peal__soft_start(ring, sqe, &calls);
	if (peal__sim_fault(node, PEAL_SIM_CRASH))
		peal__sim_doom(node, sim_below(node->world, PEAL_S));
	if (node->world->woken || node->world->doomed)
		peal__sim_settle(node->world);
}

/* Multishot ops that had no room. */
static void feed_starved(struct peal_ring *ring)
{
	struct sim_ring *sim = sim_ring_of(ring);
	struct sim_op *op, *next;

	for (op = sim->active; op && sim->starved; op = next) {
		next = op->ring_next;
		if (op->starved && peal__soft_room(ring))
			peal__sim_try(op);
	}
	peal__sim_settle(sim->node->world);
}

static int is_busy(struct peal_ring *ring)
{
	return ring->lost || peal__soft_busy(ring) ||
	       peal__soft_of(ring)->late.first || ring->after_first ||
	       ring->hungry || peal__posts_waiting(ring);
}

/* The world goes on until this ring has something to do. With nothing left to
 * happen and no end of the wait it returns, and is called again. */
static void wait_for_world(struct peal_ring *ring, uint64_t timeout_ns)
{
	struct peal_sim *world = sim_ring_of(ring)->node->world;
	uint64_t end = timeout_ns > PEAL_FOREVER - world->now
			       ? PEAL_FOREVER : world->now + timeout_ns;

	ring->stats.enters++;
	while (!is_busy(ring)) {
		if (peal__sim_step(world, end))
			continue;
		if (end != PEAL_FOREVER)
			world->now = end;
		return;
	}
}

static int sim_enter(struct peal_ring *ring, uint32_t wait_for,
		     uint64_t timeout_ns)
{
	struct sim_ring *sim = sim_ring_of(ring);
	struct peal_sim *world = sim->node->world;
	const struct peal__sqe *sqe;

	peal__soft_flush(ring);
	while (!ring->lost && (sqe = peal__soft_next(ring)) != NULL)
		start_entry(ring, sqe);
	if (sim->starved)
		feed_starved(ring);
	peal__sim_pass(world, world->now + world->turn_ns);
	if (wait_for && timeout_ns)
		wait_for_world(ring, timeout_ns);
	return 0;
}

static void on_fed(struct peal_sim *world, struct sim_event *event)
{
	struct sim_ring *sim = (struct sim_ring *)(void *)
		((char *)event - offsetof(struct sim_ring, fed));

	(void)world;
	peal__hunger(sim->ring);
}

static int sim_no_buffer(struct peal_ring *ring)
{
	struct sim_ring *sim = sim_ring_of(ring);
	struct peal_sim *world = sim->node->world;

	if (!peal__sim_fault(sim->node, PEAL_SIM_NO_BUFFER))
		return 0;
	if (!sim->fed.queued)
		peal__sim_event_add(world, &sim->fed, world->now +
				    sim_below(world, 10 * PEAL_MS), on_fed);
	return 1;
}

/* The power is gone: nothing of it is told any more. */
void peal__sim_ring_lose(struct peal_ring *ring)
{
	struct sim_ring *sim = sim_ring_of(ring);

	peal__sim_event_remove(sim->node->world, &sim->fed);
	while (sim->active)
		peal__sim_let_go(sim->active);
	while (sim->soft.late.first)
		peal__jobs_unlink(&sim->soft.late, sim->soft.late.first);
	sim->soft.cq_head = sim->soft.cq_tail;
	peal__sim_slots_close(sim);
	ring->lost = 1;
	ring->stop = 1;
	ring->failed = -EHOSTDOWN;
	peal__gate_set(ring, ring->gate | GATE_FAILED);
}

static void sim_wake_ring(struct peal_ring *ring)
{
	(void)ring;	/* it never sleeps */
}

static int sim_fd(struct peal_ring *ring)
{
	(void)ring;
	return -EOPNOTSUPP;
}

static void sim_explain(struct peal_ring *ring, FILE *out)
{
	struct sim_ring *sim = sim_ring_of(ring);

	fprintf(out, "entries        %u submissions, %u completions\n",
		sim->soft.sq_entries, sim->soft.cq_entries);
	fprintf(out, "machine        node \"%s\" of a simulated world; all "
		"its ops are simulated\n", sim->node->name);
	peal__soft_explain(ring, out, FEATURE_MULTISHOT, !ring->no_multishot,
			   "accept and poll complete many times");
	peal__soft_explain(ring, out, FEATURE_ZC,
			   !peal__switched_off(ring, FEATURE_ZC),
			   "long sends are not copied");
}

static uint32_t chunk_count(const struct peal_ring *ring)
{
	return ring->rows_max / SIM_CHUNK + 1;
}

static void sim_engine_close(struct peal_ring *ring)
{
	struct sim_ring *sim = sim_ring_of(ring);
	struct peal_sim *world = sim->node->world;
	uint32_t i;

	*(sim->prev ? &sim->prev->next : &world->rings) = sim->next;
	*(sim->next ? &sim->next->prev : &world->last_ring) = sim->prev;
	world->ring_count--;
	peal__sim_event_remove(world, &sim->fed);
	for (i = 0; i < chunk_count(ring); i++)
		free(sim->chunks[i]);
	free(sim->chunks);
	peal__soft_free(ring, sizeof *sim);
}

static void enlist(struct sim_ring *sim, struct peal_sim *world)
{
	sim->prev = world->last_ring;
	*(world->last_ring ? &world->last_ring->next : &world->rings) = sim;
	world->last_ring = sim;
	world->ring_count++;
}

/* All but what only peal_uring_submit() starts. */
static int has_op(unsigned opcode)
{
	return opcode == PEAL__OP_POLL_ADD || opcode == PEAL__OP_SEND_ZC ||
	       opcode == PEAL__OP_SENDMSG_ZC || peal__blocking_has(opcode);
}

static int open_queues(struct peal_ring *ring,
		       const struct peal_ring_options *options)
{
	struct sim_ring *sim = sim_ring_of(ring);
	int rc;

	/* Switched off, an op would be made by the real machine. */
	ring->disable.ops[0] = ring->disable.ops[1] = 0;
	rc = peal__soft_open(ring, options, has_op);
	if (rc < 0)
		return rc;
	sim->chunks = calloc(chunk_count(ring), sizeof(*sim->chunks));
	if (sim->chunks)
		return 0;
	peal__reason("there was no room for %u simulated ops: lower "
		     "options.max_ops or raise the memory limit",
		     ring->rows_max);
	return -ENOMEM;
}

static int sim_engine_open(struct peal_ring *ring,
			   const struct peal_ring_options *options)
{
	struct peal_sim_node *node = options->sim_node;
	struct sim_ring *sim;
	int rc;

	if (!node)
		node = peal__sim_here() ? peal__sim_here() : peal__sim_local();
	if (!node || !node->up) {
		peal__reason(node ? "the node is down: boot it first"
				  : "there is no memory for a world");
		return node ? -EHOSTDOWN : -ENOMEM;
	}
	sim = peal__soft_new(ring, sizeof *sim);
	if (!sim)
		return -ENOMEM;
	sim->ring = ring;
	sim->node = node;
	rc = open_queues(ring, options);
	if (rc < 0) {
		peal__soft_free(ring, sizeof *sim);
		return rc;
	}
	enlist(sim, node->world);
	return 0;
}

static uint64_t sim_clock(struct peal_ring *ring)
{
	return sim_ring_of(ring)->node->world->now;
}

static uint64_t sim_ring_random(struct peal_ring *ring)
{
	return sim_random(sim_ring_of(ring)->node->world);
}

/* close(2), and dup(2) */
static int64_t sim_call(struct peal_ring *ring, const struct peal__sqe *sqe)
{
	struct peal_sim_node *node = sim_ring_of(ring)->node;

	if (sqe->opcode == PEAL__OP_FIXED_FD_INSTALL)
		return peal_sim_dup(node, sqe->fd);
	return sqe->opcode == PEAL__OP_CLOSE ? peal_sim_close_fd(node, sqe->fd)
					     : -EOPNOTSUPP;
}

static void sim_learn(const struct peal_ring *ring, struct peal__hint *out)
{
	const struct sim_ring *sim = ring->engine_state;
	struct peal_sim_node *node = sim->node;
	const struct sim_file *file = peal__sim_file_get(node, out->fd);
	int direct = file && file->kind == SIM_FILE && file->flags & O_DIRECT;

	out->kind = direct ? KIND_DIRECT : KIND_OTHER;
	out->in_memory = out->in_file = direct ? node->dio_align - 1 : 0;
}

struct peal_sim_node *peal_sim_node_of(struct peal_ring *ring)
{
	peal__must_own(ring, "sim_node_of");
	return ring->engine == &peal__sim_engine ? sim_ring_of(ring)->node
						 : NULL;
}

const struct peal__engine peal__sim_engine = {
	.name = "sim",
	.open = sim_engine_open,
	.close = sim_engine_close,
	.enter = sim_enter,
	.wake = sim_wake_ring,
	.event = peal__soft_event,
	.fd = sim_fd,
	.explain = sim_explain,
	.clock = sim_clock,
	.random = sim_ring_random,
	.learn = sim_learn,
	.call = sim_call,
	.files_open = peal__sim_files_open,
	.files_close = peal__sim_files_close,
	.files_drop = peal__sim_files_drop,
	.no_buffer = sim_no_buffer,
};
