/* SPDX-License-Identifier: MIT */
/* Files: everything that has a path or an offset. */
#ifndef PEAL_FILE_H
#define PEAL_FILE_H

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

/*
 * Opens a file.
 *   dirfd      where a relative path starts; PEAL_CWD
 *   path       lent
 *   open_flags open(2)'s O_RDONLY, O_CREAT, ...; O_CLOEXEC is added
 *   mode       of a file that is made, less the umask
 *   flags      0 or PEAL_ASYNC
 * Result       the new fd, close-on-exec; yours to close
 * Errors       -ENOENT, -EACCES, -EISDIR, -EEXIST: the path; -EMFILE, -ENFILE:
 *              too many open files; -ENXIO: a FIFO nobody reads, or a socket
 * Lifetime     path until the terminal completion. A FIFO without O_NONBLOCK
 *              waits for its other end, and occupies a kernel worker; on the
 *              pool no cancel ends that, and closing the ring waits for it.
 *              Without PEAL_ASYNC io_uring may open it as if with O_NONBLOCK
 * Thread       the ring's
 * Engines      io_uring 5.6, on a kernel worker if it creates or the path is
 *              not cached; else pool
 * Memory       none
 */
peal_op peal_open(struct peal_ring *ring, peal_fd dirfd, const char *path,
		  int open_flags, unsigned mode, unsigned flags,
		  peal_handler *handler, void *ctx);

/*
 * Closes fd. Ops in flight on it live on, but for what the library has to start
 * again (a short full transfer, a receive that waits for a buffer, ...), which
 * ends with -EBADF: where there may be any, use peal_close_drained(). Never
 * close(2) such a descriptor: the ring is not told, and on epoll its ops wait
 * for a cancel or, while a dup(2) or fork(2) keeps the file open, can meet the
 * next file of that number.
 *   fd       gone when the handler runs, also on an error
 *   flags    0 or PEAL_ASYNC
 * Result     0
 * Errors     -EIO, -ENOSPC, -EDQUOT: an earlier write failed, and some file
 *            systems say so only here; -EBADF: fd is not open
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    io_uring 5.6; else pool
 * Memory     none
 */
peal_op peal_close(struct peal_ring *ring, peal_fd fd, unsigned flags,
		   peal_handler *handler, void *ctx);

/*
 * Refuses new ops on fd (-EBADF), cancels those in flight, and closes it when
 * the last has completed: no op ever meets another file under the same number.
 * An op with two descriptors (splice, copy_range, rename, link) is on both.
 *   fd       as peal_close
 *   flags    0 or PEAL_ASYNC
 * Result     0
 * Errors     as peal_close; -EBADF, returned at once: it is being drained
 *            already; -ECANCELED: peal_cancel() on this handle, fd is still
 *            open
 * Lifetime   what was lent to the ops on fd comes back with their terminal
 *            completions, all of them before this one
 * Thread     the ring's; only this ring's ops are known
 * Engines    as peal_close
 * Memory     none
 */
peal_op peal_close_drained(struct peal_ring *ring, peal_fd fd, unsigned flags,
			   peal_handler *handler, void *ctx);

/*
 * Reads up to len bytes.
 *   fd       a file, pipe, terminal or socket
 *   buf      len bytes; lent
 *   len      bytes; one call moves at most 2,147,479,552
 *   offset   bytes from the start of the file; PEAL_CURRENT; what has no
 *            position (a pipe, a socket, a terminal) ignores it
 *   flags    0, PEAL_ASYNC, PEAL_FIXED, PEAL_PLAIN, PEAL_BOUNCE (memory.h)
 * Result     bytes, maybe fewer than len; 0: the end of the file
 * Errors     -EIO: the device failed; -EINVAL: O_DIRECT, and address, len or
 *            offset is not aligned (peal_stat() tells to what): returned at
 *            once, with peal_memory_reason(), where the ring opened the file or
 *            buf is an arena's; -EISDIR: a directory
 * Lifetime   buf until the terminal completion, whatever was cancelled
 * Thread     the ring's
 * Engines    io_uring 5.6; else pool (files), readiness (the rest). Never
 *            blocks the ring, but for a terminal on io_uring: PEAL_ASYNC, or
 *            O_NONBLOCK, keeps a write there from waiting for its reader; on
 *            tmpfs a kernel worker does it
 * Memory     none
 */
