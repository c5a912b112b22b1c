/* SPDX-License-Identifier: MIT */
/*
 * System calls that fail while a ring runs. strace makes io_uring_enter() and
 * its companions return errors around this program in its role "traffic",
 * which does a little of everything and checks each result.
 */
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "test/harness.h"

/* --- the role: traffic --------------------------------------------------- */

static unsigned nops_done, reads_done, sleeps_done, cancelled_done, posts_done;
static int traffic_fds[2];
static char traffic_bytes[64];

static void check(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "traffic: %s\n", what);
	exit(1);
}

static void on_nop(struct peal_ring *where, const struct peal_completion *done)
{
	(void)where;
	check(done->result == 0, peal_strerror(done->result));
	nops_done++;
}

static void on_sleep(struct peal_ring *where,
		     const struct peal_completion *done)
{
	(void)where;
	check(done->result == 0, peal_strerror(done->result));
	sleeps_done++;
}

static void on_read(struct peal_ring *where,
		    const struct peal_completion *done)
{
	(void)where;
	check(done->result == 1, peal_strerror(done->result));
	reads_done++;
}

static void on_cancelled(struct peal_ring *where,
			 const struct peal_completion *done)
{
	(void)where;
	check(done->result == -ECANCELED, "not cancelled");
	cancelled_done++;
}

static void count_post(struct peal_ring *where, void *ctx)
{
	(void)where;
	(void)ctx;
	posts_done++;
}

/* -EAGAIN: the kernel took nothing just now, so let something finish. */
#define START(call)							\
	do {								\
		while ((started = (call)) == -EAGAIN)			\
			check(peal_ring_turn(where, 0) >= 0, "turn");	\
		check(started > 0, #call);				\
	} while (0)

static void one_round(struct peal_ring *where)
{
	char byte;
	peal_op op, started;
	unsigned at;

	for (at = 0; at < 20; at++)
		START(peal_nop(where, 0, on_nop, NULL));
	for (at = 0; at < 8; at++)
		START(peal_read(where, traffic_fds[0], &traffic_bytes[at], 1,
				PEAL_CURRENT, 0, on_read, NULL));
	check(write(traffic_fds[1], "12345678", 8) == 8, "write");
	START(peal_sleep(where, PEAL_MS / 2, 0, on_sleep, NULL));
	check(peal_post(where, count_post, NULL) == 0, "post");
	check(peal_ring_run(where) == 0, "run");
	START(peal_read(where, traffic_fds[0], &byte, 1, PEAL_CURRENT, 0,
			on_cancelled, NULL));
	op = started;
	check(peal_ring_turn(where, 0) >= 0, "turn");
	check(peal_cancel(where, op, 0, NULL, NULL) == 0, "cancel");
	check(peal_ring_run(where) == 0, "second run");
}

static int traffic(int argc, char **argv)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;
	struct peal_ring *own;
	unsigned round;

	(void)argc;
	(void)argv;
	options.entries = 8;
	check(pipe2(traffic_fds, O_CLOEXEC) == 0, "pipe2");
	check(peal_ring_open(&own, &options) == 0, peal_open_reason());
	for (round = 0; round < 20; round++)
		one_round(own);
	check(peal_ring_close(own, CLOSE_NS) == 0, "close");
	check(nops_done == 400 && reads_done == 160 && sleeps_done == 20 &&
		      cancelled_done == 20 && posts_done == 20, "counts");
	return 0;
}

__attribute__((constructor)) static void set_role(void)
{
	harness_role = traffic;
}

/* --- injection ----------------------------------------------------------- */

static void exec_under_strace(void *arg)
{
	char trace[64], inject[128], asan[256];
	const char *rule = arg;
	const char *options = getenv("ASAN_OPTIONS");

	/* A leak checker is a tracer, too; there is room for one. */
	snprintf(asan, sizeof(asan), "%s%sdetect_leaks=0",
		 options ? options : "", options ? ":" : "");
	setenv("ASAN_OPTIONS", asan, 1);
	snprintf(trace, sizeof(trace), "trace=%.*s", (int)strcspn(rule, ":"),
		 rule);
	snprintf(inject, sizeof(inject), "inject=%s", rule);
	execlp("strace", "strace", "-f", "-qq", "-o", "/dev/null", "-e", trace,
	       "-e", inject, harness_program, "--role", (char *)NULL);
	_exit(127);
}

static void exec_strace_itself(void *arg)
{
	(void)arg;
	execlp("strace", "strace", "-qq", "-o", "/dev/null", "true",
	       (char *)NULL);
	_exit(127);
}

static int strace_works(void)
{
	char text[512];
	int status = in_child(exec_strace_itself, NULL, text, sizeof(text));

	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void traffic_survives(const char *rule)
{
	char text[2048];
	int status = in_child(exec_under_strace, (void *)(uintptr_t)rule, text,
			      sizeof(text));

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		      "%s: status %x: %s", rule, (unsigned)status, text);
}

#define NEEDS_STRACE()							\
	do {								\
		if (!strace_works())					\
			SKIP("strace cannot trace here");		\
	} while (0)

