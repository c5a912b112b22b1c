/* SPDX-License-Identifier: MIT */
/* Runs one program on one engine; what must hold for every program. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "peal/sim.h"
#include "test/fuzz/fuzz.h"

struct peal_ring *ring;
int inside_handler;
int model_waits;

static struct slot slots[SLOTS];
static struct step pending[MOST_STEPS];
static unsigned pending_count, pending_next;
static const char *where;	/* the directory */
static int faulty;		/* errors may come by themselves */
static unsigned number;		/* of the step */
static int starting;		/* inside a call that starts an op */
static unsigned posted, ran, answers_asked, answers;
static unsigned lies, lie_at;
static uint32_t most_ops;
unsigned place_flag;

_Noreturn void fail(const struct slot *slot, const char *format, ...)
{
	va_list args;

	if (slot && slot->op) {
		fprintf(stderr, "step %u (", slot->number);
		step_print(&slot->step, stderr);
		fprintf(stderr, "): ");
	} else {
		fprintf(stderr, "at step %u: ", number);
	}
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	putc('\n', stderr);
	fflush(NULL);
	_exit(1);
}

uint8_t lie_about(uint8_t byte)
{
	return ++lies == lie_at ? byte ^ 1 : byte;
}

const char *in_directory(const char *name)
{
	static char path[512];

	snprintf(path, sizeof path, "%s/%s", where, name);
	return path;
}

/* --- ops in flight ----------------------------------------------------- */

struct slot *slot_next(struct slot *after)
{
	struct slot *slot = after ? after + 1 : slots;

	for (; slot < slots + SLOTS; slot++)
		if (slot->op)
			return slot;
	return NULL;
}

struct slot *slot_new(const struct step *step, size_t bytes,
		      void (*end)(struct slot *slot,
				  const struct peal_completion *done))
{
	struct slot *slot = slots;

	while (slot < slots + SLOTS && (slot->op || slot->buf))
		slot++;
	if (slot == slots + SLOTS)
		return NULL;
	*slot = (struct slot){ .step = *step, .number = number, .fd = -1,
			       .object = -1, .end = end,
			       .started_ns = peal_ring_now(ring) };
	slot->buf = malloc(bytes + 1);
	slot->len = bytes;
	if (!slot->buf)
		fail(NULL, "no memory");
	starting = 1;
	return slot;
}

static void slot_free(struct slot *slot)
{
	free(slot->buf);
	slot->buf = NULL;
	slot->op = 0;
}

/* At most max_ops are in flight, and an engine may be out of room. */
void slot_started(struct slot *slot, peal_op op)
{
	starting = 0;
	if (op == 0 || (op < 0 && op != -EAGAIN))
		fail(NULL, "refused with %s", peal_strerror(op));
	if (op < 0)
		slot_free(slot);
	else
		slot->op = op;
}

static void run_inside(void)
{
	struct step step;

	if (pending_next == pending_count || model_waits)
		return;
	step = pending[pending_next++];
	inside_handler = 1;
	if (step.verb < FILE_VERBS)
		file_step(&step);
	else if (step.verb < STREAM_VERBS)
		stream_step(&step);
	inside_handler = 0;
}

static void told_early(struct slot *slot, const struct peal_completion *done)
{
	if (done->result != -ETIMEDOUT || !(slot->asked & ASKED_TIMEOUT) ||
	    !(done->flags & PEAL_TIMED_OUT))
		fail(slot, "an early end nobody asked for, %lld",
		     (long long)done->result);
}

void on_slot(struct peal_ring *on, const struct peal_completion *done)
{
	struct slot *slot = done->ctx;

	if (on != ring || starting)
		fail(slot, "a handler inside a call that starts an op");
	if (!slot->op || slot->op != done->op)
		fail(slot, "a completion of an op that has ended");
	if (done->flags & PEAL_MORE) {
		told_early(slot, done);
		return;
	}
	if (peal_op_in_flight(ring, done->op))
		fail(slot, "still in flight in its last handler");
	slot->end(slot, done);
	slot_free(slot);
	run_inside();
}

int room_for(unsigned count)
{
	struct slot *slot = NULL;

	while ((slot = slot_next(slot)) != NULL)	/* these count twice */
		count += slot->step.verb == READ_FULL ||
			 slot->step.verb == WRITE_FULL ||
			 slot->step.verb == SEND_FULL;
	return peal_ring_in_flight(ring) + count <= most_ops;
}

int was_asked_for(const struct slot *slot, int64_t error)
{
	if (error == -ECANCELED)
		return slot->asked & ASKED_CANCEL;
	if (error == -ETIMEDOUT)
		return slot->asked & ASKED_TIMEOUT;
	return faulty && (error == -EIO || error == -EINTR ||
			  error == -EAGAIN);
}

