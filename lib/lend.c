/* SPDX-License-Identifier: MIT */
/*
 * What the kernel may write to is out of bounds while it is lent (lend.h). Of
 * an op with one buffer that is the note which buffers.c makes; an op with
 * several (vector, message, accept, stat) gets a list here. What the list says
 * was taken away is what comes back: by then the program may have changed its
 * vector, and the kernel has changed the message.
 */
#include <stdlib.h>
#include "lib/buffers.h"
#include "lib/lend.h"
#include "lib/start.h"

#define MOST_ADDRESS	128u	/* bytes that an address has at most */

struct region {
	uint64_t addr;
	uint64_t len;
};

struct peal__regions {
	uint32_t count;
	struct region of[];
};

static void take_back(const struct peal__row *row, uint64_t addr, uint64_t len)
{
	MUST(!peal__is_freed(addr, len),
	     "its buffer was freed while it was lent",
	     peal_opcode_name(row->opcode));
	peal__unpoison(addr, len);
}

/* --- one buffer ----------------------------------------------------------- */

/* Will the kernel write to the row's buffer? */
static int is_written(const struct peal__row *row)
{
	return !(row->flags & ROW_JOB) &&
	       (row->opcode == PEAL__OP_READ ||
		row->opcode == PEAL__OP_READ_FIXED ||
		row->opcode == PEAL__OP_RECV);
}

void peal__lend_one(const struct peal_ring *ring, const struct peal__row *row)
{
	const struct peal__lent *lent =
		&ring->memory->lent[row - ring->rows];

	if (ring->looks & LOOK_LENT && is_written(row))
		peal__poison(lent->addr, lent->len);
}

static void return_one(const struct peal_ring *ring,
		       const struct peal__row *row)
{
	const struct peal__lent *lent =
		&ring->memory->lent[row - ring->rows];

	if (lent->op == row->op && is_written(row))
		take_back(row, lent->addr, lent->len);
}

/* --- several -------------------------------------------------------------- */

static uint64_t at_most(uint64_t len, uint64_t most)
{
	return len < most ? len : most;
}

/* The kernel takes a length that is past all that it moves; one that no memory
 * has is for it to refuse. */
static void add(struct peal__regions *regions, const void *at, uint64_t len)
{
	if (at && len && peal__can_be_lent(peal__addr(at), len))
		regions->of[regions->count++] = (struct region){
			peal__addr(at), at_most(len, PEAL__MAX_TRANSFER) };
}

/* These read what another op may have been lent, too, as the kernel does. */
#define READS_LENT __attribute__((no_sanitize("address")))

READS_LENT static void add_vector(struct peal__regions *regions,
				  const struct iovec *iov, uint64_t count)
{
	uint64_t i;

	if (!iov || count > PEAL__MOST_PARTS)
		return;
	for (i = 0; i < count; i++)
		add(regions, iov[i].iov_base, iov[i].iov_len);
}

READS_LENT static void add_message(struct peal__regions *regions,
				   const struct msghdr *msg)
{
	if (!msg)
		return;
	add_vector(regions, msg->msg_iov, (uint64_t)msg->msg_iovlen);
	add(regions, msg->msg_name,
	    at_most((uint64_t)msg->msg_namelen, MOST_ADDRESS));
	add(regions, msg->msg_control, (uint64_t)msg->msg_controllen);
	add(regions, msg, sizeof *msg);
}

READS_LENT static void add_address(struct peal__regions *regions,
				   const void *addr, const socklen_t *addr_len)
{
	if (addr_len)
		add(regions, addr, at_most((uint64_t)*addr_len, MOST_ADDRESS));
	add(regions, addr_len, sizeof *addr_len);
}

static void *pointer(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

static void add_all(struct peal__regions *regions, const struct peal__sqe *sqe)
{
	switch (sqe->opcode) {
	case PEAL__OP_READV:
	case PEAL__OP_READV_FIXED:
		add_vector(regions, pointer(sqe->addr), sqe->len);
		break;
	case PEAL__OP_RECVMSG:
		add_message(regions, pointer(sqe->addr));
		break;
	case PEAL__OP_ACCEPT:
		add_address(regions, pointer(sqe->addr), pointer(sqe->off));
		break;
	case PEAL__OP_STATX:
		add(regions, pointer(sqe->off), sizeof(struct peal_stat));
		break;
	}
}

READS_LENT static uint64_t most_regions(const struct peal__sqe *sqe)
{
	const struct msghdr *msg = pointer(sqe->addr);

	switch (sqe->opcode) {
	case PEAL__OP_READV:
	case PEAL__OP_READV_FIXED:
		return at_most(sqe->len, PEAL__MOST_PARTS);
	case PEAL__OP_RECVMSG:
		return 3 + at_most(msg ? (uint64_t)msg->msg_iovlen : 0,
				   PEAL__MOST_PARTS);
	case PEAL__OP_ACCEPT:
		return 2;
	case PEAL__OP_STATX:
		return 1;
	default:
		return 0;
	}
}

/* By malloc(), as an exception: in this build only, and not to be counted among
 * what the library takes. Without memory nothing is watched. */
void peal__lend_many(struct peal_ring *ring, const struct peal__sqe *sqe)
{
	uint32_t index = (uint32_t)(sqe->user_data & PEAL__ROW_MASK), i;
	uint64_t most = most_regions(sqe);
	struct peal__regions *regions;

	if (!most || !(ring->looks & LOOK_LENT) ||
	    ring->rows[index].flags & ROW_JOB)
		return;
	regions = malloc(sizeof *regions + most * sizeof *regions->of);
	if (!regions)
		return;
	regions->count = 0;
	add_all(regions, sqe);
	for (i = 0; i < regions->count; i++)
		peal__poison(regions->of[i].addr, regions->of[i].len);
	ring->memory->regions[index] = regions;
}

static void return_many(const struct peal_ring *ring,
			const struct peal__row *row)
{
	struct peal__regions **place =
		&ring->memory->regions[row - ring->rows];
	struct peal__regions *regions = *place;
	uint32_t i;

	if (!regions)
		return;
	for (i = 0; i < regions->count; i++)
		take_back(row, regions->of[i].addr, regions->of[i].len);
	free(regions);
	*place = NULL;
}

void peal__lend_end(const struct peal_ring *ring, const struct peal__row *row)
{
	if (!(ring->looks & LOOK_LENT))
		return;
	return_one(ring, row);
	return_many(ring, row);
}
