/* SPDX-License-Identifier: MIT */
/*
 * Reads and writes of a file: what buffers, descriptors and set-up flags are
 * worth, and how peal compares to what else there is.
 */
#include <string.h>
#include "perf/bench.h"
#include "perf/commands.h"
#include "perf/file_sides.h"
#include "perf/rings.h"
#include "perf/workloads.h"

#define MOST_DEPTH	1024

static const struct axis axes[] = {
	{ "buffers", "plain,registered",
	  "plain,registered,registered+huge,jemalloc,auto",
	  "plain,registered,registered+huge,jemalloc,auto", 1,
	  "memory; auto: an arena, and the library chooses the form" },
	{ "files", "fd,registered", "fd,registered,direct",
	  "fd,registered,direct", 1,
	  "descriptors; direct: opened into the ring's own table" },
	RINGS_FLAGS_AXIS("defer"),
	{ "rwf", "none", "none,nowait,dontcache", "none", 1,
	  "nowait: a try that may not wait, then without; dontcache" },
	{ "block", "4k", NULL, "4k,16k,64k", 0, "bytes of each transfer" },
	{ "depth", "1,32,128", NULL, "1,8,32,128", 0,
	  "operations in flight, at most 1024" },
	{ "batch", "1", NULL, "1,8", 0,
	  "start again when so many have ended, together" },
	{ "open", "buffered,o_direct", "buffered,o_direct", NULL, 0,
	  "page cache or not" },
	{ "reads", "100", NULL, "100,70,0", 0, "per cent; the rest writes" },
	{ "order", "random", "random,sequential", "random,sequential", 0,
	  "of the offsets" },
	{ "sync", "none", "none,dsync,every1,every8,every64", NULL, 0,
	  "O_DSYNC, or fdatasync after every N writes" },
	{ "rings", "1", NULL, "1,2", 0, "threads, each with its own" },
};

#if !PERF_HAVE_LIBUV
static const struct side file_uv = SIDE_ABSENT("libuv", "libuv");
#endif
#if !PERF_HAVE_ASIO
static const struct side file_asio = SIDE_ABSENT("asio", "Asio");
#endif

static const struct side *const sides[] = {
	&file_bare, &file_peal,	   &file_uv,  &file_asio,
	&file_aio,  &file_threads, &file_fio, NULL,
};

static const struct bench_option options[] = {
	{ "dir", &file_directory, 0, "where the file is made (.)" },
	{ "size", &file_size, 0, "of the file (64M)" },
	{ "verify", &file_verify, 1, "check all data that is read" },
	{ NULL, NULL, 0, NULL },
};

static const char *senseless(const struct perf_case *at)
{
	uint64_t depth = case_number(at, "depth");
	uint64_t batch = case_number(at, "batch");
	uint64_t block = case_number(at, "block");
	uint64_t rings = case_number(at, "rings");

	if (depth < 1 || depth > MOST_DEPTH)
		return "depth is 1 to 1024";
	if (batch < 1 || batch > depth)
		return "batch is 1 to depth";
	if (block < 512 || block > 1u << 20 || block % 512)
		return "block is 512 bytes to 1 MiB, a multiple of 512";
	if (case_number(at, "reads") > 100)
		return "reads is a percentage";
	if (rings < 1 || rings > 64)
		return "rings is 1 to 64";
	if (case_number(at, "reads") == 100 && !case_is(at, "sync", "none"))
		return "reads have nothing to sync";
	if (case_is(at, "flags", "iopoll") && !case_is(at, "open", "o_direct"))
		return "the page cache cannot be polled";
	return NULL;
}

static const char *in_effect(const struct perf_case *at,
			     const struct counters *is)
{
	double fixed = is->data > 0 ? is->fixed / is->data : -1;
	double direct = is->data > 0 ? is->direct / is->data : -1;

	if (is->data < is->ops)
		return why("%.0f entries for %.0f operations", is->data,
			   is->ops);
	if (case_is(at, "buffers", "plain") ? fixed != 0
	    : !case_is(at, "buffers", "auto") && fixed != 1)
		return why("buffers=%s, but %.3f of the entries are fixed",
			   case_text(at, "buffers"), fixed);
	if (direct != (case_is(at, "files", "fd") ? 0 : 1))
		return why("files=%s, but %.3f of the entries name a "
			   "registered descriptor", case_text(at, "files"),
			   direct);
	if (is->flagged != (case_is(at, "rwf", "none") ? 0 : is->ops))
		return why("rwf=%s, but %.0f of %.0f entries have such a flag",
			   case_text(at, "rwf"), is->flagged, is->ops);
	return rings_flags_in_effect(at, is);
}

const struct workload workload_file = {
	.name = "file",
	.line = "reads and writes of a file",
	.op = "transfer",
	.open_loop = 1,
	.axes = axes,
	.axis_count = sizeof axes / sizeof *axes,
	.sides = sides,
	.options = options,
	.prepare = file_prepare,
	.finish = file_finish,
	.senseless = senseless,
	.in_effect = in_effect,
};

static int file_main(int argc, char **argv)
{
	return bench_main(&workload_file, argc, argv);
}

const struct command command_file = {
	"file", "reads and writes, by buffers, descriptors, depth, ...",
	file_main,
};
