/* SPDX-License-Identifier: MIT */
/*
 * The tests that Windows, or Wine 8, cannot pass, each with the reason. Not the
 * engine's bugs: those are to be fixed. Tests that find out for themselves are
 * not here: see posix.h. test/run fails on a name that is no test.
 */
#include <stddef.h>
#include <string.h>

#include "test/windows/cannot.h"

static const struct {
	const char *suite, *test, *why;
} cannot[] = {
	{ "fork", NULL, "Windows has no fork" },
};

const char *harness_cannot_run(const char *suite, const char *test)
{
	size_t at;

	for (at = 0; at < sizeof(cannot) / sizeof(cannot[0]); at++)
		if (strcmp(cannot[at].suite, suite) == 0 &&
		    (!cannot[at].test || strcmp(cannot[at].test, test) == 0))
			return cannot[at].why;
	return NULL;
}
