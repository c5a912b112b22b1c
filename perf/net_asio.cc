/* SPDX-License-Identifier: MIT */
/* Asio on its epoll reactor: see net_asio.h. */
#define asio asio_on_epoll
#include "perf/net_asio.h"

void net_serve_asio_epoll(const struct net_job *given, unsigned)
{
	serve(given, "async_read_some, async_write; reactor epoll");
}
