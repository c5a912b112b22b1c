/* SPDX-License-Identifier: MIT */
/*
 * Simulated sockets and pipes: what sim_net.c, sim_addr.c, sim_connect.c
 * (making and connecting), sim_stream.c (bytes), sim_message.c (datagrams,
 * message headers) and sim_packet.c (what is on its way) share.
 *
 * A socket lives as long as somebody refers to it: its open file, the queue of
 * its listener, its peer, packets on their way.
 */
#ifndef PEAL_SHIM_SIM_NET_H
#define PEAL_SHIM_SIM_NET_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "shim/sim.h"

#define SIM_PIPE	100	/* a type: one way, of AF_UNIX */
#define SIM_BUFFER	(256u << 10)
#define SIM_PIPE_BUFFER	(64u << 10)
#define SIM_PIPE_ATOMIC	4096u
#define SIM_DATAGRAM	65507u
#define SIM_GIVE_UP_NS	(900 * PEAL_S)	/* as long as TCP sends again */

struct sim_addr {
	socklen_t len;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} u;
};

/* Descriptors on their way, held; of a stream with the bytes from at to end. */
struct sim_rights {
	struct sim_rights *next;
	uint64_t at, end;
	uint32_t count;
	struct sim_file *files[];
};

enum sim_sock_state {
	SOCK_IDLE,
	SOCK_LISTENS,
	SOCK_CONNECTING,
	SOCK_CONNECTED
};

struct sim_sock {
	struct sim_sock *next, *prev;	/* of the node, while it is open */
	struct peal_sim_node *node;
	struct sim_file *file;		/* NULL: closed, or not accepted */
	uint32_t refs;
	int family, type;
	uint8_t state;
	uint8_t bound;
	uint8_t closed;
	uint8_t eof;			/* nothing more will come */
	uint8_t no_read, no_write;	/* shutdown */
	uint8_t silent;			/* the peer's machine is gone */
	uint8_t unheard;		/* ... and something was sent since */
	uint8_t reset;			/* it ended by an error */
	int error;			/* negative errno, told once */
	uint64_t number;		/* of the node's sockets, for stat */
	struct sim_addr local, remote;
	struct sim_sock *peer;		/* held */
	struct peal_sim_node *peer_node;

	uint8_t *rx;			/* bytes that arrived: a circle */
	uint32_t rx_room, rx_head, rx_len;
	uint32_t rx_most;		/* with what is on its way */
	uint32_t coming;
	uint64_t rx_read;		/* bytes, ever */
	struct sim_rights *rights, *last_rights;	/* that arrived */
	struct sim_rights *giving, *taken;	/* of the op that runs */
	struct sim_op *lender;		/* the op that runs, if it is zero-copy */
	unsigned ancillary;		/* PEAL_SIM_TTL, ... */
	uint64_t last_due;		/* nothing arrives before what was sent
					 * earlier */
	struct sim_packet *messages, *last_message;

	struct sim_sock *queue, *queue_last, *queue_next; /* not accepted */
	uint32_t queued, backlog;
	struct sim_inode *inode;	/* of a bound unix socket, held */
	uint32_t tries;			/* of a connect */
	struct sim_event retry;
};

/* --- sim_packet.c -------------------------------------------------------- */

enum sim_packet_kind {
	PACKET_DATA, PACKET_END, PACKET_RESET, PACKET_ASK, PACKET_YES,
	PACKET_NO, PACKET_MESSAGE
};

struct sim_packet {
	struct sim_event event;
	struct sim_packet *next;	/* sock->messages, world's parked */
	enum sim_packet_kind kind;
	struct sim_sock *from, *to;	/* held; to NULL: by address */
	struct peal_sim_node *from_node, *to_node;
	struct sim_addr source, target;
	struct sim_rights *rights;
	uint64_t boots;			/* of the node that answers */
	struct sim_op *lender;		/* whose buffer still has the bytes */
	struct sim_packet *lent_next, *lent_prev;	/* lender->lent */
	struct iovec *lent;		/* its parts */
	size_t lent_count;
	uint32_t len, at;
	uint8_t data[];
};

struct sim_packet *peal__sim_packet_new(struct sim_sock *from,
					struct sim_sock *to,
					enum sim_packet_kind kind,
					const void *data, uint32_t len);
void peal__sim_packet_send(struct sim_packet *packet, uint64_t delay_ns);
void peal__sim_packet_free(struct sim_packet *packet);
/* Of a stream, in order; no memory breaks it. */
void peal__sim_signal(struct sim_sock *from, struct sim_sock *to,
		enum sim_packet_kind kind);
uint64_t peal__sim_net_delay(struct peal_sim_node *from,
			     struct peal_sim_node *to);
void peal__sim_packet_arrived(struct sim_packet *packet);

/* --- sim_zc.c ------------------------------------------------------------ */

/* The bytes are in these parts until the packet arrives; data has a copy. */
void peal__sim_lend(struct sim_packet *packet, struct sim_op *lender,
		    const struct iovec *parts, size_t count);
/* Now: it has arrived, or the buffer must be given back. */
void peal__sim_take(struct sim_packet *packet);
void peal__sim_unlend(struct sim_packet *packet);	/* it is lost */

/* --- sim_net.c ----------------------------------------------------------- */

