/* SPDX-License-Identifier: MIT */
/* What the rest of the library sees of bounce buffers: bounce.c. */
#ifndef PEAL_LIB_BOUNCE_H
#define PEAL_LIB_BOUNCE_H

#include "lib/ring.h"

#define LOOK_BOUNCE 1	/* of a look: start it by peal__bounce_start() */

/* bytes 0: none, and no op is bounced. */
int peal__bounce_open(struct peal_ring *ring, uint32_t bytes);
void peal__bounce_close(struct peal_ring *ring);
void peal__bounce_explain(const struct peal_ring *ring, FILE *out);
int peal__bounce_look(struct peal_ring *ring, struct peal__look *look,
		      peal_fd fd, uint64_t addr, uint64_t len,
		      uint64_t offset);
peal_op peal__bounce_start(struct peal_ring *ring,
			   const struct peal__look *look, peal_fd fd,
			   const void *buf, uint64_t len, uint64_t offset,
			   peal_handler *handler, void *ctx);
int64_t peal__bounce_end(struct peal_ring *ring, const struct peal__row *row,
			 int64_t result, void **buf);

#endif
