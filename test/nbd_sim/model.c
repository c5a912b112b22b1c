/* SPDX-License-Identifier: MIT */
/*
 * What each sector may hold: a base that is on stable media, and on top of it
 * the writes since, oldest first, until a flush makes one of them the base.
 *
 * Two requests on one sector are never in flight together, but for reads. A
 * write without an answer may still be done later, as long as the server that
 * got it lives: its sectors are left alone until that server has crashed.
 */
#include <stdlib.h>
#include <string.h>
#include "test/nbd_sim/nbd_sim.h"

/* Of one sector between two flushes; half of it for what reads find. */
enum { WRITES = 12 };

struct write_since {
	uint64_t id;		/* 0: zeroes */
	uint64_t ack;		/* 0: none, or an error */
};

/* From here on: ids of what is parts of several writes. */
#define TORN (UINT64_MAX - TORNS)

enum { TORNS = 4 };

enum { AFTER_ERROR = 1, AFTER_CRASH };

static struct sector {
	uint64_t base;
	uint8_t torn[TORNS][SECTOR];
	struct write_since since[WRITES];
	uint8_t count;
	uint8_t writing, reading;
	uint64_t last_life;	/* AFTER_CRASH: of the server that wrote it */
	uint8_t unsure;		/* which of them it is: AFTER_... */
	uint8_t haunted;	/* a write may still come */
} sectors[SECTORS];

static struct peal_sim *world;
static uint64_t ids, acks;
static unsigned work_left;	/* requests to be thought of in trouble */
static int quiet;
static int flushing;		/* at the end, one at a time */
static uint64_t failed_life;	/* of the server whose syncs fail, + 1 */

void model_begin(struct peal_sim *in)
{
	memset(sectors, 0, sizeof sectors);
	world = in;
	ids = acks = 0;
	quiet = 0;
	work_left = 200 + (unsigned)peal_sim_random(in, 2000);
	failed_life = 0;
	flushing = 0;
}

void model_quiet(void)
{
	quiet = 1;
}

int model_is_quiet(void)
{
	return quiet;
}

/* --- contents ---------------------------------------------------------- */

