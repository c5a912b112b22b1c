/* SPDX-License-Identifier: MIT */
/*
 * Sends without a copy in the simulated machine: the bytes are the buffer's
 * until the notice, so that a program that changes it earlier is found, and one
 * that does not never is.
 */
#include "test/sim_scene.h"

#define LEN	1000u

static struct peal_ring *other;		/* of node b: it receives */
static struct peal_sim_node *there;
static int from, to;			/* a stream from a to b */
static char buf[LEN], got[8 * LEN];

static void begin_between(uint64_t seed, const char *receiver)
{
	struct peal_ring_options options = harness_options();

	forget_outcomes();
	ck_result(peal_sim_open(&world, seed, NULL), 0);
	node = peal_sim_node(world, "a");
	there = peal_sim_node(world, receiver);
	options.sim_node = node;
	options.zc_bytes = 1;
	ring = open_ring(&options);
	other = ring_on(there);
	to = connect_from(other, 0, &from);
	memset(buf, '1', LEN);
}

static void begin_stream(uint64_t seed)
{
	begin_between(seed, "b");
}

static void end_stream(void)
{
	if (other)
		close_ring(other);
	end();
}

static peal_op start_send(void)
{
	peal_op op = peal_send_zc(ring, from, buf, LEN, 0, 0, on_done, NULL);

	ck_ok(op);
	peal_ring_turn(ring, 0);
	return op;
}

static void receive_all(char *into, size_t len)
{
	struct peal_ring *own = change_ring(other);

	ck_result(finish(peal_recv(other, to, into, len, MSG_WAITALL, 0,
				   on_done, NULL)), (int64_t)len);
	change_ring(own);
}

static int is_all(const char *bytes, char wanted)
{
	unsigned i;

	for (i = 0; i < LEN; i++)
		if (bytes[i] != wanted)
			return 0;
	return 1;
}

static struct peal_stats ring_stats(void)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	peal_ring_stats(ring, &stats);
	return stats;
}

/* --- when the bytes are taken -------------------------------------------- */

BARE_TEST(buffer_that_is_changed_before_the_notice_is_sent_changed)
{
	peal_op op;

	begin_stream(1);
	op = start_send();
	ck_assert(!finished(op));
	memset(buf, '2', LEN);
	receive_all(got, LEN);
	ck_assert(is_all(got, '2'));
	ck_assert_uint_eq(peal_sim_reused(node), 1);
	ck_assert_uint_eq(peal_sim_reused(there), 0);
	end_stream();
}

BARE_TEST(buffer_that_is_changed_after_the_notice_is_sent_as_it_was)
{
	begin_stream(1);
	ck_result(finish(start_send()), LEN);
	memset(buf, '2', LEN);
	receive_all(got, LEN);
	ck_assert(is_all(got, '1'));
	ck_assert_uint_eq(peal_sim_reused(node), 0);
	ck_assert_uint_eq(ring_stats().zc_sent, 1);
	ck_assert_uint_eq(ring_stats().zc_copied, 0);
	end_stream();
}

BARE_TEST(notice_comes_when_the_segment_has_arrived)
{
	uint64_t start;

	begin_stream(1);
	peal_sim_latency(node, PEAL_SIM_NET, 50 * PEAL_MS, 50 * PEAL_MS);
	start = peal_sim_now(world);
	ck_result(finish(start_send()), LEN);
	ck_assert_uint_ge(peal_sim_now(world) - start, 50 * PEAL_MS);
	ck_assert_uint_lt(peal_sim_now(world) - start, 51 * PEAL_MS);
	end_stream();
}

/* Both halves have to be there. */
BARE_TEST(split_send_has_one_notice)
{
	peal_op op;

	begin_stream(1);
	peal_sim_fault_at(node, PEAL_SIM_SPLIT, 1);
	op = start_send();
	ck_result(finish(op), LEN);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	receive_all(got, LEN);
	ck_assert(is_all(got, '1'));
	end_stream();
}

