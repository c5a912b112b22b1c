/* SPDX-License-Identifier: MIT */
/*
 * Timers: sleeps and deadlines, in a hierarchical wheel of 8 levels of 64
 * slots over ticks of 16 us. Arming and removing are a few instructions; the
 * wait's own time limit is all the kernel sees of them.
 *
 * A row stands at the level of the highest 6-bit group in which its tick and
 * the wheel's differ, so at level 0 a slot is one tick, and above it only
 * slots later than the wheel's own position are in use. Every list is newest
 * first. Rows that are due move to one more list, the expired one, sorted by
 * time and, for equal times, by age; handlers may still remove them there.
 */
#include "lib/start.h"

#define TICK_SHIFT 14
#define EXPIRED	(WHEEL_LEVELS * WHEEL_SLOTS)
#define MAX_DUE	((UINT64_C(1) << 62) - 1)
#define MANY	32	/* rows looked at for the exact next time */

static void push(struct peal_ring *ring, uint32_t slot, struct peal__row *row)
{
	struct peal__wheel *wheel = &ring->wheel;
	uint32_t index = (uint32_t)(row - ring->rows);

	row->time_prev = WHEEL_HEAD | slot;
	row->time_next = wheel->heads[slot];
	if (row->time_next)
		ring->rows[row->time_next].time_prev = index;
	wheel->heads[slot] = index;
	if (slot < EXPIRED)
		wheel->used[slot / 64] |= UINT64_C(1) << (slot % 64);
}

static uint32_t slot_of(const struct peal__wheel *wheel, uint64_t due_ns)
{
	uint64_t tick = due_ns >> TICK_SHIFT;
	unsigned level;

	if (tick < wheel->tick)
		tick = wheel->tick;
	level = (63 - (unsigned)__builtin_clzll((tick ^ wheel->tick) | 1)) / 6;
	return level * 64 + ((tick >> (6 * level)) & 63);
}

/* due_ns is on the ring's clock. The row must not be timed. */
void peal__timer_add(struct peal_ring *ring, struct peal__row *row,
		     uint64_t due_ns)
{
	row->due_ns = due_ns > MAX_DUE ? MAX_DUE : due_ns;
	row->flags |= ROW_TIMED;
	ring->wheel.count++;
	peal__chore(ring);
	push(ring, slot_of(&ring->wheel, row->due_ns), row);
}

void peal__timer_remove(struct peal_ring *ring, struct peal__row *row)
{
	struct peal__wheel *wheel = &ring->wheel;

	/* Among a million both are misses: at the same time. */
	__builtin_prefetch(&ring->rows[row->time_prev & ~WHEEL_HEAD]);
	if (row->time_next)
		ring->rows[row->time_next].time_prev = row->time_prev;
	if (row->time_prev & WHEEL_HEAD) {
		uint32_t slot = row->time_prev & ~WHEEL_HEAD;

		wheel->heads[slot] = row->time_next;
		if (!row->time_next && slot < EXPIRED)
			wheel->used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
	} else {
		ring->rows[row->time_prev].time_next = row->time_next;
	}
	row->flags &= (uint16_t)~ROW_TIMED;
	wheel->count--;
}

/* The first slot in use at or after the wheel's position: its level, slot and
 * first tick. 0: none. */
static int first_slot(const struct peal__wheel *wheel, unsigned *level,
		      uint32_t *slot, uint64_t *tick)
{
	unsigned l;

	for (l = 0; l < WHEEL_LEVELS; l++) {
		unsigned at = (wheel->tick >> (6 * l)) & 63;
		uint64_t bits = wheel->used[l] & (~UINT64_C(0) << at);
		unsigned s;

		if (!bits)
			continue;
		s = (unsigned)__builtin_ctzll(bits);
		*level = l;
		*slot = l * 64 + s;
		*tick = (((wheel->tick >> (6 * l)) & ~UINT64_C(63)) | s)
			<< (6 * l);
		return 1;
	}
	return 0;
}

/* When to look again: never late; early by at most a tick, or when a slot of a
 * higher level is to be spread over the lower ones. */
