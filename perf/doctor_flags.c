/* SPDX-License-Identifier: MIT */
/*
 * Each flag and each registration of io_uring, tried on rings of their own.
 * The header that this is built with may be older than the kernel, so all are
 * named here by number. What a kernel does not know it refuses with EINVAL;
 * the arguments are such that nothing else does, and nothing is left behind.
 */
#include <errno.h>
#include <liburing.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "peal.h"
#include "perf/doctor.h"
#include "perf/side.h"

#define ENTRIES		8u
#define PATIENCE_NS	2000000000u /* for memory */
#define SLOTS	16		/* registered rings of a thread */

#define BIT(n)	(1u << (n))
#define IOPOLL		BIT(0)
#define SQPOLL		BIT(1)
#define ATTACH_WQ	BIT(5)
#define COOP		BIT(8)
#define CQE32		BIT(11)
#define SINGLE		BIT(12)
#define DEFER		BIT(13)
#define NO_MMAP		BIT(14)
#define ONLY_REGISTERED	BIT(15)
#define NO_SQARRAY	BIT(16)

#define REGISTERED_RING		4	/* an enter flag's bit */
#define CQE_SKIP_SUCCESS	6	/* an entry flag's */
#define PERSONALITY		9u
#define UNREGISTER_RING_FDS	21u
#define QUERY			35u
#define BY_SLOT			BIT(31)	/* of a registration: the descriptor
					 * is a slot of the thread's rings */

struct query {
	uint64_t next, data;
	uint32_t query, size;
	int32_t result;
	uint32_t zero[3];
};

struct known {
	uint32_t ops, registrations;
	uint64_t features, set_up, enter, entry;
	uint32_t queries, pad;
};

/* By bit. */
static const struct {
	const char *name;
	unsigned with;		/* what else it takes */
} flags[] = {
	{ "IOPOLL", 0 },	   { "SQPOLL", 0 },
	{ "SQ_AFF", SQPOLL },	   { "CQSIZE", 0 },
	{ "CLAMP", 0 },		   { "ATTACH_WQ", 0 },
	{ "R_DISABLED", 0 },	   { "SUBMIT_ALL", 0 },
	{ "COOP_TASKRUN", 0 },	   { "TASKRUN_FLAG", COOP },
	{ "SQE128", 0 },	   { "CQE32", 0 },
	{ "SINGLE_ISSUER", 0 },	   { "DEFER_TASKRUN", SINGLE },
	{ "NO_MMAP", 0 },	   { "REGISTERED_FD_ONLY", NO_MMAP },
	{ "NO_SQARRAY", 0 },	   { "HYBRID_IOPOLL", IOPOLL },
	{ "CQE_MIXED", 0 },	   { "SQE_MIXED", 0 },
	{ "SQ_REWIND", NO_SQARRAY },
};

static const char *const enter_flags[] = {
	"GETEVENTS", "SQ_WAKEUP", "SQ_WAIT", "EXT_ARG", "REGISTERED_RING",
	"ABS_TIMER", "EXT_ARG_REG", "NO_IOWAIT",
};

static const char *const entry_flags[] = {
	"FIXED_FILE", "IO_DRAIN", "IO_LINK", "IO_HARDLINK", "ASYNC",
	"BUFFER_SELECT", "CQE_SKIP_SUCCESS",
};

enum argument { NOTHING, BAD_POINTER };

/* By number. A pointer that cannot be read is EFAULT, what is not registered
 * cannot be taken back: ENXIO. */
static const struct {
	const char *name;
	enum argument argument;
	unsigned count;
	int no_ring;		/* it is asked of no ring */
} registrations[] = {
	{ "BUFFERS", BAD_POINTER, 1, 0 },
	{ "-BUFFERS", NOTHING, 0, 0 },
	{ "FILES", BAD_POINTER, 1, 0 },
	{ "-FILES", NOTHING, 0, 0 },
	{ "EVENTFD", BAD_POINTER, 1, 0 },
	{ "-EVENTFD", NOTHING, 0, 0 },
	{ "FILES_UPDATE", BAD_POINTER, 1, 0 },
	{ "EVENTFD_ASYNC", BAD_POINTER, 1, 0 },
	{ "PROBE", BAD_POINTER, 1, 0 },
	{ "PERSONALITY", NOTHING, 0, 0 },
	/* Of a number that the one before gave. */
	{ "-PERSONALITY", NOTHING, 1, 0 },
	{ "RESTRICTIONS", BAD_POINTER, 1, 0 },
	{ "ENABLE_RINGS", NOTHING, 0, 0 },
	{ "FILES2", BAD_POINTER, 32, 0 },
	{ "FILES_UPDATE2", BAD_POINTER, 32, 0 },
	{ "BUFFERS2", BAD_POINTER, 32, 0 },
	{ "BUFFERS_UPDATE", BAD_POINTER, 32, 0 },
	{ "IOWQ_AFF", BAD_POINTER, 8, 0 },
	{ "-IOWQ_AFF", NOTHING, 0, 0 },
	{ "IOWQ_MAX_WORKERS", BAD_POINTER, 2, 0 },
	{ "RING_FDS", BAD_POINTER, 1, 0 },
	{ "-RING_FDS", BAD_POINTER, 1, 0 },
	{ "PBUF_RING", BAD_POINTER, 1, 0 },
	{ "-PBUF_RING", BAD_POINTER, 1, 0 },
	{ "SYNC_CANCEL", BAD_POINTER, 1, 0 },
	{ "FILE_ALLOC_RANGE", BAD_POINTER, 0, 0 },
	{ "PBUF_STATUS", BAD_POINTER, 1, 0 },
	{ "NAPI", BAD_POINTER, 1, 0 },
	{ "-NAPI", BAD_POINTER, 1, 0 },
	{ "CLOCK", BAD_POINTER, 0, 0 },
	{ "CLONE_BUFFERS", BAD_POINTER, 1, 0 },
	{ "SEND_MSG_RING", BAD_POINTER, 1, 1 },
	{ "ZCRX_IFQ", BAD_POINTER, 1, 0 },
	{ "RESIZE_RINGS", BAD_POINTER, 1, 0 },
	{ "MEM_REGION", BAD_POINTER, 1, 0 },
	{ "QUERY", BAD_POINTER, 0, 1 },
	{ "ZCRX_CTRL", BAD_POINTER, 0, 0 },
};

