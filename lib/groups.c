/* SPDX-License-Identifier: MIT */
/*
 * Buffer groups: who has which buffer, and the life of a group. groups.h has
 * the states; receiving into them is groups_recv.c.
 */
#include <string.h>
#include "lib/groups.h"
#include "lib/lend.h"
#include "lib/start.h"
#include "lib/work.h"

#define DEFAULT_COUNT	256u
#define DEFAULT_SIZE	4096u
#define MOST_COUNT	32768u
#define MOST_SIZE	(1u << 30)
#define PAGE		4096u

/* --- buffers ------------------------------------------------------------- */

/* Gives a buffer to the kernel, or to the stack. */
static void put(struct peal_group *group, uint32_t id)
{
	struct peal__buf *buf;

	group->states[id] = BUFFER_IN;
	group->in++;
	peal__poison(peal__addr(peal__group_buf(group, id)), group->buf_size);
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

	MUST(group->states[id] == BUFFER_IN,
	     "a buffer is to be given twice", "group");
	group->states[id] = BUFFER_AWAY;
	peal__unpoison(peal__addr(peal__group_buf(group, id)),
		       group->buf_size);
	return id;
}

void peal__group_put(struct peal_group *group, uint32_t id)
{
	put(group, id);
	if (group->waiting)
		group->ring->hungry = 1;
}

/* The buffer is the program's now. */
void *peal__group_out(struct peal_group *group, uint32_t id)
{
	struct peal_group_stats *stats = &group->stats;

	MUST(id < group->count && group->states[id] != BUFFER_OUT,
	     "the engine gave a buffer twice", "group");
	if (group->states[id] == BUFFER_IN)
		group->in--;
	peal__unpoison(peal__addr(peal__group_buf(group, id)),
		       group->buf_size);
	group->states[id] = BUFFER_OUT;
	stats->taken++;
	if (++stats->out > stats->most_out)
		stats->most_out = stats->out;
	return peal__group_buf(group, id);
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
	MUST(group->states[id] == BUFFER_OUT,
	     "this buffer is not out: given back twice?", "group_give_back");
	group->stats.out--;
	peal__group_put(group, id);
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
	if (result <= 0)
		peal__group_put(group, id);
	else
		*out_flags = PEAL__CQE_BUFFER | id << 16;
	return result;
}

/* --- a group's life ------------------------------------------------------ */

static int read_options(struct peal_group_options *out,
			const struct peal_group_options *in)
{
	static const struct peal_group_options none = PEAL_GROUP_OPTIONS;

	*out = none;
	if (in) {
		if (in->size < sizeof(uint32_t) || in->size > sizeof *out)
			return -EINVAL;
		memcpy(out, in, in->size);
	}
	if (!out->count)
		out->count = DEFAULT_COUNT;
	if (!out->buf_size)
		out->buf_size = DEFAULT_SIZE;
	if (out->count > MOST_COUNT || out->buf_size > MOST_SIZE ||
	    out->buf_size % 8 || out->flags ||
	    out->addr_room > MOST_SIZE || out->control_room > MOST_SIZE)
		return -EINVAL;
	return 0;
}

static void free_for_kernel(struct peal_group *group)
{
	struct peal_ring *ring = group->ring;

	peal__free(ring, group->bufs, group->entries * sizeof *group->bufs);
	peal__free(ring, group->places, group->count * sizeof *group->places);
	group->bufs = NULL;
	group->places = NULL;
}

static void free_parts(struct peal_group *group)
{
	struct peal_ring *ring = group->ring;

	if (group->own_memory)
		peal__free(ring, group->memory,
			   (size_t)group->count * group->buf_size);
	peal__free(ring, group->states, group->count);
	peal__free(ring, group->order, group->entries * sizeof *group->order);
	free_for_kernel(group);
	peal__free(ring, group->messages,
		   group->count * sizeof *group->messages);
}

/* Arrays are reserved whole and touched as buffers are used. */
static int get_parts(struct peal_group *group, void *memory)
{
	struct peal_ring *ring = group->ring;

	group->own_memory = !memory;
	group->memory = memory ? memory
			: peal__alloc(ring, (size_t)group->count *
				      group->buf_size, PAGE);
	group->states = peal__alloc(ring, group->count, 64);
	group->order = peal__alloc(ring, group->entries *
				   sizeof *group->order, 64);
	return group->memory && group->states && group->order ? 0 : -ENOMEM;
}

/* -EINVAL: this kernel has no rings of buffers, or the user may not lock the
 * memory of another one. */
static int get_kernel(struct peal_group *group)
{
	struct peal_ring *ring = group->ring;
	int rc;

	group->bufs = peal__alloc(ring, group->entries * sizeof *group->bufs,
				  PAGE);
	group->places = peal__alloc(ring, group->count * sizeof *group->places,
				    64);
	if (!group->bufs || !group->places)
		return -ENOMEM;
	rc = ring->engine->group_open(ring, group);
	if (rc < 0)
		free_for_kernel(group);
	return rc == -ENOMEM ? -EINVAL : rc;
}

