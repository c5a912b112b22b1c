/* SPDX-License-Identifier: MIT */
/* A replay's comparison with its record, and the words for the difference. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "peal/sim.h"
#include "shim/replay.h"

static void describe_start(char *out, size_t size,
			   const struct record_start *start)
{
	int32_t fd = start->fd;

	if (fd >= PEAL_SIM_FIRST_FD)
		fd -= PEAL_SIM_FIRST_FD;
	snprintf(out, size, "%s fd %d len %u at %" PRId64,
		 peal__op_row(start->opcode)
			 ? peal_opcode_name(start->opcode) : "?", fd, start->len,
		 (int64_t)start->off);
}

static void describe(char *out, size_t size, const struct record_frame *frame)
{
	static const char *const names[RECORD_KINDS] = {
		[RECORD_DONE] = "a completion",
		[RECORD_JOB_DONE] = "a completion by the pool",
		[RECORD_TO_POOL] = "an entry to become a job",
		[RECORD_UNDONE] = "a job to be cancelled",
		[RECORD_TURN] = "the end of the turn's entries",
		[RECORD_POSTS] = "posts",
		[RECORD_GOES_ON] = "the end of its work",
		[RECORD_LEARN] = "a look at a descriptor",
		[RECORD_ASKED] = "something to be registered",
		[RECORD_END] = "the ring's close",
	};

	if (!frame)
		snprintf(out, size, "nothing, the record ends");
	else if (frame->kind == RECORD_START || frame->kind == RECORD_JOB ||
		 frame->kind == RECORD_CALL)
		describe_start(out, size, record_body(frame));
	else
		snprintf(out, size, "%s", names[frame->kind]);
}

/* For programs that do not show the ring's reason. NULL: none yet. */
void peal__replay_report(struct replay *replay, const char *text)
{
	char name[sizeof replay->file.name + 8];
	FILE *out;

	snprintf(name, sizeof name, "%s.report", replay->file.name);
	if (!text) {
		remove(name);
		return;
	}
	out = fopen(name, "we");
	if (!out)
		return;
	fprintf(out, "%s\n", text);
	fclose(out);
}

/* Only the first: what comes after it means nothing. */
static void fail(struct peal_ring *ring, int error)
{
	replay_of(ring)->failed = error;
	ring->lost = 1;		/* nothing to drain: it can be closed */
	peal__replay_report(replay_of(ring), ring->reason);
}

/* The end of a file that has none: not the program's fault. */
static void tell_cut(const struct replay *replay, char *out, size_t size)
{
	snprintf(out, size, "the same up to frame %" PRIu64 ", where the "
		 "record ends (%zu bytes of another frame): the program was "
		 "killed there, or could not write it",
		 replay->file.frames, replay->file.cut);
}

void peal__replay_tell_end(struct replay *replay)
{
	char text[256];

	if (!replay->file.ended)
		tell_cut(replay, text, sizeof text);
	else
		snprintf(text, sizeof text, "the same, %" PRIu64 " frames",
			 replay->file.frames);
	peal__replay_report(replay, text);
}

void peal__replay_differs(struct peal_ring *ring, const char *came,
			  const char *how)
{
	struct replay *replay = replay_of(ring);
	const struct record_frame *frame;
	char expected[256];
	uint64_t number;

	if (replay->failed)
		return;
	frame = peal__record_look(&replay->file, &number);
	if (!frame && !replay->file.ended) {
		tell_cut(replay, expected, sizeof expected);
		peal__engine_reason(ring, "%s", expected);
		fail(ring, -ENODATA);
		return;
	}
	describe(expected, sizeof expected, frame);
	peal__engine_reason(ring, "differs at frame %" PRIu64 " of %" PRIu64
			    ": expected %s; came %s%s%s", number,
			    replay->file.frames, expected, came,
			    *how ? ": not the same " : "", how);
	fail(ring, -EBADMSG);
}

void peal__replay_cannot(struct peal_ring *ring, const char *why)
{
	struct replay *replay = replay_of(ring);
	const struct record_frame *frame;
	char text[80];
	uint64_t number;

	if (replay->failed)
		return;
	frame = peal__record_look(&replay->file, &number);
	describe(text, sizeof text, frame);
	peal__engine_reason(ring, "cannot be replayed from frame %" PRIu64
			    " of %" PRIu64 " on: %s: %s", number,
			    replay->file.frames, text, why);
	fail(ring, -EOPNOTSUPP);
}

/* What an op has made the program may have closed by a plain call, and got the
 * number by another: then it may be any. */
