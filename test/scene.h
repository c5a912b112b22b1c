/* SPDX-License-Identifier: MIT */
/*
 * A scene: one descriptor of some kind, what stands at its other end, and a
 * small tree of files; made anew for each call, so that two engines meet the
 * same world. What a call did to it is told in lines that can be compared.
 */
#ifndef PEAL_TEST_SCENE_H
#define PEAL_TEST_SCENE_H

#include <dirent.h>
#include <pty.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include "test/harness.h"

enum scene_kind {
	FILE_RW, FILE_RO, FILE_WO, FILE_APPEND, FILE_PATH, DIRECTORY, MEMFD,
	PIPE_IN, PIPE_IN_DATA, PIPE_IN_ENDED, PIPE_OUT, PIPE_OUT_FULL,
	PIPE_OUT_BROKEN, PIPE_NONBLOCK, STREAM, STREAM_DATA, STREAM_ENDED,
	STREAM_FULL, STREAM_SHUT, STREAM_NONBLOCK, DATAGRAM, DATAGRAM_DATA,
	SEQPACKET, UDP, TCP, TCP_DATA, TCP_NEW, LISTENER, LISTENER_ONE, EVENT,
	EVENT_ONE, TIMER, EPOLL, TERMINAL, DEV_NULL, DEV_ZERO, DEV_FULL,
	CLOSED, NEGATIVE, HUGE_NUMBER, SCENE_KINDS
};

static const char *const scene_names[SCENE_KINDS] = {
	"file", "file for reading", "file for writing", "file for appending",
	"path only", "directory", "memory file",
	"empty pipe", "pipe with data", "pipe without writer",
	"pipe to write", "full pipe", "pipe without reader",
	"nonblocking pipe", "stream", "stream with data", "stream that ended",
	"full stream", "stream shut for writing", "nonblocking stream",
	"datagram", "datagram with data", "seqpacket", "udp", "tcp",
	"tcp with data", "new tcp", "listener", "listener with one", "eventfd",
	"eventfd that counts", "timerfd", "epoll", "terminal", "/dev/null",
	"/dev/zero", "/dev/full", "closed", "-1", "huge number"
};

#define SCENE_FDS 8

struct scene {
	int dir;		/* its tree */
	int fd;			/* the one of that kind */
	int peer;		/* its other end, or -1 */
	int open[SCENE_FDS];
	unsigned count;
	struct sockaddr_storage addr;	/* of a TCP listener */
	socklen_t addr_len;
};

static inline int scene_keep(struct scene *scene, int fd)
{
	harness_must(fd >= 0 && scene->count < SCENE_FDS, "scene");
	scene->open[scene->count++] = fd;
	return fd;
}

/* --- the tree ------------------------------------------------------------- */

static inline void scene_write(int dir, const char *name, int mode)
{
	int fd = openat(dir, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	harness_must(fd >= 0 && write(fd, "0123456789", 10) == 10, name);
	fchmod(fd, (mode_t)mode);
	close(fd);
}

static inline void scene_clear(int dir, int depth)
{
	DIR *list = fdopendir(openat(dir, ".", O_RDONLY | O_CLOEXEC));
	struct dirent *entry;

	harness_must(list != NULL, "the tree");
	while ((entry = readdir(list)) != NULL) {
		const char *name = entry->d_name;
		int below;

		if (!strcmp(name, ".") || !strcmp(name, "..") ||
		    unlinkat(dir, name, 0) == 0)
			continue;
		below = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (below >= 0 && depth < 3)
			scene_clear(below, depth + 1);
		close(below);
		unlinkat(dir, name, AT_REMOVEDIR);
	}
	closedir(list);
}

static inline void scene_plant(int dir)
{
	int below;

	scene_clear(dir, 0);
	harness_must(mkdirat(dir, "d", 0755) == 0, "d");
	below = openat(dir, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scene_write(below, "in", 0644);
	close(below);
	harness_must(mkdirat(dir, "empty", 0755) == 0, "empty");
	harness_must(mkdirat(dir, "none", 0) == 0, "none");
	scene_write(dir, "f", 0644);
	scene_write(dir, "ro", 0444);
	scene_write(dir, "secret", 0);
	harness_must(symlinkat("f", dir, "link") == 0, "link");
	harness_must(symlinkat("nowhere", dir, "dangling") == 0, "dangling");
	harness_must(symlinkat("loop", dir, "loop") == 0, "loop");
}

/* --- descriptors ---------------------------------------------------------- */

static inline void scene_pair(struct scene *scene, int type)
{
	int fds[2];

	harness_must(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0,
		     "socketpair");
	scene->fd = scene_keep(scene, fds[0]);
	scene->peer = scene_keep(scene, fds[1]);
}

/* end 0: to be read. */
static inline void scene_pipe(struct scene *scene, int end, int flags)
{
	int fds[2];

	harness_must(pipe2(fds, O_CLOEXEC | flags) == 0, "pipe2");
	scene->fd = scene_keep(scene, fds[end]);
	scene->peer = scene_keep(scene, fds[!end]);
}

static inline void scene_fill(int fd)
{
	static const char page[4096];
	int mode = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, mode | O_NONBLOCK);
	while (write(fd, page, sizeof(page)) > 0)
		;
	while (write(fd, page, 1) > 0)
		;
	fcntl(fd, F_SETFL, mode);
}

static inline void scene_listen(struct scene *scene)
{
	scene->fd = scene_keep(scene, socket(AF_INET, SOCK_STREAM |
					     SOCK_CLOEXEC, 0));
	loopback((struct sockaddr_in *)&scene->addr, 0);
	scene->addr_len = sizeof(struct sockaddr_in);
	harness_must(bind(scene->fd, (void *)&scene->addr,
			  scene->addr_len) == 0 && listen(scene->fd, 8) == 0 &&
		     getsockname(scene->fd, (void *)&scene->addr,
				 &scene->addr_len) == 0, "listener");
}

static inline int scene_connect(struct scene *scene)
{
	int fd = scene_keep(scene, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC,
					  0));

	harness_must(connect(fd, (void *)&scene->addr, scene->addr_len) == 0,
		     "connect");
	return fd;
}

