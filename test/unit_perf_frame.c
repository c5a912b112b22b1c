/* SPDX-License-Identifier: MIT */
/* peal-perf's frame: axes and cases, rows on sides that are made up, files of
 * results. */
#include "perf/bench.h"
#include "perf/records.h"
#include "test/harness.h"

static const struct axis axes[] = {
	{ "buffers", "plain,fixed", "plain,fixed,huge", NULL, 1, "" },
	{ "depth", "1,32", NULL, "1,2,4", 0, "" },
	{ "rings", "1", NULL, NULL, 0, "" },
};

#define AXES 3

static struct matrix matrix;

/* --- axes ------------------------------------------------------------------- */

BARE_TEST(numbers_take_k_m_and_g)
{
	uint64_t value = 7;

	ck_assert_int_eq(case_parse_number("4k", &value), 0);
	ck_assert_uint_eq(value, 4096);
	ck_assert_int_eq(case_parse_number("2G", &value), 0);
	ck_assert_uint_eq(value, UINT64_C(2) << 30);
	ck_assert_int_eq(case_parse_number("4kk", &value), -1);
	ck_assert_int_eq(case_parse_number("-4", &value), -1);
	ck_assert_int_eq(case_parse_number("", &value), -1);
	ck_assert_uint_eq(value, UINT64_C(2) << 30);
}

BARE_TEST(variants_of_the_same_work_follow_each_other)
{
	struct perf_case a, b, c;

	matrix_default(&matrix, axes, AXES, 0);
	ck_assert_uint_eq(matrix_size(&matrix), 4);
	ck_assert_uint_eq(matrix_variants(&matrix), 2);
	matrix_case(&matrix, 0, &a);
	matrix_case(&matrix, 1, &b);
	matrix_case(&matrix, 2, &c);
	ck_assert(case_is(&a, "buffers", "plain"));
	ck_assert(case_is(&b, "buffers", "fixed"));
	ck_assert(case_same_work(&a, &b, 0, NULL));
	ck_assert(!case_same_work(&a, &b, 1, NULL));
	ck_assert(!case_same_work(&b, &c, 0, NULL));
	ck_assert(!case_same_work(&b, &c, 0, "dept,depths"));
	ck_assert(case_same_work(&b, &c, 0, "block,depth"));
	ck_assert_uint_eq(case_number(&c, "depth"), 32);
}

BARE_TEST(sweep_takes_the_whole_list)
{
	matrix_default(&matrix, axes, AXES, 1);
	ck_assert_uint_eq(matrix.sizes[1], 3);
}

BARE_TEST(lists_are_checked_and_say_what_there_is)
{
	matrix_default(&matrix, axes, AXES, 0);
	ck_assert_ptr_null(matrix_set(&matrix, "buffers", "huge,plain,huge"));
	ck_assert_uint_eq(matrix.sizes[0], 2);
	ck_assert_ptr_null(matrix_set(&matrix, "buffers", "all"));
	ck_assert_uint_eq(matrix.sizes[0], 3);
	ck_assert_ptr_nonnull(strstr(matrix_set(&matrix, "buffers", "big"),
				     "plain,fixed,huge"));
	ck_assert_ptr_nonnull(matrix_set(&matrix, "depth", "1,,2"));
	ck_assert_ptr_nonnull(matrix_set(&matrix, "depth", ""));
	ck_assert_ptr_nonnull(matrix_set(&matrix, "depth", "many"));
}

/* --- measuring sides that are made up ------------------------------------------ */

static unsigned opened, closed, ran, stop_at;
static uint64_t done;

static const char *fake_open(void **out_state, const struct perf_case *at)
{
	if (case_is(at, "buffers", "huge"))
		return "no huge pages";
	opened++;
	*out_state = &done;
	return NULL;
}

