/* SPDX-License-Identifier: MIT */
/*
 * The io_uring engine. liburing sets up, maps and registers; the queues are
 * ours, because Debian 12's liburing (2.3) predates NO_SQARRAY and would write
 * an index array that is not there.
 *
 * The array of indices, where the kernel still wants one, is filled once with
 * 0, 1, 2, ...: entries are always used in order.
 */
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "lib/arena.h"
#include "lib/start.h"
#include "lib/turn.h"
#include "lib/uring.h"
#include "peal/uring.h"

#define GATHER_ENOUGH	32u	/* completions in hand */
#define GATHER_TRIES	8u
#define SQ_WAIT_TRIES	8u

/* Is there nothing to think of at an enter? After each change of these. */
static void now_usual(struct peal__uring *uring)
{
	uring->is_usual = uring->wake_armed && uring->notify_fd < 0 &&
			  !(uring->setup_flags & (PEAL__SETUP_SQPOLL |
						  PEAL__SETUP_IOPOLL));
}

/*
 * Posts reach a sleeping ring through its eventfd. A multishot poll tells of
 * each write, and nobody reads: armed once, it costs two thirds of a read that
 * is tried, waits, is tried again and has to be armed anew for each wake-up.
 * (2^64 writes would fill the counter.) The read is for kernels without.
 */
static void arm_wake(struct peal_ring *ring, struct peal__uring *uring)
{
	unsigned opcode = uring->wake_by_read ? PEAL__OP_READ
					      : PEAL__OP_POLL_ADD;
	struct peal__sqe *sqe;

	if (!peal__sq_room(ring))
		return;
	sqe = peal__sqe_fill(ring, opcode, uring->wake_fd, 0, PEAL__DATA_WAKE);
	ring->stats.by_op[opcode]--;
	if (uring->wake_by_read) {
		sqe->addr = peal__addr(&uring->wake_value);
		sqe->len = sizeof uring->wake_value;
	} else {
		sqe->op_flags = peal__poll_mask(POLLIN);
		sqe->len = PEAL__POLL_ADD_MULTI;
	}
	uring->wake_armed = 1;
	now_usual(uring);
}

static void signal_fd(int fd)
{
	const uint64_t one = 1;
	ssize_t rc;

	do
		rc = write(fd, &one, sizeof one);
	while (rc < 0 && errno == EINTR);
}

/* Both: the ring may wait in its own turn or in a foreign loop, and the kernel
 * does not pass the first signal on as the second one at once. */
static void uring_wake(struct peal_ring *ring)
{
	struct peal__uring *uring = ring->engine_state;
	int notify_fd = __atomic_load_n(&uring->notify_fd, __ATOMIC_RELAXED);

	signal_fd(uring->wake_fd);
	if (notify_fd >= 0)
		signal_fd(notify_fd);
}

static void uring_event(struct peal_ring *ring, const struct peal__cqe *cqe)
{
	struct peal__uring *uring = ring->engine_state;

	if (cqe->user_data == PEAL__DATA_WAKE) {
		uring->wake_armed = (cqe->flags & PEAL__CQE_MORE) != 0;
		if (cqe->res == -EINVAL)
			uring->wake_by_read = 1;
		now_usual(uring);
	} else if (cqe->user_data != PEAL__DATA_IGNORE)
		ring->stats.stale++;
}

/* With SQPOLL the kernel's thread submits; it must be woken when it sleeps,
 * and its flag is only to be trusted after a full barrier. A full queue is
 * waited for, also when the thread only begins to wake. 0: no system call is
 * needed. */
static uint32_t sqpoll_flags(struct peal__uring *uring, uint32_t wait_for,
			     int full)
{
	uint32_t flags = full ? PEAL__ENTER_SQ_WAIT : 0;
	uint32_t state;

	__sync_synchronize();
	state = __atomic_load_n(uring->sq_flags, __ATOMIC_RELAXED);
	if (state & PEAL__SQ_NEED_WAKEUP)
		flags |= PEAL__ENTER_SQ_WAKEUP;
	if (flags)
		return uring->enter_flags | flags;
	return wait_for || state & PEAL__SQ_CQ_OVERFLOW ? uring->enter_flags
							: 0;
}

