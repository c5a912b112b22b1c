/* SPDX-License-Identifier: MIT */
/*
 * What is on its way in a simulated network: how long it takes, what becomes
 * of it, and partitions. Streams lose nothing: what meets a cut way is parked,
 * and sent again when that is mended; a lost segment comes later. Datagrams
 * are lost, doubled and overtaken.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "shim/sim_net.h"

#define AGAIN_NS	(200 * PEAL_MS)	/* until a lost segment is sent again */

int peal__sim_is_cut(struct peal_sim *world, const struct peal_sim_node *from,
	       const struct peal_sim_node *to)
{
	const struct sim_cut *cut;

	for (cut = world->cuts; cut; cut = cut->next)
		if (cut->from == from && cut->to == to)
			return 1;
	return 0;
}

uint64_t peal__sim_net_delay(struct peal_sim_node *from,
			     struct peal_sim_node *to)
{
	if (from == to && !from->net_set)
		return 0;
	return peal__sim_latency(from, PEAL_SIM_NET, sim_random(from->world));
}

struct sim_packet *peal__sim_packet_new(struct sim_sock *from,
					struct sim_sock *to,
					enum sim_packet_kind kind,
					const void *data, uint32_t len)
{
	struct sim_packet *packet = calloc(1, sizeof *packet + len);

	if (!packet)
		return NULL;
	packet->kind = kind;
	packet->from = from;
	packet->to = to;
	packet->from_node = from->node;
	packet->to_node = to ? to->node : NULL;
	packet->len = len;
	if (len && data)
		memcpy(packet->data, data, len);
	peal__sim_sock_hold(from);
	if (to)
		peal__sim_sock_hold(to);
	if (to && kind == PACKET_DATA)
		to->coming += len;
	return packet;
}

void peal__sim_packet_free(struct sim_packet *packet)
{
	if (packet->to && packet->kind == PACKET_DATA)
		packet->to->coming -= packet->len;
	peal__sim_unlend(packet);
	peal__sim_rights_drop(packet->from_node->world, packet->rights);
	peal__sim_sock_drop(packet->from);
	if (packet->to)
		peal__sim_sock_drop(packet->to);
	free(packet);
}

static void park(struct peal_sim *world, struct sim_packet *packet)
{
	packet->next = NULL;
	if (world->parked_last)
		world->parked_last->next = packet;
	else
		world->parked = packet;
	world->parked_last = packet;
}

/* Does it have to wait for a way? A question is asked again by who asked. */
static int is_lost(const struct sim_packet *packet)
{
	return packet->kind == PACKET_MESSAGE || packet->kind == PACKET_ASK;
}

static void on_arrival(struct peal_sim *world, struct sim_event *event)
{
	struct sim_packet *packet = (struct sim_packet *)event;

	if (peal__sim_is_cut(world, packet->from_node, packet->to_node) ||
	    (!packet->to_node->up && !packet->to)) {
		if (is_lost(packet))
			peal__sim_packet_free(packet);
		else
			park(world, packet);
		return;
	}
	peal__sim_tell(packet->to_node, SIM_ARRIVED, packet->kind, 0,
		       packet->len, 0);
	peal__sim_take(packet);
	peal__sim_packet_arrived(packet);
}

/* In order, where there is one. */
void peal__sim_packet_send(struct sim_packet *packet, uint64_t delay_ns)
{
	struct peal_sim *world = packet->from_node->world;
	uint64_t due = world->now + delay_ns;

	if (packet->kind != PACKET_MESSAGE && packet->to) {
		if (due < packet->to->last_due)
			due = packet->to->last_due;
		packet->to->last_due = due;
	}
	peal__sim_event_add(world, &packet->event, due, on_arrival);
}

static uint64_t stream_delay(struct peal_sim_node *from,
			     struct peal_sim_node *to)
{
	uint64_t delay = peal__sim_net_delay(from, to);

	if (peal__sim_fault(from, PEAL_SIM_SLOW))
		delay += sim_below(from->world, PEAL_S);
	if (from != to && peal__sim_fault(from, PEAL_SIM_LOSS))
		delay += AGAIN_NS;
	return delay;
}

