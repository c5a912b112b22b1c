#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The table "what runs where" in README.md is what test/ops/what_runs.c prints;
# `test/check_ops.sh write` puts it there. Every public op stands in one row of
# the op table.
#
# The column for Windows is compared by test/windows/check_ops.sh; here it stays
# as it is, or as `write FILE` has it.
# shellcheck source-path=SCRIPTDIR source=harness.sh
. "$(dirname "$0")/harness.sh"
unset PEAL_ENGINE PEAL_DISABLE

# shellcheck source=ops/readme.sh
. test/ops/readme.sh

libs=$(pkg-config --libs liburing 2> /dev/null || echo -luring)
compile()
{
	# shellcheck disable=SC2086 # lists of arguments
	$CC -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror \
		${SAN:+-fsanitize=$SAN} -Iinclude -I. -o "$work/what_runs" \
		test/ops/what_runs.c "$BUILD/libpeal.a" $libs -pthread
}

make_table()
{
	"$work/what_runs" uring epoll > "$work/linux" || return 1
	if [ -s "${1-}" ]; then
		cp "$1" "$work/windows"
	else
		table_of_readme | column_of Windows > "$work/windows"
	fi
	"$work/what_runs" sim > "$work/sim" || return 1
	awk -F '|' '
		!($1 in line)	{ order[++count] = $1; line[$1] = "| " $1 }
		FNR == 1	{ n = NF }
		n > 1		{ for (i = 2; i <= n; i++) {
					cells[$1]++
					line[$1] = line[$1] " | " $i } }
		FNR == 1	{ columns += n - 1 }
		END		{ for (i = 1; i <= count; i++) {
					while (cells[order[i]]++ < columns)
						line[order[i]] = \
							line[order[i]] " | ?"
					print line[order[i]] " |"
					if (i > 1) continue
					for (j = 0; j <= columns; j++)
						printf "|---"
					print "|" } }
	' "$work/linux" "$work/windows" "$work/sim" > "$work/table"
}

write()
{
	awk -v begin="$begin" -v end="$end" -v table="$work/table" '
		$0 == end	{ on = 0 }
		!on		{ print }
		$0 == begin	{ on = 1
				  while ((getline line < table) > 0) print line
				}' README.md > "$work/readme" &&
		cat "$work/readme" > README.md
}

if ! compile > "$work/log" 2>&1 || ! make_table "${2-}"; then
	not_ok what_runs_where_is_printed "it does not compile or run:"
	cat "$work/log"
	exit 1
fi
[ "${1-}" = write ] && write
awk -v begin="$begin" -v end="$end" '$0 == end { on = 0 } on { print }
	$0 == begin { on = 1 }' README.md > "$work/stands"
if diff "$work/stands" "$work/table" > "$work/diff"; then
	ok readme_says_what_runs_where
else
	not_ok readme_says_what_runs_where \
		"not as the op table has it; run: test/check_ops.sh write"
	cat "$work/diff"
fi

# A function that starts an op: its prototype begins with peal_op.
for header in include/peal/*.h; do
	[ "$header" = include/peal/windows.h ] && continue
	$CC -E -P -D_GNU_SOURCE -Iinclude "$header"
done | tr '\n\t' '  ' | grep -o -E 'peal_op peal_[a-z0-9_]+ *\(' |
	sed 's/peal_op peal_//;s/ *(//' | grep -v '^uring_submit$' | sort -u \
	> "$work/declared"
tail -n +2 "$work/linux" | cut -d '|' -f 1 | tr ',' '\n' | tr -d ' ' | sort \
	> "$work/listed"
diff "$work/declared" "$work/listed" > "$work/diff"
nothing every_public_op_stands_in_one_row_of_the_op_table "$work/diff"
