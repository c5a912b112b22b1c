/* SPDX-License-Identifier: MIT */
/*
 * Bounce buffers: what is not aligned as an unbuffered file wants it goes
 * through memory of the ring that is.
 *
 *   read   file:   |----window----|     whole blocks around what was asked for
 *                     |--asked--|
 *          at its end the asked bytes are copied to the user's buffer
 *   write  the user's bytes are copied when it starts; offset and length must
 *          be aligned, for the rest of a block would have to be read first
 *
 * Such an op is a plain one on the window; beside its row stands what the user
 * gave. Its memory is taken when it starts and given back when it ends, from a
 * region of options.bounce_bytes that never grows.
 */
#include <string.h>
#include "lib/bounce.h"
#include "lib/buffers.h"
#include "lib/start.h"

#define UNKNOWN_GRID 4095u	/* enough wherever it is not told */

struct bounced {		/* beside the row of its op */
	char *user;
	uint64_t len;
	char *window;
	uint64_t bytes;		/* of it */
	uint32_t head;		/* of them, before what was asked for */
	uint32_t is_read;
};

struct peal__bounce {
	struct peal_arena *arena;
	uint32_t ops;		/* in flight */
	uint64_t bytes;		/* in their windows */
	struct bounced *rows;
};

/* --- the memory ---------------------------------------------------------- */

int peal__bounce_open(struct peal_ring *ring, uint32_t bytes)
{
	struct peal_arena_options options = PEAL_ARENA_OPTIONS;
	struct peal__bounce *bounce;

	if (!bytes)
		return 0;
	bounce = peal__alloc(ring, sizeof *bounce, 64);
	if (!bounce)
		return -ENOMEM;
	options.bytes = bytes;
	options.flags = PEAL_ARENA_SMALL_PAGES | PEAL_ARENA_SLABS;
	options.allocator = ring->allocator;
	bounce->rows = peal__alloc(ring, ring->rows_max * sizeof *bounce->rows,
				   64);
	if (bounce->rows && peal_arena_open(&bounce->arena, &options) == 0) {
		ring->memory->bounce = bounce;
		return 0;
	}
	peal__free(ring, bounce->rows, ring->rows_max * sizeof *bounce->rows);
	peal__free(ring, bounce, sizeof *bounce);
	return -ENOMEM;
}

/* Of a ring that was lost with ops in flight. */
static void unpoison_rest(struct peal_ring *ring,
			  const struct peal__bounce *bounce)
{
	uint32_t i;

	for (i = 1; PEAL__WATCHES_LENT && i <= ring->rows_used; i++) {
		const struct peal__row *row = &ring->rows[i];

		if (!(row->flags & ROW_STORE) &&
		    row->entry_flags & ENTRY_BOUNCE)
			peal__unpoison((uintptr_t)bounce->rows[i].user,
				       bounce->rows[i].len);
	}
}

void peal__bounce_close(struct peal_ring *ring)
{
	struct peal__bounce *bounce = ring->memory->bounce;

	if (!bounce)
		return;
	unpoison_rest(ring, bounce);
	peal_arena_close(bounce->arena);
	peal__free(ring, bounce->rows, ring->rows_max * sizeof *bounce->rows);
	peal__free(ring, bounce, sizeof *bounce);
}

void peal__bounce_explain(const struct peal_ring *ring, FILE *out)
{
	const struct peal__bounce *bounce = ring->memory->bounce;

	if (!bounce)
		fprintf(out, "bounce         off  options.bounce_bytes is 0\n");
	else
		fprintf(out, "bounce         on   %u in flight have %llu of %llu "
			"bytes\n", bounce->ops,
			(unsigned long long)bounce->bytes,
			(unsigned long long)bounce->arena->region.bytes);
}

