/* SPDX-License-Identifier: MIT */
/*
 * The handler table: one row, one cache line, per op in flight.
 *
 * A handle is generation << 22 | row, and is also the entry's user_data. The
 * generation is bumped when the row is given back; a row whose 41 bits are
 * used up (61 hours of 10 million ops a second on one row) is retired, so no
 * handle ever names two ops. Row 0 is never used: 0 is "none" in every link.
 */
#ifndef PEAL_LIB_TABLE_H
#define PEAL_LIB_TABLE_H

#include <string.h>
#include "lib/must.h"
#include "peal/op.h"

#define PEAL__ROW_BITS	22
#define PEAL__ROW_MASK	((1u << PEAL__ROW_BITS) - 1)
#define PEAL__GENERATION (UINT64_C(1) << PEAL__ROW_BITS)

/* Rows beyond max_ops: that only cancels may take, and that only the closes of
 * groups may. */
#define PEAL__SPARE_ROWS 1024u
#define PEAL__CANCEL_ROWS 960u
#define PEAL__MAX_OPS	(PEAL__ROW_MASK - 1 - PEAL__SPARE_ROWS)

enum peal__row_flag {
	ROW_TIMED = 1 << 0,	 /* is in the timing wheel */
	ROW_CANCEL = 1 << 1,	 /* the user asked for a cancel */
	ROW_TIMEOUT = 1 << 2,	 /* the deadline passed, a cancel was asked */
	ROW_EARLY = 1 << 3,	 /* tell the handler at the deadline */
	ROW_FULL = 1 << 4,	 /* a full transfer; row.arg is its second row */
	ROW_MULTI = 1 << 5,	 /* multishot: started again when it ends well */
	ROW_ONESHOT = 1 << 6,	 /* ... as one-shots: the kernel lacks it */
	ROW_OWED = 1 << 7,	 /* its entry is still to be written */
	ROW_OWED_CANCEL = 1 << 8,/* its cancel entry is still to be written */
	ROW_READY = 1 << 9,	 /* finished; waits in the ready queue */
	ROW_USER = 1 << 10,	 /* the engine knows nothing of it */
	ROW_RAW = 1 << 11,	 /* from peal_uring_submit() */
	ROW_STORE = 1 << 12,	 /* no op: free, or the second row of one */
	ROW_AGAIN = 1 << 13,	 /* its cancel came too early: send another */
	ROW_CLOSING = 1 << 14,	 /* a drained close; row.arg: behind its entry */
	ROW_JOB = 1 << 15	 /* a job has it (work.c) */
};

struct peal__row {
	peal_handler *handler;
	void *ctx;
	int64_t op;		/* this generation's handle */
	uint64_t due_ns;	/* ROW_TIMED; ROW_READY: the result */
	int32_t fd;
	uint32_t fd_next;	/* ops of one fd; free: the free list */
	uint32_t fd_prev;	/* 0: first */
	uint32_t time_next;	/* wheel slot; ROW_READY: the ready queue */
	uint32_t time_prev;	/* wheel slot: a row, or WHEEL_HEAD | slot */
	uint32_t started_ms;	/* for the age */
	uint32_t arg;		/* multishot: flags to start it again with */
	uint16_t flags;		/* ROW_* ; 0 for a plain op */
	uint8_t opcode;
	uint8_t entry_flags;	/* PEAL_ASYNC, for entries written again */
};

_Static_assert(sizeof(struct peal__row) == 64, "a row is one cache line");

/* entry_flags holds flags of the entry, to write it again with
 * (PEAL__SQE_ASYNC, PEAL__SQE_BUFFER_SELECT), and, in bits that no such entry
 * has, our own: */
#define ENTRY_DIRECT	(1u << 7)	/* its result, or what it closes, is a slot */
#define ENTRY_ZC	(1u << 6)	/* zero-copy: see zc.h */
#define ENTRY_GONE	(1u << 1)	/* its fd was closed: never start it again */
#define ENTRY_ENDS	(1u << 2)	/* it has two fds: row.arg, see ends.c */
#define ENTRY_BOUNCE	(1u << 3)	/* into memory of the ring's: bounce.c */
#define ENTRY_OWN	(ENTRY_DIRECT | ENTRY_ZC | ENTRY_GONE | ENTRY_ENDS | \
			 ENTRY_BOUNCE)

/* Is a good result all there is to tell? One comparison of flags and
 * entry_flags, which stand in one word with the opcode. */
static inline int peal__row_is_plain(const struct peal__row *row)
{
	static const struct {
		uint16_t flags;
		uint8_t opcode, entry_flags;
	} all = { 0xffff, 0, 0xff };
	uint32_t word, mask;

	memcpy(&word, &row->flags, sizeof word);
	memcpy(&mask, &all, sizeof mask);
	return !(word & mask);
}

#endif
