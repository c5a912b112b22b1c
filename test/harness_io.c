/* SPDX-License-Identifier: MIT */
/*
 * The things the tests do I/O on: see harness.h. What is made here is given
 * back by harness_let_go(), which the fixture calls.
 */
#include <limits.h>
#include <stdarg.h>

#include "peal/sim.h"
#include "test/harness.h"

#define MAX_KEPT	4096
#define MAX_BUFFERS	64

/* A kept descriptor is closed only if it is still the same file. */
static struct {
	int fd;
	uint64_t device, inode;
} kept[MAX_KEPT];
static unsigned kept_count;
static void *buffers[MAX_BUFFERS];
static unsigned buffer_count;

/* A path into PATH_MAX bytes, whole or not at all. */
void harness_path(char *to, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vsnprintf(to, PATH_MAX, format, args) >= PATH_MAX)
		abort();
	va_end(args);
}

void harness_must(int holds, const char *what)
{
	ck_assert_msg(holds, "%s: %s", what, strerror(errno));
}

int keep_fd(int fd)
{
	struct stat st;

	if (harness_replays() && fd >= PEAL_SIM_FIRST_FD)
		return fd;	/* an op has made it: there is none */
	harness_must(fd >= 0 && fstat(fd, &st) == 0, "keep_fd");
	harness_must(kept_count < MAX_KEPT, "MAX_KEPT");
	kept[kept_count].fd = fd;
	kept[kept_count].device = st.st_dev;
	kept[kept_count++].inode = st.st_ino;
	return fd;
}

void harness_let_go(void)
{
	struct stat st;

	while (buffer_count > 0)
		harness_free(buffers[--buffer_count]);
	for (; kept_count > 0; kept_count--) {
		int fd = kept[kept_count - 1].fd;

		if (fstat(fd, &st) == 0 &&
		    st.st_dev == kept[kept_count - 1].device &&
		    st.st_ino == kept[kept_count - 1].inode)
			close(fd);
	}
}

const char *dir(void)
{
	return harness_dir;
}

const char *path_in_dir(const char *name)
{
	static char paths[16][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 16];

	harness_path(path, "%s/%s", harness_dir, name);
	return path;
}

int make_file(const char *name, const void *data, size_t len)
{
	int fd = open(path_in_dir(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
		      0644);

	harness_must(fd >= 0, name);
	harness_must(write(fd, data, len) == (ssize_t)len, "write");
	harness_must(lseek(fd, 0, SEEK_SET) == 0, "lseek");
	return keep_fd(fd);
}

int open_direct(const char *name, int flags)
{
	int fd = open(path_in_dir(name), flags | O_DIRECT | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : keep_fd(fd);
}

void make_pipe(int fds[2])
{
	harness_must(pipe2(fds, O_CLOEXEC) == 0, "pipe2");
	keep_fd(fds[0]);
	keep_fd(fds[1]);
}

void make_socketpair(int type, int fds[2])
{
	harness_must(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0,
	     "socketpair");
	keep_fd(fds[0]);
	keep_fd(fds[1]);
}

void make_pollable(int fds[2])
{
#ifdef _WIN32
	make_socketpair(SOCK_STREAM, fds);
#else
	make_pipe(fds);
#endif
}

int make_listener(int family, struct sockaddr_storage *addr, socklen_t *len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)addr;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 && family == AF_INET6)
		return -1;
	harness_must(fd >= 0, "socket");
	memset(addr, 0, sizeof(*addr));
	addr->ss_family = (sa_family_t)family;
	if (family == AF_INET)
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		v6->sin6_addr = in6addr_loopback;
	*len = family == AF_INET ? sizeof(*v4) : sizeof(*v6);
	if (bind(fd, (struct sockaddr *)addr, *len) != 0) {
		harness_must(family == AF_INET6, "bind");
		close(fd);
		return -1;
	}
	harness_must(listen(fd, 128) == 0, "listen");
	harness_must(getsockname(fd, (struct sockaddr *)addr, len) == 0,
	     "getsockname");
	return keep_fd(fd);
}

int make_tcp_pair(int family, int fds[2])
{
	struct sockaddr_storage addr;
	socklen_t len;
	int listener = make_listener(family, &addr, &len);

	if (listener < 0)
		return -1;
	fds[0] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	harness_must(fds[0] >= 0, "socket");
	harness_must(connect(fds[0], (struct sockaddr *)&addr, len) == 0, "connect");
	fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	harness_must(fds[1] >= 0, "accept4");
	close(listener);
	keep_fd(fds[0]);
	keep_fd(fds[1]);
	return 0;
}

static unsigned char pattern_at(uint64_t seed, size_t at)
{
	uint64_t x = (seed + at / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned char)((x ^ x >> 29) >> 8 * (at % 8));
}

void fill_pattern(void *buf, size_t len, uint64_t seed)
{
	size_t at;

	for (at = 0; at < len; at++)
		((unsigned char *)buf)[at] = pattern_at(seed, at);
}

int has_pattern(const void *buf, size_t len, uint64_t seed)
{
	size_t at;

	for (at = 0; at < len; at++)
		if (((const unsigned char *)buf)[at] != pattern_at(seed, at))
			return 0;
	return 1;
}

void *aligned_buffer(size_t len)
{
	harness_must(buffer_count < MAX_BUFFERS, "MAX_BUFFERS");
	buffers[buffer_count] = harness_aligned(4096, len);
	memset(buffers[buffer_count], 0, len);
	return buffers[buffer_count++];
}

/* --- ops run to their end ------------------------------------------------ */

/* A number that names no open file. */
int closed_fd(void)
{
	int fd = dup(STDOUT_FILENO);

	ck_assert_int_ge(fd, 0);
	close(fd);
	return fd;
}

int64_t read_at(int fd, void *buf, size_t len, uint64_t offset)
{
	return finish(peal_read(ring, fd, buf, len, offset, 0, on_done, NULL));
}

int64_t write_at(int fd, const void *buf, size_t len, uint64_t offset)
{
	return finish(peal_write(ring, fd, buf, len, offset, 0, on_done,
				 NULL));
}

int64_t recv_into(int fd, void *buf, size_t len)
{
	return finish(peal_recv(ring, fd, buf, len, 0, 0, on_done, NULL));
}

int64_t send_from(int fd, const void *buf, size_t len)
{
	return finish(peal_send(ring, fd, buf, len, 0, 0, on_done, NULL));
}

int new_socket(int domain, int type)
{
	int64_t fd = finish(peal_socket(ring, domain, type, 0, 0, on_done,
					NULL));

	ck_ok(fd);
	return keep_fd((int)fd);
}

void loopback(struct sockaddr_in *addr, in_port_t port)
{
	memset(addr, 0, sizeof(*addr));
	addr->sin_family = AF_INET;
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	addr->sin_port = port;
}
