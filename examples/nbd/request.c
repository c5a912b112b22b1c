/* SPDX-License-Identifier: MIT */
/*
 * Requests: parsed, checked, carried out.
 *
 * refs counts what is under way for a request: file ops, pieces of its reply
 * being sent, its payload being received, a sync. When it falls to 0, the next
 * stage follows: a sync (FUA), the reply, or the end.
 *
 * A long READ or WRITE passes through at most two chunks in turn. Piece n of it
 * uses chunk n % 2, and a chunk that is idle lends its memory to the other one,
 * so a request that holds one chunk can always go on.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "nbd.h"

static peal_handler on_read, on_probed, on_written, on_zeroed, on_trimmed,
	on_cached;

/* What writes of zeroes are made of. */
static const uint8_t zeroes[CHUNK_LEN] __attribute__((aligned(4096)));

static const char *type_name(uint16_t type)
{
	static const char *const names[] = {
		"READ", "WRITE", "DISC", "FLUSH", "TRIM", "CACHE",
		"WRITE_ZEROES",
	};

	return type < sizeof(names) / sizeof(names[0]) ? names[type] :
		"unknown command";
}

static uint32_t protocol_error(int64_t error)
{
	switch (-error) {
	case EPERM: case EACCES: case EROFS:
		return NBD_EPERM;
	case ENOMEM:
		return NBD_ENOMEM;
	case EINVAL:
		return NBD_EINVAL;
	case ENOSPC: case EDQUOT: case EFBIG:
		return NBD_ENOSPC;
	default:
		return NBD_EIO;
	}
}

/* The first failure is the one that is reported. */
static void fail(struct request *request, int64_t error)
{
	if (request->error)
		return;
	request->error = protocol_error(error);
	log_client(request->conn, "%s of %u bytes at %llu failed: %s",
		   type_name(request->type), request->length,
		   (unsigned long long)request->offset, peal_strerror(error));
}

/* Back to the free list. Nothing refers to it any more. */
void request_release(struct request *request)
{
	struct connection *conn = request->conn;

	for (int i = 0; i < CHUNKS_PER_REQUEST; i++) {
		if (request->chunk[i].data)
			pool_give(conn, request->chunk[i].data);
		request->chunk[i].data = NULL;
	}
	request->next = conn->free_slots;
	conn->free_slots = request;
	conn->in_flight--;
	server_work(conn->server, conn);
	connection_release(conn);
}

static bool writes(const struct request *request)
{
	return request->type == NBD_CMD_WRITE ||
	       request->type == NBD_CMD_WRITE_ZEROES ||
	       request->type == NBD_CMD_TRIM;
}

/* One thing less is under way for it. */
void request_unref(struct request *request)
{
	if (--request->refs > 0)
		return;
	if (request->conn->closing || request->answered) {
		request_release(request);
	} else if (request->queued) {
		return;
	} else if (request->flags & NBD_CMD_FLAG_FUA && !request->error &&
		   writes(request)) {
		request->flags &= (uint16_t)~NBD_CMD_FLAG_FUA;
		request->refs++;
		backing_sync(request->conn->server, request);
	} else {
		reply_queue(request);
	}
}

void request_synced(struct request *request, int64_t result)
{
	if (result < 0)
		fail(request, -EIO);
	request_unref(request);
}

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
static void read_ahead(struct request *request)
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
			fail(request, op);
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
	fail(request, result < 0 ? result : -EIO);
	/* The protocol has no error for a reply that has begun. */
	if (request->header_sent && !request->conn->closing)
		connection_drop(request->conn);
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
void request_sent(struct request *request, struct chunk *chunk)
{
	if (chunk) {
		chunk->state = CHUNK_IDLE;
		if (!request->conn->closing)
			read_ahead(request);
	}
	/* Too late for an error: a read that cannot start ends it all. */
	if (request->error && request->header_sent && chunk &&
	    !request->conn->closing)
		connection_drop(request->conn);
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
		fail(request, op);
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
		fail(request, done->result);
	server_work(request->conn->server, request->conn);
	request_unref(request);
}

/* len more bytes of the payload are in the chunk. */
void request_received(struct connection *conn, uint32_t len)
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

static enum step payload_step(struct connection *conn)
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
	request_received(conn, len);
	return STEP_AGAIN;
}

/* The next way to make zeroes, when one is not to be had. */
static int zero_otherwise(struct request *request, int64_t error)
{
	struct backing *backing = &request->conn->server->backing;

	if (request->zero == ZERO_WRITE ||
	    (error != -EOPNOTSUPP && error != -EINVAL && error != -ENODEV))
		return (int)error;
	if (error != -EINVAL) {
		if (request->zero == ZERO_PUNCH)
			backing->no_punch = true;
		else
			backing->no_zero_range = true;
	}
	request->zero++;
	return 0;
}

