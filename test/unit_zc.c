/* SPDX-License-Identifier: MIT */
/* lib/zc.c: what becomes of the two completions, in every order that a kernel
 * may give them. */
#include "lib/buffers.h"
#include "test/scripted.h"

#define MORE	PEAL__CQE_MORE
#define NOTICE	PEAL__CQE_NOTIF

SCRIPT_SYSTEM

static char data[100];

static peal_op send_some(void)
{
	peal_op op;

	ring->zc.least = 1;
	op = peal_send_zc(ring, 3, data, sizeof(data), 0, 0, on_done, NULL);
	ck_assert_int_gt(op, 0);
	script_turn();
	return op;
}

static void says(peal_op op, int32_t res, uint32_t flags)
{
	script_complete((uint64_t)op, res, flags);
	script_turn();
}

static void ended(peal_op op, int64_t result)
{
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert_uint_eq(outcome(op)->terminal, 1);
	ck_result(outcome(op)->result, result);
}

SCRIPT_TEST(send_ends_with_the_notice_and_the_result_before_it)
{
	peal_op op = send_some();

	ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_SEND_ZC);
	ck_assert(script_entry(op)->op_flags & MSG_NOSIGNAL);
	says(op, 77, MORE);
	ck_assert_uint_eq(outcome(op)->calls, 0);
	ck_assert(peal_op_in_flight(ring, op));
	says(op, 0, NOTICE);
	ended(op, 77);
}

SCRIPT_TEST(send_ends_also_when_the_notice_comes_first)
{
	peal_op op = send_some();

	says(op, 0, NOTICE);
	ck_assert_uint_eq(outcome(op)->calls, 0);
	says(op, 77, MORE);
	ended(op, 77);
}

SCRIPT_TEST(result_alone_is_the_end)
{
	peal_op op = send_some();

	says(op, -EPIPE, 0);
	ended(op, -EPIPE);
}

SCRIPT_TEST(error_with_more_waits_for_the_notice)
{
	peal_op op = send_some();

	says(op, -EPIPE, MORE);
	ck_assert_uint_eq(outcome(op)->calls, 0);
	says(op, 0, NOTICE);
	ended(op, -EPIPE);
}

SCRIPT_TEST(copies_are_counted_and_end_it_after_sixteen)
{
	unsigned i;

	for (i = 0; i < 16; i++) {
		peal_op op;

		op = send_some();
		says(op, 100, MORE);
		says(op, INT32_MIN, NOTICE);
		ended(op, 100);
	}
	ck_assert_uint_eq(ring->stats.zc_copied, 16);
	ring->zc.least = 2;
	for (i = 0; i < 64; i++)
		ck_assert_int_gt(peal_send_zc(ring, 3, data, 100, 0, 0, NULL,
					      NULL), 0);
	ck_assert_uint_eq(ring->stats.zc_sent, 17);
	ck_assert_uint_eq(ring->stats.zc_plain, 63);
	ck_assert_uint_eq(ring->stats.by_op[PEAL__OP_SEND], 63);
	ring->zc.least = 1;
	ck_assert_int_gt(peal_send_zc(ring, 3, data, 100, 0, 0, NULL, NULL),
			 0);
	ck_assert_uint_eq(ring->stats.zc_sent, 18);
}

SCRIPT_TEST(send_that_was_not_copied_brings_it_back)
{
	peal_op op;

	ring->zc.copies = 16;
	op = send_some();
	says(op, 100, MORE);
	says(op, 0, NOTICE);
	ck_assert_uint_eq(ring->zc.copies, 0);
}

SCRIPT_TEST(socket_without_zero_copy_gets_a_plain_send)
{
	const int errors[] = { -EOPNOTSUPP, -ENOMEM, -ENOBUFS };
	unsigned i;

	for (i = 0; i < 6; i++) {
		peal_op op;

		op = send_some();
		says(op, errors[i % 3], i < 3 ? 0 : MORE);
		if (i >= 3) {
			ck_assert_uint_eq(script_entries(op), 1);
			says(op, i < 5 ? INT32_MIN : 0, NOTICE);
		}
		script_turn();
		ck_assert_uint_eq(outcome(op)->calls, 0);
		ck_assert_uint_eq(ring->stats.zc_copied, i + 1);
		ck_assert_uint_eq(ring->zc.copies, i + 1);
		ck_assert_uint_eq(script_entries(op), 2);
		ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_SEND);
		ck_assert_uint_eq(script_entry(op)->ioprio, 0);
		ck_assert_uint_eq(script_entry(op)->len, sizeof(data));
		ck_assert_int_eq(script_entry(op)->fd, 3);
		ck_assert_uint_eq(script_entry(op)->addr, peal__addr(data));
		says(op, errors[i % 3], 0);
		ended(op, errors[i % 3]);
	}
}

