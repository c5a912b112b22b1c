/* SPDX-License-Identifier: MIT */
/*
 * The server: its memory, its listeners, its loop, its end.
 *
 *   SERVING -> STOPPING (clients finish) -> SYNCING -> CLOSING_FILE -> STOPPED
 *
 * While STOPPING, a request that arrives is answered with ESHUTDOWN, and a
 * connection that has nothing under way is closed at the next tick: by then
 * a receive has looked whether there is more.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include "nbd.h"

#define ACCEPT_RETRY_NS	(100 * PEAL_MS)
#define STOP_TICK_NS	(5 * PEAL_MS)

enum {
	/* Standard streams, ring, file, signals, listeners, and some. */
	OTHER_FDS = 32,
	/* A reply of CHUNK_LEN then fits into the socket at once. */
	UNIX_SEND_BUFFER = 1024 * 1024,
};

static peal_handler on_accepted, on_accept_again, on_tick, on_final_sync,
	on_file_closed;

static void work(struct peal_ring *ring, void *ctx);

/* A connection on the work list gets connection_work() after this turn. */
void server_work(struct server *server, struct connection *conn)
{
	if (conn->on_work_list)
		return;
	conn->on_work_list = true;
	conn->next_work = NULL;
	if (server->work_last)
		server->work_last->next_work = conn;
	else
		server->work_first = conn;
	server->work_last = conn;
	server->work.fn = work;
	server->work.ctx = server;
	peal_ring_after_turn(server->ring, &server->work);
}

static void work(struct peal_ring *ring, void *ctx)
{
	struct server *server = ctx;

	(void)ring;
	while (server->work_first) {
		struct connection *conn = server->work_first;

		server->work_first = conn->next_work;
		if (!server->work_first)
			server->work_last = NULL;
		conn->on_work_list = false;
		if (conn->active)
			connection_work(conn);
	}
}

static void accept_more(struct listener *listener)
{
	struct server *server = listener->server;
	peal_op op;

	if (server->state != SERVING || listener->accepting ||
	    listener->backing_off)
		return;
	op = peal_accept_multishot(server->ring, listener->fd, 0, on_accepted,
				   listener);
	if (op > 0) {
		listener->accepting = true;
		return;
	}
	log_error("cannot accept: %s", peal_strerror(op));
	server_stop(server);
	server->exit_code = EXIT_START;
}

/* At EMFILE the connection stays in the queue, and an accept started again at
 * once would fail at once, for ever. */
static void accept_later(struct listener *listener, int64_t error)
{
	struct server *server = listener->server;

	if (!listener->troubled)
		log_error("cannot accept: %s (%u connections open)%s",
			  peal_strerror(error), server->active,
			  error == -EMFILE || error == -ENFILE ?
			  "; waiting until one closes" : "");
	listener->troubled = true;
	listener->sleep = peal_sleep(server->ring, ACCEPT_RETRY_NS, 0,
				     on_accept_again, listener);
	listener->backing_off = listener->sleep > 0;
}

static void on_accept_again(struct peal_ring *ring,
			    const struct peal_completion *done)
{
	struct listener *listener = done->ctx;

	(void)ring;
	listener->backing_off = false;
	accept_more(listener);
}

/* A connection has closed: there is an fd again. */
void server_resume_accept(struct server *server)
{
	for (uint32_t i = 0; i < server->listener_count; i++)
		if (server->listeners[i].backing_off)
			peal_sleep_again(server->ring,
					 server->listeners[i].sleep, 0);
}

