/* SPDX-License-Identifier: MIT */
/* Buffer groups: receiving into buffers that are taken when the data is there.
 */
#include "test/harness.h"

#define SIZE	64u

static struct peal_group *group;

/* What a multishot receive has brought. */
static struct {
	char data[1 << 20];
	size_t len;
	unsigned calls, with_buf, terminal;
	int64_t result;		/* of the last completion */
	uint32_t flags;
	void *kept[64];		/* buffers not given back */
	unsigned kept_count;
	int keep;		/* do not give back */
	int64_t largest;
} got;

static void open_group(uint32_t count, uint32_t buf_size)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;

	options.count = count;
	options.buf_size = buf_size;
	ck_result(peal_group_open(ring, &group, &options), 0);
}

static struct peal_group_stats group_stats(void)
{
	struct peal_group_stats stats = { .size = sizeof(stats) };

	peal_group_stats(group, &stats);
	return stats;
}

static void on_data(struct peal_ring *where,
		    const struct peal_completion *done)
{
	(void)where;
	got.calls++;
	got.result = done->result;
	got.flags = done->flags;
	got.terminal += !(done->flags & PEAL_MORE);
	if (!done->buf)
		return;
	ck_assert_int_gt(done->result, 0);
	if (done->result > got.largest)
		got.largest = done->result;
	memcpy(got.data + got.len, done->buf, (size_t)done->result);
	got.len += (size_t)done->result;
	got.with_buf++;
	if (got.keep)
		got.kept[got.kept_count++] = done->buf;
	else
		peal_group_give_back(group, done->buf);
}

static void give_back_kept(void)
{
	got.keep = 0;
	while (got.kept_count)
		peal_group_give_back(group, got.kept[--got.kept_count]);
}

static void put(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL),
			 (ssize_t)strlen(text));
}

static void make_stream(int fds[2])
{
	make_socketpair(SOCK_STREAM, fds);
}

static void make_udp(int fds[2])
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int i;

	for (i = 0; i < 2; i++) {
		loopback(&addr, 0);
		fds[i] = keep_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
		ck_assert_int_eq(bind(fds[i], (struct sockaddr *)&addr, len),
				 0);
	}
	ck_assert_int_eq(getsockname(fds[0], (struct sockaddr *)&addr, &len),
			 0);
	ck_assert_int_eq(connect(fds[1], (struct sockaddr *)&addr, len), 0);
}

/* --- a group's life ------------------------------------------------------ */

TEST(group_with_defaults_opens_and_closes)
{
	ck_result(peal_group_open(ring, &group, NULL), 0);
	ck_assert_uint_eq(group_stats().count, 256);
	ck_result(finish(peal_group_close(ring, group, 0, on_done, NULL)), 0);
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
	end = finish_outcome(peal_recv_group(ring, fds[0], group, 0, 0,
					     on_done, NULL));
	ck_result(end->result, 5);
	ck_assert((char *)end->buf >= memory &&
		  (char *)end->buf <= memory + 3 * SIZE);
	ck_assert_mem_eq(end->buf, "hello", 5);
	peal_group_give_back(group, end->buf);
}

TEST(group_of_wrong_options_is_einval)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;

	options.count = 32769;
	ck_result(peal_group_open(ring, &group, &options), -EINVAL);
	options.count = 1;
	options.buf_size = 12;
	ck_result(peal_group_open(ring, &group, &options), -EINVAL);
	options.buf_size = 16;
	options.flags = 1u << 31;
	ck_result(peal_group_open(ring, &group, &options), -EINVAL);
	options.flags = 0;
	options.size++;
	ck_result(peal_group_open(ring, &group, &options), -EINVAL);
}

