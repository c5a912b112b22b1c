/* SPDX-License-Identifier: MIT */
/*
 * The engine on I/O completion ports: a ring in user space for handles and
 * sockets of Windows. Its queues are lib/soft.c's.
 *
 *   entry --issue--> pending --packet on the port--> completed
 *      \--error at once--> completed      \--CancelIoEx()--> the same packet
 *
 * The OVERLAPPED of an op is a row of ops[], beside the job of its row, which
 * keeps the entry. An op that is pending has one packet to come, whatever
 * became of it; nothing else frees it.
 */
#include <string.h>
#include "shim/iocp.h"

#define PACKETS 128
#define KEY_WAKE 1	/* no op's */

static void start_close(struct peal_ring *ring, const struct peal__sqe *sqe)
{
	struct peal__job *job = peal__soft_job(ring, sqe->user_data);

	if (peal__win_kind(sqe->fd) != WIN_FILE) {
		peal__soft_complete(ring, sqe->user_data,
				    peal__win_close(sqe->fd), 0);
		return;
	}
	job->sqe = *sqe;
	peal__soft_to_pool(ring, job);
}

/* Would the op go on after the packet that is to come? */
static int has_portions(const struct peal__sqe *sqe,
			const struct peal__iocp_op *op)
{
	return peal__op_row(sqe->opcode)->waits == WAITS_WRITABLE &&
	       sqe->opcode != PEAL__OP_CONNECT &&
	       (op->kind == WIN_STREAM || op->kind == WIN_PIPE);
}

/* 0: its packet will come soon; -ENOENT: it is there already; or none. */
static int cancel(struct peal_ring *ring, uint64_t target)
{
	struct peal__iocp *iocp = peal__iocp_of(ring);
	struct peal__iocp_op *op = &iocp->ops[target & PEAL__ROW_MASK];
	struct peal__job *job = peal__soft_job(ring, target);
	HANDLE handle = peal__win_handle(job->sqe.fd);

	if (!op->pending || job->sqe.user_data != target)
		return peal__soft_cancel(ring, target);
	op->cancelled = 1;
	if (job->sqe.opcode == PEAL__OP_POLL_ADD &&
	    peal__win_is_socket(op->kind))
		handle = iocp->afd;
	return CancelIoEx(handle, &op->overlapped) ||
			       has_portions(&job->sqe, op)
		       ? 0 : -ENOENT;
}

/* Starts an op, or the rest of one; as peal__iocp_call's start. */
int peal__iocp_again(struct peal_ring *ring, struct peal__iocp_op *op)
{
	const struct peal__sqe *sqe = &peal__iocp_job(ring, op)->sqe;
	int rc;

	memset(&op->overlapped, 0, sizeof op->overlapped);
	rc = peal__iocp_attach(ring, op, sqe->fd);
	if (rc == 0)
		rc = peal__iocp_call(sqe->opcode)->start(ring, op);
	if (rc != IOCP_PENDING) {
		peal__iocp_unwatch(op);
		return rc;
	}
	peal__iocp_watch(op);
	op->pending = 1;
	peal__iocp_of(ring)->pending++;
	return rc;
}

static void start_op(struct peal_ring *ring, const struct peal__sqe *sqe)
{
	struct peal__job *job = peal__soft_job(ring, sqe->user_data);
	struct peal__iocp_op *op = &peal__iocp_of(ring)->ops[job - ring->jobs];
	int rc;

	job->sqe = *sqe;
	memset(op, 0, sizeof *op);
	rc = peal__iocp_again(ring, op);
	if (rc == IOCP_POOL)
		peal__soft_to_pool(ring, job);
	else if (rc != IOCP_PENDING)
		peal__soft_complete(ring, sqe->user_data, rc, 0);
}

/* A packet has come. An op that ends early without a cancel of ours lost its
 * handle to a close. */
static void end_op(struct peal_ring *ring, struct peal__iocp_op *op)
{
	const struct peal__sqe *sqe = &peal__iocp_job(ring, op)->sqe;
	uint32_t status = (uint32_t)op->overlapped.Internal;
	int rc = (int)op->overlapped.InternalHigh;

	op->pending = 0;
	peal__iocp_of(ring)->pending--;
	peal__iocp_unwatch(op);
	if (status >> 30 == 3)
		rc = peal__win_errno(status);
	if (rc == -ECANCELED && !op->cancelled)
		rc = op->ended ? 0 : -EBADF;
	rc = peal__iocp_call(sqe->opcode)->end(ring, op, rc);
	if (rc != IOCP_PENDING)
		peal__soft_complete(ring, sqe->user_data, rc, 0);
}

static const struct peal__soft_calls calls = {
	.cancel = cancel,
	.close = start_close,
	.start = start_op,
};

