/* SPDX-License-Identifier: MIT */
/*
 * Simulated messages: datagrams, packets of SOCK_SEQPACKET; and the transfer
 * ops of all sockets, with message headers and MSG_WAITALL.
 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include "shim/sim_net.h"

#define MOST_PARTS	1024u

/* --- sending ------------------------------------------------------------- */

static uint64_t sum_of(const struct iovec *parts, size_t count)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < count; i++)
		sum += parts[i].iov_len;
	return sum;
}

static struct sim_packet *gather(struct sim_sock *from, struct sim_sock *to,
				 const struct iovec *parts, size_t count)
{
	uint32_t len = (uint32_t)sum_of(parts, count), at = 0;
	struct sim_packet *packet =
		peal__sim_packet_new(from, to, PACKET_MESSAGE, NULL, len);
	size_t i;

	for (i = 0; packet && i < count; i++) {
		if (parts[i].iov_len)
			memcpy(packet->data + at, parts[i].iov_base,
			       parts[i].iov_len);
		at += (uint32_t)parts[i].iov_len;
	}
	return packet;
}

static void keep(struct sim_sock *sock, struct sim_packet *packet)
{
	packet->next = NULL;
	if (sock->last_message)
		sock->last_message->next = packet;
	else
		sock->messages = packet;
	sock->last_message = packet;
	sock->coming += packet->len + 1;
	peal__sim_sock_wake(sock, POLLIN);
}

static struct sim_packet *take(struct sim_sock *sock)
{
	struct sim_packet *packet = sock->messages;

	sock->messages = packet->next;
	if (!sock->messages)
		sock->last_message = NULL;
	sock->coming -= packet->len + 1;
	return packet;
}

/* The queue keeps it; it refers to its socket no more. */
static void deliver(struct sim_sock *to, struct sim_packet *packet)
{
	if (packet->to) {
		packet->to = NULL;
		peal__sim_sock_drop(to);
	}
	keep(to, packet);
}

static int64_t send_local(struct sim_sock *sock, const struct iovec *parts,
			  size_t count, const struct sim_addr *target)
{
	struct sim_sock *peer = sock->peer;
	uint64_t len = sum_of(parts, count);
	struct sim_packet *packet;
	int rc;

	if (!peer && target->len) {
		rc = peal__sim_find_unix(sock->node, target, &peer);
		if (rc < 0)
			return rc;
	}
	if (!peer)
		return sock->eof ? -EPIPE : -ENOTCONN;
	if (peer->closed || peer->no_read)
		return sock->type == SOCK_SEQPACKET ? -EPIPE : -ECONNREFUSED;
	if (peer->coming && peer->coming + len + 1 > peer->rx_most)
		return SIM_WAIT;
	packet = gather(sock, NULL, parts, count);
	if (!packet)
		return -ENOMEM;
	packet->source = sock->local;
	packet->rights = sock->giving;
	sock->giving = NULL;
	deliver(peer, packet);
	return (int64_t)len;
}

static void launch(struct sim_sock *sock, struct sim_packet *packet,
		   struct peal_sim_node *to)
{
	struct peal_sim_node *node = sock->node;
	uint64_t delay = peal__sim_net_delay(node, to);

	if (peal__sim_fault(node, PEAL_SIM_LOSS)) {
		peal__sim_packet_free(packet);
		return;
	}
	if (peal__sim_fault(node, PEAL_SIM_SLOW) ||
	    peal__sim_fault(node, PEAL_SIM_OVERTAKE))
		delay += sim_below(node->world, PEAL_S);
	peal__sim_packet_send(packet, delay);
}

static int64_t send_datagram(struct sim_sock *sock, const struct iovec *parts,
			     size_t count, const struct sim_addr *target)
{
	struct peal_sim_node *to = peal__sim_node_at(sock->node, target);
	unsigned copies =
		1 + (unsigned)peal__sim_fault(sock->node, PEAL_SIM_DOUBLE);
	int rc = peal__sim_auto_bind(sock);

	if (rc < 0)
		return rc;
	if (sum_of(parts, count) > SIM_DATAGRAM)
		return -EMSGSIZE;
	for (; to && copies; copies--) {
		struct sim_packet *packet = gather(sock, NULL, parts, count);

		if (!packet)
			return -ENOMEM;
		packet->to_node = to;
		packet->target = *target;
		packet->source = peal__sim_source(sock, target);
		launch(sock, packet, to);
	}
	return (int64_t)sum_of(parts, count);
}

int64_t peal__sim_message_send(struct sim_sock *sock, const struct iovec *parts,
			 size_t count, const struct sim_addr *to)
{
	int error = sock->error;

	sock->error = 0;
	if (error || sock->no_write)
		return error ? error : -EPIPE;
	if (!to->len)
		to = &sock->remote;
	if (sock->family == AF_UNIX)
		return send_local(sock, parts, count, to);
	return to->len ? send_datagram(sock, parts, count, to)
		       : -EDESTADDRREQ;
}

