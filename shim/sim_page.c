/* SPDX-License-Identifier: MIT */
/* The pages of simulated files; see sim_page.h. */
#include <stdlib.h>
#include <string.h>
#include "shim/sim_page.h"

static struct sim_page **chain_of(const struct sim_inode *inode,
				  uint64_t index)
{
	uint64_t hash = index * UINT64_C(0x9e3779b97f4a7c15) >> 20;

	return &inode->pages[hash & (inode->page_room - 1)];
}

struct sim_page *peal__sim_page_find(const struct sim_inode *inode,
				     uint64_t index)
{
	struct sim_page *page;

	if (!inode->page_room)
		return NULL;
	for (page = *chain_of(inode, index); page; page = page->next)
		if (page->index == index)
			return page;
	return NULL;
}

static int grow_table(struct sim_inode *inode)
{
	uint64_t room = inode->page_room, i;
	struct sim_page **old = inode->pages;
	struct sim_page **pages = calloc(room ? 2 * room : 4, sizeof(*pages));

	if (!pages)
		return -ENOMEM;
	inode->pages = pages;
	inode->page_room = room ? 2 * room : 4;
	for (i = 0; i < room; i++) {
		while (old[i]) {
			struct sim_page *page = old[i];
			struct sim_page **chain = chain_of(inode, page->index);

			old[i] = page->next;
			page->next = *chain;
			*chain = page;
		}
	}
	free(old);
	return 0;
}

void peal__sim_page_unmap(struct sim_inode *inode, struct sim_page *page)
{
	if (!page->mapped)
		return;
	page->mapped = 0;
	inode->pages_mapped--;
	inode->node->disk_used -= SIM_PAGE;
}

int peal__sim_page_map(struct sim_inode *inode, struct sim_page *page)
{
	struct peal_sim_node *node = inode->node;

	if (page->mapped)
		return 0;
	if (node->disk_bytes && node->disk_used + SIM_PAGE > node->disk_bytes)
		return -ENOSPC;
	page->mapped = 1;
	inode->pages_mapped++;
	node->disk_used += SIM_PAGE;
	return 0;
}

void peal__sim_page_remove(struct sim_inode *inode, struct sim_page *page)
{
	struct sim_page **at = chain_of(inode, page->index);

	while (*at != page)
		at = &(*at)->next;
	*at = page->next;
	inode->page_count--;
	peal__sim_page_unmap(inode, page);
	free(page->stable);
	free(page);
}

/* NULL: no memory. */
struct sim_page *peal__sim_page_make(struct sim_inode *inode, uint64_t index)
{
	struct sim_page *page = peal__sim_page_find(inode, index), **chain;

	if (page)
		return page;
	if (inode->page_count >= inode->page_room && grow_table(inode) < 0)
		return NULL;
	page = calloc(1, sizeof *page);
	if (!page)
		return NULL;
	page->index = index;
	chain = chain_of(inode, index);
	page->next = *chain;
	*chain = page;
	inode->page_count++;
	return page;
}

static void list_dirty(struct sim_inode *inode, struct sim_page *page)
{
	page->dirty_next = NULL;
	page->dirty_prev = inode->dirty_last;
	*(inode->dirty_last ? &inode->dirty_last->dirty_next : &inode->dirty) =
		page;
	inode->dirty_last = page;
}

void peal__sim_page_delist(struct sim_inode *inode, struct sim_page *page)
{
	*(page->dirty_prev ? &page->dirty_prev->dirty_next : &inode->dirty) =
		page->dirty_next;
	*(page->dirty_next ? &page->dirty_next->dirty_prev
			   : &inode->dirty_last) = page->dirty_prev;
}

int peal__sim_page_change(struct sim_inode *inode, struct sim_page *page,
			  unsigned sectors)
{
	if (!page->stable) {
		page->stable = malloc(SIM_PAGE);
		if (!page->stable)
			return -ENOMEM;
		memcpy(page->stable, page->data, SIM_PAGE);
	}
	if (!page->dirty)
		list_dirty(inode, page);
	page->dirty |= (uint8_t)sectors;
	page->stale &= (uint8_t)~sectors;
	return 0;
}

void peal__sim_page_settle(struct sim_page *page)
{
	if (page->dirty | page->stale)
		return;
	free(page->stable);
	page->stable = NULL;
}
