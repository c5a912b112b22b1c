/* SPDX-License-Identifier: MIT */
/* The commands; main.c has the table. Each has its own file. */
#ifndef PEAL_PERF_COMMANDS_H
#define PEAL_PERF_COMMANDS_H

struct command {
	const char *name;
	const char *line;	/* for the usage, 60 columns */
	int (*main)(int argc, char **argv); /* argv[0] is the name */
};

extern const struct command command_compare, command_conns, command_doctor,
	command_file, command_models, command_net, command_nop,
	command_report, command_sweep, command_timers, command_wake;

/* Those of them that measure rows, for sweep and compare: by name, or NULL. */
struct workload;
const struct workload *workload_named(const char *name);
const char *workload_names(void);	/* "nop, file, ..." */

#endif
