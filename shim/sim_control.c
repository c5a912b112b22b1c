/* SPDX-License-Identifier: MIT */
/*
 * What simulated messages carry beside their data: descriptors (SCM_RIGHTS,
 * unix sockets), and what the receiver asked to be told of datagrams.
 *
 *   sendmsg --> sock->giving --> with the first byte, or the message
 *           --> sock->taken --> recvmsg: numbers of the receiver
 *                           --> any other read: closed
 *
 * Descriptors on their way hold their files. Sockets that are on their way to
 * themselves stay until the crash or the end of the world: nobody looks for
 * such circles here.
 */
#include <stdlib.h>
#include <string.h>
#include "shim/sim_net.h"

#define MOST_RIGHTS	253u	/* of one message, as Linux has it */
#define HOPS		64	/* IP_TTL: nobody is far away */

/* --- descriptors on their way -------------------------------------------- */

static struct sim_rights *rights_new(uint32_t count)
{
	struct sim_rights *rights =
		calloc(1, sizeof *rights + count * sizeof(*rights->files));

	if (rights)
		rights->count = count;
	return rights;
}

/* A file that goes may be a socket that has others on their way to it: they go
 * after it, not inside. */
void peal__sim_rights_drain(struct peal_sim *world)
{
	struct sim_rights *rights;
	uint32_t i;

	world->dropping = 1;
	while ((rights = world->dropped) != NULL) {
		world->dropped = rights->next;
		for (i = 0; i < rights->count; i++)
			if (rights->files[i])
				peal__sim_file_drop(rights->files[i]);
		free(rights);
	}
	world->dropping = 0;
}

void peal__sim_rights_drop(struct peal_sim *world, struct sim_rights *rights)
{
	if (!rights)
		return;
	rights->next = world->dropped;
	world->dropped = rights;
	if (!world->dropping)
		peal__sim_rights_drain(world);
}

void peal__sim_rights_forget(struct sim_sock *sock)
{
	struct sim_rights *rights;

	while ((rights = sock->rights) != NULL) {
		sock->rights = rights->next;
		peal__sim_rights_drop(sock->node->world, rights);
	}
	sock->last_rights = NULL;
}

/* They go with the bytes that have just arrived, len of them. */
void peal__sim_rights_queue(struct sim_sock *sock, struct sim_rights *rights,
			    uint32_t len)
{
	rights->end = sock->rx_read + sock->rx_len;
	rights->at = rights->end - len;
	rights->next = NULL;
	*(sock->last_rights ? &sock->last_rights->next : &sock->rights) =
		rights;
	sock->last_rights = rights;
}

/* NULL: no memory, and nobody hears of them. */
struct sim_rights *peal__sim_rights_copy(const struct sim_rights *rights)
{
	struct sim_rights *copy = rights_new(rights->count);
	uint32_t i;

	for (i = 0; copy && i < rights->count; i++) {
		copy->files[i] = rights->files[i];
		peal__sim_file_hold(copy->files[i]);
	}
	return copy;
}

/* len bytes were read, or seen: what came with them is taken. */
void peal__sim_rights_pass(struct sim_sock *sock, uint32_t len, int peek)
{
	struct sim_rights *rights = sock->rights;

	if (!rights || rights->at >= sock->rx_read + len)
		return;
	if (peek) {
		sock->taken = peal__sim_rights_copy(rights);
		return;
	}
	sock->rights = rights->next;
	if (!sock->rights)
		sock->last_rights = NULL;
	sock->taken = rights;
}

/* --- sending ------------------------------------------------------------- */

static int count_rights(const struct msghdr *msg, uint32_t *out_count)
{
	struct msghdr copy = *msg;	/* glibc's macros want one to change */
	struct cmsghdr *header;
	size_t len;

	*out_count = 0;
	for (header = CMSG_FIRSTHDR(&copy); header;
	     header = CMSG_NXTHDR(&copy, header)) {
		size_t at = (size_t)((char *)header -
				     (char *)copy.msg_control);

		if (header->cmsg_len < CMSG_LEN(0) ||
		    header->cmsg_len > copy.msg_controllen - at)
			return -EINVAL;
		if (header->cmsg_level != SOL_SOCKET)
			continue;
		if (header->cmsg_type == SCM_CREDENTIALS)
			continue;	/* nobody asks for it: SO_PASSCRED */
		len = header->cmsg_len - CMSG_LEN(0);
		if (header->cmsg_type != SCM_RIGHTS)
			return -EINVAL;
		*out_count += (uint32_t)(len / sizeof(int));
	}
	return *out_count > MOST_RIGHTS ? -EINVAL : 0;
}

static int hold_rights(struct peal_sim_node *node, const struct msghdr *msg,
		       struct sim_rights *rights)
{
	struct msghdr copy = *msg;
	struct cmsghdr *header;
	uint32_t at = 0, i;

