/* SPDX-License-Identifier: MIT */
/* The epoll engine's state, and the ops that wait in it: watch.c. */
#ifndef PEAL_SHIM_EPOLL_H
#define PEAL_SHIM_EPOLL_H

#include "lib/soft.h"

/* Does a short receive say that there is no more? */
enum watch_stream { STREAM_UNKNOWN, STREAM_TCP, STREAM_NOT };

struct peal__watch {
	struct peal__jobs held;
	uint32_t mask;		/* what epoll was asked for */
	uint8_t paused;		/* a multishot op waits for room */
	uint8_t stream;		/* enum watch_stream */
	uint8_t loud;		/* an edge told of more than data */
	uint8_t dry;		/* the last receive was short */
	uint8_t shorts;		/* such receives, up to LEARN_AFTER */
	int32_t paused_next;	/* the next such descriptor */
	uint8_t copy;		/* closed by the user; close it after the last */
};

struct peal__epoll {
	struct peal__soft soft;
	int fd;
	int wake_fd;
	uint32_t watch_count;
	struct peal__watch *watches;
	uint32_t held;		/* ops that wait */
	uint32_t paused;	/* watches that are, oldest first */
	int32_t paused_first, paused_last;
	uint8_t whole_ms;	/* there is no epoll_pwait2() */
	uint8_t how;		/* READY_NO_NOWAIT: RWF_NOWAIT is switched off */
	uint8_t embedded;	/* another loop waits for fd */
};

/* Tries an entry; holds it when it has to wait. */
void peal__watch_start(struct peal_ring *ring, const struct peal__sqe *sqe);
/* After an edge: everything held there that can go on, in order. */
void peal__watch_edge(struct peal_ring *ring, int fd, uint32_t events);
/* Multishot ops that had no room for their completions. */
void peal__watch_resume(struct peal_ring *ring);
/* 0, -ENOENT or -EALREADY. */
int peal__watch_cancel(struct peal_ring *ring, uint64_t target);
/* What was seen of the descriptor is of no use any more. */
void peal__watch_forget(struct peal_ring *ring, int fd);
/* The descriptor is going to be closed: ops held on it move to a copy. */
void peal__watch_keep(struct peal_ring *ring, int fd);

#endif
