/* SPDX-License-Identifier: MIT */
/*
 * The life of a buffer group: its options, the mode that there is here, and its
 * end, for which a row is always kept.
 */
#include <stdarg.h>
#include <string.h>
#include "lib/groups.h"
#include "lib/lend.h"
#include "lib/start.h"

#define DEFAULT_COUNT	256u
#define DEFAULT_SIZE	4096u
#define MOST_COUNT	32768u
#define MOST_SIZE	(1u << 30)
#define PAGE		4096u

_Static_assert(PEAL__SPARE_ROWS - PEAL__CANCEL_ROWS >= PEAL__MOST_GROUPS,
	       "each group can be closed");

static _Thread_local char reason[512];

void peal__group_reason(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof reason, format, args);
	va_end(args);
}

const char *peal_group_reason(void)
{
	return reason;
}

/* --- options ------------------------------------------------------------- */

static int too_many(const char *what, uint32_t asked, uint32_t most)
{
	peal__group_reason("options.%s is %u; the most is %u: ask for less",
			   what, asked, most);
	return -EINVAL;
}

static int check_flags(const struct peal_group_options *options)
{
	if (options->flags & ~PEAL_GROUP_INCREMENTAL) {
		peal__group_reason("options.flags is %#x; known are %#x: clear "
				   "the others", options->flags,
				   PEAL_GROUP_INCREMENTAL);
		return -EINVAL;
	}
	if (!options->flags || !(options->addr_room | options->control_room))
		return 0;
	peal__group_reason("options.addr_room is %u and options.control_room "
			   "%u, but PEAL_GROUP_INCREMENTAL is for streams: "
			   "open another group for messages",
			   options->addr_room, options->control_room);
	return -EINVAL;
}

static int check_memory(const struct peal_group_options *options)
{
	unsigned past = (unsigned)((uintptr_t)options->memory & 7);

	if (options->buf_size % 8) {
		peal__group_reason("options.buf_size is %u, which is no "
				   "multiple of 8: take %u", options->buf_size,
				   (options->buf_size + 7) & ~7u);
		return -EINVAL;
	}
	if (!past)
		return 0;
	peal__group_reason("options.memory is %p, %u bytes behind a multiple "
			   "of 8: align it", options->memory, past);
	return -EINVAL;
}

static int read_options(struct peal_group_options *out,
			const struct peal_group_options *in)
{
	static const struct peal_group_options none = PEAL_GROUP_OPTIONS;

	*out = none;
	if (in) {
		if (in->size < sizeof(uint32_t) || in->size > sizeof *out) {
			peal__group_reason("options.size is %u, this library "
					   "knows %zu: start from "
					   "PEAL_GROUP_OPTIONS, and compile "
					   "and link against one version",
					   in->size, sizeof *out);
			return -EINVAL;
		}
		memcpy(out, in, in->size);
	}
	if (!out->count)
		out->count = DEFAULT_COUNT;
	if (!out->buf_size)
		out->buf_size = DEFAULT_SIZE;
	if (out->count > MOST_COUNT)
		return too_many("count", out->count, MOST_COUNT);
	if (out->buf_size > MOST_SIZE)
		return too_many("buf_size", out->buf_size, MOST_SIZE);
	if (out->addr_room > MOST_SIZE)
		return too_many("addr_room", out->addr_room, MOST_SIZE);
	if (out->control_room > MOST_SIZE)
		return too_many("control_room", out->control_room, MOST_SIZE);
	return check_flags(out) < 0 ? -EINVAL : check_memory(out);
}

/* --- its parts ----------------------------------------------------------- */

static void free_for_kernel(struct peal_group *group)
{
	struct peal_ring *ring = group->ring;

	peal__free(ring, group->bufs, group->entries * sizeof *group->bufs);
	peal__free(ring, group->places, group->count * sizeof *group->places);
	group->bufs = NULL;
	group->places = NULL;
}

