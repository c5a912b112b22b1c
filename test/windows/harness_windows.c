/* SPDX-License-Identifier: MIT */
/*
 * The half of the harness that is Windows's: what is open, processes, and
 * running the tests.
 *
 *   PROGRAM [PART]           runs the tests whose name contains PART, each as
 *   PROGRAM --test NAME N    a process of its own. N is 0; in a child that the
 *                            test itself asked for with in_child(), it says
 *                            which of its calls that was
 *
 * There is no fork: in_child() starts the same test again, which comes to the
 * same call and runs the body there. Its lines are libcheck's, so that test/run
 * need not know.
 */
#include <winsock2.h>
#include <windows.h>
#include <winternl.h>
#include <tlhelp32.h>
#include <limits.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "test/harness.h"
#include "test/windows/cannot.h"

#define TEST_MS		120000
#define MAX_HANDLE	65536
/* A mutex of the threads' library makes an event when it is contended first, and
 * keeps it. A leak in every ring is more than this. */
#define SPARE_EVENTS	4
#define STATUS_CRASHED	100	/* after the reason has been printed */
#define STATUS_CANNOT	101	/* a child of a test; on its standard error: why */

static const struct harness_test *running;
static unsigned children_left;		/* in_child()'s body runs at 0 */
static int is_child;
static unsigned char handles_before[MAX_HANDLE / 4];
static unsigned threads_before;
static int events_left = SPARE_EVENTS;

/* --- words --------------------------------------------------------------- */

void harness_say(const char *line)
{
	HANDLE out = GetStdHandle(STD_OUTPUT_HANDLE);
	DWORD written;

	fflush(stdout);
	WriteFile(out, line, (DWORD)strlen(line), &written, NULL);
	WriteFile(out, "\n", 1, &written, NULL);
}

static const char *kind_of(const struct harness_test *test)
{
	return test->kind == HARNESS_RING ? "ring" : "bare";
}

static void say_result(const struct harness_test *test, char result,
		       const char *file, int line, const char *words)
{
	static char text[4096];

	snprintf(text, sizeof(text), "%s:%d:%c:%s:%s:0: %s", file, line, result,
		 kind_of(test), test->test->name, words);
	harness_say(text);
}

_Noreturn static void leave(unsigned status)
{
	fflush(stdout);
	TerminateProcess(GetCurrentProcess(), status);
	abort();
}

