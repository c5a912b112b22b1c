/* SPDX-License-Identifier: MIT */
/* A simulated world: its clock, its order, its record, crash and boot. */
#include "test/sim_scene.h"

static void open_world(uint64_t seed)
{
	ck_result(peal_sim_open(&world, seed, NULL), 0);
}

BARE_TEST(world_starts_at_one_second_and_runs_to_the_time_given)
{
	open_world(1);
	ck_assert_uint_eq(peal_sim_now(world), PEAL_S);
	ck_result(peal_sim_run(world, 5 * PEAL_S), 0);
	ck_assert_uint_eq(peal_sim_now(world), 5 * PEAL_S);
	peal_sim_close(world);
}

BARE_TEST(options_of_another_size_are_refused)
{
	struct peal_sim_options options = PEAL_SIM_OPTIONS;

	options.size = sizeof(options) + 8;
	ck_result(peal_sim_open(&world, 1, &options), -EINVAL);
	options = (struct peal_sim_options)PEAL_SIM_OPTIONS;
	options.flags = 1;
	ck_result(peal_sim_open(&world, 1, &options), -EINVAL);
}

static unsigned ticks;

static void on_day(struct peal_ring *where, const struct peal_completion *done)
{
	ticks++;
	if (ticks < 365)
		peal_sleep(where, 86400 * PEAL_S, 0, on_day, done->ctx);
}

BARE_TEST(year_of_sleeping_takes_as_many_turns_as_there_are_wakings)
{
	struct peal_stats stats = { .size = sizeof(stats) };
	struct peal_ring *own;

	open_world(1);
	own = ring_on(peal_sim_node(world, "a"));
	peal_sleep(own, 86400 * PEAL_S, 0, on_day, NULL);
	ck_result(peal_sim_run(world, 366 * 86400 * PEAL_S), 0);
	ck_assert_uint_eq(ticks, 365);
	peal_ring_stats(own, &stats);
	ck_assert_uint_lt(stats.turns, 10 * 365);
	close_ring(own);
	peal_sim_close(world);
}

BARE_TEST(node_has_its_name_once_and_is_found_by_it)
{
	open_world(1);
	node = peal_sim_node(world, "a");
	ck_assert_ptr_eq(peal_sim_node(world, "a"), node);
	ck_assert_ptr_ne(peal_sim_node(world, "b"), node);
	peal_sim_close(world);
}

BARE_TEST(entered_node_is_where_rings_are_opened)
{
	struct peal_ring *own;

	open_world(1);
	peal_sim_enter(peal_sim_node(world, "a"));
	own = open_ring(NULL);
	peal_sim_enter(NULL);
	ck_assert_str_eq(peal_ring_engine(own), "sim");
	ck_assert_ptr_eq(peal_sim_node_of(own), peal_sim_node(world, "a"));
	close_ring(own);
	peal_sim_close(world);
}

BARE_TEST(random_numbers_of_a_ring_are_the_seeds)
{
	struct peal_ring *own;
	uint64_t first[2];
	int i;

	for (i = 0; i < 2; i++) {
		open_world(42);
		own = ring_on(peal_sim_node(world, "a"));
		first[i] = peal_random(own);
		close_ring(own);
		peal_sim_close(world);
	}
	ck_assert_uint_eq(first[0], first[1]);
	open_world(43);
	own = ring_on(peal_sim_node(world, "a"));
	ck_assert_uint_ne(peal_random(own), first[0]);
	close_ring(own);
	peal_sim_close(world);
}

/* --- crash and boot ------------------------------------------------------ */

struct program {
	struct peal_ring *ring;
	unsigned boots, halts, heard;
};

static void on_heard(struct peal_ring *where,
		     const struct peal_completion *done)
{
	struct program *program = done->ctx;

	program->heard++;
	peal_sleep(where, PEAL_MS, 0, on_heard, program);
}

static void boot(struct peal_sim_node *on, void *ctx)
{
	struct program *program = ctx;

	(void)on;
	program->boots++;
	ck_result(peal_ring_open(&program->ring, NULL), 0);
	peal_sleep(program->ring, PEAL_MS, 0, on_heard, program);
}

static void halt(struct peal_sim_node *on, void *ctx)
{
	struct program *program = ctx;

	(void)on;
	program->halts++;
	ck_result(peal_sleep(program->ring, 1, 0, NULL, NULL), -EHOSTDOWN);
	ck_result(peal_ring_close(program->ring, 0), 0);
	program->ring = NULL;
}

