/* SPDX-License-Identifier: MIT */
/*
 * Starting an op: what is refused, a submission queue that is full, what is
 * owed then and that it is paid.
 */
#include "test/scripted.h"

SCRIPT_SYSTEM

static char buf[64];

static peal_op start_read(void)
{
	return peal_read(ring, 3, buf, 1, 0, 0, on_done, NULL);
}

/* Fills the submission queue; the engine takes nothing until told. */
static void fill_queue(void)
{
	while (peal__sq_room(ring))
		ck_assert_int_gt(peal_read(ring, 9, buf, 1, 0, 0, NULL, NULL),
				 0);
	script.take_at_most = 0;
}

static void completes(uint64_t user_data, int32_t res, uint32_t flags)
{
	script_complete(user_data, res, flags);
	script_turn();
}

/* --- the entry -------------------------------------------------------- */

SCRIPT_TEST(entry_is_zero_but_for_what_the_op_says)
{
	/* The memory of the entry has been used before: 0xa5 all over. */
	struct peal__sqe want;
	peal_op op = 0;
	unsigned at;

	for (at = 0; at < 130; at++) {
		op = peal_nop(ring, 0, NULL, NULL);
		script_turn();
	}
	memset(&want, 0, sizeof(want));
	want.opcode = PEAL__OP_NOP;
	want.fd = -1;
	want.user_data = (uint64_t)op;
	ck_assert_mem_eq(script_entry(op), &want, sizeof(want));
}

SCRIPT_TEST(async_is_the_entrys_flag)
{
	peal_op op = peal_nop(ring, PEAL_ASYNC, NULL, NULL);

	script_turn();
	ck_assert_uint_eq(script_entry(op)->flags, PEAL__SQE_ASYNC);
}

SCRIPT_TEST(length_is_cut_to_what_one_call_moves)
{
	peal_op op = peal_read(ring, 3, buf, SIZE_MAX, 0, 0, NULL, NULL);
	peal_op less = peal_read(ring, 3, buf, PEAL__MAX_TRANSFER - 1, 0, 0,
				 NULL, NULL);

	script_turn();
	ck_assert_uint_eq(script_entry(op)->len, 0x7ffff000u);
	ck_assert_uint_eq(script_entry(less)->len, 0x7fffefffu);
}

SCRIPT_TEST(entries_are_counted_by_opcode)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	start_read();
	start_read();
	ck_assert_int_gt(peal_nop(ring, 0, NULL, NULL), 0);
	ck_assert_int_gt(peal_sleep(ring, 1, 0, NULL, NULL), 0);
	peal_ring_stats(ring, &stats);
	ck_assert_uint_eq(stats.by_op[PEAL__OP_READ], 2);
	ck_assert_uint_eq(stats.by_op[PEAL__OP_NOP], 1);
	ck_assert_uint_eq(stats.by_op[PEAL__OP_SLEEP], 1);
	ck_assert_uint_eq(stats.submitted, 3);
	ck_assert_uint_eq(stats.in_flight, 4);
}

/* --- refusals --------------------------------------------------------- */

static void refused(peal_op answer, int error)
{
	ck_result(answer, error);
	ck_assert_uint_eq(peal__rows_live(ring), 0);
	ck_assert_uint_eq(peal__in_flight(ring), 0);
	ck_assert_uint_eq(ring->queues.sq_tail, ring->queues.sq_head);
}

SCRIPT_TEST(unknown_flag_is_einval_and_nothing_is_started)
{
	unsigned bit;

	for (bit = 0; bit < 32; bit++) {
		unsigned flag = 1u << bit;

		if (flag == PEAL_ASYNC)
			continue;
		refused(peal_nop(ring, flag, on_done, NULL), -EINVAL);
		refused(peal_send(ring, 3, buf, 1, 0, flag, on_done, NULL),
			-EINVAL);
		refused(peal_sleep(ring, 1, flag, on_done, NULL), -EINVAL);
		if (!(flag & (PEAL_FIXED | PEAL_PLAIN | PEAL_BOUNCE)))
			refused(peal_read_full(ring, 3, buf, 1, 0, flag,
					       on_done, NULL), -EINVAL);
		refused(peal_close_drained(ring, 3, flag, on_done, NULL),
			-EINVAL);
		if (flag != PEAL_DIRECT)
			refused(peal_accept_multishot(ring, 3, flag, on_done,
						      NULL), -EINVAL);
		refused(peal_listen(ring, 3, 1, flag, on_done, NULL), -EINVAL);
	}
}

