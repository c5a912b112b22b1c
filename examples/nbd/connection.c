/* SPDX-License-Identifier: MIT */
/*
 * A connection: its receive side, its deadlines, its end.
 *
 * Invariants: at most one receive and one send are in flight. refs counts
 * what points here: the receive, the send, the close, each request. A closing
 * connection starts nothing; when refs is 0 it goes back to the free list.
 *
 * Two ways to end: draining takes no more requests, answers those it has, then
 * closes; connection_drop() closes at once, and the replies are lost.
 */
#include <errno.h>
#include <string.h>
#include "nbd.h"

static peal_handler on_received, on_closed;

void connection_open(struct connection *conn, peal_fd fd)
{
	conn->fd = fd;
	conn->active = true;
	conn->draining = conn->closing = conn->no_zeroes = false;
	conn->phase = PHASE_HELLO;
	conn->start = conn->end = 0;
	conn->direct = NULL;
	conn->skip = 0;
	conn->in = NULL;
	conn->in_chunk = NULL;
	conn->piece_first = conn->piece_count = 0;
	conn->options_seen = 0;
	conn->requests = 0;
	conn->receive_due_ns = 0;
	conn->handshake_due_ns = PEAL_FOREVER;
	if (conn->server->options->handshake_ns != PEAL_FOREVER)
		conn->handshake_due_ns = peal_ring_now(conn->server->ring) +
			conn->server->options->handshake_ns;
	handshake_begin(conn);
}

/* One reference less; the last one frees a connection that has closed. */
void connection_release(struct connection *conn)
{
	struct server *server = conn->server;

	if (--conn->refs > 0 || conn->fd >= 0)
		return;
	conn->active = false;
	conn->next_free = server->free_connections;
	server->free_connections = conn;
	server->active--;
}

static void on_closed(struct peal_ring *ring,
		      const struct peal_completion *done)
{
	struct connection *conn = done->ctx;

	(void)ring;
	log_verbose("client %s: closed after %llu requests", conn->name,
		    (unsigned long long)conn->requests);
	conn->fd = -1;
	server_resume_accept(conn->server);
	connection_release(conn);
}

static void forget_payload(struct connection *conn)
{
	struct request *request = conn->in;

	conn->in = NULL;
	conn->in_chunk = NULL;
	if (request)
		request_unref(request);
}

/* Ends it now. What is in flight comes back as cancelled, or finishes. */
void connection_drop(struct connection *conn)
{
	peal_op op;

	if (conn->closing)
		return;
	conn->closing = true;
	pool_forget(conn);
	conn->refs++;
	reply_abandon(conn);
	/* A receive in flight may still write into the chunk. */
	if (!conn->receiving)
		forget_payload(conn);
	op = peal_close_drained(conn->server->ring, conn->fd, 0, on_closed,
				conn);
	if (op < 0) {
		struct peal_completion never = { .ctx = conn, .result = op };

		log_error("client %s: cannot close: %s", conn->name,
			  peal_strerror(op));
		on_closed(conn->server->ring, &never);
	}
}

/* The same, because of something the client or its network did. */
void connection_fail(struct connection *conn)
{
	if (!conn->closing)
		conn->server->counters.dropped++;
	connection_drop(conn);
}

/* Nothing under way, and nothing half received. */
bool connection_is_quiet(const struct connection *conn)
{
	return !conn->in_flight && !conn->sending && !conn->skip &&
	       conn->start == conn->end && conn->phase == PHASE_TRANSMISSION;
}

/* When the bytes now awaited must have come; PEAL_FOREVER for no limit. */
static uint64_t receive_due(struct connection *conn, uint64_t now_ns)
{
	const struct options *options = conn->server->options;

	if (conn->phase != PHASE_TRANSMISSION)
		return conn->handshake_due_ns;
	if (conn->start == conn->end && !conn->in && !conn->skip)
		return options->idle_ns == PEAL_FOREVER ? PEAL_FOREVER :
			now_ns + options->idle_ns;
	if (options->stall_ns == PEAL_FOREVER)
		return PEAL_FOREVER;
	if (!conn->receive_due_ns)
		conn->receive_due_ns = now_ns + options->stall_ns;
	return conn->receive_due_ns;
}

/* Where the next bytes go: into the chunk they belong to when many are missing
 * and nothing is before them, otherwise into the receive buffer. */
static uint8_t *receive_target(struct connection *conn, uint32_t *out_len)
{
	struct chunk *chunk = conn->in_chunk;
	uint32_t rest = conn->end - conn->start;

	conn->direct = NULL;
	if (chunk && !conn->skip && !rest &&
	    chunk->len - chunk->fill >= RECEIVE_DIRECT_MIN) {
		conn->direct = chunk;
		*out_len = chunk->len - chunk->fill;
		return chunk->data + chunk->fill;
	}
	if (conn->start) {
		memmove(conn->receive_buf, conn->receive_buf + conn->start,
			rest);
		conn->start = 0;
		conn->end = rest;
	}
	*out_len = RECEIVE_LEN - conn->end;
	return conn->receive_buf + conn->end;
}