static inline void scene_tcp(struct scene *scene)
{
	int peer;

	scene_listen(scene);
	peer = scene_connect(scene);
	scene->fd = scene_keep(scene, accept4(scene->fd, NULL, NULL,
					      SOCK_CLOEXEC));
	scene->peer = peer;
}

static inline void scene_open(struct scene *scene, const char *path, int flags)
{
	scene->fd = scene_keep(scene, openat(scene->dir, path,
					     flags | O_CLOEXEC));
}

static inline void scene_make_file(struct scene *scene, enum scene_kind kind)
{
	static const int modes[] = { O_RDWR, O_RDONLY, O_WRONLY,
				     O_WRONLY | O_APPEND, O_PATH };

	if (kind <= FILE_PATH)
		scene_open(scene, "f", modes[kind]);
	else if (kind == DIRECTORY)
		scene_open(scene, "d", O_RDONLY | O_DIRECTORY);
	else
		scene->fd = scene_keep(scene, memfd_create("m", MFD_CLOEXEC));
}

static inline void scene_make_pipe(struct scene *scene, enum scene_kind kind)
{
	int out = kind == PIPE_OUT || kind == PIPE_OUT_FULL ||
		  kind == PIPE_OUT_BROKEN;

	scene_pipe(scene, out, kind == PIPE_NONBLOCK ? O_NONBLOCK : 0);
	if (kind == PIPE_OUT_FULL)
		scene_fill(scene->fd);
	if (kind == PIPE_IN_DATA)
		harness_must(write(scene->peer, "abcdef", 6) == 6, "data");
	if (kind == PIPE_IN_ENDED || kind == PIPE_OUT_BROKEN) {
		close(scene->peer);
		scene->open[1] = -1;
		scene->peer = -1;
	}
}

static inline void scene_make_socket(struct scene *scene, enum scene_kind kind)
{
	if (kind == DATAGRAM || kind == DATAGRAM_DATA)
		scene_pair(scene, SOCK_DGRAM);
	else if (kind == SEQPACKET)
		scene_pair(scene, SOCK_SEQPACKET);
	else if (kind == UDP)
		scene->fd = scene_keep(scene, socket(AF_INET, SOCK_DGRAM |
						     SOCK_CLOEXEC, 0));
	else if (kind == TCP_NEW)
		scene->fd = scene_keep(scene, socket(AF_INET, SOCK_STREAM |
						     SOCK_CLOEXEC, 0));
	else if (kind == TCP || kind == TCP_DATA)
		scene_tcp(scene);
	else if (kind == LISTENER || kind == LISTENER_ONE)
		scene_listen(scene);
	else
		scene_pair(scene, SOCK_STREAM | (kind == STREAM_NONBLOCK
						 ? SOCK_NONBLOCK : 0));
	if (kind == STREAM_DATA || kind == DATAGRAM_DATA || kind == TCP_DATA)
		harness_must(write(scene->peer, "abcdef", 6) == 6, "data");
	if (kind == STREAM_ENDED)
		shutdown(scene->peer, SHUT_WR);
	if (kind == STREAM_SHUT)
		shutdown(scene->fd, SHUT_WR);
	if (kind == STREAM_FULL)
		scene_fill(scene->fd);
	if (kind == LISTENER_ONE)
		scene->peer = scene_connect(scene);
}

