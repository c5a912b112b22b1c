/* SPDX-License-Identifier: MIT */
/*
 * A trial of the kernel's rings of buffers: on a ring and sockets of its own,
 * some hundred receives of all kinds, short ones, ones that end with a buffer,
 * ones that find none, are compared byte by byte with the model of what the
 * library counts on (uring_check.h).
 *
 * A flag does not tell: kernels from 6.12 on have had bundles out of order,
 * pieces told in another order than they were filled in and buffers said to be
 * full that were not. One mismatch, and the feature is off in this process.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib/groups.h"
#include "lib/random.h"
#include "lib/start.h"
#include "lib/uring.h"
#include "lib/uring_check.h"

#define STEPS	400
#define PAGE	4096u
#define GROUP	1u
#define SEED	20261121u
#define WAYS	3		/* of running completions: see way_of() */
#define MISMATCH (-1000)	/* no errno: what the model says */

/* --- the model ----------------------------------------------------------- */

static int wrong(struct peal__model *model, const char *what, unsigned a,
		 unsigned b)
{
	if (!model->why[0])
		snprintf(model->why, sizeof model->why, "the self-test found "
			 "that the kernel %s (%u, not %u)", what, a, b);
	return -1;
}

uint8_t peal__model_byte(unsigned socket, uint64_t at)
{
	return (uint8_t)(socket * 85 + at * 3 + at / 64);
}

void peal__model_give(struct peal__model *model, uint16_t id)
{
	model->given[model->given_count++] = id;
}

static void done_with_first(struct peal__model *model)
{
	model->back[model->back_count++] = model->given[0];
	memmove(model->given, model->given + 1,
		--model->given_count * sizeof *model->given);
	model->offset = 0;
}

/* The part of a result that is in the first buffer; 0: what is there is not
 * what was sent. */
static uint32_t compare_first(struct peal__model *model, unsigned socket,
			      uint32_t len)
{
	const uint8_t *at = model->memory + model->given[0] * CHECK_SIZE +
			    model->offset;
	uint32_t i;

	if (len > CHECK_SIZE - model->offset)
		len = CHECK_SIZE - model->offset;
	for (i = 0; i < len; i++) {
		uint8_t want = peal__model_byte(socket, model->got[socket]);

		if (at[i] != want) {
			wrong(model, "put a byte in another place than it "
			      "says", at[i], want);
			return 0;
		}
		model->got[socket]++;
	}
	return len;
}

static int see_data(struct peal__model *model, unsigned socket,
		    const struct peal__cqe *cqe)
{
	uint32_t left = (uint32_t)cqe->res, buffers = 0, len;
	int more = 0;

	if (!(cqe->flags & PEAL__CQE_BUFFER))
		return wrong(model, "names no buffer", 0, 1);
	for (; left; left -= len) {
		if (!model->given_count)
			return wrong(model, "fills more than it has", left, 0);
		if (!buffers++ && cqe->flags >> 16 != model->given[0])
			return wrong(model, "takes buffers out of order",
				     cqe->flags >> 16, model->given[0]);
		len = compare_first(model, socket, left);
		if (!len)
			return -1;
		model->offset += len;
		more = model->pieces && model->offset < CHECK_SIZE;
		if (!more)
			done_with_first(model);
	}
	model->bundles += buffers > 1;
	model->parts += (unsigned)more;
	if (model->pieces && more != ((cqe->flags & PEAL__CQE_BUF_MORE) != 0))
		return wrong(model, "is wrong about the room left in a buffer",
			     !more, (unsigned)more);
	return 0;
}

int peal__model_see(struct peal__model *model, unsigned socket,
		    const struct peal__cqe *cqe)
{
	if (cqe->res > 0)
		return see_data(model, socket, cqe);
	model->refused += cqe->res == -ENOBUFS;
	model->ends += cqe->res == 0;
	/* A refusal may be older than the buffer that was given since. */
	if (cqe->res == 0 || cqe->res == -ECANCELED || cqe->res == -ENOBUFS)
		return 0;
	return wrong(model, "ends a receive with an error",
		     (unsigned)-cqe->res, 0);
}

/* --- the trial ----------------------------------------------------------- */

struct trial {
	struct io_uring ring;
	struct peal__model model;
	struct peal__random random;
	char *pages;			/* the ring of buffers, the buffers */
	uint16_t tail;
	int bundles;
	int fds[CHECK_SOCKETS][2];
	int armed[CHECK_SOCKETS];
	int ended[CHECK_SOCKETS];
	uint64_t sent[CHECK_SOCKETS];
};

static unsigned below(struct trial *trial, unsigned bound)
{
	return (unsigned)(peal__random_next(&trial->random) % bound);
}

static void give(struct trial *trial, uint16_t id)
{
	struct peal__buf *bufs = (struct peal__buf *)(void *)trial->pages;
	struct peal__buf *buf = &bufs[trial->tail & (CHECK_BUFFERS - 1)];

	buf->addr = peal__addr(trial->model.memory + id * CHECK_SIZE);
	buf->len = CHECK_SIZE;
	buf->id = id;
	__atomic_store_n(&bufs->tail, ++trial->tail, __ATOMIC_RELEASE);
	peal__model_give(&trial->model, id);
}