peal_op peal_read(struct peal_ring *ring, peal_fd fd, void *buf, size_t len,
		  uint64_t offset, unsigned flags,
		  peal_handler *handler, void *ctx);

/*
 * Writes up to len bytes.
 *   fd       as peal_read; for a socket peal_send() is the better call
 *   buf      len bytes; lent
 *   len, offset, flags  as peal_read; ops in flight at PEAL_CURRENT at the same
 *            time land in any order
 * Result     bytes, maybe fewer than len
 * Errors     -ENOSPC, -EDQUOT: no room; -EFBIG: RLIMIT_FSIZE or the file
 *            system's limit; -EIO, -EINVAL: as peal_read; -EPIPE: nobody reads.
 *            A file's data may still fail later: peal_sync()
 * Lifetime   buf until the terminal completion, whatever was cancelled
 * Thread     the ring's
 * Engines    as peal_read; a kernel worker does it, at 3 to 6 times the CPU of
 *            a plain call, on tmpfs, and on ext4 unless it is O_DIRECT to
 *            blocks the file has
 * Memory     none
 */
peal_op peal_write(struct peal_ring *ring, peal_fd fd, const void *buf,
		   size_t len, uint64_t offset, unsigned flags,
		   peal_handler *handler, void *ctx);

/*
 * Reads into several buffers with one call, preadv2(2).
 *   fd       as peal_read
 *   iov      count buffers; the array and the buffers are lent. On a ring with
 *            an arena, or that opened a file with O_DIRECT, it is read at once:
 *            it must be memory
 *   count    items, at most 1024
 *   offset   as peal_read
 *   rw_flags RWF_HIPRI, RWF_NOWAIT, ...; 0
 *   flags    0 or PEAL_ASYNC
 * Result     as peal_read, over all buffers
 * Errors     as peal_read; -EOPNOTSUPP: the file system lacks one of rw_flags;
 *            -EAGAIN: RWF_NOWAIT, and it would have to wait
 * Lifetime   iov and its buffers until the terminal completion
 * Thread     the ring's
 * Engines    io_uring 5.1; else as peal_read
 * Memory     none
 */
peal_op peal_readv(struct peal_ring *ring, peal_fd fd,
		   const struct iovec *iov, unsigned count, uint64_t offset,
		   unsigned rw_flags, unsigned flags,
		   peal_handler *handler, void *ctx);

/*
 * Writes several buffers with one call, pwritev2(2).
 *   fd       as peal_write
 *   iov      as peal_readv
 *   count    as peal_readv
 *   offset   as peal_write
 *   rw_flags RWF_DSYNC, RWF_APPEND, ...; 0
 *   flags    0 or PEAL_ASYNC
 * Result     as peal_write, over all buffers
 * Errors     as peal_write; -EOPNOTSUPP: the file system lacks one of rw_flags
 * Lifetime   iov and its buffers until the terminal completion
 * Thread     the ring's
 * Engines    io_uring 5.1; else as peal_write
 * Memory     none
 */
peal_op peal_writev(struct peal_ring *ring, peal_fd fd,
		    const struct iovec *iov, unsigned count, uint64_t offset,
		    unsigned rw_flags, unsigned flags,
		    peal_handler *handler, void *ctx);

/*
 * Reads len bytes: short reads, EINTR and spurious EAGAIN are repaired inside.
 *   fd, buf, offset, flags  as peal_read
 *   len      bytes, any number
 * Result     len; fewer only when the file ended first. done->buf is the first
 *            byte that was not read, also on an error
 * Errors     as peal_read; what was read before it is in buf
 * Lifetime   buf until the terminal completion
 * Thread     the ring's
 * Engines    as peal_read
 * Memory     none; counts as two ops against max_ops
 */
