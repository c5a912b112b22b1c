/* SPDX-License-Identifier: MIT */
/*
 * Records that lie, with checks that are right: each is a record of busy.c's
 * program with one thing changed by hand, and is answered by words. busy.c
 * aborts where the lie reached the program; a sanitizer sees the rest.
 */
#include <string.h>
#include "lib/sqe.h"
#include "test/busy.h"
#include "test/damaged.h"
#include "test/proof.h"

static struct damaged record;

/* --- a record, and the replay of what became of it ------------------------ */

static const char *file_name(void)
{
	static char name[2][600];
	static unsigned files;
	char *next = name[files & 1];

	/* Two in turn: of one name it would be the process's second ring. */
	snprintf(next, sizeof(name[0]), "%s/record.%u", dir(), files++ & 1);
	return next;
}

static void record_on(const char *engine)
{
	const char *name = file_name();
	int rc = busy_record(name, engine, NULL, dir());

	ck_assert_msg(rc == 0, "%s: %s", harness_errno(rc), busy_reason);
	ck_result(damaged_load(&record, name), 0);
	rc = busy_replay(name, dir());
	ck_assert_msg(rc == 0, "%s: %s", harness_errno(rc), busy_reason);
}

static int replay(void)
{
	const char *name = file_name();

	damaged_repair(&record);
	ck_result(damaged_save(&record, name), 0);
	return busy_replay(name, dir());
}

static void is_told(int64_t want, const char *words)
{
	int64_t rc = replay();

	damaged_free(&record);
	ck_assert_msg(rc == want, "%s: %s", harness_errno(rc), busy_reason);
	ck_assert_msg(strstr(busy_reason, words), "%s", busy_reason);
}

/* Where the nth op of this kind begins: its entry, or its job. */
static size_t begin_of(unsigned opcode, unsigned kind, unsigned nth)
{
	unsigned i;
	size_t at;

	for (i = 1; (at = damaged_find(&record, kind, i)) != 0; i++) {
		const struct record_start *start =
			record_body(damaged_frame(&record, at));

		if (start->opcode == opcode && !--nth)
			return at;
	}
	ck_abort_msg("no op %u in the record", opcode);
	return 0;
}

/* The nth completion of what began there. */
static size_t end_of(size_t begin, unsigned kind, unsigned nth)
{
	const struct record_start *start =
		record_body(damaged_frame(&record, begin));
	unsigned i;
	size_t at;

	for (i = 1; (at = damaged_find(&record, kind, i)) != 0; i++) {
		const struct record_done *done =
			record_body(damaged_frame(&record, at));

		if (at > begin && done->user_data == start->user_data &&
		    !--nth)
			return at;
	}
	ck_abort_msg("no end of op %u in the record", start->opcode);
	return 0;
}

static struct record_done *done_of(unsigned opcode, unsigned nth)
{
	size_t at = end_of(begin_of(opcode, RECORD_START, nth), RECORD_DONE,
			   1);

	return (void *)(damaged_frame(&record, at) + 1);
}

static struct record_done *job_done_of(unsigned opcode)
{
	size_t at = end_of(begin_of(opcode, RECORD_JOB, 1), RECORD_JOB_DONE,
			   1);

	return (void *)(damaged_frame(&record, at) + 1);
}

static void copy_frame(size_t at)
{
	struct record_frame frame = *damaged_frame(&record, at);
	char body[8192];

	ck_assert_uint_le(frame.len, sizeof(body));
	memcpy(body, damaged_frame(&record, at) + 1, frame.len);
	damaged_insert(&record, at, frame.kind, body, frame.len);
}

/* A completion of ours before the first one. */
static void insert_done(unsigned kind, uint64_t user_data, int64_t result)
{
	const struct record_done done = { user_data, result, 0, 0 };

	damaged_insert(&record, damaged_find(&record, RECORD_DONE, 1), kind,
		       &done, sizeof(done));
}

