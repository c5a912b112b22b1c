/* SPDX-License-Identifier: MIT */
/* Full transfers, pipes and terminals: data that comes in pieces. */
#include <pty.h>
#include <termios.h>

#include "test/harness.h"

static char text[16] = "0123456789abcdef";

/* --- read_full, write_full ----------------------------------------------- */

TEST(read_full_reads_the_whole_length)
{
	int fd = make_file("f", text, 16);
	char buf[16];
	const struct outcome *seen = finish_outcome(
		peal_read_full(ring, fd, buf, 16, 0, 0, on_done, NULL));

	ck_result(seen->result, 16);
	ck_assert_ptr_eq(seen->buf, buf + 16);
	ck_assert_mem_eq(buf, text, 16);
}

TEST(read_full_stops_at_the_end_of_the_file)
{
	int fd = make_file("f", text, 16);
	char buf[100];
	const struct outcome *seen = finish_outcome(
		peal_read_full(ring, fd, buf, 100, 6, 0, on_done, NULL));

	ck_result(seen->result, 10);
	ck_assert_ptr_eq(seen->buf, buf + 10);
}

TEST(read_full_past_the_end_finishes_with_zero)
{
	int fd = make_file("f", text, 16);
	char buf[4];
	const struct outcome *seen = finish_outcome(
		peal_read_full(ring, fd, buf, 4, 100, 0, on_done, NULL));

	ck_result(seen->result, 0);
	ck_assert_ptr_eq(seen->buf, buf);
}

TEST(read_full_of_a_bad_fd_is_ebadf_and_names_the_first_byte)
{
	char buf[4];
	peal_op op = peal_read_full(ring, closed_fd(), buf, 4, 0, 0, on_done,
				    NULL);

	ck_result(finish_or_refused(op), -EBADF);
	if (op > 0)
		ck_assert_ptr_eq(outcome(op)->buf, buf);
}

TEST(read_full_waits_for_all_of_a_pipe)
{
	char buf[12];
	int fds[2];
	peal_op op;
	unsigned at;

	make_pipe(fds);
	op = peal_read_full(ring, fds[0], buf, 12, PEAL_CURRENT, 0, on_done,
			    NULL);
	for (at = 0; at < 12; at += 3) {
		settle();
		ck_assert(!finished(op));
		ck_assert_int_eq(write(fds[1], text + at, 3), 3);
	}
	ck_result(finish(op), 12);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert_mem_eq(buf, text, 12);
}

TEST(read_full_of_a_pipe_ends_when_the_writer_goes)
{
	char buf[12];
	int fds[2];
	peal_op op;

	make_pipe(fds);
	op = peal_read_full(ring, fds[0], buf, 12, PEAL_CURRENT, 0, on_done,
			    NULL);
	ck_assert_int_eq(write(fds[1], text, 5), 5);
	settle();
	close(fds[1]);
	ck_result(finish(op), 5);
	ck_assert_ptr_eq(outcome(op)->buf, buf + 5);
}

TEST(write_full_fills_a_pipe_as_it_drains)
{
	size_t len = 1 << 20, got = 0;
	char *out = aligned_buffer(len), *in = aligned_buffer(len);
	const struct outcome *seen;
	int fds[2];
	peal_op op;

	make_pipe(fds);
	fill_pattern(out, len, 7);
	op = peal_write_full(ring, fds[1], out, len, PEAL_CURRENT, 0, on_done,
			     NULL);
	while (got < len) {
		peal_op part = peal_read(ring, fds[0], in + got, len - got,
					 PEAL_CURRENT, 0, on_done, NULL);

		ck_assert_int_gt(finish(part), 0);
		got += (size_t)outcome(part)->result;
	}
	seen = finish_outcome(op);
	ck_result(seen->result, (int64_t)len);
	ck_assert_ptr_eq(seen->buf, out + len);
	ck_assert_mem_eq(in, out, len);
}

TEST(write_full_to_a_pipe_without_reader_is_epipe)
{
	/* And no signal: the default action of SIGPIPE would end this test. */
	int fds[2];
	peal_op op;

	make_pipe(fds);
	close(fds[0]);
	op = peal_write_full(ring, fds[1], text, 16, PEAL_CURRENT, 0, on_done,
			     NULL);
	ck_result(finish(op), -EPIPE);
	ck_assert_ptr_eq(outcome(op)->buf, text);
}

TEST(write_full_of_nothing_finishes_with_zero)
{
	int fd = make_file("f", text, 16);

	ck_result(finish(peal_write_full(ring, fd, text, 0, 0, 0, on_done,
					 NULL)), 0);
	ck_result(finish(peal_read_full(ring, fd, text, 0, 0, 0, on_done,
					NULL)), 0);
}

