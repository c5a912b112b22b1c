/* SPDX-License-Identifier: MIT */
/*
 * Attempts that never block, whatever the descriptor's own mode: the flag that
 * says so for this one call where there is one, a look with poll(2) before it
 * where there is none, and the descriptor's mode changed around the call for
 * accept and connect, which have neither.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "lib/engine.h"
#include "shim/ready.h"

#define SAFE_WRITE 4096		/* PIPE_BUF: what POLLOUT promises */
#define CONNECTING 1		/* progress of a connect that has begun */

static int is_ready(int fd, short events)
{
	struct pollfd one = { .fd = fd, .events = events };

	return poll(&one, 1, 0) > 0;
}

/* A transfer with MSG_WAITALL goes on after a part of it. */
static int more_of(struct peal__sqe *sqe, int64_t *progress, int moved)
{
	int whole = sqe->op_flags & MSG_WAITALL &&
		    (sqe->opcode == PEAL__OP_RECV ||
		     sqe->opcode == PEAL__OP_SEND);

	if (!whole || moved <= 0 || (uint32_t)moved >= sqe->len)
		return (int)(moved < 0 && *progress ? *progress
						     : moved + *progress);
	sqe->addr += (uint32_t)moved;
	sqe->len -= (uint32_t)moved;
	*progress += moved;
	return READY_WAIT;
}

static int try_socket(struct peal__sqe *sqe, int64_t *progress)
{
	struct peal__sqe once = *sqe;
	int rc;

	once.op_flags |= MSG_DONTWAIT;
	do
		rc = (int)peal__blocking_run(&once);
	while (rc == -EINTR);
	if (rc == -EAGAIN && !(sqe->op_flags & MSG_DONTWAIT))
		return READY_WAIT;
	return more_of(sqe, progress, rc);
}

/* The call with O_NONBLOCK set for its duration. */
static int call_nonblocking(const struct peal__sqe *sqe)
{
	int mode = fcntl(sqe->fd, F_GETFL), rc;

	if (mode < 0)
		return -errno;
	if (!(mode & O_NONBLOCK))
		fcntl(sqe->fd, F_SETFL, mode | O_NONBLOCK);
	do
		rc = (int)peal__blocking_run(sqe);
	while (rc == -EINTR);
	if (!(mode & O_NONBLOCK))
		fcntl(sqe->fd, F_SETFL, mode);
	return rc;
}

static int try_accept(const struct peal__sqe *sqe)
{
	int rc = call_nonblocking(sqe);

	return rc == -EAGAIN ? READY_WAIT : rc;
}

/* The second call, after the wait, is what ends a connect: until then the
 * socket counts as connecting, and later calls would not say EISCONN. */
static int try_connect(const struct peal__sqe *sqe, int64_t *progress)
{
	int rc = call_nonblocking(sqe);

	if (rc == -EAGAIN)	/* a unix socket whose backlog is full */
		return READY_POOL;
	if (*progress == CONNECTING && rc == -EISCONN)
		return 0;
	if (rc != -EINPROGRESS && !(*progress == CONNECTING && rc == -EALREADY))
		return rc;
	*progress = CONNECTING;
	return READY_WAIT;
}

static int try_poll(const struct peal__sqe *sqe)
{
	struct pollfd one = { .fd = sqe->fd,
			      .events = (short)sqe->op_flags };

	if (poll(&one, 1, 0) <= 0)
		return READY_WAIT;
	return one.revents & POLLNVAL ? -EBADF : one.revents;
}

/* No way to say "do not wait" to this kind of file: look first. */
static int look_then_call(struct peal__sqe *sqe, int writes)
{
	int blocking = !(fcntl(sqe->fd, F_GETFL) & O_NONBLOCK);
	struct peal__sqe once = *sqe;
	int rc;

	if (!is_ready(sqe->fd, writes ? POLLOUT : POLLIN))
		return READY_WAIT;
	if (blocking && sqe->opcode == PEAL__OP_WRITE &&
	    once.len > SAFE_WRITE)
		once.len = SAFE_WRITE;
	rc = (int)peal__blocking_run(&once);
	return rc == -EAGAIN ? READY_WAIT : rc;
}

static int try_rw(struct peal__sqe *sqe)
{
	int writes = peal__ready_writes(sqe), rc;
	struct peal__sqe once = *sqe;
	struct stat st;

	if (fstat(sqe->fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
		return READY_POOL;
	once.op_flags |= RWF_NOWAIT;
	once.off = UINT64_MAX;	/* streams have no offset */
	rc = (int)peal__blocking_run(&once);
	if (rc == -EAGAIN)
		return READY_WAIT;
	if (rc == -EOPNOTSUPP)
		return look_then_call(sqe, writes);
	return rc;
}

/* The pool makes the call, when both ends look ready. */
static int try_splice(const struct peal__sqe *sqe)
{
	if (!is_ready((int)sqe->file_index, POLLIN) ||
	    !is_ready(sqe->fd, POLLOUT))
		return READY_WAIT;
	return READY_POOL;
}

int peal__ready_try(struct peal__sqe *sqe, int64_t *progress)
{
	switch (sqe->opcode) {
	case PEAL__OP_ACCEPT:
		return try_accept(sqe);
	case PEAL__OP_CONNECT:
		return try_connect(sqe, progress);
	case PEAL__OP_POLL_ADD:
		return try_poll(sqe);
	case PEAL__OP_SPLICE:
		return try_splice(sqe);
	case PEAL__OP_READ:
	case PEAL__OP_READV:
	case PEAL__OP_WRITE:
	case PEAL__OP_WRITEV:
		return try_rw(sqe);
	default:
		return try_socket(sqe, progress);
	}
}

int peal__ready_writes(const struct peal__sqe *sqe)
{
	switch (sqe->opcode) {
	case PEAL__OP_CONNECT:
	case PEAL__OP_WRITE:
	case PEAL__OP_WRITEV:
	case PEAL__OP_SEND:
	case PEAL__OP_SENDMSG:
		return 1;
	default:
		return 0;
	}
}