static void lacks(unsigned opcode)
{
	ring->can[opcode >> 6] &= ~(UINT64_C(1) << (opcode & 63));
	peal__gate_set(ring, ring->gate);
}

SCRIPT_TEST(op_that_nothing_can_do_is_eopnotsupp_and_nothing_is_started)
{
	lacks(PEAL__OP_NOP);
	refused(peal_nop(ring, 0, on_done, NULL), -EOPNOTSUPP);
	ck_assert_int_gt(start_read(), 0);
}

SCRIPT_TEST(closing_ring_refuses_everything_but_cancels)
{
	peal__gate_set(ring, GATE_CLOSING);
	refused(start_read(), -ESHUTDOWN);
	refused(peal_sleep(ring, 1, 0, on_done, NULL), -ESHUTDOWN);
	refused(peal_close_drained(ring, 3, 0, on_done, NULL), -ESHUTDOWN);
	refused(peal_read_full(ring, 3, buf, 1, 0, 0, on_done, NULL),
		-ESHUTDOWN);
	refused(peal_socket(ring, AF_INET, SOCK_STREAM, 0, 0, on_done, NULL),
		-ESHUTDOWN);
	ck_assert_int_gt(peal_cancel_all(ring, 0, on_done, NULL), 0);
}

/* --- plain calls ------------------------------------------------------ */

SCRIPT_TEST(call_that_cannot_block_is_made_where_the_engine_lacks_the_op)
{
	peal_op op;

	lacks(PEAL__OP_SOCKET);
	op = peal_socket(ring, AF_UNIX, SOCK_STREAM, 0, 0, on_done, NULL);
	ck_assert_int_gt(op, 0);
	ck_assert_uint_eq(outcome(op)->calls, 0);
	ck_assert_uint_eq(ring->queues.sq_tail, ring->queues.sq_head);
	script_turn();
	ck_assert_int_ge(outcome(op)->result, 0);
	ck_assert_int_ne(fcntl((int)outcome(op)->result, F_GETFD) & FD_CLOEXEC,
			 0);
	close((int)outcome(op)->result);
}

SCRIPT_TEST(error_of_a_plain_call_is_in_the_completion)
{
	static const struct sockaddr_un addr = { .sun_family = AF_UNIX };
	peal_op bound, heard, shut;

	lacks(PEAL__OP_BIND);
	lacks(PEAL__OP_LISTEN);
	lacks(PEAL__OP_SHUTDOWN);
	errno = 7;
	bound = peal_bind(ring, 9999, (const struct sockaddr *)&addr,
			  sizeof(addr), 0, on_done, NULL);
	heard = peal_listen(ring, 9999, 1, 0, on_done, NULL);
	shut = peal_shutdown(ring, 9999, SHUT_RD, PEAL_ASYNC, on_done, NULL);
	ck_assert_int_eq(errno, 7);
	script_turn();
	ck_result(outcome(bound)->result, -EBADF);
	ck_result(outcome(heard)->result, -EBADF);
	ck_result(outcome(shut)->result, -EBADF);
	ck_assert_uint_eq(outcome(shut)->order, 3);
}

SCRIPT_TEST(plain_call_that_is_refused_is_not_made)
{
	struct stat before, after;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	lacks(PEAL__OP_SOCKET);
	peal__gate_set(ring, GATE_CLOSING);
	ck_assert_int_ne(fstat(fd, &before), 0);
	ck_result(peal_socket(ring, AF_UNIX, SOCK_STREAM, 0, 0, on_done, NULL),
		  -ESHUTDOWN);
	ck_assert_int_ne(fstat(fd, &after), 0);
}

SCRIPT_TEST(plain_call_can_be_cancelled_until_the_next_turn)
{
	peal_op op;

	lacks(PEAL__OP_LISTEN);
	op = peal_listen(ring, 9999, 1, 0, on_done, NULL);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);	/* harmless */
	ck_assert(peal_op_in_flight(ring, op));
	script_turn();
	ck_result(outcome(op)->result, -ECANCELED);
}

