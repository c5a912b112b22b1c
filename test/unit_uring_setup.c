/* SPDX-License-Identifier: MIT */
/*
 * Setting up an io_uring on kernels that refuse: liburing's calls are taken
 * over by this program, so that any kernel, limit or sandbox can be had.
 */
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/uring.h"
#include "test/scripted.h"

/* --- a kernel of our own ---------------------------------------------- */

#define NEWEST (PEAL__SETUP_NO_SQARRAY | PEAL__SETUP_DEFER_TASKRUN |      \
		PEAL__SETUP_SINGLE_ISSUER | PEAL__SETUP_COOP_TASKRUN |    \
		PEAL__SETUP_TASKRUN_FLAG | PEAL__SETUP_SUBMIT_ALL)

static struct kernel {
	uint32_t lacks;		/* set-up flags it does not know */
	uint32_t lacks_features;
	int setup_fails;	/* -errno of every io_uring_setup() */
	uint32_t most_entries;	/* more are ENOMEM; 0: any number */
	int enter_fails;
	int register_fails;	/* of the probe */
	int ring_fd_fails;
	unsigned setups;
	uint32_t asked[16];	/* flags of each io_uring_setup() */
	uint32_t entries[64];
} kernel;

int io_uring_setup(unsigned entries, struct io_uring_params *p)
{
	int fd;

	if (kernel.setups < 16)
		kernel.asked[kernel.setups] = p->flags;
	if (kernel.setups < 64)
		kernel.entries[kernel.setups] = entries;
	kernel.setups++;
	if (kernel.setup_fails)
		return kernel.setup_fails;
	if (p->flags & kernel.lacks)
		return -EINVAL;
	if (kernel.most_entries && entries > kernel.most_entries)
		return -ENOMEM;
	fd = (int)syscall(__NR_io_uring_setup, entries, p);
	p->features &= ~kernel.lacks_features;
	return fd < 0 ? -errno : fd;
}

int io_uring_enter2(unsigned fd, unsigned submit, unsigned wait_for,
		    unsigned flags, sigset_t *sig, size_t size)
{
	long rc;

	if (kernel.enter_fails)
		return kernel.enter_fails;
	rc = syscall(__NR_io_uring_enter, fd, submit, wait_for, flags, sig,
		     size);
	return rc < 0 ? -errno : (int)rc;
}

int io_uring_register(unsigned fd, unsigned opcode, const void *arg,
		      unsigned count)
{
	long rc;

	if (kernel.register_fails && opcode == PEAL__REGISTER_PROBE)
		return kernel.register_fails;
	rc = syscall(__NR_io_uring_register, fd, opcode, arg, count);
	return rc < 0 ? -errno : (int)rc;
}

static struct peal_ring *opened;

static struct peal__uring *open_uring(const struct peal_ring_options *options)
{
	opened = open_ring(options);
	return opened->engine_state;
}

static void nops_run(void)
{
	unsigned at;

	for (at = 0; at < 300; at++)
		ck_assert_int_gt(peal_nop(opened, 0, NULL, NULL), 0);
	UNTIL_ON(opened, peal_ring_in_flight(opened) == 0);
}

static const char *explained(void)
{
	static char text[8192];
	FILE *out = fmemopen(text, sizeof(text), "w");

	peal_ring_explain(opened, out);
	fclose(out);
	return text;
}

static void explains(const char *words)
{
	ck_assert_msg(strstr(explained(), words), "no \"%s\" in:\n%s", words,
		      explained());
}

static void close_it(void)
{
	close_ring(opened);
	opened = NULL;
}

static void refuses(int error, const char *const *words)
{
	struct peal_ring_options options = harness_options();

	opened = NULL;
	options.engine = "uring";	/* and no other instead */
	ck_result(peal_ring_open(&opened, &options), error);
	ck_assert_ptr_null(opened);
	for (; *words; words++)
		ck_assert_msg(strstr(peal_open_reason(), *words),
			      "\"%s\" lacks \"%s\"", peal_open_reason(),
			      *words);
}

#define REFUSES(error, ...)                                               \
	refuses(error, (const char *const[]){ __VA_ARGS__, NULL })

/* --- flags peel off --------------------------------------------------- */

/* Kernels that lack the newest, one more each time, and what is asked of them
 * in the end. COOP and its flag come into their own when DEFER is gone. */
