/* SPDX-License-Identifier: MIT */
/* As many ops in flight as a large server has, at once: each of them ends
 * exactly once, whatever ends it. */
#include "test/proof.h"

#define PIPES	100
#define OPS	100000
#define BYTES	4096
#define HOUR	(3600 * PEAL_S)

static int pipes[PIPES][2];
static struct proof_op *ops;
static peal_op *handles;
static char *bytes;

/* With few completions the kernel has to keep the rest; with many it finds an
 * op to cancel faster, in as many lists as a 32nd of their number. */
static void open_large(uint32_t cq_entries)
{
	struct peal_ring_options options = harness_options();
	unsigned i;

	options.max_ops = 131072;
	options.cq_entries = cq_entries;
	reopen_ring(&options);
	for (i = 0; i < PIPES; i++)
		make_pipe(pipes[i]);
	ops = calloc(OPS, sizeof(*ops));
	handles = calloc(OPS, sizeof(*handles));
	bytes = calloc(OPS, 1);
	ck_assert(ops && handles && bytes);
}

static void free_large(void)
{
	free(ops);
	free(handles);
	free(bytes);
}

static peal_op start_one(unsigned i)
{
	int fd = pipes[i % PIPES][0];

	switch (i / PIPES % 3) {
	case 0:
		return peal_poll(ring, fd, POLLIN, 0, on_proof, &ops[i]);
	case 1:
		return peal_read(ring, fd, &bytes[i], 1, PEAL_CURRENT, 0,
				 on_proof, &ops[i]);
	default:
		return peal_sleep(ring, HOUR + i * PEAL_US, 0, on_proof,
				  &ops[i]);
	}
}

static void start_all(void)
{
	unsigned i, refused = 0;

	for (i = 0; i < OPS; i++) {
		handles[i] = start_one(i);
		refused += handles[i] <= 0;
	}
	ck_assert_uint_eq(refused, 0);
	ck_assert_uint_eq(peal_ring_in_flight(ring), OPS);
	settle();
	ck_assert_uint_eq(peal_ring_in_flight(ring), OPS);
}

static void each_ended_once(void)
{
	unsigned i, wrong = 0;

	for (i = 0; i < OPS; i++)
		wrong += ops[i].terminal != 1 || ops[i].more != 0;
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(proof_stats(ring).stale, 0);
}

static unsigned count_results(int64_t result)
{
	unsigned i, count = 0;

	for (i = 0; i < OPS; i++)
		count += ops[i].result == result;
	return count;
}

/* As many bytes as a pipe has readers, then one that stays for its polls. */
static void feed_pipes(void)
{
	static const char data[BYTES];
	unsigned i, readers = (OPS / PIPES + 1) / 3 + 1;

	ck_assert_uint_le(readers, BYTES);
	for (i = 0; i < PIPES; i++)
		ck_assert_int_eq(write(pipes[i][1], data, readers), readers);
}

/* Not before all are in flight, however long that takes. */
static void wake_sleepers(void)
{
	unsigned i, refused = 0;

	for (i = 0; i < OPS; i++)
		if (i / PIPES % 3 == 2)
			refused += peal_sleep_again(ring, handles[i],
						    i * PEAL_US) != 0;
	ck_assert_uint_eq(refused, 0);
}

TEST(hundred_thousand_ops_in_flight_all_complete)
{
	open_large(1024);
	start_all();
	feed_pipes();
	wake_sleepers();
	UNTIL(peal_ring_in_flight(ring) == 0);
	each_ended_once();
	ck_assert_uint_eq(count_results(-ECANCELED), 0);
	free_large();
}

TEST(hundred_thousand_ops_in_flight_are_all_cancelled)
{
	NEEDS_LOCKED(4 << 20);
	open_large(65536);
	start_all();
	ck_result(finish(peal_cancel_all(ring, 0, on_done, NULL)), OPS);
	UNTIL(peal_ring_in_flight(ring) == 0);
	each_ended_once();
	ck_assert_uint_eq(count_results(-ECANCELED), OPS);
	free_large();
}

TEST(hundred_thousand_ops_are_cancelled_one_by_one_by_handle)
{
	unsigned i, refused = 0;

	NEEDS_LOCKED(4 << 20);
	open_large(65536);
	start_all();
	for (i = 0; i < OPS; i++)
		refused += peal_cancel(ring, handles[i], 0, NULL, NULL) != 0;
	ck_assert_uint_eq(refused, 0);
	UNTIL(peal_ring_in_flight(ring) == 0);
	each_ended_once();
	ck_assert_uint_eq(count_results(-ECANCELED), OPS);
	for (i = 0; i < OPS; i++)
		refused += peal_op_in_flight(ring, handles[i]);
	ck_assert_uint_eq(refused, 0);
	free_large();
}

TEST(closing_an_fd_ends_its_ops_and_no_others)
{
	unsigned i, wrong = 0;

	NEEDS_LOCKED(4 << 20);
	open_large(65536);
	start_all();
	for (i = 0; i < PIPES / 2; i++)
		ck_result(finish(peal_close_drained(ring, pipes[i][0], 0,
						    on_done, NULL)), 0);
	for (i = 0; i < OPS; i++) {
		unsigned ended = i % PIPES < PIPES / 2 && i / PIPES % 3 != 2;

		wrong += ops[i].terminal != ended;
	}
	ck_assert_uint_eq(wrong, 0);
	ck_result(peal_cancel_all(ring, 0, NULL, NULL), 0);
	UNTIL(peal_ring_in_flight(ring) == 0);
	each_ended_once();
	free_large();
}

TEST(closing_the_ring_ends_a_hundred_thousand_ops)
{
	struct peal_ring_options options = harness_options();
	unsigned i, wrong = 0;

	NEEDS_LOCKED(4 << 20);
	open_large(65536);
	start_all();
	close_ring(ring);
	for (i = 0; i < OPS; i++)
		wrong += ops[i].terminal != 1 || ops[i].result != -ECANCELED;
	ck_assert_uint_eq(wrong, 0);
	ring = open_ring(&options);
	free_large();
}

SUITE("many")
