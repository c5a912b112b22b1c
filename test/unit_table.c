/* SPDX-License-Identifier: MIT */
/* The handler table: handles, generations, limits, the lists by fd. */
#include "test/scripted.h"

SCRIPT_SYSTEM

#define LAST_GENERATION ((UINT64_C(1) << 41) - 1)

static char buf[64];

static peal_op start_on(int fd)
{
	return peal_read(ring, fd, buf, 1, 0, 0, on_done, NULL);
}

static uint32_t row_of(peal_op op)
{
	return (uint32_t)((uint64_t)op & PEAL__ROW_MASK);
}

static uint64_t generation_of(peal_op op)
{
	return (uint64_t)op >> PEAL__ROW_BITS;
}

static void end(peal_op op)
{
	script_turn();
	script_complete((uint64_t)op, 0, 0);
	script_turn();
	ck_assert(!peal_op_in_flight(ring, op));
}

/* Makes the next use of a free row its last. */
static void wear_out(uint32_t index)
{
	ck_assert(ring->rows[index].flags & ROW_STORE);
	ring->rows[index].op =
		(int64_t)(LAST_GENERATION << PEAL__ROW_BITS | index);
}

/* --- handles ---------------------------------------------------------- */

SCRIPT_TEST(first_handle_is_row_1_generation_1)
{
	peal_op op = start_on(3);

	ck_assert_uint_eq(row_of(op), 1);
	ck_assert_uint_eq(generation_of(op), 1);
}

SCRIPT_TEST(row_given_back_last_is_used_first)
{
	peal_op a = start_on(3), b = start_on(3), c = start_on(3);

	end(b);
	end(a);
	ck_assert_uint_eq(row_of(start_on(3)), row_of(a));
	ck_assert_uint_eq(row_of(start_on(3)), row_of(b));
	ck_assert_uint_gt(row_of(start_on(3)), row_of(c));
}

SCRIPT_TEST(each_use_of_a_row_has_its_own_generation)
{
	peal_op op = start_on(3), before;
	unsigned at;

	for (at = 0; at < 100; at++) {
		before = op;
		end(op);
		op = start_on(3);
		ck_assert_uint_eq(row_of(op), row_of(before));
		ck_assert_uint_eq(generation_of(op), generation_of(before) + 1);
	}
}

SCRIPT_TEST(rows_are_touched_when_they_are_first_needed)
{
	unsigned at;

	for (at = 0; at < 50; at++)
		end(start_on(3));
	ck_assert_uint_eq(ring->rows_used, 1);
	start_on(3);
	start_on(3);
	ck_assert_uint_eq(ring->rows_used, 2);
}

SCRIPT_TEST(handle_of_the_last_generation_works_as_any_other)
{
	peal_op op = start_on(3);

	end(op);
	wear_out(1);
	op = start_on(3);
	ck_assert_int_gt(op, 0);
	ck_assert_uint_eq(generation_of(op), LAST_GENERATION);
	ck_assert(peal_op_in_flight(ring, op));
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 1);
	script_complete(script_cancel_data(op), 0, 0);
	script_complete((uint64_t)op, -ECANCELED, 0);
	script_turn();
	ck_result(outcome(op)->result, -ECANCELED);
	ck_assert_uint_eq(ring->stats.stale, 0);
}

SCRIPT_TEST(row_whose_generations_are_used_up_is_never_used_again)
{
	peal_op op = start_on(3);
	unsigned at;

	end(op);
	wear_out(1);
	end(start_on(3));
	ck_assert_uint_eq(peal__rows_live(ring), 0);
	for (at = 0; at < 100; at++) {
		op = start_on(3);
		ck_assert_int_gt(op, 0);
		ck_assert_uint_ne(row_of(op), 1);
	}
}

SCRIPT_TEST(completion_of_a_retired_row_is_stale)
{
	peal_op op = start_on(3);

	end(op);
	wear_out(1);
	op = start_on(3);
	end(op);
	ck_assert_int_lt(ring->rows[1].op, 0);
	script_complete((uint64_t)op, 1, 0);
	script_complete((uint64_t)ring->rows[1].op, 1, 0);
	script_complete((uint64_t)ring->rows[1].op, -EIO, 0);
	script_turn();
	ck_assert_uint_eq(ring->stats.stale, 3);
	ck_assert_uint_eq(script.events, 0);
	ck_assert_uint_eq(outcome(op)->calls, 1);
}

