/* SPDX-License-Identifier: MIT */
/*
 * The plain calls that take a path: UTF-8, with / or \, relative to a directory
 * or not. A path becomes an absolute one in \\?\ form, which has no limit of
 * 260 characters.
 */
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include "shim/win_path.h"

#define SECONDS_TO_1970	INT64_C(11644473600)

static int has_long_name(const WCHAR *text)
{
	size_t len;

	for (; *text; text += len + (text[len] != 0)) {
		len = wcscspn(text, L"\\");
		if (len > NAME_CHARS)
			return 1;
	}
	return 0;
}

/* The directory's own path, without the prefix: what is appended may have dots
 * that are still to be resolved. */
static int path_of(int32_t dirfd, struct win_path *out)
{
	enum peal__win_kind kind = peal__win_kind(dirfd);
	DWORD len;

	if (kind != WIN_DIR)
		return kind == WIN_NONE ? -EBADF : -ENOTDIR;
	len = GetFinalPathNameByHandleW(peal__win_handle(dirfd), out->text,
					PATH_CHARS, VOLUME_NAME_DOS);
	if (len == 0)
		return peal__win_last();
	if (len >= PATH_CHARS)
		return -ENAMETOOLONG;
	if (!wcsncmp(out->text, L"\\\\?\\UNC\\", 8))
		wmemmove(out->text + 1, out->text + 7, len - 6);
	else if (!wcsncmp(out->text, L"\\\\?\\", 4) && out->text[5] == ':')
		wmemmove(out->text, out->text + 4, len - 3);
	return 0;
}

/* Absolute, without dots, with the prefix. */
static int make_full(struct win_path *path)
{
	struct win_path full;
	DWORD len = GetFullPathNameW(path->text, PATH_CHARS, full.text, NULL);

	if (len == 0)
		return peal__win_last();
	if (len + 5 > PATH_CHARS)
		return -ENAMETOOLONG;
	if (full.text[1] != ':') {
		wcscpy(path->text, full.text);
		return 0;
	}
	wcscpy(path->text, L"\\\\?\\");
	wcscpy(path->text + 4, full.text);
	return 0;
}

static int is_absolute(const WCHAR *text)
{
	return text[0] == '\\' || (text[0] && text[1] == ':');
}

int peal__win_full_path(int32_t dirfd, uint64_t addr, struct win_path *out)
{
	const char *utf8 = peal__win_pointer(addr);
	size_t base = 0;
	struct win_path one;
	WCHAR *at;
	int rc;

	if (!utf8)
		return -EFAULT;
	if (!*utf8)
		return -ENOENT;
	if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, utf8, -1,
				 one.text, PATH_CHARS))
		return GetLastError() == ERROR_INSUFFICIENT_BUFFER
			       ? -ENAMETOOLONG : -EILSEQ;
	for (at = one.text; *at; at++)
		if (*at == '/')
			*at = '\\';
	if (has_long_name(one.text))
		return -ENAMETOOLONG;
	if (dirfd != PEAL_CWD && !is_absolute(one.text)) {
		rc = path_of(dirfd, out);
		if (rc < 0)
			return rc;
		base = wcslen(out->text);
		out->text[base++] = '\\';
	}
	if (base + wcslen(one.text) >= PATH_CHARS)
		return -ENAMETOOLONG;
	wcscpy(out->text + base, one.text);
	return make_full(out);
}

/* "No such path" may be a file where a directory was to be. */
int peal__win_path_error(const struct win_path *path)
{
	DWORD error = GetLastError();
	struct win_path part = *path;
	WCHAR *end;

	if (error != ERROR_PATH_NOT_FOUND)
		return peal__win_errno(error);
	while ((end = wcsrchr(part.text, '\\')) != NULL && end[-1] != ':') {
		*end = 0;
		if (win_exists(part.text))
			return win_is_dir(part.text) ? -ENOENT : -ENOTDIR;
	}
	return -ENOENT;
}

/* --- open ----------------------------------------------------------------- */