TEST(sixty_five_groups_are_one_too_many)
{
	struct peal_group *last = NULL;
	int i;

	for (i = 0; i < 64; i++)
		open_group(2, SIZE);
	ck_result(peal_group_open(ring, &last, NULL), -ENFILE);
	ck_assert_ptr_null(last);
	ck_result(finish(peal_group_close(ring, group, 0, on_done, NULL)), 0);
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
		ck_assert_uint_eq(alloc_outstanding(), before);
	}
	ck_result(rc, 0);
	ck_assert_uint_gt(nth, 3);
}

TEST(close_of_a_group_waits_for_its_receives_and_its_buffers)
{
	const struct outcome *end;
	peal_op waits, closed;
	int fds[2], others[2];

	open_group(4, SIZE);
	make_stream(fds);
	make_stream(others);
	put(fds[1], "x");
	end = finish_outcome(peal_recv_group(ring, fds[0], group, 0, 0,
					     on_done, NULL));
	waits = peal_recv_multishot(ring, others[0], group, 0, 0, on_done,
				    NULL);
	settle();
	closed = peal_group_close(ring, group, 0, on_done, NULL);
	ck_ok(closed);
	UNTIL(finished(waits));
	ck_result(outcome(waits)->result, -ECANCELED);
	settle();
	ck_assert(!finished(closed));
	peal_group_give_back(group, end->buf);
	ck_result(finish(closed), 0);
	ck_assert_uint_lt(outcome(waits)->order, outcome(closed)->order);
}

TEST(group_being_closed_refuses_receives_and_a_second_close)
{
	const struct outcome *end;
	peal_op closed;
	int fds[2];

	open_group(4, SIZE);
	make_stream(fds);
	put(fds[1], "x");
	end = finish_outcome(peal_recv_group(ring, fds[0], group, 0, 0,
					     on_done, NULL));
	closed = peal_group_close(ring, group, 0, on_done, NULL);
	ck_result(peal_recv_group(ring, fds[0], group, 0, 0, on_done, NULL),
		  -ESHUTDOWN);
	ck_result(peal_recv_multishot(ring, fds[0], group, 0, 0, on_done,
				      NULL), -ESHUTDOWN);
	ck_result(peal_group_close(ring, group, 0, on_done, NULL), -EALREADY);
	peal_group_give_back(group, end->buf);
	ck_result(finish(closed), 0);
}

TEST(cancelled_close_of_a_group_leaves_it_open)
{
	const struct outcome *end;
	peal_op closed;
	int fds[2];

	open_group(4, SIZE);
	make_stream(fds);
	put(fds[1], "x");
	end = finish_outcome(peal_recv_group(ring, fds[0], group, 0, 0,
					     on_done, NULL));
	closed = peal_group_close(ring, group, 0, on_done, NULL);
	ck_result(peal_cancel(ring, closed, 0, NULL, NULL), 0);
	ck_result(finish(closed), -ECANCELED);
	peal_group_give_back(group, end->buf);
	put(fds[1], "yz");
	end = finish_outcome(peal_recv_group(ring, fds[0], group, 0, 0,
					     on_done, NULL));
	ck_result(end->result, 2);
	peal_group_give_back(group, end->buf);
}

TEST(ring_closes_with_buffers_out_and_receives_in_flight)
{
	int fds[2];

	open_group(2, SIZE);
	make_stream(fds);
	got.keep = 1;
	ck_ok(peal_recv_multishot(ring, fds[0], group, 0, 0, on_data, NULL));
	put(fds[1], "x");
	UNTIL(got.with_buf == 1);
}

/* --- receiving once ------------------------------------------------------ */

TEST(recv_group_waits_without_a_buffer)
{
	const struct outcome *end;
	peal_op op;
	int fds[2];

	open_group(1, SIZE);
	make_stream(fds);
	op = peal_recv_group(ring, fds[0], group, 0, 0, on_done, NULL);
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
		end = finish_outcome(peal_recv_group(ring, fds[0], group, 0, 0,
						     on_done, NULL));
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
	end = finish_outcome(peal_recv_group(ring, fds[0], group, 0, 0,
					     on_done, NULL));
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
	op = peal_recv_group(ring, fds[0], group, 0, 0, on_done, NULL);
	settle();
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	end = finish_outcome(op);
	ck_result(end->result, -ECANCELED);
	ck_assert_ptr_null(end->buf);
	put(fds[1], "later");
	end = finish_outcome(peal_recv_group(ring, fds[0], group, 0, 0,
					     on_done, NULL));
	ck_result(end->result, 5);
	peal_group_give_back(group, end->buf);
}

