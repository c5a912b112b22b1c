/* SPDX-License-Identifier: MIT */
/* The epoll engine where io_uring must not even be asked: a filter that kills
 * the process at the first io_uring system call. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "test/harness.h"

static int kill_at_io_uring(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYS_io_uring_setup, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SYS_io_uring_register, 1,
			 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 5, filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void open_epoll(void)
{
	struct peal_ring_options options = harness_options();

	options.engine = "epoll";
	ring = open_ring(&options);
	ck_assert_str_eq(peal_ring_engine(ring), "epoll");
}

BARE_TEST(epoll_engine_makes_no_io_uring_call)
{
	int fds[2], file = make_file("f", "data", 4);
	char buf[8];
	peal_op op;

	if (kill_at_io_uring() != 0)
		SKIP("no seccomp filter here: %s", strerror(errno));
	open_epoll();
	make_socketpair(SOCK_STREAM, fds);
	ck_result(finish(peal_nop(ring, 0, on_done, NULL)), 0);
	ck_result(finish(peal_read(ring, file, buf, 8, 0, 0, on_done, NULL)),
		  4);
	ck_result(finish(peal_datasync(ring, file, 0, on_done, NULL)), 0);
	op = peal_recv(ring, fds[0], buf, 8, 0, 0, on_done, NULL);
	ck_result(finish(peal_send(ring, fds[1], "hello", 5, 0, 0, on_done,
				   NULL)), 5);
	ck_result(finish(op), 5);
	ck_result(finish(peal_sleep(ring, PEAL_MS, 0, on_done, NULL)), 0);
	close_ring(ring);
	ring = NULL;
}

static void open_uring(void *arg)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;
	struct peal_ring *own;

	(void)arg;
	if (kill_at_io_uring() != 0)
		_exit(77);
	options.engine = "uring";
	peal_ring_open(&own, &options);
	_exit(0);
}

BARE_TEST(the_filter_of_this_test_kills)
{
	char text[256];
	int status = in_child(open_uring, NULL, text, sizeof(text));

	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		SKIP("no seccomp filter here");
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGSYS);
}

SUITE("epoll")
