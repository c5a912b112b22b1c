/* SPDX-License-Identifier: MIT */
/* Cancelling: by handle, by fd, all; and whom it does not hit. */
#include "test/harness.h"

static int pipe_fds[2];
static char buf[64];

static peal_op pipe_read(void)
{
	peal_op op;

	if (pipe_fds[0] == 0)
		make_pipe(pipe_fds);
	op = peal_read(ring, pipe_fds[0], buf, sizeof(buf), PEAL_CURRENT, 0,
		       on_done, NULL);
	ck_assert_int_gt(op, 0);
	return op;
}

static void can_be_cancelled(peal_op op)
{
	const struct outcome *seen;
	peal_op cancel;

	settle();
	ck_assert(!finished(op));
	cancel = peal_cancel(ring, op, 0, on_done, NULL);
	ck_result(finish(cancel), 0);
	seen = finish_outcome(op);
	ck_result(seen->result, -ECANCELED);
	ck_assert_uint_eq(seen->calls, 1);
	ck_assert(seen->flags & PEAL_CANCELLED);
	ck_assert(!(seen->flags & PEAL_MORE));
}

/* --- by handle ----------------------------------------------------------- */

TEST(read_of_a_pipe_can_be_cancelled)
{
	can_be_cancelled(pipe_read());
}

TEST(read_by_a_kernel_worker_can_be_cancelled)
{
	peal_op op;

	make_pipe(pipe_fds);
	op = peal_read(ring, pipe_fds[0], buf, 1, PEAL_CURRENT, PEAL_ASYNC,
		       on_done, NULL);
	settle();
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
}

TEST(recv_can_be_cancelled)
{
	int fds[2];

	ck_assert_int_eq(make_tcp_pair(AF_INET, fds), 0);
	can_be_cancelled(peal_recv(ring, fds[0], buf, 1, 0, 0, on_done,
				   NULL));
}

TEST(accept_can_be_cancelled)
{
	struct sockaddr_storage addr;
	socklen_t len;

	can_be_cancelled(peal_accept(ring, make_listener(AF_INET, &addr, &len),
				     NULL, NULL, 0, on_done, NULL));
}

TEST(accept_multishot_can_be_cancelled)
{
	struct sockaddr_storage addr;
	socklen_t len;

	can_be_cancelled(peal_accept_multishot(
		ring, make_listener(AF_INET, &addr, &len), 0, on_done, NULL));
}

TEST(poll_multishot_can_be_cancelled)
{
	make_pollable(pipe_fds);
	can_be_cancelled(peal_poll_multishot(ring, pipe_fds[0], POLLIN, 0,
					     on_done, NULL));
}

TEST(send_full_can_be_cancelled)
{
	char *out = aligned_buffer(8 << 20);
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	can_be_cancelled(peal_send_full(ring, fds[0], out, 8 << 20, 0, 0,
					on_done, NULL));
}

TEST(op_that_was_not_submitted_yet_can_be_cancelled)
{
	peal_op op = pipe_read();

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
}

/* On epoll the pool is to have it, and a pool's op ends without the engine. */
TEST(read_of_a_file_that_was_not_submitted_yet_ends_at_once)
{
	int fd = make_file("f", "data", 4);
	peal_op op = peal_read(ring, fd, buf, 4, 0, 0, on_done, NULL);

	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(peal_ring_run(ring), 0);
	ck_assert(finished(op));
	ck_assert(outcome(op)->result == 4 ||
		  outcome(op)->result == -ECANCELED);
}

TEST(cancel_needs_no_handler)
{
	peal_op op = pipe_read();

	settle();
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

TEST(cancel_twice_ends_the_op_once)
{
	peal_op op = pipe_read(), first, second;

	settle();
	first = peal_cancel(ring, op, 0, on_done, NULL);
	second = peal_cancel(ring, op, 0, on_done, NULL);
	ck_result(finish(op), -ECANCELED);
	ck_result(finish_or_refused(first), 0);
	UNTIL(second < 0 || finished(second));
	settle();
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

TEST(cancel_of_a_finished_op_is_enoent_at_once)
{
	peal_op op = peal_nop(ring, 0, on_done, NULL);

	finish(op);
	ck_result(peal_cancel(ring, op, 0, on_done, NULL), -ENOENT);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), -ENOENT);
}

