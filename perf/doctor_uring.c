/* SPDX-License-Identifier: MIT */
/* What this kernel's io_uring has: asked, not guessed from its version. */
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "peal.h"
#include "lib/sqe.h"
#include "peal/uring.h"
#include "perf/doctor.h"

static const char *const features[] = {
	"SINGLE_MMAP", "NODROP", "SUBMIT_STABLE", "RW_CUR_POS",
	"CUR_PERSONALITY", "FAST_POLL", "POLL_32BITS", "SQPOLL_NONFIXED",
	"EXT_ARG", "NATIVE_WORKERS", "RSRC_TAGS", "CQE_SKIP", "LINKED_FILE",
	"REG_REG_RING", "RECVSEND_BUNDLE", "MIN_TIMEOUT", "RW_ATTR",
	"NO_IOWAIT",
};

static void probe_features(void)
{
	struct io_uring_params params = { 0 };
	struct io_uring ring;
	unsigned i;

	if (doctor_ring(&ring, &params) < 0)
		return;
	io_uring_queue_exit(&ring);
	doctor_words_begin("features");
	for (i = 0; i < sizeof features / sizeof *features; i++)
		if (params.features & 1u << i)
			doctor_word(features[i]);
	doctor_words_end();
	if (params.features >> i)
		printf("%24s and bits %#x that this program does not know\n",
		       "", params.features >> i << i);
}

static void probe_ops(struct io_uring *ring, int wanted)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	char number[16];
	unsigned i;

	if (!probe)
		return;
	doctor_words_begin(wanted ? "ops" : "  lacking");
	for (i = 0; i < 256; i++) {
		/* From there on the names are of peal's own ops. */
		const char *name = i < PEAL__OP_KERNEL_COUNT
					   ? peal_opcode_name(i)
					   : NULL;
		int is = io_uring_opcode_supported(probe, (int)i) != 0;

		if (is != wanted || (!is && !name))
			continue;
		snprintf(number, sizeof number, "#%u", i);
		doctor_word(name ? name : number);
	}
	doctor_words_end();
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
	doctor_flags();
	probe_features();
	probe_ops(peal_uring_ring(ring), 1);
	probe_ops(peal_uring_ring(ring), 0);
	doctor_part("peal on it");
	explain(ring);
	peal_ring_close(ring, PEAL_S);
}
