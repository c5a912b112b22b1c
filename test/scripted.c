/* SPDX-License-Identifier: MIT */
/*
 * The scripted engine: see scripted.h. It owns the two queues, the log of the
 * entries that were taken and the list of those that are not finished. A
 * completion that finds the queue full waits in a backlog, in order, as the
 * kernel does it.
 */
#include "test/scripted.h"

#define MOST_ENTRIES	1024u
#define MOST_CQ		4096u

struct script script;

static struct peal__sqe sqes[MOST_ENTRIES];
static struct peal__cqe cqes[MOST_CQ];
static uint32_t cq_head, cq_tail;

/* A list that grows. */
struct list {
	void *items;
	size_t count, room;
};

static struct list taken, pending, backlog;

static void *list_add(struct list *list, size_t size)
{
	if (list->count == list->room) {
		list->room = list->room ? 2 * list->room : 64;
		list->items = realloc(list->items, list->room * size);
		if (!list->items)
			abort();
	}
	return (char *)list->items + list->count++ * size;
}

static void list_free(struct list *list)
{
	free(list->items);
	memset(list, 0, sizeof(*list));
}

/* --- completions ------------------------------------------------------ */

static void publish(const struct peal__cqe *cqe)
{
	cqes[cq_tail & ring->queues.cq_mask] = *cqe;
	__atomic_store_n(&cq_tail, cq_tail + 1, __ATOMIC_RELEASE);
}

static int cq_is_full(void)
{
	return cq_tail - cq_head == ring->queues.cq_entries;
}

static void flush_backlog(void)
{
	struct peal__cqe *items = backlog.items;
	size_t at = 0;

	while (at < backlog.count && !cq_is_full())
		publish(&items[at++]);
	backlog.count -= at;
	if (at)
		memmove(items, items + at, backlog.count * sizeof(*items));
}

static void forget_pending(uint64_t user_data)
{
	struct peal__sqe *items = pending.items;
	size_t at;

	for (at = 0; at < pending.count; at++)
		if (items[at].user_data == user_data)
			break;
	if (at == pending.count)
		return;
	pending.count--;
	memmove(items + at, items + at + 1,
		(pending.count - at) * sizeof(*items));
}

void script_complete(uint64_t user_data, int32_t res, uint32_t flags)
{
	const struct peal__cqe cqe = { user_data, res, flags };

	if (!(flags & PEAL__CQE_MORE))
		forget_pending(user_data);
	if (!cq_is_full() && !backlog.count) {
		publish(&cqe);
		return;
	}
	script.overflows++;
	*(struct peal__cqe *)list_add(&backlog, sizeof(cqe)) = cqe;
}

/* --- the engine ------------------------------------------------------- */

void script_answer(const struct peal__sqe *sqe)
{
	uint64_t target = sqe->addr;

	switch (sqe->opcode) {
	case PEAL__OP_ASYNC_CANCEL:
		if (script_is_pending(target)) {
			script_complete(target, -ECANCELED, 0);
			script_complete(sqe->user_data, 0, 0);
		} else {
			script_complete(sqe->user_data, -ENOENT, 0);
		}
		break;
	case PEAL__OP_NOP:
	case PEAL__OP_CLOSE:
		script_complete(sqe->user_data, 0, 0);
		break;
	default:
		break;
	}
}

static void take(struct peal__queues *queues)
{
	uint32_t left = script.take_at_most;

	for (; queues->sq_head != queues->sq_tail && left; left--) {
		struct peal__sqe *sqe =
			&queues->sqes[queues->sq_head++ & queues->sq_mask];
		const struct peal__sqe copy = *sqe;

		memset(sqe, 0xa5, sizeof(*sqe));	/* it is not ours */
		*(struct peal__sqe *)list_add(&taken, sizeof(copy)) = copy;
		*(struct peal__sqe *)list_add(&pending, sizeof(copy)) = copy;
		if (script.on_taken)
			script.on_taken(&copy);
	}
}

static int wait_on_the_clock(uint64_t timeout_ns)
{
	ck_assert_msg(timeout_ns != PEAL_FOREVER,
		      "the ring would wait for ever");
	script.now += timeout_ns;
	return -ETIME;
}

