/* SPDX-License-Identifier: MIT */
/* What one engine got wrong once, and another did not: the same on all. */
#include <pty.h>

#include "test/harness.h"

static void make_full(int fd)
{
	static char page[4096];
	int mode = fcntl(fd, F_GETFL);

	ck_assert_int_eq(fcntl(fd, F_SETFL, mode | O_NONBLOCK), 0);
	while (write(fd, page, sizeof page) > 0)
		;
	ck_assert_int_eq(fcntl(fd, F_SETFL, mode), 0);
}

static void make_empty(int fd)
{
	static char page[4096];
	int mode = fcntl(fd, F_GETFL);

	ck_assert_int_eq(fcntl(fd, F_SETFL, mode | O_NONBLOCK), 0);
	while (read(fd, page, sizeof page) > 0)
		;
	ck_assert_int_eq(fcntl(fd, F_SETFL, mode), 0);
}

/* --- two ops on one descriptor ------------------------------------------- */

TEST(receive_does_not_wait_for_a_splice_to_the_same_socket)
{
	int pipe_fds[2], sockets[2];
	peal_op splice, recv;
	char buf[4];

	make_pipe(pipe_fds);
	make_socketpair(SOCK_STREAM, sockets);
	make_full(sockets[0]);
	ck_assert_int_eq(write(pipe_fds[1], "data", 4), 4);
	splice = peal_splice(ring, pipe_fds[0], PEAL_CURRENT, sockets[0],
			     PEAL_CURRENT, 4, 0, 0, on_done, NULL);
	recv = peal_recv(ring, sockets[0], buf, 4, 0, 0, on_done, NULL);
	settle();
	ck_assert_int_eq(write(sockets[1], "back", 4), 4);
	ck_result(finish(recv), 4);
	make_empty(sockets[1]);
	ck_result(finish(splice), 4);
}

TEST(receive_does_not_wait_for_a_message_of_the_error_queue)
{
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct sockaddr_in addr;
	socklen_t len = sizeof addr;
	char buf[4], errbuf[64];
	peal_op errors, recv;
	int a, b;

	a = new_socket(AF_INET, SOCK_DGRAM);
	b = new_socket(AF_INET, SOCK_DGRAM);
	loopback(&addr, 0);
	ck_assert_int_eq(bind(a, (void *)&addr, sizeof addr), 0);
	ck_assert_int_eq(getsockname(a, (void *)&addr, &len), 0);
	iov = (struct iovec){ errbuf, sizeof errbuf };
	errors = peal_recvmsg(ring, a, &msg, MSG_ERRQUEUE, 0, on_done, NULL);
	recv = peal_recv(ring, a, buf, 4, 0, 0, on_done, NULL);
	settle();
	ck_assert_int_eq(sendto(b, "data", 4, 0, (void *)&addr, len), 4);
	ck_result(finish(recv), 4);
	if (!finished(errors))
		ck_result(peal_cancel(ring, errors, 0, NULL, NULL), 0);
	finish(errors);
}

TEST(splice_waits_for_both_of_its_ends)
{
	int from[2], to[2];
	peal_op op;

	make_pipe(from);
	make_pipe(to);
	make_full(to[1]);
	op = peal_splice(ring, from[0], PEAL_CURRENT, to[1], PEAL_CURRENT, 4,
			 0, 0, on_done, NULL);
	settle();
	ck_assert_int_eq(write(from[1], "data", 4), 4);
	settle();
	make_empty(to[0]);
	ck_result(finish(op), 4);
}

/* 0: the close came before the kernel's worker had looked for the pipe. */
static int splice_behind_a_close(int to)
{
	int pipe_fds[2];
	peal_op splice;

	make_pipe(pipe_fds);
	splice = peal_splice(ring, pipe_fds[0], PEAL_CURRENT, to, PEAL_CURRENT,
			     4, 0, 0, on_done, NULL);
	settle();
	ck_result(finish(peal_close(ring, pipe_fds[0], 0, on_done, NULL)), 0);
	ck_ok(fcntl(to, F_GETFD));
	if (write(pipe_fds[1], "data", 4) == 4) {
		ck_result(finish(splice), 4);
		return 1;
	}
	ck_assert_int_eq(errno, EPIPE);
	ck_result(finish(splice), -EBADF);
	return 0;
}

TEST(splice_goes_on_after_its_descriptor_was_closed)
{
	unsigned tries = 100;
	int sockets[2];
	char buf[4];

	make_socketpair(SOCK_STREAM, sockets);
	while (!splice_behind_a_close(sockets[0]))
		ck_assert_msg(--tries, "no worker ever takes a splice");
	ck_result(recv_into(sockets[1], buf, 4), 4);
}

/* --- results ------------------------------------------------------------- */

TEST(poll_of_a_file_for_what_it_never_has_is_invalid)
{
	int fd = make_file("f", "data", 4);

	ck_result(finish(peal_poll(ring, fd, POLLPRI, 0, on_done, NULL)),
		  -EINVAL);
}

