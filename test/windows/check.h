/* SPDX-License-Identifier: MIT */
/*
 * What the tests use of libcheck, for Windows. Each test has a process of its
 * own there (harness_windows.c), so nothing of libcheck's runner is wanted: an
 * assertion that fails prints its line and ends the process.
 */
#ifndef PEAL_TEST_WINDOWS_CHECK_H
#define PEAL_TEST_WINDOWS_CHECK_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HARNESS_PRINTF gnu_printf

typedef struct TTest {
	const char *name;
	void (*fn)(int loop);
	const char *file;
	int line;
} TTest;

_Noreturn void harness_failed(const char *file, int line, const char *format,
			      ...) __attribute__((format(gnu_printf, 3, 4)));

#define ck_abort_msg(...) harness_failed(__FILE__, __LINE__, __VA_ARGS__)
#define ck_assert_msg(cond, ...)					\
	do {								\
		if (!(cond))						\
			harness_failed(__FILE__, __LINE__, __VA_ARGS__); \
	} while (0)
#define ck_assert(cond) ck_assert_msg(cond, "Assertion '%s' failed", #cond)

#define CK_COMPARE(type, format, a, op, b)				\
	do {								\
		type a_ = (a);						\
		type b_ = (b);						\
		ck_assert_msg(a_ op b_, "Assertion '%s' failed: "	\
			      "%s == " format ", %s == " format,	\
			      #a " " #op " " #b, #a, a_, #b, b_);	\
	} while (0)

#define CK_INT(a, op, b) CK_COMPARE(intmax_t, "%jd", a, op, b)
#define ck_assert_int_eq(a, b) CK_INT(a, ==, b)
#define ck_assert_int_ne(a, b) CK_INT(a, !=, b)
#define ck_assert_int_lt(a, b) CK_INT(a, <, b)
#define ck_assert_int_le(a, b) CK_INT(a, <=, b)
#define ck_assert_int_gt(a, b) CK_INT(a, >, b)
#define ck_assert_int_ge(a, b) CK_INT(a, >=, b)

#define CK_UINT(a, op, b) CK_COMPARE(uintmax_t, "%ju", a, op, b)
#define ck_assert_uint_eq(a, b) CK_UINT(a, ==, b)
#define ck_assert_uint_ne(a, b) CK_UINT(a, !=, b)
#define ck_assert_uint_lt(a, b) CK_UINT(a, <, b)
#define ck_assert_uint_le(a, b) CK_UINT(a, <=, b)
#define ck_assert_uint_gt(a, b) CK_UINT(a, >, b)
#define ck_assert_uint_ge(a, b) CK_UINT(a, >=, b)

#define CK_PTR(a, op, b) CK_COMPARE(const void *, "%p", a, op, b)
#define ck_assert_ptr_eq(a, b) CK_PTR(a, ==, b)
#define ck_assert_ptr_ne(a, b) CK_PTR(a, !=, b)
#define ck_assert_ptr_null(a) CK_PTR(a, ==, NULL)
#define ck_assert_ptr_nonnull(a) CK_PTR(a, !=, NULL)

#define CK_STR(a, op, b)						\
	do {								\
		const char *a_ = (a), *b_ = (b);			\
		ck_assert_msg(strcmp(a_, b_) op 0, "Assertion '%s' failed: " \
			      "%s == \"%s\", %s == \"%s\"",		\
			      #a " " #op " " #b, #a, a_, #b, b_);	\
	} while (0)
#define ck_assert_str_eq(a, b) CK_STR(a, ==, b)
#define ck_assert_str_ne(a, b) CK_STR(a, !=, b)

#define ck_assert_mem_eq(a, b, len)					\
	ck_assert_msg(memcmp(a, b, len) == 0,				\
		      "Assertion '%s' failed: %s and %s differ",	\
		      #a " == " #b, #a, #b)

#endif
