/* SPDX-License-Identifier: MIT */
/*
 * A run that was recorded happens again without its files, its peers and its
 * clock; a run that differs is told where; a record that is damaged is refused.
 */
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include "peal/sim.h"
#include "peal/work.h"
#include "test/proof.h"

/* --- the program: all it learns from its ring goes into a log ------------- */

static char log_text[32768], first_log[sizeof(log_text)];
static size_t log_len;
static unsigned before, latest;	/* outcomes of the ring before; so far */
static char path[512], other[512], record_name[1024];
static int peers[2];

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_len += (size_t)vsnprintf(log_text + log_len,
				     sizeof(log_text) - log_len, format, args);
	va_end(args);
	ck_assert_uint_lt(log_len, sizeof(log_text));
}

/* Descriptors that ops made have other numbers in a replay. */
static int64_t run(peal_op op)
{
	const struct outcome *out;

	if (op < 0)
		return op;
	UNTIL(finished(op));
	out = outcome(op);
	note("op %llx: %lld flags %x order %u\n", (unsigned long long)op,
	     (long long)out->result % PEAL_SIM_FIRST_FD, out->flags,
	     out->order - before);
	if (latest < out->order)
		latest = out->order;
	return out->result;
}

static void files(void)
{
	char head[100] = "", tail[300] = "", list[512];
	struct iovec iov[2] = { { head, sizeof(head) }, { tail, 300 } };
	struct peal_stat st = { 0 };
	struct peal_statfs fs = { 0 };
	int64_t fd = run(peal_open(ring, PEAL_CWD, path, O_RDWR, 0, 0, on_done,
				   NULL));

	ck_ok(fd);
	run(peal_read(ring, (int)fd, head, 10, 0, 0, on_done, NULL));
	note("%.10s\n", head);
	run(peal_readv(ring, (int)fd, iov, 2, 7, 0, 0, on_done, NULL));
	note("%.100s%.300s\n", head, tail);
	run(peal_write_full(ring, (int)fd, "twelve bytes", 12, 0, 0, on_done,
			    NULL));
	run(peal_stat(ring, (int)fd, "", PEAL_STAT_EMPTY_PATH,
		      PEAL_STAT_BASIC, &st, 0, on_done, NULL));
	note("size %llu inode %llu\n", (unsigned long long)st.bytes,
	     (unsigned long long)st.inode);
	run(peal_statfs(ring, dir(), &fs, 0, on_done, NULL));
	note("free %llu\n", (unsigned long long)fs.blocks_free);
	run(peal_seek_hole(ring, (int)fd, 0, 0, on_done, NULL));
	run(peal_close(ring, (int)fd, 0, on_done, NULL));
	fd = run(peal_open(ring, PEAL_CWD, dir(), O_RDONLY | O_DIRECTORY, 0, 0,
			   on_done, NULL));
	note("listed %d\n", (int)run(peal_read_dir(ring, (int)fd, list,
						   sizeof(list), 0, on_done,
						   NULL)));
	run(peal_rename(ring, PEAL_CWD, path, PEAL_CWD, other, 0, 0, on_done,
			NULL));
	run(peal_close_drained(ring, (int)fd, 0, on_done, NULL));
}

static void sockets(void)
{
	struct sockaddr_storage addr;
	char text[64] = "", control[64];
	struct iovec iov = { text, sizeof(text) };
	struct msghdr msg = { .msg_name = &addr, .msg_namelen = sizeof(addr),
			      .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	peal_op op = peal_recvmsg(ring, peers[1], &msg, 0, 0, on_done, NULL);

	run(peal_send_full(ring, peers[0], "over there", 10, 0, 0, on_done,
			   NULL));
	run(op);
	note("%s, %u of name, %u of control, flags %x\n", text,
	     (unsigned)msg.msg_namelen, (unsigned)msg.msg_controllen,
	     (unsigned)msg.msg_flags);
	op = peal_recv(ring, peers[1], text, sizeof(text), 0, 0, on_done,
		       NULL);
	run(peal_cancel(ring, op, 0, on_done, NULL));
	run(op);
	op = peal_recv(ring, peers[1], text, sizeof(text), 0, 0, on_done,
		       NULL);
	ck_result(peal_deadline(ring, op, 5 * PEAL_MS, 0), 0);
	run(op);
}

static void a_group(void)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;
	struct peal_group *group;
	const struct outcome *out;
	peal_op op;

	options.count = 4;
	options.buf_size = 64;
	ck_result(peal_group_open(ring, &group, &options), 0);
	op = peal_recv_group(ring, peers[1], group, 0, 0, on_done, NULL);
	ck_ok(op);
	run(peal_send(ring, peers[0], "grouped", 8, 0, 0, on_done, NULL));
	UNTIL(finished(op));
	out = outcome(op);
	note("%lld in a buffer: %s\n", (long long)out->result,
	     out->buf ? (const char *)out->buf : "none");
	ck_result(out->result, 8);
	peal_group_give_back(group, out->buf);
	ck_ok(run(peal_group_close(ring, group, 0, on_done, NULL)));
}

