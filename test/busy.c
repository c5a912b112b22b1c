/* SPDX-License-Identifier: MIT */
/* See busy.h. What it starts depends on nothing that it is given, so that a
 * damaged record is followed for as long as it can be. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "peal/direct.h"
#include "peal/group.h"
#include "peal/memory.h"
#include "peal/net.h"
#include "peal/work.h"
#include "test/busy.h"

#define MUST(holds)							\
	do {								\
		if (!(holds))						\
			broken(#holds, __LINE__);			\
	} while (0)

enum { OPS = 256, BUFFERS = 4, BUFFER = 64, TURNS = 500, FDS = 16,
       ROOM = 8 };	/* of a group, for an address and for control data */

struct seen {
	int64_t most;		/* that the result may be */
	char *room;		/* the op's own, freed at the end */
	struct peal_group *group;
	int terminal, is_fd, has_head;
};

char busy_reason[512];

static struct peal_ring *ring;
static struct seen seen[OPS];
static unsigned started, ended;
static int real, failed, fds[FDS];
static uint64_t latest;
static char group_memory[BUFFERS * BUFFER], out[BUFFERS];
static char path[256], other[256], directory[256];

/* Descriptors by what they are. */
enum { FILE_RW, FILE_DIR, STREAM, STREAM_PEER, PACKETS, PACKETS_PEER, LISTENER,
       PIPE_OUT, PIPE_IN, CLIENT, CLIENT2, TO_CLOSE };

static _Noreturn void broken(const char *what, int line)
{
	fprintf(stderr, "busy.c:%d: not so: %s\n", line, what);
	abort();
}

/* A sanitizer sees what is not to be read. */
static void look_at(const void *data, size_t len)
{
	static volatile unsigned char sum;
	const unsigned char *at = data;

	while (len--)
		sum = (unsigned char)(sum + *at++);
}

/* --- what comes ----------------------------------------------------------- */

static void take_buffer(struct seen *of, const struct peal_completion *done)
{
	size_t at = (size_t)((char *)done->buf - group_memory);
	struct peal_message message;

	MUST(at < sizeof group_memory && at % BUFFER == 0);
	MUST(!out[at / BUFFER] && done->result <= BUFFER);
	out[at / BUFFER] = 1;
	look_at(done->buf, (size_t)done->result);
	if (!of->has_head ||
	    peal_group_message(of->group, done, &message) < 0)
		return;
	look_at(message.data, message.len);
	if (message.addr)
		look_at(message.addr, message.addr_len < ROOM
					      ? message.addr_len : ROOM);
	look_at(message.control, message.control_len);
}

static void on_seen(struct peal_ring *where,
		    const struct peal_completion *done)
{
	struct seen *of = done->ctx;
	uint64_t now = peal_ring_now(where);

	MUST(where == ring && !of->terminal && done->result <= of->most);
	MUST(now >= latest);
	latest = now;
	if (!(done->flags & PEAL_MORE)) {
		of->terminal = 1;
		ended++;
	}
	if (done->buf && of->group)
		take_buffer(of, done);
	else if (done->buf)
		MUST(!of->room || (size_t)((char *)done->buf - of->room) <=
					  (size_t)of->most);
	else if (of->room && done->result > 0)
		look_at(of->room, (size_t)done->result);
	if (of->is_fd && done->result >= 0)
		peal_close(ring, (peal_fd)done->result, 0, NULL, NULL);
}

static struct seen *next(int64_t most, size_t room)
{
	struct seen *of = &seen[started];

	MUST(started + 1 < OPS);
	*of = (struct seen){ .most = most };
	if (room)
		of->room = calloc(1, room);
	return of;
}

static peal_op count(peal_op op)
{
	if (op < 0) {
		seen[started].terminal = 1;
		ended++;
	}
	started++;
	return op;
}

static int all_ended(void)
{
	return ended == started;
}

static int one_is_left(void)
{
	return ended + 1 >= started;
}

static void turn_until(int (*holds)(void))
{
	unsigned turns;

	for (turns = 0; !failed && !holds() && turns < TURNS; turns++) {
		int rc = peal_ring_turn(ring, 10 * PEAL_MS);

		if (rc < 0 && rc != -ETIME && rc != -EINTR)
			failed = rc;
	}
}

static void give_back(struct peal_group *group)
{
	unsigned i;

	for (i = 0; i < BUFFERS; i++)
		if (out[i])
			peal_group_give_back(group, group_memory + i * BUFFER);
	memset(out, 0, sizeof out);
}

/* --- what it does --------------------------------------------------------- */