uint64_t peal__timer_next(struct peal_ring *ring)
{
	struct peal__wheel *wheel = &ring->wheel;
	uint64_t tick, due = MAX_DUE;
	unsigned level, seen = 0;
	uint32_t slot, i;

	if (wheel->heads[EXPIRED])
		return 0;
	if (!first_slot(wheel, &level, &slot, &tick))
		return PEAL_FOREVER;
	for (i = wheel->heads[slot]; i; i = ring->rows[i].time_next) {
		if (++seen > MANY && tick > wheel->tick)
			return tick << TICK_SHIFT;
		if (ring->rows[i].due_ns < due)
			due = ring->rows[i].due_ns;
	}
	return due;
}

/* Takes a slot's list, oldest first. */
static uint32_t take_slot(struct peal_ring *ring, uint32_t slot)
{
	struct peal__wheel *wheel = &ring->wheel;
	uint32_t i = wheel->heads[slot], list = 0;

	wheel->heads[slot] = 0;
	wheel->used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
	while (i) {
		uint32_t next = ring->rows[i].time_next;

		ring->rows[i].time_next = list;
		list = i;
		i = next;
	}
	return list;
}

static uint32_t merge(struct peal__row *rows, uint32_t a, uint32_t b)
{
	uint32_t list = 0, *end = &list;

	while (a && b) {
		uint32_t *first = rows[b].due_ns < rows[a].due_ns ? &b : &a;

		*end = *first;
		end = &rows[*first].time_next;
		*first = *end;
	}
	*end = a ? a : b;
	return list;
}

/* A stable merge sort by time: lists[n] holds 2^n rows. */
static uint32_t sort(struct peal__row *rows, uint32_t list)
{
	uint32_t lists[32] = { 0 };
	uint32_t sorted = 0;
	unsigned n;

	while (list) {
		uint32_t one = list;

		list = rows[one].time_next;
		rows[one].time_next = 0;
		for (n = 0; n < 31 && lists[n]; n++) {
			one = merge(rows, lists[n], one);
			lists[n] = 0;
		}
		lists[n] = one;
	}
	for (n = 0; n < 32; n++)
		sorted = merge(rows, lists[n], sorted);
	return sorted;
}

/* Moves rows that are due to *expired (newest slot last), the rest back. */
static void sift(struct peal_ring *ring, uint32_t list, uint32_t **expired)
{
	struct peal__row *rows = ring->rows;
	uint32_t next;

	for (; list; list = next) {
		next = rows[list].time_next;
		if (rows[list].due_ns > ring->now) {
			push(ring, slot_of(&ring->wheel, rows[list].due_ns),
			     &rows[list]);
			continue;
		}
		rows[list].time_next = 0;
		**expired = list;
		*expired = &rows[list].time_next;
	}
}

/* Puts a sorted list on the expired slot, which is empty. */
static void expire(struct peal_ring *ring, uint32_t list)
{
	struct peal__row *rows = ring->rows;
	uint32_t prev = WHEEL_HEAD | EXPIRED;

	ring->wheel.heads[EXPIRED] = list;
	for (; list; list = rows[list].time_next) {
		rows[list].time_prev = prev;
		prev = list;
	}
}

static void advance(struct peal_ring *ring)
{
	struct peal__wheel *wheel = &ring->wheel;
	uint64_t now_tick = ring->now >> TICK_SHIFT, tick;
	uint32_t list = 0, *end = &list, slot;
	unsigned level;

	while (first_slot(wheel, &level, &slot, &tick) && tick <= now_tick) {
		wheel->tick = tick;
		sift(ring, take_slot(ring, slot), &end);
		if (level == 0 && tick == now_tick)
			break;
	}
	if (now_tick > wheel->tick)
		wheel->tick = now_tick;
	expire(ring, sort(ring->rows, list));
}

static void deadline_passed(struct peal_ring *ring, struct peal__row *row)
{
	struct peal_completion early = {
		.ctx = row->ctx,
		.result = -ETIMEDOUT,
		.flags = PEAL_MORE | PEAL_TIMED_OUT,
		.op = row->op,
	};
	int tell = row->flags & ROW_EARLY;
	peal_handler *handler = row->handler;

	ring->stats.timeouts++;
	row->flags &= (uint16_t)~ROW_EARLY;
	peal__cancel_row(ring, row, ROW_TIMEOUT);
	if (!tell)
		return;
	ring->stats.completions++;
	handler(ring, &early);
}

