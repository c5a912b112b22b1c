/* SPDX-License-Identifier: MIT */
/* A bar with the time left, on a terminal; elsewhere nothing. */
#include <stdio.h>
#include <unistd.h>
#include "perf/bench.h"

#define WIDTH	30

static uint64_t shown_ns;
static int shown;

void progress_show(const char *what, double share, uint64_t began_ns)
{
	uint64_t now = clock_now();
	int full = (int)(share * WIDTH), i;
	double left = share > 0 ? (double)(now - began_ns) / 1e9 *
					  (1 - share) / share
				: 0;

	if (!isatty(2) || now - shown_ns < 100000000)
		return;
	shown_ns = now;
	shown = 1;
	if (share < 0) {
		fprintf(stderr, "\r%s, preparing: %.0f %% \033[K", what,
			100 + share * 100);
		return;
	}
	fprintf(stderr, "\r%s [", what);
	for (i = 0; i < WIDTH; i++)
		fputc(i < full ? '#' : '.', stderr);
	fprintf(stderr, "] %3.0f %%, %d:%02d left \033[K", share * 100,
		(int)left / 60, (int)left % 60);
}

void progress_end(void)
{
	if (shown)
		fprintf(stderr, "\r\033[K");
	shown = 0;
}
