/* SPDX-License-Identifier: MIT */
/* Buffer groups that are used up piece by piece. */
#include "test/groups.h"

/* 0: not on this kernel. */
static int open_pieces(uint32_t count, uint32_t buf_size)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;
	int rc;

	options.count = count;
	options.buf_size = buf_size;
	options.flags = PEAL_GROUP_INCREMENTAL;
	rc = peal_group_open(ring, &group, &options);
	ck_ok(rc);
	ck_assert_uint_eq(group_stats().incremental, !rc);
	return !rc;
}

#define NEEDS_PIECES(count, buf_size)					\
	do {								\
		if (!open_pieces(count, buf_size))			\
			SKIP("%s", peal_group_reason());		\
	} while (0)

static char *receive_text(const int fds[2], const char *text)
{
	const struct outcome *end;

	put(fds[1], text);
	end = finish_outcome(receive(fds[0]));
	ck_result(end->result, (int64_t)strlen(text));
	ck_assert_mem_eq(end->buf, text, strlen(text));
	return end->buf;
}

TEST(pieces_of_a_buffer_follow_each_other)
{
	char *first, *second, *third;
	int fds[2], other[2];

	NEEDS_PIECES(1, 64);
	make_stream(fds);
	make_stream(other);
	first = receive_text(fds, "abc");
	second = receive_text(other, "defghij");
	third = receive_text(fds, "k");
	ck_assert_ptr_eq(second, first + 3);
	ck_assert_ptr_eq(third, second + 7);
	ck_assert_mem_eq(first, "abcdefghijk", 11);
	ck_assert_uint_eq(group_stats().out, 3);
	ck_assert_uint_eq(group_stats().taken, 3);
	peal_group_give_back(group, second);
	peal_group_give_back(group, third);
	peal_group_give_back(group, first);
	ck_assert_uint_eq(group_stats().out, 0);
}

TEST(piece_ends_where_its_buffer_ends)
{
	const struct outcome *end;
	char *first, *rest;
	int fds[2];

	NEEDS_PIECES(2, 16);
	make_stream(fds);
	first = receive_text(fds, "0123456789");
	put(fds[1], "abcdefghij");
	end = finish_outcome(receive(fds[0]));
	ck_result(end->result, 6);
	rest = end->buf;
	ck_assert_ptr_eq(rest, first + 10);
	ck_assert_mem_eq(first, "0123456789abcdef", 16);
	end = finish_outcome(receive(fds[0]));
	ck_result(end->result, 4);
	ck_assert_mem_eq(end->buf, "ghij", 4);
	peal_group_give_back(group, first);
	peal_group_give_back(group, end->buf);
	peal_group_give_back(group, rest);
}

TEST(buffer_is_used_again_when_all_its_pieces_are_back)
{
	char *first, *second;
	peal_op op;
	int fds[2];

	NEEDS_PIECES(1, 16);
	make_stream(fds);
	first = receive_text(fds, "0123456789");
	second = receive_text(fds, "abcdef");
	put(fds[1], "next");
	op = receive(fds[0]);
	UNTIL(group_stats().waiting == 1);
	peal_group_give_back(group, second);
	settle();
	ck_assert_uint_eq(group_stats().waiting, 1);
	peal_group_give_back(group, first);
	ck_result(finish(op), 4);
	ck_assert_ptr_eq(outcome(op)->buf, first);
	ck_assert_mem_eq(first, "next", 4);
	peal_group_give_back(group, first);
}

TEST(pieces_given_back_while_the_buffer_has_room_are_not_used_again)
{
	char *at = NULL, *piece;
	int fds[2], i;

	NEEDS_PIECES(1, 64);
	make_stream(fds);
	for (i = 0; i < 16; i++) {
		piece = receive_text(fds, "four");
		ck_assert(!at || piece == at + 4);
		at = piece;
		peal_group_give_back(group, piece);
	}
	piece = receive_text(fds, "five5");		/* the next lap */
	ck_assert_ptr_eq(piece, at - 60);
	peal_group_give_back(group, piece);
}

