/* SPDX-License-Identifier: MIT */
/* Direct descriptors of a simulated ring: what conform_direct.c cannot see. */
#include "test/sim_scene.h"

static int64_t open_slot(const char *path, int flags)
{
	return finish(peal_open(ring, PEAL_CWD, path, flags, 0644, PEAL_DIRECT,
				on_done, NULL));
}

BARE_TEST(slot_is_no_number_of_the_node)
{
	int64_t fd;

	begin(1);
	fd = open_slot("/f", O_RDWR | O_CREAT);
	ck_assert_int_eq(peal_fd_is_direct((peal_fd)fd), 1);
	ck_assert_uint_eq(peal_sim_fds(node), 0);
	ck_result(peal_sim_dup(node, (peal_fd)fd), -EBADF);
	ck_result(write_at((int)fd, "data", 4, 0), 4);
	ck_assert_int_eq(byte_at("/f", 3), 'a');
	end();
}

/* A number is looked for first, a slot last: as the kernel does it. */
BARE_TEST(open_without_a_place_makes_a_file_only_for_a_slot)
{
	int i;

	begin(1);
	peal_sim_fd_limit(node, 1);
	open_file("/f", O_RDWR | O_CREAT);
	ck_result(finish(peal_open(ring, PEAL_CWD, "/number",
				   O_RDWR | O_CREAT, 0644, 0, on_done, NULL)),
		  -EMFILE);
	ck_assert(!exists("/number"));
	for (i = 0; i < 8; i++)
		ck_ok(open_slot("/f", O_RDWR));
	ck_result(open_slot("/slot", O_RDWR | O_CREAT), -ENFILE);
	ck_assert(exists("/slot"));
	end();
}

BARE_TEST(fault_of_a_slot_is_a_full_table)
{
	begin(1);
	peal_sim_fault_at(node, PEAL_SIM_EMFILE, 2);
	ck_ok(open_slot("/f", O_RDWR | O_CREAT));
	ck_result(open_slot("/f", O_RDWR), -ENFILE);
	ck_ok(open_slot("/f", O_RDWR));
	end();
}

BARE_TEST(path_does_not_begin_at_a_slot)
{
	struct peal_stat stat;
	int64_t dir;

	begin(1);
	dir = open_slot("/", O_RDONLY | O_DIRECTORY);
	ck_ok(dir);
	ck_result(finish(peal_mkdir(ring, (int)dir, "d", 0755, 0, on_done,
				    NULL)), -EBADF);
	ck_result(finish(peal_stat(ring, (int)dir, "", PEAL_STAT_EMPTY_PATH,
				   PEAL_STAT_BASIC, &stat, 0, on_done, NULL)),
		  -EBADF);
	end();
}

/* --- crashes ------------------------------------------------------------- */

static int64_t recv_now(struct peal_ring *where, int fd)
{
	struct peal_ring *own = change_ring(where);
	int64_t rc;
	char byte;

	rc = finish(peal_recv(where, fd, &byte, 1, MSG_DONTWAIT, 0, on_done,
			      NULL));
	change_ring(own);
	return rc;
}

BARE_TEST(crash_empties_the_table_and_tells_no_peer)
{
	struct peal_ring *client;
	char byte;
	peal_fd slot;
	int fd;

	begin(1);
	client = ring_on(peal_sim_node(world, "b"));
	fd = connect_from(client, PEAL_DIRECT, &slot);
	ck_assert_int_eq(peal_fd_is_direct(slot), 1);
	/* An op keeps the file of a slot that is closed. */
	ck_ok(peal_recv(ring, slot, &byte, 1, 0, 0, on_done, NULL));
	settle();
	ck_result(finish(peal_close(ring, slot, 0, on_done, NULL)), 0);
	crash();
	peal_sim_run(world, peal_sim_now(world) + 10 * PEAL_S);
	ck_result(recv_now(client, fd), -EAGAIN);
	close_ring(client);
	end();
}

BARE_TEST(numbers_of_slots_are_the_worlds)
{
	int64_t fds[2];
	uint64_t hashes[2];
	int i;

	for (i = 0; i < 2; i++) {
		begin(1);
		fds[i] = open_slot("/f", O_RDWR | O_CREAT);
		ck_result(finish(peal_close(ring, (int)fds[i], 0, on_done,
					    NULL)), 0);
		hashes[i] = peal_sim_hash(world);
		end();
	}
	ck_assert_int_eq(fds[0], fds[1]);
	ck_assert_uint_eq(hashes[0], hashes[1]);
}

SUITE("sim_direct")
