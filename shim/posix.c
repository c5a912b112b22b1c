/* SPDX-License-Identifier: MIT */
/*
 * What lib/ needs of a POSIX system besides I/O: the clock, and SIGPIPE kept
 * away from a thread that owns a ring. A write to a dead socket or pipe
 * raises it on the thread that submitted (io_uring included), which would end
 * the program; blocked, the write just completes with -EPIPE.
 */
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include "lib/engine.h"

uint64_t peal__clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) +
	       (uint64_t)now.tv_nsec;
}

/* 3 ns where the exact one costs 22. */
uint64_t peal__clock_coarse(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) +
	       (uint64_t)now.tv_nsec;
}

static _Thread_local unsigned rings;
static _Thread_local int blocked_here;

static void only_sigpipe(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGPIPE);
}

void peal__sigpipe_block(void)
{
	sigset_t set, old;

	if (rings++)
		return;
	only_sigpipe(&set);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	blocked_here = !sigismember(&old, SIGPIPE);
}

/* After the thread's last ring: as it was, and without a late SIGPIPE. */
void peal__sigpipe_restore(void)
{
	struct timespec zero = { 0, 0 };
	sigset_t set;

	if (--rings || !blocked_here)
		return;
	only_sigpipe(&set);
	sigtimedwait(&set, NULL, &zero);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
