/* SPDX-License-Identifier: MIT */
/* The op table: one row per opcode. */
#include "lib/ring.h"

#define ROW(op, name, kernel, result) \
	[PEAL__OP_##op] = { name, kernel, result }

static const struct peal__op_row table[PEAL__OP_COUNT] = {
	ROW(NOP, "nop", "5.1", RESULT_ZERO),
	ROW(READV, "readv", "5.1", RESULT_BYTES),
	ROW(WRITEV, "writev", "5.1", RESULT_BYTES),
	ROW(FSYNC, "fsync", "5.1", RESULT_ZERO),
	ROW(READ_FIXED, "read_fixed", "5.1", RESULT_BYTES),
	ROW(WRITE_FIXED, "write_fixed", "5.1", RESULT_BYTES),
	ROW(POLL_ADD, "poll", "5.1", RESULT_BYTES),
	ROW(POLL_REMOVE, "poll_remove", "5.1", RESULT_ZERO),
	ROW(SYNC_FILE_RANGE, "sync_range", "5.2", RESULT_ZERO),
	ROW(SENDMSG, "sendmsg", "5.3", RESULT_BYTES),
	ROW(RECVMSG, "recvmsg", "5.3", RESULT_BYTES),
	ROW(TIMEOUT, "timeout", "5.4", RESULT_ZERO),
	ROW(TIMEOUT_REMOVE, "timeout_remove", "5.5", RESULT_ZERO),
	ROW(ACCEPT, "accept", "5.5", RESULT_FD),
	ROW(ASYNC_CANCEL, "cancel", "5.5", RESULT_ZERO),
	ROW(LINK_TIMEOUT, "link_timeout", "5.5", RESULT_ZERO),
	ROW(CONNECT, "connect", "5.5", RESULT_ZERO),
	ROW(FALLOCATE, "fallocate", "5.6", RESULT_ZERO),
	ROW(OPENAT, "open", "5.6", RESULT_FD),
	ROW(CLOSE, "close", "5.6", RESULT_ZERO),
	ROW(FILES_UPDATE, "files_update", "5.6", RESULT_BYTES),
	ROW(STATX, "stat", "5.6", RESULT_ZERO),
	ROW(READ, "read", "5.6", RESULT_BYTES),
	ROW(WRITE, "write", "5.6", RESULT_BYTES),
	ROW(FADVISE, "fadvise", "5.6", RESULT_ZERO),
	ROW(MADVISE, "madvise", "5.6", RESULT_ZERO),
	ROW(SEND, "send", "5.6", RESULT_BYTES),
	ROW(RECV, "recv", "5.6", RESULT_BYTES),
	ROW(OPENAT2, "openat2", "5.6", RESULT_FD),
	ROW(EPOLL_CTL, "epoll_ctl", "5.6", RESULT_ZERO),
	ROW(SPLICE, "splice", "5.7", RESULT_BYTES),
	ROW(PROVIDE_BUFFERS, "provide_buffers", "5.7", RESULT_ZERO),
	ROW(REMOVE_BUFFERS, "remove_buffers", "5.7", RESULT_ZERO),
	ROW(TEE, "tee", "5.8", RESULT_BYTES),
	ROW(SHUTDOWN, "shutdown", "5.11", RESULT_ZERO),
	ROW(RENAMEAT, "rename", "5.11", RESULT_ZERO),
	ROW(UNLINKAT, "unlink", "5.11", RESULT_ZERO),
	ROW(MKDIRAT, "mkdir", "5.15", RESULT_ZERO),
	ROW(SYMLINKAT, "symlink", "5.15", RESULT_ZERO),
	ROW(LINKAT, "link", "5.15", RESULT_ZERO),
	ROW(MSG_RING, "msg_ring", "5.18", RESULT_ZERO),
	ROW(FSETXATTR, "fsetxattr", "5.19", RESULT_ZERO),
	ROW(SETXATTR, "setxattr", "5.19", RESULT_ZERO),
	ROW(FGETXATTR, "fgetxattr", "5.19", RESULT_BYTES),
	ROW(GETXATTR, "getxattr", "5.19", RESULT_BYTES),
	ROW(SOCKET, "socket", "5.19", RESULT_FD),
	ROW(URING_CMD, "uring_cmd", "5.19", RESULT_BYTES),
	ROW(SEND_ZC, "send_zc", "6.0", RESULT_BYTES),
	ROW(SENDMSG_ZC, "sendmsg_zc", "6.1", RESULT_BYTES),
	ROW(READ_MULTISHOT, "read_multishot", "6.7", RESULT_BYTES),
	ROW(WAITID, "waitid", "6.7", RESULT_ZERO),
	ROW(FUTEX_WAIT, "futex_wait", "6.7", RESULT_ZERO),
	ROW(FUTEX_WAKE, "futex_wake", "6.7", RESULT_BYTES),
	ROW(FUTEX_WAITV, "futex_waitv", "6.7", RESULT_BYTES),
	ROW(FIXED_FD_INSTALL, "fixed_fd_install", "6.8", RESULT_FD),
	ROW(FTRUNCATE, "ftruncate", "6.9", RESULT_ZERO),
	ROW(BIND, "bind", "6.11", RESULT_ZERO),
	ROW(LISTEN, "listen", "6.11", RESULT_ZERO),
	ROW(RECV_ZC, "recv_zc", "6.15", RESULT_BYTES),
	ROW(EPOLL_WAIT, "epoll_wait", "6.15", RESULT_BYTES),
	ROW(READV_FIXED, "readv_fixed", "6.15", RESULT_BYTES),
	ROW(WRITEV_FIXED, "writev_fixed", "6.15", RESULT_BYTES),
	ROW(PIPE, "pipe", "6.16", RESULT_ZERO),
	ROW(SLEEP, "sleep", NULL, RESULT_ZERO),
	ROW(CLOSE_DRAINED, "close_drained", NULL, RESULT_ZERO),
	ROW(CANCEL_MANY, "cancel_many", NULL, RESULT_BYTES),
	ROW(READ_DIR, "read_dir", NULL, RESULT_BYTES),
	ROW(STATFS, "statfs", NULL, RESULT_ZERO),
	ROW(SEEK, "seek", NULL, RESULT_BYTES),
	ROW(COPY_RANGE, "copy_range", NULL, RESULT_BYTES),
	ROW(RESOLVE, "resolve", NULL, RESULT_ZERO),
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
