/* SPDX-License-Identifier: MIT */
/* Records that are made or changed by hand, with checks that are right: what
 * remains is what the replay itself must not believe. */
#ifndef PEAL_TEST_DAMAGED_H
#define PEAL_TEST_DAMAGED_H

#include <stddef.h>
#include "shim/record.h"

struct damaged {
	char *data;
	size_t len, room;
};

/* A file's bytes, and back; 0 or -errno. */
int damaged_load(struct damaged *record, const char *file);
int damaged_save(const struct damaged *record, const char *file);
void damaged_free(struct damaged *record);

/* Where frame number nth (from 1 on) of this kind begins; kind 0: of any. 0:
 * there are not so many. */
size_t damaged_find(const struct damaged *record, unsigned kind, unsigned nth);
unsigned damaged_count(const struct damaged *record, unsigned kind);
struct record_frame *damaged_frame(const struct damaged *record, size_t at);
/* Where the next one begins. */
size_t damaged_behind(const struct damaged *record, size_t at);
void damaged_insert(struct damaged *record, size_t at, unsigned kind,
		    const void *body, uint32_t len);
void damaged_remove(struct damaged *record, size_t at);
/* Frames fit, checks are right, no time goes back. */
void damaged_repair(struct damaged *record);
/* One change by chance. It is to be repaired. */
void damaged_change(struct damaged *record, uint64_t *chance);

#endif
