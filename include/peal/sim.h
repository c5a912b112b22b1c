/* SPDX-License-Identifier: MIT */
/*
 * A simulated world: machines with disks and a network between them, a clock
 * and one seed. A program written on peal runs in it unchanged, as fast as the
 * processor allows, and every run can be had again from its seed.
 *
 *	peal_sim_open(&world, seed, NULL);
 *	server = peal_sim_node(world, "server");
 *	client = peal_sim_node(world, "client");
 *	peal_sim_program(server, start_server, stop_server, &state);
 *	peal_sim_program(client, start_client, stop_client, &state);
 *	peal_sim_fault(world, NULL, PEAL_SIM_SHORT, 50000);
 *	peal_sim_run(world, 60 * PEAL_S);
 *
 * World      Nodes, a clock (it starts at 1 s), the seed. Time passes only as
 *            things happen: a year in which nothing does costs nothing. It
 *            belongs to the thread that opened it, with all its rings.
 * Node       A machine: a file system, an address (10.0.0.1, 10.0.0.2, ... in
 *            the order made; its name resolves to it), a table of descriptors.
 *            Descriptors are numbers from PEAL_SIM_FIRST_FD on, so that none
 *            is mistaken for one of the real process.
 * Ring       Opened on a node: options.sim_node, or peal_sim_enter(). With
 *            PEAL_ENGINE=sim, or options.engine "sim", and no node named it is
 *            on the node "local" of a world of the thread's own (seed
 *            PEAL_SIM_SEED in the environment, else 1), which has no faults.
 * Running    peal_sim_run() turns the rings of all nodes, those that have
 *            something to do, in an order drawn from the seed, and moves the
 *            clock to the next event when none has. peal_ring_run() on one ring
 *            works too: while it waits the world goes on, but for the handlers
 *            of other rings.
 * Random     All chance is drawn from one generator (xoshiro256**, its state
 *            from the seed by splitmix64), peal_random() of its rings included.
 * The same   Same seed, same program, same calls: the same trace, byte for
 *            byte, whatever the compiler, its options and the machine.
 *            The program must take time (peal_ring_now()), randomness
 *            (peal_random()) and I/O from the ring, start no threads, and make
 *            no decision by the value of a pointer.
 *
 * What a disk keeps. Data is cached in sectors of 512 bytes until it is synced
 * (peal_sync(), O_DSYNC, ...), entries of a directory until that directory is.
 * A crash keeps, loses or tears each cached sector by itself, and undoes
 * changes of directories, the latest first; a rename happens or does not. A
 * sync that fails drops what it was to write: the next one succeeds, and the
 * data is there until the crash.
 *
 * Beside it a node has /dev/null, zero, full, random and urandom.
 *
 * What a network does. Streams arrive in order, in other pieces than they were
 * sent in; datagrams may be lost, doubled, overtaken. A node that crashed says
 * nothing: its peers learn it by a reset when it is back and they send.
 *
 * Sends without a copy (peal_send_zc()) take the bytes out of the buffer when
 * they arrive, and end then: a program that changes its buffer earlier sends
 * what it has put there, and peal_sim_reused() counts it. What is sent again
 * because a segment was lost, or a way cut, is taken then; after 15 minutes at
 * the latest. Where nothing takes time (a node to itself) they are copied at
 * once, as a kernel does.
 *
 * What cannot be had: descriptors for other loops (peal_ring_fd()), threads,
 * terminals, timerfd and its like, registered memory (an arena is plain), the
 * escape hatch of uring.h.
 */
#ifndef PEAL_SIM_H
#define PEAL_SIM_H

#include "peal/net.h"
#include "peal/op.h"

#ifdef __cplusplus
extern "C" {
#endif

struct peal_sim;		/* a world */
struct peal_sim_node;		/* a machine in it */

#define PEAL_SIM_FIRST_FD (1 << 20)

/* One step of the world. */
struct peal_sim_event {
	uint64_t number;	/* 1, 2, ... */
	uint64_t now_ns;
	const char *node;
	const char *what;	/* "start", "done", "crash", "boot", "fault",
				 * "arrived"; of sends without a copy: "notice",
				 * and "reused", see peal_sim_reused() */
	const char *op;		/* "read", ...; or the fault's name; or "" */
	int64_t fd;
	int64_t arg;		/* start: the length; done: the result */
	uint64_t op_handle;
};

typedef void peal_sim_trace(void *ctx, const struct peal_sim_event *event);

struct peal_sim_options {
	uint32_t size;		/* sizeof this struct: PEAL_SIM_OPTIONS */
	uint32_t flags;		/* 0 */
	uint64_t start_ns;	/* the first time; 0: 1 s */
	uint64_t turn_ns;	/* what a turn takes; 0: 1 us */
	peal_sim_trace *trace;	/* called for each event; NULL: nobody is */
	void *trace_ctx;
};

#define PEAL_SIM_OPTIONS { sizeof(struct peal_sim_options), 0, 0, 0, NULL, \
	NULL }

