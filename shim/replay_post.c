/* SPDX-License-Identifier: MIT */
/*
 * Posts in a replay: other threads run and post for real, in an order of their
 * own; each post waits here until it is its turn.
 *
 * A thread is known again by what it posts first, and among several that post
 * the same by which of them is older: threads are numbered as they are started.
 * What the file says of functions is only compared: none is called for it.
 */
#include <stdlib.h>
#include <string.h>
#include "shim/replay.h"

#define WAIT_NS		(10 * PEAL_S)	/* for a post */
#define OTHERS_NS	(200 * PEAL_MS)	/* for threads that post the same */

static int same_value(const struct record_value *a,
		      const struct record_value *b)
{
	return a->kind == b->kind &&
	       (a->kind == VALUE_OTHER || a->value == b->value);
}

static int same_post(const struct record_post *a, const struct record_post *b)
{
	return same_value(&a->fn, &b->fn) && same_value(&a->ctx, &b->ctx);
}

static int is_like(const struct record_post *recorded,
		   const struct replay_post *post)
{
	const struct record_post came = {
		.fn = peal__record_value((void *)(uintptr_t)post->fn),
		.ctx = peal__record_value(post->ctx),
	};

	return same_post(recorded, &came);
}

/* Room for one more; NULL: no memory. */
static void *grow(void *list, size_t count, size_t *room, size_t size)
{
	void *more;

	if (count < *room)
		return list;
	more = realloc(list, (*room ? 2 * *room : 64) * size);
	if (more)
		*room = *room ? 2 * *room : 64;
	return more;
}

/* --- who posted ----------------------------------------------------------- */

static struct replay_poster *poster_of(struct replay_posts *posts,
				       uint32_t recorded)
{
	size_t i;

	for (i = 0; i < posts->posters_count; i++)
		if (posts->posters[i].recorded == recorded)
			return &posts->posters[i];
	return NULL;
}

static int add_poster(struct replay_posts *posts,
		      const struct record_post *first)
{
	struct replay_poster *more;

	if (poster_of(posts, first->thread))
		return 0;
	more = grow(posts->posters, posts->posters_count,
		    &posts->posters_room, sizeof *more);
	if (!more)
		return -ENOMEM;
	posts->posters = more;
	posts->posters[posts->posters_count++] =
		(struct replay_poster){ first->thread, 0, *first };
	return 0;
}

int peal__replay_posts_open(struct peal_ring *ring)
{
	struct replay *replay = replay_of(ring);
	const struct record_frame *frame;
	struct replay_poster *own;
	size_t at = replay->file.at, i;

	for (; (frame = peal__record_at(&replay->file, at)) != NULL;
	     at = peal__record_behind(&replay->file, at)) {
		const struct record_post *post = record_body(frame);

		if (frame->kind != RECORD_POSTS)
			continue;
		for (i = 0; i < frame->len / sizeof *post; i++)
			if (add_poster(&replay->posts, &post[i]) < 0)
				return -ENOMEM;
	}
	own = poster_of(&replay->posts,
			peal__record_ring(&replay->file)->thread);
	if (own)
		own->real = peal__thread_id();
	ring->posts_signed = 1;
	return 0;
}

void peal__replay_posts_close(struct replay *replay)
{
	free(replay->posts.posters);
	free(replay->posts.come);
}

static int is_known(const struct replay_posts *posts, uint32_t real)
{
	size_t i;

	for (i = 0; i < posts->posters_count; i++)
		if (posts->posters[i].real == real)
			return 1;
	return 0;
}

/* How many threads, not known yet, began with this; and how many of them are
 * older than the poster. */
static size_t alike(const struct replay_posts *posts,
		    const struct replay_poster *poster, size_t *out_older)
{
	size_t i, count = 0;

	*out_older = 0;
	for (i = 0; i < posts->posters_count; i++) {
		const struct replay_poster *other = &posts->posters[i];

		if (other->real || !same_post(&other->first, &poster->first))
			continue;
		count++;
		*out_older += other->recorded < poster->recorded;
	}
	return count;
}

