/* SPDX-License-Identifier: MIT */
/* Features forced off: the list, and what the ring does without them. */
#include "shim/epoll.h"
#include "shim/ready.h"
#include "test/scripted.h"
#include "lib/uring.h"

static int parse(struct peal__disable *out, const char *option,
		 const char *environment)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	options.disable = option;
	if (environment)
		setenv("PEAL_DISABLE", environment, 1);
	else
		unsetenv("PEAL_DISABLE");
	return peal__disable_parse(out, &options);
}

static void says(const char *word)
{
	ck_assert_msg(strstr(peal_open_reason(), word), "\"%s\" lacks \"%s\"",
		      peal_open_reason(), word);
}

/* --- the list --------------------------------------------------------- */

BARE_TEST(nothing_is_disabled_by_default)
{
	struct peal__disable out;

	memset(&out, 0xff, sizeof(out));
	ck_assert_int_eq(parse(&out, NULL, NULL), 0);
	ck_assert_uint_eq(out.features, 0);
	ck_assert_uint_eq(out.ops[0] | out.ops[1], 0);
	ck_assert_int_eq(parse(&out, "", ""), 0);
	ck_assert_uint_eq(out.features, 0);
}

BARE_TEST(every_feature_can_be_named)
{
	struct peal__disable out;
	unsigned at;

	for (at = 0; at < FEATURE_COUNT; at++) {
		const char *name = peal__feature_name(at);

		ck_assert_ptr_nonnull(name);
		ck_assert_int_eq(parse(&out, name, NULL), 0);
		ck_assert_uint_eq(out.features, 1u << at);
		ck_assert_uint_eq(out.ops[0] | out.ops[1], 0);
		ck_assert_int_eq(parse(&out, NULL, name), 0);
		ck_assert_uint_eq(out.features, 1u << at);
	}
}

BARE_TEST(every_op_of_the_kernel_can_be_named)
{
	struct peal__disable out;
	char word[64];
	unsigned at;

	for (at = 0; at < PEAL__OP_KERNEL_COUNT; at++) {
		snprintf(word, sizeof(word), "op:%s", peal_opcode_name(at));
		ck_assert_int_eq(parse(&out, word, NULL), 0);
		ck_assert_uint_eq(out.features, 0);
		ck_assert_uint_eq(out.ops[at >> 6], UINT64_C(1) << (at & 63));
	}
}

BARE_TEST(option_and_environment_add_up)
{
	struct peal__disable out;

	ck_assert_int_eq(parse(&out, "defer,op:read", "ring_fd,op:bind"), 0);
	ck_assert_uint_eq(out.features,
			  1u << FEATURE_DEFER | 1u << FEATURE_RING_FD);
	ck_assert_uint_eq(out.ops[0], UINT64_C(1) << PEAL__OP_READ |
				      UINT64_C(1) << PEAL__OP_BIND);
}

BARE_TEST(empty_words_are_skipped)
{
	struct peal__disable out;

	ck_assert_int_eq(parse(&out, ",,defer,,coop,", NULL), 0);
	ck_assert_uint_eq(out.features,
			  1u << FEATURE_DEFER | 1u << FEATURE_COOP);
}

BARE_TEST(unknown_word_is_refused_and_named)
{
	static const char *const words[] = {
		"deferr", "defe", "DEFER", " defer", "defer ", "op:", "op:x",
		"op:sleep", "op:close_drained", "op:readd", "read", "sqpoll",
	};
	struct peal__disable out;
	char list[64], quoted[64];
	size_t at;

	for (at = 0; at < sizeof(words) / sizeof(*words); at++) {
		snprintf(list, sizeof(list), "coop,%s,defer", words[at]);
		snprintf(quoted, sizeof(quoted), "\"%s\"", words[at]);
		ck_assert_msg(parse(&out, list, NULL) == -EINVAL, "%s",
			      words[at]);
		says(quoted);
		says("options.disable");
		says("peal_ring_explain()");
		ck_assert_int_eq(parse(&out, NULL, list), -EINVAL);
		says(quoted);
		says("PEAL_DISABLE");
	}
}

BARE_TEST(ring_with_an_unknown_word_does_not_open_and_leaks_nothing)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *opened = NULL;

	options.disable = "warp";
	ck_assert_int_eq(peal_ring_open(&opened, &options), -EINVAL);
	ck_assert_ptr_null(opened);
	says("\"warp\"");
	ck_assert_uint_eq(alloc_outstanding(), 0);
}

/* --- what the ring does without it ------------------------------------ */

static void open_without(const char *engine, const char *feature)
{
	struct peal_ring_options options = harness_options();

	unsetenv("PEAL_DISABLE");
	options.engine = engine;
	options.disable = feature;
	reopen_ring(&options);
}

static struct peal__uring *uring_without(const char *feature)
{
	open_without("uring", feature);
	return ring->engine_state;
}

static struct peal__epoll *epoll_without(const char *feature)
{
	open_without("epoll", feature);
	return ring->engine_state;
}

/* The engine whose explain has this feature's line. */
static const char *engine_of(unsigned feature)
{
	return feature == FEATURE_EPOLL_PWAIT2 || feature == FEATURE_RWF_NOWAIT
		       ? "epoll" : "uring";
}