static void receive(struct connection *conn)
{
	struct peal_ring *ring = conn->server->ring;
	uint64_t now_ns = peal_ring_now(ring);
	uint64_t due_ns = receive_due(conn, now_ns);
	uint32_t len;
	uint8_t *target = receive_target(conn, &len);
	peal_op op = peal_recv(ring, conn->fd, target, len, 0, 0, on_received,
			       conn);

	if (op < 0) {
		log_client(conn, "cannot receive: %s", peal_strerror(op));
		connection_fail(conn);
		return;
	}
	conn->receiving = true;
	conn->refs++;
	conn->server->counters.receives++;
	if (due_ns != PEAL_FOREVER)
		peal_deadline(ring, op, due_ns > now_ns ? due_ns - now_ns : 0,
			      0);
}

/* The peer has sent all it will send. */
static void received_end(struct connection *conn)
{
	if (conn->phase != PHASE_TRANSMISSION) {
		log_verbose("client %s: left during the handshake",
			    conn->name);
		connection_drop(conn);
	} else if (conn->in || conn->skip || conn->start != conn->end) {
		log_client(conn, "disconnected inside a request");
		connection_fail(conn);
	} else {
		conn->draining = true;
	}
}

static void receive_timed_out(struct connection *conn)
{
	const struct options *options = conn->server->options;

	if (conn->phase != PHASE_TRANSMISSION) {
		log_client(conn, "no handshake within %llu s, dropped "
			   "(--handshake-timeout)", (unsigned long long)
			   (options->handshake_ns / PEAL_S));
	} else if (conn->in || conn->skip || conn->start != conn->end) {
		log_client(conn, "the rest of a request did not come within "
			   "%llu s, dropped (--stall-timeout)",
			   (unsigned long long)(options->stall_ns / PEAL_S));
	} else if (conn->in_flight) {
		return;		/* idle is who waits for nothing */
	} else {
		log_client(conn, "no request within %llu s, dropped "
			   "(--idle-timeout)",
			   (unsigned long long)(options->idle_ns / PEAL_S));
	}
	connection_fail(conn);
}

static void received_error(struct connection *conn, int64_t error)
{
	if (error == -ETIMEDOUT)
		receive_timed_out(conn);
	else if (error != -EINTR && error != -EAGAIN) {
		log_client(conn, "connection lost: %s", peal_strerror(error));
		connection_fail(conn);
	}
}

static void on_received(struct peal_ring *ring,
			const struct peal_completion *done)
{
	struct connection *conn = done->ctx;

	(void)ring;
	conn->receiving = false;
	if (!conn->closing) {
		if (done->result == 0)
			received_end(conn);
		else if (done->result < 0)
			received_error(conn, done->result);
		else if (conn->direct)
			transfer_received(conn, (uint32_t)done->result);
		else
			conn->end += (uint32_t)done->result;
		server_work(conn->server, conn);
	} else {
		forget_payload(conn);
	}
	connection_release(conn);
}

/* Bytes nobody wants: the payload of a refused request, a foolish option. */
static enum step skip_step(struct connection *conn)
{
	uint64_t rest = conn->end - conn->start;

	if (rest > conn->skip)
		rest = conn->skip;
	conn->start += (uint32_t)rest;
	/* A chunk in a stall time, as for bytes that are wanted. */
	if (conn->skip / CHUNK_LEN != (conn->skip - rest) / CHUNK_LEN)
		conn->receive_due_ns = 0;
	conn->skip -= rest;
	return conn->skip ? STEP_RECEIVE : STEP_AGAIN;
}

static enum step step(struct connection *conn)
{
	if (conn->skip)
		return skip_step(conn);
	if (conn->phase == PHASE_TRANSMISSION)
		return request_step(conn);
	return handshake_step(conn);
}

/* Called after each turn in which something happened to conn. */
void connection_work(struct connection *conn)
{
	enum step next = STEP_AGAIN;

	if (conn->closing)
		return;
	/* While a receive is in flight, its buffer is the kernel's. */
	while (!conn->receiving && !conn->draining && !conn->closing &&
	       next == STEP_AGAIN)
		next = step(conn);
	if (!conn->closing)
		reply_send(conn);
	if (conn->closing)
		return;
	if (conn->draining) {
		if (!conn->in_flight && !conn->sending)
			connection_drop(conn);
	} else if (!conn->receiving && next == STEP_RECEIVE) {
		receive(conn);
	}
}
