/* SPDX-License-Identifier: MIT */
/*
 * The epoll engine: a ring in user space for everything that has readiness.
 *
 * An entry is tried at once; one that would wait is held (in the job of its
 * row) in the list of its descriptor, and tried again, in order, when epoll
 * reports an edge there. Files and calls without readiness never come here,
 * or are handed to the pool (lib/work.c).
 *
 *   submitted --try--> completed
 *       \--would wait--> held --edge, try--> completed
 *                          \--cancel--> completed with -ECANCELED
 *
 * Every wait tells epoll of its descriptor anew: that closes the gap between
 * the try and the wait, and finds out that a number now means another file;
 * those that waited on the old one are orphans then, which only a cancel ends,
 * as with io_uring. A descriptor closed through the ring stays open as a copy
 * while ops are held on it.
 *
 * The completion queue is ours. A terminal completion without room in it is
 * late: kept in its job until there is. A multishot op without room pauses.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/start.h"
#include "lib/work.h"
#include "shim/ready.h"

#define EVENTS 128
#define MOST_FDS (1u << 20)

struct watch {
	struct peal__jobs held;
	uint32_t mask;		/* what epoll was asked for */
	uint8_t paused;		/* a multishot op waits for room */
	int32_t paused_next;	/* the next such descriptor */
	uint8_t copy;		/* closed by the user; close it after the last */
};

struct epoll {
	int fd;
	int wake_fd;
	uint32_t watch_count;
	struct watch *watches;
	uint32_t held;		/* ops that wait */
	uint32_t paused;	/* watches that are, oldest first */
	int32_t paused_first, paused_last;
	uint8_t whole_ms;	/* there is no epoll_pwait2() */
	uint8_t embedded;	/* another loop waits for fd */
	struct peal__jobs late;
	struct peal__cqe *cqes;
	uint32_t cq_head, cq_tail;
	uint32_t sq_entries, cq_entries;
	struct peal__sqe *sqes;
};

static struct peal__job *job_of(struct peal_ring *ring, uint64_t user_data)
{
	return &ring->jobs[user_data & PEAL__ROW_MASK];
}

/* --- completions ------------------------------------------------------- */

static int cq_room(const struct epoll *epoll)
{
	return epoll->cq_tail - epoll->cq_head < epoll->cq_entries;
}

static void put_cqe(struct epoll *epoll, uint64_t user_data, int res,
		    uint32_t flags)
{
	struct peal__cqe *cqe =
		&epoll->cqes[epoll->cq_tail & (epoll->cq_entries - 1)];

	cqe->user_data = user_data;
	cqe->res = res;
	cqe->flags = flags;
	epoll->cq_tail++;
}

/* The terminal completion of an op. Nobody reads the answers to cancels that
 * the ring sends for itself: here a cancel never comes too late. */
static void complete(struct peal_ring *ring, uint64_t user_data, int res)
{
	struct epoll *epoll = ring->engine_state;
	struct peal__job *job;

	if (user_data & PEAL__DATA_OWN)
		return;
	if (cq_room(epoll) && !epoll->late.first) {
		put_cqe(epoll, user_data, res, 0);
		return;
	}
	ring->stats.cq_overflows++;
	job = job_of(ring, user_data);
	job->sqe.user_data = user_data;
	job->result = res;
	job->held = HELD_LATE;
	peal__jobs_append(&epoll->late, job);
}

static void flush_late(struct epoll *epoll)
{
	struct peal__job *job;

	while ((job = epoll->late.first) != NULL && cq_room(epoll)) {
		peal__jobs_unlink(&epoll->late, job);
		job->held = HELD_NOT;
		put_cqe(epoll, job->sqe.user_data, (int)job->result, 0);
	}
}

/* --- waiting ----------------------------------------------------------- */

/* Ops of one lane on a descriptor keep their order: while one cannot go on,
 * those behind it are not tried. */
enum { LANE_IN, LANE_OUT, LANE_ASIDE, LANES };

