#!/bin/bash
# SPDX-License-Identifier: MIT
#
# With a service manager that keeps descriptors, neither the death of the
# supervisor nor a restart of the service is seen by who uses the device.
# Without what it keeps there are errors, no hang, and a new device.
#
# UZ_KILLS: how often the supervisor is killed, and restarted (6).

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires_ctl
requires fio python3

kills=${UZ_KILLS:-6}
ulimit -c 0
: "${UZ_TRANSPORT:=fuse}"
programs=$build_root/tests/programs
cp "$UZRAMD" "$tmp/installed"
dev_dir=$UZRAM_RUNDIR/kept
# shellcheck disable=SC2034 # used by start_load
dev_block=$dev_dir/block

export UZRAM_CONFIG_ROOT=$tmp/root
coproc MANAGER {
	exec python3 "$here/manager.py" "$tmp/notify" "$tmp/installed" \
		-s 128M -a lz4 -o "transport=$UZ_TRANSPORT" -o swap=off kept \
		2>>"$tmp/kept.log"
}
on_exit end_manager "$MANAGER_PID"

# Called by name when the test ends.
# shellcheck disable=SC2317
end_manager()
{
	[ ! -e "$dev_dir/pid" ] ||
		kill -TERM "$(timeout 10 cat "$dev_dir/pid")" 2>/dev/null
	kill "$1" 2>/dev/null # and with it what it keeps
	unmount_dead "$dev_dir"
}

# manager WORDS...: has it do that; sets answer.
manager()
{
	echo "$*" >&"${MANAGER[1]}"
	read -r -t 60 answer <&"${MANAGER[0]}" || fail "manager: $*: no answer"
}

