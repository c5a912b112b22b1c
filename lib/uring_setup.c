/* SPDX-License-Identifier: MIT */
/*
 * Setting up an io_uring on whatever kernel this is. Features are tried, newest
 * first, and given up one at a time when the kernel says EINVAL; sizes are
 * halved when it says ENOMEM, after the limit on locked memory was raised as
 * far as it goes. What was given up is remembered for explain.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "lib/start.h"
#include "lib/uring.h"

#define LEAST_ENTRIES 64u
#define LAST_PAUSE_MS 32
#define MOST_TRIES 20u	/* half a second, on a busy machine not too long */

/* The order in which features are given up. */
static const enum peal__feature newest_first[] = {
	FEATURE_NO_SQARRAY,	/* 6.6 */
	FEATURE_DEFER,		/* 6.1 */
	FEATURE_SINGLE_ISSUER,	/* 6.0 */
	FEATURE_COOP,		/* 5.19 */
	FEATURE_SUBMIT_ALL,	/* 5.18 */
};

static int wants(const struct peal__uring *uring, enum peal__feature feature)
{
	return !((uring->disable.features | uring->peeled) & 1u << feature);
}

static uint32_t setup_flags(const struct peal__uring *uring,
			    const struct peal_ring_options *options)
{
	uint32_t flags = PEAL__SETUP_CLAMP | PEAL__SETUP_CQSIZE;
	int sqpoll = options->flags & PEAL_RING_SQPOLL;

	if (options->flags & PEAL_RING_IOPOLL)
		flags |= PEAL__SETUP_IOPOLL;
	if (options->attach)
		flags |= PEAL__SETUP_ATTACH_WQ;
	if (sqpoll)
		flags |= PEAL__SETUP_SQPOLL;
	if (sqpoll && options->sqpoll_cpu >= 0)
		flags |= PEAL__SETUP_SQ_AFF;
	if (wants(uring, FEATURE_SUBMIT_ALL))
		flags |= PEAL__SETUP_SUBMIT_ALL;
	if (wants(uring, FEATURE_NO_SQARRAY))
		flags |= PEAL__SETUP_NO_SQARRAY;
	if (wants(uring, FEATURE_SINGLE_ISSUER))
		flags |= PEAL__SETUP_SINGLE_ISSUER;
	if (sqpoll)	/* its thread runs the kernel's part: no task work */
		return flags;
	if (flags & PEAL__SETUP_SINGLE_ISSUER && wants(uring, FEATURE_DEFER))
		flags |= PEAL__SETUP_DEFER_TASKRUN | PEAL__SETUP_TASKRUN_FLAG;
	else if (wants(uring, FEATURE_COOP))
		flags |= PEAL__SETUP_COOP_TASKRUN | PEAL__SETUP_TASKRUN_FLAG;
	return flags;
}

/* 1: one feature less, try again; 0: nothing is left to give up. */
static int peel(struct peal__uring *uring)
{
	size_t i;

	for (i = 0; i < sizeof newest_first / sizeof *newest_first; i++) {
		if (!wants(uring, newest_first[i]))
			continue;
		uring->peeled |= 1u << newest_first[i];
		return 1;
	}
	return 0;
}

static void pause_ms(long ms)
{
	struct timespec ts = { 0, ms * 1000000 };

	nanosleep(&ts, NULL);
}

/* Memory of rings just closed comes back late; then there is the limit; then
 * there are smaller rings, and some more patience. 1: try again. */
static int more_memory(struct peal__uring *uring, unsigned *tries)
{
	if (++*tries == 1 && peal__memlock_raise())
		return 1;
	if (*tries <= 6) {
		pause_ms(1L << *tries);
		return 1;
	}
	if (uring->got_entries > LEAST_ENTRIES) {
		uring->got_entries /= 2;
		if (uring->got_cq > 2 * LEAST_ENTRIES)
			uring->got_cq /= 2;
		return 1;
	}
	pause_ms(LAST_PAUSE_MS);
	return *tries < MOST_TRIES;
}

static int attach_fd(const struct peal_ring_options *options)
{
	struct peal__uring *other;

	if (options->attach->engine->open != peal__uring_engine.open)
		return -1;
	other = options->attach->engine_state;
	return other->ring.ring_fd;
}

static int try_setup(struct peal__uring *uring,
		     const struct peal_ring_options *options,
		     struct io_uring_params *params)
{
	unsigned tries = 0;

