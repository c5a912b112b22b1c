/* SPDX-License-Identifier: MIT */
/*
 * Simulated connections: a question (PACKET_ASK) to where somebody may listen,
 * and its answer.
 *
 *   connect -> ask -> queue of the listener -> yes -> connected
 *                  -> nobody                -> no  -> -ECONNREFUSED
 *                  -> no room, no way       -> asked again after 1, 2, 4, ... s
 *
 * Unix sockets need no packets.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "shim/sim_net.h"

#define MOST_TRIES	7	/* 127 s in all */

/* --- the listener's queue ------------------------------------------------ */

static int has_place(const struct sim_sock *listener)
{
	return listener->queued <= listener->backlog;
}

/* The server's end of a connection, in the queue; NULL: no memory. */
static struct sim_sock *enqueue(struct sim_sock *listener,
				struct sim_sock *client)
{
	struct sim_sock *sock = peal__sim_sock_new(
		listener->node, listener->family, listener->type);

	if (!sock)
		return NULL;
	sock->state = SOCK_CONNECTED;
	sock->rx_most = listener->rx_most;
	sock->local = listener->local;
	sock->remote = client->local;
	peal__sim_sock_pair(sock, client);
	if (listener->queue_last)
		listener->queue_last->queue_next = sock;
	else
		listener->queue = sock;
	listener->queue_last = sock;
	listener->queued++;
	peal__sim_sock_wake(listener, POLLIN);
	return sock;
}

static struct sim_sock *dequeue(struct sim_sock *listener)
{
	struct sim_sock *sock = listener->queue;

	listener->queue = sock->queue_next;
	if (!listener->queue)
		listener->queue_last = NULL;
	listener->queued--;
	sock->queue_next = NULL;
	return sock;
}

void peal__sim_listener_close(struct sim_sock *listener)
{
	while (listener->queue) {
		struct sim_sock *sock = dequeue(listener);

		if (sock->peer && sock->family == AF_UNIX)
			peal__sim_sock_fail(sock->peer, -ECONNRESET);
		else if (sock->peer)
			peal__sim_signal(sock, sock->peer, PACKET_RESET);
		peal__sim_sock_unpair(sock);
		peal__sim_sock_close(sock);
	}
}

