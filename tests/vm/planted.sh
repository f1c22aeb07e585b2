#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A machine must tell what it could not run: a script that is skipped in the
# guest is skipped here, or has failed where UZ_MUST_WORK says so, and one that
# calls a program which the image has not has failed.

. "$(dirname "$0")/../e2e/functions.sh" || exit 1

# ends STATUS SCRIPT...
ends()
{
	local wanted=$1 status=0

	shift
	"$here/run.sh" sid "$@" >"$tmp/run.log" 2>&1 || status=$?
	[ $status -ne 77 ] || grep -q '^skip vm/' "$tmp/run.log" || {
		cat "$tmp/run.log" >&2
		exit 77 # there is no machine
	}
	[ $status -eq "$wanted" ] ||
		fail "$*: status $status, wanted $wanted"
}

export UZ_MUST_WORK=${UZ_MUST_WORK-}
ends 77 vm/planted/skip
UZ_MUST_WORK=${UZ_MUST_WORK:+$UZ_MUST_WORK,}planted
ends 1 vm/planted/skip vm/planted/program
grep -q '^not ok vm/planted/skip (status 1,' "$tmp/run.log" ||
	fail 'the skip was no failure'
grep -q '^not ok vm/planted/program (no program no-such-program)' \
	"$tmp/run.log" || fail 'nobody missed the program'
