/* SPDX-License-Identifier: MIT */
/*
 * How long things take in a simulated world. Without a word of it a disk takes
 * 20 to 200 us, the network 50 to 500 us. See peal/sim.h for what goes wrong on
 * top of it.
 */
#ifndef PEAL_SIM_LATENCY_H
#define PEAL_SIM_LATENCY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peal_sim_node;

/* What takes time. */
enum peal_sim_part {
	PEAL_SIM_DISK,		/* an op on a file: 20 to 200 us unless set.
				 * It sets the three below, too */
	PEAL_SIM_NET,		/* a segment or datagram from this node: 0 to
				 * itself, 50 to 500 us to others unless set */
	PEAL_SIM_DISK_READ,
	PEAL_SIM_DISK_WRITE,
	PEAL_SIM_DISK_SYNC,	/* and a write that syncs: O_DSYNC, ... */
	PEAL_SIM_PARTS
};

/*
 * How long things take: of most times little more than least_ns, of a few up
 * to most_ns (PEAL_SIM_FEW_LONG).
 *   part     PEAL_SIM_DISK, PEAL_SIM_NET, ...
 *   least_ns, most_ns  nanoseconds; more than 100 days are 100 days
 * Result     none
 * Errors     none; a part that is none is misuse
 * Lifetime   until it is set again
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
void peal_sim_latency(struct peal_sim_node *node, enum peal_sim_part part,
		      uint64_t least_ns, uint64_t most_ns);

/* How times are spread. None is less than least_ns or, with most_ns not 0,
 * more than that. */
enum peal_sim_shape {
	PEAL_SIM_FEW_LONG,	/* least_ns + (most_ns - least_ns) * u^3, where
				 * u is uniform between 0 and 1 */
	PEAL_SIM_CONSTANT,	/* least_ns */
	PEAL_SIM_UNIFORM,	/* from least_ns to most_ns, each as likely */
	PEAL_SIM_EXPONENTIAL,	/* from least_ns on; half are below median_ns,
				 * half of the rest below twice as far, ... */
	PEAL_SIM_LOG_NORMAL,	/* half are below median_ns, 99 of 100 below
				 * p99_ns; the tail is long: one of 10,000 is
				 * above median_ns * (p99_ns / median_ns)^1.6 */
	PEAL_SIM_TWO_POINT,	/* least_ns, but for slow_per_million: most_ns */
	PEAL_SIM_SHAPES
};

struct peal_sim_times {
	uint32_t size;		/* sizeof this struct: PEAL_SIM_TIMES */
	uint32_t shape;		/* enum peal_sim_shape */
	uint64_t least_ns, median_ns, p99_ns, most_ns;
	uint32_t slow_per_million;
	uint32_t flags;		/* 0 */
};

#define PEAL_SIM_TIMES { sizeof(struct peal_sim_times), 0, 0, 0, 0, 0, 0, 0 }

/*
 * How long things take, in a shape of your choice. An op or a segment draws as
 * much chance in each, so changing the times of one part does not change what
 * is drawn for others. (PEAL_SIM_STUCK, PEAL_SIM_NEVER and PEAL_SIM_SLOW come
 * on top.)
 *   part     PEAL_SIM_DISK, PEAL_SIM_NET, ...
 *   times    copied; what the shape does not name is ignored
 * Result     0
 * Errors     -EINVAL: times.size, shape or flags; least_ns above median_ns or
 *            most_ns, median_ns 0 (log-normal) or above p99_ns or most_ns; a
 *            time of more than 100 days; slow_per_million above a million.
 *            A part that is none is misuse
 * Lifetime   until it is set again
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
int peal_sim_latency_as(struct peal_sim_node *node, enum peal_sim_part part,
			const struct peal_sim_times *times);

#ifdef __cplusplus
}
#endif
#endif
