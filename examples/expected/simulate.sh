#!/bin/bash
# SPDX-License-Identifier: MIT
"${BUILD:-build}"/examples/simulate
"${BUILD:-build}"/examples/simulate forget
