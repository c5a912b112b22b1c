/* SPDX-License-Identifier: MIT */
/* The file of a record, read and checked whole; see record.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/buffers.h"
#include "shim/record.h"

enum { MAGIC = sizeof RECORD_MAGIC - 1 };

static const uint32_t least[RECORD_KINDS] = {
	[RECORD_RING] = sizeof(struct record_ring),
	[RECORD_START] = sizeof(struct record_start),
	[RECORD_JOB] = sizeof(struct record_start),
	[RECORD_DONE] = sizeof(struct record_done),
	[RECORD_JOB_DONE] = sizeof(struct record_done),
	[RECORD_TO_POOL] = sizeof(struct record_done),
	[RECORD_UNDONE] = sizeof(struct record_done),
	[RECORD_TURN] = sizeof(struct record_turn),
	[RECORD_TIME] = sizeof(struct record_number),
	[RECORD_GOES_ON] = sizeof(struct record_number),
	[RECORD_CALL] = sizeof(struct record_call),
	[RECORD_LEARN] = sizeof(struct peal__hint),
	[RECORD_ASKED] = sizeof(struct record_asked) + 1,
};

static const struct record_frame *frame_at(const struct record_file *file,
					   size_t at)
{
	return at < file->len ? (const void *)(file->data + at) : NULL;
}

static size_t frame_size(const struct record_frame *frame)
{
	return sizeof *frame + frame->len + record_fill(frame->len);
}

const struct record_frame *peal__record_at(const struct record_file *file,
					   size_t at)
{
	return frame_at(file, at);
}

size_t peal__record_behind(const struct record_file *file, size_t at)
{
	return at + frame_size(frame_at(file, at));
}

const struct record_ring *peal__record_ring(const struct record_file *file)
{
	return record_body(frame_at(file, MAGIC));
}

/* Not all zero? */
static int has_noise(const char *data, size_t len)
{
	while (len && !*data)
		data++, len--;
	return len != 0;
}

static int read_all(struct record_file *file, FILE *in)
{
	struct record_bytes bytes = { 0 };
	char part[4096];
	size_t got;

	while ((got = fread(part, 1, sizeof part, in)) > 0 && !bytes.broken)
		peal__record_put(&bytes, part, got);
	file->data = bytes.data;
	file->len = bytes.len;
	if (bytes.broken || ferror(in)) {
		peal__reason("PEAL_REPLAY is \"%s\": it cannot be read whole: "
			     "%s", file->name, bytes.broken ? "no memory"
							    : strerror(errno));
		return bytes.broken ? -ENOMEM : -EIO;
	}
	return 0;
}

/* --- the check ------------------------------------------------------------ */

static int is_power_of_two(uint32_t n, uint32_t most)
{
	return n && n <= most && !(n & (n - 1));
}

static int has_tail(uint32_t kind)
{
	return kind == RECORD_DONE || kind == RECORD_JOB_DONE ||
	       kind == RECORD_POSTS || kind == RECORD_ASKED;
}

/* What the lengths and numbers of a frame must be; the ring's are as an engine
 * can have them. */
static int is_well_formed(const struct record_frame *frame)
{
	const struct record_ring *ring = record_body(frame);
	const char *body = record_body(frame);

	switch (frame->kind) {
	case RECORD_RING:
		return is_power_of_two(ring->sq_entries, 1u << 16) &&
		       is_power_of_two(ring->cq_entries, 1u << 17);
	case RECORD_POSTS:
		return frame->len && !(frame->len % sizeof(struct record_post));
	case RECORD_ASKED:
		return !body[frame->len - 1];
	default:
		return 1;
	}
}

enum { WHOLE, CUT, DAMAGED };

static int state_of(const struct record_file *file, size_t at)
{
	const struct record_frame *frame = frame_at(file, at);
	size_t left = file->len - at;

	if (left < sizeof *frame)
		return CUT;
	if (frame->unused || !frame->kind || frame->kind >= RECORD_KINDS ||
	    frame->len < least[frame->kind] ||
	    (frame->len > least[frame->kind] && !has_tail(frame->kind)))
		return DAMAGED;
	if (left - sizeof *frame < frame->len || left < frame_size(frame))
		return CUT;
	if (frame->check != peal__record_check(frame, record_body(frame)) ||
	    has_noise((const char *)record_body(frame) + frame->len,
		      record_fill(frame->len)) ||
	    !is_well_formed(frame) ||
	    (frame->kind == RECORD_RING) != (at == MAGIC))
		return DAMAGED;
	return WHOLE;
}

