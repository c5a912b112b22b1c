/* SPDX-License-Identifier: MIT */
/*
 * Attempts that never block, whatever the descriptor's own mode: the flag that
 * says so for this one call where there is one; where there is none, O_NONBLOCK
 * is set around the call. A listening socket keeps it: several rings, or
 * processes, may share one, and the mode that one of them puts back would make
 * another's accept block.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "lib/engine.h"
#include "lib/optable.h"
#include "shim/parts.h"
#include "shim/ready.h"

#define MOST_PARTS 1024		/* iovecs in one message: UIO_MAXIOV */
#define WAITING_FLAGS (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND)
#define UNKNOWN_FLAG 0x40000000	/* refused as RWF_NOWAIT is where it is not */
#define SPLICE_FLAGS 0xfu	/* all that there are */
#define CONNECTING 1		/* progress of a connect that has begun */

typedef int attempt(struct peal__sqe *sqe, int64_t *progress, unsigned how);

static int is_ready(int fd, short events)
{
	struct pollfd one = { .fd = fd, .events = events };

	return poll(&one, 1, 0) > 0;
}

/* MSG_WAITALL has a meaning where there are no datagrams. */
static int is_stream(int fd)
{
	int type = 0;
	socklen_t len = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       (type == SOCK_STREAM || type == SOCK_SEQPACKET);
}

/* The parts of a message behind its first skip bytes. */
static size_t rest_of(const struct msghdr *msg, uint64_t skip,
		      struct iovec *rest)
{
	size_t count = 0, i;

	for (i = 0; i < msg->msg_iovlen && i < MOST_PARTS; i++) {
		struct iovec part = msg->msg_iov[i];
		size_t gone = skip < part.iov_len ? skip : part.iov_len;

		skip -= gone;
		part.iov_base = (char *)part.iov_base + gone;
		part.iov_len -= gone;
		if (part.iov_len)
			rest[count++] = part;
	}
	return count;
}

/* The rest of a message, without its address and control data: they went with
 * the first part. */
static int call_rest(const struct peal__sqe *sqe, uint64_t skip)
{
	struct iovec rest[MOST_PARTS];
	struct msghdr msg = { .msg_iov = rest };
	struct peal__sqe once = *sqe;

	msg.msg_iovlen = rest_of(shim_message(sqe), skip, rest);
	once.addr = (uint64_t)(uintptr_t)&msg;
	return (int)peal__blocking_run(&once);
}

static uint64_t bytes_of(const struct peal__sqe *sqe)
{
	const struct iovec *iov;
	struct iovec one;
	size_t count = shim_parts(sqe, &one, &iov), i;
	uint64_t sum = 0;

	for (i = 0; i < count && i < MOST_PARTS; i++)
		sum += iov[i].iov_len;
	return sum;
}

/* How much a whole transfer still has to move. */
static uint64_t left_of(const struct peal__sqe *sqe, int64_t progress)
{
	return shim_message(sqe) ? bytes_of(sqe) - (uint64_t)progress
				 : sqe->len;
}

/* A receive with room for control data ends with its first part, as the
 * kernel's ring has it: the next one would lose what comes with it. */
static int wants_all(const struct peal__sqe *sqe)
{
	return sqe->op_flags & MSG_WAITALL &&
	       !(sqe->opcode == PEAL__OP_RECVMSG &&
		 shim_message(sqe)->msg_controllen);
}

/* Does it go on after this part of it? */
static int goes_on(struct peal__sqe *sqe, int64_t *progress, int moved)
{
	if (moved <= 0 || (uint64_t)moved >= left_of(sqe, *progress) ||
	    !is_stream(sqe->fd))
		return 0;
	*progress += moved;
	if (!shim_message(sqe)) {
		sqe->addr += (uint32_t)moved;
		sqe->len -= (uint32_t)moved;
	}
	return 1;
}

static int try_socket(struct peal__sqe *sqe, int64_t *progress, unsigned how)
{
	struct peal__sqe once;
	int all = wants_all(sqe), rc;

	(void)how;
	do {
		once = *sqe;
		once.op_flags |= MSG_DONTWAIT;
		rc = shim_message(sqe) && *progress
			     ? call_rest(&once, (uint64_t)*progress)
			     : (int)peal__blocking_run(&once);
	} while (rc == -EINTR || (all && goes_on(sqe, progress, rc)));
	if (rc == -EAGAIN && !(sqe->op_flags & MSG_DONTWAIT))
		return READY_WAIT;
	return (int)(rc < 0 && *progress ? *progress : rc + *progress);
}

