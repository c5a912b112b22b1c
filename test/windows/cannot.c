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
#define NO_PART		"an overlapped write tells of no part, and a pipe's "	\
			"is all or nothing"
#define NO_POLL		"Windows polls no pipes, and sockets have no hang-up"
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
	{ "net", "listen_on_a_datagram_socket_is_eopnotsupp",
	  "Wine says EINVAL" },
	{ "transfer", "send_to_a_closed_peer_is_epipe_and_no_signal",
	  NO_EPIPE },
	{ "transfer", "write_to_a_closed_peer_is_epipe_and_no_signal",
	  NO_EPIPE },
	{ "transfer", "writev_to_a_closed_peer_is_epipe_and_no_signal",
	  NO_EPIPE },
	{ "transfer", "sendmsg_to_a_closed_peer_is_epipe_and_no_signal",
	  NO_EPIPE },
	{ "transfer", "sendmsg_passes_an_fd",
	  "Windows passes no descriptors over sockets" },
	{ "same", "receive_does_not_wait_for_a_message_of_the_error_queue",
	  "Windows has no error queue" },

	{ "transfer", "send_full_names_the_first_byte_that_was_not_sent",
	  NO_PART },
	{ "stream", "write_full_can_be_cancelled_and_names_how_far_it_came",
	  NO_PART },
	{ "deadline", "deadline_ends_a_send_that_nobody_reads", NO_PART },

	{ "poll", "poll_waits_until_writable", NO_POLL },
	{ "poll", "poll_reports_a_hang_up_unasked", NO_POLL },
	{ "poll", "poll_reports_an_error_unasked", NO_POLL },
	{ "poll", "poll_multishot_reports_a_hang_up_and_can_be_cancelled",
	  NO_POLL },
	{ "poll", "poll_reports_the_peers_half_close",
	  "Windows has no POLLRDHUP" },
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
