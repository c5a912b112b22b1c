/* SPDX-License-Identifier: MIT */
/*
 * One start of each public op on a scene, with arguments drawn from a seed:
 * good ones, odd ones and wrong ones. The same seed draws the same arguments,
 * whatever the engine.
 */
#ifndef PEAL_TEST_SCENE_CALLS_H
#define PEAL_TEST_SCENE_CALLS_H

#include <netdb.h>
#include "test/proof.h"
#include "test/scene.h"

#define CALL_BUF 65536

struct run {
	struct peal_ring *ring;
	struct scene scene;	/* its fd is the op's */
	struct scene other;	/* of ops on two descriptors */
	uint64_t random;
	peal_handler *handler;
	size_t most;		/* bytes in one call */
	char said[512];		/* the arguments */

	/* Lent to the op. */
	struct iovec iov[2];
	struct msghdr msg;
	struct sockaddr_storage addr;
	socklen_t addr_len;
	union {
		struct peal_stat stat;
		struct peal_statfs statfs;
	} out;
	struct addrinfo hints, *list;
	_Alignas(8) char buf[CALL_BUF];
};

#define PICK(run, array)						\
	(array)[proof_random(&(run)->random) %				\
		(sizeof(array) / sizeof(*(array)))]
#define SAY(run, ...)							\
	snprintf((run)->said + strlen((run)->said),			\
		 sizeof((run)->said) - strlen((run)->said), __VA_ARGS__)

static inline unsigned one_in(struct run *run, unsigned n)
{
	return proof_random(&run->random) % n == 0;
}

static inline unsigned flags_of(struct run *run)
{
	unsigned flags = one_in(run, 6) ? PEAL_ASYNC : 0;

	if (one_in(run, 30))
		flags |= 1u << 20;
	if (flags)
		SAY(run, " flags %#x", flags);
	return flags;
}

static inline uint64_t offset_of(struct run *run)
{
	static const uint64_t all[] = {
		0, 0, 3, 10, 1000, PEAL_CURRENT, PEAL_CURRENT, PEAL_CURRENT,
		(uint64_t)-2, INT64_MAX, INT64_MAX - 3, UINT64_C(1) << 63
	};
	uint64_t offset = PICK(run, all);

	SAY(run, " offset %lld", (long long)offset);
	return offset;
}

static inline size_t len_of(struct run *run)
{
	static const size_t all[] = { 4, 4, 0, 1, 10, 100, CALL_BUF };
	size_t len = PICK(run, all);

	if (len > run->most)
		len = run->most;
	SAY(run, " len %zu", len);
	return len;
}

/* A sanitizer looks at what a call is given. */
static inline void *buf_of(struct run *run)
{
	if (!PROOF_SLOW && one_in(run, 12)) {
		SAY(run, " buf 1");
		return (void *)1;
	}
	return run->buf;
}

static inline struct iovec *iov_of(struct run *run, unsigned *count)
{
	static const unsigned counts[] = { 2, 2, 1, 0, 1025 };

	*count = PICK(run, counts);
	run->iov[0] = (struct iovec){ run->buf, one_in(run, 3) ? 0 : 3 };
	run->iov[1] = (struct iovec){ run->buf + 100, one_in(run, 3) ? 0 : 5 };
	SAY(run, " parts %u of %zu and %zu", *count, run->iov[0].iov_len,
	    run->iov[1].iov_len);
	return run->iov;
}

static inline const char *path_of(struct run *run)
{
	static char too_long[300];
	static const char *const all[] = {
		"f", "ro", "secret", "d", "d/in", "empty", "none", "none/x",
		"link", "dangling", "loop", "missing", "missing/x", "f/x", "",
		".", "..", "d/", "f/", "new", "d/new", too_long, "/"
	};
	const char *path;

	memset(too_long, 'x', sizeof(too_long) - 1);
	path = PICK(run, all);
	SAY(run, " \"%.20s\"", path);
	return path;
}

/* Where a path begins: in the tree, or at the descriptor. */
static inline int dir_of(struct run *run)
{
	if (one_in(run, 3)) {
		SAY(run, " at the descriptor");
		return run->scene.fd;
	}
	return one_in(run, 3) ? PEAL_CWD : run->scene.dir;
}

static inline int msg_flags_of(struct run *run)
{
	static const int all[] = { 0, 0, 0, MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL,
				   MSG_OOB, MSG_TRUNC, MSG_EOR, 0x10000000 };
	int flags = PICK(run, all);

	SAY(run, " msg_flags %#x", (unsigned)flags);
	return flags;
}

#define CALL(name) static inline peal_op call_##name(struct run *run)
#define END flags_of(run), run->handler, run

/* --- bytes --------------------------------------------------------------- */

