#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Each teaching program does what it says: examples/expected/NAME.sh runs it,
# examples/expected/NAME.txt is what it prints.
# shellcheck source-path=SCRIPTDIR source=harness.sh
. "$(dirname "$0")/harness.sh"

found=0
for source in examples/*.c; do
	[ -f "$source" ] || continue
	name=$(basename "$source" .c)
	expected=examples/expected/$name
	found=$((found + 1))
	if [ ! -x "$BUILD/examples/$name" ]; then
		not_ok "example_$name" "$BUILD/examples/$name is not built"
	elif [ ! -f "$expected.sh" ] || [ ! -f "$expected.txt" ]; then
		not_ok "example_$name" "no $expected.sh and .txt"
	else
		timeout -k 5 60 bash "$expected.sh" > "$work/out" \
			2> "$work/err" < /dev/null
		if diff "$expected.txt" "$work/out" > "$work/diff"; then
			ok "example_$name"
		else
			not_ok "example_$name" "prints something else:"
			cat "$work/diff" "$work/err"
		fi
	fi
	lines=$(wc -l < "$source")
	if [ "$lines" -gt 150 ]; then
		not_ok "example_${name}_is_short" "$lines lines"
	fi
done
[ "$found" -gt 0 ] || not_ok examples_exist "none in examples/"