static void give_some_back(struct trial *trial)
{
	struct peal__model *model = &trial->model;
	unsigned count = below(trial, CHECK_BUFFERS + 1), at;

	while (count-- && model->back_count) {
		at = below(trial, model->back_count);
		give(trial, model->back[at]);
		model->back[at] = model->back[--model->back_count];
	}
}

static int put(struct trial *trial, unsigned socket)
{
	unsigned len = below(trial, 4) ? 1 + below(trial, 20)
				       : 1 + below(trial, 3 * CHECK_SIZE), i;
	uint8_t bytes[3 * CHECK_SIZE];

	for (i = 0; i < len; i++)
		bytes[i] = peal__model_byte(socket, trial->sent[socket] + i);
	trial->sent[socket] += len;
	return send(trial->fds[socket][1], bytes, len,
		    MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len ? 0 : -EIO;
}

static struct peal__sqe *entry(struct trial *trial, unsigned opcode,
			       uint64_t user_data)
{
	struct peal__sqe *sqe =
		(struct peal__sqe *)(void *)io_uring_get_sqe(&trial->ring);

	if (sqe)
		*sqe = (struct peal__sqe){ .opcode = (uint8_t)opcode,
					   .user_data = user_data };
	return sqe;
}

static void arm(struct trial *trial, unsigned socket)
{
	struct peal__sqe *sqe;

	if (trial->armed[socket] || trial->ended[socket])
		return;
	sqe = entry(trial, PEAL__OP_RECV, socket);
	if (!sqe)
		return;
	sqe->fd = trial->fds[socket][0];
	sqe->flags = PEAL__SQE_BUFFER_SELECT;
	sqe->buf_index = GROUP;
	if (below(trial, 3))
		sqe->ioprio = PEAL__RECV_MULTISHOT;
	if (sqe->ioprio && trial->bundles)
		sqe->ioprio |= PEAL__RECVSEND_BUNDLE;
	trial->armed[socket] = 1;
}

static void disarm(struct trial *trial, unsigned socket)
{
	struct peal__sqe *sqe;

	if (!trial->armed[socket])
		return;
	sqe = entry(trial, PEAL__OP_ASYNC_CANCEL, CHECK_SOCKETS);
	if (!sqe)
		return;
	sqe->fd = -1;
	sqe->addr = socket;
}

/* Everything that was prepared, and everything that has come of it. */
static int reap(struct trial *trial)
{
	struct io_uring_cqe *cqe;
	int rc = io_uring_submit(&trial->ring);

	if (rc >= 0)
		rc = io_uring_get_events(&trial->ring);
	while (rc >= 0 && io_uring_peek_cqe(&trial->ring, &cqe) == 0) {
		const struct peal__cqe seen = { .user_data = cqe->user_data,
						.res = cqe->res,
						.flags = cqe->flags };
		unsigned socket = (unsigned)seen.user_data;

		io_uring_cqe_seen(&trial->ring, cqe);
		if (socket >= CHECK_SOCKETS)
			continue;
		if (!(seen.flags & PEAL__CQE_MORE))
			trial->armed[socket] = 0;
		trial->ended[socket] |= seen.res == 0;
		if (peal__model_see(&trial->model, socket, &seen) < 0)
			return MISMATCH;
	}
	return rc < 0 ? rc : 0;
}

/* Several things at one time, so that one batch has several kinds. */
static int step(struct trial *trial)
{
	unsigned count = 1 + below(trial, 4), socket;
	int rc = 0;

	give_some_back(trial);
	while (count-- && rc == 0) {
		socket = below(trial, CHECK_SOCKETS);
		if (below(trial, 8) == 0)
			disarm(trial, socket);
		else if (below(trial, 2))
			arm(trial, socket);
		else if (trial->sent[socket] - trial->model.got[socket] <
			 CHECK_BUFFERS * CHECK_SIZE)
			rc = put(trial, socket);
	}
	return rc < 0 ? rc : reap(trial);
}

static int is_all_there(const struct trial *trial)
{
	unsigned i;

	for (i = 0; i < CHECK_SOCKETS; i++)
		if (trial->model.got[i] != trial->sent[i] || !trial->ended[i])
			return 0;
	return 1;
}

/* The ends of the streams, and all that was still on its way. */
static int finish(struct trial *trial)
{
	unsigned left = STEPS, i;
	int rc = 0;

	for (i = 0; i < CHECK_SOCKETS; i++)
		shutdown(trial->fds[i][1], SHUT_WR);
	while (rc == 0 && left-- && !is_all_there(trial)) {
		give_some_back(trial);
		for (i = 0; i < CHECK_SOCKETS; i++)
			arm(trial, i);
		rc = reap(trial);
	}
	if (rc < 0)
		return rc;
	if (!is_all_there(trial))
		wrong(&trial->model, "loses what was sent", 0, 1);
	else if (trial->bundles && !trial->model.bundles)
		wrong(&trial->model, "fills one buffer at a time", 1, 2);
	return trial->model.why[0] ? MISMATCH : 0;
}

static int run(struct trial *trial)
{
	unsigned left = STEPS;
	uint16_t id;
	int rc = 0;

	for (id = 0; id < CHECK_BUFFERS; id++)
		give(trial, id);
	while (rc == 0 && left--)
		rc = step(trial);
	return rc < 0 ? rc : finish(trial);
}

static int open_sockets(struct trial *trial)
{
	unsigned i;

	for (i = 0; i < CHECK_SOCKETS; i++)
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			       trial->fds[i]) < 0)
			return -errno;
	return 0;
}

