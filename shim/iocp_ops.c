/* SPDX-License-Identifier: MIT */
/*
 * Operations on completion ports: each a call that starts it, and a look at
 * what its packet says.
 */
#include <string.h>
#include "shim/iocp.h"
#include "shim/parts.h"
#include <mswsock.h>
#include <winternl.h>

#define MOST_PARTS 1024u	/* iovecs: UIO_MAXIOV */
#define MOST_AT_ONCE 65536u
#define PASSED_ON (MSG_OOB | MSG_PEEK | MSG_DONTROUTE)

/* What a receive writes to. */
static struct msghdr *message(const struct peal__sqe *sqe)
{
	return (struct msghdr *)(uintptr_t)shim_message(sqe);
}

/* What is left to move after the first skip bytes; at most 2 GiB. */
static unsigned rest_of(const struct peal__sqe *sqe, uint64_t skip,
			WSABUF rest[MOST_PARTS])
{
	const struct iovec *iov;
	struct iovec one;
	size_t parts = shim_parts(sqe, &one, &iov), i;
	unsigned count = 0;

	for (i = 0; i < parts && i < MOST_PARTS; i++) {
		uint64_t gone = skip < iov[i].iov_len ? skip : iov[i].iov_len;
		uint64_t len = iov[i].iov_len - gone;

		skip -= gone;
		if (!len)
			continue;
		rest[count].buf = (char *)iov[i].iov_base + gone;
		rest[count++].len = len > INT32_MAX ? INT32_MAX : (ULONG)len;
	}
	return count;
}

/* Of a send or a write to a pipe that is cancelled nobody says how much had
 * gone: it goes in portions, and the whole ones are known. */
static unsigned cap(WSABUF *bufs, unsigned count)
{
	ULONG left = MOST_AT_ONCE;
	unsigned i;

	for (i = 0; i < count && left; i++) {
		if (bufs[i].len > left)
			bufs[i].len = left;
		left -= bufs[i].len;
	}
	return i;
}

/* --- sockets ------------------------------------------------------------ */

static int is_ready(int32_t fd, short events)
{
	WSAPOLLFD one = { .fd = peal__win_socket(fd), .events = events };

	return WSAPoll(&one, 1, 0) != 0;
}

static int start_recv(struct peal_ring *ring, struct peal__iocp_op *op)
{
	const struct peal__sqe *sqe = iocp_entry(ring, op);
	SOCKET s = peal__win_socket(sqe->fd);
	struct msghdr *msg = message(sqe);
	WSABUF bufs[MOST_PARTS];
	unsigned count = rest_of(sqe, op->moved, bufs);
	int wants = sqe->opcode == PEAL__OP_RECV || msg;
	DWORD flags = wants ? sqe->op_flags : 0;
	int rc;

	if (!peal__win_is_socket(op->kind))
		return -ENOTSOCK;
	if (flags & MSG_DONTWAIT && !is_ready(sqe->fd, POLLRDNORM))
		return op->moved ? (int)op->moved : -EAGAIN;
	if (!count)
		bufs[count++] = (WSABUF){ 0, NULL };
	op->flags = flags & PASSED_ON;
	if (msg && op->kind == WIN_DGRAM && msg->msg_name)
		return iocp_started(op, !WSARecvFrom(s, bufs, count, NULL,
						     &op->flags, msg->msg_name,
						     &msg->msg_namelen,
						     &op->overlapped, NULL));
	rc = iocp_started(op, !WSARecv(s, bufs, count, NULL, &op->flags,
				       &op->overlapped, NULL));
	return rc == -EPIPE ? 0 : rc;	/* this end was shut down */
}

/* With MSG_WAITALL a stream goes on after a part. */
static int goes_on(const struct peal__sqe *sqe, struct peal__iocp_op *op,
		   int rc)
{
	WSABUF bufs[MOST_PARTS];

	return rc > 0 && !op->cancelled && op->kind == WIN_STREAM &&
	       sqe->opcode != PEAL__OP_READ && sqe->opcode != PEAL__OP_READV &&
	       sqe->op_flags & MSG_WAITALL && !(sqe->op_flags & MSG_PEEK) &&
	       rest_of(sqe, op->moved, bufs);
}

static int end_recv(struct peal_ring *ring, struct peal__iocp_op *op, int rc)
{
	const struct peal__sqe *sqe = iocp_entry(ring, op);
	struct msghdr *msg = message(sqe);
	int cut = iocp_was_cut(op);

	if (rc == -EPIPE)
		rc = 0;		/* this end was shut down */
	if (rc > 0)
		op->moved += (unsigned)rc;
	if (goes_on(sqe, op, rc)) {
		rc = peal__iocp_again(ring, op);
		if (rc == IOCP_PENDING)
			return rc;
	}
	if (msg && rc >= 0) {
		msg->msg_flags = cut ? MSG_TRUNC : 0;
		msg->msg_controllen = 0;
		if (op->kind == WIN_STREAM)
			msg->msg_namelen = 0;
	}
	return op->moved ? (int)op->moved : rc;
}

