/* SPDX-License-Identifier: MIT */
/*
 * The plain call of every operation on Windows: files with a path are
 * win_path.c's, sockets win_socket.c's. What waits here, waits on a thread of
 * the pool.
 */
#include "lib/engine.h"
#include "lib/optable.h"
#include "shim/parts.h"
#include "shim/win.h"
#include <winioctl.h>
#include <winternl.h>

#define COPY_BYTES 65536u
#define ACCESS_INFORMATION ((FILE_INFORMATION_CLASS)8)

/* One ReadFile() or WriteFile(), of any handle, waited for. The event's low bit
 * keeps its packet from a port. */
static int64_t move(int32_t fd, int write, void *buf, uint32_t len,
		    uint64_t offset)
{
	HANDLE handle = peal__win_handle(fd), event;
	OVERLAPPED overlapped = { .Offset = (DWORD)offset,
				  .OffsetHigh = (DWORD)(offset >> 32) };
	DWORD moved = 0;
	int64_t rc = 0;
	int ok;

	event = CreateEventW(NULL, TRUE, FALSE, NULL);
	if (!event)
		return peal__win_last();
	overlapped.hEvent = (HANDLE)((uintptr_t)event | 1);
	ok = write ? WriteFile(handle, buf, len, &moved, &overlapped)
		   : ReadFile(handle, buf, len, &moved, &overlapped);
	if (!ok && GetLastError() == ERROR_IO_PENDING)
		ok = GetOverlappedResult(handle, &overlapped, &moved, TRUE);
	if (!ok && GetLastError() != ERROR_MORE_DATA)
		rc = peal__win_last();
	CloseHandle(event);
	return rc < 0 ? rc : (int64_t)moved;
}

static int64_t position(int32_t fd)
{
	LARGE_INTEGER zero = { .QuadPart = 0 }, now;

	return SetFilePointerEx(peal__win_handle(fd), zero, &now, FILE_CURRENT)
		       ? now.QuadPart : peal__win_last();
}

static void set_position(int32_t fd, int64_t at)
{
	LARGE_INTEGER to = { .QuadPart = at };

	SetFilePointerEx(peal__win_handle(fd), to, NULL, FILE_BEGIN);
}

static int64_t rw_result(int write, int64_t rc)
{
	if (rc == -EACCES)
		return -EBADF;	/* opened for the other direction */
	if (!write && (rc == -EPIPE || rc == -ENODATA))
		return 0;	/* the end */
	return rc;
}

static int64_t call_rw(const struct peal__sqe *sqe)
{
	int write = peal__op_row(sqe->opcode)->waits == WAITS_WRITABLE;
	enum peal__win_kind kind = peal__win_kind(sqe->fd);
	int64_t at = (int64_t)sqe->off, rc = 0, sum = 0;
	int current = kind == WIN_FILE && sqe->off == PEAL_CURRENT;
	const struct iovec *iov;
	struct iovec one;
	size_t count, i;

	if (kind == WIN_NONE || kind == WIN_DIR)
		return kind == WIN_NONE || write ? -EBADF : -EISDIR;
	if (sqe->op_flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC))
		return -EOPNOTSUPP;
	if (current)
		at = position(sqe->fd);
	else if (kind != WIN_FILE)
		at = 0;
	if (at < 0)
		return -EINVAL;
	count = shim_parts(sqe, &one, &iov);
	for (i = 0; i < count && rc >= 0; i++) {
		uint32_t len = iov[i].iov_len > INT32_MAX
				       ? INT32_MAX : (uint32_t)iov[i].iov_len;

		if (!len)
			continue;
		rc = rw_result(write, move(sqe->fd, write, iov[i].iov_base,
					   len, (uint64_t)at));
		sum += rc > 0 ? rc : 0;
		at += kind == WIN_FILE && rc > 0 ? rc : 0;
		if (rc != (int64_t)len || (kind != WIN_FILE && !write))
			break;	/* a pipe may have no more to read */
	}
	if (current && sum)
		set_position(sqe->fd, at);
	if (write && sqe->op_flags & (RWF_DSYNC | RWF_SYNC) && sum &&
	    !FlushFileBuffers(peal__win_handle(sqe->fd)))
		return peal__win_last();
	return sum ? sum : rc;
}

