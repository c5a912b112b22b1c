/* SPDX-License-Identifier: MIT */
/*
 * The handshake, fixed newstyle: our greeting, the client's flags, then options
 * until one of them (GO, EXPORT_NAME) begins the transmission.
 *
 * One option at a time: while its reply is being sent the next one waits in the
 * receive buffer. An option is answered and passed over by its own length,
 * known or not, so the stream stays in step. The connection's handshake
 * deadline and OPTIONS_MAX bound what a client can make us do.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "nbd.h"

enum {
	OPTIONS_MAX = 64,
	/* A name of the protocol's 4096 bytes and all there is to ask. */
	OPTION_DATA_MAX = 8192,
};

struct option_data {
	const uint8_t *at;
	uint32_t len;
	uint32_t option;
};

static peal_handler on_sent;

static void send_text(struct connection *conn, const uint8_t *end)
{
	struct peal_ring *ring = conn->server->ring;
	uint64_t now_ns = peal_ring_now(ring);
	uint64_t due_ns = conn->handshake_due_ns;
	peal_op op = peal_send_full(ring, conn->fd, conn->text,
				    (size_t)(end - conn->text), 0, 0, on_sent,
				    conn);

	if (op < 0) {
		log_client(conn, "cannot send: %s", peal_strerror(op));
		connection_fail(conn);
		return;
	}
	conn->sending = true;
	conn->refs++;
	if (due_ns != PEAL_FOREVER)
		peal_deadline(ring, op, due_ns > now_ns ? due_ns - now_ns : 0,
			      0);
}

static void on_sent(struct peal_ring *ring, const struct peal_completion *done)
{
	struct connection *conn = done->ctx;

	(void)ring;
	conn->sending = false;
	if (done->result < 0 && !conn->closing) {
		log_client(conn, "handshake not finished: %s",
			   peal_strerror(done->result));
		connection_fail(conn);
	}
	server_work(conn->server, conn);
	connection_release(conn);
}

