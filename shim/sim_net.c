/* SPDX-License-Identifier: MIT */
/* Simulated sockets: making, naming, closing, polling them; a crash. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* --- making -------------------------------------------------------------- */

struct sim_file *peal__sim_sock_open(struct sim_sock *sock, int flags)
{
	struct sim_file *file = peal__sim_file_new(sock->node, SIM_SOCK, flags);

	if (!file) {
		peal__sim_sock_close(sock);
		return NULL;
	}
	file->sock = sock;
	sock->file = file;
	return file;
}

static int number_sock(struct sim_sock *sock, int flags)
{
	struct peal_sim_node *node = sock->node;
	struct sim_file *file = peal__sim_sock_open(sock, flags);

	return file ? peal__sim_fd_new(node, file) : -ENOMEM;
}

static int64_t try_socket(struct sim_op *op, const struct peal__sqe *sqe)
{
	struct sim_file *file;
	int family = sqe->fd, flags = (int)sqe->off & ~15;
	int type = (int)sqe->off & 15;
	struct sim_sock *sock;

	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return -EAFNOSUPPORT;
	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	if (type != SOCK_STREAM && type != SOCK_DGRAM &&
	    !(type == SOCK_SEQPACKET && family == AF_UNIX))
		return -ESOCKTNOSUPPORT;
	sock = peal__sim_sock_new(sim_node_of(op), family, type);
	if (!sock)
		return -ENOMEM;
	file = peal__sim_sock_open(sock, O_RDWR | (flags & SOCK_NONBLOCK ? O_NONBLOCK
							       : 0));
	return file ? peal__sim_place(op, file) : -ENOMEM;
}

static int make_pair(struct peal_sim_node *node, int type, int first_flags,
		     int second_flags, peal_fd fds[2])
{
	struct sim_sock *a = peal__sim_sock_new(node, AF_UNIX, type);
	struct sim_sock *b = a ? peal__sim_sock_new(node, AF_UNIX, type) : NULL;

	if (!b) {
		if (a)
			peal__sim_sock_close(a);
		return -ENOMEM;
	}
	peal__sim_sock_pair(a, b);
	a->state = b->state = SOCK_CONNECTED;
	fds[0] = number_sock(a, first_flags);
	if (fds[0] < 0) {
		peal__sim_sock_close(b);
		return fds[0];
	}
	fds[1] = number_sock(b, second_flags);
	if (fds[1] < 0) {
		peal__sim_fd_close(node, fds[0]);
		return fds[1];
	}
	return 0;
}

int peal_sim_pipe(struct peal_sim_node *node, peal_fd out_fds[2])
{
	return make_pair(node, SIM_PIPE, O_RDONLY, O_WRONLY, out_fds);
}

int peal_sim_socketpair(struct peal_sim_node *node, int type,
			peal_fd out_fds[2])
{
	if (type != SOCK_STREAM && type != SOCK_DGRAM &&
	    type != SOCK_SEQPACKET)
		return -EINVAL;
	return make_pair(node, type, O_RDWR, O_RDWR, out_fds);
}

static struct sim_sock *sock_at(struct peal_sim_node *node, peal_fd fd,
				int *error)
{
	struct sim_file *file = peal__sim_file_get(node, fd);

	*error = !file ? -EBADF : -ENOTSOCK;
	return file && file->kind == SIM_SOCK ? file->sock : NULL;
}

int peal_sim_name(struct peal_sim_node *node, peal_fd fd, int peer,
		  struct sockaddr *addr, socklen_t *addr_len)
{
	int error;
	struct sim_sock *sock = sock_at(node, fd, &error);

	if (!sock)
		return error;
	if (peer && sock->state != SOCK_CONNECTED)
		return -ENOTCONN;
	peal__sim_put_addr(peer ? &sock->remote : &sock->local,
		     (uintptr_t)addr, (uintptr_t)addr_len);
	return 0;
}

int peal_sim_buffer(struct peal_sim_node *node, peal_fd fd, uint32_t bytes)
{
	int error;
	struct sim_sock *sock = sock_at(node, fd, &error);

	if (!sock)
		return error;
	sock->rx_most = bytes ? bytes : 1;
	return 0;
}

int peal_sim_ancillary(struct peal_sim_node *node, peal_fd fd, unsigned what)
{
	int error;
	struct sim_sock *sock = sock_at(node, fd, &error);

	if (!sock)
		return error;
	if (what & ~(PEAL_SIM_TTL | PEAL_SIM_PKTINFO))
		return -EINVAL;
	sock->ancillary = what;
	return 0;
}

int peal_sim_socket_type(struct peal_sim_node *node, peal_fd fd)
{
	int error;
	struct sim_sock *sock = sock_at(node, fd, &error);

	if (!sock || sock->type == SIM_PIPE)
		return sock ? -ENOTSOCK : error;
	return sock->type;
}

int peal_sim_break(struct peal_sim_node *node, peal_fd fd)
{
	int error;
	struct sim_sock *sock = sock_at(node, fd, &error);

	if (!sock)
		return error;
	if (!sock->peer)
		return -ENOTCONN;
	peal__sim_signal(sock, sock->peer, PACKET_RESET);
	peal__sim_sock_fail(sock, -ECONNRESET);
	sock->error = 0;
	peal__sim_settle(node->world);
	return 0;
}

void peal__sim_sock_stat(const struct sim_sock *sock, struct peal_stat *out)
{
	out->inode = sock->number;
	out->mode = (uint16_t)((sock->type == SIM_PIPE ? S_IFIFO : S_IFSOCK) |
			       0600);
	out->links = 1;
	out->dev_major = 1;
	out->dev_minor = sock->node->index;
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
		return try_socket(op, sqe);
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