#define CALL_BYTES(name)						\
	CALL(name)							\
	{								\
		void *buf = buf_of(run);				\
		size_t len = len_of(run);				\
		uint64_t offset = offset_of(run);			\
									\
		return peal_##name(run->ring, run->scene.fd, buf, len,	\
				   offset, END);			\
	}
CALL_BYTES(read)
CALL_BYTES(write)
CALL_BYTES(read_full)
CALL_BYTES(write_full)

#define CALL_PARTS(name)						\
	CALL(name)							\
	{								\
		static const unsigned all[] = {				\
			0, 0, RWF_NOWAIT, RWF_DSYNC, RWF_HIPRI,		\
			RWF_APPEND, 0x8000000				\
		};							\
		unsigned count, rw_flags = PICK(run, all);		\
		struct iovec *iov = iov_of(run, &count);		\
		uint64_t offset = offset_of(run);			\
									\
		SAY(run, " rw_flags %#x", rw_flags);			\
		return peal_##name(run->ring, run->scene.fd, iov, count, \
				   offset, rw_flags, END);		\
	}
CALL_PARTS(readv)
CALL_PARTS(writev)

#define CALL_MESSAGE(name)						\
	CALL(name)							\
	{								\
		int msg_flags = msg_flags_of(run);			\
		unsigned count;						\
									\
		run->msg = (struct msghdr){ .msg_iov = iov_of(run, &count) }; \
		run->msg.msg_iovlen = count;				\
		return peal_##name(run->ring, run->scene.fd, &run->msg,	\
				   msg_flags, END);			\
	}
CALL_MESSAGE(recvmsg)
CALL_MESSAGE(sendmsg)

#define CALL_SOCKET_BYTES(name)						\
	CALL(name)							\
	{								\
		void *buf = buf_of(run);				\
		size_t len = len_of(run);				\
		int msg_flags = msg_flags_of(run);			\
									\
		return peal_##name(run->ring, run->scene.fd, buf, len,	\
				   msg_flags, END);			\
	}
CALL_SOCKET_BYTES(recv)
CALL_SOCKET_BYTES(send)
CALL_SOCKET_BYTES(send_full)

/* The other end of a splice is a pipe with room, or whatever. */
static inline int other_of(struct run *run, int want_in)
{
	enum scene_kind kind = want_in ? PIPE_IN_DATA : PIPE_OUT;

	if (one_in(run, 3))
		kind = (enum scene_kind)(proof_random(&run->random) %
					 SCENE_KINDS);
	SAY(run, " and %s", scene_names[kind]);
	scene_begin(&run->other, run->scene.dir, kind);
	return run->other.fd;
}

CALL(splice)
{
	static const unsigned all[] = { 0, 0, 0, SPLICE_F_NONBLOCK, 1, 0x1000 };
	unsigned splice_flags = PICK(run, all);
	size_t len = len_of(run);
	int out = one_in(run, 2), other = other_of(run, out);
	int from = out ? other : run->scene.fd;
	uint64_t a = offset_of(run), b = offset_of(run);

	SAY(run, " %s it, splice_flags %#x", out ? "into" : "from",
	    splice_flags);
	return peal_splice(run->ring, from, a, out ? run->scene.fd : other, b,
			   len, splice_flags, END);
}

CALL(copy_range)
{
	int other = other_of(run, 0);
	uint64_t a = offset_of(run), b = offset_of(run);

	return peal_copy_range(run->ring, run->scene.fd, a, other, b,
			       len_of(run), END);
}

/* --- files --------------------------------------------------------------- */

CALL(sync) { return peal_sync(run->ring, run->scene.fd, END); }
CALL(datasync) { return peal_datasync(run->ring, run->scene.fd, END); }

static inline uint64_t range_of(struct run *run)
{
	static const uint64_t all[] = { 4, 0, 4096, 100000, UINT64_MAX,
					INT64_MAX };
	uint64_t len = PICK(run, all);

	SAY(run, " range %lld", (long long)len);
	return len;
}

CALL(sync_range)
{
	static const unsigned all[] = { 0, 1, 7, 8, 0x100 };
	unsigned sync_flags = PICK(run, all);
	uint64_t offset = offset_of(run), len = range_of(run);

	SAY(run, " sync_flags %#x", sync_flags);
	return peal_sync_range(run->ring, run->scene.fd, offset, len,
			       sync_flags, END);
}

#define CALL_RANGE(name)						\
	CALL(name)							\
	{								\
		uint64_t offset = offset_of(run), len = range_of(run);	\
									\
		return peal_##name(run->ring, run->scene.fd, offset, len, \
				   END);				\
	}
CALL_RANGE(allocate)
CALL_RANGE(punch)
CALL_RANGE(zero_range)

