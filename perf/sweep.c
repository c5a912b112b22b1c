/* SPDX-License-Identifier: MIT */
/*
 * The whole matrix of a workload, into a file. All rows that do the same work,
 * on all sides and in all variants, are a group: they are measured in the same
 * rounds, and written when the group is complete. So what the file has is
 * good, whenever the sweep is ended, and --resume measures what it lacks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "perf/bench.h"
#include "perf/commands.h"
#include "perf/env.h"
#include "perf/records.h"

struct sweep {
	struct bench bench;
	const char *path;
	int resume;
	struct records had;	/* what the file had; count 0: nothing */
	int out;		/* the file; what it has is whole groups */
	unsigned groups, group, skipped;
	uint64_t began_ns;
	unsigned rows, na;
};

static struct sweep *sweeping;

static int usage(FILE *out)
{
	fprintf(out, "usage: peal-perf sweep WORKLOAD [OPTION...]\n\n"
		"Measures all values of all axes (or those given), group by "
		"group, into a file\nthat compare and report read. Ctrl-C "
		"keeps what is complete.\n\n"
		"  --out FILE      where to (WORKLOAD.csv)\n"
		"  --resume        measure only what FILE has not got\n"
		"  --seconds S     for each group (2); --rounds N (15)\n\n"
		"WORKLOAD is one of %s; its own options go here, too:\n"
		"peal-perf WORKLOAD --help\n", workload_names());
	return 2;
}

static int complain(const char *text)
{
	fprintf(stderr, "peal-perf sweep: %s\n", text);
	return 2;
}

static void progress(double share)
{
	struct sweep *is = sweeping;
	char what[96];
	double groups = is->groups - is->skipped;

	snprintf(what, sizeof what, "sweep %s, group %u of %u",
		 is->bench.workload->name, is->group + 1, is->groups);
	if (!is->bench.quiet)
		progress_show(what, (is->group - is->skipped +
				     (share > 0 ? share : 0)) /
				    (groups > 0 ? groups : 1), is->began_ns);
}

/* --- the file --------------------------------------------------------------- */

/* The line of names that this sweep would write. */
static char *own_head(const struct workload *workload)
{
	char *text = NULL, *at;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	csv_head(workload, out);
	fclose(out);
	at = strstr(text, "workload,");
	memmove(text, at, strlen(at) + 1);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static const char *load_had(struct sweep *is)
{
	const char *wrong;
	struct stat file;
	char *head;

	if (!is->resume) {
		if (access(is->path, F_OK) == 0)
			return why("%s is there already: --resume goes on with "
				   "it, --out takes another", is->path);
		return NULL;
	}
	if (stat(is->path, &file) < 0 || file.st_size == 0)
		return NULL;
	wrong = records_load(&is->had, is->path);
	if (wrong)
		return wrong;
	head = own_head(is->bench.workload);
	if (strcmp(head, is->had.head) != 0)
		wrong = why("%s has other columns: it is of another workload "
			    "or version", is->path);
	free(head);
	return wrong;
}

/* All of it or, where there is no room, nothing. */
static const char *append(const struct sweep *is, const char *text, size_t len)
{
	off_t began = lseek(is->out, 0, SEEK_END);
	ssize_t done = 0;
	size_t at;
	int error;

	for (at = 0; at < len && done >= 0; at += (size_t)done)
		done = write(is->out, text + at, len - at);
	if (done >= 0 && fsync(is->out) == 0)
		return NULL;
	error = -errno;
	if (ftruncate(is->out, began) < 0)
		return why_errno(is->path, error);
	return why("%s; what it has is whole, and --resume goes on",
		   why_errno(is->path, error));
}

static const char *append_head(const struct sweep *is)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	const char *wrong;

	if (!out)
		abort();
	csv_head(is->bench.workload, out);
	fclose(out);
	wrong = append(is, text, size);
	free(text);
	return wrong;
}

/* Is this line of the file's environment? */
static int had_fact(const struct sweep *is, const char *name,
		    const char *value)
{
	const char *at = is->had.environment;
	char line[1024];
	size_t len = (size_t)snprintf(line, sizeof line, "%s: %s\n",
				      name, value);

	for (; at && *at; at += strcspn(at, "\n"), at += *at != '\0')
		if (strncmp(at, line, len) == 0)
			return 1;
	return 0;
}

/* Rows of two machines or versions do not stand in one file unsaid. */
static const char *append_resumed(const struct sweep *is)
{
	static const char *const same[] = { "revision", "compiler", "liburing",
		"kernel", "kernel_build", "machine", "cpu", "cpus",
		"hypervisor", "mitigations", "mount", "device" };
	char text[4096];
	size_t used = (size_t)snprintf(text, sizeof text, "# resumed: %s\n",
				       env_get("date")), i;

	for (i = 0; i < sizeof same / sizeof *same; i++) {
		const char *now = env_get(same[i]);

		if (!now[0] || had_fact(is, same[i], now) ||
		    used >= sizeof text)
			continue;
		used += (size_t)snprintf(text + used, sizeof text - used,
					 "# resumed %s: %s\n", same[i], now);
		fprintf(stderr, "peal-perf sweep: %s is another than that of "
			"%s: %s\n", same[i], is->path, now);
	}
	return append(is, text, used < sizeof text ? used : sizeof text - 1);
}

