/* SPDX-License-Identifier: MIT */
/*
 * Requests: parsed, checked, handed to who carries them out, and followed to
 * their reply.
 *
 * refs counts what is under way for a request: file ops, pieces of its reply
 * being sent, its payload being received, a sync. When it falls to 0, the next
 * stage follows: a sync (FUA), the reply, or the end.
 */
#include <errno.h>
#include "nbd.h"

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
void request_fail(struct request *request, int64_t error)
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
		request_fail(request, -EIO);
	request_unref(request);
}

static void carry_out(struct request *request)
{
	struct connection *conn = request->conn;
	struct counters *counters = &conn->server->counters;

	switch (request->type) {
	case NBD_CMD_READ:
		counters->reads++;
		counters->bytes_read += request->length;
		transfer_read(request);
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
		range_trim(request);
		break;
	case NBD_CMD_CACHE:
		counters->caches++;
		range_cache(request);
		break;
	default:
		counters->zeroes++;
		range_zero(request);
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
		connection_fail(conn);
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
	return conn->in ? transfer_payload(conn) : header_step(conn);
}
