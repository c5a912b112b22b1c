/* SPDX-License-Identifier: MIT */
/* Programs: made from a seed, written as text, read back. */
#include <inttypes.h>
#include <string.h>
#include "test/fuzz/fuzz.h"

static const struct verb_row {
	const char *name;
	unsigned weight;	/* how often */
} verbs[VERBS] = {
	[OPEN] = { "open", 10 },
	[CLOSE] = { "close", 2 },
	[CLOSE_DRAINED] = { "close_drained", 2 },
	[READ] = { "read", 10 },
	[READ_FULL] = { "read_full", 8 },
	[WRITE] = { "write", 14 },
	[WRITE_FULL] = { "write_full", 10 },
	[TRUNCATE] = { "truncate", 3 },
	[ALLOCATE] = { "allocate", 2 },
	[PUNCH] = { "punch", 2 },
	[ZERO] = { "zero", 2 },
	[SYNC] = { "sync", 3 },
	[STAT] = { "stat", 4 },
	[RENAME] = { "rename", 3 },
	[UNLINK] = { "unlink", 2 },
	[CONNECT] = { "connect", 8 },
	[SEND] = { "send", 12 },
	[SEND_FULL] = { "send_full", 8 },
	[RECV] = { "recv", 18 },
	[SHUTDOWN] = { "shutdown", 1 },
	[POLL] = { "poll", 4 },
	[HANGUP] = { "hangup", 2 },
	[NOP] = { "nop", 4 },
	[SLEEP] = { "sleep", 4 },
	[DEADLINE] = { "deadline", 8 },
	[CANCEL] = { "cancel", 8 },
	[CANCEL_FD] = { "cancel_fd", 3 },
	[POST] = { "post", 3 },
	[TURN] = { "turn", 16 },
	[SETTLE] = { "settle", 2 },
};

/* splitmix64: every seed is a good one. */
uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint32_t below(uint64_t *state, uint32_t limit)
{
	return (uint32_t)(random_next(state) % limit);
}

static uint8_t some_verb(uint64_t *state)
{
	unsigned sum = 0, pick, verb;

	for (verb = 0; verb < VERBS; verb++)
		sum += verbs[verb].weight;
	pick = below(state, sum);
	for (verb = 0; pick >= verbs[verb].weight; verb++)
		pick -= verbs[verb].weight;
	return (uint8_t)verb;
}

/* Small more often than large; edges of sectors and pages now and then. */
static uint32_t some_size(uint64_t *state, uint32_t most)
{
	static const uint32_t edges[] = { 0, 1, 511, 512, 513, 4095, 4096,
					  4097, 65536 };
	uint32_t size;

	switch (below(state, 4)) {
	case 0:
		size = edges[below(state, sizeof edges / sizeof *edges)];
		break;
	case 1:
		size = below(state, most);
		break;
	default:
		size = below(state, 3000);
	}
	return size < most ? size : most;
}

static uint32_t some_len(uint64_t *state, unsigned verb)
{
	if (verb == SLEEP || verb == DEADLINE)
		return below(state, 2) ? below(state, 300000)
				       : below(state, 3000000);
	if (verb >= CONNECT && verb < STREAM_VERBS)
		return 1 + some_size(state, OP_MOST - 1);
	return some_size(state, FILE_MOST / 2);
}

void program_make(struct program *program, uint64_t seed)
{
	uint64_t state = seed;
	unsigned i;

	program->seed = seed;
	program->count = 10 + below(&state, MOST_STEPS - 10);
	for (i = 0; i < program->count; i++) {
		struct step *step = &program->steps[i];

		step->verb = some_verb(&state);
		step->object = (uint8_t)below(&state, step->verb < FILE_VERBS
						? FILES
						: step->verb < STREAM_VERBS
						? STREAMS : SLOTS);
		step->other = (uint8_t)below(&state, step->verb < FILE_VERBS
						     ? FILES : 2);
		step->inside = below(&state, 4) == 0;
		step->off = some_size(&state, FILE_MOST / 2);
		step->len = some_len(&state, step->verb);
	}
}

void step_print(const struct step *step, FILE *out)
{
	fprintf(out, "%s %u %u %" PRIu32 " %" PRIu32 "%s",
		verbs[step->verb].name, step->object, step->other, step->off,
		step->len, step->inside ? " inside" : "");
}

void program_print(const struct program *program, FILE *out)
{
	unsigned i;

	fprintf(out, "# seed %" PRIu64 "; verb, object, other, offset, length\n",
		program->seed);
	for (i = 0; i < program->count; i++) {
		step_print(&program->steps[i], out);
		putc('\n', out);
	}
}

static int verb_of(const char *name)
{
	int verb;

	for (verb = 0; verb < VERBS; verb++)
		if (!strcmp(verbs[verb].name, name))
			return verb;
	return -1;
}

/* 0, or the number of the line that is none. */
static int step_read(struct step *step, const char *line)
{
	char name[32], inside[16] = "";
	unsigned object, other;
	int verb;

	if (sscanf(line, "%31s %u %u %" SCNu32 " %" SCNu32 " %15s", name,
		   &object, &other, &step->off, &step->len, inside) < 5)
		return -1;
	verb = verb_of(name);
	if (verb < 0 || object >= SLOTS || other >= FILES ||
	    step->len > OP_MOST * 16 || step->off > FILE_MOST)
		return -1;
	if (verb < FILE_VERBS && (object >= FILES || step->len > FILE_MOST))
		return -1;
	if (verb >= FILE_VERBS && verb < STREAM_VERBS &&
	    (object >= STREAMS || other > 1 || step->len > OP_MOST))
		return -1;
	step->verb = (uint8_t)verb;
	step->object = (uint8_t)object;
	step->other = (uint8_t)other;
	step->inside = !strcmp(inside, "inside");
	return 0;
}

int program_read(struct program *program, FILE *in)
{
	char line[160];
	int number = 0;

	program->count = 0;
	program->seed = 0;
	while (fgets(line, sizeof line, in)) {
		number++;
		if (sscanf(line, "# seed %" SCNu64, &program->seed) == 1 ||
		    line[0] == '#' || line[0] == '\n')
			continue;
		if (program->count == MOST_STEPS ||
		    step_read(&program->steps[program->count], line) < 0)
			return number;
		program->count++;
	}
	return 0;
}
