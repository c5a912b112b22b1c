#!/bin/bash
# SPDX-License-Identifier: MIT
"${BUILD:-build}"/examples/cancel 2>/dev/null
