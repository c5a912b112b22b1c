/* SPDX-License-Identifier: MIT */
/*
 * The arena and its two heaps. What a heap gives is filled with a pattern of
 * its own and looked at before it is given back: allocations that overlap
 * would spoil one another.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "lib/arena.h"
#include "test/proof.h"

#define PAGE 4096u

static struct peal_arena *arena;

static struct peal_arena *made(uint64_t bytes, uint32_t flags)
{
	struct peal_arena_options options = PEAL_ARENA_OPTIONS;
	struct peal_arena *one = NULL;

	options.bytes = bytes;
	options.flags = flags;
	options.allocator = harness_options().allocator;
	ck_assert_msg(peal_arena_open(&one, &options) == 0, "%s",
		      peal_memory_reason());
	return one;
}

static struct peal_arena_stats stats_of(struct peal_arena *of)
{
	struct peal_arena_stats stats = { .size = sizeof(stats) };

	peal_arena_stats(of, &stats);
	return stats;
}

static int inside(const void *memory, size_t size)
{
	uint64_t at = (uint64_t)((uintptr_t)memory -
				 (uintptr_t)arena->region.base);

	return at < arena->region.bytes && size <= arena->region.bytes - at;
}

/* Every test of a heap runs on both: flags are 0 or PEAL_ARENA_SLABS. */
static void close_it(void)
{
	ck_assert_int_eq(peal_arena_close(arena), 0);
}

#define ON_BOTH(body)							\
	do {								\
		body(0);						\
		close_it();						\
		body(PEAL_ARENA_SLABS);					\
		close_it();						\
	} while (0)

/* --- options ------------------------------------------------------------- */

static int answer(uint32_t size, uint64_t bytes, uint32_t flags)
{
	struct peal_arena_options options = PEAL_ARENA_OPTIONS;

	options.size = size;
	options.bytes = bytes;
	options.flags = flags;
	return peal_arena_open(&arena, &options);
}

static void says(const char *word)
{
	ck_assert_msg(strstr(peal_memory_reason(), word),
		      "\"%s\" lacks \"%s\"", peal_memory_reason(), word);
}

BARE_TEST(options_that_make_no_sense_are_refused_with_a_reason)
{
	const uint32_t size = sizeof(struct peal_arena_options);

	ck_assert_int_eq(peal_arena_open(&arena, NULL), -EINVAL);
	says("PEAL_ARENA_OPTIONS");
	ck_assert_int_eq(answer(size + 1, PAGE, 0), -EINVAL);
	says("options.size");
	ck_assert_int_eq(answer(3, PAGE, 0), -EINVAL);
	ck_assert_int_eq(answer(size, 0, 0), -EINVAL);
	says("options.bytes");
	ck_assert_int_eq(answer(size, PAGE, 1u << 31), -EINVAL);
	says("options.flags");
	ck_assert_ptr_null(arena);
}

BARE_TEST(half_an_allocator_is_refused)
{
	struct peal_arena_options options = PEAL_ARENA_OPTIONS;

	options.bytes = PAGE;
	options.allocator = harness_options().allocator;
	options.allocator.free = NULL;
	ck_assert_int_eq(peal_arena_open(&arena, &options), -EINVAL);
	says("options.allocator");
}

BARE_TEST(more_than_the_system_has_is_enomem_with_the_number)
{
	ck_assert_int_eq(answer(sizeof(struct peal_arena_options),
				UINT64_C(1) << 50, 0), -ENOMEM);
	says("1099511627776 KiB");
	ck_assert_int_eq(answer(sizeof(struct peal_arena_options),
				UINT64_MAX, 0), -ENOMEM);
}

BARE_TEST(each_allocation_of_open_that_fails_is_enomem_and_leaks_nothing)
{
	struct peal_arena_options options = PEAL_ARENA_OPTIONS;
	unsigned long at;
	int rc = -ENOMEM;

	options.bytes = 64 * PAGE;
	options.flags = PEAL_ARENA_SLABS;
	options.allocator = harness_options().allocator;
	for (at = 1; rc < 0; at++) {
		alloc_fail_at = alloc_calls + at;
		rc = peal_arena_open(&arena, &options);
		if (rc < 0) {
			ck_assert_int_eq(rc, -ENOMEM);
			says("memory limit");
			ck_assert_uint_eq(alloc_outstanding(), 0);
		}
	}
	alloc_fail_at = 0;
	ck_assert_uint_ge(at, 4);
	close_it();
	ck_assert_uint_eq(alloc_outstanding(), 0);
}

