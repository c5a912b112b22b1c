/* SPDX-License-Identifier: MIT */
/*
 * The plain calls of the tests on a simulated machine; see sim_calls.h. Where
 * peal has an op it is that, on a ring of its own, turned until it is done: so
 * a call that blocks blocks the test, as it does elsewhere.
 */
#define SIM_CALLS_REAL
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "peal.h"
#include "peal/sim.h"
#include "test/sim_calls.h"

#define DISK_BYTES (UINT64_C(1) << 40)
#define MOST_TURNS 10000	/* of 10 ms: then nothing will come */

static _Thread_local struct peal_ring *plain;
static _Thread_local pid_t pid;
static char sim_dir[PATH_MAX];

int on_sim(void)
{
	const char *engine = getenv("PEAL_ENGINE");

	return engine && strcmp(engine, "sim") == 0;
}

static int is_sim(int fd)
{
	return fd >= PEAL_SIM_FIRST_FD && on_sim();
}

static int is_sim_path(const char *path)
{
	return sim_dir[0] && on_sim() &&
	       strncmp(path, sim_dir, strlen(sim_dir)) == 0;
}

static struct peal_ring *the_ring(void)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;

	options.engine = "sim";
	options.max_ops = 16;
	options.entries = 8;
	if (plain && pid != getpid())
		plain = NULL;		/* a child's own, then */
	pid = getpid();
	if (!plain && peal_ring_open(&plain, &options) < 0)
		abort();
	return plain;
}

static struct peal_sim_node *node(void)
{
	return peal_sim_node_of(the_ring());
}

static _Thread_local int64_t answer;
static _Thread_local int answered;

static void on_answer(struct peal_ring *ring,
		      const struct peal_completion *done)
{
	(void)ring;
	answer = done->result;
	answered = 1;
}

/* -1 and errno, as a plain call. */
static int64_t as_call(int64_t result)
{
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}

/* Turns until the op is done; a call that is not to wait gives up. */
static int64_t run(peal_op op, int waits)
{
	int turns = waits ? MOST_TURNS : 2;

	if (op < 0)
		return as_call(op);
	for (answered = 0; !answered && turns; turns--)
		peal_ring_turn(plain, 10 * PEAL_MS);
	if (answered)
		return as_call(answer);
	peal_cancel(plain, op, 0, NULL, NULL);
	while (!answered)
		peal_ring_turn(plain, 10 * PEAL_MS);
	return as_call(answer == -ECANCELED ? -EAGAIN : answer);
}

static int waits(int fd)
{
	int flags = peal_sim_fd_flags(node(), fd, -1);

	return flags < 0 || !(flags & O_NONBLOCK);
}

void sim_begin(const char *dir)
{
	char part[PATH_MAX];
	size_t at;

	if (!on_sim())
		return;
	strcpy(sim_dir, dir);
	peal_sim_disk(node(), DISK_BYTES, 0);
	for (at = 1; at <= strlen(dir); at++) {
		if (dir[at] != '/' && dir[at] != '\0')
			continue;
		memcpy(part, dir, at);
		part[at] = '\0';
		peal_sim_make_dir(node(), part);
	}
}

unsigned sim_end(void)
{
	unsigned left;

	if (!plain)
		return 0;
	left = peal_sim_fds(node());
	peal_ring_close(plain, PEAL_S);
	plain = NULL;
	return left;
}

/* --- files --------------------------------------------------------------- */

static mode_t mode_of(int flags, va_list args)
{
	return flags & O_CREAT ? (mode_t)va_arg(args, int) : 0;
}

int posix_open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	if (on_sim() && !is_sim_path(path) && strncmp(path, "/dev/", 5))
		return (int)as_call(-ENOENT);
	if (!on_sim())
		return open(path, flags, mode);
	return (int)run(peal_open(the_ring(), PEAL_CWD, path, flags, mode, 0,
				  on_answer, NULL), 1);
}

int posix_close(int fd)
{
	return is_sim(fd) ? (int)as_call(peal_sim_close_fd(node(), fd))
			  : close(fd);
}

ssize_t posix_read(int fd, void *buf, size_t len)
{
	return is_sim(fd) ? run(peal_read(the_ring(), fd, buf, len,
					  PEAL_CURRENT, 0, on_answer, NULL),
				waits(fd))
			  : read(fd, buf, len);
}

