/* SPDX-License-Identifier: MIT */
/*
 * The half of the harness that is POSIX's: what is open, children, and running
 * the tests under libcheck, each in a fork.
 */
#define SIM_CALLS_REAL	/* what the process itself does */
#include <dirent.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "test/harness.h"

#define MAX_FD		8192
#define TEST_SECONDS	120	/* then it hangs, even on a slow machine */

static unsigned char fds_before[MAX_FD];
static unsigned threads_before;

void harness_say(const char *line)
{
	dprintf(STDOUT_FILENO, "%s\n", line);
}

/* Root may lock what it likes. */
unsigned long long harness_lockable(void)
{
	struct rlimit limit;

	if (geteuid() == 0 || getrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
	    limit.rlim_max == RLIM_INFINITY)
		return ~0ull;
	return limit.rlim_max;
}

void *harness_aligned(size_t align, size_t size)
{
	void *memory;

	if (align < sizeof(void *))
		align = sizeof(void *);
	if (posix_memalign(&memory, align, size ? size : 1) != 0)
		abort();
	return memory;
}

void harness_free(void *memory)
{
	free(memory);
}

int in_child(void (*body)(void *arg), void *arg, char *text, size_t len)
{
	struct rlimit no_core = { 0, 0 };
	size_t used = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	harness_must(pipe2(fds, O_CLOEXEC) == 0, "pipe2");
	fflush(stdout);
	pid = fork();
	harness_must(pid >= 0, "fork");
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		dup2(fds[1], STDERR_FILENO);
		body(arg);
		_exit(0);
	}
	close(fds[1]);
	while (used + 1 < len &&
	       (n = read(fds[0], text + used, len - 1 - used)) > 0)
		used += (size_t)n;
	text[used] = '\0';
	close(fds[0]);
	harness_must(waitpid(pid, &status, 0) == pid, "waitpid");
	return status;
}

/* --- what is open -------------------------------------------------------- */

static void list_fds(unsigned char open_fds[MAX_FD])
{
	DIR *list = opendir("/proc/self/fd");
	struct dirent *entry;
	int fd;

	harness_must(list != NULL, "/proc/self/fd");
	memset(open_fds, 0, MAX_FD);
	while ((entry = readdir(list)) != NULL) {
		fd = atoi(entry->d_name);
		if (entry->d_name[0] != '.' && fd != dirfd(list) && fd < MAX_FD)
			open_fds[fd] = 1;
	}
	closedir(list);
}

/* Threads of this process; the kernel's workers for io_uring do not count. */
static unsigned count_threads(void)
{
	DIR *list = opendir("/proc/self/task");
	struct dirent *entry;
	char path[300], name[32];
	unsigned count = 0;
	FILE *file;

	harness_must(list != NULL, "/proc/self/task");
	while ((entry = readdir(list)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			 entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;	/* gone meanwhile */
		if (fgets(name, sizeof(name), file) &&
		    strncmp(name, "iou-", 4) != 0)
			count++;
		fclose(file);
	}
	closedir(list);
	return count;
}

void harness_remember_what_is_open(void)
{
	list_fds(fds_before);
	threads_before = count_threads();
}

static void check_fds(void)
{
	unsigned char fds_after[MAX_FD];
	char link[64], target[256];
	ssize_t len;
	int fd;

	list_fds(fds_after);
	for (fd = 0; fd < MAX_FD; fd++) {
		if (!fds_after[fd] || fds_before[fd])
			continue;
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		len = readlink(link, target, sizeof(target) - 1);
		target[len < 0 ? 0 : len] = '\0';
		ck_abort_msg("fd %d is left open: %s", fd, target);
	}
}

/* pthread_join() returns a moment before the kernel forgets the thread, and a
 * kernel worker runs a moment before it has its name. On a busy machine moments
 * are long. */
static void check_threads(void)
{
	unsigned tries;

#ifdef __SANITIZE_THREAD__
	threads_before++;	/* the sanitizer's own, started late */
#endif
	for (tries = 0; tries < 3000; tries++) {
		if (count_threads() <= threads_before)
			return;
		poll(NULL, 0, tries < 100 ? 0 : 1);
	}
	ck_abort_msg("%u threads, %u when the test began", count_threads(),
		     threads_before);
}

void harness_check_what_is_open(void)
{
	check_fds();
	check_threads();
}

/* --- running ------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void harness_remove_tree(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static TCase *new_case(Suite *suite, int kind, const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, TEST_SECONDS);
	if (kind == HARNESS_RING)
		tcase_add_checked_fixture(tcase, harness_setup_ring,
					  harness_teardown_ring);
	else
		tcase_add_checked_fixture(tcase, harness_setup_bare,
					  harness_teardown_bare);
	suite_add_tcase(suite, tcase);
	return tcase;
}

/* Recorded, each has a case of its own: see harness_record.c. */
static void add_tests(Suite *suite, int kind, const char *pick)
{
	TCase *tcase = NULL;
	unsigned at;

	for (at = 0; at < harness_test_count; at++) {
		const TTest *test = harness_tests[at].test;

		if (harness_tests[at].kind != kind ||
		    (pick && !strstr(test->name, pick)))
			continue;
		if (harness_record_skips(suite, test->name))
			continue;
		if (!tcase || harness_records())
			tcase = new_case(suite, kind, kind == HARNESS_RING
							      ? "ring"
							      : "bare");
		harness_record_add(tcase, test->name);
		tcase_add_test(tcase, test);
	}
}

static char *suite_name(const char *suite)
{
	static char name[512];
	const char *disable = getenv("PEAL_DISABLE");

	snprintf(name, sizeof(name), "%s@%s%s%s", suite, getenv("PEAL_ENGINE"),
		 disable && *disable ? " without " : "",
		 disable ? disable : "");
	return name;
}

static void make_base_dir(void)
{
	const char *parent = getenv("PEAL_TEST_DIR");
	char program[PATH_MAX];

	harness_path(program, "%s", harness_program);
	harness_path(harness_base_dir, "%s/tmp-XXXXXX",
		    parent ? parent : dirname(program));
	if (!mkdtemp(harness_base_dir)) {
		perror(harness_base_dir);
		exit(2);
	}
}

int harness_main(int argc, char **argv, const char *suite)
{
	static char program[PATH_MAX];
	SRunner *runner;
	Suite *all;
	int failed;

	harness_program = realpath("/proc/self/exe", program);
	if (argc > 1 && strcmp(argv[1], "--role") == 0 && harness_role)
		return harness_role(argc - 2, argv + 2);
	/* No test passes on another engine than the one it names. */
	setenv("PEAL_ENGINE", "uring", 0);
	make_base_dir();
	all = suite_create(suite_name(suite));
	add_tests(all, HARNESS_RING, argc > 1 ? argv[1] : NULL);
	add_tests(all, 0, argc > 1 ? argv[1] : NULL);
	runner = srunner_create(all);
	srunner_run_all(runner, CK_VERBOSE);
	failed = srunner_ntests_failed(runner);
	if (srunner_ntests_run(runner) == 0)
		failed = 1;
	srunner_free(runner);
	harness_remove_tree(harness_base_dir);
	return failed ? 1 : 0;
}
