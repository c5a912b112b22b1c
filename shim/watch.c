/* SPDX-License-Identifier: MIT */
/*
 * Ops that wait for a descriptor.
 *
 * An entry is tried at once; one that would wait is held (in the job of its
 * row) in the list of its descriptor, and tried again, in order, when epoll
 * reports an edge there.
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
 * A receive on TCP that got less than it had room for has taken all there was,
 * so the next one is held without a try: telling epoll finds out if that is
 * wrong, and then its edge comes at once. A multishot one is not told to epoll
 * again; it does without the try that only says "no more" while no edge has
 * told of an end, an error or urgent data. Other sockets end a receive early:
 * with a datagram, at a descriptor that was passed, at the end of a record.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include "shim/epoll.h"
#include "shim/ready.h"

/* Ops of one lane on a descriptor keep their order: while one cannot go on,
 * those behind it are not tried. */
enum { LANE_IN, LANE_OUT, LANE_ASIDE, LANES };

#define MOST_IN_A_ROW 32	/* completions of one multishot op */
#define LEARN_AFTER 4		/* short receives: before, it does not pay */
#define LOUD (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)

static int is_aside(const struct peal__sqe *sqe)
{
	return (sqe->opcode == PEAL__OP_RECV ||
		sqe->opcode == PEAL__OP_RECVMSG) &&
	       sqe->op_flags & (MSG_OOB | MSG_ERRQUEUE);
}

static unsigned waits_of(const struct peal__sqe *sqe)
{
	return peal__op_row(sqe->opcode)->waits;
}

static int lane_of(const struct peal__sqe *sqe, int fd)
{
	unsigned waits = waits_of(sqe);

	if (waits == WAITS_BOTH)
		return fd == sqe->fd ? LANE_OUT : LANE_IN;
	if (is_aside(sqe))
		return LANE_ASIDE;
	return waits == WAITS_WRITABLE ? LANE_OUT : LANE_IN;
}

/* The events that a held entry waits for. */
static uint32_t events_of(const struct peal__sqe *sqe, int fd)
{
	if (waits_of(sqe) == WAITS_ASKED)
		return (sqe->op_flags & 0xffff) | EPOLLRDHUP; /* above: epoll's */
	return lane_of(sqe, fd) == LANE_OUT
		       ? EPOLLOUT : EPOLLIN | EPOLLPRI | EPOLLRDHUP;
}

