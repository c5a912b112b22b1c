/* SPDX-License-Identifier: MIT */
/*
 * Random programs of ops against a ledger. Every op that was accepted gets
 * exactly one terminal completion, with its own context and handle; every post
 * runs once; no handler runs inside a call; nothing leaks, whatever is
 * cancelled, timed out, posted or closed by whom and when, from outside a
 * handler or inside one.
 *
 * A failure names its seed; SEED=n in the environment runs that one alone.
 */
#include <inttypes.h>
#include <sys/eventfd.h>
#include "test/harness.h"

enum { OPS = 96, PIPES = 4, STEPS = 250, BYTES = 3000 };

#ifdef __SANITIZE_ADDRESS__
enum { SEEDS = 40 };
#else
enum { SEEDS = 150 };
#endif

struct entry {
	peal_op op;		/* 0: free */
	int pipe;		/* close_drained: which one; else -1 */
	int end;
	int takes_fd;		/* the result is a descriptor to close */
	char buf[BYTES];
};

/* Wine takes a hundred times as long for a step. */
static unsigned seeds(void)
{
	return strcmp(HARNESS_ENGINE, "iocp") ? SEEDS : SEEDS / 5;
}

static struct entry ledger[OPS];
static int pipes[PIPES][2];	/* socket pairs, in truth; -1: closed */
static int closing[PIPES][2];
static int listener, event_fd, file_fd;
static struct sockaddr_storage listen_addr;
static socklen_t listen_len;
static uint64_t seed, state;
static unsigned depth, terminals, accepted, posted, posts_run;
static int in_call;		/* a call of the library has not returned */
static unsigned fds_open;	/* before a program */

static uint32_t rnd(uint32_t below)
{
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(state >> 33) % below;
}

#define FAIL_UNLESS(cond) \
	ck_assert_msg(cond, "%s, with SEED=%" PRIu64, #cond, seed)

static void act(void);
static void new_pipe(int i);

static void on_closed(const struct entry *entry, int64_t result)
{
	closing[entry->pipe][entry->end] = 0;
	if (result == 0)
		pipes[entry->pipe][entry->end] = -1;
	new_pipe(entry->pipe);
}

static void on_any(struct peal_ring *where, const struct peal_completion *done)
{
	struct entry *entry = done->ctx;

	FAIL_UNLESS(where == ring && !in_call);
	FAIL_UNLESS(entry->op == done->op);
	if (entry->takes_fd && done->result >= 0)
		close((int)done->result);
	if (!(done->flags & PEAL_MORE)) {
		FAIL_UNLESS(!peal_op_in_flight(ring, done->op));
		terminals++;
		entry->op = 0;
		if (entry->pipe >= 0)
			on_closed(entry, done->result);
	} else {
		FAIL_UNLESS(peal_op_in_flight(ring, done->op));
	}
	if (depth < 3 && rnd(3) == 0) {
		depth++;
		act();
		depth--;
	}
	if (rnd(40) == 0)
		peal_ring_stop(ring);
}

static void on_post(struct peal_ring *where, void *ctx)
{
	FAIL_UNLESS(where == ring && ctx == ledger && !in_call);
	posts_run++;
	if (depth < 3) {
		depth++;
		act();
		depth--;
	}
}

static unsigned count_fds(void)
{
	unsigned count = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void new_pipe(int i)
{
	int end;

	for (end = 0; end < 2; end++)
		if (pipes[i][end] >= 0)
			return;
	FAIL_UNLESS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			       pipes[i]) == 0);
}

static struct entry *free_entry(void)
{
	int i;

	for (i = 0; i < OPS; i++)
		if (!ledger[i].op)
			return &ledger[i];
	return NULL;
}

static peal_op any_op(void)
{
	return ledger[rnd(OPS)].op;
}

