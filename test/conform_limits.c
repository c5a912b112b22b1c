/* SPDX-License-Identifier: MIT */
/* What happens at the edges: no row, no entry, no room, no descriptor. */
#include <sys/resource.h>

#include "test/harness.h"

static unsigned done_count;

static void on_count(struct peal_ring *where,
		     const struct peal_completion *done)
{
	(void)where;
	ck_result(done->result, 0);
	done_count++;
}

static void ring_with(uint32_t entries, uint32_t cq_entries, uint32_t max_ops)
{
	struct peal_ring_options options = harness_options();

	options.entries = entries;
	options.cq_entries = cq_entries;
	options.max_ops = max_ops;
	reopen_ring(&options);
}

/* --- max_ops ------------------------------------------------------------- */

TEST(op_beyond_max_ops_is_eagain_and_nothing_happens)
{
	char bytes[4];
	int fds[2];
	peal_op ops[4];
	unsigned at;

	ring_with(0, 0, 4);
	make_pipe(fds);
	for (at = 0; at < 4; at++) {
		ops[at] = peal_read(ring, fds[0], &bytes[at], 1, PEAL_CURRENT,
				    0, on_done, NULL);
		ck_assert_int_gt(ops[at], 0);
	}
	ck_result(peal_nop(ring, 0, on_done, NULL), -EAGAIN);
	ck_result(peal_read(ring, fds[0], bytes, 1, PEAL_CURRENT, 0, on_done,
			    NULL), -EAGAIN);
	ck_result(peal_sleep(ring, 1, 0, on_done, NULL), -EAGAIN);
	ck_result(peal_write_full(ring, fds[1], bytes, 1, PEAL_CURRENT, 0,
				  on_done, NULL), -EAGAIN);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 4);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	UNTIL(peal_ring_in_flight(ring) == 3);
	ck_result(finish(peal_nop(ring, 0, on_done, NULL)), 0);
	for (at = 0; at < 4; at++)
		if (!finished(ops[at]))
			ck_result(peal_cancel(ring, ops[at], 0, NULL, NULL),
				  0);
}

TEST(cancel_without_handler_works_when_no_op_has_room)
{
	char bytes[4];
	int fds[2];
	peal_op ops[4];
	unsigned at;

	ring_with(0, 0, 4);
	make_pipe(fds);
	for (at = 0; at < 4; at++)
		ops[at] = peal_read(ring, fds[0], &bytes[at], 1, PEAL_CURRENT,
				    0, on_done, NULL);
	ck_result(peal_nop(ring, 0, on_done, NULL), -EAGAIN);
	for (at = 0; at < 4; at++)
		ck_result(peal_cancel(ring, ops[at], 0, NULL, NULL), 0);
	for (at = 0; at < 4; at++)
		ck_result(finish(ops[at]), -ECANCELED);
}

TEST(deadline_works_when_no_op_has_room)
{
	char byte;
	int fds[2];
	peal_op op;

	ring_with(0, 0, 1);
	make_pipe(fds);
	op = peal_read(ring, fds[0], &byte, 1, PEAL_CURRENT, 0, on_done, NULL);
	ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	ck_result(peal_nop(ring, 0, on_done, NULL), -EAGAIN);
	ck_result(finish(op), -ETIMEDOUT);
	ck_result(finish(peal_nop(ring, 0, on_done, NULL)), 0);
}

TEST(handler_finds_the_row_of_its_own_op_free)
{
	unsigned at;

	ring_with(0, 0, 1);
	for (at = 0; at < 100; at++)
		ck_result(finish(peal_nop(ring, 0, on_done, NULL)), 0);
}

static void on_done_replace(struct peal_ring *where,
			    const struct peal_completion *done)
{
	on_count(where, done);
	if (done_count < 1000)
		ck_assert_int_gt(peal_nop(where, 0, on_done_replace, NULL), 0);
}

TEST(one_row_is_enough_for_a_chain)
{
	ring_with(1, 0, 1);
	ck_assert_int_gt(peal_nop(ring, 0, on_done_replace, NULL), 0);
	UNTIL(done_count == 1000);
}

TEST(sixty_thousand_ops_are_in_flight_at_once)
{
	int fds[2];
	unsigned at;

	make_pipe(fds);
	for (at = 0; at < 60000; at++)
		ck_assert_int_gt(peal_sleep(ring, 3600 * PEAL_S, 0, NULL, NULL),
				 0);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 60000);
	ck_ok(peal_cancel_all(ring, 0, NULL, NULL));
	UNTIL(peal_ring_in_flight(ring) == 0);
}

/* --- tiny queues --------------------------------------------------------- */