/* --- results that no op of the kind has ----------------------------------- */

#define NO_ROOM		"came an op with other room for it"
#define FOR_NOTHING	"came nothing that it is for"

static void result_is_refused(unsigned opcode, unsigned nth, int64_t result)
{
	record_on("uring");
	done_of(opcode, nth)->result = result;
	is_told(-EBADMSG, NO_ROOM);
}

static void job_result_is_refused(unsigned opcode, int64_t result)
{
	record_on("epoll");
	job_done_of(opcode)->result = result;
	is_told(-EBADMSG, NO_ROOM);
}

BARE_TEST(read_of_more_than_there_was_room_for)
{
	result_is_refused(PEAL__OP_READ, 1, 11);
}

BARE_TEST(read_into_vectors_of_more_than_their_room)
{
	result_is_refused(PEAL__OP_READV, 1, 41);
}

BARE_TEST(write_of_more_than_was_given)
{
	result_is_refused(PEAL__OP_WRITE, 1, 13);
}

BARE_TEST(write_of_vectors_of_more_than_was_given)
{
	result_is_refused(PEAL__OP_WRITEV, 1, 41);
}

BARE_TEST(splice_of_more_than_was_asked)
{
	result_is_refused(PEAL__OP_SPLICE, 1, 101);
}

BARE_TEST(send_of_more_than_was_given)
{
	result_is_refused(PEAL__OP_SEND, 1, 17);
}

BARE_TEST(message_of_more_than_its_room)
{
	result_is_refused(PEAL__OP_RECVMSG, 1, 17);
}

BARE_TEST(sync_that_gives_a_number)
{
	result_is_refused(PEAL__OP_FSYNC, 1, 1);
}

BARE_TEST(job_that_gives_a_number)
{
	job_result_is_refused(PEAL__OP_STATFS, 1);
}

BARE_TEST(job_of_a_listing_longer_than_its_room)
{
	job_result_is_refused(PEAL__OP_READ_DIR, 513);
}

BARE_TEST(descriptor_that_is_none)
{
	job_result_is_refused(PEAL__OP_OPENAT, INT64_C(1) << 32);
}

BARE_TEST(error_that_no_kernel_has)
{
	result_is_refused(PEAL__OP_READ, 1, -4096);
}

BARE_TEST(poll_of_events_that_there_are_not)
{
	result_is_refused(PEAL__OP_POLL_ADD, 1, 0x10000);
}

BARE_TEST(slot_behind_the_end_of_the_table)
{
	record_on("uring");
	done_of(PEAL__OP_OPENAT, 2)->result = 4;	/* it has 0 to 3 */
	is_told(-EBADMSG, NO_ROOM);
}

BARE_TEST(result_that_does_not_fit_a_completion)
{
	record_on("uring");
	done_of(PEAL__OP_OPENAT, 1)->result = INT64_C(1) << 32;
	is_told(-EBADMSG, FOR_NOTHING);
}

BARE_TEST(call_at_once_that_gives_what_it_cannot)
{
	size_t at;

	record_on("epoll");
	at = damaged_find(&record, RECORD_CALL, 1);
	ck_assert_uint_ne(at, 0);
	((struct record_call *)(void *)(damaged_frame(&record, at) +
					1))->result = -5000;
	is_told(-EBADMSG, "a call that gives no such thing");
}

/* --- bytes ---------------------------------------------------------------- */

static void bytes_are_refused(unsigned opcode, unsigned kind, int32_t more)
{
	unsigned begin = kind == RECORD_DONE ? RECORD_START : RECORD_JOB;
	size_t at = end_of(begin_of(opcode, begin, 1), kind, 1);
	size_t end = at + sizeof(struct record_frame) +
		     damaged_frame(&record, at)->len;

	ck_assert_uint_ge(damaged_frame(&record, at)->len, 48);
	if (more > 0) {
		size_t gap = end + record_fill(damaged_frame(&record,
							     at)->len);

		/* Whole words, so that the next frame stands where it must. */
		damaged_insert(&record, gap, 0, NULL, 0);
		damaged_frame(&record, at)->len += 16;
	} else {
		damaged_frame(&record, at)->len -= 16;
		memmove(record.data + end - 16, record.data + end,
			record.len - end);
		record.len -= 16;
	}
	is_told(-EBADMSG, NO_ROOM);
}

