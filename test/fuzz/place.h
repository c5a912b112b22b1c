/* SPDX-License-Identifier: MIT */
/* A directory for each program's files. */
#ifndef PEAL_TEST_FUZZ_PLACE_H
#define PEAL_TEST_FUZZ_PLACE_H

const char *place_new(void);
void place_remove(const char *directory);

#endif
