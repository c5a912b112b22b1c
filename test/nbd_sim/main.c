/* SPDX-License-Identifier: MIT */
/*
 *	peal-nbd-sim [--seed N] [--seeds N | --seconds N] [--verbose]
 *		     [--sector N]
 *
 * Runs the NBD server in the simulated world, seeds N, N + 1, ...; each in a
 * process of its own, since a crash leaves the server's memory behind. The
 * first seed that breaks a promise ends the run with status 1; --seed N --seeds
 * 1 --verbose tells its story, --sector N with it that of one sector.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "test/nbd_sim/nbd_sim.h"

enum { LIMIT_S = 120, BATCH = 16 };

static uint64_t first_seed = 1, seeds;
static unsigned seconds;

struct progress {
	uint64_t seed, done, answers, crashes, sim_ns, hash;
};

static struct progress *progress;	/* shared with the children */

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: peal-nbd-sim [--seed N] [--seeds N | "
		"--seconds N] [--verbose]\n"
		"                    [--sector N]\n");
	exit(2);
}

static uint64_t number_of(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (!*text || *end || *text == '-') {
		fprintf(stderr, "peal-nbd-sim: \"%s\" is no number\n", text);
		usage();
	}
	return value;
}

static void read_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "seed", 1, NULL, 's' }, { "seeds", 1, NULL, 'n' },
		{ "seconds", 1, NULL, 't' }, { "verbose", 0, NULL, 'v' },
		{ "sector", 1, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			first_seed = number_of(optarg);
			break;
		case 'n':
			seeds = number_of(optarg);
			break;
		case 't':
			seconds = (unsigned)number_of(optarg);
			break;
		case 'o':
			watched = (int)number_of(optarg);
			break;
		case 'v':
			verbose = 1;
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
	if (!seeds && !seconds)
		seeds = 100;
}

static _Noreturn void child(uint64_t seed, unsigned count)
{
	struct outcome outcome;

	for (; count; count--, seed++) {
		progress->seed = seed;
		alarm(LIMIT_S);
		world_run(seed, &outcome);
		progress->done++;
		progress->answers += outcome.answers;
		progress->crashes += outcome.crashes;
		progress->sim_ns += outcome.sim_ns;
		progress->hash ^= outcome.hash * (2 * seed + 1);
	}
	_exit(0);
}

static int run_batch(uint64_t seed, unsigned count)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child(seed, count);
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		perror("peal-nbd-sim");
		exit(2);
	}
	if (WIFSIGNALED(status))
		fprintf(stderr, "seed %" PRIu64 ": killed by signal %d (%s)\n",
			progress->seed, WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	return status != 0;
}

int main(int argc, char **argv)
{
	time_t begin = time(NULL);
	uint64_t seed;

	read_options(argc, argv);
	progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	for (seed = first_seed; ; seed += BATCH) {
		uint64_t left = first_seed + seeds - seed;

		if (seeds ? seed >= first_seed + seeds
			  : time(NULL) - begin >= (time_t)seconds)
			break;
		if (run_batch(seed, seeds && left < BATCH ? (unsigned)left
							  : BATCH)) {
			printf("FAILED: seed %" PRIu64 ", after %" PRIu64
			       " that held; peal-nbd-sim --seed %" PRIu64
			       " --seeds 1 --verbose\n", progress->seed,
			       progress->done, progress->seed);
			return 1;
		}
	}
	printf("%" PRIu64 " seeds held: %" PRIu64 " answers, %" PRIu64
	       " crashes, %.0f simulated hours; trace %016" PRIx64 "\n",
	       progress->done, progress->answers, progress->crashes,
	       (double)progress->sim_ns / 3.6e12, progress->hash);
	return 0;
}
