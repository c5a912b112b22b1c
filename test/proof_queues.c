/* SPDX-License-Identifier: MIT */
/* Queues far smaller than what passes through them: nothing is lost, nothing
 * overtakes. */
#include "test/proof.h"

static uint64_t next, ended, out_of_order, failed;

static void ring_with(uint32_t entries, uint32_t cq_entries)
{
	struct peal_ring_options options = harness_options();

	options.entries = entries;
	options.cq_entries = cq_entries;
	reopen_ring(&options);
}

static void on_numbered(struct peal_ring *where,
			const struct peal_completion *done)
{
	(void)where;
	out_of_order += (uint64_t)(uintptr_t)done->ctx != ended;
	failed += done->result != 0;
	ended++;
}

/* A refused op was not started: a turn makes room, then it is tried again. */
static void start_numbered(unsigned count)
{
	while (count) {
		if (peal_nop(ring, 0, on_numbered,
			     (void *)(uintptr_t)next) > 0) {
			next++;
			count--;
		} else if (peal_ring_turn(ring, PEAL_FOREVER) < 0) {
			return;
		}
	}
}

static void nothing_lost(uint64_t count)
{
	ck_assert_uint_eq(next, count);
	ck_assert_uint_eq(ended, count);
	ck_assert_uint_eq(out_of_order, 0);
	ck_assert_uint_eq(failed, 0);
	ck_assert_uint_eq(proof_stats(ring).stale, 0);
}

TEST(million_ops_pass_through_two_entries_in_order)
{
	const unsigned batches = SCALED(10000), batch = 100;
	unsigned i;

	ring_with(2, 0);
	for (i = 0; i < batches; i++) {
		start_numbered(batch);
		if (peal_ring_turn(ring, PEAL_FOREVER) < 0)
			break;
	}
	UNTIL(peal_ring_in_flight(ring) == 0);
	nothing_lost((uint64_t)batches * batch);
	ck_assert_uint_gt(proof_stats(ring).sq_full, batches);
}

TEST(burst_of_ten_thousand_overflows_four_completions_in_order)
{
	const unsigned bursts = SCALED(20), burst = 10000;
	unsigned i;

	ring_with(2, 4);
	for (i = 0; i < bursts; i++) {
		start_numbered(burst);
		UNTIL(peal_ring_in_flight(ring) == 0);
	}
	nothing_lost((uint64_t)bursts * burst);
	ck_assert_uint_gt(proof_stats(ring).cq_overflows, bursts);
}

/* What completes by itself, all at once, while nobody looks. */
TEST(polls_that_all_fire_at_once_overflow_four_completions)
{
	static struct proof_op ops[4000];
	const unsigned count = sizeof(ops) / sizeof(*ops);
	unsigned i, wrong = 0, refused = 0;
	int fds[2];

	ring_with(4, 4);
	make_pipe(fds);
	for (i = 0; i < count; i++)
		refused += peal_poll(ring, fds[0], POLLIN, 0, on_proof,
				     &ops[i]) <= 0;
	ck_assert_uint_eq(refused, 0);
	settle();
	ck_assert_uint_eq(peal_ring_in_flight(ring), count);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	UNTIL(peal_ring_in_flight(ring) == 0);
	for (i = 0; i < count; i++)
		wrong += ops[i].terminal != 1 || ops[i].result != POLLIN;
	ck_assert_uint_eq(wrong, 0);
}

/* --- accept, again and again ------------------------------------------- */

#define CONNECTIONS 500

static struct proof_op accepting;
static unsigned accepted;

static void on_accept(struct peal_ring *where,
		      const struct peal_completion *done)
{
	(void)where;
	proof_seen(&accepting, done);
	if (done->result < 0)
		return;
	close((int)done->result);
	accepted++;
}

/* An overflow ends a multishot op in the kernel; the library goes on. */
TEST(connections_that_overflow_two_completions_are_all_accepted)
{
	struct sockaddr_storage addr;
	socklen_t len;
	unsigned round, i;
	int clients[100], listener = make_listener(AF_INET, &addr, &len);
	peal_op op;

	ring_with(2, 2);
	op = peal_accept_multishot(ring, listener, 0, on_accept, NULL);
	ck_assert_int_gt(op, 0);
	settle();
	for (round = 0; round < CONNECTIONS / 100; round++) {
		for (i = 0; i < 100; i++) {
			clients[i] = socket(AF_INET, SOCK_STREAM, 0);
			ck_assert_int_eq(connect(clients[i],
						 (struct sockaddr *)&addr,
						 len), 0);
		}
		UNTIL(accepted == (round + 1) * 100);
		for (i = 0; i < 100; i++)
			close(clients[i]);
	}
	ck_assert_uint_eq(accepting.more, CONNECTIONS);
	ck_assert_uint_eq(accepting.terminal, 0);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	UNTIL(accepting.terminal == 1);
	ck_result(accepting.result, -ECANCELED);
}

SUITE("queues")