/* What can go wrong. What a node's disk does is drawn when it is done, what
 * the network does when a segment is sent. */
enum peal_sim_fault_kind {
	PEAL_SIM_SHORT,		/* a read, write, send or recv moves less */
	PEAL_SIM_EINTR,		/* an op ends with -EINTR, nothing done */
	PEAL_SIM_EAGAIN,	/* the same with -EAGAIN */
	PEAL_SIM_ENOMEM,	/* the same with -ENOMEM */
	PEAL_SIM_EMFILE,	/* what makes a descriptor: -EMFILE */
	PEAL_SIM_ENOSPC,	/* what needs room on the disk: -ENOSPC */
	PEAL_SIM_READ_EIO,
	PEAL_SIM_WRITE_EIO,
	PEAL_SIM_SYNC_EIO,	/* and what was cached is dropped */
	PEAL_SIM_WRITE_LOST,	/* said to be done, never on the medium */
	PEAL_SIM_WRITE_MISDIRECTED, /* ... at another place of the file */
	PEAL_SIM_WRITE_TORN,	/* some of its sectors only */
	PEAL_SIM_BIT_ROT,	/* a read finds a bit flipped, for good */
	PEAL_SIM_STUCK,		/* a disk op takes 1 to 30 s longer */
	PEAL_SIM_NEVER,		/* a disk op does not come back */
	PEAL_SIM_LATE,		/* its effect was long ago, it ends later */
	PEAL_SIM_UNCANCELLED,	/* a cancel comes too late (-EALREADY) */
	PEAL_SIM_MULTISHOT_END,	/* a multishot op ends after a good result */
	PEAL_SIM_CQ_FULL,	/* the completion queue counts as full once */
	PEAL_SIM_RESET,		/* a stream breaks when it is sent on */
	PEAL_SIM_SPLIT,		/* what is sent arrives in two parts */
	PEAL_SIM_SLOW,		/* a segment takes up to 1 s longer */
	PEAL_SIM_LOSS,		/* a datagram is lost; a segment sent again */
	PEAL_SIM_DOUBLE,	/* a datagram arrives twice */
	PEAL_SIM_OVERTAKE,	/* a datagram is overtaken */
	PEAL_SIM_REFUSE,	/* a connect meets a full backlog */
	PEAL_SIM_CRASH,		/* at an op's start or end: the node crashes */
	PEAL_SIM_NO_BUFFER,	/* a receive finds its group empty; it waits
				 * until one comes back, or up to 10 ms */
	PEAL_SIM_FAULTS
};

#define PEAL_SIM_MILLION 1000000u	/* per_million: always */

/*
 * Opens a world.
 *   out_world gets it
 *   seed      all that is random in it
 *   options   copied; NULL: PEAL_SIM_OPTIONS
 * Result     0
 * Errors     -ENOMEM; -EINVAL: options.size or flags
 * Lifetime   until peal_sim_close()
 * Thread     the caller's becomes the world's
 * Engines    sim
 * Memory     the C library's, as needed
 */
int peal_sim_open(struct peal_sim **out_world, uint64_t seed,
		  const struct peal_sim_options *options);

/*
 * Ends a world: every node crashes (see peal_sim_program()), and is gone.
 *   world    NULL: nothing happens
 * Result     none
 * Errors     none; a ring of it that is still open is misuse
 * Lifetime   nodes, files and descriptors are gone
 * Thread     the world's
 * Engines    sim
 * Memory     gives everything back
 */
void peal_sim_close(struct peal_sim *world);

/*
 * The node of that name; makes it, up, when there is none.
 *   name     copied; at most 31 characters count
 * Result     the node; NULL: no memory
 * Errors     none
 * Lifetime   of the world
 * Thread     the world's
 * Engines    sim
 * Memory     some KiB per node
 */
struct peal_sim_node *peal_sim_node(struct peal_sim *world, const char *name);

/*
 * Rings that this thread opens from now on are on node, unless their options
 * name an engine or a node.
 *   node     NULL: no longer
 * Result     none
 * Errors     none
 * Lifetime   until the next call, or the end of the world
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
void peal_sim_enter(struct peal_sim_node *node);

/*
 * The node a ring is on.
 * Result     the node; NULL when the engine is another
 * Errors     none
 * Lifetime   of the world
 * Thread     the ring's
 * Engines    sim
 * Memory     none
 */