#define START(of, call) ((void)(of), count(call))
#define DONE on_seen, of

static peal_op read_some(int fd, size_t len, uint64_t off, int full)
{
	struct seen *of = next((int64_t)len, len);

	return START(of, full ? peal_read_full(ring, fd, of->room, len, off, 0,
					       DONE)
			      : peal_read(ring, fd, of->room, len, off, 0,
					  DONE));
}

static peal_op recv_some(int fd, size_t len)
{
	struct seen *of = next((int64_t)len, len);

	return START(of, peal_recv(ring, fd, of->room, len, 0, 0, DONE));
}

static void send_some(int fd, size_t len)
{
	static const char text[64] = "what is sent";
	struct seen *of = next((int64_t)len, 0);

	START(of, peal_send(ring, fd, text, len, 0, 0, DONE));
}

static void read_and_write(void)
{
	static char head[10], tail[30];
	static char text[40] = "what is written";
	static struct iovec iov[2] = { { head, 10 }, { tail, 30 } };
	static const struct iovec from[2] = { { text, 20 }, { text, 20 } };
	struct seen *of;

	read_some(fds[FILE_RW], 10, 0, 0);
	read_some(fds[FILE_RW], 500, 0, 1);
	of = next(40, 0);
	START(of, peal_readv(ring, fds[FILE_RW], iov, 2, 7, 0, 0, DONE));
	of = next(12, 0);
	START(of, peal_write_full(ring, fds[FILE_RW], "twelve bytes", 12, 0, 0,
				  DONE));
	of = next(40, 0);
	START(of, peal_writev(ring, fds[FILE_RW], from, 2, 0, 0, 0, DONE));
	turn_until(all_ended);
	peal_cancel(ring, read_some(fds[FILE_RW], 10, 0, 0), 0, NULL, NULL);
	of = next(0, 0);
	START(of, peal_sync(ring, fds[FILE_RW], 0, DONE));
	of = next(100, 0);
	START(of, peal_splice(ring, fds[FILE_RW], 0, fds[PIPE_IN],
			      PEAL_CURRENT, 100, 0, 0, DONE));
	turn_until(all_ended);
}

static void names(void)
{
	struct seen *of = next(INT32_MAX, 0);

	START(of, peal_open(ring, PEAL_CWD, path, O_RDONLY, 0, 0, DONE));
	of->is_fd = 1;
	of = next(0, sizeof(struct peal_stat));
	START(of, peal_stat(ring, PEAL_CWD, path, 0, PEAL_STAT_BASIC,
			    (void *)of->room, 0, DONE));
	of = next(0, sizeof(struct peal_statfs));
	START(of, peal_statfs(ring, directory, (void *)of->room, 0, DONE));
	of = next(512, 512);
	START(of, peal_read_dir(ring, fds[FILE_DIR], of->room, 512, 0, DONE));
	of = next(INT64_MAX, 0);
	START(of, peal_seek_hole(ring, fds[FILE_RW], 0, 0, DONE));
	turn_until(all_ended);
	of = next(0, 0);
	START(of, peal_rename(ring, PEAL_CWD, path, PEAL_CWD, other, 0, 0,
			      DONE));
	of = next(0, 0);
	START(of, peal_close_drained(ring, fds[TO_CLOSE], 0, DONE));
	turn_until(all_ended);
}

static void resolve(void)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_CANONNAME };
	struct addrinfo *list = NULL, *at;
	struct seen *of = next(0, 0);

	START(of, peal_resolve(ring, "127.0.0.1", "80", &hints, &list, 0,
			       DONE));
	turn_until(all_ended);
	for (at = list; at; at = at->ai_next) {
		if (at->ai_addr)
			look_at(at->ai_addr, at->ai_addrlen);
		if (at->ai_canonname)
			look_at(at->ai_canonname, strlen(at->ai_canonname));
	}
	if (list)
		freeaddrinfo(list);
}

struct letter {
	struct msghdr msg;
	struct iovec iov;
	struct sockaddr_in addr;
	char control[32], text[16];
};