static DWORD access_of(int flags)
{
	DWORD writes = flags & O_APPEND ? FILE_GENERIC_WRITE & ~FILE_WRITE_DATA
					: GENERIC_WRITE;

	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return GENERIC_READ;
	case O_WRONLY:
		return writes | FILE_READ_ATTRIBUTES;
	default:
		return GENERIC_READ | writes;
	}
}

static DWORD disposition_of(int flags)
{
	if (flags & O_CREAT)
		return flags & O_EXCL ? CREATE_NEW : OPEN_ALWAYS;
	return OPEN_EXISTING;
}

static DWORD attributes_of(int flags, unsigned mode)
{
	DWORD attributes = FILE_FLAG_OVERLAPPED | FILE_FLAG_BACKUP_SEMANTICS |
			   FILE_FLAG_POSIX_SEMANTICS;

	if (flags & O_DIRECT)
		attributes |= FILE_FLAG_NO_BUFFERING;
	if (flags & O_DSYNC)
		attributes |= FILE_FLAG_WRITE_THROUGH;
	if (flags & O_NOFOLLOW)
		attributes |= FILE_FLAG_OPEN_REPARSE_POINT;
	if (flags & O_CREAT && !(mode & 0222))
		attributes |= FILE_ATTRIBUTE_READONLY;
	return attributes;
}

