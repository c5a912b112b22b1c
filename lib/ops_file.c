/* SPDX-License-Identifier: MIT */
/* File operations: each fills one entry. */
#include <fcntl.h>
#include "lib/direct.h"
#include "lib/start.h"

/* fallocate(2)'s modes and renameat2's friends, the kernel's numbers */
#define MODE_KEEP_SIZE	0x01u
#define MODE_PUNCH_HOLE	0x02u
#define MODE_ZERO_RANGE	0x10u

#ifndef O_DIRECT
#define O_DIRECT	0		/* a system without it */
#endif

_Static_assert(sizeof(struct peal_stat) == 256, "statx's layout");

peal_op peal_open(struct peal_ring *ring, peal_fd dirfd, const char *path,
		  int open_flags, unsigned mode, unsigned flags,
		  peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	peal_op op = peal__start(ring, &sqe, PEAL__OP_OPENAT, dirfd,
				 flags & ~PEAL_DIRECT, handler, ctx);

	if (op < 0)
		return op;
	if (open_flags & O_DIRECT)
		peal__memory_direct(ring);
	sqe->addr = peal__addr(path);
	sqe->len = mode;
	sqe->op_flags = (uint32_t)(open_flags | O_CLOEXEC);
	if (peal__direct_can(ring, PEAL__OP_OPENAT, flags)) {
		peal__direct_wish(ring, op, sqe);
		ring->rows[(uint64_t)op & PEAL__ROW_MASK].arg =
			(open_flags & O_DIRECT) != 0;
	}
	return op;
}

/* What the library starts again must not meet the next file of that number. */
static void forget_fd(struct peal_ring *ring, peal_op close, peal_fd fd)
{
	uint32_t i = (uint32_t)((uint64_t)close & PEAL__ROW_MASK);

	peal__memory_forget(ring, fd);
	if (fd < 0)
		return;
	while ((i = ring->rows[i].fd_next) != 0)
		if (ring->rows[i].fd == fd)
			ring->rows[i].entry_flags |= ENTRY_GONE;
}

peal_op peal_close(struct peal_ring *ring, peal_fd fd, unsigned flags,
		   peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	peal_op op;

	if (peal__direct_is_foreign(ring, fd))
		return -EBADF;
	op = peal__start(ring, &sqe, PEAL__OP_CLOSE, fd, flags, handler, ctx);
	if (op > 0)
		forget_fd(ring, op, fd);
	if (op > 0 && peal_fd_is_direct(fd))
		peal__direct_close_fill(ring, &ring->rows[(uint64_t)op &
							  PEAL__ROW_MASK],
					sqe);
	return op;
}

peal_op peal_read(struct peal_ring *ring, peal_fd fd, void *buf, size_t len,
		  uint64_t offset, unsigned flags,
		  peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_READ, fd, buf, peal__len(len),
			      offset, 0, flags, handler, ctx);
}

peal_op peal_write(struct peal_ring *ring, peal_fd fd, const void *buf,
		   size_t len, uint64_t offset, unsigned flags,
		   peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_WRITE, fd, buf, peal__len(len),
			      offset, 0, flags, handler, ctx);
}

peal_op peal_readv(struct peal_ring *ring, peal_fd fd,
		   const struct iovec *iov, unsigned count, uint64_t offset,
		   unsigned rw_flags, unsigned flags,
		   peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_READV, fd, iov, count, offset,
			      rw_flags, flags, handler, ctx);
}

peal_op peal_writev(struct peal_ring *ring, peal_fd fd,
		    const struct iovec *iov, unsigned count, uint64_t offset,
		    unsigned rw_flags, unsigned flags,
		    peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_WRITEV, fd, iov, count, offset,
			      rw_flags, flags, handler, ctx);
}

peal_op peal_sync(struct peal_ring *ring, peal_fd fd, unsigned flags,
		  peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_FSYNC, fd, NULL, 0, 0, 0, flags,
			      handler, ctx);
}

peal_op peal_datasync(struct peal_ring *ring, peal_fd fd, unsigned flags,
		      peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_FSYNC, fd, NULL, 0, 0,
			      PEAL__FSYNC_DATASYNC, flags, handler, ctx);
}

/* The kernel's entry has 32 bits for this length; 0 means "to the end",
 * which is also what a longer range is rounded up to. */
static uint32_t range_len(uint64_t len)
{
	return len > UINT32_MAX ? 0 : (uint32_t)len;
}

peal_op peal_sync_range(struct peal_ring *ring, peal_fd fd, uint64_t offset,
			uint64_t len, unsigned sync_flags, unsigned flags,
			peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_SYNC_FILE_RANGE, fd, NULL,
			      range_len(len), offset, sync_flags, flags,
			      handler, ctx);
}

static peal_op start_fallocate(struct peal_ring *ring, peal_fd fd,
			       unsigned mode, uint64_t offset, uint64_t len,
			       unsigned flags, peal_handler *handler,
			       void *ctx)
{
	struct peal__sqe *sqe;
	peal_op op = peal__start(ring, &sqe, PEAL__OP_FALLOCATE, fd, flags,
				 handler, ctx);

	if (op < 0)
		return op;
	sqe->off = offset;
	sqe->addr = len;	/* sic: the length is in addr, the mode in len */
	sqe->len = mode;
	return op;
}

static unsigned keep_size(unsigned flags)
{
	return flags & PEAL_KEEP_SIZE ? MODE_KEEP_SIZE : 0;
}

