/* SPDX-License-Identifier: MIT */
/* Socket operations: each fills one entry. Sends carry MSG_NOSIGNAL. */
#include "lib/direct.h"
#include "lib/start.h"

peal_op peal_socket(struct peal_ring *ring, int domain, int type,
		    int protocol, unsigned flags,
		    peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	/* There is no fd yet; the domain comes to stand in its place. */
	peal_op op = peal__start(ring, &sqe, PEAL__OP_SOCKET, -1,
				 flags & ~PEAL_DIRECT, handler, ctx);

	if (op < 0)
		return op;
	sqe->fd = domain;
	sqe->off = (uint32_t)(type | SOCK_CLOEXEC);
	sqe->len = (uint32_t)protocol;
	if (peal__direct_can(ring, PEAL__OP_SOCKET, flags))
		peal__direct_wish(ring, op, sqe);
	return op;
}

peal_op peal_bind(struct peal_ring *ring, peal_fd fd,
		  const struct sockaddr *addr, socklen_t addr_len,
		  unsigned flags, peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_BIND, fd, addr, 0, addr_len, 0,
			      flags, handler, ctx);
}

peal_op peal_listen(struct peal_ring *ring, peal_fd fd, int backlog,
		    unsigned flags, peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_LISTEN, fd, NULL,
			      (uint32_t)backlog, 0, 0, flags, handler, ctx);
}

peal_op peal_shutdown(struct peal_ring *ring, peal_fd fd, int how,
		      unsigned flags, peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_SHUTDOWN, fd, NULL, (uint32_t)how,
			      0, 0, flags, handler, ctx);
}

peal_op peal_accept(struct peal_ring *ring, peal_fd fd,
		    struct sockaddr *addr, socklen_t *addr_len,
		    unsigned flags, peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	peal_op op = peal__start(ring, &sqe, PEAL__OP_ACCEPT, fd,
				 flags & ~PEAL_DIRECT, handler, ctx);

	if (op < 0)
		return op;
	sqe->off = peal__addr(addr_len);
	sqe->addr = peal__addr(addr);
	sqe->op_flags = SOCK_CLOEXEC;
	if (PEAL__WATCHES_LENT)
		peal__lend_many(ring, sqe);
	if (peal__direct_can(ring, PEAL__OP_ACCEPT, flags))
		peal__direct_wish(ring, op, sqe);
	return op;
}

peal_op peal_accept_multishot(struct peal_ring *ring, peal_fd fd,
			      unsigned flags, peal_handler *handler,
			      void *ctx)
{
	return peal__start_multishot(ring, PEAL__OP_ACCEPT, fd, SOCK_CLOEXEC,
				     flags, handler, ctx);
}

peal_op peal_connect(struct peal_ring *ring, peal_fd fd,
		     const struct sockaddr *addr, socklen_t addr_len,
		     unsigned flags, peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	peal_op op = peal__start(ring, &sqe, PEAL__OP_CONNECT, fd, flags,
				 handler, ctx);

	if (op < 0)
		return op;
	sqe->off = addr_len;
	sqe->addr = peal__addr(addr);
	return op;
}

peal_op peal_recv(struct peal_ring *ring, peal_fd fd, void *buf, size_t len,
		  int msg_flags, unsigned flags,
		  peal_handler *handler, void *ctx)
{
	if (len == 0)		/* would wait, then look like end of file */
		return -EINVAL;
	return peal__start_op(ring, PEAL__OP_RECV, fd, buf, peal__len(len), 0,
			      (uint32_t)msg_flags, flags, handler, ctx);
}

peal_op peal_send(struct peal_ring *ring, peal_fd fd, const void *buf,
		  size_t len, int msg_flags, unsigned flags,
		  peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_SEND, fd, buf, peal__len(len), 0,
			      (uint32_t)msg_flags | MSG_NOSIGNAL, flags,
			      handler, ctx);
}

peal_op peal_recvmsg(struct peal_ring *ring, peal_fd fd, struct msghdr *msg,
		     int msg_flags, unsigned flags,
		     peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_RECVMSG, fd, msg, 1, 0,
			      (uint32_t)msg_flags | MSG_CMSG_CLOEXEC, flags,
			      handler, ctx);
}

peal_op peal_sendmsg(struct peal_ring *ring, peal_fd fd,
		     const struct msghdr *msg, int msg_flags, unsigned flags,
		     peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_SENDMSG, fd, msg, 1, 0,
			      (uint32_t)msg_flags | MSG_NOSIGNAL, flags,
			      handler, ctx);
}
