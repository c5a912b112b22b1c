/* SPDX-License-Identifier: MIT */
/*
 * Directories of a simulated disk, and what of them a crash leaves.
 *
 * Every change of a name stands in the node's log until its directory is
 * synced. A crash undoes the log from its end: all of it, or down to a place
 * drawn by the seed; a rename's two changes are one transaction. A sync of a
 * directory commits all transactions that touch it, and what these build on.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "shim/sim.h"

#define MOST_LINKS	40

struct sim_change {
	struct sim_change *next, *prev;
	uint64_t transaction;
	struct sim_inode *dir, *old, *new;	/* held */
	char name[];
};

/* --- inodes -------------------------------------------------------------- */

struct sim_inode *peal__sim_inode_new(struct peal_sim_node *node, uint32_t mode)
{
	struct sim_inode *inode = calloc(1, sizeof *inode);

	if (!inode)
		return NULL;
	inode->node = node;
	inode->number = ++node->next_inode;
	inode->mode = mode;
	peal__sim_own(inode);
	inode->next_cookie = 3;
	inode->changed_ns = inode->modified_ns = node->world->now;
	inode->next = node->inodes;
	if (node->inodes)
		node->inodes->prev = inode;
	node->inodes = inode;
	return inode;
}

static void remove_entry(struct sim_inode *dir, struct sim_entry *entry)
{
	*(entry->prev ? &entry->prev->next : &dir->entries) = entry->next;
	*(entry->next ? &entry->next->prev : &dir->last_entry) = entry->prev;
	free(entry);
}

/* What stands in a directory that goes with a crash loses its name. */
static void free_inode(struct sim_inode *inode)
{
	struct peal_sim_node *node = inode->node;

	while (inode->entries) {
		inode->entries->inode->links--;
		remove_entry(inode, inode->entries);
	}
	peal__sim_data_free(inode);
	*(inode->prev ? &inode->prev->next : &node->inodes) = inode->next;
	if (inode->next)
		inode->next->prev = inode->prev;
	free(inode->target);
	free(inode);
}

void peal__sim_inode_hold(struct sim_inode *inode)
{
	inode->refs++;
}

void peal__sim_inode_drop(struct sim_inode *inode)
{
	if (--inode->refs || inode->links || inode == inode->node->root)
		return;
	free_inode(inode);
}

/* --- names --------------------------------------------------------------- */

struct sim_entry *peal__sim_dir_find(struct sim_inode *dir, const char *name,
			       size_t len)
{
	struct sim_entry *entry;

	for (entry = dir->entries; entry; entry = entry->next)
		if (strncmp(entry->name, name, len) == 0 && !entry->name[len])
			return entry;
	return NULL;
}

static int add_entry(struct sim_inode *dir, const char *name,
		     struct sim_inode *inode)
{
	size_t len = strlen(name) + 1;
	struct sim_entry *entry = calloc(1, sizeof *entry + len);

	if (!entry)
		return -ENOMEM;
	memcpy(entry->name, name, len);
	entry->inode = inode;
	entry->cookie = dir->next_cookie++;
	entry->prev = dir->last_entry;
	*(dir->last_entry ? &dir->last_entry->next : &dir->entries) = entry;
	dir->last_entry = entry;
	return 0;
}

/* The name's meaning, without a record of it. */
static int set_entry(struct sim_inode *dir, const char *name,
		     struct sim_inode *inode)
{
	struct sim_entry *entry = peal__sim_dir_find(dir, name, strlen(name));
	struct sim_inode *old = entry ? entry->inode : NULL;

	if (entry && inode)
		entry->inode = inode;
	else if (entry)
		remove_entry(dir, entry);
	else if (inode && add_entry(dir, name, inode) < 0)
		return -ENOMEM;
	if (inode) {
		inode->links++;
		if (S_ISDIR(inode->mode))
			inode->parent = dir;
	}
	if (old)
		old->links--;
	dir->changed_ns = dir->modified_ns = dir->node->world->now;
	return 0;
}

struct sim_inode *peal__sim_dir_plant(struct sim_inode *dir, const char *name,
				      uint32_t mode)
{
	struct sim_inode *inode = peal__sim_inode_new(dir->node, mode);

	return inode && set_entry(dir, name, inode) == 0 ? inode : NULL;
}

