/* SPDX-License-Identifier: MIT */
/* The engine "replay", between its files. */
#ifndef PEAL_SHIM_REPLAY_H
#define PEAL_SHIM_REPLAY_H

#include "lib/soft.h"
#include "shim/record.h"

#define LEAST_ERROR (-4095)	/* of the kernel's */

/* A thread that posted in the run. */
struct replay_poster {
	uint32_t recorded, real;	/* threads; real 0: not known yet */
	struct record_post first;
};

/* A thread that posts now, and what of it has not run yet. */
struct replay_thread {
	uint32_t thread;
	int known;			/* it is a poster's */
	struct peal__post *come;
	size_t begin, end, room;
};

struct replay_posts {
	struct replay_poster *posters;
	struct replay_thread *threads;
	size_t posters_count, posters_room;
	size_t threads_count, threads_room;
};

struct replay {
	struct peal__soft soft;
	struct peal__engine engine;	/* without what the recorded one had
					 * not */
	struct record_file file;
	int failed;
	int fd;				/* always readable; -1: not asked for */
	uint32_t noted;			/* of the entries: up to here */
	struct record_op *ops;		/* one per row */
	uint8_t *made;			/* descriptors that ops made */
	uint32_t made_room;
	/* By group and buffer: the completion that has it, plus 1. */
	uint32_t *taken[PEAL__MOST_GROUPS];
	struct replay_posts posts;
};

static inline struct replay *replay_of(const struct peal_ring *ring)
{
	return ring->engine_state;
}

/* replay_match.c */
/* Writes FILE.report, for programs that do not show the ring's reason. NULL:
 * there is none yet. */
void peal__replay_report(struct replay *replay, const char *text);
/* The first difference ends the ring: came is not what the record has next;
 * how, if not "", is the word for what is not the same. */
void peal__replay_differs(struct peal_ring *ring, const char *came,
			  const char *how);
/* So does a record that cannot be followed any more: why. */
void peal__replay_cannot(struct peal_ring *ring, const char *why);
/* "the same, ..." or up to where. */
void peal__replay_tell_end(struct replay *replay);
/* 1: it is what the record has here, and is taken. */
int peal__replay_match(struct peal_ring *ring, enum record_kind kind,
		       const struct peal__sqe *sqe);
/* The result of an op that may have made a descriptor, as the program gets
 * it. */
int64_t peal__replay_make_fd(struct replay *replay, const struct peal__sqe *sqe,
			     int64_t result);
/* A close that was matched is to be matched again, by the pool. */
void peal__replay_not_closed(struct replay *replay,
			     const struct peal__sqe *sqe);

/* replay_done.c: completions. */
/* Is it a result that ops of this kind have? */
int peal__replay_can_be(const struct peal__sqe *sqe, int64_t result);
/* The frame's result, with all that it wrote in its place. */
int64_t peal__replay_result(struct peal_ring *ring,
			    const struct record_frame *frame);
/* Tells the ring, by its queue or as a job. */
void peal__replay_complete(struct peal_ring *ring,
			   const struct record_frame *frame);
void peal__replay_to_pool(struct peal_ring *ring,
			  const struct record_done *done);

/* replay_post.c */
int peal__replay_posts_open(struct peal_ring *ring);
void peal__replay_posts_close(struct replay *replay);
void peal__replay_posts_run(struct peal_ring *ring);

#endif
