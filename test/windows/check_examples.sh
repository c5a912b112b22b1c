#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The teaching programs, built for Windows, print under Wine what they print on
# Linux: the same examples/expected, where NAME.windows.txt says what differs.
# shellcheck source-path=SCRIPTDIR source=../harness.sh
. "$(dirname "$0")/../harness.sh"

built=$(realpath "$BUILD")/examples
mkdir "$work/examples"
for source in examples/*.c; do
	name=$(basename "$source" .c)
	# Lines end in CR LF there; what cat copies is no text.
	filter='| sed -u "s/\r$//"'
	[ "$name" = cat ] && filter=
	printf '#!/bin/bash\nset -o pipefail\nwine "%s" "$@" %s\n' \
		"$built/$name.exe" "$filter" > "$work/examples/$name"
	chmod 755 "$work/examples/$name"
done

for source in examples/*.c; do
	name=$(basename "$source" .c)
	expected=examples/expected/$name
	if [ "$name" = simulate ]; then
		skip "example_$name" "the simulated machine is not in this library"
		continue
	fi
	if [ ! -x "$built/$name.exe" ]; then
		not_ok "example_$name" "$built/$name.exe is not built"
		continue
	fi
	BUILD=$work PEAL_ENGINE=iocp timeout -k 5 120 bash "$expected.sh" \
		2> "$work/err" < /dev/null | tr -d '\r' > "$work/out"
	[ -f "$expected.windows.txt" ] && expected+=.windows
	if diff "$expected.txt" "$work/out" > "$work/diff"; then
		ok "example_$name"
	else
		not_ok "example_$name" "prints something else:"
		cat "$work/diff" "$work/err"
	fi
done