TEST(poll_of_no_descriptor_is_a_bad_one)
{
	ck_result(finish(peal_poll(ring, -1, POLLIN, 0, on_done, NULL)),
		  -EBADF);
	ck_result(finish(peal_poll_multishot(ring, -1, POLLIN, 0, on_done,
					     NULL)), -EBADF);
	ck_result(finish(peal_poll_multishot(ring, 1 << 28, POLLIN, 0, on_done,
					     NULL)), -EBADF);
}

/* Linux 6.1 refuses the flag for a pipe: not even then may it wait. */
TEST(read_that_must_not_wait_on_an_empty_pipe_is_refused)
{
	char buf[4];
	struct iovec iov = { buf, 4 };
	int fds[2];
	peal_op op;

	make_pipe(fds);
	op = peal_readv(ring, fds[0], &iov, 1, PEAL_CURRENT, RWF_NOWAIT, 0,
			on_done, NULL);
	if (finish(op) != -EOPNOTSUPP)
		ck_result(outcome(op)->result, -EAGAIN);
}

TEST(splice_that_cannot_work_says_so_at_once)
{
	int from[2], to[2];
	peal_op op;

	make_pipe(from);
	make_pipe(to);
	ck_result(finish(peal_splice(ring, from[0], 3, to[1], PEAL_CURRENT, 4,
				     0, 0, on_done, NULL)), -ESPIPE);
	ck_result(finish(peal_splice(ring, from[0], PEAL_CURRENT, closed_fd(),
				     PEAL_CURRENT, 4, 0, 0, on_done, NULL)),
		  -EBADF);
	ck_result(finish(peal_splice(ring, from[0], PEAL_CURRENT, to[1],
				     PEAL_CURRENT, 4, 0x1000, 0, on_done,
				     NULL)), -EINVAL);
	op = peal_splice(ring, from[0], PEAL_CURRENT, to[1], PEAL_CURRENT, 4,
			 SPLICE_F_NONBLOCK, 0, on_done, NULL);
	ck_result(finish(op), -EAGAIN);
}

TEST(read_with_an_unknown_flag_says_so_at_once)
{
	char buf[4];
	struct iovec iov = { buf, 4 };
	int fds[2];

	make_pipe(fds);
	ck_result(finish(peal_readv(ring, fds[0], &iov, 1, PEAL_CURRENT,
				    0x8000000, 0, on_done, NULL)),
		  -EOPNOTSUPP);
}

TEST(whole_receive_of_a_datagram_takes_one)
{
	int fds[2];
	char buf[8];
	peal_op op;

	make_socketpair(SOCK_DGRAM, fds);
	op = peal_recv(ring, fds[0], buf, 8, MSG_WAITALL, 0, on_done, NULL);
	ck_assert_int_eq(write(fds[1], "data", 4), 4);
	settle();
	ck_assert_int_eq(write(fds[1], "more", 4), 4);
	ck_result(finish(op), 4);
}

TEST(whole_message_comes_in_parts)
{
	char a[3], b[5];
	struct iovec iov[2] = { { a, 3 }, { b, 5 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	int fds[2];
	peal_op op;

	make_socketpair(SOCK_STREAM, fds);
	op = peal_recvmsg(ring, fds[0], &msg, MSG_WAITALL, 0, on_done, NULL);
	settle();
	ck_assert_int_eq(write(fds[1], "data", 4), 4);
	settle();
	ck_assert_int_eq(write(fds[1], "more", 4), 4);
	ck_result(finish(op), 8);
	ck_assert(!memcmp(a, "dat", 3) && !memcmp(b, "amore", 5));
}

/* --- never blocks the ring ----------------------------------------------- */

TEST(write_to_a_terminal_nobody_reads_does_not_stop_the_ring)
{
	static char page[65536];
	struct iovec iov = { page, sizeof page };
	int master, slave;
	peal_op op, timer;

	if (on_sim())
		SKIP("a simulated machine has no terminals");
	if (openpty(&master, &slave, NULL, NULL, NULL) != 0)
		SKIP("openpty: %s", strerror(errno));
	keep_fd(master);
	keep_fd(slave);
	op = peal_writev(ring, slave, &iov, 1, PEAL_CURRENT, 0, PEAL_ASYNC,
			 on_done, NULL);
	timer = peal_sleep(ring, 10 * PEAL_MS, 0, on_done, NULL);
	finish(timer);	/* or it hangs, and libcheck ends it */
	while (!finished(op)) {
		make_empty(master);
		settle();
	}
	ck_ok(outcome(op)->result);
}

/* Where the mode is what makes an accept return, nobody may put it back: of two
 * rings, one could do so just before the other's call. */
TEST(listener_that_rings_share_is_never_made_blocking_again)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(AF_INET, &addr, &len);
	peal_op op = peal_accept_multishot(ring, listener, 0, on_done, NULL);

	settle();
	ck_assert(strcmp(peal_ring_engine(ring), "epoll") ||
		  fcntl(listener, F_GETFL) & O_NONBLOCK);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	finish(op);
}

SUITE("same")
