/* SPDX-License-Identifier: MIT */
/*
 * Random ops, random completions (good, bad, stale, forged), random refusals
 * of the engine; beside the ring, a ledger that says for every op what may
 * come next. Each seed is printed; a failure is repeated by its seed.
 */
#include "test/scripted.h"

SCRIPT_SYSTEM

#define OPS	96
#define LEN	1000

enum kind { READ, FULL, ACCEPT, SLEEP, WATCHED_CANCEL, CLOSE_DRAINED, KINDS };

struct told {
	int64_t result;
	int more;
};

struct entry {
	peal_op op;
	enum kind kind;
	int alive;		/* its last completion is not yet expected */
	uint64_t deadline_ns;	/* 0: none */
	uint64_t due_ns;	/* of a sleep */
	int asked;		/* 0, -ECANCELED, -ETIMEDOUT: who came first */
	struct told expect[4];	/* in this turn */
	unsigned expected, seen;
	struct told got[4];
	/* the model of a full transfer, and of a multishot */
	int64_t moved;
	unsigned tries;
	int oneshot;
};

static struct entry ledger[OPS];
static uint64_t stale;		/* how many were sent */
static char buf[LEN];

/* --- what the ledger says --------------------------------------------- */

static void expect(struct entry *entry, int64_t result, int more)
{
	ck_assert_uint_lt(entry->expected, 4);
	entry->expect[entry->expected++] = (struct told){ result, more };
	if (!more)
		entry->alive = 0;
}

static void on_ledger(struct peal_ring *where,
		      const struct peal_completion *done)
{
	struct entry *entry = done->ctx;
	int more = (done->flags & PEAL_MORE) != 0;

	(void)where;
	ck_assert_msg(entry->op == done->op, "completion of another op");
	ck_assert_uint_lt(entry->seen, 4);
	entry->got[entry->seen++] = (struct told){ done->result, more };
}

/* What was expected of the turn has come, in order, and nothing else. */
static void compare(struct entry *entry)
{
	unsigned at;

	if (entry->seen != entry->expected)
		ck_abort_msg("op %llx (kind %d): %u completions, not %u",
			     (unsigned long long)entry->op, entry->kind,
			     entry->seen, entry->expected);
	for (at = 0; at < entry->seen; at++)
		ck_assert_msg(
			entry->got[at].result == entry->expect[at].result &&
			entry->got[at].more == entry->expect[at].more,
			"op %llx (kind %d): %lld%s, not %lld%s",
			(unsigned long long)entry->op, entry->kind,
			(long long)entry->got[at].result,
			entry->got[at].more ? " and more" : "",
			(long long)entry->expect[at].result,
			entry->expect[at].more ? " and more" : "");
	entry->seen = entry->expected = 0;
}

static int64_t honest(const struct entry *entry, int64_t res)
{
	int ended = res == -EINTR || res == -ECANCELED ||
		    (res <= -512 && res >= -516);

	if (!ended)
		return res;
	if (entry->asked)
		return entry->asked;
	return res == -ECANCELED ? -EAGAIN : -EINTR;
}

static void full_is_told(struct entry *entry, int64_t res)
{
	if (res > 0) {
		entry->moved += res;
		entry->tries = 0;
	}
	if (entry->moved == LEN)
		expect(entry, LEN, 0);
	else if (res == 0)
		expect(entry, entry->moved, 0);
	else if (entry->asked && (res > 0 || res == -EAGAIN))
		expect(entry, entry->asked, 0);
	else if (res < 0 && (entry->asked || (res != -EINTR &&
					      res != -EAGAIN)))
		expect(entry, res, 0);
	else if (res < 0 && ++entry->tries > 16)
		expect(entry, res, 0);
}

static void accept_is_told(struct entry *entry, int64_t res)
{
	if (entry->asked)
		expect(entry, res, 0);
	else if (res == -EINVAL && !entry->oneshot)
		entry->oneshot = 1;
	else
		expect(entry, res, res >= 0);
}

