/* SPDX-License-Identifier: MIT */
/*
 * raw: a client of peal-nbd that speaks the protocol byte by byte, correctly
 * and otherwise. Built and run by test/nbd_raw.sh; uses nothing of peal.
 *
 *   nbd_raw PEAL-NBD DIRECTORY
 *
 * Each test starts its own server on a unix socket in DIRECTORY and stops it
 * with SIGTERM, which must end it with status 0. Nothing sleeps: the server
 * says on standard error when it is ready, and every wait is a read with a
 * time limit.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	OPT_EXPORT_NAME = 1, OPT_ABORT, OPT_LIST, OPT_STARTTLS = 5, OPT_INFO,
	OPT_GO, OPT_STRUCTURED,
	READ = 0, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES,
	FUA = 1, NO_HOLE = 2, FAST_ZERO = 16,
	E_PERM = 1, E_IO = 5, E_INVAL = 22, E_NOSPC = 28, E_SHUTDOWN = 108,
	GONE = -1,
	IMAGE_SIZE = 64 << 20, ARGS_MAX = 24, WAIT_S = 20,
};

#define REP_ERR(n) (0x80000000u | (n))
#define REP_ACK 1u
#define REP_SERVER 2u
#define REP_INFO 3u

static const char *program, *directory;
static char image[256];
static const char *why;		/* the first thing that failed */
static const char *skip;	/* why a test cannot run here */
static char why_text[256];

#define WANT(cond) \
	do { \
		if (!(cond)) { \
			set_why(#cond, __LINE__); \
			return; \
		} \
	} while (0)

static void set_why(const char *cond, int line)
{
	if (why)
		return;
	snprintf(why_text, sizeof(why_text), "line %d: %s", line, cond);
	why = why_text;
}

/* ---- the server ---- */

static struct {
	pid_t pid;
	int log;		/* its standard error */
	char socket[100];
	char text[65536];	/* what it said */
	size_t len;
	rlim_t max_files, max_file_size;
} server;

/* Reads the log until it contains what. */
static bool log_has(const char *what)
{
	struct pollfd ready = { .fd = server.log, .events = POLLIN };

	while (!strstr(server.text, what)) {
		ssize_t n;

		if (poll(&ready, 1, WAIT_S * 1000) <= 0)
			return false;
		n = read(server.log, server.text + server.len,
			 sizeof(server.text) - 1 - server.len);
		if (n <= 0)
			return false;
		server.len += (size_t)n;
		server.text[server.len] = '\0';
	}
	return true;
}

static void limit(int what, rlim_t value)
{
	struct rlimit both = { value, value };

	if (value)
		setrlimit(what, &both);
}

/* More arguments, separated by spaces. */
static bool start(const char *more)
{
	static unsigned count;
	char words[512];
	char *argv[ARGS_MAX] = { (char *)program, (char *)"--unix",
				 server.socket };
	int argc = 3, fds[2];

	snprintf(server.socket, sizeof(server.socket), "%s/%u", directory,
		 ++count);
	snprintf(words, sizeof(words), "%s", more);
	if (strstr(more, "--port"))
		argc = 1;
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc++] = image;
	if (pipe2(fds, O_CLOEXEC))
		return false;
	fcntl(fds[0], F_SETPIPE_SZ, 1 << 20);
	server.pid = fork();
	if (!server.pid) {
		dup2(fds[1], 2);
		limit(RLIMIT_NOFILE, server.max_files);
		limit(RLIMIT_FSIZE, server.max_file_size);
		execv(program, argv);
		_exit(127);
	}
	close(fds[1]);
	server.log = fds[0];
	server.len = 0;
	server.text[0] = '\0';
	return log_has("ready at ");
}

/* Returns the exit status; > 128: a signal. */
static int stop_by(int signal)
{
	int status = 0;

	if (signal)
		kill(server.pid, signal);
	waitpid(server.pid, &status, 0);
	log_has("\1");		/* never there: reads to the end */
	close(server.log);
	server.pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) :
		128 + WTERMSIG(status);
}

/* A number from the server's statistics. */
static long long stat_of(const char *name)
{
	char key[64];
	const char *at;

	server.len = 0;
	server.text[0] = '\0';
	kill(server.pid, SIGUSR1);
	if (!log_has("chunks="))
		return -1;
	snprintf(key, sizeof(key), " %s=", name);
	at = strstr(server.text, key);
	return at ? atoll(at + strlen(key)) : -1;
}

static long long proc_number(const char *file, const char *key)
{
	char path[64], line[256];
	long long value = -1;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%ld/%s", (long)server.pid, file);
	in = fopen(path, "r");
	while (in && fgets(line, sizeof(line), in))
		if (!strncmp(line, key, strlen(key)))
			value = atoll(line + strlen(key));
	if (in)
		fclose(in);
	return value;
}

static int count_entries(const char *what)
{
	char path[64];
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%ld/%s", (long)server.pid, what);
	dir = opendir(path);
	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count - 2;
}

static long cpu_ms(void)
{
	char path[64], text[512];
	unsigned long user = 0, system = 0;
	const char *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)server.pid);
	fd = open(path, O_RDONLY);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strrchr(text, ')');
	if (at)
		sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
		       "%lu %lu", &user, &system);
	return (long)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* ---- bytes ---- */

static uint8_t *put(uint8_t *at, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
	return at + bytes;
}

static uint64_t get(const uint8_t *at, int bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

static bool send_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static bool recv_all(int fd, void *data, size_t len)
{
	return !len || recv(fd, data, len, MSG_WAITALL) == (ssize_t)len;
}

/* The server has closed, whatever else it sent before. */
static bool at_end(int fd)
{
	char rest[4096];
	ssize_t n;

	do {
		n = recv(fd, rest, sizeof(rest), 0);
	} while (n > 0);
	return n == 0 || errno == ECONNRESET;
}

/* The server neither sends anything nor ends the connection for ms. */
static bool is_quiet(int fd, int ms)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	return poll(&ready, 1, ms) == 0;
}

static void fill(uint8_t *data, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		data[i] = (uint8_t)(seed >> 24);
	}
}

/* ---- the protocol ---- */

