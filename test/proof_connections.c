/* SPDX-License-Identifier: MIT */
/*
 * 10,000 connections at once: one ring accepts them all, and echoes what each
 * of them sends. The clients are another process, so that each side has its own
 * limit of descriptors.
 */
#include <sys/resource.h>
#include <sys/wait.h>
#include "test/harness.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CONNECTIONS = 1000 };
#else
enum { CONNECTIONS = 10000 };
#endif

enum { SPARE_FDS = 100, ROUNDS = 2 };

struct connection {
	int fd;
	unsigned char buf[64];
};

static struct connection *connections;
static unsigned open_now, accepted, echoed;
static peal_op accepting;

static void receive(struct connection *c);

static void on_closed(struct peal_ring *where,
		      const struct peal_completion *done)
{
	(void)where;
	ck_result(done->result, 0);
	open_now--;
}

static void on_sent(struct peal_ring *where, const struct peal_completion *done)
{
	(void)where;
	ck_assert_int_gt(done->result, 0);
	echoed++;
	receive(done->ctx);
}

static void on_received(struct peal_ring *where,
			const struct peal_completion *done)
{
	struct connection *c = done->ctx;

	(void)where;
	ck_ok(done->result);
	if (done->result == 0)
		ck_ok(peal_close_drained(ring, c->fd, 0, on_closed, c));
	else
		ck_ok(peal_send_full(ring, c->fd, c->buf, (size_t)done->result,
				     0, 0, on_sent, c));
}

static void receive(struct connection *c)
{
	ck_ok(peal_recv(ring, c->fd, c->buf, sizeof(c->buf), 0, 0, on_received,
			c));
}

static void on_accepted(struct peal_ring *where,
			const struct peal_completion *done)
{
	struct connection *c = &connections[accepted];

	(void)where;
	if (done->result == -ECANCELED)
		return;
	ck_ok(done->result);
	ck_assert_uint_lt(accepted, CONNECTIONS);
	accepted++;
	open_now++;
	c->fd = (int)done->result;
	receive(c);
}

/* --- the clients, in a process of their own: plain blocking sockets ------ */

static void client_must(int cond)
{
	if (!cond)
		_exit(1);
}

static void talk(const int *fds)
{
	unsigned char out, in;
	unsigned i;

	for (i = 0; i < CONNECTIONS; i++) {
		out = (unsigned char)i;
		client_must(send(fds[i], &out, 1, MSG_NOSIGNAL) == 1);
	}
	for (i = 0; i < CONNECTIONS; i++) {
		client_must(recv(fds[i], &in, 1, MSG_WAITALL) == 1);
		client_must(in == (unsigned char)i);
	}
}

static _Noreturn void clients(const struct sockaddr_in *addr)
{
	static int fds[CONNECTIONS];
	unsigned i, round;

	for (i = 0; i < CONNECTIONS; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		client_must(fds[i] >= 0);
		client_must(connect(fds[i], (const void *)addr,
				    sizeof(*addr)) == 0);
	}
	for (round = 0; round < ROUNDS; round++)
		talk(fds);
	_exit(0);
}

static int room_for(unsigned fds)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur >= fds;
}

static void serve(const char *engine)
{
	struct peal_ring_options options = harness_options();
	struct sockaddr_storage addr;
	socklen_t len;
	int listener, status;
	pid_t pid;

	options.engine = engine;
	options.max_ops = 4 * CONNECTIONS;
	reopen_ring(&options);
	listener = make_listener(AF_INET, &addr, &len);
	ck_assert_int_eq(listen(listener, 4096), 0);
	pid = fork();
	if (pid == 0)
		clients((struct sockaddr_in *)&addr);
	accepting = peal_accept_multishot(ring, listener, 0, on_accepted,
					  NULL);
	while (accepted < CONNECTIONS || open_now)
		ck_ok(peal_ring_turn(ring, 10 * PEAL_S));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(echoed, ROUNDS * CONNECTIONS);
	ck_ok(peal_cancel(ring, accepting, 0, NULL, NULL));
	ck_assert_int_eq(peal_ring_run(ring), 0);
}

static void serve_if_there_is_room(const char *engine)
{
	connections = calloc(CONNECTIONS, sizeof(*connections));
	serve(engine);
	free(connections);
}

TEST(ten_thousand_connections_are_echoed_by_one_uring_ring)
{
	if (!room_for(CONNECTIONS + SPARE_FDS))
		SKIP("RLIMIT_NOFILE is below %d", CONNECTIONS + SPARE_FDS);
	serve_if_there_is_room("uring");
}

TEST(ten_thousand_connections_are_echoed_by_one_epoll_ring)
{
	if (!room_for(CONNECTIONS + SPARE_FDS))
		SKIP("RLIMIT_NOFILE is below %d", CONNECTIONS + SPARE_FDS);
	serve_if_there_is_room("epoll");
}

SUITE("connections")