/* --- the region ---------------------------------------------------------- */

BARE_TEST(region_is_rounded_up_to_whole_pages)
{
	arena = made(1, 0);
	ck_assert_uint_eq(stats_of(arena).bytes, (uint64_t)getpagesize());
	close_it();
	arena = made((2 << 20) + 1, PEAL_ARENA_SMALL_PAGES);
	ck_assert_uint_eq(stats_of(arena).bytes,
			  (2u << 20) + (uint64_t)getpagesize());
	close_it();
}

static int system_has_transparent_pages(void)
{
	char text[64] = "";
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");

	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return !strstr(text, "[never]") && text[0];
}

BARE_TEST(touched_region_is_on_huge_pages_where_the_system_has_them)
{
	if (!system_has_transparent_pages())
		SKIP("this system has no transparent huge pages");
	arena = made(8 << 20, 0);
	ck_assert_uint_eq((uintptr_t)stats_of(arena).base % (2 << 20), 0);
	ck_assert_uint_eq(stats_of(arena).huge, 0);
	memset(arena->region.base, 1, arena->region.bytes);
	ck_assert_uint_gt(stats_of(arena).huge, 0);
	ck_assert_uint_le(stats_of(arena).huge, 8 << 20);
	close_it();
}

BARE_TEST(small_pages_are_small)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	arena = made(8 << 20, PEAL_ARENA_SMALL_PAGES);
	out = open_memstream(&text, &len);
	peal_arena_explain(arena, out);
	fclose(out);
	ck_assert_ptr_nonnull(strstr(text, "8192 KiB on small pages"));
	free(text);
	close_it();
}

BARE_TEST(statistics_write_no_more_than_their_size)
{
	struct peal_arena_stats stats;

	arena = made(PAGE, 0);
	memset(&stats, 0x55, sizeof(stats));
	stats.size = offsetof(struct peal_arena_stats, used);
	peal_arena_stats(arena, &stats);
	ck_assert_uint_eq(stats.rings, 0);
	ck_assert_uint_eq(stats.used, UINT64_C(0x5555555555555555));
	close_it();
}

/* --- heaps --------------------------------------------------------------- */

static void one_of_each_size(uint32_t flags)
{
	static const size_t sizes[] = { 1, 63, 64, 65, 128, 129, 512, 2048,
					2049, 4096, 4097, 65536, 100000 };
	char *got[sizeof(sizes) / sizeof(*sizes)];
	unsigned i;

	arena = made(4 << 20, flags);
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		got[i] = peal_arena_alloc(arena, sizes[i], 0);
		ck_assert_ptr_nonnull(got[i]);
		ck_assert(inside(got[i], sizes[i]));
		ck_assert_uint_eq((uintptr_t)got[i] % 64, 0);
		fill_pattern(got[i], sizes[i], i);
	}
	ck_assert_uint_eq(stats_of(arena).allocations, i);
	ck_assert_uint_ge(stats_of(arena).used, 175000);
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		ck_assert(has_pattern(got[i], sizes[i], i));
		peal_arena_free(arena, got[i]);
	}
	ck_assert_uint_eq(stats_of(arena).allocations, 0);
	ck_assert_uint_eq(stats_of(arena).used, 0);
}

BARE_TEST(sizes_are_given_inside_of_the_region_and_do_not_overlap)
{
	ON_BOTH(one_of_each_size);
}

static void one_of_each_alignment(uint32_t flags)
{
	size_t align;

	arena = made(4 << 20, flags);
	for (align = 1; align <= 1 << 20; align *= 2) {
		char *got = peal_arena_alloc(arena, 100, align);

		ck_assert_ptr_nonnull(got);
		ck_assert(inside(got, 100));
		ck_assert_uint_eq((uintptr_t)got % align, 0);
		peal_arena_free(arena, got);
	}
	ck_assert_ptr_null(peal_arena_alloc(arena, 100, 3));
	ck_assert_ptr_null(peal_arena_alloc(arena, 100, 4097));
	ck_assert_ptr_null(peal_arena_alloc(arena, 100, 8 << 20));
}

