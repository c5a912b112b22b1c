/* SPDX-License-Identifier: MIT */
/*
 * What an entry gets: the bytes that an op has written into the program's
 * memory, saved after the run and loaded in the replay by the same code.
 */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "lib/groups.h"
#include "lib/lend.h"
#include "peal/work.h"
#include "shim/record.h"

typedef void move(struct record_bytes *bytes, void *data, size_t len);

static void save(struct record_bytes *bytes, void *data, size_t len)
{
	peal__record_put(bytes, data, len);
}

static void move_vector(move *to, struct record_bytes *bytes,
			const struct iovec *iov, size_t count, uint64_t left)
{
	size_t i;

	for (i = 0; i < count && left; i++) {
		size_t len = left < iov[i].iov_len ? (size_t)left
						   : iov[i].iov_len;

		to(bytes, iov[i].iov_base, len);
		left -= len;
	}
}

/* The length comes first: loading, it says what follows. */
static void move_address(move *to, struct record_bytes *bytes, void *addr,
			 socklen_t *len, uint32_t room)
{
	to(bytes, len, sizeof *len);
	if (!bytes->broken && addr)
		to(bytes, addr, *len < room ? *len : room);
}

static void move_message(move *to, struct record_bytes *bytes,
			 const struct record_op *op, int64_t result)
{
	struct msghdr *msg = record_pointer(op->sqe.addr);
	size_t room = msg->msg_controllen;

	move_address(to, bytes, msg->msg_name, &msg->msg_namelen,
		     op->addr_room);
	to(bytes, &msg->msg_flags, sizeof msg->msg_flags);
	to(bytes, &msg->msg_controllen, sizeof msg->msg_controllen);
	if (bytes->broken || msg->msg_controllen > room) {
		msg->msg_controllen = room;
		bytes->broken = 1;
	} else if (msg->msg_control) {
		to(bytes, msg->msg_control, msg->msg_controllen);
	}
	move_vector(to, bytes, msg->msg_iov, (size_t)msg->msg_iovlen,
		    (uint64_t)result);
}

/* Buffers of a group, taken by the kernel: one, or a bundle in their order in
 * the ring of buffers. */
static void move_buffers(move *to, struct record_bytes *bytes,
			 struct peal_group *group, uint32_t id, uint64_t left)
{
	while (left && !bytes->broken) {
		uint64_t len = left < group->buf_size ? left
						      : group->buf_size;

		if (id >= group->count) {
			bytes->broken = 1;
			return;
		}
		peal__unpoison((uintptr_t)peal__group_buf(group, id),
			       group->buf_size);
		to(bytes, peal__group_buf(group, id), (size_t)len);
		left -= len;
		if (left)
			id = group->order[(group->places[id] + 1u) &
					  (group->entries - 1)];
	}
}

/* --- a list of addresses, which is the C library's ------------------------ */

struct found {
	int32_t flags, family, type, protocol;
	uint32_t addr_len, name_len;	/* 0: there is none */
};

static void save_list(struct record_bytes *bytes, const struct addrinfo *list)
{
	for (; list; list = list->ai_next) {
		const struct found found = {
			list->ai_flags,
			list->ai_family,
			list->ai_socktype,
			list->ai_protocol,
			list->ai_addr ? list->ai_addrlen : 0,
			list->ai_canonname
				? (uint32_t)strlen(list->ai_canonname) + 1 : 0
		};

		peal__record_put(bytes, &found, sizeof found);
		peal__record_put(bytes, list->ai_addr, found.addr_len);
		peal__record_put(bytes, list->ai_canonname, found.name_len);
	}
}

/* As glibc's freeaddrinfo(3) wants it: a block for each, with the address, and
 * one for the name. */
static struct addrinfo *load_one(struct record_bytes *bytes)
{
	struct addrinfo *one;
	struct found found;

	peal__record_get(bytes, &found, sizeof found);
	if (bytes->broken || bytes->len - bytes->at < found.addr_len ||
	    bytes->len - bytes->at - found.addr_len < found.name_len)
		return NULL;
	one = calloc(1, sizeof *one + found.addr_len);
	if (!one)
		return NULL;
	one->ai_flags = found.flags;
	one->ai_family = found.family;
	one->ai_socktype = found.type;
	one->ai_protocol = found.protocol;
	one->ai_addrlen = found.addr_len;
	if (found.addr_len)
		one->ai_addr = (struct sockaddr *)(one + 1);
	peal__record_get(bytes, one + 1, found.addr_len);
	if (found.name_len)
		one->ai_canonname = calloc(1, (size_t)found.name_len + 1);
	if (one->ai_canonname)
		peal__record_get(bytes, one->ai_canonname, found.name_len);
	else
		bytes->at += found.name_len;
	return one;
}

