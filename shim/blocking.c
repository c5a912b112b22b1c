/* SPDX-License-Identifier: MIT */
/*
 * The plain system call of every operation. An entry says what to call; the
 * answer is what the kernel's own ring would have answered.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>
#include "lib/engine.h"
#include "lib/optable.h"
#include "peal/work.h"
#include "shim/parts.h"

static void *pointer(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

/* Streams have no offset and a ring ignores the one they are given. */
static ssize_t call_rw(const struct peal__sqe *sqe)
{
	int write = peal__op_row(sqe->opcode)->waits == WAITS_WRITABLE;
	off_t offset = (off_t)sqe->off;
	int flags = (int)sqe->op_flags, count;
	const struct iovec *iov;
	struct iovec one;
	ssize_t rc;

	count = (int)shim_parts(sqe, &one, &iov);

	do {
		rc = write ? pwritev2(sqe->fd, iov, count, offset, flags)
			   : preadv2(sqe->fd, iov, count, offset, flags);
		if (rc >= 0 || errno != ESPIPE || offset == -1)
			return rc;
		offset = -1;
	} while (1);
}

static ssize_t call_fsync(const struct peal__sqe *sqe)
{
	return sqe->op_flags & PEAL__FSYNC_DATASYNC ? fdatasync(sqe->fd)
						    : fsync(sqe->fd);
}

static ssize_t call_sync_range(const struct peal__sqe *sqe)
{
	return sync_file_range(sqe->fd, (off_t)sqe->off, sqe->len,
			       sqe->op_flags);
}

static ssize_t call_fallocate(const struct peal__sqe *sqe)
{
	return fallocate(sqe->fd, (int)sqe->len, (off_t)sqe->off,
			 (off_t)sqe->addr);
}

static ssize_t call_open(const struct peal__sqe *sqe)
{
	return openat(sqe->fd, pointer(sqe->addr), (int)sqe->op_flags,
		      (mode_t)sqe->len);
}

static ssize_t call_close(const struct peal__sqe *sqe)
{
	return close(sqe->fd);
}

/* A descriptor of the process is installed already: another one for it. */
static ssize_t call_install(const struct peal__sqe *sqe)
{
	return fcntl(sqe->fd, F_DUPFD_CLOEXEC, 0);
}

static ssize_t call_statx(const struct peal__sqe *sqe)
{
	return statx(sqe->fd, pointer(sqe->addr), (int)sqe->op_flags, sqe->len,
		     pointer(sqe->off));
}

static ssize_t call_fadvise(const struct peal__sqe *sqe)
{
	errno = posix_fadvise(sqe->fd, (off_t)sqe->off, sqe->len,
			      (int)sqe->op_flags);
	return errno ? -1 : 0;
}

static ssize_t call_ftruncate(const struct peal__sqe *sqe)
{
	return ftruncate(sqe->fd, (off_t)sqe->off);
}

static ssize_t call_rename(const struct peal__sqe *sqe)
{
	return renameat2(sqe->fd, pointer(sqe->addr), (int)sqe->len,
			 pointer(sqe->off), sqe->op_flags);
}

static ssize_t call_link(const struct peal__sqe *sqe)
{
	return linkat(sqe->fd, pointer(sqe->addr), (int)sqe->len,
		      pointer(sqe->off), (int)sqe->op_flags);
}

static ssize_t call_symlink(const struct peal__sqe *sqe)
{
	return symlinkat(pointer(sqe->addr), sqe->fd, pointer(sqe->off));
}

static ssize_t call_unlink(const struct peal__sqe *sqe)
{
	return unlinkat(sqe->fd, pointer(sqe->addr), (int)sqe->op_flags);
}

static ssize_t call_mkdir(const struct peal__sqe *sqe)
{
	return mkdirat(sqe->fd, pointer(sqe->addr), (mode_t)sqe->len);
}

static ssize_t call_splice(const struct peal__sqe *sqe)
{
	loff_t in = (loff_t)sqe->addr, out = (loff_t)sqe->off;

	return splice((int)sqe->file_index, in == -1 ? NULL : &in, sqe->fd,
		      out == -1 ? NULL : &out, sqe->len, sqe->op_flags);
}

static ssize_t call_socket(const struct peal__sqe *sqe)
{
	return socket(sqe->fd, (int)sqe->off, (int)sqe->len);
}

static ssize_t call_bind(const struct peal__sqe *sqe)
{
	return bind(sqe->fd, pointer(sqe->addr), (socklen_t)sqe->off);
}

static ssize_t call_listen(const struct peal__sqe *sqe)
{
	return listen(sqe->fd, (int)sqe->len);
}

static ssize_t call_shutdown(const struct peal__sqe *sqe)
{
	return shutdown(sqe->fd, (int)sqe->len);
}

static ssize_t call_accept(const struct peal__sqe *sqe)
{
	return accept4(sqe->fd, pointer(sqe->addr), pointer(sqe->off),
		       (int)sqe->op_flags);
}

static ssize_t call_connect(const struct peal__sqe *sqe)
{
	return connect(sqe->fd, pointer(sqe->addr), (socklen_t)sqe->off);
}

static ssize_t call_recv(const struct peal__sqe *sqe)
{
	return recv(sqe->fd, pointer(sqe->addr), sqe->len,
		    (int)sqe->op_flags);
}

static ssize_t call_send(const struct peal__sqe *sqe)
{
	return send(sqe->fd, pointer(sqe->addr), sqe->len,
		    (int)sqe->op_flags);
}

