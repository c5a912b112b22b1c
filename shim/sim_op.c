/* SPDX-License-Identifier: MIT */
/*
 * The life of a simulated op.
 *
 *   entry --> an op on a disk: queued until its time has come; its effect is
 *             at one end of that time, the seed says at which
 *         --> else tried at once; what has to wait stands in the list of an
 *             open file, and is tried again when something happens to it
 *
 * Nothing runs inside something else: what an op does to a file is noted
 * (peal__sim_wake), and the ops that wait for that are tried when the step is
 * over (peal__sim_settle); so are crashes.
 */
#include <poll.h>
#include <stdlib.h>
#include "shim/sim.h"

/* --- the end of an op ---------------------------------------------------- */

/* Out of the list of those that wait for it, if it waits. */
static void leave(struct sim_op *op, struct sim_file *on)
{
	if (op->state != OP_WAITS)
		return;
	*(op->prev ? &op->prev->next : &on->first) = op->next;
	*(op->next ? &op->next->prev : &on->last) = op->prev;
}

void peal__sim_unwait(struct sim_op *op)
{
	struct sim_file *file = op->file, *in = op->file_in;

	peal__sim_event_remove(sim_node_of(op)->world, &op->event);
	leave(op, op->waits_for);
	op->state = OP_FREE;
	op->file = op->file_in = NULL;
	if (file)
		peal__sim_file_drop(file);
	if (in)
		peal__sim_file_drop(in);
}

void peal__sim_let_go(struct sim_op *op)
{
	struct sim_ring *sim = sim_ring_of(op->ring);

	*(op->ring_prev ? &op->ring_prev->ring_next : &sim->active) =
		op->ring_next;
	if (op->ring_next)
		op->ring_next->ring_prev = op->ring_prev;
	sim->starved -= op->starved;
	op->starved = 0;
	peal__sim_unwait(op);
	if (op->lent)
		peal__sim_zc_forget(op);
}

static void complete(struct sim_op *op, int64_t result)
{
	struct peal_ring *ring = op->ring;
	const struct peal__sqe *sqe = sim_sqe(op);
	struct peal_sim_node *node = sim_node_of(op);

	peal__sim_tell(node, SIM_DONE, sqe->opcode, sim_told_fd(sqe), result,
		       sqe->user_data);
	if (sim_is_zc(sqe->opcode) && (result >= 0 || op->lent)) {
		peal__sim_zc_sent(op, result);
		return;
	}
	peal__sim_let_go(op);
	if (result > INT32_MAX)		/* a place in a file */
		peal__ready(ring, &ring->rows[op->row], result);
	else if (peal__sim_fault(node, PEAL_SIM_CQ_FULL))
		peal__soft_late(ring, sqe->user_data, (int)result, 0);
	else
		peal__soft_complete(ring, sqe->user_data, (int)result, 0);
	if (peal__sim_fault(node, PEAL_SIM_CRASH))
		peal__sim_doom(node, sim_below(node->world, PEAL_S));
}

static void on_end(struct peal_sim *world, struct sim_event *event)
{
	struct sim_op *op = (struct sim_op *)event;

	(void)world;
	complete(op, op->result);
}

/* Something stays between the effect and the word of it. */
void peal__sim_finish(struct sim_op *op, int64_t result)
{
	struct peal_sim_node *node = sim_node_of(op);
	struct peal_sim *world = node->world;

	if (op->state == OP_ENDING)
		return;
	if (!peal__sim_fault(node, PEAL_SIM_LATE)) {
		complete(op, result);
		return;
	}
	leave(op, op->waits_for);
	peal__sim_event_remove(world, &op->event);
	op->state = OP_ENDING;
	op->result = result;
	peal__sim_event_add(world, &op->event,
		      world->now + sim_below(world, 10 * PEAL_MS), on_end);
}

/* --- what an op does ----------------------------------------------------- */

