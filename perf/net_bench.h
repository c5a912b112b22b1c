/* SPDX-License-Identifier: MIT */
/* A way to write the server as a side of a workload. */
#ifndef PEAL_PERF_NET_BENCH_H
#define PEAL_PERF_NET_BENCH_H

#include "perf/net.h"
#include "perf/side.h"

/* net_side_uring, net_side_peal, ... */
#define NET_DECLARE(id, ...) extern const struct side net_side_##id;
NET_WAYS(NET_DECLARE)
#undef NET_DECLARE

/* Not NULL: compare each byte that comes back, not only in the slice that
 * proves. */
extern const char *net_verify;

#endif
