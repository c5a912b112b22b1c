/* SPDX-License-Identifier: MIT */
/* The sides of the file workload, and what file.c and file_job.c share. */
#ifndef PEAL_PERF_FILE_SIDES_H
#define PEAL_PERF_FILE_SIDES_H

#include "perf/side.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct side file_bare, file_peal, file_aio, file_threads,
	file_fio;
#if PERF_HAVE_LIBUV
extern const struct side file_uv;
#endif
#if PERF_HAVE_ASIO
extern const struct side file_asio;
#endif

extern const char *file_directory, *file_size, *file_verify;
const char *file_prepare(void);
void file_finish(void);

#ifdef __cplusplus
}
#endif
#endif
