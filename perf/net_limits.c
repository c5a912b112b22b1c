/* SPDX-License-Identifier: MIT */
/*
 * Whether so many connections can be had here. A case that cannot be is n/a
 * before it is tried: a machine out of memory or ports says nothing useful.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "perf/net_limits.h"
#include "perf/side.h"

enum { SPARE_FILES = 64, ADDRESSES = 1 << 23, LEAST_PORTS = 16 };

/* Bytes that a connection takes of the machine, both ends, generously: 7 to 10
 * KiB of the kernel's, the server's own, and a stack in the kernel, one here
 * and their tables for a thread. */
enum { EACH = 20 << 10, EACH_THREAD = 56 << 10 };

static unsigned taken;		/* descriptors of this process's clients */

/* The number that a file of /proc begins with; most if it has none. */
static double limit_of(const char *path)
{
	FILE *file = fopen(path, "re");
	double value = 1e15;

	if (!file)
		return value;
	if (fscanf(file, "%lf", &value) != 1)
		value = 1e15;	/* "max" */
	fclose(file);
	return value;
}

/* --- descriptors --------------------------------------------------------- */

void net_raise_files(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

void net_limits_took(int connections)
{
	taken += (unsigned)connections;
}

static const char *files(unsigned connections)
{
	rlim_t want = (rlim_t)taken + connections + SPARE_FILES;
	struct rlimit limit, more = { want, want };
	double most = limit_of("/proc/sys/fs/nr_open");

	getrlimit(RLIMIT_NOFILE, &limit);
	if (want <= limit.rlim_cur)
		return NULL;
	/* The hard one, if this process may: CAP_SYS_RESOURCE. */
	if (want <= most && setrlimit(RLIMIT_NOFILE, &more) == 0)
		return NULL;
	if (want > most)
		return why("RLIMIT_NOFILE %llu < %llu, and fs.nr_open is %.0f: "
			   "sysctl fs.nr_open=%llu first",
			   (unsigned long long)limit.rlim_cur,
			   (unsigned long long)want, most,
			   (unsigned long long)want);
	if (taken)
		return why("RLIMIT_NOFILE %llu < %llu: %u descriptors belong "
			   "to the rows before; run fewer rows, or raise it "
			   "(ulimit -Hn, as root)",
			   (unsigned long long)limit.rlim_cur,
			   (unsigned long long)want, taken);
	return why("RLIMIT_NOFILE %llu < %llu; raise it (ulimit -Hn, as root "
		   "with CAP_SYS_RESOURCE)", (unsigned long long)limit.rlim_cur,
		   (unsigned long long)want);
}

/* --- ports --------------------------------------------------------------- */

static unsigned ports_here(void)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	unsigned low = 32768, high = 60999;

	if (file && fscanf(file, "%u %u", &low, &high) != 2)
		low = high = 0;
	if (file)
		fclose(file);
	return high >= low ? high - low + 1 : 0;
}

/* Half of what there is: the last free ones are long looked for. */
unsigned net_ports_per_address(void)
{
	static unsigned ports;

	if (!ports)
		ports = ports_here() / 2 ? ports_here() / 2 : 1;
	return ports;
}

static const char *ports(unsigned connections)
{
	unsigned each = net_ports_per_address();

	if (each >= LEAST_PORTS && connections / each < ADDRESSES)
		return NULL;
	return why("net.ipv4.ip_local_port_range has %u ports: make it "
		   "larger", ports_here());
}

/* --- memory and threads -------------------------------------------------- */

static double available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	double kib = 1e12;

	while (file && fgets(line, sizeof line, file))
		if (strncmp(line, "MemAvailable:", 13) == 0)
			kib = strtod(line + 13, NULL);
	if (file)
		fclose(file);
	return kib * 1024;
}

static const char *memory(double want)
{
	double have = available();

	if (want <= have)
		return NULL;
	return why("about %.0f MiB wanted, and %.0f MiB are available",
		   want / (1 << 20), have / (1 << 20));
}

/* A thread each: what limits them, and how much one takes of it. */
static const char *threads(unsigned connections)
{
	static const struct {
		const char *path, *name;
		unsigned each;
	} limits[] = {
		{ "/proc/sys/kernel/pid_max", "kernel.pid_max", 1 },
		{ "/proc/sys/kernel/threads-max", "kernel.threads-max", 1 },
		{ "/proc/sys/vm/max_map_count", "vm.max_map_count", 2 },
		{ "/sys/fs/cgroup/pids.max", "pids.max of the control group",
		  1 },
	};
	unsigned i;

	for (i = 0; i < sizeof limits / sizeof *limits; i++) {
		double most = limit_of(limits[i].path);

		if (((double)connections + 1024) * limits[i].each > most)
			return why("%u threads: %s is %.0f", connections,
				   limits[i].name, most);
	}
	return NULL;
}

const char *net_limits(const struct net_way *way, unsigned connections)
{
	int threaded = way->serve == net_serve_threads;
	const char *wrong;

	if (way->most && connections > way->most)
		return why("it can have %u connections", way->most);
	wrong = files(connections);
	if (!wrong)
		wrong = ports(connections);
	if (!wrong && threaded)
		wrong = threads(connections);
	if (!wrong)
		wrong = memory((double)connections *
			       (threaded ? EACH_THREAD : EACH));
	return wrong;
}