static int dial(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval wait = { WAIT_S, 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", server.socket);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int dial_tcp(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	struct timeval wait = { WAIT_S, 0 };
	const char *at = strstr(server.text, "127.0.0.1:");
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	addr.sin_port = htons((uint16_t)(at ? atoi(at + 10) : 0));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool hello(int fd, uint32_t flags)
{
	uint8_t data[18], answer[4];

	if (!recv_all(fd, data, 18) || memcmp(data, "NBDMAGICIHAVEOPT", 16) ||
	    get(data + 16, 2) != 3)
		return false;
	put(answer, flags, 4);
	return send_all(fd, answer, 4);
}

static bool option(int fd, uint32_t option, const void *data, uint32_t len)
{
	uint8_t head[16];

	memcpy(head, "IHAVEOPT", 8);
	put(put(head + 8, option, 4), len, 4);
	return send_all(fd, head, 16) && send_all(fd, data, len);
}

/* Returns the reply's type; 0: no sound reply. data has room for 1024. */
static uint32_t option_reply(int fd, uint32_t option, uint8_t *data,
			     uint32_t *out_len)
{
	uint8_t head[20];

	if (!recv_all(fd, head, 20) ||
	    get(head, 8) != UINT64_C(0x3e889045565a9) ||
	    get(head + 8, 4) != option || get(head + 16, 4) > 1024)
		return 0;
	*out_len = (uint32_t)get(head + 16, 4);
	if (!recv_all(fd, data, *out_len))
		return 0;
	return (uint32_t)get(head + 12, 4);
}

/* The same, without what comes with it. */
static uint32_t option_answer(int fd, uint32_t option)
{
	uint8_t data[1024];
	uint32_t len, type;

	do {
		type = option_reply(fd, option, data, &len);
	} while (type == REP_INFO || type == REP_SERVER);
	return type;
}

/* GO or INFO for the export name, asking for the name and the block size. */
static bool ask(int fd, uint32_t which, const char *name)
{
	uint8_t data[300], *at = data;

	at = put(at, strlen(name), 4);
	memcpy(at, name, strlen(name));
	at = put(at + strlen(name), 3, 2);
	at = put(put(put(at, 1, 2), 3, 2), 3, 2);
	return option(fd, which, data, (uint32_t)(at - data));
}

static int enter(int fd)
{
	if (fd < 0 || !hello(fd, 3) || !ask(fd, OPT_GO, "") ||
	    option_answer(fd, OPT_GO) != REP_ACK) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static uint8_t *put_request(uint8_t *at, unsigned flags, unsigned type,
			    uint64_t cookie, uint64_t offset, uint32_t len)
{
	at = put(put(put(at, 0x25609513, 4), flags, 2), type, 2);
	return put(put(put(at, cookie, 8), offset, 8), len, 4);
}

static bool request(int fd, unsigned flags, unsigned type, uint64_t cookie,
		    uint64_t offset, uint32_t len, const void *payload)
{
	uint8_t head[28];

	put_request(head, flags, type, cookie, offset, len);
	return send_all(fd, head, 28) &&
	       (!payload || send_all(fd, payload, len));
}

/* Returns the reply's error, or GONE. */
static int reply(int fd, uint64_t *out_cookie)
{
	uint8_t head[16];

	if (!recv_all(fd, head, 16) || get(head, 4) != 0x67446698)
		return GONE;
	*out_cookie = get(head + 8, 8);
	return (int)get(head + 4, 4);
}

static int do_flags(int fd, unsigned flags, unsigned type, uint64_t offset,
		    uint32_t len, void *payload)
{
	static uint64_t cookie = 1000;
	uint64_t got;
	int error;

	if (!request(fd, flags, type, ++cookie, offset, len,
		     type == WRITE ? payload : NULL))
		return GONE;
	error = reply(fd, &got);
	if (error < 0 || got != cookie)
		return GONE;
	if (type == READ && !error && !recv_all(fd, payload, len))
		return GONE;
	return error;
}

static int do_one(int fd, unsigned type, uint64_t offset, uint32_t len,
		  void *payload)
{
	return do_flags(fd, 0, type, offset, len, payload);
}

/* Another client is served as if nothing had happened. */
static bool others_are_served(void)
{
	uint8_t in[4096], out[4096];
	int fd = enter(dial());
	bool good;

	fill(out, sizeof(out), 42);
	good = fd >= 0 && !do_one(fd, WRITE, 8 << 20, 4096, out) &&
	       !do_one(fd, READ, 8 << 20, 4096, in) &&
	       !memcmp(in, out, 4096) && request(fd, 0, DISC, 0, 0, 0, NULL) &&
	       at_end(fd);
	if (fd >= 0)
		close(fd);
	return good;
}

/* ---- the handshake ---- */

static void wrong_option_magic_ends_only_that_connection(void)
{
	int fd = (start(""), dial());

	WANT(hello(fd, 3));
	WANT(send_all(fd, "IHAVEOPS\0\0\0\3\0\0\0\0", 16));
	WANT(at_end(fd));
	close(fd);
	WANT(log_has("wrong option magic"));
	WANT(others_are_served());
}

static void unknown_client_flags_end_the_connection(void)
{
	int fd = (start(""), dial());

	WANT(hello(fd, 0x80000003));
	WANT(at_end(fd));
	close(fd);
	WANT(others_are_served());
}

static void option_of_4_gib_is_too_big(void)
{
	uint8_t data[1024];
	uint32_t len;
	int fd = (start(""), dial());

	WANT(hello(fd, 3));
	WANT(send_all(fd, "IHAVEOPT\0\0\0\7\377\377\377\377", 16));
	WANT(option_reply(fd, OPT_GO, data, &len) == REP_ERR(9));
	WANT(others_are_served());
	close(fd);
	fd = dial();
	WANT(hello(fd, 3));
	WANT(send_all(fd, "IHAVEOPT\0\0\0\1\377\377\377\377", 16));
	WANT(at_end(fd));
	close(fd);
	WANT(others_are_served());
}

static void option_too_long_is_passed_over(void)
{
	static uint8_t data[300000];
	int fd = (start(""), dial());

	WANT(hello(fd, 3));
	WANT(option(fd, 1234, data, sizeof(data)));
	WANT(option_answer(fd, 1234) == REP_ERR(9));
	WANT(ask(fd, OPT_GO, ""));
	WANT(option_answer(fd, OPT_GO) == REP_ACK);
	close(fd);
}

static void option_flood_is_cut_off(void)
{
	int answered = 0;
	int fd = (start(""), dial());

	WANT(hello(fd, 3));
	while (answered < 1000 && option(fd, OPT_LIST, NULL, 0) &&
	       option_answer(fd, OPT_LIST) == REP_ACK)
		answered++;
	WANT(answered >= 16 && answered < 1000);
	close(fd);
	WANT(others_are_served());
}

static void unknown_option_is_answered_and_the_stream_stays_in_step(void)
{
	uint8_t data[100] = { 0 };
	int fd = (start(""), dial());

	WANT(hello(fd, 3));
	WANT(option(fd, 77, data, 100));
	WANT(option_answer(fd, 77) == REP_ERR(1));
	WANT(option(fd, OPT_STARTTLS, NULL, 0));
	WANT(option_answer(fd, OPT_STARTTLS) == REP_ERR(1));
	WANT(option(fd, OPT_STRUCTURED, NULL, 0));
	WANT(option_answer(fd, OPT_STRUCTURED) == REP_ERR(1));
	WANT(option(fd, OPT_LIST, NULL, 0));
	WANT(option_answer(fd, OPT_LIST) == REP_ACK);
	close(fd);
}

static void options_sent_ahead_are_answered_one_by_one(void)
{
	int fd = (start(""), dial());

	WANT(hello(fd, 3));
	for (int i = 0; i < 20; i++)
		WANT(option(fd, OPT_LIST, NULL, 0));
	WANT(ask(fd, OPT_GO, ""));
	for (int i = 0; i < 20; i++)
		WANT(option_answer(fd, OPT_LIST) == REP_ACK);
	WANT(option_answer(fd, OPT_GO) == REP_ACK);
	close(fd);
}

static void export_name_pads_with_zeroes_unless_told_not_to(void)
{
	uint8_t data[134];
	int fd = (start("--export disk"), dial());

	WANT(hello(fd, 1));
	WANT(option(fd, OPT_EXPORT_NAME, "disk", 4));
	WANT(recv_all(fd, data, 134));
	WANT(get(data, 8) == IMAGE_SIZE && data[9] & 1 && !data[10]);
	WANT(do_one(fd, FLUSH, 0, 0, NULL) == 0);
	close(fd);
	fd = dial();
	WANT(hello(fd, 3));
	WANT(option(fd, OPT_EXPORT_NAME, "disk", 4));
	WANT(recv_all(fd, data, 10));
	WANT(do_one(fd, FLUSH, 0, 0, NULL) == 0);
	close(fd);
}

static void unknown_export_name_ends_the_connection(void)
{
	int fd = (start("--export disk"), dial());

	WANT(hello(fd, 3));
	WANT(option(fd, OPT_EXPORT_NAME, "disc", 4));
	WANT(at_end(fd));
	close(fd);
	WANT(log_has("unknown export"));
}

static void what_a_client_sends_forges_no_log_line(void)
{
	static const char name[] = "x\"\npeal-nbd: FORGED\n\033[31mred";
	static uint8_t many[8000];
	int a = (start("--export disk"), dial()), b = dial();

	memset(many, 'y', sizeof(many));
	WANT(hello(a, 3) && hello(b, 3));
	WANT(option(a, OPT_EXPORT_NAME, name, sizeof(name)));
	WANT(at_end(a));
	WANT(option(b, OPT_EXPORT_NAME, many, sizeof(many)));
	WANT(at_end(b));
	close(a);
	close(b);
	WANT(log_has("yyy...\", dropped"));
	WANT(strstr(server.text, "\"x\"?peal-nbd: FORGED??[31mred?\""));
}

static void go_tells_export_name_and_block_size(void)
{
	unsigned seen = 0;
	uint8_t data[1024];
	uint32_t len, type;
	int fd = (start("--export disk --max-request 1M"), dial());

	WANT(hello(fd, 3));
	WANT(ask(fd, OPT_INFO, "disk"));
	while ((type = option_reply(fd, OPT_INFO, data, &len)) == REP_INFO) {
		unsigned info = (unsigned)get(data, 2);

		WANT(info < 4 && !(seen & 1u << info));
		seen |= 1u << info;
		WANT(info != 0 || (len == 12 && get(data + 2, 8) ==
				   IMAGE_SIZE && get(data + 10, 2) == 0xd6d));
		WANT(info != 1 || (len == 6 && !memcmp(data + 2, "disk", 4)));
		WANT(info != 3 || (len == 14 && get(data + 2, 4) == 1 &&
				   get(data + 6, 4) == 4096 &&
				   get(data + 10, 4) == 1 << 20));
	}
	WANT(type == REP_ACK && seen == 0xb);
	WANT(ask(fd, OPT_GO, "disk"));
	WANT(option_answer(fd, OPT_GO) == REP_ACK);
	WANT(do_one(fd, FLUSH, 0, 0, NULL) == 0);
	close(fd);
}

static void unknown_export_is_an_error_and_another_go_may_follow(void)
{
	int fd = (start("--export disk"), dial());

	WANT(hello(fd, 3));
	WANT(ask(fd, OPT_GO, "tape"));
	WANT(option_answer(fd, OPT_GO) == REP_ERR(6));
	WANT(ask(fd, OPT_GO, "disk"));
	WANT(option_answer(fd, OPT_GO) == REP_ACK);
	close(fd);
}

static void go_whose_lengths_disagree_is_invalid(void)
{
	static const char *const wrong[] = {
		"", "\0\0\0\0\0", "\377\377\377\377\0\0", "\0\0\0\1\0\0",
		"\0\0\0\0\0\1", "\0\0\0\0\377\377\0\1",
	};
	static const uint32_t len[] = { 0, 5, 6, 6, 6, 8 };
	int fd = (start(""), dial());

	WANT(hello(fd, 3));
	for (int i = 0; i < 6; i++) {
		WANT(option(fd, OPT_GO, wrong[i], len[i]));
		WANT(option_answer(fd, OPT_GO) == REP_ERR(3));
	}
	WANT(ask(fd, OPT_GO, ""));
	WANT(option_answer(fd, OPT_GO) == REP_ACK);
	close(fd);
}

static void list_names_the_export_and_takes_no_data(void)
{
	uint8_t data[1024];
	uint32_t len;
	int fd = (start("--export disk"), dial());

	WANT(hello(fd, 3));
	WANT(option(fd, OPT_LIST, "x", 1));
	WANT(option_answer(fd, OPT_LIST) == REP_ERR(3));
	WANT(option(fd, OPT_LIST, NULL, 0));
	WANT(option_reply(fd, OPT_LIST, data, &len) == REP_SERVER);
	WANT(len == 8 && get(data, 4) == 4 && !memcmp(data + 4, "disk", 4));
	WANT(option_reply(fd, OPT_LIST, data, &len) == REP_ACK);
	close(fd);
}

static void abort_is_acknowledged_and_ends_it(void)
{
	int fd = (start(""), dial());

	WANT(hello(fd, 3));
	WANT(option(fd, OPT_ABORT, "why not", 7));
	WANT(option_answer(fd, OPT_ABORT) == REP_ACK);
	WANT(at_end(fd));
	close(fd);
}

/* ---- requests ---- */

static void requests_past_the_end_are_refused(void)
{
	static uint8_t data[8192];
	int fd = (start(""), enter(dial()));

	WANT(fd >= 0);
	WANT(do_one(fd, READ, IMAGE_SIZE - 1, 2, data) == E_INVAL);
	WANT(do_one(fd, READ, IMAGE_SIZE - 1, 1, data) == 0);
	WANT(do_one(fd, READ, UINT64_MAX, 1, data) == E_INVAL);
	WANT(do_one(fd, READ, UINT64_MAX - 4095, 4096, data) == E_INVAL);
	WANT(do_one(fd, WRITE, IMAGE_SIZE - 4096, 8192, data) == E_NOSPC);
	WANT(do_one(fd, WRITE, UINT64_MAX - 1, 4096, data) == E_NOSPC);
	WANT(do_one(fd, ZEROES, IMAGE_SIZE, 1, NULL) == E_NOSPC);
	WANT(do_one(fd, TRIM, IMAGE_SIZE - 1, UINT32_MAX, NULL) == E_INVAL);
	WANT(do_one(fd, CACHE, IMAGE_SIZE, 1, NULL) == E_INVAL);
	WANT(do_one(fd, READ, 0, 4096, data) == 0);
	close(fd);
}

static void length_over_the_maximum_is_einval_and_the_stream_in_step(void)
{
	static uint8_t data[(1 << 20) + 1];
	int fd = (start("--max-request 1M"), enter(dial()));

	WANT(fd >= 0);
	WANT(do_one(fd, READ, 0, sizeof(data), data) == E_INVAL);
	WANT(do_one(fd, WRITE, 0, sizeof(data), data) == E_INVAL);
	WANT(do_one(fd, READ, 0, 1 << 20, data) == 0);
	WANT(do_one(fd, WRITE, 0, 1 << 20, data) == 0);
	WANT(do_one(fd, READ, 0, UINT32_MAX, data) == E_INVAL);
	WANT(do_one(fd, READ, 0, 1, data) == 0);
	close(fd);
}

static void unknown_commands_and_flags_are_einval(void)
{
	uint8_t data[512];
	int fd = (start(""), enter(dial()));

	WANT(fd >= 0);
	WANT(do_one(fd, 7, 0, 512, NULL) == E_INVAL);
	WANT(do_one(fd, 0xffff, 0, 512, NULL) == E_INVAL);
	WANT(do_flags(fd, 4, READ, 0, 512, data) == E_INVAL);
	WANT(do_flags(fd, 0x8000, WRITE, 0, 512, data) == E_INVAL);
	WANT(do_flags(fd, NO_HOLE, WRITE, 0, 512, data) == E_INVAL);
	WANT(do_one(fd, FLUSH, 1, 0, NULL) == E_INVAL);
	WANT(do_flags(fd, FUA, READ, 0, 512, data) == 0);
	close(fd);
}

static void zero_length_requests_do_nothing_and_succeed(void)
{
	int fd = (start(""), enter(dial()));

	WANT(fd >= 0);
	WANT(do_one(fd, READ, 0, 0, NULL) == 0);
	WANT(do_one(fd, WRITE, IMAGE_SIZE, 0, NULL) == 0);
	WANT(do_flags(fd, FUA, WRITE, 5, 0, NULL) == 0);
	WANT(do_one(fd, ZEROES, 0, 0, NULL) == 0);
	WANT(do_one(fd, TRIM, 0, 0, NULL) == 0);
	WANT(do_one(fd, CACHE, 0, 0, NULL) == 0);
	close(fd);
}

static void read_only_refuses_writes_and_consumes_their_payload(void)
{
	uint8_t data[4096] = { 1 };
	int fd = (start("--read-only"), enter(dial()));

	WANT(fd >= 0);
	WANT(do_one(fd, WRITE, 0, 4096, data) == E_PERM);
	WANT(do_flags(fd, FUA, WRITE, 0, 4096, data) == E_PERM);
	WANT(do_one(fd, ZEROES, 0, 4096, NULL) == E_PERM);
	WANT(do_one(fd, TRIM, 0, 4096, NULL) == E_PERM);
	WANT(do_one(fd, READ, 0, 4096, data) == 0);
	close(fd);
}

static void wrong_request_magic_ends_only_that_connection(void)
{
	int fd = (start(""), enter(dial()));

	WANT(fd >= 0);
	WANT(send_all(fd, "0123456789012345678901234567", 28));
	WANT(at_end(fd));
	close(fd);
	WANT(log_has("wrong request magic"));
	WANT(others_are_served());
}

static void odd_offsets_and_lengths_land_where_they_should(void)
{
	static const uint32_t lens[] = { 1, 27, 777, 4097, 65537, 262143,
					 262145, 524289, 3145729 };
	static uint8_t out[4 << 20], in[4 << 20];
	int fd = (start(""), enter(dial()));
	int file = open(image, O_RDONLY | O_CLOEXEC);
	uint64_t offset = 12345;

	WANT(fd >= 0);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		fill(out, lens[i], lens[i]);
		WANT(do_one(fd, WRITE, offset, lens[i], out) == 0);
		WANT(pread(file, in, lens[i], (off_t)offset) ==
		     (ssize_t)lens[i]);
		WANT(!memcmp(in, out, lens[i]));
		memset(in, 0, lens[i]);
		WANT(do_one(fd, READ, offset, lens[i], in) == 0);
		WANT(!memcmp(in, out, lens[i]));
		offset += lens[i] + 1;
	}
	close(file);
	close(fd);
}

static void zeroes_and_trims_read_back_as_zeroes(void)
{
	static uint8_t data[1 << 20];
	struct stat before, after;
	int fd = (start(""), enter(dial()));

	WANT(fd >= 0);
	memset(data, 7, sizeof(data));
	WANT(do_flags(fd, FUA, WRITE, 0, 1 << 20, data) == 0);
	WANT(!stat(image, &before));
	WANT(do_one(fd, ZEROES, 0, 512 << 10, NULL) == 0);
	WANT(do_one(fd, TRIM, 512 << 10, 256 << 10, NULL) == 0);
	WANT(do_one(fd, READ, 0, 1 << 20, data) == 0);
	for (int i = 0; i < 512 << 10; i++)
		WANT(data[i] == 0);
	WANT(data[(1 << 20) - 1] == 7);
	WANT(!stat(image, &after));
	WANT(after.st_blocks < before.st_blocks);
	WANT(do_flags(fd, NO_HOLE, ZEROES, 0, 768 << 10, NULL) == 0);
	WANT(do_one(fd, READ, 100, 4096, data) == 0);
	WANT(data[0] == 0 && data[4095] == 0);
	WANT(do_flags(fd, FAST_ZERO | FUA, ZEROES, 3, 4095, NULL) == 0);
	WANT(do_one(fd, CACHE, 0, 1 << 20, NULL) == 0);
	close(fd);
}

static void a_small_request_overtakes_a_long_one(void)
{
	static uint8_t data[32 << 20];
	uint8_t both[56];
	uint64_t cookie;
	int fd = (start(""), enter(dial()));

	WANT(fd >= 0);
	put_request(both, 0, READ, 1, 0, sizeof(data));
	put_request(both + 28, 0, CACHE, 2, 0, 0);
	WANT(send_all(fd, both, 56));
	WANT(reply(fd, &cookie) == 0 && cookie == 2);
	WANT(reply(fd, &cookie) == 0 && cookie == 1);
	WANT(recv_all(fd, data, sizeof(data)));
	close(fd);
}

/* Sends count requests from a child, so that nobody waits for anybody. */
static pid_t send_many(int fd, int count, uint32_t len)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	for (int i = 0; i < count; i++)
		if (!request(fd, 0, READ, (uint64_t)i, (uint64_t)i % 64 * len,
			     len, NULL))
			_exit(1);
	_exit(0);
}

static void ten_thousand_requests_pass_through_four_slots(void)
{
	enum { COUNT = 10000 };
	static uint8_t seen[COUNT], data[512];
	uint64_t cookie;
	int fd = (start("--slots 4"), enter(dial()));
	pid_t child;

	WANT(fd >= 0);
	child = send_many(fd, COUNT, 512);
	for (int i = 0; i < COUNT; i++) {
		WANT(reply(fd, &cookie) == 0);
		WANT(cookie < COUNT && !seen[cookie]++);
		WANT(recv_all(fd, data, 512));
	}
	waitpid(child, NULL, 0);
	WANT(do_one(fd, READ, 0, 512, data) == 0);
	close(fd);
}

/* Everybody holds one chunk and wants two: nobody may wait in a circle. */
static void long_requests_finish_with_one_chunk_each(void)
{
	enum { CLIENTS = 3, COUNT = 8, LEN = 2 << 20 };
	static uint8_t data[LEN];
	int fd[CLIENTS];
	uint64_t cookie;
	pid_t child[CLIENTS];

	WANT(start("--slots 8 --max-connections 3 --max-memory 800000"));
	for (int i = 0; i < CLIENTS; i++) {
		fd[i] = enter(dial());
		WANT(fd[i] >= 0);
		child[i] = send_many(fd[i], COUNT, LEN);
	}
	for (int i = 0; i < CLIENTS; i++)
		waitpid(child[i], NULL, 0);
	for (int k = 0; k < COUNT; k++)
		for (int i = 0; i < CLIENTS; i++) {
			WANT(reply(fd[i], &cookie) == 0);
			WANT(recv_all(fd[i], data, LEN));
		}
	for (int i = 0; i < CLIENTS; i++) {
		WANT(do_one(fd[i], WRITE, 0, LEN, data) == 0);
		WANT(request(fd[i], 0, DISC, 0, 0, 0, NULL));
		WANT(at_end(fd[i]));
		close(fd[i]);
	}
	WANT(stat_of("chunks_free") == 3);
}

/* ---- durability ---- */

static void flush_and_fua_sync_and_plain_writes_do_not(void)
{
	uint8_t data[4096] = { 3 };
	int fd = (start(""), enter(dial()));

	WANT(fd >= 0);
	WANT(do_one(fd, WRITE, 0, 4096, data) == 0);
	WANT(stat_of("syncs") == 0);
	WANT(do_one(fd, FLUSH, 0, 0, NULL) == 0);
	WANT(stat_of("syncs") == 1);
	WANT(do_flags(fd, FUA, WRITE, 0, 4096, data) == 0);
	WANT(stat_of("syncs") == 2);
	WANT(do_flags(fd, FUA, ZEROES, 0, 4096, NULL) == 0);
	WANT(do_flags(fd, FUA, TRIM, 0, 4096, NULL) == 0);
	WANT(stat_of("syncs") == 4);
	WANT(do_flags(fd, FUA, READ, 0, 4096, data) == 0);
	WANT(stat_of("syncs") == 4);
	close(fd);
}

static void sigterm_answers_requests_in_flight_and_syncs(void)
{
	enum { COUNT = 60, LEN = 65536 };
	static uint8_t data[LEN], in[LEN];
	int file = open(image, O_RDONLY | O_CLOEXEC), answers = 0;
	int fd = (start("--verbose"), enter(dial()));
	bool done[COUNT] = { false };
	uint64_t cookie;
	int error;

	WANT(fd >= 0);
	memset(data, 0x5a, LEN);
	for (int i = 0; i < COUNT; i++)
		WANT(request(fd, 0, WRITE, (uint64_t)i, (uint64_t)i * LEN, LEN,
			     data));
	kill(server.pid, SIGTERM);
	while ((error = reply(fd, &cookie)) >= 0) {
		WANT(error == 0 || error == E_SHUTDOWN);
		WANT(cookie < COUNT);
		done[cookie] = error == 0;
		answers++;
	}
	WANT(answers == COUNT);
	close(fd);
	for (int i = 0; i < COUNT; i++) {
		if (!done[i])
			continue;
		WANT(pread(file, in, LEN, (off_t)i * LEN) == LEN);
		WANT(!memcmp(in, data, LEN));
	}
	close(file);
	WANT(stop_by(0) == 0);
	WANT(strstr(server.text, "stats: "));
}

/* EXPORT_NAME's answer is a size, whatever it looks like. */
static void export_name_while_stopping_is_answered_by_the_end(void)
{
	uint8_t size[8];
	int busy = (start(""), enter(dial())), late = dial();
	uint64_t cookie;

	WANT(busy >= 0 && hello(late, 3));
	WANT(request(busy, 0, WRITE, 1, 0, sizeof(size), NULL));
	while (stat_of("writes") < 1)
		;
	kill(server.pid, SIGSTOP);
	kill(server.pid, SIGTERM);
	WANT(option(late, OPT_EXPORT_NAME, "", 0));
	kill(server.pid, SIGCONT);
	WANT(!recv_all(late, size, 8) || get(size, 8) == IMAGE_SIZE);
	WANT(send_all(busy, "12345678", 8));
	WANT(reply(busy, &cookie) == 0);
	close(busy);
	close(late);
	WANT(stop_by(0) == 0);
}

static void sigterm_with_run_waits_for_other_clients(void)
{
	static uint8_t data[1 << 20];
	uint64_t cookie;
	int fd = (start("--verbose --run sleep\t60"), enter(dial()));

	WANT(fd >= 0);
	WANT(request(fd, 0, WRITE, 1, 0, sizeof(data), NULL));
	WANT(send_all(fd, data, 4096));
	while (stat_of("writes") < 1)
		;
	kill(server.pid, SIGTERM);
	WANT(log_has("the command ended"));
	WANT(is_quiet(fd, 50));		/* for some ticks of its stop */
	WANT(send_all(fd, data, sizeof(data) - 4096));
	WANT(reply(fd, &cookie) == 0);
	close(fd);
	WANT(stop_by(0) == 128 + SIGTERM);
}

static void sigterm_ends_idle_and_half_open_connections_at_once(void)
{
	int idle = (start(""), enter(dial())), silent = dial();

	WANT(idle >= 0 && silent >= 0);
	kill(server.pid, SIGTERM);
	WANT(at_end(idle) && at_end(silent));
	close(idle);
	close(silent);
	WANT(stop_by(0) == 0);
}

/* ---- hostile and unlucky clients ---- */

static size_t session(uint8_t *at)
{
	uint8_t *begin = at;

	at = put(at, 3, 4);
	memcpy(at, "IHAVEOPT", 8);
	at = put(put(at + 8, OPT_GO, 4), 6, 4);
	at = put(at, 0, 6);
	at = put_request(at, FUA, WRITE, 1, 100, 64);
	fill(at, 64, 1);
	at = put_request(at + 64, 0, READ, 2, 0, 1 << 20);
	at = put_request(at, 0, FLUSH, 3, 0, 0);
	at = put_request(at, 0, ZEROES, 4, 0, 4096);
	return (size_t)(put_request(at, 0, DISC, 5, 0, 0) - begin);
}

static void disconnects_at_every_byte_disturb_nobody(void)
{
	uint8_t data[512];
	size_t len = session(data);
	int fds;

	WANT(start("--max-connections 400 --max-memory 128M"));
	WANT(others_are_served());
	while (stat_of("open") > 0)
		;
	fds = count_entries("fd");
	for (size_t n = 0; n <= len; n++) {
		int fd = dial();

		WANT(fd >= 0);
		WANT(n == 0 || send_all(fd, data, n));
		close(fd);
	}
	WANT(others_are_served());
	while (stat_of("open") > 0)
		;
	WANT(stat_of("chunks_free") == stat_of("chunks"));
	WANT(count_entries("fd") == fds);
}

static void tcp_reset_with_replies_in_flight_disturbs_nobody(void)
{
	struct linger hard = { 1, 0 };

	WANT(start("--port 0"));
	for (int i = 0; i < 20; i++) {
		int fd = enter(dial_tcp());

		WANT(fd >= 0);
		for (int k = 0; k < 40; k++)
			WANT(request(fd, 0, READ, 1, 0, 1 << 20, NULL));
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(fd);
	}
	while (stat_of("open") > 0)
		;
	WANT(stat_of("chunks_free") == stat_of("chunks"));
}

static void half_open_connection_is_dropped_after_the_timeout(void)
{
	int silent = (start("--handshake-timeout 3"), dial());
	int slow = dial();
	int busy = enter(dial());
	uint8_t data[4096];

	WANT(silent >= 0 && busy >= 0 && slow >= 0);
	WANT(hello(slow, 3) && send_all(slow, "IHAV", 4));
	WANT(do_one(busy, READ, 0, 4096, data) == 0);
	WANT(at_end(silent) && at_end(slow));
	WANT(log_has("--handshake-timeout"));
	WANT(do_one(busy, READ, 0, 4096, data) == 0);
	close(silent);
	close(slow);
	close(busy);
}

static void half_a_request_is_dropped_after_the_timeout(void)
{
	uint8_t data[4096] = { 0 };
	int a = (start("--stall-timeout 1"), enter(dial()));
	int b = enter(dial()), idle = enter(dial());

	WANT(a >= 0 && b >= 0);
	WANT(send_all(a, "\x25\x60\x95", 3));
	WANT(request(b, 0, WRITE, 1, 0, 1 << 20, NULL));
	WANT(send_all(b, data, 4096));
	WANT(at_end(a) && at_end(b));
	WANT(do_one(idle, READ, 0, 4096, data) == 0);
	WANT(stat_of("chunks_free") == stat_of("chunks"));
	close(a);
	close(b);
	close(idle);
}

static void refused_payload_that_trickles_is_dropped(void)
{
	int fd = (start("--stall-timeout 1"), enter(dial())), sent = 0;
	int64_t began = now_ms();

	WANT(fd >= 0);
	WANT(request(fd, 0, WRITE, 1, IMAGE_SIZE, 1 << 20, NULL));
	while (sent < 100 && send_all(fd, "x", 1) && is_quiet(fd, 100))
		sent++;
	close(fd);
	WANT(now_ms() - began > 500 && sent < 100);
	WANT(log_has("--stall-timeout"));
}

static void idle_timeout_spares_who_waits_for_a_reply(void)
{
	uint8_t data[512];
	int fd = (start("--idle-timeout 3"), enter(dial()));

	WANT(fd >= 0);
	WANT(do_one(fd, READ, 0, 512, data) == 0);
	WANT(at_end(fd));
	WANT(log_has("--idle-timeout"));
	close(fd);
}

static void peer_that_never_reads_is_dropped_and_pins_no_memory(void)
{
	uint8_t data[4096];
	int deaf = (start("--stall-timeout 1"), enter(dial()));
	int busy = enter(dial());
	pid_t child;

	WANT(deaf >= 0 && busy >= 0);
	child = send_many(deaf, 2000, 256 << 10);
	while (stat_of("open") == 2)
		WANT(do_one(busy, READ, 0, 4096, data) == 0);
	waitpid(child, NULL, 0);
	WANT(stat_of("chunks_free") == stat_of("chunks"));
	WANT(do_one(busy, READ, 0, 4096, data) == 0);
	close(deaf);
	close(busy);
}

static void connections_over_the_cap_are_refused(void)
{
	int fd[3], more;

	WANT(start("--max-connections 3"));
	for (int i = 0; i < 3; i++)
		WANT((fd[i] = enter(dial())) >= 0);
	more = dial();
	WANT(at_end(more));
	close(more);
	WANT(request(fd[0], 0, DISC, 0, 0, 0, NULL) && at_end(fd[0]));
	close(fd[0]);
	while (stat_of("open") > 2)
		;
	WANT((fd[0] = enter(dial())) >= 0);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
}

static void accept_recovers_from_running_out_of_fds(void)
{
	enum { CLIENTS = 40 };
	int fd[CLIENTS];
	long before;

	server.max_files = 24;
	WANT(start("--max-connections 64"));
	for (int i = 0; i < CLIENTS; i++)
		WANT((fd[i] = dial()) >= 0);
	WANT(log_has("cannot accept"));
	/* Stays in trouble for two retries; a spinning accept would show. */
	before = cpu_ms();
	poll(NULL, 0, 250);
	WANT(cpu_ms() - before < 150);
	for (int i = 0; i < CLIENTS; i++)
		close(fd[i]);
	WANT(others_are_served());
}

static void thousand_connections_leak_no_fd(void)
{
	int before;

	WANT(start(""));
	WANT(others_are_served());
	while (stat_of("open") > 0)
		;
	before = count_entries("fd");
	for (int i = 0; i < 1000; i++) {
		int fd = enter(dial());

		WANT(fd >= 0);
		close(fd);
	}
	while (stat_of("open") > 0)
		;
	WANT(count_entries("fd") == before);
}

/* ---- promises ---- */

static void one_thread_serves_it_all(void)
{
	static uint8_t data[1 << 20];
	char path[300], name[64];
	struct dirent *entry;
	int fd = (start(""), enter(dial())), threads = 0;
	DIR *dir;

	WANT(fd >= 0);
	for (int i = 0; i < 30; i++) {
		WANT(do_flags(fd, FUA, WRITE, (uint64_t)i << 20, 1 << 20,
			      data) == 0);
		WANT(do_one(fd, READ, 0, 1 << 20, data) == 0);
	}
	snprintf(path, sizeof(path), "/proc/%ld/task", (long)server.pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		FILE *in;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%ld/task/%.20s/comm",
			 (long)server.pid, entry->d_name);
		in = fopen(path, "r");
		if (!in)
			continue;	/* a worker that just ended */
		if (fgets(name, sizeof(name), in) &&
		    strncmp(name, "iou-wrk", 7))
			threads++;
		fclose(in);
	}
	if (dir)
		closedir(dir);
	WANT(threads == 1);
	close(fd);
}

