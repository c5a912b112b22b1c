/* SPDX-License-Identifier: MIT */
/* The rarer simulated ops on open files: room, holes, directories, splice. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "peal/work.h"
#include "shim/sim.h"
#include "shim/sim_net.h"

#define KEEP_SIZE	1u	/* fallocate(2)'s modes */
#define PUNCH_HOLE	2u
#define ZERO_RANGE	16u
#define ADVICES		6	/* posix_fadvise(2)'s: 0 to 5 */
#define SPLICE_MOST	65536u
#define SPLICE_NONBLOCK	2u
#define SPLICE_FLAGS	15u

static int is_writable(const struct sim_file *file)
{
	return (file->flags & O_ACCMODE) != O_RDONLY;
}

static int64_t try_fallocate(struct sim_file *file, unsigned mode,
			     uint64_t offset, uint64_t len)
{
	struct sim_inode *inode = file->inode;
	int rc = 0;

	if (!is_writable(file))
		return -EBADF;
	if (!len || offset > INT64_MAX || len > INT64_MAX)
		return -EINVAL;
	if (len > (uint64_t)INT64_MAX - offset)
		return -EFBIG;
	if (mode & ~(KEEP_SIZE | PUNCH_HOLE | ZERO_RANGE))
		return -EOPNOTSUPP;
	if (peal__sim_fault(file->node, PEAL_SIM_ENOSPC))
		return -ENOSPC;
	if (mode & (PUNCH_HOLE | ZERO_RANGE))
		rc = peal__sim_data_punch(inode, offset, len);
	if (rc == 0 && !(mode & PUNCH_HOLE))
		rc = peal__sim_data_map(inode, offset, len);
	if (rc == 0 && !(mode & KEEP_SIZE) && offset + len > inode->size)
		rc = peal__sim_data_resize(inode, offset + len);
	return rc;
}

static int64_t try_truncate(struct sim_file *file, uint64_t len)
{
	if (file->kind != SIM_FILE || !is_writable(file) || len > INT64_MAX)
		return -EINVAL;
	return peal__sim_data_resize(file->inode, len);
}

static int64_t try_seek(struct sim_file *file, uint64_t offset, unsigned how)
{
	int64_t at;

	if (how != 3 && how != 4)	/* SEEK_DATA, SEEK_HOLE */
		return -EINVAL;
	if (file->kind != SIM_FILE || offset > INT64_MAX)
		return -ENXIO;
	at = peal__sim_data_seek(file->inode, offset, how == 4);
	if (at >= 0)
		file->position = (uint64_t)at;
	return at;
}

static int64_t try_sync_range(unsigned flags, uint64_t offset)
{
	if (flags & ~7u || offset > INT64_MAX)
		return -EINVAL;
	return 0;	/* it makes nothing durable, here as there */
}

/* --- copy ---------------------------------------------------------------- */

static int64_t copy(struct sim_inode *from, uint64_t off_in,
		    struct sim_inode *to, uint64_t off_out, uint64_t len)
{
	char part[4096];
	uint64_t done = 0;

	while (done < len) {
		uint64_t want = len - done < sizeof part ? len - done
							 : sizeof part;
		int64_t got =
			peal__sim_data_read(from, part, want, off_in + done);
		int64_t put =
			got > 0 ? peal__sim_data_write(to, part, (uint64_t)got,
						       off_out + done)
				: 0;

		if (put < 0 && !done)
			return put;
		if (put <= 0)
			break;
		done += (uint64_t)put;
	}
	return (int64_t)done;
}

static int64_t try_copy(struct sim_op *op, const struct peal__sqe *sqe)
{
	struct sim_file *in = op->file_in, *out = op->file;
	uint64_t off_in = sqe->addr, off_out = sqe->off;
	int64_t rc;

	if (in->kind == SIM_DIR || out->kind == SIM_DIR)
		return -EISDIR;
	if (in->kind != SIM_FILE || out->kind != SIM_FILE)
		return -EINVAL;
	if ((in->flags & O_ACCMODE) == O_WRONLY || !is_writable(out) ||
	    out->flags & O_APPEND)
		return -EBADF;
	off_in = off_in == PEAL_CURRENT ? in->position : off_in;
	off_out = off_out == PEAL_CURRENT ? out->position : off_out;
	if (in->inode == out->inode && off_in < off_out + sqe->len &&
	    off_out < off_in + sqe->len)
		return -EINVAL;
	rc = copy(in->inode, off_in, out->inode, off_out, sqe->len);
	if (rc > 0 && sqe->addr == PEAL_CURRENT)
		in->position += (uint64_t)rc;
	if (rc > 0 && sqe->off == PEAL_CURRENT)
		out->position += (uint64_t)rc;
	return rc;
}

