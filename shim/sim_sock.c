/* SPDX-License-Identifier: MIT */
/* Making simulated sockets and pipes; sim_node.h's calls on them. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "shim/sim_net.h"

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

int64_t peal__sim_socket(struct sim_op *op)
{
	const struct peal__sqe *sqe = sim_sqe(op);
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
	file = peal__sim_sock_open(sock, flags & SOCK_NONBLOCK
						 ? O_RDWR | O_NONBLOCK
						 : O_RDWR);
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

/* --- calls that no op has ------------------------------------------------ */

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
