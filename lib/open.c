/* SPDX-License-Identifier: MIT */
/* Opening a ring: options, the choice of the engine, memory. */
#include <stdlib.h>
#include <string.h>
#include "lib/direct.h"
#include "lib/start.h"

#define DEFAULT_ENTRIES	256u
#define DEFAULT_MAX_OPS	65536u
#define DEFAULT_POSTS	1024u
#define DEFAULT_THREADS	4u
#define MAX_THREADS	64u
#define MAX_ENTRIES	32768u
#define MAX_POSTS	(1u << 24)

/* libc's memory, zeroed lazily (calloc maps large blocks), aligned by hand:
 * the block's own address stands in the word before. */
static void *libc_alloc(void *ctx, size_t size, size_t align)
{
	char *block = calloc(1, size + align + sizeof(void *));
	uintptr_t at;

	(void)ctx;
	if (!block)
		return NULL;
	at = (uintptr_t)block + sizeof(void *) + align - 1;
	at -= at % align;
	memcpy((char *)at - sizeof(void *), &block, sizeof(void *));
	return (void *)at;
}

static void libc_free(void *ctx, void *memory, size_t size)
{
	void *block;

	(void)ctx;
	(void)size;
	memcpy(&block, (char *)memory - sizeof(void *), sizeof(void *));
	free(block);
}

/* Of none given, libc's. */
int peal__allocator_check(struct peal_allocator *allocator)
{
	if (!allocator->alloc != !allocator->free)
		return -EINVAL;
	if (!allocator->alloc)
		*allocator = (struct peal_allocator){ libc_alloc, libc_free,
						      NULL };
	return 0;
}

void *peal__alloc(struct peal_ring *ring, size_t size, size_t align)
{
	return ring->allocator.alloc(ring->allocator.ctx, size, align);
}

void peal__free(struct peal_ring *ring, void *memory, size_t size)
{
	if (memory)
		ring->allocator.free(ring->allocator.ctx, memory, size);
}

static int too_many(const char *what, uint32_t asked, uint32_t most)
{
	peal__reason("options.%s is %u; the most is %u: ask for less",
		     what, asked, most);
	return -EINVAL;
}

/* Checks *in and fills in the defaults. */
static int read_options(struct peal_ring_options *out,
			const struct peal_ring_options *in)
{
	static const struct peal_ring_options none = PEAL_RING_OPTIONS;

	*out = none;
	if (in) {
		if (in->size < sizeof(uint32_t) || in->size > sizeof *out) {
			peal__reason("options.size is %u, this library knows "
				     "%zu: start from PEAL_RING_OPTIONS, and "
				     "compile and link against one version",
				     in->size, sizeof *out);
			return -EINVAL;
		}
		memcpy(out, in, in->size);
	}
	if (!out->entries)
		out->entries = DEFAULT_ENTRIES;
	if (!out->max_ops)
		out->max_ops = DEFAULT_MAX_OPS;
	if (!out->max_posts)
		out->max_posts = DEFAULT_POSTS;
	if (out->entries > MAX_ENTRIES)
		return too_many("entries", out->entries, MAX_ENTRIES);
	if (out->cq_entries > 2 * MAX_ENTRIES)
		return too_many("cq_entries", out->cq_entries,
				2 * MAX_ENTRIES);
	if (out->cq_entries && out->cq_entries < out->entries) {
		peal__reason("options.cq_entries is %u and options.entries is "
			     "%u: a ring needs at least as many completions "
			     "as submissions: raise cq_entries or lower "
			     "entries", out->cq_entries, out->entries);
		return -EINVAL;
	}
	if (out->max_ops > PEAL__MAX_OPS)
		return too_many("max_ops", out->max_ops, PEAL__MAX_OPS);
	if (out->pool_threads > MAX_THREADS)
		return too_many("pool_threads", out->pool_threads,
				MAX_THREADS);
	if (out->max_posts > MAX_POSTS)
		return too_many("max_posts", out->max_posts, MAX_POSTS);
	if (out->flags & ~(PEAL_RING_SQPOLL | PEAL_RING_IOPOLL)) {
		peal__reason("options.flags is %#x; known are %#x: clear the "
			     "others", out->flags,
			     PEAL_RING_SQPOLL | PEAL_RING_IOPOLL);
		return -EINVAL;
	}
	if (peal__allocator_check(&out->allocator) == 0)
		return 0;
	peal__reason("options.allocator has only one of alloc and free: set "
		     "both or none");
	return -EINVAL;
}

