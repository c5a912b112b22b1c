#!/bin/bash
# SPDX-License-Identifier: MIT
#
# peal-perf's commands that need no network, in a very short mode: output of the
# right shape, counters that agree with what was asked, bad arguments refused.
# Nothing here depends on how long anything takes.
# shellcheck disable=SC2086 # lists of words
# shellcheck source-path=SCRIPTDIR source=perf.sh
. "$(dirname "$0")/perf.sh"

short='--seconds 0.1 --rounds 3 --quiet'
dir=${PEAL_TEST_DIR-}
[ -d "$dir" ] || dir=$work
on_file="--dir $dir --size 4M"
uring=1
"$perf" doctor --seconds 0 --dir "$dir" > "$work/doctor" 2>&1
grep -q 'ok   ring' "$work/doctor" || uring=

# refused NAME PATTERN ARGUMENT...: exit status 2, and stderr says why.
refused()
{
	local name=$1 pattern=$2 status
	shift 2
	"$perf" "$@" > "$work/out" 2> "$work/err"
	status=$?
	if [ "$status" != 2 ]; then
		not_ok "$name" "exit status $status"
	elif ! grep -q -e "$pattern" "$work/err"; then
		not_ok "$name" "$(cat "$work/err")"
	else
		ok "$name"
	fi
}

# same NAME GOT WANT
same()
{
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "\"$2\", not \"$3\""
	fi
}

# --- arguments ---------------------------------------------------------------

refused no_command_is_refused 'usage: peal-perf'
refused unknown_command_is_refused 'no command "fly"' fly
refused unknown_option_is_refused 'nop --help' nop --fly 1
refused option_without_its_value_is_refused 'wants a value' nop --batch
refused word_that_is_no_option_is_refused 'is no option' nop 64
refused number_that_is_none_is_refused 'list of numbers' nop --batch many
refused word_that_is_not_in_the_list_is_refused 'plain,registered' \
	file --buffers golden
refused unknown_side_is_refused 'does not know "libfoo"' nop --side libfoo
refused number_of_more_than_64_bits_is_refused 'list of numbers' \
	nop --batch 18014398509481985k
refused empty_list_of_sides_is_refused 'does not know ""' nop --side ''
refused axis_that_is_not_there_is_not_compared_across 'no axis "fly"' \
	nop --across batch,fly
refused rate_of_what_has_no_open_loop_is_refused 'no open loop' nop --rate 5
refused time_that_is_none_is_refused 'from 0 to 3600' doctor --seconds soon
refused half_a_round_is_refused 'whole number' nop --rounds 3.5
refused comparison_with_a_side_that_does_not_run_is_refused 'has not got it' \
	nop --side bare --against peal
refused too_few_rounds_are_refused 'from 3 to' nop --rounds 1
refused sweep_of_nothing_is_refused 'no workload' sweep fly
refused comparison_of_nothing_is_refused 'neither a file nor a workload' \
	compare fly away
refused comparison_of_two_workloads_is_refused 'not the same workload' \
	compare nop/peal wake/peal
refused comparison_on_an_axis_that_is_not_there_is_refused 'no axis "depth"' \
	compare nop/peal/depth=1 nop/bare
refused report_without_a_file_is_refused 'usage' report
refused report_of_something_else_is_refused 'not a file of peal-perf' \
	report --out "$work/r" "$0"
refused doctor_of_no_directory_is_refused 'No such file' \
	doctor --dir "$work/none"

"$perf" --help > "$work/list"
for command in doctor nop file timers wake sweep compare report; do
	grep -q "^  $command " "$work/list" || echo "$command is not listed"
	"$perf" "$command" --help > "$work/out" 2>&1 ||
		echo "$command --help failed"
	grep -q "^usage: peal-perf $command" "$work/out" ||
		echo "$command --help has no usage"
done > "$work/bad"
nothing every_command_is_listed_and_has_help "$work/bad"

# failed NAME PATTERN ARGUMENT...: exit status 1 before anything is measured
failed()
{
	local name=$1 pattern=$2
	shift 2
	timeout 60 "$perf" "$@" > "$work/out" 2> "$work/err"
	same "$name" "$?$(grep -c -e "$pattern" "$work/err")" 11
}
failed file_for_which_there_is_no_room_is_not_begun 'has no room' \
	file --dir "$dir" --size 999999G
