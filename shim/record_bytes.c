/* SPDX-License-Identifier: MIT */
/* Bytes of a record: put together, taken apart, hashed. */
#include <stdlib.h>
#include <string.h>
#include "shim/record.h"

#define FACTOR UINT64_C(0x9e3779b97f4a7c15)

static uint64_t mix(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * FACTOR;
	return sum ^ sum >> 29;
}

/* Eight bytes at a time: all that is read and written passes here. */
uint64_t peal__record_hash(uint64_t sum, const void *data, size_t len)
{
	const char *at = data;
	uint64_t word;

	sum = mix(sum, len);
	for (; len >= sizeof word; len -= sizeof word, at += sizeof word) {
		memcpy(&word, at, sizeof word);
		sum = mix(sum, word);
	}
	word = 0;
	if (len)
		memcpy(&word, at, len);
	return mix(sum, word);
}

uint32_t peal__record_check(const struct record_frame *frame, const void *body)
{
	uint64_t sum = peal__record_hash(FACTOR, &frame->kind,
					 sizeof *frame - sizeof frame->check);

	sum = peal__record_hash(sum, body, frame->len);
	return (uint32_t)(sum ^ sum >> 32);
}

void peal__record_put(struct record_bytes *bytes, const void *data, size_t len)
{
	size_t room = bytes->room ? bytes->room : 4096;
	char *more;

	while (room < bytes->len + len)
		room *= 2;
	if (room > bytes->room) {
		more = realloc(bytes->data, room);
		if (!more) {
			bytes->broken = 1;
			return;
		}
		bytes->data = more;
		bytes->room = room;
	}
	if (len)
		memcpy(bytes->data + bytes->len, data, len);
	bytes->len += len;
}

void peal__record_get(struct record_bytes *bytes, void *data, size_t len)
{
	if (bytes->len - bytes->at < len) {
		bytes->broken = 1;
		return;
	}
	if (len)
		memcpy(data, bytes->data + bytes->at, len);
	bytes->at += len;
}