BARE_TEST(traffic_runs_without_faults)
{
	NEEDS_STRACE();
	traffic_survives("io_uring_enter:error=EINTR:when=60000");
}

BARE_TEST(enter_interrupted_every_second_time_loses_nothing)
{
	NEEDS_STRACE();
	traffic_survives("io_uring_enter:error=EINTR:when=2+2");
}

BARE_TEST(enter_interrupted_two_times_of_three_loses_nothing)
{
	NEEDS_STRACE();
	traffic_survives("io_uring_enter:error=EINTR:when=3+2");
}

BARE_TEST(enter_without_memory_every_third_time_loses_nothing)
{
	NEEDS_STRACE();
	traffic_survives("io_uring_enter:error=EAGAIN:when=3+3");
}

BARE_TEST(enter_without_memory_every_second_time_loses_nothing)
{
	NEEDS_STRACE();
	traffic_survives("io_uring_enter:error=EAGAIN:when=2+2");
}

BARE_TEST(enter_with_a_full_completion_queue_every_third_time_loses_nothing)
{
	NEEDS_STRACE();
	traffic_survives("io_uring_enter:error=EBUSY:when=3+3");
}

BARE_TEST(enter_with_a_full_completion_queue_every_second_time_loses_nothing)
{
	NEEDS_STRACE();
	traffic_survives("io_uring_enter:error=EBUSY:when=2+2");
}

BARE_TEST(enter_whose_time_passed_every_second_time_loses_nothing)
{
	NEEDS_STRACE();
	traffic_survives("io_uring_enter:error=ETIME:when=2+2");
}

BARE_TEST(one_fault_at_each_of_the_first_enters_loses_nothing)
{
	static const char *const errors[] = { "EINTR", "EAGAIN", "EBUSY" };
	char rule[64];
	unsigned error, when;

	NEEDS_STRACE();
	for (error = 0; error < 3; error++)
		for (when = 2; when <= 14; when += 2) {
			snprintf(rule, sizeof(rule),
				 "io_uring_enter:error=%s:when=%u",
				 errors[error], when);
			traffic_survives(rule);
		}
}

BARE_TEST(register_that_fails_later_is_done_without)
{
	NEEDS_STRACE();
	traffic_survives("io_uring_register:error=ENOMEM:when=1");
	traffic_survives("io_uring_register:error=EINVAL:when=1");
}

BARE_TEST(setup_that_knows_no_new_flag_is_tried_with_fewer)
{
	NEEDS_STRACE();
	traffic_survives("io_uring_setup:error=EINVAL:when=1");
	traffic_survives("io_uring_setup:error=EINVAL:when=1..3");
}

/* --- signals ------------------------------------------------------------- */

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
	(void)number;
	signals++;
}

TEST(thousand_signals_a_second_lose_nothing)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerval storm = { { 0, 1000 }, { 0, 1000 } };
	struct itimerval quiet = { { 0, 0 }, { 0, 0 } };
	size_t len = 1 << 20;
	char *out = aligned_buffer(len), *in = aligned_buffer(len);
	int fd = make_file("f", "", 0), fds[2];
	unsigned round;

	make_socketpair(SOCK_STREAM, fds);
	fill_pattern(out, len, 4);
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &storm, NULL), 0);
	for (round = 0; signals < 300 || round < 20; round++) {
		peal_op sending, receiving;

		ck_result(finish(peal_write_full(ring, fd, out, len, 0, 0,
						 on_done, NULL)),
			  (int64_t)len);
		memset(in, 0, len);
		ck_result(finish(peal_read_full(ring, fd, in, len, 0, 0,
						on_done, NULL)),
			  (int64_t)len);
		ck_assert(memcmp(in, out, len) == 0);
		memset(in, 0, len);
		receiving = peal_read_full(ring, fds[1], in, len, PEAL_CURRENT,
					   0, on_done, NULL);
		sending = peal_send_full(ring, fds[0], out, len, 0, 0, on_done,
					 NULL);
		ck_result(finish(sending), (int64_t)len);
		ck_result(finish(receiving), (int64_t)len);
		ck_assert(memcmp(in, out, len) == 0);
		ck_result(finish(peal_sleep(ring, 3 * PEAL_MS, 0, on_done,
					    NULL)), 0);
	}
	ck_assert_int_eq(setitimer(ITIMER_REAL, &quiet, NULL), 0);
}

TEST(signal_during_a_disk_write_by_a_worker_loses_nothing)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerval storm = { { 0, 500 }, { 0, 500 } };
	struct itimerval quiet = { { 0, 0 }, { 0, 0 } };
	size_t len = 4 << 20;
	char *out = aligned_buffer(len);
	int fd = make_file("f", "", 0);
	unsigned round;

	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &storm, NULL), 0);
	for (round = 0; round < 10; round++) {
		ck_result(finish(peal_write_full(ring, fd, out, len, 0,
						 PEAL_ASYNC, on_done, NULL)),
			  (int64_t)len);
		ck_result(finish(peal_datasync(ring, fd, 0, on_done, NULL)),
			  0);
	}
	ck_assert_int_eq(setitimer(ITIMER_REAL, &quiet, NULL), 0);
}

SUITE("enter faults")
