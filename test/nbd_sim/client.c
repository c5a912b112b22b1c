/* SPDX-License-Identifier: MIT */
/*
 * Connections that speak the protocol: each keeps some requests in flight, and
 * comes back when it has lost its server.
 *
 *   DOWN -> CONNECTING -> GREETING -> EXPORT -> RUNNING -> CLOSING -> DOWN
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include "test/nbd_sim/nbd_sim.h"

#define PATIENCE_NS	(60 * PEAL_S)	/* a stuck disk takes half of it */
#define LOOK_NS		(20 * PEAL_MS)
#define PRESENT_NS	(20 * PEAL_US)	/* what was on the client's side */

static struct client {
	peal_fd fd;
	enum { DOWN, CONNECTING, GREETING, EXPORT, RUNNING, CLOSING } state;
	int sending, receiving;
	int sure;			/* nothing can have gone wrong */
	uint64_t life;			/* of the server it talks to */
	struct sim_request requests[DEPTH];
	struct sim_request *queue, *queue_last;	/* to be sent */
	struct sim_request *reading;		/* its data is arriving */
	uint32_t have, want;
	uint8_t text[64];
	uint8_t in[MOST_SECTORS * SECTOR];
} clients[CLIENTS];

static struct peal_ring *ring;
static struct peal_sim *world;
static struct sockaddr_in address;
static uint64_t answers;

static peal_handler on_look, on_connected, on_socket, on_received, on_sent,
	on_closed;

uint64_t clients_answers(void)
{
	return answers;
}

static void later(struct client *client, uint64_t ns)
{
	if (peal_sleep(ring, ns, 0, on_look, client) < 0)
		broken("a client has no timer");
}

/* --- losing the server -------------------------------------------------- */

/* Without trouble a server that runs greets who has connected to it. */
static void check_greeting(const struct client *client, int64_t error)
{
	if (client->state == GREETING && error == -ETIMEDOUT && client->sure &&
	    client->life == node_crashes())
		broken("a connection was made, and no server knows of it");
}

static void lose(struct client *client, const char *why, int64_t error)
{
	if (client->state == CLOSING || client->state == DOWN)
		return;
	check_greeting(client, error);
	tell("client %d: %s: %s", (int)(client - clients), why,
	     error < 0 ? peal_strerror(error) : "");
	client->state = CLOSING;
	if (peal_close_drained(ring, client->fd, 0, on_closed, client) < 0)
		broken("a client cannot close");
}

static void on_closed(struct peal_ring *where,
		      const struct peal_completion *done)
{
	struct client *client = done->ctx;
	unsigned i;

	(void)where;
	for (i = 0; i < DEPTH; i++)
		if (client->requests[i].used) {
			model_unanswered(&client->requests[i]);
			client->requests[i].used = 0;
		}
	client->queue = client->reading = NULL;
	client->sending = client->receiving = 0;
	client->state = DOWN;
	later(client, 1 + peal_sim_random(world, 200 * PEAL_MS));
}

/* --- sending ------------------------------------------------------------ */

static void send_bytes(struct client *client, const void *bytes, size_t len)
{
	peal_op op = peal_send_full(ring, client->fd, bytes, len, 0, 0,
				    on_sent, client);

	if (op < 0)
		lose(client, "send", op);
	else
		client->sending = 1;
}

static void send_next(struct client *client)
{
	struct sim_request *request = client->queue;
	uint8_t *at;

	if (!request || client->sending)
		return;
	client->queue = request->next;
	at = store32(request->bytes, 0x25609513);
	at = store16(at, request->flags);
	at = store16(at, request->type);
	at = store64(at, request->cookie);
	at = store64(at, (uint64_t)request->first * SECTOR);
	store32(at, request->count * SECTOR);
	send_bytes(client, request->bytes, NBD_REQUEST_LEN +
		   (request->type == NBD_CMD_WRITE
		    ? request->count * SECTOR : 0));
}

static void on_sent(struct peal_ring *where,
		    const struct peal_completion *done)
{
	struct client *client = done->ctx;

	(void)where;
	client->sending = 0;
	if (done->result < 0)
		lose(client, "send", done->result);
	else if (client->state == RUNNING)
		send_next(client);
}

/* --- receiving ---------------------------------------------------------- */

static void receive(struct client *client)
{
	peal_op op;

	if (client->receiving || client->state == CLOSING)
		return;
	op = peal_recv(ring, client->fd, client->in + client->have,
		       client->want - client->have, 0, 0, on_received, client);
	if (op < 0) {
		lose(client, "receive", op);
		return;
	}
	client->receiving = 1;
	if (peal_deadline(ring, op, PATIENCE_NS, 0) < 0)
		broken("no deadline for a receive");
}

static void expect(struct client *client, uint32_t len)
{
	client->have = 0;
	client->want = len;
	receive(client);
}

