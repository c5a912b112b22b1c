/* SPDX-License-Identifier: MIT */
/*
 * Bounce buffers: what is not aligned as O_DIRECT wants it is read and written
 * all the same, and no byte beside it is touched.
 */
#include "test/harness.h"

#define BLOCK 4096u
#define BYTES (16 * BLOCK)		/* of the ring's memory for it */
#define FILE_BYTES (24 * BLOCK + 100)	/* ends inside a block */
#define MARGIN 16u
#define MARK 0x5a

static char *area;		/* aligned, as long as the file and more */
static char *text;		/* what is in the file */
static int file;		/* opened with O_DIRECT */

static uint64_t bounced(const char *opcode)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	peal_ring_stats(ring, &stats);
	return stats.bounced_by_op[opcode_named(opcode)];
}

static void open_with(uint32_t bytes)
{
	struct peal_ring_options options = harness_options();

	options.bounce_bytes = bytes;
	reopen_ring(&options);
	area = aligned_buffer(FILE_BYTES + 4 * BLOCK);
	text = aligned_buffer(FILE_BYTES);
	fill_pattern(text, FILE_BYTES, 7);
	make_file("direct", text, FILE_BYTES);
	file = open_direct("direct", O_RDWR);
}

/* What fd wants of offsets; 0: the system does not tell. */
static uint32_t wants(int fd)
{
	struct peal_stat st;

	memset(&st, 0, sizeof(st));
	ck_result(finish(peal_stat(ring, fd, "", PEAL_STAT_EMPTY_PATH,
				   PEAL_STAT_BASIC | PEAL_STAT_DIO, &st, 0,
				   on_done, NULL)), 0);
	return st.mask & PEAL_STAT_DIO ? st.dio_offset_align : 0;
}

#define BOUNCING_RING(bytes)						\
	do {								\
		open_with(bytes);					\
		if (file < 0)						\
			SKIP("no O_DIRECT in this file system");	\
	} while (0)

static uint64_t random_state;

static size_t below(size_t limit)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(random_state >> 33) % limit;
}

static int64_t left_of(uint64_t offset, size_t len)
{
	if (offset >= FILE_BYTES)
		return 0;
	return (int64_t)(FILE_BYTES - offset < len ? FILE_BYTES - offset : len);
}

static int all_marks(const char *at, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (at[i] != MARK)
			return 0;
	return 1;
}

typedef peal_op read_function(struct peal_ring *where, peal_fd fd, void *buf,
			      size_t len, uint64_t offset, unsigned flags,
			      peal_handler *handler, void *ctx);

/* Reads there, and looks at every byte around it. */
static void reads(read_function *read_it, size_t at, size_t len,
		  uint64_t offset)
{
	char *buf = area + MARGIN + at;
	int64_t want = left_of(offset, len);
	const struct outcome *seen;

	memset(buf - MARGIN, MARK, len + 2 * MARGIN);
	seen = finish_outcome(read_it(ring, file, buf, len, offset, PEAL_BOUNCE,
				      on_done, NULL));
	ck_assert_msg(seen->result == want,
		      "%zu bytes at %llu to %zu: %lld and not %lld", len,
		      (unsigned long long)offset, at, (long long)seen->result,
		      (long long)want);
	ck_assert(want == 0 || memcmp(buf, text + offset, (size_t)want) == 0);
	ck_assert(all_marks(buf - MARGIN, MARGIN));
	ck_assert(all_marks(buf + want, len - (size_t)want + MARGIN));
	if (read_it == peal_read_full)
		ck_assert_ptr_eq(seen->buf, buf + want);
	else
		ck_assert_ptr_null(seen->buf);
}

/* --- reads ---------------------------------------------------------------- */

