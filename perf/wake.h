/* SPDX-License-Identifier: MIT */
/*
 * Messages to a loop from another thread, on any library. A kind has loops; a
 * loop is opened, run and closed by one thread, and others post to it.
 */
#ifndef PEAL_PERF_WAKE_H
#define PEAL_PERF_WAKE_H

#include <stdint.h>
#include "perf/side.h"

#ifdef __cplusplus
extern "C" {
#endif

struct wake_loop {
	void *state;		/* of the kind */
	uint64_t seen;		/* messages delivered */
	uint64_t callbacks;	/* in so many calls */
	struct wake_loop *answer; /* each message is posted on, there */
	const struct wake_kind *kind;
};

struct wake_kind {
	const char *(*open)(struct wake_loop *loop);
	/* From any thread. 0, or < 0: full, try again. */
	int (*post)(struct wake_loop *loop);
	/* Runs until loop->seen >= until. NULL, or what failed. */
	const char *(*run)(struct wake_loop *loop, uint64_t until);
	void (*close)(struct wake_loop *loop);
};

/* In loop's thread: count messages have come, in one call. */
void wake_came(struct wake_loop *loop, uint64_t count);

/* struct side's four, for a kind: open and run take it first. */
const char *wake_open(const struct wake_kind *kind, void **out_state,
		      const struct perf_case *at);
const char *wake_run(void *state, struct slice *slice);
void wake_count(void *state, struct counters *out);
void wake_close(void *state);

#define WAKE_SIDE(symbol, side_name, kind)				\
	static const char *symbol##_open(void **out_state,		\
					 const struct perf_case *at)	\
	{								\
		return wake_open(&(kind), out_state, at);		\
	}								\
	const struct side symbol = {					\
		.name = (side_name), .open = symbol##_open,		\
		.run = wake_run, .count = wake_count,			\
		.close = wake_close,					\
	}

extern const struct side wake_peal, wake_eventfd;
#if PERF_HAVE_LIBUV
extern const struct side wake_uv;
#endif
#if PERF_HAVE_LIBEVENT
extern const struct side wake_event;
#endif
#if PERF_HAVE_ASIO
extern const struct side wake_asio;
#endif

#ifdef __cplusplus
}
#endif
#endif
