/* SPDX-License-Identifier: MIT */
/*
 * What every libcheck program here shares: tests that register themselves, a
 * ring per test that must be closed without a trace, a handler that remembers,
 * and loops that end.
 *
 *	#include "test/harness.h"
 *
 *	TEST(nop_finishes_with_zero)
 *	{
 *		ck_assert_int_eq(finish(peal_nop(ring, 0, on_done, NULL)), 0);
 *	}
 *
 *	SUITE("nop")
 *
 * Each test runs in a child of its own (CK_FORK=no turns that off for a
 * debugger); its fixture is checked, so the ring is opened in that child. When
 * a test has passed, the fixture closes the ring and fails the test if a file
 * descriptor, a thread or memory of the ring is left.
 *
 * The first argument of the program picks the tests whose name contains it.
 * PEAL_ENGINE and PEAL_DISABLE pick the variant; they are the library's.
 */
#ifndef PEAL_TEST_HARNESS_H
#define PEAL_TEST_HARNESS_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <unistd.h>

#include "peal.h"
#ifndef _WIN32
#include "test/sim_calls.h"
#else
#define on_sim() 0
#define sim_begin(dir) ((void)(dir))
#define sim_end() 0
#endif

#ifdef _WIN32
#define HARNESS_ENGINE	"iocp"	/* the best one of this system */
#else
#define HARNESS_ENGINE	"uring"
#endif

/* --- declaring tests ----------------------------------------------------- */

#define HARNESS_RING	1	/* the fixture opens a ring */

