/* SPDX-License-Identifier: MIT */
/*
 * How long things take in the simulated machine: each shape has the quantiles
 * that it was set to, each part its own, and one seed gives one row of times in
 * every build.
 */
#include "test/sim_scene.h"

#define TIMES	4000u

static uint64_t times[TIMES];
static unsigned count;
static uint64_t started_ns;

/* From the start of an op to its end; a segment's way. */
static void on_event(void *ctx, const struct peal_sim_event *event)
{
	const char *end = ctx;

	if (!strcmp(event->what, "start") && strcmp(event->op, "recv"))
		started_ns = event->now_ns;
	else if (!strcmp(event->what, end) && count < TIMES)
		times[count++] = event->now_ns - started_ns;
}

/* Its times are those that end by such an event. */
static void begin_timed(uint64_t seed, const char *end)
{
	struct peal_sim_options options = PEAL_SIM_OPTIONS;

	options.trace = on_event;
	options.trace_ctx = (void *)(uintptr_t)end;
	forget_outcomes();
	ck_result(peal_sim_open(&world, seed, &options), 0);
	node = peal_sim_node(world, "a");
	ring = ring_on(node);
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

/* The time that so many of a thousand are not above. */
static uint64_t quantile(unsigned of_thousand)
{
	return times[(uint64_t)(TIMES - 1) * of_thousand / 1000];
}

static uint64_t hash_of_times(void)
{
	uint64_t hash = 0;
	unsigned i;

	for (i = 0; i < TIMES; i++)
		hash = (hash ^ times[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return hash;
}

/* So many reads, one after another; their times, then sorted. The hash is of
 * their order. */
static uint64_t read_times(uint64_t seed, const struct peal_sim_times *shape)
{
	uint64_t hash;
	char byte;
	int fd;

	begin_timed(seed, "done");
	peal_sim_put_file(node, "/f", "x", 1);
	fd = open_file("/f", O_RDWR);
	ck_result(peal_sim_latency_as(node, PEAL_SIM_DISK, shape), 0);
	count = 0;
	while (count < TIMES) {
		ck_result(read_at(fd, &byte, 1, 0), 1);
		forget_outcomes();
	}
	end();
	hash = hash_of_times();
	qsort(times, TIMES, sizeof(*times), compare);
	return hash;
}

static void is_about(uint64_t value, uint64_t wanted, unsigned percent)
{
	ck_assert_uint_ge(value, wanted - wanted * percent / 100);
	ck_assert_uint_le(value, wanted + wanted * percent / 100);
}

static const struct peal_sim_times constant = {
	.size = sizeof(constant), .shape = PEAL_SIM_CONSTANT,
	.least_ns = 70 * PEAL_US };
static const struct peal_sim_times uniform = {
	.size = sizeof(uniform), .shape = PEAL_SIM_UNIFORM,
	.least_ns = 100 * PEAL_US, .most_ns = 300 * PEAL_US };
static const struct peal_sim_times exponential = {
	.size = sizeof(exponential), .shape = PEAL_SIM_EXPONENTIAL,
	.least_ns = 20 * PEAL_US, .median_ns = 120 * PEAL_US };
static const struct peal_sim_times log_normal = {
	.size = sizeof(log_normal), .shape = PEAL_SIM_LOG_NORMAL,
	.median_ns = 100 * PEAL_US, .p99_ns = 10 * PEAL_MS };
static const struct peal_sim_times two_point = {
	.size = sizeof(two_point), .shape = PEAL_SIM_TWO_POINT,
	.least_ns = 80 * PEAL_US, .most_ns = 20 * PEAL_MS,
	.slow_per_million = 50000 };
static const struct peal_sim_times few_long = {
	.size = sizeof(few_long), .shape = PEAL_SIM_FEW_LONG,
	.least_ns = 100 * PEAL_US, .most_ns = 1100 * PEAL_US };

/* --- shapes -------------------------------------------------------------- */

BARE_TEST(constant_time_is_always_the_same)
{
	read_times(1, &constant);
	ck_assert_uint_eq(times[0], 70 * PEAL_US);
	ck_assert_uint_eq(times[TIMES - 1], 70 * PEAL_US);
}

BARE_TEST(uniform_times_are_spread_evenly)
{
	read_times(1, &uniform);
	ck_assert_uint_ge(times[0], 100 * PEAL_US);
	ck_assert_uint_le(times[TIMES - 1], 300 * PEAL_US);
	is_about(quantile(100), 120 * PEAL_US, 4);
	is_about(quantile(500), 200 * PEAL_US, 4);
	is_about(quantile(900), 280 * PEAL_US, 4);
}

/* Half of what is left is over after each 100 us. */
BARE_TEST(exponential_times_halve_in_equal_steps)
{
	read_times(1, &exponential);
	ck_assert_uint_ge(times[0], 20 * PEAL_US);
	is_about(quantile(500), 120 * PEAL_US, 5);
	is_about(quantile(750), 220 * PEAL_US, 5);
	is_about(quantile(875), 320 * PEAL_US, 5);
	is_about(quantile(990), 684 * PEAL_US, 15);
	ck_assert_uint_gt(times[TIMES - 1], 900 * PEAL_US);
}

/* 1, 16, 84 and 99 % are a normal variable's: 2.326 and 0.994 deviations. */
BARE_TEST(log_normal_times_have_their_median_and_p99)
{
	read_times(1, &log_normal);
	is_about(quantile(10), PEAL_US, 25);
	is_about(quantile(160), 14 * PEAL_US, 12);
	is_about(quantile(500), 100 * PEAL_US, 8);
	is_about(quantile(840), 716 * PEAL_US, 12);
	is_about(quantile(990), 10 * PEAL_MS, 25);
	ck_assert_uint_gt(times[TIMES - 1], 30 * PEAL_MS);
}

BARE_TEST(two_point_times_are_fast_or_slow)
{
	unsigned slow = 0, i;

	read_times(1, &two_point);
	for (i = 0; i < TIMES; i++) {
		if (times[i] == 20 * PEAL_MS)
			slow++;
		else
			ck_assert_uint_eq(times[i], 80 * PEAL_US);
	}
	is_about(slow, TIMES / 20, 20);
}

/* An eighth of the way is the cube of a half. */
BARE_TEST(few_long_times_are_a_cube)
{
	read_times(1, &few_long);
	ck_assert_uint_ge(times[0], 100 * PEAL_US);
	ck_assert_uint_le(times[TIMES - 1], 1100 * PEAL_US);
	is_about(quantile(500), 225 * PEAL_US, 6);
	is_about(quantile(900), 829 * PEAL_US, 6);
}

BARE_TEST(no_time_is_outside_of_its_least_and_most)
{
	struct peal_sim_times cut = log_normal;

	cut.least_ns = 90 * PEAL_US;
	cut.most_ns = 110 * PEAL_US;
	read_times(1, &cut);
	ck_assert_uint_eq(quantile(100), 90 * PEAL_US);
	is_about(quantile(500), 100 * PEAL_US, 5);
	ck_assert_uint_eq(quantile(900), 110 * PEAL_US);
	cut = exponential;
	cut.most_ns = 130 * PEAL_US;
	read_times(1, &cut);
	ck_assert_uint_eq(quantile(900), 130 * PEAL_US);
}

/* No power of 2, and more than 32 bits have: 8 s. */
BARE_TEST(times_of_seconds_reach_their_most)
{
	struct peal_sim_times wide = uniform;

	wide.least_ns = PEAL_S;
	wide.most_ns = 9 * PEAL_S;
	read_times(1, &wide);
	is_about(quantile(100), PEAL_S + PEAL_S * 4 / 5, 5);
	is_about(quantile(500), 5 * PEAL_S, 4);
	is_about(times[TIMES - 1], 9 * PEAL_S, 1);
	wide.shape = PEAL_SIM_FEW_LONG;
	read_times(1, &wide);
	is_about(quantile(500), 2 * PEAL_S, 6);
	is_about(times[TIMES - 1], 9 * PEAL_S, 1);
}

BARE_TEST(time_without_end_is_a_hundred_days)
{
	const uint64_t day = 24 * 3600 * PEAL_S;
	char byte;
	int fd;

	begin_timed(1, "done");
	peal_sim_put_file(node, "/f", "x", 1);
	fd = open_file("/f", O_RDWR);
	peal_sim_latency(node, PEAL_SIM_DISK, PEAL_FOREVER, 0);
	count = 0;
	ck_ok(peal_read(ring, fd, &byte, 1, 0, 0, on_done, NULL));
	ck_result(peal_sim_run(world, peal_sim_now(world) + 99 * day), 0);
	ck_assert_uint_eq(count, 0);
	ck_result(peal_sim_run(world, peal_sim_now(world) + 2 * day), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(times[0], 100 * day);
	end();
}

/* Whole numbers only: a compiler, its options and a library change nothing. */
BARE_TEST(one_seed_has_the_same_times_in_every_build)
{
	static const struct {
		const struct peal_sim_times *shape;
		uint64_t golden;
	} shapes[] = {
		{ &uniform, UINT64_C(0xddd1dc75d2902797) },
		{ &exponential, UINT64_C(0x3e451ea194c7d266) },
		{ &log_normal, UINT64_C(0x554d8ee6623c9024) },
		{ &two_point, UINT64_C(0xe110f642e6e82380) },
		{ &few_long, UINT64_C(0x975f0eb6e71886f4) },
	};
	unsigned i;

	for (i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		uint64_t hash = read_times(7, shapes[i].shape);

		ck_assert_msg(hash == shapes[i].golden,
			      "shape %u went another way: %#llx",
			      shapes[i].shape->shape,
			      (unsigned long long)hash);
		ck_assert_uint_ne(read_times(8, shapes[i].shape), hash);
	}
}

/* As before there were shapes: peal_sim_latency() is the cube. */
BARE_TEST(least_and_most_alone_are_few_long_ones)
{
	uint64_t hash;
	char byte;
	int fd;

	begin_timed(7, "done");
	peal_sim_put_file(node, "/f", "x", 1);
	fd = open_file("/f", O_RDWR);
	peal_sim_latency(node, PEAL_SIM_DISK, few_long.least_ns,
			 few_long.most_ns);
	count = 0;
	while (count < TIMES) {
		ck_result(read_at(fd, &byte, 1, 0), 1);
		forget_outcomes();
	}
	end();
	hash = hash_of_times();
	ck_assert_uint_eq(read_times(7, &few_long), hash);
}

/* --- parts --------------------------------------------------------------- */

static uint64_t time_of(peal_op op)
{
	count = 0;
	ck_ok(finish(op));
	ck_assert_uint_eq(count, 1);
	return times[0];
}

static void set_constant(enum peal_sim_part part, uint64_t ns)
{
	struct peal_sim_times fixed = constant;

	fixed.least_ns = ns;
	ck_result(peal_sim_latency_as(node, part, &fixed), 0);
}

BARE_TEST(reads_writes_and_syncs_have_times_of_their_own)
{
	struct iovec part;
	char byte = 'x';
	int fd, synced;

	begin_timed(1, "done");
	fd = open_file("/f", O_RDWR | O_CREAT);
	synced = open_file("/f", O_RDWR | O_DSYNC);
	part = (struct iovec){ &byte, 1 };
	set_constant(PEAL_SIM_DISK, 1000);
	set_constant(PEAL_SIM_DISK_READ, 2000);
	set_constant(PEAL_SIM_DISK_WRITE, 3000);
	set_constant(PEAL_SIM_DISK_SYNC, 4000);
	ck_assert_uint_eq(time_of(peal_write(ring, fd, &byte, 1, 0, 0,
					     on_done, NULL)), 3000);
	ck_assert_uint_eq(time_of(peal_writev(ring, fd, &part, 1, 0, 0, 0,
					      on_done, NULL)), 3000);
	ck_assert_uint_eq(time_of(peal_write(ring, synced, &byte, 1, 0, 0,
					     on_done, NULL)), 4000);
	ck_assert_uint_eq(time_of(peal_read(ring, fd, &byte, 1, 0, 0, on_done,
					    NULL)), 2000);
	ck_assert_uint_eq(time_of(peal_readv(ring, fd, &part, 1, 0, 0, 0,
					     on_done, NULL)), 2000);
	ck_assert_uint_eq(time_of(peal_sync(ring, fd, 0, on_done, NULL)),
			  4000);
	ck_assert_uint_eq(time_of(peal_truncate(ring, fd, 0, 0, on_done,
						NULL)), 1000);
	set_constant(PEAL_SIM_DISK, 5000);
	ck_assert_uint_eq(time_of(peal_read(ring, fd, &byte, 1, 0, 0, on_done,
					    NULL)), 5000);
	end();
}

/* Of segments from this node to another one. */
BARE_TEST(network_has_shapes_too)
{
	struct peal_ring *own, *other;
	unsigned slow = 0, i;
	peal_fd accepted;
	char byte;
	int fd;

	begin_timed(1, "arrived");
	other = ring_on(peal_sim_node(world, "b"));
	fd = connect_from(other, 0, &accepted);
	ck_result(peal_sim_latency_as(node, PEAL_SIM_NET, &two_point), 0);
	count = 0;
	while (count < TIMES) {
		ck_result(send_from(accepted, "x", 1), 1);
		own = change_ring(other);
		ck_result(recv_into(fd, &byte, 1), 1);
		change_ring(own);
	}
	close_ring(other);
	end();
	for (i = 0; i < TIMES; i++)
		slow += times[i] == 20 * PEAL_MS;
	is_about(slow, TIMES / 20, 20);
}

/* --- what is refused ----------------------------------------------------- */

static void check_refused(const struct peal_sim_times *shape)
{
	ck_result(peal_sim_latency_as(node, PEAL_SIM_DISK, shape), -EINVAL);
}

BARE_TEST(times_that_contradict_each_other_are_einval)
{
	struct peal_sim_times shape;

	begin(1);
	shape = uniform;
	shape.size = 0;
	check_refused(&shape);
	shape.size = sizeof(shape) + 1;
	check_refused(&shape);
	shape = uniform;
	shape.shape = PEAL_SIM_SHAPES;
	check_refused(&shape);
	shape = uniform;
	shape.flags = 1;
	check_refused(&shape);
	shape = uniform;
	shape.least_ns = shape.most_ns + 1;
	check_refused(&shape);
	shape = constant;
	shape.least_ns = 101 * 24 * 3600 * PEAL_S;
	check_refused(&shape);
	shape = exponential;
	shape.median_ns = shape.least_ns - 1;
	check_refused(&shape);
	shape = log_normal;
	shape.median_ns = 0;
	check_refused(&shape);
	shape = log_normal;
	shape.p99_ns = shape.median_ns - 1;
	check_refused(&shape);
	shape = log_normal;
	shape.most_ns = shape.median_ns - 1;
	check_refused(&shape);
	shape = two_point;
	shape.slow_per_million = PEAL_SIM_MILLION + 1;
	check_refused(&shape);
	ck_result(peal_sim_latency_as(node, PEAL_SIM_DISK, &two_point), 0);
	end();
}

SUITE("sim_latency")
