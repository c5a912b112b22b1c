/* SPDX-License-Identifier: MIT */
/*
 * The entries that lib/ops_file.c and lib/ops_net.c fill: each field where the
 * kernel looks for it.
 */
#include "test/scripted.h"

SCRIPT_SYSTEM

#define FD	7
#define FD_2	8
#define OFFSET	UINT64_C(0x123456789abcdef0)

static char bytes[100], name[] = "name", other[] = "other";
static struct iovec iov[3];
static struct msghdr msg;
static struct sockaddr_un addr;
static socklen_t addr_len = 99;
static struct peal_stat stat_buf;
static struct peal__sqe entry;

/* The entry of op, which must have all that is named and nothing else. */
static void is(peal_op op, struct peal__sqe want)
{
	ck_assert_int_gt(op, 0);
	script_turn();
	entry = *script_entry(op);
	want.user_data = (uint64_t)op;
	ck_assert_uint_eq(entry.opcode, want.opcode);
	ck_assert_int_eq(entry.fd, want.fd);
	ck_assert_uint_eq(entry.ioprio, want.ioprio);
	ck_assert_uint_eq(entry.off, want.off);
	ck_assert_uint_eq(entry.addr, want.addr);
	ck_assert_uint_eq(entry.len, want.len);
	ck_assert_uint_eq(entry.op_flags, want.op_flags);
	ck_assert_uint_eq(entry.file_index, want.file_index);
	ck_assert_mem_eq(&entry, &want, sizeof(want));
}

#define IS(op, ...) is(op, (struct peal__sqe){ __VA_ARGS__ })
#define NOBODY 0, NULL, NULL
#define AT(pointer) peal__addr(pointer)

SCRIPT_TEST(open_close)
{
	IS(peal_open(ring, FD, name, O_RDWR | O_CREAT, 0640, NOBODY),
	   .opcode = PEAL__OP_OPENAT, .fd = FD, .addr = AT(name), .len = 0640,
	   .op_flags = O_RDWR | O_CREAT | O_CLOEXEC);
	IS(peal_close(ring, FD, NOBODY), .opcode = PEAL__OP_CLOSE, .fd = FD);
}

SCRIPT_TEST(read_write)
{
	IS(peal_read(ring, FD, bytes, 100, OFFSET, NOBODY),
	   .opcode = PEAL__OP_READ, .fd = FD, .off = OFFSET,
	   .addr = AT(bytes), .len = 100);
	IS(peal_write(ring, FD, bytes, 99, PEAL_CURRENT, NOBODY),
	   .opcode = PEAL__OP_WRITE, .fd = FD, .off = UINT64_MAX,
	   .addr = AT(bytes), .len = 99);
	IS(peal_readv(ring, FD, iov, 3, OFFSET, 5, NOBODY),
	   .opcode = PEAL__OP_READV, .fd = FD, .off = OFFSET, .addr = AT(iov),
	   .len = 3, .op_flags = 5);
	IS(peal_writev(ring, FD, iov, 2, OFFSET, 6, NOBODY),
	   .opcode = PEAL__OP_WRITEV, .fd = FD, .off = OFFSET, .addr = AT(iov),
	   .len = 2, .op_flags = 6);
}

SCRIPT_TEST(sync_and_datasync_differ)
{
	IS(peal_sync(ring, FD, NOBODY), .opcode = PEAL__OP_FSYNC, .fd = FD);
	IS(peal_datasync(ring, FD, NOBODY), .opcode = PEAL__OP_FSYNC, .fd = FD,
	   .op_flags = PEAL__FSYNC_DATASYNC);
}

SCRIPT_TEST(sync_range_rounds_long_ranges_up_to_the_end)
{
	IS(peal_sync_range(ring, FD, OFFSET, UINT32_MAX, 2, NOBODY),
	   .opcode = PEAL__OP_SYNC_FILE_RANGE, .fd = FD, .off = OFFSET,
	   .len = UINT32_MAX, .op_flags = 2);
	IS(peal_sync_range(ring, FD, OFFSET, UINT64_C(1) << 32, 2, NOBODY),
	   .opcode = PEAL__OP_SYNC_FILE_RANGE, .fd = FD, .off = OFFSET,
	   .op_flags = 2);
}

