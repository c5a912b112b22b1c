/* SPDX-License-Identifier: MIT */
/* One attempt at an op: what it says, and what it leaves of the descriptor. */
#include <pty.h>

#include "lib/optable.h"
#include "lib/sqe.h"
#include "shim/ready.h"
#include "test/harness.h"

static char buf[65536];
static int64_t progress;

static struct peal__sqe entry(unsigned opcode, int fd, void *addr, size_t len)
{
	return (struct peal__sqe){ .opcode = (uint8_t)opcode,
				   .fd = fd,
				   .addr = (uint64_t)(uintptr_t)addr,
				   .len = (uint32_t)len };
}

/* A first attempt. */
static int attempt_how(struct peal__sqe *sqe, unsigned how)
{
	progress = 0;
	return peal__ready_try(sqe, &progress, how);
}

static int attempt(struct peal__sqe sqe)
{
	return attempt_how(&sqe, 0);
}

static int again(struct peal__sqe *sqe)
{
	return peal__ready_try(sqe, &progress, 0);
}

static int is_nonblocking(int fd)
{
	return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

/* The harness's sockets are made by a ring. */
static int plain_socket(int domain)
{
	return keep_fd(socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static void make_full(int fd)
{
	int mode = fcntl(fd, F_GETFL);

	ck_assert_int_eq(fcntl(fd, F_SETFL, mode | O_NONBLOCK), 0);
	while (write(fd, buf, sizeof(buf)) > 0)
		;
	ck_assert_int_eq(fcntl(fd, F_SETFL, mode), 0);
}

/* --- reads and writes ----------------------------------------------------- */

/* Both ways: with RWF_NOWAIT, and with a look first. */
static void reads_a_pipe(unsigned how)
{
	int fds[2];
	struct peal__sqe sqe;

	make_pipe(fds);
	sqe = entry(PEAL__OP_READ, fds[0], buf, 8);
	ck_assert_int_eq(attempt_how(&sqe, how), READY_WAIT);
	ck_assert_int_eq(write(fds[1], "data", 4), 4);
	ck_assert_int_eq(attempt_how(&sqe, how), 4);
	ck_assert(!memcmp(buf, "data", 4));
	ck_assert_int_eq(attempt_how(&sqe, how), READY_WAIT);
	ck_assert(!is_nonblocking(fds[0]));
	close(fds[1]);
	ck_assert_int_eq(attempt_how(&sqe, how), 0);
}

BARE_TEST(read_of_a_pipe_takes_what_there_is_and_else_waits)
{
	reads_a_pipe(0);
}

BARE_TEST(read_of_a_pipe_may_look_first_and_says_the_same)
{
	reads_a_pipe(READY_NO_NOWAIT);
}

static void writes_a_pipe(unsigned how)
{
	struct peal__sqe sqe;
	int fds[2];

	make_pipe(fds);
	sqe = entry(PEAL__OP_WRITE, fds[1], buf, 4);
	ck_assert_int_eq(attempt_how(&sqe, how), 4);
	make_full(fds[1]);
	ck_assert_int_eq(attempt_how(&sqe, how), READY_WAIT);
	ck_assert(!is_nonblocking(fds[1]));
}

BARE_TEST(write_to_a_full_pipe_waits)
{
	writes_a_pipe(0);
}

BARE_TEST(write_to_a_full_pipe_may_look_first_and_waits)
{
	writes_a_pipe(READY_NO_NOWAIT);
}

BARE_TEST(write_larger_than_the_room_does_not_block)
{
	int fds[2];
	struct peal__sqe sqe;

	make_pipe(fds);
	make_full(fds[1]);
	ck_assert_int_eq(read(fds[0], buf, 4096), 4096);
	sqe = entry(PEAL__OP_WRITE, fds[1], buf, sizeof(buf));
	ck_assert_int_eq(attempt_how(&sqe, READY_NO_NOWAIT), 4096);
}

BARE_TEST(files_and_directories_are_for_the_pool)
{
	int file = make_file("f", "data", 4);
	int where = keep_fd(open(dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	ck_assert_int_eq(attempt(entry(PEAL__OP_READ, file, buf, 4)),
			 READY_POOL);
	ck_assert_int_eq(attempt(entry(PEAL__OP_WRITE, file, buf, 4)),
			 READY_POOL);
	ck_assert_int_eq(attempt(entry(PEAL__OP_READ, where, buf, 4)),
			 READY_POOL);
}

BARE_TEST(wrong_ends_and_closed_descriptors_are_told_at_once)
{
	static const unsigned ways[] = { 0, READY_NO_NOWAIT };
	struct peal__sqe sqe;
	int fds[2];
	size_t at;

	make_pipe(fds);
	for (at = 0; at < 2; at++) {
		sqe = entry(PEAL__OP_READ, fds[1], buf, 4);
		ck_assert_int_eq(attempt_how(&sqe, ways[at]), -EBADF);
		sqe = entry(PEAL__OP_WRITE, fds[0], buf, 4);
		ck_assert_int_eq(attempt_how(&sqe, ways[at]), -EBADF);
		sqe = entry(PEAL__OP_READ, closed_fd(), buf, 4);
		ck_assert_int_eq(attempt_how(&sqe, ways[at]), -EBADF);
	}
}

BARE_TEST(nothing_to_read_is_not_waited_for)
{
	static const unsigned ways[] = { 0, READY_NO_NOWAIT };
	struct peal__sqe sqe;
	int fds[2];
	size_t at;

	make_pipe(fds);
	make_full(fds[1]);
	for (at = 0; at < 2; at++) {
		sqe = entry(PEAL__OP_WRITE, fds[1], buf, 0);
		ck_assert_int_eq(attempt_how(&sqe, ways[at]), 0);
	}
	make_pipe(fds);
	for (at = 0; at < 2; at++) {
		sqe = entry(PEAL__OP_READ, fds[0], buf, 0);
		ck_assert_int_eq(attempt_how(&sqe, ways[at]), 0);
	}
}

BARE_TEST(terminal_is_looked_at_and_never_blocks)
{
	int master, slave;

	if (openpty(&master, &slave, NULL, NULL, NULL) != 0)
		SKIP("openpty: %s", strerror(errno));
	keep_fd(master);
	keep_fd(slave);
	ck_assert_int_eq(attempt(entry(PEAL__OP_READ, slave, buf, 8)),
			 READY_WAIT);
	ck_assert_int_gt(attempt(entry(PEAL__OP_WRITE, slave, buf,
				       sizeof(buf))), 0);
	ck_assert_int_eq(write(master, "line\n", 5), 5);
	ck_assert_int_eq(attempt(entry(PEAL__OP_READ, slave, buf, 8)), 5);
	ck_assert(!is_nonblocking(slave));
}

/* --- sockets -------------------------------------------------------------- */

BARE_TEST(receive_waits_and_then_takes)
{
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	ck_assert_int_eq(attempt(entry(PEAL__OP_RECV, fds[0], buf, 8)),
			 READY_WAIT);
	ck_assert_int_eq(attempt(entry(PEAL__OP_SEND, fds[1], buf, 5)), 5);
	ck_assert_int_eq(attempt(entry(PEAL__OP_RECV, fds[0], buf, 8)), 5);
	ck_assert(!is_nonblocking(fds[0]) && !is_nonblocking(fds[1]));
}

BARE_TEST(receive_that_must_not_wait_is_refused)
{
	struct peal__sqe sqe;
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	sqe = entry(PEAL__OP_RECV, fds[0], buf, 8);
	sqe.op_flags = MSG_DONTWAIT;
	ck_assert_int_eq(attempt(sqe), -EAGAIN);
}

BARE_TEST(whole_receive_keeps_its_progress)
{
	struct peal__sqe sqe;
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	sqe = entry(PEAL__OP_RECV, fds[0], buf, 8);
	sqe.op_flags = MSG_WAITALL;
	ck_assert_int_eq(write(fds[1], "abc", 3), 3);
	ck_assert_int_eq(attempt_how(&sqe, 0), READY_WAIT);
	ck_assert_int_eq(progress, 3);
	ck_assert_uint_eq(sqe.len, 5);
	ck_assert_int_eq(write(fds[1], "defgh", 5), 5);
	ck_assert_int_eq(again(&sqe), 8);
	ck_assert(!memcmp(buf, "abcdefgh", 8));
}

BARE_TEST(whole_receive_that_meets_the_end_says_what_came)
{
	struct peal__sqe sqe;
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	sqe = entry(PEAL__OP_RECV, fds[0], buf, 8);
	sqe.op_flags = MSG_WAITALL;
	ck_assert_int_eq(write(fds[1], "abc", 3), 3);
	ck_assert_int_eq(attempt_how(&sqe, 0), READY_WAIT);
	close(fds[1]);
	ck_assert_int_eq(again(&sqe), 3);
}

BARE_TEST(whole_message_goes_on_inside_its_parts)
{
	struct iovec parts[3] = { { buf, 2 }, { buf + 100, 0 },
				  { buf + 200, 6 } };
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 3 };
	struct peal__sqe sqe;
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	sqe = entry(PEAL__OP_RECVMSG, fds[0], &msg, 1);
	sqe.op_flags = MSG_WAITALL;
	ck_assert_int_eq(write(fds[1], "abc", 3), 3);
	ck_assert_int_eq(attempt_how(&sqe, 0), READY_WAIT);
	ck_assert_int_eq(progress, 3);
	ck_assert_int_eq(write(fds[1], "defgh", 5), 5);
	ck_assert_int_eq(again(&sqe), 8);
	ck_assert(!memcmp(buf, "ab", 2) && !memcmp(buf + 200, "cdefgh", 6));
	ck_assert_uint_eq(parts[0].iov_len, 2);
}

BARE_TEST(accept_makes_the_listener_nonblocking_for_good)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(AF_INET, &addr, &len);
	int client = plain_socket(AF_INET), got;

	ck_assert_int_eq(attempt(entry(PEAL__OP_ACCEPT, listener, NULL, 0)),
			 READY_WAIT);
	ck_assert(is_nonblocking(listener));
	ck_assert_int_eq(connect(client, (void *)&addr, len), 0);
	got = attempt(entry(PEAL__OP_ACCEPT, listener, NULL, 0));
	ck_assert_int_ge(got, 0);
	keep_fd(got);
	ck_assert(!is_nonblocking(got));
}

BARE_TEST(connect_waits_once_and_then_tells)
{
	struct sockaddr_storage addr;
	struct peal__sqe sqe;
	socklen_t len;
	int rc;

	make_listener(AF_INET, &addr, &len);
	sqe = entry(PEAL__OP_CONNECT, plain_socket(AF_INET), &addr,
		    0);
	sqe.off = len;
	rc = attempt_how(&sqe, 0);
	if (rc == READY_WAIT) {
		struct pollfd one = { .fd = sqe.fd, .events = POLLOUT };

		ck_assert_int_eq(poll(&one, 1, 5000), 1);
		rc = again(&sqe);
	}
	ck_assert_int_eq(rc, 0);
	ck_assert(!is_nonblocking(sqe.fd));
	ck_assert_int_eq(attempt(sqe), -EISCONN);
}

BARE_TEST(connect_to_a_full_unix_listener_is_for_the_pool)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = plain_socket(AF_UNIX), at, rc;
	struct peal__sqe sqe;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/s",
		 keep_fd(open(dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
	ck_assert_int_eq(bind(listener, (void *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(listener, 0), 0);
	for (at = 0, rc = 0; at < 10 && rc == 0; at++) {
		sqe = entry(PEAL__OP_CONNECT, plain_socket(AF_UNIX),
			    &addr, 0);
		sqe.off = sizeof(addr);
		rc = attempt(sqe);
	}
	ck_assert_int_eq(rc, READY_POOL);
}

/* --- poll and splice ------------------------------------------------------ */

static int try_poll(int fd, unsigned events)
{
	struct peal__sqe sqe = entry(PEAL__OP_POLL_ADD, fd, NULL, 0);

	sqe.op_flags = events;
	return attempt(sqe);
}

BARE_TEST(poll_says_what_is_ready_and_what_is_no_descriptor)
{
	int fds[2];

	make_pipe(fds);
	ck_assert_int_eq(try_poll(fds[0], POLLIN), READY_WAIT);
	ck_assert_int_eq(try_poll(fds[1], POLLOUT), POLLOUT);
	ck_assert_int_eq(try_poll(-1, POLLIN), -EBADF);
	ck_assert_int_eq(try_poll(closed_fd(), POLLIN), -EBADF);
	close(fds[1]);
	ck_assert_int_eq(try_poll(fds[0], POLLIN), POLLHUP);
}

static int try_splice(int in, int out, size_t len, unsigned flags)
{
	struct peal__sqe sqe = entry(PEAL__OP_SPLICE, out, NULL, len);

	sqe.addr = sqe.off = UINT64_MAX;
	sqe.file_index = (uint32_t)in;
	sqe.op_flags = flags;
	return attempt(sqe);
}

BARE_TEST(splice_is_for_the_pool_when_both_ends_are_ready)
{
	int from[2], to[2];

	make_pipe(from);
	make_pipe(to);
	ck_assert_int_eq(try_splice(from[0], to[1], 4, 0), READY_WAIT);
	ck_assert_int_eq(write(from[1], "data", 4), 4);
	ck_assert_int_eq(try_splice(from[0], to[1], 4, 0), READY_POOL);
	make_full(to[1]);
	ck_assert_int_eq(try_splice(from[0], to[1], 4, 0), READY_WAIT);
}

BARE_TEST(splice_that_cannot_wait_is_for_the_pool)
{
	int from[2], to[2];

	make_pipe(from);
	make_pipe(to);
	ck_assert_int_eq(try_splice(from[0], to[1], 4, SPLICE_F_NONBLOCK),
			 READY_POOL);
}

BARE_TEST(splice_that_is_wrong_says_so_before_it_waits)
{
	int from[2], to[2];

	make_pipe(from);
	make_pipe(to);
	ck_assert_int_eq(try_splice(from[0], to[1], 0, 0), 0);
	ck_assert_int_eq(try_splice(from[0], closed_fd(), 0, 0), -EBADF);
	ck_assert_int_eq(try_splice(from[0], to[1], 0, 0x1000), -EINVAL);
	ck_assert_int_eq(write(from[1], "data", 4), 4);
	make_full(to[1]);
	ck_assert_int_eq(try_splice(from[0], to[0], 4, 0), -EBADF);
	ck_assert_int_eq(try_splice(to[1], from[1], 4, 0), -EBADF);
	ck_assert_int_eq(try_splice(from[0], to[1], 4, 0x1000), -EINVAL);
}

BARE_TEST(offset_that_no_stream_has_is_refused)
{
	struct peal__sqe sqe;
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	sqe = entry(PEAL__OP_READ, fds[0], buf, 8);
	sqe.off = 3;
	ck_assert_int_eq(attempt(sqe), -ESPIPE);
	sqe.off = UINT64_C(1) << 63;
	ck_assert_int_eq(attempt(sqe), -EINVAL);
	make_pipe(fds);
	sqe.fd = fds[0];
	ck_assert_int_eq(attempt(sqe), -EINVAL);
	sqe.fd = fds[1];
	ck_assert_int_eq(attempt(sqe), -EBADF);
	sqe.fd = fds[0];
	sqe.off = 3;
	ck_assert_int_eq(attempt(sqe), READY_WAIT);
}

BARE_TEST(accept_on_what_does_not_listen_leaves_it_as_it_is)
{
	int fds[2], file = make_file("f", "data", 4);

	make_socketpair(SOCK_STREAM, fds);
	ck_assert_int_eq(attempt(entry(PEAL__OP_ACCEPT, fds[0], NULL, 0)),
			 -EINVAL);
	ck_assert(!is_nonblocking(fds[0]));
	ck_assert_int_eq(attempt(entry(PEAL__OP_ACCEPT, file, NULL, 0)),
			 -ENOTSOCK);
	ck_assert(!is_nonblocking(file));
}

BARE_TEST(write_of_nothing_sends_an_empty_datagram)
{
	int fds[2];

	make_socketpair(SOCK_DGRAM, fds);
	ck_assert_int_eq(attempt(entry(PEAL__OP_WRITE, fds[0], buf, 0)), 0);
	ck_assert_int_eq(recv(fds[1], buf, 8, MSG_DONTWAIT), 0);
	ck_assert_int_eq(recv(fds[1], buf, 8, MSG_DONTWAIT), -1);
}

/* --- the table ----------------------------------------------------------- */

BARE_TEST(ops_without_readiness_have_no_attempt)
{
	ck_assert(!peal__ready_has(PEAL__OP_FSYNC));
	ck_assert(!peal__ready_has(PEAL__OP_OPENAT));
	ck_assert(!peal__ready_has(PEAL__OP_NOP));
	ck_assert(!peal__ready_has(PEAL__OP_COUNT));
	ck_assert(peal__ready_has(PEAL__OP_RECV));
}

SUITE("ready")
