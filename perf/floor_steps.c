/* SPDX-License-Identifier: MIT */
/*
 * How many instructions of peal's does an operation cost, from its call to its
 * handler? Counted, not estimated: a child runs the ops, the parent steps it
 * one instruction at a time between two marks and looks at where it is. So the
 * numbers are the same on every run and on a noisy machine, and a test holds
 * them to a budget.
 *
 * Three kinds of code are told apart by address: peal's own; this program's
 * (handlers and loops, in a section of their own: not counted); and the
 * libraries that peal calls (liburing, libc, the vDSO's clock). What the
 * kernel does is not seen.
 *
 *	floor_steps [--csv] [--where OP]
 *
 * --where prints, instead, every address in peal that a batch of OP met, with
 * how often, for use with addr2line or beside objdump -d.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "peal.h"

#define BATCH	64u
#define BLOCK	4096u
#define WARM_UP	3
#define OURS	__attribute__((section("bench"), noinline))

extern const char __executable_start[], etext[];
extern const char __start_bench[], __stop_bench[];

static _Noreturn void floor_fail(const char *what, long long error)
{
	fprintf(stderr, "%s: %s\n", what, peal_strerror(error));
	exit(1);
}

/* --- the child ----------------------------------------------------------- */

static struct peal_ring *ring;
static int file;
static char *block;

/* The parent sees the child come here: a phase ends. */
OURS static void mark(void)
{
	__asm__ volatile("");
}

OURS static void on_done(struct peal_ring *where,
			 const struct peal_completion *done)
{
	(void)where;
	if (done->result < 0)
		_exit(3);
}

OURS static peal_op start_nop(void)
{
	return peal_nop(ring, 0, on_done, NULL);
}

OURS static peal_op start_read(void)
{
	return peal_read(ring, file, block, BLOCK, 0, 0, on_done, NULL);
}

OURS static peal_op start_read_full(void)
{
	return peal_read_full(ring, file, block, BLOCK, 0, 0, on_done, NULL);
}

/* In the registered form: the fixture's ring has an arena then. */
OURS static peal_op start_read_fixed(void)
{
	return peal_read(ring, file, block, BLOCK, 0, 0, on_done, NULL);
}

OURS static peal_op start_sleep(void)
{
	return peal_sleep(ring, 0, 0, on_done, NULL);
}

struct op {
	const char *name;
	peal_op (*start)(void);
	int arena;
};

static const struct op ops[] = {
	{ "nop", start_nop, 0 },
	{ "read", start_read, 0 },
	{ "read_fixed", start_read_fixed, 1 },
	{ "read_full", start_read_full, 0 },
	{ "sleep", start_sleep, 0 },
};

OURS static void one_round(const struct op *op, unsigned count)
{
	unsigned i;

	mark();
	for (i = 0; i < count; i++)
		if (op->start() < 0)
			_exit(4);
	mark();
	peal_ring_turn(ring, PEAL_FOREVER);
	mark();
	while (peal_ring_in_flight(ring))
		peal_ring_turn(ring, PEAL_FOREVER);
}

/* NULL where nothing can be registered. */
static char *arena_block(void)
{
	struct peal_arena_options options = PEAL_ARENA_OPTIONS;
	struct peal_arena *arena;

	options.bytes = BLOCK;
	if (peal_arena_open(&arena, &options) < 0 ||
	    peal_arena_register(ring, arena, PEAL_FIXED) != 0)
		return NULL;
	return peal_arena_alloc(arena, BLOCK, BLOCK);
}

static _Noreturn void child(const struct op *op, unsigned count)
{
	unsigned i;

	if (peal_ring_open(&ring, NULL) < 0)
		_exit(2);
	/* Reads of it end at once, whatever file systems are here: on tmpfs
	 * they would go to a worker, and come back when they like. */
	file = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (file < 0 || posix_memalign((void **)&block, BLOCK, BLOCK) != 0)
		_exit(2);
	if (op->arena && !(block = arena_block()))
		_exit(5);
	for (i = 0; i < WARM_UP; i++)
		one_round(op, count);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	one_round(op, count);
	_exit(0);
}

/* --- the parent ------------------------------------------------------------ */

enum phase { BEFORE, STARTING, TURNING, PHASES };

struct steps {
	unsigned long peal[PHASES];
	unsigned long libraries[PHASES];
};

