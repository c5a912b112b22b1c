/* SPDX-License-Identifier: MIT */
/* One attempt at an operation, without waiting. */
#ifndef PEAL_SHIM_READY_H
#define PEAL_SHIM_READY_H

#include "lib/sqe.h"

/* What the attempt says besides a result. */
#define READY_WAIT	(-100001)	/* wait for the fd, then try again */
#define READY_POOL	(-100002)	/* this fd cannot be waited for */

/* How: as if this kernel had no RWF_NOWAIT for anything. */
#define READY_NO_NOWAIT	(1u << 0)

/* *progress is 0 at first and kept between attempts at one op. The entry may
 * be changed by an attempt that moved a part. */
int peal__ready_try(struct peal__sqe *sqe, int64_t *progress, unsigned how);

/* Is there an attempt at this op, and so a wait for its fd? */
int peal__ready_has(unsigned opcode);

#endif
