/* SPDX-License-Identifier: MIT */
/* A program that fails, made shorter: leave out half of the steps, a quarter,
 * ... one, as long as what is left fails as well. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "test/fuzz/fuzz.h"
#include "test/fuzz/place.h"

enum { LIMIT_S = 60, TRIES = 3 };

static int open_fds(void)
{
	int fd, count = 0;

	for (fd = 3; fd < 256; fd++)
		count += dup2(fd, fd) == fd;
	return count;
}

static volatile sig_atomic_t stopped_by;

static void on_stop(int number)
{
	stopped_by = number;
}

/* SIGINT and SIGTERM interrupt the wait for the child. */
static void when_stopped(void (*handler)(int number))
{
	struct sigaction action = { .sa_handler = handler };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static _Noreturn void child(const struct program *program, const char *engine,
			    const char *directory, unsigned lie,
			    const char *log)
{
	int before, rc;

	when_stopped(SIG_DFL);
	if (!freopen(log, "w", stderr))
		_exit(2);
	alarm(LIMIT_S);
	before = open_fds();
	rc = program_run(program, engine, directory, lie);
	if (rc == 0 && open_fds() != before) {
		fprintf(stderr, "%d descriptors before, %d after\n", before,
			open_fds());
		rc = 1;
	}
	fflush(NULL);
	_exit(rc != 0);
}

/* A child may end anywhere, so its place is the parent's to remove. */
static int await_child(pid_t pid, const char *directory)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR) {
			perror("waitpid");
			exit(2);
		}
		kill(pid, SIGKILL);
	}
	place_remove(directory);
	if (stopped_by) {
		when_stopped(SIG_DFL);
		raise(stopped_by);
	}
	return status;
}

int run_in_child(const struct program *program, const char *engine,
		 unsigned lie, const char *log)
{
	const char *directory;
	int status;
	pid_t pid;

	fflush(NULL);
	when_stopped(on_stop);
	directory = place_new();
	pid = fork();
	if (pid == 0)
		child(program, engine, directory, lie, log);
	if (pid < 0) {
		perror("peal-fuzz");
		place_remove(directory);
		exit(2);
	}
	status = await_child(pid, directory);
	if (WIFSIGNALED(status)) {
		FILE *out = fopen(log, "a");

		if (out) {
			fprintf(out, "killed by signal %d (%s)\n",
				WTERMSIG(status),
				WTERMSIG(status) == SIGALRM
				? "it did not end in a minute"
				: strsignal(WTERMSIG(status)));
			fclose(out);
		}
		return 1;
	}
	return status != 0;
}

/* What depends on the moment may need a few attempts. */
static int still_fails(const struct program *program, const char *engine,
		       unsigned lie)
{
	int i;

	for (i = 0; i < TRIES; i++)
		if (run_in_child(program, engine, lie, "/dev/null"))
			return 1;
	return 0;
}

static void leave_out(struct program *program, unsigned at, unsigned count)
{
	memmove(&program->steps[at], &program->steps[at + count],
		(program->count - at - count) * sizeof *program->steps);
	program->count -= count;
}

void program_shrink(struct program *program, const char *engine, unsigned lie)
{
	unsigned part = program->count / 2, at;

	while (part) {
		int better = 0;

		for (at = 0; at + part <= program->count;) {
			struct program shorter = *program;

			leave_out(&shorter, at, part);
			if (still_fails(&shorter, engine, lie)) {
				*program = shorter;
				better = 1;
			} else {
				at += part;
			}
		}
		if (part > program->count)
			part = program->count;
		else if (part > 1)
			part /= 2;
		else if (!better)
			break;
	}
}