/* A polled ring cannot hold the poll of its eventfd: between device polls it
 * sleeps here, in slices, when there is nothing to poll for. */
static void iopoll_wait(struct peal__uring *uring, uint64_t timeout_ns)
{
	struct pollfd wake = { .fd = uring->wake_fd, .events = POLLIN };
	uint64_t value;
	int ms = timeout_ns < PEAL_MS ? 0 : 1;

	if (poll(&wake, 1, ms) > 0 &&
	    read(uring->wake_fd, &value, sizeof value) < 0)
		return;
}

static __attribute__((noinline)) int
enter_with_timeout(struct peal__uring *uring, uint32_t submit,
		   uint32_t wait_for, uint32_t flags, uint64_t timeout_ns)
{
	struct __kernel_timespec ts = {
		.tv_sec = (int64_t)(timeout_ns / PEAL_S),
		.tv_nsec = (int64_t)(timeout_ns % PEAL_S),
	};
	struct io_uring_getevents_arg arg = {
		.ts = (uint64_t)(uintptr_t)&ts,
	};

	return io_uring_enter2((unsigned)uring->ring.enter_ring_fd, submit,
			       wait_for, flags | PEAL__ENTER_EXT_ARG,
			       (void *)&arg, sizeof arg);
}

/* Before the kernel is entered: what comes later signals anew. */
static void clear_notice(const struct peal__uring *uring)
{
	uint64_t value;

	if (read(uring->notify_fd, &value, sizeof value) < 0)
		return;		/* EAGAIN: there was none */
}

static int register_notice(const struct peal__uring *uring, int fd)
{
	return io_uring_register((unsigned)uring->ring.ring_fd,
				 PEAL__REGISTER_EVENTFD, &fd, 1);
}

/* Debian's 6.12 with DEFER_TASKRUN signals a registered eventfd once and not
 * again until it is registered anew; what came meanwhile signals here. */
static void renew_notice(const struct peal__uring *uring)
{
	io_uring_register((unsigned)uring->ring.ring_fd,
			  PEAL__UNREGISTER_EVENTFD, NULL, 0);
	if (register_notice(uring, uring->notify_fd) < 0 ||
	    peal__load_acquire(uring->sq_flags) & PEAL__SQ_TASKRUN)
		signal_fd(uring->notify_fd);
}

/* With nothing to submit and no wish to wait: has the kernel work that it does
 * only when it is entered? It says so, if it was set up to leave it. */
static int has_nothing_to_do(const struct peal_ring *ring,
			     const struct peal__uring *uring)
{
	return ring->queues.sq_tail == ring->queues.sq_head &&
	       !(peal__load_acquire(uring->sq_flags) &
		 (PEAL__SQ_TASKRUN | PEAL__SQ_CQ_OVERFLOW));
}

peal__inline int submit(struct peal_ring *ring, uint32_t wait_for,
		  uint64_t timeout_ns, uint32_t flags)
{
	struct peal__uring *uring = ring->engine_state;
	struct peal__queues *queues = &ring->queues;
	uint32_t count = queues->sq_tail - queues->sq_head;
	int rc;

	ring->stats.enters++;
	if (peal__unlikely(wait_for && timeout_ns != PEAL_FOREVER))
		rc = enter_with_timeout(uring, count, wait_for, flags,
					timeout_ns);
	else
		rc = io_uring_enter2((unsigned)uring->ring.enter_ring_fd,
				     count, wait_for, flags, NULL, 0);
	queues->sq_head = peal__load_acquire(uring->sq_head);
	return rc;
}

static void overflow(struct peal_ring *ring, struct peal__uring *uring)
{
	ring->stats.cq_overflows++;
	if (uring->notify_fd >= 0)	/* more than the queue holds */
		signal_fd(uring->notify_fd);
}

/* The kernel's wait for room in SQPOLL's queue ends early, with no error, when
 * there is a signal or a notice for this thread (6.18, on one processor: one
 * full queue in four, of rings just opened). */
static int submit_patiently(struct peal_ring *ring, uint32_t wait_for,
			    uint64_t timeout_ns, uint32_t flags)
{
	unsigned tries = SQ_WAIT_TRIES;
	int rc;

	do {
		rc = submit(ring, wait_for, timeout_ns, flags);
	} while (flags & PEAL__ENTER_SQ_WAIT && rc >= 0 &&
		 !peal__sq_room(ring) && --tries);
	return rc;
}

