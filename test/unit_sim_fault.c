/* SPDX-License-Identifier: MIT */
/*
 * Each fault of the simulated machine: that it can be had by chance and at an
 * exact place, and what it does there.
 */
#include "test/sim_scene.h"

static int make_socket(int type)
{
	int64_t fd = finish(peal_socket(ring, AF_INET, type, 0, 0, on_done,
					NULL));

	ck_ok(fd);
	return (int)fd;
}

static struct sockaddr_in address;

/* Bound to a port of the node. */
static int bound_socket(int type)
{
	socklen_t len = sizeof(address);
	int fd = make_socket(type);

	loopback(&address, 0);
	ck_result(finish(peal_bind(ring, fd, (void *)&address, len, 0, on_done,
				   NULL)), 0);
	ck_result(peal_sim_name(node, fd, 0, (void *)&address, &len), 0);
	return fd;
}

static int start_listener(void)
{
	int fd = bound_socket(SOCK_STREAM);

	ck_result(finish(peal_listen(ring, fd, 8, 0, on_done, NULL)), 0);
	return fd;
}

static peal_op start_connect(int fd)
{
	return peal_connect(ring, fd, (void *)&address, sizeof(address), 0,
			    on_done, NULL);
}

/* A segment from the node to itself takes a millisecond. */
static void make_stream(int fds[2])
{
	int listener = start_listener();

	fds[0] = make_socket(SOCK_STREAM);
	ck_result(finish(start_connect(fds[0])), 0);
	fds[1] = (int)finish(peal_accept(ring, listener, NULL, NULL, 0, on_done,
				   NULL));
	ck_ok(fds[1]);
	peal_sim_latency(node, PEAL_SIM_NET, PEAL_MS, PEAL_MS);
}

static void make_datagrams(int fds[2])
{
	fds[1] = bound_socket(SOCK_DGRAM);
	fds[0] = make_socket(SOCK_DGRAM);
	ck_result(finish(start_connect(fds[0])), 0);
	peal_sim_latency(node, PEAL_SIM_NET, PEAL_MS, PEAL_MS);
}

static int64_t recv_now(int fd, char *buf)
{
	return finish(peal_recv(ring, fd, buf, 8, MSG_DONTWAIT, 0, on_done,
				NULL));
}

static void check_happened(enum peal_sim_fault_kind kind, uint64_t times)
{
	ck_assert_uint_eq(peal_sim_faults(node, kind, NULL), times);
}

/* --- when ---------------------------------------------------------------- */

static unsigned short_reads(int fd, unsigned count, uint64_t *out_which)
{
	char buf[100];
	unsigned found = 0, i;

	*out_which = 0;
	for (i = 0; i < count; i++) {
		int64_t rc = read_at(fd, buf, 100, 0);

		ck_assert_int_gt(rc, 0);
		found += rc < 100;
		*out_which = *out_which * 3 + (rc < 100);
		forget_outcomes();
	}
	return found;
}

static int begin_with_file(uint64_t seed)
{
	char buf[100] = "";

	begin(seed);
	ck_result(peal_sim_put_file(node, "/f", buf, 100), 0);
	return open_file("/f", O_RDWR);
}

BARE_TEST(fault_at_the_nth_chance_happens_there_and_once)
{
	uint64_t nth, could, which, before;
	int fd;

	for (nth = 1; nth <= 5; nth++) {
		fd = begin_with_file(1);
		peal_sim_faults(node, PEAL_SIM_SHORT, &before);
		peal_sim_fault_at(node, PEAL_SIM_SHORT, nth);
		ck_assert_uint_eq(short_reads(fd, (unsigned)nth - 1, &which),
				  0);
		ck_assert_uint_eq(short_reads(fd, 1, &which), 1);
		ck_assert_uint_eq(short_reads(fd, 20, &which), 0);
		check_happened(PEAL_SIM_SHORT, 1);
		peal_sim_faults(node, PEAL_SIM_SHORT, &could);
		ck_assert_uint_eq(could - before, nth + 20);
		end();
	}
}

BARE_TEST(fault_by_chance_happens_as_often_as_it_is_set)
{
	static const struct {
		uint32_t per_million;
		unsigned least, most;	/* of 1000 */
	} rates[] = { { 0, 0, 0 }, { 10000, 3, 25 }, { 500000, 440, 560 },
		      { PEAL_SIM_MILLION, 1000, 1000 } };
	unsigned i, found;
	uint64_t which;

	for (i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		int fd = begin_with_file(1);

		peal_sim_fault(world, node, PEAL_SIM_SHORT,
			       rates[i].per_million);
		found = short_reads(fd, 1000, &which);
		ck_assert_uint_ge(found, rates[i].least);
		ck_assert_uint_le(found, rates[i].most);
		check_happened(PEAL_SIM_SHORT, found);
		end();
	}
}