_Noreturn void harness_failed(const char *file, int line, const char *format,
			      ...)
{
	static char words[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	say_result(running, 'F', file, line, words);
	leave(STATUS_CRASHED);
}

int posix_no(const char *why)
{
	if (is_child) {
		fputs(why, stderr);
		fflush(stderr);
		leave(STATUS_CANNOT);
	}
	harness_skip(running->test->name, "%s", why);
	leave(0);
}

static LONG WINAPI on_exception(EXCEPTION_POINTERS *what)
{
	char words[100];

	snprintf(words, sizeof(words), "exception 0x%lx at %p",
		 what->ExceptionRecord->ExceptionCode,
		 what->ExceptionRecord->ExceptionAddress);
	say_result(running, 'E', running->test->file, running->test->line,
		   words);
	leave(STATUS_CRASHED);
}

/* --- memory -------------------------------------------------------------- */

unsigned long long harness_lockable(void)
{
	return ~0ull;
}

void *harness_aligned(size_t align, size_t size)
{
	void *memory = _aligned_malloc(size ? size : 1, align < 16 ? 16 : align);

	if (!memory)
		abort();
	return memory;
}

void harness_free(void *memory)
{
	_aligned_free(memory);
}

/* --- what is open -------------------------------------------------------- */

struct handle_entry {
	ULONG process;
	BYTE type;
	BYTE flags;
	USHORT handle;
	void *object;
	ULONG access;
};

/* Calls each() for every handle of this process. GetProcessHandleCount() would
 * do on Windows; Wine's says 0. */
static void for_each_handle(void (*each)(unsigned handle, unsigned type))
{
	static const ULONG system_handles = 16;
	static struct {
		ULONG count;
		struct handle_entry entries[MAX_HANDLE];
	} list;
	ULONG at, len;

	harness_must(NtQuerySystemInformation(system_handles, &list,
					      sizeof(list), &len) == 0,
		     "NtQuerySystemInformation");
	for (at = 0; at < list.count; at++)
		if (list.entries[at].process == GetCurrentProcessId())
			each(list.entries[at].handle, list.entries[at].type);
}

static void note_handle(unsigned handle, unsigned type)
{
	handles_before[handle / 4] = (unsigned char)(type + 1);
}

static void check_handle(unsigned handle, unsigned type)
{
	union {
		UNICODE_STRING name;
		char room[1024];
	} info;
	ULONG len;

	if (handles_before[handle / 4])
		return;
	memset(&info, 0, sizeof(info));
	NtQueryObject((HANDLE)(uintptr_t)handle, ObjectTypeInformation, &info,
		      sizeof(info), &len);
	if (info.name.Buffer && wcscmp(info.name.Buffer, L"Event") == 0 &&
	    events_left-- > 0)
		return;
	ck_abort_msg("handle 0x%x is left open: type %u, %ls", handle, type,
		     info.name.Buffer ? info.name.Buffer : L"?");
}

static unsigned count_threads(void)
{
	THREADENTRY32 entry = { .dwSize = sizeof(entry) };
	HANDLE list = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
	unsigned count = 0;
	BOOL more;

	harness_must(list != INVALID_HANDLE_VALUE, "the list of threads");
	for (more = Thread32First(list, &entry); more;
	     more = Thread32Next(list, &entry))
		count += entry.th32OwnerProcessID == GetCurrentProcessId();
	CloseHandle(list);
	return count;
}

void harness_remember_what_is_open(void)
{
	for_each_handle(note_handle);
	threads_before = count_threads();
}

void harness_check_what_is_open(void)
{
	unsigned tries;

	for_each_handle(check_handle);
	/* Joining returns a moment before the thread is off the list. */
	for (tries = 0; count_threads() > threads_before; tries++) {
		if (tries == 3000)
			ck_abort_msg("%u threads, %u when the test began",
				     count_threads(), threads_before);
		Sleep(tries < 100 ? 0 : 1);
	}
}

/* --- children ------------------------------------------------------------ */

/* Starts this program with args; its standard error goes to err. */
static HANDLE start(const char *args, HANDLE err)
{
	STARTUPINFOA startup = { .cb = sizeof(startup) };
	PROCESS_INFORMATION process;
	static char command[2 * PATH_MAX];

	startup.dwFlags = STARTF_USESTDHANDLES;
	startup.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
	startup.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
	startup.hStdError = err;
	snprintf(command, sizeof(command), "\"%s\" %s", harness_program, args);
	harness_must(CreateProcessA(harness_program, command, NULL, NULL, TRUE,
				    0, NULL, NULL, &startup, &process),
		     command);
	CloseHandle(process.hThread);
	return process.hProcess;
}

static DWORD wait_for(HANDLE process, DWORD timeout_ms)
{
	DWORD status = STILL_ACTIVE;

	if (WaitForSingleObject(process, timeout_ms) == WAIT_OBJECT_0)
		GetExitCodeProcess(process, &status);
	else
		TerminateProcess(process, 1);
	CloseHandle(process);
	return status;
}

int in_child(void (*body)(void *arg), void *arg, char *text, size_t len)
{
	static unsigned calls;
	SECURITY_ATTRIBUTES inherit = { sizeof(inherit), NULL, TRUE };
	HANDLE process, from, to;
	char args[200];
	size_t used = 0;
	DWORD n, status;

	calls++;
	if (is_child) {
		if (--children_left > 0)
			posix_no("a child that needs two children");
		body(arg);
		exit(0);
	}
	fflush(stdout);
	harness_must(CreatePipe(&from, &to, &inherit, 0), "CreatePipe");
	SetHandleInformation(from, HANDLE_FLAG_INHERIT, 0);
	snprintf(args, sizeof(args), "--test %s %u", running->test->name,
		 calls);
	process = start(args, to);
	CloseHandle(to);
	while (used + 1 < len &&
	       ReadFile(from, text + used, (DWORD)(len - 1 - used), &n, NULL) &&
	       n > 0)
		used += n;
	text[used] = '\0';
	CloseHandle(from);
	status = wait_for(process, TEST_MS);
	if (status == STATUS_CANNOT)
		posix_no(text);
	return status == 3 ? SIGABRT : (int)status << 8;  /* 3: abort() */
}

/* --- running ------------------------------------------------------------- */

#define WARM_THREADS	8

static void *wait_for_all(void *arg)
{
	atomic_uint *here = arg;

	atomic_fetch_add(here, 1);
	while (atomic_load(here) < WARM_THREADS)
		Sleep(0);
	return NULL;
}

/* Winsock and the threads' library make handles once, and keep them: they must
 * be there before the fixture counts. A leak per ring is still seen. */
static void make_what_is_made_once(void)
{
	struct peal_ring *first;
	pthread_t ids[WARM_THREADS];
	atomic_uint here = 0;
	unsigned at;

	posix_start_sockets();
	for (at = 0; at < WARM_THREADS; at++)
		if (pthread_create(&ids[at], NULL, wait_for_all, &here) != 0)
			abort();
	for (at = 0; at < WARM_THREADS; at++)
		pthread_join(ids[at], NULL);
	alloc_outstanding();
	if (peal_ring_open(&first, NULL) == 0)
		peal_ring_close(first, PEAL_S);
}

static int run_one(const char *name, unsigned child)
{
	unsigned at;

	is_child = child > 0;
	children_left = child;
	SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
	for (at = 0; at < harness_test_count; at++)
		if (strcmp(harness_tests[at].test->name, name) == 0)
			running = &harness_tests[at];
	if (!running)
		return 2;
	if (!is_child)
		SetUnhandledExceptionFilter(on_exception);
	make_what_is_made_once();
	if (running->kind == HARNESS_RING)
		harness_setup_ring();
	else
		harness_setup_bare();
	running->test->fn(0);
	if (running->kind == HARNESS_RING)
		harness_teardown_ring();
	else
		harness_teardown_bare();
	leave(0);
}

/* Whether it passed, or was skipped, which libcheck calls passed, too. */
static int run_in_child(const struct harness_test *test, const char *suite)
{
	const char *why = harness_cannot_run(suite, test->test->name);
	const char *file = test->test->file;
	char words[200];
	DWORD status;

	running = test;
	if (why) {
		harness_skip(test->test->name, "%s", why);
		status = 0;
	} else {
		snprintf(words, sizeof(words), "--test %s 0",
			 test->test->name);
		status = wait_for(start(words, GetStdHandle(STD_ERROR_HANDLE)),
				  TEST_MS);
	}
	if (status == 0) {
		say_result(test, 'P', file, test->test->line, "Passed");
	} else if (status == STILL_ACTIVE) {
		say_result(test, 'E', file, test->test->line,
			   "Test timeout expired");
	} else if (status != STATUS_CRASHED) {
		snprintf(words, sizeof(words), "ended with status 0x%lx",
			 status);
		say_result(test, 'E', file, test->test->line, words);
	}
	return status == 0;
}

static void remove_tree(const wchar_t *path)
{
	WIN32_FIND_DATAW entry;
	wchar_t below[PATH_MAX];
	HANDLE list;

	swprintf(below, PATH_MAX, L"%ls\\*", path);
	list = FindFirstFileW(below, &entry);
	if (list == INVALID_HANDLE_VALUE)
		return;
	do {
		if (wcscmp(entry.cFileName, L".") == 0 ||
		    wcscmp(entry.cFileName, L"..") == 0)
			continue;
		swprintf(below, PATH_MAX, L"%ls\\%ls", path, entry.cFileName);
		SetFileAttributesW(below, FILE_ATTRIBUTE_NORMAL);
		if (entry.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)
			remove_tree(below);
		else
			DeleteFileW(below);
	} while (FindNextFileW(list, &entry));
	FindClose(list);
	RemoveDirectoryW(path);
}

/* The directory is the parent's; its children find it in the environment. */
static void make_base_dir(void)
{
	const char *parent = getenv("PEAL_TEST_DIR");
	static char setting[PATH_MAX + 20];

	harness_path(harness_base_dir, "%s/tmp-%lx-%lx", parent ? parent : ".",
		     GetCurrentProcessId(), GetTickCount());
	harness_must(CreateDirectoryA(harness_base_dir, NULL),
		     harness_base_dir);
	snprintf(setting, sizeof(setting), "PEAL_TEST_BASE=%s",
		 harness_base_dir);
	_putenv(setting);
}

static int is_test(const char *name)
{
	unsigned at;

	for (at = 0; at < harness_test_count; at++)
		if (strcmp(harness_tests[at].test->name, name) == 0)
			return 1;
	return 0;
}

static int run_all(const char *pick, const char *suite)
{
	const char *unknown = harness_cannot_unknown(suite, is_test);
	wchar_t base[PATH_MAX];
	unsigned at, passed = 0, failed = 0;

	if (unknown) {
		fprintf(stderr, "cannot.c: %s is no test\n", unknown);
		return 1;
	}
	/* Constructors run from the last to the first here. */
	for (at = harness_test_count; at-- > 0;) {
		const struct harness_test *test = &harness_tests[at];

		if (pick && !strstr(test->test->name, pick))
			continue;
		if (run_in_child(test, suite))
			passed++;
		else
			failed++;
	}
	MultiByteToWideChar(CP_UTF8, 0, harness_base_dir, -1, base, PATH_MAX);
	remove_tree(base);
	printf("%u%%: Checks: %u, Failures: %u\n",
	       passed * 100 / (passed + failed ? passed + failed : 1),
	       passed + failed, failed);
	return failed || !passed ? 1 : 0;
}

int harness_main(int argc, char **argv, const char *suite)
{
	static char program[PATH_MAX];

	GetModuleFileNameA(NULL, program, sizeof(program));
	harness_program = program;
	if (argc > 1 && strcmp(argv[1], "--role") == 0 && harness_role)
		return harness_role(argc - 2, argv + 2);
	if (!getenv("PEAL_ENGINE"))
		_putenv("PEAL_ENGINE=iocp");
	if (argc > 3 && strcmp(argv[1], "--test") == 0) {
		harness_path(harness_base_dir, "%s", getenv("PEAL_TEST_BASE"));
		return run_one(argv[2], (unsigned)atoi(argv[3]));
	}
	make_base_dir();
	return run_all(argc > 1 ? argv[1] : NULL, suite);
}