static int listens(int fd)
{
	int yes = 0;
	socklen_t len = sizeof yes;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 &&
	       yes;
}

/* The call with O_NONBLOCK set for its duration; on a listener, for good. */
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
	if (!(mode & O_NONBLOCK) &&
	    !(sqe->opcode == PEAL__OP_ACCEPT && listens(sqe->fd)))
		fcntl(sqe->fd, F_SETFL, mode);
	return rc;
}

static int try_accept(struct peal__sqe *sqe, int64_t *progress, unsigned how)
{
	int rc = call_nonblocking(sqe);

	(void)progress;
	(void)how;
	return rc == -EAGAIN ? READY_WAIT : rc;
}

/* The second call, after the wait, is what ends a connect: until then the
 * socket counts as connecting, and later calls would not say EISCONN. */
static int try_connect(struct peal__sqe *sqe, int64_t *progress, unsigned how)
{
	int rc = call_nonblocking(sqe);

	(void)how;
	if (rc == -EAGAIN)	/* a unix socket whose backlog is full */
		return READY_POOL;
	if (*progress == CONNECTING && rc == -EISCONN)
		return 0;
	if (rc != -EINPROGRESS && !(*progress == CONNECTING && rc == -EALREADY))
		return rc;
	*progress = CONNECTING;
	return READY_WAIT;
}

/* io_uring tells of POLLRDHUP unasked. */
static int try_poll(struct peal__sqe *sqe, int64_t *progress, unsigned how)
{
	struct pollfd one = { .fd = sqe->fd,
			      .events = (short)(sqe->op_flags | POLLRDHUP) };

	(void)progress;
	(void)how;
	if (sqe->fd < 0)	/* poll(2) passes over them */
		return -EBADF;
	if (poll(&one, 1, 0) <= 0)
		return READY_WAIT;
	return one.revents & POLLNVAL ? -EBADF : one.revents;
}

/* No way to say "do not wait" to this kind of file: look first. A terminal
 * that looks ready may take less than it is given. A FIFO that never had a
 * writer does not look ready, and is at its end: who has set O_NONBLOCK may
 * call at once. */
static int look_then_call(const struct peal__sqe *sqe)
{
	unsigned waits = peal__op_row(sqe->opcode)->waits;
	int rc;

	if (!is_ready(sqe->fd, waits == WAITS_WRITABLE ? POLLOUT : POLLIN) &&
	    !(fcntl(sqe->fd, F_GETFL) & O_NONBLOCK))
		return READY_WAIT;
	rc = call_nonblocking(sqe);
	return rc == -EAGAIN ? READY_WAIT : rc;
}

/* What io_uring refuses and the plain call without an offset would not; the
 * descriptor is looked at first. 0: nothing. */
static int refusal(const struct peal__sqe *sqe, int is_socket)
{
	struct peal__sqe nothing = *sqe;
	int64_t offset = (int64_t)sqe->off;
	int rc;

	if (!(sqe->op_flags & RWF_HIPRI) &&
	    (offset == -1 || offset == 0 ||
	     (!is_socket && offset > 0 && offset < INT64_MAX / 2)))
		return 0;
	nothing.opcode = peal__op_row(sqe->opcode)->waits == WAITS_WRITABLE
				 ? PEAL__OP_WRITEV : PEAL__OP_READV;
	nothing.len = nothing.op_flags = 0;
	nothing.off = UINT64_MAX;
	rc = (int)peal__blocking_run(&nothing);
	if (rc < 0)
		return rc;
	if (sqe->op_flags & RWF_HIPRI)	/* for rings that poll the device */
		return -EINVAL;
	if (offset == -1)
		return 0;
	if (offset < 0 || (uint64_t)offset + bytes_of(sqe) > INT64_MAX)
		return -EINVAL;
	return is_socket ? -ESPIPE : 0;
}

/* pwritev2(2) of no bytes does nothing; a socket may have to send them. */
static int send_nothing(const struct peal__sqe *sqe)
{
	const struct peal__sqe once = { .opcode = PEAL__OP_SEND, .fd = sqe->fd,
					.op_flags = MSG_DONTWAIT |
						    MSG_NOSIGNAL };

	return (int)peal__blocking_run(&once);
}