/* A ring with SQPOLL, IOPOLL, a foreign loop, or no poll of its eventfd. */
static __attribute__((noinline)) int
enter_unusual(struct peal_ring *ring, uint32_t wait_for, uint64_t timeout_ns)
{
	struct peal__uring *uring = ring->engine_state;
	struct peal__queues *queues = &ring->queues;
	uint32_t flags = uring->enter_flags;
	int rc = 0;

	if (!uring->wake_armed &&
	    !(uring->setup_flags & PEAL__SETUP_IOPOLL)) {
		/* In a full queue there is no room for it: without it, the ring
		 * must not sleep, or no post would wake it. */
		if (!peal__sq_room(ring))
			wait_for = 0;
		arm_wake(ring, uring);
	}
	if (uring->notify_fd >= 0)
		clear_notice(uring);
	peal__store_release_u32(uring->sq_tail, queues->sq_tail);
	if (uring->setup_flags & PEAL__SETUP_SQPOLL)
		flags = sqpoll_flags(uring, wait_for, !peal__sq_room(ring));
	if (flags)
		rc = submit_patiently(ring, wait_for, timeout_ns, flags);
	if (uring->notify_fd >= 0 &&
	    uring->setup_flags & PEAL__SETUP_DEFER_TASKRUN)
		renew_notice(uring);
	queues->sq_head = peal__load_acquire(uring->sq_head);
	if (peal__load_acquire(uring->sq_flags) & PEAL__SQ_CQ_OVERFLOW)
		overflow(ring, uring);
	if (uring->setup_flags & PEAL__SETUP_IOPOLL && rc >= 0 && wait_for &&
	    *queues->cq_head == peal__load_acquire(queues->cq_tail))
		iopoll_wait(uring, timeout_ns);
	return rc;
}

/*
 * With DEFER_TASKRUN a wait ends at the first completion of an interrupt that
 * brings many, and the flag says that there are more. Taken together, what
 * their handlers start is submitted together: one kick of the device, not
 * three, with 32 reads on a disk. Not for sockets: there more at a time only
 * means that the data is cold when it is sent (1.3 times the CPU, 1000
 * connections with 16 KiB each).
 */
static int is_of_a_file(const struct peal_ring *ring)
{
	const struct peal__queues *queues = &ring->queues;
	uint64_t user_data =
		queues->cqes[*queues->cq_head & queues->cq_mask].user_data;
	uint32_t index = (uint32_t)(user_data & PEAL__ROW_MASK);

	if (!peal__cq_ready(ring) || user_data & PEAL__DATA_OWN ||
	    index > ring->rows_used)
		return 0;
	switch (ring->rows[index].opcode) {
	case PEAL__OP_READ:
	case PEAL__OP_READ_FIXED:
	case PEAL__OP_READV:
	case PEAL__OP_READV_FIXED:
	case PEAL__OP_WRITE:
	case PEAL__OP_WRITE_FIXED:
	case PEAL__OP_WRITEV:
	case PEAL__OP_WRITEV_FIXED:
		return 1;
	default:
		return 0;
	}
}

static __attribute__((noinline)) void gather(struct peal_ring *ring,
					     struct peal__uring *uring)
{
	const struct peal__queues *queues = &ring->queues;
	unsigned tries = GATHER_TRIES;

	while (tries-- && is_of_a_file(ring) &&
	       peal__load_acquire(queues->cq_tail) - *queues->cq_head <
		       GATHER_ENOUGH &&
	       peal__load_acquire(uring->sq_flags) & PEAL__SQ_TASKRUN) {
		ring->stats.enters++;
		io_uring_enter2((unsigned)uring->ring.enter_ring_fd, 0, 0,
				uring->enter_flags, NULL, 0);
	}
}

