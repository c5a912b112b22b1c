# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the tests of peal-perf share: source it instead of harness.sh.
# shellcheck source-path=SCRIPTDIR source=harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

perf=$BUILD/bin/peal-perf
if [ ! -x "$perf" ]; then
	not_ok perf_is_built "$perf is not there"
	exit
fi
# cells FILE NAME...: those columns of each row of a CSV, with | between them. A
# field in quotes may hold commas.
cells()
{
	local file=$1
	shift
	awk -v want="$*" '
	function split_line(line,  i, c, n, inside) {
		n = 1
		fields[1] = ""
		for (i = 1; i <= length(line); i++) {
			c = substr(line, i, 1)
			if (c == "\"")
				inside = !inside
			else if (c == "," && !inside)
				fields[++n] = ""
			else
				fields[n] = fields[n] c
		}
		return n
	}
	/^#/ { next }
	!head {
		head = split_line($0)
		for (i = 1; i <= head; i++)
			at[fields[i]] = i
		count = split(want, names, " ")
		next
	}
	{
		if (split_line($0) != head) {
			print "a row has other columns: " $0
			next
		}
		line = fields[at[names[1]]]
		for (i = 2; i <= count; i++)
			line = line "|" fields[at[names[i]]]
		print line
	}' "$file"
}

# column FILE NAME: of the rows of a CSV, `side value` lines.
column()
{
	cells "$1" side "$2" | sed 's/|/ /'
}

# rows NAME FILE COUNT NUMBER: so many rows; each has the number, or a reason
# why there is none.
rows()
{
	local found
	found=$(column "$2" side | wc -l)
	if [ "$found" != "$3" ]; then
		not_ok "$1" "$found rows, not $3"
		return
	fi
	paste -d '|' <(column "$2" na) <(column "$2" "$4") |
		awk -F '|' '{
			split($1, na, " ")
			split($2, number, " ")
			if ((na[2] == "") != (number[2] + 0 > 0))
				print
		}' > "$work/bad"
	nothing "$1" "$work/bad"
}

# na NAME FILE SIDE PATTERN: this side has no number, for this reason.
na()
{
	if column "$2" na | grep -q "^$3 .*$4"; then
		ok "$1"
	else
		not_ok "$1" "$(column "$2" na | grep "^$3 ")"
	fi
}

# between NAME VALUE LOW HIGH
between()
{
	if awk -v v="$2" -v l="$3" -v h="$4" 'BEGIN { exit !(v >= l && v <= h) }'
	then
		ok "$1"
	else
		not_ok "$1" "$2 is not in $3 to $4"
	fi
}
