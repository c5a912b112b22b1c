/* SPDX-License-Identifier: MIT */
/*
 * Buffer groups (include/peal/group.h), as lib/ sees them.
 *
 * Who has a buffer:
 *
 *	IN --the engine took it--> OUT --give back--> IN
 *	 \--set aside for a receive (GROUP_POLLS)--> AWAY --data--> OUT
 *	                                               \--none--> IN
 *
 * Who takes it, the group's mode says:
 *
 *	KERNEL	the kernel, from a ring of buffers in our memory
 *	ASKED	an engine in user space: peal__buffer_take()
 *	POLLS	the library: it waits until the fd is readable, takes a buffer
 *		and receives without waiting; for kernels without buffer rings
 *
 * A group that is incremental hands a buffer out in pieces: what a receive left
 * of it is IN for the next one, with pieces OUT. It is OUT when the engine is
 * done with it, and comes back with its last piece. Completions do not say where
 * a piece begins: pieces of a buffer are told in the order they were filled in,
 * which uring_check.c makes sure of.
 *
 * A receive that finds no buffer is paused: its row is no longer the engine's
 * (ROW_USER) and stands in the group's list, by its job. Each turn starts as
 * many of them again as there are buffers.
 */
#ifndef PEAL_LIB_GROUPS_H
#define PEAL_LIB_GROUPS_H

#include "lib/ring.h"
#include "peal/group.h"

enum peal__group_mode { GROUP_KERNEL, GROUP_ASKED, GROUP_POLLS };
enum peal__buffer_state { BUFFER_IN, BUFFER_AWAY, BUFFER_OUT };

/* A slot of the ring of buffers that the kernel reads; the tail stands in the
 * first one's last field. */
struct peal__buf {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t tail;
};

/* What stands before a message in a buffer: the kernel's layout, ours too. */
struct peal__message_head {
	uint32_t addr_len;
	uint32_t control_len;
	uint32_t data_len;
	uint32_t flags;
};

/* The header of a message that is received into one buffer. */
struct peal__message {
	struct msghdr header;
	struct iovec part;
};

/* Of a buffer that is handed out in pieces: bytes that an engine of ours has
 * put in, bytes that completions have told of, pieces that are out. */
struct peal__parts {
	uint32_t filled;
	uint32_t told;
	uint32_t out;
};

struct peal_group {
	struct peal_ring *ring;		/* NULL: the group is closed */
	char *memory;
	uint8_t *states;		/* of each buffer */
	uint16_t *order;		/* KERNEL: by place in the ring of buffers;
					 * else: a stack of those that are IN */
	struct peal__buf *bufs;		/* KERNEL */
	uint16_t *places;		/* KERNEL: of each buffer, in the ring */
	struct peal__message *messages;	/* not KERNEL: one per buffer */
	struct peal__parts *parts;	/* incremental: one per buffer */
	uint64_t *starts;		/* ... a bit per byte: a piece that is
					 * out begins here */
	struct msghdr header;		/* KERNEL: for all messages */
	struct peal__jobs paused;
	peal_op closing;
	uint32_t count, entries, buf_size;
	uint32_t addr_room, control_room;
	uint32_t in;			/* buffers that are IN */
	uint32_t ops;			/* receives in flight */
	uint32_t waiting;		/* of them paused */
	uint16_t tail;			/* KERNEL */
	uint8_t id;
	uint8_t mode;
	uint8_t own_memory;
	uint8_t streams_only;		/* pieces were asked for */
	uint8_t incremental;		/* ... and are in effect */
	uint8_t bundles;
	struct peal_group_stats stats;
};

/* A row of a group: its entry_flags have PEAL__SQE_BUFFER_SELECT; its arg is
 *	buffer (15 bits), away (1), group (8), msg_flags and our own (8) */
#define GROUP_ARG_AWAY	(1u << 15)	/* that buffer is set aside for it */
#define GROUP_ARG_BUNDLE (0x80u << 24)

static inline int peal__row_has_group(const struct peal__row *row)
{
	return row->entry_flags & PEAL__SQE_BUFFER_SELECT;
}