static int is_first_of_its_thread(const struct replay_posts *posts, size_t at)
{
	size_t i;

	for (i = 0; i < at; i++)
		if (posts->come[i].thread == posts->come[at].thread)
			return 0;
	return 1;
}

/* --- what has come -------------------------------------------------------- */

static void collect(struct peal_ring *ring, struct replay_posts *posts)
{
	struct peal__post post;
	struct replay_post *more;

	for (;;) {
		more = grow(posts->come, posts->count, &posts->room,
			    sizeof *more);
		if (!more || (posts->come = more, !peal__post_take(ring,
								   &post)))
			return;
		posts->come[posts->count++] =
			(struct replay_post){ post.fn, post.ctx, post.thread };
	}
}

/* Takes the thread's first one; posts->count: there is none. */
static size_t find_of_thread(const struct replay_posts *posts, uint32_t thread)
{
	size_t at;

	for (at = 0; at < posts->count; at++)
		if (posts->come[at].thread == thread)
			break;
	return at;
}

/* The post of a thread that is not known yet: of those that began like it the
 * one that has as many older ones. Not all may have come. */
static size_t find_by_first(const struct replay_posts *posts,
			    const struct replay_poster *poster, int all)
{
	size_t older, wanted = alike(posts, poster, &older), there = 0, at;
	size_t best = posts->count, rank;

	for (rank = 0; rank <= older; rank++) {
		uint32_t above = rank ? posts->come[best].thread : 0;
		size_t next = posts->count;

		for (at = 0; at < posts->count; at++) {
			uint32_t thread = posts->come[at].thread;

			if (thread <= above || is_known(posts, thread) ||
			    !is_first_of_its_thread(posts, at) ||
			    !is_like(&poster->first, &posts->come[at]))
				continue;
			there += !rank;
			if (next == posts->count ||
			    thread < posts->come[next].thread)
				next = at;
		}
		if (next == posts->count || (all && there < wanted))
			return all ? posts->count : best;
		best = next;
	}
	return best;
}

static struct replay_post take_out(struct replay_posts *posts, size_t at)
{
	const struct replay_post post = posts->come[at];

	posts->count--;
	memmove(&posts->come[at], &posts->come[at + 1],
		(posts->count - at) * sizeof post);
	return post;
}

/* Waits for this one; fn NULL: it has not come, and the ring has failed. */
static struct replay_post wait_for(struct peal_ring *ring,
				   const struct record_post *recorded)
{
	struct replay_posts *posts = &replay_of(ring)->posts;
	struct replay_poster *poster = poster_of(posts, recorded->thread);
	uint64_t begin = peal__clock(), waited = 0;
	const struct replay_post none = { 0 };
	size_t at;

	for (; waited <= WAIT_NS; waited = peal__clock() - begin) {
		collect(ring, posts);
		at = poster->real ? find_of_thread(posts, poster->real)
				  : find_by_first(posts, poster,
						  waited < OTHERS_NS);
		if (at < posts->count) {
			poster->real = posts->come[at].thread;
			return take_out(posts, at);
		}
		peal__yield();
	}
	peal__replay_differs(ring, "no such post in 10 s: if a signal's "
			     "handler made it, send the signal", "");
	return none;
}

void peal__replay_posts_run(struct peal_ring *ring)
{
	struct replay *replay = replay_of(ring);
	const struct record_frame *frame = peal__record_look(&replay->file,
							     NULL);
	const struct record_post *recorded;
	uint32_t count, i;

	if (replay->failed || !frame || frame->kind != RECORD_POSTS)
		return;
	recorded = record_body(frame);
	count = frame->len / (uint32_t)sizeof *recorded;
	for (i = 0; i < count && !ring->stop; i++) {
		struct replay_post post = wait_for(ring, &recorded[i]);

		if (!post.fn)
			return;
		if (i == 0)
			peal__record_take(&replay->file);
		ring->stats.posts++;
		post.fn(ring, post.ctx);
	}
}
