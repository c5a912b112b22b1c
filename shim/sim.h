/* SPDX-License-Identifier: MIT */
/*
 * Inside the simulated world: what the files sim*.c share.
 *
 *   world --< node --< file number --> open file --> inode, or socket
 *         --< ring --< op  (in the world's queue of events, or in the list of
 *                           those that wait for an open file)
 *
 * Nothing here looks at the value of a pointer, or at memory that was not
 * written: the same seed must give the same run in every build.
 */
#ifndef PEAL_SHIM_SIM_H
#define PEAL_SHIM_SIM_H

#include "lib/random.h"
#include "lib/soft.h"
#include "lib/start.h"
#include "peal/sim.h"

#define SIM_WAIT	INT64_MIN	/* a try: not yet */
#define SIM_SECTOR	512u
#define SIM_NAME	32u
#define SIM_CHUNK	128u		/* ops that are allocated at once */
#define SIM_FAIL	PEAL_SIM_FAULTS	/* peal_sim_fail()'s, in the record */
#define SIM_FDS		65536u		/* a node's descriptors at most */

struct sim_file;
struct sim_inode;
struct sim_rights;
struct sim_sock;
struct sim_op;

/* --- events: sim_world.c ------------------------------------------------- */

/* In a pairing heap by due, then age: no memory, no equal keys. */
struct sim_event {
	uint64_t due_ns;
	uint64_t number;
	void (*fire)(struct peal_sim *world, struct sim_event *event);
	struct sim_event *child, *next, *prev;	/* prev: parent, for a first */
	uint8_t queued;
};

struct sim_fail {
	uint64_t left;
	int error;
};

/* peal_sim_latency_as() */
struct sim_times {
	uint64_t least_ns, median_ns, most_ns;
	uint32_t spread;		/* sim_latency.c */
	uint32_t slow;			/* per million */
	uint8_t shape;
};

struct sim_change;

struct peal_sim_node {
	struct peal_sim *world;
	struct peal_sim_node *next;
	char name[SIM_NAME];
	uint32_t index;			/* 1, 2, ...: 10.0.0.index */
	uint8_t up;
	uint8_t doomed;			/* crashes when the step is over */
	uint8_t halt_due;
	peal_sim_boot *boot, *halt;
	void *ctx;
	uint64_t down_ns;		/* of the crash that is due */
	struct sim_event boot_event;
	uint64_t boots;

	struct sim_file **fds;
	uint32_t fd_room, fd_first;	/* no free number below fd_first */
	uint32_t fd_most;

	struct sim_inode *inodes;	/* all, newest first */
	struct sim_inode *root;
	struct sim_change *log, *log_last; /* of directories, not synced */
	uint64_t next_change;
	uint64_t next_inode;
	uint64_t disk_bytes, disk_used;	/* 0: no limit */
	uint32_t dio_align;
	uint32_t mask;			/* umask */
	uint32_t uid, gid;		/* of its programs */
	uint8_t asks;			/* an op runs: sim_access.c */

	struct sim_sock *socks;		/* all of this node */
	uint16_t next_port;

	struct sim_times times[PEAL_SIM_PARTS];
	uint8_t net_set;
	uint32_t rate[PEAL_SIM_FAULTS];
	uint64_t at[PEAL_SIM_FAULTS];
	uint64_t could[PEAL_SIM_FAULTS];
	uint64_t did[PEAL_SIM_FAULTS];
	uint64_t reused;		/* buffers that were lent */
	struct sim_fail fail[PEAL__OP_COUNT];
};

struct sim_cut {
	struct peal_sim_node *from, *to;
	struct sim_cut *next;
};

