/* SPDX-License-Identifier: MIT */
/* A ring in another loop, and what is underneath a ring. */
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <time.h>

#include "peal/uring.h"
#include "test/harness.h"

#define NEEDS_FD							\
	do {								\
		if (on_sim())						\
			SKIP("no descriptor of the system tells of a "	\
			     "simulated ring");				\
	} while (0)

/* --- embedding ----------------------------------------------------------- */

/* One round of someone else's loop. It waits as long as the ring says; the
 * test's time-out is what ends a wait that should have ended. */
static void foreign_round(void)
{
	struct pollfd ready = { peal_ring_fd(ring), POLLIN, 0 };
	uint64_t ns = peal_ring_timeout_ns(ring);
	int ms = ns == PEAL_FOREVER ? -1 : (int)((ns + PEAL_MS - 1) / PEAL_MS);

	ck_assert_int_ge(poll(&ready, 1, ms), 0);
	ck_ok(peal_ring_turn(ring, 0));
}

static void foreign_loop_until_finished(peal_op op)
{
	unsigned rounds;

	for (rounds = 0; !finished(op); rounds++) {
		ck_assert_uint_lt(rounds, 1000);
		foreign_round();
	}
}

TEST(ring_in_a_poll_loop_serves_descriptors)
{
	NEEDS_FD;
	char buf[4];
	int fds[2];
	peal_op op;

	make_pipe(fds);
	op = peal_read(ring, fds[0], buf, 4, PEAL_CURRENT, 0, on_done, NULL);
	ck_ok(peal_ring_turn(ring, 0));
	ck_assert_int_eq(write(fds[1], "data", 4), 4);
	foreign_loop_until_finished(op);
	ck_result(outcome(op)->result, 4);
}

TEST(ring_in_a_poll_loop_serves_files)
{
	NEEDS_FD;
	char *buf = aligned_buffer(1 << 20);
	int fd = open_direct("d", O_RDWR | O_CREAT);
	peal_op op;

	if (fd < 0)
		SKIP("O_DIRECT: %s", strerror(errno));
	op = peal_write(ring, fd, buf, 1 << 20, 0, 0, on_done, NULL);
	ck_ok(peal_ring_turn(ring, 0));
	foreign_loop_until_finished(op);
	ck_result(outcome(op)->result, 1 << 20);
}

TEST(ring_in_a_poll_loop_serves_timers)
{
	NEEDS_FD;
	peal_op op = peal_sleep(ring, 3 * PEAL_MS, 0, on_done, NULL);

	ck_assert_uint_le(peal_ring_timeout_ns(ring), 3 * PEAL_MS);
	foreign_loop_until_finished(op);
	ck_result(outcome(op)->result, 0);
}

TEST(ring_in_a_poll_loop_serves_deadlines)
{
	NEEDS_FD;
	char buf[4];
	int fds[2];
	peal_op op;

	make_pipe(fds);
	op = peal_read(ring, fds[0], buf, 4, PEAL_CURRENT, 0, on_done, NULL);
	ck_result(peal_deadline(ring, op, 3 * PEAL_MS, 0), 0);
	ck_ok(peal_ring_turn(ring, 0));
	foreign_loop_until_finished(op);
	ck_result(outcome(op)->result, -ETIMEDOUT);
}

TEST(ring_in_a_poll_loop_asks_for_a_turn_while_ops_are_not_submitted)
{
	peal_op op = peal_nop(ring, 0, on_done, NULL);

	ck_assert_uint_eq(peal_ring_timeout_ns(ring), 0);
	foreign_loop_until_finished(op);
}

static void note_post(struct peal_ring *where, void *ctx)
{
	(void)where;
	*(int *)ctx = 1;
}

/* Most of the time the other thread is then in poll(). On a processor with
 * other work to do, one turn of it may take what fifty take here. */
static void let_the_other_thread_wait(void)
{
	struct timespec start, now;
	unsigned at;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (at = 0; at < 50; at++) {
		sched_yield();
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec != start.tv_sec ||
		    now.tv_nsec - start.tv_nsec > 1000000)
			return;
	}
}

static void *post_soon(void *arg)
{
	let_the_other_thread_wait();
	if (peal_post(ring, note_post, arg) != 0)
		abort();
	return NULL;
}

TEST(ring_in_a_poll_loop_is_woken_by_posts)
{
	NEEDS_FD;
	unsigned at;

	for (at = 0; at < 100; at++) {
		pthread_t thread;
		int posted = 0;

		ck_ok(peal_ring_turn(ring, 0));
		ck_assert_int_eq(pthread_create(&thread, NULL, post_soon,
						&posted), 0);
		while (!posted)
			foreign_round();
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
	}
}

TEST(ring_in_a_poll_loop_is_quiet_after_a_post)
{
	NEEDS_FD;
	struct pollfd ready = { peal_ring_fd(ring), POLLIN, 0 };
	int posts = 0, rounds;
	pthread_t id;

	ck_ok(peal_ring_turn(ring, 0));
	ck_assert_int_eq(pthread_create(&id, NULL, post_soon, &posts), 0);
	while (!posts)
		foreign_round();
	pthread_join(id, NULL);
	ck_assert_int_eq(posts, 1);
	/* The kernel may pass a signal on late, but only so often. */
	for (rounds = 0; rounds < 20 && poll(&ready, 1, 20); rounds++)
		ck_ok(peal_ring_turn(ring, 0));
	ck_assert_int_lt(rounds, 20);
}

