/* SPDX-License-Identifier: MIT */
/* The ways to write the server, and what each of them calls. */
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "perf/net.h"

#define WAY(id, name, flags, most, missing, serve, variant, about) \
	{ name, flags, most, missing, serve, variant, about },

const struct net_way net_ways[NET_WAY_COUNT] = { NET_WAYS(WAY) };

void net_serving(struct net_page *page, const char *setup)
{
	snprintf(page->setup, sizeof page->setup, "%s", setup);
	__atomic_store_n(&page->state, NET_SERVING, __ATOMIC_RELEASE);
}

void net_cannot(struct net_page *page, const char *why, ...)
{
	va_list args;

	va_start(args, why);
	vsnprintf(page->reason, sizeof page->reason, why, args);
	va_end(args);
	__atomic_store_n(&page->state, NET_CANNOT, __ATOMIC_RELEASE);
	_exit(0);
}

void *net_map(struct net_page *page, size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		net_cannot(page, "no memory for %zu bytes", size);
	return memory;
}