struct sim_sock *peal__sim_sock_new(struct peal_sim_node *node, int family,
			      int type);
void peal__sim_sock_hold(struct sim_sock *sock);
void peal__sim_sock_drop(struct sim_sock *sock);
void peal__sim_sock_pair(struct sim_sock *a, struct sim_sock *b);
void peal__sim_sock_unpair(struct sim_sock *sock);
void peal__sim_sock_wake(struct sim_sock *sock, unsigned events);
void peal__sim_sock_fail(struct sim_sock *sock, int error); /* it is broken */
unsigned peal__sim_sock_events(const struct sim_sock *sock);	/* POLL* */
void peal__sim_sock_stat(const struct sim_sock *sock, struct peal_stat *out);
int peal__sim_bind_inet(struct sim_sock *sock, struct sim_addr *addr);
int peal__sim_bind_unix(struct sim_sock *sock, struct sim_addr *addr);
int peal__sim_auto_bind(struct sim_sock *sock);
/* Its own address, as the one it talks to sees it. */
struct sim_addr peal__sim_source(const struct sim_sock *sock,
			   const struct sim_addr *target);
struct peal_sim_node *peal__sim_node_at(struct peal_sim_node *from,
				  const struct sim_addr *addr);
uint16_t peal__sim_port(const struct sim_addr *addr);	/* network order */
struct sim_sock *peal__sim_find_bound(struct peal_sim_node *node, int type,
				const struct sim_addr *addr, int listens);
void peal__sim_put_addr(const struct sim_addr *addr, uint64_t to,
			uint64_t len_at);
int peal__sim_get_addr(const struct sim_sock *sock, uint64_t from, uint64_t len,
		 struct sim_addr *out);
int peal__sim_find_unix(struct peal_sim_node *node, const struct sim_addr *addr,
		  struct sim_sock **out);

static inline int sim_is_stream(const struct sim_sock *sock)
{
	return sock->type == SOCK_STREAM || sock->type == SIM_PIPE;
}

static inline int sim_is_pipe(const struct sim_file *file)
{
	return file->kind == SIM_SOCK && file->sock->type == SIM_PIPE;
}

/* --- sim_sock.c ---------------------------------------------------------- */

int64_t peal__sim_socket(struct sim_op *op);
/* Its open file; NULL: no memory, and the socket is gone. */
struct sim_file *peal__sim_sock_open(struct sim_sock *sock, int flags);

/* --- sim_connect.c ------------------------------------------------------- */

int64_t peal__sim_connect(struct sim_op *op);
int64_t peal__sim_accept(struct sim_op *op);
void peal__sim_asked(struct sim_packet *packet);
void peal__sim_answered(struct sim_packet *packet);
void peal__sim_listener_close(struct sim_sock *sock);

/* --- sim_stream.c, sim_message.c, sim_transfer.c ------------------------- */

/* Bytes that can be sent now; SIM_WAIT; an error. */
int64_t peal__sim_stream_room(struct sim_sock *sock);
int64_t peal__sim_stream_read(struct sim_sock *sock, void *buf, uint64_t len,
			int peek);
int64_t peal__sim_stream_write(struct sim_sock *sock, const void *buf,
			 uint64_t len);
/* rights, which come with it, or NULL; on an error they are the caller's. */
int peal__sim_stream_append(struct sim_sock *sock, const void *buf,
			    uint32_t len, struct sim_rights *rights);
void peal__sim_stream_end(struct sim_sock *sock); /* sends the end, once */
int64_t peal__sim_message_send(struct sim_sock *sock, const struct iovec *parts,
			 size_t count, const struct sim_addr *to);
int64_t peal__sim_message_receive(struct sim_sock *sock,
				  const struct iovec *parts, size_t count,
				  unsigned flags, struct msghdr *msg);
/* A recvmsg's header: of packet, or of a stream (NULL). cut: MSG_TRUNC. */
void peal__sim_header_end(struct sim_sock *sock,
			  const struct sim_packet *packet, struct msghdr *msg,
			  unsigned flags, int cut);
uint64_t peal__sim_sum(const struct iovec *parts, size_t count);
void peal__sim_message_arrived(struct sim_packet *packet);
int64_t peal__sim_transfer(struct sim_op *op);	/* send, recv, read, write */

/* --- sim_control.c ------------------------------------------------------- */

void peal__sim_rights_drop(struct peal_sim *world, struct sim_rights *rights);
void peal__sim_rights_drain(struct peal_sim *world);
void peal__sim_rights_forget(struct sim_sock *sock);	/* all that arrived */
void peal__sim_rights_queue(struct sim_sock *sock, struct sim_rights *rights,
			    uint32_t len);
struct sim_rights *peal__sim_rights_copy(const struct sim_rights *rights);
void peal__sim_rights_pass(struct sim_sock *sock, uint32_t len, int peek);
/* What a sendmsg is to carry: sock->giving; 0 or -errno. */
int peal__sim_control_read(struct sim_sock *sock, const struct msghdr *msg);
/* What a recvmsg has got: sock->taken, and of packet, unless that is NULL. */
void peal__sim_control_write(struct sim_sock *sock,
			     const struct sim_packet *packet,
			     struct msghdr *msg);
void peal__sim_control_end(struct sim_sock *sock);

#endif
