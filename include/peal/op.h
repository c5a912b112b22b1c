/* SPDX-License-Identifier: MIT */
/* The types that all operations share; cancelling; errors. */
#ifndef PEAL_OP_H
#define PEAL_OP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peal_ring;

typedef int peal_fd;		/* a file descriptor */
typedef int64_t peal_op;	/* > 0: a handle, safe to keep for ever;
				 * < 0: -errno, nothing was started */

struct peal_completion {
	void *ctx;		/* as given when the op was started */
	int64_t result;		/* >= 0: bytes, a new fd, or 0; < 0: -errno */
	uint32_t flags;		/* PEAL_MORE, ... below */
	peal_op op;
	void *buf;		/* full transfers: the first byte that was not
				 * transferred; otherwise NULL */
};

typedef void peal_handler(struct peal_ring *ring,
			  const struct peal_completion *done);

/* peal_completion.flags */
#define PEAL_MORE	(1u << 1)  /* not terminal: the handler runs again */
#define PEAL_TIMED_OUT	(1u << 8)  /* its deadline passed first */
#define PEAL_CANCELLED	(1u << 9)  /* a cancel was asked for */

/* the flags argument of every op */
#define PEAL_ASYNC	(1u << 4)  /* give it to a kernel worker at once */

/* peal_deadline() */
#define PEAL_EARLY	(1u << 16)

/* allocate, zero range */
#define PEAL_KEEP_SIZE	(1u << 17)

/* Does nothing, through the whole machinery. Result: 0. */
peal_op peal_nop(struct peal_ring *ring, unsigned flags,
		 peal_handler *handler, void *ctx);

/* Completes when fd is ready for one of events (poll.h's POLLIN, ...).
 * Result: the ready events. */
peal_op peal_poll(struct peal_ring *ring, peal_fd fd, unsigned events,
		  unsigned flags, peal_handler *handler, void *ctx);

/* The same, again and again: each completion but the last has PEAL_MORE. It
 * is edge-triggered: take what is there before you return. */
peal_op peal_poll_multishot(struct peal_ring *ring, peal_fd fd,
			    unsigned events, unsigned flags,
			    peal_handler *handler, void *ctx);

/* Asks that an op end early. Its own terminal completion says what became of
 * it: -ECANCELED, or its result if that won.
 * The cancel's own result: 0 cancelled, -EALREADY running and cannot be
 * interrupted, -ENOENT finished meanwhile. Returns -ENOENT at once when
 * the handle is not in flight. handler may be NULL; then the cancel takes no
 * room and cannot fail with -EAGAIN; it returns 0. */
peal_op peal_cancel(struct peal_ring *ring, peal_op op, unsigned flags,
		    peal_handler *handler, void *ctx);

/* The same for every op in flight on fd. Result: how many were asked. */
peal_op peal_cancel_fd(struct peal_ring *ring, peal_fd fd, unsigned flags,
		       peal_handler *handler, void *ctx);

/* The same for every op of the ring. Result: how many were asked. */
peal_op peal_cancel_all(struct peal_ring *ring, unsigned flags,
			peal_handler *handler, void *ctx);

/* Is this handle in flight? Result: 1 or 0. */
int peal_op_in_flight(struct peal_ring *ring, peal_op op);

/* A sentence for a negative errno. Never NULL. */
const char *peal_strerror(int64_t error);

#ifdef __cplusplus
}
#endif
#endif