static int start_send(struct peal_ring *ring, struct peal__iocp_op *op)
{
	const struct peal__sqe *sqe = iocp_entry(ring, op);
	SOCKET s = peal__win_socket(sqe->fd);
	const struct msghdr *msg = message(sqe);
	WSABUF bufs[MOST_PARTS];
	unsigned count = rest_of(sqe, op->moved, bufs);
	int wants = sqe->opcode == PEAL__OP_SEND || msg;
	DWORD flags = wants ? sqe->op_flags : 0;

	if (!peal__win_is_socket(op->kind))
		return -ENOTSOCK;
	if (msg && msg->msg_controllen)
		return -EOPNOTSUPP;
	if (flags & MSG_DONTWAIT && !is_ready(sqe->fd, POLLWRNORM))
		return -EAGAIN;
	if (op->kind == WIN_STREAM)
		count = cap(bufs, count);
	if (!count)
		bufs[count++] = (WSABUF){ 0, NULL };
	if (msg && msg->msg_name)
		return iocp_started(op, !WSASendTo(s, bufs, count, NULL,
						   flags & PASSED_ON,
						   msg->msg_name,
						   msg->msg_namelen,
						   &op->overlapped, NULL));
	return iocp_started(op, !WSASend(s, bufs, count, NULL,
					 flags & PASSED_ON, &op->overlapped,
					 NULL));
}

/* The next portion, unless the caller would not wait for it. */
static int end_send(struct peal_ring *ring, struct peal__iocp_op *op, int rc)
{
	const struct peal__sqe *sqe = iocp_entry(ring, op);
	WSABUF bufs[MOST_PARTS];

	if (iocp_was_cut(op))
		return -EMSGSIZE;
	if (rc > 0)
		op->moved += (unsigned)rc;
	if (rc > 0 && op->kind == WIN_STREAM && !op->cancelled &&
	    rest_of(sqe, op->moved, bufs)) {
		rc = peal__iocp_again(ring, op);
		if (rc == IOCP_PENDING)
			return rc;
	}
	return op->moved ? (int)op->moved : rc;
}

static int family_of(SOCKET s)
{
	WSAPROTOCOL_INFOW info;
	int len = sizeof info;

	if (getsockopt(s, SOL_SOCKET, SO_PROTOCOL_INFOW, (char *)&info, &len))
		return peal__win_last();
	return info.iAddressFamily;
}

/* AcceptEx() and ConnectEx() are found through a socket. */
static void *extension(SOCKET s, GUID id)
{
	void *call = NULL;
	DWORD got;

	WSAIoctl(s, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, &call,
		 sizeof call, &got, NULL, NULL);
	return call;
}

static int start_accept(struct peal_ring *ring, struct peal__iocp_op *op)
{
	struct peal__iocp *iocp = peal__iocp_of(ring);
	SOCKET s = peal__win_socket(iocp_entry(ring, op)->fd), accepted;
	LPFN_ACCEPTEX accept_ex;
	DWORD len = sizeof iocp->scratch / 2, got;
	int family, rc, listens = 0, size = sizeof listens;

	if (!peal__win_is_socket(op->kind))
		return -ENOTSOCK;
	if (op->kind == WIN_DGRAM)
		return -EOPNOTSUPP;
	/* Wine 8 would wait for ever. */
	getsockopt(s, SOL_SOCKET, SO_ACCEPTCONN, (char *)&listens, &size);
	if (!listens)
		return -EINVAL;
	family = family_of(s);
	accept_ex = (LPFN_ACCEPTEX)extension(s, (GUID)WSAID_ACCEPTEX);
	if (family < 0 || !accept_ex)
		return -EOPNOTSUPP;
	accepted = WSASocketW(family, SOCK_STREAM, 0, NULL, 0,
			      WSA_FLAG_OVERLAPPED |
				      WSA_FLAG_NO_HANDLE_INHERIT);
	if (accepted == INVALID_SOCKET)
		return peal__win_last();
	op->accepted = (int32_t)accepted;
	rc = iocp_started(op, accept_ex(s, accepted, iocp->scratch, 0, len,
					len, &got, &op->overlapped));
	if (rc != IOCP_PENDING)
		closesocket(accepted);
	return rc;
}

