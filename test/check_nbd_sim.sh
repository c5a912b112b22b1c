#!/bin/bash
# SPDX-License-Identifier: MIT
#
# peal-nbd in the simulated world: it keeps its promises, and each of the
# mutants is caught within 1,000 seeds. The same seeds go the same way twice.
# shellcheck source-path=SCRIPTDIR source=harness.sh
. "$(dirname "$0")/harness.sh"

sim=$BUILD/bin/peal-nbd-sim
seeds=10000
[ -n "${SAN-}" ] && seeds=500

if "$sim" --seed 1 --seeds $seeds > "$work/out" 2>&1; then
	ok seeds_hold
else
	not_ok seeds_hold "$(cat "$work/out")"
fi

"$sim" --seed 77 --seeds 20 > "$work/one" 2>&1
"$sim" --seed 77 --seeds 20 > "$work/two" 2>&1
if grep -q 'trace [0-9a-f]\{16\}$' "$work/one" &&
	cmp -s "$work/one" "$work/two"; then
	ok same_seeds_go_the_same_way
else
	not_ok same_seeds_go_the_same_way "$(cat "$work/one" "$work/two")"
fi

found=0
for script in test/nbd_sim/mutants/*.sed; do
	mutant=$(basename "$script" .sed)
	found=$((found + 1))
	if [ ! -x "$BUILD/mutants/$mutant" ]; then
		not_ok "mutant_$mutant" "$BUILD/mutants/$mutant is not built"
		continue
	fi
	"$BUILD/mutants/$mutant" --seed 1 --seeds 1000 > "$work/out" 2>&1
	if [ $? = 1 ] && grep -q '^FAILED: seed' "$work/out"; then
		ok "mutant_${mutant}_is_caught"
	else
		not_ok "mutant_${mutant}_is_caught" "$(cat "$work/out")"
	fi
done
[ "$found" -ge 5 ] || not_ok mutants_exist "$found"

"$sim" --seeds none > "$work/out" 2>&1
if [ $? = 2 ] && grep -q '"none" is no number' "$work/out"; then
	ok number_that_is_none_is_refused
else
	not_ok number_that_is_none_is_refused "$(cat "$work/out")"
fi
