/* SPDX-License-Identifier: MIT */
/* The load: see net_load.h. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "perf/net_limits.h"
#include "perf/net_load.h"
#include "perf/side.h"

enum { EVENTS = 256, PATTERN = 4096, SILENCE_MS = 5000, GREET = 256 };
#define INBOX	(256u * 1024)

struct client {
	int fd;
	int wants_out;		/* EPOLLOUT is asked for */
	uint32_t turn;		/* which message: where in the pattern */
	size_t sent, got;	/* of this message */
	uint64_t since;		/* sent, or was due */
	int busy;		/* a message is under way */
};

struct net_load {
	struct net_load_options options;
	struct client *clients;
	int poller;
	char *pattern;		/* PATTERN + size random bytes */
	char *inbox;

	const struct net_load_work *work;	/* of the run that goes on */
	uint64_t started, done;
	uint64_t began;
	const char *failed;
};

static const char *message(const struct net_load *load,
			   const struct client *client)
{
	return load->pattern + client->turn * 61 % PATTERN;
}

static void watch(struct net_load *load, struct client *client, int out)
{
	struct epoll_event event = { .events = EPOLLIN | (out ? EPOLLOUT : 0) };

	if (client->wants_out == out)
		return;
	client->wants_out = out;
	event.data.ptr = client;
	epoll_ctl(load->poller, EPOLL_CTL_MOD, client->fd, &event);
}

static void fail(struct net_load *load, const char *reason)
{
	if (!load->failed)
		load->failed = reason;
}

static void send_more(struct net_load *load, struct client *client)
{
	const char *from = message(load, client);
	ssize_t sent;

	while (client->sent < load->options.size) {
		sent = send(client->fd, from + client->sent,
			    load->options.size - client->sent,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN) {
			watch(load, client, 1);
			return;
		}
		if (sent < 0) {
			fail(load, why_errno("client: send", -errno));
			return;
		}
		client->sent += (size_t)sent;
	}
	watch(load, client, 0);
}

/* When the next message may start: at once, or when its turn comes at the rate
 * that was asked for. Its latency counts from then, sent late or not. */
static uint64_t due(const struct net_load *load)
{
	return load->began + (uint64_t)((double)load->started * 1e9 /
					load->work->rate);
}

static void start(struct net_load *load, struct client *client, uint64_t now)
{
	client->busy = 0;
	if (load->started >= load->work->messages)
		return;
	if (load->work->rate > 0) {
		if (due(load) > now)
			return;
		now = due(load);
	}
	load->started++;
	client->busy = 1;
	client->turn++;
	client->sent = client->got = 0;
	client->since = now;
	send_more(load, client);
}

static void on_answer(struct net_load *load, struct client *client)
{
	uint64_t now = clock_now();

	if (load->work->latency)
		latency_note(load->work->latency, now - client->since);
	load->done++;
	start(load, client, now);
}

static void receive(struct net_load *load, struct client *client)
{
	size_t left = load->options.size - client->got;
	ssize_t got = recv(client->fd, load->inbox,
			   left < INBOX ? left : INBOX, MSG_DONTWAIT);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		fail(load, got ? why_errno("client: recv", -errno)
			       : "the server closed a connection");
		return;
	}
	if (!client->busy) {
		fail(load, "an answer came that nobody asked for");
		return;
	}
	if (load->work->verify &&
	    memcmp(load->inbox, message(load, client) + client->got,
		   (size_t)got) != 0) {
		fail(load, "what came back is not what was sent");
		return;
	}
	client->got += (size_t)got;
	if (client->got == load->options.size)
		on_answer(load, client);
}

/* A stream's messages follow each other, as the socket has room. */
static void stream_more(struct net_load *load, struct client *client)
{
	while (!load->failed) {
		if (client->sent < load->options.size)
			send_more(load, client);
		if (client->sent < load->options.size)
			return;
		load->done += (uint64_t)client->busy;
		start(load, client, 0);
		if (!client->busy)
			return;
	}
}

static void on_event(struct net_load *load, const struct epoll_event *event)
{
	struct client *client = event->data.ptr;

	if (load->options.stream) {
		if (event->events & EPOLLIN)
			fail(load, "the server answered a stream");
		else
			stream_more(load, client);
		return;
	}
	if (event->events & EPOLLOUT)
		send_more(load, client);
	if (event->events & ~(uint32_t)EPOLLOUT)
		receive(load, client);
}

/* At a rate, whoever is free takes the next message; -1: sleep for ever. */
static int start_due(struct net_load *load)
{
	unsigned step = load->options.connections / load->options.busy;
	uint64_t now = clock_now();
	unsigned i;

	if (!(load->work->rate > 0) || load->started >= load->work->messages)
		return SILENCE_MS;
	for (i = 0; i < load->options.busy && due(load) <= now; i++)
		if (!load->clients[i * step].busy)
			start(load, &load->clients[i * step], now);
	return due(load) - now < 1000000 || due(load) <= now ? 0 : 1;
}

