/* SPDX-License-Identifier: MIT */
/*
 * Direct descriptors: a wish that every engine grants in its own way. Each test
 * is the same program with a table and without one.
 */
#include "test/harness.h"

#define SLOTS	8u

static int has_table;	/* else the results are ordinary */

static void open_table(uint32_t slots)
{
	struct peal_ring_options options = harness_options();
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	options.direct_fds = slots;
	reopen_ring(&options);
	out = open_memstream(&text, &len);
	peal_ring_explain(ring, out);
	fclose(out);
	has_table = strstr(text, "direct         on") != NULL;
	ck_assert_msg(has_table || strstr(text, "direct         off") != NULL,
		      "%s", text);
	free(text);
}

/* A result that is a descriptor, as it was wished. */
static int wished(int64_t fd)
{
	ck_ok(fd);
	ck_assert_int_eq(peal_fd_is_direct((peal_fd)fd), has_table);
	if (!has_table)
		keep_fd((int)fd);
	return (int)fd;
}

static int open_file(const char *name, const char *data)
{
	close(make_file(name, data, strlen(data)));
	return wished(finish(peal_open(ring, PEAL_CWD, path_in_dir(name),
				       O_RDWR, 0, PEAL_DIRECT, on_done,
				       NULL)));
}

static int64_t close_it(int fd)
{
	return finish_or_refused(peal_close(ring, fd, 0, on_done, NULL));
}

static uint64_t direct_ops(void)
{
	struct peal_stats stats = { .size = sizeof(stats) };
	uint64_t sum = 0;
	int i;

	peal_ring_stats(ring, &stats);
	for (i = 0; i < PEAL_STATS_OPS; i++) {
		ck_assert_uint_le(stats.direct_by_op[i], stats.by_op[i]);
		sum += stats.direct_by_op[i];
	}
	return sum;
}

/* A listener and a connection to it that waits; the client's end. */
static int make_waiting(int *listener)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int client = keep_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	*listener = make_listener(AF_INET, &addr, &len);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&addr, len), 0);
	return client;
}

/* --- files --------------------------------------------------------------- */

TEST(no_table_is_no_error)
{
	int fd;

	has_table = 0;
	fd = open_file("f", "hello");
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

TEST(file_in_the_table_reads_writes_syncs_and_closes)
{
	char buf[16] = "";
	int fd;

	open_table(SLOTS);
	fd = open_file("f", "hello");
	ck_result(read_at(fd, buf, sizeof(buf), 0), 5);
	ck_assert_str_eq(buf, "hello");
	ck_result(write_at(fd, "JELLY!", 6, 0), 6);
	ck_result(finish(peal_sync(ring, fd, 0, on_done, NULL)), 0);
	ck_result(finish(peal_read_full(ring, fd, buf, sizeof(buf), 0, 0,
					on_done, NULL)), 6);
	ck_assert_str_eq(buf, "JELLY!");
	ck_assert_int_eq(has_table, direct_ops() > 0);
	ck_result(close_it(fd), 0);
	ck_result(finish_or_refused(peal_read(ring, fd, buf, 1, 0, 0, on_done,
					      NULL)), -EBADF);
	ck_result(close_it(fd), -EBADF);
}

TEST(files_in_the_table_have_vectors_and_space)
{
	char a[2], b[3];
	struct iovec parts[2] = { { a, 2 }, { b, 3 } };
	int fd;

	open_table(SLOTS);
	fd = open_file("f", "hello");
	ck_result(finish(peal_readv(ring, fd, parts, 2, 0, 0, 0, on_done,
				    NULL)), 5);
	ck_assert_mem_eq(b, "llo", 3);
	ck_result(finish(peal_writev(ring, fd, parts, 2, 5, 0, 0, on_done,
				     NULL)), 5);
	ck_result(finish(peal_allocate(ring, fd, 0, 8192, 0, on_done, NULL)),
		  0);
	ck_result(finish(peal_datasync(ring, fd, 0, on_done, NULL)), 0);
	ck_result(close_it(fd), 0);
}

TEST(open_that_fails_takes_no_slot)
{
	int i;

	open_table(2);
	for (i = 0; i < 10; i++)
		ck_result(finish(peal_open(ring, PEAL_CWD,
					   path_in_dir("none"), O_RDONLY, 0,
					   PEAL_DIRECT, on_done, NULL)),
			  -ENOENT);
	open_file("f", "x");
}

TEST(full_table_is_enfile_and_a_close_makes_room)
{
	struct peal_stats stats = { .size = sizeof(stats) };
	int fds[2], i;

	open_table(2);
	if (!has_table)
		SKIP("no table");
	for (i = 0; i < 2; i++)
		fds[i] = open_file("f", "x");
	ck_result(finish(peal_open(ring, PEAL_CWD, path_in_dir("f"), O_RDONLY,
				   0, PEAL_DIRECT, on_done, NULL)), -ENFILE);
	peal_ring_stats(ring, &stats);
	ck_assert_uint_eq(stats.direct_full, 1);
	ck_result(close_it(fds[0]), 0);
	open_file("f", "x");
}

static int64_t last;

static void on_last(struct peal_ring *where,
		    const struct peal_completion *done)
{
	(void)where;
	last = done->result;
}

static int64_t recv_on(const char *engine, int fd)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own;
	char byte;

	options.engine = engine;
	own = open_ring(&options);
	last = 1;
	ck_ok(peal_recv(own, fd, &byte, 1, 0, 0, on_last, NULL));
	UNTIL_ON(own, last != 1);
	/* Whose entry has descriptor 0 in it, which is ours. */
	ck_result(peal_close(own, fd, 0, on_last, NULL), -EBADF);
	ck_result(peal_close_drained(own, fd, 0, on_last, NULL), -EBADF);
	close_ring(own);
	ck_assert_int_ge(fcntl(0, F_GETFD), 0);
	return last;
}