SCRIPT_TEST(socket_is_an_op_of_no_fd)
{
	/* Its domain stands where the fd does in the entry. */
	peal_op op = peal_socket(ring, AF_INET6, SOCK_STREAM, 6, 0, on_done,
				 NULL);
	const struct peal__sqe *sqe;

	ck_assert_uint_eq(peal__cancel_on_fd(ring, AF_INET6), 0);
	ck_assert_int_gt(peal_close_drained(ring, AF_INET6, 0, on_done, NULL),
			 0);
	script_turn();
	sqe = script_entry(op);
	ck_assert_int_eq(sqe->fd, AF_INET6);
	ck_assert_uint_eq(sqe->off, SOCK_STREAM | SOCK_CLOEXEC);
	ck_assert_uint_eq(sqe->len, 6);
}

SCRIPT_TEST(op_without_a_plain_call_says_so)
{
	const struct peal__sqe sqe = { .opcode = PEAL__OP_NOP };

	ck_assert_int_eq(peal__blocking_run(&sqe), -EOPNOTSUPP);
}

/* --- a full submission queue ------------------------------------------ */

SCRIPT_TEST(full_queue_is_flushed_without_running_a_handler)
{
	peal_op first = start_read(), next;
	unsigned at;

	script_turn();
	script_complete((uint64_t)first, 1, 0);
	for (at = 0; at < 64; at++)
		start_read();
	ck_assert(!peal__sq_room(ring));
	next = start_read();
	ck_assert_int_gt(next, 0);
	ck_assert_uint_eq(outcome(first)->calls, 0);
	ck_assert_uint_eq(ring->stats.sq_full, 1);
	script_turn();
	ck_assert_uint_eq(outcome(first)->calls, 1);
}

SCRIPT_TEST(queue_that_stays_full_refuses_an_op_and_starts_nothing)
{
	uint32_t live, tail;

	fill_queue();
	live = peal__rows_live(ring);
	tail = ring->queues.sq_tail;
	ck_result(start_read(), -EAGAIN);
	ck_result(peal_read_full(ring, 3, buf, 9, 0, 0, on_done, NULL),
		  -EAGAIN);
	ck_result(peal_accept_multishot(ring, 3, 0, on_done, NULL), -EAGAIN);
	ck_result(peal_socket(ring, AF_UNIX, SOCK_STREAM, 0, 0, on_done, NULL),
		  -EAGAIN);
	ck_assert_uint_eq(peal__rows_live(ring), live);
	ck_assert_uint_eq(ring->queues.sq_tail, tail);
	ck_assert_uint_eq(ring->owed, 0);
	ck_assert_int_gt(peal_sleep(ring, 1, 0, NULL, NULL), 0);
	script.take_at_most = UINT32_MAX;
	ck_assert_int_gt(start_read(), 0);
}

SCRIPT_TEST(flush_that_fails_for_good_is_found_out_by_the_next_turn)
{
	fill_queue();
	script.fail_in = 1;
	script.fail_times = 2;
	script.fail_with = -EPERM;
	ck_result(start_read(), -EAGAIN);
	ck_result(peal_ring_turn(ring, 0), -EPERM);
	ck_result(start_read(), -EPERM);
}

SCRIPT_TEST(no_entry_is_overwritten_before_it_is_taken)
{
	/* By an engine that is slow to take them. */
	uint64_t last = 0;
	unsigned at, refusals = 0;
	size_t seen;

	script_reopen(4, 8, 64);
	script.take_at_most = 1;
	for (at = 0; at < 200; at++) {
		peal_op op = peal_nop(ring, 0, NULL, NULL);

		refusals += op < 0;
		if (at % 7 == 0)
			script_turn();
		while (script_pending_count())
			script_complete(script_pending(0)->user_data, 0, 0);
	}
	ck_assert_uint_eq(refusals, 0);	/* a flush always takes one */
	for (seen = 0; seen < script_taken_count(); seen++) {
		ck_assert_uint_ne(script_taken(seen)->user_data, last);
		last = script_taken(seen)->user_data;
	}
}

/* --- what is owed ----------------------------------------------------- */

SCRIPT_TEST(cancel_that_finds_no_room_is_paid_by_the_next_turn)
{
	peal_op op = start_read();

	script_turn();
	fill_queue();
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_assert_uint_eq(ring->owed, 1);
	script.take_at_most = UINT32_MAX;
	script_turn();
	script_turn();
	ck_assert_uint_eq(ring->owed, 0);
	ck_assert_uint_eq(script_cancels(op), 1);
}

