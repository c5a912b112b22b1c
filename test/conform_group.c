/* SPDX-License-Identifier: MIT */
/* Buffer groups: their life, and receiving once into a buffer that is taken
 * when the data is there. */
#include "test/groups.h"

TEST(group_with_defaults_opens_and_closes)
{
	open_group_as(NULL);
	ck_assert_uint_eq(group_stats().count, 256);
	ck_result(close_group(), 0);
}

TEST(group_left_open_is_freed_with_the_ring)
{
	open_group(8, SIZE);
}

TEST(group_in_memory_of_the_program_stays_inside)
{
	static _Alignas(64) char memory[4 * SIZE + 64];
	struct peal_group_options options = PEAL_GROUP_OPTIONS;
	const struct outcome *end;
	int fds[2];

	options.count = 4;
	options.buf_size = SIZE;
	options.memory = memory;
	ck_result(peal_group_open(ring, &group, &options), 0);
	make_stream(fds);
	put(fds[1], "hello");
	end = finish_outcome(receive(fds[0]));
	ck_result(end->result, 5);
	ck_assert((char *)end->buf >= memory &&
		  (char *)end->buf <= memory + 3 * SIZE);
	ck_assert_mem_eq(end->buf, "hello", 5);
	peal_group_give_back(group, end->buf);
}

/* A refusal of these options, and what its reason must say. */
static void refuses(struct peal_group_options options, const char *words)
{
	ck_result(peal_group_open(ring, &group, &options), -EINVAL);
	ck_assert_msg(strstr(peal_group_reason(), words) != NULL,
		      "\"%s\" lacks \"%s\"", peal_group_reason(), words);
}

TEST(group_of_wrong_options_is_einval_and_the_reason_has_the_numbers)
{
	static _Alignas(8) char memory[64];
	const struct peal_group_options good = PEAL_GROUP_OPTIONS;
	struct peal_group_options options = good;

	options.count = 32769;
	refuses(options, "count is 32769; the most is 32768");
	options = good;
	options.buf_size = (1u << 30) + 8;
	refuses(options, "buf_size is 1073741832; the most is 1073741824");
	options.buf_size = 12;
	refuses(options, "buf_size is 12, which is no multiple of 8: take 16");
	options = good;
	options.addr_room = UINT32_MAX;
	refuses(options, "addr_room is 4294967295");
	options = good;
	options.control_room = UINT32_MAX;
	refuses(options, "control_room is 4294967295");
	options = good;
	options.flags = 1u << 31;
	refuses(options, "flags is 0x80000000");
	options = good;
	options.memory = memory + 3;
	refuses(options, "3 bytes behind a multiple of 8");
	options = good;
	options.size++;
	refuses(options, "start from PEAL_GROUP_OPTIONS");
	options.size = 1;
	refuses(options, "options.size is 1");
	ck_result(peal_group_open(ring, &group, NULL), 0);
	ck_assert_ptr_null(strstr(peal_group_reason(), "options.size"));
}

/* What the reason of a group that polls must say; NULL: this engine has nothing
 * better. */
static const char *why_polls(void)
{
	const char *engine = peal_ring_engine(ring);

	if (strcmp(engine, "uring") != 0 && strcmp(engine, "epoll") != 0)
		return NULL;
	return disabled("bufring") || disabled("multishot")
		       ? "is switched off" : "RLIMIT_MEMLOCK allows this user";
}

TEST(group_whose_receives_are_polls_says_why)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;
	const char *why = why_polls();

	options.count = 32768;		/* 512 KiB to be locked */
	options.buf_size = 8;
	open_group_as(&options);
	if (group_stats().polls && why)
		ck_assert_msg(strstr(peal_group_reason(), why) != NULL,
			      "\"%s\" lacks \"%s\"", peal_group_reason(),
			      why);
	else
		ck_assert_str_eq(peal_group_reason(), "");
}

TEST(sixty_five_groups_are_one_too_many)
{
	struct peal_group *last = NULL;
	int i;

	for (i = 0; i < 64; i++)
		open_group(2, SIZE);
	ck_result(peal_group_open(ring, &last, NULL), -ENFILE);
	ck_assert_ptr_nonnull(strstr(peal_group_reason(), "has 64 groups"));
	ck_assert_ptr_null(last);
	ck_result(close_group(), 0);
	open_group(2, SIZE);
}

TEST(group_open_without_memory_is_enomem_and_leaves_nothing)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;
	size_t before = alloc_outstanding();
	unsigned long nth;
	int rc = -ENOMEM;

	for (nth = 1; nth < 20 && rc == -ENOMEM; nth++) {
		alloc_fail_at = alloc_calls + nth;
		rc = peal_group_open(ring, &group, &options);
		alloc_fail_at = 0;
		if (rc == 0)
			break;
		ck_result(rc, -ENOMEM);
		ck_assert_ptr_nonnull(strstr(peal_group_reason(),
					     "256 buffers of 4096 bytes"));
		ck_assert_uint_eq(alloc_outstanding(), before);
	}
	ck_result(rc, 0);
	ck_assert_uint_gt(nth, 3);
}