peal_op peal_allocate(struct peal_ring *ring, peal_fd fd, uint64_t offset,
		      uint64_t len, unsigned flags,
		      peal_handler *handler, void *ctx)
{
	return start_fallocate(ring, fd, keep_size(flags), offset, len,
			       flags & ~PEAL_KEEP_SIZE, handler, ctx);
}

peal_op peal_punch(struct peal_ring *ring, peal_fd fd, uint64_t offset,
		   uint64_t len, unsigned flags,
		   peal_handler *handler, void *ctx)
{
	return start_fallocate(ring, fd, MODE_PUNCH_HOLE | MODE_KEEP_SIZE,
			       offset, len, flags, handler, ctx);
}

peal_op peal_zero_range(struct peal_ring *ring, peal_fd fd, uint64_t offset,
			uint64_t len, unsigned flags,
			peal_handler *handler, void *ctx)
{
	return start_fallocate(ring, fd, MODE_ZERO_RANGE | keep_size(flags),
			       offset, len, flags & ~PEAL_KEEP_SIZE, handler,
			       ctx);
}

peal_op peal_truncate(struct peal_ring *ring, peal_fd fd, uint64_t len,
		      unsigned flags, peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_FTRUNCATE, fd, NULL, 0, len, 0,
			      flags, handler, ctx);
}

peal_op peal_advise(struct peal_ring *ring, peal_fd fd, uint64_t offset,
		    uint64_t len, int advice, unsigned flags,
		    peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_FADVISE, fd, NULL, range_len(len),
			      offset, (unsigned)advice, flags, handler, ctx);
}

peal_op peal_stat(struct peal_ring *ring, peal_fd dirfd, const char *path,
		  unsigned at_flags, unsigned mask,
		  struct peal_stat *out_stat, unsigned flags,
		  peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	peal_op op = peal__start(ring, &sqe, PEAL__OP_STATX, dirfd, flags,
				 handler, ctx);

	if (op < 0)
		return op;
	sqe->off = peal__addr(out_stat);
	sqe->addr = peal__addr(path);
	sqe->len = mask;
	sqe->op_flags = at_flags;
	if (PEAL__WATCHES_LENT)
		peal__lend_many(ring, sqe);
	return op;
}

/* rename and link: two directories, two paths */
static peal_op start_two_paths(struct peal_ring *ring, unsigned opcode,
			       peal_fd old_dirfd, const char *old_path,
			       peal_fd new_dirfd, const char *new_path,
			       unsigned op_flags, unsigned flags,
			       peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	peal_op op = peal__start_ends(ring, &sqe, opcode, old_dirfd, new_dirfd,
				      flags, handler, ctx);

	if (op < 0)
		return op;
	sqe->off = peal__addr(new_path);
	sqe->addr = peal__addr(old_path);
	sqe->len = (uint32_t)new_dirfd;
	sqe->op_flags = op_flags;
	return op;
}

peal_op peal_rename(struct peal_ring *ring, peal_fd old_dirfd,
		    const char *old_path, peal_fd new_dirfd,
		    const char *new_path, unsigned rename_flags,
		    unsigned flags, peal_handler *handler, void *ctx)
{
	return start_two_paths(ring, PEAL__OP_RENAMEAT, old_dirfd, old_path,
			       new_dirfd, new_path, rename_flags, flags,
			       handler, ctx);
}

peal_op peal_link(struct peal_ring *ring, peal_fd old_dirfd,
		  const char *old_path, peal_fd new_dirfd,
		  const char *new_path, unsigned at_flags, unsigned flags,
		  peal_handler *handler, void *ctx)
{
	return start_two_paths(ring, PEAL__OP_LINKAT, old_dirfd, old_path,
			       new_dirfd, new_path, at_flags, flags, handler,
			       ctx);
}

peal_op peal_symlink(struct peal_ring *ring, const char *target,
		     peal_fd dirfd, const char *path, unsigned flags,
		     peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	peal_op op = peal__start(ring, &sqe, PEAL__OP_SYMLINKAT, dirfd, flags,
				 handler, ctx);

	if (op < 0)
		return op;
	sqe->off = peal__addr(path);
	sqe->addr = peal__addr(target);
	return op;
}

peal_op peal_unlink(struct peal_ring *ring, peal_fd dirfd, const char *path,
		    unsigned at_flags, unsigned flags,
		    peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_UNLINKAT, dirfd, path, 0, 0,
			      at_flags, flags, handler, ctx);
}

peal_op peal_mkdir(struct peal_ring *ring, peal_fd dirfd, const char *path,
		   unsigned mode, unsigned flags,
		   peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_MKDIRAT, dirfd, path, mode, 0, 0,
			      flags, handler, ctx);
}

peal_op peal_splice(struct peal_ring *ring, peal_fd fd_in, uint64_t off_in,
		    peal_fd fd_out, uint64_t off_out, size_t len,
		    unsigned splice_flags, unsigned flags,
		    peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	peal_op op;

	if (peal__direct_is_foreign(ring, fd_in))
		return -EBADF;
	op = peal__start_ends(ring, &sqe, PEAL__OP_SPLICE, fd_out, fd_in,
			      flags, handler, ctx);
	if (op < 0)
		return op;
	sqe->off = off_out;
	sqe->addr = off_in;
	sqe->len = peal__len(len);
	sqe->op_flags = splice_flags;
	sqe->file_index = (uint32_t)fd_in;
	if (peal_fd_is_direct(fd_in)) {
		sqe->op_flags |= PEAL__SPLICE_FD_IN_FIXED;
		sqe->file_index = peal__direct_slot(ring, fd_in);
	}
	return op;
}
