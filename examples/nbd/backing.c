/* SPDX-License-Identifier: MIT */
/*
 * The file that is served: opened once, shared by all connections, synced for
 * all of them together.
 *
 * Syncs: one is in flight at a time. Who asks meanwhile waits for the next one,
 * because the one in flight need not cover his writes; that one then answers
 * everybody who waits. After a failed sync the kernel may have dropped the
 * data and call the next sync a success, so the error is kept: from then on
 * every flush fails, until the server is started again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "nbd.h"

enum { SYNC_RETRIES = 100 };

struct wait {
	int64_t result;
	bool done;
};

static peal_handler on_awaited, on_synced;

static void on_awaited(struct peal_ring *ring,
		       const struct peal_completion *done)
{
	struct wait *wait = done->ctx;

	(void)ring;
	wait->result = done->result;
	wait->done = true;
}

/* At start there is nothing else to do. */
static int64_t await(struct peal_ring *ring, struct wait *wait, peal_op op)
{
	if (op < 0)
		return op;
	while (!wait->done) {
		int ran = peal_ring_turn(ring, PEAL_FOREVER);

		if (ran < 0)
			return ran;
	}
	wait->done = false;
	return wait->result;
}

static const char *wrong_kind(unsigned mode)
{
	if (S_ISREG(mode) || S_ISBLK(mode))
		return NULL;
	if (S_ISDIR(mode))
		return "a directory";
	if (S_ISFIFO(mode))
		return "a FIFO";
	if (S_ISCHR(mode))
		return "a character device";
	return "neither a regular file nor a block device";
}

static const char *open_remedy(int64_t error, unsigned flags)
{
	if ((error == -EACCES || error == -EROFS || error == -EPERM) &&
	    !(flags & OPT_READ_ONLY))
		return "; --read-only needs less";
	if (error == -ENOENT)
		return "; make one with: truncate -s 1G FILE";
	if (error == -EINVAL && flags & OPT_DIRECT)
		return "; this file system has no O_DIRECT: leave out "
		       "--direct";
	return "";
}

/* Looked at before it is opened: to open a FIFO would wait for its other end,
 * and O_NONBLOCK would make reads of a regular file fail with EAGAIN. */
static int open_file(struct server *server, struct peal_stat *out_stat)
{
	const struct options *options = server->options;
	struct wait wait = { 0, false };
	int mode = options->flags & OPT_READ_ONLY ? O_RDONLY : O_RDWR;
	int64_t result;

	if (options->flags & OPT_DIRECT)
		mode |= O_DIRECT;
	result = await(server->ring, &wait,
		       peal_stat(server->ring, PEAL_CWD, options->file, 0,
				 PEAL_STAT_BASIC, out_stat, 0, on_awaited,
				 &wait));
	if (!result && wrong_kind(out_stat->mode)) {
		log_error("%s is %s; want a disk image or a block device",
			  options->file, wrong_kind(out_stat->mode));
		return -EINVAL;
	}
	if (!result)
		result = await(server->ring, &wait,
			       peal_open(server->ring, PEAL_CWD, options->file,
					 mode, 0, 0, on_awaited, &wait));
	if (result < 0) {
		log_error("cannot open %s: %s%s", options->file,
			  peal_strerror(result),
			  open_remedy(result, options->flags));
		return (int)result;
	}
	server->backing.fd = (peal_fd)result;
	result = await(server->ring, &wait,
		       peal_stat(server->ring, server->backing.fd, "",
				 PEAL_STAT_EMPTY_PATH,
				 PEAL_STAT_BASIC | PEAL_STAT_DIO, out_stat, 0,
				 on_awaited, &wait));
	if (result < 0)
		log_error("cannot stat %s: %s", options->file,
			  peal_strerror(result));
	return (int)result;
}

static int find_size(struct backing *backing, const char *file,
		     const struct peal_stat *stat)
{
	backing->block_device = S_ISBLK(stat->mode);
	backing->size = stat->bytes;
	if (!backing->block_device)
		return 0;
	/* The one file operation that has no opcode. It does not block. */
	if (ioctl(backing->fd, BLKGETSIZE64, &backing->size) < 0) {
		log_error("cannot tell the size of %s: %s", file,
			  peal_strerror(-errno));
		return -errno;
	}
	return 0;
}

