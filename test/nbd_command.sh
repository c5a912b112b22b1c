#!/bin/bash
# SPDX-License-Identifier: MIT
#
# peal-nbd as a command: its options, its errors, its exit status.
# Each check is a function that prints why it failed and returns non-zero.
# shellcheck disable=SC2016,SC2317,SC2154 # for other shells; run by check
set -u
nbd=$(realpath "${BUILD:-build}/bin/peal-nbd")
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
chmod 755 "$dir"
failed=0

check() {
	if "$1" >"$1.log" 2>&1; then
		echo "ok $1"
	else
		echo "not ok $1: status $?, and it said:"
		tail -n 6 "$1.log"
		failed=1
	fi
}

# fails STATUS TEXT OPTION...: ends with STATUS and says TEXT
fails() {
	local want=$1 text=$2 status
	shift 2
	timeout 20 "$nbd" "$@" >said 2>&1
	status=$?
	cat said
	[ "$status" = "$want" ] ||
		{ echo "status $status, want $want: $*"; return 1; }
	grep -q -- "$text" said || { echo "does not say $text"; return 1; }
}

help_and_version_are_printed() {
	"$nbd" --help | grep -q '^Usage: peal-nbd' &&
		"$nbd" --version | grep -q '^peal-nbd [0-9]'
}

wrong_usage_is_status_2() {
	fails 2 'Try: peal-nbd --help' &&
	fails 2 'Try: peal-nbd --help' one two &&
	fails 2 'Try: peal-nbd --help' --no-such-option disk &&
	fails 2 'want a number from 1 to 1024' --slots 0 disk &&
	fails 2 'want a number from 1 to 1024' --slots 12x disk &&
	fails 2 'want a number from 0 to 65535' --port 65536 disk &&
	fails 2 'want a number' --max-memory -1 disk &&
	fails 2 'want a number' --max-memory 99999999999999999999 disk &&
	fails 2 'not both' --unix a --port 1 disk &&
	fails 2 'the path of a socket' --unix '' disk
}

too_little_memory_names_the_numbers() {
	fails 2 'each needs 266240 bytes, 26624000 in all' \
		--max-memory 1M --max-connections 100 disk
}

missing_file_names_the_remedy() {
	fails 1 'truncate -s' no-such-file
}

directory_fifo_and_device_are_refused() {
	mkfifo fifo
	fails 1 'is a directory' . && fails 1 'is a FIFO' fifo &&
		fails 1 'is a character device' /dev/null
}

unreadable_file_suggests_read_only() {
	truncate -s 1M locked
	chmod 444 locked
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid 65534 --clear-groups true 2>/dev/null ||
			return 0
		setpriv --reuid 65534 --clear-groups "$nbd" --run true \
			"$dir/locked" >said 2>&1
	else
		"$nbd" --run true locked >said 2>&1
	fi
	cat said
	grep -q -- '--read-only needs less' said
}

run_gives_the_status_of_the_command() {
	truncate -s 1M disk
	"$nbd" --run 'exit 7' disk
	[ $? = 7 ] || return
	"$nbd" --run 'kill -9 $$' disk
	[ $? = 137 ] || return
	"$nbd" --run 'test -S "$unixsocket" && test -n "$uri"' disk
}

run_leaves_nothing_behind() {
	truncate -s 1M disk
	mkdir -p tmp
	TMPDIR=tmp "$nbd" --run 'ls "$TMPDIR"' disk | grep -q peal-nbd &&
		[ -z "$(ls tmp)" ]
}

start_says_what_is_served_and_how() {
	truncate -s 1M disk
	"$nbd" --export 'a b' --run true disk >said 2>&1
	cat said
	grep -q 'serving disk: 1048576 bytes, read-write' said &&
		grep -q 'engine [a-z]* (' said &&
		grep -q 'ready at nbd+unix:///a%20b?socket=/' said
}

uri_of_a_long_name_is_whole() {
	truncate -s 1M disk
	"$nbd" --quiet --export "$(printf '%085d' 0 | sed 's/0/\o342\o202\o254/g')" \
		--run 'echo "$uri"' disk >said
	cat said
	grep -q '^nbd+unix:///\(%E2%82%AC\)\{85\}?socket=/.*/socket$' said
}