BARE_TEST(alignment_is_what_was_asked_for)
{
	ON_BOTH(one_of_each_alignment);
}

static void all_of_it(uint32_t flags)
{
	static char *got[1024];
	char *one;
	unsigned count = 0;

	arena = made(1024 * PAGE, flags);
	while ((one = peal_arena_alloc(arena, PAGE, PAGE)) != NULL) {
		ck_assert_uint_lt(count, 1024);
		got[count++] = one;
	}
	ck_assert_uint_eq(count, 1024);
	ck_assert_uint_eq(stats_of(arena).failures, 1);
	while (count)
		peal_arena_free(arena, got[--count]);
	one = peal_arena_alloc(arena, 512 * PAGE, PAGE);
	ck_assert_ptr_nonnull(one);
	peal_arena_free(arena, one);
}

BARE_TEST(every_page_can_be_had_and_had_again)
{
	ON_BOTH(all_of_it);
}

static void too_much(uint32_t flags)
{
	arena = made(64 * PAGE, flags);
	ck_assert_ptr_null(peal_arena_alloc(arena, 64 * PAGE + 1, 0));
	ck_assert_ptr_null(peal_arena_alloc(arena, SIZE_MAX, 0));
	peal_arena_free(arena, NULL);
	ck_assert_uint_eq(stats_of(arena).allocations, 0);
}

BARE_TEST(more_than_there_is_is_null)
{
	ON_BOTH(too_much);
}

#define LIVE 300

/* Random sizes and lives; the slabs must join all of it again. */
static void random_mix(uint32_t flags)
{
	static struct { unsigned char *memory; size_t size; uint64_t tag; }
		live[LIVE];
	uint64_t state = 42, steps;

	memset(live, 0, sizeof(live));
	arena = made(4 << 20, flags);
	for (steps = 0; steps < SCALED(40000); steps++) {
		unsigned at = proof_random(&state) % LIVE;
		size_t size = 1 + proof_random(&state) %
				  (proof_random(&state) % 8 ? 3000 : 90000);

		if (live[at].memory) {
			ck_assert(has_pattern(live[at].memory, live[at].size,
					      live[at].tag));
			peal_arena_free(arena, live[at].memory);
			live[at].memory = NULL;
			continue;
		}
		live[at].memory = peal_arena_alloc(
			arena, size, 64u << proof_random(&state) % 8);
		live[at].size = size;
		live[at].tag = steps;
		if (!live[at].memory)
			continue;
		ck_assert(inside(live[at].memory, size));
		fill_pattern(live[at].memory, size, steps);
	}
	for (steps = 0; steps < LIVE; steps++)
		peal_arena_free(arena, live[steps].memory);
	ck_assert_uint_eq(stats_of(arena).used, 0);
}

BARE_TEST(random_allocations_keep_what_was_written_into_them)
{
	ON_BOTH(random_mix);
}

BARE_TEST(slabs_join_what_is_given_back_to_one_run)
{
	char *got[64];
	unsigned order[64], i;
	uint64_t state = 7;

	arena = made(64 * PAGE, PEAL_ARENA_SLABS);
	for (i = 0; i < 64; i++) {
		got[i] = peal_arena_alloc(arena, i % 3 ? PAGE : 100, 0);
		order[i] = i;
	}
	for (i = 63; i > 0; i--) {
		unsigned other = proof_random(&state) % (i + 1);
		unsigned keep = order[i];

		order[i] = order[other];
		order[other] = keep;
	}
	for (i = 0; i < 64; i++)
		peal_arena_free(arena, got[order[i]]);
	ck_assert_ptr_nonnull(peal_arena_alloc(arena, 64 * PAGE, 0));
	close_it();
}

/* --- misuse -------------------------------------------------------------- */

static void twice_small(void *unused)
{
	void *memory = peal_arena_alloc(arena, 64, 0);

	(void)unused;
	peal_arena_alloc(arena, 64, 0);
	peal_arena_free(arena, memory);
	peal_arena_free(arena, memory);
}