static peal_op start_socket_op(struct entry *e, int fd)
{
	size_t len = 1 + rnd(BYTES - 1);

	switch (rnd(8)) {
	case 0:
		return peal_recv(ring, fd, e->buf, len, 0, 0, on_any, e);
	case 1:
		return peal_send(ring, fd, e->buf, len, 0, 0, on_any, e);
	case 2:
		return peal_send_full(ring, fd, e->buf, len, 0, 0, on_any, e);
	case 3:
		return peal_read_full(ring, fd, e->buf, len, PEAL_CURRENT, 0,
				      on_any, e);
	case 4:
		return peal_write_full(ring, fd, e->buf, len, PEAL_CURRENT, 0,
				       on_any, e);
	case 5:
		return peal_poll(ring, fd, POLLIN, 0, on_any, e);
	case 6:
		return peal_poll_multishot(ring, fd, POLLOUT, 0, on_any, e);
	default:
		return peal_read(ring, fd, e->buf, len, PEAL_CURRENT,
				 rnd(4) ? 0 : PEAL_ASYNC, on_any, e);
	}
}

static peal_op start_file_op(struct entry *e)
{
	uint64_t offset = rnd(100000);
	size_t len = rnd(BYTES);

	switch (rnd(6)) {
	case 0:
		return peal_read(ring, file_fd, e->buf, len, offset, 0,
				 on_any, e);
	case 1:
		return peal_write(ring, file_fd, e->buf, len, offset, 0,
				  on_any, e);
	case 2:
		return peal_write_full(ring, file_fd, e->buf, len, offset, 0,
				       on_any, e);
	case 3:
		return peal_read_full(ring, file_fd, e->buf, len, offset, 0,
				      on_any, e);
	case 4:
		return peal_datasync(ring, file_fd, 0, on_any, e);
	default:
		e->takes_fd = 1;
		return peal_open(ring, PEAL_CWD, "/dev/null", O_RDONLY, 0, 0,
				 on_any, e);
	}
}

static peal_op start_listener_op(struct entry *e)
{
	e->takes_fd = 1;
	if (rnd(2))
		return peal_accept(ring, listener, NULL, NULL, 0, on_any, e);
	return peal_accept_multishot(ring, listener, 0, on_any, e);
}

