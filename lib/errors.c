/* SPDX-License-Identifier: MIT */
/* What a negative errno means, in a sentence. */
#include <errno.h>
#include "peal/op.h"

struct sentence {
	int number;
	const char *text;
};

/* The ones this library's users meet, said for what they do here. */
static const struct sentence sentences[] = {
	{ 0, "success" },
	{ EPERM, "not permitted (EPERM)" },
	{ ENOENT, "no such file, or the op is not in flight any more (ENOENT)" },
	{ EINTR, "interrupted by a signal (EINTR)" },
	{ EIO, "the device failed (EIO)" },
	{ ENXIO, "no such device or address (ENXIO)" },
	{ EBADF, "not an open fd, opened for the other direction, or being "
		 "closed (EBADF)" },
	{ EAGAIN, "no room now: as many ops in flight as max_ops allows, or "
		  "the kernel is short of something; try again when an op has "
		  "completed (EAGAIN)" },
	{ ENOMEM, "out of memory, or RLIMIT_MEMLOCK is too low (ENOMEM)" },
	{ EACCES, "permission denied (EACCES)" },
	{ EFAULT, "an address outside the program's memory (EFAULT)" },
	{ EBUSY, "in use (EBUSY)" },
	{ EEXIST, "exists already (EEXIST)" },
	{ EXDEV, "on another file system (EXDEV)" },
	{ ENODEV, "no such device (ENODEV)" },
	{ ENOTDIR, "a part of the path is no directory (ENOTDIR)" },
	{ EISDIR, "is a directory (EISDIR)" },
	{ EINVAL, "an argument is invalid; for O_DIRECT: buffer, offset or "
		  "length is not aligned (EINVAL)" },
	{ ENFILE, "too many files open in the system (ENFILE)" },
	{ EMFILE, "too many files open: raise RLIMIT_NOFILE (EMFILE)" },
	{ ENOTTY, "not a terminal, or the call does not fit the device "
		  "(ENOTTY)" },
	{ EFBIG, "the file would be too large (EFBIG)" },
	{ ENOSPC, "no space left on the device (ENOSPC)" },
	{ ESPIPE, "a pipe or socket has no offsets: use PEAL_CURRENT "
		  "(ESPIPE)" },
	{ EROFS, "the file system is read-only (EROFS)" },
	{ EMLINK, "too many links (EMLINK)" },
	{ EPIPE, "the reading end is closed (EPIPE)" },
	{ ERANGE, "out of range (ERANGE)" },
	{ EDEADLK, "not from inside a handler of this ring (EDEADLK)" },
	{ ENAMETOOLONG, "a name is too long (ENAMETOOLONG)" },
	{ ENOSYS, "the system lacks the call (ENOSYS)" },
	{ ENOTEMPTY, "the directory is not empty (ENOTEMPTY)" },
	{ ELOOP, "too many symbolic links (ELOOP)" },
	{ EBADMSG, "the data is damaged, or a replay differs from its record: "
		   "see peal_ring_engine_reason() (EBADMSG)" },
	{ ENODATA, "there is no more: a replay is at the end of its record "
		   "(ENODATA)" },
	{ EOVERFLOW, "a value is too large for its type (EOVERFLOW)" },
	{ ENOTSOCK, "not a socket (ENOTSOCK)" },
	{ EDESTADDRREQ, "a destination address is needed (EDESTADDRREQ)" },
	{ EMSGSIZE, "the message is too long (EMSGSIZE)" },
	{ EPROTOTYPE, "the wrong protocol type for the socket (EPROTOTYPE)" },
	{ ENOPROTOOPT, "no such socket option (ENOPROTOOPT)" },
	{ EPROTONOSUPPORT, "the protocol is not supported (EPROTONOSUPPORT)" },
	{ EOPNOTSUPP, "the kernel, file system or socket lacks the operation; "
		      "see peal_ring_explain() (EOPNOTSUPP)" },
	{ EAFNOSUPPORT, "the address family is not supported (EAFNOSUPPORT)" },
	{ EADDRINUSE, "the address is in use (EADDRINUSE)" },
	{ EADDRNOTAVAIL, "not an address of this machine (EADDRNOTAVAIL)" },
	{ ENETDOWN, "the network is down (ENETDOWN)" },
	{ ENETUNREACH, "the network is unreachable (ENETUNREACH)" },
	{ ECONNABORTED, "the connection was aborted (ECONNABORTED)" },
	{ ECONNRESET, "the peer reset the connection (ECONNRESET)" },
	{ ENOBUFS, "no buffers left (ENOBUFS)" },
	{ EISCONN, "the socket is connected already (EISCONN)" },
	{ ENOTCONN, "the socket is not connected (ENOTCONN)" },
	{ ESHUTDOWN, "the ring is closing (ESHUTDOWN)" },
	{ ETIMEDOUT, "the deadline passed, or the peer did not answer "
		     "(ETIMEDOUT)" },
	{ ECONNREFUSED, "nobody listens there (ECONNREFUSED)" },
	{ EHOSTUNREACH, "the host is unreachable (EHOSTUNREACH)" },
	{ EALREADY, "runs already and cannot be interrupted (EALREADY)" },
	{ EINPROGRESS, "in progress (EINPROGRESS)" },
	{ ESTALE, "the file handle is stale (ESTALE)" },
	{ EDQUOT, "the disk quota is used up (EDQUOT)" },
	{ ECANCELED, "cancelled (ECANCELED)" },
};

const char *peal_strerror(int64_t error)
{
	size_t i;

	if (error > 0)
		return "success";
	for (i = 0; i < sizeof sentences / sizeof *sentences; i++)
		if (-(int64_t)sentences[i].number == error)
			return sentences[i].text;
	return "an error this library has no sentence for; see errno(3)";
}