TEST(close_of_a_group_waits_for_its_receives_and_its_buffers)
{
	peal_op waits, closed;
	void *buf;
	int fds[2];

	open_group(4, SIZE);
	buf = receive_a_byte();
	make_stream(fds);
	waits = peal_recv_multishot(ring, fds[0], group, 0, 0, on_done, NULL);
	settle();
	closed = peal_group_close(ring, group, 0, on_done, NULL);
	ck_ok(closed);
	UNTIL(finished(waits));
	ck_result(outcome(waits)->result, -ECANCELED);
	settle();
	ck_assert(!finished(closed));
	peal_group_give_back(group, buf);
	ck_result(finish(closed), 0);
	ck_assert_uint_lt(outcome(waits)->order, outcome(closed)->order);
}

TEST(group_being_closed_refuses_receives_and_a_second_close)
{
	peal_op closed;
	void *buf;
	int fds[2];

	open_group(4, SIZE);
	buf = receive_a_byte();
	make_stream(fds);
	closed = peal_group_close(ring, group, 0, on_done, NULL);
	ck_result(peal_recv_group(ring, fds[0], group, 0, 0, on_done, NULL),
		  -ESHUTDOWN);
	ck_result(peal_recv_multishot(ring, fds[0], group, 0, 0, on_done,
				      NULL), -ESHUTDOWN);
	ck_result(peal_group_close(ring, group, 0, on_done, NULL), -EALREADY);
	peal_group_give_back(group, buf);
	ck_result(finish(closed), 0);
}

TEST(cancelled_close_of_a_group_leaves_it_open)
{
	peal_op closed;
	void *buf;

	open_group(4, SIZE);
	buf = receive_a_byte();
	closed = peal_group_close(ring, group, 0, on_done, NULL);
	ck_result(peal_cancel(ring, closed, 0, NULL, NULL), 0);
	ck_result(finish(closed), -ECANCELED);
	peal_group_give_back(group, buf);
	peal_group_give_back(group, receive_a_byte());
}

static void ignore(struct peal_ring *where,
		   const struct peal_completion *done)
{
	(void)where;
	(void)done;
}

static void reopen_with_one_op(void)
{
	struct peal_ring_options options = harness_options();

	options.max_ops = 1;
	reopen_ring(&options);
}

TEST(group_closes_in_a_ring_whose_only_op_is_in_flight)
{
	peal_op waits, closed;
	int fds[2];

	reopen_with_one_op();
	open_group(4, SIZE);
	make_stream(fds);
	waits = receive(fds[0]);
	ck_result(peal_nop(ring, 0, on_done, NULL), -EAGAIN);
	closed = peal_group_close(ring, group, 0, on_done, NULL);
	ck_result(finish(closed), 0);
	ck_result(outcome(waits)->result, -ECANCELED);
	ck_result(finish(peal_nop(ring, 0, on_done, NULL)), 0);
}

TEST(all_groups_close_when_the_rows_for_cancels_are_taken_too)
{
	struct peal_group *groups[64];
	peal_op waits, closed[64];
	int fds[2], i;

	reopen_with_one_op();
	for (i = 0; i < 64; i++) {
		open_group(1, SIZE);
		groups[i] = group;
	}
	make_stream(fds);
	waits = receive(fds[0]);
	while (peal_cancel(ring, waits, 0, ignore, NULL) > 0)
		;
	for (i = 0; i < 64; i++) {
		closed[i] = peal_group_close(ring, groups[i], 0, on_done,
					     NULL);
		ck_ok(closed[i]);
	}
	for (i = 0; i < 64; i++)
		ck_result(finish(closed[i]), 0);
}

TEST(ring_closes_with_buffers_out_and_receives_in_flight)
{
	int fds[2];

	open_group(2, SIZE);
	make_stream(fds);
	got.keep = 1;
	receive_many(fds[0], 0);
	put(fds[1], "x");
	UNTIL(got.with_buf == 1);
}

/* --- receiving once ------------------------------------------------------- */

TEST(recv_group_waits_without_a_buffer)
{
	const struct outcome *end;
	peal_op op;
	int fds[2];

	open_group(1, SIZE);
	make_stream(fds);
	op = receive(fds[0]);
	settle();
	ck_assert(!finished(op));
	ck_assert_uint_eq(group_stats().out, 0);
	put(fds[1], "abc");
	end = finish_outcome(op);
	ck_result(end->result, 3);
	ck_assert_mem_eq(end->buf, "abc", 3);
	ck_assert_uint_eq(end->flags, 0);
	ck_assert_uint_eq(group_stats().out, 1);
	ck_assert_uint_eq(group_stats().taken, 1);
	peal_group_give_back(group, end->buf);
	ck_assert_uint_eq(group_stats().out, 0);
}

