#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The network commands of peal-perf, in a very short mode: rows of the right
# shape, data that was compared, n/a with a reason.
# shellcheck source-path=SCRIPTDIR source=perf.sh
. "$(dirname "$0")/perf.sh"

short='--seconds 0.2 --rounds 3'
export PEAL_TEST_MARK=$work

# few ARG...: peal-perf with 200 descriptors, which it may not raise.
few()
{
	local drop=
	[ "$(id -u)" = 0 ] && command -v setpriv > /dev/null &&
		drop='setpriv --bounding-set=-sys_resource'
	(ulimit -n 200 && $drop "$perf" "$@")
}

# shellcheck disable=SC2086 # a list of words
{
	"$perf" net $short --connections 4 --verify --csv "$work/net" --quiet
	"$perf" net $short --connections 4 --size 100k --verify \
		--csv "$work/large" --quiet
	"$perf" net $short --connections 2 --traffic stream --size 16k \
		--csv "$work/stream" --quiet
	"$perf" net $short --connections 2 --size 16k --buffer 4k --verify \
		--side peal-group,peal-bundle --csv "$work/bundle" --quiet
	"$perf" models $short --connections 64 --busy 4 --csv "$work/models" \
		--quiet
	"$perf" net --seconds 0.001 --rounds 9 --connections 4 \
		--csv "$work/brief" --quiet
	"$perf" models $short --connections 1001 --side select,epoll \
		--csv "$work/select" --quiet
	few net $short --side epoll --connections 500 --csv "$work/files" \
		--quiet
	"$perf" conns --connections 300 --rounds 1 --csv "$work/conns"
	few conns --connections 300 --side epoll --csv "$work/few"
	"$perf" conns --connections 1000000 --rounds 1 --side threads \
		--csv "$work/many"
} > "$work/log" 2>&1
said=$work/log

rows net_measures_every_side_with_each_byte_compared "$work/net" 16 cpu_ns
rows net_measures_messages_of_many_receives "$work/large" 16 cpu_ns
rows net_measures_a_stream "$work/stream" 16 cpu_ns
rows models_measures_every_model "$work/models" 12 cpu_ns
# A side is n/a only where a library or the kernel lacks what it needs: not
# because an answer was wrong or did not come.
for file in net large stream models conns; do
	column "$work/$file" na | grep -v -E '^[^ ]+ $' | grep -v -E \
		'built without|io_uring|buffer ring|multishot is not|no bundles here'
done > "$work/wrong"
nothing no_answer_was_wrong_or_missing "$work/wrong"
for file in net large stream models; do
	cells "$work/$file" side na switches worker_ns |
		awk -F '|' '$2 == "" && ($3 == "" || $4 == "")'
done > "$work/bad"
nothing switches_of_every_server_are_counted "$work/bad"
# The clock of another process moves with the kernel's tick, 4 ms, unless it
# sleeps: in slices of 0.5 ms a server that was asked too early has used nothing.
# One slice in three may be so, where another machine takes the processor away.
for file in brief models; do
	cells "$work/$file" side na cpu_samples |
		awk -F '|' '$2 == "" { n = split($3, took, " "); none = 0
			for (i = 1; i <= n; i++) none += took[i] <= 0
			if (none * 3 > n) print }'
done > "$work/bad"
nothing slices_take_a_server_time "$work/bad"
rows conns_measures_every_side "$work/conns" 15 heap_bytes
na bundles_that_are_none_are_no_number "$work/net" peal-bundle \
	'no receive had more than one buffer'
if column "$work/bundle" na | grep -q '^peal-bundle $'; then
	cells "$work/bundle" side extra | awk -F '|' '
		($2 ~ /bundles per message [0-9.]*[1-9]/) != ($1 ~ /bundle/)
		' > "$work/bad"
	nothing bundles_are_counted "$work/bad"
else
	skip bundles_are_counted "$(column "$work/bundle" na)"
fi
na select_beyond_its_set_is_na "$work/select" select 'can have 1000'
na too_few_descriptors_are_na "$work/files" epoll 'RLIMIT_NOFILE 200 <'
na too_few_descriptors_for_idle_ones_are_na "$work/few" epoll \
	'RLIMIT_NOFILE 200 < 364; raise it'
na more_than_the_machine_has_room_for_is_na "$work/many" threads \
	'RLIMIT_NOFILE\|threads: \|MiB wanted'

for side in uring peal epoll; do
	calls=$(column "$work/net" calls_per_op | sed -n "s/^$side //p")
	case $side in
	epoll) low=2 high=4 ;;	# recv, send, and some of epoll_wait
	*) low=0.001 high=2.5 ;;
	esac
	if [ -z "$calls" ]; then
		skip "system_calls_of_${side}_are_counted" \
			"no tracepoint here: not root, or no tracefs"
	else
		between "system_calls_of_${side}_are_counted" "$calls" \
			$low $high
	fi
done
if [ -z "$SAN" ]; then
	memory=$(column "$work/conns" heap_bytes | sed -n 's/^threads //p')
	between a_thread_per_connection_costs_its_stack "$memory" 4096 65536
fi

# refused NAME ARGS...: exit status 2 and a sentence.
refused()
{
	local name=$1 status
	shift
	"$perf" "$@" > "$work/out" 2> "$work/err"
	status=$?
	if [ "$status" = 2 ] && [ -s "$work/err" ]; then
		ok "$name"
	else
		not_ok "$name" "$*: status $status"
	fi
}

refused net_refuses_an_unknown_side net --side nobody
refused net_refuses_an_unknown_traffic net --traffic whisper
refused net_refuses_an_unknown_option net --colour red
refused models_refuses_a_size_that_is_none models --size many
refused conns_refuses_an_unknown_side conns --side nobody
refused conns_refuses_no_rounds conns --rounds 0
refused conns_refuses_an_option_without_value conns --connections

refused conns_refuses_rounds_that_are_no_number conns --rounds 3x
refused conns_refuses_no_sides conns --side ''

if command -v python3 > /dev/null; then
	"$perf" conns --connections 10,20 --rounds 1 --side epoll,threads \
		--json "$work/json" --csv "$work/both" > "$work/table" \
		2> "$work/err"
	between idle_connections_are_in_each_output "$(cells "$work/both" side |
		wc -l)$(grep -c -E '^(epoll|threads) ' "$work/table")" 44 44
	holds idle_connections_in_json python3 -c "import json
all = json.load(open('$work/json'))
assert len(all['rows']) == 4 and all['environment']['kernel']
assert all['rows'][0]['heap_bytes']['median'] >= 0"
else
	skip idle_connections_in_json "no python3"
fi
"$perf" report --text --out "$work/report" "$work/conns" > "$work/err"
bars=$(grep -c '^[a-z-]* *[0-9.]* \[.*#' "$work/report/report.md")
between report_has_bars_of_idle_connections "$bars" 10 15

for process in /proc/[0-9]*; do
	[ "$(readlink "$process/exe")" = "$(realpath "$perf")" ] || continue
	grep -qzs "^PEAL_TEST_MARK=$work$" "$process/environ" && echo "$process"
done > "$work/left" 2> "$work/err"
nothing no_server_is_left "$work/left"