#define HARNESS_TEST(name, kind)					\
	static void name(int loop_);					\
	static const TTest name##_test = {				\
		#name, name, __FILE__, __LINE__				\
	};								\
	__attribute__((constructor)) static void name##_add(void)	\
	{								\
		harness_add(&name##_test, kind);			\
	}								\
	static void name(int loop_ __attribute__((unused)))

/* A test with `ring` open, and one that opens its own, if any. */
#define TEST(name)	HARNESS_TEST(name, HARNESS_RING)
#define BARE_TEST(name)	HARNESS_TEST(name, 0)

#define SUITE(name)							\
	int main(int argc, char **argv)					\
	{								\
		return harness_main(argc, argv, name);			\
	}

/* Ends the test: not failed, but counted, with the reason. Only in a test's
 * own function. */
#define SKIP(...)							\
	do {								\
		harness_skip(__func__, __VA_ARGS__);			\
		return;							\
	} while (0)

/* Where the memory of rings counts as locked, an ordinary user may have too
 * little for the test. */
#define NEEDS_LOCKED(bytes)						\
	do {								\
		if (harness_lockable() < (bytes))			\
			SKIP("this user may lock %llu KiB, it takes %llu", \
			     harness_lockable() >> 10,			\
			     (unsigned long long)(bytes) >> 10);	\
	} while (0)

void harness_add(const TTest *test, int kind);
int harness_main(int argc, char **argv, const char *suite);
void harness_skip(const char *test, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
unsigned long long harness_lockable(void);

/* What a user may lock is the sum over all the user's processes, those that the
 * kernel has not quite cleared away, too: each process is a user of its own. */
#define HARNESS_NOBODY	(10000 + (uid_t)getpid() % 50000)

/* For a test program with work to do in another role (a child under strace, a
 * server): called with the rest of the arguments when the first one is
 * "--role". Its result is the program's exit status. */
extern int (*harness_role)(int argc, char **argv);
extern const char *harness_program;	/* absolute path of this program */

/* --- the ring of a test -------------------------------------------------- */

extern struct peal_ring *ring;

/* Options with the counting allocator: what the fixture opens its ring with.
 * Set fields before the first use of a ring of your own. */
struct peal_ring_options harness_options(void);
struct peal_ring *open_ring(const struct peal_ring_options *options);
/* More than a ring needs to close, on a machine that has other things to do. */
#define CLOSE_NS	(60 * PEAL_S)
/* Closes, and fails the test unless it is closed at once. */
void close_ring(struct peal_ring *which);
/* The fixture's ring again, with other options. */
void reopen_ring(const struct peal_ring_options *options);

/* Is this feature masked by PEAL_DISABLE? */
int disabled(const char *feature);

/* The counting allocator. Allocation number alloc_fail_at (from 1) and, when
 * alloc_fail_on is set, all after it, return NULL; 0: none. */
extern unsigned long alloc_calls, alloc_fail_at;
extern int alloc_fail_on;
size_t alloc_outstanding(void);

/* --- what became of an op ------------------------------------------------ */

struct outcome {
	peal_op op;
	int64_t result;		/* of the latest completion */
	uint32_t flags;
	void *buf;
	void *ctx;
	unsigned calls;		/* completions so far */
	unsigned terminal;	/* of them without PEAL_MORE: 0, then 1 */
	unsigned order;		/* of the latest among all of the test's */
};

/* The handler that remembers. A second terminal completion of an op fails the
 * test, whenever it comes. */
void on_done(struct peal_ring *where, const struct peal_completion *done);

/* What on_done() has seen of op. Never NULL: calls is 0 before the first. */
const struct outcome *outcome(peal_op op);
int finished(peal_op op);
/* For a test with rings one after another: their handles begin again. */
void forget_outcomes(void);

/* Runs the ring until op, which must have been accepted, is finished. */
int64_t finish(peal_op op);
const struct outcome *finish_outcome(peal_op op);
/* The same when the call may as well have refused it. */
int64_t finish_or_refused(peal_op op);

/* Turns of the ring until cond holds; seconds in which nothing happens fail the
 * test with the ring's dump. */
#define UNTIL(cond) UNTIL_ON(ring, cond)
#define UNTIL_ON(which, cond)						\
	do {								\
		struct harness_idle idle_ = { 0, 0 };			\
		while (!(cond))						\
			harness_turn(which, &idle_, #cond, __FILE__,	\
				     __LINE__);				\
	} while (0)
struct harness_idle {
	uint64_t since;
	unsigned turns;
};
void harness_turn(struct peal_ring *which, struct harness_idle *idle,
		  const char *cond, const char *file, int line);

/* Some turns that do not wait: what could happen has happened. */
void settle(void);

/* Assertions on int64_t results that print the error's name. */
#define ck_result(got, want)						\
	do {								\
		int64_t got_ = (got), want_ = (want);			\
		ck_assert_msg(got_ == want_,				\
			      "%s is %lld (%s), not %lld (%s)", #got,	\
			      (long long)got_, harness_errno(got_),	\
			      (long long)want_, harness_errno(want_));	\
	} while (0)
#define ck_ok(got)							\
	do {								\
		int64_t got_ = (got);					\
		ck_assert_msg(got_ >= 0, "%s is %lld (%s)", #got,	\
			      (long long)got_, harness_errno(got_));	\
	} while (0)
const char *harness_errno(int64_t error);

/* The place of this opcode in statistics; the test fails if there is none. */
unsigned opcode_named(const char *name);

/* --- things to do I/O on ----------------------------------------------
 * Descriptors made here are closed by the fixture, unless the test has closed
 * them; they are close-on-exec and blocking. Each fails the test rather than
 * return an error. */

int keep_fd(int fd);		/* let the fixture close this one, too */
const char *dir(void);		/* an empty directory of this test, on disk */
const char *path_in_dir(const char *name);	/* good for 16 more calls */
int make_file(const char *name, const void *data, size_t len); /* O_RDWR */
int open_direct(const char *name, int flags); /* < 0: not on this disk */
void make_pipe(int fds[2]);
void make_socketpair(int type, int fds[2]);	/* unix */
/* Two ends of what can be polled: a pipe; where none can be, sockets. */
void make_pollable(int fds[2]);
/* Listens on an ephemeral port of the loopback; family AF_INET, AF_INET6. -1:
 * no such family on this machine. */
int make_listener(int family, struct sockaddr_storage *addr, socklen_t *len);
int make_tcp_pair(int family, int fds[2]);	/* 0, or -1 as above */
void fill_pattern(void *buf, size_t len, uint64_t seed);
int has_pattern(const void *buf, size_t len, uint64_t seed);
void *aligned_buffer(size_t len);	/* 4096-aligned, freed by fixture */
int closed_fd(void);		/* a number that names no open file */
void loopback(struct sockaddr_in *addr, in_port_t port); /* 127.0.0.1 */

/* Ops of the fixture's ring, run to their end. */
int64_t read_at(int fd, void *buf, size_t len, uint64_t offset);
int64_t write_at(int fd, const void *buf, size_t len, uint64_t offset);
int64_t recv_into(int fd, void *buf, size_t len);
int64_t send_from(int fd, const void *buf, size_t len);
int new_socket(int domain, int type);

/* The processes in which a test lets something die: runs body(arg) in a child
 * with stderr captured to text (len bytes with the NUL). Returns wait's
 * status. */
int in_child(void (*body)(void *arg), void *arg, char *text, size_t len);

/* --- between the files of the harness ------------------------------------- */

#define HARNESS_TESTS	400

struct harness_test {
	const TTest *test;
	int kind;
};
extern struct harness_test harness_tests[HARNESS_TESTS];
extern unsigned harness_test_count;
extern char harness_base_dir[];	/* holds the directories of all tests */
extern char harness_dir[];	/* this test's own */

void harness_path(char *to, const char *format, ...);	/* PATH_MAX bytes */
void harness_must(int holds, const char *what);
void harness_let_go(void);
void harness_setup_ring(void);
void harness_teardown_ring(void);
void harness_setup_bare(void);
void harness_teardown_bare(void);

/* The system's own: harness_posix.c, windows/harness_windows.c. */
void harness_say(const char *line);	/* to stdout, past every buffer */
void *harness_aligned(size_t align, size_t size);	/* or the program ends */
void harness_free(void *memory);
void harness_remember_what_is_open(void);
void harness_check_what_is_open(void);	/* fails the test if there is more */

/* Tests that are recorded and replayed: harness_record.c. */
#ifdef _WIN32
#define harness_record_begin()	((void)0)
#define harness_record_end()	((void)0)
#define harness_replays()	0
#else
int harness_records(void);	/* or replays */
int harness_replays(void);
void harness_record_begin(void);
void harness_remove_tree(const char *path);
void harness_record_end(void);	/* fails the test if the replay differed */
void harness_record_add(TCase *tcase, const char *test);
int harness_record_skips(Suite *suite, const char *test);
#endif

#endif
