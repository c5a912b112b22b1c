/* SPDX-License-Identifier: MIT */
/* What the kernel has, why it refused, and the report of both. */
#include <string.h>
#include <sys/resource.h>
#include "lib/start.h"
#include "lib/uring.h"

#define PROBE_OPS 256

int peal__uring_probe(struct peal_ring *ring, struct peal__uring *uring)
{
	union {
		struct io_uring_probe probe;
		char room[sizeof(struct io_uring_probe) +
			  PROBE_OPS * sizeof(struct io_uring_probe_op)];
	} space;
	unsigned i;
	int rc;

	memset(&space, 0, sizeof space);
	rc = io_uring_register((unsigned)uring->ring.ring_fd,
			       PEAL__REGISTER_PROBE, &space.probe, PROBE_OPS);
	if (rc < 0) {
		peal__reason("io_uring_setup() and io_uring_enter() are "
			     "allowed but io_uring_register() answers %s: a "
			     "seccomp filter stands in the way; allow system "
			     "calls 425, 426 and 427", peal_strerror(rc));
		return rc;
	}
	for (i = 0; i < space.probe.ops_len && i < PEAL__OP_KERNEL_COUNT; i++)
		if (space.probe.ops[i].flags & IO_URING_OP_SUPPORTED)
			ring->can[i >> 6] |= UINT64_C(1) << (i & 63);
	/* Rings of buffers are 5.19's, the multishot receive that makes them
	 * worth it is 6.0's, as is this: it goes when 5.19 is of no interest. */
	uring->no_bufring = !peal__can(ring, PEAL__OP_SEND_ZC);
	ring->can[0] &= ~uring->disable.ops[0];
	ring->can[1] &= ~uring->disable.ops[1];
	return 0;
}

static void refused_eperm(const char *name)
{
	int disabled = peal__read_number(
		"/proc/sys/kernel/io_uring_disabled");

	if (disabled > 0)
		peal__reason("io_uring_setup() answers %s: kernel.io_uring_"
			     "disabled is %d, it must be 0 (1 allows members "
			     "of kernel.io_uring_group and root): sysctl -w "
			     "kernel.io_uring_disabled=0", name, disabled);
	else
		peal__reason("io_uring_setup() answers %s although kernel."
			     "io_uring_disabled is %d: a seccomp filter (a "
			     "container's default profile) refuses it: allow "
			     "system calls 425, 426 and 427", name, disabled);
}

static void refused_enomem(const struct peal_ring_options *options)
{
	unsigned cq = options->cq_entries ? options->cq_entries
					  : 4 * options->entries;

	peal__reason("no memory for a ring of %u + %u entries, nor for "
		     "smaller ones down to 64: it needs about %u KiB locked "
		     "and RLIMIT_MEMLOCK allows this user %llu KiB in all: "
		     "raise it (ulimit -l, LimitMEMLOCK=) or close rings",
		     options->entries, cq,
		     (options->entries * 64 + cq * 16 + 4096) / 1024,
		     peal__limit(RLIMIT_MEMLOCK) / 1024);
}

/* Explains an error of io_uring_setup(), its mappings or the eventfd. */
void peal__uring_refused(const struct peal_ring_options *options, int error)
{
	switch (error) {
	case -EPERM:
	case -EACCES:
		refused_eperm(error == -EPERM ? "EPERM" : "EACCES");
		break;
	case -ENOSYS:
		peal__reason("io_uring_setup() answers ENOSYS: this kernel is "
			     "older than Linux 5.1, is built without "
			     "CONFIG_IO_URING, or a sandbox hides it: use "
			     "another kernel, or allow system calls 425, 426 "
			     "and 427");
		break;
	case -ENOMEM:
		refused_enomem(options);
		break;
	case -EMFILE:
	case -ENFILE:
		peal__refused_files(error);
		break;
	default:
		peal__reason("io_uring_setup(%u entries, flags %#x) answers "
			     "%s", options->entries, options->flags,
			     peal_strerror(error));
	}
}

struct line {
	enum peal__feature feature;
	uint32_t flag;		/* of setup_flags; 0: see active() */
	const char *kernel;
	const char *what;
};

static const struct line lines[] = {
	{ FEATURE_DEFER, PEAL__SETUP_DEFER_TASKRUN, "6.1",
	  "completions are posted when the ring asks" },
	{ FEATURE_COOP, PEAL__SETUP_COOP_TASKRUN, "5.19",
	  "no interrupts for completions" },
	{ FEATURE_SINGLE_ISSUER, PEAL__SETUP_SINGLE_ISSUER, "6.0",
	  "one thread submits" },
	{ FEATURE_SUBMIT_ALL, PEAL__SETUP_SUBMIT_ALL, "5.18",
	  "a bad entry does not stop its batch" },
	{ FEATURE_NO_SQARRAY, PEAL__SETUP_NO_SQARRAY, "6.6",
	  "no index array" },
	{ FEATURE_NO_IOWAIT, 0, "6.15", "an idle ring is not counted as I/O" },
	{ FEATURE_RING_FD, 0, "5.18", "the ring's fd is registered" },
	{ FEATURE_MULTISHOT, 0, "5.19", "accept and poll complete many times" },
	{ FEATURE_BUFRING, 0, "6.0", "the kernel picks buffers of a group" },
	{ FEATURE_ZC, 0, "6.0", "long sends are not copied" },
	{ FEATURE_BUNDLE, 0, "6.10", "and several at a time" },
	{ FEATURE_INCREMENTAL, 0, "6.12", "and piece by piece, where asked" },
};

