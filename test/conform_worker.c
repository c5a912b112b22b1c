/* SPDX-License-Identifier: MIT */
/* Ops on the kernel's own workers (PEAL_ASYNC). */
#include "test/harness.h"

#ifdef __SANITIZE_ADDRESS__
enum { ROUNDS = 500 };
#else
enum { ROUNDS = 3000 };
#endif

/* A worker that has taken an op but does not wait on it yet answers a cancel
 * with -EALREADY and then waits for ever: the cancel must be sent again. */
TEST(cancel_that_came_too_early_is_sent_again)
{
	int fds[2], round;
	char byte;

	make_socketpair(SOCK_STREAM, fds);
	for (round = 0; round < ROUNDS; round++) {
		peal_op op = peal_read(ring, fds[0], &byte, 1, PEAL_CURRENT,
				       PEAL_ASYNC, on_done, NULL);

		if (round % 3)
			peal_ring_turn(ring, 0);
		peal_cancel(ring, op, 0, NULL, NULL);
		ck_result(finish(op), -ECANCELED);
	}
}

TEST(deadline_on_a_worker_fires_once_for_each_op)
{
	int fds[2], round;
	char byte;

	make_socketpair(SOCK_STREAM, fds);
	for (round = 0; round < ROUNDS / 10; round++) {
		peal_op op = peal_read(ring, fds[0], &byte, 1, PEAL_CURRENT,
				       PEAL_ASYNC, on_done, NULL);

		ck_ok(peal_deadline(ring, op, (uint64_t)round * 1000, 0));
		ck_result(finish(op), -ETIMEDOUT);
	}
}

TEST(worker_reads_what_is_there)
{
	int fds[2];
	char buf[8];

	make_pipe(fds);
	ck_assert_int_eq(write(fds[1], "data", 4), 4);
	ck_result(finish(peal_read(ring, fds[0], buf, sizeof buf,
				   PEAL_CURRENT, PEAL_ASYNC, on_done, NULL)),
		  4);
}

SUITE("worker")
