#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the library's objects define, want and print; what the tree must not
# contain.
# shellcheck source-path=SCRIPTDIR source=harness.sh
. "$(dirname "$0")/harness.sh"

lib=$BUILD/libpeal.a

# --- symbols ---------------------------------------------------------------

# A sanitizer adds symbols of its own, with names no C program can have.
nm -g --defined-only "$lib" | awk 'NF == 3 { print $3 }' |
	grep -v -E '^(__|_|.*\.)?(asan|ubsan|odr_asan)' | sort -u \
	> "$work/defined"
grep -v -E '^peal_' "$work/defined" > "$work/foreign"
nothing library_defines_only_names_that_begin_with_peal "$work/foreign"

for object in "$BUILD"/obj/lib/*.o; do
	[ -f "lib/$(basename "$object" .o).c" ] || continue
	file=$(basename "$object" .o)
	nm -g --defined-only "$object" | awk 'NF == 3 && $2 != "T" {
		print "'"$file"'", $2, $3 }'
done | grep -v -E '\.|asan|ubsan' | grep -E ' [DBC] ' |
	grep -v -E ' peal__' > "$work/data"
nothing library_exports_no_variable "$work/data"

# Declared functions: every `peal_name(` of a declaration in the preprocessed
# headers that is neither a type's nor an inline function's.
for header in include/peal.h include/peal/uring.h include/peal/sim.h; do
	$CC -E -P -D_GNU_SOURCE -Iinclude "$header"
done | tr '\n\t' '  ' | sed 's/[;{}]/&\n/g' | grep -v typedef |
	grep -v 'static inline' |
	grep -o -E '\bpeal_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u \
	> "$work/declared"
grep -E '^peal_[^_]' "$work/defined" > "$work/public"
comm -23 "$work/declared" "$work/public" > "$work/missing"
comm -13 "$work/declared" "$work/public" > "$work/hidden"
nothing every_declared_function_is_defined "$work/missing"
nothing every_defined_function_is_declared "$work/hidden"
if [ "$(wc -l < "$work/declared")" -lt 40 ]; then
	not_ok headers_declare_functions "only $(wc -l < "$work/declared")"
else
	ok headers_declare_functions
fi

# --- the library prints nothing of its own -------------------------------------

# A stream is named only where misuse stops the program.
for object in "$BUILD"/obj/lib/*.o; do
	file=lib/$(basename "$object" .o).c
	[ -f "$file" ] || continue
	nm -u "$object" | grep -w -E 'std(out|err)|v?printf|puts|putchar|perror|v?dprintf|syslog' |
		sed "s|^ *U|$file wants|"
done > "$work/prints"
grep -v -E '^lib/(must|fork)\.c wants stderr' "$work/prints" > "$work/loud"
nothing library_prints_nothing_by_itself "$work/loud"

for object in "$BUILD"/obj/lib/*.o; do
	file=lib/$(basename "$object" .o).c
	[ -f "$file" ] || continue
	nm -u "$object" |
		grep -w -E 'exit|_exit|signal|sigaction|setlocale|putenv|setenv|chdir|umask' |
		sed "s|^ *U|$file wants|"
done > "$work/global"
nothing library_leaves_the_process_alone "$work/global"

# --- the tree --------------------------------------------------------------------

files()
{
	git ls-files 2> /dev/null | grep . ||
		find . -type f -not -path './build/*' -not -path './.git/*' |
		sed 's|^\./||'
}

# Prose, data and expected output say what they are by themselves.
files | grep -v -E '\.(md|txt|png|svg|csv|json)$|^LICENSE$|(^|/)README$|(^|/)\.git' |
	while read -r file; do
		[ -f "$file" ] || continue
		head -n 5 "$file" | grep -q 'SPDX-License-Identifier: MIT' ||
			echo "$file"
	done > "$work/licence"
nothing every_file_names_its_licence "$work/licence"

files | grep -E '\.(c|h|sh)$' > "$work/sources"
forbidden()
{
	xargs grep -n -E "$1" /dev/null < "$work/sources" |
		grep -v '^test/check_symbols.sh:' > "$work/found"
}

# The one that counts tests (harness_record.c) opens none.
forbidden 'tcase_add_unchecked_fixture\([a-z_]*, ([^n]|n[^e])'
nothing no_fixture_opens_a_ring_in_the_parent "$work/found"
forbidden '^[^/*]*\b(usleep|nanosleep|sleep) *\([0-9a-z]'
grep '^test/[^:]*\.[ch]:' "$work/found" > "$work/asleep"
nothing no_test_sleeps "$work/asleep"
forbidden '\b(gets|sprintf) *\('
grep -v '^test/' "$work/found" > "$work/unsafe"
nothing no_source_calls_what_cannot_be_called_safely "$work/unsafe"
xargs grep -n -E ' $|	$' /dev/null < "$work/sources" > "$work/found"
nothing no_line_ends_in_a_blank "$work/found"