TEST(cancel_of_nonsense_is_enoent)
{
	ck_result(peal_cancel(ring, 0, 0, NULL, NULL), -ENOENT);
	ck_result(peal_cancel(ring, -1, 0, NULL, NULL), -ENOENT);
	ck_result(peal_cancel(ring, INT64_MIN, 0, NULL, NULL), -ENOENT);
	ck_result(peal_cancel(ring, INT64_MAX, 0, NULL, NULL), -ENOENT);
	ck_result(peal_cancel(ring, 77, 0, NULL, NULL), -ENOENT);
}

TEST(stale_handle_does_not_hit_the_next_op_in_its_row)
{
	peal_op old, next;
	unsigned at;

	for (at = 0; at < 1000; at++) {
		old = peal_nop(ring, 0, on_done, NULL);
		finish(old);
		next = pipe_read();
		ck_result(peal_cancel(ring, old, 0, NULL, NULL), -ENOENT);
		settle();
		ck_assert(!finished(next));
		ck_result(peal_cancel(ring, next, 0, NULL, NULL), 0);
		ck_result(finish(next), -ECANCELED);
		at += 99;
	}
}

TEST(cancel_with_an_unknown_flag_is_refused)
{
	peal_op op = pipe_read();

	ck_result(peal_cancel(ring, op, 1u << 30, on_done, NULL), -EINVAL);
	ck_result(peal_cancel_fd(ring, 0, 1u << 30, on_done, NULL), -EINVAL);
	ck_result(peal_cancel_all(ring, 1u << 30, on_done, NULL), -EINVAL);
	settle();
	ck_assert(!finished(op));
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	finish(op);
}

TEST(op_that_won_says_its_result_and_that_a_cancel_was_asked_for)
{
	peal_op op = pipe_read(), cancel;

	settle();
	ck_assert_int_eq(write(pipe_fds[1], "abc", 3), 3);
	cancel = peal_cancel(ring, op, 0, on_done, NULL);
	finish(op);
	ck_assert(outcome(op)->flags & PEAL_CANCELLED);
	if (outcome(op)->result != 3) {
		ck_result(outcome(op)->result, -ECANCELED);
		ck_assert_int_eq(read(pipe_fds[0], buf, 3), 3);
	}
	finish(cancel);
}

TEST(cancel_of_a_disk_read_is_told_one_of_three_things)
{
	static char data[65536];
	int fd = make_file("f", data, sizeof(data));
	peal_op op = peal_read(ring, fd, data, sizeof(data), 0, PEAL_ASYNC,
			       on_done, NULL);
	int64_t result;

	ck_ok(peal_ring_turn(ring, 0));
	result = finish_or_refused(peal_cancel(ring, op, 0, on_done, NULL));
	ck_assert_msg(result == 0 || result == -EALREADY || result == -ENOENT,
		      "%s", harness_errno(result));
	UNTIL(finished(op));
	ck_assert_msg(outcome(op)->result == sizeof(data) ||
		      outcome(op)->result == -ECANCELED, "%s",
		      harness_errno(outcome(op)->result));
}

/* --- races --------------------------------------------------------------- */

TEST(cancel_that_races_ends_each_op_once_and_loses_no_byte)
{
	unsigned at, read_bytes = 0;
	char byte;
	peal_op op, cancel;

	make_pipe(pipe_fds);
	for (at = 0; at < 2000; at++) {
		op = peal_read(ring, pipe_fds[0], buf, 1, PEAL_CURRENT,
			       at % 3 ? 0 : PEAL_ASYNC, on_done, NULL);
		if (at & 1)
			ck_ok(peal_ring_turn(ring, 0));
		ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
		if (at & 2)
			ck_ok(peal_ring_turn(ring, 0));
		cancel = peal_cancel(ring, op, 0, on_done, NULL);
		if (cancel > 0)
			finish(cancel);
		else
			ck_result(cancel, -ENOENT);
		if (finish(op) == 1)
			read_bytes++;
		else
			ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 1);
	}
	ck_assert_uint_gt(read_bytes, 0);
}

