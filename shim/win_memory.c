/* SPDX-License-Identifier: MIT */
/* Memory of the system for arenas, on Windows: pages of the usual size (large
 * ones want a privilege that few accounts have), plain for every engine. */
#include "lib/buffers.h"
#include "shim/win.h"

int peal__region_map(struct peal__region *out, uint64_t bytes,
		     int small_pages)
{
	SYSTEM_INFO info;

	(void)small_pages;
	GetSystemInfo(&info);
	if (bytes > UINT64_MAX / 4)
		return -ENOMEM;
	out->page = info.dwPageSize;
	out->bytes = (bytes + out->page - 1) / out->page * out->page;
	out->pages = "small";
	out->base = VirtualAlloc(NULL, out->bytes, MEM_RESERVE | MEM_COMMIT,
				 PAGE_READWRITE);
	return out->base ? 0 : -ENOMEM;
}

void peal__region_unmap(struct peal__region *region)
{
	VirtualFree(region->base, 0, MEM_RELEASE);
}

uint64_t peal__region_huge(const struct peal__region *region)
{
	(void)region;
	return 0;
}

void peal__file_learn(struct peal__hint *out)
{
	out->kind = KIND_OTHER;
	out->in_memory = out->in_file = 0;
}

/* Undefined weak symbols are not to be had here. */
static int no_jemalloc(struct peal_arena *arena)
{
	arena->heap_why = "the library looks for jemalloc on POSIX systems";
	return -EOPNOTSUPP;
}

const struct peal__heap peal__heap_jemalloc = {
	.name = "jemalloc",
	.open = no_jemalloc,
};
