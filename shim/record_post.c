/* SPDX-License-Identifier: MIT */
/* A pointer, as another run of the same program can know it again: the image
 * that the library is linked into lies elsewhere then, and the heap too. */
#include <link.h>
#include "shim/record.h"

#define SMALL	65536u		/* no address: the first pages are never there */

static uintptr_t image_begin, image_end;

static int find_image(struct dl_phdr_info *info, size_t size, void *unused)
{
	uintptr_t here = (uintptr_t)peal_post, end = 0;
	int i, inside = 0;

	(void)size;
	(void)unused;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		uintptr_t from = info->dlpi_addr + part->p_vaddr;

		if (part->p_type != PT_LOAD)
			continue;
		if (end < from + part->p_memsz)
			end = from + part->p_memsz;
		inside |= here >= from && here < from + part->p_memsz;
	}
	if (!inside)
		return 0;
	image_begin = info->dlpi_addr;
	image_end = end;
	return 1;
}

static int in_image(uintptr_t at)
{
	if (!image_end)
		dl_iterate_phdr(find_image, NULL);
	return at >= image_begin && at < image_end;
}

struct record_value peal__record_value(const void *address)
{
	uintptr_t at = (uintptr_t)address;

	if (at < SMALL || at > UINTPTR_MAX - SMALL)
		return (struct record_value){ at, VALUE_NUMBER };
	if (in_image(at))
		return (struct record_value){ at - image_begin, VALUE_STATIC };
	return (struct record_value){ 0, VALUE_OTHER };
}
