/* SPDX-License-Identifier: MIT */
/*
 * What an entry points to: a hash of what it gives, for the comparison; the
 * bytes that it gets, saved after the run and loaded in the replay.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "peal/work.h"
#include "shim/record.h"

#define HASH_START UINT64_C(0xcbf29ce484222325)

static void *pointer(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

static uint64_t hash(uint64_t sum, const void *data, size_t len)
{
	const unsigned char *byte = data;
	size_t i;

	for (i = 0; i < len; i++)
		sum = (sum ^ byte[i]) * UINT64_C(0x100000001b3);
	return sum;
}

uint32_t peal__record_check(const struct record_frame *frame,
			    const void *body)
{
	uint64_t sum = hash(HASH_START, &frame->kind, 2 * sizeof(uint32_t));

	sum = hash(sum, body, frame->len);
	return (uint32_t)(sum ^ sum >> 32);
}

void peal__record_put(struct record_bytes *bytes, const void *data, size_t len)
{
	size_t room = bytes->room ? bytes->room : 4096;
	char *more;

	while (room < bytes->len + len)
		room *= 2;
	if (room > bytes->room) {
		more = realloc(bytes->data, room);
		if (!more) {
			bytes->broken = 1;
			return;
		}
		bytes->data = more;
		bytes->room = room;
	}
	if (len)
		memcpy(bytes->data + bytes->len, data, len);
	bytes->len += len;
}

void peal__record_get(struct record_bytes *bytes, void *data, size_t len)
{
	if (bytes->len - bytes->at < len) {
		bytes->broken = 1;
		return;
	}
	if (len)
		memcpy(data, bytes->data + bytes->at, len);
	bytes->at += len;
}

/* --- what an entry is ---------------------------------------------------- */

static int addr_is_number(unsigned opcode)
{
	return opcode == PEAL__OP_ASYNC_CANCEL || opcode == PEAL__OP_SPLICE ||
	       opcode == PEAL__OP_COPY_RANGE || opcode == PEAL__OP_FALLOCATE;
}

static int off_is_pointer(unsigned opcode)
{
	return opcode == PEAL__OP_STATX || opcode == PEAL__OP_ACCEPT ||
	       opcode == PEAL__OP_RENAMEAT || opcode == PEAL__OP_LINKAT ||
	       opcode == PEAL__OP_SYMLINKAT || opcode == PEAL__OP_STATFS ||
	       opcode == PEAL__OP_RESOLVE;
}

static uint64_t hash_text(uint64_t sum, const char *text)
{
	return text ? hash(sum, text, strlen(text) + 1) : sum;
}

static uint64_t hash_vector(uint64_t sum, const struct iovec *iov,
			    size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		sum = hash(sum, iov[i].iov_base, iov[i].iov_len);
	return sum;
}

static uint64_t hash_message(uint64_t sum, const struct msghdr *msg)
{
	if (msg->msg_name)
		sum = hash(sum, msg->msg_name, msg->msg_namelen);
	return hash_vector(sum, msg->msg_iov, (size_t)msg->msg_iovlen);
}

static uint64_t hash_given(const struct peal__sqe *sqe)
{
	uint64_t sum = HASH_START;

	if (!sqe->addr)
		return sum;
	switch (sqe->opcode) {
	case PEAL__OP_WRITE:
	case PEAL__OP_SEND:
	case PEAL__OP_SEND_ZC:
		return hash(sum, pointer(sqe->addr), sqe->len);
	case PEAL__OP_WRITEV:
		return hash_vector(sum, pointer(sqe->addr), sqe->len);
	case PEAL__OP_SENDMSG:
	case PEAL__OP_SENDMSG_ZC:
		return hash_message(sum, pointer(sqe->addr));
	case PEAL__OP_CONNECT:
	case PEAL__OP_BIND:
		return hash(sum, pointer(sqe->addr), sqe->off);
	case PEAL__OP_OPENAT:
	case PEAL__OP_STATX:
	case PEAL__OP_UNLINKAT:
	case PEAL__OP_MKDIRAT:
	case PEAL__OP_STATFS:
		return hash_text(sum, pointer(sqe->addr));
	case PEAL__OP_RENAMEAT:
	case PEAL__OP_LINKAT:
	case PEAL__OP_SYMLINKAT:
	case PEAL__OP_RESOLVE:
		sum = hash_text(sum, pointer(sqe->addr));
		return hash_text(sum, pointer(sqe->off));
	default:
		return sum;
	}
}

