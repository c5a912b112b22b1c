/* SPDX-License-Identifier: MIT */
/* Sockets: making, binding, accepting, connecting. */
#include "test/harness.h"

#define NO_IPV6 "no IPv6 on this machine"

/* --- socket, bind, listen ------------------------------------------------ */

TEST(socket_gives_a_close_on_exec_fd)
{
	int fd = new_socket(AF_INET, SOCK_STREAM);
	int type;
	socklen_t len = sizeof(type);

	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len), 0);
	ck_assert_int_eq(type, SOCK_STREAM);
}

TEST(socket_keeps_the_type_flags)
{
	int fd = new_socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC);

	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

TEST(socket_of_an_unknown_family_is_eafnosupport)
{
	ck_result(finish_or_refused(peal_socket(ring, 999, SOCK_STREAM, 0, 0,
						on_done, NULL)),
		  -EAFNOSUPPORT);
}

TEST(socket_with_an_unknown_flag_is_refused)
{
	ck_result(peal_socket(ring, AF_INET, SOCK_STREAM, 0, 1u << 30, on_done,
			      NULL), -EINVAL);
}

TEST(bind_and_listen_make_a_server)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int fd = new_socket(AF_INET, SOCK_STREAM), client;

	loopback(&addr, 0);
	ck_result(finish(peal_bind(ring, fd, (struct sockaddr *)&addr,
				   sizeof(addr), 0, on_done, NULL)), 0);
	ck_result(finish(peal_listen(ring, fd, 10, 0, on_done, NULL)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	ck_assert_int_ne(addr.sin_port, 0);
	client = keep_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	ck_assert_int_eq(connect(client, (struct sockaddr *)&addr, len), 0);
}

TEST(bind_of_a_taken_port_is_eaddrinuse)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int fd = new_socket(AF_INET, SOCK_STREAM);

	make_listener(AF_INET, &addr, &len);
	ck_result(finish(peal_bind(ring, fd, (struct sockaddr *)&addr, len, 0,
				   on_done, NULL)), -EADDRINUSE);
}

TEST(bind_of_a_foreign_address_is_eaddrnotavail)
{
	struct sockaddr_in addr;
	int fd = new_socket(AF_INET, SOCK_STREAM);

	loopback(&addr, 0);
	addr.sin_addr.s_addr = htonl(0xc0000201);	/* 192.0.2.1 */
	ck_result(finish(peal_bind(ring, fd, (struct sockaddr *)&addr,
				   sizeof(addr), 0, on_done, NULL)),
		  -EADDRNOTAVAIL);
}

TEST(bind_with_too_short_an_address_is_einval)
{
	struct sockaddr_in addr;
	int fd = new_socket(AF_INET, SOCK_STREAM);

	loopback(&addr, 0);
	ck_result(finish_or_refused(peal_bind(ring, fd,
					      (struct sockaddr *)&addr, 4, 0,
					      on_done, NULL)), -EINVAL);
}

TEST(bind_and_listen_on_a_file_are_enotsock)
{
	struct sockaddr_in addr;
	int fd = make_file("f", "", 0);

	loopback(&addr, 0);
	ck_result(finish_or_refused(peal_bind(ring, fd,
					      (struct sockaddr *)&addr,
					      sizeof(addr), 0, on_done, NULL)),
		  -ENOTSOCK);
	ck_result(finish_or_refused(peal_listen(ring, fd, 1, 0, on_done,
						NULL)), -ENOTSOCK);
}

TEST(listen_on_a_datagram_socket_is_eopnotsupp)
{
	int fd = new_socket(AF_INET, SOCK_DGRAM);

	ck_result(finish_or_refused(peal_listen(ring, fd, 1, 0, on_done,
						NULL)), -EOPNOTSUPP);
}

/* --- accept, connect ----------------------------------------------------- */

