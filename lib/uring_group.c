/* SPDX-License-Identifier: MIT */
/*
 * Rings of provided buffers. The ring is in our memory, never mapped by the
 * kernel: that flavour had CVE-2024-0582.
 */
#include <string.h>
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

	if (uring->no_bufring)
		return -EINVAL;
	return call(ring, group, PEAL__REGISTER_PBUF_RING, group->bufs);
}

/* The kernel uses the ring and its buffers until this has returned. */
void peal__uring_group_close(struct peal_ring *ring, struct peal_group *group)
{
	int rc = call(ring, group, PEAL__UNREGISTER_PBUF_RING, NULL);

	MUST(rc == 0, "the kernel does not let go of a group's buffers",
	     "group_close");
}
