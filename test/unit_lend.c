/* SPDX-License-Identifier: MIT */
/*
 * What is lent is out of bounds: in a build with the address sanitizer a touch
 * of a buffer that the kernel may write to is reported.
 */
#include "lib/lend.h"
#include <sys/wait.h>

#include "test/harness.h"

#if PEAL__WATCHES_LENT

#define LEN 256

static char *buffer;		/* LEN bytes, from malloc() */
static int fds[2];		/* a stream socket pair with nothing to read */

static int is_out_of_bounds(const void *at)
{
	return __asan_address_is_poisoned(at);
}

static void prepare(void)
{
	struct peal_ring_options options = harness_options();

	options.engine = "uring";
	reopen_ring(&options);
	buffer = malloc(LEN);
	memset(buffer, 0, LEN);
	make_socketpair(SOCK_STREAM, fds);
}

static void start_read(void)
{
	ck_assert_int_gt(peal_read(ring, fds[0], buffer, LEN, PEAL_CURRENT, 0,
				   on_done, NULL), 0);
}

static void dies(void (*body)(void *arg), void *arg, const char *of)
{
	char text[8192];
	int status = in_child(body, arg, text, sizeof(text));

	ck_assert_msg(!(WIFEXITED(status) && WEXITSTATUS(status) == 0),
		      "it lived");
	ck_assert_msg(strstr(text, of), "%s", text);
}

static void write_a_byte(void *at)
{
	*(volatile char *)at = 1;
}

static void read_a_byte(void *at)
{
	volatile char byte = *(volatile char *)at;

	(void)byte;
}

