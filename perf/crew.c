/* SPDX-License-Identifier: MIT */
/*
 * Threads that each have a side of their own. The main thread gives an order
 * to all of them and waits until the last has done it; between orders they
 * wait for a condition, and cost nothing.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "perf/crew.h"

enum order { REST, OPEN, RUN, COUNT, CLOSE };

struct member {
	struct crew *crew;
	pthread_t thread;
	void *state;		/* of the side; NULL: not open */
	struct slice slice;
	struct latency *latency;
	struct counters counters;
	char failed[240];	/* of the last order */
};

struct crew {
	const struct side *side;
	const struct perf_case *at;
	unsigned size;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum order order;
	unsigned serial;	/* of the order */
	unsigned busy;		/* members that have not done it */
	struct member *members;
};

static void obey(struct member *member, enum order order)
{
	const struct side *side = member->crew->side;
	const char *failed = NULL;

	switch (order) {
	case OPEN:
		failed = side->open(&member->state, member->crew->at);
		if (failed)
			member->state = NULL;
		break;
	case RUN:
		failed = side->run(member->state, &member->slice);
		break;
	case COUNT:
		side->count(member->state, &member->counters);
		break;
	case CLOSE:
		if (member->state)
			side->close(member->state);
		member->state = NULL;
		break;
	case REST:
		break;
	}
	snprintf(member->failed, sizeof member->failed, "%s",
		 failed ? failed : "");
}

static void *serve(void *arg)
{
	struct member *member = arg;
	struct crew *crew = member->crew;
	unsigned done = 0;
	enum order order = REST;

	while (order != CLOSE) {
		pthread_mutex_lock(&crew->lock);
		while (crew->serial == done)
			pthread_cond_wait(&crew->changed, &crew->lock);
		done = crew->serial;
		order = crew->order;
		pthread_mutex_unlock(&crew->lock);
		obey(member, order);
		pthread_mutex_lock(&crew->lock);
		if (--crew->busy == 0)
			pthread_cond_broadcast(&crew->changed);
		pthread_mutex_unlock(&crew->lock);
	}
	return NULL;
}

/* NULL, or the first member's failure. */
static const char *command(struct crew *crew, enum order order)
{
	unsigned i;

	if (crew->size == 1) {
		obey(&crew->members[0], order);
	} else {
		pthread_mutex_lock(&crew->lock);
		crew->order = order;
		crew->serial++;
		crew->busy = crew->size;
		pthread_cond_broadcast(&crew->changed);
		while (crew->busy)
			pthread_cond_wait(&crew->changed, &crew->lock);
		pthread_mutex_unlock(&crew->lock);
	}
	for (i = 0; i < crew->size; i++)
		if (crew->members[i].failed[0])
			return why("%s", crew->members[i].failed);
	return NULL;
}

static struct crew *make(const struct side *side, const struct perf_case *at,
			 unsigned rings)
{
	struct crew *crew = calloc(1, sizeof *crew);
	unsigned i;

	if (!crew)
		abort();
	crew->side = side;
	crew->at = at;
	crew->size = rings;
	crew->members = calloc(rings, sizeof *crew->members);
	if (!crew->members)
		abort();
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->changed, NULL);
	for (i = 0; i < rings; i++) {
		crew->members[i].crew = crew;
		if (rings > 1 && pthread_create(&crew->members[i].thread, NULL,
						serve, &crew->members[i]))
			abort();
	}
	return crew;
}

const char *crew_open(struct crew **out_crew, const struct side *side,
		      const struct perf_case *at, unsigned rings)
{
	struct crew *crew = make(side, at, rings);
	const char *failed = command(crew, OPEN);
	char text[240];

	if (failed) {
		/* Closing runs in the same threads, and may say things. */
		snprintf(text, sizeof text, "%s", failed);
		crew_close(crew);
		return why("%s", text);
	}
	*out_crew = crew;
	return NULL;
}

static struct latency *own_latency(struct crew *crew, struct member *member,
				   const struct slice *slice)
{
	if (!slice->latency || crew->size == 1)
		return slice->latency;
	if (!member->latency)
		member->latency = malloc(sizeof *member->latency);
	if (!member->latency)
		abort();
	memset(member->latency, 0, sizeof *member->latency);
	return member->latency;
}

const char *crew_run(struct crew *crew, struct slice *slice)
{
	const char *failed;
	unsigned i;

	for (i = 0; i < crew->size; i++) {
		struct member *member = &crew->members[i];

		member->slice = *slice;
		member->slice.ops = slice->ops / crew->size +
				    (i < slice->ops % crew->size);
		member->slice.rate = slice->rate / crew->size;
		member->slice.latency = own_latency(crew, member, slice);
	}
	failed = command(crew, RUN);
	for (i = 0; i < crew->size; i++)
		if (slice->latency && crew->members[i].latency)
			latency_merge(slice->latency, crew->members[i].latency);
	if (crew->size == 1)
		*slice = crew->members[0].slice;
	return failed;
}

static void add(double *into, double value)
{
	*into = *into < 0 || value < 0 ? UNKNOWN : *into + value;
}

static void merge(struct counters *into, const struct counters *from)
{
	unsigned i;

	add(&into->ops, from->ops);
	add(&into->calls, from->calls);
	add(&into->overflows, from->overflows);
	add(&into->punts, from->punts);
	add(&into->entries, from->entries);
	add(&into->data, from->data);
	add(&into->fixed, from->fixed);
	add(&into->direct, from->direct);
	add(&into->flagged, from->flagged);
	for (i = 0; i < COUNT_OPCODES; i++)
		into->by_op[i] += from->by_op[i];
}

void crew_count(struct crew *crew, struct counters *out)
{
	unsigned i;

	for (i = 0; i < crew->size; i++)
		memset(&crew->members[i].counters, 0, sizeof *out);
	command(crew, COUNT);
	*out = crew->members[0].counters;
	for (i = 1; i < crew->size; i++)
		merge(out, &crew->members[i].counters);
}

void crew_close(struct crew *crew)
{
	unsigned i;

	command(crew, CLOSE);
	for (i = 0; i < crew->size; i++) {
		if (crew->size > 1)
			pthread_join(crew->members[i].thread, NULL);
		free(crew->members[i].latency);
	}
	pthread_cond_destroy(&crew->changed);
	pthread_mutex_destroy(&crew->lock);
	free(crew->members);
	free(crew);
}
