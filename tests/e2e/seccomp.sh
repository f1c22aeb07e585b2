#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What a worker has given up: the kernel confirms what stat claims. One that
# makes a system call that no worker makes, as if somebody had taken it over, is
# ended before the call does anything; another takes its place, and who uses the
# device notices nothing.

. "${0%/*}/functions.sh"
requires_fuse
rogue=$build_root/tests/e2e/librogue.so
[ -e "$rogue" ] || missing commands "$rogue was not built"

field()
{
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"
}

confinement()
{
	stat_of confinement
}

# cap_bit NUMBER: has the worker that capability?
cap_bit()
{
	(((0x$(field "$worker" CapEff) >> $1) & 1))
}

# What stat says of the worker is so for each of its threads.
check_claims()
{
	local task name

	worker=$(worker_pid)
	for task in "/proc/$worker/task"/*; do
		# A thread may end meanwhile: of the kernel's rings, say.
		cat "$task/status" >"$tmp/task" 2>/dev/null || continue
		name=$(sed -n 's/^Name:[[:space:]]*//p' "$tmp/task")
		expect_equal "$(sed -n 's/^NoNewPrivs:[[:space:]]*//p' \
			"$tmp/task")" 1 "no_new_privs of $name"
		expect_equal "$(sed -n 's/^Seccomp:[[:space:]]*//p' \
			"$tmp/task")" "$1" "seccomp of $name"
	done
	[ "$(id -u)" = 0 ] || return 0
	# CHOWN, KILL, SETUID, NET_ADMIN, SYS_MODULE, SYS_PTRACE, SYS_ADMIN
	for capability in 0 5 7 12 16 19 21; do
		! cap_bit $capability ||
			fail "a worker has capability $capability"
	done
}

start_device off -s 64M -o seccomp=off
expect_equal "$(confinement)" 'no_new_privs,capabilities' 'with seccomp=off'
check_claims 0
stop_device off

start_device on -s 64M
[ "$(confinement)" != 'no_new_privs,capabilities' ] ||
	missing commands 'built without libseccomp, or the kernel has no seccomp'
expect_equal "$(confinement)" 'no_new_privs,capabilities,seccomp' 'as a rule'
check_claims 2
# The supervisor has all that the next worker may need.
expect_equal "$(field "$(cat "$dev_dir/pid")" Seccomp)" 0 'of the supervisor'
stop_device on
start_device swap -s 64M -o swap=on -o seccomp=on
check_claims 2
stop_device swap

# Somebody writes all the time, and what was written before stays.
make_text $((4 << 20)) "$tmp/text"
printf - >"$tmp/rogue"
UZ_ROGUE=$tmp/rogue LD_PRELOAD=$rogue start_device rogue -s 64M
dd if="$tmp/text" of="$dev_block" bs=256K oflag=direct conv=notrunc status=none
grep -q '^survives yes' "$dev_dir/stat" ||
	missing commands 'requests do not survive a worker on this kernel'

# Called in the background.
# shellcheck disable=SC2317
keep_writing()
{
	while [ ! -e "$tmp/enough" ]; do
		dd if="$tmp/text" of="$dev_block" bs=64K seek=256 oflag=direct \
			conv=notrunc status=none || return 1
	done
}
keep_writing &
writer=$!
deaths=0
for call in s x f u; do
	worker=$(worker_pid)
	printf %s "$call" 1<>"$tmp/rogue"
	cat "$dev_dir/mm_stat" >"$tmp/mm_stat" || fail "no answer after '$call'"
	wait_until 60 pid_gone "$worker" || fail "'$call' did not end the worker"
	deaths=$((deaths + 1))
	expect_equal "$(stat_of restarts)" $deaths \
		"workers that died after '$call'"
	expect_equal "$(cat "$tmp/rogue")" - "whether '$call' was tried"
	check_claims 2
done
touch "$tmp/enough"
wait "$writer" || fail 'a write failed'
expect_equal "$(grep -c 'killed by signal 31 .*filter of system calls' \
	"$tmp/rogue.log")" 4 'what the log says'
expect_same "$tmp/text" <(head -c 4M "$dev_block")
dd if="$dev_block" of="$tmp/back" bs=1M skip=16 count=4 status=none
expect_same "$tmp/text" "$tmp/back"
stop_device rogue

# Without the filter such a call does what it does.
printf s >"$tmp/rogue"
UZ_ROGUE=$tmp/rogue LD_PRELOAD=$rogue start_device free -s 64M -o seccomp=off
cat "$dev_dir/mm_stat" >"$tmp/mm_stat"
wait_until 60 grep -q - "$tmp/rogue" || fail 'the call was not made'
expect_equal "$(stat_of restarts)" 0 'restarts'
stop_device free
