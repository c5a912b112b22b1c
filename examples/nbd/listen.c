/* SPDX-License-Identifier: MIT */
/*
 * Where clients come from: sockets given by systemd, a unix socket, or TCP.
 * Plain calls, made once at start; they cannot block (but for a --bind name
 * that has to be looked up).
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "nbd.h"

enum {
	BACKLOG = 128,
	DEFAULT_PORT = 10809,
	SYSTEMD_FIRST_FD = 3,
	BIND_TRIES = 25,
	BIND_PAUSE_NS = 20 * 1000 * 1000,
};

static int add_listener(struct server *server, peal_fd fd)
{
	struct listener *listener;

	if (server->listener_count == LISTENERS_MAX)
		return -E2BIG;
	listener = &server->listeners[server->listener_count++];
	listener->server = server;
	listener->fd = fd;
	return 0;
}

/* What a URI cannot contain becomes %xx. */
static void append_quoted(char *uri, size_t size, const char *text)
{
	size_t len = strlen(uri);

	for (; *text && len + 4 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || strchr("-._~/", c))
			uri[len++] = (char)c;
		else
			len += (size_t)snprintf(uri + len, 4, "%%%02X", c);
		uri[len] = '\0';
	}
}

static void unix_uri(struct server *server, const char *path)
{
	snprintf(server->uri, sizeof(server->uri), "nbd+unix:///");
	append_quoted(server->uri, sizeof(server->uri),
		      server->options->export);
	strncat(server->uri, "?socket=", sizeof(server->uri) -
		strlen(server->uri) - 1);
	append_quoted(server->uri, sizeof(server->uri), path);
}

static void tcp_uri(struct server *server, const char *host, const char *port)
{
	bool v6 = strchr(host, ':');

	snprintf(server->uri, sizeof(server->uri), "nbd://%s%s%s:%s/",
		 v6 ? "[" : "", host, v6 ? "]" : "", port);
	append_quoted(server->uri, sizeof(server->uri),
		      server->options->export);
}

static void uri_of(struct server *server, peal_fd fd)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char host[64], port[8];

	memset(&addr, 0, sizeof(addr));
	if (getsockname(fd, (struct sockaddr *)&addr, &len))
		return;
	if (addr.ss_family == AF_UNIX)
		unix_uri(server, ((struct sockaddr_un *)&addr)->sun_path);
	else if (!getnameinfo((struct sockaddr *)&addr, len, host,
			      sizeof(host), port, sizeof(port),
			      NI_NUMERICHOST | NI_NUMERICSERV))
		tcp_uri(server, host, port);
}

/* systemd's protocol: LISTEN_FDS sockets from fd 3 on, meant for LISTEN_PID.
 * Returns how many, or an error. */
static int open_systemd(struct server *server)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	char *end;
	long count;

	if (!pid || !fds || strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	count = strtol(fds, &end, 10);
	if (end == fds || *end || count < 1 || count > LISTENERS_MAX) {
		log_error("LISTEN_FDS=%s: want a number from 1 to %d", fds,
			  LISTENERS_MAX);
		return -EINVAL;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	for (long i = 0; i < count; i++) {
		peal_fd fd = SYSTEMD_FIRST_FD + (peal_fd)i;
		int listening = 0;
		socklen_t len = sizeof(listening);

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening,
			       &len) || !listening) {
			log_error("LISTEN_FDS=%ld, but fd %d is no listening "
				  "socket", count, (int)fd);
			return -EINVAL;
		}
		add_listener(server, fd);
		/* The command of --run must not inherit it. */
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
	return (int)count;
}

/* The kernel ends the accepts of a process that was killed a moment after the
 * process itself: a server started again at once finds its address in use. So
 * it is asked for again, for half a second. */
static bool try_again(int error, int *tries)
{
	struct timespec pause = { 0, BIND_PAUSE_NS };

	if (error != -EADDRINUSE || ++*tries == BIND_TRIES)
		return false;
	nanosleep(&pause, NULL);
	return true;
}