TEST(descriptor_of_another_ring_is_ebadf)
{
	int fd;

	open_table(SLOTS);
	if (!has_table)
		SKIP("no table");
	fd = open_file("f", "x");
	ck_result(recv_on("uring", fd), -EBADF);
	ck_result(recv_on("epoll", fd), -EBADF);
}

static int64_t last_of(struct peal_ring *which, peal_op op)
{
	if (op < 0)
		return op;
	last = INT64_MIN;
	UNTIL_ON(which, last != INT64_MIN);
	return last;
}

/* Of both rings the first slot is in use. */
TEST(descriptor_of_a_ring_with_a_table_names_no_file_of_this_one)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *other;
	char byte = 'z';
	int fd, pipe_fds[2];
	peal_fd theirs;

	open_table(SLOTS);
	if (!has_table)
		SKIP("no table");
	fd = open_file("f", "x");
	options.direct_fds = SLOTS;
	other = open_ring(&options);
	close(make_file("g", "y", 1));
	theirs = (peal_fd)last_of(other, peal_open(other, PEAL_CWD, path_in_dir("g"),
					     O_RDONLY, 0, PEAL_DIRECT, on_last,
					     NULL));
	ck_assert_int_eq(peal_fd_is_direct(theirs), 1);
	make_pipe(pipe_fds);
	ck_result(last_of(other, peal_read(other, fd, &byte, 1, 0, 0, on_last,
				     NULL)), -EBADF);
	ck_result(last_of(other, peal_splice(other, fd, 0, pipe_fds[1], UINT64_MAX,
				       1, 0, 0, on_last, NULL)), -EBADF);
	ck_result(last_of(other, peal_close(other, fd, 0, on_last, NULL)), -EBADF);
	ck_result(last_of(other, peal_close(other, INT32_MAX, 0, on_last, NULL)),
		  -EBADF);
	ck_result(last_of(other, peal_close_drained(other, fd, 0, on_last, NULL)),
		  -EBADF);
	ck_result(last_of(other, peal_read(other, theirs, &byte, 1, 0, 0, on_last,
				     NULL)), 1);
	ck_assert_int_eq(byte, 'y');
	close_ring(other);
	ck_result(read_at(fd, &byte, 1, 0), 1);
	ck_assert_int_eq(byte, 'x');
}

