/* SPDX-License-Identifier: MIT */
/* The escape hatch: the io_uring underneath. Linux only; needs liburing.h. */
#ifndef PEAL_URING_H
#define PEAL_URING_H

#include <liburing.h>
#include "peal/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The io_uring of this ring, for io_uring_register_*() calls and for its
 * features. Its queues are peal's: never get_sqe, submit, peek or wait.
 * Result     the io_uring, its ring_fd valid; NULL when the engine is another
 * Errors     none
 * Lifetime   of the ring
 * Thread     the ring's
 * Engines    io_uring
 * Memory     none
 */
struct io_uring *peal_uring_ring(struct peal_ring *ring);

/*
 * Starts an op from a raw entry, for what peal has no function for.
 *   entry    copied; its user_data is replaced. What its addresses point to is
 *            lent
 * Result     the kernel's; done->flags has its IORING_CQE_F_* bits in bits 0 to
 *            7 and 16 to 31
 * Errors     -EINVAL: a link or drain flag, IOSQE_CQE_SKIP_SUCCESS, or a
 *            128-byte entry; -EOPNOTSUPP: the kernel lacks the opcode, or the
 *            engine is another; in the completion: what the operation gives
 * Lifetime   lent until the first completion without PEAL_MORE
 * Thread     the ring's
 * Engines    io_uring, from the kernel that has the operation
 * Memory     none
 */
peal_op peal_uring_submit(struct peal_ring *ring,
			  const struct io_uring_sqe *entry,
			  peal_handler *handler, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