BARE_TEST(what_is_sent_again_is_taken_then)
{
	uint64_t start;
	peal_op op;

	begin_stream(1);
	peal_sim_cut(node, there, 1);
	start = peal_sim_now(world);
	op = start_send();
	peal_sim_run(world, start + 10 * PEAL_S);
	ck_assert(!finished(op));
	peal_sim_cut(node, there, 0);
	ck_result(finish(op), LEN);
	receive_all(got, LEN);
	ck_assert(is_all(got, '1'));
	ck_assert_uint_eq(peal_sim_reused(node), 0);
	end_stream();
}

BARE_TEST(way_that_stays_cut_holds_a_buffer_for_15_minutes)
{
	uint64_t start;
	peal_op op;

	begin_stream(1);
	peal_sim_cut(node, there, 1);
	start = peal_sim_now(world);
	op = start_send();
	peal_sim_run(world, start + 899 * PEAL_S);
	ck_assert(!finished(op));
	peal_sim_run(world, start + 901 * PEAL_S);
	ck_result(finish(op), LEN);
	memset(buf, '2', LEN);
	peal_sim_cut(node, there, 0);
	receive_all(got, LEN);
	ck_assert(is_all(got, '1'));
	ck_assert_uint_eq(peal_sim_reused(node), 0);
	end_stream();
}

/* --- ends ---------------------------------------------------------------- */

BARE_TEST(descriptor_is_closed_before_the_notice)
{
	peal_op op, closed;

	begin_stream(1);
	peal_sim_latency(node, PEAL_SIM_NET, 50 * PEAL_MS, 50 * PEAL_MS);
	op = start_send();
	closed = peal_close_drained(ring, from, 0, on_done, NULL);
	ck_result(finish(closed), 0);
	ck_assert(!finished(op));
	ck_result(finish(op), LEN);
	receive_all(got, LEN);
	ck_assert(is_all(got, '1'));
	end_stream();
}

BARE_TEST(cancel_of_what_is_sent_comes_too_late)
{
	peal_op op;

	begin_stream(1);
	op = start_send();
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), LEN);
	end_stream();
}

BARE_TEST(receiver_that_crashes_lets_the_buffer_go)
{
	begin_stream(1);
	peal_sim_crash(there, PEAL_FOREVER);
	close_ring(other);
	other = NULL;
	ck_result(finish(start_send()), LEN);
	end_stream();
}

/* Then nobody looks at its memory any more. */
BARE_TEST(sender_that_crashes_has_its_buffer_back)
{
	char *own = malloc(LEN);
	peal_op op;

	begin_stream(1);
	memset(own, '1', LEN);
	op = peal_send_zc(ring, from, own, LEN, 0, 0, on_done, NULL);
	ck_ok(op);
	peal_ring_turn(ring, 0);
	peal_sim_crash(node, PEAL_FOREVER);
	memset(own, '2', LEN);
	free(own);
	close_ring(ring);
	ring = NULL;
	peal_sim_run(world, peal_sim_now(world) + PEAL_S);
	ck_assert_uint_eq(peal_sim_reused(node), 0);
	end_stream();
}

BARE_TEST(full_queue_of_completions_makes_result_and_notice_one)
{
	peal_op op;

	begin_stream(1);
	peal_sim_fault_at(node, PEAL_SIM_CQ_FULL, 1);
	op = start_send();
	ck_result(finish(op), LEN);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert_uint_eq(peal_sim_faults(node, PEAL_SIM_CQ_FULL, NULL), 1);
	end_stream();
}

