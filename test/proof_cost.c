/* SPDX-License-Identifier: MIT */
/*
 * What an op costs in instructions of ours, held to what it cost when it was
 * last looked at: perf/floor_steps counts them, so a busy machine changes
 * nothing. Another gcc may: a tenth more is allowed.
 */
#include <libgen.h>
#include <limits.h>

#include "test/proof.h"

struct cost {
	double start, reap, per_op, turn;
};

static const char *counter(void)
{
	static char path[PATH_MAX + 32];
	char program[PATH_MAX];

	snprintf(program, sizeof(program), "%s", harness_program);
	snprintf(path, sizeof(path), "%s/../perf/floor_steps --csv",
		 dirname(program));
	return path;
}

/* 1: found; 0: it does not run here. */
static int cost_of(const char *op, struct cost *cost)
{
	FILE *lines = popen(counter(), "r");
	char line[256], name[32];
	int found = 0;

	if (!lines)
		return 0;
	while (fgets(line, sizeof(line), lines)) {
		struct cost one;

		if (sscanf(line, "%31[^,],%lf,%lf,%lf,%lf", name, &one.start,
			   &one.reap, &one.per_op, &one.turn) == 5 &&
		    strcmp(name, op) == 0) {
			*cost = one;
			found = 1;
		}
	}
	return pclose(lines) == 0 && found;
}

#if PROOF_SLOW || !defined(__OPTIMIZE__) || !defined(__x86_64__) || \
	defined(__clang__)
static const int counted = 0;
#else
static const int counted = 1;
#endif

#define HOLD(op, most, most_turn)					\
	do {								\
		struct cost cost;					\
									\
		if (!counted)						\
			SKIP("the budget is for gcc -O2 on x86-64");	\
		if (!cost_of(op, &cost))				\
			SKIP("no tracing of a child here");		\
		ck_assert_msg(cost.per_op <= (most) * 1.1,		\
			      "%.1f instructions, %d are budgeted",	\
			      cost.per_op, most);			\
		ck_assert_msg(cost.turn <= (most_turn) * 1.1,		\
			      "%.1f instructions a turn, not %d",	\
			      cost.turn, most_turn);			\
	} while (0)

BARE_TEST(nop_stays_within_its_budget_of_instructions)
{
	HOLD("nop", 109, 157);
}

BARE_TEST(read_stays_within_its_budget_of_instructions)
{
	HOLD("read", 157, 159);
}

BARE_TEST(read_into_an_arena_stays_within_its_budget_of_instructions)
{
	HOLD("read_fixed", 318, 160);
}

BARE_TEST(full_read_stays_within_its_budget_of_instructions)
{
	HOLD("read_full", 386, 160);
}

SUITE("cost")