BARE_TEST(crash_stops_the_program_and_boot_starts_it_again)
{
	struct program program = { 0 };

	open_world(1);
	node = peal_sim_node(world, "a");
	peal_sim_program(node, boot, halt, &program);
	ck_result(peal_sim_run(world, 2 * PEAL_S), 0);
	ck_assert_uint_gt(program.heard, 900);
	program.heard = 0;
	peal_sim_crash(node, PEAL_S);
	ck_assert(!peal_sim_is_up(node));
	ck_result(peal_sim_run(world, 2 * PEAL_S + PEAL_S / 2), 0);
	ck_assert_uint_eq(program.halts, 1);
	ck_assert_uint_eq(program.heard, 0);
	ck_result(peal_sim_run(world, 4 * PEAL_S), 0);
	ck_assert(peal_sim_is_up(node));
	ck_assert_uint_eq(program.boots, 2);
	ck_assert_uint_gt(program.heard, 900);
	peal_sim_close(world);
	ck_assert_uint_eq(program.halts, 2);
}

static struct peal_sim_node *to_crash;
static unsigned after_crash;

static void on_crash(struct peal_ring *where,
		     const struct peal_completion *done)
{
	(void)where;
	(void)done;
	peal_sim_crash(to_crash, PEAL_FOREVER);
}

static void on_never(struct peal_ring *where,
		     const struct peal_completion *done)
{
	(void)where;
	(void)done;
	after_crash++;
}

BARE_TEST(no_handler_runs_after_one_that_crashed_its_node)
{
	struct peal_ring *own;

	open_world(1);
	to_crash = peal_sim_node(world, "a");
	own = ring_on(to_crash);
	peal_nop(own, 0, on_crash, NULL);
	peal_nop(own, 0, on_never, NULL);
	peal_sleep(own, 0, 0, on_never, NULL);
	ck_result(peal_sim_run(world, 9 * PEAL_S), 0);
	ck_assert_uint_eq(after_crash, 0);
	close_ring(own);
	peal_sim_close(world);
}

BARE_TEST(ring_on_a_node_that_is_down_is_not_opened)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *own;

	open_world(1);
	options.sim_node = peal_sim_node(world, "a");
	peal_sim_crash(options.sim_node, PEAL_FOREVER);
	ck_result(peal_ring_open(&own, &options), -EHOSTDOWN);
	peal_sim_close(world);
}

/* --- exact schedules ----------------------------------------------------- */

BARE_TEST(nth_op_of_a_kind_fails_and_no_other)
{
	int64_t results[3];
	int fd, i;

	open_world(1);
	node = peal_sim_node(world, "a");
	ring = ring_on(node);
	ck_result(peal_sim_put_file(node, "/f", "data", 4), 0);
	fd = (int)finish(peal_open(ring, PEAL_CWD, "/f", O_RDWR, 0, 0, on_done,
				   NULL));
	ck_ok(fd);
	ck_result(peal_sim_fail(node, "write", 2, -EDQUOT), 0);
	for (i = 0; i < 3; i++)
		results[i] = write_at(fd, "new!", 4, 0);
	ck_result(results[0], 4);
	ck_result(results[1], -EDQUOT);
	ck_result(results[2], 4);
	ck_result(peal_sim_fail(node, "nothing", 1, -EIO), -EINVAL);
	ck_result(peal_sim_fail(node, "write", 1, 1), -EINVAL);
	close_ring(ring);
	ring = NULL;
	peal_sim_close(world);
}

BARE_TEST(crash_can_be_had_at_every_start_and_end_of_an_op)
{
	uint64_t could, nth;

	for (nth = 0, could = 1; nth <= could; nth++) {
		struct program program = { 0 };

		open_world(7);
		node = peal_sim_node(world, "a");
		peal_sim_put_file(node, "/f", "data", 4);
		peal_sim_program(node, boot, halt, &program);
		peal_open(program.ring, PEAL_CWD, "/f", O_RDONLY, 0, 0, NULL,
			  NULL);
		peal_sim_fault_at(node, PEAL_SIM_CRASH, nth);
		ck_result(peal_sim_run(world, PEAL_S + 10 * PEAL_MS), 0);
		if (nth == 0)
			peal_sim_faults(node, PEAL_SIM_CRASH, &could);
		ck_assert_uint_eq(peal_sim_faults(node, PEAL_SIM_CRASH, NULL),
				  nth != 0);
		peal_sim_close(world);
		ck_assert_uint_eq(program.boots, program.halts);
	}
	ck_assert_uint_ge(could, 2);
}

SUITE("sim_world")
