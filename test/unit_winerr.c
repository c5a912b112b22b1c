/* SPDX-License-Identifier: MIT */
/* The table of Windows' errors: on every system, because it has only numbers. */
#include "shim/winerr.c"
#include "test/harness.h"

BARE_TEST(the_table_is_sorted_and_names_no_code_twice)
{
	size_t i;

	for (i = 1; i < sizeof table / sizeof *table; i++)
		ck_assert_msg(table[i - 1].code < table[i].code,
			      "%u stands before %u", table[i - 1].code,
			      table[i].code);
}

BARE_TEST(every_entry_is_found)
{
	size_t i;

	for (i = 0; i < sizeof table / sizeof *table; i++)
		ck_assert_int_eq(peal__winerr_find(table[i].code),
				 table[i].error);
}

BARE_TEST(a_code_that_is_not_there_is_not_found)
{
	const uint32_t codes[] = { 0, 7, 9999, 10000, 11005, 0x80000000,
				   0xc0000012, UINT32_MAX };
	size_t i;

	for (i = 0; i < sizeof codes / sizeof *codes; i++)
		ck_assert_int_eq(peal__winerr_find(codes[i]), 0);
}

/* One of each set says the same thing. */
BARE_TEST(win32_winsock_and_ntstatus_agree)
{
	ck_assert_int_eq(peal__winerr_find(1225), ECONNREFUSED);
	ck_assert_int_eq(peal__winerr_find(10061), ECONNREFUSED);
	ck_assert_int_eq(peal__winerr_find(0xc0000236), ECONNREFUSED);
	ck_assert_int_eq(peal__winerr_find(995), ECANCELED);
	ck_assert_int_eq(peal__winerr_find(0xc0000120), ECANCELED);
	ck_assert_int_eq(peal__winerr_find(5), EACCES);
	ck_assert_int_eq(peal__winerr_find(10013), EACCES);
	ck_assert_int_eq(peal__winerr_find(0xc0000022), EACCES);
}

/* What a reader of the header counts on: Linux's numbers, on Windows too. */
BARE_TEST(the_numbers_are_linux_own)
{
	ck_assert_int_eq(peal__winerr_find(2), 2);
	ck_assert_int_eq(peal__winerr_find(145), 39);
	ck_assert_int_eq(peal__winerr_find(206), 36);
	ck_assert_int_eq(peal__winerr_find(10035), 11);
	ck_assert_int_eq(peal__winerr_find(10038), 88);
	ck_assert_int_eq(peal__winerr_find(10060), 110);
	ck_assert_int_eq(peal__winerr_find(0xc000020d), 104);
	ck_assert_int_eq(peal__winerr_find(0xc0000120), 125);
}

SUITE("winerr")
