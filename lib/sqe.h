/* SPDX-License-Identifier: MIT */
/*
 * The portable description of one operation: a 64-byte submission entry and a
 * 16-byte completion entry, with io_uring's own layout and numbers up to
 * Linux 6.18. Every engine consumes the first and produces the second.
 *
 * The numbers are ours, not the system header's, because the kernel's are
 * enumerators: an old header hides a new kernel's operations, and a system
 * without io_uring has no header at all. Where there is one, uring.c asserts
 * that both agree.
 */
#ifndef PEAL_LIB_SQE_H
#define PEAL_LIB_SQE_H

#include <stdint.h>

struct peal__sqe {
	uint8_t opcode;
	uint8_t flags;		/* PEAL__SQE_* */
	uint16_t ioprio;	/* or the flags of accept, recv and send */
	int32_t fd;
	uint64_t off;		/* offset, or a second address */
	uint64_t addr;		/* buffer, path, iovec array */
	uint32_t len;
	uint32_t op_flags;	/* the flag word of this opcode */
	uint64_t user_data;
	uint16_t buf_index;	/* registered buffer, or buffer group */
	uint16_t personality;
	uint32_t file_index;	/* or splice_fd_in */
	uint64_t addr3;
	uint64_t pad;
};

struct peal__cqe {
	uint64_t user_data;
	int32_t res;
	uint32_t flags;		/* PEAL__CQE_* */
};

_Static_assert(sizeof(struct peal__sqe) == 64, "an entry is a cache line");
_Static_assert(sizeof(struct peal__cqe) == 16, "a completion is 16 bytes");

enum peal__opcode {
	PEAL__OP_NOP = 0,
	PEAL__OP_READV = 1,
	PEAL__OP_WRITEV = 2,
	PEAL__OP_FSYNC = 3,
	PEAL__OP_READ_FIXED = 4,
	PEAL__OP_WRITE_FIXED = 5,
	PEAL__OP_POLL_ADD = 6,
	PEAL__OP_POLL_REMOVE = 7,
	PEAL__OP_SYNC_FILE_RANGE = 8,
	PEAL__OP_SENDMSG = 9,
	PEAL__OP_RECVMSG = 10,
	PEAL__OP_TIMEOUT = 11,
	PEAL__OP_TIMEOUT_REMOVE = 12,
	PEAL__OP_ACCEPT = 13,
	PEAL__OP_ASYNC_CANCEL = 14,
	PEAL__OP_LINK_TIMEOUT = 15,
	PEAL__OP_CONNECT = 16,
	PEAL__OP_FALLOCATE = 17,
	PEAL__OP_OPENAT = 18,
	PEAL__OP_CLOSE = 19,
	PEAL__OP_FILES_UPDATE = 20,
	PEAL__OP_STATX = 21,
	PEAL__OP_READ = 22,
	PEAL__OP_WRITE = 23,
	PEAL__OP_FADVISE = 24,
	PEAL__OP_MADVISE = 25,
	PEAL__OP_SEND = 26,
	PEAL__OP_RECV = 27,
	PEAL__OP_OPENAT2 = 28,
	PEAL__OP_EPOLL_CTL = 29,
	PEAL__OP_SPLICE = 30,
	PEAL__OP_PROVIDE_BUFFERS = 31,
	PEAL__OP_REMOVE_BUFFERS = 32,
	PEAL__OP_TEE = 33,
	PEAL__OP_SHUTDOWN = 34,
	PEAL__OP_RENAMEAT = 35,
	PEAL__OP_UNLINKAT = 36,
	PEAL__OP_MKDIRAT = 37,
	PEAL__OP_SYMLINKAT = 38,
	PEAL__OP_LINKAT = 39,
	PEAL__OP_MSG_RING = 40,
	PEAL__OP_FSETXATTR = 41,
	PEAL__OP_SETXATTR = 42,
	PEAL__OP_FGETXATTR = 43,
	PEAL__OP_GETXATTR = 44,
	PEAL__OP_SOCKET = 45,
	PEAL__OP_URING_CMD = 46,
	PEAL__OP_SEND_ZC = 47,
	PEAL__OP_SENDMSG_ZC = 48,
	PEAL__OP_READ_MULTISHOT = 49,
	PEAL__OP_WAITID = 50,
	PEAL__OP_FUTEX_WAIT = 51,
	PEAL__OP_FUTEX_WAKE = 52,
	PEAL__OP_FUTEX_WAITV = 53,
	PEAL__OP_FIXED_FD_INSTALL = 54,
	PEAL__OP_FTRUNCATE = 55,
	PEAL__OP_BIND = 56,
	PEAL__OP_LISTEN = 57,
	PEAL__OP_RECV_ZC = 58,
	PEAL__OP_EPOLL_WAIT = 59,
	PEAL__OP_READV_FIXED = 60,
	PEAL__OP_WRITEV_FIXED = 61,
	PEAL__OP_PIPE = 62,
	PEAL__OP_KERNEL_COUNT = 63,
	/* Operations that no kernel has: they live in lib/ alone. */
	PEAL__OP_SLEEP = 63,
	PEAL__OP_CLOSE_DRAINED = 64,
	PEAL__OP_CANCEL_MANY = 65,
	/* Operations that only a plain system call does. */
	PEAL__OP_READ_DIR = 66,
	PEAL__OP_STATFS = 67,
	PEAL__OP_SEEK = 68,
	PEAL__OP_COPY_RANGE = 69,
	PEAL__OP_RESOLVE = 70,
	/* Of lib/ alone, too. */
	PEAL__OP_GROUP_CLOSE = 71,
	PEAL__OP_COUNT = 72
};

