/* SPDX-License-Identifier: MIT */
/* How well this machine can be measured now. */
#include <string.h>
#include <time.h>
#include "perf/bench.h"
#include "perf/doctor.h"
#include "perf/env.h"
#include "perf/workloads.h"

#define GAP_NS	5000u

static void clock_cost(void)
{
	uint64_t began = clock_now();
	unsigned i, reads = 200000;
	double ns;

	for (i = 0; i < reads; i++)
		clock_now();
	ns = (double)(clock_now() - began) / reads;
	if (ns > 100)
		doctor_bad("clock", "clocksource=tsc on the kernel's command "
			   "line, if the machine's is stable",
			   "a reading takes %.0f ns (source %s): it is a "
			   "system call", ns, env_get("clock"));
	else
		doctor_good("clock", "a reading takes %.0f ns (source %s)", ns,
			    env_get("clock"));
}

/* Time that was taken from a thread that only reads the clock. */
static void gaps(double seconds)
{
	uint64_t began = clock_now(), last = began, now = began, most = 0;
	uint64_t taken = 0, until = began + (uint64_t)(seconds * 1e9);
	unsigned count = 0;
	double share;

	for (; now < until; last = now) {
		now = clock_now();
		if (now - last < GAP_NS)
			continue;
		count++;
		taken += now - last;
		if (now - last > most)
			most = now - last;
	}
	share = 100 * (double)taken / (double)(now - began);
	if (share > 1)
		doctor_bad("interruptions", "stop what else runs; pin with "
			   "taskset; a machine of one's own",
			   "%.1f %% of the time, %u times more than 5 us, "
			   "%.0f us at most", share, count,
			   (double)most / 1e3);
	else
		doctor_good("interruptions", "%.2f %% of the time, %u times "
			    "more than 5 us, %.0f us at most", share, count,
			    (double)most / 1e3);
}

static double width(struct interval is)
{
	return is.median > 0 ? 50 * (is.high - is.low) / is.median : 0;
}

/* The same loop again and again: how much do its medians differ? */
static void spread(double seconds)
{
	struct bench bench;
	const struct row *row;
	double cpu, wall;

	bench_start(&bench, &workload_nop, 0);
	matrix_set(&bench.matrix, "batch", "64");
	bench.sides = "bare";
	bench.quiet = 1;
	bench.how.seconds = seconds;
	bench_rows_between(&bench, 0, 1);
	row = &bench.rows[0];
	if (bench_measure(&bench) != 0 || row->na[0]) {
		doctor_bad("spread", "see above", "%s", row->na);
		bench_free(&bench);
		return;
	}
	cpu = width(stats_interval(row->samples[CPU_NS], row->rounds));
	wall = width(stats_interval(row->samples[WALL_NS], row->rounds));
	if (cpu > 2)
		doctor_bad("spread", "more --rounds and --seconds, or a "
			   "quieter machine",
			   "%u slices of one loop: +- %.1f %% CPU, +- %.1f %% "
			   "wall", row->rounds, cpu, wall);
	else
		doctor_good("spread", "%u slices of one loop: +- %.1f %% CPU, "
			    "+- %.1f %% wall; less is not shown", row->rounds,
			    cpu, wall);
	bench_free(&bench);
}

void doctor_noise(double seconds)
{
	doctor_part("noise");
	clock_cost();
	gaps(seconds / 2);
	spread(seconds / 2);
}
