/* SPDX-License-Identifier: MIT */
/* The end of ops on completion ports. */
#include "shim/iocp.h"

void peal__iocp_end(struct peal_ring *ring, struct peal__iocp_op *op)
{
	(void)ring;
	(void)op;
}