static void turn(uint64_t ns)
{
	int rc = peal_ring_turn(ring, ns);

	if (rc < 0)
		fail(NULL, "peal_ring_turn: %s", peal_strerror(rc));
}

int wait_for(struct slot *slot)
{
	const peal_op op = slot->op;
	const uint64_t limit = peal_ring_now(ring) + 100 * PEAL_S;

	if (inside_handler)
		return 0;
	while (slot->op == op) {
		turn(PEAL_S);
		if (peal_ring_now(ring) > limit) {
			peal_ring_dump(ring, stderr);
			fail(slot, "does not end");
		}
	}
	return 1;
}

/* --- steps on ops ------------------------------------------------------ */

static void nop_ended(struct slot *slot, const struct peal_completion *done)
{
	if (done->result && !was_asked_for(slot, done->result))
		fail(slot, "%s", peal_strerror(done->result));
}

static void sleep_ended(struct slot *slot, const struct peal_completion *done)
{
	nop_ended(slot, done);
	if (!done->result &&
	    peal_ring_now(ring) < slot->started_ns + slot->step.len)
		fail(slot, "woke too early");
}

static void on_answer(struct peal_ring *on, const struct peal_completion *done)
{
	(void)on;
	answers++;
	if (done->result && done->result != -ENOENT &&
	    done->result != -EALREADY)
		fail(NULL, "a cancel that ends with %s",
		     peal_strerror(done->result));
}

static void on_count(struct peal_ring *on, const struct peal_completion *done)
{
	(void)on;
	answers++;
	if (done->result < 0)
		fail(NULL, "cancel_fd: %s", peal_strerror(done->result));
}

static void on_post(struct peal_ring *on, void *ctx)
{
	(void)on;
	(void)ctx;
	ran++;
}

/* The n-th op in flight; not one that closes, which nothing can stop. */
static struct slot *target_of(const struct step *step)
{
	struct slot *slot = NULL;
	unsigned count = 0, pick;

	while ((slot = slot_next(slot)) != NULL)
		count += slot->step.verb != CLOSE &&
			 slot->step.verb != CLOSE_DRAINED &&
			 slot->step.verb != HANGUP;
	if (!count)
		return NULL;
	pick = step->object % count;
	for (;;) {
		slot = slot_next(slot);
		if (slot->step.verb == CLOSE || slot->step.verb == HANGUP ||
		    slot->step.verb == CLOSE_DRAINED)
			continue;
		if (!pick--)
			return slot;
	}
}

static void deadline_step(const struct step *step)
{
	struct slot *slot = target_of(step);
	int rc;

	if (!slot)
		return;
	rc = peal_deadline(ring, slot->op, step->len,
			   step->other ? PEAL_EARLY : 0);
	if (rc < 0)
		fail(slot, "peal_deadline: %s", peal_strerror(rc));
	slot->asked |= ASKED_TIMEOUT;
}

static void cancel_step(const struct step *step)
{
	struct slot *slot = target_of(step);
	peal_op op;

	if (!slot)
		return;
	slot->asked |= ASKED_CANCEL;
	op = peal_cancel(ring, slot->op, 0, step->other ? on_answer : NULL,
			 NULL);
	if (op < 0)
		fail(slot, "peal_cancel: %s", peal_strerror(op));
	answers_asked += step->other;
}

static void cancel_fd_step(const struct step *step)
{
	struct slot *slot = NULL;
	peal_fd fd = stream_fd(step->object % STREAMS, step->other);
	peal_op op;

	if (fd < 0)
		return;
	while ((slot = slot_next(slot)) != NULL)
		if (slot->fd == fd)
			slot->asked |= ASKED_CANCEL;
	op = peal_cancel_fd(ring, fd, 0, on_count, NULL);
	if (op <= 0)
		fail(NULL, "peal_cancel_fd: %s", peal_strerror(op));
	answers_asked++;
}

static void op_step(const struct step *step)
{
	struct slot *slot = slot_new(step, 0, step->verb == NOP ? nop_ended
								: sleep_ended);

	starting = slot != NULL;
	if (!slot)
		return;
	slot_started(slot, step->verb == NOP
			   ? peal_nop(ring, 0, on_slot, slot)
			   : peal_sleep(ring, step->len, 0, on_slot, slot));
}

/* Streams may wait for ever; all else ends by itself. */
static void settle(void)
{
	struct slot *slot = NULL;

	while ((slot = slot_next(slot)) != NULL) {
		if (slot->step.verb >= FILE_VERBS &&
		    slot->step.verb < STREAM_VERBS &&
		    slot->step.verb != HANGUP)
			continue;
		wait_for(slot);
		slot = NULL;
	}
}

