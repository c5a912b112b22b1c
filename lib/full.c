/* SPDX-License-Identifier: MIT */
/*
 * Full transfers: a plain op that is started again, in the same row and with
 * the same handle, until everything has moved. What is left stands in a second
 * row (a store), so nothing is allocated.
 */
#include "lib/bounce.h"
#include "lib/start.h"

#define MAX_RETRIES 16

struct store {			/* laid over a struct peal__row */
	char *next;		/* the first byte not yet transferred */
	uint64_t offset;	/* PEAL_CURRENT: none */
	int64_t op;		/* the row's, untouched */
	uint64_t left;
	uint64_t moved;
	uint32_t msg_flags;
	uint32_t retries;	/* in a row, without a byte between them */
};

_Static_assert(offsetof(struct store, op) == offsetof(struct peal__row, op),
	       "a store keeps the row's generation");
_Static_assert(sizeof(struct store) <= offsetof(struct peal__row, started_ms),
	       "a store keeps the row's flags");

static struct store *store_of(struct peal_ring *ring, struct peal__row *row)
{
	return (struct store *)(void *)&ring->rows[row->arg];
}

static int is_fixed(const struct peal__row *row)
{
	return row->opcode == PEAL__OP_READ_FIXED ||
	       row->opcode == PEAL__OP_WRITE_FIXED;
}

peal__inline void fill(const struct store *store, struct peal__sqe *sqe,
		       unsigned opcode)
{
	sqe->addr = peal__addr(store->next);
	sqe->len = peal__len(store->left);
	sqe->off = opcode == PEAL__OP_SEND ? 0 : store->offset;
	sqe->op_flags = store->msg_flags;
}

void peal__full_write(struct peal_ring *ring, struct peal__row *row,
		      struct peal__sqe *sqe)
{
	struct store *store = store_of(ring, row);

	fill(store, sqe, row->opcode);
	if (is_fixed(row))	/* what is left lies in the same slot */
		sqe->buf_index = (uint16_t)peal__memory_slot(ring, sqe->addr,
							     store->left);
}

static void advance(struct store *store, uint64_t moved)
{
	MUST(moved <= store->left, "the engine moved more than was asked for",
	     "full transfer");
	store->next += moved;
	store->left -= moved;
	store->moved += moved;
	if (store->offset != PEAL_CURRENT)
		store->offset += moved;
	store->retries = 0;
}

static int is_read(const struct peal__row *row)
{
	return row->opcode == PEAL__OP_READ ||
	       row->opcode == PEAL__OP_READ_FIXED;
}

/* Is another attempt worth it after this result? */
static int again(struct peal_ring *ring, struct peal__row *row,
		 struct store *store, int64_t result)
{
	if (result > 0) {
		ring->stats.resumed++;
		return 1;
	}
	if (result == 0 && is_read(row))
		return 0;		/* end of file */
	if (result < 0 && result != -EINTR && result != -EAGAIN)
		return 0;
	ring->stats.retried++;
	return ++store->retries <= MAX_RETRIES;
}

/* After one transfer. 1: the op goes on; 0: *result is final. */
int peal__full_step(struct peal_ring *ring, struct peal__row *row,
		    int64_t *result)
{
	struct store *store = store_of(ring, row);
	int asked = row->flags & (ROW_CANCEL | ROW_TIMEOUT);
	int64_t one = *result;

	if (one > 0)
		advance(store, (uint64_t)one);
	if (store->left == 0 && one >= 0) {
		*result = (int64_t)store->moved;
		return 0;
	}
	if (asked && (one > 0 || one == -EAGAIN)) {
		*result = asked & ROW_TIMEOUT ? -ETIMEDOUT : -ECANCELED;
		return 0;
	}
	if (!asked && again(ring, row, store, one)) {
		peal__start_again(ring, row);
		return 1;
	}
	if (one == 0)
		*result = is_read(row) ? (int64_t)store->moved : -EIO;
	return 0;
}

