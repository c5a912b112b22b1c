/* SPDX-License-Identifier: MIT */
/* Simulated ops by name: open, stat, rename, link, symlink, unlink, mkdir. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "shim/sim.h"

#define RENAME_KEEP	1u	/* RENAME_NOREPLACE */
#define RENAME_SWAP	2u	/* RENAME_EXCHANGE */

/* Where the last part of a path is, or would be. */
struct place {
	struct sim_inode *dir, *inode;
	char name[256];
};

static int find(struct peal_sim_node *node, struct sim_inode *from,
		const char *path, int follow, struct place *out)
{
	int rc = peal__sim_walk(node, from, path, follow, &out->dir, out->name,
			  &out->inode);

	return rc == -ENOENT && out->dir ? 0 : rc;
}

/* Is there a slash behind the last part? */
static int wants_dir(const char *path)
{
	return path[strlen(path) - 1] == '/';
}

int peal__sim_make(struct peal_sim_node *node, struct sim_inode *from,
	     const char *path, uint32_t mode, struct sim_inode **out)
{
	struct sim_inode *inode;
	struct place at;
	int rc = find(node, from, path, 0, &at);

	if (rc < 0)
		return rc;
	if (at.inode)
		return -EEXIST;
	if (wants_dir(path) && !S_ISDIR(mode))
		return -ENOENT;
	if (!at.dir->links && at.dir != node->root)
		return -ENOENT;		/* a directory that was removed */
	rc = peal__sim_may(at.dir, SIM_MAY_WRITE);
	if (rc < 0)
		return rc;
	if (peal__sim_fault(node, PEAL_SIM_ENOSPC))
		return -ENOSPC;
	inode = peal__sim_inode_new(node,
				    mode & ~(S_ISLNK(mode) ? 0 : node->mask));
	if (!inode)
		return -ENOMEM;
	peal__sim_inode_hold(inode);
	rc = peal__sim_dir_set(at.dir, at.name, inode,
			       peal__sim_dir_begin(node));
	*out = inode;
	peal__sim_inode_drop(inode);
	return rc;
}

/* --- open ---------------------------------------------------------------- */