int64_t peal__sim_accept(struct sim_op *op)
{
	const struct peal__sqe *sqe = sim_sqe(op);
	struct sim_sock *listener = op->file->sock, *sock;
	struct sim_file *file;
	int rc;

	if (listener->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	if (listener->state != SOCK_LISTENS)
		return -EINVAL;
	sock = listener->queue;
	if (!sock)
		return SIM_WAIT;
	rc = peal__sim_has_place(op);	/* or the connection stays */
	if (rc < 0)
		return rc;
	file = peal__sim_file_new(listener->node, SIM_SOCK,
			    O_RDWR | (sqe->op_flags & SOCK_NONBLOCK
					      ? O_NONBLOCK : 0));
	if (!file)
		return -ENOMEM;
	dequeue(listener);
	file->sock = sock;
	sock->file = file;
	peal__sim_put_addr(&sock->remote, sqe->addr, sqe->off);
	return peal__sim_place(op, file);
}

/* --- asking -------------------------------------------------------------- */

static void on_retry(struct peal_sim *world, struct sim_event *event);

static void ask(struct sim_sock *sock)
{
	struct peal_sim_node *node = sock->node;
	struct peal_sim_node *to = peal__sim_node_at(node, &sock->remote);
	struct sim_packet *packet = NULL;

	if (to)
		packet = peal__sim_packet_new(sock, NULL, PACKET_ASK, NULL, 0);
	if (packet) {
		packet->to_node = to;
		packet->target = sock->remote;
		peal__sim_packet_send(packet, peal__sim_net_delay(node, to));
	}
	peal__sim_event_add(node->world, &sock->retry,
		      node->world->now + (PEAL_S << sock->tries), on_retry);
	sock->tries++;
}

static void on_retry(struct peal_sim *world, struct sim_event *event)
{
	struct sim_sock *sock = (struct sim_sock *)
		((char *)event - offsetof(struct sim_sock, retry));

	(void)world;
	if (sock->state != SOCK_CONNECTING)
		return;
	if (sock->tries < MOST_TRIES)
		ask(sock);
	else
		peal__sim_sock_fail(sock, -ETIMEDOUT);
}

static void answer(struct sim_packet *question, enum sim_packet_kind kind)
{
	struct sim_packet *packet = peal__sim_packet_new(question->from,
						   question->from, kind, NULL,
						   0);

	if (!packet)
		return;		/* it asks again */
	packet->from_node = question->to_node;
	packet->boots = packet->from_node->boots;
	peal__sim_packet_send(packet, peal__sim_net_delay(question->to_node,
					      question->from->node));
}

void peal__sim_asked(struct sim_packet *packet)
{
	struct sim_sock *client = packet->from, *listener;

	if (client->state != SOCK_CONNECTING || client->peer ||
	    client->closed || client->reset)
		return;
	listener = peal__sim_find_bound(packet->to_node, client->type,
				  &packet->target, 1);
	if (!listener)
		answer(packet, PACKET_NO);
	else if (has_place(listener) &&
		 !peal__sim_fault(packet->to_node, PEAL_SIM_REFUSE) &&
		 enqueue(listener, client))
		answer(packet, PACKET_YES);
}

/* From a machine that has crashed since, whatever its next boot has said. */
static int is_of_the_dead(const struct sim_packet *packet)
{
	return packet->kind == PACKET_YES &&
	       (!packet->to->peer ||
		packet->boots != packet->from_node->boots);
}

void peal__sim_answered(struct sim_packet *packet)
{
	struct sim_sock *sock = packet->to;

	if (sock->state != SOCK_CONNECTING || sock->closed || sock->reset)
		return;
	if (is_of_the_dead(packet))
		return;
	peal__sim_event_remove(sock->node->world, &sock->retry);
	if (packet->kind == PACKET_NO) {
		peal__sim_sock_fail(sock, -ECONNREFUSED);
		return;
	}
	sock->state = SOCK_CONNECTED;
	peal__sim_sock_wake(sock, POLLOUT);
}

/* --- connect ------------------------------------------------------------- */

/* While a unix listener has no place the connect waits on its own file, and is
 * tried again each millisecond. */
static void on_place(struct peal_sim *world, struct sim_event *event)
{
	struct sim_op *op = (struct sim_op *)event;

	(void)world;
	if (op->file)
		peal__sim_wake(op->file, POLLOUT);
}

static int64_t connect_unix(struct sim_op *op, const struct sim_addr *addr)
{
	struct sim_sock *sock = op->file->sock, *listener;
	struct peal_sim *world = sock->node->world;
	int rc = peal__sim_find_unix(sock->node, addr, &listener);

	if (rc < 0)
		return rc;
	if (listener->type != sock->type)
		return -EPROTOTYPE;
	if (listener->state != SOCK_LISTENS)
		return -ECONNREFUSED;
	if (!has_place(listener)) {
		peal__sim_event_remove(world, &op->event);
		peal__sim_event_add(world, &op->event, world->now + PEAL_MS,
			      on_place);
		return SIM_WAIT;
	}
	if (!enqueue(listener, sock))
		return -ENOMEM;
	sock->remote = *addr;
	sock->state = SOCK_CONNECTED;
	return 0;
}

static int64_t connect_message(struct sim_sock *sock,
			       const struct sim_addr *addr)
{
	struct sim_sock *peer;
	int rc = peal__sim_auto_bind(sock);

	if (rc == 0 && sock->family == AF_UNIX)
		rc = peal__sim_find_unix(sock->node, addr, &peer);
	if (rc < 0)
		return rc;
	sock->remote = *addr;
	sock->state = SOCK_CONNECTED;
	return 0;
}

static int64_t begin(struct sim_sock *sock, const struct sim_addr *addr)
{
	int rc = peal__sim_auto_bind(sock);

	if (rc < 0)
		return rc;
	sock->remote = *addr;
	sock->local = peal__sim_source(sock, addr);
	sock->state = SOCK_CONNECTING;
	sock->tries = 0;
	ask(sock);
	return SIM_WAIT;
}

int64_t peal__sim_connect(struct sim_op *op)
{
	const struct peal__sqe *sqe = sim_sqe(op);
	struct sim_sock *sock = op->file->sock;
	struct sim_addr addr;
	int error = sock->error, rc;

	if (op->progress) {	/* it had asked */
		sock->error = 0;
		if (error || sock->reset)
			return error ? error : -ECONNABORTED;
		return sock->state == SOCK_CONNECTED ? 0 : SIM_WAIT;
	}
	rc = peal__sim_get_addr(sock, sqe->addr, sqe->off, &addr);
	if (rc < 0)
		return rc;
	if (sock->type == SOCK_DGRAM)
		return connect_message(sock, &addr);
	if (sock->state == SOCK_CONNECTING)
		return -EALREADY;
	if (sock->state == SOCK_CONNECTED)
		return -EISCONN;
	if (sock->state == SOCK_LISTENS)
		return -EISCONN;
	if (sock->family == AF_UNIX)
		return connect_unix(op, &addr);
	op->progress = 1;
	return begin(sock, &addr);
}

/* --- names --------------------------------------------------------------- */

static const char *number_of(struct peal_sim *world, const char *host,
			     char *text, size_t len)
{
	struct peal_sim_node *node;

	if (!host || strcmp(host, "localhost") == 0)
		return host ? "127.0.0.1" : NULL;
	for (node = world->nodes; node; node = node->next) {
		if (strcmp(node->name, host) != 0)
			continue;
		snprintf(text, len, "10.0.%u.%u", node->index >> 8 & 255,
			 node->index & 255);
		return text;
	}
	return host;
}

/* Numbers only, so that the C library asks nobody: the list has to be its own,
 * for freeaddrinfo(3). */
int64_t peal__sim_resolve(struct sim_op *op)
{
	const struct peal__sqe *sqe = sim_sqe(op);
	const struct addrinfo *asked = sim_pointer(sqe->pad);
	struct addrinfo hints = { .ai_family = AF_UNSPEC }, *list = NULL;
	char text[32];
	int error;

	if (asked)
		hints = *asked;
	hints.ai_flags &= ~(AI_ADDRCONFIG | AI_V4MAPPED | AI_CANONNAME);
	hints.ai_flags |= AI_NUMERICHOST | AI_NUMERICSERV;
	error = getaddrinfo(number_of(sim_node_of(op)->world,
				      sim_pointer(sqe->addr), text,
				      sizeof text),
			    sim_pointer(sqe->off), &hints, &list);
	if (error)
		return -peal__resolve_error(error);
	*(struct addrinfo **)sim_pointer(sqe->addr3) = list;
	return 0;
}
