/* SPDX-License-Identifier: MIT */
/* Ops that wait for a descriptor on epoll: who is held where, in which order
 * they go on, and what is left afterwards. */
#include "shim/epoll.h"
#include "test/harness.h"

static struct peal_ring *own;
static char buf[64];

static void open_with(const char *disable, unsigned cq_entries)
{
	struct peal_ring_options options = harness_options();

	options.engine = "epoll";
	options.disable = disable;
	options.entries = cq_entries ? cq_entries : 64;
	options.cq_entries = cq_entries;
	own = ring = open_ring(&options);
}

static const struct peal__epoll *epoll(void)
{
	return own->engine_state;
}

static unsigned held_on(int fd)
{
	const struct peal__job *job = epoll()->watches[fd].held.first;
	unsigned count = 0;

	for (; job; job = job->next)
		count++;
	return count;
}

static void turn(void)
{
	ck_ok(peal_ring_turn(own, 0));
}

/* Nothing waits, and the ring closes without a trace. */
static void end(void)
{
	ck_assert_uint_eq(epoll()->held, 0);
	ck_assert_uint_eq(epoll()->paused, 0);
	close_ring(own);
	ring = NULL;
}

static peal_op start_recv(int fd, char *to)
{
	return peal_recv(own, fd, to, 1, 0, 0, on_done, NULL);
}

BARE_TEST(op_that_would_wait_is_held_by_its_descriptor)
{
	int fds[2];
	peal_op op;

	open_with(NULL, 0);
	make_socketpair(SOCK_STREAM, fds);
	op = start_recv(fds[0], buf);
	ck_assert_uint_eq(epoll()->held, 0);
	turn();
	ck_assert_uint_eq(epoll()->held, 1);
	ck_assert_uint_eq(held_on(fds[0]), 1);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_result(finish(op), 1);
	ck_assert_uint_eq(held_on(fds[0]), 0);
	end();
}

BARE_TEST(op_that_need_not_wait_is_never_held_and_epoll_not_asked)
{
	int fds[2];
	peal_op op;

	open_with(NULL, 0);
	make_socketpair(SOCK_STREAM, fds);
	op = peal_send(own, fds[0], "x", 1, 0, 0, on_done, NULL);
	turn();
	ck_assert(finished(op));
	ck_assert_uint_eq(epoll()->watches[fds[0]].mask, 0);
	ck_assert_uint_eq(own->stats.enters, 0);
	end();
}

BARE_TEST(ops_of_one_direction_go_on_in_their_order)
{
	peal_op ops[4];
	int fds[2];
	unsigned at;

	open_with(NULL, 0);
	make_socketpair(SOCK_STREAM, fds);
	for (at = 0; at < 4; at++)
		ops[at] = start_recv(fds[0], &buf[at]);
	turn();
	ck_assert_uint_eq(held_on(fds[0]), 4);
	ck_assert_int_eq(write(fds[1], "abc", 3), 3);
	ck_result(finish(ops[2]), 1);
	ck_assert_uint_lt(outcome(ops[0])->order, outcome(ops[1])->order);
	ck_assert_uint_lt(outcome(ops[1])->order, outcome(ops[2])->order);
	ck_assert(!memcmp(buf, "abc", 3));
	ck_assert_uint_eq(held_on(fds[0]), 1);
	ck_result(peal_cancel(own, ops[3], 0, NULL, NULL), 0);
	ck_result(finish(ops[3]), -ECANCELED);
	end();
}

BARE_TEST(sender_does_not_stand_behind_a_receiver)
{
	static char page[4096];
	int fds[2], size = 4096;
	peal_op in, out;

	open_with(NULL, 0);
	make_socketpair(SOCK_STREAM, fds);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	in = start_recv(fds[0], buf);
	do {
		out = peal_send(own, fds[0], page, sizeof(page), 0, 0, on_done,
				NULL);
		turn();
	} while (finished(out));
	ck_assert_uint_eq(held_on(fds[0]), 2);
	while (!finished(out)) {
		ck_assert_int_gt(read(fds[1], page, sizeof(page)), 0);
		turn();
	}
	ck_assert(!finished(in));
	ck_result(peal_cancel(own, in, 0, NULL, NULL), 0);
	ck_result(finish(in), -ECANCELED);
	end();
}