/* --- directories --------------------------------------------------------- */

/* 0: no room for it. */
static uint16_t put_entry(char *to, uint64_t room, const char *name,
			  uint64_t inode, uint64_t cookie, uint32_t mode)
{
	size_t name_len = strlen(name) + 1;
	size_t len = (offsetof(struct peal_dir_entry, name) + name_len + 7) &
		     ~(size_t)7;
	struct peal_dir_entry entry = { .inode = inode,
					.position = (int64_t)cookie,
					.length = (uint16_t)len,
					.type = (uint8_t)(mode >> 12) };

	if (len > room)
		return 0;
	memset(to, 0, len);
	memcpy(to, &entry, offsetof(struct peal_dir_entry, name));
	memcpy(to + offsetof(struct peal_dir_entry, name), name, name_len);
	return (uint16_t)len;
}

static int64_t try_read_dir(struct sim_file *file, char *buf, uint64_t len)
{
	struct sim_inode *dir = file->inode;
	const struct sim_entry *entry = dir->entries;
	uint64_t used = 0;
	uint16_t put;

	while (file->position < 2) {
		int up = file->position == 1;

		put = put_entry(buf + used, len - used, up ? ".." : ".",
				up && dir->parent ? dir->parent->number
						  : dir->number,
				file->position + 1, S_IFDIR);
		if (!put)
			return used ? (int64_t)used : -EINVAL;
		used += put;
		file->position++;
	}
	for (; entry; entry = entry->next) {
		if (entry->cookie <= file->position)
			continue;
		put = put_entry(buf + used, len - used, entry->name,
				entry->inode->number, entry->cookie,
				entry->inode->mode);
		if (!put)
			return used ? (int64_t)used : -EINVAL;
		used += put;
		file->position = entry->cookie;
	}
	return (int64_t)used;
}

static int64_t try_statfs(struct sim_op *op, const struct peal__sqe *sqe)
{
	struct peal_sim_node *node = sim_node_of(op);
	uint64_t blocks = node->disk_bytes ? node->disk_bytes / 4096
					   : UINT64_C(1) << 28;
	uint64_t used = node->disk_used / 4096;
	struct sim_inode *inode;
	int rc;

	if (sim_unmapped(sqe->addr) || sim_unmapped(sqe->off))
		return -EFAULT;
	rc = peal__sim_walk(node, node->root, sim_pointer(sqe->addr), 1, NULL,
			    NULL, &inode);
	if (rc < 0)
		return rc;
	*(struct peal_statfs *)sim_pointer(sqe->off) = (struct peal_statfs){
		.type = 0x7065616c,
		.block_size = 4096,
		.blocks = blocks,
		.blocks_free = blocks - used,
		.blocks_available = blocks - used,
		.files = UINT32_MAX,
		.files_free = UINT32_MAX - node->next_inode,
		.name_max = 255};
	return 0;
}

/* --- splice -------------------------------------------------------------- */

static int splice_check(const struct sim_op *op, const struct peal__sqe *sqe)
{
	const struct sim_file *in = op->file_in, *out = op->file;

	if ((!sim_is_pipe(in) && !sim_is_pipe(out)) ||
	    sqe->op_flags & ~(SPLICE_FLAGS | PEAL__SPLICE_FD_IN_FIXED))
		return -EINVAL;
	if ((in->kind == SIM_SOCK && sqe->addr != PEAL_CURRENT) ||
	    (out->kind == SIM_SOCK && sqe->off != PEAL_CURRENT))
		return -ESPIPE;
	if (in->kind == SIM_DIR || out->kind == SIM_DIR)
		return -EINVAL;
	if ((in->flags & O_ACCMODE) == O_WRONLY || !is_writable(out))
		return -EBADF;
	return out->flags & O_APPEND ? -EINVAL : 0;
}

