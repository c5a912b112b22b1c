/* SPDX-License-Identifier: MIT */
/*
 * The plain system call of an operation, for engines that lack its opcode.
 * Only calls that never wait for anything are here: they run at once, on the
 * ring's thread.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib/engine.h"

static void *pointer(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

static int call(const struct peal__sqe *sqe)
{
	switch (sqe->opcode) {
	case PEAL__OP_SOCKET:
		return socket(sqe->fd, (int)sqe->off, (int)sqe->len);
	case PEAL__OP_BIND:
		return bind(sqe->fd, pointer(sqe->addr), (socklen_t)sqe->off);
	case PEAL__OP_LISTEN:
		return listen(sqe->fd, (int)sqe->len);
	case PEAL__OP_SHUTDOWN:
		return shutdown(sqe->fd, (int)sqe->len);
	case PEAL__OP_CLOSE:
		return close(sqe->fd);
	default:
		errno = EOPNOTSUPP;
		return -1;
	}
}

int peal__blocking_run(const struct peal__sqe *sqe)
{
	int saved = errno;
	int rc = call(sqe);

	if (rc < 0)
		rc = -errno;
	errno = saved;
	return rc;
}
