/* SPDX-License-Identifier: MIT */
/*
 * The op table: what there is to know of an op that is not a call. The calls
 * are the shims', in tables by opcode: the plain one (shim/blocking.c), the one
 * that does not wait (shim/ready.c).
 */
#ifndef PEAL_LIB_OPTABLE_H
#define PEAL_LIB_OPTABLE_H

#include <stdint.h>

enum peal__result { RESULT_ZERO, RESULT_BYTES, RESULT_FD };

/* What its descriptor is. */
enum peal__on {
	ON_NOTHING,
	ON_DIRECTORY,		/* that a path begins at; none is needed */
	ON_FILE,
	ON_SOCKET,
	ON_ANY			/* files, and all that one can wait for */
};

/* What the descriptor is waited for to be when the op cannot go on. */
enum peal__waits {
	WAITS_NOT,
	WAITS_READABLE,
	WAITS_WRITABLE,
	WAITS_BOTH,		/* one end of two to be read, one written */
	WAITS_ASKED		/* for what its entry says */
};

/* What a cancel makes of an op that waits. */
enum peal__on_cancel {
	CANCEL_ENDS,		/* -ECANCELED */
	CANCEL_PART,		/* the bytes it has moved, if any */
	CANCEL_ALONE		/* ends by itself, and is not one of "all" */
};

/* Where the plain call is made for an engine that lacks the op. */
enum peal__call {
	CALL_POOL,		/* it may block */
	CALL_TURN		/* it cannot */
};

struct peal__op_row {
	const char *name;
	const char *kernel;	/* the first Linux that has it; NULL: ours */
	const char *functions;	/* the public ones, peal_ left out */
	const char *multishot;	/* the first Linux that repeats it by itself */
	uint8_t result;		/* enum peal__result, ... */
	uint8_t on;
	uint8_t waits;
	uint8_t cancel;
	uint8_t call;
};

/* NULL: there is no such opcode. */
const struct peal__op_row *peal__op_row(unsigned opcode);

#endif
