/* SPDX-License-Identifier: MIT */
/*
 * Calls that no ring has an opcode for. Each runs as a plain system call on a
 * pool of threads that the ring starts when the first one comes (at most
 * options.pool_threads), on every engine. A cancel ends one that waits for a
 * thread; one that runs is -EALREADY and completes with its result.
 */
#ifndef PEAL_WORK_H
#define PEAL_WORK_H

#include "peal/op.h"

#ifdef __cplusplus
extern "C" {
#endif

struct addrinfo;

/* One entry of a directory; the next one is length bytes further. */
struct peal_dir_entry {
	uint64_t inode;
	int64_t position;
	uint16_t length;	/* of this entry, its name and padding */
	uint8_t type;		/* dirent.h's DT_REG, DT_DIR, ...; 0: unknown */
	char name[1];		/* as long as it is; ends with a NUL */
};

struct peal_statfs {
	uint64_t type;			/* statfs(2)'s magic number */
	uint64_t block_size;		/* bytes; the unit of the next three */
	uint64_t blocks;
	uint64_t blocks_free;
	uint64_t blocks_available;	/* of them, to ordinary users */
	uint64_t files;
	uint64_t files_free;
	uint64_t name_max;		/* bytes of a name, without the NUL */
	uint64_t flags;			/* statvfs(3)'s ST_RDONLY, ... */
};

/*
 * Lists a directory: fills buf with entries (struct peal_dir_entry), from
 * where the call before it ended.
 *   fd       an open directory, with one such call in flight at a time
 *   buf      8-byte aligned; lent
 *   len      bytes, at least 280; at most 2 GiB are used
 *   flags    0
 * Result     bytes filled; 0 at the end
 * Errors     in the completion: -ENOTDIR; -EINVAL: len is too small for the
 *            next entry; -EBADF, -ENOENT: the directory was removed
 * Lifetime   buf is lent until the terminal completion
 * Thread     the ring's
 * Engines    all, on the pool
 * Memory     none
 */
peal_op peal_read_dir(struct peal_ring *ring, peal_fd fd, void *buf,
		      size_t len, unsigned flags,
		      peal_handler *handler, void *ctx);

/*
 * The size and the room of the file system that holds path.
 *   path      lent
 *   out_stat  written when the result is 0; lent
 *   flags     0
 * Result     0
 * Errors     in the completion: -ENOENT, -EACCES, -ENOTDIR, -ENAMETOOLONG
 * Lifetime   both pointers are lent until the terminal completion
 * Thread     the ring's
 * Engines    all, on the pool
 * Memory     none
 */
peal_op peal_statfs(struct peal_ring *ring, const char *path,
		    struct peal_statfs *out_stat, unsigned flags,
		    peal_handler *handler, void *ctx);

/*
 * Where data, or a hole, begins at or after an offset. It moves the file's own
 * position (PEAL_CURRENT), as lseek(2) does.
 *   fd       a file
 *   offset   bytes
 *   flags    0
 * Result     the offset; the end of the file counts as a hole
 * Errors     in the completion: -ENXIO: offset is at or past the end, or no
 *            data follows; -ESPIPE: a pipe or socket; -EBADF
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    all, on the pool
 * Memory     none
 */
peal_op peal_seek_data(struct peal_ring *ring, peal_fd fd, uint64_t offset,
		       unsigned flags, peal_handler *handler, void *ctx);

/*
 * As peal_seek_data, for a hole.
 *   fd, offset, flags  as peal_seek_data
 * Result     as peal_seek_data
 * Errors     as peal_seek_data
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    all, on the pool
 * Memory     none
 */
peal_op peal_seek_hole(struct peal_ring *ring, peal_fd fd, uint64_t offset,
		       unsigned flags, peal_handler *handler, void *ctx);

/*
 * Copies from file to file inside the kernel; file systems that can, share the
 * blocks instead.
 *   fd_in, fd_out    files; the second one not opened with O_APPEND
 *   off_in, off_out  bytes; PEAL_CURRENT: the file's own position
 *   len              bytes, at most 2 GiB are moved
 *   flags            0
 * Result     bytes copied, may be fewer than len; 0 at the end of fd_in
 * Errors     in the completion: -EXDEV: file systems that cannot (then read
 *            and write); -EINVAL: overlapping ranges, or not files; -EBADF,
 *            -ENOSPC, -EFBIG, -EIO, -EISDIR
 * Lifetime   nothing is lent
 * Thread     the ring's
 * Engines    all, on the pool
 * Memory     none; counts as two ops against max_ops
 */
peal_op peal_copy_range(struct peal_ring *ring, peal_fd fd_in, uint64_t off_in,
			peal_fd fd_out, uint64_t off_out, size_t len,
			unsigned flags, peal_handler *handler, void *ctx);

/*
 * getaddrinfo(3): addresses of a host and a service.
 *   host, service  either may be NULL; lent
 *   hints          may be NULL; lent
 *   out_list       written when the result is 0, whatever was cancelled:
 *                  freeaddrinfo(3) it; lent
 *   flags          0
 * Result     0
 * Errors     in the completion: -ENOENT: no such host or service; -EAGAIN: the
 *            name server did not answer; -EIO: it failed; -EAFNOSUPPORT,
 *            -EINVAL: hints; -ENOMEM
 * Lifetime   all pointers are lent until the terminal completion
 * Thread     the ring's
 * Engines    all, on the pool; it keeps one of its threads for as long as
 *            the name server takes
 * Memory     the C library's, for the list
 */
peal_op peal_resolve(struct peal_ring *ring, const char *host,
		     const char *service, const struct addrinfo *hints,
		     struct addrinfo **out_list, unsigned flags,
		     peal_handler *handler, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