SCRIPT_TEST(watched_cancel_that_finds_no_room_is_paid_by_the_next_turn)
{
	peal_op op = start_read(), cancel;

	script_turn();
	fill_queue();
	cancel = peal_cancel(ring, op, 0, on_done, NULL);
	ck_assert_int_gt(cancel, 0);
	ck_assert_uint_eq(ring->owed, 1);
	script.take_at_most = UINT32_MAX;
	script_turn();
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 1);
	ck_assert_uint_eq(script_cancel_data(op), (uint64_t)cancel);
	completes((uint64_t)cancel, 0, 0);
	ck_result(outcome(cancel)->result, 0);
}

SCRIPT_TEST(every_cancel_of_many_that_found_no_room_is_paid_once)
{
	peal_op ops[50];
	unsigned at, turns = 0;

	for (at = 0; at < 50; at++)
		ops[at] = start_read();
	script_turn();
	fill_queue();
	for (at = 0; at < 50; at++)
		ck_result(peal_cancel(ring, ops[at], 0, NULL, NULL), 0);
	ck_assert_uint_eq(ring->owed, 50);
	script.take_at_most = 3;
	while (ring->owed && ++turns < 1000)
		script_turn();
	ck_assert_uint_eq(ring->owed, 0);
	script.take_at_most = UINT32_MAX;
	script_turn();
	for (at = 0; at < 50; at++)
		ck_assert_uint_eq(script_cancels(ops[at]), 1);
}

SCRIPT_TEST(cancel_owed_to_an_op_that_completes_is_forgotten)
{
	peal_op op = start_read();

	script_turn();
	fill_queue();
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	completes((uint64_t)op, 1, 0);
	ck_assert_uint_eq(ring->owed, 0);
	ck_result(outcome(op)->result, 1);
	script.take_at_most = UINT32_MAX;
	script_turn();
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 0);
}

SCRIPT_TEST(multishot_that_finds_no_room_is_armed_by_the_next_turn)
{
	peal_op op = peal_accept_multishot(ring, 3, 0, on_done, NULL);

	script_turn();
	fill_queue();
	completes((uint64_t)op, 7, 0);
	ck_assert_uint_eq(outcome(op)->calls, 1);
	ck_assert_uint_eq(outcome(op)->flags, PEAL_MORE);
	ck_assert_uint_eq(ring->owed, 1);
	script.take_at_most = UINT32_MAX;
	script_turn();
	script_turn();
	ck_assert_uint_eq(script_entries(op), 2);
	ck_assert_uint_eq(script_entry(op)->ioprio, PEAL__ACCEPT_MULTISHOT);
}

SCRIPT_TEST(rest_of_a_transfer_that_finds_no_room_is_asked_for_later)
{
	peal_op op = peal_read_full(ring, 3, buf, 10, 0, 0, on_done, NULL);

	script_turn();
	fill_queue();
	completes((uint64_t)op, 4, 0);
	ck_assert_uint_eq(ring->owed, 1);
	script.take_at_most = UINT32_MAX;
	script_turn();
	script_turn();
	ck_assert_uint_eq(script_entries(op), 2);
	ck_assert_uint_eq(script_entry(op)->len, 6);
	ck_assert_uint_eq(script_entry(op)->addr, peal__addr(buf + 4));
}

SCRIPT_TEST(close_that_finds_no_room_is_paid_by_the_next_turn)
{
	peal_op op;

	fill_queue();
	op = peal_close_drained(ring, 3, 0, on_done, NULL);
	ck_assert_int_gt(op, 0);
	ck_assert_uint_eq(ring->owed, 1);
	script.take_at_most = UINT32_MAX;
	script_turn();
	script_turn();
	ck_assert_uint_eq(script_entry(op)->opcode, PEAL__OP_CLOSE);
	ck_assert_int_eq(script_entry(op)->fd, 3);
}

SCRIPT_TEST(ring_that_owes_does_not_wait)
{
	peal_op op = start_read();

	script_turn();
	fill_queue();
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_assert_uint_eq(peal_ring_timeout_ns(ring), 0);
	ck_result(peal_ring_turn(ring, PEAL_S), 0);
	ck_assert_uint_eq(script.waits, 0);
}

SUITE("start")
