/* SPDX-License-Identifier: MIT */
/* What a simulated disk keeps, and what goes wrong on it. */
#include "test/sim_scene.h"

#define SEEDS 60

static int64_t rename_file(const char *from, const char *to)
{
	return finish(peal_rename(ring, PEAL_CWD, from, PEAL_CWD, to, 0, 0,
				  on_done, NULL));
}

static char page[8192];

static void fill(char c)
{
	memset(page, c, sizeof(page));
}

/* --- crashes ------------------------------------------------------------- */

BARE_TEST(crash_keeps_what_was_synced)
{
	uint64_t seed;
	int fd, i;

	for (seed = 1; seed <= SEEDS; seed++) {
		begin(seed);
		fill('o');
		ck_result(peal_sim_put_file(node, "/f", page, 8192), 0);
		fd = open_file("/f", O_RDWR);
		fill('n');
		ck_result(write_at(fd, page, 8192, 0), 8192);
		ck_assert_uint_eq(peal_sim_unsynced(node, "/f"), 8192);
		ck_result(sync_file(fd), 0);
		ck_assert_uint_eq(peal_sim_unsynced(node, "/f"), 0);
		crash();
		for (i = 0; i < 8192; i += 512)
			ck_assert_int_eq(byte_at("/f", (uint64_t)i), 'n');
		end();
	}
}

/* Of each sector a beginning is new and the rest is old. */
BARE_TEST(crash_keeps_loses_or_tears_each_sector_that_was_not_synced)
{
	unsigned kept = 0, lost = 0, torn = 0, mixed = 0;
	uint64_t seed;

	for (seed = 1; seed <= SEEDS; seed++) {
		unsigned kept_here = 0, i, at;
		int fd;

		begin(seed);
		fill('o');
		peal_sim_put_file(node, "/f", page, 8192);
		fd = open_file("/f", O_RDWR);
		fill('n');
		write_at(fd, page, 8192, 0);
		crash();
		ck_result(peal_sim_get_file(node, "/f", page, 8192, 0), 8192);
		for (i = 0; i < 16; i++) {
			const char *sector = page + 512 * i;

			for (at = 0; at < 512 && sector[at] == 'n'; at++)
				;
			kept += at == 512;
			kept_here += at == 512;
			lost += at == 0;
			torn += at > 0 && at < 512;
			for (; at < 512; at++)
				ck_assert_int_eq(sector[at], 'o');
		}
		mixed += kept_here > 0 && kept_here < 16;
		end();
	}
	ck_assert_uint_gt(kept, SEEDS);
	ck_assert_uint_gt(lost, SEEDS);
	ck_assert_uint_gt(torn, SEEDS);
	ck_assert_uint_gt(mixed, SEEDS / 2);
}

BARE_TEST(new_file_is_there_after_a_crash_when_its_directory_was_synced)
{
	unsigned there = 0;
	uint64_t seed;
	int fd, dir_fd, synced;

	for (synced = 0; synced < 2; synced++) {
		there = 0;
		for (seed = 1; seed <= SEEDS; seed++) {
			begin(seed);
			fd = open_file("/f", O_RDWR | O_CREAT);
			write_at(fd, "data", 4, 0);
			ck_result(sync_file(fd), 0);
			dir_fd = open_file("/", O_RDONLY | O_DIRECTORY);
			if (synced)
				ck_result(sync_file(dir_fd), 0);
			crash();
			there += (unsigned)exists("/f");
			if (exists("/f"))
				ck_assert_int_eq(byte_at("/f", 3), 'a');
			end();
		}
		ck_assert_uint_gt(there, 0);
		if (synced)
			ck_assert_uint_eq(there, SEEDS);
		else
			ck_assert_uint_lt(there, SEEDS);
	}
}

