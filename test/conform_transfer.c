/* SPDX-License-Identifier: MIT */
/* Sockets: moving data, ending, passing descriptors. */
#include "test/harness.h"

#define NO_IPV6 "no IPv6 on this machine"

/* A connection that the peer has reset, with the reset already here. */
static int reset_connection(void)
{
	struct linger now = { 1, 0 };
	struct pollfd ready;
	int fds[2];

	ck_assert_int_eq(make_tcp_pair(AF_INET, fds), 0);
	ck_assert_int_eq(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &now,
				    sizeof(now)), 0);
	close(fds[1]);
	ready.fd = fds[0];
	ready.events = POLLIN;
	ck_assert_int_eq(poll(&ready, 1, 5000), 1);
	return fds[0];
}

/* --- recv, send ---------------------------------------------------------- */

static void bytes_arrive_in_order(int fds[2])
{
	char buf[64];
	peal_op op = peal_recv(ring, fds[1], buf, sizeof(buf), 0, 0, on_done,
			       NULL);

	settle();
	ck_assert(!finished(op));
	ck_result(send_from(fds[0], "hello", 5), 5);
	ck_result(finish(op), 5);
	ck_assert_mem_eq(buf, "hello", 5);
	ck_result(send_from(fds[1], "back", 4), 4);
	ck_result(recv_into(fds[0], buf, sizeof(buf)), 4);
	ck_assert_mem_eq(buf, "back", 4);
}

TEST(bytes_arrive_in_order_over_tcp_on_ipv4)
{
	int fds[2];

	ck_assert_int_eq(make_tcp_pair(AF_INET, fds), 0);
	bytes_arrive_in_order(fds);
}

TEST(bytes_arrive_in_order_over_tcp_on_ipv6)
{
	int fds[2];

	if (make_tcp_pair(AF_INET6, fds) != 0)
		SKIP(NO_IPV6);
	bytes_arrive_in_order(fds);
}

TEST(bytes_arrive_in_order_over_a_unix_stream)
{
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	bytes_arrive_in_order(fds);
}