/* A blocking write(2) writes all. */
ssize_t posix_write(int fd, const void *buf, size_t len)
{
	if (!is_sim(fd))
		return write(fd, buf, len);
	if (waits(fd))
		return run(peal_write_full(the_ring(), fd, buf, len,
					   PEAL_CURRENT, 0, on_answer, NULL),
			   1);
	return run(peal_write(the_ring(), fd, buf, len, PEAL_CURRENT, 0,
			      on_answer, NULL), 0);
}

ssize_t posix_pread(int fd, void *buf, size_t len, off_t offset)
{
	return is_sim(fd) ? run(peal_read(the_ring(), fd, buf, len,
					  (uint64_t)offset, 0, on_answer,
					  NULL), 1)
			  : pread(fd, buf, len, offset);
}

ssize_t posix_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	return is_sim(fd) ? run(peal_write(the_ring(), fd, buf, len,
					   (uint64_t)offset, 0, on_answer,
					   NULL), 1)
			  : pwrite(fd, buf, len, offset);
}

off_t posix_lseek(int fd, off_t offset, int whence)
{
	return is_sim(fd) ? as_call(peal_sim_seek(node(), fd, offset, whence))
			  : lseek(fd, offset, whence);
}

int posix_fcntl(int fd, int what, ...)
{
	va_list args;
	long value;

	va_start(args, what);
	value = va_arg(args, long);
	va_end(args);
	if (!is_sim(fd))
		return fcntl(fd, what, value);
	if (what == F_DUPFD_CLOEXEC)
		return posix_dup(fd);
	value = peal_sim_fd_flags(node(), fd, what == F_SETFL ? (int)value
							      : -1);
	if (value >= 0 && what != F_GETFL)
		value = what == F_GETFD ? FD_CLOEXEC : 0; /* all of them are */
	return (int)as_call(value);
}

int posix_dup(int fd)
{
	if (!on_sim())
		return dup(fd);
	if (fd <= 2)	/* to get a number: one of the node's */
		return posix_socket(AF_UNIX, SOCK_STREAM, 0);
	return (int)as_call(peal_sim_dup(node(), fd));
}

static void as_stat(const struct peal_stat *from, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_dev = (dev_t)from->dev_major << 8 | from->dev_minor;
	st->st_ino = from->inode;
	st->st_mode = from->mode;
	st->st_nlink = from->links;
	st->st_size = (off_t)from->bytes;
	st->st_blocks = (blkcnt_t)from->blocks;
	st->st_blksize = (blksize_t)from->block_size;
	st->st_mtim.tv_sec = from->modified.sec;
	st->st_mtim.tv_nsec = from->modified.nsec;
	st->st_ctim.tv_sec = from->changed.sec;
	st->st_ctim.tv_nsec = from->changed.nsec;
}

int posix_fstat(int fd, struct stat *st)
{
	struct peal_stat got;
	int rc;

	if (!is_sim(fd))
		return fstat(fd, st);
	rc = peal_sim_fd_stat(node(), fd, &got);
	if (rc == 0)
		as_stat(&got, st);
	return (int)as_call(rc);
}

static int stat_path(const char *path, unsigned flags, struct stat *st)
{
	struct peal_stat got;
	int rc = (int)run(peal_stat(the_ring(), PEAL_CWD, path, flags,
				    PEAL_STAT_BASIC, &got, 0, on_answer, NULL),
			  1);

	if (rc == 0)
		as_stat(&got, st);
	return rc;
}

int posix_stat(const char *path, struct stat *st)
{
	return is_sim_path(path) ? stat_path(path, 0, st) : stat(path, st);
}

int posix_lstat(const char *path, struct stat *st)
{
	return is_sim_path(path) ? stat_path(path, PEAL_STAT_NOFOLLOW, st)
				 : lstat(path, st);
}

int posix_symlink(const char *target, const char *path)
{
	return is_sim_path(path)
		       ? (int)run(peal_symlink(the_ring(), target, PEAL_CWD,
					       path, 0, on_answer, NULL), 1)
		       : symlink(target, path);
}

ssize_t posix_readlink(const char *path, char *buf, size_t len)
{
	return is_sim_path(path) ? as_call(peal_sim_readlink(node(), path, buf,
							     len))
				 : readlink(path, buf, len);
}

int posix_mkdir(const char *path, mode_t mode)
{
	return is_sim_path(path)
		       ? (int)run(peal_mkdir(the_ring(), PEAL_CWD, path, mode,
					     0, on_answer, NULL), 1)
		       : mkdir(path, mode);
}

int posix_mkfifo(const char *path, mode_t mode)
{
	return is_sim_path(path)
		       ? (int)as_call(peal_sim_make_fifo(node(), path))
		       : mkfifo(path, mode);
}

