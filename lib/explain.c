/* SPDX-License-Identifier: MIT */
/* What the library says about itself: reasons, the dump, the statistics. */
#include <stdarg.h>
#include <string.h>
#include "lib/direct.h"
#include "lib/groups.h"
#include "lib/work.h"
#include "lib/zc.h"

static _Thread_local char open_reason[512];

void peal__reason(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(open_reason, sizeof open_reason, format, args);
	va_end(args);
}

void peal__engine_reason(struct peal_ring *ring, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ring->reason, sizeof ring->reason, format, args);
	va_end(args);
}

const char *peal_open_reason(void)
{
	return open_reason;
}

const char *peal_ring_engine(struct peal_ring *ring)
{
	peal__must_own(ring, "ring_engine");
	return ring->engine->name;
}

const char *peal_ring_engine_reason(struct peal_ring *ring)
{
	peal__must_own(ring, "ring_engine_reason");
	return ring->reason;
}

static const char *state_name(const struct peal__row *row)
{
	if (row->flags & ROW_READY)
		return "finished, handler not yet called";
	if (row->flags & (ROW_OWED | ROW_OWED_CANCEL))
		return "waiting for room in the submission queue";
	if (peal__zc_is_sent(row))
		return "sent, the buffer still lent";
	if (row->flags & ROW_TIMEOUT)
		return "past its deadline, not let go of yet";
	if (row->flags & ROW_CANCEL)
		return "cancelled, not let go of yet";
	if (row->opcode == PEAL__OP_CLOSE_DRAINED)
		return "waiting for the ops on its fd";
	if (row->opcode == PEAL__OP_GROUP_CLOSE)
		return "waiting for the group's receives and buffers";
	if (row->flags & ROW_USER && peal__row_has_group(row))
		return "waiting for a buffer of its group";
	return "in flight";
}

static void dump_row(struct peal_ring *ring, const struct peal__row *row,
		     uint32_t now_ms, FILE *out)
{
	uint64_t age = (uint64_t)(uint32_t)(now_ms - row->started_ms) << 20;

	fprintf(out, "  %-13s", peal_opcode_name(row->opcode));
	if (peal_fd_is_direct(row->fd))
		fprintf(out, " direct %-2u",
			(unsigned)peal__direct_slot(ring, row->fd));
	else if (row->fd >= 0)
		fprintf(out, " fd %-6d", row->fd);
	else
		fprintf(out, " %-9s", "-");
	fprintf(out, " %8.3f s  ", (double)age / 1e9);
	if (row->flags & ROW_TIMED && row->due_ns > peal__now(ring))
		fprintf(out, "due in %.3f s, ",
			(double)(row->due_ns - peal__now(ring)) / 1e9);
	fprintf(out, "%s%s\n", state_name(row),
		row->flags & ROW_FULL ? ", full transfer"
		: row->flags & ROW_MULTI ? ", multishot" : "");
}

void peal_ring_dump(struct peal_ring *ring, FILE *out)
{
	uint32_t now_ms = peal__age_clock(ring), i;

	peal__must_own(ring, "ring_dump");
	fprintf(out, "peal ring on %s: %u of %u ops in flight, %u unsubmitted, "
		"%llu turns\n", ring->engine->name, peal__in_flight(ring),
		ring->max_ops, ring->queues.sq_tail - ring->queues.sq_head,
		(unsigned long long)ring->stats.turns);
	for (i = 1; i <= ring->rows_used; i++)
		if (!(ring->rows[i].flags & ROW_STORE))
			dump_row(ring, &ring->rows[i], now_ms, out);
}

/* The ops that go to the pool, and the Linux whose ring has them. */
static void explain_pool(struct peal_ring *ring, FILE *out)
{
	unsigned column = 80, i;

	fprintf(out, "pool           %u threads run; for what the engine lacks:",
		peal__pool_threads(ring->pool));
	for (i = 0; i < PEAL__OP_KERNEL_COUNT; i++) {
		if (peal__can(ring, i) || !peal__blocking_has(i))
			continue;
		if (column > 60) {
			fprintf(out, "\n%14s", "");
			column = 14;
		}
		column += (unsigned)fprintf(out, " %s (Linux %s)",
					    peal_opcode_name(i),
					    peal__op_row(i)->kernel);
	}
	fprintf(out, column == 80 ? " nothing\n" : "\n");
}

static void explain_disabled(struct peal_ring *ring, FILE *out)
{
	unsigned i;

	for (i = 0; i < PEAL__OP_KERNEL_COUNT; i++)
		if ((ring->disable.ops[i >> 6] >> (i & 63)) & 1)
			fprintf(out, "op:%-11s off  disabled by PEAL_DISABLE "
				"or options.disable\n", peal_opcode_name(i));
}

void peal_ring_explain(struct peal_ring *ring, FILE *out)
{
	peal__must_own(ring, "ring_explain");
	fprintf(out, "engine         %s: %s\n", ring->engine->name,
		ring->reason);
	fprintf(out, "max_ops        %u (%zu bytes each, touched when used)\n",
		ring->max_ops, sizeof(struct peal__row));
	fprintf(out, "max_posts      %u\n", ring->post_mask + 1);
	ring->engine->explain(ring, out);
	peal__direct_explain(ring, out);
	peal__memory_explain(ring, out);
	explain_pool(ring, out);
	explain_disabled(ring, out);
}

void peal_ring_punts(struct peal_ring *ring, struct peal_punts *out_punts)
{
	struct peal_punts now = { .why = "this engine gives nothing to "
					 "workers of the kernel" };
	uint32_t size = out_punts->size;

	peal__must_own(ring, "ring_punts");
	MUST(size >= sizeof size, "peal_punts.size is not set", "ring_punts");
	now.size = size;
	if (ring->engine->punts)
		ring->engine->punts(ring, &now);
	memcpy(out_punts, &now, size < sizeof now ? size : sizeof now);
}

void peal_ring_stats(struct peal_ring *ring, struct peal_stats *out_stats)
{
	uint32_t size = out_stats->size;
	struct peal_stats now;
	unsigned i;

	peal__must_own(ring, "ring_stats");
	MUST(size >= sizeof size, "peal_stats.size is not set", "ring_stats");
	now = ring->stats;
	now.size = size;
	now.in_flight = peal__in_flight(ring);
	now.wakes = atomic_load(&ring->wakes);
	now.submitted = 0;
	for (i = 0; i < PEAL__OP_KERNEL_COUNT; i++)
		now.submitted += now.by_op[i];
	if (size > sizeof now)
		size = sizeof now;
	memcpy(out_stats, &now, size);
}