static int is_damaged(const struct record_file *file, size_t at,
		      const char *how)
{
	peal__reason("PEAL_REPLAY is \"%s\": frame %llu, at byte %zu of %zu, "
		     "%s: record again", file->name,
		     (unsigned long long)file->frames + 1, at, file->len, how);
	return -EBADMSG;
}

/* Then nothing is missing: a frame that does not fit has a wrong length. */
static int has_end(const struct record_file *file)
{
	struct record_frame end;

	memcpy(&end, file->data + file->len - sizeof end, sizeof end);
	return end.kind == RECORD_END && !end.len &&
	       end.check == peal__record_check(&end, NULL);
}

/* A part of a frame at the end is as if it were not there: its program was
 * killed. */
static int check_frames(struct record_file *file)
{
	int is_whole = has_end(file);
	uint32_t kind = 0;
	uint64_t now = 0;
	size_t at;

	for (at = MAGIC; at < file->len; at = peal__record_behind(file, at)) {
		const struct record_frame *frame = frame_at(file, at);
		const struct record_number *time = record_body(frame);
		int state = state_of(file, at);

		if (state == CUT && at > MAGIC && !is_whole)
			break;
		if (state != WHOLE)
			return is_damaged(file, at, state == CUT && !is_whole
						       ? "is cut off"
						       : "is damaged");
		if (kind == RECORD_END)
			return is_damaged(file, at, "comes after the end");
		kind = frame->kind;
		if (kind == RECORD_TIME && time->value < now)
			return is_damaged(file, at, "goes back in time");
		if (kind == RECORD_TIME)
			now = time->value;
		file->frames++;
	}
	file->cut = file->len - at;
	file->len = at;
	file->ended = kind == RECORD_END;
	return 0;
}

/* Its version comes first: another one's frames may be no frames here. */
static int check(struct record_file *file)
{
	uint32_t head[2];	/* struct record_ring's first two */
	size_t at = MAGIC + sizeof(struct record_frame);

	if (file->len < at + sizeof head ||
	    memcmp(file->data, RECORD_MAGIC, MAGIC)) {
		peal__reason("PEAL_REPLAY is \"%s\", which is no record%s: "
			     "name a file that PEAL_RECORD wrote", file->name,
			     file->len ? "" : " (it is empty)");
		return -EBADMSG;
	}
	memcpy(head, file->data + at, sizeof head);
	if (head[0] != RECORD_VERSION || head[1] != sizeof(void *)) {
		peal__reason("PEAL_REPLAY is \"%s\": version %u with pointers "
			     "of %u bytes; this library replays version %u "
			     "and %zu: record again", file->name, head[0],
			     head[1], RECORD_VERSION, sizeof(void *));
		return -EBADMSG;
	}
	return check_frames(file);
}

int peal__record_open(struct record_file *file, const char *name)
{
	FILE *in;
	int rc;

	snprintf(file->name, sizeof file->name, "%s", name);
	in = fopen(name, "rbe");
	if (!in) {
		rc = -errno;
		peal__reason("PEAL_REPLAY is \"%s\", which cannot be read: %s",
			     name, strerror(-rc));
		return rc;
	}
	rc = read_all(file, in);
	fclose(in);
	if (rc == 0)
		rc = check(file);
	if (rc < 0) {
		free(file->data);
		file->data = NULL;
		return rc;
	}
	file->at = MAGIC;
	file->number = 1;
	return 0;
}

void peal__record_close(struct record_file *file)
{
	free(file->data);
}

const struct record_frame *peal__record_look(const struct record_file *file,
					     uint64_t *out_number)
{
	const struct record_frame *frame = frame_at(file, file->at);
	uint64_t number = file->number;
	size_t at = file->at;

	while (frame && frame->kind == RECORD_TIME) {
		at += frame_size(frame);
		number++;
		frame = frame_at(file, at);
	}
	if (out_number)
		*out_number = number;
	return frame;
}

static void step(struct record_file *file)
{
	const struct record_frame *frame = frame_at(file, file->at);
	const struct record_number *time = record_body(frame);

	if (frame->kind == RECORD_TIME)
		file->now = time->value;
	file->at += frame_size(frame);
	file->number++;
}

void peal__record_take(struct record_file *file)
{
	const struct record_frame *frame = peal__record_look(file, NULL);

	while (frame_at(file, file->at) != frame)
		step(file);
	if (frame)
		step(file);
}

uint64_t peal__record_time(struct record_file *file)
{
	const struct record_frame *frame = frame_at(file, file->at);

	if (frame && frame->kind == RECORD_TIME)
		step(file);
	return file->now;
}
