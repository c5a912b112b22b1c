/* SPDX-License-Identifier: MIT */
/* Simulated sockets: their life, a crash, poll; and the ops that are short. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include "shim/sim_net.h"

/* --- life ---------------------------------------------------------------- */

struct sim_sock *peal__sim_sock_new(struct peal_sim_node *node, int family,
				    int type)
{
	struct sim_sock *sock = calloc(1, sizeof *sock);

	if (!sock)
		return NULL;
	sock->node = node;
	sock->family = family;
	sock->type = type;
	sock->refs = 2;		/* the caller's, the node's */
	sock->number = ++node->next_inode;
	sock->rx_most = type == SIM_PIPE ? SIM_PIPE_BUFFER : SIM_BUFFER;
	sock->local.u.any.sa_family = (sa_family_t)family;
	sock->local.len = family == AF_INET ? sizeof(struct sockaddr_in)
			  : family == AF_INET6 ? sizeof(struct sockaddr_in6)
					       : sizeof(sa_family_t);
	sock->next = node->socks;
	if (node->socks)
		node->socks->prev = sock;
	node->socks = sock;
	return sock;
}

void peal__sim_sock_hold(struct sim_sock *sock)
{
	sock->refs++;
}

/* They refer to who sent them. */
static void drop_messages(struct sim_sock *sock)
{
	while (sock->messages) {
		struct sim_packet *packet = sock->messages;

		sock->messages = packet->next;
		packet->to = NULL;
		peal__sim_packet_free(packet);
	}
	sock->last_message = NULL;
}

void peal__sim_sock_drop(struct sim_sock *sock)
{
	if (--sock->refs)
		return;
	drop_messages(sock);
	peal__sim_rights_forget(sock);
	free(sock->rx);
	free(sock);
}

void peal__sim_sock_pair(struct sim_sock *a, struct sim_sock *b)
{
	a->peer = b;
	b->peer = a;
	a->peer_node = b->node;
	b->peer_node = a->node;
	peal__sim_sock_hold(a);
	peal__sim_sock_hold(b);
}

void peal__sim_sock_unpair(struct sim_sock *sock)
{
	struct sim_sock *peer = sock->peer;

	if (!peer)
		return;
	sock->peer = NULL;
	peal__sim_sock_drop(peer);
}

void peal__sim_sock_wake(struct sim_sock *sock, unsigned events)
{
	if (sock->file)
		peal__sim_wake(sock->file, events);
}