CALL(truncate)
{
	static const uint64_t all[] = { 4, 0, 100, UINT64_MAX,
					UINT64_C(1) << 62 };
	uint64_t len = PICK(run, all);

	SAY(run, " to %lld", (long long)len);
	return peal_truncate(run->ring, run->scene.fd, len, END);
}

CALL(advise)
{
	int advice = (int)(proof_random(&run->random) % 8);
	uint64_t offset = offset_of(run), len = range_of(run);

	SAY(run, " advice %d", advice);
	return peal_advise(run->ring, run->scene.fd, offset, len, advice, END);
}

CALL(stat)
{
	static const unsigned all[] = { 0, 0, PEAL_STAT_EMPTY_PATH,
					PEAL_STAT_NOFOLLOW, 0x40000000 };
	static const unsigned masks[] = { PEAL_STAT_BASIC, 0, 0x80000000 };
	unsigned at_flags = PICK(run, all), mask = PICK(run, masks);
	int dirfd = dir_of(run);

	SAY(run, " at_flags %#x mask %#x", at_flags, mask);
	return peal_stat(run->ring, dirfd, path_of(run), at_flags, mask,
			 &run->out.stat, END);
}

CALL(open)
{
	static const int all[] = {
		O_RDONLY, O_RDWR, O_WRONLY, O_RDWR | O_CREAT,
		O_RDWR | O_CREAT | O_EXCL, O_WRONLY | O_TRUNC, O_DIRECTORY,
		O_NOFOLLOW, O_PATH, O_RDWR | O_NONBLOCK, O_ACCMODE, O_APPEND
	};
	int open_flags = PICK(run, all), dirfd = dir_of(run);

	SAY(run, " open_flags %#x", (unsigned)open_flags);
	return peal_open(run->ring, dirfd, path_of(run), open_flags, 0640, END);
}

CALL(rename)
{
	unsigned at_flags = one_in(run, 4) ? RENAME_NOREPLACE
					   : one_in(run, 8) ? 0x100 : 0;
	int from = dir_of(run), to = dir_of(run);
	const char *old = path_of(run), *new = path_of(run);

	SAY(run, " rename_flags %#x", at_flags);
	return peal_rename(run->ring, from, old, to, new, at_flags, END);
}

CALL(link)
{
	unsigned at_flags = one_in(run, 4) ? AT_SYMLINK_FOLLOW
					   : one_in(run, 8) ? 0x4000 : 0;
	int from = dir_of(run), to = dir_of(run);
	const char *old = path_of(run), *new = path_of(run);

	SAY(run, " at_flags %#x", at_flags);
	return peal_link(run->ring, from, old, to, new, at_flags, END);
}

CALL(symlink)
{
	int dirfd = dir_of(run);

	return peal_symlink(run->ring, path_of(run), dirfd, path_of(run), END);
}

CALL(unlink)
{
	static const unsigned all[] = { 0, 0, PEAL_REMOVE_DIR, 0x8000 };
	unsigned at_flags = PICK(run, all);
	int dirfd = dir_of(run);

	SAY(run, " at_flags %#x", at_flags);
	return peal_unlink(run->ring, dirfd, path_of(run), at_flags, END);
}

CALL(mkdir)
{
	int dirfd = dir_of(run);

	return peal_mkdir(run->ring, dirfd, path_of(run), 0750, END);
}

CALL(close) { return peal_close(run->ring, run->scene.fd, END); }
CALL(close_drained)
{
	return peal_close_drained(run->ring, run->scene.fd, END);
}

CALL(read_dir)
{
	static const size_t all[] = { 4096, 4096, 10, 0 };
	size_t len = PICK(run, all);

	SAY(run, " len %zu", len);
	return peal_read_dir(run->ring, run->scene.fd, run->buf, len, END);
}

/* Of what the tests stand on; a path would begin at the working directory. */
CALL(statfs)
{
	return peal_statfs(run->ring, path_of(run), &run->out.statfs, END);
}

CALL(seek_data)
{
	return peal_seek_data(run->ring, run->scene.fd, offset_of(run), END);
}

CALL(seek_hole)
{
	return peal_seek_hole(run->ring, run->scene.fd, offset_of(run), END);
}

/* --- sockets -------------------------------------------------------------- */

CALL(socket)
{
	static const int domains[] = { AF_INET, AF_UNIX, AF_INET6, -1, 200 };
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET,
				     SOCK_STREAM | SOCK_NONBLOCK, 77 };
	int domain = PICK(run, domains), type = PICK(run, types);
	int protocol = one_in(run, 3) ? 99 : 0;

	SAY(run, " %d %#x %d", domain, (unsigned)type, protocol);
	return peal_socket(run->ring, domain, type, protocol, END);
}

