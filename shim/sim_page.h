/* SPDX-License-Identifier: MIT */
/*
 * What simulated files hold, and what of it a crash leaves: what sim_page.c
 * (pages), sim_data.c (reading, writing, holes) and sim_medium.c (sync, crash)
 * share.
 *
 * A file is a hash table of pages. Each sector of a page is one of
 *   clean   as on the medium
 *   dirty   written, not synced: a crash keeps, loses or tears it
 *   stale   said to be on the medium, and is not (a sync that failed, a write
 *           that was lost): a crash loses it
 * A page with sectors that are not clean has the medium's content beside it.
 */
#ifndef PEAL_SHIM_SIM_PAGE_H
#define PEAL_SHIM_SIM_PAGE_H

#include "shim/sim.h"

#define SIM_PAGE	4096u
#define SIM_SECTORS	(SIM_PAGE / SIM_SECTOR)

struct sim_page {
	uint64_t index;
	struct sim_page *next;		/* of the hash chain */
	struct sim_page *dirty_next, *dirty_prev;
	uint8_t *stable;		/* on the medium; NULL: data is */
	uint8_t dirty, stale;		/* a bit per sector */
	uint8_t mapped;			/* no hole */
	uint8_t data[SIM_PAGE];
};

struct sim_page *peal__sim_page_find(const struct sim_inode *inode,
				     uint64_t index);
struct sim_page *peal__sim_page_make(struct sim_inode *inode, uint64_t index);
void peal__sim_page_remove(struct sim_inode *inode, struct sim_page *page);
int peal__sim_page_map(struct sim_inode *inode, struct sim_page *page);
void peal__sim_page_unmap(struct sim_inode *inode, struct sim_page *page);
/* Before bytes of it change: these sectors (a bit each) become dirty. */
int peal__sim_page_change(struct sim_inode *inode, struct sim_page *page,
			  unsigned sectors);
/* Some became clean: is the medium's copy needed any more? */
void peal__sim_page_settle(struct sim_page *page);
void peal__sim_page_delist(struct sim_inode *inode, struct sim_page *page);

#endif
