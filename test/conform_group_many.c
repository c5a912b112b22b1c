/* SPDX-License-Identifier: MIT */
/* Buffer groups: receiving many times, bundles included. */
#include "test/groups.h"

TEST(recv_multishot_brings_all_and_ends_with_zero)
{
	static char sent[64 * 1024];
	int fds[2];

	open_group(4, 1024);
	make_stream(fds);
	fill_pattern(sent, sizeof(sent), 1);
	receive_many(fds[0], 0);
	pump(fds[1], sent, sizeof(sent));
	ck_assert(has_pattern(got.data, got.len, 1));
	ck_assert_uint_eq(got.terminal, 0);
	ck_assert_int_le(got.largest, 1024);
	shutdown(fds[1], SHUT_WR);
	UNTIL(got.terminal);
	ck_result(got.result, 0);
	ck_assert_uint_eq(group_stats().out, 0);
	ck_assert_uint_eq(group_stats().ops, 0);
}

TEST(recv_multishot_has_the_data_before_the_end)
{
	int fds[2];

	open_group(4, SIZE);
	make_stream(fds);
	put(fds[1], "last words");
	shutdown(fds[1], SHUT_WR);
	receive_many(fds[0], 0);
	UNTIL(got.terminal);
	ck_result(got.result, 0);
	ck_assert_uint_eq(got.len, 10);
	ck_assert_mem_eq(got.data, "last words", 10);
}

TEST(recv_multishot_of_a_broken_connection_ends_with_its_error)
{
	struct linger reset = { 1, 0 };
	int fds[2];

	open_group(4, SIZE);
	if (make_tcp_pair(AF_INET, fds) < 0)
		SKIP("no IPv4");
	receive_many(fds[0], 0);
	settle();
	setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fds[1]);
	UNTIL(got.terminal);
	ck_result(got.result, -ECONNRESET);
	ck_assert_uint_eq(group_stats().out, 0);
}

/* A receive that has brought something, and goes on. */
static peal_op receive_one_word(void)
{
	peal_op op;
	int fds[2];

	open_group(4, SIZE);
	make_stream(fds);
	op = receive_many(fds[0], 0);
	put(fds[1], "one");
	UNTIL(got.len == 3);
	return op;
}

TEST(cancelled_recv_multishot_ends_once)
{
	peal_op op = receive_one_word();

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	UNTIL(got.terminal);
	settle();
	ck_assert_uint_eq(got.terminal, 1);
	ck_result(got.result, -ECANCELED);
}

static void on_data_cancel(struct peal_ring *where,
			   const struct peal_completion *done)
{
	on_data(where, done);
	if (done->flags & PEAL_MORE)
		peal_cancel(where, done->op, 0, NULL, NULL);
}

TEST(recv_multishot_can_be_cancelled_by_its_own_handler)
{
	int fds[2];

	open_group(4, SIZE);
	make_stream(fds);
	ck_ok(peal_recv_multishot(ring, fds[0], group, 0, 0, on_data_cancel,
				  NULL));
	put(fds[1], "one");
	UNTIL(got.terminal);
	ck_assert_uint_eq(got.len, 3);
	ck_assert_uint_eq(group_stats().out, 0);
}

TEST(deadline_of_a_recv_multishot_ends_it)
{
	peal_op op = receive_one_word();

	ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	UNTIL(got.terminal);
	ck_result(got.result, -ETIMEDOUT);
}

TEST(drained_close_ends_a_recv_multishot)
{
	peal_op op, closed;
	int fds[2];

	open_group(4, SIZE);
	make_stream(fds);
	op = peal_recv_multishot(ring, fds[0], group, 0, 0, on_done, NULL);
	settle();
	closed = peal_close_drained(ring, fds[0], 0, on_done, NULL);
	ck_result(finish(closed), 0);
	ck_assert(finished(op));
	ck_result(outcome(op)->result, -ECANCELED);
	ck_assert_uint_lt(outcome(op)->order, outcome(closed)->order);
}

TEST(recv_multishot_outlives_a_full_completion_queue)
{
	struct peal_ring_options options = harness_options();
	static char sent[4096];
	int fds[2];

	options.entries = 2;
	options.cq_entries = 2;
	reopen_ring(&options);
	open_group(256, 16);
	make_stream(fds);
	fill_pattern(sent, sizeof(sent), 7);
	ck_assert_int_eq(send(fds[1], sent, sizeof(sent), 0), sizeof(sent));
	receive_many(fds[0], 0);
	UNTIL(got.len == sizeof(sent));
	ck_assert(has_pattern(got.data, got.len, 7));
	ck_assert_uint_eq(got.terminal, 0);
}

TEST(recv_multishot_on_hundred_sockets_mixes_nothing_up)
{
	int fds[100][2];
	unsigned i, round;

	open_group(7, SIZE);
	for (i = 0; i < 100; i++) {
		make_stream(fds[i]);
		receive_many(fds[i][0], 0);
	}
	for (round = 0; round < 5; round++) {
		size_t want = got.len + 100;

		for (i = 0; i < 100; i++)
			put(fds[i][1], "x");
		UNTIL(got.len == want);
	}
	ck_assert_uint_eq(group_stats().out, 0);
	ck_assert_uint_eq(group_stats().ops, 100);
}

/* --- bundles -------------------------------------------------------------- */

/* Where explain says so. */
static int has_bundles(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int found;

	peal_ring_explain(ring, out);
	fclose(out);
	found = strstr(text, "bundle         on") != NULL &&
		strstr(text, "bufring        on") != NULL;
	free(text);
	return found;
}

/* Whatever the kernel fills at one time. */
static void brings_all_in_order(const int fds[2])
{
	static char sent[32 * 1024];

	open_group(64, 256);
	fill_pattern(sent, sizeof(sent), 3);
	receive_many(fds[0], PEAL_BUNDLE);
	pump(fds[1], sent, sizeof(sent));
	ck_assert(has_pattern(got.data, got.len, 3));
	ck_assert_int_le(got.largest, 256);
	ck_assert_uint_eq(group_stats().out, 0);
	shutdown(fds[1], SHUT_WR);
	UNTIL(got.terminal);
	ck_result(got.result, 0);
}

TEST(bundle_comes_buffer_by_buffer_and_in_order)
{
	int fds[2];

	if (make_tcp_pair(AF_INET, fds) < 0)
		SKIP("no IPv4");
	brings_all_in_order(fds);
	ck_assert(harness_replays() ||	/* explain tells of the replay */
		  has_bundles() == (group_stats().bundles > 0));
}

TEST(bundles_switched_off_bring_all_buffer_by_buffer)
{
	struct peal_ring_options options = harness_options();
	int fds[2];

	options.disable = "bundle";
	reopen_ring(&options);
	make_stream(fds);
	brings_all_in_order(fds);
	ck_assert(!has_bundles());
	ck_assert_uint_eq(group_stats().bundles, 0);
}

SUITE("group_many")
