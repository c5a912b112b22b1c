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

static int call(struct peal_ring *ring, struct peal_group *group,
		unsigned opcode, void *addr)
{
	struct peal__uring *uring = ring->engine_state;
	struct io_uring_buf_reg reg;

	memset(&reg, 0, sizeof reg);
	reg.ring_addr = peal__addr(addr);
	reg.ring_entries = addr ? group->entries : 0;
	reg.bgid = group->id;
	return io_uring_register((unsigned)uring->ring.ring_fd, opcode, &reg,
				 1);
}

int peal__uring_group_open(struct peal_ring *ring, struct peal_group *group)
{
	struct peal__uring *uring = ring->engine_state;

	int rc = uring->no_bufring ? -EINVAL
				   : call(ring, group,
					  PEAL__REGISTER_PBUF_RING,
					  group->bufs);

	if (rc == -EINVAL) {
		peal__group_reason("each receive is a poll and a receive: "
				   "this kernel has no rings of buffers with "
				   "multishot receives; Linux 6.0 has them");
	} else if (rc == -ENOMEM) {
		peal__group_reason("each receive is a poll and a receive: the "
				   "kernel locks %u KiB for a ring of %u "
				   "buffers and RLIMIT_MEMLOCK allows this "
				   "user %llu KiB in all: raise it (ulimit -l, "
				   "LimitMEMLOCK=)",
				   (group->entries * 16 + 4095) / 4096 * 4,
				   group->count,
				   peal__limit(RLIMIT_MEMLOCK) / 1024);
	} else if (rc < 0) {
		peal__group_reason("the kernel answers %s to a ring of %u "
				   "buffers: PEAL_DISABLE=bufring does "
				   "without", peal_strerror(rc), group->count);
	}
	return rc == -ENOMEM ? -EINVAL : rc;
}

/* The kernel uses the ring and its buffers until this has returned. */
void peal__uring_group_close(struct peal_ring *ring, struct peal_group *group)
{
	int rc = call(ring, group, PEAL__UNREGISTER_PBUF_RING, NULL);

	MUST(rc == 0, "the kernel does not let go of a group's buffers",
	     "group_close");
}
