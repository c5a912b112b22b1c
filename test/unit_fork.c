/* SPDX-License-Identifier: MIT */
/*
 * Misuse stops the program, and says where and why: each test lets a child do
 * it and reads the child's last words.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "test/scripted.h"
#include "lib/work.h"

static char last_words[4096];
static char bytes[8];

/* body(arg) must abort, with a line that has a file and line of lib/ and each
 * of the words. */
static void stops(void (*body)(void *), void *arg, const char *op,
		  const char *why)
{
	int status = in_child(body, arg, last_words, sizeof(last_words));
	char want[64];
	int line;

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
		      "status %#x, not SIGABRT: %s", (unsigned)status,
		      last_words);
	ck_assert_msg(strncmp(last_words, "peal: lib/", 10) == 0 &&
		      sscanf(strchr(last_words, ':') + 1, "%*[^:]:%d:", &line)
			      == 1, "no file and line: %s", last_words);
	snprintf(want, sizeof(want), ": %s: ", op);
	ck_assert_msg(strstr(last_words, want), "\"%s\" lacks \"%s\"",
		      last_words, want);
	ck_assert_msg(strstr(last_words, why), "\"%s\" lacks \"%s\"",
		      last_words, why);
}

/* --- every function, as a table --------------------------------------- */

struct call {
	const char *op;
	void (*make)(struct peal_ring *which);
};

static void ignore_post(struct peal_ring *where, void *ctx)
{
	(void)where;
	(void)ctx;
}

#define CALL(name, expression)                                            \
	static void call_##name(struct peal_ring *r)                      \
	{                                                                 \
		(void)(expression);                                       \
	}

static struct sockaddr_un addr;
static socklen_t addr_len = sizeof(addr);
static struct peal_stat stat_buf;
static struct peal_stats stats = { .size = sizeof(stats) };
static struct msghdr msg;
static struct iovec iov = { bytes, 8 };
#define ADDR ((struct sockaddr *)&addr)

