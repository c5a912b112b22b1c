/* SPDX-License-Identifier: MIT */
/*
 * Registered memory, on every engine: an engine without it uses an arena as
 * plain memory and says so, and the data is the same.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "test/harness.h"

#define BLOCK 4096u

static struct peal_arena *arena;
static int registered;		/* the ring's ops may take the other form */

static struct peal_arena *new_arena(uint64_t bytes, uint32_t flags)
{
	struct peal_arena_options options = PEAL_ARENA_OPTIONS;
	struct peal_arena *made = NULL;

	options.bytes = bytes;
	options.flags = flags;
	options.allocator = harness_options().allocator;
	ck_assert_msg(peal_arena_open(&made, &options) == 0, "%s",
		      peal_memory_reason());
	return made;
}

/* An arena of four blocks for the fixture's ring. An ordinary user may have
 * too little to lock: then it is plain memory. */
static void use_arena(unsigned flags)
{
	int rc;

	arena = new_arena(4 * BLOCK, PEAL_ARENA_PLAIN_OK);
	rc = peal_arena_register(ring, arena, flags);
	ck_assert_msg(rc == 0 || rc == 1, "%s", peal_memory_reason());
	registered = rc == 0;
}

static void drop_arena(void)
{
	ck_assert_int_eq(peal_arena_unregister(ring, arena), 0);
	ck_assert_int_eq(peal_arena_close(arena), 0);
}

static char *block(void)
{
	char *memory = peal_arena_alloc(arena, BLOCK, BLOCK);

	ck_assert_ptr_nonnull(memory);
	return memory;
}

static uint64_t count(const char *opcode)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	peal_ring_stats(ring, &stats);
	return stats.by_op[opcode_named(opcode)];
}

/* So many reads were submitted: the first ones in the form of registered
 * memory where there is some. */
static void reads_were(uint64_t fixed, uint64_t plain)
{
	if (!registered) {
		plain += fixed;
		fixed = 0;
	}
	ck_assert_uint_eq(count("read_fixed"), fixed);
	ck_assert_uint_eq(count("read"), plain);
}

/* Two blocks of a pattern, opened with O_DIRECT; -1: not on this disk. */
static int direct_file(void)
{
	char data[2 * BLOCK];

	fill_pattern(data, sizeof(data), 7);
	make_file("direct", data, sizeof(data));
	return open_direct("direct", O_RDWR);
}

#define DIRECT_FILE(fd)							\
	do {								\
		fd = direct_file();					\
		if (fd < 0)						\
			SKIP("no O_DIRECT in this file system");	\
	} while (0)

static int buffered_file(void)
{
	char data[2 * BLOCK];

	fill_pattern(data, sizeof(data), 7);
	return make_file("buffered", data, sizeof(data));
}

/* --- the form of an op ------------------------------------------------ */

TEST(direct_file_is_read_in_registered_memory_by_itself)
{
	char *buf;
	int fd;

	DIRECT_FILE(fd);
	use_arena(0);
	buf = block();
	ck_result(read_at(fd, buf, BLOCK, 0), BLOCK);
	ck_assert(has_pattern(buf, BLOCK, 7));
	reads_were(1, 0);
	drop_arena();
}

TEST(direct_file_is_written_from_registered_memory_by_itself)
{
	char *buf, back[BLOCK];
	int fd, plain;

	DIRECT_FILE(fd);
	use_arena(0);
	buf = block();
	fill_pattern(buf, BLOCK, 9);
	ck_result(write_at(fd, buf, BLOCK, BLOCK), BLOCK);
	ck_assert_uint_eq(count("write_fixed"), registered ? 1 : 0);
	ck_assert_uint_eq(count("write"), registered ? 0 : 1);
	plain = keep_fd(open(path_in_dir("direct"), O_RDONLY | O_CLOEXEC));
	ck_assert_int_eq(pread(plain, back, BLOCK, BLOCK), BLOCK);
	ck_assert(has_pattern(back, BLOCK, 9));
	drop_arena();
}

TEST(file_in_the_page_cache_is_read_the_plain_way)
{
	char *buf;
	int fd = buffered_file();

	use_arena(0);
	buf = block();
	ck_result(read_at(fd, buf, BLOCK, 0), BLOCK);
	ck_assert(has_pattern(buf, BLOCK, 7));
	reads_were(0, 1);
	drop_arena();
}

