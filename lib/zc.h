/* SPDX-License-Identifier: MIT */
/*
 * Zero-copy send. An entry has two completions, in either order:
 *
 *	sent --result, MORE--> half --NOTIF--> told with the result
 *	   \--result alone (an error, or nothing was kept)--> told
 *
 * MORE alone decides, never the result: kernels give it with errors, too.
 */
#ifndef PEAL_LIB_ZC_H
#define PEAL_LIB_ZC_H

#include "lib/ring.h"

#define ROW_HALF ROW_ONESHOT	/* of an ENTRY_ZC row: one of the two came */

/* A completion of an ENTRY_ZC row. 1: there is nothing to tell yet. */
int peal__zc_step(struct peal_ring *ring, struct peal__row *row,
		  int64_t *result, uint32_t *flags);
/* The entry once more. */
void peal__zc_fill(struct peal_ring *ring, const struct peal__row *row,
		   struct peal__sqe *sqe);

/* Does only the buffer wait, so that there is nothing to cancel? */
static inline int peal__zc_is_sent(const struct peal__row *row)
{
	return row->entry_flags & ENTRY_ZC && row->flags & ROW_HALF;
}

#endif
