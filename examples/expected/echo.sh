#!/bin/bash
# SPDX-License-Identifier: MIT
exec 4< <("${BUILD:-build}"/examples/echo 0 3 2>/dev/null)
read -r -u 4 word port
echo "$word"

for line in hello "a second line" ""; do
	exec 3<> "/dev/tcp/127.0.0.1/$port" || exit 1
	echo "$line" >&3
	read -r -u 3 reply
	exec 3>&-
	[ "$reply" = "$line" ] && echo "came back: '$reply'"
done
cat <&4
