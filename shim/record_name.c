/* SPDX-License-Identifier: MIT */
/*
 * Which file a ring is recorded in, so that a replay finds it again: FILE, and
 * for further rings of a process FILE.2, FILE.3, ...; after the first fork of a
 * process that has rings, the child's are FILE.f1, FILE.f1.2, ... Rings that
 * threads open at the same time come in any order; what thread it was is told
 * by how many there were before it.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "shim/record.h"

struct series {			/* of rings with one FILE */
	char given[512];
	unsigned rings, generation;
};

static struct series all[2];	/* recorded; replayed */
static _Thread_local struct {
	unsigned rings, generation;
} here[2];
static unsigned forks;
static char of_fork[64];	/* .f1.f2: what this process is */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
	forks++;
}

static void after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
	size_t len = strlen(of_fork);

	snprintf(of_fork + len, sizeof of_fork - len, ".f%u", forks);
	forks = 0;
	all[0].given[0] = all[1].given[0] = 0;
	pthread_mutex_unlock(&lock);
}

static void watch(void)
{
	peal__at_fork(before_fork, after_fork, in_child);
}

/* The kernel's workers, and those of a pool, are not the program's. */
static int is_program(const char *task)
{
	char path[300], name[32] = "";
	FILE *file;

	snprintf(path, sizeof path, "/proc/self/task/%s/comm", task);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(name, sizeof name, file))
		name[0] = 0;
	fclose(file);
	return strncmp(name, "iou-", 4) && strcmp(name, "peal-pool\n");
}

/* Threads that were started before this one and have not ended. */
static uint32_t rank_of(uint32_t thread)
{
	DIR *list = opendir("/proc/self/task");
	const struct dirent *entry;
	uint32_t before = 0;

	while (list && (entry = readdir(list)) != NULL) {
		unsigned long id = strtoul(entry->d_name, NULL, 10);

		before += id && id < thread && is_program(entry->d_name);
	}
	if (list)
		closedir(list);
	return before;
}

void peal__record_who(struct record_name *out, int replayed, const char *given)
{
	struct series *series = &all[replayed];

	pthread_once(&once, watch);
	pthread_mutex_lock(&lock);
	if (strncmp(series->given, given, sizeof series->given - 1)) {
		snprintf(series->given, sizeof series->given, "%s", given);
		series->rings = 0;
		series->generation++;
	}
	if (here[replayed].generation != series->generation)
		here[replayed].rings = 0;
	here[replayed].generation = series->generation;
	out->number = ++series->rings;
	out->nth = ++here[replayed].rings;
	pthread_mutex_unlock(&lock);
	out->rank = rank_of(peal__thread_id());
	peal__record_name(out, given, out->number);
}

void peal__record_nobody(int replayed)
{
	pthread_mutex_lock(&lock);
	all[replayed].rings--;
	here[replayed].rings--;
	pthread_mutex_unlock(&lock);
}

void peal__record_name(struct record_name *out, const char *given,
		       unsigned number)
{
	int len = snprintf(out->text, sizeof out->text, "%s%s", given,
			   of_fork);

	if (number > 1 && (size_t)len < sizeof out->text)
		snprintf(out->text + len, sizeof out->text - (size_t)len,
			 ".%u", number);
}
