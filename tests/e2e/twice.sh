#!/bin/bash
# SPDX-License-Identifier: MIT
#
# One name, one daemon, whoever comes when: started together, after a crash,
# and while an earlier one is going. Also who is told what: the ready pipe, the
# service manager, signals before and after.

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse
requires python3 flock

kill_if_there()
{
	pid_gone "$1" || kill -KILL "$1"
}

# Somebody keeps the run directory locked: not waited for forever. This goes on
# beside the rest.
mkdir "$tmp/locked"
exec 6<"$tmp/locked"
flock 6
sleep 600 >/dev/null 2>&1 & # the lock goes on with this one
locker=$!
exec 6<&-
UZRAM_RUNDIR=$tmp/locked "$UZRAMD" -s 16M locked 2>"$tmp/locked.log" &
locked=$!
on_exit kill_if_there $locked
on_exit kill_if_there $locker

# Eight at once, again and again: one serves, seven say why not. On a machine that
# stands still it may take the one longer to mount than the others wait for it.
why_not="is taken: |$UZRAM_RUNDIR: somebody else keeps it locked"
for round in 1 2 3 4 5; do
	pids=()
	rm -f "$tmp"/ready.* # what those before said
	for i in 1 2 3 4 5 6 7 8; do
		"$UZRAMD" -s 16M --ready-fd=9 one 9>"$tmp/ready.$i" \
			2>"$tmp/$round-$i.log" &
		pids+=($!)
		on_exit kill_if_there $!
	done
	for i in 1 2 3 4 5 6 7 8; do
		wait_until 60 test -s "$tmp/ready.$i" || fail "$i says nothing"
	done
	ready=$(grep -lx READY "$tmp"/ready.* | wc -l)
	taken=$(grep -lE "^(one )?($why_not)" "$tmp"/ready.* | wc -l)
	expect_equal "$ready $taken" '1 7' "round $round"
	expect_equal "$(grep -c " $UZRAM_RUNDIR/one " /proc/self/mountinfo)" 1 \
		'mounts'
	kill -TERM "$(cat "$UZRAM_RUNDIR/one/pid")"
	codes=
	for pid in "${pids[@]}"; do
		status=0
		wait "$pid" || status=$?
		codes="$codes $status"
	done
	expect_equal "$(echo "$codes" | tr ' ' '\n' | sort | xargs)" \
		'0 4 4 4 4 4 4 4' 'ends'
	expect_equal "$(ls -A "$UZRAM_RUNDIR")" '' 'left behind'
done

# uzramctl finds different names for those who come together.
on_exit remove_all
pids=()
for i in 1 2 3 4; do
	"$UZRAMCTL" add -s 16M >"$tmp/path.$i" &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	wait "$pid" || fail 'one of four at once was not added'
done
# The lowest, if nobody had to wait long for whom.
names=$(sed -n "s|^$UZRAM_RUNDIR/\(uz[0-9]\)/block\$|\1|p" "$tmp"/path.* |
	sort -u | xargs)
expect_equal "$(wc -w <<<"$names")" 4 "names of four at once, $names"
# shellcheck disable=SC2086 # words
"$UZRAMCTL" remove $names

