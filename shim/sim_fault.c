/* SPDX-License-Identifier: MIT */
/*
 * What goes wrong in a simulated world: drawn from the world's one generator,
 * or as a schedule says. A fault that is switched
 * off draws nothing, so switching one on does not change what was before it.
 */
#include <string.h>
#include "shim/sim.h"

static const char *const names[] = {
	[PEAL_SIM_SHORT] = "short",
	[PEAL_SIM_EINTR] = "eintr",
	[PEAL_SIM_EAGAIN] = "eagain",
	[PEAL_SIM_ENOMEM] = "enomem",
	[PEAL_SIM_EMFILE] = "emfile",
	[PEAL_SIM_ENOSPC] = "enospc",
	[PEAL_SIM_READ_EIO] = "read_eio",
	[PEAL_SIM_WRITE_EIO] = "write_eio",
	[PEAL_SIM_SYNC_EIO] = "sync_eio",
	[PEAL_SIM_WRITE_LOST] = "write_lost",
	[PEAL_SIM_WRITE_MISDIRECTED] = "write_misdirected",
	[PEAL_SIM_WRITE_TORN] = "write_torn",
	[PEAL_SIM_BIT_ROT] = "bit_rot",
	[PEAL_SIM_STUCK] = "stuck",
	[PEAL_SIM_NEVER] = "never",
	[PEAL_SIM_LATE] = "late",
	[PEAL_SIM_UNCANCELLED] = "uncancelled",
	[PEAL_SIM_MULTISHOT_END] = "multishot_end",
	[PEAL_SIM_CQ_FULL] = "cq_full",
	[PEAL_SIM_RESET] = "reset",
	[PEAL_SIM_SPLIT] = "split",
	[PEAL_SIM_SLOW] = "slow",
	[PEAL_SIM_LOSS] = "loss",
	[PEAL_SIM_DOUBLE] = "double",
	[PEAL_SIM_OVERTAKE] = "overtake",
	[PEAL_SIM_REFUSE] = "refuse",
	[PEAL_SIM_CRASH] = "crash",
	[PEAL_SIM_NO_BUFFER] = "no_buffer",
	[SIM_FAIL] = "fail",
};

const char *peal__sim_fault_name(unsigned kind)
{
	return names[kind];
}

int peal__sim_fault(struct peal_sim_node *node, enum peal_sim_fault_kind kind)
{
	int happens = 0;

	node->could[kind]++;
	if (node->at[kind])
		happens = --node->at[kind] == 0;
	if (!happens && node->rate[kind])
		happens = sim_below(node->world, PEAL_SIM_MILLION) <
			  node->rate[kind];
	if (!happens)
		return 0;
	node->did[kind]++;
	peal__sim_tell(node, SIM_FAULT, kind, 0, (int64_t)node->could[kind], 0);
	return 1;
}

static int is_kind(enum peal_sim_fault_kind kind)
{
	return (unsigned)kind < PEAL_SIM_FAULTS;
}

void peal_sim_fault(struct peal_sim *world, struct peal_sim_node *node,
		    enum peal_sim_fault_kind kind, uint32_t per_million)
{
	MUST(is_kind(kind), "there is no such fault", "sim_fault");
	if (node) {
		node->rate[kind] = per_million;
		return;
	}
	world->rate[kind] = per_million;
	for (node = world->nodes; node; node = node->next)
		node->rate[kind] = per_million;
}

void peal_sim_fault_at(struct peal_sim_node *node,
		       enum peal_sim_fault_kind kind, uint64_t nth)
{
	MUST(is_kind(kind), "there is no such fault", "sim_fault_at");
	node->at[kind] = nth;
}

uint64_t peal_sim_faults(struct peal_sim_node *node,
			 enum peal_sim_fault_kind kind, uint64_t *out_could)
{
	MUST(is_kind(kind), "there is no such fault", "sim_faults");
	if (out_could)
		*out_could = node->could[kind];
	return node->did[kind];
}

int peal_sim_fail(struct peal_sim_node *node, const char *op, uint64_t nth,
		  int error)
{
	unsigned opcode;

	for (opcode = 0; opcode < PEAL__OP_COUNT; opcode++)
		if (strcmp(peal_opcode_name(opcode), op) == 0)
			break;
	if (opcode == PEAL__OP_COUNT || opcode == PEAL__OP_NOP || error >= 0)
		return -EINVAL;
	node->fail[opcode].left = nth;
	node->fail[opcode].error = error;
	return 0;
}