BARE_TEST(fewer_bytes_than_the_result_says)
{
	record_on("uring");
	bytes_are_refused(PEAL__OP_READV, RECORD_DONE, -16);
}

BARE_TEST(more_bytes_than_the_result_says)
{
	record_on("uring");
	bytes_are_refused(PEAL__OP_READV, RECORD_DONE, 16);
}

BARE_TEST(part_of_what_a_stat_gives)
{
	record_on("uring");
	bytes_are_refused(PEAL__OP_STATX, RECORD_DONE, -16);
}

BARE_TEST(message_with_more_control_data_than_its_room)
{
	uint32_t *words;

	record_on("uring");
	/* name_len, no name, flags, controllen */
	words = (void *)(done_of(PEAL__OP_RECVMSG, 1) + 1);
	words[0] = 0;
	words[2] = 1 << 20;
	is_told(-EBADMSG, NO_ROOM);
}

static void list_is_refused(size_t word)
{
	uint32_t *words;

	record_on("epoll");
	words = (void *)(job_done_of(PEAL__OP_RESOLVE) + 1);
	words[word] = 0xffffffffu;
	is_told(-EBADMSG, NO_ROOM);
}

BARE_TEST(address_of_a_list_longer_than_the_frame)
{
	list_is_refused(4);
}

BARE_TEST(name_of_a_list_longer_than_the_frame)
{
	list_is_refused(5);
}

/* --- buffers of a group --------------------------------------------------- */

/* The nth receive into a group, its first completion. */
static struct record_done *grouped(unsigned nth)
{
	unsigned i;
	size_t at;

	for (i = 1; (at = damaged_find(&record, RECORD_DONE, i)) != 0; i++) {
		struct record_done *done =
			(void *)(damaged_frame(&record, at) + 1);

		if (done->flags & PEAL__CQE_BUFFER && !--nth)
			return done;
	}
	ck_abort_msg("no buffer in the record");
	return NULL;
}

BARE_TEST(buffer_that_the_group_does_not_have)
{
	NEEDS_LOCKED(1 << 20);
	record_on("uring");
	grouped(1)->flags |= 0xffu << 24;
	is_told(-EBADMSG, NO_ROOM);
}

BARE_TEST(buffer_that_is_out_already)
{
	NEEDS_LOCKED(1 << 20);
	record_on("uring");
	grouped(3)->flags = (grouped(2)->flags & 0xffff0000u) |
			    (grouped(3)->flags & 0xffffu);
	is_told(-EBADMSG, NO_ROOM);
}

BARE_TEST(more_than_a_buffer_holds)
{
	struct {
		struct record_done done;
		char data[72];
	} body = { 0 };
	size_t at;

	NEEDS_LOCKED(1 << 20);
	record_on("uring");
	body.done = *grouped(1);
	body.done.result = 72;
	at = (size_t)((char *)grouped(1) - record.data) -
	     sizeof(struct record_frame);
	damaged_remove(&record, at);
	damaged_insert(&record, at, RECORD_DONE, &body, sizeof(body));
	is_told(-EBADMSG, NO_ROOM);
}

BARE_TEST(buffer_of_an_op_that_takes_none)
{
	record_on("uring");
	done_of(PEAL__OP_READ, 1)->flags |= PEAL__CQE_BUFFER;
	is_told(-EBADMSG, NO_ROOM);
}

/* --- completions that cannot be ------------------------------------------- */

