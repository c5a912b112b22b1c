/* SPDX-License-Identifier: MIT */
/*
 * cancel: asking an operation to end, and believing only its own completion.
 *
 * Teaches: a cancel is a question. The operation's own terminal completion
 * says what became of it: -ECANCELED, or a result that won the race, and only
 * then is the buffer yours. The cancel has a result too, which many programs
 * need not look at (handler NULL). A handle is safe to keep: once its
 * operation has completed it is never found again.
 *
 * Try:  build/examples/cancel
 * See:  one read cancelled with an answer; three cancelled by their fd; a
 *       handle that is no longer in flight.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <peal.h>

static int pipe_fds[2];
static int cancelled;		/* reads that completed with -ECANCELED */

static int64_t must(const char *what, int64_t result)
{
	if (result < 0) {
		fprintf(stderr, "cancel: %s: %s\n", what,
			peal_strerror(result));
		exit(1);
	}
	return result;
}

/* Nobody writes to the pipe: without a cancel this would never run. */
static void on_read_ended(struct peal_ring *ring,
			  const struct peal_completion *done)
{
	(void)ring;
	if (done->result != -ECANCELED || !(done->flags & PEAL_CANCELLED))
		must("the read was not cancelled", -EPROTO);
	cancelled++;
}

static void on_cancel_answered(struct peal_ring *ring,
			       const struct peal_completion *done)
{
	int64_t *answer = done->ctx;

	(void)ring;
	*answer = done->result;
}

static peal_op start_read(struct peal_ring *ring, char *buf)
{
	return must("read", peal_read(ring, pipe_fds[0], buf, 1, PEAL_CURRENT,
				      0, on_read_ended, NULL));
}

int main(void)
{
	struct peal_ring *ring;
	int64_t answer = 1;
	char buf[4];
	peal_op op;

	if (peal_ring_open(&ring, NULL) < 0) {
		fprintf(stderr, "cancel: %s\n", peal_open_reason());
		return 1;
	}
	fprintf(stderr, "cancel: engine %s (%s)\n", peal_ring_engine(ring),
		peal_ring_engine_reason(ring));
	must("pipe", pipe(pipe_fds) < 0 ? -errno : 0);

	op = start_read(ring, &buf[0]);
	must("cancel",
	     peal_cancel(ring, op, 0, on_cancel_answered, &answer));
	must("run", peal_ring_run(ring));
	printf("one read: %d cancelled, the cancel's result is %d\n", cancelled,
	       (int)answer);

	cancelled = 0;
	start_read(ring, &buf[1]);
	start_read(ring, &buf[2]);
	start_read(ring, &buf[3]);
	must("cancel by fd", peal_cancel_fd(ring, pipe_fds[0], 0,
					    on_cancel_answered, &answer));
	must("run", peal_ring_run(ring));
	printf("by fd: %d asked, %d cancelled\n", (int)answer, cancelled);

	if (peal_cancel(ring, op, 0, NULL, NULL) == -ENOENT)
		printf("an old handle: not in flight\n");
	must("close", peal_ring_close(ring, PEAL_FOREVER));
	return 0;
}
