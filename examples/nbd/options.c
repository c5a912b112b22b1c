/* SPDX-License-Identifier: MIT */
/* The command line: --help's text, parsing, and limits that must agree. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "nbd.h"

enum {
	OPT_UNIX = 256, OPT_BIND, OPT_PORT, OPT_EXPORT, OPT_RO, OPT_DIO,
	OPT_SLOTS, OPT_CONNECTIONS, OPT_MEMORY, OPT_REQUEST, OPT_HANDSHAKE,
	OPT_STALL, OPT_IDLE, OPT_SHUTDOWN, OPT_RUN, OPT_VERBOSE, OPT_QUIET,
	OPT_HELP, OPT_VERSION,
};

static const struct option names[] = {
	{ "unix", required_argument, NULL, OPT_UNIX },
	{ "bind", required_argument, NULL, OPT_BIND },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "export", required_argument, NULL, OPT_EXPORT },
	{ "read-only", no_argument, NULL, OPT_RO },
	{ "direct", no_argument, NULL, OPT_DIO },
	{ "slots", required_argument, NULL, OPT_SLOTS },
	{ "max-connections", required_argument, NULL, OPT_CONNECTIONS },
	{ "max-memory", required_argument, NULL, OPT_MEMORY },
	{ "max-request", required_argument, NULL, OPT_REQUEST },
	{ "handshake-timeout", required_argument, NULL, OPT_HANDSHAKE },
	{ "stall-timeout", required_argument, NULL, OPT_STALL },
	{ "idle-timeout", required_argument, NULL, OPT_IDLE },
	{ "shutdown-timeout", required_argument, NULL, OPT_SHUTDOWN },
	{ "run", required_argument, NULL, OPT_RUN },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "quiet", no_argument, NULL, OPT_QUIET },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
"Usage: peal-nbd [OPTION]... FILE\n"
"Serves FILE, a disk image or a block device, over the Network Block Device\n"
"protocol. FILE is opened once and shared by all connections.\n"
"\n"
"Where:\n"
"      --unix PATH            listen on a unix socket\n"
"      --bind ADDRESS         listen on this address (127.0.0.1)\n"
"      --port N               and this TCP port (10809; 0: any free one)\n"
"      --run COMMAND          serve until COMMAND (a shell command that may\n"
"                             use $uri and $unixsocket) ends; its exit status\n"
"                             is ours; without --unix, --bind or --port on a\n"
"                             private socket\n"
"      A socket from systemd (LISTEN_FDS) takes the place of all of these.\n"
"What:\n"
"      --export NAME          the export's name (empty: the default export)\n"
"  -r, --read-only            refuse writes; FILE is opened for reading\n"
"      --direct               O_DIRECT: bypass the page cache; requests must\n"
"                             be aligned as the file system needs it\n"
"Limits (nothing is allocated while serving; 0 seconds: no limit):\n"
"      --slots N              requests in flight per connection (64)\n"
"      --max-connections N    more are refused (32)\n"
"      --max-memory SIZE      for the data of all requests together (64M)\n"
"      --max-request SIZE     longest READ and WRITE (32M)\n"
"      --handshake-timeout S  seconds to finish the handshake (10)\n"
"      --stall-timeout S      seconds for a client to send the rest of a\n"
"                             request, or to take its replies (60)\n"
"      --idle-timeout S       seconds without any request (0)\n"
"      --shutdown-timeout S   seconds for clients to finish on SIGTERM (10)\n"
"Messages (standard error):\n"
"  -v, --verbose              each connection; statistics at the end\n"
"  -q, --quiet                errors only\n"
"  -h, --help                 this text\n"
"  -V, --version\n"
"\n"
"Signals: SIGTERM and SIGINT stop (requests in flight are answered, the file\n"
"is synced; a second one does not wait for clients); SIGUSR1 prints\n"
"statistics.\n"
"Exit status: 0 stopped in order; 1 could not start; 2 wrong usage; 3 the\n"
"last sync failed, data may be lost; with --run that of COMMAND (128 + signal\n"
"if one ended it).\n";

static int usage(const char *format, const char *what, const char *value)
{
	fprintf(stderr, "peal-nbd: ");
	fprintf(stderr, format, what, value);
	fprintf(stderr, "\nTry: peal-nbd --help\n");
	return -EINVAL;
}

/* A number with an optional K, M or G. */
static int parse_size(uint64_t *out_value, const char *name, const char *text,
		      uint64_t min, uint64_t max)
{
	unsigned shift = 0;
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*end == 'k' || *end == 'K')
		shift = 10;
	else if (*end == 'm' || *end == 'M')
		shift = 20;
	else if (*end == 'g' || *end == 'G')
		shift = 30;
	if (shift)
		end++;
	if (end == text || *end || *text == '-' || errno ||
	    value > UINT64_MAX >> shift || value << shift < min ||
	    value << shift > max) {
		char range[64];

		snprintf(range, sizeof(range), "%llu to %llu",
			 (unsigned long long)min, (unsigned long long)max);
		fprintf(stderr, "peal-nbd: --%s %s: want a number from %s\n",
			name, text, range);
		return -EINVAL;
	}
	*out_value = value << shift;
	return 0;
}