/* NULL with *error: -EAGAIN: others have it; -ENOMEM: it is never there. */
static char *take(struct peal_ring *ring, uint64_t bytes, uint64_t align,
		  int *error)
{
	struct peal__bounce *bounce = ring->memory->bounce;
	uint64_t all = bounce ? bounce->arena->region.bytes : 0;
	char *window = NULL;

	if (bytes <= all)
		window = peal_arena_alloc(bounce->arena, bytes, align);
	if (window)
		return window;
	*error = bytes <= all && bounce->ops ? -EAGAIN : -ENOMEM;
	if (*error == -EAGAIN)
		peal__memory_reason("PEAL_BOUNCE: %llu bytes are wanted, and "
				    "%u in flight have %llu of %llu: wait "
				    "for one to end, or raise "
				    "options.bounce_bytes",
				    (unsigned long long)bytes, bounce->ops,
				    (unsigned long long)bounce->bytes,
				    (unsigned long long)all);
	else
		peal__memory_reason("PEAL_BOUNCE: %llu bytes are wanted, and "
				    "options.bounce_bytes is %llu: raise it, "
				    "or ask for less at a time",
				    (unsigned long long)bytes,
				    (unsigned long long)all);
	return NULL;
}

/* --- which ops ----------------------------------------------------------- */

struct grid {
	uint64_t memory, file;	/* bits that must be 0 */
	int is_known;		/* or only to be on the safe side */
};

static struct grid grid_of(const struct peal__hint *hint)
{
	struct grid grid = { hint->in_memory, hint->in_file, 1 };

	if (!grid.file)
		grid = (struct grid){ UNKNOWN_GRID, UNKNOWN_GRID, 0 };
	return grid;
}

static int is_off(const struct peal__hint *hint, uint64_t addr, uint64_t len,
		  uint64_t offset)
{
	struct grid grid = grid_of(hint);

	return hint->kind == KIND_DIRECT &&
	       ((addr & grid.memory) | ((len | offset) & grid.file)) != 0;
}

static int refuse_write(peal_fd fd, const struct grid *grid)
{
	peal__memory_reason("PEAL_BOUNCE: a write to fd %lld wants an offset "
			    "and a length that are multiples of %llu: the rest "
			    "of a block would have to be read before and "
			    "written with it, and a write in between be lost",
			    (long long)fd, (unsigned long long)grid->file + 1);
	return -EINVAL;
}

/* An op with PEAL_BOUNCE: LOOK_BOUNCE, 0: it needs none, or its error. What the
 * number named before is of no use: a pipe must not be asked for more. */
int peal__bounce_look(struct peal_ring *ring, struct peal__look *look,
		      peal_fd fd, uint64_t addr, uint64_t len, uint64_t offset)
{
	uint64_t at = offset == PEAL_CURRENT ? 0 : offset;
	struct grid grid;

	look->flags &= ~PEAL_BOUNCE;
	if (!is_off(peal__memory_hint(ring, fd), addr, len, at))
		return 0;
	peal__memory_forget(ring, fd);
	look->hint = peal__memory_hint(ring, fd);
	if (!is_off(look->hint, addr, len, at))
		return 0;
	grid = grid_of(look->hint);
	if (look->flags & PEAL_FIXED) {
		peal__memory_reason("PEAL_FIXED and PEAL_BOUNCE exclude each "
				    "other where the op is not aligned: the "
				    "ring's own memory is not registered");
		return -EINVAL;
	}
	if (look->opcode == PEAL__OP_WRITE && grid.is_known &&
	    (len | at) & grid.file)
		return refuse_write(fd, &grid);
	/* Nobody knows where the file's position is. */
	if (offset == PEAL_CURRENT && (!(addr & grid.memory) ||
				       (grid.is_known && len & grid.file)))
		return 0;
	return at > INT64_MAX - len ? 0 : LOOK_BOUNCE;
}

/* --- start and end ------------------------------------------------------- */

