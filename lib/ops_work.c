/* SPDX-License-Identifier: MIT */
/* Operations that only a plain system call does: each fills one job. */
#include "lib/start.h"
#include "peal/work.h"

/* lseek(2)'s, the kernel's numbers */
#define SEEK_TO_DATA	3u
#define SEEK_TO_HOLE	4u

peal_op peal_read_dir(struct peal_ring *ring, peal_fd fd, void *buf,
		      size_t len, unsigned flags,
		      peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_READ_DIR, fd, buf, peal__len(len),
			      0, 0, flags, handler, ctx);
}

peal_op peal_statfs(struct peal_ring *ring, const char *path,
		    struct peal_statfs *out_stat, unsigned flags,
		    peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_STATFS, -1, path, 0,
			      peal__addr(out_stat), 0, flags, handler, ctx);
}

peal_op peal_seek_data(struct peal_ring *ring, peal_fd fd, uint64_t offset,
		       unsigned flags, peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_SEEK, fd, NULL, SEEK_TO_DATA,
			      offset, 0, flags, handler, ctx);
}

peal_op peal_seek_hole(struct peal_ring *ring, peal_fd fd, uint64_t offset,
		       unsigned flags, peal_handler *handler, void *ctx)
{
	return peal__start_op(ring, PEAL__OP_SEEK, fd, NULL, SEEK_TO_HOLE,
			      offset, 0, flags, handler, ctx);
}

peal_op peal_copy_range(struct peal_ring *ring, peal_fd fd_in, uint64_t off_in,
			peal_fd fd_out, uint64_t off_out, size_t len,
			unsigned flags, peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	peal_op op = peal__start_ends(ring, &sqe, PEAL__OP_COPY_RANGE, fd_out,
				      fd_in, flags, handler, ctx);

	if (op < 0)
		return op;
	sqe->off = off_out;
	sqe->addr = off_in;
	sqe->len = peal__len(len);
	sqe->file_index = (uint32_t)fd_in;
	return op;
}

peal_op peal_resolve(struct peal_ring *ring, const char *host,
		     const char *service, const struct addrinfo *hints,
		     struct addrinfo **out_list, unsigned flags,
		     peal_handler *handler, void *ctx)
{
	struct peal__sqe *sqe;
	peal_op op = peal__start(ring, &sqe, PEAL__OP_RESOLVE, -1, flags,
				 handler, ctx);

	if (op < 0)
		return op;
	sqe->addr = peal__addr(host);
	sqe->off = peal__addr(service);
	sqe->pad = peal__addr(hints);
	sqe->addr3 = peal__addr(out_list);
	return op;
}
