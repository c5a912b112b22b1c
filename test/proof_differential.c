/* SPDX-License-Identifier: MIT */
/*
 * The same call in the same world on each engine: what it answers and what it
 * leaves behind must be the same. Every op meets every kind of descriptor,
 * with arguments drawn from a seed (PEAL_TEST_SEED adds another). A difference
 * that is the kernel's stands in known[], with its reason; any other fails.
 */
#include "test/scene_calls.h"

#define PATIENCE	(3 * PEAL_MS)	/* then a call is held to wait */
#define LONG_PATIENCE	(300 * PEAL_MS)	/* before a difference is believed; */
#define MOST_PATIENCE	(3 * PEAL_S)	/* the machine may be busy */
#define STUCK		(2 * PEAL_S)

static const struct {
	const char *name, *engine, *disable;
} engines[] = {
	{ "io_uring", "uring", NULL },
	{ "io_uring of 5.10", "uring", "multishot,op:mkdir,op:symlink,op:link,"
	  "op:socket,op:bind,op:listen,op:ftruncate" },
	{ "epoll", "epoll", NULL },
	{ "old epoll", "epoll", "epoll_pwait2,rwf_nowait,multishot" },
};

enum { ENGINES = sizeof(engines) / sizeof(*engines) };

/* What became of a call; all of it is compared. */
struct outcome_of {
	char result[64];
	unsigned mode;		/* O_NONBLOCK and the like; 0: closed */
	long long offset;
	uint32_t tree, peer, data, out, rest;
};

static struct peal_ring *rings[ENGINES];
static int dirs[ENGINES];
static struct run run;
static struct {
	int64_t first, last;
	unsigned more, terminal;
} seen;

static void on_seen(struct peal_ring *where,
		    const struct peal_completion *done)
{
	(void)where;
	if (!seen.more && !seen.terminal)
		seen.first = done->result;
	seen.last = done->result;
	if (done->flags & PEAL_MORE)
		seen.more++;
	else
		seen.terminal++;
}

/* A descriptor that a call made is not counted among its numbers. */
static int makes_fd(const char *name)
{
	return !strcmp(name, "open") || !strcmp(name, "socket") ||
	       !strncmp(name, "accept", 6);
}

static void on_seen_fd(struct peal_ring *where,
		       const struct peal_completion *done)
{
	struct peal_completion copy = *done;

	if (done->result >= 0) {
		int fd = (int)done->result;

		copy.result = 1000000 + fcntl(fd, F_GETFL) * 10 +
			      fcntl(fd, F_GETFD);
		close(fd);
	}
	on_seen(where, &copy);
}

/* 1: it has ended, or has told something and goes on. */
static int waits_no_more(uint64_t patience)
{
	uint64_t until = peal_ring_now(run.ring) + patience;

	do {
		ck_ok(peal_ring_turn(run.ring, patience));
		if (seen.terminal)
			return 1;
	} while (!seen.more && peal_ring_now(run.ring) < until);
	return 0;
}

static void end_it(peal_op op, struct outcome_of *out)
{
	peal_cancel(run.ring, op, 0, NULL, NULL);
	if (!waits_no_more(STUCK) && !seen.terminal) {
		scene_end(&run.scene);	/* whoever waits for the other end */
		scene_end(&run.other);
		seen.more = 0;
		while (!seen.terminal && waits_no_more(STUCK) == 0)
			seen.more = 0;
		snprintf(out->result, sizeof(out->result), "stuck, then %s",
			 harness_errno(seen.last));
	}
}

static void tell_result(struct outcome_of *out, int waited)
{
	const char *more = seen.more ? "again and again, first " : "";
	int64_t result = seen.more ? seen.first : seen.last;

	if (waited && !seen.more && result == -ECANCELED)
		snprintf(out->result, sizeof(out->result), "waits");
	else if (result < 0)
		snprintf(out->result, sizeof(out->result), "%s%s", more,
			 harness_errno(result));
	else
		snprintf(out->result, sizeof(out->result), "%s%lld", more,
			 (long long)result);
}

static uint32_t sum_out(const struct call *call)
{
	const struct peal_stat *stat = &run.out.stat;
	uint32_t sum = 1;

	if (strcmp(call->name, "stat") != 0)
		return 0;
	sum = scene_sum(sum, &stat->mask, sizeof(stat->mask));
	sum = scene_sum(sum, &stat->mode, sizeof(stat->mode));
	sum = scene_sum(sum, &stat->links, sizeof(stat->links));
	return sum;
}

