/* SPDX-License-Identifier: MIT */
/* Sockets: TCP, UDP, unix. */
#ifndef PEAL_NET_H
#define PEAL_NET_H

#include <sys/socket.h>
#include "peal/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Result: the new fd, close-on-exec. */
peal_op peal_socket(struct peal_ring *ring, int domain, int type,
		    int protocol, unsigned flags,
		    peal_handler *handler, void *ctx);
/* Result: 0. */
peal_op peal_bind(struct peal_ring *ring, peal_fd fd,
		  const struct sockaddr *addr, socklen_t addr_len,
		  unsigned flags, peal_handler *handler, void *ctx);
peal_op peal_listen(struct peal_ring *ring, peal_fd fd, int backlog,
		    unsigned flags, peal_handler *handler, void *ctx);
/* Result: the new fd, close-on-exec. addr and addr_len may be NULL. */
peal_op peal_accept(struct peal_ring *ring, peal_fd fd,
		    struct sockaddr *addr, socklen_t *addr_len,
		    unsigned flags, peal_handler *handler, void *ctx);
/* One completion per connection, each but the last with PEAL_MORE. It ends
 * with an error (-EMFILE, ...) or when it is cancelled; start it again then. */
peal_op peal_accept_multishot(struct peal_ring *ring, peal_fd fd,
			      unsigned flags, peal_handler *handler,
			      void *ctx);
/* Result: 0. After a failed connect, close the socket. */
peal_op peal_connect(struct peal_ring *ring, peal_fd fd,
		     const struct sockaddr *addr, socklen_t addr_len,
		     unsigned flags, peal_handler *handler, void *ctx);
/* Result: bytes; recv gives 0 when the peer has closed its side. len 0 is
 * -EINVAL for recv. Sends never raise SIGPIPE. */
peal_op peal_recv(struct peal_ring *ring, peal_fd fd, void *buf, size_t len,
		  int msg_flags, unsigned flags,
		  peal_handler *handler, void *ctx);
peal_op peal_send(struct peal_ring *ring, peal_fd fd, const void *buf,
		  size_t len, int msg_flags, unsigned flags,
		  peal_handler *handler, void *ctx);
/* Result: len, or an error; done->buf is the first byte not sent. */
peal_op peal_send_full(struct peal_ring *ring, peal_fd fd, const void *buf,
		       size_t len, int msg_flags, unsigned flags,
		       peal_handler *handler, void *ctx);
peal_op peal_recvmsg(struct peal_ring *ring, peal_fd fd, struct msghdr *msg,
		     int msg_flags, unsigned flags,
		     peal_handler *handler, void *ctx);
peal_op peal_sendmsg(struct peal_ring *ring, peal_fd fd,
		     const struct msghdr *msg, int msg_flags, unsigned flags,
		     peal_handler *handler, void *ctx);
/* how: SHUT_RD, SHUT_WR, SHUT_RDWR. Result: 0. */
peal_op peal_shutdown(struct peal_ring *ring, peal_fd fd, int how,
		      unsigned flags, peal_handler *handler, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