/* The engines of this system, the best one first. */
static const struct peal__engine *const engines[] = {
#ifdef _WIN32
	&peal__iocp_engine,
#define FALL_BACK 0
#else
	&peal__uring_engine,
	&peal__epoll_engine,
	&peal__sim_engine,	/* by name only, as is: */
	&peal__replay_engine,
#define FALL_BACK 1		/* place of what the first is replaced by */
#endif
};

enum { ENGINES = sizeof engines / sizeof *engines };

static void no_such_engine(const char *by, const char *name)
{
	char names[64] = "";
	unsigned i;

	for (i = 0; i < ENGINES; i++)
		snprintf(names + strlen(names), sizeof names - strlen(names),
			 "%s\"%s\"", !i ? "" : i + 1 < ENGINES ? ", " : " and ",
			 engines[i]->name);
	peal__reason("%s asks for the engine \"%s\"; this library has %s",
		     by, name, names);
}

/* The engine of a simulated machine that the ring was put on: that is said
 * before PEAL_ENGINE is. Or NULL. */
static const struct peal__engine *
simulated(const struct peal_ring_options *options, const char **by)
{
#ifdef _WIN32
	(void)options;
	(void)by;
	return NULL;
#else
	*by = options->sim_node ? "options.sim_node" : "peal_sim_enter()";
	if (options->sim_node || (!options->engine && peal__sim_here()))
		return &peal__sim_engine;
	return NULL;
#endif
}

/* options.engine, else PEAL_ENGINE, else NULL: the best that works. -ENOENT:
 * a name that is none. */
static int choose_engine(const struct peal_ring_options *options,
			 const struct peal__engine **out, const char **by)
{
	const char *name = options->engine;
	unsigned i;

	*out = simulated(options, by);
	if (*out)
		return 0;
	*by = "options.engine";
	if (!name) {
		name = getenv("PEAL_ENGINE");
		*by = "PEAL_ENGINE";
	}
	if (!name || !*name)
		return 0;
	for (i = 0; i < ENGINES; i++)
		if (!strcmp(name, engines[i]->name))
			*out = engines[i];
	if (*out)
		return 0;
	no_such_engine(*by, name);
	return -ENOENT;
}

/* Errors that another engine may not have: io_uring is missing, forbidden, or
 * has no memory left to lock. */
static int may_fall_back(int error)
{
	return error == -ENOSYS || error == -EPERM || error == -EACCES ||
	       error == -ENOMEM;
}

static struct peal_ring *new_ring(const struct peal_ring_options *options)
{
	struct peal_ring *ring = options->allocator.alloc(
		options->allocator.ctx, sizeof *ring, 64);

	if (ring)
		ring->allocator = options->allocator;
	return ring;
}

void peal__bury(const struct peal_allocator *allocator, enum peal__yard yard,
		void *closed, size_t size)
{
	if (allocator->alloc == libc_alloc)
		closed = peal__grave_add(yard, closed);
	if (closed)
		allocator->free(allocator->ctx, closed, size);
}

void peal__ring_free(struct peal_ring *ring)
{
	const struct peal_allocator allocator = ring->allocator;

	ring->owner = NULL;
	peal__bury(&allocator, YARD_RINGS, ring, sizeof *ring);
}

static int no_memory(const struct peal_ring_options *options)
{
	peal__reason("the allocator had no room for %u ops of %zu bytes, %u "
		     "posts and %u bytes to bounce: lower options.max_ops or "
		     "raise the memory limit", options->max_ops,
		     sizeof(struct peal__row), options->max_posts,
		     options->bounce_bytes);
	return -ENOMEM;
}