SCRIPT_TEST(handle_of_a_retired_row_finds_nothing)
{
	peal_op op = start_on(3);

	end(op);
	wear_out(1);
	op = start_on(3);
	end(op);
	ck_assert_int_eq(peal_op_in_flight(ring, op), 0);
	ck_assert_int_eq(peal_op_in_flight(ring, ring->rows[1].op), 0);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), -ENOENT);
}

SCRIPT_TEST(second_row_of_a_full_transfer_is_retired_as_well)
{
	peal_op op = start_on(3), full;

	end(op);
	wear_out(1);
	full = peal_read_full(ring, 3, buf, 8, 0, 0, on_done, NULL);
	ck_assert_uint_eq(peal__row_find(ring, full)->arg, 1);
	script_turn();
	script_complete((uint64_t)full, 8, 0);
	script_turn();
	ck_result(outcome(full)->result, 8);
	ck_assert_int_lt(ring->rows[1].op, 0);
	ck_assert_uint_eq(peal__rows_live(ring), 0);
	ck_assert_uint_ne(row_of(start_on(3)), 1);
}

SCRIPT_TEST(table_of_retired_rows_refuses_and_does_not_crash)
{
	unsigned rows;

	script_reopen(64, 256, 1);
	for (rows = 1; rows <= 1 + PEAL__SPARE_ROWS; rows++) {
		peal_op op = peal_nop(ring, 0, NULL, NULL);

		ck_assert_uint_eq(row_of(op), rows);
		script_turn();
		script_complete((uint64_t)op, 0, 0);
		script_turn();
		wear_out(rows);
		op = peal_nop(ring, 0, NULL, NULL);
		ck_assert_uint_eq(row_of(op), rows);
		script_turn();
		script_complete((uint64_t)op, 0, 0);
		script_turn();
	}
	ck_result(peal_nop(ring, 0, NULL, NULL), -EAGAIN);
	ck_result(peal_read_full(ring, 3, buf, 1, 0, 0, NULL, NULL), -EAGAIN);
	script_is_idle();
}

SCRIPT_TEST(what_is_no_handle_finds_nothing)
{
	static const peal_op none[] = { 0, -1, INT64_MIN, INT64_MAX, 1,
					(peal_op)PEAL__GENERATION };
	peal_op op = start_on(3);
	size_t at;

	for (at = 0; at < sizeof(none) / sizeof(*none); at++) {
		ck_assert_ptr_null(peal__row_find(ring, none[at]));
		ck_assert_int_eq(peal_op_in_flight(ring, none[at]), 0);
	}
	ck_assert_ptr_null(peal__row_find(ring, op + 1));
	ck_assert_ptr_null(peal__row_find(ring, op - 1));
	ck_assert_ptr_null(peal__row_find(ring, -op));
	ck_assert_ptr_nonnull(peal__row_find(ring, op));
	end(op);
	/* Its row's next handle: free, so it is nobody's. */
	ck_assert_ptr_null(peal__row_find(
		ring, op + (peal_op)PEAL__GENERATION));
}

/* --- limits ----------------------------------------------------------- */

SCRIPT_TEST(op_beyond_max_ops_is_refused_and_takes_nothing)
{
	uint32_t tail;
	unsigned at;

	script_reopen(64, 256, 4);
	for (at = 0; at < 4; at++)
		ck_assert_int_gt(start_on(3), 0);
	tail = ring->queues.sq_tail;
	ck_result(start_on(3), -EAGAIN);
	ck_result(peal_sleep(ring, 1, 0, on_done, NULL), -EAGAIN);
	ck_result(peal_close_drained(ring, 3, 0, on_done, NULL), -EAGAIN);
	ck_assert_uint_eq(ring->queues.sq_tail, tail);
	ck_assert_uint_eq(peal__rows_live(ring), 4);
	ck_assert_uint_eq(peal__in_flight(ring), 4);
	ck_assert_uint_eq(ring->draining, 0);
}

