#!/bin/bash
# SPDX-License-Identifier: MIT
"${BUILD:-build}"/examples/hello 2>/dev/null
