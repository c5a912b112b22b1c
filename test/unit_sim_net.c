/* SPDX-License-Identifier: MIT */
/* Simulated networks: what arrives, and what does not. */
#include <netdb.h>
#include "test/harness.h"
#include "peal/sim.h"

static struct peal_sim *world;
static struct peal_sim_node *left_node, *right_node;
static struct peal_ring *left, *right;

static struct peal_ring *ring_on(struct peal_sim_node *node)
{
	struct peal_ring_options options = harness_options();

	options.sim_node = node;
	options.max_ops = 256;
	return open_ring(&options);
}

static void begin(uint64_t seed)
{
	forget_outcomes();
	ck_result(peal_sim_open(&world, seed, NULL), 0);
	left_node = peal_sim_node(world, "left");
	right_node = peal_sim_node(world, "right");
	left = ring_on(left_node);
	right = ring_on(right_node);
}

static void end(void)
{
	close_ring(left);
	if (right)
		close_ring(right);
	peal_sim_close(world);
}

/* What became of an op: its own place, since handles of two rings are alike. */
struct end {
	int64_t result;
	unsigned calls;
	int done;
};

static void on_end(struct peal_ring *where, const struct peal_completion *done)
{
	struct end *end = done->ctx;

	(void)where;
	end->result = done->result;
	end->calls++;
	end->done = !(done->flags & PEAL_MORE);
}

static int64_t wait_for(struct end *end)
{
	uint64_t until = peal_sim_now(world) + 600 * PEAL_S;

	while (!end->done && peal_sim_now(world) < until)
		peal_sim_run(world, peal_sim_now(world) + PEAL_MS);
	ck_assert(end->done);
	return end->result;
}

static void address(struct sockaddr_in *addr, unsigned host, unsigned port)
{
	memset(addr, 0, sizeof(*addr));
	addr->sin_family = AF_INET;
	addr->sin_addr.s_addr = htonl(host);
	addr->sin_port = htons((uint16_t)port);
}

#define RIGHT 0x0a000002u	/* 10.0.0.2 */

static int socket_on(struct peal_ring *where, int type)
{
	struct end end = { 0 };

	peal_socket(where, AF_INET, type, 0, 0, on_end, &end);
	return (int)wait_for(&end);
}

static int listen_on_right(int backlog)
{
	int fd = socket_on(right, SOCK_STREAM);
	struct sockaddr_in addr;
	struct end bound = { 0 }, listening = { 0 };

	address(&addr, INADDR_ANY, 80);
	peal_bind(right, fd, (void *)&addr, sizeof(addr), 0, on_end, &bound);
	ck_result(wait_for(&bound), 0);
	peal_listen(right, fd, backlog, 0, on_end, &listening);
	ck_result(wait_for(&listening), 0);
	return fd;
}

static struct sockaddr_in to_right;

static int64_t connect_left(int *fd, struct end *end)
{
	address(&to_right, RIGHT, 80);
	*fd = socket_on(left, SOCK_STREAM);
	*end = (struct end){ 0 };
	return peal_connect(left, *fd, (void *)&to_right, sizeof(to_right), 0,
			    on_end, end);
}

/* A stream from left to right. */
static void make_stream(int fds[2])
{
	struct end accepted = { 0 }, connected;
	int listener = listen_on_right(8);

	peal_accept(right, listener, NULL, NULL, 0, on_end, &accepted);
	connect_left(&fds[0], &connected);
	ck_result(wait_for(&connected), 0);
	fds[1] = (int)wait_for(&accepted);
	ck_ok(fds[1]);
}

BARE_TEST(stream_brings_all_bytes_in_order_in_other_pieces)
{
	static char out[65536], in[65536];
	struct end sent = { 0 }, got = { 0 };
	int fds[2];

	begin(1);
	make_stream(fds);
	peal_sim_fault(world, NULL, PEAL_SIM_SHORT, 300000);
	peal_sim_fault(world, NULL, PEAL_SIM_SPLIT, PEAL_SIM_MILLION);
	peal_sim_fault(world, NULL, PEAL_SIM_SLOW, 30000);
	peal_sim_fault(world, NULL, PEAL_SIM_LOSS, 30000);
	fill_pattern(out, sizeof(out), 9);
	peal_send_full(left, fds[0], out, sizeof(out), 0, 0, on_end, &sent);
	peal_recv(right, fds[1], in, sizeof(in), MSG_WAITALL, 0, on_end,
		  &got);
	ck_result(wait_for(&got), sizeof(in));
	ck_result(wait_for(&sent), sizeof(out));
	ck_assert(has_pattern(in, sizeof(in), 9));
	ck_assert_uint_gt(peal_sim_faults(left_node, PEAL_SIM_SPLIT, NULL), 0);
	end();
}

