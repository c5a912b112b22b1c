/* SPDX-License-Identifier: MIT */
/* Features forced off, by options.disable and PEAL_DISABLE together: every
 * fallback can be tested on a kernel that has everything. */
#include <stdlib.h>
#include <string.h>
#include "lib/ring.h"

static const char *const names[FEATURE_COUNT] = {
	[FEATURE_DEFER] = "defer",
	[FEATURE_COOP] = "coop",
	[FEATURE_SINGLE_ISSUER] = "single_issuer",
	[FEATURE_SUBMIT_ALL] = "submit_all",
	[FEATURE_NO_SQARRAY] = "no_sqarray",
	[FEATURE_NO_IOWAIT] = "no_iowait",
	[FEATURE_RING_FD] = "ring_fd",
	[FEATURE_MULTISHOT] = "multishot",
	[FEATURE_EPOLL_PWAIT2] = "epoll_pwait2",
	[FEATURE_RWF_NOWAIT] = "rwf_nowait",
	[FEATURE_FIXED] = "fixed",
	[FEATURE_CLONE_BUFFERS] = "clone_buffers",
	[FEATURE_BUFRING] = "bufring",
	[FEATURE_BUNDLE] = "bundle",
	[FEATURE_DIRECT] = "direct",
	[FEATURE_ZC] = "zc",
	[FEATURE_INCREMENTAL] = "incremental",
};

const char *peal__feature_name(unsigned feature)
{
	return names[feature];
}

static int is(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && !memcmp(word, name, len);
}

static int one_op(struct peal__disable *out, const char *word, size_t len)
{
	unsigned i;

	for (i = 0; i < PEAL__OP_KERNEL_COUNT; i++) {
		if (!is(word, len, peal_opcode_name(i)))
			continue;
		out->ops[i >> 6] |= UINT64_C(1) << (i & 63);
		return 0;
	}
	return -EINVAL;
}

static int one_word(struct peal__disable *out, const char *word, size_t len)
{
	unsigned i;

	if (len > 3 && !memcmp(word, "op:", 3))
		return one_op(out, word + 3, len - 3);
	for (i = 0; i < FEATURE_COUNT; i++) {
		if (!is(word, len, names[i]))
			continue;
		out->features |= 1u << i;
		return 0;
	}
	return -EINVAL;
}

static int parse(struct peal__disable *out, const char *list, const char *by)
{
	while (list && *list) {
		size_t len = strcspn(list, ",");

		if (len && one_word(out, list, len) < 0) {
			peal__reason("%s names the feature \"%.*s\", which is "
				     "not one: peal_ring_explain() lists them",
				     by, (int)len, list);
			return -EINVAL;
		}
		list += len + (list[len] == ',');
	}
	return 0;
}

int peal__disable_parse(struct peal__disable *out,
			const struct peal_ring_options *options)
{
	int rc;

	memset(out, 0, sizeof *out);
	rc = parse(out, options->disable, "options.disable");
	if (rc < 0)
		return rc;
	return parse(out, getenv("PEAL_DISABLE"), "PEAL_DISABLE");
}
