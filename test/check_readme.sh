#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The first program of README.md: it compiles as it stands there, is short, and
# prints what the block below it says.
# shellcheck source-path=SCRIPTDIR source=harness.sh
. "$(dirname "$0")/harness.sh"

# The first ```c block, and the ```text block if it is the next one.
awk -v code="$work/readme.c" -v text="$work/readme.txt" '
	/^```c$/ && !seen	{ seen = 1; out = code; next }
	/^```text$/ && seen == 2 { seen = 3; out = text; next }
	/^```/ && out != ""	{ out = ""; seen++; if (seen > 3) exit; next }
	/^```/ && seen == 2	{ exit }
	out != ""		{ print > out }
' README.md

if [ ! -s "$work/readme.c" ]; then
	not_ok readme_has_a_program "no \`\`\`c block in README.md"
	exit 1
fi
lines=$(wc -l < "$work/readme.c")
if [ "$lines" -le 30 ]; then
	ok readme_program_is_short
else
	not_ok readme_program_is_short "$lines lines"
fi

libs=$(pkg-config --libs liburing 2> /dev/null || echo -luring)
compile_readme()
{
	# shellcheck disable=SC2086 # lists of arguments
	$CC -std=c11 -Wall -Wextra -Werror ${SAN:+-fsanitize=$SAN} -Iinclude \
		-o "$work/readme" "$work/readme.c" "$BUILD/libpeal.a" $libs \
		-pthread
}

holds readme_program_compiles compile_readme
if [ ! -x "$work/readme" ]; then
	exit 1
elif ! "$work/readme" > "$work/out" 2>&1; then
	not_ok readme_program_runs "status $?"
	cat "$work/out"
elif [ ! -s "$work/readme.txt" ]; then
	skip readme_program_prints_what_it_says "README.md says nothing"
else
	holds readme_program_prints_what_it_says \
		diff "$work/readme.txt" "$work/out"
fi
