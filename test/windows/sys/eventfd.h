/* SPDX-License-Identifier: MIT */
#include "test/windows/posix.h"