BARE_TEST(fault_by_chance_is_the_seeds)
{
	uint64_t which[3];
	int i, fd;

	for (i = 0; i < 3; i++) {
		fd = begin_with_file(i == 2 ? 8 : 7);
		peal_sim_fault(world, NULL, PEAL_SIM_SHORT, 300000);
		short_reads(fd, 40, &which[i]);
		end();
	}
	ck_assert_uint_eq(which[0], which[1]);
	ck_assert_uint_ne(which[0], which[2]);
}

BARE_TEST(fault_of_one_node_is_no_fault_of_another)
{
	uint64_t which;
	int fd = begin_with_file(1);

	peal_sim_fault(world, peal_sim_node(world, "b"), PEAL_SIM_SHORT,
		       PEAL_SIM_MILLION);
	ck_assert_uint_eq(short_reads(fd, 20, &which), 0);
	end();
}

/* --- what: disks --------------------------------------------------------- */

/* Though it was synced, and said to be whole. */
BARE_TEST(torn_write_leaves_out_whole_sectors)
{
	static char page[8192];
	unsigned kept = 0, lost = 0, at;
	int fd;

	begin(1);
	memset(page, 'o', sizeof(page));
	peal_sim_put_file(node, "/f", page, sizeof(page));
	fd = open_file("/f", O_RDWR);
	memset(page, 'n', sizeof(page));
	peal_sim_fault_at(node, PEAL_SIM_WRITE_TORN, 1);
	ck_result(write_at(fd, page, sizeof(page), 0), sizeof(page));
	ck_result(sync_file(fd), 0);
	check_happened(PEAL_SIM_WRITE_TORN, 1);
	crash();
	peal_sim_get_file(node, "/f", page, sizeof(page), 0);
	for (at = 0; at < sizeof(page); at += 512) {
		kept += page[at] == 'n';
		lost += page[at] == 'o';
		ck_assert_mem_eq(page + at, page + at + 256, 256);
	}
	ck_assert_uint_eq(kept + lost, 16);
	ck_assert_uint_gt(kept, 0);
	ck_assert_uint_gt(lost, 0);
	end();
}

/* How long a write's word comes after its effect. */
static uint64_t lateness(uint64_t seed, int late)
{
	uint64_t ns;
	peal_op op;
	int fd;

	begin(seed);
	peal_sim_latency(node, PEAL_SIM_DISK, 1000, 1000);
	fd = open_file("/f", O_RDWR | O_CREAT);
	if (late)
		peal_sim_fault_at(node, PEAL_SIM_LATE, 1);
	op = peal_write(ring, fd, "new", 3, 0, 0, on_done, NULL);
	while (byte_at("/f", 0) != 'n')
		peal_ring_turn(ring, 0);
	ns = peal_sim_now(world);
	ck_result(finish(op), 3);
	ns = peal_sim_now(world) - ns;
	check_happened(PEAL_SIM_LATE, (uint64_t)late);
	end();
	return ns;
}

BARE_TEST(late_op_has_had_its_effect_long_ago)
{
	uint64_t seed, most = 0;

	for (seed = 1; seed <= 20; seed++) {
		ck_assert_uint_lt(lateness(seed, 0), 10 * PEAL_US);
		if (lateness(seed, 1) > most)
			most = lateness(seed, 1);
	}
	ck_assert_uint_gt(most, 5 * PEAL_MS);
}

BARE_TEST(stuck_op_ends_after_seconds)
{
	peal_op op;
	int fd;

	begin(1);
	fd = open_file("/f", O_RDWR | O_CREAT);
	peal_sim_fault_at(node, PEAL_SIM_STUCK, 1);
	op = peal_write(ring, fd, "x", 1, 0, 0, on_done, NULL);
	peal_sim_run(world, peal_sim_now(world) + PEAL_S - PEAL_MS);
	ck_assert(!finished(op));
	peal_sim_run(world, peal_sim_now(world) + 31 * PEAL_S);
	ck_assert(finished(op));
	op = peal_write(ring, fd, "x", 1, 0, 0, on_done, NULL);
	peal_sim_run(world, peal_sim_now(world) + PEAL_MS);
	ck_assert(finished(op));
	end();
}

BARE_TEST(completion_queue_is_full_at_the_nth_completion)
{
	struct peal_stats stats = { .size = sizeof(stats) };
	int fd;

	begin(1);
	fd = open_file("/f", O_RDWR | O_CREAT);
	peal_sim_fault_at(node, PEAL_SIM_CQ_FULL, 2);
	ck_result(write_at(fd, "x", 1, 0), 1);
	peal_ring_stats(ring, &stats);
	ck_assert_uint_eq(stats.cq_overflows, 0);
	ck_result(write_at(fd, "x", 1, 0), 1);
	peal_ring_stats(ring, &stats);
	ck_assert_uint_eq(stats.cq_overflows, 1);
	end();
}

