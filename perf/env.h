/* SPDX-License-Identifier: MIT */
/* Where numbers come from: machine, kernel, limits, disk, program. */
#ifndef PEAL_PERF_ENV_H
#define PEAL_PERF_ENV_H

#define ENV_FACTS	64

struct env_fact {
	const char *name;	/* "kernel" */
	char value[256];
};

/* Gathers them, but for the disk. */
void env_gather(int argc, char **argv);
void env_disk(const char *directory);	/* its mount and device */
const struct env_fact *env_facts(unsigned *out_count);
const char *env_get(const char *name);	/* "" if there is none */

/* One line of a small file, without its end; "" if there is none. */
const char *env_line(const char *path);

#endif