static void memory_stays_within_its_bound(void)
{
	enum { CLIENTS = 4, COUNT = 400, LEN = 1 << 20 };
	static uint8_t data[LEN];
	long long before, after;
	int fd[CLIENTS];
	pid_t child[CLIENTS];
	uint64_t cookie;

	WANT(start("--max-memory 8M --max-connections 8"));
	WANT(others_are_served());
	before = proc_number("status", "VmRSS:");
	for (int i = 0; i < CLIENTS; i++) {
		fd[i] = enter(dial());
		WANT(fd[i] >= 0);
		child[i] = send_many(fd[i], COUNT, LEN);
	}
	for (int k = 0; k < COUNT; k++)
		for (int i = 0; i < CLIENTS; i++) {
			WANT(reply(fd[i], &cookie) == 0);
			WANT(recv_all(fd[i], data, LEN));
		}
	after = proc_number("status", "VmRSS:");
	for (int i = 0; i < CLIENTS; i++) {
		waitpid(child[i], NULL, 0);
		close(fd[i]);
	}
	/* KiB: the chunks, four receive buffers, and what start-up left. */
	WANT(before > 0 && after < before + 8192 + 4 * 128 + 1024);
}

/* ---- the file lets us down ---- */

static void full_disk_is_enospc_and_the_stream_in_step(void)
{
	static uint8_t data[4 << 20];
	int fd;

	server.max_file_size = 32 << 20;
	WANT(start(""));
	fd = enter(dial());
	WANT(fd >= 0);
	WANT(do_one(fd, WRITE, 40 << 20, 4096, data) == E_NOSPC);
	WANT(do_one(fd, WRITE, 31 << 20, 4 << 20, data) == E_NOSPC);
	WANT(do_one(fd, WRITE, 0, 4096, data) == 0);
	WANT(do_one(fd, READ, 40 << 20, 4096, data) == 0);
	WANT(do_one(fd, FLUSH, 0, 0, NULL) == 0);
	close(fd);
}