/* The listener's own, nobody's, one of a wrong family, one cut short. */
static inline void draw_address(struct run *run)
{
	static const char *const said[] = { "its own", "any port", "nobody's",
					    "no family", "cut short" };
	struct sockaddr_in *addr = (struct sockaddr_in *)&run->addr;
	unsigned what = (unsigned)(proof_random(&run->random) % 5);

	loopback(addr, what == 2 ? htons(1) : 0);
	run->addr_len = sizeof(*addr);
	if (what == 0 && run->scene.addr_len)
		run->addr = run->scene.addr;
	if (what == 3)
		addr->sin_family = 99;
	if (what == 4)
		run->addr_len = 3;
	SAY(run, " address %s", said[what]);
}

CALL(bind)
{
	draw_address(run);
	if (((struct sockaddr_in *)&run->addr)->sin_port == htons(1))
		loopback((struct sockaddr_in *)&run->addr, 0);
	return peal_bind(run->ring, run->scene.fd, (void *)&run->addr,
			 run->addr_len, END);
}

CALL(connect)
{
	draw_address(run);
	return peal_connect(run->ring, run->scene.fd, (void *)&run->addr,
			    run->addr_len, END);
}

CALL(listen)
{
	int backlog = one_in(run, 2) ? 4 : -1;

	return peal_listen(run->ring, run->scene.fd, backlog, END);
}

CALL(accept)
{
	int with = one_in(run, 2);

	run->addr_len = one_in(run, 3) ? 3 : sizeof(run->addr);
	SAY(run, " %s address", with ? "with" : "without");
	return peal_accept(run->ring, run->scene.fd,
			   with ? (void *)&run->addr : NULL,
			   with ? &run->addr_len : NULL, END);
}

CALL(accept_multishot)
{
	return peal_accept_multishot(run->ring, run->scene.fd, END);
}

CALL(shutdown)
{
	int how = (int)(proof_random(&run->random) % 4);

	SAY(run, " how %d", how);
	return peal_shutdown(run->ring, run->scene.fd, how, END);
}

/* --- the rest ------------------------------------------------------------- */

#define CALL_POLL(name)							\
	CALL(name)							\
	{								\
		static const unsigned all[] = {				\
			POLLIN, POLLOUT, POLLIN | POLLOUT, POLLPRI, 0,	\
			POLLRDHUP, POLLHUP				\
		};							\
		unsigned events = PICK(run, all);			\
									\
		SAY(run, " events %#x", events);			\
		return peal_##name(run->ring, run->scene.fd, events, END); \
	}
CALL_POLL(poll)
CALL_POLL(poll_multishot)

CALL(nop) { return peal_nop(run->ring, END); }

CALL(resolve)
{
	static const char *const hosts[] = { "127.0.0.1", "::1", "300.1.1.1",
					     "no host" };
	static const char *const services[] = { NULL, "80", "no service" };
	const char *host = PICK(run, hosts), *service = PICK(run, services);

	run->hints = (struct addrinfo){
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_family = one_in(run, 5) ? 200 : one_in(run, 3) ? AF_INET
								   : AF_UNSPEC,
		.ai_socktype = one_in(run, 5) ? 88 : SOCK_STREAM,
	};
	SAY(run, " %s %s family %d type %d", host, service ? service : "-",
	    run->hints.ai_family, run->hints.ai_socktype);
	return peal_resolve(run->ring, host, service, &run->hints, &run->list,
			    END);
}

#define ROW(name) { #name, call_##name }
static const struct call {
	const char *name;
	peal_op (*start)(struct run *run);
} scene_calls[] = {
	ROW(read), ROW(write), ROW(read_full), ROW(write_full), ROW(readv),
	ROW(writev), ROW(recvmsg), ROW(sendmsg), ROW(recv), ROW(send),
	ROW(send_full), ROW(splice), ROW(copy_range), ROW(sync),
	ROW(datasync), ROW(sync_range), ROW(allocate), ROW(punch),
	ROW(zero_range), ROW(truncate), ROW(advise), ROW(stat), ROW(open),
	ROW(rename), ROW(link), ROW(symlink), ROW(unlink), ROW(mkdir),
	ROW(close), ROW(close_drained), ROW(read_dir), ROW(statfs),
	ROW(seek_data), ROW(seek_hole), ROW(socket), ROW(bind), ROW(connect),
	ROW(listen), ROW(accept), ROW(accept_multishot), ROW(shutdown),
	ROW(poll), ROW(poll_multishot), ROW(nop), ROW(resolve),
};
#undef ROW

#define SCENE_CALLS (sizeof(scene_calls) / sizeof(*scene_calls))

#endif