static int has_bufring(const struct peal_ring *ring,
		       const struct peal__uring *uring)
{
	return !(ring->disable.features & 1u << FEATURE_BUFRING) &&
	       !uring->no_bufring && !ring->no_multishot;
}

static int active(struct peal_ring *ring, const struct peal__uring *uring,
		  const struct line *line)
{
	if (line->flag)
		return (uring->setup_flags & line->flag) != 0;
	if (line->feature == FEATURE_NO_IOWAIT)
		return (uring->enter_flags & PEAL__ENTER_NO_IOWAIT) != 0;
	if (line->feature == FEATURE_RING_FD)
		return !uring->ring_fd_error;
	if (line->feature == FEATURE_ZC)
		return peal__can(ring, PEAL__OP_SEND_ZC) &&
		       !(ring->disable.features & 1u << FEATURE_ZC);
	if (line->feature == FEATURE_BUNDLE)
		return has_bufring(ring, uring) && peal__uring_bundles(ring);
	if (line->feature == FEATURE_INCREMENTAL)
		return has_bufring(ring, uring) &&
		       !(ring->disable.features & 1u << line->feature) &&
		       !*peal__uring_check(CHECK_PIECES, uring->setup_flags);
	if (line->feature == FEATURE_BUFRING)
		return has_bufring(ring, uring);
	return !ring->no_multishot;
}

/* What a trial of it has shown; NULL: it was not that. */
static const char *why_failed(const struct peal__uring *uring,
			      const struct line *line)
{
	const char *why = "";

	if (line->feature == FEATURE_BUNDLE && !uring->no_bufring)
		why = peal__uring_check(CHECK_BUNDLES, uring->setup_flags);
	if (line->feature == FEATURE_INCREMENTAL && !uring->no_bufring)
		why = peal__uring_check(CHECK_PIECES, uring->setup_flags);
	return *why ? why : NULL;
}

static const char *why_off(const struct peal__uring *uring,
			   const struct line *line)
{
	if (uring->disable.features & 1u << line->feature)
		return "disabled by PEAL_DISABLE or options.disable";
	if (uring->peeled & 1u << line->feature)
		return "this kernel refused it";
	if (uring->setup_flags & PEAL__SETUP_SQPOLL &&
	    (line->feature == FEATURE_DEFER || line->feature == FEATURE_COOP))
		return "not with SQPOLL";
	if (line->feature == FEATURE_COOP &&
	    uring->setup_flags & PEAL__SETUP_DEFER_TASKRUN)
		return "defer is better and is on";
	if (line->feature == FEATURE_RING_FD)
		return peal_strerror(uring->ring_fd_error);
	if (why_failed(uring, line))
		return why_failed(uring, line);
	return "this kernel lacks it, or needs what is off above";
}

static void explain_sizes(const struct peal__uring *uring,
			  const struct peal__queues *queues, FILE *out)
{
	fprintf(out, "entries        %u submissions, %u completions",
		queues->sq_entries, queues->cq_entries);
	if (uring->got_entries != uring->asked_entries)
		fprintf(out, " (asked %u and %u; RLIMIT_MEMLOCK is %llu KiB: "
			"raise it)", uring->asked_entries, uring->asked_cq,
			peal__limit(RLIMIT_MEMLOCK) / 1024);
	fprintf(out, "\n");
	if (uring->workers_error)
		fprintf(out, "io-wq workers  not limited (needs Linux 5.15): "
			"%s\n", peal_strerror(uring->workers_error));
	else if (uring->workers[0] || uring->workers[1])
		fprintf(out, "io-wq workers  limited; the limits were %u "
			"bounded, %u unbounded\n", uring->workers[0],
			uring->workers[1]);
}

void peal__uring_explain(struct peal_ring *ring, FILE *out)
{
	const struct peal__uring *uring = ring->engine_state;
	size_t i;

	explain_sizes(uring, &ring->queues, out);
	fprintf(out, "sqpoll         %s\n",
		uring->setup_flags & PEAL__SETUP_SQPOLL ? "on" : "off  option");
	fprintf(out, "iopoll         %s\n",
		uring->setup_flags & PEAL__SETUP_IOPOLL ? "on" : "off  option");
	for (i = 0; i < sizeof lines / sizeof *lines; i++) {
		const struct line *line = &lines[i];
		int on = active(ring, uring, line);

		fprintf(out, "%-14s %s %s (Linux %s)%s%s\n",
			peal__feature_name(line->feature), on ? "on  " : "off ",
			line->what, line->kernel, on ? "" : ": ",
			on ? "" : why_off(uring, line));
	}
}
