/* SPDX-License-Identifier: MIT */
/* The plain calls that give names, move them and take them away. */
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include "shim/win_path.h"

#define DISPOSITION_INFO_EX ((FILE_INFO_BY_HANDLE_CLASS)21)

static int64_t two_paths(const struct peal__sqe *sqe, struct win_path *from,
			 struct win_path *to)
{
	int64_t rc = peal__win_full_path(sqe->fd, sqe->addr, from);

	return rc < 0 ? rc
		      : peal__win_full_path((int32_t)sqe->len, sqe->off, to);
}

/* MoveFileExW() replaces no directory; an empty one goes first, so there is a
 * moment without either. */
static int64_t make_way(const struct win_path *from, const struct win_path *to)
{
	if (!win_exists(from->text) || !win_exists(to->text) ||
	    !_wcsicmp(from->text, to->text))
		return 0;
	if (!win_is_dir(from->text))
		return win_is_dir(to->text) ? -EISDIR : 0;
	if (!win_is_dir(to->text))
		return -ENOTDIR;
	return RemoveDirectoryW(to->text) ? 0 : peal__win_last();
}

int64_t peal__win_rename(const struct peal__sqe *sqe)
{
	struct win_path from, to;
	DWORD how = 0;
	int64_t rc;

	if (sqe->op_flags & ~(unsigned)RENAME_NOREPLACE)
		return -EINVAL;	/* nothing exchanges two names at once */
	rc = two_paths(sqe, &from, &to);
	if (rc < 0)
		return rc;
	if (!(sqe->op_flags & RENAME_NOREPLACE)) {
		how = MOVEFILE_REPLACE_EXISTING;
		rc = make_way(&from, &to);
		if (rc < 0)
			return rc;
	}
	if (MoveFileExW(from.text, to.text, how))
		return 0;
	rc = peal__win_path_error(&from);
	return rc == -ENOENT && win_exists(from.text)
		       ? peal__win_path_error(&to) : rc;
}

int64_t peal__win_link(const struct peal__sqe *sqe)
{
	struct win_path from, to;
	int64_t rc;

	if (sqe->op_flags & ~0x400u)	/* AT_SYMLINK_FOLLOW */
		return -EINVAL;
	rc = two_paths(sqe, &from, &to);
	if (rc < 0)
		return rc;
	if (CreateHardLinkW(to.text, from.text, NULL))
		return 0;
	rc = peal__win_path_error(&from);
	if (win_is_dir(from.text))
		return -EPERM;
	return rc == -ENOENT && win_exists(from.text)
		       ? peal__win_path_error(&to) : rc;
}

/* The target is taken as it stands; Windows wants to know what it will be. */
int64_t peal__win_symlink(const struct peal__sqe *sqe)
{
	const char *target = peal__win_pointer(sqe->addr);
	struct win_path path, what;
	WCHAR *at;
	int64_t rc = peal__win_full_path(sqe->fd, sqe->off, &path);

	if (rc < 0)
		return rc;
	if (!*target)
		return -ENOENT;
	if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, target, -1,
				 what.text, PATH_CHARS))
		return -ENAMETOOLONG;
	for (at = what.text; *at; at++)
		if (*at == '/')
			*at = '\\';
	if (win_exists(path.text))
		return -EEXIST;
	if (!CreateSymbolicLinkW(path.text, what.text,
				 SYMBOLIC_LINK_FLAG_ALLOW_UNPRIVILEGED_CREATE |
				 (win_is_dir(what.text)
				  ? SYMBOLIC_LINK_FLAG_DIRECTORY : 0)))
		return peal__win_path_error(&path);
	/* Wine 8 says yes and does nothing. */
	return win_exists(path.text) || GetLastError() != ERROR_FILE_NOT_FOUND
		       ? 0 : -EOPNOTSUPP;
}

/* A file that is open somewhere loses its name at once: Windows 10 has a call
 * for that. Before, and on Wine 8, the name would stay until the last close, so
 * it is changed first. */
static int64_t remove_name(struct win_path *path)
{
	static volatile LONG count;
	struct { DWORD flags; } posix = { 0x3 };  /* DELETE, POSIX_SEMANTICS */
	HANDLE handle = CreateFileW(path->text, DELETE, SHARE_ALL, NULL,
				    OPEN_EXISTING,
				    FILE_FLAG_OPEN_REPARSE_POINT, NULL);
	struct win_path other;
	int done;

	if (handle == INVALID_HANDLE_VALUE)
		return peal__win_path_error(path);
	done = SetFileInformationByHandle(handle, DISPOSITION_INFO_EX, &posix,
					  sizeof posix);
	CloseHandle(handle);
	if (done)
		return 0;
	if (wcslen(path->text) + 40 < PATH_CHARS) {
		other = *path;
		swprintf(wcsrchr(other.text, '\\') + 1, 40,
			 L".peal-removed-%lx-%lx", GetCurrentProcessId(),
			 InterlockedIncrement(&count));
		if (MoveFileExW(path->text, other.text, 0))
			*path = other;
	}
	return DeleteFileW(path->text) ? 0 : peal__win_path_error(path);
}

int64_t peal__win_unlink(const struct peal__sqe *sqe)
{
	struct win_path path;
	int64_t rc;

	if (sqe->op_flags & ~PEAL_REMOVE_DIR)
		return -EINVAL;
	rc = peal__win_full_path(sqe->fd, sqe->addr, &path);
	if (rc < 0)
		return rc;
	if (sqe->op_flags & PEAL_REMOVE_DIR) {
		if (win_exists(path.text) && !win_is_dir(path.text))
			return -ENOTDIR;
		return RemoveDirectoryW(path.text)
			       ? 0 : peal__win_path_error(&path);
	}
	if (win_is_dir(path.text))
		return -EISDIR;
	return remove_name(&path);
}

int64_t peal__win_mkdir(const struct peal__sqe *sqe)
{
	struct win_path path;
	int64_t rc = peal__win_full_path(sqe->fd, sqe->addr, &path);

	if (rc < 0)
		return rc;
	return CreateDirectoryW(path.text, NULL)
		       ? 0 : peal__win_path_error(&path);
}
