#!/bin/bash
# SPDX-License-Identifier: MIT
#
# peal-nbd against a client that speaks the protocol byte by byte, correctly
# and otherwise: test/nbd/raw.c.
set -u
build=${BUILD:-build}
here=$(dirname "$0")
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

mkdir -p "$build/test"
if ! ${CC:-cc} -std=c11 -D_GNU_SOURCE -O2 -g -Wall -Wextra \
	-o "$build/test/nbd_raw" "$here/nbd/raw.c"; then
	echo "not ok nbd_raw_builds: the compiler failed"
	exit 1
fi
"$build/test/nbd_raw" "$(realpath "$build/bin/peal-nbd")" "$dir" "$@"
