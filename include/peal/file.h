/* SPDX-License-Identifier: MIT */
/* Files: everything that has a path or an offset. */
#ifndef PEAL_FILE_H
#define PEAL_FILE_H

#include <sys/uio.h>
#include "peal/op.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PEAL_CWD	(-100)		/* dirfd: the working directory */
#define PEAL_CURRENT	UINT64_MAX	/* offset: the file's own position;
					 * for pipes, terminals, streams */

struct peal_time {
	int64_t sec;
	uint32_t nsec;
	int32_t pad;
};

/* statx(2)'s result, the same on every system. */
struct peal_stat {
	uint32_t mask;
	uint32_t block_size;
	uint64_t attributes;
	uint32_t links;
	uint32_t uid;
	uint32_t gid;
	uint16_t mode;
	uint16_t pad0;
	uint64_t inode;
	uint64_t bytes;		/* the file's length */
	uint64_t blocks;	/* of 512 bytes */
	uint64_t attributes_mask;
	struct peal_time accessed;
	struct peal_time born;
	struct peal_time changed;
	struct peal_time modified;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint64_t mount;
	uint32_t dio_memory_align; /* 0: unknown */
	uint32_t dio_offset_align;
	uint64_t spare[12];
};

#define PEAL_STAT_BASIC	0x7ffu	/* mask: what stat(2) gives */
#define PEAL_STAT_DIO	0x2000u	/* mask: alignment for O_DIRECT, Linux 6.1 */
#define PEAL_STAT_EMPTY_PATH 0x1000u /* at_flags: path is "", stat dirfd */
#define PEAL_STAT_NOFOLLOW 0x100u    /* at_flags: a symbolic link itself */

/* at_flags: unlink a directory */
#define PEAL_REMOVE_DIR 0x200u

/* Result: the new fd, close-on-exec. */
peal_op peal_open(struct peal_ring *ring, peal_fd dirfd, const char *path,
		  int open_flags, unsigned mode, unsigned flags,
		  peal_handler *handler, void *ctx);
/* Result: 0. The fd is gone when the handler runs; ops in flight on it live on:
 * peal_close_drained() is the one to use when there may be any. */
peal_op peal_close(struct peal_ring *ring, peal_fd fd, unsigned flags,
		   peal_handler *handler, void *ctx);
/* Refuses new ops on fd, cancels those in flight, closes it when the last has
 * completed. Result: 0. */
peal_op peal_close_drained(struct peal_ring *ring, peal_fd fd, unsigned flags,
			   peal_handler *handler, void *ctx);

/* Result: bytes, 0 at end of file; may be fewer than len. */
peal_op peal_read(struct peal_ring *ring, peal_fd fd, void *buf, size_t len,
		  uint64_t offset, unsigned flags,
		  peal_handler *handler, void *ctx);
peal_op peal_write(struct peal_ring *ring, peal_fd fd, const void *buf,
		   size_t len, uint64_t offset, unsigned flags,
		   peal_handler *handler, void *ctx);
/* rw_flags: preadv2(2)'s RWF_DSYNC, ... */
peal_op peal_readv(struct peal_ring *ring, peal_fd fd,
		   const struct iovec *iov, unsigned count, uint64_t offset,
		   unsigned rw_flags, unsigned flags,
		   peal_handler *handler, void *ctx);
peal_op peal_writev(struct peal_ring *ring, peal_fd fd,
		    const struct iovec *iov, unsigned count, uint64_t offset,
		    unsigned rw_flags, unsigned flags,
		    peal_handler *handler, void *ctx);

/* Full transfers: short ones, EINTR and spurious EAGAIN are repaired inside.
 * Result: len; for a read fewer, when the file ended first; or an error.
 * done->buf is the first byte that was not transferred, also on error. */
peal_op peal_read_full(struct peal_ring *ring, peal_fd fd, void *buf,
		       size_t len, uint64_t offset, unsigned flags,
		       peal_handler *handler, void *ctx);