CALL(nop, peal_nop(r, 0, NULL, NULL))
CALL(poll, peal_poll(r, 0, POLLIN, 0, NULL, NULL))
CALL(poll_many, peal_poll_multishot(r, 0, POLLIN, 0, NULL, NULL))
CALL(cancel, peal_cancel(r, 1, 0, NULL, NULL))
CALL(cancel_fd, peal_cancel_fd(r, 1, 0, NULL, NULL))
CALL(cancel_all, peal_cancel_all(r, 0, NULL, NULL))
CALL(in_flight, peal_op_in_flight(r, 1))
CALL(open, peal_open(r, PEAL_CWD, "/", 0, 0, 0, NULL, NULL))
CALL(close, peal_close(r, 9999, 0, NULL, NULL))
CALL(close_drained, peal_close_drained(r, 9999, 0, NULL, NULL))
CALL(read, peal_read(r, 0, bytes, 8, 0, 0, NULL, NULL))
CALL(write, peal_write(r, 9999, bytes, 8, 0, 0, NULL, NULL))
CALL(readv, peal_readv(r, 0, &iov, 1, 0, 0, 0, NULL, NULL))
CALL(writev, peal_writev(r, 9999, &iov, 1, 0, 0, 0, NULL, NULL))
CALL(read_full, peal_read_full(r, 0, bytes, 8, 0, 0, NULL, NULL))
CALL(write_full, peal_write_full(r, 9999, bytes, 8, 0, 0, NULL, NULL))
CALL(send_full, peal_send_full(r, 9999, bytes, 8, 0, 0, NULL, NULL))
CALL(sync, peal_sync(r, 0, 0, NULL, NULL))
CALL(datasync, peal_datasync(r, 0, 0, NULL, NULL))
CALL(sync_range, peal_sync_range(r, 0, 0, 0, 0, 0, NULL, NULL))
CALL(allocate, peal_allocate(r, 0, 0, 1, 0, NULL, NULL))
CALL(punch, peal_punch(r, 0, 0, 1, 0, NULL, NULL))
CALL(zero_range, peal_zero_range(r, 0, 0, 1, 0, NULL, NULL))
CALL(truncate, peal_truncate(r, 9999, 0, 0, NULL, NULL))
CALL(advise, peal_advise(r, 0, 0, 0, 0, 0, NULL, NULL))
CALL(stat, peal_stat(r, PEAL_CWD, "/", 0, 0, &stat_buf, 0, NULL, NULL))
CALL(rename, peal_rename(r, -1, "", -1, "", 0, 0, NULL, NULL))
CALL(link, peal_link(r, -1, "", -1, "", 0, 0, NULL, NULL))
CALL(symlink, peal_symlink(r, "", -1, "", 0, NULL, NULL))
CALL(unlink, peal_unlink(r, -1, "", 0, 0, NULL, NULL))
CALL(mkdir, peal_mkdir(r, -1, "", 0, 0, NULL, NULL))
CALL(splice, peal_splice(r, 9999, 0, 9999, 0, 1, 0, 0, NULL, NULL))
CALL(socket, peal_socket(r, AF_UNIX, SOCK_STREAM, 0, 0, NULL, NULL))
CALL(bind, peal_bind(r, 9999, ADDR, addr_len, 0, NULL, NULL))
CALL(listen, peal_listen(r, 9999, 1, 0, NULL, NULL))
CALL(accept, peal_accept(r, 9999, ADDR, &addr_len, 0, NULL, NULL))
CALL(accept_many, peal_accept_multishot(r, 9999, 0, NULL, NULL))
CALL(connect, peal_connect(r, 9999, ADDR, addr_len, 0, NULL, NULL))
CALL(recv, peal_recv(r, 9999, bytes, 8, 0, 0, NULL, NULL))
CALL(send, peal_send(r, 9999, bytes, 8, 0, 0, NULL, NULL))
CALL(recvmsg, peal_recvmsg(r, 9999, &msg, 0, 0, NULL, NULL))
CALL(sendmsg, peal_sendmsg(r, 9999, &msg, 0, 0, NULL, NULL))
CALL(shutdown, peal_shutdown(r, 9999, SHUT_RD, 0, NULL, NULL))
CALL(sleep, peal_sleep(r, 1, 0, NULL, NULL))
CALL(sleep_again, peal_sleep_again(r, 1, 1))
CALL(deadline, peal_deadline(r, 1, 1, 0))
CALL(ring_run, peal_ring_run(r))
CALL(ring_turn, peal_ring_turn(r, 0))
CALL(ring_stop, (peal_ring_stop(r), 0))
CALL(ring_hold, (peal_ring_hold(r), 0))
CALL(ring_release, (peal_ring_release(r), 0))
CALL(ring_close, peal_ring_close(r, 0))
CALL(ring_now, peal_ring_now(r))
CALL(ring_in_flight, peal_ring_in_flight(r))
CALL(ring_engine, peal_ring_engine(r))
CALL(ring_reason, peal_ring_engine_reason(r))
CALL(ring_fd, peal_ring_fd(r))
CALL(ring_timeout, peal_ring_timeout_ns(r))
CALL(ring_dump, (peal_ring_dump(r, stdout), 0))
CALL(ring_explain, (peal_ring_explain(r, stdout), 0))
CALL(ring_stats, (peal_ring_stats(r, &stats), 0))
CALL(post, peal_post(r, ignore_post, NULL))

static const struct call calls[] = {
	{ "nop", call_nop },
	{ "poll", call_poll },
	{ "poll", call_poll_many },
	{ "cancel", call_cancel },
	{ "cancel_fd", call_cancel_fd },
	{ "cancel_all", call_cancel_all },
	{ "op_in_flight", call_in_flight },
	{ "open", call_open },
	{ "close", call_close },
	{ "close_drained", call_close_drained },
	{ "read", call_read },
	{ "write", call_write },
	{ "readv", call_readv },
	{ "writev", call_writev },
	{ "read", call_read_full },
	{ "write", call_write_full },
	{ "send", call_send_full },
	{ "fsync", call_sync },
	{ "fsync", call_datasync },
	{ "sync_range", call_sync_range },
	{ "fallocate", call_allocate },
	{ "fallocate", call_punch },
	{ "fallocate", call_zero_range },
	{ "ftruncate", call_truncate },
	{ "fadvise", call_advise },
	{ "stat", call_stat },
	{ "rename", call_rename },
	{ "link", call_link },
	{ "symlink", call_symlink },
	{ "unlink", call_unlink },
	{ "mkdir", call_mkdir },
	{ "splice", call_splice },
	{ "socket", call_socket },
	{ "bind", call_bind },
	{ "listen", call_listen },
	{ "accept", call_accept },
	{ "accept", call_accept_many },
	{ "connect", call_connect },
	{ "recv", call_recv },
	{ "send", call_send },
	{ "recvmsg", call_recvmsg },
	{ "sendmsg", call_sendmsg },
	{ "shutdown", call_shutdown },
	{ "sleep", call_sleep },
	{ "sleep_again", call_sleep_again },
	{ "deadline", call_deadline },
	{ "ring_run", call_ring_run },
	{ "ring_turn", call_ring_turn },
	{ "ring_stop", call_ring_stop },
	{ "ring_hold", call_ring_hold },
	{ "ring_release", call_ring_release },
	{ "ring_close", call_ring_close },
	{ "ring_now", call_ring_now },
	{ "ring_in_flight", call_ring_in_flight },
	{ "ring_engine", call_ring_engine },
	{ "ring_engine_reason", call_ring_reason },
	{ "ring_fd", call_ring_fd },
	{ "ring_timeout_ns", call_ring_timeout },
	{ "ring_dump", call_ring_dump },
	{ "ring_explain", call_ring_explain },
	{ "ring_stats", call_ring_stats },
	{ "post", call_post },
};

