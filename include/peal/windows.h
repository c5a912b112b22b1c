/* SPDX-License-Identifier: MIT */
/*
 * What the other headers need and Windows lacks: the error numbers, and the
 * POSIX types and flags of files and sockets. peal.h includes it there; no
 * other system does.
 *
 * Include it, or peal.h, before windows.h: that brings the older winsock.h.
 */
#ifndef PEAL_WINDOWS_H
#define PEAL_WINDOWS_H

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <winsock2.h>
#include <ws2tcpip.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

/*
 * Results are negative Linux errnos on every system, so after this header
 * errno.h's names have Linux's numbers. The C library's own errno keeps its
 * own: of those that C and POSIX calls set, EDEADLK, ENAMETOOLONG, ENOLCK,
 * ENOSYS, ENOTEMPTY and EILSEQ differ.
 */
#undef EDEADLK
#undef EDEADLOCK
#undef ENAMETOOLONG
#undef ENOLCK
#undef ENOSYS
#undef ENOTEMPTY
#undef ELOOP
#undef ENOMSG
#undef EIDRM
#undef ENOSTR
#undef ENODATA
#undef ETIME
#undef ENOSR
#undef ENOLINK
#undef EPROTO
#undef EBADMSG
#undef EOVERFLOW
#undef EILSEQ
#undef ENOTSOCK
#undef EDESTADDRREQ
#undef EMSGSIZE
#undef EPROTOTYPE
#undef ENOPROTOOPT
#undef EPROTONOSUPPORT
#undef EOPNOTSUPP
#undef ENOTSUP
#undef EAFNOSUPPORT
#undef EADDRINUSE
#undef EADDRNOTAVAIL
#undef ENETDOWN
#undef ENETUNREACH
#undef ENETRESET
#undef ECONNABORTED
#undef ECONNRESET
#undef ENOBUFS
#undef EISCONN
#undef ENOTCONN
#undef ETIMEDOUT
#undef ECONNREFUSED
#undef EHOSTUNREACH
#undef EALREADY
#undef EINPROGRESS
#undef ECANCELED
#undef EOWNERDEAD
#undef ENOTRECOVERABLE
#undef ETXTBSY
#undef EWOULDBLOCK
#define ETXTBSY		26
#define EDEADLK		35
#define EDEADLOCK	35
#define ENAMETOOLONG	36
#define ENOLCK		37
#define ENOSYS		38
#define ENOTEMPTY	39
#define ELOOP		40
#define EWOULDBLOCK	11
#define ENOMSG		42
#define EIDRM		43
#define ENOSTR		60
#define ENODATA		61
#define ETIME		62
#define ENOSR		63
#define ENOLINK		67
#define EPROTO		71
#define EBADMSG		74
#define EOVERFLOW	75
#define EILSEQ		84
#define ENOTSOCK	88
#define EDESTADDRREQ	89
#define EMSGSIZE	90
#define EPROTOTYPE	91
#define ENOPROTOOPT	92
#define EPROTONOSUPPORT	93
#define ESOCKTNOSUPPORT	94
#define EOPNOTSUPP	95
#define ENOTSUP		95
#define EPFNOSUPPORT	96
#define EAFNOSUPPORT	97
#define EADDRINUSE	98
#define EADDRNOTAVAIL	99
#define ENETDOWN	100
#define ENETUNREACH	101
#define ENETRESET	102
#define ECONNABORTED	103
#define ECONNRESET	104
#define ENOBUFS		105
#define EISCONN		106
#define ENOTCONN	107
#define ESHUTDOWN	108
#define ETIMEDOUT	110
#define ECONNREFUSED	111
#define EHOSTDOWN	112
#define EHOSTUNREACH	113
#define EALREADY	114
#define EINPROGRESS	115
#define ESTALE		116
#define EDQUOT		122
#define ECANCELED	125
#define EOWNERDEAD	130
#define ENOTRECOVERABLE	131

#ifdef __cplusplus
extern "C" {
#endif

typedef intptr_t peal_fd;	/* a HANDLE or a SOCKET */

struct iovec {
	void *iov_base;
	size_t iov_len;
};

struct msghdr {
	void *msg_name;
	socklen_t msg_namelen;
	struct iovec *msg_iov;
	size_t msg_iovlen;
	void *msg_control;	/* none on Windows: msg_controllen is 0 */
	size_t msg_controllen;
	int msg_flags;		/* MSG_TRUNC */
};

#ifdef __cplusplus
}
#endif

/* Flags that have no name here. What the system has no use for is ignored. */
#ifndef O_CLOEXEC
#define O_CLOEXEC	_O_NOINHERIT
#define O_DIRECT	0x00100000	/* FILE_FLAG_NO_BUFFERING */
#define O_DSYNC		0x00200000	/* FILE_FLAG_WRITE_THROUGH */
#define O_SYNC		0x00200000
#define O_DIRECTORY	0x00400000	/* -ENOTDIR if it is none */
#define O_NOFOLLOW	0x00800000	/* -ELOOP if it is a symbolic link */
#define O_NONBLOCK	0x01000000	/* ignored */
#endif
#ifndef SOCK_CLOEXEC
#define SOCK_CLOEXEC	0x00080000	/* always so */
#define SOCK_NONBLOCK	0x00000800	/* ignored: no op blocks */
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL	0x00004000	/* there are no signals */
#define MSG_DONTWAIT	0x00000040	/* -EAGAIN instead of a wait */
#define MSG_CMSG_CLOEXEC 0x40000000
#endif
#ifndef MSG_TRUNC
#define MSG_TRUNC	0x0100
#define MSG_CTRUNC	0x0200
#endif
#ifndef SHUT_RD
#define SHUT_RD		SD_RECEIVE
#define SHUT_WR		SD_SEND
#define SHUT_RDWR	SD_BOTH
#endif
#ifndef POSIX_FADV_NORMAL
#define POSIX_FADV_NORMAL	0
#define POSIX_FADV_RANDOM	1
#define POSIX_FADV_SEQUENTIAL	2
#define POSIX_FADV_WILLNEED	3
#define POSIX_FADV_DONTNEED	4
#define POSIX_FADV_NOREUSE	5
#endif
#ifndef POLLRDHUP
#define POLLRDHUP	0x2000
#endif
#ifndef RWF_DSYNC
#define RWF_HIPRI	0x01		/* ignored */
#define RWF_DSYNC	0x02		/* a flush after the write */
#define RWF_SYNC	0x04
#define RWF_NOWAIT	0x08		/* -EOPNOTSUPP, as the next */
#define RWF_APPEND	0x10
#endif
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE	1
#define RENAME_EXCHANGE		2
#endif

#endif
