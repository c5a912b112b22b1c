# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the scripts here share; source it first. A script prints one line per
# check: `ok NAME`, `not ok NAME: why`, `skip NAME: reason`.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

SAN=${SAN-}
BUILD=${BUILD-build${SAN:+/san-${SAN//,/-}}}
CC=${CC-cc}
CXX=${CXX-c++}
export BUILD SAN CC CXX
unset MAKEFLAGS MFLAGS MAKELEVEL

work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

ok()
{
	echo "ok $1"
}

# A file that the programs under test print to: its end is shown with each
# failure, for one that is seen once in a log is to be understood from it.
said=

show_said()
{
	[ -z "$said" ] || tail -n 4 "$said" | sed 's/^/said: /'
}

# not_ok NAME WHY...: more lines of WHY are shown below.
not_ok()
{
	local name=$1
	shift
	echo "not ok $name: $*"
	show_said
}

skip()
{
	echo "skip $1: $2"
}

# holds NAME COMMAND...: it succeeds; its output is shown only if it does not.
holds()
{
	local name=$1
	shift
	if "$@" > "$work/holds" 2>&1; then
		ok "$name"
	else
		not_ok "$name" "$*"
		cat "$work/holds"
	fi
}

# nothing NAME FILE: FILE is empty, or its lines say what is wrong.
nothing()
{
	if [ -s "$2" ]; then
		echo "not ok $1: these:"
		cat "$2"
		show_said
	else
		ok "$1"
	fi
}