struct peal_sim {
	uint64_t now;
	uint64_t turn_ns;
	struct peal__random random;
	struct sim_event *heap;
	uint64_t next_event;
	struct peal_sim_node *nodes, *last_node;
	uint32_t node_count;
	struct sim_ring *rings, *last_ring;
	uint32_t ring_count;
	struct sim_cut *cuts;
	struct sim_packet *parked, *parked_last; /* wait for a way */
	uint32_t rate[PEAL_SIM_FAULTS];
	uint64_t hash;
	uint64_t traced;
	peal_sim_trace *trace;
	void *trace_ctx;
	struct sim_rights *dropped;
	struct sim_file *woken, *woken_last;	/* linked by woken_next */
	uint32_t tables;		/* of direct descriptors, so far */
	uint32_t doomed;		/* nodes */
	uint32_t halts;			/* nodes whose halt is due */
	uint8_t running;
	uint8_t stop;
	uint8_t dropping;		/* what is in dropped */
};

void peal__sim_event_add(struct peal_sim *world, struct sim_event *event,
		   uint64_t due_ns,
		   void (*fire)(struct peal_sim *, struct sim_event *));
void peal__sim_event_remove(struct peal_sim *world, struct sim_event *event);
/* Fires all that is due at due_ns, and moves the clock there. */
void peal__sim_pass(struct peal_sim *world, uint64_t due_ns);
/* Fires the next event, if it is due by due_ns. 0: there was none. */
int peal__sim_step(struct peal_sim *world, uint64_t due_ns);
void peal__sim_doom(struct peal_sim_node *node, uint64_t down_ns);
void peal__sim_crash_doomed(struct peal_sim *world);
struct peal_sim_node *peal__sim_local(void);	/* the thread's own world's */

enum sim_what { SIM_START, SIM_DONE, SIM_FAULT, SIM_CRASHED, SIM_BOOTED,
		SIM_ARRIVED, SIM_NOTICE, SIM_REUSED };
void peal__sim_tell(struct peal_sim_node *node, enum sim_what what, unsigned op,
	      int64_t fd, int64_t arg, uint64_t handle);

/* --- chance: sim_fault.c ------------------------------------------------- */

int peal__sim_fault(struct peal_sim_node *node, enum peal_sim_fault_kind kind);
const char *peal__sim_fault_name(unsigned kind);

static inline uint64_t sim_random(struct peal_sim *world)
{
	return peal__random_next(&world->random);
}

static inline uint64_t sim_below(struct peal_sim *world, uint64_t bound)
{
	return peal__random_below(&world->random, bound);
}

/* --- how long things take: sim_latency.c --------------------------------- */

void peal__sim_latency_begin(struct peal_sim_node *node);
/* Of random only the low 32 bits count. */
uint64_t peal__sim_latency(const struct peal_sim_node *node,
			   enum peal_sim_part part, uint64_t random);

/* --- ops: sim_op.c; the engine: sim.c ------------------------------------ */

enum sim_op_state {
	OP_FREE,
	OP_TIMED,		/* its event is queued */
	OP_WAITS,		/* in file->waits */
	OP_ENDING,		/* its event is queued, its result is known */
	OP_LENT			/* it has ended, but its buffer is in use */
};

struct sim_op {
	struct sim_event event;
	struct peal_ring *ring;
	struct sim_file *file;		/* held */
	struct sim_file *file_in;	/* splice, copy: held */
	struct sim_file *waits_for;	/* one of the two */
	struct sim_op *next, *prev;	/* file->waits */
	struct sim_op *ring_next, *ring_prev;
	int64_t result;
	uint64_t progress;		/* MSG_WAITALL, and what try needs */
	uint32_t row;
	uint8_t state;
	uint8_t done;			/* its effect is: result */
	uint8_t starved;		/* multishot: waits for room */
	struct sim_packet *lent;	/* on their way, out of its buffer */
	uint8_t was_lent, changed, told; /* sim_zc.c */
};

struct sim_ring {
	struct peal__soft soft;
	struct peal_ring *ring;
	struct peal_sim_node *node;
	struct sim_ring *next, *prev;
	struct sim_op **chunks;		/* by row / SIM_CHUNK; made when used */
	struct sim_op *active;		/* all in flight */
	uint32_t starved;
	struct sim_file **slots;	/* direct descriptors */
	uint32_t slot_count, slot_first; /* no free one below slot_first */
	struct sim_event fed;		/* the end of PEAL_SIM_NO_BUFFER */
};

