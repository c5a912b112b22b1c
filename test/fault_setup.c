/* SPDX-License-Identifier: MIT */
/*
 * A ring that cannot be opened, and one that can be opened only smaller:
 * forbidden calls, limits, an old kernel. What peal_open_reason() says is part
 * of the promise: the cause, the numbers, what to do.
 *
 * Each test runs in a process of its own, so a filter or a limit ends with it.
 */
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "test/harness.h"

/* From now on system call number fails with error. 0: done. */
static int forbid(long number, int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K,
			 SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

#define FORBID(number, error)						\
	do {								\
		if (forbid(number, error) != 0)				\
			SKIP("no seccomp filter here: %s",		\
			     strerror(errno));				\
	} while (0)

static void says(const char *what)
{
	ck_assert_msg(strstr(peal_open_reason(), what) != NULL,
		      "the reason does not say \"%s\": %s", what,
		      peal_open_reason());
}

static void has_two_numbers(void)
{
	const char *at = peal_open_reason();
	unsigned numbers = 0;

	while (*at) {
		size_t digits = strspn(at, "0123456789");

		numbers += digits > 0;
		at += digits ? digits : 1;
	}
	ck_assert_msg(numbers >= 2, "no two numbers: %s", peal_open_reason());
}

static void cannot_open(int error)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own = NULL;

	ck_result(peal_ring_open(&own, &options), error);
	ck_assert_ptr_null(own);
}

/* Opens, does a little of everything, closes. */
static void works(const struct peal_ring_options *options)
{
	char buf[4];
	peal_op op;
	int fds[2];

	ring = open_ring(options);
	ck_result(finish(peal_nop(ring, 0, on_done, NULL)), 0);
	ck_result(finish(peal_sleep(ring, PEAL_MS, 0, on_done, NULL)), 0);
	make_pipe(fds);
	op = peal_read(ring, fds[0], buf, 4, PEAL_CURRENT, 0, on_done, NULL);
	ck_result(peal_deadline(ring, op, PEAL_MS, 0), 0);
	ck_result(finish(op), -ETIMEDOUT);
	close_ring(ring);
}

static void become_nobody(rlim_t memlock)
{
	struct rlimit limit = { memlock, memlock };

	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setgid(HARNESS_NOBODY), 0);
	ck_assert_int_eq(setuid(HARNESS_NOBODY), 0);
}

/* --- forbidden calls ----------------------------------------------------- */

BARE_TEST(setup_forbidden_by_seccomp_is_eperm_and_says_so)
{
	FORBID(SYS_io_uring_setup, EPERM);
	cannot_open(-EPERM);
	says("seccomp");
	says("io_uring_setup");
}

BARE_TEST(setup_unknown_to_the_kernel_is_enosys_and_says_so)
{
	FORBID(SYS_io_uring_setup, ENOSYS);
	cannot_open(-ENOSYS);
	says("io_uring_setup");
}

BARE_TEST(enter_forbidden_by_seccomp_is_found_at_open)
{
	FORBID(SYS_io_uring_enter, EPERM);
	cannot_open(-EPERM);
	says("io_uring_enter");
	says("seccomp");
}

BARE_TEST(enter_unknown_to_the_kernel_is_found_at_open)
{
	FORBID(SYS_io_uring_enter, ENOSYS);
	cannot_open(-ENOSYS);
	says("io_uring_enter");
}

static void falls_back(const char *why)
{
	struct peal_ring_options options = harness_options();

	unsetenv("PEAL_ENGINE");
	ring = open_ring(&options);
	ck_assert_str_ne(peal_ring_engine(ring), "uring");
	ck_assert_msg(strstr(peal_ring_engine_reason(ring), why) != NULL,
		      "not a word of %s: %s", why,
		      peal_ring_engine_reason(ring));
	close_ring(ring);
	works(&options);
}

BARE_TEST(program_works_where_io_uring_is_forbidden_and_can_say_why)
{
	FORBID(SYS_io_uring_setup, EPERM);
	falls_back("seccomp");
}