BARE_TEST(rename_that_was_not_synced_has_happened_whole_or_not_at_all)
{
	unsigned happened = 0;
	uint64_t seed;

	for (seed = 1; seed <= SEEDS; seed++) {
		begin(seed);
		peal_sim_put_file(node, "/old", "1", 1);
		peal_sim_put_file(node, "/new", "2", 1);
		ck_result(rename_file("/new", "/old"), 0);
		ck_assert_int_eq(byte_at("/old", 0), '2');
		crash();
		ck_assert(exists("/old"));
		ck_assert_int_eq(exists("/new"), byte_at("/old", 0) == '1');
		happened += byte_at("/old", 0) == '2';
		end();
	}
	ck_assert_uint_gt(happened, 0);
	ck_assert_uint_lt(happened, SEEDS);
}

BARE_TEST(sync_of_one_directory_leaves_changes_of_another_open)
{
	unsigned there = 0;
	uint64_t seed;

	for (seed = 1; seed <= SEEDS; seed++) {
		begin(seed);
		peal_sim_make_dir(node, "/a");
		peal_sim_make_dir(node, "/b");
		open_file("/a/f", O_RDWR | O_CREAT);
		open_file("/b/f", O_RDWR | O_CREAT);
		sync_file(open_file("/b", O_RDONLY | O_DIRECTORY));
		crash();
		ck_assert(exists("/b/f"));
		there += (unsigned)exists("/a/f");
		end();
	}
	ck_assert_uint_lt(there, SEEDS);
}

BARE_TEST(unlinked_file_comes_back_with_its_data_when_that_was_not_synced)
{
	unsigned back = 0;
	uint64_t seed;

	for (seed = 1; seed <= SEEDS; seed++) {
		begin(seed);
		peal_sim_put_file(node, "/f", "data", 4);
		ck_result(finish(peal_unlink(ring, PEAL_CWD, "/f", 0, 0,
					     on_done, NULL)), 0);
		ck_assert(!exists("/f"));
		crash();
		if (exists("/f"))
			ck_assert_int_eq(byte_at("/f", 0), 'd');
		back += (unsigned)exists("/f");
		end();
	}
	ck_assert_uint_gt(back, 0);
}

/* --- faults -------------------------------------------------------------- */

BARE_TEST(failed_sync_drops_what_it_was_to_write_and_the_next_succeeds)
{
	int fd;

	begin(1);
	peal_sim_put_file(node, "/f", "old", 3);
	fd = open_file("/f", O_RDWR);
	ck_result(write_at(fd, "new", 3, 0), 3);
	peal_sim_fault_at(node, PEAL_SIM_SYNC_EIO, 1);
	ck_result(sync_file(fd), -EIO);
	ck_result(sync_file(fd), 0);
	ck_assert_int_eq(byte_at("/f", 0), 'n');
	crash();
	ck_assert_int_eq(byte_at("/f", 0), 'o');
	end();
}

static void reopen_with_bounces(void)
{
	struct peal_ring_options options = harness_options();

	close_ring(ring);
	options.sim_node = node;
	options.max_ops = 256;
	options.bounce_bytes = 1 << 20;
	ring = open_ring(&options);
}

static uint64_t bounced_reads(void)
{
	struct peal_stats stats = { .size = sizeof(stats) };
	uint64_t sum = 0;
	unsigned i;

	peal_ring_stats(ring, &stats);
	for (i = 0; i < PEAL_STATS_OPS; i++)
		sum += stats.bounced_by_op[i];
	return sum;
}

/* The ring's own memory is given back, too: the harness counts it. */
BARE_TEST(buffers_of_reads_that_bounced_come_back_from_a_crash)
{
	char *bufs[2];
	unsigned i;
	int fd;

	begin(1);
	reopen_with_bounces();
	ck_result(peal_sim_put_file(node, "/f", page, sizeof(page)), 0);
	fd = open_file("/f", O_RDONLY | O_DIRECT);
	for (i = 0; i < 2; i++) {
		bufs[i] = malloc(4096);
		ck_assert_int_gt((i ? peal_read_full : peal_read)(
					 ring, fd, bufs[i] + 8, 4000, 8,
					 PEAL_BOUNCE, on_done, NULL), 0);
	}
	ck_assert_uint_eq(bounced_reads(), 2);
	crash();
	for (i = 0; i < 2; i++) {
		memset(bufs[i], 1, 4096);
		free(bufs[i]);
	}
	end();
}

