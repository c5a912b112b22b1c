/* SPDX-License-Identifier: MIT */
/* The engine "replay", between its files. */
#ifndef PEAL_SHIM_REPLAY_H
#define PEAL_SHIM_REPLAY_H

#include "lib/soft.h"
#include "shim/record.h"

struct replay {
	struct peal__soft soft;
	struct record_file file;
	int failed;
	uint32_t noted;			/* of the entries: up to here */
	struct record_op *ops;		/* one per row */
	uint8_t *made;			/* descriptors that ops made */
	uint32_t made_room;
};

static inline struct replay *replay_of(const struct peal_ring *ring)
{
	return ring->engine_state;
}

/* replay_match.c */
/* Writes FILE.report, for programs that do not show the ring's reason. NULL:
 * there is none yet. */
void peal__replay_report(struct replay *replay, const char *text);
/* The first difference ends the ring: came is not what the record has next;
 * how, if not "", is the word for what is not the same. */
void peal__replay_differs(struct peal_ring *ring, const char *came,
			  const char *how);
/* 1: it is what the record has here, and is taken. */
int peal__replay_match(struct peal_ring *ring, enum record_kind kind,
		       const struct peal__sqe *sqe);
/* The result of an op that may have made a descriptor, as the program gets
 * it. */
int64_t peal__replay_make_fd(struct replay *replay, unsigned opcode,
			     int64_t result);
/* A close that was matched is to be matched again, by the pool. */
void peal__replay_not_closed(struct replay *replay,
			     const struct peal__sqe *sqe);

#endif