BARE_TEST(op_that_ends_twice_in_a_turn)
{
	record_on("uring");
	copy_frame(end_of(begin_of(PEAL__OP_READ, RECORD_START, 1),
			  RECORD_DONE, 1));
	is_told(-EBADMSG, FOR_NOTHING);
}

BARE_TEST(job_that_ends_twice_in_a_turn)
{
	record_on("epoll");
	copy_frame(end_of(begin_of(PEAL__OP_STATX, RECORD_JOB, 1),
			  RECORD_JOB_DONE, 1));
	is_told(-EBADMSG, FOR_NOTHING);
}

BARE_TEST(op_that_is_not_there_ends)
{
	record_on("uring");
	insert_done(RECORD_DONE, PEAL__ROW_MASK, 0);
	is_told(-EBADMSG, FOR_NOTHING);
}

BARE_TEST(entry_of_the_engine_ends_as_a_job)
{
	record_on("uring");
	damaged_frame(&record, damaged_find(&record, RECORD_DONE, 1))->kind =
		RECORD_JOB_DONE;
	is_told(-EBADMSG, FOR_NOTHING);
}

BARE_TEST(job_ends_as_an_entry_of_the_engine)
{
	record_on("epoll");
	damaged_frame(&record, damaged_find(&record, RECORD_JOB_DONE,
					    1))->kind = RECORD_DONE;
	is_told(-EBADMSG, FOR_NOTHING);
}

BARE_TEST(op_of_one_completion_says_that_more_come)
{
	record_on("uring");
	done_of(PEAL__OP_READ, 1)->flags |= PEAL__CQE_MORE;
	is_told(-EBADMSG, NO_ROOM);
}

BARE_TEST(notice_of_an_op_that_sends_nothing)
{
	record_on("uring");
	done_of(PEAL__OP_WRITE, 1)->flags |= PEAL__CQE_NOTIF;
	is_told(-EBADMSG, NO_ROOM);
}

BARE_TEST(more_completions_than_the_queue_holds)
{
	struct record_done *done;
	size_t at;
	int i;

	record_on("uring");
	at = end_of(begin_of(PEAL__OP_ACCEPT, RECORD_START, 2), RECORD_DONE,
		    1);
	done = (void *)(damaged_frame(&record, at) + 1);
	ck_assert(done->flags & PEAL__CQE_MORE);
	for (i = 0; i < 200; i++)
		copy_frame(at);
	is_told(-EBADMSG, FOR_NOTHING);
}

/* --- jobs ----------------------------------------------------------------- */

BARE_TEST(job_is_taken_back_twice)
{
	size_t at;

	record_on("epoll");
	at = damaged_find(&record, RECORD_UNDONE, 1);
	ck_assert_uint_ne(at, 0);
	copy_frame(at);
	is_told(-EBADMSG, "came no such job");
}

BARE_TEST(job_that_has_ended_is_taken_back)
{
	struct record_done done;
	size_t at;

	record_on("epoll");
	at = end_of(begin_of(PEAL__OP_STATX, RECORD_JOB, 1), RECORD_JOB_DONE,
		    1);
	done = *job_done_of(PEAL__OP_STATX);
	done.result = 1;
	damaged_insert(&record, damaged_behind(&record, at), RECORD_UNDONE,
		       &done, sizeof(done));
	is_told(-EBADMSG, "came a job to be cancelled");
}

BARE_TEST(job_that_is_not_there_is_taken_back)
{
	record_on("epoll");
	insert_done(RECORD_UNDONE, PEAL__ROW_MASK, 1);
	is_told(-EBADMSG, "came no such job");
}

BARE_TEST(entry_that_is_not_there_becomes_a_job)
{
	record_on("epoll");
	insert_done(RECORD_TO_POOL, PEAL__ROW_MASK, 0);
	is_told(-EBADMSG, FOR_NOTHING);
}

BARE_TEST(entry_becomes_a_job_twice)
{
	record_on("epoll");
	copy_frame(damaged_find(&record, RECORD_TO_POOL, 1));
	is_told(-EBADMSG, FOR_NOTHING);
}

