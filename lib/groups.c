/* SPDX-License-Identifier: MIT */
/*
 * Buffer groups: who has which buffer. groups.h has the states; a group's life
 * is groups_open.c's, receiving into buffers groups_recv.c's.
 */
#include <string.h>
#include "lib/groups.h"
#include "lib/lend.h"
#include "lib/start.h"
#include "lib/work.h"

/* --- buffers ------------------------------------------------------------- */

/* Gives a buffer, or what is left of it, to the kernel or to the stack. */
static void put(struct peal_group *group, uint32_t id)
{
	uint32_t at = peal__group_filled(group, id);
	struct peal__buf *buf;

	group->states[id] = BUFFER_IN;
	group->in++;
	peal__poison(peal__addr(peal__group_buf(group, id)) + at,
		     group->buf_size - at);
	if (group->mode != GROUP_KERNEL) {
		group->order[group->in - 1] = (uint16_t)id;
		return;
	}
	group->order[group->tail & (group->entries - 1)] = (uint16_t)id;
	group->places[id] = group->tail;
	buf = &group->bufs[group->tail & (group->entries - 1)];
	buf->addr = peal__addr(peal__group_buf(group, id));
	buf->len = group->buf_size;
	buf->id = (uint16_t)id;
	__atomic_store_n(&group->bufs->tail, ++group->tail, __ATOMIC_RELEASE);
}

uint32_t peal__group_take(struct peal_group *group)
{
	uint32_t id = group->order[--group->in];
	uint32_t at = peal__group_filled(group, id);

	MUST(group->states[id] == BUFFER_IN,
	     "a buffer is to be given twice", "group");
	group->states[id] = BUFFER_AWAY;
	peal__unpoison(peal__addr(peal__group_buf(group, id)) + at,
		       group->buf_size - at);
	return id;
}

void peal__group_put(struct peal_group *group, uint32_t id)
{
	put(group, id);
	if (group->waiting)
		peal__hunger(group->ring);
}

int peal__group_fill_in(struct peal_group *group, uint32_t id, uint32_t len)
{
	if (!group->parts)
		return 0;
	group->parts[id].filled += len;
	if (group->parts[id].filled == group->buf_size)
		return 0;
	peal__group_put(group, id);
	return 1;
}

/* --- pieces -------------------------------------------------------------- */

static uint64_t start_bit(size_t at)
{
	return UINT64_C(1) << (at & 63);
}

/* The next len bytes of a buffer: where in it they are. */
static uint32_t tell_piece(struct peal_group *group, uint32_t id, int64_t len)
{
	struct peal__parts *parts = &group->parts[id];
	uint32_t from = parts->told;
	size_t at = (size_t)id * group->buf_size + from;

	MUST(len > 0 && len <= (int64_t)(group->buf_size - from),
	     "the engine put more into a buffer than it holds", "group");
	group->starts[at / 64] |= start_bit(at);
	parts->told += (uint32_t)len;
	parts->out++;
	peal__unpoison(peal__addr(group->memory + at), (uint64_t)len);
	return from;
}

/* The pieces behind one, until the next that is out. */
static void poison_piece(struct peal_group *group, uint32_t id, size_t at)
{
	size_t end = (size_t)id * group->buf_size + group->parts[id].told;
	size_t to = at + 1;

	while (to < end && !(group->starts[to / 64] & start_bit(to)))
		to++;
	peal__poison(peal__addr(group->memory + at), to - at);
}

/* at counts from the group's first byte. 1: the buffer is all back. */
static int take_piece_back(struct peal_group *group, uint32_t id, size_t at)
{
	struct peal__parts *parts = &group->parts[id];

	MUST(group->starts[at / 64] & start_bit(at),
	     "this piece is not out: given back twice?", "group_give_back");
	group->starts[at / 64] &= ~start_bit(at);
	if (PEAL__WATCHES_LENT)
		poison_piece(group, id, at);
	if (--parts->out || group->states[id] != BUFFER_OUT)
		return 0;
	*parts = (struct peal__parts){ 0, 0, 0 };
	return 1;
}

/* --- with the program ---------------------------------------------------- */

void *peal__group_out(struct peal_group *group, uint32_t id, int64_t len,
		      int more)
{
	struct peal_group_stats *stats = &group->stats;
	uint32_t from = 0;

	MUST(id < group->count && group->states[id] != BUFFER_OUT,
	     "the engine gave a buffer twice", "group");
	if (group->parts)
		from = tell_piece(group, id, len);
	else
		peal__unpoison(peal__addr(peal__group_buf(group, id)),
			       group->buf_size);
	if (!group->parts || !more) {
		group->in -= group->states[id] == BUFFER_IN;
		group->states[id] = BUFFER_OUT;
	}
	stats->taken++;
	if (++stats->out > stats->most_out)
		stats->most_out = stats->out;
	return peal__group_buf(group, id) + from;
}

/* The last op, or the last buffer, of a group that is being closed? */
void peal__group_look(struct peal_group *group)
{
	struct peal_ring *ring = group->ring;
	struct peal__row *row;

	if (!group->closing || group->ops || group->stats.out)
		return;
	row = peal__row_find(ring, group->closing);
	if (row && !(row->flags & ROW_READY))
		peal__ready(ring, row, 0);
}

void peal_group_give_back(struct peal_group *group, void *buf)
{
	size_t at;
	uint32_t id;

	peal__group_must(group, "group_give_back");
	at = (size_t)((char *)buf - group->memory);
	id = (uint32_t)(at / group->buf_size);
	MUST((char *)buf >= group->memory && at / group->buf_size <
	     group->count, "not a buffer of this group", "group_give_back");
	MUST(group->parts || group->states[id] == BUFFER_OUT,
	     "this buffer is not out: given back twice?", "group_give_back");
	if (!group->parts || take_piece_back(group, id, at))
		peal__group_put(group, id);
	group->stats.out--;
	peal__group_look(group);
}

/* --- for engines in user space ------------------------------------------- */

int peal__buffer_take(struct peal_ring *ring, const struct peal__sqe *asked,
		      struct peal__sqe *once)
{
	struct peal_group *group = ring->groups[asked->buf_index];
	uint32_t id;

	if (!group->in)
		return -ENOBUFS;
	id = peal__group_take(group);
	*once = *asked;
	once->file_index = id;
	peal__group_aim(group, id, once);
	return 0;
}

int peal__buffer_used(struct peal_ring *ring, const struct peal__sqe *once,
		      int result, uint32_t *out_flags)
{
	struct peal_group *group = ring->groups[once->buf_index];
	uint32_t id = once->file_index;

	*out_flags = 0;
	if (result >= 0 && once->opcode == PEAL__OP_RECVMSG)
		result = peal__group_head(group, id, result);
	if (result <= 0) {
		peal__group_put(group, id);
		return result;
	}
	*out_flags = PEAL__CQE_BUFFER | id << 16;
	if (peal__group_fill_in(group, id, (uint32_t)result))
		*out_flags |= PEAL__CQE_BUF_MORE;
	return result;
}

void peal_group_stats(struct peal_group *group,
		      struct peal_group_stats *out_stats)
{
	uint32_t size = out_stats->size;
	struct peal_group_stats now;

	peal__group_must(group, "group_stats");
	MUST(size >= sizeof size, "peal_group_stats.size is not set",
	     "group_stats");
	now = group->stats;
	now.size = size;
	now.count = group->count;
	now.ops = group->ops;
	now.waiting = group->waiting;
	now.polls = group->mode == GROUP_POLLS;
	now.incremental = group->incremental;
	memcpy(out_stats, &now, size < sizeof now ? size : sizeof now);
}