/* A completion of what the engine holds. */
static void is_told(struct entry *entry, int64_t res, int more)
{
	if (res < 0)
		res = honest(entry, res);
	if (more)
		expect(entry, res, 1);
	else if (entry->kind == FULL)
		full_is_told(entry, res);
	else if (entry->kind == ACCEPT)
		accept_is_told(entry, res);
	else
		expect(entry, res, 0);
}

/* Ends here, in the ready queue, if no engine holds it; the ring knows. */
static int is_held(const struct entry *entry)
{
	const struct peal__row *row = peal__row_find(ring, entry->op);

	return !(row->flags & (ROW_USER | ROW_OWED));
}

static void is_asked(struct entry *entry, int why, int held)
{
	if (!entry->asked)
		entry->asked = why;
	if (!held && entry->kind != WATCHED_CANCEL)
		expect(entry, entry->asked, 0);
}

/* --- random things ---------------------------------------------------- */

static struct entry *any_alive(void)
{
	unsigned from = script_below(OPS), at;

	for (at = 0; at < OPS; at++)
		if (ledger[(from + at) % OPS].alive)
			return &ledger[(from + at) % OPS];
	return NULL;
}

static peal_op start(struct entry *entry, peal_op target)
{
	int fd = 3 + (int)script_below(4);

	switch (entry->kind) {
	case READ:
		return peal_read(ring, fd, buf, LEN, 0, 0, on_ledger, entry);
	case FULL:
		return peal_read_full(ring, fd, buf, LEN, 0, 0, on_ledger,
				      entry);
	case ACCEPT:
		return peal_accept_multishot(ring, fd, 0, on_ledger, entry);
	case SLEEP:
		entry->due_ns = script_below(5 * 1000 * 1000);
		return peal_sleep(ring, entry->due_ns, 0, on_ledger, entry);
	case WATCHED_CANCEL:
		return peal_cancel(ring, target, 0, on_ledger, entry);
	default:
		return peal_close_drained(ring, fd, 0, on_ledger, entry);
	}
}

static struct entry *entry_of(uint64_t op)
{
	unsigned at;

	for (at = 0; at < OPS; at++)
		if (ledger[at].alive && (uint64_t)ledger[at].op == op)
			return &ledger[at];
	return NULL;
}

/* What close_drained asked: every op on its fd. */
static void drained(const struct entry *close_entry)
{
	int fd = peal__row_find(ring, close_entry->op)->fd;
	unsigned at;

	for (at = 0; at < OPS; at++) {
		const struct peal__row *row;

		if (!ledger[at].alive || &ledger[at] == close_entry ||
		    ledger[at].kind == CLOSE_DRAINED)
			continue;
		row = peal__row_find(ring, ledger[at].op);
		if (row->fd == fd)
			is_asked(&ledger[at], -ECANCELED,
				 !(row->flags & ROW_READY));
	}
}

static void start_one(void)
{
	struct entry *entry, *target = any_alive();
	unsigned at = script_below(OPS);
	int held = 0;

	entry = &ledger[at];
	if (entry->alive || entry->expected)
		return;
	memset(entry, 0, sizeof(*entry));
	entry->kind = (enum kind)script_below(KINDS);
	if (entry->kind == WATCHED_CANCEL) {
		if (!target || target->kind == WATCHED_CANCEL)
			return;
		held = is_held(target);
	}
	entry->op = start(entry, target ? target->op : 0);
	if (entry->op < 0)
		return;
	entry->alive = 1;
	if (entry->kind == SLEEP)
		entry->due_ns += script.now;
	if (entry->kind == CLOSE_DRAINED)
		drained(entry);
	if (entry->kind != WATCHED_CANCEL)
		return;
	is_asked(target, -ECANCELED, held);
	if (!held)
		expect(entry, 0, 0);
}

static void cancel_one(void)
{
	struct entry *entry = any_alive();
	int held;

	if (!entry || entry->kind == WATCHED_CANCEL)
		return;
	held = is_held(entry);
	ck_result(peal_cancel(ring, entry->op, 0, NULL, NULL), 0);
	is_asked(entry, -ECANCELED, held);
}

