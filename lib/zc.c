/* SPDX-License-Identifier: MIT */
/*
 * Zero-copy send (zc.h): when it is worth it, and its two completions.
 *
 * The entry is kept in the row's job: where the socket or the kernel turns out
 * not to know zero-copy, it is written again as a plain send, and the caller
 * does not see it.
 */
#include "lib/buffers.h"
#include "lib/start.h"
#include "lib/work.h"
#include "lib/zc.h"

/*
 * Where it begins to cost less than a copy from a warm cache: CPU per UDP
 * datagram into a device that drops it, Linux 6.18 in a virtual machine. Plain
 * memory has its pages looked up for each send: 0.91 of a copy at 8 KiB,
 * 1.2 at 16 and 32, 0.89 at 60,000 bytes. Registered memory: 0.8 at 8 KiB, 0.99
 * at 16, 0.94 at 32, 0.6 at 60,000. So the limits are a judgement. A message
 * of 4 or 16 parts in registered memory is as one of a single part (0.75 to
 * 0.79, 0.92 to 0.97, 0.89 to 0.92, 0.6); in plain memory each part costs (16
 * parts: 1.5, 1.9, 1.8, 1.3).
 */
#define LEAST_PLAIN	32768u
#define LEAST_FIXED	8192u

#define COPIED		(1u << 31)	/* a notification's res */
#define COPIES_IN_A_ROW	16u	/* then it is not tried any more ... */
#define TRY_EVERY	64u	/* ... but for one in so many */
#define NO_SIGNAL	0x4000u	/* MSG_NOSIGNAL, in Linux's numbers */

/* --- is it worth it? ----------------------------------------------------- */

static int is_long(const struct peal_ring *ring, size_t len, int fixed)
{
	if (ring->zc.least)
		return len >= ring->zc.least;
	return len >= (fixed ? LEAST_FIXED : LEAST_PLAIN);
}

/* The kernel copies where the data does not leave the machine, or the device
 * cannot gather: then this costs more than a plain send. Networks change, so
 * one in a while is tried. */
static int is_copied(struct peal_ring *ring)
{
	struct peal__zc *zc = &ring->zc;

	if (zc->copies < COPIES_IN_A_ROW || zc->least == 1)
		return 0;
	return ++zc->skipped % TRY_EVERY != 0;
}

static int is_worth_it(struct peal_ring *ring, unsigned opcode, size_t len,
		       int fixed)
{
	return peal__can(ring, opcode) &&
	       !(ring->disable.features & 1u << FEATURE_ZC) &&
	       is_long(ring, len, fixed) && !is_copied(ring);
}

/* --- completions --------------------------------------------------------- */

static void note_copied(struct peal_ring *ring, int copied)
{
	struct peal__zc *zc = &ring->zc;

	ring->stats.zc_copied += copied != 0;
	if (!copied)
		zc->copies = 0;
	else if (zc->copies < COPIES_IN_A_ROW)
		zc->copies++;
}

/* The socket or the kernel cannot; or the pages of one more buffer are more
 * than RLIMIT_MEMLOCK allows, or their notes than the socket may have. */
static int says_not_so(int64_t error)
{
	return error == -EINVAL || error == -EOPNOTSUPP || error == -ENOMEM ||
	       error == -ENOBUFS;
}

static void drop_slot(struct peal__sqe *kept)
{
	kept->ioprio &= (uint16_t)~PEAL__RECVSEND_FIXED_BUF;
	kept->buf_index = 0;
}

/* An error that says "not in this way": the next way, if there is one. A
 * message without registered memory first (Linux before 6.15), then without the
 * report (before 6.2), then as a plain send. */
static int try_otherwise(struct peal_ring *ring, struct peal__row *row,
			 int64_t result)
{
	struct peal__sqe *kept = &ring->jobs[row - ring->rows].sqe;

	if (!says_not_so(result) || row->opcode < PEAL__OP_SEND_ZC ||
	    row->flags & (ROW_CANCEL | ROW_TIMEOUT) ||
	    !peal__can(ring, PEAL__OP_SEND) || !peal__can(ring,
							  PEAL__OP_SENDMSG))
		return 0;
	row->flags &= (uint16_t)~ROW_HALF;
	if (result == -EINVAL && row->opcode == PEAL__OP_SENDMSG_ZC &&
	    kept->ioprio & PEAL__RECVSEND_FIXED_BUF) {
		drop_slot(kept);
	} else if (result == -EINVAL && kept->ioprio & PEAL__SEND_ZC_REPORT) {
		kept->ioprio &= (uint16_t)~PEAL__SEND_ZC_REPORT;
	} else {
		row->opcode = row->opcode == PEAL__OP_SEND_ZC
				      ? PEAL__OP_SEND : PEAL__OP_SENDMSG;
		kept->ioprio = 0;
		kept->buf_index = 0;
		note_copied(ring, 1);
	}
	peal__start_again(ring, row);
	return 1;
}

/* The send has ended, the buffer is still lent: a close of fd need not wait
 * for the peer to take the data. */
static void leave_fd(struct peal_ring *ring, struct peal__row *row)
{
	peal_fd fd = row->fd;

	peal__row_unlink(ring, row);
	row->fd = -1;
	if (ring->draining)
		peal__drain_check(ring, fd);
}

