/* SPDX-License-Identifier: MIT */
/*
 * A kernel that the test plays: it reads the ring of buffers as a kernel does,
 * whole buffers or piece by piece, and completes receives by script.
 */
#ifndef PEAL_TEST_GROUP_KERNEL_H
#define PEAL_TEST_GROUP_KERNEL_H

#include "lib/groups.h"		/* before the harness and its ring */
#include "test/scripted.h"

#define COUNT	8u
#define SIZE	64u
#define MORE	PEAL__CQE_MORE

static struct peal_group *group;
static uint16_t head;		/* the kernel's place in the ring of buffers */
static unsigned opened, closed;
static struct peal__engine kernel;

static inline int kernel_open(struct peal_ring *where, struct peal_group *which)
{
	(void)where;
	ck_assert_uint_eq((uintptr_t)which->bufs % 4096, 0);
	which->bundles = 1;
	opened++;
	return 0;
}

static inline void kernel_close(struct peal_ring *where,
				struct peal_group *which)
{
	(void)where;
	ck_assert_uint_eq(which->ops, 0);
	closed++;
}

static inline void open_group_with(uint32_t flags)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;

	kernel = *ring->engine;
	kernel.group_open = kernel_open;
	kernel.group_close = kernel_close;
	ring->engine = &kernel;
	head = 0;
	options.count = COUNT;
	options.buf_size = SIZE;
	options.flags = flags;
	ck_result(peal_group_open(ring, &group, &options), 0);
	ck_assert_uint_eq(opened, 1);
	ck_assert_int_eq(group->mode, GROUP_KERNEL);
}

static inline void open_group(void)
{
	open_group_with(0);
}

static inline uint16_t kernel_has(void)
{
	return (uint16_t)(group->bufs->tail - head);
}

/* The kernel takes the next buffer. */
static inline uint32_t kernel_takes(void)
{
	const struct peal__buf *buf = &group->bufs[head++ & (COUNT - 1)];

	ck_assert_uint_eq(buf->len, SIZE);
	ck_assert_uint_eq(buf->addr,
			  peal__addr(group->memory) + buf->id * SIZE);
	return buf->id;
}

static inline void brings(peal_op op, int32_t len, uint32_t id, uint32_t flags)
{
	script_complete((uint64_t)op, len,
			flags | PEAL__CQE_BUFFER | id << 16);
}

static void *kept[4096];
static unsigned kept_count;
static int64_t lengths[64];

static inline void on_keep(struct peal_ring *where,
		    const struct peal_completion *done)
{
	on_done(where, done);
	if (!done->buf)
		return;
	lengths[kept_count % 64] = done->result;
	kept[kept_count++] = done->buf;
}

static inline void give_back(unsigned at)
{
	peal_group_give_back(group, kept[at]);
	kept[at] = kept[--kept_count];
}

static inline peal_op receive(void)
{
	peal_op op = peal_recv_multishot(ring, 3, group, 0, 0, on_keep, NULL);

	ck_assert_int_gt(op, 0);
	script_turn();
	return op;
}

static inline void give_back_all(void)
{
	while (kept_count)
		give_back(0);
}

#endif
