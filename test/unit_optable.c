/* SPDX-License-Identifier: MIT */
/* The op table: one row per opcode, with the kernel's numbers. */
#include "shim/ready.h"
#include "test/scripted.h"
#include <liburing.h>

BARE_TEST(every_opcode_has_a_name)
{
	unsigned at;

	for (at = 0; at < PEAL__OP_COUNT; at++) {
		const char *name = peal_opcode_name(at);

		ck_assert_msg(name && *name, "opcode %u has none", at);
		ck_assert_ptr_eq(peal__op_row(at)->name, name);
	}
}

BARE_TEST(names_are_unique)
{
	unsigned a, b;

	for (a = 0; a < PEAL__OP_COUNT; a++)
		for (b = a + 1; b < PEAL__OP_COUNT; b++)
			ck_assert_str_ne(peal_opcode_name(a),
					 peal_opcode_name(b));
}

BARE_TEST(names_fit_the_syntax_of_disable_and_of_the_dump)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	unsigned at;

	for (at = 0; at < PEAL__OP_COUNT; at++) {
		const char *name = peal_opcode_name(at);

		ck_assert_uint_eq(strspn(name, allowed), strlen(name));
		ck_assert_uint_le(strlen(name), 18);
	}
}

BARE_TEST(past_the_last_opcode_there_is_no_name)
{
	ck_assert_ptr_null(peal_opcode_name(PEAL__OP_COUNT));
	ck_assert_ptr_null(peal_opcode_name(UINT32_MAX));
	ck_assert_ptr_null(peal__op_row(PEAL__OP_COUNT));
	ck_assert_ptr_null(peal__op_row(UINT32_MAX));
}

BARE_TEST(ops_of_the_kernel_name_the_first_that_has_them)
{
	unsigned at;
	int major, minor;

	for (at = 0; at < PEAL__OP_KERNEL_COUNT; at++) {
		const char *kernel = peal__op_row(at)->kernel;

		ck_assert_ptr_nonnull(kernel);
		ck_assert_int_eq(sscanf(kernel, "%d.%d", &major, &minor), 2);
		ck_assert_int_ge(major, 5);
		ck_assert_int_le(major, 6);
	}
}

BARE_TEST(kernels_of_the_ops_never_go_back)
{
	/* Numbers are given out in order of release. */
	int last = 0, major = 0, minor = 0;
	unsigned at;

	for (at = 0; at < PEAL__OP_KERNEL_COUNT; at++) {
		const char *kernel = peal__op_row(at)->kernel;

		ck_assert_int_eq(sscanf(kernel, "%d.%d", &major, &minor), 2);
		ck_assert_msg(major * 100 + minor >= last, "%s is of %s, "
			      "before the one before it",
			      peal_opcode_name(at), kernel);
		last = major * 100 + minor;
	}
}

BARE_TEST(ops_of_our_own_have_no_kernel)
{
	ck_assert_ptr_null(peal__op_row(PEAL__OP_SLEEP)->kernel);
	ck_assert_ptr_null(peal__op_row(PEAL__OP_CLOSE_DRAINED)->kernel);
	ck_assert_ptr_null(peal__op_row(PEAL__OP_CANCEL_MANY)->kernel);
}

BARE_TEST(ops_that_make_an_fd_say_so)
{
	static const unsigned makers[] = { PEAL__OP_ACCEPT, PEAL__OP_OPENAT,
					   PEAL__OP_OPENAT2, PEAL__OP_SOCKET };
	size_t at;

	for (at = 0; at < sizeof(makers) / sizeof(*makers); at++)
		ck_assert_int_eq(peal__op_row(makers[at])->result, RESULT_FD);
	ck_assert_int_eq(peal__op_row(PEAL__OP_READ)->result, RESULT_BYTES);
	ck_assert_int_eq(peal__op_row(PEAL__OP_CLOSE)->result, RESULT_ZERO);
}

/* Those that lib/ does by itself have no call. */
static int is_ours(unsigned opcode)
{
	return opcode == PEAL__OP_SLEEP || opcode == PEAL__OP_CLOSE_DRAINED ||
	       opcode == PEAL__OP_GROUP_CLOSE ||
	       opcode == PEAL__OP_SEND_ZC ||	/* a send instead */
	       opcode == PEAL__OP_SENDMSG_ZC ||
	       opcode == PEAL__OP_CANCEL_MANY || opcode == PEAL__OP_NOP ||
	       opcode == PEAL__OP_ASYNC_CANCEL;
}

BARE_TEST(ops_that_wait_have_an_attempt_and_no_other_has)
{
	unsigned at;

	for (at = 0; at < PEAL__OP_COUNT; at++)
		ck_assert_msg((peal__op_row(at)->waits != WAITS_NOT) ==
			      peal__ready_has(at), "%s", peal_opcode_name(at));
}

BARE_TEST(every_public_op_can_be_done_without_a_kernel_that_has_it)
{
	unsigned at, count = 0;

	for (at = 0; at < PEAL__OP_COUNT; at++) {
		if (!peal__op_row(at)->functions)
			continue;
		count++;
		ck_assert_msg(is_ours(at) || peal__blocking_has(at) ||
			      peal__ready_has(at), "%s", peal_opcode_name(at));
	}
	ck_assert_uint_ge(count, 35);
}

