/* SPDX-License-Identifier: MIT */
/* Sockets: TCP, UDP, unix. */
#ifndef PEAL_NET_H
#define PEAL_NET_H

#include "peal/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes a socket, socket(2).
 *   domain   AF_INET, AF_INET6, AF_UNIX, ...
 *   type     SOCK_STREAM, SOCK_DGRAM, ...; SOCK_CLOEXEC is added
 *   protocol 0: the type's own
 *   flags    0 or PEAL_ASYNC
 * Result     the new fd, close-on-exec; yours to close
 * Errors     -EMFILE, -ENFILE: too many open files; -EAFNOSUPPORT: no such
 *            domain
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    io_uring 5.19; else at once
 * Memory     none
 */
peal_op peal_socket(struct peal_ring *ring, int domain, int type,
		    int protocol, unsigned flags,
		    peal_handler *handler, void *ctx);

/*
 * Gives a socket its address, bind(2).
 *   fd       a socket
 *   addr     lent
 *   addr_len bytes
 *   flags    0 or PEAL_ASYNC
 * Result     0
 * Errors     -EADDRINUSE: somebody has it; -EADDRNOTAVAIL: no such interface;
 *            -EACCES: a privileged port
 * Lifetime   addr until the terminal completion
 * Thread     the ring's
 * Engines    io_uring 6.11; else at once
 * Memory     none
 */
peal_op peal_bind(struct peal_ring *ring, peal_fd fd,
		  const struct sockaddr *addr, socklen_t addr_len,
		  unsigned flags, peal_handler *handler, void *ctx);

/*
 * Lets a socket take connections, listen(2).
 *   fd       a bound socket
 *   backlog  connections that may wait
 *   flags    0 or PEAL_ASYNC
 * Result     0
 * Errors     -EADDRINUSE: another socket listens there
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    io_uring 6.11; else at once
 * Memory     none
 */
peal_op peal_listen(struct peal_ring *ring, peal_fd fd, int backlog,
		    unsigned flags, peal_handler *handler, void *ctx);

/*
 * Takes one connection.
 *   fd       a listening socket
 *   addr     gets the peer's address; lent; NULL
 *   addr_len bytes, in and out; lent; NULL
 *   flags    0 or PEAL_ASYNC
 * Result     the new fd, close-on-exec; yours to close, also when a cancel was
 *            asked for and came too late
 * Errors     -EMFILE, -ENFILE: too many open files, the connection goes on
 *            waiting: close some first; -ECONNABORTED: it went away
 * Lifetime   addr and addr_len until the terminal completion
 * Thread     the ring's
 * Engines    io_uring 5.5; else readiness, which leaves fd O_NONBLOCK
 * Memory     none
 */
peal_op peal_accept(struct peal_ring *ring, peal_fd fd,
		    struct sockaddr *addr, socklen_t *addr_len,
		    unsigned flags, peal_handler *handler, void *ctx);

/*
 * Takes connections until it ends with an error or is cancelled. Then start it
 * again, if you want more; at once after -EMFILE would spin.
 *   fd       a listening socket
 *   flags    0 or PEAL_ASYNC
 * Result     a new fd, as peal_accept, with PEAL_MORE; without it, the last: an
 *            error, or after a cancel a last new fd
 * Errors     as peal_accept
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    io_uring 5.19; before: peal_accept started again by the library;
 *            else readiness
 * Memory     none
 */
peal_op peal_accept_multishot(struct peal_ring *ring, peal_fd fd,
			      unsigned flags, peal_handler *handler,
			      void *ctx);

/*
 * Connects a socket.
 *   fd       a socket; close it after a failed connect, do not try again
 *   addr     lent
 *   addr_len bytes
 *   flags    0 or PEAL_ASYNC
 * Result     0
 * Errors     -ECONNREFUSED: nobody listens; -ETIMEDOUT: no answer (or your
 *            deadline: PEAL_TIMED_OUT); -EHOSTUNREACH, -ENETUNREACH: no way;
 *            -ENOENT: no such unix socket
 * Lifetime   addr until the terminal completion
 * Thread     the ring's
 * Engines    io_uring 5.5; else readiness
 * Memory     none
 */
peal_op peal_connect(struct peal_ring *ring, peal_fd fd,
		     const struct sockaddr *addr, socklen_t addr_len,
		     unsigned flags, peal_handler *handler, void *ctx);

/*
 * Receives up to len bytes, or one datagram.
 *   fd        a socket
 *   buf       len bytes; lent
 *   len       bytes, not 0
 *   msg_flags MSG_PEEK, MSG_WAITALL, ...; 0
 *   flags     0 or PEAL_ASYNC
 * Result      bytes; 0: the peer has closed its side (a stream), or an empty
 *             datagram
 * Errors      -EINVAL, returned at once: len is 0; -ECONNRESET: the peer is
 *             gone; -ENOTCONN: never connected; -ETIMEDOUT: the peer stopped
 *             answering (or your deadline: PEAL_TIMED_OUT)
 * Lifetime    buf until the terminal completion
 * Thread      the ring's
 * Engines     io_uring 5.6; else readiness
 * Memory      none
 */
peal_op peal_recv(struct peal_ring *ring, peal_fd fd, void *buf, size_t len,
		  int msg_flags, unsigned flags,
		  peal_handler *handler, void *ctx);

