/* SPDX-License-Identifier: MIT */
/*
 * The file workload by fio, as a program of its own, in its best form: io_uring
 * with fixed buffers and a registered file. Each slice starts it; what counts
 * is the time and the CPU that it reports for its own loop, so its slices are
 * long. It is the same work if it says that it did as many transfers, none of
 * them short, and in the slice that proves the kernel's tracepoints count the
 * entries, which of them are fixed, and its io_uring_enter() calls.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "perf/file.h"
#include "perf/file_sides.h"
#include "perf/trace.h"

enum { READ_FIXED = 4, WRITE_FIXED = 5 };	/* io_uring's */

enum { ENTRIES, READS, WRITES, DIRECT, ENTERS, PUNTS, TRACES };

static const struct {
	const char *event, *filter;
} traced[TRACES] = {
	[ENTRIES] = { TRACE_ENTRIES, NULL },
	[READS] = { TRACE_ENTRIES, "opcode == 4" },
	[WRITES] = { TRACE_ENTRIES, "opcode == 5" },
	[DIRECT] = { TRACE_ENTRIES, "flags & 1" },
	[ENTERS] = { TRACE_CALLS, "id == 426" },
	[PUNTS] = { TRACE_PUNTS, NULL },
};

_Static_assert(SYS_io_uring_enter == 426, "the filter above names it");

struct state {
	struct file_job job;	/* first: file_state_open() */
	char command[1024];
	int known;		/* traces were counted */
	double counts[TRACES], proven;
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
	state = file_state_open(sizeof *state, at, &wrong);
	if (!state)
		return wrong;
	/* Submits what can start in one call, as the other sides do; with a
	 * batch of 1 there it would make a call for each. */
	snprintf(state->command, sizeof state->command,
		 "fio --name=x --filename=%s --rw=%s --rwmixread=%u --bs=%zu "
		 "--iodepth=%u --iodepth_batch_submit=%u "
		 "--iodepth_batch_complete_min=%u "
		 "--iodepth_batch_complete_max=%u --direct=%d "
		 "--ioengine=io_uring --fixedbufs=1 --registerfiles=1 "
		 "--nonvectored=1 --norandommap=1 --randrepeat=0 "
		 "--invalidate=0 --size=%llu", state->job.path,
		 state->job.random ? "randrw" : "rw", state->job.reads,
		 state->job.block, state->job.depth, state->job.depth,
		 state->job.batch, state->job.depth,
		 case_is(at, "open", "o_direct"),
		 (unsigned long long)(state->job.blocks * state->job.block));
	*out_state = state;
	return NULL;
}

/* --- what it says -------------------------------------------------------- */

/* Behind "name" : of what comes after from; NULL: there is none. */
static const char *behind(const char *from, const char *name)
{
	char quoted[64];
	const char *at;

	snprintf(quoted, sizeof quoted, "\"%s\"", name);
	at = from ? strstr(from, quoted) : NULL;
	at = at ? strchr(at, ':') : NULL;
	return at ? at + 1 : NULL;
}

static double number(const char *from, const char *name)
{
	const char *at = behind(from, name);

	return at ? strtod(at, NULL) : -1;
}

/* "bins" : { "1400" : 12, ... }, nanoseconds and how many. */
static void note_bins(struct latency *latency, const char *direction)
{
	const char *at = number(direction, "total_ios") > 0
			 ? behind(behind(direction, "lat_ns"), "bins") : NULL;
	char *end;

	while (at && (at += strcspn(at, "\"}"), *at == '"')) {
		uint64_t ns = strtoull(at + 1, &end, 10);

		at = strchr(end, ':');
		if (at)
			latency_note_many(latency, ns,
					  (uint32_t)strtoul(at + 1, NULL, 10));
	}
}

