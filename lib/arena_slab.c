/* SPDX-License-Identifier: MIT */
/*
 * The arena's heap without jemalloc. The region is cut into pages of 4 KiB; a
 * run is some of them in a row. What is known of a page stands outside of the
 * region, so nothing that is written into a buffer can damage the heap:
 *
 *   free run    its first and last page say how long it is; it stands in the
 *               bin of its length (bin b: 2^b pages to 2^(b+1) - 1)
 *   used run    an allocation of more than 2 KiB; its first page says how long
 *   slab        one page of 64 pieces or less of one class (64 B to 2 KiB),
 *               a bit for each that is free; with any free it stands in the
 *               list of its class
 *
 * Free runs side by side do not exist: giving one back joins them. Page 0 of
 * the links is "none", so page n of the region is index n + 1.
 */
#include <string.h>
#include "lib/arena.h"

#define PAGE		4096u
#define LEAST		64u
#define CLASSES		6u	/* 64, 128, 256, 512, 1024, 2048 */
#define BINS		32u
#define MOST_LOOKS	64u	/* runs of one bin, before the next bin */

enum { INSIDE, FREE_RUN, USED_RUN, SLAB };

struct page {
	uint32_t next, prev;	/* free runs of a bin, slabs with room */
	uint32_t pages;		/* of a run: at its first and last page */
	uint8_t kind;		/* at the first and, of a free run, last */
	uint8_t class;
	uint64_t free;		/* of a slab: a bit for each free piece */
};

struct heap {
	struct page *pages;	/* [1 ... count]; 0 and count + 1: fences */
	uint32_t count;
	uint32_t bins[BINS];
	uint32_t slabs[CLASSES];
	uint64_t used;		/* bytes */
};

static unsigned log2_of(uint32_t n)
{
	return 31u - (unsigned)__builtin_clz(n);
}

static char *page_at(const struct peal_arena *arena, uint32_t index)
{
	return arena->region.base + (uint64_t)(index - 1) * PAGE;
}

static void list_add(struct heap *heap, uint32_t *head, uint32_t index)
{
	struct page *page = &heap->pages[index];

	page->prev = 0;
	page->next = *head;
	if (*head)
		heap->pages[*head].prev = index;
	*head = index;
}

static void list_remove(struct heap *heap, uint32_t *head, uint32_t index)
{
	struct page *page = &heap->pages[index];

	if (page->prev)
		heap->pages[page->prev].next = page->next;
	else
		*head = page->next;
	if (page->next)
		heap->pages[page->next].prev = page->prev;
}

/* --- runs of pages ------------------------------------------------------- */

static void mark(struct heap *heap, uint32_t index, uint32_t pages, int kind)
{
	struct page *first = &heap->pages[index];
	struct page *last = &heap->pages[index + pages - 1];

	last->pages = first->pages = pages;
	last->kind = kind == FREE_RUN ? FREE_RUN : INSIDE;
	first->kind = (uint8_t)kind;
}

static void free_run_add(struct heap *heap, uint32_t index, uint32_t pages)
{
	if (!pages)
		return;
	mark(heap, index, pages, FREE_RUN);
	list_add(heap, &heap->bins[log2_of(pages)], index);
}

static void free_run_remove(struct heap *heap, uint32_t index)
{
	uint32_t pages = heap->pages[index].pages;

	list_remove(heap, &heap->bins[log2_of(pages)], index);
}

/* Pages to leave out at the front of a run, so that the rest is aligned. */
static uint32_t gap_of(const struct peal_arena *arena, uint32_t index,
		       size_t align)
{
	uintptr_t at = (uintptr_t)page_at(arena, index);

	return (uint32_t)((((at + align - 1) & ~(uintptr_t)(align - 1)) - at) /
			  PAGE);
}