TEST(bytes_arrive_in_order_over_nonblocking_tcp)
{
	int fds[2];

	ck_assert_int_eq(make_tcp_pair(AF_INET, fds), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	bytes_arrive_in_order(fds);
}

TEST(recv_of_length_zero_is_einval)
{
	int fds[2];
	char buf[1];

	make_socketpair(SOCK_STREAM, fds);
	ck_result(finish_or_refused(peal_recv(ring, fds[0], buf, 0, 0, 0,
					      on_done, NULL)), -EINVAL);
}

TEST(send_of_length_zero_finishes_with_zero)
{
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	ck_result(send_from(fds[0], "", 0), 0);
	ck_result(finish(peal_send_full(ring, fds[0], "", 0, 0, 0, on_done,
					NULL)), 0);
}

TEST(recv_with_peek_leaves_the_data)
{
	int fds[2];
	char buf[4];

	make_socketpair(SOCK_STREAM, fds);
	ck_result(send_from(fds[0], "data", 4), 4);
	ck_result(finish(peal_recv(ring, fds[1], buf, 4, MSG_PEEK, 0, on_done,
				   NULL)), 4);
	ck_result(recv_into(fds[1], buf, 4), 4);
	ck_assert_mem_eq(buf, "data", 4);
}

TEST(recv_on_a_file_is_enotsock)
{
	int fd = make_file("f", "data", 4);
	char buf[4] = "";	/* a replay compares what is sent */

	ck_result(recv_into(fd, buf, 4), -ENOTSOCK);
	ck_result(send_from(fd, buf, 4), -ENOTSOCK);
}

TEST(recv_on_an_unconnected_socket_is_enotconn)
{
	int fd = new_socket(AF_INET, SOCK_STREAM);
	char buf[4];

	ck_result(recv_into(fd, buf, 4), -ENOTCONN);
}

TEST(recv_after_the_peer_has_closed_finishes_with_zero)
{
	int fds[2];
	char buf[4];

	ck_assert_int_eq(make_tcp_pair(AF_INET, fds), 0);
	close(fds[0]);
	ck_result(recv_into(fds[1], buf, 4), 0);
	ck_result(recv_into(fds[1], buf, 4), 0);
}

TEST(recv_of_a_reset_connection_is_econnreset)
{
	char buf[4];

	ck_result(recv_into(reset_connection(), buf, 4), -ECONNRESET);
}

TEST(send_to_a_closed_peer_is_epipe_and_no_signal)
{
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	close(fds[1]);
	ck_result(send_from(fds[0], "data", 4), -EPIPE);
	ck_result(finish(peal_send_full(ring, fds[0], "data", 4, 0, 0, on_done,
					NULL)), -EPIPE);
}

TEST(write_to_a_closed_peer_is_epipe_and_no_signal)
{
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	close(fds[1]);
	ck_result(finish(peal_write(ring, fds[0], "data", 4, PEAL_CURRENT, 0,
				    on_done, NULL)), -EPIPE);
}

TEST(writev_to_a_closed_peer_is_epipe_and_no_signal)
{
	struct iovec iov = { (char[]){ "data" }, 4 };
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	close(fds[1]);
	ck_result(finish(peal_writev(ring, fds[0], &iov, 1, PEAL_CURRENT, 0, 0,
				     on_done, NULL)), -EPIPE);
}

TEST(sendmsg_to_a_closed_peer_is_epipe_and_no_signal)
{
	struct iovec iov = { (char[]){ "data" }, 4 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	close(fds[1]);
	ck_result(finish(peal_sendmsg(ring, fds[0], &msg, 0, 0, on_done,
				      NULL)), -EPIPE);
}

TEST(read_and_write_work_on_a_socket)
{
	int fds[2];
	char buf[4];

	make_socketpair(SOCK_STREAM, fds);
	ck_result(finish(peal_write(ring, fds[0], "data", 4, PEAL_CURRENT, 0,
				    on_done, NULL)), 4);
	ck_result(finish(peal_read(ring, fds[1], buf, 4, PEAL_CURRENT, 0,
				   on_done, NULL)), 4);
	ck_assert_mem_eq(buf, "data", 4);
}

TEST(many_recvs_on_one_socket_are_served_one_after_the_other)
{
	char bufs[8][4];
	peal_op ops[8];
	int fds[2];
	unsigned at, total = 0;

	make_socketpair(SOCK_SEQPACKET, fds);
	for (at = 0; at < 8; at++)
		ops[at] = peal_recv(ring, fds[1], bufs[at], 4, 0, 0, on_done,
				    NULL);
	settle();
	for (at = 0; at < 8; at++)
		ck_result(send_from(fds[0], "abcd", 4), 4);
	for (at = 0; at < 8; at++)
		total += (unsigned)finish(ops[at]);
	ck_assert_uint_eq(total, 32);
}

/* --- half close, shutdown ------------------------------------------------ */

TEST(shutdown_of_the_write_side_ends_the_peers_reading_only)
{
	int fds[2];
	char buf[8];

	ck_assert_int_eq(make_tcp_pair(AF_INET, fds), 0);
	ck_result(send_from(fds[0], "last", 4), 4);
	ck_result(finish(peal_shutdown(ring, fds[0], SHUT_WR, 0, on_done,
				       NULL)), 0);
	ck_result(recv_into(fds[1], buf, 8), 4);
	ck_result(recv_into(fds[1], buf, 8), 0);
	ck_result(send_from(fds[1], "reply", 5), 5);
	ck_result(recv_into(fds[0], buf, 8), 5);
	ck_result(send_from(fds[0], "more", 4), -EPIPE);
}

TEST(shutdown_finishes_a_recv_in_flight_with_zero)
{
	int fds[2];
	char buf[8];
	peal_op op;

	ck_assert_int_eq(make_tcp_pair(AF_INET, fds), 0);
	op = peal_recv(ring, fds[0], buf, 8, 0, 0, on_done, NULL);
	settle();
	ck_result(finish(peal_shutdown(ring, fds[0], SHUT_RD, 0, on_done,
				       NULL)), 0);
	ck_result(finish(op), 0);
}

TEST(shutdown_of_an_unconnected_socket_is_enotconn)
{
	int fd = new_socket(AF_INET, SOCK_STREAM);

	ck_result(finish_or_refused(peal_shutdown(ring, fd, SHUT_RDWR, 0,
						  on_done, NULL)), -ENOTCONN);
}

TEST(shutdown_with_an_unknown_direction_is_einval)
{
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	ck_result(finish_or_refused(peal_shutdown(ring, fds[0], 9, 0, on_done,
						  NULL)), -EINVAL);
}

/* --- send_full and large transfers --------------------------------------- */

/* Small, yet more than a loopback segment: or the sender waits for timers. */
static void small_buffers(int fds[2])
{
	int size = 65536;

	ck_assert_int_eq(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size,
				    sizeof(size)), 0);
	ck_assert_int_eq(setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &size,
				    sizeof(size)), 0);
}

