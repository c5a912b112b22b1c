/* SPDX-License-Identifier: MIT */
/*
 * Tests that are recorded and replayed: PEAL_TEST_RECORD=DIR records each
 * test's rings in DIR, PEAL_TEST_REPLAY=DIR runs it again from there. A test
 * that takes what ops do for real cannot be replayed: the list says why.
 */
#define SIM_CALLS_REAL
#include <limits.h>

#include "test/harness.h"

#define LOOKS	"it looks by plain calls at what ops did"
#define WAITS	"its plain calls wait for what ops did"
#define PORT	"its plain calls are given another port each time"
#define NUMBERS	"its plain calls close what ops opened, for others to get"
#define CLOCK	"it compares the ring's time with the clock"
#define READABLE "the descriptor of a replay is always readable"
#define REUSE	"it wants a number again that only a real close sets free"
#define PASSED	"the descriptors that messages pass are the real kernel's"
#define WORKERS	"it counts what the real kernel's workers were given"
#define RAW	"it registers buffers with the real io_uring, by itself"
#define PIPE	"a raw pipe's descriptors are not in the record (peal/sim.h)"
#define COUNTS	"it makes the engine's own allocations fail"

static const struct {
	const char *suite, *test, *why;
} cannot[] = {
	{ "close", "close_drained_of_an_idle_fd_closes_it", LOOKS },
	{ "close",
	  "close_drained_cancels_what_is_in_flight_and_closes_after_it", LOOKS },
	{ "close", "fd_number_can_be_used_again_after_close_drained", REUSE },
	{ "close", "port_can_be_bound_again_right_after_close_drained", PORT },
	{ "close", "close_drained_needs_no_handler", LOOKS },
	{ "close",
	  "close_drained_of_either_end_of_a_splice_waits_for_it", LOOKS },
	{ "close", "close_drained_of_both_ends_of_a_splice_at_once", LOOKS },
	{ "close", "ring_close_lets_a_waiting_close_drained_close", LOOKS },
	{ "control", "descriptors_pass_over_a_stream", PASSED },
	{ "control", "descriptors_pass_with_a_datagram", PASSED },
	{ "control", "descriptors_pass_with_a_packet", PASSED },
	{ "control", "receive_that_takes_no_descriptors_closes_them", PASSED },
	{ "control", "closing_a_receiver_closes_what_is_on_its_way", PASSED },
	{ "control", "peek_brings_descriptors_of_its_own", PASSED },
	{ "direct", "no_table_is_no_error", LOOKS },
	{ "direct", "socket_in_the_table_connects_sends_and_receives", PORT },
	{ "direct", "accept_into_the_table", WAITS },
	{ "direct", "accept_multishot_fills_the_table", WAITS },
	{ "direct", "server_with_its_listener_in_the_table", LOOKS },
	{ "direct", "drained_close_of_a_slot_waits_and_refuses", WAITS },
	{ "direct", "ring_closes_what_is_left_in_the_table", WAITS },
	{ "direct",
	  "installed_descriptor_is_an_ordinary_one_of_the_same_file", LOOKS },
	{ "embed", "ring_in_a_poll_loop_is_quiet_after_a_post", READABLE },
	{ "embed",
	  "ring_in_an_epoll_loop_becomes_quiet_when_all_is_done", READABLE },
	{ "file", "file_position_moves_only_with_peal_current", LOOKS },
	{ "file", "write_stores_what_it_was_given", LOOKS },
	{ "file", "write_inside_a_file_leaves_the_rest", LOOKS },
	{ "file", "write_past_the_end_leaves_zeroes_between", LOOKS },
	{ "file", "write_beyond_four_gib_lands_there", LOOKS },
	{ "file", "writev_stores_its_pieces_in_order", LOOKS },
	{ "group",
	  "receive_that_waits_for_a_buffer_never_meets_the_next_file", REUSE },
	{ "group",
	  "recvmsg_multishot_tells_datagrams_and_their_senders", PORT },
	{ "memory",
	  "direct_file_is_written_from_registered_memory_by_itself", LOOKS },
	{ "memory",
	  "number_of_a_closed_direct_file_is_looked_at_again", REUSE },
	{ "net", "socket_gives_a_close_on_exec_fd", LOOKS },
	{ "net", "bind_and_listen_make_a_server", LOOKS },
	{ "net", "bind_of_a_taken_port_is_eaddrinuse", PORT },
	{ "net", "accept_meets_connect_on_ipv4", PORT },
	{ "net", "accept_meets_connect_on_ipv6", PORT },
	{ "net", "connect_to_nobody_is_econnrefused", PORT },
	{ "net",
	  "connect_to_nobody_is_econnrefused_on_a_nonblocking_socket_too", PORT },
	{ "net",
	  "connect_of_a_nonblocking_socket_finishes_when_connected", PORT },
	{ "net", "connect_twice_is_eisconn", PORT },
	{ "net", "accept_multishot_gives_close_on_exec_fds", LOOKS },
	{ "path", "open_gives_a_readable_fd", LOOKS },
	{ "path", "open_is_always_close_on_exec", LOOKS },
	{ "path", "open_creates_with_the_mode_less_the_umask", LOOKS },
	{ "path", "open_truncates_when_asked", LOOKS },
	{ "path", "stat_says_what_stat_says", LOOKS },
	{ "path", "rename_moves_the_name", LOOKS },
	{ "path", "rename_replaces_an_existing_file", LOOKS },
	{ "path", "rename_exchange_swaps_two_names", LOOKS },
	{ "path", "link_gives_a_file_a_second_name", LOOKS },
	{ "path", "symlink_stores_its_target", LOOKS },
	{ "path", "unlink_removes_the_name", LOOKS },
	{ "path", "unlink_of_a_directory_wants_the_flag", LOOKS },
	{ "path", "mkdir_makes_a_directory_with_its_mode", LOOKS },
	{ "pool", "read_dir_tells_name_type_and_inode", LOOKS },
	{ "pool", "copy_range_copies_at_its_offsets", LOOKS },
	{ "pool", "deadline_of_a_call_that_waits_for_a_thread_ends_it", WAITS },
	{ "random", "random_programs_lose_no_completion", NUMBERS },
	{ "random",
	  "random_programs_lose_no_completion_on_tiny_queues", NUMBERS },
	{ "random",
	  "random_programs_lose_no_completion_at_the_limit_of_ops", NUMBERS },
	{ "ring", "open_survives_the_failure_of_each_allocation", COUNTS },
	{ "ring",
	  "open_survives_the_failure_of_each_allocation_and_all_after_it", COUNTS },
	{ "same",
	  "receive_does_not_wait_for_a_message_of_the_error_queue", PORT },
	{ "space", "close_has_closed_the_fd_when_the_handler_runs", LOOKS },
	{ "space", "allocate_grows_the_file_with_zeroes", LOOKS },
	{ "space",
	  "allocate_with_keep_size_reserves_and_does_not_grow", LOOKS },
	{ "space", "zero_range_makes_zeroes", LOOKS },
	{ "space", "zero_range_with_keep_size_does_not_grow_the_file", LOOKS },
	{ "space", "truncate_cuts_and_grows", LOOKS },
	{ "space", "splice_moves_a_file_into_a_pipe", WAITS },
	{ "space", "splice_moves_a_pipe_into_a_file", LOOKS },
	{ "stream", "write_full_at_an_offset_lands_there", LOOKS },
	{ "time", "sleep_finishes_with_zero_and_not_early", CLOCK },
	{ "time", "sleep_again_makes_it_longer", CLOCK },
	{ "time", "now_is_on_the_monotonic_clock", CLOCK },
	{ "transfer",
	  "send_full_names_the_first_byte_that_was_not_sent", WAITS },
	{ "transfer", "udp_datagrams_go_to_the_connected_peer", LOOKS },
	{ "transfer", "sendmsg_and_recvmsg_carry_addresses_over_udp", PORT },
	{ "transfer", "datagram_that_is_too_long_is_emsgsize", PORT },
	{ "transfer", "sendmsg_passes_an_fd", PASSED },
	{ "embed",
	  "raw_entry_reaches_an_opcode_the_header_does_not_know", PIPE },
	{ "embed", "raw_ring_can_register_buffers", RAW },
	{ "file", "direct_read_at_an_odd_offset_is_einval", LOOKS },
	{ "punts", "workers_are_given_each_sync_and_no_nop", WORKERS },
	{ "punts", "op_that_asks_for_a_worker_is_counted", WORKERS },
	{ "punts", "read_of_the_page_cache_goes_to_no_worker", WORKERS },
	{ "zc", "zero_copy_send_brings_what_was_sent", WAITS },
	{ "zc", "least_length_is_an_option", WAITS },
	{ "zc", "copies_in_a_row_make_it_a_plain_send", WAITS },
	{ "zc", "unix_socket_is_sent_to_all_the_same", WAITS },
	{ "zc", "zero_copy_message_with_two_parts", WAITS },
	{ "zc", "zero_copy_message_over_unix", WAITS },
	{ "zc", "many_zero_copy_sends_end_once_each", WAITS },
	{ "zc", "drained_close_after_a_zero_copy_send", WAITS },
	{ "zc", "zero_copy_send_from_an_arena_is_registered", WAITS },
	{ "zc", "zero_copy_send_from_an_arena_of_plain_ops_is_not", WAITS },
	{ "group", "pieces_of_many_sockets_are_not_mixed_up", WAITS },
	{ "group", "bundles_of_pieces_are_not_mixed_up", WAITS },
	{ "fifo", "open_of_one_end_alone_goes_on_waiting", WAITS },
	{ "fifo", "what_one_reader_leaves_is_the_next_ones", LOOKS },
};

