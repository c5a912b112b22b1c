/* SPDX-License-Identifier: MIT */
/* Where the bytes of a transfer are: of an entry with one buffer, with a vector
 * of them, with a message. */
#ifndef PEAL_SHIM_PARTS_H
#define PEAL_SHIM_PARTS_H

#include "lib/sqe.h"
#include "peal.h"

static inline const struct msghdr *shim_message(const struct peal__sqe *sqe)
{
	return sqe->opcode == PEAL__OP_RECVMSG ||
			       sqe->opcode == PEAL__OP_SENDMSG
		       ? (const struct msghdr *)(uintptr_t)sqe->addr : NULL;
}

/* *out has so many; one is room for a buffer that stands alone. */
static inline size_t shim_parts(const struct peal__sqe *sqe, struct iovec *one,
				const struct iovec **out)
{
	const struct msghdr *msg = shim_message(sqe);

	*out = one;
	if (msg)
		*out = msg->msg_iov;
	else if (sqe->opcode == PEAL__OP_READV ||
		 sqe->opcode == PEAL__OP_WRITEV)
		*out = (const struct iovec *)(uintptr_t)sqe->addr;
	*one = (struct iovec){ (void *)(uintptr_t)sqe->addr, sqe->len };
	return msg ? (size_t)msg->msg_iovlen : *out == one ? 1 : sqe->len;
}

#endif