static uint64_t word_of(uint64_t id, uint32_t sector, unsigned word)
{
	uint64_t z = (id * SECTORS + sector) * 64 + word;

	if (!id)
		return 0;
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void fill(uint8_t *out, uint64_t id, uint32_t sector)
{
	unsigned i;

	if (id >= TORN) {
		memcpy(out, sectors[sector].torn[id - TORN], SECTOR);
		return;
	}

	for (i = 0; i < SECTOR / 8; i++) {
		uint64_t word = word_of(id, sector, i);

		memcpy(out + i * 8, &word, 8);
	}
}

static int holds(const uint8_t *bytes, uint64_t id, uint32_t sector)
{
	uint8_t want[SECTOR];

	fill(want, id, sector);
	return !memcmp(bytes, want, SECTOR);
}

static uint64_t latest(const struct sector *sector)
{
	return sector->count ? sector->since[sector->count - 1].id
			     : sector->base;
}

/* --- what to do next --------------------------------------------------- */

static int is_free(uint32_t first, uint32_t count, int to_write)
{
	uint32_t i;

	for (i = first; i < first + count; i++) {
		const struct sector *sector = &sectors[i];

		if (sector->writing || (to_write && sector->reading))
			return 0;
		if (to_write && (sector->unsure || sector->haunted ||
				 sector->count >= WRITES / 2))
			return 0;
	}
	return 1;
}

/* --sector: the story of one. */
static void note(const char *what, const struct sim_request *request,
		 uint32_t error)
{
	if (watched < 0 || (request->type != NBD_CMD_FLUSH &&
			    ((uint32_t)watched < request->first ||
			     (uint32_t)watched >=
			     request->first + request->count)))
		return;
	tell("%s: type %u, flags %u, write %llu, sectors %u to %u, error %u, "
	     "life %llu", what, request->type, request->flags,
	     (unsigned long long)request->id, request->first,
	     request->first + request->count, error,
	     (unsigned long long)request->life);
}

static void lock(struct sim_request *request)
{
	uint32_t i;

	request->locked = 1;
	note("chosen", request, 0);
	for (i = 0; i < request->count; i++) {
		if (request->type == NBD_CMD_READ)
			sectors[request->first + i].reading++;
		else
			sectors[request->first + i].writing = 1;
	}
}

static void unlock(struct sim_request *request)
{
	uint32_t i;

	if (!request->locked)
		return;
	request->locked = 0;
	for (i = 0; i < request->count; i++) {
		if (request->type == NBD_CMD_READ)
			sectors[request->first + i].reading--;
		else
			sectors[request->first + i].writing = 0;
	}
}

static void flush(struct sim_request *request)
{
	request->type = NBD_CMD_FLUSH;
	request->first = request->count = 0;
	request->acks = acks;
	flushing++;
}

static int choose_read(struct sim_request *request, uint32_t first,
		       uint32_t count)
{
	while (count && !is_free(first, count, 0))
		count /= 2;
	if (!count)
		return 0;
	request->type = NBD_CMD_READ;
	request->first = first;
	request->count = count;
	lock(request);
	return 1;
}

/* Sectors that nobody is sure of are read first; then what is left over is
 * flushed. */
static int choose_to_settle(struct sim_request *request)
{
	uint32_t i, open = 0;

	for (i = 0; i < SECTORS; i++) {
		open += sectors[i].count && !sectors[i].unsure;
		if (sectors[i].unsure && !sectors[i].haunted &&
		    choose_read(request, i, i + 8 <= SECTORS ? 8 : 1))
			return 1;
	}
	if (!quiet || !open || flushing || failed_life == node_crashes() + 1)
		return 0;
	flush(request);
	return 1;
}

static int choose_write(struct sim_request *request, uint32_t first,
			uint32_t count)
{
	uint32_t i;

	while (count && !is_free(first, count, 1))
		count /= 2;
	if (!count)
		return 0;
	request->first = first;
	request->count = count;
	if (peal_sim_random(world, 4) == 0)
		request->flags = NBD_CMD_FLAG_FUA;
	if (peal_sim_random(world, 6) == 0) {
		request->type = NBD_CMD_WRITE_ZEROES;
		request->id = 0;
	} else {
		request->type = NBD_CMD_WRITE;
		request->id = ++ids;
		for (i = 0; i < count; i++)
			fill(request->bytes + NBD_REQUEST_LEN + i * SECTOR,
			     request->id, first + i);
	}
	for (i = 0; i < count; i++) {
		struct sector *sector = &sectors[first + i];

		sector->since[sector->count++] =
			(struct write_since){ request->id, 0 };
	}
	lock(request);
	return 1;
}

int model_choose(struct sim_request *request)
{
	uint32_t first = (uint32_t)peal_sim_random(world, SECTORS);
	uint32_t count = 1 + (uint32_t)peal_sim_random(world,
		peal_sim_random(world, 3) ? 8 : MOST_SECTORS);

	request->flags = 0;
	request->id = 0;
	request->locked = 0;
	request->life = node_crashes();
	if (choose_to_settle(request))
		return 1;
	if (quiet || !work_left)
		return 0;
	work_left--;
	if (first + count > SECTORS)
		count = SECTORS - first;
	switch (peal_sim_random(world, 10)) {
	case 0:
		flush(request);
		return 1;
	case 1: case 2: case 3:
		return choose_read(request, first, count);
	default:
		return choose_write(request, first, count);
	}
}

/* --- answers ----------------------------------------------------------- */

/* The newest write of the sector that is durable now is its base. Not so what a
 * crash may have lost between the write and the flush: that is read first. */
static void settle(struct sector *sector, uint64_t most_ack)
{
	unsigned i, keep = 0;

	for (i = sector->count; i > 0; i--)
		if (sector->since[i - 1].ack &&
		    sector->since[i - 1].ack <= most_ack)
			break;
	if (!i)
		return;
	sector->base = sector->since[i - 1].id;
	for (; i < sector->count; i++)
		sector->since[keep++] = sector->since[i];
	sector->count = (uint8_t)keep;
}

static void doubt(struct sector *sector)
{
	if (sector->unsure != AFTER_CRASH)
		sector->unsure = AFTER_ERROR;
}

static void write_answered(struct sim_request *request, uint32_t error)
{
	uint32_t i;

	int alive = request->life == node_crashes();

	acks += !error;
	for (i = 0; i < request->count; i++) {
		struct sector *sector = &sectors[request->first + i];

		if (error) {
			doubt(sector);
			continue;
		}
		/* Told late, by a server that has lost it since, maybe. */
		sector->since[sector->count - 1].ack = alive ? acks : 0;
		if (!(request->flags & NBD_CMD_FLAG_FUA))
			continue;
		sector->base = latest(sector);
		sector->count = 0;
	}
}

static int may_be(const struct sector *sector, const uint8_t *bytes,
		  uint32_t at, uint64_t *out_id)
{
	unsigned i;

	for (i = 0; i < sector->count; i++) {
		*out_id = sector->since[sector->count - 1 - i].id;
		if (holds(bytes, *out_id, at))
			return 1;
	}
	*out_id = sector->base;
	return holds(bytes, sector->base, at);
}

/* Each of the sector's writes since, and below them the base. */
static uint64_t id_of(const struct sector *sector, unsigned i)
{
	return i ? sector->since[i - 1].id : sector->base;
}

static int is_used(const struct sector *sector, uint64_t id)
{
	unsigned i;

	for (i = 0; i <= sector->count; i++)
		if (id_of(sector, i) == id)
			return 1;
	return 0;
}

/* Each byte is of one of them: a write that was short and then failed, a
 * sector that was being written when the power went. 0: no; else its id. */
static uint64_t torn_of(struct sector *sector, const uint8_t *bytes,
			uint32_t at)
{
	uint8_t fits[SECTOR] = { 0 }, want[SECTOR];
	unsigned i, k;

	for (i = 0; i <= sector->count; i++) {
		fill(want, id_of(sector, i), at);
		for (k = 0; k < SECTOR; k++)
			fits[k] |= want[k] == bytes[k];
	}
	if (memchr(fits, 0, SECTOR))
		return 0;
	for (k = 0; k < TORNS && is_used(sector, TORN + k); k++)
		;
	if (k == TORNS)
		broken("sector %u has been torn too often for this model", at);
	memcpy(sector->torn[k], bytes, SECTOR);
	return TORN + k;
}

/* What was read of a sector after trouble is what it holds; after a crash it
 * is what the medium holds, too. */
static void read_sector(uint32_t at, const uint8_t *bytes)
{
	struct sector *sector = &sectors[at];
	uint64_t id;

	if (!sector->unsure && !sector->haunted) {
		if (!holds(bytes, latest(sector), at))
			broken("sector %u is not what was written last "
			       "(write %llu)", at,
			       (unsigned long long)latest(sector));
		return;
	}
	if (!may_be(sector, bytes, at, &id)) {
		id = torn_of(sector, bytes, at);
		if (id)
			tell("sector %u is torn", at);
		else
			broken("sector %u holds none of the %u writes since "
			       "the last flush, nor what was there then "
			       "(write %llu)", at, sector->count,
			       (unsigned long long)sector->base);
	}
	if (sector->haunted)
		return;
	if (sector->unsure == AFTER_CRASH) {
		sector->base = id;
		sector->count = 0;
	} else if (sector->count == WRITES) {
		return;		/* no room to say which: a crash will tell */
	} else {
		sector->since[sector->count++] =
			(struct write_since){ id, ++acks };
	}
	sector->unsure = 0;
}

void model_answered(struct sim_request *request, uint32_t error,
		    const uint8_t *data)
{
	uint32_t i;

	note("answered", request, error);
	unlock(request);
	switch (request->type) {
	case NBD_CMD_FLUSH:
		flushing--;
		if (error)
			failed_life = node_crashes() + 1;
		for (i = 0; i < SECTORS && !error; i++)
			if (sectors[i].unsure != AFTER_CRASH ||
			    request->life <= sectors[i].last_life)
				settle(&sectors[i], request->acks);
		break;
	case NBD_CMD_READ:
		if (request->life != node_crashes())
			break;	/* what a dead server had, told late */
		for (i = 0; i < request->count && !error; i++)
			read_sector(request->first + i, data + i * SECTOR);
		break;
	default:
		write_answered(request, error);
	}
}

void model_unanswered(struct sim_request *request)
{
	uint32_t i;

	int alive = request->life == node_crashes();

	note("unanswered", request, 0);
	if (request->type == NBD_CMD_FLUSH)
		flushing--;
	else if (request->type != NBD_CMD_READ)
		for (i = 0; i < request->count && alive; i++) {
			sectors[request->first + i].haunted = 1;
			doubt(&sectors[request->first + i]);
		}
	unlock(request);
}

/* Nothing comes any more from that server; each sector is one of its writes. */
void model_crashed(void)
{
	uint32_t i;

	for (i = 0; i < SECTORS; i++) {
		sectors[i].haunted = 0;
		if (!sectors[i].count || sectors[i].unsure == AFTER_CRASH)
			continue;
		sectors[i].unsure = AFTER_CRASH;
		sectors[i].last_life = node_crashes() - 1;
	}
}

int model_is_settled(void)
{
	uint32_t i;

	for (i = 0; i < SECTORS; i++)
		if (sectors[i].count || sectors[i].unsure ||
		    sectors[i].writing || sectors[i].reading)
			return 0;
	return 1;
}

void model_check_all(const uint8_t *bytes)
{
	uint32_t i;

	for (i = 0; i < SECTORS; i++)
		if (!holds(bytes + i * SECTOR, sectors[i].base, i))
			broken("sector %u is gone: write %llu was flushed, and "
			       "is not there after the last crash", i,
			       (unsigned long long)sectors[i].base);
}