static ssize_t call_recvmsg(const struct peal__sqe *sqe)
{
	return recvmsg(sqe->fd, pointer(sqe->addr), (int)sqe->op_flags);
}

static ssize_t call_sendmsg(const struct peal__sqe *sqe)
{
	return sendmsg(sqe->fd, pointer(sqe->addr), (int)sqe->op_flags);
}

static ssize_t call_read_dir(const struct peal__sqe *sqe)
{
	return syscall(SYS_getdents64, sqe->fd, pointer(sqe->addr), sqe->len);
}

static ssize_t call_statfs(const struct peal__sqe *sqe)
{
	struct peal_statfs *out = pointer(sqe->off);
	struct statfs fs;

	if (statfs(pointer(sqe->addr), &fs) < 0)
		return -1;
	*out = (struct peal_statfs){ .type = (uint64_t)fs.f_type,
				     .block_size = (uint64_t)fs.f_bsize,
				     .blocks = fs.f_blocks,
				     .blocks_free = fs.f_bfree,
				     .blocks_available = fs.f_bavail,
				     .files = fs.f_files,
				     .files_free = fs.f_ffree,
				     .name_max = (uint64_t)fs.f_namelen,
				     .flags = (uint64_t)fs.f_flags };
	return 0;
}

static ssize_t call_seek(const struct peal__sqe *sqe)
{
	return lseek(sqe->fd, (off_t)sqe->off, (int)sqe->len);
}

static ssize_t call_copy_range(const struct peal__sqe *sqe)
{
	loff_t in = (loff_t)sqe->addr, out = (loff_t)sqe->off;

	return copy_file_range((int)sqe->file_index, in == -1 ? NULL : &in,
			       sqe->fd, out == -1 ? NULL : &out, sqe->len, 0);
}

int peal__resolve_error(int error)
{
	switch (error) {
	case EAI_AGAIN:
		return EAGAIN;
	case EAI_MEMORY:
		return ENOMEM;
	case EAI_SYSTEM:
		return errno;
	case EAI_NONAME:
	case EAI_SERVICE:
		return ENOENT;
	case EAI_FAMILY:
		return EAFNOSUPPORT;
	case EAI_SOCKTYPE:
		return ESOCKTNOSUPPORT;
	case EAI_BADFLAGS:
		return EINVAL;
	default:
		return EIO;
	}
}

static ssize_t call_resolve(const struct peal__sqe *sqe)
{
	struct addrinfo *list = NULL, **out = pointer(sqe->addr3);
	int error = getaddrinfo(pointer(sqe->addr), pointer(sqe->off),
				pointer(sqe->pad), &list);

	if (error) {
		errno = peal__resolve_error(error);
		return -1;
	}
	*out = list;
	return 0;
}

typedef ssize_t call(const struct peal__sqe *sqe);

static call *const calls[PEAL__OP_COUNT] = {
	[PEAL__OP_READ] = call_rw,
	[PEAL__OP_WRITE] = call_rw,
	[PEAL__OP_READV] = call_rw,
	[PEAL__OP_WRITEV] = call_rw,
	[PEAL__OP_FSYNC] = call_fsync,
	[PEAL__OP_SYNC_FILE_RANGE] = call_sync_range,
	[PEAL__OP_FALLOCATE] = call_fallocate,
	[PEAL__OP_OPENAT] = call_open,
	[PEAL__OP_CLOSE] = call_close,
	[PEAL__OP_FILES_UPDATE] = call_install,
	[PEAL__OP_FIXED_FD_INSTALL] = call_install,
	[PEAL__OP_STATX] = call_statx,
	[PEAL__OP_FADVISE] = call_fadvise,
	[PEAL__OP_FTRUNCATE] = call_ftruncate,
	[PEAL__OP_RENAMEAT] = call_rename,
	[PEAL__OP_LINKAT] = call_link,
	[PEAL__OP_SYMLINKAT] = call_symlink,
	[PEAL__OP_UNLINKAT] = call_unlink,
	[PEAL__OP_MKDIRAT] = call_mkdir,
	[PEAL__OP_SPLICE] = call_splice,
	[PEAL__OP_SOCKET] = call_socket,
	[PEAL__OP_BIND] = call_bind,
	[PEAL__OP_LISTEN] = call_listen,
	[PEAL__OP_SHUTDOWN] = call_shutdown,
	[PEAL__OP_ACCEPT] = call_accept,
	[PEAL__OP_CONNECT] = call_connect,
	[PEAL__OP_RECV] = call_recv,
	[PEAL__OP_SEND] = call_send,
	[PEAL__OP_RECVMSG] = call_recvmsg,
	[PEAL__OP_SENDMSG] = call_sendmsg,
	[PEAL__OP_READ_DIR] = call_read_dir,
	[PEAL__OP_STATFS] = call_statfs,
	[PEAL__OP_SEEK] = call_seek,
	[PEAL__OP_COPY_RANGE] = call_copy_range,
	[PEAL__OP_RESOLVE] = call_resolve,
};

int peal__blocking_has(unsigned opcode)
{
	return opcode < PEAL__OP_COUNT && calls[opcode] != NULL;
}

int64_t peal__blocking_run(const struct peal__sqe *sqe)
{
	int saved = errno;
	ssize_t rc = -EOPNOTSUPP;

	if (peal__blocking_has(sqe->opcode)) {
		rc = calls[sqe->opcode](sqe);
		if (rc < 0)
			rc = -errno;
	}
	errno = saved;
	return rc;
}