static void deadline_one(void)
{
	struct entry *entry = any_alive();
	uint64_t ns = script_below(5 * 1000 * 1000);

	if (!entry || entry->kind == WATCHED_CANCEL || entry->kind == SLEEP)
		return;
	ck_result(peal_deadline(ring, entry->op, ns, 0), 0);
	entry->deadline_ns = script.now + ns;
}

/* --- random completions ----------------------------------------------- */

static int32_t random_result(const struct entry *entry)
{
	static const int32_t bad[] = { -EIO, -EINTR, -EAGAIN, -ECANCELED, -512,
				       -516, -EINVAL, -EMFILE, -ENOBUFS };

	if (script_below(3) == 0)
		return bad[script_below(sizeof(bad) / sizeof(*bad))];
	if (entry && entry->kind == FULL)
		return (int32_t)script_below((uint32_t)(LEN - entry->moved) +
					     1);
	return (int32_t)script_below(LEN);
}

/* The ring is asked before each completion, since what came before it in the
 * queue has not run yet: so one completion per op and turn. */
static uint64_t told[512];
static unsigned told_count;

static int already_told(uint64_t user_data)
{
	unsigned at;

	for (at = 0; at < told_count; at++)
		if (told[at] == user_data)
			return 1;
	told[told_count++] = user_data;
	return 0;
}

static void complete_one(void)
{
	const struct peal__sqe *sqe;
	struct entry *entry;
	uint64_t user_data;
	uint32_t flags = 0;
	int32_t res;

	if (!script_pending_count())
		return;
	sqe = script_pending(script_below((uint32_t)script_pending_count()));
	user_data = sqe->user_data;
	entry = entry_of(user_data);
	if (told_count > 500 || already_told(user_data))
		return;
	if (sqe->opcode == PEAL__OP_ASYNC_CANCEL) {
		static const int32_t answers[] = { 0, -ENOENT, -EALREADY };

		res = answers[script_below(3)];
	} else {
		res = random_result(entry);
		if (sqe->opcode == PEAL__OP_ACCEPT && script_below(2))
			flags = PEAL__CQE_MORE;
	}
	script_complete(user_data, res, flags);
	if (entry)
		is_told(entry, res, flags != 0);
}

/* Names that belong to nobody. */
static void forge_one(void)
{
	uint64_t row = 1 + script_below(OPS), user_data;

	switch (script_below(4)) {
	case 0:		/* a row never used */
		user_data = PEAL__GENERATION | (PEAL__ROW_MASK -
						script_below(1000));
		break;
	case 1:		/* an old handle */
		if (row > ring->rows_used)
			return;
		user_data = (uint64_t)ring->rows[row].op - PEAL__GENERATION;
		if (user_data < PEAL__GENERATION)
			return;
		break;
	case 2:		/* a handle to come */
		if (row > ring->rows_used)
			return;
		user_data = (uint64_t)ring->rows[row].op +
			    PEAL__GENERATION * (1000 + script_below(1000));
		break;
	default:
		user_data = script_random() & ~PEAL__DATA_OWN &
			    ~(uint64_t)PEAL__ROW_MASK;
	}
	stale++;
	script_complete(user_data, (int32_t)script_random(),
			(uint32_t)script_random());
}

/* Answers to cancels nobody sent: not counted, as late ones are none. */
static void forge_answer(void)
{
	uint64_t row = 1 + script_below(OPS);

	if (row > ring->rows_used)
		return;
	script_complete(PEAL__DATA_OWN | (uint64_t)ring->rows[row].op,
			-EALREADY, 0);
}

static void be_difficult(void)
{
	static const int passing[] = { -EINTR, -EAGAIN, -EBUSY, -ETIME };

	script.take_at_most = script_below(3) ? UINT32_MAX : script_below(4);
	if (script_below(4))
		return;
	script.fail_in = 1 + script_below(3);
	script.fail_times = 1 + script_below(3);
	script.fail_with = passing[script_below(4)];
}

