/* SPDX-License-Identifier: MIT */
/* Zero-copy send: the same as send on every engine, but for when the buffer
 * comes back. */
#include "test/harness.h"

#define LONG	(256u * 1024)

static char data[LONG];

/* Any length, and always. */
static void open_always(void)
{
	struct peal_ring_options options = harness_options();

	options.zc_bytes = 1;
	reopen_ring(&options);
}

static struct peal_stats ring_stats(void)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	peal_ring_stats(ring, &stats);
	return stats;
}

static int has_zc(void)
{
	const char *engine = peal_ring_engine(ring);

	return (!strcmp(engine, "uring") || !strcmp(engine, "sim")) &&
	       !disabled("zc");
}

static void tcp_pair(int fds[2])
{
	ck_assert_int_eq(make_tcp_pair(AF_INET, fds), 0);
}

/* What send does, send_zc does. */
static int64_t send_all(int fd, int peer, size_t len)
{
	static char back[LONG];
	size_t sent = 0, got = 0;

	fcntl(peer, F_SETFL, O_NONBLOCK);
	while (sent < len) {
		peal_op op = peal_send_zc(ring, fd, data + sent, len - sent,
					  0, 0, on_done, NULL);

		ck_ok(op);
		while (!finished(op)) {
			ssize_t rc = recv(peer, back + got, LONG - got, 0);

			got += rc > 0 ? (size_t)rc : 0;
			peal_ring_turn(ring, PEAL_MS);
		}
		if (outcome(op)->result < 0)
			return outcome(op)->result;
		ck_assert_uint_eq(outcome(op)->calls, 1);
		ck_assert_uint_eq(outcome(op)->flags, 0);
		sent += (size_t)outcome(op)->result;
	}
	fcntl(peer, F_SETFL, 0);
	while (got < len) {
		ssize_t rc = recv(peer, back + got, LONG - got, 0);

		ck_assert_int_gt(rc, 0);
		got += (size_t)rc;
	}
	ck_assert_mem_eq(back, data, len);
	return (int64_t)got;
}

TEST(zero_copy_send_brings_what_was_sent)
{
	int fds[2];

	open_always();
	tcp_pair(fds);
	fill_pattern(data, sizeof(data), 1);
	ck_result(send_all(fds[0], fds[1], 1), 1);
	ck_result(send_all(fds[0], fds[1], 5000), 5000);
	ck_result(send_all(fds[0], fds[1], LONG), LONG);
	if (has_zc()) {
		ck_assert_uint_ge(ring_stats().zc_sent, 3);
		ck_assert_uint_eq(ring_stats().zc_plain, 0);
	} else {
		ck_assert_uint_eq(ring_stats().zc_sent, 0);
		ck_assert_uint_ge(ring_stats().zc_plain, 3);
	}
}

TEST(short_send_is_a_plain_one)
{
	int fds[2];

	tcp_pair(fds);
	ck_result(finish(peal_send_zc(ring, fds[0], data, 100, 0, 0, on_done,
				      NULL)), 100);
	ck_assert_uint_eq(ring_stats().zc_sent, 0);
	ck_assert_uint_eq(ring_stats().zc_plain, 1);
}

TEST(least_length_is_an_option)
{
	struct peal_ring_options options = harness_options();
	int fds[2];

	options.zc_bytes = 1000;
	reopen_ring(&options);
	tcp_pair(fds);
	ck_result(finish(peal_send_zc(ring, fds[0], data, 999, 0, 0, on_done,
				      NULL)), 999);
	ck_assert_uint_eq(ring_stats().zc_sent, 0);
	ck_result(send_all(fds[0], fds[1], 0), 0);
	ck_result(finish(peal_recv(ring, fds[1], data, LONG, 0, 0, on_done,
				   NULL)), 999);
	ck_result(send_all(fds[0], fds[1], 1000), 1000);
	ck_assert_uint_eq(ring_stats().zc_sent, (uint64_t)has_zc());
}