static peal_op zero_op(struct request *request)
{
	struct server *server = request->conn->server;
	struct backing *backing = &server->backing;
	uint64_t offset = request->offset + request->done;
	uint32_t len = request->length - request->done;

	switch (request->zero) {
	case ZERO_PUNCH:
		return backing->no_punch ? -EOPNOTSUPP :
			peal_punch(server->ring, backing->fd, offset, len, 0,
				   on_zeroed, request);
	case ZERO_RANGE:
		return backing->no_zero_range ? -EOPNOTSUPP :
			peal_zero_range(server->ring, backing->fd, offset, len,
					PEAL_KEEP_SIZE, on_zeroed, request);
	default:
		return peal_write_full(server->ring, backing->fd, zeroes,
				       len < CHUNK_LEN ? len : CHUNK_LEN,
				       offset, 0, on_zeroed, request);
	}
}

/* A block device makes zeroes without a hole by writing them. */
static bool zero_is_slow(const struct request *request)
{
	return request->zero == ZERO_WRITE ||
	       (request->zero == ZERO_RANGE &&
		request->conn->server->backing.block_device);
}

static void zero(struct request *request)
{
	peal_op op = 0;

	do {
		if (request->flags & NBD_CMD_FLAG_FAST_ZERO &&
		    zero_is_slow(request)) {
			request->error = NBD_ENOTSUP;
			return;
		}
		op = zero_op(request);
	} while (op < 0 && !zero_otherwise(request, op));
	if (op < 0)
		fail(request, op);
	else
		request->refs++;
}

static void on_zeroed(struct peal_ring *ring,
		      const struct peal_completion *done)
{
	struct request *request = done->ctx;

	(void)ring;
	if (done->result < 0) {
		if (zero_otherwise(request, done->result))
			fail(request, done->result);
		else if (!request->conn->closing)
			zero(request);
	} else if (request->zero == ZERO_WRITE) {
		request->done += (uint32_t)done->result;
		if (request->done < request->length && !request->conn->closing)
			zero(request);
	}
	request_unref(request);
}

/* A hint: who cannot take it has done no harm. */
static void trim_result(struct request *request, int64_t result)
{
	if (result == -EOPNOTSUPP)
		request->conn->server->backing.no_punch = true;
	else if (result < 0 && result != -EINVAL && result != -ENODEV)
		fail(request, result);
}

static void trim(struct request *request)
{
	struct server *server = request->conn->server;
	peal_op op;

	if (server->backing.no_punch)
		return;
	op = peal_punch(server->ring, server->backing.fd, request->offset,
			request->length, 0, on_trimmed, request);
	if (op < 0)
		trim_result(request, op);
	else
		request->refs++;
}

static void on_trimmed(struct peal_ring *ring,
		       const struct peal_completion *done)
{
	(void)ring;
	trim_result(done->ctx, done->result);
	request_unref(done->ctx);
}

/* Another hint. */
static void cache(struct request *request)
{
	struct server *server = request->conn->server;

	if (peal_advise(server->ring, server->backing.fd, request->offset,
			request->length, POSIX_FADV_WILLNEED, 0, on_cached,
			request) > 0)
		request->refs++;
}

static void on_cached(struct peal_ring *ring,
		      const struct peal_completion *done)
{
	(void)ring;
	request_unref(done->ctx);
}

static void carry_out(struct request *request)
{
	struct connection *conn = request->conn;
	struct counters *counters = &conn->server->counters;

	switch (request->type) {
	case NBD_CMD_READ:
		counters->reads++;
		counters->bytes_read += request->length;
		read_ahead(request);
		break;
	case NBD_CMD_WRITE:
		counters->writes++;
		counters->bytes_written += request->length;
		break;		/* as the payload comes in */
	case NBD_CMD_FLUSH:
		counters->flushes++;
		request->refs++;
		backing_sync(conn->server, request);
		break;
	case NBD_CMD_TRIM:
		counters->trims++;
		trim(request);
		break;
	case NBD_CMD_CACHE:
		counters->caches++;
		cache(request);
		break;
	default:
		counters->zeroes++;
		zero(request);
	}
}

