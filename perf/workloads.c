/* SPDX-License-Identifier: MIT */
/* The workloads, by name. */
#include <string.h>
#include "perf/bench.h"
#include "perf/commands.h"
#include "perf/workloads.h"

static const struct workload *const workloads[] = {
	&workload_nop,
	&workload_file,
	&workload_net,
	&workload_models,
	&workload_timers,
	&workload_wake,
};

#define WORKLOADS (sizeof workloads / sizeof *workloads)

const struct workload *workload_named(const char *name)
{
	size_t i;

	for (i = 0; i < WORKLOADS; i++)
		if (strcmp(workloads[i]->name, name) == 0)
			return workloads[i];
	return NULL;
}

const char *workload_names(void)
{
	static char text[256];
	size_t i;

	text[0] = '\0';
	for (i = 0; i < WORKLOADS; i++) {
		strcat(text, i ? ", " : "");
		strcat(text, workloads[i]->name);
	}
	return text;
}
