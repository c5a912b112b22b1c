/* SPDX-License-Identifier: MIT */
/* Windows' errors as Linux errnos. */
#ifndef PEAL_SHIM_WINERR_H
#define PEAL_SHIM_WINERR_H

#include <stdint.h>

/* The errno of a Win32, Winsock or NTSTATUS code; 0: the table lacks it. */
int peal__winerr_find(uint32_t code);

#endif
