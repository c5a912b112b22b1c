#!/bin/bash
# SPDX-License-Identifier: MIT
"${BUILD:-build}"/examples/groups 3 2>/dev/null
"${BUILD:-build}"/examples/groups 16 2>/dev/null
