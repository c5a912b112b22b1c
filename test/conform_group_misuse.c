/* SPDX-License-Identifier: MIT */
/* Buffer groups: what stops the program, with a reason. */
#include <signal.h>
#include <sys/wait.h>

#include "test/harness.h"

#define COUNT	4u
#define SIZE	64u

static struct peal_group *group;
static char *buf;		/* of the group, not given back */

static void stops(void (*body)(void *), void *arg, const char *why)
{
	static char text[4096];
	int status = in_child(body, arg, text, sizeof(text));

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
		      "status %#x, not SIGABRT: %s", (unsigned)status, text);
	ck_assert_msg(strstr(text, why) != NULL, "\"%s\" lacks \"%s\"", text,
		      why);
}

/* By libc's allocator, which keeps what is closed for a while. */
static void open_group_with(uint32_t flags)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;

	options.count = COUNT;
	options.buf_size = SIZE;
	options.flags = flags;
	ck_result(peal_ring_open(&ring, NULL), 0);
	ck_ok(peal_group_open(ring, &group, &options));
}

static void open_group(void)
{
	open_group_with(0);
}

static void receive(void)
{
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	ck_assert_int_eq(send(fds[1], "x", 1, 0), 1);
	buf = finish_outcome(peal_recv_group(ring, fds[0], group, 0, 0,
					     on_done, NULL))->buf;
}

static void double_release(void *arg)
{
	(void)arg;
	open_group();
	receive();
	peal_group_give_back(group, buf);
	peal_group_give_back(group, buf);
}

BARE_TEST(buffer_given_back_twice_stops_the_program)
{
	stops(double_release, NULL, "given back twice");
}

static void double_release_of_a_piece(void *arg)
{
	char *first;

	(void)arg;
	open_group_with(PEAL_GROUP_INCREMENTAL);
	receive();
	first = buf;
	receive();		/* a neighbour, which stays out */
	peal_group_give_back(group, first);
	peal_group_give_back(group, first);
}

BARE_TEST(piece_given_back_twice_stops_the_program)
{
	stops(double_release_of_a_piece, NULL, "given back twice");
}

static void release_before(void *arg)
{
	(void)arg;
	open_group();
	receive();
	peal_group_give_back(group, buf - COUNT * SIZE);
}

static void release_behind(void *arg)
{
	(void)arg;
	open_group();
	receive();
	peal_group_give_back(group, buf + COUNT * SIZE);
}

BARE_TEST(buffer_of_nobody_given_back_stops_the_program)
{
	stops(release_before, NULL, "not a buffer");
	stops(release_behind, NULL, "not a buffer");
}

static void release_of_what_is_not_out(void *arg)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;
	static _Alignas(64) char memory[COUNT * SIZE];

	(void)arg;
	open_group();
	options.count = COUNT;
	options.buf_size = SIZE;
	options.memory = memory;
	ck_result(peal_group_open(ring, &group, &options), 0);
	peal_group_give_back(group, memory + SIZE);
}

BARE_TEST(buffer_that_is_not_out_given_back_stops_the_program)
{
	stops(release_of_what_is_not_out, NULL, "not out");
}

/* --- a group that is closed ---------------------------------------------- */

static void call_give_back(void)
{
	peal_group_give_back(group, buf);
}

static void call_close(void)
{
	peal_group_close(ring, group, 0, on_done, NULL);
}

static void call_stats(void)
{
	struct peal_group_stats stats = { .size = sizeof(stats) };

	peal_group_stats(group, &stats);
}

static void call_recv(void)
{
	peal_recv_group(ring, 0, group, 0, 0, on_done, NULL);
}

static void call_multishot(void)
{
	peal_recv_multishot(ring, 0, group, 0, 0, on_done, NULL);
}

static void call_messages(void)
{
	peal_recvmsg_multishot(ring, 0, group, 0, 0, on_done, NULL);
}

static void call_message(void)
{
	struct peal_completion done = { .result = 1, .buf = buf };
	struct peal_message message;

	peal_group_message(group, &done, &message);
}

static const struct call {
	void (*make)(void);
	int needs_ring;		/* which is misuse of the ring, once closed */
} calls[] = {
	{ call_give_back, 0 }, { call_stats, 0 }, { call_message, 0 },
	{ call_close, 1 }, { call_recv, 1 }, { call_multishot, 1 },
	{ call_messages, 1 },
};

#define CALLS (sizeof(calls) / sizeof(*calls))

static void use_after_group_close(void *arg)
{
	const struct call *call = arg;

	open_group();
	receive();
	peal_group_give_back(group, buf);
	ck_result(finish(peal_group_close(ring, group, 0, on_done, NULL)), 0);
	call->make();
}

static void use_after_ring_close(void *arg)
{
	const struct call *call = arg;

	open_group();
	receive();
	ck_result(peal_ring_close(ring, CLOSE_NS), 0);
	call->make();
}

BARE_TEST(every_call_on_a_closed_group_stops_the_program)
{
	size_t i;

	for (i = 0; i < CALLS; i++)
		stops(use_after_group_close, (void *)(uintptr_t)&calls[i],
		      "the group is closed");
}

BARE_TEST(every_call_on_a_group_of_a_closed_ring_stops_the_program)
{
	size_t i;

	for (i = 0; i < CALLS; i++)
		stops(use_after_ring_close, (void *)(uintptr_t)&calls[i],
		      calls[i].needs_ring ? "the ring is closed"
					  : "the group is closed");
}

static void use_after_many_closes(void *arg)
{
	struct peal_group *first;
	int i;

	(void)arg;
	open_group();
	first = group;
	for (i = 0; i < 60; i++) {
		ck_result(peal_group_open(ring, &group, NULL), 0);
		ck_result(finish(peal_group_close(ring, group, 0, on_done,
						  NULL)), 0);
	}
	ck_result(peal_ring_close(ring, CLOSE_NS), 0);
	peal_group_give_back(first, &i);
}

BARE_TEST(closed_group_is_known_as_closed_for_a_while)
{
	stops(use_after_many_closes, NULL, "the group is closed");
}

static void use_of_another_rings_group(void *arg)
{
	struct peal_ring *other;

	(void)arg;
	open_group();
	ck_result(peal_ring_open(&other, NULL), 0);
	peal_recv_group(other, 0, group, 0, 0, on_done, NULL);
}

BARE_TEST(group_of_another_ring_stops_the_program)
{
	stops(use_of_another_rings_group, NULL, "a group of another ring");
}

SUITE("group_misuse")
