/* SPDX-License-Identifier: MIT */
/*
 * What two sides may do at the same moment: a completion and a cancel, a
 * completion and a deadline; and what an old handle may never do: reach the
 * op that has its row now.
 *
 * A second thread writes one byte per round. Bytes are never made or lost, so
 * each round is checked: an op that says it read one has it, and after one
 * that says it was cancelled the byte is still in the pipe.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "test/proof.h"

#define ROUNDS	SCALED(20000)

/* --- the writer ------------------------------------------------------------ */

static struct writer {
	pthread_t thread;
	int fd;
	_Atomic uint32_t go;	/* the round that may write */
	_Atomic uint32_t done;	/* the last round that has written */
	_Atomic uint32_t spin;	/* how long to dawdle before it */
	_Atomic int quit;
} writer;

static void dawdle(uint32_t spin)
{
	volatile uint32_t count = spin;

	while (count)
		count--;
}

static void *write_bytes(void *arg)
{
	uint32_t round = 1;

	(void)arg;
	while (!atomic_load(&writer.quit)) {
		if (atomic_load(&writer.go) < round) {
			sched_yield();
			continue;
		}
		dawdle(atomic_load(&writer.spin));
		if (write(writer.fd, "x", 1) != 1)
			abort();
		atomic_store(&writer.done, round++);
	}
	return NULL;
}

static void writer_start(int fd)
{
	writer.fd = fd;
	ck_assert_int_eq(pthread_create(&writer.thread, NULL, write_bytes,
					NULL), 0);
}

static void writer_stop(void)
{
	atomic_store(&writer.quit, 1);
	ck_assert_int_eq(pthread_join(writer.thread, NULL), 0);
}

static void writer_go(uint32_t round, uint32_t spin)
{
	atomic_store(&writer.spin, spin);
	atomic_store(&writer.go, round);
}

static void writer_wait(uint32_t round)
{
	while (atomic_load(&writer.done) < round)
		sched_yield();
}

/* --- rounds ------------------------------------------------------------------ */

static struct {
	unsigned data, ended;	/* how the op ended: by its byte, or early */
	unsigned wrong;
	unsigned answers[3];	/* of cancels: 0, -ENOENT, -EALREADY */
} seen;

static uint64_t seed = 0x2545f4914f6cdd1d;

static void run_until_done(const struct proof_op *op)
{
	unsigned idle = 0;

	while (!op->terminal && idle < 500)
		if (peal_ring_turn(ring, 10 * PEAL_MS) == 0)
			idle++;
	seen.wrong += !op->terminal;
}

/* The byte of this round is in buf or in the pipe, once. */
static void judge(const struct proof_op *op, int64_t early, char *buf,
		  int fd, uint32_t round)
{
	struct pollfd pipe = { .fd = fd, .events = POLLIN };
	char left[2];

	writer_wait(round);
	if (op->result == 1) {
		seen.data++;
		seen.wrong += *buf != 'x';
	} else {
		seen.ended++;
		seen.wrong += op->result != early || *buf != 0;
		seen.wrong += poll(&pipe, 1, 0) != 1 || read(fd, left, 2) != 1;
	}
	*buf = 0;
	seen.wrong += op->terminal != 1 || op->more;
}

/* Neither side may always have won: then nothing was proved. */
static void both_happened(void)
{
	ck_assert_uint_eq(seen.wrong, 0);
	ck_assert_uint_eq(seen.data + seen.ended, ROUNDS);
	ck_assert_uint_ge(seen.data, ROUNDS / 100);
	ck_assert_uint_ge(seen.ended, ROUNDS / 100);
	ck_assert_uint_eq(proof_stats(ring).stale, 0);
}

static void on_answer(struct peal_ring *where,
		      const struct peal_completion *done)
{
	struct proof_op *answer = done->ctx;

	(void)where;
	proof_seen(answer, done);
	if (done->result == 0)
		seen.answers[0]++;
	else if (done->result == -ENOENT)
		seen.answers[1]++;
	else if (done->result == -EALREADY)
		seen.answers[2]++;
	else
		seen.wrong++;
}

/* Order 0: the completion first, for sure; 1: the cancel first, for sure; 2: the
 * byte first, but the kernel may not have told the ring; else a race. */
static void cancel_round(int fd, uint32_t round, unsigned flags)
{
	struct proof_op op = { 0 }, answer = { 0 };
	unsigned order = round % 8;
	char buf = 0;
	peal_op handle, cancel;

	handle = peal_read(ring, fd, &buf, 1, PEAL_CURRENT, flags, on_proof,
			   &op);
	seen.wrong += handle <= 0 || peal_ring_turn(ring, 0) < 0;
	if (order != 1)
		writer_go(round, (uint32_t)(proof_random(&seed) % 600));
	if (order == 0 || order == 2)
		writer_wait(round);
	else
		dawdle((uint32_t)(proof_random(&seed) % 600));
	if (order == 0)
		run_until_done(&op);
	cancel = peal_cancel(ring, handle, 0, on_answer, &answer);
	if (cancel > 0)
		run_until_done(&answer);
	else
		seen.wrong += cancel != -ENOENT;
	run_until_done(&op);
	seen.wrong += peal_cancel(ring, handle, 0, NULL, NULL) != -ENOENT;
	if (order == 0)
		seen.wrong += op.result != 1;
	if (order == 1) {
		seen.wrong += op.result != -ECANCELED;
		writer_go(round, 0);
	}
	judge(&op, -ECANCELED, &buf, fd, round);
}

