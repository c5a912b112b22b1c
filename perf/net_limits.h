/* SPDX-License-Identifier: MIT */
/* What a machine allows: descriptors, ports, memory, threads. */
#ifndef PEAL_PERF_NET_LIMITS_H
#define PEAL_PERF_NET_LIMITS_H

#include "perf/net.h"

/* Raises the soft limit of descriptors to the hard one. */
void net_raise_files(void);

/* NULL, or why so many connections more are not to be had, with what to do
 * about it. The server of this way is to have them, and this process's clients
 * beside those of net_limits_took(). Raises the hard limit of descriptors if
 * this process may. */
const char *net_limits(const struct net_way *way, unsigned connections);
/* So many descriptors are this process's from now on, or, negative, no more. */
void net_limits_took(int connections);

/* How many connections one address should call from. */
unsigned net_ports_per_address(void);

#endif