TEST(buffer_outside_of_the_arena_is_read_into_the_plain_way)
{
	char *buf = aligned_buffer(BLOCK);
	int fd;

	DIRECT_FILE(fd);
	use_arena(0);
	ck_result(read_at(fd, buf, BLOCK, 0), BLOCK);
	ck_assert(has_pattern(buf, BLOCK, 7));
	reads_were(0, 1);
	drop_arena();
}

TEST(buffer_that_sticks_out_of_the_arena_is_not_taken_for_its_own)
{
	struct peal_arena_stats stats = { .size = sizeof(stats) };
	int fd = buffered_file();

	use_arena(PEAL_FIXED);
	peal_arena_stats(arena, &stats);
	ck_result(peal_read(ring, fd, (char *)(uintptr_t)stats.base +
				      stats.bytes - BLOCK, BLOCK + 1, 0,
			    PEAL_FIXED, on_done, NULL), -EFAULT);
	ck_result(peal_read(ring, fd, (char *)(uintptr_t)stats.base - 1, 2, 0,
			    PEAL_FIXED, on_done, NULL), -EFAULT);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
	drop_arena();
}

TEST(full_transfers_take_registered_memory_and_give_all)
{
	char *buf;
	int fd;

	DIRECT_FILE(fd);
	use_arena(0);
	buf = peal_arena_alloc(arena, 2 * BLOCK, BLOCK);
	ck_result(finish(peal_read_full(ring, fd, buf, 2 * BLOCK, 0, 0,
					on_done, NULL)), 2 * BLOCK);
	ck_assert(has_pattern(buf, 2 * BLOCK, 7));
	reads_were(1, 0);
	fill_pattern(buf, 2 * BLOCK, 3);
	ck_result(finish(peal_write_full(ring, fd, buf, 2 * BLOCK, 0, 0,
					 on_done, NULL)), 2 * BLOCK);
	ck_assert_uint_eq(count("write_fixed"), registered ? 1 : 0);
	memset(buf, 0, 2 * BLOCK);
	ck_result(read_at(fd, buf, 2 * BLOCK, 0), 2 * BLOCK);
	ck_assert(has_pattern(buf, 2 * BLOCK, 3));
	drop_arena();
}

/* A short transfer is gone on with in the same form. */
TEST(full_read_past_the_end_stays_in_registered_memory)
{
	struct peal_arena *first = new_arena(BLOCK, PEAL_ARENA_PLAIN_OK);
	char *buf;
	int fd = buffered_file();

	/* So that the slot that is written again is not slot 0. */
	ck_assert_int_ge(peal_arena_register(ring, first, 0), 0);
	use_arena(PEAL_FIXED);
	buf = peal_arena_alloc(arena, 3 * BLOCK, BLOCK);
	ck_result(finish(peal_read_full(ring, fd, buf, 3 * BLOCK, 0, 0,
					on_done, NULL)), 2 * BLOCK);
	ck_assert(has_pattern(buf, 2 * BLOCK, 7));
	reads_were(2, 0);
	drop_arena();
	ck_assert_int_eq(peal_arena_unregister(ring, first), 0);
	ck_assert_int_eq(peal_arena_close(first), 0);
}

/* --- either form, forced ---------------------------------------------- */

TEST(plain_flag_keeps_a_direct_file_plain)
{
	char *buf;
	int fd;

	DIRECT_FILE(fd);
	use_arena(0);
	buf = block();
	ck_result(finish(peal_read(ring, fd, buf, BLOCK, 0, PEAL_PLAIN,
				   on_done, NULL)), BLOCK);
	ck_assert(has_pattern(buf, BLOCK, 7));
	reads_were(0, 1);
	drop_arena();
}

TEST(fixed_flag_forces_the_page_cache_or_says_why_not)
{
	char *buf;
	int fd = buffered_file();
	peal_op op;

	use_arena(0);
	buf = block();
	op = peal_read(ring, fd, buf, BLOCK, 0, PEAL_FIXED, on_done, NULL);
	if (registered) {
		ck_result(finish(op), BLOCK);
		ck_assert(has_pattern(buf, BLOCK, 7));
		reads_were(1, 0);
	} else {
		ck_result(op, -EOPNOTSUPP);
		ck_assert_ptr_nonnull(strstr(peal_memory_reason(), "plain"));
	}
	drop_arena();
}

