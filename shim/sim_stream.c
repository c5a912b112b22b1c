/* SPDX-License-Identifier: MIT */
/*
 * Simulated streams: TCP, unix sockets, pipes. What was sent counts against
 * the receiver's buffer from then on, so that a slow reader holds its sender.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "shim/sim_net.h"


/* --- the receiver's buffer ----------------------------------------------- */

static int grow(struct sim_sock *sock, uint32_t need)
{
	uint32_t room = sock->rx_room ? sock->rx_room : 256, first;
	uint8_t *rx;

	while (room < need)
		room *= 2;
	rx = malloc(room);
	if (!rx)
		return -ENOMEM;
	first = sock->rx_room - sock->rx_head;
	if (first > sock->rx_len)
		first = sock->rx_len;
	if (sock->rx_len) {
		memcpy(rx, sock->rx + sock->rx_head, first);
		memcpy(rx + first, sock->rx, sock->rx_len - first);
	}
	free(sock->rx);
	sock->rx = rx;
	sock->rx_room = room;
	sock->rx_head = 0;
	return 0;
}

int peal__sim_stream_append(struct sim_sock *sock, const void *buf,
			    uint32_t len, struct sim_rights *rights)
{
	uint32_t tail, first;

	if (sock->rx_room - sock->rx_len < len &&
	    grow(sock, sock->rx_len + len) < 0)
		return -ENOMEM;
	tail = (sock->rx_head + sock->rx_len) & (sock->rx_room - 1);
	first = sock->rx_room - tail < len ? sock->rx_room - tail : len;
	memcpy(sock->rx + tail, buf, first);
	memcpy(sock->rx, (const uint8_t *)buf + first, len - first);
	sock->rx_len += len;
	if (rights)
		peal__sim_rights_queue(sock, rights, len);
	return 0;
}

static void copy_out(const struct sim_sock *sock, void *buf, uint32_t len)
{
	uint32_t first = sock->rx_room - sock->rx_head;

	first = first < len ? first : len;
	memcpy(buf, sock->rx + sock->rx_head, first);
	memcpy((uint8_t *)buf + first, sock->rx, len - first);
}

/* --- reading ------------------------------------------------------------- */

/* What there is to say when there is no data. */
static int64_t empty(struct sim_sock *sock)
{
	int error = sock->error;

	if (error) {
		sock->error = 0;
		return error;
	}
	if (sock->eof || sock->no_read || sock->reset)
		return 0;
	if (sock->state == SOCK_CONNECTED)
		return SIM_WAIT;
	return sock->family == AF_UNIX ? -EINVAL : -ENOTCONN;
}

int64_t peal__sim_stream_read(struct sim_sock *sock, void *buf, uint64_t len,
			int peek)
{
	uint32_t part = sock->rx_len < len ? sock->rx_len : (uint32_t)len;

	if (sock->taken)
		return 0;	/* descriptors end what is read at once */
	if (!sock->rx_len || sock->no_read)
		return empty(sock);
	if (sock->rights && sock->rights->end - sock->rx_read < part)
		part = (uint32_t)(sock->rights->end - sock->rx_read);
	if (part > 1 && peal__sim_fault(sock->node, PEAL_SIM_SHORT))
		part = 1 + (uint32_t)sim_below(sock->node->world, part);
	copy_out(sock, buf, part);
	peal__sim_rights_pass(sock, part, peek);
	if (peek)
		return part;
	sock->rx_read += part;
	sock->rx_len -= part;
	sock->rx_head = sock->rx_len
				? (sock->rx_head + part) & (sock->rx_room - 1)
				: 0;
	if (sock->peer)
		peal__sim_sock_wake(sock->peer, POLLOUT);
	return part;
}

/* --- writing ------------------------------------------------------------- */

static int is_local(const struct sim_sock *sock)
{
	return sock->family == AF_UNIX;
}

/* What is wrong with a stream that is to be written to; 0: nothing. */
static int64_t broken(struct sim_sock *sock)
{
	int error = sock->error;

	if (error) {
		sock->error = 0;
		return error;
	}
	if (sock->no_write || sock->reset)
		return -EPIPE;
	if (sock->state != SOCK_CONNECTED)
		return sock->family == AF_UNIX ? -ENOTCONN : -EPIPE;
	if (is_local(sock) && (!sock->peer || sock->peer->closed ||
			       sock->peer->no_read))
		return -EPIPE;
	return 0;
}

