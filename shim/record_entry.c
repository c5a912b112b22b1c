/* SPDX-License-Identifier: MIT */
/*
 * What an entry is, for the comparison: its numbers, and a hash of what it
 * gives. That is read by a system call, for a program may give an address that
 * is none (-EFAULT): it must not be stopped for that because it is recorded.
 */
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "shim/record.h"

#define HASH_START	UINT64_C(0xcbf29ce484222325)
#define PAGE		4096u

/* How many bytes there are. Where the call is forbidden they are read as they
 * are. */
static size_t look(void *to, uint64_t from, size_t len)
{
	struct iovec local = { to, len }, remote = { record_pointer(from),
						     len };
	ssize_t got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

	if (got < 0 && (errno == ENOSYS || errno == EPERM)) {
		memcpy(to, record_pointer(from), len);
		return len;
	}
	return got < 0 ? 0 : (size_t)got;
}

static uint64_t hash_bytes(uint64_t sum, uint64_t from, uint64_t len)
{
	char part[16 * PAGE];
	size_t want, got;

	part[0] = 0;
	do {
		want = len < sizeof part ? (size_t)len : sizeof part;
		got = want ? look(part, from, want) : 0;
		sum = peal__record_hash(sum, part, got);
		from += got;
		len -= got;
	} while (len && got == want);
	return sum;
}

/* Page by page: the text may end before a page that is none. */
static uint64_t hash_text(uint64_t sum, uint64_t from)
{
	char text[2 * PAGE];
	size_t len = 0, want, got;

	if (!from)
		return sum;
	do {
		want = PAGE - (from + len) % PAGE;
		got = look(text + len, from + len, want);
		len += got;
	} while (got == want && len <= PAGE && !memchr(text, 0, len));
	return peal__record_hash(sum, text, strnlen(text, len));
}

static uint64_t hash_vector(uint64_t sum, uint64_t from, uint64_t count)
{
	struct iovec part;

	for (; count && look(&part, from, sizeof part) == sizeof part; count--) {
		sum = hash_bytes(sum, (uintptr_t)part.iov_base, part.iov_len);
		from += sizeof part;
	}
	return sum;
}

static uint64_t hash_message(uint64_t sum, uint64_t from)
{
	struct msghdr msg;

	if (look(&msg, from, sizeof msg) != sizeof msg)
		return sum;
	if (msg.msg_name)
		sum = hash_bytes(sum, (uintptr_t)msg.msg_name,
				 msg.msg_namelen);
	return hash_vector(sum, (uintptr_t)msg.msg_iov, msg.msg_iovlen);
}

static uint64_t hash_resolve(uint64_t sum, const struct peal__sqe *sqe)
{
	struct addrinfo hints;

	sum = hash_text(sum, sqe->addr);
	sum = hash_text(sum, sqe->off);
	if (sqe->pad && look(&hints, sqe->pad, sizeof hints) == sizeof hints)
		sum = peal__record_hash(sum, &hints, 4 * sizeof(int));
	return sum;
}

static uint64_t hash_given(const struct peal__sqe *sqe)
{
	switch (sqe->opcode) {
	case PEAL__OP_WRITE:
	case PEAL__OP_WRITE_FIXED:
	case PEAL__OP_SEND:
	case PEAL__OP_SEND_ZC:
		return hash_bytes(HASH_START, sqe->addr, sqe->len);
	case PEAL__OP_WRITEV:
	case PEAL__OP_WRITEV_FIXED:
		return hash_vector(HASH_START, sqe->addr, sqe->len);
	case PEAL__OP_SENDMSG:
	case PEAL__OP_SENDMSG_ZC:
		return hash_message(HASH_START, sqe->addr);
	case PEAL__OP_CONNECT:
	case PEAL__OP_BIND:
		return hash_bytes(HASH_START, sqe->addr, sqe->off);
	case PEAL__OP_OPENAT:
	case PEAL__OP_OPENAT2:
	case PEAL__OP_STATX:
	case PEAL__OP_UNLINKAT:
	case PEAL__OP_MKDIRAT:
	case PEAL__OP_STATFS:
	case PEAL__OP_GETXATTR:
	case PEAL__OP_FGETXATTR:
		return hash_text(HASH_START, sqe->addr);
	case PEAL__OP_RENAMEAT:
	case PEAL__OP_LINKAT:
	case PEAL__OP_SYMLINKAT:
		return hash_text(hash_text(HASH_START, sqe->addr), sqe->off);
	case PEAL__OP_RESOLVE:
		return hash_resolve(HASH_START, sqe);
	default:
		return HASH_START;
	}
}