SCRIPT_TEST(allocate_punch_zero_have_their_modes)
{
	/* The length stands in addr, the mode in len. */
	IS(peal_allocate(ring, FD, OFFSET, 77, NOBODY),
	   .opcode = PEAL__OP_FALLOCATE, .fd = FD, .off = OFFSET, .addr = 77);
	IS(peal_allocate(ring, FD, OFFSET, 77, PEAL_KEEP_SIZE, NULL, NULL),
	   .opcode = PEAL__OP_FALLOCATE, .fd = FD, .off = OFFSET, .addr = 77,
	   .len = FALLOC_FL_KEEP_SIZE);
	IS(peal_punch(ring, FD, OFFSET, 77, NOBODY),
	   .opcode = PEAL__OP_FALLOCATE, .fd = FD, .off = OFFSET, .addr = 77,
	   .len = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	IS(peal_zero_range(ring, FD, OFFSET, 77, NOBODY),
	   .opcode = PEAL__OP_FALLOCATE, .fd = FD, .off = OFFSET, .addr = 77,
	   .len = FALLOC_FL_ZERO_RANGE);
	IS(peal_zero_range(ring, FD, OFFSET, 77, PEAL_KEEP_SIZE, NULL, NULL),
	   .opcode = PEAL__OP_FALLOCATE, .fd = FD, .off = OFFSET, .addr = 77,
	   .len = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
}

SCRIPT_TEST(truncate_and_advise)
{
	IS(peal_truncate(ring, FD, OFFSET, NOBODY),
	   .opcode = PEAL__OP_FTRUNCATE, .fd = FD, .off = OFFSET);
	IS(peal_advise(ring, FD, OFFSET, 5, POSIX_FADV_DONTNEED, NOBODY),
	   .opcode = PEAL__OP_FADVISE, .fd = FD, .off = OFFSET, .len = 5,
	   .op_flags = POSIX_FADV_DONTNEED);
}

SCRIPT_TEST(stat_lends_two_addresses)
{
	IS(peal_stat(ring, FD, name, PEAL_STAT_NOFOLLOW, PEAL_STAT_DIO,
		     &stat_buf, NOBODY),
	   .opcode = PEAL__OP_STATX, .fd = FD, .off = AT(&stat_buf),
	   .addr = AT(name), .len = PEAL_STAT_DIO,
	   .op_flags = PEAL_STAT_NOFOLLOW);
}

SCRIPT_TEST(two_paths_stand_old_then_new)
{
	IS(peal_rename(ring, FD, name, FD_2, other, 1, NOBODY),
	   .opcode = PEAL__OP_RENAMEAT, .fd = FD, .addr = AT(name),
	   .len = FD_2, .off = AT(other), .op_flags = 1);
	IS(peal_link(ring, FD, name, FD_2, other, AT_SYMLINK_FOLLOW, NOBODY),
	   .opcode = PEAL__OP_LINKAT, .fd = FD, .addr = AT(name), .len = FD_2,
	   .off = AT(other), .op_flags = AT_SYMLINK_FOLLOW);
	IS(peal_symlink(ring, name, FD, other, NOBODY),
	   .opcode = PEAL__OP_SYMLINKAT, .fd = FD, .addr = AT(name),
	   .off = AT(other));
}

SCRIPT_TEST(unlink_and_mkdir)
{
	IS(peal_unlink(ring, FD, name, PEAL_REMOVE_DIR, NOBODY),
	   .opcode = PEAL__OP_UNLINKAT, .fd = FD, .addr = AT(name),
	   .op_flags = AT_REMOVEDIR);
	IS(peal_mkdir(ring, FD, name, 0751, NOBODY),
	   .opcode = PEAL__OP_MKDIRAT, .fd = FD, .addr = AT(name),
	   .len = 0751);
}

SCRIPT_TEST(splice_belongs_to_the_fd_it_writes_to)
{
	peal_op op = peal_splice(ring, FD_2, 11, FD, 22, 33, SPLICE_F_MORE,
				 NOBODY);

	ck_assert_int_eq(peal__row_find(ring, op)->fd, FD);
	IS(op, .opcode = PEAL__OP_SPLICE, .fd = FD, .off = 22, .addr = 11,
	   .len = 33, .op_flags = SPLICE_F_MORE, .file_index = FD_2);
}

SCRIPT_TEST(socket_bind_listen_shutdown)
{
	const struct sockaddr *to = (const struct sockaddr *)&addr;

	IS(peal_socket(ring, AF_INET, SOCK_DGRAM, 17, NOBODY),
	   .opcode = PEAL__OP_SOCKET, .fd = AF_INET,
	   .off = SOCK_DGRAM | SOCK_CLOEXEC, .len = 17);
	IS(peal_bind(ring, FD, to, 55, NOBODY), .opcode = PEAL__OP_BIND,
	   .fd = FD, .addr = AT(&addr), .off = 55);
	IS(peal_listen(ring, FD, 12, NOBODY), .opcode = PEAL__OP_LISTEN,
	   .fd = FD, .len = 12);
	IS(peal_shutdown(ring, FD, SHUT_WR, NOBODY),
	   .opcode = PEAL__OP_SHUTDOWN, .fd = FD, .len = SHUT_WR);
}

SCRIPT_TEST(accept_and_connect)
{
	struct sockaddr *to = (struct sockaddr *)&addr;

	IS(peal_accept(ring, FD, to, &addr_len, NOBODY),
	   .opcode = PEAL__OP_ACCEPT, .fd = FD, .addr = AT(&addr),
	   .off = AT(&addr_len), .op_flags = SOCK_CLOEXEC);
	IS(peal_connect(ring, FD, to, 55, NOBODY),
	   .opcode = PEAL__OP_CONNECT, .fd = FD, .addr = AT(&addr), .off = 55);
}

SCRIPT_TEST(sends_never_raise_sigpipe)
{
	IS(peal_send(ring, FD, bytes, 9, MSG_MORE, NOBODY),
	   .opcode = PEAL__OP_SEND, .fd = FD, .addr = AT(bytes), .len = 9,
	   .op_flags = MSG_MORE | MSG_NOSIGNAL);
	IS(peal_sendmsg(ring, FD, &msg, MSG_MORE, NOBODY),
	   .opcode = PEAL__OP_SENDMSG, .fd = FD, .addr = AT(&msg), .len = 1,
	   .op_flags = MSG_MORE | MSG_NOSIGNAL);
}

SCRIPT_TEST(received_descriptors_are_close_on_exec)
{
	IS(peal_recv(ring, FD, bytes, 9, MSG_PEEK, NOBODY),
	   .opcode = PEAL__OP_RECV, .fd = FD, .addr = AT(bytes), .len = 9,
	   .op_flags = MSG_PEEK);
	IS(peal_recvmsg(ring, FD, &msg, MSG_PEEK, NOBODY),
	   .opcode = PEAL__OP_RECVMSG, .fd = FD, .addr = AT(&msg), .len = 1,
	   .op_flags = MSG_PEEK | MSG_CMSG_CLOEXEC);
}

SCRIPT_TEST(receive_of_nothing_is_einval)
{
	ck_result(peal_recv(ring, FD, bytes, 0, 0, NOBODY), -EINVAL);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

/* --- nobody wants it -------------------------------------------------- */

SCRIPT_TEST(descriptor_that_nobody_waits_for_is_closed)
{
	int fds[4];
	unsigned at;
	peal_op ops[4] = {
		peal_open(ring, FD, name, 0, 0, NOBODY),
		peal_socket(ring, AF_UNIX, SOCK_STREAM, 0, NOBODY),
		peal_accept(ring, FD, NULL, NULL, NOBODY),
		peal_accept_multishot(ring, FD, NOBODY),
	};

	script_turn();
	for (at = 0; at < 4; at++) {
		fds[at] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		script_complete((uint64_t)ops[at], fds[at],
				at == 3 ? PEAL__CQE_MORE : 0);
	}
	script_turn();
	for (at = 0; at < 4; at++)
		ck_assert_int_lt(fcntl(fds[at], F_GETFD), 0);
}

SCRIPT_TEST(result_that_is_no_descriptor_closes_none)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	peal_op ops[3] = {
		peal_read(ring, FD, bytes, 100, 0, NOBODY),
		peal_poll(ring, FD, POLLIN, NOBODY),
		peal_nop(ring, NOBODY),
	};
	unsigned at;

	script_turn();
	for (at = 0; at < 3; at++)
		script_complete((uint64_t)ops[at], fd, 0);
	script_turn();
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	close(fd);
}

SUITE("ops")
