/* SPDX-License-Identifier: MIT */
/* Buffer groups: messages, with their senders and control data. */
#include "test/groups.h"

static struct {
	char text[16][64];
	struct peal_message last;
	struct sockaddr_in from;
	unsigned count, terminal;
	int control;
	int64_t result;
} mail;

static void on_mail(struct peal_ring *where,
		    const struct peal_completion *done)
{
	(void)where;
	mail.result = done->result;
	mail.terminal += !(done->flags & PEAL_MORE);
	if (!done->buf)
		return;
	ck_result(peal_group_message(group, done, &mail.last), 0);
	snprintf(mail.text[mail.count++ % 16], 64, "%.*s", (int)mail.last.len,
		 (char *)mail.last.data);
	if (mail.last.addr && mail.last.addr_len == sizeof(mail.from))
		memcpy(&mail.from, mail.last.addr, sizeof(mail.from));
	if (mail.last.control) {
		struct msghdr header = { .msg_control = mail.last.control,
			.msg_controllen = mail.last.control_len };
		struct cmsghdr *first = CMSG_FIRSTHDR(&header);

		memcpy(&mail.control, CMSG_DATA(first), sizeof(int));
	}
	peal_group_give_back(group, done->buf);
}

static void open_mail_group(uint32_t addr_room, uint32_t control_room,
			    uint32_t buf_size)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;

	options.count = 4;
	options.buf_size = buf_size;
	options.addr_room = addr_room;
	options.control_room = control_room;
	open_group_as(&options);
}

static void make_udp(int fds[2])
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int i;

	for (i = 0; i < 2; i++) {
		loopback(&addr, 0);
		fds[i] = keep_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
		ck_assert_int_eq(bind(fds[i], (struct sockaddr *)&addr, len),
				 0);
	}
	ck_assert_int_eq(getsockname(fds[0], (struct sockaddr *)&addr, &len),
			 0);
	ck_assert_int_eq(connect(fds[1], (struct sockaddr *)&addr, len), 0);
}

/* Receives every message that comes to a datagram socket. */
static void open_mailbox(int fds[2])
{
	make_udp(fds);
	ck_ok(peal_recvmsg_multishot(ring, fds[0], group, 0, 0, on_mail,
				     NULL));
}

TEST(recvmsg_multishot_tells_datagrams_and_their_senders)
{
	struct sockaddr_in own;
	socklen_t len = sizeof(own);
	int fds[2];

	open_mail_group(sizeof(own), 0, 256);
	open_mailbox(fds);
	put(fds[1], "first");
	put(fds[1], "second one");
	UNTIL(mail.count == 2);
	ck_assert_str_eq(mail.text[0], "first");
	ck_assert_str_eq(mail.text[1], "second one");
	ck_assert_int_eq(getsockname(fds[1], (struct sockaddr *)&own, &len),
			 0);
	ck_assert_int_eq(mail.from.sin_port, own.sin_port);
	ck_assert_uint_eq(mail.last.flags, 0);
	ck_assert_uint_eq(mail.terminal, 0);
}

TEST(recvmsg_multishot_goes_on_after_an_empty_datagram)
{
	int fds[2];

	open_mail_group(sizeof(struct sockaddr_in), 0, 256);
	open_mailbox(fds);
	put(fds[1], "");
	put(fds[1], "after");
	UNTIL(mail.count == 2);
	ck_assert_str_eq(mail.text[0], "");
	ck_assert_str_eq(mail.text[1], "after");
	ck_assert_uint_eq(mail.terminal, 0);
}

TEST(recvmsg_multishot_of_a_stream_ends_with_it)
{
	int fds[2];

	open_mail_group(0, 0, 256);
	make_stream(fds);
	ck_ok(peal_recvmsg_multishot(ring, fds[0], group, 0, 0, on_mail,
				     NULL));
	put(fds[1], "words");
	UNTIL(mail.count == 1);
	shutdown(fds[1], SHUT_WR);
	UNTIL(mail.terminal == 1);
	ck_assert_str_eq(mail.text[0], "words");
	ck_assert_uint_eq(group_stats().out, 0);
}

TEST(recvmsg_multishot_says_what_was_cut_off)
{
	int fds[2];

	open_mail_group(0, 0, 24);
	open_mailbox(fds);
	put(fds[1], "0123456789");
	UNTIL(mail.count == 1);
	ck_assert_str_eq(mail.text[0], "01234567");
	ck_assert_uint_eq(mail.last.len, 8);
	ck_assert(mail.last.flags & MSG_TRUNC);
	ck_assert_ptr_null(mail.last.addr);
}

TEST(recvmsg_multishot_brings_control_data)
{
	int fds[2], yes = 1;

	open_mail_group(20, CMSG_SPACE(sizeof(int)), 512);
	make_udp(fds);
	ck_assert_int_eq(setsockopt(fds[0], IPPROTO_IP, IP_RECVTTL, &yes,
				    sizeof(yes)), 0);
	ck_ok(peal_recvmsg_multishot(ring, fds[0], group, 0, 0, on_mail,
				     NULL));
	put(fds[1], "with control");
	UNTIL(mail.count == 1);
	ck_assert_str_eq(mail.text[0], "with control");
	ck_assert_ptr_nonnull(mail.last.control);
	ck_assert_int_gt(mail.control, 0);
	ck_assert_ptr_nonnull(mail.last.addr);
}

TEST(recvmsg_multishot_without_room_is_emsgsize)
{
	int fds[2];

	open_mail_group(32, 16, 64);
	make_udp(fds);
	ck_result(peal_recvmsg_multishot(ring, fds[0], group, 0, 0, on_mail,
					 NULL), -EMSGSIZE);
}

TEST(message_that_is_none_is_einval)
{
	struct peal_completion done = { .result = 40 };
	struct peal_message message = { .flags = 77 };
	uint32_t head[4] = { 0, 9, 8, 0 };
	const struct outcome *end;
	int fds[2];
	char *buf;

	open_mail_group(16, 8, 64);
	make_stream(fds);
	put(fds[1], "x");
	end = finish_outcome(receive(fds[0]));
	buf = end->buf;
	ck_result(peal_group_message(group, &done, &message), -EINVAL);
	done.buf = buf;
	done.result = 39;
	ck_result(peal_group_message(group, &done, &message), -EINVAL);
	done.result = 65;
	ck_result(peal_group_message(group, &done, &message), -EINVAL);
	done.result = 48;
	memcpy(buf, head, sizeof(head));	/* more control than room */
	ck_result(peal_group_message(group, &done, &message), -EINVAL);
	done.buf = buf + 4 * 64;
	ck_result(peal_group_message(group, &done, &message), -EINVAL);
	ck_assert_int_eq(message.flags, 77);
	head[1] = 0;
	head[2] = UINT32_MAX;			/* more data than there is */
	memcpy(buf, head, sizeof(head));
	done.buf = buf;
	ck_result(peal_group_message(group, &done, &message), 0);
	ck_assert_uint_eq(message.len, 8);
}

SUITE("group_message")
