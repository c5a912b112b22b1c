/* SPDX-License-Identifier: MIT */
/*
 * The model of files: names, inodes with their bytes, one descriptor per name.
 *
 * Ops on one inode are in flight together when their outcome does not depend
 * on their order; the others wait for each other here, so that one result is
 * the right one. What a failed or cancelled op may have left is unknown, and
 * not looked at again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "test/fuzz/fuzz.h"

enum { INODES = 3 * FILES, CANARY = 0xee };

static struct inode {
	unsigned refs;		/* names and descriptors */
	int lost;		/* nobody knows what it holds */
	uint64_t size;
	uint8_t bytes[FILE_MOST];
} inodes[INODES];

static struct file {
	int name;		/* an inode; -1: no such file */
	int unknown;		/* there may be such a file, or not */
	peal_fd fd;		/* -1: not open */
	int inode;		/* of fd */
	int busy;		/* it is being opened or closed */
} files[FILES];

static const char *const names[FILES] = { "f0", "f1", "f2", "f3" };

static int inode_new(int lost)
{
	int i;

	for (i = 0; inodes[i].refs; i++)
		;
	memset(&inodes[i], 0, sizeof inodes[i]);
	inodes[i].lost = lost;
	return i;
}

static void inode_let_go(int inode)
{
	if (inode >= 0)
		inodes[inode].refs--;
}

/* --- what may be in flight together ------------------------------------ */

enum kind { LOOKS, READS, WRITES, WHOLE };

static enum kind kind_of(const struct step *step)
{
	switch (step->verb) {
	case READ: case READ_FULL:
		return READS;
	case WRITE: case WRITE_FULL: case PUNCH: case ZERO:
		return WRITES;
	case TRUNCATE: case ALLOCATE: case STAT:
		return WHOLE;
	default:
		return LOOKS;
	}
}

static int in_each_others_way(const struct slot *slot, const struct step *step)
{
	enum kind one = kind_of(&slot->step), two = kind_of(step);
	uint64_t size = inodes[slot->object].size;
	uint64_t end = (uint64_t)step->off + step->len;
	uint64_t slot_end = slot->off + slot->step.len;

	if (one == LOOKS || two == LOOKS || (one == READS && two == READS))
		return 0;
	if (one == WHOLE || two == WHOLE)
		return 1;
	if (step->off < slot_end && slot->off < end)
		return 1;
	/* A read that reaches the end of the file sees it move. */
	return (one == READS && slot_end > size) ||
	       (two == READS && end > size);
}

/* 0: something stands in the way, and this is no place to wait. */
static int wait_turn(int inode, const struct step *step)
{
	struct slot *slot = NULL;

	while ((slot = slot_next(slot)) != NULL) {
		if (slot->step.verb >= FILE_VERBS || slot->object != inode ||
		    !in_each_others_way(slot, step))
			continue;
		if (!wait_for(slot))
			return 0;
		slot = NULL;
	}
	return 1;
}

static int is_name_op(const struct step *step)
{
	return step->verb == OPEN || step->verb == RENAME ||
	       step->verb == UNLINK;
}

static int wait_for_names(void)
{
	struct slot *slot = NULL;

	while ((slot = slot_next(slot)) != NULL) {
		if (!is_name_op(&slot->step))
			continue;
		if (!wait_for(slot))
			return 0;
		slot = NULL;
	}
	return 1;
}

/* --- results ----------------------------------------------------------- */

static void check_error(struct slot *slot, int64_t error)
{
	if (!was_asked_for(slot, error))
		fail(slot, "%s, and nobody asked for that",
		     peal_strerror(error));
}

static uint64_t there_is(const struct slot *slot)
{
	uint64_t size = inodes[slot->object].size;
	uint64_t left = size > slot->off ? size - slot->off : 0;

	return left < slot->len ? left : slot->len;
}

static void compare(const struct slot *slot, uint64_t count)
{
	const struct inode *inode = &inodes[slot->object];
	uint64_t i;

	if (inode->lost)
		return;
	for (i = 0; i < count; i++) {
		uint8_t want = inode->bytes[slot->off + i];

		if (i == 0)
			want = lie_about(want);
		if (slot->buf[i] != want)
			fail(slot, "byte %llu of the file is %#x, written was "
			     "%#x", (unsigned long long)(slot->off + i),
			     slot->buf[i], want);
	}
	for (; i < slot->len; i++)
		if (slot->buf[i] != CANARY)
			fail(slot, "%llu bytes were read, and byte %llu of "
			     "the buffer has changed",
			     (unsigned long long)count, (unsigned long long)i);
}

