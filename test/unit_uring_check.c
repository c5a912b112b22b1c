/* SPDX-License-Identifier: MIT */
/*
 * lib/uring_check.c: the model finds what a kernel does wrong, each kind of it;
 * and what comes of a kernel that lies, which io_uring_register() here plays.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "lib/groups.h"
#include "lib/uring.h"
#include "lib/uring_check.h"
#include "test/harness.h"

#define BUFFER	PEAL__CQE_BUFFER
#define MORE	PEAL__CQE_BUF_MORE

/* --- a kernel that lies -------------------------------------------------- */

static enum {
	HONEST, IGNORES_INC, KNOWS_NO_INC, TRIES_NOTHING, STANDS_STILL
} kernel;
static sem_t stands, goes_on;

/* The linker gives the library this one: see the Makefile. */
int __wrap_io_uring_register(unsigned fd, unsigned opcode, const void *arg,
			     unsigned count);
int __wrap_io_uring_register(unsigned fd, unsigned opcode, const void *arg,
			     unsigned count)
{
	struct {
		uint64_t addr;
		uint32_t entries;
		uint16_t id, flags;
		uint64_t zero[3];
	} with;
	long rc;

	if (opcode == PEAL__REGISTER_PBUF_RING && kernel != HONEST) {
		memcpy(&with, arg, sizeof(with));
		if (kernel == STANDS_STILL) {
			sem_post(&stands);
			sem_wait(&goes_on);
		}
		if (kernel == TRIES_NOTHING && with.entries == CHECK_BUFFERS)
			return -EINVAL;
		if (kernel == KNOWS_NO_INC && with.flags)
			return -EINVAL;
		if (kernel == IGNORES_INC)
			with.flags = 0;
		arg = &with;
	}
	rc = syscall(__NR_io_uring_register, fd, opcode, arg, count);
	return rc < 0 ? -errno : (int)rc;
}

/* --- the model ----------------------------------------------------------- */

static uint8_t memory[CHECK_BUFFERS * CHECK_SIZE];
static struct peal__model model;

static void begin(int pieces)
{
	uint16_t id;

	memset(&model, 0, sizeof(model));
	memset(memory, 0xee, sizeof(memory));
	model.memory = memory;
	model.pieces = pieces;
	for (id = 0; id < CHECK_BUFFERS; id++)
		peal__model_give(&model, id);
}

/* What a kernel would have put there. */
static void fill(unsigned socket, unsigned from, unsigned len, uint64_t at)
{
	while (len--)
		memory[from++] = peal__model_byte(socket, at++);
}

static int sees(unsigned socket, int32_t res, uint32_t id, uint32_t flags)
{
	const struct peal__cqe cqe = { .res = res,
				       .flags = flags | id << 16 };

	return peal__model_see(&model, socket, &cqe);
}

static void finds(int rc, const char *what)
{
	ck_assert_int_eq(rc, -1);
	ck_assert_msg(strstr(model.why, what) != NULL, "\"%s\" lacks \"%s\"",
		      model.why, what);
}

BARE_TEST(kernel_that_is_right_passes)
{
	begin(1);
	fill(0, 0, 10, 0);
	ck_assert_int_eq(sees(0, 10, 0, BUFFER | MORE), 0);
	fill(1, 10, 54, 0);
	ck_assert_int_eq(sees(1, 54, 0, BUFFER), 0);
	fill(0, 64, 64 + 7, 10);
	ck_assert_int_eq(sees(0, 64 + 7, 1, BUFFER | MORE), 0);
	ck_assert_int_eq(sees(0, 0, 2, BUFFER), 0);
	ck_assert_int_eq(sees(1, -ENOBUFS, 0, 0), 0);
	ck_assert_int_eq(sees(1, -ECANCELED, 0, 0), 0);
	ck_assert_uint_eq(model.bundles, 1);
	ck_assert_uint_eq(model.parts, 2);
	ck_assert_uint_eq(model.offset, 7);
	ck_assert_str_eq(model.why, "");
}