static int fails_now(void)
{
	if (!script.fail_in)
		return 0;
	if (script.fail_in > 1) {
		script.fail_in--;
		return 0;
	}
	if (--script.fail_times == 0)
		script.fail_in = 0;
	return 1;
}

static int script_enter(struct peal_ring *which, uint32_t wait_for,
			uint64_t timeout_ns)
{
	struct peal__queues *queues = &which->queues;

	script.enters++;
	flush_backlog();
	if (fails_now())
		return script.fail_with;
	take(queues);
	flush_backlog();
	if (!wait_for || cq_head != cq_tail)
		return 0;
	script.waits++;
	script.last_timeout_ns = timeout_ns;
	return script.on_wait(timeout_ns);
}

static void script_wake(struct peal_ring *which)
{
	(void)which;
	atomic_fetch_add(&script.wakes, 1);
	errno = EAGAIN;		/* as a system call may leave it */
}

static void script_event(struct peal_ring *which, const struct peal__cqe *cqe)
{
	(void)which;
	(void)cqe;
	script.events++;
}

static int script_fd(struct peal_ring *which)
{
	(void)which;
	return -EOPNOTSUPP;
}

static void script_explain(struct peal_ring *which, FILE *out)
{
	(void)which;
	fprintf(out, "script         on\n");
}

static int script_start(struct peal_ring *which,
			const struct peal_ring_options *options)
{
	struct peal__queues *queues = &which->queues;

	ck_assert_uint_le(options->entries, MOST_ENTRIES);
	ck_assert_uint_le(options->cq_entries, MOST_CQ);
	cq_head = cq_tail = UINT32_MAX - 5;	/* so that they wrap */
	queues->sqes = sqes;
	queues->sq_head = queues->sq_tail = UINT32_MAX - 3;
	queues->sq_entries = options->entries;
	queues->sq_mask = options->entries - 1;
	queues->cqes = cqes;
	queues->cq_head = &cq_head;
	queues->cq_tail = &cq_tail;
	queues->cq_entries = options->cq_entries;
	queues->cq_mask = options->cq_entries - 1;
	memset(which->can, 0xff, sizeof(which->can));
	return 0;
}

static void script_stop(struct peal_ring *which)
{
	(void)which;
	script.closed++;
}

static const struct peal__engine engine = {
	.name = "script",
	.open = script_start,
	.close = script_stop,
	.enter = script_enter,
	.wake = script_wake,
	.event = script_event,
	.fd = script_fd,
	.explain = script_explain,
};

/* --- the ring --------------------------------------------------------- */

static void behave(void)
{
	script.take_at_most = UINT32_MAX;
	script.fail_in = script.fail_times = 0;
	script.on_wait = wait_on_the_clock;
}

/* What peal_ring_open() does, with an engine it does not know. */
void script_open_with(uint32_t entries, uint32_t cq_entries, uint32_t max_ops,
		      uint32_t max_posts)
{
	struct peal_ring_options options = harness_options();

	if (!script.now)
		script.now = SCRIPT_START_NS;
	behave();
	script.on_taken = NULL;
	options.entries = entries;
	options.cq_entries = cq_entries;
	ring = options.allocator.alloc(NULL, sizeof(*ring), 64);
	ring->allocator = options.allocator;
	ring->engine = &engine;
	ring->owner = &peal__this_thread;
	ring->now = script.now;
	ring->now_ms = (uint32_t)(ring->now >> 20);
	ring->wheel.tick = ring->now >> 14;
	ck_assert_int_eq(peal__table_open(ring, max_ops), 0);
	ck_assert_int_eq(peal__posts_open(ring, max_posts), 0);
	ck_assert_int_eq(peal__jobs_open(ring, 2), 0);
	ck_assert_int_eq(peal__memory_open(ring, 0), 0);
	ck_assert_int_eq((engine.open)(ring, &options), 0);
	peal__gate_set(ring, 0);
	peal__ring_enlist(ring);
	peal__sigpipe_block();
}

void script_open(void)
{
	script_open_with(64, 256, 1024, 16);
}

