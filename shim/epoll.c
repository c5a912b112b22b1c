/* SPDX-License-Identifier: MIT */
/*
 * The epoll engine: a ring in user space for everything that has readiness.
 * Its queues are lib/soft.c's; entries that wait are watch.c's. Files and calls
 * without readiness never come here, or are handed to the pool (lib/work.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "shim/epoll.h"
#include "shim/ready.h"

#define EVENTS 128
#define MOST_FDS (1u << 20)

/* --- entries ----------------------------------------------------------- */

static void start_close(struct peal_ring *ring, const struct peal__sqe *sqe)
{
	struct stat st;

	peal__watch_forget(ring, sqe->fd);
	peal__watch_keep(ring, sqe->fd);
	if (fstat(sqe->fd, &st) == 0 && S_ISREG(st.st_mode)) {
		struct peal__job *job = peal__soft_job(ring, sqe->user_data);

		job->sqe = *sqe;
		peal__soft_to_pool(ring, job);
		return;
	}
	peal__soft_complete(ring, sqe->user_data,
			    (int)peal__blocking_run(sqe), 0);
}

static const struct peal__soft_calls calls = {
	.cancel = peal__watch_cancel,
	.close = start_close,
	.start = peal__watch_start,
};

/* --- the engine -------------------------------------------------------- */

static int wait_events(struct peal__epoll *epoll, struct epoll_event *events,
		       uint64_t timeout_ns)
{
	struct timespec ts = { (time_t)(timeout_ns / PEAL_S),
			       (long)(timeout_ns % PEAL_S) };
	uint64_t ms = timeout_ns / PEAL_MS + (timeout_ns % PEAL_MS != 0);
	int rc;

	if (!epoll->whole_ms) {
		rc = epoll_pwait2(epoll->fd, events, EVENTS,
				  timeout_ns == PEAL_FOREVER ? NULL : &ts,
				  NULL);
		if (rc >= 0 || (errno != ENOSYS && errno != EPERM))
			return rc < 0 ? -errno : rc;
		/* Linux before 5.11, or a filter older than the call. */
		epoll->whole_ms = 1;
	}
	rc = epoll_wait(epoll->fd, events, EVENTS,
			timeout_ns == PEAL_FOREVER ? -1
			: ms > 60000 ? 60000 : (int)ms);
	return rc < 0 ? -errno : rc;
}

static void take_wake(struct peal__epoll *epoll)
{
	uint64_t value;

	if (read(epoll->wake_fd, &value, sizeof value) < 0)
		return;	/* EAGAIN: somebody was faster; there is nobody else */
}

static void epoll_wake(struct peal_ring *ring)
{
	struct peal__epoll *epoll = ring->engine_state;
	const uint64_t one = 1;
	ssize_t rc;

	do
		rc = write(epoll->wake_fd, &one, sizeof one);
	while (rc < 0 && errno == EINTR);
}

static int wait_and_retry(struct peal_ring *ring, uint64_t timeout_ns)
{
	struct peal__epoll *epoll = ring->engine_state;
	struct epoll_event events[EVENTS];
	int count, i;

	ring->stats.enters++;
	count = wait_events(epoll, events, timeout_ns);
	for (i = 0; i < count; i++) {
		if (events[i].data.u64 == (uint64_t)epoll->wake_fd)
			take_wake(epoll);
		else
			peal__watch_edge(ring, (int)events[i].data.u64,
					 events[i].events);
	}
	return count < 0 ? count : 0;
}

static int epoll_enter(struct peal_ring *ring, uint32_t wait_for,
		       uint64_t timeout_ns)
{
	struct peal__epoll *epoll = ring->engine_state;
	const struct peal__sqe *sqe;
	int rc = 0;

	peal__soft_flush(ring);
	while ((sqe = peal__soft_next(ring)) != NULL)
		peal__soft_start(ring, sqe, &calls);
	if (epoll->paused)
		peal__watch_resume(ring);
	if (!wait_for || peal__soft_busy(ring))
		timeout_ns = 0;
	/* For another loop also to take a wake-up, or fd stays readable. */
	if (timeout_ns || epoll->held || epoll->embedded)
		rc = wait_and_retry(ring, timeout_ns);
	if (epoll->embedded && (epoll->soft.late.first || epoll->paused))
		epoll_wake(ring);	/* there is more than the queue holds */
	return rc;
}

