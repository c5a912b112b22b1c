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
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "test/harness.h"

#define MAX_TESTS	400
#define MAX_KEPT	4096
#define MAX_BUFFERS	64
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
static char test_dir[PATH_MAX];
static unsigned char fds_before[MAX_FD];
static unsigned threads_before;

/* A kept descriptor is closed only if it is still the same file. */
static struct {
	int fd;
	dev_t device;
	ino_t inode;
} kept[MAX_KEPT];
static unsigned kept_count;
static void *buffers[MAX_BUFFERS];
static unsigned buffer_count;

/* A path into PATH_MAX bytes, whole or not at all. */
static void format_path(char *to, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vsnprintf(to, PATH_MAX, format, args) >= PATH_MAX)
		abort();
	va_end(args);
}

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

/* --- the counting allocator ------------------------------------------ */

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

/* --- rings ------------------------------------------------------------ */

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

/* --- the log of completions ------------------------------------------- */

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

/* --- descriptors, files, sockets --------------------------------------- */

static void must(int holds, const char *what)
{
	ck_assert_msg(holds, "%s: %s", what, strerror(errno));
}

int keep_fd(int fd)
{
	struct stat st;

	must(fd >= 0 && fstat(fd, &st) == 0, "keep_fd");
	must(kept_count < MAX_KEPT, "MAX_KEPT");
	kept[kept_count].fd = fd;
	kept[kept_count].device = st.st_dev;
	kept[kept_count++].inode = st.st_ino;
	return fd;
}

static void close_kept(void)
{
	struct stat st;

	for (; kept_count > 0; kept_count--) {
		int fd = kept[kept_count - 1].fd;

		if (fstat(fd, &st) == 0 &&
		    st.st_dev == kept[kept_count - 1].device &&
		    st.st_ino == kept[kept_count - 1].inode)
			close(fd);
	}
}

const char *dir(void)
{
	return test_dir;
}

const char *path_in_dir(const char *name)
{
	static char paths[16][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 16];

	format_path(path, "%s/%s", test_dir, name);
	return path;
}

int make_file(const char *name, const void *data, size_t len)
{
	int fd = open(path_in_dir(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
		      0644);

	must(fd >= 0, name);
	must(write(fd, data, len) == (ssize_t)len, "write");
	must(lseek(fd, 0, SEEK_SET) == 0, "lseek");
	return keep_fd(fd);
}

int open_direct(const char *name, int flags)
{
	int fd = open(path_in_dir(name), flags | O_DIRECT | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : keep_fd(fd);
}

void make_pipe(int fds[2])
{
	must(pipe2(fds, O_CLOEXEC) == 0, "pipe2");
	keep_fd(fds[0]);
	keep_fd(fds[1]);
}

void make_socketpair(int type, int fds[2])
{
	must(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0,
	     "socketpair");
	keep_fd(fds[0]);
	keep_fd(fds[1]);
}

int make_listener(int family, struct sockaddr_storage *addr, socklen_t *len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)addr;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 && family == AF_INET6)
		return -1;
	must(fd >= 0, "socket");
	memset(addr, 0, sizeof(*addr));
	addr->ss_family = (sa_family_t)family;
	if (family == AF_INET)
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		v6->sin6_addr = in6addr_loopback;
	*len = family == AF_INET ? sizeof(*v4) : sizeof(*v6);
	if (bind(fd, (struct sockaddr *)addr, *len) != 0) {
		must(family == AF_INET6, "bind");
		close(fd);
		return -1;
	}
	must(listen(fd, 128) == 0, "listen");
	must(getsockname(fd, (struct sockaddr *)addr, len) == 0,
	     "getsockname");
	return keep_fd(fd);
}

int make_tcp_pair(int family, int fds[2])
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(family, &addr, &len);

	if (listener < 0)
		return -1;
	fds[0] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fds[0] >= 0, "socket");
	must(connect(fds[0], (struct sockaddr *)&addr, len) == 0, "connect");
	fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	must(fds[1] >= 0, "accept4");
	close(listener);
	keep_fd(fds[0]);
	keep_fd(fds[1]);
	return 0;
}

static unsigned char pattern_at(uint64_t seed, size_t at)
{
	uint64_t x = (seed + at / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned char)((x ^ x >> 29) >> 8 * (at % 8));
}

void fill_pattern(void *buf, size_t len, uint64_t seed)
{
	size_t at;

	for (at = 0; at < len; at++)
		((unsigned char *)buf)[at] = pattern_at(seed, at);
}

int has_pattern(const void *buf, size_t len, uint64_t seed)
{
	size_t at;

	for (at = 0; at < len; at++)
		if (((const unsigned char *)buf)[at] != pattern_at(seed, at))
			return 0;
	return 1;
}

void *aligned_buffer(size_t len)
{
	must(buffer_count < MAX_BUFFERS, "MAX_BUFFERS");
	must(posix_memalign(&buffers[buffer_count], 4096, len) == 0,
	     "posix_memalign");
	memset(buffers[buffer_count], 0, len);
	return buffers[buffer_count++];
}

int in_child(void (*body)(void *arg), void *arg, char *text, size_t len)
{
	struct rlimit no_core = { 0, 0 };
	size_t used = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	must(pipe2(fds, O_CLOEXEC) == 0, "pipe2");
	fflush(stdout);
	pid = fork();
	must(pid >= 0, "fork");
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
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	return status;
}

/* --- the fixture -------------------------------------------------------- */

static void list_fds(unsigned char open_fds[MAX_FD])
{
	DIR *list = opendir("/proc/self/fd");
	struct dirent *entry;
	int fd;

	must(list != NULL, "/proc/self/fd");
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

	must(list != NULL, "/proc/self/task");
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
	format_path(test_dir, "%s/t%ld", base_dir, (long)getpid());
	must(mkdir(test_dir, 0755) == 0 || errno == EEXIST, test_dir);
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

/* pthread_join() returns a moment before the kernel forgets the thread. */
static void check_threads(void)
{
	unsigned tries = 1000;

#ifdef __SANITIZE_THREAD__
	threads_before++;	/* the sanitizer's own, started late */
#endif
	while (count_threads() > threads_before && --tries)
		sched_yield();
	ck_assert_msg(tries, "%u threads, %u when the test began",
		      count_threads(), threads_before);
}

static void check_what_is_left(void)
{
	while (buffer_count > 0)
		free(buffers[--buffer_count]);
	close_kept();
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

/* --- running ------------------------------------------------------------ */

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
	const char *engine = getenv("PEAL_ENGINE");
	const char *disable = getenv("PEAL_DISABLE");

	snprintf(name, sizeof(name), "%s@%s%s%s", suite,
		 engine ? engine : "uring",
		 disable && *disable ? " without " : "",
		 disable ? disable : "");
	return name;
}

static void make_base_dir(void)
{
	const char *parent = getenv("PEAL_TEST_DIR");
	char program[PATH_MAX];

	format_path(program, "%s", harness_program);
	format_path(base_dir, "%s/tmp-XXXXXX",
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
