/* SPDX-License-Identifier: MIT */
/*
 * Simulated sends without a copy. What is on its way is still in the program's
 * buffer: its bytes are taken when it arrives, as a device takes them when it
 * sends (again), so a program that changes its buffer before the notice sends
 * what it has put there. The copy that was made at first tells that it did.
 *
 *	sent --result--> OP_LENT --the last packet arrived, or was lost--> notice
 *
 * A result that finds no room for itself comes with the notice, as one.
 */
#include <stdlib.h>
#include <string.h>
#include "shim/sim_net.h"

#define COPIED		INT32_MIN	/* a notice's: it was in vain */

/* --- the notice ---------------------------------------------------------- */

static void notice(struct sim_op *op)
{
	struct peal_ring *ring = op->ring;
	const struct peal__sqe *sqe = sim_sqe(op);
	struct peal_sim_node *node = sim_node_of(op);
	int reports = sqe->ioprio & PEAL__SEND_ZC_REPORT;
	int copied = reports && !op->was_lent ? COPIED : 0;

	peal__sim_tell(node, SIM_NOTICE, sqe->opcode, sim_told_fd(sqe),
		       op->changed, sqe->user_data);
	peal__sim_let_go(op);
	if (op->told)
		peal__soft_complete(ring, sqe->user_data, copied,
				    PEAL__CQE_NOTIF);
	else
		peal__soft_complete(ring, sqe->user_data, (int)op->result, 0);
}

/* A way that stays cut: the network has what it needs, and nobody waits. */
static void on_give_up(struct peal_sim *world, struct sim_event *event)
{
	struct sim_op *op = (struct sim_op *)event;

	(void)world;
	peal__sim_zc_forget(op);
	notice(op);
}

void peal__sim_zc_sent(struct sim_op *op, int64_t result)
{
	struct peal_ring *ring = op->ring;
	struct peal_sim_node *node = sim_node_of(op);

	peal__sim_unwait(op);	/* fd may be closed for good meanwhile */
	op->state = OP_LENT;
	op->result = result;
	op->told = !peal__sim_fault(node, PEAL_SIM_CQ_FULL) &&
		   peal__soft_room(ring);
	if (op->told)
		peal__soft_more(ring, sim_sqe(op)->user_data, (int)result,
				PEAL__CQE_MORE);
	if (op->lent)
		peal__sim_event_add(node->world, &op->event,
				    node->world->now + SIM_GIVE_UP_NS,
				    on_give_up);
	else
		notice(op);
	if (peal__sim_fault(node, PEAL_SIM_CRASH))
		peal__sim_doom(node, sim_below(node->world, PEAL_S));
}

/* --- the buffer ---------------------------------------------------------- */

void peal__sim_lend(struct sim_packet *packet, struct sim_op *lender,
		    const struct iovec *parts, size_t count)
{
	if (!lender || !packet->len)
		return;
	packet->lent = malloc(count * sizeof(*parts));
	if (!packet->lent)
		return;		/* it has its copy */
	memcpy(packet->lent, parts, count * sizeof(*parts));
	packet->lent_count = count;
	packet->lender = lender;
	packet->lent_prev = NULL;
	packet->lent_next = lender->lent;
	if (lender->lent)
		lender->lent->lent_prev = packet;
	lender->lent = packet;
	lender->was_lent = 1;
}

static void unlink_packet(struct sim_packet *packet)
{
	struct sim_op *op = packet->lender;

	*(packet->lent_prev ? &packet->lent_prev->lent_next : &op->lent) =
		packet->lent_next;
	if (packet->lent_next)
		packet->lent_next->lent_prev = packet->lent_prev;
	packet->lender = NULL;
	free(packet->lent);
	packet->lent = NULL;
}

/* The bytes as they are now. 1: they are others than those that were sent. */
static int fetch(struct sim_packet *packet)
{
	uint32_t at = 0;
	int changed = 0;
	size_t i;

	for (i = 0; i < packet->lent_count; i++) {
		const struct iovec *part = &packet->lent[i];

		if (part->iov_len && memcmp(packet->data + at, part->iov_base,
					    part->iov_len)) {
			changed = 1;
			memcpy(packet->data + at, part->iov_base,
			       part->iov_len);
		}
		at += (uint32_t)part->iov_len;
	}
	return changed;
}

static void take(struct sim_packet *packet)
{
	struct sim_op *op = packet->lender;
	const struct peal__sqe *sqe = sim_sqe(op);
	struct peal_sim_node *node = sim_node_of(op);

	if (fetch(packet) && !op->changed) {
		op->changed = 1;
		node->reused++;
		peal__sim_tell(node, SIM_REUSED, sqe->opcode,
			       sim_told_fd(sqe), packet->len, sqe->user_data);
	}
	unlink_packet(packet);
}

static void give_back(struct sim_packet *packet,
		      void (*how)(struct sim_packet *packet))
{
	struct sim_op *op = packet->lender;

	if (!op)
		return;
	how(packet);
	if (!op->lent && op->state == OP_LENT)
		notice(op);
}

void peal__sim_take(struct sim_packet *packet)
{
	give_back(packet, take);
}

void peal__sim_unlend(struct sim_packet *packet)
{
	give_back(packet, unlink_packet);
}

void peal__sim_zc_forget(struct sim_op *op)
{
	while (op->lent)
		take(op->lent);
}

uint64_t peal_sim_reused(struct peal_sim_node *node)
{
	return node->reused;
}
