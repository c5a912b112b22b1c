/* SPDX-License-Identifier: MIT */
/* The engine on I/O completion ports: its state, and the ops in flight. */
#ifndef PEAL_SHIM_IOCP_H
#define PEAL_SHIM_IOCP_H

#include "lib/soft.h"
#include "shim/win.h"

/* \Device\Afd's poll request: it is read and answered in place. */
struct peal__afd_poll {
	LARGE_INTEGER timeout;
	ULONG count;
	ULONG exclusive;
	HANDLE handle;
	ULONG events;
	LONG status;
};

/* One for each row of the ring, beside its job: the system has it while the
 * op is pending. */
struct peal__iocp_op {
	OVERLAPPED overlapped;	/* first: a completion brings its address */
	HANDLE wait;		/* of a handle that is another port's */
	HANDLE port;
	union {
		struct peal__afd_poll poll;
		struct {
			uint64_t moved;	/* by the parts that are done */
			uint32_t part;	/* of a vector */
			uint32_t skip;	/* of that part */
			DWORD flags;	/* of a receive, in and out */
		};
		int32_t accepted;	/* the socket to be */
	};
	uint8_t pending;
	uint8_t cancelled;	/* by us, not by a close */
	uint8_t kind;		/* enum peal__win_kind */
};

struct peal__iocp {
	struct peal__soft soft;
	HANDLE port;
	HANDLE afd;		/* polls of sockets */
	uint32_t id;		/* of this ring among all of the process */
	uint32_t pending;
	struct peal__iocp_op *ops;
	/* AcceptEx() writes addresses there that nobody reads. */
	char scratch[2 * (sizeof(struct sockaddr_storage) + 16)];
};

static inline struct peal__iocp *peal__iocp_of(struct peal_ring *ring)
{
	return ring->engine_state;
}

/* iocp_start.c: an entry that is an operation. */
void peal__iocp_start(struct peal_ring *ring, const struct peal__sqe *sqe);
int peal__iocp_has(unsigned opcode);
/* NULL: there is none. */
HANDLE peal__iocp_open_afd(HANDLE port);
/* iocp_end.c: a pending op has ended. */
void peal__iocp_end(struct peal_ring *ring, struct peal__iocp_op *op);

#endif