peal__inline int enter(struct peal_ring *ring, uint32_t wait_for,
		       uint64_t timeout_ns)
{
	struct peal__uring *uring = ring->engine_state;
	uint32_t flags;
	int rc;

	if (peal__unlikely(!uring->is_usual))
		return enter_unusual(ring, wait_for, timeout_ns);
	if (peal__unlikely(!wait_for) && has_nothing_to_do(ring, uring))
		return 0;
	peal__store_release_u32(uring->sq_tail, ring->queues.sq_tail);
	rc = submit(ring, wait_for, timeout_ns, uring->enter_flags);
	flags = peal__load_acquire(uring->sq_flags);
	if (peal__unlikely(flags & PEAL__SQ_CQ_OVERFLOW))
		overflow(ring, uring);
	else if (peal__unlikely(flags & PEAL__SQ_TASKRUN && wait_for))
		gather(ring, uring);
	return rc;
}

static int uring_enter(struct peal_ring *ring, uint32_t wait_for,
		       uint64_t timeout_ns)
{
	return enter(ring, wait_for, timeout_ns);
}

static int uring_turn(struct peal_ring *ring, uint64_t timeout_ns, int alone)
{
	return peal__turn_by(ring, timeout_ns, alone, enter);
}

/*
 * What a foreign loop polls. Not the ring's own fd: with DEFER_TASKRUN a
 * poll(2) that waits on it is not woken by a completion (6.18; the look it
 * takes before and after waiting does see one). A registered eventfd is
 * signalled as soon as there is something to do.
 */
static int uring_fd(struct peal_ring *ring)
{
	struct peal__uring *uring = ring->engine_state;
	int fd, rc;

	if (uring->notify_fd >= 0)
		return uring->notify_fd;
	fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	rc = register_notice(uring, fd);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	__atomic_store_n(&uring->notify_fd, fd, __ATOMIC_RELAXED);
	now_usual(uring);
	return fd;
}

/* A read of the eventfd points into our memory; a poll that is left to the end
 * of the kernel's ring puts that off. (6.1 with SQPOLL forgets a cancel of a
 * poll that has just been told of something: more than one try.) */
static void take_wake_back(struct peal_ring *ring, struct peal__uring *uring)
{
	struct peal__sqe *sqe;

	if (uring->wake_by_read)
		uring_wake(ring);
	if (uring->wake_by_read || !peal__sq_room(ring))
		return;
	sqe = peal__sqe_fill(ring, PEAL__OP_ASYNC_CANCEL, -1, 0,
			     PEAL__DATA_IGNORE);
	sqe->addr = PEAL__DATA_WAKE;
}

static int disarm(struct peal_ring *ring, struct peal__uring *uring)
{
	struct peal__queues *queues = &ring->queues;
	int tries;

	for (tries = 0; uring->wake_armed && tries < 100; tries++) {
		take_wake_back(ring, uring);
		uring_enter(ring, 1, 10 * PEAL_MS);
		while (*queues->cq_head !=
		       peal__load_acquire(queues->cq_tail)) {
			uint32_t head = *queues->cq_head;

			uring_event(ring, &queues->cqes[head &
							queues->cq_mask]);
			peal__store_release_u32(queues->cq_head, head + 1);
		}
	}
	return uring->wake_armed ? -EBUSY : 0;
}

static void uring_close(struct peal_ring *ring)
{
	struct peal__uring *uring = ring->engine_state;
	int busy = disarm(ring, uring);

	peal__uring_punts_close(ring);
	peal__uring_unmap(uring);
	close(uring->wake_fd);
	if (uring->notify_fd >= 0)
		close(uring->notify_fd);
	if (!busy || !uring->wake_by_read)	/* else the kernel may still
						 * write into it: leak it */
		peal__free(ring, uring, sizeof *uring);
}

/* A whole round trip: set-up may be allowed where enter is not. */
static int self_test(struct peal_ring *ring)
{
	struct peal__queues *queues = &ring->queues;
	int rc;

	peal__sqe_fill(ring, PEAL__OP_NOP, -1, 0, PEAL__DATA_IGNORE);
	ring->stats.by_op[PEAL__OP_NOP] = 0;
	rc = uring_enter(ring, 1, PEAL_S);
	if (rc < 0 && rc != -EINTR && rc != -ETIME)
		return rc;
	if (*queues->cq_head == peal__load_acquire(queues->cq_tail))
		return -EIO;
	peal__store_release_u32(queues->cq_head, *queues->cq_head + 1);
	return 0;
}