static void send_full_moves_all(int fds[2], size_t len)
{
	char *out = aligned_buffer(len), *in = aligned_buffer(len);
	size_t got = 0;
	peal_op op, part;

	small_buffers(fds);
	fill_pattern(out, len, 5);
	op = peal_send_full(ring, fds[0], out, len, 0, 0, on_done, NULL);
	settle();
	ck_assert(!finished(op));
	while (got < len) {
		part = peal_recv(ring, fds[1], in + got, len - got, 0, 0,
				 on_done, NULL);
		ck_assert_int_gt(finish(part), 0);
		got += (size_t)outcome(part)->result;
	}
	ck_result(finish(op), (int64_t)len);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert_ptr_eq(outcome(op)->buf, out + len);
	ck_assert(memcmp(in, out, len) == 0);
}

TEST(send_full_moves_all_over_tcp_with_small_buffers)
{
	int fds[2];

	ck_assert_int_eq(make_tcp_pair(AF_INET, fds), 0);
	send_full_moves_all(fds, 1 << 20);
}

TEST(send_full_moves_all_over_a_nonblocking_socket)
{
	int fds[2];

	ck_assert_int_eq(make_tcp_pair(AF_INET, fds), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	send_full_moves_all(fds, 1 << 20);
}

TEST(send_full_moves_all_over_a_unix_stream)
{
	int fds[2];

	make_socketpair(SOCK_STREAM, fds);
	send_full_moves_all(fds, 1 << 20);
}

TEST(send_full_names_the_first_byte_that_was_not_sent)
{
	size_t len = 1 << 20;
	char *out = aligned_buffer(len), buf[1000];
	const struct outcome *seen;
	int fds[2];
	peal_op op;

	make_socketpair(SOCK_STREAM, fds);
	small_buffers(fds);
	op = peal_send_full(ring, fds[0], out, len, 0, 0, on_done, NULL);
	settle();
	ck_assert_int_eq(recv(fds[1], buf, sizeof(buf), 0), sizeof(buf));
	close(fds[1]);
	seen = finish_outcome(op);
	ck_assert_msg(seen->result == -EPIPE || seen->result == -ECONNRESET,
		      "%s", harness_errno(seen->result));
	ck_assert((char *)seen->buf >= out + 1000);
	ck_assert((char *)seen->buf < out + len);
}

TEST(read_full_takes_all_from_a_socket)
{
	size_t len = 1 << 20;
	char *out = aligned_buffer(len), *in = aligned_buffer(len);
	int fds[2];
	peal_op reading, writing;

	ck_assert_int_eq(make_tcp_pair(AF_INET, fds), 0);
	small_buffers(fds);
	fill_pattern(out, len, 5);
	reading = peal_read_full(ring, fds[1], in, len, PEAL_CURRENT, 0,
				 on_done, NULL);
	writing = peal_write_full(ring, fds[0], out, len, PEAL_CURRENT, 0,
				  on_done, NULL);
	ck_result(finish(reading), (int64_t)len);
	ck_result(finish(writing), (int64_t)len);
	ck_assert(memcmp(in, out, len) == 0);
}

/* --- datagrams ----------------------------------------------------------- */

TEST(udp_datagrams_go_to_the_connected_peer)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int server = new_socket(AF_INET, SOCK_DGRAM);
	int client = new_socket(AF_INET, SOCK_DGRAM);
	char buf[16];

	loopback(&addr, 0);
	ck_result(finish(peal_bind(ring, server, (struct sockaddr *)&addr, len,
				   0, on_done, NULL)), 0);
	ck_assert_int_eq(getsockname(server, (struct sockaddr *)&addr, &len),
			 0);
	ck_result(finish(peal_connect(ring, client, (struct sockaddr *)&addr,
				      len, 0, on_done, NULL)), 0);
	ck_result(send_from(client, "one", 3), 3);
	ck_result(send_from(client, "three", 5), 5);
	ck_result(recv_into(server, buf, 16), 3);
	ck_result(recv_into(server, buf, 16), 5);
	ck_assert_mem_eq(buf, "three", 5);
}