static void reads_of_all_kinds(read_function *read_it)
{
	unsigned i;

	reads(read_it, BLOCK - MARGIN, BLOCK, 0);
	reads(read_it, 1, BLOCK, 0);
	reads(read_it, 0, 1, 0);
	reads(read_it, 3, 100, BLOCK - 50);
	reads(read_it, 5, BLOCK, 24 * BLOCK);
	reads(read_it, 5, 50, FILE_BYTES - 20);
	reads(read_it, 5, 50, FILE_BYTES);
	reads(read_it, 5, 50, FILE_BYTES + 1);
	reads(read_it, 5, 50, 1000 * BLOCK + 7);
	reads(read_it, 5, 0, 9);
	random_state = 1;
	for (i = 0; i < 300; i++)
		reads(read_it, below(BLOCK), below(BYTES - 2 * BLOCK),
		      below(FILE_BYTES + BLOCK));
}

TEST(read_is_served_wherever_it_begins_and_ends)
{
	BOUNCING_RING(BYTES);
	reads_of_all_kinds(peal_read);
	if (wants(file) > 1)
		ck_assert_uint_ge(bounced("read"), 300);
	ck_assert_uint_eq(bounced("write"), 0);
}

TEST(full_read_is_served_wherever_it_begins_and_ends)
{
	BOUNCING_RING(BYTES);
	reads_of_all_kinds(peal_read_full);
	if (wants(file) > 1)
		ck_assert_uint_ge(bounced("read"), 300);
}

TEST(many_reads_at_a_time_do_not_meet)
{
	peal_op ops[8];
	unsigned round, i;

	BOUNCING_RING(BYTES);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 8; i++)
			ops[i] = peal_read(ring, file, area + i * 1000 + 1, 999,
					   i * 777 + round, PEAL_BOUNCE,
					   on_done, NULL);
		for (i = 0; i < 8; i++) {
			ck_result(finish(ops[i]), 999);
			ck_assert_mem_eq(area + i * 1000 + 1,
					 text + i * 777 + round, 999);
		}
	}
}

/* --- writes --------------------------------------------------------------- */

static void is_in_file(const char *data, size_t len, uint64_t offset)
{
	static char now[FILE_BYTES];
	int fd = keep_fd(open(path_in_dir("direct"), O_RDONLY | O_CLOEXEC));

	memcpy(text + offset, data, len);
	ck_assert_int_eq((int)read_at(fd, now, sizeof(now), 0), FILE_BYTES);
	ck_assert_mem_eq(now, text, sizeof(now));
	close(fd);
}

TEST(write_from_any_address_lands_whole)
{
	char *data;
	peal_op op;

	BOUNCING_RING(BYTES);
	data = area + 3;
	fill_pattern(data, 3 * BLOCK, 21);
	op = peal_write(ring, file, data, 3 * BLOCK, 2 * BLOCK, PEAL_BOUNCE,
			on_done, NULL);
	ck_result(finish(op), 3 * BLOCK);
	is_in_file(data, 3 * BLOCK, 2 * BLOCK);
	fill_pattern(data, 5 * BLOCK, 22);
	op = peal_write_full(ring, file, data, 5 * BLOCK, 7 * BLOCK,
			     PEAL_BOUNCE, on_done, NULL);
	ck_result(finish(op), 5 * BLOCK);
	ck_assert_ptr_eq(outcome(op)->buf, data + 5 * BLOCK);
	is_in_file(data, 5 * BLOCK, 7 * BLOCK);
	if (wants(file) > 1)
		ck_assert_uint_ge(bounced("write"), 1);
	ck_assert_uint_eq(bounced("read"), 0);
}

TEST(write_of_a_part_of_a_block_is_refused_with_the_reason)
{
	unsigned i;

	BOUNCING_RING(BYTES);
	if (wants(file) < 2)
		SKIP("this system does not tell what O_DIRECT wants");
	for (i = 0; i < 2; i++) {
		peal_op op = peal_write(ring, file, area, i ? BLOCK : 100,
					i ? 7 : 0, PEAL_BOUNCE, on_done, NULL);

		ck_result(op, -EINVAL);
		ck_assert_msg(strstr(peal_memory_reason(), "in between") &&
			      strstr(peal_memory_reason(), "multiples of"),
			      "%s", peal_memory_reason());
	}
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
	is_in_file(text, 1, 0);
}

