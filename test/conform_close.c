/* SPDX-License-Identifier: MIT */
/* Closing: a descriptor with work on it, a ring with work in it. */
#include "test/harness.h"

static char buf[64];

static peal_op recv_on(int fd)
{
	peal_op op = peal_recv(ring, fd, buf, sizeof(buf), 0, 0, on_done,
			       NULL);

	ck_assert_int_gt(op, 0);
	return op;
}

static peal_op close_drained(int fd)
{
	return peal_close_drained(ring, fd, 0, on_done, NULL);
}

/* --- close_drained ------------------------------------------------------- */

TEST(close_drained_of_an_idle_fd_closes_it)
{
	int fds[2];

	make_pipe(fds);
	ck_result(finish(close_drained(fds[0])), 0);
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), -1);
	ck_assert_int_eq(errno, EBADF);
}

TEST(close_drained_cancels_what_is_in_flight_and_closes_after_it)
{
	peal_op ops[10], closing;
	int fds[2];
	unsigned at;

	make_socketpair(SOCK_STREAM, fds);
	for (at = 0; at < 9; at++)
		ops[at] = recv_on(fds[0]);
	ops[9] = peal_poll_multishot(ring, fds[0], POLLIN, 0, on_done, NULL);
	settle();
	closing = close_drained(fds[0]);
	ck_result(finish(closing), 0);
	for (at = 0; at < 10; at++) {
		ck_assert(finished(ops[at]));
		ck_result(outcome(ops[at])->result, -ECANCELED);
		ck_assert_uint_lt(outcome(ops[at])->order,
				  outcome(closing)->order);
	}
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), -1);
}

TEST(close_drained_does_not_touch_other_fds)
{
	peal_op other;
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	other = recv_on(fds[1]);
	recv_on(fds[0]);
	settle();
	ck_result(finish(close_drained(fds[0])), 0);
	ck_result(finish(other), 0);	/* the peer is gone */
}

TEST(close_drained_lets_the_peer_see_the_end)
{
	int fds[2];

	ck_assert_int_eq(make_tcp_pair(AF_INET, fds), 0);
	recv_on(fds[0]);
	settle();
	ck_result(finish(close_drained(fds[0])), 0);
	ck_result(finish(recv_on(fds[1])), 0);
}

TEST(close_drained_refuses_new_ops_at_once)
{
	struct iovec iov = { buf, 1 };
	peal_op closing;
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	recv_on(fds[0]);
	settle();
	closing = close_drained(fds[0]);
	ck_assert_int_gt(closing, 0);
	ck_result(peal_recv(ring, fds[0], buf, 1, 0, 0, on_done, NULL),
		  -EBADF);
	ck_result(peal_send(ring, fds[0], buf, 1, 0, 0, on_done, NULL),
		  -EBADF);
	ck_result(peal_read(ring, fds[0], buf, 1, PEAL_CURRENT, 0, on_done,
			    NULL), -EBADF);
	ck_result(peal_writev(ring, fds[0], &iov, 1, PEAL_CURRENT, 0, 0,
			      on_done, NULL), -EBADF);
	ck_result(peal_poll(ring, fds[0], POLLIN, 0, on_done, NULL), -EBADF);
	ck_result(peal_read_full(ring, fds[0], buf, 1, PEAL_CURRENT, 0,
				 on_done, NULL), -EBADF);
	ck_result(peal_close(ring, fds[0], 0, on_done, NULL), -EBADF);
	ck_result(close_drained(fds[0]), -EBADF);
	ck_result(finish(closing), 0);
}

TEST(close_drained_of_a_closed_fd_is_ebadf)
{
	int fd = dup(0);

	close(fd);
	ck_result(finish_or_refused(close_drained(fd)), -EBADF);
	ck_result(finish_or_refused(close_drained(-1)), -EBADF);
}

TEST(fd_number_can_be_used_again_after_close_drained)
{
	unsigned at;
	int fds[2], again[2];

	make_socketpair(SOCK_STREAM, fds);
	for (at = 0; at < 100; at++) {
		peal_op op = recv_on(fds[0]);

		settle();
		ck_result(finish(close_drained(fds[0])), 0);
		ck_result(finish(op), -ECANCELED);
		make_socketpair(SOCK_STREAM, again);
		ck_assert_int_eq(again[0], fds[0]);
		close(fds[1]);
		fds[1] = again[1];
		op = recv_on(fds[0]);
		settle();
		ck_assert(!finished(op));
		ck_assert_int_eq(send(fds[1], "x", 1, 0), 1);
		ck_result(finish(op), 1);
	}
}

