/* SPDX-License-Identifier: MIT */
/* Addresses in a simulated network: machines, ports, names of unix sockets. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/stat.h>
#include "shim/sim_net.h"

#define NETWORK		0x0a000000u	/* 10.0.0.0 */
#define FIRST_PORT	32768u

/* --- addresses ----------------------------------------------------------- */

uint16_t peal__sim_port(const struct sim_addr *addr)
{
	return addr->u.any.sa_family == AF_INET6 ? addr->u.in6.sin6_port
						 : addr->u.in.sin_port;
}

static void set_port(struct sim_addr *addr, uint16_t port)
{
	if (addr->u.any.sa_family == AF_INET6)
		addr->u.in6.sin6_port = port;
	else
		addr->u.in.sin_port = port;
}

/* fd00::a00:1 is 10.0.0.1: its low 32 bits are. 0: any; 1: this machine. */
static uint32_t host_of(const struct sim_addr *addr)
{
	const uint8_t *b = addr->u.in6.sin6_addr.s6_addr;

	if (addr->u.any.sa_family != AF_INET6)
		return ntohl(addr->u.in.sin_addr.s_addr);
	return (uint32_t)b[12] << 24 | (uint32_t)b[13] << 16 |
	       (uint32_t)b[14] << 8 | b[15];
}

static int is_own(const struct peal_sim_node *node,
		  const struct sim_addr *addr)
{
	uint32_t host = host_of(addr);

	if (addr->u.any.sa_family == AF_INET6 && host == 1)
		return 1;
	return host == 0 || host >> 24 == 127 || host == NETWORK + node->index;
}

struct peal_sim_node *peal__sim_node_at(struct peal_sim_node *from,
				  const struct sim_addr *addr)
{
	struct peal_sim_node *node;

	if (is_own(from, addr))
		return from;
	for (node = from->world->nodes; node; node = node->next)
		if (host_of(addr) == NETWORK + node->index)
			return node;
	return NULL;
}

int peal__sim_get_addr(const struct sim_sock *sock, uint64_t from, uint64_t len,
		 struct sim_addr *out)
{
	socklen_t least = sock->family == AF_INET ? sizeof out->u.in
			  : sock->family == AF_INET6 ? 24
						     : sizeof(sa_family_t);

	memset(out, 0, sizeof *out);
	if (sim_unmapped(from))
		return -EFAULT;
	if (len < least || len > sizeof out->u)
		return -EINVAL;
	memcpy(&out->u, sim_pointer(from), len);
	out->len = (socklen_t)len;
	if (sock->family == AF_INET)
		out->len = sizeof out->u.in;
	else if (sock->family == AF_INET6)
		out->len = sizeof out->u.in6;
	return out->u.any.sa_family == sock->family ? 0 : -EAFNOSUPPORT;
}

void peal__sim_put_addr(const struct sim_addr *addr, uint64_t to,
			uint64_t len_at)
{
	socklen_t *len = sim_pointer(len_at);
	socklen_t room;

	if (!to || !len_at)
		return;
	room = *len < addr->len ? *len : addr->len;
	memcpy(sim_pointer(to), &addr->u, room);
	*len = addr->len;
}

struct sim_sock *peal__sim_find_bound(struct peal_sim_node *node, int type,
				const struct sim_addr *addr, int listens)
{
	struct sim_sock *sock;

	for (sock = node->socks; sock; sock = sock->next) {
		if (!sock->bound || sock->type != type || sock->peer ||
		    sock->family != addr->u.any.sa_family ||
		    peal__sim_port(&sock->local) != peal__sim_port(addr))
			continue;
		if (listens && sock->state != SOCK_LISTENS)
			continue;
		if (!listens && sock->state == SOCK_CONNECTED &&
		    sock->type == SOCK_STREAM)
			continue;
		if (host_of(&sock->local) == 0 || host_of(addr) == 0 ||
		    host_of(&sock->local) == host_of(addr))
			return sock;
	}
	return NULL;
}

static int free_port(struct sim_sock *sock, struct sim_addr *addr)
{
	struct peal_sim_node *node = sock->node;
	unsigned tries;

	for (tries = 0; tries < 65536 - FIRST_PORT; tries++) {
		if (node->next_port < FIRST_PORT)
			node->next_port = FIRST_PORT;
		set_port(addr, htons(node->next_port++));
		if (!peal__sim_find_bound(node, sock->type, addr, 0))
			return 0;
	}
	return -EADDRINUSE;
}