static void sleeps_end(void)
{
	unsigned at;

	for (at = 0; at < OPS; at++)
		if (ledger[at].alive && ledger[at].kind == SLEEP &&
		    ledger[at].due_ns <= script.now)
			expect(&ledger[at], 0, 0);
}

/* Deadlines that passed in the turn, after all its completions. What no engine
 * held is in the ready queue now. */
static void deadlines_pass(void)
{
	unsigned at;

	for (at = 0; at < OPS; at++) {
		struct entry *entry = &ledger[at];
		const struct peal__row *row;

		if (!entry->alive || !entry->deadline_ns ||
		    entry->deadline_ns > script.now)
			continue;
		entry->deadline_ns = 0;
		row = peal__row_find(ring, entry->op);
		ck_assert_ptr_nonnull(row);
		is_asked(entry, -ETIMEDOUT, !(row->flags & ROW_READY));
	}
}

/* No op is cancelled that nobody wanted to. */
static void on_taken(const struct peal__sqe *sqe)
{
	const struct peal__row *row;

	if (sqe->opcode != PEAL__OP_ASYNC_CANCEL)
		return;
	row = peal__row_find(ring, (peal_op)sqe->addr);
	ck_assert_msg(!row || row->flags & (ROW_CANCEL | ROW_TIMEOUT),
		      "op %llx is cancelled and nobody asked",
		      (unsigned long long)sqe->addr);
}

/* --- the test --------------------------------------------------------- */

static void turn_and_compare(void)
{
	unsigned at;

	script_turn();
	sleeps_end();
	for (at = 0; at < OPS; at++)
		compare(&ledger[at]);
	ck_assert_uint_eq(ring->stats.stale, stale);
	deadlines_pass();
}

static void one_turn(void)
{
	unsigned n;

	told_count = 0;
	for (n = script_below(8); n > 0; n--)
		start_one();
	for (n = script_below(3); n > 0; n--)
		cancel_one();
	for (n = script_below(3); n > 0; n--)
		deadline_one();
	for (n = script_below(8); n > 0; n--)
		complete_one();
	for (n = script_below(3); n > 0; n--)
		forge_one();
	if (script_below(4) == 0)
		forge_answer();
	be_difficult();
	script.now += script_below(2 * 1000 * 1000);
	turn_and_compare();
}

/* With the faults off, everything comes to its end. */
static void calm_down(void)
{
	unsigned turns, n;

	script.take_at_most = UINT32_MAX;
	script.fail_in = 0;
	for (turns = 0; any_alive() && turns < 1000; turns++) {
		told_count = 0;
		for (n = 0; n < 10; n++)
			cancel_one();
		for (n = 0; n < 50; n++)
			complete_one();
		script.now += PEAL_MS;
		turn_and_compare();
	}
	turn_and_compare();
	ck_assert_ptr_null(any_alive());
	script_is_idle();
}

static void one_seed(uint64_t seed)
{
	unsigned turn;

	script_seed(seed);
	memset(ledger, 0, sizeof(ledger));
	stale = ring->stats.stale;
	script.on_taken = on_taken;
	for (turn = 0; turn < 300; turn++)
		one_turn();
	calm_down();
	/* Or it tested little. */
	ck_assert_uint_gt(ring->stats.completions, 300);
	ck_assert_uint_gt(ring->stats.stale, 100);
	ck_assert_uint_gt(ring->stats.cancels, 50);
	ck_assert_uint_gt(ring->stats.timeouts, 5);
	ck_assert_uint_gt(ring->stats.rearmed, 5);
	ck_assert_uint_gt(ring->stats.resumed, 5);
	ck_assert_uint_gt(ring->stats.retried, 20);
}

SCRIPT_TEST(every_op_ends_once_as_the_ledger_says)
{
	const char *only = getenv("PEAL_SEED");
	uint64_t seed = only ? strtoull(only, NULL, 10) : 1;
	uint64_t last = only ? seed : 40;

	for (; seed <= last; seed++) {
		/* Small queues and tables for every other one. */
		script_reopen(seed % 2 ? 64 : 4, 256, seed % 3 ? 200 : 40);
		one_seed(seed);
	}
}

SUITE("random")