int peal__zc_step(struct peal_ring *ring, struct peal__row *row,
		  int64_t *result, uint32_t *flags)
{
	const struct peal__sqe *kept = &ring->jobs[row - ring->rows].sqe;
	unsigned is_notice = *flags & PEAL__CQE_NOTIF;
	unsigned more = *flags & PEAL__CQE_MORE;
	int half = row->flags & ROW_HALF;

	*flags = 0;
	/* With an error nothing was sent, so nothing was copied. */
	if (is_notice && kept->ioprio & PEAL__SEND_ZC_REPORT &&
	    !(half && (int32_t)row->arg < 0))
		note_copied(ring, ((uint32_t)*result & COPIED) != 0);
	row->flags |= ROW_HALF;
	if (!half && is_notice)		/* before the result */
		return 1;
	if (!half && more) {
		row->arg = (uint32_t)*result;
		if (*result >= 0)
			leave_fd(ring, row);
		return 1;
	}
	if (is_notice)
		*result = (int32_t)row->arg;
	if (*result >= 0 && row->opcode >= PEAL__OP_SEND_ZC &&
	    !(kept->ioprio & PEAL__SEND_ZC_REPORT))
		ring->zc.no_report = 1;
	return try_otherwise(ring, row, *result);
}

void peal__zc_fill(struct peal_ring *ring, const struct peal__row *row,
		   struct peal__sqe *sqe)
{
	const struct peal__sqe *kept = &ring->jobs[row - ring->rows].sqe;

	sqe->ioprio = kept->ioprio;
	sqe->addr = kept->addr;
	sqe->len = kept->len;
	sqe->op_flags = kept->op_flags;
	sqe->buf_index = kept->buf_index;
}

/* --- the ops ------------------------------------------------------------- */

static peal_op start_zc(struct peal_ring *ring, unsigned opcode, peal_fd fd,
			const void *addr, uint32_t len, int msg_flags,
			uint32_t slot, unsigned flags, peal_handler *handler,
			void *ctx)
{
	struct peal__sqe *sqe;
	struct peal__row *row;
	peal_op op = peal__start(ring, &sqe, opcode, fd, flags, handler, ctx);

	if (op < 0)
		return op;
	row = &ring->rows[(uint64_t)op & PEAL__ROW_MASK];
	row->entry_flags = (uint8_t)(flags | ENTRY_ZC);
	sqe->addr = peal__addr(addr);
	sqe->len = len;
	sqe->op_flags = (uint32_t)msg_flags | NO_SIGNAL;
	if (!ring->zc.no_report)
		sqe->ioprio = PEAL__SEND_ZC_REPORT;
	if (slot != PEAL__NO_SLOT) {
		sqe->ioprio |= PEAL__RECVSEND_FIXED_BUF;
		sqe->buf_index = (uint16_t)slot;
		ring->stats.zc_fixed++;
	}
	ring->jobs[row - ring->rows].sqe = *sqe;
	ring->stats.zc_sent++;
	return op;
}

/* An arena that was registered with PEAL_PLAIN wants it so. */
static int may_be_fixed(const struct peal_ring *ring, const void *buf,
			size_t len)
{
	const struct peal__member *member =
		peal__memory_member(ring, peal__addr(buf), len);

	return member && !(member->flags & PEAL_PLAIN);
}

static uint32_t slot_for_send(const struct peal_ring *ring, const void *buf,
			      uint32_t len)
{
	return may_be_fixed(ring, buf, len)
		       ? peal__memory_slot(ring, peal__addr(buf), len)
		       : PEAL__NO_SLOT;
}

static uint32_t slot_for_message(const struct peal_ring *ring,
				 const struct msghdr *msg)
{
	const struct iovec *iov = msg->msg_iov;
	size_t count = (size_t)msg->msg_iovlen;

	return count && may_be_fixed(ring, iov->iov_base, iov->iov_len)
		       ? peal__vector_slot(ring, iov, count)
		       : PEAL__NO_SLOT;
}

peal_op peal_send_zc(struct peal_ring *ring, peal_fd fd, const void *buf,
		     size_t len, int msg_flags, unsigned flags,
		     peal_handler *handler, void *ctx)
{
	uint32_t slot;
	peal_op op;

	peal__must_own(ring, "send_zc");
	slot = slot_for_send(ring, buf, peal__len(len));
	if (!is_worth_it(ring, PEAL__OP_SEND_ZC, len, slot != PEAL__NO_SLOT)) {
		ring->stats.zc_plain++;
		return peal_send(ring, fd, buf, len, msg_flags, flags,
				 handler, ctx);
	}
	op = start_zc(ring, PEAL__OP_SEND_ZC, fd, buf, peal__len(len),
		      msg_flags, slot, flags, handler, ctx);
	if (op > 0)
		peal__memory_lend(ring, op, buf, len);
	return op;
}

/* What counts of a message: in plain memory, where each part costs, the mean of
 * its parts. */
static size_t length_of(const struct peal_ring *ring, const struct msghdr *msg,
			int fixed)
{
	size_t count = (size_t)msg->msg_iovlen, sum = 0, i;

	for (i = 0; i < count; i++)
		sum += msg->msg_iov[i].iov_len;
	return fixed || ring->zc.least || !count ? sum : sum / count;
}

peal_op peal_sendmsg_zc(struct peal_ring *ring, peal_fd fd,
			const struct msghdr *msg, int msg_flags,
			unsigned flags, peal_handler *handler, void *ctx)
{
	uint32_t slot;
	int fixed;

	peal__must_own(ring, "sendmsg_zc");
	slot = slot_for_message(ring, msg);
	fixed = slot != PEAL__NO_SLOT;
	if (!is_worth_it(ring, PEAL__OP_SENDMSG_ZC,
			 length_of(ring, msg, fixed), fixed)) {
		ring->stats.zc_plain++;
		return peal_sendmsg(ring, fd, msg, msg_flags, flags, handler,
				    ctx);
	}
	return start_zc(ring, PEAL__OP_SENDMSG_ZC, fd, msg, 1, msg_flags,
			slot, flags, handler, ctx);
}