static int64_t splice_in(struct sim_file *in, char *buf, uint64_t len,
			 uint64_t offset)
{
	int64_t rc;

	if (in->kind == SIM_SOCK) {
		rc = peal__sim_stream_read(in->sock, buf, len, 0);
		peal__sim_control_end(in->sock);
		return rc;
	}
	if (in->kind == SIM_DEVICE)
		return peal__sim_device_read(in, buf, len);
	rc = peal__sim_data_read(in->inode, buf, len,
			   offset == PEAL_CURRENT ? in->position : offset);
	if (rc > 0 && offset == PEAL_CURRENT)
		in->position += (uint64_t)rc;
	return rc;
}

static int64_t splice_out(struct sim_file *out, const char *buf, uint64_t len,
			  uint64_t offset)
{
	int64_t rc;

	if (out->kind == SIM_SOCK)
		return peal__sim_stream_write(out->sock, buf, len);
	if (out->kind == SIM_DEVICE)
		return peal__sim_device_write(out, len);
	rc = peal__sim_data_write(out->inode, buf, len,
			    offset == PEAL_CURRENT ? out->position : offset);
	if (rc > 0 && offset == PEAL_CURRENT)
		out->position += (uint64_t)rc;
	return rc;
}

/* Room first: what was taken out has to go somewhere. */
static int64_t try_splice(struct sim_op *op, const struct peal__sqe *sqe)
{
	char buf[SPLICE_MOST];
	uint64_t len = sqe->len < sizeof buf ? sqe->len : sizeof buf;
	int64_t rc = splice_check(op, sqe), room;

	if (rc < 0 || !len)
		return rc;
	if (op->file->kind == SIM_SOCK) {
		room = peal__sim_stream_room(op->file->sock);
		if (room == SIM_WAIT)
			op->waits_for = op->file;
		if (room < 0)
			return room == SIM_WAIT &&
			       sqe->op_flags & SPLICE_NONBLOCK ? -EAGAIN : room;
		len = (uint64_t)room < len ? (uint64_t)room : len;
	}
	rc = splice_in(op->file_in, buf, len, sqe->addr);
	if (rc == SIM_WAIT) {
		op->waits_for = op->file_in;
		return sqe->op_flags & SPLICE_NONBLOCK ? -EAGAIN : rc;
	}
	return rc > 0 ? splice_out(op->file, buf, (uint64_t)rc, sqe->off) : rc;
}

/* --- dispatch ------------------------------------------------------------ */

static int64_t try_on_file(struct sim_op *op, const struct peal__sqe *sqe)
{
	struct sim_file *file = op->file;

	switch (sqe->opcode) {
	case PEAL__OP_FADVISE:
		return sqe->op_flags < ADVICES ? 0 : -EINVAL;
	case PEAL__OP_FALLOCATE:
		return file->kind == SIM_FILE
			       ? try_fallocate(file, sqe->len, sqe->off,
					       sqe->addr)
			       : is_writable(file) ? -ENODEV : -EBADF;
	case PEAL__OP_SEEK:
		return try_seek(file, sqe->off, sqe->len);
	case PEAL__OP_SYNC_FILE_RANGE:
		return try_sync_range(sqe->op_flags, sqe->off);
	case PEAL__OP_READ_DIR:
		if (file->kind != SIM_DIR)
			return -ENOTDIR;
		return try_read_dir(file, sim_pointer(sqe->addr), sqe->len);
	default:
		return -EOPNOTSUPP;
	}
}

int64_t peal__sim_space_try(struct sim_op *op)
{
	const struct peal__sqe *sqe = sim_sqe(op);

	switch (sqe->opcode) {
	case PEAL__OP_STATFS:
		return try_statfs(op, sqe);
	case PEAL__OP_SPLICE:
		return try_splice(op, sqe);
	case PEAL__OP_COPY_RANGE:
		return try_copy(op, sqe);
	case PEAL__OP_FTRUNCATE:
		return try_truncate(op->file, sqe->off);
	default:
		break;
	}
	if (op->file->kind != SIM_SOCK)
		return try_on_file(op, sqe);
	return sqe->opcode == PEAL__OP_READ_DIR ? -ENOTDIR : -ESPIPE;
}
