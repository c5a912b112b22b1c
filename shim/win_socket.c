/* SPDX-License-Identifier: MIT */
/* The plain calls of sockets. */
#include "shim/win.h"

/* Not a socket, or not even open? Wine 8 has other words for it. */
static int64_t on(const struct peal__sqe *sqe, int rc)
{
	int64_t answer = rc >= 0 ? rc : peal__win_last();
	enum peal__win_kind kind;

	if (answer >= 0)
		return answer;
	kind = peal__win_kind(sqe->fd);
	if (!peal__win_is_socket(kind))
		return kind == WIN_NONE ? -EBADF : -ENOTSOCK;
	if (sqe->opcode == PEAL__OP_LISTEN && kind == WIN_DGRAM)
		return -EOPNOTSUPP;
	if (answer == -EFAULT && sqe->addr)
		return -EINVAL;	/* an address that is too short */
	return answer;
}

int64_t peal__win_new_socket(const struct peal__sqe *sqe)
{
	int type = (int)sqe->off & 0xf;
	int rc = peal__win_start_sockets();
	SOCKET s;

	if (rc < 0)
		return rc;
	s = WSASocketW(sqe->fd, type, (int)sqe->len, NULL, 0,
		       WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
	if (s == INVALID_SOCKET)
		return peal__win_last();
	return (int32_t)s;
}

int64_t peal__win_bind(const struct peal__sqe *sqe)
{
	return on(sqe, bind(peal__win_socket(sqe->fd),
			    peal__win_pointer(sqe->addr), (int)sqe->off));
}

int64_t peal__win_listen(const struct peal__sqe *sqe)
{
	return on(sqe, listen(peal__win_socket(sqe->fd), (int)sqe->len));
}

int64_t peal__win_shutdown(const struct peal__sqe *sqe)
{
	return on(sqe, shutdown(peal__win_socket(sqe->fd), (int)sqe->len));
}

/* The next three block: for opcodes that are switched off, and for sockets
 * without OVERLAPPED. */
int64_t peal__win_accept(const struct peal__sqe *sqe)
{
	SOCKET s = accept(peal__win_socket(sqe->fd),
			  peal__win_pointer(sqe->addr),
			  peal__win_pointer(sqe->off));

	return s == INVALID_SOCKET ? on(sqe, -1) : (int32_t)s;
}

int64_t peal__win_connect(const struct peal__sqe *sqe)
{
	return on(sqe, connect(peal__win_socket(sqe->fd),
			       peal__win_pointer(sqe->addr), (int)sqe->off));
}

int64_t peal__win_recv(const struct peal__sqe *sqe)
{
	return on(sqe, recv(peal__win_socket(sqe->fd),
			    peal__win_pointer(sqe->addr), (int)sqe->len,
			    (int)sqe->op_flags &
				    (MSG_OOB | MSG_PEEK | MSG_WAITALL)));
}

int64_t peal__win_send(const struct peal__sqe *sqe)
{
	return on(sqe, send(peal__win_socket(sqe->fd),
			    peal__win_pointer(sqe->addr), (int)sqe->len,
			    (int)sqe->op_flags & (MSG_OOB | MSG_DONTROUTE)));
}

int64_t peal__win_resolve(const struct peal__sqe *sqe)
{
	struct addrinfo *list = NULL, **out = peal__win_pointer(sqe->addr3);
	int rc = peal__win_start_sockets(), error;

	if (rc < 0)
		return rc;
	error = getaddrinfo(peal__win_pointer(sqe->addr),
			    peal__win_pointer(sqe->off),
			    peal__win_pointer(sqe->pad), &list);
	if (error == WSATYPE_NOT_FOUND)	/* an unknown service */
		return -ENOENT;
	if (error)
		return peal__win_errno((uint32_t)error);
	*out = list;
	return 0;
}
