/* SPDX-License-Identifier: MIT */
/* The environment block of every output. See env.h. */
#include <dirent.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include "perf/env.h"

#ifndef PERF_REVISION
#define PERF_REVISION "unknown"
#endif
#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

static struct env_fact facts[ENV_FACTS];
static unsigned count;

const char *env_line(const char *path)
{
	static char line[512];
	FILE *in = fopen(path, "re");

	line[0] = '\0';
	if (!in)
		return line;
	if (!fgets(line, sizeof line, in))
		line[0] = '\0';
	fclose(in);
	line[strcspn(line, "\n")] = '\0';
	return line;
}

const struct env_fact *env_facts(unsigned *out_count)
{
	*out_count = count;
	return facts;
}

const char *env_get(const char *name)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (strcmp(facts[i].name, name) == 0)
			return facts[i].value;
	return "";
}

static void fact(const char *name, const char *value)
{
	if (count == ENV_FACTS || !*value)
		return;
	facts[count].name = name;
	snprintf(facts[count].value, sizeof facts[count].value, "%s", value);
	count++;
}

/* The value of a "name : value" line of a file in /proc. */
static const char *entry(const char *path, const char *name)
{
	static char line[512];
	size_t len = strlen(name);
	FILE *in = fopen(path, "re");
	const char *value = "";

	while (in && fgets(line, sizeof line, in)) {
		if (strncmp(line, name, len) != 0 ||
		    !strchr(":\t ", line[len]))
			continue;
		line[strcspn(line, "\n")] = '\0';
		value = strchr(line, ':') ? strchr(line, ':') + 1 : "";
		value += strspn(value, " \t");
		break;
	}
	if (in)
		fclose(in);
	return value;
}

static void mitigations(void)
{
	static const char where[] = "/sys/devices/system/cpu/vulnerabilities";
	DIR *dir = opendir(where);
	struct dirent *file;
	char text[256] = "", path[512];
	size_t used = 0;

	while (dir && (file = readdir(dir))) {
		const char *line;

		if (file->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", where, file->d_name);
		line = env_line(path);
		if (strncmp(line, "Not affected", 12) == 0 || !*line ||
		    used >= sizeof text)
			continue;
		used += (size_t)snprintf(text + used, sizeof text - used,
					 "%s%s: %.60s", used ? "; " : "",
					 file->d_name, line);
	}
	if (dir)
		closedir(dir);
	fact("mitigations", used ? text : "none needed, or not told");
}

static void limit(const char *name, int which)
{
	struct rlimit is;
	char text[64];

	if (getrlimit((__rlimit_resource_t)which, &is) < 0)
		return;
	if (is.rlim_cur == RLIM_INFINITY)
		snprintf(text, sizeof text, "unlimited");
	else
		snprintf(text, sizeof text, "%llu (hard %lld)",
			 (unsigned long long)is.rlim_cur,
			 (long long)is.rlim_max);
	fact(name, text);
}

/* The line of /proc/self/mountinfo for a device: mount point, type, options. */
static void mount_of(unsigned major_number, unsigned minor_number)
{
	char line[1024], device[32], want[32];
	FILE *in = fopen("/proc/self/mountinfo", "re");

	snprintf(want, sizeof want, "%u:%u", major_number, minor_number);
	while (in && fgets(line, sizeof line, in)) {
		char *rest = strstr(line, " - ");
		char point[256], type[64], text[256], options[256];

		if (sscanf(line, "%*d %*d %31s %*s %255s %255s", device, point,
			   options) != 3 ||
		    strcmp(device, want) != 0 || !rest ||
		    sscanf(rest, " - %63s", type) != 1)
			continue;
		snprintf(text, sizeof text, "%.40s %.80s %.120s", type, point,
			 options);
		fact("mount", text);
		break;
	}
	if (in)
		fclose(in);
}

static void device_of(unsigned major_number, unsigned minor_number)
{
	static const char *const names[] = { "scheduler", "rotational",
					     "nr_requests", "write_cache",
					     "io_poll" };
	char path[256], text[256];
	size_t used = 0, i;

	snprintf(path, sizeof path, "/sys/dev/block/%u:%u", major_number,
		 minor_number);
	if (access(path, F_OK) < 0)
		return;
	used = (size_t)snprintf(text, sizeof text, "%u:%u", major_number,
				minor_number);
	for (i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "/sys/dev/block/%u:%u/queue/%s",
			 major_number, minor_number, names[i]);
		if (access(path, F_OK) < 0)
			snprintf(path, sizeof path,
				 "/sys/dev/block/%u:%u/../queue/%s",
				 major_number, minor_number, names[i]);
		used += (size_t)snprintf(text + used, sizeof text - used,
					 ", %s %.40s", names[i],
					 env_line(path));
		if (used >= sizeof text)
			break;
	}
	fact("device", text);
}

static void command_line(int argc, char **argv)
{
	char text[256] = "peal-perf";
	size_t used = strlen(text);
	int i;

	for (i = 0; i < argc && used < sizeof text; i++)
		used += (size_t)snprintf(text + used, sizeof text - used,
					 " %s", argv[i]);
	fact("command", text);
}

static void machine(void)
{
	struct utsname system;
	char text[64];

	uname(&system);
	fact("kernel", system.release);
	fact("kernel_build", system.version);
	fact("machine", system.machine);
	fact("cpu", entry("/proc/cpuinfo", "model name"));
	snprintf(text, sizeof text, "%ld", sysconf(_SC_NPROCESSORS_ONLN));
	fact("cpus", text);
	fact("hypervisor", strstr(entry("/proc/cpuinfo", "flags"),
				  " hypervisor") ? "yes" : "no");
	fact("clock", env_line("/sys/devices/system/clocksource/clocksource0/"
			       "current_clocksource"));
	fact("governor", env_line("/sys/devices/system/cpu/cpu0/cpufreq/"
				  "scaling_governor"));
	mitigations();
	fact("memory", entry("/proc/meminfo", "MemTotal"));
	fact("huge_pages", entry("/proc/meminfo", "HugePages_Total"));
	fact("huge_pages_free", entry("/proc/meminfo", "HugePages_Free"));
	fact("transparent_huge_pages",
	     env_line("/sys/kernel/mm/transparent_hugepage/enabled"));
	fact("load", env_line("/proc/loadavg"));
}

void env_gather(int argc, char **argv)
{
	time_t now = time(NULL);
	struct tm utc;
	char text[64];

	count = 0;
	command_line(argc, argv);
	gmtime_r(&now, &utc);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
	fact("date", text);
	fact("revision", PERF_REVISION);
	fact("compiler", COMPILER);
#ifdef IO_URING_VERSION_MAJOR
	snprintf(text, sizeof text, "%d.%d", IO_URING_VERSION_MAJOR,
		 IO_URING_VERSION_MINOR);
	fact("liburing", text);
#else
	fact("liburing", "before 2.4");
#endif
	machine();
	limit("memlock_bytes", RLIMIT_MEMLOCK);
	limit("open_files", RLIMIT_NOFILE);
	limit("processes", RLIMIT_NPROC);
}

void env_disk(const char *directory)
{
	struct stat is;

	if (stat(directory, &is) < 0)
		return;
	mount_of(major(is.st_dev), minor(is.st_dev));
	device_of(major(is.st_dev), minor(is.st_dev));
}
