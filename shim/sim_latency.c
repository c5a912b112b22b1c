/* SPDX-License-Identifier: MIT */
/*
 * How long things take in a simulated world: one random number becomes a time
 * of the shape that was asked for. In whole numbers only, since no two math
 * libraries agree on the last bit, and one seed is to be one run everywhere.
 *
 * Q16 is a number times 65536. The shapes with a tail come from its length in
 * bits: of all times one in 2^bits is further out. That many bits times a half
 * life is an exponential time; a table makes a normal number of them, and its
 * power of 2 is log-normal.
 */
#include <string.h>
#include "shim/sim.h"

#define ONE		65536u			/* in Q16 */
#define LONGEST		(100 * 24 * 3600 * PEAL_S)
#define PER_P99		28171u	/* Q16: 1 / 2.3263, the normal 99 % */

/* How many standard deviations out the tail of 1, 1.5, 2, ..., 33 bits begins,
 * in Q16. */
static const uint32_t normal[] = {
	0, 24625, 44203, 60799, 75389, 88523, 100540, 111671, 122076, 131874,
	141156, 149992, 158437, 166537, 174330, 181847, 189113, 196152, 202983,
	209622, 216085, 222384, 228531, 234536, 240408, 246155, 251785, 257304,
	262719, 268035, 273257, 278390, 283438, 288405, 293295, 298111, 302857,
	307535, 312148, 316699, 321190, 325623, 330000, 334324, 338597, 342819,
	346994, 351121, 355204, 359243, 363239, 367195, 371111, 374987, 378827,
	382630, 386397, 390130, 393829, 397495, 401130, 404733, 408306, 411850,
	415364,
};

/* 2 to the power of 1/2, 1/4, 1/8, ..., in 2^31sts. */
static const uint32_t roots[] = {
	3037000500u, 2553802834u, 2341847524u, 2242560872u, 2194507417u,
	2170868212u, 2159144272u, 2153306067u, 2150392887u, 2148937775u,
	2148210589u, 2147847087u, 2147665360u, 2147574502u, 2147529075u,
	2147506361u,
};

/* --- fixed-point --------------------------------------------------------- */

/* ns, at most LONGEST, times factor in Q16, at most 2^27. */
static uint64_t times_q16(uint64_t ns, uint64_t factor)
{
	return (ns >> 16) * factor + ((ns & (ONE - 1)) * factor >> 16);
}

/* The logarithm to the base 2 of a number that is not 0, in Q16. */
static uint32_t log2_q16(uint64_t number)
{
	uint32_t log = 0, bit;
	unsigned whole = 63 - (unsigned)__builtin_clzll(number);
	uint64_t rest = whole > 31 ? number >> (whole - 31)
				   : number << (31 - whole);

	for (bit = ONE / 2; bit; bit /= 2) {
		rest = rest * rest >> 31;
		if (rest >> 32) {
			rest >>= 1;
			log += bit;
		}
	}
	return whole * ONE + log;
}

/* 2 to the power of less than 1, both in Q16. */
static uint64_t root_q16(uint32_t power)
{
	uint64_t root = UINT64_C(1) << 31;
	unsigned i;

	for (i = 0; i < 16; i++)
		if (power & ONE >> (i + 1))
			root = root * roots[i] >> 31;
	return root >> 15;
}

/* ns times 2 to the power of power, in Q16; at most LONGEST. */
static uint64_t doubled(uint64_t ns, uint32_t power)
{
	unsigned whole = power / ONE;
	uint64_t part = times_q16(ns, root_q16(power % ONE));

	return whole > 53 || part > LONGEST >> whole ? LONGEST : part << whole;
}

static uint64_t halved(uint64_t ns, uint32_t power)
{
	uint32_t up = (ONE - power % ONE) % ONE;
	unsigned whole = (power + up) / ONE;

	return whole > 63 ? 0 : times_q16(ns, root_q16(up)) >> whole;
}

/* span times a number between 0 and 1, in 2^32nds. */
static uint64_t part_of(uint64_t span, uint64_t r)
{
	return (span >> 32) * r + ((span & UINT32_MAX) * r >> 32);
}

/* --- shapes -------------------------------------------------------------- */

/* Between 0 and 33 bits, in Q16: above n bits is one in 2^n. */
static uint32_t tail_bits(uint64_t r)
{
	return 33 * ONE - log2_q16(2 * r + 1);
}

/* Of a tail of at least 1 bit. */
static uint32_t deviations(uint32_t bits)
{
	uint32_t at = 2 * (bits - ONE), i = at / ONE;

	if (i >= sizeof(normal) / sizeof(*normal) - 1)
		return normal[i];
	return normal[i] + (uint32_t)((uint64_t)(normal[i + 1] - normal[i]) *
				      (at % ONE) >> 16);
}

/* The upper half of r is longer than the median, and so is the time. */
static uint64_t log_normal(const struct sim_times *times, uint64_t r)
{
	uint32_t out = deviations(tail_bits(r & INT32_MAX));
	uint32_t power = (uint32_t)((uint64_t)times->spread * out >> 16);

	return r >> 31 ? doubled(times->median_ns, power)
		       : halved(times->median_ns, power);
}

/* The cube of a number between 0 and 1: the long ones are rare. */
static uint64_t few_long(const struct sim_times *times, uint64_t r)
{
	uint64_t cube = (r * r >> 32) * r >> 32;

	return times->least_ns +
	       part_of(times->most_ns - times->least_ns, cube);
}