/* A line that a killed run left half written is cut off. */
static const char *open_out(struct sweep *is)
{
	off_t end;
	char last;

	is->out = open(is->path, O_RDWR | O_CLOEXEC | O_CREAT |
		       (is->had.columns ? 0 : O_TRUNC), 0666);
	if (is->out < 0)
		return why_errno(is->path, -errno);
	if (!is->had.columns)
		return append_head(is);
	for (end = lseek(is->out, 0, SEEK_END); end > 0; end--)
		if (pread(is->out, &last, 1, end - 1) != 1 || last == '\n')
			break;
	if (ftruncate(is->out, end) < 0)
		return why_errno(is->path, -errno);
	return append_resumed(is);
}

static void row_key(const struct row *row, char *to, size_t size)
{
	size_t used = (size_t)snprintf(to, size, "%s", row->side->name);
	unsigned i;

	for (i = 0; i < row->at.count && used < size; i++)
		used += (size_t)snprintf(to + used, size - used, " %s=%s",
					 row->at.axes[i].name,
					 row_value(row, i));
}

static int all_had(const struct sweep *is)
{
	char key[512];
	unsigned i;

	for (i = 0; i < is->bench.count; i++) {
		row_key(&is->bench.rows[i], key, sizeof key);
		if (records_find(&is->had, key) < 0)
			return 0;
	}
	return 1;
}

/* --- groups ------------------------------------------------------------------ */

static const char *write_group(struct sweep *is)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	const char *wrong;
	unsigned i;

	if (!out)
		abort();
	for (i = 0; i < is->bench.count; i++)
		csv_row(is->bench.workload, &is->bench.rows[i], out);
	fclose(out);
	wrong = append(is, text, size);
	free(text);
	for (i = 0; i < is->bench.count && !wrong; i++) {
		is->rows++;
		is->na += is->bench.rows[i].na[0] != '\0';
	}
	return wrong;
}

/* 0; 130: stopped within the group, which is not written; 1: it could not be
 * written. */
static int one_group(struct sweep *is, unsigned variants)
{
	struct bench *bench = &is->bench;
	const char *wrong = NULL;
	int status = 0;

	bench_rows_between(bench, is->group * variants,
			   (is->group + 1) * variants);
	if (all_had(is))
		is->skipped++;
	else if (measure_group(bench->rows, bench->count, &bench->how) != 0)
		status = 130;
	else
		wrong = write_group(is);
	bench_free(bench);
	if (!wrong)
		return status;
	progress_end();
	complain(wrong);
	return 1;
}

static int run(struct sweep *is)
{
	const struct workload *workload = is->bench.workload;
	const char *wrong = workload->prepare ? workload->prepare() : NULL;
	unsigned variants = matrix_variants(&is->bench.matrix);
	int status = 0;

	if (!wrong)
		wrong = open_out(is);
	if (wrong) {
		complain(wrong);
		return 1;
	}
	sweeping = is;
	is->bench.how.progress = progress;
	is->groups = matrix_size(&is->bench.matrix) / variants;
	is->began_ns = clock_now();
	measure_catch_signals();
	for (; is->group < is->groups && status == 0; is->group++)
		status = one_group(is, variants);
	progress_end();
	if (workload->finish)
		workload->finish();
	close(is->out);
	printf("%s: %u of %u groups are in it; %u rows now, %u of them n/a\n",
	       is->path, is->group - (status != 0), is->groups, is->rows,
	       is->na);
	if (status == 130)
		printf("stopped; --resume goes on\n");
	return status;
}

/* Takes --out and --resume from the words; the workload has the others. */
static int own_options(struct sweep *is, int argc, char **argv)
{
	int i, kept = 0;

	for (i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--resume") == 0)
			is->resume = 1;
		else if (strcmp(argv[i], "--out") == 0 && i + 1 < argc)
			is->path = argv[++i];
		else
			argv[kept++] = argv[i];
	}
	return kept;
}

static int sweep_main(int argc, char **argv)
{
	static struct sweep is;
	static char path[64];
	const struct workload *workload;
	const char *wrong;
	int left;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout), 0;
	if (argc < 2)
		return usage(stderr);
	workload = workload_named(argv[1]);
	if (!workload)
		return complain(why("\"%s\" is no workload: %s", argv[1],
				    workload_names()));
	if (argc == 3 && strcmp(argv[2], "--help") == 0)
		return bench_usage(workload, stdout), 0;
	env_gather(argc, argv);
	snprintf(path, sizeof path, "%s.csv", workload->name);
	is.path = path;
	bench_start(&is.bench, workload, 1);
	is.bench.how.seconds = 2;
	is.bench.how.rounds = 15;
	left = own_options(&is, argc - 2, argv + 2);
	if (bench_parse(&is.bench, left, argv + 2) != 0)
		return 2;
	wrong = is.bench.csv || is.bench.json
			? "there is one file, a CSV: --out FILE"
			: load_had(&is);
	if (wrong)
		return complain(wrong);
	left = run(&is);
	records_free(&is.had);
	return left;
}

const struct command command_sweep = {
	"sweep", "a whole matrix into a file; stops and resumes", sweep_main,
};
