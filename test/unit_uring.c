/* SPDX-License-Identifier: MIT */
/*
 * The io_uring engine once it is open: its descriptors, its wake-up, raw
 * entries. What opens it on other kernels than this is in unit_uring_setup.c.
 */
#include "lib/uring.h"
#include "test/scripted.h"
#include "peal/uring.h"

/* --- descriptors ------------------------------------------------------ */

TEST(descriptors_of_a_ring_are_close_on_exec)
{
	const struct peal__uring *uring = ring->engine_state;

	ck_assert_int_eq(fcntl(uring->ring.ring_fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(uring->wake_fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(peal_uring_ring(ring)->ring_fd,
			 uring->ring.ring_fd);
}

TEST(open_leaves_no_trace_in_the_statistics)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	peal_ring_stats(ring, &stats);
	ck_assert_uint_eq(stats.submitted, 0);
	ck_assert_uint_eq(stats.completions, 0);
	ck_assert_uint_eq(stats.stale, 0);
}

TEST(wake_up_is_no_op_of_the_users)
{
	struct peal_stats stats = { .size = sizeof(stats) };
	const struct peal__uring *uring = ring->engine_state;

	ck_result(peal_ring_turn(ring, 0), 0);
	ck_assert_int_eq(uring->wake_armed, 1);
	peal_ring_stats(ring, &stats);
	ck_assert_uint_eq(stats.by_op[PEAL__OP_READ], 0);
	ck_assert_uint_eq(stats.by_op[PEAL__OP_POLL_ADD], 0);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
	ck_result(peal_ring_run(ring), 0);
}

static void nothing(struct peal_ring *where, void *ctx)
{
	(void)where;
	(void)ctx;
}

/* Wakes the ring a hundred times; how many entries did that take? */
static uint32_t wake_often(void)
{
	const struct peal__uring *uring = ring->engine_state;
	uint32_t before;
	unsigned at;

	ck_result(peal_ring_turn(ring, 0), 0);
	before = ring->queues.sq_tail;
	for (at = 0; at < 100; at++) {
		ck_assert_uint_gt(peal_ring_timeout_ns(ring), 0);
		ck_result(peal_post(ring, nothing, NULL), 0);
		ck_assert_uint_eq(atomic_load(&ring->wakes), at + 1);
		ck_result(peal_ring_turn(ring, 0), 1);
		UNTIL(uring->wake_armed);
	}
	ck_assert_uint_eq(ring->stats.stale, 0);
	return ring->queues.sq_tail - before;
}

TEST(wake_up_is_armed_once_for_all)
{
	ck_assert_uint_eq(wake_often(), 0);
}

TEST(wake_up_without_multishot_is_armed_again_each_time)
{
	struct peal_ring_options options = harness_options();

	options.disable = "multishot";
	reopen_ring(&options);
	ck_assert_uint_ge(wake_often(), 99);
}

TEST(wake_up_that_the_kernel_refuses_becomes_a_read)
{
	struct peal__uring *uring = ring->engine_state;
	struct peal__cqe end = { .user_data = PEAL__DATA_WAKE,
				 .res = -ECANCELED };
	struct peal__cqe refused = { .user_data = PEAL__DATA_WAKE,
				     .res = -EINVAL };

	ck_assert_int_eq(uring->wake_armed, 0);
	ring->engine->event(ring, &end);
	ck_assert_int_eq(uring->wake_by_read, 0);
	ring->engine->event(ring, &refused);
	ck_assert_int_eq(uring->wake_by_read, 1);
	ck_assert_uint_ge(wake_often(), 99);
}

TEST(turn_with_nothing_to_do_makes_no_system_call)
{
	unsigned at;

	ck_result(peal_ring_turn(ring, 0), 0);
	ring->stats.enters = 0;
	for (at = 0; at < 10; at++) {
		ck_result(peal_post(ring, nothing, NULL), 0);
		ck_result(peal_ring_turn(ring, PEAL_FOREVER), 1);
		ck_result(peal_ring_turn(ring, 0), 0);
	}
	ck_assert_uint_eq(ring->stats.enters, 0);
}

TEST(turn_without_waiting_sees_what_the_kernel_has_finished)
{
	int fds[2];
	char buf[1];
	peal_op op;

	make_pipe(fds);
	op = peal_read(ring, fds[0], buf, 1, PEAL_CURRENT, 0, on_done, NULL);
	ck_result(peal_ring_turn(ring, 0), 0);
	ck_result(peal_ring_turn(ring, 0), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	while (!finished(op))
		ck_ok(peal_ring_turn(ring, 0));
	ck_assert_int_eq(buf[0], 'x');
}

/* --- raw entries ------------------------------------------------------ */

TEST(raw_entry_that_would_break_the_ring_is_refused)
{
	static const unsigned flags[] = { IOSQE_IO_DRAIN, IOSQE_IO_LINK,
					  IOSQE_IO_HARDLINK,
					  IOSQE_CQE_SKIP_SUCCESS };
	struct io_uring_sqe entry;
	size_t at;

	memset(&entry, 0, sizeof(entry));
	for (at = 0; at < 4; at++) {
		entry.flags = (uint8_t)flags[at];
		ck_result(peal_uring_submit(ring, &entry, on_done, NULL),
			  -EINVAL);
	}
	entry.flags = 0;
	entry.opcode = PEAL__OP_KERNEL_COUNT;
	ck_result(peal_uring_submit(ring, &entry, on_done, NULL), -EINVAL);
	entry.opcode = 255;
	ck_result(peal_uring_submit(ring, &entry, on_done, NULL), -EINVAL);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

TEST(raw_entry_keeps_everything_but_its_user_data)
{
	struct io_uring_sqe entry;
	peal_op op;

	memset(&entry, 0, sizeof(entry));
	entry.opcode = IORING_OP_NOP;
	entry.user_data = UINT64_MAX;
	op = peal_uring_submit(ring, &entry, on_done, NULL);
	ck_result(finish(op), 0);
	ck_assert_uint_eq(ring->stats.stale, 0);
}

TEST(raw_direct_descriptor_that_nobody_wants_closes_no_fd)
{
	/* Its result is no fd: closing "it" would close a stranger. */
	struct io_uring_sqe entry;

	ck_assert_int_eq(io_uring_register_files_sparse(peal_uring_ring(ring),
							4), 0);
	memset(&entry, 0, sizeof(entry));
	entry.opcode = IORING_OP_OPENAT;
	entry.fd = AT_FDCWD;
	entry.addr = (uintptr_t)"/dev/null";
	entry.file_index = 1;
	ck_assert_int_ge(fcntl(0, F_GETFD), 0);
	ck_assert_int_gt(peal_uring_submit(ring, &entry, NULL, NULL), 0);
	UNTIL(peal_ring_in_flight(ring) == 0);
	ck_assert_int_ge(fcntl(0, F_GETFD), 0);
}

SCRIPT_TEST(other_engines_have_no_io_uring)
{
	ck_assert_ptr_null(peal_uring_ring(ring));
}

SUITE("uring")
