/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "test/fuzz/place.h"

const char *place_new(void)
{
	static char path[256];
	const char *base = getenv("TMPDIR");

	snprintf(path, sizeof path, "%s/peal-fuzz.XXXXXX",
		 base ? base : "/tmp");
	if (!mkdtemp(path)) {
		perror(path);
		_exit(2);
	}
	return path;
}

/* A program removes its own files; one that failed leaves at most these. */
void place_remove(const char *directory)
{
	static const char *const names[] = { "f0", "f1", "f2", "f3", "s" };
	char path[300];
	unsigned i;

	for (i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, names[i]);
		unlink(path);
	}
	rmdir(directory);
}