TEST(peek_takes_a_piece_too)
{
	const struct outcome *end;
	char *peeked, *piece;
	int fds[2];

	NEEDS_PIECES(1, 64);
	make_stream(fds);
	put(fds[1], "peek");
	end = finish_outcome(peal_recv_group(ring, fds[0], group, MSG_PEEK, 0,
					     on_done, NULL));
	ck_result(end->result, 4);
	peeked = end->buf;
	end = finish_outcome(receive(fds[0]));
	piece = end->buf;
	ck_assert_ptr_eq(piece, peeked + 4);
	ck_assert_mem_eq(peeked, "peekpeek", 8);
	peal_group_give_back(group, peeked);
	peal_group_give_back(group, piece);
}

TEST(end_of_a_stream_takes_no_piece)
{
	char *first, *second;
	int fds[2], other[2];

	NEEDS_PIECES(1, 64);
	make_stream(fds);
	make_stream(other);
	first = receive_text(fds, "abc");
	shutdown(fds[1], SHUT_WR);
	ck_result(finish(receive(fds[0])), 0);
	receive_many(fds[0], 0);
	UNTIL(got.terminal == 1);
	ck_result(got.result, 0);
	second = receive_text(other, "def");
	ck_assert_ptr_eq(second, first + 3);
	peal_group_give_back(group, first);
	peal_group_give_back(group, second);
}

TEST(cancelled_receive_takes_no_piece)
{
	char *first, *second;
	peal_op op;
	int fds[2];

	NEEDS_PIECES(1, 64);
	make_stream(fds);
	first = receive_text(fds, "abc");
	op = receive(fds[0]);
	settle();
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
	second = receive_text(fds, "def");
	ck_assert_ptr_eq(second, first + 3);
	peal_group_give_back(group, first);
	peal_group_give_back(group, second);
}

/* --- many sockets at one time -------------------------------------------- */

enum { MANY = 5, ROUNDS = 400 };

static struct line {
	int fds[2];
	uint64_t sent, got;
	unsigned number;
} lines[MANY];

static uint8_t byte_of(const struct line *line, uint64_t at)
{
	return (uint8_t)(line->number * 50 + at * 7 + at / 100);
}

static uint64_t in_all(int sent)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < MANY; i++)
		sum += sent ? lines[i].sent : lines[i].got;
	return sum;
}

/* Every other piece is kept for a while, and given back in no order. */
static void on_line(struct peal_ring *where, const struct peal_completion *done)
{
	struct line *line = done->ctx;
	const uint8_t *bytes = done->buf;
	int64_t i;

	(void)where;
	got.terminal += !(done->flags & PEAL_MORE);
	if (!bytes)
		return;
	for (i = 0; i < done->result; i++)
		ck_assert_uint_eq(bytes[i], byte_of(line, line->got++));
	if (got.keep && got.kept_count < 12 && peal_random(ring) % 2)
		got.kept[got.kept_count++] = done->buf;
	else
		peal_group_give_back(group, done->buf);
}

static void give_some_back(void)
{
	while (got.kept_count > peal_random(ring) % 4) {
		unsigned at = (unsigned)(peal_random(ring) % got.kept_count);

		peal_group_give_back(group, got.kept[at]);
		got.kept[at] = got.kept[--got.kept_count];
	}
}

static void catch_up(void)
{
	got.keep = 0;
	while (got.kept_count)
		give_some_back();
	UNTIL(in_all(0) == in_all(1));
	got.keep = 1;
}

static void send_some(struct line *line)
{
	uint8_t bytes[200];
	size_t len = 1 + peal_random(ring) % (peal_random(ring) % 4 ? 20 : 200);
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = byte_of(line, line->sent + i);
	ck_assert_int_eq(send(line->fds[1], bytes, len, MSG_NOSIGNAL),
			 (ssize_t)len);
	line->sent += len;
}