/* --- what does not bounce --------------------------------------------------- */

TEST(aligned_op_does_not_bounce)
{
	char *buf;

	BOUNCING_RING(BYTES);
	buf = area;
	ck_result(finish(peal_read(ring, file, buf, BLOCK, BLOCK, PEAL_BOUNCE,
				   on_done, NULL)), BLOCK);
	ck_assert_mem_eq(buf, text + BLOCK, BLOCK);
	ck_result(finish(peal_write(ring, file, buf, BLOCK, 0, PEAL_BOUNCE,
				    on_done, NULL)), BLOCK);
	ck_assert_uint_eq(bounced("read") + bounced("write"), 0);
}

TEST(other_files_are_as_without_it)
{
	int fd, fds[2];
	char *buf;

	open_with(BYTES);
	buf = area + 1;
	fd = make_file("buffered", text, FILE_BYTES);
	ck_result(finish(peal_read(ring, fd, buf, 99, 9, PEAL_BOUNCE, on_done,
				   NULL)), 99);
	ck_assert_mem_eq(buf, text + 9, 99);
	ck_result(finish(peal_write(ring, fd, buf, 9, 99, PEAL_BOUNCE, on_done,
				    NULL)), 9);
	make_pipe(fds);
	ck_assert_int_eq(write(fds[1], "abcdef", 6), 6);
	ck_result(finish(peal_read(ring, fds[0], buf, 2, PEAL_CURRENT,
				   PEAL_BOUNCE, on_done, NULL)), 2);
	ck_result(finish(peal_read(ring, fds[0], buf, 4, PEAL_CURRENT,
				   PEAL_BOUNCE, on_done, NULL)), 4);
	ck_assert_mem_eq(buf, "cdef", 4);
	ck_assert_uint_eq(bounced("read") + bounced("write"), 0);
}

/* More would be taken from it than was asked for, and lost. */
TEST(pipe_under_a_direct_files_number_loses_nothing)
{
	int fds[2];

	BOUNCING_RING(BYTES);
	reads(peal_read, 1, 10, 10);
	make_pipe(fds);
	ck_assert_int_eq(write(fds[1], "abcdef", 6), 6);
	ck_assert_int_eq(keep_fd(dup3(fds[0], file, O_CLOEXEC)), file);
	ck_result(finish(peal_read(ring, file, area + 1, 2, 0, PEAL_BOUNCE,
				   on_done, NULL)), 2);
	ck_result(finish(peal_read(ring, file, area + 1, 4, 0, PEAL_BOUNCE,
				   on_done, NULL)), 4);
	ck_assert_mem_eq(area + 1, "cdef", 4);
}

TEST(only_reads_and_writes_of_files_have_the_flag)
{
	struct iovec iov;
	int fds[2];

	open_with(BYTES);
	iov = (struct iovec){ area, 1 };
	make_socketpair(SOCK_STREAM, fds);
	ck_result(peal_send(ring, fds[0], area, 1, 0, PEAL_BOUNCE, on_done,
			    NULL), -EINVAL);
	ck_result(peal_recv(ring, fds[0], area, 1, 0, PEAL_BOUNCE, on_done,
			    NULL), -EINVAL);
	ck_result(peal_readv(ring, fds[0], &iov, 1, 0, 0, PEAL_BOUNCE, on_done,
			     NULL), -EINVAL);
	ck_result(peal_sync(ring, fds[0], PEAL_BOUNCE, on_done, NULL),
		  -EINVAL);
}

TEST(registered_form_cannot_be_wished_for_as_well)
{
	BOUNCING_RING(BYTES);
	if (wants(file) < 2)
		SKIP("this system does not tell what O_DIRECT wants");
	ck_result(peal_read(ring, file, area, 1, 0, PEAL_BOUNCE | PEAL_FIXED,
			    on_done, NULL), -EINVAL);
}

