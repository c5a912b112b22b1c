/* SPDX-License-Identifier: MIT */
/*
 * The harness of the libcheck programs: see harness.h. It owns the fixture
 * (ring, directory, descriptors, buffers of one test) and the log of
 * completions. All of it lives in the child that runs one test, so nothing is
 * ever reset; only the list of tests and the directory that holds the tests'
 * own directories belong to the parent.
 */
#include <dirent.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "test/harness.h"

#define MAX_TESTS	400
#define MAX_FD		8192
#define TURN_NS		(10 * PEAL_MS)
#define IDLE_NS		(8 * PEAL_S)	/* then nothing will come */
#define CLOSE_NS	(10 * PEAL_S)
#define TEST_SECONDS	30

static struct {
	const TTest *test;
	int kind;
} tests[MAX_TESTS];
static unsigned test_count;

const char *harness_program;
int (*harness_role)(int argc, char **argv);
struct peal_ring *ring;

static char base_dir[PATH_MAX];
char harness_dir[PATH_MAX];
static unsigned char fds_before[MAX_FD];
static unsigned threads_before;

void harness_add(const TTest *test, int kind)
{
	if (test_count == MAX_TESTS)
		abort();
	tests[test_count].test = test;
	tests[test_count++].kind = kind;
}

void harness_skip(const char *test, const char *format, ...)
{
	char reason[512];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	dprintf(STDOUT_FILENO, "SKIP %s: %s\n", test, reason);
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

int disabled(const char *feature)
{
	const char *at = getenv("PEAL_DISABLE");
	size_t len = strlen(feature);

	while (at && *at) {
		if (strncmp(at, feature, len) == 0 &&
		    (at[len] == ',' || at[len] == '\0'))
			return 1;
		at = strchr(at, ',');
		at = at ? at + 1 : NULL;
	}
	return 0;
}

/* --- the counting allocator ---------------------------------------------- */

unsigned long alloc_calls, alloc_fail_at;
int alloc_fail_on;
static size_t alloc_bytes;
static pthread_mutex_t alloc_lock = PTHREAD_MUTEX_INITIALIZER;

static int alloc_fails(size_t size)
{
	int fails;

	pthread_mutex_lock(&alloc_lock);
	alloc_calls++;
	fails = alloc_fail_at && (alloc_calls == alloc_fail_at ||
				  (alloc_fail_on &&
				   alloc_calls > alloc_fail_at));
	if (!fails)
		alloc_bytes += size;
	pthread_mutex_unlock(&alloc_lock);
	return fails;
}

static void *counting_alloc(void *ctx, size_t size, size_t align)
{
	void *memory;

	(void)ctx;
	if (alloc_fails(size))
		return NULL;
	if (align < sizeof(void *))
		align = sizeof(void *);
	if (posix_memalign(&memory, align, size ? size : 1) != 0)
		abort();
	memset(memory, 0, size);
	return memory;
}

static void counting_free(void *ctx, void *memory, size_t size)
{
	(void)ctx;
	if (!memory)
		return;
	pthread_mutex_lock(&alloc_lock);
	alloc_bytes -= size;
	pthread_mutex_unlock(&alloc_lock);
	memset(memory, 0xdd, size);
	free(memory);
}

size_t alloc_outstanding(void)
{
	size_t bytes;

	pthread_mutex_lock(&alloc_lock);
	bytes = alloc_bytes;
	pthread_mutex_unlock(&alloc_lock);
	return bytes;
}

/* --- rings --------------------------------------------------------------- */

struct peal_ring_options harness_options(void)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	options.allocator.alloc = counting_alloc;
	options.allocator.free = counting_free;
	return options;
}

struct peal_ring *open_ring(const struct peal_ring_options *options)
{
	struct peal_ring *opened = NULL;
	int result = peal_ring_open(&opened, options);

	ck_assert_msg(result == 0, "peal_ring_open: %s: %s",
		      harness_errno(result), peal_open_reason());
	ck_assert_ptr_nonnull(opened);
	return opened;
}

void close_ring(struct peal_ring *which)
{
	int result = peal_ring_close(which, CLOSE_NS);

	if (result == -ETIMEDOUT)
		peal_ring_dump(which, stdout);
	ck_result(result, 0);
}

void reopen_ring(const struct peal_ring_options *options)
{
	close_ring(ring);
	ring = open_ring(options);
}

/* Time, and not turns, since a ring that has a post half written turns without
 * waiting for its writer to be scheduled again. */
