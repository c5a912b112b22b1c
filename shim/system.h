/* SPDX-License-Identifier: MIT */
/* What the shims need of a system besides I/O: posix_thread.c, windows.c. */
#ifndef PEAL_SHIM_SYSTEM_H
#define PEAL_SHIM_SYSTEM_H

#include <pthread.h>

/* Starts a thread that gets none of the program's signals: those are for its
 * own threads. 0, or an errno. */
int peal__thread_start(pthread_t *out_id, void *(*fn)(void *arg), void *arg);

#endif
