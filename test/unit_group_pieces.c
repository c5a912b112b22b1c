/* SPDX-License-Identifier: MIT */
/*
 * Groups that are handed out piece by piece, against a kernel that the test
 * plays: it uses a buffer up, writes down in the ring of buffers how far it is,
 * and says with each completion whether it goes on with that buffer.
 */
#include <sys/wait.h>

#include "lib/lend.h"
#include "test/group_kernel.h"

#define BUF_MORE	PEAL__CQE_BUF_MORE

SCRIPT_SYSTEM

/* The kernel takes len bytes of its first buffer. Returns the buffer and, if it
 * has room left, the flag. */
static uint32_t kernel_takes_of(uint32_t len, uint32_t *out_id)
{
	struct peal__buf *buf = &group->bufs[head & (COUNT - 1)];

	HOLDS(buf->len >= len);
	*out_id = buf->id;
	buf->addr += len;
	buf->len -= len;
	if (buf->len)
		return BUF_MORE;
	head++;
	return 0;
}

static void brings_piece(peal_op op, uint32_t len)
{
	uint32_t id, more = kernel_takes_of(len, &id);

	brings(op, (int32_t)len, id, MORE | more);
}

static char *place(uint32_t id, uint32_t at)
{
	return group->memory + id * SIZE + at;
}

SCRIPT_TEST(pieces_stand_behind_each_other)
{
	uint32_t first;
	peal_op op;

	open_group_with(PEAL_GROUP_INCREMENTAL);
	op = receive();
	first = group->bufs[0].id;
	brings_piece(op, 5);
	brings_piece(op, 50);
	brings_piece(op, 9);
	brings_piece(op, 1);
	script_turn();
	ck_assert_uint_eq(kept_count, 4);
	ck_assert_ptr_eq(kept[0], place(first, 0));
	ck_assert_ptr_eq(kept[1], place(first, 5));
	ck_assert_ptr_eq(kept[2], place(first, 55));
	ck_assert_ptr_eq(kept[3], place(group->bufs[1].id, 0));
	ck_assert_uint_eq(group->stats.out, 4);
	ck_assert_uint_eq(group->in, COUNT - 1);
	give_back_all();
}

SCRIPT_TEST(full_buffer_is_the_kernels_again_when_all_its_pieces_are_back)
{
	peal_op op;

	open_group_with(PEAL_GROUP_INCREMENTAL);
	op = receive();
	brings_piece(op, 10);
	script_turn();
	give_back(0);
	ck_assert_uint_eq(kernel_has(), COUNT);		/* it never left */
	ck_assert_uint_eq(group->bufs[0].len, SIZE - 10);
	brings_piece(op, 20);
	brings_piece(op, 34);
	script_turn();
	ck_assert_uint_eq(kernel_has(), COUNT - 1);
	give_back(1);
	ck_assert_uint_eq(kernel_has(), COUNT - 1);
	give_back(0);
	ck_assert_uint_eq(kernel_has(), COUNT);
	ck_assert_uint_eq(group->bufs[0].len, SIZE);	/* a new lap */
	ck_assert_uint_eq(group->bufs[0].addr,
			  peal__addr(place(group->bufs[0].id, 0)));
}

SCRIPT_TEST(bundle_begins_and_ends_in_the_middle_of_buffers)
{
	uint32_t ids[4], at, more;
	peal_op op;

	open_group_with(PEAL_GROUP_INCREMENTAL);
	op = peal_recv_multishot(ring, 3, group, 0, PEAL_BUNDLE, on_keep,
				 NULL);
	script_turn();
	ck_assert(script_entry(op)->ioprio & PEAL__RECVSEND_BUNDLE);
	brings_piece(op, 60);
	for (at = 0; at < 4; at++)
		ids[at] = group->bufs[at].id;
	kernel_takes_of(4, &ids[0]);
	kernel_takes_of(SIZE, &ids[1]);
	kernel_takes_of(SIZE, &ids[2]);
	more = kernel_takes_of(7, &ids[3]);
	brings(op, 4 + 2 * (int32_t)SIZE + 7, ids[0], MORE | more);
	brings_piece(op, 8);
	script_turn();
	ck_assert_uint_eq(kept_count, 6);
	ck_assert_ptr_eq(kept[1], place(ids[0], 60));
	ck_assert_ptr_eq(kept[2], place(ids[1], 0));
	ck_assert_ptr_eq(kept[3], place(ids[2], 0));
	ck_assert_ptr_eq(kept[4], place(ids[3], 0));
	ck_assert_ptr_eq(kept[5], place(ids[3], 7));
	ck_result(lengths[1], 4);
	ck_result(lengths[2], SIZE);
	ck_result(lengths[3], SIZE);
	ck_result(lengths[4], 7);
	ck_assert_uint_eq(group->stats.bundles, 1);
	give_back_all();
	ck_assert_uint_eq(kernel_has(), COUNT);
	ck_assert_uint_eq(group->in, COUNT);
}

SCRIPT_TEST(end_with_the_number_of_a_buffer_takes_none_of_it)
{
	uint32_t first;
	peal_op op;

	open_group_with(PEAL_GROUP_INCREMENTAL);
	op = receive();
	first = group->bufs[0].id;
	brings_piece(op, 5);
	brings(op, 0, first, 0);	/* without BUF_MORE: Linux before 7.0 */
	script_turn();
	op = receive();
	brings_piece(op, 6);
	script_turn();
	ck_assert_ptr_eq(kept[1], place(first, 5));
	give_back_all();
}

