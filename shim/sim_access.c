/* SPDX-License-Identifier: MIT */
/*
 * Who may do what on a simulated node: Linux's rules of owner, group and others
 * for what goes by name. Only ops ask; what a test does from outside does not.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "shim/sim.h"

#define STICKY		01000u
#define FIRST_PORT	1024	/* that anybody may have */

/* 0: anybody may do anything: root, or no op. */
static uint32_t asker(const struct peal_sim_node *node)
{
	return node->asks ? node->uid : 0;
}

void peal__sim_own(struct sim_inode *inode)
{
	inode->uid = asker(inode->node);
	inode->gid = inode->uid ? inode->node->gid : 0;
}

int peal__sim_may(const struct sim_inode *inode, unsigned want)
{
	const struct peal_sim_node *node = inode->node;
	uint32_t uid = asker(node), mode = inode->mode;

	if (!uid)
		return 0;
	if (uid == inode->uid)
		mode >>= 6;
	else if (node->gid == inode->gid)
		mode >>= 3;
	return want & ~mode ? -EACCES : 0;
}

int peal__sim_may_open(const struct sim_inode *inode, int flags)
{
	static const unsigned wants[] = {
		[O_RDONLY] = SIM_MAY_READ,
		[O_WRONLY] = SIM_MAY_WRITE,
		[O_RDWR] = SIM_MAY_READ | SIM_MAY_WRITE,
		[O_ACCMODE] = SIM_MAY_READ | SIM_MAY_WRITE,
	};

	return peal__sim_may(inode, wants[flags & O_ACCMODE] |
					    (flags & O_TRUNC ? SIM_MAY_WRITE
							     : 0));
}

/* In a sticky directory a name belongs to the owner of what it means. */
int peal__sim_may_remove(const struct sim_inode *dir,
			 const struct sim_inode *inode)
{
	uint32_t uid = asker(dir->node);
	int rc = peal__sim_may(dir, SIM_MAY_WRITE);

	if (rc == 0 && uid && dir->mode & STICKY && uid != inode->uid &&
	    uid != dir->uid)
		rc = -EPERM;
	return rc;
}

int peal__sim_may_bind(const struct peal_sim_node *node, uint16_t port)
{
	port = ntohs(port);
	return port && port < FIRST_PORT && asker(node) ? -EACCES : 0;
}

/* --- include/peal/sim_node.h --------------------------------------------- */

void peal_sim_user(struct peal_sim_node *node, uint32_t uid, uint32_t gid)
{
	node->uid = uid;
	node->gid = gid;
}

static int find(struct peal_sim_node *node, const char *path,
		struct sim_inode **out)
{
	int rc = peal__sim_walk(node, node->root, path, 1, NULL, NULL, out);

	if (rc == 0)
		(*out)->changed_ns = node->world->now;
	return rc;
}

int peal_sim_chmod(struct peal_sim_node *node, const char *path, unsigned mode)
{
	struct sim_inode *inode;
	int rc = find(node, path, &inode);

	if (rc == 0)
		inode->mode = (inode->mode & S_IFMT) | (mode & 07777);
	return rc;
}

int peal_sim_chown(struct peal_sim_node *node, const char *path, uint32_t uid,
		   uint32_t gid)
{
	struct sim_inode *inode;
	int rc = find(node, path, &inode);

	if (rc == 0) {
		inode->uid = uid;
		inode->gid = gid;
	}
	return rc;
}