static int tell_epoll(struct peal__epoll *epoll, int fd)
{
	struct peal__watch *watch = &epoll->watches[fd];
	struct epoll_event event = { .events = watch->mask | EPOLLET,
				     .data.u64 = (uint64_t)fd };

	if (epoll_ctl(epoll->fd, EPOLL_CTL_MOD, fd, &event) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	/* Another file than the one that was watched under this number. */
	watch->stream = STREAM_UNKNOWN;
	watch->loud = watch->shorts = 0;
	if (watch->held.first) {
		struct peal__job *job;

		for (job = watch->held.first; job; job = job->next)
			job->held = HELD_ORPHAN;
		watch->held = (struct peal__jobs){ NULL, NULL };
	}
	return epoll_ctl(epoll->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno
								   : 0;
}

/* Who waits on two ends does so on one after the other. */
static int fd_to_watch(const struct peal__sqe *sqe)
{
	struct pollfd in = { .fd = (int)sqe->file_index, .events = POLLIN };

	if (waits_of(sqe) == WAITS_BOTH && poll(&in, 1, 0) == 0)
		return in.fd;
	return sqe->fd;
}

/* 0: held; READY_POOL: epoll cannot watch this; else an error. */
static int hold(struct peal_ring *ring, struct peal__job *job)
{
	struct peal__epoll *epoll = ring->engine_state;
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

static void drop_copy(struct peal__epoll *epoll, int fd)
{
	struct peal__watch *watch = &epoll->watches[fd];

	if (!watch->copy || watch->held.first)
		return;
	watch->copy = 0;
	close(fd);
}

static void let_go(struct peal__epoll *epoll, struct peal__job *job)
{
	if (job->held == HELD_FOR_FD)
		peal__jobs_unlink(&epoll->watches[job->watch].held, job);
	job->held = HELD_NOT;
	epoll->held--;
}

static void pause_watch(struct peal__epoll *epoll, int fd)
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

static int is_plain_recv(const struct peal__epoll *epoll,
			 const struct peal__sqe *sqe)
{
	return sqe->opcode == PEAL__OP_RECV && !sqe->op_flags &&
	       (uint32_t)sqe->fd < epoll->watch_count;
}

static int is_tcp(struct peal__watch *watch, int fd)
{
	int protocol = 0;
	socklen_t len = sizeof protocol;
	char layer[16] = "";

	if (watch->shorts < LEARN_AFTER)
		return 0;
	if (watch->stream == STREAM_UNKNOWN) {
		watch->stream = STREAM_NOT;
		getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len);
		len = sizeof layer;
		if (protocol == IPPROTO_TCP &&
		    getsockopt(fd, IPPROTO_TCP, TCP_ULP, layer, &len) == 0 &&
		    !layer[0])
			watch->stream = STREAM_TCP;
	}
	return watch->stream == STREAM_TCP;
}

/* Would one more try of a multishot receive find nothing? One that is not held
 * yet is told to epoll, which looks. */
static int is_drained(struct peal__epoll *epoll, const struct peal__job *job)
{
	struct peal__watch *watch;

	if (!is_plain_recv(epoll, &job->sqe))
		return 0;
	watch = &epoll->watches[job->sqe.fd];
	return watch->dry && (job->held == HELD_NOT ||
			      (!watch->loud && is_tcp(watch, job->sqe.fd)));
}

static int try_now(struct peal__epoll *epoll, struct peal__sqe *sqe,
		   int64_t *progress)
{
	int rc = peal__ready_try(sqe, progress, epoll->how);

	if (is_plain_recv(epoll, sqe)) {
		struct peal__watch *watch = &epoll->watches[sqe->fd];

		watch->dry = rc > 0 && (uint32_t)rc < sqe->len;
		watch->shorts += watch->dry && watch->shorts < LEARN_AFTER;
	}
	return rc;
}

/* One attempt, into a buffer of the entry's group if it has one. */
static int try_entry(struct peal_ring *ring, struct peal__job *job,
		     uint32_t *flags)
{
	struct peal__epoll *epoll = ring->engine_state;
	struct peal__sqe once;
	int rc;

	*flags = 0;
	if (!(job->sqe.flags & PEAL__SQE_BUFFER_SELECT))
		return try_now(epoll, &job->sqe, &job->result);
	rc = peal__buffer_take(ring, &job->sqe, &once);
	if (rc < 0)
		return rc;
	rc = try_now(epoll, &once, &job->result);
	return peal__buffer_used(ring, &once, rc, flags);
}

/* Nothing received may be the end: the last completion says so. */
static int is_end(struct peal_ring *ring, const struct peal__job *job, int rc)
{
	const struct peal__sqe *sqe = &job->sqe;

	if (!(sqe->flags & PEAL__SQE_BUFFER_SELECT) || rc < 0)
		return 0;
	return rc == 0 ||
	       (sqe->opcode == PEAL__OP_RECVMSG && (uint64_t)rc ==
		peal__group_before(ring->groups[sqe->buf_index]));
}

/* As often as it can be done now: READY_WAIT, or what ends it. One that always
 * finds more lets others have their turn, like a kernel. */
static int try_multishot(struct peal_ring *ring, struct peal__job *job,
			 uint32_t *flags)
{
	struct peal__epoll *epoll = ring->engine_state;
	unsigned most = MOST_IN_A_ROW;
	int rc;

	do {
		if (!peal__soft_room(ring) || !most--) {
			pause_watch(epoll, job->sqe.fd);
			return READY_WAIT;
		}
		rc = try_entry(ring, job, flags);
		if (is_end(ring, job, rc))
			return rc;
		if (rc >= 0)
			peal__soft_more(ring, job->sqe.user_data, rc,
					*flags | PEAL__CQE_MORE);
	} while (rc >= 0 && job->sqe.opcode != PEAL__OP_POLL_ADD &&
		 !is_drained(epoll, job));
	return rc >= 0 ? READY_WAIT : rc;
}

static int try_once(struct peal_ring *ring, struct peal__job *job,
		    uint32_t *flags)
{
	*flags = 0;
	if (peal__soft_multishot(&job->sqe))
		return try_multishot(ring, job, flags);
	return try_entry(ring, job, flags);
}

/* A multishot poll is told by epoll alone, or it would hear of what is there
 * now twice. A receive where there was nothing left finds nothing. */
static int is_left_to_epoll(struct peal__epoll *epoll,
			    const struct peal__sqe *sqe)
{
	if (sqe->opcode == PEAL__OP_POLL_ADD)
		return peal__soft_multishot(sqe);
	return is_plain_recv(epoll, sqe) && epoll->watches[sqe->fd].dry &&
	       is_tcp(&epoll->watches[sqe->fd], sqe->fd);
}

void peal__watch_start(struct peal_ring *ring, const struct peal__sqe *sqe)
{
	struct peal__job *job = peal__soft_job(ring, sqe->user_data);
	uint32_t flags = 0;
	int rc;

	job->sqe = *sqe;
	job->result = 0;
	job->held = HELD_NOT;
	rc = is_left_to_epoll(ring->engine_state, sqe)
		     ? READY_WAIT : try_once(ring, job, &flags);
	if (rc == READY_WAIT) {
		rc = hold(ring, job);
		if (rc == 0)
			return;
	}
	if (rc == READY_POOL && !peal__blocking_has(sqe->opcode))
		rc = -EINVAL;	/* a poll of a file: ready now or never */
	if (rc == READY_POOL)
		peal__soft_to_pool(ring, job);
	else
		peal__soft_complete(ring, sqe->user_data, rc, flags);
}

/* A held entry's next attempt. The copy of a closed descriptor would be gone
 * before a thread came to it, so that splice is made here. */
static int try_held(struct peal_ring *ring, struct peal__job *job,
		    uint32_t *flags)
{
	const struct peal__epoll *epoll = ring->engine_state;
	struct peal__sqe once = job->sqe;
	int rc = try_once(ring, job, flags);

	if (rc != READY_POOL || waits_of(&once) != WAITS_BOTH ||
	    !epoll->watches[job->watch].copy)
		return rc;
	once.op_flags |= SPLICE_F_NONBLOCK;
	rc = (int)peal__blocking_run(&once);
	return rc == -EAGAIN ? READY_WAIT : rc;
}

/* 0: it waits on, maybe for its other end now; else what became of it. */
static int retry_job(struct peal_ring *ring, struct peal__job *job)
{
	uint32_t flags;
	int rc = try_held(ring, job, &flags);

	if (rc == READY_WAIT && fd_to_watch(&job->sqe) == job->watch)
		return 0;
	let_go(ring->engine_state, job);
	if (rc == READY_WAIT) {
		rc = hold(ring, job);
		if (rc == 0)
			return 0;
	}
	if (rc == READY_POOL)
		peal__soft_to_pool(ring, job);
	else
		peal__soft_complete(ring, job->sqe.user_data, rc, flags);
	return 1;
}

static void retry(struct peal_ring *ring, int fd)
{
	struct peal__epoll *epoll = ring->engine_state;
	struct peal__job *job = epoll->watches[fd].held.first, *next;
	int blocked[LANES] = { 0 };

	for (; job; job = next) {
		int *stop = &blocked[lane_of(&job->sqe, fd)];
		int polls = waits_of(&job->sqe) == WAITS_ASKED;

		next = job->next;
		if (polls || !*stop)
			*stop |= !retry_job(ring, job) && !polls;
	}
	drop_copy(epoll, fd);
}

void peal__watch_edge(struct peal_ring *ring, int fd, uint32_t events)
{
	struct peal__epoll *epoll = ring->engine_state;

	if (events & LOUD)
		epoll->watches[fd].loud = 1;
	retry(ring, fd);
}

void peal__watch_resume(struct peal_ring *ring)
{
	struct peal__epoll *epoll = ring->engine_state;
	uint32_t left = epoll->paused;

	while (left-- && peal__soft_room(ring)) {
		int32_t fd = epoll->paused_first;

		epoll->paused_first = epoll->watches[fd].paused_next;
		epoll->watches[fd].paused = 0;
		epoll->paused--;
		retry(ring, fd);
	}
}

int peal__watch_cancel(struct peal_ring *ring, uint64_t target)
{
	struct peal__epoll *epoll = ring->engine_state;
	struct peal__job *job = peal__soft_job(ring, target);
	int fd, keeps;

	if (job->sqe.user_data != target ||
	    (job->held != HELD_FOR_FD && job->held != HELD_ORPHAN))
		return peal__soft_cancel(ring, target);
	fd = job->watch;
	keeps = job->result &&
		peal__op_row(job->sqe.opcode)->cancel == CANCEL_PART;
	let_go(epoll, job);
	peal__soft_complete(ring, target,
			    keeps ? (int)job->result : -ECANCELED, 0);
	drop_copy(epoll, fd);
	return 0;
}

void peal__watch_forget(struct peal_ring *ring, int fd)
{
	struct peal__epoll *epoll = ring->engine_state;

	if ((uint32_t)fd >= epoll->watch_count)
		return;
	epoll->watches[fd].dry = epoll->watches[fd].shorts = 0;
	epoll->watches[fd].stream = STREAM_UNKNOWN;
}

void peal__watch_keep(struct peal_ring *ring, int fd)
{
	struct peal__epoll *epoll = ring->engine_state;
	struct peal__watch *from = &epoll->watches[fd], *to;
	struct peal__job *job;
	int copy;

	if ((uint32_t)fd >= epoll->watch_count || !from->held.first)
		return;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
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
		if (waits_of(&job->sqe) == WAITS_BOTH &&
		    (int)job->sqe.file_index == fd)
			job->sqe.file_index = (uint32_t)copy;
	}
}
