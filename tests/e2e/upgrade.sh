#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A device goes on with another program while it is being used: nobody sees an
# error, and nothing is lost. A program that does not come up changes nothing.
#
# UZ_UPGRADES: how often it goes from one program to the other (6).

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires_ctl
requires fio python3

upgrades=${UZ_UPGRADES:-6}
: "${UZ_TRANSPORT:=fuse}"
ulimit -c 0
programs=$build_root/tests/programs

# A copy, so that it can be taken away.
cp "$programs/uzramd-next" "$tmp/next"
cp "$UZRAMD" "$tmp/installed"
UZRAMD=$tmp/installed

version_of()
{
	"$1" --version | sed 's/^uzramd //'
}

now=$(version_of "$UZRAMD")
next=$(version_of "$tmp/next")

# upgrade_value NAME: out of the attribute.
upgrade_value()
{
	sed -n "s/^$1 //p" "$dev_dir/upgrade"
}

# upgrade_to PROGRAM FROM TO
upgrade_to()
{
	until timeout 60 "$UZRAMCTL" upgrade --binary "$1" file >"$tmp/out" 2>&1
	do
		# It has so long, also where it gets no CPU.
		grep -q "$late" "$tmp/out" ||
			fail "upgrade to $1: $(cat "$tmp/out")"
		rollbacks=$((rollbacks + 1))
	done
	grep -qx "file: upgraded from $2 to $3, pause [0-9]* ms" "$tmp/out" ||
		fail "upgrade to $1 says: $(cat "$tmp/out")"
	expect_equal "$(upgrade_value version)" "$3" version
	pauses+=" $(sed 's/.*pause \([0-9]*\) ms/\1/' "$tmp/out")"
}

# refused PROGRAM REASON: the version before it serves on.
refused()
{
	local serving

	serving=$(upgrade_value version)
	expect_fail_line 1 "$2" fails_for "$2" "$1" file
	rollbacks=$((rollbacks + late_ones))
	grep -q "\(rolled back to $serving, pause\|$serving serves on\)" \
		"$tmp/err" || fail "upgrade to $1 says: $(cat "$tmp/err")"
	expect_equal "$(upgrade_value version)" "$serving" version
}

no_errors()
{
	expect_equal "$(awk '{ print $1, $2, $3 }' "$dev_dir/io_stat")" '0 0 0' \
		'failed reads, failed writes, invalid requests'
	expect_equal "$(stat_of checksum_errors)" 0 \
		'checksum errors'
	expect_equal "$(stat_of restarts)" "${1:-0}" \
		restarts
	expect_same "$tmp/text" <(dd if="$dev_dir/block" bs=1M skip=120 \
		count=8 status=none)
}

# ---- under load, back and forth ----

pauses=
rollbacks=0
start_device file -s 128M -a lz4 -o swap=off
grep -q '^survives yes' "$dev_dir/stat" ||
	missing fuse 'this kernel does not give requests out again'
make_text $((8 << 20)) "$tmp/text"
dd if="$tmp/text" of="$dev_dir/block" bs=1M seek=120 conv=notrunc status=none
echo 96M >"$dev_dir/mem_limit"
exec 7<"$dev_block"
expect_equal "$(cat "$dev_dir/upgrade")" \
	"state idle"$'\n'"version $now"$'\n'"upgrades 0"$'\n'"rollbacks 0" upgrade
start_load
for ((i = 0; i < upgrades; i++)); do
	if ((i % 2)); then
		upgrade_to "$UZRAMD" "$next" "$now"
	else
		upgrade_to "$tmp/next" "$now" "$next"
	fi
	load_runs
done
echo "$upgrades upgrades, pauses in ms:$pauses"
((upgrades % 2 == 0)) || upgrade_to "$UZRAMD" "$next" "$now"

# ---- programs that do not come up, from each of the two ----

for serving in "$now" "$next"; do
	refused "$tmp/missing" 'No such file or directory'
	refused "$tmp" 'is no program'
	refused "$tmp/text" 'is no program'
	refused "$programs/crashes" 'killed by signal 11'
	refused "$(type -P true)" 'ended with status 0'
	refused "$programs/uzramd-otherlayout" \
		'of layout 4 with pages of 4096 bytes, this program knows'
	load_runs
	rollbacks=$((rollbacks + 6))
	expect_equal "$(upgrade_value rollbacks)" $rollbacks rollbacks
	[ "$serving" = "$next" ] || upgrade_to "$tmp/next" "$now" "$next"