BARE_TEST(buffer_out_of_order_is_found)
{
	begin(1);
	fill(0, 64, 10, 0);
	finds(sees(0, 10, 1, BUFFER | MORE), "out of order (1, not 0)");
}

BARE_TEST(bundle_in_another_order_is_found)
{
	begin(0);
	fill(0, 0, 64, 0);
	fill(0, 2 * 64, 64, 64);	/* 0 and 2, not 0 and 1 */
	finds(sees(0, 128, 0, BUFFER), "in another place");
}

BARE_TEST(pieces_told_in_another_order_are_found)
{
	begin(1);
	fill(0, 0, 10, 0);
	fill(1, 10, 10, 0);
	finds(sees(1, 10, 0, BUFFER | MORE), "in another place");
}

BARE_TEST(buffer_said_to_be_full_that_is_not_is_found)
{
	begin(1);
	fill(0, 0, 10, 0);
	finds(sees(0, 10, 0, BUFFER), "the room left");
}

BARE_TEST(buffer_said_to_have_room_that_has_not_is_found)
{
	begin(1);
	fill(0, 0, 64, 0);
	finds(sees(0, 64, 0, BUFFER | MORE), "the room left");
}

BARE_TEST(data_without_a_buffer_and_more_than_there_are_is_found)
{
	begin(1);
	finds(sees(0, 10, 0, 0), "names no buffer");
	begin(1);
	fill(0, 0, sizeof(memory), 0);
	finds(sees(0, sizeof(memory) + 1, 0, BUFFER), "more than it has");
}

BARE_TEST(error_of_a_receive_is_found)
{
	begin(1);
	finds(sees(0, -EFAULT, 0, 0), "with an error (14, not 0)");
}

/* --- the trial ----------------------------------------------------------- */

BARE_TEST(kernel_that_ignores_the_flag_is_found_out)
{
	kernel = IGNORES_INC;
	ck_assert_ptr_nonnull(strstr(peal__uring_check(CHECK_PIECES, 0),
				     "the self-test found"));
	kernel = HONEST;		/* that is known for good */
	ck_assert_ptr_nonnull(strstr(peal__uring_check(CHECK_PIECES, 0),
				     "the self-test found"));
}

BARE_TEST(kernel_without_it_says_so)
{
	kernel = KNOWS_NO_INC;
	ck_assert_str_eq(peal__uring_check(CHECK_PIECES, 0),
			 "this kernel does not have it");
	ck_assert_str_eq(peal__uring_check(CHECK_PIECES, PEAL__SETUP_SQPOLL),
			 "it is not used with SQPOLL or IOPOLL");
}

BARE_TEST(trial_that_cannot_run_is_tried_again)
{
	struct rlimit limit, none;

	NEEDS_LOCKED(1 << 20);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_ptr_nonnull(strstr(peal__uring_check(CHECK_BUNDLES, 0),
				     "could not run now"));
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_ptr_null(strstr(peal__uring_check(CHECK_BUNDLES, 0),
				  "could not run now"));
}

/* --- a fork meanwhile ----------------------------------------------------- */

#define FORKS 100

static void check_in_child(void *unused)
{
	(void)unused;
	alarm(60);		/* the end of one that waits for a lock */
	kernel = HONEST;
	if (strstr(peal__uring_check(CHECK_BUNDLES, 0), "could not run"))
		_exit(3);
}

static void child_can_check(void)
{
	char words[256];

	ck_assert_int_eq(in_child(check_in_child, NULL, words, sizeof(words)),
			 0);
}

static void *check_once(void *unused)
{
	(void)unused;
	peal__uring_check(CHECK_BUNDLES, 0);
	return NULL;
}