TEST(what_has_no_plain_call_is_refused)
{
	char buf[256];
	int fd;

	open_table(SLOTS);
	if (!has_table)
		SKIP("no table");
	fd = open_file("f", "x");
	ck_result(finish_or_refused(peal_read_dir(ring, fd, buf, sizeof(buf),
						  0, on_done, NULL)),
		  -EOPNOTSUPP);
	ck_result(finish_or_refused(peal_seek_data(ring, fd, 0, 0, on_done,
						   NULL)), -EOPNOTSUPP);
}

TEST(splice_goes_from_and_to_the_table)
{
	char buf[8] = "";
	int pipe_fds[2], from, to;

	open_table(SLOTS);
	make_pipe(pipe_fds);
	from = open_file("a", "12345");
	to = open_file("b", "");
	ck_result(finish(peal_splice(ring, from, 0, pipe_fds[1], UINT64_MAX, 5,
				     0, 0, on_done, NULL)), 5);
	ck_result(finish(peal_splice(ring, pipe_fds[0], UINT64_MAX, to, 0, 5,
				     0, 0, on_done, NULL)), 5);
	ck_result(read_at(to, buf, sizeof(buf), 0), 5);
	ck_assert_str_eq(buf, "12345");
}

/* --- sockets ------------------------------------------------------------- */

TEST(socket_in_the_table_connects_sends_and_receives)
{
	struct sockaddr_storage addr;
	socklen_t len;
	char buf[8] = "";
	int listener, fd, peer;

	open_table(SLOTS);
	listener = make_listener(AF_INET, &addr, &len);
	fd = wished(finish(peal_socket(ring, AF_INET, SOCK_STREAM, 0,
				       PEAL_DIRECT, on_done, NULL)));
	ck_result(finish(peal_connect(ring, fd, (struct sockaddr *)&addr, len,
				      0, on_done, NULL)), 0);
	peer = keep_fd(accept(listener, NULL, NULL));
	ck_result(send_from(fd, "ping", 4), 4);
	ck_assert_int_eq(recv(peer, buf, sizeof(buf), 0), 4);
	ck_assert_int_eq(send(peer, "pong!", 5, 0), 5);
	ck_result(recv_into(fd, buf, sizeof(buf)), 5);
	ck_assert_str_eq(buf, "pong!");
	ck_result(finish(peal_send_full(ring, fd, "more", 4, 0, 0, on_done,
					NULL)), 4);
	ck_result(finish(peal_shutdown(ring, fd, SHUT_WR, 0, on_done, NULL)),
		  0);
	ck_assert_int_eq(recv(peer, buf, sizeof(buf), 0), 4);
	ck_assert_int_eq(recv(peer, buf, sizeof(buf), 0), 0);
	ck_result(close_it(fd), 0);
}

TEST(accept_into_the_table)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char buf[8];
	int listener, client, fd;

	open_table(SLOTS);
	client = make_waiting(&listener);
	fd = wished(finish(peal_accept(ring, listener,
				       (struct sockaddr *)&from, &len,
				       PEAL_DIRECT, on_done, NULL)));
	ck_assert_uint_eq(len, sizeof(struct sockaddr_in));
	ck_assert_int_eq(send(client, "x", 1, 0), 1);
	ck_result(recv_into(fd, buf, sizeof(buf)), 1);
	ck_result(close_it(fd), 0);
	ck_assert_int_eq(recv(client, buf, 1, 0), 0);
}

static int accepted[16];
static unsigned accepted_count, accept_ended;
static int64_t accept_last;

static void on_accepted(struct peal_ring *where,
			const struct peal_completion *done)
{
	(void)where;
	accept_last = done->result;
	accept_ended += !(done->flags & PEAL_MORE);
	if (done->result >= 0)
		accepted[accepted_count++] = wished(done->result);
}