int64_t peal__sim_stream_room(struct sim_sock *sock)
{
	const struct sim_sock *peer = sock->peer;
	int64_t rc = broken(sock);
	uint32_t used;

	if (rc < 0)
		return rc;
	if (!peer)
		return sock->unheard ? SIM_WAIT : SIM_PIPE_BUFFER;
	used = peer->rx_len + peer->coming;
	return used < peer->rx_most ? peer->rx_most - used : SIM_WAIT;
}

static void break_both(struct sim_sock *sock)
{
	if (sock->peer)
		peal__sim_signal(sock, sock->peer, PACKET_RESET);
	peal__sim_sock_fail(sock, -ECONNRESET);
	sock->error = 0;	/* told by the op that met it */
}

static void on_give_up(struct peal_sim *world, struct sim_event *event)
{
	struct sim_sock *sock = (struct sim_sock *)
		((char *)event - offsetof(struct sim_sock, retry));

	(void)world;
	if (sock->silent)
		peal__sim_sock_fail(sock, -ETIMEDOUT);
}

/* To a machine that has crashed. */
static int64_t send_in_vain(struct sim_sock *sock, uint64_t len)
{
	struct peal_sim *world = sock->node->world;

	sock->unheard = 1;
	if (!sock->retry.queued)
		peal__sim_event_add(world, &sock->retry,
				    world->now + SIM_GIVE_UP_NS,
				    on_give_up);
	if (sock->peer_node && sock->peer_node->up)
		peal__sim_signal(sock, sock, PACKET_RESET);
	return (int64_t)len;
}

static int send_part(struct sim_sock *sock, const void *buf, uint32_t len)
{
	struct peal_sim_node *node = sock->node;
	struct sim_sock *peer = sock->peer;
	struct iovec part = { (void *)(uintptr_t)buf, len };
	struct sim_packet *packet;
	uint64_t delay = 0;

	if (!is_local(sock)) {
		delay = peal__sim_net_delay(node, peer->node);
		if (peal__sim_fault(node, PEAL_SIM_SLOW))
			delay += sim_below(node->world, PEAL_S);
		if (node != peer->node && peal__sim_fault(node, PEAL_SIM_LOSS))
			delay += 200 * PEAL_MS;
	}
	if (!delay && !peer->coming && peer->state == SOCK_CONNECTED &&
	    !peer->closed &&
	    !peal__sim_is_cut(node->world, node, peer->node)) {
		if (peer->no_read)
			return 0;
		if (peal__sim_stream_append(peer, buf, len, sock->giving) < 0)
			return -ENOMEM;
		sock->giving = NULL;
		peal__sim_sock_wake(peer, POLLIN);
		return 0;
	}
	packet = peal__sim_packet_new(sock, peer, PACKET_DATA, buf, len);
	if (!packet)
		return -ENOMEM;
	packet->rights = sock->giving;
	sock->giving = NULL;
	peal__sim_lend(packet, sock->lender, &part, 1);
	peal__sim_packet_send(packet, delay);
	return 0;
}

int64_t peal__sim_stream_write(struct sim_sock *sock, const void *buf,
			       uint64_t len)
{
	struct peal_sim_node *node = sock->node;
	int64_t room = peal__sim_stream_room(sock);
	uint32_t part, first;
	int rc;

	if (room < 0)
		return room;
	if (sock->type == SIM_PIPE && len <= SIM_PIPE_ATOMIC &&
	    (uint64_t)room < len)
		return SIM_WAIT;
	part = (uint64_t)room < len ? (uint32_t)room : (uint32_t)len;
	if (part > 1 && peal__sim_fault(node, PEAL_SIM_SHORT))
		part = 1 + (uint32_t)sim_below(node->world, part);
	if (!sock->peer)
		return send_in_vain(sock, part);
	if (!is_local(sock) && peal__sim_fault(node, PEAL_SIM_RESET)) {
		break_both(sock);
		return -ECONNRESET;
	}
	first = part;
	if (part > 1 && peal__sim_fault(node, PEAL_SIM_SPLIT))
		first = 1 + (uint32_t)sim_below(node->world, part - 1);
	rc = send_part(sock, buf, first);
	if (rc == 0 && first < part)
		rc = send_part(sock, (const uint8_t *)buf + first,
			       part - first);
	return rc < 0 ? rc : (int64_t)part;
}

void peal__sim_stream_end(struct sim_sock *sock)
{
	struct sim_sock *peer = sock->peer;

	if (sock->no_write || !peer)
		return;
	sock->no_write = 1;
	if (is_local(sock)) {
		peer->eof = 1;
		peal__sim_sock_wake(peer, POLLIN | POLLRDHUP | POLLHUP);
	} else {
		peal__sim_signal(sock, peer, PACKET_END);
	}
}