static uint64_t draw(const struct sim_times *times, uint64_t r)
{
	uint64_t least = times->least_ns;

	switch (times->shape) {
	case PEAL_SIM_CONSTANT:
		return least;
	case PEAL_SIM_UNIFORM:
		return least + part_of(times->most_ns - least, r);
	case PEAL_SIM_EXPONENTIAL:
		return least + times_q16(times->median_ns - least,
					 tail_bits(r));
	case PEAL_SIM_LOG_NORMAL:
		return log_normal(times, r);
	case PEAL_SIM_TWO_POINT:
		return (r * PEAL_SIM_MILLION >> 32) < times->slow
			       ? times->most_ns : least;
	default:
		return few_long(times, r);
	}
}

uint64_t peal__sim_latency(const struct peal_sim_node *node,
			   enum peal_sim_part part, uint64_t random)
{
	const struct sim_times *times = &node->times[part];
	uint64_t ns = draw(times, random & UINT32_MAX);

	if (ns < times->least_ns)
		return times->least_ns;
	return ns < times->most_ns ? ns : times->most_ns;
}

/* --- setting them -------------------------------------------------------- */

static void set(struct peal_sim_node *node, enum peal_sim_part part,
		const struct sim_times *times)
{
	node->times[part] = *times;
	if (part == PEAL_SIM_NET)
		node->net_set = 1;
	if (part == PEAL_SIM_DISK)
		node->times[PEAL_SIM_DISK_READ] =
			node->times[PEAL_SIM_DISK_WRITE] =
			node->times[PEAL_SIM_DISK_SYNC] = *times;
}

static void must_be_part(enum peal_sim_part part, const char *function)
{
	MUST((unsigned)part < PEAL_SIM_PARTS, "there is no such part",
	     function);
}

/* A longer time than LONGEST might end before it began. */
static uint64_t no_longer(uint64_t ns)
{
	return ns < LONGEST ? ns : LONGEST;
}

void peal_sim_latency(struct peal_sim_node *node, enum peal_sim_part part,
		      uint64_t least_ns, uint64_t most_ns)
{
	struct sim_times times = { .least_ns = no_longer(least_ns),
				   .most_ns = no_longer(most_ns) };

	must_be_part(part, "sim_latency");
	if (times.most_ns < times.least_ns)
		times.most_ns = times.least_ns;
	set(node, part, &times);
}

void peal__sim_latency_begin(struct peal_sim_node *node)
{
	peal_sim_latency(node, PEAL_SIM_DISK, 20 * PEAL_US, 200 * PEAL_US);
	peal_sim_latency(node, PEAL_SIM_NET, 50 * PEAL_US, 500 * PEAL_US);
	node->net_set = 0;
}

static int is_ordered(const struct peal_sim_times *times, uint64_t most_ns)
{
	switch (times->shape) {
	case PEAL_SIM_CONSTANT:
		return 1;
	case PEAL_SIM_TWO_POINT:
		return times->least_ns <= most_ns &&
		       times->slow_per_million <= PEAL_SIM_MILLION;
	case PEAL_SIM_LOG_NORMAL:
		return times->median_ns && times->least_ns <= most_ns &&
		       times->least_ns <= times->median_ns &&
		       times->median_ns <= most_ns &&
		       times->median_ns <= times->p99_ns &&
		       times->p99_ns <= LONGEST;
	case PEAL_SIM_EXPONENTIAL:
		return times->least_ns <= times->median_ns &&
		       times->median_ns <= most_ns;
	default:
		return times->least_ns <= most_ns;
	}
}

/* Doublings per standard deviation, in Q16. */
static uint32_t spread_of(const struct peal_sim_times *times)
{
	uint64_t doublings = log2_q16(times->p99_ns) -
			     log2_q16(times->median_ns);

	return (uint32_t)(doublings * PER_P99 >> 16);
}

/* 0: no end, where the shape has none of its own. */
static uint64_t most_of(const struct peal_sim_times *times)
{
	if (times->shape == PEAL_SIM_CONSTANT)
		return times->least_ns;
	if (times->most_ns || (times->shape != PEAL_SIM_EXPONENTIAL &&
			       times->shape != PEAL_SIM_LOG_NORMAL))
		return times->most_ns;
	return LONGEST;
}

/* 0, or what is wrong with them: sizes of other versions are read as far as
 * they go. */
static int read_times(struct peal_sim_times *out,
		      const struct peal_sim_times *in)
{
	static const struct peal_sim_times none = PEAL_SIM_TIMES;

	*out = none;
	if (in->size < sizeof in->size || in->size > sizeof *out)
		return -EINVAL;
	memcpy(out, in, in->size);
	if (out->flags || out->shape >= PEAL_SIM_SHAPES ||
	    most_of(out) > LONGEST || !is_ordered(out, most_of(out)))
		return -EINVAL;
	return 0;
}

int peal_sim_latency_as(struct peal_sim_node *node, enum peal_sim_part part,
			const struct peal_sim_times *times)
{
	struct peal_sim_times copy;
	struct sim_times own = { 0 };
	int rc = read_times(&copy, times);

	must_be_part(part, "sim_latency_as");
	if (rc < 0)
		return rc;
	own.shape = (uint8_t)copy.shape;
	own.least_ns = copy.least_ns;
	own.median_ns = copy.median_ns;
	own.most_ns = most_of(&copy);
	own.slow = copy.slow_per_million;
	if (copy.shape == PEAL_SIM_LOG_NORMAL)
		own.spread = spread_of(&copy);
	set(node, part, &own);
	return 0;
}
