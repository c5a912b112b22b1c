/* SPDX-License-Identifier: MIT */
/* What the kernel gave to its workers is counted, or why not is said. */
#include <sys/resource.h>

#include "test/harness.h"

static struct peal_punts counted(void)
{
	struct peal_punts punts = { .size = sizeof(punts) };

	peal_ring_punts(ring, &punts);
	return punts;
}

#define NEEDS_COUNT(punts)						\
	do {								\
		if (!(punts).exact)					\
			SKIP("%s", (punts).why);			\
	} while (0)

TEST(what_is_not_exact_says_why_and_counts_nothing)
{
	struct peal_punts punts = counted();

	ck_assert_int_eq(punts.exact, punts.why == NULL);
	ck_assert_uint_eq(punts.total, 0);
	if (punts.why)
		ck_assert_uint_gt(strlen(punts.why), 10);
}

TEST(workers_are_given_each_sync_and_no_nop)
{
	struct peal_punts punts = counted();
	int fd = make_file("file", "data", 4), i;

	NEEDS_COUNT(punts);
	for (i = 0; i < 5; i++) {
		ck_result(finish(peal_sync(ring, fd, 0, on_done, NULL)), 0);
		ck_result(finish(peal_nop(ring, 0, on_done, NULL)), 0);
	}
	punts = counted();
	ck_assert_uint_eq(punts.by_op[opcode_named("fsync")], 5);
	ck_assert_uint_eq(punts.by_op[opcode_named("nop")], 0);
	ck_assert_uint_eq(punts.total, 5);
	ck_assert_uint_ge(punts.workers, 1);
	ck_assert_uint_gt(punts.worker_ns, 0);
}

TEST(op_that_asks_for_a_worker_is_counted)
{
	struct peal_punts punts = counted();

	NEEDS_COUNT(punts);
	ck_result(finish(peal_nop(ring, PEAL_ASYNC, on_done, NULL)), 0);
	ck_assert_uint_eq(counted().by_op[opcode_named("nop")], 1);
}

TEST(read_of_the_page_cache_goes_to_no_worker)
{
	char byte;
	struct peal_punts punts = counted();
	int fd = make_file("file", "data", 4);

	NEEDS_COUNT(punts);
	ck_result(read_at(fd, &byte, 1, 0), 1);
	punts = counted();
	if (punts.total)
		SKIP("this file system's reads go to workers");
	ck_assert_uint_eq(punts.by_op[opcode_named("read")], 0);
}

TEST(count_writes_no_more_than_its_size)
{
	struct peal_punts punts;

	memset(&punts, 0x55, sizeof(punts));
	punts.size = offsetof(struct peal_punts, total);
	peal_ring_punts(ring, &punts);
	ck_assert_uint_le(punts.exact, 1);
	ck_assert_uint_eq(punts.total, UINT64_C(0x5555555555555555));
}

TEST(count_that_finds_no_descriptors_says_so_and_keeps_none)
{
	struct rlimit limit, less;
	struct peal_punts punts;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	less = limit;
	less.rlim_cur = 12;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &less), 0);
	punts = counted();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_eq(punts.exact, 0);
	ck_assert_ptr_nonnull(punts.why);
	ck_assert_uint_eq(counted().exact, 0);	/* and stays so */
}

SUITE("punts")
