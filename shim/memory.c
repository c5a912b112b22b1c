/* SPDX-License-Identifier: MIT */
/*
 * Memory of the system for arenas. A region is mapped on huge pages if some are
 * set aside and free; else it is aligned to their size and the kernel is asked
 * to use them where it can. A fork does not copy it: a child's writes would
 * move the parent to pages that the kernel has not locked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/buffers.h"
#include "peal/file.h"

#define HUGE (UINT64_C(2) << 20)

static uint64_t round_up(uint64_t bytes, uint64_t to)
{
	return (bytes + to - 1) / to * to;
}

static char *map(uint64_t bytes, int flags)
{
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return base == MAP_FAILED ? NULL : base;
}

static int map_small(struct peal__region *out, uint64_t bytes)
{
	out->page = (size_t)sysconf(_SC_PAGESIZE);
	out->bytes = round_up(bytes, out->page);
	out->pages = "small";
	out->base = map(out->bytes, 0);
	return out->base ? 0 : -ENOMEM;
}

/* Aligned by mapping more and giving the ends back. */
static int map_transparent(struct peal__region *out, uint64_t bytes)
{
	char *all, *base;
	uint64_t before;

	out->page = (size_t)sysconf(_SC_PAGESIZE);
	out->bytes = round_up(bytes, HUGE);
	all = map(out->bytes + HUGE, 0);
	if (!all)
		return -ENOMEM;
	before = round_up((uintptr_t)all, HUGE) - (uintptr_t)all;
	base = all + before;
	if (before)
		munmap(all, before);
	if (before < HUGE)
		munmap(base + out->bytes, HUGE - before);
	out->base = base;
	out->pages = madvise(base, out->bytes, MADV_HUGEPAGE) == 0
			     ? "transparent huge"
			     : "small";
	return 0;
}

static int map_huge(struct peal__region *out, uint64_t bytes)
{
	out->page = HUGE;
	out->bytes = round_up(bytes, HUGE);
	out->pages = "huge";
	out->base = map(out->bytes, MAP_HUGETLB);
	return out->base ? 0 : -ENOMEM;
}

int peal__region_map(struct peal__region *out, uint64_t bytes,
		     int small_pages)
{
	int rc;

	if (bytes > UINT64_MAX / 4)
		return -ENOMEM;
	if (small_pages || bytes < HUGE)
		rc = map_small(out, bytes);
	else if (map_huge(out, bytes) == 0)
		rc = 0;
	else
		rc = map_transparent(out, bytes);
	if (rc == 0)
		madvise(out->base, out->bytes, MADV_DONTFORK);
	return rc;
}

void peal__region_unmap(struct peal__region *region)
{
	munmap(region->base, region->bytes);
}

/* Bytes of the region that are on huge pages now: the kernel's own account,
 * a paragraph of lines for each mapping. */
uint64_t peal__region_huge(const struct peal__region *region)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	unsigned long long from, to, kib;
	uint64_t huge = 0;
	char line[256];
	int ours = 0;

	if (!maps)
		return 0;
	while (fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
			ours = from < (uintptr_t)region->base + region->bytes &&
			       to > (uintptr_t)region->base;
		else if (ours && (sscanf(line, "AnonHugePages: %llu", &kib) == 1 ||
				  sscanf(line, "Private_Hugetlb: %llu",
					 &kib) == 1))
			huge += kib << 10;
	}
	fclose(maps);
	return huge < region->bytes ? huge : region->bytes;
}

/* The low bits, of a power of two; 0 also for what is none. */
static uint32_t mask_of(uint32_t n)
{
	return n && !(n & (n - 1)) ? n - 1 : 0;
}

/* A pipe with O_DIRECT is something else. Before Linux 6.1, and on file systems
 * that do not tell, the alignment is not known. */
void peal__file_learn(struct peal__hint *out)
{
	int flags = fcntl(out->fd, F_GETFL);
	struct peal_stat st;

	out->kind = KIND_OTHER;
	out->in_memory = out->in_file = 0;
	if (flags < 0 || !(flags & O_DIRECT) ||
	    statx(out->fd, "", AT_EMPTY_PATH, STATX_TYPE | PEAL_STAT_DIO,
		  (struct statx *)(void *)&st) < 0 ||
	    !(S_ISREG(st.mode) || S_ISBLK(st.mode)))
		return;
	out->kind = KIND_DIRECT;
	if (!(st.mask & PEAL_STAT_DIO) || !st.dio_offset_align)
		return;
	out->in_memory = mask_of(st.dio_memory_align);
	out->in_file = mask_of(st.dio_offset_align);
}
