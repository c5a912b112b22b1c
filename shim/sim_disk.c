/* SPDX-License-Identifier: MIT */
/* Simulated ops on open files: read, write, sync; and what goes wrong. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "shim/sim.h"

#define MOST_PARTS	1024u
#define KNOWN_FLAGS	0x1fu	/* RWF_HIPRI, DSYNC, SYNC, NOWAIT, APPEND */
#define SYNC_FLAGS	0x06u
#define APPEND_FLAG	0x10u

/* A transfer: pieces of memory, a place in a file. */
struct transfer {
	const struct iovec *parts;
	struct iovec one;
	unsigned count;
	uint64_t offset;
	uint64_t len;
	unsigned flags;		/* RWF_* */
	int writes;
};

static int is_vector(unsigned opcode)
{
	return opcode == PEAL__OP_READV || opcode == PEAL__OP_WRITEV;
}

static int check_parts(struct transfer *move)
{
	unsigned i;

	for (i = 0; i < move->count; i++) {
		if (move->parts[i].iov_len &&
		    sim_unmapped((uintptr_t)move->parts[i].iov_base))
			return -EFAULT;
		move->len += move->parts[i].iov_len;
	}
	if (move->len > PEAL__MAX_TRANSFER)
		move->len = PEAL__MAX_TRANSFER;
	return 0;
}

static int read_entry(const struct peal__sqe *sqe, struct transfer *move)
{
	*move = (struct transfer){
		.parts = sim_pointer(sqe->addr), .count = sqe->len,
		.offset = sqe->off, .flags = sqe->op_flags,
		.writes = sqe->opcode == PEAL__OP_WRITE ||
			  sqe->opcode == PEAL__OP_WRITEV };
	if (!is_vector(sqe->opcode)) {
		move->one = (struct iovec){ sim_pointer(sqe->addr), sqe->len };
		move->parts = &move->one;
		move->count = 1;
	}
	if (move->count > MOST_PARTS)
		return -EINVAL;
	if (is_vector(sqe->opcode) && move->count && sim_unmapped(sqe->addr))
		return -EFAULT;
	if (move->flags & ~KNOWN_FLAGS)
		return -EOPNOTSUPP;
	return check_parts(move);
}

/* O_DIRECT wants all of it aligned. */
static int is_aligned(const struct sim_file *file, const struct transfer *move)
{
	uint64_t mask = file->node->dio_align - 1, bits = move->offset;
	unsigned i;

	if (!(file->flags & O_DIRECT))
		return 1;
	for (i = 0; i < move->count; i++)
		bits |= (uintptr_t)move->parts[i].iov_base |
			move->parts[i].iov_len;
	return !(bits & mask);
}

static int may_move(const struct sim_file *file, struct transfer *move)
{
	int mode = file->flags & O_ACCMODE;

	if (mode == (move->writes ? O_RDONLY : O_WRONLY))
		return -EBADF;
	if (file->kind == SIM_DIR)
		return -EISDIR;
	if (file->kind == SIM_DEVICE)
		return 0;
	if (move->offset == PEAL_CURRENT)
		move->offset = file->position;
	if (move->offset > INT64_MAX)
		return -EINVAL;
	if (move->writes && (file->flags & O_APPEND ||
			     move->flags & APPEND_FLAG))
		move->offset = file->inode->size;
	if (!move->writes && move->offset >= file->inode->size)
		move->len = 0;		/* even where nothing is aligned */
	return !move->len || is_aligned(file, move) ? 0 : -EINVAL;
}

/* A part of it, in whole blocks where those count. */
static void shorten(const struct sim_file *file, struct transfer *move)
{
	uint64_t unit = file->flags & O_DIRECT ? file->node->dio_align : 1;

	if (move->len <= unit || !peal__sim_fault(file->node, PEAL_SIM_SHORT))
		return;
	move->len = unit * (1 + sim_below(file->node->world,
					  (move->len - 1) / unit));
}

static int64_t move_parts(struct sim_inode *inode, const struct transfer *move)
{
	uint64_t done = 0;
	unsigned i;

	for (i = 0; i < move->count && done < move->len; i++) {
		void *buf = move->parts[i].iov_base;
		uint64_t len = move->parts[i].iov_len;
		int64_t rc;

		if (len > move->len - done)
			len = move->len - done;
		rc = move->writes ? peal__sim_data_write(inode, buf, len,
						   move->offset + done)
				  : peal__sim_data_read(inode, buf, len,
						  move->offset + done);
		if (rc < 0 && !done)
			return rc;
		if (rc > 0)
			done += (uint64_t)rc;
		if (rc < (int64_t)len)
			break;
	}
	return (int64_t)done;
}

