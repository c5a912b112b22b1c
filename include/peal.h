/* SPDX-License-Identifier: MIT */
/*
 * peal: completion-based I/O for C.
 *
 * You start an operation (an op) on a ring and name a handler. The operation
 * goes to the kernel; when it is done, the ring calls the handler with the
 * result. That is all there is; the rest of this comment is what you may rely
 * on, once, for every function in every header.
 *
 * Conventions
 *   Ring       One thread's loop. A ring belongs to the thread that opened it;
 *              only peal_post() may be called from another thread (and from a
 *              signal handler).
 *   Op         Every function that starts one has this form: the ring, the
 *              arguments of the system call in its order, PEAL_ flags, the
 *              handler, its context. It returns a handle (> 0) or a negative
 *              error, in which case nothing was started and the handler will
 *              never be called.
 *   Handler    Called exactly once with a terminal completion for each op that
 *              was started; before it any number of times with PEAL_MORE set,
 *              for ops whose block says so. Handlers run only inside
 *              peal_ring_run(), peal_ring_turn() and peal_ring_close(), never
 *              inside the call that started the op. A handler may start and
 *              cancel ops, its own included, and stop the ring.
 *              NULL means that nobody wants to know; a new fd that nobody
 *              wants is closed.
 *   Lent       Every pointer given to an op (buffer, path, address, iovec
 *              array, message header, and what they point to) is lent to the
 *              ring until the op's terminal completion, whatever was
 *              cancelled or closed meanwhile. Nothing is copied unless a block
 *              says "copied".
 *   Errors     A negative Linux errno, from every function, on every system;
 *              peal_strerror() explains it in a sentence. Every op can
 *              fail at once with -EAGAIN (as many ops in flight as
 *              options.max_ops allows, or the kernel takes no submissions
 *              just now: let one finish; nothing happened), -EINVAL (a flag
 *              this op does not have), -EBADF (the fd is being closed by
 *              peal_close_drained()), -EOPNOTSUPP (neither the engine nor the
 *              pool has the operation; see peal_ring_explain()) and
 *              -ESHUTDOWN (the ring is closing). Every op can complete with
 *              -ECANCELED (a cancel was asked for), -ETIMEDOUT (its deadline
 *              passed), -EINTR (a signal; nothing was done) and -EAGAIN (no
 *              worker could be started for it; nothing was done).
 *   Misuse     Calls that can only be a bug (wrong thread, a ring used in a
 *              forked child) stop the program with file, line and op.
 *   Units      len is bytes, count is items, _ns is nanoseconds, due_ns is
 *              a time on the ring's clock (CLOCK_MONOTONIC).
 *   Memory     Starting an op allocates nothing. Everything is allocated by
 *              peal_ring_open(), but for the stacks of the pool's threads.
 *
 * How to read a function's block
 *   What it does comes first, then its arguments. Numbers are copied when you
 *   call; a pointer says whether it is copied or lent. Three arguments mean
 *   the same everywhere and are not repeated: ring, the caller's own; handler,
 *   which gets the completion, or NULL; ctx, which is handed to the handler
 *   and never looked at. Then, always in this order:
 *     Result    of an op: done->result when it went well; of any other
 *               function: what it returns
 *     Errors    those worth handling, each with its cause, beyond the ones
 *               above; in done->result unless "returned at once"
 *     Lifetime  until when which memory is lent, or how long a result lives
 *     Thread    who may call it; "the ring's": the thread that opened it
 *     Engines   what runs it. "io_uring 5.6": from that Linux on; peal finds
 *               out by asking the kernel, never by its version. After "else",
 *               how it is done where that is missing (the epoll engine, an
 *               older kernel): "at once" makes the plain system call, which
 *               cannot block; "readiness" waits until fd is ready, then makes
 *               it; "pool" makes it on a thread of the ring's pool, which
 *               has options.pool_threads at most, started when there is work
 *     Memory    what it allocates
 */
#ifndef PEAL_H
#define PEAL_H

#include "peal/op.h"
#include "peal/ring.h"
#include "peal/time.h"
#include "peal/file.h"
#include "peal/net.h"
#include "peal/group.h"
#include "peal/direct.h"
#include "peal/work.h"
#include "peal/memory.h"
#include "peal/punts.h"

#endif