TEST(sendmsg_and_recvmsg_carry_addresses_over_udp)
{
	struct sockaddr_in addr, from;
	socklen_t len = sizeof(addr);
	int server = new_socket(AF_INET, SOCK_DGRAM);
	int client = new_socket(AF_INET, SOCK_DGRAM);
	char buf[16];
	struct iovec out = { (char[]){ "ping" }, 4 }, in = { buf, 16 };
	struct msghdr to_send = { .msg_name = &addr, .msg_namelen = len,
				  .msg_iov = &out, .msg_iovlen = 1 };
	struct msghdr received = { .msg_name = &from,
				   .msg_namelen = sizeof(from),
				   .msg_iov = &in, .msg_iovlen = 1 };
	peal_op op;

	loopback(&addr, 0);
	ck_assert_int_eq(bind(server, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(getsockname(server, (struct sockaddr *)&addr, &len),
			 0);
	op = peal_recvmsg(ring, server, &received, 0, 0, on_done, NULL);
	settle();
	ck_assert(!finished(op));
	ck_result(finish(peal_sendmsg(ring, client, &to_send, 0, 0, on_done,
				      NULL)), 4);
	ck_result(finish(op), 4);
	ck_assert_mem_eq(buf, "ping", 4);
	ck_assert_uint_eq(received.msg_namelen, sizeof(from));
	ck_assert_int_eq(from.sin_family, AF_INET);
	ck_assert_uint_eq(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	len = sizeof(addr);
	ck_assert_int_eq(getsockname(client, (struct sockaddr *)&addr, &len),
			 0);
	ck_assert_int_eq(from.sin_port, addr.sin_port);
}

TEST(recvmsg_says_when_a_datagram_was_cut)
{
	int fds[2];
	char buf[2];
	struct iovec iov = { buf, 2 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	make_socketpair(SOCK_DGRAM, fds);
	ck_result(send_from(fds[0], "12345", 5), 5);
	ck_result(finish(peal_recvmsg(ring, fds[1], &msg, 0, 0, on_done,
				      NULL)), 2);
	ck_assert(msg.msg_flags & MSG_TRUNC);
}

static void message_bounds_are_kept(int type)
{
	int fds[2];
	char buf[16];

	make_socketpair(type, fds);
	ck_result(send_from(fds[0], "one", 3), 3);
	ck_result(send_from(fds[0], "three", 5), 5);
	ck_result(recv_into(fds[1], buf, 16), 3);
	ck_result(recv_into(fds[1], buf, 16), 5);
}

TEST(message_bounds_are_kept_by_unix_datagrams)
{
	message_bounds_are_kept(SOCK_DGRAM);
}

TEST(message_bounds_are_kept_by_seqpacket)
{
	message_bounds_are_kept(SOCK_SEQPACKET);
}

TEST(datagram_that_is_too_long_is_emsgsize)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int server = new_socket(AF_INET, SOCK_DGRAM);
	int client = new_socket(AF_INET, SOCK_DGRAM);
	char *buf = aligned_buffer(70000);

	loopback(&addr, 0);
	ck_assert_int_eq(bind(server, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(getsockname(server, (struct sockaddr *)&addr, &len),
			 0);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&addr, len), 0);
	ck_result(send_from(client, buf, 70000), -EMSGSIZE);
}

/* --- messages that carry descriptors ------------------------------------- */

TEST(sendmsg_passes_an_fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} out_control, in_control;
	char data[1] = "x", buf[4];
	struct iovec iov = { data, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *header;
	int fds[2], passed, got;

	make_socketpair(SOCK_STREAM, fds);
	passed = make_file("f", "data", 4);
	memset(&out_control, 0, sizeof(out_control));
	msg.msg_control = &out_control;
	msg.msg_controllen = sizeof(out_control.bytes);
	header = CMSG_FIRSTHDR(&msg);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &passed, sizeof(int));
	ck_result(finish(peal_sendmsg(ring, fds[0], &msg, 0, 0, on_done,
				      NULL)), 1);

	memset(&in_control, 0, sizeof(in_control));
	msg.msg_control = &in_control;
	msg.msg_controllen = sizeof(in_control.bytes);
	ck_result(finish(peal_recvmsg(ring, fds[1], &msg, MSG_CMSG_CLOEXEC, 0,
				      on_done, NULL)), 1);
	header = CMSG_FIRSTHDR(&msg);
	ck_assert_ptr_nonnull(header);
	ck_assert_int_eq(header->cmsg_type, SCM_RIGHTS);
	memcpy(&got, CMSG_DATA(header), sizeof(int));
	ck_assert_int_eq(fcntl(got, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(pread(got, buf, 4, 0), 4);
	ck_assert_mem_eq(buf, "data", 4);
	close(got);
}

TEST(recvmsg_gathers_into_several_pieces)
{
	int fds[2];
	char a[2], b[10];
	struct iovec iov[] = { { a, 2 }, { b, 10 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	make_socketpair(SOCK_STREAM, fds);
	ck_result(send_from(fds[0], "hello", 5), 5);
	ck_result(finish(peal_recvmsg(ring, fds[1], &msg, 0, 0, on_done,
				      NULL)), 5);
	ck_assert_mem_eq(a, "he", 2);
	ck_assert_mem_eq(b, "llo", 3);
}

SUITE("transfer")
