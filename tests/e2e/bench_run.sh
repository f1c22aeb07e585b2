# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# For scripts that run uzram-bench: where it works, and whether it has taken
# everything down.
#
# shellcheck disable=SC2154 # functions.sh has variables

bench=$build_root/tools/uzram-bench
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

# ended_by_signal CONDITION OPTION...: a run is ended when the command CONDITION
# succeeds; once more if it came to its end before.
ended_by_signal()
{
	local condition=$1 pid status i

	shift
	for ((i = 0; i < 5; i++)); do
		# What the run before wrote is not to be taken for its own.
		: >"$tmp/bench.log"
		"$bench" "$@" >"$tmp/out" 2>"$tmp/bench.log" &
		pid=$!
		on_exit kill_bench "$pid"
		wait_until 100 one_of "$condition" "$pid" ||
			fail 'it does not begin'
		kill -TERM "$pid" 2>/dev/null || true
		status=0
		wait "$pid" || status=$?
		[ "$status" = 0 ] || break
	done
	[ "$status" = 130 ] ||
		fail "after a signal it ended with $status, not 130"
	nothing_left 'a signal'
}

# one_of CONDITION PID: it succeeds, or the process has ended.
one_of()
{
	"$1" || pid_gone "$2"
}

kill_bench()
{
	kill "$1" 2>/dev/null
}
