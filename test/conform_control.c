/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that messages of unix sockets carry (SCM_RIGHTS): where they
 * arrive, what becomes of those that nobody takes.
 */
#include "test/harness.h"

#define MOST 4

struct letter {
	struct msghdr msg;
	struct iovec iov;
	char data[32];
	int fds[MOST];		/* that came */
	int count;
	union {
		char bytes[CMSG_SPACE(MOST * sizeof(int))];
		struct cmsghdr align;
	} control;
};

static void write_letter(struct letter *letter, const char *text,
			 const int *fds, size_t count)
{
	struct cmsghdr *header;

	memset(letter, 0, sizeof(*letter));
	strcpy(letter->data, text);
	letter->iov = (struct iovec){ letter->data, strlen(text) };
	letter->msg.msg_iov = &letter->iov;
	letter->msg.msg_iovlen = 1;
	letter->msg.msg_control = &letter->control;
	letter->msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
	header = CMSG_FIRSTHDR(&letter->msg);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fds, count * sizeof(int));
}

static int64_t post(int to, const char *text, const int *fds, size_t count)
{
	struct letter letter;

	write_letter(&letter, text, fds, count);
	return finish(peal_sendmsg(ring, to, &letter.msg, 0, 0, on_done,
				   NULL));
}

/* With room for so many descriptors; those that came are the caller's. */
static int64_t collect(int from, struct letter *letter, size_t room,
		       unsigned flags)
{
	struct cmsghdr *header;
	int64_t rc;

	memset(letter, 0, sizeof(*letter));
	letter->iov = (struct iovec){ letter->data, sizeof(letter->data) - 1 };
	letter->msg.msg_iov = &letter->iov;
	letter->msg.msg_iovlen = 1;
	if (room) {
		letter->msg.msg_control = &letter->control;
		letter->msg.msg_controllen = CMSG_SPACE(room * sizeof(int));
	}
	rc = finish(peal_recvmsg(ring, from, &letter->msg,
				 flags | MSG_CMSG_CLOEXEC, 0, on_done, NULL));
	if (rc < 0)
		return rc;
	header = CMSG_FIRSTHDR(&letter->msg);
	if (!header)
		return rc;
	ck_assert_int_eq(header->cmsg_level, SOL_SOCKET);
	ck_assert_int_eq(header->cmsg_type, SCM_RIGHTS);
	letter->count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	ck_assert_int_le(letter->count, MOST);
	memcpy(letter->fds, CMSG_DATA(header),
	       (size_t)letter->count * sizeof(int));
	return rc;
}

/* A pipe whose end to write goes over the socket and is closed here. */
static int make_hostage(int to, const char *text)
{
	int fds[2];

	make_pipe(fds);
	ck_result(post(to, text, &fds[1], 1), (int64_t)strlen(text));
	close(fds[1]);
	return fds[0];
}

/* The end to read says that nobody writes any more. */
static void check_freed(int fd)
{
	char byte;

	ck_result(finish(peal_read(ring, fd, &byte, 1, PEAL_CURRENT, 0,
				   on_done, NULL)), 0);
}

static void check_held(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };

	ck_assert_int_eq(poll(&look, 1, 0), 0);
}

