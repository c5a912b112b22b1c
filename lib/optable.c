/* SPDX-License-Identifier: MIT */
/* The op table: one row per opcode. RAW: only peal_uring_submit() starts it. */
#include <stddef.h>
#include "lib/optable.h"
#include "lib/sqe.h"
#include "peal/ring.h"

#define MULTI(op, name, kernel, multishot, result, on, waits, cancel, call,   \
	      functions)                                                      \
	[PEAL__OP_##op] = { name, kernel, functions, multishot,               \
			    RESULT_##result, ON_##on, WAITS_##waits,          \
			    CANCEL_##cancel, CALL_##call }
#define ROW(op, name, kernel, result, on, waits, cancel, call, functions)     \
	MULTI(op, name, kernel, NULL, result, on, waits, cancel, call,        \
	      functions)
#define RAW(op, name, kernel, result)                                         \
	ROW(op, name, kernel, result, ANY, NOT, ENDS, POOL, NULL)

static const struct peal__op_row table[PEAL__OP_COUNT] = {
	ROW(NOP, "nop", "5.1", ZERO, NOTHING, NOT, ENDS, POOL, "nop"),
	ROW(READV, "readv", "5.1", BYTES, ANY, READABLE, ENDS, POOL, "readv"),
	ROW(WRITEV, "writev", "5.1", BYTES,
	    ANY, WRITABLE, ENDS, POOL, "writev"),
	ROW(FSYNC, "fsync", "5.1", ZERO,
	    FILE, NOT, ENDS, POOL, "sync, datasync"),
	RAW(READ_FIXED, "read_fixed", "5.1", BYTES),
	RAW(WRITE_FIXED, "write_fixed", "5.1", BYTES),
	MULTI(POLL_ADD, "poll", "5.1", "5.13", BYTES,
	      ANY, ASKED, ENDS, POOL, "poll"),
	RAW(POLL_REMOVE, "poll_remove", "5.1", ZERO),
	ROW(SYNC_FILE_RANGE, "sync_range", "5.2", ZERO,
	    FILE, NOT, ENDS, POOL, "sync_range"),
	ROW(SENDMSG, "sendmsg", "5.3", BYTES,
	    SOCKET, WRITABLE, PART, POOL, "sendmsg"),
	MULTI(RECVMSG, "recvmsg", "5.3", "6.0", BYTES,
	    SOCKET, READABLE, PART, POOL, "recvmsg"),
	RAW(TIMEOUT, "timeout", "5.4", ZERO),
	RAW(TIMEOUT_REMOVE, "timeout_remove", "5.5", ZERO),
	MULTI(ACCEPT, "accept", "5.5", "5.19", FD,
	      SOCKET, READABLE, ENDS, POOL, "accept"),
	ROW(ASYNC_CANCEL, "cancel", "5.5", ZERO,
	    NOTHING, NOT, ALONE, POOL, "cancel"),
	RAW(LINK_TIMEOUT, "link_timeout", "5.5", ZERO),
	ROW(CONNECT, "connect", "5.5", ZERO,
	    SOCKET, WRITABLE, ENDS, POOL, "connect"),
	ROW(FALLOCATE, "fallocate", "5.6", ZERO,
	    FILE, NOT, ENDS, POOL, "allocate, punch, zero_range"),
	ROW(OPENAT, "open", "5.6", FD, DIRECTORY, NOT, ENDS, POOL, "open"),
	ROW(CLOSE, "close", "5.6", ZERO, ANY, NOT, ENDS, POOL, "close"),
	ROW(FILES_UPDATE, "files_update", "5.6", FD,
	    ANY, NOT, ENDS, TURN, "fd_register"),
	ROW(STATX, "stat", "5.6", ZERO, DIRECTORY, NOT, ENDS, POOL, "stat"),
	ROW(READ, "read", "5.6", BYTES,
	    ANY, READABLE, ENDS, POOL, "read, read_full"),
	ROW(WRITE, "write", "5.6", BYTES,
	    ANY, WRITABLE, ENDS, POOL, "write, write_full"),
	ROW(FADVISE, "fadvise", "5.6", ZERO, FILE, NOT, ENDS, POOL, "advise"),
	RAW(MADVISE, "madvise", "5.6", ZERO),
	ROW(SEND, "send", "5.6", BYTES,
	    SOCKET, WRITABLE, PART, POOL, "send, send_full"),
	MULTI(RECV, "recv", "5.6", "6.0", BYTES,
	      SOCKET, READABLE, PART, POOL, "recv, recv_group"),
	RAW(OPENAT2, "openat2", "5.6", FD),
	RAW(EPOLL_CTL, "epoll_ctl", "5.6", ZERO),
	ROW(SPLICE, "splice", "5.7", BYTES, ANY, BOTH, ENDS, POOL, "splice"),
	RAW(PROVIDE_BUFFERS, "provide_buffers", "5.7", ZERO),
	RAW(REMOVE_BUFFERS, "remove_buffers", "5.7", ZERO),
	RAW(TEE, "tee", "5.8", BYTES),
	ROW(SHUTDOWN, "shutdown", "5.11", ZERO,
	    SOCKET, NOT, ENDS, TURN, "shutdown"),
	ROW(RENAMEAT, "rename", "5.11", ZERO,
	    DIRECTORY, NOT, ENDS, POOL, "rename"),
	ROW(UNLINKAT, "unlink", "5.11", ZERO,
	    DIRECTORY, NOT, ENDS, POOL, "unlink"),
	ROW(MKDIRAT, "mkdir", "5.15", ZERO,
	    DIRECTORY, NOT, ENDS, POOL, "mkdir"),
	ROW(SYMLINKAT, "symlink", "5.15", ZERO,
	    DIRECTORY, NOT, ENDS, POOL, "symlink"),
	ROW(LINKAT, "link", "5.15", ZERO, DIRECTORY, NOT, ENDS, POOL, "link"),
	RAW(MSG_RING, "msg_ring", "5.18", ZERO),
	RAW(FSETXATTR, "fsetxattr", "5.19", ZERO),
	RAW(SETXATTR, "setxattr", "5.19", ZERO),
	RAW(FGETXATTR, "fgetxattr", "5.19", BYTES),
	RAW(GETXATTR, "getxattr", "5.19", BYTES),
	ROW(SOCKET, "socket", "5.19", FD, NOTHING, NOT, ENDS, TURN, "socket"),
	RAW(URING_CMD, "uring_cmd", "5.19", BYTES),
	ROW(SEND_ZC, "send_zc", "6.0", BYTES,
	    SOCKET, NOT, ENDS, POOL, "send_zc"),
	ROW(SENDMSG_ZC, "sendmsg_zc", "6.1", BYTES,
	    SOCKET, NOT, ENDS, POOL, "sendmsg_zc"),
	RAW(READ_MULTISHOT, "read_multishot", "6.7", BYTES),
	RAW(WAITID, "waitid", "6.7", ZERO),
	RAW(FUTEX_WAIT, "futex_wait", "6.7", ZERO),
	RAW(FUTEX_WAKE, "futex_wake", "6.7", BYTES),
	RAW(FUTEX_WAITV, "futex_waitv", "6.7", BYTES),
	ROW(FIXED_FD_INSTALL, "fixed_fd_install", "6.8", FD,
	    ANY, NOT, ENDS, TURN, "fd_install"),
	ROW(FTRUNCATE, "ftruncate", "6.9", ZERO,
	    FILE, NOT, ENDS, POOL, "truncate"),
	ROW(BIND, "bind", "6.11", ZERO, SOCKET, NOT, ENDS, TURN, "bind"),
	ROW(LISTEN, "listen", "6.11", ZERO, SOCKET, NOT, ENDS, TURN, "listen"),
	RAW(RECV_ZC, "recv_zc", "6.15", BYTES),
	RAW(EPOLL_WAIT, "epoll_wait", "6.15", BYTES),
	RAW(READV_FIXED, "readv_fixed", "6.15", BYTES),
	RAW(WRITEV_FIXED, "writev_fixed", "6.15", BYTES),
	RAW(PIPE, "pipe", "6.16", ZERO),
	ROW(SLEEP, "sleep", NULL, ZERO, NOTHING, NOT, ENDS, POOL, "sleep"),
	ROW(CLOSE_DRAINED, "close_drained", NULL, ZERO,
	    ANY, NOT, ALONE, POOL, "close_drained"),
	ROW(CANCEL_MANY, "cancel_many", NULL, BYTES,
	    ANY, NOT, ALONE, POOL, "cancel_fd, cancel_all"),
	ROW(READ_DIR, "read_dir", NULL, BYTES,
	    FILE, NOT, ENDS, POOL, "read_dir"),
	ROW(STATFS, "statfs", NULL, ZERO, NOTHING, NOT, ENDS, POOL, "statfs"),
	ROW(SEEK, "seek", NULL, BYTES,
	    FILE, NOT, ENDS, POOL, "seek_data, seek_hole"),
	ROW(COPY_RANGE, "copy_range", NULL, BYTES,
	    FILE, NOT, ENDS, POOL, "copy_range"),
	ROW(GROUP_CLOSE, "group_close", NULL, ZERO,
	    NOTHING, NOT, ENDS, POOL, "group_close"),
	ROW(RESOLVE, "resolve", NULL, ZERO,
	    NOTHING, NOT, ENDS, POOL, "resolve"),
};

_Static_assert(PEAL__OP_COUNT <= PEAL_STATS_OPS, "every op has a counter");

const struct peal__op_row *peal__op_row(unsigned opcode)
{
	return opcode < PEAL__OP_COUNT ? &table[opcode] : NULL;
}

const char *peal_opcode_name(unsigned opcode)
{
	return opcode < PEAL__OP_COUNT ? table[opcode].name : NULL;
}
