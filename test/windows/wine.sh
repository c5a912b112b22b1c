# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Wine for the tests, with a world of its own under $BUILD. Source it: from then
# on `wine PROGRAM.exe` takes milliseconds, until wine_end.
WINEPREFIX=$(realpath "$BUILD")/wine
WINEDEBUG=${WINEDEBUG--all}
WINEDLLOVERRIDES='mscoree=;mshtml=;winedbg.exe='
export WINEPREFIX WINEDEBUG WINEDLLOVERRIDES
unset DISPLAY

wine_begin()
{
	if [ ! -f "$WINEPREFIX/ready" ]; then
		rm -rf "$WINEPREFIX"
		mkdir -p "$WINEPREFIX"
		timeout 120 wineboot --init > "$WINEPREFIX.log" 2>&1 &&
			timeout 60 wineserver --wait &&
			: > "$WINEPREFIX/ready" || {
			cat "$WINEPREFIX.log"
			return 1
		}
	fi
	wineserver --persistent
}

wine_end()
{
	wineserver --kill > /dev/null 2>&1
}