static void turn(struct net_load *load, int timeout_ms)
{
	struct epoll_event events[EVENTS];
	int i, count;

	count = epoll_wait(load->poller, events, EVENTS, timeout_ms);
	for (i = 0; i < count && !load->failed; i++)
		on_event(load, &events[i]);
	if (count == 0 && timeout_ms == SILENCE_MS)
		fail(load, why("no answer for %d s: %llu of %llu messages",
			       SILENCE_MS / 1000,
			       (unsigned long long)load->done,
			       (unsigned long long)load->work->messages));
}

/* The server has what was sent when it has counted it. */
static void wait_for_bytes(struct net_load *load, uint64_t until)
{
	const struct timespec moment = { .tv_nsec = 20000 };
	uint64_t patience = clock_now() + SILENCE_MS * UINT64_C(1000000);

	while (__atomic_load_n(&load->options.page->bytes, __ATOMIC_RELAXED) <
	       until) {
		if (clock_now() > patience) {
			fail(load, "the server did not receive it all");
			return;
		}
		nanosleep(&moment, NULL);
	}
}

const char *net_load_run(struct net_load *load,
			 const struct net_load_work *work)
{
	unsigned i, step = load->options.connections / load->options.busy;
	uint64_t bytes = __atomic_load_n(&load->options.page->bytes,
					 __ATOMIC_RELAXED);

	load->work = work;
	load->started = load->done = 0;
	load->failed = NULL;
	load->began = clock_now();
	for (i = 0; i < load->options.busy && !load->failed; i++) {
		struct client *client = &load->clients[i * step];

		start(load, client, load->began);
		if (load->options.stream && client->busy)
			stream_more(load, client);
	}
	while (load->done < work->messages && !load->failed)
		turn(load, start_due(load));
	if (load->options.stream && !load->failed)
		wait_for_bytes(load, bytes +
			       work->messages * load->options.size);
	return load->failed;
}

/* --- connecting ---------------------------------------------------------- */

static int connect_one(struct net_load *load, struct client *client,
		       unsigned index)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct sockaddr_in from = { .sin_family = AF_INET };
	int yes = 1;

	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0)
		return -errno;
	/* An address has so many ports to call from. */
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK +
				     index / net_ports_per_address());
	setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes,
		   sizeof yes);
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	event.data.ptr = client;
	if (bind(client->fd, (struct sockaddr *)&from, sizeof from) < 0 ||
	    connect(client->fd, (struct sockaddr *)&load->options.addr,
		    sizeof load->options.addr) < 0 ||
	    epoll_ctl(load->poller, EPOLL_CTL_ADD, client->fd, &event) < 0)
		return -errno;
	return 0;
}

static const char *connect_all(struct net_load *load)
{
	unsigned i;
	int rc;

	for (i = 0; i < load->options.connections; i++) {
		rc = connect_one(load, &load->clients[i], i);
		if (rc < 0)
			return why("connection %u: %s", i + 1, strerror(-rc));
	}
	return NULL;
}

static void make_pattern(struct net_load *load)
{
	uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
	size_t i;

	for (i = 0; i < PATTERN + load->options.size; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		load->pattern[i] = (char)state;
	}
}

const char *net_load_open(struct net_load **out_load,
			  const struct net_load_options *options)
{
	struct net_load *load = calloc(1, sizeof *load);
	const char *reason = "no memory for the clients";
	unsigned i;

	if (!load)
		return reason;
	load->options = *options;
	load->poller = epoll_create1(EPOLL_CLOEXEC);
	load->clients = calloc(options->connections, sizeof *load->clients);
	load->pattern = malloc(PATTERN + options->size);
	load->inbox = malloc(INBOX);
	for (i = 0; load->clients && i < options->connections; i++)
		load->clients[i].fd = -1;
	if (load->poller >= 0 && load->clients && load->pattern &&
	    load->inbox) {
		make_pattern(load);
		reason = connect_all(load);
	}
	if (reason)
		net_load_close(load);
	else
		*out_load = load;
	return reason;
}

const char *net_load_greet(struct net_load *load)
{
	struct net_load_work hello = { .verify = 1 };
	struct net_load_options all = load->options;
	struct client *first = load->clients;
	const char *reason = NULL;
	unsigned left;

	for (left = all.connections; left && !reason;
	     left -= load->options.busy, load->clients += load->options.busy) {
		load->options.busy = left < GREET ? left : GREET;
		load->options.connections = load->options.busy;
		hello.messages = load->options.busy;
		reason = net_load_run(load, &hello);
	}
	load->clients = first;
	load->options = all;
	return reason;
}

void net_load_close(struct net_load *load)
{
	/* A reset leaves no TIME_WAIT, which 20 servers times 1000 connections
	 * would run out of ports with. */
	const struct linger now = { .l_onoff = 1 };
	unsigned i;

	for (i = 0; load->clients && i < load->options.connections; i++) {
		if (load->clients[i].fd < 0)
			continue;
		setsockopt(load->clients[i].fd, SOL_SOCKET, SO_LINGER, &now,
			   sizeof now);
		close(load->clients[i].fd);
	}
	if (load->poller >= 0)
		close(load->poller);
	free(load->clients);
	free(load->pattern);
	free(load->inbox);
	free(load);
}