/* A connection that nobody keeps. */
static void knock(void)
{
	int fd = socket(listen_addr.ss_family,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	connect(fd, (struct sockaddr *)&listen_addr, listen_len);
	close(fd);
}

static peal_op start_close(struct entry *e)
{
	int i = (int)rnd(PIPES), end = (int)rnd(2);
	peal_op op;

	if (pipes[i][end] < 0 || closing[i][end])
		return -EBADF;
	e->pipe = i;
	e->end = end;
	if (rnd(3))
		op = peal_close_drained(ring, pipes[i][end], 0, on_any, e);
	else
		op = peal_close(ring, pipes[i][end], 0, on_any, e);
	closing[i][end] = op > 0;
	return op;
}

static peal_op start_any(struct entry *e)
{
	int i = (int)rnd(PIPES), end = (int)rnd(2);
	int fd = closing[i][end] ? -1 : pipes[i][end];

	switch (rnd(14)) {
	case 0:
		return peal_nop(ring, 0, on_any, e);
	case 1:
		return peal_sleep(ring, rnd(2000000), 0, on_any, e);
	case 2:
		return start_file_op(e);
	case 3:
		return start_listener_op(e);
	case 4:
		return peal_poll_multishot(ring, event_fd, POLLIN, 0, on_any,
					   e);
	case 5:
		return start_close(e);
	case 6:
		return peal_cancel(ring, any_op(), 0, on_any, e);
	case 7:
		return rnd(4) ? -EAGAIN
			      : peal_cancel_fd(ring, fd, 0, on_any, e);
	case 8:
		return rnd(30) ? -EAGAIN : peal_cancel_all(ring, 0, on_any, e);
	default:
		return fd < 0 ? -EBADF : start_socket_op(e, fd);
	}
}

static void start(void)
{
	struct entry *e = free_entry();
	peal_op op;

	if (!e)
		return;
	e->pipe = -1;
	e->takes_fd = 0;
	e->op = -1;		/* taken: start_any() may look at the ledger */
	in_call = 1;
	op = start_any(e);
	in_call = 0;
	e->op = op > 0 ? op : 0;
	if (op <= 0)
		return;
	accepted++;
	if (rnd(4) == 0)
		peal_deadline(ring, op, rnd(3000000),
			      rnd(2) ? PEAL_EARLY : 0);
}

static void act(void)
{
	static const uint64_t one = 1;

	in_call = 1;
	switch (rnd(13)) {
	case 0:
		peal_cancel(ring, any_op(), 0, NULL, NULL);
		break;
	case 1:
		peal_deadline(ring, any_op(),
			      rnd(4) ? rnd(2000000) : PEAL_FOREVER,
			      rnd(2) ? PEAL_EARLY : 0);
		break;
	case 2:
		peal_sleep_again(ring, any_op(), rnd(1000000));
		break;
	case 3:
		knock();
		break;
	case 4:
		FAIL_UNLESS(write(event_fd, &one, sizeof one) == sizeof one);
		break;
	case 5:
		if (peal_post(ring, on_post, ledger) == 0)
			posted++;
		break;
	default:
		start();
	}
	in_call = 0;
}

static void set_up(void)
{
	int i;

	memset(ledger, 0, sizeof ledger);
	memset(pipes, -1, sizeof pipes);
	memset(closing, 0, sizeof closing);
	for (i = 0; i < PIPES; i++)
		new_pipe(i);
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	terminals = accepted = depth = posted = posts_run = 0;
	state = seed * 2654435761u + 1;
}

static void tear_down(void)
{
	int i, end;

	for (i = 0; i < PIPES; i++)
		for (end = 0; end < 2; end++)
			if (pipes[i][end] >= 0)
				close(pipes[i][end]);
	close(event_fd);
}

/* Not TCP where there is this: thousands of ports would be in TIME_WAIT. */
static void open_unix_listener(void)
{
	struct sockaddr_un *addr = (struct sockaddr_un *)&listen_addr;

	addr->sun_family = AF_UNIX;
	snprintf(addr->sun_path, sizeof addr->sun_path, "%s",
		 path_in_dir("listener"));
	listen_len = sizeof *addr;
	listener = keep_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	ck_assert_int_eq(bind(listener, (struct sockaddr *)addr, listen_len),
			 0);
	ck_assert_int_eq(listen(listener, 64), 0);
}

static void open_fixed_things(void)
{
	if (strcmp(HARNESS_ENGINE, "iocp"))
		open_unix_listener();
	else
		listener = make_listener(AF_INET, &listen_addr, &listen_len);
	file_fd = make_file("file", "", 0);
}

static void one_program(void)
{
	int step;

	set_up();
	for (step = 0; step < STEPS; step++) {
		act();
		if (rnd(3) == 0)
			FAIL_UNLESS(peal_ring_turn(ring, rnd(2) ? rnd(300000)
							       : 0) >= 0);
	}
	/* Deep inside a burst: close does the rest. */
	depth = 100;
	if (peal_ring_close(ring, CLOSE_NS) < 0) {
		peal_ring_dump(ring, stderr);
		FAIL_UNLESS(!"the ring closes");
	}
	FAIL_UNLESS(terminals == accepted);
	FAIL_UNLESS(posts_run == posted);
	tear_down();
	FAIL_UNLESS(count_fds() == fds_open);
}

static void run_seeds(struct peal_ring_options *options)
{
	const char *only = getenv("SEED");
	uint64_t s;

	open_fixed_things();
	close_ring(ring);
	fds_open = count_fds();
	ring = open_ring(options);
	for (s = 1; s <= seeds(); s++) {
		seed = only ? strtoull(only, NULL, 10) : s;
		one_program();
		ring = NULL;
		ring = open_ring(options);
		if (only)
			break;
	}
}

TEST(random_programs_lose_no_completion)
{
	struct peal_ring_options options = harness_options();

	run_seeds(&options);
}

TEST(random_programs_lose_no_completion_on_tiny_queues)
{
	struct peal_ring_options options = harness_options();

	options.entries = 2;
	options.cq_entries = 4;
	run_seeds(&options);
}

TEST(random_programs_lose_no_completion_at_the_limit_of_ops)
{
	struct peal_ring_options options = harness_options();

	options.entries = 8;
	options.max_ops = 24;
	run_seeds(&options);
}

SUITE("random")