static void take_packets(struct peal_ring *ring, uint64_t timeout_ns)
{
	struct peal__iocp *iocp = peal__iocp_of(ring);
	uint64_t ms = timeout_ns / PEAL_MS + (timeout_ns % PEAL_MS != 0);
	OVERLAPPED_ENTRY packets[PACKETS];
	ULONG count = 0, i;

	ring->stats.enters++;
	if (!GetQueuedCompletionStatusEx(iocp->port, packets, PACKETS, &count,
					 timeout_ns == PEAL_FOREVER ? INFINITE
					 : ms > 60000 ? 60000 : (DWORD)ms,
					 FALSE))
		return;		/* nothing came in that time */
	for (i = 0; i < count; i++) {
		struct peal__iocp_op *op = (void *)packets[i].lpOverlapped;

		if (packets[i].lpCompletionKey != KEY_WAKE && op->pending)
			end_op(ring, op);
	}
}

static int iocp_enter(struct peal_ring *ring, uint32_t wait_for,
		      uint64_t timeout_ns)
{
	const struct peal__sqe *sqe;

	peal__soft_flush(ring);
	while ((sqe = peal__soft_next(ring)) != NULL)
		peal__soft_start(ring, sqe, &calls);
	if (!wait_for || peal__soft_busy(ring))
		timeout_ns = 0;
	if (timeout_ns || peal__iocp_of(ring)->pending)
		take_packets(ring, timeout_ns);
	return 0;
}

static void iocp_wake(struct peal_ring *ring)
{
	PostQueuedCompletionStatus(peal__iocp_of(ring)->port, 0, KEY_WAKE,
				   NULL);
}

static int iocp_fd(struct peal_ring *ring)
{
	(void)ring;
	return -EOPNOTSUPP;	/* a port is not to be waited for otherwise */
}

static void iocp_explain(struct peal_ring *ring, FILE *out)
{
	const struct peal__iocp *iocp = peal__iocp_of(ring);

	fprintf(out, "entries        %u submissions, %u completions\n",
		iocp->soft.sq_entries, iocp->soft.cq_entries);
	fprintf(out, "multishot      off  a port tells of one completion per "
		"request: the library starts them again\n");
	fprintf(out, "ring_fd        off  another loop cannot wait for a "
		"port: give the ring a thread of its own\n");
	fprintf(out, "poll           %s\n", iocp->afd
		? "on   a pipe always counts as writable"
		: "off  \\Device\\Afd cannot be opened: receive instead");
}

static void iocp_close(struct peal_ring *ring)
{
	struct peal__iocp *iocp = peal__iocp_of(ring);

	if (iocp->afd)
		CloseHandle(iocp->afd);
	if (iocp->port)
		CloseHandle(iocp->port);
	peal__free(ring, iocp->ops, ring->rows_max * sizeof *iocp->ops);
	peal__soft_free(ring, sizeof *iocp);
}

static int make_ops(struct peal_ring *ring, struct peal__iocp *iocp)
{
	iocp->ops = peal__alloc(ring, ring->rows_max * sizeof *iocp->ops, 64);
	if (iocp->ops)
		return 0;
	peal__reason("the allocator had no room for %u ops: lower "
		     "options.max_ops or raise the memory limit",
		     ring->max_ops);
	return -ENOMEM;
}

static int make_port(struct peal__iocp *iocp)
{
	static LONG rings;
	int rc = peal__win_start_sockets();

	if (rc < 0) {
		peal__reason("Winsock 2.2 cannot be started: %s",
			     peal_strerror(rc));
		return rc;
	}
	iocp->id = (uint32_t)InterlockedIncrement(&rings);
	iocp->port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
	if (iocp->port)
		return 0;
	rc = peal__win_last();
	peal__reason("no completion port can be made: %s", peal_strerror(rc));
	return rc;
}

static int has_call(unsigned opcode)
{
	return peal__iocp_call(opcode) != NULL;
}

static int iocp_open(struct peal_ring *ring,
		     const struct peal_ring_options *options)
{
	struct peal__iocp *iocp = peal__soft_new(ring, sizeof *iocp);
	int rc;

	if (!iocp)
		return -ENOMEM;
	rc = peal__soft_open(ring, options, has_call);
	if (rc == 0)
		rc = make_ops(ring, iocp);
	if (rc == 0)
		rc = make_port(iocp);
	if (rc < 0) {
		iocp_close(ring);
		return rc;
	}
	iocp->afd = peal__iocp_open_afd(iocp->port);
	ring->no_multishot = 1;
	return 0;
}

const struct peal__engine peal__iocp_engine = {
	.name = "iocp",
	.open = iocp_open,
	.close = iocp_close,
	.enter = iocp_enter,
	.wake = iocp_wake,
	.event = peal__soft_event,
	.fd = iocp_fd,
	.explain = iocp_explain,
};