/*
 * Sends up to len bytes, or one datagram. Never raises SIGPIPE.
 *   fd        a connected socket
 *   buf       len bytes; lent
 *   len       bytes
 *   msg_flags MSG_MORE, ...; MSG_NOSIGNAL is added
 *   flags     0 or PEAL_ASYNC
 * Result      bytes, maybe fewer than len; they are on their way, not received
 * Errors      -EPIPE, -ECONNRESET: the peer is gone; -ENOTCONN: not connected;
 *             -EMSGSIZE: too large for a datagram
 * Lifetime    buf until the terminal completion
 * Thread      the ring's
 * Engines     io_uring 5.6; else readiness
 * Memory      none
 */
peal_op peal_send(struct peal_ring *ring, peal_fd fd, const void *buf,
		  size_t len, int msg_flags, unsigned flags,
		  peal_handler *handler, void *ctx);

/*
 * Sends up to len bytes without copying them, where that is cheaper; else as
 * peal_send.
 *   fd, msg_flags, flags  as peal_send
 *   buf       len bytes; lent until the network has done with them, which for
 *             TCP is when the peer's machine has them: that can be long after
 *             they were sent
 *   len       bytes. Shorter than options.zc_bytes, it is a plain send; by
 *             default 32 KiB, in an arena 8 KiB. 1: never a plain one
 * Result      as peal_send
 * Errors      as peal_send
 * Lifetime    buf until the terminal completion, which comes when the network
 *             has let go of it: by then fd may be closed (a drained close does
 *             not wait for that), and a cancel has nothing to end any more
 * Thread      the ring's
 * Engines     io_uring 6.0, sim; else, on sockets without it (unix), and where
 *             RLIMIT_MEMLOCK leaves no room to lock buf, a plain send. When
 *             the kernel copies all the same (loopback, devices that cannot
 *             gather) 16 times in a row, only every 64th is tried:
 *             stats.zc_sent, zc_copied, zc_plain tell
 * Memory      none
 */
peal_op peal_send_zc(struct peal_ring *ring, peal_fd fd, const void *buf,
		     size_t len, int msg_flags, unsigned flags,
		     peal_handler *handler, void *ctx);

/*
 * Sends a message as peal_sendmsg, its data as peal_send_zc.
 *   fd, msg_flags, flags  as peal_send
 *   msg       lent, with all it points to; its data is what may not be copied.
 *             By default a plain send if its parts are shorter than 32 KiB in
 *             the mean, or, in one arena, all together than 8 KiB
 * Result      as peal_send
 * Errors      as peal_sendmsg
 * Lifetime    msg and its data as buf of peal_send_zc
 * Thread      the ring's
 * Engines     io_uring 6.1, with its data in one arena 6.15, sim; else as
 *             peal_send_zc
 * Memory      none
 */
peal_op peal_sendmsg_zc(struct peal_ring *ring, peal_fd fd,
			const struct msghdr *msg, int msg_flags,
			unsigned flags, peal_handler *handler, void *ctx);

/*
 * Sends len bytes: short sends, EINTR and spurious EAGAIN are repaired inside.
 * One at a time per socket, or the parts of two may mix.
 *   fd       a connected stream socket
 *   buf, msg_flags, flags  as peal_send
 *   len      bytes, any number
 * Result     len. done->buf is the first byte not sent, also on an error
 * Errors     as peal_send
 * Lifetime   buf until the terminal completion
 * Thread     the ring's
 * Engines    as peal_send
 * Memory     none; counts as two ops against max_ops
 */
peal_op peal_send_full(struct peal_ring *ring, peal_fd fd, const void *buf,
		       size_t len, int msg_flags, unsigned flags,
		       peal_handler *handler, void *ctx);

/*
 * Receives a message, with its sender's address and control data, recvmsg(2).
 *   fd        a socket
 *   msg       lent, with all it points to; its fields are set as by recvmsg(2)
 *   msg_flags MSG_PEEK, ...; MSG_CMSG_CLOEXEC is added; MSG_WAITALL counts
 *             only without room for control data
 *   flags     0 or PEAL_ASYNC
 * Result      as peal_recv; msg->msg_flags has MSG_TRUNC when it was longer
 * Errors      as peal_recv
 * Lifetime    msg, and all it points to, until the terminal completion
 * Thread      the ring's
 * Engines     io_uring 5.3; else readiness
 * Memory      none
 */
peal_op peal_recvmsg(struct peal_ring *ring, peal_fd fd, struct msghdr *msg,
		     int msg_flags, unsigned flags,
		     peal_handler *handler, void *ctx);

/*
 * Sends a message, to an address or with control data, sendmsg(2). Never raises
 * SIGPIPE.
 *   fd        a socket
 *   msg       lent, with all it points to
 *   msg_flags as peal_send
 *   flags     0 or PEAL_ASYNC
 * Result      as peal_send
 * Errors      as peal_send; -EDESTADDRREQ: no address, and not connected
 * Lifetime    as peal_recvmsg
 * Thread      the ring's
 * Engines     io_uring 5.3; else readiness
 * Memory      none
 */
peal_op peal_sendmsg(struct peal_ring *ring, peal_fd fd,
		     const struct msghdr *msg, int msg_flags, unsigned flags,
		     peal_handler *handler, void *ctx);

/*
 * Ends one direction of a connection, or both, shutdown(2). A receive in flight
 * completes with 0 after SHUT_RD.
 *   fd       a connected socket; still to be closed
 *   how      SHUT_RD, SHUT_WR: the peer reads the end, SHUT_RDWR
 *   flags    0 or PEAL_ASYNC
 * Result     0
 * Errors     -ENOTCONN: not connected
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    io_uring 5.11, on a kernel worker; else at once
 * Memory     none
 */
peal_op peal_shutdown(struct peal_ring *ring, peal_fd fd, int how,
		      unsigned flags, peal_handler *handler, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
