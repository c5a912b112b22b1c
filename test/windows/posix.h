/* SPDX-License-Identifier: MIT */
/*
 * The POSIX calls that the tests and the programs in examples/ make for
 * themselves, on a peal_fd: a HANDLE or a SOCKET. They stay as they are: each
 * header that they name has a namesake in this directory that includes this
 * one. A call that Windows has no counterpart of ends the test as skipped, with
 * the reason. The library knows nothing of this.
 */
#ifndef PEAL_TEST_WINDOWS_POSIX_H
#define PEAL_TEST_WINDOWS_POSIX_H

#include "peal.h"

#include <dirent.h>
#include <direct.h>
#include <io.h>
#include <limits.h>
#include <process.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* Of whoever is linked with it. A test ends here, as skipped; for a program it
 * is a call that failed. */
int posix_no(const char *why);
/* Before the first socket. */
void posix_start_sockets(void);


/* --- files --------------------------------------------------------------- */

struct posix_stat {
	uint64_t st_dev, st_ino;
	unsigned st_mode, st_nlink, st_uid, st_gid;
	int64_t st_size, st_blocks, st_blksize;
	struct timespec st_mtim, st_ctim;
};

struct statvfs {
	uint64_t f_blocks, f_frsize, f_files, f_namemax;
};

peal_fd posix_open(const char *path, int flags, ...);
int posix_close(peal_fd fd);
int64_t posix_read(peal_fd fd, void *buf, size_t len);
int64_t posix_recv(peal_fd fd, void *buf, size_t len, int flags);
int64_t posix_write(peal_fd fd, const void *buf, size_t len);
int64_t posix_pread(peal_fd fd, void *buf, size_t len, int64_t offset);
int64_t posix_pwrite(peal_fd fd, const void *buf, size_t len, int64_t offset);
int64_t posix_lseek(peal_fd fd, int64_t offset, int whence);
int posix_fstat(peal_fd fd, struct posix_stat *out);
int posix_stat_path(const char *path, struct posix_stat *out);
int posix_mkdir(const char *path);
int posix_access(const char *path);
peal_fd posix_dup(peal_fd fd);
int posix_pipe2(int fds[2]);
int posix_fcntl(peal_fd fd, int what, ...);
int statvfs(const char *path, struct statvfs *out);
int symlink(const char *target, const char *path);
int64_t readlink(const char *path, char *target, size_t len);
FILE *fmemopen(void *buf, size_t len, const char *mode);
FILE *open_memstream(char **out_text, size_t *out_len);
int posix_fclose(FILE *file);
const char *strerrorname_np(int error);

#undef lseek
#undef ftruncate
#undef stat
#undef fstat
#undef mkdir
#define stat		posix_stat
#define posix_stat(...)	posix_stat_path(__VA_ARGS__)
#define fstat(...)	posix_fstat(__VA_ARGS__)
#define open(...)	posix_open(__VA_ARGS__)
#define close(fd)	posix_close(fd)
#define read(...)	posix_read(__VA_ARGS__)
#define write(...)	posix_write(__VA_ARGS__)
#define pread(...)	posix_pread(__VA_ARGS__)
#define pwrite(...)	posix_pwrite(__VA_ARGS__)
#define lseek(...)	posix_lseek(__VA_ARGS__)
#define mkdir(path, mode) ((void)(mode), posix_mkdir(path))
#define access(path, how) posix_access(path)
#define dup(fd)		posix_dup(fd)
#define dup3(from, to, flags) \
	((void)(from), posix_no("a handle's number cannot be chosen"))
#define pipe(fds)	posix_pipe2(fds)
#define pipe2(fds, flags) posix_pipe2(fds)
#define fcntl(...)	posix_fcntl(__VA_ARGS__)
#define fclose(file)	posix_fclose(file)
#define strerror(error)	peal_strerror(-(error))

#undef STDIN_FILENO
#undef STDOUT_FILENO
#define STDIN_FILENO	((peal_fd)GetStdHandle(STD_INPUT_HANDLE))
#define STDOUT_FILENO	((peal_fd)GetStdHandle(STD_OUTPUT_HANDLE))

#define F_GETFD		1
#define F_GETFL		3
#define F_SETFL		4
#define FD_CLOEXEC	1
#define S_ISLNK(mode)	(((mode) & 0170000) == 0120000)
#define DT_UNKNOWN	0
#define DT_REG		8
#ifndef SYNC_FILE_RANGE_WRITE
#define SYNC_FILE_RANGE_WRITE 2
#endif
#ifndef SPLICE_F_NONBLOCK
#define SPLICE_F_NONBLOCK 2
#endif
#ifndef RWF_DSYNC
#define RWF_DSYNC	2
#define RWF_NOWAIT	8
#endif

/* --- sockets ------------------------------------------------------------- */

typedef unsigned short sa_family_t;
typedef unsigned short in_port_t;

struct sockaddr_un {
	sa_family_t sun_family;
	char sun_path[108];
};

struct cmsghdr {
	size_t cmsg_len;
	int cmsg_level, cmsg_type;
};
#define SCM_RIGHTS	1
#define CMSG_LEN(len)	(sizeof(struct cmsghdr) + (len))
#define CMSG_SPACE(len)	(sizeof(struct cmsghdr) + ((len) + 7) / 8 * 8)
#define CMSG_FIRSTHDR(msg) ((struct cmsghdr *)(msg)->msg_control)
#undef CMSG_DATA
#define CMSG_DATA(header) ((void *)((header) + 1))

