/* SPDX-License-Identifier: MIT */
/*
 * What the tests of buffer groups share: a group of the fixture's ring, and a
 * handler that collects what a receive brings.
 */
#ifndef PEAL_TEST_GROUPS_H
#define PEAL_TEST_GROUPS_H

#include "test/harness.h"

#define SIZE	64u

static struct peal_group *group;

/* What receives have brought. */
static struct {
	char data[1 << 20];
	size_t len;
	unsigned calls, with_buf, terminal;
	int64_t result;		/* of the last completion */
	uint32_t flags;
	void *kept[64];		/* buffers not given back */
	unsigned kept_count;
	int keep;		/* do not give back */
	int64_t largest;
} got;

static inline void open_group_as(const struct peal_group_options *options)
{
	const char *reason;

	ck_result(peal_group_open(ring, &group, options), 0);
	reason = peal_group_reason();
	ck_assert_msg(!strncmp(reason, "each receive", reason[0] ? 12 : 0),
		      "%s", reason);
}

static inline void open_group(uint32_t count, uint32_t buf_size)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;

	options.count = count;
	options.buf_size = buf_size;
	open_group_as(&options);
}

static inline int64_t close_group(void)
{
	return finish(peal_group_close(ring, group, 0, on_done, NULL));
}

static inline struct peal_group_stats group_stats(void)
{
	struct peal_group_stats stats = { .size = sizeof(stats) };

	peal_group_stats(group, &stats);
	return stats;
}

static inline void on_data(struct peal_ring *where,
			   const struct peal_completion *done)
{
	(void)where;
	got.calls++;
	got.result = done->result;
	got.flags = done->flags;
	got.terminal += !(done->flags & PEAL_MORE);
	if (!done->buf)
		return;
	ck_assert_int_gt(done->result, 0);
	if (done->result > got.largest)
		got.largest = done->result;
	memcpy(got.data + got.len, done->buf, (size_t)done->result);
	got.len += (size_t)done->result;
	got.with_buf++;
	if (got.keep)
		got.kept[got.kept_count++] = done->buf;
	else
		peal_group_give_back(group, done->buf);
}

static inline void give_back_kept(void)
{
	got.keep = 0;
	while (got.kept_count)
		peal_group_give_back(group, got.kept[--got.kept_count]);
}

static inline void put(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL),
			 (ssize_t)strlen(text));
}

static inline void make_stream(int fds[2])
{
	make_socketpair(SOCK_STREAM, fds);
}

static inline peal_op receive(int fd)
{
	peal_op op = peal_recv_group(ring, fd, group, 0, 0, on_done, NULL);

	ck_ok(op);
	return op;
}

static inline peal_op receive_many(int fd, unsigned flags)
{
	peal_op op = peal_recv_multishot(ring, fd, group, 0, flags, on_data,
					 NULL);

	ck_ok(op);
	return op;
}

/* The one byte that a stream of its own brings. */
static inline void *receive_a_byte(void)
{
	const struct outcome *end;
	int fds[2];

	make_stream(fds);
	put(fds[1], "x");
	end = finish_outcome(receive(fds[0]));
	ck_result(end->result, 1);
	return end->buf;
}

/* Sends all, as far as fits, and waits until it has come, until it is sent. */
static inline void pump(int from, const char *data, size_t len)
{
	size_t at = 0, before = got.len;

	fcntl(from, F_SETFL, O_NONBLOCK);
	while (at < len) {
		ssize_t rc = send(from, data + at, len - at, MSG_NOSIGNAL);

		at += rc > 0 ? (size_t)rc : 0;
		UNTIL(got.len == before + at);
	}
}

#endif