TEST(recv_group_takes_no_more_than_a_buffer_holds)
{
	char text[2 * SIZE];
	const struct outcome *end;
	int fds[2], i;

	open_group(4, SIZE);
	make_stream(fds);
	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(send(fds[1], text, sizeof(text), 0), sizeof(text));
	for (i = 0; i < 2; i++) {
		end = finish_outcome(receive(fds[0]));
		ck_result(end->result, SIZE);
		peal_group_give_back(group, end->buf);
	}
}

TEST(recv_group_at_the_end_is_zero_without_a_buffer)
{
	const struct outcome *end;
	int fds[2];

	open_group(1, SIZE);
	make_stream(fds);
	shutdown(fds[1], SHUT_WR);
	end = finish_outcome(receive(fds[0]));
	ck_result(end->result, 0);
	ck_assert_ptr_null(end->buf);
	ck_assert_uint_eq(group_stats().out, 0);
}

TEST(recv_group_of_a_bad_fd_is_ebadf_and_of_a_file_enotsock)
{
	open_group(1, SIZE);
	ck_result(finish_or_refused(peal_recv_group(ring, closed_fd(), group,
						    0, 0, on_done, NULL)),
		  -EBADF);
	ck_result(finish_or_refused(peal_recv_group(ring, make_file("f", "x", 1),
						    group, 0, 0, on_done,
						    NULL)), -ENOTSOCK);
	ck_assert_uint_eq(group_stats().ops, 0);
}

TEST(recv_group_with_other_flags_is_einval)
{
	int fds[2];

	open_group(1, SIZE);
	make_stream(fds);
	ck_result(peal_recv_group(ring, fds[0], group, MSG_WAITALL, 0, on_done,
				  NULL), -EINVAL);
	ck_result(peal_recv_group(ring, fds[0], group, 0, 1u << 30, on_done,
				  NULL), -EINVAL);
	ck_result(peal_recv_group(ring, fds[0], group, 0, PEAL_BUNDLE, on_done,
				  NULL), -EINVAL);
	ck_result(peal_recv_multishot(ring, fds[0], group, MSG_PEEK, 0,
				      on_done, NULL), -EINVAL);
	ck_result(peal_recvmsg_multishot(ring, fds[0], group, 0, PEAL_BUNDLE,
					 on_done, NULL), -EINVAL);
	ck_assert_uint_eq(group_stats().ops, 0);
}

TEST(recv_group_peeks)
{
	const struct outcome *end;
	int fds[2], i;

	open_group(2, SIZE);
	make_stream(fds);
	put(fds[1], "peek");
	for (i = 0; i < 2; i++) {
		end = finish_outcome(peal_recv_group(ring, fds[0], group,
						     i ? 0 : MSG_PEEK, 0,
						     on_done, NULL));
		ck_result(end->result, 4);
		ck_assert_mem_eq(end->buf, "peek", 4);
		peal_group_give_back(group, end->buf);
	}
}

TEST(recv_group_without_a_handler_loses_no_buffer)
{
	int fds[2], i;

	open_group(1, SIZE);
	make_stream(fds);
	for (i = 0; i < 3; i++) {
		ck_ok(peal_recv_group(ring, fds[0], group, 0, 0, NULL, NULL));
		put(fds[1], "x");
		UNTIL(group_stats().ops == 0);
	}
	ck_assert_uint_eq(group_stats().taken, 3);
	ck_assert_uint_eq(group_stats().out, 0);
}

TEST(cancelled_recv_group_has_no_buffer)
{
	const struct outcome *end;
	peal_op op;
	int fds[2];

	open_group(1, SIZE);
	make_stream(fds);
	op = receive(fds[0]);
	settle();
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	end = finish_outcome(op);
	ck_result(end->result, -ECANCELED);
	ck_assert_ptr_null(end->buf);
	put(fds[1], "later");
	end = finish_outcome(receive(fds[0]));
	ck_result(end->result, 5);
	peal_group_give_back(group, end->buf);
}

TEST(deadline_of_a_recv_group_is_etimedout)
{
	peal_op op;
	int fds[2];

	open_group(1, SIZE);
	make_stream(fds);
	op = receive(fds[0]);
	ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	ck_result(finish(op), -ETIMEDOUT);
	ck_assert(outcome(op)->flags & PEAL_TIMED_OUT);
}

TEST(asynchronous_recv_group_works)
{
	const struct outcome *end;
	peal_op op;
	int fds[2];

	open_group(1, SIZE);
	make_stream(fds);
	op = peal_recv_group(ring, fds[0], group, 0, PEAL_ASYNC, on_done,
			     NULL);
	settle();
	put(fds[1], "abc");
	end = finish_outcome(op);
	ck_result(end->result, 3);
	ck_assert_mem_eq(end->buf, "abc", 3);
	peal_group_give_back(group, end->buf);
}

SUITE("group")