static void program(void)
{
	uint64_t start;

	note("random %llx\n", (unsigned long long)peal_random(ring));
	files();
	sockets();
	a_group();
	start = peal_ring_now(ring);
	run(peal_sleep(ring, PEAL_MS, 0, on_done, NULL));
	note("slept %llu\n",
	     (unsigned long long)(peal_ring_now(ring) - start));
}

/* --- record and replay ---------------------------------------------------- */

static void prepare(void)
{
	char text[400];

	snprintf(path, sizeof(path), "%s", path_in_dir("file"));
	snprintf(other, sizeof(other), "%s", path_in_dir("other"));
	memset(text, 0x61, sizeof(text));
	close(make_file("file", text, sizeof(text)));
	make_socketpair(SOCK_STREAM, peers);
}

static void open_on(const char *engine)
{
	struct peal_ring_options options = harness_options();

	options.engine = engine;
	before = latest;
	forget_outcomes();
	log_len = 0;
	reopen_ring(&options);
}

/* The fixture's ring is opened again without a record. */
static void record_on(const char *engine)
{
	snprintf(record_name, sizeof(record_name), "%s/run.%s", dir(), engine);
	setenv("PEAL_RECORD", record_name, 1);
	open_on(engine);
	unsetenv("PEAL_RECORD");
}

static const char *report(void)
{
	static char text[512];
	char name[1100];
	FILE *in;

	snprintf(name, sizeof(name), "%s.report", record_name);
	in = fopen(name, "r");
	ck_assert_msg(in != NULL, "no %s", name);
	text[fread(text, 1, sizeof(text) - 1, in)] = 0;
	fclose(in);
	return text;
}

static void is_the_same_log(void)
{
	size_t at = 0;

	while (log_text[at] && log_text[at] == first_log[at])
		at++;
	ck_assert_msg(log_text[at] == first_log[at],
		      "at %zu: recorded \"%.60s\", replayed \"%.60s\"", at,
		      first_log + at, log_text + at);
}

static void replay(void)
{
	setenv("PEAL_REPLAY", record_name, 1);
	open_on("replay");
}


/* What the record was made of is gone. */
static void take_away(void)
{
	unlink(path);
	unlink(other);
	close(peers[0]);
	close(peers[1]);
	peers[0] = peers[1] = closed_fd();
}

static void same_again(const char *engine, void (*again)(void))
{
	prepare();
	record_on(engine);
	again();
	memcpy(first_log, log_text, sizeof(log_text));
	open_on(engine);
	take_away();
	replay();
	ck_assert_str_eq(peal_ring_engine(ring), "replay");
	again();
	is_the_same_log();
	close_ring(ring);
	ring = NULL;
	ck_assert_msg(!strncmp(report(), "the same, ", 10), "%s", report());
}

TEST(run_on_uring_happens_again_without_files_and_peers)
{
	same_again("uring", program);
	ck_assert_ptr_ne(strstr(first_log, "over there"), NULL);
}

TEST(run_on_epoll_happens_again_without_files_and_peers)
{
	same_again("epoll", program);
	ck_assert_ptr_ne(strstr(first_log, "over there"), NULL);
}

/* --- jobs that the engine makes ------------------------------------------- */

/* On epoll each read becomes a job when the engine sees its entry; the cancels
 * of the batch meet jobs that no thread has. */
static void cancelled_in_a_batch(void)
{
	char text[3][10];
	peal_op ops[3], last;
	int fd = open(path, O_RDONLY | O_CLOEXEC), i;

	fd = fd < 0 ? peers[1] : keep_fd(fd);	/* it is gone in the replay */
	for (i = 0; i < 3; i++)
		ops[i] = peal_read(ring, fd, text[i], 10, 0, 0, on_done, NULL);
	last = peal_cancel(ring, ops[1], 0, on_done, NULL);
	run(peal_cancel(ring, ops[0], 0, on_done, NULL));
	run(last);
	for (i = 0; i < 3; i++)
		run(ops[i]);
}

TEST(job_that_is_cancelled_in_its_own_batch_is_cancelled_again_on_epoll)
{
	same_again("epoll", cancelled_in_a_batch);
	ck_assert_ptr_ne(strstr(first_log, ": -125 flags"), NULL);
}

TEST(read_that_is_cancelled_in_its_own_batch_is_the_same_on_uring)
{
	same_again("uring", cancelled_in_a_batch);
}

/* --- posts of other threads ---------------------------------------------- */

enum { POSTED = 300 };

