/* SPDX-License-Identifier: MIT */
/*
 * echo: a TCP server that sends back what it receives.
 *
 * Teaches: one multishot accept serves a listener for ever: its handler runs
 * once per connection, with PEAL_MORE. Each connection is a small struct that
 * the handlers hand on as their context: received -> sent -> received. It is
 * freed in on_closed, where nothing can refer to it any more.
 *
 * Try:  build/examples/echo 7777 2          (port; connections to serve)
 *       exec 3<>/dev/tcp/127.0.0.1/7777     (in another bash, or: nc)
 *       echo hello >&3; head -n 1 <&3; exec 3>&-
 * See:  your line, sent back; after the second connection the server cancels
 *       its accept and ends, because nothing is in flight. Port 0 lets the
 *       kernel choose, no count serves for ever.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <peal.h>

struct connection {
	peal_fd fd;
	unsigned long bytes;
	char buf[16 * 1024];
};

static peal_fd listener;
static long to_serve;		/* connections; < 0: no end */

static peal_handler on_accepted, on_received, on_sent, on_closed;

static void must(const char *what, int64_t result)
{
	if (result < 0) {
		fprintf(stderr, "echo: %s: %s\n", what,
			peal_strerror(result));
		exit(1);
	}
}

static void receive(struct peal_ring *ring, struct connection *conn)
{
	must("receive", peal_recv(ring, conn->fd, conn->buf, sizeof(conn->buf),
				  0, 0, on_received, conn));
}

static void hang_up(struct peal_ring *ring, struct connection *conn)
{
	must("close",
	     peal_close_drained(ring, conn->fd, 0, on_closed, conn));
}

static void on_accepted(struct peal_ring *ring,
			const struct peal_completion *done)
{
	struct connection *conn;

	if (done->result == -ECANCELED)
		return;		/* all connections served */
	must("accept", done->result);
	conn = calloc(1, sizeof(*conn));
	must("accept", conn ? 0 : -ENOMEM);
	conn->fd = (peal_fd)done->result;
	receive(ring, conn);
	if (to_serve > 0 && --to_serve == 0 && (done->flags & PEAL_MORE))
		must("cancel", peal_cancel(ring, done->op, 0, NULL, NULL));
}

static void on_received(struct peal_ring *ring,
			const struct peal_completion *done)
{
	struct connection *conn = done->ctx;

	if (done->result > 0)
		must("send", peal_send_full(ring, conn->fd, conn->buf,
					    (size_t)done->result, 0, 0,
					    on_sent, conn));
	else	/* the peer's end, or a broken connection */
		hang_up(ring, conn);
}

static void on_sent(struct peal_ring *ring, const struct peal_completion *done)
{
	struct connection *conn = done->ctx;

	if (done->result < 0) {
		hang_up(ring, conn);
		return;
	}
	conn->bytes += (unsigned long)done->result;
	receive(ring, conn);
}

static void on_closed(struct peal_ring *ring,
		      const struct peal_completion *done)
{
	struct connection *conn = done->ctx;

	(void)ring;
	must("close", done->result);
	printf("a connection ended after %lu bytes\n", conn->bytes);
	fflush(stdout);
	free(conn);
}

/* Plain calls: nothing here can block. */
static void listen_on(int port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	int yes = 1;

	addr.sin_port = htons((uint16_t)port);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 ||
	    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
	    bind(listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(listener, 128) ||
	    getsockname(listener, (struct sockaddr *)&addr, &len))
		must("listen", -errno);
	printf("port %d\n", ntohs(addr.sin_port));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct peal_ring *ring;

	to_serve = argc > 2 ? atol(argv[2]) : -1;
	if (peal_ring_open(&ring, NULL) < 0) {
		fprintf(stderr, "echo: %s\n", peal_open_reason());
		return 1;
	}
	fprintf(stderr, "echo: engine %s (%s)\n", peal_ring_engine(ring),
		peal_ring_engine_reason(ring));
	listen_on(argc > 1 ? atoi(argv[1]) : 0);
	must("accept", peal_accept_multishot(ring, listener, 0, on_accepted,
					     NULL));
	must("run", peal_ring_run(ring));
	must("close", peal_ring_close(ring, PEAL_FOREVER));
	return 0;
}
