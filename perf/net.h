/* SPDX-License-Identifier: MIT */
/*
 * What the servers, the load and the commands of the network part share.
 *
 * A way is one way to write the same server: it takes every connection of a
 * listener and sends back what it receives (or, for a stream, throws it away).
 * Each runs in a child process of its own, so that its processor time, system
 * calls and memory are its alone; the load is in the command's own process. The
 * two talk through one shared page.
 */
#ifndef PEAL_PERF_NET_H
#define PEAL_PERF_NET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NET_STARTING, NET_SERVING, NET_CANNOT };

/* One writer, the server; the command reads. Counters that a side does not
 * keep stay 0. */
struct net_page {
	uint32_t state;		/* NET_*; atomic */
	uint32_t asked;		/* SIGUSR1 asks for fresh counters ... */
	uint32_t answered;	/* ... and this follows; atomic, both */
	uint32_t accepted;	/* connections */
	uint64_t bytes;		/* received */
	uint64_t recvs;		/* receive entries or calls */
	uint64_t sends;		/* send entries or calls */
	uint64_t waits;		/* epoll_wait, io_uring_enter, poll, ... */
	uint64_t fixed_files;	/* entries that name a direct descriptor */
	uint64_t rearmed;	/* multishot receives armed again */
	uint64_t bundles;	/* receives of more than one buffer */
	uint64_t starved;	/* receives that found no buffer */
	char reason[256];	/* NET_CANNOT: why */
	char setup[256];	/* what is in effect, in the server's words */
};

#define NET_BUFFERS	256u	/* of a group: messages that they hold */

struct net_job {
	int listener;		/* blocking; address in use by nobody else */
	unsigned connections;	/* at most */
	size_t chunk;		/* bytes a receive takes at most */
	unsigned buffers;	/* of a group; a power of two */
	int stream;		/* throw away what comes */
	struct net_page *page;
};

/* net_way.flags */
#define NET_SPINS	(1u << 0)	/* never sleeps: stopped between slices */
#define NET_COUNTS	(1u << 1)	/* keeps the page's counters */
#define NET_ASKED	(1u << 2)	/* ... but only when asked by SIGUSR1 */
#define NET_ONE_ARM	(1u << 3)	/* proof: few receives per message */
#define NET_DIRECT	(1u << 4)	/* proof: every entry a direct one */
#define NET_BUNDLES	(1u << 5)	/* proof: there are some */

/* --- for the servers ------------------------------------------------------ */

/* Says that the server is ready: the load comes now. */
void net_serving(struct net_page *page, const char *setup);

/* The server cannot run here: n/a, for this reason. Ends the process. */
__attribute__((noreturn, format(printf, 2, 3)))
void net_cannot(struct net_page *page, const char *why, ...);

/* Zeroed memory that counts as it is touched, so that a server may have a place
 * for every connection that could come. Cannot fail: see net_cannot(). */
void *net_map(struct net_page *page, size_t size);

void net_serve_epoll(const struct net_job *job, unsigned variant);
void net_serve_model(const struct net_job *job, unsigned variant);
void net_serve_threads(const struct net_job *job, unsigned variant);
void net_serve_uring(const struct net_job *job, unsigned variant);
void net_serve_peal(const struct net_job *job, unsigned variant);
void net_serve_libuv(const struct net_job *job, unsigned variant);
void net_serve_libevent(const struct net_job *job, unsigned variant);
void net_serve_asio_epoll(const struct net_job *job, unsigned variant);
void net_serve_asio_uring(const struct net_job *job, unsigned variant);

/* variant of net_serve_epoll */
enum { NET_LEVEL, NET_EDGE };
/* variant of net_serve_model */
enum { NET_POLLING, NET_SELECT, NET_POLL, NET_SIGIO };
/* variant of net_serve_uring and net_serve_peal: bits */
enum { NET_GROUP = 1, NET_FILES = 2, NET_ON_EPOLL = 4, NET_BUNDLE = 8 };
/* variant of net_serve_libevent */
enum { NET_EVENT, NET_BUFFEREVENT };

struct net_way {
	const char *name;
	unsigned flags;
	unsigned most;		/* connections it can have; 0: no limit */
	const char *missing;	/* not built in: why; NULL: it is */
	void (*serve)(const struct net_job *job, unsigned variant);
	unsigned variant;	/* handed to serve() */
	const char *about;
};

#if PERF_HAVE_LIBUV
#define LIBUV_MISSING NULL
#else
#define LIBUV_MISSING "built without libuv: pkg-config does not find it"
#define net_serve_libuv NULL
#endif
#if PERF_HAVE_LIBEVENT
#define LIBEVENT_MISSING NULL
#else
#define LIBEVENT_MISSING "built without libevent: pkg-config does not find " \
			 "libevent"
