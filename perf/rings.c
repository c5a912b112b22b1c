/* SPDX-License-Identifier: MIT */
/* Rings for the sides: set-up flags and the proof. See rings.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "peal/uring.h"
#include "perf/rings.h"

static const struct flag_name {
	unsigned flag;
	const char *name;
} flag_names[] = {
	{ IORING_SETUP_IOPOLL, "iopoll" },
	{ IORING_SETUP_SQPOLL, "sqpoll" },
	{ IORING_SETUP_COOP_TASKRUN, "coop" },
	{ IORING_SETUP_DEFER_TASKRUN, "defer" },
	{ IORING_SETUP_SINGLE_ISSUER, "single_issuer" },
	{ IORING_SETUP_SUBMIT_ALL, "submit_all" },
	{ 1u << 16, "no_sqarray" },
};

/* --- the proof -------------------------------------------------------------- */

static int moves_data(unsigned opcode)
{
	switch (opcode) {
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
	case IORING_OP_READ_FIXED:
	case IORING_OP_WRITE_FIXED:
	case IORING_OP_READ:
	case IORING_OP_WRITE:
	case IORING_OP_SEND:
	case IORING_OP_RECV:
	case IORING_OP_SENDMSG:
	case IORING_OP_RECVMSG:
	case IORING_OP_SEND_ZC:
	case IORING_OP_SENDMSG_ZC:
		return 1;
	}
	return 0;
}

/* Of a file: a message has its own flags there. */
static int has_rwf(const struct io_uring_sqe *entry)
{
	switch (entry->opcode) {
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
	case IORING_OP_READ:
	case IORING_OP_WRITE:
	case IORING_OP_READ_FIXED:
	case IORING_OP_WRITE_FIXED:
		return entry->rw_flags != 0;
	}
	return 0;
}

static int fixed_form(const struct io_uring_sqe *entry)
{
	switch (entry->opcode) {
	case IORING_OP_READ_FIXED:
	case IORING_OP_WRITE_FIXED:
		return 1;
	case IORING_OP_SEND:
	case IORING_OP_SEND_ZC:
	case IORING_OP_SENDMSG_ZC:
		return (entry->ioprio & IORING_RECVSEND_FIXED_BUF) != 0;
	}
	return 0;
}

void rings_look(const struct io_uring *ring, unsigned from, unsigned to,
		struct counters *counters)
{
	/* The index array maps entry n to slot n in both libraries. */
	unsigned mask = ring->sq.ring_entries - 1;

	for (; from != to; from++) {
		const struct io_uring_sqe *entry = &ring->sq.sqes[from & mask];

		counters->entries++;
		/* The library's own: no handle has the top bit. */
		if (entry->user_data >> 63)
			continue;
		if (entry->opcode < COUNT_OPCODES)
			counters->by_op[entry->opcode]++;
		if (!moves_data(entry->opcode))
			continue;
		counters->data++;
		counters->fixed += fixed_form(entry);
		counters->flagged += has_rwf(entry);
		counters->direct += (entry->flags & IOSQE_FIXED_FILE) != 0;
	}
}

static void write_mode(const struct io_uring *ring, const char *engine,
		       char *to, size_t size)
{
	size_t used = (size_t)snprintf(to, size, "%s", engine), i;

	for (i = 0; i < sizeof flag_names / sizeof *flag_names; i++)
		if (ring && ring->flags & flag_names[i].flag && used < size)
			used += (size_t)snprintf(to + used, size - used, " %s",
						 flag_names[i].name);
}

/* Is word a word of text? */
static int has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	while (*text) {
		size_t other = strcspn(text, " ");

		if (other == len && memcmp(text, word, len) == 0)
			return 1;
		text += other + (text[other] == ' ');
	}
	return 0;
}

const char *rings_flags_in_effect(const struct perf_case *at,
				  const struct counters *counters)
{
	const char *wanted = case_text(at, "flags");

	if (strcmp(wanted, "default") == 0) {
		if (has_word(counters->mode, "coop") ||
		    has_word(counters->mode, "defer"))
			return why("the ring has other flags: %s",
				   counters->mode);
		return NULL;
	}
	if (has_word(counters->mode, wanted))
		return NULL;
	return why("%s is not in effect: the ring is %s", wanted,
		   counters->mode);
}

