/* SPDX-License-Identifier: MIT */
/*
 * Direct descriptors (direct.h): the table, what the ops that fill and empty it
 * need beyond others, install and register.
 *
 * The kernel gives slots out and takes them back; used is what its completions
 * said so far.
 */
#include <fcntl.h>
#include "lib/direct.h"

#define CLOSE_ON_EXEC	02000000u	/* O_CLOEXEC and SOCK_CLOEXEC */

int peal_fd_is_direct(peal_fd fd)
{
	return fd >= PEAL__DIRECT_FD;
}

/* --- the table ----------------------------------------------------------- */

int peal__direct_open(struct peal_ring *ring, uint32_t count)
{
	static _Atomic uint32_t tables;
	struct peal__direct *direct;

	ring->direct_base = PEAL__DIRECT_FD;
	if (!count || ring->disable.features & 1u << FEATURE_DIRECT)
		return 0;
	ring->direct_error = -EOPNOTSUPP;
	if (!ring->engine->files_open ||
	    !peal__can(ring, PEAL__OP_CLOSE))	/* only its own op can */
		return 0;
	if (count > PEAL__MOST_SLOTS)
		count = PEAL__MOST_SLOTS;
	direct = peal__alloc(ring, sizeof *direct, 64);
	if (!direct)
		return -ENOMEM;
	direct->count = count;
	direct->hints = peal__alloc(ring, count * sizeof *direct->hints, 64);
	if (!direct->hints) {
		peal__free(ring, direct, sizeof *direct);
		return -ENOMEM;
	}
	ring->direct = direct;
	ring->direct_base = peal__direct_base(atomic_fetch_add(&tables, 1));
	ring->direct_error = ring->engine->files_open(ring, count);
	if (ring->direct_error < 0)
		peal__direct_close(ring);
	return 0;
}

void peal__direct_close(struct peal_ring *ring)
{
	struct peal__direct *direct = ring->direct;

	if (!direct)
		return;
	if (!ring->direct_error)
		ring->engine->files_close(ring);
	peal__free(ring, direct->hints, direct->count * sizeof *direct->hints);
	peal__free(ring, direct, sizeof *direct);
	ring->direct = NULL;
}

void peal__direct_explain(struct peal_ring *ring, FILE *out)
{
	fprintf(out, "%-14s ", "direct");
	if (ring->direct)
		fprintf(out, "on   %u of %u direct descriptors are in use\n",
			ring->direct->used, ring->direct->count);
	else if (ring->disable.features & 1u << FEATURE_DIRECT)
		fprintf(out, "off  direct descriptors: disabled by "
			"PEAL_DISABLE or options.disable\n");
	else if (ring->direct_error == -EMFILE)
		fprintf(out, "off  options.direct_fds is more than "
			"RLIMIT_NOFILE: lower it, or raise the limit\n");
	else if (ring->direct_error)
		fprintf(out, "off  direct descriptors (Linux 5.19): %s\n",
			peal_strerror(ring->direct_error));
	else
		fprintf(out, "off  direct descriptors: options.direct_fds is "
			"0\n");
}

static struct peal__hint *hint_at(const struct peal_ring *ring, peal_fd fd)
{
	uint32_t slot = peal__direct_slot(ring, fd);

	if (!ring->direct || slot >= ring->direct->count)
		return NULL;
	return &ring->direct->hints[slot];
}

const struct peal__hint *peal__direct_hint(const struct peal_ring *ring,
					   peal_fd fd)
{
	static const struct peal__hint other = { .kind = KIND_OTHER };
	const struct peal__hint *hint = hint_at(ring, fd);

	return hint ? hint : &other;
}

/* --- results ------------------------------------------------------------- */

/* Close-on-exec means nothing there, and is refused. */
void peal__direct_aim(struct peal__sqe *sqe)
{
	sqe->file_index = PEAL__ANY_SLOT;
	if (sqe->opcode == PEAL__OP_SOCKET)
		sqe->off &= ~(uint64_t)CLOSE_ON_EXEC;
	else
		sqe->op_flags &= ~CLOSE_ON_EXEC;
}

