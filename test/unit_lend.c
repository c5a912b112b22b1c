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

/* A row's first use goes the long way to its op, where the later ones do not. */
static void use_some_rows(void)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		ck_assert_int_gt(peal_nop(ring, 0, NULL, NULL), 0);
	UNTIL(!peal_ring_in_flight(ring));
}

static void prepare(void)
{
	struct peal_ring_options options = harness_options();

	options.engine = "uring";
	reopen_ring(&options);
	use_some_rows();
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

/* Two parts of a buffer, with room between and behind them. */
static void split(struct iovec parts[2])
{
	parts[0] = (struct iovec){ buffer, 40 };
	parts[1] = (struct iovec){ buffer + 64, 96 };
}

static void parts_are_lent(const struct iovec parts[2], int want)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		char *at = parts[i].iov_base;

		ck_assert_int_eq(is_out_of_bounds(at), want);
		ck_assert_int_eq(is_out_of_bounds(at + parts[i].iov_len - 1),
				 want);
	}
	ck_assert(!is_out_of_bounds(buffer + 40));
	ck_assert(!is_out_of_bounds(buffer + 160));
}

TEST(touch_of_each_part_lent_to_a_vector_is_reported)
{
	struct iovec parts[2];
	peal_op op;

	prepare();
	split(parts);
	op = peal_readv(ring, fds[0], parts, 2, PEAL_CURRENT, 0, 0, on_done,
			NULL);
	parts_are_lent(parts, 1);
	ck_assert(!is_out_of_bounds(parts));
	dies(write_a_byte, buffer + 40 - 1, "use-after-poison");
	is_lent_until(op, buffer + 64, 96);
	parts_are_lent(parts, 0);
	free(buffer);
}

/* The kernel has its own copy; what comes back is what was taken. */
TEST(vector_that_is_changed_meanwhile_brings_all_back)
{
	struct iovec parts[2], later[2];
	peal_op op;

	prepare();
	split(parts);
	split(later);
	op = peal_readv(ring, fds[0], later, 2, PEAL_CURRENT, 0, 0, on_done,
			NULL);
	settle();
	memset(later, 0, sizeof(later));
	parts_are_lent(parts, 1);
	ck_assert_int_eq(write(fds[1], "data", 4), 4);
	ck_result(finish(op), 4);
	parts_are_lent(parts, 0);
	free(buffer);
}

TEST(parts_of_a_vector_that_is_only_read_stay_readable)
{
	struct iovec parts[2];
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };
	peal_op op;

	prepare();
	split(parts);
	op = peal_writev(ring, fds[1], parts, 2, PEAL_CURRENT, 0, 0, on_done,
			 NULL);
	parts_are_lent(parts, 0);
	ck_result(finish(op), 136);
	op = peal_sendmsg(ring, fds[1], &msg, 0, 0, on_done, NULL);
	parts_are_lent(parts, 0);
	ck_assert(!is_out_of_bounds(&msg));
	ck_result(finish(op), 136);
	free(buffer);
}

TEST(touch_of_each_part_of_a_message_is_reported)
{
	struct {
		struct msghdr head;
		struct sockaddr_un name;
		char space[4];
		char control[CMSG_SPACE(sizeof(int))];
	} *all;
	struct iovec parts[2];
	peal_op op;

	prepare();
	make_socketpair(SOCK_DGRAM, fds);
	split(parts);
	all = calloc(1, sizeof(*all));
	all->head = (struct msghdr){ .msg_name = &all->name,
				     .msg_namelen = sizeof(all->name),
				     .msg_control = all->control,
				     .msg_controllen = sizeof(all->control),
				     .msg_iov = parts, .msg_iovlen = 2 };
	op = peal_recvmsg(ring, fds[0], &all->head, 0, 0, on_done, NULL);
	ck_assert_int_gt(op, 0);
	settle();
	parts_are_lent(parts, 1);
	dies(write_a_byte, all->control, "use-after-poison");
	dies(read_a_byte, &all->name, "use-after-poison");
	dies(read_a_byte, &all->head.msg_iov, "use-after-poison");
	dies(write_a_byte, buffer + 64, "use-after-poison");
	ck_assert_int_eq(send(fds[1], "data", 4, 0), 4);
	ck_result(finish(op), 4);
	/* It had neither: the lengths are 0 now. */
	ck_assert_uint_eq(all->head.msg_namelen, 0);
	ck_assert_uint_eq(all->head.msg_controllen, 0);
	memset(all, 0, sizeof(*all));
	parts_are_lent(parts, 0);
	free(all);
	free(buffer);
}

TEST(touch_of_an_address_lent_to_an_accept_is_reported)
{
	struct sockaddr_storage at;
	struct sockaddr_in *peer = calloc(1, sizeof(*peer));
	socklen_t len, *peer_len = malloc(sizeof(*peer_len));
	int listener = make_listener(AF_INET, &at, &len);
	int client;
	peal_op op;

	prepare();
	*peer_len = sizeof(*peer);
	op = peal_accept(ring, listener, (struct sockaddr *)peer, peer_len, 0,
			 on_done, NULL);
	ck_assert_int_gt(op, 0);
	settle();
	dies(read_a_byte, peer, "use-after-poison");
	dies(read_a_byte, peer_len, "use-after-poison");
	client = new_socket(AF_INET, SOCK_STREAM);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&at, len), 0);
	ck_assert_int_ge(keep_fd((int)finish(op)), 0);
	ck_assert_int_eq(peer->sin_family, AF_INET);
	ck_assert_uint_eq(*peer_len, sizeof(*peer));
	free(peer);
	free(peer_len);
	free(buffer);
}