TEST(ring_can_be_told_to_take_one_form_always)
{
	char *buf;
	uint64_t fixed;
	int direct, buffered = buffered_file();

	DIRECT_FILE(direct);
	use_arena(PEAL_FIXED);
	buf = block();
	ck_result(read_at(buffered, buf, BLOCK, 0), BLOCK);
	reads_were(1, 0);
	ck_result(finish(peal_read(ring, buffered, buf, BLOCK, 0, PEAL_PLAIN,
				   on_done, NULL)), BLOCK);
	reads_were(1, 1);
	fixed = count("read_fixed");
	peal_arena_free(arena, buf);
	drop_arena();
	use_arena(PEAL_PLAIN);
	buf = block();
	ck_result(read_at(direct, buf, BLOCK, 0), BLOCK);
	ck_assert(has_pattern(buf, BLOCK, 7));
	ck_assert_uint_eq(count("read_fixed") + count("read"), 3);
	ck_assert_uint_eq(count("read_fixed"), fixed);
	drop_arena();
}

TEST(fixed_flag_without_an_arena_is_refused_with_the_remedy)
{
	char buf[16];
	int fd = buffered_file();

	ck_result(peal_read(ring, fd, buf, sizeof(buf), 0, PEAL_FIXED,
			    on_done, NULL), -EFAULT);
	ck_assert_ptr_nonnull(strstr(peal_memory_reason(),
				     "register the arena"));
	ck_result(finish(peal_read(ring, fd, buf, sizeof(buf), 0, PEAL_PLAIN,
				   on_done, NULL)), sizeof(buf));
}

TEST(both_flags_at_once_and_other_ops_are_refused)
{
	char buf[16];
	int fds[2], fd = buffered_file();

	make_socketpair(SOCK_STREAM, fds);
	ck_result(peal_read(ring, fd, buf, sizeof(buf), 0,
			    PEAL_FIXED | PEAL_PLAIN, on_done, NULL), -EINVAL);
	ck_result(peal_send(ring, fds[0], buf, sizeof(buf), 0, PEAL_FIXED,
			    on_done, NULL), -EINVAL);
	ck_result(peal_sync(ring, fd, PEAL_PLAIN, on_done, NULL), -EINVAL);
	use_arena(0);
	ck_result(peal_recv(ring, fds[0], buf, sizeof(buf), 0, PEAL_FIXED,
			    on_done, NULL), -EINVAL);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
	drop_arena();
}

/* --- what an fd is, and was ------------------------------------------- */

TEST(number_of_a_closed_direct_file_is_looked_at_again)
{
	char *buf;
	int fd, buffered = buffered_file();

	DIRECT_FILE(fd);
	use_arena(0);
	buf = block();
	ck_result(read_at(fd, buf, BLOCK, 0), BLOCK);
	reads_were(1, 0);
	ck_result(finish(peal_close(ring, fd, 0, on_done, NULL)), 0);
	ck_assert_int_eq(dup3(buffered, fd, O_CLOEXEC), fd);
	ck_result(read_at(fd, buf, BLOCK, 0), BLOCK);
	reads_were(1, 1);
	ck_result(finish(peal_close_drained(ring, fd, 0, on_done, NULL)), 0);
	ck_assert_int_eq(open_direct("direct", O_RDONLY), fd);
	ck_result(read_at(fd, buf, BLOCK, 0), BLOCK);
	ck_assert(has_pattern(buf, BLOCK, 7));
	reads_were(2, 1);
	drop_arena();
}

/* Behind the ring's back it is only slower, and not for ever. */
TEST(number_that_names_another_file_by_now_still_reads_it)
{
	char *buf;
	int fd, buffered = buffered_file();
	unsigned i;

	DIRECT_FILE(fd);
	use_arena(0);
	buf = block();
	ck_result(read_at(fd, buf, BLOCK, 0), BLOCK);
	ck_assert_int_eq(keep_fd(dup3(buffered, fd, O_CLOEXEC)), fd);
	for (i = 0; i < 300; i++) {
		memset(buf, 0, BLOCK);
		ck_result(read_at(fd, buf, BLOCK, BLOCK), BLOCK);
	}
	ck_assert_uint_gt(count("read"), 0);
	ck_assert_uint_le(count("read_fixed"), 257);
	drop_arena();
}

/* --- alignment -------------------------------------------------------- */