#define CALLS (sizeof(calls) / sizeof(*calls))

/* --- a ring that is closed -------------------------------------------- */

static void use_after_close(void *arg)
{
	const struct call *call = arg;
	struct peal_ring *closed = NULL;

	if (peal_ring_open(&closed, NULL) != 0 ||
	    peal_ring_close(closed, 0) != 0)
		_exit(3);
	call->make(closed);
}

BARE_TEST(every_call_on_a_closed_ring_stops_the_program)
{
	size_t at;

	for (at = 0; at < CALLS; at++)
		stops(use_after_close, (void *)&calls[at], calls[at].op,
		      "closed");
}

static void use_after_many_closes(void *arg)
{
	struct peal_ring *first = NULL, *other;
	int at;

	(void)arg;
	if (peal_ring_open(&first, NULL) != 0 || peal_ring_close(first, 0) != 0)
		_exit(3);
	for (at = 0; at < 14; at++)
		if (peal_ring_open(&other, NULL) != 0 ||
		    peal_ring_close(other, 0) != 0)
			_exit(3);
	peal_nop(first, 0, NULL, NULL);
}

BARE_TEST(closed_ring_is_known_as_closed_for_a_while)
{
	stops(use_after_many_closes, NULL, "nop", "the ring is closed");
}

/* --- another thread --------------------------------------------------- */

static void *call_in_thread(void *arg)
{
	const struct call *call = arg;

	call->make(ring);
	return NULL;
}

static void use_in_another_thread(void *arg)
{
	pthread_t thread;

	if (peal_ring_open(&ring, NULL) != 0)
		_exit(3);
	pthread_create(&thread, NULL, call_in_thread, arg);
	pthread_join(thread, NULL);
}

BARE_TEST(every_call_but_post_from_another_thread_stops_the_program)
{
	size_t at;

	for (at = 0; at < CALLS - 1; at++)
		stops(use_in_another_thread, (void *)&calls[at], calls[at].op,
		      "another thread");
	ck_assert_int_eq(in_child(use_in_another_thread,
				  (void *)&calls[CALLS - 1], last_words,
				  sizeof(last_words)), 0);
}

static void *open_and_end(void *arg)
{
	(void)arg;
	if (peal_ring_open(&ring, NULL) != 0)
		_exit(3);
	return NULL;
}

static void let_a_thread_end(void *arg)
{
	pthread_t thread;

	(void)arg;
	pthread_create(&thread, NULL, open_and_end, NULL);
	pthread_join(thread, NULL);
}

BARE_TEST(thread_that_ends_with_its_ring_open_stops_the_program)
{
	stops(let_a_thread_end, NULL, "ring_close",
	      "a thread ended with its ring open");
}

static void *open_and_close(void *arg)
{
	(void)arg;
	if (peal_ring_open(&ring, NULL) != 0 || peal_ring_close(ring, 0) != 0)
		_exit(3);
	return NULL;
}

static void let_a_thread_close(void *arg)
{
	pthread_t thread;

	(void)arg;
	pthread_create(&thread, NULL, open_and_close, NULL);
	pthread_join(thread, NULL);
}

BARE_TEST(thread_that_closed_its_ring_may_end)
{
	ck_assert_int_eq(in_child(let_a_thread_close, NULL, last_words,
				  sizeof(last_words)), 0);
	ck_assert_str_eq(last_words, "");
}

/* A look at what the pool guards by its lock: old news does no harm here. */
__attribute__((no_sanitize("thread")))
static int first_job_runs(void)
{
	return ring->jobs[1].state == JOB_RUNNING;
}

