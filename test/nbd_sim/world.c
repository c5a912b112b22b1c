/* SPDX-License-Identifier: MIT */
/*
 * One seed: trouble of some kinds for a while, then none. In the end every
 * sector must be known and flushed, and after one more crash the file must
 * hold just that.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "test/nbd_sim/nbd_sim.h"

int verbose, watched = -1;

static struct peal_sim *world;
static struct peal_sim_node *server, *client;
static uint64_t the_seed;

/* Each is there in one seed of three. */
static const struct trouble {
	enum peal_sim_fault_kind kind;
	uint32_t most;		/* per million */
} troubles[] = {
	{ PEAL_SIM_SHORT, 300000 },
	{ PEAL_SIM_EINTR, 20000 },
	{ PEAL_SIM_EAGAIN, 20000 },
	{ PEAL_SIM_ENOMEM, 2000 },
	{ PEAL_SIM_READ_EIO, 5000 },
	{ PEAL_SIM_WRITE_EIO, 5000 },
	{ PEAL_SIM_SYNC_EIO, 20000 },
	{ PEAL_SIM_STUCK, 1000 },
	{ PEAL_SIM_LATE, 100000 },
	{ PEAL_SIM_UNCANCELLED, 300000 },
	{ PEAL_SIM_MULTISHOT_END, 300000 },
	{ PEAL_SIM_CQ_FULL, 50000 },
	{ PEAL_SIM_RESET, 1000 },
	{ PEAL_SIM_SPLIT, 500000 },
	{ PEAL_SIM_SLOW, 5000 },
	{ PEAL_SIM_REFUSE, 100000 },
	{ PEAL_SIM_CRASH, 300 },
};

enum { TROUBLES = sizeof troubles / sizeof *troubles };

void tell(const char *format, ...)
{
	va_list args;

	if (!verbose)
		return;
	fprintf(stderr, "%12.6f ",
		(double)(world ? peal_sim_now(world) : 0) / 1e9);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	putc('\n', stderr);
}

_Noreturn void broken(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "seed %llu, at %.6f s: ",
		(unsigned long long)the_seed,
		(double)(world ? peal_sim_now(world) : 0) / 1e9);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	putc('\n', stderr);
	fflush(NULL);
	_exit(1);
}

static uint64_t chance(uint64_t bound)
{
	return peal_sim_random(world, bound);
}

/* A disk whose times have a long tail; one whose syncs are slow at times. */
static void begin_slow_disk(void)
{
	struct peal_sim_times tail = PEAL_SIM_TIMES, slow = PEAL_SIM_TIMES;

	tail.shape = PEAL_SIM_LOG_NORMAL;
	tail.median_ns = 100 * PEAL_US;
	tail.p99_ns = 20 * PEAL_MS;
	slow.shape = PEAL_SIM_TWO_POINT;
	slow.least_ns = 200 * PEAL_US;
	slow.most_ns = PEAL_S / 2;
	slow.slow_per_million = 20000;
	if (chance(4) == 0)
		peal_sim_latency_as(server, PEAL_SIM_DISK, &tail);
	if (chance(4) == 0)
		peal_sim_latency_as(server, PEAL_SIM_DISK_SYNC, &slow);
}

static void begin_trouble(void)
{
	unsigned i;

	for (i = 0; i < TROUBLES; i++)
		if (chance(3) == 0)
			peal_sim_fault(world, server, troubles[i].kind,
				       1 + (uint32_t)chance(troubles[i].most));
	if (chance(3) == 0)
		peal_sim_fault(world, client, PEAL_SIM_SHORT, 100000);
	if (chance(3) == 0)
		peal_sim_fault(world, client, PEAL_SIM_RESET, 500);
	begin_slow_disk();
}

static void end_trouble(void)
{
	int kind;

	for (kind = 0; kind < PEAL_SIM_FAULTS; kind++)
		peal_sim_fault(world, NULL, kind, 0);
	peal_sim_cut(server, client, 0);
	peal_sim_cut(client, server, 0);
	peal_sim_boot_now(server);
}

static void crash(void)
{
	peal_sim_crash(server, PEAL_MS + chance(chance(8) ? 20 * PEAL_MS
							   : 2 * PEAL_S));
}

/* Some seconds in which the power is cut, and the network. */
static void trouble(void)
{
	int crashes = chance(3) != 0, cuts = chance(4) == 0;
	unsigned left = 4 + (unsigned)chance(20);

	while (left--) {
		peal_sim_run(world, peal_sim_now(world) +
			     chance(chance(8) ? 20 * PEAL_MS : PEAL_S / 2));
		if (crashes && chance(4) == 0)
			crash();
		if (cuts && chance(3) == 0)
			peal_sim_cut(chance(2) ? server : client,
				     chance(2) ? server : client,
				     (int)chance(2));
	}
}

/* A server that once failed to sync fails for ever, and what was lost on the
 * way may come late: a new server ends both. */
static void calm(void)
{
	unsigned seconds = 0;

	end_trouble();
	model_quiet();
	do {
		if (seconds == 1200)
			broken("20 minutes without trouble, and there are "
			       "still sectors that cannot be flushed");
		if (seconds++ % 61 == 0)
			peal_sim_crash(server, PEAL_MS);
		peal_sim_run(world, peal_sim_now(world) + PEAL_S);
	} while (!model_is_settled());
}

static void look_at_the_medium(void)
{
	static uint8_t bytes[SECTORS * SECTOR];

	peal_sim_crash(server, PEAL_MS);
	peal_sim_run(world, peal_sim_now(world) + PEAL_S);
	if (peal_sim_get_file(server, "/disk", bytes, sizeof bytes, 0) !=
	    (int64_t)sizeof bytes)
		broken("the file is not what it was");
	model_check_all(bytes);
}

int world_run(uint64_t seed, struct outcome *out)
{
	the_seed = seed;
	world = NULL;
	if (peal_sim_open(&world, seed, NULL) < 0)
		broken("no world");
	model_begin(world);
	server = node_begin(world);
	client = peal_sim_node(world, "client");
	clients_begin(world, client);
	begin_trouble();
	trouble();
	calm();
	look_at_the_medium();
	out->answers = clients_answers();
	out->crashes = node_crashes();
	out->sim_ns = peal_sim_now(world);
	out->hash = peal_sim_hash(world);
	return 0;
}