#define COUNT(array)	(sizeof (array) / sizeof *(array))

/* --- lists of words, broken into lines ----------------------------------- */

static unsigned column, words;

void doctor_words_begin(const char *name)
{
	words = 0;
	column = (unsigned)printf("       %-16s", name);
}

void doctor_word(const char *text)
{
	if (column + strlen(text) > 70) {
		printf("\n%24s", "");
		column = 24;
	}
	column += (unsigned)printf(" %s", text);
	words++;
}

void doctor_words_end(void)
{
	printf("%s\n", words ? "" : " none");
}

/* What the kernel says that it has, and these lists have not. */
static void unnamed(const char *what, uint64_t bits, size_t names)
{
	uint64_t more = bits >> names << names;

	if (more)
		printf("%24s and %s %#llx, without a name here\n", "", what,
		       (unsigned long long)more);
}

/* --- rings --------------------------------------------------------------- */

struct trial {
	struct io_uring_params params;
	int fd;			/* < 0: refused */
	int error;		/* with it */
	char *memory;		/* its own, for NO_MMAP */
	size_t memory_len;
};

static int registers(int fd, unsigned what, const void *argument,
		     unsigned count)
{
	return (int)syscall(SYS_io_uring_register, fd, what, argument, count);
}

/* The address is the last member of either; its name differs by header. */
static void place(void *end_of_offsets, const void *memory)
{
	uint64_t address = (uintptr_t)memory;

	memcpy((char *)end_of_offsets - sizeof address, &address,
	       sizeof address);
}

/* A closed ring gives back later what it had locked. */
static int is_early(uint64_t until)
{
	return clock_now() < until && sched_yield() == 0;
}

int doctor_ring(struct io_uring *ring, struct io_uring_params *params)
{
	uint64_t until = clock_now() + PATIENCE_NS;
	int rc;

	do
		rc = io_uring_queue_init_params(ENTRIES, ring, params);
	while (rc == -ENOMEM && is_early(until));
	return rc;
}

static void trial_open(struct trial *trial, unsigned with, int other)
{
	struct io_uring_params *params = &trial->params;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint64_t until = clock_now() + PATIENCE_NS;

	memset(trial, 0, sizeof *trial);
	params->flags = with;
	params->cq_entries = 2 * ENTRIES;
	params->sq_thread_cpu = (unsigned)sched_getcpu();
	params->wq_fd = (unsigned)(with & ATTACH_WQ ? other : 0);
	if (with & NO_MMAP) {
		trial->memory_len = 2 * page;
		trial->memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		place(&params->sq_off + 1, trial->memory);
		place(&params->cq_off + 1, trial->memory + page);
	}
	do
		trial->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, params);
	while (trial->fd < 0 && errno == ENOMEM && is_early(until));
	trial->error = trial->fd < 0 ? errno : 0;
}

static void trial_close(struct trial *trial)
{
	struct io_uring_files_update at = { 0 };

	if (trial->fd >= 0 && trial->params.flags & ONLY_REGISTERED) {
		at.offset = (unsigned)trial->fd;
		registers(trial->fd, UNREGISTER_RING_FDS | BY_SLOT, &at, 1);
	} else if (trial->fd >= 0) {
		close(trial->fd);
	}
	if (trial->memory && trial->memory != MAP_FAILED)
		munmap(trial->memory, trial->memory_len);
}

/* --- what is known ------------------------------------------------------- */