BARE_TEST(lost_write_is_gone_after_a_crash_though_it_was_synced)
{
	int fd;

	begin(1);
	peal_sim_put_file(node, "/f", "old", 3);
	fd = open_file("/f", O_RDWR);
	peal_sim_fault_at(node, PEAL_SIM_WRITE_LOST, 1);
	ck_result(write_at(fd, "new", 3, 0), 3);
	ck_result(sync_file(fd), 0);
	crash();
	ck_assert_int_eq(byte_at("/f", 0), 'o');
	end();
}

BARE_TEST(misdirected_write_lands_elsewhere_in_the_file)
{
	unsigned found = 0, i;
	int fd;

	begin(3);
	fill('o');
	peal_sim_put_file(node, "/f", page, 8192);
	fd = open_file("/f", O_RDWR);
	peal_sim_fault_at(node, PEAL_SIM_WRITE_MISDIRECTED, 1);
	fill('n');
	ck_result(write_at(fd, page, 512, 0), 512);
	peal_sim_get_file(node, "/f", page, 8192, 0);
	for (i = 0; i < 16; i++)
		found += page[512 * i] == 'n';
	ck_assert_uint_eq(found, 1);
	ck_assert_int_eq(page[0], 'o');
	end();
}

BARE_TEST(bit_rot_flips_one_bit_for_good)
{
	unsigned bits = 0, at;
	char back[512];
	int fd;

	begin(1);
	memset(page, 0, sizeof(page));
	peal_sim_put_file(node, "/f", page, 512);
	fd = open_file("/f", O_RDONLY);
	peal_sim_fault_at(node, PEAL_SIM_BIT_ROT, 1);
	ck_result(read_at(fd, back, 512, 0), 512);
	for (at = 0; at < 512; at++)
		bits += (unsigned)__builtin_popcount((unsigned char)back[at]);
	ck_assert_uint_eq(bits, 1);
	ck_result(read_at(fd, page, 512, 0), 512);
	ck_assert_mem_eq(page, back, 512);
	end();
}

BARE_TEST(short_transfers_are_repaired_by_full_ones)
{
	int fd;

	begin(1);
	fd = open_file("/f", O_RDWR | O_CREAT);
	peal_sim_fault(world, NULL, PEAL_SIM_SHORT, 900000);
	peal_sim_fault(world, NULL, PEAL_SIM_EINTR, 100000);
	peal_sim_fault(world, NULL, PEAL_SIM_EAGAIN, 100000);
	fill_pattern(page, 8192, 5);
	ck_result(finish(peal_write_full(ring, fd, page, 8192, 0, 0, on_done,
					 NULL)), 8192);
	ck_assert_uint_gt(peal_sim_faults(node, PEAL_SIM_SHORT, NULL), 0);
	peal_sim_get_file(node, "/f", page, 8192, 0);
	ck_assert(has_pattern(page, 8192, 5));
	end();
}

BARE_TEST(full_disk_is_enospc_and_room_comes_back)
{
	int fd;

	begin(1);
	peal_sim_disk(node, 16384, 0);
	fd = open_file("/f", O_RDWR | O_CREAT);
	ck_result(write_at(fd, page, 8192, 0), 8192);
	ck_result(write_at(fd, page, 8192, 8192), 8192);
	ck_result(write_at(fd, page, 8192, 16384), -ENOSPC);
	ck_result(finish(peal_truncate(ring, fd, 0, 0, on_done, NULL)), 0);
	ck_result(write_at(fd, page, 8192, 16384), 8192);
	end();
}

