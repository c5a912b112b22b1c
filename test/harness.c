/* SPDX-License-Identifier: MIT */
/*
 * The harness of the libcheck programs: see harness.h. It owns the fixture
 * (ring, directory, descriptors, buffers of one test) and the log of
 * completions. All of it lives in the process that runs one test, so nothing is
 * ever reset; only the list of tests and the directory that holds the tests'
 * own directories belong to the parent. What depends on the system (processes,
 * what is open) is in harness_posix.c and windows/harness_windows.c.
 */
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>

#include "test/harness.h"

#define TURN_NS		(10 * PEAL_MS)
/* Then nothing will come; the turns count, too, since a machine may stand still
 * for as long as it likes. */
#define IDLE_NS		(20 * PEAL_S)
#define IDLE_TURNS	200

struct harness_test harness_tests[HARNESS_TESTS];
unsigned harness_test_count;

const char *harness_program;
int (*harness_role)(int argc, char **argv);
struct peal_ring *ring;

char harness_base_dir[PATH_MAX];
char harness_dir[PATH_MAX];

void harness_add(const TTest *test, int kind)
{
	if (harness_test_count == HARNESS_TESTS)
		abort();
	harness_tests[harness_test_count].test = test;
	harness_tests[harness_test_count++].kind = kind;
}

void harness_skip(const char *test, const char *format, ...)
{
	char line[512];
	va_list args;
	int len = snprintf(line, sizeof(line), "SKIP %s: ", test);

	va_start(args, format);
	vsnprintf(line + len, sizeof(line) - (size_t)len, format, args);
	va_end(args);
	harness_say(line);
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
	memory = harness_aligned(align, size);
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
	harness_free(memory);
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

/* For a user who may lock little, the memory of the ring of the test before may
 * not be back yet: the kernel gives it back in its own time, and a busy machine
 * may take longer than the library waits. */
struct peal_ring *open_ring(const struct peal_ring_options *options)
{
	struct peal_ring *opened = NULL;
	unsigned tries = harness_lockable() < 1 << 20 ? 20 : 1;
	int result;

	do {
		result = peal_ring_open(&opened, options);
	} while (result == -ENOMEM && --tries);
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

/* A simulated ring's time does not pass while other threads get on. */
static uint64_t real_ns(void)
{
#ifdef _WIN32
	return 0;
#else
	struct timespec now;

	(clock_gettime)(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * PEAL_S + (uint64_t)now.tv_nsec;
#endif
}

/* Not turns alone, since a ring that has a post half written turns without
 * waiting for its writer to be scheduled again. */
void harness_turn(struct peal_ring *which, struct harness_idle *idle,
		  const char *cond, const char *file, int line)
{
	int ran = peal_ring_turn(which, idle->turns ? TURN_NS : 0);
	uint64_t now = on_sim() ? real_ns() : peal_ring_now(which);

	ck_assert_msg(ran >= 0, "%s:%d: peal_ring_turn: %s", file, line,
		      harness_errno(ran));
	if (!ran && on_sim())
		sched_yield();
	idle->turns = ran ? 0 : idle->turns + 1;
	if (idle->turns <= 1)
		idle->since = now;
	if (idle->turns < IDLE_TURNS || now - idle->since < IDLE_NS)
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

void forget_outcomes(void)
{
	outcome_count = 0;
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

unsigned opcode_named(const char *name)
{
	unsigned at;

	for (at = 0; peal_opcode_name(at); at++)
		if (strcmp(peal_opcode_name(at), name) == 0)
			return at;
	ck_abort_msg("no opcode has the name %s", name);
	return 0;
}

/* --- the fixture --------------------------------------------------------- */

/* A process may have the number of one that ran a test before, on a machine that
 * starts many; and with CK_FORK=no all tests have one. */
static void make_test_dir(void)
{
	unsigned tries = 0;

	harness_path(harness_dir, "%s/t%ld", harness_base_dir, (long)getpid());
	while (mkdir(harness_dir, 0755) != 0) {
		harness_must(errno == EEXIST, harness_dir);
		harness_path(harness_dir, "%s/t%ld-%u", harness_base_dir,
			     (long)getpid(), ++tries);
	}
}

void harness_setup_bare(void)
{
	make_test_dir();
	harness_record_begin();
	harness_must(mkdir(harness_dir, 0755) == 0 || errno == EEXIST,
		     harness_dir);
	sim_begin(harness_dir);
	harness_remember_what_is_open();
}

void harness_teardown_bare(void)
{
	harness_record_end();
	harness_let_go();
	harness_check_what_is_open();
	ck_assert_uint_eq(sim_end(), 0);	/* descriptors */
	ck_assert_msg(alloc_outstanding() == 0, "%zu bytes not given back",
		      alloc_outstanding());
	free(outcomes);
	outcomes = NULL;
	outcome_count = outcome_room = 0;
}

void harness_setup_ring(void)
{
	struct peal_ring_options options = harness_options();

	harness_setup_bare();
	ring = open_ring(&options);
}

void harness_teardown_ring(void)
{
	if (ring)
		close_ring(ring);
	ring = NULL;
	harness_teardown_bare();
}
