#!/bin/bash
# SPDX-License-Identifier: MIT
#
# peal-fuzz: some hundred random programs, the short ones that failed once, and
# a model that lies: that must be found, and made short.
# shellcheck source-path=SCRIPTDIR source=harness.sh
. "$(dirname "$0")/harness.sh"

fuzz=$BUILD/bin/peal-fuzz
programs=400
[ -n "${SAN-}" ] && programs=60

if "$fuzz" --seed 1 --programs $programs > "$work/out" 2>&1; then
	ok random_programs
else
	not_ok random_programs "$(cat "$work/out")"
fi

for program in test/fuzz/corpus/*; do
	name=$(basename "$program")
	if "$fuzz" --replay "$program" > "$work/out" 2>&1; then
		ok "program_$name"
	else
		not_ok "program_$name" "$(cat "$work/out")"
	fi
done

# The model lies at the first comparison of a program. On a simulated machine:
# elsewhere it depends on the moment which bytes have come when a shorter
# program ends, so whether there is a comparison in it.
if "$fuzz" --engine sim --seed 5 --programs 20 --lie 1 > "$work/out" 2>&1; then
	not_ok lie_is_found "it passed"
elif ! grep -q '^FAILED on ' "$work/out"; then
	not_ok lie_is_found "$(cat "$work/out")"
else
	ok lie_is_found
fi
short=$(sed -n 's/^in short, \([0-9]*\) steps.*/\1/p' "$work/out")
if [ -n "$short" ] && [ "$short" -le 8 ]; then
	ok program_that_fails_is_made_short
else
	not_ok program_that_fails_is_made_short "${short:-no} steps"
fi
sed -n '/^# seed/,/^at step\|^step/{/^at step\|^step/!p}' "$work/out" \
	> "$work/short"
if "$fuzz" --replay "$work/short" > "$work/out2" 2>&1; then
	ok short_program_passes_without_the_lie
else
	not_ok short_program_passes_without_the_lie "$(cat "$work/out2")"
fi
"$fuzz" --engine sim --replay "$work/short" --lie 1 > "$work/out2" 2>&1
status=$?
if [ $status = 1 ] && grep -q '^FAILED on ' "$work/out2"; then
	ok short_program_fails_with_the_lie
else
	not_ok short_program_fails_with_the_lie \
		"status $status; $(cat "$work/out2" "$work/short")"
fi

echo "frobnicate 1 2 3 4" > "$work/bad"
"$fuzz" --replay "$work/bad" > "$work/out" 2>&1
if [ $? = 2 ] && grep -q 'line 1 is no step' "$work/out"; then
	ok text_that_is_no_program_is_refused
else
	not_ok text_that_is_no_program_is_refused "$(cat "$work/out")"
fi
"$fuzz" --seed 12x > "$work/out" 2>&1
if [ $? = 2 ] && grep -q '"12x" is no number' "$work/out"; then
	ok seed_that_is_no_number_is_refused
else
	not_ok seed_that_is_no_number_is_refused "$(cat "$work/out")"
fi
