/* SPDX-License-Identifier: MIT */
/* Messages to a ring of peal, and to a bare eventfd, which only counts. */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "perf/rings.h"
#include "perf/wake.h"

static const char *ring_open(struct wake_loop *loop)
{
	struct peal_ring *ring;

	if (peal_ring_open(&ring, NULL) < 0)
		return why("peal_ring_open: %s", peal_open_reason());
	loop->state = ring;
	return NULL;
}

static void on_post(struct peal_ring *ring, void *ctx)
{
	(void)ring;
	wake_came(ctx, 1);
}

static int ring_post(struct wake_loop *loop)
{
	return peal_post(loop->state, on_post, loop);
}

static const char *ring_run(struct wake_loop *loop, uint64_t until)
{
	while (loop->seen < until) {
		int rc = peal_ring_turn(loop->state, PEAL_FOREVER);

		if (rc < 0)
			return why_errno("peal_ring_turn", rc);
	}
	return NULL;
}

static void ring_close(struct wake_loop *loop)
{
	peal_ring_close(loop->state, 10 * PEAL_S);
}

static const struct wake_kind on_peal = { ring_open, ring_post, ring_run,
					  ring_close };
WAKE_SIDE(wake_peal, "peal", on_peal);

static const char *eventfd_open(struct wake_loop *loop)
{
	int *fd = malloc(sizeof *fd);

	if (!fd)
		abort();
	*fd = eventfd(0, EFD_CLOEXEC);
	loop->state = fd;
	if (*fd >= 0)
		return NULL;
	free(fd);
	return why_errno("eventfd", -errno);
}

static int eventfd_post(struct wake_loop *loop)
{
	return eventfd_write(*(int *)loop->state, 1);
}

static const char *eventfd_run(struct wake_loop *loop, uint64_t until)
{
	while (loop->seen < until) {
		eventfd_t count;

		if (eventfd_read(*(int *)loop->state, &count) < 0)
			return why_errno("eventfd_read", -errno);
		wake_came(loop, count);
	}
	return NULL;
}

static void eventfd_close(struct wake_loop *loop)
{
	close(*(int *)loop->state);
	free(loop->state);
}

static const struct wake_kind on_eventfd = { eventfd_open, eventfd_post,
					     eventfd_run, eventfd_close };
WAKE_SIDE(wake_eventfd, "eventfd", on_eventfd);
