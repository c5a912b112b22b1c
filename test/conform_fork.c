/* SPDX-License-Identifier: MIT */
/* Processes: a child must not touch its parent's ring, and need not know it. */
#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

#include "test/harness.h"

static int pipe_fds[2];
static char buf[16];

static void is_stopped(void (*body)(void *arg), void *arg)
{
	char text[1024];
	int status = in_child(body, arg, text, sizeof(text));

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
		      "status %x: %s", (unsigned)status, text);
	ck_assert_msg(strstr(text, "fork") != NULL, "no word of a fork: %s",
		      text);
}

static void start_an_op(void *arg)
{
	(void)arg;
	peal_nop(ring, 0, NULL, NULL);
}

static void run_it(void *arg)
{
	(void)arg;
	peal_ring_run(ring);
}

static void post_to_it(void *arg)
{
	(void)arg;
	peal_post(ring, NULL, NULL);
}

static void close_it(void *arg)
{
	(void)arg;
	peal_ring_close(ring, 0);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void open_an_own_ring(void *arg)
{
	struct peal_ring *own;

	(void)arg;
	if (peal_ring_open(&own, NULL) != 0 ||
	    peal_nop(own, 0, NULL, NULL) <= 0 || peal_ring_run(own) != 0 ||
	    peal_ring_close(own, CLOSE_NS) != 0)
		_exit(1);
}

TEST(forked_child_that_starts_an_op_is_stopped)
{
	is_stopped(start_an_op, NULL);
}

TEST(forked_child_that_runs_the_ring_is_stopped)
{
	is_stopped(run_it, NULL);
}

TEST(forked_child_that_posts_is_stopped)
{
	is_stopped(post_to_it, NULL);
}

TEST(forked_child_that_closes_the_ring_is_stopped)
{
	is_stopped(close_it, NULL);
}

TEST(forked_child_may_ignore_the_ring)
{
	char text[1024];
	int status = in_child(nothing, NULL, text, sizeof(text));

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s",
		      text);
}

TEST(forked_child_may_open_its_own_ring)
{
	char text[1024];
	int status = in_child(open_an_own_ring, NULL, text, sizeof(text));

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s",
		      text);
}

TEST(parents_ops_do_not_notice_a_fork)
{
	char text[1024];
	unsigned at;
	peal_op op;

	make_pipe(pipe_fds);
	for (at = 0; at < 10; at++) {
		op = peal_read(ring, pipe_fds[0], buf, 4, PEAL_CURRENT, 0,
			       on_done, NULL);
		if (at & 1)
			ck_ok(peal_ring_turn(ring, 0));
		in_child(at & 2 ? nothing : start_an_op, NULL, text,
			 sizeof(text));
		ck_assert_int_eq(write(pipe_fds[1], "data", 4), 4);
		ck_result(finish(op), 4);
	}
}

TEST(parent_can_close_its_ring_after_a_fork)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own = open_ring(&options);
	char text[1024];

	make_pipe(pipe_fds);
	ck_assert_int_gt(peal_read(own, pipe_fds[0], buf, 4, PEAL_CURRENT, 0,
				   on_done, NULL), 0);
	ck_ok(peal_ring_turn(own, 0));
	in_child(nothing, NULL, text, sizeof(text));
	close_ring(own);
}

/* --- exec ---------------------------------------------------------------- */

/* Role: tells how many descriptors are open. */
static int count_fds(int argc, char **argv)
{
	DIR *list = opendir("/proc/self/fd");
	int count = -3;		/* ".", "..", the directory's own */

	(void)argc;
	(void)argv;
	while (list && readdir(list))
		count++;
	return count;
}

static void exec_role(void *arg)
{
	(void)arg;
	execl(harness_program, harness_program, "--role", (char *)NULL);
	_exit(255);
}

static int fds_of_an_executed_program(void)
{
	char text[1024];
	int status = in_child(exec_role, NULL, text, sizeof(text));

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) != 255, "%s",
		      text);
	return WEXITSTATUS(status);
}

BARE_TEST(executed_program_inherits_no_fd_of_a_ring)
{
	if (on_sim())
		SKIP("a simulated ring has no descriptor of the system");
	int before = fds_of_an_executed_program();

	ring = open_ring(NULL);
	ck_ok(peal_ring_fd(ring));
	ck_assert_int_gt(peal_nop(ring, 0, NULL, NULL), 0);
	ck_result(peal_ring_run(ring), 0);
	ck_assert_int_eq(fds_of_an_executed_program(), before);
	close_ring(ring);
}

__attribute__((constructor)) static void set_role(void)
{
	harness_role = count_fds;
}

SUITE("fork")
