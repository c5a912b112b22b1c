/* SPDX-License-Identifier: MIT */
/* Lines, cells, quotes. See records.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "perf/records.h"
#include "perf/side.h"

static char *read_all(const char *path, size_t *out_size)
{
	FILE *in = fopen(path, "re");
	size_t size = 0, room = 1u << 16, got;
	char *text = malloc(room + 1);

	if (!in || !text) {
		free(text);
		if (in)
			fclose(in);
		return NULL;
	}
	while ((got = fread(text + size, 1, room - size, in)) > 0) {
		size += got;
		if (size < room)
			continue;
		room *= 2;
		text = realloc(text, room + 1);
		if (!text)
			abort();
	}
	fclose(in);
	text[size] = '\0';
	*out_size = size;
	return text;
}

/* Cuts one cell off, in place: quotes go, two quotes are one. */
static char *next_cell(char **at)
{
	char *cell = *at, *from = cell, *to = cell;
	int quoted = 0;

	while (*from && (quoted || *from != ',')) {
		if (*from == '"' && quoted && from[1] == '"')
			*to++ = *from++;
		else if (*from == '"')
			quoted = !quoted;
		else
			*to++ = *from;
		from++;
	}
	*at = *from ? from + 1 : NULL;
	*to = '\0';
	return cell;
}

static const char *read_head(struct records *records, char *line)
{
	unsigned i;

	records->head = strdup(line);
	while (line && records->columns < RECORD_COLUMNS)
		records->names[records->columns++] = next_cell(&line);
	for (i = 2; i < records->columns; i++)
		if (strcmp(records->names[i], "na") == 0)
			records->axes = i - 2;
	if (line || !records->axes || strcmp(records->names[0], "workload"))
		return "this is not a file of peal-perf --csv";
	return NULL;
}

/* A sweep that measured a group again, since it was asked for more of it, has
 * its rows twice: the last are of one run. */
static void drop_older(struct records *records)
{
	unsigned last = records->count - 1, i, n;
	size_t columns = records->columns;
	char **rows = records->cells;

	for (i = 0; i < last; i++) {
		for (n = 0; n < 2 + records->axes; n++)
			if (strcmp(rows[i * columns + n],
				   rows[last * columns + n]) != 0)
				break;
		if (n < 2 + records->axes)
			continue;
		memmove(rows + i * columns, rows + (i + 1) * columns,
			(last - i) * columns * sizeof *rows);
		records->count--;
		return;
	}
}

static const char *read_row(struct records *records, char *line)
{
	size_t cells = (size_t)records->columns * (records->count + 1);
	char **row;
	unsigned i;

	records->cells = realloc(records->cells, cells * sizeof(char *));
	if (!records->cells)
		abort();
	row = records->cells + (size_t)records->columns * records->count;
	for (i = 0; i < records->columns && line; i++)
		row[i] = next_cell(&line);
	if (i < records->columns || line)
		return "a line has not as many cells as the first";
	records->count++;
	drop_older(records);
	return NULL;
}

static void add_environment(struct records *records, const char *line)
{
	size_t had = strlen(records->environment), len = strlen(line);
	char *text = realloc(records->environment, had + len + 2);

	if (!text)
		abort();
	snprintf(text + had, len + 2, "%s\n", line);
	records->environment = text;
}

const char *records_load(struct records *records, const char *path)
{
	const char *wrong = NULL;
	char *line, *next;
	size_t size;

	memset(records, 0, sizeof *records);
	records->text = read_all(path, &size);
	if (!records->text)
		return why_errno(path, -errno);
	records->environment = strdup("");
	/* A disk that lost its power leaves such. */
	if (strlen(records->text) < size)
		return why("%s is damaged from byte %zu on: truncate -s %zu, "
			   "and what is before it can be read", path,
			   strlen(records->text), strlen(records->text));
	for (line = records->text; line && *line && !wrong; line = next) {
		next = strchr(line, '\n');
		if (!next)
			break;	/* half a line: a run that was killed */
		*next++ = '\0';
		if (line[0] == '#')
			add_environment(records, line + strspn(line, "# "));
		else if (!records->columns)
			wrong = read_head(records, line);
		else
			wrong = read_row(records, line);
	}
	if (!wrong && !records->columns)
		wrong = "there is nothing in it";
	return wrong ? why("%s: %s", path, wrong) : NULL;
}

void records_free(struct records *records)
{
	free(records->text);
	free(records->environment);
	free(records->head);
	free(records->cells);
	memset(records, 0, sizeof *records);
}

/* The number of a column; records->columns: there is none. */
static unsigned column_of(const struct records *records, const char *column)
{
	unsigned i;

	for (i = 0; i < records->columns; i++)
		if (strcmp(records->names[i], column) == 0)
			break;
	return i;
}

int records_has(const struct records *records, const char *column)
{
	return column_of(records, column) < records->columns;
}

const char *records_metric(const struct records *records)
{
	return records_has(records, "cpu_ns") ? "cpu_ns" : "heap_bytes";
}

const char *records_cell(const struct records *records, unsigned row,
			 const char *column)
{
	unsigned i = column_of(records, column);

	return i < records->columns
		       ? records->cells[row * records->columns + i]
		       : "";
}

double records_number(const struct records *records, unsigned row,
		      const char *column)
{
	const char *cell = records_cell(records, row, column);

	return *cell ? strtod(cell, NULL) : UNKNOWN;
}

unsigned records_samples(const struct records *records, unsigned row,
			 const char *column, double *out, unsigned most)
{
	const char *at = records_cell(records, row, column);
	unsigned count = 0;
	char *end;

	while (count < most) {
		out[count] = strtod(at, &end);
		if (end == at)
			break;
		count++;
		at = end;
	}
	return count;
}

void records_key(const struct records *records, unsigned row, char *to,
		 size_t size)
{
	char **cells = records->cells + row * records->columns;
	size_t used = (size_t)snprintf(to, size, "%s", cells[1]);
	unsigned i;

	for (i = 2; i < 2 + records->axes && used < size; i++)
		used += (size_t)snprintf(to + used, size - used, " %s=%s",
					 records->names[i], cells[i]);
}

int records_find(const struct records *records, const char *key)
{
	char own[512];
	unsigned i;

	for (i = 0; i < records->count; i++) {
		records_key(records, i, own, sizeof own);
		if (strcmp(own, key) == 0)
			return (int)i;
	}
	return -1;
}
