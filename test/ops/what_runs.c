/* SPDX-License-Identifier: MIT */
/*
 * what_runs ENGINE...: prints how each public op is done by each engine, from
 * the op table and from what a ring of that engine says it can. One line per
 * op, cells separated by |; the first line names the columns. An engine that
 * this library has not got has no column. test/check_ops.sh makes the table in
 * README.md of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/ring.h"
#include "peal.h"

#define MOST_ENGINES	8
#define OLDEST		511	/* Linux 5.11: no note about what was before */

struct column {
	const char *engine;
	struct peal_ring *ring;	/* NULL: the kernel's, which needs no asking */
};

static const struct {
	const char *engine;
	const char *title;
	const char *does;	/* an op that it can, and has no fd to wait for */
	const char *waits;	/* one that has */
} engines[] = {
	{ "uring", "io_uring, since Linux", NULL, NULL },
	{ "epoll", "epoll", "in the turn", "readiness" },
	{ "iocp", "Windows", "in the turn", "completion port" },
	{ "sim", "sim", "simulated", "simulated" },
};

static unsigned engine_at(const char *name)
{
	unsigned i;

	for (i = 0; i < sizeof engines / sizeof *engines; i++)
		if (!strcmp(engines[i].engine, name))
			return i;
	fprintf(stderr, "what_runs: no engine is called %s\n", name);
	exit(2);
}

static int number_of(const char *kernel)
{
	int major = 0, minor = 0;

	sscanf(kernel, "%d.%d", &major, &minor);
	return major * 100 + minor;
}

/* What an engine without the op does about it. */
static const char *without(unsigned opcode)
{
	if (opcode == PEAL__OP_SEND_ZC || opcode == PEAL__OP_SENDMSG_ZC)
		return "as send";
	if (!peal__blocking_has(opcode))
		return "no";
	return peal__op_row(opcode)->call == CALL_TURN ? "in the turn"
						       : "pool";
}

static void print_kernel(const char *kernel, const char *before)
{
	if (!kernel)
		printf("|%s", before);
	else if (number_of(kernel) <= OLDEST || !strcmp(before, "no"))
		printf("|%s", kernel);
	else
		printf("|%s; before: %s", kernel, before);
}

static void print_does(const struct column *column, unsigned opcode)
{
	const struct peal__op_row *row = peal__op_row(opcode);
	unsigned at = engine_at(column->engine);
	int other = peal__blocking_has(opcode) &&
		    !strcmp(column->engine, "epoll");

	printf("|%s", row->waits == WAITS_NOT ? engines[at].does
					      : engines[at].waits);
	if (other && row->waits == WAITS_BOTH)
		printf(", then pool");
	else if (other && row->on == ON_ANY)
		printf("; files: pool");
}

static void print_cell(const struct column *column, unsigned opcode)
{
	const struct peal__op_row *row = peal__op_row(opcode);

	if (opcode >= PEAL__OP_KERNEL_COUNT && !peal__blocking_has(opcode))
		printf("|in the library");
	else if (!column->ring)
		print_kernel(row->kernel, without(opcode));
	else if (peal__can(column->ring, opcode))
		print_does(column, opcode);
	else
		printf("|%s", without(opcode));
}

static void print_op(const struct column *columns, unsigned count,
		     unsigned opcode)
{
	const struct peal__op_row *row = peal__op_row(opcode);
	unsigned i;

	if (!row->functions)
		return;
	printf("%s", row->functions);
	for (i = 0; i < count; i++)
		print_cell(&columns[i], opcode);
	printf("\n");
	if (!row->multishot)
		return;
	printf("%.*s_multishot", (int)strcspn(row->functions, ","),
	       row->functions);
	for (i = 0; i < count; i++)
		if (columns[i].ring)
			print_cell(&columns[i], opcode);
		else
			print_kernel(row->multishot, "one after another");
	printf("\n");
}

/* 0: this library has no such engine. */
static int open_column(struct column *column, const char *engine)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;
	int rc;

	engine_at(engine);
	*column = (struct column){ engine, NULL };
	if (!strcmp(engine, "uring"))
		return 1;
	options.engine = engine;
	options.entries = 8;
	rc = peal_ring_open(&column->ring, &options);
	if (rc < 0 && rc != -ENOENT) {
		fprintf(stderr, "what_runs: %s\n", peal_open_reason());
		exit(1);
	}
	return rc == 0;
}

int main(int argc, char **argv)
{
	struct column columns[MOST_ENGINES];
	unsigned count = 0, i;
	int arg;

	for (arg = 1; arg < argc && count < MOST_ENGINES; arg++)
		count += (unsigned)open_column(&columns[count], argv[arg]);
	printf("Operation");
	for (i = 0; i < count; i++)
		printf("|%s", engines[engine_at(columns[i].engine)].title);
	printf("\n");
	for (i = 0; i < PEAL__OP_COUNT; i++)
		print_op(columns, count, i);
	for (i = 0; i < count; i++)
		if (columns[i].ring)
			peal_ring_close(columns[i].ring, PEAL_S);
	return ferror(stdout) != 0;
}
