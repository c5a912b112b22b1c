/* SPDX-License-Identifier: MIT */
/* Asio on io_uring, for sockets too: see net_asio.h. */
#define ASIO_HAS_IO_URING 1
#define ASIO_DISABLE_EPOLL 1
#define asio asio_on_uring
#include "perf/net_asio.h"

void net_serve_asio_uring(const struct net_job *given, unsigned)
{
#ifdef ASIO_HAS_IO_URING_AS_DEFAULT
	serve(given, "async_read_some, async_write; io_uring service");
#else
	(void)&serve;
	net_cannot(given->page, "this Asio has no io_uring for sockets");
#endif
}
