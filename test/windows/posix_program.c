/* SPDX-License-Identifier: MIT */
/* What posix_file.c and posix_net.c ask of a program that is no test. */
#include <errno.h>
#include "test/windows/posix.h"

int posix_no(const char *why)
{
	(void)why;
	errno = ENOSYS;
	return -1;
}

__attribute__((constructor)) static void start(void)
{
	posix_start_sockets();
}
