/* SPDX-License-Identifier: MIT */
/* The tests' own calls on files and pipes: see posix.h. */
#include <errno.h>
#include <stdarg.h>
#include "test/windows/posix_programs.h"
#include <windows.h>

/* Win32's codes as far as the tests look at errno. */
static int fail(void)
{
	switch (GetLastError()) {
	case ERROR_INVALID_HANDLE:
		errno = EBADF;
		break;
	case ERROR_FILE_NOT_FOUND:
	case ERROR_PATH_NOT_FOUND:
		errno = ENOENT;
		break;
	case ERROR_ACCESS_DENIED:
		errno = EACCES;
		break;
	case ERROR_ALREADY_EXISTS:
	case ERROR_FILE_EXISTS:
		errno = EEXIST;
		break;
	case ERROR_NO_DATA:
	case ERROR_BROKEN_PIPE:
		errno = EPIPE;
		break;
	default:
		errno = EIO;
	}
	return -1;
}

static HANDLE handle_of(peal_fd fd)
{
	if (fd >= 0 && fd <= 2)
		return GetStdHandle(fd == 0 ? STD_INPUT_HANDLE :
				    fd == 1 ? STD_OUTPUT_HANDLE :
					      STD_ERROR_HANDLE);
	return (HANDLE)fd;
}

static int is_socket(peal_fd fd)
{
	int type, len = sizeof(type);

	return (getsockopt)((SOCKET)fd, SOL_SOCKET, SO_TYPE, (char *)&type,
			    &len) == 0;
}

static const wchar_t *wide(const char *path)
{
	static wchar_t wide_paths[4][PATH_MAX];
	static unsigned next;
	wchar_t *to = wide_paths[next++ % 4];

	if (!MultiByteToWideChar(CP_UTF8, 0, path, -1, to, PATH_MAX))
		to[0] = 0;
	return to;
}

/* --- opening and closing ------------------------------------------------- */

static DWORD access_of(int flags)
{
	int how = flags & (O_RDONLY | O_WRONLY | O_RDWR);
	DWORD access = how == O_RDWR ? GENERIC_READ | GENERIC_WRITE :
		       how == O_WRONLY ? GENERIC_WRITE : GENERIC_READ;

	if (flags & O_APPEND && access & GENERIC_WRITE)
		access = (access & ~(DWORD)GENERIC_WRITE) | FILE_APPEND_DATA |
			 FILE_WRITE_ATTRIBUTES | SYNCHRONIZE;
	return access;
}

peal_fd posix_open(const char *path, int flags, ...)
{
	DWORD attributes = FILE_FLAG_OVERLAPPED | FILE_FLAG_BACKUP_SEMANTICS;
	DWORD creation = flags & O_EXCL ? CREATE_NEW :
			 flags & O_CREAT ? OPEN_ALWAYS : OPEN_EXISTING;
	DWORD is = GetFileAttributesW(wide(path));
	HANDLE file;

	if (flags & (O_WRONLY | O_RDWR) && is != INVALID_FILE_ATTRIBUTES &&
	    is & FILE_ATTRIBUTE_DIRECTORY) {
		errno = EISDIR;
		return -1;
	}
	if (flags & O_DIRECT)
		attributes |= FILE_FLAG_NO_BUFFERING;
	file = CreateFileW(wide(path), access_of(flags),
			   FILE_SHARE_READ | FILE_SHARE_WRITE |
				   FILE_SHARE_DELETE,
			   NULL, creation, attributes, NULL);
	if (file == INVALID_HANDLE_VALUE)
		return fail();
	if (flags & O_TRUNC)
		SetEndOfFile(file);
	return (peal_fd)file;
}

int posix_close(peal_fd fd)
{
	if (is_socket(fd))
		return closesocket((SOCKET)fd);
	return CloseHandle((HANDLE)fd) ? 0 : fail();
}

