/* SPDX-License-Identifier: MIT */
/*
 * What lib/uring.c gathers after a wait: with DEFER_TASKRUN the kernel says by
 * a flag that an interrupt brought more than it has put into the queue. Here
 * the flag is the test's, and so is io_uring_enter2(), which counts and takes
 * it down.
 */
#include "lib/uring.h"
#include "test/scripted.h"

static uint32_t sq_flags;	/* instead of the kernel's */
static unsigned gathers, flag_stays_for;

/* The linker gives the library this one: see the Makefile. */
int __real_io_uring_enter2(unsigned fd, unsigned to_submit,
			   unsigned min_complete, unsigned flags, void *arg,
			   size_t size);
int __wrap_io_uring_enter2(unsigned fd, unsigned to_submit,
			   unsigned min_complete, unsigned flags, void *arg,
			   size_t size);
int __wrap_io_uring_enter2(unsigned fd, unsigned to_submit,
			   unsigned min_complete, unsigned flags, void *arg,
			   size_t size)
{
	if (sq_flags & PEAL__SQ_TASKRUN && !to_submit && !min_complete) {
		ck_assert(flags & PEAL__ENTER_GETEVENTS);
		if (++gathers == flag_stays_for)
			sq_flags = 0;
	}
	return __real_io_uring_enter2(fd, to_submit, min_complete, flags, arg,
				      size);
}

static int zero;
static char bytes[64];

/* From here on there is always more, the flag says, for so many looks. */
static int begin(unsigned looks)
{
	struct peal__uring *uring = ring->engine_state;

	zero = keep_fd(open("/dev/zero", O_RDONLY | O_CLOEXEC));
	ck_result(peal_ring_turn(ring, 0), 0);
	if (!uring->is_usual)
		return 0;
	uring->sq_flags = &sq_flags;
	sq_flags = PEAL__SQ_TASKRUN;
	flag_stays_for = looks;
	return 1;
}

#define BEGIN(looks)							\
	do {								\
		if (!begin(looks))					\
			SKIP("this kernel's ring takes the long way");	\
	} while (0)

/* Completions that are there when the wait ends. */
static void read_zeroes(unsigned count)
{
	while (count--)
		ck_ok(peal_read(ring, zero, bytes, 1, 0, 0, on_done, NULL));
}

/* The flag is the kernel's again, whose ring is to be closed. */
static unsigned looks_of_a_turn(uint64_t timeout_ns)
{
	const struct io_uring_sq *sq =
		&((struct peal__uring *)ring->engine_state)->ring.sq;

	gathers = 0;
	ck_ok(peal_ring_turn(ring, timeout_ns));
	((struct peal__uring *)ring->engine_state)->sq_flags = sq->kflags;
	return gathers;
}

TEST(what_an_interrupt_brought_for_files_is_taken_together)
{
	uint64_t enters;

	BEGIN(3);
	read_zeroes(1);
	enters = ring->stats.enters;
	ck_assert_uint_eq(looks_of_a_turn(PEAL_FOREVER), 3);
	ck_assert_uint_eq(ring->stats.enters, enters + 4);
}

TEST(ring_stops_looking_for_what_does_not_end)
{
	BEGIN(1000);
	read_zeroes(1);
	ck_assert_uint_eq(looks_of_a_turn(PEAL_FOREVER), 8);
}

TEST(ring_with_much_in_hand_looks_for_no_more)
{
	BEGIN(1000);
	read_zeroes(32);
	ck_assert_uint_eq(looks_of_a_turn(PEAL_FOREVER), 0);
}

TEST(ring_with_a_little_less_in_hand_looks_for_more)
{
	BEGIN(2);
	read_zeroes(31);
	ck_assert_uint_eq(looks_of_a_turn(PEAL_FOREVER), 2);
}

TEST(what_comes_for_sockets_is_taken_as_it_comes)
{
	int fds[2];

	BEGIN(1000);
	make_socketpair(SOCK_STREAM, fds);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_ok(peal_recv(ring, fds[0], bytes, 1, 0, 0, on_done, NULL));
	ck_assert_uint_eq(looks_of_a_turn(PEAL_FOREVER), 0);
}

TEST(turn_that_does_not_wait_does_not_gather)
{
	BEGIN(1000);
	read_zeroes(1);
	ck_assert_uint_eq(looks_of_a_turn(0), 0);
}

SUITE("uring gather")