void peal__sim_signal(struct sim_sock *from, struct sim_sock *to,
		enum sim_packet_kind kind)
{
	struct sim_packet *packet =
		peal__sim_packet_new(from, to, kind, NULL, 0);

	if (packet)
		peal__sim_packet_send(packet,
				      stream_delay(from->node, to->node));
	else
		peal__sim_sock_fail(to, -ENOMEM);
}

/* --- arriving ------------------------------------------------------------ */

/* Nobody is there any more. A machine that is down says nothing. */
static void refuse(struct sim_packet *packet)
{
	struct sim_sock *from = packet->from;

	if (packet->kind == PACKET_RESET || from->closed || from->reset)
		return;
	if (packet->to_node->up) {
		peal__sim_signal(packet->to, from, PACKET_RESET);
		return;
	}
	from->silent = from->unheard = 1;
	from->peer_node = packet->to_node;
}

static void take_data(struct sim_packet *packet)
{
	struct sim_sock *to = packet->to;

	if (to->no_read)
		return;
	if (peal__sim_stream_append(to, packet->data, packet->len,
				    packet->rights) < 0)
		peal__sim_sock_fail(to, -ENOMEM);
	else
		packet->rights = NULL;
	peal__sim_sock_wake(to, POLLIN);
}

/* Of a connection that has been given up: its machine crashed, and the socket
 * asks again, or has another peer. What a socket sends itself is the reset that
 * a machine answers with which knows nothing of it. */
static int is_stale(const struct sim_packet *packet)
{
	const struct sim_sock *to = packet->to;

	if (packet->from == to)
		return !to->silent;
	return to->state == SOCK_CONNECTING ||
	       (to->peer && to->peer != packet->from);
}

static void take_stream(struct sim_packet *packet)
{
	struct sim_sock *to = packet->to;

	if (is_stale(packet))
		return;
	if (to->closed) {
		refuse(packet);
		return;
	}
	switch (packet->kind) {
	case PACKET_DATA:
		take_data(packet);
		break;
	case PACKET_END:
		to->eof = 1;
		peal__sim_sock_wake(to, POLLIN | POLLRDHUP | POLLHUP);
		break;
	case PACKET_RESET:
		peal__sim_sock_fail(to, to->eof ? -EPIPE : -ECONNRESET);
		break;
	default:
		break;
	}
}

void peal__sim_packet_arrived(struct sim_packet *packet)
{
	switch (packet->kind) {
	case PACKET_MESSAGE:
		peal__sim_message_arrived(packet);
		return;		/* it may be kept */
	case PACKET_ASK:
		peal__sim_asked(packet);
		break;
	case PACKET_YES:
	case PACKET_NO:
		peal__sim_answered(packet);
		break;
	default:
		take_stream(packet);
	}
	peal__sim_packet_free(packet);
}

/* --- partitions ---------------------------------------------------------- */

/* What is parked and has a way again, in its order. */
static void mended(struct peal_sim *world)
{
	struct sim_packet *packet = world->parked, *next;

	world->parked = world->parked_last = NULL;
	for (; packet; packet = next) {
		next = packet->next;
		if (peal__sim_is_cut(world, packet->from_node, packet->to_node))
			park(world, packet);
		else
			peal__sim_packet_send(packet,
					peal__sim_net_delay(packet->from_node,
						      packet->to_node) +
					AGAIN_NS);
	}
}

void peal__sim_net_forget(struct peal_sim *world)
{
	while (world->parked) {
		struct sim_packet *packet = world->parked;

		world->parked = packet->next;
		peal__sim_packet_free(packet);
	}
	world->parked_last = NULL;
}

void peal_sim_cut(struct peal_sim_node *from, struct peal_sim_node *to,
		  int cut)
{
	struct peal_sim *world = from->world;
	struct sim_cut **at = &world->cuts, *one;

	while (*at && ((*at)->from != from || (*at)->to != to))
		at = &(*at)->next;
	if (!cut == !*at)
		return;
	if (!cut) {
		one = *at;
		*at = one->next;
		free(one);
		mended(world);
		return;
	}
	one = calloc(1, sizeof *one);
	MUST(one, "no memory for a cut", "sim_cut");
	one->from = from;
	one->to = to;
	one->next = world->cuts;
	world->cuts = one;
}
