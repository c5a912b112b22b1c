/* SPDX-License-Identifier: MIT */
/*
 * The server's node. peal-nbd is what runs there, as it is, but for three
 * files: sockets it binds through the ring, a log that is silent, and no
 * signals. What it has allocated is left behind at a crash, as by a process
 * that is killed.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "test/nbd_sim/nbd_sim.h"

#define RESTART_NS (100 * PEAL_MS)

static struct server server;
static int running;
static uint64_t crashes, down_since;
static struct peal_sim *world;

static const struct options options = {
	.file = "/disk",
	.port = 10809,
	.export = "",
	.slots = 8,
	.max_connections = 8,
	.max_memory = 4 << 20,
	.max_request = 1 << 20,
	.handshake_ns = 10 * PEAL_S,
	.stall_ns = 30 * PEAL_S,
	.idle_ns = PEAL_FOREVER,
	.shutdown_ns = PEAL_S,
};

/* --- what peal-nbd has in listen.c, process.c and log.c ----------------- */

struct wait {
	int64_t result;
	int done;
};

static void on_done(struct peal_ring *ring, const struct peal_completion *done)
{
	struct wait *wait = done->ctx;

	(void)ring;
	wait->result = done->result;
	wait->done = 1;
}

static int64_t wait_for(struct wait *wait, peal_op op)
{
	if (op < 0)
		return op;
	while (!wait->done) {
		int rc = peal_ring_turn(server.ring, PEAL_FOREVER);

		if (rc < 0)
			return rc;
	}
	wait->done = 0;
	return wait->result;
}

int listen_open(struct server *to)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons(10809) };
	struct wait wait = { 0, 0 };
	int64_t fd, rc;

	fd = wait_for(&wait, peal_socket(to->ring, AF_INET, SOCK_STREAM, 0, 0,
					 on_done, &wait));
	if (fd < 0)
		return (int)fd;
	rc = wait_for(&wait, peal_bind(to->ring, (peal_fd)fd,
				       (struct sockaddr *)&addr, sizeof addr,
				       0, on_done, &wait));
	if (rc == 0)
		rc = wait_for(&wait, peal_listen(to->ring, (peal_fd)fd, 16, 0,
						 on_done, &wait));
	to->listeners[0].server = to;
	to->listeners[0].fd = (peal_fd)fd;
	to->listener_count = 1;
	return (int)rc;
}

void listen_close(struct server *to)
{
	(void)to;
}

int process_open_signals(struct server *to)
{
	(void)to;
	return 0;
}

int process_watch_signals(struct server *to)
{
	(void)to;
	return 0;
}

int process_run(struct server *to)
{
	(void)to;
	return 0;
}

void log_set_level(enum log_level level)
{
	(void)level;
}

bool log_is_verbose(void)
{
	return verbose;
}

static void say(const char *format, va_list args)
{
	char text[400];

	vsnprintf(text, sizeof text, format, args);
	tell("server: %s", text);
}

#define LOG(name, ...)							\
	void name(__VA_ARGS__ const char *format, ...)			\
	{								\
		va_list args;						\
									\
		va_start(args, format);					\
		say(format, args);					\
		va_end(args);						\
	}

LOG(log_error)
LOG(log_info)
LOG(log_verbose)

void log_client(const struct connection *conn, const char *format, ...)
{
	va_list args;

	(void)conn;
	va_start(args, format);
	say(format, args);
	va_end(args);
}

const char *log_text(char *out, const uint8_t *text, size_t len)
{
	snprintf(out, LOG_TEXT_LEN, "%.*s", (int)len, (const char *)text);
	return out;
}

/* --- the node ----------------------------------------------------------- */

/* A server that cannot start ends, and is started again, as by an init. */
static void boot(struct peal_sim_node *node, void *ctx)
{
	int rc;

	(void)ctx;
	down_since = 0;
	memset(&server, 0, sizeof server);
	server.options = &options;
	rc = server_open(&server);
	running = server.ring != NULL;
	if (rc < 0) {
		tell("the server does not start: %s", peal_strerror(rc));
		peal_sim_crash(node, RESTART_NS);
		return;
	}
	server_start(&server);
}

static void halt(struct peal_sim_node *node, void *ctx)
{
	(void)node;
	(void)ctx;
	crashes++;
	down_since = peal_sim_now(world);
	if (running && peal_ring_close(server.ring, 0) < 0)
		broken("the ring of a dead node is not closed");
	running = 0;
	model_crashed();
	tell("the server's power is cut");
}

uint64_t node_crashes(void)
{
	return crashes;
}

uint64_t node_down_ns(void)
{
	return down_since ? peal_sim_now(world) - down_since : 0;
}

struct peal_sim_node *node_begin(struct peal_sim *in)
{
	struct peal_sim_node *node = peal_sim_node(in, "server");
	uint8_t *zeroes = calloc(SECTORS, SECTOR);

	world = in;
	crashes = down_since = 0;
	if (!node || !zeroes ||
	    peal_sim_put_file(node, "/disk", zeroes, SECTORS * SECTOR) < 0)
		broken("no memory");
	free(zeroes);
	peal_sim_sync(node);
	peal_sim_program(node, boot, halt, NULL);
	return node;
}