SCRIPT_TEST(full_transfer_takes_two_rows_and_is_one_op)
{
	script_reopen(64, 256, 4);
	ck_assert_int_gt(peal_read_full(ring, 3, buf, 8, 0, 0, NULL, NULL), 0);
	ck_assert_int_gt(start_on(3), 0);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 2);
	/* One row is left: not enough, and it must stay free. */
	ck_result(peal_read_full(ring, 3, buf, 8, 0, 0, NULL, NULL), -EAGAIN);
	ck_assert_uint_eq(peal__rows_live(ring), 3);
	ck_assert_int_gt(start_on(3), 0);
}

SCRIPT_TEST(full_table_has_room_for_960_cancels_more)
{
	peal_op op;
	unsigned at;

	script_reopen(64, 256, 1);
	op = start_on(3);
	for (at = 0; at < PEAL__CANCEL_ROWS; at++)
		ck_assert_int_gt(peal_cancel(ring, op, 0, on_done, NULL), 0);
	ck_result(peal_cancel(ring, op, 0, on_done, NULL), -EAGAIN);
	ck_result(peal_cancel_fd(ring, 3, 0, on_done, NULL), -EAGAIN);
	ck_result(peal_cancel_all(ring, 0, on_done, NULL), -EAGAIN);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_assert_uint_eq(ring->max_ops, 1);
	ck_result(start_on(3), -EAGAIN);
}

/* --- the lists by fd -------------------------------------------------- */

static unsigned on_fd(int fd)
{
	uint32_t i = ring->fd_heads[(uint32_t)fd & ring->fd_mask], prev = 0;
	unsigned count = 0;

	for (; i; prev = i, i = ring->rows[i].fd_next) {
		HOLDS(ring->rows[i].fd_prev == prev);
		HOLDS(!(ring->rows[i].flags & ROW_STORE));
		count += ring->rows[i].fd == fd;
	}
	return count;
}

SCRIPT_TEST(op_without_fd_is_on_no_list)
{
	peal_op op = peal_open(ring, PEAL_CWD, "x", O_RDONLY, 0, 0, on_done,
			       NULL);
	uint32_t at;

	for (at = 0; at <= ring->fd_mask; at++)
		ck_assert_uint_eq(ring->fd_heads[at], 0);
	end(op);
	for (at = 0; at <= ring->fd_mask; at++)
		ck_assert_uint_eq(ring->fd_heads[at], 0);
}

SCRIPT_TEST(fds_that_share_a_list_are_told_apart)
{
	int far = 3 + (int)ring->fd_mask + 1;
	peal_op near_op = start_on(3), far_op = start_on(far);

	ck_assert_uint_eq(on_fd(3), 1);
	ck_assert_uint_eq(on_fd(far), 1);
	ck_assert_uint_eq(peal__cancel_on_fd(ring, far), 1);
	script_turn();
	ck_assert_uint_eq(script_cancels(near_op), 0);
	ck_assert_uint_eq(script_cancels(far_op), 1);
}

static void churn(uint64_t seed)
{
	enum { FDS = 8, OPS = 200 };
	static peal_op ops[OPS];
	unsigned counts[FDS] = { 0 }, step, at;

	script_seed(seed);
	memset(ops, 0, sizeof(ops));
	for (step = 0; step < 20000; step++) {
		/* Half of the fds share their list with the other half. */
		int which = (int)script_below(FDS);
		int fd = which % 4 + (which / 4) * (int)(ring->fd_mask + 1);

		at = script_below(OPS);
		if (!ops[at]) {
			ops[at] = peal_read(ring, fd, buf, 1, 0, 0, NULL,
					    NULL);
			HOLDS(ops[at] > 0);
			counts[which]++;
		} else {
			struct peal__row *row = peal__row_find(ring, ops[at]);

			which = row->fd % 4 + (row->fd > 4 ? 4 : 0);
			counts[which]--;
			peal__row_release(ring, row,
					  (uint32_t)(row - ring->rows));
			ops[at] = 0;
		}
		if (step % 64 == 0)
			for (which = 0; which < FDS; which++)
				ck_assert_uint_eq(
					on_fd(which % 4 + (which / 4) *
					      (int)(ring->fd_mask + 1)),
					counts[which]);
	}
}

SCRIPT_TEST(lists_by_fd_agree_with_a_count_under_churn)
{
	churn(1);
	script_reopen(64, 256, 300);
	churn(2);
	script_reopen(64, 256, 300);
	churn(3);
}

SUITE("table")
