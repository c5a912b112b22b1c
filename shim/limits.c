/* SPDX-License-Identifier: MIT */
/* The system's limits, for explanations. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "lib/ring.h"

unsigned long long peal__limit(int resource)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		return 0;
	return (unsigned long long)limit.rlim_cur;
}

int peal__memlock_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 ||
	    limit.rlim_cur >= limit.rlim_max)
		return 0;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_MEMLOCK, &limit) == 0;
}

int peal__read_number(const char *path)
{
	char text[32];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	return atoi(text);
}

static unsigned long open_files(unsigned long long limit)
{
	unsigned long count = 0;
	int fd;

	for (fd = 0; (unsigned long long)fd < limit && fd < 1 << 20; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* A ring could not have the descriptors it needs. */
void peal__refused_files(int error)
{
	unsigned long long limit = peal__limit(RLIMIT_NOFILE);

	if (error == -EMFILE)
		peal__reason("too many open files: %lu of RLIMIT_NOFILE %llu "
			     "are open and a ring needs 2: raise it (ulimit "
			     "-n, LimitNOFILE=) or close some",
			     open_files(limit), limit);
	else
		peal__reason("too many open files in the system; fs.file-max "
			     "is %d and a ring needs 2: raise it (sysctl -w "
			     "fs.file-max=)",
			     peal__read_number("/proc/sys/fs/file-max"));
}