TEST(accept_multishot_fills_the_table)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int clients[3], listener, i;
	peal_op op;
	char byte;

	open_table(SLOTS);
	listener = make_listener(AF_INET, &addr, &len);
	op = peal_accept_multishot(ring, listener, PEAL_DIRECT, on_accepted,
				   NULL);
	ck_ok(op);
	for (i = 0; i < 3; i++) {
		clients[i] = keep_fd(socket(AF_INET,
					    SOCK_STREAM | SOCK_CLOEXEC, 0));
		ck_assert_int_eq(connect(clients[i], (struct sockaddr *)&addr,
					 len), 0);
	}
	UNTIL(accepted_count == 3);
	for (i = 0; i < 3; i++) {
		ck_result(send_from(accepted[i], "y", 1), 1);
		ck_result(close_it(accepted[i]), 0);
	}
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(recv(clients[i], &byte, 1, 0), 1);
	ck_assert_uint_eq(accept_ended, 0);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	UNTIL(accept_ended);
	ck_result(accept_last, -ECANCELED);
}

TEST(accept_multishot_ends_when_the_table_is_full)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener, i;

	open_table(2);
	if (!has_table)
		SKIP("no table");
	listener = make_listener(AF_INET, &addr, &len);
	ck_ok(peal_accept_multishot(ring, listener, PEAL_DIRECT, on_accepted,
				    NULL));
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(connect(keep_fd(socket(AF_INET, SOCK_STREAM |
							SOCK_CLOEXEC, 0)),
					 (struct sockaddr *)&addr, len), 0);
	UNTIL(accept_ended);
	ck_assert_uint_eq(accepted_count, 2);
	ck_result(accept_last, -ENFILE);
}

TEST(server_with_its_listener_in_the_table)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int fd, installed, client, peer;

	open_table(SLOTS);
	fd = wished(finish(peal_socket(ring, AF_INET, SOCK_STREAM, 0,
				       PEAL_DIRECT, on_done, NULL)));
	loopback(&addr, 0);
	if (finish_or_refused(peal_bind(ring, fd, (struct sockaddr *)&addr,
					len, 0, on_done, NULL)) ==
	    -EOPNOTSUPP)
		SKIP("bind has no op here");
	ck_result(finish(peal_listen(ring, fd, 4, 0, on_done, NULL)), 0);
	installed = (int)finish_or_refused(peal_fd_install(ring, fd, 0,
							   on_done, NULL));
	if (installed == -EOPNOTSUPP)
		SKIP("install has no op here");
	ck_ok(installed);
	keep_fd(installed);
	ck_assert_int_eq(getsockname(installed, (struct sockaddr *)&addr,
				     &len), 0);
	client = keep_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	ck_assert_int_eq(connect(client, (struct sockaddr *)&addr, len), 0);
	peer = wished(finish(peal_accept(ring, fd, NULL, NULL, PEAL_DIRECT,
					 on_done, NULL)));
	ck_result(send_from(peer, "z", 1), 1);
}

TEST(poll_and_groups_work_on_the_table)
{
	struct peal_group *group;
	const struct outcome *end;
	int listener, client, fd, i;

	open_table(SLOTS);
	client = make_waiting(&listener);
	fd = wished(finish(peal_accept(ring, listener, NULL, NULL, PEAL_DIRECT,
				       on_done, NULL)));
	ck_result(finish(peal_poll(ring, fd, POLLOUT, 0, on_done, NULL)),
		  POLLOUT);
	ck_result(peal_group_open(ring, &group, NULL), 0);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(send(client, "abc", 3, 0), 3);
		end = finish_outcome(peal_recv_group(ring, fd, group, 0, 0,
						     on_done, NULL));
		ck_result(end->result, 3);
		peal_group_give_back(group, end->buf);
	}
}

/* --- cancel, drain, nobody ----------------------------------------------- */

TEST(cancel_by_descriptor_finds_ops_on_the_table)
{
	int listener, fd;
	peal_op op;
	char byte;

	open_table(SLOTS);
	make_waiting(&listener);
	fd = wished(finish(peal_accept(ring, listener, NULL, NULL, PEAL_DIRECT,
				       on_done, NULL)));
	op = peal_recv(ring, fd, &byte, 1, 0, 0, on_done, NULL);
	settle();
	ck_result(finish(peal_cancel_fd(ring, fd, 0, on_done, NULL)), 1);
	ck_result(finish(op), -ECANCELED);
}

