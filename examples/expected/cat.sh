#!/bin/bash
# SPDX-License-Identifier: MIT
cat="${BUILD:-build}"/examples/cat
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

# What Windows has no counterpart of: /dev/stdin is a name of POSIX.
posix()
{
	[ -n "${WINDOWS-}" ] || "$@"
}

from_a_pipe()
{
	printf 'through a pipe\n' | $cat; echo "status $?"
}

from_file_to_file()
{
	$cat < "$dir/large" > "$dir/copy" && cmp "$dir/copy" "$dir/large" &&
		echo "from file to file, the same"
}

printf 'one\n' > "$dir/one"
: > "$dir/empty"
printf 'two\n' > "$dir/two"
head -c 3000000 /dev/urandom > "$dir/large"

$cat "$dir/one" "$dir/empty" "$dir/two"; echo "status $?"
posix from_a_pipe
$cat "$dir/large" | cmp - "$dir/large" && echo "3000000 bytes, the same"
posix from_file_to_file
$cat "$dir/one" "$dir/missing" "$dir" "$dir/two" 2> "$dir/err"
echo "status $?, complaints $(grep -c "^cat: $dir" "$dir/err")"
$cat -v "$dir/one" 2> "$dir/err"
echo "engine lines $(grep -c '^cat: engine ' "$dir/err")"
$cat "$dir/one" > /dev/full 2> "$dir/err"
echo "to a full device: status $?, complaints $(grep -c ENOSPC "$dir/err")"
$cat "$dir/large" 2> /dev/null | head -c 3 > "$dir/copy"
echo "nobody to write to: status ${PIPESTATUS[0]}"