static void fire(struct peal_ring *ring, struct peal__row *row)
{
	if (row->opcode != PEAL__OP_SLEEP) {
		deadline_passed(ring, row);
	} else if (row->flags & ROW_TIMEOUT) {
		ring->stats.timeouts++;
		peal__complete(ring, row, -ETIMEDOUT, 0);
	} else {
		peal__complete(ring, row, 0, 0);
	}
}

/* Runs what is due now. */
void peal__timers_run(struct peal_ring *ring)
{
	struct peal__wheel *wheel = &ring->wheel;

	if (!wheel->heads[EXPIRED]) {
		peal__now(ring);
		advance(ring);
	}
	while (wheel->heads[EXPIRED] && !ring->stop) {
		struct peal__row *row = &ring->rows[wheel->heads[EXPIRED]];

		peal__timer_remove(ring, row);
		fire(ring, row);
	}
}

/* Outside a turn the turn's time is old. */
static uint64_t due_in(struct peal_ring *ring, uint64_t ns)
{
	uint64_t now;

	if (!ring->running)
		peal__read_clock(ring);
	now = peal__now(ring);
	return ns > MAX_DUE - now ? MAX_DUE : now + ns;
}

/* A sleep is its own timer. Its own time is kept beside the deadline's, in
 * the links that only ops with an fd use; the earlier of the two is armed. */
static void keep_time(struct peal__row *row, uint64_t ns)
{
	row->fd_next = (uint32_t)ns;
	row->fd_prev = (uint32_t)(ns >> 32);
}

static uint64_t kept_time(const struct peal__row *row)
{
	return (uint64_t)row->fd_prev << 32 | row->fd_next;
}

peal_op peal_sleep(struct peal_ring *ring, uint64_t ns, unsigned flags,
		   peal_handler *handler, void *ctx)
{
	peal_op op = peal__start_user(ring, PEAL__OP_SLEEP, -1, flags, handler,
				      ctx);
	struct peal__row *row;

	if (op < 0)
		return op;
	row = peal__row_find(ring, op);
	peal__timer_add(ring, row, due_in(ring, ns));
	keep_time(row, row->due_ns);
	return op;
}

int peal_sleep_again(struct peal_ring *ring, peal_op sleep, uint64_t ns)
{
	struct peal__row *row;

	peal__must_own(ring, "sleep_again");
	row = peal__row_find(ring, sleep);
	if (row && row->opcode != PEAL__OP_SLEEP)
		return -EINVAL;
	if (!row || !(row->flags & ROW_TIMED))
		return -ENOENT;
	peal__timer_remove(ring, row);
	row->flags &= (uint16_t)~ROW_TIMEOUT;
	peal__timer_add(ring, row, due_in(ring, ns));
	keep_time(row, row->due_ns);
	return 0;
}

static void sleep_deadline(struct peal_ring *ring, struct peal__row *row,
			   uint64_t due_ns)
{
	uint64_t own_ns = kept_time(row);

	peal__timer_remove(ring, row);
	row->flags &= (uint16_t)~ROW_TIMEOUT;
	if (due_ns < own_ns)
		row->flags |= ROW_TIMEOUT;
	peal__timer_add(ring, row, due_ns < own_ns ? due_ns : own_ns);
}

int peal_deadline(struct peal_ring *ring, peal_op op, uint64_t ns,
		  unsigned flags)
{
	struct peal__row *row;

	peal__must_own(ring, "deadline");
	if (flags & ~PEAL_EARLY)
		return -EINVAL;
	row = peal__row_find(ring, op);
	if (!row)
		return -ENOENT;
	if (row->opcode == PEAL__OP_ASYNC_CANCEL)
		return -EINVAL;
	if (row->flags & ROW_READY)
		return 0;	/* it ends in the next turn: in time */
	if (row->opcode == PEAL__OP_SLEEP) {
		sleep_deadline(ring, row, due_in(ring, ns));
		return 0;
	}
	if (row->flags & ROW_TIMED)
		peal__timer_remove(ring, row);
	row->flags &= (uint16_t)~ROW_EARLY;
	if (ns == PEAL_FOREVER)
		return 0;
	if (flags & PEAL_EARLY)
		row->flags |= ROW_EARLY;
	peal__timer_add(ring, row, due_in(ring, ns));
	return 0;
}
