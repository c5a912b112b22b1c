/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer's part: make fuzz-record SECONDS=60. An input is a record; its
 * checks are made right, or none would get past the open, and test/busy.c is
 * run from it, by the way that every program takes. The first inputs are
 * records of that program, made here, in the directory PEAL_FUZZ_FIRST.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "test/busy.h"
#include "test/damaged.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
size_t LLVMFuzzerMutate(uint8_t *data, size_t len, size_t room);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t room,
			       unsigned seed);

static int memory = -1;	/* the file of an input */

static const char *const firsts[][3] = {
	{ "first.uring", "uring", NULL },
	{ "first.epoll", "epoll", NULL },
	{ "first.old", "uring", "bufring,multishot,direct" },
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *dir = getenv("PEAL_FUZZ_FIRST");
	size_t i;

	(void)argc, (void)argv;
	memory = memfd_create("record", MFD_CLOEXEC);
	for (i = 0; dir && i < sizeof firsts / sizeof *firsts; i++) {
		char name[512];
		int rc;

		snprintf(name, sizeof name, "%s/%s", dir, firsts[i][0]);
		rc = busy_record(name, firsts[i][1], firsts[i][2], ".");
		if (rc == 0)
			rc = busy_replay(name, ".");
		snprintf(name, sizeof name, "%s/%s.report", dir, firsts[i][0]);
		unlink(name);
		if (rc < 0)
			fprintf(stderr, "no record of %s: %s: %s\n",
				firsts[i][1], peal_strerror(rc), busy_reason);
	}
	return memory < 0 ? -1 : 0;
}

static struct damaged of_input(const uint8_t *data, size_t len)
{
	struct damaged record = { malloc(len + 1), len, len + 1 };

	if (!record.data)
		abort();
	memcpy(record.data, data, len);
	if (len < sizeof RECORD_MAGIC)
		return record;
	memcpy(record.data, RECORD_MAGIC, sizeof RECORD_MAGIC - 1);
	damaged_repair(&record);
	return record;
}

/* Two names in turn: each is a first ring of its own. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct damaged record = of_input(data, len);
	static unsigned runs;
	char name[64];

	snprintf(name, sizeof name, runs++ & 1 ? "/proc/self/fd/%d"
					       : "/dev/fd/%d", memory);
	if (ftruncate(memory, 0) < 0 ||
	    pwrite(memory, record.data, record.len, 0) != (ssize_t)record.len)
		abort();
	damaged_free(&record);
	busy_replay(name, ".");
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t room,
			       unsigned seed)
{
	uint64_t chance = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	struct damaged record;

	if (seed % 8 == 0 || len < sizeof RECORD_MAGIC)
		return LLVMFuzzerMutate(data, len, room);
	record = of_input(data, len);
	damaged_change(&record, &chance);
	if (seed % 3 == 0)
		damaged_change(&record, &chance);
	damaged_repair(&record);
	if (record.len <= room) {
		len = record.len;
		memcpy(data, record.data, len);
	}
	damaged_free(&record);
	return len;
}