static void tell_peer(const struct peal__sqe *sqe, SOCKET accepted)
{
	struct sockaddr_storage peer;
	int len = sizeof peer, *room = peal__win_pointer(sqe->off);

	if (!sqe->addr || !room)
		return;
	if (getpeername(accepted, (struct sockaddr *)&peer, &len))
		len = 0;	/* gone already */
	memcpy(peal__win_pointer(sqe->addr), &peer,
	       (size_t)(len < *room ? len : *room));
	*room = len;
}

static int end_accept(struct peal_ring *ring, struct peal__iocp_op *op,
		      int rc)
{
	const struct peal__sqe *sqe = iocp_entry(ring, op);
	SOCKET listener = peal__win_socket(sqe->fd);
	SOCKET accepted = peal__win_socket(op->accepted);

	if (rc < 0) {
		closesocket(accepted);
		return rc == -ECONNRESET ? -ECONNABORTED : rc;
	}
	setsockopt(accepted, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT,
		   (const char *)&listener, sizeof listener);
	tell_peer(sqe, accepted);
	return op->accepted;
}

/* ConnectEx() wants a socket that has an address. */
static int bind_to_any(SOCKET s, int family)
{
	struct sockaddr_storage any = { .ss_family = (ADDRESS_FAMILY)family };
	int len = family == AF_INET6 ? sizeof(struct sockaddr_in6)
				     : sizeof(struct sockaddr_in);

	if (bind(s, (struct sockaddr *)&any, len) == 0 ||
	    WSAGetLastError() == WSAEINVAL)	/* it has one */
		return 0;
	return peal__win_last();
}

static int start_connect(struct peal_ring *ring, struct peal__iocp_op *op)
{
	const struct peal__sqe *sqe = iocp_entry(ring, op);
	const struct sockaddr *addr = peal__win_pointer(sqe->addr);
	SOCKET s = peal__win_socket(sqe->fd);
	LPFN_CONNECTEX connect_ex;
	int rc;

	if (!peal__win_is_socket(op->kind))
		return -ENOTSOCK;
	if (!addr)
		return -EFAULT;
	if (op->kind == WIN_DGRAM)
		return connect(s, addr, (int)sqe->off) ? peal__win_last() : 0;
	connect_ex = (LPFN_CONNECTEX)extension(s, (GUID)WSAID_CONNECTEX);
	if (!connect_ex)
		return -EOPNOTSUPP;
	rc = bind_to_any(s, family_of(s));
	if (rc < 0)
		return rc;
	return iocp_started(op, connect_ex(s, addr, (int)sqe->off, NULL, 0,
					   NULL, &op->overlapped));
}

static int end_connect(struct peal_ring *ring, struct peal__iocp_op *op,
		       int rc)
{
	if (rc < 0)
		return rc;
	setsockopt(peal__win_socket(iocp_entry(ring, op)->fd), SOL_SOCKET,
		   SO_UPDATE_CONNECT_CONTEXT, NULL, 0);
	return 0;
}

/* --- files and pipes ---------------------------------------------------- */

static int is_write(const struct peal__sqe *sqe)
{
	return sqe->opcode == PEAL__OP_WRITE || sqe->opcode == PEAL__OP_WRITEV;
}

/* Windows' words for what read(2) and write(2) say otherwise. */
static int rw_result(const struct peal__sqe *sqe, int rc)
{
	if (rc == -EACCES)
		return -EBADF;	/* opened for the other direction */
	if (!is_write(sqe) && (rc == -EPIPE || rc == -ENODATA))
		return 0;	/* the end */
	return rc;
}

/* A handle with OVERLAPPED has a position, but no call of its own uses it. */
static int find_position(struct peal__sqe *sqe, struct peal__iocp_op *op)
{
	LARGE_INTEGER zero = { .QuadPart = 0 }, now;

	if (sqe->off != PEAL_CURRENT)
		return (int64_t)sqe->off < 0 ? -EINVAL : 0;
	if (!SetFilePointerEx(peal__win_handle(sqe->fd), zero, &now,
			      FILE_CURRENT))
		return peal__win_last();
	sqe->off = (uint64_t)now.QuadPart;
	op->current = 1;
	return 0;
}