BARE_TEST(cancel_in_the_middle_keeps_the_others_in_order)
{
	peal_op ops[3];
	int fds[2];
	unsigned at;

	open_with(NULL, 0);
	make_socketpair(SOCK_STREAM, fds);
	for (at = 0; at < 3; at++)
		ops[at] = start_recv(fds[0], &buf[at]);
	turn();
	ck_result(peal_cancel(own, ops[1], 0, NULL, NULL), 0);
	ck_result(finish(ops[1]), -ECANCELED);
	ck_assert_uint_eq(held_on(fds[0]), 2);
	ck_assert_int_eq(write(fds[1], "ab", 2), 2);
	ck_result(finish(ops[2]), 1);
	ck_result(finish(ops[0]), 1);
	ck_assert(buf[0] == 'a' && buf[2] == 'b');
	end();
}

BARE_TEST(cancel_of_a_whole_receive_says_what_came)
{
	int fds[2];
	peal_op op;

	open_with(NULL, 0);
	make_socketpair(SOCK_STREAM, fds);
	op = peal_recv(own, fds[0], buf, 8, MSG_WAITALL, 0, on_done, NULL);
	ck_assert_int_eq(write(fds[1], "abc", 3), 3);
	turn();
	ck_assert_uint_eq(held_on(fds[0]), 1);
	ck_result(peal_cancel(own, op, 0, NULL, NULL), 0);
	ck_result(finish(op), 3);
	end();
}

BARE_TEST(cancel_of_a_connect_is_no_part_of_one)
{
	struct sockaddr_storage addr;
	peal_op ops[20];
	socklen_t len;
	int listener, at, held = -1;

	open_with(NULL, 0);
	listener = make_listener(AF_INET, &addr, &len);
	ck_assert_int_eq(listen(listener, 0), 0);
	for (at = 0; at < 20 && held < 0; at++) {
		int fd = new_socket(AF_INET, SOCK_STREAM);

		ops[at] = peal_connect(own, fd, (void *)&addr, len, 0, on_done,
				       NULL);
		turn();
		turn();
		held = finished(ops[at]) ? -1 : at;
	}
	if (held < 0)
		SKIP("no connection to a full listener waits here");
	ck_result(peal_cancel(own, ops[held], 0, NULL, NULL), 0);
	ck_result(finish(ops[held]), -ECANCELED);
	end();
}

/* --- descriptors that go -------------------------------------------------- */

BARE_TEST(descriptor_closed_through_the_ring_lives_on_as_a_copy)
{
	int fds[2], copy;
	peal_op op;

	open_with(NULL, 0);
	make_socketpair(SOCK_STREAM, fds);
	op = start_recv(fds[0], buf);
	turn();
	ck_result(finish(peal_close(own, fds[0], 0, on_done, NULL)), 0);
	ck_assert_int_lt(fcntl(fds[0], F_GETFD), 0);
	ck_assert_uint_eq(held_on(fds[0]), 0);
	ck_assert_uint_eq(epoll()->held, 1);
	copy = peal__soft_job(own, (uint64_t)op)->watch;
	ck_assert_int_ne(copy, fds[0]);
	ck_assert(epoll()->watches[copy].copy);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_result(finish(op), 1);
	ck_assert_int_lt(fcntl(copy, F_GETFD), 0);
	end();
}

BARE_TEST(number_that_means_another_file_orphans_who_waited)
{
	int first[2], second[2];
	peal_op old, new;

	open_with(NULL, 0);
	make_socketpair(SOCK_STREAM, first);
	make_socketpair(SOCK_STREAM, second);
	old = start_recv(first[0], buf);
	turn();
	ck_assert_int_eq(dup3(second[0], first[0], O_CLOEXEC), first[0]);
	new = start_recv(first[0], buf + 1);
	turn();
	ck_assert_uint_eq(held_on(first[0]), 1);
	ck_assert_uint_eq(epoll()->held, 2);
	ck_assert_int_eq(write(second[1], "x", 1), 1);
	ck_result(finish(new), 1);
	ck_assert(!finished(old));
	ck_result(peal_cancel(own, old, 0, NULL, NULL), 0);
	ck_result(finish(old), -ECANCELED);
	close(first[0]);
	end();
}

BARE_TEST(descriptor_beyond_the_limit_of_the_ring_is_emfile)
{
	struct peal__epoll *state;
	uint32_t count;
	int fds[2];

	open_with(NULL, 0);
	make_socketpair(SOCK_STREAM, fds);
	state = own->engine_state;
	count = state->watch_count;
	state->watch_count = (uint32_t)fds[0];
	ck_result(finish(start_recv(fds[0], buf)), -EMFILE);
	state->watch_count = count;
	end();
}

