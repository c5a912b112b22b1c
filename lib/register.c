/* SPDX-License-Identifier: MIT */
/*
 * A ring's arenas: registered with the engine or plain to it, and taken away
 * when no op in flight may have memory of theirs. What becomes of the ops that
 * use them is in buffers.c.
 */
#include "lib/bounce.h"
#include "lib/buffers.h"
#include "lib/lend.h"
#include "lib/start.h"

/* --- open and close ------------------------------------------------------ */

static int open_lent(struct peal_ring *ring)
{
	struct peal__memory *memory = ring->memory;

	if (memory->lent)
		return 0;
	memory->lent = peal__alloc(ring,
				   ring->rows_max * sizeof *memory->lent, 64);
	return memory->lent ? 0 : -ENOMEM;
}

static int open_watched(struct peal_ring *ring)
{
	struct peal__memory *memory = ring->memory;

	memory->regions = peal__alloc(ring, ring->rows_max *
						    sizeof *memory->regions,
				      64);
	return memory->regions ? open_lent(ring) : -ENOMEM;
}

static void remove_member(struct peal_ring *ring, struct peal__member *member)
{
	struct peal__memory *memory = ring->memory;
	struct peal_arena *arena = member->arena;

	if (member->slot != PEAL__NO_SLOT)
		ring->engine->memory_remove(ring, arena, member->slot);
	*member = memory->members[--memory->arenas];
	atomic_fetch_sub(&arena->rings, 1);
}

int peal__memory_open(struct peal_ring *ring, uint32_t bounce_bytes)
{
	ring->memory = peal__alloc(ring, sizeof *ring->memory, 64);
	if (!ring->memory)
		return -ENOMEM;
	if ((!PEAL__WATCHES_LENT || open_watched(ring) == 0) &&
	    peal__bounce_open(ring, bounce_bytes) == 0)
		return 0;
	peal__memory_close(ring);
	return -ENOMEM;
}

/* The engine is there. A record and a replay look into lent buffers by code
 * that the sanitizer watches. */
void peal__memory_watch(struct peal_ring *ring)
{
	if (PEAL__WATCHES_LENT && ring->engine->memory_add &&
	    !ring->engine->job)
		ring->looks |= LOOK_LENT;
}

/* The ring closes: nothing is in flight, the engine is still there. */
void peal__memory_leave(struct peal_ring *ring)
{
	while (ring->memory->arenas)
		remove_member(ring, &ring->memory->members[0]);
}

void peal__memory_close(struct peal_ring *ring)
{
	struct peal__memory *memory = ring->memory;

	peal__bounce_close(ring);
	peal__free(ring, memory->regions,
		   ring->rows_max * sizeof *memory->regions);
	peal__free(ring, memory->lent, ring->rows_max * sizeof *memory->lent);
	peal__free(ring, memory, sizeof *memory);
}

static void look_set(struct peal_ring *ring, uint32_t looks)
{
	ring->looks = looks;
	peal__gate_set(ring, ring->gate);
}

/* The ring is about to open a file with O_DIRECT. */
void peal__memory_direct(struct peal_ring *ring)
{
	if (!(ring->looks & LOOK_DIRECT))
		look_set(ring, ring->looks | LOOK_DIRECT);
}

/* --- arenas -------------------------------------------------------------- */

static struct peal__member *find_member(struct peal__memory *memory,
					const struct peal_arena *arena)
{
	uint32_t i;

	for (i = 0; i < memory->arenas; i++)
		if (memory->members[i].arena == arena)
			return &memory->members[i];
	return NULL;
}

/* The first of so many free slots in a row; PEAL__NO_SLOT: there are none.
 * Members are few, so each place behind one is tried. */