static void passes(int type)
{
	struct letter letter;
	int fds[2], pipe_fds[2];
	char buf[4];

	make_socketpair(type, fds);
	make_pipe(pipe_fds);
	ck_result(post(fds[0], "both", pipe_fds, 2), 4);
	ck_result(collect(fds[1], &letter, MOST, 0), 4);
	ck_assert_str_eq(letter.data, "both");
	ck_assert_int_eq(letter.count, 2);
	ck_assert_int_eq(letter.msg.msg_flags & MSG_CTRUNC, 0);
	ck_assert_int_eq(fcntl(letter.fds[0], F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(write(letter.fds[1], "ok", 2), 2);
	ck_assert_int_eq(read(letter.fds[0], buf, 4), 2);
	close(letter.fds[0]);
	close(letter.fds[1]);
}

TEST(descriptors_pass_over_a_stream)
{
	passes(SOCK_STREAM);
}

TEST(descriptors_pass_with_a_datagram)
{
	passes(SOCK_DGRAM);
}

TEST(descriptors_pass_with_a_packet)
{
	passes(SOCK_SEQPACKET);
}

/* What was sent before is read with them, what was sent after is not. */
TEST(descriptors_end_what_is_read_at_once)
{
	struct letter letter;
	int fds[2], freed;

	make_socketpair(SOCK_STREAM, fds);
	ck_result(send_from(fds[0], "before ", 7), 7);
	freed = make_hostage(fds[0], "with ");
	ck_result(send_from(fds[0], "after", 5), 5);
	ck_result(collect(fds[1], &letter, 1, 0), 12);
	ck_assert_str_eq(letter.data, "before with ");
	ck_assert_int_eq(letter.count, 1);
	close(letter.fds[0]);
	check_freed(freed);
	ck_result(collect(fds[1], &letter, 1, 0), 5);
	ck_assert_int_eq(letter.count, 0);
	ck_assert_uint_eq(letter.msg.msg_controllen, 0);
}

TEST(descriptors_end_a_wait_for_all)
{
	struct letter letter;
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	make_hostage(fds[0], "with");
	ck_result(send_from(fds[0], "after", 5), 5);
	ck_result(collect(fds[1], &letter, 1, MSG_WAITALL), 4);
	ck_assert_int_eq(letter.count, 1);
	close(letter.fds[0]);
}

TEST(descriptors_end_a_read_between_two_pieces)
{
	char first[4], second[8];
	struct iovec pieces[2] = { { first, 4 }, { second, 8 } };
	struct msghdr msg = { .msg_iov = pieces, .msg_iovlen = 2 };
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	make_hostage(fds[0], "with");
	ck_result(send_from(fds[0], "after", 5), 5);
	ck_result(finish(peal_recvmsg(ring, fds[1], &msg, 0, 0, on_done,
				      NULL)), 4);
	ck_assert(msg.msg_flags & MSG_CTRUNC);
}

/* The next part's descriptors would have no place. */
TEST(room_for_descriptors_ends_a_wait_for_all)
{
	struct letter letter;
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	ck_result(send_from(fds[0], "part", 4), 4);
	ck_result(collect(fds[1], &letter, 1, MSG_WAITALL), 4);
	ck_assert_int_eq(letter.count, 0);
}

TEST(descriptors_without_room_are_closed_and_it_is_told)
{
	struct letter letter;
	int fds[2], pipes[4];

	make_socketpair(SOCK_STREAM, fds);
	make_pipe(&pipes[0]);
	make_pipe(&pipes[2]);
	ck_result(post(fds[0], "two", (int[]){ pipes[1], pipes[3] }, 2), 3);
	close(pipes[1]);
	close(pipes[3]);
	ck_result(collect(fds[1], &letter, 0, 0), 3);
	ck_assert(letter.msg.msg_flags & MSG_CTRUNC);
	check_freed(pipes[0]);
	check_freed(pipes[2]);
}

TEST(receive_that_takes_no_descriptors_closes_them)
{
	int fds[2], freed;
	char buf[8];

	make_socketpair(SOCK_DGRAM, fds);
	freed = make_hostage(fds[0], "with");
	check_held(freed);
	ck_result(recv_into(fds[1], buf, 8), 4);
	check_freed(freed);
}

TEST(closing_a_receiver_closes_what_is_on_its_way)
{
	int fds[2], stream[2], freed[2];

	make_socketpair(SOCK_DGRAM, fds);
	make_socketpair(SOCK_STREAM, stream);
	freed[0] = make_hostage(fds[0], "with");
	freed[1] = make_hostage(stream[0], "with");
	check_held(freed[0]);
	check_held(freed[1]);
	close(fds[1]);
	close(stream[1]);
	check_freed(freed[0]);
	check_freed(freed[1]);
}

TEST(peek_brings_descriptors_of_its_own)
{
	struct letter first, second;
	int fds[2], freed;

	make_socketpair(SOCK_STREAM, fds);
	freed = make_hostage(fds[0], "with");
	ck_result(collect(fds[1], &first, 1, MSG_PEEK), 4);
	ck_result(collect(fds[1], &second, 1, 0), 4);
	ck_assert_int_eq(first.count, 1);
	ck_assert_int_eq(second.count, 1);
	ck_assert_int_ne(first.fds[0], second.fds[0]);
	close(first.fds[0]);
	check_held(freed);
	close(second.fds[0]);
	check_freed(freed);
}

TEST(message_with_a_descriptor_that_is_none_is_not_sent)
{
	int fds[2], wrong[2];
	char buf[8];

	make_socketpair(SOCK_DGRAM, fds);
	wrong[0] = fds[0];
	wrong[1] = closed_fd();
	ck_result(post(fds[0], "bad", wrong, 2), -EBADF);
	ck_result(finish(peal_recv(ring, fds[1], buf, 8, MSG_DONTWAIT, 0,
				   on_done, NULL)), -EAGAIN);
}

TEST(control_data_that_is_none_is_einval)
{
	struct letter letter;
	struct cmsghdr *header;
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	write_letter(&letter, "bad", fds, 1);
	header = CMSG_FIRSTHDR(&letter.msg);
	header->cmsg_len = 1000;
	ck_result(finish(peal_sendmsg(ring, fds[0], &letter.msg, 0, 0, on_done,
				      NULL)), -EINVAL);
	write_letter(&letter, "bad", fds, 1);
	header->cmsg_type = 77;
	ck_result(finish(peal_sendmsg(ring, fds[0], &letter.msg, 0, 0, on_done,
				      NULL)), -EINVAL);
}

SUITE("control")