peal_op peal_write_full(struct peal_ring *ring, peal_fd fd, const void *buf,
			size_t len, uint64_t offset, unsigned flags,
			peal_handler *handler, void *ctx);

/* fsync(2) and fdatasync(2). Result: 0. Covers the writes that had completed
 * when it was started, no others. */
peal_op peal_sync(struct peal_ring *ring, peal_fd fd, unsigned flags,
		  peal_handler *handler, void *ctx);
peal_op peal_datasync(struct peal_ring *ring, peal_fd fd, unsigned flags,
		      peal_handler *handler, void *ctx);
/* sync_file_range(2). Result: 0. Not a durability guarantee. */
peal_op peal_sync_range(struct peal_ring *ring, peal_fd fd, uint64_t offset,
			uint64_t len, unsigned sync_flags, unsigned flags,
			peal_handler *handler, void *ctx);
/* fallocate(2): reserve; make a hole; zeroes. Result: 0.
 * PEAL_KEEP_SIZE (allocate, zero range): do not grow the file. */
peal_op peal_allocate(struct peal_ring *ring, peal_fd fd, uint64_t offset,
		      uint64_t len, unsigned flags,
		      peal_handler *handler, void *ctx);
peal_op peal_punch(struct peal_ring *ring, peal_fd fd, uint64_t offset,
		   uint64_t len, unsigned flags,
		   peal_handler *handler, void *ctx);
peal_op peal_zero_range(struct peal_ring *ring, peal_fd fd, uint64_t offset,
			uint64_t len, unsigned flags,
			peal_handler *handler, void *ctx);
/* Result: 0. Linux 6.9. */
peal_op peal_truncate(struct peal_ring *ring, peal_fd fd, uint64_t len,
		      unsigned flags, peal_handler *handler, void *ctx);
/* posix_fadvise(2). Result: 0. */
peal_op peal_advise(struct peal_ring *ring, peal_fd fd, uint64_t offset,
		    uint64_t len, int advice, unsigned flags,
		    peal_handler *handler, void *ctx);
/* statx(2) into *out_stat (lent). Result: 0. */
peal_op peal_stat(struct peal_ring *ring, peal_fd dirfd, const char *path,
		  unsigned at_flags, unsigned mask,
		  struct peal_stat *out_stat, unsigned flags,
		  peal_handler *handler, void *ctx);
/* renameat2(2), linkat(2), symlinkat(2), unlinkat(2), mkdirat(2). Result: 0. */
peal_op peal_rename(struct peal_ring *ring, peal_fd old_dirfd,
		    const char *old_path, peal_fd new_dirfd,
		    const char *new_path, unsigned rename_flags,
		    unsigned flags, peal_handler *handler, void *ctx);
peal_op peal_link(struct peal_ring *ring, peal_fd old_dirfd,
		  const char *old_path, peal_fd new_dirfd,
		  const char *new_path, unsigned at_flags, unsigned flags,
		  peal_handler *handler, void *ctx);
peal_op peal_symlink(struct peal_ring *ring, const char *target,
		     peal_fd dirfd, const char *path, unsigned flags,
		     peal_handler *handler, void *ctx);
peal_op peal_unlink(struct peal_ring *ring, peal_fd dirfd, const char *path,
		    unsigned at_flags, unsigned flags,
		    peal_handler *handler, void *ctx);
peal_op peal_mkdir(struct peal_ring *ring, peal_fd dirfd, const char *path,
		   unsigned mode, unsigned flags,
		   peal_handler *handler, void *ctx);
/* splice(2); one of the two is a pipe. PEAL_CURRENT for a pipe's offset.
 * Result: bytes. */
peal_op peal_splice(struct peal_ring *ring, peal_fd fd_in, uint64_t off_in,
		    peal_fd fd_out, uint64_t off_out, size_t len,
		    unsigned splice_flags, unsigned flags,
		    peal_handler *handler, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
