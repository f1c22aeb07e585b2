#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A machine must tell what it could not run: a script that is skipped in the
# guest is skipped here, or has failed where UZ_MUST_WORK says so, and one that
# calls a program which the image has not has failed. Of one that hangs it must
# tell where.

. "$(dirname "$0")/../e2e/functions.sh" || exit 1

# ends STATUS ARGUMENTS...: of run.sh, but for the kernel.
ends()
{
	local wanted=$1 status=0

	shift
	"$here/run.sh" -l "$1" sid "${@:2}" >"$tmp/run.log" 2>&1 || status=$?
	[ $status -ne 77 ] || grep -q '^skip vm/' "$tmp/run.log" || {
		cat "$tmp/run.log" >&2
		exit 77 # there is no machine
	}
	[ $status -eq "$wanted" ] ||
		fail "$*: status $status, wanted $wanted"
}

export UZ_MUST_WORK=${UZ_MUST_WORK-}
ends 77 200 vm/planted/skip
UZ_MUST_WORK=${UZ_MUST_WORK:+$UZ_MUST_WORK,}planted
# Long enough for a slow machine to come to the one that hangs.
ends 1 75 vm/planted/skip vm/planted/program vm/planted/hang
grep -q '^not ok vm/planted/skip (status 1,' "$tmp/run.log" ||
	fail 'the skip was no failure'
grep -q '^not ok vm/planted/program (no program no-such-program)' \
	"$tmp/run.log" || fail 'nobody missed the program'
grep -q ' s, .*hang.sh:[0-9]*: step_that_hangs$' "$tmp/run.log" ||
	fail 'nobody can tell what hung'
grep -q ' sleep: S (sleeping), sleep 1000' "$tmp/run.log" ||
	fail 'nobody can tell who hung'