BARE_TEST(slow_reader_holds_its_sender)
{
	static char out[1 << 20];
	struct end sent = { 0 };
	int fds[2];

	begin(1);
	make_stream(fds);
	peal_send_full(left, fds[0], out, sizeof(out), 0, 0, on_end, &sent);
	peal_sim_run(world, 60 * PEAL_S);
	ck_assert(!sent.done);
	end();
}

BARE_TEST(segment_takes_the_time_that_was_set)
{
	struct end got = { 0 }, sent = { 0 };
	uint64_t start;
	char buf[4];
	int fds[2];

	begin(1);
	make_stream(fds);
	peal_sim_latency(left_node, PEAL_SIM_NET, 50 * PEAL_MS, 50 * PEAL_MS);
	start = peal_sim_now(world);
	peal_send(left, fds[0], "data", 4, 0, 0, on_end, &sent);
	peal_recv(right, fds[1], buf, 4, 0, 0, on_end, &got);
	ck_result(wait_for(&got), 4);
	ck_assert_uint_ge(peal_sim_now(world) - start, 50 * PEAL_MS);
	ck_assert_uint_lt(peal_sim_now(world) - start, 53 * PEAL_MS);
	end();
}

/* Then it is sent again. */
BARE_TEST(lost_segment_comes_later)
{
	struct end got = { 0 }, sent = { 0 };
	uint64_t start;
	char buf[4];
	int fds[2];

	begin(1);
	make_stream(fds);
	peal_sim_fault_at(left_node, PEAL_SIM_LOSS, 1);
	start = peal_sim_now(world);
	peal_send(left, fds[0], "data", 4, 0, 0, on_end, &sent);
	peal_recv(right, fds[1], buf, 4, 0, 0, on_end, &got);
	ck_result(wait_for(&got), 4);
	ck_assert_uint_ge(peal_sim_now(world) - start, 200 * PEAL_MS);
	ck_assert_uint_lt(peal_sim_now(world) - start, 210 * PEAL_MS);
	end();
}

BARE_TEST(cut_way_holds_a_stream_until_it_is_mended)
{
	struct end got = { 0 }, sent = { 0 };
	char buf[4];
	int fds[2];

	begin(1);
	make_stream(fds);
	peal_sim_cut(left_node, right_node, 1);
	peal_send(left, fds[0], "data", 4, 0, 0, on_end, &sent);
	peal_recv(right, fds[1], buf, 4, 0, 0, on_end, &got);
	ck_result(wait_for(&sent), 4);
	peal_sim_run(world, 100 * PEAL_S);
	ck_assert(!got.done);
	peal_sim_cut(left_node, right_node, 0);
	ck_result(wait_for(&got), 4);
	ck_assert_mem_eq(buf, "data", 4);
	end();
}

BARE_TEST(connect_to_a_node_that_is_cut_off_times_out)
{
	struct end connected;
	int fd;

	begin(1);
	listen_on_right(8);
	peal_sim_cut(right_node, left_node, 1);
	connect_left(&fd, &connected);
	ck_result(wait_for(&connected), -ETIMEDOUT);
	ck_assert_uint_gt(peal_sim_now(world), 60 * PEAL_S);
	end();
}

BARE_TEST(connect_where_nobody_listens_is_refused)
{
	struct end connected;
	int fd;

	begin(1);
	connect_left(&fd, &connected);
	ck_result(wait_for(&connected), -ECONNREFUSED);
	end();
}

BARE_TEST(full_backlog_lets_a_connect_wait)
{
	struct end connected[4], accepted = { 0 };
	int fds[4], listener, i, waiting = 0;

	begin(1);
	listener = listen_on_right(1);
	for (i = 0; i < 4; i++)
		connect_left(&fds[i], &connected[i]);
	peal_sim_run(world, peal_sim_now(world) + PEAL_S / 2);
	for (i = 0; i < 4; i++)
		waiting += !connected[i].done;
	ck_assert_int_eq(waiting, 2);
	peal_accept_multishot(right, listener, 0, on_end, &accepted);
	for (i = 0; i < 4; i++)
		ck_result(wait_for(&connected[i]), 0);
	end();
}