remove_all()
{
	local dir

	for dir in "$UZRAM_RUNDIR"/*; do
		[ ! -d "$dir" ] || "$UZRAMCTL" remove --force "$dir"
	done
}

# kill_supervisor: of the device dead; returns when its worker is gone, too.
kill_supervisor()
{
	kill -KILL "$dev_pid"
	wait "$dev_pid" || true
	rm "$tmp/dead.pid"
	wait_until 60 is_dead "$dev_dir" || fail 'the worker goes on alone'
}

# After a crash the mount is dead: said so, cleared by remove ...
start_device dead -s 16M
kill_supervisor
expect_errno ENOTCONN cat "$dev_dir/disksize"
expect_fail_line 3 "its daemon has died; 'uzramctl remove dead'" \
	"$UZRAMCTL" stat dead
"$UZRAMCTL" 2>"$tmp/err" >"$tmp/out"
[ ! -s "$tmp/out" ] || fail 'a dead device is in the table'
grep -q 'its daemon has died' "$tmp/err" || fail 'the table keeps silent'
"$UZRAMCTL" remove dead
[ ! -e "$dev_dir" ] || fail 'a dead directory is left'

# ... or by the next daemon of that name, and by one only.
start_device dead -s 16M
kill_supervisor
start_device dead -s 32M
grep -q "cleared the mount of a daemon that died" "$tmp/dead.log" ||
	fail "nothing said: $(cat "$tmp/dead.log")"
expect_equal "$(cat "$dev_dir/disksize")" $((32 << 20)) 'the next one'
expect_equal "$(grep -c " $dev_dir " /proc/self/mountinfo)" 1 'mounts'
stop_device dead
expect_equal "$(ls -A "$UZRAM_RUNDIR")" '' 'left behind'

# Every signal that asks for the end, and an end by unmounting.
for signal in TERM INT; do
	start_device "by-$signal" -s 16M
	kill -"$signal" "$dev_pid"
	wait_until 60 pid_gone "$dev_pid" || fail "SIG$signal: it goes on"
	wait "$dev_pid" || fail "SIG$signal: status $?"
	rm "$tmp/by-$signal.pid"
	[ ! -e "$dev_dir" ] || fail "SIG$signal left the directory"
done
start_device by-umount -s 16M
# Somebody who looks at all that is mounted may be in there for a moment.
unmounted()
{
	umount "$dev_dir" || fusermount3 -u "$dev_dir"
}
wait_until 60 unmounted || fail 'it cannot be unmounted'
wait_until 60 pid_gone "$dev_pid" || fail "unmounted: it goes on"
wait "$dev_pid" || fail "unmounted: status $?"
rm "$tmp/by-umount.pid"
[ ! -e "$dev_dir" ] || fail 'unmounting left the directory'

# A starter that does not wait for the answer.
mkfifo "$tmp/fifo"
exec 8<>"$tmp/fifo"
"$UZRAMD" -s 16M --ready-fd=9 deaf 9>"$tmp/fifo" 2>"$tmp/deaf.log" &
echo $! >"$tmp/deaf.pid"
exec 8<&-
on_exit end_device deaf
wait_until 60 test -e "$UZRAM_RUNDIR/deaf/block" || fail 'deaf does not serve'
stop_device deaf

# The service manager's protocol, on a path and on an abstract name. What it is
# to keep is in store.sh; this one keeps nothing.
cat >"$tmp/manager.py" <<'END'
import os, socket, sys

name = sys.argv[1]
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.settimeout(60)
sock.bind("\0" + name[1:] if name[0] == "@" else name)
print("listening", flush=True)
for i in range(2):
    print(sock.recv(4096).decode().replace("\n", " "), flush=True)
END
for name in "$tmp/notify" "@${tmp##*/}"; do
	rm -f "$tmp/heard" # what the one before said
	python3 "$tmp/manager.py" "$name" >"$tmp/heard" 2>"$tmp/manager.log" &
	manager=$!
	on_exit kill_if_there $manager
	wait_until 60 grep -qs listening "$tmp/heard" || fail 'no listener'
	FDSTORE=0 NOTIFY_SOCKET=$name start_device notified -s 16M
	stop_device notified
	wait $manager || fail 'a datagram was lost'
	expect_equal "$(sed -n 2p "$tmp/heard")" \
		"READY=1 STATUS=Serving $UZRAM_RUNDIR/notified" 'first datagram'
	expect_equal "$(sed -n 3p "$tmp/heard" | cut -d' ' -f1)" STOPPING=1 \
		'second datagram'
done

status=0
wait $locked || status=$?
expect_equal "$status $(cat "$tmp/locked.log")" \
	"4 uzramd locked: $tmp/locked: somebody else keeps it locked" 'locked'
expect_equal "$(ls -A "$tmp/locked")" '' 'left in the locked directory'