static size_t starts_size(const struct peal_group *group)
{
	return ((size_t)group->count * group->buf_size + 63) / 64 *
	       sizeof *group->starts;
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
	peal__free(ring, group->parts, group->count * sizeof *group->parts);
	peal__free(ring, group->starts, starts_size(group));
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

/* -EINVAL: there is no ring of buffers to be had. */
static int get_kernel(struct peal_group *group)
{
	struct peal_ring *ring = group->ring;
	int rc;

	group->bufs = peal__alloc(ring, group->entries * sizeof *group->bufs,
				  PAGE);
	group->places = peal__alloc(ring, group->count * sizeof *group->places,
				    64);
	rc = group->bufs && group->places
		     ? ring->engine->group_open(ring, group) : -ENOMEM;
	if (rc < 0)
		free_for_kernel(group);
	return rc;
}

static int no_memory(const struct peal_group_options *options)
{
	peal__group_reason("the allocator had no room for %u buffers of %u "
			   "bytes and what goes with them: lower "
			   "options.count or options.buf_size, or raise the "
			   "memory limit", options->count, options->buf_size);
	return -ENOMEM;
}

static int get_messages(struct peal_group *group)
{
	group->messages = peal__alloc(group->ring, group->count *
				      sizeof *group->messages, 64);
	return group->messages ? 0 : -ENOMEM;
}

/* What stands in the way is the reason's; an engine may have said it. */
static int get_pieces(struct peal_group *group)
{
	struct peal_ring *ring = group->ring;

	if (!group->incremental)
		return 0;
	group->parts = peal__alloc(ring, group->count * sizeof *group->parts,
				   64);
	group->starts = peal__alloc(ring, starts_size(group), 64);
	return group->parts && group->starts ? 0 : -ENOMEM;
}

static int pieces_are_off(const struct peal_ring *ring)
{
	return ring->disable.features >> FEATURE_INCREMENTAL & 1;
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
	group->streams_only = options->flags & PEAL_GROUP_INCREMENTAL;
	group->incremental = group->streams_only && !pieces_are_off(ring);
	for (group->entries = 1; group->entries < group->count;)
		group->entries *= 2;
	return group;
}

/* Without multishot, a message in a buffer would have no head. */
static int is_off(const struct peal_ring *ring)
{
	const char *by = "multishot";

	if (ring->disable.features >> FEATURE_BUFRING & 1)
		by = "bufring";
	else if (!ring->no_multishot)
		return 0;
	peal__group_reason("each receive is a poll and a receive: \"%s\" is "
			   "switched off, by PEAL_DISABLE or options.disable",
			   by);
	return 1;
}

/* In the best mode that there is here; why it is not a better one stands in
 * the reason. */
static int open_in_mode(struct peal_group *group, void *memory)
{
	const struct peal__engine *engine = group->ring->engine;
	int rc = get_parts(group, memory);

	if (rc < 0)
		return rc;
	group->header.msg_namelen = group->addr_room;
	group->header.msg_controllen = group->control_room;
	group->mode = GROUP_POLLS;
	if ((engine->group_open || engine->takes_buffers) &&
	    !is_off(group->ring))
		group->mode = engine->group_open ? GROUP_KERNEL : GROUP_ASKED;
	if (group->mode == GROUP_KERNEL) {
		rc = get_kernel(group);
		if (rc != -EINVAL)
			return rc < 0 ? rc : get_pieces(group);
		group->mode = GROUP_POLLS;
	}
	rc = get_messages(group);
	return rc < 0 ? rc : get_pieces(group);
}

int peal_group_open(struct peal_ring *ring, struct peal_group **out_group,
		    const struct peal_group_options *given)
{
	struct peal_group_options options;
	struct peal_group *group;
	uint32_t i;
	unsigned id = 0;
	int rc;

	peal__must_own(ring, "group_open");
	peal__group_reason("%s", "");
	rc = read_options(&options, given);
	if (rc < 0)
		return rc;
	while (id < PEAL__MOST_GROUPS && ring->groups[id])
		id++;
	if (id == PEAL__MOST_GROUPS) {
		peal__group_reason("the ring has %u groups, which is the "
				   "most: close one, or let more sockets "
				   "share one", id);
		return -ENFILE;
	}
	group = new_group(ring, id, &options);
	if (!group)
		return no_memory(&options);
	rc = open_in_mode(group, options.memory);
	if (rc < 0) {
		if (group->mode == GROUP_KERNEL && group->bufs)
			ring->engine->group_close(ring, group);
		free_parts(group);
		peal__free(ring, group, sizeof *group);
		return rc == -ENOMEM ? no_memory(&options) : rc;
	}
	for (i = 0; i < group->count; i++)
		peal__group_put(group, group->count - 1 - i);
	ring->groups[id] = group;
	*out_group = group;
	if (group->streams_only && pieces_are_off(ring))
		peal__group_reason("each receive takes a whole buffer: "
				   "\"incremental\" is switched off, by "
				   "PEAL_DISABLE or options.disable");
	return group->streams_only && !group->incremental;
}

/* No op of the group is in flight: the engine uses none of its buffers. */
static void destroy(struct peal_group *group)
{
	struct peal_ring *ring = group->ring;

	MUST(!group->ops || ring->lost,
	     "a group with ops in flight is to be freed", "group_close");
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
	/* Rows are kept for the closes of all groups. */
	ring->rows_left += (int32_t)PEAL__SPARE_ROWS;
	op = peal__start_user(ring, PEAL__OP_GROUP_CLOSE, -1, 0, handler, ctx);
	ring->rows_left -= (int32_t)PEAL__SPARE_ROWS;
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
