/* SPDX-License-Identifier: MIT */
/* What happens to ops on a simulated ring: late ends, cancels, multishot. */
#include "test/sim_scene.h"

static int open_it(void)
{
	return open_file("/f", O_RDWR | O_CREAT);
}

static void end_clean(void)
{
	ck_assert_uint_eq(peal_sim_fds(node), 0);
	end();
}

BARE_TEST(ops_end_in_another_order_than_they_began)
{
	unsigned turned = 0, at;
	peal_op ops[64];
	int fd;

	begin(1);
	fd = open_it();
	for (at = 0; at < 64; at++)
		ops[at] = peal_write(ring, fd, "x", 1, at, 0, on_done, NULL);
	for (at = 0; at < 64; at++)
		ck_result(finish(ops[at]), 1);
	for (at = 1; at < 64; at++)
		turned += outcome(ops[at])->order < outcome(ops[at - 1])->order;
	ck_assert_uint_gt(turned, 10);
	peal_sim_close_fd(node, fd);
	end_clean();
}

/* An effect comes at one end of an op's time: a buffer that is used again
 * before its end is sometimes found out, one that is not never. */
BARE_TEST(write_takes_its_buffer_at_its_start_or_at_its_end)
{
	unsigned first = 0, second = 0, at;
	int fd;

	begin(1);
	fd = open_it();
	for (at = 0; at < 64; at++) {
		char buf = '1', back;
		peal_op op = peal_write(ring, fd, &buf, 1, at, 0, on_done,
					NULL);

		peal_ring_turn(ring, 0);
		buf = '2';
		ck_result(finish(op), 1);
		ck_result(read_at(fd, &back, 1, at), 1);
		first += back == '1';
		second += back == '2';
	}
	ck_assert_uint_gt(first, 10);
	ck_assert_uint_gt(second, 10);
	peal_sim_close_fd(node, fd);
	end_clean();
}

BARE_TEST(op_that_never_ends_is_named_when_the_ring_cannot_close)
{
	struct peal_sim_node *other;
	int64_t closed = 0;
	uint64_t seed;

	for (seed = 1; seed <= 20 && closed == 0; seed++) {
		int fd;

		begin(seed);
		other = node;
		fd = open_it();
		peal_sim_fault_at(other, PEAL_SIM_NEVER, 1);
		ck_assert_int_gt(peal_write(ring, fd, "x", 1, 0, 0, on_done,
					    NULL), 0);
		peal_ring_turn(ring, PEAL_MS);
		closed = peal_ring_close(ring, 10 * PEAL_S);
		if (closed == 0) {
			ring = NULL;
			peal_sim_close(world);
		}
	}
	ck_result(closed, -ETIMEDOUT);
	ck_assert_uint_eq(peal_ring_in_flight(ring), 1);
	peal_sim_crash(node, PEAL_FOREVER);
	close_ring(ring);
	ring = NULL;
	peal_sim_close(world);
}

BARE_TEST(cancel_that_comes_too_late_is_sent_again_until_it_does_not)
{
	char buf[4];
	int fds[2];
	peal_op op;

	begin(1);
	ck_result(peal_sim_pipe(node, fds), 0);
	op = peal_read(ring, fds[0], buf, 4, PEAL_CURRENT, 0, on_done, NULL);
	settle();
	peal_sim_fault_at(node, PEAL_SIM_UNCANCELLED, 1);
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	ck_result(finish(op), -ECANCELED);
	ck_assert_uint_eq(peal_sim_faults(node, PEAL_SIM_UNCANCELLED, NULL),
			  1);
	peal_sim_close_fd(node, fds[0]);
	peal_sim_close_fd(node, fds[1]);
	end_clean();
}

static unsigned accepted;

static void on_accepted(struct peal_ring *where,
			const struct peal_completion *done)
{
	on_done(where, done);
	if (done->result < 0)
		return;
	accepted++;
	peal_sim_close_fd(node, (int)done->result);
}

static int stream_socket(void)
{
	int64_t fd = finish(peal_socket(ring, AF_INET, SOCK_STREAM, 0, 0,
					on_done, NULL));

	ck_ok(fd);
	return (int)fd;
}

BARE_TEST(multishot_that_ends_early_is_started_again)
{
	struct peal_stats stats = { .size = sizeof(stats) };
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int listener, at;
	peal_op op;

	begin(1);
	listener = stream_socket();
	loopback(&addr, 0);
	ck_result(finish(peal_bind(ring, listener, (void *)&addr, len, 0,
				   on_done, NULL)), 0);
	ck_result(finish(peal_listen(ring, listener, 8, 0, on_done, NULL)),
		  0);
	ck_result(peal_sim_name(node, listener, 0, (void *)&addr, &len), 0);
	peal_sim_fault(world, NULL, PEAL_SIM_MULTISHOT_END, 500000);
	op = peal_accept_multishot(ring, listener, 0, on_accepted, NULL);
	for (at = 0; at < 20; at++) {
		int fd = stream_socket();

		ck_result(finish(peal_connect(ring, fd, (void *)&addr, len, 0,
					      on_done, NULL)), 0);
		peal_sim_close_fd(node, fd);
	}
	UNTIL(accepted == 20);
	peal_ring_stats(ring, &stats);
	ck_assert_uint_gt(stats.rearmed, 3);
	ck_assert(!finished(op));
	ck_result(peal_cancel(ring, op, 0, NULL, NULL), 0);
	finish(op);
	peal_sim_close_fd(node, listener);
	end_clean();
}

SUITE("sim_op")