TEST(position_of_the_file_can_be_used_from_any_address)
{
	BOUNCING_RING(BYTES);
	if (wants(file) < 2)
		SKIP("this system does not tell what O_DIRECT wants");
	ck_result(finish(peal_read(ring, file, area + 1, BLOCK, PEAL_CURRENT,
				   PEAL_BOUNCE, on_done, NULL)), BLOCK);
	ck_assert_mem_eq(area + 1, text, BLOCK);
	ck_assert_uint_eq(bounced("read"), 1);
	ck_result(finish_or_refused(peal_read(ring, file, area, 1,
					      PEAL_CURRENT, PEAL_BOUNCE,
					      on_done, NULL)), -EINVAL);
}

/* --- the memory ----------------------------------------------------------- */

static void refused(peal_op op, int error, const char *why)
{
	ck_result(op, error);
	ck_assert_msg(strstr(peal_memory_reason(), why), "\"%s\" lacks \"%s\"",
		      peal_memory_reason(), why);
}

static peal_op unaligned_read(size_t blocks)
{
	return peal_read(ring, file, area + 1, blocks * BLOCK, 0, PEAL_BOUNCE,
			 on_done, NULL);
}

TEST(ring_without_memory_for_it_refuses_what_is_not_aligned)
{
	BOUNCING_RING(0);
	if (wants(file) < 2)
		SKIP("this system does not tell what O_DIRECT wants");
	refused(peal_read(ring, file, area, 1, 0, PEAL_BOUNCE, on_done, NULL),
		-ENOMEM, "options.bounce_bytes is 0");
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
	ck_result(finish(peal_read(ring, file, area, BLOCK, 0, PEAL_BOUNCE,
				   on_done, NULL)), BLOCK);
}

TEST(memory_that_is_used_up_is_back_pressure)
{
	peal_op first, second;

	BOUNCING_RING(BYTES);
	if (wants(file) < 2)
		SKIP("this system does not tell what O_DIRECT wants");
	first = unaligned_read(12);
	second = unaligned_read(4);
	refused(unaligned_read(1), -EAGAIN, "2 in flight have 65536 of");
	ck_assert_uint_eq(peal_ring_in_flight(ring), 2);
	ck_result(finish(second), 4 * BLOCK);
	refused(unaligned_read(17), -ENOMEM, "ask for less");
	ck_result(finish(unaligned_read(4)), 4 * BLOCK);
	ck_result(finish(first), 12 * BLOCK);
	first = unaligned_read(16);
	refused(unaligned_read(1), -EAGAIN, "1 in flight have 65536 of");
	ck_result(finish(first), 16 * BLOCK);
}

TEST(op_that_ends_early_gives_its_memory_back)
{
	unsigned i;

	BOUNCING_RING(BYTES);
	for (i = 0; i < 200; i++) {
		peal_op op = unaligned_read(16);

		ck_assert_int_gt(op, 0);
		if (i & 1)
			ck_ok(peal_ring_turn(ring, 0));
		if (peal_op_in_flight(ring, op))
			ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
		UNTIL(finished(op));
		ck_assert(outcome(op)->result == 16 * BLOCK ||
			  outcome(op)->result == -ECANCELED);
	}
}

TEST(op_that_is_refused_gives_its_memory_back)
{
	unsigned i;

	BOUNCING_RING(BYTES);
	for (i = 0; i < 3; i++)
		ck_result(peal_read(ring, file, area + 1, BYTES, 0,
				    PEAL_BOUNCE | 1u << 30, on_done, NULL),
			  -EINVAL);
	ck_result(finish(unaligned_read(16)), 16 * BLOCK);
}

TEST(closed_ring_needs_no_end_of_them)
{
	peal_op op;

	BOUNCING_RING(BYTES);
	op = unaligned_read(8);
	ck_assert_int_gt(op, 0);
	reopen_ring(NULL);
	ck_assert(finished(op));
}

SUITE("bounce")
