/* SPDX-License-Identifier: MIT */
/*
 * The record of a ring: what record.c writes and replay.c reads.
 *
 * A file is RECORD_MAGIC, then frames, numbered from 1 on. A frame is a head
 * and a body, filled up to 8 bytes. Numbers are the machine's own. The order is
 * the ring's: what it started, what enter() gave for it, RECORD_TURN. A file
 * that does not end with RECORD_END is of a program that was killed, or had no
 * room: it is good up to its last whole frame.
 */
#ifndef PEAL_SHIM_RECORD_H
#define PEAL_SHIM_RECORD_H

#include <stddef.h>
#include "lib/ring.h"

#define RECORD_MAGIC	"peal-rec"
#define RECORD_VERSION	2u

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
	RECORD_TIME,		/* struct record_number: the clock was read */
	RECORD_POSTS,		/* struct record_post, as often as posts were
				 * there for the turn */
	RECORD_GOES_ON,		/* struct record_number: for posts alone? */
	RECORD_CALL,		/* struct record_call: a call at once */
	RECORD_LEARN,		/* struct peal__hint: what a descriptor is */
	RECORD_ASKED,		/* struct record_asked and the reason */
	RECORD_END,		/* the ring was closed */
	RECORD_KINDS
};

struct record_frame {
	uint32_t check;		/* of all that follows: record_check() */
	uint32_t kind;
	uint32_t len;		/* of the body */
	uint32_t unused;
};

enum {	/* record_ring.has: calls of the engine, see engine.h */
	RECORD_HAS_MEMORY = 1 << 0,
	RECORD_HAS_FILES = 1 << 1,
	RECORD_HAS_GROUPS = 1 << 2,
	RECORD_HAS_RAW = 1 << 3
};

struct record_ring {
	uint32_t version;	/* these two are where each version has them */
	uint32_t pointer_bytes;
	uint32_t sq_entries, cq_entries;
	uint64_t can[2];
	uint64_t off_ops[2];
	uint32_t off_features;
	uint8_t no_multishot, bundles;
	uint16_t has;
	uint64_t seed;		/* of peal_random() */
	uint32_t thread;	/* its own: the system's number */
	uint32_t rank;		/* threads of the program before it */
	uint32_t nth;		/* ring of that thread, from 1 on */
	uint32_t unused;
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

struct record_number {
	uint64_t value;
};

struct record_call {
	struct record_start start;
	int64_t result;
};

enum record_what { ASKED_MEMORY = 1, ASKED_FILES, ASKED_GROUP };

struct record_asked {
	uint32_t what;		/* enum record_what */
	uint32_t arg;
	int64_t result;
};

/* What another run can know again: a number, or a place in the program's own
 * image. Of other memory only that it is that. */
enum { VALUE_NUMBER, VALUE_STATIC, VALUE_OTHER };

struct record_value {
	uint64_t value;		/* STATIC: from the image's begin on */
	uint64_t kind;
};

struct record_post {
	struct record_value fn, ctx;
	uint32_t thread;
	uint32_t unused;
};

/* Per row: the entry that the engine has, or had. */
struct record_op {
	struct peal__sqe sqe;
	uint32_t addr_room;	/* where an address comes to stand */
	uint8_t raw;
	uint8_t in_pool;	/* replay: its completion is to come */
	uint8_t ended;		/* replay: its last completion came */
};

/* Bytes that are put together, or taken apart. */
struct record_bytes {
	char *data;
	size_t len, room, at;
	int broken;		/* no memory; or fewer than there should be */
};

/* record_bytes.c */
uint64_t peal__record_hash(uint64_t sum, const void *data, size_t len);
uint32_t peal__record_check(const struct record_frame *frame,
			    const void *body);
void peal__record_put(struct record_bytes *bytes, const void *data,
		      size_t len);
void peal__record_get(struct record_bytes *bytes, void *data, size_t len);

/* record_entry.c: what an entry is, and is given. */
void peal__record_start(struct record_start *out, const struct peal__sqe *sqe);
void peal__record_note(const struct peal_ring *ring, struct record_op *op,
		       const struct peal__sqe *sqe);
/* Is its result a number of the ring's table of files? */
int peal__record_is_slot(const struct peal__sqe *sqe);

/* record_gets.c: what an op with this result has written, into bytes; and from
 * there. Is it known what ops like this write? */
void peal__record_save(struct peal_ring *ring, struct record_bytes *bytes,
		       const struct record_op *op,
		       const struct record_done *done);
void peal__record_load(struct peal_ring *ring, struct record_bytes *bytes,
		       const struct record_op *op,
		       const struct record_done *done);
int peal__record_knows(const struct record_op *op);

/* record_post.c */
struct record_value peal__record_value(const void *address);

/* record_name.c: a ring's file, which a replay in the same program finds again:
 * by the process (of forks), the thread, and its rings. */
struct record_name {
	char text[512];
	uint32_t number;	/* ring of the process, from 1 on */
	uint32_t rank, nth;	/* see struct record_ring */
};

/* A ring that is to be opened now; it is not after all. */
void peal__record_who(struct record_name *out, int replayed,
		      const char *given);
void peal__record_nobody(int replayed);
/* The text alone, of another number. */
void peal__record_name(struct record_name *out, const char *given,
		       unsigned number);

/* record_file.c: a file that is written. */
struct record_out {
	int fd;
	int error;		/* why nothing more is written */
	int limited;		/* how large a file may be */
	uint64_t frames;
	struct record_bytes bytes;	/* whole frames, and the next one */
	size_t begin;		/* of the next one */
	char name[512];
};

int peal__record_create(struct record_out *out, const char *given);
void peal__record_begin_frame(struct record_out *out);
void peal__record_end_frame(struct record_out *out, enum record_kind kind);
void peal__record_flush(struct record_out *out);
void peal__record_finish(struct record_out *out);

/* replay_file.c: the frames of a file, all checked at open. */
struct record_file {
	char *data;
	size_t len, at;
	size_t cut;		/* bytes of a last frame that is not whole */
	int ended;		/* there is a RECORD_END */
	uint64_t number;	/* of the frame at at */
	uint64_t frames;
	uint64_t now;		/* the last time that was taken */
	char name[512];
};

/* 0, or -errno with peal__reason(). */
int peal__record_open(struct record_file *file, const char *name);
void peal__record_close(struct record_file *file);
const struct record_ring *peal__record_ring(const struct record_file *file);
/* The frame at, and the one behind it; NULL: there is none. */
const struct record_frame *peal__record_at(const struct record_file *file,
					   size_t at);
size_t peal__record_behind(const struct record_file *file, size_t at);
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

static inline size_t record_fill(uint32_t len)
{
	return (8 - len % 8) % 8;
}

static inline void *record_pointer(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

#endif
