#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Programs that know nothing of it are recorded and replayed: what they read
# and who they spoke with is gone by then.
# shellcheck source-path=SCRIPTDIR source=harness.sh
. "$(dirname "$0")/harness.sh"

ex=$(realpath "$BUILD/examples")
nbd=$(realpath "$BUILD/bin/peal-nbd")
cd "$work" || exit 2

# replay RECORD COMMAND...
replay()
{
	local record=$1

	shift
	PEAL_ENGINE=replay PEAL_REPLAY=$record timeout -k 5 60 "$@" 2> err
}

# same NAME RECORD: it was replayed to its end, and out2 is out1.
same()
{
	if ! grep -q '^the same, ' "$2.report"; then
		not_ok "$1" "$(cat "$2.report" err)"
	elif ! cmp -s out1 out2; then
		not_ok "$1" "the output differs"
	else
		ok "$1"
	fi
}

cat_twice()
{
	seq 1 200000 > a
	echo "the last line" > b
	PEAL_ENGINE=$1 PEAL_RECORD=cat.$1 "$ex/cat" a b > out1 || return
	rm a b
	replay "cat.$1" "$ex/cat" a b > out2
	same "files_are_printed_again_on_$1" "cat.$1"
	replay "cat.$1" "$ex/cat" a c > out2
	if grep -q '^differs at frame [0-9]* of .*bytes or path' \
		"cat.$1.report" && [ "$(wc -c < out2)" -gt 100000 ]; then
		ok "other_file_is_told_on_$1"
	else
		not_ok "other_file_is_told_on_$1" "$(cat "cat.$1.report")"
	fi
}

# The port is the first thing that echo prints, and is another in each run.
echo_twice()
{
	local port reply word

	exec 4< <(PEAL_ENGINE=$1 PEAL_RECORD=echo.$1 "$ex/echo" 0 2 2> err)
	read -r -u 4 word port
	for word in one two; do
		exec 3<> "/dev/tcp/127.0.0.1/$port" || return
		echo "$word" >&3
		read -r -u 3 reply
		exec 3>&-
		[ "$reply" = "$word" ] || not_ok "echo_on_$1" "$reply"
	done
	cat <&4 > out1
	exec 4<&-
	replay "echo.$1" "$ex/echo" 0 2 | sed 1d > out2
	same "server_serves_again_without_clients_on_$1" "echo.$1"
}

# What the server says of its clients, but for who they were.
said()
{
	sed -n 's/ (pid [0-9]*)//; s/.*: client /client /p' "$1"
}

# serve_disk NAME=VALUE...: the disk server on an empty disk, ready.
serve_disk()
{
	local line

	rm -f disk socket
	truncate -s 4M disk
	exec 4< <(env "$@" "$nbd" --unix "$PWD/socket" -v disk 2>&1)
	server=$!
	while read -r -u 4 line; do
		[[ $line == *": ready at "* ]] && break
	done
}

disk_server_twice()
{
	seq 1 599186 > image && truncate -s 4M image
	serve_disk "PEAL_ENGINE=$1" "PEAL_RECORD=nbd.$1"
	nbdcopy image "nbd+unix:///?socket=$PWD/socket" > err 2>&1
	kill -TERM "$server"
	cat <&4 > all
	said all > out1
	cmp -s image disk || not_ok "disk_server_on_$1" "$(cat err all)"
	serve_disk PEAL_ENGINE=replay "PEAL_REPLAY=nbd.$1"
	cat <&4 > err
	said err > out2
	same "disk_server_serves_again_without_clients_on_$1" "nbd.$1"
	if [ "$(wc -l < out2)" -lt 3 ]; then
		not_ok "replay_wrote_nothing_on_$1" "$(cat err)"
	elif cmp -s disk <(head -c 4M /dev/zero); then
		ok "replay_wrote_nothing_on_$1"
	else
		not_ok "replay_wrote_nothing_on_$1" "the disk has data"
	fi
}

for engine in uring epoll; do
	cat_twice $engine
	echo_twice $engine
	if command -v nbdcopy > /dev/null; then
		disk_server_twice $engine
	else
		skip disk_server_serves_again_without_clients "no nbdcopy"
	fi
done

if command -v strace > /dev/null; then
	echo text > a
	PEAL_RECORD=traced "$ex/cat" a > out1
	rm a
	PEAL_ENGINE=replay PEAL_REPLAY=traced strace -f -o trace "$ex/cat" a \
		> out2 2> err
	sed 1d trace | grep -E 'io_uring|epoll|CLONE_THREAD|"a"' > calls
	nothing replay_makes_no_system_call_for_io calls
	same replay_under_strace traced
else
	skip replay_makes_no_system_call_for_io "no strace"
fi

# --- what cannot be ---------------------------------------------------------
if PEAL_RECORD=no/such/dir/x "$ex/cat" /dev/null 2> err; then
	not_ok record_that_cannot_be_written_is_an_error "it passed"
elif grep -q 'cannot be written: No such file' err; then
	ok record_that_cannot_be_written_is_an_error
else
	not_ok record_that_cannot_be_written_is_an_error "$(cat err)"
fi
echo text > a
if PEAL_RECORD=/dev/full "$ex/cat" a > out1 && cmp -s a out1; then
	ok full_disk_ends_the_record_and_not_the_program
else
	not_ok full_disk_ends_the_record_and_not_the_program "$(cat out1)"
fi
if PEAL_ENGINE=replay "$ex/cat" /dev/null 2> err; then
	not_ok replay_of_nothing_is_an_error "it passed"
elif grep -q 'set PEAL_REPLAY to a file' err; then
	ok replay_of_nothing_is_an_error
else
	not_ok replay_of_nothing_is_an_error "$(cat err)"
fi