TEST(cancel_that_races_with_a_connection_leaks_no_fd)
{
	/* The fixture's count of open descriptors is the test. */
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(AF_INET, &addr, &len);
	unsigned at;

	for (at = 0; at < 300; at++) {
		int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		peal_op op = peal_accept(ring, listener, NULL, NULL, 0,
					 on_done, NULL);

		ck_ok(peal_ring_turn(ring, 0));
		ck_assert_int_eq(connect(client, (struct sockaddr *)&addr,
					 len), 0);
		ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
		if (finish(op) >= 0)
			close((int)outcome(op)->result);
		else
			close(accept(listener, NULL, NULL));
		close(client);
	}
}

TEST(cancelled_open_leaks_no_fd)
{
	unsigned at;

	make_file("f", "data", 4);
	for (at = 0; at < 200; at++) {
		peal_op op = peal_open(ring, PEAL_CWD, path_in_dir("f"),
				       O_RDONLY, 0, at & 1 ? PEAL_ASYNC : 0,
				       on_done, NULL);

		if (at & 2)
			ck_ok(peal_ring_turn(ring, 0));
		if (peal_op_in_flight(ring, op))
			ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
		if (finish(op) >= 0)
			close((int)outcome(op)->result);
		else
			ck_result(outcome(op)->result, -ECANCELED);
	}
}

/* --- by fd --------------------------------------------------------------- */

TEST(cancel_fd_ends_every_op_on_it_and_no_other)
{
	peal_op ops[10], other;
	int fds[2];
	unsigned at;

	make_socketpair(SOCK_STREAM, fds);
	for (at = 0; at < 9; at++)
		ops[at] = peal_recv(ring, fds[0], buf, 1, 0, 0, on_done, NULL);
	ops[9] = peal_poll_multishot(ring, fds[0], POLLIN, 0, on_done, NULL);
	other = peal_recv(ring, fds[1], buf, 1, 0, 0, on_done, NULL);
	settle();
	ck_result(finish(peal_cancel_fd(ring, fds[0], 0, on_done, NULL)), 10);
	for (at = 0; at < 10; at++)
		ck_result(finish(ops[at]), -ECANCELED);
	settle();
	ck_assert(!finished(other));
	ck_result(peal_cancel_fd(ring, fds[1], 0, NULL, NULL) >= 0, 1);
	ck_result(finish(other), -ECANCELED);
}

TEST(cancel_fd_with_nothing_in_flight_finishes_with_zero)
{
	ck_result(finish(peal_cancel_fd(ring, 0, 0, on_done, NULL)), 0);
}

