/* SPDX-License-Identifier: MIT */
/* Sentences for errors: each that a header names has its own. */
#include <ctype.h>
#include <glob.h>

#include "test/scripted.h"

/* The number behind a name; 0: there is none. */
static int number_of(const char *name)
{
	int number;

	for (number = 1; number < 200; number++) {
		const char *other = strerrorname_np(number);

		if (other && !strcmp(other, name))
			return number;
	}
	if (!strcmp(name, "EOPNOTSUPP"))
		return EOPNOTSUPP;
	return 0;
}

static int is_known(int number)
{
	return !strstr(peal_strerror(-number), "no sentence");
}

/* Each -ENAME in one line of a header. */
static unsigned check_line(const char *line, const char *header)
{
	const char *at = line;
	unsigned count = 0;

	while ((at = strstr(at, "-E")) != NULL) {
		char name[32];
		size_t len = 1;
		int number;

		at++;
		while (isupper((unsigned char)at[len]) ||
		       isdigit((unsigned char)at[len]))
			len++;
		if (len < 3 || len >= sizeof(name))
			continue;
		memcpy(name, at, len);
		name[len] = '\0';
		number = number_of(name);
		ck_assert_msg(number, "%s names %s, which is no error",
			      header, name);
		ck_assert_msg(is_known(number), "%s names %s, which has no "
			      "sentence", header, name);
		ck_assert_msg(strstr(peal_strerror(-number), name),
			      "the sentence of %s does not name it: %s", name,
			      peal_strerror(-number));
		count++;
	}
	return count;
}

static unsigned check_header(const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned count = 0;
	char line[512];

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		count += check_line(line, path);
	fclose(file);
	return count;
}

BARE_TEST(every_error_that_a_header_names_has_a_sentence)
{
	unsigned count = 0;
	glob_t found;
	size_t at;

	if (glob("include/peal/*.h", 0, NULL, &found) != 0)
		SKIP("no include/peal here: run it from the top of the tree");
	for (at = 0; at < found.gl_pathc; at++)
		count += check_header(found.gl_pathv[at]);
	count += check_header("include/peal.h");
	globfree(&found);
	ck_assert_uint_gt(count, 80);
}

BARE_TEST(every_error_the_library_invents_has_a_sentence)
{
	static const int invented[] = { EAGAIN, EINVAL, EBADF, EOPNOTSUPP,
					ESHUTDOWN, EDEADLK, ENOENT, ECANCELED,
					ETIMEDOUT, EIO, ENOMEM, ENOSYS,
					EALREADY, EINTR, EPERM };
	size_t at;

	for (at = 0; at < sizeof(invented) / sizeof(*invented); at++)
		ck_assert_msg(is_known(invented[at]), "%s",
			      strerrorname_np(invented[at]));
}

BARE_TEST(sentences_differ)
{
	int a, b;

	for (a = 1; a < 140; a++) {
		if (!is_known(a))
			continue;
		for (b = a + 1; b < 140; b++)
			if (is_known(b))
				ck_assert_str_ne(peal_strerror(-a),
						 peal_strerror(-b));
	}
}

BARE_TEST(sentence_names_the_error_of_its_number)
{
	int number;

	for (number = 1; number < 140; number++) {
		const char *name = strerrorname_np(number);

		if (!name || !is_known(number) || number == EOPNOTSUPP)
			continue;
		ck_assert_msg(strstr(peal_strerror(-number), name),
			      "%s: %s", name, peal_strerror(-number));
	}
}

BARE_TEST(success_is_no_error)
{
	ck_assert_str_eq(peal_strerror(0), "success");
	ck_assert_str_eq(peal_strerror(17), "success");
	ck_assert_str_eq(peal_strerror(INT64_MAX), "success");
}

BARE_TEST(any_number_is_answered)
{
	static const int64_t odd[] = { -1000, -4096, INT32_MIN, INT64_MIN,
				       INT64_MIN + 1, -(INT64_C(1) << 32) - 2 };
	size_t at;

	for (at = 0; at < sizeof(odd) / sizeof(*odd); at++)
		ck_assert_ptr_nonnull(strstr(peal_strerror(odd[at]),
					     "no sentence"));
}

SUITE("errors")