static void read_ended(struct slot *slot, const struct peal_completion *done)
{
	uint64_t most = there_is(slot);

	if (done->result < 0) {
		check_error(slot, done->result);
		return;
	}
	if (inodes[slot->object].lost)
		return;
	if ((uint64_t)done->result > most ||
	    (most && !done->result) ||
	    (slot->step.verb == READ_FULL && (uint64_t)done->result != most))
		fail(slot, "%lld bytes, and the file has %llu there",
		     (long long)done->result, (unsigned long long)most);
	compare(slot, (uint64_t)done->result);
}

static void put(struct slot *slot, const uint8_t *bytes, uint64_t count)
{
	struct inode *inode = &inodes[slot->object];

	if (!count)
		return;
	if (bytes)
		memcpy(inode->bytes + slot->off, bytes, count);
	else
		memset(inode->bytes + slot->off, 0, count);
	if (inode->size < slot->off + count)
		inode->size = slot->off + count;
}

static void write_ended(struct slot *slot, const struct peal_completion *done)
{
	uint64_t moved = done->result < 0 ? 0 : (uint64_t)done->result;

	if (done->result < 0)
		check_error(slot, done->result);
	else if (moved > slot->len || (slot->len && !moved) ||
		 (slot->step.verb == WRITE_FULL && moved != slot->len))
		fail(slot, "%llu bytes of %zu were written",
		     (unsigned long long)moved, slot->len);
	if (done->result < 0 && slot->step.verb == WRITE_FULL)
		moved = (uint64_t)((uint8_t *)done->buf - slot->buf);
	put(slot, slot->buf, moved);
	if (done->result < 0 && done->result != -ECANCELED)
		inodes[slot->object].lost = 1;
}

/* Results of 0 or of an error that says that nothing was done. */
static int succeeded(struct slot *slot, const struct peal_completion *done,
		     int64_t expected)
{
	if (done->result == expected)
		return expected == 0;
	if (done->result == -EOPNOTSUPP &&
	    (slot->step.verb == ZERO || slot->step.verb == PUNCH ||
	     slot->step.verb == ALLOCATE))
		return 0;	/* a file system without it */
	if (done->result >= 0)
		fail(slot, "%lld instead of %lld", (long long)done->result,
		     (long long)expected);
	check_error(slot, done->result);
	if (done->result != -ECANCELED && slot->object >= 0)
		inodes[slot->object].lost = 1;
	return 0;
}

static void change_ended(struct slot *slot, const struct peal_completion *done)
{
	struct inode *inode = &inodes[slot->object];
	int empty = slot->step.verb != TRUNCATE && !slot->step.len;
	uint64_t end = slot->off + slot->step.len;

	if (!succeeded(slot, done, empty ? -EINVAL : 0))
		return;
	switch (slot->step.verb) {
	case TRUNCATE:
		if (slot->step.len < inode->size)
			memset(inode->bytes + slot->step.len, 0,
			       inode->size - slot->step.len);
		inode->size = slot->step.len;
		break;
	case ALLOCATE:
		if (end > inode->size)
			inode->size = end;
		break;
	case ZERO:
		put(slot, NULL, slot->step.len);
		break;
	default:
		if (end > inode->size)
			end = inode->size;
		if (slot->off < end)
			memset(inode->bytes + slot->off, 0, end - slot->off);
	}
}

static void sync_ended(struct slot *slot, const struct peal_completion *done)
{
	if (done->result)
		check_error(slot, done->result);
}

static void stat_ended(struct slot *slot, const struct peal_completion *done)
{
	const struct inode *inode = &inodes[slot->object];
	struct peal_stat stat;

	if (done->result) {
		check_error(slot, done->result);
		return;
	}
	memcpy(&stat, slot->buf, sizeof stat);
	if (!inode->lost && stat.bytes != inode->size)
		fail(slot, "the file has %llu bytes, %llu were written",
		     (unsigned long long)stat.bytes,
		     (unsigned long long)inode->size);
}

static void open_ended(struct slot *slot, const struct peal_completion *done)
{
	struct file *file = &files[slot->step.object];

	file->busy = 0;
	if (done->result < 0) {
		check_error(slot, done->result);
		file->unknown = 1;
		return;
	}
	if (file->name < 0) {
		file->name = inode_new(file->unknown);
		inodes[file->name].refs++;
	}
	file->unknown = 0;
	file->fd = (peal_fd)done->result;
	file->inode = file->name;
	inodes[file->inode].refs++;
}

