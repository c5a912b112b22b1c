/* SPDX-License-Identifier: MIT */
/*
 * Whose packets come to which port. A handle belongs to one port for good,
 * from its first op on. Nobody can be asked to which, and a number may mean
 * another handle after a close, so each op tries: success means a handle that
 * was new; refusal, that it has a port, and whether it is ours stands in
 * marks[], written at that success.
 *
 * A handle with another port (of another ring, or the program's own) is used
 * all the same: an event with the low bit set keeps the packet from that port,
 * and a wait of the system's pool of threads puts one on ours.
 */
#include <stdatomic.h>
#include "shim/iocp.h"

#define MARKS	(1u << 14)	/* handles are multiples of 4, and dense */

/* handle << 32 | ring's id << 4 | kind. Of two handles that share a place one
 * takes the longer way. */
static _Atomic uint64_t marks[MARKS];

static _Atomic uint64_t *mark_of(int32_t fd)
{
	return &marks[(uint32_t)fd >> 2 & (MARKS - 1)];
}

static uint64_t owner(const struct peal__iocp *iocp, int32_t fd)
{
	return (uint64_t)(uint32_t)fd << 32 | (iocp->id & 0xfffffff) << 4;
}

int peal__iocp_attach(struct peal_ring *ring, struct peal__iocp_op *op,
		      int32_t fd)
{
	struct peal__iocp *iocp = peal__iocp_of(ring);
	uint64_t mark;

	if (fd < 0)
		return -EBADF;
	if (CreateIoCompletionPort(peal__win_handle(fd), iocp->port, 0, 0)) {
		op->kind = (uint8_t)peal__win_kind(fd);
		atomic_store(mark_of(fd), owner(iocp, fd) | op->kind);
		return 0;
	}
	mark = atomic_load(mark_of(fd));
	if ((mark & ~UINT64_C(15)) == owner(iocp, fd)) {
		op->kind = mark & 15;
		return 0;
	}
	op->kind = (uint8_t)peal__win_kind(fd);
	if (op->kind == WIN_NONE)
		return -EBADF;
	if (peal__win_waits(fd))
		return IOCP_POOL;
	op->event = CreateEventW(NULL, TRUE, FALSE, NULL);
	if (!op->event)
		return peal__win_last();
	op->overlapped.hEvent = (HANDLE)((uintptr_t)op->event | 1);
	op->port = iocp->port;
	return 0;
}

static VOID CALLBACK tell_port(void *arg, BOOLEAN timed_out)
{
	struct peal__iocp_op *op = arg;

	(void)timed_out;
	PostQueuedCompletionStatus(op->port, 0, 0, &op->overlapped);
}

void peal__iocp_watch(struct peal__iocp_op *op)
{
	if (op->event)
		RegisterWaitForSingleObject(&op->wait, op->event, tell_port, op,
					    INFINITE, WT_EXECUTEONLYONCE);
}

void peal__iocp_unwatch(struct peal__iocp_op *op)
{
	if (op->wait)
		UnregisterWait(op->wait);
	if (op->event)
		CloseHandle(op->event);
	op->wait = op->event = NULL;
}