static int64_t call_close(const struct peal__sqe *sqe)
{
	return peal__win_close(sqe->fd);
}

/* Another handle to the same file. */
static int64_t call_install(const struct peal__sqe *sqe)
{
	HANDLE self = GetCurrentProcess(), copy;

	if (peal__win_kind(sqe->fd) == WIN_NONE)
		return -EBADF;
	if (!DuplicateHandle(self, peal__win_handle(sqe->fd), self, &copy, 0,
			     FALSE, DUPLICATE_SAME_ACCESS))
		return peal__win_last();
	return (int32_t)(intptr_t)copy;
}

/* Who may only read may not flush: another handle to the same file may. */
static int64_t flush_another(HANDLE handle)
{
	HANDLE other = ReOpenFile(handle, GENERIC_WRITE, FILE_SHARE_READ |
				  FILE_SHARE_WRITE | FILE_SHARE_DELETE,
				  FILE_FLAG_BACKUP_SEMANTICS);
	int64_t rc;

	if (other == INVALID_HANDLE_VALUE)
		return peal__win_last();
	rc = FlushFileBuffers(other) ? 0 : peal__win_last();
	CloseHandle(other);
	return rc;
}

static int64_t call_fsync(const struct peal__sqe *sqe)
{
	enum peal__win_kind kind = peal__win_kind(sqe->fd);
	HANDLE handle = peal__win_handle(sqe->fd);

	if (kind == WIN_NONE)
		return -EBADF;
	if (kind != WIN_FILE && kind != WIN_DIR)
		return -EINVAL;
	if (FlushFileBuffers(handle))
		return 0;
	if (GetLastError() != ERROR_ACCESS_DENIED)
		return peal__win_last();
	return flush_another(handle);
}

static int64_t call_sync_range(const struct peal__sqe *sqe)
{
	enum peal__win_kind kind = peal__win_kind(sqe->fd);

	if (kind != WIN_NONE && kind != WIN_FILE && kind != WIN_DIR)
		return -ESPIPE;
	if (sqe->op_flags & ~7u)
		return -EINVAL;
	return call_fsync(sqe);
}

/* Windows takes no advice after a file is opened. */
static int64_t call_advise(const struct peal__sqe *sqe)
{
	enum peal__win_kind kind = peal__win_kind(sqe->fd);

	if (kind == WIN_NONE)
		return -EBADF;
	if (kind != WIN_FILE && kind != WIN_DIR)
		return -ESPIPE;
	return sqe->op_flags > POSIX_FADV_NOREUSE ? -EINVAL : 0;
}

static int64_t file_size(int32_t fd)
{
	LARGE_INTEGER size;

	return GetFileSizeEx(peal__win_handle(fd), &size) ? size.QuadPart
							  : peal__win_last();
}

/* A handle of a file; what it was not opened for is -EINVAL later. */
static int64_t check_file(int32_t fd)
{
	enum peal__win_kind kind = peal__win_kind(fd);

	return kind == WIN_FILE ? 0 : kind == WIN_NONE ? -EBADF
	       : kind == WIN_DIR ? -EISDIR : -ESPIPE;
}

static int64_t set_size(int32_t fd, int64_t size)
{
	FILE_END_OF_FILE_INFO end = { .EndOfFile.QuadPart = size };

	if (SetFileInformationByHandle(peal__win_handle(fd), FileEndOfFileInfo,
				       &end, sizeof end))
		return 0;
	return peal__win_last();
}

static int64_t call_ftruncate(const struct peal__sqe *sqe)
{
	int64_t rc = check_file(sqe->fd);

	if (rc < 0 || (int64_t)sqe->off < 0)
		return rc == -EBADF ? rc : -EINVAL;
	rc = set_size(sqe->fd, (int64_t)sqe->off);
	return rc == -EACCES ? -EINVAL : rc;
}

