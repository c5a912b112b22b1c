/* SPDX-License-Identifier: MIT */
/*
 * In a build with the address sanitizer, a buffer that the kernel may write to
 * is poisoned while it is lent, so that a touch of it is reported where it
 * happens. The kernel's own writes pass the sanitizer by; an engine in user
 * space copies with code that it watches, so there nothing is poisoned.
 *
 * Memory that is only read (the data of writes and sends, the array of a
 * vector, paths) is left alone: the program may read it too, and lend it to
 * several ops. Of two reads into one buffer the first to end gives it back:
 * that hides a touch, and never invents one.
 */
#ifndef PEAL_LIB_LEND_H
#define PEAL_LIB_LEND_H

#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define PEAL__WATCHES_LENT 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PEAL__WATCHES_LENT 1
#endif
#endif

#ifndef PEAL__WATCHES_LENT
#define PEAL__WATCHES_LENT 0
#endif

#if PEAL__WATCHES_LENT
#include <sanitizer/asan_interface.h>

#define PEAL__FREED 0xfd	/* the sanitizer's mark of freed memory */

/* Can a program have such memory? The kernel says -EFAULT if it cannot; the
 * sanitizer would stop the program. */
static inline int peal__can_be_lent(uint64_t addr, uint64_t len)
{
	const uint64_t end = UINT64_C(1) << 48;

	return addr < end && len <= end - addr;
}

static inline void peal__poison(uint64_t addr, uint64_t len)
{
	if (peal__can_be_lent(addr, len))
		__asan_poison_memory_region((void *)(uintptr_t)addr,
					    (size_t)len);
}

static inline void peal__unpoison(uint64_t addr, uint64_t len)
{
	if (peal__can_be_lent(addr, len))
		__asan_unpoison_memory_region((void *)(uintptr_t)addr,
					      (size_t)len);
}

/* Has the program freed it meanwhile? Its first whole granule tells. */
__attribute__((no_sanitize("address")))
static inline int peal__is_freed(uint64_t addr, uint64_t len)
{
	size_t scale, offset;
	uint64_t granule;

	if (!peal__can_be_lent(addr, len))
		return 0;
	__asan_get_shadow_mapping(&scale, &offset);
	granule = (addr + (UINT64_C(1) << scale) - 1) >> scale;
	if ((granule + 1) << scale > addr + len)
		return 0;
	return *(const uint8_t *)(uintptr_t)(granule + offset) == PEAL__FREED;
}
#else
static inline int peal__can_be_lent(uint64_t addr, uint64_t len)
{
	(void)addr, (void)len;
	return 0;
}

static inline void peal__poison(uint64_t addr, uint64_t len)
{
	(void)addr, (void)len;
}

static inline void peal__unpoison(uint64_t addr, uint64_t len)
{
	(void)addr, (void)len;
}

static inline int peal__is_freed(uint64_t addr, uint64_t len)
{
	(void)addr, (void)len;
	return 0;
}
#endif

/* lend.c, called only in such a build. Of a row with its note, or with its
 * entry filled: it begins; it ends. */
struct peal_ring;
struct peal__row;
struct peal__sqe;
void peal__lend_one(const struct peal_ring *ring, const struct peal__row *row);
void peal__lend_many(struct peal_ring *ring, const struct peal__sqe *sqe);
void peal__lend_end(const struct peal_ring *ring, const struct peal__row *row);

#endif