TEST(copies_in_a_row_make_it_a_plain_send)
{
	struct peal_ring_options options = harness_options();
	int fds[2], i;

	options.zc_bytes = 512;
	reopen_ring(&options);
	tcp_pair(fds);
	for (i = 0; i < 40; i++)
		ck_result(send_all(fds[0], fds[1], 1024), 1024);
	if (!has_zc())
		SKIP("nothing is sent without a copy here");
	if (!ring_stats().zc_copied)
		SKIP("this kernel does not say, or does not copy");
	ck_assert_uint_le(ring_stats().zc_sent, 18);
	ck_assert_uint_ge(ring_stats().zc_plain, 22);
}

TEST(unix_socket_is_sent_to_all_the_same)
{
	int fds[2];

	open_always();
	make_socketpair(SOCK_STREAM, fds);
	fill_pattern(data, sizeof(data), 2);
	ck_result(send_all(fds[0], fds[1], 10000), 10000);
	ck_assert_uint_le(ring_stats().zc_copied, ring_stats().zc_sent);
}

TEST(zero_copy_message_with_two_parts)
{
	struct iovec parts[2] = { { data, 3000 }, { data + 8000, 2000 } };
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };
	static char back[5000];
	int fds[2];

	open_always();
	tcp_pair(fds);
	fill_pattern(data, sizeof(data), 3);
	ck_result(finish(peal_sendmsg_zc(ring, fds[0], &msg, 0, 0, on_done,
					 NULL)), 5000);
	ck_assert_int_eq(recv(fds[1], back, 5000, MSG_WAITALL), 5000);
	ck_assert_mem_eq(back, data, 3000);
	ck_assert_mem_eq(back + 3000, data + 8000, 2000);
}

TEST(zero_copy_message_over_unix)
{
	struct iovec part = { data, 100 };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };
	char back[100];
	int fds[2];

	open_always();
	make_socketpair(SOCK_DGRAM, fds);
	ck_result(finish(peal_sendmsg_zc(ring, fds[0], &msg, 0, 0, on_done,
					 NULL)), 100);
	ck_assert_int_eq(recv(fds[1], back, 100, 0), 100);
}

TEST(zero_copy_send_to_nobody_is_epipe_and_no_signal)
{
	int fds[2];

	open_always();
	tcp_pair(fds);
	shutdown(fds[0], SHUT_WR);
	ck_result(finish(peal_send_zc(ring, fds[0], data, LONG, 0, 0, on_done,
				      NULL)), -EPIPE);
}

TEST(zero_copy_send_of_a_bad_fd_is_ebadf_and_of_a_file_enotsock)
{
	open_always();
	ck_result(finish_or_refused(peal_send_zc(ring, closed_fd(), data, 100,
						 0, 0, on_done, NULL)),
		  -EBADF);
	ck_result(finish_or_refused(peal_send_zc(ring, make_file("f", "", 0),
						 data, 100, 0, 0, on_done,
						 NULL)), -ENOTSOCK);
}

/* Fills the socket, so that the next send waits; unless the peer's side takes
 * some of it only then. Who needs one that waits tries again. */
static void fill_up(int fd)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (send(fd, data, sizeof(data), MSG_NOSIGNAL) > 0)
		continue;
	fcntl(fd, F_SETFL, 0);
}

static peal_op send_that_waits(int fd)
{
	peal_op op;

	do {
		fill_up(fd);
		op = peal_send_zc(ring, fd, data, LONG, 0, 0, on_done, NULL);
		settle();
	} while (outcome(op)->result > 0);
	ck_assert_msg(!finished(op), "it ended with %s",
		      harness_errno(outcome(op)->result));
	return op;
}

TEST(zero_copy_send_that_waits_can_be_cancelled)
{
	int fds[2];
	peal_op op;

	open_always();
	tcp_pair(fds);
	do {
		op = send_that_waits(fds[0]);
		ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	} while (finish(op) > 0);
	ck_result(outcome(op)->result, -ECANCELED);
}

TEST(zero_copy_send_that_waits_has_a_deadline)
{
	int fds[2];
	peal_op op;

	open_always();
	tcp_pair(fds);
	do {
		op = send_that_waits(fds[0]);
		ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	} while (finish(op) > 0);
	ck_result(outcome(op)->result, -ETIMEDOUT);
}