TEST(result_of_a_stat_is_out_of_bounds_until_its_end)
{
	struct peal_stat out;
	peal_op op;

	prepare();
	op = peal_stat(ring, PEAL_CWD, ".", 0, PEAL_STAT_BASIC, &out, 0,
		       on_done, NULL);
	ck_assert(is_out_of_bounds(&out));
	ck_result(finish(op), 0);
	ck_assert(!is_out_of_bounds(&out));
	ck_assert(out.mask & PEAL_STAT_BASIC);
	free(buffer);
}

/* Of two that were lent the same the first to end gives it back. */
TEST(same_message_and_address_may_be_lent_twice)
{
	struct iovec part;
	struct msghdr *msg = calloc(1, sizeof(*msg));
	peal_op ops[2];
	unsigned i;

	prepare();
	make_socketpair(SOCK_DGRAM, fds);
	part = (struct iovec){ buffer, LEN };
	msg->msg_iov = &part;
	msg->msg_iovlen = 1;
	for (i = 0; i < 2; i++)
		ops[i] = peal_recvmsg(ring, fds[0], msg, 0, 0, on_done, NULL);
	settle();
	ck_assert_int_eq(send(fds[1], "data", 4, 0), 4);
	UNTIL(finished(ops[0]) || finished(ops[1]));
	ck_assert(!is_out_of_bounds(msg));
	ck_assert(!is_out_of_bounds(buffer));
	ck_assert_int_eq(send(fds[1], "data", 4, 0), 4);
	UNTIL(finished(ops[0]) && finished(ops[1]));
	free(msg);
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

TEST(registered_vector_is_out_of_bounds_while_it_is_lent)
{
	struct peal_arena_options options = PEAL_ARENA_OPTIONS;
	struct peal_arena *arena;
	struct iovec parts[2];
	int file, i;
	peal_op op;

	prepare();
	file = make_file("f", "12345678abcdefgh", 16);
	options.bytes = 4096;
	ck_assert_int_eq(peal_arena_open(&arena, &options), 0);
	ck_assert_int_ge(peal_arena_register(ring, arena, PEAL_FIXED), 0);
	for (i = 0; i < 2; i++)
		parts[i] = (struct iovec){ peal_arena_alloc(arena, LEN, 0), 8 };
	op = peal_readv(ring, file, parts, 2, 0, 0, 0, on_done, NULL);
	ck_assert(is_out_of_bounds(parts[0].iov_base));
	ck_assert(is_out_of_bounds(parts[1].iov_base));
	ck_result(finish(op), 16);
	ck_assert_mem_eq(parts[0].iov_base, "12345678", 8);
	ck_assert_mem_eq(parts[1].iov_base, "abcdefgh", 8);
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
	struct iovec part;

	prepare();
	part = (struct iovec){ buffer, LEN };
	ck_result(peal_read(ring, fds[0], buffer, LEN, PEAL_CURRENT, 1u << 31,
			    on_done, NULL), -EINVAL);
	ck_assert(!is_out_of_bounds(buffer));
	ck_result(peal_read(ring, fds[0], buffer, LEN, PEAL_CURRENT,
			    PEAL_FIXED, on_done, NULL), -EFAULT);
	ck_assert(!is_out_of_bounds(buffer));
	ck_result(peal_readv(ring, fds[0], &part, 1, PEAL_CURRENT, 0, 1u << 31,
			     on_done, NULL), -EINVAL);
	ck_assert(!is_out_of_bounds(buffer));
	free(buffer);
}

/* What no program has is for the kernel to refuse, not for the sanitizer. */
TEST(memory_that_cannot_be_is_an_error_not_the_end)
{
	void *none = (void *)(uintptr_t)-8;
	struct iovec part = { none, LEN };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1025 };

	prepare();
	ck_assert_int_eq(write(fds[1], "data", 4), 4);
	ck_result(finish(peal_read(ring, fds[0], none, LEN, PEAL_CURRENT, 0,
				   on_done, NULL)), -EFAULT);
	ck_result(finish(peal_readv(ring, fds[0], &part, 1, PEAL_CURRENT, 0, 0,
				    on_done, NULL)), -EFAULT);
	part = (struct iovec){ buffer, SIZE_MAX };
	ck_result(finish(peal_readv(ring, fds[0], &part, 1, PEAL_CURRENT, 0, 0,
				    on_done, NULL)), -EINVAL);
	ck_assert(!is_out_of_bounds(buffer));
	ck_result(finish(peal_recvmsg(ring, fds[0], &msg, 0, 0, on_done,
				      NULL)), -EMSGSIZE);
	free(buffer);
}

static void start_vector(void)
{
	struct iovec part = { buffer, LEN };

	ck_assert_int_gt(peal_readv(ring, fds[0], &part, 1, PEAL_CURRENT, 0, 0,
				    on_done, NULL), 0);
	settle();
}

static void free_it(void (*start)(void))
{
	start();
	settle();
	free(buffer);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	UNTIL(peal_ring_in_flight(ring) == 0);
}

static void free_in_a_ring_of_its_own(void *start)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	options.engine = "uring";
	if (peal_ring_open(&ring, &options) < 0)
		_exit(0);
	free_it(*(void (**)(void))start);
}

TEST(memory_that_is_freed_while_it_is_lent_stops_the_program)
{
	void (*starts[])(void) = { start_read, start_vector };

	prepare();
	dies(free_in_a_ring_of_its_own, &starts[0], "freed while it was lent");
	dies(free_in_a_ring_of_its_own, &starts[1], "freed while it was lent");
	free(buffer);
}

#else

BARE_TEST(touch_of_lent_memory_is_reported)
{
	SKIP("only a build with SAN=address watches what is lent");
}

#endif

SUITE("lend")
