/* SPDX-License-Identifier: MIT */
/*
 * The command conns: what an idle connection costs. A fresh server takes so
 * many connections, answers one message on each, and is left alone; its
 * anonymous memory then, less what it had before, is what they take. The
 * kernel's own share (slabs, stacks, page tables) is the whole machine's, and
 * of both ends of each connection.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "perf/bench.h"
#include "perf/commands.h"
#include "perf/env.h"
#include "perf/net_bench.h"
#include "perf/net_child.h"
#include "perf/net_limits.h"
#include "perf/net_load.h"

enum { MESSAGE = 64, CHUNK = 4096, MOST_ROUNDS = 100, MOST_COUNTS = 16 };

struct idle {			/* bytes per connection, a value a round */
	double heap[MOST_ROUNDS], kernel[MOST_ROUNDS];
	unsigned rounds;
	char na[240];
};

static uint64_t counts[MOST_COUNTS] = { 10000, 100000 };
static unsigned count_count = 2, rounds = 3;
static const char *wanted;

static const unsigned ways[] = {
	NET_WAY_uring, NET_WAY_uring_group, NET_WAY_uring_direct,
	NET_WAY_peal, NET_WAY_peal_group, NET_WAY_peal_direct,
	NET_WAY_peal_epoll, NET_WAY_epoll, NET_WAY_epoll_edge,
	NET_WAY_libuv, NET_WAY_libevent, NET_WAY_bufferevent, NET_WAY_asio,
	NET_WAY_asio_uring, NET_WAY_threads,
};

#define WAYS (sizeof ways / sizeof *ways)

static const char *measure_open(struct net_child *child, unsigned count,
				struct idle *idle)
{
	struct net_load_options options = { .connections = count,
					    .busy = count, .size = MESSAGE };
	struct net_memory before, after;
	struct net_load *load = NULL;
	const char *wrong;

	options.addr = child->addr;
	options.page = child->page;
	net_child_memory(child, &before);
	wrong = net_load_open(&load, &options);
	if (!wrong) {
		wrong = net_load_greet(load);
		net_child_memory(child, &after);
		net_load_close(load);
	}
	if (wrong)
		return child->page->state == NET_CANNOT
			       ? why("%s", child->page->reason) : wrong;
	idle->heap[idle->rounds] = (after.heap - before.heap) / count;
	idle->kernel[idle->rounds] = (after.kernel - before.kernel) / count;
	idle->rounds++;
	return NULL;
}

static void measure_once(const struct net_way *way, unsigned count,
			 struct idle *idle)
{
	const struct net_job job = { .connections = count, .chunk = CHUNK,
				     .buffers = NET_BUFFERS };
	const char *wrong = way->missing;
	struct net_child child;

	if (!wrong)
		wrong = net_limits(way, count);
	if (!wrong)
		wrong = net_child_start(&child, way, &job);
	if (!wrong) {
		wrong = measure_open(&child, count, idle);
		net_child_end(&child);
	}
	if (wrong)
		snprintf(idle->na, sizeof idle->na, "%s", wrong);
}

/* --- output -------------------------------------------------------------- */

static void csv_line(const struct net_way *way, unsigned count,
		     const struct idle *idle, FILE *out)
{
	struct interval heap = stats_interval(idle->heap, idle->rounds);
	struct interval kernel = stats_interval(idle->kernel, idle->rounds);

	if (idle->na[0])
		fprintf(out, "conns,%s,%u,\"%s\",,,,,,,\n", way->name, count,
			idle->na);
	else
		fprintf(out, "conns,%s,%u,\"\",%u,%.1f,%.1f,%.1f,%.0f,%.0f,"
			"%.0f\n", way->name, count, idle->rounds, heap.median,
			heap.low, heap.high, kernel.median, kernel.low,
			kernel.high);
}

static void json_interval(const char *name, struct interval is, FILE *out)
{
	fprintf(out, ", \"%s\": {\"median\": %.1f, \"low\": %.1f, \"high\": "
		"%.1f}", name, is.median, is.low, is.high);
}

