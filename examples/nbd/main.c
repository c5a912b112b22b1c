/* SPDX-License-Identifier: MIT */
/*
 * peal-nbd: a network block device server. See README.md beside this file;
 * nbd.h tells how it is built.
 */
#include <fcntl.h>
#include <unistd.h>
#include "nbd.h"

static struct server server;

/* Started without standard streams, the next files to be opened would take
 * their numbers, and the log would be written into one of them. */
static void fill_standard_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

int main(int argc, char **argv)
{
	struct options options;
	int result;

	fill_standard_streams();
	result = options_parse(&options, argc, argv);
	if (result)
		return result < 0 ? EXIT_USAGE : EXIT_OK;
	server.options = &options;
	if (server_open(&server) < 0 || server_serve(&server) < 0) {
		listen_close(&server);
		return EXIT_START;
	}
	/* Only the read of signals is left in it. */
	if (peal_ring_close(server.ring, 5 * PEAL_S))
		log_error("the kernel has not let go of everything");
	return server.exit_code;
}