TEST(drained_close_of_a_slot_waits_and_refuses)
{
	int listener, client, fd;
	peal_op op, closed;
	char byte;

	open_table(1);
	client = make_waiting(&listener);
	fd = wished(finish(peal_accept(ring, listener, NULL, NULL, PEAL_DIRECT,
				       on_done, NULL)));
	op = peal_recv(ring, fd, &byte, 1, 0, 0, on_done, NULL);
	settle();
	closed = peal_close_drained(ring, fd, 0, on_done, NULL);
	ck_ok(closed);
	ck_result(peal_recv(ring, fd, &byte, 1, 0, 0, on_done, NULL), -EBADF);
	ck_result(finish(closed), 0);
	ck_result(outcome(op)->result, -ECANCELED);
	ck_assert_uint_lt(outcome(op)->order, outcome(closed)->order);
	ck_assert_int_eq(recv(client, &byte, 1, 0), 0);
	open_file("f", "the slot is free again");
}

/* The only slot is not given to the next file while an op is on it. */
TEST(slot_is_not_used_again_while_an_op_is_in_flight)
{
	int listener, fd;
	peal_op op, closed, opened;
	char byte;

	open_table(1);
	if (!has_table)
		SKIP("no table");
	make_waiting(&listener);
	fd = wished(finish(peal_accept(ring, listener, NULL, NULL, PEAL_DIRECT,
				       on_done, NULL)));
	close(make_file("f", "x", 1));
	op = peal_recv(ring, fd, &byte, 1, 0, 0, on_done, NULL);
	settle();
	closed = peal_close_drained(ring, fd, 0, on_done, NULL);
	opened = peal_open(ring, PEAL_CWD, path_in_dir("f"), O_RDONLY, 0,
			   PEAL_DIRECT, on_done, NULL);
	UNTIL(finished(closed) && finished(opened));
	if (outcome(opened)->result >= 0) {
		ck_assert(finished(op));
		ck_assert_uint_lt(outcome(op)->order, outcome(opened)->order);
	} else {
		ck_result(outcome(opened)->result, -ENFILE);
	}
	ck_result(outcome(op)->result, -ECANCELED);
}

TEST(descriptor_that_nobody_wants_is_closed)
{
	int i;

	open_table(1);
	close(make_file("f", "x", 1));
	for (i = 0; i < 5; i++) {
		ck_ok(peal_open(ring, PEAL_CWD, path_in_dir("f"), O_RDONLY, 0,
				PEAL_DIRECT, NULL, NULL));
		ck_result(peal_ring_run(ring), 0);
	}
	open_file("f", "x");
}

TEST(accept_that_won_against_its_cancel_has_its_slot)
{
	int listener, i, won = 0;

	open_table(SLOTS);
	for (i = 0; i < 50; i++) {
		peal_op op;

		make_waiting(&listener);
		op = peal_accept(ring, listener, NULL, NULL, PEAL_DIRECT,
				 on_done, NULL);
		peal_cancel(ring, op, 0, NULL, NULL);
		if (finish(op) >= 0) {
			won++;
			ck_result(close_it(wished(outcome(op)->result)), 0);
		}
		close(listener);
	}
	(void)won;
	for (i = 0; i < (int)SLOTS; i++)
		open_file("f", "x");
}

TEST(ring_closes_what_is_left_in_the_table)
{
	int listener, client;
	ssize_t got;
	char byte;

	open_table(SLOTS);
	client = make_waiting(&listener);
	wished(finish(peal_accept(ring, listener, NULL, NULL, PEAL_DIRECT,
				  on_done, NULL)));
	if (!has_table)
		SKIP("no table");
	reopen_ring(NULL);
	/* The kernel takes the last one apart in its own time. */
	UNTIL((got = recv(client, &byte, 1, MSG_DONTWAIT)) >= 0);
	ck_assert_int_eq(got, 0);
}

