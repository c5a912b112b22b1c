/* SPDX-License-Identifier: MIT */
/*
 * What simulated files hold, and what of it a crash leaves.
 *
 * A file is a hash table of pages. Each sector of a page is one of
 *   clean   as on the medium
 *   dirty   written, not synced: a crash keeps, loses or tears it
 *   stale   said to be on the medium, and is not (a sync that failed, a write
 *           that was lost): a crash loses it
 * A page with sectors that are not clean has the medium's content beside it.
 */
#include <stdlib.h>
#include <string.h>
#include "shim/sim.h"

#define PAGE		4096u
#define SECTORS		(PAGE / SIM_SECTOR)
#define MOST_BYTES	(UINT64_C(1) << 62)

struct sim_page {
	uint64_t index;
	struct sim_page *next;		/* of the hash chain */
	struct sim_page *dirty_next, *dirty_prev;
	uint8_t *stable;		/* on the medium; NULL: data is */
	uint8_t dirty, stale;		/* a bit per sector */
	uint8_t mapped;			/* no hole */
	uint8_t data[PAGE];
};

/* --- pages --------------------------------------------------------------- */

static struct sim_page **chain_of(const struct sim_inode *inode,
				  uint64_t index)
{
	uint64_t hash = index * UINT64_C(0x9e3779b97f4a7c15) >> 20;

	return &inode->pages[hash & (inode->page_room - 1)];
}