uint64_t peal__sim_dir_begin(struct peal_sim_node *node)
{
	return ++node->next_change;
}

int peal__sim_dir_set(struct sim_inode *dir, const char *name,
		struct sim_inode *inode, uint64_t transaction)
{
	struct peal_sim_node *node = dir->node;
	size_t len = strlen(name) + 1;
	struct sim_change *change = calloc(1, sizeof *change + len);
	struct sim_entry *entry = peal__sim_dir_find(dir, name, len - 1);

	if (!change)
		return -ENOMEM;
	memcpy(change->name, name, len);
	change->transaction = transaction;
	change->dir = dir;
	change->old = entry ? entry->inode : NULL;
	change->new = inode;
	peal__sim_inode_hold(dir);
	if (change->old)
		peal__sim_inode_hold(change->old);
	if (inode)
		peal__sim_inode_hold(inode);
	change->prev = node->log_last;
	*(node->log_last ? &node->log_last->next : &node->log) = change;
	node->log_last = change;
	return set_entry(dir, name, inode);
}

static void forget_change(struct peal_sim_node *node,
			  struct sim_change *change)
{
	*(change->prev ? &change->prev->next : &node->log) = change->next;
	*(change->next ? &change->next->prev : &node->log_last) = change->prev;
	peal__sim_inode_drop(change->dir);
	if (change->old)
		peal__sim_inode_drop(change->old);
	if (change->new)
		peal__sim_inode_drop(change->new);
	free(change);
}

/* --- the medium ---------------------------------------------------------- */

/* Transactions up to a directory's mark are committed; one that touches two
 * directories marks both. */
static void spread_marks(struct peal_sim_node *node)
{
	struct sim_change *change, *other;
	int more = 1;

	while (more) {
		more = 0;
		for (change = node->log; change; change = change->next) {
			other = change->next;
			if (!other ||
			    other->transaction != change->transaction)
				continue;
			if (change->dir->mark >= change->transaction &&
			    other->dir->mark < change->transaction) {
				other->dir->mark = change->transaction;
				more = 1;
			}
			if (other->dir->mark >= change->transaction &&
			    change->dir->mark < change->transaction) {
				change->dir->mark = change->transaction;
				more = 1;
			}
		}
	}
}

void peal__sim_dir_sync(struct sim_inode *dir)
{
	struct peal_sim_node *node = dir->node;
	struct sim_change *change, *next;
	struct sim_inode *inode;

	if (!node->log)
		return;
	dir->mark = UINT64_MAX;
	spread_marks(node);
	peal__sim_inode_hold(dir);
	for (change = node->log; change; change = next) {
		next = change->next;
		if (change->transaction <= change->dir->mark)
			forget_change(node, change);
	}
	for (inode = node->inodes; inode; inode = inode->next)
		inode->mark = 0;
	peal__sim_inode_drop(dir);
}

/* Which transactions a crash keeps: those up to the result. */
static uint64_t draw_kept(struct peal_sim_node *node)
{
	struct peal_sim *world = node->world;
	struct sim_change *change;
	uint64_t count = 0, kept = 0;

	for (change = node->log; change; change = change->next)
		count++;
	if (!count || sim_below(world, 2))
		return 0;
	count = sim_below(world, count + 1);
	for (change = node->log; count; change = change->next, count--)
		kept = change->transaction;
	return kept;
}

/* What nothing names or holds any more. */
static void sweep(struct peal_sim_node *node)
{
	struct sim_inode *inode = node->inodes;

	while (inode) {
		if (inode->links || inode->refs || inode == node->root) {
			inode = inode->next;
			continue;
		}
		free_inode(inode);
		inode = node->inodes;
	}
}

static void undo(struct peal_sim_node *node, uint64_t kept)
{
	struct sim_change *change;

	while ((change = node->log_last) != NULL) {
		if (change->transaction > kept)
			set_entry(change->dir, change->name, change->old);
		forget_change(node, change);
	}
}

void peal__sim_disk_crash(struct peal_sim_node *node)
{
	struct sim_inode *inode;

	undo(node, draw_kept(node));
	sweep(node);
	for (inode = node->inodes; inode; inode = inode->next)
		if (S_ISREG(inode->mode))
			peal__sim_data_crash(inode);
}