int peal__sim_bind_inet(struct sim_sock *sock, struct sim_addr *addr)
{
	int rc;

	if (!is_own(sock->node, addr))
		return -EADDRNOTAVAIL;
	rc = peal__sim_may_bind(sock->node, peal__sim_port(addr));
	if (rc < 0)
		return rc;
	if (peal__sim_port(addr) == 0)
		rc = free_port(sock, addr);
	else if (peal__sim_find_bound(sock->node, sock->type, addr, 0))
		rc = -EADDRINUSE;
	if (rc < 0)
		return rc;
	sock->local = *addr;
	sock->bound = 1;
	return 0;
}

/* The address a connection is made from. */
int peal__sim_auto_bind(struct sim_sock *sock)
{
	struct sim_addr addr = sock->local;

	return sock->bound || sock->family == AF_UNIX
		       ? 0
		       : peal__sim_bind_inet(sock, &addr);
}

struct sim_addr peal__sim_source(const struct sim_sock *sock,
			   const struct sim_addr *target)
{
	struct sim_addr own = sock->local;
	int to_self = is_own(sock->node, target);

	if (sock->family == AF_UNIX || host_of(&own) != 0)
		return own;
	if (sock->family == AF_INET) {
		own.u.in.sin_addr = target->u.in.sin_addr;
		if (!to_self)
			own.u.in.sin_addr.s_addr =
				htonl(NETWORK + sock->node->index);
		return own;
	}
	own.u.in6.sin6_addr = target->u.in6.sin6_addr;
	if (!to_self)
		own.u.in6.sin6_addr.s6_addr[15] = (uint8_t)sock->node->index;
	return own;
}

/* --- unix names ---------------------------------------------------------- */

static int is_abstract(const struct sim_addr *addr)
{
	return addr->len > sizeof(sa_family_t) && !addr->u.un.sun_path[0];
}

static struct sim_sock *find_abstract(struct peal_sim_node *node,
				      const struct sim_addr *addr)
{
	struct sim_sock *sock;

	for (sock = node->socks; sock; sock = sock->next)
		if (sock->bound && sock->family == AF_UNIX && !sock->peer &&
		    sock->local.len == addr->len &&
		    memcmp(&sock->local.u, &addr->u, addr->len) == 0)
			return sock;
	return NULL;
}

static void unix_path(const struct sim_addr *addr, char *path)
{
	size_t most = addr->len - sizeof(sa_family_t);

	memcpy(path, addr->u.un.sun_path, most);
	path[most] = '\0';
}

int peal__sim_find_unix(struct peal_sim_node *node, const struct sim_addr *addr,
		  struct sim_sock **out)
{
	char path[sizeof addr->u + 1];
	struct sim_inode *inode;
	int rc;

	if (is_abstract(addr)) {
		*out = find_abstract(node, addr);
		return *out ? 0 : -ECONNREFUSED;
	}
	unix_path(addr, path);
	rc = peal__sim_walk(node, node->root, path, 1, NULL, NULL, &inode);
	if (rc == 0)
		rc = peal__sim_may(inode, SIM_MAY_WRITE);
	if (rc < 0)
		return rc;
	*out = inode->bound;
	return *out ? 0 : -ECONNREFUSED;
}

int peal__sim_bind_unix(struct sim_sock *sock, struct sim_addr *addr)
{
	char path[sizeof addr->u + 1];
	struct sim_inode *inode;
	int rc;

	if (addr->len == sizeof(sa_family_t))
		return -EINVAL;
	if (is_abstract(addr)) {
		if (find_abstract(sock->node, addr))
			return -EADDRINUSE;
	} else {
		unix_path(addr, path);
		rc = peal__sim_make(sock->node, sock->node->root, path,
			      S_IFSOCK | 0777, &inode);
		if (rc < 0)
			return rc == -EEXIST ? -EADDRINUSE : rc;
		inode->bound = sock;
		sock->inode = inode;
		peal__sim_inode_hold(inode);
	}
	sock->local = *addr;
	sock->bound = 1;
	return 0;
}
