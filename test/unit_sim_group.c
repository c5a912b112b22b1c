/* SPDX-License-Identifier: MIT */
/* A group of buffers that seems empty, by a fault of a simulated machine. */
#include "test/harness.h"
#include "peal/sim.h"

static struct peal_sim *world;
static struct peal_sim_node *node;
static struct peal_group *group;
static int fds[2];

static void begin(uint32_t count)
{
	struct peal_ring_options options = harness_options();
	struct peal_group_options shape = PEAL_GROUP_OPTIONS;

	forget_outcomes();
	ck_result(peal_sim_open(&world, 1, NULL), 0);
	options.sim_node = node = peal_sim_node(world, "a");
	options.max_ops = 64;
	ring = open_ring(&options);
	shape.count = count;
	shape.buf_size = 64;
	ck_result(peal_group_open(ring, &group, &shape), 0);
	ck_result(peal_sim_socketpair(node, SOCK_STREAM, fds), 0);
}

static void end(void)
{
	close_ring(ring);
	ring = NULL;
	peal_sim_close(world);
}

static struct peal_group_stats group_stats(void)
{
	struct peal_group_stats stats = { .size = sizeof(stats) };

	peal_group_stats(group, &stats);
	return stats;
}

static uint64_t faults(void)
{
	return peal_sim_faults(node, PEAL_SIM_NO_BUFFER, NULL);
}

static void always(void)
{
	peal_sim_fault(world, NULL, PEAL_SIM_NO_BUFFER, PEAL_SIM_MILLION);
}

static peal_op receive(void)
{
	peal_op op = peal_recv_group(ring, fds[0], group, 0, 0, on_done, NULL);

	ck_ok(op);
	return op;
}

static void put(const char *text)
{
	ck_result(send_from(fds[1], text, strlen(text)),
		  (int64_t)strlen(text));
}

BARE_TEST(receive_that_finds_no_buffer_by_a_fault_waits_and_goes_on)
{
	const struct outcome *seen;
	uint64_t began;
	peal_op op;

	begin(4);
	always();
	put("words");
	op = receive();
	UNTIL(group_stats().waiting == 1);
	began = peal_ring_now(ring);
	ck_assert_uint_eq(group_stats().out, 0);
	seen = finish_outcome(op);
	ck_result(seen->result, 5);
	ck_assert_mem_eq(seen->buf, "words", 5);
	ck_assert_uint_eq(faults(), 1);
	ck_assert_uint_eq(group_stats().exhausted, 1);
	ck_assert_uint_le(peal_ring_now(ring) - began, 11 * PEAL_MS);
	peal_group_give_back(group, seen->buf);
	end();
}

BARE_TEST(world_that_only_waits_for_a_buffer_goes_on_by_itself)
{
	peal_op op;

	begin(4);
	always();
	put("words");
	op = receive();
	ck_result(peal_sim_run(world, PEAL_FOREVER), 0);
	ck_assert(finished(op));
	ck_result(outcome(op)->result, 5);
	peal_group_give_back(group, outcome(op)->buf);
	end();
}

BARE_TEST(buffer_that_comes_back_ends_the_fault)
{
	uint64_t began;
	void *buf;
	peal_op op;
	int turns;

	begin(2);
	put("one");
	buf = finish_outcome(receive())->buf;
	peal_sim_fault_at(node, PEAL_SIM_NO_BUFFER, 1);
	put("two");
	op = receive();
	UNTIL(group_stats().waiting == 1);
	began = peal_ring_now(ring);
	peal_group_give_back(group, buf);
	for (turns = 0; !finished(op) && turns < 5; turns++)
		ck_ok(peal_ring_turn(ring, 0));
	ck_assert(finished(op));
	ck_assert_uint_le(peal_ring_now(ring) - began, 20 * PEAL_US);
	ck_result(outcome(op)->result, 3);
	peal_group_give_back(group, outcome(op)->buf);
	end();
}

BARE_TEST(fault_of_a_group_can_be_scheduled)
{
	uint64_t could;
	int i;

	begin(4);
	peal_sim_fault_at(node, PEAL_SIM_NO_BUFFER, 2);
	for (i = 0; i < 4; i++) {
		put("x");
		peal_group_give_back(group, finish_outcome(receive())->buf);
		ck_assert_uint_eq(faults(), i >= 1);
	}
	peal_sim_faults(node, PEAL_SIM_NO_BUFFER, &could);
	ck_assert_uint_eq(could, 4);
	end();
}

BARE_TEST(receive_kept_from_a_buffer_can_be_cancelled_and_timed_out)
{
	peal_op op;

	begin(4);
	always();
	put("words");
	op = receive();
	UNTIL(group_stats().waiting == 1);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
	op = receive();
	UNTIL(group_stats().waiting == 1);
	ck_result(peal_deadline(ring, op, 1, 0), 0);
	ck_result(finish(op), -ETIMEDOUT);
	ck_assert_uint_eq(group_stats().ops, 0);
	end();
}

BARE_TEST(ring_closes_while_a_receive_is_kept_from_a_buffer)
{
	begin(4);
	always();
	put("words");
	receive();
	UNTIL(group_stats().waiting == 1);
	close_ring(ring);
	ring = NULL;
	ck_result(peal_sim_run(world, PEAL_FOREVER), 0);
	peal_sim_close(world);
}

BARE_TEST(machine_crashes_while_a_receive_is_kept_from_a_buffer)
{
	begin(4);
	always();
	put("words");
	receive();
	UNTIL(group_stats().waiting == 1);
	peal_sim_crash(node, PEAL_FOREVER);
	ck_result(peal_sim_run(world, PEAL_FOREVER), 0);
	end();
}

SUITE("sim_group")
