#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A device for one command: it is there before the command and gone after it,
# whatever became of the command. And the doctor, who looks at all of it.

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse
requires python3

# status_of COMMAND...: how it ends, with what it said in $tmp/said.
status_of()
{
	local status=0

	"$@" >"$tmp/said" 2>&1 || status=$?
	echo "$status"
}

nothing_left()
{
	expect_equal "$(ls -A "$UZRAM_RUNDIR")" '' "left behind by $1"
}

run()
{
	"$UZRAMCTL" run -s 64M "$@"
}

# Others on this machine may have such a directory.
run_dirs()
{
	ls -d /tmp/uzram-run-* 2>/dev/null || true
}
run_dirs >"$tmp/dirs"

# ---- the block file ----

expect_equal "$(status_of run -- sh -c "stat -c %s \"\$UZRAM_BLOCK\"; exit 7")" \
	7 'status of the command'
expect_equal "$(cat "$tmp/said")" $((64 << 20)) 'size of the device'
nothing_left 'a command that fails'
expect_equal "$(status_of run true)" 0 'success, without --'
expect_equal "$(status_of run -- sh -c "kill -KILL \$\$")" 137 'killed'
nothing_left 'a command that was killed'
expect_equal "$(status_of run -- "$tmp/nowhere")" 127 'no such command'
grep -q "$tmp/nowhere: No such file" "$tmp/said" || fail 'no reason given'
expect_equal "$(status_of run -- "$tmp")" 126 'a directory'
nothing_left 'no command'
expect_fail_line 2 'usage: uzramctl run' "$UZRAMCTL" run
expect_fail_line 2 'nosuch' "$UZRAMCTL" run -a nosuch -- true
nothing_left 'wrong options'

# Started by somebody who does not want to hear of children, and hands that on.
deaf='import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])'
expect_equal "$(status_of timeout 60 python3 -c "$deaf" \
	"$UZRAMCTL" run -s 64M -- sh -c 'exit 5')" \
	5 'status of a command whose end nobody wants to hear of'
nothing_left 'a command whose end nobody wants to hear of'

# ---- a signal is the command's business ----

cat >"$tmp/command" <<'END'
trap 'echo ended >"$0.ended"; exit 3' TERM
touch "$0.ready"
while :; do sleep 0.05; done
END
"$UZRAMCTL" run -s 64M -- bash "$tmp/command" &
pid=$!
wait_until 60 test -e "$tmp/command.ready" || fail 'it never began'
kill -TERM $pid
status=0
wait $pid || status=$?
expect_equal $status 3 'status after SIGTERM'
[ -e "$tmp/command.ended" ] || fail 'the command was not told'
nothing_left SIGTERM

# ---- a file system ----

if [ "$(id -u)" = 0 ]; then
	requires_loop
	requires mkfs.ext4
	expect_equal "$(status_of run --mkfs ext4 -- sh -c "
		test \"\$PWD\" = \"\$UZRAM_DIR\" && cp '$UZRAMD' copy &&
		cmp copy '$UZRAMD' && findmnt -no FSTYPE .")" 0 'in a file system'
	expect_equal "$(cat "$tmp/said")" ext4 'its type'
	expect_equal "$(status_of run --mkfs nosuch -- true)" 5 'no such mkfs'
	nothing_left 'a file system'
	expect_equal "$(run_dirs | comm -13 "$tmp/dirs" -)" '' 'directories left'
fi

# ---- the doctor ----

"$UZRAMCTL" doctor >"$tmp/doctor" || fail "doctor: $(cat "$tmp/doctor")"
for thing in /dev/fuse fusermount3 'run directory' io_uring 'loop devices' \
	memory CPUs 'idle CPUs'; do
	grep -Eq "^(ok|note) +$thing " "$tmp/doctor" ||
		fail "doctor says nothing of $thing: $(cat "$tmp/doctor")"
done
if [ "$(id -u)" = 0 ]; then
	# An ordinary user whom the device file is closed to.
	mode=$(stat -c %a /dev/fuse)
	if [ "$mode" = 600 ]; then
		expect_equal "$(status_of setpriv --reuid 65534 --clear-groups \
			env -u XDG_RUNTIME_DIR "$UZRAMCTL" doctor)" 5 \
			'no way to a device'
		grep -q '^FAIL  /dev/fuse .*chmod 666' "$tmp/said" ||
			fail "doctor does not help: $(cat "$tmp/said")"
	fi
fi