/* --- turns, posts, what is asked ------------------------------------------ */

static struct record_turn *turn_of(unsigned nth)
{
	return (void *)(damaged_frame(&record, damaged_find(
				&record, RECORD_TURN, nth)) + 1);
}

/* As a real engine's failure is told; busy.c closes the ring after it. */
BARE_TEST(wait_that_fails_leaves_a_ring_that_can_be_closed)
{
	record_on("uring");
	turn_of(2)->rc = -ENOBUFS;
	is_told(-ENOBUFS, "");
}

BARE_TEST(wait_that_fails_with_no_error_is_told)
{
	record_on("uring");
	turn_of(2)->rc = INT32_MIN;
	is_told(-EBADMSG, "came a wait that cannot end so");
}

BARE_TEST(post_that_nobody_makes)
{
	struct record_post post = { .thread = 1 };

	record_on("uring");
	damaged_insert(&record, damaged_find(&record, RECORD_TURN, 2),
		       RECORD_POSTS, &post, sizeof(post));
	is_told(-EBADMSG, "came the end of the turn's entries");
	record_on("uring");
	damaged_insert(&record, damaged_find(&record, RECORD_TIME, 20),
		       RECORD_POSTS, &post, sizeof(post));
	is_told(-EBADMSG, "came ");
}

static void file_is_refused(const char *words)
{
	is_told(-EBADMSG, words);
}

BARE_TEST(posts_that_are_not_whole_are_refused)
{
	size_t at;

	record_on("uring");
	at = damaged_find(&record, RECORD_POSTS, 1);
	ck_assert_uint_ne(at, 0);
	damaged_frame(&record, at)->len -= 4;
	file_is_refused("is damaged");
}

BARE_TEST(reason_without_an_end_is_refused)
{
	struct record_frame *frame;

	record_on("uring");
	frame = damaged_frame(&record, damaged_find(&record, RECORD_ASKED, 1));
	((char *)(frame + 1))[frame->len - 1] = 'x';
	file_is_refused("is damaged");
}

BARE_TEST(queue_that_no_engine_has_is_refused)
{
	struct record_ring *head;

	record_on("uring");
	head = (void *)(damaged_frame(&record, damaged_find(
				&record, RECORD_RING, 1)) + 1);
	head->cq_entries = 3;
	file_is_refused("is damaged");
}

BARE_TEST(second_head_is_refused)
{
	record_on("uring");
	copy_frame(damaged_find(&record, RECORD_RING, 1));
	file_is_refused("is damaged");
}

/* --- by chance ------------------------------------------------------------ */

enum { ROUNDS = 1500 };

/* Records with one to four changes, the same ones in each run. */
static void change_by_chance(const char *engine, uint64_t seed)
{
	struct damaged whole;
	unsigned round, refused = 0;
	uint64_t chance = seed;

	record_on(engine);
	whole = record;
	record = (struct damaged){ 0 };
	for (round = 0; round < SCALED(ROUNDS); round++) {
		unsigned changes = 1 + (unsigned)(proof_random(&chance) % 4);

		record.data = malloc(whole.room);
		ck_assert_ptr_nonnull(record.data);
		memcpy(record.data, whole.data, whole.len);
		record.len = whole.len;
		record.room = whole.room;
		while (changes--)
			damaged_change(&record, &chance);
		refused += replay() < 0;
		damaged_free(&record);
	}
	damaged_free(&whole);
	ck_assert_uint_gt(refused, round / 2);
	ck_assert_uint_lt(refused, round);
}

BARE_TEST(records_of_uring_changed_by_chance_do_no_harm)
{
	change_by_chance("uring", 1);
}

BARE_TEST(records_of_epoll_changed_by_chance_do_no_harm)
{
	change_by_chance("epoll", 2);
}

SUITE("replay")