void peal__record_start(struct record_start *out, const struct peal__sqe *sqe)
{
	*out = (struct record_start){
		.opcode = sqe->opcode,
		.flags = sqe->flags,
		.ioprio = sqe->ioprio,
		.fd = sqe->fd,
		.off = off_is_pointer(sqe->opcode) ? sqe->off != 0 : sqe->off,
		.addr = addr_is_number(sqe->opcode) ? sqe->addr
						    : sqe->addr != 0,
		.len = sqe->len,
		.op_flags = sqe->op_flags,
		.user_data = sqe->user_data,
		.file_index = sqe->file_index,
		.buf_index = sqe->buf_index,
		.given = hash_given(sqe),
	};
}

/* The ring's own cancels bear the handle of their target. */
void peal__record_note(struct record_op *op, const struct peal__sqe *sqe)
{
	if (sqe->user_data & PEAL__DATA_OWN)
		return;
	op += sqe->user_data & PEAL__ROW_MASK;
	op->sqe = *sqe;
	op->addr_room = 0;
	if (sqe->opcode == PEAL__OP_RECVMSG)
		op->addr_room = ((const struct msghdr *)
				 pointer(sqe->addr))->msg_namelen;
	else if (sqe->opcode == PEAL__OP_ACCEPT && sqe->addr && sqe->off)
		op->addr_room = *(const socklen_t *)pointer(sqe->off);
}

/* --- what it gets -------------------------------------------------------- */

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
	struct msghdr *msg = pointer(op->sqe.addr);
	size_t room = msg->msg_controllen;

	move_address(to, bytes, msg->msg_name, &msg->msg_namelen,
		     op->addr_room);
	to(bytes, &msg->msg_flags, sizeof msg->msg_flags);
	to(bytes, &msg->msg_controllen, sizeof msg->msg_controllen);
	if (bytes->broken || msg->msg_controllen > room)
		bytes->broken = 1;
	else if (msg->msg_control)
		to(bytes, msg->msg_control, msg->msg_controllen);
	move_vector(to, bytes, msg->msg_iov, (size_t)msg->msg_iovlen,
		    (uint64_t)result);
}

static void move_all(move *to, struct record_bytes *bytes,
		     const struct record_op *op, int64_t result)
{
	const struct peal__sqe *sqe = &op->sqe;

	if (result < 0)
		return;
	switch (sqe->opcode) {
	case PEAL__OP_READ:
	case PEAL__OP_RECV:
	case PEAL__OP_READ_DIR:
		to(bytes, pointer(sqe->addr),
		   result < (int64_t)sqe->len ? (size_t)result : sqe->len);
		break;
	case PEAL__OP_READV:
		move_vector(to, bytes, pointer(sqe->addr), sqe->len,
			    (uint64_t)result);
		break;
	case PEAL__OP_RECVMSG:
		move_message(to, bytes, op, result);
		break;
	case PEAL__OP_ACCEPT:
		if (sqe->addr && sqe->off)
			move_address(to, bytes, pointer(sqe->addr),
				     pointer(sqe->off), op->addr_room);
		break;
	case PEAL__OP_STATX:
		to(bytes, pointer(sqe->off), sizeof(struct peal_stat));
		break;
	case PEAL__OP_STATFS:
		to(bytes, pointer(sqe->off), sizeof(struct peal_statfs));
		break;
	default:
		break;
	}
}

void peal__record_save(struct record_bytes *bytes, const struct record_op *op,
		       int64_t result)
{
	move_all(save, bytes, op, result);
}

void peal__record_load(struct record_bytes *bytes, const struct record_op *op,
		       int64_t result)
{
	move_all(peal__record_get, bytes, op, result);
}