BARE_TEST(reset_breaks_both_ends)
{
	struct end got = { 0 }, sent = { 0 };
	char buf[4];
	int fds[2];

	begin(1);
	make_stream(fds);
	peal_recv(right, fds[1], buf, 4, 0, 0, on_end, &got);
	peal_sim_fault_at(left_node, PEAL_SIM_RESET, 1);
	peal_send(left, fds[0], "data", 4, 0, 0, on_end, &sent);
	ck_result(wait_for(&sent), -ECONNRESET);
	ck_result(wait_for(&got), -ECONNRESET);
	end();
}

/* Half open: nothing is heard of it until it is back and something is sent. */
BARE_TEST(peer_of_a_crashed_node_learns_it_by_a_reset)
{
	struct end got = { 0 }, sent = { 0 };
	char buf[4];
	int fds[2];

	begin(1);
	make_stream(fds);
	peal_recv(left, fds[0], buf, 4, 0, 0, on_end, &got);
	peal_sim_run(world, peal_sim_now(world) + PEAL_S);
	peal_sim_crash(right_node, PEAL_FOREVER);
	close_ring(right);
	right = NULL;
	peal_sim_run(world, peal_sim_now(world) + 100 * PEAL_S);
	ck_assert(!got.done);
	peal_send(left, fds[0], "data", 4, 0, 0, on_end, &sent);
	ck_result(wait_for(&sent), 4);
	peal_sim_run(world, peal_sim_now(world) + 100 * PEAL_S);
	ck_assert(!got.done);
	peal_sim_boot_now(right_node);
	ck_result(wait_for(&got), -ECONNRESET);
	end();
}

/* --- a connect during a crash -------------------------------------------- */

struct server {
	struct peal_ring *ring;
	struct sockaddr_in addr;
	struct end sent[64];
	unsigned boots, greeted;
	char line[64];
};

static void on_accepted(struct peal_ring *where,
			const struct peal_completion *done)
{
	struct server *server = done->ctx;
	unsigned at = server->greeted++ % 64;

	if (done->result < 0)
		return;
	server->line[at] = (char)('0' + server->boots);
	peal_send(where, (int)done->result, &server->line[at], 1, 0, 0, on_end,
		  &server->sent[at]);
}

static void on_listening(struct peal_ring *where,
			 const struct peal_completion *done)
{
	ck_result(done->result, 0);
	(void)where;
}

static void on_socket(struct peal_ring *where,
		      const struct peal_completion *done)
{
	struct server *server = done->ctx;
	int fd = (int)done->result;

	address(&server->addr, INADDR_ANY, 80);
	peal_bind(where, fd, (void *)&server->addr, sizeof(server->addr), 0,
		  on_listening, NULL);
	peal_listen(where, fd, 8, 0, on_listening, NULL);
	peal_accept_multishot(where, fd, 0, on_accepted, server);
}

static void start_server(struct peal_sim_node *node, void *ctx)
{
	struct server *server = ctx;

	(void)node;
	server->boots++;
	server->ring = open_ring(NULL);
	peal_socket(server->ring, AF_INET, SOCK_STREAM, 0, 0, on_socket,
		    server);
}

static void stop_server(struct peal_sim_node *node, void *ctx)
{
	struct server *server = ctx;

	(void)node;
	close_ring(server->ring);
}

/* Whatever the moment of the crash: one greeting, of one server. */
BARE_TEST(stream_is_with_one_boot_of_a_server_only)
{
	unsigned first = 0, second = 0, seed;

	for (seed = 1; seed <= 200; seed++) {
		struct server server = { 0 };
		struct end connected, got = { 0 };
		char text[4] = "";
		int fd;

		begin(seed);
		close_ring(right);
		right = NULL;
		peal_sim_program(right_node, start_server, stop_server,
				 &server);
		peal_sim_run(world, peal_sim_now(world) + PEAL_S);
		connect_left(&fd, &connected);
		peal_sim_run(world, peal_sim_now(world) + seed * 10 * PEAL_US);
		peal_sim_crash(right_node, 20 * PEAL_US);
		if (wait_for(&connected) == 0) {
			peal_recv(left, fd, text, 4, MSG_WAITALL, 0, on_end,
				  &got);
			peal_sim_run(world, peal_sim_now(world) + 9 * PEAL_S);
		}
		ck_assert_msg(strlen(text) <= 1, "seed %u: %s", seed, text);
		first += text[0] == '1';
		second += text[0] == '2';
		end();
	}
	ck_assert_uint_gt(first, 0);
	ck_assert_uint_gt(second, 0);
}