static void look_around(const struct call *call, struct outcome_of *out)
{
	struct scene rest = run.scene;
	int fd = run.scene.fd, listing = !strcmp(call->name, "read_dir");
	int mode = fd < 0 ? -1 : fcntl(fd, F_GETFL);

	out->mode = mode < 0 ? 0 : (unsigned)mode + 1;
	out->offset = mode < 0 || listing ? 0 : lseek(fd, 0, SEEK_CUR);
	out->peer = scene_sum_peer(&run.scene);
	rest.peer = mode < 0 || out->offset >= 0 ? -1 : fd;
	out->rest = scene_sum_peer(&rest);
	out->tree = scene_sum_tree(run.scene.dir, 0);
	out->data = listing ? 0 : scene_sum(1, run.buf, CALL_BUF);
	out->out = sum_out(call);
}

/* One call on one engine. */
static void do_call(const struct call *call, enum scene_kind kind,
		    uint64_t seed, unsigned engine, uint64_t patience,
		    struct outcome_of *out)
{
	int waited;
	peal_op op;

	memset(out, 0, sizeof(*out));
	memset(&run.out, 0, sizeof(run.out));
	memset(&seen, 0, sizeof(seen));
	run.ring = rings[engine];
	run.random = seed;
	/* io_uring_enter() itself waits in the write of a full terminal. */
	run.most = kind == TERMINAL ? 100 : CALL_BUF;
	run.said[0] = '\0';
	run.list = NULL;
	run.other = (struct scene){ .fd = -1, .peer = -1 };
	run.handler = makes_fd(call->name) ? on_seen_fd : on_seen;
	fill_pattern(run.buf, CALL_BUF, seed);
	ck_assert_int_eq(fchdir(dirs[engine]), 0);
	scene_begin(&run.scene, dirs[engine], kind);
	op = call->start(&run);
	if (op < 0) {
		snprintf(out->result, sizeof(out->result), "refused with %s",
			 harness_errno(op));
	} else {
		waited = !waits_no_more(patience);
		if (waited || !seen.terminal)
			end_it(op, out);
		if (!out->result[0])
			tell_result(out, waited);
	}
	look_around(call, out);
	if (run.list)
		freeaddrinfo(run.list);
	scene_end(&run.scene);
	scene_end(&run.other);
}

/* --- what is different, and why ------------------------------------------- */

/* Each string is a part of what it is compared with; NULL: whatever. */
static const struct {
	const char *call, *kind, *said, *engine;
	const char *field;
	const char *first, *second;	/* results of io_uring and the engine */
	const char *reason;
} known[] = {
	{ "accept", "listener", NULL, "epoll", "mode", NULL, NULL,
	  "a listener that rings share stays nonblocking: shim/ready.c" },
	{ "accept_multishot", NULL, "flags 0x10", NULL, "result", NULL, NULL,
	  "given to a worker, io_uring waits before it looks what it is" },
	{ "connect", "new tcp", NULL, "epoll", "rest", "ECONNREFUSED",
	  "ECONNREFUSED", "connect(2) took the error that read(2) would get" },
	{ NULL, "epoll", NULL, "epoll", "result", "waits", "EINVAL",
	  "io_uring polls what it cannot read" },
	{ "r", "terminal", NULL, "epoll", "result", "waits", NULL,
	  "io_uring polls a terminal before it looks at the arguments" },
	{ NULL, NULL, "rw_flags 0x8000000", "epoll", "result", "EOPNOTSUPP",
	  NULL, "preadv2(2) looks at its flags last" },
	{ NULL, "eventfd", NULL, "epoll", "result", "EINVAL", "0",
	  "preadv2(2) of no bytes does not ask the descriptor" },
	{ NULL, "timerfd", NULL, "epoll", "result", "EINVAL", "0",
	  "preadv2(2) of no bytes does not ask the descriptor" },
	{ "writev", "file", "rw_flags 0x8", "epoll", "result", "EAGAIN", "0",
	  "pwritev2(2) of no bytes does not look at its flags" },
	{ NULL, NULL, "parts 1025", "epoll", "result", "EINVAL", "E",
	  "io_uring reads the parts before it looks at the descriptor" },
	{ NULL, NULL, "rw_flags 0x8", "old epoll", NULL, NULL, "EOPNOTSUPP",
	  "no RWF_NOWAIT means that the program has none either" },
	{ NULL, NULL, NULL, "old epoll", "result", "EINVAL", "waits",
	  "without RWF_NOWAIT a descriptor is looked at before the call" },
	{ NULL, "listener", NULL, "old epoll", "result", NULL, "waits",
	  "without RWF_NOWAIT a descriptor is looked at before the call" },
	{ NULL, "epoll", "rw_flags 0x8", "epoll", "result", NULL, "EINVAL",
	  "io_uring looks at the flags before it finds nothing to read" },
	{ NULL, NULL, "rw_flags 0x8", "epoll", "result", "EOPNOTSUPP", "0",
	  "preadv2(2) of no bytes does not look at its flags" },
	{ "writev", "eventfd", "rw_flags", "epoll", "result", NULL, NULL,
	  "pwritev2(2) refuses flags where there is only a plain write" },
	{ "stat", NULL, NULL, "epoll", "result", "ENOENT", "EINVAL",
	  "statx(2) looks at its flags before the path" },
	{ "truncate", NULL, NULL, NULL, "result", "EBADF", "EINVAL",
	  "ftruncate(2) looks at the length before the descriptor" },
	{ "link", NULL, "\"\"", NULL, "result", "ENOENT", "E",
	  "io_uring reads both paths before it looks at anything else" },
	{ "rename", NULL, "\"\"", "epoll", "result", "ENOENT", "E",
	  "io_uring reads both paths before it looks at anything else" },
	{ "splice", NULL, "offset", "epoll", "result", "E", "E",
	  "which of two things that are wrong is told" },
	{ "msg", NULL, "parts 1025", "epoll", "result", "EMSGSIZE", NULL,
	  "io_uring reads the header before it looks at the descriptor" },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};