/* What sim_begin() has set, not what peal_statfs() says. */
int posix_statvfs(const char *path, struct statvfs *out)
{
	if (!on_sim())
		return statvfs(path, out);
	memset(out, 0, sizeof(*out));
	out->f_bsize = out->f_frsize = 4096;
	out->f_blocks = DISK_BYTES / 4096;
	out->f_files = UINT32_MAX;
	out->f_namemax = NAME_MAX;
	return 0;
}

int posix_access(const char *path, int mode)
{
	struct stat st;

	return is_sim_path(path) ? stat_path(path, 0, &st)
				 : access(path, mode);
}

mode_t posix_umask(mode_t mask)
{
	return on_sim() ? peal_sim_umask(node(), mask) : umask(mask);
}

int posix_chmod(const char *path, mode_t mode)
{
	return is_sim_path(path)
		       ? (int)as_call(peal_sim_chmod(node(), path, mode))
		       : chmod(path, mode);
}

uid_t posix_geteuid(void)
{
	return on_sim() ? 0 : geteuid();
}

int posix_seteuid(uid_t uid)
{
	if (!on_sim())
		return seteuid(uid);
	peal_sim_user(node(), uid, uid);
	return 0;
}

/* --- sockets ------------------------------------------------------------- */

int posix_pipe2(int fds[2], int flags)
{
	int rc;

	if (!on_sim())
		return pipe2(fds, flags);
	rc = peal_sim_pipe(node(), fds);
	if (rc == 0 && flags & O_NONBLOCK) {
		peal_sim_fd_flags(node(), fds[0], O_NONBLOCK);
		peal_sim_fd_flags(node(), fds[1], O_NONBLOCK);
	}
	return (int)as_call(rc);
}

int posix_socketpair(int family, int type, int protocol, int fds[2])
{
	if (!on_sim())
		return socketpair(family, type, protocol, fds);
	return (int)as_call(peal_sim_socketpair(node(), type & 15, fds));
}

int posix_socket(int family, int type, int protocol)
{
	return on_sim() ? (int)run(peal_socket(the_ring(), family, type,
					       protocol, 0, on_answer, NULL),
				   1)
			: socket(family, type, protocol);
}

int posix_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return is_sim(fd) ? (int)run(peal_bind(the_ring(), fd, addr, len, 0,
					       on_answer, NULL), 1)
			  : bind(fd, addr, len);
}

int posix_listen(int fd, int backlog)
{
	return is_sim(fd) ? (int)run(peal_listen(the_ring(), fd, backlog, 0,
						 on_answer, NULL), 1)
			  : listen(fd, backlog);
}

int posix_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return is_sim(fd) ? (int)run(peal_connect(the_ring(), fd, addr, len, 0,
						  on_answer, NULL), 1)
			  : connect(fd, addr, len);
}

int posix_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return is_sim(fd) ? (int)run(peal_accept(the_ring(), fd, addr, len, 0,
						 on_answer, NULL), waits(fd))
			  : accept4(fd, addr, len, flags);
}

ssize_t posix_send(int fd, const void *buf, size_t len, int flags)
{
	return is_sim(fd) ? run(peal_send(the_ring(), fd, buf, len, flags, 0,
					  on_answer, NULL), waits(fd))
			  : send(fd, buf, len, flags);
}

ssize_t posix_recv(int fd, void *buf, size_t len, int flags)
{
	return is_sim(fd) ? run(peal_recv(the_ring(), fd, buf, len, flags, 0,
					  on_answer, NULL), waits(fd))
			  : recv(fd, buf, len, flags);
}

ssize_t posix_sendto(int fd, const void *buf, size_t len, int flags,
		    const struct sockaddr *addr, socklen_t addr_len)
{
	struct sockaddr_storage to;
	struct iovec part = { (void *)(uintptr_t)buf, len };
	struct msghdr msg = { .msg_name = &to, .msg_namelen = addr_len,
			      .msg_iov = &part, .msg_iovlen = 1 };

	if (!is_sim(fd))
		return sendto(fd, buf, len, flags, addr, addr_len);
	memcpy(&to, addr, addr_len);
	return run(peal_sendmsg(the_ring(), fd, &msg, flags, 0, on_answer,
				NULL), waits(fd));
}

int posix_shutdown(int fd, int how)
{
	return is_sim(fd) ? (int)run(peal_shutdown(the_ring(), fd, how, 0,
						   on_answer, NULL), 1)
			  : shutdown(fd, how);
}