TEST(port_can_be_bound_again_right_after_close_drained)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(AF_INET, &addr, &len), fd;
	unsigned at;

	for (at = 0; at < 50; at++) {
		peal_op op = peal_accept_multishot(ring, listener, 0, on_done,
						   NULL);

		settle();
		ck_result(finish(close_drained(listener)), 0);
		ck_result(finish(op), -ECANCELED);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ck_assert_msg(bind(fd, (struct sockaddr *)&addr, len) == 0,
			      "time %u: %s", at, strerror(errno));
		ck_assert_int_eq(listen(fd, 1), 0);
		listener = keep_fd(fd);
	}
}

TEST(close_drained_waits_for_a_full_transfer)
{
	char *out = aligned_buffer(8 << 20);
	peal_op op, closing;
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	op = peal_send_full(ring, fds[0], out, 8 << 20, 0, 0, on_done, NULL);
	settle();
	closing = close_drained(fds[0]);
	ck_result(finish(closing), 0);
	ck_result(finish(op), -ECANCELED);
	ck_assert_uint_lt(outcome(op)->order, outcome(closing)->order);
}

TEST(close_drained_of_a_file_with_writes_in_flight_lets_them_end)
{
	char *out = aligned_buffer(64 * 4096);
	int fd = open_direct("d", O_RDWR | O_CREAT);
	peal_op ops[64];
	unsigned at;

	if (fd < 0)
		SKIP("O_DIRECT: %s", strerror(errno));
	for (at = 0; at < 64; at++)
		ops[at] = peal_write(ring, fd, out + at * 4096, 4096,
				     at * 4096, 0, on_done, NULL);
	ck_result(finish(close_drained(fd)), 0);
	for (at = 0; at < 64; at++) {
		ck_assert(finished(ops[at]));
		ck_assert(outcome(ops[at])->result == 4096 ||
			  outcome(ops[at])->result == -ECANCELED);
	}
}

TEST(close_drained_needs_no_handler)
{
	peal_op op;
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	op = recv_on(fds[0]);
	settle();
	ck_assert_int_gt(peal_close_drained(ring, fds[0], 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
	UNTIL(peal_ring_in_flight(ring) == 0);
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), -1);
}

static peal_op splice_between(int in, int out)
{
	return peal_splice(ring, in, PEAL_CURRENT, out, PEAL_CURRENT, 64, 0, 0,
			   on_done, NULL);
}

