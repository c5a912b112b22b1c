/* SPDX-License-Identifier: MIT */
/* Paths, for the plain calls that take them: win_path.c. */
#ifndef PEAL_SHIM_WIN_PATH_H
#define PEAL_SHIM_WIN_PATH_H

#include "shim/win.h"

#define PATH_CHARS	4096u
#define NAME_CHARS	255u
#define SHARE_ALL	(FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)

struct win_path {
	WCHAR text[PATH_CHARS];
};

static inline int win_is_dir(const WCHAR *path)
{
	DWORD attributes = GetFileAttributesW(path);

	return attributes != INVALID_FILE_ATTRIBUTES &&
	       attributes & FILE_ATTRIBUTE_DIRECTORY;
}

static inline int win_exists(const WCHAR *path)
{
	return GetFileAttributesW(path) != INVALID_FILE_ATTRIBUTES;
}

/* Absolute, from what an entry has at addr. 0, or an error. */
int peal__win_full_path(int32_t dirfd, uint64_t addr,
			struct win_path *out);
/* The last error, of a call on this path. */
int peal__win_path_error(const struct win_path *path);

#endif
