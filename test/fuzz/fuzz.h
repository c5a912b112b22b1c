/* SPDX-License-Identifier: MIT */
/*
 * peal-fuzz: random programs of ops against a model of files and streams, on
 * every engine that opens.
 *
 * A program is a list of steps made from a seed. A step names objects (file 2,
 * stream 0, the third op in flight), never handles, and one that cannot be
 * done now is passed over: so any part of a program is a program, and one that
 * fails can be made shorter by leaving steps out. The model (files.c,
 * streams.c) says which results are right; what no program may see (a second
 * completion, a handler inside the call that started its op, a lost post, a
 * leaked descriptor) run.c holds for all.
 */
#ifndef PEAL_TEST_FUZZ_H
#define PEAL_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "peal.h"

enum {
	MOST_STEPS = 120,
	FILES = 4,
	FILE_MOST = 96 * 1024,	/* bytes a file may have */
	STREAMS = 3,
	SLOTS = 48,		/* ops in flight */
	OP_MOST = 200 * 1024	/* bytes of one op */
};

enum verb {
	OPEN, CLOSE, CLOSE_DRAINED, READ, READ_FULL, WRITE, WRITE_FULL,
	TRUNCATE, ALLOCATE, PUNCH, ZERO, SYNC, STAT, RENAME, UNLINK,
	FILE_VERBS,
	CONNECT = FILE_VERBS, SEND, SEND_FULL, RECV, SHUTDOWN, POLL, HANGUP,
	STREAM_VERBS,
	NOP = STREAM_VERBS, SLEEP, DEADLINE, CANCEL, CANCEL_FD, POST, TURN,
	SETTLE,
	VERBS
};

struct step {
	uint8_t verb;
	uint8_t object;		/* a file, a stream, the n-th op in flight */
	uint8_t other;		/* a second file; the end of a stream */
	uint8_t inside;		/* done by the next handler that runs */
	uint32_t off;
	uint32_t len;		/* bytes, or ns */
};

struct program {
	uint64_t seed;
	unsigned count;
	struct step steps[MOST_STEPS];
};

/* Why an op may end with an error. */
enum { ASKED_CANCEL = 1, ASKED_TIMEOUT = 2 };

struct slot {
	peal_op op;		/* 0: free */
	struct step step;
	unsigned number;	/* of the step */
	unsigned asked;
	int object;		/* inode of a file op, stream of a stream op */
	peal_fd fd;
	uint64_t started_ns;
	uint64_t off;
	uint8_t *buf;
	size_t len;
	void (*end)(struct slot *slot, const struct peal_completion *done);
};

/* program.c */
void program_make(struct program *program, uint64_t seed);
void program_print(const struct program *program, FILE *out);
void step_print(const struct step *step, FILE *out);
int program_read(struct program *program, FILE *in);
uint64_t random_next(uint64_t *state);

/* run.c */
extern unsigned place_flag;	/* PEAL_DIRECT, or 0 */
extern struct peal_ring *ring;
extern int inside_handler;
extern int model_waits;	/* for an op of its own: no new ones */
int program_run(const struct program *program, const char *engine,
		const char *directory, unsigned lie);
_Noreturn void fail(const struct slot *slot, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
struct slot *slot_new(const struct step *step, size_t bytes,
		      void (*end)(struct slot *slot,
				  const struct peal_completion *done));
void slot_started(struct slot *slot, peal_op op);
void on_slot(struct peal_ring *where, const struct peal_completion *done);
struct slot *slot_next(struct slot *after);	/* NULL: the first */
/* Turns until the slot is free; 0: not possible inside a handler. */
int wait_for(struct slot *slot);
/* May so many ops more be in flight? */
int room_for(unsigned count);
/* Is this error one that somebody asked for? */
int was_asked_for(const struct slot *slot, int64_t error);
uint8_t lie_about(uint8_t byte);	/* a test of the test */
const char *in_directory(const char *name);

/* files.c, streams.c: 1: the step was done, 0: passed over */
void files_begin(void);
void files_end(void);
int file_step(const struct step *step);
void streams_begin(uint64_t seed);
void streams_end(void);
int stream_step(const struct step *step);
peal_fd stream_fd(unsigned stream, unsigned end);

/* shrink.c: makes it as short as it still fails */
void program_shrink(struct program *program, const char *engine,
		    unsigned lie);
/* 0: it passes; else it failed, and what it said is in the file of log. */
int run_in_child(const struct program *program, const char *engine,
		 unsigned lie, const char *log);

#endif