static void load_list(struct record_bytes *bytes, struct addrinfo **out)
{
	struct addrinfo *list = NULL, **end = &list;

	while (bytes->at < bytes->len && (*end = load_one(bytes)) != NULL)
		end = &(*end)->ai_next;
	if (bytes->at < bytes->len) {
		bytes->broken = 1;
		freeaddrinfo(list);
		return;
	}
	*out = list;
}

static void move_list(move *to, struct record_bytes *bytes,
		      struct addrinfo **list)
{
	if (to == save)
		save_list(bytes, *list);
	else
		load_list(bytes, list);
}

/* --- all ------------------------------------------------------------------ */

/* Two ops say more than fits, one of them when asked (MSG_TRUNC). */
static size_t at_most(int64_t result, uint64_t len)
{
	return (uint64_t)result < len ? (size_t)result : (size_t)len;
}

static void move_all(move *to, struct record_bytes *bytes,
		     const struct record_op *op, int64_t result)
{
	const struct peal__sqe *sqe = &op->sqe;
	void *addr = record_pointer(sqe->addr);

	switch (sqe->opcode) {
	case PEAL__OP_READ:
	case PEAL__OP_READ_FIXED:
	case PEAL__OP_RECV:
	case PEAL__OP_READ_DIR:
		to(bytes, addr, at_most(result, sqe->len));
		break;
	case PEAL__OP_READV:
	case PEAL__OP_READV_FIXED:
		move_vector(to, bytes, addr, sqe->len, (uint64_t)result);
		break;
	case PEAL__OP_RECVMSG:
		move_message(to, bytes, op, result);
		break;
	case PEAL__OP_ACCEPT:
		if (sqe->addr && sqe->off)
			move_address(to, bytes, addr,
				     record_pointer(sqe->off), op->addr_room);
		break;
	case PEAL__OP_STATX:
		to(bytes, record_pointer(sqe->off), sizeof(struct peal_stat));
		break;
	case PEAL__OP_STATFS:
		to(bytes, record_pointer(sqe->off),
		   sizeof(struct peal_statfs));
		break;
	case PEAL__OP_FILES_UPDATE:
		to(bytes, addr, sqe->len * sizeof(int32_t));
		break;
	case PEAL__OP_GETXATTR:
	case PEAL__OP_FGETXATTR:
		if (sqe->len)	/* else only the size is asked for */
			to(bytes, record_pointer(sqe->off),
			   at_most(result, sqe->len));
		break;
	case PEAL__OP_RESOLVE:
		move_list(to, bytes, record_pointer(sqe->addr3));
		break;
	default:
		break;
	}
}

static void move_done(move *to, struct peal_ring *ring,
		      struct record_bytes *bytes, const struct record_op *op,
		      const struct record_done *done)
{
	const struct peal__row *row =
		&ring->rows[done->user_data & PEAL__ROW_MASK];

	if (done->result < 0 || op->sqe.user_data != done->user_data ||
	    done->flags & PEAL__CQE_NOTIF || !peal__record_knows(op))
		return;
	if (op->sqe.flags & PEAL__SQE_BUFFER_SELECT) {
		if (done->flags & PEAL__CQE_BUFFER &&
		    (uint64_t)row->op == done->user_data &&
		    peal__row_has_group(row))
			move_buffers(to, bytes,
				     ring->groups[op->sqe.buf_index],
				     done->flags >> 16,
				     (uint64_t)done->result);
		return;
	}
	move_all(to, bytes, op, done->result);
}

void peal__record_save(struct peal_ring *ring, struct record_bytes *bytes,
		       const struct record_op *op,
		       const struct record_done *done)
{
	move_done(save, ring, bytes, op, done);
}

void peal__record_load(struct peal_ring *ring, struct record_bytes *bytes,
		       const struct record_op *op,
		       const struct record_done *done)
{
	move_done(peal__record_get, ring, bytes, op, done);
}

/* Of what only peal_uring_submit() starts, ops that write where this file does
 * not look, or bring descriptors in a way of their own. */
int peal__record_knows(const struct record_op *op)
{
	if (!op->raw)
		return 1;
	switch (op->sqe.opcode) {
	case PEAL__OP_URING_CMD:
	case PEAL__OP_READ_MULTISHOT:
	case PEAL__OP_WAITID:
	case PEAL__OP_RECV_ZC:
	case PEAL__OP_EPOLL_WAIT:
	case PEAL__OP_PIPE:
		return 0;
	case PEAL__OP_RECV:
	case PEAL__OP_RECVMSG:
	case PEAL__OP_READ:
	case PEAL__OP_READV:
		return !(op->sqe.flags & PEAL__SQE_BUFFER_SELECT);
	default:
		return 1;
	}
}
