/* SPDX-License-Identifier: MIT */
/* Readiness, for what is no read or write. */
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "test/harness.h"

static int make_eventfd(void)
{
	return keep_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

static void add_one(int fd)
{
	ck_assert_int_eq(eventfd_write(fd, 1), 0);
}

TEST(poll_of_something_ready_finishes_at_once)
{
	int fds[2];

	make_pollable(fds);
	ck_result(finish(peal_poll(ring, fds[1], POLLOUT, 0, on_done, NULL)),
		  POLLOUT);
}

TEST(poll_waits_until_readable)
{
	int fds[2];
	peal_op op;

	make_pollable(fds);
	op = peal_poll(ring, fds[0], POLLIN, 0, on_done, NULL);
	settle();
	ck_assert(!finished(op));
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_result(finish(op), POLLIN);
}

TEST(poll_waits_until_writable)
{
	static char buf[65536];
	int fds[2];
	peal_op op;

	make_pipe(fds);
	ck_assert_int_eq(write(fds[1], buf, sizeof(buf)), sizeof(buf));
	op = peal_poll(ring, fds[1], POLLOUT, 0, on_done, NULL);
	settle();
	ck_assert(!finished(op));
	ck_assert_int_eq(read(fds[0], buf, sizeof(buf)), sizeof(buf));
	ck_result(finish(op), POLLOUT);
}

TEST(poll_reports_only_what_was_asked_for)
{
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_result(finish(peal_poll(ring, fds[0], POLLOUT, 0, on_done, NULL)),
		  POLLOUT);
}

TEST(poll_reports_both_directions_when_both_are_ready)
{
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_result(finish(peal_poll(ring, fds[0], POLLIN | POLLOUT, 0, on_done,
				   NULL)), POLLIN | POLLOUT);
}

TEST(poll_reports_a_hang_up_unasked)
{
	int fds[2];
	peal_op op;

	make_pipe(fds);
	op = peal_poll(ring, fds[0], POLLIN, 0, on_done, NULL);
	settle();
	close(fds[1]);
	ck_assert_int_gt(finish(op), 0);
	ck_assert(outcome(op)->result & POLLHUP);
}

TEST(poll_reports_an_error_unasked)
{
	int fds[2];
	peal_op op;

	make_pipe(fds);
	close(fds[0]);
	op = peal_poll(ring, fds[1], POLLOUT, 0, on_done, NULL);
	ck_assert_int_gt(finish(op), 0);
	ck_assert(outcome(op)->result & POLLERR);
}

TEST(poll_reports_the_peers_half_close)
{
	int fds[2];
	peal_op op;

	ck_assert_int_eq(make_tcp_pair(AF_INET, fds), 0);
	op = peal_poll(ring, fds[0], POLLRDHUP, 0, on_done, NULL);
	settle();
	ck_assert(!finished(op));
	ck_assert_int_eq(shutdown(fds[1], SHUT_WR), 0);
	ck_assert_int_gt(finish(op), 0);
	ck_assert(outcome(op)->result & POLLRDHUP);
}

TEST(poll_of_a_timerfd_waits_for_the_timer)
{
	if (on_sim())
		SKIP("a simulated machine has no timerfd");
	struct itimerspec soon = { { 0, 0 }, { 0, 2000000 } };
	int fd = keep_fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));

	ck_assert_int_eq(timerfd_settime(fd, 0, &soon, NULL), 0);
	ck_result(finish(peal_poll(ring, fd, POLLIN, 0, on_done, NULL)),
		  POLLIN);
}

TEST(poll_of_a_closed_fd_is_ebadf)
{
	int fd = dup(0);

	close(fd);
	ck_result(finish_or_refused(peal_poll(ring, fd, POLLIN, 0, on_done,
					      NULL)), -EBADF);
}

TEST(poll_can_be_cancelled)
{
	int fds[2];
	peal_op op;

	make_pollable(fds);
	op = peal_poll(ring, fds[0], POLLIN, 0, on_done, NULL);
	ck_result(finish(peal_cancel(ring, op, 0, on_done, NULL)), 0);
	ck_result(finish(op), -ECANCELED);
}

TEST(poll_with_an_unknown_flag_is_refused)
{
	ck_result(peal_poll(ring, 0, POLLIN, 1u << 30, on_done, NULL),
		  -EINVAL);
}

TEST(two_polls_on_one_fd_both_finish)
{
	int fds[2];
	peal_op first, second;

	make_pollable(fds);
	first = peal_poll(ring, fds[0], POLLIN, 0, on_done, NULL);
	second = peal_poll(ring, fds[0], POLLIN, 0, on_done, NULL);
	settle();
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_result(finish(first), POLLIN);
	ck_result(finish(second), POLLIN);
}

