#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Workers of a ublk disk are killed under verified load and on a mounted file
# system: nobody sees an error. The supervisor is killed, alone, with the worker
# and after the guard: users get errors, nothing hangs, nothing is left.
#
# UZ_KILLS: how often the worker is killed under each load (5). UZ_SEED repeats
# a run's moments.

. "$(dirname "$0")/../../e2e/functions.sh" || exit 1
. "$(dirname "$0")/disks.sh"

kills=${UZ_KILLS:-5}
seed=${UZ_SEED:-$RANDOM}

# another_than PID: a worker serves that is another one.
another_than()
{
	local now

	now=$(timeout 60 sed -n 's/^worker_pid //p' "$dev_dir/stat") || return 1
	[ -n "$now" ] && [ "$now" != "$1" ]
}

kill_worker()
{
	local old

	old=$(stat_of worker_pid)
	kill -KILL "$old"
	wait_until 100 another_than "$old" ||
		fail "seed $seed: no other worker took over from $old"
}

killer()
{
	local i

	RANDOM=$seed
	for ((i = 0; i < kills; i++)); do
		sleep 0.$((RANDOM % 6 + 3))
		kill_worker
	done
}

# killed_while COMMAND...: run it over and over while the worker is killed.
killed_while()
{
	local killer

	killer &
	killer=$!
	while ! pid_gone $killer; do
		"$@"
	done
	ends_within 5 $killer 'who kills workers'
	"$@"
}

# Others that ran in this machine may have had errors made for them.
dmesg -c >/dev/null

# ---- the worker is killed: nobody sees it ----

serve_disk one --size 128M --algorithm lz4
case $(stat_of survives) in
yes) ;;
*) missing ublk 'this kernel does not keep a disk without its server' ;;
esac
killed_while verify "$disk" 4k/40:16k/10:64k/30:512k/20
no_errors "$kills"
mkfs.ext4 -q "$disk"
mount_fs "$disk"
truncate -s 16M "$fs_dir/file"
killed_while verify "$fs_dir/file" 4k/40:16k/10:64k/50
cp -r /uzram "$fs_dir" &
copy=$!
kill_worker
ends_within 100 $copy 'copying'
kill_worker
no_errors $((2 * kills + 2))
(cd / && find uzram -type f -exec cmp {} "$fs_dir/{}" \;) >&2
unmount_fs "$fs_dir"
fsck.ext4 -fn "$disk" >"$tmp/fsck.log" 2>&1 ||
	fail "fsck: $(cat "$tmp/fsck.log")"
remove_disk one

# ---- the end of the supervisor is the end ----

# none_stuck: no task sleeps where it cannot be killed.
none_stuck()
{
	! grep -lE '^State:[[:space:]]D' /proc/[0-9]*/task/*/status 2>/dev/null |
		grep -q .
}

# use: the disk is mounted, open, and being read.
use()
{
	mkfs.ext4 -q "$disk"
	mount_fs "$disk"
	dd if=/dev/zero of="$fs_dir/file" bs=1M count=4 status=none
	sync
	exec 7<"$disk"
	while dd if="$disk" of=/dev/null bs=64k count=64 iflag=direct \
		status=none 2>/dev/null; do :; done &
	reader=$!
}

# ended: everybody has got errors and can let go.
ended()
{
	wait_until 100 pid_gone "$reader" || fail 'a reader goes on, or hangs'
	wait "$reader" || true
	expect_equal "$(timeout -k 1 100 dd bs=4k count=1 <&7 2>"$tmp/dd.log" |
		wc -c)" 0 'bytes read from a disk that is gone'
	wait_until 100 none_stuck || fail 'a task is stuck'
	unmount_fs "$fs_dir"
	exec 7<&-
	wait_until 100 no_disk || fail "left behind: $(ls /dev/ublk*)"
}

# guards: processes. Others may end while it looks.
guards()
{
	grep -lx uzramd-guard /proc/[0-9]*/comm 2>/dev/null | cut -d/ -f3 || true
}

has_guard()
{
	[ -n "$(guards)" ]
}

no_guard()
{
	[ -z "$(guards)" ]
}

# clear_up: of the daemon, its dead mount is left.
clear_up()
{
	timeout 100 "$UZRAMCTL" remove --force one
	wait_until 60 gone || fail "left behind: $(ls -d "$dev_dir")"
}

serve_disk one --size 64M
pid=$(cat "$dev_dir/pid")
use
kill -KILL "$pid"
ended
clear_up

# Its worker is dead already: the disk waits for another one.
serve_disk one --size 64M
pid=$(cat "$dev_dir/pid")
worker=$(stat_of worker_pid)
use
kill -STOP "$pid"
kill -KILL "$worker"
sleep 1
kill -KILL "$pid"
ended
clear_up

# ---- without the guard: who comes next ----

serve_disk one --size 64M
pid=$(cat "$dev_dir/pid")
wait_until 60 has_guard || fail 'no guard'
guard=$(guards)
use
kill -KILL "$guard"
kill_worker
kill -KILL "$pid"
wait_until 60 pid_gone "$pid" || fail 'the daemon is still there'
timeout 100 "$UZRAMCTL" remove --force one
ended

# Not even its mount is there.
serve_disk one --size 64M
pid=$(cat "$dev_dir/pid")
wait_until 60 has_guard || fail 'no guard'
kill -KILL "$(guards)"
kill -KILL "$pid"
wait_until 60 pid_gone "$pid" || fail 'the daemon is still there'
umount -l "$dev_dir"
rmdir "$dev_dir"
timeout 100 "$UZRAMCTL" doctor | grep -q '^ok *ublk .*; 1 left by daemons' ||
	fail 'doctor does not see the disk that is left'
timeout 100 "$UZRAMCTL" remove --force one
wait_until 60 no_disk || fail "left behind: $(ls /dev/ublk*)"
expect_fail_line 3 'no device one' "$UZRAMCTL" remove --force one

# ---- what the daemon itself deletes ----

serve_disk one --size 64M
kill_worker
remove_disk one
expect_equal "$(ls /dev/ublk*)" /dev/ublk-control 'nodes'
wait_until 60 no_guard || fail "guards left: $(guards)"