static void file_made_shorter_is_an_io_error(void)
{
	static uint8_t data[1 << 20];
	int fd = (start(""), enter(dial()));
	uint64_t cookie;

	WANT(fd >= 0);
	WANT(truncate(image, 1000000) == 0);
	WANT(do_one(fd, READ, 32 << 20, 4096, data) == E_IO);
	WANT(do_one(fd, READ, 999999, 4096, data) == E_IO);
	WANT(do_one(fd, READ, 0, 4096, data) == 0);
	/* Its beginning is there: too late for an error when the end is not */
	WANT(request(fd, 0, READ, 1, 0, 32 << 20, NULL));
	WANT(reply(fd, &cookie) == 0 && at_end(fd));
	close(fd);
	WANT(others_are_served());
}

/* A loop device on a full tmpfs: writes go to the page cache and are lost at
 * the sync. Then there is room again, and a second fdatasync would succeed. */
static void failed_sync_fails_every_later_flush(void)
{
	static uint8_t data[1 << 20];
	char command[512], was[sizeof(image)];
	FILE *out;
	int fd;

	snprintf(was, sizeof(was), "%s", image);
	snprintf(command, sizeof(command), "exec 2>/dev/null; d='%s/mnt'; "
		 "mkdir $d && mount -t tmpfs -o size=2M none $d && "
		 "head -c 1900K /dev/zero >$d/filler; "
		 "truncate -s 8M $d/image && losetup -f --show $d/image",
		 directory);
	out = popen(command, "r");
	image[0] = '\0';
	if (out && fgets(image, sizeof(image), out))
		image[strcspn(image, "\n")] = '\0';
	if (out)
		pclose(out);
	if (!image[0]) {
		skip = "needs root, a tmpfs and a loop device";
	} else if (start("") && (fd = enter(dial())) >= 0) {
		memset(data, 9, sizeof(data));
		if (do_one(fd, FLUSH, 0, 0, NULL) != 0 ||
		    do_one(fd, WRITE, 0, sizeof(data), data) != 0 ||
		    do_one(fd, FLUSH, 0, 0, NULL) != E_IO)
			set_why("the sync fails", __LINE__);
		snprintf(command, sizeof(command), "%s/mnt/filler", directory);
		unlink(command);
		if (do_one(fd, FLUSH, 0, 0, NULL) != E_IO ||
		    do_flags(fd, FUA, WRITE, 0, 4096, data) != E_IO)
			set_why("and so does the next", __LINE__);
		close(fd);
		if (stop_by(SIGTERM) != 3)
			set_why("the exit status is 3", __LINE__);
	} else {
		set_why("the server starts", __LINE__);
	}
	snprintf(command, sizeof(command), "exec 2>/dev/null; losetup -d %s; "
		 "umount '%s/mnt' || umount -l '%s/mnt'; rmdir '%s/mnt'",
		 image[0] ? image : "-", directory, directory, directory);
	if (system(command) && image[0])
		set_why("cannot clean up", __LINE__);
	snprintf(image, sizeof(image), "%s", was);
}

