/* SPDX-License-Identifier: MIT */
/* Messages to a loop of libuv: its async handle is a flag, so they are counted
 * beside it. */
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>
#include "perf/wake.h"

struct loop {
	uv_loop_t loop;
	uv_async_t async;
	_Atomic uint64_t posted;
	uint64_t taken;
};

static void on_async(uv_async_t *async)
{
	struct wake_loop *loop = async->data;
	struct loop *mine = loop->state;
	uint64_t posted = atomic_load(&mine->posted);
	uint64_t count = posted - mine->taken;

	mine->taken = posted;
	if (count)
		wake_came(loop, count);
}

static const char *open_loop(struct wake_loop *loop)
{
	struct loop *mine = calloc(1, sizeof *mine);

	if (!mine || uv_loop_init(&mine->loop) < 0)
		abort();
	uv_async_init(&mine->loop, &mine->async, on_async);
	mine->async.data = loop;
	loop->state = mine;
	return NULL;
}

static int post(struct wake_loop *loop)
{
	struct loop *mine = loop->state;

	atomic_fetch_add(&mine->posted, 1);
	return uv_async_send(&mine->async);
}

static const char *run(struct wake_loop *loop, uint64_t until)
{
	while (loop->seen < until)
		uv_run(&((struct loop *)loop->state)->loop, UV_RUN_ONCE);
	return NULL;
}

static void close_loop(struct wake_loop *loop)
{
	struct loop *mine = loop->state;

	uv_close((uv_handle_t *)&mine->async, NULL);
	uv_run(&mine->loop, UV_RUN_DEFAULT);
	uv_loop_close(&mine->loop);
	free(mine);
}

static const struct wake_kind on_uv = { open_loop, post, run, close_loop };
WAKE_SIDE(wake_uv, "libuv", on_uv);