TEST(two_entries_serve_ten_thousand_ops_started_at_once)
{
	unsigned at;

	ring_with(2, 0, 0);
	for (at = 0; at < 10000; at++)
		ck_assert_int_gt(peal_nop(ring, 0, on_count, NULL), 0);
	ck_assert_uint_eq(done_count, 0);
	UNTIL(done_count == 10000);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

TEST(one_entry_is_enough)
{
	unsigned at;

	ring_with(1, 0, 0);
	for (at = 0; at < 1000; at++)
		ck_assert_int_gt(peal_nop(ring, 0, on_count, NULL), 0);
	UNTIL(done_count == 1000);
}

TEST(two_completions_of_room_lose_none_of_ten_thousand)
{
	unsigned at;

	ring_with(2, 2, 0);
	for (at = 0; at < 10000; at++)
		ck_assert_int_gt(peal_nop(ring, 0, on_count, NULL), 0);
	UNTIL(done_count == 10000);
}

static unsigned read_count;

static void on_byte(struct peal_ring *where,
		    const struct peal_completion *done)
{
	(void)where;
	ck_result(done->result, 1);
	read_count++;
}

TEST(overflow_of_the_completion_queue_loses_nothing)
{
	static char out[2000], in[2000];
	int fds[2];
	unsigned at;

	ring_with(4, 4, 0);
	make_pipe(fds);
	for (at = 0; at < 2000; at++)
		ck_assert_int_gt(peal_read(ring, fds[0], &in[at], 1,
					   PEAL_CURRENT, 0, on_byte, NULL),
				 0);
	settle();
	ck_assert_uint_eq(read_count, 0);
	ck_assert_int_eq(write(fds[1], out, 2000), 2000);
	UNTIL(read_count == 2000);
}

TEST(cancel_goes_through_a_full_submission_queue)
{
	char byte;
	int fds[2];
	peal_op op;
	unsigned at;

	ring_with(2, 0, 0);
	make_pipe(fds);
	op = peal_read(ring, fds[0], &byte, 1, PEAL_CURRENT, 0, on_done, NULL);
	for (at = 0; at < 101; at++)
		ck_assert_int_gt(peal_nop(ring, 0, on_count, NULL), 0);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
	UNTIL(done_count == 101);
}

TEST(many_cancels_go_through_a_tiny_ring)
{
	static char bytes[500];
	peal_op ops[500];
	int fds[2];
	unsigned at;

	ring_with(2, 2, 0);
	make_pipe(fds);
	for (at = 0; at < 500; at++)
		ops[at] = peal_read(ring, fds[0], &bytes[at], 1, PEAL_CURRENT,
				    0, on_done, NULL);
	for (at = 0; at < 500; at++)
		ck_result(peal_cancel(ring, ops[at], 0, NULL, NULL), 0);
	for (at = 0; at < 500; at++)
		ck_result(finish(ops[at]), -ECANCELED);
}

TEST(tiny_ring_moves_files_and_sockets_too)
{
	size_t len = 1 << 20;
	char *out = aligned_buffer(len), *in = aligned_buffer(len);
	int fds[2], fd = make_file("f", "", 0);
	peal_op sending, receiving;

	ring_with(2, 2, 0);
	make_socketpair(SOCK_STREAM, fds);
	fill_pattern(out, len, 2);
	ck_result(finish(peal_write_full(ring, fd, out, len, 0, 0, on_done,
					 NULL)), (int64_t)len);
	ck_result(finish(peal_read_full(ring, fd, in, len, 0, 0, on_done,
					NULL)), (int64_t)len);
	ck_assert(has_pattern(in, len, 2));
	memset(in, 0, len);
	sending = peal_send_full(ring, fds[0], out, len, 0, 0, on_done, NULL);
	receiving = peal_read_full(ring, fds[1], in, len, PEAL_CURRENT, 0,
				   on_done, NULL);
	ck_result(finish(sending), (int64_t)len);
	ck_result(finish(receiving), (int64_t)len);
	ck_assert(has_pattern(in, len, 2));
}

/* --- descriptors --------------------------------------------------------- */

/* No descriptor above the ones that are open. */
static rlim_t no_more_fds(void)
{
	struct rlimit limit;
	rlim_t before;
	int fd = dup(0);

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	before = limit.rlim_cur;
	limit.rlim_cur = (rlim_t)fd;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return before;
}

static void more_fds(rlim_t before)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = before;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

TEST(open_and_socket_without_a_free_fd_are_emfile)
{
	rlim_t before;
	int64_t fd;

	make_file("f", "data", 4);
	before = no_more_fds();
	ck_result(finish(peal_open(ring, PEAL_CWD, path_in_dir("f"), O_RDONLY,
				   0, 0, on_done, NULL)), -EMFILE);
	ck_result(finish_or_refused(peal_socket(ring, AF_INET, SOCK_STREAM, 0,
						0, on_done, NULL)), -EMFILE);
	more_fds(before);
	fd = finish(peal_open(ring, PEAL_CWD, path_in_dir("f"), O_RDONLY, 0, 0,
			      on_done, NULL));
	ck_ok(fd);
	keep_fd((int)fd);
}

TEST(accept_without_a_free_fd_is_emfile_and_keeps_the_connection)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(AF_INET, &addr, &len);
	int client = keep_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	rlim_t before;
	int64_t fd;

	ck_assert_int_eq(connect(client, (struct sockaddr *)&addr, len), 0);
	before = no_more_fds();
	ck_result(finish(peal_accept(ring, listener, NULL, NULL, 0, on_done,
				     NULL)), -EMFILE);
	more_fds(before);
	fd = finish(peal_accept(ring, listener, NULL, NULL, 0, on_done, NULL));
	ck_ok(fd);
	keep_fd((int)fd);
}