/* The first of a bin's runs that holds so many aligned pages; 0: none. */
static uint32_t find_in(const struct peal_arena *arena, uint32_t index,
			uint32_t pages, size_t align, uint32_t looks)
{
	const struct heap *heap = arena->heap_state;

	for (; index && looks; looks--, index = heap->pages[index].next) {
		uint32_t gap = gap_of(arena, index, align);

		if ((uint64_t)gap + pages <= heap->pages[index].pages)
			return index;
	}
	return 0;
}

/* A bin with longer runs is fit at the first look but for the alignment; when
 * all that failed, every run is looked at. */
static uint32_t find_run(const struct peal_arena *arena, uint32_t pages,
			 size_t align)
{
	const struct heap *heap = arena->heap_state;
	uint32_t looks, found = 0;
	unsigned bin;

	for (looks = MOST_LOOKS; !found && looks;
	     looks = looks == MOST_LOOKS ? UINT32_MAX : 0)
		for (bin = log2_of(pages); bin < BINS && !found; bin++)
			found = find_in(arena, heap->bins[bin], pages, align,
					looks);
	return found;
}

/* The index of the first of so many pages in a row; 0: no room. */
static uint32_t run_take(struct peal_arena *arena, uint32_t pages,
			 size_t align, int kind)
{
	struct heap *heap = arena->heap_state;
	uint32_t index = find_run(arena, pages, align), gap, whole;

	if (!index)
		return 0;
	free_run_remove(heap, index);
	whole = heap->pages[index].pages;
	gap = gap_of(arena, index, align);
	free_run_add(heap, index, gap);
	free_run_add(heap, index + gap + pages, whole - gap - pages);
	mark(heap, index + gap, pages, kind);
	return index + gap;
}

static void run_give_back(struct heap *heap, uint32_t index)
{
	uint32_t pages = heap->pages[index].pages;
	uint32_t after = index + pages;

	heap->pages[index].kind = INSIDE;
	if (heap->pages[after].kind == FREE_RUN) {
		free_run_remove(heap, after);
		heap->pages[after].kind = INSIDE;
		pages += heap->pages[after].pages;
	}
	if (heap->pages[index - 1].kind == FREE_RUN) {
		uint32_t before = heap->pages[index - 1].pages;

		heap->pages[index - 1].kind = INSIDE;
		free_run_remove(heap, index - before);
		pages += before;
		index -= before;
	}
	free_run_add(heap, index, pages);
}

/* --- slabs --------------------------------------------------------------- */

static uint32_t class_size(unsigned class)
{
	return LEAST << class;
}

static unsigned class_of(size_t size)
{
	return size <= LEAST ? 0 : log2_of((uint32_t)(size - 1) / LEAST) + 1;
}

static uint64_t all_free(unsigned class)
{
	unsigned pieces = PAGE / class_size(class);

	return pieces == 64 ? UINT64_MAX : (UINT64_C(1) << pieces) - 1;
}

static void *piece_take(struct peal_arena *arena, unsigned class)
{
	struct heap *heap = arena->heap_state;
	uint32_t index = heap->slabs[class];
	struct page *slab;
	unsigned piece;

	if (!index) {
		index = run_take(arena, 1, PAGE, SLAB);
		if (!index)
			return NULL;
		heap->pages[index].class = (uint8_t)class;
		heap->pages[index].free = all_free(class);
		list_add(heap, &heap->slabs[class], index);
	}
	slab = &heap->pages[index];
	piece = (unsigned)__builtin_ctzll(slab->free);
	slab->free &= slab->free - 1;
	if (!slab->free)
		list_remove(heap, &heap->slabs[class], index);
	heap->used += class_size(class);
	return page_at(arena, index) + piece * class_size(class);
}

