/* SPDX-License-Identifier: MIT */
/* Random bits from the system. */
#include <stdint.h>
#include <sys/random.h>
#include "lib/engine.h"

/* Before Linux 3.17, or behind a filter, the clock and an address must do: it
 * is for spreading retries, not for secrets. */
void peal__entropy(void *buf, size_t len)
{
	uint64_t now = peal__clock() ^ (uint64_t)(uintptr_t)buf;
	size_t i;

	if (getrandom(buf, len, GRND_NONBLOCK) == (ssize_t)len)
		return;
	for (i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)(now >> i % 8 * 8);
}