/* A socket file that nobody listens on any more is in the way of bind(). */
static void remove_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd;

	if (lstat(addr->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) &&
	    errno == ECONNREFUSED)
		unlink(addr->sun_path);
	close(fd);
}

/* Returns a listening socket or an error. */
static int bound_socket(const struct sockaddr *addr, socklen_t len)
{
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int yes = 1, error;

	if (fd < 0)
		return -errno;
	if (addr->sa_family != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (!bind(fd, addr, len) && !listen(fd, BACKLOG))
		return fd;
	error = -errno;
	close(fd);
	return error;
}

static int open_unix(struct server *server, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, tries = 0;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		log_error("--unix %s: %u bytes, a unix socket's path has at "
			  "most %u", path, (unsigned)strlen(path),
			  (unsigned)sizeof(addr.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	strcpy(addr.sun_path, path);
	do {
		remove_stale(&addr);
		fd = bound_socket((struct sockaddr *)&addr, sizeof(addr));
	} while (try_again(fd, &tries));
	if (fd < 0) {
		log_error("cannot listen on %s: %s%s", path,
			  peal_strerror(fd), fd == -EADDRINUSE ?
			  "; somebody does already, or it is another file" :
			  "");
		return fd;
	}
	strcpy(server->unix_path, path);
	return add_listener(server, fd);
}

/* --run without an address: a socket that only our user can reach. */
static int open_private(struct server *server)
{
	const char *tmp = getenv("TMPDIR");
	char path[sizeof(server->temp_dir) + 16];

	if (!tmp || strlen(tmp) > sizeof(server->temp_dir) - 24)
		tmp = "/tmp";
	snprintf(server->temp_dir, sizeof(server->temp_dir),
		 "%s/peal-nbd.XXXXXX", tmp);
	if (!mkdtemp(server->temp_dir)) {
		log_error("cannot make a directory in %s: %s", tmp,
			  peal_strerror(-errno));
		server->temp_dir[0] = '\0';
		return -errno;
	}
	snprintf(path, sizeof(path), "%s/socket", server->temp_dir);
	return open_unix(server, path);
}

static int open_tcp(struct server *server)
{
	const struct options *options = server->options;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE };
	const char *host = options->bind ? options->bind : "127.0.0.1";
	struct addrinfo *info;
	char port[16];
	int fd, error, tries = 0;

	snprintf(port, sizeof(port), "%d", options->port < 0 ? DEFAULT_PORT :
		 options->port);
	error = getaddrinfo(host, port, &hints, &info);
	if (error) {
		log_error("--bind %s: %s", host, gai_strerror(error));
		return -EINVAL;
	}
	do {
		fd = bound_socket(info->ai_addr, info->ai_addrlen);
	} while (try_again(fd, &tries));
	freeaddrinfo(info);
	if (fd < 0) {
		log_error("cannot listen on %s port %s: %s%s", host, port,
			  peal_strerror(fd), fd == -EADDRINUSE ?
			  "; --port 0 takes a free one" : "");
		return fd;
	}
	return add_listener(server, fd);
}

int listen_open(struct server *server)
{
	const struct options *options = server->options;
	int error = open_systemd(server);

	if (error < 0)
		return error;
	if (error == 0) {
		if (options->unix_path)
			error = open_unix(server, options->unix_path);
		else if (options->run && !options->bind && options->port < 0)
			error = open_private(server);
		else
			error = open_tcp(server);
		if (error)
			return error;
	}
	uri_of(server, server->listeners[0].fd);
	return 0;
}

/* The sockets are closed by the ring; here go the names. */
void listen_close(struct server *server)
{
	if (server->unix_path[0])
		unlink(server->unix_path);
	if (server->temp_dir[0])
		rmdir(server->temp_dir);
}
