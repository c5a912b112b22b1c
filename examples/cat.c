/* SPDX-License-Identifier: MIT */
/*
 * cat: files, pipes and terminals to standard output.
 *
 * Teaches: a sequence of operations is a circle of handlers, each of which
 * starts the next: opened -> read -> written -> read ... -> closed -> opened.
 * The buffer is the ring's from peal_read() until on_read runs, ours there,
 * and the ring's again from peal_write_full() until on_written runs. One
 * buffer is enough because only one operation is in flight; see cp for many.
 *
 * Try:  build/examples/cat README.md lib/README | head -n 3
 *       echo through a pipe | build/examples/cat -v
 * See:  the files. With -v the engine, on stderr. A file that cannot be read
 *       is named with the cause, the others are still copied, and the exit
 *       status is 1.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <peal.h>

struct cat {
	char **path;		/* the current one; NULL after the last */
	peal_fd fd;
	int status;
	char buf[128 * 1024];
};

static struct cat cat;

static peal_handler on_opened, on_read, on_written, on_closed;

/* What was started must have been started: there is no way on without it. */
static void must_start(peal_op op)
{
	if (op < 0) {
		fprintf(stderr, "cat: %s\n", peal_strerror(op));
		exit(1);
	}
}

static void complain(const char *what, int64_t error)
{
	fprintf(stderr, "cat: %s: %s\n", what, peal_strerror(error));
	cat.status = 1;
}

/* PEAL_CURRENT: the file's own position, the only one a pipe has. */
static void read_more(struct peal_ring *ring)
{
	must_start(peal_read(ring, cat.fd, cat.buf, sizeof(cat.buf),
			     PEAL_CURRENT, 0, on_read, NULL));
}

static void open_next(struct peal_ring *ring)
{
	if (*cat.path)
		must_start(peal_open(ring, PEAL_CWD, *cat.path, O_RDONLY, 0, 0,
				     on_opened, NULL));
}

static void on_opened(struct peal_ring *ring,
		      const struct peal_completion *done)
{
	if (done->result < 0) {
		complain(*cat.path++, done->result);
		open_next(ring);
		return;
	}
	cat.fd = (peal_fd)done->result;
	read_more(ring);
}

static void on_read(struct peal_ring *ring, const struct peal_completion *done)
{
	if (done->result > 0) {
		must_start(peal_write_full(ring, STDOUT_FILENO, cat.buf,
					   (size_t)done->result, PEAL_CURRENT,
					   0, on_written, NULL));
		return;
	}
	if (done->result < 0)
		complain(*cat.path, done->result);
	must_start(peal_close(ring, cat.fd, 0, on_closed, NULL));
}

/* Nobody to write to is the end of the program, not of one file. */
static void on_written(struct peal_ring *ring,
		       const struct peal_completion *done)
{
	if (done->result < 0) {
		complain("standard output", done->result);
		peal_ring_stop(ring);
		return;
	}
	read_more(ring);
}

static void on_closed(struct peal_ring *ring,
		      const struct peal_completion *done)
{
	if (done->result < 0)
		complain(*cat.path, done->result);
	cat.path++;
	open_next(ring);
}

int main(int argc, char **argv)
{
	static char *standard_input[] = { (char *)"/dev/stdin", NULL };
	int verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
	struct peal_ring *ring;

	if (peal_ring_open(&ring, NULL) < 0) {
		fprintf(stderr, "cat: %s\n", peal_open_reason());
		return 1;
	}
	if (verbose)
		fprintf(stderr, "cat: engine %s (%s)\n", peal_ring_engine(ring),
			peal_ring_engine_reason(ring));
	argv += 1 + verbose;
	cat.path = *argv ? argv : standard_input;
	open_next(ring);
	must_start(peal_ring_run(ring));
	must_start(peal_ring_close(ring, PEAL_FOREVER));
	return cat.status;
}