BARE_TEST(ops_called_in_the_turn_have_a_plain_call)
{
	unsigned at;

	for (at = 0; at < PEAL__OP_COUNT; at++)
		if (peal__op_row(at)->call == CALL_TURN)
			ck_assert_msg(peal__blocking_has(at), "%s",
				      peal_opcode_name(at));
}

BARE_TEST(only_ops_that_wait_for_bytes_keep_a_part)
{
	unsigned at;

	for (at = 0; at < PEAL__OP_COUNT; at++) {
		const struct peal__op_row *row = peal__op_row(at);

		if (row->cancel == CANCEL_PART)
			ck_assert_msg(row->waits != WAITS_NOT &&
				      row->result == RESULT_BYTES, "%s",
				      row->name);
	}
}

/* The header's enumerators by their own names; new ones it may lack. */
#define SAME(ours, theirs)                                               \
	ck_assert_msg(PEAL__OP_##ours == (int)IORING_OP_##theirs, #ours)

BARE_TEST(numbers_agree_with_the_system_header_to_openat2)
{
	SAME(NOP, NOP);
	SAME(READV, READV);
	SAME(WRITEV, WRITEV);
	SAME(FSYNC, FSYNC);
	SAME(READ_FIXED, READ_FIXED);
	SAME(WRITE_FIXED, WRITE_FIXED);
	SAME(POLL_ADD, POLL_ADD);
	SAME(POLL_REMOVE, POLL_REMOVE);
	SAME(SYNC_FILE_RANGE, SYNC_FILE_RANGE);
	SAME(SENDMSG, SENDMSG);
	SAME(RECVMSG, RECVMSG);
	SAME(TIMEOUT, TIMEOUT);
	SAME(TIMEOUT_REMOVE, TIMEOUT_REMOVE);
	SAME(ACCEPT, ACCEPT);
	SAME(ASYNC_CANCEL, ASYNC_CANCEL);
	SAME(LINK_TIMEOUT, LINK_TIMEOUT);
	SAME(CONNECT, CONNECT);
	SAME(FALLOCATE, FALLOCATE);
	SAME(OPENAT, OPENAT);
	SAME(CLOSE, CLOSE);
	SAME(FILES_UPDATE, FILES_UPDATE);
	SAME(STATX, STATX);
	SAME(READ, READ);
	SAME(WRITE, WRITE);
	SAME(FADVISE, FADVISE);
	SAME(MADVISE, MADVISE);
	SAME(SEND, SEND);
	SAME(RECV, RECV);
	SAME(OPENAT2, OPENAT2);
}

BARE_TEST(numbers_agree_with_the_system_header_from_epoll_ctl)
{
	SAME(EPOLL_CTL, EPOLL_CTL);
	SAME(SPLICE, SPLICE);
	SAME(PROVIDE_BUFFERS, PROVIDE_BUFFERS);
	SAME(REMOVE_BUFFERS, REMOVE_BUFFERS);
	SAME(TEE, TEE);
	SAME(SHUTDOWN, SHUTDOWN);
	SAME(RENAMEAT, RENAMEAT);
	SAME(UNLINKAT, UNLINKAT);
	SAME(MKDIRAT, MKDIRAT);
	SAME(SYMLINKAT, SYMLINKAT);
	SAME(LINKAT, LINKAT);
	SAME(MSG_RING, MSG_RING);
	SAME(FSETXATTR, FSETXATTR);
	SAME(SETXATTR, SETXATTR);
	SAME(FGETXATTR, FGETXATTR);
	SAME(GETXATTR, GETXATTR);
	SAME(SOCKET, SOCKET);
	SAME(URING_CMD, URING_CMD);
	SAME(SEND_ZC, SEND_ZC);
	SAME(SENDMSG_ZC, SENDMSG_ZC);
}

BARE_TEST(flags_agree_with_the_system_header)
{
	ck_assert_uint_eq(PEAL__SQE_FIXED_FILE, IOSQE_FIXED_FILE);
	ck_assert_uint_eq(PEAL__SQE_IO_DRAIN, IOSQE_IO_DRAIN);
	ck_assert_uint_eq(PEAL__SQE_IO_LINK, IOSQE_IO_LINK);
	ck_assert_uint_eq(PEAL__SQE_IO_HARDLINK, IOSQE_IO_HARDLINK);
	ck_assert_uint_eq(PEAL__SQE_ASYNC, IOSQE_ASYNC);
	ck_assert_uint_eq(PEAL__SQE_BUFFER_SELECT, IOSQE_BUFFER_SELECT);
	ck_assert_uint_eq(PEAL__SQE_CQE_SKIP, IOSQE_CQE_SKIP_SUCCESS);
	ck_assert_uint_eq(PEAL__ACCEPT_MULTISHOT, IORING_ACCEPT_MULTISHOT);
	ck_assert_uint_eq(PEAL__RECV_MULTISHOT, IORING_RECV_MULTISHOT);
	ck_assert_uint_eq(PEAL__RECVSEND_POLL_FIRST,
			  IORING_RECVSEND_POLL_FIRST);
	ck_assert_uint_eq(PEAL__POLL_ADD_MULTI, IORING_POLL_ADD_MULTI);
	ck_assert_uint_eq(PEAL__FSYNC_DATASYNC, IORING_FSYNC_DATASYNC);
	ck_assert_uint_eq(PEAL__CANCEL_ALL, IORING_ASYNC_CANCEL_ALL);
	ck_assert_uint_eq(PEAL__CANCEL_FD, IORING_ASYNC_CANCEL_FD);
	ck_assert_uint_eq(PEAL__CANCEL_ANY, IORING_ASYNC_CANCEL_ANY);
	ck_assert_uint_eq(PEAL__CQE_BUFFER, IORING_CQE_F_BUFFER);
	ck_assert_uint_eq(PEAL__CQE_MORE, IORING_CQE_F_MORE);
	ck_assert_uint_eq(PEAL__CQE_SOCK_NONEMPTY, IORING_CQE_F_SOCK_NONEMPTY);
	ck_assert_uint_eq(PEAL__CQE_NOTIF, IORING_CQE_F_NOTIF);
}

BARE_TEST(set_up_flags_agree_with_the_system_header)
{
	ck_assert_uint_eq(PEAL__SETUP_IOPOLL, IORING_SETUP_IOPOLL);
	ck_assert_uint_eq(PEAL__SETUP_SQPOLL, IORING_SETUP_SQPOLL);
	ck_assert_uint_eq(PEAL__SETUP_SQ_AFF, IORING_SETUP_SQ_AFF);
	ck_assert_uint_eq(PEAL__SETUP_CQSIZE, IORING_SETUP_CQSIZE);
	ck_assert_uint_eq(PEAL__SETUP_CLAMP, IORING_SETUP_CLAMP);
	ck_assert_uint_eq(PEAL__SETUP_ATTACH_WQ, IORING_SETUP_ATTACH_WQ);
	ck_assert_uint_eq(PEAL__SETUP_SUBMIT_ALL, IORING_SETUP_SUBMIT_ALL);
	ck_assert_uint_eq(PEAL__SETUP_COOP_TASKRUN, IORING_SETUP_COOP_TASKRUN);
	ck_assert_uint_eq(PEAL__SETUP_TASKRUN_FLAG, IORING_SETUP_TASKRUN_FLAG);
	ck_assert_uint_eq(PEAL__SETUP_SINGLE_ISSUER,
			  IORING_SETUP_SINGLE_ISSUER);
	ck_assert_uint_eq(PEAL__SETUP_DEFER_TASKRUN,
			  IORING_SETUP_DEFER_TASKRUN);
	ck_assert_uint_eq(PEAL__FEAT_NODROP, IORING_FEAT_NODROP);
	ck_assert_uint_eq(PEAL__FEAT_SUBMIT_STABLE, IORING_FEAT_SUBMIT_STABLE);
	ck_assert_uint_eq(PEAL__FEAT_FAST_POLL, IORING_FEAT_FAST_POLL);
	ck_assert_uint_eq(PEAL__FEAT_EXT_ARG, IORING_FEAT_EXT_ARG);
	ck_assert_uint_eq(PEAL__FEAT_NATIVE_WORKERS,
			  IORING_FEAT_NATIVE_WORKERS);
}

BARE_TEST(calls_flags_agree_with_the_system_header)
{
	ck_assert_uint_eq(PEAL__ENTER_GETEVENTS, IORING_ENTER_GETEVENTS);
	ck_assert_uint_eq(PEAL__ENTER_SQ_WAKEUP, IORING_ENTER_SQ_WAKEUP);
	ck_assert_uint_eq(PEAL__ENTER_SQ_WAIT, IORING_ENTER_SQ_WAIT);
	ck_assert_uint_eq(PEAL__ENTER_EXT_ARG, IORING_ENTER_EXT_ARG);
	ck_assert_uint_eq(PEAL__ENTER_REGISTERED_RING,
			  IORING_ENTER_REGISTERED_RING);
	ck_assert_uint_eq(PEAL__SQ_NEED_WAKEUP, IORING_SQ_NEED_WAKEUP);
	ck_assert_uint_eq(PEAL__SQ_CQ_OVERFLOW, IORING_SQ_CQ_OVERFLOW);
	ck_assert_uint_eq(PEAL__SQ_TASKRUN, IORING_SQ_TASKRUN);
	ck_assert_uint_eq(PEAL__REGISTER_PROBE, IORING_REGISTER_PROBE);
	ck_assert_uint_eq(PEAL__REGISTER_IOWQ_MAX_WORKERS,
			  IORING_REGISTER_IOWQ_MAX_WORKERS);
	ck_assert_uint_eq(PEAL__REGISTER_RING_FDS, IORING_REGISTER_RING_FDS);
	ck_assert_uint_eq(PEAL__UNREGISTER_RING_FDS,
			  IORING_UNREGISTER_RING_FDS);
}

SUITE("optable")
