/* SPDX-License-Identifier: MIT */
/* Control data of simulated messages: what conform_control.c cannot see. */
#include <sys/resource.h>
#include "test/sim_scene.h"

struct letter {
	struct msghdr msg;
	struct iovec iov;
	char data[64];
	union {
		char bytes[512];
		struct cmsghdr align;
	} control;
};

static void make_letter(struct letter *letter, size_t room)
{
	memset(letter, 0, sizeof(*letter));
	letter->iov = (struct iovec){ letter->data, sizeof(letter->data) };
	letter->msg.msg_iov = &letter->iov;
	letter->msg.msg_iovlen = 1;
	letter->msg.msg_control = &letter->control;
	letter->msg.msg_controllen = room;
}

static int64_t give(int to, const int *fds, uint32_t count)
{
	struct letter letter;
	struct cmsghdr *header;

	make_letter(&letter, CMSG_SPACE(count * sizeof(int)));
	header = CMSG_FIRSTHDR(&letter.msg);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	return finish(peal_sendmsg(ring, to, &letter.msg, 0, 0, on_done,
				   NULL));
}

static void make_pair(int type, int fds[2])
{
	ck_result(peal_sim_socketpair(node, type, fds), 0);
}

BARE_TEST(descriptor_that_finds_no_number_is_cut_off)
{
	struct letter letter;
	int fds[2], files[2];

	begin(1);
	make_pair(SOCK_STREAM, fds);
	files[0] = open_file("/f", O_RDWR | O_CREAT);
	files[1] = open_file("/f", O_RDWR);
	ck_result(give(fds[0], files, 2), 64);
	peal_sim_fd_limit(node, 5);
	make_letter(&letter, sizeof(letter.control));
	ck_result(finish(peal_recvmsg(ring, fds[1], &letter.msg, 0, 0, on_done,
				      NULL)), 64);
	ck_assert(letter.msg.msg_flags & MSG_CTRUNC);
	ck_assert_uint_eq(CMSG_FIRSTHDR(&letter.msg)->cmsg_len,
			  CMSG_LEN(sizeof(int)));
	ck_assert_uint_eq(peal_sim_fds(node), 5);
	end();
}

BARE_TEST(more_descriptors_than_one_message_takes_are_einval)
{
	static union {
		char bytes[CMSG_SPACE(254 * sizeof(int))];
		struct cmsghdr header;
	} many;
	struct cmsghdr *header = &many.header;
	struct letter letter;
	int fds[2], i;

	begin(1);
	make_pair(SOCK_STREAM, fds);
	for (i = 0; i < 254; i++)
		memcpy(CMSG_DATA(header) + (size_t)i * sizeof(int), fds,
		       sizeof(int));
	make_letter(&letter, sizeof(many));
	letter.msg.msg_control = &many;
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(254 * sizeof(int));
	ck_result(finish(peal_sendmsg(ring, fds[0], &letter.msg, 0, 0, on_done,
				      NULL)), -EINVAL);
	end();
}

/* Of a slot only its own ring knows. */
BARE_TEST(slot_cannot_be_given_away)
{
	int fds[2], slot;

	begin(1);
	make_pair(SOCK_STREAM, fds);
	slot = (int)finish(peal_open(ring, PEAL_CWD, "/f", O_RDWR | O_CREAT,
				     0644, PEAL_DIRECT, on_done, NULL));
	ck_result(give(fds[0], &slot, 1), -EBADF);
	end();
}

/* The sanitizer tells what is left of them. */
BARE_TEST(socket_on_its_way_to_itself_goes_with_the_world)
{
	int fds[2];

	begin(1);
	make_pair(SOCK_DGRAM, fds);
	ck_result(give(fds[0], &fds[1], 1), 64);
	peal_sim_close_fd(node, fds[0]);
	peal_sim_close_fd(node, fds[1]);
	end();
}

/* Each in the queue of the next; the last close frees all of them. */
BARE_TEST(chain_of_sockets_on_their_way_is_freed_in_a_row)
{
	const struct rlimit stack = { 1 << 20, RLIM_INFINITY };
	int fds[2], pipe_fds[2], held, i;
	char byte;

	begin(1);
	ck_result(peal_sim_pipe(node, pipe_fds), 0);
	held = pipe_fds[1];
	for (i = 0; i < 100000; i++) {
		make_pair(SOCK_STREAM, fds);
		ck_result(give(fds[0], &held, 1), 64);
		forget_outcomes();
		peal_sim_close_fd(node, held);
		peal_sim_close_fd(node, fds[0]);
		held = fds[1];
	}
	ck_assert_uint_eq(peal_sim_fds(node), 2);
	setrlimit(RLIMIT_STACK, &stack);
	peal_sim_close_fd(node, held);
	ck_result(finish(peal_read(ring, pipe_fds[0], &byte, 1, PEAL_CURRENT,
				   0, on_done, NULL)), 0);
	end();
}

