/* SPDX-License-Identifier: MIT */
/*
 * Buffer groups: a receive that waits holds no buffer. One is taken from a
 * group when the data is there, the handler gets it (done->buf, done->result
 * bytes) and gives it back when it has done with it. So a thousand idle
 * connections need no more buffers than have data at one time.
 *
 *	given back --taken--> yours, from the handler on --give back--> ...
 *
 * When all are out, receives wait until one comes back; nothing is lost. Any
 * call on a group that is closed stops the program.
 */
#ifndef PEAL_GROUP_H
#define PEAL_GROUP_H

#include "peal/op.h"

#ifdef __cplusplus
extern "C" {
#endif

struct peal_group;

struct peal_group_options {
	uint32_t size;		/* sizeof this struct; PEAL_GROUP_OPTIONS */
	uint32_t count;		/* buffers; 0: 256; at most 32768 */
	uint32_t buf_size;	/* bytes of each, a multiple of 8; 0: 4096 */
	uint32_t addr_room;	/* messages: bytes for the sender's address */
	uint32_t control_room;	/* messages: bytes for control data */
	uint32_t flags;		/* 0 or PEAL_GROUP_INCREMENTAL */
	void *memory;		/* count * buf_size bytes, aligned to 8; lent;
				 * NULL: from the ring's allocator */
};

#define PEAL_GROUP_OPTIONS { sizeof(struct peal_group_options), \
	0, 0, 0, 0, 0, NULL }

/*
 * The buffers are used up piece by piece: a receive that leaves room in one
 * leaves it to the next, of whatever socket. So a group of few large buffers
 * serves many short receives. done->buf is the piece, done->result its length;
 * each piece is given back, in any order, by its own address, and a buffer goes
 * back to the engine when it is full and all its pieces are back. Where a buffer
 * ends, so does a piece, however short. For streams only: receives of messages,
 * and PEAL_ASYNC, are refused (-EINVAL), and a datagram would be cut off.
 */
#define PEAL_GROUP_INCREMENTAL	(1u << 0)

/*
 * Makes a group of buffers. A ring has at most 64.
 *   out_group gets the group
 *   options   copied; NULL: all defaults. Start from PEAL_GROUP_OPTIONS
 * Result     0; 1: the group is open, but not incremental as was asked: each
 *            receive takes a whole buffer, and peal_group_reason() says why
 * Errors     each with its numbers and remedy in peal_group_reason(): -ENOMEM:
 *            memory; -EINVAL: an option; -ENFILE: 64 groups are open
 * Lifetime   of the group: until peal_group_close() is done, or the ring is
 *            closed; options.memory is lent for as long
 * Thread     the ring's
 * Engines    io_uring 6.0; else, and where RLIMIT_MEMLOCK leaves no room for
 *            16 bytes per buffer, the library chooses it when the data is
 *            there: peal_group_stats() and peal_group_reason() tell.
 *            Incremental: io_uring 6.12, if a self-test (once per process, on
 *            a ring and sockets of its own, some milliseconds) finds every
 *            byte where the kernel says; else, where the library chooses, by
 *            the library
 * Memory     the buffers, unless options.memory has them; 16 to 100 bytes more
 *            per buffer, and if incremental 12 and a bit per byte, by the
 *            ring's allocator
 */
int peal_group_open(struct peal_ring *ring, struct peal_group **out_group,
		    const struct peal_group_options *options);

/*
 * Why this thread's last peal_group_open() failed, why that group is not
 * incremental, or why its receives are polls where the engine could do better:
 * cause, numbers, remedy.
 * Result     a sentence, empty if nothing of this is so; never NULL
 * Errors     none
 * Lifetime   until this thread's next peal_group_open()
 * Thread     any
 * Engines    all
 * Memory     none
 */
const char *peal_group_reason(void);

/*
 * Gives a buffer back, from which point on it is not yours. A receive that
 * waits for one goes on in the next turn.
 *   buf      as the handler got it: a buffer, or a piece of one; giving back
 *            what is not out is misuse
 * Result     none
 * Errors     none
 * Lifetime   ends that of buf
 * Thread     the ring's
 * Engines    all; never a system call
 * Memory     none
 */
void peal_group_give_back(struct peal_group *group, void *buf);

/*
 * Refuses new receives on the group, cancels those in flight, waits until they
 * have ended and all buffers are back, then frees the group. There is room for
 * it also when max_ops are in flight.
 *   group    open
 *   flags    0
 * Result     0: the group is gone
 * Errors     -EALREADY, returned at once: it is being closed; -ESHUTDOWN, the
 *            same: the ring is being closed, and its groups with it;
 *            -ECANCELED: the group is still there, and open
 * Lifetime   the handlers of its receives run before this one; group is no
 *            group when this one runs
 * Thread     the ring's
 * Engines    all
 * Memory     gives everything back
 */
peal_op peal_group_close(struct peal_ring *ring, struct peal_group *group,
			 unsigned flags, peal_handler *handler, void *ctx);