failed output_that_cannot_be_written_is_known_before 'No such\|no such' \
	nop --seconds 1000 --csv "$work/none/x"
failed file_that_is_no_directory_is_refused 'no directory' \
	file --dir "$perf"
failed outputs_do_not_mix 'cannot both be' nop --seconds 1000 --csv - --json -

"$perf" nop $short --batch 0 --csv "$work/zero" 2> /dev/null
na value_out_of_range_is_a_row_with_its_reason "$work/zero" peal 'batch is 1'

# --- doctor -------------------------------------------------------------------

for what in machine io_uring limits 'file system and device' noise memlock \
	'set-up flags' ops alignment clock interruptions 'problem'; do
	grep -q -e "$what" "$work/doctor" || echo "$what"
done > "$work/bad"
grep -A1 '  BAD  ' "$work/doctor" | grep -v -e '  BAD  ' -e '^--$' |
	grep -v 'remedy: .' >> "$work/bad"
nothing doctor_looks_at_everything_and_has_a_remedy_for_each_problem \
	"$work/bad"
if [ -n "$uring" ]; then
	sed -n '/^io_uring/,/^peal on it/p' "$work/doctor" | tr -s ' ' '\n' \
		> "$work/words"
	for what in SQPOLL SQ_AFF ATTACH_WQ NO_MMAP REGISTERED_FD_ONLY \
		SQ_REWIND GETEVENTS CQE_SKIP_SUCCESS FILE_ALLOC_RANGE QUERY \
		NODROP nop; do
		grep -q -x -e "$what" "$work/words" || echo "$what is not asked"
	done > "$work/bad"
	# This it would be if a probe's arguments were wrong.
	grep 'EINVAL' "$work/words" >> "$work/bad"
	nothing doctor_asks_for_each_flag_and_registration "$work/bad"
fi
same doctor_counts_its_problems "$(tail -1 "$work/doctor" | cut -d ' ' -f 1)" \
	"$(grep -c '  BAD  ' "$work/doctor")"

if [ -z "$uring" ]; then
	skip what_is_measured "no io_uring here"
	exit
fi

# --- shapes ---------------------------------------------------------------------

{
	"$perf" nop $short --latency --csv "$work/nop" --json "$work/json"
	"$perf" timers $short --count 1000 --csv "$work/timers"
	"$perf" wake $short --csv "$work/wake"
	"$perf" file $short $on_file --depth 8 --batch 1,8 --verify \
		--buffers all --files all --side bare,peal --csv "$work/file"
	"$perf" file $short $on_file --depth 4 --reads 50 --verify \
		--sync none,dsync,every8 --rings 1,2 --buffers plain \
		--files fd --csv "$work/mixed"
	"$perf" file $short $on_file --depth 4 --rate 2000 --buffers plain \
		--files fd --open buffered --csv "$work/open"
} 2> "$work/first"
nothing commands_say_nothing_on_stderr "$work/first"
said=$work/first

# A rate that is too high, and one that is too low for the time.
for rate in 1 1e9; do
	timeout 60 "$perf" file --seconds 0.1 --rounds 3 --quiet $on_file \
		--depth 1 --rate $rate --buffers plain --files fd \
		--open buffered --side bare,peal --csv "$work/rate$rate" ||
		echo "$rate: $?"
	cells "$work/rate$rate" na p50_ns | grep -v '^|[0-9]'
done > "$work/bad"
nothing any_rate_comes_to_an_end "$work/bad"

rows nop_measures_both_sides "$work/nop" 6 cpu_ns
rows timers_measures_each_side "$work/timers" 12 wall_ns
rows wake_measures_each_side "$work/wake" 10 wall_ns
rows file_measures_each_variant "$work/file" 120 cpu_ns
rows file_measures_syncs_and_threads "$work/mixed" 72 cpu_ns
rows open_loop_measures_each_side "$work/open" 6 p99_ns

cells "$work/nop" p50_ns p99_ns p99_99_ns max_ns | awk -F '|' '
	!($1 > 0 && $1 <= $2 && $2 <= $3 && $3 <= $4)' > "$work/bad"
nothing percentiles_follow_each_other "$work/bad"

