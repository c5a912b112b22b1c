/* SPDX-License-Identifier: MIT */
/* The plain call that lists a directory. */
#include <stddef.h>
#include <string.h>
#include "shim/win_path.h"
#include <winternl.h>

#define ID_BOTH_INFORMATION ((FILE_INFORMATION_CLASS)37)

/* ntdll.dll's; winternl.h lacks it. */
NTSTATUS NTAPI NtQueryDirectoryFile(HANDLE dir, HANDLE event,
				    PIO_APC_ROUTINE apc, void *apc_context,
				    IO_STATUS_BLOCK *io, void *info,
				    ULONG size, FILE_INFORMATION_CLASS class,
				    BOOLEAN single, UNICODE_STRING *mask,
				    BOOLEAN restart);

/* The next entry of a directory. 1: one; 0: no more. */
static int64_t next_name(int32_t fd, FILE_ID_BOTH_DIR_INFO *info, ULONG size)
{
	IO_STATUS_BLOCK io = { .Information = 0 };
	NTSTATUS status;

	/* Wine 8 takes no event: the handle, which nothing else uses, is. */
	status = NtQueryDirectoryFile(peal__win_handle(fd), NULL, NULL, NULL,
				      &io, info, size, ID_BOTH_INFORMATION,
				      TRUE, NULL, FALSE);
	if (status == 0x103) {
		WaitForSingleObject(peal__win_handle(fd), INFINITE);
		status = io.Status;
	}
	if ((uint32_t)status == 0x80000006)	/* NO_MORE_FILES */
		return 0;
	return status < 0 ? peal__win_errno((uint32_t)status) : 1;
}

static uint8_t type_of(DWORD attributes)
{
	if (attributes & FILE_ATTRIBUTE_REPARSE_POINT)
		return 10;	/* DT_LNK */
	return attributes & FILE_ATTRIBUTE_DIRECTORY ? 4 : 8;
}

/* Bytes of out that were filled, or -EINVAL: no room. */
static int64_t put_entry(const FILE_ID_BOTH_DIR_INFO *info, char *out,
			 size_t room)
{
	const size_t head = offsetof(struct peal_dir_entry, name);
	struct peal_dir_entry entry = {
		.inode = (uint64_t)info->FileId.QuadPart,
		.type = type_of(info->FileAttributes),
	};
	char name[NAME_CHARS * 3 + 1];
	int len = WideCharToMultiByte(CP_UTF8, 0, info->FileName,
				      (int)(info->FileNameLength / 2), name,
				      sizeof name - 1, NULL, NULL);
	size_t all = (head + (size_t)len + 1 + 7) & ~(size_t)7;

	if (all > room)
		return -EINVAL;
	name[len] = 0;
	entry.length = (uint16_t)all;
	memcpy(out, &entry, head);
	memcpy(out + head, name, (size_t)len + 1);
	return (int64_t)all;
}

/* An entry that was taken cannot be put back: there is room for the longest
 * before one is. */
int64_t peal__win_read_dir(const struct peal__sqe *sqe)
{
	union {
		FILE_ID_BOTH_DIR_INFO info;
		char room[sizeof(FILE_ID_BOTH_DIR_INFO) + 2 * NAME_CHARS];
	} one;
	const size_t most = sizeof(struct peal_dir_entry) + NAME_CHARS * 3 + 8;
	char *out = peal__win_pointer(sqe->addr);
	enum peal__win_kind kind = peal__win_kind(sqe->fd);
	size_t used = 0;

	if (kind != WIN_DIR)
		return kind == WIN_NONE ? -EBADF : -ENOTDIR;
	while (used == 0 || sqe->len - used >= most) {
		int64_t rc;

		if (used == 0 && sqe->len < 280)
			return -EINVAL;
		rc = next_name(sqe->fd, &one.info, sizeof one);
		if (rc <= 0)
			return used ? (int64_t)used : rc;
		rc = put_entry(&one.info, out + used, sqe->len - used);
		if (rc < 0)
			return rc;
		used += (size_t)rc;
	}
	return (int64_t)used;
}