static const char *fake_run(void *state, struct slice *slice)
{
	if (++ran == stop_at)
		measure_stop = 1;
	done += slice->ops;
	ck_assert_ptr_eq(state, &done);
	slice->wall_ns = 100.0 * (double)slice->ops;
	slice->cpu_ns = 50.0 * (double)slice->ops;
	return NULL;
}

static void fake_count(void *state, struct counters *out)
{
	ck_assert_ptr_eq(state, &done);
	memset(out, 0, sizeof *out);
	out->ops = (double)done;
}

static void fake_close(void *state)
{
	ck_assert_ptr_eq(state, &done);
	closed++;
}

static const char *broken_run(void *state, struct slice *slice)
{
	(void)state;
	return slice->prove ? NULL : "the disk is gone";
}

static const struct side fake = { .name = "fake", .open = fake_open,
	.run = fake_run, .count = fake_count, .close = fake_close };
static const struct side broken = { .name = "broken", .open = fake_open,
	.run = broken_run, .count = fake_count, .close = fake_close };
static const struct side absent = SIDE_ABSENT("absent", "libfoo");

static const char *wants_fixed(const struct perf_case *at,
			       const struct counters *is)
{
	return case_is(at, "buffers", "fixed") && is->fixed < 1
		       ? "no entry was fixed"
		       : NULL;
}

static struct row rows[4];

static void make_row(struct row *row, const struct side *side, unsigned index)
{
	matrix_default(&matrix, axes, AXES, 0);
	matrix_case(&matrix, index, &row->at);
	row->side = side;
}

static int measure(unsigned count)
{
	struct measure how = { .seconds = 0.001, .rounds = 5, .seed = 1,
			       .in_effect = wants_fixed };

	return measure_group(rows, count, &how);
}

BARE_TEST(row_has_a_sample_for_each_round)
{
	make_row(&rows[0], &fake, 0);
	ck_assert_int_eq(measure(1), 0);
	ck_assert_str_eq(rows[0].na, "");
	ck_assert_uint_eq(rows[0].rounds, 5);
	ck_assert(rows[0].samples[WALL_NS][4] == 100);
	ck_assert(rows[0].samples[CPU_NS][0] == 50);
	ck_assert_uint_eq(opened, 1);
	ck_assert_uint_eq(closed, 1);
	row_free(&rows[0]);
}

BARE_TEST(variant_that_is_not_in_effect_is_never_a_number)
{
	make_row(&rows[0], &fake, 1);
	measure(1);
	ck_assert_str_eq(rows[0].na, "no entry was fixed");
	ck_assert_uint_eq(ran, 1);
	ck_assert_uint_eq(rows[0].rounds, 0);
	row_free(&rows[0]);
}

BARE_TEST(sides_that_lack_or_fail_leave_the_others_alone)
{
	make_row(&rows[0], &absent, 0);
	make_row(&rows[1], &broken, 0);
	make_row(&rows[2], &fake, 0);
	ck_assert_int_eq(measure(3), 0);
	ck_assert_ptr_nonnull(strstr(rows[0].na, "libfoo was not installed"));
	ck_assert_str_eq(rows[1].na, "the disk is gone");
	ck_assert_uint_eq(rows[2].rounds, 5);
	ck_assert_uint_eq(opened, closed);
}

BARE_TEST(stopped_run_keeps_only_what_all_rows_have)
{
	unsigned before;

	make_row(&rows[0], &fake, 0);
	make_row(&rows[1], &fake, 0);
	measure(2);
	before = ran;
	row_free(&rows[0]);
	row_free(&rows[1]);
	make_row(&rows[0], &fake, 0);
	make_row(&rows[1], &fake, 0);
	/* In the last round but one, after the first of its two slices. */
	ran = 0;
	stop_at = before - 3;
	ck_assert_int_eq(measure(2), -1);
	ck_assert_uint_eq(rows[0].rounds, 3);
	ck_assert_uint_eq(rows[1].rounds, 3);
	ck_assert_str_eq(rows[0].na, "");
	row_free(&rows[0]);
	row_free(&rows[1]);
}