/* --- multishot ----------------------------------------------------------- */

static unsigned events_seen;

static void on_event(struct peal_ring *where,
		     const struct peal_completion *done)
{
	eventfd_t value;

	on_done(where, done);
	if (done->result > 0 && eventfd_read(*(int *)done->ctx, &value) == 0)
		events_seen += (unsigned)value;
}

TEST(poll_multishot_completes_at_every_event)
{
	int fd = make_eventfd();
	peal_op op = peal_poll_multishot(ring, fd, POLLIN, 0, on_event, &fd);
	unsigned at;

	for (at = 1; at <= 50; at++) {
		add_one(fd);
		UNTIL(events_seen == at);
		ck_assert(outcome(op)->flags & PEAL_MORE);
	}
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
}

TEST(poll_multishot_reports_what_is_ready_when_it_starts)
{
	int fd = make_eventfd();
	peal_op op;

	add_one(fd);
	op = peal_poll_multishot(ring, fd, POLLIN, 0, on_event, &fd);
	UNTIL(events_seen == 1);
	ck_assert(!finished(op));
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	finish(op);
}

TEST(poll_multishot_is_silent_while_nothing_happens)
{
	int fd = make_eventfd();
	peal_op op = peal_poll_multishot(ring, fd, POLLIN, 0, on_event, &fd);

	settle();
	ck_assert_uint_eq(outcome(op)->calls, 0);
	add_one(fd);
	UNTIL(events_seen == 1);
	settle();
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	finish(op);
}

TEST(poll_multishot_reports_a_hang_up_and_can_be_cancelled)
{
	int fds[2];
	peal_op op;

	make_pipe(fds);
	op = peal_poll_multishot(ring, fds[0], POLLIN, 0, on_done, NULL);
	settle();
	close(fds[1]);
	UNTIL(outcome(op)->calls >= 1);
	ck_assert(outcome(op)->result & POLLHUP);
	if (!finished(op))
		ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	UNTIL(finished(op));
}

TEST(poll_multishot_of_a_closed_fd_is_ebadf)
{
	int fd = dup(0);

	close(fd);
	ck_result(finish_or_refused(peal_poll_multishot(ring, fd, POLLIN, 0,
							on_done, NULL)),
		  -EBADF);
}

TEST(poll_multishot_of_a_file_completes_until_it_is_cancelled)
{
	int fd = make_file("f", "data", 4);
	peal_op op = peal_poll_multishot(ring, fd, POLLIN, 0, on_done, NULL);

	UNTIL(outcome(op)->calls >= 5);
	ck_result(outcome(op)->result, POLLIN);
	ck_assert(!finished(op));
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	finish(op);
}

TEST(poll_multishot_survives_a_completion_queue_that_is_too_small)
{
	struct peal_ring_options options = harness_options();
	peal_op ops[32];
	int fds[32];
	unsigned at;

	options.entries = 2;
	options.cq_entries = 2;
	reopen_ring(&options);
	for (at = 0; at < 32; at++) {
		fds[at] = make_eventfd();
		ops[at] = peal_poll_multishot(ring, fds[at], POLLIN, 0,
					      on_event, &fds[at]);
	}
	settle();
	for (at = 0; at < 32; at++)
		add_one(fds[at]);
	UNTIL(events_seen == 32);
	for (at = 0; at < 32; at++)
		add_one(fds[at]);
	UNTIL(events_seen == 64);
	for (at = 0; at < 32; at++)
		ck_result(peal_cancel(ring, ops[at], 0, NULL, NULL), 0);
	for (at = 0; at < 32; at++)
		ck_result(finish(ops[at]), -ECANCELED);
}

static void on_third(struct peal_ring *where, const struct peal_completion *done)
{
	on_event(where, done);
	if (events_seen == 3 && (done->flags & PEAL_MORE))
		ck_result(peal_cancel(where, done->op, 0, NULL, NULL), 0);
}

TEST(poll_multishot_can_be_cancelled_by_its_own_handler)
{
	int fd = make_eventfd();
	peal_op op = peal_poll_multishot(ring, fd, POLLIN, 0, on_third, &fd);
	unsigned at;

	for (at = 1; at <= 3; at++) {
		add_one(fd);
		UNTIL(events_seen == at);
	}
	UNTIL(finished(op));
	ck_result(outcome(op)->result, -ECANCELED);
	ck_assert_uint_eq(events_seen, 3);
}

SUITE("poll")