static void is_closed_after(peal_op closing, int fd, peal_op op)
{
	ck_result(finish(closing), 0);
	ck_assert(finished(op));
	ck_result(outcome(op)->result, -ECANCELED);
	ck_assert_uint_lt(outcome(op)->order, outcome(closing)->order);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

TEST(close_drained_of_either_end_of_a_splice_waits_for_it)
{
	int from[2], to[2], end;

	for (end = 0; end < 2; end++) {
		peal_op op, closing;
		int fd;

		make_pipe(from);
		make_pipe(to);
		op = splice_between(from[0], to[1]);
		settle();
		ck_assert(!finished(op));
		fd = end ? to[1] : from[0];
		closing = close_drained(fd);
		ck_result(splice_between(from[0], to[1]), -EBADF);
		is_closed_after(closing, fd, op);
	}
}

TEST(close_drained_of_both_ends_of_a_splice_at_once)
{
	peal_op op, first, second;
	int from[2], to[2];

	make_pipe(from);
	make_pipe(to);
	op = splice_between(from[0], to[1]);
	settle();
	first = close_drained(from[0]);
	second = close_drained(to[1]);
	is_closed_after(first, from[0], op);
	ck_result(finish(second), 0);
	ck_assert_int_eq(fcntl(to[1], F_GETFD), -1);
}

static int open_dir(const char *name)
{
	int fd;

	ck_result(finish(peal_mkdir(ring, PEAL_CWD, path_in_dir(name), 0755, 0,
				    on_done, NULL)), 0);
	fd = (int)finish(peal_open(ring, PEAL_CWD, path_in_dir(name),
				   O_RDONLY | O_DIRECTORY, 0, 0, on_done,
				   NULL));
	ck_assert_int_ge(fd, 0);
	return keep_fd(fd);
}

TEST(close_drained_of_either_directory_of_a_rename_waits_for_it)
{
	unsigned end;

	for (end = 0; end < 2; end++) {
		int from = open_dir(end ? "a" : "b");
		int to = open_dir(end ? "c" : "d");
		peal_op op, closing;

		op = peal_rename(ring, from, "none", to, "new", 0, 0, on_done,
				 NULL);
		closing = close_drained(end ? to : from);
		ck_result(peal_rename(ring, from, "none", to, "new", 0, 0,
				      on_done, NULL), -EBADF);
		ck_result(peal_link(ring, from, "none", to, "new", 0, 0,
				    on_done, NULL), -EBADF);
		ck_result(finish(closing), 0);
		ck_assert(finished(op));
		ck_assert(outcome(op)->result == -ENOENT ||
			  outcome(op)->result == -ECANCELED);
		ck_assert_uint_lt(outcome(op)->order, outcome(closing)->order);
	}
}

TEST(close_drained_of_either_file_of_a_copy_waits_for_it)
{
	unsigned end;

	for (end = 0; end < 2; end++) {
		int from = make_file(end ? "a" : "b", "text", 4);
		int to = make_file(end ? "c" : "d", "", 0);
		peal_op op, closing;

		op = peal_copy_range(ring, from, 0, to, 0, 4, 0, on_done,
				     NULL);
		closing = close_drained(end ? to : from);
		ck_result(peal_copy_range(ring, from, 0, to, 0, 4, 0, on_done,
					  NULL), -EBADF);
		ck_result(finish(closing), 0);
		ck_assert(finished(op));
		ck_assert(outcome(op)->result == 4 ||
			  outcome(op)->result == -ECANCELED);
		ck_assert_uint_lt(outcome(op)->order, outcome(closing)->order);
	}
}

static peal_op closing_op;

static void on_done_close(struct peal_ring *where,
			  const struct peal_completion *done)
{
	on_done(where, done);
	if (closing_op == 0)
		closing_op = peal_close_drained(where, *(int *)done->ctx, 0,
						on_done, NULL);
}

TEST(close_drained_from_a_handler_of_that_fd)
{
	peal_op first, second;
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	first = peal_recv(ring, fds[0], buf, 1, 0, 0, on_done_close, &fds[0]);
	second = peal_poll(ring, fds[0], POLLPRI, 0, on_done, NULL);
	settle();
	ck_assert_int_eq(send(fds[1], "x", 1, 0), 1);
	ck_result(finish(first), 1);
	ck_result(finish(closing_op), 0);
	ck_result(finish(second), -ECANCELED);
}

TEST(close_drained_from_a_handler_that_was_cancelled_by_another)
{
	peal_op op;
	int fds[2], other[2];

	make_socketpair(SOCK_STREAM, fds);
	make_socketpair(SOCK_STREAM, other);
	recv_on(other[0]);
	op = peal_recv(ring, fds[0], buf, 1, 0, 0, on_done_close, &other[0]);
	settle();
	ck_result(finish(close_drained(fds[0])), 0);
	ck_result(finish(op), -ECANCELED);
	ck_result(finish(closing_op), 0);
}

/* --- a ring with work in it ---------------------------------------------- */

BARE_TEST(ring_close_of_an_idle_ring_returns_zero)
{
	struct peal_ring_options options = harness_options();

	close_ring(open_ring(&options));
}

static unsigned cancelled_seen, refused_seen;

static void on_cancelled(struct peal_ring *where,
			 const struct peal_completion *done)
{
	ck_result(done->result, -ECANCELED);
	cancelled_seen++;
	if (peal_nop(where, 0, on_done, NULL) == -ESHUTDOWN)
		refused_seen++;
}

BARE_TEST(ring_close_ends_everything_and_refuses_more)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own = open_ring(&options);
	struct sockaddr_storage addr;
	socklen_t len;
	int fds[2], listener = make_listener(AF_INET, &addr, &len);

	make_pollable(fds);
	peal_read(own, fds[0], buf, 1, PEAL_CURRENT, 0, on_cancelled, NULL);
	peal_read_full(own, fds[0], buf, 1, PEAL_CURRENT, 0, on_cancelled,
		       NULL);
	peal_poll_multishot(own, fds[0], POLLIN, 0, on_cancelled, NULL);
	peal_accept_multishot(own, listener, 0, on_cancelled, NULL);
	peal_sleep(own, 3600 * PEAL_S, 0, on_cancelled, NULL);
	ck_ok(peal_ring_turn(own, 0));
	close_ring(own);
	ck_assert_uint_eq(cancelled_seen, 5);
	ck_assert_uint_eq(refused_seen, 5);
}

BARE_TEST(ring_close_ends_what_was_never_submitted)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own = open_ring(&options);
	int fds[2];

	make_pipe(fds);
	peal_read(own, fds[0], buf, 1, PEAL_CURRENT, 0, on_cancelled, NULL);
	close_ring(own);
	ck_assert_uint_eq(cancelled_seen, 1);
}

