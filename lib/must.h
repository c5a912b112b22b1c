/* SPDX-License-Identifier: MIT */
/* Contracts of the API and of our own state changes: on in release builds. */
#ifndef PEAL_LIB_MUST_H
#define PEAL_LIB_MUST_H

#define peal__likely(x)   __builtin_expect(!!(x), 1)
#define peal__unlikely(x) __builtin_expect(!!(x), 0)
#define peal__inline static inline __attribute__((always_inline))

/* The C library says which style of format its printf() has, where the
 * compiler knows more than one. */
#ifdef __MINGW_PRINTF_FORMAT
#define peal__format(at, from) \
	__attribute__((format(__MINGW_PRINTF_FORMAT, at, from)))
#else
#define peal__format(at, from) __attribute__((format(printf, at, from)))
#endif

_Noreturn void peal__must_fail(const char *file, int line, const char *cond,
			       const char *why, const char *op);

/* op is the name of the operation or call, for the message. */
#define MUST(cond, why, op)                                                   \
	do {                                                                  \
		if (peal__unlikely(!(cond)))                                  \
			peal__must_fail(__FILE__, __LINE__, #cond, why, op);  \
	} while (0)

#endif
