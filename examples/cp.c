/* SPDX-License-Identifier: MIT */
/*
 * cp: copies one file with many reads and writes in flight.
 *
 * Teaches: a disk is fast only when it has a queue. The file is cut into
 * blocks; sixteen slots each take the next block, read it, write it, and take
 * the next, so that up to sixteen transfers are in flight and the order in
 * which they end does not matter: each has its own offset. The full calls
 * repair short transfers; what is left to check is an error.
 *
 * Try:  build/examples/cp SOURCE DESTINATION
 *       build/examples/cp README.md /dev/full
 * See:  nothing but the engine (stderr) if it worked. If not, the file, the
 *       offset and the cause, and exit status 1; the destination is then
 *       incomplete. The second command fails with ENOSPC.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <peal.h>

enum { SLOTS = 16, BLOCK = 256 * 1024 };

struct slot {
	uint64_t offset;
	char buf[BLOCK];
};

static struct slot slots[SLOTS];
static const char *from_name, *to_name;
static peal_fd from, to;
static uint64_t next_offset;	/* the first byte that no slot has taken */
static int ended;		/* the end of the source was seen, or an error */
static int status;

static peal_handler on_read, on_written;

static void failed(const char *name, const char *doing, uint64_t offset,
		   int64_t error)
{
	fprintf(stderr, "cp: %s: %s at %" PRIu64 ": %s\n", name, doing,
		offset, peal_strerror(error));
	status = 1;
	ended = 1;	/* the other slots end by themselves */
}

static void copy_next(struct peal_ring *ring, struct slot *slot)
{
	peal_op op;

	if (ended)
		return;
	slot->offset = next_offset;
	op = peal_read_full(ring, from, slot->buf, BLOCK, slot->offset, 0,
			    on_read, slot);
	if (op < 0)
		failed(from_name, "read", slot->offset, op);
	next_offset += BLOCK;
}

static void on_read(struct peal_ring *ring, const struct peal_completion *done)
{
	struct slot *slot = done->ctx;
	peal_op op;

	if (done->result < 0)
		failed(from_name, "read", slot->offset, done->result);
	if (done->result < BLOCK)
		ended = 1;	/* a full read is short only at the end */
	if (done->result <= 0)
		return;
	op = peal_write_full(ring, to, slot->buf, (size_t)done->result,
			     slot->offset, 0, on_written, slot);
	if (op < 0)
		failed(to_name, "write", slot->offset, op);
}

/* done->buf says how far the write came, also when it failed. */
static void on_written(struct peal_ring *ring,
		       const struct peal_completion *done)
{
	struct slot *slot = done->ctx;
	uint64_t bytes = (uint64_t)((char *)done->buf - slot->buf);

	if (done->result < 0)
		failed(to_name, "write", slot->offset + bytes, done->result);
	else
		copy_next(ring, slot);
}

static void must(const char *name, int64_t result)
{
	if (result < 0) {
		fprintf(stderr, "cp: %s: %s\n", name, peal_strerror(result));
		exit(1);
	}
}

/* Opening is done before there is anything to overlap: plain calls will do. */
static void open_both(void)
{
	struct stat a, b;

	from = open(from_name, O_RDONLY | O_CLOEXEC);
	must(from_name, from < 0 || fstat(from, &a) < 0 ? -errno : 0);
	must(from_name, S_ISDIR(a.st_mode) ? -EISDIR : 0);
	/* A pipe has no offsets: its blocks would arrive in any order. */
	must(from_name, lseek(from, 0, SEEK_CUR) < 0 ? -errno : 0);
	if (stat(to_name, &b) == 0 && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino)
		must("source and destination are one file", -EINVAL);
	to = open(to_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		  a.st_mode & 0777);
	must(to_name, to < 0 ? -errno : 0);
	must(to_name, lseek(to, 0, SEEK_CUR) < 0 ? -errno : 0);
}

int main(int argc, char **argv)
{
	struct peal_ring *ring;
	int i;

	if (argc != 3) {
		fprintf(stderr, "usage: cp SOURCE DESTINATION\n");
		return 2;
	}
	if (peal_ring_open(&ring, NULL) < 0) {
		fprintf(stderr, "cp: %s\n", peal_open_reason());
		return 1;
	}
	fprintf(stderr, "cp: engine %s (%s)\n", peal_ring_engine(ring),
		peal_ring_engine_reason(ring));
	from_name = argv[1];
	to_name = argv[2];
	open_both();
	for (i = 0; i < SLOTS; i++)
		copy_next(ring, &slots[i]);
	must(to_name, peal_ring_run(ring));
	/* Some file systems report a failed write only here. */
	must(to_name, close(to) < 0 ? -errno : 0);
	must(to_name, peal_ring_close(ring, PEAL_FOREVER));
	return status;
	return status;
}
