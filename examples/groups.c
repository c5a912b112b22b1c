/* SPDX-License-Identifier: MIT */
/*
 * groups: a chat of many connections on few buffers.
 *
 * Teaches: a receive that waits holds no buffer. Each member's multishot
 * receive takes one from the group when a line has come; the handler has it
 * until it gives it back. Here that is when the line has been sent on to every
 * other member, so a buffer is shared by all these sends, and the group's size
 * bounds what is on its way: when all buffers are out, receives wait, and the
 * kernel slows the talkers down.
 *
 * Try:  build/examples/groups 3             (members; 2 buffers for them all)
 * See:  each member says a line, each hears the lines of the others, and the
 *       statistics: never more than 2 buffers were out.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <peal.h>

#define MOST 16

struct line {			/* a buffer on its way to the members */
	void *buf;
	int sends;
};

static struct peal_group *group;
static int members, heard, ours[MOST], theirs[MOST];
static struct line lines[MOST];

static void must(const char *what, int64_t result)
{
	if (result < 0) {
		fprintf(stderr, "groups: %s: %s\n", what,
			peal_strerror(result));
		exit(1);
	}
}

static void on_sent(struct peal_ring *ring, const struct peal_completion *done)
{
	struct line *line = done->ctx;

	(void)ring;
	must("send", done->result);
	if (--line->sends == 0)
		peal_group_give_back(group, line->buf);
}

static void on_line(struct peal_ring *ring, const struct peal_completion *done)
{
	struct line *line = done->ctx;	/* of this member */
	int from = (int)(line - lines), i;

	if (!done->buf)		/* the end, or cancelled */
		return;
	line->buf = done->buf;
	line->sends = members - 1;
	for (i = 0; i < members; i++)
		if (i != from)
			must("send", peal_send_full(ring, ours[i], done->buf,
						    (size_t)done->result, 0, 0,
						    on_sent, line));
}

/* A member's end of its connection: plain calls, for they are another
 * program's. */
static void say(int i)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "member %d says hello\n", i);

	must("say", write(theirs[i], text, (size_t)len) == len ? 0 : -1);
}

static void on_heard(struct peal_ring *ring, const struct peal_completion *done)
{
	char text[MOST * 32];
	ssize_t len;

	if (done->result == -ECANCELED)
		return;		/* all is said */
	must("hear", done->result);
	len = read(*(int *)done->ctx, text, sizeof(text));
	while (len-- > 0)
		heard += text[len] == '\n';
	if (heard == members * (members - 1))
		must("cancel", peal_cancel_all(ring, 0, NULL, NULL));
}

int main(int argc, char **argv)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;
	struct peal_group_stats stats = { .size = sizeof(stats) };
	struct peal_ring *ring;
	int fds[2], i;

	members = argc > 1 ? atoi(argv[1]) : 3;
	if (members < 2 || members > MOST)
		members = 3;
	if (peal_ring_open(&ring, NULL) < 0) {
		fprintf(stderr, "groups: %s\n", peal_open_reason());
		return 1;
	}
	options.count = 2;
	options.buf_size = 64;
	must("group", peal_group_open(ring, &group, &options));
	for (i = 0; i < members; i++) {
		must("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
		ours[i] = fds[0];
		theirs[i] = fds[1];
		must("receive", peal_recv_multishot(ring, ours[i], group, 0, 0,
						    on_line, &lines[i]));
		must("poll", peal_poll_multishot(ring, theirs[i], POLLIN,
						 0, on_heard, &theirs[i]));
		say(i);
	}
	must("run", peal_ring_run(ring));
	peal_group_stats(group, &stats);
	printf("%d members heard %d lines; %s\n", members, heard,
	       stats.most_out <= 2 ? "at most 2 buffers were out" : "?");
	must("close", peal_ring_close(ring, PEAL_FOREVER));
	return 0;
}