static int holds_part(const char *whole, const char *part)
{
	return !part || strstr(whole, part);
}

static int is_known(const struct call *call, enum scene_kind kind,
		    unsigned engine, const char *field,
		    const struct outcome_of *a, const struct outcome_of *b)
{
	size_t at;

	for (at = 0; known[at].reason; at++)
		if (holds_part(call->name, known[at].call) &&
		    holds_part(scene_names[kind], known[at].kind) &&
		    holds_part(run.said, known[at].said) &&
		    holds_part(engines[engine].name, known[at].engine) &&
		    holds_part(field, known[at].field) &&
		    holds_part(a->result, known[at].first) &&
		    holds_part(b->result, known[at].second))
			return 1;
	return 0;
}

/* The first field that differs and is not known to; NULL: none. */
static const char *difference(const struct call *call, enum scene_kind kind,
			      unsigned engine, const struct outcome_of *a,
			      const struct outcome_of *b)
{
#define FIELD(name, same)						\
	do {								\
		if (!(same) && !is_known(call, kind, engine,	\
					   name, a, b))			\
			return name;					\
	} while (0)

	FIELD("result", !strcmp(a->result, b->result));
	FIELD("mode", a->mode == b->mode);
	FIELD("offset", a->offset == b->offset);
	FIELD("tree", a->tree == b->tree);
	FIELD("peer", a->peer == b->peer);
	FIELD("rest", a->rest == b->rest);
	FIELD("data", a->data == b->data);
	FIELD("out", a->out == b->out);
	return NULL;
}

/* --- the comparison ------------------------------------------------------- */

static unsigned calls, differences;

static void compare(const struct call *call, enum scene_kind kind,
		    uint64_t seed)
{
	struct outcome_of want, got;
	unsigned engine;
	const char *field;
	uint64_t patience;

	do_call(call, kind, seed, 0, PATIENCE, &want);
	patience = strcmp(want.result, "waits") ? LONG_PATIENCE : PATIENCE;
	for (engine = 1; engine < ENGINES; engine++) {
		calls++;
		do_call(call, kind, seed, engine, patience, &got);
		if (!difference(call, kind, engine, &want, &got))
			continue;
		for (patience = LONG_PATIENCE, field = "";
		     field && patience <= MOST_PATIENCE; patience *= 10) {
			do_call(call, kind, seed, 0, patience, &want);
			do_call(call, kind, seed, engine, patience, &got);
			field = difference(call, kind, engine, &want, &got);
		}
		patience = LONG_PATIENCE;
		if (!field)
			continue;
		differences++;
		printf("%s of %s (seed %llu):%s: %s differs: io_uring says %s, "
		       "%s says %s (mode %#x %#x, offset %lld %lld)\n",
		       call->name, scene_names[kind], (unsigned long long)seed,
		       run.said, field, want.result, engines[engine].name,
		       got.result, want.mode, got.mode, want.offset,
		       got.offset);
		fflush(stdout);
	}
}

