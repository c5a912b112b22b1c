# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The table "what runs where" as it stands in README.md.
begin='<!-- what runs where: test/check_ops.sh write -->'
end='<!-- end -->'

# Without bars at both ends, blanks around cells, and the ruler.
table_of_readme()
{
	awk -v begin="$begin" -v end="$end" '$0 == end { on = 0 }
		on && /^\|/ { print substr($0, 2, length($0) - 2) }
		$0 == begin { on = 1 }' README.md |
		sed 's/ *| */|/g;s/^ *//;s/ *$//' | grep -v '^-'
}

# column_of TITLE: of a table, the first column and the one with this title
column_of()
{
	awk -F '|' -v title="$1" 'NR == 1 { for (i = 1; i <= NF; i++)
			if ($i == title) at = i }
		at { print $1 "|" $at }'
}