int posix_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	return is_sim(fd) ? (int)as_call(peal_sim_name(node(), fd, 0, addr,
						       len))
			  : getsockname(fd, addr, len);
}

int posix_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	if (!is_sim(fd))
		return getsockopt(fd, level, name, value, len);
	if (level != SOL_SOCKET || name != SO_TYPE)
		return (int)as_call(-ENOPROTOOPT);
	*(int *)value = peal_sim_socket_type(node(), fd);
	return (int)as_call(*(int *)value < 0 ? *(int *)value : 0);
}

/* A sender's buffer is its peer's, in a simulated world. */
int posix_setsockopt(int fd, int level, int name, const void *value,
		    socklen_t len)
{
	int number = len >= sizeof(int) ? *(const int *)value : 0;

	if (!is_sim(fd))
		return setsockopt(fd, level, name, value, len);
	if (level == SOL_SOCKET && name == SO_RCVBUF)
		return (int)as_call(peal_sim_buffer(node(), fd,
						    (uint32_t)number));
	if (level == IPPROTO_IP && name == IP_RECVTTL)
		return (int)as_call(peal_sim_ancillary(node(), fd,
						       number ? PEAL_SIM_TTL
							      : 0));
	if (level == SOL_SOCKET && name == SO_LINGER &&
	    ((const struct linger *)value)->l_onoff)
		return (int)as_call(peal_sim_break(node(), fd));
	return 0;
}

int posix_dup3(int from, int to, int flags)
{
	if (!is_sim(from))
		return flags ? dup3(from, to, flags) : dup2(from, to);
	return (int)as_call(peal_sim_dup_to(node(), from, to));
}

/* --- the machine --------------------------------------------------------- */

int posix_getrlimit(int resource, struct rlimit *limit)
{
	return getrlimit(resource, limit);
}

/* A limit among the node's numbers is the node's; any other ends that. */
int posix_setrlimit(int resource, const struct rlimit *limit)
{
	rlim_t most = limit->rlim_cur;

	if (!on_sim() || resource != RLIMIT_NOFILE)
		return setrlimit(resource, limit);
	peal_sim_fd_limit(node(), most > PEAL_SIM_FIRST_FD
					  ? (uint32_t)(most - PEAL_SIM_FIRST_FD)
					  : 0);
	return 0;
}

int posix_clock_gettime(clockid_t clock, struct timespec *now)
{
	uint64_t ns;

	if (!on_sim() || clock != CLOCK_MONOTONIC)
		return clock_gettime(clock, now);
	peal_ring_turn(the_ring(), 0);	/* looking takes a moment, too */
	ns = peal_ring_now(plain);
	now->tv_sec = (time_t)(ns / PEAL_S);
	now->tv_nsec = (long)(ns % PEAL_S);
	return 0;
}

int posix_eventfd_write(int fd, eventfd_t value)
{
	return posix_write(fd, &value, sizeof(value)) == sizeof(value) ? 0
								       : -1;
}

int posix_eventfd_read(int fd, eventfd_t *value)
{
	return posix_read(fd, value, sizeof(*value)) == sizeof(*value) ? 0
								       : -1;
}

/* Connected to itself, it is readable when it was written. */
int posix_eventfd(unsigned value, int flags)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	uint64_t count = value;
	int fd;

	if (!on_sim())
		return eventfd(value, flags);
	fd = posix_socket(AF_INET, SOCK_DGRAM | (flags & SOCK_NONBLOCK), 0);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	posix_bind(fd, (struct sockaddr *)&addr, len);
	posix_getsockname(fd, (struct sockaddr *)&addr, &len);
	posix_connect(fd, (struct sockaddr *)&addr, len);
	if (value)
		posix_write(fd, &count, sizeof(count));
	return fd;
}

static int64_t poll_once(struct pollfd *one, int timeout_ms)
{
	peal_op op = peal_poll(the_ring(), one->fd, (unsigned)one->events, 0,
			       on_answer, NULL);
	int64_t rc;

	if (op > 0 && timeout_ms > 0)
		peal_deadline(plain, op, (uint64_t)timeout_ms * PEAL_MS, 0);
	rc = run(op, timeout_ms != 0);
	if (rc < 0 && errno != EBADF)
		return 0;
	one->revents = rc < 0 ? POLLNVAL : (short)rc;
	return 1;
}

/* One descriptor is all that the tests ask for. */
int posix_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	if (count != 1 || !is_sim(fds[0].fd))
		return poll(fds, count, timeout_ms);
	fds[0].revents = 0;
	return (int)poll_once(fds, timeout_ms);
}