/* The window of an op: *len and *offset become its. */
static uint32_t widen(unsigned opcode, const struct grid *grid, uint64_t *len,
		      uint64_t *offset)
{
	uint32_t head;

	if (opcode != PEAL__OP_READ || *offset == PEAL_CURRENT)
		return 0;
	head = (uint32_t)(*offset & grid->file);
	*offset -= head;
	*len = (*len + head + grid->file) & ~grid->file;
	return head;
}

static peal_op start(struct peal_ring *ring, const struct peal__look *look,
		     peal_fd fd, char *window, uint64_t len, uint64_t offset,
		     peal_handler *handler, void *ctx)
{
	int reads = look->opcode == PEAL__OP_READ;

	if (look->is_full)
		return (reads ? peal_read_full(ring, fd, window, len, offset,
					       look->flags, handler, ctx)
			      : peal_write_full(ring, fd, window, len, offset,
						look->flags, handler, ctx));
	return reads ? peal_read(ring, fd, window, len, offset, look->flags,
				 handler, ctx)
		     : peal_write(ring, fd, window, len, offset, look->flags,
				  handler, ctx);
}

static void note(struct peal_ring *ring, peal_op op, const struct bounced *one)
{
	struct peal__bounce *bounce = ring->memory->bounce;
	uint32_t index = (uint32_t)((uint64_t)op & PEAL__ROW_MASK);
	struct peal__row *row = &ring->rows[index];

	row->entry_flags |= ENTRY_BOUNCE;
	bounce->rows[index] = *one;
	bounce->ops++;
	bounce->bytes += one->bytes;
	ring->stats.bounced_by_op[row->opcode]++;
	peal__memory_lend(ring, op, one->user, one->len);
	if (one->is_read)
		peal__poison((uintptr_t)one->user, one->len);
}

/* After LOOK_BOUNCE. */
peal_op peal__bounce_start(struct peal_ring *ring,
			   const struct peal__look *look, peal_fd fd,
			   const void *buf, uint64_t len, uint64_t offset,
			   peal_handler *handler, void *ctx)
{
	struct grid grid = grid_of(look->hint);
	struct bounced one = { .user = (char *)(uintptr_t)buf, .len = len };
	int error;
	peal_op op;

	one.is_read = look->opcode == PEAL__OP_READ;
	one.head = widen(look->opcode, &grid, &len, &offset);
	one.window = take(ring, len, (grid.memory | grid.file) + 1, &error);
	if (!one.window)
		return error;
	one.bytes = len;
	if (!one.is_read)
		memcpy(one.window, buf, len);
	op = start(ring, look, fd, one.window, len, offset, handler, ctx);
	if (op < 0)
		peal_arena_free(ring->memory->bounce->arena, one.window);
	else
		note(ring, op, &one);
	return op;
}

/* The op has ended: *buf is where a full transfer has come to, else NULL. */
int64_t peal__bounce_end(struct peal_ring *ring, const struct peal__row *row,
			 int64_t result, void **buf)
{
	struct peal__bounce *bounce = ring->memory->bounce;
	const struct bounced *one = &bounce->rows[row - ring->rows];
	uint64_t moved = result > 0 ? (uint64_t)result : 0, got;

	if (row->flags & ROW_FULL)
		moved = (uint64_t)((char *)*buf - one->window);
	got = moved > one->head ? moved - one->head : 0;
	if (got > one->len)
		got = one->len;
	if (one->is_read) {
		MUST(!peal__is_freed((uintptr_t)one->user, one->len),
		     "its buffer was freed while it was lent",
		     peal_opcode_name(row->opcode));
		peal__unpoison((uintptr_t)one->user, one->len);
		peal__unpoison((uintptr_t)one->window, one->bytes);
		memcpy(one->user, one->window + one->head, got);
	}
	peal_arena_free(bounce->arena, one->window);
	bounce->ops--;
	bounce->bytes -= one->bytes;
	if (row->flags & ROW_FULL)
		*buf = one->user + got;
	return result < 0 ? result : (int64_t)got;
}
