#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The process that takes apart what a dead worker had mapped: each worker has
# one, and none is left that nobody waits for, whatever ends the worker or the
# device. While one is held up, other workers serve.

. "${0%/*}/functions.sh"
requires_fuse
ulimit -c 0

# heirs: of this device, with their state and group. Zombies too.
heirs()
{
	ps -o pid=,stat=,pgid=,comm= --ppid "$dev_pid" |
		awk '$4 == "uzramd-heir" { print $1, substr($2, 1, 1), $3 }'
}

# one_heir: of the worker that serves now, asleep, and no other. A new one may
# still be on its way to sleep.
one_heir()
{
	read -r heir state group <<<"$(heirs)" &&
		[ "$(heirs | wc -l)" = 1 ] && [ "$state" = S ] &&
		[ "$group" = "$(worker_pid)" ]
}

# replaced PID: another worker than that serves
replaced()
{
	local now

	now=$(worker_pid) && [ "$now" != "$1" ]
}

# is_stopped PID: SIGSTOP has reached it.
is_stopped()
{
	[[ "$(ps -o stat= -p "$1")" = T* ]]
}

# upgraded: a step of it that takes too long, as on a busy machine, is undone.
upgraded()
{
	"$UZRAMCTL" upgrade first >/dev/null 2>"$tmp/upgrade.log"
}

start_device first -s 64M
[ -n "$(heirs)" ] || missing commands 'built without libseccomp'
wait_until 60 one_heir || fail "a worker's heirs: $(heirs)"
descriptors=("/proc/$heir/fd"/*)
expect_equal ${#descriptors[@]} 1 'descriptors of an heir'
make_text $((4 << 20)) "$tmp/text"
dd if="$tmp/text" of="$dev_block" bs=1M oflag=direct conv=notrunc status=none
grep -q '^survives yes' "$dev_dir/stat" ||
	missing fuse 'requests do not survive a worker on this kernel'

# It goes when the worker has died, of whatever, or left.
for signal in KILL SEGV ABRT; do
	worker=$(worker_pid)
	kill -s $signal "$worker"
	wait_until 60 replaced "$worker" || fail "SIG$signal: the same worker"
	wait_until 60 one_heir || fail "after SIG$signal: $(heirs)"
done
if [ -x "$UZRAMCTL" ]; then
	wait_until 60 upgraded || fail "upgrade: $(cat "$tmp/upgrade.log")"
	wait_until 60 one_heir || fail "after an upgrade: $(heirs)"
fi

# One that does not get on: other workers serve meanwhile, with heirs.
stopped=$heir
kill -STOP "$stopped"
wait_until 60 is_stopped "$stopped" || fail 'it cannot be stopped'
for ((i = 0; i < 2; i++)); do
	worker=$(worker_pid)
	kill -KILL "$worker"
	expect_same "$tmp/text" <(head -c 4M "$dev_block")
	wait_until 60 replaced "$worker" || fail 'stopped: the same worker'
	is_stopped "$stopped" || fail 'it goes on'
done
kill -CONT "$stopped"
wait_until 60 one_heir || fail "after one was held up: $(heirs)"

# Somebody kills it, as if it were the one that takes the memory.
kill -KILL "$heir"
expect_same "$tmp/text" <(head -c 4M "$dev_block")
worker=$(worker_pid)
kill -KILL "$worker"
expect_same "$tmp/text" <(head -c 4M "$dev_block")
wait_until 60 one_heir || fail "after one was killed: $(heirs)"

# None is left behind, be it held up or not.
last=$heir
stop_device first
pid_gone "$last" || fail 'after the end: an heir is left'
start_device second -s 64M
wait_until 60 one_heir || fail "of the second device: $(heirs)"
kill -STOP "$heir"
stop_device second
pid_gone "$heir" || fail 'after the end: one that was stopped is left'

# Whoever swaps to the device needs the memory that it would hold.
start_device swap -s 64M -o swap=on
expect_equal "$(heirs)" '' 'heirs with swap=on'
stop_device swap

# The supervisor is killed, and so the worker.
start_device third -s 64M
wait_until 60 one_heir || fail "of the third device: $(heirs)"
worker=$(worker_pid)
kill -KILL "$dev_pid"
wait "$dev_pid" 2>/dev/null || true
rm "$tmp/third.pid"
wait_until 60 pid_gone "$heir" || fail 'without a supervisor: an heir is left'
wait_until 60 pid_gone "$worker" || fail 'without a supervisor: a worker is left'
unmount_dead "$dev_dir"