void *peal__full_end(struct peal_ring *ring, struct peal__row *row)
{
	void *next = store_of(ring, row)->next;

	peal__store_release(ring, row->arg);
	return next;
}

peal__inline peal_op begin(struct peal_ring *ring, unsigned opcode,
			   peal_fd fd, const void *buf, size_t len,
			   uint64_t offset, uint32_t msg_flags,
			   unsigned flags, uint32_t slot,
			   peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	struct peal__row *row;
	struct store *store;
	uint32_t second = peal__store_take(ring);
	peal_op op;

	if (!second)
		return -EAGAIN;
	op = peal__start(ring, &sqe, opcode, fd, flags, handler, ctx);
	if (op < 0) {
		peal__store_release(ring, second);
		return op;
	}
	row = &ring->rows[(uint64_t)op & PEAL__ROW_MASK];
	row->flags |= ROW_FULL;
	row->entry_flags = (uint8_t)flags;
	row->arg = second;
	store = store_of(ring, row);
	store->next = (char *)(uintptr_t)buf;
	store->offset = offset;
	store->left = len;
	store->moved = 0;
	store->msg_flags = msg_flags;
	store->retries = 0;
	fill(store, sqe, opcode);
	sqe->buf_index = (uint16_t)slot;
	return op;
}

/* On a ring that looks at buffers: the whole transfer takes one form. */
static __attribute__((noinline)) peal_op
begin_looked(struct peal_ring *ring, unsigned opcode, peal_fd fd,
	     const void *buf, size_t len, uint64_t offset, uint32_t msg_flags,
	     unsigned flags, peal_handler *handler, void *ctx)
{
	struct peal__look look = { opcode, flags, 0, 1, NULL };
	peal_op op = peal__memory_look(ring, &look, fd, buf, len, offset);

	if (op == LOOK_BOUNCE)
		return peal__bounce_start(ring, &look, fd, buf, len, offset,
					  handler, ctx);
	if (op < 0)
		return op;
	op = begin(ring, look.opcode, fd, buf, len, offset, msg_flags,
		   look.flags, look.slot, handler, ctx);
	if (op > 0)
		peal__memory_lend(ring, op, buf, len);
	return op;
}

peal__inline peal_op start_full(struct peal_ring *ring, unsigned opcode,
				peal_fd fd, const void *buf, size_t len,
				uint64_t offset, uint32_t msg_flags,
				unsigned flags, peal_handler *handler,
				void *ctx)
{
	if (len > INT64_MAX)
		return -EINVAL;
	peal__must_own(ring, peal_opcode_name(opcode));
	if (peal__looks(ring, flags))
		return begin_looked(ring, opcode, fd, buf, len, offset,
				    msg_flags, flags, handler, ctx);
	return begin(ring, opcode, fd, buf, len, offset, msg_flags, flags, 0,
		     handler, ctx);
}

peal_op peal_read_full(struct peal_ring *ring, peal_fd fd, void *buf,
		       size_t len, uint64_t offset, unsigned flags,
		       peal_handler *handler, void *ctx)
{
	return start_full(ring, PEAL__OP_READ, fd, buf, len, offset, 0, flags,
			  handler, ctx);
}

peal_op peal_write_full(struct peal_ring *ring, peal_fd fd, const void *buf,
			size_t len, uint64_t offset, unsigned flags,
			peal_handler *handler, void *ctx)
{
	return start_full(ring, PEAL__OP_WRITE, fd, buf, len, offset, 0,
			  flags, handler, ctx);
}

peal_op peal_send_full(struct peal_ring *ring, peal_fd fd, const void *buf,
		       size_t len, int msg_flags, unsigned flags,
		       peal_handler *handler, void *ctx)
{
	/* 0x4000 is MSG_NOSIGNAL in Linux's numbers, which entries use. */
	return start_full(ring, PEAL__OP_SEND, fd, buf, len, PEAL_CURRENT,
			  (uint32_t)msg_flags | 0x4000u, flags, handler, ctx);
}
