/* SPDX-License-Identifier: MIT */
/*
 * peal-nbd's own header: every structure, and what the files offer each other.
 *
 * One thread, one ring. Handlers only note what happened and put their
 * connection on the server's work list; at the end of the turn of the ring,
 * connection_work() sends what is ready and parses what has arrived. So no
 * function ever re-enters another, and all replies that finished in one turn
 * leave in one send.
 *
 *   connection  HELLO -> OPTIONS -> TRANSMISSION -> (draining) -> closing
 *                    -> free
 *   request     free -> executing (and receiving, for a write)
 *                    [-> waiting for a sync] -> ready -> sent -> free
 *
 * Memory is fixed at start: connections, their request slots and receive
 * buffers, and one pool of chunks that all requests with data draw from. A
 * request that is longer than a chunk passes through in pieces. Whoever finds
 * no slot or no chunk stops receiving: that is the back-pressure.
 */
#ifndef NBD_NBD_H
#define NBD_NBD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <peal.h>
#include "proto.h"

#define NBD_VERSION "0.1.0"

enum {
	/* What nbdcopy and most kernels ask for at most in one request. */
	CHUNK_LEN = 256 * 1024,
	/* Before each chunk: room for the reply header, so that header and
	 * data leave as one piece. A whole page keeps the data aligned for
	 * O_DIRECT and spreads the chunks over the sets of the caches. */
	CHUNK_HEADROOM = 4096,
	CHUNK_STRIDE = CHUNK_LEN + CHUNK_HEADROOM,
	/* Chunks that one long request uses at a time: while one is on the
	 * wire, the other is at the disk. */
	CHUNKS_PER_REQUEST = 2,
	RECEIVE_LEN = 128 * 1024,
	/* Payload still missing above this goes straight to its chunk. */
	RECEIVE_DIRECT_MIN = 16 * 1024,
	/* Pieces and bytes of one send: enough to make its cost small, little
	 * enough to give chunks back early. */
	SEND_PIECES = 64,
	SEND_LEN = 512 * 1024,
	EXPORT_NAME_MAX = 255,
	HANDSHAKE_TEXT_LEN = 1024,
	LISTENERS_MAX = 16,
};

enum exit_code {
	EXIT_OK = 0,
	EXIT_START = 1,		/* file, socket, memory or ring */
	EXIT_USAGE = 2,
	EXIT_SYNC = 3,		/* data may be lost: the last sync failed */
};

struct options {
	const char *file;
	const char *unix_path;
	const char *bind;
	int port;		/* < 0: no TCP */
	const char *export;
	const char *run;
	unsigned flags;		/* OPT_* */
	uint32_t slots;
	uint32_t max_connections;
	uint64_t max_memory;
	uint32_t max_request;
	uint64_t handshake_ns;
	uint64_t stall_ns;
	uint64_t idle_ns;	/* PEAL_FOREVER: never */
	uint64_t shutdown_ns;
};

#define OPT_READ_ONLY	(1u << 0)
#define OPT_DIRECT	(1u << 1)

/* A piece of a long request, or the whole of a short one. */
struct chunk {
	struct request *request;
	uint8_t *data;		/* CHUNK_LEN bytes; NULL: none held */
	uint32_t len;		/* to be transferred by this use of it */
	uint32_t fill;		/* of them received (write) */
	uint32_t offset;	/* in the request */
	enum { CHUNK_IDLE, CHUNK_BUSY, CHUNK_READY } state;
};

struct request {
	struct connection *conn;
	struct request *next;	/* free list, ready queue or sync list */
	uint64_t cookie;
	uint64_t offset;
	uint32_t length;
	uint16_t type;
	uint16_t flags;
	uint32_t error;		/* the protocol's number */
	uint32_t refs;		/* what is under way: see request.c */
	uint32_t begun;		/* bytes that got a chunk */
	uint32_t done;		/* bytes zeroed, or given to a send */
	enum { ZERO_PUNCH, ZERO_RANGE, ZERO_WRITE } zero;
	bool queued;		/* in the ready queue, or past it */
	bool header_sent;	/* the reply has begun: too late for an error */
	bool answered;		/* the last piece is in a send */
	uint8_t header[NBD_REPLY_LEN];
	struct chunk chunk[CHUNKS_PER_REQUEST];
};

struct piece {
	struct request *request;
	struct chunk *chunk;	/* NULL: a header alone */
};

struct connection {
	struct server *server;
	struct connection *next_free;
	struct connection *next_work;
	struct connection *next_waiting;
	peal_fd fd;
	bool active;		/* not in the free list */
	bool on_work_list;
	bool waiting;		/* for a chunk, on the pool's list */
	bool draining;		/* takes no more requests; answers, then ends */
	bool closing;		/* ends now */
	bool no_zeroes;
	bool receiving;
	bool sending;
	enum { PHASE_HELLO, PHASE_OPTIONS, PHASE_TRANSMISSION } phase;

	/* received, not yet parsed: [start, end) of receive_buf */
	uint8_t *receive_buf;
	uint32_t start;
	uint32_t end;
	struct chunk *direct;	/* the receive in flight goes to this chunk */
	uint64_t skip;		/* bytes to drop before the next parse */
	struct request *in;	/* the write whose payload is arriving */
	struct chunk *in_chunk;	/* where it goes; NULL: none yet */
	uint32_t in_left;	/* of its payload */
	uint64_t receive_due_ns;/* the unit being received must be whole then */
	uint64_t handshake_due_ns;

	uint32_t options_seen;
	uint8_t text[HANDSHAKE_TEXT_LEN];

	/* requests */
	struct request *free_slots;
	uint32_t refs;		/* ops and requests that point here */
	uint32_t in_flight;	/* requests */
	uint32_t chunks;	/* held */