static char record_name[PATH_MAX];
static const char *tests[HARNESS_TESTS];	/* in their order */
static unsigned current, count;

int harness_replays(void)
{
	return getenv("PEAL_TEST_REPLAY") != NULL;
}

int harness_records(void)
{
	return getenv("PEAL_TEST_RECORD") || harness_replays();
}

static const char *program(void)
{
	return strrchr(harness_program, '/') + 1;
}

/* A suite may have several programs: conform_SUITE, conform_SUITE_more. */
static int is_of(const char *suite)
{
	return !strncmp(program() + strlen("conform_"), suite, strlen(suite));
}

/* The directory has the same name both times: a path is what ops are given. */
void harness_record_begin(void)
{
	const char *in = getenv("PEAL_TEST_RECORD");

	if (!harness_records())
		return;
	if (harness_replays())
		in = getenv("PEAL_TEST_REPLAY");
	harness_path(record_name, "%s/%s.%s", in, program(),
		     tests[current - 1]);
	harness_path(harness_dir, "%s.dir", record_name);
	harness_remove_tree(harness_dir);
	if (!harness_replays()) {
		setenv("PEAL_RECORD", record_name, 1);
		return;
	}
	setenv("PEAL_REPLAY", record_name, 1);
	setenv("PEAL_ENGINE", "replay", 1);
}