static int parse_u32(uint32_t *out_value, const char *name, const char *text,
		     uint64_t min, uint64_t max)
{
	uint64_t value;
	int error = parse_size(&value, name, text, min, max);

	if (!error)
		*out_value = (uint32_t)value;
	return error;
}

static int parse_seconds(uint64_t *out_ns, const char *name, const char *text)
{
	uint64_t seconds;
	int error = parse_size(&seconds, name, text, 0, 1000000);

	if (!error)
		*out_ns = seconds ? seconds * PEAL_S : PEAL_FOREVER;
	return error;
}

static int parse_port(int *out_port, const char *text)
{
	uint64_t port;
	int error = parse_size(&port, "port", text, 0, 65535);

	if (!error)
		*out_port = (int)port;
	return error;
}

static int parse_limit(struct options *options, int name, const char *text)
{
	switch (name) {
	case OPT_SLOTS:
		return parse_u32(&options->slots, "slots", text, 1, 1024);
	case OPT_CONNECTIONS:
		return parse_u32(&options->max_connections, "max-connections",
				 text, 1, 10000);
	case OPT_MEMORY:
		return parse_size(&options->max_memory, "max-memory", text,
				  CHUNK_STRIDE, UINT64_C(1) << 40);
	case OPT_REQUEST:
		return parse_u32(&options->max_request, "max-request", text,
				 65536, UINT32_MAX);
	case OPT_HANDSHAKE:
		return parse_seconds(&options->handshake_ns,
				     "handshake-timeout", text);
	case OPT_STALL:
		return parse_seconds(&options->stall_ns, "stall-timeout",
				     text);
	case OPT_IDLE:
		return parse_seconds(&options->idle_ns, "idle-timeout", text);
	default:
		return parse_seconds(&options->shutdown_ns,
				     "shutdown-timeout", text);
	}
}

/* Returns 0, -EINVAL, or 1 when the program has done what was asked. */
static int parse_one(struct options *options, int name, const char *text)
{
	switch (name) {
	case OPT_UNIX:
		options->unix_path = text;
		return 0;
	case OPT_BIND:
		options->bind = text;
		return 0;
	case OPT_PORT:
		return parse_port(&options->port, text);
	case OPT_EXPORT:
		options->export = text;
		if (strlen(text) <= EXPORT_NAME_MAX)
			return 0;
		return usage("--%s: at most %s bytes", "export", "255");
	case 'r': case OPT_RO:
		options->flags |= OPT_READ_ONLY;
		return 0;
	case OPT_DIO:
		options->flags |= OPT_DIRECT;
		return 0;
	case OPT_RUN:
		options->run = text;
		return 0;
	case 'v': case OPT_VERBOSE:
		log_set_level(LOG_VERBOSE);
		return 0;
	case 'q': case OPT_QUIET:
		log_set_level(LOG_ERRORS);
		return 0;
	case 'h': case OPT_HELP:
		fputs(help, stdout);
		return 1;
	case 'V': case OPT_VERSION:
		puts("peal-nbd " NBD_VERSION);
		return 1;
	case '?': case ':':
		fprintf(stderr, "Try: peal-nbd --help\n");
		return -EINVAL;
	default:
		return parse_limit(options, name, text);
	}
}

/* Every connection has one chunk of its own, or they could wait in a circle. */
static int check_memory(const struct options *options)
{
	uint64_t least = (uint64_t)options->max_connections * CHUNK_STRIDE;

	if (options->max_memory >= least)
		return 0;
	fprintf(stderr, "peal-nbd: --max-memory %llu is too little for "
		"--max-connections %u: each needs %u bytes, %llu in all\n",
		(unsigned long long)options->max_memory,
		options->max_connections, (unsigned)CHUNK_STRIDE,
		(unsigned long long)least);
	return -EINVAL;
}

int options_parse(struct options *out_options, int argc, char **argv)
{
	struct options options = {
		.port = -1, .export = "", .slots = 64, .max_connections = 32,
		.max_memory = 64 << 20, .max_request = 32 << 20,
		.handshake_ns = 10 * PEAL_S, .stall_ns = 60 * PEAL_S,
		.idle_ns = PEAL_FOREVER, .shutdown_ns = 10 * PEAL_S,
	};
	int name, result;

	while ((name = getopt_long(argc, argv, "rvqhV", names, NULL)) >= 0) {
		result = parse_one(&options, name, optarg);
		if (result)
			return result;
	}
	if (optind != argc - 1)
		return optind >= argc ?
			usage("no %s given: which %s is to be served?", "FILE",
			      "disk image or block device") :
			usage("one %s only; what is \"%s\"?", "FILE",
			      argv[optind + 1]);
	options.file = argv[optind];
	if (options.unix_path && !*options.unix_path)
		return usage("--%s: want %s", "unix", "the path of a socket");
	if (options.unix_path && (options.bind || options.port >= 0))
		return usage("--%s or --%s, not both", "unix",
			     "bind and --port");
	*out_options = options;
	return check_memory(&options);
}
