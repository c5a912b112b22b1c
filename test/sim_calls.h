/* SPDX-License-Identifier: MIT */
/*
 * Plain calls that mean the machine the test's ring is on. With PEAL_ENGINE=sim
 * descriptors of the simulated node, sockets and pipes that are made, and paths
 * below the test's directory go to it; everything else, and every other engine,
 * to the system. So one test serves all engines.
 */
#ifndef PEAL_TEST_SIM_CALLS_H
#define PEAL_TEST_SIM_CALLS_H

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <time.h>

int on_sim(void);
void sim_begin(const char *dir);	/* makes it there, too */
unsigned sim_end(void);			/* descriptors that are left */

int posix_open(const char *path, int flags, ...);
int posix_close(int fd);
ssize_t posix_read(int fd, void *buf, size_t len);
ssize_t posix_write(int fd, const void *buf, size_t len);
ssize_t posix_pread(int fd, void *buf, size_t len, off_t offset);
ssize_t posix_pwrite(int fd, const void *buf, size_t len, off_t offset);
off_t posix_lseek(int fd, off_t offset, int whence);
int posix_fcntl(int fd, int what, ...);
int posix_dup(int fd);
int posix_fstat(int fd, struct stat *st);
int posix_stat(const char *path, struct stat *st);
int posix_lstat(const char *path, struct stat *st);
int posix_symlink(const char *target, const char *path);
ssize_t posix_readlink(const char *path, char *buf, size_t len);
int posix_mkdir(const char *path, mode_t mode);
int posix_mkfifo(const char *path, mode_t mode);
int posix_statvfs(const char *path, struct statvfs *out);
int posix_access(const char *path, int mode);
mode_t posix_umask(mode_t mask);
int posix_chmod(const char *path, mode_t mode);
uid_t posix_geteuid(void);
int posix_seteuid(uid_t uid);
int posix_pipe2(int fds[2], int flags);
int posix_socketpair(int family, int type, int protocol, int fds[2]);
int posix_socket(int family, int type, int protocol);
int posix_bind(int fd, const struct sockaddr *addr, socklen_t len);
int posix_listen(int fd, int backlog);
int posix_connect(int fd, const struct sockaddr *addr, socklen_t len);
int posix_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
ssize_t posix_send(int fd, const void *buf, size_t len, int flags);
ssize_t posix_recv(int fd, void *buf, size_t len, int flags);
ssize_t posix_sendto(int fd, const void *buf, size_t len, int flags,
		    const struct sockaddr *addr, socklen_t addr_len);
int posix_shutdown(int fd, int how);
int posix_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
int posix_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int posix_setsockopt(int fd, int level, int name, const void *value,
		    socklen_t len);
int posix_dup3(int from, int to, int flags);
int posix_getrlimit(int resource, struct rlimit *limit);
int posix_setrlimit(int resource, const struct rlimit *limit);
int posix_clock_gettime(clockid_t clock, struct timespec *now);
int posix_eventfd_write(int fd, eventfd_t value);
int posix_eventfd_read(int fd, eventfd_t *value);
int posix_eventfd(unsigned value, int flags);	/* a datagram for a count */
int posix_poll(struct pollfd *fds, nfds_t count, int timeout_ms);

#ifndef SIM_CALLS_REAL
#define open(...) posix_open(__VA_ARGS__)
#define close(fd) posix_close(fd)
#define read(fd, buf, len) posix_read(fd, buf, len)
#define write(fd, buf, len) posix_write(fd, buf, len)
#define pread(fd, buf, len, offset) posix_pread(fd, buf, len, offset)
#define pwrite(fd, buf, len, offset) posix_pwrite(fd, buf, len, offset)
#define lseek(fd, offset, whence) posix_lseek(fd, offset, whence)
#define fcntl(...) posix_fcntl(__VA_ARGS__)
#define dup(fd) posix_dup(fd)
#define fstat(fd, st) posix_fstat(fd, st)
#define stat(path, st) posix_stat(path, st)
#define lstat(path, st) posix_lstat(path, st)
#define symlink(target, path) posix_symlink(target, path)
#define readlink(path, buf, len) posix_readlink(path, buf, len)
#define mkdir(path, mode) posix_mkdir(path, mode)
#define mkfifo(path, mode) posix_mkfifo(path, mode)
#define statvfs(path, out) posix_statvfs(path, out)
#define access(path, mode) posix_access(path, mode)
#define umask(mask) posix_umask(mask)
#define chmod(path, mode) posix_chmod(path, mode)
#define geteuid() posix_geteuid()
#define seteuid(uid) posix_seteuid(uid)
#define pipe2(fds, flags) posix_pipe2(fds, flags)
#define socketpair(f, t, p, fds) posix_socketpair(f, t, p, fds)
#define socket(family, type, protocol) posix_socket(family, type, protocol)
#define bind(fd, addr, len) posix_bind(fd, addr, len)
#define listen(fd, backlog) posix_listen(fd, backlog)
#define connect(fd, addr, len) posix_connect(fd, addr, len)
#define accept4(fd, addr, len, flags) posix_accept4(fd, addr, len, flags)
#define accept(fd, addr, len) posix_accept4(fd, addr, len, 0)
#define send(fd, buf, len, flags) posix_send(fd, buf, len, flags)
#define recv(fd, buf, len, flags) posix_recv(fd, buf, len, flags)
#define sendto(fd, buf, len, flags, addr, addr_len) \
	posix_sendto(fd, buf, len, flags, addr, addr_len)
#define shutdown(fd, how) posix_shutdown(fd, how)
#define getsockname(fd, addr, len) posix_getsockname(fd, addr, len)
#define getsockopt(fd, l, n, value, len) posix_getsockopt(fd, l, n, value, len)
#define setsockopt(fd, l, n, value, len) posix_setsockopt(fd, l, n, value, len)
#define dup3(from, to, flags) posix_dup3(from, to, flags)
#define dup2(from, to) posix_dup3(from, to, 0)
#define getrlimit(resource, limit) posix_getrlimit(resource, limit)
#define setrlimit(resource, limit) posix_setrlimit(resource, limit)
#define clock_gettime(clock, now) posix_clock_gettime(clock, now)
#define eventfd_write(fd, value) posix_eventfd_write(fd, value)
#define eventfd_read(fd, value) posix_eventfd_read(fd, value)
#define eventfd(value, flags) posix_eventfd(value, flags)
#define poll(fds, count, timeout_ms) posix_poll(fds, count, timeout_ms)
#endif

#endif