static void name_client(struct connection *conn, peal_fd fd)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char host[48], port[8];
	struct ucred who;

	snprintf(conn->name, sizeof(conn->name), "%llu", (unsigned long long)
		 conn->server->counters.connections);
	if (getpeername(fd, (struct sockaddr *)&addr, &len))
		return;
	if (addr.ss_family == AF_UNIX) {
		len = sizeof(who);
		if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len))
			snprintf(conn->name, sizeof(conn->name),
				 "%llu (pid %ld)", (unsigned long long)
				 conn->server->counters.connections,
				 (long)who.pid);
	} else if (!getnameinfo((struct sockaddr *)&addr, len, host,
				sizeof(host), port, sizeof(port),
				NI_NUMERICHOST | NI_NUMERICSERV)) {
		snprintf(conn->name, sizeof(conn->name), "%s port %s", host,
			 port);
	}
}

/* Best effort: a socket of another kind is served as well. */
static void tune_socket(peal_fd fd)
{
	int yes = 1, size = UNIX_SEND_BUFFER, domain = 0;
	socklen_t len = sizeof(domain);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	if (domain == AF_UNIX) {
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	/* Finds out when an idle client's machine is gone. */
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
}

static void admit(struct server *server, peal_fd fd)
{
	struct connection *conn = server->free_connections;

	if (!conn || server->state != SERVING) {
		if (!conn && server->counters.refused++ == 0)
			log_error("%u connections are open, another was "
				  "refused (--max-connections)",
				  server->active);
		peal_close(server->ring, fd, 0, NULL, NULL);
		return;
	}
	server->free_connections = conn->next_free;
	server->active++;
	server->counters.connections++;
	name_client(conn, fd);
	tune_socket(fd);
	log_verbose("client %s: connected", conn->name);
	connection_open(conn, fd);
}

static void on_accepted(struct peal_ring *ring,
			const struct peal_completion *done)
{
	struct listener *listener = done->ctx;

	(void)ring;
	if (!(done->flags & PEAL_MORE))
		listener->accepting = false;
	if (done->result >= 0) {
		listener->troubled = false;
		admit(listener->server, (peal_fd)done->result);
		accept_more(listener);
	} else if (listener->server->state == SERVING) {
		accept_later(listener, done->result);
	}
}

static void on_file_closed(struct peal_ring *ring,
			   const struct peal_completion *done)
{
	struct server *server = done->ctx;

	(void)ring;
	if (done->result < 0) {
		log_error("cannot close %s: %s", server->options->file,
			  peal_strerror(done->result));
		server->exit_code = EXIT_SYNC;
	}
	server->state = STOPPED;
}

/* result: of the last sync. */
static void close_file(struct server *server, int64_t result)
{
	if (result < 0) {
		log_error("cannot sync %s: %s: writes may be lost",
			  server->options->file, peal_strerror(result));
		server->exit_code = EXIT_SYNC;
	}
	server->state = CLOSING_FILE;
	if (peal_close_drained(server->ring, server->backing.fd, 0,
			       on_file_closed, server) < 0)
		server->state = STOPPED;
}

static void final_sync(struct server *server)
{
	peal_op op = 0;

	server->state = SYNCING;
	if (!(server->flags & NBD_FLAG_READ_ONLY))
		op = peal_datasync(server->ring, server->backing.fd, 0,
				   on_final_sync, server);
	if (op <= 0)
		close_file(server, op);
}

static void on_final_sync(struct peal_ring *ring,
			  const struct peal_completion *done)
{
	struct server *server = done->ctx;

	(void)ring;
	if (backing_retry_sync(&server->backing, done->result))
		final_sync(server);
	else
		close_file(server, done->result);
}

/* Ends what has nothing under way; at the end of the time, everything. */
static void stop_connections(struct server *server)
{
	bool late = peal_ring_now(server->ring) >= server->stop_due_ns;

	for (uint32_t i = 0; i < server->options->max_connections; i++) {
		struct connection *conn = &server->connections[i];

		if (!conn->active || conn->closing)
			continue;
		if (late && conn->in_flight)
			log_client(conn, "%u requests unanswered at the end of "
				   "--shutdown-timeout", conn->in_flight);
		if (late || conn->phase != PHASE_TRANSMISSION ||
		    connection_is_quiet(conn))
			connection_drop(conn);
	}
}

static void on_tick(struct peal_ring *ring, const struct peal_completion *done)
{
	struct server *server = done->ctx;

	stop_connections(server);
	if (!server->active)
		final_sync(server);
	else if (peal_sleep(ring, STOP_TICK_NS, 0, on_tick, server) < 0)
		final_sync(server);
}

void server_stop(struct server *server)
{
	const struct options *options = server->options;
	uint64_t now_ns = peal_ring_now(server->ring);

	if (server->state != SERVING) {
		server->stop_due_ns = now_ns;	/* asked twice */
		return;
	}
	server->state = STOPPING;
	server->stop_due_ns = options->shutdown_ns == PEAL_FOREVER ?
		PEAL_FOREVER : now_ns + options->shutdown_ns;
	for (uint32_t i = 0; i < server->listener_count; i++)
		peal_close_drained(server->ring, server->listeners[i].fd, 0,
				   NULL, NULL);
	listen_close(server);
	if (peal_sleep(server->ring, STOP_TICK_NS, 0, on_tick, server) < 0)
		final_sync(server);
}

void server_print_stats(struct server *server)
{
	const struct counters *c = &server->counters;
	struct peal_stats stats = { .size = sizeof(stats) };
	unsigned long long per_1000;

	peal_ring_stats(server->ring, &stats);
	per_1000 = c->requests ? stats.enters * 1000ULL / c->requests : 0;
	log_error("stats: connections=%llu refused=%llu dropped=%llu open=%u "
		  "requests=%llu reads=%llu writes=%llu flushes=%llu "
		  "zeroes=%llu trims=%llu caches=%llu errors=%llu "
		  "bytes_read=%llu bytes_written=%llu",
		  (unsigned long long)c->connections,
		  (unsigned long long)c->refused,
		  (unsigned long long)c->dropped, server->active,
		  (unsigned long long)c->requests,
		  (unsigned long long)c->reads,
		  (unsigned long long)c->writes,
		  (unsigned long long)c->flushes,
		  (unsigned long long)c->zeroes,
		  (unsigned long long)c->trims,
		  (unsigned long long)c->caches,
		  (unsigned long long)c->failed,
		  (unsigned long long)c->bytes_read,
		  (unsigned long long)c->bytes_written);
	log_error("stats: syncs=%llu sends=%llu receives=%llu ops=%llu "
		  "enters=%llu enters_per_1000_requests=%llu "
		  "chunks_free=%u chunks=%u",
		  (unsigned long long)c->syncs, (unsigned long long)c->sends,
		  (unsigned long long)c->receives,
		  (unsigned long long)stats.submitted,
		  (unsigned long long)stats.enters, per_1000,
		  server->pool.free_count, server->pool.count);
}

/* Descriptors for all connections, as far as the hard limit allows. */
static void raise_fd_limit(const struct options *options)
{
	rlim_t want = options->max_connections + OTHER_FDS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= want)
		return;
	limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < want)
		log_info("--max-connections %u needs %llu open files, the "
			 "limit is %llu: clients will wait; ulimit -n raises "
			 "it", options->max_connections,
			 (unsigned long long)want,
			 (unsigned long long)limit.rlim_cur);
}

