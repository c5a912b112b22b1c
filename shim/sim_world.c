/* SPDX-License-Identifier: MIT */
/*
 * The simulated world: its clock, its nodes, who runs when, and the record of
 * it all. See sim.h.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "shim/sim.h"

#define START_NS	PEAL_S
#define TURN_NS		1000u

static _Thread_local struct peal_sim_node *entered;
static _Thread_local struct peal_sim *local; /* lives as long as the thread */
static pthread_key_t local_key;		     /* ends it with the thread */

/* --- the record ---------------------------------------------------------- */

static void mix(struct peal_sim *world, uint64_t value)
{
	world->hash = (world->hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	world->hash ^= world->hash >> 29;
}

static const char *const what_names[] = {
	[SIM_START] = "start", [SIM_DONE] = "done", [SIM_FAULT] = "fault",
	[SIM_CRASHED] = "crash", [SIM_BOOTED] = "boot",
	[SIM_ARRIVED] = "arrived", [SIM_NOTICE] = "notice",
	[SIM_REUSED] = "reused"
};

static const char *op_name(enum sim_what what, unsigned op)
{
	const char *name = "";

	if (what == SIM_START || what == SIM_DONE || what == SIM_NOTICE ||
	    what == SIM_REUSED)
		name = peal_opcode_name(op);
	else if (what == SIM_FAULT)
		name = peal__sim_fault_name(op);
	return name;
}

void peal__sim_tell(struct peal_sim_node *node, enum sim_what what, unsigned op,
	      int64_t fd, int64_t arg, uint64_t handle)
{
	struct peal_sim *world = node->world;
	struct peal_sim_event event;

	world->traced++;
	mix(world, world->now);
	mix(world, (uint64_t)node->index << 32 | (uint64_t)what << 16 | op);
	mix(world, (uint64_t)fd);
	mix(world, (uint64_t)arg);
	if (!world->trace)
		return;
	event = (struct peal_sim_event){
		.number = world->traced, .now_ns = world->now,
		.node = node->name, .what = what_names[what],
		.op = op_name(what, op), .fd = fd, .arg = arg,
		.op_handle = handle };
	world->trace(world->trace_ctx, &event);
}

uint64_t peal_sim_hash(struct peal_sim *world)
{
	return world->hash;
}

/* --- crash and boot ------------------------------------------------------ */

void peal__sim_doom(struct peal_sim_node *node, uint64_t down_ns)
{
	if (node->doomed || !node->up)
		return;
	node->doomed = 1;
	node->down_ns = down_ns;
	node->world->doomed++;
}

static void on_boot(struct peal_sim *world, struct sim_event *event);

static void boot_in(struct peal_sim_node *node, uint64_t ns)
{
	struct peal_sim *world = node->world;

	peal__sim_event_remove(world, &node->boot_event);
	if (ns != PEAL_FOREVER)
		peal__sim_event_add(world, &node->boot_event, world->now + ns,
			      on_boot);
}

/* The power is gone. Its program is told by run_halts(), outside of all
 * handlers. */
static void crash(struct peal_sim_node *node)
{
	struct peal_sim *world = node->world;
	struct sim_ring *ring;

	peal__sim_tell(node, SIM_CRASHED, 0, 0, (int64_t)node->boots, 0);
	node->up = 0;
	node->halt_due = 1;
	world->halts++;
	peal__sim_net_crash(node);	/* first: a file that goes is silent */
	for (ring = world->rings; ring; ring = ring->next)
		if (ring->node == node)
			peal__sim_ring_lose(ring->ring);
	peal__sim_fds_close(node);
	peal__sim_disk_crash(node);
	boot_in(node, node->down_ns);
}

void peal__sim_crash_doomed(struct peal_sim *world)
{
	struct peal_sim_node *node;

	for (node = world->nodes; node && world->doomed; node = node->next) {
		if (!node->doomed)
			continue;
		node->doomed = 0;
		world->doomed--;
		crash(node);
	}
}

static void halt(struct peal_sim_node *node)
{
	node->halt_due = 0;
	node->world->halts--;
	if (node->halt)
		node->halt(node, node->ctx);
}

static void run_halts(struct peal_sim *world)
{
	struct peal_sim_node *node;

	for (node = world->nodes; node && world->halts; node = node->next)
		if (node->halt_due)
			halt(node);
}

static void boot(struct peal_sim_node *node)
{
	struct peal_sim_node *before = entered;

	if (!node->boot)
		return;
	entered = node;
	node->boot(node, node->ctx);
	entered = before;
}

void peal_sim_boot_now(struct peal_sim_node *node)
{
	if (node->up)
		return;
	peal__sim_event_remove(node->world, &node->boot_event);
	if (node->halt_due)
		halt(node);
	node->up = 1;
	node->boots++;
	peal__sim_tell(node, SIM_BOOTED, 0, 0, (int64_t)node->boots, 0);
	peal__sim_net_boot(node);
	boot(node);
}

static void on_boot(struct peal_sim *world, struct sim_event *event)
{
	struct peal_sim_node *node = (struct peal_sim_node *)
		((char *)event - offsetof(struct peal_sim_node, boot_event));

	(void)world;
	peal_sim_boot_now(node);
}

void peal_sim_crash(struct peal_sim_node *node, uint64_t after_ns)
{
	if (!node->up) {
		boot_in(node, after_ns);
		return;
	}
	peal__sim_doom(node, after_ns);
	peal__sim_crash_doomed(node->world);
	if (!node->world->running)
		run_halts(node->world);
}

int peal_sim_is_up(struct peal_sim_node *node)
{
	return node->up;
}

void peal_sim_program(struct peal_sim_node *node, peal_sim_boot *on,
		      peal_sim_boot *off, void *ctx)
{
	node->boot = on;
	node->halt = off;
	node->ctx = ctx;
	if (node->up)
		boot(node);
}

/* --- nodes and worlds ---------------------------------------------------- */

struct peal_sim_node *peal_sim_node(struct peal_sim *world, const char *name)
{
	struct peal_sim_node *node;

	for (node = world->nodes; node; node = node->next)
		if (strncmp(node->name, name, SIM_NAME - 1) == 0)
			return node;
	node = calloc(1, sizeof *node);
	if (!node)
		return NULL;
	node->world = world;
	strncpy(node->name, name, SIM_NAME - 1);
	node->index = world->node_count + 1;
	node->next_port = 32768;
	node->mask = 022;
	node->fd_most = SIM_FDS;
	node->up = 1;
	node->dio_align = SIM_SECTOR;
	peal__sim_latency_begin(node);
	memcpy(node->rate, world->rate, sizeof node->rate);
	if (peal__sim_disk_open(node) < 0) {
		peal__sim_disk_close(node);
		free(node);
		return NULL;
	}
	world->node_count++;
	if (world->last_node)
		world->last_node->next = node;
	else
		world->nodes = node;
	world->last_node = node;
	return node;
}

int peal_sim_open(struct peal_sim **out_world, uint64_t seed,
		  const struct peal_sim_options *given)
{
	struct peal_sim_options options = PEAL_SIM_OPTIONS;
	struct peal_sim *world;

	if (given && (given->size < sizeof given->size ||
		      given->size > sizeof options))
		return -EINVAL;
	if (given)
		memcpy(&options, given, given->size);
	if (options.flags)
		return -EINVAL;
	world = calloc(1, sizeof *world);
	if (!world)
		return -ENOMEM;
	world->now = options.start_ns ? options.start_ns : START_NS;
	world->turn_ns = options.turn_ns ? options.turn_ns : TURN_NS;
	world->trace = options.trace;
	world->trace_ctx = options.trace_ctx;
	peal__random_seed(&world->random, seed);
	*out_world = world;
	return 0;
}

static void free_node(struct peal_sim_node *node)
{
	peal__sim_net_crash(node);
	peal__sim_fds_close(node);
	peal__sim_disk_close(node);
	if (entered == node)
		entered = NULL;
	free(node->fds);
	free(node);
}

void peal_sim_close(struct peal_sim *world)
{
	struct peal_sim_node *node, *next;

	if (!world)
		return;
	MUST(!world->running, "the world is running", "sim_close");
	for (node = world->nodes; node; node = node->next)
		peal_sim_crash(node, PEAL_FOREVER);
	MUST(!world->rings, "a ring of this world is still open", "sim_close");
	for (node = world->nodes; node; node = node->next)
		peal__sim_event_remove(world, &node->boot_event);
	peal__sim_net_forget(world);
	while (peal__sim_step(world, UINT64_MAX))
		;	/* what is on its way in the network */
	peal__sim_net_forget(world);
	peal__sim_settle(world);
	for (node = world->nodes; node; node = next) {
		next = node->next;
		free_node(node);
	}
	while (world->cuts) {
		struct sim_cut *cut = world->cuts;

		world->cuts = cut->next;
		free(cut);
	}
	if (world == local) {
		pthread_setspecific(local_key, NULL);
		local = NULL;
	}
	free(world);
}

void peal_sim_enter(struct peal_sim_node *node)
{
	entered = node;
}

struct peal_sim_node *peal__sim_here(void)
{
	return entered;
}

static void end_local(void *world)
{
	peal_sim_close(world);
}

static void make_key(void)
{
	pthread_key_create(&local_key, end_local);
}

struct peal_sim_node *peal__sim_local(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const char *seed = getenv("PEAL_SIM_SEED");

	if (!local && peal_sim_open(&local, seed ? strtoull(seed, NULL, 0) : 1,
				    NULL) < 0)
		return NULL;
	pthread_once(&once, make_key);
	pthread_setspecific(local_key, local);
	return peal_sim_node(local, "local");
}

uint64_t peal_sim_now(struct peal_sim *world)
{
	return world->now;
}

uint64_t peal_sim_random(struct peal_sim *world, uint64_t bound)
{
	return sim_below(world, bound);
}

/* --- running ------------------------------------------------------------- */

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When a ring has something to do next. */
static uint64_t ring_due(struct sim_ring *sim)
{
	struct peal_ring *ring = sim->ring;
	uint64_t due = PEAL_FOREVER;

	if (ring->lost || ring->running || ring->failed)
		return PEAL_FOREVER;
	if (ring->queues.sq_tail != ring->queues.sq_head || ring->ready_head ||
	    ring->owed || peal__soft_busy(ring) || peal__posts_waiting(ring) ||
	    sim->soft.late.first || ring->after_first || ring->hungry)
		return 0;
	if (ring->wheel.count)
		due = peal__timer_next(ring);
	if (ring->again)
		due = min(due, ring->again_due_ns);
	return due;
}

/* The next ring that has something to do, from one drawn by the seed on; else
 * when one has. */
static struct sim_ring *pick_ring(struct peal_sim *world, uint64_t *due_ns)
{
	uint32_t skip = world->ring_count < 2
				? 0 : (uint32_t)sim_below(world,
							  world->ring_count);
	struct sim_ring *ring = world->rings;
	uint32_t left;

	*due_ns = PEAL_FOREVER;
	for (; skip; skip--)
		ring = ring->next;
	for (left = world->ring_count; left; left--) {
		uint64_t due = ring_due(ring);

		if (due <= world->now)
			return ring;
		*due_ns = min(*due_ns, due);
		ring = ring->next ? ring->next : world->rings;
	}
	return NULL;
}

/* 0: there is nothing more to do until then. */
static int run_once(struct peal_sim *world, uint64_t until_ns)
{
	struct sim_ring *ring;
	uint64_t due;

	if (world->halts)
		run_halts(world);
	if (world->now > until_ns)
		return 0;
	ring = pick_ring(world, &due);
	if (ring) {
		peal_ring_turn(ring->ring, 0);
		return 1;
	}
	if (world->heap)
		due = min(due, world->heap->due_ns);
	if (due > until_ns || due == PEAL_FOREVER)
		return 0;
	if (!peal__sim_step(world, due))
		world->now = due;
	return 1;
}

int peal_sim_run(struct peal_sim *world, uint64_t until_ns)
{
	if (world->running)
		return -EDEADLK;
	world->running = 1;
	while (!world->stop && run_once(world, until_ns))
		;
	run_halts(world);
	world->running = 0;
	if (world->stop) {
		world->stop = 0;
		return 1;
	}
	if (until_ns != PEAL_FOREVER && world->now < until_ns)
		world->now = until_ns;
	return 0;
}

void peal_sim_stop(struct peal_sim *world)
{
	world->stop = 1;
}
