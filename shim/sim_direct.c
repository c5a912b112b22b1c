/* SPDX-License-Identifier: MIT */
/*
 * Where what a simulated op makes is put: under a number of its node, or in a
 * slot of its ring's table of direct descriptors (peal/direct.h), as io_uring
 * has it. No call of sim_node.h knows a slot, and a crash empties the table.
 */
#include <stdlib.h>
#include "lib/direct.h"
#include "shim/sim.h"

/* --- the table ----------------------------------------------------------- */

/* The numbers are the world's: the process may have made other tables before,
 * and that must not show. */
int peal__sim_files_open(struct peal_ring *ring, uint32_t count)
{
	struct sim_ring *sim = sim_ring_of(ring);

	if (count > sim->node->fd_most)
		return -EMFILE;
	sim->slots = calloc(count, sizeof(*sim->slots));
	if (!sim->slots)
		return -ENOMEM;
	sim->slot_count = count;
	sim->slot_first = 0;
	ring->direct_base = peal__direct_base(sim->node->world->tables++);
	return 0;
}

static int slot_close(struct sim_ring *sim, uint32_t slot)
{
	struct sim_file *file = peal__sim_slot(sim, slot);

	if (!file)
		return -EBADF;
	sim->slots[slot] = NULL;
	if (slot < sim->slot_first)
		sim->slot_first = slot;
	peal__sim_file_drop(file);
	return 0;
}

void peal__sim_slots_close(struct sim_ring *sim)
{
	uint32_t slot;

	for (slot = 0; slot < sim->slot_count; slot++)
		slot_close(sim, slot);
	free(sim->slots);
	sim->slots = NULL;
	sim->slot_count = 0;
}

void peal__sim_files_close(struct peal_ring *ring)
{
	struct sim_ring *sim = sim_ring_of(ring);

	peal__sim_slots_close(sim);
	peal__sim_settle(sim->node->world);
}

void peal__sim_files_drop(struct peal_ring *ring, uint32_t slot)
{
	struct sim_ring *sim = sim_ring_of(ring);

	slot_close(sim, slot);
	peal__sim_settle(sim->node->world);
}

struct sim_file *peal__sim_slot(const struct sim_ring *sim, uint32_t slot)
{
	return slot < sim->slot_count ? sim->slots[slot] : NULL;
}

/* The lowest free one; it has the reference from now on. On an error file is
 * dropped. */
static int slot_new(struct sim_ring *sim, struct sim_file *file)
{
	uint32_t slot = sim->slot_first;

	while (slot < sim->slot_count && sim->slots[slot])
		slot++;
	sim->slot_first = slot;
	if (slot == sim->slot_count) {
		peal__sim_file_drop(file);
		return -ENFILE;
	}
	sim->slots[slot] = file;
	return (int)slot;
}

/* --- the ops ------------------------------------------------------------- */

static int wants_slot(const struct peal__sqe *sqe)
{
	return sqe->file_index == PEAL__ANY_SLOT ||
	       sqe->opcode == PEAL__OP_FILES_UPDATE;
}

/* Looked for before anything is made: an open(2) that fails makes no file. A
 * slot is looked for last, as the kernel does it. */
int peal__sim_has_place(const struct sim_op *op)
{
	return wants_slot(sim_sqe(op)) ? 0
				       : peal__sim_fd_room(sim_node_of(op));
}

int peal__sim_place(struct sim_op *op, struct sim_file *file)
{
	return wants_slot(sim_sqe(op))
		       ? slot_new(sim_ring_of(op->ring), file)
		       : peal__sim_fd_new(sim_node_of(op), file);
}

int peal__sim_no_place(const struct peal__sqe *sqe)
{
	return wants_slot(sqe) ? -ENFILE : -EMFILE;
}

/* A file in the table, as a number too. */
int peal__sim_install(struct sim_op *op)
{
	peal__sim_file_hold(op->file);
	return peal__sim_fd_new(sim_node_of(op), op->file);
}

/* A number's file, in the table too; its place is written over the number. */
int peal__sim_register(struct sim_op *op)
{
	int32_t *at = sim_pointer(sim_sqe(op)->addr);
	struct sim_file *file = peal__sim_file_get(sim_node_of(op), *at);
	int slot;

	if (!file)
		return -EBADF;
	peal__sim_file_hold(file);
	slot = peal__sim_place(op, file);
	if (slot < 0)
		return slot;
	*at = slot;
	return 1;
}

int peal__sim_close(struct sim_ring *sim, const struct peal__sqe *sqe)
{
	return sqe->file_index ? slot_close(sim, sqe->file_index - 1)
			       : peal__sim_fd_close(sim->node, sqe->fd);
}

/* What the kernel does on none that is direct: calls by name that begin at
 * one, and what it has no op for. */
int peal__sim_refuses_slot(unsigned opcode)
{
	if (peal__op_row(opcode)->on == ON_DIRECTORY)
		return -EBADF;
	return opcode >= PEAL__OP_KERNEL_COUNT ? -EOPNOTSUPP : 0;
}
