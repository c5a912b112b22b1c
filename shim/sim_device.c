/* SPDX-License-Identifier: MIT */
/*
 * What stands in a simulated node's /dev, as on every Linux: null, zero, full,
 * random, urandom. They are there at once and never fail; their time is none.
 */
#include <string.h>
#include <sys/stat.h>
#include "shim/sim.h"

enum { DEV_NULL = 3, DEV_ZERO = 5, DEV_FULL = 7, DEV_RANDOM, DEV_URANDOM };

static const struct {
	const char *name;
	uint8_t minor;		/* the major is 1 */
} devices[] = {
	{ "null", DEV_NULL }, { "zero", DEV_ZERO }, { "full", DEV_FULL },
	{ "random", DEV_RANDOM }, { "urandom", DEV_URANDOM },
};

int peal__sim_devices_make(struct peal_sim_node *node)
{
	struct sim_inode *dir = peal__sim_dir_plant(node->root, "dev",
						    S_IFDIR | 0755);
	size_t at;

	for (at = 0; dir && at < sizeof(devices) / sizeof(*devices); at++) {
		struct sim_inode *inode = peal__sim_dir_plant(
			dir, devices[at].name, S_IFCHR | 0666);

		if (!inode)
			return -ENOMEM;
		inode->device = devices[at].minor;
	}
	return dir ? 0 : -ENOMEM;
}

static void fill_random(struct peal_sim *world, uint8_t *buf, uint64_t len)
{
	for (; len; len--)
		*buf++ = (uint8_t)sim_random(world);
}

int64_t peal__sim_device_read(struct sim_file *file, void *buf, uint64_t len)
{
	if (file->inode->device == DEV_NULL)
		return 0;
	if (file->inode->device >= DEV_RANDOM)
		fill_random(file->node->world, buf, len);
	else
		memset(buf, 0, len);
	return (int64_t)len;
}

int64_t peal__sim_device_write(struct sim_file *file, uint64_t len)
{
	return file->inode->device == DEV_FULL ? -ENOSPC : (int64_t)len;
}