static void accept_meets_connect(int family)
{
	struct sockaddr_storage addr, from, own;
	socklen_t len, from_len = sizeof(from), own_len = sizeof(own);
	int listener = make_listener(family, &addr, &len);
	int client = new_socket(family, SOCK_STREAM);
	peal_op accepted, connected;
	int64_t fd;

	memset(&from, 0, sizeof(from));
	accepted = peal_accept(ring, listener, (struct sockaddr *)&from,
			       &from_len, 0, on_done, NULL);
	settle();
	ck_assert(!finished(accepted));
	connected = peal_connect(ring, client, (struct sockaddr *)&addr, len,
				 0, on_done, NULL);
	ck_result(finish(connected), 0);
	fd = finish(accepted);
	ck_ok(fd);
	keep_fd((int)fd);
	ck_assert_int_eq(fcntl((int)fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(getsockname(client, (struct sockaddr *)&own,
				     &own_len), 0);
	ck_assert_uint_eq(from_len, own_len);
	ck_assert_mem_eq(&from, &own, own_len);
}

TEST(accept_meets_connect_on_ipv4)
{
	accept_meets_connect(AF_INET);
}

TEST(accept_meets_connect_on_ipv6)
{
	struct sockaddr_storage addr;
	socklen_t len;

	if (make_listener(AF_INET6, &addr, &len) < 0)
		SKIP(NO_IPV6);
	accept_meets_connect(AF_INET6);
}

TEST(accept_needs_no_address)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(AF_INET, &addr, &len);
	int client = keep_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	int64_t fd;

	ck_assert_int_eq(connect(client, (struct sockaddr *)&addr, len), 0);
	fd = finish(peal_accept(ring, listener, NULL, NULL, 0, on_done, NULL));
	ck_ok(fd);
	keep_fd((int)fd);
}

TEST(accept_on_a_nonblocking_listener_waits_too)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(AF_INET, &addr, &len);
	int client = keep_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	peal_op op;

	ck_assert_int_eq(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	op = peal_accept(ring, listener, NULL, NULL, 0, on_done, NULL);
	settle();
	ck_assert_msg(!finished(op), "it finished with %s",
		      harness_errno(outcome(op)->result));
	ck_assert_int_eq(connect(client, (struct sockaddr *)&addr, len), 0);
	ck_ok(finish(op));
	keep_fd((int)outcome(op)->result);
}

TEST(accept_on_a_socket_that_does_not_listen_is_einval)
{
	int fd = new_socket(AF_INET, SOCK_STREAM);

	ck_result(finish(peal_accept(ring, fd, NULL, NULL, 0, on_done, NULL)),
		  -EINVAL);
}

TEST(accept_on_a_file_is_enotsock)
{
	int fd = make_file("f", "", 0);

	ck_result(finish(peal_accept(ring, fd, NULL, NULL, 0, on_done, NULL)),
		  -ENOTSOCK);
}

TEST(connect_to_nobody_is_econnrefused)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int fd = new_socket(AF_INET, SOCK_STREAM);

	/* A port that was free a moment ago. */
	close(make_listener(AF_INET, &addr, &len));
	ck_result(finish(peal_connect(ring, fd, (struct sockaddr *)&addr, len,
				      0, on_done, NULL)), -ECONNREFUSED);
}

TEST(connect_to_nobody_is_econnrefused_on_a_nonblocking_socket_too)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int fd = new_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);

	close(make_listener(AF_INET, &addr, &len));
	ck_result(finish(peal_connect(ring, fd, (struct sockaddr *)&addr, len,
				      0, on_done, NULL)), -ECONNREFUSED);
}

TEST(connect_of_a_nonblocking_socket_finishes_when_connected)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(AF_INET, &addr, &len);
	int fd = new_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);

	(void)listener;
	ck_result(finish(peal_connect(ring, fd, (struct sockaddr *)&addr, len,
				      0, on_done, NULL)), 0);
	ck_result(send_from(fd, "x", 1), 1);
}

TEST(connect_twice_is_eisconn)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(AF_INET, &addr, &len);
	int fd = new_socket(AF_INET, SOCK_STREAM);

	(void)listener;
	ck_result(finish(peal_connect(ring, fd, (struct sockaddr *)&addr, len,
				      0, on_done, NULL)), 0);
	ck_result(finish(peal_connect(ring, fd, (struct sockaddr *)&addr, len,
				      0, on_done, NULL)), -EISCONN);
}

