/* SPDX-License-Identifier: MIT */
/*
 * What a test does to a simulated node from outside: files put there and looked
 * at, and the calls on its descriptors that peal has no op for. All of it
 * happens at once, takes no simulated time and meets no fault. Each function
 * returns a negative errno on failure.
 */
#ifndef PEAL_SIM_NODE_H
#define PEAL_SIM_NODE_H

#include <sys/socket.h>
#include "peal/file.h"
#include "peal/op.h"

#ifdef __cplusplus
extern "C" {
#endif

struct peal_sim_node;

/*
 * Puts a file on a node's disk, durable, in place of what was there.
 *   path     in a directory that exists; copied
 *   data     copied
 *   len      bytes
 * Result     0
 * Errors     -ENOENT, -ENOTDIR, -EISDIR: the path; -EINVAL: there is a device;
 *            -ENOSPC; -ENOMEM
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     the C library's
 */
int peal_sim_put_file(struct peal_sim_node *node, const char *path,
		      const void *data, size_t len);

/*
 * Reads a file as programs on the node would see it.
 *   buf      len bytes; written
 *   offset   bytes
 * Result     bytes; 0: the end
 * Errors     -ENOENT: none; -EISDIR
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
int64_t peal_sim_get_file(struct peal_sim_node *node, const char *path,
			  void *buf, size_t len, uint64_t offset);

/*
 * Makes a directory, durable, with mode 0755.
 * Result     0
 * Errors     -EEXIST, -ENOENT, -ENOTDIR: the path; -ENOMEM
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     the C library's
 */
int peal_sim_make_dir(struct peal_sim_node *node, const char *path);

/*
 * Makes a FIFO, durable, with mode 0666 less the umask: mkfifo(3). To open it
 * for reading and writing at once is -EOPNOTSUPP.
 * Result     0
 * Errors     -EEXIST, -ENOENT, -ENOTDIR: the path; -ENOMEM
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     the C library's
 */
int peal_sim_make_fifo(struct peal_sim_node *node, const char *path);

/*
 * Makes all that is on the node's disk durable.
 * Result     none
 * Errors     none
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
void peal_sim_sync(struct peal_sim_node *node);

/*
 * How much of a file a crash now could take.
 * Result     bytes, in sectors of 512; 0 also when there is no such file
 * Errors     none
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
uint64_t peal_sim_unsynced(struct peal_sim_node *node, const char *path);

/*
 * The node's disk.
 *   bytes      room for data; 0: no limit
 *   dio_align  what O_DIRECT wants of offset, length and address; a power of
 *              two from 512 to 4096; 0: 512
 * Result     none
 * Errors     none
 * Lifetime   until it is set again
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
void peal_sim_disk(struct peal_sim_node *node, uint64_t bytes,
		   uint32_t dio_align);

/*
 * The umask of what is made on the node; 022 when it is made.
 * Result     the one before
 * Errors     none
 * Lifetime   until it is set again
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
unsigned peal_sim_umask(struct peal_sim_node *node, unsigned mask);

/*
 * Who the programs on the node are. What they make is theirs, and an op of any
 * user but root (0, unless set) may do what Linux's rules of owner, group and
 * others allow: -EACCES, or -EPERM for a name in a sticky directory. It needs
 * a directory to search, a file to read or write, a directory to make, remove
 * or rename something in, a socket to connect to, and a port above 1023. One
 * group per user; no capabilities, ACLs or set-id bits.
 *   uid, gid  numbers
 * Result     none
 * Errors     none
 * Lifetime   until it is set again; an op asks when it runs, an open file never
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
void peal_sim_user(struct peal_sim_node *node, uint32_t uid, uint32_t gid);

/*
 * chmod(2). Durable at once.
 *   mode     permissions and the sticky bit: at most 07777
 * Result     0
 * Errors     -ENOENT, -ENOTDIR: the path
 * Lifetime   until it is set again
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
int peal_sim_chmod(struct peal_sim_node *node, const char *path, unsigned mode);

/*
 * chown(2). Durable at once.
 *   uid, gid  numbers
 * Result     0
 * Errors     -ENOENT, -ENOTDIR: the path
 * Lifetime   until it is set again
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
int peal_sim_chown(struct peal_sim_node *node, const char *path, uint32_t uid,
		   uint32_t gid);

/*
 * close(2), outside of any ring: see peal_close().
 * Result     0
 * Errors     -EBADF
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
int peal_sim_close_fd(struct peal_sim_node *node, peal_fd fd);

/*
 * dup(2).
 * Result     the new number
 * Errors     -EBADF, -EMFILE, -ENOMEM
 * Lifetime   until it is closed
 * Thread     the world's
 * Engines    sim
 * Memory     the C library's
 */
peal_fd peal_sim_dup(struct peal_sim_node *node, peal_fd fd);

/*
 * dup2(2).
 *   to       a number that is, or was, open on the node
 * Result     to
 * Errors     -EBADF
 * Lifetime   until it is closed
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
peal_fd peal_sim_dup_to(struct peal_sim_node *node, peal_fd fd, peal_fd to);

/*
 * fcntl(2)'s F_GETFL and F_SETFL.
 *   set      O_NONBLOCK, O_APPEND or 0; negative: leave them
 * Result     open(2)'s flags
 * Errors     -EBADF
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
int peal_sim_fd_flags(struct peal_sim_node *node, peal_fd fd, int set);

/*
 * lseek(2): the place of PEAL_CURRENT.
 *   offset, whence  lseek(2)'s SEEK_SET, SEEK_CUR, SEEK_END
 * Result     the place
 * Errors     -EBADF; -ESPIPE: no file; -EINVAL: whence, or a place before 0
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
int64_t peal_sim_seek(struct peal_sim_node *node, peal_fd fd, int64_t offset,
		      int whence);

/*
 * readlink(2).
 *   buf      len bytes; no NUL is added
 * Result     bytes
 * Errors     -ENOENT: no such name; -EINVAL: no link
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
int64_t peal_sim_readlink(struct peal_sim_node *node, const char *path,
			  char *buf, size_t len);

/*
 * fstat(2), of sockets and pipes too.
 *   out_stat  written
 * Result     0
 * Errors     -EBADF
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
int peal_sim_fd_stat(struct peal_sim_node *node, peal_fd fd,
		     struct peal_stat *out_stat);

/*
 * How many descriptors are open on a node: to find leaks.
 * Result     a count
 * Errors     none
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
uint32_t peal_sim_fds(struct peal_sim_node *node);

/*
 * The numbers a node may use: past them, -EMFILE.
 *   most     from PEAL_SIM_FIRST_FD on; 0: 65536
 * Result     none
 * Errors     none
 * Lifetime   until it is set again
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
void peal_sim_fd_limit(struct peal_sim_node *node, uint32_t most);

/*
 * pipe(2).
 *   out_fds  gets the end to read and the end to write
 * Result     0
 * Errors     -EMFILE, -ENOMEM
 * Lifetime   until they are closed
 * Thread     the world's
 * Engines    sim
 * Memory     the C library's
 */
int peal_sim_pipe(struct peal_sim_node *node, peal_fd out_fds[2]);

/*
 * socketpair(2), AF_UNIX.
 *   type     SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM
 *   out_fds  gets both
 * Result     0
 * Errors     -EMFILE, -ENOMEM, -EINVAL: the type
 * Lifetime   until they are closed
 * Thread     the world's
 * Engines    sim
 * Memory     the C library's
 */
int peal_sim_socketpair(struct peal_sim_node *node, int type,
			peal_fd out_fds[2]);

/*
 * getsockname(2) and getpeername(2).
 *   peer     1: the peer's; 0: its own
 *   addr     written
 *   addr_len bytes, in and out
 * Result     0
 * Errors     -EBADF, -ENOTSOCK; -ENOTCONN: it has no peer
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
int peal_sim_name(struct peal_sim_node *node, peal_fd fd, int peer,
		  struct sockaddr *addr, socklen_t *addr_len);

/*
 * The type of a socket: getsockopt(2)'s SO_TYPE.
 * Result     SOCK_STREAM, ...
 * Errors     -EBADF, -ENOTSOCK
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
int peal_sim_socket_type(struct peal_sim_node *node, peal_fd fd);

#define PEAL_SIM_TTL		1u	/* IP_TTL, IPV6_HOPLIMIT: always 64 */
#define PEAL_SIM_PKTINFO	2u	/* IP_PKTINFO, IPV6_PKTINFO */

/*
 * What peal_recvmsg() on a datagram socket is told in the control data:
 * setsockopt(2)'s IP_RECVTTL, IP_PKTINFO, IPV6_RECVHOPLIMIT,
 * IPV6_RECVPKTINFO. (Descriptors, SCM_RIGHTS, need no wish.)
 *   what     PEAL_SIM_TTL, ... together; 0: nothing
 * Result     0
 * Errors     -EBADF, -ENOTSOCK; -EINVAL: what is none of them
 * Lifetime   until it is set again
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
int peal_sim_ancillary(struct peal_sim_node *node, peal_fd fd, unsigned what);

/*
 * Breaks a connection: its peer gets a reset, as from a close(2) with SO_LINGER
 * of no time.
 * Result     0
 * Errors     -EBADF, -ENOTSOCK; -ENOTCONN
 * Lifetime   nothing is lent
 * Thread     the world's
 * Engines    sim
 * Memory     the C library's
 */
int peal_sim_break(struct peal_sim_node *node, peal_fd fd);

/*
 * How much of what was sent to a socket it keeps; further sends wait. 256 KiB
 * unless set; 64 KiB for a pipe.
 *   bytes    at least 1
 * Result     0
 * Errors     -EBADF, -ENOTSOCK
 * Lifetime   until it is set again
 * Thread     the world's
 * Engines    sim
 * Memory     none
 */
int peal_sim_buffer(struct peal_sim_node *node, peal_fd fd, uint32_t bytes);

#ifdef __cplusplus
}
#endif
#endif