static int may_open(const struct sim_inode *inode, int flags)
{
	int rc;

	if (S_ISLNK(inode->mode))
		return -ELOOP;
	if (!S_ISDIR(inode->mode) && flags & O_DIRECTORY)
		return -ENOTDIR;
	if (S_ISDIR(inode->mode) &&
	    ((flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT))
		return -EISDIR;
	rc = peal__sim_may_open(inode, flags);
	return rc == 0 && S_ISSOCK(inode->mode) ? -ENXIO : rc;
}

static int open_inode(struct peal_sim_node *node, struct sim_inode *inode,
		      int flags, struct sim_file **out)
{
	struct sim_file *file;

	if (S_ISFIFO(inode->mode))
		return peal__sim_fifo_end(inode, flags, out);
	file = peal__sim_file_new(node, S_ISDIR(inode->mode) ? SIM_DIR
				  : S_ISCHR(inode->mode) ? SIM_DEVICE
							 : SIM_FILE, flags);
	if (!file)
		return -ENOMEM;
	file->inode = inode;
	peal__sim_inode_hold(inode);
	if (flags & O_TRUNC && file->kind == SIM_FILE)
		peal__sim_data_resize(inode, 0);
	*out = file;
	return 0;
}

int peal__sim_open_path(struct peal_sim_node *node, struct sim_inode *from,
			const char *path, int flags, uint32_t mode,
			struct sim_file **out)
{
	struct place at;
	int follow = !(flags & O_NOFOLLOW) &&
		     (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
	int rc;

	if ((flags & O_TMPFILE) == O_TMPFILE)
		return -EOPNOTSUPP;
	if (flags & O_CREAT && flags & O_DIRECTORY)
		return -EINVAL;		/* it would be a file */
	rc = find(node, from, path, follow, &at);
	if (rc < 0)
		return rc;
	if (at.inode && flags & O_CREAT && flags & O_EXCL)
		return -EEXIST;
	if (at.inode) {
		rc = may_open(at.inode, flags);
		return rc < 0 ? rc : open_inode(node, at.inode, flags, out);
	}
	if (!(flags & O_CREAT))
		return -ENOENT;
	if (wants_dir(path))
		return -EISDIR;
	rc = peal__sim_make(node, at.dir, at.name, S_IFREG | (mode & 07777),
		      &at.inode);
	return rc < 0 ? rc
		      : open_inode(node, at.inode, flags & ~O_CREAT, out);
}

static int64_t try_open(struct sim_op *op, const struct peal__sqe *sqe,
			struct sim_inode *from)
{
	struct sim_file *file;
	int rc = peal__sim_has_place(op);

	if (rc == 0 && op->progress)
		return peal__sim_fifo_again(op);
	if (rc == 0)
		rc = peal__sim_open_path(from->node, from,
					 sim_pointer(sqe->addr),
					 (int)sqe->op_flags, sqe->len, &file);
	if (rc < 0)
		return rc;
	return file->kind == SIM_SOCK
		       ? peal__sim_fifo_open(op, file)
		       : peal__sim_place(op, file);
}

/* --- stat ---------------------------------------------------------------- */

static struct peal_time as_time(uint64_t ns)
{
	return (struct peal_time){ .sec = (int64_t)(ns / PEAL_S),
				   .nsec = (uint32_t)(ns % PEAL_S) };
}

static uint32_t link_count(const struct sim_inode *inode)
{
	const struct sim_entry *entry;
	uint32_t count = inode->links;

	if (!S_ISDIR(inode->mode))
		return count;
	count = 2;
	for (entry = inode->entries; entry; entry = entry->next)
		count += S_ISDIR(entry->inode->mode);
	return count;
}

void peal__sim_stat_fill(const struct sim_inode *inode, void *out_stat)
{
	struct peal_stat stat = {
		.mask = PEAL_STAT_BASIC | PEAL_STAT_DIO,
		.block_size = 4096,
		.links = link_count(inode),
		.mode = (uint16_t)inode->mode,
		.uid = inode->uid,
		.gid = inode->gid,
		.inode = inode->number,
		.bytes = inode->target ? strlen(inode->target) : inode->size,
		.blocks = inode->pages_mapped * 8,
		.accessed = as_time(inode->modified_ns),
		.changed = as_time(inode->changed_ns),
		.modified = as_time(inode->modified_ns),
		.dev_minor = inode->node->index,
		.rdev_major = inode->device != 0,
		.rdev_minor = inode->device,
	};

	if (S_ISREG(inode->mode))
		stat.dio_memory_align = stat.dio_offset_align =
			inode->node->dio_align;
	memcpy(out_stat, &stat, sizeof stat);
}

static int64_t try_stat(struct sim_op *op, const struct peal__sqe *sqe,
			struct sim_inode *from)
{
	const char *path = sim_pointer(sqe->addr);
	struct sim_inode *inode;
	int rc;

	if (sim_unmapped(sqe->off))
		return -EFAULT;
	if (sqe->op_flags & ~(PEAL_STAT_EMPTY_PATH | PEAL_STAT_NOFOLLOW |
			      0x6800u))		/* AT_NO_AUTOMOUNT, _SYNC_* */
		return -EINVAL;
	if (sqe->op_flags & PEAL_STAT_EMPTY_PATH && !*path) {
		if (op->file && op->file->kind == SIM_SOCK)
			return peal_sim_fd_stat(op->file->node, sqe->fd,
						sim_pointer(sqe->off));
		inode = op->file ? op->file->inode : from;
	} else {
		rc = peal__sim_walk(from->node, from, path,
			      !(sqe->op_flags & PEAL_STAT_NOFOLLOW), NULL,
			      NULL, &inode);
		if (rc < 0)
			return rc;
	}
	peal__sim_stat_fill(inode, sim_pointer(sqe->off));
	return 0;
}

/* --- rename -------------------------------------------------------------- */

static int is_inside(const struct sim_inode *inode, const struct sim_inode *dir)
{
	while (inode && inode != dir && inode != inode->parent)
		inode = inode->parent;
	return inode == dir;
}

static int may_replace(const struct sim_inode *inode,
		       const struct sim_inode *old)
{
	if (!S_ISDIR(inode->mode) && S_ISDIR(old->mode))
		return -EISDIR;
	if (S_ISDIR(inode->mode) && !S_ISDIR(old->mode))
		return -ENOTDIR;
	return old->entries ? -ENOTEMPTY : 0;
}

/* A directory that moves gets another "..". */
static int may_move(const struct place *from, const struct place *to,
		    unsigned flags)
{
	int rc = peal__sim_may_remove(from->dir, from->inode), moves;

	if (rc == 0)
		rc = to->inode ? peal__sim_may_remove(to->dir, to->inode)
			       : peal__sim_may(to->dir, SIM_MAY_WRITE);
	moves = from->dir != to->dir;
	if (rc == 0 && moves && S_ISDIR(from->inode->mode))
		rc = peal__sim_may(from->inode, SIM_MAY_WRITE);
	if (rc == 0 && moves && flags & RENAME_SWAP &&
	    S_ISDIR(to->inode->mode))
		rc = peal__sim_may(to->inode, SIM_MAY_WRITE);
	return rc;
}

static int may_rename(const struct place *from, const struct place *to,
		      unsigned flags)
{
	int rc;

	if (!from->inode)
		return -ENOENT;
	if (!from->name[0] || !to->name[0])
		return -EBUSY;
	if (flags & ~(RENAME_KEEP | RENAME_SWAP) ||
	    flags == (RENAME_KEEP | RENAME_SWAP))
		return -EINVAL;
	if (flags & RENAME_KEEP && to->inode)
		return -EEXIST;
	if (flags & RENAME_SWAP && !to->inode)
		return -ENOENT;
	if (S_ISDIR(from->inode->mode) && is_inside(to->dir, from->inode))
		return -EINVAL;
	if (to->inode == from->inode)
		return 0;
	rc = may_move(from, to, flags);
	if (rc < 0 || flags & RENAME_SWAP || !to->inode)
		return rc;
	return may_replace(from->inode, to->inode);
}

static int rename_places(struct peal_sim_node *node, struct place *from,
			 struct place *to, unsigned flags)
{
	uint64_t transaction;
	int rc = may_rename(from, to, flags);

	if (rc < 0 || from->inode == to->inode)
		return rc;
	if (peal__sim_fault(node, PEAL_SIM_ENOSPC))
		return -ENOSPC;
	transaction = peal__sim_dir_begin(node);
	rc = peal__sim_dir_set(to->dir, to->name, from->inode, transaction);
	if (rc == 0)
		rc = peal__sim_dir_set(from->dir, from->name,
				 flags & RENAME_SWAP ? to->inode : NULL,
				 transaction);
	return rc;
}

/* --- the others ---------------------------------------------------------- */

static int unlink_place(struct peal_sim_node *node, struct place *at,
			unsigned flags)
{
	int is_dir, rc;

	if (!at->inode)
		return -ENOENT;
	if (flags & ~PEAL_REMOVE_DIR)
		return -EINVAL;
	rc = peal__sim_may_remove(at->dir, at->inode);
	if (rc < 0)
		return rc;
	is_dir = S_ISDIR(at->inode->mode);
	if (is_dir && !(flags & PEAL_REMOVE_DIR))
		return -EISDIR;
	if (!is_dir && flags & PEAL_REMOVE_DIR)
		return -ENOTDIR;
	if (!at->name[0])
		return -EBUSY;
	if (is_dir && at->inode->entries)
		return -ENOTEMPTY;
	if (is_dir)
		at->inode->parent = NULL;
	return peal__sim_dir_set(at->dir, at->name, NULL,
				 peal__sim_dir_begin(node));
}

static int link_places(struct peal_sim_node *node, struct place *from,
		       struct place *to)
{
	int rc;

	if (!from->inode)
		return -ENOENT;
	if (to->inode)
		return -EEXIST;
	rc = peal__sim_may(to->dir, SIM_MAY_WRITE);
	if (rc < 0)
		return rc;
	if (S_ISDIR(from->inode->mode))
		return -EPERM;
	if (peal__sim_fault(node, PEAL_SIM_ENOSPC))
		return -ENOSPC;
	from->inode->changed_ns = node->world->now;
	return peal__sim_dir_set(to->dir, to->name, from->inode,
			   peal__sim_dir_begin(node));
}

static int make_symlink(struct peal_sim_node *node, struct sim_inode *from,
			const char *target, const char *path)
{
	struct sim_inode *inode;
	char *copy;
	int rc;

	if (!*target)
		return -ENOENT;
	copy = strdup(target);
	if (!copy)
		return -ENOMEM;
	rc = peal__sim_make(node, from, path, S_IFLNK | 0777, &inode);
	if (rc < 0)
		free(copy);
	else
		inode->target = copy;
	return rc;
}

/* --- dispatch ------------------------------------------------------------ */

/* The directory that a relative path begins at. */
static int base_of(struct peal_sim_node *node, int fd, struct sim_file *file,
		   const char *path, struct sim_inode **out)
{
	*out = node->root;
	if (*path == '/' || fd == PEAL_CWD)
		return 0;
	if (!file)
		return -EBADF;
	if (file->kind == SIM_DIR)
		*out = file->inode;
	else if (*path)
		return -ENOTDIR;
	return 0;
}

static int64_t try_two_paths(struct sim_op *op, const struct peal__sqe *sqe,
			     struct sim_inode *old_base)
{
	struct peal_sim_node *node = sim_node_of(op);
	const char *path = sim_pointer(sqe->off);
	int new_fd = (int)sqe->len, rc;
	struct place from, to;
	struct sim_inode *base;

	if (sim_unmapped(sqe->off))
		return -EFAULT;
	rc = base_of(node, new_fd, peal__sim_file_get(node, new_fd), path,
		     &base);
	if (rc == 0)
		rc = find(node, old_base, sim_pointer(sqe->addr),
			  sqe->opcode == PEAL__OP_LINKAT &&
			  sqe->op_flags & 0x400 /* AT_SYMLINK_FOLLOW */,
			  &from);
	if (rc == 0)
		rc = find(node, base, path, 0, &to);
	if (rc < 0)
		return rc;
	return sqe->opcode == PEAL__OP_LINKAT
		       ? link_places(node, &from, &to)
		       : rename_places(node, &from, &to, sqe->op_flags);
}

static int64_t try_symlink(struct sim_op *op, const struct peal__sqe *sqe)
{
	struct peal_sim_node *node = sim_node_of(op);
	const char *path = sim_pointer(sqe->off);
	struct sim_inode *base;
	int rc;

	if (sim_unmapped(sqe->off))
		return -EFAULT;
	rc = base_of(node, sqe->fd, op->file, path, &base);
	return rc < 0 ? rc : make_symlink(node, base, sim_pointer(sqe->addr),
					  path);
}

int64_t peal__sim_path_try(struct sim_op *op)
{
	const struct peal__sqe *sqe = sim_sqe(op);
	struct peal_sim_node *node = sim_node_of(op);
	const char *path = sim_pointer(sqe->addr);
	struct sim_inode *base, *made;
	struct place at;
	int rc;

	if (sim_unmapped(sqe->addr))
		return -EFAULT;
	if (sqe->opcode == PEAL__OP_SYMLINKAT)
		return try_symlink(op, sqe);
	rc = base_of(node, sqe->fd, op->file, path, &base);
	if (rc < 0)
		return rc;
	switch (sqe->opcode) {
	case PEAL__OP_OPENAT:
		return try_open(op, sqe, base);
	case PEAL__OP_STATX:
		return try_stat(op, sqe, base);
	case PEAL__OP_RENAMEAT:
	case PEAL__OP_LINKAT:
		return try_two_paths(op, sqe, base);
	case PEAL__OP_MKDIRAT:
		return peal__sim_make(node, base, path,
				      S_IFDIR | (sqe->len & 07777), &made);
	case PEAL__OP_UNLINKAT:
		rc = find(node, base, path, 0, &at);
		return rc < 0 ? rc : unlink_place(node, &at, sqe->op_flags);
	default:
		return -EOPNOTSUPP;
	}
}