void handshake_begin(struct connection *conn)
{
	uint8_t *at = conn->text;

	at = store64(at, NBD_MAGIC);
	at = store64(at, NBD_OPTION_MAGIC);
	at = store16(at, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
	send_text(conn, at);
	server_work(conn->server, conn);
}

static enum step refuse(struct connection *conn)
{
	connection_fail(conn);
	return STEP_WAIT;
}

static enum step client_flags_step(struct connection *conn)
{
	uint32_t flags;

	if (conn->end - conn->start < NBD_CLIENT_FLAGS_LEN)
		return STEP_RECEIVE;
	flags = load32(conn->receive_buf + conn->start);
	if (flags & ~(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES)) {
		log_client(conn, "unknown client flags 0x%x, dropped", flags);
		return refuse(conn);
	}
	conn->start += NBD_CLIENT_FLAGS_LEN;
	conn->no_zeroes = flags & NBD_FLAG_NO_ZEROES;
	conn->phase = PHASE_OPTIONS;
	return STEP_AGAIN;
}

static uint8_t *option_reply(uint8_t *at, uint32_t option, uint32_t type,
			     size_t len)
{
	at = store64(at, NBD_OPTION_REPLY_MAGIC);
	at = store32(at, option);
	at = store32(at, type);
	return store32(at, (uint32_t)len);
}

static uint8_t *store_text(uint8_t *at, const char *text, size_t len)
{
	memcpy(at, text, len);
	return at + len;
}

/* at: behind what conn->text has already. */
static void option_error_at(struct connection *conn, uint8_t *at,
			    uint32_t option, uint32_t type, const char *why)
{
	at = option_reply(at, option, type, strlen(why));
	send_text(conn, store_text(at, why, strlen(why)));
}

static void option_error(struct connection *conn, uint32_t option,
			 uint32_t type, const char *why)
{
	option_error_at(conn, conn->text, option, type, why);
}

/* The empty name is the default export, and there is only one. */
static bool is_export(const struct connection *conn, const uint8_t *name,
		      size_t len)
{
	const char *export = conn->server->options->export;

	return !len || (len == strlen(export) && !memcmp(name, export, len));
}

static void enter_transmission(struct connection *conn)
{
	conn->phase = PHASE_TRANSMISSION;
	log_verbose("client %s: handshake finished", conn->name);
}

static void export_name(struct connection *conn, struct option_data data)
{
	uint8_t *at = conn->text;
	char name[LOG_TEXT_LEN];

	if (!is_export(conn, data.at, data.len)) {
		log_client(conn, "asked for the unknown export \"%s\", "
			   "dropped", log_text(name, data.at, data.len));
		refuse(conn);
		return;
	}
	at = store64(at, conn->server->backing.size);
	at = store16(at, conn->server->flags);
	if (!conn->no_zeroes) {
		memset(at, 0, NBD_OLD_PADDING_LEN);
		at += NBD_OLD_PADDING_LEN;
	}
	send_text(conn, at);
	enter_transmission(conn);
}

static void list(struct connection *conn, struct option_data data)
{
	const char *name = conn->server->options->export;
	size_t len = strlen(name);
	uint8_t *at = conn->text;

	if (data.len) {
		option_error(conn, data.option, NBD_REP_ERR_INVALID,
			     "LIST takes no data");
		return;
	}
	at = option_reply(at, data.option, NBD_REP_SERVER, 4 + len);
	at = store32(at, (uint32_t)len);
	at = store_text(at, name, len);
	send_text(conn, option_reply(at, data.option, NBD_REP_ACK, 0));
}

static uint8_t *info_export(struct connection *conn, uint8_t *at,
			    uint32_t option)
{
	at = option_reply(at, option, NBD_REP_INFO, 12);
	at = store16(at, NBD_INFO_EXPORT);
	at = store64(at, conn->server->backing.size);
	return store16(at, conn->server->flags);
}

static uint8_t *info_name(struct connection *conn, uint8_t *at,
			  uint32_t option)
{
	const char *name = conn->server->options->export;
	size_t len = strlen(name);

	at = option_reply(at, option, NBD_REP_INFO, 2 + len);
	at = store16(at, NBD_INFO_NAME);
	return store_text(at, name, len);
}

static uint8_t *info_block_size(struct connection *conn, uint8_t *at,
				uint32_t option)
{
	const struct server *server = conn->server;
	uint32_t min = server->backing.block_min;

	at = option_reply(at, option, NBD_REP_INFO, 14);
	at = store16(at, NBD_INFO_BLOCK_SIZE);
	at = store32(at, min);
	at = store32(at, min > 4096 ? min : 4096);
	return store32(at, server->options->max_request);
}

/* INFO and GO carry: a name, and the numbers of what else is asked. */
static int parse_info(struct option_data data, uint32_t *out_name_len,
		      unsigned *out_asked)
{
	uint32_t name_len, count;
	unsigned asked = 0;

	if (data.len < 6)
		return -EINVAL;
	name_len = load32(data.at);
	if (name_len > data.len - 6)
		return -EINVAL;
	count = load16(data.at + 4 + name_len);
	if (data.len != 6 + name_len + 2 * count)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		uint16_t info = load16(data.at + 6 + name_len + 2 * i);

		if (info < 16)	/* each once, however often it is asked for */
			asked |= 1u << info;
	}
	*out_name_len = name_len;
	*out_asked = asked;
	return 0;
}