static void ask_without_block_size(int fd)
{
	uint8_t data[1024];
	uint32_t len;

	WANT(hello(fd, 3));
	WANT(option(fd, OPT_GO, "\0\0\0\0\0\0", 6));
	WANT(option_reply(fd, OPT_GO, data, &len) == REP_INFO && len == 14);
	WANT(get(data, 2) == 3 && get(data + 2, 4) == 4096);
	WANT(option_reply(fd, OPT_GO, data, &len) == REP_ERR(8));
	WANT(ask(fd, OPT_GO, ""));
	WANT(option_answer(fd, OPT_GO) == REP_ACK);
	WANT(do_one(fd, READ, 0, 512, data) == E_INVAL);
}

/* On a disk with blocks of 4096 bytes, which not every client would keep to. */
static void go_without_block_size_is_an_error_that_tells_it(void)
{
	char command[512], was[sizeof(image)];
	FILE *out;

	snprintf(was, sizeof(was), "%s", image);
	snprintf(command, sizeof(command), "losetup -b 4096 -f --show '%s' "
		 "2>/dev/null", image);
	out = popen(command, "r");
	image[0] = '\0';
	if (out && fgets(image, sizeof(image), out))
		image[strcspn(image, "\n")] = '\0';
	if (out)
		pclose(out);
	if (!image[0]) {
		skip = "needs root and a loop device";
	} else {
		int fd = (start("--direct"), dial());

		ask_without_block_size(fd);
		close(fd);
		if (stop_by(SIGTERM) != 0)
			set_why("the exit status is 0", __LINE__);
		snprintf(command, sizeof(command), "losetup -d %s", image);
		if (system(command))
			set_why("cannot clean up", __LINE__);
	}
	snprintf(image, sizeof(image), "%s", was);
}

