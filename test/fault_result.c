/* SPDX-License-Identifier: MIT */
/*
 * Operations that end badly: short, full, interrupted, and a kernel that goes
 * on writing after its ring is gone.
 */
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "peal/uring.h"
#include "test/harness.h"

#define NOP_INJECT_RESULT 1u	/* Linux 6.10; older headers lack it */

/* --- short writes -------------------------------------------------------- */

/* From now on a file of this process ends at len. */
static void limit_file_size(rlim_t len)
{
	struct rlimit limit = { len, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

TEST(write_across_the_size_limit_is_short)
{
	char *out = aligned_buffer(16384);
	int fd = make_file("f", "", 0);

	limit_file_size(10000);
	ck_result(finish(peal_write(ring, fd, out, 16384, 0, 0, on_done,
				    NULL)), 10000);
	ck_result(finish(peal_write(ring, fd, out, 16384, 10000, 0, on_done,
				    NULL)), -EFBIG);
}

TEST(write_full_across_the_size_limit_is_efbig_and_names_how_far_it_came)
{
	char *out = aligned_buffer(16384);
	int fd = make_file("f", "", 0);
	const struct outcome *seen;

	limit_file_size(10000);
	seen = finish_outcome(peal_write_full(ring, fd, out, 16384, 0, 0,
					      on_done, NULL));
	ck_result(seen->result, -EFBIG);
	ck_assert_ptr_eq(seen->buf, out + 10000);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 10000);
}

/* A file on a disk with room for 64 KiB; -1: there can be none. */
static int file_on_a_small_disk(void)
{
	if (unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", dir(), "tmpfs", 0, "size=64k") != 0)
		return -1;
	return make_file("f", "", 0);
}

TEST(write_full_to_a_full_disk_is_enospc_and_names_how_far_it_came)
{
	size_t len = 256 << 10;
	char *out = aligned_buffer(len);
	int fd = file_on_a_small_disk();
	const struct outcome *seen;

	if (fd < 0)
		SKIP("no mount for us: %s", strerror(errno));
	seen = finish_outcome(peal_write_full(ring, fd, out, len, 0, 0,
					      on_done, NULL));
	ck_result(seen->result, -ENOSPC);
	ck_assert((char *)seen->buf > out);
	ck_assert((char *)seen->buf <= out + (64 << 10));
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), (char *)seen->buf - out);
}

TEST(write_to_a_full_disk_is_short_and_then_enospc)
{
	size_t len = 256 << 10;
	char *out = aligned_buffer(len);
	int fd = file_on_a_small_disk();
	int64_t written;

	if (fd < 0)
		SKIP("no mount for us: %s", strerror(errno));
	written = finish(peal_write(ring, fd, out, len, 0, 0, on_done, NULL));
	ck_assert_int_gt(written, 0);
	ck_assert_int_le(written, 64 << 10);
	ck_result(finish(peal_write(ring, fd, out, len, (uint64_t)written, 0,
				    on_done, NULL)), -ENOSPC);
	ck_result(finish(peal_allocate(ring, fd, 0, 1 << 20, 0, on_done,
				       NULL)), -ENOSPC);
}

/* --- results through the true path of a completion ----------------------- */

/* The kernel completes a NOP with this result. */
static peal_op injected(int result)
{
	struct io_uring_sqe entry;

	memset(&entry, 0, sizeof(entry));
	entry.opcode = IORING_OP_NOP;
	entry.rw_flags = NOP_INJECT_RESULT;
	entry.len = (unsigned)result;
	return peal_uring_submit(ring, &entry, on_done, NULL);
}

#define NEEDS_INJECTION()						\
	do {								\
		if (finish(injected(777)) != 777)			\
			SKIP("the kernel injects no results");		\
	} while (0)

TEST(result_of_a_raw_entry_is_the_kernels)
{
	static const int results[] = { 0, 1, INT32_MAX, -EIO, -ENOSPC, -EPIPE,
				       -EINTR, -EAGAIN, -ECANCELED, -512,
				       -4095 };
	unsigned at;

	NEEDS_INJECTION();
	for (at = 0; at < sizeof(results) / sizeof(results[0]); at++) {
		int64_t result = finish(injected(results[at]));

		/* Debian's 6.12.117 itself makes that of restart codes. */
		if (results[at] == -512 && result == -EINTR)
			continue;
		ck_result(result, results[at]);
	}
}

TEST(result_of_a_raw_entry_says_that_a_cancel_was_asked_for)
{
	peal_op op;

	NEEDS_INJECTION();
	op = injected(-EIO);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -EIO);
	ck_assert(outcome(op)->flags & PEAL_CANCELLED);
}

/* --- the kernel after the ring ------------------------------------------- */

#define PIECE	((size_t)1 << 20)
#define PIECES	64u

static unsigned pieces_done;

static void on_piece(struct peal_ring *where,
		     const struct peal_completion *done)
{
	(void)where;
	ck_assert(done->result == (int64_t)PIECE ||
		  done->result == -ECANCELED);
	pieces_done++;
}

/* Leaving an io_uring does not stop what the disk has been told to do. */
BARE_TEST(closed_ring_writes_into_no_buffer_any_more)
{
	struct peal_ring_options options = harness_options();
	char *buf = aligned_buffer(PIECES * PIECE);
	unsigned round, at;
	size_t byte;
	int fd;

	memset(buf, 0x55, PIECES * PIECE);
	fd = make_file("big", buf, PIECES * PIECE);
	ck_assert_int_eq(fsync(fd), 0);
	fd = open_direct("big", O_RDONLY);
	if (fd < 0)
		SKIP("O_DIRECT: %s", strerror(errno));
	for (round = 0; round < 3; round++) {
		struct peal_ring *own = open_ring(&options);

		pieces_done = 0;
		for (at = 0; at < PIECES; at++)
			ck_assert_int_gt(peal_read(own, fd, buf + at * PIECE,
						   PIECE, at * PIECE, 0,
						   on_piece, NULL), 0);
		ck_ok(peal_ring_turn(own, 0));
		close_ring(own);
		memset(buf, 0xaa, PIECES * PIECE);
		ck_assert_uint_eq(pieces_done, PIECES);
		/* The one wait in these tests: for what must not come. */
		poll(NULL, 0, 200);
		for (byte = 0; byte < PIECES * PIECE; byte++)
			if ((unsigned char)buf[byte] != 0xaa)
				ck_abort_msg("byte %zu was written", byte);
	}
}

SUITE("result faults")