/* --- in and out ---------------------------------------------------------- */

TEST(installed_descriptor_is_an_ordinary_one_of_the_same_file)
{
	char buf[8] = "";
	int64_t fd;
	int direct;

	open_table(SLOTS);
	direct = open_file("f", "hello");
	fd = finish_or_refused(peal_fd_install(ring, direct, 0, on_done,
					       NULL));
	if (has_table && fd == -EOPNOTSUPP)
		SKIP("this kernel cannot install");
	ck_ok(fd);
	keep_fd((int)fd);
	ck_assert(!peal_fd_is_direct((peal_fd)fd));
	ck_assert_int_eq(fcntl((int)fd, F_GETFD), FD_CLOEXEC);
	ck_result(close_it(direct), 0);
	ck_assert_int_eq(pread((int)fd, buf, sizeof(buf), 0), 5);
	ck_assert_str_eq(buf, "hello");
}

TEST(install_of_nothing_is_ebadf)
{
	int64_t rc;

	open_table(SLOTS);
	ck_result(finish_or_refused(peal_fd_install(ring, closed_fd(), 0,
						    on_done, NULL)), -EBADF);
	if (!has_table)
		return;
	rc = finish_or_refused(peal_fd_install(ring, (1 << 30) + 3, 0, on_done,
					       NULL));
	if (rc == -EOPNOTSUPP)
		SKIP("this kernel cannot install");
	ck_result(rc, -EBADF);
}

TEST(registered_descriptor_is_of_the_same_file)
{
	char buf[8] = "";
	int file, fd;

	open_table(SLOTS);
	file = make_file("f", "hello", 5);
	fd = wished(finish(peal_fd_register(ring, file, 0, on_done, NULL)));
	ck_assert_int_ne(fd, file);
	close(file);
	ck_result(read_at(fd, buf, sizeof(buf), 0), 5);
	ck_assert_str_eq(buf, "hello");
	ck_result(close_it(fd), 0);
}

TEST(register_says_what_is_wrong)
{
	int file, i;

	open_table(2);
	ck_result(finish_or_refused(peal_fd_register(ring, closed_fd(), 0,
						     on_done, NULL)), -EBADF);
	if (!has_table)
		return;
	file = make_file("f", "hello", 5);
	for (i = 0; i < 2; i++)
		wished(finish(peal_fd_register(ring, file, 0, on_done, NULL)));
	ck_result(finish(peal_fd_register(ring, file, 0, on_done, NULL)),
		  -ENFILE);
	ck_result(peal_fd_register(ring, (1 << 30) + 1, 0, on_done, NULL),
		  -EBADF);
}

TEST(dump_names_direct_descriptors)
{
	char *text = NULL, byte;
	size_t len = 0;
	FILE *out;
	int listener, fd;

	open_table(SLOTS);
	if (!has_table)
		SKIP("no table");
	make_waiting(&listener);
	fd = wished(finish(peal_accept(ring, listener, NULL, NULL, PEAL_DIRECT,
				       on_done, NULL)));
	ck_ok(peal_recv(ring, fd, &byte, 1, 0, 0, on_done, NULL));
	settle();
	out = open_memstream(&text, &len);
	peal_ring_dump(ring, out);
	fclose(out);
	ck_assert_msg(strstr(text, "direct 0") != NULL, "%s", text);
	free(text);
}

TEST(table_larger_than_the_limit_is_none_with_a_reason)
{
	struct peal_ring_options options = harness_options();
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	options.direct_fds = 1u << 20;
	reopen_ring(&options);
	out = open_memstream(&text, &len);
	peal_ring_explain(ring, out);
	fclose(out);
	ck_assert_msg(strstr(text, "direct         o") != NULL, "%s", text);
	if (strstr(text, "direct         off") && !disabled("direct") &&
	    !strcmp(peal_ring_engine(ring), "uring"))
		ck_assert_msg(strstr(text, "RLIMIT_NOFILE") != NULL, "%s",
			      text);
	free(text);
}

SUITE("direct")