static void race_cancels(unsigned flags)
{
	uint32_t round;
	int fds[2];

	make_pipe(fds);
	writer_start(fds[1]);
	for (round = 1; round <= ROUNDS && !seen.wrong; round++)
		cancel_round(fds[0], round, flags);
	writer_stop();
	both_happened();
	ck_assert_uint_gt(seen.answers[0], 0);
}

TEST(cancel_and_completion_race_and_each_op_ends_once)
{
	race_cancels(0);
}

/* Here the completion comes by itself, not when the ring asks for it. */
TEST(cancel_and_completion_race_without_deferred_completions)
{
	struct peal_ring_options options = harness_options();

	options.disable = "defer,coop";
	reopen_ring(&options);
	race_cancels(0);
}

/* And here it is a kernel worker that is interrupted, or was just done. */
TEST(cancel_and_completion_by_a_worker_race_and_each_op_ends_once)
{
	race_cancels(PEAL_ASYNC);
}

/* Order 0: the byte first; 1: the deadline first; else a race. */
static void deadline_round(int fd, uint32_t round, unsigned flags)
{
	struct proof_op op = { 0 };
	uint64_t ns = proof_random(&seed) % (60 * PEAL_US);
	unsigned order = round % 8;
	char buf = 0;
	peal_op handle;

	if (order < 2)
		ns = order == 0 ? 3600 * PEAL_S : 0;
	handle = peal_read(ring, fd, &buf, 1, PEAL_CURRENT, flags, on_proof,
			   &op);
	seen.wrong += handle <= 0;
	seen.wrong += peal_deadline(ring, handle, ns, 0) != 0;
	if (order != 1)
		writer_go(round, (uint32_t)(proof_random(&seed) % 6000));
	run_until_done(&op);
	if (order == 0)
		seen.wrong += op.result != 1;
	if (order == 1) {
		seen.wrong += op.result != -ETIMEDOUT;
		writer_go(round, 0);
	}
	judge(&op, -ETIMEDOUT, &buf, fd, round);
}

static void race_deadlines(unsigned flags)
{
	uint32_t round;
	int fds[2];

	make_pipe(fds);
	writer_start(fds[1]);
	for (round = 1; round <= ROUNDS && !seen.wrong; round++)
		deadline_round(fds[0], round, flags);
	writer_stop();
	both_happened();
}

TEST(deadline_and_completion_race_and_each_op_ends_once)
{
	race_deadlines(0);
}

TEST(deadline_and_completion_race_without_deferred_completions)
{
	struct peal_ring_options options = harness_options();

	options.disable = "defer,coop";
	reopen_ring(&options);
	race_deadlines(0);
}

TEST(deadline_and_completion_by_a_worker_race_and_each_op_ends_once)
{
	race_deadlines(PEAL_ASYNC);
}

/* --- handles ------------------------------------------------------------------- */

#define REUSES	SCALED(1000000)
#define KEPT	64

/* Every call that takes a handle, with one whose op is long gone. */
static unsigned reaches(peal_op stale)
{
	return peal_op_in_flight(ring, stale) ||
	       peal_cancel(ring, stale, 0, NULL, NULL) != -ENOENT ||
	       peal_cancel(ring, stale, 0, on_proof, NULL) != -ENOENT ||
	       peal_deadline(ring, stale, 0, 0) != -ENOENT ||
	       peal_sleep_again(ring, stale, 0) != -ENOENT;
}

TEST(million_reuses_of_one_row_never_revive_a_stale_handle)
{
	struct peal_ring_options options = harness_options();
	peal_op kept[KEPT] = { 0 }, last = 0;
	unsigned i, revived = 0, wrong = 0, same_row = 0;

	options.max_ops = 1;
	reopen_ring(&options);
	for (i = 0; i < REUSES; i++) {
		struct proof_op op = { 0 };
		peal_op handle = i % 2 ? peal_nop(ring, 0, on_proof, &op)
				       : peal_sleep(ring, 0, 0, on_proof, &op);

		wrong += handle <= last || !peal_op_in_flight(ring, handle);
		if (last) {
			revived += reaches(last);
			revived += reaches(kept[i % KEPT] ? kept[i % KEPT]
							  : last);
		}
		same_row += last && (handle ^ last) % (1 << 20) == 0;
		while (!op.terminal && peal_ring_turn(ring, PEAL_FOREVER) >= 0)
			;
		wrong += op.terminal != 1 || op.result != 0;
		if (i % (REUSES / KEPT) == 0)
			kept[i / (REUSES / KEPT) % KEPT] = handle;
		last = handle;
	}
	ck_assert_uint_eq(revived, 0);
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(same_row, REUSES - 1);
	ck_assert_uint_eq(proof_stats(ring).stale, 0);
}

SUITE("races")