int peal__sim_disk_open(struct peal_sim_node *node)
{
	node->root = peal__sim_inode_new(node, S_IFDIR | 0755);
	if (!node->root)
		return -ENOMEM;
	node->root->parent = node->root;
	return peal__sim_devices_make(node);
}

void peal__sim_disk_close(struct peal_sim_node *node)
{
	struct sim_inode *dir;

	while (node->log)
		forget_change(node, node->log_last);
	for (dir = node->inodes; dir; dir = dir->next)
		while (dir->entries)
			remove_entry(dir, dir->entries);
	while (node->inodes)
		free_inode(node->inodes);
}

/* --- paths --------------------------------------------------------------- */

struct walk {
	struct peal_sim_node *node;
	struct sim_inode *at;		/* the directory reached */
	struct sim_inode *found;	/* the last part; NULL: missing */
	char name[256];			/* its name; "" for . and .. */
	char rest[2 * 4096];
	unsigned links;
};

/* Puts a link's target before the rest of the path. */
static int follow_link(struct walk *walk, const struct sim_inode *link,
		       const char *rest)
{
	char joined[2 * 4096];
	size_t len = strlen(link->target), more = strlen(rest);

	if (++walk->links > MOST_LINKS)
		return -ELOOP;
	if (len + more + 1 > sizeof joined)
		return -ENAMETOOLONG;
	memcpy(joined, link->target, len);
	memcpy(joined + len, rest, more + 1);
	memcpy(walk->rest, joined, len + more + 1);
	if (walk->rest[0] == '/')
		walk->at = walk->node->root;
	return 0;
}

/* One part: 0: there may be more; 1: it was the last. */
static int walk_part(struct walk *walk, int follow)
{
	char *part = walk->rest + strspn(walk->rest, "/");
	size_t len = strcspn(part, "/");
	char *rest = part + len;
	int last = rest[strspn(rest, "/")] == '\0';
	struct sim_entry *entry;

	if (!S_ISDIR(walk->at->mode))
		return -ENOTDIR;
	if (len && peal__sim_may(walk->at, SIM_MAY_SEARCH) < 0)
		return -EACCES;
	if (len > 255)
		return -ENAMETOOLONG;
	memcpy(walk->name, part, len);
	walk->name[len] = '\0';
	walk->found = walk->at;
	if (len == 0 || !strcmp(walk->name, ".") || !strcmp(walk->name, "..")) {
		if (walk->name[0] && walk->name[1])
			walk->found = walk->at->parent;
		if (!walk->found)
			return -ENOENT;
		walk->name[0] = '\0';
	} else {
		entry = peal__sim_dir_find(walk->at, part, len);
		walk->found = entry ? entry->inode : NULL;
	}
	if (!walk->found)
		return last ? 1 : -ENOENT;
	if (S_ISLNK(walk->found->mode) && (!last || follow || *rest))
		return follow_link(walk, walk->found, rest);
	if (last && *rest && !S_ISDIR(walk->found->mode))
		return -ENOTDIR;
	if (last)
		return 1;
	walk->at = walk->found;
	memmove(walk->rest, rest, strlen(rest) + 1);
	return 0;
}

int peal__sim_walk(struct peal_sim_node *node, struct sim_inode *from,
	     const char *path, int follow, struct sim_inode **out_dir,
	     char *name, struct sim_inode **out)
{
	struct walk walk = { .node = node };
	size_t len = strlen(path);
	int rc;

	*out = NULL;
	if (out_dir)
		*out_dir = NULL;
	if (!len)
		return -ENOENT;
	if (len >= 4096)
		return -ENAMETOOLONG;
	memcpy(walk.rest, path, len + 1);
	walk.at = path[0] == '/' ? node->root : from;
	do
		rc = walk_part(&walk, follow);
	while (rc == 0);
	if (rc < 0)
		return rc;
	if (out_dir)
		*out_dir = walk.at;
	if (name)
		memcpy(name, walk.name, sizeof walk.name);
	*out = walk.found;
	return walk.found ? 0 : -ENOENT;
}
