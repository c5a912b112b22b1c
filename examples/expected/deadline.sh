#!/bin/bash
# SPDX-License-Identifier: MIT
"${BUILD:-build}"/examples/deadline 2>/dev/null
