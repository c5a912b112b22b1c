/* SPDX-License-Identifier: MIT */
/*
 * Simulated FIFOs: a pipe with a name. Each end is one open file, which all who
 * opened it share; what is in the pipe stays while one end is open. An open
 * waits for the other end, and counts as an end while it does.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include "shim/sim_net.h"

enum { READS, WRITES };

static int side_of(const struct sim_file *file)
{
	return (file->flags & O_ACCMODE) == O_WRONLY ? WRITES : READS;
}

/* What the reader before has left. */
static void take_over(struct sim_sock *reader, struct sim_sock *before)
{
	reader->rx = before->rx;
	reader->rx_room = before->rx_room;
	reader->rx_head = before->rx_head;
	reader->rx_len = before->rx_len;
	before->rx = NULL;
	before->rx_room = before->rx_len = 0;
}

static void connect_ends(struct sim_sock *reader, struct sim_sock *writer)
{
	if (writer->peer)
		take_over(reader, writer->peer);
	peal__sim_sock_unpair(reader);
	peal__sim_sock_unpair(writer);
	peal__sim_sock_pair(reader, writer);
	reader->state = writer->state = SOCK_CONNECTED;
	reader->eof = writer->eof = 0;
	peal__sim_sock_wake(reader, POLLIN | POLLOUT);
	peal__sim_sock_wake(writer, POLLIN | POLLOUT);
}

static struct sim_file *end_new(struct sim_inode *inode, int flags)
{
	struct sim_sock *sock = peal__sim_sock_new(inode->node, AF_UNIX,
						   SIM_PIPE);
	struct sim_file *file = sock ? peal__sim_sock_open(sock, flags) : NULL;
	struct sim_file *other;

	if (!file)
		return NULL;
	file->inode = inode;
	peal__sim_inode_hold(inode);
	inode->ends[side_of(file)] = file;
	other = inode->ends[!side_of(file)];
	if (other && side_of(file) == READS)
		connect_ends(sock, other->sock);
	else if (other)
		connect_ends(other->sock, sock);
	else
		sock->eof = 1;
	return file;
}

int peal__sim_fifo_end(struct sim_inode *inode, int flags,
		       struct sim_file **out)
{
	int mode = flags & O_ACCMODE;
	int side = mode == O_WRONLY ? WRITES : READS;

	if (mode == O_RDWR)
		return -EOPNOTSUPP;
	*out = inode->ends[side];
	if (*out)
		peal__sim_file_hold(*out);
	else
		*out = end_new(inode, flags);
	if (!*out)
		return -ENOMEM;
	inode->opens[side]++;
	return 0;
}

void peal__sim_fifo_closed(struct sim_file *file)
{
	file->inode->ends[side_of(file)] = NULL;
}

/* io_uring tries an open without waiting first, unless it is told not to, and
 * that ends it; a pool's thread waits. Either may come. */
static int may_wait(const struct sim_op *op)
{
	const struct peal__sqe *sqe = sim_sqe(op);

	return !(sqe->op_flags & O_NONBLOCK) &&
	       (sqe->flags & PEAL__SQE_ASYNC ||
		sim_random(sim_node_of(op)->world) >> 63);
}

/* The op holds the end, and waits at it. */
int64_t peal__sim_fifo_open(struct sim_op *op, struct sim_file *file)
{
	uint64_t others = file->inode->opens[!side_of(file)];
	int there = file->inode->ends[!side_of(file)] != NULL;

	if (there || !may_wait(op)) {
		if (there || side_of(file) == READS)
			return peal__sim_place(op, file);
		peal__sim_file_drop(file);
		return -ENXIO;
	}
	if (op->file)
		peal__sim_file_drop(op->file);
	op->file = op->waits_for = file;
	op->progress = 1 + others;
	return SIM_WAIT;
}

/* The other end may have come and gone. */
int64_t peal__sim_fifo_again(struct sim_op *op)
{
	struct sim_file *file = op->file;

	if (op->progress == 1 + file->inode->opens[!side_of(file)])
		return SIM_WAIT;
	peal__sim_file_hold(file);
	return peal__sim_place(op, file);
}