struct peal_sim_node *peal_sim_node_of(struct peal_ring *ring);

/*
 * What runs on a node. boot starts it: now, and after each crash; while it
 * runs the node is entered, so it can open rings without naming it. halt is
 * called after a crash, and at the end of the world: the node's rings are dead
 * then, none of their handlers runs any more. It closes them (that succeeds at
 * once, and leaves what was in flight alone) and frees the program's memory.
 *   boot     may be NULL
 *   halt     may be NULL if boot opens no ring
 *   ctx      handed to both
 * Result     none
 * Errors     none
 * Lifetime   ctx: of the world
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
typedef void peal_sim_boot(struct peal_sim_node *node, void *ctx);
void peal_sim_program(struct peal_sim_node *node, peal_sim_boot *boot,
		      peal_sim_boot *halt, void *ctx);

/*
 * Runs the world: turns its rings, moves its clock.
 *   until_ns  a time on its clock; PEAL_FOREVER: while anything can happen
 * Result     0: nothing can happen any more before until_ns (and that is the
 *            time now, unless it is PEAL_FOREVER); 1: peal_sim_stop() was
 *            called
 * Errors     -EDEADLK: called inside it
 * Lifetime   nothing is lent
 * Thread     the world's; not inside a handler
 * Engines    sim
 * Memory     none
 */
int peal_sim_run(struct peal_sim *world, uint64_t until_ns);

