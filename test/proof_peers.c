/* SPDX-License-Identifier: MIT */
/* Peers and limits that do the worst thing at the worst moment: descriptors
 * run out while connections come in, and a peer resets while sends wait. */
#include <netinet/tcp.h>
#include <sys/resource.h>

#include "test/proof.h"

/* --- descriptors run out ------------------------------------------------------ */

#define CLIENTS 12
#define ROOM	3		/* descriptors left for the server */

static struct {
	int listener;
	int open[CLIENTS];	/* connections being served */
	unsigned open_count;
	unsigned accepted, refused, other;
	int accepting;
} server;

static void on_connection(struct peal_ring *where,
			  const struct peal_completion *done)
{
	(void)where;
	if (done->result >= 0) {
		server.open[server.open_count++] = (int)done->result;
		server.accepted++;
	} else if (done->result == -EMFILE) {
		server.refused++;
	} else {
		server.other++;
	}
	if (!(done->flags & PEAL_MORE))
		server.accepting = 0;
}

static void start_accepting(void)
{
	ck_assert_int_gt(peal_accept_multishot(ring, server.listener, 0,
					       on_connection, NULL), 0);
	server.accepting = 1;
}

static void fds_left(unsigned count)
{
	struct rlimit limit;
	int highest = dup(server.listener);

	ck_assert_int_ge(highest, 0);
	close(highest);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)highest + count;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Nothing is closed: the server has to stand still, not to spin. */
static void stands_still(void)
{
	uint64_t before = proof_stats(ring).completions;

	settle();
	settle();
	ck_assert_uint_eq(proof_stats(ring).completions, before);
}

TEST(accept_without_descriptors_goes_on_when_some_are_closed)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int clients[CLIENTS];
	unsigned i;
	char byte;

	server.listener = make_listener(AF_INET, &addr, &len);
	for (i = 0; i < CLIENTS; i++)
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fds_left(ROOM);
	start_accepting();
	for (i = 0; i < CLIENTS; i++)
		ck_assert_int_eq(connect(clients[i], (struct sockaddr *)&addr,
					 len), 0);
	while (server.accepted < CLIENTS) {
		unsigned expected = server.accepted + ROOM;

		UNTIL(server.accepted == expected);
		if (server.accepted < CLIENTS)
			UNTIL(server.refused == server.accepted / ROOM);
		stands_still();
		while (server.open_count)
			close(server.open[--server.open_count]);
		if (!server.accepting)
			start_accepting();
	}
	ck_assert_uint_eq(server.other, 0);
	for (i = 0; i < CLIENTS; i++) {
		/* Each was served: it reads the end of its connection. */
		ck_assert_int_eq(read(clients[i], &byte, 1), 0);
		close(clients[i]);
	}
}

/* --- the peer resets ------------------------------------------------------------ */

#define ROUNDS	SCALED(300)
#define BULK	(4u << 20)

struct victim {
	struct proof_op full, send, recv, poll;
	void *rest;		/* of the full send */
};

static void on_full(struct peal_ring *where,
		    const struct peal_completion *done)
{
	struct victim *victim = done->ctx;

	(void)where;
	victim->rest = done->buf;
	proof_seen(&victim->full, done);
}

static int is_reset(int64_t result)
{
	return result == -ECONNRESET || result == -EPIPE;
}

static void reset(int fd)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now,
				    sizeof(now)), 0);
	close(fd);
}

/* Left to itself the kernel may find room for all of BULK on the way. */
static void hold_little(const int fds[2])
{
	int bytes = 64 << 10;

	ck_assert_int_eq(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &bytes,
				    sizeof(bytes)), 0);
	ck_assert_int_eq(setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &bytes,
				    sizeof(bytes)), 0);
}

/* The first op that runs into the reset is told; the others see the end. */
static unsigned wrong_in(const struct victim *victim, const char *bulk)
{
	const char *rest = victim->rest;

	return victim->full.terminal != 1 || victim->send.terminal != 1 ||
	       victim->recv.terminal != 1 || victim->poll.terminal != 1 ||
	       !is_reset(victim->full.result) || rest < bulk ||
	       rest >= bulk + BULK ||
	       (victim->send.result < 0 && !is_reset(victim->send.result)) ||
	       (victim->recv.result != 0 && !is_reset(victim->recv.result)) ||
	       !(victim->poll.result & (POLLHUP | POLLERR));
}

TEST(reset_by_the_peer_ends_each_send_in_flight_once)
{
	char *bulk = aligned_buffer(BULK), inbox[16];
	unsigned round, wrong = 0, refused = 0;

	for (round = 0; round < ROUNDS; round++) {
		struct victim victim = { 0 };
		int fds[2];

		if (make_tcp_pair(AF_INET, fds) < 0)
			SKIP("no IPv4");
		hold_little(fds);
		refused += peal_send_full(ring, fds[0], bulk, BULK, 0, 0,
					  on_full, &victim) <= 0;
		if (round % 2)
			settle();
		refused += peal_send(ring, fds[0], bulk, BULK, 0, 0, on_proof,
				     &victim.send) <= 0;
		refused += peal_recv(ring, fds[0], inbox, sizeof(inbox), 0, 0,
				     on_proof, &victim.recv) <= 0;
		refused += peal_poll(ring, fds[0], POLLHUP, 0, on_proof,
				     &victim.poll) <= 0;
		peal_ring_turn(ring, 0);
		ck_assert_uint_eq(victim.full.terminal, 0);
		reset(fds[1]);
		UNTIL(peal_ring_in_flight(ring) == 0);
		wrong += wrong_in(&victim, bulk);
		close(fds[0]);
	}
	ck_assert_uint_eq(refused, 0);
	ck_assert_uint_eq(wrong, 0);
}

SUITE("peers")