static int start_rw(struct peal_ring *ring, struct peal__iocp_op *op)
{
	struct peal__sqe *sqe = &peal__iocp_job(ring, op)->sqe;
	HANDLE handle = peal__win_handle(sqe->fd);
	WSABUF bufs[MOST_PARTS];
	uint64_t at;
	int rc;

	if (sqe->op_flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC))
		return -EOPNOTSUPP;
	if (sqe->len > MOST_PARTS && (sqe->opcode == PEAL__OP_READV ||
				      sqe->opcode == PEAL__OP_WRITEV))
		return -EINVAL;
	if (peal__win_is_socket(op->kind))
		return is_write(sqe) ? start_send(ring, op)
				     : start_recv(ring, op);
	if (op->kind == WIN_DIR)
		return is_write(sqe) ? -EBADF : -EISDIR;
	if (!rest_of(sqe, op->moved, bufs))
		return 0;
	if (sqe->op_flags & (RWF_DSYNC | RWF_SYNC) && is_write(sqe))
		return IOCP_POOL;	/* two calls: a write and a flush */
	if (op->kind == WIN_FILE) {
		rc = find_position(sqe, op);
		if (rc < 0)
			return rc;
		at = sqe->off + op->moved;
		op->overlapped.Offset = (DWORD)at;
		op->overlapped.OffsetHigh = (DWORD)(at >> 32);
	}
	if (op->kind == WIN_PIPE && is_write(sqe))
		cap(bufs, 1);
	rc = iocp_started(op, is_write(sqe)
			     ? WriteFile(handle, bufs[0].buf, bufs[0].len,
					 NULL, &op->overlapped)
			     : ReadFile(handle, bufs[0].buf, bufs[0].len,
					NULL, &op->overlapped));
	return rw_result(sqe, rc);
}

/* One part at a time; the next one when this one was moved as a whole, but
 * for a pipe, which has no more to read maybe. */
static int has_more(const struct peal__sqe *sqe, struct peal__iocp_op *op,
		    int rc)
{
	WSABUF bufs[MOST_PARTS];

	if (rc <= 0 || op->cancelled || peal__win_is_socket(op->kind) ||
	    (op->kind != WIN_FILE && !is_write(sqe)))
		return 0;
	rest_of(sqe, op->moved, bufs);
	if (bufs[0].len != (ULONG)rc)
		return 0;
	return rest_of(sqe, op->moved + (unsigned)rc, bufs) != 0;
}

static int end_rw(struct peal_ring *ring, struct peal__iocp_op *op, int rc)
{
	const struct peal__sqe *sqe = iocp_entry(ring, op);
	int more;

	rc = rw_result(sqe, rc);
	more = has_more(sqe, op, rc);
	if (rc > 0)
		op->moved += (unsigned)rc;
	if (more) {
		rc = peal__iocp_again(ring, op);
		if (rc == IOCP_PENDING)
			return rc;
	}
	if (op->current) {
		LARGE_INTEGER to = { .QuadPart = (LONGLONG)(sqe->off +
							    op->moved) };

		SetFilePointerEx(peal__win_handle(sqe->fd), to, NULL,
				 FILE_BEGIN);
	}
	return op->moved ? (int)op->moved : rc;
}

/* --- shutdown ----------------------------------------------------------- */

/* A shutdown does not end receives in flight here: they are cancelled, and
 * have reached the end. */
static int start_shutdown(struct peal_ring *ring, struct peal__iocp_op *op)
{
	const struct peal__sqe *sqe = iocp_entry(ring, op);
	uint32_t i = ring->fd_heads[(uint32_t)sqe->fd & ring->fd_mask];
	int64_t rc = peal__win_shutdown(sqe);

	for (; i && rc == 0 && sqe->len != SHUT_WR;
	     i = ring->rows[i].fd_next) {
		struct peal__iocp_op *other = &peal__iocp_of(ring)->ops[i];

		if (ring->rows[i].fd != sqe->fd || !other->pending ||
		    peal__iocp_call(ring->rows[i].opcode)->start != start_recv)
			continue;
		other->ended = 1;
		CancelIoEx(peal__win_handle(sqe->fd), &other->overlapped);
	}
	return (int)rc;
}

static const struct peal__iocp_call calls[PEAL__OP_COUNT] = {
	[PEAL__OP_READ] = { start_rw, end_rw },
	[PEAL__OP_WRITE] = { start_rw, end_rw },
	[PEAL__OP_READV] = { start_rw, end_rw },
	[PEAL__OP_WRITEV] = { start_rw, end_rw },
	[PEAL__OP_RECV] = { start_recv, end_recv },
	[PEAL__OP_SEND] = { start_send, end_send },
	[PEAL__OP_RECVMSG] = { start_recv, end_recv },
	[PEAL__OP_SENDMSG] = { start_send, end_send },
	[PEAL__OP_ACCEPT] = { start_accept, end_accept },
	[PEAL__OP_CONNECT] = { start_connect, end_connect },
	[PEAL__OP_POLL_ADD] = { peal__iocp_start_poll, peal__iocp_end_poll },
	[PEAL__OP_SHUTDOWN] = { start_shutdown, NULL },
};

const struct peal__iocp_call *peal__iocp_call(unsigned opcode)
{
	return opcode < PEAL__OP_COUNT && calls[opcode].start ? &calls[opcode]
							      : NULL;
}
