/* SPDX-License-Identifier: MIT */
/*
 * The memory that a ring knows (see buffers.h): which form an op takes, and
 * what may not be taken away while it is in flight.
 *
 * An op on a ring with arenas comes here from start.c's slow half. If its
 * buffer lies in a registered arena and its fd is a direct file, or the caller
 * wants it so, READ becomes READ_FIXED with the buffer's slot. What the op was
 * lent is noted beside its row, with its handle: a row that is used again makes
 * the note void by itself.
 */
#include <string.h>
#include "lib/bounce.h"
#include "lib/buffers.h"
#include "lib/direct.h"
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
	if ((!PEAL__WATCHES_LENT || open_lent(ring) == 0) &&
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
	peal__free(ring, memory->lent, ring->rows_max * sizeof *memory->lent);
	peal__free(ring, memory, sizeof *memory);
}

static void look_set(struct peal_ring *ring, uint32_t looks)
{
	ring->looks = looks;
	peal__gate_set(ring, ring->gate);
}

/* --- what is where ------------------------------------------------------- */

static const struct peal__member *member_of(const struct peal_ring *ring,
					    uint64_t addr, uint64_t len)
{
	const struct peal__memory *memory = ring->memory;
	uint32_t i;

	for (i = 0; i < memory->arenas; i++) {
		const struct peal__member *member = &memory->members[i];
		uint64_t at = addr - member->base;

		if (at < member->bytes && len <= member->bytes - at)
			return member;
	}
	return NULL;
}

const struct peal__member *peal__memory_member(const struct peal_ring *ring,
					       uint64_t addr, uint64_t len)
{
	return member_of(ring, addr, len);
}

static uint32_t slot_in(const struct peal__member *member, uint64_t addr,
			uint64_t len)
{
	uint64_t at = addr - member->base;

	if (member->slot == PEAL__NO_SLOT || !len ||
	    ((at + len - 1) ^ at) / PEAL__SLOT_BYTES)
		return PEAL__NO_SLOT;
	return member->slot + (uint32_t)(at / PEAL__SLOT_BYTES);
}

uint32_t peal__memory_slot(const struct peal_ring *ring, uint64_t addr,
			   uint64_t len)
{
	const struct peal__member *member = member_of(ring, addr, len);

	return member ? slot_in(member, addr, len) : PEAL__NO_SLOT;
}

static __attribute__((noinline)) const struct peal__hint *
learn(const struct peal_ring *ring, peal_fd fd)
{
	struct peal__hint *hint =
		&ring->memory->hints[(uint32_t)fd & (PEAL__HINTS - 1)];

	if (peal_fd_is_direct(fd))
		return peal__direct_hint(ring, fd);
	hint->fd = (int32_t)fd;
	if (ring->engine->learn)
		ring->engine->learn(ring, hint);
	else
		peal__file_learn(hint);
	hint->uses = UINT8_MAX;
	return hint;
}

peal__inline const struct peal__hint *hint_of(const struct peal_ring *ring,
					      peal_fd fd)
{
	struct peal__hint *hint =
		&ring->memory->hints[(uint32_t)fd & (PEAL__HINTS - 1)];

	if (peal__unlikely(hint->fd != fd || !hint->uses))
		return learn(ring, fd);
	hint->uses--;
	return hint;
}

const struct peal__hint *peal__memory_hint(const struct peal_ring *ring,
					   peal_fd fd)
{
	return hint_of(ring, fd);
}

/* fd is about to be closed: its number will name something else. */
void peal__memory_forget(const struct peal_ring *ring, peal_fd fd)
{
	struct peal__hint *hint =
		&ring->memory->hints[(uint32_t)fd & (PEAL__HINTS - 1)];

	if (hint->fd == fd)
		hint->uses = 0;
}

/* --- the form of an op --------------------------------------------------- */

static int moves_file(unsigned opcode)
{
	return opcode == PEAL__OP_READ || opcode == PEAL__OP_WRITE;
}

_Static_assert(PEAL__OP_READ - PEAL__OP_READ_FIXED ==
		       PEAL__OP_WRITE - PEAL__OP_WRITE_FIXED,
	       "one step leads from each form to the other");

static void use_fixed(struct peal__look *look, uint32_t slot)
{
	look->slot = slot;
	look->opcode -= PEAL__OP_READ - PEAL__OP_READ_FIXED;
}