TEST(write_full_at_an_offset_lands_there)
{
	int fd = make_file("f", text, 16);
	char buf[4];

	ck_result(finish(peal_write_full(ring, fd, "WXYZ", 4, 6, 0, on_done,
					 NULL)), 4);
	ck_assert_int_eq(pread(fd, buf, 4, 6), 4);
	ck_assert_mem_eq(buf, "WXYZ", 4);
}

TEST(write_full_can_be_cancelled_and_names_how_far_it_came)
{
	size_t len = 1 << 20;
	char *out = aligned_buffer(len);
	const struct outcome *seen;
	int fds[2];
	peal_op op;

	make_pipe(fds);
	op = peal_write_full(ring, fds[1], out, len, PEAL_CURRENT, 0, on_done,
			     NULL);
	settle();
	ck_assert(!finished(op));
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	seen = finish_outcome(op);
	ck_result(seen->result, -ECANCELED);
	ck_assert(seen->flags & PEAL_CANCELLED);
	ck_assert_ptr_eq(seen->buf, out + 65536);
}

/* --- pipes and terminals ------------------------------------------------- */

TEST(read_of_a_pipe_waits_for_data)
{
	char buf[16];
	int fds[2];
	peal_op op;

	make_pipe(fds);
	op = peal_read(ring, fds[0], buf, 16, PEAL_CURRENT, 0, on_done, NULL);
	settle();
	ck_assert(!finished(op));
	ck_assert_int_eq(write(fds[1], "hi", 2), 2);
	ck_result(finish(op), 2);
	ck_assert_mem_eq(buf, "hi", 2);
}

TEST(read_of_a_pipe_whose_writer_is_gone_finishes_with_zero)
{
	char buf[16];
	int fds[2];
	peal_op op;

	make_pipe(fds);
	op = peal_read(ring, fds[0], buf, 16, PEAL_CURRENT, 0, on_done, NULL);
	settle();
	close(fds[1]);
	ck_result(finish(op), 0);
}

TEST(nonblocking_pipe_behaves_like_a_blocking_one)
{
	char buf[16];
	int fds[2];
	peal_op op;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	keep_fd(fds[0]);
	keep_fd(fds[1]);
	op = peal_read(ring, fds[0], buf, 16, PEAL_CURRENT, 0, on_done, NULL);
	settle();
	ck_assert_msg(!finished(op), "it finished with %s",
		      harness_errno(outcome(op)->result));
	ck_assert_int_eq(write(fds[1], "hi", 2), 2);
	ck_result(finish(op), 2);
}

TEST(write_to_a_pipe_without_reader_is_epipe_and_no_signal)
{
	int fds[2];

	make_pipe(fds);
	close(fds[0]);
	ck_result(write_at(fds[1], text, 16, PEAL_CURRENT), -EPIPE);
}

TEST(read_of_a_pipe_at_an_offset_is_the_same_or_espipe)
{
	/* Linux's io_uring ignores an offset on a stream; pread(2) refuses. */
	char buf[4];
	int fds[2];
	int64_t result;

	make_pipe(fds);
	ck_assert_int_eq(write(fds[1], text, 4), 4);
	result = read_at(fds[0], buf, 4, 0);
	ck_assert(result == 4 || result == -ESPIPE);
}

TEST(terminal_is_read_and_written_with_peal_current)
{
	struct termios raw;
	int outer, inner;
	char buf[16];
	peal_op op;

	if (on_sim())
		SKIP("a simulated machine has no terminals");
	if (openpty(&outer, &inner, NULL, NULL, NULL) != 0)
		SKIP("openpty: %s", strerror(errno));
	keep_fd(outer);
	keep_fd(inner);
	ck_assert_int_eq(tcgetattr(inner, &raw), 0);
	cfmakeraw(&raw);
	ck_assert_int_eq(tcsetattr(inner, TCSANOW, &raw), 0);
	op = peal_read(ring, inner, buf, 16, PEAL_CURRENT, 0, on_done, NULL);
	settle();
	ck_assert(!finished(op));
	ck_result(write_at(outer, "key", 3, PEAL_CURRENT), 3);
	ck_result(finish(op), 3);
	ck_assert_mem_eq(buf, "key", 3);
	ck_result(write_at(inner, "echo", 4, PEAL_CURRENT), 4);
	ck_result(read_at(outer, buf, 16, PEAL_CURRENT), 4);
	ck_assert_mem_eq(buf, "echo", 4);
}

SUITE("stream")
