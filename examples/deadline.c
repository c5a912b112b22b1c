/* SPDX-License-Identifier: MIT */
/*
 * deadline: three reads that must not take longer than they are allowed to.
 *
 * Teaches: peal_deadline() goes on any operation in flight, and costs nothing
 * unless it passes. Then the operation is cancelled and completes once, with
 * -ETIMEDOUT, or with its result, if that won. Some operations cannot be
 * cancelled quickly (a disk that hangs); their buffer stays lent for as long
 * as the kernel has it. PEAL_EARLY is for them: the handler hears -ETIMEDOUT
 * with PEAL_MORE at the deadline, answers its client, and hears again when the
 * buffer is its own.
 *
 * Try:  build/examples/deadline
 * See:  a read in time; a read that timed out; a read that timed out in two
 *       stages, here close together because a pipe lets go at once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <peal.h>

static int pipe_fds[2];
static char buf[16];
static uint64_t started_ns;

static peal_handler on_in_time, on_plain, on_two_stages;

static void must(const char *what, int64_t result)
{
	if (result < 0) {
		fprintf(stderr, "deadline: %s: %s\n", what,
			peal_strerror(result));
		exit(1);
	}
}

static void read_within(struct peal_ring *ring, uint64_t timeout_ns,
			unsigned flags, peal_handler *handler)
{
	peal_op op;

	started_ns = peal_ring_now(ring);
	op = peal_read(ring, pipe_fds[0], buf, sizeof(buf), PEAL_CURRENT, 0,
		       handler, NULL);
	must("read", op);
	must("deadline", peal_deadline(ring, op, timeout_ns, flags));
}

static void must_be_late(struct peal_ring *ring,
			 const struct peal_completion *done)
{
	if (done->result != -ETIMEDOUT || !(done->flags & PEAL_TIMED_OUT))
		must("no deadline passed", -EPROTO);
	if (peal_ring_now(ring) - started_ns < 50 * PEAL_MS)
		must("the deadline passed early", -EPROTO);
}

static void on_in_time(struct peal_ring *ring,
		       const struct peal_completion *done)
{
	must("read", done->result);
	printf("in time: %d bytes, and nothing of the deadline is left\n",
	       (int)done->result);
	read_within(ring, 50 * PEAL_MS, 0, on_plain);
}

static void on_plain(struct peal_ring *ring,
		     const struct peal_completion *done)
{
	must_be_late(ring, done);
	printf("plain: timed out, and the buffer is ours again\n");
	read_within(ring, 50 * PEAL_MS, PEAL_EARLY, on_two_stages);
}

static void on_two_stages(struct peal_ring *ring,
			  const struct peal_completion *done)
{
	if (done->flags & PEAL_MORE) {
		must_be_late(ring, done);
		printf("two stages: timed out, the buffer is still lent\n");
		return;
	}
	must_be_late(ring, done);
	printf("two stages: the kernel let go, the buffer is ours again\n");
}

int main(void)
{
	struct peal_ring *ring;

	if (peal_ring_open(&ring, NULL) < 0) {
		fprintf(stderr, "deadline: %s\n", peal_open_reason());
		return 1;
	}
	fprintf(stderr, "deadline: engine %s (%s)\n", peal_ring_engine(ring),
		peal_ring_engine_reason(ring));
	must("pipe", pipe(pipe_fds) < 0 ? -errno : 0);
	must("write", write(pipe_fds[1], "hello", 5) < 0 ? -errno : 0);
	read_within(ring, 10 * PEAL_S, 0, on_in_time);
	must("run", peal_ring_run(ring));
	must("close", peal_ring_close(ring, PEAL_FOREVER));
	return 0;
}