static void close_sockets(struct trial *trial)
{
	unsigned i;

	for (i = 0; i < CHECK_SOCKETS; i++) {
		if (trial->fds[i][0] < 0)
			continue;
		close(trial->fds[i][0]);
		close(trial->fds[i][1]);
	}
}

/* The kernel may yet write to a page that a receive is armed for: it stays. */
static void drop_pages(struct trial *trial)
{
	unsigned i;

	for (i = 0; i < CHECK_SOCKETS; i++)
		if (trial->armed[i])
			return;
	munmap(trial->pages, 2 * PAGE);
}

/* -EINVAL: the kernel does not know it; other errors: it could not be tried. */
static int try_it(struct trial *trial, uint32_t flags)
{
	int rc = io_uring_queue_init(32, &trial->ring, flags);

	if (rc < 0)
		return rc == -EINVAL ? -ENOSYS : rc;
	rc = peal__uring_buffers(trial->ring.ring_fd, PEAL__REGISTER_PBUF_RING,
				 GROUP, trial->model.pieces
						? PEAL__PBUF_RING_INC : 0,
				 trial->pages, CHECK_BUFFERS);
	if (rc == 0)
		rc = open_sockets(trial);
	if (rc == 0)
		rc = run(trial);
	close_sockets(trial);
	io_uring_queue_exit(&trial->ring);
	return rc;
}

/* --- verdicts ------------------------------------------------------------ */

struct verdict {
	int known;
	char why[160];
};

static void judge(struct verdict *verdict, enum peal__check what,
		  uint32_t flags)
{
	struct trial trial;
	int rc = -ENOMEM;

	memset(&trial, 0, sizeof trial);
	memset(trial.fds, -1, sizeof trial.fds);
	peal__random_seed(&trial.random, SEED);
	trial.bundles = what != CHECK_PIECES;
	trial.model.pieces = what != CHECK_BUNDLES;
	trial.pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (trial.pages != MAP_FAILED) {
		trial.model.memory = (uint8_t *)trial.pages + PAGE;
		rc = try_it(&trial, flags);
		drop_pages(&trial);
	}
	verdict->known = rc == 0 || rc == MISMATCH || rc == -EINVAL;
	if (rc == MISMATCH)
		memcpy(verdict->why, trial.model.why, sizeof verdict->why);
	else if (rc == -EINVAL)
		snprintf(verdict->why, sizeof verdict->why, "this kernel does "
			 "not have it");
	else if (rc < 0)
		snprintf(verdict->why, sizeof verdict->why, "its self-test "
			 "could not run now: %s", peal_strerror(rc));
	else
		verdict->why[0] = 0;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* of verdicts */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
	peal__at_fork(before_fork, after_fork, after_fork);
}

/* When completions are run decides in which order they come. */
static unsigned way_of(uint32_t setup_flags)
{
	return setup_flags & PEAL__SETUP_DEFER_TASKRUN ? 2
	       : setup_flags & PEAL__SETUP_COOP_TASKRUN ? 1 : 0;
}

const char *peal__uring_check(enum peal__check what, uint32_t setup_flags)
{
	static const uint32_t flags[WAYS] = {
		0, PEAL__SETUP_COOP_TASKRUN,
		PEAL__SETUP_SINGLE_ISSUER | PEAL__SETUP_DEFER_TASKRUN
	};
	static struct verdict verdicts[CHECKS][WAYS];
	unsigned way = way_of(setup_flags);
	struct verdict *verdict = &verdicts[what][way], mine;

	if (what != CHECK_BUNDLES &&
	    setup_flags & (PEAL__SETUP_SQPOLL | PEAL__SETUP_IOPOLL))
		return "it is not used with SQPOLL or IOPOLL";
	/* Not judged under the lock: a fork waits for it, so that the child has
	 * it free. */
	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&lock);
	mine = *verdict;
	pthread_mutex_unlock(&lock);
	if (!mine.known) {
		judge(&mine, what, flags[way]);
		pthread_mutex_lock(&lock);
		if (!verdict->known)
			*verdict = mine;
		pthread_mutex_unlock(&lock);
	}
	return verdict->why;
}