static uint32_t free_slots(const struct peal__memory *memory, uint32_t parts)
{
	uint32_t first = 0, i;

	for (i = 0; i < memory->arenas; i++) {
		const struct peal__member *other = &memory->members[i];
		uint32_t end;

		if (other->slot == PEAL__NO_SLOT)
			continue;
		end = other->slot + peal__arena_parts(other->arena);
		if (first < end && other->slot < first + parts) {
			first = end;
			i = UINT32_MAX;		/* look at all again */
		}
	}
	return first + parts <= PEAL__SLOTS ? first : PEAL__NO_SLOT;
}

/* NULL: the ring can have registered memory. */
static const char *why_plain(const struct peal_ring *ring)
{
	if (!ring->engine->memory_add)
		return "this engine has no registered memory: the io_uring "
		       "engine does";
	if (ring->disable.features & 1u << FEATURE_FIXED)
		return "\"fixed\" is disabled by PEAL_DISABLE or "
		       "options.disable";
	if (!peal__can(ring, PEAL__OP_READ_FIXED) ||
	    !peal__can(ring, PEAL__OP_WRITE_FIXED))
		return "op:read_fixed or op:write_fixed is disabled";
	return NULL;
}

/* 0: registered; 1: plain, and peal_memory_reason() says why. */
static int add_to_engine(struct peal_ring *ring, struct peal__member *member)
{
	const char *why = why_plain(ring);
	uint32_t first;
	int rc;

	if (why) {
		peal__memory_reason("%s", why);
		return 1;
	}
	first = free_slots(ring->memory, peal__arena_parts(member->arena));
	if (first == PEAL__NO_SLOT) {
		peal__memory_reason("a ring has %u slots of 1 GiB for its "
				    "arenas and this one needs %u: take "
				    "another ring", PEAL__SLOTS,
				    peal__arena_parts(member->arena));
		return -ENOSPC;
	}
	rc = ring->engine->memory_add(ring, member->arena, first);
	if (rc == 0)
		member->slot = first;
	else if (rc == -EOPNOTSUPP ||
		 (rc == -ENOMEM &&
		  member->arena->flags & PEAL_ARENA_PLAIN_OK))
		return 1;
	return rc;
}

static int may_add(struct peal_ring *ring, const struct peal_arena *arena,
		   unsigned flags)
{
	if (flags & ~(PEAL_FIXED | PEAL_PLAIN) ||
	    flags == (PEAL_FIXED | PEAL_PLAIN)) {
		peal__memory_reason("flags are %#x: 0, PEAL_FIXED and "
				    "PEAL_PLAIN are known, one at a time",
				    flags);
		return -EINVAL;
	}
	if (find_member(ring->memory, arena)) {
		peal__memory_reason("the ring has the arena already: "
				    "unregister it first");
		return -EEXIST;
	}
	if (ring->memory->arenas == PEAL__ARENAS) {
		peal__memory_reason("a ring has room for %u arenas: use fewer "
				    "and larger ones", PEAL__ARENAS);
		return -ENOSPC;
	}
	if (open_lent(ring) < 0) {
		peal__memory_reason("the allocator had no room for %zu bytes "
				    "per op: lower options.max_ops or raise "
				    "the memory limit",
				    sizeof *ring->memory->lent);
		return -ENOMEM;
	}
	return 0;
}

int peal_arena_register(struct peal_ring *ring, struct peal_arena *arena,
			unsigned flags)
{
	struct peal__memory *memory = ring->memory;
	struct peal__member *member;
	int rc;

	peal__must_own(ring, "arena_register");
	rc = may_add(ring, arena, flags);
	if (rc < 0)
		return rc;
	member = &memory->members[memory->arenas];
	*member = (struct peal__member){ .arena = arena,
					 .base = peal__addr(arena->region.base),
					 .bytes = arena->region.bytes,
					 .slot = PEAL__NO_SLOT,
					 .flags = flags };
	rc = add_to_engine(ring, member);
	if (rc < 0)
		return rc;
	if (rc == 1)
		snprintf(member->why, sizeof member->why, "%s",
			 peal_memory_reason());
	memory->arenas++;
	atomic_fetch_add(&arena->rings, 1);
	look_set(ring, ring->looks | LOOK_ARENA);
	return rc;
}

