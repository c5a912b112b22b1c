/* SPDX-License-Identifier: MIT */
/*
 * Posts in a replay: other threads run and post for real, in an order of their
 * own; each post waits here until it is its turn.
 *
 * A thread is known again by what it posts first, and among several that post
 * the same by which of them is older: threads are numbered as they are started.
 * What the file says of functions is only compared: none is called for it.
 */
#include <dirent.h>
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
		   const struct replay_thread *thread)
{
	const struct peal__post *post = &thread->come[thread->begin];
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

/* known: it is a poster's, one that is not there yet as well. */
static struct replay_thread *thread_of(struct replay_posts *posts,
				       uint32_t thread, int known)
{
	struct replay_thread *more;
	size_t i;

	for (i = posts->threads_count; i; i--)
		if (posts->threads[i - 1].thread == thread)
			return &posts->threads[i - 1];
	more = grow(posts->threads, posts->threads_count,
		    &posts->threads_room, sizeof *more);
	if (!more)
		return NULL;
	posts->threads = more;
	more += posts->threads_count++;
	*more = (struct replay_thread){ .thread = thread, .known = known };
	return more;
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
	ring->posts_signed = 1;
	own = poster_of(&replay->posts,
			peal__record_ring(&replay->file)->thread);
	if (!own)
		return 0;
	own->real = peal__thread_id();
	return thread_of(&replay->posts, own->real, 1) ? 0 : -ENOMEM;
}

void peal__replay_posts_close(struct replay *replay)
{
	struct replay_posts *posts = &replay->posts;

	free(posts->posters);
	while (posts->threads_count)
		free(posts->threads[--posts->threads_count].come);
	free(posts->threads);
}

/* --- what has come -------------------------------------------------------- */

static int keep(struct replay_posts *posts, const struct peal__post *post)
{
	struct replay_thread *thread = thread_of(posts, post->thread, 0);
	struct peal__post *more;

	if (!thread)
		return -ENOMEM;
	if (thread->begin == thread->end)
		thread->begin = thread->end = 0;
	more = grow(thread->come, thread->end, &thread->room, sizeof *more);
	if (!more)
		return -ENOMEM;
	thread->come = more;
	more = &thread->come[thread->end++];
	more->fn = post->fn;
	more->ctx = post->ctx;
	return 0;
}

static int has_one(const struct replay_thread *thread)
{
	return thread && thread->begin < thread->end;
}

/* How many posters that are not known yet began with the same, and are older:
 * threads are numbered as they are started. */
static size_t older_than(const struct replay_posts *posts,
			 const struct replay_poster *poster)
{
	size_t i, count = 0;

	for (i = 0; i < posts->posters_count; i++) {
		const struct replay_poster *other = &posts->posters[i];

		count += !other->real && other->recorded < poster->recorded &&
			 same_post(&other->first, &poster->first);
	}
	return count;
}

/* Of the threads that began like the poster, the one with so many older ones;
 * with fewer, the youngest. NULL: none has come. */
static struct replay_thread *choose(const struct replay_posts *posts,
				    const struct replay_poster *poster,
				    size_t older)
{
	struct replay_thread *best = NULL;
	size_t rank, i;

	for (rank = 0; rank <= older; rank++) {
		struct replay_thread *next = NULL;

		for (i = 0; i < posts->threads_count; i++) {
			struct replay_thread *thread = &posts->threads[i];

			if (!thread->known && has_one(thread) &&
			    (!best || thread->thread > best->thread) &&
			    (!next || thread->thread < next->thread) &&
			    is_like(&poster->first, thread))
				next = thread;
		}
		if (!next)
			break;
		best = next;
	}
	return best;
}

/* Is there an older thread that may still post the same? */
static int may_come(struct replay_posts *posts, uint32_t thread)
{
	DIR *list = opendir("/proc/self/task");
	const struct dirent *entry;
	int may = 0;

	while (list && !may && (entry = readdir(list)) != NULL) {
		uint32_t id = (uint32_t)strtoul(entry->d_name, NULL, 10);
		size_t i;

		may = id && id < thread && id != peal__thread_id();
		for (i = 0; may && i < posts->threads_count; i++)
			may = posts->threads[i].thread != id;
	}
	if (list)
		closedir(list);
	return may;
}

/* The thread whose next post is this one; NULL: not yet. */
static struct replay_thread *find(struct replay_posts *posts,
				  struct replay_poster *poster,
				  uint64_t waited_ns)
{
	struct replay_thread *thread;
	size_t older;

	if (poster->real) {
		thread = thread_of(posts, poster->real, 1);
		return has_one(thread) ? thread : NULL;
	}
	older = older_than(posts, poster);
	thread = choose(posts, poster, older);
	if (!thread ||
	    (waited_ns < OTHERS_NS && may_come(posts, thread->thread)))
		return NULL;
	thread->known = 1;
	poster->real = thread->thread;
	return thread;
}

/* Waits for this one; fn NULL: it has not come, and the ring has failed. */
static struct peal__post wait_for(struct peal_ring *ring,
				  const struct record_post *recorded)
{
	struct replay_posts *posts = &replay_of(ring)->posts;
	struct replay_poster *poster = poster_of(posts, recorded->thread);
	uint64_t begin = peal__clock(), waited = 0;
	struct replay_thread *thread;
	struct peal__post post;

	for (; waited <= WAIT_NS; waited = peal__clock() - begin) {
		while (peal__post_take(ring, &post) && keep(posts, &post) == 0)
			;
		thread = find(posts, poster, waited);
		if (thread)
			return thread->come[thread->begin++];
		peal__yield();
	}
	peal__replay_differs(ring, "no such post in 10 s: if a signal's "
			     "handler made it, send the signal", "");
	return (struct peal__post){ .fn = NULL };
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
		const struct peal__post post = wait_for(ring, &recorded[i]);

		if (!post.fn)
			return;
		if (i == 0)
			peal__record_take(&replay->file);
		ring->stats.posts++;
		post.fn(ring, post.ctx);
	}
}