/* What fd wants for O_DIRECT; 0: the system does not tell. */
static uint32_t wants(int fd)
{
	struct peal_stat st;

	memset(&st, 0, sizeof(st));
	ck_result(finish(peal_stat(ring, fd, "", PEAL_STAT_EMPTY_PATH,
				   PEAL_STAT_BASIC | PEAL_STAT_DIO, &st, 0,
				   on_done, NULL)), 0);
	return st.mask & PEAL_STAT_DIO ? st.dio_offset_align : 0;
}

static void refused(peal_op op, const char *what, unsigned long long was)
{
	char text[64];

	ck_result(op, -EINVAL);
	snprintf(text, sizeof(text), "the %s %llu is not a multiple of ", what,
		 was);
	ck_assert_msg(strstr(peal_memory_reason(), text), "\"%s\" lacks \"%s\"",
		      peal_memory_reason(), text);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

TEST(unaligned_op_on_a_direct_file_is_refused_with_the_numbers)
{
	char *buf;
	int fd;

	DIRECT_FILE(fd);
	if (wants(fd) < 2)
		SKIP("this system does not tell what O_DIRECT wants");
	use_arena(0);
	buf = block();
	refused(peal_read(ring, fd, buf, 100, 0, 0, on_done, NULL), "length",
		100);
	refused(peal_write(ring, fd, buf, BLOCK, 7, 0, on_done, NULL),
		"offset", 7);
	refused(peal_read_full(ring, fd, buf, 101, 0, 0, on_done, NULL),
		"length", 101);
	refused(peal_read(ring, fd, buf + 1, BLOCK / 2, 0, PEAL_PLAIN, on_done,
			  NULL), "address",
		(unsigned long long)(uintptr_t)(buf + 1));
	ck_result(read_at(fd, buf, BLOCK, 0), BLOCK);
	drop_arena();
}

TEST(file_that_the_ring_opened_with_o_direct_is_checked_without_an_arena)
{
	char *buf = aligned_buffer(BLOCK);
	int fd, opened;

	DIRECT_FILE(fd);
	if (wants(fd) < 2)
		SKIP("this system does not tell what O_DIRECT wants");
	opened = (int)finish(peal_open(ring, PEAL_CWD, path_in_dir("direct"),
				       O_RDWR | O_DIRECT, 0, 0, on_done,
				       NULL));
	ck_ok(opened);
	keep_fd(opened);
	refused(peal_read(ring, opened, buf, BLOCK, 1, 0, on_done, NULL),
		"offset", 1);
	ck_result(read_at(opened, buf, BLOCK, 0), BLOCK);
	ck_assert(has_pattern(buf, BLOCK, 7));
}

TEST(unaligned_vectors_of_a_direct_file_are_refused_with_the_numbers)
{
	char *buf = aligned_buffer(2 * BLOCK);
	struct iovec iov[2] = { { buf, BLOCK }, { buf + BLOCK, BLOCK } };
	int fd;

	DIRECT_FILE(fd);
	if (wants(fd) < 2)
		SKIP("this system does not tell what O_DIRECT wants");
	fd = (int)finish(peal_open(ring, PEAL_CWD, path_in_dir("direct"),
				   O_RDWR | O_DIRECT, 0, 0, on_done, NULL));
	ck_ok(fd);
	keep_fd(fd);
	refused(peal_readv(ring, fd, iov, 2, 3, 0, 0, on_done, NULL), "offset",
		3);
	iov[1].iov_len = 100;
	refused(peal_writev(ring, fd, iov, 2, 0, 0, 0, on_done, NULL),
		"length", BLOCK + 100);
	iov[1].iov_len = BLOCK;
	iov[1].iov_base = buf + BLOCK - 1;
	refused(peal_readv(ring, fd, iov, 2, 0, 0, 0, on_done, NULL),
		"address", (unsigned long long)(uintptr_t)(buf + BLOCK - 1));
	iov[1].iov_base = buf + BLOCK;
	ck_result(finish(peal_readv(ring, fd, iov, 2, 0, 0, 0, on_done,
				    NULL)), 2 * BLOCK);
	ck_assert(has_pattern(buf, 2 * BLOCK, 7));
}

TEST(other_file_under_a_direct_files_number_is_not_refused)
{
	char *buf;
	int fd, buffered = buffered_file();

	DIRECT_FILE(fd);
	use_arena(0);
	buf = block();
	ck_result(read_at(fd, buf, BLOCK, 0), BLOCK);
	ck_assert_int_eq(keep_fd(dup3(buffered, fd, O_CLOEXEC)), fd);
	ck_result(read_at(fd, buf + 1, 100, 0), 100);
	ck_assert(has_pattern(buf + 1, 100, 7));
	drop_arena();
}

/* The last read of a direct file may be shorter than a block; what is left is
 * not aligned, and there is none of it. */
TEST(full_read_of_a_direct_file_ends_where_the_file_does)
{
	char data[BLOCK + 100], *buf = aligned_buffer(2 * BLOCK);
	int fd;

	fill_pattern(data, sizeof(data), 5);
	make_file("odd", data, sizeof(data));
	fd = open_direct("odd", O_RDONLY);
	if (fd < 0)
		SKIP("no O_DIRECT in this file system");
	ck_result(finish(peal_read_full(ring, fd, buf, 2 * BLOCK, 0, 0,
					on_done, NULL)), sizeof(data));
	ck_assert(has_pattern(buf, sizeof(data), 5));
}

/* --- registering ------------------------------------------------------ */

TEST(arena_is_registered_once_per_ring_and_taken_away_once)
{
	use_arena(0);
	ck_result(peal_arena_register(ring, arena, 0), -EEXIST);
	ck_assert_int_eq(peal_arena_unregister(ring, arena), 0);
	ck_result(peal_arena_unregister(ring, arena), -ENOENT);
	ck_result(peal_arena_register(ring, arena, 1), -EINVAL);
	ck_result(peal_arena_register(ring, arena, PEAL_FIXED | PEAL_PLAIN),
		  -EINVAL);
	ck_assert_int_eq(peal_arena_close(arena), 0);
}

TEST(engine_without_registered_memory_says_so)
{
	use_arena(0);
	if (disabled("fixed"))
		ck_assert_ptr_nonnull(strstr(peal_memory_reason(),
					     "disabled"));
	else if (strcmp(peal_ring_engine(ring), "uring") != 0 &&
		 !harness_replays())
		ck_assert_ptr_nonnull(strstr(peal_memory_reason(),
					     "engine"));
	else if (harness_lockable() == ~0ull)
		ck_assert(registered);
	if (!registered)
		ck_assert_str_ne(peal_memory_reason(), "");
	drop_arena();
}

TEST(explain_has_a_line_for_the_arena_and_how_it_is_used)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	use_arena(0);
	out = open_memstream(&text, &len);
	peal_ring_explain(ring, out);
	fclose(out);
	ck_assert_ptr_nonnull(strstr(text, registered
					   ? "\narena          registered"
					   : "\narena          plain memory"));
	ck_assert_ptr_nonnull(strstr(text, "16 KiB on small pages"));
	free(text);
	drop_arena();
}