BARE_TEST(each_error_can_be_had_at_the_nth_chance)
{
	static const struct {
		enum peal_sim_fault_kind kind;
		int error;
	} faults[] = {
		{ PEAL_SIM_EINTR, -EINTR }, { PEAL_SIM_EAGAIN, -EAGAIN },
		{ PEAL_SIM_ENOMEM, -ENOMEM }, { PEAL_SIM_ENOSPC, -ENOSPC },
		{ PEAL_SIM_WRITE_EIO, -EIO },
	};
	unsigned at;
	int fd;

	begin(1);
	fd = open_file("/f", O_RDWR | O_CREAT);
	for (at = 0; at < sizeof(faults) / sizeof(*faults); at++) {
		peal_sim_fault_at(node, faults[at].kind, 2);
		ck_result(write_at(fd, "data", 4, 0), 4);
		ck_result(write_at(fd, "data", 4, 0), faults[at].error);
		ck_result(write_at(fd, "data", 4, 0), 4);
	}
	peal_sim_fault_at(node, PEAL_SIM_READ_EIO, 1);
	ck_result(read_at(fd, page, 4, 0), -EIO);
	peal_sim_fault_at(node, PEAL_SIM_EMFILE, 1);
	ck_result(finish(peal_open(ring, PEAL_CWD, "/f", O_RDONLY, 0, 0,
				   on_done, NULL)), -EMFILE);
	end();
}

BARE_TEST(stuck_op_takes_seconds_and_meets_its_deadline)
{
	peal_op op;
	int fd;

	begin(1);
	fd = open_file("/f", O_RDWR | O_CREAT);
	peal_sim_fault_at(node, PEAL_SIM_STUCK, 1);
	op = peal_write(ring, fd, "data", 4, 0, 0, on_done, NULL);
	peal_deadline(ring, op, 10 * PEAL_MS, PEAL_EARLY);
	UNTIL(outcome(op)->calls == 1);
	ck_result(outcome(op)->result, -ETIMEDOUT);
	ck_assert(!finished(op) || outcome(op)->flags & PEAL_TIMED_OUT);
	while (!finished(op))
		ck_ok(peal_ring_turn(ring, PEAL_S));
	ck_assert_uint_lt(peal_sim_now(world), 40 * PEAL_S);
	end();
}

BARE_TEST(completion_queue_that_counts_as_full_loses_nothing)
{
	peal_op ops[32];
	int fd, i;

	begin(1);
	fd = open_file("/f", O_RDWR | O_CREAT);
	peal_sim_fault(world, NULL, PEAL_SIM_CQ_FULL, 500000);
	peal_sim_fault(world, NULL, PEAL_SIM_LATE, 500000);
	for (i = 0; i < 32; i++)
		ops[i] = peal_write(ring, fd, "x", 1, (uint64_t)i, 0, on_done,
				    NULL);
	for (i = 0; i < 32; i++)
		ck_result(finish(ops[i]), 1);
	ck_assert_uint_gt(peal_sim_faults(node, PEAL_SIM_CQ_FULL, NULL), 0);
	end();
}

BARE_TEST(cancel_comes_before_with_or_after_the_end)
{
	unsigned cancelled = 0, won = 0, too_late = 0;
	uint64_t seed;

	for (seed = 1; seed <= SEEDS; seed++) {
		peal_op op, asked;
		int fd;

		begin(seed);
		fd = open_file("/f", O_RDWR | O_CREAT);
		op = peal_write(ring, fd, "data", 4, 0, 0, on_done, NULL);
		peal_ring_turn(ring, seed % 4 * 30 * PEAL_US);
		asked = peal_cancel(ring, op, 0, on_done, NULL);
		finish(op);
		if (asked > 0)
			too_late += finish(asked) == -EALREADY;
		cancelled += outcome(op)->result == -ECANCELED;
		won += outcome(op)->result == 4;
		ck_assert(exists("/f"));
		ck_assert_int_eq(byte_at("/f", 0) == 'd',
				 outcome(op)->result == 4);
		end();
	}
	ck_assert_uint_gt(cancelled, 0);
	ck_assert_uint_gt(won, 0);
	ck_assert_uint_gt(too_late, 0);
	ck_assert_uint_eq(cancelled + won, SEEDS);
}

/* As Linux from 6.4 on. */
BARE_TEST(directory_is_not_made_by_opening_it)
{
	begin(1);
	ck_result(finish(peal_open(ring, PEAL_CWD, "/d", O_CREAT | O_DIRECTORY,
				   0600, 0, on_done, NULL)), -EINVAL);
	ck_assert(!exists("/d"));
	end();
}

SUITE("sim_disk")