static void info_or_go(struct connection *conn, struct option_data data)
{
	uint32_t name_len, option = data.option;
	uint8_t *at = conn->text;
	unsigned asked;

	if (parse_info(data, &name_len, &asked)) {
		option_error(conn, option, NBD_REP_ERR_INVALID,
			     "the lengths in this option contradict each "
			     "other");
		return;
	}
	if (!is_export(conn, data.at + 4, name_len)) {
		option_error(conn, option, NBD_REP_ERR_UNKNOWN,
			     "no such export; LIST tells the name");
		return;
	}
	/* Every client keeps to 512 bytes; more must have been agreed on. */
	if (option == NBD_OPT_GO && conn->server->backing.block_min > 512 &&
	    !(asked & 1u << NBD_INFO_BLOCK_SIZE)) {
		at = info_block_size(conn, at, option);
		option_error_at(conn, at, option, NBD_REP_ERR_BLOCK_SIZE_REQD,
				"ask for the block size: it is not 512");
		return;
	}
	at = info_export(conn, at, option);
	if (asked & 1u << NBD_INFO_NAME)
		at = info_name(conn, at, option);
	if (asked & 1u << NBD_INFO_BLOCK_SIZE)
		at = info_block_size(conn, at, option);
	send_text(conn, option_reply(at, option, NBD_REP_ACK, 0));
	if (option == NBD_OPT_GO)
		enter_transmission(conn);
}

static void abort_option(struct connection *conn)
{
	send_text(conn, option_reply(conn->text, NBD_OPT_ABORT, NBD_REP_ACK,
				     0));
	conn->draining = true;
}

static void answer(struct connection *conn, struct option_data data)
{
	if (conn->server->state != SERVING && data.option != NBD_OPT_ABORT) {
		/* Its answer is a size: there is no error to it. */
		if (data.option == NBD_OPT_EXPORT_NAME)
			connection_drop(conn);
		else
			option_error(conn, data.option, NBD_REP_ERR_SHUTDOWN,
				     "the server is stopping");
		return;
	}
	switch (data.option) {
	case NBD_OPT_EXPORT_NAME:
		export_name(conn, data);
		break;
	case NBD_OPT_ABORT:
		abort_option(conn);
		break;
	case NBD_OPT_LIST:
		list(conn, data);
		break;
	case NBD_OPT_INFO: case NBD_OPT_GO:
		info_or_go(conn, data);
		break;
	default:
		option_error(conn, data.option, NBD_REP_ERR_UNSUP,
			     "this server does not have this option");
	}
}

/* Too long to look at: an error where the option has one. */
static enum step too_long(struct connection *conn, struct option_data data)
{
	log_client(conn, "option %u of %u bytes (at most %u)%s", data.option,
		   data.len, (unsigned)OPTION_DATA_MAX,
		   data.option == NBD_OPT_EXPORT_NAME ? ", dropped" : "");
	if (data.option == NBD_OPT_EXPORT_NAME)
		return refuse(conn);
	conn->start += NBD_OPTION_LEN;
	conn->skip = data.len;
	if (data.option == NBD_OPT_ABORT)
		abort_option(conn);
	else
		option_error(conn, data.option, NBD_REP_ERR_TOO_BIG,
			     "this option is too long");
	return STEP_AGAIN;
}

static enum step option_step(struct connection *conn)
{
	const uint8_t *at = conn->receive_buf + conn->start;
	struct option_data data;

	if (conn->end - conn->start < NBD_OPTION_LEN)
		return STEP_RECEIVE;
	if (conn->sending)
		return STEP_WAIT;
	if (load64(at) != NBD_OPTION_MAGIC) {
		log_client(conn, "wrong option magic 0x%016llx, dropped",
			   (unsigned long long)load64(at));
		return refuse(conn);
	}
	data.option = load32(at + 8);
	data.len = load32(at + 12);
	data.at = at + NBD_OPTION_LEN;
	if (conn->options_seen == OPTIONS_MAX) {
		log_client(conn, "%u options and still no export chosen, "
			   "dropped", conn->options_seen);
		return refuse(conn);
	}
	if (data.len <= OPTION_DATA_MAX &&
	    conn->end - conn->start < NBD_OPTION_LEN + data.len)
		return STEP_RECEIVE;
	conn->options_seen++;
	if (data.len > OPTION_DATA_MAX)
		return too_long(conn, data);
	conn->start += NBD_OPTION_LEN + data.len;
	answer(conn, data);
	return STEP_AGAIN;
}

enum step handshake_step(struct connection *conn)
{
	if (conn->phase == PHASE_HELLO)
		return client_flags_step(conn);
	return option_step(conn);
}
