/* SPDX-License-Identifier: MIT */
/* What the Windows files of shim/ share. */
#ifndef PEAL_SHIM_WIN_H
#define PEAL_SHIM_WIN_H

#include "peal.h"
#include "lib/sqe.h"

enum peal__win_kind {
	WIN_NONE,		/* no open handle */
	WIN_FILE,
	WIN_DIR,
	WIN_PIPE,
	WIN_STREAM,		/* a socket */
	WIN_DGRAM,		/* a socket */
	WIN_OTHER		/* a console, a device */
};

static inline HANDLE peal__win_handle(int32_t fd)
{
	return (HANDLE)(intptr_t)fd;
}

static inline SOCKET peal__win_socket(int32_t fd)
{
	return (SOCKET)(intptr_t)fd;
}

static inline void *peal__win_pointer(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

static inline int peal__win_is_socket(enum peal__win_kind kind)
{
	return kind == WIN_STREAM || kind == WIN_DGRAM;
}

/* windows.c */
enum peal__win_kind peal__win_kind(int32_t fd);
/* Does I/O on it wait, as on any handle opened without OVERLAPPED? */
int peal__win_waits(int32_t fd);
/* The negative errno of an NTSTATUS, Win32 or Winsock code, and of the last
 * error of this thread. */
int peal__win_errno(uint32_t code);
int peal__win_last(void);
/* Winsock, before its first call; 0 or an error. */
int peal__win_start_sockets(void);
int peal__win_close(int32_t fd);

/* win_path.c, win_socket.c: rows of the table in win_blocking.c */
typedef int64_t peal__win_call(const struct peal__sqe *sqe);

peal__win_call peal__win_open, peal__win_stat, peal__win_rename,
	peal__win_link, peal__win_symlink, peal__win_unlink, peal__win_mkdir,
	peal__win_read_dir, peal__win_statfs;
peal__win_call peal__win_new_socket, peal__win_bind, peal__win_listen,
	peal__win_shutdown, peal__win_accept, peal__win_connect,
	peal__win_recv, peal__win_send, peal__win_resolve;

#endif