static const char *take(struct state *state, struct slice *slice,
			const char *text)
{
	const char *jobs = behind(text, "jobs");
	const char *reads = behind(jobs, "read");
	const char *writes = behind(jobs, "write");
	double ms = number(jobs, "job_runtime");
	double usr = number(jobs, "usr_cpu"), sys = number(jobs, "sys_cpu");
	double did = number(reads, "total_ios") + number(writes, "total_ios");

	if (ms < 0 || usr < 0 || sys < 0 || !reads || !writes)
		return "fio's output is not understood";
	if (did != (double)slice->ops)
		return why("fio did %.0f transfers, not %llu", did,
			   (unsigned long long)slice->ops);
	if (number(reads, "short_ios") + number(writes, "short_ios") != 0)
		return "a transfer was short";
	/* Under a millisecond it says 0: then the caller asks for more. */
	slice->wall_ns = (ms < 0.5 ? 0.5 : ms) * 1e6;
	slice->cpu_ns = slice->wall_ns * (usr + sys) / 100;
	slice->switches = number(jobs, "ctx");
	state->job.total += slice->ops;
	if (slice->latency) {
		note_bins(slice->latency, reads);
		note_bins(slice->latency, writes);
	}
	return NULL;
}

/* --- a run --------------------------------------------------------------- */

static const char *start(struct state *state, struct slice *slice)
{
	static char text[1 << 20];
	char command[1200];
	size_t got;
	FILE *out;

	snprintf(command, sizeof command, "%s --io_size=%llu %s 2>/dev/null",
		 state->command,
		 (unsigned long long)(slice->ops * state->job.block),
		 slice->latency ? "--lat_percentiles=1 --clat_percentiles=0 "
				  "--output-format=json+"
				: "--gtod_reduce=1 --output-format=json");
	out = popen(command, "re");
	if (!out)
		return why_errno("fio", -errno);
	got = fread(text, 1, sizeof text - 1, out);
	text[got] = '\0';
	if (pclose(out) != 0)
		return "fio failed";
	return take(state, slice, text);
}

/* fio counts its own thread's time only. */
static const char *in_effect(const struct state *state)
{
	const double *is = state->counts;

	if (is[READS] + is[WRITES] < state->proven)
		return why("fio had %.0f fixed entries for %.0f transfers",
			   is[READS] + is[WRITES], state->proven);
	if (is[PUNTS] > 0.01 * state->proven)
		return why("the kernel's workers do %.2f of the transfers, and "
			   "fio does not count their time",
			   is[PUNTS] / state->proven);
	return NULL;
}

static const char *prove(struct state *state, struct slice *slice)
{
	struct trace *traces[TRACES];
	const char *wrong = NULL;
	unsigned i, open;

	for (open = 0; open < TRACES; open++)
		if (trace_open(&traces[open], getpid(), traced[open].event,
			       traced[open].filter))
			break;
	wrong = start(state, slice);
	state->known = open == TRACES;
	state->proven = (double)slice->ops;
	for (i = 0; i < open; i++) {
		state->counts[i] = trace_count(traces[i]);
		trace_close(traces[i]);
	}
	return wrong || !state->known ? wrong : in_effect(state);
}

static const char *run(void *arg, struct slice *slice)
{
	struct state *state = arg;

	if (slice->rate > 0)
		return "what fio cannot start in time it leaves out of the "
		       "latency: no open loop";
	return slice->prove ? prove(state, slice) : start(state, slice);
}

static void count(void *arg, struct counters *out)
{
	const struct state *state = arg;
	const double *is = state->counts;

	file_job_count(&state->job, out);
	snprintf(out->mode, sizeof out->mode,
		 "io_uring, fixedbufs, registerfiles");
	if (!state->known)
		return;
	out->entries = out->data = is[ENTRIES];
	out->fixed = is[READS] + is[WRITES];
	out->direct = is[DIRECT];
	out->by_op[READ_FIXED] = (uint64_t)is[READS];
	out->by_op[WRITE_FIXED] = (uint64_t)is[WRITES];
	out->calls = is[ENTERS] / state->proven * out->ops;
	out->punts = is[PUNTS] / state->proven * out->ops;
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
