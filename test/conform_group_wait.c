/* SPDX-License-Identifier: MIT */
/* Buffer groups: what becomes of receives when no buffer is left. */
#include "test/groups.h"

TEST(receive_that_waits_for_a_buffer_never_meets_the_next_file)
{
	peal_op op;
	int fds[2], next[2], peer;

	open_group(1, SIZE);
	make_stream(fds);
	got.keep = 1;
	op = receive_many(fds[0], 0);
	ck_ok(op);
	put(fds[1], "mine");
	UNTIL(got.with_buf == 1);
	put(fds[1], "more");
	UNTIL(group_stats().waiting == 1);
	ck_result(finish(peal_close(ring, fds[0], 0, on_done, NULL)), 0);
	make_stream(next);
	peer = next[0] == fds[0] ? next[1] : next[0];
	ck_assert(next[0] == fds[0] || next[1] == fds[0]);
	put(peer, "secret");
	give_back_kept();
	UNTIL(got.terminal == 1);
	ck_result(got.result, -EBADF);
	ck_assert_uint_eq(got.len, 4);
}

static void takes_both_buffers_and_waits(unsigned flags)
{
	static const char text[] = "0123456789abcdef0123456789ABCDEF-the rest";
	int fds[2];

	open_group(2, 16);
	make_stream(fds);
	got.keep = 1;
	receive_many(fds[0], flags);
	put(fds[1], text);
	UNTIL(got.len == 32);
	settle();
	ck_assert_uint_eq(got.len, 32);
	ck_assert_uint_eq(got.with_buf, 2);
	ck_assert_uint_eq(got.terminal, 0);
	ck_assert_uint_eq(group_stats().out, 2);
	ck_assert_uint_eq(group_stats().waiting, 1);
	give_back_kept();
	UNTIL(got.len == 41);
	ck_assert_mem_eq(got.data, text, 41);
	ck_assert_uint_ge(group_stats().exhausted, 1);
	ck_assert_uint_eq(group_stats().waiting, 0);
}

TEST(receive_without_a_buffer_waits_for_one)
{
	takes_both_buffers_and_waits(0);
}

TEST(bundle_without_a_buffer_waits_for_one)
{
	takes_both_buffers_and_waits(PEAL_BUNDLE);
}

TEST(waiting_for_a_buffer_makes_no_storm)
{
	struct peal_stats before = { .size = sizeof(before) }, after = before;
	int fds[2], i;

	open_group(1, 16);
	make_stream(fds);
	got.keep = 1;
	receive_many(fds[0], 0);
	put(fds[1], "0123456789abcdefg");
	UNTIL(got.len == 16 && group_stats().waiting == 1);
	peal_ring_stats(ring, &before);
	for (i = 0; i < 50; i++)
		ck_result(peal_ring_turn(ring, 0), 0);
	peal_ring_stats(ring, &after);
	ck_assert_uint_eq(after.submitted, before.submitted);
	ck_assert_uint_eq(group_stats().exhausted, 1);
	give_back_kept();
	UNTIL(got.len == 17);
}

TEST(idle_receives_that_found_no_buffer_do_not_starve_others)
{
	int fds[50][2], busy[2];
	unsigned i;

	open_group(1, 16);
	make_stream(busy);
	got.keep = 1;
	receive_many(busy[0], 0);
	put(busy[1], "first");
	UNTIL(got.len == 5);
	for (i = 0; i < 50; i++) {
		make_stream(fds[i]);
		receive_many(fds[i][0], 0);
	}
	settle();
	put(fds[49][1], "the last");
	settle();
	give_back_kept();
	UNTIL(got.len == 13);
	ck_assert_mem_eq(got.data, "firstthe last", 13);
	for (i = 0; i < 49; i++)
		put(fds[i][1], "x");
	UNTIL(got.len == 13 + 49);
}

TEST(thousand_connections_share_eight_buffers)
{
	enum { MANY = 1000 };
	static int fds[MANY][2];
	unsigned i, round;

	open_group(8, 64);
	for (i = 0; i < MANY; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX,
					    SOCK_STREAM | SOCK_CLOEXEC, 0,
					    fds[i]), 0);
		receive_many(fds[i][0], 0);
	}
	settle();
	for (round = 0; round < 3; round++) {
		size_t want = got.len + 5 * MANY;

		for (i = 0; i < MANY; i++)
			put(fds[i][1], "01234");
		UNTIL(got.len == want);
		ck_assert_uint_le(group_stats().most_out, 8);
	}
	for (i = 0; i < MANY; i++)
		close(fds[i][1]);
	UNTIL(got.terminal == MANY);
	for (i = 0; i < MANY; i++)
		close(fds[i][0]);
	ck_assert_uint_eq(group_stats().out, 0);
}

/* A receive of data that is there, and no buffer: the only one is returned. */
static void *start_without_a_buffer(int fds[2], peal_op *op)
{
	void *buf;

	open_group(1, 16);
	make_stream(fds);
	buf = receive_a_byte();
	put(fds[1], "yz");
	*op = receive(fds[0]);
	UNTIL(group_stats().waiting == 1);
	return buf;
}

TEST(cancel_of_a_receive_that_waits_for_a_buffer_ends_it)
{
	peal_op op;
	int fds[2];
	void *buf = start_without_a_buffer(fds, &op);

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
	ck_assert_uint_eq(group_stats().waiting, 0);
	peal_group_give_back(group, buf);
	op = receive(fds[0]);
	ck_result(finish(op), 2);
	peal_group_give_back(group, outcome(op)->buf);
}

TEST(deadline_of_a_receive_that_waits_for_a_buffer_ends_it)
{
	peal_op op;
	int fds[2];
	void *buf = start_without_a_buffer(fds, &op);

	ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	ck_result(finish(op), -ETIMEDOUT);
	peal_group_give_back(group, buf);
}

TEST(drained_close_ends_a_receive_that_waits_for_a_buffer)
{
	peal_op op;
	int fds[2];
	void *buf = start_without_a_buffer(fds, &op);

	ck_result(finish(peal_close_drained(ring, fds[0], 0, on_done, NULL)),
		  0);
	ck_result(outcome(op)->result, -ECANCELED);
	peal_group_give_back(group, buf);
}

SUITE("group_wait")
