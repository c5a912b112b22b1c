/* SPDX-License-Identifier: MIT */
/*
 * The memory that a ring knows (see buffers.h): which form an op takes, and
 * what it has been lent. register.c says what the ring knows.
 *
 * An op on a ring with arenas comes here from start.c's slow half. If its
 * buffer lies in a registered arena and its fd is a direct file, or the caller
 * wants it so, READ becomes READ_FIXED with the buffer's slot. What the op was
 * lent is noted beside its row, with its handle: a row that is used again makes
 * the note void by itself.
 */
#include "lib/bounce.h"
#include "lib/buffers.h"
#include "lib/direct.h"
#include "lib/lend.h"
#include "lib/start.h"

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

/* Notes what a started op was lent. */
peal__inline void lend(struct peal_ring *ring, peal_op op, const void *buf,
		       uint64_t len)
{
	uint32_t index = (uint32_t)((uint64_t)op & PEAL__ROW_MASK);
	struct peal__lent *lent = ring->memory->lent;

	if (!lent)
		return;
	lent[index] = (struct peal__lent){ op, peal__addr(buf), len };
	if (PEAL__WATCHES_LENT)
		peal__lend_one(ring, &ring->rows[index]);
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
	struct peal__look look = { opcode, flags, 0, 0, NULL };
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
