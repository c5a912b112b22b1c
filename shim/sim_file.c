/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of a simulated node, the open files behind them, and the calls
 * on them that no op has (peal/sim_node.h).
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "shim/sim.h"
#include "shim/sim_net.h"

struct sim_file *peal__sim_file_new(struct peal_sim_node *node,
				    enum sim_kind kind, int flags)
{
	struct sim_file *file = calloc(1, sizeof *file);

	if (!file)
		return NULL;
	file->refs = 1;
	file->kind = (uint8_t)kind;
	file->flags = flags;
	file->node = node;
	return file;
}

void peal__sim_file_hold(struct sim_file *file)
{
	file->refs++;
}

void peal__sim_file_drop(struct sim_file *file)
{
	if (--file->refs)
		return;
	if (file->sock && file->inode)
		peal__sim_fifo_closed(file);
	if (file->sock)
		peal__sim_sock_close(file->sock);
	if (file->inode)
		peal__sim_inode_drop(file->inode);
	free(file);
}

struct sim_file *peal__sim_file_get(struct peal_sim_node *node, int fd)
{
	uint32_t at = (uint32_t)fd - PEAL_SIM_FIRST_FD;

	return fd >= PEAL_SIM_FIRST_FD && at < node->fd_room ? node->fds[at]
							     : NULL;
}

static int grow_fds(struct peal_sim_node *node)
{
	uint32_t room = node->fd_room ? 2 * node->fd_room : 64;
	struct sim_file **fds = realloc(node->fds, room * sizeof(*fds));

	if (!fds)
		return -ENOMEM;
	memset(fds + node->fd_room, 0, (room - node->fd_room) * sizeof(*fds));
	node->fds = fds;
	node->fd_room = room;
	return 0;
}

/* 0: there is a free number, and a place for it. */
int peal__sim_fd_room(struct peal_sim_node *node)
{
	uint32_t at = node->fd_first;

	while (at < node->fd_room && node->fds[at])
		at++;
	node->fd_first = at;
	if (at >= node->fd_most)
		return -EMFILE;
	return at < node->fd_room ? 0 : grow_fds(node);
}

/* The lowest free number; it has the reference from now on. On an error file
 * is dropped. */
int peal__sim_fd_new(struct peal_sim_node *node, struct sim_file *file)
{
	int rc = peal__sim_fd_room(node);
	uint32_t at = node->fd_first;

	if (rc < 0) {
		peal__sim_file_drop(file);
		return rc;
	}
	node->fds[at] = file;
	node->fd_first = at + 1;
	return (int)(PEAL_SIM_FIRST_FD + at);
}

int peal__sim_fd_close(struct peal_sim_node *node, int fd)
{
	struct sim_file *file = peal__sim_file_get(node, fd);
	uint32_t at = (uint32_t)fd - PEAL_SIM_FIRST_FD;

	if (!file)
		return -EBADF;
	node->fds[at] = NULL;
	if (at < node->fd_first)
		node->fd_first = at;
	peal__sim_file_drop(file);
	return 0;
}

void peal__sim_fds_close(struct peal_sim_node *node)
{
	uint32_t at;

	for (at = 0; at < node->fd_room; at++)
		if (node->fds[at])
			peal__sim_fd_close(node, (int)(PEAL_SIM_FIRST_FD + at));
}

/* --- calls that no op has ------------------------------------------------ */

int peal_sim_close_fd(struct peal_sim_node *node, peal_fd fd)
{
	int rc = peal__sim_fd_close(node, fd);

	peal__sim_settle(node->world);
	return rc;
}

peal_fd peal_sim_dup(struct peal_sim_node *node, peal_fd fd)
{
	struct sim_file *file = peal__sim_file_get(node, fd);

	if (!file)
		return -EBADF;
	peal__sim_file_hold(file);
	return peal__sim_fd_new(node, file);
}

peal_fd peal_sim_dup_to(struct peal_sim_node *node, peal_fd fd, peal_fd to)
{
	struct sim_file *file = peal__sim_file_get(node, fd);
	uint32_t at = (uint32_t)to - PEAL_SIM_FIRST_FD;

	if (!file || to < PEAL_SIM_FIRST_FD || at >= node->fd_room)
		return -EBADF;
	peal__sim_file_hold(file);
	if (node->fds[at])
		peal__sim_file_drop(node->fds[at]);
	node->fds[at] = file;
	peal__sim_settle(node->world);
	return to;
}

int peal_sim_fd_flags(struct peal_sim_node *node, peal_fd fd, int set)
{
	struct sim_file *file = peal__sim_file_get(node, fd);
	int settable = O_NONBLOCK | O_APPEND;

	if (!file)
		return -EBADF;
	if (set >= 0)
		file->flags = (file->flags & ~settable) | (set & settable);
	return file->flags & ~O_CLOEXEC;
}