missing_standard_streams_are_no_files_of_ours() {
	truncate -s 1M disk
	rm -f said
	"$nbd" --run 'readlink /proc/$PPID/fd/0 /proc/$PPID/fd/1 \
		/proc/$PPID/fd/2 >said' disk <&- >&- 2>&-
	cat said
	[ "$(sort -u said)" = /dev/null ]
}

# The process id must be its own: a shell takes the server's place.
activated_by_nonsense_says_so() {
	local count
	truncate -s 1M disk
	for count in -5 0 two 17 4294967297; do
		nbd=$nbd count=$count timeout 20 sh -c '
			export LISTEN_PID=$$ LISTEN_FDS="$count"
			exec "$nbd" disk' >said 2>&1
		[ $? = 1 ] || { echo "status with $count"; return 1; }
		cat said
		grep -q "LISTEN_FDS=$count: want a number" said || return
	done
}

port_0_takes_a_free_port_and_names_it() {
	truncate -s 1M disk
	"$nbd" --port 0 --run 'echo "$uri"' disk 2>/dev/null |
		grep -q '^nbd://127.0.0.1:[1-9][0-9]*/$'
}

# Starts a server on the socket $1 and waits until it is ready.
background() {
	coproc server { exec "$nbd" --unix "$1" disk 2>&1; }
	while read -r -u "${server[0]}" line; do
		case $line in *'ready at'*) return 0 ;; esac
	done
	return 1
}

stale_socket_is_replaced_and_a_live_one_is_not() {
	local pid
	truncate -s 1M disk
	background "$dir/socket" || return
	pid=$server_PID
	fails 1 'somebody does already' --unix "$dir/socket" disk || return
	kill -9 "$pid"
	wait "$pid"
	[ -S socket ] || return
	background "$dir/socket" || return
	pid=$server_PID
	kill "$pid"
	wait "$pid" || return
	[ ! -e socket ]
}

file_in_the_way_of_the_socket_is_kept() {
	truncate -s 1M disk
	echo precious >file
	fails 1 'another file' --unix "$dir/file" disk && grep -q precious file
}

long_socket_path_names_the_limit() {
	truncate -s 1M disk
	fails 1 'at most 107' --unix "$dir/$(printf '%0120d' 0)" disk
}

direct_wants_a_whole_number_of_blocks() {
	truncate -s 1000001 odd
	"$nbd" --direct --run true odd >said 2>&1
	cat said
	grep -q 'no multiple of its block\|has no O_DIRECT' said
}

block_device_is_served_whole() {
	local loop size
	truncate -s 3M disk
	loop=$(losetup --find --show disk 2>/dev/null) || return 0
	size=$("$nbd" --run 'nbdinfo --size "$uri"' "$loop" 2>/dev/null)
	losetup -d "$loop"
	[ "$size" = 3145728 ]
}

check help_and_version_are_printed
check wrong_usage_is_status_2
check too_little_memory_names_the_numbers
check missing_file_names_the_remedy
check directory_fifo_and_device_are_refused
if [ "$(id -u)" = 0 ] && ! setpriv --reuid 65534 --clear-groups \
	test -x "$nbd" 2>/dev/null; then
	echo "skip unreadable_file_suggests_read_only: nobody cannot run $nbd"
else
	check unreadable_file_suggests_read_only
fi
check run_gives_the_status_of_the_command
check run_leaves_nothing_behind
check start_says_what_is_served_and_how
check uri_of_a_long_name_is_whole
check missing_standard_streams_are_no_files_of_ours
check activated_by_nonsense_says_so
check port_0_takes_a_free_port_and_names_it
check stale_socket_is_replaced_and_a_live_one_is_not
check file_in_the_way_of_the_socket_is_kept
check long_socket_path_names_the_limit
check direct_wants_a_whole_number_of_blocks
if ! command -v nbdinfo >/dev/null; then
	echo "skip block_device_is_served_whole: nbdinfo is not installed"
elif ! losetup --find >/dev/null 2>&1; then
	echo "skip block_device_is_served_whole: no loop devices here"
else
	check block_device_is_served_whole
fi
exit "$failed"