#define BASE (PEAL__SETUP_CLAMP | PEAL__SETUP_CQSIZE)
#define COOP (PEAL__SETUP_COOP_TASKRUN | PEAL__SETUP_TASKRUN_FLAG)
#define DEFER (PEAL__SETUP_DEFER_TASKRUN | PEAL__SETUP_TASKRUN_FLAG)

static const struct {
	const char *name;
	uint32_t lacks, left;
	unsigned tries;
	uint32_t peeled;
} ages[] = {
	{ "6.1", PEAL__SETUP_NO_SQARRAY,
	  BASE | DEFER | PEAL__SETUP_SINGLE_ISSUER | PEAL__SETUP_SUBMIT_ALL, 2,
	  1u << FEATURE_NO_SQARRAY },
	{ "6.0", PEAL__SETUP_NO_SQARRAY | PEAL__SETUP_DEFER_TASKRUN,
	  BASE | COOP | PEAL__SETUP_SINGLE_ISSUER | PEAL__SETUP_SUBMIT_ALL, 3,
	  1u << FEATURE_NO_SQARRAY | 1u << FEATURE_DEFER },
	{ "5.19",
	  PEAL__SETUP_NO_SQARRAY | PEAL__SETUP_DEFER_TASKRUN |
		  PEAL__SETUP_SINGLE_ISSUER,
	  BASE | COOP | PEAL__SETUP_SUBMIT_ALL, 4,
	  1u << FEATURE_NO_SQARRAY | 1u << FEATURE_DEFER |
		  1u << FEATURE_SINGLE_ISSUER },
	{ "5.18", NEWEST & ~PEAL__SETUP_SUBMIT_ALL,
	  BASE | PEAL__SETUP_SUBMIT_ALL, 5,
	  1u << FEATURE_NO_SQARRAY | 1u << FEATURE_DEFER |
		  1u << FEATURE_SINGLE_ISSUER | 1u << FEATURE_COOP },
	{ "5.15", NEWEST, BASE, 6,
	  1u << FEATURE_NO_SQARRAY | 1u << FEATURE_DEFER |
		  1u << FEATURE_SINGLE_ISSUER | 1u << FEATURE_COOP |
		  1u << FEATURE_SUBMIT_ALL },
};

static void open_on(size_t age)
{
	const struct peal__uring *uring;

	memset(&kernel, 0, sizeof(kernel));
	kernel.lacks = ages[age].lacks;
	uring = open_uring(NULL);
	ck_assert_msg(uring->setup_flags == ages[age].left, "%s: flags %#x",
		      ages[age].name, uring->setup_flags);
	ck_assert_uint_eq(kernel.setups, ages[age].tries);
	ck_assert_uint_eq(uring->peeled, ages[age].peeled);
}

BARE_TEST(flags_that_a_kernel_lacks_are_given_up_newest_first)
{
	size_t age;

	NEEDS_LOCKED(1 << 20);
	for (age = 0; age < sizeof(ages) / sizeof(*ages); age++) {
		open_on(age);
		nops_run();
		close_it();
	}
}

BARE_TEST(each_attempt_gives_up_one_feature_more)
{
	unsigned at;

	NEEDS_LOCKED(1 << 20);
	open_on(4);
	for (at = 1; at < kernel.setups; at++) {
		/* COOP may come in when DEFER goes. */
		uint32_t before = kernel.asked[at - 1] & ~COOP;
		uint32_t now = kernel.asked[at] & ~COOP;

		ck_assert_uint_eq(now & ~before, 0);
		ck_assert_int_le(__builtin_popcount(before ^ now), 1);
	}
	close_it();
}

BARE_TEST(explain_names_each_flag_that_was_refused)
{
	static const char *const names[] = { "defer", "single_issuer", "coop",
					     "submit_all", "no_sqarray" };
	char line[64];
	size_t at;

	NEEDS_LOCKED(1 << 20);
	open_on(4);
	for (at = 0; at < 5; at++) {
		const char *found;

		snprintf(line, sizeof(line), "%-14s off ", names[at]);
		explains(line);
		found = strstr(explained(), line);
		found = strstr(found, "this kernel refused it");
		ck_assert_ptr_nonnull(found);
	}
	close_it();
}

BARE_TEST(index_array_is_filled_where_the_kernel_wants_one)
{
	const struct peal__uring *uring;
	unsigned at;

	NEEDS_LOCKED(1 << 20);
	open_on(0);
	uring = opened->engine_state;
	for (at = 0; at < opened->queues.sq_entries; at++)
		ck_assert_uint_eq(uring->ring.sq.array[at], at);
	close_it();
}

