/* SPDX-License-Identifier: MIT */
/* Reading and writing simulated files; their size, their holes. */
#include <string.h>
#include "shim/sim_page.h"

#define MOST_BYTES	(UINT64_C(1) << 62)

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
		uint32_t from = (uint32_t)((offset + at) % SIM_PAGE);
		uint64_t part = SIM_PAGE - from < len - at ? SIM_PAGE - from
						       : len - at;
		struct sim_page *page = peal__sim_page_find(inode,
						  (offset + at) / SIM_PAGE);

		if (page)
			memcpy((char *)buf + at, page->data + from, part);
		else
			memset((char *)buf + at, 0, part);
		at += part;
	}
	return (int64_t)len;
}

static unsigned sectors_of(uint32_t from, uint32_t len)
{
	uint32_t first = from / SIM_SECTOR,
		 last = (from + len - 1) / SIM_SECTOR;

	return ((2u << last) - 1) & ~((1u << first) - 1);
}

static int write_part(struct sim_inode *inode, const void *buf, uint32_t from,
		      uint32_t len, uint64_t index)
{
	struct sim_page *page = peal__sim_page_make(inode, index);
	int rc;

	if (!page)
		return -ENOMEM;
	rc = peal__sim_page_map(inode, page);
	if (rc == 0)
		rc = peal__sim_page_change(inode, page, sectors_of(from, len));
	if (rc == 0)
		memcpy(page->data + from, buf, len);
	else if (!page->mapped && !page->stable)
		peal__sim_page_remove(inode, page);
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
		uint32_t from = (uint32_t)((offset + at) % SIM_PAGE);
		uint32_t part = SIM_PAGE - from < len - at
					? SIM_PAGE - from
					: (uint32_t)(len - at);

		rc = write_part(inode, (const char *)buf + at, from, part,
				(offset + at) / SIM_PAGE);
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
	int rc = peal__sim_page_change(inode, page, sectors_of(from, len));

	if (rc < 0)
		return rc;
	memset(page->data + from, 0, len);
	if (len == SIM_PAGE)
		peal__sim_page_unmap(inode, page);
	return 0;
}

/* Zeroes the part of a page that lies from offset to end. */
static int zero_overlap(struct sim_inode *inode, struct sim_page *page,
			uint64_t offset, uint64_t end)
{
	uint64_t start = page->index * SIM_PAGE, stop = start + SIM_PAGE;
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
	uint64_t index = offset / SIM_PAGE;
	uint64_t last = (offset + len - 1) / SIM_PAGE;
	struct peal_sim_node *node = inode->node;

	if (node->disk_bytes && len > node->disk_bytes)
		return -ENOSPC;
	for (; index <= last; index++) {
		struct sim_page *page = peal__sim_page_make(inode, index);
		int rc = page ? peal__sim_page_map(inode, page) : -ENOMEM;

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
			if (page->mapped && page->index >= offset / SIM_PAGE &&
			    page->index < best)
				best = page->index;
	}
	if (best == UINT64_MAX || best * SIM_PAGE >= inode->size)
		return -ENXIO;
	return (int64_t)(best * SIM_PAGE > offset ? best * SIM_PAGE : offset);
}

int64_t peal__sim_data_seek(struct sim_inode *inode, uint64_t offset, int hole)
{
	uint64_t index = offset / SIM_PAGE;
	struct sim_page *page;

	if (offset >= inode->size)
		return -ENXIO;
	if (!hole)
		return next_data(inode, offset);
	while ((page = peal__sim_page_find(inode, index)) != NULL &&
	       page->mapped)
		index++;
	if (index * SIM_PAGE > offset)
		offset = index * SIM_PAGE;
	return (int64_t)(offset < inode->size ? offset : inode->size);
}
