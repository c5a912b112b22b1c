/* SPDX-License-Identifier: MIT */
/* More of posix.h, which only the programs in examples/ want. */
#ifndef PEAL_TEST_WINDOWS_POSIX_PROGRAMS_H
#define PEAL_TEST_WINDOWS_POSIX_PROGRAMS_H

#include "test/windows/posix.h"

#define PROT_READ	1
#define PROT_WRITE	2
#define MAP_PRIVATE	2
#define MAP_ANONYMOUS	32
#define MAP_FAILED	((void *)-1)
#define MADV_NOHUGEPAGE	15
void *posix_mmap(size_t len);
#define mmap(at, len, access, flags, fd, offset) posix_mmap(len)
#define madvise(at, len, advice) ((void)(at))

#define F_SETFD		2
#define CLOCK_MONOTONIC_COARSE CLOCK_MONOTONIC
#define S_ISSOCK(mode)	(((mode) & 0170000) == 0140000)
#define lstat(...)	stat(__VA_ARGS__)
#define mkdtemp(template) ((void)(template), errno = ENOSYS, (char *)NULL)
#define setenv(name, value, replace) _putenv_s(name, value)
#define unsetenv(name)	_putenv_s(name, "")

#define BLKGETSIZE64	0
#define ioctl(fd, what, size) ((void)(size), errno = ENOTTY, -1)

struct ucred {
	long pid;
};
#define SO_PEERCRED	17
#define SO_DOMAIN	39

struct signalfd_siginfo {
	int none;
};

#endif