BARE_TEST(child_forked_while_the_trial_runs_makes_its_own)
{
	pthread_t thread;

	NEEDS_LOCKED(1 << 20);
	sem_init(&stands, 0, 0);
	sem_init(&goes_on, 0, 0);
	kernel = STANDS_STILL;
	ck_assert_int_eq(pthread_create(&thread, NULL, check_once, NULL), 0);
	sem_wait(&stands);
	child_can_check();
	kernel = HONEST;
	sem_post(&goes_on);
	pthread_join(thread, NULL);
	ck_assert_ptr_null(strstr(peal__uring_check(CHECK_BUNDLES, 0),
				  "could not run"));
}

static void *check_until(void *stop)
{
	while (!atomic_load((atomic_int *)stop))
		peal__uring_check(CHECK_BUNDLES, 0);
	return NULL;
}

BARE_TEST(child_forked_while_the_verdict_is_read_can_read_it)
{
	atomic_int stop = 0;
	pthread_t thread;
	unsigned i;

	NEEDS_LOCKED(1 << 20);
	ck_assert_int_eq(pthread_create(&thread, NULL, check_until, &stop), 0);
	for (i = 0; i < FORKS; i++)
		child_can_check();
	atomic_store(&stop, 1);
	pthread_join(thread, NULL);
}

/* --- what a group makes of it -------------------------------------------- */

static void open_on(uint32_t flags, int want)
{
	struct peal_ring_options options = harness_options();
	struct peal_group_options shape = PEAL_GROUP_OPTIONS;
	struct peal_group *group;
	const struct outcome *end;
	int fds[2];

	options.engine = "uring";
	options.disable = "";
	ring = open_ring(&options);
	shape.flags = flags;
	shape.count = 8;
	ck_result(peal_group_open(ring, &group, &shape), want);
	if (want)
		ck_assert_ptr_nonnull(strstr(peal_group_reason(),
					     "takes a whole buffer"));
	make_socketpair(SOCK_STREAM, fds);
	ck_assert_int_eq(send(fds[1], "word", 4, 0), 4);
	end = finish_outcome(peal_recv_group(ring, fds[0], group, 0, 0,
					     on_done, NULL));
	ck_result(end->result, 4);
	ck_assert_mem_eq(end->buf, "word", 4);
	ck_assert_int_eq(group->incremental, flags && !want);
	peal_group_give_back(group, end->buf);
	if (kernel == TRIES_NOTHING)
		ck_assert_int_eq(ring->bundles | group->bundles, 0);
	close_ring(ring);
	ring = NULL;
}

BARE_TEST(group_on_a_kernel_that_ignores_the_flag_takes_whole_buffers)
{
	NEEDS_LOCKED(1 << 20);
	kernel = IGNORES_INC;
	open_on(PEAL_GROUP_INCREMENTAL, 1);
	ck_assert_ptr_nonnull(strstr(peal_group_reason(), "the self-test"));
}

BARE_TEST(group_on_a_kernel_without_pieces_takes_whole_buffers)
{
	NEEDS_LOCKED(1 << 20);
	kernel = KNOWS_NO_INC;
	open_on(PEAL_GROUP_INCREMENTAL, 1);
	ck_assert_ptr_nonnull(strstr(peal_group_reason(), "not have it"));
}

BARE_TEST(group_whose_bundles_could_not_be_tried_has_none)
{
	kernel = TRIES_NOTHING;
	open_on(0, 0);
}

/* What explain says of a feature. */
static int explained(const char *words)
{
	struct peal_ring_options options = harness_options();
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int found;

	options.engine = "uring";
	ring = open_ring(&options);
	peal_ring_explain(ring, out);
	fclose(out);
	close_ring(ring);
	ring = NULL;
	found = strstr(text, words) != NULL;
	if (!found)
		fprintf(stderr, "%s", text);
	free(text);
	return found;
}

BARE_TEST(explain_says_what_the_self_test_found)
{
	NEEDS_LOCKED(1 << 20);
	kernel = IGNORES_INC;
	ck_assert(explained("the self-test found that the kernel"));
}

SUITE("uring_check")
