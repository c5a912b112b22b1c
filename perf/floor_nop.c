/* SPDX-License-Identifier: MIT */
/*
 * How much does peal cost on top of bare liburing, per operation? A NOP is all
 * overhead, so this is the worst case: a batch of NOPs is started, one system
 * call submits it and waits, the completions are taken.
 */
#include "perf/floor.h"

static uint64_t seen;

static void check(uint64_t ops, uint64_t before)
{
	if (seen - before != ops)
		floor_fail("completions are missing", 0);
}

static void run_bare(unsigned batch, uint64_t ops)
{
	struct io_uring *ring = &floor_bare;
	uint64_t left, before = seen;
	struct io_uring_cqe *cqe;
	unsigned i, head, taken;
	int rc;

	for (left = ops; left; left -= batch) {
		for (i = 0; i < batch; i++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

			io_uring_prep_nop(sqe);
			io_uring_sqe_set_data64(sqe, i);
		}
		rc = io_uring_submit_and_wait(ring, 1);
		floor_bare_enters++;
		if (rc < 0)
			floor_fail("io_uring_submit_and_wait", rc);
		taken = 0;
		io_uring_for_each_cqe(ring, head, cqe) {
			if (cqe->res < 0)
				floor_fail("nop", cqe->res);
			taken++;
		}
		io_uring_cq_advance(ring, taken);
		seen += taken;
	}
	check(ops, before);
}

static void on_nop(struct peal_ring *ring, const struct peal_completion *done)
{
	(void)ring;
	if (done->result < 0)
		floor_fail("nop", done->result);
	seen++;
}

static void run_peal(unsigned batch, uint64_t ops)
{
	uint64_t left, before = seen;
	unsigned i;
	int rc;

	for (left = ops; left; left -= batch) {
		for (i = 0; i < batch; i++) {
			peal_op op = peal_nop(floor_peal, 0, on_nop, NULL);

			if (op < 0)
				floor_fail("peal_nop", op);
		}
		rc = peal_ring_turn(floor_peal, PEAL_FOREVER);
		if (rc < 0)
			floor_fail("peal_ring_turn", rc);
	}
	check(ops, before);
}

static const struct floor_case cases[] = {
	{ "batch 1", 1, 0, { run_bare, run_peal } },
	{ "batch 8", 8, 0, { run_bare, run_peal } },
	{ "batch 64", 64, 1.10, { run_bare, run_peal } },
};

int main(int argc, char **argv)
{
	return floor_main(argc, argv, "floor_nop", cases,
			  sizeof cases / sizeof *cases);
}