/* It is on its way while the server crashes, and comes when the next boot has
 * the connection in its queue. */
BARE_TEST(answer_of_a_boot_that_is_gone_is_not_taken)
{
	struct server server = { 0 };
	struct end connected;
	uint64_t start;
	int fd;

	begin(1);
	close_ring(right);
	right = NULL;
	peal_sim_program(right_node, start_server, stop_server, &server);
	peal_sim_run(world, peal_sim_now(world) + PEAL_S);
	peal_sim_latency(right_node, PEAL_SIM_NET, PEAL_S + PEAL_S / 2,
			 PEAL_S + PEAL_S / 2);
	connect_left(&fd, &connected);
	start = peal_sim_now(world);
	peal_sim_run(world, start + 100 * PEAL_MS);
	peal_sim_crash(right_node, PEAL_MS);
	peal_sim_run(world, start + 2 * PEAL_S);
	ck_assert(!connected.done);
	peal_sim_run(world, start + 3 * PEAL_S);
	ck_assert(connected.done);
	ck_result(connected.result, 0);
	end();
}

/* --- datagrams ----------------------------------------------------------- */

BARE_TEST(datagrams_are_lost_doubled_and_overtaken)
{
	static char in[4096];
	struct sockaddr_in addr;
	unsigned lost = 0, doubled = 0, overtaken = 0, seen[200] = { 0 };
	struct end bound = { 0 };
	int from, to, i, last = -1;

	begin(1);
	peal_sim_fault(world, NULL, PEAL_SIM_LOSS, 100000);
	peal_sim_fault(world, NULL, PEAL_SIM_DOUBLE, 100000);
	peal_sim_fault(world, NULL, PEAL_SIM_OVERTAKE, 100000);
	from = socket_on(left, SOCK_DGRAM);
	to = socket_on(right, SOCK_DGRAM);
	address(&addr, INADDR_ANY, 53);
	peal_bind(right, to, (void *)&addr, sizeof(addr), 0, on_end, &bound);
	ck_result(wait_for(&bound), 0);
	address(&addr, RIGHT, 53);
	for (i = 0; i < 200; i++) {
		struct iovec part = { &i, sizeof(i) };
		struct msghdr msg = { .msg_name = &addr,
				      .msg_namelen = sizeof(addr),
				      .msg_iov = &part, .msg_iovlen = 1 };
		struct end sent = { 0 };

		peal_sendmsg(left, from, &msg, 0, 0, on_end, &sent);
		ck_result(wait_for(&sent), sizeof(i));
	}
	peal_sim_run(world, peal_sim_now(world) + 10 * PEAL_S);
	for (;;) {
		struct end got = { 0 };

		peal_recv(right, to, in, sizeof(in), MSG_DONTWAIT, 0, on_end,
			  &got);
		if (wait_for(&got) < 0)
			break;
		memcpy(&i, in, sizeof(i));
		overtaken += i < last;
		last = i;
		seen[i]++;
	}
	for (i = 0; i < 200; i++) {
		lost += seen[i] == 0;
		doubled += seen[i] == 2;
	}
	ck_assert_uint_gt(lost, 3);
	ck_assert_uint_gt(doubled, 3);
	ck_assert_uint_gt(overtaken, 3);
	end();
}

/* --- names --------------------------------------------------------------- */

BARE_TEST(name_of_a_node_resolves_to_its_address)
{
	struct addrinfo *list = NULL;
	struct end end_ = { 0 }, none = { 0 };

	begin(1);
	peal_resolve(left, "right", "80", NULL, &list, 0, on_end, &end_);
	ck_result(wait_for(&end_), 0);
	ck_assert_uint_eq(((struct sockaddr_in *)list->ai_addr)
				  ->sin_addr.s_addr, htonl(RIGHT));
	freeaddrinfo(list);
	peal_resolve(left, "nobody", "80", NULL, &list, 0, on_end, &none);
	ck_result(wait_for(&none), -ENOENT);
	end();
}

SUITE("sim_net")
