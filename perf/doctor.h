/* SPDX-License-Identifier: MIT */
/* What the parts of doctor share: a line per thing looked at. */
#ifndef PEAL_PERF_DOCTOR_H
#define PEAL_PERF_DOCTOR_H

/* A heading. */
void doctor_part(const char *name);
/* A fact; printf. */
void doctor_good(const char *name, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* What is wrong, and what to do about it; counted. */
void doctor_bad(const char *name, const char *remedy, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A name with a list of words, broken into lines. */
void doctor_words_begin(const char *name);
void doctor_word(const char *text);
void doctor_words_end(void);	/* "none" if there was none */

void doctor_uring(void);	/* doctor_uring.c: features, ops */
/* io_uring_queue_init_params(), in spite of little memory to lock. */
struct io_uring;
struct io_uring_params;
int doctor_ring(struct io_uring *ring, struct io_uring_params *params);
void doctor_flags(void);	/* doctor_flags.c: flags, registrations */
void doctor_disk(const char *directory); /* doctor_disk.c */
void doctor_noise(double seconds);	/* doctor_noise.c: clock, gaps */

#endif