cells "$work/nop" wall_ns_low wall_ns wall_ns_high rounds wall_samples |
	awk -F '|' '
	!($1 <= $2 && $2 <= $3 && split($5, all, " ") == $4 && $4 == 3)
	' > "$work/bad"
nothing interval_holds_the_median_and_samples_are_kept "$work/bad"

for fact in command date revision compiler kernel machine cpu mitigations \
	memory memlock_bytes open_files; do
	grep -q "^# $fact: ." "$work/nop" || echo "csv: $fact"
	grep -q "\"$fact\": \"" "$work/json" || echo "json: $fact"
done > "$work/bad"
grep -q '^# mount: .' "$work/file" || echo mount >> "$work/bad"
nothing results_say_where_they_come_from "$work/bad"

if command -v python3 > /dev/null; then
	holds json_is_json python3 -c "import json
rows = json.load(open('$work/json'))['rows']
assert len(rows) == 6, rows
assert all(len(r['wall_ns']['samples']) == 3 for r in rows)
assert all(r['opcodes']['nop'] == 512 for r in rows)"
else
	skip json_is_json "no python3"
fi

"$perf" nop --seconds 0.1 --rounds 3 > "$work/table" 2> /dev/null
same table_has_a_row_for_each_case \
	"$(grep -c -E '^(bare|peal) +(1|8|64) ' "$work/table")" 6
same table_has_a_verdict_for_each_comparison \
	"$(grep -c -E '(faster|slower|no difference shown)$' "$work/table")" 3

# --- the proof ----------------------------------------------------------------------

# wrong_share COLUMN WANT PATTERN: rows of the file workload that match, have a
# number and not the share.
wrong_share()
{
	cells "$work/file" side buffers files open na rounds "$1" |
		grep -E "$3" |
		awk -F '|' -v want="$2" '$6 > 0 && $7 != want'
}

wrong_share share_fixed 1.0000 '^[a-z]*\|(registered|jemalloc)' > "$work/bad"
nothing registered_buffers_are_in_every_entry "$work/bad"
wrong_share share_fixed 0.0000 '^[a-z]*\|plain\|' > "$work/bad"
nothing plain_buffers_are_in_no_fixed_entry "$work/bad"
wrong_share share_direct 1.0000 '\|(registered|direct)\|(buffered|o_direct)' \
	> "$work/bad"
nothing registered_descriptors_are_in_every_entry "$work/bad"
wrong_share share_direct 0.0000 '\|fd\|' > "$work/bad"
nothing plain_descriptors_are_in_every_other "$work/bad"
wrong_share share_fixed 0.0000 '\|auto\|[a-z]*\|buffered' > "$work/bad"
nothing library_leaves_the_page_cache_plain_by_itself "$work/bad"
if cells "$work/file" side buffers open na | grep -q '^peal|auto|o_direct|$'
then
	wrong_share share_fixed 1.0000 '\|auto\|[a-z]*\|o_direct' > "$work/bad"
	nothing library_takes_registered_memory_for_o_direct "$work/bad"
else
	skip library_takes_registered_memory_for_o_direct \
		"$(cells "$work/file" side buffers open na |
			grep '^peal|auto|o_direct' | head -1)"
fi

cells "$work/file" side buffers files na |
	awk -F '|' '$4 == "" && $2 == "plain" && $3 == "fd"' > "$work/some"
if [ -s "$work/some" ]; then
	ok plain_variant_always_has_numbers
else
	not_ok plain_variant_always_has_numbers "none has"
fi

cells "$work/nop" side batch calls_per_op opcodes | awk -F '|' '
	{ want = 1 / $2; off = $3 - want }
	off < -0.001 || off > 0.02 * want + 0.001 || $4 != "nop 512"
	' > "$work/bad"
nothing a_batch_is_one_system_call "$work/bad"

"$perf" nop $short --flags all --batch 8 --csv "$work/flags"
cells "$work/flags" side flags na mode | awk -F '|' '
	$3 == "" && $2 != "default" && index($4 " ", " " $2 " ") == 0 ||
	$3 == "" && $2 == "default" && $4 ~ / (defer|coop)( |$)/' > "$work/bad"
nothing ring_has_the_flags_that_were_asked_for "$work/bad"

