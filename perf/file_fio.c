/* SPDX-License-Identifier: MIT */
/*
 * The file workload by fio, as a program of its own, in its best form: io_uring
 * with fixed buffers and a registered file. Each slice starts it; what counts
 * is the time and the CPU that it reports for its own loop, so its slices are
 * long.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "perf/file.h"
#include "perf/file_sides.h"

struct state {
	struct file_job job;
	char command[1024];
};

static const char *open_side(void **out_state, const struct perf_case *at)
{
	struct state *state;
	const char *wrong;

	if (system("fio --version > /dev/null 2>&1") != 0)
		return "fio is not installed";
	if (case_number(at, "rings") != 1)
		return "fio is driven with one ring only";
	if (file_verify)
		return "fio does not know the data of this file";
	if (case_text(at, "sync")[0] != 'n')
		return "fio is not driven with syncs";
	state = calloc(1, sizeof *state);
	if (!state)
		abort();
	wrong = file_job_open(&state->job, at, NULL);
	if (wrong) {
		free(state);
		return wrong;
	}
	snprintf(state->command, sizeof state->command,
		 "fio --name=x --filename=%s --rw=%s --rwmixread=%u --bs=%zu "
		 "--iodepth=%u --iodepth_batch_submit=%u "
		 "--iodepth_batch_complete_min=%u "
		 "--iodepth_batch_complete_max=%u --direct=%d "
		 "--ioengine=io_uring --fixedbufs=1 --registerfiles=1 "
		 "--nonvectored=1 --norandommap=1 --randrepeat=0 "
		 "--invalidate=0 --gtod_reduce=1 --size=%llu "
		 "--output-format=json", state->job.path,
		 state->job.random ? "randrw" : "rw", state->job.reads,
		 state->job.block, state->job.depth, state->job.batch,
		 state->job.batch, state->job.depth,
		 case_is(at, "open", "o_direct"),
		 (unsigned long long)(state->job.blocks * state->job.block));
	*out_state = state;
	return NULL;
}

/* The number after the first "name" : that comes after from. */
static double number(const char *from, const char *name)
{
	char quoted[64];
	const char *at;

	snprintf(quoted, sizeof quoted, "\"%s\"", name);
	at = from ? strstr(from, quoted) : NULL;
	at = at ? strchr(at, ':') : NULL;
	return at ? strtod(at + 1, NULL) : -1;
}

static const char *run(void *arg, struct slice *slice)
{
	static char text[1 << 16];
	struct state *state = arg;
	char command[1200];
	const char *jobs;
	double ms, usr, sys;
	size_t got;
	FILE *out;

	snprintf(command, sizeof command, "%s --io_size=%llu 2>/dev/null",
		 state->command, (unsigned long long)(slice->ops *
						     state->job.block));
	out = popen(command, "r");
	if (!out)
		return why_errno("fio", -errno);
	got = fread(text, 1, sizeof text - 1, out);
	text[got] = '\0';
	if (pclose(out) != 0)
		return "fio failed";
	jobs = strstr(text, "\"jobs\"");
	ms = number(jobs, "job_runtime");
	usr = number(jobs, "usr_cpu");
	sys = number(jobs, "sys_cpu");
	if (ms < 0 || usr < 0 || sys < 0)
		return "fio's output is not understood";
	/* Under a millisecond it says 0: then the caller asks for more. */
	slice->wall_ns = (ms < 0.5 ? 0.5 : ms) * 1e6;
	slice->cpu_ns = slice->wall_ns * (usr + sys) / 100;
	state->job.total += slice->ops;
	return NULL;
}

static void count(void *arg, struct counters *out)
{
	file_job_count(&((struct state *)arg)->job, out);
}

static void close_side(void *arg)
{
	struct state *state = arg;

	file_job_close(&state->job);
	free(state);
}

const struct side file_fio = {
	.name = "fio", .open = open_side, .run = run, .count = count,
	.close = close_side, .no_variants = 1, .only_if_named = 1,
	.least_slice_ns = 300e6,
};