TEST(rings_share_one_arena_and_it_is_locked_as_explain_says)
{
	struct peal_arena_stats stats = { .size = sizeof(stats) };
	struct peal_ring_options options = harness_options();
	struct peal_ring *other;
	char *text = NULL;
	size_t len = 0;
	FILE *out;
	int rc;

	NEEDS_LOCKED(256 << 10);
	use_arena(0);
	other = open_ring(&options);
	rc = peal_arena_register(other, arena, 0);
	ck_assert_int_eq(rc, registered ? 0 : 1);
	peal_arena_stats(arena, &stats);
	ck_assert_uint_eq(stats.rings, 2);
	out = open_memstream(&text, &len);
	peal_arena_explain(arena, out);
	fclose(out);
	if (registered && !harness_replays())	/* it locks nothing */
		ck_assert_uint_eq(stats.locked,
				  strstr(text, "once for all rings")
					  ? stats.bytes
					  : 2 * stats.bytes);
	else
		ck_assert_uint_eq(stats.locked, 0);
	free(text);
	close_ring(other);
	peal_arena_stats(arena, &stats);
	ck_assert_uint_eq(stats.rings, 1);
	drop_arena();
}

TEST(closing_a_ring_lets_go_of_its_arenas)
{
	struct peal_ring_options options = harness_options();

	use_arena(0);
	ck_result(peal_arena_close(arena), -EBUSY);
	ck_assert_ptr_nonnull(strstr(peal_memory_reason(), "1 ring"));
	reopen_ring(&options);
	ck_assert_int_eq(peal_arena_close(arena), 0);
}