static void on_posted(struct peal_ring *where, void *ctx)
{
	note("post %d, turn of %llu\n", (int)(intptr_t)ctx,
	     (unsigned long long)peal_ring_now(where));
	if ((intptr_t)ctx == POSTED)
		peal_ring_release(where);
}

static void *post_all(void *unused)
{
	intptr_t i;

	(void)unused;
	for (i = 1; i <= POSTED; i++)
		while (peal_post(ring, on_posted, (void *)i) < 0)
			sched_yield();
	return NULL;
}

static void be_posted_to(void)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, post_all, NULL), 0);
	peal_ring_hold(ring);
	run(peal_nop(ring, 0, on_done, NULL));
	ck_result(peal_ring_run(ring), 0);
	pthread_join(thread, NULL);
}

static void posted_again(const char *engine)
{
	record_on(engine);
	be_posted_to();
	memcpy(first_log, log_text, sizeof(log_text));
	open_on(engine);
	replay();
	be_posted_to();
	is_the_same_log();
}

TEST(posts_of_a_thread_come_in_the_same_turns_on_uring)
{
	posted_again("uring");
}

TEST(posts_of_a_thread_come_in_the_same_turns_on_epoll)
{
	posted_again("epoll");
}

/* --- two rings ----------------------------------------------------------- */

static uint64_t random_of_two(uint64_t *out_second)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *second;
	uint64_t first;

	second = open_ring(&options);
	first = peal_random(ring);
	*out_second = peal_random(second);
	close_ring(second);
	return first;
}

TEST(second_ring_of_a_process_has_a_record_of_its_own)
{
	uint64_t first, second, again;

	snprintf(record_name, sizeof(record_name), "%s/two", dir());
	setenv("PEAL_RECORD", record_name, 1);
	open_on("uring");
	first = random_of_two(&second);
	unsetenv("PEAL_RECORD");
	open_on("uring");
	setenv("PEAL_REPLAY", record_name, 1);
	setenv("PEAL_ENGINE", "replay", 1);
	open_on(NULL);
	ck_assert(random_of_two(&again) == first);
	ck_assert(again == second);
	ck_assert(first != second);
}

/* --- what differs -------------------------------------------------------- */

struct change {			/* of the program, between record and replay */
	uint64_t offset;
	int extra, fewer, no_close;
	const char *bytes, *name;
};

/* -EBADMSG when the ring has failed. */
static int64_t step(peal_op op)
{
	while (op > 0 && !finished(op)) {
		int rc = peal_ring_turn(ring, PEAL_S);

		if (rc < 0)
			return rc;
	}
	return op < 0 ? op : outcome(op)->result;
}

static int64_t small_program(struct change with)
{
	const char *bytes = with.bytes ? with.bytes : "twelve bytes";
	char head[10];
	int64_t fd, rc;

	fd = step(peal_open(ring, PEAL_CWD, with.name ? with.name : path,
			    O_RDWR, 0, 0, on_done, NULL));
	if (fd < 0)
		return fd;
	rc = step(peal_read(ring, (int)fd, head, sizeof(head), with.offset, 0,
			    on_done, NULL));
	if (rc >= 0 && !with.fewer)
		rc = step(peal_write(ring, (int)fd, bytes, 12, 0, 0, on_done,
				     NULL));
	if (rc >= 0 && with.extra)
		rc = step(peal_nop(ring, 0, on_done, NULL));
	if (rc >= 0 && !with.no_close)
		rc = step(peal_close(ring, (int)fd, 0, on_done, NULL));
	return rc;
}

static void record_small_program(void)
{
	prepare();
	record_on("uring");
	ck_result(small_program((struct change){ 0 }), 0);
	open_on("uring");
}

static void is_told(struct change with, const char *words)
{
	char reason[512];

	record_small_program();
	replay();
	ck_result(small_program(with), -EBADMSG);
	snprintf(reason, sizeof(reason), "%s", peal_ring_engine_reason(ring));
	ck_assert_msg(strstr(reason, words), "%s", reason);
	ck_assert_msg(!strncmp(reason, "differs at frame ", 17), "%s", reason);
	/* The first difference stays the reason, and the ring can go. */
	ck_result(peal_ring_turn(ring, 0), -EBADMSG);
	ck_assert_str_eq(peal_ring_engine_reason(ring), reason);
	close_ring(ring);
	ring = NULL;
	ck_assert_int_eq(strncmp(report(), reason, strlen(reason)), 0);
}

TEST(other_offset_is_told_with_both_numbers)
{
	is_told((struct change){ .offset = 77 }, "len 10 at 0; came read");
}

TEST(other_offset_is_named)
{
	is_told((struct change){ .offset = 77 },
		"len 10 at 77: not the same offset");
}

TEST(other_bytes_to_write_are_told)
{
	is_told((struct change){ .bytes = "other  bytes" },
		"not the same bytes or path");
}