/* --- room for completions ----------------------------------------------- */

static void on_accept(struct peal_ring *where,
		      const struct peal_completion *done)
{
	on_done(where, done);
	if (done->result >= 0)
		keep_fd((int)done->result);
}

BARE_TEST(multishot_without_room_is_paused_and_goes_on)
{
	struct sockaddr_storage addr;
	int clients[12], listener;
	unsigned at;
	socklen_t len;
	peal_op op;

	open_with(NULL, 4);
	listener = make_listener(AF_INET, &addr, &len);
	for (at = 0; at < 12; at++) {
		clients[at] = new_socket(AF_INET, SOCK_STREAM);
		ck_assert_int_eq(connect(clients[at], (void *)&addr, len), 0);
	}
	op = peal_accept_multishot(own, listener, 0, on_accept, NULL);
	own->engine->enter(own, 0, 0);
	ck_assert_uint_eq(epoll()->paused, 1);
	ck_assert_int_eq(epoll()->paused_first, listener);
	UNTIL(outcome(op)->calls == 12);
	ck_assert_uint_eq(own->stats.cq_overflows, 0);
	ck_result(peal_cancel(own, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
	end();
}

BARE_TEST(completions_without_room_are_late_and_none_is_lost)
{
	peal_op ops[16];
	int fds[2];
	unsigned at;

	open_with(NULL, 4);
	make_socketpair(SOCK_STREAM, fds);
	for (at = 0; at < 16; at++) {
		ops[at] = start_recv(fds[0], &buf[at]);
		if (at % 4 == 3)
			turn();
	}
	ck_assert_uint_eq(held_on(fds[0]), 16);
	ck_assert_int_eq(write(fds[1], "0123456789abcdef", 16), 16);
	for (at = 0; at < 16; at++)
		ck_result(finish(ops[at]), 1);
	ck_assert(!memcmp(buf, "0123456789abcdef", 16));
	ck_assert_uint_gt(own->stats.cq_overflows, 0);
	end();
}

/* --- the wait ------------------------------------------------------------ */

BARE_TEST(wait_in_whole_milliseconds_does_not_spin_to_a_timer)
{
	peal_op op;

	open_with("epoll_pwait2", 0);
	ck_assert_uint_eq(epoll()->whole_ms, 1);
	op = peal_sleep(own, PEAL_MS / 2, 0, on_done, NULL);
	while (!finished(op))
		ck_ok(peal_ring_turn(own, PEAL_FOREVER));
	ck_assert_uint_le(own->stats.enters, 2);
	end();
}

BARE_TEST(wait_without_epoll_pwait2_is_ended_by_a_descriptor)
{
	int fds[2];
	peal_op op;

	open_with("epoll_pwait2", 0);
	make_socketpair(SOCK_STREAM, fds);
	op = start_recv(fds[0], buf);
	turn();
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	while (!finished(op))
		ck_ok(peal_ring_turn(own, PEAL_FOREVER));
	ck_result(outcome(op)->result, 1);
	end();
}

/* --- receives that were short ------------------------------------------- */

static int tcp[2];

static void say(const void *text, size_t len, int flags)
{
	ck_assert_int_eq((int)send(tcp[1], text, len, flags), (int)len);
}

static int64_t hear(void)
{
	return finish(peal_recv(own, tcp[0], buf, sizeof(buf), 0, 0, on_done,
				NULL));
}

/* So many that the engine has learnt what it is. */
static void talk(void)
{
	unsigned i;

	open_with(NULL, 0);
	ck_assert_int_eq(make_tcp_pair(AF_INET, tcp), 0);
	for (i = 0; i < 6; i++) {
		peal_op op = peal_recv(own, tcp[0], buf, sizeof(buf), 0, 0,
				       on_done, NULL);

		turn();
		say("text", 4, 0);
		ck_result(finish(op), 4);
	}
	ck_assert(epoll()->watches[tcp[0]].dry);
}

BARE_TEST(receive_behind_a_short_one_is_not_tried_and_misses_nothing)
{
	struct peal_stats before = { .size = sizeof(before) }, after = before;
	peal_op op;

	talk();
	ck_assert_int_eq(epoll()->watches[tcp[0]].stream, STREAM_TCP);
	say("more", 4, 0);
	peal_ring_stats(own, &before);
	op = peal_recv(own, tcp[0], buf, sizeof(buf), 0, 0, on_done, NULL);
	UNTIL_ON(own, finished(op));
	peal_ring_stats(own, &after);
	ck_assert_uint_gt(after.enters, before.enters);
	ck_result(outcome(op)->result, 4);
	say(buf, sizeof(buf), 0);
	ck_result(hear(), sizeof(buf));
	ck_assert(!epoll()->watches[tcp[0]].dry);
	shutdown(tcp[1], SHUT_WR);
	ck_result(hear(), 0);
	end();
}

BARE_TEST(number_of_a_short_receive_may_mean_another_file)
{
	int other[2], fds[2];

	talk();
	ck_assert_int_eq(make_tcp_pair(AF_INET, other), 0);
	ck_assert_int_eq((int)send(other[1], "new", 3, 0), 3);
	ck_assert_int_eq(dup2(other[0], tcp[0]), tcp[0]);
	ck_result(hear(), 3);
	make_socketpair(SOCK_STREAM, fds);
	ck_assert_int_eq((int)write(fds[1], "again", 5), 5);
	ck_assert_int_eq(dup2(fds[0], tcp[0]), tcp[0]);
	ck_result(hear(), 5);
	ck_assert_int_eq(dup2(make_file("f", "x", 1), tcp[0]), tcp[0]);
	ck_result(hear(), -ENOTSOCK);
	close(tcp[0]);
	end();
}

static struct peal_group *group;
static char heard[256];
static size_t heard_len;
static int64_t ended;

static void on_heard(struct peal_ring *where,
		     const struct peal_completion *done)
{
	(void)where;
	if (done->buf) {
		memcpy(heard + heard_len, done->buf, (size_t)done->result);
		heard_len += (size_t)done->result;
		peal_group_give_back(group, done->buf);
	}
	if (!(done->flags & PEAL_MORE))
		ended = done->result;
}

/* A multishot receive that has been short often enough. */
static void listen_to(int fd)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;
	unsigned i;

	options.count = 8;
	options.buf_size = 64;
	ended = 1;
	ck_assert_int_eq(peal_group_open(own, &group, &options), 0);
	ck_assert_int_gt(peal_recv_multishot(own, fd, group, 0, 0, on_heard,
					     NULL), 0);
	for (i = 0; i < 6; i++) {
		turn();
		say("x", 1, 0);
		UNTIL_ON(own, heard_len == i + 1);
	}
	heard_len = 0;
}

static void stop_listening(void)
{
	peal_op op = peal_group_close(own, group, 0, on_done, NULL);

	ck_result(finish(op), 0);
	end();
}

BARE_TEST(end_that_comes_with_the_last_bytes_is_told)
{
	talk();
	listen_to(tcp[0]);
	ck_assert_int_eq(epoll()->watches[tcp[0]].stream, STREAM_TCP);
	say("last", 4, 0);
	shutdown(tcp[1], SHUT_WR);
	UNTIL_ON(own, ended != 1);
	ck_result(ended, 0);
	ck_assert_uint_eq(heard_len, 4);
	stop_listening();
}

BARE_TEST(urgent_byte_does_not_hide_what_is_behind_it)
{
	talk();
	listen_to(tcp[0]);
	say("ab", 2, 0);
	say("!", 1, MSG_OOB);
	say("cd", 2, 0);
	UNTIL_ON(own, heard_len == 4);
	ck_assert_mem_eq(heard, "abcd", 4);
	say("ef", 2, 0);
	UNTIL_ON(own, heard_len == 6);
	shutdown(tcp[1], SHUT_WR);
	UNTIL_ON(own, ended != 1);
	stop_listening();
}

static void say_with_fd(char byte)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control.room) };
	int fd = 0;

	memset(&control, 0, sizeof(control));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	ck_assert_int_eq((int)sendmsg(tcp[1], &msg, 0), 1);
}

BARE_TEST(stream_that_ends_a_receive_early_is_read_on)
{
	unsigned i;

	open_with(NULL, 0);
	make_socketpair(SOCK_STREAM, tcp);
	listen_to(tcp[0]);
	ck_assert_int_ne(epoll()->watches[tcp[0]].stream, STREAM_TCP);
	for (i = 0; i < 5; i++)
		say_with_fd((char)('a' + i));
	UNTIL_ON(own, heard_len == 5);
	ck_assert_mem_eq(heard, "abcde", 5);
	shutdown(tcp[1], SHUT_WR);
	UNTIL_ON(own, ended != 1);
	stop_listening();
}

SUITE("watch")
