/* SPDX-License-Identifier: MIT */
/*
 * The types that all operations share; cancelling; errors.
 *
 * What an argument says is lent is the ring's from the call, if it returned a
 * handle, to the op's terminal completion, and yours again in its handler. The
 * program may read what the op only reads (the data of a write or a send,
 * paths, the array of a vector), and may lend it to several ops; it leaves
 * alone what the op writes to.
 *
 * Built with the address sanitizer (library and program: -fsanitize=address),
 * what the kernel may write to is out of bounds for the program while it is
 * lent to a ring of the io_uring engine, and a touch is reported where it
 * happens ("use-after-poison"); so is freeing it, when the op ends. That is the
 * buffer of a read or receive, each part of a vector, a message with its parts,
 * name and control data, the address that an accept fills in and its length,
 * peal_stat's result, and a group's buffers; with PEAL_BOUNCE on any engine.
 * Memory that is only read is not marked: a write to it goes unseen. Nor is
 * what raw entries name, nor what a job of the pool fills in. Of two ops that
 * were lent the same the first to end gives it back. In a forked child, which
 * does not have the ring, what was lent then stays out of bounds.
 */
#ifndef PEAL_OP_H
#define PEAL_OP_H

#include <stddef.h>
#include <stdint.h>
#ifdef _WIN32
#include "peal/windows.h"
#else
#include <sys/socket.h>
#include <sys/uio.h>
typedef int peal_fd;		/* a file descriptor */
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct peal_ring;

typedef int64_t peal_op;	/* > 0: a handle, safe to keep for ever;
				 * < 0: -errno, nothing was started */

struct peal_completion {
	void *ctx;		/* as given when the op was started */
	int64_t result;		/* >= 0: bytes, a new fd, or 0; < 0: -errno */
	uint32_t flags;		/* PEAL_MORE, ... below */
	peal_op op;
	void *buf;		/* from a buffer group: the data; full
				 * transfers: the first byte that was not
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

/* open, socket, accept: into the ring's own table; see direct.h */
#define PEAL_DIRECT	(1u << 20)

/* peal_recv_multishot() */
#define PEAL_BUNDLE	(1u << 21)

/* peal_deadline() */
#define PEAL_EARLY	(1u << 16)

/* allocate, zero range */
#define PEAL_KEEP_SIZE	(1u << 17)

/*
 * Does nothing, through the whole machinery: to measure it, to test with it.
 *   flags    0 or PEAL_ASYNC
 * Result     0
 * Errors     none of its own
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    io_uring 5.1; else at once
 * Memory     none
 */
peal_op peal_nop(struct peal_ring *ring, unsigned flags,
		 peal_handler *handler, void *ctx);

/*
 * Completes when fd is ready for one of events.
 *   fd       a socket, pipe, terminal, eventfd, ...; a regular file is always
 *            ready
 *   events   poll.h's POLLIN, POLLOUT, ...
 *   flags    0 or PEAL_ASYNC
 * Result     the ready events, which may hold POLLERR, POLLHUP and POLLRDHUP
 *            unasked
 * Errors     -EBADF: fd is not open; -EINVAL: fd has none of events, ever
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    io_uring 5.1; else readiness
 * Memory     none
 */
peal_op peal_poll(struct peal_ring *ring, peal_fd fd, unsigned events,
		  unsigned flags, peal_handler *handler, void *ctx);

/*
 * Completes, again and again, when fd becomes ready for one of events. It is
 * edge-triggered: take all that is there before you return; what is left is not
 * reported again. After POLLHUP or POLLERR cancel it.
 *   fd       as peal_poll; a regular file is always ready, so it completes in
 *            every turn until it is cancelled: on all engines alike
 *   events, flags  as peal_poll
 * Result     the ready events, with PEAL_MORE; without it, the last: an error,
 *            -ECANCELED, or what a cancel came too late for
 * Errors     as peal_poll
 * Lifetime   as peal_poll
 * Thread     the ring's
 * Engines    io_uring 5.13; before: peal_poll started again by the library;
 *            else readiness
 * Memory     none
 */
peal_op peal_poll_multishot(struct peal_ring *ring, peal_fd fd,
			    unsigned events, unsigned flags,
			    peal_handler *handler, void *ctx);

/*
 * Asks that an op end early. What became of the op, its own terminal completion
 * says: -ECANCELED, or its result if that won; its buffers are lent until then.
 * Asking twice is harmless.
 *   op       a handle, of any age
 *   flags    0
 *   handler  gets the cancel's own result; NULL: the cancel takes no room,
 *            cannot fail with -EAGAIN, and 0 is returned for a handle
 * Result     a handle, or 0 with handler NULL. done->result is 0: cancelled;
 *            -EALREADY: it runs on a worker (the library asks again until it
 *            lets go; what reads a disk, or is on a thread of the pool,
 *            cannot); -ENOENT: it finished meanwhile
 * Errors     -ENOENT, returned at once: op is not in flight
 * Lifetime   nothing is lent; op may have completed before or after the
 *            cancel's handler runs
 * Thread     the ring's
 * Engines    io_uring 5.5; else at once
 * Memory     none
 */
peal_op peal_cancel(struct peal_ring *ring, peal_op op, unsigned flags,
		    peal_handler *handler, void *ctx);

/*
 * Asks, as peal_cancel, that every op in flight on fd end early, but for
 * cancels and a peal_close_drained(). An op with two descriptors is on both.
 *   fd       need not be open any more
 *   flags    0
 *   handler  gets the count; may be NULL, as for peal_cancel
 * Result     as peal_cancel; done->result is how many ops were asked, and each
 *            says itself what became of it
 * Errors     -EBADF, returned at once: fd is negative
 * Lifetime   as peal_cancel
 * Thread     the ring's
 * Engines    as peal_cancel
 * Memory     none
 */
peal_op peal_cancel_fd(struct peal_ring *ring, peal_fd fd, unsigned flags,
		       peal_handler *handler, void *ctx);

/*
 * Asks, as peal_cancel, that every op in flight on the ring end early, with the
 * exceptions of peal_cancel_fd.
 *   flags    0
 *   handler  as for peal_cancel_fd
 * Result     as peal_cancel_fd
 * Errors     none of its own
 * Lifetime   as peal_cancel
 * Thread     the ring's
 * Engines    as peal_cancel
 * Memory     none
 */
peal_op peal_cancel_all(struct peal_ring *ring, unsigned flags,
			peal_handler *handler, void *ctx);

/*
 * Whether a handle's op has not had its terminal completion yet.
 *   op       a handle, of any age
 * Result     1 or 0; within the op's terminal handler 0
 * Errors     none
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    all
 * Memory     none
 */
int peal_op_in_flight(struct peal_ring *ring, peal_op op);

/*
 * Explains an error in a sentence.
 *   error    a negative errno; any other value is answered too
 * Result     the sentence; never NULL
 * Errors     none
 * Lifetime   of the program
 * Thread     any
 * Engines    all
 * Memory     none
 */
const char *peal_strerror(int64_t error);

#ifdef __cplusplus
}
#endif
#endif