/* Ops that are lent no memory of the user's, or none to write data to. */
static int is_harmless(const struct peal__row *row)
{
	switch (row->opcode) {
	case PEAL__OP_NOP:
	case PEAL__OP_POLL_ADD:
	case PEAL__OP_ACCEPT:
	case PEAL__OP_CONNECT:
	case PEAL__OP_FSYNC:
	case PEAL__OP_CLOSE:
	case PEAL__OP_SHUTDOWN:
	case PEAL__OP_ASYNC_CANCEL:
	case PEAL__OP_SLEEP:
	case PEAL__OP_CLOSE_DRAINED:
	case PEAL__OP_CANCEL_MANY:
		return !(row->flags & ROW_RAW);
	default:
		return 0;
	}
}

/* May the row's op have memory of the arena? One without a note was started
 * before there were notes, or has more than one buffer: it may. */
static int may_have(const struct peal_ring *ring, uint32_t index,
		    const struct peal__member *member)
{
	const struct peal__row *row = &ring->rows[index];
	const struct peal__lent *lent = &ring->memory->lent[index];

	if (row->flags & (ROW_STORE | ROW_READY))
		return 0;
	if (lent->op != row->op)
		return !is_harmless(row);
	return lent->addr < member->base + member->bytes &&
	       lent->addr + lent->len > member->base;
}

static uint32_t count_lent(const struct peal_ring *ring,
			   const struct peal__member *member)
{
	uint32_t count = 0, i;

	for (i = 1; i <= ring->rows_used; i++)
		count += (uint32_t)may_have(ring, i, member);
	return count;
}

int peal_arena_unregister(struct peal_ring *ring, struct peal_arena *arena)
{
	struct peal__memory *memory = ring->memory;
	struct peal__member *member;
	uint32_t busy;

	peal__must_own(ring, "arena_unregister");
	member = find_member(memory, arena);
	if (!member) {
		peal__memory_reason("the ring does not have this arena");
		return -ENOENT;
	}
	busy = count_lent(ring, member);
	if (busy) {
		peal__memory_reason("%u %s in flight may have memory of the "
				    "arena: cancel and wait", busy,
				    busy == 1 ? "op" : "ops");
		return -EBUSY;
	}
	remove_member(ring, member);
	if (!memory->arenas)
		look_set(ring, ring->looks & ~(uint32_t)LOOK_ARENA);
	return 0;
}

static const char *form_name(uint32_t flags)
{
	return flags & PEAL_FIXED	? "all ops"
	       : flags & PEAL_PLAIN	? "ops with PEAL_FIXED"
					: "ops on direct files";
}

void peal__memory_explain(struct peal_ring *ring, FILE *out)
{
	const struct peal__memory *memory = ring->memory;
	const char *why = why_plain(ring);
	uint32_t i;
	int clones;

	fprintf(out, "fixed          %s ops use registered memory (Linux "
		"5.13)%s%s\n", why ? "off " : "on  ", why ? ": " : "",
		why ? why : "");
	peal__bounce_explain(ring, out);
	clones = !(ring->disable.features & 1u << FEATURE_CLONE_BUFFERS);
	fprintf(out, "clone_buffers  %s rings share one registration (Linux "
		"6.13)%s\n", clones && !why ? "on  " : "off ",
		!clones ? ": disabled by PEAL_DISABLE or options.disable"
		: why	? ": needs fixed"
			: "; an arena tells whether it does");
	for (i = 0; i < memory->arenas; i++) {
		const struct peal__member *member = &memory->members[i];

		if (member->slot == PEAL__NO_SLOT)
			fprintf(out, "arena          plain memory, %s: ",
				member->why);
		else
			fprintf(out, "arena          registered, for %s: ",
				form_name(member->flags));
		peal_arena_explain(member->arena, out);
	}
}