/* What O_DIRECT asks of offsets and lengths becomes the export's block. */
static int find_block(struct backing *backing, const char *file,
		      const struct peal_stat *stat)
{
	uint32_t block = 4096, memory = 512;

	if (stat->mask & PEAL_STAT_DIO && stat->dio_offset_align) {
		block = stat->dio_offset_align;
		memory = stat->dio_memory_align;
	}
	if (block & (block - 1) || block > 65536 || memory > CHUNK_HEADROOM) {
		log_error("--direct: %s wants blocks of %u bytes (at most "
			  "65536) and memory aligned to %u (at most %u): leave "
			  "out --direct", file, block, memory,
			  (unsigned)CHUNK_HEADROOM);
		return -EINVAL;
	}
	if (backing->size % block) {
		log_error("--direct: %s has %llu bytes, no multiple of its "
			  "block of %u: make it longer with truncate -s %%%u, "
			  "or leave out --direct", file,
			  (unsigned long long)backing->size, block, block);
		return -EINVAL;
	}
	backing->block_min = block;
	backing->write_probed = true;	/* O_DIRECT need not ask */
	return 0;
}

int backing_open(struct server *server)
{
	struct backing *backing = &server->backing;
	struct peal_stat stat;
	int error;

	memset(&stat, 0, sizeof(stat));
	backing->fd = -1;
	backing->block_min = 1;
	error = open_file(server, &stat);
	if (!error)
		error = find_size(backing, server->options->file, &stat);
	if (!error && server->options->flags & OPT_DIRECT)
		error = find_block(backing, server->options->file, &stat);
	return error;
}

static void answer(struct request *request, int64_t result)
{
	while (request) {
		struct request *next = request->next;

		request_synced(request, result);
		request = next;
	}
}

static void start_sync(struct server *server)
{
	struct backing *backing = &server->backing;
	struct request *requests = backing->sync_waiting;
	peal_op op = 0;

	backing->sync_waiting = backing->sync_last = NULL;
	if (!backing->sync_error)
		op = peal_datasync(server->ring, backing->fd, 0, on_synced,
				   server);
	if (op > 0) {
		backing->syncing = requests;
		server->counters.syncs++;
		return;
	}
	answer(requests, backing->sync_error ? backing->sync_error : op);
}

/* Nothing was done, and nothing is lost: not a failed sync. */
bool backing_retry_sync(struct backing *backing, int64_t result)
{
	if (result != -EINTR && result != -EAGAIN) {
		backing->sync_retries = 0;
		return false;
	}
	return ++backing->sync_retries < SYNC_RETRIES;
}

/* Again for those it was for, and for those who have come since. */
static void sync_again(struct server *server)
{
	struct backing *backing = &server->backing;
	struct request *last = backing->syncing;

	while (last->next)
		last = last->next;
	last->next = backing->sync_waiting;
	if (!backing->sync_last)
		backing->sync_last = last;
	backing->sync_waiting = backing->syncing;
	backing->syncing = NULL;
	start_sync(server);
}

static void on_synced(struct peal_ring *ring,
		      const struct peal_completion *done)
{
	struct server *server = done->ctx;
	struct backing *backing = &server->backing;
	struct request *requests = backing->syncing;

	(void)ring;
	if (backing_retry_sync(backing, done->result)) {
		sync_again(server);
		return;
	}
	if (done->result < 0 && !backing->sync_error) {
		backing->sync_error = done->result;
		server->exit_code = EXIT_SYNC;
		log_error("cannot sync %s: %s: writes may be lost; every "
			  "flush fails from now on; check the device, then "
			  "start again", server->options->file,
			  peal_strerror(done->result));
	}
	backing->syncing = NULL;
	answer(requests, done->result);
	if (backing->sync_waiting)
		start_sync(server);
}

/* Answers request when all writes that have completed by now are on stable
 * media. */
void backing_sync(struct server *server, struct request *request)
{
	struct backing *backing = &server->backing;

	request->next = NULL;
	if (backing->sync_last)
		backing->sync_last->next = request;
	else
		backing->sync_waiting = request;
	backing->sync_last = request;
	if (!backing->syncing)
		start_sync(server);
}
