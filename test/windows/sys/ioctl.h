/* SPDX-License-Identifier: MIT */
#include "test/windows/posix_programs.h"