peal_op peal_read_full(struct peal_ring *ring, peal_fd fd, void *buf,
		       size_t len, uint64_t offset, unsigned flags,
		       peal_handler *handler, void *ctx);

/*
 * Writes len bytes: short writes, EINTR and spurious EAGAIN are repaired
 * inside.
 *   fd, buf, offset, flags  as peal_write
 *   len      bytes, any number
 * Result     len. done->buf is the first byte that was not written, also on an
 *            error
 * Errors     as peal_write; what was written before it stays written
 * Lifetime   buf until the terminal completion
 * Thread     the ring's
 * Engines    as peal_write
 * Memory     as peal_read_full
 */
peal_op peal_write_full(struct peal_ring *ring, peal_fd fd, const void *buf,
			size_t len, uint64_t offset, unsigned flags,
			peal_handler *handler, void *ctx);

/*
 * Brings a file's data and metadata to the device, fsync(2). Covers the writes
 * that had completed when it was started, no others.
 *   fd       a file or directory
 *   flags    0 or PEAL_ASYNC
 * Result     0
 * Errors     -EIO, -ENOSPC, -EDQUOT: data is lost. A second sync that succeeds
 *            does not bring it back: write it again, or stop
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    io_uring 5.1, on a kernel worker; else pool
 * Memory     none
 */
peal_op peal_sync(struct peal_ring *ring, peal_fd fd, unsigned flags,
		  peal_handler *handler, void *ctx);

/*
 * Brings a file's data to the device, and of its metadata what reading it back
 * needs, fdatasync(2).
 *   fd, flags  as peal_sync
 * Result     0
 * Errors     as peal_sync
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    as peal_sync
 * Memory     none
 */
peal_op peal_datasync(struct peal_ring *ring, peal_fd fd, unsigned flags,
		      peal_handler *handler, void *ctx);

/*
 * Starts, or waits for, the write-out of some pages, sync_file_range(2). To
 * spread the work of a later sync; no durability guarantee.
 *   fd         a file
 *   offset     bytes
 *   len        bytes; 0, or more than 32 bits hold: to the end
 *   sync_flags SYNC_FILE_RANGE_WRITE, ...
 *   flags      0 or PEAL_ASYNC
 * Result       0
 * Errors       -EIO, -ENOSPC: as peal_sync; -EINVAL: a sync flag; -ESPIPE: no
 *              file
 * Lifetime     nothing is lent
 * Thread       the ring's
 * Engines      io_uring 5.2, on a kernel worker; else pool
 * Memory       none
 */
peal_op peal_sync_range(struct peal_ring *ring, peal_fd fd, uint64_t offset,
			uint64_t len, unsigned sync_flags, unsigned flags,
			peal_handler *handler, void *ctx);

/*
 * Reserves room: later writes there cannot fail with -ENOSPC, fallocate(2).
 *   fd       a file open for writing
 *   offset   bytes
 *   len      bytes, not 0
 *   flags    0, PEAL_ASYNC, PEAL_KEEP_SIZE: do not grow the file
 * Result     0
 * Errors     -ENOSPC, -EDQUOT: no room; -EOPNOTSUPP: not on this file system;
 *            -EFBIG: too large; -EINVAL: len is 0
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    io_uring 5.6, on a kernel worker; else pool
 * Memory     none
 */
peal_op peal_allocate(struct peal_ring *ring, peal_fd fd, uint64_t offset,
		      uint64_t len, unsigned flags,
		      peal_handler *handler, void *ctx);

/*
 * Makes a hole: the range reads as zeroes and takes no room; the file's length
 * stays.
 *   fd, offset, len  as peal_allocate
 *   flags    0 or PEAL_ASYNC
 * Result     0
 * Errors     -EOPNOTSUPP: not on this file system; -EINVAL: len is 0
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    as peal_allocate
 * Memory     none
 */
peal_op peal_punch(struct peal_ring *ring, peal_fd fd, uint64_t offset,
		   uint64_t len, unsigned flags,
		   peal_handler *handler, void *ctx);

