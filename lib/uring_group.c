/* SPDX-License-Identifier: MIT */
/*
 * Rings of provided buffers. The ring is in our memory, never mapped by the
 * kernel: that flavour had CVE-2024-0582.
 */
#include <string.h>
#include <sys/resource.h>
#include "lib/groups.h"
#include "lib/start.h"
#include "lib/uring.h"

/* struct io_uring_buf_reg, whose flags an old header has not. */
struct registration {
	uint64_t addr;
	uint32_t entries;
	uint16_t id;
	uint16_t flags;
	uint64_t zero[3];
};

_Static_assert(sizeof(struct registration) == sizeof(struct io_uring_buf_reg),
	       "the kernel's layout");

int peal__uring_buffers(int fd, unsigned opcode, uint16_t id, uint16_t flags,
			const void *addr, uint32_t entries)
{
	struct registration with = { .addr = peal__addr(addr),
				     .entries = entries,
				     .id = id,
				     .flags = flags };

	return io_uring_register((unsigned)fd, opcode, &with, 1);
}

int peal__uring_bundles(struct peal_ring *ring)
{
	const struct peal__uring *uring = ring->engine_state;

	if (ring->bundles &&
	    *peal__uring_check(CHECK_BUNDLES, uring->setup_flags))
		ring->bundles = 0;
	return ring->bundles;
}

/* Without pieces, if the kernel's are not good; and without bundles. */
static void check(struct peal_ring *ring, struct peal_group *group)
{
	const struct peal__uring *uring = ring->engine_state;
	const char *why;

	group->bundles = (uint8_t)peal__uring_bundles(ring);
	if (!group->incremental)
		return;
	why = peal__uring_check(CHECK_PIECES, uring->setup_flags);
	if (*why) {
		group->incremental = 0;
		peal__group_reason("each receive takes a whole buffer: %s",
				   why);
	} else if (group->bundles) {
		group->bundles = !*peal__uring_check(CHECK_PIECES_BUNDLES,
						     uring->setup_flags);
	}
}

static void refused(const struct peal_group *group, int error)
{
	if (error == -EINVAL)
		peal__group_reason("each receive is a poll and a receive: "
				   "this kernel has no rings of buffers with "
				   "multishot receives; Linux 6.0 has them");
	else if (error == -ENOMEM)
		peal__group_reason("each receive is a poll and a receive: the "
				   "kernel locks %u KiB for a ring of %u "
				   "buffers and RLIMIT_MEMLOCK allows this "
				   "user %llu KiB in all: raise it (ulimit -l, "
				   "LimitMEMLOCK=)",
				   (group->entries * 16 + 4095) / 4096 * 4,
				   group->count,
				   peal__limit(RLIMIT_MEMLOCK) / 1024);
	else
		peal__group_reason("the kernel answers %s to a ring of %u "
				   "buffers: PEAL_DISABLE=bufring does "
				   "without", peal_strerror(error),
				   group->count);
}

int peal__uring_group_open(struct peal_ring *ring, struct peal_group *group)
{
	struct peal__uring *uring = ring->engine_state;
	uint8_t asked = group->incremental;
	int rc = -EINVAL;

	if (!uring->no_bufring) {
		check(ring, group);
		rc = peal__uring_buffers(uring->ring.ring_fd,
					 PEAL__REGISTER_PBUF_RING, group->id,
					 group->incremental
						 ? PEAL__PBUF_RING_INC : 0,
					 group->bufs, group->entries);
	}
	if (rc >= 0)
		return rc;
	group->incremental = asked;	/* by the library, then */
	group->bundles = 0;
	refused(group, rc);
	return rc == -ENOMEM ? -EINVAL : rc;
}

/* The kernel uses the ring and its buffers until this has returned. */
void peal__uring_group_close(struct peal_ring *ring, struct peal_group *group)
{
	struct peal__uring *uring = ring->engine_state;
	int rc = peal__uring_buffers(uring->ring.ring_fd,
				     PEAL__UNREGISTER_PBUF_RING, group->id, 0,
				     NULL, 0);

	MUST(rc == 0, "the kernel does not let go of a group's buffers",
	     "group_close");
}