/* ---- */

#define TEST(name) { #name, name }

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	TEST(wrong_option_magic_ends_only_that_connection),
	TEST(unknown_client_flags_end_the_connection),
	TEST(option_of_4_gib_is_too_big),
	TEST(option_too_long_is_passed_over),
	TEST(option_flood_is_cut_off),
	TEST(unknown_option_is_answered_and_the_stream_stays_in_step),
	TEST(options_sent_ahead_are_answered_one_by_one),
	TEST(export_name_pads_with_zeroes_unless_told_not_to),
	TEST(unknown_export_name_ends_the_connection),
	TEST(what_a_client_sends_forges_no_log_line),
	TEST(go_tells_export_name_and_block_size),
	TEST(unknown_export_is_an_error_and_another_go_may_follow),
	TEST(go_whose_lengths_disagree_is_invalid),
	TEST(list_names_the_export_and_takes_no_data),
	TEST(abort_is_acknowledged_and_ends_it),
	TEST(requests_past_the_end_are_refused),
	TEST(length_over_the_maximum_is_einval_and_the_stream_in_step),
	TEST(unknown_commands_and_flags_are_einval),
	TEST(zero_length_requests_do_nothing_and_succeed),
	TEST(read_only_refuses_writes_and_consumes_their_payload),
	TEST(wrong_request_magic_ends_only_that_connection),
	TEST(odd_offsets_and_lengths_land_where_they_should),
	TEST(zeroes_and_trims_read_back_as_zeroes),
	TEST(a_small_request_overtakes_a_long_one),
	TEST(ten_thousand_requests_pass_through_four_slots),
	TEST(long_requests_finish_with_one_chunk_each),
	TEST(flush_and_fua_sync_and_plain_writes_do_not),
	TEST(sigterm_answers_requests_in_flight_and_syncs),
	TEST(export_name_while_stopping_is_answered_by_the_end),
	TEST(sigterm_with_run_waits_for_other_clients),
	TEST(sigterm_ends_idle_and_half_open_connections_at_once),
	TEST(disconnects_at_every_byte_disturb_nobody),
	TEST(tcp_reset_with_replies_in_flight_disturbs_nobody),
	TEST(half_open_connection_is_dropped_after_the_timeout),
	TEST(half_a_request_is_dropped_after_the_timeout),
	TEST(refused_payload_that_trickles_is_dropped),
	TEST(idle_timeout_spares_who_waits_for_a_reply),
	TEST(peer_that_never_reads_is_dropped_and_pins_no_memory),
	TEST(connections_over_the_cap_are_refused),
	TEST(accept_recovers_from_running_out_of_fds),
	TEST(thousand_connections_leak_no_fd),
	TEST(one_thread_serves_it_all),
	TEST(memory_stays_within_its_bound),
	TEST(full_disk_is_enospc_and_the_stream_in_step),
	TEST(file_made_shorter_is_an_io_error),
	TEST(failed_sync_fails_every_later_flush),
	TEST(go_without_block_size_is_an_error_that_tells_it),
};

static bool make_image(void)
{
	int fd = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool good = fd >= 0 && !ftruncate(fd, IMAGE_SIZE);

	close(fd);
	return good;
}

int main(int argc, char **argv)
{
	int failed = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: nbd_raw PEAL-NBD DIRECTORY [TEST]\n");
		return 2;
	}
	program = argv[1];
	directory = argv[2];
	snprintf(image, sizeof(image), "%s/image", directory);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		int status = 0;

		if (argc > 3 && strcmp(argv[3], tests[i].name))
			continue;
		why = make_image() ? NULL : "no image";
		skip = NULL;
		server.max_files = server.max_file_size = 0;
		tests[i].run();
		if (server.pid > 0)
			status = stop_by(SIGTERM);
		if (status && !why) {
			snprintf(why_text, sizeof(why_text),
				 "the server ended with %d: %.150s", status,
				 server.text);
			why = why_text;
		}
		if (skip && !why)
			printf("skip %s: %s\n", tests[i].name, skip);
		else if (why)
			printf("not ok %s: %s\n", tests[i].name, why);
		else
			printf("ok %s\n", tests[i].name);
		failed += why != NULL;
	}
	return failed != 0;
}
