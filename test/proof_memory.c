/* SPDX-License-Identifier: MIT */
/*
 * Nothing is allocated once a ring is open: not by the options' allocator, not
 * behind its back by the library or by what it calls. jemalloc, which these
 * programs are linked with, counts every byte that a thread has ever been
 * given.
 */
#include "test/proof.h"

#define OPS	SCALED(1000000)
#define BLOCK	512

/* jemalloc's; absent where a sanitizer brings its own allocator. */
int mallctl(const char *name, void *old, size_t *old_len, void *new_value,
	    size_t new_len) __attribute__((weak));

static int file, null, quiet[2], sockets[2], listener;
static struct sockaddr_storage address;
static socklen_t address_len;
static char block[BLOCK], inbox[BLOCK];
static unsigned long started, ended, accepted, posted, wrong;

static void on_end(struct peal_ring *where,
		   const struct peal_completion *done)
{
	(void)where;
	ended += !(done->flags & PEAL_MORE);
	wrong += done->result < 0 && done->result != -ECANCELED &&
		 done->result != -ETIMEDOUT;
}

/* -ENOENT and -EALREADY are good answers to a cancel. */
static void on_cancelled(struct peal_ring *where,
			 const struct peal_completion *done)
{
	(void)where;
	(void)done;
	ended++;
}

static void on_accept(struct peal_ring *where,
		      const struct peal_completion *done)
{
	if (done->result < 0)
		return;
	accepted++;
	started++;
	wrong += peal_close(where, (int)done->result, 0, on_end, NULL) <= 0;
}

static void on_post(struct peal_ring *where, void *ctx)
{
	(void)where;
	(void)ctx;
	posted++;
}

static peal_op count(peal_op op)
{
	started++;
	wrong += op <= 0;
	return op;
}

/* --- the mix ------------------------------------------------------------- */

static void start_files(void)
{
	unsigned i;

	for (i = 0; i < 8; i++)
		count(peal_nop(ring, 0, on_end, NULL));
	for (i = 0; i < 4; i++)
		count(peal_read(ring, file, block, BLOCK, i * BLOCK, 0, on_end,
				NULL));
	count(peal_read_full(ring, file, block, BLOCK, 0, 0, on_end, NULL));
	for (i = 0; i < 4; i++)
		count(peal_write_full(ring, null, block, BLOCK, 0, 0, on_end,
				      NULL));
}

static void start_sockets(void)
{
	count(peal_recv(ring, sockets[0], inbox, BLOCK, 0, 0, on_end, NULL));
	count(peal_send(ring, sockets[1], block, BLOCK / 2, 0, 0, on_end,
			NULL));
	count(peal_recv(ring, sockets[1], inbox, BLOCK, 0, 0, on_end, NULL));
	count(peal_send_full(ring, sockets[0], block, BLOCK, 0, 0, on_end,
			     NULL));
	count(peal_poll(ring, sockets[0], POLLOUT, 0, on_end, NULL));
}

static void start_timers(void)
{
	peal_op op;

	count(peal_sleep(ring, 0, 0, on_end, NULL));
	op = count(peal_sleep(ring, PEAL_S, 0, on_end, NULL));
	wrong += peal_sleep_again(ring, op, 0) != 0;
	op = count(peal_sleep(ring, PEAL_S, 0, on_end, NULL));
	wrong += peal_cancel(ring, op, 0, NULL, NULL) != 0;
	op = count(peal_poll(ring, quiet[0], POLLIN, 0, on_end, NULL));
	wrong += peal_deadline(ring, op, 0, 0) != 0;
	op = count(peal_read(ring, quiet[0], block, 1, PEAL_CURRENT, 0, on_end,
			     NULL));
	wrong += peal_deadline(ring, op, 0, PEAL_EARLY) != 0;
	op = count(peal_poll(ring, quiet[0], POLLIN, 0, on_end, NULL));
	count(peal_cancel(ring, op, 0, on_cancelled, NULL));
}

static void one_round(unsigned round)
{
	int client = -1;

	start_files();
	start_sockets();
	start_timers();
	wrong += peal_post(ring, on_post, NULL) != 0;
	if (round % 64 == 0) {
		client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		wrong += connect(client, (struct sockaddr *)&address,
				 address_len) != 0;
	}
	while (ended < started || accepted < round / 64 + 1)
		if (peal_ring_turn(ring, PEAL_FOREVER) < 0)
			abort();
	if (client >= 0)
		close(client);
}

static void prepare(void)
{
	static const char zeros[8 * BLOCK];

	file = make_file("file", zeros, sizeof(zeros));
	null = keep_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
	make_pipe(quiet);
	make_socketpair(SOCK_STREAM, sockets);
	listener = make_listener(AF_INET, &address, &address_len);
	ck_assert_int_gt(peal_accept_multishot(ring, listener, 0, on_accept,
					       NULL), 0);
}

/* The first round is not measured: libc may load something lazily. */
static unsigned long measure(uint64_t *bytes)
{
	uint64_t *allocated = NULL, none = 0, before;
	size_t len = sizeof(allocated);
	unsigned long calls;
	unsigned round;

	prepare();
	if (mallctl && mallctl("thread.allocatedp", &allocated, &len, NULL,
			       0) != 0)
		allocated = NULL;
	if (!allocated)
		allocated = &none;
	one_round(0);
	before = *allocated;
	calls = alloc_calls;
	for (round = 1; started < OPS; round++)
		one_round(round);
	calls = alloc_calls - calls;
	*bytes = *allocated - before;
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(posted, round);
	ck_assert_uint_eq(ended, started);
	return calls;
}

TEST(million_ops_ask_the_options_allocator_for_nothing)
{
	uint64_t bytes;

	ck_assert_uint_eq(measure(&bytes), 0);
}

TEST(million_ops_allocate_no_byte_behind_its_back)
{
	uint64_t bytes;

	if (!mallctl)
		SKIP("no jemalloc in this build to count the bytes");
	measure(&bytes);
	ck_assert_uint_eq(bytes, 0);
}

SUITE("memory")
