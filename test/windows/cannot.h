/* SPDX-License-Identifier: MIT */
/* What Windows, or Wine, cannot: see cannot.c. */
#ifndef PEAL_TEST_WINDOWS_CANNOT_H
#define PEAL_TEST_WINDOWS_CANNOT_H

/* Why a test is not even started; NULL: it is. */
const char *harness_cannot_run(const char *suite, const char *test);

/* A name on the list that is no test of the suite any more; NULL: none. */
const char *harness_cannot_unknown(const char *suite,
				   int (*is_test)(const char *name));

#endif