SCRIPT_TEST(kernel_without_the_report_is_asked_without)
{
	peal_op op = send_some();

	ck_assert(script_entry(op)->ioprio & PEAL__SEND_ZC_REPORT);
	says(op, -EINVAL, 0);
	script_turn();
	ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_SEND_ZC);
	ck_assert_uint_eq(script_entry(op)->ioprio, 0);
	says(op, 100, MORE);
	says(op, 0, NOTICE);
	ended(op, 100);
	op = send_some();
	ck_assert_uint_eq(script_entry(op)->ioprio, 0);
	says(op, -EINVAL, 0);
	script_turn();
	ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_SEND);
	says(op, -EINVAL, 0);
	ended(op, -EINVAL);
}

SCRIPT_TEST(cancelled_send_is_not_sent_in_another_way)
{
	peal_op op = send_some();

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	says(op, -EOPNOTSUPP, 0);
	ended(op, -EOPNOTSUPP);
	ck_assert_uint_eq(script_entries(op), 1);
}

SCRIPT_TEST(cancel_of_what_is_sent_is_not_repeated)
{
	peal_op op = send_some();
	unsigned i;

	says(op, 100, MORE);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 1);
	says((peal_op)script_cancel_data(op), -ENOENT, 0);
	for (i = 0; i < 10; i++)
		script_turn_after(100 * PEAL_MS);
	ck_assert_uint_eq(script_cancels(op), 1);
	says(op, 0, NOTICE);
	ended(op, 100);
	ck_assert(outcome(op)->flags & PEAL_CANCELLED);
}

SCRIPT_TEST(deadline_of_what_is_sent_brings_the_result)
{
	peal_op op = send_some();

	ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	says(op, 100, MORE);
	script_turn_after(2 * PEAL_MS);
	ck_assert_uint_eq(outcome(op)->calls, 0);
	says(op, 0, NOTICE);
	ended(op, 100);
}

SCRIPT_TEST(drained_close_waits_for_the_send_and_not_for_the_notice)
{
	peal_op op = send_some(), closed;

	closed = peal_close_drained(ring, 3, 0, on_done, NULL);
	script_turn();
	ck_assert_ptr_null(script_entry(closed));
	says(op, 100, MORE);
	script_turn();
	ck_assert_uint_eq(script_entry(closed)->opcode, PEAL__OP_CLOSE);
	says(closed, 0, 0);
	ended(closed, 0);
	ck_assert_uint_eq(outcome(op)->calls, 0);
	says(op, 0, NOTICE);
	ended(op, 100);
}

SCRIPT_TEST(short_send_is_plain)
{
	peal_op op = peal_send_zc(ring, 3, data, 100, 0, 0, on_done, NULL);

	script_turn();
	ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_SEND);
	ck_assert_uint_eq(ring->stats.zc_plain, 1);
}

/* An arena that an engine would have registered. */
static char arena[8192];

static void have_arena(unsigned flags)
{
	ring->memory->arenas = 1;
	ring->memory->members[0] = (struct peal__member){
		.base = peal__addr(arena), .bytes = sizeof(arena), .slot = 5,
		.flags = flags
	};
	ring->can[PEAL__OP_READV_FIXED >> 6] |=
		UINT64_C(1) << (PEAL__OP_READV_FIXED & 63);
	ring->zc.least = 1;
}

static void forget_arena(void)
{
	ring->memory->arenas = 0;
}

static struct iovec two[2];
static struct msghdr message = { .msg_iov = two, .msg_iovlen = 2 };

static peal_op send_message(void *first, void *second)
{
	peal_op op;

	two[0] = (struct iovec){ first, 100 };
	two[1] = (struct iovec){ second, 200 };
	op = peal_sendmsg_zc(ring, 3, &message, 0, 0, on_done, NULL);
	ck_assert_int_gt(op, 0);
	script_turn();
	ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_SENDMSG_ZC);
	return op;
}