static int64_t zero_range(int32_t fd, int64_t from, int64_t to, int hole)
{
	FILE_ZERO_DATA_INFORMATION range = { .FileOffset.QuadPart = from,
					     .BeyondFinalZero.QuadPart = to };
	HANDLE handle = peal__win_handle(fd);
	DWORD got;

	if (hole && !DeviceIoControl(handle, FSCTL_SET_SPARSE, NULL, 0, NULL,
				     0, &got, NULL))
		return peal__win_last();
	if (DeviceIoControl(handle, FSCTL_SET_ZERO_DATA, &range, sizeof range,
			    NULL, 0, &got, NULL))
		return 0;
	return peal__win_last();
}

static int64_t reserve(int32_t fd, int64_t end)
{
	FILE_ALLOCATION_INFO room = { .AllocationSize.QuadPart = end };

	/* Less than the file has would cut it off. */
	if (end <= file_size(fd))
		return 0;
	if (SetFileInformationByHandle(peal__win_handle(fd),
				       FileAllocationInfo, &room, sizeof room))
		return 0;
	return peal__win_last();
}

static int may_write(int32_t fd)
{
	IO_STATUS_BLOCK io;
	ACCESS_MASK access = 0;

	return NtQueryInformationFile(peal__win_handle(fd), &io, &access,
				      sizeof access, ACCESS_INFORMATION) ||
	       access & (FILE_WRITE_DATA | FILE_APPEND_DATA);
}

/* A new end reserves what lies before it on NTFS; elsewhere it may not, and
 * then nothing has happened. */
static int64_t grow(int32_t fd, int64_t from, int64_t to)
{
	FILE_STANDARD_INFO has = { .AllocationSize.QuadPart = 0 };
	int64_t rc = set_size(fd, to);

	if (rc < 0)
		return rc;
	GetFileInformationByHandleEx(peal__win_handle(fd), FileStandardInfo,
				     &has, sizeof has);
	if (has.AllocationSize.QuadPart >= to)
		return 0;
	set_size(fd, from);
	return -EOPNOTSUPP;
}

/* sqe.len is fallocate(2)'s mode: 1 keep the size, 2 punch, 16 zero. */
static int64_t call_fallocate(const struct peal__sqe *sqe)
{
	int64_t from = (int64_t)sqe->off, len = (int64_t)sqe->addr;
	int64_t rc = check_file(sqe->fd), size;

	if (rc < 0)
		return rc == -EISDIR ? -EBADF : rc;
	if (!may_write(sqe->fd))
		return -EBADF;
	if (from < 0 || len <= 0)
		return -EINVAL;
	if (from > INT64_MAX - len)
		return -EFBIG;
	size = file_size(sqe->fd);
	if (sqe->len & 0x12)
		rc = zero_range(sqe->fd, from, from + len, sqe->len & 2);
	else if (sqe->len & 1)
		rc = reserve(sqe->fd, from + len);
	if (rc == 0 && !(sqe->len & 1) && size < from + len)
		rc = sqe->len & 0x12 ? set_size(sqe->fd, from + len)
				     : grow(sqe->fd, size, from + len);
	return rc == -EACCES ? -EBADF : rc == -ENOSYS ? -EOPNOTSUPP : rc;
}

/* All of a file is data to Windows' plain calls; its end is the only hole.
 * sqe.len: 3 data, 4 hole. */
static int64_t call_seek(const struct peal__sqe *sqe)
{
	int64_t at = (int64_t)sqe->off, size, rc = check_file(sqe->fd);

	if (rc < 0)
		return rc == -EISDIR ? -EINVAL : rc;
	size = file_size(sqe->fd);
	if (size < 0 || at < 0 || at >= size)
		return size < 0 ? size : -ENXIO;
	if (sqe->len == 4)
		at = size;
	set_position(sqe->fd, at);
	return at;
}

static int64_t copy_some(const struct peal__sqe *sqe, int64_t in, int64_t out,
			 char *buf)
{
	int64_t sum = 0, rc;

	while (sum < (int64_t)sqe->len) {
		int64_t left = (int64_t)sqe->len - sum, done = 0;

		rc = rw_result(0, move((int32_t)sqe->file_index, 0, buf,
				       left < COPY_BYTES ? (uint32_t)left
							 : COPY_BYTES,
				       (uint64_t)(in + sum)));
		if (rc <= 0)
			return sum ? sum : rc;
		for (left = rc; done < left; done += rc) {
			rc = rw_result(1, move(sqe->fd, 1, buf + done,
					       (uint32_t)(left - done),
					       (uint64_t)(out + sum + done)));
			if (rc <= 0)
				return sum + done ? sum + done : rc;
		}
		sum += left;
	}
	return sum;
}