static int is_rw(unsigned opcode)
{
	return opcode == PEAL__OP_READ || opcode == PEAL__OP_WRITE ||
	       opcode == PEAL__OP_READV || opcode == PEAL__OP_WRITEV;
}

/* Is its time the disk's? */
static int is_timed(const struct sim_op *op)
{
	unsigned opcode = sim_sqe(op)->opcode;

	switch (peal__op_row(opcode)->on) {
	case ON_DIRECTORY:
	case ON_FILE:
		return opcode != PEAL__OP_FADVISE && opcode != PEAL__OP_SPLICE;
	case ON_ANY:
		return is_rw(opcode) && op->file->kind != SIM_SOCK &&
		       op->file->kind != SIM_DEVICE;
	default:
		return opcode == PEAL__OP_STATFS || opcode == PEAL__OP_RESOLVE;
	}
}

static int64_t call_op(struct sim_op *op)
{
	const struct peal__sqe *sqe = sim_sqe(op);

	op->waits_for = op->file;
	switch (peal__op_row(sqe->opcode)->on) {
	case ON_DIRECTORY:
		return peal__sim_path_try(op);
	case ON_SOCKET:
		return peal__sim_net_try(op);
	default:
		break;
	}
	switch (sqe->opcode) {
	case PEAL__OP_SOCKET:
		return peal__sim_net_try(op);
	case PEAL__OP_RESOLVE:
		return peal__sim_resolve(op);
	case PEAL__OP_READ:
	case PEAL__OP_READV:
	case PEAL__OP_WRITE:
	case PEAL__OP_WRITEV:
		return op->file->kind == SIM_SOCK ? peal__sim_net_try(op)
						  : peal__sim_disk_try(op);
	case PEAL__OP_FILES_UPDATE:
		return peal__sim_register(op);
	case PEAL__OP_FIXED_FD_INSTALL:
		return peal__sim_install(op);
	case PEAL__OP_FSYNC:
		return peal__sim_disk_try(op);
	case PEAL__OP_POLL_ADD:
		return peal__sim_net_try(op);
	default:
		return peal__sim_space_try(op);
	}
}

/* As the user that the node's programs are. */
static int64_t try_op(struct sim_op *op)
{
	struct peal_sim_node *node = sim_node_of(op);
	int64_t result;

	node->asks = 1;
	result = call_op(op);
	node->asks = 0;
	return result;
}

/* --- what waits ---------------------------------------------------------- */

static void wait_here(struct sim_op *op)
{
	struct sim_file *on = op->waits_for;

	op->state = OP_WAITS;
	op->next = NULL;
	op->prev = on->last;
	*(on->last ? &on->last->next : &on->first) = op;
	on->last = op;
}

static void move_wait(struct sim_op *op, struct sim_file *from)
{
	if (op->state == OP_WAITS && from == op->waits_for)
		return;
	leave(op, from);
	wait_here(op);
}

/* Tells all that is there, as far as there is room. SIM_WAIT: it goes on. */
static int64_t try_multishot(struct sim_op *op)
{
	struct sim_ring *sim = sim_ring_of(op->ring);
	const struct peal__sqe *sqe = sim_sqe(op);
	int64_t rc;

	sim->starved -= op->starved;
	op->starved = 0;
	for (;;) {
		op->starved = !peal__soft_room(op->ring);
		sim->starved += op->starved;
		if (op->starved)
			return SIM_WAIT;
		rc = try_op(op);
		if (rc < 0 ||
		    peal__sim_fault(sim->node, PEAL_SIM_MULTISHOT_END))
			return rc;
		peal__sim_tell(sim->node, SIM_DONE, sqe->opcode,
			       sim_told_fd(sqe), rc, sqe->user_data);
		peal__soft_more(op->ring, sqe->user_data, (int)rc,
				PEAL__CQE_MORE);
		if (sqe->opcode != PEAL__OP_POLL_ADD)
			continue;
		/* Until the next edge; a file has one in each turn. */
		op->starved = op->file->kind != SIM_SOCK;
		sim->starved += op->starved;
		return SIM_WAIT;
	}
}