static void messages(void)
{
	struct seen *of = next(16, sizeof(struct letter));
	struct letter *letter = (void *)of->room;

	letter->iov = (struct iovec){ letter->text, 16 };
	letter->msg = (struct msghdr){ &letter->addr, sizeof letter->addr,
				       &letter->iov, 1, letter->control,
				       sizeof letter->control, 0 };
	START(of, peal_recvmsg(ring, fds[PACKETS_PEER], &letter->msg, 0, 0,
			       DONE));
	send_some(fds[PACKETS], 16);
	turn_until(all_ended);
	MUST(letter->msg.msg_controllen <= sizeof letter->control);
	peal_cancel(ring, recv_some(fds[PACKETS_PEER], 20), 0, NULL, NULL);
	peal_deadline(ring, recv_some(fds[STREAM], 20), PEAL_MS, 0);
	of = next(12, 0);
	START(of, peal_send_zc(ring, fds[CLIENT2], "twelve bytes", 12, 0, 0,
			       DONE));
	of = next(0xffff, 0);
	START(of, peal_poll(ring, fds[STREAM], POLLOUT, 0, DONE));
	turn_until(all_ended);
}

static void clients(void)
{
	static struct sockaddr_in addr;
	static socklen_t len;
	struct sockaddr_in name = { .sin_family = AF_INET };
	socklen_t name_len = sizeof name;
	struct seen *of = next(INT32_MAX, 0);

	len = sizeof addr;
	START(of, peal_accept(ring, fds[LISTENER], (void *)&addr, &len, 0,
			      DONE));
	of->is_fd = 1;
	if (real && (getsockname(fds[LISTENER], (void *)&name, &name_len) < 0 ||
		     connect(fds[CLIENT], (void *)&name, name_len) < 0))
		return;
	turn_until(all_ended);
	of = next(INT32_MAX, 0);
	START(of, peal_accept_multishot(ring, fds[LISTENER], 0, DONE));
	of->is_fd = 1;
	if (real && connect(fds[CLIENT2], (void *)&name, name_len) < 0)
		return;
	of = next(INT32_MAX, 0);
	START(of, peal_sleep(ring, 2 * PEAL_MS, 0, DONE));
	turn_until(one_is_left);
}

static void cancel_all(void)
{
	peal_cancel_all(ring, 0, NULL, NULL);
	turn_until(all_ended);
}

/* kind 0: one; 1: many; 2: messages; 3: bundles of them. */
static void receive(struct peal_group *group, int kind)
{
	int from = kind == 2 ? PACKETS_PEER : STREAM_PEER;
	struct seen *of = next(BUFFERS * BUFFER, 0);
	int round;

	of->group = group;
	of->has_head = kind == 2;
	if (kind == 2)
		START(of, peal_recvmsg_multishot(ring, fds[from], group, 0, 0,
						 DONE));
	else if (kind)
		START(of, peal_recv_multishot(ring, fds[from], group, 0,
					      kind == 3 ? PEAL_BUNDLE : 0,
					      DONE));
	else
		START(of, peal_recv_group(ring, fds[from], group, 0, 0, DONE));
	for (round = 0; round < 2; round++) {
		send_some(fds[from - 1], kind == 3 ? 64 : 12);
		send_some(fds[from - 1], kind == 3 ? 60 : 10);
		turn_until(one_is_left);
		give_back(group);
	}
	cancel_all();
	give_back(group);
}

static void groups(void)
{
	struct peal_group_options options = PEAL_GROUP_OPTIONS;
	struct peal_group *group;
	struct seen *of;
	int kind;

	options.count = BUFFERS;
	options.buf_size = BUFFER;
	options.memory = group_memory;
	options.addr_room = options.control_room = ROOM;
	if (failed || peal_group_open(ring, &group, &options) < 0)
		return;
	for (kind = 0; kind < 4; kind++)
		receive(group, kind);
	of = next(0, 0);
	START(of, peal_group_close(ring, group, 0, DONE));
	turn_until(all_ended);
}

static void slots(void)
{
	struct seen *of = next(INT32_MAX, 0);

	START(of, peal_open(ring, PEAL_CWD, other, O_RDONLY, 0, PEAL_DIRECT,
			    DONE));
	of->is_fd = 1;
	of = next(INT32_MAX, 0);
	START(of, peal_fd_register(ring, fds[FILE_RW], 0, DONE));
	of->is_fd = 1;
	of = next(INT32_MAX, 0);
	START(of, peal_socket(ring, AF_INET, SOCK_STREAM, 0, 0, DONE));
	of->is_fd = 1;
	turn_until(all_ended);
}

static void on_posted(struct peal_ring *where, void *ctx)
{
	MUST(where == ring && ctx == &ended);
	ended++;
}

static void others(struct peal_arena *arena)
{
	struct seen *of = next(100, 0);
	void *memory = arena ? peal_arena_alloc(arena, 100, 64) : NULL;

	if (memory)
		START(of, peal_read(ring, fds[FILE_RW], memory, 100, 0, 0,
				    DONE));
	peal_random(ring);
	started += peal_post(ring, on_posted, &ended) == 0;
	of = next(0, 0);
	START(of, peal_nop(ring, 0, DONE));
	turn_until(all_ended);
	if (memory)
		peal_arena_free(arena, memory);
}