/* Random pieces, bundles, returns: every byte is told once, in its place. */
SCRIPT_TEST(pieces_are_conserved)
{
	uint32_t told[COUNT] = { 0 }, id, len, more;
	unsigned step, at, seen;
	peal_op op;

	script_seed(20261121);
	open_group_with(PEAL_GROUP_INCREMENTAL);
	op = receive();
	for (step = 0; step < 20000; step++) {
		seen = kept_count;
		if (script_below(2) && script_is_pending((uint64_t)op)) {
			if (kernel_has()) {
				id = head & (COUNT - 1);
				len = 1 + script_below(
					group->bufs[id].len);
				if (script_below(4) == 0)
					len = group->bufs[id].len;
				more = kernel_takes_of(len, &id);
				brings(op, (int32_t)len, id, more |
				       (script_below(8) ? MORE : 0));
			} else {
				script_complete((uint64_t)op, -ENOBUFS, 0);
			}
		} else if (kept_count) {
			at = script_below(kept_count);
			id = (uint32_t)(((char *)kept[at] - group->memory) /
					SIZE);
			give_back(at);
			if (!group->parts[id].told)
				told[id] = 0;
		}
		seen = seen > kept_count ? kept_count : seen;
		script_turn();
		for (; seen < kept_count; seen++) {
			size_t from = (size_t)((char *)kept[seen] -
					       group->memory);

			id = (uint32_t)(from / SIZE);
			HOLDS(from % SIZE == told[id]);
			told[id] += (uint32_t)lengths[seen % 64];
			HOLDS(told[id] <= SIZE);
		}
		HOLDS(group->stats.out == kept_count);
		HOLDS(group->in == kernel_has());
	}
	give_back_all();
}

/* --- what the address sanitizer sees ------------------------------------- */

#if PEAL__WATCHES_LENT
static int is_out_of_bounds(uint32_t at)
{
	return __asan_address_is_poisoned(group->memory + at);
}

static void are_in_bounds(uint32_t from, uint32_t to)
{
	for (; from < to; from++)
		ck_assert_msg(!is_out_of_bounds(from), "byte %u", from);
}

static void are_out_of_bounds(uint32_t from, uint32_t to)
{
	for (; from < to; from++)
		ck_assert_msg(is_out_of_bounds(from), "byte %u", from);
}

SCRIPT_TEST(piece_is_in_bounds_from_its_handler_until_it_is_given_back)
{
	uint32_t base;
	peal_op op;

	open_group_with(PEAL_GROUP_INCREMENTAL);
	op = receive();
	base = group->bufs[0].id * SIZE;
	are_out_of_bounds(base, base + SIZE);
	brings_piece(op, 16);
	script_turn();
	are_in_bounds(base, base + 16);
	are_out_of_bounds(base + 16, base + SIZE);
	brings_piece(op, 24);
	brings_piece(op, 24);
	script_turn();
	are_in_bounds(base, base + SIZE);
	give_back(1);			/* the last is kept[1] then */
	are_in_bounds(base, base + 16);
	are_out_of_bounds(base + 16, base + 40);
	are_in_bounds(base + 40, base + SIZE);
	give_back(1);
	are_in_bounds(base, base + 16);
	are_out_of_bounds(base + 16, base + SIZE);
	give_back(0);
	are_out_of_bounds(base, base + SIZE);
}

/* The sanitizer knows bytes by eight: what it cannot say stays in bounds. */
SCRIPT_TEST(piece_that_is_given_back_takes_nothing_of_its_neighbours_along)
{
	uint32_t base;
	peal_op op;

	open_group_with(PEAL_GROUP_INCREMENTAL);
	op = receive();
	base = group->bufs[0].id * SIZE;
	brings_piece(op, 5);
	brings_piece(op, 14);
	brings_piece(op, 4);
	script_turn();
	give_back(1);
	are_in_bounds(base, base + 5);
	are_out_of_bounds(base + 5, base + 16);
	are_in_bounds(base + 19, base + 23);
	give_back(0);
	are_in_bounds(base + 19, base + 23);
	give_back(0);
	are_out_of_bounds(base, base + 16);
	are_out_of_bounds(base + 19, base + SIZE);
}
#else
BARE_TEST(piece_is_in_bounds_from_its_handler_until_it_is_given_back)
{
	SKIP("only a build with SAN=address watches what is lent");
}
#endif

/* --- a kernel that is wrong ---------------------------------------------- */

static peal_op open_in_child(void)
{
	script_open();
	open_group_with(PEAL_GROUP_INCREMENTAL);
	return receive();
}

static void kernel_overfills(void *arg)
{
	peal_op op = open_in_child();
	uint32_t id;

	(void)arg;
	brings_piece(op, 60);
	kernel_takes_of(4, &id);
	brings(op, 5, id, MORE | BUF_MORE);
	script_turn();
}

static void kernel_goes_on_with_a_full_one(void *arg)
{
	peal_op op = open_in_child();
	uint32_t id;

	(void)arg;
	kernel_takes_of(SIZE, &id);
	brings(op, SIZE, id, MORE);
	brings(op, 1, id, MORE);
	script_turn();
}

BARE_TEST(kernel_that_puts_more_into_a_buffer_than_it_holds_stops_the_program)
{
	char text[1024];
	int status = in_child(kernel_overfills, NULL, text, sizeof(text));

	ck_assert(WIFSIGNALED(status));
	ck_assert_msg(strstr(text, "more into a buffer than it holds"), "%s",
		      text);
}

BARE_TEST(kernel_that_goes_on_with_a_full_buffer_stops_the_program)
{
	char text[1024];
	int status = in_child(kernel_goes_on_with_a_full_one, NULL, text,
			      sizeof(text));

	ck_assert(WIFSIGNALED(status));
	ck_assert_msg(strstr(text, "gave a buffer twice"), "%s", text);
}

SUITE("group_pieces_unit")
