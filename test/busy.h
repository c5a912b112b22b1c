/* SPDX-License-Identifier: MIT */
/*
 * A program that uses of a ring whatever a record has frames for, to be run
 * from records that lie. It looks at all that it is given, and the process
 * aborts where the library broke a promise: a second end, more bytes than there
 * was room for, a buffer that is out already, a clock that goes back. It needs
 * no libcheck.
 */
#ifndef PEAL_TEST_BUSY_H
#define PEAL_TEST_BUSY_H

#include <stddef.h>
#include "peal.h"

/* Records the program's run on an engine. disable: see PEAL_DISABLE; NULL: as
 * it is. dir: where it may make files. 0, or -errno: this machine cannot. */
int busy_record(const char *file, const char *engine, const char *disable,
		const char *dir);
/* Runs it from a record; dir must be the same. What came of it: how the open
 * failed, or else the turn. */
int busy_replay(const char *file, const char *dir);
/* How the last replay ended, in the ring's words. */
extern char busy_reason[512];

#endif
