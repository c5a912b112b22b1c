/* SPDX-License-Identifier: MIT */
/*
 * What a kernel must keep to when it takes buffers from a ring of them: the
 * first one named, the others of a bundle behind it, bytes from where the last
 * receive of any socket ended, and the flag of a buffer that has room left. The
 * model of it, which knows of no kernel; uring_check.c feeds it with one's
 * answers.
 */
#ifndef PEAL_LIB_URING_CHECK_H
#define PEAL_LIB_URING_CHECK_H

#include "lib/sqe.h"

enum {
	CHECK_BUFFERS = 4,
	CHECK_SIZE = 64,
	CHECK_SOCKETS = 3
};

struct peal__model {
	const uint8_t *memory;		/* CHECK_BUFFERS * CHECK_SIZE */
	int pieces;			/* buffers are used up piece by piece */
	uint32_t offset;		/* ... of the first of them */
	uint16_t given[CHECK_BUFFERS];	/* buffers the kernel has, in order */
	uint16_t back[CHECK_BUFFERS];	/* that it is done with */
	unsigned given_count, back_count;
	uint64_t got[CHECK_SOCKETS];	/* bytes received */
	unsigned bundles, parts, refused, ends;	/* what was seen of each */
	char why[160];			/* what is wrong; "": nothing yet */
};

/* The byte at a place of a socket's stream. */
uint8_t peal__model_byte(unsigned socket, uint64_t at);
void peal__model_give(struct peal__model *model, uint16_t id);
/* A completion of a receive on this socket. 0: as it should be; -1: why says
 * what is not. */
int peal__model_see(struct peal__model *model, unsigned socket,
		    const struct peal__cqe *cqe);

#endif