static int open_in_steps(struct peal_ring *ring, struct peal__uring *uring,
			 const struct peal_ring_options *options)
{
	int rc = peal__uring_setup(ring, uring, options);

	if (rc < 0)
		return rc;
	rc = self_test(ring);
	if (rc < 0) {
		peal__reason("io_uring_setup() is allowed but io_uring_enter() "
			     "answers %s: a seccomp filter stands in the way; "
			     "allow system calls 425, 426 and 427",
			     peal_strerror(rc));
		peal__uring_unmap(uring);
		return rc;
	}
	rc = peal__uring_probe(ring, uring);
	if (rc < 0)
		peal__uring_unmap(uring);
	return rc;
}

static int uring_open(struct peal_ring *ring,
		      const struct peal_ring_options *options)
{
	struct peal__uring *uring = peal__alloc(ring, sizeof *uring, 64);
	int rc;

	if (!uring) {
		peal__reason("the allocator had no room for %zu bytes of the "
			     "engine: raise the memory limit", sizeof *uring);
		return -ENOMEM;
	}
	ring->engine_state = uring;
	uring->notify_fd = -1;
	uring->wake_armed = 1;		/* not before the self test is over */
	uring->disable = ring->disable;
	uring->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (uring->wake_fd < 0) {
		rc = -errno;
		peal__uring_refused(options, rc);
		peal__free(ring, uring, sizeof *uring);
		return rc;
	}
	rc = open_in_steps(ring, uring, options);
	uring->wake_armed = 0;
	uring->wake_by_read = ring->no_multishot ||
			      !peal__can(ring, PEAL__OP_POLL_ADD);
	if (rc == 0)
		return 0;
	close(uring->wake_fd);
	peal__free(ring, uring, sizeof *uring);
	return rc;
}

const struct peal__engine peal__uring_engine = {
	.name = "uring",
	.open = uring_open,
	.close = uring_close,
	.enter = uring_enter,
	.turn = uring_turn,
	.wake = uring_wake,
	.event = uring_event,
	.fd = uring_fd,
	.explain = peal__uring_explain,
	.memory_add = peal__uring_memory_add,
	.memory_remove = peal__uring_memory_remove,
	.punts = peal__uring_punts,
	.files_open = peal__uring_files_open,
	.files_close = peal__uring_files_close,
	.files_drop = peal__uring_files_drop,
	.group_open = peal__uring_group_open,
	.group_close = peal__uring_group_close,
	.takes_raw = 1,
};

struct io_uring *peal_uring_ring(struct peal_ring *ring)
{
	peal__must_own(ring, "uring_ring");
	if (ring->engine->open != peal__uring_engine.open)
		return NULL;
	return &((struct peal__uring *)ring->engine_state)->ring;
}

/* The second descriptor of a raw entry, if the kernel looks for one. */
static peal_fd raw_other(const struct io_uring_sqe *entry)
{
	return (entry->opcode == PEAL__OP_SPLICE ||
		entry->opcode == PEAL__OP_TEE) &&
	       !(entry->splice_flags & PEAL__SPLICE_FD_IN_FIXED)
		       ? entry->splice_fd_in : -1;
}

peal_op peal_uring_submit(struct peal_ring *ring,
			  const struct io_uring_sqe *entry,
			  peal_handler *handler, void *ctx)
{
	const unsigned refused = PEAL__SQE_IO_DRAIN | PEAL__SQE_IO_LINK |
				 PEAL__SQE_IO_HARDLINK | PEAL__SQE_CQE_SKIP;
	struct peal__sqe *sqe;
	uint64_t user_data;
	peal_op op;

	peal__must_own(ring, "uring_submit");
	if (entry->flags & refused ||
	    entry->opcode >= PEAL__OP_KERNEL_COUNT)
		return -EINVAL;
	if (!ring->engine->takes_raw || !peal__can(ring, entry->opcode))
		return -EOPNOTSUPP;
	op = peal__start_ends(ring, &sqe, entry->opcode,
			      entry->flags & PEAL__SQE_FIXED_FILE ? -1
								  : entry->fd,
			      raw_other(entry), 0,
			      handler ? handler : peal__ignore, ctx);
	if (op < 0)
		return op;
	ring->rows[(uint64_t)op & PEAL__ROW_MASK].flags = ROW_RAW;
	user_data = sqe->user_data;
	memcpy(sqe, entry, sizeof *sqe);
	sqe->user_data = user_data;
	return op;
}