BARE_TEST(run_that_is_stopped_at_once_has_no_numbers)
{
	make_row(&rows[0], &fake, 0);
	make_row(&rows[1], &fake, 0);
	measure_stop = 1;
	ck_assert_int_eq(measure(2), -1);
	ck_assert_str_eq(rows[0].na, "stopped");
	ck_assert_uint_eq(opened, closed);
}

/* --- rings: a side in several threads ------------------------------------------ */

static _Atomic uint64_t parts, first_ops;

static const char *part_run(void *state, struct slice *slice)
{
	(void)state;
	if (parts++ < 3)
		first_ops += slice->ops;
	return NULL;
}

static const struct side part = { .name = "part", .open = fake_open,
	.run = part_run, .count = fake_count, .close = fake_close };

BARE_TEST(threads_share_the_operations_of_a_slice)
{
	struct measure how = { .seconds = 0.001, .rounds = 3, .seed = 1,
			       .rings_axis = 1 };

	make_row(&rows[0], &part, 0);
	strcpy(rows[0].at.value[2], "3");
	ck_assert_int_eq(measure_group(rows, 1, &how), 0);
	ck_assert_uint_eq(opened, 3);
	ck_assert_uint_eq(closed, 3);
	ck_assert_uint_eq(parts % 3, 0);
	ck_assert_uint_eq(first_ops, 512);	/* the slice that proves */
	row_free(&rows[0]);
}

/* --- files of results ------------------------------------------------------------ */

static struct records records;

static const char *load(const char *text)
{
	close(make_file("r.csv", text, strlen(text)));
	return records_load(&records, path_in_dir("r.csv"));
}

BARE_TEST(file_of_results_is_read_back)
{
	ck_assert_ptr_null(load("# kernel: 6\nworkload,side,depth,na,cpu_ns,"
				"cpu_samples\nfile,bare,32,\"\",5.5,"
				"\"5 5.5 6\"\nfile,peal,1,\"no \"\"x\"\", y\","
				",\"\"\n"));
	ck_assert_uint_eq(records.count, 2);
	ck_assert_uint_eq(records.axes, 1);
	ck_assert_str_eq(records.environment, "kernel: 6\n");
	ck_assert_str_eq(records_cell(&records, 1, "na"), "no \"x\", y");
	ck_assert(records_number(&records, 0, "cpu_ns") == 5.5);
	ck_assert(records_number(&records, 1, "cpu_ns") < 0);
	ck_assert_int_eq(records_find(&records, "bare depth=32"), 0);
	ck_assert_int_eq(records_find(&records, "bare depth=3"), -1);
	records_free(&records);
}

BARE_TEST(samples_are_read_as_far_as_there_is_room)
{
	double samples[2];

	ck_assert_ptr_null(load("workload,side,depth,na,cpu_samples\n"
				"file,bare,32,\"\",\"5 5.5 6\"\n"));
	ck_assert_uint_eq(records_samples(&records, 0, "cpu_samples", samples,
					  2), 2);
	ck_assert(samples[1] == 5.5);
	records_free(&records);
}

BARE_TEST(line_that_a_killed_run_left_half_is_ignored)
{
	ck_assert_ptr_null(load("workload,side,depth,na\nfile,bare,32,\"\"\n"
				"file,peal,3"));
	ck_assert_uint_eq(records.count, 1);
	records_free(&records);
}

BARE_TEST(file_of_something_else_is_refused)
{
	ck_assert_ptr_nonnull(load("a,b,c\n1,2,3\n"));
	records_free(&records);
	ck_assert_ptr_nonnull(load(""));
	records_free(&records);
	ck_assert_ptr_nonnull(load("workload,side,depth,na\nfile,bare\n"));
	records_free(&records);
	ck_assert_ptr_nonnull(records_load(&records, path_in_dir("none")));
	records_free(&records);
}

SUITE("perf_frame")