static void link_slots(struct connection *conn, struct request *slots,
		       uint32_t count)
{
	for (uint32_t i = count; i-- > 0;) {
		struct request *request = &slots[i];

		request->conn = conn;
		for (int j = 0; j < CHUNKS_PER_REQUEST; j++)
			request->chunk[j].request = request;
		request->next = conn->free_slots;
		conn->free_slots = request;
	}
}

static int open_connections(struct server *server)
{
	uint32_t count = server->options->max_connections;
	uint32_t slots = server->options->slots;

	server->connections = calloc(count, sizeof(*server->connections));
	server->slot_memory = calloc((size_t)count * slots,
				     sizeof(*server->slot_memory));
	server->receive_memory = mmap(NULL, (size_t)count * RECEIVE_LEN,
				      PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!server->connections || !server->slot_memory ||
	    server->receive_memory == MAP_FAILED)
		return -ENOMEM;
	for (uint32_t i = count; i-- > 0;) {
		struct connection *conn = &server->connections[i];

		conn->server = server;
		conn->fd = -1;
		conn->receive_buf = server->receive_memory +
			(size_t)i * RECEIVE_LEN;
		link_slots(conn, server->slot_memory + (size_t)i * slots,
			   slots);
		conn->next_free = server->free_connections;
		server->free_connections = conn;
	}
	return 0;
}