/* Where in a buffer an engine of ours goes on. */
static inline uint32_t peal__group_filled(const struct peal_group *group,
					  uint32_t id)
{
	return group->parts ? group->parts[id].filled : 0;
}

static inline char *peal__group_buf(const struct peal_group *group,
				    uint32_t id)
{
	return group->memory + (size_t)id * group->buf_size;
}

static inline struct peal_group *peal__group_of(struct peal_ring *ring,
					const struct peal__row *row)
{
	return ring->groups[row->arg >> 16 & 0xff];
}

/* Bytes before the data of a message. */
static inline uint64_t peal__group_before(const struct peal_group *group)
{
	return sizeof(struct peal__message_head) +
	       (uint64_t)group->addr_room + group->control_room;
}

/* A macro, as peal__must_own() is. */
#define peal__group_must(group, op)					      \
	do {								      \
		MUST((group)->ring, "the group is closed, by "		      \
		     "peal_group_close() or with its ring", op);	      \
		peal__must_own((group)->ring, op);			      \
	} while (0)

/* groups_open.c: the text of peal_group_reason() */
void peal__group_reason(const char *format, ...) peal__format(1, 2);

/* groups.c: buffers. A group that is not the kernel's has them on a stack. */
uint32_t peal__group_take(struct peal_group *group);
void peal__group_put(struct peal_group *group, uint32_t id);
/* So many bytes are in the one that was taken. 1: the rest is for the next. */
int peal__group_fill_in(struct peal_group *group, uint32_t id, uint32_t len);
/* The program has it, or so much of it; more: the engine goes on with it. */
void *peal__group_out(struct peal_group *group, uint32_t id, int64_t len,
		      int more);
/* Has a group that is being closed lost its last op, or its last buffer? */
void peal__group_look(struct peal_group *group);

/* groups_recv.c: where an entry receives to; after a message came there: what
 * the completion's result is. */
void peal__group_aim(struct peal_group *group, uint32_t id,
		     struct peal__sqe *sqe);
int peal__group_head(struct peal_group *group, uint32_t id, int len);

/* Before a row's completion is told. 1: there is nothing to tell. *flags keeps
 * PEAL__CQE_BUF_MORE. */
int peal__group_step(struct peal_ring *ring, struct peal__row *row,
		     int64_t *result, uint32_t *flags, void **out_buf);
/* Of a completion of several buffers: the bytes in the first; the rest in
 * *result and *buf. 0: there is only one. */
int64_t peal__group_split(struct peal_ring *ring, struct peal__row *row,
			  int64_t *result, uint32_t flags, void **buf);
/* Is this good result of a multishot receive its last? */
int peal__group_is_end(const struct peal__row *row, int64_t result,
		       const void *buf);
/* A row's terminal completion is about to be told. */
void peal__group_leave(struct peal_ring *ring, struct peal__row *row);
/* A paused row has been cancelled. */
void peal__group_forget(struct peal_ring *ring, struct peal__row *row);
/* Starts again what waited for buffers; called by the turn. */
void peal__groups_resume(struct peal_ring *ring);
/* Which opcode a row's next entry has; and the entry. */
unsigned peal__group_opcode(struct peal_ring *ring,
			    const struct peal__row *row);
void peal__group_fill(struct peal_ring *ring, const struct peal__row *row,
		      struct peal__sqe *sqe);
/* The end of a peal_group_close(). */
void peal__group_closed(struct peal_ring *ring, const struct peal__row *row,
			int64_t result);
/* All that are left, when the ring closes. */
void peal__groups_close(struct peal_ring *ring);

/* For engines in user space (soft.h): asked has PEAL__SQE_BUFFER_SELECT; once
 * becomes the same with a buffer. -ENOBUFS: there is none. */
int peal__buffer_take(struct peal_ring *ring, const struct peal__sqe *asked,
		      struct peal__sqe *once);
/* After the attempt: its result and the completion's flags; a buffer that was
 * not needed is given back. */
int peal__buffer_used(struct peal_ring *ring, const struct peal__sqe *once,
		      int result, uint32_t *out_flags);

#endif