/* --- numbers, and addresses, which differ from run to run ----------------- */

static int off_is_number(unsigned opcode)
{
	switch (opcode) {
	case PEAL__OP_READ:
	case PEAL__OP_WRITE:
	case PEAL__OP_READV:
	case PEAL__OP_WRITEV:
	case PEAL__OP_READ_FIXED:
	case PEAL__OP_WRITE_FIXED:
	case PEAL__OP_FSYNC:
	case PEAL__OP_SYNC_FILE_RANGE:
	case PEAL__OP_CONNECT:
	case PEAL__OP_BIND:
	case PEAL__OP_FALLOCATE:
	case PEAL__OP_FADVISE:
	case PEAL__OP_SPLICE:
	case PEAL__OP_TEE:
	case PEAL__OP_SOCKET:
	case PEAL__OP_FTRUNCATE:
	case PEAL__OP_SEEK:
	case PEAL__OP_COPY_RANGE:
	case PEAL__OP_FILES_UPDATE:
		return 1;
	default:
		return 0;
	}
}

static int addr_is_number(unsigned opcode)
{
	return opcode == PEAL__OP_ASYNC_CANCEL || opcode == PEAL__OP_SPLICE ||
	       opcode == PEAL__OP_COPY_RANGE || opcode == PEAL__OP_FALLOCATE;
}

void peal__record_start(struct record_start *out, const struct peal__sqe *sqe)
{
	*out = (struct record_start){
		.opcode = sqe->opcode,
		.flags = sqe->flags,
		.ioprio = sqe->ioprio,
		.fd = sqe->fd,
		.off = off_is_number(sqe->opcode) ? sqe->off : sqe->off != 0,
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

/* A name gets no more room than there is: its length stands where it will be
 * overwritten. The ring's own cancels bear the handle of their target. */
void peal__record_note(const struct peal_ring *ring, struct record_op *op,
		       const struct peal__sqe *sqe)
{
	uint32_t row = sqe->user_data & PEAL__ROW_MASK;
	struct msghdr msg;
	socklen_t room;

	if (sqe->user_data & PEAL__DATA_OWN || row >= ring->rows_max)
		return;
	op += row;
	op->sqe = *sqe;
	op->addr_room = 0;
	op->raw = (ring->rows[row].flags & ROW_RAW) != 0;
	op->in_pool = op->ended = 0;
	if (sqe->opcode == PEAL__OP_RECVMSG &&
	    look(&msg, sqe->addr, sizeof msg) == sizeof msg)
		op->addr_room = msg.msg_namelen;
	else if (sqe->opcode == PEAL__OP_ACCEPT && sqe->addr && sqe->off &&
		 look(&room, sqe->off, sizeof room) == sizeof room)
		op->addr_room = room;
}

int peal__record_is_slot(const struct peal__sqe *sqe)
{
	return sqe->file_index && (sqe->opcode == PEAL__OP_OPENAT ||
				   sqe->opcode == PEAL__OP_OPENAT2 ||
				   sqe->opcode == PEAL__OP_ACCEPT ||
				   sqe->opcode == PEAL__OP_SOCKET ||
				   sqe->opcode == PEAL__OP_PIPE);
}