#define net_serve_libevent NULL
#endif
#if PERF_HAVE_ASIO
#define ASIO_MISSING NULL
#else
#define ASIO_MISSING "built without Asio: the C++ compiler does not find " \
		     "asio.hpp"
#define net_serve_asio_epoll NULL
#define net_serve_asio_uring NULL
#endif

/* All of them: X(id, name, flags, most, missing, serve, variant, about). */
#define NET_WAYS(X)							\
	X(uring, "uring", NET_COUNTS, 0, NULL, net_serve_uring, 0,		\
	  "bare liburing, the floor: recv, send")			\
	X(uring_group, "uring-group", NET_COUNTS | NET_ONE_ARM, 0, NULL,	\
	  net_serve_uring, NET_GROUP,					\
	  "bare liburing: multishot recv, shared buffers")		\
	X(uring_direct, "uring-direct", NET_COUNTS | NET_ONE_ARM | NET_DIRECT, \
	  0, NULL, net_serve_uring, NET_GROUP | NET_FILES,		\
	  "the same on direct descriptors")				\
	X(peal, "peal", NET_COUNTS | NET_ASKED, 0, NULL, net_serve_peal, 0,		\
	  "peal: recv, send_full")					\
	X(peal_group, "peal-group", NET_COUNTS | NET_ASKED | NET_ONE_ARM, \
	  0, NULL, net_serve_peal, NET_GROUP,				\
	  "peal: multishot recv, a buffer group, send_full")		\
	X(peal_direct, "peal-direct", NET_COUNTS | NET_ASKED |		\
	  NET_ONE_ARM | NET_DIRECT, 0, NULL, net_serve_peal,		\
	  NET_GROUP | NET_FILES, "the same on direct descriptors")	\
	X(peal_bundle, "peal-bundle", NET_COUNTS | NET_ASKED | NET_ONE_ARM | \
	  NET_BUNDLES, 0, NULL, net_serve_peal, NET_GROUP | NET_BUNDLE,	\
	  "peal-group, several buffers filled at a time")		\
	X(peal_epoll, "peal-epoll", NET_COUNTS | NET_ASKED, 0, NULL, net_serve_peal,	\
	  NET_ON_EPOLL, "the same program on peal's epoll engine")	\
	X(epoll, "epoll", NET_COUNTS, 0, NULL, net_serve_epoll, NET_LEVEL,	\
	  "epoll by hand, level-triggered")				\
	X(epoll_edge, "epoll-edge", NET_COUNTS, 0, NULL, net_serve_epoll,	\
	  NET_EDGE, "epoll by hand, edge-triggered")			\
	X(libuv, "libuv", 0, 0, LIBUV_MISSING, net_serve_libuv, 0,	\
	  "libuv: read_start, try_write")				\
	X(libevent, "libevent", 0, 0, LIBEVENT_MISSING,			\
	  net_serve_libevent, NET_EVENT,				\
	  "libevent: persistent events, recv, send")			\
	X(bufferevent, "bufferevent", 0, 0, LIBEVENT_MISSING,		\
	  net_serve_libevent, NET_BUFFEREVENT,				\
	  "libevent: buffered connections")				\
	X(asio, "asio", 0, 0, ASIO_MISSING, net_serve_asio_epoll, 0,	\
	  "standalone Asio on its epoll reactor")			\
	X(asio_uring, "asio-uring", 0, 0, ASIO_MISSING,			\
	  net_serve_asio_uring, 0,					\
	  "standalone Asio on its io_uring back end")			\
	X(threads, "threads", 0, 0, NULL, net_serve_threads, 0,		\
	  "a thread per connection, blocking calls")			\
	X(polling, "polling", NET_COUNTS | NET_SPINS, 0, NULL,		\
	  net_serve_model, NET_POLLING,					\
	  "non-blocking sockets, all asked in turn")			\
	X(select, "select", NET_COUNTS, 1000, NULL, net_serve_model,	\
	  NET_SELECT, "select(2)")					\
	X(poll, "poll", NET_COUNTS, 0, NULL, net_serve_model, NET_POLL,	\
	  "poll(2)")							\
	X(sigio, "sigio", NET_COUNTS, 0, NULL, net_serve_model, NET_SIGIO,	\
	  "signal-driven: a queued signal per event")

#define NET_ID(id, ...) NET_WAY_##id,
enum { NET_WAYS(NET_ID) NET_WAY_COUNT };
#undef NET_ID

extern const struct net_way net_ways[NET_WAY_COUNT];

#ifdef __cplusplus
}
#endif
#endif