/* As many requests as fit; with none in flight nothing is expected. */
static void work(struct client *client)
{
	unsigned i, busy = 0;

	for (i = 0; i < DEPTH; i++) {
		struct sim_request *request = &client->requests[i];

		if (!request->used && model_choose(request)) {
			request->used = 1;
			request->cookie = (uint64_t)(request -
						     client->requests);
			request->next = NULL;
			if (client->queue)
				client->queue_last->next = request;
			else
				client->queue = request;
			client->queue_last = request;
		}
		busy += request->used;
	}
	send_next(client);
	if (client->state != RUNNING)
		return;
	if (!busy)
		later(client, LOOK_NS);
	else if (!client->receiving)
		expect(client, NBD_REPLY_LEN);
}

static void answered(struct client *client, struct sim_request *request,
		     uint32_t error, const uint8_t *data)
{
	answers++;
	request->used = 0;
	client->reading = NULL;
	model_answered(request, error, data);
	work(client);
}

static void reply(struct client *client)
{
	uint32_t magic = load32(client->in), error = load32(client->in + 4);
	uint64_t cookie = load64(client->in + 8);
	struct sim_request *request;

	if (magic != 0x67446698 || cookie >= DEPTH ||
	    !client->requests[cookie].used)
		broken("a reply to nothing: magic %#x, cookie %llu", magic,
		       (unsigned long long)cookie);
	request = &client->requests[cookie];
	if (request->type == NBD_CMD_READ && !error) {
		client->reading = request;
		expect(client, request->count * SECTOR);
		return;
	}
	if (error)
		tell("client %d: request of type %u: error %u",
		     (int)(client - clients), request->type, error);
	answered(client, request, error, NULL);
}

static void arrived(struct client *client)
{
	switch (client->state) {
	case GREETING: {
		uint8_t *at = store32(client->text, 3);

		at = store64(at, UINT64_C(0x49484156454f5054));
		at = store32(at, NBD_OPT_EXPORT_NAME);
		store32(at, 0);
		client->state = EXPORT;
		send_bytes(client, client->text, 4 + NBD_OPTION_LEN);
		if (client->state == EXPORT)
			expect(client, 10);
		break;
	}
	case EXPORT:
		if (load64(client->in) != SECTORS * SECTOR)
			broken("the export has %llu bytes",
			       (unsigned long long)load64(client->in));
		client->state = RUNNING;
		work(client);
		break;
	case RUNNING:
		if (client->reading)
			answered(client, client->reading, 0, client->in);
		else
			reply(client);
		break;
	default:
		break;
	}
}

static void on_received(struct peal_ring *where,
			const struct peal_completion *done)
{
	struct client *client = done->ctx;

	(void)where;
	client->receiving = 0;
	if (client->state == CLOSING)
		return;
	if (done->result <= 0 && done->result != -EINTR &&
	    done->result != -EAGAIN) {
		lose(client, "receive", done->result);
		return;
	}
	if (done->result > 0)
		client->have += (uint32_t)done->result;
	if (client->have < client->want)
		receive(client);
	else
		arrived(client);
}

/* --- connecting --------------------------------------------------------- */

static void on_connected(struct peal_ring *where,
			 const struct peal_completion *done)
{
	struct client *client = done->ctx;

	(void)where;
	if (done->result < 0) {
		lose(client, "connect", done->result);
		return;
	}
	if (node_down_ns() > PRESENT_NS)
		broken("a server without power has taken a connection");
	client->life = node_crashes();
	client->sure = model_is_quiet();
	client->state = GREETING;
	expect(client, 18);
}

static void on_socket(struct peal_ring *where,
		      const struct peal_completion *done)
{
	struct client *client = done->ctx;
	peal_op op;

	(void)where;
	if (done->result < 0) {
		client->state = DOWN;
		later(client, LOOK_NS);
		return;
	}
	client->fd = (peal_fd)done->result;
	client->state = CONNECTING;
	op = peal_connect(ring, client->fd, (struct sockaddr *)&address,
			  sizeof address, 0, on_connected, client);
	if (op < 0)
		lose(client, "connect", op);
	else if (peal_deadline(ring, op, 5 * PEAL_S, 0) < 0)
		broken("no deadline for a connect");
}

static void on_look(struct peal_ring *where,
		    const struct peal_completion *done)
{
	struct client *client = done->ctx;

	(void)where;
	if (client->state == RUNNING) {
		work(client);
	} else if (client->state == DOWN &&
		   peal_socket(ring, AF_INET, SOCK_STREAM, 0, 0, on_socket,
			       client) < 0) {
		broken("a client cannot make a socket");
	}
}

void clients_begin(struct peal_sim *in, struct peal_sim_node *node)
{
	unsigned i;

	memset(clients, 0, sizeof clients);
	world = in;
	answers = 0;
	address.sin_family = AF_INET;
	address.sin_port = htons(10809);
	address.sin_addr.s_addr = htonl(0x0a000001);
	peal_sim_enter(node);
	if (peal_ring_open(&ring, NULL) < 0)
		broken("no ring: %s", peal_open_reason());
	peal_sim_enter(NULL);
	for (i = 0; i < CLIENTS; i++)
		later(&clients[i], 1 + peal_sim_random(in, PEAL_MS));
}
