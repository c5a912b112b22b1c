/* SPDX-License-Identifier: MIT */
/* Lists of values, and walking their product. See case.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "perf/case.h"

static unsigned find(const struct axis *axes, unsigned count, const char *name)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (strcmp(axes[i].name, name) == 0)
			return i;
	return count;
}

const char *case_text(const struct perf_case *at, const char *axis)
{
	unsigned i = find(at->axes, at->count, axis);

	if (i == at->count) {
		fprintf(stderr, "peal-perf: no axis \"%s\" here\n", axis);
		abort();
	}
	return at->value[i];
}

uint64_t case_number(const struct perf_case *at, const char *axis)
{
	uint64_t value = 0;

	case_parse_number(case_text(at, axis), &value);
	return value;
}

int case_is(const struct perf_case *at, const char *axis, const char *value)
{
	return strcmp(case_text(at, axis), value) == 0;
}

int list_has(const char *list, const char *word)
{
	size_t len, size = strlen(word);

	for (; list && *list; list += len + (list[len] == ',')) {
		len = strcspn(list, ",");
		if (len == size && memcmp(list, word, len) == 0)
			return 1;
	}
	return 0;
}

int case_same_work(const struct perf_case *a, const struct perf_case *b,
		   int variants_too, const char *across)
{
	unsigned i;

	if (a->axes != b->axes || a->count != b->count)
		return 0;
	for (i = 0; i < a->count; i++)
		if ((variants_too || !a->axes[i].variant) &&
		    !list_has(across, a->axes[i].name) &&
		    strcmp(a->value[i], b->value[i]) != 0)
			return 0;
	return 1;
}

void case_print(const struct perf_case *at, char *to, size_t size)
{
	size_t used = 0;
	unsigned i;

	to[0] = '\0';
	for (i = 0; i < at->count && used < size; i++)
		used += (size_t)snprintf(to + used, size - used, "%s%s=%s",
					 i ? " " : "", at->axes[i].name,
					 at->value[i]);
}

int case_parse_number(const char *text, uint64_t *out)
{
	static const char units[] = "kMG";
	const char *unit;
	char *end;
	unsigned long long value;
	unsigned shift = 0;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	value = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		shift = 10 * (unsigned)(unit - units + 1);
		end++;
	}
	if (*end || errno || value > UINT64_MAX >> shift)
		return -1;
	*out = value << shift;
	return 0;
}

/* Is word, len bytes, one of the words of list? */
static int listed(const char *list, const char *word, size_t len)
{
	while (*list) {
		size_t other = strcspn(list, ",");

		if (other == len && memcmp(list, word, len) == 0)
			return 1;
		list += other + (list[other] == ',');
	}
	return 0;
}

static const char *refuse(const struct axis *axis, const char *value)
{
	static char text[256];

	if (axis->known)
		snprintf(text, sizeof text, "--%s does not know \"%s\"; it "
			 "takes a list of %s", axis->name, value, axis->known);
	else
		snprintf(text, sizeof text, "--%s takes a list of numbers "
			 "(4096, 4k, 1M), not \"%s\"", axis->name, value);
	return text;
}

static const char *add(struct matrix *matrix, unsigned index, const char *word,
		       size_t len)
{
	const struct axis *axis = &matrix->axes[index];
	char (*values)[CASE_VALUE] = matrix->values[index];
	unsigned *size = &matrix->sizes[index], i;
	char value[CASE_VALUE];
	uint64_t number;

	snprintf(value, sizeof value, "%.*s", (int)len, word);
	if (len >= sizeof value || len == 0 ||
	    (axis->known ? !listed(axis->known, word, len)
			 : case_parse_number(value, &number) < 0))
		return refuse(axis, value);
	for (i = 0; i < *size; i++)
		if (strcmp(values[i], value) == 0)
			return NULL;
	if (*size == CASE_VALUES)
		return refuse(axis, "more than 32 values");
	strcpy(values[(*size)++], value);
	return NULL;
}

const char *matrix_set(struct matrix *matrix, const char *axis,
		       const char *list)
{
	unsigned index = find(matrix->axes, matrix->count, axis);
	const char *wrong = NULL;

	if (strcmp(list, "all") == 0 && matrix->axes[index].known)
		list = matrix->axes[index].known;
	matrix->sizes[index] = 0;
	do {
		size_t len = strcspn(list, ",");

		wrong = add(matrix, index, list, len);
		list += len;
	} while (!wrong && *list++);
	return wrong;
}

int matrix_has(const struct matrix *matrix, const char *axis)
{
	return find(matrix->axes, matrix->count, axis) < matrix->count;
}

void matrix_default(struct matrix *matrix, const struct axis *axes,
		    unsigned count, int sweep)
{
	unsigned i;

	matrix->axes = axes;
	matrix->count = count;
	for (i = 0; i < count; i++) {
		const char *list = sweep && axes[i].all ? axes[i].all
							: axes[i].values;
		const char *wrong = matrix_set(matrix, axes[i].name, list);

		if (wrong) {
			fprintf(stderr, "peal-perf: %s\n", wrong);
			abort();
		}
	}
}

unsigned matrix_size(const struct matrix *matrix)
{
	unsigned i, size = 1;

	for (i = 0; i < matrix->count; i++)
		size *= matrix->sizes[i];
	return size;
}

unsigned matrix_variants(const struct matrix *matrix)
{
	unsigned i, size = 1;

	for (i = 0; i < matrix->count; i++)
		if (matrix->axes[i].variant)
			size *= matrix->sizes[i];
	return size;
}

void matrix_one_variant(struct matrix *matrix)
{
	unsigned i;

	for (i = 0; i < matrix->count; i++)
		if (matrix->axes[i].variant)
			matrix->sizes[i] = 1;
}

void matrix_case(const struct matrix *matrix, unsigned index,
		 struct perf_case *out)
{
	int variant;
	unsigned i;

	out->axes = matrix->axes;
	out->count = matrix->count;
	for (variant = 1; variant >= 0; variant--) {
		for (i = matrix->count; i-- > 0;) {
			unsigned size = matrix->sizes[i];

			if (matrix->axes[i].variant != variant)
				continue;
			strcpy(out->value[i], matrix->values[i][index % size]);
			index /= size;
		}
	}
}
