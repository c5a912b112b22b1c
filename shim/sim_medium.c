/* SPDX-License-Identifier: MIT */
/* The medium of a simulated disk: what a sync puts there, what a crash leaves,
 * what goes bad on it. */
#include <stdlib.h>
#include <string.h>
#include "shim/sim_page.h"

static void copy_sectors(uint8_t *to, const uint8_t *from, unsigned sectors)
{
	unsigned i;

	for (i = 0; i < SIM_SECTORS; i++)
		if (sectors >> i & 1)
			memcpy(to + i * SIM_SECTOR, from + i * SIM_SECTOR,
			       SIM_SECTOR);
}

void peal__sim_data_sync(struct sim_inode *inode)
{
	struct sim_page *page;

	while ((page = inode->dirty) != NULL) {
		peal__sim_page_delist(inode, page);
		if (page->stale)
			copy_sectors(page->stable, page->data, page->dirty);
		page->dirty = 0;
		peal__sim_page_settle(page);
		if (!page->mapped && !page->stable)
			peal__sim_page_remove(inode, page);
	}
	inode->stable_size = inode->size;
}

void peal__sim_data_drop_dirty(struct sim_inode *inode)
{
	struct sim_page *page;

	while ((page = inode->dirty) != NULL) {
		peal__sim_page_delist(inode, page);
		page->stale |= page->dirty;
		page->dirty = 0;
	}
}

void peal__sim_data_lose(struct sim_inode *inode, uint64_t offset, uint64_t len)
{
	uint64_t at = offset, end = offset + len;

	for (; at < end; at = (at / SIM_SECTOR + 1) * SIM_SECTOR) {
		struct sim_page *page = peal__sim_page_find(inode,
							    at / SIM_PAGE);
		unsigned bit = 1u << at % SIM_PAGE / SIM_SECTOR;

		if (!page || !(page->dirty & bit))
			continue;
		page->stale |= (uint8_t)bit;
		page->dirty &= (uint8_t)~bit;
		if (!page->dirty)
			peal__sim_page_delist(inode, page);
	}
}

void peal__sim_data_rot(struct sim_inode *inode, uint64_t offset, uint64_t len)
{
	struct peal_sim *world = inode->node->world;
	uint64_t at = offset + sim_below(world, len);
	unsigned bit = 1u << sim_below(world, 8);
	struct sim_page *page = peal__sim_page_find(inode, at / SIM_PAGE);

	if (!page || at >= inode->size)
		return;
	page->data[at % SIM_PAGE] ^= (uint8_t)bit;
	if (page->stable)
		page->stable[at % SIM_PAGE] ^= (uint8_t)bit;
}

uint64_t peal__sim_data_unsynced(const struct sim_inode *inode)
{
	uint64_t bytes = 0, i;

	for (i = 0; i < inode->page_room; i++) {
		const struct sim_page *page = inode->pages[i];

		for (; page; page = page->next) {
			unsigned bits = page->dirty | page->stale;

			for (; bits; bits &= bits - 1)
				bytes += SIM_SECTOR;
		}
	}
	return bytes;
}

/* One dirty sector: half of them made it, the others not, or in part. */
static void crash_sector(struct peal_sim *world, uint8_t *data,
			 const uint8_t *stable)
{
	uint64_t fate = sim_below(world, 4), keep = SIM_SECTOR;

	if (fate == 2)
		keep = 0;
	else if (fate == 3)
		keep = 1 + sim_below(world, SIM_SECTOR - 1);
	memcpy(data + keep, stable + keep, SIM_SECTOR - keep);
}

static void crash_page(struct sim_inode *inode, struct sim_page *page)
{
	struct peal_sim *world = inode->node->world;
	unsigned i;

	if (!page->mapped) {	/* a hole that may not be one any more */
		page->mapped = 1;
		inode->pages_mapped++;
		inode->node->disk_used += SIM_PAGE;
	}
	copy_sectors(page->data, page->stable, page->stale);
	for (i = 0; i < SIM_SECTORS; i++)
		if (page->dirty >> i & 1)
			crash_sector(world, page->data + i * SIM_SECTOR,
				     page->stable + i * SIM_SECTOR);
	page->dirty = page->stale = 0;
	peal__sim_page_settle(page);
}

void peal__sim_data_crash(struct sim_inode *inode)
{
	struct peal_sim *world = inode->node->world;
	uint64_t size = inode->stable_size, i;

	if (inode->size != size && sim_below(world, 2))
		size = inode->size;
	for (i = 0; i < inode->page_room; i++) {
		struct sim_page *page = inode->pages[i];

		for (; page; page = page->next)
			if (page->stable)
				crash_page(inode, page);
	}
	inode->dirty = inode->dirty_last = NULL;
	if (size < inode->size)
		peal__sim_data_punch(inode, size, UINT64_MAX);
	inode->size = size;
	peal__sim_data_sync(inode);
}

void peal__sim_data_free(struct sim_inode *inode)
{
	uint64_t i;

	for (i = 0; i < inode->page_room; i++)
		while (inode->pages[i])
			peal__sim_page_remove(inode, inode->pages[i]);
	free(inode->pages);
	inode->pages = NULL;
	inode->page_room = inode->page_count = 0;
	inode->dirty = inode->dirty_last = NULL;
}
