/* SPDX-License-Identifier: MIT */
/* Deadlines: on anything in flight, moved, taken away, beaten. */
#include "test/harness.h"

static int pipe_fds[2];
static char buf[64];

static peal_op read_of_an_empty_pipe(void)
{
	peal_op op;

	make_pipe(pipe_fds);
	op = peal_read(ring, pipe_fds[0], buf, sizeof(buf), PEAL_CURRENT, 0,
		       on_done, NULL);
	ck_assert_int_gt(op, 0);
	return op;
}

static void times_out(peal_op op)
{
	const struct outcome *seen;

	ck_result(peal_deadline(ring, op, 2 * PEAL_MS, 0), 0);
	seen = finish_outcome(op);
	ck_result(seen->result, -ETIMEDOUT);
	ck_assert_uint_eq(seen->calls, 1);
	ck_assert(seen->flags & PEAL_TIMED_OUT);
	ck_assert(!peal_op_in_flight(ring, op));
}

TEST(deadline_ends_a_read_of_a_pipe)
{
	times_out(read_of_an_empty_pipe());
}

TEST(deadline_ends_a_read_that_was_submitted_before)
{
	peal_op op = read_of_an_empty_pipe();

	settle();
	times_out(op);
}

TEST(deadline_ends_a_poll)
{
	make_pollable(pipe_fds);
	times_out(peal_poll(ring, pipe_fds[0], POLLIN, 0, on_done, NULL));
}

TEST(deadline_ends_a_poll_multishot)
{
	make_pollable(pipe_fds);
	times_out(peal_poll_multishot(ring, pipe_fds[0], POLLIN, 0, on_done,
				      NULL));
}

TEST(deadline_ends_an_accept)
{
	struct sockaddr_storage addr;
	socklen_t len;

	times_out(peal_accept(ring, make_listener(AF_INET, &addr, &len), NULL,
			      NULL, 0, on_done, NULL));
}

TEST(deadline_ends_an_accept_multishot)
{
	struct sockaddr_storage addr;
	socklen_t len;

	times_out(peal_accept_multishot(ring,
					make_listener(AF_INET, &addr, &len),
					0, on_done, NULL));
}

TEST(deadline_ends_a_recv)
{
	int fds[2];

	ck_assert_int_eq(make_tcp_pair(AF_INET, fds), 0);
	times_out(peal_recv(ring, fds[0], buf, 1, 0, 0, on_done, NULL));
}

TEST(deadline_ends_a_recvmsg)
{
	struct iovec iov = { buf, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[2];

	make_socketpair(SOCK_DGRAM, fds);
	times_out(peal_recvmsg(ring, fds[0], &msg, 0, 0, on_done, NULL));
}

TEST(deadline_ends_a_send_that_nobody_reads)
{
	size_t len = 8 << 20;
	char *out = aligned_buffer(len);
	const struct outcome *seen;
	int fds[2];
	peal_op op;

	make_socketpair(SOCK_STREAM, fds);
	op = peal_send_full(ring, fds[0], out, len, 0, 0, on_done, NULL);
	ck_result(peal_deadline(ring, op, 5 * PEAL_MS, 0), 0);
	seen = finish_outcome(op);
	ck_result(seen->result, -ETIMEDOUT);
	ck_assert(seen->flags & PEAL_TIMED_OUT);
	ck_assert((char *)seen->buf > out);
	ck_assert((char *)seen->buf < out + len);
}

TEST(deadline_ends_a_full_read)
{
	const struct outcome *seen;
	peal_op op;

	make_pipe(pipe_fds);
	op = peal_read_full(ring, pipe_fds[0], buf, 8, PEAL_CURRENT, 0,
			    on_done, NULL);
	ck_assert_int_eq(write(pipe_fds[1], "abc", 3), 3);
	settle();
	ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	seen = finish_outcome(op);
	ck_result(seen->result, -ETIMEDOUT);
	ck_assert_ptr_eq(seen->buf, buf + 3);
}

TEST(deadline_ends_a_sleep)
{
	times_out(peal_sleep(ring, 3600 * PEAL_S, 0, on_done, NULL));
}

TEST(deadline_of_now_is_allowed)
{
	peal_op op = read_of_an_empty_pipe();

	ck_result(peal_deadline(ring, op, 0, 0), 0);
	ck_result(finish(op), -ETIMEDOUT);
}

/* --- the op wins --------------------------------------------------------- */

TEST(op_that_is_done_before_its_deadline_says_so)
{
	peal_op op = read_of_an_empty_pipe();

	ck_result(peal_deadline(ring, op, 3600 * PEAL_S, 0), 0);
	ck_assert_int_eq(write(pipe_fds[1], "abc", 3), 3);
	ck_result(finish(op), 3);
	ck_assert(!(outcome(op)->flags & PEAL_TIMED_OUT));
}

TEST(deadline_of_a_finished_op_touches_no_other)
{
	/* The row is used again, the deadline must not be. On a machine that is
	 * slow just then the deadline wins: another time, with a later one. */
	uint64_t ns = 3 * PEAL_MS;
	peal_op first, second;

	for (;; ns *= 4) {
		first = read_of_an_empty_pipe();
		ck_result(peal_deadline(ring, first, ns, 0), 0);
		ck_assert_int_eq(write(pipe_fds[1], "abc", 3), 3);
		if (finish(first) == 3)
			break;
		ck_result(outcome(first)->result, -ETIMEDOUT);
		ck_assert_uint_lt(ns, PEAL_S);
	}
	second = peal_read(ring, pipe_fds[0], buf, 1, PEAL_CURRENT, 0, on_done,
			   NULL);
	ck_result(finish(peal_sleep(ring, 2 * ns, 0, on_done, NULL)), 0);
	ck_assert(!finished(second));
	ck_result(peal_cancel(ring, second, 0, NULL, NULL), 0);
	ck_result(finish(second), -ECANCELED);
}

TEST(nop_beats_any_deadline_and_leaves_nothing_behind)
{
	peal_op op;
	unsigned at;

	for (at = 0; at < 1000; at++) {
		op = peal_nop(ring, 0, on_done, NULL);
		ck_result(peal_deadline(ring, op, 3600 * PEAL_S, 0), 0);
		ck_result(finish(op), 0);
	}
	ck_assert_uint_eq(peal_ring_timeout_ns(ring), PEAL_FOREVER);
}

TEST(result_that_wins_the_race_is_not_lost)
{
	/* Data and deadline at the same time: each op ends once, and a byte
	 * is either delivered or still in the pipe. */
	unsigned at, timed_out = 0, delivered = 0;
	char byte;

	make_pipe(pipe_fds);
	ck_assert_int_eq(fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK), 0);
	for (at = 0; at < 500; at++) {
		peal_op op = peal_read(ring, pipe_fds[0], buf, 1, PEAL_CURRENT,
				       0, on_done, NULL);

		ck_result(peal_deadline(ring, op, (at % 50) * PEAL_US, 0), 0);
		ck_ok(peal_ring_turn(ring, (at % 40) * PEAL_US));
		ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
		if (finish(op) == 1) {
			delivered++;
			continue;
		}
		ck_result(outcome(op)->result, -ETIMEDOUT);
		ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 1);
		timed_out++;
	}
	ck_assert_uint_eq(delivered + timed_out, 500);
}

