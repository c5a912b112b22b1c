/* SPDX-License-Identifier: MIT */
/*
 * hello: the smallest whole program, and the shape of every other one.
 *
 * Teaches: open a ring; start an operation and name the handler that gets its
 * result; run the ring until nothing is in flight; close it. A handler may
 * start the next operation: that is how a program goes on.
 *
 * Try:  build/examples/hello
 * See:  three lines, a tenth of a second apart. The program ends by itself:
 *       after the third there is nothing in flight any more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <peal.h>

static void must(const char *what, int64_t result)
{
	if (result < 0) {
		fprintf(stderr, "hello: %s: %s\n", what,
			peal_strerror(result));
		exit(1);
	}
}

static void on_time(struct peal_ring *ring, const struct peal_completion *done)
{
	int *left = done->ctx;

	must("sleep", done->result);
	printf("hello, %d to go\n", --*left);
	if (*left > 0)
		must("sleep",
		     peal_sleep(ring, 100 * PEAL_MS, 0, on_time, left));
}

int main(void)
{
	struct peal_ring *ring;
	int left = 3;

	if (peal_ring_open(&ring, NULL) < 0) {
		fprintf(stderr, "hello: %s\n", peal_open_reason());
		return 1;
	}
	fprintf(stderr, "hello: engine %s (%s)\n", peal_ring_engine(ring),
		peal_ring_engine_reason(ring));

	must("sleep", peal_sleep(ring, 100 * PEAL_MS, 0, on_time, &left));
	must("run", peal_ring_run(ring));
	must("close", peal_ring_close(ring, PEAL_FOREVER));
	return 0;
}