BARE_TEST(program_works_where_enter_is_forbidden_and_can_say_why)
{
	FORBID(SYS_io_uring_enter, EPERM);
	falls_back("seccomp");
}

BARE_TEST(program_works_on_a_kernel_without_io_uring_and_can_say_why)
{
	FORBID(SYS_io_uring_setup, ENOSYS);
	falls_back("ENOSYS");
}

/* The profiles of containers may be older than the call, and say EPERM. */
static void sleeps_without_epoll_pwait2(void)
{
	struct peal_ring_options options = harness_options();

	options.engine = "epoll";
	ring = open_ring(&options);
	ck_result(finish(peal_sleep(ring, 3 * PEAL_MS, 0, on_done, NULL)), 0);
	close_ring(ring);
}

BARE_TEST(epoll_waits_in_milliseconds_where_its_newest_call_is_forbidden)
{
	FORBID(SYS_epoll_pwait2, EPERM);
	sleeps_without_epoll_pwait2();
}

BARE_TEST(epoll_waits_in_milliseconds_where_its_newest_call_is_missing)
{
	FORBID(SYS_epoll_pwait2, ENOSYS);
	sleeps_without_epoll_pwait2();
}

static void register_is_missing(int error)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own = NULL;
	int result = peal_ring_open(&own, &options);

	if (result == 0) {
		close_ring(own);
		works(&options);
		return;
	}
	ck_result(result, -error);
	ck_assert_ptr_null(own);
	says("io_uring_register");
}

BARE_TEST(register_forbidden_by_seccomp_is_explained_or_done_without)
{
	FORBID(SYS_io_uring_register, EPERM);
	register_is_missing(EPERM);
}

BARE_TEST(register_unknown_to_the_kernel_is_explained_or_done_without)
{
	FORBID(SYS_io_uring_register, ENOSYS);
	register_is_missing(ENOSYS);
}

BARE_TEST(setup_without_memory_is_enomem_and_names_the_limit)
{
	FORBID(SYS_io_uring_setup, ENOMEM);
	cannot_open(-ENOMEM);
	says("MEMLOCK");
	has_two_numbers();
}

/* A filter that comes when the ring is open: the loop ends with an error, no
 * spin, no hang. */
static void forbid_enter_late(void *arg)
{
	struct peal_ring *own;
	int result;

	(void)arg;
	if (peal_ring_open(&own, NULL) != 0)
		_exit(1);
	if (peal_nop(own, 0, NULL, NULL) <= 0)
		_exit(2);
	if (forbid(SYS_io_uring_enter, EPERM) != 0)
		_exit(99);
	result = peal_ring_run(own);
	if (result != -EPERM)
		_exit(3);
	if (peal_nop(own, 0, NULL, NULL) >= 0)
		_exit(4);
	if (peal_ring_close(own, PEAL_MS) == 0)
		_exit(5);
	_exit(0);
}

BARE_TEST(enter_forbidden_while_running_ends_the_loop_with_the_error)
{
	char text[1024];
	int status = in_child(forbid_enter_late, NULL, text, sizeof(text));

	ck_assert_msg(WIFEXITED(status), "status %x: %s", (unsigned)status,
		      text);
	if (WEXITSTATUS(status) == 99)
		SKIP("no seccomp filter here");
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}

/* --- limits -------------------------------------------------------------- */

BARE_TEST(ordinary_user_with_64_kib_of_locked_memory_has_a_ring)
{
	struct peal_ring_options options = harness_options();

	become_nobody(65536);
	works(&options);
}

BARE_TEST(large_queues_step_down_to_what_may_be_locked)
{
	struct peal_ring_options options = harness_options();

	become_nobody(65536);
	options.entries = 4096;
	works(&options);
}

BARE_TEST(soft_limit_of_locked_memory_is_raised_to_the_hard_one)
{
	struct peal_ring_options options = harness_options();
	struct rlimit limit = { 0, 1 << 20 };

	NEEDS_LOCKED(1 << 20);
	become_nobody(1 << 20);
	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	options.entries = 1024;
	works(&options);
}