void peal__direct_wish(struct peal_ring *ring, peal_op op,
		       struct peal__sqe *sqe)
{
	struct peal__row *row = &ring->rows[(uint64_t)op & PEAL__ROW_MASK];

	row->entry_flags |= ENTRY_DIRECT;
	peal__direct_aim(sqe);
}

/* What is known of a file that has just come into a slot. */
static void note_kind(struct peal_ring *ring, const struct peal__row *row,
		      peal_fd fd)
{
	struct peal__hint *hint = hint_at(ring, fd);

	MUST(hint, "the engine has used a slot that there is not", "direct");
	*hint = (struct peal__hint){ .fd = (int32_t)fd, .kind = KIND_OTHER };
	if (row->opcode == PEAL__OP_OPENAT && row->arg)
		hint->kind = KIND_DIRECT;
	if (row->opcode == PEAL__OP_FILES_UPDATE)
		*hint = *peal__memory_hint(ring, row->fd);
}

int64_t peal__direct_result(struct peal_ring *ring, struct peal__row *row,
			    int64_t result)
{
	peal_fd fd;

	if (row->opcode == PEAL__OP_CLOSE) {
		ring->direct->used -= result == 0;
		return result;
	}
	if (result == -ENFILE)
		ring->stats.direct_full++;
	if (result < 0)
		return result;
	fd = (peal_fd)ring->direct_base +
	     (row->opcode == PEAL__OP_FILES_UPDATE ? (peal_fd)row->arg
						   : (peal_fd)result);
	note_kind(ring, row, fd);
	ring->direct->used++;
	return fd;
}

/* The slot plus one, and no other descriptor. */
void peal__direct_close_fill(struct peal_ring *ring, struct peal__row *row,
			     struct peal__sqe *sqe)
{
	row->entry_flags |= ENTRY_DIRECT;
	sqe->flags &= (uint8_t)~PEAL__SQE_FIXED_FILE;
	sqe->fd = 0;
	sqe->file_index = peal__direct_slot(ring, row->fd) + 1;
}

void peal__direct_drop(struct peal_ring *ring, peal_fd fd)
{
	ring->engine->files_drop(ring, peal__direct_slot(ring, fd));
	ring->direct->used--;
}

/* --- the way out of the table, and in ------------------------------------ */

/* For an ordinary descriptor: a call that cannot block. */
static peal_op duplicate(struct peal_ring *ring, peal_fd fd, unsigned flags,
			 peal_handler *handler, void *ctx)
{
	const struct peal__sqe entry = { .opcode = PEAL__OP_FIXED_FD_INSTALL,
					 .fd = (int32_t)fd };
	peal_op op = peal__start_user(ring, entry.opcode, fd, flags, handler,
				      ctx);

	if (op > 0)
		peal__ready(ring, peal__row_find(ring, op),
			    peal__call_now(ring, &entry));
	return op;
}

peal_op peal_fd_install(struct peal_ring *ring, peal_fd fd, unsigned flags,
			peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;

	if (!peal_fd_is_direct(fd))
		return duplicate(ring, fd, flags, handler, ctx);
	return peal__start(ring, &sqe, PEAL__OP_FIXED_FD_INSTALL, fd, flags,
			   handler, ctx);
}

/* The kernel reads the descriptor there, and writes the slot: the row stays
 * where it is. */
peal_op peal_fd_register(struct peal_ring *ring, peal_fd fd, unsigned flags,
			 peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	struct peal__row *row;
	peal_op op;

	if (peal_fd_is_direct(fd))
		return -EBADF;
	if (!ring->direct || !peal__can(ring, PEAL__OP_FILES_UPDATE))
		return duplicate(ring, fd, flags, handler, ctx);
	op = peal__start(ring, &sqe, PEAL__OP_FILES_UPDATE, fd, flags, handler,
			 ctx);
	if (op < 0)
		return op;
	row = &ring->rows[(uint64_t)op & PEAL__ROW_MASK];
	row->entry_flags |= ENTRY_DIRECT;
	row->arg = (uint32_t)fd;
	peal__memory_hint(ring, fd);	/* while fd is open */
	sqe->fd = -1;
	sqe->addr = peal__addr(&row->arg);
	sqe->len = 1;
	sqe->off = PEAL__ANY_SLOT;
	return op;
}