TEST(other_path_is_told)
{
	is_told((struct change){ .name = "elsewhere" },
		"not the same bytes or path");
}

TEST(op_that_was_not_in_the_run_is_told)
{
	is_told((struct change){ .extra = 1 }, "expected close fd ");
}

TEST(op_that_is_missing_is_told)
{
	is_told((struct change){ .fewer = 1 }, "; came close fd ");
}

TEST(program_that_ends_early_is_reported)
{
	record_small_program();
	replay();
	ck_result(small_program((struct change){ .no_close = 1 }), 12);
	close_ring(ring);
	ring = NULL;
	ck_assert_ptr_ne(strstr(report(), "came the end of its work"), NULL);
}

TEST(program_that_goes_on_past_the_record_is_told)
{
	record_small_program();
	replay();
	ck_result(small_program((struct change){ 0 }), 0);
	ck_result(step(peal_nop(ring, 0, on_done, NULL)), -EBADMSG);
	ck_assert_msg(strstr(peal_ring_engine_reason(ring),
			     "expected the end of its work; came nop"), "%s",
		      peal_ring_engine_reason(ring));
}

/* --- what is no record --------------------------------------------------- */

#define HEAD_BYTES (8 + 16 + 96)	/* the magic and the first frame */

static char whole[65536];

static size_t read_record(void)
{
	FILE *in = fopen(record_name, "rb");
	size_t len;

	ck_assert_ptr_nonnull(in);
	len = fread(whole, 1, sizeof(whole), in);
	fclose(in);
	ck_assert_uint_lt(len, sizeof(whole));
	return len;
}

static void write_file(const char *name, const void *data, size_t len)
{
	FILE *out = fopen(name, "wb");

	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(data, 1, len, out), len);
	fclose(out);
}

static int open_replay_of(const void *data, size_t len)
{
	struct peal_ring_options options = harness_options();
	struct peal_ring *other_ring;
	char name[1100];
	int rc;

	snprintf(name, sizeof(name), "%s.bad", record_name);
	write_file(name, data, len);
	setenv("PEAL_REPLAY", name, 1);
	options.engine = "replay";
	rc = peal_ring_open(&other_ring, &options);
	if (rc == 0)
		close_ring(other_ring);
	return rc;
}

/* As a program leaves it that is killed, wherever it was: the run is had again
 * up to there, and the ring says that it ends, and where. */
TEST(record_that_is_cut_off_is_replayed_up_to_there)
{
	char name[1100];
	size_t len, cut;

	record_small_program();
	len = read_record();
	snprintf(name, sizeof(name), "%s", record_name);
	for (cut = len - 1; cut > HEAD_BYTES; cut -= 5) {
		int64_t rc;

		snprintf(record_name, sizeof(record_name), "%.900s.%zu",
			 name, cut);
		write_file(record_name, whole, cut);
		replay();
		rc = small_program((struct change){ 0 });
		ck_assert_msg(rc == -ENODATA || rc == 0, "%zu: %d", cut,
			      (int)rc);
		ck_assert_msg(rc == 0 || strstr(peal_ring_engine_reason(ring),
						"where the record ends"),
			      "%s", peal_ring_engine_reason(ring));
		ck_assert(rc < 0 || cut + 100 > len);
		open_on("epoll");
		ck_assert_msg(!strncmp(report(), "the same up to frame ", 21),
			      "%s", report());
	}
}

TEST(record_that_ends_in_its_head_is_refused)
{
	record_small_program();
	read_record();
	ck_result(open_replay_of(whole, HEAD_BYTES - 10), -EBADMSG);
	ck_assert_msg(strstr(peal_open_reason(), " is cut off"), "%s",
		      peal_open_reason());
	ck_result(open_replay_of(whole, 8), -EBADMSG);
}

TEST(record_with_a_damaged_byte_is_refused)
{
	size_t len, at;

	record_small_program();
	len = read_record();
	for (at = 0; at < len; at += 7) {
		int rc;

		whole[at] ^= 0x10;
		rc = open_replay_of(whole, len);
		whole[at] ^= 0x10;
		ck_assert_msg(rc == -EBADMSG, "byte %zu: %d", at, rc);
		ck_assert_msg(strstr(peal_open_reason(), "record"), "%s",
			      peal_open_reason());
	}
	ck_result(open_replay_of(whole, len), 0);
}

TEST(file_that_is_no_record_is_refused)
{
	prepare();
	snprintf(record_name, sizeof(record_name), "%s/none", dir());
	ck_result(open_replay_of("something else", 14), -EBADMSG);
	ck_assert_ptr_ne(strstr(peal_open_reason(), "no record"), NULL);
	ck_result(open_replay_of("", 0), -EBADMSG);
}

SUITE("record")