/* The engine that was asked for, or the first one that works; why stands in
 * the ring's reason. */
static int open_engine(struct peal_ring *ring,
		       const struct peal_ring_options *options,
		       const struct peal__engine *asked, const char *by)
{
	int rc;

	ring->engine = asked ? asked : engines[0];
	rc = ring->engine->open(ring, options);
	if (rc == 0 && asked)
		peal__engine_reason(ring, "asked for by %s", by);
	else if (rc == 0)
		peal__engine_reason(ring, "the kernel has it");
	if (rc == 0 || asked || !FALL_BACK || !may_fall_back(rc))
		return rc;
	peal__engine_reason(ring, "instead of %s: %s", engines[0]->name,
			    peal_open_reason());
	memset(&ring->queues, 0, sizeof ring->queues);
	memset(ring->can, 0, sizeof ring->can);
	ring->engine = engines[FALL_BACK];
	return ring->engine->open(ring, options);
}

static int open_memory(struct peal_ring *ring,
		       const struct peal_ring_options *options)
{
	uint32_t threads = options->pool_threads ? options->pool_threads
						 : DEFAULT_THREADS;

	if (peal__table_open(ring, options->max_ops) < 0)
		return no_memory(options);
	if (peal__posts_open(ring, options->max_posts) < 0) {
		peal__table_close(ring);
		return no_memory(options);
	}
	if (peal__jobs_open(ring, threads) < 0) {
		peal__posts_close(ring);
		peal__table_close(ring);
		return no_memory(options);
	}
	if (peal__memory_open(ring, options->bounce_bytes) < 0) {
		peal__jobs_close(ring);
		peal__posts_close(ring);
		peal__table_close(ring);
		return no_memory(options);
	}
	return 0;
}

static void close_memory(struct peal_ring *ring)
{
	peal__memory_close(ring);
	peal__jobs_close(ring);
	peal__posts_close(ring);
	peal__table_close(ring);
}

static int open_direct(struct peal_ring *ring,
		       const struct peal_ring_options *options)
{
	int rc = peal__direct_open(ring, options->direct_fds);

	if (rc < 0) {
		peal__reason("the allocator had no room for %u direct "
			     "descriptors: lower options.direct_fds",
			     options->direct_fds);
		ring->engine->close(ring);
	}
	return rc;
}

static int begin_record(struct peal_ring *ring)
{
#ifdef _WIN32
	(void)ring;
	return 0;
#else
	int rc = peal__record_begin(ring);

	if (rc < 0)
		ring->engine->close(ring);
	return rc;
#endif
}

static void start_clock(struct peal_ring *ring)
{
	peal__read_clock(ring);
	ring->now_ms = peal__age_clock(ring);
	ring->wheel.tick = ring->now >> 14;
}

int peal_ring_open(struct peal_ring **out_ring,
		   const struct peal_ring_options *given)
{
	struct peal_ring_options options;
	const struct peal__engine *asked;
	struct peal_ring *ring;
	const char *by;
	int rc;

	peal__reason("%s", "");
	rc = read_options(&options, given);
	if (rc == 0)
		rc = choose_engine(&options, &asked, &by);
	if (rc < 0)
		return rc;
	ring = new_ring(&options);
	if (!ring)
		return no_memory(&options);
	ring->owner = &peal__this_thread;
	rc = peal__disable_parse(&ring->disable, &options);
	if (rc == 0)
		rc = open_memory(ring, &options);
	if (rc == 0) {
		rc = open_engine(ring, &options, asked, by);
		if (rc == 0)
			rc = begin_record(ring);
		if (rc == 0)
			rc = open_direct(ring, &options);
		if (rc < 0)
			close_memory(ring);
	}
	if (rc < 0) {
		peal__ring_free(ring);
		return rc;
	}
	ring->zc.least = options.zc_bytes;
	start_clock(ring);
	peal__memory_watch(ring);
	peal__gate_set(ring, 0);
	peal__ring_enlist(ring);
	peal__sigpipe_block();
	*out_ring = ring;
	return 0;
}