/* 1: it has ended. */
int peal__sim_try(struct sim_op *op)
{
	struct sim_file *from = op->waits_for;
	int64_t rc = peal__soft_multishot(sim_sqe(op)) ? try_multishot(op)
						       : try_op(op);

	if (rc == SIM_WAIT) {
		move_wait(op, from);
		return 0;
	}
	op->waits_for = from;
	peal__sim_finish(op, rc);
	return 1;
}

void peal__sim_wake(struct sim_file *file, unsigned events)
{
	struct peal_sim *world = file->node->world;

	if (!file->woken) {
		peal__sim_file_hold(file);
		file->woken_next = NULL;
		if (world->woken_last)
			world->woken_last->woken_next = file;
		else
			world->woken = file;
		world->woken_last = file;
	}
	file->woken |= events;
}

/* In order; what waits for the same side waits behind its first. */
static void run_wake(struct sim_file *file, unsigned events)
{
	struct sim_op *op = file->first, *next;
	int blocked[WAITS_ASKED + 1] = { 0 };

	for (; op; op = next) {
		const struct peal__sqe *sqe = sim_sqe(op);
		int *stop = &blocked[sim_waits(sqe->opcode)];

		next = op->next;
		if (sqe->opcode == PEAL__OP_POLL_ADD) {
			if (events & (sqe->op_flags | POLLERR | POLLHUP))
				peal__sim_try(op);
		} else if (!*stop) {
			*stop = !peal__sim_try(op);
		}
	}
}

void peal__sim_settle(struct peal_sim *world)
{
	while (world->woken) {
		struct sim_file *file = world->woken;
		unsigned events = file->woken;

		world->woken = file->woken_next;
		if (!world->woken)
			world->woken_last = NULL;
		file->woken = 0;
		run_wake(file, events);
		peal__sim_file_drop(file);
	}
	if (world->doomed)
		peal__sim_crash_doomed(world);
}

/* --- the start of an op -------------------------------------------------- */

static void on_time(struct peal_sim *world, struct sim_event *event)
{
	struct sim_op *op = (struct sim_op *)event;

	(void)world;
	if (!op->done)
		op->result = try_op(op);
	if (op->result == SIM_WAIT)
		wait_here(op);		/* an open, for the other end */
	else
		peal__sim_finish(op, op->result);
}

static void start_timed(struct sim_op *op, struct peal_sim_node *node)
{
	struct peal_sim *world = node->world;
	uint64_t random = sim_random(world);
	uint64_t ns = peal__sim_latency(node, peal__sim_disk_part(op),
					random);

	op->state = OP_TIMED;
	if (peal__sim_fault(node, PEAL_SIM_STUCK))
		ns += PEAL_S + sim_below(world, 29 * PEAL_S);
	op->done = random >> 63;
	if (op->done)
		op->result = try_op(op);
	if (op->done && op->result == SIM_WAIT)
		op->done = 0;
	if (!peal__sim_fault(node, PEAL_SIM_NEVER))
		peal__sim_event_add(world, &op->event, world->now + ns,
				    on_time);
}

/* What ends an op before it begins; 0: nothing. */
static int refused(struct peal_sim_node *node, const struct peal__sqe *sqe)
{
	const struct peal__op_row *row = peal__op_row(sqe->opcode);
	struct sim_fail *fail = &node->fail[sqe->opcode];

	if (fail->left && --fail->left == 0) {
		peal__sim_tell(node, SIM_FAULT, SIM_FAIL, sim_told_fd(sqe),
			       fail->error, sqe->user_data);
		return fail->error;
	}
	if (peal__sim_fault(node, PEAL_SIM_EINTR))
		return -EINTR;
	if (peal__sim_fault(node, PEAL_SIM_EAGAIN))
		return -EAGAIN;
	if (peal__sim_fault(node, PEAL_SIM_ENOMEM))
		return -ENOMEM;
	if (row->result == RESULT_FD && peal__sim_fault(node, PEAL_SIM_EMFILE))
		return peal__sim_no_place(sqe);
	return 0;
}

