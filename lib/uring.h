/* SPDX-License-Identifier: MIT */
/* The io_uring engine's own state. */
#ifndef PEAL_LIB_URING_H
#define PEAL_LIB_URING_H

#include <liburing.h>
#include "lib/ring.h"

struct peal__uring {
	struct io_uring ring;		/* fd and mappings; queues are ours */
	uint32_t *sq_tail;		/* shared with the kernel */
	const uint32_t *sq_head;
	const uint32_t *sq_flags;
	uint32_t enter_flags;
	int is_usual;			/* see now_usual() */
	uint32_t setup_flags;		/* what the kernel accepted */
	uint32_t features;		/* what it reported */
	struct peal__disable disable;
	uint32_t asked_entries, asked_cq;
	uint32_t got_entries, got_cq;
	uint32_t peeled;		/* enum peal__feature bits it refused */
	int notify_fd;			/* for a foreign loop; -1: none yet */
	int wake_fd;
	int wake_armed;
	int wake_by_read;		/* there is no multishot poll */
	struct peal__punts *punts;	/* NULL: not counted; uring_punts.c */
	int has_buffers;		/* a table for registered memory */
	uint64_t wake_value;
	int no_bufring;			/* or no multishot receive */
	int ring_fd_error;		/* why it is not registered */
	uint32_t workers[2];		/* asked for; then: what was before */
	int workers_error;
};

/* uring_setup.c */
int peal__uring_setup(struct peal_ring *ring, struct peal__uring *uring,
		      const struct peal_ring_options *options);
void peal__uring_unmap(struct peal__uring *uring);

/* uring_group.c */
int peal__uring_group_open(struct peal_ring *ring, struct peal_group *group);
void peal__uring_group_close(struct peal_ring *ring, struct peal_group *group);

int peal__uring_bundles(struct peal_ring *ring);	/* tries them, once */
/* Registers a ring of buffers, or takes it back. */
int peal__uring_buffers(int fd, unsigned opcode, uint16_t id, uint16_t flags,
			const void *addr, uint32_t entries);

/* uring_check.c: "", or why not to use it. Once for a process and a way of
 * running completions; when it cannot be tried now, that is said. */
enum peal__check { CHECK_BUNDLES, CHECK_PIECES, CHECK_PIECES_BUNDLES, CHECKS };
const char *peal__uring_check(enum peal__check what, uint32_t setup_flags);

/* uring_punts.c */
void peal__uring_punts(struct peal_ring *ring, struct peal_punts *out);
void peal__uring_punts_close(struct peal_ring *ring);

/* uring_files.c */
int peal__uring_files_open(struct peal_ring *ring, uint32_t count);
void peal__uring_files_close(struct peal_ring *ring);
void peal__uring_files_drop(struct peal_ring *ring, uint32_t slot);

/* uring_probe.c */
int peal__uring_probe(struct peal_ring *ring, struct peal__uring *uring);
void peal__uring_refused(const struct peal_ring_options *options, int error);
void peal__uring_explain(struct peal_ring *ring, FILE *out);

#endif
