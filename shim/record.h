/* SPDX-License-Identifier: MIT */
/*
 * The record of a ring: what record.c writes and replay.c reads.
 *
 * A file is RECORD_MAGIC, then frames, numbered from 1 on. A frame is a head
 * and a body, filled up to 8 bytes. Numbers are the machine's own. The order is
 * the ring's: what it started, what enter() gave for it, RECORD_TURN.
 */
#ifndef PEAL_SHIM_RECORD_H
#define PEAL_SHIM_RECORD_H

#include <stddef.h>
#include "lib/ring.h"

#define RECORD_MAGIC	"peal-rec"
#define RECORD_VERSION	1u

enum record_kind {
	RECORD_RING = 1,	/* struct record_ring; the first, no other */
	RECORD_START,		/* struct record_start: an entry */
	RECORD_JOB,		/* the same, for the pool */
	RECORD_DONE,		/* struct record_done and bytes */
	RECORD_JOB_DONE,	/* the same, by the pool */
	RECORD_TO_POOL,		/* struct record_done: an entry became a job */
	RECORD_UNDONE,		/* struct record_done: could a job be taken
				 * back? */
	RECORD_TURN,		/* struct record_turn: the end of enter() */
	RECORD_TIME,		/* struct record_time: the clock was read */
	RECORD_POSTS,		/* struct record_time: so many were run */
	RECORD_CALL,		/* struct record_call: a call at once */
	RECORD_LEARN,		/* struct peal__hint: what a descriptor is */
	RECORD_END,		/* the ring was closed */
	RECORD_KINDS
};

struct record_frame {
	uint32_t check;		/* of all that follows: record_check() */
	uint32_t kind;
	uint32_t len;		/* of the body */
	uint32_t unused;
};

struct record_ring {
	uint32_t version;
	uint32_t pointer_bytes;
	uint32_t sq_entries, cq_entries;
	uint64_t can[2];
	uint64_t off_ops[2];
	uint32_t off_features;
	uint8_t no_multishot, bundles;
	uint16_t unused;
	uint64_t seed;		/* of peal_random() */
	char engine[16];
};

/* An entry, without what differs from run to run: addresses are 0 or 1. */
struct record_start {
	uint8_t opcode;
	uint8_t flags;
	uint16_t ioprio;
	int32_t fd;
	uint64_t off;
	uint64_t addr;
	uint32_t len;
	uint32_t op_flags;
	uint64_t user_data;
	uint32_t file_index;
	uint32_t buf_index;
	uint64_t given;		/* a hash of what it is given: bytes, paths */
};

struct record_done {
	uint64_t user_data;
	int64_t result;
	uint32_t flags;
	uint32_t now;		/* JOB_DONE: when it was to be started */
};

struct record_turn {
	int32_t rc;
	uint32_t left;		/* entries that were not taken */
};

struct record_time {
	uint64_t value;
};

struct record_call {
	struct record_start start;
	int64_t result;
};

/* Per row: the entry that the ring has there. */
struct record_op {
	struct peal__sqe sqe;
	uint32_t addr_room;	/* where an address comes to stand */
	uint32_t unused;
};

/* Bytes that are put together, or taken apart. */
struct record_bytes {
	char *data;
	size_t len, room, at;
	int broken;		/* no memory; or fewer than there should be */
};

/* record_bytes.c */
uint32_t peal__record_check(const struct record_frame *frame,
			    const void *body);
void peal__record_put(struct record_bytes *bytes, const void *data,
		      size_t len);
void peal__record_get(struct record_bytes *bytes, void *data, size_t len);
void peal__record_start(struct record_start *out, const struct peal__sqe *sqe);
void peal__record_note(struct record_op *op, const struct peal__sqe *sqe);
/* What an op with this result has written, into bytes; and from there. */
void peal__record_save(struct record_bytes *bytes, const struct record_op *op,
		       int64_t result);
void peal__record_load(struct record_bytes *bytes, const struct record_op *op,
		       int64_t result);

/* replay_file.c: the frames of a file, all checked at open. */
struct record_file {
	char *data;
	size_t len, at;
	uint64_t number;	/* of the frame at at */
	uint64_t frames;
	uint64_t now;		/* the last time that was taken */
	char name[512];
};

/* 0, or -errno with peal__reason(). */
int peal__record_open(struct record_file *file, const char *name);
void peal__record_close(struct record_file *file);
/* The next frame that is no RECORD_TIME; NULL: there is none. *out_number, if
 * it is not NULL, is its number. */
const struct record_frame *peal__record_look(const struct record_file *file,
					     uint64_t *out_number);
/* Goes behind it. */
void peal__record_take(struct record_file *file);
/* The time that was read here, or the last one. */
uint64_t peal__record_time(struct record_file *file);

static inline const void *record_body(const struct record_frame *frame)
{
	return frame + 1;
}

/* The name of this ring's file: name, name.2, name.3, ... */
void peal__record_name(char *out, size_t size, const char *name,
		       unsigned number);
/* Posts that can be run. */
uint64_t peal__record_posts(const struct peal_ring *ring);

static inline size_t record_fill(uint32_t len)
{
	return (8 - len % 8) % 8;
}

#endif
