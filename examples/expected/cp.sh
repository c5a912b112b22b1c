#!/bin/bash
# SPDX-License-Identifier: MIT
cp=$(realpath "${BUILD:-build}")/examples/cp
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
umask 022

# Runs cp; prints its status, and its message without the engine.
copy()
{
	local status

	"$cp" "$@" 2> err
	status=$?
	echo "status $status"
	sed '/^cp: engine /d; s/one file: .*/one file/' err
	return $status
}

copy_from_a_pipe()
{
	head -c 1000000 large | copy /dev/stdin copy2
}

# What Windows has no counterpart of.
posix()
{
	[ -n "${WINDOWS-}" ] || "$@"
}

: > empty
head -c 1 /dev/urandom > one
head -c 20000001 /dev/urandom > large
head -c 30000000 /dev/urandom > exists
chmod 640 large

for file in empty one large; do
	copy $file copy && cmp $file copy && echo "$file: the same"
	rm copy
done
copy large copy; posix stat -c 'mode %a' copy
copy large exists; cmp large exists && echo "destination exists: the same"
copy large large; echo "$(stat -c %s large) bytes"
copy . copy2; [ -e copy2 ] || echo "no destination made"
copy missing copy2; [ -e copy2 ] || echo "no destination made"
copy large .
copy one /dev/full
posix copy_from_a_pipe

# A write that is cut short, then refused: the limit is 100 KiB.
head -c 200000 large > middle
copy_cut_short()
{
	(trap '' XFSZ; ulimit -f 100; copy middle short)
	stat -c '%s bytes' short
}
posix copy_cut_short