static void *open_and_fail_to_close(void *arg)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;
	int fds[2];

	(void)arg;
	/* A thread of the pool that reads cannot be stopped. */
	options.engine = "uring";
	options.disable = "op:read";
	if (peal_ring_open(&ring, &options) != 0 || pipe(fds) != 0)
		_exit(3);
	peal_read(ring, fds[0], bytes, 1, 0, 0, NULL, NULL);
	peal_ring_turn(ring, 0);
	while (!first_job_runs())
		sched_yield();
	if (peal_ring_close(ring, 0) != -ETIMEDOUT)
		_exit(4);
	return NULL;
}

static void let_a_thread_leave(void *arg)
{
	pthread_t thread;

	(void)arg;
	pthread_create(&thread, NULL, open_and_fail_to_close, NULL);
	pthread_join(thread, NULL);
}

BARE_TEST(thread_whose_close_timed_out_may_end)
{
	ck_assert_int_eq(in_child(let_a_thread_leave, NULL, last_words,
				  sizeof(last_words)), 0);
}

/* --- a fork ----------------------------------------------------------- */

static void use_the_parents_ring(void *arg)
{
	const struct call *call = arg;

	call->make(ring);
}

TEST(every_call_of_a_forked_child_stops_it)
{
	size_t at;

	for (at = 0; at < CALLS; at++)
		stops(use_the_parents_ring, (void *)&calls[at], calls[at].op,
		      "this process is a fork");
}

static void open_its_own(void *arg)
{
	struct peal_ring *own;

	(void)arg;
	if (peal_ring_open(&own, NULL) != 0 ||
	    peal_nop(own, 0, NULL, NULL) <= 0 || peal_ring_run(own) != 0 ||
	    peal_ring_close(own, 0) != 0)
		_exit(3);
}

TEST(forked_child_may_open_a_ring_of_its_own)
{
	ck_assert_int_eq(in_child(open_its_own, NULL, last_words,
				  sizeof(last_words)), 0);
	ck_result(finish(peal_nop(ring, 0, on_done, NULL)), 0);
}

static void do_nothing(void *arg)
{
	(void)arg;
}

TEST(parent_goes_on_after_a_fork)
{
	int fds[2];
	peal_op op;

	make_pipe(fds);
	op = peal_read(ring, fds[0], bytes, 1, PEAL_CURRENT, 0, on_done, NULL);
	settle();
	ck_assert_int_eq(in_child(do_nothing, NULL, last_words,
				  sizeof(last_words)), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_result(finish(op), 1);
}

static void fork_in_the_child(void *arg)
{
	pid_t pid = fork();
	int status;

	(void)arg;
	if (pid == 0) {
		open_its_own(NULL);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		_exit(3);
}

TEST(child_of_a_child_may_open_a_ring)
{
	ck_assert_int_eq(in_child(fork_in_the_child, NULL, last_words,
				  sizeof(last_words)), 0);
}

/* --- other misuse ----------------------------------------------------- */

static void release_without_hold(void *arg)
{
	(void)arg;
	if (peal_ring_open(&ring, NULL) != 0)
		_exit(3);
	peal_ring_hold(ring);
	peal_ring_release(ring);
	peal_ring_release(ring);
}

BARE_TEST(release_without_a_hold_stops_the_program)
{
	stops(release_without_hold, NULL, "ring_release",
	      "a release without a hold");
}

static void stats_without_size(void *arg)
{
	struct peal_stats unset = { .size = 0 };

	(void)arg;
	if (peal_ring_open(&ring, NULL) != 0)
		_exit(3);
	peal_ring_stats(ring, &unset);
}

BARE_TEST(statistics_of_no_size_stop_the_program)
{
	stops(stats_without_size, NULL, "ring_stats", "size is not set");
}

BARE_TEST(message_names_the_condition)
{
	stops(release_without_hold, NULL, "ring_release",
	      "[ring->holds > 0]");
}

/* --- the list of rings ------------------------------------------------ */

BARE_TEST(rings_leave_the_list_in_any_order)
{
	struct peal_ring_options options = harness_options();
	static const unsigned order[] = { 2, 0, 4, 1, 3 };
	struct peal_ring *rings[5];
	unsigned at;

	NEEDS_LOCKED(1 << 20);
	for (at = 0; at < 5; at++)
		rings[at] = open_ring(&options);
	for (at = 0; at < 5; at++) {
		close_ring(rings[order[at]]);
		rings[order[at]] = NULL;
		ring = at < 4 ? rings[order[at + 1]] : NULL;
		if (ring)
			stops(use_the_parents_ring, (void *)&calls[0], "nop",
			      "fork");
	}
	ring = NULL;
}

SUITE("fork")