static void piece_give_back(struct heap *heap, uint32_t index, uint32_t at)
{
	struct page *slab = &heap->pages[index];
	uint32_t size = class_size(slab->class);
	uint64_t bit = UINT64_C(1) << at / size;

	MUST(at % size == 0 && !(slab->free & bit),
	     "not allocated, or given back already", "arena_free");
	if (!slab->free)
		list_add(heap, &heap->slabs[slab->class], index);
	slab->free |= bit;
	heap->used -= size;
	if (slab->free != all_free(slab->class))
		return;
	list_remove(heap, &heap->slabs[slab->class], index);
	run_give_back(heap, index);
}

/* --- the heap ------------------------------------------------------------ */

static int slabs_open(struct peal_arena *arena)
{
	struct peal_allocator *allocator = &arena->allocator;
	struct heap *heap = allocator->alloc(allocator->ctx, sizeof *heap, 64);
	uint64_t count = arena->region.bytes / PAGE;

	if (!heap)
		return -ENOMEM;
	memset(heap, 0, sizeof *heap);
	/* Links have 32 bits: 16 TiB, more than a ring takes. */
	heap->count = count > UINT32_MAX - 2 ? UINT32_MAX - 2
					     : (uint32_t)count;
	heap->pages = allocator->alloc(allocator->ctx,
				       ((size_t)heap->count + 2) *
					       sizeof *heap->pages, 64);
	if (!heap->pages) {
		allocator->free(allocator->ctx, heap, sizeof *heap);
		return -ENOMEM;
	}
	arena->heap_state = heap;
	free_run_add(heap, 1, heap->count);
	return 0;
}

static void slabs_close(struct peal_arena *arena)
{
	struct peal_allocator *allocator = &arena->allocator;
	struct heap *heap = arena->heap_state;

	allocator->free(allocator->ctx, heap->pages,
			((size_t)heap->count + 2) * sizeof *heap->pages);
	allocator->free(allocator->ctx, heap, sizeof *heap);
}

static void *take(struct peal_arena *arena, size_t size, size_t align)
{
	struct heap *heap = arena->heap_state;
	size_t least = size > align ? size : align;
	uint32_t index, pages;

	if (least <= class_size(CLASSES - 1))
		return piece_take(arena, class_of(least));
	if (size > (uint64_t)heap->count * PAGE)
		return NULL;
	pages = (uint32_t)((size + PAGE - 1) / PAGE);
	index = run_take(arena, pages, align > PAGE ? align : PAGE, USED_RUN);
	if (!index)
		return NULL;
	heap->used += (uint64_t)pages * PAGE;
	return page_at(arena, index);
}

static void *slabs_alloc(struct peal_arena *arena, size_t size, size_t align)
{
	void *memory;

	pthread_mutex_lock(&arena->lock);
	memory = take(arena, size, align);
	pthread_mutex_unlock(&arena->lock);
	return memory;
}

static void slabs_free(struct peal_arena *arena, void *memory)
{
	uint64_t at = (uint64_t)((char *)memory - arena->region.base);
	struct heap *heap = arena->heap_state;
	uint32_t index = (uint32_t)(at / PAGE) + 1;
	struct page *page = &heap->pages[index];

	pthread_mutex_lock(&arena->lock);
	if (page->kind == SLAB) {
		piece_give_back(heap, index, (uint32_t)(at % PAGE));
	} else {
		MUST(page->kind == USED_RUN && at % PAGE == 0,
		     "not allocated, or given back already", "arena_free");
		heap->used -= (uint64_t)page->pages * PAGE;
		run_give_back(heap, index);
	}
	pthread_mutex_unlock(&arena->lock);
}

static uint64_t slabs_used(struct peal_arena *arena)
{
	const struct heap *heap = arena->heap_state;
	uint64_t used;

	pthread_mutex_lock(&arena->lock);
	used = heap->used;
	pthread_mutex_unlock(&arena->lock);
	return used;
}

const struct peal__heap peal__heap_slabs = {
	.name = "slabs",
	.open = slabs_open,
	.close = slabs_close,
	.alloc = slabs_alloc,
	.free = slabs_free,
	.used = slabs_used,
};