/* The caller wants the registered form and no other. */
static int must_be_fixed(struct peal__look *look,
			 const struct peal__member *member, uint64_t addr,
			 uint64_t len)
{
	uint32_t slot = PEAL__NO_SLOT;

	if (!member) {
		peal__memory_reason("PEAL_FIXED: %llu bytes at %#llx do not "
				    "lie in an arena of this ring: allocate "
				    "them with peal_arena_alloc(), and "
				    "register the arena",
				    (unsigned long long)len,
				    (unsigned long long)addr);
		return -EFAULT;
	}
	if (member->slot == PEAL__NO_SLOT) {
		peal__memory_reason("PEAL_FIXED: the arena is plain memory to "
				    "this ring: %s", member->why);
		return -EOPNOTSUPP;
	}
	slot = slot_in(member, addr, len);
	if (slot == PEAL__NO_SLOT) {
		peal__memory_reason("PEAL_FIXED: %llu bytes at %#llx of the "
				    "arena are none, or cross a multiple of 1 "
				    "GiB, where one registered buffer ends",
				    (unsigned long long)len,
				    (unsigned long long)(addr - member->base));
		return -EFAULT;
	}
	use_fixed(look, slot);
	return 0;
}

/* The caller says which form. */
static __attribute__((noinline)) int
forced(struct peal__look *look, const struct peal__member *member,
       uint64_t addr, uint64_t len)
{
	unsigned form = look->flags & (PEAL_FIXED | PEAL_PLAIN);

	look->flags &= ~(PEAL_FIXED | PEAL_PLAIN);
	if (form == (PEAL_FIXED | PEAL_PLAIN))
		return -EINVAL;
	if (form == PEAL_FIXED)
		return must_be_fixed(look, member, addr, len);
	return 0;
}

/* May it be refused? PEAL_CURRENT is one such offset that need not be. */
static int off_grid(const struct peal__hint *hint, uint64_t addr,
		    uint64_t len, uint64_t offset)
{
	return (addr & hint->in_memory) | ((len | offset) & hint->in_file);
}

/* The kernel would say -EINVAL and no more. A number that names another file by
 * now must not be refused for the old one's sake. */
__attribute__((noinline)) int
peal__memory_misaligned(const struct peal_ring *ring,
			const struct peal__hint *hint, peal_fd fd,
			uint64_t addr, uint64_t len, uint64_t offset)
{
	const char *what = "address";
	uint64_t was = addr, mask;

	if (offset == PEAL_CURRENT)
		offset = 0;
	if (!off_grid(hint, addr, len, offset))
		return 0;
	peal__memory_forget(ring, fd);
	hint = peal__memory_hint(ring, fd);
	if (!off_grid(hint, addr, len, offset))
		return 0;
	mask = hint->in_memory;
	if (!(addr & mask)) {
		mask = hint->in_file;
		what = len & mask ? "length" : "offset";
		was = len & mask ? len : offset;
	}
	peal__memory_reason("fd %lld is open with O_DIRECT: the %s %llu is not "
			    "a multiple of %llu, as this file wants it "
			    "(peal_stat() tells)", (long long)fd, what,
			    (unsigned long long)was,
			    (unsigned long long)mask + 1);
	return 1;
}

/* Looks at an op that is to be started: refuses it, or says its form. It may be
 * LOOK_BOUNCE. */
peal__inline int look_at(struct peal_ring *ring, struct peal__look *look,
			 peal_fd fd, const void *buf, uint64_t len,
			 uint64_t offset)
{
	const struct peal__member *member;
	const struct peal__hint *hint;
	uint64_t addr = peal__addr(buf);
	uint32_t slot;
	int direct = 0;

	if (!moves_file(look->opcode))
		return 0;
	if (peal__unlikely(look->flags & PEAL_BOUNCE)) {
		int rc = peal__bounce_look(ring, look, fd, addr, len, offset);

		if (rc != 0)
			return rc;
	}
	member = member_of(ring, addr, len);
	if (member || ring->looks & LOOK_DIRECT) {
		hint = hint_of(ring, fd);
		if (peal__unlikely(off_grid(hint, addr, len, offset)) &&
		    peal__memory_misaligned(ring, hint, fd, addr, len,
					    offset))
			return -EINVAL;
		direct = hint->kind == KIND_DIRECT;
	}
	if (peal__unlikely(look->flags & (PEAL_FIXED | PEAL_PLAIN)))
		return forced(look, member, addr, len);
	if (!member || !(direct ? !(member->flags & PEAL_PLAIN)
				: member->flags & PEAL_FIXED))
		return 0;
	slot = slot_in(member, addr, len);
	if (peal__likely(slot != PEAL__NO_SLOT))
		use_fixed(look, slot);
	return 0;
}

