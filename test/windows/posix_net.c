/* SPDX-License-Identifier: MIT */
/* The tests' own calls on sockets: see posix.h. */
#include <errno.h>
#include "test/windows/posix.h"

/* The name of the call in parentheses: no macro of posix.h. */

static int fail(void)
{
	switch (WSAGetLastError()) {
	case WSAEWOULDBLOCK:
		errno = EAGAIN;
		break;
	case WSAENOTSOCK:
		errno = ENOTSOCK;
		break;
	case WSAEADDRINUSE:
		errno = EADDRINUSE;
		break;
	case WSAECONNREFUSED:
		errno = ECONNREFUSED;
		break;
	case WSAENOTCONN:
		errno = ENOTCONN;
		break;
	case WSAECONNRESET:
		errno = ECONNRESET;
		break;
	default:
		errno = EIO;
	}
	return -1;
}

peal_fd posix_socket(int domain, int type, int protocol)
{
	int kind = type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
	SOCKET fd = WSASocketW(domain, kind, protocol, NULL, 0,
			       WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);

	if (fd == INVALID_SOCKET && domain == AF_UNIX)
		posix_no("no unix-domain sockets here");
	return fd == INVALID_SOCKET ? fail() : (peal_fd)fd;
}

/* What is made once and kept must be there before the harness counts. */
void posix_start_sockets(void)
{
	WSADATA data;
	int fds[2];

	if (WSAStartup(MAKEWORD(2, 2), &data) != 0)
		abort();
	if (posix_socketpair(SOCK_DGRAM, fds) == 0) {
		posix_close(fds[0]);
		posix_close(fds[1]);
	}
}

static peal_fd bound_socket(int type)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	peal_fd fd = posix_socket(AF_INET, type, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && (bind)((SOCKET)fd, (struct sockaddr *)&addr,
			      sizeof(addr)) != 0)
		return fail();
	return fd;
}

static int connect_to(peal_fd fd, peal_fd peer)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	if ((getsockname)((SOCKET)peer, (struct sockaddr *)&addr, &len) != 0 ||
	    (connect)((SOCKET)fd, (struct sockaddr *)&addr, len) != 0)
		return fail();
	return 0;
}

/* No more room than a unix socket has: TCP's own grows to many MiB. */
static void small_buffers(peal_fd fd)
{
	int size = 128 << 10;

	(setsockopt)((SOCKET)fd, SOL_SOCKET, SO_SNDBUF, (char *)&size,
		     sizeof(size));
	(setsockopt)((SOCKET)fd, SOL_SOCKET, SO_RCVBUF, (char *)&size,
		     sizeof(size));
}

/* Over the loopback, for want of unix sockets. */
int posix_socketpair(int type, int fds[2])
{
	int kind = type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
	peal_fd listener;

	if (kind == SOCK_DGRAM) {
		fds[0] = (int)bound_socket(SOCK_DGRAM);
		fds[1] = (int)bound_socket(SOCK_DGRAM);
		return connect_to(fds[0], fds[1]) | connect_to(fds[1], fds[0]);
	}
	if (kind != SOCK_STREAM)
		return posix_no("no sequenced packets");
	listener = bound_socket(SOCK_STREAM);
	small_buffers(listener);
	if (listener < 0 || (listen)((SOCKET)listener, 1) != 0)
		return fail();
	fds[0] = (int)posix_socket(AF_INET, SOCK_STREAM, 0);
	small_buffers(fds[0]);
	if (connect_to(fds[0], listener) != 0)
		return -1;
	fds[1] = (int)posix_accept(listener, NULL, NULL);
	posix_close(listener);
	small_buffers(fds[1]);
	return fds[1] < 0 ? -1 : 0;
}

int posix_bind(peal_fd fd, const void *addr, socklen_t len)
{
	return (bind)((SOCKET)fd, addr, len) == 0 ? 0 : fail();
}

int posix_listen(peal_fd fd, int backlog)
{
	return (listen)((SOCKET)fd, backlog) == 0 ? 0 : fail();
}

int posix_connect(peal_fd fd, const void *addr, socklen_t len)
{
	return (connect)((SOCKET)fd, addr, len) == 0 ? 0 : fail();
}

peal_fd posix_accept(peal_fd fd, void *addr, socklen_t *len)
{
	SOCKET got = (accept)((SOCKET)fd, addr, len);

	return got == INVALID_SOCKET ? fail() : (peal_fd)got;
}

int posix_getsockname(peal_fd fd, void *addr, socklen_t *len)
{
	return (getsockname)((SOCKET)fd, addr, len) == 0 ? 0 : fail();
}

int posix_getsockopt(peal_fd fd, int level, int name, void *value,
		     socklen_t *len)
{
	return (getsockopt)((SOCKET)fd, level, name, value, len) == 0 ?
		       0 : fail();
}

int posix_setsockopt(peal_fd fd, int level, int name, const void *value,
		     socklen_t len)
{
	return (setsockopt)((SOCKET)fd, level, name, value, len) == 0 ?
		       0 : fail();
}

int posix_shutdown(peal_fd fd, int how)
{
	return (shutdown)((SOCKET)fd, how) == 0 ? 0 : fail();
}

int posix_poll(struct pollfd *fds, unsigned count, int timeout_ms)
{
	if (count == 0) {
		Sleep((DWORD)timeout_ms);
		return 0;
	}
	if (fds[0].fd == (SOCKET)-EOPNOTSUPP)
		return posix_no("a completion port is no descriptor to poll");
	return WSAPoll(fds, count, timeout_ms);
}

/* --- event descriptors --------------------------------------------------- */

int eventfd(unsigned count, int flags)
{
	peal_fd fd = bound_socket(SOCK_DGRAM);
	u_long on = 1;

	(void)count;
	(void)flags;
	if (fd < 0 || connect_to(fd, fd) != 0 ||
	    ioctlsocket((SOCKET)fd, FIONBIO, &on) != 0)
		return fail();
	return (int)fd;
}

int eventfd_read(peal_fd fd, eventfd_t *out)
{
	eventfd_t value;
	int got = -1;

	*out = 0;
	while ((recv)((SOCKET)fd, (char *)&value, sizeof(value), 0) ==
	       sizeof(value)) {
		*out += value;
		got = 0;
	}
	return got;
}

int eventfd_write(peal_fd fd, eventfd_t value)
{
	return (send)((SOCKET)fd, (const char *)&value, sizeof(value), 0) ==
			       sizeof(value) ? 0 : fail();
}
