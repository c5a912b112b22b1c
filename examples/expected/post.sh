#!/bin/bash
# SPDX-License-Identifier: MIT
"${BUILD:-build}"/examples/post 2>/dev/null