TEST(deadline_of_a_recv_group_is_etimedout)
{
	peal_op op;
	int fds[2];

	open_group(1, SIZE);
	make_stream(fds);
	op = peal_recv_group(ring, fds[0], group, 0, 0, on_done, NULL);
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

/* --- receiving many times ------------------------------------------------ */

TEST(recv_multishot_brings_all_and_ends_with_zero)
{
	static char sent[64 * 1024];
	size_t at = 0;
	int fds[2];

	open_group(4, 1024);
	make_stream(fds);
	fill_pattern(sent, sizeof(sent), 1);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	ck_ok(peal_recv_multishot(ring, fds[0], group, 0, 0, on_data, NULL));
	while (got.len < sizeof(sent)) {
		ssize_t rc = send(fds[1], sent + at, sizeof(sent) - at,
				  MSG_NOSIGNAL);

		at += rc > 0 ? (size_t)rc : 0;
		UNTIL(got.len == at);
	}
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
	ck_ok(peal_recv_multishot(ring, fds[0], group, 0, 0, on_data, NULL));
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
	ck_ok(peal_recv_multishot(ring, fds[0], group, 0, 0, on_data, NULL));
	settle();
	setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fds[1]);
	UNTIL(got.terminal);
	ck_result(got.result, -ECONNRESET);
	ck_assert_uint_eq(group_stats().out, 0);
}