static void close_ended(struct slot *slot, const struct peal_completion *done)
{
	struct file *file = &files[slot->step.object];

	if (done->result)
		fail(slot, "a close that ends with %s",
		     peal_strerror(done->result));
	inode_let_go(file->inode);
	file->fd = -1;
	file->inode = -1;
	file->busy = 0;
}

/* It may name what it did, or nothing, or what another did. */
static void name_lost(struct file *file)
{
	if (file->name >= 0)
		inodes[file->name].lost = 1;
	inode_let_go(file->name);
	file->name = -1;
	file->unknown = 1;
}

static void rename_ended(struct slot *slot, const struct peal_completion *done)
{
	struct file *from = &files[slot->step.object];
	struct file *to = &files[slot->step.other];

	if (from->unknown || to->unknown ||
	    (done->result && done->result != -ENOENT)) {
		if (done->result < 0 && done->result != -ENOENT)
			check_error(slot, done->result);
		name_lost(from);
		name_lost(to);
		return;
	}
	if ((done->result == 0) != (from->name >= 0))
		fail(slot, "%s, and the file is %sthere",
		     peal_strerror(done->result),
		     from->name >= 0 ? "" : "not ");
	if (done->result)
		return;
	if (from->name == to->name)
		return;		/* two names of one file: nothing is done */
	inode_let_go(to->name);
	to->name = from->name;
	from->name = -1;
}

static void unlink_ended(struct slot *slot, const struct peal_completion *done)
{
	struct file *file = &files[slot->step.object];

	if (done->result && done->result != -ENOENT) {
		check_error(slot, done->result);
		name_lost(file);
		return;
	}
	if (!file->unknown && (done->result == 0) != (file->name >= 0))
		fail(slot, "%s, and the file is %sthere",
		     peal_strerror(done->result),
		     file->name >= 0 ? "" : "not ");
	inode_let_go(file->name);
	file->name = -1;
	file->unknown = 0;
}

/* --- steps ------------------------------------------------------------- */

static const char *path_of(unsigned file)
{
	static char paths[FILES][512];

	snprintf(paths[file], sizeof paths[file], "%s",
		 in_directory(names[file]));
	return paths[file];
}

static int name_step(const struct step *step)
{
	struct file *file = &files[step->object];
	const char *path = path_of(step->object);
	struct slot *slot;

	if (step->verb == OPEN && (file->busy || file->fd >= 0))
		return 0;
	if (step->verb == RENAME && step->object == step->other)
		return 0;
	if (!wait_for_names() ||
	    (step->verb == OPEN && (file->busy || file->fd >= 0)))
		return 0;
	slot = slot_new(step, 0, step->verb == OPEN ? open_ended :
			step->verb == RENAME ? rename_ended : unlink_ended);
	if (!slot)
		return 0;
	slot->object = -1;
	if (step->verb == OPEN) {
		file->busy = 1;
		slot_started(slot, peal_open(ring, PEAL_CWD, path,
					     O_RDWR | O_CREAT | O_CLOEXEC,
					     0600, place_flag, on_slot, slot));
		if (!slot->op)
			file->busy = 0;
	} else if (step->verb == RENAME) {
		slot_started(slot, peal_rename(ring, PEAL_CWD, path, PEAL_CWD,
					       path_of(step->other), 0, 0,
					       on_slot, slot));
	} else {
		slot_started(slot, peal_unlink(ring, PEAL_CWD, path, 0, 0,
					       on_slot, slot));
	}
	return 1;
}

static int wait_for_fd(peal_fd fd)
{
	struct slot *slot = NULL;

	while ((slot = slot_next(slot)) != NULL) {
		if (slot->fd != fd)
			continue;
		if (!wait_for(slot))
			return 0;
		slot = NULL;
	}
	return 1;
}

static int close_step(const struct step *step, struct file *file)
{
	struct slot *slot;

	if (step->verb == CLOSE && !wait_for_fd(file->fd))
		return 0;
	if (file->busy || file->fd < 0)
		return 0;
	slot = slot_new(step, 0, close_ended);
	if (!slot)
		return 0;
	slot->object = -1;
	file->busy = 1;
	if (step->verb == CLOSE) {
		slot_started(slot, peal_close(ring, file->fd, 0, on_slot,
					      slot));
	} else {
		struct slot *other = NULL;

		while ((other = slot_next(other)) != NULL)
			if (other->fd == file->fd)
				other->asked |= ASKED_CANCEL;
		slot_started(slot, peal_close_drained(ring, file->fd, 0,
						      on_slot, slot));
	}
	if (!slot->op)
		file->busy = 0;
	return 1;
}