TEST(ring_has_room_for_eight_arenas_and_uses_the_right_one)
{
	struct peal_arena *many[8], *ninth;
	char *buf;
	int fd = buffered_file(), i, rc = 0;

	NEEDS_LOCKED(1 << 20);
	for (i = 0; i < 8; i++) {
		many[i] = new_arena(2 * BLOCK, PEAL_ARENA_PLAIN_OK);
		rc = peal_arena_register(ring, many[i], PEAL_FIXED);
		ck_assert(rc == 0 || rc == 1);
	}
	registered = rc == 0;
	ninth = new_arena(BLOCK, PEAL_ARENA_PLAIN_OK);
	ck_result(peal_arena_register(ring, ninth, 0), -ENOSPC);
	ck_assert_int_eq(peal_arena_close(ninth), 0);
	ck_assert_int_eq(peal_arena_unregister(ring, many[2]), 0);
	for (i = 0; i < 8; i++) {
		if (i == 2)
			continue;
		buf = peal_arena_alloc(many[i], BLOCK, BLOCK);
		memset(buf, 0, BLOCK);
		ck_result(read_at(fd, buf, BLOCK, 0), BLOCK);
		ck_assert(has_pattern(buf, BLOCK, 7));
	}
	reads_were(7, 0);
	ck_assert_int_eq(peal_arena_register(ring, many[2], PEAL_FIXED), rc);
	buf = peal_arena_alloc(many[2], BLOCK, BLOCK);
	ck_result(read_at(fd, buf, BLOCK, 0), BLOCK);
	ck_assert(has_pattern(buf, BLOCK, 7));
	reads_were(8, 0);
	for (i = 0; i < 8; i++) {
		ck_assert_int_eq(peal_arena_unregister(ring, many[i]), 0);
		ck_assert_int_eq(peal_arena_close(many[i]), 0);
	}
}

/* --- what is lent stays ----------------------------------------------- */

