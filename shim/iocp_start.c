/* SPDX-License-Identifier: MIT */
/* Starting ops on completion ports. */
#include "shim/iocp.h"

HANDLE peal__iocp_open_afd(HANDLE port)
{
	(void)port;
	return NULL;
}

int peal__iocp_has(unsigned opcode)
{
	(void)opcode;
	return 0;
}

void peal__iocp_start(struct peal_ring *ring, const struct peal__sqe *sqe)
{
	peal__soft_complete(ring, sqe->user_data, -EOPNOTSUPP, 0);
}