static void mixes_nothing_up(unsigned flags)
{
	unsigned i, round;

	for (i = 0; i < MANY; i++) {
		lines[i].number = i;
		make_stream(lines[i].fds);
		ck_ok(peal_recv_multishot(ring, lines[i].fds[0], group, 0,
					  flags, on_line, &lines[i]));
	}
	for (round = 0; round < ROUNDS; round++) {
		for (i = 1 + (unsigned)(peal_random(ring) % 6); i; i--)
			send_some(&lines[peal_random(ring) % MANY]);
		if (peal_random(ring) % 2)
			ck_ok(peal_ring_turn(ring, 0));
		give_some_back();
		if (round % 8 == 0)
			catch_up();
	}
	catch_up();
	ck_assert_uint_eq(got.terminal, 0);
	ck_assert_uint_eq(group_stats().out, 0);
	ck_assert_uint_gt(group_stats().exhausted, 0);
	ck_result(close_group(), 0);
}

TEST(pieces_of_many_sockets_are_not_mixed_up)
{
	NEEDS_PIECES(4, 96);
	mixes_nothing_up(0);
}

TEST(bundles_of_pieces_are_not_mixed_up)
{
	NEEDS_PIECES(4, 96);
	mixes_nothing_up(PEAL_BUNDLE);
}

/* --- its life ------------------------------------------------------------ */

TEST(close_of_a_group_waits_for_every_piece)
{
	char *first, *second;
	peal_op closed;
	int fds[2];

	NEEDS_PIECES(2, 64);
	make_stream(fds);
	first = receive_text(fds, "abc");
	second = receive_text(fds, "def");
	closed = peal_group_close(ring, group, 0, on_done, NULL);
	peal_group_give_back(group, second);
	settle();
	ck_assert(!finished(closed));
	peal_group_give_back(group, first);
	ck_result(finish(closed), 0);
}

TEST(ring_closes_with_pieces_out_and_receives_in_flight)
{
	int fds[2];

	NEEDS_PIECES(2, 64);
	make_stream(fds);
	receive_text(fds, "abc");
	receive_many(fds[0], 0);
	settle();
}

TEST(group_of_pieces_without_memory_is_enomem_and_leaves_nothing)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;
	size_t before = alloc_outstanding();
	unsigned long nth;
	int rc = -ENOMEM;

	options.flags = PEAL_GROUP_INCREMENTAL;
	for (nth = 1; nth < 20 && rc == -ENOMEM; nth++) {
		alloc_fail_at = alloc_calls + nth;
		rc = peal_group_open(ring, &group, &options);
		alloc_fail_at = 0;
		if (rc == -ENOMEM)
			ck_assert_uint_eq(alloc_outstanding(), before);
	}
	ck_ok(rc);
	ck_assert_uint_gt(nth, 5);
}

TEST(what_is_no_stream_is_refused)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;
	struct peal_group *refused;
	int fds[2];

	options.flags = PEAL_GROUP_INCREMENTAL;
	options.addr_room = 16;
	ck_result(peal_group_open(ring, &refused, &options), -EINVAL);
	ck_assert_ptr_nonnull(strstr(peal_group_reason(), "for streams"));
	NEEDS_PIECES(2, 64);
	make_stream(fds);
	ck_result(peal_recvmsg_multishot(ring, fds[0], group, 0, 0, on_done,
					 NULL), -EINVAL);
	ck_result(peal_recv_group(ring, fds[0], group, 0, PEAL_ASYNC, on_done,
				  NULL), -EINVAL);
	ck_assert_uint_eq(group_stats().ops, 0);
}

TEST(switched_off_each_receive_takes_a_buffer_and_that_is_said)
{
	struct peal_ring_options options = harness_options();
	struct peal_group_options shape = PEAL_GROUP_OPTIONS;
	char *first, *second;
	int fds[2];

	options.disable = "incremental";
	reopen_ring(&options);
	shape.count = 2;
	shape.buf_size = 64;
	shape.flags = PEAL_GROUP_INCREMENTAL;
	ck_result(peal_group_open(ring, &group, &shape), 1);
	ck_assert_ptr_nonnull(strstr(peal_group_reason(),
				     "\"incremental\" is switched off"));
	ck_assert_uint_eq(group_stats().incremental, 0);
	make_stream(fds);
	first = receive_text(fds, "abc");
	second = receive_text(fds, "def");
	ck_assert((second - first) % 64 == 0);
	peal_group_give_back(group, second);
	peal_group_give_back(group, first);
	ck_result(close_group(), 0);
}

SUITE("group_pieces")
