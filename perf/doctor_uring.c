/* SPDX-License-Identifier: MIT */
/* What this kernel's io_uring has: asked, not guessed from its version. */
#include <errno.h>
#include <linux/io_uring.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "peal.h"
#include "lib/sqe.h"
#include "peal/uring.h"
#include "perf/doctor.h"

/* By bit; the header that this is built with may be older than the kernel. */
static const struct {
	unsigned bit;
	const char *name;
	unsigned with;		/* what else it takes */
} flags[] = {
	{ 0, "IOPOLL", 0 },
	{ 1, "SQPOLL", 0 },
	{ 3, "CQSIZE", 0 },
	{ 4, "CLAMP", 0 },
	{ 6, "R_DISABLED", 0 },
	{ 7, "SUBMIT_ALL", 0 },
	{ 8, "COOP_TASKRUN", 0 },
	{ 9, "TASKRUN_FLAG", 1u << 8 },
	{ 10, "SQE128", 0 },
	{ 11, "CQE32", 0 },
	{ 12, "SINGLE_ISSUER", 0 },
	{ 13, "DEFER_TASKRUN", 1u << 12 },
	{ 16, "NO_SQARRAY", 0 },
	{ 17, "HYBRID_IOPOLL", 1u << 0 },
	{ 18, "CQE_MIXED", 0 },
	{ 19, "SQE_MIXED", 0 },
};

static const char *const features[] = {
	"SINGLE_MMAP", "NODROP", "SUBMIT_STABLE", "RW_CUR_POS",
	"CUR_PERSONALITY", "FAST_POLL", "POLL_32BITS", "SQPOLL_NONFIXED",
	"EXT_ARG", "NATIVE_WORKERS", "RSRC_TAGS", "CQE_SKIP", "LINKED_FILE",
	"REG_REG_RING", "RECVSEND_BUNDLE", "MIN_TIMEOUT", "RW_ATTR",
	"NO_IOWAIT",
};

/* Lists of words, broken into lines. */
static unsigned column;

static void word(const char *text)
{
	if (column + strlen(text) > 70) {
		printf("\n%24s", "");
		column = 24;
	}
	column += (unsigned)printf(" %s", text);
}

static void begin(const char *name)
{
	column = (unsigned)printf("       %-16s", name);
}

static void end(void)
{
	putchar('\n');
}

static int set_up(unsigned setup_flags, struct io_uring_params *params)
{
	memset(params, 0, sizeof *params);
	params->flags = setup_flags;
	params->cq_entries = 16;
	return (int)syscall(SYS_io_uring_setup, 8, params);
}

static void probe_flags(int wanted)
{
	struct io_uring_params params;
	size_t i;

	begin(wanted ? "set-up flags" : "  refused");
	for (i = 0; i < sizeof flags / sizeof *flags; i++) {
		int fd = set_up(1u << flags[i].bit | flags[i].with, &params);

		if ((fd >= 0) == wanted)
			word(flags[i].name);
		if (fd >= 0)
			close(fd);
	}
	end();
}

static void probe_features(void)
{
	struct io_uring_params params;
	int fd = set_up(0, &params);
	unsigned i;

	if (fd < 0)
		return;
	close(fd);
	begin("features");
	for (i = 0; i < sizeof features / sizeof *features; i++)
		if (params.features & 1u << i)
			word(features[i]);
	end();
	if (params.features >> i)
		printf("%24s and bits %#x that this program does not know\n",
		       "", params.features >> i << i);
}

static void probe_ops(struct io_uring *ring, int wanted)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	char number[16];
	unsigned i, count = 0;

	if (!probe)
		return;
	begin(wanted ? "ops" : "  lacking");
	for (i = 0; i < 256; i++) {
		/* From there on the names are of peal's own ops. */
		const char *name = i < PEAL__OP_KERNEL_COUNT
					   ? peal_opcode_name(i)
					   : NULL;
		int is = io_uring_opcode_supported(probe, (int)i) != 0;

		if (is != wanted || (!is && !name))
			continue;
		snprintf(number, sizeof number, "#%u", i);
		word(name ? name : number);
		count++;
	}
	if (!count)
		word("none");
	end();
	io_uring_free_probe(probe);
}

static void explain(struct peal_ring *ring)
{
	char *text = NULL, *line, *next;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	peal_ring_explain(ring, out);
	fclose(out);
	for (line = text; *line; line = next) {
		next = strchr(line, '\n');
		if (!next)
			break;
		*next++ = '\0';
		printf("       %s\n", line);
	}
	free(text);
}

void doctor_uring(void)
{
	struct peal_ring_options options = PEAL_RING_OPTIONS;
	struct peal_ring *ring;

	doctor_part("io_uring");
	options.engine = "uring";
	if (peal_ring_open(&ring, &options) < 0) {
		doctor_bad("ring", "as said; until then peal runs on epoll",
			   "%s", peal_open_reason());
		return;
	}
	doctor_good("ring", "%s", peal_ring_engine_reason(ring));
	probe_flags(1);
	probe_flags(0);
	probe_features();
	probe_ops(peal_uring_ring(ring), 1);
	probe_ops(peal_uring_ring(ring), 0);
	doctor_part("peal on it");
	explain(ring);
	peal_ring_close(ring, PEAL_S);
}