static char *explained(void)
{
	static char text[8192];
	FILE *out = fmemopen(text, sizeof(text), "w");

	peal_ring_explain(ring, out);
	fclose(out);
	return text;
}

/* The line of a feature in what explain says. */
static const char *line_of(const char *feature)
{
	static char line[512];
	char *at = explained();
	size_t len = strlen(feature);

	while (at && !(strncmp(at, feature, len) == 0 && at[len] == ' ')) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	ck_assert_msg(at, "explain says nothing of %s", feature);
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
	return line;
}

static void is_off_and_works(const char *feature)
{
	const char *line = line_of(feature);

	ck_assert_msg(strstr(line, "off") && strstr(line, "disabled by"),
		      "%s", line);
	/* Handles of one ring are those of the next: not for on_done(). */
	ck_assert_int_gt(peal_nop(ring, 0, NULL, NULL), 0);
	UNTIL(peal_ring_in_flight(ring) == 0);
}

TEST(each_feature_disabled_is_off_in_explain_and_the_ring_works)
{
	unsigned at;

	for (at = 0; at < FEATURE_COUNT; at++) {
		open_without(engine_of(at), peal__feature_name(at));
		is_off_and_works(peal__feature_name(at));
	}
}

TEST(all_features_disabled_at_once_leave_a_ring_that_works)
{
	char list[256] = "";
	unsigned at;

	for (at = 0; at < FEATURE_COUNT; at++) {
		strcat(list, peal__feature_name(at));
		strcat(list, ",");
	}
	ck_assert_uint_eq(uring_without(list)->setup_flags &
			  ~(PEAL__SETUP_CLAMP | PEAL__SETUP_CQSIZE), 0);
	for (at = 0; at < FEATURE_COUNT; at++)
		if (strcmp(engine_of(at), "uring") == 0)
			is_off_and_works(peal__feature_name(at));
	epoll_without(list);
	for (at = 0; at < FEATURE_COUNT; at++)
		if (strcmp(engine_of(at), "epoll") == 0)
			is_off_and_works(peal__feature_name(at));
}

static void flag_is_not_asked_for(const char *feature, uint32_t flag)
{
	ck_assert_uint_eq(uring_without(feature)->setup_flags & flag, 0);
}

TEST(set_up_flags_follow_the_list)
{
	flag_is_not_asked_for("defer", PEAL__SETUP_DEFER_TASKRUN);
	flag_is_not_asked_for("single_issuer", PEAL__SETUP_SINGLE_ISSUER |
					       PEAL__SETUP_DEFER_TASKRUN);
	flag_is_not_asked_for("submit_all", PEAL__SETUP_SUBMIT_ALL);
	flag_is_not_asked_for("no_sqarray", PEAL__SETUP_NO_SQARRAY);
	flag_is_not_asked_for("defer,coop", PEAL__SETUP_DEFER_TASKRUN |
					    PEAL__SETUP_COOP_TASKRUN |
					    PEAL__SETUP_TASKRUN_FLAG);
}

TEST(enter_flags_follow_the_list)
{
	ck_assert_uint_eq(uring_without("ring_fd")->enter_flags &
			  PEAL__ENTER_REGISTERED_RING, 0);
	ck_assert_uint_eq(uring_without("no_iowait")->enter_flags &
			  PEAL__ENTER_NO_IOWAIT, 0);
}

TEST(epoll_says_what_it_has)
{
	const struct peal__epoll *epoll = epoll_without(NULL);

	ck_assert(strstr(line_of("rwf_nowait"), "on "));
	ck_assert_uint_eq(epoll->how, 0);
	if (epoll->whole_ms)
		SKIP("this kernel has no epoll_pwait2");
	ck_assert(strstr(line_of("epoll_pwait2"), "on "));
}

TEST(epoll_without_a_feature_takes_the_other_way)
{
	ck_assert_uint_eq(epoll_without("epoll_pwait2")->whole_ms, 1);
	ck_assert_uint_eq(epoll_without("rwf_nowait")->how, READY_NO_NOWAIT);
}

TEST(coop_takes_the_place_of_defer)
{
	const struct peal__uring *uring = uring_without("defer");

	if (uring->peeled & 1u << FEATURE_COOP)
		SKIP("this kernel has no COOP_TASKRUN");
	ck_assert(uring->setup_flags & PEAL__SETUP_COOP_TASKRUN);
	ck_assert(strstr(line_of("coop"), "on "));
}

TEST(disabled_op_is_eopnotsupp_and_explain_says_so)
{
	uring_without("op:nop,op:read_fixed");
	ck_result(peal_nop(ring, 0, on_done, NULL), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(line_of("op:nop"), "off"));
	ck_assert_ptr_nonnull(strstr(line_of("op:read_fixed"), "off"));
	ck_assert_uint_eq(peal_ring_in_flight(ring), 0);
}

TEST(disabled_multishot_goes_on_as_one_shots)
{
	int fds[2];
	peal_op op;

	uring_without("multishot");
	ck_assert_uint_eq(ring->no_multishot, 1);
	make_pipe(fds);
	op = peal_poll_multishot(ring, fds[0], POLLIN, 0, on_done, NULL);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	UNTIL(outcome(op)->calls >= 3);	/* level-triggered, as one-shots are */
	ck_assert(!finished(op));
}

SUITE("disable")