static void start(struct slot *slot, const struct step *step)
{
	struct slot *s = slot;
	peal_fd fd = slot->fd;
	peal_op op;

	switch (step->verb) {
	case READ:
		op = peal_read(ring, fd, s->buf, s->len, s->off, 0, on_slot,
			       s);
		break;
	case READ_FULL:
		op = peal_read_full(ring, fd, s->buf, s->len, s->off, 0,
				    on_slot, s);
		break;
	case WRITE:
		op = peal_write(ring, fd, s->buf, s->len, s->off, 0, on_slot,
				s);
		break;
	case WRITE_FULL:
		op = peal_write_full(ring, fd, s->buf, s->len, s->off, 0,
				     on_slot, s);
		break;
	case TRUNCATE:
		op = peal_truncate(ring, fd, step->len, 0, on_slot, s);
		break;
	case ALLOCATE:
		op = peal_allocate(ring, fd, s->off, step->len, 0, on_slot, s);
		break;
	case PUNCH:
		op = peal_punch(ring, fd, s->off, step->len, 0, on_slot, s);
		break;
	case ZERO:
		op = peal_zero_range(ring, fd, s->off, step->len, 0, on_slot,
				     s);
		break;
	case SYNC:
		op = step->other ? peal_sync(ring, fd, 0, on_slot, s)
				 : peal_datasync(ring, fd, 0, on_slot, s);
		break;
	default:
		op = peal_stat(ring, fd, "", PEAL_STAT_EMPTY_PATH,
			       PEAL_STAT_BASIC,
			       (struct peal_stat *)(void *)s->buf, 0, on_slot,
			       s);
	}
	slot_started(slot, op);
}

static void fill(struct slot *slot)
{
	uint64_t state = slot->number + 1;
	size_t i;

	if (slot->step.verb == READ || slot->step.verb == READ_FULL)
		memset(slot->buf, CANARY, slot->len);
	else
		for (i = 0; i < slot->len; i++)
			slot->buf[i] = (uint8_t)random_next(&state);
}

static int data_step(const struct step *step, const struct file *file)
{
	static void (*const ends[FILE_VERBS])(
		struct slot *slot, const struct peal_completion *done) = {
		[READ] = read_ended, [READ_FULL] = read_ended,
		[WRITE] = write_ended, [WRITE_FULL] = write_ended,
		[TRUNCATE] = change_ended, [ALLOCATE] = change_ended,
		[PUNCH] = change_ended, [ZERO] = change_ended,
		[SYNC] = sync_ended, [STAT] = stat_ended,
	};
	size_t bytes = step->verb == STAT ? sizeof(struct peal_stat)
		       : step->verb <= WRITE_FULL ? step->len : 0;
	struct slot *slot;

	if (step->verb == STAT && place_flag)	/* by name only */
		return 0;
	if (!wait_turn(file->inode, step) || file->busy || file->fd < 0)
		return 0;
	slot = slot_new(step, bytes, ends[step->verb]);
	if (!slot)
		return 0;
	slot->object = file->inode;
	slot->fd = file->fd;
	slot->off = step->off;
	fill(slot);
	start(slot, step);
	return 1;
}

int file_step(const struct step *step)
{
	struct file *file = &files[step->object];

	if (is_name_op(step))
		return name_step(step);
	if (file->busy || file->fd < 0)
		return 0;
	if (step->verb == CLOSE || step->verb == CLOSE_DRAINED)
		return close_step(step, file);
	return data_step(step, file);
}

void files_begin(void)
{
	int i;

	for (i = 0; i < INODES; i++)
		inodes[i].refs = 0;
	for (i = 0; i < FILES; i++)
		files[i] = (struct file){ .name = -1, .fd = -1, .inode = -1 };
}

/* Everything is read once more, closed and removed. */
void files_end(void)
{
	unsigned i;

	for (i = 0; i < FILES; i++) {
		struct step step = { .verb = READ_FULL, .object = (uint8_t)i,
				     .len = FILE_MOST };

		file_step(&step);
		step.verb = CLOSE;
		file_step(&step);
		step.verb = UNLINK;
		file_step(&step);
	}
	if (!wait_for_names())
		fail(NULL, "the end is no handler");
}