TEST(cancel_fd_is_over_when_all_ops_are)
{
	/* Then the descriptor can be closed. */
	peal_op op, cancel;
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	op = peal_recv(ring, fds[0], buf, 1, 0, 0, on_done, NULL);
	settle();
	cancel = peal_cancel_fd(ring, fds[0], 0, on_done, NULL);
	ck_result(finish(cancel), 1);
	UNTIL(finished(op));
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

TEST(cancel_fd_finds_a_splice_by_either_end)
{
	int from[2], to[2], end;

	make_pipe(from);
	make_pipe(to);
	for (end = 0; end < 2; end++) {
		peal_op op = peal_splice(ring, from[0], PEAL_CURRENT, to[1],
					 PEAL_CURRENT, 64, 0, 0, on_done,
					 NULL);

		settle();
		ck_assert(!finished(op));
		ck_result(finish(peal_cancel_fd(ring, end ? to[1] : from[0], 0,
						on_done, NULL)), 1);
		ck_result(finish(op), -ECANCELED);
	}
	ck_result(finish(peal_cancel_fd(ring, from[0], 0, on_done, NULL)), 0);
}

TEST(cancel_fd_counts_a_splice_with_one_end_once)
{
	peal_op op, cancel;

	make_pipe(pipe_fds);
	op = peal_splice(ring, pipe_fds[0], PEAL_CURRENT, pipe_fds[0],
			 PEAL_CURRENT, 64, 0, 0, on_done, NULL);
	cancel = peal_cancel_fd(ring, pipe_fds[0], 0, on_done, NULL);
	ck_result(finish(cancel), op > 0);
}

/* --- all ----------------------------------------------------------------- */

TEST(cancel_all_ends_everything)
{
	struct sockaddr_storage addr;
	socklen_t len;
	peal_op ops[4];
	unsigned at;

	make_pollable(pipe_fds);
	ops[0] = pipe_read();
	ops[1] = peal_sleep(ring, 3600 * PEAL_S, 0, on_done, NULL);
	ops[2] = peal_accept_multishot(ring, make_listener(AF_INET, &addr,
							   &len), 0,
				       on_done, NULL);
	ops[3] = peal_poll(ring, pipe_fds[0], POLLIN, 0, on_done, NULL);
	settle();
	ck_result(finish(peal_cancel_all(ring, 0, on_done, NULL)), 4);
	for (at = 0; at < 4; at++)
		ck_result(finish(ops[at]), -ECANCELED);
}

TEST(cancel_all_of_nothing_finishes_with_zero)
{
	ck_result(finish(peal_cancel_all(ring, 0, on_done, NULL)), 0);
}

TEST(cancel_all_ends_thousands)
{
	static char bytes[3000];
	peal_op ops[3000];
	unsigned at;

	make_pipe(pipe_fds);
	for (at = 0; at < 3000; at++)
		ops[at] = peal_read(ring, pipe_fds[0], &bytes[at], 1,
				    PEAL_CURRENT, 0, on_done, NULL);
	settle();
	ck_result(finish(peal_cancel_all(ring, 0, on_done, NULL)), 3000);
	for (at = 0; at < 3000; at++)
		ck_result(finish(ops[at]), -ECANCELED);
}

/* --- from handlers ------------------------------------------------------- */

static peal_op victim;

static void on_done_cancel_victim(struct peal_ring *where,
				  const struct peal_completion *done)
{
	on_done(where, done);
	ck_result(peal_cancel(where, victim, 0, NULL, NULL), 0);
}

TEST(cancel_from_another_ops_handler)
{
	victim = pipe_read();
	peal_nop(ring, 0, on_done_cancel_victim, NULL);
	ck_result(finish(victim), -ECANCELED);
}

static void on_done_cancel_self(struct peal_ring *where,
				const struct peal_completion *done)
{
	ck_result(peal_cancel(where, done->op, 0, NULL, NULL), -ENOENT);
	ck_assert_int_eq(peal_op_in_flight(where, done->op), 0);
	on_done(where, done);
}

TEST(cancel_of_itself_in_the_last_handler_is_enoent)
{
	ck_result(finish(peal_nop(ring, 0, on_done_cancel_self, NULL)), 0);
}

static void on_cancelled_start_again(struct peal_ring *where,
				     const struct peal_completion *done)
{
	on_done(where, done);
	if (victim == done->op) {
		victim = peal_read(where, pipe_fds[0], buf, 1, PEAL_CURRENT, 0,
				   on_cancelled_start_again, NULL);
		ck_assert_int_gt(victim, 0);
	}
}

TEST(op_started_by_a_cancelled_handler_is_not_cancelled)
{
	peal_op first;

	make_pipe(pipe_fds);
	first = peal_read(ring, pipe_fds[0], buf, 1, PEAL_CURRENT, 0,
			  on_cancelled_start_again, NULL);
	victim = first;
	settle();
	ck_result(finish(peal_cancel_all(ring, 0, on_done, NULL)), 1);
	ck_result(finish(first), -ECANCELED);
	settle();
	ck_assert_int_ne(victim, first);
	ck_assert_int_eq(peal_op_in_flight(ring, victim), 1);
	ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
	first = victim;
	victim = 0;
	ck_result(finish(first), 1);
}

SUITE("cancel")