/* What open(2) says of a file that is there and is of the wrong kind. */
static int64_t check_opened(HANDLE handle, int flags)
{
	FILE_ATTRIBUTE_TAG_INFO tag = { 0, 0 };
	FILE_END_OF_FILE_INFO end = { .EndOfFile.QuadPart = 0 };
	int dir;

	GetFileInformationByHandleEx(handle, FileAttributeTagInfo, &tag,
				     sizeof tag);
	dir = (tag.FileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
	if (flags & O_NOFOLLOW &&
	    tag.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT)
		return -ELOOP;
	if (dir && (flags & O_ACCMODE || flags & (O_CREAT | O_TRUNC)))
		return -EISDIR;
	if (!dir && flags & O_DIRECTORY)
		return -ENOTDIR;
	if (flags & O_TRUNC && flags & O_ACCMODE &&
	    !SetFileInformationByHandle(handle, FileEndOfFileInfo, &end,
					sizeof end))
		return peal__win_last();
	return 0;
}

int64_t peal__win_open(const struct peal__sqe *sqe)
{
	int flags = (int)sqe->op_flags;
	struct win_path path;
	HANDLE handle;
	int64_t rc = peal__win_full_path(sqe->fd, sqe->addr, &path);

	if (rc < 0)
		return rc;
	handle = CreateFileW(path.text, access_of(flags), SHARE_ALL, NULL,
			     disposition_of(flags),
			     attributes_of(flags, sqe->len), NULL);
	if (handle == INVALID_HANDLE_VALUE) {
		rc = peal__win_path_error(&path);
		return rc == -EACCES && win_is_dir(path.text) ? -EISDIR : rc;
	}
	rc = check_opened(handle, flags);
	if (rc == 0)
		return (int32_t)(intptr_t)handle;
	CloseHandle(handle);
	return rc;
}

/* --- stat ----------------------------------------------------------------- */

static struct peal_time time_of(FILETIME file)
{
	int64_t units = (int64_t)((uint64_t)file.dwHighDateTime << 32 |
				  file.dwLowDateTime);

	return (struct peal_time){ units / 10000000 - SECONDS_TO_1970,
				   (uint32_t)(units % 10000000) * 100, 0 };
}

static uint16_t mode_of(DWORD attributes, int is_link)
{
	unsigned mode = attributes & FILE_ATTRIBUTE_READONLY ? 0444 : 0666;

	if (is_link)
		return 0120777;
	if (attributes & FILE_ATTRIBUTE_DIRECTORY)
		return 040777;
	return (uint16_t)(0100000 | mode);
}

static int64_t stat_disk(HANDLE handle, int nofollow, struct peal_stat *out)
{
	FILE_STANDARD_INFO standard = { .AllocationSize.QuadPart = 0 };
	BY_HANDLE_FILE_INFORMATION info;
	int is_link;

	if (!GetFileInformationByHandle(handle, &info))
		return peal__win_last();
	GetFileInformationByHandleEx(handle, FileStandardInfo, &standard,
				     sizeof standard);
	is_link = nofollow &&
		  info.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT;
	*out = (struct peal_stat){
		.mask = PEAL_STAT_BASIC,
		.block_size = 4096,
		.links = info.nNumberOfLinks,
		.mode = mode_of(info.dwFileAttributes, is_link),
		.inode = (uint64_t)info.nFileIndexHigh << 32 |
			 info.nFileIndexLow,
		.bytes = (uint64_t)info.nFileSizeHigh << 32 |
			 info.nFileSizeLow,
		.blocks = (uint64_t)standard.AllocationSize.QuadPart / 512,
		.accessed = time_of(info.ftLastAccessTime),
		.modified = time_of(info.ftLastWriteTime),
		.changed = time_of(info.ftLastWriteTime),
		.born = time_of(info.ftCreationTime),
		.dev_minor = info.dwVolumeSerialNumber,
	};
	return 0;
}

static int64_t stat_handle(int32_t fd, struct peal_stat *out)
{
	enum peal__win_kind kind = peal__win_kind(fd);
	unsigned mode = kind == WIN_PIPE ? 010600
			: kind == WIN_OTHER ? 020600 : 0140600;

	if (kind == WIN_NONE)
		return -EBADF;
	if (kind == WIN_FILE || kind == WIN_DIR)
		return stat_disk(peal__win_handle(fd), 0, out);
	*out = (struct peal_stat){ .mask = PEAL_STAT_BASIC,
				   .block_size = 4096,
				   .links = 1,
				   .mode = (uint16_t)mode };
	return 0;
}

int64_t peal__win_stat(const struct peal__sqe *sqe)
{
	int nofollow = sqe->op_flags & PEAL_STAT_NOFOLLOW;
	const char *utf8 = peal__win_pointer(sqe->addr);
	struct peal_stat *out = peal__win_pointer(sqe->off);
	struct win_path path;
	HANDLE handle;
	int64_t rc;

	if (sqe->op_flags & ~0x7900u || sqe->len >> 31)
		return -EINVAL;
	if (sqe->op_flags & PEAL_STAT_EMPTY_PATH && utf8 && !*utf8 &&
	    sqe->fd != PEAL_CWD)
		return stat_handle(sqe->fd, out);
	rc = peal__win_full_path(sqe->fd, sqe->addr, &path);
	if (rc < 0)
		return rc;
	handle = CreateFileW(path.text, FILE_READ_ATTRIBUTES, SHARE_ALL, NULL,
			     OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS |
			     (nofollow ? FILE_FLAG_OPEN_REPARSE_POINT : 0),
			     NULL);
	if (handle == INVALID_HANDLE_VALUE)
		return peal__win_path_error(&path);
	rc = stat_disk(handle, nofollow, out);
	CloseHandle(handle);
	return rc;
}

int64_t peal__win_statfs(const struct peal__sqe *sqe)
{
	struct peal_statfs *out = peal__win_pointer(sqe->off);
	DWORD sectors, bytes, left, all, name_max = NAME_CHARS, flags = 0;
	ULARGE_INTEGER available, total, unused;
	struct win_path path, root;
	uint64_t block;
	int64_t rc = peal__win_full_path(PEAL_CWD, sqe->addr, &path);

	if (rc < 0)
		return rc;
	if (!win_exists(path.text))
		return peal__win_path_error(&path);
	if (!GetVolumePathNameW(path.text, root.text, PATH_CHARS) ||
	    !GetDiskFreeSpaceW(root.text, &sectors, &bytes, &left, &all) ||
	    !GetDiskFreeSpaceExW(root.text, &available, &total, &unused))
		return peal__win_last();
	GetVolumeInformationW(root.text, NULL, 0, NULL, &name_max, &flags,
			      NULL, 0);
	block = (uint64_t)sectors * bytes;
	*out = (struct peal_statfs){
		.block_size = block,
		.blocks = total.QuadPart / block,
		.blocks_free = unused.QuadPart / block,
		.blocks_available = available.QuadPart / block,
		.name_max = name_max,
		.flags = flags & FILE_READ_ONLY_VOLUME ? 1 : 0,
	};
	return 0;
}
