/* SPDX-License-Identifier: MIT */
/* The commands net and models: TCP servers in every way there is, on one
 * load. */
#include "perf/bench.h"
#include "perf/commands.h"
#include "perf/net_bench.h"
#include "perf/net_limits.h"
#include "perf/workloads.h"

#define AXES(sizes, many, some)						\
	{ "traffic", "echo", "echo,stream", "echo,stream", 0,		\
	  "send back what comes, or throw it away" },			\
	{ "size", sizes, NULL, "64,1k,16k,64k", 0,			\
	  "bytes of a message, at most 16M" },				\
	{ "connections", many, NULL, "1,64,1000", 0, "at most 1M" },	\
	{ "busy", some, NULL, NULL, 0,					\
	  "of them send at a time; 0: all" },				\
	{ "buffer", "0", NULL, NULL, 1,					\
	  "bytes of a receive at most; 0: a message's, at least 4k" }

static const struct axis net_axes[] = { AXES("64", "64", "0") };
static const struct axis models_axes[] = { AXES("64", "1000", "16") };

static const struct side *const net_sides[] = {
	&net_side_uring, &net_side_uring_group, &net_side_uring_direct,
	&net_side_peal, &net_side_peal_group, &net_side_peal_direct,
	&net_side_peal_bundle, &net_side_peal_epoll, &net_side_epoll,
	&net_side_epoll_edge,
	&net_side_libuv, &net_side_libevent, &net_side_bufferevent,
	&net_side_asio, &net_side_asio_uring, &net_side_threads, NULL
};

/* The five models of the textbooks, the ring's two, peal's. */
static const struct side *const models_sides[] = {
	&net_side_uring, &net_side_uring_group, &net_side_peal,
	&net_side_peal_group, &net_side_peal_direct, &net_side_epoll,
	&net_side_epoll_edge, &net_side_threads, &net_side_polling,
	&net_side_select, &net_side_poll, &net_side_sigio, NULL
};

static const struct bench_option options[] = {
	{ "verify", &net_verify, 1, "compare every byte, in timed slices too" },
	{ NULL, NULL, 0, NULL }
};

static const char *prepare(void)
{
	net_raise_files();
	return NULL;
}

static const char *senseless(const struct perf_case *at)
{
	uint64_t size = case_number(at, "size");
	uint64_t connections = case_number(at, "connections");
	uint64_t buffer = case_number(at, "buffer");

	if (size < 1 || size > 16u << 20)
		return "size is 1 to 16M";
	if (connections < 1 || connections > 1024 * 1024)
		return "connections is 1 to 1M";
	if (case_number(at, "busy") > connections)
		return "more busy than there are connections";
	if (buffer && (buffer < 64 || buffer > 16u << 20))
		return "buffer is 64 to 16M, or 0";
	return NULL;
}

const struct workload workload_net = {
	.name = "net",
	.line = "TCP on loopback: what a message costs the server",
	.op = "message",
	.open_loop = 1,
	.axes = net_axes,
	.axis_count = sizeof net_axes / sizeof *net_axes,
	.sides = net_sides,
	.options = options,
	.prepare = prepare,
	.senseless = senseless,
};

const struct workload workload_models = {
	.name = "models",
	.line = "the classic I/O models on one echo server, and peal",
	.op = "message",
	.open_loop = 1,
	.axes = models_axes,
	.axis_count = sizeof models_axes / sizeof *models_axes,
	.sides = models_sides,
	.options = options,
	.prepare = prepare,
	.senseless = senseless,
};

static int net_main(int argc, char **argv)
{
	return bench_main(&workload_net, argc, argv);
}

static int models_main(int argc, char **argv)
{
	return bench_main(&workload_models, argc, argv);
}

const struct command command_net = {
	"net", "TCP echo and stream, beside epoll and other libraries",
	net_main,
};

const struct command command_models = {
	"models", "the classic I/O models, 16 busy of 1000 connections",
	models_main,
};