/*
 * Makes a range read as zeroes, where possible without writing them.
 *   fd, offset, len, flags  as peal_allocate
 * Result     0
 * Errors     -EOPNOTSUPP: not on this file system (write zeroes instead);
 *            -ENOSPC, -EDQUOT: no room; -EINVAL: len is 0
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    as peal_allocate
 * Memory     none
 */
peal_op peal_zero_range(struct peal_ring *ring, peal_fd fd, uint64_t offset,
			uint64_t len, unsigned flags,
			peal_handler *handler, void *ctx);

/*
 * Sets a file's length, ftruncate(2).
 *   fd       a file open for writing
 *   len      bytes
 *   flags    0 or PEAL_ASYNC
 * Result     0
 * Errors     -EFBIG: too large; -EINVAL: not open for writing, or no file
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    io_uring 6.9, on a kernel worker; else pool
 * Memory     none
 */
peal_op peal_truncate(struct peal_ring *ring, peal_fd fd, uint64_t len,
		      unsigned flags, peal_handler *handler, void *ctx);

/*
 * Says how a part of a file will be used, posix_fadvise(2).
 *   fd       a file
 *   offset   bytes
 *   len      as peal_sync_range
 *   advice   POSIX_FADV_SEQUENTIAL, POSIX_FADV_DONTNEED, ...
 *   flags    0 or PEAL_ASYNC
 * Result     0
 * Errors     -EINVAL: the advice; -ESPIPE: a pipe
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    io_uring 5.6, on a kernel worker for POSIX_FADV_WILLNEED and
 *            DONTNEED; else pool
 * Memory     none
 */
peal_op peal_advise(struct peal_ring *ring, peal_fd fd, uint64_t offset,
		    uint64_t len, int advice, unsigned flags,
		    peal_handler *handler, void *ctx);

/*
 * Asks for a file's attributes, statx(2).
 *   dirfd    where a relative path starts; PEAL_CWD; the file itself with
 *            PEAL_STAT_EMPTY_PATH
 *   path     lent
 *   at_flags PEAL_STAT_EMPTY_PATH, PEAL_STAT_NOFOLLOW; 0
 *   mask     what is wanted: PEAL_STAT_BASIC, PEAL_STAT_DIO
 *   out_stat lent; its mask says what was found
 *   flags    0 or PEAL_ASYNC
 * Result     0
 * Errors     -ENOENT, -EACCES, -ENOTDIR, -ELOOP: the path
 * Lifetime   path and out_stat until the terminal completion
 * Thread     the ring's
 * Engines    io_uring 5.6, on a kernel worker; else pool
 * Memory     none
 */
peal_op peal_stat(struct peal_ring *ring, peal_fd dirfd, const char *path,
		  unsigned at_flags, unsigned mask,
		  struct peal_stat *out_stat, unsigned flags,
		  peal_handler *handler, void *ctx);

/*
 * Renames a file, and replaces what has the new name, at once, renameat2(2).
 *   old_dirfd, new_dirfd  where a relative path starts; PEAL_CWD
 *   old_path, new_path  lent
 *   rename_flags RENAME_NOREPLACE, RENAME_EXCHANGE; 0
 *   flags        0 or PEAL_ASYNC
 * Result         0; durable only after peal_sync() of the directory
 * Errors         -ENOENT, -EACCES: a path; -EXDEV: two file systems; -EEXIST:
 *                RENAME_NOREPLACE; -ENOTEMPTY, -EISDIR: a directory
 * Lifetime       both paths until the terminal completion
 * Thread         the ring's
 * Engines        io_uring 5.11, on a kernel worker; else pool
 * Memory         none; with a new_dirfd of its own it counts as two ops against
 *                max_ops
 */
peal_op peal_rename(struct peal_ring *ring, peal_fd old_dirfd,
		    const char *old_path, peal_fd new_dirfd,
		    const char *new_path, unsigned rename_flags,
		    unsigned flags, peal_handler *handler, void *ctx);

