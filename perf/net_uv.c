/* SPDX-License-Identifier: MIT */
/* The same server on libuv: one buffer for all, what comes is sent at once, and
 * only what the socket does not take is copied and queued. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "perf/net.h"

struct rest {
	uv_write_t write;
	char data[];
};

static const struct net_job *job;
static char *chunk;

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	(void)handle;
	(void)suggested;
	*out = uv_buf_init(chunk, (unsigned)job->chunk);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

static void hang_up(uv_stream_t *stream)
{
	if (!uv_is_closing((uv_handle_t *)stream))
		uv_close((uv_handle_t *)stream, on_closed);
}

static void on_written(uv_write_t *write, int status)
{
	if (status < 0)
		hang_up(write->handle);
	free(write);
}

static void queue(uv_stream_t *stream, const char *from, size_t len)
{
	struct rest *rest = malloc(sizeof *rest + len);
	uv_buf_t buf;

	if (!rest)
		abort();
	memcpy(rest->data, from, len);
	buf = uv_buf_init(rest->data, (unsigned)len);
	if (uv_write(&rest->write, stream, &buf, 1, on_written) < 0) {
		free(rest);
		hang_up(stream);
	}
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
	uv_buf_t out;
	int sent;

	if (got == 0)
		return;
	if (got < 0) {
		hang_up(stream);
		return;
	}
	job->page->bytes += (uint64_t)got;
	if (job->stream)
		return;
	out = uv_buf_init(buf->base, (unsigned)got);
	sent = uv_try_write(stream, &out, 1);
	if (sent < 0)
		sent = 0;
	if (sent < got)
		queue(stream, buf->base + sent, (size_t)(got - sent));
}

static void on_connection(uv_stream_t *listener, int status)
{
	uv_tcp_t *conn = malloc(sizeof *conn);

	if (status < 0 || !conn)
		net_cannot(job->page, "accept: %s", uv_strerror(status));
	uv_tcp_init(listener->loop, conn);
	if (uv_accept(listener, (uv_stream_t *)conn) < 0)
		net_cannot(job->page, "accept failed");
	uv_tcp_nodelay(conn, 1);
	job->page->accepted++;
	uv_read_start((uv_stream_t *)conn, on_alloc, on_read);
}

void net_serve_libuv(const struct net_job *given, unsigned variant)
{
	static uv_loop_t loop;
	static uv_tcp_t listener;
	char setup[80];
	int rc;

	(void)variant;
	job = given;
	chunk = malloc(job->chunk);
	if (!chunk)
		abort();
	uv_loop_init(&loop);
	uv_tcp_init(&loop, &listener);
	rc = uv_tcp_open(&listener, job->listener);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&listener, 4096, on_connection);
	if (rc < 0)
		net_cannot(job->page, "libuv: %s", uv_strerror(rc));
	snprintf(setup, sizeof setup, "read_start, try_write, libuv %s",
		 uv_version_string());
	net_serving(job->page, setup);
	uv_run(&loop, UV_RUN_DEFAULT);
}