/* peal__sqe.flags */
#define PEAL__SQE_FIXED_FILE	(1u << 0)
#define PEAL__SQE_IO_DRAIN	(1u << 1)
#define PEAL__SQE_IO_LINK	(1u << 2)
#define PEAL__SQE_IO_HARDLINK	(1u << 3)
#define PEAL__SQE_ASYNC		(1u << 4)
#define PEAL__SQE_BUFFER_SELECT	(1u << 5)
#define PEAL__SQE_CQE_SKIP	(1u << 6)

/* peal__sqe.ioprio of accept, recv, send and nop's op_flags */
#define PEAL__ACCEPT_MULTISHOT	(1u << 0)
#define PEAL__RECVSEND_POLL_FIRST (1u << 0)
#define PEAL__RECV_MULTISHOT	(1u << 1)
#define PEAL__RECVSEND_FIXED_BUF (1u << 2)
#define PEAL__SEND_ZC_REPORT	(1u << 3)
#define PEAL__RECVSEND_BUNDLE	(1u << 4)
#define PEAL__NOP_INJECT_RESULT	(1u << 0)

/* peal__sqe.len of poll, op_flags of fsync and cancel */
#define PEAL__POLL_ADD_MULTI	(1u << 0)
#define PEAL__FSYNC_DATASYNC	(1u << 0)
#define PEAL__CANCEL_ALL	(1u << 0)
#define PEAL__CANCEL_FD		(1u << 1)
#define PEAL__CANCEL_ANY	(1u << 2)

/* op_flags of splice */
#define PEAL__SPLICE_FD_IN_FIXED (1u << 31)

/* peal__cqe.flags */
#define PEAL__CQE_BUFFER	(1u << 0)
#define PEAL__CQE_MORE		(1u << 1)
#define PEAL__CQE_SOCK_NONEMPTY	(1u << 2)
#define PEAL__CQE_NOTIF		(1u << 3)
#define PEAL__CQE_BUF_MORE	(1u << 4)

/* io_uring_setup() */
#define PEAL__SETUP_IOPOLL	(1u << 0)
#define PEAL__SETUP_SQPOLL	(1u << 1)
#define PEAL__SETUP_SQ_AFF	(1u << 2)
#define PEAL__SETUP_CQSIZE	(1u << 3)
#define PEAL__SETUP_CLAMP	(1u << 4)
#define PEAL__SETUP_ATTACH_WQ	(1u << 5)
#define PEAL__SETUP_SUBMIT_ALL	(1u << 7)
#define PEAL__SETUP_COOP_TASKRUN (1u << 8)
#define PEAL__SETUP_TASKRUN_FLAG (1u << 9)
#define PEAL__SETUP_SINGLE_ISSUER (1u << 12)
#define PEAL__SETUP_DEFER_TASKRUN (1u << 13)
#define PEAL__SETUP_NO_SQARRAY	(1u << 16)

/* features the kernel reports from io_uring_setup() */
#define PEAL__FEAT_NODROP	(1u << 1)
#define PEAL__FEAT_SUBMIT_STABLE (1u << 2)
#define PEAL__FEAT_FAST_POLL	(1u << 5)
#define PEAL__FEAT_EXT_ARG	(1u << 8)
#define PEAL__FEAT_NATIVE_WORKERS (1u << 9)
#define PEAL__FEAT_REG_REG_RING	(1u << 13)
#define PEAL__FEAT_RECVSEND_BUNDLE (1u << 14)
#define PEAL__FEAT_NO_IOWAIT	(1u << 17)

/* io_uring_enter() and the SQ ring's flag word */
#define PEAL__ENTER_GETEVENTS	(1u << 0)
#define PEAL__ENTER_SQ_WAKEUP	(1u << 1)
#define PEAL__ENTER_SQ_WAIT	(1u << 2)
#define PEAL__ENTER_EXT_ARG	(1u << 3)
#define PEAL__ENTER_REGISTERED_RING (1u << 4)
#define PEAL__ENTER_NO_IOWAIT	(1u << 7)
#define PEAL__SQ_NEED_WAKEUP	(1u << 0)
#define PEAL__SQ_CQ_OVERFLOW	(1u << 1)
#define PEAL__SQ_TASKRUN	(1u << 2)

/* io_uring_register() */
#define PEAL__REGISTER_EVENTFD	4
#define PEAL__UNREGISTER_EVENTFD 5
#define PEAL__UNREGISTER_FILES	3
#define PEAL__REGISTER_FILES_UPDATE 6
#define PEAL__REGISTER_PROBE	8
#define PEAL__REGISTER_FILES2	13
#define PEAL__REGISTER_BUFFERS2	15
#define PEAL__REGISTER_BUFFERS_UPDATE 16
#define PEAL__REGISTER_IOWQ_MAX_WORKERS 19
#define PEAL__REGISTER_RING_FDS	20
#define PEAL__UNREGISTER_RING_FDS 21
#define PEAL__REGISTER_PBUF_RING 22
#define PEAL__UNREGISTER_PBUF_RING 23
#define PEAL__REGISTER_CLONE_BUFFERS 30
#define PEAL__RSRC_SPARSE	(1u << 0)
#define PEAL__PBUF_RING_INC	(1u << 1)

#endif