BARE_TEST(einval_with_nothing_left_to_give_up_is_told)
{
	kernel.setup_fails = -EINVAL;
	REFUSES(-EINVAL, "io_uring_setup", "256", "EINVAL");
	ck_assert_uint_eq(kernel.setups, 6);
}

BARE_TEST(kernel_that_reports_too_few_features_is_too_old)
{
	static const uint32_t needed[] = {
		PEAL__FEAT_NODROP, PEAL__FEAT_SUBMIT_STABLE,
		PEAL__FEAT_FAST_POLL, PEAL__FEAT_EXT_ARG,
		PEAL__FEAT_NATIVE_WORKERS,
	};
	size_t at;

	for (at = 0; at < 5; at++) {
		kernel.lacks_features = needed[at];
		REFUSES(-ENOSYS, "too old", "5.12", "NATIVE_WORKERS");
	}
}

BARE_TEST(features_that_are_nice_to_have_are_not_needed)
{
	kernel.lacks_features = PEAL__FEAT_NO_IOWAIT;
	ck_assert_uint_eq(open_uring(NULL)->enter_flags &
			  PEAL__ENTER_NO_IOWAIT, 0);
	explains("no_iowait      off ");
	nops_run();
	close_it();
}

/* --- refusals, each with its reason ----------------------------------- */

BARE_TEST(eperm_names_the_sysctl_or_the_filter)
{
	kernel.setup_fails = -EPERM;
	REFUSES(-EPERM, "EPERM", "io_uring_disabled", "425");
	kernel.setup_fails = -EACCES;
	REFUSES(-EACCES, "EACCES", "io_uring_disabled");
	ck_assert_uint_eq(kernel.setups, 2);
}

BARE_TEST(enosys_names_what_may_be_missing)
{
	kernel.setup_fails = -ENOSYS;
	REFUSES(-ENOSYS, "ENOSYS", "5.1", "CONFIG_IO_URING", "sandbox", "425");
}

BARE_TEST(emfile_names_the_limit_and_what_is_open)
{
	struct rlimit limit;
	char number[32];

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	snprintf(number, sizeof(number), "RLIMIT_NOFILE %llu",
		 (unsigned long long)limit.rlim_cur);
	kernel.setup_fails = -EMFILE;
	REFUSES(-EMFILE, number, "are open", "2", "ulimit -n");
}

BARE_TEST(enfile_names_the_sysctl)
{
	kernel.setup_fails = -ENFILE;
	REFUSES(-ENFILE, "fs.file-max", "sysctl -w");
}

BARE_TEST(real_limit_of_open_files_is_told)
{
	struct rlimit old, limit;
	struct peal_ring_options options = harness_options();
	int next = dup(0), result[2];

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	close(next);
	limit = old;
	limit.rlim_cur = (rlim_t)next;
	setrlimit(RLIMIT_NOFILE, &limit);
	result[0] = peal_ring_open(&opened, &options);
	ck_assert_ptr_nonnull(strstr(peal_open_reason(), "RLIMIT_NOFILE"));
	limit.rlim_cur = (rlim_t)next + 1;	/* the eventfd, not the ring */
	setrlimit(RLIMIT_NOFILE, &limit);
	result[1] = peal_ring_open(&opened, &options);
	setrlimit(RLIMIT_NOFILE, &old);
	ck_result(result[0], -EMFILE);
	ck_result(result[1], -EMFILE);
}

BARE_TEST(enter_that_is_forbidden_is_found_out_at_open)
{
	kernel.enter_fails = -EPERM;
	REFUSES(-EPERM, "io_uring_setup() is allowed", "io_uring_enter()",
		"seccomp", "425, 426 and 427");
}

BARE_TEST(register_that_is_forbidden_is_found_out_at_open)
{
	kernel.register_fails = -EPERM;
	REFUSES(-EPERM, "io_uring_register()", "seccomp", "425, 426 and 427");
}

/* --- another engine instead ------------------------------------------- */

static void falls_back(int error, const char *why)
{
	struct peal_ring_options options = harness_options();

	memset(&kernel, 0, sizeof(kernel));
	kernel.setup_fails = error;
	unsetenv("PEAL_ENGINE");
	opened = open_ring(&options);
	ck_assert_str_eq(peal_ring_engine(opened), "epoll");
	ck_assert_msg(strstr(peal_ring_engine_reason(opened),
			     "instead of uring: ") &&
		      strstr(peal_ring_engine_reason(opened), why), "%s",
		      peal_ring_engine_reason(opened));
	nops_run();
	close_it();
}

