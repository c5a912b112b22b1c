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
	[RECORD_TIME] = sizeof(struct record_time),
	[RECORD_POSTS] = sizeof(struct record_time),
	[RECORD_CALL] = sizeof(struct record_call),
	[RECORD_LEARN] = sizeof(struct peal__hint),
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

/* What is wrong with the frame; NULL: nothing. */
static const char *fault_of(const struct record_file *file, size_t at)
{
	const struct record_frame *frame = frame_at(file, at);
	size_t left = file->len - at;

	if (left < sizeof *frame || left - sizeof *frame < frame->len ||
	    left < frame_size(frame))
		return "is cut off";
	if (frame->check != peal__record_check(frame, record_body(frame)) ||
	    frame->unused || !frame->kind || frame->kind >= RECORD_KINDS ||
	    has_noise((const char *)record_body(frame) + frame->len,
		      record_fill(frame->len)) ||
	    frame->len < least[frame->kind] ||
	    (frame->kind == RECORD_RING) != (at == MAGIC))
		return "is damaged";
	return NULL;
}

static int check(struct record_file *file)
{
	const struct record_ring *ring;
	const char *fault;
	size_t at = MAGIC;

	if (file->len < MAGIC || memcmp(file->data, RECORD_MAGIC, MAGIC)) {
		peal__reason("PEAL_REPLAY is \"%s\", which is no record: name "
			     "a file that PEAL_RECORD wrote", file->name);
		return -EBADMSG;
	}
	do {
		fault = fault_of(file, at);
		if (fault) {
			peal__reason("PEAL_REPLAY is \"%s\": frame %llu, at "
				     "byte %zu of %zu, %s: record again",
				     file->name,
				     (unsigned long long)file->frames + 1, at,
				     file->len, fault);
			return -EBADMSG;
		}
		file->frames++;
		at += frame_size(frame_at(file, at));
	} while (at < file->len);
	ring = record_body(frame_at(file, MAGIC));
	if (ring->version == RECORD_VERSION &&
	    ring->pointer_bytes == sizeof(void *))
		return 0;
	peal__reason("PEAL_REPLAY is \"%s\": version %u with pointers of %u "
		     "bytes; this library replays version %u and %zu: record "
		     "again", file->name, ring->version, ring->pointer_bytes,
		     RECORD_VERSION, sizeof(void *));
	return -EBADMSG;
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
	const struct record_time *time = record_body(frame);

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
