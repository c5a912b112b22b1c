/* SPDX-License-Identifier: MIT */
/*
 * Polls on completion ports: of a socket, a request to the device that select()
 * asks, too; of a pipe, a read of nothing.
 */
#include "shim/iocp.h"
#include <mswsock.h>
#include <winternl.h>

#define IOCTL_AFD_POLL	0x00012024
#define AFD_RECEIVE	0x001u
#define AFD_EXPEDITED	0x002u
#define AFD_SEND	0x004u
#define AFD_DISCONNECT	0x008u
#define AFD_ABORT	0x010u
#define AFD_CLOSED	0x020u
#define AFD_ACCEPT	0x080u
#define AFD_FAILED	0x100u

/* The device that select() and WSAPoll() ask, too. */
HANDLE peal__iocp_open_afd(HANDLE port)
{
	static WCHAR name[] = L"\\Device\\Afd\\peal";
	UNICODE_STRING path = { sizeof name - sizeof *name, sizeof name,
				name };
	OBJECT_ATTRIBUTES what = { .Length = sizeof what,
				   .ObjectName = &path };
	IO_STATUS_BLOCK status;
	HANDLE afd;

	if (NtCreateFile(&afd, SYNCHRONIZE, &what, &status, NULL, 0,
			 FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_OPEN, 0,
			 NULL, 0) != 0)
		return NULL;
	if (CreateIoCompletionPort(afd, port, 0, 0))
		return afd;
	CloseHandle(afd);
	return NULL;
}

static ULONG afd_events(unsigned events)
{
	ULONG afd = AFD_ABORT | AFD_CLOSED | AFD_FAILED;

	if (events & POLLRDNORM)
		afd |= AFD_RECEIVE | AFD_ACCEPT | AFD_DISCONNECT;
	if (events & POLLRDHUP)
		afd |= AFD_DISCONNECT;
	if (events & POLLRDBAND)
		afd |= AFD_EXPEDITED;
	if (events & POLLWRNORM)
		afd |= AFD_SEND;
	return afd;
}

static int poll_events(ULONG afd, unsigned asked)
{
	unsigned events = 0;

	if (afd & (AFD_RECEIVE | AFD_ACCEPT | AFD_DISCONNECT | AFD_EXPEDITED))
		events |= asked & POLLIN;
	if (afd & AFD_DISCONNECT)
		events |= asked & POLLRDHUP;
	if (afd & AFD_SEND)
		events |= POLLWRNORM;
	if (afd & (AFD_ABORT | AFD_FAILED))
		events |= POLLHUP | POLLERR | (asked & POLLIN);
	return (int)events;
}

/* ntdll.dll's FILE_PIPE_LOCAL_INFORMATION. */
struct pipe_info {
	ULONG type, configuration, instances, instances_now, quota_in,
		readable, quota_out, writable, state, end;
};

#define PIPE_INFORMATION ((FILE_INFORMATION_CLASS)24)
#define PIPE_CONNECTED 3

/* A read of nothing waits until there is something, or nobody to write it.
 * When a pipe has room nobody tells: it counts as writable, and the write
 * waits. */
static int start_poll_pipe(const struct peal__sqe *sqe,
			   struct peal__iocp_op *op)
{
	HANDLE handle = peal__win_handle(sqe->fd);
	struct pipe_info info = { .state = 0 };
	unsigned events = 0;
	IO_STATUS_BLOCK io;
	DWORD readable = 0;
	int reads;

	NtQueryInformationFile(handle, &io, &info, sizeof info,
			       PIPE_INFORMATION);
	reads = PeekNamedPipe(handle, NULL, 0, NULL, &readable, NULL) ||
		GetLastError() != ERROR_ACCESS_DENIED;
	if (info.state != PIPE_CONNECTED)
		events |= reads ? POLLHUP : POLLERR;
	if (readable)
		events |= sqe->op_flags & POLLIN;
	if (!reads || !(sqe->op_flags & POLLIN))
		events |= sqe->op_flags & POLLOUT;
	if (events)
		return (int)events;
	return iocp_started(op, ReadFile(handle, op, 0, NULL, &op->overlapped));
}

int peal__iocp_start_poll(struct peal_ring *ring, struct peal__iocp_op *op)
{
	struct peal__iocp *iocp = peal__iocp_of(ring);
	struct peal__sqe *sqe = &peal__iocp_job(ring, op)->sqe;
	SOCKET s = peal__win_socket(sqe->fd), base;
	NTSTATUS status;
	DWORD got;

	/* A poll that the library makes, for a group, has Linux's events. */
	if (ring->rows[op - iocp->ops].opcode != PEAL__OP_POLL_ADD)
		sqe->op_flags = (sqe->op_flags & 1 ? POLLRDNORM : 0) |
				(sqe->op_flags & 2 ? POLLRDBAND : 0);
	if (op->kind == WIN_FILE || op->kind == WIN_DIR)
		return sqe->op_flags & (POLLIN | POLLOUT)
			       ? (int)(sqe->op_flags & (POLLIN | POLLOUT))
			       : -EINVAL;
	if (op->kind == WIN_PIPE)
		return start_poll_pipe(sqe, op);
	if (!peal__win_is_socket(op->kind) || !iocp->afd)
		return -EOPNOTSUPP;
	if (WSAIoctl(s, SIO_BASE_HANDLE, NULL, 0, &base, sizeof base, &got,
		     NULL, NULL) != 0)
		base = s;
	op->poll = (struct peal__afd_poll){
		.timeout.QuadPart = INT64_MAX, .count = 1,
		.handle = (HANDLE)base, .events = afd_events(sqe->op_flags),
	};
	status = NtDeviceIoControlFile(iocp->afd, NULL, NULL, &op->overlapped,
				       (IO_STATUS_BLOCK *)&op->overlapped,
				       IOCTL_AFD_POLL, &op->poll,
				       sizeof op->poll, &op->poll,
				       sizeof op->poll);
	if ((uint32_t)status >> 30 == 3)
		return peal__win_errno((uint32_t)status);
	return IOCP_PENDING;
}

int peal__iocp_end_poll(struct peal_ring *ring, struct peal__iocp_op *op,
			int rc)
{
	if (op->kind == WIN_PIPE && (rc >= 0 || rc == -EPIPE))
		return rc < 0 ? POLLHUP
			      : (int)iocp_entry(ring, op)->op_flags & POLLIN;
	if (rc < 0)
		return rc;
	if (op->poll.count == 0 || op->poll.events & AFD_CLOSED)
		return -EBADF;
	return poll_events(op->poll.events, iocp_entry(ring, op)->op_flags);
}