done
refused "$programs/hangs" "$late"
stop_load
no_errors
# It may be too slow on a busy machine; it must not die of what it does.
! grep 'worker did not leave: ' "$tmp/file.log" | grep -v 'signal 9 ' ||
	fail 'a worker that was to leave died'

# ---- what is upgraded to stays, whatever becomes of its file ----

expect_equal "$(mm_stat 4)" $((96 << 20)) mem_limit
expect_equal "$(cat "$dev_dir/pid")" "$dev_pid" pid
expect_errno EBUSY bash -c "echo 1 >'$dev_dir/reset'"
rm "$tmp/next"
worker=$(worker_pid)
kill -KILL "$worker"
expect_equal "$(upgrade_value version)" "$next" 'version after a death'
no_errors 1

# ---- by a signal: what is installed now ----

before=$(upgrade_value upgrades)
upgraded()
{
	[ "$(upgrade_value upgrades)" -gt "$before" ]
}
asked=0
upgraded_by_signal()
{
	# Once more if it got no CPU for too long.
	[ $((asked++ % 200)) -ne 0 ] || kill -HUP "$dev_pid"
	upgraded
}
wait_until 60 upgraded_by_signal || fail 'SIGHUP: no upgrade'
expect_equal "$(upgrade_value version)" "$now" 'version after SIGHUP'
exec 7<&-

# ---- what protects it from being swapped to itself is kept, too ----

start_device swapped -s 16M -o swap=on
grep '^protection' "$dev_dir/stat" >"$tmp/before"
until "$UZRAMCTL" upgrade --binary "$programs/uzramd-next" swapped \
	>"$tmp/out" 2>&1; do
	grep -q 'does not serve after 5 s' "$tmp/out" || fail "$(cat "$tmp/out")"
done
grep '^protection' "$dev_dir/stat" | cmp - "$tmp/before" ||
	fail "it was $(cat "$tmp/before")"
stop_device swapped

# ---- a terminal that is closed asks for the end, not for an upgrade ----

# in_terminal NAME KIND WORDS...: a device there; closed by 'touch $tmp/close'.
in_terminal()
{
	local name=$1

	shift
	dev_dir=$UZRAM_RUNDIR/$name
	rm -f "$tmp/close"
	on_exit end_in_terminal "$dev_dir"
	timeout 200 python3 "$here/terminal.py" "$tmp/close" "$@" &
	wait_until 60 test -e "$dev_dir/block" || fail "no device in a terminal"
}

end_in_terminal()
{
	touch "$tmp/close"
	[ ! -e "$1/pid" ] || kill -TERM "$(cat "$1/pid")"
}

in_terminal program program "$UZRAMD" -s 16M program
touch "$tmp/close"
wait_until 60 test ! -e "$dev_dir" || fail 'it outlives its terminal'

# A shell hands on what it is told; while the terminal is there, it is a wish.
in_terminal shell shell "'$UZRAMD' -s 16M shell &" \
	"until [ -e '$UZRAM_RUNDIR/shell/block' ]; do sleep 0.1; done" \
	'kill -HUP %1'
before=0
wait_until 60 upgraded || fail 'kill -HUP in a terminal: no upgrade'
touch "$tmp/close"
wait_until 60 test ! -e "$dev_dir" || fail "it outlives its shell's terminal"
dev_dir=$UZRAM_RUNDIR/file

# ---- what it refuses ----

expect_fail_line 2 'usage: uzramctl upgrade' "$UZRAMCTL" upgrade
expect_fail_line 1 'write 1, or the whole path' \
	"$UZRAMCTL" set file upgrade uzramd
expect_errno EINVAL bash -c "echo x >'$dev_dir/upgrade'"
# A number that is nobody's memory.
expect_fail_line 1 '--worker is for uzramd itself' \
	"$UZRAMD" --worker=0 file </dev/null
expect_fail_line 2 "--worker 'x' is not a descriptor" \
	"$UZRAMD" --worker=x file
no_errors 1
stop_device file
