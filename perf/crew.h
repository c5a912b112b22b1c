/* SPDX-License-Identifier: MIT */
/*
 * A side, opened once per ring: in the calling thread if there is one, else in
 * as many threads, which start together and share the operations of a slice.
 */
#ifndef PEAL_PERF_CREW_H
#define PEAL_PERF_CREW_H

#include "perf/side.h"

struct crew;

/* NULL, or why not. */
const char *crew_open(struct crew **out_crew, const struct side *side,
		      const struct perf_case *at, unsigned rings);
const char *crew_run(struct crew *crew, struct slice *slice);
void crew_count(struct crew *crew, struct counters *out);
void crew_close(struct crew *crew);

#endif
