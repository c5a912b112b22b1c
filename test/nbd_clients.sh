#!/bin/bash
# SPDX-License-Identifier: MIT
#
# peal-nbd against other people's clients: libnbd's nbdinfo and nbdcopy, QEMU's
# qemu-io and qemu-img, fio. Each check is a function that prints why it failed
# and returns non-zero; a check whose client is not installed is skipped.
# shellcheck disable=SC2016,SC2317,SC2154 # for other shells; run by check
set -u
nbd=$(realpath "${BUILD:-build}/bin/peal-nbd")
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0

# check NAME PROGRAM...: runs the function NAME if the PROGRAMs are there
check() {
	local name=$1 program
	shift
	for program; do
		if ! command -v "$program" >/dev/null; then
			echo "skip $name: $program is not installed"
			return
		fi
	done
	if "$name" >"$name.log" 2>&1; then
		echo "ok $name"
	else
		echo "not ok $name: status $?, and it said:"
		tail -n 6 "$name.log"
		failed=1
	fi
}

# serve COMMAND [OPTION...] FILE: COMMAND is a shell command that uses $uri
serve() {
	local command=$1
	shift
	timeout 60 "$nbd" "$@" --run "$command"
}

sum() { sha256sum "$1" | cut -d ' ' -f 1; }

same() {
	[ "$(sum "$1")" = "$(sum "$2")" ] || { echo "$1 and $2 differ"; false; }
}

image() { rm -f "$1"; truncate -s "${2:-64M}" "$1"; }

random() { head -c "$2" /dev/urandom >"$1"; }

nbdinfo_reads_the_export_over_a_unix_socket() {
	image disk
	serve 'nbdinfo "$uri"' --export disk disk >info || return
	grep -q 'export-size: 67108864' info && grep -q 'can_multi_conn: true' info &&
		grep -q 'block_size_maximum: 33554432' info
}

nbdinfo_reads_the_export_over_tcp() {
	image disk
	serve 'nbdinfo --json "$uri"' --port 0 --export 'a name' disk >info ||
		return
	grep -q '"export-size": 67108864' info && grep -q '"a name"' info
}

nbdinfo_starts_the_server_by_socket_activation() {
	image disk
	[ "$(timeout 20 nbdinfo --size -- [ "$nbd" disk ])" = 67108864 ]
}

nbdinfo_lists_the_export() {
	image disk
	timeout 20 nbdinfo --list -- [ "$nbd" --export disk disk ] >info &&
		grep -q 'export="disk"' info
}

nbdinfo_sees_a_read_only_export() {
	image disk
	timeout 20 nbdinfo -- [ "$nbd" --read-only disk ] >info &&
		grep -q 'is_read_only: true' info &&
		grep -q 'can_trim: false' info
}

nbdcopy_in_and_out_is_the_same() {
	random data 50000001
	image disk 50000001
	serve 'nbdcopy data "$uri" && nbdcopy "$uri" back' disk || return
	same data disk && same data back
}

nbdcopy_in_and_out_is_the_same_with_little_memory() {
	random data 50000001
	image disk 50000001
	serve 'nbdcopy --request-size=2097152 data "$uri" &&
	       nbdcopy --request-size=8388608 "$uri" back' \
		--slots 2 --max-connections 4 --max-memory 1100K disk || return
	same data disk && same data back
}

nbdcopy_in_and_out_is_the_same_with_direct() {
	random data 33554432
	image disk 33554432
	serve 'nbdcopy data "$uri" && nbdcopy "$uri" back' --direct disk ||
		return
	same data disk && same data back
}

qemu_io_writes_zeroes_discards_and_verifies() {
	image disk
	serve 'qemu-io -f raw "$uri" \
		-c "write -P 170 0 4M" -c "write -P 85 1000000 777" \
		-c "read -P 85 1000000 777" -c "read -P 170 0 1000000" \
		-c "write -z 8k 64k" -c "read -P 0 8k 64k" \
		-c "write -z -u 1M 1M" -c "read -P 0 1M 1M" \
		-c "discard 2M 1M" -c "read -P 0 2M 1M" \
		-c "write -f -P 3 3M 9M" -c "read -P 3 3M 9M" -c flush' \
		disk >out || { cat out; return 1; }
	! grep -i 'fail\|error' out
}

# Half of all calls of fallocate are interrupted, and every zeroing succeeds.
# The leak sanitizer cannot work under strace.
qemu_io_zeroes_although_interrupted() {
	local -x ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0
	image disk
	PEAL_ENGINE=epoll timeout 60 strace -f -o trace -e trace=fallocate \
		-e inject=fallocate:error=EINTR:when=1+2 "$nbd" --run '
		qemu-io -f raw "$uri" -c "write -P 170 0 4M" \
			-c "write -z 8k 64k" -c "read -P 0 8k 64k" \
			-c "write -z -u 1M 1M" -c "read -P 0 1M 1M" \
			-c "discard 2M 1M" -c "discard 3M 1M"' \
		disk >out || { cat out; return 1; }
	grep -q INJECTED trace || { echo "nothing interrupted"; return 1; }
	! grep -i 'fail\|error' out
}

