/* SPDX-License-Identifier: MIT */
/*
 * Replies: whatever is ready leaves in one send. Requests are answered in the
 * order in which they get ready. A reply that is longer than its chunks keeps
 * the head of the queue until its last piece has been given to a send, because
 * the protocol does not let another reply in between.
 */
#include <errno.h>
#include "nbd.h"

static peal_handler on_sent;

void reply_queue(struct request *request)
{
	struct connection *conn = request->conn;

	request->queued = true;
	request->next = NULL;
	if (conn->ready_last)
		conn->ready_last->next = request;
	else
		conn->ready_first = request;
	conn->ready_last = request;
	server_work(conn->server, conn);
}

static void pop(struct connection *conn)
{
	struct request *request = conn->ready_first;

	conn->ready_first = request->next;
	if (!conn->ready_first)
		conn->ready_last = NULL;
	request->answered = true;
}

static void write_header(uint8_t *at, const struct request *request)
{
	at = store32(at, NBD_SIMPLE_REPLY_MAGIC);
	at = store32(at, request->error);
	store64(at, request->cookie);
}

static void add(struct connection *conn, struct request *request,
		struct chunk *chunk, uint8_t *base, size_t len)
{
	uint32_t i = conn->piece_count++;

	conn->pieces[i].request = request;
	conn->pieces[i].chunk = chunk;
	conn->iov[i].iov_base = base;
	conn->iov[i].iov_len = len;
	request->refs++;
}

/* The next piece of the first reply. Returns its bytes; 0: not ready yet. */
static size_t add_next(struct connection *conn)
{
	struct request *request = conn->ready_first;
	struct chunk *chunk = &request->chunk[request->done / CHUNK_LEN %
					      CHUNKS_PER_REQUEST];
	size_t header = request->header_sent ? 0 : NBD_REPLY_LEN;

	if (request->error || request->type != NBD_CMD_READ ||
	    !request->length) {
		write_header(request->header, request);
		request->header_sent = true;
		pop(conn);
		add(conn, request, NULL, request->header, NBD_REPLY_LEN);
		return NBD_REPLY_LEN;
	}
	if (chunk->state != CHUNK_READY)
		return 0;
	if (header)
		write_header(chunk->data - NBD_REPLY_LEN, request);
	request->header_sent = true;
	request->done += chunk->len;
	chunk->state = CHUNK_BUSY;
	if (request->done == request->length)
		pop(conn);
	add(conn, request, chunk, chunk->data - header, chunk->len + header);
	return chunk->len + header;
}

static void gather(struct connection *conn)
{
	size_t total = 0, added = 1;

	conn->piece_first = conn->piece_count = 0;
	while (conn->ready_first && added && total < SEND_LEN &&
	       conn->piece_count < SEND_PIECES) {
		added = add_next(conn);
		total += added;
	}
	conn->send_due_ns = PEAL_FOREVER;
	if (conn->server->options->stall_ns != PEAL_FOREVER)
		conn->send_due_ns = peal_ring_now(conn->server->ring) +
			conn->server->options->stall_ns;
}

/* Sends what is ready, or what a short send has left. */
void reply_send(struct connection *conn)
{
	struct peal_ring *ring = conn->server->ring;
	uint64_t now_ns;
	peal_op op;

	if (conn->sending)
		return;
	if (conn->piece_first == conn->piece_count)
		gather(conn);
	if (conn->piece_first == conn->piece_count)
		return;
	conn->message.msg_iov = conn->iov + conn->piece_first;
	conn->message.msg_iovlen = conn->piece_count - conn->piece_first;
	op = peal_sendmsg(ring, conn->fd, &conn->message, 0, 0, on_sent, conn);
	if (op < 0) {
		log_client(conn, "cannot send: %s", peal_strerror(op));
		connection_fail(conn);
		return;
	}
	conn->sending = true;
	conn->refs++;
	conn->server->counters.sends++;
	if (conn->send_due_ns == PEAL_FOREVER)
		return;
	now_ns = peal_ring_now(ring);
	peal_deadline(ring, op, conn->send_due_ns > now_ns ?
		      conn->send_due_ns - now_ns : 0, 0);
}

/* len bytes of the pieces are gone. */
static void sent(struct connection *conn, size_t len)
{
	while (conn->piece_first < conn->piece_count) {
		struct piece *piece = &conn->pieces[conn->piece_first];
		struct iovec *iov = &conn->iov[conn->piece_first];

		if (len < iov->iov_len) {
			iov->iov_base = (uint8_t *)iov->iov_base + len;
			iov->iov_len -= len;
			return;
		}
		len -= iov->iov_len;
		conn->piece_first++;
		transfer_sent(piece->request, piece->chunk);
	}
}

static void send_failed(struct connection *conn, int64_t error)
{
	if (error == -EINTR || error == -EAGAIN)
		return;		/* reply_send() tries again */
	if (error == -ETIMEDOUT)
		log_client(conn, "did not take its replies within %llu s, "
			   "dropped (--stall-timeout)", (unsigned long long)
			   (conn->server->options->stall_ns / PEAL_S));
	else
		log_client(conn, "connection lost with %u requests in flight: "
			   "%s", conn->in_flight, peal_strerror(error));
	connection_fail(conn);
}

static void abandon_pieces(struct connection *conn)
{
	while (conn->piece_first < conn->piece_count) {
		struct piece *piece = &conn->pieces[conn->piece_first++];

		transfer_sent(piece->request, piece->chunk);
	}
}

static void on_sent(struct peal_ring *ring, const struct peal_completion *done)
{
	struct connection *conn = done->ctx;

	(void)ring;
	conn->sending = false;
	if (!conn->closing && done->result < 0)
		send_failed(conn, done->result);
	else if (!conn->closing)
		sent(conn, (size_t)done->result);
	if (conn->closing)
		abandon_pieces(conn);
	else
		server_work(conn->server, conn);
	connection_release(conn);
}

/* The connection is closing: no reply will leave. What a send in flight still
 * uses comes back with it. */
void reply_abandon(struct connection *conn)
{
	while (conn->ready_first) {
		struct request *request = conn->ready_first;

		pop(conn);
		if (!request->refs)
			request_release(request);
	}
	if (!conn->sending)
		abandon_pieces(conn);
}