/*
 * Makes peal_sim_run() return 1, after the handler that is running.
 * Result     none
 * Errors     none
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
void peal_sim_stop(struct peal_sim *world);

/*
 * The world's clock.
 * Result     nanoseconds
 * Errors     none
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
uint64_t peal_sim_now(struct peal_sim *world);

/*
 * A number from the world's generator, for what drives it: workloads, times of
 * crashes.
 *   bound    not 0
 * Result     0 to bound - 1
 * Errors     none
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
uint64_t peal_sim_random(struct peal_sim *world, uint64_t bound);

/*
 * A hash of all events so far: two runs with the same one went the same way.
 * Result     64 bits
 * Errors     none
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
uint64_t peal_sim_hash(struct peal_sim *world);

/*
 * How often something goes wrong.
 *   node        NULL: on every node, now and later
 *   kind        PEAL_SIM_SHORT, ...
 *   per_million chances where it can; 0: never
 * Result     none
 * Errors     none; a kind that is none is misuse
 * Lifetime   until it is set again
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
void peal_sim_fault(struct peal_sim *world, struct peal_sim_node *node,
		    enum peal_sim_fault_kind kind, uint32_t per_million);

/*
 * Lets something go wrong the nth time from now that it can; once.
 *   kind     PEAL_SIM_SHORT, ...
 *   nth      1: the next time; 0: not at all
 * Result     none
 * Errors     none; a kind that is none is misuse
 * Lifetime   until it has happened, or is set again
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
void peal_sim_fault_at(struct peal_sim_node *node,
		       enum peal_sim_fault_kind kind, uint64_t nth);

/*
 * Lets the nth op of a kind from now on end with error, undone; once.
 *   op       peal_opcode_name()'s: "write", "fsync", ...; not "nop"
 *   nth      1: the next one; 0: none
 *   error    a negative errno
 * Result     0
 * Errors     -EINVAL: no such op, or error is not negative
 * Lifetime   until it has happened, or is set again
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
int peal_sim_fail(struct peal_sim_node *node, const char *op, uint64_t nth,
		  int error);

/*
 * How often something has gone wrong on a node, or could have.
 *   kind     PEAL_SIM_SHORT, ...
 *   out_could gets how often it could have: the bound for peal_sim_fault_at();
 *            may be NULL
 * Result     a count
 * Errors     none; a kind that is none is misuse
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
uint64_t peal_sim_faults(struct peal_sim_node *node,
			 enum peal_sim_fault_kind kind, uint64_t *out_could);

/*
 * How many sends without a copy had other bytes in their buffer when these were
 * taken than when they were sent: the program changed what it had lent. 0 in a
 * correct program, whatever goes wrong around it.
 * Result     a count, since the node was made
 * Errors     none
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
uint64_t peal_sim_reused(struct peal_sim_node *node);

/*
 * Cuts or mends the way from one node to another; the way back is another one.
 * What is sent meanwhile is lost; streams send it again when it is mended.
 *   cut      1: nothing arrives; 0: as ever
 * Result     none
 * Errors     none
 * Lifetime   until it is set again
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
void peal_sim_cut(struct peal_sim_node *from, struct peal_sim_node *to,
		  int cut);

/*
 * Cuts the power of a node: between two handlers, or after the one that calls.
 * Disks keep what was synced, of the rest by chance.
 *   after_ns  from now until the node is up again; PEAL_FOREVER: it stays
 *             down until peal_sim_boot_now()
 * Result     none
 * Errors     none; on a node that is down it only sets the time
 * Lifetime   descriptors are gone; rings are dead: see peal_sim_program()
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
void peal_sim_crash(struct peal_sim_node *node, uint64_t after_ns);

/*
 * Brings a node up at once.
 * Result     none
 * Errors     none; on a node that is up nothing happens
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
void peal_sim_boot_now(struct peal_sim_node *node);

/*
 * Whether a node is up.
 * Result     1 or 0
 * Errors     none
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
int peal_sim_is_up(struct peal_sim_node *node);

/*
 * Record and replay: a run of the real world again.
 *
 * PEAL_RECORD=FILE in the environment records each ring that is opened on a
 * real engine: the first of the process in FILE, the others, in the order
 * opened, in FILE.2, FILE.3, ... A child that was forked when its parent had
 * rings has FILE.f1, FILE.f1.2, ...; a process that finds another one writing
 * FILE takes FILE.PID. Where the file cannot be written, peal_ring_open()
 * fails; when the disk is full, or the file as large as it may be, the record
 * ends there and the program goes on (peal_ring_engine_reason() and
 * peal_ring_explain() tell). PEAL_ENGINE=replay with PEAL_REPLAY=FILE replays
 * it, with the same program on a machine of the same kind: what ops give comes
 * from the file, in the same turns, and no op makes a system call.
 *
 * SECRETS    The file has every byte that the program read, passwords and keys
 *            among them. It is made for its user alone (0600): treat it as
 *            what is in it. A program that runs with more rights than its
 *            user's (setuid) is not recorded.
 * Recorded   entries, with a hash of the bytes and the path that they are
 *            given; completions with the bytes that they wrote; the calls of
 *            the pool, names of peal_resolve() among them; the clock; the seed
 *            of peal_random(); the posts of each turn and their threads; what
 *            was registered: arenas, direct descriptors, buffer groups.
 * Compared   what is started, in its order: op, descriptor, length, offset,
 *            flags, handle, bytes. At the first difference the ring fails with
 *            -EBADMSG: peal_ring_engine_reason() says the number of the frame,
 *            what was expected and what came, and so does FILE.report, which
 *            says "the same" after a replay to its end. The ring can be closed
 *            then, and calls no handler any more.
 * The end    The file is written once a turn, before handlers run. So what a
 *            program that was killed, or crashed in a handler, left behind is
 *            replayed up to there: then the ring fails with -ENODATA and says
 *            "the same up to frame N, where the record ends". A machine that
 *            loses power may lose more.
 * Posts      Other threads run for real; each post waits for its turn, at most
 *            10 s. A thread is known by what it posts first, and where several
 *            post the same by which was started first. A signal whose handler
 *            posts is to be sent to the replay as well, at any time before.
 * Threads    Rings of several threads have files of their own; a replay finds
 *            each thread's by how many were started before it and still run.
 * Raw        Entries of peal_uring_submit() are recorded. Of a few it is not
 *            known what they write: uring_cmd, read_multishot, waitid,
 *            recv_zc, epoll_wait, pipe, and receives into buffers that the
 *            program has registered itself. Where one of these ends well the
 *            replay fails with -EOPNOTSUPP and says so.
 * Not        what the program does by its own calls: it is done again. A peer
 *            that it reads by read(2) hears nothing, a port that bind(2) chose
 *            is another one (that is a difference), a file that an op wrote is
 *            not written. peal_uring_ring() is NULL in a replay, and the
 *            descriptor of peal_ring_fd() always readable.
 * Numbers    A descriptor that an op made (open, accept) has
 *            PEAL_SIM_FIRST_FD added in the replay, so that plain calls on it
 *            fail. Those that plain calls made are not compared, but for 0, 1
 *            and 2; what is written to 1 and 2 is written.
 * Cost       Without PEAL_RECORD a branch per post. With it, the bytes
 *            written, a hash and a copy per op, a system call for each op that
 *            gives bytes, 80 bytes per row that is used, a write(2) or more
 *            per turn, and one descriptor of a number from 256 on.
 */

#include "peal/sim_latency.h"
#include "peal/sim_node.h"

#ifdef __cplusplus
}
#endif
#endif
