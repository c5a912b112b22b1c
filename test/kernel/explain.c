/* SPDX-License-Identifier: MIT */
/* Prints what a ring makes of this kernel: test/kernel/run shows it once. */
#include "peal.h"

int main(void)
{
	struct peal_ring *ring;

	if (peal_ring_open(&ring, NULL) < 0) {
		puts(peal_open_reason());
		return 1;
	}
	peal_ring_explain(ring, stdout);
	return peal_ring_close(ring, PEAL_S) < 0;
}