/* --- changing one's mind ------------------------------------------------- */

TEST(deadline_can_be_taken_away)
{
	peal_op op = read_of_an_empty_pipe();

	ck_result(peal_deadline(ring, op, 2 * PEAL_MS, 0), 0);
	ck_result(peal_deadline(ring, op, PEAL_FOREVER, 0), 0);
	ck_result(finish(peal_sleep(ring, 5 * PEAL_MS, 0, on_done, NULL)), 0);
	ck_assert(!finished(op));
	ck_assert_int_eq(write(pipe_fds[1], "abc", 3), 3);
	ck_result(finish(op), 3);
}

TEST(deadline_can_be_taken_away_where_there_is_none)
{
	peal_op op = peal_nop(ring, 0, on_done, NULL);

	ck_result(peal_deadline(ring, op, PEAL_FOREVER, 0), 0);
	ck_result(finish(op), 0);
}

TEST(second_deadline_replaces_the_first)
{
	peal_op op = read_of_an_empty_pipe();

	ck_result(peal_deadline(ring, op, 2 * PEAL_MS, 0), 0);
	ck_result(peal_deadline(ring, op, 3600 * PEAL_S, 0), 0);
	ck_result(finish(peal_sleep(ring, 5 * PEAL_MS, 0, on_done, NULL)), 0);
	ck_assert(!finished(op));
	ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	ck_result(finish(op), -ETIMEDOUT);
}

TEST(op_with_a_deadline_can_be_cancelled)
{
	peal_op op = read_of_an_empty_pipe();

	ck_result(peal_deadline(ring, op, 3600 * PEAL_S, 0), 0);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
	ck_assert(!(outcome(op)->flags & PEAL_TIMED_OUT));
	ck_assert_uint_eq(peal_ring_timeout_ns(ring), PEAL_FOREVER);
}

TEST(deadline_of_what_is_not_in_flight_is_enoent)
{
	peal_op op = peal_nop(ring, 0, on_done, NULL);

	finish(op);
	ck_result(peal_deadline(ring, op, PEAL_MS, 0), -ENOENT);
	ck_result(peal_deadline(ring, 0, PEAL_MS, 0), -ENOENT);
	ck_result(peal_deadline(ring, -5, PEAL_MS, 0), -ENOENT);
	ck_result(peal_deadline(ring, INT64_MAX, PEAL_MS, 0), -ENOENT);
}

TEST(deadline_with_an_unknown_flag_is_einval_and_sets_nothing)
{
	peal_op op = read_of_an_empty_pipe();

	ck_result(peal_deadline(ring, op, 0, 1u << 30), -EINVAL);
	settle();
	ck_assert(!finished(op));
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	finish(op);
}

