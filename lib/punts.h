/* SPDX-License-Identifier: MIT */
/* Counting what the kernel gives to its workers: uring_punts.c. */
#ifndef PEAL_LIB_PUNTS_H
#define PEAL_LIB_PUNTS_H

#include <stdint.h>

/* shim/punts.c: a descriptor that counts this thread's punts, of one opcode or
 * of all (< 0). -ENOENT: no tracefs; -EOPNOTSUPP: the kernel does not name the
 * opcode; -EACCES, -EPERM: not allowed. */
int peal__punt_counter(int opcode);
uint64_t peal__punt_count(int fd);
void peal__punt_close(int fd);
void peal__punt_workers(uint64_t *out_ns, uint32_t *out_count);

#endif
