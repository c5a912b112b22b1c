/* SPDX-License-Identifier: MIT */
/* The ops that move bytes over simulated sockets: parts, message headers,
 * MSG_WAITALL. */
#include <fcntl.h>
#include "shim/sim_net.h"

#define MOST_PARTS	1024u

struct move {
	const struct iovec *parts;
	size_t count;
	struct iovec one;
	struct msghdr *msg;
	unsigned flags;			/* MSG_* */
	int writes;
};

static int read_header(const struct peal__sqe *sqe, struct move *move)
{
	if (sim_unmapped(sqe->addr))
		return -EFAULT;
	move->msg = sim_pointer(sqe->addr);
	move->parts = move->msg->msg_iov;
	move->count = move->msg->msg_iovlen;
	move->flags = sqe->op_flags;
	return move->count > MOST_PARTS ? -EMSGSIZE : 0;
}

static int read_move(const struct peal__sqe *sqe, struct move *move)
{
	size_t i;
	int rc = 0;

	*move = (struct move){
		.parts = sim_pointer(sqe->addr), .count = sqe->len,
		.one = { sim_pointer(sqe->addr), sqe->len },
		.writes = sim_waits(sqe->opcode) == WAITS_WRITABLE };
	switch (sqe->opcode) {
	case PEAL__OP_SENDMSG:
	case PEAL__OP_SENDMSG_ZC:
	case PEAL__OP_RECVMSG:
		rc = read_header(sqe, move);
		break;
	case PEAL__OP_READV:
	case PEAL__OP_WRITEV:
		if (move->count > MOST_PARTS)
			rc = -EINVAL;
		if (sqe->op_flags & ~0x1fu)
			rc = -EOPNOTSUPP;
		if (sqe->op_flags & 8u)		/* RWF_NOWAIT */
			move->flags = MSG_DONTWAIT;
		if (move->count && sim_unmapped(sqe->addr))
			rc = -EFAULT;
		break;
	case PEAL__OP_SEND:
	case PEAL__OP_SEND_ZC:
	case PEAL__OP_RECV:
		move->flags = sqe->op_flags;
		/* fall through */
	default:
		move->parts = &move->one;
		move->count = 1;
	}
	for (i = 0; rc == 0 && i < move->count; i++)
		if (move->parts[i].iov_len &&
		    sim_unmapped((uintptr_t)move->parts[i].iov_base))
			rc = -EFAULT;
	return rc;
}

static int64_t stream_part(struct sim_sock *sock, const struct move *move,
			   char *base, uint64_t len)
{
	return move->writes ? peal__sim_stream_write(sock, base, len)
			    : peal__sim_stream_read(sock, base, len,
					      (move->flags & MSG_PEEK) != 0);
}

/* All parts behind the first skip bytes, as far as it goes without waiting. */
static int64_t stream_parts(struct sim_sock *sock, const struct move *move,
			    uint64_t skip)
{
	uint64_t done = 0;
	size_t i;

	for (i = 0; i < move->count; i++) {
		uint64_t len = move->parts[i].iov_len;
		uint64_t gone = skip < len ? skip : len;
		int64_t rc;

		skip -= gone;
		len -= gone;
		if (!len)
			continue;
		rc = stream_part(sock, move,
				 (char *)move->parts[i].iov_base + gone, len);
		if (rc < 0 || (rc == 0 && !move->writes))
			return done ? (int64_t)done : rc;
		done += (uint64_t)rc;
		if ((uint64_t)rc < len || move->flags & MSG_PEEK)
			break;
	}
	return (int64_t)done;
}

/* Until nothing moves any more: what one step moves may be cut short. */
static int64_t stream_all(struct sim_op *op, struct sim_sock *sock,
			  const struct move *move)
{
	uint64_t whole = peal__sim_sum(move->parts, move->count);
	int64_t rc = 0;

	while (op->progress < whole) {
		rc = stream_parts(sock, move, op->progress);
		if (rc <= 0)
			break;
		op->progress += (uint64_t)rc;
	}
	if (rc == SIM_WAIT)
		return SIM_WAIT;
	return op->progress ? (int64_t)op->progress : rc;
}

static int64_t stream_move(struct sim_op *op, struct sim_sock *sock,
			   const struct move *move)
{
	uint64_t whole = peal__sim_sum(move->parts, move->count);

	if (!whole)
		return 0;
	if (move->flags & MSG_WAITALL && !(move->flags & MSG_PEEK) &&
	    !(move->msg && !move->writes && move->msg->msg_controllen))
		return stream_all(op, sock, move);
	return stream_parts(sock, move, 0);
}

static int64_t message_move(struct sim_sock *sock, const struct move *move)
{
	struct sim_addr to = { 0 };
	int rc = 0;

	if (!move->writes)
		return peal__sim_message_receive(sock, move->parts, move->count,
				       move->flags, move->msg);
	if (move->msg && move->msg->msg_name)
		rc = peal__sim_get_addr(sock, (uintptr_t)move->msg->msg_name,
				  move->msg->msg_namelen, &to);
	return rc < 0 ? rc
		      : peal__sim_message_send(sock, move->parts, move->count,
					       &to);
}

static int may_move(const struct sim_file *file, const struct move *move)
{
	int mode = file->flags & O_ACCMODE;

	return mode == O_RDWR || mode == (move->writes ? O_WRONLY : O_RDONLY)
		       ? 0 : -EBADF;
}

static int64_t stream_header(struct sim_op *op, struct sim_sock *sock,
			     const struct move *move)
{
	int64_t rc = stream_move(op, sock, move);

	if (rc >= 0 && move->msg && !move->writes) {
		peal__sim_header_end(sock, NULL, move->msg, move->flags, 0);
		move->msg->msg_namelen = 0;
	}
	return rc;
}

int64_t peal__sim_transfer(struct sim_op *op)
{
	struct sim_sock *sock = op->file->sock;
	int is_zc = sim_is_zc(sim_sqe(op)->opcode);
	struct move move;
	int64_t rc = read_move(sim_sqe(op), &move);

	if (rc == 0)
		rc = may_move(op->file, &move);
	if (rc == 0 && is_zc && sock->family == AF_UNIX)
		rc = -EOPNOTSUPP;
	if (rc < 0)
		return rc;
	if (!move.writes && move.flags & MSG_ERRQUEUE)
		return -EAGAIN;
	if (move.msg && move.writes && !op->progress)
		rc = peal__sim_control_read(sock, move.msg);
	if (rc < 0)
		return rc;
	sock->lender = is_zc ? op : NULL;
	rc = sim_is_stream(sock) ? stream_header(op, sock, &move)
				 : message_move(sock, &move);
	sock->lender = NULL;
	if (rc == SIM_WAIT && move.flags & MSG_DONTWAIT)
		rc = op->progress ? (int64_t)op->progress : -EAGAIN;
	peal__sim_control_end(sock);
	return rc;
}
