#!/bin/bash
# SPDX-License-Identifier: MIT
#
# CPUs that do not halt while a device is in use (the option awake): the kernel
# is asked so while requests come, not before and not afterwards, nor by a worker
# that was killed. Who may not ask says so once, and serves.

. "${0%/*}/functions.sh"
requires_root
requires_fuse
. "${0%/*}/machine.sh"
requires python3
cpu_latency_opens ||
	missing commands 'cannot open /dev/cpu_dma_latency'

awake()
{
	stat_of awake
}

# asks PID: has it the file open by which one asks?
asks()
{
	local fd

	for fd in "/proc/$1/fd"/*; do
		[ "$(readlink "$fd")" != /dev/cpu_dma_latency ] || return 0
	done
	return 1
}

# The least that anybody of the whole machine asks for.
latency()
{
	python3 -c 'import struct
print(struct.unpack("i", open("/dev/cpu_dma_latency", "rb").read(4))[0])'
}

at_once()
{
	[ "$(latency)" = 0 ]
}

not_at_once()
{
	[ "$(latency)" != 0 ]
}

# Reads until it is ended; a worker that dies does not fail one.
use()
{
	while dd if="$dev_block" of=/dev/null bs=4096 iflag=direct status=none
	do :; done
	echo "a read failed" >"$tmp/use.log"
}

end_use()
{
	kill "$user" 2>/dev/null || true
}

halts=off
[ "$(cat /sys/devices/system/cpu/cpuidle/current_driver 2>/dev/null)" != \
	haltpoll ] ||
	[ "$(cat /sys/module/haltpoll/parameters/guest_halt_poll_ns)" != 0 ] ||
	halts=on

start_device none -s 16M
expect_equal "$(awake)" off 'as a rule'
stop_device none
start_device swap -s 16M -o swap=on
expect_equal "$(awake)" $halts 'with swap=on'
stop_device swap
start_device off -s 16M -o swap=on -o awake=off
expect_equal "$(awake)" off 'with awake=off'
! asks "$(worker_pid)" || fail 'awake=off has the file open'
stop_device off

start_device on -s 16M -o awake=on
expect_equal "$(awake)" on 'with awake=on'
asks "$(worker_pid)" || fail 'awake=on has not the file open'
# Of others of this machine nobody asks for ever.
wait_until 60 not_at_once ||
	fail 'it is asked for before anybody uses the device'
use &
user=$!
on_exit end_use
wait_until 60 at_once || fail 'it is not asked for while the device is in use'
worker=$(worker_pid)
kill -KILL "$worker"
wait_until 60 pid_gone "$worker" || fail 'the worker does not die'
# Which is answered when the one before it is gone with all that it asked for.
[ "$(worker_pid)" != "$worker" ] || fail 'no other worker'
wait_until 60 at_once || fail 'the next worker does not ask'
expect_equal "$(awake)" on 'of the next worker'
end_use
wait "$user" || true
wait_until 60 not_at_once || fail 'it is asked for when nobody uses the device'
stop_device on

[ ! -e "$tmp/use.log" ] || fail 'a read failed'

# Machines where it cannot be had: the device serves, and a line says so once.
# shellcheck disable=SC2016 # it expands in there
said=$(machine '
	path=$(uzramctl add -s 16M -o awake=on dev)
	stat=${path%/block}/stat
	kill -KILL $(sed -n "s/^worker_pid //p" $stat)
	dd if=$path of=/dev/null bs=4096 count=1 status=none
	grep "^awake" $stat
	uzramctl remove dev' 2>&1) || fail "$said"
expect_equal "$(grep -c 'awake=on: not possible (No such file' <<<"$said")" 1 \
	"lines that say so in: $said"
grep -qx 'awake off' <<<"$said" || fail "$said"