/* NULL: there is none of that number, or in that slot. */
static struct sim_file *file_at(const struct sim_ring *sim, int fd,
				int is_slot)
{
	return is_slot ? peal__sim_slot(sim, (uint32_t)fd)
		       : peal__sim_file_get(sim->node, fd);
}

static int hold_in(struct sim_op *op, const struct sim_ring *sim)
{
	const struct peal__sqe *sqe = sim_sqe(op);
	int is_slot = sqe->opcode == PEAL__OP_SPLICE &&
		      sqe->op_flags & PEAL__SPLICE_FD_IN_FIXED;

	op->file_in = file_at(sim, (int)sqe->file_index, is_slot);
	if (!op->file_in)
		return -EBADF;
	peal__sim_file_hold(op->file_in);
	return 0;
}

/* Its descriptors, held; 0, or what is wrong with them. */
static int hold_files(struct sim_op *op, const struct sim_ring *sim)
{
	const struct peal__sqe *sqe = sim_sqe(op);
	unsigned on = peal__op_row(sqe->opcode)->on;
	int is_slot = sqe->flags & PEAL__SQE_FIXED_FILE, rc = 0;

	if (is_slot)
		rc = peal__sim_refuses_slot(sqe->opcode);
	if (rc == 0 && (sqe->opcode == PEAL__OP_SPLICE ||
			sqe->opcode == PEAL__OP_COPY_RANGE))
		rc = hold_in(op, sim);
	if (rc < 0 || on == ON_NOTHING || (on == ON_DIRECTORY && sqe->fd < 0) ||
	    sqe->opcode == PEAL__OP_FILES_UPDATE)
		return rc;
	op->file = file_at(sim, sqe->fd, is_slot);
	if (op->file)
		peal__sim_file_hold(op->file);
	else if (on != ON_DIRECTORY)
		return -EBADF;	/* a path may be absolute */
	return 0;
}

/* NULL: no memory. */
static struct sim_op *op_of(struct sim_ring *sim, uint32_t row)
{
	struct sim_op **chunk = &sim->chunks[row / SIM_CHUNK];

	if (!*chunk)
		*chunk = calloc(SIM_CHUNK, sizeof(**chunk));
	return *chunk ? *chunk + row % SIM_CHUNK : NULL;
}

void peal__sim_start(struct peal_ring *ring, const struct peal__sqe *sqe)
{
	struct sim_ring *sim = sim_ring_of(ring);
	uint32_t row = (uint32_t)(sqe->user_data & PEAL__ROW_MASK);
	struct sim_op *op = op_of(sim, row);
	int rc;

	ring->jobs[row].sqe = *sqe;
	peal__sim_tell(sim->node, SIM_START, sqe->opcode, sim_told_fd(sqe),
		       sqe->len, sqe->user_data);
	if (!op) {
		peal__soft_complete(ring, sqe->user_data, -ENOMEM, 0);
		return;
	}
	op->ring = ring;
	op->row = row;
	op->state = OP_FREE;
	op->done = op->starved = 0;
	op->progress = 0;
	op->file = op->file_in = NULL;
	op->lent = NULL;
	op->was_lent = op->changed = op->told = 0;
	op->ring_prev = NULL;
	op->ring_next = sim->active;
	if (sim->active)
		sim->active->ring_prev = op;
	sim->active = op;
	rc = refused(sim->node, sqe);
	if (rc == 0)
		rc = hold_files(op, sim);
	op->waits_for = op->file;
	if (rc < 0)
		complete(op, rc);
	else if (is_timed(op))
		start_timed(op, sim->node);
	else
		peal__sim_try(op);
}