TEST(connect_over_a_unix_path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = new_socket(AF_UNIX, SOCK_STREAM);
	int client = new_socket(AF_UNIX, SOCK_STREAM);
	peal_op op;

	if (strlen(path_in_dir("s")) >= sizeof(addr.sun_path))
		SKIP("the directory's name is too long for a unix socket");
	strcpy(addr.sun_path, path_in_dir("s"));
	ck_result(finish(peal_connect(ring, client, (struct sockaddr *)&addr,
				      sizeof(addr), 0, on_done, NULL)),
		  -ENOENT);
	ck_result(finish(peal_bind(ring, listener, (struct sockaddr *)&addr,
				   sizeof(addr), 0, on_done, NULL)), 0);
	ck_result(finish(peal_listen(ring, listener, 1, 0, on_done, NULL)), 0);
	op = peal_accept(ring, listener, NULL, NULL, 0, on_done, NULL);
	ck_result(finish(peal_connect(ring, client, (struct sockaddr *)&addr,
				      sizeof(addr), 0, on_done, NULL)), 0);
	ck_ok(finish(op));
	keep_fd((int)outcome(op)->result);
}

/* --- accept_multishot ---------------------------------------------------- */

static unsigned accepted_count;

static void on_accept(struct peal_ring *where,
		      const struct peal_completion *done)
{
	on_done(where, done);
	if (done->result >= 0) {
		accepted_count++;
		close((int)done->result);
	}
}

static void connect_once(const struct sockaddr_storage *addr, socklen_t len)
{
	int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)addr, len), 0);
	close(fd);
}

TEST(accept_multishot_completes_once_per_connection)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(AF_INET, &addr, &len);
	unsigned at;
	peal_op op = peal_accept_multishot(ring, listener, 0, on_accept, NULL);

	ck_assert_int_gt(op, 0);
	for (at = 1; at <= 50; at++) {
		connect_once(&addr, len);
		UNTIL(accepted_count == at);
		ck_assert(outcome(op)->flags & PEAL_MORE);
	}
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
	ck_assert_uint_eq(accepted_count, 50);
}

TEST(accept_multishot_takes_what_was_queued_before)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(AF_INET, &addr, &len);
	unsigned at;
	peal_op op;

	for (at = 0; at < 20; at++)
		connect_once(&addr, len);
	op = peal_accept_multishot(ring, listener, 0, on_accept, NULL);
	UNTIL(accepted_count == 20);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
}

TEST(accept_multishot_gives_close_on_exec_fds)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(AF_INET, &addr, &len);
	peal_op op = peal_accept_multishot(ring, listener, 0, on_done, NULL);

	connect_once(&addr, len);
	UNTIL(outcome(op)->calls == 1);
	ck_ok(outcome(op)->result);
	keep_fd((int)outcome(op)->result);
	ck_assert_int_eq(fcntl((int)outcome(op)->result, F_GETFD), FD_CLOEXEC);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	finish(op);
}

TEST(accept_multishot_on_a_socket_that_does_not_listen_is_einval)
{
	int fd = new_socket(AF_INET, SOCK_STREAM);

	ck_result(finish(peal_accept_multishot(ring, fd, 0, on_done, NULL)),
		  -EINVAL);
}

TEST(accept_multishot_survives_a_completion_queue_that_is_too_small)
{
	struct peal_ring_options options = harness_options();
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(AF_INET, &addr, &len);
	unsigned at;
	peal_op op;

	options.entries = 2;
	options.cq_entries = 2;
	reopen_ring(&options);
	op = peal_accept_multishot(ring, listener, 0, on_accept, NULL);
	settle();
	for (at = 0; at < 60; at++)
		connect_once(&addr, len);
	UNTIL(accepted_count == 60);
	ck_assert(!finished(op));
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
}

TEST(accept_and_socket_for_nobody_leak_no_fd)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(AF_INET, &addr, &len);
	peal_op op;

	ck_assert_int_gt(peal_socket(ring, AF_INET, SOCK_STREAM, 0, 0, NULL,
				     NULL), 0);
	connect_once(&addr, len);
	connect_once(&addr, len);
	ck_assert_int_gt(peal_accept(ring, listener, NULL, NULL, 0, NULL,
				     NULL), 0);
	UNTIL(peal_ring_in_flight(ring) == 0);
	op = peal_accept_multishot(ring, listener, 0, NULL, NULL);
	settle();
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	UNTIL(peal_ring_in_flight(ring) == 0);
}

TEST(socket_is_not_taken_for_the_fd_of_its_familys_number)
{
	/* AF_INET is 2, and 2 is standard error. */
	peal_op op = peal_socket(ring, AF_INET, SOCK_STREAM, 0, 0, on_done,
				 NULL);

	ck_result(finish(peal_cancel_fd(ring, AF_INET, 0, on_done, NULL)), 0);
	ck_ok(finish(op));
	keep_fd((int)outcome(op)->result);
}

SUITE("net")
