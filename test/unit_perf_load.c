/* SPDX-License-Identifier: MIT */
/*
 * peal-perf's loads: the loop of the file sides and the clients of the network
 * part, on a clock that the test moves. At a rate an op that could not start in
 * time counts from when it should have, so a stall of 100 ms shows in all the
 * ops that were due meanwhile and not in one; and one wrong byte is found,
 * wherever it is.
 */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "perf/side.h"

static uint64_t fake_now;

/* Each look takes 10 us: so who waits for a time gets there. */
static uint64_t fake_clock(void)
{
	return __atomic_add_fetch(&fake_now, 10000, __ATOMIC_SEQ_CST);
}

static void pass(uint64_t ms)
{
	__atomic_add_fetch(&fake_now, ms * 1000000, __ATOMIC_SEQ_CST);
}

#define clock_now fake_clock
#include "perf/file.h"
#include "perf/net_load.c"
#undef clock_now
#include "test/harness.h"

enum { OPS = 200, STALL_MS = 100, RATE = 1000 };

unsigned net_ports_per_address(void)
{
	return 1000;
}

/* How many of the latencies are longer. */
static unsigned longer_than(const struct latency *latency, uint64_t ms)
{
	unsigned i, count = 0;

	for (i = latency_slot(ms * 1000000) + 1; i < LATENCY_SLOTS; i++)
		count += latency->slots[i];
	return count;
}

/* --- the file sides' loop ------------------------------------------------ */

static struct latency latency;

/* One op at a time, each at once, but the first, which takes STALL_MS. */
static void run_file_loop(double rate)
{
	struct file_op op;
	unsigned idle;
	char buf[512];
	struct file_job job = { .block = sizeof buf, .blocks = 8, .depth = 1,
				.batch = 1, .reads = 100, .random = 1,
				.ops = &op, .idle_slots = &idle, .seed = 1 };
	struct slice slice = { .ops = OPS, .rate = rate, .latency = &latency };
	int slot, first = 1;

	op.buf = buf;
	memset(&latency, 0, sizeof latency);
	file_begin(&job, &slice);
	while (file_going(&job)) {
		while ((slot = file_next(&job)) >= 0) {
			if (first)
				pass(STALL_MS);
			first = 0;
			file_ended(&job, (unsigned)slot, sizeof buf);
		}
	}
	ck_assert_uint_eq(latency.count, OPS);
}

BARE_TEST(stall_of_a_file_shows_in_each_read_that_was_due_meanwhile)
{
	run_file_loop(RATE);
	/* 100 were due in 100 ms, and half of them 50 ms before its end. */
	ck_assert_uint_ge(longer_than(&latency, STALL_MS / 2), 45);
}

BARE_TEST(stall_of_a_file_is_one_long_read_in_a_closed_loop)
{
	run_file_loop(0);
	ck_assert_uint_eq(longer_than(&latency, STALL_MS / 2), 1);
}

BARE_TEST(one_wrong_byte_of_a_block_is_found_wherever_it_is)
{
	uint64_t block[64];
	char *bytes = (char *)block;
	unsigned i;

	file_fill(bytes, sizeof block, 8192);
	ck_assert(file_matches(bytes, sizeof block, 8192));
	ck_assert(!file_matches(bytes, sizeof block, 12288));
	for (i = 0; i < sizeof block; i++) {
		bytes[i] ^= 1;
		ck_assert_msg(!file_matches(bytes, sizeof block, 8192),
			      "byte %u", i);
		bytes[i] ^= 1;
	}
}

/* --- the clients of the network ------------------------------------------ */

static struct server {
	int listener;
	int stalls;		/* before the first answer */
	int64_t spoils;		/* a byte of this message; -1: none */
} server;

/* Answers one connection until it ends. */
static void *serve(void *arg)
{
	int64_t number = 0;
	char message[64];
	int fd = accept(server.listener, NULL, NULL);

	(void)arg;
	while (recv(fd, message, sizeof message, MSG_WAITALL) ==
	       (ssize_t)sizeof message) {
		if (server.stalls && !number)
			pass(STALL_MS);
		if (number++ == server.spoils)
			message[number % sizeof message] ^= 1;
		if (send(fd, message, sizeof message, MSG_NOSIGNAL) < 0)
			break;
	}
	close(fd);
	return NULL;
}

/* What the load says of a server that behaves like this. */
static const char *run_load(double rate, int stalls, int64_t spoils, int verify)
{
	static char said[240];
	struct net_page page = { .state = NET_SERVING };
	struct net_load_options options = { .connections = 1, .busy = 1,
					    .size = 64, .page = &page };
	struct net_load_work work = { .messages = OPS, .rate = rate,
				      .verify = verify, .latency = &latency };
	socklen_t len = sizeof options.addr;
	struct net_load *load;
	const char *wrong;
	pthread_t thread;

	server = (struct server){ socket(AF_INET, SOCK_STREAM, 0), stalls,
				  spoils };
	memset(&latency, 0, sizeof latency);
	options.addr.sin_family = AF_INET;
	options.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(server.listener, (void *)&options.addr, len), 0);
	ck_assert_int_eq(listen(server.listener, 1), 0);
	getsockname(server.listener, (void *)&options.addr, &len);
	ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
	ck_assert_ptr_null(net_load_open(&load, &options));
	wrong = net_load_run(load, &work);
	snprintf(said, sizeof said, "%s", wrong ? wrong : "");
	net_load_close(load);
	pthread_join(thread, NULL);
	close(server.listener);
	return said;
}

BARE_TEST(stall_of_a_server_shows_in_each_message_that_was_due_meanwhile)
{
	ck_assert_str_eq(run_load(RATE, 1, -1, 0), "");
	ck_assert_uint_eq(latency.count, OPS);
	ck_assert_uint_ge(longer_than(&latency, STALL_MS / 2), 45);
}

BARE_TEST(stall_of_a_server_is_one_long_message_in_a_closed_loop)
{
	ck_assert_str_eq(run_load(0, 1, -1, 0), "");
	ck_assert_uint_eq(longer_than(&latency, STALL_MS / 2), 1);
}

BARE_TEST(one_wrong_byte_of_an_answer_is_found)
{
	ck_assert_str_eq(run_load(0, 0, -1, 1), "");
	ck_assert_str_eq(run_load(0, 0, 0, 1),
			 "what came back is not what was sent");
	ck_assert_str_eq(run_load(0, 0, OPS - 1, 1),
			 "what came back is not what was sent");
}

BARE_TEST(answers_are_not_compared_unless_asked_for)
{
	ck_assert_str_eq(run_load(0, 0, 5, 0), "");
}

SUITE("perf_load")