BARE_TEST(ring_close_ends_thousands_of_ops)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own = open_ring(&options);
	int fds[2];
	unsigned at;

	make_pollable(fds);
	for (at = 0; at < 5000; at++)
		peal_poll(own, fds[0], POLLIN, 0, on_cancelled, NULL);
	close_ring(own);
	ck_assert_uint_eq(cancelled_seen, 5000);
	ck_assert_uint_eq(refused_seen, 5000);
}

BARE_TEST(ring_close_releases_a_listeners_port)
{
	struct peal_ring_options options = harness_options();
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(AF_INET, &addr, &len), fd;
	unsigned at;

	for (at = 0; at < 30; at++) {
		struct peal_ring *own = open_ring(&options);

		peal_accept_multishot(own, listener, 0, on_cancelled, NULL);
		ck_ok(peal_ring_turn(own, 0));
		close_ring(own);
		close(listener);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ck_assert_msg(bind(fd, (struct sockaddr *)&addr, len) == 0,
			      "time %u: %s", at, strerror(errno));
		ck_assert_int_eq(listen(fd, 1), 0);
		listener = keep_fd(fd);
	}
}

static void on_done_close_ring(struct peal_ring *where,
			       const struct peal_completion *done)
{
	on_done(where, done);
	ck_result(peal_ring_close(where, PEAL_S), -EDEADLK);
}

TEST(ring_close_inside_a_handler_is_edeadlk_and_harmless)
{
	ck_result(finish(peal_nop(ring, 0, on_done_close_ring, NULL)), 0);
	ck_result(finish(peal_nop(ring, 0, on_done, NULL)), 0);
}

BARE_TEST(ring_close_runs_no_handler_twice)
{
	/* on_done() checks that. */
	struct peal_ring_options options = harness_options();
	struct peal_ring *own = open_ring(&options);
	peal_op ops[100];
	int fds[2];
	unsigned at;

	make_pollable(fds);
	for (at = 0; at < 100; at++)
		ops[at] = at & 1 ? peal_nop(own, 0, on_done, NULL) :
				   peal_poll(own, fds[0], POLLIN, 0, on_done,
					     NULL);
	ck_ok(peal_ring_turn(own, 0));
	for (at = 0; at < 100; at += 4)
		ck_result(peal_cancel(own, ops[at], 0, NULL, NULL), 0);
	close_ring(own);
	for (at = 0; at < 100; at++) {
		ck_assert(finished(ops[at]));
		ck_result(outcome(ops[at])->result, at & 1 ? 0 : -ECANCELED);
	}
}

BARE_TEST(ring_close_waits_for_a_disk_write_it_cannot_cancel)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own = open_ring(&options);
	char *out = aligned_buffer(16 << 20);
	int fd = open_direct("d", O_RDWR | O_CREAT);
	peal_op ops[16];
	unsigned at;

	if (fd < 0) {
		close_ring(own);
		SKIP("O_DIRECT: %s", strerror(errno));
	}
	for (at = 0; at < 16; at++)
		ops[at] = peal_write(own, fd, out + (at << 20), 1 << 20,
				     at << 20, 0, on_done, NULL);
	ck_ok(peal_ring_turn(own, 0));
	close_ring(own);
	for (at = 0; at < 16; at++)
		ck_assert(outcome(ops[at])->result == 1 << 20 ||
			  outcome(ops[at])->result == -ECANCELED);
}

static unsigned posts_run;

static void count_post(struct peal_ring *where, void *ctx)
{
	(void)where;
	(void)ctx;
	posts_run++;
}

BARE_TEST(ring_close_runs_the_posts_that_wait)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own = open_ring(&options);
	unsigned at;

	for (at = 0; at < 10; at++)
		ck_result(peal_post(own, count_post, NULL), 0);
	close_ring(own);
	ck_assert_uint_eq(posts_run, 10);
}

BARE_TEST(ring_close_lets_a_waiting_close_drained_close)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own = open_ring(&options);
	int fds[2];
	peal_op op;

	make_socketpair(SOCK_STREAM, fds);
	ck_assert_int_gt(peal_recv(own, fds[0], buf, 1, 0, 0, on_cancelled,
				   NULL), 0);
	ck_ok(peal_ring_turn(own, 0));
	op = peal_close_drained(own, fds[0], 0, on_done, NULL);
	close_ring(own);
	ck_result(outcome(op)->result, 0);
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), -1);
}

SUITE("close")