qemu_io_aio_requests_run_together() {
	image disk
	serve 'qemu-io -f raw "$uri" -c "aio_write -P 1 0 1M" \
		-c "aio_write -P 2 1M 1M" -c "aio_write -P 3 2M 1M" \
		-c "aio_flush" -c "aio_read -P 1 0 1M" \
		-c "aio_read -P 2 1M 1M" -c "aio_read -P 3 2M 1M" \
		-c "aio_flush"' disk >out || return
	! grep -i 'fail\|error' out
}

qemu_io_is_refused_writes_to_a_read_only_export() {
	image disk
	serve 'qemu-io -f raw -r "$uri" -c "read -P 0 0 4k"' --read-only disk ||
		return
	! serve 'qemu-io -f raw "$uri" -c "write -P 1 0 4k"' --read-only disk \
		2>said && grep -qi 'read.only\|permitted' said &&
		cmp -n 4096 disk /dev/zero
}

qemu_img_converts_compares_and_maps() {
	random part 3000000
	image source
	dd if=part of=source bs=1M seek=20 conv=notrunc status=none
	image disk
	serve 'qemu-img convert -n -f raw -O raw -W -m 8 source "$uri" &&
	       qemu-img compare -f raw -F raw source "$uri" &&
	       qemu-img map -f raw "$uri"' disk && same source disk
}

qemu_img_makes_a_sparse_copy() {
	image source
	image disk
	serve 'qemu-img convert -n -f raw -O raw -S 4k source "$uri"' disk &&
		same source disk && [ "$(du -k disk | cut -f 1)" -lt 1024 ]
}

fio_job() {
	serve "fio --name=job --ioengine=nbd --uri=\"\$uri\" --size=32M \
		--output=fio.log $1" "${@:2}"
}

fio_verifies_random_writes() {
	image disk
	fio_job '--rw=randwrite --bs=4k --iodepth=64 --verify=crc32c \
		--verify_fatal=1' disk || { cat fio.log; return 1; }
}

fio_verifies_odd_sizes_from_few_slots() {
	image disk
	fio_job '--rw=randwrite --bsrange=512-700k --bs_unaligned=1 \
		--iodepth=16 --verify=crc32c --verify_fatal=1' \
		--slots 3 --max-connections 4 --max-memory 1100K disk ||
		{ cat fio.log; return 1; }
}

fio_verifies_writes_with_flushes_from_four_connections() {
	image disk
	fio_job '--rw=randwrite --bs=8k --iodepth=8 --numjobs=4 --size=8M \
		--offset_increment=8M --fsync=16 --verify=crc32c \
		--verify_fatal=1' disk || { cat fio.log; return 1; }
}

fio_verifies_direct_writes() {
	image disk
	fio_job '--rw=randwrite --bs=4k --iodepth=32 --verify=crc32c \
		--verify_fatal=1' --direct disk || { cat fio.log; return 1; }
}

check nbdinfo_reads_the_export_over_a_unix_socket nbdinfo
check nbdinfo_reads_the_export_over_tcp nbdinfo
check nbdinfo_starts_the_server_by_socket_activation nbdinfo
check nbdinfo_lists_the_export nbdinfo
check nbdinfo_sees_a_read_only_export nbdinfo
check nbdcopy_in_and_out_is_the_same nbdcopy
check nbdcopy_in_and_out_is_the_same_with_little_memory nbdcopy
image probe
if "$nbd" --direct --quiet --run true probe 2>/dev/null; then
	check nbdcopy_in_and_out_is_the_same_with_direct nbdcopy
	check fio_verifies_direct_writes fio
else
	for name in nbdcopy_in_and_out_is_the_same_with_direct \
		fio_verifies_direct_writes; do
		echo "skip $name: no O_DIRECT in ${TMPDIR:-/tmp}"
	done
fi
check qemu_io_writes_zeroes_discards_and_verifies qemu-io
if strace -o trace true 2>/dev/null; then
	check qemu_io_zeroes_although_interrupted qemu-io strace
else
	echo "skip qemu_io_zeroes_although_interrupted: no strace here"
fi
check qemu_io_aio_requests_run_together qemu-io
check qemu_io_is_refused_writes_to_a_read_only_export qemu-io
check qemu_img_converts_compares_and_maps qemu-img
check qemu_img_makes_a_sparse_copy qemu-img
check fio_verifies_random_writes fio
check fio_verifies_odd_sizes_from_few_slots fio
check fio_verifies_writes_with_flushes_from_four_connections fio
exit "$failed"