	for (;;) {
		int fd;

		memset(params, 0, sizeof *params);
		params->flags = setup_flags(uring, options);
		params->cq_entries = uring->got_cq;
		params->sq_thread_idle = options->sqpoll_idle_ms;
		if (options->sqpoll_cpu >= 0)
			params->sq_thread_cpu = (uint32_t)options->sqpoll_cpu;
		if (options->attach)
			params->wq_fd = (uint32_t)attach_fd(options);
		fd = io_uring_setup(uring->got_entries, params);
		if (fd >= 0)
			return fd;
		if (fd == -EINVAL && peel(uring))
			continue;
		if (fd == -ENOMEM && more_memory(uring, &tries))
			continue;
		return fd;
	}
}

static void share_queues(struct peal_ring *ring, struct peal__uring *uring,
			 const struct io_uring_params *params)
{
	struct peal__queues *queues = &ring->queues;
	struct io_uring_sq *sq = &uring->ring.sq;
	struct io_uring_cq *cq = &uring->ring.cq;
	uint32_t i;

	uring->sq_tail = sq->ktail;
	uring->sq_head = sq->khead;
	uring->sq_flags = sq->kflags;
	queues->sqes = (struct peal__sqe *)(void *)sq->sqes;
	queues->sq_entries = params->sq_entries;
	queues->sq_mask = params->sq_entries - 1;
	queues->cqes = (const struct peal__cqe *)(void *)cq->cqes;
	queues->cq_head = cq->khead;
	queues->cq_tail = cq->ktail;
	queues->cq_entries = params->cq_entries;
	queues->cq_mask = params->cq_entries - 1;
	if (!(params->flags & PEAL__SETUP_NO_SQARRAY))
		for (i = 0; i < params->sq_entries; i++)
			sq->array[i] = i;
}

static int check_features(uint32_t features)
{
	const uint32_t needed = PEAL__FEAT_NODROP | PEAL__FEAT_SUBMIT_STABLE |
				PEAL__FEAT_FAST_POLL | PEAL__FEAT_EXT_ARG |
				PEAL__FEAT_NATIVE_WORKERS;

	if ((features & needed) == needed)
		return 0;
	peal__reason("this kernel's io_uring is too old: it has features %#x "
		     "of %#x that are needed (NODROP, SUBMIT_STABLE, FAST_POLL,"
		     " EXT_ARG, NATIVE_WORKERS): use Linux 5.12 or newer",
		     features & needed, needed);
	return -ENOSYS;
}

static void register_extras(struct peal__uring *uring,
			    const struct peal_ring_options *options)
{
	uring->workers[0] = options->workers_bounded;
	uring->workers[1] = options->workers_unbounded;
	if (uring->workers[0] || uring->workers[1])
		uring->workers_error = io_uring_register(
			(unsigned)uring->ring.ring_fd,
			PEAL__REGISTER_IOWQ_MAX_WORKERS, uring->workers, 2);
	if (!wants(uring, FEATURE_RING_FD)) {
		uring->ring_fd_error = -ECANCELED;
	} else {
		int rc = io_uring_register_ring_fd(&uring->ring);

		uring->ring_fd_error = rc == 1 ? 0 : rc;
	}
	uring->enter_flags = PEAL__ENTER_GETEVENTS;
	if (!uring->ring_fd_error)
		uring->enter_flags |= PEAL__ENTER_REGISTERED_RING;
	if (uring->features & PEAL__FEAT_NO_IOWAIT &&
	    wants(uring, FEATURE_NO_IOWAIT))
		uring->enter_flags |= PEAL__ENTER_NO_IOWAIT;
}

int peal__uring_setup(struct peal_ring *ring, struct peal__uring *uring,
		      const struct peal_ring_options *options)
{
	struct io_uring_params params;
	int fd, rc;

	uring->got_entries = uring->asked_entries = options->entries;
	uring->asked_cq = options->cq_entries ? options->cq_entries
					      : 4 * options->entries;
	uring->got_cq = uring->asked_cq;
	fd = try_setup(uring, options, &params);
	if (fd < 0) {
		peal__uring_refused(options, fd);
		return fd;
	}
	rc = io_uring_queue_mmap(fd, &params, &uring->ring);
	if (rc < 0) {
		close(fd);
		peal__uring_refused(options, rc);
		return rc;
	}
	uring->ring.flags = params.flags;
	uring->ring.features = params.features;
	uring->features = params.features;
	uring->setup_flags = params.flags;
	rc = check_features(params.features);
	if (rc < 0) {
		io_uring_queue_exit(&uring->ring);
		return rc;
	}
	share_queues(ring, uring, &params);
	io_uring_ring_dontfork(&uring->ring);
	register_extras(uring, options);
	ring->no_multishot = !wants(uring, FEATURE_MULTISHOT);
	ring->bundles = uring->features & PEAL__FEAT_RECVSEND_BUNDLE &&
			wants(uring, FEATURE_BUNDLE);
	return 0;
}

void peal__uring_unmap(struct peal__uring *uring)
{
	io_uring_queue_exit(&uring->ring);
}