static void twice_large(void *unused)
{
	void *memory = peal_arena_alloc(arena, 3 * PAGE, 0);

	(void)unused;
	peal_arena_free(arena, memory);
	peal_arena_free(arena, memory);
}

static void middle(void *unused)
{
	(void)unused;
	peal_arena_free(arena, (char *)peal_arena_alloc(arena, 3 * PAGE, 0) +
				       PAGE);
}

static void foreign(void *memory)
{
	peal_arena_free(arena, memory);
}

static void stops(void (*body)(void *arg), void *arg, const char *why)
{
	char text[512];
	int status = in_child(body, arg, text, sizeof(text));

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
		      "status %#x: %s", status, text);
	ck_assert_msg(strstr(text, why), "%s", text);
}

/* The child has no region, but neither heap looks there. */
BARE_TEST(memory_given_back_twice_or_wrongly_stops_the_program)
{
	char other;

	arena = made(64 * PAGE, PEAL_ARENA_SLABS);
	stops(twice_small, NULL, "given back already");
	stops(twice_large, NULL, "given back already");
	stops(middle, NULL, "not allocated");
	stops(foreign, &other, "not this arena's");
	close_it();
}

/* --- threads ------------------------------------------------------------- */

static void *hammer(void *seed)
{
	uint64_t state = (uint64_t)(uintptr_t)seed;
	unsigned char *live[16] = { 0 };
	uintptr_t wrong = 0;
	unsigned i;

	for (i = 0; i < SCALED(20000); i++) {
		unsigned at = proof_random(&state) % 16;
		size_t size = 1 + proof_random(&state) % 5000;

		if (live[at]) {
			wrong += live[at][0] != (unsigned char)(uintptr_t)seed;
			peal_arena_free(arena, live[at]);
			live[at] = NULL;
		} else if ((live[at] = peal_arena_alloc(arena, size, 0))) {
			memset(live[at], (int)(uintptr_t)seed, size);
		}
	}
	for (i = 0; i < 16; i++)
		peal_arena_free(arena, live[i]);
	return (void *)wrong;
}

static void many_threads(uint32_t flags)
{
	pthread_t threads[4];
	uintptr_t i;

	arena = made(4 << 20, flags);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer,
						(void *)(i + 1)), 0);
	for (i = 0; i < 4; i++) {
		void *wrong;

		pthread_join(threads[i], &wrong);
		ck_assert_ptr_null(wrong);
	}
	ck_assert_uint_eq(stats_of(arena).allocations, 0);
}

BARE_TEST(threads_share_an_arena)
{
	ON_BOTH(many_threads);
}

/* --- which heap ---------------------------------------------------------- */

int mallctl(const char *name, void *old, size_t *old_len, void *to,
	    size_t to_len) __attribute__((weak));

BARE_TEST(jemalloc_is_taken_where_the_program_has_it)
{
	arena = made(4 << 20, 0);
	ck_assert_str_eq(stats_of(arena).allocator,
			 mallctl ? "jemalloc" : "slabs");
	if (!mallctl)
		ck_assert_ptr_nonnull(strstr(arena->heap_why, "not linked"));
	close_it();
	arena = made(4 << 20, PEAL_ARENA_SLABS);
	ck_assert_str_eq(stats_of(arena).allocator, "slabs");
	close_it();
}

BARE_TEST(small_arena_has_slabs_and_says_why)
{
	arena = made(1 << 20, 0);
	ck_assert_str_eq(stats_of(arena).allocator, "slabs");
	ck_assert_ptr_nonnull(strstr(arena->heap_why,
				     mallctl ? "2 MiB" : "not linked"));
	close_it();
}

/* What the kernel has locked must stay where it is. */
BARE_TEST(jemalloc_does_not_give_pages_back_to_the_system)
{
	unsigned char *memory;
	const size_t size = 1 << 20;

	if (!mallctl)
		SKIP("no jemalloc in this build");
	arena = made(4 << 20, 0);
	memory = peal_arena_alloc(arena, size, PAGE);
	memset(memory, 0x77, size);
	peal_arena_free(arena, memory);
	mallctl("arena.4096.purge", NULL, NULL, NULL, 0);	/* all */
	ck_assert_int_eq(memory[0], 0x77);
	ck_assert_int_eq(memory[size - 1], 0x77);
	close_it();
}

SUITE("arena")