void harness_turn(struct peal_ring *which, uint64_t *idle_since,
		  const char *cond, const char *file, int line)
{
	int ran = peal_ring_turn(which, *idle_since ? TURN_NS : 0);
	uint64_t now = peal_ring_now(which);

	ck_assert_msg(ran >= 0, "%s:%d: peal_ring_turn: %s", file, line,
		      harness_errno(ran));
	if (ran || !*idle_since)
		*idle_since = ran ? 0 : now;
	if (!*idle_since || now - *idle_since < IDLE_NS)
		return;
	peal_ring_dump(which, stdout);
	fflush(stdout);
	ck_abort_msg("%s:%d: waited in vain for: %s", file, line, cond);
}

void settle(void)
{
	unsigned turn;

	for (turn = 0; turn < 20; turn++)
		ck_ok(peal_ring_turn(ring, turn < 15 ? 0 : PEAL_MS));
}

/* --- the log of completions ---------------------------------------------- */

static struct outcome *outcomes;
static size_t outcome_count, outcome_room;
static unsigned completions;

/* The latest ops are the ones that are asked for. */
static struct outcome *find_outcome(peal_op op)
{
	size_t at;

	for (at = outcome_count; at > 0; at--)
		if (outcomes[at - 1].op == op)
			return &outcomes[at - 1];
	return NULL;
}

static struct outcome *new_outcome(peal_op op)
{
	struct outcome *entry;

	if (outcome_count == outcome_room) {
		outcome_room = outcome_room ? 2 * outcome_room : 64;
		outcomes = realloc(outcomes, outcome_room * sizeof(*outcomes));
		if (!outcomes)
			abort();
	}
	entry = &outcomes[outcome_count++];
	memset(entry, 0, sizeof(*entry));
	entry->op = op;
	return entry;
}

void on_done(struct peal_ring *where, const struct peal_completion *done)
{
	struct outcome *entry = find_outcome(done->op);

	(void)where;
	if (!entry)
		entry = new_outcome(done->op);
	ck_assert_msg(!entry->terminal, "op %llx has completed before",
		      (unsigned long long)done->op);
	entry->result = done->result;
	entry->flags = done->flags;
	entry->buf = done->buf;
	entry->ctx = done->ctx;
	entry->calls++;
	entry->order = ++completions;
	if (!(done->flags & PEAL_MORE))
		entry->terminal = 1;
}

const struct outcome *outcome(peal_op op)
{
	static const struct outcome nothing;
	const struct outcome *entry = find_outcome(op);

	return entry ? entry : &nothing;
}

int finished(peal_op op)
{
	return (int)outcome(op)->terminal;
}

const struct outcome *finish_outcome(peal_op op)
{
	ck_assert_msg(op > 0, "the op was not started: %lld (%s)",
		      (long long)op, harness_errno(op));
	UNTIL(finished(op));
	return outcome(op);
}

int64_t finish(peal_op op)
{
	return finish_outcome(op)->result;
}

int64_t finish_or_refused(peal_op op)
{
	return op < 0 ? op : finish(op);
}

const char *harness_errno(int64_t error)
{
	const char *name;

	if (error >= 0)
		return "no error";
	name = strerrorname_np((int)-error);
	return name ? name : "?";
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

/* --- the fixture --------------------------------------------------------- */

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

static void remember_what_is_open(void)
{
	harness_path(harness_dir, "%s/t%ld", base_dir, (long)getpid());
	harness_must(mkdir(harness_dir, 0755) == 0 || errno == EEXIST, harness_dir);
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

static void check_what_is_left(void)
{
	harness_let_go();
	check_fds();
	check_threads();
	ck_assert_msg(alloc_outstanding() == 0, "%zu bytes not given back",
		      alloc_outstanding());
	free(outcomes);
	outcomes = NULL;
	outcome_count = outcome_room = 0;
}

static void setup_ring(void)
{
	struct peal_ring_options options = harness_options();

	remember_what_is_open();
	ring = open_ring(&options);
}

static void teardown_ring(void)
{
	if (ring)
		close_ring(ring);
	ring = NULL;
	check_what_is_left();
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

static void add_tests(Suite *suite, int kind, const char *pick)
{
	TCase *tcase = tcase_create(kind == HARNESS_RING ? "ring" : "bare");
	unsigned at;

	tcase_set_timeout(tcase, TEST_SECONDS);
	if (kind == HARNESS_RING)
		tcase_add_checked_fixture(tcase, setup_ring, teardown_ring);
	else
		tcase_add_checked_fixture(tcase, remember_what_is_open,
					  check_what_is_left);
	for (at = 0; at < test_count; at++)
		if (tests[at].kind == kind &&
		    (!pick || strstr(tests[at].test->name, pick)))
			tcase_add_test(tcase, tests[at].test);
	suite_add_tcase(suite, tcase);
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
	harness_path(base_dir, "%s/tmp-XXXXXX",
		    parent ? parent : dirname(program));
	if (!mkdtemp(base_dir)) {
		perror(base_dir);
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
	nftw(base_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return failed ? 1 : 0;
}
