/* SPDX-License-Identifier: MIT */
/* The table of direct descriptors (direct.h), as io_uring has it: empty at
 * first, the kernel gives the slots out. */
#include <string.h>
#include "lib/direct.h"
#include "lib/uring.h"

static int call(struct peal_ring *ring, unsigned opcode, void *arg,
		unsigned count)
{
	struct peal__uring *uring = ring->engine_state;

	return io_uring_register((unsigned)uring->ring.ring_fd, opcode, arg,
				 count);
}

/* -EMFILE: more than RLIMIT_NOFILE; -EINVAL: before Linux 5.19. */
int peal__uring_files_open(struct peal_ring *ring, uint32_t count)
{
	struct io_uring_rsrc_register table;

	memset(&table, 0, sizeof table);
	table.nr = count;
	table.flags = PEAL__RSRC_SPARSE;
	return call(ring, PEAL__REGISTER_FILES2, &table, sizeof table);
}

/* What is still in it is closed now, and not when the kernel gets round to the
 * rest of the ring. */
void peal__uring_files_close(struct peal_ring *ring)
{
	call(ring, PEAL__UNREGISTER_FILES, NULL, 0);
}

void peal__uring_files_drop(struct peal_ring *ring, uint32_t slot)
{
	int32_t none = -1;
	struct io_uring_files_update update;

	memset(&update, 0, sizeof update);
	update.offset = slot;
	update.fds = peal__addr(&none);
	call(ring, PEAL__REGISTER_FILES_UPDATE, &update, 1);
}