/* Both at both ends, and that it ends. */
static void is_lent_until(peal_op op, char *memory, size_t len)
{
	ck_assert_int_gt(op, 0);
	dies(write_a_byte, memory, "use-after-poison");
	dies(read_a_byte, memory + len - 1, "use-after-poison");
	settle();
	dies(write_a_byte, memory + len - 1, "use-after-poison");
	ck_assert_int_eq(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_assert(is_out_of_bounds(memory));
	ck_result(finish(op), -ECANCELED);
	ck_assert(!is_out_of_bounds(memory));
	ck_assert(!is_out_of_bounds(memory + len - 1));
	memset(memory, 1, len);
}

TEST(touch_of_memory_lent_to_a_read_is_reported)
{
	prepare();
	is_lent_until(peal_read(ring, fds[0], buffer, LEN, PEAL_CURRENT, 0,
				on_done, NULL), buffer, LEN);
	free(buffer);
}

TEST(touch_of_memory_lent_to_a_receive_is_reported)
{
	prepare();
	is_lent_until(peal_recv(ring, fds[0], buffer, LEN, 0, 0, on_done,
				NULL), buffer, LEN);
	free(buffer);
}

TEST(touch_of_memory_lent_to_a_full_read_is_reported)
{
	prepare();
	is_lent_until(peal_read_full(ring, fds[0], buffer, LEN, PEAL_CURRENT,
				     0, on_done, NULL), buffer, LEN);
	free(buffer);
}

/* On every engine: what the ring reads into is another buffer. */
TEST(touch_of_memory_lent_to_a_read_that_bounces_is_reported)
{
	static const char *const engines[] = { "uring", "epoll" };
	struct peal_ring_options options = harness_options();
	char text[2 * LEN];
	unsigned i;
	int fd;

	options.bounce_bytes = 4 * 4096;
	fill_pattern(text, sizeof(text), 3);
	make_file("direct", text, sizeof(text));
	fd = open_direct("direct", O_RDONLY);
	if (fd < 0)
		SKIP("no O_DIRECT in this file system");
	buffer = malloc(LEN);
	for (i = 0; i < 2; i++) {
		peal_op op;

		options.engine = engines[i];
		reopen_ring(&options);
		forget_outcomes();
		op = peal_read(ring, fd, buffer, LEN, 1, PEAL_BOUNCE, on_done,
			       NULL);
		ck_assert_int_gt(op, 0);
		ck_assert(is_out_of_bounds(buffer + LEN - 1));
		dies(write_a_byte, buffer, "use-after-poison");
		ck_result(finish(op), LEN);
		ck_assert(!is_out_of_bounds(buffer));
		ck_assert(!is_out_of_bounds(buffer + LEN - 1));
		ck_assert_mem_eq(buffer, text + 1, LEN);
	}
	free(buffer);
}

/* Not a forked child: it does not have an arena. */
TEST(arena_memory_is_out_of_bounds_while_it_is_lent)
{
	struct peal_arena_options options = PEAL_ARENA_OPTIONS;
	struct peal_arena *arena;
	char *memory;
	peal_op op;

	prepare();
	options.bytes = 4096;
	ck_assert_int_eq(peal_arena_open(&arena, &options), 0);
	ck_assert_int_ge(peal_arena_register(ring, arena, PEAL_FIXED), 0);
	memory = peal_arena_alloc(arena, LEN, 0);
	op = peal_read(ring, fds[0], memory, LEN, PEAL_CURRENT, 0, on_done,
		       NULL);
	ck_assert(is_out_of_bounds(memory));
	ck_assert_int_eq(write(fds[1], "data", 4), 4);
	ck_result(finish(op), 4);
	ck_assert(!is_out_of_bounds(memory));
	ck_assert_int_eq(memcmp(memory, "data", 4), 0);
	ck_assert_int_eq(peal_arena_unregister(ring, arena), 0);
	ck_assert_int_eq(peal_arena_close(arena), 0);
	free(buffer);
}

static void on_end(struct peal_ring *where, const struct peal_completion *done)
{
	(void)where;
	ck_assert(!is_out_of_bounds(buffer));
	ck_assert_int_eq(buffer[0], 'x');
	*(int *)done->ctx = 1;
}

TEST(handler_has_its_buffer_back)
{
	int ended = 0;

	prepare();
	ck_assert_int_gt(peal_read(ring, fds[0], buffer, LEN, PEAL_CURRENT, 0,
				   on_end, &ended), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	UNTIL(ended);
	free(buffer);
}

/* The handler answers the client; the buffer is not its own. */
static void on_early(struct peal_ring *where,
		     const struct peal_completion *done)
{
	(void)where;
	*(int *)done->ctx += is_out_of_bounds(buffer) ? 1 : 100;
}

TEST(early_deadline_does_not_give_the_buffer_back)
{
	int seen = 0;
	peal_op op;

	prepare();
	op = peal_read(ring, fds[0], buffer, LEN, PEAL_CURRENT, 0, on_early,
		       &seen);
	ck_assert_int_eq(peal_deadline(ring, op, 0, PEAL_EARLY), 0);
	UNTIL(!peal_op_in_flight(ring, op));
	ck_assert_int_eq(seen, 101);
	free(buffer);
}

TEST(memory_that_is_only_read_stays_readable)
{
	peal_op op;

	prepare();
	op = peal_write(ring, fds[1], buffer, LEN, PEAL_CURRENT, 0, on_done,
			NULL);
	ck_assert_int_gt(op, 0);
	ck_assert(!is_out_of_bounds(buffer));
	ck_result(finish(op), LEN);
	free(buffer);
}

TEST(op_that_was_refused_has_lent_nothing)
{
	prepare();
	ck_result(peal_read(ring, fds[0], buffer, LEN, PEAL_CURRENT, 1u << 31,
			    on_done, NULL), -EINVAL);
	ck_assert(!is_out_of_bounds(buffer));
	ck_result(peal_read(ring, fds[0], buffer, LEN, PEAL_CURRENT,
			    PEAL_FIXED, on_done, NULL), -EFAULT);
	ck_assert(!is_out_of_bounds(buffer));
	free(buffer);
}

static void free_it(void *unused)
{
	(void)unused;
	start_read();
	settle();
	free(buffer);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	UNTIL(peal_ring_in_flight(ring) == 0);
}

static void free_in_a_ring_of_its_own(void *unused)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	options.engine = "uring";
	if (peal_ring_open(&ring, &options) < 0)
		_exit(0);
	free_it(unused);
}

TEST(memory_that_is_freed_while_it_is_lent_stops_the_program)
{
	prepare();
	dies(free_in_a_ring_of_its_own, NULL, "freed while it was lent");
	free(buffer);
}

#else

BARE_TEST(touch_of_lent_memory_is_reported)
{
	SKIP("only a build with SAN=address watches what is lent");
}

#endif

SUITE("lend")
