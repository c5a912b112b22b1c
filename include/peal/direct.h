/* SPDX-License-Identifier: MIT */
/*
 * Direct descriptors: files and sockets in the ring's own table instead of the
 * process's. The kernel finds them without counting references, so ops on them
 * cost less (2-5 %), and they do not count against RLIMIT_NOFILE. To every op
 * of their ring they are a peal_fd like any other; to everybody else (other
 * rings, system calls) they are no descriptor at all.
 *
 * PEAL_DIRECT, in the flags of peal_open, peal_socket, peal_accept and
 * peal_accept_multishot, is a wish: where the ring has no table
 * (options.direct_fds is 0, Linux before 5.19, an engine other than io_uring
 * and sim) the result is an ordinary descriptor and the program goes on as it
 * is. peal_fd_is_direct() and peal_ring_explain() tell. A full table is
 * -ENFILE; for an accept it comes too late: the kernel has taken the
 * connection, and closes it.
 */
#ifndef PEAL_DIRECT_H
#define PEAL_DIRECT_H

#include "peal/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Whether fd is a direct descriptor.
 * Result     1 or 0
 * Errors     none
 * Lifetime   nothing is lent
 * Thread     any
 * Engines    all
 * Memory     none
 */
int peal_fd_is_direct(peal_fd fd);

/*
 * Makes an ordinary descriptor for the file that fd is: to hand it to a system
 * call, a library, another ring.
 *   fd       direct, and stays what it is; an ordinary one is duplicated
 *   flags    0 or PEAL_ASYNC
 * Result     the new fd, close-on-exec; yours to close
 * Errors     -EBADF: fd is not open; -EMFILE, -ENFILE: too many open files;
 *            -EOPNOTSUPP, returned at once: this kernel cannot take a file out
 *            of its table: do not wish PEAL_DIRECT for it
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    io_uring 6.8, sim; an ordinary fd: at once
 * Memory     none
 */
peal_op peal_fd_install(struct peal_ring *ring, peal_fd fd, unsigned flags,
			peal_handler *handler, void *ctx);

/*
 * Makes a direct descriptor for the file that fd is: for one that was opened
 * elsewhere.
 *   fd       ordinary, and stays what it is
 *   flags    0 or PEAL_ASYNC
 * Result     the new fd, direct, or without a table a duplicate; yours to close
 * Errors     -EBADF: fd is not open, or direct; -ENFILE: the table is full
 *            (options.direct_fds); -EMFILE: too many open files
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    io_uring 5.6, with a table 5.19, sim; else at once
 * Memory     none
 */
peal_op peal_fd_register(struct peal_ring *ring, peal_fd fd, unsigned flags,
			 peal_handler *handler, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