/* 0, or the protocol's error for this request. */
static uint32_t check_range(const struct server *server,
			    const struct request *request)
{
	uint64_t size = server->backing.size;
	uint32_t mask = server->backing.block_min - 1;

	if (request->offset > size || request->length > size - request->offset)
		return request->type == NBD_CMD_WRITE ||
		       request->type == NBD_CMD_WRITE_ZEROES ?
			NBD_ENOSPC : NBD_EINVAL;
	if ((request->offset | request->length) & mask)
		return NBD_EINVAL;
	if (request->length > server->options->max_request &&
	    (request->type == NBD_CMD_READ || request->type == NBD_CMD_WRITE))
		return NBD_EINVAL;
	return 0;
}

static uint32_t check(const struct server *server,
		      const struct request *request)
{
	bool read_only = server->flags & NBD_FLAG_READ_ONLY;
	unsigned legal = read_only ? 0 : NBD_CMD_FLAG_FUA;

	if (server->state != SERVING)
		return NBD_ESHUTDOWN;
	if (request->type == NBD_CMD_WRITE_ZEROES)
		legal |= NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO;
	if (writes(request) && read_only)
		return NBD_EPERM;
	if (request->flags & ~legal || request->type > NBD_CMD_WRITE_ZEROES)
		return NBD_EINVAL;
	if (request->type == NBD_CMD_FLUSH)
		return request->offset || request->length || read_only ?
			NBD_EINVAL : 0;
	return check_range(server, request);
}

/* The two numbers that matter, on the log. */
static void log_refused(const struct request *request)
{
	const struct server *server = request->conn->server;

	if (request->error == NBD_ESHUTDOWN)
		return;
	log_client(request->conn, "%s (type %u, flags 0x%x) of %u bytes at "
		   "%llu refused with error %u (size %llu, longest %u, "
		   "block %u%s)", type_name(request->type), request->type,
		   request->flags, request->length,
		   (unsigned long long)request->offset, request->error,
		   (unsigned long long)server->backing.size,
		   server->options->max_request, server->backing.block_min,
		   server->flags & NBD_FLAG_READ_ONLY ? ", read-only" : "");
}

static void parse(struct request *request, const uint8_t *at)
{
	request->flags = load16(at + 4);
	request->type = load16(at + 6);
	request->cookie = load64(at + 8);
	request->offset = load64(at + 16);
	request->length = load32(at + 24);
	request->error = 0;
	request->refs = 1;
	request->begun = request->done = 0;
	request->zero = request->flags & NBD_CMD_FLAG_NO_HOLE ? ZERO_RANGE :
		ZERO_PUNCH;
	request->queued = request->header_sent = request->answered = false;
	request->chunk[0].state = request->chunk[1].state = CHUNK_IDLE;
	request->error = check(request->conn->server, request);
}

static bool moves_data(const struct request *request)
{
	return (request->type == NBD_CMD_READ ||
		request->type == NBD_CMD_WRITE) && request->length;
}

static void begin(struct connection *conn, struct request *request)
{
	conn->free_slots = request->next;
	conn->start += NBD_REQUEST_LEN;
	conn->receive_due_ns = 0;
	conn->in_flight++;
	conn->refs++;
	conn->requests++;
	conn->server->counters.requests++;
	if (request->error) {
		conn->server->counters.failed++;
		log_refused(request);
	}
	if (request->type == NBD_CMD_WRITE && request->length) {
		conn->in = request;
		conn->in_left = request->length;
		request->refs++;
	}
	if (!request->error &&
	    (request->length || request->type == NBD_CMD_FLUSH))
		carry_out(request);
	request_unref(request);
}

static enum step header_step(struct connection *conn)
{
	const uint8_t *at = conn->receive_buf + conn->start;
	struct request *request = conn->free_slots;

	if (conn->end - conn->start < NBD_REQUEST_LEN)
		return STEP_RECEIVE;
	if (load32(at) != NBD_REQUEST_MAGIC) {
		log_client(conn, "wrong request magic 0x%08x (want 0x%08x), "
			   "dropped", load32(at), NBD_REQUEST_MAGIC);
		conn->server->counters.dropped++;
		connection_drop(conn);
		return STEP_WAIT;
	}
	if (load16(at + 6) == NBD_CMD_DISC) {
		conn->draining = true;
		return STEP_WAIT;
	}
	if (!request)
		return STEP_WAIT;	/* for a reply to be sent */
	parse(request, at);
	if (!request->error && moves_data(request)) {
		request->chunk[0].data = pool_take(conn);
		if (!request->chunk[0].data) {
			pool_wait(conn);
			return STEP_WAIT;
		}
	}
	begin(conn, request);
	return STEP_AGAIN;
}

enum step request_step(struct connection *conn)
{
	return conn->in ? payload_step(conn) : header_step(conn);
}