/* The entry is written again, with all that it was given. */
BARE_TEST(refusal_that_comes_late_is_a_plain_send_with_its_flags)
{
	static char half[300 * 1024];
	peal_op op;

	begin_stream(1);
	peal_sim_fault_at(node, PEAL_SIM_CQ_FULL, 1);
	peal_sim_fault_at(node, PEAL_SIM_ENOMEM, 1);
	op = peal_send_zc(ring, from, half, sizeof(half), MSG_DONTWAIT, 0,
			  on_done, NULL);
	ck_assert_int_lt(finish(op), (int64_t)sizeof(half));
	op = peal_send_zc(ring, from, half, sizeof(half), MSG_DONTWAIT, 0,
			  on_done, NULL);
	peal_sim_cut(node, there, 1);
	ck_result(finish(op), -EAGAIN);
	peal_sim_fault_at(node, PEAL_SIM_CQ_FULL, 1);
	peal_sim_fault_at(node, PEAL_SIM_ENOMEM, 1);
	op = peal_send_zc(ring, from, half, sizeof(half), MSG_DONTWAIT, 0,
			  on_done, NULL);
	ck_result(finish(op), -EAGAIN);
	end_stream();
}

/* Both wait for room; the first to have asked has it first. */
BARE_TEST(zero_copy_send_waits_behind_a_plain_one)
{
	static char full[256 * 1024], block[LEN];
	peal_op plain, op;

	begin_stream(1);
	ck_result(send_from(from, full, sizeof(full)), sizeof(full));
	memset(block, '0', LEN);
	plain = peal_send(ring, from, block, LEN, 0, 0, on_done, NULL);
	op = start_send();
	ck_assert(!finished(plain));
	receive_all(full, 100 * 1024);
	receive_all(full, 156 * 1024);
	receive_all(got, 2 * LEN);
	ck_assert(is_all(got, '0'));
	ck_assert(is_all(got + LEN, '1'));
	ck_result(finish(op), LEN);
	end_stream();
}

BARE_TEST(node_to_itself_copies_at_once)
{
	begin_between(1, "a");
	ck_result(finish(start_send()), LEN);
	memset(buf, '2', LEN);
	receive_all(got, LEN);
	ck_assert(is_all(got, '1'));
	ck_assert_uint_eq(ring_stats().zc_copied, 1);
	end_stream();
}

/* --- datagrams ----------------------------------------------------------- */

static struct sockaddr_in target;

/* Connected, so that the socket is one for send. */
static void begin_datagrams(uint64_t seed)
{
	socklen_t len = sizeof(target);
	struct peal_ring *own;

	begin_stream(seed);
	own = change_ring(other);
	memset(&target, 0, sizeof(target));
	target.sin_family = AF_INET;
	to = (int)finish(peal_socket(other, AF_INET, SOCK_DGRAM, 0, 0,
				     on_done, NULL));
	ck_result(finish(peal_bind(other, to, (void *)&target, len, 0, on_done,
				   NULL)), 0);
	ck_result(peal_sim_name(there, to, 0, (void *)&target, &len), 0);
	change_ring(own);
	target.sin_addr.s_addr = htonl(0x0a000002);
	from = (int)finish(peal_socket(ring, AF_INET, SOCK_DGRAM, 0, 0,
				       on_done, NULL));
	ck_result(finish(peal_connect(ring, from, (void *)&target,
				      sizeof(target), 0, on_done, NULL)), 0);
}

BARE_TEST(message_of_two_parts_is_taken_from_both)
{
	struct iovec parts[] = { { buf, 300 }, { buf + 500, 500 } };
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };
	peal_op op;

	begin_datagrams(1);
	op = peal_sendmsg_zc(ring, from, &msg, 0, 0, on_done, NULL);
	peal_ring_turn(ring, 0);
	ck_assert(!finished(op));
	buf[0] = 'a';
	buf[999] = 'z';
	buf[400] = 'x';
	ck_result(finish(op), 800);
	receive_all(got, 800);
	ck_assert_int_eq(got[0], 'a');
	ck_assert_int_eq(got[799], 'z');
	ck_assert_int_eq(got[400], '1');
	ck_assert_uint_eq(peal_sim_reused(node), 1);
	end_stream();
}

