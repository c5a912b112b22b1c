/* SPDX-License-Identifier: MIT */
/*
 * The tests that Windows, or Wine 8, cannot pass, each with the reason. Not the
 * engine's bugs: those are to be fixed. Tests that find out for themselves are
 * not here: see posix.h. A name that is no test fails the run.
 */
#include <stddef.h>
#include <string.h>

#include "test/windows/cannot.h"

#define NO_FORK		"Windows has no fork"
#define NO_SPLICE	"Windows has no splice"
#define NO_MODES	"Windows has no permission bits"
#define NO_UNIX		"no unix-domain sockets here"
#define NO_EPIPE	"what is first sent to a TCP peer that has gone is taken"
#define NO_POLL		"nobody tells when a pipe has room"
#define NO_LINKS	"no symbolic links here"

static const struct {
	const char *suite, *test, *why;
} cannot[] = {
	{ "fork", NULL, NO_FORK },
	{ "memory", "forked_child_does_not_have_the_arena", NO_FORK },

	{ "space", "splice_moves_a_file_into_a_pipe", NO_SPLICE },
	{ "space", "splice_moves_a_pipe_into_a_file", NO_SPLICE },
	{ "space", "splice_without_a_pipe_is_einval", NO_SPLICE },
	{ "space", "splice_from_a_closed_fd_is_ebadf", NO_SPLICE },
	{ "close", "close_drained_of_either_end_of_a_splice_waits_for_it",
	  NO_SPLICE },
	{ "close", "close_drained_of_both_ends_of_a_splice_at_once",
	  NO_SPLICE },
	{ "cancel", "cancel_fd_finds_a_splice_by_either_end", NO_SPLICE },
	{ "same", "splice_goes_on_after_its_descriptor_was_closed", NO_SPLICE },
	{ "same", "splice_that_cannot_work_says_so_at_once", NO_SPLICE },

	{ "path", "open_creates_with_the_mode_less_the_umask", NO_MODES },
	{ "path", "mkdir_makes_a_directory_with_its_mode", NO_MODES },
	{ "path", "open_of_an_unmapped_path_is_efault",
	  "a bad address stops the program" },
	{ "path", "rename_replaces_an_existing_file",
	  "Wine cannot replace a file that is open" },
	{ "path", "rename_exchange_swaps_two_names",
	  "Windows cannot exchange two names" },
	{ "path", "symlink_stores_its_target", NO_LINKS },

	{ "net", "connect_over_a_unix_path", NO_UNIX },
	{ "transfer", "send_to_a_closed_peer_is_epipe_and_no_signal",
	  NO_EPIPE },
	{ "transfer", "write_to_a_closed_peer_is_epipe_and_no_signal",
	  NO_EPIPE },
	{ "transfer", "writev_to_a_closed_peer_is_epipe_and_no_signal",
	  NO_EPIPE },
	{ "transfer", "sendmsg_to_a_closed_peer_is_epipe_and_no_signal",
	  NO_EPIPE },
	{ "transfer", "recv_of_a_reset_connection_is_econnreset",
	  "Wine forgets a reset that came before the receive" },
	{ "group_many",
	  "recv_multishot_of_a_broken_connection_ends_with_its_error",
	  "Wine forgets a reset that came before the receive" },
	{ "group_message", "recvmsg_multishot_brings_control_data",
	  "no control data of sockets here" },
	{ "direct", "files_in_the_table_have_vectors_and_space",
	  "Wine reserves no room" },
	{ "direct", "splice_goes_from_and_to_the_table", NO_SPLICE },
	{ "transfer", "sendmsg_passes_an_fd",
	  "Windows passes no descriptors over sockets" },
	{ "fifo", NULL, "Windows has no FIFOs and no such devices" },
	{ "control", NULL, "Windows passes no descriptors over sockets" },
	{ "same", "receive_does_not_wait_for_a_message_of_the_error_queue",
	  "Windows has no error queue" },

	{ "poll", "poll_waits_until_writable", NO_POLL },
};

const char *harness_cannot_unknown(const char *suite,
				   int (*is_test)(const char *name))
{
	size_t at;

	for (at = 0; at < sizeof(cannot) / sizeof(cannot[0]); at++)
		if (strcmp(cannot[at].suite, suite) == 0 && cannot[at].test &&
		    !is_test(cannot[at].test))
			return cannot[at].test;
	return NULL;
}

const char *harness_cannot_run(const char *suite, const char *test)
{
	size_t at;

	for (at = 0; at < sizeof(cannot) / sizeof(cannot[0]); at++)
		if (strcmp(cannot[at].suite, suite) == 0 &&
		    (!cannot[at].test || strcmp(cannot[at].test, test) == 0))
			return cannot[at].why;
	return NULL;
}