static int same_fd(const struct replay *replay, int32_t recorded, int32_t came)
{
	if (recorded < 0 || came < 0 || recorded >= PEAL_SIM_FIRST_FD)
		return recorded == came;
	if (came >= PEAL_SIM_FIRST_FD)
		return came == recorded + PEAL_SIM_FIRST_FD &&
		       (uint32_t)recorded < replay->made_room &&
		       replay->made[recorded];
	return recorded > STDERR_FILENO || came == recorded;
}

/* The word for what is not the same; "": all is. */
static const char *difference(const struct replay *replay,
			      const struct record_start *a,
			      const struct record_start *b)
{
	int slot = a->flags & PEAL__SQE_FIXED_FILE ||
		   a->opcode == PEAL__OP_SOCKET;	/* or the family */
	int two_dirs = a->opcode == PEAL__OP_RENAMEAT ||
		       a->opcode == PEAL__OP_LINKAT;
	int two_fds = (a->opcode == PEAL__OP_SPLICE &&
		       !(a->op_flags & PEAL__SPLICE_FD_IN_FIXED)) ||
		      a->opcode == PEAL__OP_COPY_RANGE;

	if (a->opcode != b->opcode)
		return "op";
	if (slot ? a->fd != b->fd : !same_fd(replay, a->fd, b->fd))
		return "fd";
	if (two_fds ? !same_fd(replay, (int32_t)a->file_index,
			       (int32_t)b->file_index)
		    : a->file_index != b->file_index)
		return "second fd";
	if (two_dirs ? !same_fd(replay, (int32_t)a->len, (int32_t)b->len)
		     : a->len != b->len)
		return "length";
	if (a->off != b->off)
		return "offset";
	if (a->addr != b->addr)
		return a->opcode == PEAL__OP_ASYNC_CANCEL ? "target"
							  : "address";
	if (a->flags != b->flags || a->ioprio != b->ioprio ||
	    a->op_flags != b->op_flags || a->buf_index != b->buf_index)
		return "flags";
	if (a->given != b->given)
		return "bytes or path";
	return a->user_data != b->user_data ? "handle" : "";
}

/* --- descriptors --------------------------------------------------------- */

static int make_room(struct replay *replay, uint32_t fd)
{
	uint32_t room = replay->made_room ? replay->made_room : 64;
	uint8_t *more;

	while (room <= fd)
		room *= 2;
	if (room == replay->made_room)
		return 0;
	more = realloc(replay->made, room);
	if (!more)
		return -ENOMEM;
	memset(more + replay->made_room, 0, room - replay->made_room);
	replay->made = more;
	replay->made_room = room;
	return 0;
}

int64_t peal__replay_make_fd(struct replay *replay, const struct peal__sqe *sqe,
			     int64_t result)
{
	if (result < 0 || result >= PEAL_SIM_FIRST_FD ||
	    peal__op_row(sqe->opcode)->result != RESULT_FD ||
	    sqe->opcode == PEAL__OP_FILES_UPDATE || peal__record_is_slot(sqe))
		return result;
	if (make_room(replay, (uint32_t)result) < 0)
		return -ENOMEM;
	replay->made[result] = 1;
	return result + PEAL_SIM_FIRST_FD;
}

/* A close was started: the number may be given anew before its completion. */
static void closed(struct replay *replay, const struct record_start *start)
{
	if (start->opcode == PEAL__OP_CLOSE && !start->file_index &&
	    start->fd >= 0 &&
	    (uint32_t)start->fd < replay->made_room)
		replay->made[start->fd] = 0;
}

/* ... or will be, by the pool. */
void peal__replay_not_closed(struct replay *replay, const struct peal__sqe *sqe)
{
	uint32_t fd = (uint32_t)sqe->fd - PEAL_SIM_FIRST_FD;

	if (sqe->opcode == PEAL__OP_CLOSE && sqe->fd >= PEAL_SIM_FIRST_FD &&
	    fd < replay->made_room)
		replay->made[fd] = 1;
}

/* --- what is started ----------------------------------------------------- */

/* 1: it is what the record has here, and is taken. */
int peal__replay_match(struct peal_ring *ring, enum record_kind kind,
		 const struct peal__sqe *sqe)
{
	struct replay *replay = replay_of(ring);
	const struct record_frame *frame =
		peal__record_look(&replay->file, NULL);
	const char *how = "";
	struct record_start came;
	char text[160];

	if (replay->failed)
		return 0;
	peal__record_start(&came, sqe);
	if (frame && frame->kind == kind)
		how = difference(replay, record_body(frame), &came);
	if (!frame || frame->kind != kind || *how) {
		describe_start(text, sizeof text, &came);
		peal__replay_differs(ring, text, how);
		return 0;
	}
	closed(replay, record_body(frame));
	peal__record_take(&replay->file);
	peal__record_note(ring, replay->ops, sqe);
	return 1;
}