# A first try without waiting: in every entry, or it is no number; and what is
# across an axis is compared.
"$perf" file $short $on_file --depth 8 --batch 1,8 --open buffered --rwf all \
	--reads 0 --buffers plain --files fd --side bare,peal --across batch \
	--csv "$work/rwf" --json "$work/rwf.json"
cells "$work/rwf" side rwf na | awk -F '|' '
	$1 == "bare" && $2 != "dontcache" && $3 != "" ||
	$1 == "peal" && ($2 == "none") != ($3 == "")' > "$work/bad"
nothing flags_of_a_read_are_in_every_entry_or_it_is_no_number "$work/bad"
cells "$work/rwf" side rwf na extra entries | awk -F '|' '
	$1 == "bare" && $2 == "nowait" &&
	!(match($4, /refused tries per op [0-9.]+/) && $5 >= 512)' > "$work/bad"
nothing refused_tries_are_counted "$work/bad"
"$perf" file --seconds 0.1 --rounds 3 $on_file --depth 8 --batch 1,8 \
	--open buffered --buffers plain --files fd --side bare --across batch \
	> "$work/table" 2> "$work/err"
same row_is_compared_across_an_axis \
	"$(grep -c -E '(faster|slower|no difference shown)$' "$work/table")" 1

# fio is the same work if the kernel has seen its entries: each of them fixed,
# and no call for each. Its transfers are its own, so their number is what fails.
if command -v fio > /dev/null; then
	"$perf" file $short $on_file --depth 8 --buffers registered --files \
		registered --open buffered --latency --side bare,fio \
		--csv "$work/fio"
	cells "$work/fio" side na share_fixed share_direct calls_per_op \
		cpu_ns switches p50_ns max_ns | awk -F '|' '
		$2 != "" || !($6 > 0 && $7 >= 0 && $8 > 0 && $8 <= $9) { print }
		$3 != "" && ($3 < 1 || $4 < 1 || $5 > 0.5) { print }
		END { if (NR != 2) print NR " rows" }' > "$work/bad"
	nothing fio_does_the_same_work_and_says_how_long_it_took "$work/bad"
else
	skip fio_does_the_same_work_and_says_how_long_it_took "no fio"
fi

PEAL_DISABLE=defer "$perf" nop $short --batch 8 --csv "$work/masked"
na flag_that_the_ring_did_not_get_is_no_number "$work/masked" peal \
	'defer is not in effect'

PEAL_DISABLE=fixed "$perf" file $short $on_file --depth 4 --open buffered \
	--buffers registered --files fd --side peal --csv "$work/nofixed"
na registered_memory_that_is_switched_off_is_no_number "$work/nofixed" peal \
	'peal_arena_register'

# --- data --------------------------------------------------------------------------

# What is read is not what was written there: spoil the file while it is read.
mkdir "$dir/spoilt"
"$perf" file --seconds 3 --rounds 3 --dir "$dir/spoilt" --size 4M --verify \
	--open buffered --depth 4 --buffers plain --files fd --quiet \
	--side bare,peal --csv "$work/spoilt.csv" &
measuring=$!
until [ "$(stat -c %s "$dir"/spoilt/peal-perf.* 2> /dev/null)" = 4194304 ] ||
	! kill -0 $measuring 2> /dev/null; do
	:
done
while kill -0 $measuring 2> /dev/null; do
	dd if=/dev/zero of="$(echo "$dir"/spoilt/peal-perf.*)" bs=1M count=4 \
		conv=notrunc,nocreat 2> /dev/null || break
done
wait $measuring
na verify_finds_what_is_wrong_on_a_bare_ring "$work/spoilt.csv" bare 'wrong data'
na verify_finds_what_is_wrong_on_peal "$work/spoilt.csv" peal 'wrong data'
rmdir "$dir/spoilt" 2> "$work/bad"
nothing no_file_is_left_behind "$work/bad"

# --- sweep, compare, report ----------------------------------------------------------

sweep="sweep nop --seconds 0.1 --rounds 3 --out $work/sweep"
"$perf" $sweep > "$work/log" 2>&1 &
measuring=$!
until [ "0$(grep -s -c '^nop' "$work/sweep")" -ge 10 ] ||
	! kill -0 $measuring 2> /dev/null; do
	:
