/* SPDX-License-Identifier: MIT */
#include_next <unistd.h>
#include "test/windows/posix.h"
