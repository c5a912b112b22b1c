/* SPDX-License-Identifier: MIT */
/* The escape hatch: the io_uring underneath. Linux only; needs liburing.h. */
#ifndef PEAL_URING_H
#define PEAL_URING_H

#include <liburing.h>
#include "peal/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The io_uring of this ring, for io_uring_register_*() calls: its ring_fd is
 * valid. Never use its queues (get_sqe, submit, peek, wait): they are peal's.
 * NULL when the engine is not io_uring. */
struct io_uring *peal_uring_ring(struct peal_ring *ring);

/* Starts an op from a raw entry. *entry is copied; its user_data is replaced.
 * What its addresses point to is lent until the terminal completion: the first
 * completion without PEAL_MORE. done->flags has the kernel's IORING_CQE_F_*
 * bits in bits 0 to 7 and 16 to 31. Link and drain flags, CQE_SKIP and
 * 128-byte entries are refused with -EINVAL. */
peal_op peal_uring_submit(struct peal_ring *ring,
			  const struct io_uring_sqe *entry,
			  peal_handler *handler, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
