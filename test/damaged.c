/* SPDX-License-Identifier: MIT */
/* See damaged.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "test/damaged.h"

enum { MAGIC = sizeof RECORD_MAGIC - 1, MOST = 1 << 20 };

static size_t size_at(const struct damaged *record, size_t at)
{
	struct record_frame frame;

	memcpy(&frame, record->data + at, sizeof frame);
	return sizeof frame + frame.len + record_fill(frame.len);
}

/* Is there a whole frame? */
static int is_there(const struct damaged *record, size_t at)
{
	return record->len >= sizeof(struct record_frame) &&
	       at <= record->len - sizeof(struct record_frame) &&
	       size_at(record, at) <= record->len - at;
}

size_t damaged_behind(const struct damaged *record, size_t at)
{
	return at + size_at(record, at);
}

struct record_frame *damaged_frame(const struct damaged *record, size_t at)
{
	return (struct record_frame *)(void *)(record->data + at);
}

size_t damaged_find(const struct damaged *record, unsigned kind, unsigned nth)
{
	size_t at;

	for (at = MAGIC; is_there(record, at); at += size_at(record, at))
		if ((!kind || damaged_frame(record, at)->kind == kind) &&
		    !--nth)
			return at;
	return 0;
}

unsigned damaged_count(const struct damaged *record, unsigned kind)
{
	unsigned count = 0;
	size_t at;

	for (at = MAGIC; is_there(record, at); at += size_at(record, at))
		count += !kind || damaged_frame(record, at)->kind == kind;
	return count;
}

static void make_room(struct damaged *record, size_t len)
{
	char *more = realloc(record->data, len);

	if (!more)
		abort();
	record->data = more;
	record->room = len;
}

/* len bytes, zero, at at. */
static void open_gap(struct damaged *record, size_t at, size_t len)
{
	if (record->len + len > record->room)
		make_room(record, 2 * (record->len + len));
	memmove(record->data + at + len, record->data + at, record->len - at);
	memset(record->data + at, 0, len);
	record->len += len;
}

static void close_gap(struct damaged *record, size_t at, size_t len)
{
	memmove(record->data + at, record->data + at + len,
		record->len - at - len);
	record->len -= len;
}

void damaged_insert(struct damaged *record, size_t at, unsigned kind,
		    const void *body, uint32_t len)
{
	struct record_frame frame = { .kind = kind, .len = len };

	open_gap(record, at, sizeof frame + len + record_fill(len));
	memcpy(record->data + at, &frame, sizeof frame);
	if (len)
		memcpy(record->data + at + sizeof frame, body, len);
}

void damaged_remove(struct damaged *record, size_t at)
{
	close_gap(record, at, size_at(record, at));
}

/* --- files ---------------------------------------------------------------- */

int damaged_load(struct damaged *record, const char *file)
{
	FILE *in = fopen(file, "rbe");
	size_t got;

	if (!in)
		return -errno;
	if (!record->data)
		make_room(record, MOST);
	got = fread(record->data, 1, record->room, in);
	record->len = got;
	fclose(in);
	return got < record->room ? 0 : -EFBIG;
}

int damaged_save(const struct damaged *record, const char *file)
{
	FILE *out = fopen(file, "wbe");
	size_t put;

	if (!out)
		return -errno;
	put = fwrite(record->data, 1, record->len, out);
	return fclose(out) == 0 && put == record->len ? 0 : -EIO;
}

void damaged_free(struct damaged *record)
{
	free(record->data);
	*record = (struct damaged){ 0 };
}

/* --- checks --------------------------------------------------------------- */

static void cut_to_fit(struct damaged *record, size_t at)
{
	struct record_frame *frame = damaged_frame(record, at);
	size_t left = record->len - at - sizeof *frame;

	if (frame->len > left)
		frame->len = (uint32_t)left;
	if (record_fill(frame->len) > left - frame->len)
		frame->len &= ~7u;
}