	/* replies */
	struct request *ready_first, *ready_last;
	struct msghdr message;
	uint32_t piece_first, piece_count;
	uint64_t send_due_ns;	/* these pieces must be gone then */
	struct piece pieces[SEND_PIECES];
	struct iovec iov[SEND_PIECES];

	uint64_t requests;	/* answered or being answered */
	char name[64];		/* for the log */
};

/* Chunks. Each connection can always have one; the rest is shared. */
struct pool {
	uint8_t *memory;
	size_t size;
	uint8_t **free;
	uint32_t free_count;
	uint32_t count;
	uint32_t shared_left;
	struct connection *first_waiting, *last_waiting;
};

struct backing {
	peal_fd fd;
	uint64_t size;
	uint32_t block_min;
	bool block_device;
	bool no_punch;		/* the file system said so */
	bool no_zero_range;
	bool short_read_seen;
	bool write_probed;	/* write_flags are right for this file */
	unsigned write_flags;	/* 0 or PEAL_ASYNC */
	struct iovec probe;
	int64_t sync_error;	/* sticky: the first failed sync */
	unsigned sync_retries;
	struct request *sync_waiting, *sync_last, *syncing;
};

struct listener {
	struct server *server;
	peal_fd fd;
	bool accepting;
	bool backing_off;
	bool troubled;		/* said so already */
	peal_op sleep;
};

struct counters {
	uint64_t connections, refused, dropped;
	uint64_t requests, reads, writes, flushes, zeroes, trims, caches;
	uint64_t failed, syncs, sends, receives;
	uint64_t bytes_read, bytes_written;
};

struct server {
	const struct options *options;
	struct peal_ring *ring;
	struct backing backing;
	struct pool pool;
	struct listener listeners[LISTENERS_MAX];
	uint32_t listener_count;
	struct connection *connections;
	struct connection *free_connections;
	uint32_t active;
	struct connection *work_first, *work_last;
	struct peal_after_turn work;
	uint8_t *receive_memory;
	struct request *slot_memory;
	uint16_t flags;		/* transmission flags */
	enum { SERVING, STOPPING, SYNCING, CLOSING_FILE, STOPPED } state;
	uint64_t stop_due_ns;
	int exit_code;
	struct counters counters;

	/* signals and --run */
	peal_fd signal_fd;
	struct signalfd_siginfo signal;
	peal_op signal_read;
	pid_t child;		/* 0: none */

	/* the URI, and what to remove at the end */
	char uri[3 * (EXPORT_NAME_MAX + sizeof(struct sockaddr_un)) + 64];
	char unix_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char temp_dir[64];
};

/* options.c */
int options_parse(struct options *out_options, int argc, char **argv);

/* log.c: one line each on standard error, "peal-nbd: ..." */
enum log_level { LOG_ERRORS, LOG_NORMAL, LOG_VERBOSE };
void log_set_level(enum log_level level);
bool log_is_verbose(void);
void log_error(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_verbose(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
/* What a client sent, fit for a log: "..." where it is long, ? for what is not
 * printable. Returns out, of LOG_TEXT_LEN bytes. */
enum { LOG_TEXT_LEN = 80 };
const char *log_text(char *out, const uint8_t *text, size_t len);
/* About a client, limited to a few lines per second. */
void log_client(const struct connection *conn, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* listen.c */
int listen_open(struct server *server);
void listen_close(struct server *server);

/* process.c: signals, and the command of --run */
int process_open_signals(struct server *server);
int process_watch_signals(struct server *server);
int process_run(struct server *server);

/* server.c */
int server_open(struct server *server);
void server_start(struct server *server);	/* takes clients from now on */
int server_serve(struct server *server);	/* does so until the end */
void server_stop(struct server *server);
void server_print_stats(struct server *server);
void server_work(struct server *server, struct connection *conn);
void server_resume_accept(struct server *server);

/* backing.c: the file */
int backing_open(struct server *server);
void backing_sync(struct server *server, struct request *request);
bool backing_retry_sync(struct backing *backing, int64_t result);

/* pool.c */
int pool_open(struct pool *pool, uint64_t bytes, uint32_t reserved);
uint8_t *pool_take(struct connection *conn);
void pool_give(struct connection *conn, uint8_t *data);
void pool_wait(struct connection *conn);
void pool_forget(struct connection *conn);

/* connection.c */
enum step {
	STEP_AGAIN,		/* parsed something: call again */
	STEP_RECEIVE,		/* more bytes are needed */
	STEP_WAIT,		/* for a slot, a chunk, or a send to finish */
};
void connection_open(struct connection *conn, peal_fd fd);
void connection_work(struct connection *conn);
void connection_drop(struct connection *conn);
void connection_fail(struct connection *conn);
void connection_release(struct connection *conn);
bool connection_is_quiet(const struct connection *conn);

/* handshake.c */
void handshake_begin(struct connection *conn);
enum step handshake_step(struct connection *conn);

/* request.c */
enum step request_step(struct connection *conn);
void request_fail(struct request *request, int64_t error);
void request_synced(struct request *request, int64_t result);
void request_unref(struct request *request);
void request_release(struct request *request);

/* transfer.c: READ and WRITE */
void transfer_read(struct request *request);
void transfer_sent(struct request *request, struct chunk *chunk);
enum step transfer_payload(struct connection *conn);
void transfer_received(struct connection *conn, uint32_t len);

/* ranges.c: WRITE_ZEROES, TRIM, CACHE */
void range_zero(struct request *request);
void range_trim(struct request *request);
void range_cache(struct request *request);

/* reply.c */
void reply_queue(struct request *request);
void reply_send(struct connection *conn);
void reply_abandon(struct connection *conn);

#endif