TEST(accept_multishot_without_a_free_fd_ends_with_emfile)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(AF_INET, &addr, &len);
	int client = keep_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	rlim_t before;
	peal_op op;

	ck_assert_int_eq(connect(client, (struct sockaddr *)&addr, len), 0);
	before = no_more_fds();
	op = peal_accept_multishot(ring, listener, 0, on_done, NULL);
	ck_result(finish(op), -EMFILE);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	more_fds(before);
	op = peal_accept_multishot(ring, listener, 0, on_done, NULL);
	UNTIL(outcome(op)->calls == 1);
	ck_ok(outcome(op)->result);
	keep_fd((int)outcome(op)->result);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	finish(op);
}

/* --- flags --------------------------------------------------------------- */

TEST(every_op_refuses_a_flag_it_does_not_have)
{
	struct iovec iov = { NULL, 0 };
	struct msghdr msg = { 0 };
	struct peal_stat st;
	struct sockaddr_in addr = { .sin_family = AF_INET };
	const unsigned bad = 1u << 31;

	ck_result(peal_close(ring, 0, bad, NULL, NULL), -EINVAL);
	ck_result(peal_close_drained(ring, 0, bad, NULL, NULL), -EINVAL);
	ck_result(peal_readv(ring, 0, &iov, 1, 0, 0, bad, NULL, NULL),
		  -EINVAL);
	ck_result(peal_writev(ring, 0, &iov, 1, 0, 0, bad, NULL, NULL),
		  -EINVAL);
	ck_result(peal_read_full(ring, 0, &st, 1, 0, bad, NULL, NULL),
		  -EINVAL);
	ck_result(peal_write_full(ring, 0, &st, 1, 0, bad, NULL, NULL),
		  -EINVAL);
	ck_result(peal_sync(ring, 0, bad, NULL, NULL), -EINVAL);
	ck_result(peal_datasync(ring, 0, bad, NULL, NULL), -EINVAL);
	ck_result(peal_sync_range(ring, 0, 0, 0, 0, bad, NULL, NULL), -EINVAL);
	ck_result(peal_allocate(ring, 0, 0, 1, bad, NULL, NULL), -EINVAL);
	ck_result(peal_punch(ring, 0, 0, 1, bad, NULL, NULL), -EINVAL);
	ck_result(peal_zero_range(ring, 0, 0, 1, bad, NULL, NULL), -EINVAL);
	ck_result(peal_advise(ring, 0, 0, 1, 0, bad, NULL, NULL), -EINVAL);
	ck_result(peal_stat(ring, PEAL_CWD, ".", 0, PEAL_STAT_BASIC, &st, bad,
			    NULL, NULL), -EINVAL);
	ck_result(peal_rename(ring, PEAL_CWD, "x", PEAL_CWD, "y", 0, bad, NULL,
			      NULL), -EINVAL);
	ck_result(peal_link(ring, PEAL_CWD, "x", PEAL_CWD, "y", 0, bad, NULL,
			    NULL), -EINVAL);
	ck_result(peal_symlink(ring, "x", PEAL_CWD, "y", bad, NULL, NULL),
		  -EINVAL);
	ck_result(peal_unlink(ring, PEAL_CWD, "x", 0, bad, NULL, NULL),
		  -EINVAL);
	ck_result(peal_mkdir(ring, PEAL_CWD, "x", 0, bad, NULL, NULL),
		  -EINVAL);
	ck_result(peal_splice(ring, 0, 0, 1, 0, 1, 0, bad, NULL, NULL),
		  -EINVAL);
	ck_result(peal_bind(ring, 0, (struct sockaddr *)&addr, sizeof(addr),
			    bad, NULL, NULL), -EINVAL);
	ck_result(peal_listen(ring, 0, 1, bad, NULL, NULL), -EINVAL);
	ck_result(peal_accept(ring, 0, NULL, NULL, bad, NULL, NULL), -EINVAL);
	ck_result(peal_accept_multishot(ring, 0, bad, NULL, NULL), -EINVAL);
	ck_result(peal_connect(ring, 0, (struct sockaddr *)&addr, sizeof(addr),
			       bad, NULL, NULL), -EINVAL);
	ck_result(peal_recv(ring, 0, &st, 1, 0, bad, NULL, NULL), -EINVAL);
	ck_result(peal_send(ring, 0, &st, 1, 0, bad, NULL, NULL), -EINVAL);
	ck_result(peal_send_full(ring, 0, &st, 1, 0, bad, NULL, NULL),
		  -EINVAL);
	ck_result(peal_recvmsg(ring, 0, &msg, 0, bad, NULL, NULL), -EINVAL);
	ck_result(peal_sendmsg(ring, 0, &msg, 0, bad, NULL, NULL), -EINVAL);
	ck_result(peal_shutdown(ring, 0, SHUT_RD, bad, NULL, NULL), -EINVAL);
	ck_result(peal_poll_multishot(ring, 0, POLLIN, bad, NULL, NULL),
		  -EINVAL);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

SUITE("limits")
