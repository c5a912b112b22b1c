#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Each public header compiles alone, as C99 and as C++11, without a warning; a
# header that changes rebuilds what includes it. Windows' own header by the
# cross compiler, and peal.h again.
# shellcheck source-path=SCRIPTDIR source=harness.sh
. "$(dirname "$0")/harness.sh"

compiles()
{
	local language=$1 standard=$2 compiler=$3 header=$4
	local isystem

	isystem=$(pkg-config --cflags-only-I liburing 2>/dev/null)
	echo "#include \"${header#include/}\"" > "$work/alone"
	# shellcheck disable=SC2086 # a compiler may come with arguments
	$compiler -x "$language" -std="$standard" -D_GNU_SOURCE -pedantic \
		-Wall -Wextra -Werror -Iinclude ${isystem//-I/-isystem } \
		-fsyntax-only "$work/alone"
}

mingw=${MINGW:-x86_64-w64-mingw32-}
for header in include/peal.h include/peal/windows.h; do
	name=${header#include/}
	name=${name//[\/.]/_}
	if command -v "${mingw}g++" > /dev/null; then
		holds "${name}_compiles_for_windows_as_c99" \
			compiles c c99 "${mingw}gcc" "$header"
		holds "${name}_compiles_for_windows_as_cxx11" \
			compiles c++ c++11 "${mingw}g++" "$header"
	else
		skip "${name}_compiles_for_windows" "no ${mingw}g++"
	fi
done

for header in include/peal.h include/peal/*.h; do
	[ "$header" = include/peal/windows.h ] && continue
	name=${header#include/}
	name=${name//[\/.]/_}
	holds "${name}_compiles_alone_as_c99" compiles c c99 "$CC" "$header"
	if command -v "${CXX%% *}" > /dev/null; then
		holds "${name}_compiles_alone_as_cxx11" \
			compiles c++ c++11 "$CXX" "$header"
	else
		skip "${name}_compiles_alone_as_cxx11" "no $CXX"
	fi
done

# make is asked what it would do if the header had just been changed.
rebuilt_after()
{
	make -n lib tests examples BUILD="$BUILD" SAN="$SAN" V=1 -W "$1" |
		grep -c -e ' -c '
}

nothing_new=$(rebuilt_after README.md)
all=$(rebuilt_after include/peal/op.h)
some=$(rebuilt_after test/harness.h)
if [ "$nothing_new" != 0 ]; then
	skip changed_header_rebuilds_what_includes_it \
		"$nothing_new files are not up to date in $BUILD"
elif [ "$all" -gt 20 ] && [ "$some" -gt 5 ] && [ "$some" -lt "$all" ]; then
	ok changed_header_rebuilds_what_includes_it
else
	not_ok changed_header_rebuilds_what_includes_it \
		"op.h rebuilds $all files, test/harness.h $some"
fi