TEST(cancelled_recv_multishot_ends_once)
{
	peal_op op;
	int fds[2];

	open_group(4, SIZE);
	make_stream(fds);
	op = peal_recv_multishot(ring, fds[0], group, 0, 0, on_data, NULL);
	put(fds[1], "one");
	UNTIL(got.len == 3);
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
	peal_op op;
	int fds[2];

	open_group(4, SIZE);
	make_stream(fds);
	op = peal_recv_multishot(ring, fds[0], group, 0, 0, on_data, NULL);
	put(fds[1], "one");
	UNTIL(got.len == 3);
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
	ck_ok(peal_recv_multishot(ring, fds[0], group, 0, 0, on_data, NULL));
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
		ck_ok(peal_recv_multishot(ring, fds[i][0], group, 0, 0,
					  on_data, NULL));
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

/* --- no buffer is left --------------------------------------------------- */

TEST(receive_that_waits_for_a_buffer_never_meets_the_next_file)
{
	peal_op op;
	int fds[2], next[2], peer;

	open_group(1, SIZE);
	make_stream(fds);
	got.keep = 1;
	op = peal_recv_multishot(ring, fds[0], group, 0, 0, on_data, NULL);
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

TEST(receive_without_a_buffer_waits_for_one)
{
	int fds[2];

	open_group(2, 16);
	make_stream(fds);
	got.keep = 1;
	ck_ok(peal_recv_multishot(ring, fds[0], group, 0, 0, on_data, NULL));
	put(fds[1], "0123456789abcdef0123456789ABCDEF-the rest");
	UNTIL(got.len == 32);
	settle();
	ck_assert_uint_eq(got.len, 32);
	ck_assert_uint_eq(got.terminal, 0);
	ck_assert_uint_eq(group_stats().out, 2);
	ck_assert_uint_eq(group_stats().waiting, 1);
	give_back_kept();
	UNTIL(got.len == 41);
	ck_assert_mem_eq(got.data, "0123456789abcdef0123456789ABCDEF-the rest",
			 41);
	ck_assert_uint_ge(group_stats().exhausted, 1);
	ck_assert_uint_eq(group_stats().waiting, 0);
}

TEST(waiting_for_a_buffer_makes_no_storm)
{
	struct peal_stats before = { .size = sizeof(before) }, after = before;
	int fds[2], i;

	open_group(1, 16);
	make_stream(fds);
	got.keep = 1;
	ck_ok(peal_recv_multishot(ring, fds[0], group, 0, 0, on_data, NULL));
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
	ck_ok(peal_recv_multishot(ring, busy[0], group, 0, 0, on_data, NULL));
	put(busy[1], "first");
	UNTIL(got.len == 5);
	for (i = 0; i < 50; i++) {
		make_stream(fds[i]);
		ck_ok(peal_recv_multishot(ring, fds[i][0], group, 0, 0,
					  on_data, NULL));
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
		ck_ok(peal_recv_multishot(ring, fds[i][0], group, 0, 0,
					  on_data, NULL));
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

static void *take_the_only_buffer(void)
{
	const struct outcome *end;
	int fds[2];

	make_stream(fds);
	put(fds[1], "x");
	end = finish_outcome(peal_recv_group(ring, fds[0], group, 0, 0,
					     on_done, NULL));
	ck_result(end->result, 1);
	return end->buf;
}

TEST(cancel_of_a_receive_that_waits_for_a_buffer_ends_it)
{
	peal_op op;
	void *buf;
	int more[2];

	open_group(1, 16);
	make_stream(more);
	buf = take_the_only_buffer();
	put(more[1], "yz");
	op = peal_recv_group(ring, more[0], group, 0, 0, on_done, NULL);
	UNTIL(group_stats().waiting == 1);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
	ck_assert_uint_eq(group_stats().waiting, 0);
	peal_group_give_back(group, buf);
	op = peal_recv_group(ring, more[0], group, 0, 0, on_done, NULL);
	ck_result(finish(op), 2);
	peal_group_give_back(group, outcome(op)->buf);
}

TEST(deadline_of_a_receive_that_waits_for_a_buffer_ends_it)
{
	peal_op op;
	void *buf;
	int more[2];

	open_group(1, 16);
	make_stream(more);
	buf = take_the_only_buffer();
	put(more[1], "y");
	op = peal_recv_multishot(ring, more[0], group, 0, 0, on_done, NULL);
	UNTIL(group_stats().waiting == 1);
	ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	ck_result(finish(op), -ETIMEDOUT);
	peal_group_give_back(group, buf);
}

TEST(drained_close_ends_a_receive_that_waits_for_a_buffer)
{
	peal_op op, closed;
	void *buf;
	int more[2];

	open_group(1, 16);
	make_stream(more);
	buf = take_the_only_buffer();
	put(more[1], "y");
	op = peal_recv_group(ring, more[0], group, 0, 0, on_done, NULL);
	UNTIL(group_stats().waiting == 1);
	closed = peal_close_drained(ring, more[0], 0, on_done, NULL);
	ck_result(finish(closed), 0);
	ck_result(outcome(op)->result, -ECANCELED);
	peal_group_give_back(group, buf);
}

/* --- bundles ------------------------------------------------------------- */

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

TEST(bundle_comes_buffer_by_buffer_and_in_order)
{
	static char sent[32 * 1024];
	size_t at = 0;
	int fds[2];

	open_group(64, 256);
	if (make_tcp_pair(AF_INET, fds) < 0)
		SKIP("no IPv4");
	fill_pattern(sent, sizeof(sent), 3);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	ck_ok(peal_recv_multishot(ring, fds[0], group, 0, PEAL_BUNDLE, on_data,
				  NULL));
	while (got.len < sizeof(sent)) {
		ssize_t rc = send(fds[1], sent + at, sizeof(sent) - at,
				  MSG_NOSIGNAL);

		at += rc > 0 ? (size_t)rc : 0;
		UNTIL(got.len == at);
	}
	ck_assert(has_pattern(got.data, got.len, 3));
	ck_assert_int_le(got.largest, 256);
	ck_assert_uint_eq(group_stats().out, 0);
	ck_assert(has_bundles() == (group_stats().bundles > 0));
	shutdown(fds[1], SHUT_WR);
	UNTIL(got.terminal);
	ck_result(got.result, 0);
}

TEST(bundle_waits_for_buffers_too)
{
	int fds[2];

	open_group(2, 16);
	make_stream(fds);
	got.keep = 1;
	ck_ok(peal_recv_multishot(ring, fds[0], group, 0, PEAL_BUNDLE, on_data,
				  NULL));
	put(fds[1], "0123456789abcdef0123456789ABCDEF-the rest");
	UNTIL(got.len == 32);
	settle();
	ck_assert_uint_eq(got.with_buf, 2);
	give_back_kept();
	UNTIL(got.len == 41);
	ck_assert_mem_eq(got.data, "0123456789abcdef0123456789ABCDEF-the rest",
			 41);
}

/* --- messages ------------------------------------------------------------ */

static struct {
	char text[16][64];
	struct peal_message last;
	struct sockaddr_in from;
	unsigned count, terminal;
	int control;
	int64_t result;
} mail;

static void on_mail(struct peal_ring *where,
		    const struct peal_completion *done)
{
	(void)where;
	mail.result = done->result;
	mail.terminal += !(done->flags & PEAL_MORE);
	if (!done->buf)
		return;
	ck_result(peal_group_message(group, done, &mail.last), 0);
	snprintf(mail.text[mail.count++ % 16], 64, "%.*s", (int)mail.last.len,
		 (char *)mail.last.data);
	if (mail.last.addr && mail.last.addr_len == sizeof(mail.from))
		memcpy(&mail.from, mail.last.addr, sizeof(mail.from));
	if (mail.last.control) {
		struct msghdr header = { .msg_control = mail.last.control,
			.msg_controllen = mail.last.control_len };
		struct cmsghdr *first = CMSG_FIRSTHDR(&header);

		memcpy(&mail.control, CMSG_DATA(first), sizeof(int));
	}
	peal_group_give_back(group, done->buf);
}

static void open_mail_group(uint32_t addr_room, uint32_t control_room,
			    uint32_t buf_size)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;

	options.count = 4;
	options.buf_size = buf_size;
	options.addr_room = addr_room;
	options.control_room = control_room;
	ck_result(peal_group_open(ring, &group, &options), 0);
}

TEST(recvmsg_multishot_tells_datagrams_and_their_senders)
{
	struct sockaddr_in own;
	socklen_t len = sizeof(own);
	int fds[2];

	open_mail_group(sizeof(own), 0, 256);
	make_udp(fds);
	ck_ok(peal_recvmsg_multishot(ring, fds[0], group, 0, 0, on_mail,
				     NULL));
	put(fds[1], "first");
	put(fds[1], "second one");
	UNTIL(mail.count == 2);
	ck_assert_str_eq(mail.text[0], "first");
	ck_assert_str_eq(mail.text[1], "second one");
	ck_assert_int_eq(getsockname(fds[1], (struct sockaddr *)&own, &len),
			 0);
	ck_assert_int_eq(mail.from.sin_port, own.sin_port);
	ck_assert_uint_eq(mail.last.flags, 0);
	ck_assert_uint_eq(mail.terminal, 0);
}

TEST(recvmsg_multishot_goes_on_after_an_empty_datagram)
{
	int fds[2];

	open_mail_group(sizeof(struct sockaddr_in), 0, 256);
	make_udp(fds);
	ck_ok(peal_recvmsg_multishot(ring, fds[0], group, 0, 0, on_mail,
				     NULL));
	put(fds[1], "");
	put(fds[1], "after");
	UNTIL(mail.count == 2);
	ck_assert_str_eq(mail.text[0], "");
	ck_assert_str_eq(mail.text[1], "after");
	ck_assert_uint_eq(mail.terminal, 0);
}

TEST(recvmsg_multishot_of_a_stream_ends_with_it)
{
	int fds[2];

	open_mail_group(0, 0, 256);
	make_stream(fds);
	ck_ok(peal_recvmsg_multishot(ring, fds[0], group, 0, 0, on_mail,
				     NULL));
	put(fds[1], "words");
	UNTIL(mail.count == 1);
	shutdown(fds[1], SHUT_WR);
	UNTIL(mail.terminal == 1);
	ck_assert_str_eq(mail.text[0], "words");
	ck_assert_uint_eq(group_stats().out, 0);
}

TEST(recvmsg_multishot_says_what_was_cut_off)
{
	int fds[2];

	open_mail_group(0, 0, 24);
	make_udp(fds);
	ck_ok(peal_recvmsg_multishot(ring, fds[0], group, 0, 0, on_mail,
				     NULL));
	put(fds[1], "0123456789");
	UNTIL(mail.count == 1);
	ck_assert_str_eq(mail.text[0], "01234567");
	ck_assert_uint_eq(mail.last.len, 8);
	ck_assert(mail.last.flags & MSG_TRUNC);
	ck_assert_ptr_null(mail.last.addr);
}

TEST(recvmsg_multishot_brings_control_data)
{
	int fds[2], yes = 1;

	open_mail_group(20, CMSG_SPACE(sizeof(int)), 512);
	make_udp(fds);
	ck_assert_int_eq(setsockopt(fds[0], IPPROTO_IP, IP_RECVTTL, &yes,
				    sizeof(yes)), 0);
	ck_ok(peal_recvmsg_multishot(ring, fds[0], group, 0, 0, on_mail,
				     NULL));
	put(fds[1], "with control");
	UNTIL(mail.count == 1);
	ck_assert_str_eq(mail.text[0], "with control");
	ck_assert_ptr_nonnull(mail.last.control);
	ck_assert_int_gt(mail.control, 0);
	ck_assert_ptr_nonnull(mail.last.addr);
}

TEST(recvmsg_multishot_without_room_is_emsgsize)
{
	int fds[2];

	open_mail_group(32, 16, 64);
	make_udp(fds);
	ck_result(peal_recvmsg_multishot(ring, fds[0], group, 0, 0, on_mail,
					 NULL), -EMSGSIZE);
}

TEST(message_that_is_none_is_einval)
{
	struct peal_completion done = { .result = 40 };
	struct peal_message message = { .flags = 77 };
	uint32_t head[4] = { 0, 9, 8, 0 };
	const struct outcome *end;
	int fds[2];
	char *buf;

	open_mail_group(16, 8, 64);
	make_stream(fds);
	put(fds[1], "x");
	end = finish_outcome(peal_recv_group(ring, fds[0], group, 0, 0,
					     on_done, NULL));
	buf = end->buf;
	ck_result(peal_group_message(group, &done, &message), -EINVAL);
	done.buf = buf;
	done.result = 39;
	ck_result(peal_group_message(group, &done, &message), -EINVAL);
	done.result = 65;
	ck_result(peal_group_message(group, &done, &message), -EINVAL);
	done.result = 48;
	memcpy(buf, head, sizeof(head));	/* more control than room */
	ck_result(peal_group_message(group, &done, &message), -EINVAL);
	done.buf = buf + 4 * 64;
	ck_result(peal_group_message(group, &done, &message), -EINVAL);
	ck_assert_int_eq(message.flags, 77);
	head[1] = 0;
	head[2] = UINT32_MAX;			/* more data than there is */
	memcpy(buf, head, sizeof(head));
	done.buf = buf;
	ck_result(peal_group_message(group, &done, &message), 0);
	ck_assert_uint_eq(message.len, 8);
}

SUITE("group")
