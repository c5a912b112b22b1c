/* SPDX-License-Identifier: MIT */
/*
 * A record's file, written by write(2) from a buffer of its own: what a child
 * inherits of a FILE it would write a second time.
 *
 * The first failure is the end of the record, and of nothing else. A file ends
 * with a whole frame or with a part of one, so it can always be replayed up to
 * there.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "shim/record.h"

#define PORTION	(256u << 10)	/* then it is written before the turn ends */
#define FIRST_FD 256		/* the program's own have the numbers that they
				 * have without a record */

static ssize_t write_some(const struct record_out *out, const char *from,
			  size_t len)
{
	const struct timespec zero = { 0, 0 };
	sigset_t set, old;
	ssize_t rc;

	if (!out->limited)
		return write(out->fd, from, len);
	sigemptyset(&set);
	sigaddset(&set, SIGXFSZ);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	rc = write(out->fd, from, len);
	if (rc < 0 && errno == EFBIG && !sigismember(&old, SIGXFSZ)) {
		sigtimedwait(&set, NULL, &zero);
		errno = EFBIG;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

void peal__record_flush(struct record_out *out)
{
	struct record_bytes *bytes = &out->bytes;
	int saved = errno;
	size_t at = 0;
	ssize_t rc;

	while (!out->error && at < bytes->len) {
		rc = write_some(out, bytes->data + at, bytes->len - at);
		if (rc > 0)
			at += (size_t)rc;
		else if (rc == 0 || errno != EINTR)
			out->error = rc ? errno : EIO;
	}
	bytes->len = 0;
	errno = saved;
}

void peal__record_begin_frame(struct record_out *out)
{
	static const struct record_frame none;

	out->begin = out->bytes.len;
	peal__record_put(&out->bytes, &none, sizeof none);
}

void peal__record_end_frame(struct record_out *out, enum record_kind kind)
{
	static const char zero[8];
	struct record_bytes *bytes = &out->bytes;
	struct record_frame frame = { .kind = kind };

	if (bytes->broken) {
		bytes->broken = 0;
		bytes->len = out->begin;
		peal__record_flush(out);
		out->error = out->error ? out->error : ENOMEM;
		return;
	}
	frame.len = (uint32_t)(bytes->len - out->begin - sizeof frame);
	frame.check = peal__record_check(&frame, bytes->data + out->begin +
							 sizeof frame);
	memcpy(bytes->data + out->begin, &frame, sizeof frame);
	peal__record_put(bytes, zero, record_fill(frame.len));
	out->frames += !out->error;
	if (bytes->len >= PORTION || out->error)
		peal__record_flush(out);
}

/* --- begin and end -------------------------------------------------------- */

/* It has all that the program read: nobody else may. -EAGAIN: another process
 * records there. */
static int open_file(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	struct stat st;
	int high, error;

	if (fd < 0)
		return -errno;
	high = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);
	if (high >= 0) {
		close(fd);
		fd = high;
	}
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && ftruncate(fd, 0) == 0 &&
	    fchmod(fd, 0600) == 0)
		return fd;
	error = errno;
	close(fd);
	return -error;
}

/* A program that a recorded one has started has PEAL_RECORD, too. */
static int open_beside(struct record_out *out)
{
	size_t len = strlen(out->name);
	int fd = open_file(out->name);

	if (fd != -EWOULDBLOCK)
		return fd;
	snprintf(out->name + len, sizeof out->name - len, ".%ld",
		 (long)getpid());
	return open_file(out->name);
}

int peal__record_create(struct record_out *out, const char *name)
{
	struct rlimit limit;

	snprintf(out->name, sizeof out->name, "%s", name);
	out->fd = open_beside(out);
	if (out->fd < 0) {
		peal__reason("PEAL_RECORD is \"%s\", which cannot be written: "
			     "%s", out->name, strerror(-out->fd));
		return out->fd;
	}
	out->limited = getrlimit(RLIMIT_FSIZE, &limit) < 0 ||
		       limit.rlim_max != RLIM_INFINITY ||
		       limit.rlim_cur != RLIM_INFINITY;
	peal__record_put(&out->bytes, RECORD_MAGIC, strlen(RECORD_MAGIC));
	return 0;
}

void peal__record_finish(struct record_out *out)
{
	peal__record_flush(out);
	if (out->fd >= 0)
		close(out->fd);
	free(out->bytes.data);
}
