#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The column for Windows of the table in README.md, printed by the library that
# was built for it; see test/check_ops.sh.
# shellcheck source-path=SCRIPTDIR source=../harness.sh
. "$(dirname "$0")/../harness.sh"
# shellcheck source=../ops/readme.sh
. test/ops/readme.sh
unset PEAL_ENGINE PEAL_DISABLE

printed=$BUILD/windows.table
wine "$BUILD/what_runs.exe" iocp 2> /dev/null | tr -d '\r' > "$printed"
table_of_readme | column_of Windows > "$work/stands"
if [ ! -s "$printed" ]; then
	not_ok readme_says_what_runs_on_windows "what_runs.exe prints nothing"
elif diff "$work/stands" "$printed" > "$work/diff"; then
	ok readme_says_what_runs_on_windows
else
	not_ok readme_says_what_runs_on_windows \
		"not as the op table has it; run: test/check_ops.sh write $printed"
	cat "$work/diff"
fi
