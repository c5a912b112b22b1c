#!/bin/bash
# SPDX-License-Identifier: MIT
#
# peal-nbd.exe under Wine, over TCP, against Linux's clients: libnbd's nbdinfo
# and nbdcopy, QEMU's qemu-img, fio. What is written is compared byte by byte.
# shellcheck source-path=SCRIPTDIR source=../harness.sh
. "$(dirname "$0")/../harness.sh"

nbd=$(realpath "$BUILD")/bin/peal-nbd.exe
cd "$work" || exit 2
if [ ! -x "$nbd" ]; then
	not_ok nbd_is_built "$nbd is not there"
	exit 1
fi
truncate -s 64M disk
head -c 64M /dev/urandom > random

mkfifo stderr
PEAL_ENGINE=iocp timeout 120 wine "$nbd" --port 0 --export disk disk \
	2> stderr < /dev/null &
server=$!
uri=
while [ -z "$uri" ] && read -r line; do
	echo "${line%$'\r'}" >> log
	uri=$(sed -n 's/.*ready at \(nbd:.*\)/\1/p' log)
done < <(timeout 60 cat stderr | tee rest)
if [ -z "$uri" ]; then
	not_ok nbd_starts "$(tail -n 3 log)"
	exit 1
fi
grep -q 'engine iocp' log && ok nbd_runs_on_completion_ports ||
	not_ok nbd_runs_on_completion_ports "$(cat log)"

reads_the_export()
{
	timeout 30 nbdinfo "$uri" > info &&
		grep -q 'export-size: 67108864' info
}

copies_in_and_out()
{
	timeout 60 nbdcopy random "$uri" && cmp random disk &&
		timeout 60 nbdcopy "$uri" out && cmp random out
}

converts_and_compares()
{
	timeout 60 qemu-img convert -n -f raw -O raw random "$uri" &&
		timeout 60 qemu-img compare -f raw -F raw random "$uri"
}

verifies_random_writes()
{
	timeout 60 fio --name=w --ioengine=nbd --uri="$uri" --rw=randwrite \
		--bs=4k --iodepth=16 --size=64M --io_size=8M --verify=crc32c \
		--do_verify=1 --fsync=64
}

holds nbdinfo_reads_the_export reads_the_export
holds nbdcopy_in_and_out_is_the_same copies_in_and_out
if command -v qemu-img > /dev/null; then
	holds qemu_img_finds_no_difference converts_and_compares
else
	skip qemu_img_finds_no_difference "qemu-img is not installed"
fi
if fio --enghelp=nbd > /dev/null 2>&1; then
	holds fio_verifies_what_it_wrote verifies_random_writes
else
	skip fio_verifies_what_it_wrote "this fio has no nbd engine"
fi

# Wine hands SIGINT on as the console's Ctrl-C.
kill -INT "$(pgrep -P $server | head -n 1)" 2> kill.log
if wait $server; then
	ok nbd_stops_at_ctrl_c
else
	not_ok nbd_stops_at_ctrl_c "status $?, $(tail -n 3 rest) $(cat kill.log)"
fi