int64_t peal_sim_seek(struct peal_sim_node *node, peal_fd fd, int64_t offset,
		      int whence)
{
	struct sim_file *file = peal__sim_file_get(node, fd);
	int64_t base = 0;

	if (!file)
		return -EBADF;
	if (file->kind == SIM_SOCK)
		return -ESPIPE;
	if (whence == SEEK_CUR)
		base = (int64_t)file->position;
	else if (whence == SEEK_END)
		base = (int64_t)file->inode->size;
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (base + offset < 0)
		return -EINVAL;
	file->position = (uint64_t)(base + offset);
	return base + offset;
}

int peal_sim_fd_stat(struct peal_sim_node *node, peal_fd fd,
		     struct peal_stat *out_stat)
{
	struct sim_file *file = peal__sim_file_get(node, fd);

	if (!file)
		return -EBADF;
	memset(out_stat, 0, sizeof *out_stat);
	if (file->inode)
		peal__sim_stat_fill(file->inode, out_stat);
	else
		peal__sim_sock_stat(file->sock, out_stat);
	return 0;
}

void peal_sim_fd_limit(struct peal_sim_node *node, uint32_t most)
{
	node->fd_most = most && most < SIM_FDS ? most : SIM_FDS;
}

uint32_t peal_sim_fds(struct peal_sim_node *node)
{
	uint32_t at, count = 0;

	for (at = 0; at < node->fd_room; at++)
		count += node->fds[at] != NULL;
	return count;
}

static struct sim_inode *find(struct peal_sim_node *node, const char *path)
{
	struct sim_inode *inode;

	return peal__sim_walk(node, node->root, path, 1, NULL, NULL, &inode) ==
			       0
		       ? inode
		       : NULL;
}

/* Held by nobody: made on the medium, as if it had always been there. */
int peal_sim_put_file(struct peal_sim_node *node, const char *path,
		      const void *data, size_t len)
{
	struct sim_file *file;
	int64_t rc = peal__sim_open_path(node, node->root, path,
					 O_RDWR | O_CREAT | O_TRUNC, 0644,
					 &file);

	if (rc < 0)
		return (int)rc;
	if (file->kind != SIM_FILE)
		rc = -EINVAL;
	else if (len)
		rc = peal__sim_data_write(file->inode, data, len, 0);
	peal__sim_file_drop(file);
	if (rc >= 0)
		peal_sim_sync(node);
	return rc < 0 ? (int)rc : 0;
}

int64_t peal_sim_get_file(struct peal_sim_node *node, const char *path,
			  void *buf, size_t len, uint64_t offset)
{
	struct sim_inode *inode = find(node, path);

	if (!inode)
		return -ENOENT;
	if (!S_ISREG(inode->mode))
		return -EISDIR;
	return peal__sim_data_read(inode, buf, len, offset);
}

int64_t peal_sim_readlink(struct peal_sim_node *node, const char *path,
			  char *buf, size_t len)
{
	struct sim_inode *inode;
	int rc = peal__sim_walk(node, node->root, path, 0, NULL, NULL, &inode);

	if (rc < 0)
		return rc;
	if (!inode->target)
		return -EINVAL;
	if (len > strlen(inode->target))
		len = strlen(inode->target);
	memcpy(buf, inode->target, len);
	return (int64_t)len;
}

void peal_sim_sync(struct peal_sim_node *node)
{
	struct sim_inode *inode;

	for (inode = node->inodes; inode; inode = inode->next)
		if (S_ISREG(inode->mode))
			peal__sim_data_sync(inode);
	for (inode = node->inodes; inode; inode = inode->next)
		if (S_ISDIR(inode->mode))
			peal__sim_dir_sync(inode);
}

static int make_durable(struct peal_sim_node *node, const char *path,
			uint32_t mode)
{
	struct sim_inode *inode, *dir;
	int rc = peal__sim_make(node, node->root, path, mode, &inode);

	if (rc < 0)
		return rc;
	rc = peal__sim_walk(node, node->root, path, 0, &dir, NULL, &inode);
	if (rc == 0)
		peal__sim_dir_sync(dir);
	return rc;
}

int peal_sim_make_dir(struct peal_sim_node *node, const char *path)
{
	return make_durable(node, path, S_IFDIR | 0755);
}

int peal_sim_make_fifo(struct peal_sim_node *node, const char *path)
{
	return make_durable(node, path, S_IFIFO | 0666);
}

unsigned peal_sim_umask(struct peal_sim_node *node, unsigned mask)
{
	unsigned before = node->mask;

	node->mask = mask & 0777;
	return before;
}

void peal_sim_disk(struct peal_sim_node *node, uint64_t bytes,
		   uint32_t dio_align)
{
	node->disk_bytes = bytes;
	node->dio_align = dio_align ? dio_align : SIM_SECTOR;
}

uint64_t peal_sim_unsynced(struct peal_sim_node *node, const char *path)
{
	struct sim_inode *inode = find(node, path);

	return inode ? peal__sim_data_unsynced(inode) : 0;
}