# starts [PROGRAM]
starts()
{
	manager start "$@"
	[[ $answer == 'ready '* ]] || fail "start $*: $answer"
	dev_pid=${answer#ready }
}

# ends SIGNAL STATUS: the supervisor, and what is kept stays.
ends()
{
	manager signal "$1"
	expect_equal "$answer" "ended $2" "after SIG$1"
	manager kept
	expect_equal "$answer" "$all" 'kept'
}

# value NAME: out of the attribute upgrade.
value()
{
	sed -n "s/^$1 //p" "$dev_dir/upgrade"
}

# upgrade_kept: to the next version; it has so long, also where it gets no CPU.
upgrade_kept()
{
	until "$UZRAMCTL" upgrade --binary "$programs/uzramd-next" kept \
		>"$tmp/upgrade.out" 2>&1; do
		grep -q "$late" "$tmp/upgrade.out" ||
			fail "upgrade: $(cat "$tmp/upgrade.out")"
	done
}

no_errors()
{
	expect_equal "$(awk '{ print $1, $2, $3 }' "$dev_dir/io_stat")" '0 0 0' \
		'failed reads, failed writes, invalid requests'
	expect_equal "$(stat_of checksum_errors)" 0 \
		'checksum errors'
	expect_same "$tmp/text" <(dd if="$dev_dir/block" bs=1M skip=120 \
		count=8 status=none)
}

# says TEXT: in the log.
says()
{
	grep -qF "$1" "$tmp/kept.log" || fail "it does not say: $1"
}

# ---- under load ----

all='uzram-arena uzram-board uzram-connection uzram-control uzram-handover'
all+=' uzram-place uzram-program uzram-session uzram-table'
make_text $((8 << 20)) "$tmp/text"
starts
grep -q '^survives yes' "$dev_dir/stat" ||
	missing fuse 'this kernel does not give requests out again'
manager kept
expect_equal "$answer" "$all" 'kept when it is ready'
# What the next supervisor's worker waits for, should this one still be there.
# A list that others change meanwhile is not shown whole each time.
wait_until 60 grep -q "POSIX *ADVISORY *WRITE *$(worker_pid) " /proc/locks ||
	fail 'the worker has not locked the memory'
dd if="$tmp/text" of="$dev_dir/block" bs=1M seek=120 conv=notrunc status=none
echo 96M >"$dev_dir/mem_limit"
exec 7<"$dev_dir/block"
start_load
for ((i = 0; i < kills; i++)); do
	sleep 0.$((RANDOM % 5))
	ends KILL -9
	starts
	load_runs
	sleep 0.$((RANDOM % 5))
	ends USR1 0
	starts
	load_runs
done
kill -KILL "$(worker_pid)"
ends KILL -9
starts
stop_load
no_errors
expect_equal "$(mm_stat 4)" $((96 << 20)) mem_limit
expect_equal "$(cat "$dev_dir/pid")" "$dev_pid" pid
expect_errno EBUSY bash -c "echo 1 >'$dev_dir/reset'"
exec 7<&-
expect_equal "$(value upgrades) $(value rollbacks)" '0 0' 'upgrades, rollbacks'

# ---- a restart into another program, and back ----

now=$(value version)
next=$("$programs/uzramd-next" --version | sed 's/^uzramd //')
ends USR1 0
starts "$programs/uzramd-next"
expect_equal "$(value version) $(value upgrades)" "$next 1" 'version, upgrades'
kill -KILL "$(worker_pid)"
expect_equal "$(value version)" "$next" 'version after a death'
# One that cannot take over leaves it to the one that served.
ends KILL -9
starts "$programs/uzramd-otherlayout"
expect_equal "$(value version) $(value rollbacks)" "$next 1" \
	'version, rollbacks'
says 'of layout 4 with pages of 4096 bytes, this program knows'
manager kept
expect_equal "$answer" "$all" 'kept after a rollback'
ends USR1 0
starts
expect_equal "$(value version) $(value upgrades)" "$now 2" 'version, upgrades'
upgrade_kept
ends KILL -9
starts
expect_equal "$(value version) $(value upgrades)" "$now 4" 'version, upgrades'
no_errors

# ---- a mistake in the configuration is no reason to lose it ----

mkdir -p "$tmp/root/etc"
printf '[kept]\nnonsense = 1\n' >"$tmp/root/etc/uzram.conf"
upgrade_kept
kill -KILL "$(worker_pid)"
expect_equal "$(value version)" "$next" 'version after a death'
ends KILL -9
starts
says 'the device is served without that'
rm "$tmp/root/etc/uzram.conf"
no_errors

# ---- the orderly end: nothing is kept ----

"$UZRAMCTL" remove kept
manager wait
expect_equal "$answer" 'ended 0' 'after remove'
manager kept
expect_equal "$answer" '' 'kept after the end'
[ ! -e "$dev_dir" ] || fail 'it left its directory'

# ---- what was kept is of no use ----

# fresh: it begins anew.
fresh()
{
	starts
	expect_equal "$(mm_stat 1)" 0 'bytes in a device that is new'
	manager kept
	expect_equal "$answer" "$all" 'kept of the new one'
	dd if="$tmp/text" of="$dev_dir/block" bs=1M count=1 conv=notrunc \
		status=none
}

# All closed, as when the service is given up: errors, not a hang.
fresh
exec 7<"$dev_dir/block"
ends KILL -9
timeout 60 dd bs=4k count=1 status=none <&7 >/dev/null 2>"$tmp/err" &
reader=$!
sleep 0.2
! pid_gone $reader || fail "it did not wait: $(cat "$tmp/err")"
manager forget
expect_equal "$answer" 'forgotten 9' 'forget'
status=0
wait $reader || status=$?
expect_equal $status 1 'who waited for a device that is gone'
exec 7<&-

fresh
ends KILL -9
manager forget uzram-table
fresh
says 'cannot be served (some of it is missing); a new one begins'

ends KILL -9
umount -l "$dev_dir"
fresh
says 'cannot be served (it was unmounted meanwhile); a new one begins'

manager signal TERM
expect_equal "$answer" 'ended 0' 'after SIGTERM'
manager kept
expect_equal "$answer" '' 'kept after SIGTERM'
