/* SPDX-License-Identifier: MIT */
/*
 * lib/groups.c and groups_recv.c against a kernel that the test plays: it reads
 * the ring of buffers as a kernel does, and a model knows who has which.
 */
#include <sys/wait.h>

#include "test/group_kernel.h"

SCRIPT_SYSTEM

SCRIPT_TEST(entry_asks_for_a_buffer_of_the_group)
{
	peal_op op;

	open_group();
	op = receive();
	ck_assert(script_entry(op)->flags & PEAL__SQE_BUFFER_SELECT);
	ck_assert_uint_eq(script_entry(op)->buf_index, group->id);
	ck_assert_uint_eq(script_entry(op)->ioprio, PEAL__RECV_MULTISHOT);
	ck_assert_uint_eq(script_entry(op)->len, 0);
	ck_assert_uint_eq(kernel_has(), COUNT);
}

SCRIPT_TEST(buffer_comes_back_to_the_kernel_when_it_is_given_back)
{
	peal_op op;
	uint32_t id;

	open_group();
	op = receive();
	id = kernel_takes();
	brings(op, 5, id, MORE);
	script_turn();
	ck_assert_ptr_eq(kept[0], group->memory + id * SIZE);
	ck_assert_uint_eq(kernel_has(), COUNT - 1);
	give_back(0);
	ck_assert_uint_eq(kernel_has(), COUNT);
}

SCRIPT_TEST(no_buffer_pauses_and_a_return_resumes)
{
	peal_op op;
	unsigned i;

	open_group();
	op = receive();
	for (i = 0; i < COUNT; i++)
		brings(op, 1, kernel_takes(), MORE);
	script_complete((uint64_t)op, -ENOBUFS, 0);
	script_turn();
	ck_assert_uint_eq(kept_count, COUNT);
	ck_assert_uint_eq(group->waiting, 1);
	ck_assert_uint_eq(outcome(op)->terminal, 0);
	for (i = 0; i < 20; i++)
		script_turn();
	ck_assert_uint_eq(script_entries(op), 1);
	give_back(0);
	ck_assert_uint_eq(script_entries(op), 1);	/* not inside the call */
	script_turn();
	ck_assert_uint_eq(script_entries(op), 2);
	ck_assert_uint_eq(group->waiting, 0);
	give_back_all();
}

SCRIPT_TEST(each_turn_resumes_as_many_as_there_are_buffers)
{
	enum { MANY = 50 };
	peal_op ops[MANY], first;
	unsigned i, resumed = 0, turns;

	open_group();
	first = receive();
	for (i = 0; i < COUNT; i++)
		brings(first, 1, kernel_takes(), MORE);
	script_turn();
	for (i = 0; i < MANY; i++) {
		ops[i] = receive();
		script_complete((uint64_t)ops[i], -ENOBUFS, 0);
	}
	script_turn();
	ck_assert_uint_eq(group->waiting, MANY);
	for (i = 0; i < 3; i++)
		give_back(0);
	/* None of them has data: all are started, three in each turn. */
	for (turns = 0; group->waiting; turns++) {
		script_turn();
		for (resumed = 0, i = 0; i < MANY; i++)
			resumed += script_entries(ops[i]) == 2;
		ck_assert_uint_eq(resumed, (turns + 1) * 3 < MANY
						   ? (turns + 1) * 3 : MANY);
	}
	ck_assert_uint_eq(resumed, MANY);
	give_back_all();
}

SCRIPT_TEST(ring_does_not_sleep_while_it_can_resume)
{
	peal_op op, other;
	unsigned i;

	open_group();
	op = receive();
	other = receive();
	for (i = 0; i < COUNT; i++)
		brings(op, 1, kernel_takes(), MORE);
	script_complete((uint64_t)op, -ENOBUFS, 0);
	script_complete((uint64_t)other, -ENOBUFS, 0);
	script_turn();
	give_back(0);
	ck_result(peal_ring_turn(ring, PEAL_FOREVER), 0);
	ck_assert_uint_eq(script.waits, 0);
	script_turn();
	ck_assert_uint_eq(group->waiting, 0);
	give_back_all();
}

SCRIPT_TEST(buffer_with_an_error_or_with_nothing_was_not_taken)
{
	peal_op op;

	open_group();
	op = receive();
	brings(op, -ECONNRESET, 0, 0);
	script_turn();
	ck_result(outcome(op)->result, -ECONNRESET);
	ck_assert_ptr_null(outcome(op)->buf);
	op = receive();
	brings(op, 0, 0, 0);
	script_turn();
	ck_result(outcome(op)->result, 0);
	ck_assert_uint_eq(group->stats.out, 0);
	ck_assert_uint_eq(kernel_has(), COUNT);
}