static int epoll_fd(struct peal_ring *ring)
{
	struct peal__epoll *epoll = ring->engine_state;

	epoll->embedded = 1;
	return epoll->fd;
}

static void epoll_explain(struct peal_ring *ring, FILE *out)
{
	struct peal__epoll *epoll = ring->engine_state;

	fprintf(out, "entries        %u submissions, %u completions\n",
		epoll->soft.sq_entries, epoll->soft.cq_entries);
	fprintf(out, "descriptors    %u can be waited for (RLIMIT_NOFILE)\n",
		epoll->watch_count);
	peal__soft_explain(ring, out, FEATURE_MULTISHOT, !ring->no_multishot,
			   "accept and poll complete many times");
	peal__soft_explain(ring, out, FEATURE_EPOLL_PWAIT2, !epoll->whole_ms,
			   "waits end to the nanosecond (Linux 5.11)");
	peal__soft_explain(ring, out, FEATURE_RWF_NOWAIT, !epoll->how,
			   "pipes are tried without a look first (Linux 6.4)");
}

static void epoll_close(struct peal_ring *ring)
{
	struct peal__epoll *epoll = ring->engine_state;

	if (epoll->fd >= 0)
		close(epoll->fd);
	if (epoll->wake_fd >= 0)
		close(epoll->wake_fd);
	peal__free(ring, epoll->watches,
		   epoll->watch_count * sizeof *epoll->watches);
	peal__soft_free(ring, sizeof *epoll);
}

static int make_watches(struct peal_ring *ring, struct peal__epoll *epoll)
{
	struct rlimit limit = { MOST_FDS, MOST_FDS };

	getrlimit(RLIMIT_NOFILE, &limit);
	epoll->watch_count = limit.rlim_max < MOST_FDS
				     ? (uint32_t)limit.rlim_max : MOST_FDS;
	epoll->watches = peal__alloc(ring, epoll->watch_count *
				     sizeof *epoll->watches, 64);
	if (epoll->watches)
		return 0;
	peal__reason("the allocator had no room for %u descriptors: lower "
		     "RLIMIT_NOFILE or raise the memory limit",
		     epoll->watch_count);
	return -ENOMEM;
}

static int make_fds(struct peal__epoll *epoll)
{
	struct epoll_event event = { .events = EPOLLIN };

	epoll->fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll->fd < 0)
		return -errno;
	epoll->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (epoll->wake_fd < 0)
		return -errno;
	event.data.u64 = (uint64_t)epoll->wake_fd;
	return epoll_ctl(epoll->fd, EPOLL_CTL_ADD, epoll->wake_fd, &event) < 0
		       ? -errno : 0;
}

static void find_features(struct peal_ring *ring, struct peal__epoll *epoll)
{
	struct epoll_event events[EVENTS];

	epoll->how = peal__switched_off(ring, FEATURE_RWF_NOWAIT)
			     ? READY_NO_NOWAIT : 0;
	epoll->whole_ms = peal__switched_off(ring, FEATURE_EPOLL_PWAIT2) != 0;
	wait_events(epoll, events, 0);
}

static int epoll_open(struct peal_ring *ring,
		      const struct peal_ring_options *options)
{
	struct peal__epoll *epoll = peal__soft_new(ring, sizeof *epoll);
	int rc;

	if (!epoll)
		return -ENOMEM;
	epoll->fd = epoll->wake_fd = -1;
	rc = peal__soft_open(ring, options, peal__ready_has);
	if (rc == 0)
		rc = make_watches(ring, epoll);
	if (rc == 0) {
		rc = make_fds(epoll);
		if (rc < 0)
			peal__refused_files(rc);
	}
	if (rc == 0)
		find_features(ring, epoll);
	else
		epoll_close(ring);
	return rc;
}

const struct peal__engine peal__epoll_engine = {
	.name = "epoll",
	.open = epoll_open,
	.close = epoll_close,
	.enter = epoll_enter,
	.wake = epoll_wake,
	.event = peal__soft_event,
	.fd = epoll_fd,
	.explain = epoll_explain,
	.takes_buffers = 1,
};