BARE_TEST(no_locked_memory_at_all_is_explained_with_its_numbers)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own = NULL;
	int result;

	become_nobody(0);
	result = peal_ring_open(&own, &options);
	if (result == 0) {
		close_ring(own);
		SKIP("this kernel does not count a ring's memory as locked");
	}
	ck_result(result, -ENOMEM);
	says("MEMLOCK");
	has_two_numbers();
}

BARE_TEST(rings_until_locked_memory_is_used_up_fail_cleanly_and_recover)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *rings[64];
	unsigned count = 0;
	int result = 0;

	NEEDS_LOCKED(1 << 20);
	become_nobody(1 << 20);
	options.max_ops = 64;
	while (count < 64 &&
	       (result = peal_ring_open(&rings[count], &options)) == 0)
		count++;
	ck_assert_uint_ge(count, 10);
	if (result != 0) {
		ck_result(result, -ENOMEM);
		says("MEMLOCK");
	}
	while (count > 0)
		close_ring(rings[--count]);
	close_ring(open_ring(&options));
}

BARE_TEST(open_without_a_free_fd_is_emfile_and_says_so)
{
	struct rlimit limit;
	int first = dup(0);

	ck_assert_int_ge(first, 0);
	close(first);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)first;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cannot_open(-EMFILE);
	says("NOFILE");
	limit.rlim_cur = (rlim_t)first + 1;	/* one is not enough, either */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cannot_open(-EMFILE);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	close_ring(open_ring(NULL));
}

BARE_TEST(open_without_address_space_is_enomem)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own = NULL;
	struct rlimit limit = { 0, RLIM_INFINITY };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	SKIP("a sanitizer needs the address space itself");
#endif
	options.allocator.alloc = NULL;
	options.allocator.free = NULL;
	options.max_ops = 4000000;
	limit.rlim_cur = 64 << 20;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
	ck_result(peal_ring_open(&own, &options), -ENOMEM);
	ck_assert_uint_gt(strlen(peal_open_reason()), 0);
	ck_assert_ptr_null(own);
}

/* --- the administrator's switch ------------------------------------------ */

#define SWITCH "/proc/sys/kernel/io_uring_disabled"

static int set_switch(char value)
{
	int fd = open(SWITCH, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, &value, 1);
	close(fd);
	return n == 1 ? 0 : -1;
}

/* Exits with 0 when the refusal was as it must be. */
static void open_as_nobody(void *arg)
{
	struct peal_ring *own;

	(void)arg;
	if (setgroups(0, NULL) != 0 || setgid(HARNESS_NOBODY) != 0 ||
	    setuid(HARNESS_NOBODY) != 0)
		_exit(1);
	if (peal_ring_open(&own, NULL) != -EPERM)
		_exit(2);
	if (!strstr(peal_open_reason(), "io_uring_disabled"))
		_exit(3);
	_exit(0);
}

BARE_TEST(switch_of_the_administrator_is_eperm_and_named)
{
	char now = '?', text[1024];
	int fd, status;

	/* Value 1: forbidden to all but root. It is the whole machine's: other
	 * programs notice, so this must be asked for. It is back at 0 after one
	 * short-lived child, whatever that does. */
	if (!getenv("PEAL_TEST_SYSCTL"))
		SKIP("%s is the whole machine's: set PEAL_TEST_SYSCTL=1",
		     SWITCH);
	fd = open(SWITCH, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		SKIP("no %s on this kernel", SWITCH);
	ck_assert_int_eq(read(fd, &now, 1), 1);
	close(fd);
	if (now != '0')
		SKIP("%s is %c already", SWITCH, now);
	if (geteuid() != 0 || set_switch('1') != 0)
		SKIP("%s cannot be written", SWITCH);
	status = in_child(open_as_nobody, NULL, text, sizeof(text));
	ck_assert_int_eq(set_switch(now), 0);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		      "status %x: %s", (unsigned)status, text);
}

SUITE("setup faults")