struct peal_group_stats {
	uint32_t size;		/* sizeof this struct, set by the caller */
	uint32_t count;		/* buffers */
	uint32_t out;		/* with the program now, or pieces of them */
	uint32_t most_out;
	uint32_t ops;		/* receives in flight */
	uint32_t waiting;	/* of them, for a buffer */
	uint32_t polls;		/* 1: receives are a poll, then a receive */
	uint64_t taken;		/* buffers, or pieces, that handlers got */
	uint64_t exhausted;	/* times a receive found none and waited */
	uint64_t bundles;	/* completions with more than one buffer */
	uint32_t incremental;	/* 1: PEAL_GROUP_INCREMENTAL is in effect */
	uint32_t reserved;
};

/*
 * Copies the group's counters.
 *   out_stats set its size first; only that much is written
 * Result      none
 * Errors      none; a size that is not set is misuse
 * Lifetime    the copy is yours
 * Thread      the ring's
 * Engines     all
 * Memory      none
 */
void peal_group_stats(struct peal_group *group,
		      struct peal_group_stats *out_stats);

/*
 * Receives once, into a buffer of a group.
 *   fd        a socket
 *   group     of this ring
 *   msg_flags 0, MSG_OOB, MSG_PEEK
 *   flags     0 or PEAL_ASYNC
 * Result      bytes, in done->buf: give it back; 0: the peer has closed its
 *             side, or an empty datagram, and done->buf is NULL
 * Errors      as peal_recv; -EINVAL, returned at once: another msg_flag;
 *             -ESHUTDOWN, returned at once: the group is being closed
 * Lifetime    nothing is lent; done->buf is yours until you give it back
 * Thread      the ring's
 * Engines     io_uring 6.0; else readiness
 * Memory      none
 */
peal_op peal_recv_group(struct peal_ring *ring, peal_fd fd,
			struct peal_group *group, int msg_flags,
			unsigned flags, peal_handler *handler, void *ctx);

/*
 * Receives until the peer closes its side, an error, or a cancel.
 *   fd        a socket, of datagrams better with peal_recvmsg_multishot():
 *             an empty datagram looks like the end
 *   group     of this ring
 *   msg_flags 0, MSG_OOB
 *   flags     0, PEAL_ASYNC; PEAL_BUNDLE: let the kernel fill several buffers
 *             at one time; each still comes in a completion of its own, all of
 *             them in a row: a peal_ring_stop() between them waits for the
 *             last; streams only
 * Result      bytes, in done->buf, with PEAL_MORE: give it back. Without it,
 *             the last: 0, an error, or after a cancel a last buffer
 * Errors      as peal_recv_group
 * Lifetime    as peal_recv_group
 * Thread      the ring's
 * Engines     io_uring 6.0, bundles 6.10; before: a poll, then a
 *             receive, again and again; else readiness
 * Memory      none
 */
peal_op peal_recv_multishot(struct peal_ring *ring, peal_fd fd,
			    struct peal_group *group, int msg_flags,
			    unsigned flags, peal_handler *handler, void *ctx);

/*
 * Receives messages until an error or a cancel; take each apart with
 * peal_group_message().
 *   fd        a socket, of datagrams
 *   group     of this ring, opened with addr_room and control_room
 *   msg_flags 0, MSG_OOB; MSG_CMSG_CLOEXEC is added
 *   flags     0 or PEAL_ASYNC
 * Result      bytes used in done->buf, more than the message has, with
 *             PEAL_MORE: give it back. Without it, the last: an error, or an
 *             empty message without a sender (of a stream: its end), or what a
 *             cancel came too late for
 * Errors      as peal_recv_group; -EMSGSIZE, returned at once: buf_size has no
 *             room for 16 bytes, addr_room, control_room and a byte of data
 * Lifetime    as peal_recv_group
 * Thread      the ring's
 * Engines     io_uring 6.0; else readiness
 * Memory      none
 */
peal_op peal_recvmsg_multishot(struct peal_ring *ring, peal_fd fd,
			       struct peal_group *group, int msg_flags,
			       unsigned flags, peal_handler *handler,
			       void *ctx);

struct peal_message {
	void *data;
	size_t len;		/* bytes of data in the buffer */
	struct sockaddr *addr;	/* the sender's; NULL: none, or no room */
	socklen_t addr_len;	/* the whole address's: may be > addr_room */
	void *control;		/* for CMSG_FIRSTHDR() and friends; NULL: none */
	size_t control_len;
	int flags;		/* MSG_TRUNC: it was longer; MSG_CTRUNC, ... */
};

/*
 * Takes apart what peal_recvmsg_multishot() received.
 *   done     a completion of it with a buffer
 *   out_message points into done->buf
 * Result     0
 * Errors     -EINVAL: done has no buffer of this group, or what stands in it is
 *            not a message; nothing is written
 * Lifetime   of what out_message points to: until done->buf is given back
 * Thread     the ring's
 * Engines    all
 * Memory     none
 */
int peal_group_message(struct peal_group *group,
		       const struct peal_completion *done,
		       struct peal_message *out_message);

#ifdef __cplusplus
}
#endif
#endif