static unsigned *hits;		/* by offset into the program's text */

static uintptr_t program_counter(pid_t pid)
{
	struct user_regs_struct regs;
	struct iovec iov = { .iov_base = &regs, .iov_len = sizeof regs };

	if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov) < 0)
		floor_fail("PTRACE_GETREGSET", -errno);
#if defined(__x86_64__)
	return regs.rip;
#else
	return regs.pc;
#endif
}

static void wait_for_stop(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
		return;
	fprintf(stderr, "floor_steps: the child ended, status %#x; may this "
		"process trace its children?\n", status);
	exit(1);
}

static uintptr_t step(pid_t pid)
{
	if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0)
		floor_fail("PTRACE_SINGLESTEP", -errno);
	wait_for_stop(pid);
	return program_counter(pid);
}

/* A library's instructions count when it was peal that called it. */
static void step_through(pid_t pid, struct steps *steps)
{
	const uintptr_t low = (uintptr_t)__executable_start;
	const uintptr_t high = (uintptr_t)etext;
	unsigned phase = BEFORE, by_peal = 0;

	while (phase < PHASES) {
		uintptr_t at = step(pid);

		if (at == (uintptr_t)mark) {
			phase++;
		} else if (at >= (uintptr_t)__start_bench &&
			   at < (uintptr_t)__stop_bench) {
			by_peal = 0;
		} else if (at < low || at >= high) {
			steps->libraries[phase] += by_peal;
		} else {
			by_peal = 1;
			steps->peal[phase]++;
			if (phase != BEFORE)
				hits[at - low]++;
		}
	}
}

static struct steps measure(const struct op *op, unsigned count)
{
	struct steps steps = { { 0 }, { 0 } };
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		floor_fail("fork", -errno);
	if (pid == 0)
		child(op, count);
	wait_for_stop(pid);
	step_through(pid, &steps);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return steps;
}

/* The cost of a turn is a line: fixed + count * each. */
static void report(const struct op *op, int csv)
{
	const struct steps one = measure(op, 1);
	const struct steps many = measure(op, BATCH);
	double start = (double)many.peal[STARTING] / BATCH;
	double each = ((double)many.peal[TURNING] -
		       (double)one.peal[TURNING]) / (BATCH - 1);
	double turn = (double)one.peal[TURNING] - each;
	unsigned long libraries = one.libraries[STARTING] +
				  one.libraries[TURNING];

	printf(csv ? "%s,%.1f,%.1f,%.1f,%.1f,%lu,%lu\n"
		   : "%-10s %7.1f %7.1f %8.1f   %12.1f %12lu %10lu\n",
	       op->name, start, each, start + each, turn,
	       one.peal[STARTING] + one.peal[TURNING], libraries);
}

static void print_where(const struct op *op)
{
	size_t i, size = (size_t)(etext - __executable_start);

	measure(op, BATCH);
	for (i = 0; i < size; i++)
		if (hits[i])
			printf("%8zx %u\n", i, hits[i]);
}

static void print_all(int csv)
{
	size_t i;

	if (csv)
		printf("op,start,reap,per_op,turn,batch_1,libraries\n");
	else
		printf("instructions of peal in user space, counted by "
		       "stepping; batches of %u\n"
		       "%-10s %7s %7s %8s   %12s %12s %10s\n", BATCH, "",
		       "start", "reap", "per op", "fixed a turn",
		       "one op alone", "+ libs");
	for (i = 0; i < sizeof ops / sizeof *ops; i++)
		report(&ops[i], csv);
}

int main(int argc, char **argv)
{
	size_t i, size = (size_t)(etext - __executable_start);

	hits = calloc(size, sizeof *hits);
	if (!hits)
		floor_fail("calloc", -ENOMEM);
	if (argc == 3 && strcmp(argv[1], "--where") == 0) {
		for (i = 0; i < sizeof ops / sizeof *ops; i++)
			if (strcmp(argv[2], ops[i].name) == 0)
				print_where(&ops[i]);
	} else if (argc == 1 || (argc == 2 && !strcmp(argv[1], "--csv"))) {
		print_all(argc == 2);
	} else {
		fprintf(stderr, "usage: floor_steps [--csv] [--where OP]\n");
		return 2;
	}
	free(hits);
	return 0;
}
