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

void doctor_uring(void);	/* doctor_uring.c: flags, features, ops */
void doctor_disk(const char *directory); /* doctor_disk.c */
void doctor_noise(double seconds);	/* doctor_noise.c: clock, gaps */

#endif