static void ask(struct known *known)
{
	struct query query = { .size = sizeof *known };

	memset(known, 0, sizeof *known);
	query.data = (uintptr_t)known;
	if (registers(-1, QUERY, &query, 0) < 0 || query.result < 0)
		memset(known, 0, sizeof *known);
}

static struct {
	const char *name;
	int error;		/* 0: it is there */
	int known;		/* says the kernel */
} answers[64];

static unsigned answered;

static void answer(const char *name, int error, uint64_t known)
{
	answers[answered].name = name;
	answers[answered].error = error;
	answers[answered++].known = known != 0;
}

/* What is there, and what is not; why, if it is not that the kernel is without
 * it. */
static void say(const char *what)
{
	char text[80];
	unsigned i;

	doctor_words_begin(what);
	for (i = 0; i < answered; i++)
		if (!answers[i].error)
			doctor_word(answers[i].name);
	doctor_words_end();
	doctor_words_begin("  refused");
	for (i = 0; i < answered; i++) {
		/* It ends in the error's name. */
		const char *error = strrchr(peal_strerror(-answers[i].error),
					    '(');

		if (!answers[i].error)
			continue;
		snprintf(text, sizeof text, "%s %s", answers[i].name,
			 error ? error : "(?)");
		doctor_word(answers[i].known || answers[i].error != EINVAL
				    ? text : answers[i].name);
	}
	doctor_words_end();
	answered = 0;
}

static void try_set_up(int other, uint64_t known)
{
	struct trial trial;
	size_t i;

	for (i = 0; i < COUNT(flags); i++) {
		trial_open(&trial, BIT(i) | flags[i].with, other);
		answer(flags[i].name, trial.error, known & BIT(i));
		trial_close(&trial);
	}
	say("set-up flags");
	unnamed("flags", known, COUNT(flags));
}

/* A slot that no ring is in is not EINVAL. */
static void try_enter(int ring, uint64_t known)
{
	size_t i;

	for (i = 0; i < COUNT(enter_flags); i++) {
		int fd = i == REGISTERED_RING ? SLOTS - 1 : ring;
		long rc = syscall(SYS_io_uring_enter, fd, 0, 0, BIT(i), NULL,
				  0);

		answer(enter_flags[i], rc < 0 && errno == EINVAL ? EINVAL : 0,
		       known & BIT(i));
	}
	say("enter flags");
	unnamed("flags", known, COUNT(enter_flags));
}

/* The result of a NOP that has this flag. */
static int nop_with(struct io_uring *ring, unsigned bit)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int rc;

	io_uring_prep_nop(entry);
	entry->flags = (uint8_t)BIT(bit);
	rc = io_uring_submit(ring);
	if (rc < 0)
		return rc;
	/* Of this one only an error is said, and at once. */
	rc = bit == CQE_SKIP_SUCCESS ? io_uring_peek_cqe(ring, &cqe)
				     : io_uring_wait_cqe(ring, &cqe);
	if (rc < 0)
		return 0;
	rc = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return rc;
}

static void try_entry(uint64_t known)
{
	struct io_uring_params params = { 0 };
	struct io_uring ring;
	unsigned i;

	if (doctor_ring(&ring, &params) < 0)
		return;
	for (i = 0; i < COUNT(entry_flags); i++)
		answer(entry_flags[i],
		       nop_with(&ring, i) == -EINVAL ? EINVAL : 0,
		       known & BIT(i));
	io_uring_queue_exit(&ring);
	say("entry flags");
	unnamed("flags", known, COUNT(entry_flags));
}

static int try_registration(int fd, unsigned which)
{
	unsigned count = registrations[which].count;
	const void *bad = (const void *)-(intptr_t)sysconf(_SC_PAGESIZE);
	int rc;

	if (which == PERSONALITY + 1) {
		rc = registers(fd, PERSONALITY, NULL, 0);
		count = rc > 0 ? (unsigned)rc : 1;
	}
	rc = registers(registrations[which].no_ring ? -1 : fd, which,
		       registrations[which].argument == NOTHING ? NULL : bad,
		       count);
	if (rc < 0 && (errno == EINVAL || errno == EOPNOTSUPP))
		return errno;
	return 0;
}

static void try_registrations(int fd, unsigned known)
{
	unsigned i;

	for (i = 0; i < COUNT(registrations); i++)
		answer(registrations[i].name, try_registration(fd, i),
		       i < known);
	say("registrations");
	if (known > COUNT(registrations))
		printf("%24s and %zu more, without a name here\n", "",
		       known - COUNT(registrations));
}

void doctor_flags(void)
{
	struct trial ring;
	struct known known;

	/* Some registrations want all of these. */
	trial_open(&ring, SINGLE | DEFER | CQE32, -1);
	if (ring.fd < 0)
		trial_open(&ring, 0, -1);
	ask(&known);
	try_set_up(ring.fd, known.set_up);
	try_enter(ring.fd, known.enter);
	try_entry(known.entry);
	try_registrations(ring.fd, known.registrations);
	trial_close(&ring);
}