TEST(zero_copy_send_ends_when_the_connection_breaks)
{
	struct linger reset = { 1, 0 };
	int fds[2];
	peal_op op;

	open_always();
	tcp_pair(fds);
	op = send_that_waits(fds[0]);
	setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fds[1]);
	ck_assert_int_lt(finish(op), 0);
}

TEST(many_zero_copy_sends_end_once_each)
{
	enum { MANY = 200 };
	peal_op ops[MANY];
	int fds[2], i;

	open_always();
	ck_assert_int_eq(make_tcp_pair(AF_INET, fds), 0);
	for (i = 0; i < MANY; i++) {
		ops[i] = peal_send_zc(ring, fds[0], data, 64, 0, 0, on_done,
				      NULL);
		ck_ok(ops[i]);
	}
	for (i = 0; i < MANY; i++) {
		ck_result(finish(ops[i]), 64);
		ck_assert_uint_eq(outcome(ops[i])->calls, 1);
	}
	ck_assert_int_eq(recv(fds[1], data, MANY * 64, MSG_WAITALL),
			 MANY * 64);
}

TEST(drained_close_after_a_zero_copy_send)
{
	int fds[2];
	peal_op op, closed;
	char byte;

	open_always();
	tcp_pair(fds);
	op = peal_send_zc(ring, fds[0], data, 1000, 0, 0, on_done, NULL);
	UNTIL(finished(op));
	closed = peal_close_drained(ring, fds[0], 0, on_done, NULL);
	ck_result(finish(closed), 0);
	ck_result(finish(op), 1000);
	ck_assert_int_eq(recv(fds[1], data, 1000, MSG_WAITALL), 1000);
	ck_assert_int_eq(recv(fds[1], &byte, 1, 0), 0);
}

static uint64_t sent_as(const char *opcode)
{
	return ring_stats().by_op[opcode_named(opcode)];
}

static void send_from_an_arena(unsigned how)
{
	struct peal_arena_options options = PEAL_ARENA_OPTIONS;
	struct iovec parts[2];
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };
	struct peal_arena *arena;
	static char back[20000];
	int fds[2], rc;
	char *buf;

	open_always();
	tcp_pair(fds);
	options.bytes = 1 << 20;
	options.flags = PEAL_ARENA_PLAIN_OK;
	ck_result(peal_arena_open(&arena, &options), 0);
	rc = peal_arena_register(ring, arena, how);
	ck_assert_int_ge(rc, 0);
	buf = peal_arena_alloc(arena, 20000, 64);
	ck_assert_ptr_nonnull(buf);
	fill_pattern(buf, 20000, 9);
	ck_result(finish(peal_send_zc(ring, fds[0], buf, 20000, 0, 0, on_done,
				      NULL)), 20000);
	ck_assert_int_eq(recv(fds[1], back, 20000, MSG_WAITALL), 20000);
	ck_assert(has_pattern(back, 20000, 9));
	memset(back, 0, sizeof(back));
	parts[0] = (struct iovec){ buf, 15000 };
	parts[1] = (struct iovec){ buf + 15000, 5000 };
	ck_result(finish(peal_sendmsg_zc(ring, fds[0], &msg, 0, 0, on_done,
					 NULL)), 20000);
	ck_assert_int_eq(recv(fds[1], back, 20000, MSG_WAITALL), 20000);
	ck_assert(has_pattern(back, 20000, 9));
	/* The kernel took them as they were. */
	if (rc == 0 && has_zc())
		ck_assert_uint_eq(sent_as("send") + sent_as("sendmsg"), 0);
	if (rc == 0 && has_zc() && how != PEAL_PLAIN)
		ck_assert_uint_ge(ring_stats().zc_fixed, 1);
	else
		ck_assert_uint_eq(ring_stats().zc_fixed, 0);
	peal_arena_free(arena, buf);
	ck_result(peal_arena_unregister(ring, arena), 0);
	peal_arena_close(arena);
}

TEST(zero_copy_send_from_an_arena_is_registered)
{
	send_from_an_arena(0);
}

TEST(zero_copy_send_from_an_arena_of_plain_ops_is_not)
{
	send_from_an_arena(PEAL_PLAIN);
}

SUITE("zc")