BARE_TEST(datagram_that_is_lost_or_doubled_lets_the_buffer_go)
{
	peal_op op;

	begin_datagrams(1);
	peal_sim_fault_at(node, PEAL_SIM_LOSS, 1);
	ck_result(finish(start_send()), LEN);
	peal_sim_fault_at(node, PEAL_SIM_DOUBLE, 1);
	op = start_send();
	ck_result(finish(op), LEN);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	receive_all(got, LEN);
	receive_all(got, LEN);
	ck_assert(is_all(got, '1'));
	end_stream();
}

/* --- a program that is wrong, and one that is right ---------------------- */

/* Sends numbered blocks from one buffer. The wrong one fills it again a turn
 * after the send was started, the right one when it has ended. */
struct sender {
	uint32_t block[64];
	unsigned next, most;
	size_t at;
	int waits;
};

static peal_handler on_sent;

static void on_turn(struct peal_ring *where, const struct peal_completion *done)
{
	struct sender *sender = done->ctx;
	unsigned i;

	(void)where;
	for (i = 0; i < 64; i++)
		sender->block[i]++;
}

static void send_block(struct peal_ring *where, struct sender *sender)
{
	unsigned i;

	if (!sender->at)
		for (i = 0; i < 64; i++)
			sender->block[i] = sender->next;
	peal_send_zc(where, from, (char *)sender->block + sender->at,
		     sizeof(sender->block) - sender->at, 0, 0, on_sent,
		     sender);
	if (!sender->waits)
		peal_nop(where, 0, on_turn, sender);
}

static void on_sent(struct peal_ring *where, const struct peal_completion *done)
{
	struct sender *sender = done->ctx;

	if (done->result < 0)
		return;
	sender->at += (size_t)done->result;
	if (sender->at == sizeof(sender->block)) {
		sender->at = 0;
		sender->next++;
	}
	if (sender->next < sender->most)
		send_block(where, sender);
}

/* How many of its blocks are others than they should be. */
static unsigned wrong_blocks(uint64_t seed, int waits, uint64_t *out_reused)
{
	struct sender sender = { .most = 20, .waits = waits };
	uint32_t block[64];
	unsigned wrong = 0, i;

	begin_stream(seed);
	peal_sim_fault(world, NULL, PEAL_SIM_SHORT, 200000);
	peal_sim_fault(world, NULL, PEAL_SIM_SPLIT, 300000);
	peal_sim_fault(world, NULL, PEAL_SIM_LOSS, 50000);
	peal_sim_fault(world, NULL, PEAL_SIM_SLOW, 50000);
	peal_sim_fault(world, NULL, PEAL_SIM_LATE, 200000);
	peal_sim_fault(world, NULL, PEAL_SIM_CQ_FULL, 100000);
	peal_sim_fault(world, NULL, PEAL_SIM_UNCANCELLED, 100000);
	send_block(ring, &sender);
	peal_sim_run(world, peal_sim_now(world) + 600 * PEAL_S);
	peal_sim_fault(world, NULL, PEAL_SIM_SHORT, 0);
	for (i = 0; i < sender.most; i++) {
		receive_all((char *)block, sizeof(block));
		wrong += block[0] != i || block[63] != i;
	}
	*out_reused = peal_sim_reused(node);
	end_stream();
	return wrong;
}

BARE_TEST(program_that_fills_its_buffer_early_is_found_by_every_seed)
{
	uint64_t seed, reused;

	for (seed = 1; seed <= 50; seed++) {
		ck_assert_uint_gt(wrong_blocks(seed, 0, &reused), 0);
		ck_assert_uint_gt(reused, 0);
	}
}

BARE_TEST(program_that_waits_for_the_notice_is_never_found)
{
	uint64_t seed, reused;

	for (seed = 1; seed <= 50; seed++) {
		ck_assert_uint_eq(wrong_blocks(seed, 1, &reused), 0);
		ck_assert_uint_eq(reused, 0);
	}
}

SUITE("sim_zc")