static uint16_t transmission_flags(const struct options *options)
{
	uint16_t flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_CAN_MULTI_CONN |
			 NBD_FLAG_SEND_CACHE;

	if (options->flags & OPT_READ_ONLY)
		return flags | NBD_FLAG_READ_ONLY;
	return flags | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA |
	       NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES |
	       NBD_FLAG_SEND_FAST_ZERO;
}

/* A request has at most a full transfer (two ops) per chunk; a connection a
 * receive, a full send and a close. */
static int open_ring(struct server *server)
{
	const struct options *options = server->options;
	struct peal_ring_options ring = PEAL_RING_OPTIONS;
	uint64_t ops = (uint64_t)options->max_connections *
		       (options->slots * 2ULL * CHUNKS_PER_REQUEST + 8) + 256;
	int error;

	/* More than the chunks allow at a time cannot be in flight. */
	ring.max_ops = (uint32_t)(ops < 1u << 20 ? ops : 1u << 20);
	ring.cq_entries = 4096;
	error = peal_ring_open(&server->ring, &ring);
	if (error)
		log_error("cannot open a ring: %s", peal_open_reason());
	return error;
}

static void announce(const struct server *server)
{
	const struct options *options = server->options;

	log_info("serving %s: %llu bytes, %s, %s, export \"%s\"",
		 options->file, (unsigned long long)server->backing.size,
		 options->flags & OPT_READ_ONLY ? "read-only" : "read-write",
		 options->flags & OPT_DIRECT ? "O_DIRECT" : "page cache",
		 options->export);
	log_info("engine %s (%s)", peal_ring_engine(server->ring),
		 peal_ring_engine_reason(server->ring));
	log_info("limits: %u connections of %u requests, %llu MiB of chunks "
		 "in all", options->max_connections, options->slots,
		 (unsigned long long)(server->pool.size >> 20));
	log_info("ready at %s", server->uri);
}

int server_open(struct server *server)
{
	const struct options *options = server->options;
	int error = process_open_signals(server);

	raise_fd_limit(options);
	if (!error)
		error = open_ring(server);
	if (error)
		return error;
	error = backing_open(server);
	if (error)
		return error;
	server->flags = transmission_flags(options);
	error = open_connections(server);
	if (!error)
		error = pool_open(&server->pool, options->max_memory,
				  options->max_connections);
	if (error) {
		log_error("no memory for %u connections of %u requests and "
			  "%llu bytes of chunks", options->max_connections,
			  options->slots,
			  (unsigned long long)options->max_memory);
		return error;
	}
	error = listen_open(server);
	if (!error)
		error = process_watch_signals(server);
	if (!error)
		announce(server);
	if (!error && options->run)
		error = process_run(server);
	return error;
}

void server_start(struct server *server)
{
	for (uint32_t i = 0; i < server->listener_count; i++)
		accept_more(&server->listeners[i]);
}

int server_serve(struct server *server)
{
	server_start(server);
	while (server->state != STOPPED || server->child) {
		int ran = peal_ring_turn(server->ring, PEAL_FOREVER);

		if (ran < 0) {
			log_error("the ring failed: %s", peal_strerror(ran));
			return ran;
		}
	}
	if (log_is_verbose())
		server_print_stats(server);
	return 0;
}