/* Who a connected socket does not know it does not hear. */
static int hears(const struct sim_sock *sock, const struct sim_addr *source)
{
	return sock->state != SOCK_CONNECTED ||
	       peal__sim_port(&sock->remote) == peal__sim_port(source);
}

void peal__sim_message_arrived(struct sim_packet *packet)
{
	struct sim_sock *to = peal__sim_find_bound(packet->to_node, SOCK_DGRAM,
					     &packet->target, 0);

	if (!to && packet->from->state == SOCK_CONNECTED &&
	    !packet->from->closed) {
		packet->from->error = -ECONNREFUSED;
		peal__sim_sock_wake(packet->from, POLLIN | POLLOUT | POLLERR);
	}
	if (to && hears(to, &packet->source) && !to->no_read &&
	    to->coming + packet->len < to->rx_most)
		deliver(to, packet);
	else
		peal__sim_packet_free(packet);
}

/* --- receiving ----------------------------------------------------------- */

static uint64_t scatter(const struct sim_packet *packet,
			const struct iovec *parts, size_t count)
{
	uint64_t at = 0;
	size_t i;

	for (i = 0; i < count && at < packet->len; i++) {
		uint64_t len = parts[i].iov_len < packet->len - at
				       ? parts[i].iov_len : packet->len - at;

		if (len)
			memcpy(parts[i].iov_base, packet->data + at, len);
		at += len;
	}
	return at;
}

static void end_header(struct sim_sock *sock, const struct sim_packet *packet,
		       struct msghdr *msg, unsigned flags, int cut)
{
	msg->msg_flags = cut | (int)(flags & MSG_CMSG_CLOEXEC);
	peal__sim_control_write(sock, packet, msg);
}

static int64_t nothing_there(struct sim_sock *sock)
{
	int error = sock->error;

	sock->error = 0;
	if (error)
		return error;
	if (sock->no_read || (sock->eof && sock->type == SOCK_SEQPACKET))
		return 0;
	if (sock->type == SOCK_SEQPACKET && sock->state != SOCK_CONNECTED)
		return -ENOTCONN;
	return SIM_WAIT;
}

static int64_t message_receive(struct sim_sock *sock,
			       const struct iovec *parts, size_t count,
			       unsigned flags, struct msghdr *msg)
{
	struct sim_packet *packet = sock->messages;
	uint64_t copied, len;

	if (!packet) {
		int64_t rc = nothing_there(sock);

		if (rc == 0 && msg)
			end_header(sock, NULL, msg, flags, 0);
		return rc;
	}
	copied = scatter(packet, parts, count);
	len = packet->len;
	if (msg && msg->msg_name) {
		peal__sim_put_addr(&packet->source, (uintptr_t)msg->msg_name,
			     (uintptr_t)&msg->msg_namelen);
	}
	sock->taken = packet->rights;
	if (flags & MSG_PEEK && packet->rights)
		sock->taken = peal__sim_rights_copy(packet->rights);
	else
		packet->rights = NULL;
	if (msg)
		end_header(sock, packet, msg, flags,
			   copied < len ? MSG_TRUNC : 0);
	if (flags & MSG_PEEK)
		return (int64_t)(flags & MSG_TRUNC ? len : copied);
	peal__sim_packet_free(take(sock));
	if (sock->peer)
		peal__sim_sock_wake(sock->peer, POLLOUT);
	return (int64_t)(flags & MSG_TRUNC ? len : copied);
}

/* --- the ops ------------------------------------------------------------- */

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
		.writes = peal__op_row(sqe->opcode)->waits == WAITS_WRITABLE };
	switch (sqe->opcode) {
	case PEAL__OP_SENDMSG:
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
	uint64_t whole = sum_of(move->parts, move->count);
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
	uint64_t whole = sum_of(move->parts, move->count);

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
		return message_receive(sock, move->parts, move->count,
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
		end_header(sock, NULL, move->msg, move->flags, 0);
		move->msg->msg_namelen = 0;
	}
	return rc;
}

int64_t peal__sim_transfer(struct sim_op *op)
{
	struct sim_sock *sock = op->file->sock;
	struct move move;
	int64_t rc = read_move(sim_sqe(op), &move);

	if (rc == 0)
		rc = may_move(op->file, &move);
	if (rc < 0)
		return rc;
	if (!move.writes && move.flags & MSG_ERRQUEUE)
		return -EAGAIN;
	if (move.msg && move.writes && !op->progress)
		rc = peal__sim_control_read(sock, move.msg);
	if (rc < 0)
		return rc;
	rc = sim_is_stream(sock) ? stream_header(op, sock, &move)
				 : message_move(sock, &move);
	if (rc == SIM_WAIT && move.flags & MSG_DONTWAIT)
		rc = op->progress ? (int64_t)op->progress : -EAGAIN;
	peal__sim_control_end(sock);
	return rc;
}