TEST(ring_in_a_poll_loop_tells_of_completions_that_had_no_room)
{
	NEEDS_FD;
	struct peal_ring_options options = harness_options();
	struct pollfd ready;
	peal_op ops[64];
	int i, rounds;
	uint64_t ns;

	options.entries = 2;
	options.cq_entries = 2;
	reopen_ring(&options);
	ready = (struct pollfd){ peal_ring_fd(ring), POLLIN, 0 };
	for (i = 0; i < 64; i++)
		ck_ok(ops[i] = peal_nop(ring, 0, on_done, NULL));
	ck_ok(peal_ring_turn(ring, 0));
	for (rounds = 0; !finished(ops[63]); rounds++) {
		ck_assert_int_lt(rounds, 200);
		ns = peal_ring_timeout_ns(ring);
		ck_assert_int_gt(poll(&ready, 1, ns ? 1000 : 0) + !ns, 0);
		ck_ok(peal_ring_turn(ring, 0));
	}
}

static void *write_soon(void *arg)
{
	let_the_other_thread_wait();
	if (write(*(int *)arg, "data", 4) != 4)
		abort();
	return NULL;
}

TEST(ring_in_a_poll_loop_is_woken_by_descriptors)
{
	NEEDS_FD;
	unsigned at;
	char buf[4];
	int fds[2];

	make_pipe(fds);
	for (at = 0; at < 100; at++) {
		pthread_t thread;
		peal_op op = peal_read(ring, fds[0], buf, 4, PEAL_CURRENT, 0,
				       on_done, NULL);

		ck_ok(peal_ring_turn(ring, 0));
		ck_assert_int_eq(pthread_create(&thread, NULL, write_soon,
						&fds[1]), 0);
		foreign_loop_until_finished(op);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
	}
}

TEST(ring_in_an_epoll_loop_becomes_quiet_when_all_is_done)
{
	NEEDS_FD;
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = keep_fd(epoll_create1(EPOLL_CLOEXEC));
	peal_op op;

	ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, peal_ring_fd(ring),
				   &event), 0);
	op = peal_nop(ring, 0, on_done, NULL);
	while (!finished(op))
		ck_ok(peal_ring_turn(ring, 0));
	settle();
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 0), 0);
}

TEST(timeout_of_an_idle_ring_is_for_ever)
{
	settle();
	ck_assert_uint_eq(peal_ring_timeout_ns(ring), PEAL_FOREVER);
}

/* --- the escape hatch ---------------------------------------------------- */

/* What is replayed was recorded there. */
static int takes_raw_entries(void)
{
	return peal_uring_ring(ring) || harness_replays();
}

TEST(raw_entry_runs_as_an_op)
{
	struct io_uring_sqe entry;
	int fd = make_file("f", "data", 4);
	char buf[4];

	if (!takes_raw_entries())
		SKIP("the engine is not io_uring");
	memset(&entry, 0, sizeof(entry));
	entry.opcode = IORING_OP_READ;
	entry.fd = fd;
	entry.addr = (uintptr_t)buf;
	entry.len = 4;
	entry.user_data = 0xdeadbeef;
	ck_result(finish(peal_uring_submit(ring, &entry, on_done, NULL)), 4);
	ck_assert_mem_eq(buf, "data", 4);
}

/* Debian 12's header ends at Linux 6.1; the numbers go on. */
TEST(raw_entry_reaches_an_opcode_the_header_does_not_know)
{
	enum { OPCODE_PIPE = 62 };	/* Linux 6.16 */
	struct io_uring_sqe entry;
	int fds[2] = { -1, -1 };
	peal_op op;

	if (!peal_uring_ring(ring))
		SKIP("the engine is not io_uring");
	memset(&entry, 0, sizeof(entry));
	entry.opcode = OPCODE_PIPE;
	entry.addr = (uintptr_t)fds;
	entry.open_flags = O_CLOEXEC;
	op = peal_uring_submit(ring, &entry, on_done, NULL);
	if (op == -EOPNOTSUPP)
		SKIP("this kernel has no pipe op (Linux 6.16)");
	ck_result(finish(op), 0);
	keep_fd(fds[0]);
	keep_fd(fds[1]);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
}

TEST(raw_entry_with_flags_that_break_the_loop_is_refused)
{
	const unsigned char bad[] = { IOSQE_IO_LINK, IOSQE_IO_HARDLINK,
				      IOSQE_IO_DRAIN,
				      IOSQE_CQE_SKIP_SUCCESS };
	struct io_uring_sqe entry;
	unsigned at;

	if (!takes_raw_entries()) {
		memset(&entry, 0, sizeof(entry));
		ck_result(peal_uring_submit(ring, &entry, on_done, NULL),
			  -EOPNOTSUPP);
		return;
	}
	for (at = 0; at < sizeof(bad); at++) {
		memset(&entry, 0, sizeof(entry));
		entry.opcode = IORING_OP_NOP;
		entry.flags = bad[at];
		ck_result(peal_uring_submit(ring, &entry, on_done, NULL),
			  -EINVAL);
	}
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

TEST(raw_ring_can_register_buffers)
{
	struct io_uring *raw = peal_uring_ring(ring);
	struct io_uring_sqe entry;
	char *buf = aligned_buffer(4096);
	struct iovec iov = { buf, 4096 };
	int fd = make_file("f", "data", 4);

	if (!raw)
		SKIP("the engine is not io_uring");
	ck_assert_int_eq(io_uring_register_buffers(raw, &iov, 1), 0);
	memset(&entry, 0, sizeof(entry));
	entry.opcode = IORING_OP_READ_FIXED;
	entry.fd = fd;
	entry.addr = (uintptr_t)buf;
	entry.len = 4;
	ck_result(finish(peal_uring_submit(ring, &entry, on_done, NULL)), 4);
	ck_assert_mem_eq(buf, "data", 4);
	ck_assert_int_eq(io_uring_unregister_buffers(raw), 0);
}

SUITE("embed")