static void json_line(const struct net_way *way, unsigned count,
		      const struct idle *idle, FILE *out)
{
	static const char *before = "\n  {";

	json_pair(before, "side", way->name, out);
	before = ",\n  {";
	fprintf(out, ", \"connections\": %u", count);
	if (idle->na[0]) {
		json_pair(", ", "na", idle->na, out);
	} else {
		fprintf(out, ", \"rounds\": %u", idle->rounds);
		json_interval("heap_bytes",
			      stats_interval(idle->heap, idle->rounds), out);
		json_interval("kernel_bytes",
			      stats_interval(idle->kernel, idle->rounds), out);
	}
	fputc('}', out);
}

static void table_line(const struct net_way *way, unsigned count,
		       const struct idle *idle, FILE *out)
{
	struct interval heap = stats_interval(idle->heap, idle->rounds);
	char range[64];

	fprintf(out, "%-12s %11u ", way->name, count);
	if (idle->na[0]) {
		fprintf(out, " n/a: %s\n", idle->na);
		return;
	}
	snprintf(range, sizeof range, "[%.0f, %.0f]", heap.low, heap.high);
	fprintf(out, "%9.0f %-14s %8.0f  %s\n", heap.median, range,
		stats_interval(idle->kernel, idle->rounds).median, way->about);
}

static void json_head(FILE *out)
{
	json_pair("{\n ", "workload", "conns", out);
	fputs(",\n", out);
	json_environment(out);
	fputs(" \"rows\": [", out);
}

static void table_head(FILE *out)
{
	fprintf(out, "memory per idle connection, bytes; TCP on loopback, "
		"Linux %s\na message of %d bytes each way before, receives of "
		"at most %d; %u rounds\n\n%-12s %11s %9s %-14s %8s\n",
		env_get("kernel"), MESSAGE, CHUNK, rounds, "side",
		"connections", "server", "95 %", "kernel");
}

static void csv_head_line(FILE *out)
{
	const struct env_fact *facts;
	unsigned i, count;

	facts = env_facts(&count);
	for (i = 0; i < count; i++)
		fprintf(out, "# %s: %s\n", facts[i].name, facts[i].value);
	fprintf(out, "workload,side,connections,na,rounds,heap_bytes,"
		"heap_bytes_low,heap_bytes_high,kernel_bytes,kernel_bytes_low,"
		"kernel_bytes_high\n");
}

/* Each has a file, or NULL. */
static struct output {
	const char *path;	/* "-": standard output */
	FILE *file;
	void (*head)(FILE *out);
	void (*line)(const struct net_way *way, unsigned count,
		     const struct idle *idle, FILE *out);
	const char *end;
} outputs[] = {
	{ NULL, NULL, csv_head_line, csv_line, "" },
	{ NULL, NULL, json_head, json_line, "\n ]\n}\n" },
	{ "-", NULL, table_head, table_line, "" },
};

enum { CSV, JSON, TABLE, OUTPUTS };

static int outputs_open(void)
{
	struct output *out;
	unsigned i;

	for (i = CSV; i <= JSON; i++)
		if (outputs[i].path && strcmp(outputs[i].path, "-") == 0)
			outputs[TABLE].path = NULL;
	for (out = outputs; out < outputs + OUTPUTS; out++) {
		if (!out->path)
			continue;
		out->file = strcmp(out->path, "-") == 0
				    ? stdout : fopen(out->path, "we");
		if (!out->file) {
			perror(out->path);
			return -1;
		}
	}
	for (out = outputs; out < outputs + OUTPUTS; out++)
		if (out->file)
			out->head(out->file);
	return 0;
}

static int outputs_close(void)
{
	struct output *out;
	int failed = 0;

	for (out = outputs; out < outputs + OUTPUTS; out++) {
		if (!out->file)
			continue;
		fputs(out->end, out->file);
		if (fflush(out->file) == 0 && !ferror(out->file))
			continue;
		fprintf(stderr, "peal-perf conns: %s could not be written\n",
			out->path);
		failed = 1;
	}
	return failed;
}

static void print_row(const struct net_way *way, unsigned count,
		      const struct idle *idle)
{
	struct output *out;

	for (out = outputs; out < outputs + OUTPUTS; out++) {
		if (!out->file)
			continue;
		out->line(way, count, idle, out->file);
		fflush(out->file);
	}
}