BARE_TEST(ring_without_io_uring_is_another_engine_and_says_why)
{
	falls_back(-ENOSYS, "ENOSYS");
	falls_back(-EPERM, "EPERM");
	falls_back(-EACCES, "EACCES");
}

BARE_TEST(ring_whose_enter_is_forbidden_is_another_engine)
{
	unsetenv("PEAL_ENGINE");
	kernel.enter_fails = -EPERM;
	unsetenv("PEAL_ENGINE");
	opened = open_ring(NULL);
	ck_assert_str_eq(peal_ring_engine(opened), "epoll");
	nops_run();
	close_it();
}

BARE_TEST(error_that_another_engine_has_as_well_is_told)
{
	struct peal_ring_options options = harness_options();

	unsetenv("PEAL_ENGINE");
	kernel.setup_fails = -EMFILE;
	ck_result(peal_ring_open(&opened, &options), -EMFILE);
	kernel.setup_fails = -EINVAL;
	ck_result(peal_ring_open(&opened, &options), -EINVAL);
}

BARE_TEST(unknown_error_of_set_up_is_told_as_it_is)
{
	kernel.setup_fails = -EFAULT;
	REFUSES(-EFAULT, "io_uring_setup", "EFAULT");
}

/* --- locked memory ---------------------------------------------------- */

BARE_TEST(sizes_are_halved_until_they_fit)
{
	struct peal_ring_options options = harness_options();
	const struct peal__uring *uring;

	options.entries = 4096;
	kernel.most_entries = 300;
	uring = open_uring(&options);
	ck_assert_uint_eq(uring->got_entries, 256);
	ck_assert_uint_eq(opened->queues.sq_entries, 256);
	ck_assert_uint_eq(opened->queues.cq_entries, 1024);
	explains("256 submissions, 1024 completions (asked 4096 and 16384; "
		 "RLIMIT_MEMLOCK");
	nops_run();
	close_it();
}

BARE_TEST(memory_of_closed_rings_is_waited_for_before_sizes_shrink)
{
	struct peal_ring_options options = harness_options();
	unsigned at;

	options.entries = 512;
	kernel.most_entries = 256;
	open_uring(&options);
	/* At least some attempts were made at the full size. */
	for (at = 0; at < 4; at++)
		ck_assert_uint_eq(kernel.entries[at], 512);
	ck_assert_uint_eq(kernel.entries[kernel.setups - 1], 256);
	close_it();
}

BARE_TEST(no_memory_for_the_least_ring_names_the_limit)
{
	kernel.most_entries = 1;
	REFUSES(-ENOMEM, "256 + 1024 entries", "down to 64", "RLIMIT_MEMLOCK",
		"ulimit -l");
	ck_assert_uint_eq(kernel.entries[kernel.setups - 1], 64);
}

/* The rest of a test as an ordinary user, in a child; its words come back. */
static char words[4096];

static void as_nobody(unsigned long long memlock_kib)
{
	struct rlimit limit = { memlock_kib * 1024, memlock_kib * 1024 };

	if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
	    setgid(HARNESS_NOBODY) != 0 || setuid(HARNESS_NOBODY) != 0)
		_exit(9);
}

static void open_big_as_nobody(void *arg)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;
	int result;

	(void)arg;
	as_nobody(64);
	options.engine = "uring";
	options.entries = 4096;
	result = peal_ring_open(&opened, &options);
	if (result < 0) {
		fprintf(stderr, "%s", peal_open_reason());
		_exit(1);
	}
	nops_run();
	peal_ring_explain(opened, stderr);
	_exit(peal_ring_close(opened, PEAL_S) == 0 ? 0 : 2);
}

BARE_TEST(ordinary_user_with_64_kib_gets_a_smaller_ring)
{
	int status;

	if (getuid() != 0)
		SKIP("only root can become nobody");
	status = in_child(open_big_as_nobody, NULL, words, sizeof(words));
	ck_assert_msg(status == 0, "status %#x: %s", (unsigned)status, words);
	if (strstr(words, "4096 submissions"))
		SKIP("this kernel does not count rings as locked memory");
	ck_assert_msg(strstr(words, "(asked 4096 and 16384; RLIMIT_MEMLOCK is "
			     "64 KiB: raise it)"), "%s", words);
}