	for (header = CMSG_FIRSTHDR(&copy); header;
	     header = CMSG_NXTHDR(&copy, header)) {
		size_t len = header->cmsg_len - CMSG_LEN(0);

		if (header->cmsg_level != SOL_SOCKET ||
		    header->cmsg_type != SCM_RIGHTS)
			continue;
		for (i = 0; i < len / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + i * sizeof(fd),
			       sizeof(fd));
			rights->files[at] = peal__sim_file_get(node, fd);
			if (!rights->files[at])
				return -EBADF;
			peal__sim_file_hold(rights->files[at++]);
		}
	}
	return 0;
}

int peal__sim_control_read(struct sim_sock *sock, const struct msghdr *msg)
{
	struct sim_rights *rights;
	uint32_t count;
	int rc;

	if (!msg->msg_controllen || sock->family != AF_UNIX)
		return 0;
	if (sim_unmapped((uintptr_t)msg->msg_control))
		return -EFAULT;
	rc = count_rights(msg, &count);
	if (rc < 0 || !count)
		return rc;
	rights = rights_new(count);
	if (!rights)
		return -ENOMEM;
	rc = hold_rights(sock->node, msg, rights);
	if (rc < 0)
		peal__sim_rights_drop(sock->node->world, rights);
	else
		sock->giving = rights;
	return rc;
}

/* --- receiving ----------------------------------------------------------- */

struct control {
	uint8_t *at;
	size_t room;
	int cut;
};

/* As much of it as there is room for. */
static void put(struct control *out, int level, int type, const void *data,
		size_t len)
{
	struct cmsghdr header = { .cmsg_level = level, .cmsg_type = type,
				  .cmsg_len = CMSG_LEN(len) };
	size_t used = CMSG_SPACE(len);

	if (out->room < CMSG_LEN(0)) {
		out->cut = 1;
		return;
	}
	if (header.cmsg_len > out->room) {
		header.cmsg_len = out->room;
		out->cut = 1;
	}
	memcpy(out->at, &header, sizeof(header));
	memcpy(out->at + CMSG_LEN(0), data, header.cmsg_len - CMSG_LEN(0));
	used = used < out->room ? used : out->room;
	out->at += used;
	out->room -= used;
}

/* Those that there is room for become numbers, in order. */
static void put_rights(struct peal_sim_node *node, struct control *out,
		       struct sim_rights *rights)
{
	int fds[MOST_RIGHTS];
	size_t most = out->room > CMSG_LEN(0)
			      ? (out->room - CMSG_LEN(0)) / sizeof(int) : 0;
	uint32_t i;

	for (i = 0; i < rights->count && i < most; i++) {
		struct sim_file *file = rights->files[i];

		rights->files[i] = NULL;
		fds[i] = peal__sim_fd_new(node, file);
		if (fds[i] < 0)
			break;
	}
	if (i)
		put(out, SOL_SOCKET, SCM_RIGHTS, fds, i * sizeof(int));
	if (i < rights->count)
		out->cut = 1;
}

static void put_target(struct control *out, const struct sim_packet *packet)
{
	const struct sim_addr *to = &packet->target;
	unsigned interface = packet->from_node == packet->to_node ? 1 : 2;

	if (to->u.any.sa_family == AF_INET) {
		struct in_pktinfo info = { .ipi_ifindex = (int)interface,
					   .ipi_spec_dst = to->u.in.sin_addr,
					   .ipi_addr = to->u.in.sin_addr };

		put(out, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	} else {
		struct in6_pktinfo info = { .ipi6_ifindex = interface,
					    .ipi6_addr = to->u.in6.sin6_addr };

		put(out, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
}

static void put_hops(struct control *out, const struct sim_packet *packet)
{
	int hops = HOPS;

	if (packet->target.u.any.sa_family == AF_INET)
		put(out, IPPROTO_IP, IP_TTL, &hops, sizeof(hops));
	else
		put(out, IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof(hops));
}

void peal__sim_control_write(struct sim_sock *sock,
			     const struct sim_packet *packet,
			     struct msghdr *msg)
{
	struct control out = { .at = msg->msg_control };

	if (msg->msg_control)
		out.room = msg->msg_controllen;
	if (packet && sock->ancillary & PEAL_SIM_PKTINFO)
		put_target(&out, packet);
	if (packet && sock->ancillary & PEAL_SIM_TTL)
		put_hops(&out, packet);
	if (sock->taken)
		put_rights(sock->node, &out, sock->taken);
	msg->msg_controllen =
		out.at ? (size_t)(out.at - (uint8_t *)msg->msg_control) : 0;
	if (out.cut)
		msg->msg_flags |= MSG_CTRUNC;
}

/* What is left of an op's control data. */
void peal__sim_control_end(struct sim_sock *sock)
{
	struct sim_rights *giving = sock->giving, *taken = sock->taken;

	sock->giving = sock->taken = NULL;
	peal__sim_rights_drop(sock->node->world, giving);
	peal__sim_rights_drop(sock->node->world, taken);
}
