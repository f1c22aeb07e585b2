# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# For scripts that run uzram-bench on devices of ours: where it works, and
# whether it has taken everything down.
#
# shellcheck disable=SC2154 # functions.sh has variables

bench=$build_root/tools/uzram-bench
requires_fuse
requires python3
[ -x "$bench" ] || missing commands "$bench was not built"

export TMPDIR=$tmp/work
mkdir "$TMPDIR"

# nothing_left AFTER-WHAT
nothing_left()
{
	! grep -F "$TMPDIR" /proc/self/mountinfo ||
		fail "$1: something is still mounted"
	[ -z "$(ls -A "$TMPDIR")" ] || fail "$1: $(ls -A "$TMPDIR") is left"
}

# ended_by_signal CONDITION...: a run in the background ($!) is ended when
# CONDITION holds.
ended_by_signal()
{
	local pid=$! status=0

	on_exit kill "$pid"
	wait_until 60 "$@" || fail 'it does not begin'
	kill -TERM "$pid"
	wait "$pid" || status=$?
	[ "$status" = 130 ] ||
		fail "after a signal it ended with $status, not 130"
	nothing_left 'a signal'
}