static inline struct sim_ring *sim_ring_of(struct peal_ring *ring)
{
	return ring->engine_state;
}

static inline struct peal_sim_node *sim_node_of(const struct sim_op *op)
{
	return sim_ring_of(op->ring)->node;
}

static inline struct peal__sqe *sim_sqe(const struct sim_op *op)
{
	return &op->ring->jobs[op->row].sqe;
}

static inline void *sim_pointer(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

/* The descriptor of an entry, for the record: a slot without its table's base,
 * which is counted by the process. */
static inline int64_t sim_told_fd(const struct peal__sqe *sqe)
{
	if (sqe->opcode == PEAL__OP_CLOSE && sqe->file_index)
		return PEAL__DIRECT_FD + (int64_t)sqe->file_index - 1;
	return sqe->flags & PEAL__SQE_FIXED_FILE
		       ? PEAL__DIRECT_FD + (int64_t)sqe->fd : sqe->fd;
}

/* Only what can never be memory is found out. */
static inline int sim_unmapped(uint64_t addr)
{
	return addr < 4096;
}

void peal__sim_start(struct peal_ring *ring, const struct peal__sqe *sqe);
/* What waits, once more. 1: it has ended. */
int peal__sim_try(struct sim_op *op);
void peal__sim_let_go(struct sim_op *op);	/* without a word */
void peal__sim_unwait(struct sim_op *op);	/* out of all lists of others */
/* The op's terminal completion. */
void peal__sim_finish(struct sim_op *op, int64_t result);
/* Something happened to a file (POLLIN, ...): what waits for it is tried when
 * this step is over. */
void peal__sim_wake(struct sim_file *file, unsigned events);
/* Ends a step: the wakes, then the crashes. */
void peal__sim_settle(struct peal_sim *world);
void peal__sim_ring_lose(struct peal_ring *ring);

/* --- zero-copy sends: sim_zc.c ------------------------------------------- */

static inline int sim_is_zc(unsigned opcode)
{
	return opcode == PEAL__OP_SEND_ZC || opcode == PEAL__OP_SENDMSG_ZC;
}

/* The op table has the waits of those that shims try: not these two. */
static inline unsigned sim_waits(unsigned opcode)
{
	return sim_is_zc(opcode) ? WAITS_WRITABLE
				 : peal__op_row(opcode)->waits;
}

/* Its result is known; the notice comes now or later. */
void peal__sim_zc_sent(struct sim_op *op, int64_t result);
void peal__sim_zc_forget(struct sim_op *op);	/* the op goes at once */

/* --- open files: sim_file.c ---------------------------------------------- */

enum sim_kind { SIM_FILE, SIM_DIR, SIM_SOCK, SIM_DEVICE };

struct sim_file {
	uint32_t refs;			/* numbers, and ops in flight */
	uint8_t kind;
	int flags;			/* O_* */
	uint64_t position;
	struct sim_inode *inode;
	struct sim_sock *sock;
	struct peal_sim_node *node;
	struct sim_op *first, *last;	/* what waits */
	struct sim_file *woken_next;	/* counted in refs */
	unsigned woken;			/* POLL*: what happened */
};

struct sim_file *peal__sim_file_new(struct peal_sim_node *node,
				    enum sim_kind kind, int flags);
struct sim_file *peal__sim_file_get(struct peal_sim_node *node, int fd);
int peal__sim_fd_new(struct peal_sim_node *node, struct sim_file *file);
int peal__sim_fd_room(struct peal_sim_node *node); /* 0: there is a number */
int peal__sim_fd_close(struct peal_sim_node *node, int fd);
void peal__sim_file_hold(struct sim_file *file);
void peal__sim_file_drop(struct sim_file *file);
void peal__sim_fds_close(struct peal_sim_node *node);	/* a crash */

/* --- direct descriptors: sim_direct.c ----------------------------------- */

int peal__sim_files_open(struct peal_ring *ring, uint32_t count);
void peal__sim_files_close(struct peal_ring *ring);
void peal__sim_files_drop(struct peal_ring *ring, uint32_t slot);
void peal__sim_slots_close(struct sim_ring *sim);
struct sim_file *peal__sim_slot(const struct sim_ring *sim, uint32_t slot);
/* For the descriptor that an op makes: is there a number? (0 or -errno); puts
 * it there, a number or a slot, and has the reference then; the error when
 * there is no place. */
int peal__sim_has_place(const struct sim_op *op);
int peal__sim_place(struct sim_op *op, struct sim_file *file);
int peal__sim_no_place(const struct peal__sqe *sqe);
int peal__sim_install(struct sim_op *op);
int peal__sim_register(struct sim_op *op);
int peal__sim_close(struct sim_ring *sim, const struct peal__sqe *sqe);
int peal__sim_refuses_slot(unsigned opcode);

/* --- disks: sim_disk.c, sim_data.c, sim_path.c -------------------------- */

struct sim_page;

struct sim_inode {
	struct sim_inode *next, *prev;	/* of the node */
	struct peal_sim_node *node;
	uint64_t number;
	uint32_t mode;			/* S_IF*, permissions */
	uint32_t uid, gid;
	uint32_t links;
	uint32_t refs;			/* open files, changes, walks */
	uint64_t size;
	uint64_t stable_size;		/* on the medium */
	uint64_t changed_ns, modified_ns;
	struct sim_page **pages;	/* a hash table by index */
	uint64_t page_room, page_count, pages_mapped;
	struct sim_page *dirty, *dirty_last;
	char *target;			/* of a symbolic link */
	struct sim_entry *entries;	/* of a directory, sorted by age */
	struct sim_entry *last_entry;
	struct sim_inode *parent;	/* of a directory */
	uint64_t next_cookie;		/* of a directory's entries */
	struct sim_sock *bound;		/* of a socket */
	struct sim_file *ends[2];	/* of a FIFO: to read, to write */
	uint64_t opens[2];		/* of them, ever */
	uint8_t device;			/* its minor */
	uint64_t mark;			/* peal__sim_dir_sync() */
};

/* A name in a directory. */
struct sim_entry {
	struct sim_entry *next, *prev;
	struct sim_inode *inode;
	uint64_t cookie;
	char name[];
};

int peal__sim_disk_open(struct peal_sim_node *node);
void peal__sim_disk_close(struct peal_sim_node *node);
void peal__sim_disk_crash(struct peal_sim_node *node);
struct sim_inode *peal__sim_inode_new(struct peal_sim_node *node,
				      uint32_t mode);
void peal__sim_inode_hold(struct sim_inode *inode);
void peal__sim_inode_drop(
	struct sim_inode *inode); /* frees without name, refs */

int64_t peal__sim_data_read(struct sim_inode *inode, void *buf, uint64_t len,
		      uint64_t offset);
int64_t peal__sim_data_write(struct sim_inode *inode, const void *buf,
			     uint64_t len, uint64_t offset);
int peal__sim_data_resize(struct sim_inode *inode, uint64_t size);
int peal__sim_data_punch(struct sim_inode *inode, uint64_t offset,
			 uint64_t len);
int peal__sim_data_map(struct sim_inode *inode, uint64_t offset, uint64_t len);
int64_t peal__sim_data_seek(struct sim_inode *inode, uint64_t offset, int hole);
void peal__sim_data_sync(struct sim_inode *inode);	/* and its size */
void peal__sim_data_drop_dirty(struct sim_inode *inode); /* a failed sync */
void peal__sim_data_crash(struct sim_inode *inode);
void peal__sim_data_free(struct sim_inode *inode);
/* Marks what was written so that it never gets to the medium. */
void peal__sim_data_lose(struct sim_inode *inode, uint64_t offset,
			 uint64_t len);
uint64_t peal__sim_data_unsynced(const struct sim_inode *inode);
void peal__sim_data_rot(struct sim_inode *inode, uint64_t offset, uint64_t len);

int64_t peal__sim_disk_try(struct sim_op *op);	/* ops on open files */
enum peal_sim_part peal__sim_disk_part(const struct sim_op *op);
int64_t peal__sim_space_try(struct sim_op *op);	/* the rarer ones of them */
int64_t peal__sim_path_try(struct sim_op *op);	/* ops by name */
void peal__sim_stat_fill(const struct sim_inode *inode, void *out_stat);

void peal__sim_dir_sync(struct sim_inode *dir);
/* A name that was always there; NULL: no memory. */
struct sim_inode *peal__sim_dir_plant(struct sim_inode *dir, const char *name,
				      uint32_t mode);
struct sim_entry *peal__sim_dir_find(struct sim_inode *dir, const char *name,
			       size_t len);
/* Lets name in dir mean inode, or nothing (NULL): a change that a crash can
 * undo, with all others of the same transaction. 0 or -ENOMEM. */
int peal__sim_dir_set(struct sim_inode *dir, const char *name,
		struct sim_inode *inode, uint64_t transaction);
uint64_t peal__sim_dir_begin(struct peal_sim_node *node);
/* The last part of a path may be missing (-ENOENT, *out_dir is set then; else
 * NULL) or a link that is followed. name has 256 bytes. */
int peal__sim_walk(struct peal_sim_node *node, struct sim_inode *from,
	     const char *path, int follow, struct sim_inode **out_dir,
	     char *name, struct sim_inode **out);
int peal__sim_open_path(struct peal_sim_node *node, struct sim_inode *from,
			const char *path, int flags, uint32_t mode,
			struct sim_file **out);
/* Makes name mean a new inode of that kind. */
int peal__sim_make(struct peal_sim_node *node, struct sim_inode *from,
	     const char *path, uint32_t mode, struct sim_inode **out);

/* --- sim_access.c: 0, -EACCES or -EPERM -------------------------------- */

#define SIM_MAY_SEARCH	1u
#define SIM_MAY_WRITE	2u
#define SIM_MAY_READ	4u

void peal__sim_own(struct sim_inode *inode);	/* by whoever makes it */
int peal__sim_may(const struct sim_inode *inode, unsigned want);
int peal__sim_may_open(const struct sim_inode *inode, int flags);
int peal__sim_may_remove(const struct sim_inode *dir,
			 const struct sim_inode *inode);
int peal__sim_may_bind(const struct peal_sim_node *node, uint16_t port);

/* --- sim_device.c, sim_fifo.c -------------------------------------------- */

int peal__sim_devices_make(struct peal_sim_node *node);
int64_t peal__sim_device_read(struct sim_file *file, void *buf, uint64_t len);
int64_t peal__sim_device_write(struct sim_file *file, uint64_t len);

/* One end of it, held. */
int peal__sim_fifo_end(struct sim_inode *inode, int flags,
		       struct sim_file **out);
void peal__sim_fifo_closed(struct sim_file *file);
/* An open that has its end: the descriptor, or SIM_WAIT for the other end, and
 * after that again. */
int64_t peal__sim_fifo_open(struct sim_op *op, struct sim_file *file);
int64_t peal__sim_fifo_again(struct sim_op *op);

/* --- networks: sim_net.c and more, see sim_net.h ------------------------- */

int64_t peal__sim_net_try(struct sim_op *op);
void peal__sim_sock_close(struct sim_sock *sock);	/* its file is gone */
void peal__sim_net_crash(struct peal_sim_node *node);
void peal__sim_net_boot(struct peal_sim_node *node);
void peal__sim_net_forget(struct peal_sim *world);	/* what is parked */
int peal__sim_is_cut(struct peal_sim *world, const struct peal_sim_node *from,
	       const struct peal_sim_node *to);
int64_t peal__sim_resolve(struct sim_op *op);

#endif
