/* SPDX-License-Identifier: MIT */
/* What lib/ and the pool need of POSIX threads beyond their plain calls. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>
#include "lib/engine.h"
#include "shim/system.h"

void peal__yield(void)
{
	sched_yield();
}

void peal__at_fork(void (*before)(void), void (*after)(void),
		   void (*in_child)(void))
{
	pthread_atfork(before, after, in_child);
}

uint32_t peal__thread_id(void)
{
	return (uint32_t)gettid();
}

/* The name tells a tool, and record_name.c, that it is not the program's. */
int peal__thread_start(pthread_t *out_id, void *(*fn)(void *arg), void *arg)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(out_id, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		pthread_setname_np(*out_id, "peal-pool");
	return rc;
}