static void program(struct peal_arena *arena)
{
	read_and_write();
	names();
	resolve();
	clients();
	cancel_all();
	messages();
	groups();
	slots();
	others(arena);
	cancel_all();
}

/* --- its ring ------------------------------------------------------------- */

static int run(const char *engine, const char *disable)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;
	struct peal_arena_options room = PEAL_ARENA_OPTIONS;
	struct peal_arena *arena = NULL;
	int rc, closed, i;

	options.engine = engine;
	options.disable = disable;
	options.entries = 8;
	options.max_ops = 64;
	options.direct_fds = 4;
	options.pool_threads = 2;
	options.zc_bytes = 1;
	started = ended = 0;
	failed = 0;
	latest = 0;
	rc = peal_ring_open(&ring, &options);
	if (rc < 0) {
		snprintf(busy_reason, sizeof busy_reason, "%s",
			 peal_open_reason());
		return rc;
	}
	room.flags = PEAL_ARENA_PLAIN_OK | PEAL_ARENA_SMALL_PAGES |
		     PEAL_ARENA_SLABS;
	room.bytes = 1 << 20;
	if (peal_arena_open(&arena, &room) == 0)
		peal_arena_register(ring, arena, 0);
	program(arena);
	snprintf(busy_reason, sizeof busy_reason, "%s",
		 failed ? peal_ring_engine_reason(ring) : "");
	/* A record may say that the engine's wait failed, and again. A real
	 * ring may be on a machine that has other things to do. */
	for (i = 0; (closed = peal_ring_close(ring, real ? 60 * PEAL_S
							 : PEAL_S)) < 0; i++) {
		failed = failed ? failed : closed;
		MUST(i < TURNS);
	}
	if (arena)
		MUST(peal_arena_close(arena) == 0);
	for (i = 0; i < OPS; i++)
		free(seen[i].room);
	memset(seen, 0, sizeof seen);
	return failed;
}

/* A replay waits 10 s for a post that does not come: here they pass at once.
 * For programs that are linked with --wrap=peal__clock. */
uint64_t __wrap_peal__clock(void);
uint64_t __wrap_peal__clock(void)
{
	static uint64_t now;
	struct timespec ts;

	if (!real)
		return now += 6 * PEAL_S;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * PEAL_S + (uint64_t)ts.tv_nsec;
}

/* --- the world ------------------------------------------------------------ */

static int open_all(void)
{
	static const char text[600] = "what is in the file";
	struct sockaddr_in any = { .sin_family = AF_INET };
	int i;

	fds[FILE_RW] = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	fds[TO_CLOSE] = dup(fds[FILE_RW]);
	fds[FILE_DIR] = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds[LISTENER] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fds[CLIENT] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fds[CLIENT2] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, &fds[STREAM]) < 0 ||
	    socketpair(AF_UNIX, SOCK_DGRAM, 0, &fds[PACKETS]) < 0 ||
	    pipe(&fds[PIPE_OUT]) < 0 ||
	    bind(fds[LISTENER], (void *)&any, sizeof any) < 0 ||
	    listen(fds[LISTENER], 8) < 0 ||
	    write(fds[FILE_RW], text, sizeof text) != sizeof text)
		return -errno;
	for (i = 0; i <= TO_CLOSE; i++)
		if (fds[i] < 0)
			return -EMFILE;
	return 0;
}

static void begin(const char *dir, int is_real)
{
	int i;

	snprintf(directory, sizeof directory, "%s", dir);
	snprintf(path, sizeof path, "%s/busy", dir);
	snprintf(other, sizeof other, "%s/busy.other", dir);
	real = is_real;
	for (i = 0; i < FDS; i++)
		fds[i] = is_real ? -1 : 1000 + i;
}

int busy_record(const char *file, const char *engine, const char *disable,
		const char *dir)
{
	int rc, i;

	begin(dir, 1);
	rc = open_all();
	setenv("PEAL_RECORD", file, 1);
	if (rc == 0)
		rc = run(engine, disable);
	unsetenv("PEAL_RECORD");
	for (i = 0; i < TO_CLOSE; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	unlink(path);
	unlink(other);
	return rc;
}

int busy_replay(const char *file, const char *dir)
{
	int rc;

	begin(dir, 0);
	setenv("PEAL_REPLAY", file, 1);
	rc = run("replay", NULL);
	unsetenv("PEAL_REPLAY");
	return rc;
}