/* Each of the test's rings has been closed. */
void harness_record_end(void)
{
	char name[PATH_MAX], text[512];
	unsigned n;
	FILE *in;

	for (n = 1; harness_replays(); n++) {
		harness_path(name, n > 1 ? "%s.%u.report" : "%s.report",
			     record_name, n);
		in = fopen(name, "re");
		if (!in)
			return;
		text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
		fclose(in);
		ck_assert_msg(!strncmp(text, "the same", 8), "ring %u: %s", n,
			      text);
	}
}

/* In the parent, before each case: libcheck does not say which it is. */
static void next_test(void)
{
	current++;
}

void harness_record_add(TCase *tcase, const char *test)
{
	if (!harness_records())
		return;
	tcase_add_unchecked_fixture(tcase, next_test, NULL);
	tests[count++] = test;
}

static void nothing(int loop)
{
	(void)loop;
}

int harness_record_skips(Suite *suite, const char *test)
{
	static const TTest skipped = { "skipped", nothing, __FILE__,
				       __LINE__ };
	TCase *tcase;
	size_t at;

	for (at = 0; at < sizeof(cannot) / sizeof(cannot[0]); at++)
		if (harness_replays() && !strcmp(cannot[at].test, test) &&
		    is_of(cannot[at].suite))
			break;
	if (at == sizeof(cannot) / sizeof(cannot[0]))
		return 0;
	harness_skip(test, "%s", cannot[at].why);
	tcase = tcase_create("skipped");
	tcase_add_test(tcase, &skipped);
	suite_add_tcase(suite, tcase);
	return 1;
}
