/* SPDX-License-Identifier: MIT */
/* Rows of a file, put together by the work that they do. See report.h. */
#include <stdlib.h>
#include <string.h>
#include "perf/bench.h"
#include "perf/commands.h"
#include "perf/report.h"

int records_is_variant(const struct records *from, unsigned axis)
{
	const struct workload *workload =
		workload_named(records_cell(from, 0, "workload"));
	unsigned i;

	for (i = 0; workload && i < workload->axis_count; i++)
		if (strcmp(workload->axes[i].name, from->names[2 + axis]) == 0)
			return workload->axes[i].variant;
	return 0;
}

static const char *cell(const struct records *from, unsigned row,
			unsigned axis)
{
	return from->cells[row * from->columns + 2 + axis];
}

int records_varies(const struct records *from, unsigned axis)
{
	unsigned i;

	for (i = 1; i < from->count; i++)
		if (strcmp(cell(from, i, axis), cell(from, 0, axis)) != 0)
			return 1;
	return 0;
}

/* "depth=32 block=4k" of the axes that are not variants. */
static void work(const struct records *from, unsigned row, char *to,
		 size_t size)
{
	size_t used = 0;
	unsigned i;

	to[0] = '\0';
	for (i = 0; i < from->axes && used < size; i++)
		if (!records_is_variant(from, i))
			used += (size_t)snprintf(to + used, size - used,
						 "%s%s=%s", used ? " " : "",
						 from->names[2 + i],
						 cell(from, row, i));
}

static struct group *group_of(struct group *groups, unsigned *count,
			      const char *title)
{
	unsigned i;

	for (i = 0; i < *count; i++)
		if (strcmp(groups[i].title, title) == 0)
			return &groups[i];
	snprintf(groups[*count].title, sizeof groups[0].title, "%s", title);
	return &groups[(*count)++];
}

/* The first side that has a number, and of its rows the cheapest. */
static void choose_reference(struct group *group)
{
	const char *side = NULL;
	double least = 0;
	unsigned i;

	group->reference = -1;
	for (i = 0; i < group->count; i++) {
		unsigned row = group->rows[i];
		double cpu = records_number(group->from, row,
					    records_metric(group->from));
		const char *own = records_cell(group->from, row, "side");

		if (cpu < 0 || (side && strcmp(side, own) != 0))
			continue;
		if (!side || cpu < least) {
			least = cpu;
			group->reference = (int)row;
		}
		side = own;
	}
}

unsigned groups_make(const struct records *from, struct group **out_groups)
{
	struct group *groups = calloc(from->count, sizeof *groups);
	unsigned i, count = 0;
	char title[256];

	if (!groups)
		abort();
	for (i = 0; i < from->count; i++) {
		struct group *group;

		work(from, i, title, sizeof title);
		group = group_of(groups, &count, title);
		group->from = from;
		group->rows = realloc(group->rows, (group->count + 1) *
							   sizeof(unsigned));
		if (!group->rows)
			abort();
		group->rows[group->count++] = i;
	}
	for (i = 0; i < count; i++)
		choose_reference(&groups[i]);
	*out_groups = groups;
	return count;
}

void groups_free(struct group *groups, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		free(groups[i].rows);
	free(groups);
}

void group_label(const struct group *group, unsigned row, char *to,
		 size_t size)
{
	const struct records *from = group->from;
	size_t used = (size_t)snprintf(to, size, "%s",
				       records_cell(from, row, "side"));
	unsigned i;

	for (i = 0; i < from->axes && used < size; i++)
		if (records_is_variant(from, i) && records_varies(from, i) &&
		    strcmp(cell(from, row, i), "-") != 0)
			used += (size_t)snprintf(to + used, size - used, " %s",
						 cell(from, row, i));
}
