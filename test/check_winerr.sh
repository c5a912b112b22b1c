#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The numbers in shim/winerr.c are those that Windows' headers give the names
# beside them: an assertion for each, for the cross compiler.
# shellcheck source-path=SCRIPTDIR source=harness.sh
. "$(dirname "$0")/harness.sh"

mingw=${MINGW:-x86_64-w64-mingw32-}
# What mingw-w64's headers lack.
lacking=' ERROR_DISK_QUOTA_EXCEEDED '

# Prints CODE NAME for each entry of the table.
entries()
{
	sed -n 's/^\t{ \([0-9a-fx]*\), E[A-Z]* },\{0,1\}[ \t]*\/\* \([A-Z0-9_]*\).*/\1 \2/p' \
		shim/winerr.c
}

assertions()
{
	local code name

	printf '#define WIN32_NO_STATUS\n#include <winsock2.h>\n'
	printf '#include <windows.h>\n#undef WIN32_NO_STATUS\n'
	printf '#include <ntstatus.h>\n'
	entries | while read -r code name; do
		case $code,$name in
		*,WSA* | *,WAIT_*) ;;
		0x*) name=STATUS_$name ;;
		*) name=ERROR_$name ;;
		esac
		[[ $lacking == *" $name "* ]] ||
			echo "_Static_assert((unsigned)$name == ${code}u, \"\");"
	done
}

agree()
{
	assertions > "$work/winerr.c"
	"${mingw}gcc" -std=c11 -fsyntax-only "$work/winerr.c"
}

all_have_names()
{
	[ "$(entries | wc -l)" = "$(grep -c '^	{ [0-9]' shim/winerr.c)" ]
}

holds every_windows_error_has_its_name_beside_it all_have_names
if command -v "${mingw}gcc" > /dev/null; then
	holds windows_errors_have_the_numbers_of_the_headers agree
else
	skip windows_errors_have_the_numbers_of_the_headers "no ${mingw}gcc"
fi