void peal__sim_sock_fail(struct sim_sock *sock, int error)
{
	if (sock->reset || sock->closed)
		return;
	sock->reset = 1;
	sock->error = error;
	sock->silent = 0;
	peal__sim_sock_unpair(sock);
	peal__sim_sock_wake(sock,
			    POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
}

/* No longer of the node: its name is free. */
static void leave_node(struct sim_sock *sock)
{
	*(sock->prev ? &sock->prev->next : &sock->node->socks) = sock->next;
	if (sock->next)
		sock->next->prev = sock->prev;
	sock->next = sock->prev = NULL;
	sock->closed = 1;
	sock->file = NULL;
	drop_messages(sock);
	peal__sim_rights_forget(sock);
	if (sock->inode) {
		sock->inode->bound = NULL;
		peal__sim_inode_drop(sock->inode);
		sock->inode = NULL;
	}
	peal__sim_sock_drop(sock);
}

static void say_goodbye(struct sim_sock *sock)
{
	struct sim_sock *peer = sock->peer;
	int unread = sock->rx_len != 0 && sock->type == SOCK_STREAM;

	if (!peer || peer->closed)
		return;
	if (sock->family == AF_UNIX) {
		if (unread)
			peer->error = -ECONNRESET;
		peer->eof = 1;
		peal__sim_sock_wake(peer, POLLIN | POLLOUT | POLLERR | POLLHUP |
				    POLLRDHUP);
	} else if (unread) {
		peal__sim_signal(sock, peer, PACKET_RESET);
	} else {
		peal__sim_stream_end(sock);
	}
}

void peal__sim_sock_close(struct sim_sock *sock)
{
	struct peal_sim *world = sock->node->world;

	sock->file = NULL;
	peal__sim_event_remove(world, &sock->retry);
	if (!sock->closed) {
		if (sock->state == SOCK_LISTENS)
			peal__sim_listener_close(sock);
		say_goodbye(sock);
		leave_node(sock);
	}
	peal__sim_sock_unpair(sock);
	peal__sim_sock_drop(sock);
}

/* --- a machine goes, and comes ------------------------------------------- */

/* A connection that was still being made is asked for again, and what came of
 * it forgotten. */
static void lose_peer(struct sim_sock *sock, uint32_t underway)
{
	peal__sim_sock_unpair(sock);
	if (sock->state != SOCK_CONNECTING) {
		sock->silent = 1;
		sock->unheard = sock->unheard || underway;
		return;
	}
	sock->rx_len = sock->rx_head = 0;
	sock->eof = 0;
}

/* Its peers are not told. */
void peal__sim_net_crash(struct peal_sim_node *node)
{
	struct peal_sim *world = node->world;

	world->dropping = 1;	/* what is on its way goes when all are gone */
	while (node->socks) {
		struct sim_sock *sock = node->socks, *peer = sock->peer;

		peal__sim_sock_hold(sock);
		peal__sim_event_remove(world, &sock->retry);
		if (peer && peer->node != node && !peer->closed)
			lose_peer(peer, sock->coming);
		leave_node(sock);
		while (sock->queue) {
			struct sim_sock *waiting = sock->queue;

			sock->queue = waiting->queue_next;
			peal__sim_sock_drop(waiting);
		}
		peal__sim_sock_unpair(sock);
		peal__sim_sock_drop(sock);
	}
	peal__sim_rights_drain(world);
}

/* What was sent to it meanwhile is answered now: by a reset. */
void peal__sim_net_boot(struct peal_sim_node *node)
{
	struct peal_sim_node *other;
	struct sim_sock *sock;

	for (other = node->world->nodes; other; other = other->next)
		for (sock = other->socks; sock; sock = sock->next)
			if (sock->silent && sock->unheard &&
			    sock->peer_node == node)
				peal__sim_signal(sock, sock, PACKET_RESET);
}

/* --- poll ---------------------------------------------------------------- */

static int has_input(const struct sim_sock *sock)
{
	return sock->rx_len || sock->messages || sock->queue || sock->eof ||
	       sock->no_read || sock->reset;
}

static int has_room(const struct sim_sock *sock)
{
	const struct sim_sock *peer = sock->peer;

	if (sock->reset || sock->no_write || !sim_is_stream(sock))
		return 1;
	if (sock->state != SOCK_CONNECTED)
		return sock->state == SOCK_IDLE;
	return !peer || peer->closed ||
	       peer->rx_len + peer->coming < peer->rx_most;
}

unsigned peal__sim_sock_events(const struct sim_sock *sock)
{
	const struct sim_sock *peer = sock->peer;
	int gone = sock->family == AF_UNIX && sock->state == SOCK_CONNECTED &&
		   (!peer || peer->closed);
	unsigned events = 0;

	if (sock->type == SIM_PIPE) {
		if ((sock->file->flags & O_ACCMODE) == O_RDONLY)
			return (sock->rx_len ? POLLIN : 0) |
			       (gone ? POLLHUP : 0);
		return (has_room(sock) ? POLLOUT : 0) | (gone ? POLLERR : 0);
	}
	if (has_input(sock))
		events |= POLLIN | POLLRDNORM;
	if (has_room(sock) && sock->state != SOCK_LISTENS)
		events |= POLLOUT | POLLWRNORM;
	if (sock->eof || sock->reset)
		events |= POLLRDHUP;
	if (sock->error)
		events |= POLLERR;
	if (sock->reset || gone || (sock->eof && sock->no_write) ||
	    (sock->type == SOCK_STREAM && sock->state == SOCK_IDLE))
		events |= POLLHUP;
	return events;
}

static int64_t try_poll(struct sim_op *op, const struct peal__sqe *sqe)
{
	unsigned wanted = sqe->op_flags | POLLERR | POLLHUP, events;

	if (op->file->kind != SIM_SOCK) {
		events = (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM) & wanted;
		return events ? (int64_t)events : -EINVAL;
	}
	events = peal__sim_sock_events(op->file->sock) & wanted;
	return events ? (int64_t)events : SIM_WAIT;
}

/* --- dispatch ------------------------------------------------------------ */

static int64_t try_bind(struct sim_sock *sock, const struct peal__sqe *sqe)
{
	struct sim_addr addr;
	int rc = peal__sim_get_addr(sock, sqe->addr, sqe->off, &addr);

	if (rc < 0)
		return rc;
	if (sock->bound || sock->state != SOCK_IDLE)
		return -EINVAL;
	return sock->family == AF_UNIX ? peal__sim_bind_unix(sock, &addr)
				       : peal__sim_bind_inet(sock, &addr);
}

static int64_t try_listen(struct sim_sock *sock, int backlog)
{
	int rc;

	if (sock->type != SOCK_STREAM && sock->type != SOCK_SEQPACKET)
		return -EOPNOTSUPP;
	if (sock->state != SOCK_IDLE && sock->state != SOCK_LISTENS)
		return -EINVAL;
	if (sock->family == AF_UNIX && !sock->bound)
		return -EINVAL;
	rc = peal__sim_auto_bind(sock);
	if (rc < 0)
		return rc;
	sock->state = SOCK_LISTENS;
	sock->backlog = backlog < 0 || backlog > 4096 ? 4096
						      : (uint32_t)backlog;
	return 0;
}

static int64_t try_shutdown(struct sim_sock *sock, unsigned how)
{
	if (how > 2)
		return -EINVAL;
	if (sock->state != SOCK_CONNECTED || sock->reset)
		return -ENOTCONN;
	if (how != SHUT_WR) {
		sock->no_read = 1;
		peal__sim_sock_wake(sock, POLLIN | POLLRDHUP);
		if (sock->peer && sock->family == AF_UNIX)
			peal__sim_sock_wake(sock->peer, POLLOUT);
	}
	if (how != SHUT_RD) {
		peal__sim_stream_end(sock);
		sock->no_write = 1;
		peal__sim_sock_wake(sock, POLLOUT | (sock->eof ? POLLHUP : 0));
	}
	return 0;
}

int64_t peal__sim_net_try(struct sim_op *op)
{
	const struct peal__sqe *sqe = sim_sqe(op);
	struct sim_sock *sock;

	if (sqe->opcode == PEAL__OP_SOCKET)
		return peal__sim_socket(op);
	if (sqe->opcode == PEAL__OP_POLL_ADD)
		return try_poll(op, sqe);
	sock = op->file->sock;
	if (op->file->kind != SIM_SOCK ||
	    (sock->type == SIM_PIPE &&
	     peal__op_row(sqe->opcode)->on == ON_SOCKET))
		return -ENOTSOCK;
	switch (sqe->opcode) {
	case PEAL__OP_BIND:
		return try_bind(sock, sqe);
	case PEAL__OP_LISTEN:
		return try_listen(sock, (int)sqe->len);
	case PEAL__OP_SHUTDOWN:
		return try_shutdown(sock, sqe->len);
	case PEAL__OP_CONNECT:
		return peal__sim_connect(op);
	case PEAL__OP_ACCEPT:
		return peal__sim_accept(op);
	default:
		return peal__sim_transfer(op);
	}
}