/* --- bare ------------------------------------------------------------------- */

static unsigned bare_flags(const char *flags)
{
	unsigned base = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE |
			IORING_SETUP_SUBMIT_ALL;
	unsigned defer = IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG;

	if (strcmp(flags, "coop") == 0)
		return base | IORING_SETUP_COOP_TASKRUN |
		       IORING_SETUP_TASKRUN_FLAG;
	if (strcmp(flags, "defer") == 0)
		return base | defer;
	if (strcmp(flags, "sqpoll") == 0)
		return base | IORING_SETUP_SQPOLL | IORING_SETUP_SINGLE_ISSUER;
	if (strcmp(flags, "iopoll") == 0)
		return base | defer | IORING_SETUP_IOPOLL;
	return base;
}

const char *bare_open(struct bare *bare, const char *flags)
{
	struct io_uring_params params = {
		.flags = bare_flags(flags),
		.cq_entries = 4 * RINGS_ENTRIES,
		.sq_thread_idle = RINGS_SQPOLL_IDLE_MS,
	};
	int rc;

	memset(bare, 0, sizeof *bare);
	rc = io_uring_queue_init_params(RINGS_ENTRIES, &bare->ring, &params);
	if (rc < 0)
		return why_errno("io_uring_queue_init_params", rc);
	io_uring_register_ring_fd(&bare->ring);
	return NULL;
}

void bare_look(struct bare *bare)
{
	const struct io_uring_sq *sq = &bare->ring.sq;

	rings_look(&bare->ring, sq->sqe_head, sq->sqe_tail, &bare->seen);
}

void bare_count(struct bare *bare, struct counters *out)
{
	*out = bare->seen;
	out->ops = (double)bare->ops;
	out->calls = (double)bare->calls;
	out->overflows = *bare->ring.cq.koverflow;
	out->punts = UNKNOWN;
	write_mode(&bare->ring, "uring", out->mode, sizeof out->mode);
}

void bare_close(struct bare *bare)
{
	io_uring_queue_exit(&bare->ring);
}

/* --- peal ------------------------------------------------------------------- */

const char *ours_open(struct ours *ours, const char *flags,
		      unsigned direct_fds)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;
	int rc;

	memset(ours, 0, sizeof *ours);
	options.entries = RINGS_ENTRIES;
	options.sqpoll_idle_ms = RINGS_SQPOLL_IDLE_MS;
	options.direct_fds = direct_fds;
	if (strcmp(flags, "default") == 0)
		options.disable = "defer,coop";
	else if (strcmp(flags, "coop") == 0)
		options.disable = "defer";
	else if (strcmp(flags, "sqpoll") == 0)
		options.flags = PEAL_RING_SQPOLL;
	else if (strcmp(flags, "iopoll") == 0)
		options.flags = PEAL_RING_IOPOLL;
	rc = peal_ring_open(&ours->ring, &options);
	if (rc < 0) {
		ours->ring = NULL;
		return why("peal_ring_open: %s", peal_open_reason());
	}
	return NULL;
}

void ours_look_from_here(struct ours *ours)
{
	const struct io_uring *ring = peal_uring_ring(ours->ring);

	if (ring)
		ours->looked = *ring->sq.ktail;
}

void ours_look(struct ours *ours)
{
	const struct io_uring *ring = peal_uring_ring(ours->ring);

	if (!ring)
		return;
	rings_look(ring, ours->looked, *ring->sq.ktail, &ours->seen);
	ours->looked = *ring->sq.ktail;
}

void ours_count(struct ours *ours, struct counters *out)
{
	struct peal_stats stats = { .size = sizeof stats };

	peal_ring_stats(ours->ring, &stats);
	*out = ours->seen;
	out->ops = (double)ours->ops;
	out->calls = (double)stats.enters;
	out->overflows = (double)stats.cq_overflows;
	out->punts = UNKNOWN;
	write_mode(peal_uring_ring(ours->ring), peal_ring_engine(ours->ring),
		   out->mode, sizeof out->mode);
}

const char *ours_close(struct ours *ours)
{
	int rc = peal_ring_close(ours->ring, 10 * PEAL_S);

	return rc < 0 ? why_errno("peal_ring_close", rc) : NULL;
}