/* Windows copies only whole files: this one is read and written. */
static int64_t call_copy_range(const struct peal__sqe *sqe)
{
	int64_t in = (int64_t)sqe->addr, out = (int64_t)sqe->off, rc;
	int32_t from = (int32_t)sqe->file_index;
	char buf[COPY_BYTES];

	rc = check_file(from);
	if (rc == 0)
		rc = check_file(sqe->fd);
	if (rc < 0)
		return rc == -ESPIPE ? -EINVAL : rc;
	if (in == -1)
		in = position(from);
	if (out == -1)
		out = position(sqe->fd);
	if (in < 0 || out < 0)
		return -EINVAL;
	if (from == sqe->fd && in < out + sqe->len && out < in + sqe->len)
		return -EINVAL;
	rc = copy_some(sqe, in, out, buf);
	if (rc > 0 && sqe->addr == PEAL_CURRENT)
		set_position(from, in + rc);
	if (rc > 0 && sqe->off == PEAL_CURRENT)
		set_position(sqe->fd, out + rc);
	return rc;
}

static peal__win_call *const calls[PEAL__OP_COUNT] = {
	[PEAL__OP_READ] = call_rw,
	[PEAL__OP_WRITE] = call_rw,
	[PEAL__OP_READV] = call_rw,
	[PEAL__OP_WRITEV] = call_rw,
	[PEAL__OP_FSYNC] = call_fsync,
	[PEAL__OP_SYNC_FILE_RANGE] = call_sync_range,
	[PEAL__OP_FALLOCATE] = call_fallocate,
	[PEAL__OP_FADVISE] = call_advise,
	[PEAL__OP_FTRUNCATE] = call_ftruncate,
	[PEAL__OP_SEEK] = call_seek,
	[PEAL__OP_COPY_RANGE] = call_copy_range,
	[PEAL__OP_CLOSE] = call_close,
	[PEAL__OP_FILES_UPDATE] = call_install,
	[PEAL__OP_FIXED_FD_INSTALL] = call_install,
	[PEAL__OP_OPENAT] = peal__win_open,
	[PEAL__OP_STATX] = peal__win_stat,
	[PEAL__OP_RENAMEAT] = peal__win_rename,
	[PEAL__OP_LINKAT] = peal__win_link,
	[PEAL__OP_SYMLINKAT] = peal__win_symlink,
	[PEAL__OP_UNLINKAT] = peal__win_unlink,
	[PEAL__OP_MKDIRAT] = peal__win_mkdir,
	[PEAL__OP_READ_DIR] = peal__win_read_dir,
	[PEAL__OP_STATFS] = peal__win_statfs,
	[PEAL__OP_SOCKET] = peal__win_new_socket,
	[PEAL__OP_BIND] = peal__win_bind,
	[PEAL__OP_LISTEN] = peal__win_listen,
	[PEAL__OP_SHUTDOWN] = peal__win_shutdown,
	[PEAL__OP_ACCEPT] = peal__win_accept,
	[PEAL__OP_CONNECT] = peal__win_connect,
	[PEAL__OP_RECV] = peal__win_recv,
	[PEAL__OP_SEND] = peal__win_send,
	[PEAL__OP_RESOLVE] = peal__win_resolve,
};

int peal__blocking_has(unsigned opcode)
{
	return opcode < PEAL__OP_COUNT && calls[opcode] != NULL;
}

int64_t peal__blocking_run(const struct peal__sqe *sqe)
{
	DWORD saved = GetLastError();
	int64_t rc = -EOPNOTSUPP;

	if (peal__blocking_has(sqe->opcode))
		rc = calls[sqe->opcode](sqe);
	SetLastError(saved);
	return rc;
}
