/* SPDX-License-Identifier: MIT */
/* Simulated messages: datagrams, packets of SOCK_SEQPACKET. */
#include <poll.h>
#include <string.h>
#include "shim/sim_net.h"

#define MOST_LOCAL	INT32_MAX	/* bytes of a message; packet->len has
					 * 32 bits */

/* --- sending ------------------------------------------------------------- */

/* At most UINT64_MAX: a part may name more than there is memory. */
uint64_t peal__sim_sum(const struct iovec *parts, size_t count)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < count; i++)
		sum = parts[i].iov_len < UINT64_MAX - sum
			      ? sum + parts[i].iov_len : UINT64_MAX;
	return sum;
}

static struct sim_packet *gather(struct sim_sock *from, struct sim_sock *to,
				 const struct iovec *parts, size_t count)
{
	uint32_t len = (uint32_t)peal__sim_sum(parts, count), at = 0;
	struct sim_packet *packet =
		peal__sim_packet_new(from, to, PACKET_MESSAGE, NULL, len);
	size_t i;

	for (i = 0; packet && i < count; i++) {
		if (parts[i].iov_len)
			memcpy(packet->data + at, parts[i].iov_base,
			       parts[i].iov_len);
		at += (uint32_t)parts[i].iov_len;
	}
	if (packet)
		peal__sim_lend(packet, from->lender, parts, count);
	return packet;
}

static void keep(struct sim_sock *sock, struct sim_packet *packet)
{
	packet->next = NULL;
	if (sock->last_message)
		sock->last_message->next = packet;
	else
		sock->messages = packet;
	sock->last_message = packet;
	sock->coming += packet->len + 1;
	peal__sim_sock_wake(sock, POLLIN);
}

static struct sim_packet *take(struct sim_sock *sock)
{
	struct sim_packet *packet = sock->messages;

	sock->messages = packet->next;
	if (!sock->messages)
		sock->last_message = NULL;
	sock->coming -= packet->len + 1;
	return packet;
}

/* The queue keeps it; it refers to its socket no more. */
static void deliver(struct sim_sock *to, struct sim_packet *packet)
{
	if (packet->to) {
		packet->to = NULL;
		peal__sim_sock_drop(to);
	}
	keep(to, packet);
}

static int64_t send_local(struct sim_sock *sock, const struct iovec *parts,
			  size_t count, const struct sim_addr *target)
{
	struct sim_sock *peer = sock->peer;
	uint64_t len = peal__sim_sum(parts, count);
	struct sim_packet *packet;
	int rc;

	if (len > MOST_LOCAL)
		return -EMSGSIZE;
	if (!peer && target->len) {
		rc = peal__sim_find_unix(sock->node, target, &peer);
		if (rc < 0)
			return rc;
	}
	if (!peer)
		return sock->eof ? -EPIPE : -ENOTCONN;
	if (peer->closed || peer->no_read)
		return sock->type == SOCK_SEQPACKET ? -EPIPE : -ECONNREFUSED;
	if (peer->coming && peer->coming + len + 1 > peer->rx_most)
		return SIM_WAIT;
	packet = gather(sock, NULL, parts, count);
	if (!packet)
		return -ENOMEM;
	packet->source = sock->local;
	packet->rights = sock->giving;
	sock->giving = NULL;
	deliver(peer, packet);
	return (int64_t)len;
}

static void launch(struct sim_sock *sock, struct sim_packet *packet,
		   struct peal_sim_node *to)
{
	struct peal_sim_node *node = sock->node;
	uint64_t delay = peal__sim_net_delay(node, to);

	if (peal__sim_fault(node, PEAL_SIM_LOSS)) {
		peal__sim_packet_free(packet);
		return;
	}
	if (peal__sim_fault(node, PEAL_SIM_SLOW) ||
	    peal__sim_fault(node, PEAL_SIM_OVERTAKE))
		delay += sim_below(node->world, PEAL_S);
	peal__sim_packet_send(packet, delay);
}

static int64_t send_datagram(struct sim_sock *sock, const struct iovec *parts,
			     size_t count, const struct sim_addr *target)
{
	struct peal_sim_node *to = peal__sim_node_at(sock->node, target);
	unsigned copies =
		1 + (unsigned)peal__sim_fault(sock->node, PEAL_SIM_DOUBLE);
	int rc = peal__sim_auto_bind(sock);

	if (rc < 0)
		return rc;
	if (peal__sim_sum(parts, count) > SIM_DATAGRAM)
		return -EMSGSIZE;
	for (; to && copies; copies--) {
		struct sim_packet *packet = gather(sock, NULL, parts, count);

		if (!packet)
			return -ENOMEM;
		packet->to_node = to;
		packet->target = *target;
		packet->source = peal__sim_source(sock, target);
		launch(sock, packet, to);
	}
	return (int64_t)peal__sim_sum(parts, count);
}