static int get_messages(struct peal_group *group)
{
	group->messages = peal__alloc(group->ring, group->count *
				      sizeof *group->messages, 64);
	return group->messages ? 0 : -ENOMEM;
}

static struct peal_group *new_group(struct peal_ring *ring, unsigned id,
				    const struct peal_group_options *options)
{
	struct peal_group *group = peal__alloc(ring, sizeof *group, 64);

	if (!group)
		return NULL;
	group->ring = ring;
	group->id = (uint8_t)id;
	group->count = options->count;
	group->buf_size = options->buf_size;
	/* Control data is read where it stands, so it has to be aligned. */
	group->addr_room = (options->addr_room + 7) & ~7u;
	group->control_room = (options->control_room + 7) & ~7u;
	for (group->entries = 1; group->entries < group->count;)
		group->entries *= 2;
	return group;
}

/* In the best mode that there is here. */
static int open_in_mode(struct peal_group *group, void *memory)
{
	struct peal_ring *ring = group->ring;
	int off = ring->disable.features >> FEATURE_BUFRING & 1 ||
		  ring->no_multishot;	/* its message would have no head */
	int rc = get_parts(group, memory);

	if (rc < 0)
		return rc;
	group->header.msg_namelen = group->addr_room;
	group->header.msg_controllen = group->control_room;
	if (!off && ring->engine->group_open) {
		group->mode = GROUP_KERNEL;
		rc = get_kernel(group);
		if (rc != -EINVAL)
			return rc;
		off = 1;
	}
	group->mode = off || !ring->engine->takes_buffers ? GROUP_POLLS
							  : GROUP_ASKED;
	return get_messages(group);
}

int peal_group_open(struct peal_ring *ring, struct peal_group **out_group,
		    const struct peal_group_options *given)
{
	struct peal_group_options options;
	struct peal_group *group;
	uint32_t i;
	unsigned id = 0;
	int rc = read_options(&options, given);

	peal__must_own(ring, "group_open");
	if (rc < 0)
		return rc;
	while (id < PEAL__MOST_GROUPS && ring->groups[id])
		id++;
	if (id == PEAL__MOST_GROUPS)
		return -ENFILE;
	group = new_group(ring, id, &options);
	if (!group)
		return -ENOMEM;
	rc = open_in_mode(group, options.memory);
	if (rc < 0) {
		free_parts(group);
		peal__free(ring, group, sizeof *group);
		return rc;
	}
	for (i = 0; i < group->count; i++)
		put(group, group->count - 1 - i);
	ring->groups[id] = group;
	*out_group = group;
	return 0;
}

/* No op of the group is in flight: the engine uses none of its buffers. */
static void destroy(struct peal_group *group)
{
	struct peal_ring *ring = group->ring;

	MUST(!group->ops || ring->lost, "a group with ops in flight is to be freed",
	     "group_close");
	if (group->mode == GROUP_KERNEL)
		ring->engine->group_close(ring, group);
	ring->groups[group->id] = NULL;
	peal__unpoison(peal__addr(group->memory),
		       (uint64_t)group->count * group->buf_size);
	free_parts(group);
	group->ring = NULL;
	peal__bury(&ring->allocator, YARD_GROUPS, group, sizeof *group);
}

peal_op peal_group_close(struct peal_ring *ring, struct peal_group *group,
			 unsigned flags, peal_handler *handler, void *ctx)
{
	struct peal__row *row;
	peal_op op;
	uint32_t i;

	peal__must_own(ring, "group_close");
	peal__group_must(group, "group_close");
	MUST(group->ring == ring, "a group of another ring", "group_close");
	if (flags)
		return -EINVAL;
	if (group->closing)
		return -EALREADY;
	op = peal__start_user(ring, PEAL__OP_GROUP_CLOSE, -1, 0, handler, ctx);
	if (op < 0)
		return op;
	group->closing = op;
	ring->rows[(uint64_t)op & PEAL__ROW_MASK].arg = group->id;
	for (i = 1; i <= ring->rows_used; i++) {
		row = &ring->rows[i];
		if (!(row->flags & ROW_STORE) && peal__row_has_group(row) &&
		    peal__group_of(ring, row) == group)
			peal__cancel_row(ring, row, ROW_CANCEL);
	}
	peal__group_look(group);
	return op;
}

void peal__group_closed(struct peal_ring *ring, const struct peal__row *row,
			int64_t result)
{
	struct peal_group *group = ring->groups[row->arg];

	group->closing = 0;
	if (result >= 0)
		destroy(group);
}

void peal__groups_close(struct peal_ring *ring)
{
	unsigned id;

	for (id = 0; id < PEAL__MOST_GROUPS; id++)
		if (ring->groups[id])
			destroy(ring->groups[id]);
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
	memcpy(out_stats, &now, size < sizeof now ? size : sizeof now);
}
