/* SPDX-License-Identifier: MIT */
/* peal-perf: measures peal beside what else there is. The commands. */
#include <stdio.h>
#include <string.h>
#include "perf/commands.h"

static const struct command *const commands[] = {
	&command_doctor,
	&command_nop,
	&command_file,
	&command_net,
	&command_models,
	&command_conns,
	&command_timers,
	&command_wake,
	&command_sweep,
	&command_compare,
	&command_report,
};

#define COMMANDS (sizeof commands / sizeof *commands)

static void usage(FILE *out)
{
	size_t i;

	fprintf(out, "usage: peal-perf COMMAND [OPTION...]\n\n");
	for (i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i]->name,
			commands[i]->line);
	fprintf(out, "\npeal-perf COMMAND --help lists what it takes; "
		"perf/README says how to read\na result.\n");
}

/* A table that was not printed is no success. */
static int said(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "peal-perf: standard output could not be written\n");
	return status ? status : 1;
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc < 2) {
		usage(stderr);
		return 2;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return 0;
	}
	for (i = 0; i < COMMANDS; i++)
		if (strcmp(argv[1], commands[i]->name) == 0)
			return said(commands[i]->main(argc - 1, argv + 1));
	fprintf(stderr, "peal-perf: there is no command \"%s\"\n", argv[1]);
	usage(stderr);
	return 2;
}