static inline void scene_make_other(struct scene *scene, enum scene_kind kind)
{
	static const char *const devices[] = { "/dev/null", "/dev/zero",
					       "/dev/full" };
	int master, slave;

	if (kind == EVENT || kind == EVENT_ONE)
		scene->fd = scene_keep(scene, eventfd(kind == EVENT_ONE,
						      EFD_CLOEXEC));
	else if (kind == TIMER)
		scene->fd = scene_keep(scene, timerfd_create(CLOCK_MONOTONIC,
							     TFD_CLOEXEC));
	else if (kind == EPOLL)
		scene->fd = scene_keep(scene, epoll_create1(EPOLL_CLOEXEC));
	else if (kind >= DEV_NULL && kind <= DEV_FULL)
		scene_open(scene, devices[kind - DEV_NULL], O_RDWR);
	else if (kind == TERMINAL &&
		 openpty(&master, &slave, NULL, NULL, NULL) == 0) {
		scene->peer = scene_keep(scene, master);
		scene->fd = scene_keep(scene, slave);
	} else
		scene->fd = kind == HUGE_NUMBER ? 1 << 28 : -1;
}

/* dir is emptied and planted. */
static inline void scene_begin(struct scene *scene, int dir,
			       enum scene_kind kind)
{
	*scene = (struct scene){ .dir = dir, .fd = -1, .peer = -1 };
	scene_plant(dir);
	if (kind <= MEMFD)
		scene_make_file(scene, kind);
	else if (kind <= PIPE_NONBLOCK)
		scene_make_pipe(scene, kind);
	else if (kind <= LISTENER_ONE)
		scene_make_socket(scene, kind);
	else if (kind == CLOSED)
		scene->fd = closed_fd();
	else
		scene_make_other(scene, kind);
}

static inline void scene_end(struct scene *scene)
{
	while (scene->count > 0)
		if (scene->open[--scene->count] >= 0)
			close(scene->open[scene->count]);
}

/* --- what became of it ---------------------------------------------------- */

static inline uint32_t scene_sum(uint32_t sum, const void *data, size_t len)
{
	const unsigned char *at = data;

	while (len--)
		sum = (sum ^ *at++) * 16777619u;
	return sum;
}

static inline uint32_t scene_sum_entry(uint32_t sum, int dir, const char *name)
{
	char data[256] = "";
	struct stat st;
	int fd;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return sum;
	sum = scene_sum(sum, name, strlen(name));
	sum = scene_sum(sum, &st.st_mode, sizeof(st.st_mode));
	if (!S_ISREG(st.st_mode))
		return sum;
	sum = scene_sum(sum, &st.st_size, sizeof(st.st_size));
	sum = scene_sum(sum, &st.st_nlink, sizeof(st.st_nlink));
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && read(fd, data, sizeof(data)) >= 0)
		sum = scene_sum(sum, data, sizeof(data));
	close(fd);
	return sum;
}

/* Names, modes, sizes, links and contents, in no order. */
static inline uint32_t scene_sum_tree(int dir, int depth)
{
	DIR *list = fdopendir(openat(dir, ".", O_RDONLY | O_CLOEXEC));
	struct dirent *entry;
	uint32_t sum = 0;

	if (!list)
		return 0;
	while ((entry = readdir(list)) != NULL) {
		int below;

		if (entry->d_name[0] == '.')
			continue;
		sum += scene_sum_entry(1, dir, entry->d_name);
		below = openat(dir, entry->d_name,
			       O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (below >= 0 && depth < 3)
			sum += 7 * scene_sum_tree(below, depth + 1);
		close(below);
	}
	closedir(list);
	return sum;
}

/* How much there is at the other end, and a sum of it. */
static inline uint32_t scene_sum_peer(const struct scene *scene)
{
	static char data[1 << 16];
	uint32_t sum = 1;
	ssize_t n;

	if (scene->peer < 0)
		return 0;
	fcntl(scene->peer, F_SETFL, O_NONBLOCK);
	while ((n = read(scene->peer, data, sizeof(data))) > 0)
		sum = scene_sum(sum, data, (size_t)n);
	return n == 0 ? sum + 1 : sum;
}

#endif
