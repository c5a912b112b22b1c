/* SPDX-License-Identifier: MIT */
/*
 * Timers on any side: so many stand, and a chunk more is armed, or some of them
 * are moved or cancelled; what that changed is undone outside of the time
 * that counts, so that always about as many stand. None ever fires.
 */
#ifndef PEAL_PERF_TIMERS_H
#define PEAL_PERF_TIMERS_H

#include <stdint.h>
#include "perf/side.h"

#ifdef __cplusplus
extern "C" {
#endif

enum timers_op { TIMERS_ARM, TIMERS_REARM, TIMERS_CANCEL };

struct timers_job {
	enum timers_op op;	/* of the case */
	unsigned count;		/* that stand */
	unsigned chunk;		/* timers used at once: indices to apply() */
	unsigned total;		/* count + chunk: a side has that many */
	unsigned *order;	/* those that stand, shuffled */
	unsigned at;		/* in it */
	unsigned *which;	/* chunk indices */
	uint64_t *ns;		/* chunk times, from now */
	uint64_t seed, done;
};

/* Does op to timers which[0] to which[count - 1]. NULL, or what failed. */
typedef const char *timers_apply(void *state, enum timers_op op,
				 const unsigned *which, const uint64_t *ns,
				 unsigned count);

void timers_open(struct timers_job *job, const struct perf_case *at);
void timers_close(struct timers_job *job);
/* Arms those that stand. */
const char *timers_fill(struct timers_job *job, timers_apply *apply,
			void *state);
const char *timers_run(struct timers_job *job, timers_apply *apply,
		       void *state, struct slice *slice);
void timers_count(const struct timers_job *job, struct counters *out);

extern const struct side timers_peal;
#if PERF_HAVE_LIBUV
extern const struct side timers_uv;
#endif
#if PERF_HAVE_LIBEVENT
extern const struct side timers_event;
#endif
#if PERF_HAVE_ASIO
extern const struct side timers_asio;
#endif

#ifdef __cplusplus
}
#endif
#endif
