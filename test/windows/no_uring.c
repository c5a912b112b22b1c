/* SPDX-License-Identifier: MIT */
/* The escape hatch of peal/uring.h, which a library for Windows lacks. */
#include <errno.h>
#include "test/windows/posix.h"
#include "peal/uring.h"

struct io_uring *peal_uring_ring(struct peal_ring *ring)
{
	(void)ring;
	return NULL;
}

peal_op peal_uring_submit(struct peal_ring *ring,
			  const struct io_uring_sqe *entry,
			  peal_handler *handler, void *ctx)
{
	(void)ring;
	(void)entry;
	(void)handler;
	(void)ctx;
	return -EOPNOTSUPP;
}
