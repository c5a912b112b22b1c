/* SPDX-License-Identifier: MIT */
/*
 * READ and WRITE: data through chunks.
 *
 * A long one passes through at most two chunks in turn. Piece n of it uses
 * chunk n % 2, and a chunk that is idle lends its memory to the other one, so a
 * request that holds one chunk can always go on.
 */
#include <errno.h>
#include <string.h>
#include "nbd.h"

static peal_handler on_read, on_probed, on_written;

/* The chunk that the request's next piece uses; NULL: busy, or no memory. */
static struct chunk *next_chunk(struct request *request)
{
	unsigned index = request->begun / CHUNK_LEN % CHUNKS_PER_REQUEST;
	struct chunk *chunk = &request->chunk[index];
	struct chunk *other = &request->chunk[!index];
	uint32_t left = request->length - request->begun;

	if (!left || chunk->state != CHUNK_IDLE)
		return NULL;
	if (!chunk->data)
		chunk->data = pool_take(request->conn);
	if (!chunk->data && other->state == CHUNK_IDLE) {
		chunk->data = other->data;
		other->data = NULL;
	}
	if (!chunk->data)
		return NULL;
	chunk->len = left < CHUNK_LEN ? left : CHUNK_LEN;
	chunk->fill = 0;
	chunk->offset = request->begun;
	chunk->state = CHUNK_BUSY;
	request->begun += chunk->len;
	return chunk;
}

/* READ: reads as far ahead as there are chunks. */
void transfer_read(struct request *request)
{
	struct server *server = request->conn->server;
	struct chunk *chunk;

	while (!request->error && (chunk = next_chunk(request))) {
		peal_op op = peal_read_full(server->ring, server->backing.fd,
					    chunk->data, chunk->len,
					    request->offset + chunk->offset,
					    0, on_read, chunk);

		if (op < 0) {
			chunk->state = CHUNK_IDLE;
			request_fail(request, op);
			return;
		}
		request->refs++;
	}
}

static void read_failed(struct request *request, int64_t result)
{
	struct backing *backing = &request->conn->server->backing;

	if (result >= 0 && !backing->short_read_seen) {
		backing->short_read_seen = true;
		log_error("the file ends before its %llu bytes: somebody has "
			  "made it shorter; such reads get an I/O error",
			  (unsigned long long)backing->size);
	}
	request_fail(request, result < 0 ? result : -EIO);
	/* The protocol has no error for a reply that has begun. */
	if (request->header_sent && !request->conn->closing)
		connection_fail(request->conn);
}

static void on_read(struct peal_ring *ring, const struct peal_completion *done)
{
	struct chunk *chunk = done->ctx;
	struct request *request = chunk->request;

	(void)ring;
	chunk->state = CHUNK_READY;
	if (done->result != chunk->len) {
		chunk->state = CHUNK_IDLE;
		read_failed(request, done->result);
	} else if (chunk->offset == 0 && !request->queued &&
		   !request->error && !request->conn->closing) {
		reply_queue(request);
	}
	server_work(request->conn->server, request->conn);
	request_unref(request);
}

/* One piece of its reply has been sent, or never will be. */
void transfer_sent(struct request *request, struct chunk *chunk)
{
	if (chunk) {
		chunk->state = CHUNK_IDLE;
		if (!request->conn->closing)
			transfer_read(request);
	}
	/* Too late for an error: a read that cannot start ends it all. */
	if (request->error && request->header_sent && chunk &&
	    !request->conn->closing)
		connection_fail(request->conn);
	request_unref(request);
}

/* A file system that cannot write to the page cache without blocking (ext4,
 * tmpfs) makes the kernel try in vain first and then give the write to a
 * worker: 1 to 2 us each. The first write finds out, by asking not to block;
 * whatever comes of it, the chunk is written again as a whole. */
static peal_op write_op(struct chunk *chunk)
{
	struct request *request = chunk->request;
	struct server *server = request->conn->server;
	struct backing *backing = &server->backing;
	uint64_t offset = request->offset + chunk->offset;

	if (backing->write_probed)
		return peal_write_full(server->ring, backing->fd, chunk->data,
				       chunk->len, offset,
				       backing->write_flags, on_written,
				       chunk);
	backing->write_probed = true;
	backing->probe.iov_base = chunk->data;
	backing->probe.iov_len = chunk->len;
	return peal_writev(server->ring, backing->fd, &backing->probe, 1,
			   offset, RWF_NOWAIT, 0, on_probed, chunk);
}

static void write_chunk(struct chunk *chunk)
{
	struct request *request = chunk->request;
	peal_op op = write_op(chunk);

	if (op < 0) {
		chunk->state = CHUNK_IDLE;
		request_fail(request, op);
		return;
	}
	request->refs++;
}

static void on_probed(struct peal_ring *ring,
		      const struct peal_completion *done)
{
	struct chunk *chunk = done->ctx;
	struct request *request = chunk->request;

	(void)ring;
	if (done->result == -EOPNOTSUPP)
		request->conn->server->backing.write_flags = PEAL_ASYNC;
	write_chunk(chunk);
	request_unref(request);
}

static void on_written(struct peal_ring *ring,
		       const struct peal_completion *done)
{
	struct chunk *chunk = done->ctx;
	struct request *request = chunk->request;

	(void)ring;
	chunk->state = CHUNK_IDLE;
	if (done->result < 0)
		request_fail(request, done->result);
	server_work(request->conn->server, request->conn);
	request_unref(request);
}

/* len more bytes of the payload are in the chunk. */
void transfer_received(struct connection *conn, uint32_t len)
{
	struct chunk *chunk = conn->in_chunk;

	chunk->fill += len;
	conn->in_left -= len;
	if (chunk->fill < chunk->len)
		return;
	conn->in_chunk = NULL;
	conn->receive_due_ns = 0;
	write_chunk(chunk);
}

enum step transfer_payload(struct connection *conn)
{
	struct request *request = conn->in;
	struct chunk *chunk;
	uint32_t len = conn->end - conn->start;

	if (!conn->in_left) {
		conn->in = NULL;
		conn->receive_due_ns = 0;
		request_unref(request);
		return STEP_AGAIN;
	}
	if (request->error) {	/* it need not be kept, only passed over */
		if (conn->in_chunk)
			conn->in_chunk->state = CHUNK_IDLE;
		conn->in_chunk = NULL;
		conn->skip = conn->in_left;
		conn->in_left = 0;
		return STEP_AGAIN;
	}
	if (!conn->in_chunk)
		conn->in_chunk = next_chunk(request);
	chunk = conn->in_chunk;
	if (!chunk)
		return STEP_WAIT;	/* for one of its own writes */
	if (!len)
		return STEP_RECEIVE;
	if (len > chunk->len - chunk->fill)
		len = chunk->len - chunk->fill;
	memcpy(chunk->data + chunk->fill, conn->receive_buf + conn->start, len);
	conn->start += len;
	transfer_received(conn, len);
	return STEP_AGAIN;
}