void damaged_repair(struct damaged *record)
{
	uint64_t now = 0;
	size_t at = MAGIC;

	while (record->len - at >= sizeof(struct record_frame)) {
		struct record_frame *frame = damaged_frame(record, at);
		struct record_number *time = (void *)(frame + 1);

		cut_to_fit(record, at);
		frame->unused = 0;
		memset((char *)time + frame->len, 0, record_fill(frame->len));
		if (frame->kind == RECORD_TIME && frame->len == sizeof *time) {
			if (time->value < now)
				time->value = now;
			now = time->value;
		}
		frame->check = peal__record_check(frame, time);
		at += size_at(record, at);
	}
	record->len = at;
}

/* --- by chance ------------------------------------------------------------ */

static size_t below(uint64_t *chance, size_t most)
{
	*chance ^= *chance << 13;
	*chance ^= *chance >> 7;
	*chance ^= *chance << 17;
	return most ? (size_t)((*chance >> 16) % most) : 0;
}

/* Mostly of what is not the program's own doing: that is only compared. */
static size_t any_frame(const struct damaged *record, uint64_t *chance)
{
	unsigned count = damaged_count(record, 0), tries;
	size_t at = 0;

	for (tries = 0; count && tries < 8; tries++) {
		unsigned kind;

		at = damaged_find(record, 0,
				  1 + (unsigned)below(chance, count));
		kind = damaged_frame(record, at)->kind;
		if (kind != RECORD_RING && kind != RECORD_START &&
		    kind != RECORD_TIME)
			break;
	}
	return at;
}

static uint64_t a_number(uint64_t *chance)
{
	static const uint64_t numbers[] = {
		0, 1, 2, 3, 64, 65, 128, 0xffff, 0x10000, 0x40000000,
		INT32_MAX, UINT32_MAX, UINT64_C(1) << 32, INT64_MAX,
		UINT64_C(1) << 63, UINT64_MAX, (uint64_t)-11, (uint64_t)-125,
		(uint64_t)-105
	};

	return numbers[below(chance, sizeof numbers / sizeof *numbers)];
}

static void change_body(struct damaged *record, size_t at, uint64_t *chance)
{
	struct record_frame *frame = damaged_frame(record, at);
	char *body = (char *)(frame + 1);
	uint64_t number = a_number(chance);
	size_t width = (size_t)1 << below(chance, 4);
	size_t where;

	if (frame->len < width)
		return;
	where = below(chance, frame->len / width) * width;
	if (below(chance, 2))
		memcpy(body + where, &number, width);
	else
		body[where] ^= (char)(1 << below(chance, 8));
}

/* One frame's first word is another's: whose completion it is. */
static void change_owner(struct damaged *record, size_t at, uint64_t *chance)
{
	struct record_frame *frame = damaged_frame(record, at);
	const struct record_frame *other =
		damaged_frame(record, any_frame(record, chance));

	if (frame->len >= 8 && other->len >= 8)
		memcpy(frame + 1, other + 1, 8);
}

static void change_len(struct damaged *record, size_t at, uint64_t *chance)
{
	struct record_frame *frame = damaged_frame(record, at);
	size_t end = at + size_at(record, at);

	if (below(chance, 2)) {
		frame->len = (frame->len + 8) & ~7u;
		open_gap(record, end, 8);
	} else if (frame->len >= 8 && frame->len % 8 == 0) {
		frame->len -= 8;
		close_gap(record, end - 8, 8);
	}
}

static void copy_frame(struct damaged *record, size_t at, uint64_t *chance)
{
	struct record_frame frame = *damaged_frame(record, at);
	char *body = malloc(frame.len + 1);
	size_t to = any_frame(record, chance);

	if (!body)
		abort();
	memcpy(body, damaged_frame(record, at) + 1, frame.len);
	if (record->len < MOST / 2)
		damaged_insert(record, to, frame.kind, body, frame.len);
	free(body);
}

void damaged_change(struct damaged *record, uint64_t *chance)
{
	size_t at = any_frame(record, chance);

	if (!at)
		return;
	switch (below(chance, 10)) {
	case 0:
		damaged_remove(record, at);
		break;
	case 1:
		copy_frame(record, at, chance);
		break;
	case 2:
		change_len(record, at, chance);
		break;
	case 3:
		damaged_frame(record, at)->kind =
			1 + (uint32_t)below(chance, RECORD_KINDS - 1);
		break;
	case 4:
	case 5:
		change_owner(record, at, chance);
		break;
	default:
		change_body(record, at, chance);
	}
}