int64_t peal__sim_message_send(struct sim_sock *sock, const struct iovec *parts,
			 size_t count, const struct sim_addr *to)
{
	int error = sock->error;

	sock->error = 0;
	if (error || sock->no_write)
		return error ? error : -EPIPE;
	if (!to->len)
		to = &sock->remote;
	if (sock->family == AF_UNIX)
		return send_local(sock, parts, count, to);
	return to->len ? send_datagram(sock, parts, count, to)
		       : -EDESTADDRREQ;
}

/* Who a connected socket does not know it does not hear. */
static int hears(const struct sim_sock *sock, const struct sim_addr *source)
{
	return sock->state != SOCK_CONNECTED ||
	       peal__sim_port(&sock->remote) == peal__sim_port(source);
}

void peal__sim_message_arrived(struct sim_packet *packet)
{
	struct sim_sock *to = peal__sim_find_bound(packet->to_node, SOCK_DGRAM,
					     &packet->target, 0);

	if (!to && packet->from->state == SOCK_CONNECTED &&
	    !packet->from->closed) {
		packet->from->error = -ECONNREFUSED;
		peal__sim_sock_wake(packet->from, POLLIN | POLLOUT | POLLERR);
	}
	if (to && hears(to, &packet->source) && !to->no_read &&
	    to->coming + packet->len < to->rx_most)
		deliver(to, packet);
	else
		peal__sim_packet_free(packet);
}

/* --- receiving ----------------------------------------------------------- */

static uint64_t scatter(const struct sim_packet *packet,
			const struct iovec *parts, size_t count)
{
	uint64_t at = 0;
	size_t i;

	for (i = 0; i < count && at < packet->len; i++) {
		uint64_t len = parts[i].iov_len < packet->len - at
				       ? parts[i].iov_len : packet->len - at;

		if (len)
			memcpy(parts[i].iov_base, packet->data + at, len);
		at += len;
	}
	return at;
}

void peal__sim_header_end(struct sim_sock *sock,
			  const struct sim_packet *packet, struct msghdr *msg,
			  unsigned flags, int cut)
{
	msg->msg_flags = cut | (int)(flags & MSG_CMSG_CLOEXEC);
	peal__sim_control_write(sock, packet, msg);
}

static int64_t nothing_there(struct sim_sock *sock)
{
	int error = sock->error;

	sock->error = 0;
	if (error)
		return error;
	if (sock->no_read || (sock->eof && sock->type == SOCK_SEQPACKET))
		return 0;
	if (sock->type == SOCK_SEQPACKET && sock->state != SOCK_CONNECTED)
		return -ENOTCONN;
	return SIM_WAIT;
}

int64_t peal__sim_message_receive(struct sim_sock *sock,
				  const struct iovec *parts, size_t count,
				  unsigned flags, struct msghdr *msg)
{
	struct sim_packet *packet = sock->messages;
	uint64_t copied, len;

	if (!packet) {
		int64_t rc = nothing_there(sock);

		if (rc == 0 && msg)
			peal__sim_header_end(sock, NULL, msg, flags, 0);
		return rc;
	}
	copied = scatter(packet, parts, count);
	len = packet->len;
	if (msg && msg->msg_name) {
		peal__sim_put_addr(&packet->source, (uintptr_t)msg->msg_name,
			     (uintptr_t)&msg->msg_namelen);
	}
	sock->taken = packet->rights;
	if (flags & MSG_PEEK && packet->rights)
		sock->taken = peal__sim_rights_copy(packet->rights);
	else
		packet->rights = NULL;
	if (msg)
		peal__sim_header_end(sock, packet, msg, flags,
			   copied < len ? MSG_TRUNC : 0);
	if (flags & MSG_PEEK)
		return (int64_t)(flags & MSG_TRUNC ? len : copied);
	peal__sim_packet_free(take(sock));
	if (sock->peer)
		peal__sim_sock_wake(sock->peer, POLLOUT);
	return (int64_t)(flags & MSG_TRUNC ? len : copied);
}
