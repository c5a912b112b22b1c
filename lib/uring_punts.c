/* SPDX-License-Identifier: MIT */
/* Punts of a ring: a counter for each opcode that can block, one for all. */
#include <stdio.h>
#include "lib/punts.h"
#include "lib/start.h"
#include "lib/uring.h"

static const uint8_t counted[] = {
	PEAL__OP_READV, PEAL__OP_WRITEV, PEAL__OP_FSYNC, PEAL__OP_READ_FIXED,
	PEAL__OP_WRITE_FIXED, PEAL__OP_POLL_ADD, PEAL__OP_SYNC_FILE_RANGE,
	PEAL__OP_SENDMSG, PEAL__OP_RECVMSG, PEAL__OP_ACCEPT,
	PEAL__OP_CONNECT, PEAL__OP_FALLOCATE, PEAL__OP_OPENAT,
	PEAL__OP_CLOSE, PEAL__OP_STATX, PEAL__OP_READ, PEAL__OP_WRITE,
	PEAL__OP_FADVISE, PEAL__OP_SEND, PEAL__OP_RECV, PEAL__OP_SPLICE,
	PEAL__OP_SHUTDOWN, PEAL__OP_RENAMEAT, PEAL__OP_UNLINKAT,
	PEAL__OP_MKDIRAT, PEAL__OP_SYMLINKAT, PEAL__OP_LINKAT,
	PEAL__OP_SOCKET, PEAL__OP_FTRUNCATE, PEAL__OP_NOP,
};

enum { COUNTED = sizeof counted };

struct peal__punts {
	int error;
	int fds[COUNTED + 1];	/* the last: of all */
	char why[256];
};

static void explain_error(struct peal__punts *punts)
{
	const char *what = peal_strerror(punts->error);

	if (punts->error == -ENOENT)
		what = "/sys/kernel/tracing is not mounted or not readable: "
		       "mount -t tracefs tracefs /sys/kernel/tracing, and "
		       "run as root";
	else if (punts->error == -EOPNOTSUPP)
		what = "this kernel's tracepoint does not name the opcode: "
		       "Linux 5.17 does";
	else if (punts->error == -EACCES || punts->error == -EPERM)
		what = "counting a tracepoint takes CAP_PERFMON: run as root";
	else if (punts->error == -EINVAL)
		what = "with SQPOLL another thread of the kernel submits";
	else if (punts->error == -EMFILE)
		what = "too many open files: raise RLIMIT_NOFILE by 32";
	snprintf(punts->why, sizeof punts->why, "%s", what);
}

static void close_all(struct peal__punts *punts, unsigned count)
{
	while (count)
		peal__punt_close(punts->fds[--count]);
}

static void open_all(struct peal__punts *punts)
{
	unsigned i;

	for (i = 0; i <= COUNTED && !punts->error; i++) {
		punts->fds[i] = peal__punt_counter(i < COUNTED ? counted[i]
							       : -1);
		if (punts->fds[i] < 0)
			punts->error = punts->fds[i];
	}
	if (!punts->error)
		return;
	close_all(punts, i ? i - 1 : 0);
	explain_error(punts);
}

static struct peal__punts *punts_of(struct peal_ring *ring)
{
	struct peal__uring *uring = ring->engine_state;

	if (uring->punts)
		return uring->punts;
	uring->punts = peal__alloc(ring, sizeof *uring->punts, 64);
	if (!uring->punts)
		return NULL;
	if (uring->setup_flags & PEAL__SETUP_SQPOLL)
		uring->punts->error = -EINVAL;
	open_all(uring->punts);
	return uring->punts;
}

void peal__uring_punts(struct peal_ring *ring, struct peal_punts *out)
{
	const struct peal__punts *punts = punts_of(ring);
	unsigned i;

	peal__punt_workers(&out->worker_ns, &out->workers);
	out->why = punts ? punts->why : "the allocator had no room";
	if (!punts || punts->error)
		return;
	out->why = NULL;
	out->exact = 1;
	for (i = 0; i < COUNTED; i++)
		out->by_op[counted[i]] = peal__punt_count(punts->fds[i]);
	out->total = peal__punt_count(punts->fds[COUNTED]);
}

void peal__uring_punts_close(struct peal_ring *ring)
{
	struct peal__uring *uring = ring->engine_state;

	if (!uring->punts)
		return;
	if (!uring->punts->error)
		close_all(uring->punts, COUNTED + 1);
	peal__free(ring, uring->punts, sizeof *uring->punts);
}