done
kill -INT $measuring
wait $measuring
status=$?
had=$(cells "$work/sweep" side | wc -l)
if [ "$status" = 130 ] && [ "$had" -lt 80 ] && [ $((had % 10)) = 0 ]; then
	ok interrupted_sweep_keeps_whole_groups
elif [ "$status" = 0 ]; then
	skip interrupted_sweep_keeps_whole_groups "it was too fast"
else
	not_ok interrupted_sweep_keeps_whole_groups \
		"status $status, $had rows; $(cat "$work/log")"
fi
head -c -20 "$work/sweep" > "$work/cut"
refused sweep_does_not_overwrite 'is there already' $sweep
mv "$work/cut" "$work/sweep"
"$perf" $sweep --resume > "$work/log" 2>&1
cells "$work/sweep" side batch flags | sort | uniq -c | awk '$1 > 1' \
	> "$work/bad"
same resumed_sweep_has_every_row \
	"$(cells "$work/sweep" side batch flags | sort -u | wc -l)" 80

# A full disk, as a limit of 3 KiB makes it. What is there is whole groups, and
# the sweep goes on with them.
sweep="sweep nop --seconds 0.1 --rounds 3 --flags defer --out $work/full"
(trap '' XFSZ; ulimit -f 3; exec "$perf" $sweep) > "$work/log" 2> "$work/err"
status=$?
had=$(cells "$work/full" side | wc -l)
same full_disk_ends_a_sweep_with_whole_groups \
	"$status $((had < 16)) $((had % 2)) $(grep -c 'EFBIG.*--resume' \
		"$work/err")" '1 1 0 1'
"$perf" $sweep --resume > "$work/log" 2>&1
same sweep_goes_on_after_a_full_disk "$? $(cells "$work/full" side batch |
	sort -u | wc -l)" '0 16'
head -c -100 "$work/full" > "$work/zeros"
head -c 200 /dev/zero >> "$work/zeros"
refused file_that_lost_its_end_is_said_to_be_damaged 'truncate -s' \
	sweep nop --resume --out "$work/zeros"
(trap '' XFSZ; ulimit -f 3; exec "$perf" report --out "$work/full2" \
	"$work/nop" "$work/file") > "$work/log" 2> "$work/err"
same report_that_could_not_be_written_is_no_report \
	"$?$(grep -c 'could not be written' "$work/err")" 11
mkdir "$work/old" && echo old > "$work/old/report.md"
"$perf" report --out "$work/old" "$work/nop" "$0" > "$work/log" 2>&1
same old_report_is_not_replaced_by_half_of_one \
	"$(cat "$work/old/report.md")" old
"$perf" nop $short --batch 8 > /dev/full 2> "$work/err"
status=$?
"$perf" nop --seconds 0.1 --rounds 3 --batch 8 > /dev/full 2> "$work/err"
same table_that_could_not_be_printed_is_an_error \
	"$status$?$(grep -c 'could not be written' "$work/err")" 011

sed -i 's/^# kernel: .*/# kernel: 2.6.32/' "$work/full"
"$perf" $sweep --resume > "$work/log" 2> "$work/err"
same sweep_of_two_kernels_says_so "$(grep -c 'kernel is another' "$work/err")$(
	grep -c '^# resumed kernel: ' "$work/full")" 11

# On a terminal a bar says how far it is and how long it takes; elsewhere not.
if command -v script > /dev/null; then
	script -qec "$perf sweep nop --seconds 0.3 --rounds 3 --batch 1,8 \
		--flags defer --out $work/bar" /dev/null < /dev/null \
		> "$work/terminal" 2>&1
	tr '\r' '\n' < "$work/terminal" | grep -c -E '^sweep nop, group [12] of 2 '\
'\[#*\.*\] +[0-9]+ %, [0-9]+:[0-9][0-9] left' > "$work/seen"
	between sweep_shows_a_bar_and_the_time_left "$(cat "$work/seen")" 1 999
else
	skip sweep_shows_a_bar_and_the_time_left "no script(1) here"
fi
"$perf" nop --seconds 0.2 --rounds 3 --batch 8 > "$work/out" 2> "$work/err"
nothing nothing_is_shown_where_nobody_looks "$work/err"

"$perf" compare nop/bare nop/peal $short --batch 8,64 > "$work/now" 2>&1
same comparison_answers_for_each_case \
	"$(grep -c -E '^    (cpu|wall) +(faster|slower|no difference shown)' \
		"$work/now")" 4
