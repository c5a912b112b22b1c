/* SPDX-License-Identifier: MIT */
/* Timers and deadlines. They live in user space and cost no system call. */
#ifndef PEAL_TIME_H
#define PEAL_TIME_H

#include "peal/op.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PEAL_US UINT64_C(1000)
#define PEAL_MS UINT64_C(1000000)
#define PEAL_S  UINT64_C(1000000000)

/* Completes ns nanoseconds from now. Result: 0. */
peal_op peal_sleep(struct peal_ring *ring, uint64_t ns, unsigned flags,
		   peal_handler *handler, void *ctx);

/* Moves a sleep in flight: it completes ns nanoseconds from now instead.
 * Returns 0, -ENOENT if it is not in flight, -EINVAL if it is no sleep. */
int peal_sleep_again(struct peal_ring *ring, peal_op sleep, uint64_t ns);

/* Puts a deadline, ns nanoseconds from now, on an op in flight. At the
 * deadline the op is cancelled and completes with -ETIMEDOUT (or with its
 * result, if that won). With PEAL_EARLY the handler is called at the deadline
 * with -ETIMEDOUT and PEAL_MORE, and again when the kernel has let go.
 * A second call replaces the first. PEAL_FOREVER removes the deadline.
 * Returns 0, -ENOENT (not in flight) or -EINVAL (a flag). */
int peal_deadline(struct peal_ring *ring, peal_op op, uint64_t ns,
		  unsigned flags);

#define PEAL_FOREVER UINT64_MAX

#ifdef __cplusplus
}
#endif
#endif