static int is_wanted(const char *name)
{
	size_t len = strlen(name);
	const char *at = wanted;

	while (at && *at) {
		size_t word = strcspn(at, ",");

		if (word == len && memcmp(at, name, len) == 0)
			return 1;
		at += word + (at[word] == ',');
	}
	return wanted == NULL;
}

static void measure_all(void)
{
	unsigned c, w, r;

	for (c = 0; c < count_count; c++) {
		for (w = 0; w < WAYS && !measure_stop; w++) {
			const struct net_way *way = &net_ways[ways[w]];
			struct idle idle = { .rounds = 0 };

			if (!is_wanted(way->name))
				continue;
			for (r = 0; r < rounds && !idle.na[0] &&
				    !measure_stop; r++)
				measure_once(way, (unsigned)counts[c], &idle);
			if (idle.rounds || idle.na[0])
				print_row(way, (unsigned)counts[c], &idle);
		}
	}
}

/* --- options ------------------------------------------------------------- */

static void usage(FILE *out)
{
	unsigned i;

	fprintf(out, "usage: peal-perf conns [OPTION...]\nMemory per idle "
		"connection.\n\n"
		"  --connections LIST  now 10000,100000\n"
		"  --side LIST         of");
	for (i = 0; i < WAYS; i++)
		fprintf(out, " %s", net_ways[ways[i]].name);
	fprintf(out, "\n  --rounds N          fresh servers each (3)\n"
		"  --csv FILE, --json FILE   \"-\": standard output, instead "
		"of the table\n");
}

static int known_sides(const char *list)
{
	unsigned i;

	if (!*list)
		return 0;
	while (*list) {
		size_t len = strcspn(list, ",");

		for (i = 0; i < WAYS; i++) {
			const char *name = net_ways[ways[i]].name;

			if (strlen(name) == len && !memcmp(name, list, len))
				break;
		}
		if (i == WAYS)
			return 0;
		list += len + (list[len] == ',');
	}
	return 1;
}

static int set_counts(const char *list)
{
	char word[32];

	for (count_count = 0; *list && count_count < MOST_COUNTS;
	     count_count++) {
		size_t len = strcspn(list, ",");

		if (len >= sizeof word)
			return 0;
		memcpy(word, list, len);
		word[len] = '\0';
		if (case_parse_number(word, &counts[count_count]) < 0 ||
		    counts[count_count] < 1 ||
		    counts[count_count] > 1000 * 1000)
			return 0;
		list += len + (list[len] == ',');
	}
	return !*list && count_count > 0;
}

static int set(const char *name, const char *value)
{
	uint64_t number;

	if (strcmp(name, "--connections") == 0)
		return set_counts(value);
	if (strcmp(name, "--side") == 0)
		return known_sides(wanted = value);
	if (strcmp(name, "--csv") == 0)
		return *(outputs[CSV].path = value) != '\0';
	if (strcmp(name, "--json") == 0)
		return *(outputs[JSON].path = value) != '\0';
	if (strcmp(name, "--rounds") != 0)
		return 0;
	if (case_parse_number(value, &number) < 0)
		return 0;
	rounds = (unsigned)number;
	return number >= 1 && number <= MOST_ROUNDS;
}

static int conns_main(int argc, char **argv)
{
	int i;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return 0;
	}
	for (i = 1; i < argc; i += 2) {
		if (i + 1 < argc && set(argv[i], argv[i + 1]))
			continue;
		fprintf(stderr, "peal-perf conns: %s %s is not understood\n",
			argv[i], i + 1 < argc ? argv[i + 1] : "");
		usage(stderr);
		return 2;
	}
	if (outputs[CSV].path && outputs[JSON].path &&
	    strcmp(outputs[CSV].path, outputs[JSON].path) == 0) {
		fprintf(stderr, "peal-perf conns: --csv and --json cannot both "
			"be \"%s\"\n", outputs[CSV].path);
		return 2;
	}
	net_raise_files();
	env_gather(argc, argv);
	measure_catch_signals();
	if (outputs_open() < 0)
		return 1;
	measure_all();
	if (outputs_close() != 0)
		return 1;
	return measure_stop ? 130 : 0;
}

const struct command command_conns = {
	"conns", "memory per idle connection", conns_main,
};