static int call_nowait(const struct peal__sqe *sqe, int is_socket, unsigned how)
{
	struct peal__sqe once = *sqe;

	if (is_socket && !bytes_of(sqe) &&
	    peal__op_row(sqe->opcode)->waits == WAITS_WRITABLE)
		return send_nothing(sqe);
	once.op_flags |= how & READY_NO_NOWAIT ? UNKNOWN_FLAG : RWF_NOWAIT;
	once.off = UINT64_MAX;	/* streams have no offset */
	return (int)peal__blocking_run(&once);
}

static int try_rw(struct peal__sqe *sqe, int64_t *progress, unsigned how)
{
	struct stat st;
	int rc;

	(void)progress;
	if (fstat(sqe->fd, &st) < 0)
		return -errno;
	rc = refusal(sqe, S_ISSOCK(st.st_mode));
	if (rc < 0)
		return rc;
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
		return READY_POOL;
	rc = call_nowait(sqe, S_ISSOCK(st.st_mode), how);
	if (sqe->op_flags & ~WAITING_FLAGS)
		return rc;
	if (rc == -EAGAIN)
		return READY_WAIT;
	if (rc == -EOPNOTSUPP)
		return look_then_call(sqe);
	return rc;
}

static int is_pipe(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* What is wrong with a splice is not to be heard only when data comes. */
static int splice_refusal(const struct peal__sqe *sqe)
{
	int in = (int)sqe->file_index, out = sqe->fd;
	int from = fcntl(in, F_GETFL), to = fcntl(out, F_GETFL);

	if (sqe->op_flags & ~SPLICE_FLAGS)
		return -EINVAL;
	if (from < 0 || to < 0 || (from | to) & O_PATH)
		return -EBADF;
	if (!sqe->len)
		return 0;
	if ((from & O_ACCMODE) == O_WRONLY || (to & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if ((sqe->addr != UINT64_MAX && is_pipe(in)) ||
	    (sqe->off != UINT64_MAX && is_pipe(out)))
		return -ESPIPE;
	if (!is_pipe(in) && !is_pipe(out))
		return -EINVAL;
	return listens(out) ? -EPIPE : 0;
}

/* The pool makes the call, when both ends look ready. */
static int try_splice(struct peal__sqe *sqe, int64_t *progress, unsigned how)
{
	struct peal__sqe once = *sqe;
	int rc, readable;

	(void)progress;
	(void)how;
	if (!sqe->len)
		return splice_refusal(sqe);
	if (sqe->op_flags & SPLICE_F_NONBLOCK)
		return READY_POOL;
	readable = is_ready((int)sqe->file_index, POLLIN);
	if (readable && is_ready(sqe->fd, POLLOUT))
		return READY_POOL;
	rc = splice_refusal(sqe);
	if (rc < 0 || readable)
		return rc < 0 ? rc : READY_WAIT;
	once.op_flags |= SPLICE_F_NONBLOCK;
	rc = (int)peal__blocking_run(&once);
	return rc == -EAGAIN ? READY_WAIT : rc;
}

/* Readiness of every op that has it: how its fd is waited for is in the op
 * table (lib/optable.c). */
static attempt *const attempts[PEAL__OP_COUNT] = {
	[PEAL__OP_ACCEPT] = try_accept,
	[PEAL__OP_CONNECT] = try_connect,
	[PEAL__OP_POLL_ADD] = try_poll,
	[PEAL__OP_SPLICE] = try_splice,
	[PEAL__OP_READ] = try_rw,
	[PEAL__OP_READV] = try_rw,
	[PEAL__OP_WRITE] = try_rw,
	[PEAL__OP_WRITEV] = try_rw,
	[PEAL__OP_RECV] = try_socket,
	[PEAL__OP_SEND] = try_socket,
	[PEAL__OP_RECVMSG] = try_socket,
	[PEAL__OP_SENDMSG] = try_socket,
};

int peal__ready_has(unsigned opcode)
{
	return opcode < PEAL__OP_COUNT && attempts[opcode] != NULL;
}

int peal__ready_try(struct peal__sqe *sqe, int64_t *progress, unsigned how)
{
	return attempts[sqe->opcode](sqe, progress, how);
}
