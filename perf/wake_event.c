/* SPDX-License-Identifier: MIT */
/* Messages to a base of libevent: a one-time event each. */
#include <event2/event.h>
#include <event2/thread.h>
#include <stdlib.h>
#include "perf/wake.h"

static const char *open_loop(struct wake_loop *loop)
{
	evthread_use_pthreads();
	loop->state = event_base_new();
	return loop->state ? NULL : "event_base_new failed";
}

static void on_message(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	wake_came(arg, 1);
}

static int post(struct wake_loop *loop)
{
	return event_base_once(loop->state, -1, EV_TIMEOUT, on_message, loop,
			       NULL);
}

static const char *run(struct wake_loop *loop, uint64_t until)
{
	while (loop->seen < until)
		if (event_base_loop(loop->state, EVLOOP_ONCE |
				    EVLOOP_NO_EXIT_ON_EMPTY) < 0)
			return "event_base_loop failed";
	return NULL;
}

static void close_loop(struct wake_loop *loop)
{
	event_base_free(loop->state);
}

static const struct wake_kind on_event = { open_loop, post, run, close_loop };
WAKE_SIDE(wake_event, "libevent", on_event);