int peal__memory_look(struct peal_ring *ring, struct peal__look *look,
		      peal_fd fd, const void *buf, uint64_t len,
		      uint64_t offset)
{
	return look_at(ring, look, fd, buf, len, offset);
}

/* The ring is about to open a file with O_DIRECT. */
void peal__memory_direct(struct peal_ring *ring)
{
	if (!(ring->looks & LOOK_DIRECT))
		look_set(ring, ring->looks | LOOK_DIRECT);
}

/* Will the kernel write to the row's buffer? */
static int is_written(const struct peal__row *row)
{
	return !(row->flags & ROW_JOB) &&
	       (row->opcode == PEAL__OP_READ ||
		row->opcode == PEAL__OP_READ_FIXED ||
		row->opcode == PEAL__OP_RECV);
}

/* Notes what a started op was lent. */
peal__inline void lend(struct peal_ring *ring, peal_op op, const void *buf,
		       uint64_t len)
{
	uint32_t index = (uint32_t)((uint64_t)op & PEAL__ROW_MASK);
	struct peal__lent *lent = ring->memory->lent;

	if (!lent)
		return;
	lent[index] = (struct peal__lent){ op, peal__addr(buf), len };
	if (PEAL__WATCHES_LENT && ring->looks & LOOK_LENT &&
	    is_written(&ring->rows[index]))
		peal__poison(lent[index].addr, len);
}

void peal__memory_lend(struct peal_ring *ring, peal_op op, const void *buf,
		       uint64_t len)
{
	lend(ring, op, buf, len);
}

/* Does nothing stand in the way? As peal__start_is_clear(), but the bits in
 * ring->open of what is looked at are down. */
static int is_clear(const struct peal_ring *ring, const struct peal__look *look,
		    peal_fd fd)
{
	return !ring->gate && peal__fd_fits(fd) &&
	       !(look->flags & ~PEAL__OP_FLAGS) &&
	       peal__can(ring, look->opcode) && peal__sq_room(ring) &&
	       peal__row_is_free(ring);
}

/* peal__start_op()'s other way, of an op with a buffer: it is looked at if the
 * ring looks. */
peal_op peal__start_looked(struct peal_ring *ring, unsigned opcode, peal_fd fd,
			   const void *buf, uint32_t len, uint64_t offset,
			   uint32_t op_flags, unsigned flags,
			   peal_handler *handler, void *ctx)
{
	struct peal__look look = { opcode, flags, 0, 0 };
	struct peal__sqe *sqe;
	peal_op op;

	peal__must_own(ring, peal_opcode_name(opcode));
	if (peal__likely(peal__looks(ring, flags))) {
		op = look_at(ring, &look, fd, buf, len, offset);
		if (peal__unlikely(op == LOOK_BOUNCE))
			return peal__bounce_start(ring, &look, fd, buf, len,
						  offset, handler, ctx);
		if (peal__unlikely(op < 0))
			return op;
	}
	if (peal__likely(handler && is_clear(ring, &look, fd))) {
		op = peal__row_take(ring, look.opcode, fd, handler, ctx)->op;
		sqe = peal__sqe_fill(ring, look.opcode, fd, look.flags,
				     (uint64_t)op);
	} else {
		op = peal__start(ring, &sqe, look.opcode, fd, look.flags,
				 handler, ctx);
		if (op < 0)
			return op;
	}
	sqe->off = offset;
	sqe->addr = peal__addr(buf);
	sqe->len = len;
	sqe->op_flags = op_flags;
	sqe->buf_index = (uint16_t)look.slot;
	lend(ring, op, buf, len);
	return op;
}

/* Only where the sanitizer watches: a row ends. */
void peal__memory_return(struct peal_ring *ring, const struct peal__row *row)
{
	const struct peal__lent *lent =
		&ring->memory->lent[row - ring->rows];

	if (!(ring->looks & LOOK_LENT) || lent->op != row->op ||
	    !is_written(row))
		return;
	MUST(!peal__is_freed(lent->addr, lent->len),
	     "its buffer was freed while it was lent",
	     peal_opcode_name(row->opcode));
	peal__unpoison(lent->addr, lent->len);
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