static void is_fixed(peal_op op, int want)
{
	ck_assert_int_eq((script_entry(op)->ioprio &
			  PEAL__RECVSEND_FIXED_BUF) != 0, want);
	ck_assert_uint_eq(script_entry(op)->buf_index, want ? 5 : 0);
}

static void ends_well(peal_op op)
{
	says(op, 300, MORE);
	says(op, 0, NOTICE);
	ended(op, 300);
}

SCRIPT_TEST(message_in_one_registered_buffer_is_sent_from_it)
{
	peal_op op;

	have_arena(0);
	op = send_message(arena, arena + 4096);
	is_fixed(op, 1);
	ends_well(op);
	ck_assert_uint_eq(ring->stats.zc_fixed, 1);
	op = send_message(arena, data);
	is_fixed(op, 0);
	ends_well(op);
	op = send_message(data, arena);
	is_fixed(op, 0);
	ends_well(op);
	have_arena(PEAL_PLAIN);
	op = send_message(arena, arena + 4096);
	is_fixed(op, 0);
	ends_well(op);
	have_arena(0);
	ring->can[PEAL__OP_READV_FIXED >> 6] &=
		~(UINT64_C(1) << (PEAL__OP_READV_FIXED & 63));
	op = send_message(arena, arena + 4096);
	is_fixed(op, 0);
	ends_well(op);
	ck_assert_uint_eq(ring->stats.zc_fixed, 1);
	forget_arena();
}

SCRIPT_TEST(message_in_registered_memory_is_shorter_and_worth_it)
{
	peal_op op;

	have_arena(0);
	ring->zc.least = 0;
	two[0] = (struct iovec){ arena, 8000 };
	two[1] = (struct iovec){ arena + 8000, 192 };
	op = peal_sendmsg_zc(ring, 3, &message, 0, 0, on_done, NULL);
	script_turn();
	ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_SENDMSG_ZC);
	two[1].iov_len = 191;
	op = peal_sendmsg_zc(ring, 3, &message, 0, 0, on_done, NULL);
	script_turn();
	ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_SENDMSG);
	ck_assert_uint_eq(ring->stats.zc_plain, 1);
	forget_arena();
}

static char long_part[32768];

SCRIPT_TEST(message_of_many_short_parts_is_not_worth_it)
{
	peal_op op;

	ring->zc.least = 0;
	two[0] = two[1] = (struct iovec){ long_part, sizeof(long_part) };
	op = peal_sendmsg_zc(ring, 3, &message, 0, 0, on_done, NULL);
	script_turn();
	ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_SENDMSG_ZC);
	two[1].iov_len--;
	op = peal_sendmsg_zc(ring, 3, &message, 0, 0, on_done, NULL);
	script_turn();
	ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_SENDMSG);
	ck_assert_uint_eq(ring->stats.zc_plain, 1);
}

SCRIPT_TEST(kernel_without_registered_messages_is_asked_without)
{
	peal_op op;

	have_arena(0);
	op = send_message(arena, arena + 4096);
	says(op, -EINVAL, 0);
	script_turn();
	ck_assert_uint_eq(script_entries(op), 2);
	ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_SENDMSG_ZC);
	ck_assert(script_entry(op)->ioprio & PEAL__SEND_ZC_REPORT);
	is_fixed(op, 0);
	ends_well(op);
	op = send_message(arena, arena + 4096);
	says(op, -EOPNOTSUPP, 0);
	script_turn();
	ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_SENDMSG);
	is_fixed(op, 0);
	says(op, 300, 0);
	ended(op, 300);
	forget_arena();
}

SCRIPT_TEST(message_keeps_its_header_over_a_second_try)
{
	struct iovec part = { data, sizeof(data) };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };
	peal_op op;

	ring->zc.least = 1;
	op = peal_sendmsg_zc(ring, 3, &msg, 0, 0, on_done, NULL);
	script_turn();
	ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_SENDMSG_ZC);
	says(op, -EOPNOTSUPP, 0);
	script_turn();
	ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_SENDMSG);
	ck_assert_uint_eq(script_entry(op)->addr, peal__addr(&msg));
	says(op, 100, 0);
	ended(op, 100);
}

SUITE("zc")
