/* SPDX-License-Identifier: MIT */
/* The engine on I/O completion ports: its state, and the ops in flight. */
#ifndef PEAL_SHIM_IOCP_H
#define PEAL_SHIM_IOCP_H

#include "lib/soft.h"
#include "shim/win.h"

/* What starting an op says besides a result. */
#define IOCP_PENDING	(-100001)	/* one packet will come */
#define IOCP_POOL	(-100002)	/* a handle whose calls wait */

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
	OVERLAPPED overlapped;	/* first: a packet brings its address */
	HANDLE event;		/* of a handle that is another port's: */
	HANDLE wait;		/* a wait for event, which tells ... */
	HANDLE port;		/* ... this port */
	union {
		struct peal__afd_poll poll;
		struct {
			uint64_t moved;	/* so far */
			DWORD flags;	/* of a receive, in and out */
			uint8_t current; /* moves the file's position */
		};
		int32_t accepted;	/* the socket to be */
	};
	uint8_t pending;
	uint8_t cancelled;	/* by us, not by a close */
	uint8_t ended;		/* cancelled by a shutdown: the end */
	uint8_t kind;		/* enum peal__win_kind of the fd */
};

struct peal__iocp {
	struct peal__soft soft;
	HANDLE port;
	HANDLE afd;		/* polls of sockets; NULL: none */
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

static inline struct peal__job *peal__iocp_job(struct peal_ring *ring,
					       struct peal__iocp_op *op)
{
	return &ring->jobs[op - peal__iocp_of(ring)->ops];
}

static inline const struct peal__sqe *
iocp_entry(struct peal_ring *ring, struct peal__iocp_op *op)
{
	return &peal__iocp_job(ring, op)->sqe;
}

#define CUT_OFF 0x80000005u	/* STATUS_BUFFER_OVERFLOW: a warning */

static inline int iocp_was_cut(const struct peal__iocp_op *op)
{
	return (uint32_t)op->overlapped.Internal == CUT_OFF;
}

/* A call with an OVERLAPPED: will a packet come? After a warning, too. */
static inline int iocp_started(const struct peal__iocp_op *op, int ok)
{
	DWORD error = ok ? 0 : GetLastError();

	return ok || error == ERROR_IO_PENDING || iocp_was_cut(op)
		       ? IOCP_PENDING : peal__win_errno(error);
}

/* An operation: how it is started, and what its packet says. start() gives
 * IOCP_*, or a result; end() gets a result and gives one, or IOCP_PENDING when
 * the op was started again. */
struct peal__iocp_call {
	int (*start)(struct peal_ring *ring, struct peal__iocp_op *op);
	int (*end)(struct peal_ring *ring, struct peal__iocp_op *op, int rc);
};

/* iocp_ops.c: NULL: there is none. */
const struct peal__iocp_call *peal__iocp_call(unsigned opcode);

/* iocp_poll.c */
HANDLE peal__iocp_open_afd(HANDLE port);
int peal__iocp_start_poll(struct peal_ring *ring, struct peal__iocp_op *op);
int peal__iocp_end_poll(struct peal_ring *ring, struct peal__iocp_op *op,
			int rc);

/* iocp_attach.c: makes packets of this fd come to the ring's port. 0, an
 * error, or IOCP_POOL. */
int peal__iocp_attach(struct peal_ring *ring, struct peal__iocp_op *op,
		      int32_t fd);
/* Once the op is pending; and when its packet has come. */
void peal__iocp_watch(struct peal__iocp_op *op);
void peal__iocp_unwatch(struct peal__iocp_op *op);

/* iocp.c: starts the rest of an op. */
int peal__iocp_again(struct peal_ring *ring, struct peal__iocp_op *op);

#endif
