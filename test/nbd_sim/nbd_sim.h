/* SPDX-License-Identifier: MIT */
/*
 * peal-nbd on a simulated machine: clients that write, flush and read over a
 * simulated network, a server whose power is cut, disks and networks that
 * fail; all from a seed.
 *
 *   node.c    the server's node: starts peal-nbd, again after each crash
 *   client.c  connections that speak the protocol
 *   model.c   what each sector may hold
 *   world.c   one seed: trouble for a while, then none, then the truth
 *   main.c    many seeds
 *
 * The promise that is held to: what a flush (or FUA) has acknowledged is there
 * after any crash; what is read is what was written last; nothing comes back
 * that was never written; and without trouble everything goes on.
 */
#ifndef PEAL_TEST_NBD_SIM_H
#define PEAL_TEST_NBD_SIM_H

#include <stdint.h>
#include <stdio.h>
#include "examples/nbd/nbd.h"
#include "peal/sim.h"

enum {
	SECTOR = 512,
	SECTORS = 512,		/* the export: 256 KiB */
	MOST_SECTORS = 48,	/* of a request */
	CLIENTS = 3,
	DEPTH = 4		/* requests in flight on each connection */
};

struct sim_request {
	int used;
	int locked;		/* its sectors are */
	uint16_t type;		/* NBD_CMD_* */
	uint16_t flags;
	uint64_t cookie;
	uint32_t first, count;	/* sectors */
	uint64_t id;		/* of what a write brings */
	uint64_t acks;		/* a flush: writes acknowledged before it */
	uint64_t life;		/* of the server it was made for */
	struct sim_request *next;
	uint8_t bytes[NBD_REQUEST_LEN + MOST_SECTORS * SECTOR];
};

/* model.c */
void model_begin(struct peal_sim *world);
/* Something to do; 0: nothing now. */
int model_choose(struct sim_request *request);
/* The reply to a request; data is what a read brought. */
void model_answered(struct sim_request *request, uint32_t error,
		    const uint8_t *data);
/* It will have none: done, half done, not done, or done later. */
void model_unanswered(struct sim_request *request);
void model_crashed(void);
void model_quiet(void);		/* no more writes: only what settles */
int model_is_quiet(void);
int model_is_settled(void);	/* every sector is known and durable */
void model_check_all(const uint8_t *bytes); /* the file at the end */

/* client.c */
void clients_begin(struct peal_sim *world, struct peal_sim_node *node);
uint64_t clients_answers(void);

/* node.c */
struct peal_sim_node *node_begin(struct peal_sim *world);
uint64_t node_crashes(void);
uint64_t node_down_ns(void);	/* how long it has been; 0: it is up */

/* world.c: 0: it held; else 1, and what it said is on standard error. */
struct outcome {
	uint64_t answers, crashes, sim_ns, hash;
};

int world_run(uint64_t seed, struct outcome *out);
extern int verbose, watched;
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void broken(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

#endif