static int is_aside(const struct peal__sqe *sqe)
{
	return (sqe->opcode == PEAL__OP_RECV ||
		sqe->opcode == PEAL__OP_RECVMSG) &&
	       sqe->op_flags & (MSG_OOB | MSG_ERRQUEUE);
}

static int lane_of(const struct peal__sqe *sqe, int fd)
{
	if (sqe->opcode == PEAL__OP_SPLICE)
		return fd == sqe->fd ? LANE_OUT : LANE_IN;
	if (is_aside(sqe))
		return LANE_ASIDE;
	return peal__ready_writes(sqe) ? LANE_OUT : LANE_IN;
}

/* The events that a held entry waits for. */
static uint32_t events_of(const struct peal__sqe *sqe, int fd)
{
	if (sqe->opcode == PEAL__OP_POLL_ADD)
		return sqe->op_flags & 0xffff;	/* above are epoll's own */
	return lane_of(sqe, fd) == LANE_OUT
		       ? EPOLLOUT : EPOLLIN | EPOLLPRI | EPOLLRDHUP;
}

static int tell_epoll(struct epoll *epoll, int fd)
{
	struct watch *watch = &epoll->watches[fd];
	struct epoll_event event = { .events = watch->mask | EPOLLET,
				     .data.u64 = (uint64_t)fd };

	if (epoll_ctl(epoll->fd, EPOLL_CTL_MOD, fd, &event) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	/* Another file than the one that was watched under this number. */
	if (watch->held.first) {
		struct peal__job *job;

		for (job = watch->held.first; job; job = job->next)
			job->held = HELD_ORPHAN;
		watch->held = (struct peal__jobs){ NULL, NULL };
	}
	return epoll_ctl(epoll->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno
								   : 0;
}

/* A splice waits on both its ends, one after the other. */
static int fd_to_watch(const struct peal__sqe *sqe)
{
	struct pollfd in = { .fd = (int)sqe->file_index, .events = POLLIN };

	if (sqe->opcode == PEAL__OP_SPLICE && poll(&in, 1, 0) == 0)
		return in.fd;
	return sqe->fd;
}

/* 0: held; READY_POOL: epoll cannot watch this; else an error. */
static int hold(struct peal_ring *ring, struct peal__job *job)
{
	struct epoll *epoll = ring->engine_state;
	int fd = fd_to_watch(&job->sqe), rc;

	if (fd < 0)
		return -EBADF;
	if ((uint32_t)fd >= epoll->watch_count)
		return fcntl(fd, F_GETFD) < 0 ? -errno : -EMFILE;
	if (!epoll->watches[fd].held.first)
		epoll->watches[fd].mask = 0;
	epoll->watches[fd].mask |= events_of(&job->sqe, fd);
	rc = tell_epoll(epoll, fd);
	if (rc < 0)
		return rc == -EPERM ? READY_POOL : rc;
	job->watch = fd;
	job->held = HELD_FOR_FD;
	peal__jobs_append(&epoll->watches[fd].held, job);
	epoll->held++;
	return 0;
}

static void drop_copy(struct epoll *epoll, int fd)
{
	struct watch *watch = &epoll->watches[fd];

	if (!watch->copy || watch->held.first)
		return;
	watch->copy = 0;
	close(fd);
}

static void let_go(struct epoll *epoll, struct peal__job *job)
{
	if (job->held == HELD_FOR_FD)
		peal__jobs_unlink(&epoll->watches[job->watch].held, job);
	job->held = HELD_NOT;
	epoll->held--;
}

static void to_pool(struct peal_ring *ring, struct peal__job *job)
{
	const struct peal__sqe entry = job->sqe;
	struct peal__row *row = &ring->rows[job - ring->jobs];

	*peal__job_new(ring, row, 0) = entry;
}

static int is_multishot(const struct peal__sqe *sqe)
{
	return (sqe->opcode == PEAL__OP_ACCEPT &&
		sqe->ioprio & PEAL__ACCEPT_MULTISHOT) ||
	       (sqe->opcode == PEAL__OP_POLL_ADD &&
		sqe->len & PEAL__POLL_ADD_MULTI);
}

static void pause_watch(struct epoll *epoll, int fd)
{
	if ((uint32_t)fd >= epoll->watch_count || epoll->watches[fd].paused)
		return;		/* nothing is held there, or it is known */
	epoll->watches[fd].paused = 1;
	if (epoll->paused++)
		epoll->watches[epoll->paused_last].paused_next = fd;
	else
		epoll->paused_first = fd;
	epoll->paused_last = fd;
}

/* As often as it can be done now: READY_WAIT, or the error that ends it. */
static int try_multishot(struct peal_ring *ring, struct peal__job *job)
{
	struct epoll *epoll = ring->engine_state;
	int rc;

	do {
		if (!cq_room(epoll) || epoll->late.first) {
			pause_watch(epoll, job->sqe.fd);
			return READY_WAIT;
		}
		rc = peal__ready_try(&job->sqe, &job->result);
		if (rc >= 0)
			put_cqe(epoll, job->sqe.user_data, rc,
				PEAL__CQE_MORE);
	} while (rc >= 0 && job->sqe.opcode == PEAL__OP_ACCEPT);
	return rc >= 0 ? READY_WAIT : rc;
}

static int try_once(struct peal_ring *ring, struct peal__job *job)
{
	if (is_multishot(&job->sqe))
		return try_multishot(ring, job);
	return peal__ready_try(&job->sqe, &job->result);
}

static void start_held(struct peal_ring *ring, const struct peal__sqe *sqe)
{
	struct peal__job *job = job_of(ring, sqe->user_data);
	int rc;

	job->sqe = *sqe;
	job->result = 0;
	job->held = HELD_NOT;
	/* A multishot poll is told by epoll alone, or it would hear of what
	 * is there now twice. */
	rc = is_multishot(sqe) && sqe->opcode == PEAL__OP_POLL_ADD
		     ? READY_WAIT : try_once(ring, job);
	if (rc == READY_WAIT) {
		rc = hold(ring, job);
		if (rc == 0)
			return;
	}
	if (rc == READY_POOL && sqe->opcode == PEAL__OP_POLL_ADD)
		rc = -EINVAL;	/* a file: ready at once or never */
	if (rc == READY_POOL)
		to_pool(ring, job);
	else
		complete(ring, sqe->user_data, rc);
}

/* A held entry's next attempt. The copy of a closed descriptor would be gone
 * before a thread came to it, so that splice is made here. */
static int try_held(struct peal_ring *ring, struct peal__job *job)
{
	const struct epoll *epoll = ring->engine_state;
	struct peal__sqe once = job->sqe;
	int rc = try_once(ring, job);

	if (rc != READY_POOL || once.opcode != PEAL__OP_SPLICE ||
	    !epoll->watches[job->watch].copy)
		return rc;
	once.op_flags |= SPLICE_F_NONBLOCK;
	rc = (int)peal__blocking_run(&once);
	return rc == -EAGAIN ? READY_WAIT : rc;
}

/* 0: it waits on, maybe for its other end now; else what became of it. */
static int retry_job(struct peal_ring *ring, struct peal__job *job)
{
	int rc = try_held(ring, job);

	if (rc == READY_WAIT && fd_to_watch(&job->sqe) == job->watch)
		return 0;
	let_go(ring->engine_state, job);
	if (rc == READY_WAIT) {
		rc = hold(ring, job);
		if (rc == 0)
			return 0;
	}
	if (rc == READY_POOL)
		to_pool(ring, job);
	else
		complete(ring, job->sqe.user_data, rc);
	return 1;
}

/* After an edge: everything held there that can go on, in order. */
static void retry_held(struct peal_ring *ring, int fd)
{
	struct epoll *epoll = ring->engine_state;
	struct peal__job *job = epoll->watches[fd].held.first, *next;
	int blocked[LANES] = { 0 };

	for (; job; job = next) {
		int *stop = &blocked[lane_of(&job->sqe, fd)];
		int polls = job->sqe.opcode == PEAL__OP_POLL_ADD;

		next = job->next;
		if (polls || !*stop)
			*stop |= !retry_job(ring, job) && !polls;
	}
	drop_copy(epoll, fd);
}

/* Multishot ops that had no room for their completions. */
static void resume_paused(struct peal_ring *ring)
{
	struct epoll *epoll = ring->engine_state;
	uint32_t left = epoll->paused;

	while (left-- && cq_room(epoll)) {
		int32_t fd = epoll->paused_first;

		epoll->paused_first = epoll->watches[fd].paused_next;
		epoll->watches[fd].paused = 0;
		epoll->paused--;
		retry_held(ring, fd);
	}
}

/* --- entries ----------------------------------------------------------- */

/* It may have been handed to the pool since the ring sent the cancel. */
static int cancel_job(struct peal_ring *ring, uint64_t target)
{
	struct peal__row *row = peal__row_find(ring, (peal_op)target);

	if (!row || !(row->flags & ROW_JOB))
		return -ENOENT;
	if (!peal__job_cancel(ring, row))
		return -EALREADY;
	peal__ready(ring, row, -ECANCELED);
	return 0;
}

static int cancel(struct peal_ring *ring, uint64_t target)
{
	struct epoll *epoll = ring->engine_state;
	struct peal__job *job = job_of(ring, target);
	int part, fd;

	if (job->sqe.user_data != target ||
	    (job->held != HELD_FOR_FD && job->held != HELD_ORPHAN))
		return cancel_job(ring, target);
	fd = job->watch;
	part = job->sqe.opcode == PEAL__OP_CONNECT ? 0 : (int)job->result;
	let_go(epoll, job);
	complete(ring, target, part ? part : -ECANCELED);
	drop_copy(epoll, fd);
	return 0;
}

/* Ops held on a descriptor outlive it: they move to a copy. */
static void keep_held(struct epoll *epoll, int fd)
{
	struct watch *from = &epoll->watches[fd], *to;
	struct peal__job *job;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return;
	if ((uint32_t)copy >= epoll->watch_count) {
		close(copy);
		return;
	}
	epoll_ctl(epoll->fd, EPOLL_CTL_DEL, fd, NULL);
	to = &epoll->watches[copy];
	to->mask = to->held.first ? to->mask | from->mask : from->mask;
	tell_epoll(epoll, copy);
	to->copy = 1;
	while ((job = from->held.first) != NULL) {
		peal__jobs_unlink(&from->held, job);
		peal__jobs_append(&to->held, job);
		job->watch = copy;
		if (job->sqe.fd == fd)
			job->sqe.fd = copy;
		if (job->sqe.opcode == PEAL__OP_SPLICE &&
		    (int)job->sqe.file_index == fd)
			job->sqe.file_index = (uint32_t)copy;
	}
}

static void start_close(struct peal_ring *ring, const struct peal__sqe *sqe)
{
	struct epoll *epoll = ring->engine_state;
	struct stat st;

	if ((uint32_t)sqe->fd < epoll->watch_count &&
	    epoll->watches[sqe->fd].held.first)
		keep_held(epoll, sqe->fd);
	if (fstat(sqe->fd, &st) == 0 && S_ISREG(st.st_mode)) {
		struct peal__job *job = job_of(ring, sqe->user_data);

		job->sqe = *sqe;
		to_pool(ring, job);
		return;
	}
	complete(ring, sqe->user_data, (int)peal__blocking_run(sqe));
}

static void start_entry(struct peal_ring *ring, const struct peal__sqe *sqe)
{
	switch (sqe->opcode) {
	case PEAL__OP_NOP:
		complete(ring, sqe->user_data,
			 sqe->op_flags & PEAL__NOP_INJECT_RESULT
				 ? (int)sqe->len : 0);
		break;
	case PEAL__OP_ASYNC_CANCEL:
		complete(ring, sqe->user_data, cancel(ring, sqe->addr));
		break;
	case PEAL__OP_CLOSE:
		start_close(ring, sqe);
		break;
	default:
		start_held(ring, sqe);
	}
}

/* --- the engine -------------------------------------------------------- */

static int wait_events(struct epoll *epoll, struct epoll_event *events,
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

static void take_wake(struct epoll *epoll)
{
	uint64_t value;

	if (read(epoll->wake_fd, &value, sizeof value) < 0)
		return;	/* EAGAIN: somebody was faster; there is nobody else */
}

static void epoll_wake(struct peal_ring *ring)
{
	struct epoll *epoll = ring->engine_state;
	const uint64_t one = 1;
	ssize_t rc;

	do
		rc = write(epoll->wake_fd, &one, sizeof one);
	while (rc < 0 && errno == EINTR);
}

static int wait_and_retry(struct peal_ring *ring, uint64_t timeout_ns)
{
	struct epoll *epoll = ring->engine_state;
	struct epoll_event events[EVENTS];
	int count, i;

	ring->stats.enters++;
	count = wait_events(epoll, events, timeout_ns);
	for (i = 0; i < count; i++) {
		if (events[i].data.u64 == (uint64_t)epoll->wake_fd)
			take_wake(epoll);
		else
			retry_held(ring, (int)events[i].data.u64);
	}
	return count < 0 ? count : 0;
}

static int epoll_enter(struct peal_ring *ring, uint32_t wait_for,
		       uint64_t timeout_ns)
{
	struct epoll *epoll = ring->engine_state;
	struct peal__queues *queues = &ring->queues;
	int rc = 0;

	flush_late(epoll);
	while (queues->sq_head != queues->sq_tail)
		start_entry(ring, &queues->sqes[queues->sq_head++ &
						queues->sq_mask]);
	if (epoll->paused)
		resume_paused(ring);
	if (!wait_for || epoll->cq_head != epoll->cq_tail ||
	    ring->jobs_new.first)
		timeout_ns = 0;
	/* For another loop also to take a wake-up, or fd stays readable. */
	if (timeout_ns || epoll->held || epoll->embedded)
		rc = wait_and_retry(ring, timeout_ns);
	if (epoll->embedded && (epoll->late.first || epoll->paused))
		epoll_wake(ring);	/* there is more than the queue holds */
	return rc;
}

static void epoll_event_(struct peal_ring *ring, const struct peal__cqe *cqe)
{
	(void)cqe;
	ring->stats.stale++;	/* this engine has no entries of its own */
}

static int epoll_fd(struct peal_ring *ring)
{
	struct epoll *epoll = ring->engine_state;

	epoll->embedded = 1;
	return epoll->fd;
}

static void epoll_explain(struct peal_ring *ring, FILE *out)
{
	struct epoll *epoll = ring->engine_state;

	fprintf(out, "entries        %u submissions, %u completions\n",
		epoll->sq_entries, epoll->cq_entries);
	fprintf(out, "descriptors    %u can be waited for (RLIMIT_NOFILE)\n",
		epoll->watch_count);
}

static void release(struct peal_ring *ring, struct epoll *epoll)
{
	if (epoll->fd >= 0)
		close(epoll->fd);
	if (epoll->wake_fd >= 0)
		close(epoll->wake_fd);
	peal__free(ring, epoll->watches,
		   epoll->watch_count * sizeof *epoll->watches);
	peal__free(ring, epoll->sqes,
		   epoll->sq_entries * sizeof *epoll->sqes);
	peal__free(ring, epoll->cqes,
		   epoll->cq_entries * sizeof *epoll->cqes);
	peal__free(ring, epoll, sizeof *epoll);
}

static void epoll_close(struct peal_ring *ring)
{
	release(ring, ring->engine_state);
}

static uint32_t power_of_two(uint32_t least)
{
	uint32_t size = 2;

	while (size < least)
		size *= 2;
	return size;
}

static int make_memory(struct peal_ring *ring, struct epoll *epoll,
		       const struct peal_ring_options *options)
{
	struct rlimit limit = { MOST_FDS, MOST_FDS };

	getrlimit(RLIMIT_NOFILE, &limit);
	epoll->watch_count = limit.rlim_max < MOST_FDS
				     ? (uint32_t)limit.rlim_max : MOST_FDS;
	epoll->sq_entries = power_of_two(options->entries);
	epoll->cq_entries = power_of_two(options->cq_entries
						 ? options->cq_entries
						 : 4 * options->entries);
	epoll->watches = peal__alloc(ring, epoll->watch_count *
				     sizeof *epoll->watches, 64);
	epoll->sqes = peal__alloc(ring, epoll->sq_entries *
				  sizeof *epoll->sqes, 64);
	epoll->cqes = peal__alloc(ring, epoll->cq_entries *
				  sizeof *epoll->cqes, 64);
	if (epoll->watches && epoll->sqes && epoll->cqes)
		return 0;
	peal__reason("the allocator had no room for %u descriptors, %u + %u "
		     "entries: lower options.entries or RLIMIT_NOFILE",
		     epoll->watch_count, epoll->sq_entries,
		     epoll->cq_entries);
	return -ENOMEM;
}

static int make_fds(struct epoll *epoll)
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

static void share_queues(struct peal_ring *ring, struct epoll *epoll)
{
	static const uint8_t has[] = {
		PEAL__OP_NOP, PEAL__OP_ASYNC_CANCEL, PEAL__OP_CLOSE,
		PEAL__OP_POLL_ADD, PEAL__OP_ACCEPT, PEAL__OP_CONNECT,
		PEAL__OP_RECV, PEAL__OP_SEND, PEAL__OP_RECVMSG,
		PEAL__OP_SENDMSG, PEAL__OP_READ, PEAL__OP_WRITE,
		PEAL__OP_READV, PEAL__OP_WRITEV, PEAL__OP_SPLICE,
	};
	struct peal__queues *queues = &ring->queues;
	size_t i;

	queues->sqes = epoll->sqes;
	queues->sq_entries = epoll->sq_entries;
	queues->sq_mask = epoll->sq_entries - 1;
	queues->cqes = epoll->cqes;
	queues->cq_head = &epoll->cq_head;
	queues->cq_tail = &epoll->cq_tail;
	queues->cq_entries = epoll->cq_entries;
	queues->cq_mask = epoll->cq_entries - 1;
	for (i = 0; i < sizeof has; i++)
		ring->can[has[i] >> 6] |= UINT64_C(1) << (has[i] & 63);
}

static int epoll_open(struct peal_ring *ring,
		      const struct peal_ring_options *options)
{
	struct epoll *epoll = peal__alloc(ring, sizeof *epoll, 64);
	int rc;

	if (!epoll) {
		peal__reason("the allocator had no room for %zu bytes of the "
			     "engine: raise the memory limit", sizeof *epoll);
		return -ENOMEM;
	}
	ring->engine_state = epoll;
	epoll->fd = epoll->wake_fd = -1;
	rc = make_memory(ring, epoll, options);
	if (rc == 0) {
		rc = make_fds(epoll);
		if (rc < 0)
			peal__refused_files(rc);
	}
	if (rc < 0) {
		release(ring, epoll);
		return rc;
	}
	share_queues(ring, epoll);
	ring->no_multishot = (ring->disable.features >> FEATURE_MULTISHOT) & 1;
	ring->can[0] &= ~ring->disable.ops[0];
	ring->can[1] &= ~ring->disable.ops[1];
	return 0;
}

const struct peal__engine peal__epoll_engine = {
	.name = "epoll",
	.open = epoll_open,
	.close = epoll_close,
	.enter = epoll_enter,
	.wake = epoll_wake,
	.event = epoll_event_,
	.fd = epoll_fd,
	.explain = epoll_explain,
};
