/* SPDX-License-Identifier: MIT */
/* WRITE_ZEROES, TRIM and CACHE: ranges of the file, without data. */
#include <errno.h>
#include <fcntl.h>
#include "nbd.h"

static peal_handler on_zeroed, on_trimmed, on_cached;

/* What writes of zeroes are made of. */
static const uint8_t zeroes[CHUNK_LEN] __attribute__((aligned(4096)));

/* The next way to make zeroes, when one is not to be had. */
static int zero_otherwise(struct request *request, int64_t error)
{
	struct backing *backing = &request->conn->server->backing;

	if (error == -EINTR)
		return 0;	/* the same again: zeroes do no harm twice */
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

void range_zero(struct request *request)
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
		request_fail(request, op);
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
			request_fail(request, done->result);
		else if (!request->conn->closing)
			range_zero(request);
	} else if (request->zero == ZERO_WRITE) {
		request->done += (uint32_t)done->result;
		if (request->done < request->length && !request->conn->closing)
			range_zero(request);
	}
	request_unref(request);
}

/* A hint: who cannot take it has done no harm. */
static void trim_result(struct request *request, int64_t result)
{
	if (result == -EOPNOTSUPP)
		request->conn->server->backing.no_punch = true;
	else if (result < 0 && result != -EINVAL && result != -ENODEV &&
		 result != -EINTR)
		request_fail(request, result);
}

void range_trim(struct request *request)
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
void range_cache(struct request *request)
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