/* Ends what was taken before the engine began to behave. */
static void end_pending(void)
{
	while (script_pending_count()) {
		const struct peal__sqe *sqe = script_pending(0);
		int ends = sqe->opcode != PEAL__OP_ASYNC_CANCEL &&
			   sqe->opcode != PEAL__OP_CLOSE;

		script_complete(sqe->user_data, ends ? -ECANCELED : 0, 0);
	}
}

void script_close(void)
{
	behave();
	script.on_taken = script_answer;
	ring->failed = 0;
	peal__gate_set(ring, ring->gate & ~(uint32_t)GATE_FAILED);
	end_pending();
	ck_result(peal_ring_close(ring, PEAL_FOREVER), 0);
	ring = NULL;
	ck_assert_uint_eq(script.closed, 1);
	script.closed = 0;
	list_free(&taken);
	list_free(&pending);
	list_free(&backlog);
}

void script_reopen(uint32_t entries, uint32_t cq_entries, uint32_t max_ops)
{
	script_close();
	memset(&script, 0, sizeof(script));
	script_open_with(entries, cq_entries, max_ops, 16);
}

int script_turn(void)
{
	int ran = peal_ring_turn(ring, 0);

	ck_ok(ran);
	return ran;
}

int script_turn_at(uint64_t now)
{
	script.now = now;
	return script_turn();
}

int script_turn_after(uint64_t ns)
{
	return script_turn_at(script.now + ns);
}

void script_is_idle(void)
{
	ck_assert_uint_eq(peal__in_flight(ring), 0);
	ck_assert_uint_eq(peal__rows_live(ring), 0);
	ck_assert_uint_eq(ring->owed, 0);
	ck_assert_uint_eq(ring->again, 0);
	ck_assert_uint_eq(ring->draining, 0);
	ck_assert_uint_eq(ring->wheel.count, 0);
	ck_assert_uint_eq(ring->ready_head, 0);
	ck_assert_uint_eq(ring->ready_tail, 0);
}

/* --- what was asked of the engine ------------------------------------- */

size_t script_taken_count(void)
{
	return taken.count;
}

const struct peal__sqe *script_taken(size_t at)
{
	HOLDS(at < taken.count);
	return (const struct peal__sqe *)taken.items + at;
}

const struct peal__sqe *script_entry(peal_op op)
{
	size_t at;

	for (at = taken.count; at > 0; at--)
		if (script_taken(at - 1)->user_data == (uint64_t)op)
			return script_taken(at - 1);
	return NULL;
}

unsigned script_entries(peal_op op)
{
	unsigned count = 0;
	size_t at;

	for (at = 0; at < taken.count; at++)
		count += script_taken(at)->user_data == (uint64_t)op;
	return count;
}

static int is_cancel_of(const struct peal__sqe *sqe, peal_op op)
{
	return sqe->opcode == PEAL__OP_ASYNC_CANCEL &&
	       sqe->addr == (uint64_t)op;
}

unsigned script_cancels(peal_op op)
{
	unsigned count = 0;
	size_t at;

	for (at = 0; at < taken.count; at++)
		count += is_cancel_of(script_taken(at), op);
	return count;
}

uint64_t script_cancel_data(peal_op op)
{
	size_t at;

	for (at = taken.count; at > 0; at--)
		if (is_cancel_of(script_taken(at - 1), op))
			return script_taken(at - 1)->user_data;
	ck_abort_msg("no cancel of op %llx was taken", (unsigned long long)op);
	return 0;
}

size_t script_pending_count(void)
{
	return pending.count;
}

const struct peal__sqe *script_pending(size_t at)
{
	HOLDS(at < pending.count);
	return (const struct peal__sqe *)pending.items + at;
}

int script_is_pending(uint64_t user_data)
{
	size_t at;

	for (at = 0; at < pending.count; at++)
		if (script_pending(at)->user_data == user_data)
			return 1;
	return 0;
}

/* --- chance ----------------------------------------------------------- */

static uint64_t random_state;

void script_seed(uint64_t seed)
{
	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

/* splitmix64 */
uint64_t script_random(void)
{
	uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint32_t script_below(uint32_t limit)
{
	return (uint32_t)(script_random() % limit);
}
