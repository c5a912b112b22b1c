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

/*
 * Completes ns nanoseconds from now. Costs no system call: timers are kept in
 * user space, and the loop's own wait ends at the next one.
 *   ns       nanoseconds, counted in a handler from the time of this turn,
 *            elsewhere from the call; 0: the next turn
 *   flags    0
 * Result     0, not early; late by what other handlers take
 * Errors     none of its own
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    all
 * Memory     none
 */
peal_op peal_sleep(struct peal_ring *ring, uint64_t ns, unsigned flags,
		   peal_handler *handler, void *ctx);

/*
 * Moves a sleep in flight: it completes ns nanoseconds from now instead, and
 * has no deadline any more. Cheaper than a cancel and a new sleep; what an idle
 * timeout wants.
 *   sleep    the handle peal_sleep() gave
 *   ns       as peal_sleep
 * Result     0
 * Errors     -ENOENT: it is not in flight; -EINVAL: it is no sleep
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    all
 * Memory     none
 */
int peal_sleep_again(struct peal_ring *ring, peal_op sleep, uint64_t ns);

/*
 * Puts a deadline on an op in flight; a second call replaces the first. At the
 * deadline the op is cancelled: it completes with -ETIMEDOUT and
 * PEAL_TIMED_OUT, or with its result, if that won.
 *   op       a handle
 *   ns       nanoseconds from now, as peal_sleep; PEAL_FOREVER: no deadline
 *   flags    0, or PEAL_EARLY: two stages. The handler is called at the
 *            deadline with -ETIMEDOUT and PEAL_MORE ("answer your client"), and
 *            again, terminal, when the kernel has let go. A sleep lets go at
 *            once, so its handler is called once
 * Result     0
 * Errors     -ENOENT: op is not in flight; -EINVAL: a flag, or op is a cancel
 * Lifetime   what was lent to op stays lent until its terminal completion, the
 *            deadline notwithstanding: a disk read often cannot be cancelled
 * Thread     the ring's
 * Engines    all
 * Memory     none
 */
int peal_deadline(struct peal_ring *ring, peal_op op, uint64_t ns,
		  unsigned flags);

#define PEAL_FOREVER UINT64_MAX

#ifdef __cplusplus
}
#endif
#endif