/* --- what: networks ------------------------------------------------------ */

BARE_TEST(multishot_ends_at_the_nth_good_result)
{
	struct peal_stats stats = { .size = sizeof(stats) };
	int listener, i;
	peal_op op;

	begin(1);
	listener = start_listener();
	op = peal_accept_multishot(ring, listener, 0, on_done, NULL);
	peal_sim_fault_at(node, PEAL_SIM_MULTISHOT_END, 2);
	for (i = 1; i <= 3; i++) {
		ck_result(finish(start_connect(make_socket(SOCK_STREAM))), 0);
		UNTIL(outcome(op)->calls == (unsigned)i);
		peal_ring_stats(ring, &stats);
		ck_assert_uint_eq(stats.rearmed, i >= 2);
	}
	ck_assert(!finished(op));
	end();
}

BARE_TEST(split_segment_arrives_in_two_parts)
{
	char buf[8];
	int fds[2], first, second;

	begin(1);
	make_stream(fds);
	peal_sim_fault_at(node, PEAL_SIM_SPLIT, 1);
	ck_result(send_from(fds[0], "12345678", 8), 8);
	first = (int)recv_into(fds[1], buf, 8);
	ck_assert_int_lt(first, 8);
	second = (int)recv_into(fds[1], buf + first, 8 - (size_t)first);
	ck_assert_int_eq(first + second, 8);
	ck_assert_mem_eq(buf, "12345678", 8);
	end();
}

BARE_TEST(segments_that_nobody_reads_are_merged)
{
	char buf[8];
	int fds[2];

	begin(1);
	make_stream(fds);
	ck_result(send_from(fds[0], "1234", 4), 4);
	ck_result(send_from(fds[0], "5678", 4), 4);
	peal_sim_run(world, peal_sim_now(world) + PEAL_S);
	ck_result(recv_into(fds[1], buf, 8), 8);
	ck_assert_mem_eq(buf, "12345678", 8);
	end();
}

static uint64_t time_of_segment(int fds[2])
{
	uint64_t start = peal_sim_now(world);
	char byte;

	ck_result(send_from(fds[0], "x", 1), 1);
	ck_result(recv_into(fds[1], &byte, 1), 1);
	return peal_sim_now(world) - start;
}

BARE_TEST(slow_segment_takes_up_to_a_second)
{
	uint64_t seed, most = 0;
	int fds[2];

	for (seed = 1; seed <= 20; seed++) {
		uint64_t ns;

		begin(seed);
		make_stream(fds);
		ck_assert_uint_lt(time_of_segment(fds), 2 * PEAL_MS);
		peal_sim_fault_at(node, PEAL_SIM_SLOW, 1);
		ns = time_of_segment(fds);
		most = ns > most ? ns : most;
		ck_assert_uint_lt(ns, PEAL_S + 2 * PEAL_MS);
		ck_assert_uint_lt(time_of_segment(fds), 2 * PEAL_MS);
		end();
	}
	ck_assert_uint_gt(most, PEAL_S / 2);
}

BARE_TEST(refused_connect_asks_again_after_a_second)
{
	uint64_t start;

	begin(1);
	start_listener();
	peal_sim_fault_at(node, PEAL_SIM_REFUSE, 1);
	start = peal_sim_now(world);
	ck_result(finish(start_connect(make_socket(SOCK_STREAM))), 0);
	ck_assert_uint_ge(peal_sim_now(world) - start, PEAL_S);
	ck_assert_uint_lt(peal_sim_now(world) - start, 2 * PEAL_S);
	end();
}

/* What arrives of 1, 2, 3 when the first meets the fault. */
static void arrivals(enum peal_sim_fault_kind kind, char *text)
{
	char buf[8];
	int fds[2];

	make_datagrams(fds);
	peal_sim_fault_at(node, kind, 1);
	ck_result(send_from(fds[0], "1", 1), 1);
	ck_result(send_from(fds[0], "2", 1), 1);
	ck_result(send_from(fds[0], "3", 1), 1);
	peal_sim_run(world, peal_sim_now(world) + 5 * PEAL_S);
	while (recv_now(fds[1], buf) == 1)
		*text++ = buf[0];
	*text = '\0';
	check_happened(kind, 1);
}

BARE_TEST(datagram_is_lost_doubled_or_overtaken_at_the_nth)
{
	char text[8];

	begin(1);
	arrivals(PEAL_SIM_LOSS, text);
	ck_assert_str_eq(text, "23");
	end();
	begin(1);
	arrivals(PEAL_SIM_DOUBLE, text);
	ck_assert_str_eq(text, "1123");
	end();
	begin(1);
	arrivals(PEAL_SIM_OVERTAKE, text);
	ck_assert_str_eq(text, "231");
	end();
}

SUITE("sim_fault")