/*
 * Gives a file a second name, linkat(2).
 *   old_dirfd, new_dirfd  as peal_rename
 *   old_path, new_path  lent
 *   at_flags AT_SYMLINK_FOLLOW, AT_EMPTY_PATH; 0
 *   flags    0 or PEAL_ASYNC
 * Result     as peal_rename
 * Errors     -EEXIST: new_path exists; -EXDEV, -ENOENT, -EACCES: as peal_rename
 * Lifetime   as peal_rename
 * Thread     the ring's
 * Engines    io_uring 5.15, on a kernel worker; else pool
 * Memory     as peal_rename
 */
peal_op peal_link(struct peal_ring *ring, peal_fd old_dirfd,
		  const char *old_path, peal_fd new_dirfd,
		  const char *new_path, unsigned at_flags, unsigned flags,
		  peal_handler *handler, void *ctx);

/*
 * Makes a symbolic link, symlinkat(2).
 *   target   what it says; lent
 *   dirfd    where a relative path starts; PEAL_CWD
 *   path     lent
 *   flags    0 or PEAL_ASYNC
 * Result     as peal_rename
 * Errors     -EEXIST: path exists; -ENOENT, -EACCES: the path
 * Lifetime   target and path until the terminal completion
 * Thread     the ring's
 * Engines    as peal_link
 * Memory     none
 */
peal_op peal_symlink(struct peal_ring *ring, const char *target,
		     peal_fd dirfd, const char *path, unsigned flags,
		     peal_handler *handler, void *ctx);

/*
 * Removes a name, unlinkat(2).
 *   dirfd    where a relative path starts; PEAL_CWD
 *   path     lent
 *   at_flags PEAL_REMOVE_DIR: an empty directory; 0
 *   flags    0 or PEAL_ASYNC
 * Result     as peal_rename
 * Errors     -ENOENT, -EACCES: the path; -EISDIR: wants PEAL_REMOVE_DIR;
 *            -ENOTEMPTY: the directory is not empty
 * Lifetime   path until the terminal completion
 * Thread     the ring's
 * Engines    io_uring 5.11, on a kernel worker; else pool
 * Memory     none
 */
peal_op peal_unlink(struct peal_ring *ring, peal_fd dirfd, const char *path,
		    unsigned at_flags, unsigned flags,
		    peal_handler *handler, void *ctx);

/*
 * Makes a directory, mkdirat(2).
 *   dirfd    where a relative path starts; PEAL_CWD
 *   path     lent
 *   mode     less the umask
 *   flags    0 or PEAL_ASYNC
 * Result     as peal_rename
 * Errors     -EEXIST: path exists; -ENOENT, -EACCES: the path
 * Lifetime   path until the terminal completion
 * Thread     the ring's
 * Engines    as peal_link
 * Memory     none
 */
peal_op peal_mkdir(struct peal_ring *ring, peal_fd dirfd, const char *path,
		   unsigned mode, unsigned flags,
		   peal_handler *handler, void *ctx);

/*
 * Moves bytes between a pipe and another fd without copying them, splice(2).
 *   fd_in, fd_out  one of the two is a pipe
 *   off_in, off_out  bytes; PEAL_CURRENT for a pipe or the file's position
 *   len          bytes
 *   splice_flags SPLICE_F_MORE, ...; 0
 *   flags        0 or PEAL_ASYNC
 * Result         bytes, maybe fewer than len; 0: the end of fd_in
 * Errors         -EINVAL: neither is a pipe, or the file system cannot; -EPIPE:
 *                nobody reads
 * Lifetime       nothing is lent
 * Thread         the ring's
 * Engines        io_uring 5.7, on a kernel worker; else pool
 * Memory         none; counts as two ops against max_ops
 */
peal_op peal_splice(struct peal_ring *ring, peal_fd fd_in, uint64_t off_in,
		    peal_fd fd_out, uint64_t off_out, size_t len,
		    unsigned splice_flags, unsigned flags,
		    peal_handler *handler, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