TEST(arena_with_memory_lent_to_an_op_is_not_taken_away)
{
	int fds[2];
	peal_op op;

	make_pipe(fds);
	use_arena(0);
	op = peal_read(ring, fds[0], block(), BLOCK, PEAL_CURRENT, 0, on_done,
		       NULL);
	ck_assert_int_gt(op, 0);
	ck_result(peal_arena_unregister(ring, arena), -EBUSY);
	ck_assert_ptr_nonnull(strstr(peal_memory_reason(), "1 op "));
	settle();
	ck_result(peal_arena_unregister(ring, arena), -EBUSY);
	ck_result(peal_arena_close(arena), -EBUSY);
	ck_assert_int_eq(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
	drop_arena();
}

TEST(arena_with_memory_lent_before_it_was_registered_is_not_taken_away)
{
	char *buf;
	int fds[2];
	peal_op op;

	make_socketpair(SOCK_STREAM, fds);
	arena = new_arena(4 * BLOCK, PEAL_ARENA_PLAIN_OK);
	buf = block();
	op = peal_recv(ring, fds[0], buf, BLOCK, 0, 0, on_done, NULL);
	ck_assert_int_ge(peal_arena_register(ring, arena, 0), 0);
	ck_result(peal_arena_unregister(ring, arena), -EBUSY);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_result(finish(op), 1);
	ck_assert_int_eq(buf[0], 'x');
	drop_arena();
}

TEST(vectors_in_flight_keep_the_arena)
{
	struct iovec iov;
	int fds[2];
	peal_op op;

	make_pipe(fds);
	use_arena(0);
	iov = (struct iovec){ block(), BLOCK };
	op = peal_readv(ring, fds[0], &iov, 1, PEAL_CURRENT, 0, 0, on_done,
			NULL);
	ck_result(peal_arena_unregister(ring, arena), -EBUSY);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_result(finish(op), 1);
	drop_arena();
}

TEST(ops_with_other_memory_and_none_do_not_keep_the_arena)
{
	char byte;
	int fds[2];
	peal_op reading, waiting, polling;

	make_pipe(fds);
	use_arena(0);
	reading = peal_read(ring, fds[0], &byte, 1, PEAL_CURRENT, 0, on_done,
			    NULL);
	waiting = peal_sleep(ring, PEAL_S, 0, on_done, NULL);
	polling = peal_poll(ring, fds[0], POLLIN, 0, on_done, NULL);
	settle();
	drop_arena();
	peal_cancel_all(ring, 0, NULL, NULL);
	finish(reading);
	finish(waiting);
	finish(polling);
}

TEST(row_used_again_does_not_remember_what_it_was_lent)
{
	char byte;
	int fds[2];
	peal_op op;

	make_pipe(fds);
	use_arena(0);
	op = peal_read(ring, fds[0], block(), 1, PEAL_CURRENT, 0, on_done,
		       NULL);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_result(finish(op), 1);
	op = peal_read(ring, fds[0], &byte, 1, PEAL_CURRENT, 0, on_done, NULL);
	drop_arena();
	ck_assert_int_eq(write(fds[1], "y", 1), 1);
	ck_result(finish(op), 1);
	ck_assert_int_eq(byte, 'y');
}

/* --- a fork ----------------------------------------------------------- */

static void touch(void *memory)
{
	*(volatile char *)memory = 1;
}

/* Were it copied, the first write of either would part the parent from the
 * pages that the kernel writes to. */
TEST(forked_child_does_not_have_the_arena)
{
	char text[64], *buf;
	int fds[2], status;
	peal_op op;

	make_pipe(fds);
	use_arena(PEAL_FIXED);
	buf = block();
	memset(buf, 0, BLOCK);
	op = peal_read(ring, fds[0], buf, 4, PEAL_CURRENT, 0, on_done, NULL);
	settle();
	status = in_child(touch, buf, text, sizeof(text));
	ck_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
	buf[100] = 1;
	ck_assert_int_eq(write(fds[1], "data", 4), 4);
	ck_result(finish(op), 4);
	ck_assert_int_eq(memcmp(buf, "data", 4), 0);
	drop_arena();
}

/* --- limits ----------------------------------------------------------- */

static const uint32_t plain_ok = PEAL_ARENA_PLAIN_OK, refuse;

/* As an ordinary user who may lock 64 KiB, more than that is asked for. That
 * user is another in each run, and may not read the record of the last one. */
static void ask_too_much(void *flags)
{
	struct rlimit limit = { 64 << 10, 64 << 10 };
	struct peal_arena_options options = PEAL_ARENA_OPTIONS;
	struct peal_arena *large;
	struct peal_ring *own;
	int rc;

	if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
	    (geteuid() == 0 && !harness_replays() &&
	     setresuid(HARNESS_NOBODY, HARNESS_NOBODY, HARNESS_NOBODY) != 0))
		_exit(3);
	options.bytes = 1 << 20;
	options.flags = *(const uint32_t *)flags;
	if (peal_ring_open(&own, NULL) < 0 ||
	    peal_arena_open(&large, &options) < 0)
		_exit(4);
	rc = peal_arena_register(own, large, 0);
	fprintf(stderr, "%d %s", rc, peal_memory_reason());
	_exit(0);
}

TEST(limit_too_low_is_an_error_with_both_numbers_and_the_remedy)
{
	char text[1024];
	int status;

	use_arena(0);
	drop_arena();
	if (!registered && harness_lockable() == ~0ull)
		SKIP("nothing is registered here");
	if (strcmp(peal_ring_engine(ring), "uring") || disabled("fixed"))
		SKIP("nothing is locked here");
	status = in_child(ask_too_much, (void *)(uintptr_t)&refuse, text,
			  sizeof(text));
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s",
		      text);
	ck_assert_msg(strtol(text, NULL, 10) == -ENOMEM, "%s", text);
	ck_assert_msg(strstr(text, "1024 KiB") && strstr(text, "64 KiB") &&
		      strstr(text, "RLIMIT_MEMLOCK") &&
		      strstr(text, "ulimit -l"), "%s", text);
}

TEST(limit_too_low_is_plain_memory_where_that_was_allowed)
{
	char text[1024];
	int status = in_child(ask_too_much, (void *)(uintptr_t)&plain_ok, text,
			      sizeof(text));

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s",
		      text);
	ck_assert_msg(strtol(text, NULL, 10) == 1, "%s", text);
	if (strcmp(peal_ring_engine(ring), "uring") == 0 && !disabled("fixed"))
		ck_assert_msg(strstr(text, "RLIMIT_MEMLOCK"), "%s", text);
}

SUITE("memory")