/* --- what is told of datagrams ------------------------------------------- */

static int udp_socket(struct sockaddr_in *addr)
{
	socklen_t len = sizeof(*addr);
	int fd = (int)finish(peal_socket(ring, AF_INET, SOCK_DGRAM, 0, 0,
					 on_done, NULL));

	ck_ok(fd);
	loopback(addr, 0);
	ck_result(finish(peal_bind(ring, fd, (void *)addr, len, 0, on_done,
				   NULL)), 0);
	ck_result(peal_sim_name(node, fd, 0, (void *)addr, &len), 0);
	return fd;
}

BARE_TEST(datagram_tells_where_it_went_and_how_far)
{
	struct sockaddr_in addr;
	struct in_pktinfo info;
	struct cmsghdr *header;
	struct letter letter;
	int fd, hops;

	begin(1);
	fd = udp_socket(&addr);
	ck_result(peal_sim_ancillary(node, fd, 4), -EINVAL);
	ck_result(peal_sim_ancillary(node, fd, PEAL_SIM_TTL |
				     PEAL_SIM_PKTINFO), 0);
	make_letter(&letter, 0);
	letter.iov.iov_len = 3;
	letter.msg.msg_name = &addr;
	letter.msg.msg_namelen = sizeof(addr);
	ck_result(finish(peal_sendmsg(ring, fd, &letter.msg, 0, 0, on_done,
				      NULL)), 3);
	make_letter(&letter, sizeof(letter.control));
	ck_result(finish(peal_recvmsg(ring, fd, &letter.msg, 0, 0, on_done,
				      NULL)), 3);
	header = CMSG_FIRSTHDR(&letter.msg);
	ck_assert_int_eq(header->cmsg_type, IP_PKTINFO);
	memcpy(&info, CMSG_DATA(header), sizeof(info));
	ck_assert_uint_eq(info.ipi_addr.s_addr, htonl(INADDR_LOOPBACK));
	header = CMSG_NXTHDR(&letter.msg, header);
	ck_assert_ptr_nonnull(header);
	ck_assert_int_eq(header->cmsg_type, IP_TTL);
	memcpy(&hops, CMSG_DATA(header), sizeof(hops));
	ck_assert_int_eq(hops, 64);
	end();
}

/* --- a crash ------------------------------------------------------------- */

/* Of lengths that have no sum in 32 or 64 bits nothing is copied. */
BARE_TEST(message_longer_than_memory_is_emsgsize)
{
	const size_t lengths[] = { (size_t)1 << 31, SIZE_MAX / 2 + 1 };
	struct iovec parts[2];
	struct letter letter;
	int fds[2];
	unsigned i;

	begin(1);
	make_pair(SOCK_SEQPACKET, fds);
	make_letter(&letter, 0);
	letter.msg.msg_iov = parts;
	letter.msg.msg_iovlen = 2;
	for (i = 0; i < 2; i++) {
		parts[0] = (struct iovec){ letter.data, lengths[i] };
		parts[1] = parts[0];
		ck_result(finish(peal_sendmsg(ring, fds[0], &letter.msg, 0, 0,
					      on_done, NULL)), -EMSGSIZE);
	}
	end();
}

/* A connection of another node that is on its way between two sockets. */
BARE_TEST(crash_tells_no_peer_of_a_socket_on_its_way)
{
	struct peal_ring *client;
	int fd, peer, fds[2];
	char byte;

	begin(1);
	client = ring_on(peal_sim_node(world, "b"));
	fd = connect_from(client, 0, &peer);
	make_pair(SOCK_STREAM, fds);
	ck_result(give(fds[0], &peer, 1), 64);
	ck_result(peal_sim_close_fd(node, peer), 0);
	crash();
	peal_sim_run(world, peal_sim_now(world) + 10 * PEAL_S);
	change_ring(client);
	ck_result(finish(peal_recv(client, fd, &byte, 1, MSG_DONTWAIT, 0,
				   on_done, NULL)), -EAGAIN);
	end();
}

SUITE("sim_control")
