/* SPDX-License-Identifier: MIT */
/*
 * The pool of chunks: all the memory that requests' data ever uses.
 *
 * Invariants: shared_left + (chunks taken beyond each connection's first) is
 * constant; count >= max_connections. So every connection can always take one
 * chunk, whatever the others do, and a request that holds one can finish with
 * it: nobody waits in a circle. The free list is a stack: what was used last
 * is in the caches, and what was never needed is never touched.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "nbd.h"

int pool_open(struct pool *pool, uint64_t bytes, uint32_t reserved)
{
	pool->count = (uint32_t)(bytes / CHUNK_STRIDE);
	pool->size = (size_t)pool->count * CHUNK_STRIDE;
	pool->shared_left = pool->count - reserved;
	pool->free = calloc(pool->count, sizeof(*pool->free));
	if (!pool->free)
		return -ENOMEM;
	pool->memory = mmap(NULL, pool->size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pool->memory == MAP_FAILED)
		return -ENOMEM;
	/* Huge pages would make one small request resident with 2 MiB. */
	madvise(pool->memory, pool->size, MADV_NOHUGEPAGE);
	for (uint32_t i = pool->count; i-- > 0;)
		pool->free[pool->free_count++] = pool->memory +
			(size_t)i * CHUNK_STRIDE + CHUNK_HEADROOM;
	return 0;
}

/* NULL: the connection has its own one, and the shared ones are taken. */
uint8_t *pool_take(struct connection *conn)
{
	struct pool *pool = &conn->server->pool;

	if (conn->chunks > 0) {
		if (pool->shared_left == 0)
			return NULL;
		pool->shared_left--;
	}
	conn->chunks++;
	return pool->free[--pool->free_count];
}

static void wake_all(struct pool *pool, struct server *server)
{
	struct connection *conn = pool->first_waiting;

	pool->first_waiting = pool->last_waiting = NULL;
	while (conn) {
		struct connection *next = conn->next_waiting;

		conn->waiting = false;
		server_work(server, conn);
		conn = next;
	}
}

void pool_give(struct connection *conn, uint8_t *data)
{
	struct pool *pool = &conn->server->pool;

	pool->free[pool->free_count++] = data;
	if (--conn->chunks > 0)
		pool->shared_left++;
	if (pool->first_waiting)
		wake_all(pool, conn->server);
}

/* Puts conn on the work list when a chunk has been given back. */
void pool_wait(struct connection *conn)
{
	struct pool *pool = &conn->server->pool;

	if (conn->waiting)
		return;
	conn->waiting = true;
	conn->next_waiting = NULL;
	if (pool->last_waiting)
		pool->last_waiting->next_waiting = conn;
	else
		pool->first_waiting = conn;
	pool->last_waiting = conn;
}

void pool_forget(struct connection *conn)
{
	struct pool *pool = &conn->server->pool;
	struct connection **at = &pool->first_waiting;
	struct connection *last = NULL;

	if (!conn->waiting)
		return;
	while (*at != conn) {
		last = *at;
		at = &last->next_waiting;
	}
	*at = conn->next_waiting;
	if (pool->last_waiting == conn)
		pool->last_waiting = last;
	conn->waiting = false;
}
