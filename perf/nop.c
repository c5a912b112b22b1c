/* SPDX-License-Identifier: MIT */
/*
 * How much does peal cost on top of bare liburing, per operation? A NOP is all
 * overhead, so this is the worst case: a batch of NOPs is started, one system
 * call submits it and waits, the completions are taken. The bare loop has no
 * table and no callback: those are what is measured.
 */
#include <stdlib.h>
#include "perf/bench.h"
#include "perf/commands.h"
#include "perf/rings.h"
#include "perf/workloads.h"

/* --- bare ------------------------------------------------------------------- */

struct bare_nop {
	struct bare bare;
	unsigned batch;
};

static const char *bare_nop_open(void **out_state, const struct perf_case *at)
{
	struct bare_nop *nop = calloc(1, sizeof *nop);
	const char *wrong;

	if (!nop)
		abort();
	wrong = bare_open(&nop->bare, case_text(at, "flags"));
	nop->batch = (unsigned)case_number(at, "batch");
	*out_state = nop;
	if (wrong)
		free(nop);
	return wrong;
}

static const char *bare_batch(struct bare_nop *nop, unsigned batch)
{
	struct io_uring *ring = &nop->bare.ring;
	unsigned i, head, taken = 0;
	struct io_uring_cqe *cqe;
	int rc;

	for (i = 0; i < batch; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, i);
	}
	rc = bare_enter(&nop->bare, batch);
	if (rc < 0)
		return why_errno("io_uring_submit_and_wait", rc);
	io_uring_for_each_cqe(ring, head, cqe) {
		if (cqe->res < 0)
			return why_errno("nop", cqe->res);
		taken++;
	}
	io_uring_cq_advance(ring, taken);
	nop->bare.ops += taken;
	return taken == batch ? NULL : "completions are missing";
}

static const char *bare_nop_run(void *state, struct slice *slice)
{
	struct bare_nop *nop = state;
	const char *wrong = NULL;
	uint64_t left = slice->ops;

	nop->bare.prove = slice->prove;
	while (left && !wrong) {
		unsigned batch = left < nop->batch ? (unsigned)left
						   : nop->batch;
		uint64_t began = slice->latency ? clock_now() : 0;

		wrong = bare_batch(nop, batch);
		if (slice->latency)
			latency_note(slice->latency, clock_now() - began);
		left -= batch;
	}
	return wrong;
}

static void bare_nop_count(void *state, struct counters *out)
{
	bare_count(&((struct bare_nop *)state)->bare, out);
}

static void bare_nop_close(void *state)
{
	bare_close(&((struct bare_nop *)state)->bare);
	free(state);
}

static const struct side side_bare = {
	.name = "bare", .open = bare_nop_open, .run = bare_nop_run,
	.count = bare_nop_count, .close = bare_nop_close,
};

/* --- peal ------------------------------------------------------------------- */

struct peal_nop {
	struct ours ours;
	unsigned batch;
	uint64_t seen;
	int64_t error;
};

static const char *peal_nop_open(void **out_state, const struct perf_case *at)
{
	struct peal_nop *nop = calloc(1, sizeof *nop);
	const char *wrong;

	if (!nop)
		abort();
	wrong = ours_open(&nop->ours, case_text(at, "flags"), 0);
	nop->batch = (unsigned)case_number(at, "batch");
	*out_state = nop;
	if (wrong)
		free(nop);
	return wrong;
}

static void on_nop(struct peal_ring *ring, const struct peal_completion *done)
{
	struct peal_nop *nop = done->ctx;

	(void)ring;
	if (done->result < 0)
		nop->error = done->result;
	nop->seen++;
}

static const char *peal_batch(struct peal_nop *nop, unsigned batch)
{
	struct peal_ring *ring = nop->ours.ring;
	uint64_t wanted = nop->seen + batch;
	unsigned i;

	for (i = 0; i < batch; i++) {
		peal_op op = peal_nop(ring, 0, on_nop, nop);

		if (op < 0)
			return why_errno("peal_nop", op);
	}
	while (nop->seen < wanted) {
		int rc = peal_ring_turn(ring, PEAL_FOREVER);

		if (rc < 0)
			return why_errno("peal_ring_turn", rc);
	}
	return nop->error ? why_errno("nop", nop->error) : NULL;
}

static const char *peal_nop_run(void *state, struct slice *slice)
{
	struct peal_nop *nop = state;
	const char *wrong = NULL;
	uint64_t left = slice->ops, looked = 0;

	if (slice->prove)
		ours_look_from_here(&nop->ours);
	while (left && !wrong) {
		unsigned batch = left < nop->batch ? (unsigned)left
						   : nop->batch;
		uint64_t began = slice->latency ? clock_now() : 0;

		wrong = peal_batch(nop, batch);
		if (slice->latency)
			latency_note(slice->latency, clock_now() - began);
		left -= batch;
		looked += batch;
		if (slice->prove && looked + nop->batch > OURS_LOOK) {
			ours_look(&nop->ours);
			looked = 0;
		}
	}
	if (slice->prove)
		ours_look(&nop->ours);
	nop->ours.ops += slice->ops;
	return wrong;
}

static void peal_nop_count(void *state, struct counters *out)
{
	ours_count(&((struct peal_nop *)state)->ours, out);
}

static void peal_nop_close(void *state)
{
	ours_close(&((struct peal_nop *)state)->ours);
	free(state);
}

static const struct side side_peal = {
	.name = "peal", .open = peal_nop_open, .run = peal_nop_run,
	.count = peal_nop_count, .close = peal_nop_close,
};

/* --- the workload ----------------------------------------------------------- */

static const struct axis axes[] = {
	{ "batch", "1,8,64", NULL, "1,2,4,8,16,32,64,128", 0,
	  "NOPs per system call, at most 128" },
	RINGS_FLAGS_AXIS("defer"),
};

static const struct side *const sides[] = { &side_bare, &side_peal, NULL };

static const char *senseless(const struct perf_case *at)
{
	uint64_t batch = case_number(at, "batch");

	if (case_is(at, "flags", "iopoll"))
		return "a NOP has no device to poll";
	return batch < 1 || batch > OURS_LOOK ? "batch is 1 to 128" : NULL;
}

static const char *in_effect(const struct perf_case *at,
			     const struct counters *counters)
{
	double nops = (double)counters->by_op[IORING_OP_NOP];

	if (nops != counters->ops)
		return why("%.0f NOPs were submitted for %.0f operations",
			   nops, counters->ops);
	return rings_flags_in_effect(at, counters);
}

const struct workload workload_nop = {
	.name = "nop",
	.line = "NOPs: what starting and finishing an operation costs",
	.op = "nop",
	.axes = axes,
	.axis_count = sizeof axes / sizeof *axes,
	.sides = sides,
	.senseless = senseless,
	.in_effect = in_effect,
};

static int nop_main(int argc, char **argv)
{
	return bench_main(&workload_nop, argc, argv);
}

const struct command command_nop = {
	"nop", "the cost of an operation that does nothing", nop_main,
};