/* 0: there is no io_uring here. */
static int open_rings(void)
{
	struct peal_ring_options options = harness_options();
	char name[8];
	unsigned at;

	unsetenv("PEAL_DISABLE");
	for (at = 0; at < ENGINES; at++) {
		snprintf(name, sizeof(name), "e%u", at);
		harness_must(mkdirat(AT_FDCWD, path_in_dir(name), 0777) == 0,
			     name);
		chmod(path_in_dir(name), 0777);
		dirs[at] = keep_fd(open(path_in_dir(name), O_RDONLY |
					O_DIRECTORY | O_CLOEXEC));
	}
	for (at = 0; at < ENGINES; at++) {
		options.engine = engines[at].engine;
		options.disable = engines[at].disable;
		if (peal_ring_open(&rings[at], &options) < 0)
			return 0;
	}
	return 1;
}

static void close_rings(void)
{
	unsigned at;

	harness_must(chdir("/") == 0, "chdir");
	for (at = 0; at < ENGINES; at++) {
		close_ring(rings[at]);
		scene_clear(dirs[at], 0);
	}
}

/* The call of that name on every kind. */
static void compare_call(const char *name)
{
	const char *extra = getenv("PEAL_TEST_SEED");
	uint64_t seed = 1 + (extra ? strtoull(extra, NULL, 0) : 0);
	size_t at = 0, kind;

	while (strcmp(scene_calls[at].name, name) != 0)
		at++;
	for (kind = 0; kind < SCENE_KINDS; kind++)
		compare(&scene_calls[at], (enum scene_kind)kind,
			(seed * SCENE_CALLS + at) * SCENE_KINDS + kind +
			UINT64_C(0x9e3779b97f4a7c15));
	close_rings();
	ck_assert_msg(differences == 0, "%u of %u calls differ", differences,
		      calls);
	ck_assert_uint_eq(calls, SCENE_KINDS * (ENGINES - 1));
}

#define DIFFERENTIAL(name)						\
	BARE_TEST(name##_is_the_same_on_every_engine)			\
	{								\
		if (!open_rings())					\
			SKIP("%s", peal_open_reason());			\
		compare_call(#name);					\
	}

/* Where root may do anything. */
#define OF_USER(name)							\
	BARE_TEST(name##_of_an_ordinary_user_is_the_same)		\
	{								\
		uid_t before = geteuid();				\
									\
		if (!open_rings())					\
			SKIP("%s", peal_open_reason());			\
		if (before == 0)					\
			harness_must(seteuid(65534) == 0, "seteuid");	\
		compare_call(#name);					\
		harness_must(seteuid(before) == 0, "seteuid");		\
	}

DIFFERENTIAL(read)
DIFFERENTIAL(write)
DIFFERENTIAL(read_full)
DIFFERENTIAL(write_full)
DIFFERENTIAL(readv)
DIFFERENTIAL(writev)
DIFFERENTIAL(recvmsg)
DIFFERENTIAL(sendmsg)
DIFFERENTIAL(recv)
DIFFERENTIAL(send)
DIFFERENTIAL(send_full)
DIFFERENTIAL(splice)
DIFFERENTIAL(copy_range)
DIFFERENTIAL(sync)
DIFFERENTIAL(datasync)
DIFFERENTIAL(sync_range)
DIFFERENTIAL(allocate)
DIFFERENTIAL(punch)
DIFFERENTIAL(zero_range)
DIFFERENTIAL(truncate)
DIFFERENTIAL(advise)
DIFFERENTIAL(stat)
DIFFERENTIAL(open)
DIFFERENTIAL(rename)
DIFFERENTIAL(link)
DIFFERENTIAL(symlink)
DIFFERENTIAL(unlink)
DIFFERENTIAL(mkdir)
DIFFERENTIAL(close)
DIFFERENTIAL(close_drained)
DIFFERENTIAL(read_dir)
DIFFERENTIAL(statfs)
DIFFERENTIAL(seek_data)
DIFFERENTIAL(seek_hole)
DIFFERENTIAL(socket)
DIFFERENTIAL(bind)
DIFFERENTIAL(connect)
DIFFERENTIAL(listen)
DIFFERENTIAL(accept)
DIFFERENTIAL(accept_multishot)
DIFFERENTIAL(shutdown)
DIFFERENTIAL(poll)
DIFFERENTIAL(poll_multishot)
DIFFERENTIAL(nop)
DIFFERENTIAL(resolve)

OF_USER(stat)
OF_USER(open)
OF_USER(rename)
OF_USER(link)
OF_USER(symlink)
OF_USER(unlink)
OF_USER(mkdir)

SUITE("differential")