SCRIPT_TEST(end_of_multishot_with_data_starts_it_again)
{
	peal_op op;

	open_group();
	op = receive();
	brings(op, 9, kernel_takes(), 0);
	script_turn();
	ck_assert_uint_eq(kept_count, 1);
	ck_assert_uint_eq(outcome(op)->terminal, 0);
	script_turn();
	ck_assert_uint_eq(script_entries(op), 2);
	give_back(0);
}

SCRIPT_TEST(bundle_is_split_where_the_buffers_end)
{
	peal_op op;
	uint32_t ids[7];
	unsigned i;

	open_group();
	op = peal_recv_multishot(ring, 3, group, 0, PEAL_BUNDLE, on_keep,
				 NULL);
	script_turn();
	ck_assert(script_entry(op)->ioprio & PEAL__RECVSEND_BUNDLE);
	/* The order in the ring is not that of the numbers any more. */
	brings(op, 1, kernel_takes(), MORE);
	brings(op, 1, kernel_takes(), MORE);
	script_turn();
	give_back(0);
	give_back(0);
	kept_count = 0;
	for (i = 0; i < 7; i++)
		ids[i] = kernel_takes();
	brings(op, 6 * SIZE + 3, ids[0], MORE);
	script_turn();
	ck_assert_uint_eq(kept_count, 7);
	for (i = 0; i < 7; i++) {
		ck_result(lengths[i], i < 6 ? SIZE : 3);
		ck_assert_ptr_eq(kept[i], group->memory + ids[i] * SIZE);
	}
	ck_assert_uint_eq(group->stats.bundles, 1);
	ck_assert_uint_eq(group->stats.out, 7);
	give_back_all();
	ck_assert_uint_eq(kernel_has(), COUNT);
}

/* Random takes, returns, refusals: none is given twice, none is lost. */
SCRIPT_TEST(buffers_are_conserved)
{
	unsigned taken_by[COUNT] = { 0 }, i, step;
	peal_op op;

	script_seed(20261121);
	open_group();
	op = receive();
	for (step = 0; step < 20000; step++) {
		if (script_below(2) && script_is_pending((uint64_t)op)) {
			if (kernel_has())
				brings(op, 1, kernel_takes(),
				       script_below(8) ? MORE : 0);
			else
				script_complete((uint64_t)op, -ENOBUFS, 0);
		} else if (kept_count) {
			give_back(script_below(kept_count));
		}
		script_turn();
		memset(taken_by, 0, sizeof(taken_by));
		for (i = 0; i < kept_count; i++)
			HOLDS(!taken_by[((char *)kept[i] - group->memory) /
					SIZE]++);
		HOLDS(kept_count + kernel_has() == COUNT);
		HOLDS(group->stats.out == kept_count);
		HOLDS(group->in == kernel_has());
	}
	give_back_all();
}

static void kernel_gives_twice(void *arg)
{
	peal_op op;
	uint32_t id;

	(void)arg;
	script_open();
	open_group();
	op = receive();
	id = kernel_takes();
	brings(op, 5, id, MORE);
	brings(op, 5, id, MORE);
	script_turn();
}

BARE_TEST(buffer_that_the_engine_gives_twice_stops_the_program)
{
	char text[1024];
	int status = in_child(kernel_gives_twice, NULL, text, sizeof(text));

	ck_assert(WIFSIGNALED(status));
	ck_assert_msg(strstr(text, "gave a buffer twice") != NULL, "%s", text);
}

SCRIPT_TEST(group_is_unregistered_after_its_last_op_and_its_last_buffer)
{
	peal_op op, end;

	open_group();
	op = receive();
	brings(op, 5, kernel_takes(), MORE);
	brings(op, 5, kernel_takes(), MORE);
	script_turn();
	end = peal_group_close(ring, group, 0, on_done, NULL);
	script_turn();
	ck_assert_uint_eq(script_cancels(op), 1);
	give_back(0);
	script_turn();
	ck_assert_uint_eq(closed, 0);
	script_complete((uint64_t)op, -ECANCELED, 0);
	script_turn();
	script_turn();
	ck_assert_uint_eq(closed, 0);
	give_back(0);
	script_turn();
	ck_assert_uint_eq(closed, 1);
	ck_result(outcome(end)->result, 0);
	ck_result(outcome(op)->result, -ECANCELED);
}

SUITE("groups")