static struct sim_page *find_page(const struct sim_inode *inode,
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

static void unmap(struct sim_inode *inode, struct sim_page *page)
{
	if (!page->mapped)
		return;
	page->mapped = 0;
	inode->pages_mapped--;
	inode->node->disk_used -= PAGE;
}

static int map(struct sim_inode *inode, struct sim_page *page)
{
	struct peal_sim_node *node = inode->node;

	if (page->mapped)
		return 0;
	if (node->disk_bytes && node->disk_used + PAGE > node->disk_bytes)
		return -ENOSPC;
	page->mapped = 1;
	inode->pages_mapped++;
	node->disk_used += PAGE;
	return 0;
}

static void remove_page(struct sim_inode *inode, struct sim_page *page)
{
	struct sim_page **at = chain_of(inode, page->index);

	while (*at != page)
		at = &(*at)->next;
	*at = page->next;
	inode->page_count--;
	unmap(inode, page);
	free(page->stable);
	free(page);
}

/* NULL: no memory. */
static struct sim_page *make_page(struct sim_inode *inode, uint64_t index)
{
	struct sim_page *page = find_page(inode, index), **chain;

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

static void delist_dirty(struct sim_inode *inode, struct sim_page *page)
{
	*(page->dirty_prev ? &page->dirty_prev->dirty_next : &inode->dirty) =
		page->dirty_next;
	*(page->dirty_next ? &page->dirty_next->dirty_prev
			   : &inode->dirty_last) = page->dirty_prev;
}

static unsigned sectors_of(uint32_t from, uint32_t len)
{
	uint32_t first = from / SIM_SECTOR,
		 last = (from + len - 1) / SIM_SECTOR;

	return ((2u << last) - 1) & ~((1u << first) - 1);
}

/* Before bytes of it change. */
static int will_change(struct sim_inode *inode, struct sim_page *page,
		       unsigned sectors)
{
	if (!page->stable) {
		page->stable = malloc(PAGE);
		if (!page->stable)
			return -ENOMEM;
		memcpy(page->stable, page->data, PAGE);
	}
	if (!page->dirty)
		list_dirty(inode, page);
	page->dirty |= (uint8_t)sectors;
	page->stale &= (uint8_t)~sectors;
	return 0;
}

static void forget_stable(struct sim_page *page)
{
	if (page->dirty | page->stale)
		return;
	free(page->stable);
	page->stable = NULL;
}

/* --- reading and writing ------------------------------------------------- */

int64_t peal__sim_data_read(struct sim_inode *inode, void *buf, uint64_t len,
		      uint64_t offset)
{
	uint64_t at = 0;

	if (offset >= inode->size)
		return 0;
	if (len > inode->size - offset)
		len = inode->size - offset;
	while (at < len) {
		uint32_t from = (uint32_t)((offset + at) % PAGE);
		uint64_t part = PAGE - from < len - at ? PAGE - from
						       : len - at;
		struct sim_page *page = find_page(inode,
						  (offset + at) / PAGE);

		if (page)
			memcpy((char *)buf + at, page->data + from, part);
		else
			memset((char *)buf + at, 0, part);
		at += part;
	}
	return (int64_t)len;
}

static int write_part(struct sim_inode *inode, const void *buf, uint32_t from,
		      uint32_t len, uint64_t index)
{
	struct sim_page *page = make_page(inode, index);
	int rc;

	if (!page)
		return -ENOMEM;
	rc = map(inode, page);
	if (rc == 0)
		rc = will_change(inode, page, sectors_of(from, len));
	if (rc == 0)
		memcpy(page->data + from, buf, len);
	else if (!page->mapped && !page->stable)
		remove_page(inode, page);
	return rc;
}

int64_t peal__sim_data_write(struct sim_inode *inode, const void *buf,
			     uint64_t len, uint64_t offset)
{
	uint64_t at = 0;
	int rc = 0;

	if (offset > MOST_BYTES || len > MOST_BYTES - offset)
		return -EFBIG;
	while (at < len && rc == 0) {
		uint32_t from = (uint32_t)((offset + at) % PAGE);
		uint32_t part = PAGE - from < len - at
					? PAGE - from : (uint32_t)(len - at);

		rc = write_part(inode, (const char *)buf + at, from, part,
				(offset + at) / PAGE);
		if (rc == 0)
			at += part;
	}
	if (at && offset + at > inode->size)
		inode->size = offset + at;
	inode->modified_ns = inode->changed_ns = inode->node->world->now;
	return at ? (int64_t)at : rc;
}

/* --- size and holes ------------------------------------------------------ */

static int zero_part(struct sim_inode *inode, struct sim_page *page,
		     uint32_t from, uint32_t len)
{
	int rc = will_change(inode, page, sectors_of(from, len));

	if (rc < 0)
		return rc;
	memset(page->data + from, 0, len);
	if (len == PAGE)
		unmap(inode, page);
	return 0;
}

/* Zeroes the part of a page that lies from offset to end. */
static int zero_overlap(struct sim_inode *inode, struct sim_page *page,
			uint64_t offset, uint64_t end)
{
	uint64_t start = page->index * PAGE, stop = start + PAGE;
	uint64_t from = offset > start ? offset : start;
	uint64_t to = end < stop ? end : stop;

	if (from >= to)
		return 0;
	return zero_part(inode, page, (uint32_t)(from - start),
			 (uint32_t)(to - from));
}

int peal__sim_data_punch(struct sim_inode *inode, uint64_t offset, uint64_t len)
{
	uint64_t end = len > UINT64_MAX - offset ? UINT64_MAX : offset + len;
	uint64_t i;
	int rc = 0;

	for (i = 0; i < inode->page_room && rc == 0; i++) {
		struct sim_page *page = inode->pages[i];

		for (; page && rc == 0; page = page->next)
			rc = zero_overlap(inode, page, offset, end);
	}
	inode->changed_ns = inode->modified_ns = inode->node->world->now;
	return rc;
}

int peal__sim_data_resize(struct sim_inode *inode, uint64_t size)
{
	int rc = 0;

	if (size > MOST_BYTES)
		return -EFBIG;
	if (size < inode->size)
		rc = peal__sim_data_punch(inode, size, UINT64_MAX);
	if (rc == 0)
		inode->size = size;
	inode->changed_ns = inode->modified_ns = inode->node->world->now;
	return rc;
}

int peal__sim_data_map(struct sim_inode *inode, uint64_t offset, uint64_t len)
{
	uint64_t index = offset / PAGE, last = (offset + len - 1) / PAGE;
	struct peal_sim_node *node = inode->node;

	if (node->disk_bytes && len > node->disk_bytes)
		return -ENOSPC;
	for (; index <= last; index++) {
		struct sim_page *page = make_page(inode, index);
		int rc = page ? map(inode, page) : -ENOMEM;

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int64_t next_data(struct sim_inode *inode, uint64_t offset)
{
	uint64_t best = UINT64_MAX, i;

	for (i = 0; i < inode->page_room; i++) {
		struct sim_page *page = inode->pages[i];

		for (; page; page = page->next)
			if (page->mapped && page->index >= offset / PAGE &&
			    page->index < best)
				best = page->index;
	}
	if (best == UINT64_MAX || best * PAGE >= inode->size)
		return -ENXIO;
	return (int64_t)(best * PAGE > offset ? best * PAGE : offset);
}

int64_t peal__sim_data_seek(struct sim_inode *inode, uint64_t offset, int hole)
{
	uint64_t index = offset / PAGE;
	struct sim_page *page;

	if (offset >= inode->size)
		return -ENXIO;
	if (!hole)
		return next_data(inode, offset);
	while ((page = find_page(inode, index)) != NULL && page->mapped)
		index++;
	if (index * PAGE > offset)
		offset = index * PAGE;
	return (int64_t)(offset < inode->size ? offset : inode->size);
}

/* --- the medium ---------------------------------------------------------- */

static void copy_sectors(uint8_t *to, const uint8_t *from, unsigned sectors)
{
	unsigned i;

	for (i = 0; i < SECTORS; i++)
		if (sectors >> i & 1)
			memcpy(to + i * SIM_SECTOR, from + i * SIM_SECTOR,
			       SIM_SECTOR);
}

void peal__sim_data_sync(struct sim_inode *inode)
{
	struct sim_page *page;

	while ((page = inode->dirty) != NULL) {
		delist_dirty(inode, page);
		if (page->stale)
			copy_sectors(page->stable, page->data, page->dirty);
		page->dirty = 0;
		forget_stable(page);
		if (!page->mapped && !page->stable)
			remove_page(inode, page);
	}
	inode->stable_size = inode->size;
}

void peal__sim_data_drop_dirty(struct sim_inode *inode)
{
	struct sim_page *page;

	while ((page = inode->dirty) != NULL) {
		delist_dirty(inode, page);
		page->stale |= page->dirty;
		page->dirty = 0;
	}
}

void peal__sim_data_lose(struct sim_inode *inode, uint64_t offset, uint64_t len)
{
	uint64_t at = offset, end = offset + len;

	for (; at < end; at = (at / SIM_SECTOR + 1) * SIM_SECTOR) {
		struct sim_page *page = find_page(inode, at / PAGE);
		unsigned bit = 1u << at % PAGE / SIM_SECTOR;

		if (!page || !(page->dirty & bit))
			continue;
		page->stale |= (uint8_t)bit;
		page->dirty &= (uint8_t)~bit;
		if (!page->dirty)
			delist_dirty(inode, page);
	}
}

void peal__sim_data_rot(struct sim_inode *inode, uint64_t offset, uint64_t len)
{
	struct peal_sim *world = inode->node->world;
	uint64_t at = offset + sim_below(world, len);
	unsigned bit = 1u << sim_below(world, 8);
	struct sim_page *page = find_page(inode, at / PAGE);

	if (!page || at >= inode->size)
		return;
	page->data[at % PAGE] ^= (uint8_t)bit;
	if (page->stable)
		page->stable[at % PAGE] ^= (uint8_t)bit;
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
		inode->node->disk_used += PAGE;
	}
	copy_sectors(page->data, page->stable, page->stale);
	for (i = 0; i < SECTORS; i++)
		if (page->dirty >> i & 1)
			crash_sector(world, page->data + i * SIM_SECTOR,
				     page->stable + i * SIM_SECTOR);
	page->dirty = page->stale = 0;
	forget_stable(page);
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
			remove_page(inode, inode->pages[i]);
	free(inode->pages);
	inode->pages = NULL;
	inode->page_room = inode->page_count = 0;
	inode->dirty = inode->dirty_last = NULL;
}