TEST(deadline_of_a_sleep_can_be_moved_and_taken_away)
{
	peal_op op = peal_sleep(ring, 20 * PEAL_MS, 0, on_done, NULL);

	ck_result(peal_deadline(ring, op, 2 * PEAL_MS, 0), 0);
	ck_result(peal_deadline(ring, op, 3600 * PEAL_S, 0), 0);
	ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	ck_result(peal_deadline(ring, op, PEAL_FOREVER, 0), 0);
	ck_result(finish(op), 0);
	ck_assert(!(outcome(op)->flags & PEAL_TIMED_OUT));
}

TEST(sleep_again_takes_the_deadline_away)
{
	peal_op op = peal_sleep(ring, 3600 * PEAL_S, 0, on_done, NULL);

	ck_result(peal_deadline(ring, op, 3 * PEAL_MS, 0), 0);
	ck_result(peal_sleep_again(ring, op, 6 * PEAL_MS), 0);
	ck_result(finish(op), 0);
}

TEST(deadline_on_a_cancel_is_einval)
{
	peal_op op = read_of_an_empty_pipe(), cancel;

	settle();
	cancel = peal_cancel(ring, op, 0, on_done, NULL);
	ck_result(peal_deadline(ring, cancel, PEAL_MS, 0), -EINVAL);
	ck_result(finish(op), -ECANCELED);
	finish(cancel);
}

/* --- PEAL_EARLY ---------------------------------------------------------- */

static unsigned early_calls;

static void on_early(struct peal_ring *where,
		     const struct peal_completion *done)
{
	if (++early_calls == 1) {
		ck_result(done->result, -ETIMEDOUT);
		ck_assert(done->flags & PEAL_MORE);
		ck_assert(done->flags & PEAL_TIMED_OUT);
		ck_assert(peal_op_in_flight(where, done->op));
	}
	on_done(where, done);
}

TEST(early_deadline_calls_the_handler_twice)
{
	const struct outcome *seen;
	peal_op op;

	make_pipe(pipe_fds);
	op = peal_read(ring, pipe_fds[0], buf, 1, PEAL_CURRENT, 0, on_early,
		       NULL);
	ck_result(peal_deadline(ring, op, 2 * PEAL_MS, PEAL_EARLY), 0);
	seen = finish_outcome(op);
	ck_assert_uint_eq(seen->calls, 2);
	ck_result(seen->result, -ETIMEDOUT);
	ck_assert(seen->flags & PEAL_TIMED_OUT);
	ck_assert(!(seen->flags & PEAL_MORE));
}

TEST(early_deadline_of_a_sleep_ends_it_at_once)
{
	/* There is nothing that the kernel would have to let go of. */
	peal_op op = peal_sleep(ring, 3600 * PEAL_S, 0, on_done, NULL);

	ck_result(peal_deadline(ring, op, 2 * PEAL_MS, PEAL_EARLY), 0);
	ck_result(finish(op), -ETIMEDOUT);
	ck_assert_uint_le(outcome(op)->calls, 2);
}

TEST(early_deadline_that_the_op_beats_is_never_heard_of)
{
	peal_op op;

	make_pipe(pipe_fds);
	op = peal_read(ring, pipe_fds[0], buf, 1, PEAL_CURRENT, 0, on_done,
		       NULL);
	ck_result(peal_deadline(ring, op, 3600 * PEAL_S, PEAL_EARLY), 0);
	ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
	ck_result(finish(op), 1);
	ck_assert_uint_eq(outcome(op)->calls, 1);
}

TEST(early_handler_may_cancel_its_op)
{
	peal_op op;

	make_pipe(pipe_fds);
	op = peal_read(ring, pipe_fds[0], buf, 1, PEAL_CURRENT, 0, on_early,
		       NULL);
	ck_result(peal_deadline(ring, op, PEAL_MS, PEAL_EARLY), 0);
	UNTIL(outcome(op)->calls >= 1);
	if (!finished(op))
		ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	UNTIL(finished(op));
	ck_assert(outcome(op)->result == -ETIMEDOUT ||
		  outcome(op)->result == -ECANCELED);
}

/* --- many ---------------------------------------------------------------- */

TEST(a_thousand_deadlines_each_end_their_op)
{
	static char bytes[1000];
	peal_op ops[1000];
	struct peal_stats stats = { .size = sizeof(stats) };
	unsigned at;

	make_pipe(pipe_fds);
	for (at = 0; at < 1000; at++) {
		ops[at] = peal_read(ring, pipe_fds[0], &bytes[at], 1,
				    PEAL_CURRENT, 0, on_done, NULL);
		ck_result(peal_deadline(ring, ops[at],
					(at * 7 % 1000) * 20 * PEAL_US, 0), 0);
	}
	for (at = 0; at < 1000; at++)
		ck_result(finish(ops[at]), -ETIMEDOUT);
	peal_ring_stats(ring, &stats);
	ck_assert_uint_eq(stats.timeouts, 1000);
}

SUITE("deadline")