"$perf" compare "$work/nop" "$work/nop" > "$work/self" 2>&1
same file_does_not_differ_from_itself \
	"$(grep -c -E '^    (cpu|wall) +no difference shown' "$work/self")" 12

refused files_of_two_workloads_are_not_compared 'not the same workload' \
	compare "$work/nop" "$work/timers"
refused file_that_is_not_there_is_named "$work/gone: no such file" \
	compare "$work/nop" "$work/gone"
sed 's/"[0-9. ]*","[0-9. ]*"$/"",""/' "$work/nop" > "$work/nosamples"
refused rows_without_samples_are_no_answer 'nothing to compare' \
	compare "$work/nop" "$work/nosamples"
refused sweep_has_one_file '--out FILE' sweep nop --csv "$work/other"
# A group that was measured again stands in the file twice: the last counts.
grep "^nop,bare,1," "$work/nop" |
	cat "$work/nop" - > "$work/twice"
"$perf" report --text --out "$work/twice.d" "$work/twice" > "$work/log" 2>&1
same row_that_was_measured_again_counts_once \
	"$(sed -n '/^### batch=1$/,/^### batch=8$/p' "$work/twice.d/report.md" |
		grep -c '^| bare ')" 1

"$perf" report --text --out "$work/text" "$work/nop" "$work/file" \
	> "$work/log" 2>&1
: > "$work/bad"
grep -q '###' "$work/text/report.md" || echo 'no bars' >> "$work/bad"
grep -q '^| peal' "$work/text/report.md" || echo 'no rows' >> "$work/bad"
grep -q 'n/a: ' "$work/text/report.md" || echo 'no reasons' >> "$work/bad"
grep -q '| kernel |' "$work/text/report.md" || echo 'no kernel' >> "$work/bad"
nothing report_has_bars_rows_reasons_and_the_machine "$work/bad"

# A side that is dear, and one that has no number, are not left out.
"$perf" file $short $on_file --depth 4 --open buffered --batch 1 \
	--buffers plain,registered --flags coop,defer --files all \
	--side bare,peal,threads,fio --rings 2 --csv "$work/many"
"$perf" report --text --out "$work/text2" "$work/many" > "$work/log" 2>&1
awk '/^```/ { inside = !inside } inside && /^(bare|peal|threads|fio) /' \
	"$work/text2/report.md" > "$work/bars"
same report_has_a_bar_or_a_reason_for_each_side \
	"$(cut -d ' ' -f 1 "$work/bars" | sort -u | xargs)" \
	'bare fio peal threads'
same report_says_why_a_side_has_no_bar \
	"$(grep -c 'n/a: fio is ' "$work/bars")" 1

if command -v gnuplot > /dev/null; then
	"$perf" report --out "$work/svg2" "$work/many" > "$work/log" 2>&1
	same picture_says_why_a_side_has_no_bar \
		"$(grep -c 'n/a: fio is ' "$work/svg2/bars-0-0.svg")" 1
	# Neither a shell nor gnuplot reads the name, and the marks of the axis
	# stand where something was measured.
	odd="$work/svg \`false\` \$HOME \"'"
	"$perf" report --out "$odd" "$work/nop" > "$work/log" 2>&1
	same picture_can_be_in_any_directory \
		"$(grep -c '</svg>' "$odd/lines-0-0.svg")" 1
	same marks_of_an_axis_are_values_that_were_measured \
		"$(grep -c -E '> *(2|4|16|32)<' "$odd/lines-0-0.svg")" 0
	"$perf" report --out "$work/svg" "$work/nop" > "$work/log" 2>&1
	grep -o '([a-z0-9-]*\.svg)' "$work/svg/report.md" | tr -d '()' |
		while read -r plot; do
			grep -q '</svg>' "$work/svg/$plot" || echo "$plot"
		done > "$work/bad"
	grep -q 'lines-0-0.svg' "$work/svg/report.md" ||
		echo 'no lines' >> "$work/bad"
	grep -q 'bars-0-2.svg' "$work/svg/report.md" ||
		echo 'no bars' >> "$work/bad"
	nothing report_draws_lines_and_bars "$work/bad"
else
	skip report_draws_lines_and_bars "no gnuplot"
fi