static void control_step(const struct step *step)
{
	switch (step->verb) {
	case DEADLINE:
		deadline_step(step);
		break;
	case CANCEL:
		cancel_step(step);
		break;
	case CANCEL_FD:
		cancel_fd_step(step);
		break;
	case POST:
		posted += peal_post(ring, on_post, NULL) == 0;
		break;
	case TURN:
		turn(step->off % 3 ? 0 : step->len % 100000);
		break;
	case SETTLE:
		settle();
		break;
	default:
		op_step(step);
	}
}

static void do_step(const struct step *step)
{
	if (step->inside && step->verb < STREAM_VERBS)
		pending[pending_count++] = *step;
	else if (step->verb < FILE_VERBS)
		file_step(step);
	else if (step->verb < STREAM_VERBS)
		stream_step(step);
	else
		control_step(step);
	starting = 0;
}

/* --- a whole program --------------------------------------------------- */

/* What goes wrong in the engine "sim-faults", per million. */
static const struct {
	enum peal_sim_fault_kind kind;
	uint32_t chance;
} faults[] = {
	{ PEAL_SIM_SHORT, 200000 }, { PEAL_SIM_EINTR, 20000 },
	{ PEAL_SIM_EAGAIN, 20000 }, { PEAL_SIM_READ_EIO, 20000 },
	{ PEAL_SIM_WRITE_EIO, 20000 }, { PEAL_SIM_SYNC_EIO, 100000 },
	{ PEAL_SIM_STUCK, 10000 }, { PEAL_SIM_LATE, 200000 },
	{ PEAL_SIM_UNCANCELLED, 300000 }, { PEAL_SIM_CQ_FULL, 50000 },
	{ PEAL_SIM_SPLIT, 300000 }, { PEAL_SIM_SLOW, 20000 },
	{ PEAL_SIM_NO_BUFFER, 200000 },
};

static struct peal_sim *world;

/* A machine of its own for each program, so that its seed is all there is. */
static int open_world(const struct program *program, const char *engine,
		      struct peal_ring_options *options)
{
	unsigned i;
	int rc;

	world = NULL;
	faulty = !strcmp(engine, "sim-faults");
	if (strncmp(engine, "sim", 3))
		return 0;
	rc = peal_sim_open(&world, program->seed, NULL);
	if (rc < 0)
		return rc;
	options->engine = "sim";
	options->sim_node = peal_sim_node(world, "fuzz");
	for (i = 0; faulty && i < sizeof faults / sizeof *faults; i++)
		peal_sim_fault(world, NULL, faults[i].kind, faults[i].chance);
	return 0;
}

/* Small queues, so that they are full at times. */
static uint32_t max_ops(const struct program *program)
{
	return 8u << program->seed / 16 % 4;
}

static int open_ring(const struct program *program, const char *engine)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;
	int rc;

	options.engine = engine;
	options.entries = 2u << program->seed % 5;
	options.cq_entries = options.entries * (1 + program->seed / 5 % 2);
	options.max_ops = most_ops = max_ops(program);
	options.pool_threads = 2;
	/* Elsewhere the kernel may lack an op, and no pool has a slot. */
	place_flag = program->seed / 128 % 2 && !strncmp(engine, "sim", 3)
			     ? PEAL_DIRECT : 0;
	options.direct_fds = place_flag ? 64 : 0;
	rc = open_world(program, engine, &options);
	if (rc == 0)
		rc = peal_ring_open(&ring, &options);
	if (rc < 0)
		fprintf(stderr, "%s\n", peal_open_reason());
	return rc;
}

static void cancel_rest(void)
{
	struct slot *slot = NULL;

	pending_count = pending_next = 0;
	settle();
	while ((slot = slot_next(slot)) != NULL)
		slot->asked |= ASKED_CANCEL;
	if (peal_cancel_all(ring, 0, NULL, NULL) < 0)
		fail(NULL, "peal_cancel_all");
	while ((slot = slot_next(NULL)) != NULL)
		wait_for(slot);
	while (peal_ring_in_flight(ring) || ran != posted)
		turn(PEAL_S);
}

int program_run(const struct program *program, const char *engine,
		const char *directory, unsigned lie)
{
	unsigned i;
	int rc = open_ring(program, engine);

	if (rc < 0)
		return rc;
	/* A simulated machine has no such directory, and is empty. */
	where = world ? "" : directory;
	lie_at = lie;
	lies = posted = ran = answers_asked = answers = 0;
	pending_count = pending_next = 0;
	number = 0;
	files_begin();
	streams_begin(program->seed);
	for (i = 0; i < program->count; i++) {
		number = i + 1;
		do_step(&program->steps[i]);
	}
	cancel_rest();
	streams_end();
	files_end();
	settle();
	if (answers != answers_asked)
		fail(NULL, "%u cancels were answered of %u", answers,
		     answers_asked);
	rc = peal_ring_close(ring, 10 * PEAL_S);
	if (rc < 0)
		fail(NULL, "peal_ring_close: %s", peal_strerror(rc));
	peal_sim_close(world);
	return 0;
}