peal_fd posix_dup(peal_fd fd)
{
	HANDLE copy, self = GetCurrentProcess();

	if (!DuplicateHandle(self, handle_of(fd), self, &copy, 0, FALSE,
			     DUPLICATE_SAME_ACCESS))
		return fail();
	return (peal_fd)copy;
}

/* Both ends overlapped, which those of CreatePipe() are not. */
int posix_pipe2(int fds[2])
{
	static unsigned count;
	HANDLE from, to;
	char name[64];

	snprintf(name, sizeof(name), "\\\\.\\pipe\\peal-test-%lx-%u",
		 GetCurrentProcessId(), count++);
	from = CreateNamedPipeA(name, PIPE_ACCESS_INBOUND |
				FILE_FLAG_OVERLAPPED |
				FILE_FLAG_FIRST_PIPE_INSTANCE,
				PIPE_TYPE_BYTE | PIPE_WAIT, 1, 65536, 65536, 0,
				NULL);
	if (from == INVALID_HANDLE_VALUE)
		return fail();
	to = CreateFileA(name, GENERIC_WRITE | FILE_READ_ATTRIBUTES, 0, NULL,
			 OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
	if (to == INVALID_HANDLE_VALUE)
		return fail();
	fds[0] = (int)(intptr_t)from;
	fds[1] = (int)(intptr_t)to;
	return 0;
}

int posix_fcntl(peal_fd fd, int what, ...)
{
	DWORD flags;
	va_list args;
	u_long on;

	if (!GetHandleInformation((HANDLE)fd, &flags))
		return fail();
	/* The number may be an event's by now. */
	if (GetFileType((HANDLE)fd) == FILE_TYPE_UNKNOWN) {
		errno = EBADF;
		return -1;
	}
	if (what == F_GETFD)
		return flags & HANDLE_FLAG_INHERIT ? 0 : FD_CLOEXEC;
	if (what == F_GETFL)
		return posix_no("a handle does not tell its flags");
	va_start(args, what);
	on = (va_arg(args, int) & O_NONBLOCK) != 0;
	va_end(args);
	if (is_socket(fd))
		return ioctlsocket((SOCKET)fd, FIONBIO, &on);
	return 0;
}

/* --- reading and writing ------------------------------------------------- */

static int64_t transfer(peal_fd fd, void *buf, size_t len, int64_t offset,
			int writes)
{
	OVERLAPPED wait;
	HANDLE event = CreateEventA(NULL, TRUE, FALSE, NULL);
	DWORD done = 0, error = 0;
	BOOL good;

	memset(&wait, 0, sizeof(wait));
	wait.Offset = (DWORD)offset;
	wait.OffsetHigh = (DWORD)(offset >> 32);
	/* The lowest bit keeps it from a completion port. */
	wait.hEvent = (HANDLE)((uintptr_t)event | 1);
	good = writes ? WriteFile(handle_of(fd), buf, (DWORD)len, NULL, &wait) :
			ReadFile(handle_of(fd), buf, (DWORD)len, NULL, &wait);
	if (!good)
		error = GetLastError();
	if (good || error == ERROR_IO_PENDING) {
		WaitForSingleObject(event, INFINITE);
		error = GetOverlappedResult(handle_of(fd), &wait, &done, TRUE) ?
				0 : GetLastError();
	}
	CloseHandle(event);
	if (error == ERROR_HANDLE_EOF ||
	    (error == ERROR_BROKEN_PIPE && !writes))
		return 0;
	SetLastError(error);
	return error ? fail() : (int64_t)done;
}

static int64_t transfer_here(peal_fd fd, void *buf, size_t len, int writes)
{
	LARGE_INTEGER none = { .QuadPart = 0 }, at;
	int64_t done;

	if (GetFileType(handle_of(fd)) != FILE_TYPE_DISK)
		return transfer(fd, buf, len, 0, writes);
	if (!SetFilePointerEx(handle_of(fd), none, &at, FILE_CURRENT))
		return fail();
	done = transfer(fd, buf, len, at.QuadPart, writes);
	if (done > 0) {
		at.QuadPart += done;
		SetFilePointerEx(handle_of(fd), at, NULL, FILE_BEGIN);
	}
	return done;
}

int64_t posix_read(peal_fd fd, void *buf, size_t len)
{
	if (is_socket(fd))
		return (recv)((SOCKET)fd, buf, (int)len, 0);
	return transfer_here(fd, buf, len, 0);
}

/* Of the flags only MSG_WAITALL has a meaning here. */
int64_t posix_recv(peal_fd fd, void *buf, size_t len, int flags)
{
	int64_t sum = 0, got;

	do {
		got = posix_read(fd, (char *)buf + sum, len - (size_t)sum);
		if (got <= 0)
			return sum ? sum : got;
		sum += got;
	} while (flags & MSG_WAITALL && (size_t)sum < len);
	return sum;
}

int64_t posix_write(peal_fd fd, const void *buf, size_t len)
{
	if (is_socket(fd))
		return (send)((SOCKET)fd, buf, (int)len, 0);
	return transfer_here(fd, (void *)(uintptr_t)buf, len, 1);
}

int64_t posix_pread(peal_fd fd, void *buf, size_t len, int64_t offset)
{
	return transfer(fd, buf, len, offset, 0);
}

int64_t posix_pwrite(peal_fd fd, const void *buf, size_t len, int64_t offset)
{
	return transfer(fd, (void *)(uintptr_t)buf, len, offset, 1);
}

int64_t posix_lseek(peal_fd fd, int64_t offset, int whence)
{
	LARGE_INTEGER to = { .QuadPart = offset }, at;

	if (!SetFilePointerEx((HANDLE)fd, to, &at,
			      whence == SEEK_SET ? FILE_BEGIN :
			      whence == SEEK_CUR ? FILE_CURRENT : FILE_END))
		return fail();
	return at.QuadPart;
}

/* --- what a file is ------------------------------------------------------ */

static struct timespec time_of(FILETIME time)
{
	/* From 1601 to 1970, in units of 100 ns. */
	const uint64_t epoch = UINT64_C(116444736000000000);
	uint64_t at = ((uint64_t)time.dwHighDateTime << 32 |
		       time.dwLowDateTime) - epoch;
	struct timespec result;

	result.tv_sec = (time_t)(at / 10000000);
	result.tv_nsec = (long)(at % 10000000 * 100);
	return result;
}

int posix_fstat(peal_fd fd, struct posix_stat *out)
{
	BY_HANDLE_FILE_INFORMATION info;
	FILE_STANDARD_INFO more;
	DWORD flags;

	memset(out, 0, sizeof(*out));
	if (!GetHandleInformation((HANDLE)fd, &flags))
		return fail();
	if (GetFileType((HANDLE)fd) != FILE_TYPE_DISK) {
		out->st_mode = 0010000;
		return 0;
	}
	if (!GetFileInformationByHandle((HANDLE)fd, &info) ||
	    !GetFileInformationByHandleEx((HANDLE)fd, FileStandardInfo, &more,
					  sizeof(more)))
		return fail();
	out->st_dev = info.dwVolumeSerialNumber;
	out->st_ino = (uint64_t)info.nFileIndexHigh << 32 | info.nFileIndexLow;
	out->st_nlink = info.nNumberOfLinks;
	out->st_size = more.EndOfFile.QuadPart;
	out->st_blocks = more.AllocationSize.QuadPart / 512;
	out->st_blksize = 4096;
	out->st_mode = more.Directory ? 0040777 :
		       info.dwFileAttributes & FILE_ATTRIBUTE_READONLY ?
				0100444 : 0100666;
	out->st_mtim = time_of(info.ftLastWriteTime);
	out->st_ctim = out->st_mtim;
	return 0;
}

int posix_stat_path(const char *path, struct posix_stat *out)
{
	HANDLE file = CreateFileW(wide(path), FILE_READ_ATTRIBUTES,
				  FILE_SHARE_READ | FILE_SHARE_WRITE |
					  FILE_SHARE_DELETE,
				  NULL, OPEN_EXISTING,
				  FILE_FLAG_BACKUP_SEMANTICS, NULL);
	int result;

	if (file == INVALID_HANDLE_VALUE)
		return fail();
	result = posix_fstat((peal_fd)file, out);
	CloseHandle(file);
	return result;
}

int posix_mkdir(const char *path)
{
	return CreateDirectoryW(wide(path), NULL) ? 0 : fail();
}

int posix_access(const char *path)
{
	return GetFileAttributesW(wide(path)) != INVALID_FILE_ATTRIBUTES ?
		       0 : fail();
}

int statvfs(const char *path, struct statvfs *out)
{
	ULARGE_INTEGER free, total;
	DWORD longest = 0;

	if (!GetDiskFreeSpaceExW(wide(path), NULL, &total, &free))
		return fail();
	GetVolumeInformationW(NULL, NULL, 0, NULL, &longest, NULL, NULL, 0);
	out->f_frsize = 1;
	out->f_blocks = total.QuadPart;
	out->f_files = 0;
	out->f_namemax = longest;
	return 0;
}

/* Wine says that it has made a link, and has not. */
int symlink(const char *target, const char *path)
{
	typedef BOOLEAN WINAPI make_link(const wchar_t *, const wchar_t *,
					 DWORD);
	make_link *make = (make_link *)(void *)GetProcAddress(
		GetModuleHandleA("kernel32"), "CreateSymbolicLinkW");

	if (!make || !make(wide(path), wide(target), 0) || access(path, F_OK))
		return posix_no("no symbolic links here");
	return 0;
}

int64_t readlink(const char *path, char *target, size_t len)
{
	(void)path;
	(void)target;
	(void)len;
	return posix_no("no symbolic links here");
}

void *posix_mmap(size_t len)
{
	void *memory = VirtualAlloc(NULL, len, MEM_RESERVE | MEM_COMMIT,
				    PAGE_READWRITE);

	return memory ? memory : MAP_FAILED;
}

/* --- the C library's ----------------------------------------------------- */

/* A stream into memory is a file until it is closed. */
static struct {
	FILE *file;
	char *buf;		/* NULL: to be allocated, for the next two */
	size_t len;
	char **out_text;
	size_t *out_len;
} memory;

FILE *fmemopen(void *buf, size_t len, const char *mode)
{
	(void)mode;
	memory.file = tmpfile();
	memory.buf = buf;
	memory.len = len;
	return memory.file;
}

FILE *open_memstream(char **out_text, size_t *out_len)
{
	memory.file = tmpfile();
	memory.buf = NULL;
	memory.out_text = out_text;
	memory.out_len = out_len;
	return memory.file;
}

int posix_fclose(FILE *file)
{
	size_t len;

	if (!file || file != memory.file)
		return (fclose)(file);
	memory.file = NULL;
	if (!memory.buf) {
		memory.len = (size_t)ftell(file);
		memory.buf = calloc(1, memory.len + 1);
		if (!memory.buf)
			abort();
		*memory.out_text = memory.buf;
		*memory.out_len = memory.len;
	}
	rewind(file);
	len = fread(memory.buf, 1, memory.len, file);
	memory.buf[len] = '\0';
	return (fclose)(file);
}

/* peal_strerror() ends with the name, in parentheses. */
const char *strerrorname_np(int error)
{
	static char names[8][32];
	static unsigned next;
	char *name = names[next++ % 8];
	const char *at = strrchr(peal_strerror(-error), '(');

	if (!at)
		return NULL;
	snprintf(name, sizeof(names[0]), "%.*s", (int)strcspn(at + 1, ")"),
		 at + 1);
	return name;
}