static void open_without_memory(void *arg)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	(void)arg;
	as_nobody(4);
	options.engine = "uring";
	if (peal_ring_open(&opened, &options) == 0)
		_exit(0);
	fprintf(stderr, "%s", peal_open_reason());
	_exit(1);
}

BARE_TEST(ordinary_user_without_locked_memory_is_told_the_limit)
{
	int status;

	if (getuid() != 0)
		SKIP("only root can become nobody");
	status = in_child(open_without_memory, NULL, words, sizeof(words));
	if (status == 0)
		SKIP("this kernel does not count rings as locked memory");
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%#x: %s",
		      (unsigned)status, words);
	ck_assert_msg(strstr(words, "RLIMIT_MEMLOCK allows this user 4 KiB"),
		      "%s", words);
}

static void open_and_close_often(void *arg)
{
	int rounds = *(int *)arg, fd, before;

	as_nobody(8192);
	before = dup(0);
	close(before);
	while (rounds--) {
		if (peal_ring_open(&opened, NULL) != 0) {
			fprintf(stderr, "%d: %s", rounds, peal_open_reason());
			_exit(1);
		}
		if (peal_ring_close(opened, 0) != 0)
			_exit(2);
	}
	fd = dup(0);
	_exit(fd == before ? 0 : 3);
}

BARE_TEST(a_thousand_rings_one_after_another_leak_nothing)
{
	int rounds = 1000, status;

	if (getuid() != 0)
		SKIP("only root can become nobody");
	status = in_child(open_and_close_often, &rounds, words, sizeof(words));
	ck_assert_msg(status == 0, "status %#x: %s", (unsigned)status, words);
}

/* --- options ---------------------------------------------------------- */

BARE_TEST(sqpoll_ring_opens_and_runs_nops)
{
	struct peal_ring_options options = harness_options();
	const struct peal__uring *uring;

	options.flags = PEAL_RING_SQPOLL;
	options.sqpoll_idle_ms = 1;
	if (peal_ring_open(&opened, &options) < 0)
		SKIP("%s", peal_open_reason());
	uring = opened->engine_state;
	ck_assert_uint_eq(uring->setup_flags & (DEFER | COOP), 0);
	ck_assert(uring->setup_flags & PEAL__SETUP_SQPOLL);
	explains("sqpoll         on");
	explains("not with SQPOLL");
	nops_run();
	close_it();
}

BARE_TEST(iopoll_ring_opens_and_runs_nops)
{
	struct peal_ring_options options = harness_options();

	options.flags = PEAL_RING_IOPOLL;
	if (peal_ring_open(&opened, &options) < 0)
		SKIP("%s", peal_open_reason());
	explains("iopoll         on");
	nops_run();
	close_it();
}

BARE_TEST(ring_may_share_anothers_workers)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *first = open_ring(&options);

	options.attach = first;
	kernel.setups = 0;
	open_uring(&options);
	ck_assert(kernel.asked[0] & PEAL__SETUP_ATTACH_WQ);
	nops_run();
	close_ring(first);
	nops_run();
	close_it();
}

BARE_TEST(workers_can_be_limited_and_explain_tells)
{
	struct peal_ring_options options = harness_options();
	const struct peal__uring *uring;

	options.workers_bounded = 3;
	options.workers_unbounded = 5;
	uring = open_uring(&options);
	if (uring->workers_error)
		SKIP("io-wq workers: %s", peal_strerror(uring->workers_error));
	explains("io-wq workers  limited; the limits were");
	close_it();
}

BARE_TEST(sizes_are_what_was_asked_for)
{
	struct peal_ring_options options = harness_options();

	options.entries = 8;
	options.cq_entries = 64;
	open_uring(&options);
	ck_assert_uint_eq(opened->queues.sq_entries, 8);
	ck_assert_uint_eq(opened->queues.cq_entries, 64);
	nops_run();
	close_it();
}

BARE_TEST(sizes_are_rounded_up_to_powers_of_two)
{
	struct peal_ring_options options = harness_options();

	options.entries = 5;
	options.cq_entries = 33;
	open_uring(&options);
	ck_assert_uint_eq(opened->queues.sq_entries, 8);
	ck_assert_uint_eq(opened->queues.cq_entries, 64);
	nops_run();
	close_it();
}

SUITE("uring_setup")