static int64_t sync_file(struct sim_file *file)
{
	if (file->kind == SIM_DIR) {
		if (peal__sim_fault(file->node, PEAL_SIM_SYNC_EIO))
			return -EIO;
		peal__sim_dir_sync(file->inode);
		return 0;
	}
	if (peal__sim_fault(file->node, PEAL_SIM_SYNC_EIO)) {
		peal__sim_data_drop_dirty(file->inode);
		return -EIO;
	}
	peal__sim_data_sync(file->inode);
	return 0;
}

/* Some of the sectors of a write do not get there. */
static void tear(struct sim_inode *inode, uint64_t offset, uint64_t len)
{
	struct peal_sim *world = inode->node->world;
	uint64_t at;

	for (at = offset; at < offset + len; at += SIM_SECTOR)
		if (sim_below(world, 2))
			peal__sim_data_lose(inode, at, SIM_SECTOR);
}

static int64_t write_file(struct sim_file *file, struct transfer *move)
{
	struct peal_sim_node *node = file->node;
	struct sim_inode *inode = file->inode;
	int64_t rc;

	if (peal__sim_fault(node, PEAL_SIM_WRITE_EIO))
		return -EIO;
	if (peal__sim_fault(node, PEAL_SIM_ENOSPC))
		return -ENOSPC;
	if (inode->size > SIM_SECTOR &&
	    peal__sim_fault(node, PEAL_SIM_WRITE_MISDIRECTED))
		move->offset = SIM_SECTOR *
			sim_below(node->world, inode->size / SIM_SECTOR);
	rc = move_parts(inode, move);
	if (rc > 0 && peal__sim_fault(node, PEAL_SIM_WRITE_TORN))
		tear(inode, move->offset, (uint64_t)rc);
	if (rc > 0 && peal__sim_fault(node, PEAL_SIM_WRITE_LOST))
		peal__sim_data_lose(inode, move->offset, (uint64_t)rc);
	return rc;
}

static int is_synced(const struct sim_file *file, unsigned flags)
{
	return flags & SYNC_FLAGS || file->flags & O_DSYNC;
}

static int64_t write_and_sync(struct sim_file *file, struct transfer *move)
{
	int64_t rc = write_file(file, move);
	int64_t synced = 0;

	if (rc >= 0 && is_synced(file, move->flags))
		synced = sync_file(file);
	return synced < 0 ? synced : rc;
}

static int64_t read_file(struct sim_file *file, const struct transfer *move)
{
	if (peal__sim_fault(file->node, PEAL_SIM_READ_EIO))
		return -EIO;
	if (peal__sim_fault(file->node, PEAL_SIM_BIT_ROT))
		peal__sim_data_rot(file->inode, move->offset, move->len);
	return move_parts(file->inode, move);
}

static int64_t move_device(struct sim_file *file, const struct transfer *move)
{
	int64_t done = 0;
	unsigned i;

	for (i = 0; i < move->count && done < (int64_t)move->len; i++) {
		uint64_t len = move->parts[i].iov_len;
		int64_t rc;

		if (len > move->len - (uint64_t)done)
			len = move->len - (uint64_t)done;
		rc = move->writes
			     ? peal__sim_device_write(file, len)
			     : peal__sim_device_read(file,
						     move->parts[i].iov_base,
						     len);
		if (rc <= 0)
			return done ? done : rc;
		done += rc;
	}
	return done;
}

int64_t peal__sim_disk_try(struct sim_op *op)
{
	const struct peal__sqe *sqe = sim_sqe(op);
	struct sim_file *file = op->file;
	struct transfer move;
	int64_t rc;

	if (sqe->opcode == PEAL__OP_FSYNC)
		return file->kind == SIM_FILE || file->kind == SIM_DIR
			       ? sync_file(file) : -EINVAL;
	rc = read_entry(sqe, &move);
	if (rc == 0)
		rc = may_move(file, &move);
	if (rc < 0 || move.len == 0)
		return rc;
	if (file->kind == SIM_DEVICE)
		return move_device(file, &move);
	shorten(file, &move);
	rc = move.writes ? write_and_sync(file, &move)
			 : read_file(file, &move);
	if (rc > 0 && sqe->off == PEAL_CURRENT)
		file->position = move.offset + (uint64_t)rc;
	return rc;
}

enum peal_sim_part peal__sim_disk_part(const struct sim_op *op)
{
	const struct peal__sqe *sqe = sim_sqe(op);

	switch (sqe->opcode) {
	case PEAL__OP_READ:
	case PEAL__OP_READV:
		return PEAL_SIM_DISK_READ;
	case PEAL__OP_WRITE:
	case PEAL__OP_WRITEV:
		return is_synced(op->file, sqe->op_flags) ? PEAL_SIM_DISK_SYNC
							  : PEAL_SIM_DISK_WRITE;
	case PEAL__OP_FSYNC:
	case PEAL__OP_SYNC_FILE_RANGE:
		return PEAL_SIM_DISK_SYNC;
	default:
		return PEAL_SIM_DISK;
	}
}