#ifndef SOCK_SEQPACKET
#define SOCK_SEQPACKET	5
#endif
#ifndef POLLRDHUP
#define POLLRDHUP	0x2000
#endif
#ifndef MSG_ERRQUEUE
#define MSG_ERRQUEUE	0x2000
#endif

peal_fd posix_socket(int domain, int type, int protocol);
int posix_socketpair(int type, int fds[2]);
int posix_bind(peal_fd fd, const void *addr, socklen_t len);
int posix_listen(peal_fd fd, int backlog);
int posix_connect(peal_fd fd, const void *addr, socklen_t len);
peal_fd posix_accept(peal_fd fd, void *addr, socklen_t *len);
int posix_getsockname(peal_fd fd, void *addr, socklen_t *len);
int posix_getsockopt(peal_fd fd, int level, int name, void *value,
		     socklen_t *len);
int posix_setsockopt(peal_fd fd, int level, int name, const void *value,
		     socklen_t len);
int posix_shutdown(peal_fd fd, int how);
int posix_poll(struct pollfd *fds, unsigned count, int timeout_ms);

#define socket(...)	posix_socket(__VA_ARGS__)
#define socketpair(domain, type, protocol, fds) posix_socketpair(type, fds)
#define bind(...)	posix_bind(__VA_ARGS__)
#define listen(...)	posix_listen(__VA_ARGS__)
#define connect(...)	posix_connect(__VA_ARGS__)
#define accept(...)	posix_accept(__VA_ARGS__)
#define accept4(fd, addr, len, flags) posix_accept(fd, addr, len)
#define getsockname(...) posix_getsockname(__VA_ARGS__)
#define getsockopt(...)	posix_getsockopt(__VA_ARGS__)
#define setsockopt(...)	posix_setsockopt(__VA_ARGS__)
#define shutdown(...)	posix_shutdown(__VA_ARGS__)
#define send(fd, buf, len, flags) posix_write(fd, buf, len)
#define recv(fd, buf, len, flags) posix_recv(fd, buf, len, flags)
#define poll(...)	posix_poll(__VA_ARGS__)

/* An event descriptor is a UDP socket that is connected to itself. */
typedef uint64_t eventfd_t;
int eventfd(unsigned count, int flags);
int eventfd_read(peal_fd fd, eventfd_t *out);
int eventfd_write(peal_fd fd, eventfd_t value);
#define EFD_CLOEXEC	0
#define EFD_NONBLOCK	0

/* --- processes ----------------------------------------------------------- */

#define WIFSIGNALED(status) (((status) & 0x7f) != 0)
#define WTERMSIG(status) ((status) & 0x7f)
#define WIFEXITED(status) (((status) & 0x7f) == 0)
#define WEXITSTATUS(status) ((status) >> 8)

/* --- what there is no counterpart of ------------------------------------- */

#define NO_IDS		"Windows has no user ids"
#define NO_LIMITS	"Windows sets no limit on handles"
#define NO_SIGNALS	"Windows has no signals"

#define geteuid()	0
#define getuid()	0
#define seteuid(id)	posix_no(NO_IDS)
#define setresuid(...)	posix_no(NO_IDS)
#define mkfifo(path, mode) posix_no("Windows has no FIFOs")
#define fork()		posix_no("Windows has no fork")
#define waitpid(...)	(-1)
#define alarm(seconds)	((void)(seconds))

typedef uint64_t rlim_t;
struct rlimit {
	rlim_t rlim_cur, rlim_max;
};
#define RLIMIT_NOFILE	7
#define RLIMIT_CORE	4
#define RLIMIT_MEMLOCK	8
#define getrlimit(what, limit) \
	(memset(limit, 0, sizeof(*(limit))), posix_no(NO_LIMITS))
#define setrlimit(what, limit) ((void)(limit), posix_no(NO_LIMITS))

#define SIGUSR1		10
struct sigaction {
	void (*sa_handler)(int number);
};
#define sigaction(number, action, old) ((void)(action), posix_no(NO_SIGNALS))

struct termios {
	int none;
};
#define TCSANOW		0
#define openpty(outer, inner, name, termios, size) \
	(*(outer) = *(inner) = -1, \
	 posix_no("Windows has no pseudo-terminals that read as files"))
#define tcgetattr(fd, termios) ((void)(termios), 0)
#define tcsetattr(fd, how, termios) ((void)(termios), 0)
#define cfmakeraw(termios) ((void)(termios))

#define TFD_CLOEXEC	0
#define timerfd_create(clock, flags) \
	posix_no("Windows has no timer descriptors")
#define timerfd_settime(fd, flags, when, old) ((void)(when), 0)

struct epoll_event {
	unsigned events;
};
#define EPOLLIN		1
#define EPOLL_CLOEXEC	0
#define EPOLL_CTL_ADD	1
#define epoll_create1(flags) posix_no("Windows has no epoll")
#define epoll_ctl(epoll, how, fd, event) ((void)(epoll), (void)(event), 0)
#define epoll_wait(epoll, events, count, timeout) ((void)(epoll), 0)

/* The escape hatch to io_uring compiles, and says that there is none. */
struct io_uring;
struct io_uring_sqe {
	uint8_t opcode, flags;
	int fd;
	uint32_t len, open_flags;
	uint64_t addr, user_data;
};
#define IORING_OP_NOP	0
#define IORING_OP_READ_FIXED 4
#define IORING_OP_READ	22
#define IOSQE_IO_DRAIN	2
#define IOSQE_IO_LINK	4
#define IOSQE_IO_HARDLINK 8
#define IOSQE_CQE_SKIP_SUCCESS 64
#define io_uring_register_buffers(raw, iov, count) ((void)(iov), 0)
#define io_uring_unregister_buffers(raw) 0

#endif
