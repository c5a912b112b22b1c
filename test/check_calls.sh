#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the kernel is asked for, seen by strace: on epoll no io_uring call; on
# io_uring no plain read or write of a file and no thread. Each is also looked
# for where it must be, or the check would hold of an empty trace.
# shellcheck source-path=SCRIPTDIR source=harness.sh
. "$(dirname "$0")/harness.sh"
unset PEAL_DISABLE

# The leak sanitizer cannot work under strace.
export ASAN_OPTIONS=detect_leaks=0:${ASAN_OPTIONS-}
bin=$(realpath "$BUILD/examples")
trace=$work/trace
rw='read,write,pread64,pwrite64,preadv,pwritev,preadv2,pwritev2,readv,writev'
threads='clone|clone3|fork|vfork'

if ! strace -o "$trace" true 2> /dev/null; then
	skip system_calls_are_what_they_should_be "strace cannot trace here"
	exit 0
fi

# traced ENGINE COMMAND...: its calls go to $trace, its output to nowhere
traced()
{
	PEAL_ENGINE=$1 timeout -k 5 100 strace -f -y -qq -o "$trace" \
		-e trace="$rw",io_uring_setup,io_uring_enter,\
io_uring_register,clone,clone3,fork,vfork \
		"${@:2}" > "$work/out" 2>&1
}

# calls PATTERN [FILE]: how many calls match, of those that name the file
calls()
{
	grep -E "^[0-9]+ +($1)\\(" "$trace" | grep -c -e "${2-}"
}

# has_none NAME PATTERN [FILE], has_some NAME PATTERN [FILE]
has_none()
{
	local count
	count=$(calls "$2" "${3-}")
	if [ "$count" = 0 ]; then
		ok "$1"
	else
		not_ok "$1" "$count calls, of $(wc -l < "$trace"):"
		grep -E "^[0-9]+ +($2)\\(" "$trace" | head -n 5
	fi
}

has_some()
{
	if [ "$(calls "$2" "${3-}")" -gt 0 ]; then
		ok "$1"
	else
		not_ok "$1" "none; the program said:"
		head -n 5 "$work/out"
	fi
}

head -c 3000000 /dev/urandom > "$work/data"
copy()
{
	traced "$1" "$bin/cp" "$work/data" "$work/copy-$1" &&
		cmp "$work/data" "$work/copy-$1"
}

serve()
{
	traced "$1" bash examples/expected/echo.sh &&
		diff examples/expected/echo.txt "$work/out"
}

holds copy_on_epoll_works copy epoll
has_none copy_on_epoll_makes_no_io_uring_call 'io_uring_.*'
has_some copy_on_epoll_reads_by_plain_calls "${rw//,/|}" "$work/data"
has_some copy_on_epoll_has_threads "$threads"
holds server_on_epoll_works serve epoll
has_none server_on_epoll_makes_no_io_uring_call 'io_uring_.*'

if ! copy uring > /dev/null 2>&1 && [ "$(calls io_uring_enter)" = 0 ]; then
	skip copy_on_io_uring "no io_uring here: $(head -n 1 "$work/out")"
	exit 0
fi
holds copy_on_io_uring_works cmp "$work/data" "$work/copy-uring"
has_some copy_on_io_uring_makes_io_uring_calls 'io_uring_enter'
has_none copy_on_io_uring_makes_no_plain_read "${rw//,/|}" "$work/data"
has_none copy_on_io_uring_makes_no_plain_write "${rw//,/|}" "$work/copy"
if [[ ,$SAN, == *,thread,* ]]; then
	skip copy_on_io_uring_has_no_thread "the sanitizer has its own"
else
	has_none copy_on_io_uring_has_no_thread "$threads"
fi
holds server_on_io_uring_works serve uring
has_some server_on_io_uring_makes_io_uring_calls 'io_uring_enter'
