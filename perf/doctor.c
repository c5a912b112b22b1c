/* SPDX-License-Identifier: MIT */
/* Looks at the machine before it is measured: what is there, what stands in
 * the way, what to do about it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "perf/commands.h"
#include "perf/doctor.h"
#include "perf/env.h"
#include "perf/measure.h"
#include "perf/net_limits.h"
#include "perf/trace.h"

static unsigned problems;

void doctor_part(const char *name)
{
	printf("\n%s\n", name);
}

void doctor_good(const char *name, const char *format, ...)
{
	va_list args;

	printf("  ok   %-16s ", name);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void doctor_bad(const char *name, const char *remedy, const char *format, ...)
{
	va_list args;

	problems++;
	printf("  BAD  %-16s ", name);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n       remedy: %s\n", remedy);
}

static void facts(void)
{
	static const char *const names[] = { "kernel", "kernel_build", "cpu",
		"cpus", "hypervisor", "mitigations", "memory", "load",
		"governor", "liburing", "compiler", "revision" };
	size_t i;

	doctor_part("machine");
	for (i = 0; i < sizeof names / sizeof *names; i++)
		if (env_get(names[i])[0])
			doctor_good(names[i], "%s", env_get(names[i]));
	if (strtod(env_get("load"), NULL) > 0.5)
		doctor_bad("busy", "measure when nothing else runs; CPU per op "
			   "and ratios suffer less than wall time",
			   "the load is %s", env_get("load"));
	if (strcmp(env_get("governor"), "powersave") == 0)
		doctor_bad("governor", "cpupower frequency-set -g performance",
			   "the clock rate follows the load");
}

static void memlock(void)
{
	struct rlimit is;

	getrlimit(RLIMIT_MEMLOCK, &is);
	if (is.rlim_cur == RLIM_INFINITY || geteuid() == 0)
		doctor_good("memlock", "%s", geteuid() == 0
			? "root may lock any amount" : "unlimited");
	else if (is.rlim_cur < 64u << 20)
		doctor_bad("memlock", "ulimit -l, LimitMEMLOCK=, or memlock in "
			   "/etc/security/limits.conf",
			   "%llu KiB may be locked: registered buffers count",
			   (unsigned long long)is.rlim_cur >> 10);
	else
		doctor_good("memlock", "%llu KiB",
			    (unsigned long long)is.rlim_cur >> 10);
}

static void limits(void)
{
	struct rlimit is;
	long aio = strtol(env_line("/proc/sys/fs/aio-max-nr"), NULL, 10);
	long huge = strtol(env_get("huge_pages_free"), NULL, 10);
	const char *many;

	doctor_part("limits");
	memlock();
	getrlimit(RLIMIT_NOFILE, &is);
	if (is.rlim_cur < 4096)
		doctor_bad("open files", "ulimit -n 20000",
			   "%llu; conns and net want more",
			   (unsigned long long)is.rlim_cur);
	else
		doctor_good("open files", "%llu",
			    (unsigned long long)is.rlim_cur);
	many = net_limits(&net_ways[NET_WAY_peal_group], 100000);
	if (many)
		doctor_bad("connections", "the limit's own, or a virtual "
			   "machine in which you are root", "conns cannot "
			   "have 100,000: %s", many);
	else
		doctor_good("connections", "100,000 can be had");
	doctor_good("linux-aio", "%ld requests in all (fs.aio-max-nr)", aio);
	if (huge > 0)
		doctor_good("huge pages", "%ld free", huge);
	else if (strstr(env_get("transparent_huge_pages"), "[never]"))
		doctor_bad("huge pages", "sysctl vm.nr_hugepages=64, or echo "
			   "madvise > /sys/kernel/mm/transparent_hugepage/"
			   "enabled", "none, and no transparent ones");
	else
		doctor_good("huge pages", "none reserved; transparent ones: %s",
			    env_get("transparent_huge_pages"));
}

static void program(const char *name, const char *test, const char *what)
{
	if (system(test) == 0)
		doctor_good(name, "is there");
	else
		doctor_bad(name, "test/packages perf", "is not there: %s",
			   what);
}

static void library(const char *name, int is_built_in)
{
	if (is_built_in)
		doctor_good(name, "built in");
	else
		doctor_bad(name, "test/packages perf, then make peal-perf",
			   "was not there when this was built: its rows are "
			   "n/a");
}

static void tools(void)
{
	const char *none = measure_no_instructions();
	struct trace *trace;

	doctor_part("what this program can use");
	library("libuv", PERF_HAVE_LIBUV);
	library("libevent", PERF_HAVE_LIBEVENT);
	library("Asio", PERF_HAVE_ASIO);
	program("fio", "fio --version > /dev/null 2>&1", "its side is n/a");
	program("gnuplot", "gnuplot --version > /dev/null 2>&1",
		"report draws with characters");
	if (none)
		doctor_bad("instructions", "measure on a machine whose PMU is "
			   "visible; perf/floor_steps counts peal's own",
			   "%s", none);
	else
		doctor_good("instructions", "are counted");
	none = trace_open(&trace, getpid(), TRACE_PUNTS, NULL);
	if (none) {
		doctor_bad("tracepoints", "run as root, with tracefs mounted",
			   "%s: punts, and calls of other libraries, are "
			   "not counted", none);
	} else {
		doctor_good("tracepoints", "punts and system calls are "
			    "counted");
		trace_close(trace);
	}
}

static int doctor_main(int argc, char **argv)
{
	const char *directory = ".";
	double seconds = 1;
	char *end;
	int i;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--dir") == 0 && i + 1 < argc) {
			directory = argv[++i];
		} else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
			seconds = strtod(argv[++i], &end);
			if (*end || end == argv[i] || !(seconds >= 0) ||
			    seconds > 3600) {
				fprintf(stderr, "peal-perf doctor: --seconds "
					"takes a number from 0 to 3600, not "
					"\"%s\"\n", argv[i]);
				return 2;
			}
		} else {
			int asked = strcmp(argv[i], "--help") == 0;

			fprintf(asked ? stdout : stderr, "usage: peal-perf "
				"doctor [--dir DIRECTORY] [--seconds S]\n");
			return asked ? 0 : 2;
		}
	}
	if (access(directory, R_OK | W_OK) < 0) {
		perror(directory);
		return 2;
	}
	env_gather(argc, argv);
	env_disk(directory);
	facts();
	doctor_uring();
	limits();
	doctor_disk(directory);
	tools();
	doctor_noise(seconds);
	printf("\n%u problem%s\n", problems, problems == 1 ? "" : "s");
	return 0;
}

const struct command command_doctor = {
	"doctor", "this machine: what is there, what is in the way",
	doctor_main,
};
