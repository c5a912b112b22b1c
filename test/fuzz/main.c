/* SPDX-License-Identifier: MIT */
/*
 *	peal-fuzz [--seed N] [--seconds N | --programs N] [--engine NAME]
 *		  [--replay FILE] [--lie N]
 *
 * Runs programs of seed N, N + 1, ... on every engine that opens here, or on
 * NAME. The first that fails is made shorter, printed, and ends the run with
 * status 1; --replay runs such a text. --lie makes the model wrong at the N-th
 * comparison of a program: the test of this test.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "test/fuzz/fuzz.h"

static const char *const all_engines[] = { "uring", "epoll", "sim",
	"sim-faults" };

enum { ENGINES = sizeof all_engines / sizeof *all_engines };

static struct {
	uint64_t seed;
	uint64_t programs;	/* 0: as many as fit into seconds */
	unsigned seconds;
	unsigned lie;
	const char *engine;
	const char *replay;
} options = { .seed = 1, .seconds = 10 };

static const char *engines[ENGINES];
static unsigned engine_count;
static char log_path[256];

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: peal-fuzz [--seed N] [--seconds N | "
		"--programs N] [--engine NAME]\n"
		"                 [--replay FILE] [--lie N]\n");
	exit(2);
}

static uint64_t number_of(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (!*text || *end || *text == '-') {
		fprintf(stderr, "peal-fuzz: \"%s\" is no number\n", text);
		usage();
	}
	return value;
}

static void read_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "seed", 1, NULL, 's' }, { "seconds", 1, NULL, 't' },
		{ "programs", 1, NULL, 'p' }, { "engine", 1, NULL, 'e' },
		{ "replay", 1, NULL, 'r' }, { "lie", 1, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			options.seed = number_of(optarg);
			break;
		case 't':
			options.seconds = (unsigned)number_of(optarg);
			break;
		case 'p':
			options.programs = number_of(optarg);
			break;
		case 'e':
			options.engine = optarg;
			break;
		case 'r':
			options.replay = optarg;
			break;
		case 'l':
			options.lie = (unsigned)number_of(optarg);
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
}

static void find_engine(const char *name)
{
	struct peal_ring_options ring_options = PEAL_RING_OPTIONS;
	struct peal_ring *one;
	int rc;

	ring_options.engine = strcmp(name, "sim-faults") ? name : "sim";
	if (peal_ring_open(&one, &ring_options) < 0) {
		fprintf(stderr, "not on %s: %s\n", name, peal_open_reason());
		return;
	}
	engines[engine_count++] = name;
	rc = peal_ring_close(one, 60 * PEAL_S);
	if (rc == 0)
		return;
	fprintf(stderr, "%s: peal_ring_close: %s\n", name, peal_strerror(rc));
	exit(2);
}

static void find_engines(void)
{
	unsigned i;

	if (options.engine)
		find_engine(options.engine);
	else
		for (i = 0; i < ENGINES; i++)
			find_engine(all_engines[i]);
	if (!engine_count)
		exit(2);
}

static void show_log(void)
{
	FILE *in = fopen(log_path, "r");
	char line[512];

	while (in && fgets(line, sizeof line, in))
		fputs(line, stdout);
	if (in)
		fclose(in);
}

/* 1: it failed. */
static int try_program(struct program *program, const char *engine)
{
	unsigned steps = program->count;

	if (!run_in_child(program, engine, options.lie, log_path))
		return 0;
	printf("FAILED on %s, seed %" PRIu64 ", %u steps:\n", engine,
	       program->seed, steps);
	show_log();
	fflush(stdout);
	if (options.replay)
		return 1;
	program_shrink(program, engine, options.lie);
	printf("in short, %u steps; run them with peal-fuzz --engine %s "
	       "--replay FILE:\n", program->count, engine);
	program_print(program, stdout);
	if (run_in_child(program, engine, options.lie, log_path))
		show_log();
	return 1;
}

static int replay(void)
{
	static struct program program;
	FILE *in = strcmp(options.replay, "-") ? fopen(options.replay, "r")
					       : stdin;
	unsigned i;
	int line, failed = 0;

	if (!in) {
		perror(options.replay);
		return 2;
	}
	line = program_read(&program, in);
	if (line) {
		fprintf(stderr, "%s: line %d is no step\n", options.replay,
			line);
		return 2;
	}
	for (i = 0; i < engine_count; i++)
		failed |= try_program(&program, engines[i]);
	printf("%u steps: %s\n", program.count, failed ? "failed" : "passed");
	return failed;
}

static int is_over(uint64_t done, time_t begin)
{
	return options.programs ? done >= options.programs
				: time(NULL) - begin >= (time_t)options.seconds;
}

static int search(void)
{
	static struct program program;
	time_t begin = time(NULL);
	uint64_t seed, steps = 0, done;
	unsigned i;

	for (done = 0; !is_over(done, begin); done++) {
		seed = options.seed + done;
		for (i = 0; i < engine_count; i++) {
			program_make(&program, seed);
			steps += program.count;
			if (try_program(&program, engines[i]))
				return 1;
		}
	}
	printf("%" PRIu64 " programs, seeds %" PRIu64 " to %" PRIu64 ", %"
	       PRIu64 " steps on", done, options.seed,
	       options.seed + done - !!done, steps);
	for (i = 0; i < engine_count; i++)
		printf(" %s", engines[i]);
	printf(": no failure\n");
	return 0;
}

int main(int argc, char **argv)
{
	int fd, rc;

	read_options(argc, argv);
	find_engines();
	snprintf(log_path, sizeof log_path, "%s/peal-fuzz-log.XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	fd = mkstemp(log_path);
	if (fd < 0) {
		perror(log_path);
		return 2;
	}
	close(fd);
	rc = options.replay ? replay() : search();
	unlink(log_path);
	return rc;
}
